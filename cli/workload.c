#include "cli/workload.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cli/workload_inner.h"

/* --------------------------------------------------------------------------------------------- seed, random */

/* The record is little-endian in memory by definition (lum.h). */
static inline __attribute__((always_inline)) void put_word(lum_t *row, unsigned index, uint64_t word)
{
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "lum_t is little-endian");
    memcpy((char *)row + 8 * index, &word, 8);
}

FOR_EVERY_LEVEL static void make_seed(uint64_t first_row, lum_t *rows, size_t row_count)
{
    uint64_t x = first_row % 100000, y = first_row / 100000, i = first_row;
    lum_t *row = rows, *end = rows + row_count;
    while (row < end) {
        uint64_t run = 100000 - x; /* rows until x begins again: the inner loop has no division and no branch */
        if (run > (uint64_t)(end - row)) run = (uint64_t)(end - row);
        for (uint64_t k = 0; k < run; k++, row++, i++) {
            *row = (lum_t){.id = i,
                           .timestamp = TIME_BASE + i,
                           .memory_address = ADDRESS_BASE + 40 * i,
                           .position_x = (int32_t)(x + k),
                           .position_y = (int32_t)y,
                           .presence = i & 1};
        }
        x = 0;
        y++;
    }
}

/* Written as five whole words: built field by field, gcc makes the record on the stack with narrow stores and reads it
 * back with wide loads, which stalls (7 times slower). */
static inline __attribute__((always_inline)) void put_random_row(lum_t *row, uint64_t i, uint64_t random)
{
    uint32_t x = (uint32_t)(random & 0xfffff) - 0x80000, y = (uint32_t)(random >> 20 & 0xfffff) - 0x80000;
    uint64_t presence = random >> 40 & 1, structure_type = (random >> 41 & 0xff) * 6 >> 8;
    uint64_t words[5] = {i, TIME_BASE + i * 1000 + (((random >> 49) * 1000) >> 15), 0, x | (uint64_t)y << 32,
                         presence << 32 | structure_type << 40};
    for (unsigned k = 0; k < 5; k++) put_word(row, k, words[k]);
}

FOR_EVERY_LEVEL static void make_random(uint64_t first_row, lum_t *rows, size_t row_count)
{
    for (size_t k = 0; k < row_count; k++) put_random_row(&rows[k], first_row + k, mix(USE_ROW + first_row + k));
}

uint64_t lum__noise_row(uint64_t page, lum_t *row)
{
    uint64_t i = page * NOISE_EVERY + mix(USE_NOISE + page) % NOISE_EVERY;
    put_random_row(row, mix(USE_NOISE + USE_ROW + i), mix(USE_ROW + i));
    row->memory_address = mix(USE_NOISE + USE_DEVICE + i);
    return i;
}

static void add_noise(uint64_t first_row, lum_t *rows, size_t row_count)
{
    for (uint64_t page = first_row / NOISE_EVERY; page * NOISE_EVERY < first_row + row_count; page++) {
        lum_t row;
        uint64_t i = lum__noise_row(page, &row);
        if (i >= first_row && i < first_row + row_count) rows[i - first_row] = row;
    }
}

/* --------------------------------------------------------------------------------------------------- tracks */

/* The step that leads away from second t, counted over all blocks; *sign is -1 on the way back. */
static inline uint64_t step_of(uint64_t t, int32_t *sign)
{
    uint64_t block = t / BLOCK_STEPS, index = t % BLOCK_STEPS;
    *sign = index < HALF_STEPS ? 1 : -1;
    if (index >= HALF_STEPS) index = ((index - HALF_STEPS) * 37 + 11) % HALF_STEPS; /* 37 is odd: every step once */
    return block * HALF_STEPS + index;
}

/* -50..50 */
static inline int32_t step_size(uint8_t random) { return (uint16_t)(random * 101) / 256 - 50; }

/* Random bytes for both coordinates of all devices. */
FOR_EVERY_LEVEL static void make_step(struct lum__row_maker *maker, uint64_t step)
{
    uint64_t counter = USE_STEPS + step * 2 * STEP_WORDS, words[2 * STEP_WORDS];
    for (unsigned i = 0; i < 2 * STEP_WORDS; i++) words[i] = mix(counter + i);
    memcpy(maker->random_x, words, DEVICES);
    memcpy(maker->random_y, words + STEP_WORDS, DEVICES);
    maker->step = step;
}

/* Two loops without a 32-bit multiplication, which vectors of baseline x86-64 do not have. */
FOR_EVERY_LEVEL static void add_steps(int32_t *coordinates, const uint8_t *random, size_t count, int32_t sign)
{
    if (sign > 0) {
        for (size_t i = 0; i < count; i++) coordinates[i] += step_size(random[i]);
    } else {
        for (size_t i = 0; i < count; i++) coordinates[i] -= step_size(random[i]);
    }
}

void lum__tracks_step(struct lum__row_maker *maker, uint64_t t, unsigned first, unsigned end)
{
    int32_t sign;
    uint64_t step = step_of(t, &sign);
    if (step != maker->step) make_step(maker, step);
    add_steps(maker->x + first, maker->random_x + first, end - first, sign);
    add_steps(maker->y + first, maker->random_y + first, end - first, sign);
}

/* At the start of each block all devices are at their bases: from there, or from where the maker is if that is on the
 * way, the steps are made one after the other. */
void lum__tracks_seek(struct lum__row_maker *maker, uint64_t row)
{
    if (row == maker->next_row && maker->step != UINT64_MAX) return;
    uint64_t t = row / DEVICES, at = maker->next_row / DEVICES;
    unsigned at_device = (unsigned)(maker->next_row % DEVICES), device_end = (unsigned)(row % DEVICES);
    bool is_on_the_way = maker->step != UINT64_MAX && row >= maker->next_row && at / BLOCK_STEPS == t / BLOCK_STEPS;
    if (!is_on_the_way) {
        for (unsigned device = 0; device < DEVICES; device++) {
            uint64_t base = mix(USE_DEVICE + device);
            maker->x[device] = (int32_t)(base & 0xfffff) - 0x80000;
            maker->y[device] = (int32_t)(base >> 32 & 0xfffff) - 0x80000;
        }
        at = t / BLOCK_STEPS * BLOCK_STEPS;
        at_device = 0;
    }
    for (; at < t; at++, at_device = 0) lum__tracks_step(maker, at, at_device, DEVICES);
    lum__tracks_step(maker, t, at_device, device_end);
    maker->next_row = row;
}

static void make_tracks(struct lum__row_maker *maker, uint64_t first_row, lum_t *rows, size_t row_count)
{
    lum__tracks_seek(maker, first_row);
    while (row_count > 0) {
        uint64_t t = maker->next_row / DEVICES, time = TIME_BASE + t * SECOND_NS, counter = USE_ROW + t * DEVICES;
        unsigned first = (unsigned)(maker->next_row % DEVICES), end = DEVICES;
        if (end - first > row_count) end = first + (unsigned)row_count;
        for (unsigned device = first; device < end; device++, rows++) {
            put_word(rows, 0, device);
            put_word(rows, 1, time + tracks_jitter(counter + device));
            put_word(rows, 2, ADDRESS_BASE + 4096 * (uint64_t)device);
            put_word(rows, 3, (uint32_t)maker->x[device] | (uint64_t)(uint32_t)maker->y[device] << 32);
            put_word(rows, 4, (uint64_t)1 << 32 | (uint64_t)LUM_STRUCTURE_NODE << 40);
        }
        lum__tracks_step(maker, t, first, end);
        maker->next_row += end - first;
        row_count -= end - first;
    }
}

/* ---------------------------------------------------------------------------------------------------- maker */

struct lum__row_maker *lum__row_maker_create(enum lum__workload_kind kind)
{
    size_t bytes = kind == LUM__WORKLOAD_TRACKS ? sizeof(struct lum__row_maker) : offsetof(struct lum__row_maker, x);
    struct lum__row_maker *maker = calloc(1, bytes);
    if (!maker) return NULL;
    maker->kind = kind;
    maker->step = UINT64_MAX;
    return maker;
}

void lum__row_maker_destroy(struct lum__row_maker *maker) { free(maker); }

void lum__row_maker_make(struct lum__row_maker *maker, uint64_t first_row, lum_t *rows, size_t row_count)
{
    switch (maker->kind) {
    case LUM__WORKLOAD_SEED: make_seed(first_row, rows, row_count); break;
    case LUM__WORKLOAD_RANDOM: make_random(first_row, rows, row_count); break;
    case LUM__WORKLOAD_TRACKS: make_tracks(maker, first_row, rows, row_count); break;
    case LUM__WORKLOAD_SEED_NOISE:
        make_seed(first_row, rows, row_count);
        add_noise(first_row, rows, row_count);
        break;
    }
}
