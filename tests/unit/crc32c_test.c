/* Proves that our CRC-32C is the one of RFC 3720, can be continued, and combines as if the bytes had been one piece. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/random.h"

static uint32_t crc_bit_by_bit(const uint8_t *bytes, size_t byte_count)
{
    uint32_t state = UINT32_MAX;

    for (size_t i = 0; i < byte_count; i++) {
        state ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) state = (state >> 1) ^ (state & 1 ? 0x82f63b78u : 0);
    }
    return ~state;
}

static void published_values_match(void **state)
{
    uint8_t bytes[32];

    (void)state;
    assert_int_equal(lum__crc32c(0, "", 0), 0);
    assert_int_equal(lum__crc32c(0, "123456789", 9), 0xe3069283u);
    memset(bytes, 0, sizeof bytes); /* from here: RFC 3720, appendix B.4 */
    assert_int_equal(lum__crc32c(0, bytes, sizeof bytes), 0x8a9136aau);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(lum__crc32c(0, bytes, sizeof bytes), 0x62a8ab43u);
    for (uint8_t i = 0; i < 32; i++) bytes[i] = i;
    assert_int_equal(lum__crc32c(0, bytes, sizeof bytes), 0x46dd794eu);
    for (uint8_t i = 0; i < 32; i++) bytes[i] = (uint8_t)(31 - i);
    assert_int_equal(lum__crc32c(0, bytes, sizeof bytes), 0x113fdb5cu);
}

static void continues_and_combines_at_every_split(void **state)
{
    enum { BYTES = 700 };
    uint8_t bytes[BYTES];
    uint64_t seed = 1;

    (void)state;
    for (size_t i = 0; i < BYTES; i++) bytes[i] = (uint8_t)lum__splitmix64(&seed);
    uint32_t whole = lum__crc32c(0, bytes, BYTES);
    assert_int_equal(whole, crc_bit_by_bit(bytes, BYTES));
    for (size_t split = 0; split <= BYTES; split++) {
        uint32_t first = lum__crc32c(0, bytes, split);
        uint32_t second = lum__crc32c(0, bytes + split, BYTES - split);
        assert_int_equal(lum__crc32c(first, bytes + split, BYTES - split), whole);
        assert_int_equal(lum__crc32c_combine(first, second, BYTES - split), whole);
    }
}

/* Lengths too large to feed: (a, b, c) must combine to the same from the left and from the right. */
static void combines_huge_lengths(void **state)
{
    uint64_t seed = 7;

    (void)state;
    for (uint32_t k = 0; k < 63; k++) {
        uint32_t a = (uint32_t)lum__splitmix64(&seed);
        uint32_t b = (uint32_t)lum__splitmix64(&seed);
        uint32_t c = (uint32_t)lum__splitmix64(&seed);
        uint64_t bytes_b = (UINT64_C(1) << k) - 1;
        uint64_t bytes_c = UINT64_C(1) << k;
        uint32_t left = lum__crc32c_combine(lum__crc32c_combine(a, b, bytes_b), c, bytes_c);
        uint32_t right = lum__crc32c_combine(a, lum__crc32c_combine(b, c, bytes_c), bytes_b + bytes_c);
        assert_int_equal(left, right);
        /* 2^k bytes twice are 2^(k+1) bytes: ties each entry of the table to the next, and the split test anchors the first */
        uint32_t twice = lum__crc32c_combine(lum__crc32c_combine(a, 0, bytes_c), 0, bytes_c);
        assert_int_equal(twice, lum__crc32c_combine(a, 0, bytes_c << 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_values_match),
        cmocka_unit_test(continues_and_combines_at_every_split),
        cmocka_unit_test(combines_huge_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
