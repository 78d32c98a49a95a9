/* lum history - the transactions of a store, the newest first. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/message.h"
#include "cli/open_store.h"
#include "cli/result.h"
#include "cli/text.h"

static const struct lum__option own_options[] = {{.name = "limit",
                                                  .kind = LUM__OPTION_NUMBER,
                                                  .offset = offsetof(struct lum__arguments, limit),
                                                  .argument = "N",
                                                  .min = 1,
                                                  .help = "the newest N only"},
                                                 {.name = "label",
                                                  .kind = LUM__OPTION_STRING,
                                                  .offset = offsetof(struct lum__arguments, label),
                                                  .argument = "ID",
                                                  .help = "those with this label only"},
                                                 {0}};
static const struct lum__option *const tables[] = {own_options, lum__options_common, NULL};

/* The library tells the oldest first and lends its texts, so they are kept here: of all, or in a ring of the newest. */
struct history {
    const char *label; /* NULL: any */
    lum_transaction_data *items;
    size_t limit; /* 0: none */
    size_t count, room;
    char **texts;
    size_t text_count, text_room;
};
enum { TEXTS_COMPARED = 16 };

/* A text to keep. All commits of a load say the same, so it is looked for among the texts that came last. */
static const char *keep_text(struct history *history, const char *text)
{
    if (!text[0]) return "";
    for (size_t i = history->text_count; i-- > 0 && i + TEXTS_COMPARED >= history->text_count;) {
        if (strcmp(history->texts[i], text) == 0) return history->texts[i];
    }
    if (history->text_count == history->text_room) {
        size_t room = history->text_room ? 2 * history->text_room : 64;
        char **texts = realloc(history->texts, room * sizeof *texts);
        if (!texts) return NULL;
        history->texts = texts;
        history->text_room = room;
    }
    char *copy = strdup(text);
    if (copy) history->texts[history->text_count++] = copy;
    return copy;
}

static lum_status make_room(struct history *history)
{
    if (history->count < history->room || (history->limit > 0 && history->count >= history->limit)) return LUM_OK;
    size_t room = history->room ? 2 * history->room : 64;
    if (history->limit > 0 && room > history->limit) room = history->limit;
    lum_transaction_data *items = realloc(history->items, room * sizeof *items);
    if (!items) return LUM_ERR_NO_MEMORY;
    history->items = items;
    history->room = room;
    return LUM_OK;
}

static lum_status keep(void *context, const lum_transaction_data *transaction)
{
    struct history *history = context;
    if (history->label && strcmp(history->label, transaction->label) != 0) return LUM_OK;
    lum_status status = make_room(history);
    if (status != LUM_OK) return status;
    lum_transaction_data copy = *transaction;
    copy.label = keep_text(history, transaction->label);
    copy.mapping = keep_text(history, transaction->mapping);
    copy.source_names = keep_text(history, transaction->source_names);
    if (!copy.label || !copy.mapping || !copy.source_names) return LUM_ERR_NO_MEMORY;
    history->items[history->count % history->room] = copy;
    history->count++;
    return LUM_OK;
}

/* Lines of a text, as an array or after a word each. */
static void write_lines(struct lum__json *json, const char *name, const char *text)
{
    lum__json_begin_array(json, name);
    while (*text) {
        size_t length = strcspn(text, "\n");
        char *line = strndup(text, length);
        if (line) lum__json_string(json, NULL, line);
        free(line);
        text += length + (text[length] == '\n');
    }
    lum__json_end_array(json);
}

static void print_line(const char *word, const char *text)
{
    printf("    %-8s ", word);
    lum__text_put(stdout, text);
    putchar('\n');
}

static void print_lines(const char *word, const char *text)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        char *line = strndup(text, length);
        if (line) print_line(word, line);
        free(line);
        text += length + (text[length] == '\n');
    }
}

static void write_json(struct lum__json *json, const lum_transaction_data *item)
{
    char when[40];
    lum__human_time(item->commit_timestamp, when);
    lum__json_begin_object(json, NULL);
    lum__json_u64(json, "transaction_id", item->transaction_id);
    lum__json_u64(json, "commit_sequence", item->commit_sequence);
    lum__json_u64(json, "first_sequence", item->first_sequence);
    lum__json_u64(json, "commit_timestamp", item->commit_timestamp);
    lum__json_string(json, "time", when);
    lum__json_u64(json, "transactions", item->run_count);
    lum__json_bool(json, "is_in_run", item->is_in_run);
    lum__json_u64(json, "lums", item->lum_count);
    lum__json_u64(json, "chunks", item->chunk_count);
    lum__json_u64(json, "digest", item->digest);
    lum__json_string(json, "label", item->label);
    write_lines(json, "sources", item->source_names);
    lum__json_string(json, "mapping", item->mapping);
    lum__json_end_object(json);
}

static void print(const lum_transaction_data *item, bool is_verbose)
{
    char when[40];
    lum__human_time(item->commit_timestamp, when);
    printf("transaction %" PRIu64 "  sequence %" PRIu64 "  %s\n", item->transaction_id, item->commit_sequence, when);
    if (item->run_count > 1) printf("    and the small ones behind it, %s in all\n", lum__human_count(item->run_count));
    if (item->is_in_run)
        printf("    a small one; its rows are counted with those before it\n");
    else
        printf("    %s LUM%s in %s chunk%s, digest %08" PRIx32 "\n", lum__human_count(item->lum_count),
               item->lum_count == 1 ? "" : "s", lum__human_count(item->chunk_count), item->chunk_count == 1 ? "" : "s",
               item->digest);
    if (item->label[0]) print_line("label", item->label);
    print_lines("from", item->source_names);
    if (is_verbose) print_lines("mapping", item->mapping);
}

static void tell(const struct history *history, const struct lum__arguments *arguments, struct lum__json *json)
{
    size_t shown = history->count < history->room ? history->count : history->room;
    for (size_t i = 1; i <= shown; i++) {
        const lum_transaction_data *item = &history->items[(history->count - i) % history->room];
        if (arguments->json)
            write_json(json, item);
        else
            print(item, arguments->verbose);
    }
    if (arguments->json) {
        lum__json_end_array(json);
        lum__json_u64(json, "transaction_count", shown);
    }
}

/* The object is written as it goes: a history may be long. */
static int run(const struct lum__arguments *arguments)
{
    const char *path = arguments->positional[0];
    struct lum__json json = {.out = stdout};
    struct history history = {.label = arguments->label, .limit = (size_t)arguments->limit};
    lum_options options = lum__open_options(arguments, LUM__OPEN_READ);
    lum_store *store = NULL;
    int exit_code = lum__open_store(path, &options, &store);
    if (exit_code == 0) {
        lum_status status = lum_transactions(store, keep, &history);
        if (status != LUM_OK) exit_code = lum__message_store(status, path);
        exit_code = lum__close_store(store, path, exit_code);
    }
    if (arguments->json) {
        lum__json_begin_object(&json, NULL);
        lum__json_u64(&json, "schema_version", 1);
        lum__json_begin_array(&json, "history");
    }
    tell(&history, arguments, &json);
    if (arguments->json) {
        lum__result_write_ending(&json, exit_code);
        lum__json_end_object(&json);
        fputc('\n', stdout);
    }
    if (exit_code == 0 && history.count == 0 && arguments->label)
        lum__message_note("%s: no transaction has the label %s", path, arguments->label);
    else if (exit_code == 0 && history.count == 0)
        lum__message_note("%s: there are no transactions", path);
    for (size_t i = 0; i < history.text_count; i++) free(history.texts[i]);
    free(history.texts);
    free(history.items);
    return exit_code;
}

const struct lum__command lum__command_history = {
    .name = "history",
    .positional_help = "STORE",
    .positional_min = 1,
    .positional_max = 1,
    .tables = tables,
    .run = run,
    .summary = "print the transactions of a store, the newest first",
    .details =
        "With each: its id, commit sequence and time, rows and chunks, the digest of its rows in order, its label, and "
        "the\n"
        "files it came from; with -v also how their columns became fields. What a checkpoint made of several small\n"
        "transactions is one entry.\n",
    .examples = "  lum history cities.lum\n  lum history cities.lum -v --limit 10\n  lum history cities.lum --label "
                "cities500 --json\n"};
