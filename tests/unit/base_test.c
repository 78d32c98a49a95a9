/* Proves byte order, rounding and zero tests of bytes.h, that the clocks move, that random bytes differ between calls, and
 * that a failed assertion stops the process with a message. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/random.h"

static void integers_are_little_endian(void **state)
{
    static const uint8_t expected[8] = {0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01};
    uint8_t bytes[9] = {0};

    (void)state;
    lum__put_u64(bytes + 1, UINT64_C(0x0123456789abcdef)); /* unaligned on purpose */
    assert_memory_equal(bytes + 1, expected, 8);
    assert_true(lum__get_u64(bytes + 1) == UINT64_C(0x0123456789abcdef));
    assert_int_equal(lum__get_u32(bytes + 1), 0x89abcdefu);
    assert_int_equal(lum__get_u16(bytes + 1), 0xcdefu);
    lum__put_u32(bytes + 1, 1);
    lum__put_u16(bytes + 5, 0x0203);
    assert_memory_equal(bytes + 1, "\x01\x00\x00\x00\x03\x02", 6);
}

static void rounding_and_zero_test(void **state)
{
    uint8_t bytes[65] = {0};

    (void)state;
    assert_int_equal(lum__round_up(0, 4096), 0);
    assert_int_equal(lum__round_up(1, 4096), 4096);
    assert_int_equal(lum__round_up(4096, 4096), 4096);
    assert_true(lum__is_zero(bytes, 0));
    assert_true(lum__is_zero(bytes, sizeof bytes));
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = 0x80;
        assert_false(lum__is_zero(bytes, sizeof bytes));
        assert_true(lum__is_zero(bytes, i));
        bytes[i] = 0;
    }
}

static void clocks_move(void **state)
{
    (void)state;
    uint64_t before = lum__clock_monotonic_ns();
    assert_int_equal(usleep(1000), 0);
    uint64_t after = lum__clock_monotonic_ns();
    assert_true(after - before >= 1000000);
    assert_true(lum__clock_wall_ns() > UINT64_C(1700000000000000000)); /* after 2023 */
}

static void random_bytes_never_repeat_and_fill_exactly(void **state)
{
    uint64_t seen[64];
    uint8_t bytes[40];

    (void)state;
    for (size_t i = 0; i < 64; i++) {
        lum__random_bytes(&seen[i], sizeof seen[i]);
        for (size_t j = 0; j < i; j++) assert_true(seen[i] != seen[j]);
    }
    for (size_t count = 0; count <= 32; count++) {
        memset(bytes, 0, sizeof bytes);
        bytes[count] = 0x5a;
        lum__random_bytes(bytes, count);
        assert_int_equal(bytes[count], 0x5a);
    }
}

static void splitmix_gives_the_published_sequence(void **state)
{
    uint64_t seed = 1234567;

    (void)state;
    assert_true(lum__splitmix64(&seed) == UINT64_C(6457827717110365317));
    assert_true(lum__splitmix64(&seed) == UINT64_C(3203168211198807973));
}

static void failed_assertion_aborts_with_a_message(void **state)
{
    char text[256] = {0};
    int ends[2];
    int result;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGABRT, SIG_DFL);
        (void)dup2(ends[1], STDERR_FILENO);
        LUM_ASSERT(1 + 1 == 3);
        _exit(0);
    }
    (void)close(ends[1]);
    assert_true(read(ends[0], text, sizeof text - 1) > 0);
    (void)close(ends[0]);
    assert_true(waitpid(child, &result, 0) == child);
    assert_true(WIFSIGNALED(result) && WTERMSIG(result) == SIGABRT);
    assert_non_null(strstr(text, "1 + 1 == 3"));
    assert_non_null(strstr(text, "base_test.c"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_little_endian),
        cmocka_unit_test(rounding_and_zero_test),
        cmocka_unit_test(clocks_move),
        cmocka_unit_test(random_bytes_never_repeat_and_fill_exactly),
        cmocka_unit_test(splitmix_gives_the_published_sequence),
        cmocka_unit_test(failed_assertion_aborts_with_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
