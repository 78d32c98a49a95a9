/* lum wal - the log, a line a record. */
#include <inttypes.h>

#include "cli/commands.h"
#include "cli/message.h"
#include "cli/result.h"

static const struct lum__option *const tables[] = {lum__options_common, NULL};

static void write_json(struct lum__json *json, const lum_wal_record *record)
{
    lum__json_begin_object(json, NULL);
    lum__json_u64(json, "sequence", record->sequence);
    lum__json_string(json, "type", record->type);
    lum__json_u64(json, "transaction_id", record->transaction_id);
    lum__json_u64(json, "timestamp", record->timestamp);
    lum__json_u64(json, "count", record->count);
    lum__json_u64(json, "watermark", record->watermark);
    lum__json_u64(json, "payload_bytes", record->payload_bytes);
    lum__json_string(json, "file", record->file);
    lum__json_u64(json, "offset", record->offset);
    lum__json_end_object(json);
    fputc('\n', json->out);
}

static void print_line(const lum_wal_record *record)
{
    char when[40];
    lum__human_time(record->timestamp, when);
    printf("%12" PRIu64 "  %-10s  transaction %-16" PRIu64 "  count %-12" PRIu64 "  watermark %-12" PRIu64
           "  payload %-10" PRIu32 "  %s  %s@%" PRIu64 "\n",
           record->sequence, record->type, record->transaction_id, record->count, record->watermark,
           record->payload_bytes, when, record->file, record->offset);
}

/* The object is written as the log is read: it may be long. */
static int run(const struct lum__arguments *arguments)
{
    struct lum__json json = {.out = stdout};
    lum_wal *wal = NULL;
    uint64_t record_count = 0;
    if (arguments->json) {
        lum__json_begin_object(&json, NULL);
        lum__json_u64(&json, "schema_version", 1);
        lum__json_begin_array(&json, "records");
    }
    lum_status status = lum_wal_open(arguments->positional[0], &wal);
    while (status == LUM_OK) {
        lum_wal_record record;
        status = lum_wal_next(wal, &record);
        if (status != LUM_OK) break;
        record_count++;
        if (arguments->json)
            write_json(&json, &record);
        else
            print_line(&record);
    }
    int exit_code = status == LUM_END ? 0 : lum__message_store(status, arguments->positional[0]);
    if (wal) lum_wal_close(wal);
    if (arguments->json) {
        lum__json_end_array(&json);
        lum__json_u64(&json, "record_count", record_count);
        lum__result_write_ending(&json, exit_code);
        lum__json_end_object(&json);
        fputc('\n', stdout);
    }
    int output_code = lum__result_flush_stdout();
    if (exit_code == 0) exit_code = output_code;
    if (exit_code == 0 && !arguments->json)
        lum__message_note("%s: %s", arguments->positional[0], lum__human_number_of(record_count, "log record"));
    return exit_code;
}

const struct lum__command lum__command_wal = {.name = "wal",
                                              .positional_help = "STORE",
                                              .positional_min = 1,
                                              .positional_max = 1,
                                              .tables = tables,
                                              .run = run,
                                              .summary = "print the log, a line a record",
                                              .examples = "  lum wal cities.lum | tail\n  lum wal cities.lum --json\n"};
