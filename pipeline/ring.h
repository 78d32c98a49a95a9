/* pipeline/ring.h - the lock-free queue from many producers to the one sequencer, with sleeping at both ends.
 *
 * Progress: a producer takes a position with one compare-and-swap, fails only because another one succeeded, and never waits for another one; a consumer
 * never waits for a lock. A producer that is preempted between taking its position and filling it delays the items behind it, not their
 * producers. (ck_ring's multi-producer enqueue spins until all earlier ones have published: with 16 committers on 2 CPUs, each waiting for its commit, one
 * preemption cost every other thread its time slice; 32,000 commits took 3 s or more than a minute.) */
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
