/* Proves that a failure's description is complete, cut safely, kept per thread, and that errno values map as documented. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/status.h"

static void fail_keeps_the_whole_story(void **state)
{
    (void)state;
    assert_int_equal(lum__corrupt("data/1.seg", 8192, 7, "page %d is %s", 3, "damaged"), LUM_ERR_CORRUPT);
    const struct lum__error *error = lum__error_last();
    assert_int_equal(error->status, LUM_ERR_CORRUPT);
    assert_int_equal(error->os_errno, 0);
    assert_string_equal(error->file, "data/1.seg");
    assert_int_equal(error->offset, 8192);
    assert_int_equal(error->condition, 7);
    assert_string_equal(error->message, "page 3 is damaged");
    const char *tail = strstr(error->where_file, "tests/unit/status_test.c"); /* a compiler cache may put ../ before it */
    assert_non_null(tail);
    assert_string_equal(tail, "tests/unit/status_test.c");
    assert_true(error->where_line > 0);

    lum__error_clear();
    assert_int_equal(lum__error_last()->status, LUM_OK);
    assert_true(lum__error_last()->offset == LUM_NO_OFFSET);
    assert_string_equal(lum__error_last()->message, "");
}

static void fail_errno_says_the_system_reason(void **state)
{
    (void)state;
    assert_int_equal(lum__fail_errno(ENOSPC, "wal/1.wal", 4096, "cannot append"), LUM_ERR_NO_SPACE);
    assert_int_equal(lum__error_last()->os_errno, ENOSPC);
    assert_string_equal(lum__error_last()->message, "cannot append: No space left on device");
}

static void line_and_remedy_belong_to_one_failure(void **state)
{
    (void)state;
    (void)lum__fail(LUM_ERR_INPUT, "bad row");
    lum__error_set_line(42);
    lum__error_set_remedy("try %s", "this");
    assert_int_equal(lum__error_last()->line, 42);
    assert_string_equal(lum__error_last()->remedy, "try this");
    assert_string_equal(lum__error_last()->message, "bad row");

    (void)lum__fail(LUM_ERR_INPUT, "another");
    assert_int_equal(lum__error_last()->line, 0);
    assert_string_equal(lum__error_last()->remedy, "");
}

static void long_texts_are_cut_and_terminated(void **state)
{
    char text[2000];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)lum__fail_errno(EIO, text, 0, "%s", text);
    const struct lum__error *error = lum__error_last();
    assert_int_equal(strlen(error->file), sizeof error->file - 1);
    assert_int_equal(strlen(error->message), sizeof error->message - 1);
}

static void a_message_may_quote_the_last_one(void **state)
{
    (void)state;
    (void)lum__fail(LUM_ERR_IO, "inner");
    (void)lum__fail(LUM_ERR_POISONED, "outer: %s", lum__error_last()->message);
    assert_string_equal(lum__error_last()->message, "outer: inner");
}

static void *fail_in_thread(void *copy)
{
    (void)lum__fail(LUM_ERR_SYNC, "of the other thread");
    *(struct lum__error *)copy = *lum__error_last();
    return NULL;
}

static void errors_are_per_thread_and_can_be_handed_over(void **state)
{
    struct lum__error copy;
    pthread_t thread;

    (void)state;
    (void)lum__fail(LUM_ERR_IO, "of this thread");
    assert_int_equal(pthread_create(&thread, NULL, fail_in_thread, &copy), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_string_equal(lum__error_last()->message, "of this thread");
    lum__error_restore(&copy);
    assert_int_equal(lum__error_last()->status, LUM_ERR_SYNC);
    assert_string_equal(lum__error_last()->message, "of the other thread");
    lum__error_restore(lum__error_last());
    assert_string_equal(lum__error_last()->message, "of the other thread");
}

static void errno_maps_to_statuses(void **state)
{
    static const struct { int os_errno; lum_status status; } cases[] = {
        {ENOSPC, LUM_ERR_NO_SPACE},  {EDQUOT, LUM_ERR_NO_SPACE},  {EACCES, LUM_ERR_PERMISSION}, {EPERM, LUM_ERR_PERMISSION},
        {EROFS, LUM_ERR_PERMISSION}, {ENOENT, LUM_ERR_NOT_FOUND}, {EEXIST, LUM_ERR_EXISTS},     {ENOMEM, LUM_ERR_NO_MEMORY},
        {EIO, LUM_ERR_IO},           {EINVAL, LUM_ERR_IO},        {ESTALE, LUM_ERR_IO},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(lum__status_of_errno(cases[i].os_errno), cases[i].status);
    }
}

static void every_status_has_a_name_of_its_own(void **state)
{
    static const int statuses[] = {0,  10, 11, 12, 13, 20, 21, 22, 23, 24, 25, 30, 31, 32, 40,
                                   41, 42, 43, 44, 45, 46, 47, 48, 50, 51, 52, 53}; /* the ABI: never renumber */
    size_t count = sizeof statuses / sizeof statuses[0];

    (void)state;
    for (size_t i = 0; i < count; i++) {
        const char *name = lum_status_name((lum_status)statuses[i]);
        assert_string_not_equal(name, "UNKNOWN");
        for (size_t j = 0; j < i; j++) assert_string_not_equal(name, lum_status_name((lum_status)statuses[j]));
    }
    assert_string_equal(lum_status_name(LUM_ERR_CORRUPT), "ERR_CORRUPT");
    assert_string_equal(lum_status_name((lum_status)9999), "UNKNOWN");
    assert_int_equal(LUM_ERR_CORRUPT, 30);
    assert_int_equal(LUM_END, 53);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fail_keeps_the_whole_story),
        cmocka_unit_test(fail_errno_says_the_system_reason),
        cmocka_unit_test(line_and_remedy_belong_to_one_failure),
        cmocka_unit_test(long_texts_are_cut_and_terminated),
        cmocka_unit_test(a_message_may_quote_the_last_one),
        cmocka_unit_test(errors_are_per_thread_and_can_be_handed_over),
        cmocka_unit_test(errno_maps_to_statuses),
        cmocka_unit_test(every_status_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
