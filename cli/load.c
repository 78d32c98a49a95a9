/* lum load - rows of files into a store, durably, every row accounted for. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/file_chain.h"
#include "cli/message.h"
#include "cli/open_store.h"
#include "cli/progress.h"
#include "cli/result.h"
#include "cli/signals.h"

#define FIELD(name) offsetof(struct lum__arguments, name)
enum { FORMAT_AUTO, FORMAT_CSV, FORMAT_TSV };
static const char *const format_choices[] = {"auto", "csv", "tsv", NULL};
static const struct lum__option own_options[] = {
    {.name = "format",
     .kind = LUM__OPTION_CHOICE,
     .offset = FIELD(input_format),
     .argument = "FORMAT",
     .choices = format_choices,
     .help = "auto (default: tsv if the first file's name says so, else csv), csv, tsv; gzip, bzip2, xz, zstd, lz4 are "
             "seen by themselves"},
    {.name = "map",
     .kind = LUM__OPTION_LIST,
     .offset = FIELD(maps),
     .argument = "FIELD=COLUMN[*SCALE],...",
     .help = "which column goes into which field; COLUMN is a name, #number, @row (id only) or a constant. Columns "
             "named as a field "
             "map themselves. Fields: id presence position_x position_y structure_type timestamp memory_address "
             "is_destroyed checksum"},
    {.name = "no-header",
     .kind = LUM__OPTION_FLAG,
     .offset = FIELD(no_header),
     .help = "the first row is data; columns are #1, #2, ..."},
    {.name = "delimiter",
     .kind = LUM__OPTION_STRING,
     .offset = FIELD(delimiter),
     .argument = "C",
     .help = "one character, or tab"},
    {.name = "round",
     .kind = LUM__OPTION_FLAG,
     .offset = FIELD(round),
     .help = "round digits left over after scaling instead of refusing the row"},
    {.name = "on-error",
     .kind = LUM__OPTION_STRING,
     .offset = FIELD(on_error),
     .argument = "WHAT",
     .help = "abort (default): a bad row ends the load, nothing uncommitted stays"},
    {.name = "label",
     .kind = LUM__OPTION_STRING,
     .offset = FIELD(label),
     .argument = "ID",
     .help = "name stored with the commit, at most 255 bytes"},
    {.name = "commit-every",
     .kind = LUM__OPTION_NUMBER,
     .offset = FIELD(commit_every),
     .argument = "N",
     .help = "a transaction every N rows; default: the whole load is one"},
    {.name = "events",
     .kind = LUM__OPTION_STRING,
     .offset = FIELD(events_path),
     .argument = "FILE",
     .help = "a JSON line for each durable commit, written before the next one is reported; - is standard output"},
    {0}};
static const struct lum__option *const tables[] = {own_options, lum__options_writer, lum__options_common, NULL};

struct load {
    const struct lum__arguments *arguments;
    struct lum__file_chain *chain;
    FILE *events;
    const lum_load_event *event; /* while on_commit() runs */
    bool is_events_failed;
};

/* ---------------------------------------------------------------------------------------------------- events */

static void write_event(void *context, const char *path, uint64_t rows)
{
    struct load *load = context;
    struct lum__json json = {.out = load->events};
    lum__json_begin_object(&json, NULL);
    lum__json_string(&json, "event", "commit");
    lum__json_string(&json, "file", path);
    lum__json_u64(&json, "rows_committed", rows);
    lum__json_u64(&json, "sequence", load->event->sequence);
    lum__json_u64(&json, "transaction_id", load->event->transaction_id);
    lum__json_bool(&json, "durable", load->event->durable);
    lum__json_end_object(&json);
    fputc('\n', load->events);
}

static void on_commit(void *context, const lum_load_event *event)
{
    struct load *load = context;
    if (!load->events || load->is_events_failed) return;
    load->event = event;
    lum__file_chain_committed(load->chain, event->rows_committed, write_event, load);
    /* The line has left the process before the next commit is told: a kill of this process loses no line. */
    if (fflush(load->events) != 0) {
        load->is_events_failed = true; /* the load goes on to the next progress call, which stops it */
        lum__message_system(errno, load->arguments->events_path, "cannot write events to %s",
                            load->arguments->events_path);
    }
}

static bool on_progress(void *context, const lum_load_progress *progress)
{
    struct load *load = context;
    uint64_t read, total;
    lum__file_chain_bytes(load->chain, &read, &total);
    lum__progress_input(read, total);
    lum__progress_update(progress->rows_written, progress->durable_sequence);
    return !lum__signals_interrupted() && !load->is_events_failed;
}

/* --------------------------------------------------------------------------------------------------- checking */

/* All files, before anything is made: a missing third file should not show after an hour. */
static int check_files(const struct lum__arguments *arguments)
{
    for (size_t i = 1; i < arguments->positional_count; i++) {
        const char *path = arguments->positional[i];
        struct stat info;
        if (strcmp(path, "-") == 0) continue;
        if (stat(path, &info) != 0) return lum__message_system(errno, path, "cannot read %s", path);
        if (S_ISDIR(info.st_mode)) {
            return lum__message_refuse(LUM__EXIT_INPUT, "ERR_INPUT", path, "name the files in it", "%s is a directory",
                                       path);
        }
        if (access(path, R_OK) != 0) return lum__message_system(errno, path, "cannot read %s", path);
    }
    return 0;
}

static int check_on_error(const char *on_error)
{
    if (strcmp(on_error, "abort") == 0) return 0;
    if (strcmp(on_error, "skip") == 0 || strncmp(on_error, "reject=", 7) == 0) {
        return lum__message_usage("--on-error abort tells file, line and column of the first bad row",
                                  "--on-error %s is not in this version; only abort is", on_error);
    }
    return lum__message_usage(NULL, "--on-error: there is no \"%s\" (abort)", on_error);
}

static int choose_delimiter(const struct lum__arguments *arguments, char *out)
{
    const char *text = arguments->delimiter, *name = arguments->positional[1];
    *out = ',';
    if (arguments->input_format == FORMAT_TSV) *out = '\t';
    if (arguments->input_format == FORMAT_AUTO) {
        const char *tsv = strstr(name, ".tsv");
        if (tsv && (tsv[4] == 0 || tsv[4] == '.')) *out = '\t';
    }
    if (!text) return 0;
    bool is_tab = strcmp(text, "tab") == 0 || strcmp(text, "\\t") == 0;
    if (is_tab || (text[0] && !text[1])) {
        *out = is_tab ? '\t' : text[0];
        return 0;
    }
    return lum__message_usage(NULL, "--delimiter: \"%s\" is not one character (or tab)", text);
}

static int parse_maps(const struct lum__arguments *arguments, struct lum__mapping *mapping)
{
    for (size_t i = 0; i < arguments->maps.count; i++) {
        lum_status status = lum__mapping_add(mapping, arguments->maps.items[i]);
        if (status != LUM_OK) return lum__message_status(status);
    }
    return 0;
}

/* ---------------------------------------------------------------------------------------------------- loading */

static int tell_failure(lum_status status, const char *store, const lum_load_report *report)
{
    if (status != LUM_ERR_CANCELLED || !lum__signals_interrupted()) return lum__message_store(status, store);
    return lum__message_refuse(LUM__EXIT_INTERRUPTED, "ERR_CANCELLED", NULL,
                               report->rows_loaded ? "the rows committed before stay in the store"
                                                   : "the store is as it was before",
                               "interrupted: %s rows are committed, %s were rolled back",
                               lum__human_count(report->rows_loaded), lum__human_count(report->rows_rolled_back));
}

static int load_rows(struct load *load, lum_store *store, lum_load_report *report)
{
    const struct lum__arguments *arguments = load->arguments;
    lum_stats_data stats = LUM_STATS_INIT;
    if (lum_stats(store, &stats) == LUM_OK) {
        lum__message_note("loading with %u threads, %s of memory, %s, %s on %s", stats.threads,
                          lum__human_bytes(stats.memory_bytes_max), stats.io_mode, stats.simd_level, stats.fs_type);
    }
    lum__message_detail("mapping: --map '%s'", lum__file_chain_mapping_text(load->chain));
    lum_load_options options = LUM_LOAD_OPTIONS_INIT;
    options.commit_every = arguments->commit_every;
    options.label = arguments->label;
    options.on_commit = on_commit;
    options.on_progress = on_progress;
    options.callback_context = load;
    lum__progress_begin("loading", LUM_ROWS_UNKNOWN);
    lum_status status = lum_load(store, lum__file_chain_source(load->chain), &options, report);
    lum__progress_end();
    if (status != LUM_OK) return tell_failure(status, arguments->positional[0], report);
    return load->is_events_failed ? lum__message_first_failure()->exit_code : 0;
}

static int check_accounts(const lum_load_report *report)
{
    lum__message_note("rows_read %s = loaded %s + rejected %s + skipped %s + rolled_back %s",
                      lum__human_count(report->rows_read), lum__human_count(report->rows_loaded),
                      lum__human_count(report->rows_rejected), lum__human_count(report->rows_skipped),
                      lum__human_count(report->rows_rolled_back));
    uint64_t sum = report->rows_loaded + report->rows_rejected + report->rows_skipped + report->rows_rolled_back;
    if (sum == report->rows_read) return 0;
    return lum__message_refuse(
        LUM__EXIT_IO, "ERR_ACCOUNTING", NULL, "this is a bug in lum; `lum verify` tells what the store holds",
        "the accounts do not add up: %" PRIu64 " rows read, %" PRIu64 " accounted for", report->rows_read, sum);
}

static int load_into_store(struct load *load, lum_load_report *report)
{
    const char *path = load->arguments->positional[0];
    bool is_new = lum__is_absent_or_empty(path);
    lum_options options = lum__open_options(load->arguments, LUM__OPEN_CREATE);
    lum_store *store = NULL;
    int exit_code = lum__open_store(path, &options, &store);
    if (exit_code != 0) return exit_code;
    if (is_new) lum__message_note("%s was not there: created", path);
    exit_code = load_rows(load, store, report);
    exit_code = lum__close_store(store, path, exit_code);
    /* Closing syncs: what --sync none or interval left open is durable now. */
    if (exit_code == 0 && report->commit_count > 0) report->durable = true;
    return exit_code;
}

static int open_and_load(struct load *load, lum_load_report *report)
{
    const struct lum__arguments *arguments = load->arguments;
    struct lum__mapping mapping = LUM__MAPPING_INIT;
    struct lum__row_options csv_options = {0};
    csv_options.no_header = arguments->no_header;
    csv_options.round = arguments->round;
    csv_options.mapping = &mapping;
    int exit_code = check_on_error(arguments->on_error);
    if (exit_code == 0) exit_code = choose_delimiter(arguments, &csv_options.delimiter);
    if (exit_code == 0) exit_code = check_files(arguments);
    if (exit_code == 0) exit_code = parse_maps(arguments, &mapping);
    if (exit_code == 0) {
        lum_status status = lum__file_chain_open(arguments->positional + 1, arguments->positional_count - 1,
                                                 &csv_options, &load->chain);
        if (status != LUM_OK) exit_code = lum__message_status(status);
    }
    if (exit_code == 0 && arguments->events_path) {
        load->events = strcmp(arguments->events_path, "-") == 0 ? stdout : fopen(arguments->events_path, "w");
        if (!load->events)
            exit_code =
                lum__message_system(errno, arguments->events_path, "cannot write events to %s", arguments->events_path);
    }
    if (exit_code == 0) exit_code = load_into_store(load, report);
    lum__file_chain_close(load->chain);
    if (load->events && load->events != stdout && fclose(load->events) != 0 && exit_code == 0)
        exit_code =
            lum__message_system(errno, arguments->events_path, "cannot write events to %s", arguments->events_path);
    lum__mapping_destroy(&mapping);
    return exit_code;
}

static void write_json(struct lum__json *json, const struct lum__arguments *arguments, const lum_load_report *report,
                       uint64_t elapsed_ns)
{
    lum__json_u64(json, "rows_read", report->rows_read);
    lum__json_u64(json, "rows_loaded", report->rows_loaded);
    lum__json_u64(json, "rows_rejected", report->rows_rejected);
    lum__json_u64(json, "rows_skipped", report->rows_skipped);
    lum__json_u64(json, "rows_rolled_back", report->rows_rolled_back);
    lum__json_u64(json, "bytes_read", report->bytes_read);
    lum__json_u64(json, "bytes_written", report->bytes_written);
    lum__json_u64(json, "chunks", report->chunk_count);
    lum__json_u64(json, "commits", report->commit_count);
    lum__json_u64(json, "transaction_id", report->transaction_id);
    lum__json_u64(json, "commit_sequence", report->commit_sequence);
    lum__json_bool(json, "durable", report->durable);
    lum__json_string(json, "label", arguments->label ? arguments->label : "");
    lum__json_u64(json, "digest", report->digest);
    lum__json_u64(json, "elapsed_nanoseconds", elapsed_ns);
}

static int run(const struct lum__arguments *arguments)
{
    struct lum__result result;
    struct load load = {.arguments = arguments};
    lum_load_report report = LUM_LOAD_REPORT_INIT;
    if (!lum__result_begin(&result, arguments)) return LUM__EXIT_IO;
    result.data_has_stdout = arguments->events_path && strcmp(arguments->events_path, "-") == 0;
    lum__signals_catch_interrupts();
    uint64_t start_ns = lum__monotonic_ns();
    int exit_code = open_and_load(&load, &report);
    uint64_t elapsed_ns = lum__monotonic_ns() - start_ns;
    write_json(&result.json, arguments, &report, elapsed_ns);
    if (exit_code == 0 || report.rows_read > 0) {
        int account_code = check_accounts(&report);
        if (exit_code == 0) exit_code = account_code;
    }
    if (exit_code == 0) {
        uint64_t bytes = lum__directory_bytes(arguments->positional[0]);
        lum__message_note(
            "%s: %s rows loaded in %s (%srows/s), %s written (%.1f %% of the raw rows), %s on disk, %s at sequence "
            "%" PRIu64,
            arguments->positional[0], lum__human_count(report.rows_loaded), lum__human_seconds(elapsed_ns),
            lum__human_rate(report.rows_loaded, elapsed_ns), lum__human_bytes(report.bytes_written),
            report.rows_loaded ? 2.5 * (double)report.bytes_written / (double)report.rows_loaded : 0.0,
            lum__human_bytes(bytes), report.durable ? "durable" : "not yet durable", report.commit_sequence);
    }
    return lum__result_end(&result, exit_code);
}

const struct lum__command lum__command_load = {
    .name = "load",
    .positional_help = "STORE FILE...",
    .positional_min = 2,
    .positional_max = SIZE_MAX,
    .tables = tables,
    .run = run,
    .summary = "load rows of CSV files, plain or compressed, into a store",
    .details = "All files together are one transaction unless --commit-every is given: all rows are loaded, or none. A "
               "FILE of - is\n"
               "standard input. A store that is not there is created.\n",
    .examples =
        "  lum load tracks.lum tracks.csv.zst\n"
        "  lum load cities.lum cities500.csv.zst --label cities500 \\\n"
        "      --map "
        "'id=geonameid,position_x=longitude*1e7,position_y=latitude*1e7,timestamp=modified,memory_address=population'\n"
        "  zcat day*.csv.gz | lum load days.lum - --no-header --map id=#1,timestamp=#2 --commit-every 1M --events "
        "commits.ndjson\n"};
