#include <string.h>

#include "base/assert.h"
#include "formats/field_text.h"
#include "formats/ndjson.h"

enum { KEY_BYTES_MAX = 24 }; /* `,"memory_address":` is 18 */

/* What stands before a value. */
struct key {
    char text[KEY_BYTES_MAX];
    size_t length;
};

static void make_key(struct key *key, enum lum__field field, bool is_first)
{
    const char *name = lum__field_name(field);
    size_t length = strlen(name);
    char *at = key->text;

    LUM_ASSERT(length + 4 <= KEY_BYTES_MAX);
    memset(key->text, 0, sizeof key->text);
    *at++ = is_first ? '{' : ',';
    *at++ = '"';
    memcpy(at, name, length);
    at += length;
    *at++ = '"';
    *at++ = ':';
    key->length = (size_t)(at - key->text);
}

size_t lum__ndjson_write_rows(uint8_t *out, const enum lum__field *fields, size_t field_count, const lum_t *rows,
                              size_t row_count)
{
    struct key keys[LUM__FIELD_COUNT];
    char *at = (char *)out;

    LUM_ASSERT(field_count > 0 && field_count <= LUM__FIELD_COUNT);
    for (size_t i = 0; i < field_count; ++i) make_key(&keys[i], fields[i], i == 0);
    for (size_t row = 0; row < row_count; ++row) {
        for (size_t i = 0; i < field_count; ++i) {
            memcpy(at, keys[i].text,
                   KEY_BYTES_MAX); /* of a fixed length: a few moves; what is too much is overwritten */
            at = lum__field_text(at + keys[i].length, &rows[row], fields[i]);
        }
        *at++ = '}';
        *at++ = '\n';
    }
    return (size_t)(at - (char *)out);
}
