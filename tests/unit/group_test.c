/* Proves that a group keeps what was added, in order, across growth, also when it is given its own records, and that
 * misuse is answered instead of crashing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lum/lum.h"

static void test_adds_and_grows(void **state)
{
    (void)state;
    for (size_t capacity = 0; capacity <= 100; capacity += 50) {
        lum_group_t *group = lum_group_create(capacity);
        assert_non_null(group);
        assert_int_equal(lum_group_size(group), 0);
        assert_null(lum_group_data(group));
        assert_null(lum_group_get(group, 0));
        for (uint64_t i = 0; i < 10000; i++) {
            lum_t record = {.id = i, .position_x = (int32_t)-i};
            assert_int_equal(lum_group_add(group, &record), LUM_OK);
        }
        assert_int_equal(lum_group_size(group), 10000);
        const lum_t *data = lum_group_data(group);
        for (uint64_t i = 0; i < 10000; i++) {
            assert_int_equal(data[i].id, i);
            assert_ptr_equal(lum_group_get(group, i), &data[i]);
        }
        assert_null(lum_group_get(group, 10000));
        lum_group_destroy(group);
    }
}

static void test_adds_many_and_itself(void **state)
{
    (void)state;
    lum_group_t *group = lum_group_create(0);
    lum_t three[3] = {{.id = 1}, {.id = 2}, {.id = 3}};
    assert_int_equal(lum_group_add_many(group, three, 3), LUM_OK);
    assert_int_equal(lum_group_add_many(group, three, 0), LUM_OK);
    for (int i = 0; i < 12; i++)
        assert_int_equal(lum_group_add_many(group, lum_group_data(group), lum_group_size(group)), LUM_OK);
    assert_int_equal(lum_group_size(group), 3 << 12);
    for (size_t i = 0; i < lum_group_size(group); i++) assert_int_equal(lum_group_get(group, i)->id, i % 3 + 1);
    lum_group_destroy(group);
}

static void test_refuses(void **state)
{
    (void)state;
    lum_t record = {.id = 1};
    lum_group_t *group = lum_group_create(1);
    assert_int_equal(lum_group_add(NULL, &record), LUM_ERR_ARGUMENT);
    assert_int_equal(lum_group_add(group, NULL), LUM_ERR_ARGUMENT);
    assert_int_equal(lum_group_add(group, &record), LUM_OK);
    assert_int_equal(lum_group_add_many(group, &record, SIZE_MAX / sizeof record), LUM_ERR_NO_MEMORY);
    assert_int_equal(lum_group_size(group), 1); /* all or none */
    assert_int_equal(lum_group_get(group, 0)->id, 1);
    assert_null(lum_group_get(NULL, 0));
    assert_null(lum_group_data(NULL));
    assert_int_equal(lum_group_size(NULL), 0);
    lum_group_destroy(group);
    lum_group_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adds_and_grows),
        cmocka_unit_test(test_adds_many_and_itself),
        cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
