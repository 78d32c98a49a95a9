/* How the stream becomes pieces and rows. The header and its checks are in csv_header.c. */
#include "formats/csv_source.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/status.h"
#include "formats/csv_source_private.h"
#include "formats/field_parse.h"

static lum_status open_piece(void *context, uint32_t worker_index, uint64_t rows_max, lum_piece *out)
{
    struct lum__csv_source *source = context;
    const struct lum__text_piece *piece;
    void *memory;

    LUM_TRY(lum__text_pieces_open(&source->pieces, worker_index, rows_max, out, &piece));
    struct lum__csv_worker *worker = source->workers[worker_index];
    if (worker == NULL) {
        LUM_TRY(lum__alloc_zeroed(1, sizeof *worker, &memory));
        worker = source->workers[worker_index] = memory;
    }
    if (worker->columns == NULL) LUM_TRY(lum__field_columns_make(&source->plan.defaults, &worker->columns));
    worker->piece = piece;
    worker->next_row = piece->first_row;
    worker->rows_left = piece->row_count;
    worker->lines = lum__line_counter_begin(piece);
    worker->at = piece->buffer;
    worker->end = piece->buffer + piece->bytes;
    worker->index.row_at = worker->index.row_count = 0;
    return LUM_OK;
}

/* -------------------------------------------------------------------------------------------------- parsing rows */

static bool takes_default(const struct lum__csv_source *source, const struct lum__mapping_rule *rule,
                          const struct lum__csv_field *field)
{
    return source->null_text != NULL && field->length == source->null_text_length && rule->field != LUM__FIELD_ID &&
           memcmp(field->text, source->null_text, field->length) == 0;
}

/* A row with more or fewer fields than there should be: told before what is wrong with one of them, which may stand in another's
 * column. To the row's end; where quotes are wrong too, nobody can count. */
static void count_fields(const struct lum__csv_source *source, struct lum__csv_cursor *cursor, const uint8_t *row_begin, uint32_t column,
                         struct lum__csv_field *field, struct lum__row_fault *fault)
{
    bool can_count = field->error == LUM__CSV_OK;

    for (++column; !field->row_ended; ++column) {
        lum__csv_next_field(cursor, field);
        can_count = can_count && field->error == LUM__CSV_OK;
    }
    if (can_count && column != source->columns.count) lum__csv_fault_count(source, row_begin, column, fault);
}

/* The row at the cursor; false if it is bad, and why. The cursor is then behind it. */
static bool parse_row(const struct lum__csv_source *source, struct lum__csv_cursor *cursor, uint64_t row_number,
                      lum_t *row, struct lum__csv_field *field, struct lum__row_fault *fault)
{
    const struct lum__mapping_rule *rule = source->plan.rules, *rules_end = rule + source->plan.rule_count;
    const uint8_t *row_begin = cursor->at;
    uint32_t column = 0;
    size_t offence;

    *row = source->plan.defaults;
    if (source->plan.id_is_row_number) row->id = row_number;
    do {
        lum__csv_next_field(cursor, field);
        if (field->error != LUM__CSV_OK) {
            lum__csv_fault_quotes(source, field, column, fault);
            count_fields(source, cursor, row_begin, column, field, fault);
            return false;
        }
        for (; rule < rules_end && rule->column == column; ++rule) {
            if (takes_default(source, rule, field)) continue;
            enum lum__number_error error =
                lum__field_parse(rule, (const char *)field->text, field->length, source->round, row, &offence);
            if (error == LUM__NUMBER_OK) continue;
            lum__csv_fault_field(source, rule, field, error, offence, fault);
            count_fields(source, cursor, row_begin, column, field, fault);
            return false;
        }
        ++column;
    } while (!field->row_ended);
    if (column != source->columns.count) return lum__csv_fault_count(source, row_begin, column, fault), false;
    if (source->shown.source.has_checksums) {
        uint32_t checksum = lum_record_checksum(row);
        if (row->checksum != checksum) return lum__csv_fault_checksum(row_begin, row->checksum, checksum, fault), false;
    }
    return true;
}

/* A bad row: the load's end, or to be told. row: from 0. */
static lum_status refuse_row(struct lum__csv_source *source, uint32_t worker_index, uint64_t row, const uint8_t *row_begin,
                             const uint8_t *row_end, const struct lum__row_fault *fault)
{
    struct lum__csv_worker *worker = source->workers[worker_index];
    uint64_t line = lum__text_piece_line(worker->piece, &worker->lines, row, fault->at);
    uint64_t offset = lum__text_piece_offset(worker->piece, fault->at);

    if (source->rejects == NULL) return lum__fault_raise(fault, source->name, line, offset);
    if (row_end < worker->end && row_end[-1] == '\r' && *row_end == '\n') ++row_end;
    const struct lum__rejected_row rejected = {.row = row + 1,
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

/* What a call of fill_columns() has done so far. */
struct filled {
    size_t count, bad_count;
    lum_status status;
};

/* The rows that were put off; after a failure the call has come as far as the row that failed. */
static void refuse_all(struct lum__csv_source *source, uint32_t worker_index, struct filled *filled)
{
    struct lum__csv_worker *worker = source->workers[worker_index];
    struct lum__row_fault fault;

    for (uint32_t i = 0; i < worker->refused_count && filled->status == LUM_OK; ++i) {
        const struct lum__csv_refused *refused = &worker->refused[i];
        if (refused->rule == 0)
            lum__csv_fault_count(source, refused->begin, refused->field_count, &fault);
        else
            lum__csv_fault_field(source, &source->plan.rules[refused->rule - 1], &refused->field, refused->offence.error,
                                 refused->offence.at, &fault);
        filled->status = refuse_row(source, worker_index, refused->row, refused->begin, refused->end, &fault);
        if (filled->status == LUM_OK) continue;
        filled->count = refused->good_before;
        filled->bad_count -= worker->refused_count - 1 - i;
    }
    worker->refused_count = 0;
}

/* The row at worker->at, the slow and exact way: a row more, or a bad one. */
static void take_row(struct lum__csv_source *source, uint32_t worker_index, struct filled *filled)
{
    struct lum__csv_worker *worker = source->workers[worker_index];
    struct lum__csv_cursor cursor;
    struct lum__csv_field field;
    struct lum__row_fault fault;
    lum_t row;

    lum__csv_cursor_init(&cursor, source->delimiter, worker->at, worker->end);
    bool more = lum__csv_next_row(&cursor);
    LUM_ASSERT(more); /* rows_left was counted by the scanner, which agrees with the cursor on what a row is */
    const uint8_t *row_begin = cursor.at;
    if (parse_row(source, &cursor, source->plan.rows_before + worker->next_row + 1, &row, &field, &fault)) {
        lum__field_columns_put(worker->columns, filled->count++, &row);
    } else {
        refuse_all(source, worker_index, filled); /* those before it */
        if (filled->status != LUM_OK) return;
        filled->bad_count++;
        filled->status = refuse_row(source, worker_index, worker->next_row, row_begin, cursor.at, &fault);
    }
    worker->at = cursor.at;
    worker->next_row++;
    worker->rows_left--;
}

/* The row at worker->at, which the kernel knows to be bad: puts it off, the caller says why. row_end: its line end's first byte. */
static struct lum__csv_refused *put_off(struct lum__csv_source *source, uint32_t worker_index, const uint8_t *row_end,
                                        struct filled *filled)
{
    struct lum__csv_worker *worker = source->workers[worker_index];

    LUM_ASSERT(worker->refused_count < LUM__CSV_REFUSED_MAX);
    struct lum__csv_refused *refused = &worker->refused[worker->refused_count++];
    if (row_end < worker->end) ++row_end;
    refused->row = worker->next_row;
    refused->begin = worker->at;
    refused->end = row_end;
    refused->good_before = filled->count;
    filled->bad_count++;
    worker->at = row_end;
    worker->next_row++;
    worker->rows_left--;
    return refused;
}

/* The row at worker->at, which the kernel marked. */
static void take_marked_row(struct lum__csv_source *source, uint32_t worker_index, uint32_t row, uint32_t row_end, const uint32_t *ends,
                            struct filled *filled)
{
    const struct lum__csv_worker *worker = source->workers[worker_index];
    const struct lum__csv_index *index = &worker->index;

    if (index->has_quotes || index->bad[row] == LUM__CSV_BAD_CHECKSUM) {
        take_row(source, worker_index, filled);
        return;
    }
    const uint32_t column = source->plan.rules[index->bad[row] - 1].column;
    const uint8_t *field = column == 0 ? worker->at : index->text + ends[column - 1] + 1;
    struct lum__csv_refused *refused = put_off(source, worker_index, index->text + row_end, filled);
    refused->rule = index->bad[row];
    refused->field = (struct lum__csv_field){.text = field, .length = (size_t)(index->text + ends[column] - field)};
    refused->offence = index->offences[row];
}

/* The first row from `row` on that the kernel marked; row_count if there is none. */
static uint32_t next_bad_row(const struct lum__csv_index *index, uint32_t row, uint32_t row_count)
{
    if (row == row_count) return row_count;
    uint32_t at = row / 64;
    uint64_t rows = index->bad_rows[at] & ~(uint64_t)0 << row % 64;

    while (rows == 0) {
        if (++at * 64 >= row_count) return row_count;
        rows = index->bad_rows[at];
    }
    return at * 64 + (uint32_t)__builtin_ctzll(rows);
}

/* Good rows close up where bad ones were: those that the kernel parsed into the columns at `from`. */
static void move_rows(const struct lum__csv_source *source, struct lum__field_columns *columns, size_t to, size_t from, size_t count)
{
    if (to == from || count == 0) return;
    if (source->plan.id_is_row_number) memmove(columns->id + to, columns->id + from, count * sizeof columns->id[0]);
    for (uint32_t i = 0; i < source->plan.rule_count; ++i) {
        const enum lum__field field = source->plan.rules[i].field;
        const size_t bytes = lum__field_places[field].bytes;
        uint8_t *column = lum__field_column(columns, field);
        memmove(column + to * bytes, column + from * bytes, count * bytes);
    }
}

/* A row that the kernel took out. Whether there are quotes or not: in the index all quotes stand where they may, so that its fields
 * are counted as formats/csv_cursor.h does. */
static void take_odd_row(struct lum__csv_source *source, uint32_t worker_index, const struct lum__csv_odd *odd, struct filled *filled)
{
    struct lum__csv_worker *worker = source->workers[worker_index];

    worker->at = worker->index.text + odd->begin;
    struct lum__csv_refused *refused = put_off(source, worker_index, worker->index.text + odd->end, filled);
    refused->rule = 0;
    refused->field_count = odd->field_count;
}

/* Rows that the kernel parsed, and those that it took out. positions: of the first row. */
static void settle_rows(struct lum__csv_source *source, uint32_t worker_index, uint32_t row_count,
                        const uint32_t *positions, struct filled *filled)
{
    struct lum__csv_worker *worker = source->workers[worker_index];
    const struct lum__csv_index *index = &worker->index;
    const size_t first = filled->count;
    const uint32_t *row_ends = index->row_ends + index->row_at - row_count;
    const struct lum__csv_odd *odd = index->odd, *odd_end = odd + index->odd_count;

    for (uint32_t row = 0; filled->status == LUM_OK;) {
        uint32_t stop = next_bad_row(index, row, row_count);
        const bool is_odd = odd < odd_end && odd->row <= stop;
        if (is_odd) stop = odd->row;
        const uint32_t good = stop - row;
        move_rows(source, worker->columns, filled->count, first + row, good);
        filled->count += good;
        worker->next_row += good;
        worker->rows_left -= good;
        row = stop;
        if (is_odd) {
            take_odd_row(source, worker_index, odd++, filled);
        } else if (row < row_count) {
            worker->at = index->text + (uint32_t)(index->before[row] + 1);
            take_marked_row(source, worker_index, row, row_ends[row], positions + (size_t)row * source->fast.field_count, filled);
            ++row;
        } else {
            break;
        }
    }
}

/* The next rows: as many as the kernel can do at once, or one the slow way. */
static void take_rows(struct lum__csv_source *source, uint32_t worker_index, uint32_t rows_max, struct filled *filled)
{
    struct lum__csv_worker *worker = source->workers[worker_index];
    struct lum__csv_index *index = &worker->index;
    bool any_bad;

    if (index->row_at == index->row_count) source->kernel->csv_index(index, source->delimiter, worker->at, worker->end);
    if (index->row_at == index->row_count) { /* a row that is too long, or with odd quotes */
        take_row(source, worker_index, filled);
        return;
    }
    const uint32_t *positions = index->positions + index->position_at;
    uint32_t count = source->kernel->csv_parse(index, &source->fast, source->plan.rows_before + worker->next_row + 1,
                                               rows_max, worker->columns, (uint32_t)filled->count, &any_bad);
    if (any_bad) {
        settle_rows(source, worker_index, count, positions, filled);
    } else {
        filled->count += count;
        worker->next_row += count;
        worker->rows_left -= count;
    }
    worker->at = index->text + index->row_begin;
}

static lum_status fill_columns(void *context, uint32_t worker_index, size_t rows_max, lum_columns *columns, size_t *row_count)
{
    struct lum__csv_source *source = context;
    struct lum__csv_worker *worker = worker_index < LUM__SOURCE_WORKERS_MAX ? source->workers[worker_index] : NULL;
    struct filled filled = {0};

    *row_count = 0;
    if (worker == NULL) return lum__fail(LUM_ERR_ARGUMENT, "rows of a CSV source before open_piece()");
    *columns = lum__field_columns_lend(worker->columns);
    if (rows_max > LUM__FIELD_COLUMNS_ROWS) rows_max = LUM__FIELD_COLUMNS_ROWS;
    while (filled.count < rows_max && worker->rows_left > 0 && filled.status == LUM_OK) {
        size_t wanted = rows_max - filled.count;
        if (wanted > worker->rows_left) wanted = worker->rows_left;
        if (source->is_fast)
            take_rows(source, worker_index, (uint32_t)wanted, &filled);
        else
            take_row(source, worker_index, &filled);
        if (source->rejects == NULL || worker->refused_count >= LUM__CSV_REFUSED_MANY)
            refuse_all(source, worker_index, &filled);
    }
    refuse_all(source, worker_index, &filled);
    /* Counters for reports; they order nothing. */
    atomic_fetch_add_explicit(&source->rows_read, filled.count + filled.bad_count, memory_order_relaxed);
    if (filled.bad_count > 0) atomic_fetch_add_explicit(&source->rows_rejected, filled.bad_count, memory_order_relaxed);
    if (filled.status == LUM_OK) *row_count = filled.count;
    lum__text_pieces_sum(&source->pieces, worker_index, worker->at, worker->rows_left);
    return filled.status;
}

static lum_status fill(void *context, uint32_t worker_index, lum_t *rows, size_t rows_max, size_t *row_count)
{
    struct lum__csv_source *source = context;
    lum_columns columns;

    LUM_TRY(fill_columns(context, worker_index, rows_max, &columns, row_count));
    for (size_t i = 0; i < *row_count; ++i) lum__field_columns_get(source->workers[worker_index]->columns, i, &rows[i]);
    return LUM_OK;
}

static void account(void *context, uint64_t *rows_read, uint64_t *rows_rejected, uint64_t *bytes_read)
{
    struct lum__csv_source *source = context;

    *rows_read = atomic_load_explicit(&source->rows_read, memory_order_relaxed);
    *rows_rejected = atomic_load_explicit(&source->rows_rejected, memory_order_relaxed);
    *bytes_read = atomic_load_explicit(&source->pieces.bytes_read, memory_order_relaxed);
}

/* ------------------------------------------------------------------------------------------------ opening, closing */

static lum_status check_delimiter(char delimiter)
{
    if (delimiter == '"' || delimiter == '\n' || delimiter == '\r' || (delimiter & 0x80) != 0)
        return lum__fail(LUM_ERR_ARGUMENT, "a delimiter is one ASCII character other than a quote or a line end");
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
    source->shown.mapping_text = source->mapping_text;
    return LUM_OK;
}

static void close_source(struct lum__row_source *shown)
{
    struct lum__csv_source *source = shown->source.context;

    for (uint32_t worker = 0; worker < LUM__SOURCE_WORKERS_MAX; ++worker) {
        if (source->workers[worker] != NULL) free(source->workers[worker]->columns);
        free(source->workers[worker]);
    }
    lum__text_pieces_fini(&source->pieces);
    free(source->header);
    free(source->header_text);
    free(source->names);
    free(source->lengths);
    free(source->mapping_text);
    free(source->name);
    free(source);
}

static void show_source(struct lum__csv_source *source)
{
    source->shown.format_name = "csv";
    source->shown.close = close_source;
    source->shown.source = (lum_source)LUM_SOURCE_INIT;
    source->shown.source.context = source;
    source->shown.source.name = source->name;
    source->shown.source.open_piece = open_piece;
    source->shown.source.fill = fill;
    source->shown.source.fill_columns = fill_columns;
    source->shown.source.account = account;
}

lum_status lum__csv_open(const struct lum__input_bytes *input, const struct lum__row_options *options,
                         struct lum__row_source **out)
{
    struct lum__csv_source *source = NULL;
    struct lum__input_bytes named = *input;
    lum_status status;
    void *memory;

    *out = NULL;
    LUM_TRY(check_delimiter(options->delimiter));
    LUM_TRY(lum__alloc_zeroed(1, sizeof *source, &memory));
    source = memory;
    show_source(source);
    source->delimiter = options->delimiter != 0 ? options->delimiter : ',';
    source->round = options->round;
    source->rejects = options->rejects;
    source->null_text = options->null_text;
    source->null_text_length = options->null_text != NULL ? strlen(options->null_text) : 0;
    LUM_TRY_OUT(copy_text(input->name, &source->name));
    source->shown.source.name = named.name = source->name;
    LUM_TRY_OUT(lum__text_pieces_init(&source->pieces, &named, options->piece_bytes_max, lum__csv_scan,
                                      source->delimiter, "CSV"));
    source->pieces.sums = options->sums;
    source->shown.text = &source->pieces;
    LUM_TRY_OUT(lum__csv_read_header(source, options->no_header));
    if (!source->shown.is_empty)
        LUM_TRY_OUT(lum__mapping_resolve(options->mapping, &source->columns, source->name, &source->plan));
    LUM_TRY_OUT(describe_mapping(source));
    lum__mapping_set_time_unit(&source->plan, options->time_unit);
    source->plan.rows_before = options->rows_before;
    for (uint32_t rule = 0; rule < source->plan.rule_count; ++rule)
        if (source->plan.rules[rule].field == LUM__FIELD_CHECKSUM) source->shown.source.has_checksums = true;
    source->kernel = lum__text_kernel_current();
    lum__csv_plan_columns(source);
    lum__csv_name_rules(source);
    *out = &source->shown;
    return LUM_OK;
out:
    close_source(&source->shown);
    return status;
}
