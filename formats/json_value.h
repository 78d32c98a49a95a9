/* formats/json_value.h - one JSON value of a text (RFC 8259). Numbers, strings and literals are given as they stand, so that
 * no digit is lost; objects and arrays are checked and passed over; strings with escapes are json-c's. */
#ifndef LUM_FORMATS_JSON_VALUE_H
#define LUM_FORMATS_JSON_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "formats/csv_block.h"
#include "lum/status.h"

enum lum__json_kind {
    LUM__JSON_NUMBER,
    LUM__JSON_STRING,
    LUM__JSON_BOOL,
    LUM__JSON_NULL,
    LUM__JSON_NESTED /* an object or an array */
};

struct lum__json_value {
    enum lum__json_kind kind;
    const uint8_t *text; /* without quotes, escapes decoded; lent until the reader's next value */
    size_t length;
};

/* What one thread keeps. All zero is a new one. */
struct lum__json_reader {
    struct json_tokener *tokener; /* json-c's; made when it is needed */
    struct json_object *held;     /* that value->text lies in */
};
void lum__json_reader_fini(struct lum__json_reader *reader);

/* The value that begins at `at`. Returns where it ends; NULL with *reason (static) and *offence if there is none, or
 * its nesting is deeper than 32. Bytes from `end` on are not looked at. */
const uint8_t *lum__json_take_value(struct lum__json_reader *reader, const uint8_t *at, const uint8_t *end,
                                    struct lum__json_value *out, const char **reason, const uint8_t **offence);

static inline const uint8_t *lum__json_skip_blanks(const uint8_t *at, const uint8_t *end)
{
    while (at < end && (*at == ' ' || *at == '\t')) ++at;
    return at;
}

/* The first byte that is no digit, or end. Reads up to 8 bytes behind end. */
static inline const uint8_t *lum__json_digits_end(const uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        uint64_t eight = lum__get_u64(at) ^ 0x3030303030303030u;
        uint64_t others = ((eight + 0x7676767676767676u) | eight) & 0x8080808080808080u; /* the lowest bit is right */
        if (others != 0) {
            at += __builtin_ctzll(others) / 8;
            break;
        }
        at += 8;
    }
    return at < end ? at : end;
}

/* The end of a number by JSON's grammar; NULL if none begins here. Reads up to 8 bytes behind end. */
static inline const uint8_t *lum__json_number_end(const uint8_t *at, const uint8_t *end)
{
    at += at < end && *at == '-';
    const uint8_t *digits = at;
    at = lum__json_digits_end(at, end);
    if (at == digits || (*digits == '0' && at != digits + 1)) return NULL;
    if (at < end && *at == '.') {
        digits = ++at;
        at = lum__json_digits_end(at, end);
        if (at == digits) return NULL;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        ++at;
        at += at < end && (*at == '-' || *at == '+');
        digits = at;
        at = lum__json_digits_end(at, end);
        if (at == digits) return NULL;
    }
    return at;
}

/* The next quote, or end. Reads up to 64 bytes behind end. */
static inline const uint8_t *lum__json_find_quote(const uint8_t *at, const uint8_t *end)
{
    for (; at < end; at += 64) {
        struct lum__block64 block = lum__block64_load(at);
        uint64_t quotes = lum__block64_equal(&block, '"');
        if (quotes == 0) continue;
        at += __builtin_ctzll(quotes);
        break;
    }
    return at < end ? at : end;
}

#endif
