/* lum recover - makes a store that was not closed cleanly whole again, and tells what was done. */
#include <inttypes.h>

#include "cli/commands.h"
#include "cli/guide.h"
#include "cli/message.h"
#include "cli/open_store.h"
#include "cli/result.h"
#include "cli/signals.h"

static const struct lum__option own_options[] = {
    {.name = "dry-run",
     .kind = LUM__OPTION_FLAG,
     .offset = offsetof(struct lum__arguments, dry_run),
     .help = "change nothing, tell what would be done"},
    {.name = "guided",
     .kind = LUM__OPTION_FLAG,
     .offset = offsetof(struct lum__arguments, guided),
     .help = "where recovery refuses: show what was found and what can be done, and ask"},
    {.name = "choose",
     .kind = LUM__OPTION_STRING,
     .offset = offsetof(struct lum__arguments, choose),
     .argument = "NAME",
     .help = "the answer, for scripts: the name, letter or number of a choice; as --guided"},
    {.name = "backup-dir",
     .kind = LUM__OPTION_STRING,
     .offset = offsetof(struct lum__arguments, backup_dir),
     .argument = "DIR",
     .help = "where the original bytes are copied to before a choice is carried out; default STORE/emergency/TIME"},
    {0}};
static const struct lum__option *const tables[] = {own_options, lum__options_writer, lum__options_common, NULL};

static void write_json(struct lum__json *json, const lum_recovery_data *data)
{
    lum__json_string(json, "state", lum_store_state_name(data->state));
    lum__json_bool(json, "crash_detected", data->crash_detected);
    lum__json_u64(json, "attempts", data->attempts);
    lum__json_u64(json, "max_recovery_attempts", data->max_recovery_attempts);
    lum__json_bool(json, "auto_recovery_enabled", data->auto_recovery_enabled);
    lum__json_u64(json, "crash_timestamp", data->crash_timestamp);
    lum__json_u64(json, "recovery_timestamp", data->recovery_timestamp);
    lum__json_u64(json, "last_checkpoint_sequence", data->last_checkpoint_sequence);
    lum__json_u64(json, "last_sequence", data->last_sequence);
    lum__json_u64(json, "wal_records_replayed", data->wal_records_replayed);
    lum__json_u64(json, "transactions_committed", data->transactions_committed);
    lum__json_u64(json, "transactions_rolled_back", data->transactions_rolled_back);
    lum__json_u64(json, "chunks_verified", data->chunks_verified);
    lum__json_u64(json, "lums_verified", data->lums_verified);
    lum__json_u64(json, "tail_bytes_cut", data->tail_bytes_cut);
    lum__json_bool(json, "unproven_tail", data->unproven_tail);
    lum__json_u64(json, "recovery_time_nanoseconds", data->recovery_time_ns);
    char verdict[2] = {data->verdict, 0};
    lum__json_string(json, "verdict", verdict);
    lum__json_string(json, "error_details", data->error_details);
    lum__json_string(json, "wal_path", data->wal_path);
    lum__json_string(json, "data_path", data->data_path);
}

static lum_status entry_to_json(void *context, const lum_recovery_entry *entry)
{
    struct lum__json *json = context;
    char verdict[2] = {entry->verdict, 0};
    lum__json_begin_object(json, NULL);
    lum__json_u64(json, "recovery_timestamp", entry->recovery_timestamp);
    lum__json_u64(json, "crash_timestamp", entry->crash_timestamp);
    lum__json_u64(json, "recovery_time_nanoseconds", entry->recovery_time_ns);
    lum__json_u64(json, "last_sequence", entry->last_sequence);
    lum__json_u64(json, "transactions_committed", entry->transactions_committed);
    lum__json_u64(json, "transactions_rolled_back", entry->transactions_rolled_back);
    lum__json_u64(json, "tail_bytes_cut", entry->tail_bytes_cut);
    lum__json_u64(json, "attempts", entry->attempts);
    lum__json_string(json, "verdict", verdict);
    lum__json_string(json, "choice", entry->choice);
    lum__json_bool(json, "succeeded", entry->succeeded);
    lum__json_end_object(json);
    return LUM_OK;
}

/* The last recoveries, newest first; none where STATE cannot be read, which is told already. */
static void write_history(struct lum__json *json, const char *path)
{
    lum__json_begin_array(json, "history");
    lum_status status = lum_recovery_history(path, entry_to_json, json);
    (void)status;
    lum__json_end_array(json);
}

static void tell(const char *path, const lum_recovery_data *data, bool dry_run)
{
    if (!data->crash_detected) {
        printf("%s was closed cleanly: nothing to recover\n", path);
        return;
    }
    printf("state                     %s\n", lum_store_state_name(data->state));
    printf("last checkpoint           sequence %" PRIu64 "\n", data->last_checkpoint_sequence);
    printf("log records replayed      %s\n", lum__human_count(data->wal_records_replayed));
    printf("transactions committed    %s\n", lum__human_count(data->transactions_committed));
    printf("transactions rolled back  %s\n", lum__human_count(data->transactions_rolled_back));
    printf("chunks verified           %s (%s rows)\n", lum__human_count(data->chunks_verified),
           lum__human_count(data->lums_verified));
    printf("log tail cut              %s bytes%s\n", lum__human_count(data->tail_bytes_cut),
           data->unproven_tail ? " (unproven)" : "");
    if (data->error_details[0]) printf("details                   %s\n", data->error_details);
    printf("%s: %s in %s, durable at sequence %" PRIu64 "\n", path, dry_run ? "dry run, nothing changed," : "recovered",
           lum__human_seconds(data->recovery_time_ns), data->last_sequence);
}

/* Where recovery refuses. */
static int run_guided(const struct lum__arguments *arguments, struct lum__result *result, lum_recovery_data *data)
{
    const char *path = arguments->positional[0];
    lum_options options = lum__open_options(arguments, LUM__OPEN_WRITE);
    struct lum__guide_talk talk = {.arguments = arguments, .json = &result->json};
    lum_guide guide = LUM_GUIDE_INIT;
    lum_guide_report report = LUM_GUIDE_REPORT_INIT;
    guide.choose = lum__guide_choose;
    guide.context = &talk;
    guide.dry_run = arguments->dry_run;
    guide.backup_directory = arguments->backup_dir;
    lum_status status = lum_recover_guided(path, &options, &guide, &report);
    *data = report.recovery;
    lum__json_string(&result->json, "choice", report.choice[0] ? report.choice : NULL);
    lum__json_string(&result->json, "emergency_backup", report.backup_path[0] ? report.backup_path : NULL);
    lum__json_u64(&result->json, "emergency_backup_bytes", report.backup_bytes);
    if (talk.is_unknown) return LUM__EXIT_USAGE;
    bool is_only_shown = status == LUM_ERR_NEEDS_PERSON && talk.is_asked && arguments->dry_run && !arguments->choose;
    if (status != LUM_OK && !is_only_shown) return lum__message_store(status, path);
    if (report.backup_path[0])
        lum__message_note("the original bytes are in %s (%s)", report.backup_path, lum__human_bytes(report.backup_bytes));
    if (!arguments->json && !arguments->quiet && !arguments->dry_run) tell(path, data, false);
    if (!arguments->json && !arguments->quiet && arguments->dry_run)
        printf("%s: dry run, nothing changed%s%s\n", path, report.choice[0] ? "; it would " : talk.is_asked ? "" : ": nothing to choose",
               report.choice);
    return 0;
}

static int run(const struct lum__arguments *arguments)
{
    struct lum__result result;
    if (!lum__result_begin(&result, arguments)) return LUM__EXIT_IO;
    if (arguments->guided || arguments->choose) {
        lum_recovery_data guided = LUM_RECOVERY_INIT;
        int code = run_guided(arguments, &result, &guided);
        write_json(&result.json, &guided);
        write_history(&result.json, arguments->positional[0]);
        lum__json_bool(&result.json, "dry_run", arguments->dry_run);
        return lum__result_end(&result, code);
    }
    lum_options options = lum__open_options(arguments, LUM__OPEN_WRITE);
    lum_recovery_data data = LUM_RECOVERY_INIT;
    lum__signals_catch_interrupts(); /* a recovery that is killed costs an attempt: what is begun is finished */
    lum_status status = lum_recover(arguments->positional[0], &options, arguments->dry_run, &data);
    int exit_code = status == LUM_OK ? 0 : lum__message_store(status, arguments->positional[0]);
    write_json(&result.json, &data);
    write_history(&result.json, arguments->positional[0]);
    lum__json_bool(&result.json, "dry_run", arguments->dry_run);
    if (!arguments->json && !arguments->quiet && status == LUM_OK)
        tell(arguments->positional[0], &data, arguments->dry_run);
    return lum__result_end(&result, exit_code);
}

const struct lum__command lum__command_recover = {
    .name = "recover",
    .positional_help = "STORE",
    .positional_min = 1,
    .positional_max = 1,
    .tables = tables,
    .run = run,
    .summary = "recover a store after a crash and tell what was done",
    .details = "Every command that writes recovers by itself; this one does nothing else. Where durable data is lost, recovery\n"
               "refuses (exit code 5): --guided shows what each way out keeps and loses, copies all original bytes to a\n"
               "safe place, and does what was chosen.\n",
    .examples = "  lum recover cities.lum --dry-run\n  lum recover cities.lum --guided\n"
                "  lum recover cities.lum --choose keep --backup-dir /backup/cities-as-it-was\n  lum recover cities.lum --json\n"};
