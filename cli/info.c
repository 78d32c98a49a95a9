/* lum info - what is in a store. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/message.h"
#include "cli/open_store.h"
#include "cli/result.h"

static const struct lum__option *const tables[] = {lum__options_common, NULL};

struct labels {
    char **items;
    size_t count, room;
};

/* Commits of one load follow each other: only the first of a run of equal labels is kept, sorting finds the rest. */
static lum_status collect_label(void *context, const lum_transaction_data *transaction)
{
    struct labels *labels = context;
    if (!transaction->label[0]) return LUM_OK;
    if (labels->count && strcmp(labels->items[labels->count - 1], transaction->label) == 0) return LUM_OK;
    if (labels->count == labels->room) {
        size_t room = labels->room ? 2 * labels->room : 16;
        char **items = realloc(labels->items, room * sizeof *items);
        if (!items) return LUM_ERR_NO_MEMORY;
        labels->items = items;
        labels->room = room;
    }
    labels->items[labels->count] = strdup(transaction->label);
    if (!labels->items[labels->count]) return LUM_ERR_NO_MEMORY;
    labels->count++;
    return LUM_OK;
}

static int compare_labels(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void tell_labels(struct lum__json *json, struct labels *labels, bool is_json)
{
    if (labels->count) qsort(labels->items, labels->count, sizeof *labels->items, compare_labels);
    lum__json_begin_array(json, "labels");
    for (size_t i = 0; i < labels->count; i++) {
        if (i > 0 && strcmp(labels->items[i], labels->items[i - 1]) == 0) continue;
        lum__json_string(json, NULL, labels->items[i]);
        if (!is_json) printf("%-20s %s\n", i == 0 ? "labels" : "", labels->items[i]);
    }
    lum__json_end_array(json);
}

static void tell_number(struct lum__json *json, bool is_json, const char *name, uint64_t value, const char *human)
{
    lum__json_u64(json, name, value);
    if (!is_json) printf("%-20s %s\n", name, human ? human : lum__human_count(value));
}

static void tell(struct lum__json *json, bool is_json, const lum_info_data *info)
{
    char id[40], bytes[96], digest[16];
    const uint8_t *b = info->store_id;
    snprintf(id, sizeof id, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2],
             b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
    snprintf(bytes, sizeof bytes, "%s (%s, %.2f a row)", lum__human_count(info->bytes_on_disk),
             lum__human_bytes(info->bytes_on_disk),
             info->lum_count ? (double)info->bytes_on_disk / (double)info->lum_count : 0.0);
    snprintf(digest, sizeof digest, "%08" PRIx32, info->digest);
    const char *state = lum_store_state_name(info->state);
    lum__json_string(json, "store_id", id);
    lum__json_string(json, "state", state);
    lum__json_bool(json, "needs_recovery", info->needs_recovery);
    if (!is_json)
        printf("%-20s %s\n%-20s %s%s\n", "store_id", id, "state", state,
               info->needs_recovery ? " (needs recovery)" : "");
    tell_number(json, is_json, "format_version", info->format_version, NULL);
    tell_number(json, is_json, "lums", info->lum_count, NULL);
    tell_number(json, is_json, "chunks", info->chunk_count, NULL);
    tell_number(json, is_json, "transactions", info->transaction_count, NULL);
    tell_number(json, is_json, "bytes_on_disk", info->bytes_on_disk, bytes);
    tell_number(json, is_json, "data_bytes", info->data_bytes, NULL);
    tell_number(json, is_json, "last_sequence", info->last_sequence, NULL);
    tell_number(json, is_json, "durable_sequence", info->durable_sequence, NULL);
    tell_number(json, is_json, "checkpoint_sequence", info->checkpoint_sequence, NULL);
    tell_number(json, is_json, "digest", info->digest, digest);
}

static int run(const struct lum__arguments *arguments)
{
    struct lum__result result;
    if (!lum__result_begin(&result, arguments)) return LUM__EXIT_IO;
    lum_options options = lum__open_options(arguments, LUM__OPEN_READ);
    lum_store *store = NULL;
    struct labels labels = {0};
    lum_info_data info = LUM_INFO_INIT;
    int exit_code = lum__open_store(arguments->positional[0], &options, &store);
    if (exit_code == 0) {
        lum_status status = lum_info(store, &info);
        if (status == LUM_OK) {
            tell(&result.json, arguments->json, &info);
            status = lum_transactions(store, collect_label, &labels);
            tell_labels(&result.json, &labels, arguments->json);
        }
        if (status != LUM_OK) exit_code = lum__message_store(status, arguments->positional[0]);
        exit_code = lum__close_store(store, arguments->positional[0], exit_code);
    }
    for (size_t i = 0; i < labels.count; i++) free(labels.items[i]);
    free(labels.items);
    return lum__result_end(&result, exit_code);
}

const struct lum__command lum__command_info = {
    .name = "info",
    .positional_help = "STORE",
    .positional_min = 1,
    .positional_max = 1,
    .tables = tables,
    .run = run,
    .summary = "tell what is in a store",
    .examples = "  lum info cities.lum\n  lum info cities.lum --json | python3 -m json.tool\n"};
