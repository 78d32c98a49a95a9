#include "pipeline/pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/status.h"

/* One buffer covers 262,144 rows, so the lock is taken a few hundred times a second: a mutex, not an atomic stack with its ABA trouble. */
struct lum__pool {
    /* immutable */
    uint32_t buffer_count;
    size_t buffer_bytes;
    uint8_t **mapped;
    size_t *mapped_bytes;
    /* under mutex */
    pthread_mutex_t mutex;
    pthread_cond_t given;
    uint8_t **free;
    uint32_t free_count;
    uint64_t wait_ns;
};

lum_status lum__pool_create(uint32_t buffer_count, size_t buffer_bytes, struct lum__pool **out)
{
    LUM_ASSERT(buffer_count > 0);
    *out = NULL;
    struct lum__pool *pool = NULL;
    LUM_TRY(lum__alloc_zeroed(1, sizeof *pool, (void **)&pool));
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->given, NULL);
    pool->buffer_bytes = buffer_bytes;
    lum_status status = LUM_OK;
    LUM_TRY_OUT(lum__alloc_zeroed(buffer_count, sizeof *pool->mapped, (void **)&pool->mapped));
    LUM_TRY_OUT(lum__alloc_zeroed(buffer_count, sizeof *pool->mapped_bytes, (void **)&pool->mapped_bytes));
    LUM_TRY_OUT(lum__alloc_zeroed(buffer_count, sizeof *pool->free, (void **)&pool->free));
    for (uint32_t i = 0; i < buffer_count; i++) {
        void *memory = NULL;
        LUM_TRY_OUT(lum__memory_map(buffer_bytes, &memory, &pool->mapped_bytes[i]));
        pool->mapped[i] = memory;
        pool->free[pool->free_count++] = memory;
        pool->buffer_count++;
    }
    *out = pool;
    pool = NULL;
out:
    lum__pool_destroy(pool);
    return status;
}

void lum__pool_destroy(struct lum__pool *pool)
{
    if (pool == NULL) return;
    LUM_ASSERT(pool->free_count == pool->buffer_count);
    for (uint32_t i = 0; i < pool->buffer_count; i++) lum__memory_unmap(pool->mapped[i], pool->mapped_bytes[i]);
    pthread_cond_destroy(&pool->given);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->mapped);
    free(pool->mapped_bytes);
    free(pool->free);
    free(pool);
}

size_t lum__pool_buffer_bytes(const struct lum__pool *pool) { return pool->buffer_bytes; }

uint8_t *lum__pool_try_take(struct lum__pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    /* the buffer given back last: its pages are warm */
    uint8_t *buffer = pool->free_count > 0 ? pool->free[--pool->free_count] : NULL;
    pthread_mutex_unlock(&pool->mutex);
    return buffer;
}

uint8_t *lum__pool_take(struct lum__pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    if (pool->free_count == 0) {
        uint64_t begin = lum__clock_monotonic_ns();
        while (pool->free_count == 0) pthread_cond_wait(&pool->given, &pool->mutex);
        pool->wait_ns += lum__clock_monotonic_ns() - begin;
    }
    uint8_t *buffer = pool->free[--pool->free_count];
    pthread_mutex_unlock(&pool->mutex);
    return buffer;
}

void lum__pool_give(struct lum__pool *pool, uint8_t *buffer)
{
    LUM_ASSERT(buffer != NULL);
    pthread_mutex_lock(&pool->mutex);
    LUM_ASSERT(pool->free_count < pool->buffer_count);
    pool->free[pool->free_count++] = buffer;
    pthread_mutex_unlock(&pool->mutex);
    pthread_cond_signal(&pool->given);
}

uint64_t lum__pool_wait_ns(struct lum__pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    uint64_t wait_ns = pool->wait_ns;
    pthread_mutex_unlock(&pool->mutex);
    return wait_ns;
}
