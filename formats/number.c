#include "formats/number.h"

#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "formats/field.h"
#include "lum/lum.h"

__extension__ typedef unsigned __int128 lum__u128;

/* 1e0 to 1e19 */
static const uint64_t power_of_ten[20] = {
    1u,
    10u,
    100u,
    1000u,
    10000u,
    100000u,
    1000000u,
    10000000u,
    100000000u,
    1000000000u,
    10000000000u,
    100000000000u,
    1000000000000u,
    10000000000000u,
    100000000000000u,
    1000000000000000u,
    10000000000000000u,
    100000000000000000u,
    1000000000000000000u,
    10000000000000000000u,
};

static const struct {
    const char *code, *text;
} errors[] = {
    [LUM__NUMBER_OK] = {"ok", "is fine"},
    [LUM__NUMBER_EMPTY] = {"empty", "is empty"},
    [LUM__NUMBER_SYNTAX] = {"syntax", "is not a number of the kind that belongs here"},
    [LUM__NUMBER_RANGE] = {"range", "is out of range"},
    [LUM__NUMBER_LEFTOVER] = {"leftover", "has digits left over after scaling to whole units"},
    [LUM__NUMBER_TOO_LONG] = {"length", "is longer than 1,024 bytes"},
    [LUM__NUMBER_DATE_FIELD] = {"date", "has a month, day, hour, minute, second or zone that does not exist"},
    [LUM__NUMBER_DATE_RANGE] = {"range", "is outside of 1970-01-01 to 2554-07-21"},
    [LUM__NUMBER_DATE_SCALED] = {"scale", "is a date, which cannot be scaled"},
    [LUM__NUMBER_NAME] = {"name", "is not one of the values that this field can have"},
};
_Static_assert(sizeof errors / sizeof errors[0] == LUM__NUMBER_NAME + 1, "a code and a text for each error");

const char *lum__number_error_text(enum lum__number_error error) { return errors[error].text; }

const char *lum__number_error_code(enum lum__number_error error) { return errors[error].code; }

static enum lum__number_error fail_at(enum lum__number_error error, size_t *at, size_t offset)
{
    if (at != NULL) *at = offset;
    return error;
}

static bool is_digit(char c) { return (unsigned char)(c - '0') < 10; }
static bool is_blank(char c) { return c == ' ' || c == '\t'; }

/* Narrows [*begin, *end) to what stands between blanks. */
static void trim(const char **begin, const char **end)
{
    while (*begin < *end && is_blank(**begin)) ++*begin;
    while (*begin < *end && is_blank((*end)[-1])) --*end;
}

/* -------------------------------------------------------------------------------------------- runs of digits */

/* Eight characters in a word, the first in the lowest byte: are all of them digits, and which number are they? */
static inline bool eight_are_digits(uint64_t eight)
{
    return ((eight & 0xf0f0f0f0f0f0f0f0u) | (((eight + 0x0606060606060606u) & 0xf0f0f0f0f0f0f0f0u) >> 4)) ==
           0x3333333333333333u;
}

static inline uint64_t eight_digits_value(uint64_t eight)
{
    eight = (eight & 0x0f0f0f0f0f0f0f0fu) * (1 + (10u << 8)) >> 8;    /* pairs */
    eight = (eight & 0x00ff00ff00ff00ffu) * (1 + (100u << 16)) >> 16; /* fours */
    return (eight & 0x0000ffff0000ffffu) * (1 + ((uint64_t)10000 << 32)) >> 32;
}

/* The number of `length` <= 8 digits; false if one of them is not a digit. Reads no byte outside. */
static inline bool up_to_eight_digits(const char *text, size_t length, uint64_t *out)
{
    const uint8_t *bytes = (const uint8_t *)text;
    if (length >= 4) { /* two loads that may overlap, put together behind '0's */
        uint64_t low = (uint32_t)((uint64_t)lum__get_u32(bytes) << (8 * (8 - length)));
        uint64_t fill = length == 8 ? 0 : 0x30303030u >> (8 * (length - 4));
        uint64_t eight = (uint64_t)lum__get_u32(bytes + length - 4) << 32 | low | fill;
        *out = eight_digits_value(eight);
        return eight_are_digits(eight);
    }
    uint64_t value = 0;
    bool good = true;
    for (size_t i = 0; i < length; ++i) {
        unsigned digit = bytes[i] - (unsigned)'0';
        good = good && digit < 10;
        value = value * 10 + digit;
    }
    *out = value;
    return good;
}

/* The number of `length` <= 19 digits (which always fits); false if one of them is not a digit. */
static inline bool up_to_nineteen_digits(const char *text, size_t length, uint64_t *out)
{
    uint64_t part, value;
    size_t head = length % 8 == 0 && length > 0 ? 8 : length % 8;

    if (!up_to_eight_digits(text, head, &value)) return false;
    for (size_t at = head; at < length; at += 8) {
        if (!up_to_eight_digits(text + at, 8, &part)) return false;
        value = value * 100000000u + part;
    }
    *out = value;
    return true;
}

/* ------------------------------------------------------------------------------------------------- integers */

/* Sign and digits, any number of leading zeros, blanks around: everything that the fast ways leave over. */
static enum lum__number_error parse_integer_slowly(const char *text, size_t length, bool *negative, uint64_t *out,
                                                   size_t *at)
{
    const char *p = text, *end = text + length;
    uint64_t value = 0;

    trim(&p, &end);
    *negative = false;
    if (p == end) return fail_at(LUM__NUMBER_EMPTY, at, 0);
    if (*p == '-' || *p == '+') *negative = *p++ == '-';
    if (p == end) return fail_at(LUM__NUMBER_SYNTAX, at, (size_t)(p - text));
    bool too_big = false;
    for (; p < end; ++p) {
        if (!is_digit(*p)) return fail_at(LUM__NUMBER_SYNTAX, at, (size_t)(p - text));
        too_big = too_big || __builtin_mul_overflow(value, 10u, &value) ||
                  __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value);
    }
    if (too_big) return fail_at(LUM__NUMBER_RANGE, at, 0);
    *out = value;
    return LUM__NUMBER_OK;
}

static enum lum__number_error to_u64(bool negative, uint64_t magnitude, uint64_t *out, size_t *at)
{
    if (negative && magnitude != 0) return fail_at(LUM__NUMBER_RANGE, at, 0);
    *out = magnitude;
    return LUM__NUMBER_OK;
}

static enum lum__number_error to_i64(bool negative, uint64_t magnitude, int64_t *out, size_t *at)
{
    if (magnitude > (uint64_t)INT64_MAX + negative) return fail_at(LUM__NUMBER_RANGE, at, 0);
    *out = (int64_t)(negative ? 0 - magnitude : magnitude);
    return LUM__NUMBER_OK;
}

static enum lum__number_error to_i32(bool negative, uint64_t magnitude, int32_t *out, size_t *at)
{
    if (magnitude > (uint64_t)INT32_MAX + negative) return fail_at(LUM__NUMBER_RANGE, at, 0);
    *out = (int32_t)(negative ? -(int64_t)magnitude : (int64_t)magnitude);
    return LUM__NUMBER_OK;
}

enum lum__number_error lum__parse_u64(const char *text, size_t length, uint64_t *out, size_t *at)
{
    bool negative;
    uint64_t magnitude;

    if (length - 1 < 19 && up_to_nineteen_digits(text, length, out)) return LUM__NUMBER_OK;
    *out = 0;
    enum lum__number_error error = parse_integer_slowly(text, length, &negative, &magnitude, at);
    return error != LUM__NUMBER_OK ? error : to_u64(negative, magnitude, out, at);
}

enum lum__number_error lum__parse_i64(const char *text, size_t length, int64_t *out, size_t *at)
{
    bool negative;
    uint64_t magnitude;

    *out = 0;
    enum lum__number_error error = parse_integer_slowly(text, length, &negative, &magnitude, at);
    return error != LUM__NUMBER_OK ? error : to_i64(negative, magnitude, out, at);
}

enum lum__number_error lum__parse_i32(const char *text, size_t length, int32_t *out, size_t *at)
{
    bool negative = length > 0 && text[0] == '-';
    uint64_t magnitude;

    *out = 0;
    if (length - negative - 1 < 19 && up_to_nineteen_digits(text + negative, length - negative, &magnitude))
        return to_i32(negative, magnitude, out, at);
    enum lum__number_error error = parse_integer_slowly(text, length, &negative, &magnitude, at);
    return error != LUM__NUMBER_OK ? error : to_i32(negative, magnitude, out, at);
}

enum lum__number_error lum__parse_address(const char *text, size_t length, uint64_t *out, size_t *at)
{
    const char *p = text, *end = text + length;
    uint64_t value = 0;

    trim(&p, &end);
    if (end - p < 2 || p[0] != '0' || (p[1] != 'x' && p[1] != 'X')) return lum__parse_u64(text, length, out, at);
    *out = 0;
    p += 2;
    if (p == end) return fail_at(LUM__NUMBER_SYNTAX, at, (size_t)(p - text));
    if (end - p > 16) return fail_at(LUM__NUMBER_RANGE, at, 0);
    for (; p < end; ++p) {
        char lower = (char)(*p | 0x20);
        if (is_digit(*p))
            value = value << 4 | (uint64_t)(*p - '0');
        else if (lower >= 'a' && lower <= 'f')
            value = value << 4 | (uint64_t)(lower - 'a' + 10);
        else
            return fail_at(LUM__NUMBER_SYNTAX, at, (size_t)(p - text));
    }
    *out = value;
    return LUM__NUMBER_OK;
}

/* --------------------------------------------------------------------------------------------- names and flags */

static bool text_is(const char *begin, const char *end, const char *name)
{
    return strlen(name) == (size_t)(end - begin) && strncasecmp(begin, name, (size_t)(end - begin)) == 0;
}

enum lum__number_error lum__parse_flag(const char *text, size_t length, uint8_t *out, size_t *at)
{
    const char *p = text, *end = text + length;

    if (length == 1 && (*text == '0' || *text == '1')) {
        *out = *text == '1';
        return LUM__NUMBER_OK;
    }
    *out = 0;
    trim(&p, &end);
    if (p == end) return fail_at(LUM__NUMBER_EMPTY, at, 0);
    *out = text_is(p, end, "1") || text_is(p, end, "true");
    if (*out == 0 && !text_is(p, end, "0") && !text_is(p, end, "false")) return fail_at(LUM__NUMBER_NAME, at, 0);
    return LUM__NUMBER_OK;
}

enum lum__number_error lum__parse_structure_type(const char *text, size_t length, uint8_t *out, size_t *at)
{
    const char *p = text, *end = text + length;

    if (length == 1 && *text >= '0' && *text <= '0' + LUM_STRUCTURE_TYPE_MAX) {
        *out = (uint8_t)(*text - '0');
        return LUM__NUMBER_OK;
    }
    *out = 0;
    trim(&p, &end);
    if (p == end) return fail_at(LUM__NUMBER_EMPTY, at, 0);
    for (uint8_t type = 0; type <= LUM_STRUCTURE_TYPE_MAX; ++type) {
        if ((end - p == 1 && *p == '0' + type) || text_is(p, end, lum__structure_type_name(type))) {
            *out = type;
            return LUM__NUMBER_OK;
        }
    }
    return fail_at(LUM__NUMBER_NAME, at, 0);
}

/* ------------------------------------------------------------------------------------------------- decimals */

/* A decimal as it was written: digits (leading zeros dropped) times ten to the exponent. */
struct decimal {
    bool negative;
    size_t digit_count;
    int64_t exponent;
    uint8_t digits[LUM__NUMBER_LENGTH_MAX + 24]; /* most significant first; room for a product with a mantissa */
};

/* The [e[+-]digits] behind a decimal. Huge ones saturate: they are out of range, or multiply zero, all the same. */
static enum lum__number_error parse_exponent(const char *text, const char *p, const char *end, int64_t *out, size_t *at)
{
    bool negative = false;
    int64_t value = 0;

    if (p < end && (*p == '-' || *p == '+')) negative = *p++ == '-';
    if (p == end) return fail_at(LUM__NUMBER_SYNTAX, at, (size_t)(p - text));
    for (; p < end; ++p) {
        if (!is_digit(*p)) return fail_at(LUM__NUMBER_SYNTAX, at, (size_t)(p - text));
        if (value < 1000000) value = value * 10 + (*p - '0');
    }
    *out = negative ? -value : value;
    return LUM__NUMBER_OK;
}

static enum lum__number_error parse_decimal(const char *text, size_t length, struct decimal *out, size_t *at)
{
    const char *p = text, *end = text + length;
    bool point_seen = false, digit_seen = false;

    out->negative = false;
    out->digit_count = 0;
    out->exponent = 0;
    trim(&p, &end);
    if (p == end) return fail_at(LUM__NUMBER_EMPTY, at, 0);
    if (end - p > LUM__NUMBER_LENGTH_MAX) return fail_at(LUM__NUMBER_TOO_LONG, at, LUM__NUMBER_LENGTH_MAX);
    if (*p == '-' || *p == '+') out->negative = *p++ == '-';
    for (; p < end; ++p) {
        if (is_digit(*p)) {
            digit_seen = true;
            if (out->digit_count > 0 || *p != '0') out->digits[out->digit_count++] = (uint8_t)(*p - '0');
            out->exponent -= point_seen;
        } else if (*p == '.' && !point_seen) {
            point_seen = true;
        } else {
            break;
        }
    }
    if (!digit_seen) return fail_at(LUM__NUMBER_SYNTAX, at, (size_t)(p - text));
    if (p < end) {
        int64_t exponent;
        if (*p != 'e' && *p != 'E') return fail_at(LUM__NUMBER_SYNTAX, at, (size_t)(p - text));
        enum lum__number_error error = parse_exponent(text, p + 1, end, &exponent, at);
        if (error != LUM__NUMBER_OK) return error;
        out->exponent += exponent;
    }
    return LUM__NUMBER_OK;
}

/* Multiplies in place, schoolbook; the digits in front of the old ones are at most the 20 of the mantissa. */
static void multiply_decimal(struct decimal *decimal, uint64_t mantissa)
{
    uint8_t head[20];
    size_t head_count = 0;
    lum__u128 carry = 0;

    if (mantissa == 1 || decimal->digit_count == 0) return;
    for (size_t i = decimal->digit_count; i-- > 0;) {
        carry += (lum__u128)decimal->digits[i] * mantissa;
        decimal->digits[i] = (uint8_t)(carry % 10);
        carry /= 10;
    }
    for (; carry > 0; carry /= 10) {
        LUM_ASSERT(head_count < sizeof head);
        head[head_count++] = (uint8_t)(carry % 10);
    }
    memmove(decimal->digits + head_count, decimal->digits, decimal->digit_count);
    for (size_t i = 0; i < head_count; ++i) decimal->digits[i] = head[head_count - 1 - i];
    decimal->digit_count += head_count;
}

/* The decimal as a whole number; with `round` the nearest one, ties to even. */
static enum lum__number_error whole_of_decimal(const struct decimal *decimal, bool round, uint64_t *out, size_t *at)
{
    int64_t whole_digits = (int64_t)decimal->digit_count + decimal->exponent;
    uint64_t value = 0;

    for (int64_t i = 0; i < whole_digits && decimal->digit_count > 0; ++i) {
        uint64_t digit = (size_t)i < decimal->digit_count ? decimal->digits[i] : 0;
        if (__builtin_mul_overflow(value, 10u, &value) || __builtin_add_overflow(value, digit, &value))
            return fail_at(LUM__NUMBER_RANGE, at, 0);
    }
    /* What is behind: nothing, less than half, half, or more. */
    size_t first = whole_digits > 0 ? (size_t)whole_digits : 0;
    int half = -1; /* compared with one half */
    bool leftover = false;
    for (size_t i = first; i < decimal->digit_count; ++i) {
        if (decimal->digits[i] == 0) continue;
        leftover = true;
        if (i == first && whole_digits >= 0)
            half = (decimal->digits[i] > 5) - (decimal->digits[i] < 5);
        else if (half == 0)
            half = 1;
    }
    if (leftover && !round) return fail_at(LUM__NUMBER_LEFTOVER, at, 0);
    if (leftover && (half > 0 || (half == 0 && value % 2 == 1)) && ++value == 0)
        return fail_at(LUM__NUMBER_RANGE, at, 0);
    *out = value;
    return LUM__NUMBER_OK;
}

static enum lum__number_error scale_slowly(const char *text, size_t length, struct lum__scale scale, bool round,
                                           bool *negative, uint64_t *out, size_t *at)
{
    struct decimal decimal;

    enum lum__number_error error = parse_decimal(text, length, &decimal, at);
    if (error != LUM__NUMBER_OK) return error;
    *negative = decimal.negative;
    multiply_decimal(&decimal, scale.mantissa);
    decimal.exponent += scale.exponent;
    return whole_of_decimal(&decimal, round, out, at);
}

/* value * scale as sign and magnitude. The usual case - few digits, a point, a scale that is a power of ten and takes
 * all of the fraction - needs no long arithmetic. */
static inline enum lum__number_error parse_scaled(const char *text, size_t length, struct lum__scale scale, bool round,
                                                  bool *negative, uint64_t *out, size_t *at)
{
    bool minus = length > 0 && text[0] == '-';
    const char *begin = text + minus, *end = text + length, *p = begin;
    uint64_t whole = 0, fraction = 0;
    size_t fraction_digits = 0;

    while (p < end && p - begin < 18 && is_digit(*p)) whole = whole * 10 + (uint64_t)(*p++ - '0');
    if (p == begin) goto slowly;
    if (p < end) {
        fraction_digits = (size_t)(end - p) - 1;
        if (*p != '.' || fraction_digits > 8 || (size_t)(p - begin) + fraction_digits > 18 ||
            !up_to_eight_digits(p + 1, fraction_digits, &fraction))
            goto slowly;
    }
    int64_t zeros = (int64_t)scale.exponent - (int64_t)fraction_digits;
    uint64_t digits = whole * power_of_ten[fraction_digits] + fraction; /* at most 18 digits */
    if (scale.mantissa != 1 || zeros < -18 || zeros > 19) goto slowly;
    if (zeros < 0) {
        if (digits % power_of_ten[-zeros] != 0) goto slowly;
        *out = digits / power_of_ten[-zeros];
    } else if (__builtin_mul_overflow(digits, power_of_ten[zeros], out)) {
        return fail_at(LUM__NUMBER_RANGE, at, 0);
    }
    *negative = minus;
    return LUM__NUMBER_OK;
slowly:
    return scale_slowly(text, length, scale, round, negative, out, at);
}

#define LUM__DEFINE_PARSE_SCALED(type, suffix)                                                                         \
    enum lum__number_error lum__parse_scaled_##suffix(const char *text, size_t length, struct lum__scale scale,        \
                                                      bool round, type *out, size_t *at)                               \
    {                                                                                                                  \
        bool negative = false;                                                                                         \
        uint64_t magnitude = 0;                                                                                        \
        *out = 0;                                                                                                      \
        enum lum__number_error error = parse_scaled(text, length, scale, round, &negative, &magnitude, at);            \
        return error != LUM__NUMBER_OK ? error : to_##suffix(negative, magnitude, out, at);                            \
    }
LUM__DEFINE_PARSE_SCALED(uint64_t, u64)
LUM__DEFINE_PARSE_SCALED(int64_t, i64)
LUM__DEFINE_PARSE_SCALED(int32_t, i32)

enum lum__number_error lum__scale_parse(const char *text, size_t length, struct lum__scale *out)
{
    struct decimal decimal;

    *out = LUM__SCALE_ONE;
    if (length > 64) return LUM__NUMBER_TOO_LONG;
    enum lum__number_error error = parse_decimal(text, length, &decimal, NULL);
    if (error != LUM__NUMBER_OK) return error;
    while (decimal.digit_count > 0 && decimal.digits[decimal.digit_count - 1] == 0) {
        decimal.digit_count--;
        decimal.exponent++;
    }
    if (decimal.negative || decimal.digit_count == 0 || decimal.digit_count > 19 || decimal.exponent < -60 ||
        decimal.exponent > 60)
        return LUM__NUMBER_RANGE;
    uint64_t mantissa = 0;
    for (size_t i = 0; i < decimal.digit_count; ++i) mantissa = mantissa * 10 + decimal.digits[i];
    *out = (struct lum__scale){mantissa, (int32_t)decimal.exponent};
    return LUM__NUMBER_OK;
}
