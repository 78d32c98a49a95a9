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

static uint8_t *put_column_and_code(uint8_t *out, const struct lum__rejected_row *row)
{
    out = put_position(out, row->column);
    out = put_field(out, row->column_name);
    *out++ = ',';
    out = put(out, row->code, strlen(row->code)); /* a word */
    return put(out, ",\"", 2);
}

static size_t column_and_code_bytes_max(const struct lum__rejected_row *row) { return 2 * strlen(row->column_name) + strlen(row->code) + 32; }

void lum__reject_forget(struct lum__reject_memo memos[LUM__REJECT_MEMOS])
{
    for (int i = 0; i < LUM__REJECT_MEMOS; i++) memos[i].code = NULL;
}

const struct lum__reject_memo *lum__reject_recall(struct lum__reject_memo memos[LUM__REJECT_MEMOS], const struct lum__rejected_row *row)
{
    struct lum__reject_memo *memo = &memos[(row->column * 5 + (uint8_t)row->code[0]) % LUM__REJECT_MEMOS];
    if (memo->code == row->code && memo->column_name == row->column_name && memo->column == row->column) return memo;
    if (column_and_code_bytes_max(row) > sizeof memo->bytes) return NULL;
    *memo = (struct lum__reject_memo){.column_name = row->column_name, .code = row->code, .column = row->column};
    memo->byte_count = (uint32_t)(put_column_and_code(memo->bytes, row) - memo->bytes);
    return memo;
}

size_t lum__reject_line_bytes_max(const struct lum__rejected_row *row, const struct lum__reject_memo *memo)
{
    size_t numbers = 3 * (LUM__FIELD_TEXT_BYTES_MAX + 1) + LUM__FIELD_TEXT_SLACK;
    return numbers + (memo ? sizeof memo->bytes : column_and_code_bytes_max(row)) + row->quoted_reason_length + 2;
}

uint8_t *lum__reject_put_line(uint8_t *out, const struct lum__rejected_row *row, const struct lum__reject_memo *memo)
{
    out = put_position(out, row->row);
    out = put_position(out, row->line);
    out = put_number(out, row->offset);
    if (memo) {
        memcpy(out, memo->bytes, sizeof memo->bytes); /* a known length: no call */
        out += memo->byte_count;
    } else {
        out = put_column_and_code(out, row);
    }
    out = put(out, row->quoted_reason, row->quoted_reason_length);
    return put(out, "\"\n", 2);
}
