/* pipeline/ring.h - the lock-free queue from many producers to the one sequencer: ck_ring (ConcurrencyKit, Samy Al Bahra) with
 * sleeping at both ends.
 *
 * Progress: a producer takes a slot with one compare-and-swap and publishes it; a consumer never waits for a lock. As in every ring of this
 * kind, a producer that is preempted between taking and publishing its slot delays the producers behind it (ck's multi-producer commit
 * waits for its predecessors), so single pushes are not lock-free in the strict sense; no thread can be blocked while it holds something
 * that others need for longer than those few instructions. */
#ifndef LUM_PIPELINE_RING_H
#define LUM_PIPELINE_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "lum/status.h"

struct lum__ring;

/* capacity: a power of two. */
LUM_MUST_USE lum_status lum__ring_create(uint32_t capacity, struct lum__ring **out);
void lum__ring_destroy(struct lum__ring *ring);

/* Hands over a pointer; everything written before is visible to the popper. Sleeps while the ring is full. Any thread. */
void lum__ring_push(struct lum__ring *ring, void *item);
/* The oldest item, NULL if there is none. The consumer thread only. */
void *lum__ring_pop(struct lum__ring *ring);
/* Sleeps until there may be an item, or timeout_ns passed (UINT64_MAX: none). The consumer thread only. */
void lum__ring_wait(struct lum__ring *ring, uint64_t timeout_ns);

#endif
