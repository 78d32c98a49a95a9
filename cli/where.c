/* lum where - every version of one id, and where it lies. */
#include <inttypes.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/message.h"
#include "cli/open_store.h"
#include "cli/result.h"
#include "formats/field_text.h"
#include "formats/number.h"

static const struct lum__option *const tables[] = {lum__options_reader, lum__options_common, NULL};

struct telling {
    struct lum__json *json;
    bool is_json;
    uint64_t version_count;
};

static void write_record(struct lum__json *json, const lum_t *row)
{
    lum__json_begin_object(json, "record");
    for (int i = 0; i < LUM__FIELD_COUNT; i++) {
        enum lum__field field = (enum lum__field)i;
        uint64_t value = lum__field_value(row, field);
        if (lum__field_is_signed(field))
            lum__json_i64(json, lum__field_name(field), (int64_t)value);
        else
            lum__json_u64(json, lum__field_name(field), value);
    }
    lum__json_end_object(json);
}

static lum_status tell(void *context, const lum_version_data *version)
{
    struct telling *telling = context;
    struct lum__json *json = telling->json;
    lum__json_begin_object(json, NULL);
    lum__json_string(json, "file", version->file);
    lum__json_u64(json, "chunk_offset", version->chunk_offset);
    lum__json_u64(json, "page_offset", version->page_offset);
    lum__json_u64(json, "row", version->row);
    lum__json_u64(json, "position", version->position);
    lum__json_u64(json, "transaction_id", version->transaction_id);
    lum__json_u64(json, "commit_sequence", version->commit_sequence);
    lum__json_bool(json, "is_destroyed", version->record.is_destroyed != 0);
    write_record(json, &version->record);
    lum__json_end_object(json);
    telling->version_count++;
    if (!telling->is_json)
        printf("%s@%" PRIu64 "  page @%" PRIu64 "  row %" PRIu64 "  transaction %" PRIu64 "  sequence %" PRIu64
               "  x %" PRId32 "  y %" PRId32 "  timestamp %" PRIu64 "%s\n",
               version->file, version->chunk_offset, version->page_offset, version->row, version->transaction_id,
               version->commit_sequence, version->record.position_x, version->record.position_y,
               version->record.timestamp, version->record.is_destroyed ? "  destroyed" : "");
    return LUM_OK;
}

static int run(const struct lum__arguments *arguments)
{
    const char *path = arguments->positional[0], *id_text = arguments->positional[1];
    struct lum__result result;
    uint64_t id;
    if (!lum__result_begin(&result, arguments)) return LUM__EXIT_IO;
    if (lum__parse_u64(id_text, strlen(id_text), &id, NULL) != LUM__NUMBER_OK) {
        int exit_code =
            lum__message_usage(NULL, "\"%s\" is not an id: a number from 0 to 18446744073709551615", id_text);
        return lum__result_end(&result, exit_code);
    }
    lum_options options = lum__open_options(arguments, LUM__OPEN_READ);
    lum_store *store = NULL;
    int exit_code = lum__open_store(path, &options, &store);
    if (exit_code == 0) {
        struct telling telling = {.json = &result.json, .is_json = arguments->json};
        lum__json_u64(&result.json, "id", id);
        lum__json_begin_array(&result.json, "versions");
        lum_status status = lum_where(store, id, tell, &telling);
        lum__json_end_array(&result.json);
        lum__json_u64(&result.json, "version_count", telling.version_count);
        if (status == LUM_ERR_NOT_FOUND)
            exit_code =
                lum__message_refuse(LUM__EXIT_NOT_FOUND, "ERR_NOT_FOUND", path, NULL, "no LUM has the id %" PRIu64, id);
        else if (status != LUM_OK)
            exit_code = lum__message_store(status, path);
        exit_code = lum__close_store(store, path, exit_code);
    }
    return lum__result_end(&result, exit_code);
}

const struct lum__command lum__command_where = {
    .name = "where",
    .positional_help = "STORE ID",
    .positional_min = 2,
    .positional_max = 2,
    .tables = tables,
    .run = run,
    .summary = "tell where every version of one id lies",
    .details = "A line a version, the oldest first, tombstones too: file@offset of its chunk (or of its log record, "
               "where it is not\n"
               "in a chunk yet), offset of its page in the file, row in the chunk, transaction and commit sequence. "
               "`lum get` prints\n"
               "the newest version.\n",
    .examples = "  lum where cities.lum 2988507\n  lum where cities.lum 2988507 --json\n"};
