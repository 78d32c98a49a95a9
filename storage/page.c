/* storage/page.c - pages: the choice of kernel, headers, and the order of the steps. The loops are in
 * storage/page_kernel.c. */
#include "storage/page.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/simd.h"
#include "storage/page_kernel.h"
#include "storage/record.h"

_Static_assert(LUM__PAGE_PAYLOAD_AT + LUM__PAGE_ROWS_MAX * (3 * 8 + 2 * 4 + 3) <= LUM__PAGE_BYTES_MAX,
               "every column plain fits");

/* --- the kernel
 * --------------------------------------------------------------------------------------------------------------- */

static const struct lum__page_kernel *chosen;
static _Atomic(const struct lum__page_kernel *) forced; /* relaxed: only tests set it, before they start threads */
static pthread_once_t chosen_once = PTHREAD_ONCE_INIT;

const struct lum__page_kernel *lum__page_kernel_by_name(const char *name)
{
    static const struct lum__page_kernel *const kernels[] = {
        &lum__page_kernel_baseline,
#if defined(__x86_64__)
        &lum__page_kernel_avx2,
        &lum__page_kernel_avx512,
#endif
    };
    enum lum__simd level = lum__simd_find(name);

    return level < LUM__SIMD_COUNT && lum__simd_has(level) ? kernels[level] : NULL;
}

static void choose_kernel(void) { chosen = lum__page_kernel_by_name(lum__simd_name(lum__simd_best())); }

const struct lum__page_kernel *lum__page_kernel_current(void)
{
    const struct lum__page_kernel *kernel = atomic_load_explicit(&forced, memory_order_relaxed);
    if (kernel != NULL) return kernel;
    pthread_once(&chosen_once, choose_kernel);
    return chosen;
}

void lum__page_kernel_force(const struct lum__page_kernel *kernel)
{
    atomic_store_explicit(&forced, kernel, memory_order_relaxed);
}

const char *lum__simd_level(void) { return lum__page_kernel_current()->name; }

size_t lum__page_scratch_bytes(void) { return sizeof(struct lum__page_scratch); }

/* --- the columns of schema 0
 * -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    uint8_t type;
    size_t scratch_offset;
    uint64_t value_limit; /* largest value allowed; only columns of one byte have one */
} schema[LUM__PAGE_COLUMNS] = {
    {"id", LUM__TYPE_U64, offsetof(struct lum__page_scratch, id), UINT64_MAX},
    {"timestamp", LUM__TYPE_U64, offsetof(struct lum__page_scratch, timestamp), UINT64_MAX},
    {"memory_address", LUM__TYPE_U64, offsetof(struct lum__page_scratch, memory_address), UINT64_MAX},
    {"position_x", LUM__TYPE_I32, offsetof(struct lum__page_scratch, position_x), UINT64_MAX},
    {"position_y", LUM__TYPE_I32, offsetof(struct lum__page_scratch, position_y), UINT64_MAX},
    {"presence", LUM__TYPE_U8, offsetof(struct lum__page_scratch, presence), 1},
    {"structure_type", LUM__TYPE_U8, offsetof(struct lum__page_scratch, structure_type), LUM_STRUCTURE_TYPE_MAX},
    {"is_destroyed", LUM__TYPE_U8, offsetof(struct lum__page_scratch, is_destroyed), 1},
};

static void *scratch_column(struct lum__page_scratch *scratch, uint32_t column)
{
    return (uint8_t *)scratch + schema[column].scratch_offset;
}

const char *lum__column_name(uint8_t column) { return column < LUM__PAGE_COLUMNS ? schema[column].name : "unknown"; }

const char *lum__encoding_name(uint8_t encoding)
{
    static const char *const names[] = {"unknown", "constant", "stride", "plain", "for", "delta", "delta_head"};
    return names[encoding <= LUM__ENCODING_LAST ? encoding : 0];
}

/* --- encoding
 * ----------------------------------------------------------------------------------------------------------------- */

void lum__page_put_header(uint8_t *page, uint32_t row_count, uint32_t byte_count, uint32_t lum_digest,
                          const struct lum__page_descriptor columns[LUM__PAGE_COLUMNS])
{
    memset(page, 0, LUM__PAGE_PAYLOAD_AT);
    lum__put_u32(page + LUM__PAGE_AT_MAGIC, LUM__PAGE_MAGIC);
    lum__put_u16(page + LUM__PAGE_AT_SCHEMA, LUM__PAGE_SCHEMA_LUM);
    lum__put_u16(page + LUM__PAGE_AT_VERSION, LUM__PAGE_VERSION);
    lum__put_u32(page + LUM__PAGE_AT_ROW_COUNT, row_count);
    lum__put_u32(page + LUM__PAGE_AT_BYTE_COUNT, byte_count);
    lum__put_u32(page + LUM__PAGE_AT_LUM_DIGEST, lum_digest);
    page[LUM__PAGE_AT_COLUMN_COUNT] = LUM__PAGE_COLUMNS;
    for (uint32_t i = 0; i < LUM__PAGE_COLUMNS; i++) {
        uint8_t *at = page + LUM__PAGE_HEADER_BYTES + i * LUM__PAGE_COLUMN_BYTES;
        at[LUM__PAGE_COLUMN_AT_ID] = columns[i].column;
        at[LUM__PAGE_COLUMN_AT_TYPE] = columns[i].type;
        at[LUM__PAGE_COLUMN_AT_ENCODING] = columns[i].encoding;
        lum__put_u32(at + LUM__PAGE_COLUMN_AT_PARAMETER, columns[i].parameter);
        lum__put_u32(at + LUM__PAGE_COLUMN_AT_OFFSET, columns[i].offset);
        lum__put_u32(at + LUM__PAGE_COLUMN_AT_BYTES, columns[i].byte_count);
        lum__put_u64(at + LUM__PAGE_COLUMN_AT_MIN, columns[i].value_min);
        lum__put_u64(at + LUM__PAGE_COLUMN_AT_MAX, columns[i].value_max);
    }
}

struct lum__range lum__page_range(const struct lum__page_descriptor columns[LUM__PAGE_COLUMNS])
{
    return (struct lum__range){
        .id_min = columns[LUM_COLUMN_ID].value_min,
        .id_max = columns[LUM_COLUMN_ID].value_max,
        .timestamp_min = columns[LUM_COLUMN_TIMESTAMP].value_min,
        .timestamp_max = columns[LUM_COLUMN_TIMESTAMP].value_max,
        .x_min = (int32_t)columns[LUM_COLUMN_POSITION_X].value_min,
        .x_max = (int32_t)columns[LUM_COLUMN_POSITION_X].value_max,
        .y_min = (int32_t)columns[LUM_COLUMN_POSITION_Y].value_min,
        .y_max = (int32_t)columns[LUM_COLUMN_POSITION_Y].value_max,
    };
}

/* The first bad row, when there is one: the fast checks only say that there is. */
static bool find_row_fault(const lum_t *rows, uint32_t row_count, bool has_checksum, struct lum__page_summary *summary)
{
    for (uint32_t i = 0; i < row_count; i++) {
        enum lum__row_fault fault = lum__record_check(&rows[i], has_checksum);
        if (fault == LUM__ROW_OK) continue;
        summary->row_fault = fault;
        summary->row_fault_index = i;
        return true;
    }
    return false;
}

/* Columns, with their checksums in scratch->checksum, to a page. False, with nothing promised about out, if a column of
 * one byte holds a value that is not allowed. */
static bool encode_columns(struct lum__page_scratch *scratch, const void *const values[LUM__PAGE_COLUMNS],
                           uint32_t row_count, uint8_t *out, struct lum__page_summary *summary)
{
    const struct lum__page_kernel *kernel = lum__page_kernel_current();
    struct lum__page_descriptor columns[LUM__PAGE_COLUMNS];
    uint32_t offset = LUM__PAGE_PAYLOAD_AT, lag_hint = kernel->find_lag(values[LUM_COLUMN_ID], row_count);
    for (uint32_t i = 0; i < LUM__PAGE_COLUMNS; i++) {
        columns[i] = (struct lum__page_descriptor){.column = (uint8_t)i, .type = schema[i].type, .offset = offset};
        kernel->encode_column(scratch, values[i], row_count, lag_hint, out + offset, &columns[i]);
        if (columns[i].type == LUM__TYPE_U8 && columns[i].value_max > schema[i].value_limit) return false;
        uint32_t end = offset + columns[i].byte_count;
        offset = (uint32_t)lum__round_up(end, LUM__PAGE_ALIGNMENT);
        memset(out + end, 0, offset - end);
    }
    LUM_ASSERT(offset <= LUM__PAGE_BYTES_MAX);
    summary->byte_count = offset;
    summary->lum_digest = lum__crc32c(0, scratch->checksum, (size_t)row_count * 4);
    summary->range = lum__page_range(columns);
    lum__page_put_header(out, row_count, offset, summary->lum_digest, columns);
    return true;
}

void lum__page_encode(struct lum__page_scratch *scratch, const lum_t *rows, uint32_t row_count, bool has_checksum,
                      uint8_t *out, struct lum__page_summary *summary)
{
    LUM_ASSERT(row_count >= 1 && row_count <= LUM__PAGE_ROWS_MAX);
    *summary = (struct lum__page_summary){.row_count = row_count};
    bool is_good = lum__page_kernel_current()->split(scratch, rows, row_count, has_checksum);
    const void *values[LUM__PAGE_COLUMNS];
    for (uint32_t i = 0; i < LUM__PAGE_COLUMNS; i++) values[i] = scratch_column(scratch, i);
    if (is_good) is_good = encode_columns(scratch, values, row_count, out, summary);
    if (!is_good) {
        bool is_found = find_row_fault(rows, row_count, has_checksum, summary);
        LUM_ASSERT(is_found); /* rows do not change while they are encoded */
    }
}

void lum__page_encode_columns(struct lum__page_scratch *scratch, const lum_columns *columns, uint32_t row_count,
                              uint8_t *out, struct lum__page_summary *summary)
{
    LUM_ASSERT(row_count >= 1 && row_count <= LUM__PAGE_ROWS_MAX);
    *summary = (struct lum__page_summary){.row_count = row_count};
    const void *values[LUM__PAGE_COLUMNS] = {
        columns->id,         columns->timestamp, columns->memory_address, columns->position_x,
        columns->position_y, columns->presence,  columns->structure_type, columns->is_destroyed};
    for (uint32_t i = 0; i < LUM__PAGE_COLUMNS; i++) {
        if (values[i] != NULL) continue;
        void *column = scratch_column(scratch, i);
        memset(column, i == LUM_COLUMN_PRESENCE ? 1 : 0, (size_t)row_count * lum__page_type_bytes(schema[i].type));
        values[i] = column;
    }
    lum_columns all = {values[0], values[1], values[2], values[3], values[4], values[5], values[6], values[7], NULL};
    lum__page_kernel_current()->checksum(&all, row_count, scratch->checksum);
    if (encode_columns(scratch, values, row_count, out, summary)) return;
    for (uint32_t i = 0; i < row_count; i++) {
        lum_t row = {
            .presence = all.presence[i], .structure_type = all.structure_type[i], .is_destroyed = all.is_destroyed[i]};
        summary->row_fault = lum__record_check(&row, false);
        summary->row_fault_index = i;
        if (summary->row_fault != LUM__ROW_OK) return;
    }
    LUM_ASSERT(!"columns do not change while they are encoded");
}

/* --- decoding
 * ----------------------------------------------------------------------------------------------------------------- */

static bool damaged(uint32_t *condition_out, uint32_t *at_out, uint32_t condition, uint32_t at)
{
    *condition_out = condition;
    *at_out = at;
    return false;
}

#define CHECK(truth, number, where)                                                                                    \
    do {                                                                                                               \
        if (!(truth)) return damaged(condition, at, (number), (uint32_t)(where));                                      \
    } while (0)

/* Conditions 201-209. */
static bool check_header(const uint8_t *page, size_t page_bytes, uint32_t row_count, const uint32_t *lum_digest,
                         uint32_t *condition, uint32_t *at)
{
    CHECK(page_bytes >= LUM__PAGE_PAYLOAD_AT && page_bytes <= LUM__PAGE_BYTES_MAX &&
              page_bytes % LUM__PAGE_ALIGNMENT == 0,
          LUM__PAGE_BAD_LENGTH, 0);
    CHECK(lum__get_u32(page + LUM__PAGE_AT_MAGIC) == LUM__PAGE_MAGIC, LUM__PAGE_BAD_MAGIC, LUM__PAGE_AT_MAGIC);
    CHECK(lum__get_u16(page + LUM__PAGE_AT_SCHEMA) == LUM__PAGE_SCHEMA_LUM, LUM__PAGE_UNKNOWN_SCHEMA,
          LUM__PAGE_AT_SCHEMA);
    CHECK(lum__get_u16(page + LUM__PAGE_AT_VERSION) == LUM__PAGE_VERSION, LUM__PAGE_UNKNOWN_VERSION,
          LUM__PAGE_AT_VERSION);
    CHECK(row_count >= 1 && row_count <= LUM__PAGE_ROWS_MAX && lum__get_u32(page + LUM__PAGE_AT_ROW_COUNT) == row_count,
          LUM__PAGE_BAD_ROW_COUNT, LUM__PAGE_AT_ROW_COUNT);
    CHECK(lum__get_u32(page + LUM__PAGE_AT_BYTE_COUNT) == page_bytes, LUM__PAGE_BAD_BYTE_COUNT,
          LUM__PAGE_AT_BYTE_COUNT);
    CHECK(page[LUM__PAGE_AT_COLUMN_COUNT] == LUM__PAGE_COLUMNS, LUM__PAGE_BAD_COLUMN_COUNT, LUM__PAGE_AT_COLUMN_COUNT);
    CHECK(lum__is_zero(page + LUM__PAGE_AT_RESERVED, LUM__PAGE_HEADER_BYTES - LUM__PAGE_AT_RESERVED),
          LUM__PAGE_BAD_RESERVED, LUM__PAGE_AT_RESERVED);
    CHECK(lum_digest == NULL || lum__get_u32(page + LUM__PAGE_AT_LUM_DIGEST) == *lum_digest, LUM__PAGE_BAD_DIGEST_COPY,
          LUM__PAGE_AT_LUM_DIGEST);
    return true;
}

/* A value of an i32 column is stored sign-extended, one of a u8 column zero-extended. */
static bool fits_type(uint8_t type, uint64_t value)
{
    if (type == LUM__TYPE_U8) return value <= UINT8_MAX;
    if (type == LUM__TYPE_I32) return value == (uint64_t)(int64_t)(int32_t)value;
    return true;
}

/* Conditions 208 and 210-213, 216, 217: what a descriptor may say by itself. */
static bool check_descriptor(const uint8_t *raw, uint32_t where, uint32_t index, uint32_t row_count,
                             struct lum__page_descriptor *out, uint32_t *condition, uint32_t *at)
{
    *out = (struct lum__page_descriptor){
        .column = raw[LUM__PAGE_COLUMN_AT_ID],
        .type = raw[LUM__PAGE_COLUMN_AT_TYPE],
        .encoding = raw[LUM__PAGE_COLUMN_AT_ENCODING],
        .parameter = lum__get_u32(raw + LUM__PAGE_COLUMN_AT_PARAMETER),
        .offset = lum__get_u32(raw + LUM__PAGE_COLUMN_AT_OFFSET),
        .byte_count = lum__get_u32(raw + LUM__PAGE_COLUMN_AT_BYTES),
        .value_min = lum__get_u64(raw + LUM__PAGE_COLUMN_AT_MIN),
        .value_max = lum__get_u64(raw + LUM__PAGE_COLUMN_AT_MAX),
    };
    uint8_t encoding = out->encoding;
    bool is_byte = out->type == LUM__TYPE_U8;
    CHECK(out->column == index, LUM__PAGE_BAD_COLUMN, where + LUM__PAGE_COLUMN_AT_ID);
    CHECK(out->type == schema[index].type, LUM__PAGE_BAD_COLUMN, where + LUM__PAGE_COLUMN_AT_TYPE);
    CHECK(raw[LUM__PAGE_COLUMN_AT_RESERVED] == 0, LUM__PAGE_BAD_RESERVED, where + LUM__PAGE_COLUMN_AT_RESERVED);
    CHECK(encoding >= 1 && encoding <= LUM__ENCODING_LAST, LUM__PAGE_UNKNOWN_ENCODING,
          where + LUM__PAGE_COLUMN_AT_ENCODING);
    CHECK(!is_byte || encoding == LUM__ENCODING_CONSTANT || encoding == LUM__ENCODING_PLAIN ||
              encoding == LUM__ENCODING_FOR,
          LUM__PAGE_BAD_ENCODING, where + LUM__PAGE_COLUMN_AT_ENCODING);

    uint32_t parameter_min = encoding == LUM__ENCODING_DELTA ? 1 : encoding == LUM__ENCODING_DELTA_HEAD ? 2 : 0;
    uint32_t parameter_max = parameter_min ? row_count - 1 : encoding == LUM__ENCODING_STRIDE ? 1 : 0;
    CHECK(out->parameter >= parameter_min && out->parameter <= parameter_max, LUM__PAGE_BAD_PARAMETER,
          where + LUM__PAGE_COLUMN_AT_PARAMETER);

    CHECK(fits_type(out->type, out->value_min), LUM__PAGE_BAD_LIMITS, where + LUM__PAGE_COLUMN_AT_MIN);
    CHECK(fits_type(out->type, out->value_max) && out->value_max <= schema[index].value_limit, LUM__PAGE_BAD_LIMITS,
          where + LUM__PAGE_COLUMN_AT_MAX);
    CHECK(out->type == LUM__TYPE_I32 ? (int64_t)out->value_min <= (int64_t)out->value_max
                                     : out->value_min <= out->value_max,
          LUM__PAGE_BAD_LIMITS, where + LUM__PAGE_COLUMN_AT_MIN);

    uint64_t span = out->value_max - out->value_min;
    CHECK(encoding != LUM__ENCODING_CONSTANT || span == 0, LUM__PAGE_BAD_STRIDE, where + LUM__PAGE_COLUMN_AT_MAX);
    CHECK(encoding != LUM__ENCODING_STRIDE || (row_count >= 2 && span != 0 && span % (row_count - 1) == 0),
          LUM__PAGE_BAD_STRIDE, where + LUM__PAGE_COLUMN_AT_MAX);
    return true;
}

/* What a block's base and width may be, as the column's min and max have it: readers rely on it to decode narrow
 * columns in 32 bits. */
static bool check_block(const struct lum__page_descriptor *column, uint32_t lag, uint64_t base, uint32_t width)
{
    uint32_t type_bits = lum__page_type_bytes(column->type) * 8;
    uint64_t span = column->value_max - column->value_min;
    uint32_t span_bits = span == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(span);
    if (!fits_type(column->type, base) || width > type_bits) return false;
    if (lag == 0) return base - column->value_min <= span && width <= span_bits;
    if (span_bits >= type_bits) return true; /* differences may wrap */
    return (int64_t)base >= -(int64_t)span && (int64_t)base <= (int64_t)span && width <= span_bits + 1;
}

/* Conditions 215, 218, 219 for a packed column whose payload lies inside the page: the block table, and the length it
 * makes. */
static bool check_blocks(const uint8_t *page, const struct lum__page_descriptor *column, uint32_t row_count,
                         uint32_t bytes_at, uint32_t *condition, uint32_t *at)
{
    struct lum__page_section sections[3];
    uint32_t section_count = lum__page_sections(column->encoding, column->parameter, row_count, sections);
    uint32_t block_count = lum__page_blocks(sections, section_count), table_bytes = lum__page_table_bytes(block_count);
    CHECK(column->byte_count >= table_bytes, LUM__PAGE_BAD_PAYLOAD_BYTES, bytes_at);
    uint32_t entry = column->offset, expected = table_bytes;
    for (uint32_t s = 0; s < section_count; s++) {
        for (uint32_t begin = sections[s].begin; begin < sections[s].end; begin += LUM__BLOCK_VALUES) {
            uint32_t count = sections[s].end - begin < LUM__BLOCK_VALUES ? sections[s].end - begin : LUM__BLOCK_VALUES;
            uint32_t width = page[entry + LUM__BLOCK_AT_WIDTH];
            CHECK(check_block(column, sections[s].lag, lum__get_u64(page + entry + LUM__BLOCK_AT_BASE), width),
                  LUM__PAGE_BAD_BLOCK, entry);
            CHECK(lum__is_zero(page + entry + LUM__BLOCK_AT_RESERVED, LUM__BLOCK_ENTRY_BYTES - LUM__BLOCK_AT_RESERVED),
                  LUM__PAGE_BAD_BLOCK, entry + LUM__BLOCK_AT_RESERVED);
            expected += lum__page_body_bytes(column->type, count, width);
            entry += LUM__BLOCK_ENTRY_BYTES;
        }
    }
    CHECK(lum__is_zero(page + entry, column->offset + table_bytes - entry), LUM__PAGE_BAD_PADDING, entry);
    CHECK(column->byte_count == expected, LUM__PAGE_BAD_PAYLOAD_BYTES, bytes_at);
    return true;
}

/* lum_digest NULL: not compared. */
static bool parse_page(const uint8_t *page, size_t page_bytes, uint32_t row_count, const uint32_t *lum_digest,
                       struct lum__page_descriptor out[LUM__PAGE_COLUMNS], uint32_t *condition, uint32_t *at)
{
    if (!check_header(page, page_bytes, row_count, lum_digest, condition, at)) return false;
    uint32_t offset = LUM__PAGE_PAYLOAD_AT;
    for (uint32_t i = 0; i < LUM__PAGE_COLUMNS; i++) {
        uint32_t where = LUM__PAGE_HEADER_BYTES + i * LUM__PAGE_COLUMN_BYTES,
                 bytes_at = where + LUM__PAGE_COLUMN_AT_BYTES;
        if (!check_descriptor(page + where, where, i, row_count, &out[i], condition, at)) return false;
        CHECK(out[i].offset == offset, LUM__PAGE_BAD_OFFSET, where + LUM__PAGE_COLUMN_AT_OFFSET);
        CHECK(out[i].byte_count <= page_bytes - offset, LUM__PAGE_BAD_PAYLOAD_BYTES, bytes_at);
        if (out[i].encoding == LUM__ENCODING_CONSTANT || out[i].encoding == LUM__ENCODING_STRIDE)
            CHECK(out[i].byte_count == 0, LUM__PAGE_BAD_PAYLOAD_BYTES, bytes_at);
        else if (out[i].encoding == LUM__ENCODING_PLAIN)
            CHECK(out[i].byte_count == row_count * lum__page_type_bytes(out[i].type), LUM__PAGE_BAD_PAYLOAD_BYTES,
                  bytes_at);
        else if (!check_blocks(page, &out[i], row_count, bytes_at, condition, at))
            return false;
        uint32_t end = offset + out[i].byte_count;
        offset = (uint32_t)lum__round_up(end, LUM__PAGE_ALIGNMENT); /* page_bytes is such a multiple: still inside */
        CHECK(lum__is_zero(page + end, offset - end), LUM__PAGE_BAD_PADDING, end);
    }
    CHECK(offset == page_bytes, LUM__PAGE_BAD_END, LUM__PAGE_AT_BYTE_COUNT);
    return true;
}

bool lum__page_parse(const uint8_t *page, size_t page_bytes, uint32_t row_count, uint32_t lum_digest,
                     struct lum__page_descriptor out[LUM__PAGE_COLUMNS], uint32_t *condition, uint32_t *at)
{
    return parse_page(page, page_bytes, row_count, &lum_digest, out, condition, at);
}

/* Everything but the checksums. */
static bool decode_to_scratch(struct lum__page_scratch *scratch, const uint8_t *page, size_t page_bytes,
                              uint32_t row_count, uint32_t lum_digest, uint32_t *condition, uint32_t *at)
{
    struct lum__page_descriptor columns[LUM__PAGE_COLUMNS];
    *condition = 0;
    *at = 0;
    if (!lum__page_parse(page, page_bytes, row_count, lum_digest, columns, condition, at)) return false;
    const struct lum__page_kernel *kernel = lum__page_kernel_current();
    for (uint32_t i = 0; i < LUM__PAGE_COLUMNS; i++)
        CHECK(kernel->decode_column(scratch, page, &columns[i], row_count, scratch_column(scratch, i)),
              LUM__PAGE_WRONG_MIN_MAX, LUM__PAGE_HEADER_BYTES + i * LUM__PAGE_COLUMN_BYTES + LUM__PAGE_COLUMN_AT_MIN);
    return true;
}

bool lum__page_decode(struct lum__page_scratch *scratch, const uint8_t *page, size_t page_bytes, uint32_t row_count,
                      uint32_t lum_digest, lum_t *rows, uint32_t *condition, uint32_t *at)
{
    if (!decode_to_scratch(scratch, page, page_bytes, row_count, lum_digest, condition, at)) return false;
    lum__page_kernel_current()->join(scratch, rows, row_count);
    CHECK(lum__crc32c(0, scratch->checksum, (size_t)row_count * 4) == lum_digest, LUM__PAGE_WRONG_DIGEST,
          LUM__PAGE_AT_LUM_DIGEST);
    return true;
}

static lum_columns columns_of(const struct lum__page_scratch *scratch)
{
    return (lum_columns){scratch->id,
                         scratch->timestamp,
                         scratch->memory_address,
                         (const int32_t *)scratch->position_x,
                         (const int32_t *)scratch->position_y,
                         scratch->presence,
                         scratch->structure_type,
                         scratch->is_destroyed,
                         scratch->checksum};
}

bool lum__page_split(struct lum__page_scratch *scratch, const lum_t *rows, uint32_t row_count, lum_columns *columns)
{
    *columns = columns_of(scratch);
    return lum__page_kernel_current()->split(scratch, rows, row_count, true);
}

bool lum__page_decode_columns(struct lum__page_scratch *scratch, const uint8_t *page, size_t page_bytes,
                              uint32_t row_count, uint32_t lum_digest, lum_columns *columns, uint32_t *condition,
                              uint32_t *at)
{
    *columns = (lum_columns){0};
    if (!decode_to_scratch(scratch, page, page_bytes, row_count, lum_digest, condition, at)) return false;
    lum_columns all = columns_of(scratch);
    lum__page_kernel_current()->checksum(&all, row_count, scratch->checksum);
    CHECK(lum__crc32c(0, scratch->checksum, (size_t)row_count * 4) == lum_digest, LUM__PAGE_WRONG_DIGEST,
          LUM__PAGE_AT_LUM_DIGEST);
    *columns = all;
    return true;
}

bool lum__page_columns(const uint8_t *page, size_t page_bytes, struct lum__page_column *out, uint32_t out_max,
                       uint32_t *out_count, uint32_t *condition, uint32_t *at)
{
    struct lum__page_descriptor columns[LUM__PAGE_COLUMNS];
    *out_count = 0;
    *condition = 0;
    *at = 0;
    CHECK(page_bytes >= LUM__PAGE_PAYLOAD_AT, LUM__PAGE_BAD_LENGTH, 0);
    if (!parse_page(page, page_bytes, lum__get_u32(page + LUM__PAGE_AT_ROW_COUNT), NULL, columns, condition, at))
        return false;
    for (uint32_t i = 0; i < LUM__PAGE_COLUMNS && i < out_max; i++)
        out[(*out_count)++] = (struct lum__page_column){columns[i].column, columns[i].encoding, columns[i].byte_count,
                                                        columns[i].value_min, columns[i].value_max};
    return true;
}
