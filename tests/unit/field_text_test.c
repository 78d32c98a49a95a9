/* Proves that fields are written as text exactly: every number of up to eight digits by its digits, all lengths and
 * edges of 64 bits as printf writes them, and nothing is written further behind than the slack. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "formats/field_text.h"

static void eight_digits_are_exact(void **state)
{
    (void)state;
    for (uint32_t high = 0; high < 10000; ++high) {
        /* both halves go the same way, so every half with a few others is every number */
        for (uint32_t low = high % 7; low < 10000; low += 997) {
            uint32_t value = high * 10000 + low, left = value;
            uint64_t digits = lum__eight_digits(value);
            for (int i = 7; i >= 0; --i, left /= 10) assert_int_equal((digits >> 8 * i) & 0xff, left % 10);
        }
    }
    for (uint32_t low = 0; low < 10000; ++low) {
        uint32_t left = low;
        uint64_t digits = lum__eight_digits(low);
        for (int i = 7; i >= 0; --i, left /= 10) assert_int_equal((digits >> 8 * i) & 0xff, left % 10);
    }
}

static void check_u64(uint64_t value)
{
    char text[40], want[40];

    memset(text, '#', sizeof text);
    size_t length = (size_t)(lum__text_u64(text, value) - text);
    assert_int_equal(length, snprintf(want, sizeof want, "%" PRIu64, value));
    assert_memory_equal(text, want, length);
    for (size_t i = length + LUM__FIELD_TEXT_SLACK; i < sizeof text; ++i) assert_int_equal(text[i], '#');
}

static void numbers_of_every_length(void **state)
{
    uint64_t random = 1;

    (void)state;
    check_u64(UINT64_MAX);
    for (uint64_t power = 1;; power *= 10) {
        check_u64(power - 1);
        check_u64(power);
        check_u64(power + 1);
        for (int i = 0; i < 2000; ++i) check_u64(lum__splitmix64(&random) % power);
        if (power > UINT64_MAX / 10) break;
    }
}

static void signed_numbers(void **state)
{
    static const int64_t values[] = {0,   -1,        1,         INT32_MIN, INT32_MAX, -100,
                                     100, INT64_MIN, INT64_MAX, -12345678, -123456789};
    char text[40], want[40];

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; ++i) {
        size_t length = (size_t)(lum__text_i64(text, values[i]) - text);
        assert_int_equal(length, snprintf(want, sizeof want, "%" PRId64, values[i]));
        assert_memory_equal(text, want, length);
        if (values[i] != (int32_t)values[i]) continue;
        assert_int_equal(lum__text_i32(text, (int32_t)values[i]) - text, length);
        assert_memory_equal(text, want, length);
    }
    uint64_t random = 1;
    for (int i = 0; i < 100000; ++i) {
        int32_t value = (int32_t)lum__splitmix64(&random) >> (lum__splitmix64(&random) % 31);
        size_t length = (size_t)(lum__text_i32(text, value) - text);
        assert_int_equal(length, snprintf(want, sizeof want, "%" PRId32, value));
        assert_memory_equal(text, want, length);
    }
}

static void fields_by_name(void **state)
{
    const lum_t row = {.id = UINT64_MAX,
                       .timestamp = 1,
                       .memory_address = 2,
                       .position_x = INT32_MIN,
                       .position_y = -7,
                       .checksum = UINT32_MAX,
                       .presence = 1,
                       .structure_type = 5,
                       .is_destroyed = 1};
    static const char *const want[LUM__FIELD_COUNT] = {
        "18446744073709551615", "1", "-2147483648", "-7", "5", "1", "2", "1", "4294967295"};
    char text[40];

    (void)state;
    for (int field = 0; field < LUM__FIELD_COUNT; ++field) {
        *lum__field_text(text, &row, (enum lum__field)field) = '\0';
        assert_string_equal(text, want[field]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eight_digits_are_exact),
        cmocka_unit_test(numbers_of_every_length),
        cmocka_unit_test(signed_numbers),
        cmocka_unit_test(fields_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
