/* lum backup - a copy of a store, also while it is written to. */
#include <inttypes.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/message.h"
#include "cli/open_store.h"
#include "cli/progress.h"
#include "cli/result.h"
#include "cli/signals.h"

static const struct lum__option own_options[] = {
    {.name = "raw",
     .kind = LUM__OPTION_FLAG,
     .offset = offsetof(struct lum__arguments, raw),
     .help = "every file as it is, damage too; of a store that no writer has open"},
    {.name = "threads",
     .kind = LUM__OPTION_NUMBER,
     .offset = offsetof(struct lum__arguments, threads),
     .argument = "N",
     .min = 1,
     .max = 1024,
     .help = "workers; default: the CPUs this process may use"},
    {0}};
static const struct lum__option *const tables[] = {own_options, lum__options_common, NULL};

static bool on_progress(void *context, uint64_t bytes_done, uint64_t bytes_total)
{
    (void)context;
    lum__progress_bytes(bytes_done, bytes_total);
    return !lum__signals_interrupted();
}

static void write_json(struct lum__json *json, const lum_backup_report *report)
{
    char id[40];
    lum__human_store_id(report->store_id, id);
    lum__json_string(json, "store_id", id);
    lum__json_u64(json, "lums", report->lum_count);
    lum__json_u64(json, "chunks", report->chunk_count);
    lum__json_u64(json, "transactions", report->transaction_count);
    lum__json_u64(json, "last_sequence", report->last_sequence);
    lum__json_u64(json, "digest", report->digest);
    lum__json_u64(json, "files", report->file_count);
    lum__json_u64(json, "bytes_copied", report->bytes_copied);
    lum__json_u64(json, "bytes_shared", report->bytes_shared);
    lum__json_u64(json, "bytes_unreadable", report->bytes_unreadable);
    lum__json_bool(json, "beside_writer", report->beside_writer);
    lum__json_bool(json, "was_crashed", report->was_crashed);
    lum__json_bool(json, "raw", report->is_raw);
    lum__json_u64(json, "elapsed_nanoseconds", report->elapsed_ns);
}

static void tell(const char *path, const char *destination, const lum_backup_report *report)
{
    const char *seconds = lum__human_seconds(report->elapsed_ns), *copied = lum__human_bytes(report->bytes_copied),
               *shared = lum__human_bytes(report->bytes_shared);
    if (report->is_raw) {
        lum__message_note("%s: %s as they are, %s copied, %s shared, in %s to %s", path,
                          lum__human_number_of(report->file_count, "file"), copied, shared, seconds, destination);
        return;
    }
    lum__message_note("%s: %s in %s up to sequence %s, %s copied, %s shared, read back and intact, in %s to %s", path,
                      lum__human_number_of(report->lum_count, "row"),
                      lum__human_number_of(report->transaction_count, "transaction"),
                      lum__human_count(report->last_sequence), copied, shared, seconds, destination);
}

/* Bytes that the disk would not give are damage, in the copy as in the store. */
static int judge(const char *path, const lum_backup_report *report)
{
    if (report->bytes_unreadable == 0) return 0;
    return lum__message_refuse(LUM__EXIT_DAMAGE, "ERR_CORRUPT", path, "lum salvage saves what is intact",
                               "%s bytes of %s could not be read and are zeros in the copy",
                               lum__human_count(report->bytes_unreadable), path);
}

static int run(const struct lum__arguments *arguments)
{
    const char *path = arguments->positional[0], *destination = arguments->positional[1];
    struct lum__result result;
    if (!lum__result_begin(&result, arguments)) return LUM__EXIT_IO;
    lum_backup_options options = LUM_BACKUP_OPTIONS_INIT;
    options.raw = arguments->raw;
    options.threads = (uint32_t)arguments->threads;
    options.on_progress = on_progress;
    lum_backup_report report = LUM_BACKUP_REPORT_INIT;
    lum__signals_catch_interrupts();
    lum__progress_begin("backup", LUM_ROWS_UNKNOWN);
    lum_status status = lum_backup(path, destination, &options, &report);
    lum__progress_end();
    int exit_code = status == LUM_OK ? judge(path, &report) : 0;
    if (status == LUM_ERR_CANCELLED)
        exit_code = lum__message_refuse(LUM__EXIT_INTERRUPTED, "ERR_CANCELLED", NULL, "run it again",
                                        "interrupted: nothing is left in %s", destination);
    else if (status == LUM_ERR_EXISTS || status == LUM_ERR_NO_SPACE)
        exit_code = lum__message_store(status, destination);
    else if (status != LUM_OK)
        exit_code = lum__message_store(status, path);
    write_json(&result.json, &report);
    if (status == LUM_OK) tell(path, destination, &report);
    return lum__result_end(&result, exit_code);
}

const struct lum__command lum__command_backup = {
    .name = "backup",
    .positional_help = "STORE DEST",
    .positional_min = 2,
    .positional_max = 2,
    .tables = tables,
    .run = run,
    .summary = "copy a store, also while it is written to",
    .details =
        "DEST is a new or an empty directory. It gets all that is committed at one moment, as a store that was\n"
        "closed cleanly, and becomes a store only after every byte was read back. A crashed store is copied as\n"
        "recovery would leave it. The copy is the same store at an earlier moment: it has the same id, and files\n"
        "of the two must not be mixed.\n",
    .examples = "  lum backup cities.lum /backup/cities-2026-01-31.lum\n"
                "  lum backup cities.lum /backup/for-the-bug-report --raw\n"};
