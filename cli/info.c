/* lum info - what is in a store. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/commands.h"
#include "cli/message.h"
#include "cli/open_store.h"
#include "cli/result.h"
#include "cli/text.h"

static const struct lum__option own_options[] = {
    {.name = "columns",
     .kind = LUM__OPTION_FLAG,
     .offset = offsetof(struct lum__arguments, column_details),
     .help = "how each column is stored: encodings, bytes, smallest and largest value; reads and checks every page"},
    {0}};
static const struct lum__option *const tables[] = {own_options, lum__options_reader, lum__options_common, NULL};

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
        if (is_json) continue;
        printf("%-20s ", i == 0 ? "labels" : "");
        lum__text_put(stdout, labels->items[i]);
        putchar('\n');
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
    lum__human_store_id(info->store_id, id);
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

/* Who has the store open for reading, this command not counted; the kernel tells. -1: it does not. */
static int count_readers(const char *path)
{
    char lock_path[4096], line[256];
    struct stat lock;
    FILE *file = fopen("/proc/locks", "r");
    int count = -1; /* itself */
    snprintf(lock_path, sizeof lock_path, "%s/LOCK", path);
    if (!file || stat(lock_path, &lock) != 0) {
        if (file) fclose(file);
        return -1;
    }
    while (fgets(line, sizeof line, file)) {
        char kind[16], access[16];
        unsigned long long inode;
        long long first;
        /* 5: OFDLCK ADVISORY  READ -1 08:01:263 1 1: byte 1 of LOCK, shared */
        if (sscanf(line, "%*d: %15s %*s %15s %*d %*x:%*x:%llu %lld", kind, access, &inode, &first) != 4) continue;
        if (strcmp(kind, "OFDLCK") == 0 && strcmp(access, "READ") == 0 && inode == lock.st_ino && first == 1) count++;
    }
    fclose(file);
    return count;
}

static void tell_held(struct lum__json *json, bool is_json, const char *path, const lum_info_data *info)
{
    int readers = count_readers(path);
    if (readers >= 0) lum__json_u64(json, "readers", (uint64_t)readers);
    else lum__json_null(json, "readers");
    lum__json_u64(json, "held_bytes", info->held_bytes);
    lum__json_u64(json, "held_since_checkpoint", info->held_since_checkpoint);
    lum__json_u64(json, "held_since_timestamp", info->held_since_timestamp);
    if (is_json || info->held_bytes == 0) return;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    uint64_t age_ns = now_ns > info->held_since_timestamp ? now_ns - info->held_since_timestamp : 0;
    printf("%-20s %s of log and checkpoints since checkpoint %s, which is %s old", "held_back", lum__human_bytes(info->held_bytes),
           lum__human_count(info->held_since_checkpoint), lum__human_seconds(age_ns));
    if (readers > 0) printf(", for %s", lum__human_number_of((uint64_t)readers, "reader"));
    else if (readers == 0) printf("; no reader is left, the next checkpoint gives it back");
    putchar('\n');
}

/* ------------------------------------------------------------------------------------------------- columns */

static void write_column(struct lum__json *json, const lum_column_data *column, bool has_rows)
{
    lum__json_begin_object(json, NULL);
    lum__json_string(json, "name", column->name);
    lum__json_u64(json, "bytes", column->byte_count);
    lum__json_u64(json, "lums_in_pages", column->row_count);
    if (!has_rows) {
        lum__json_null(json, "min");
        lum__json_null(json, "max");
    } else if (column->is_signed) {
        lum__json_i64(json, "min", (int64_t)column->value_min);
        lum__json_i64(json, "max", (int64_t)column->value_max);
    } else {
        lum__json_u64(json, "min", column->value_min);
        lum__json_u64(json, "max", column->value_max);
    }
    lum__json_begin_array(json, "encodings");
    for (int i = 0; i < LUM_ENCODINGS_MAX; i++) {
        if (column->encodings[i].page_count == 0) continue;
        lum__json_begin_object(json, NULL);
        lum__json_string(json, "name", column->encodings[i].name);
        lum__json_u64(json, "pages", column->encodings[i].page_count);
        lum__json_u64(json, "bytes", column->encodings[i].byte_count);
        lum__json_end_object(json);
    }
    lum__json_end_array(json);
    lum__json_end_object(json);
}

static void print_column(const lum_column_data *column, bool has_rows)
{
    char value_min[32] = "-", value_max[32] = "-";
    if (has_rows) {
        const char *format = column->is_signed ? "%" PRId64 : "%" PRIu64;
        snprintf(value_min, sizeof value_min, format, column->value_min);
        snprintf(value_max, sizeof value_max, format, column->value_max);
    }
    printf("%-15s %15s %7.3f  %20s  %20s ", column->name, lum__human_count(column->byte_count),
           column->row_count ? (double)column->byte_count / (double)column->row_count : 0.0, value_min, value_max);
    for (int i = 0; i < LUM_ENCODINGS_MAX; i++) {
        if (column->encodings[i].page_count == 0) continue;
        printf(" %s %s", column->encodings[i].name, lum__human_count(column->encodings[i].page_count));
    }
    putchar('\n');
}

static lum_status tell_columns(lum_store *store, struct lum__json *json, bool is_json, bool has_rows)
{
    lum_column_data columns[LUM_COLUMN_COUNT];
    lum_status status = lum_column_info(store, columns);
    if (status != LUM_OK) return status;
    lum__json_begin_array(json, "columns");
    if (!is_json)
        printf("\n%-15s %15s %7s  %20s  %20s  %s\n", "column", "bytes", "a LUM", "smallest", "largest", "pages by encoding");
    for (int i = 0; i < LUM_COLUMN_COUNT; i++) {
        write_column(json, &columns[i], has_rows);
        if (!is_json) print_column(&columns[i], has_rows);
    }
    lum__json_end_array(json);
    return LUM_OK;
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
            tell_held(&result.json, arguments->json, arguments->positional[0], &info);
            status = lum_transactions(store, collect_label, &labels);
            tell_labels(&result.json, &labels, arguments->json);
        }
        if (status == LUM_OK && arguments->column_details)
            status = tell_columns(store, &result.json, arguments->json, info.lum_count > 0);
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
    .examples = "  lum info cities.lum\n  lum info cities.lum --columns\n  lum info cities.lum --json | python3 -m json.tool\n"};
