/* lum recover - makes a store that was not closed cleanly whole again, and tells what was done. */
#include <inttypes.h>

#include "cli/commands.h"
#include "cli/message.h"
#include "cli/open_store.h"
#include "cli/result.h"
#include "cli/signals.h"

static const struct lum__option own_options[] = {{.name = "dry-run",
                                                  .kind = LUM__OPTION_FLAG,
                                                  .offset = offsetof(struct lum__arguments, dry_run),
                                                  .help = "change nothing, tell what would be done"},
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

static int run(const struct lum__arguments *arguments)
{
    struct lum__result result;
    if (!lum__result_begin(&result, arguments)) return LUM__EXIT_IO;
    lum_options options = lum__open_options(arguments, LUM__OPEN_WRITE);
    lum_recovery_data data = LUM_RECOVERY_INIT;
    lum__signals_catch_interrupts(); /* a recovery that is killed costs an attempt: what is begun is finished */
    lum_status status = lum_recover(arguments->positional[0], &options, arguments->dry_run, &data);
    int exit_code = status == LUM_OK ? 0 : lum__message_store(status, arguments->positional[0]);
    write_json(&result.json, &data);
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
    .details = "Every command that writes recovers by itself; this one does nothing else.\n",
    .examples = "  lum recover cities.lum --dry-run\n  lum recover cities.lum --json\n"};
