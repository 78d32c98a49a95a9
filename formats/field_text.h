/* formats/field_text.h - one field of a LUM as text: what csv, ndjson and `lum get` show. Inline, because writing text
 * is all that a scan does for each row.
 *
 * Numbers are written eight digits at a time: LUM__FIELD_TEXT_SLACK bytes behind the end of a number may be written too. */
#ifndef LUM_FORMATS_FIELD_TEXT_H
#define LUM_FORMATS_FIELD_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "formats/field.h"
#include "lum/lum.h"

enum { LUM__FIELD_TEXT_SLACK = 8, LUM__FIELD_TEXT_BYTES_MAX = 20 };

/* Eight decimal digits of a number below 10^8, the first in the lowest byte; values, not characters. Halves, then
 * quarters, then digits, each step for all parts at once: the factors are 1/100 and 1/10 rounded up, exact for what
 * they meet. */
static inline uint64_t lum__eight_digits(uint32_t value)
{
    uint64_t fours = value / 10000 | (uint64_t)(value % 10000) << 32;
    uint64_t hundreds = (fours * 10486 >> 20) & 0x0000007f0000007fu;
    uint64_t pairs = hundreds | (fours - hundreds * 100) << 16;
    uint64_t tens = (pairs * 103 >> 10) & 0x000f000f000f000fu;
    return tens | (pairs - tens * 10) << 8;
}

static inline char *lum__text_eight(char *out, uint32_t value)
{
    lum__put_u64((uint8_t *)out, lum__eight_digits(value) | 0x3030303030303030u);
    return out + 8;
}

/* Below 10^8, without leading zeros. */
static inline char *lum__text_up_to_eight(char *out, uint32_t value)
{
    uint64_t digits = lum__eight_digits(value);
    unsigned zeros = (unsigned)__builtin_ctzll(digits | (uint64_t)1 << 56) / 8; /* the last digit always stands */
    lum__put_u64((uint8_t *)out, (digits | 0x3030303030303030u) >> 8 * zeros);
    return out + 8 - zeros;
}

/* The number at out, no terminator; returns its end, at most 20 bytes on. */
static inline char *lum__text_u64(char *out, uint64_t value)
{
    const uint32_t unit = 100000000;
    if (value < 10) {
        *out = (char)('0' + value);
        return out + 1;
    }
    if (value < unit) return lum__text_up_to_eight(out, (uint32_t)value);
    uint64_t high = value / unit;
    if (high < unit) {
        out = lum__text_up_to_eight(out, (uint32_t)high);
    } else {
        out = lum__text_up_to_eight(out, (uint32_t)(high / unit));
        out = lum__text_eight(out, (uint32_t)(high % unit));
    }
    return lum__text_eight(out, (uint32_t)(value % unit));
}

static inline char *lum__text_i64(char *out, int64_t value)
{
    if (value >= 0) return lum__text_u64(out, (uint64_t)value);
    *out = '-';
    return lum__text_u64(out + 1, 0 - (uint64_t)value);
}

/* Without a branch on the sign, which nobody could predict. */
static inline char *lum__text_i32(char *out, int32_t value)
{
    uint32_t negative = value < 0, magnitude = ((uint32_t)value ^ (0 - negative)) + negative;
    *out = '-';
    out += negative;
    if (magnitude < 100000000) return lum__text_up_to_eight(out, magnitude);
    out = lum__text_up_to_eight(out, magnitude / 100000000);
    return lum__text_eight(out, magnitude % 100000000);
}

static inline bool lum__field_is_signed(enum lum__field field)
{
    return field == LUM__FIELD_POSITION_X || field == LUM__FIELD_POSITION_Y;
}

/* The field's value; signed ones are sign-extended. */
static inline uint64_t lum__field_value(const lum_t *row, enum lum__field field)
{
    switch (field) {
    case LUM__FIELD_ID: return row->id;
    case LUM__FIELD_PRESENCE: return row->presence;
    case LUM__FIELD_POSITION_X: return (uint64_t)row->position_x;
    case LUM__FIELD_POSITION_Y: return (uint64_t)row->position_y;
    case LUM__FIELD_STRUCTURE_TYPE: return row->structure_type;
    case LUM__FIELD_TIMESTAMP: return row->timestamp;
    case LUM__FIELD_MEMORY_ADDRESS: return row->memory_address;
    case LUM__FIELD_IS_DESTROYED: return row->is_destroyed;
    case LUM__FIELD_CHECKSUM: return row->checksum;
    case LUM__FIELD_COUNT: break;
    }
    return 0;
}

/* The field as text, no terminator; returns its end, at most LUM__FIELD_TEXT_BYTES_MAX on. Structure types are numbers.
 */
static inline char *lum__field_text(char *out, const lum_t *row, enum lum__field field)
{
    switch (field) {
    case LUM__FIELD_POSITION_X: return lum__text_i32(out, row->position_x);
    case LUM__FIELD_POSITION_Y: return lum__text_i32(out, row->position_y);
    default: return lum__text_u64(out, lum__field_value(row, field));
    }
}

#endif
