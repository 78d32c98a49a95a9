/* How the stream becomes pieces and rows. What a row is, is in ndjson_row.c. */
#include "formats/ndjson_source.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "formats/ndjson_private.h"

enum { FIRST_ROW_BYTES_MAX = 1024 * 1024 };

static bool is_line_end(uint8_t c) { return c == '\n' || c == '\r'; }

static lum_status open_piece(void *context, uint32_t worker_index, uint64_t rows_max, lum_piece *out)
{
    struct lum__ndjson_source *source = context;
    const struct lum__text_piece *piece;
    void *memory;

    LUM_TRY(lum__text_pieces_open(&source->pieces, worker_index, rows_max, out, &piece));
    struct lum__ndjson_worker *worker = source->workers[worker_index];
    if (worker == NULL) {
        LUM_TRY(lum__alloc_zeroed(1, sizeof *worker, &memory));
        worker = source->workers[worker_index] = memory;
    }
    worker->piece = piece;
    worker->at = piece->buffer;
    worker->next_row = piece->first_row;
    worker->rows_left = piece->row_count;
    worker->lines = lum__line_counter_begin(piece);
    return LUM_OK;
}

/* A bad row: the load's end, or to be told. row_end is behind its line end. */
static lum_status refuse_row(struct lum__ndjson_source *source, uint32_t worker_index, const uint8_t *row_begin,
                             const uint8_t *row_end, const struct lum__row_fault *fault)
{
    struct lum__ndjson_worker *worker = source->workers[worker_index];
    uint64_t line = lum__line_counter_go(&worker->lines, row_begin);
    uint64_t offset = lum__text_piece_offset(worker->piece, fault->at);

    if (source->rejects == NULL) return lum__fault_raise(fault, source->name, line, offset);
    const struct lum__rejected_row rejected = {.row = worker->next_row + 1,
                                               .line = line,
                                               .offset = offset,
                                               .column = fault->column,
                                               .column_name = fault->column_name,
                                               .code = fault->code,
                                               .quoted_reason = fault->quoted,
                                               .quoted_reason_length = fault->quoted_length,
                                               .bytes = row_begin,
                                               .byte_count = (size_t)(row_end - row_begin)};
    return source->rejects->row(source->rejects->context, worker_index, &rejected);
}

static lum_status take_row(struct lum__ndjson_source *source, uint32_t worker_index, lum_t *row, bool *is_good)
{
    struct lum__ndjson_worker *worker = source->workers[worker_index];
    const uint8_t *end = worker->piece->buffer + worker->piece->bytes, *begin = worker->at;
    struct lum__row_fault fault;
    bool is_odd;

    while (begin < end && is_line_end(*begin)) ++begin; /* empty lines are no rows */
    LUM_ASSERT(begin < end);                            /* rows_left was counted by the scanner */
    const uint8_t *text_end = lum__ndjson_row_end(begin, end, &is_odd), *row_end = text_end;
    if (row_end < end && *row_end++ == '\r' && row_end < end && *row_end == '\n') ++row_end;
    worker->at = row_end;
    *is_good = lum__ndjson_parse_row(source, worker, begin, text_end, is_odd, row, &fault);
    return *is_good ? LUM_OK : refuse_row(source, worker_index, begin, row_end, &fault);
}

static lum_status fill(void *context, uint32_t worker_index, lum_t *rows, size_t rows_max, size_t *row_count)
{
    struct lum__ndjson_source *source = context;
    struct lum__ndjson_worker *worker = worker_index < LUM__SOURCE_WORKERS_MAX ? source->workers[worker_index] : NULL;
    lum_status status = LUM_OK;
    size_t count = 0, bad_count = 0;

    *row_count = 0;
    if (worker == NULL) return lum__fail(LUM_ERR_ARGUMENT, "fill() of an NDJSON source before open_piece()");
    while (count < rows_max && worker->rows_left > 0 && status == LUM_OK) {
        bool is_good;
        status = take_row(source, worker_index, &rows[count], &is_good);
        count += is_good;
        bad_count += !is_good;
        worker->next_row++;
        worker->rows_left--;
    }
    /* Counters for reports; they order nothing. */
    atomic_fetch_add_explicit(&source->rows_read, count + bad_count, memory_order_relaxed);
    if (bad_count > 0) atomic_fetch_add_explicit(&source->rows_rejected, bad_count, memory_order_relaxed);
    if (status == LUM_OK) *row_count = count;
    lum__text_pieces_sum(&source->pieces, worker_index, worker->at, worker->rows_left);
    return status;
}

static void account(void *context, uint64_t *rows_read, uint64_t *rows_rejected, uint64_t *bytes_read)
{
    struct lum__ndjson_source *source = context;

    *rows_read = atomic_load_explicit(&source->rows_read, memory_order_relaxed);
    *rows_rejected = atomic_load_explicit(&source->rows_rejected, memory_order_relaxed);
    *bytes_read = atomic_load_explicit(&source->pieces.bytes_read, memory_order_relaxed);
}

/* ---------------------------------------------------------------------------------------------------- the first object
 */

/* Reads on until `rest` holds the whole first row, which begins at *begin; nothing is taken. False: there is none. */
static lum_status find_first_row(struct lum__ndjson_source *source, size_t *begin, size_t *end, bool *is_odd)
{
    struct lum__text_pieces *pieces = &source->pieces;

    for (;;) {
        const uint8_t *rest = pieces->rest, *rest_end = rest + pieces->rest_bytes, *at = rest;
        while (at < rest_end && is_line_end(*at)) ++at;
        const uint8_t *row_end = lum__ndjson_row_end(at, rest_end, is_odd);
        *begin = (size_t)(at - rest);
        *end = (size_t)(row_end - rest);
        if (row_end < rest_end || pieces->stream_ended) return LUM_OK;
        if (at < rest_end && *at != '{' && *at != ' ' && *at != '\t')
            return LUM_OK; /* rubbish need not be read to its end */
        if (pieces->rest_bytes >= FIRST_ROW_BYTES_MAX || pieces->rest_bytes == pieces->piece_bytes_max)
            return lum__text_pieces_fail_not_text(pieces, pieces->offset,
                                                  "this is not NDJSON: its first row does not end within 1 MiB");
        LUM_TRY(lum__text_pieces_read_more(pieces));
    }
}

struct name_list {
    struct lum__ndjson_source *source;
    char *next; /* in name_text */
};

static bool find_name(const struct lum__ndjson_source *source, const void *name, size_t length)
{
    for (uint32_t i = 0; i < source->column_count; ++i)
        if (source->lengths[i] == length && memcmp(source->names[i], name, length) == 0) return true;
    return false;
}

static void add_name(struct name_list *list, const void *name, size_t length)
{
    struct lum__ndjson_source *source = list->source;

    memcpy(list->next, name, length);
    list->next[length] = '\0';
    source->names[source->column_count] = list->next;
    source->lengths[source->column_count++] = length;
    list->next += length + 1;
}

static bool take_first_pair(void *context, const struct lum__ndjson_pair *pair, struct lum__row_fault *fault)
{
    struct name_list *list = context;

    if (find_name(list->source, pair->key, pair->key_length)) {
        lum__fault_begin(fault, "fields", pair->key_at, 0, "");
        lum__fault_add(fault, "a key stands in the first row twice: ");
        lum__fault_add_shown(fault, pair->key, pair->key_length);
        return false;
    }
    if (list->source->column_count == LUM__NDJSON_COLUMNS_MAX) {
        lum__fault_begin(fault, "fields", pair->key_at, 0, "");
        lum__fault_add(fault, "the first row has more than 4,096 keys");
        return false;
    }
    add_name(list, pair->key, pair->key_length);
    return true;
}

/* Names and lengths: the first object's keys, and room for the fields' names. */
static lum_status read_keys(struct lum__ndjson_source *source)
{
    size_t begin, end;
    bool is_odd;
    void *memory;

    LUM_TRY(find_first_row(source, &begin, &end, &is_odd));
    source->shown.is_empty = begin == end;
    if (begin == end) return LUM_OK;
    LUM_TRY(lum__alloc(end - begin + 1024, &memory)); /* a key takes more bytes in the text than here */
    source->name_text = memory;
    LUM_TRY(lum__alloc_zeroed(LUM__NDJSON_COLUMNS_MAX + LUM__FIELD_COUNT, sizeof *source->names, &memory));
    source->names = memory;
    LUM_TRY(lum__alloc_zeroed(LUM__NDJSON_COLUMNS_MAX + LUM__FIELD_COUNT, sizeof *source->lengths, &memory));
    source->lengths = memory;
    struct name_list list = {source, source->name_text};
    struct lum__json_reader reader = {0};
    struct lum__row_fault fault;
    const uint8_t *text = source->pieces.rest;
    bool is_good = lum__ndjson_walk(&reader, text + begin, text + end, is_odd, take_first_pair, &list, &fault);
    lum__json_reader_fini(&reader);
    source->key_count = source->column_count;
    if (is_good) return LUM_OK;
    return lum__fault_raise(&fault, source->name, source->pieces.line + lum__count_lines(text, begin, false),
                            source->pieces.offset + (uint64_t)(fault.at - text));
}

/* Fields that nobody mapped are taken by their own names from rows that have them, even if the first one has not. */
static void add_field_names(struct lum__ndjson_source *source, const struct lum__mapping *mapping)
{
    struct lum__mapping_plan *plan = &source->plan;
    struct name_list list = {source, source->name_text};

    if (source->column_count > 0)
        list.next = (char *)source->names[source->column_count - 1] + source->lengths[source->column_count - 1] + 1;
    for (unsigned field = 0; field < LUM__FIELD_COUNT; ++field) {
        const char *name = lum__field_name((enum lum__field)field);
        bool is_mapped = field == LUM__FIELD_ID || (mapping != NULL && mapping->items[field].present);
        if (is_mapped || find_name(source, name, strlen(name))) continue;
        plan->rules[plan->rule_count++] =
            (struct lum__mapping_rule){source->column_count, (enum lum__field)field, false, LUM__SCALE_ONE};
        add_name(&list, name, strlen(name));
    }
}

static lum_status index_rules(struct lum__ndjson_source *source)
{
    void *memory;

    LUM_TRY(lum__alloc_zeroed(source->column_count, sizeof *source->columns, &memory));
    source->columns = memory;
    source->id_column = LUM__NDJSON_NO_COLUMN;
    for (uint32_t i = source->plan.rule_count; i-- > 0;) { /* rules of a column stand together */
        struct lum__ndjson_column *column = &source->columns[source->plan.rules[i].column];
        column->rule_first = (uint16_t)i;
        column->rule_count++;
        if (source->plan.rules[i].field == LUM__FIELD_ID) source->id_column = source->plan.rules[i].column;
    }
    return LUM_OK;
}

static lum_status resolve(struct lum__ndjson_source *source, const struct lum__row_options *options)
{
    const struct lum__mapping_columns keys = {source->names, source->lengths, source->key_count, true,
                                               LUM__COLUMNS_OF_KEYS};
    char probe[1];
    void *memory;

    LUM_TRY(lum__mapping_resolve(options->mapping, &keys, source->name, &source->plan));
    size_t length = lum__mapping_describe(&source->plan, &keys, probe, sizeof probe);
    LUM_TRY(lum__alloc(length + 1, &memory));
    source->shown.mapping_text = source->mapping_text = memory;
    (void)lum__mapping_describe(&source->plan, &keys, source->mapping_text, length + 1);
    add_field_names(source, options->mapping);
    lum__mapping_set_time_unit(&source->plan, options->time_unit);
    source->plan.rows_before = options->rows_before;
    return index_rules(source);
}

/* ------------------------------------------------------------------------------------------------ opening, closing */

static void close_source(struct lum__row_source *shown)
{
    struct lum__ndjson_source *source = shown->source.context;

    for (uint32_t worker = 0; worker < LUM__SOURCE_WORKERS_MAX; ++worker) {
        if (source->workers[worker] == NULL) continue;
        lum__json_reader_fini(&source->workers[worker]->reader);
        free(source->workers[worker]);
    }
    lum__text_pieces_fini(&source->pieces);
    free(source->name_text);
    free(source->names);
    free(source->lengths);
    free(source->columns);
    free(source->mapping_text);
    free(source->name);
    free(source);
}

static void show_source(struct lum__ndjson_source *source)
{
    source->shown.format_name = "ndjson";
    source->shown.mapping_text = "";
    source->shown.close = close_source;
    source->shown.source = (lum_source)LUM_SOURCE_INIT;
    source->shown.source.context = source;
    source->shown.source.open_piece = open_piece;
    source->shown.source.fill = fill;
    source->shown.source.account = account;
}

lum_status lum__ndjson_open(const struct lum__input_bytes *input, const struct lum__row_options *options,
                            struct lum__row_source **out)
{
    struct lum__ndjson_source *source;
    struct lum__input_bytes named = *input;
    lum_status status;
    void *memory;

    *out = NULL;
    LUM_TRY(lum__alloc_zeroed(1, sizeof *source, &memory));
    source = memory;
    show_source(source);
    source->round = options->round;
    source->rejects = options->rejects;
    source->null_text = options->null_text;
    source->null_text_length = options->null_text != NULL ? strlen(options->null_text) : 0;
    LUM_TRY_OUT(lum__alloc(strlen(input->name) + 1, &memory));
    source->shown.source.name = named.name = source->name = strcpy(memory, input->name);
    LUM_TRY_OUT(lum__text_pieces_init(&source->pieces, &named, options->piece_bytes_max, lum__lines_scan, 0, "NDJSON"));
    source->pieces.sums = options->sums;
    source->shown.text = &source->pieces;
    LUM_TRY_OUT(lum__text_pieces_drop_byte_order_mark(&source->pieces));
    LUM_TRY_OUT(read_keys(source));
    if (!source->shown.is_empty) LUM_TRY_OUT(resolve(source, options));
    *out = &source->shown;
    return LUM_OK;
out:
    close_source(&source->shown);
    return status;
}
