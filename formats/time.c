/* ISO 8601 to nanoseconds since the Unix epoch. Declared in formats/number.h. */
#include <string.h>

#include "formats/date.h"
#include "formats/number.h"

static enum lum__number_error fail_at(enum lum__number_error error, size_t *at, size_t offset)
{
    if (at != NULL) *at = offset;
    return error;
}

static bool is_digit(char c) { return (unsigned char)(c - '0') < 10; }

/* What is left of a text. */
struct reader {
    const char *begin, *p, *end;
};

/* Exactly `count` digits; -1 if there are other bytes or too few. */
static int take_digits(struct reader *reader, int count)
{
    int value = 0;
    if (reader->end - reader->p < count) return -1;
    for (int i = 0; i < count; ++i, ++reader->p) {
        if (!is_digit(*reader->p)) return -1;
        value = value * 10 + (*reader->p - '0');
    }
    return value;
}

static bool take_byte(struct reader *reader, char c)
{
    if (reader->p == reader->end || *reader->p != c) return false;
    reader->p++;
    return true;
}

/* [.digits] as nanoseconds; *carry is 1 where rounding makes a whole second. */
static enum lum__number_error take_fraction(struct reader *reader, bool round, uint32_t *ns, int *carry, size_t *at)
{
    uint32_t value = 0, unit = 100000000;
    int next_digit = 0, place = 0;
    bool more = false;

    *ns = 0;
    *carry = 0;
    if (!take_byte(reader, '.') && !take_byte(reader, ',')) return LUM__NUMBER_OK;
    const char *digits = reader->p;
    for (; reader->p < reader->end && is_digit(*reader->p); ++reader->p, ++place, unit /= 10) {
        int digit = *reader->p - '0';
        if (place < 9)
            value += (uint32_t)digit * unit;
        else if (place == 9)
            next_digit = digit;
        else
            more = more || digit != 0;
    }
    if (reader->p == digits) return fail_at(LUM__NUMBER_SYNTAX, at, (size_t)(reader->p - reader->begin));
    if (next_digit != 0 || more) {
        if (!round) return fail_at(LUM__NUMBER_LEFTOVER, at, (size_t)(digits + 9 - reader->begin));
        if (next_digit > 5 || (next_digit == 5 && (more || value % 2 == 1))) value++;
    }
    *carry = value == 1000000000u;
    *ns = *carry ? 0 : value;
    return LUM__NUMBER_OK;
}

/* [Z|z|+hh|+hhmm|+hh:mm] as seconds east of UTC. */
static enum lum__number_error take_zone(struct reader *reader, int64_t *seconds, size_t *at)
{
    *seconds = 0;
    if (reader->p == reader->end || take_byte(reader, 'Z') || take_byte(reader, 'z')) return LUM__NUMBER_OK;
    size_t begin = (size_t)(reader->p - reader->begin);
    int sign = *reader->p == '-' ? -1 : 1, minute = 0;
    if (!take_byte(reader, '+') && !take_byte(reader, '-')) return fail_at(LUM__NUMBER_SYNTAX, at, begin);
    int hour = take_digits(reader, 2);
    if (hour >= 0 && reader->p < reader->end) {
        (void)take_byte(reader, ':');
        minute = take_digits(reader, 2);
    }
    if (hour < 0 || minute < 0) return fail_at(LUM__NUMBER_SYNTAX, at, begin);
    if (hour > 23 || minute > 59) return fail_at(LUM__NUMBER_DATE_FIELD, at, begin);
    *seconds = sign * (hour * (int64_t)3600 + minute * 60);
    return LUM__NUMBER_OK;
}

/* hh:mm[:ss[.digits]][zone] behind a date: *seconds of the day, less the zone. */
static enum lum__number_error take_time(struct reader *reader, bool round, int64_t *seconds, uint32_t *ns, size_t *at)
{
    int carry = 0, second = 0;
    int64_t zone;
    enum lum__number_error error;

    size_t begin = (size_t)(reader->p - reader->begin);
    int hour = take_digits(reader, 2);
    bool colon = take_byte(reader, ':');
    int minute = colon ? take_digits(reader, 2) : -1;
    if (hour < 0 || minute < 0) return fail_at(LUM__NUMBER_SYNTAX, at, (size_t)(reader->p - reader->begin));
    *ns = 0;
    if (take_byte(reader, ':')) {
        second = take_digits(reader, 2);
        if (second < 0) return fail_at(LUM__NUMBER_SYNTAX, at, (size_t)(reader->p - reader->begin));
        error = take_fraction(reader, round, ns, &carry, at);
        if (error != LUM__NUMBER_OK) return error;
    }
    if (hour > 23 || minute > 59 || second > 59) return fail_at(LUM__NUMBER_DATE_FIELD, at, begin);
    error = take_zone(reader, &zone, at);
    *seconds = hour * (int64_t)3600 + minute * 60 + second + carry - zone;
    return error;
}

static enum lum__number_error parse_date(struct reader *reader, bool round, uint64_t *out, size_t *at)
{
    int64_t days, seconds = 0;
    uint32_t ns = 0;

    int year = take_digits(reader, 4);
    bool dashes = take_byte(reader, '-');
    int month = take_digits(reader, 2);
    dashes = take_byte(reader, '-') && dashes;
    int day = take_digits(reader, 2);
    if (!dashes || year < 0 || month < 0 || day < 0)
        return fail_at(LUM__NUMBER_SYNTAX, at, (size_t)(reader->p - reader->begin));
    if (reader->p < reader->end) {
        if (!take_byte(reader, 'T') && !take_byte(reader, ' ') && !take_byte(reader, 't'))
            return fail_at(LUM__NUMBER_SYNTAX, at, (size_t)(reader->p - reader->begin));
        enum lum__number_error error = take_time(reader, round, &seconds, &ns, at);
        if (error != LUM__NUMBER_OK) return error;
        if (reader->p < reader->end) return fail_at(LUM__NUMBER_SYNTAX, at, (size_t)(reader->p - reader->begin));
    }
    if (year == 0) return fail_at(LUM__NUMBER_DATE_RANGE, at, 0);
    if (!lum__days_of_date(year, month, day, &days)) return fail_at(LUM__NUMBER_DATE_FIELD, at, 0);
    seconds += days * 86400;
    uint64_t value;
    if (seconds < 0 || __builtin_mul_overflow((uint64_t)seconds, (uint64_t)1000000000, &value) ||
        __builtin_add_overflow(value, (uint64_t)ns, &value))
        return fail_at(LUM__NUMBER_DATE_RANGE, at, 0);
    *out = value;
    return LUM__NUMBER_OK;
}

static bool is_one(struct lum__scale scale) { return scale.mantissa == 1 && scale.exponent == 0; }

static enum lum__number_error parse_time(const char *text, size_t length, struct lum__scale scale, bool takes_dates,
                                         bool round, uint64_t *out, size_t *at)
{
    struct reader reader = {text, text, text + length};

    /* Digits only, as machines write them. */
    if (is_one(scale) && lum__parse_u64(text, length, out, NULL) == LUM__NUMBER_OK) return LUM__NUMBER_OK;
    while (reader.p < reader.end && (*reader.p == ' ' || *reader.p == '\t')) reader.p++;
    while (reader.p < reader.end && (reader.end[-1] == ' ' || reader.end[-1] == '\t')) reader.end--;
    bool is_date = reader.end - reader.p >= 8 && reader.p[4] == '-' && is_digit(reader.p[0]) && is_digit(reader.p[3]);
    if (!is_date) return lum__parse_scaled_u64(text, length, scale, round, out, at);
    *out = 0;
    if (!takes_dates) return fail_at(LUM__NUMBER_DATE_SCALED, at, 0);
    return parse_date(&reader, round, out, at);
}

enum lum__number_error lum__parse_timestamp(const char *text, size_t length, struct lum__scale scale, bool round,
                                            uint64_t *out, size_t *at)
{
    return parse_time(text, length, scale, is_one(scale), round, out, at);
}

enum lum__number_error lum__parse_time_in(const char *text, size_t length, struct lum__scale unit, bool round,
                                          uint64_t *out, size_t *at)
{
    return parse_time(text, length, unit, true, round, out, at);
}
