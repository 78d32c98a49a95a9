#include "formats/csv.h"
#include "formats/csv_cursor.h"

#include <string.h>

#include "base/assert.h"
#include "formats/field_text.h"

const char *lum__csv_error_text(enum lum__csv_error error)
{
    switch (error) {
    case LUM__CSV_OK: return "is fine";
    case LUM__CSV_TEXT_AFTER_QUOTE: return "has text behind its closing quote";
    case LUM__CSV_QUOTE_OPEN: return "has a quote that is never closed";
    }
    return "is wrong";
}

size_t lum__csv_unescape(const struct lum__csv_field *field, char *out)
{
    size_t length = 0;

    for (size_t i = 0; i < field->length; ++i) {
        out[length++] = (char)field->text[i];
        if (field->escaped && field->text[i] == '"') ++i; /* in an escaped field quotes come in pairs */
    }
    return length;
}

/* ---------------------------------------------------------------------------------------------------------- writing */

size_t lum__csv_write_header(uint8_t *out, char delimiter, const enum lum__field *fields, size_t field_count)
{
    size_t at = 0;

    LUM_ASSERT(field_count > 0 && field_count <= LUM__FIELD_COUNT);
    for (size_t i = 0; i < field_count; ++i) {
        const char *name = lum__field_name(fields[i]);
        size_t length = strlen(name);
        memcpy(out + at, name, length);
        at += length;
        out[at++] = (uint8_t)delimiter;
    }
    out[at - 1] = '\n';
    return at;
}

size_t lum__csv_write_rows(uint8_t *out, char delimiter, const enum lum__field *fields, size_t field_count,
                           const lum_t *rows, size_t row_count)
{
    char *at = (char *)out;

    LUM_ASSERT(field_count > 0 && field_count <= LUM__FIELD_COUNT);
    for (size_t row = 0; row < row_count; ++row) {
        for (size_t i = 0; i < field_count; ++i) {
            at = lum__field_text(at, &rows[row], fields[i]);
            *at++ = delimiter;
        }
        at[-1] = '\n';
    }
    return (size_t)(at - (char *)out);
}
