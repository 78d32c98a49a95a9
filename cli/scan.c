/* lum scan - rows in commit order, then input order. Damaged pages are reported and left out, the rest is written: exit
 * code 3. */
#include <inttypes.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/message.h"
#include "cli/open_store.h"
#include "cli/result.h"
#include "cli/scan_copy.h"
#include "cli/signals.h"
#include "cli/target.h"

static const char *const format_choices[] = {"csv", "ndjson", "npy", "raw", NULL}; /* enum lum__row_format */
static const struct lum__option own_options[] = {
    {.name = "format",
     .kind = LUM__OPTION_CHOICE,
     .offset = offsetof(struct lum__arguments, row_format),
     .argument = "FORMAT",
     .choices = format_choices,
     .help = "csv (default), ndjson, npy (for NumPy; with --columns all a row is the record as in memory), or raw: 40 "
             "bytes a row as in memory"},
    {.name = "columns",
     .kind = LUM__OPTION_STRING,
     .offset = offsetof(struct lum__arguments, columns),
     .argument = "NAMES",
     .help = "separated by commas, or all; default id,presence,position_x,position_y,structure_type,timestamp"},
    {.name = "output",
     .letter = 'o',
     .kind = LUM__OPTION_STRING,
     .offset = offsetof(struct lum__arguments, output_path),
     .argument = "FILE",
     .help = "instead of standard output; the file gets its name when it is complete and synced; over damage, what can be read goes to FILE.incomplete"},
    {.name = "latest",
     .kind = LUM__OPTION_FLAG,
     .offset = offsetof(struct lum__arguments, latest),
     .help = "only the newest version of each id, and none of ids whose newest is a tombstone; ranges choose among those. "
             "What does not fit the memory goes to $TMPDIR, else /var/tmp"},
    {.name = "limit",
     .kind = LUM__OPTION_NUMBER,
     .offset = offsetof(struct lum__arguments, limit),
     .argument = "N",
     .min = 1,
     .help = "stop after N rows"},
    {.name = "threads",
     .kind = LUM__OPTION_NUMBER,
     .offset = offsetof(struct lum__arguments, threads),
     .argument = "N",
     .min = 1,
     .max = 1024,
     .help = "workers; default: the CPUs this process may use"},
    {.name = "memory",
     .kind = LUM__OPTION_NUMBER,
     .offset = offsetof(struct lum__arguments, memory_bytes),
     .argument = "SIZE",
     .min = 1,
     .help = "memory to use at most; default 128Mi, or 48Mi a thread where that is more"},
    {0}};
static const struct lum__option *const tables[] = {own_options, lum__options_ranges, lum__options_common, NULL};

static lum_scan_options selection(const struct lum__arguments *arguments)
{
    lum_scan_options options = LUM_SCAN_OPTIONS_INIT;
    options.id_min = arguments->id.min;
    options.id_max = arguments->id.max;
    options.timestamp_min = arguments->time.min;
    options.timestamp_max = arguments->time.max;
    options.x_min = arguments->x.min;
    options.x_max = arguments->x.max;
    options.y_min = arguments->y.min;
    options.y_max = arguments->y.max;
    options.latest = arguments->latest;
    return options;
}

/* What there is to be known before the first row: for progress, and how much memory the scan leaves for its output. */
static void ask_store(lum_store *store, bool is_latest, struct lum__scan_copy *copy)
{
    lum_info_data info = LUM_INFO_INIT;
    lum_stats_data stats = LUM_STATS_INIT;
    copy->rows_total = lum_info(store, &info) == LUM_OK ? info.lum_count : LUM_ROWS_UNKNOWN;
    if (copy->rows_total > copy->rows_max) copy->rows_total = copy->rows_max;
    if (is_latest) copy->rows_total = LUM_ROWS_UNKNOWN;
    if (lum_stats(store, &stats) != LUM_OK) return;
    copy->threads = stats.threads;
    copy->memory_bytes_max = stats.memory_bytes_max / 4; /* half is the scan's own: storage/chunk_scan.h */
    lum__message_detail("scanning with %u threads, %s of memory, %s, %s on %s", stats.threads,
                        lum__human_bytes(stats.memory_bytes_max), stats.io_mode, stats.simd_level, stats.fs_type);
}

static int scan_store(const struct lum__arguments *arguments, struct lum__scan_copy *copy, struct lum__output *output,
                      lum_scan_counts *counts)
{
    lum_options options = lum__open_options(arguments, LUM__OPEN_READ);
    const char *path = arguments->positional[0];
    lum_store *store = NULL;
    int exit_code = 0;
    if (arguments->output_path && strcmp(arguments->output_path, "-") != 0)
        exit_code = lum__target_check("output file", arguments->output_path, "name another file for the rows", path, NULL, 0);
    if (exit_code == 0) exit_code = lum__open_store(path, &options, &store);
    if (exit_code != 0) return exit_code;
    lum_scan_options scan_options = selection(arguments);
    lum_status status = lum_scan_open(store, &scan_options, &copy->scan);
    if (status != LUM_OK) return lum__close_store(store, path, lum__message_store(status, path));
    ask_store(store, arguments->latest, copy);
    /* Only now: a store that cannot be read must not cost the user the old output file. */
    exit_code = lum__output_open(output, arguments->output_path, arguments->row_format == LUM__ROWS_NPY);
    if (exit_code == 0) {
        exit_code = lum__scan_copy_run(copy);
        int output_code = lum__output_close(output, exit_code == 0                 ? LUM__OUTPUT_COMPLETE
                                                    : exit_code == LUM__EXIT_DAMAGE ? LUM__OUTPUT_PARTIAL
                                                                                    : LUM__OUTPUT_DROPPED);
        if (exit_code == 0) exit_code = output_code;
    }
    lum_scan_counts_get(copy->scan, counts);
    lum_scan_close(copy->scan);
    return lum__close_store(store, path, exit_code);
}

static void tell(struct lum__json *json, uint64_t row_count, uint64_t byte_count, const lum_scan_counts *counts,
                 uint64_t elapsed_ns)
{
    lum__json_u64(json, "rows", row_count);
    lum__json_u64(json, "bytes_written", byte_count);
    lum__json_u64(json, "chunks_total", counts->chunks_total);
    lum__json_u64(json, "chunks_read", counts->chunks_read);
    lum__json_u64(json, "pages_total", counts->pages_total);
    lum__json_u64(json, "pages_read", counts->pages_read);
    lum__json_u64(json, "bytes_read", counts->bytes_read);
    lum__json_u64(json, "elapsed_nanoseconds", elapsed_ns);
}

/* --time 2020.. selects nearly everything, and ..2020 nothing: both are nanoseconds. A day alone is its first one. */
static void tell_years(const struct lum__arguments *arguments)
{
    const uint64_t day_ns = 86400000000000u;
    if (arguments->time.min == arguments->time.max && arguments->time.min >= day_ns && arguments->time.min % day_ns == 0)
        lum__message_note("--time: a date alone is the first nanosecond of that day; the day is A..B, as 2026-01-31..2026-01-31T23:59:59.999999999");
    const uint64_t ends[] = {arguments->time.min, arguments->time.max};
    for (int i = 0; i < 2; i++) {
        if (ends[i] < 1970 || ends[i] > 2554) continue;
        lum__message_note("--time: %" PRIu64 " counts nanoseconds since 1970; the year %" PRIu64 " begins at %" PRIu64 "-01-01", ends[i], ends[i],
                          ends[i]);
    }
}

static int run(const struct lum__arguments *arguments)
{
    struct lum__result result;
    struct lum__row_writer writer = {0};
    struct lum__output output = {0};
    struct lum__scan_copy copy = {.store_path = arguments->positional[0],
                                  .writer = &writer,
                                  .output = &output,
                                  .rows_max = arguments->limit ? arguments->limit : UINT64_MAX,
                                  .threads = 1};
    lum_scan_counts counts = {0};
    uint64_t start_ns = lum__monotonic_ns();
    if (!lum__result_begin(&result, arguments)) return LUM__EXIT_IO;
    result.data_has_stdout = !arguments->output_path || strcmp(arguments->output_path, "-") == 0;
    lum__signals_catch_interrupts();
    tell_years(arguments);
    int exit_code = lum__row_writer_choose(&writer, (enum lum__row_format)arguments->row_format, arguments->columns);
    if (exit_code == 0) exit_code = scan_store(arguments, &copy, &output, &counts);
    uint64_t elapsed_ns = lum__monotonic_ns() - start_ns;
    tell(&result.json, copy.row_count, output.bytes, &counts, elapsed_ns);
    if (exit_code == 0 || exit_code == LUM__EXIT_DAMAGE) {
        lum__message_note("%s: %s, %s written, %s of %s pages read, in %s", arguments->positional[0],
                          lum__human_number_of(copy.row_count, "row"), lum__human_bytes(output.bytes),
                          lum__human_count(counts.pages_read), lum__human_count(counts.pages_total),
                          lum__human_seconds(elapsed_ns));
    }
    return lum__result_end(&result, exit_code);
}

const struct lum__command lum__command_scan = {
    .name = "scan",
    .positional_help = "STORE",
    .positional_min = 1,
    .positional_max = 1,
    .tables = tables,
    .run = run,
    .data_takes_stdout = true,
    .summary = "write the rows of a store, every version or the latest, in commit order",
    .examples = "  lum scan cities.lum > cities.csv\n"
                "  lum scan cities.lum --columns all --format ndjson -o cities.ndjson\n"
                "  lum scan cities.lum --columns id,position_x,position_y --format npy -o cities.npy\n"
                "  lum scan cities.lum --latest --limit 10\n"
                "  lum scan cities.lum --x 20000000..30000000 --y 480000000..490000000 --time 2020-01-01..\n"};
