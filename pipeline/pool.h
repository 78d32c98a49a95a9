/* pipeline/pool.h - a fixed set of aligned, huge-page buffers, allocated once and reused: it bounds the memory of all loads of a store,
 * and a producer that finds it empty waits, which is the pipeline's back-pressure. */
#ifndef LUM_PIPELINE_POOL_H
#define LUM_PIPELINE_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "lum/status.h"

struct lum__pool;

/* buffer_count buffers of buffer_bytes each (rounded up to whole pages). Untouched parts cost no memory. */
LUM_MUST_USE lum_status lum__pool_create(uint32_t buffer_count, size_t buffer_bytes, struct lum__pool **out);
/* All buffers must be back. */
void lum__pool_destroy(struct lum__pool *pool);
size_t lum__pool_buffer_bytes(const struct lum__pool *pool);
/* A buffer, or NULL if none is free. Any thread. */
uint8_t *lum__pool_try_take(struct lum__pool *pool);
/* A buffer; sleeps until one is free. Only for a thread that holds none in flight (else it reaps its own first). */
uint8_t *lum__pool_take(struct lum__pool *pool);
void lum__pool_give(struct lum__pool *pool, uint8_t *buffer);
/* Time that takers have slept, in ns. */
uint64_t lum__pool_wait_ns(struct lum__pool *pool);

#endif
