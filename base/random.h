/* base/random.h - unpredictable bytes for ids and salts; and a small seeded generator (splitmix64, Vigna 2015) for tests and
 * workloads. */
#ifndef LUM_BASE_RANDOM_H
#define LUM_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#include "lum/status.h"

/* getrandom(2), mixed with clock, pid and a counter so that one bad source cannot repeat an id. Any thread. */
void lum__random_bytes(void *out, size_t byte_count);

static inline uint64_t lum__splitmix64(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

#endif
