/* The pool never gives one buffer to two takers, and a taker that finds it empty sleeps until one is given back. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#include "pipeline/pool.h"

enum { THREADS = 8, BUFFERS = 3, BUFFER_BYTES = 8192, ROUNDS = 3000 };

static void *take_and_give(void *context)
{
    struct lum__pool *pool = context;
    for (int round = 0; round < ROUNDS; round++) {
        uint8_t *buffer = lum__pool_take(pool);
        uint8_t mark = (uint8_t)((uintptr_t)&buffer >> 12 ^ (uintptr_t)round);
        memset(buffer, mark, 64);
        for (int i = 0; i < 64; i++) {
            if (buffer[i] != mark) return buffer; /* somebody else has it too */
        }
        lum__pool_give(pool, buffer);
    }
    return NULL;
}

static void buffers_are_exclusive(void **state)
{
    (void)state;
    struct lum__pool *pool = NULL;
    assert_int_equal(lum__pool_create(BUFFERS, BUFFER_BYTES, &pool), LUM_OK);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, pool), 0);
    for (int i = 0; i < THREADS; i++) {
        void *shared = NULL;
        pthread_join(threads[i], &shared);
        assert_null(shared);
    }
    lum__pool_destroy(pool);
}

static void an_empty_pool_answers_null(void **state)
{
    (void)state;
    struct lum__pool *pool = NULL;
    uint8_t *taken[BUFFERS];
    assert_int_equal(lum__pool_create(BUFFERS, BUFFER_BYTES, &pool), LUM_OK);
    for (int i = 0; i < BUFFERS; i++) {
        taken[i] = lum__pool_try_take(pool);
        assert_non_null(taken[i]);
        assert_int_equal((uintptr_t)taken[i] % 4096, 0);
        for (int j = 0; j < i; j++) assert_ptr_not_equal(taken[i], taken[j]);
    }
    assert_null(lum__pool_try_take(pool));
    for (int i = 0; i < BUFFERS; i++) lum__pool_give(pool, taken[i]);
    lum__pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers_are_exclusive),
        cmocka_unit_test(an_empty_pool_answers_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
