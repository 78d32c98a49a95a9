/* lum get - the newest version of one id. */
#include <inttypes.h>

#include "cli/commands.h"
#include "cli/message.h"
#include "cli/open_store.h"
#include "cli/result.h"
#include "formats/field.h"
#include "formats/number.h"

#include <string.h>

static const struct lum__option *const tables[] = {lum__options_common, NULL};

static uint64_t field_value(const lum_t *row, enum lum__field field)
{
    switch (field) {
    case LUM__FIELD_ID: return row->id;
    case LUM__FIELD_PRESENCE: return row->presence;
    case LUM__FIELD_POSITION_X: return (uint64_t)row->position_x;
    case LUM__FIELD_POSITION_Y: return (uint64_t)row->position_y;
    case LUM__FIELD_STRUCTURE_TYPE: return row->structure_type;
    case LUM__FIELD_TIMESTAMP: return row->timestamp;
    case LUM__FIELD_MEMORY_ADDRESS: return row->memory_address;
    case LUM__FIELD_IS_DESTROYED: return row->is_destroyed;
    default: return row->checksum;
    }
}

static void tell(struct lum__json *json, bool is_json, const lum_t *row)
{
    for (int i = 0; i < LUM__FIELD_COUNT; i++) {
        enum lum__field field = (enum lum__field)i;
        uint64_t value = field_value(row, field);
        bool is_signed = field == LUM__FIELD_POSITION_X || field == LUM__FIELD_POSITION_Y;
        if (is_signed)
            lum__json_i64(json, lum__field_name(field), (int64_t)value);
        else
            lum__json_u64(json, lum__field_name(field), value);
        if (is_json) continue;
        if (is_signed)
            printf("%-15s %" PRId64 "\n", lum__field_name(field), (int64_t)value);
        else if (field == LUM__FIELD_STRUCTURE_TYPE)
            printf("%-15s %" PRIu64 " (%s)\n", lum__field_name(field), value,
                   lum__structure_type_name((unsigned)value));
        else
            printf("%-15s %" PRIu64 "\n", lum__field_name(field), value);
    }
}

static int run(const struct lum__arguments *arguments)
{
    const char *path = arguments->positional[0], *id_text = arguments->positional[1];
    struct lum__result result;
    if (!lum__result_begin(&result, arguments)) return LUM__EXIT_IO;
    uint64_t id;
    int exit_code = 0;
    if (lum__parse_u64(id_text, strlen(id_text), &id, NULL) != LUM__NUMBER_OK) {
        exit_code = lum__message_usage(NULL, "\"%s\" is not an id: a number from 0 to 18446744073709551615", id_text);
        return lum__result_end(&result, exit_code);
    }
    lum_options options = lum__open_options(arguments, LUM__OPEN_READ);
    lum_store *store = NULL;
    lum_t row;
    exit_code = lum__open_store(path, &options, &store);
    if (exit_code == 0) {
        lum_status status = lum_get(store, id, &row);
        if (status == LUM_OK)
            tell(&result.json, arguments->json, &row);
        else if (status == LUM_ERR_NOT_FOUND)
            exit_code =
                lum__message_refuse(LUM__EXIT_NOT_FOUND, "ERR_NOT_FOUND", path, NULL, "no LUM has the id %" PRIu64, id);
        else
            exit_code = lum__message_store(status, path);
        exit_code = lum__close_store(store, path, exit_code);
    }
    return lum__result_end(&result, exit_code);
}

const struct lum__command lum__command_get = {
    .name = "get",
    .positional_help = "STORE ID",
    .positional_min = 2,
    .positional_max = 2,
    .tables = tables,
    .run = run,
    .summary = "print the newest version of one id",
    .examples = "  lum get cities.lum 2988507\n  lum get cities.lum 2988507 --json\n"};
