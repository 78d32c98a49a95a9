/* lum get - the newest version of one id. */
#include <inttypes.h>

#include "cli/commands.h"
#include "cli/message.h"
#include "cli/open_store.h"
#include "cli/result.h"
#include "formats/field_text.h"
#include "formats/number.h"

#include <string.h>

static const struct lum__option *const tables[] = {lum__options_common, NULL};

static void tell(struct lum__json *json, bool is_json, const lum_t *row)
{
    for (int i = 0; i < LUM__FIELD_COUNT; i++) {
        enum lum__field field = (enum lum__field)i;
        uint64_t value = lum__field_value(row, field);
        if (lum__field_is_signed(field))
            lum__json_i64(json, lum__field_name(field), (int64_t)value);
        else
            lum__json_u64(json, lum__field_name(field), value);
        if (is_json) continue;
        char text[LUM__FIELD_TEXT_BYTES_MAX + LUM__FIELD_TEXT_SLACK];
        int length = (int)(lum__field_text(text, row, field) - text);
        printf("%-15s %.*s", lum__field_name(field), length, text);
        if (field == LUM__FIELD_STRUCTURE_TYPE) printf(" (%s)", lum__structure_type_name((unsigned)value));
        putchar('\n');
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
