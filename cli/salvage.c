/* lum salvage - what is intact of a damaged store, into a new one. */
#include <inttypes.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/message.h"
#include "cli/open_store.h"
#include "cli/progress.h"
#include "cli/result.h"
#include "cli/signals.h"

static const struct lum__option own_options[] = {
    {.name = "orphans",
     .kind = LUM__OPTION_STRING,
     .offset = offsetof(struct lum__arguments, orphans),
     .argument = "DIR",
     .help = "write chunks that nothing says were committed to a second new store"},
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
static const struct lum__option *const tables[] = {own_options, lum__options_common, NULL};

struct losses {
    struct lum__json *json;
    const char *store;
    bool is_json, is_quiet;
};

static void number_or_null(struct lum__json *json, const char *name, bool is_known, uint64_t value)
{
    if (is_known)
        lum__json_u64(json, name, value);
    else
        lum__json_null(json, name);
}

static void loss_to_json(struct lum__json *json, const lum_loss *loss)
{
    lum__json_begin_object(json, NULL);
    lum__json_string(json, "file", loss->file);
    number_or_null(json, "offset", loss->offset != UINT64_MAX, loss->offset);
    lum__json_u64(json, "bytes", loss->byte_count);
    number_or_null(json, "chunk_offset", loss->chunk_offset != 0, loss->chunk_offset);
    lum__json_u64(json, "page_first", loss->page_first);
    lum__json_u64(json, "pages", loss->page_count);
    number_or_null(json, "transaction_id", loss->transaction_id != 0, loss->transaction_id);
    number_or_null(json, "commit_sequence", loss->commit_sequence != 0, loss->commit_sequence);
    number_or_null(json, "first_row", loss->first_row != UINT64_MAX, loss->first_row);
    number_or_null(json, "lums_lost", loss->are_lums_known, loss->lums_lost);
    number_or_null(json, "id_min", loss->are_ranges_known, loss->id_min);
    number_or_null(json, "id_max", loss->are_ranges_known, loss->id_max);
    number_or_null(json, "timestamp_min", loss->are_ranges_known, loss->timestamp_min);
    number_or_null(json, "timestamp_max", loss->are_ranges_known, loss->timestamp_max);
    number_or_null(json, "sequence_first", loss->sequence_first != 0, loss->sequence_first);
    number_or_null(json, "sequence_last", loss->sequence_first != 0, loss->sequence_last);
    lum__json_string(json, "what", loss->what);
    lum__json_end_object(json);
}

/* data/1.seg at byte 4096: 4,096 rows lost, number 0 to 4,095 of transaction 7, ids 1..4,096, timestamps ...: why */
static void loss_to_text(const struct losses *losses, const lum_loss *loss)
{
    printf("lost: %s/%s", losses->store, loss->file);
    if (loss->offset != UINT64_MAX) printf(" at byte %" PRIu64, loss->offset);
    printf(": ");
    if (loss->are_lums_known) printf("%s rows", lum__human_count(loss->lums_lost));
    if (loss->first_row != UINT64_MAX && loss->are_lums_known)
        printf(", number %" PRIu64 " to %" PRIu64, loss->first_row, loss->first_row + loss->lums_lost - 1);
    if (loss->transaction_id != 0) printf(" of transaction %" PRIu64, loss->transaction_id);
    if (loss->are_ranges_known)
        printf(", ids %" PRIu64 "..%" PRIu64 ", timestamps %" PRIu64 "..%" PRIu64, loss->id_min, loss->id_max,
               loss->timestamp_min, loss->timestamp_max);
    if (loss->sequence_first != 0)
        printf("%ssequences %" PRIu64 "..%" PRIu64, loss->are_lums_known ? ", " : "", loss->sequence_first,
               loss->sequence_last);
    printf("%s%s\n", loss->are_lums_known || loss->sequence_first != 0 ? ": " : "", loss->what);
}

static void on_loss(void *context, const lum_loss *loss)
{
    struct losses *losses = context;
    loss_to_json(losses->json, loss);
    lum__progress_clear_line();
    if (!losses->is_json && !losses->is_quiet) loss_to_text(losses, loss);
}

static bool on_progress(void *context, uint64_t lums_done, uint64_t lums_total)
{
    (void)context;
    (void)lums_total;
    lum__progress_update(lums_done, 0);
    return !lum__signals_interrupted();
}

static void write_json(struct lum__json *json, const lum_salvage_report *report)
{
    char id[40];
    lum__human_store_id(report->store_id, id);
    lum__json_string(json, "store_id", id);
    number_or_null(json, "checkpoint_number", report->checkpoint_number != 0, report->checkpoint_number);
    lum__json_bool(json, "data_segments_searched", report->is_scanned);
    lum__json_u64(json, "transactions_whole", report->transactions_whole);
    lum__json_u64(json, "transactions_damaged", report->transactions_damaged);
    lum__json_u64(json, "lums_saved", report->lums_saved);
    lum__json_u64(json, "lums_lost", report->lums_lost);
    lum__json_bool(json, "lums_lost_is_exact", report->is_lost_count_exact);
    lum__json_u64(json, "loss_count", report->loss_count);
    lum__json_u64(json, "orphan_chunks", report->orphan_chunks);
    lum__json_u64(json, "orphan_lums", report->orphan_lums);
    lum__json_u64(json, "elapsed_nanoseconds", report->elapsed_ns);
}

static void tell(const struct lum__arguments *arguments, const lum_salvage_report *report)
{
    if (report->orphan_chunks > 0)
        lum__message_note("%s: %s in %s that nothing says were committed", arguments->orphans,
                          lum__human_number_of(report->orphan_lums, "row"),
                          lum__human_number_of(report->orphan_chunks, "chunk"));
    lum__message_note("%s: %s of %s whole and %s damaged transactions saved in %s to %s", arguments->positional[0],
                      lum__human_number_of(report->lums_saved, "row"), lum__human_count(report->transactions_whole),
                      lum__human_count(report->transactions_damaged), lum__human_seconds(report->elapsed_ns),
                      arguments->positional[1]);
}

static int run(const struct lum__arguments *arguments)
{
    const char *path = arguments->positional[0], *destination = arguments->positional[1];
    struct lum__result result;
    if (!lum__result_begin(&result, arguments)) return LUM__EXIT_IO;
    struct losses losses = {&result.json, path, arguments->json, arguments->quiet};
    lum_salvage_options options = LUM_SALVAGE_OPTIONS_INIT;
    options.orphans = arguments->orphans;
    options.threads = (uint32_t)arguments->threads;
    options.memory_bytes_max = arguments->memory_bytes;
    options.on_loss = on_loss;
    options.on_progress = on_progress;
    options.callback_context = &losses;
    lum_salvage_report report = LUM_SALVAGE_REPORT_INIT;
    lum__signals_catch_interrupts();
    lum__progress_begin("salvage", LUM_ROWS_UNKNOWN);
    lum__json_begin_array(&result.json, "losses");
    lum_status status = lum_salvage(path, destination, &options, &report);
    lum__json_end_array(&result.json);
    lum__progress_end();
    bool is_saved = status == LUM_OK || (status == LUM_ERR_CORRUPT && report.loss_count > 0);
    int exit_code = 0;
    if (status == LUM_ERR_CANCELLED)
        exit_code = lum__message_refuse(LUM__EXIT_INTERRUPTED, "ERR_CANCELLED", NULL, "run it again",
                                        "interrupted: nothing is left in %s", destination);
    else if (status != LUM_OK)
        exit_code = lum__message_store(status, status == LUM_ERR_EXISTS || status == LUM_ERR_NO_SPACE ? NULL : path);
    write_json(&result.json, &report);
    if (is_saved) tell(arguments, &report);
    return lum__result_end(&result, exit_code);
}

const struct lum__command lum__command_salvage = {
    .name = "salvage",
    .positional_help = "STORE NEW",
    .positional_min = 2,
    .positional_max = 2,
    .tables = tables,
    .run = run,
    .summary = "save what is intact of a damaged store into a new one",
    .details =
        "STORE is only read, and may lie on read-only media. NEW gets every intact row of every transaction that a\n"
        "checkpoint or the log names, in commit order, with labels. Each part that is lost is a line: place, rows,\n"
        "ranges of ids and times. Exit code 0: all was saved; 3: something is lost.\n",
    .examples = "  lum salvage broken.lum saved.lum\n"
                "  lum salvage broken.lum saved.lum --orphans uncommitted.lum --json\n"};
