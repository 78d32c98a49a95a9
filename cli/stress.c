/* lum stress - the whole way of the data at full speed: makes rows, writes them durably, has a new process read back
 * and compare every one.
 *
 * 1. room is checked for 1.2 times the worst case, before anything is made
 * 2. the store is created, loaded and closed; the write clock runs from before the creation until the load is durable
 * 3. a new process opens the store, makes every row again and compares it (stress_read.c)
 * 4. the store is removed, unless --keep, or something failed */
#include "cli/stress.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/open_store.h"
#include "cli/progress.h"
#include "cli/result.h"
#include "cli/signals.h"
#include "cli/workload.h"

#define FIELD(name) offsetof(struct lum__arguments, name)
enum { SOURCE_ROWS, SOURCE_COLUMNS };
static const char *const source_choices[] = {"rows", "columns", NULL};
static const struct lum__option own_options[] = {
    {.name = "count",
     .kind = LUM__OPTION_NUMBER,
     .offset = FIELD(count),
     .argument = "N",
     .min = 1,
     .max = (uint64_t)1 << 48,
     .help = "rows to write; default 100M"},
    {.name = "workload",
     .kind = LUM__OPTION_CHOICE,
     .offset = FIELD(workload),
     .argument = "NAME",
     .choices = lum__workload_names,
     .help = "seed (default: counters), random (positions and types at random), tracks (1,000 devices walking), "
             "seed+noise (one random row in every 4,096)"},
    {.name = "source",
     .kind = LUM__OPTION_CHOICE,
     .offset = FIELD(source_form),
     .argument = "FORM",
     .choices = source_choices,
     .help = "rows (default: as most programs have them) or columns: how the generator hands rows over"},
    {.name = "commit-every",
     .kind = LUM__OPTION_NUMBER,
     .offset = FIELD(commit_every),
     .argument = "N",
     .help = "a transaction every N rows; default: all rows are one"},
    {.name = "keep", .kind = LUM__OPTION_FLAG, .offset = FIELD(keep), .help = "do not remove the store"},
    {.name = "drop-caches",
     .kind = LUM__OPTION_FLAG,
     .offset = FIELD(drop_caches),
     .help = "empty the system's page cache before reading back (needs root)"},
    {0}};
static const struct lum__option *const tables[] = {own_options, lum__options_writer, lum__options_common, NULL};

struct stress {
    const struct lum__arguments *arguments;
    char session_id[48];
    char path[4096];
    uint32_t threads;
    bool is_made, is_completed, caches_dropped;
    lum_load_report load;
    lum_stats_data stats;
    uint64_t write_time_ns, close_time_ns, bytes_on_disk, write_memory_peak;
    struct lum__read_result read;
};

/* ----------------------------------------------------------------------------------------- before anything is made */

static void name_session(struct stress *stress)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) random = (uint32_t)lum__monotonic_ns();
    snprintf(stress->session_id, sizeof stress->session_id, "stress_%lld_%08" PRIx32, (long long)time(NULL), random);
    if (stress->arguments->positional_count > 0)
        snprintf(stress->path, sizeof stress->path, "%s", stress->arguments->positional[0]);
    else
        snprintf(stress->path, sizeof stress->path, "lum-%s", stress->session_id);
}

/* Stress labels each of its commits with its session, so a store that holds nothing else can be told from anybody's
 * data. */
static lum_status check_label(void *context, const lum_transaction_data *transaction)
{
    uint64_t *stress_made_count = context;
    if (strncmp(transaction->label, "stress_", 7) != 0) return LUM_ERR_EXISTS;
    (*stress_made_count)++;
    return LUM_OK;
}

/* 0 if the path is free, or holds the store of an earlier stress run (*is_stress_made): it may be replaced. */
static int check_path(const char *path, bool *is_stress_made)
{
    *is_stress_made = false;
    if (lum__is_absent_or_empty(path)) return 0;
    lum_options options = LUM_OPTIONS_INIT;
    options.read_only = true;
    lum_store *store = NULL;
    uint64_t stress_made_count = 0;
    lum_status status = lum_open(path, &options, &store);
    if (status == LUM_ERR_BUSY || status == LUM_ERR_PERMISSION) return lum__message_store(status, path);
    if (status == LUM_OK) {
        status = lum_transactions(store, check_label, &stress_made_count);
        lum_status close_status = lum_close(store);
        if (status == LUM_OK) status = close_status;
    }
    *is_stress_made = status == LUM_OK && stress_made_count > 0;
    if (*is_stress_made) return 0;
    return lum__message_refuse(LUM__EXIT_USAGE, "ERR_EXISTS", path,
                               "name a path that does not exist, or remove it yourself",
                               "%s is not empty and was not made by lum stress: it is left alone", path);
}

/* Worst case: every page stored plain, at the size of the raw rows, plus the log ahead. */
static int check_space(const struct stress *stress, bool is_stress_made)
{
    uint64_t worst_bytes = 40 * stress->arguments->count + (32u << 20);
    uint64_t needed_bytes = worst_bytes + worst_bytes / 5;
    uint64_t free_bytes = lum__free_bytes(stress->path);
    if (is_stress_made && free_bytes != UINT64_MAX) free_bytes += lum__directory_bytes(stress->path);
    if (free_bytes >= needed_bytes) return 0;
    uint64_t fitting = free_bytes / 48 > 1000000 ? (free_bytes / 48 - 1000000) / 1000000 : 0;
    char remedy[160];
    snprintf(remedy, sizeof remedy, "name a STORE on a larger disk, or use --count %" PRIu64 "M", fitting);
    return lum__message_refuse(LUM__EXIT_NO_SPACE, "ERR_NO_SPACE", stress->path,
                               fitting ? remedy : "name a STORE on a larger disk, or use a smaller --count",
                               "%s rows may need %s (1.2 times the worst case), %s has %s free",
                               lum__human_count(stress->arguments->count), lum__human_bytes(needed_bytes), stress->path,
                               lum__human_bytes(free_bytes));
}

/* --------------------------------------------------------------------------------------------------- writing */

static bool on_progress(void *context, const lum_load_progress *progress)
{
    (void)context;
    lum__progress_update(progress->rows_written, progress->durable_sequence);
    return !lum__signals_interrupted();
}

static int load_rows(struct stress *stress, lum_store *store, struct lum__workload *workload, uint64_t start_ns)
{
    lum_load_options options = LUM_LOAD_OPTIONS_INIT;
    options.commit_every = stress->arguments->commit_every;
    options.label = stress->session_id;
    options.on_progress = on_progress;
    lum__progress_begin("writing", stress->arguments->count);
    lum_status status = lum_load(store, lum__workload_source(workload), &options, &stress->load);
    stress->write_time_ns = lum__monotonic_ns() - start_ns;
    lum__progress_end();
    if (status == LUM_ERR_CANCELLED)
        return lum__message_refuse(LUM__EXIT_INTERRUPTED, "ERR_CANCELLED", NULL, NULL, "interrupted while writing");
    return status == LUM_OK ? 0 : lum__message_store(status, stress->path);
}

static int write_store(struct stress *stress)
{
    const struct lum__arguments *arguments = stress->arguments;
    lum_options options = lum__open_options(arguments, LUM__OPEN_CREATE);
    lum_store *store = NULL;
    stress->threads = arguments->threads ? (uint32_t)arguments->threads : lum_cpu_count();
    options.threads = stress->threads;
    struct lum__workload *workload =
        lum__workload_create((enum lum__workload_kind)arguments->workload, arguments->count, stress->threads,
                             arguments->source_form == SOURCE_COLUMNS);
    if (!workload) return lum__message_system(ENOMEM, NULL, "no memory for the workload");
    uint64_t start_ns = lum__monotonic_ns();
    int exit_code = lum__open_store(stress->path, &options, &store);
    if (exit_code == 0) {
        stress->is_made = true;
        exit_code = load_rows(stress, store, workload, start_ns);
        lum_status stats_status = lum_stats(store, &stress->stats);
        if (stats_status != LUM_OK && exit_code == 0) exit_code = lum__message_status(stats_status);
        uint64_t close_start_ns = lum__monotonic_ns();
        exit_code = lum__close_store(store, stress->path, exit_code);
        stress->close_time_ns = lum__monotonic_ns() - close_start_ns;
        stress->bytes_on_disk = lum__directory_bytes(stress->path);
    }
    lum__workload_destroy(workload);
    stress->write_memory_peak = lum__memory_peak();
    return exit_code;
}

static void drop_caches(struct stress *stress)
{
    sync();
    int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
    stress->caches_dropped = fd >= 0 && write(fd, "3\n", 2) == 2;
    if (fd >= 0) close(fd);
    if (!stress->caches_dropped)
        lum__message_note(
            "the page cache could not be dropped (it needs root): reading back may be faster than a disk");
}

/* --------------------------------------------------------------------------------------------------- telling */

static void write_json(struct lum__json *json, const struct stress *stress)
{
    const lum_stats_data *stats = &stress->stats;
    uint64_t read_peak = stress->read.memory_peak_bytes;
    lum__json_string(json, "test_session_id", stress->session_id);
    lum__json_string(json, "workload", lum__workload_names[stress->arguments->workload]);
    lum__json_string(json, "source", source_choices[stress->arguments->source_form]);
    lum__json_string(json, "store_path", stress->path);
    lum__json_u64(json, "threads", stats->threads ? stats->threads : stress->threads);
    lum__json_u64(json, "total_lums_requested", stress->arguments->count);
    lum__json_u64(json, "total_lums_processed", stress->load.rows_loaded);
    lum__json_u64(json, "total_chunks_written", stress->load.chunk_count);
    lum__json_u64(json, "total_bytes_on_disk", stress->bytes_on_disk);
    lum__json_u64(json, "logical_bytes", 40 * stress->load.rows_loaded);
    lum__json_u64(json, "data_bytes_written", stress->load.bytes_written);
    lum__json_u64(json, "write_time_nanoseconds", stress->write_time_ns);
    lum__json_u64(json, "close_time_nanoseconds", stress->close_time_ns);
    lum__json_u64(json, "read_time_nanoseconds", stress->read.read_time_ns);
    lum__json_u64(json, "verified_lums", stress->read.rows_compared);
    lum__json_u64(json, "verification_errors", stress->read.verification_errors);
    lum__json_u64(json, "io_errors", stress->read.io_errors);
    lum__json_bool(json, "stress_test_completed", stress->is_completed);
    lum__json_u64(json, "commits", stress->load.commit_count);
    lum__json_u64(json, "commit_sequence", stress->load.commit_sequence);
    lum__json_bool(json, "durable", stress->load.durable);
    lum__json_u64(json, "digest", stress->load.digest);
    lum__json_u64(json, "sync_count", stats->sync_count);
    lum__json_u64(json, "batch_count", stats->batch_count);
    lum__json_u64(json, "log_bytes_written", stats->log_bytes_written);
    lum__json_u64(json, "pool_wait_nanoseconds", stats->pool_wait_ns);
    lum__json_u64(json, "producer_write_wait_nanoseconds", stats->producer_write_wait_ns);
    lum__json_string(json, "io_mode", stats->io_mode ? stats->io_mode : "");
    lum__json_string(json, "read_io_mode", stress->read.io_mode);
    lum__json_string(json, "simd_level", stats->simd_level ? stats->simd_level : "");
    lum__json_string(json, "fs_type", stats->fs_type);
    lum__json_u64(json, "chunk_lums", stats->chunk_lums);
    lum__json_u64(json, "memory_bytes_max", stats->memory_bytes_max);
    lum__json_u64(json, "allocator_bytes", stats->allocator_bytes);
    lum__json_u64(json, "peak_memory_bytes",
                  stress->write_memory_peak > read_peak ? stress->write_memory_peak : read_peak);
    lum__json_u64(json, "write_peak_memory_bytes", stress->write_memory_peak);
    lum__json_u64(json, "read_peak_memory_bytes", read_peak);
    lum__json_bool(json, "caches_dropped", stress->caches_dropped);
}

static void tell_writing(const struct stress *stress)
{
    uint64_t rows = stress->load.rows_loaded, raw_bytes = 40 * rows, commits = stress->load.commit_count;
    char ratio[48] = "";
    if (commits > 1 && stress->stats.sync_count > 0)
        snprintf(ratio, sizeof ratio, ", %.1f commits a sync", (double)commits / (double)stress->stats.sync_count);
    lum__message_note("wrote %s rows durably in %s: %srows/s, %s of raw rows a second; %s on disk, %.2f bytes a row; "
                      "%s syncs%s; closed in %s",
                      lum__human_count(rows), lum__human_seconds(stress->write_time_ns),
                      lum__human_rate(rows, stress->write_time_ns),
                      lum__human_bytes((uint64_t)((double)raw_bytes * 1e9 / (double)(stress->write_time_ns + 1))),
                      lum__human_bytes(stress->bytes_on_disk), (double)stress->bytes_on_disk / (double)rows,
                      lum__human_count(stress->stats.sync_count), ratio, lum__human_seconds(stress->close_time_ns));
}

static void tell_end(const struct stress *stress)
{
    uint64_t rows = stress->load.rows_loaded;
    lum__message_note("%s rows, %s on disk (%.1f %% of the raw rows), written in %s (%srows/s), read back by a new "
                      "process and compared in "
                      "%s (%srows/s), 0 errors, durable at sequence %" PRIu64,
                      lum__human_count(rows), lum__human_bytes(stress->bytes_on_disk),
                      2.5 * (double)stress->bytes_on_disk / (double)rows, lum__human_seconds(stress->write_time_ns),
                      lum__human_rate(rows, stress->write_time_ns), lum__human_seconds(stress->read.read_time_ns),
                      lum__human_rate(rows, stress->read.read_time_ns), stress->load.commit_sequence);
}

/* ---------------------------------------------------------------------------------------------------- running */

/* Not under another process that works on it: whoever gets in as a writer is alone. */
static int replace_store(const char *path)
{
    lum_options options = LUM_OPTIONS_INIT;
    lum_store *store = NULL;
    lum_status status = lum_open(path, &options, &store);
    if (status == LUM_ERR_BUSY) return lum__message_store(status, path);
    lum_close(store); /* damaged or not: it goes */
    lum__message_note("%s is of an earlier stress run: replaced", path);
    return lum__remove_store(path);
}

static int write_and_read_back(struct stress *stress)
{
    const struct lum__arguments *arguments = stress->arguments;
    bool is_stress_made = false;
    int exit_code = check_path(stress->path, &is_stress_made);
    if (exit_code == 0) exit_code = check_space(stress, is_stress_made);
    if (exit_code == 0 && is_stress_made) exit_code = replace_store(stress->path);
    if (exit_code != 0) return exit_code;
    lum__message_note("%s: %s rows of %s, %u threads, in %s", stress->session_id, lum__human_count(arguments->count),
                      lum__workload_names[arguments->workload],
                      arguments->threads ? (uint32_t)arguments->threads : lum_cpu_count(), stress->path);
    exit_code = write_store(stress);
    if (exit_code != 0) return exit_code;
    tell_writing(stress);
    lum__message_detail("io %s, %s, %s; waits: pool %s, writes %s", stress->stats.io_mode, stress->stats.simd_level,
                        stress->stats.fs_type, lum__human_seconds(stress->stats.pool_wait_ns),
                        lum__human_seconds(stress->stats.producer_write_wait_ns));
    if (arguments->drop_caches) drop_caches(stress);
    exit_code = lum__stress_read_back(arguments, stress->path, stress->threads, &stress->read);
    stress->is_completed = exit_code == 0 && stress->read.is_completed && stress->read.verification_errors == 0 &&
                           stress->read.io_errors == 0 && stress->load.rows_loaded == arguments->count;
    return exit_code;
}

/* Ours to remove only if this run made it. What failed stays for a look. */
static int clean_up(const struct stress *stress, int exit_code)
{
    if (!stress->is_made) return 0;
    bool is_removed = !stress->arguments->keep && (exit_code == 0 || exit_code == LUM__EXIT_INTERRUPTED);
    if (is_removed) return lum__remove_store(stress->path);
    lum__message_note("%s stays (%s)", stress->path, stress->arguments->keep ? "--keep" : "for a look at the failure");
    return 0;
}

static int run(const struct lum__arguments *arguments)
{
    struct lum__result result;
    struct stress stress = {.arguments = arguments, .load = LUM_LOAD_REPORT_INIT, .stats = LUM_STATS_INIT};
    if (!lum__result_begin(&result, arguments)) return LUM__EXIT_IO;
    lum__signals_catch_interrupts();
    name_session(&stress);
    int exit_code = write_and_read_back(&stress);
    if (exit_code == 0 && !stress.is_completed) {
        exit_code = lum__message_refuse(LUM__EXIT_IO, "ERR_IO", stress.path, NULL, "the stress test did not complete");
    }
    write_json(&result.json, &stress);
    int clean_code = clean_up(&stress, exit_code);
    if (exit_code == 0) exit_code = clean_code;
    if (exit_code == 0) tell_end(&stress);
    return lum__result_end(&result, exit_code);
}

const struct lum__command lum__command_stress = {
    .name = "stress",
    .positional_help = "[STORE]",
    .positional_min = 0,
    .positional_max = 1,
    .tables = tables,
    .run = run,
    .summary = "write N rows at full speed, read every one back in a new process, compare",
    .details =
        "Without a STORE a directory is made here and removed at the end. A STORE that exists is replaced only if\n"
        "lum stress made it. The write clock runs from before the store is created until everything is durable.\n",
    .examples = "  lum stress --count 10M\n"
                "  lum stress /fast/disk/test --count 1G --workload tracks --json\n"
                "  lum stress ./kept --keep --workload random --threads 8 --commit-every 1M\n"};
