#include "formats/npy_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "formats/field_columns.h"
#include "formats/field_text.h"
#include "formats/npy_convert.h"
#include "formats/record_pieces.h"
#include "formats/row_check.h"

struct npy_source {
    struct lum__row_source shown; /* what the program sees */
    char *name;
    struct lum__npy_header header;
    struct lum__mapping_columns names;
    const char **name_list;
    size_t *length_list;
    struct lum__mapping_plan plan;
    struct lum__npy_rule rules[LUM__FIELD_COUNT];
    char *mapping_text;
    uint8_t *reject_header;
    uint64_t reserved_offset; /* of a byte in the record that must be 0; UINT64_MAX: none */
    bool has_checksums;
    bool is_record; /* the records are LUMs as they lie in memory */
    uint32_t front_sum; /* of the header */
    struct lum__record_pieces pieces;
    struct lum__field_columns *workers[LUM__SOURCE_WORKERS_MAX];
};

static lum_status open_piece(void *context, uint32_t worker, uint64_t rows_max, lum_piece *out)
{
    struct npy_source *source = context;

    return lum__record_pieces_open(&source->pieces, worker, rows_max, out);
}

/* ------------------------------------------------------------------------------------------------------ bad records */

/* `column 2 "lon", for position_x: "99999999999" is out of range` */
static void fault_value(const struct lum__npy_rule *rule, const uint8_t *record, enum lum__number_error error,
                        struct lum__row_fault *out)
{
    char text[40];
    size_t length = lum__npy_show(rule, record, text);

    lum__fault_begin(out, "", record + rule->column.offset, rule->rule.column + 1, rule->column.name);
    lum__fault_add(out, "column ");
    lum__fault_add_number(out, rule->rule.column + 1);
    lum__fault_add(out, " \"\"");
    lum__fault_add_text(out, rule->column.name, rule->column.name_length < 80 ? rule->column.name_length : 80);
    lum__fault_add(out, "\"\", ");
    lum__fault_add_field_name(out, rule->rule.field);
    lum__fault_add_field(out, &rule->rule, (const uint8_t *)text, length, error, length);
    out->remedy = error == LUM__NUMBER_EMPTY ? "NaT is no time: set one, or let it take the default with --null NaT"
                                             : lum__fault_field_remedy(&rule->rule, (const uint8_t *)text, length, error);
}

/* One record, the careful way. False if it is bad, and why. */
static bool convert_record(const struct npy_source *source, const uint8_t *record, uint64_t row_number, lum_t *row,
                           struct lum__row_fault *fault)
{
    *row = source->plan.defaults;
    if (source->plan.id_is_row_number) row->id = source->plan.rows_before + row_number + 1;
    for (uint32_t i = 0; i < source->plan.rule_count; ++i) {
        const struct lum__npy_rule *rule = &source->rules[i];
        enum lum__field field = rule->rule.field;
        uint64_t value;
        enum lum__number_error error =
            lum__npy_convert(rule, record, lum__field_value(&source->plan.defaults, field), &value);
        if (error != LUM__NUMBER_OK) return fault_value(rule, record, error, fault), false;
        memcpy((uint8_t *)row + lum__field_places[field].row_offset, &value, lum__field_places[field].bytes);
    }
    if (source->reserved_offset != UINT64_MAX && record[source->reserved_offset] != 0) {
        lum__fault_begin(fault, "range", record + source->reserved_offset, 0, "reserved");
        lum__fault_add(fault, "the reserved byte is not 0");
        return false;
    }
    if (source->has_checksums && row->checksum != lum_record_checksum(row))
        return lum__row_fault_checksum(row, record, fault), false;
    return true;
}

/* ------------------------------------------------------------------------------------------------------------- rows */

static bool reserved_is_zero(const struct npy_source *source, const uint8_t *records, size_t count)
{
    unsigned bad = 0;

    for (size_t i = 0; source->reserved_offset != UINT64_MAX && i < count; ++i)
        bad |= records[i * source->header.record_bytes + source->reserved_offset];
    return bad == 0;
}

/* All records of a page, column by column; false if any of them is bad. */
static bool convert_rows(const struct npy_source *source, const uint8_t *records, size_t count, uint64_t first_row,
                         lum_t *rows)
{
    bool is_good = reserved_is_zero(source, records, count);

    for (size_t i = 0; i < count; ++i) rows[i] = source->plan.defaults;
    uint64_t first_id = source->plan.rows_before + first_row + 1;
    for (size_t i = 0; source->plan.id_is_row_number && i < count; ++i) rows[i].id = first_id + i;
    for (uint32_t i = 0; i < source->plan.rule_count && is_good; ++i) {
        enum lum__field field = source->rules[i].rule.field;
        is_good = lum__npy_convert_all(&source->rules[i], records, source->header.record_bytes, count,
                                       lum__field_value(&source->plan.defaults, field),
                                       (uint8_t *)rows + lum__field_places[field].row_offset, sizeof *rows);
    }
    return is_good && lum__rows_are_good(rows, count, source->has_checksums);
}

/* There is a bad record among them: tells it, and gives the others. */
static lum_status pick_good_rows(struct npy_source *source, uint32_t worker, const uint8_t *records, size_t count,
                                 uint64_t first_row, lum_t *rows, size_t *row_count)
{
    struct lum__row_fault fault;
    size_t good = 0;
    lum_t row; /* the records may lie where the rows go */

    for (size_t i = 0; i < count; ++i) {
        const uint8_t *record = records + i * source->header.record_bytes;
        if (convert_record(source, record, first_row + i, &row, &fault))
            rows[good++] = row;
        else
            LUM_TRY(lum__record_pieces_refuse(&source->pieces, worker, first_row + i, record, &fault));
    }
    *row_count = good;
    return LUM_OK;
}

static lum_status fill(void *context, uint32_t worker, lum_t *rows, size_t rows_max, size_t *row_count)
{
    struct npy_source *source = context;
    const uint8_t *records;
    uint64_t first_row;
    size_t count;

    *row_count = 0;
    do {
        uint8_t *own = source->is_record ? (uint8_t *)rows : NULL; /* then they are read to where they belong */
        LUM_TRY(lum__record_pieces_next(&source->pieces, worker, rows_max, own, &records, &count, &first_row));
        bool is_good;
        if (source->is_record) {
            if (records != own) memcpy(rows, records, count * sizeof *rows);
            for (size_t i = 0; source->reserved_offset == UINT64_MAX && i < count; ++i)
                rows[i].reserved = 0; /* padding */
            is_good = lum__rows_are_good(rows, count, true);
        } else {
            is_good = convert_rows(source, records, count, first_row, rows);
        }
        if (is_good)
            *row_count = count;
        else
            LUM_TRY(pick_good_rows(source, worker, records, count, first_row, rows, row_count));
    } while (*row_count == 0 && count > 0); /* a page of bad records only is not the end */
    return LUM_OK;
}

/* ---------------------------------------------------------------------------------------------------------- columns */

static bool convert_columns(const struct npy_source *source, const uint8_t *records, size_t count, uint64_t first_row,
                            struct lum__field_columns *columns)
{
    bool is_good = reserved_is_zero(source, records, count);

    uint64_t first_id = source->plan.rows_before + first_row + 1;
    for (size_t i = 0; source->plan.id_is_row_number && i < count; ++i) columns->id[i] = first_id + i;
    for (uint32_t i = 0; i < source->plan.rule_count && is_good; ++i) {
        enum lum__field field = source->rules[i].rule.field;
        is_good = lum__npy_convert_all(&source->rules[i], records, source->header.record_bytes, count,
                                       lum__field_value(&source->plan.defaults, field),
                                       lum__field_column(columns, field), lum__field_places[field].bytes);
    }
    return is_good;
}

/* The careful way, when there is a bad record. */
static lum_status pick_good_columns(struct npy_source *source, uint32_t worker, const uint8_t *records, size_t count,
                                    uint64_t first_row, struct lum__field_columns *columns, size_t *row_count)
{
    struct lum__row_fault fault;
    size_t good = 0;
    lum_t row;

    for (size_t i = 0; i < count; ++i) {
        const uint8_t *record = records + i * source->header.record_bytes;
        if (!convert_record(source, record, first_row + i, &row, &fault)) {
            LUM_TRY(lum__record_pieces_refuse(&source->pieces, worker, first_row + i, record, &fault));
            continue;
        }
        lum__field_columns_put(columns, good, &row);
        good++;
    }
    *row_count = good;
    return LUM_OK;
}

static lum_status fill_columns(void *context, uint32_t worker, size_t rows_max, lum_columns *out, size_t *row_count)
{
    struct npy_source *source = context;
    struct lum__field_columns *columns;
    const uint8_t *records;
    uint64_t first_row;
    size_t count;

    *row_count = 0;
    if (worker >= LUM__SOURCE_WORKERS_MAX) return lum__fail(LUM_ERR_ARGUMENT, "there is no such worker");
    if (source->workers[worker] == NULL) LUM_TRY(lum__field_columns_make(&source->plan.defaults, &source->workers[worker]));
    columns = source->workers[worker];
    if (rows_max > LUM__FIELD_COLUMNS_ROWS) rows_max = LUM__FIELD_COLUMNS_ROWS;
    do {
        LUM_TRY(lum__record_pieces_next(&source->pieces, worker, rows_max, NULL, &records, &count, &first_row));
        if (convert_columns(source, records, count, first_row, columns))
            *row_count = count;
        else
            LUM_TRY(pick_good_columns(source, worker, records, count, first_row, columns, row_count));
    } while (*row_count == 0 && count > 0);
    *out = lum__field_columns_lend(columns);
    return LUM_OK;
}

static void account(void *context, uint64_t *rows_read, uint64_t *rows_rejected, uint64_t *bytes_read)
{
    struct npy_source *source = context;

    lum__record_pieces_account(&source->pieces, rows_read, rows_rejected, bytes_read);
}

/* --------------------------------------------------------------------------------------------------------- opening */

/* The header of an array without rows and of the same type. Blanks leave room for any number in its shape. */
static lum_status make_reject_header(struct npy_source *source, uint32_t version, const uint8_t *text)
{
    static const char before[] = "{'descr': ", behind[] = ", 'fortran_order': False, 'shape': (0,), }";
    const struct lum__npy_header *header = &source->header;
    void *memory;

    size_t used = LUM__NPY_PREFIX_BYTES + strlen(before) + header->descr_bytes + strlen(behind);
    size_t bytes = lum__round_up(used + 24, 64);
    LUM_TRY(lum__alloc(bytes, &memory));
    uint8_t *at = source->reject_header = memory;
    if (version == 1 && bytes > UINT16_MAX) version = 2; /* both have Latin-1 */
    size_t prefix_bytes = version == 1 ? 10 : 12;
    memset(at, ' ', bytes);
    memcpy(at, LUM__NPY_MAGIC "\0\0", 8);
    at[6] = (uint8_t)version;
    if (version == 1)
        lum__put_u16(at + 8, (uint16_t)(bytes - prefix_bytes));
    else
        lum__put_u32(at + 8, (uint32_t)(bytes - prefix_bytes));
    at[bytes - 1] = '\n';
    at += prefix_bytes;
    memcpy(at, before, strlen(before));
    at += strlen(before);
    memcpy(at, text + header->descr_at, header->descr_bytes);
    memcpy(at + header->descr_bytes, behind, strlen(behind));
    source->shown.reject_header = source->reject_header;
    source->shown.reject_header_bytes = bytes;
    return LUM_OK;
}

static lum_status read_header(struct npy_source *source, const struct lum__input_bytes *input)
{
    uint8_t prefix[LUM__NPY_PREFIX_BYTES];
    size_t got, prefix_bytes, header_bytes;
    uint32_t version;
    void *memory;

    LUM_TRY(lum__record_input_read(input, 0, prefix, sizeof prefix, &got));
    LUM_TRY(lum__npy_prefix(prefix, got, input->name, &version, &prefix_bytes, &header_bytes));
    LUM_TRY(lum__alloc(header_bytes, &memory));
    uint8_t *text = memory;
    size_t front = sizeof prefix - prefix_bytes; /* of the header, read with the prefix */
    memcpy(text, prefix + prefix_bytes, front);
    lum_status status = lum__record_input_read(input, sizeof prefix, text + front, header_bytes - front, &got);
    if (status == LUM_OK && got < header_bytes - front) {
        status = lum__fail_at(__FILE__, __LINE__, LUM_ERR_INPUT, 0, input->name, sizeof prefix + got, 0,
                              "the file ends within its .npy header of %zu bytes", header_bytes);
        lum__error_set_remedy("the file was cut short: write or copy it again");
    }
    if (status == LUM_OK)
        status = lum__npy_parse(text, header_bytes, version, prefix_bytes + header_bytes, input->name, &source->header);
    if (status == LUM_OK) status = make_reject_header(source, version, text);
    if (status == LUM_OK) source->front_sum = lum__crc32c(lum__crc32c(0, prefix, sizeof prefix), text + front, header_bytes - front);
    free(text);
    return status;
}

/* A regular file has exactly the bytes that its header speaks of. */
static lum_status check_length(const struct npy_source *source, const struct lum__input_bytes *input)
{
    const struct lum__npy_header *header = &source->header;
    uint64_t expected = header->data_offset + header->row_count * header->record_bytes;

    if (input->fd < 0 || input->file_bytes == expected) return LUM_OK;
    bool is_short = input->file_bytes < expected;
    lum_status status =
        lum__fail_at(__FILE__, __LINE__, LUM_ERR_INPUT, 0, input->name, is_short ? input->file_bytes : expected, 0,
                     "the header says %llu rows of %llu bytes, which makes %llu bytes; the file has %llu",
                     (unsigned long long)header->row_count, (unsigned long long)header->record_bytes,
                     (unsigned long long)expected, (unsigned long long)input->file_bytes);
    lum__error_set_remedy(is_short ? "the file was cut short: write or copy it again"
                                   : "give a file with one array and nothing behind it");
    return status;
}

static lum_status list_names(struct npy_source *source)
{
    const struct lum__npy_header *header = &source->header;
    void *memory;

    LUM_TRY(lum__alloc_zeroed(header->column_count, sizeof *source->name_list, &memory));
    source->name_list = memory;
    LUM_TRY(lum__alloc_zeroed(header->column_count, sizeof *source->length_list, &memory));
    source->length_list = memory;
    for (uint32_t i = 0; i < header->column_count; ++i) {
        source->name_list[i] = header->columns[i].name;
        source->length_list[i] = header->columns[i].name_length;
    }
    source->names = (struct lum__mapping_columns){source->name_list, source->length_list, header->column_count, true,
                                                  LUM__COLUMNS_OF_FIELDS};
    return LUM_OK;
}

static lum_status describe_mapping(struct npy_source *source)
{
    char probe[1];
    void *memory;

    size_t length = lum__mapping_describe(&source->plan, &source->names, probe, sizeof probe);
    LUM_TRY(lum__alloc(length + 1, &memory));
    source->mapping_text = memory;
    (void)lum__mapping_describe(&source->plan, &source->names, source->mapping_text, length + 1);
    source->shown.mapping_text = source->mapping_text;
    return LUM_OK;
}

/* Which column feeds which field, and whether it can. */
static lum_status make_rules(struct npy_source *source, const struct lum__row_options *options)
{
    for (uint32_t i = 0; i < source->plan.rule_count; ++i) {
        const struct lum__mapping_rule *rule = &source->plan.rules[i];
        const struct lum__npy_column *column = &source->header.columns[rule->column];
        bool nat_is_null = options->null_text != NULL;
        const char *reason = lum__npy_rule_init(&source->rules[i], rule, column, nat_is_null, options->round);
        source->has_checksums |= rule->field == LUM__FIELD_CHECKSUM;
        if (reason == NULL) continue;
        lum_status status = lum__fail_at(__FILE__, __LINE__, LUM_ERR_INPUT, 0, source->name, LUM_NO_OFFSET, 0,
                                         "column %u \"%.80s\" (%s), for %s: it %s", rule->column + 1, column->name,
                                         column->type_text, lum__field_name(rule->field), reason);
        lum__error_set_remedy("map another column: --map %s=COLUMN", lum__field_name(rule->field));
        return status;
    }
    return LUM_OK;
}

/* Records that are LUMs as they lie in memory, and the byte that must be 0. */
static void find_shortcuts(struct npy_source *source)
{
    source->is_record = source->header.record_bytes == sizeof(lum_t) && source->plan.rule_count == LUM__FIELD_COUNT;
    for (uint32_t i = 0; i < source->plan.rule_count; ++i)
        source->is_record = source->is_record && source->rules[i].is_copy &&
                            source->rules[i].column.offset == lum__field_places[source->rules[i].rule.field].row_offset;
    source->reserved_offset = UINT64_MAX;
    for (uint32_t i = 0; i < source->header.column_count; ++i) {
        const struct lum__npy_column *column = &source->header.columns[i];
        if (strcmp(column->name, "reserved") == 0 && column->byte_count == 1) source->reserved_offset = column->offset;
    }
}

static void close_source(struct lum__row_source *shown)
{
    struct npy_source *source = shown->source.context;

    for (uint32_t worker = 0; worker < LUM__SOURCE_WORKERS_MAX; ++worker) free(source->workers[worker]);
    lum__record_pieces_fini(&source->pieces);
    lum__npy_header_fini(&source->header);
    free(source->name_list);
    free(source->length_list);
    free(source->mapping_text);
    free(source->reject_header);
    free(source->name);
    free(source);
}

static void show_source(struct npy_source *source)
{
    lum_source *shown = &source->shown.source;

    source->shown.format_name = "npy";
    source->shown.close = close_source;
    shown->name = source->name;
    shown->row_count = source->header.row_count;
    shown->has_checksums = source->has_checksums;
    shown->open_piece = open_piece;
    shown->fill = fill;
    shown->fill_columns = source->has_checksums ? NULL : fill_columns;
    shown->account = account;
}

lum_status lum__npy_open(const struct lum__input_bytes *input, const struct lum__row_options *options,
                         struct lum__row_source **out)
{
    struct lum__input_bytes named = *input;
    struct npy_source *source;
    lum_status status;
    void *memory;

    *out = NULL;
    LUM_TRY(lum__alloc_zeroed(1, sizeof *source, &memory));
    source = memory;
    source->shown.source = (lum_source)LUM_SOURCE_INIT;
    source->shown.source.context = source;
    LUM_TRY_OUT(lum__alloc(strlen(input->name) + 1, &memory));
    named.name = source->name = strcpy(memory, input->name);
    LUM_TRY_OUT(read_header(source, &named));
    LUM_TRY_OUT(check_length(source, &named));
    LUM_TRY_OUT(list_names(source));
    LUM_TRY_OUT(lum__mapping_resolve(options->mapping, &source->names, source->name, &source->plan));
    LUM_TRY_OUT(describe_mapping(source));
    lum__mapping_set_time_unit(&source->plan, options->time_unit);
    source->plan.rows_before = options->rows_before;
    LUM_TRY_OUT(make_rules(source, options));
    find_shortcuts(source);
    lum__record_pieces_init(&source->pieces, &named, source->header.data_offset, (size_t)source->header.record_bytes,
                            source->header.row_count, options->rejects);
    source->pieces.sums = options->sums;
    source->pieces.front_sum = source->front_sum;
    source->shown.records = &source->pieces;
    show_source(source);
    *out = &source->shown;
    return LUM_OK;
out:
    close_source(&source->shown);
    return status;
}
