/* Orderings, each with its partner (the table is in pipeline/README.md):
 *   R1 push: ck_ring publishes the slot (release inside ck)      pairs with R2 pop: ck_ring reads it (acquire): makes *item visible
 *   R3 push: seq_cst fence, then reads `sleeping`                pairs with R4 wait: sets `sleeping`, seq_cst fence, then looks at the ring:
 *                                                                 one of the two sees the other, so no wake-up is lost
 *   R5 pop: seq_cst fence, then reads `blocked`                  pairs with R6 push: raises `blocked`, seq_cst fence, then tries again
 */
#include "pipeline/ring.h"

#include <ck_ring.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/futex.h"
#include "base/status.h"

#if defined(LUM_TSAN)
/* ck orders with inline assembly, which ThreadSanitizer cannot see: tell it of R1 and R2. (This file is not instrumented.) */
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define TSAN_ACQUIRE(address) __tsan_acquire(address)
#define TSAN_RELEASE(address) __tsan_release(address)
#else
#define TSAN_ACQUIRE(address) ((void)(address))
#define TSAN_RELEASE(address) ((void)(address))
#endif

struct lum__ring {
    ck_ring_t ring; /* padded by ck */
    ck_ring_buffer_t *slots;
    alignas(64) _Atomic uint32_t sleeping; /* consumer: 1 while it sleeps or is about to */
    alignas(64) _Atomic uint32_t blocked;  /* producers that wait for room */
    _Atomic uint32_t room_event;           /* counts up when room was made while someone waited */
};

lum_status lum__ring_create(uint32_t capacity, struct lum__ring **out)
{
    LUM_ASSERT(capacity >= 4);
    LUM_ASSERT((capacity & (capacity - 1)) == 0);
    *out = NULL;
    struct lum__ring *ring = aligned_alloc(64, (sizeof *ring + 63) / 64 * 64);
    ck_ring_buffer_t *slots = calloc(capacity, sizeof *slots);
    if (ring == NULL || slots == NULL) {
        free(ring);
        free(slots);
        return lum__fail(LUM_ERR_NO_MEMORY, "out of memory for a queue of %u", capacity);
    }
    ck_ring_init(&ring->ring, capacity);
    ring->slots = slots;
    atomic_init(&ring->sleeping, 0);
    atomic_init(&ring->blocked, 0);
    atomic_init(&ring->room_event, 0);
    *out = ring;
    return LUM_OK;
}

void lum__ring_destroy(struct lum__ring *ring)
{
    if (ring == NULL) return;
    LUM_ASSERT(ck_ring_size(&ring->ring) == 0);
    free(ring->slots);
    free(ring);
}

static void wait_for_room(struct lum__ring *ring, void *item)
{
    for (;;) {
        uint32_t event = atomic_load_explicit(&ring->room_event, memory_order_relaxed); /* only compared for change */
        atomic_fetch_add_explicit(&ring->blocked, 1, memory_order_relaxed);
        atomic_thread_fence(memory_order_seq_cst); /* R6 pairs with R5 */
        bool pushed = ck_ring_enqueue_mpsc(&ring->ring, ring->slots, item);
        if (!pushed) lum__futex_wait(&ring->room_event, event, UINT64_MAX);
        atomic_fetch_sub_explicit(&ring->blocked, 1, memory_order_relaxed);
        if (pushed) return;
    }
}

void lum__ring_push(struct lum__ring *ring, void *item)
{
    LUM_ASSERT(item != NULL);
    TSAN_RELEASE(item);                                                                      /* R1 */
    if (!ck_ring_enqueue_mpsc(&ring->ring, ring->slots, item)) wait_for_room(ring, item);    /* R1 */
    atomic_thread_fence(memory_order_seq_cst);                                               /* R3 pairs with R4 */
    if (atomic_load_explicit(&ring->sleeping, memory_order_relaxed) != 0) {
        atomic_store_explicit(&ring->sleeping, 0, memory_order_relaxed);
        lum__futex_wake_all(&ring->sleeping);
    }
}

void *lum__ring_pop(struct lum__ring *ring)
{
    void *item = NULL;
    if (!ck_ring_dequeue_mpsc(&ring->ring, ring->slots, &item)) return NULL; /* R2 pairs with R1 */
    TSAN_ACQUIRE(item);
    atomic_thread_fence(memory_order_seq_cst); /* R5 pairs with R6 */
    if (atomic_load_explicit(&ring->blocked, memory_order_relaxed) != 0) {
        atomic_fetch_add_explicit(&ring->room_event, 1, memory_order_relaxed);
        /* One slot, one sleeper; waking all would make them fight for it, at the cost of this thread. Should a newcomer take the slot, the pop
         * of its item wakes the next; and whoever has not fallen asleep yet sees the changed event. So none sleeps beside an empty ring. */
        lum__futex_wake_one(&ring->room_event);
    }
    LUM_ASSERT(item != NULL);
    return item;
}

void lum__ring_wait(struct lum__ring *ring, uint64_t timeout_ns)
{
    atomic_store_explicit(&ring->sleeping, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* R4 pairs with R3 */
    if (ck_ring_size(&ring->ring) == 0) lum__futex_wait(&ring->sleeping, 1, timeout_ns);
    atomic_store_explicit(&ring->sleeping, 0, memory_order_relaxed); /* this thread's own flag; a push that sees 1 only wakes in vain */
}
