/* cli/workload_inner.h - what the files that make, lend and compare the rows of a workload share; nobody else includes
 * it. */
#ifndef LUM_CLI_WORKLOAD_INNER_H
#define LUM_CLI_WORKLOAD_INNER_H

#include <stdint.h>

#include "cli/workload.h"

enum {
    DEVICES = 1000,
    HALF_STEPS = 64, /* random steps away, then the same ones back */
    BLOCK_STEPS = 2 * HALF_STEPS,
    STEP_WORDS = DEVICES / 8, /* random words for one coordinate in one second: a byte for each device */
    NOISE_EVERY = 4096
};
#define TIME_BASE    1700000000000000000u
#define ADDRESS_BASE 0x7f0000000000u
#define SECOND_NS    1000000000u

/* Built for several instruction levels, the best one chosen when the program starts (gcc's function multiversioning).
 * Not under sanitizers, whose runtime is not there yet when it is chosen. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) &&               \
    !defined(__SANITIZE_THREAD__)
#define FOR_EVERY_LEVEL __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EVERY_LEVEL
#endif

struct lum__row_maker {
    enum lum__workload_kind kind;
    /* tracks only, from here on */
    uint64_t next_row; /* x and y are of this row's second, for devices before this row's of the one after */
    uint64_t step;     /* that the random bytes belong to; UINT64_MAX: none yet */
    int32_t x[DEVICES], y[DEVICES];
    uint8_t random_x[DEVICES], random_y[DEVICES];
};

/* The mixing function of splitmix64 (Vigna 2015) over a counter: random access to a random sequence. */
static inline __attribute__((always_inline)) uint64_t mix(uint64_t counter)
{
    uint64_t z = counter * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Counters of different uses are kept apart by their upper bits. */
#define USE_ROW    ((uint64_t)1 << 56)
#define USE_STEPS  ((uint64_t)2 << 56)
#define USE_DEVICE ((uint64_t)3 << 56)
#define USE_NOISE  ((uint64_t)4 << 56)

/* Tracks: brings the maker to this row, where it is not there already. */
void lum__tracks_seek(struct lum__row_maker *maker, uint64_t row);
/* Tracks: moves devices first .. end - 1 from second t to t + 1, each coordinate by -50..50. */
void lum__tracks_step(struct lum__row_maker *maker, uint64_t t, unsigned first, unsigned end);

/* seed+noise: the random row of a page of NOISE_EVERY rows. Returns its number. */
uint64_t lum__noise_row(uint64_t page, lum_t *row);

/* A random time within a second, of a device at a second: counter is USE_ROW + t * DEVICES + device. */
static inline __attribute__((always_inline)) uint64_t tracks_jitter(uint64_t counter)
{
    return ((mix(counter) >> 32) * 1000001) >> 32;
}

#endif
