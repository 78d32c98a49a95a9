/* formats/number.h - exact text to numbers: no locale, no floating point, no silent rounding, no read beyond the end.
 *
 * Every function takes exactly `length` bytes and uses all of them; blanks (space, tab) around a value are allowed.
 * Accepted:
 *   integers   [+-]digits
 *   decimals   [+-]digits[.digits][e[+-]digits], also .5 and 5.  (then multiplied by an exact scale)
 *   addresses  integers or 0x followed by 1 to 16 hex digits
 *   times      integers or decimals (nanoseconds after scaling), or ISO 8601: YYYY-MM-DD, which may go on with T, t or
 *              a blank, hh:mm[:ss[.digits]] and a zone: Z, z, +hh, +hhmm or +hh:mm; without a zone it is UTC.
 *              Years 1970 to 2554; no leap second, no 24:00.
 *   flags      0 1 true false (any case)
 *   types      0 to 5 or linear circular binary group compressed node (any case) */
#ifndef LUM_FORMATS_NUMBER_H
#define LUM_FORMATS_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lum__number_error {
    LUM__NUMBER_OK = 0,
    LUM__NUMBER_EMPTY,        /* nothing, or blanks only */
    LUM__NUMBER_SYNTAX,       /* a byte that has no place there */
    LUM__NUMBER_RANGE,        /* does not fit the field */
    LUM__NUMBER_LEFTOVER,     /* digits are left over behind the unit of the field */
    LUM__NUMBER_TOO_LONG,     /* more than LUM__NUMBER_LENGTH_MAX bytes */
    LUM__NUMBER_DATE_FIELD,   /* a month, day, hour ... that does not exist */
    LUM__NUMBER_DATE_RANGE,   /* before 1970-01-01T00:00:00Z or after 2554-07-21T23:34:33.709551615Z */
    LUM__NUMBER_DATE_SCALED,  /* a date under a scale */
    LUM__NUMBER_NAME          /* no such structure type, or neither 0 nor 1 */
};

enum { LUM__NUMBER_LENGTH_MAX = 1024 };

/* A sentence's end for a person, for example "has digits left over after scaling". Static. */
const char *lum__number_error_text(enum lum__number_error error);
/* The same as one word that scripts may compare: "empty", "syntax", "range", "leftover", "length", "date", "scale",
 * "name". */
const char *lum__number_error_code(enum lum__number_error error);

/* An exact decimal factor: mantissa * 10^exponent, mantissa >= 1. */
struct lum__scale {
    uint64_t mantissa;
    int32_t exponent;
};
#define LUM__SCALE_ONE ((struct lum__scale){1, 0})

/* A factor as it is written behind a `*`: 1e7, 1000, 0.001, 2.5. Positive, at most 19 digits, exponent -60 to 60. */
enum lum__number_error lum__scale_parse(const char *text, size_t length, struct lum__scale *out);

/* On an error *out is 0 and *at, where given, is the offset of the byte that gave offence. */
enum lum__number_error lum__parse_u64(const char *text, size_t length, uint64_t *out, size_t *at);
enum lum__number_error lum__parse_i64(const char *text, size_t length, int64_t *out, size_t *at);
enum lum__number_error lum__parse_i32(const char *text, size_t length, int32_t *out, size_t *at);
enum lum__number_error lum__parse_address(const char *text, size_t length, uint64_t *out, size_t *at);
enum lum__number_error lum__parse_flag(const char *text, size_t length, uint8_t *out, size_t *at);
enum lum__number_error lum__parse_structure_type(const char *text, size_t length, uint8_t *out, size_t *at);

/* value * scale, exactly. Where that is no integer: LUM__NUMBER_LEFTOVER, or with `round` the nearest one, ties to
 * even. */
enum lum__number_error lum__parse_scaled_u64(const char *text, size_t length, struct lum__scale scale, bool round,
                                             uint64_t *out, size_t *at);
enum lum__number_error lum__parse_scaled_i64(const char *text, size_t length, struct lum__scale scale, bool round,
                                             int64_t *out, size_t *at);
enum lum__number_error lum__parse_scaled_i32(const char *text, size_t length, struct lum__scale scale, bool round,
                                             int32_t *out, size_t *at);

/* Nanoseconds since the Unix epoch. More than nine fraction digits that are not zero: left over, or rounded with
 * `round`. Numbers are multiplied by the scale or unit; a date is refused under a scale other than one, and not changed
 * by a unit. */
enum lum__number_error lum__parse_timestamp(const char *text, size_t length, struct lum__scale scale, bool round,
                                            uint64_t *out, size_t *at);
enum lum__number_error lum__parse_time_in(const char *text, size_t length, struct lum__scale unit, bool round,
                                          uint64_t *out, size_t *at);

#endif
