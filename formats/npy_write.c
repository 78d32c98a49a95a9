#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "formats/npy.h"

enum { MAGIC_BYTES = 10, ALIGNMENT = 64 }; /* magic, version 1.0 and the header's length */

const enum lum__field lum__npy_record_fields[LUM__FIELD_COUNT] = {
    LUM__FIELD_ID,         LUM__FIELD_TIMESTAMP,      LUM__FIELD_MEMORY_ADDRESS,
    LUM__FIELD_POSITION_X, LUM__FIELD_POSITION_Y,     LUM__FIELD_CHECKSUM,
    LUM__FIELD_PRESENCE,   LUM__FIELD_STRUCTURE_TYPE, LUM__FIELD_IS_DESTROYED,
};

/* NumPy's name of the type, and where the value lies in a lum_t. */
static const struct {
    const char *type;
    uint8_t bytes, offset;
} columns[LUM__FIELD_COUNT] = {
    [LUM__FIELD_ID] = {"<u8", 8, offsetof(lum_t, id)},
    [LUM__FIELD_PRESENCE] = {"|u1", 1, offsetof(lum_t, presence)},
    [LUM__FIELD_POSITION_X] = {"<i4", 4, offsetof(lum_t, position_x)},
    [LUM__FIELD_POSITION_Y] = {"<i4", 4, offsetof(lum_t, position_y)},
    [LUM__FIELD_STRUCTURE_TYPE] = {"|u1", 1, offsetof(lum_t, structure_type)},
    [LUM__FIELD_TIMESTAMP] = {"<u8", 8, offsetof(lum_t, timestamp)},
    [LUM__FIELD_MEMORY_ADDRESS] = {"<u8", 8, offsetof(lum_t, memory_address)},
    [LUM__FIELD_IS_DESTROYED] = {"|u1", 1, offsetof(lum_t, is_destroyed)},
    [LUM__FIELD_CHECKSUM] = {"<u4", 4, offsetof(lum_t, checksum)},
};

static bool is_record(const enum lum__field *fields, size_t field_count)
{
    return field_count == LUM__FIELD_COUNT &&
           memcmp(fields, lum__npy_record_fields, sizeof lum__npy_record_fields) == 0;
}

size_t lum__npy_row_bytes(const enum lum__field *fields, size_t field_count)
{
    size_t bytes = is_record(fields, field_count); /* the reserved byte */

    for (size_t i = 0; i < field_count; ++i) bytes += columns[fields[i]].bytes;
    return bytes;
}

static size_t print_dictionary(char *out, size_t bytes_max, const enum lum__field *fields, size_t field_count,
                               uint64_t row_count)
{
    int at = snprintf(out, bytes_max, "{'descr': [");

    for (size_t i = 0; i < field_count; ++i)
        at += snprintf(out + at, bytes_max - (size_t)at, "%s('%s', '%s')", i == 0 ? "" : ", ",
                       lum__field_name(fields[i]), columns[fields[i]].type);
    if (is_record(fields, field_count)) at += snprintf(out + at, bytes_max - (size_t)at, ", ('', '|V1')");
    at += snprintf(out + at, bytes_max - (size_t)at, "], 'fortran_order': False, 'shape': (%llu,), }",
                   (unsigned long long)row_count);
    LUM_ASSERT((size_t)at < bytes_max);
    return (size_t)at;
}

size_t lum__npy_write_header(uint8_t *out, const enum lum__field *fields, size_t field_count, uint64_t row_count)
{
    char text[LUM__NPY_HEADER_BYTES_MAX];

    LUM_ASSERT(field_count > 0 && field_count <= LUM__FIELD_COUNT);
    size_t longest = print_dictionary(text, sizeof text, fields, field_count, UINT64_MAX);
    size_t bytes = lum__round_up(MAGIC_BYTES + longest + 1, ALIGNMENT);
    LUM_ASSERT(bytes <= LUM__NPY_HEADER_BYTES_MAX);
    size_t length = print_dictionary(text, sizeof text, fields, field_count, row_count);
    memcpy(out, LUM__NPY_MAGIC "\x01\x00", 8);
    lum__put_u16(out + 8, (uint16_t)(bytes - MAGIC_BYTES));
    memcpy(out + MAGIC_BYTES, text, length);
    memset(out + MAGIC_BYTES + length, ' ', bytes - MAGIC_BYTES - length - 1);
    out[bytes - 1] = '\n';
    return bytes;
}

/* One column of all rows. The sizes are constants in each case: moves, not calls. */
static void write_column(uint8_t *out, size_t row_bytes, const uint8_t *from, size_t value_bytes, size_t row_count)
{
    switch (value_bytes) {
    case 1:
        for (size_t row = 0; row < row_count; ++row) out[row * row_bytes] = from[row * sizeof(lum_t)];
        break;
    case 4:
        for (size_t row = 0; row < row_count; ++row) memcpy(out + row * row_bytes, from + row * sizeof(lum_t), 4);
        break;
    default:
        for (size_t row = 0; row < row_count; ++row) memcpy(out + row * row_bytes, from + row * sizeof(lum_t), 8);
        break;
    }
}

size_t lum__npy_write_rows(uint8_t *out, const enum lum__field *fields, size_t field_count, const lum_t *rows,
                           size_t row_count)
{
    size_t row_bytes = lum__npy_row_bytes(fields, field_count), offset = 0;

    if (is_record(fields, field_count)) { /* little-endian, as all of lum: storage/record.c */
        memcpy(out, rows, row_count * sizeof *rows);
        return row_count * sizeof *rows;
    }
    for (size_t i = 0; i < field_count; ++i) {
        write_column(out + offset, row_bytes, (const uint8_t *)rows + columns[fields[i]].offset,
                     columns[fields[i]].bytes, row_count);
        offset += columns[fields[i]].bytes;
    }
    return row_count * row_bytes;
}
