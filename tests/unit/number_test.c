/* Proves the edges of text to numbers: limits, leftovers, ties, dates, what is no number, and where the fault is. (The
 * bulk of the cases is compared with Python by csv_python_test.py.) */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/field.h"
#include "formats/number.h"

static struct lum__scale scale_of(const char *text)
{
    struct lum__scale scale;
    assert_int_equal(lum__scale_parse(text, strlen(text), &scale), LUM__NUMBER_OK);
    return scale;
}

static enum lum__number_error u64(const char *text, uint64_t *out, size_t *at)
{
    return lum__parse_u64(text, strlen(text), out, at);
}

static void integers_keep_to_their_limits(void **state)
{
    uint64_t u;
    int32_t i;
    int64_t l;

    (void)state;
    assert_int_equal(u64("18446744073709551615", &u, NULL), LUM__NUMBER_OK);
    assert_true(u == UINT64_MAX);
    assert_int_equal(u64("18446744073709551616", &u, NULL), LUM__NUMBER_RANGE);
    assert_true(u == 0);
    assert_int_equal(u64("00000000000000000000000000000000000000000042", &u, NULL), LUM__NUMBER_OK);
    assert_true(u == 42);
    assert_int_equal(u64("-1", &u, NULL), LUM__NUMBER_RANGE);
    assert_int_equal(u64("-0", &u, NULL), LUM__NUMBER_OK);
    assert_int_equal(u64(" \t7 ", &u, NULL), LUM__NUMBER_OK);
    assert_true(u == 7);
    assert_int_equal(lum__parse_i32("-2147483648", 11, &i, NULL), LUM__NUMBER_OK);
    assert_int_equal(i, INT32_MIN);
    assert_int_equal(lum__parse_i32("-2147483649", 11, &i, NULL), LUM__NUMBER_RANGE);
    assert_int_equal(lum__parse_i32("2147483648", 10, &i, NULL), LUM__NUMBER_RANGE);
    assert_int_equal(lum__parse_i64("-9223372036854775808", 20, &l, NULL), LUM__NUMBER_OK);
    assert_true(l == INT64_MIN);
    assert_int_equal(lum__parse_i64("9223372036854775808", 19, &l, NULL), LUM__NUMBER_RANGE);
}

/* Every length of digits, in memory of exactly that length: a sanitizer sees any byte too many. */
static void every_length_of_digits(void **state)
{
    uint64_t want = 0;

    (void)state;
    for (size_t length = 1; length <= 20; ++length) {
        char *text = malloc(length);
        uint64_t got;
        want = want * 10 + length % 10;
        for (size_t i = 0; i < length; ++i) text[i] = (char)('0' + (i + 1) % 10);
        assert_int_equal(lum__parse_u64(text, length, &got, NULL), LUM__NUMBER_OK);
        assert_true(got == want);
        for (size_t bad = 0; bad < length; ++bad) { /* and every place of a byte that is no digit */
            static const char wrong[] = {'/', ':', 'a', '-', '\0', (char)0xb1, ','};
            char was = text[bad];
            size_t at = 99;
            if (bad == 0 && length > 1) continue; /* a sign may stand there */
            for (size_t k = 0; k < sizeof wrong; ++k) {
                text[bad] = wrong[k];
                assert_int_equal(lum__parse_u64(text, length, &got, &at), LUM__NUMBER_SYNTAX);
                if (length > 1) assert_int_equal(at, bad);
            }
            text[bad] = was;
        }
        free(text);
    }
}

static void what_is_no_integer_is_named(void **state)
{
    static const struct {
        const char *text;
        enum lum__number_error error;
        size_t at;
    } cases[] = {
        {"", LUM__NUMBER_EMPTY, 0},          {"  ", LUM__NUMBER_EMPTY, 0},     {"-", LUM__NUMBER_SYNTAX, 1},
        {"+", LUM__NUMBER_SYNTAX, 1},        {"1.0", LUM__NUMBER_SYNTAX, 1},   {"12x", LUM__NUMBER_SYNTAX, 2},
        {"1 2", LUM__NUMBER_SYNTAX, 1},      {"--1", LUM__NUMBER_SYNTAX, 1},   {"0x10", LUM__NUMBER_SYNTAX, 1},
        {"1e3", LUM__NUMBER_SYNTAX, 1},      {"1_000", LUM__NUMBER_SYNTAX, 1}, {"NaN", LUM__NUMBER_SYNTAX, 0},
        {"\xd9\xa1", LUM__NUMBER_SYNTAX, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        uint64_t out = 1;
        size_t at = 0;
        assert_int_equal(u64(cases[i].text, &out, &at), cases[i].error);
        assert_int_equal(at, cases[i].at);
        assert_true(out == 0);
    }
}

static void scales_are_exact(void **state)
{
    static const struct {
        const char *text, *scale;
        bool round;
        enum lum__number_error error;
        int32_t value;
    } cases[] = {
        {"1.66769", "1e7", false, LUM__NUMBER_OK, 16676900},
        {"-122.4194155", "1e7", false, LUM__NUMBER_OK, -1224194155},
        {"0.00000010", "1e7", false, LUM__NUMBER_OK, 1},
        {"0.00000001", "1e7", false, LUM__NUMBER_LEFTOVER, 0},
        {"0.1000000000000000055511151231257827", "1e1", false, LUM__NUMBER_LEFTOVER, 0},
        {"0.1000000000000000055511151231257827", "1e1", true, LUM__NUMBER_OK, 1},
        {"0.5", "1", true, LUM__NUMBER_OK, 0}, /* ties to even */
        {"1.5", "1", true, LUM__NUMBER_OK, 2},
        {"2.5", "1", true, LUM__NUMBER_OK, 2},
        {"-2.5", "1", true, LUM__NUMBER_OK, -2},
        {"-3.5", "1", true, LUM__NUMBER_OK, -4},
        {"2.50000000000000000000000000000001", "1", true, LUM__NUMBER_OK, 3},
        {"2.05", "1", true, LUM__NUMBER_OK, 2},
        {"0.05", "1", true, LUM__NUMBER_OK, 0},
        {"500", "0.001", true, LUM__NUMBER_OK, 0},
        {"501", "0.001", true, LUM__NUMBER_OK, 1},
        {"12000", "0.001", false, LUM__NUMBER_OK, 12},
        {"12001", "0.001", false, LUM__NUMBER_LEFTOVER, 0},
        {"1.2e1", "2.5", false, LUM__NUMBER_OK, 30},
        {"1e-07", "1e7", false, LUM__NUMBER_OK, 1},
        {"0e999999999999", "1", false, LUM__NUMBER_OK, 0},
        {"1e999999999999", "1", false, LUM__NUMBER_RANGE, 0},
        {"1e-999999999999", "1", false, LUM__NUMBER_LEFTOVER, 0},
        {"1e-999999999999", "1", true, LUM__NUMBER_OK, 0},
        {"214.7483647", "1e7", false, LUM__NUMBER_OK, INT32_MAX},
        {"214.7483648", "1e7", false, LUM__NUMBER_RANGE, 0},
        {"-214.7483648", "1e7", false, LUM__NUMBER_OK, INT32_MIN},
        {"2147483647.5", "1", true, LUM__NUMBER_RANGE, 0}, /* rounds out of range */
        {".5", "2", false, LUM__NUMBER_OK, 1},
        {"5.", "2", false, LUM__NUMBER_OK, 10},
        {".", "2", false, LUM__NUMBER_SYNTAX, 0},
        {"1.2.3", "1", false, LUM__NUMBER_SYNTAX, 0},
        {"1,5", "1", false, LUM__NUMBER_SYNTAX, 0},
        {"1e", "1", false, LUM__NUMBER_SYNTAX, 0},
        {"1e+", "1", false, LUM__NUMBER_SYNTAX, 0},
        {"inf", "1", false, LUM__NUMBER_SYNTAX, 0},
        {"", "1e7", false, LUM__NUMBER_EMPTY, 0},
        {" 1.5 ", "2", false, LUM__NUMBER_OK, 3},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        int32_t out = 1;
        enum lum__number_error error = lum__parse_scaled_i32(cases[i].text, strlen(cases[i].text),
                                                             scale_of(cases[i].scale), cases[i].round, &out, NULL);
        if (error != cases[i].error || out != cases[i].value)
            fail_msg("%s * %s: error %d, value %d", cases[i].text, cases[i].scale, error, out);
    }
}

static void long_numbers_are_exact_up_to_the_limit(void **state)
{
    char text[LUM__NUMBER_LENGTH_MAX + 1];
    uint64_t out;

    (void)state;
    memset(text, '0', sizeof text);
    text[1] = '.';
    text[LUM__NUMBER_LENGTH_MAX - 1] = '1';
    assert_int_equal(lum__parse_scaled_u64(text, LUM__NUMBER_LENGTH_MAX, LUM__SCALE_ONE, false, &out, NULL),
                     LUM__NUMBER_LEFTOVER);
    assert_int_equal(lum__parse_scaled_u64(text, LUM__NUMBER_LENGTH_MAX + 1, LUM__SCALE_ONE, false, &out, NULL),
                     LUM__NUMBER_TOO_LONG);
    memset(text, '9', sizeof text); /* every digit, times the largest mantissa */
    text[1] = '.';
    assert_int_equal(
        lum__parse_scaled_u64(text, LUM__NUMBER_LENGTH_MAX, scale_of("1.844674407370955161"), true, &out, NULL),
        LUM__NUMBER_OK);
    assert_true(out == 18);
}

static void scales_have_limits(void **state)
{
    struct lum__scale scale;

    (void)state;
    assert_int_equal(lum__scale_parse("1000", 4, &scale), LUM__NUMBER_OK);
    assert_true(scale.mantissa == 1 && scale.exponent == 3);
    assert_int_equal(lum__scale_parse("0.0250", 6, &scale), LUM__NUMBER_OK);
    assert_true(scale.mantissa == 25 && scale.exponent == -3);
    static const char *const wrong[] = {"", "0", "-1", "1e61", "1e-61", "x", "1e7x", "12345678901234567891", "0.0"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; ++i)
        assert_int_not_equal(lum__scale_parse(wrong[i], strlen(wrong[i]), &scale), LUM__NUMBER_OK);
}

static void dates_keep_to_the_calendar(void **state)
{
    static const struct {
        const char *text;
        enum lum__number_error error;
        uint64_t value;
    } cases[] = {
        {"1970-01-01", LUM__NUMBER_OK, 0},
        {"1970-01-01T00:00:00.000000001Z", LUM__NUMBER_OK, 1},
        {"2017-11-06", LUM__NUMBER_OK, 1509926400000000000u},
        {"2000-02-29", LUM__NUMBER_OK, 951782400000000000u},
        {"2000-03-01", LUM__NUMBER_OK, 951868800000000000u},
        {"2100-02-29", LUM__NUMBER_DATE_FIELD, 0},
        {"2400-02-29T12:00", LUM__NUMBER_OK, 13574606400000000000u},
        {"2554-07-21T23:34:33.709551615Z", LUM__NUMBER_OK, UINT64_MAX},
        {"2554-07-21T23:34:33.709551616Z", LUM__NUMBER_DATE_RANGE, 0},
        {"2554-07-21 23:34:33.70955161500", LUM__NUMBER_OK, UINT64_MAX},
        {"1969-12-31", LUM__NUMBER_DATE_RANGE, 0},
        {"1970-01-01T00:59:59+01:00", LUM__NUMBER_DATE_RANGE, 0},
        {"1969-12-31T23:00:00-01:00", LUM__NUMBER_OK, 0},
        {"2020-01-01T00:00:00+0530", LUM__NUMBER_OK, 1577817000000000000u},
        {"2020-01-01T00:00:00+05", LUM__NUMBER_OK, 1577818800000000000u},
        {"2020-01-01t00:00:00z", LUM__NUMBER_OK, 1577836800000000000u},
        {"2020-13-01", LUM__NUMBER_DATE_FIELD, 0},
        {"2020-00-01", LUM__NUMBER_DATE_FIELD, 0},
        {"2020-04-31", LUM__NUMBER_DATE_FIELD, 0},
        {"2020-01-00", LUM__NUMBER_DATE_FIELD, 0},
        {"2020-01-01T24:00:00", LUM__NUMBER_DATE_FIELD, 0},
        {"2020-01-01T23:60:00", LUM__NUMBER_DATE_FIELD, 0},
        {"2016-12-31T23:59:60Z", LUM__NUMBER_DATE_FIELD, 0}, /* a leap second */
        {"2020-01-01T00:00:00+24:00", LUM__NUMBER_DATE_FIELD, 0},
        {"0000-01-01", LUM__NUMBER_DATE_RANGE, 0},
        {"9999-12-31", LUM__NUMBER_DATE_RANGE, 0},
        {"2020-1-1", LUM__NUMBER_SYNTAX, 0},
        {"2020-01-01T", LUM__NUMBER_SYNTAX, 0},
        {"2020-01-01T10", LUM__NUMBER_SYNTAX, 0},
        {"2020-01-01T10:00:", LUM__NUMBER_SYNTAX, 0},
        {"2020-01-01T10:00:00.", LUM__NUMBER_SYNTAX, 0},
        {"2020-01-01T10:00:00Zx", LUM__NUMBER_SYNTAX, 0},
        {"2020-01-01T10:00:00+1", LUM__NUMBER_SYNTAX, 0},
        {"2020/01/01", LUM__NUMBER_SYNTAX, 0},
        {"2020-01-01X10:00", LUM__NUMBER_SYNTAX, 0},
        {"1700000000000000000", LUM__NUMBER_OK, 1700000000000000000u},
        {" 2017-11-06 ", LUM__NUMBER_OK, 1509926400000000000u},
        {"-5", LUM__NUMBER_RANGE, 0},
        {"1.5", LUM__NUMBER_LEFTOVER, 0},
        {"", LUM__NUMBER_EMPTY, 0},
        {"yesterday", LUM__NUMBER_SYNTAX, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        size_t length = strlen(cases[i].text);
        uint64_t out = 1;
        char *exact = malloc(length + 1);
        memcpy(exact, cases[i].text, length);
        enum lum__number_error error = lum__parse_timestamp(exact, length, LUM__SCALE_ONE, false, &out, NULL);
        if (error != cases[i].error || out != cases[i].value)
            fail_msg("%s: error %d, value %llu", cases[i].text, error, (unsigned long long)out);
        free(exact);
    }
}

static void times_scale_and_round(void **state)
{
    uint64_t out;

    (void)state;
    assert_int_equal(lum__parse_timestamp("1700000000.25", 13, scale_of("1e9"), false, &out, NULL), LUM__NUMBER_OK);
    assert_true(out == 1700000000250000000u);
    assert_int_equal(lum__parse_timestamp("2020-01-01", 10, scale_of("1e9"), false, &out, NULL),
                     LUM__NUMBER_DATE_SCALED);
    static const char late[] = "2019-12-31T23:59:59.9999999995";
    assert_int_equal(lum__parse_timestamp(late, sizeof late - 1, LUM__SCALE_ONE, false, &out, NULL),
                     LUM__NUMBER_LEFTOVER);
    assert_int_equal(lum__parse_timestamp(late, sizeof late - 1, LUM__SCALE_ONE, true, &out, NULL), LUM__NUMBER_OK);
    assert_true(out == 1577836800000000000u); /* 1999999999.5 ns: a tie, and the even neighbour is the next second */
    assert_int_equal(lum__parse_timestamp("1970-01-01T00:00:00.0000000025", 30, LUM__SCALE_ONE, true, &out, NULL),
                     LUM__NUMBER_OK);
    assert_true(out == 2);
    assert_int_equal(lum__parse_timestamp("1970-01-01T00:00:00.00000000250001", 34, LUM__SCALE_ONE, true, &out, NULL),
                     LUM__NUMBER_OK);
    assert_true(out == 3);
}

static void names_and_flags(void **state)
{
    uint8_t out;

    (void)state;
    for (uint8_t type = 0; type <= 5; ++type) {
        const char *name = lum__structure_type_name(type);
        char digit = (char)('0' + type);
        assert_int_equal(lum__parse_structure_type(name, strlen(name), &out, NULL), LUM__NUMBER_OK);
        assert_int_equal(out, type);
        assert_int_equal(lum__parse_structure_type(&digit, 1, &out, NULL), LUM__NUMBER_OK);
        assert_int_equal(out, type);
    }
    assert_int_equal(lum__parse_structure_type("Group", 5, &out, NULL), LUM__NUMBER_OK);
    assert_int_equal(out, 3);
    assert_int_equal(lum__parse_structure_type("6", 1, &out, NULL), LUM__NUMBER_NAME);
    assert_int_equal(lum__parse_structure_type("nod", 3, &out, NULL), LUM__NUMBER_NAME);
    assert_int_equal(lum__parse_structure_type("", 0, &out, NULL), LUM__NUMBER_EMPTY);
    assert_int_equal(lum__parse_flag("1", 1, &out, NULL), LUM__NUMBER_OK);
    assert_int_equal(out, 1);
    assert_int_equal(lum__parse_flag("False", 5, &out, NULL), LUM__NUMBER_OK);
    assert_int_equal(out, 0);
    assert_int_equal(lum__parse_flag("2", 1, &out, NULL), LUM__NUMBER_NAME);
    assert_int_equal(lum__parse_flag("yes", 3, &out, NULL), LUM__NUMBER_NAME);
}

static void addresses_may_be_hex(void **state)
{
    uint64_t out;

    (void)state;
    assert_int_equal(lum__parse_address("0x7fFEdeadBEEF", 14, &out, NULL), LUM__NUMBER_OK);
    assert_true(out == 0x7ffedeadbeefu);
    assert_int_equal(lum__parse_address("0xffffffffffffffff", 18, &out, NULL), LUM__NUMBER_OK);
    assert_true(out == UINT64_MAX);
    assert_int_equal(lum__parse_address("0x10000000000000000", 19, &out, NULL), LUM__NUMBER_RANGE);
    assert_int_equal(lum__parse_address("0x", 2, &out, NULL), LUM__NUMBER_SYNTAX);
    assert_int_equal(lum__parse_address("0xg", 3, &out, NULL), LUM__NUMBER_SYNTAX);
    assert_int_equal(lum__parse_address("12", 2, &out, NULL), LUM__NUMBER_OK);
    assert_true(out == 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_keep_to_their_limits),
        cmocka_unit_test(every_length_of_digits),
        cmocka_unit_test(what_is_no_integer_is_named),
        cmocka_unit_test(scales_are_exact),
        cmocka_unit_test(long_numbers_are_exact_up_to_the_limit),
        cmocka_unit_test(scales_have_limits),
        cmocka_unit_test(dates_keep_to_the_calendar),
        cmocka_unit_test(times_scale_and_round),
        cmocka_unit_test(names_and_flags),
        cmocka_unit_test(addresses_may_be_hex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
