/* The second process of `lum stress`: opens the store as after a restart, makes every row again and compares. It knows
 * nothing of the first one but the workload's name and the number of rows. */
#include "cli/stress.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/open_store.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "cli/workload.h"

extern char **environ;

/* -------------------------------------------------------------------------------------- the process that reads */

enum { PAGE_ROWS = 4096 };

struct reader {
    _Alignas(64) struct lum__row_maker *maker;
    uint64_t rows, errors, position_sum; /* the sum of all positions tells whether one came twice and another never */
};

struct readers {
    struct reader *items;
    uint32_t count;
    atomic_uint_least64_t rows; /* for progress; relaxed: carries no other data */
    pthread_mutex_t mutex;
    char first_difference[256];
};

static const char *differing_field(const lum_t *made, const lum_columns *read, size_t i)
{
    if (made->id != read->id[i]) return "id";
    if (made->timestamp != read->timestamp[i]) return "timestamp";
    if (made->memory_address != read->memory_address[i]) return "memory_address";
    if (made->position_x != read->position_x[i]) return "position_x";
    if (made->position_y != read->position_y[i]) return "position_y";
    if (made->presence != read->presence[i]) return "presence";
    if (made->structure_type != read->structure_type[i]) return "structure_type";
    return made->is_destroyed != read->is_destroyed[i] ? "is_destroyed" : "checksum";
}

/* The slow way, row by row: which are different, and in what. */
static lum_status count_differences(struct readers *readers, struct reader *reader, uint64_t position, const lum_columns *columns,
                                    size_t row_count)
{
    size_t first = 0;
    lum_t *made = malloc(PAGE_ROWS * sizeof *made);
    if (!made) return LUM_ERR_NO_MEMORY;
    lum__row_maker_make(reader->maker, position, made, row_count);
    size_t differing = lum__rows_compare(made, columns, row_count, &first);
    reader->errors += differing > 0 ? differing : 1;
    pthread_mutex_lock(&readers->mutex);
    if (differing > 0 && !readers->first_difference[0]) {
        snprintf(readers->first_difference, sizeof readers->first_difference,
                 "row %" PRIu64 " is not what was written: %s differs (id %" PRIu64 " written, %" PRIu64 " read)", position + first,
                 differing_field(&made[first], columns, first), made[first].id, columns->id[first]);
    }
    pthread_mutex_unlock(&readers->mutex);
    free(made);
    return LUM_OK;
}

static lum_status compare_page(void *context, uint32_t worker, uint64_t position, const lum_columns *columns, size_t row_count)
{
    struct readers *readers = context;
    struct reader *reader = &readers->items[worker];
    if (!lum__row_maker_matches(reader->maker, position, columns, row_count)) {
        lum_status status = count_differences(readers, reader, position, columns, row_count);
        if (status != LUM_OK) return status;
    }
    reader->rows += row_count;
    reader->position_sum += row_count * position + row_count * (row_count - 1) / 2;
    uint64_t total = atomic_fetch_add_explicit(&readers->rows, row_count, memory_order_relaxed) + row_count;
    if (worker == 0) lum__progress_update(total, 0);
    return lum__signals_interrupted() ? LUM_ERR_CANCELLED : LUM_OK;
}

/* Rows that are missing or came twice, over those that differ. */
static void sum_up(const struct readers *readers, uint64_t row_count, struct lum__read_result *out)
{
    uint64_t position_sum = 0;
    for (uint32_t i = 0; i < readers->count; i++) {
        out->rows_compared += readers->items[i].rows;
        out->verification_errors += readers->items[i].errors;
        position_sum += readers->items[i].position_sum;
    }
    /* n(n-1)/2 modulo 2^64: halve the even one of the two factors. */
    uint64_t expected_sum = row_count % 2 == 0 ? row_count / 2 * (row_count - 1) : row_count * ((row_count - 1) / 2);
    if (out->rows_compared != row_count)
        out->verification_errors +=
            out->rows_compared > row_count ? out->rows_compared - row_count : row_count - out->rows_compared;
    else if (position_sum != expected_sum)
        out->verification_errors++;
}

static bool make_readers(struct readers *readers, uint32_t count, enum lum__workload_kind kind)
{
    pthread_mutex_init(&readers->mutex, NULL);
    readers->count = count;
    readers->items = aligned_alloc(64, count * sizeof *readers->items);
    if (!readers->items) return false;
    memset(readers->items, 0, count * sizeof *readers->items);
    for (uint32_t i = 0; i < count; i++) {
        readers->items[i].maker = lum__row_maker_create(kind);
        if (!readers->items[i].maker) return false;
    }
    return true;
}

static int tell_scan_failure(lum_status status, const char *path, struct lum__read_result *out)
{
    if (status == LUM_ERR_CANCELLED)
        return lum__message_refuse(LUM__EXIT_INTERRUPTED, "ERR_CANCELLED", NULL, NULL,
                                   "interrupted while reading back");
    out->io_errors++;
    return lum__message_store(status, path);
}

static int read_and_compare(const struct lum__arguments *arguments, struct lum__read_result *out)
{
    const char *path = arguments->positional[0];
    struct readers readers = {0};
    lum_store *store = NULL;
    lum_options options = lum__open_options(arguments, LUM__OPEN_READ); /* as any program that reads after a restart */
    uint32_t threads = arguments->threads ? (uint32_t)arguments->threads : lum_cpu_count();
    if (!make_readers(&readers, threads, (enum lum__workload_kind)arguments->workload))
        return lum__message_system(ENOMEM, NULL, "no memory to read back");
    int exit_code = lum__open_store(path, &options, &store);
    if (exit_code != 0) {
        out->io_errors++;
        return exit_code;
    }
    lum_scan_options scan_options = LUM_SCAN_OPTIONS_INIT;
    lum_scan_counts counts = {0};
    lum__progress_begin("reading back", arguments->count);
    lum_status status = lum_scan_parallel_columns(store, &scan_options, threads, compare_page, &readers, &counts);
    out->read_time_ns = lum__monotonic_ns() - arguments->start_ns;
    lum__progress_end();
    if (status != LUM_OK) exit_code = tell_scan_failure(status, path, out);
    out->is_completed = status == LUM_OK;
    out->chunks_read = counts.chunks_read;
    out->bytes_read = counts.bytes_read;
    if (status == LUM_OK) sum_up(&readers, arguments->count, out);
    if (out->verification_errors > 0) {
        exit_code = lum__message_refuse(
            LUM__EXIT_DAMAGE, "ERR_CORRUPT", path, "lum verify tells what is damaged; the store stays for a look", "%s",
            readers.first_difference[0] ? readers.first_difference : "rows are missing or came twice");
    }
    lum_stats_data stats = LUM_STATS_INIT;
    if (lum_stats(store, &stats) == LUM_OK) snprintf(out->io_mode, sizeof out->io_mode, "%s", stats.io_mode);
    for (uint32_t i = 0; i < readers.count; i++) lum__row_maker_destroy(readers.items[i].maker);
    free(readers.items);
    exit_code = lum__close_store(store, path, exit_code);
    if (exit_code != 0) return exit_code;
    /* And a writer gets in again, and leaves it clean. */
    options = lum__open_options(arguments, LUM__OPEN_WRITE);
    exit_code = lum__open_store(path, &options, &store);
    return exit_code != 0 ? exit_code : lum__close_store(store, path, exit_code);
}

static int run(const struct lum__arguments *arguments)
{
    struct lum__read_result out = {.magic = LUM__READ_RESULT_MAGIC};
    lum__signals_catch_interrupts();
    int exit_code = read_and_compare(arguments, &out);
    out.memory_peak_bytes = lum__memory_peak();
    out.failure = *lum__message_first_failure();
    if (write((int)arguments->result_fd, &out, sizeof out) != (ssize_t)sizeof out && exit_code == 0)
        exit_code = LUM__EXIT_IO;
    return exit_code;
}

/* ------------------------------------------------------------------------------------------- the one that waits */

#define FIELD(name) offsetof(struct lum__arguments, name)
static const struct lum__option own_options[] = {
    {.name = "count", .kind = LUM__OPTION_NUMBER, .offset = FIELD(count), .argument = "N", .help = "rows"},
    {.name = "workload",
     .kind = LUM__OPTION_CHOICE,
     .offset = FIELD(workload),
     .argument = "W",
     .choices = lum__workload_names,
     .help = "rows"},
    {.name = "result-fd",
     .kind = LUM__OPTION_NUMBER,
     .offset = FIELD(result_fd),
     .argument = "FD",
     .help = "where the result goes"},
    {.name = "start-ns",
     .kind = LUM__OPTION_NUMBER,
     .offset = FIELD(start_ns),
     .argument = "NS",
     .help = "when this process was started"},
    {0}};
static const struct lum__option *const tables[] = {own_options, lum__options_writer, lum__options_common, NULL};
const struct lum__command lum__command_stress_read = {.name = "stress-read",
                                                      .positional_help = "STORE",
                                                      .positional_min = 1,
                                                      .positional_max = 1,
                                                      .tables = tables,
                                                      .run = run,
                                                      .is_hidden = true,
                                                      .summary = "the second process of `lum stress`",
                                                      .examples = ""};

static bool read_result(int fd, struct lum__read_result *out)
{
    size_t done = 0;
    while (done < sizeof *out) {
        ssize_t got = read(fd, (char *)out + done, sizeof *out - done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        done += (size_t)got;
    }
    return done == sizeof *out && out->magic == LUM__READ_RESULT_MAGIC;
}

static int spawn_reader(const struct lum__arguments *arguments, const char *store, uint32_t threads, int result_fd,
                        pid_t *pid)
{
    static const char *const progress_names[] = {"auto", "always", "never"};
    char count[24], thread_text[16], memory[24], fd[16], start[24];
    snprintf(count, sizeof count, "%" PRIu64, arguments->count);
    snprintf(thread_text, sizeof thread_text, "%u", threads);
    snprintf(memory, sizeof memory, "%" PRIu64, arguments->memory_bytes);
    snprintf(fd, sizeof fd, "%d", result_fd);
    snprintf(start, sizeof start, "%" PRIu64, lum__monotonic_ns());
    const char *words[24] = {"lum",         "stress-read",
                             "--count",     count,
                             "--workload",  lum__workload_names[arguments->workload],
                             "--threads",   thread_text,
                             "--result-fd", fd,
                             "--start-ns",  start,
                             "--progress",  progress_names[arguments->progress]};
    size_t used = 14;
    if (arguments->memory_bytes) {
        words[used++] = "--memory";
        words[used++] = memory;
    }
    if (arguments->quiet) words[used++] = "--quiet";
    if (arguments->verbose) words[used++] = "--verbose";
    words[used++] = "--";
    words[used++] = store;
    return posix_spawn(pid, "/proc/self/exe", NULL, NULL, (char *const *)words, environ);
}

static int explain_silence(int wait_status, struct lum__read_result *out)
{
    memset(out, 0, sizeof *out);
    out->io_errors = 1;
    if (lum__signals_interrupted())
        return lum__message_refuse(LUM__EXIT_INTERRUPTED, "ERR_CANCELLED", NULL, NULL,
                                   "interrupted while reading back");
    if (WIFSIGNALED(wait_status)) {
        return lum__message_refuse(LUM__EXIT_IO, "ERR_IO", NULL, NULL,
                                   "the process that reads back was ended by signal %d (%s)", WTERMSIG(wait_status),
                                   strsignal(WTERMSIG(wait_status)));
    }
    return lum__message_refuse(LUM__EXIT_IO, "ERR_IO", NULL, NULL,
                               "the process that reads back ended without a result (exit code %d)",
                               WEXITSTATUS(wait_status));
}

int lum__stress_read_back(const struct lum__arguments *arguments, const char *store, uint32_t threads,
                          struct lum__read_result *out)
{
    int ends[2], wait_status = 0;
    pid_t pid;
    memset(out, 0, sizeof *out);
    if (pipe(ends) != 0) return lum__message_system(errno, NULL, "cannot start the process that reads back");
    int spawn_errno = spawn_reader(arguments, store, threads, ends[1], &pid);
    close(ends[1]);
    if (spawn_errno != 0) {
        close(ends[0]);
        return lum__message_system(spawn_errno, NULL, "cannot start the process that reads back");
    }
    bool has_result = read_result(ends[0], out);
    close(ends[0]);
    while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR) {
    }
    if (!has_result) return explain_silence(wait_status, out);
    if (out->failure.exit_code != 0) lum__message_adopt(&out->failure);
    return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : LUM__EXIT_IO;
}
