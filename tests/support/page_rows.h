/* tests/support/page_rows.h - rows as the three workloads of `lum stress` have them, for tests and benchmarks of pages.
 */
#ifndef LUM_TESTS_PAGE_ROWS_H
#define LUM_TESTS_PAGE_ROWS_H

#include <string.h>

#include "base/random.h"
#include "lum/lum.h"

#define PAGE_ROWS_BASE_NS UINT64_C(1700000000000000000)

/* Everything in steps; position_x wraps every 100,000 rows. */
static inline void page_rows_seed(lum_t *rows, uint64_t first, uint32_t count)
{
    memset(rows, 0, count * sizeof *rows);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t number = first + i;
        rows[i].id = number;
        rows[i].presence = number % 2;
        rows[i].position_x = (int32_t)(number % 100000);
        rows[i].position_y = (int32_t)(number / 100000);
        rows[i].timestamp = PAGE_ROWS_BASE_NS + number;
        rows[i].memory_address = UINT64_C(0x7f0000000000) + 40 * number;
    }
}

/* Ids in steps, times nearly so, positions and types at random. */
static inline void page_rows_random(lum_t *rows, uint64_t first, uint32_t count)
{
    memset(rows, 0, count * sizeof *rows);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t number = first + i, state = number * UINT64_C(0x9e3779b97f4a7c15), a = lum__splitmix64(&state),
                 b = lum__splitmix64(&state);
        rows[i].id = number;
        rows[i].timestamp = PAGE_ROWS_BASE_NS + number * 1000 + a % 1000;
        rows[i].position_x = (int32_t)((a >> 32) % 2000001) - 1000000;
        rows[i].position_y = (int32_t)((b >> 32) % 2000001) - 1000000;
        rows[i].presence = b & 1;
        rows[i].structure_type = (uint8_t)((b >> 8 & 255) % 6);
    }
}

/* A thousand devices in turn, each walking at random. `walk` holds their positions (zero to begin with). */
enum { PAGE_ROWS_DEVICES = 1000 };
struct page_rows_walk {
    int32_t x[PAGE_ROWS_DEVICES], y[PAGE_ROWS_DEVICES];
    bool is_begun;
};
static inline void page_rows_tracks(lum_t *rows, uint64_t first, uint32_t count, struct page_rows_walk *walk)
{
    uint64_t state = first ^ UINT64_C(0xabcdef);
    memset(rows, 0, count * sizeof *rows);
    for (uint32_t device = 0; !walk->is_begun && device < PAGE_ROWS_DEVICES; device++) {
        uint64_t a = lum__splitmix64(&state);
        walk->x[device] = (int32_t)(a % 2000001) - 1000000;
        walk->y[device] = (int32_t)((a >> 32) % 2000001) - 1000000;
    }
    walk->is_begun = true;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t number = first + i, device = number % PAGE_ROWS_DEVICES, a = lum__splitmix64(&state);
        walk->x[device] += (int32_t)(a % 101) - 50;
        walk->y[device] += (int32_t)((a >> 16) % 101) - 50;
        rows[i].id = device;
        rows[i].timestamp = PAGE_ROWS_BASE_NS + number / PAGE_ROWS_DEVICES * 1000000000 + (a >> 32) % 1000000;
        rows[i].position_x = walk->x[device];
        rows[i].position_y = walk->y[device];
        rows[i].memory_address = UINT64_C(0x7f0000000000) + device * 4096;
        rows[i].presence = 1;
        rows[i].structure_type = LUM_STRUCTURE_NODE;
    }
}

#endif
