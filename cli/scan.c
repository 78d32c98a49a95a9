/* lum scan - rows in commit order, then input order. Damaged pages are reported and left out, the rest is written: exit
 * code 3. */
#include <string.h>

#include "cli/commands.h"
#include "cli/message.h"
#include "cli/open_store.h"
#include "cli/progress.h"
#include "cli/result.h"
#include "cli/row_writer.h"
#include "cli/signals.h"

static const char *const format_choices[] = {"csv", "ndjson", "raw", NULL}; /* enum lum__row_format */
static const struct lum__option own_options[] = {
    {.name = "format",
     .kind = LUM__OPTION_CHOICE,
     .offset = offsetof(struct lum__arguments, row_format),
     .argument = "FORMAT",
     .choices = format_choices,
     .help = "csv (default), ndjson, or raw: 40 bytes a row as in memory"},
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
     .help = "instead of standard output"},
    {0}};
static const struct lum__option *const tables[] = {own_options, lum__options_ranges, lum__options_common, NULL};

/* Reads all that is intact. Damage is said, remembered as the exit code, and passed over. */
static int copy_rows(const char *path, lum_store *store, lum_scan *scan, struct lum__row_writer *writer,
                     uint64_t *row_count)
{
    lum_info_data info = LUM_INFO_INIT;
    uint64_t total = lum_info(store, &info) == LUM_OK ? info.lum_count : LUM_ROWS_UNKNOWN;
    uint64_t damage_count = 0;
    int damage_code = 0;
    lum__progress_begin("scanning", total);
    for (;;) {
        const lum_t *rows = NULL;
        size_t count = 0;
        lum_status status = lum_scan_next_rows(scan, &rows, &count);
        if (status == LUM_END) break;
        if (status == LUM_ERR_CORRUPT && damage_count++ < 100000) { /* behind that, the store is not worth its lines */
            damage_code = lum__message_store(status, path);
            continue;
        }
        if (status != LUM_OK) return lum__message_store(status, path);
        int exit_code = lum__row_writer_write(writer, rows, count);
        if (exit_code != 0) return exit_code;
        *row_count += count;
        lum__progress_update(*row_count, 0);
        if (lum__signals_interrupted()) {
            return lum__message_refuse(LUM__EXIT_INTERRUPTED, "ERR_CANCELLED", NULL, NULL, "interrupted after %s rows",
                                       lum__human_count(*row_count));
        }
    }
    lum__progress_end();
    return damage_code;
}

static int scan_store(const struct lum__arguments *arguments, struct lum__row_writer *writer, uint64_t *row_count,
                      lum_scan_counts *counts)
{
    lum_options options = lum__open_options(arguments, LUM__OPEN_READ);
    const char *path = arguments->positional[0];
    lum_store *store = NULL;
    lum_scan *scan = NULL;
    int exit_code = lum__open_store(path, &options, &store);
    if (exit_code != 0) return exit_code;
    lum_scan_options scan_options = LUM_SCAN_OPTIONS_INIT;
    scan_options.id_min = arguments->id.min;
    scan_options.id_max = arguments->id.max;
    scan_options.timestamp_min = arguments->time.min;
    scan_options.timestamp_max = arguments->time.max;
    scan_options.x_min = arguments->x.min;
    scan_options.x_max = arguments->x.max;
    scan_options.y_min = arguments->y.min;
    scan_options.y_max = arguments->y.max;
    lum_status status = lum_scan_open(store, &scan_options, &scan);
    if (status != LUM_OK) return lum__close_store(store, path, lum__message_store(status, path));
    /* Only now: a store that cannot be read must not cost the user the old output file. */
    exit_code = lum__row_writer_open(writer, arguments->output_path, (enum lum__row_format)arguments->row_format);
    if (exit_code == 0) {
        exit_code = copy_rows(path, store, scan, writer, row_count);
        int writer_code = lum__row_writer_close(writer);
        if (exit_code == 0) exit_code = writer_code;
    }
    lum_scan_counts_get(scan, counts);
    lum_scan_close(scan);
    return lum__close_store(store, path, exit_code);
}

static int run(const struct lum__arguments *arguments)
{
    struct lum__result result;
    struct lum__row_writer writer = {0};
    lum_scan_counts counts = {0};
    uint64_t row_count = 0, start_ns = lum__monotonic_ns();
    if (!lum__result_begin(&result, arguments)) return LUM__EXIT_IO;
    result.data_has_stdout = !arguments->output_path || strcmp(arguments->output_path, "-") == 0;
    lum__signals_catch_interrupts();
    int exit_code = lum__row_writer_choose(&writer, arguments->columns);
    if (exit_code == 0 && arguments->row_format == LUM__ROWS_RAW && arguments->columns) {
        exit_code = lum__message_usage(NULL, "--columns does not go with --format raw: a raw row is the whole record");
    }
    if (exit_code == 0) exit_code = scan_store(arguments, &writer, &row_count, &counts);
    uint64_t elapsed_ns = lum__monotonic_ns() - start_ns;
    lum__json_u64(&result.json, "rows", row_count);
    lum__json_u64(&result.json, "bytes_written", writer.bytes_written);
    lum__json_u64(&result.json, "chunks_total", counts.chunks_total);
    lum__json_u64(&result.json, "chunks_read", counts.chunks_read);
    lum__json_u64(&result.json, "pages_total", counts.pages_total);
    lum__json_u64(&result.json, "pages_read", counts.pages_read);
    lum__json_u64(&result.json, "bytes_read", counts.bytes_read);
    lum__json_u64(&result.json, "elapsed_nanoseconds", elapsed_ns);
    if (exit_code == 0 || exit_code == LUM__EXIT_DAMAGE) {
        lum__message_note("%s: %s rows, %s written, %s of %s pages read, in %s", arguments->positional[0],
                          lum__human_count(row_count), lum__human_bytes(writer.bytes_written),
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
    .summary = "write the rows of a store, every version, in commit order",
    .examples = "  lum scan cities.lum > cities.csv\n"
                "  lum scan cities.lum --columns all --format ndjson -o cities.ndjson\n"
                "  lum scan cities.lum --x 20000000..30000000 --y 480000000..490000000 --time 2020-01-01..\n"};
