#include "formats/reject_text.h"

#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "formats/field_text.h"

static uint8_t *put(uint8_t *out, const void *bytes, size_t byte_count)
{
    memcpy(out, bytes, byte_count);
    return out + byte_count;
}

static uint8_t *put_number(uint8_t *out, uint64_t number)
{
    uint8_t *end = (uint8_t *)lum__text_u64((char *)out, number);
    *end = ',';
    return end + 1;
}

/* What counts from 1: 0 means that there is none. */
static uint8_t *put_position(uint8_t *out, uint64_t position)
{
    if (position > 0) return put_number(out, position);
    *out = ',';
    return out + 1;
}

/* A CSV field, quoted where it must be (RFC 4180). */
static uint8_t *put_field(uint8_t *out, const char *field)
{
    bool is_quoted = field[0] == ' ';
    const char *end = field;
    for (; *end != '\0'; end++) is_quoted |= *end == ',' || *end == '"' || *end == '\r' || *end == '\n';
    if (!is_quoted) return put(out, field, (size_t)(end - field));
    *out++ = '"';
    for (; field < end; ++field) {
        if (*field == '"') *out++ = '"';
        *out++ = (uint8_t)*field;
    }
    *out++ = '"';
    return out;
}

size_t lum__reject_name_bytes_max(const char *name) { return 2 * strlen(name) + 3; }

uint8_t *lum__reject_put_name(uint8_t *out, const char *name)
{
    out = put_field(out, name);
    *out = ',';
    return out + 1;
}

size_t lum__reject_line_bytes_max(const struct lum__rejected_row *row)
{
    return 2 * strlen(row->column_name) + row->quoted_reason_length + strlen(row->code) + 128;
}

uint8_t *lum__reject_put_line(uint8_t *out, const struct lum__rejected_row *row)
{
    out = put_position(out, row->row);
    out = put_position(out, row->line);
    out = put_number(out, row->offset);
    out = put_position(out, row->column);
    out = put_field(out, row->column_name);
    *out++ = ',';
    out = put(out, row->code, strlen(row->code)); /* a word */
    *out++ = ',';
    *out++ = '"';
    out = put(out, row->quoted_reason, row->quoted_reason_length);
    *out++ = '"';
    *out = '\n';
    return out + 1;
}
