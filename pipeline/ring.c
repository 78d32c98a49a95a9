/* The queue is Dmitry Vyukov's bounded one: each slot carries a turn, which says whose it is next. Slot i begins with turn i: free for position i. The
 * producer that got position p writes the item and gives the slot the turn p + 1: there is an item; the consumer takes it and gives it the turn
 * p + capacity: free for the next time round. Orderings, each with its partner (the table is in pipeline/README.md):
 *   R1 push: stores turn p + 1 with release                       pairs with R2 pop: loads it with acquire: makes the item and what is behind it visible
 *   R7 push: loads turn p with acquire                            pairs with R8 pop: stores turn p + capacity with release: the slot was read
 *   R3 push: seq_cst fence, then reads `sleeping`                pairs with R4 wait: sets `sleeping`, seq_cst fence, then looks at the ring:
 *                                                                 one of the two sees the other, so no wake-up is lost
 *   R5 pop: seq_cst fence, then reads `blocked`                  pairs with R6 push: raises `blocked`, seq_cst fence, then tries again
 */
#include "pipeline/ring.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/futex.h"
#include "base/status.h"

struct slot {
    _Atomic uint64_t turn;
    void *item;
};

struct lum__ring {
    struct slot *slots;
    uint64_t mask;                         /* capacity - 1 */
    alignas(64) _Atomic uint64_t tail;     /* producers: the next position to be taken */
    alignas(64) uint64_t head;             /* consumer: the next position to be popped */
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
    struct slot *slots = calloc(capacity, sizeof *slots);
    if (ring == NULL || slots == NULL) {
        free(ring);
        free(slots);
        return lum__fail(LUM_ERR_NO_MEMORY, "out of memory for a queue of %u", capacity);
    }
    for (uint32_t i = 0; i < capacity; i++) atomic_init(&slots[i].turn, i);
    ring->slots = slots;
    ring->mask = capacity - 1;
    ring->head = 0;
    atomic_init(&ring->tail, 0);
    atomic_init(&ring->sleeping, 0);
    atomic_init(&ring->blocked, 0);
    atomic_init(&ring->room_event, 0);
    *out = ring;
    return LUM_OK;
}

void lum__ring_destroy(struct lum__ring *ring)
{
    if (ring == NULL) return;
    LUM_ASSERT(atomic_load_explicit(&ring->tail, memory_order_relaxed) == ring->head); /* empty; nobody uses it any more */
    free(ring->slots);
    free(ring);
}

/* False: it is full. A producer that is preempted between the two steps, position and turn, holds up nobody but the consumer, which takes the items in
 * order: other producers take and fill the slots behind it. */
static bool try_push(struct lum__ring *ring, void *item)
{
    uint64_t position = atomic_load_explicit(&ring->tail, memory_order_relaxed); /* the slot's turn says whether it is still right */
    for (;;) {
        struct slot *slot = &ring->slots[position & ring->mask];
        uint64_t turn = atomic_load_explicit(&slot->turn, memory_order_acquire); /* R7 pairs with R8 */
        if (turn == position) {
            /* relaxed: what the slot holds is ordered by its turn */
            if (!atomic_compare_exchange_weak_explicit(&ring->tail, &position, position + 1, memory_order_relaxed, memory_order_relaxed)) continue;
            slot->item = item;
            atomic_store_explicit(&slot->turn, position + 1, memory_order_release); /* R1 pairs with R2 */
            return true;
        }
        if (turn < position) return false;
        position = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    }
}

static bool has_item(const struct lum__ring *ring)
{
    return atomic_load_explicit(&ring->slots[ring->head & ring->mask].turn, memory_order_acquire) == ring->head + 1; /* R2 pairs with R1 */
}

static void wait_for_room(struct lum__ring *ring, void *item)
{
    for (;;) {
        uint32_t event = atomic_load_explicit(&ring->room_event, memory_order_relaxed); /* only compared for change */
        atomic_fetch_add_explicit(&ring->blocked, 1, memory_order_relaxed);
        atomic_thread_fence(memory_order_seq_cst); /* R6 pairs with R5 */
        bool pushed = try_push(ring, item);
        if (!pushed) lum__futex_wait(&ring->room_event, event, UINT64_MAX);
        atomic_fetch_sub_explicit(&ring->blocked, 1, memory_order_relaxed);
        if (pushed) return;
    }
}

void lum__ring_push(struct lum__ring *ring, void *item)
{
    LUM_ASSERT(item != NULL);
    if (!try_push(ring, item)) wait_for_room(ring, item);
    atomic_thread_fence(memory_order_seq_cst);                                               /* R3 pairs with R4 */
    if (atomic_load_explicit(&ring->sleeping, memory_order_relaxed) != 0) {
        atomic_store_explicit(&ring->sleeping, 0, memory_order_relaxed);
        lum__futex_wake_all(&ring->sleeping);
    }
}

void *lum__ring_pop(struct lum__ring *ring)
{
    if (!has_item(ring)) return NULL;
    struct slot *slot = &ring->slots[ring->head & ring->mask];
    void *item = slot->item;
    atomic_store_explicit(&slot->turn, ring->head + ring->mask + 1, memory_order_release); /* R8 pairs with R7 */
    ring->head++;
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
    if (!has_item(ring)) lum__futex_wait(&ring->sleeping, 1, timeout_ns);
    atomic_store_explicit(&ring->sleeping, 0, memory_order_relaxed); /* this thread's own flag; a push that sees 1 only wakes in vain */
}
