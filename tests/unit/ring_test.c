/* The ring hands over every item exactly once, in each producer's order, with 1-16 producers, small capacities, and a consumer that
 * sleeps; what a producer wrote before a push is visible after the pop. (ThreadSanitizer runs this too.) */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka needs the four above */
#include <cmocka.h>

#include "pipeline/ring.h"

/* In all, however many producers. */
enum { ITEMS = 80000 };

struct item {
    uint32_t producer;
    uint32_t number;
};

struct producer {
    struct lum__ring *ring;
    uint32_t index;
    uint32_t item_count;
    struct item *items;
};

static void *produce(void *context)
{
    struct producer *producer = context;
    for (uint32_t i = 0; i < producer->item_count; i++) {
        producer->items[i].producer = producer->index;
        producer->items[i].number = i;
        lum__ring_push(producer->ring, &producer->items[i]);
    }
    return NULL;
}

static void run(uint32_t producer_count, uint32_t capacity)
{
    struct lum__ring *ring = NULL;
    assert_int_equal(lum__ring_create(capacity, &ring), LUM_OK);
    struct producer producers[16];
    pthread_t threads[16];
    uint32_t next[16] = {0};
    uint32_t item_count = ITEMS / producer_count;
    for (uint32_t i = 0; i < producer_count; i++) {
        producers[i] = (struct producer){.ring = ring, .index = i, .item_count = item_count, .items = calloc(item_count, sizeof(struct item))};
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    for (uint64_t popped = 0; popped < (uint64_t)producer_count * item_count;) {
        struct item *item = lum__ring_pop(ring);
        if (item == NULL) {
            lum__ring_wait(ring, UINT64_MAX); /* a lost wake-up would hang here */
            continue;
        }
        assert_true(item->producer < producer_count);
        assert_int_equal(item->number, next[item->producer]);
        next[item->producer]++;
        popped++;
    }
    assert_null(lum__ring_pop(ring));
    for (uint32_t i = 0; i < producer_count; i++) {
        pthread_join(threads[i], NULL);
        free(producers[i].items);
    }
    lum__ring_destroy(ring);
}

static void one_producer(void **state)
{
    (void)state;
    run(1, 1024);
    run(1, 4);
}

static void many_producers(void **state)
{
    (void)state;
    run(2, 64);
    run(8, 8);
    run(16, 4096);
}

static void waiting_times_out(void **state)
{
    (void)state;
    struct lum__ring *ring = NULL;
    assert_int_equal(lum__ring_create(4, &ring), LUM_OK);
    lum__ring_wait(ring, 1000000);
    assert_null(lum__ring_pop(ring));
    int item = 0;
    lum__ring_push(ring, &item);
    lum__ring_wait(ring, UINT64_MAX); /* returns at once: there is an item */
    assert_ptr_equal(lum__ring_pop(ring), &item);
    lum__ring_destroy(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_producer),
        cmocka_unit_test(many_producers),
        cmocka_unit_test(waiting_times_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
