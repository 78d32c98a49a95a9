/* Proves alignment, zeroing and cost of mapped buffers, that arrays grow without losing contents, and that absurd sizes are
 * refused with a status. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "base/status.h"

static void mapped_memory_is_aligned_and_zero(void **state)
{
    static const size_t sizes[] = {0, 1, 4096, 4097, (2u << 20) - 1, 2u << 20, (2u << 20) + 1, 9u << 20};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        void *memory;
        size_t mapped;
        size_t alignment = sizes[i] >= 2u << 20 ? 2u << 20 : LUM__IO_ALIGNMENT;
        assert_int_equal(lum__memory_map(sizes[i], &memory, &mapped), LUM_OK);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % alignment, 0);
        assert_int_equal(mapped % alignment, 0);
        assert_true(mapped >= sizes[i]);
        assert_true(mapped < sizes[i] + alignment + 1);
        assert_true(lum__is_zero(memory, mapped));
        memset(memory, 0xab, mapped); /* all of it may be written */
        lum__memory_unmap(memory, mapped);
    }
    lum__memory_unmap(NULL, 0);
}

static void absurd_sizes_are_refused(void **state)
{
    void *memory = (void *)1;
    size_t mapped = 1;

    (void)state;
    assert_int_equal(lum__memory_map(SIZE_MAX, &memory, &mapped), LUM_ERR_NO_MEMORY);
    assert_null(memory);
    assert_int_equal(mapped, 0);
    assert_int_equal(lum__memory_map(SIZE_MAX / 4, &memory, &mapped), LUM_ERR_NO_MEMORY);
    assert_null(memory);

    size_t capacity = 0;
    void *array = NULL;
    assert_int_equal(lum__grow(&array, &capacity, SIZE_MAX / 2, 8), LUM_ERR_NO_MEMORY);
    assert_null(array);
    assert_int_equal(capacity, 0);
}

static void arrays_grow_and_keep(void **state)
{
    uint64_t *array = NULL;
    size_t capacity = 0;

    (void)state;
    for (uint64_t i = 0; i < 10000; i++) {
        assert_int_equal(lum__grow((void **)&array, &capacity, i + 1, sizeof *array), LUM_OK);
        assert_true(capacity > i);
        array[i] = i * 3;
    }
    for (uint64_t i = 0; i < 10000; i++) assert_true(array[i] == i * 3);
    assert_true(capacity < 20001);
    size_t before = capacity;
    assert_int_equal(lum__grow((void **)&array, &capacity, 5, sizeof *array), LUM_OK);
    assert_int_equal(capacity, before);
    free(array);
}

static void empty_allocations_are_valid(void **state)
{
    void *memory;

    (void)state;
    assert_int_equal(lum__alloc(0, &memory), LUM_OK);
    assert_non_null(memory);
    free(memory);
    assert_int_equal(lum__alloc_zeroed(0, 8, &memory), LUM_OK);
    assert_non_null(memory);
    free(memory);
    assert_int_equal(lum__alloc_zeroed(100, 8, &memory), LUM_OK);
    assert_true(lum__is_zero(memory, 800));
    free(memory);
}

static void huge_allocations_are_aligned_and_freed_with_free(void **state)
{
    static const size_t sizes[] = {0, 1, (2u << 20) - 1, 2u << 20, (2u << 20) + 1, 9u << 20};
    void *memory;

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_int_equal(lum__alloc_huge(sizes[i], &memory), LUM_OK);
        assert_non_null(memory);
        if (sizes[i] >= 2u << 20) assert_int_equal((uintptr_t)memory % (2u << 20), 0);
        memset(memory, 0xab, sizes[i]);
        free(memory);
    }
    memory = (void *)1;
    assert_int_equal(lum__alloc_huge(SIZE_MAX, &memory), LUM_ERR_NO_MEMORY); /* rounded up, it would be 0 */
    assert_null(memory);
}

static void peak_follows_use(void **state)
{
    enum { BYTES = 32 << 20 };
    void *memory;
    size_t mapped;

    (void)state;
    assert_int_equal(lum__memory_map(BYTES, &memory, &mapped), LUM_OK);
    memset(memory, 1, mapped);
    uint64_t peak = lum__memory_peak_bytes();
    lum__memory_unmap(memory, mapped);
    assert_true(peak >= BYTES);
    assert_true(lum__memory_peak_bytes() >= BYTES); /* a peak stays */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mapped_memory_is_aligned_and_zero),
        cmocka_unit_test(absurd_sizes_are_refused),
        cmocka_unit_test(arrays_grow_and_keep),
        cmocka_unit_test(empty_allocations_are_valid),
        cmocka_unit_test(huge_allocations_are_aligned_and_freed_with_free),
        cmocka_unit_test(peak_follows_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
