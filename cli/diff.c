/* lum diff - do two stores hold the same rows? Whatever their order, chunks and transactions. */
#include <inttypes.h>

#include "cli/commands.h"
#include "cli/message.h"
#include "cli/open_store.h"
#include "cli/result.h"

static const struct lum__option *const tables[] = {lum__options_reader, lum__options_common, NULL};

static int read_content(const struct lum__arguments *arguments, const char *path, lum_content_data *out)
{
    lum_options options = lum__open_options(arguments, LUM__OPEN_READ);
    lum_store *store = NULL;
    int exit_code = lum__open_store(path, &options, &store);
    if (exit_code != 0) return exit_code;
    lum_status status = lum_content(store, out);
    if (status != LUM_OK) exit_code = lum__message_store(status, path);
    return lum__close_store(store, path, exit_code);
}

static void tell(struct lum__json *json, bool is_json, const char *name, const char *path,
                 const lum_content_data *content)
{
    char digest[40];
    snprintf(digest, sizeof digest, "%016" PRIx64 "%016" PRIx64, content->digest[0], content->digest[1]);
    lum__json_begin_object(json, name);
    lum__json_string(json, "store", path);
    lum__json_u64(json, "lums", content->lum_count);
    lum__json_u64(json, "tombstones", content->tombstone_count);
    lum__json_string(json, "content_digest", digest);
    lum__json_end_object(json);
    if (!is_json)
        printf("%s  %15s LUMs  %12s of them destroyed  %s\n", digest, lum__human_count(content->lum_count),
               lum__human_count(content->tombstone_count), path);
}

static int run(const struct lum__arguments *arguments)
{
    struct lum__result result;
    lum_content_data contents[2] = {LUM_CONTENT_INIT, LUM_CONTENT_INIT};
    if (!lum__result_begin(&result, arguments)) return LUM__EXIT_IO;
    int exit_code = read_content(arguments, arguments->positional[0], &contents[0]);
    if (exit_code == 0) exit_code = read_content(arguments, arguments->positional[1], &contents[1]);
    if (exit_code == 0) {
        const lum_content_data *a = &contents[0], *b = &contents[1];
        bool is_equal = a->lum_count == b->lum_count && a->tombstone_count == b->tombstone_count &&
                        a->digest[0] == b->digest[0] && a->digest[1] == b->digest[1];
        lum__json_bool(&result.json, "equal", is_equal);
        tell(&result.json, arguments->json, "a", arguments->positional[0], a);
        tell(&result.json, arguments->json, "b", arguments->positional[1], b);
        if (!arguments->json) printf("%s\n", is_equal ? "equal" : "different");
        if (!is_equal) exit_code = LUM__EXIT_NOT_FOUND;
    }
    return lum__result_end(&result, exit_code);
}

const struct lum__command lum__command_diff = {
    .name = "diff",
    .positional_help = "STORE STORE",
    .positional_min = 2,
    .positional_max = 2,
    .tables = tables,
    .run = run,
    .summary = "tell whether two stores hold the same rows",
    .details = "Every row of both is read and checked. Equal: the same rows, each as often, every version and "
               "tombstone, in any\n"
               "order and in any chunks and transactions. Exit code 0: equal; 8: different, what one holds was not "
               "found in the\n"
               "other; 1 is for what failed.\n",
    .examples = "  lum diff cities.lum backup/cities.lum\n  lum diff a.lum b.lum --json\n"};
