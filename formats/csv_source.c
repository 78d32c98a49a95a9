/* How the stream becomes pieces and rows. The header and its checks are in csv_header.c. */
#include "formats/csv_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/status.h"
#include "formats/csv_source_private.h"

enum { READ_BYTES = 256 * 1024, PIECE_BYTES_MIN = 64 * 1024, PIECE_BYTES_DEFAULT = 16 * 1024 * 1024 };

/* ------------------------------------------------------------------------------------------------ cutting pieces */

static lum_status get_piece(struct lum__csv_source *source, uint32_t worker, struct lum__csv_piece **out)
{
    struct lum__csv_piece *piece = source->pieces[worker];
    void *memory;

    *out = NULL;
    if (piece == NULL) {
        LUM_TRY(lum__alloc_zeroed(1, sizeof *piece, &memory));
        piece = source->pieces[worker] = memory;
    }
    if (piece->buffer == NULL) {
        /* All at once: untouched memory costs nothing, and rows never move while they are parsed. */
        LUM_TRY(lum__alloc(source->piece_bytes_max + LUM__CSV_SLACK, &memory));
        piece->buffer = memory;
    }
    *out = piece;
    return LUM_OK;
}

static void free_buffer(struct lum__csv_source *source, uint32_t worker)
{
    if (source->pieces[worker] == NULL) return;
    free(source->pieces[worker]->buffer);
    source->pieces[worker]->buffer = NULL;
    source->pieces[worker]->rows_left = 0;
}

/* Keeps what was read behind a piece's last row for the next one. */
static lum_status keep_rest(struct lum__csv_source *source, const uint8_t *bytes, size_t byte_count)
{
    void *memory = source->rest;

    LUM_TRY(lum__grow(&memory, &source->rest_capacity, byte_count, 1));
    source->rest = memory;
    if (byte_count > 0) memcpy(source->rest, bytes, byte_count);
    source->rest_bytes = byte_count;
    return LUM_OK;
}

static lum_status fail_long_row(struct lum__csv_source *source)
{
    lum_status status =
        lum__fail_at(__FILE__, __LINE__, LUM_ERR_INPUT, 0, source->name, source->offset, 0,
                     "the row that begins here is longer than %llu bytes", (unsigned long long)source->piece_bytes_max);
    lum__error_set_line(source->line);
    lum__error_set_remedy("look for a quote that is never closed, in this row or before it");
    return status;
}

/* Reads until the piece holds rows_max rows, or as many as fit it, or the stream's last. *bytes_used is behind the last
 * row. */
static lum_status read_rows(struct lum__csv_source *source, struct lum__csv_piece *piece, uint64_t rows_max,
                            struct lum__csv_scanner *scanner, size_t *bytes_used)
{
    size_t scanned = 0, filled = source->rest_bytes;

    *bytes_used = 0;
    if (filled > 0) memcpy(piece->buffer, source->rest, filled);
    source->rest_bytes = 0;
    for (;;) {
        scanned += lum__csv_scan(scanner, piece->buffer + scanned, filled - scanned, rows_max);
        if (scanner->rows == rows_max) break;
        LUM_ASSERT(scanned == filled);
        if (source->stream_ended) break;
        if (filled == source->piece_bytes_max) {
            if (scanner->rows == 0) return fail_long_row(source);
            break;
        }
        size_t room = source->piece_bytes_max - filled, got;
        LUM_TRY(
            source->read(source->read_context, piece->buffer + filled, room < READ_BYTES ? room : READ_BYTES, &got));
        LUM_ASSERT(got <= room);
        source->stream_ended = got == 0;
        filled += got;
    }
    *bytes_used = scanner->row_end;
    if (source->stream_ended && scanned == filled && scanner->rows < rows_max) {
        scanner->rows += scanner->in_row; /* the last row needs no line end */
        *bytes_used = filled;
    }
    return keep_rest(source, piece->buffer + *bytes_used, filled - *bytes_used);
}

static lum_status cut_piece(struct lum__csv_source *source, uint32_t worker, uint64_t rows_max, lum_piece *out)
{
    struct lum__csv_piece *piece;
    struct lum__csv_scanner scanner = {.delimiter = source->delimiter, .last_was_cr = source->last_was_cr};
    size_t bytes;

    LUM_TRY(get_piece(source, worker, &piece));
    LUM_TRY(read_rows(source, piece, rows_max, &scanner, &bytes));
    if (scanner.rows == 0) {
        free_buffer(source, worker);
        return LUM_END;
    }
    piece->bytes = bytes;
    piece->offset = source->offset;
    piece->line = source->line;
    piece->follows_cr = source->last_was_cr;
    piece->next_row = source->rows_cut;
    piece->rows_left = scanner.rows;
    lum__csv_cursor_init(&piece->cursor, source->delimiter, piece->buffer, piece->buffer + bytes);

    out->first_row = source->rows_cut;
    out->row_count = scanner.rows;
    source->rows_cut += scanner.rows;
    source->offset += bytes;
    source->line += scanner.row_end_lines; /* after an unended last row nobody asks any more */
    source->last_was_cr = piece->buffer[bytes - 1] == '\r';
    atomic_fetch_add_explicit(&source->bytes_read, bytes, memory_order_relaxed); /* a counter, orders nothing */
    return LUM_OK;
}

static lum_status open_piece(void *context, uint32_t worker, uint64_t rows_max, lum_piece *out)
{
    struct lum__csv_source *source = context;

    *out = (lum_piece){0};
    if (worker >= LUM__CSV_SOURCE_WORKERS_MAX || rows_max == 0)
        return lum__fail(LUM_ERR_ARGUMENT, "a CSV source takes workers below %d and at least one row a piece",
                         LUM__CSV_SOURCE_WORKERS_MAX);
    if (source->failure.status != LUM_OK) { /* the stream broke off: it does not come back */
        lum__error_restore(&source->failure);
        return source->failure.status;
    }
    if (source->is_empty) return LUM_END;
    lum_status status = cut_piece(source, worker, rows_max, out);
    if (status != LUM_OK && status != LUM_END) source->failure = *lum__error_last();
    return status;
}

/* -------------------------------------------------------------------------------------------------- parsing rows */

static enum lum__number_error parse_field(const struct lum__csv_source *source, const struct lum__mapping_rule *rule,
                                          const struct lum__csv_field *field, lum_t *row, size_t *at)
{
    const char *text = (const char *)field->text;
    size_t length = field->length;
    bool round = source->round;
    uint64_t checksum;
    enum lum__number_error error;

    switch (rule->field) {
    case LUM__FIELD_ID:
        if (!rule->scaled) return lum__parse_u64(text, length, &row->id, at);
        return lum__parse_scaled_u64(text, length, rule->scale, round, &row->id, at);
    case LUM__FIELD_PRESENCE: return lum__parse_flag(text, length, &row->presence, at);
    case LUM__FIELD_POSITION_X: /* unscaled and plain, as machines write them; whatever else there is, the long way */
        if (!rule->scaled && lum__parse_i32(text, length, &row->position_x, at) == LUM__NUMBER_OK)
            return LUM__NUMBER_OK;
        return lum__parse_scaled_i32(text, length, rule->scale, round, &row->position_x, at);
    case LUM__FIELD_POSITION_Y: /* unscaled and plain, as machines write them; whatever else there is, the long way */
        if (!rule->scaled && lum__parse_i32(text, length, &row->position_y, at) == LUM__NUMBER_OK)
            return LUM__NUMBER_OK;
        return lum__parse_scaled_i32(text, length, rule->scale, round, &row->position_y, at);
    case LUM__FIELD_STRUCTURE_TYPE: return lum__parse_structure_type(text, length, &row->structure_type, at);
    case LUM__FIELD_TIMESTAMP: return lum__parse_timestamp(text, length, rule->scale, round, &row->timestamp, at);
    case LUM__FIELD_MEMORY_ADDRESS:
        if (!rule->scaled) return lum__parse_address(text, length, &row->memory_address, at);
        return lum__parse_scaled_u64(text, length, rule->scale, round, &row->memory_address, at);
    case LUM__FIELD_IS_DESTROYED: return lum__parse_flag(text, length, &row->is_destroyed, at);
    case LUM__FIELD_CHECKSUM:
        error = lum__parse_u64(text, length, &checksum, at);
        if (error == LUM__NUMBER_OK && checksum > UINT32_MAX) error = LUM__NUMBER_RANGE;
        row->checksum = (uint32_t)checksum;
        return error;
    case LUM__FIELD_COUNT: break;
    }
    LUM_ASSERT(!"a rule for a field that does not exist");
    return LUM__NUMBER_SYNTAX;
}

static bool takes_default(const struct lum__csv_source *source, const struct lum__mapping_rule *rule,
                          const struct lum__csv_field *field)
{
    return source->null_text != NULL && field->length == source->null_text_length && rule->field != LUM__FIELD_ID &&
           memcmp(field->text, source->null_text, field->length) == 0;
}

/* One row. The error, if any, is recorded in the thread's last failure. */
static lum_status parse_row(struct lum__csv_source *source, struct lum__csv_piece *piece, lum_t *row)
{
    const struct lum__mapping_rule *rule = source->plan.rules, *rules_end = rule + source->plan.rule_count;
    const uint8_t *row_begin = piece->cursor.at;
    struct lum__csv_field field;
    uint32_t column = 0;
    size_t at = 0;

    *row = source->plan.defaults;
    if (source->plan.id_is_row_number) row->id = piece->next_row + 1;
    do {
        lum__csv_next_field(&piece->cursor, &field);
        if (field.error != LUM__CSV_OK) return lum__csv_fail_quotes(source, piece, &field, column);
        for (; rule < rules_end && rule->column == column; ++rule) {
            if (takes_default(source, rule, &field)) continue;
            enum lum__number_error error = parse_field(source, rule, &field, row, &at);
            if (error != LUM__NUMBER_OK) return lum__csv_fail_field(source, piece, rule, &field, error, at);
        }
        ++column;
    } while (!field.row_ended);
    if (column != source->columns.count) return lum__csv_fail_count(source, piece, row_begin, column);
    if (source->source.has_checksums) {
        uint32_t checksum = lum_record_checksum(row);
        if (row->checksum != checksum) return lum__csv_fail_checksum(source, piece, row_begin, row->checksum, checksum);
    }
    return LUM_OK;
}

static lum_status fill(void *context, uint32_t worker, lum_t *rows, size_t rows_max, size_t *row_count)
{
    struct lum__csv_source *source = context;
    struct lum__csv_piece *piece = worker < LUM__CSV_SOURCE_WORKERS_MAX ? source->pieces[worker] : NULL;
    lum_status status = LUM_OK;
    size_t count = 0;

    *row_count = 0;
    if (piece == NULL) return lum__fail(LUM_ERR_ARGUMENT, "fill() of a CSV source before open_piece()");
    if (rows_max > piece->rows_left) rows_max = piece->rows_left;
    while (count < rows_max && status == LUM_OK) {
        bool more = lum__csv_next_row(&piece->cursor);
        LUM_ASSERT(more); /* rows_left was counted by the scanner, which agrees with the cursor on what a row is */
        status = parse_row(source, piece, &rows[count]);
        count += status == LUM_OK;
        piece->next_row++;
        piece->rows_left--;
    }
    /* Counters for reports; they order nothing. */
    atomic_fetch_add_explicit(&source->rows_read, count + (status != LUM_OK), memory_order_relaxed);
    if (status != LUM_OK) {
        atomic_fetch_add_explicit(&source->rows_rejected, 1, memory_order_relaxed);
        return status;
    }
    *row_count = count;
    return LUM_OK;
}

static void account(void *context, uint64_t *rows_read, uint64_t *rows_rejected, uint64_t *bytes_read)
{
    struct lum__csv_source *source = context;

    *rows_read = atomic_load_explicit(&source->rows_read, memory_order_relaxed);
    *rows_rejected = atomic_load_explicit(&source->rows_rejected, memory_order_relaxed);
    *bytes_read = atomic_load_explicit(&source->bytes_read, memory_order_relaxed);
}

/* ------------------------------------------------------------------------------------------------ opening, closing */

static lum_status check_options(const struct lum__csv_options *options)
{
    char delimiter = options->delimiter;

    if (delimiter == '"' || delimiter == '\n' || delimiter == '\r' || (delimiter & 0x80) != 0)
        return lum__fail(LUM_ERR_ARGUMENT, "a delimiter is one ASCII character other than a quote or a line end");
    if (options->piece_bytes_max != 0 && options->piece_bytes_max < PIECE_BYTES_MIN)
        return lum__fail(LUM_ERR_ARGUMENT, "piece_bytes_max is at least %d", PIECE_BYTES_MIN);
    return LUM_OK;
}

static lum_status copy_text(const char *text, char **out)
{
    void *memory;

    *out = NULL;
    LUM_TRY(lum__alloc(strlen(text) + 1, &memory));
    *out = memcpy(memory, text, strlen(text) + 1);
    return LUM_OK;
}

static lum_status describe_mapping(struct lum__csv_source *source)
{
    char probe[1];
    void *memory;

    size_t length = lum__mapping_describe(&source->plan, &source->columns, probe, sizeof probe);
    LUM_TRY(lum__alloc(length + 1, &memory));
    source->mapping_text = memory;
    (void)lum__mapping_describe(&source->plan, &source->columns, source->mapping_text, length + 1);
    return LUM_OK;
}

lum_status lum__csv_source_open(const char *name, lum__read_bytes read, void *read_context,
                                const struct lum__csv_options *options, struct lum__csv_source **out)
{
    struct lum__csv_source *source = NULL;
    lum_status status;
    void *memory;

    *out = NULL;
    LUM_TRY(check_options(options));
    LUM_TRY(lum__alloc_zeroed(1, sizeof *source, &memory));
    source = memory;
    source->read = read;
    source->read_context = read_context;
    source->delimiter = options->delimiter != 0 ? options->delimiter : ',';
    source->round = options->round;
    source->piece_bytes_max = options->piece_bytes_max != 0 ? options->piece_bytes_max : PIECE_BYTES_DEFAULT;
    source->line = 1;
    LUM_TRY_OUT(copy_text(name, &source->name));
    if (options->null_text != NULL) {
        LUM_TRY_OUT(copy_text(options->null_text, &source->null_text));
        source->null_text_length = strlen(options->null_text);
    }
    LUM_TRY_OUT(lum__csv_read_header(source, options->no_header));
    if (!source->is_empty)
        LUM_TRY_OUT(lum__mapping_resolve(options->mapping, &source->columns, source->name, &source->plan));
    LUM_TRY_OUT(describe_mapping(source));

    source->source = (lum_source)LUM_SOURCE_INIT;
    source->source.context = source;
    source->source.name = source->name;
    source->source.open_piece = open_piece;
    source->source.fill = fill;
    source->source.account = account;
    for (uint32_t rule = 0; rule < source->plan.rule_count; ++rule)
        if (source->plan.rules[rule].field == LUM__FIELD_CHECKSUM) source->source.has_checksums = true;
    *out = source;
    return LUM_OK;
out:
    lum__csv_source_close(source);
    return status;
}

void lum__csv_source_close(struct lum__csv_source *source)
{
    if (source == NULL) return;
    for (uint32_t worker = 0; worker < LUM__CSV_SOURCE_WORKERS_MAX; ++worker) {
        free_buffer(source, worker);
        free(source->pieces[worker]);
    }
    free(source->rest);
    free(source->header_text);
    free(source->names);
    free(source->lengths);
    free(source->mapping_text);
    free(source->null_text);
    free(source->name);
    free(source);
}

const lum_source *lum__csv_source_get(struct lum__csv_source *source) { return &source->source; }
bool lum__csv_source_is_empty(const struct lum__csv_source *source) { return source->is_empty; }
const char *lum__csv_source_mapping_text(const struct lum__csv_source *source) { return source->mapping_text; }
