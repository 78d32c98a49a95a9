#include "cli/workload.h"

#include <stdlib.h>
#include <string.h>

enum {
    DEVICES = 1000,
    HALF_STEPS = 64, /* random steps, then as many back */
    BLOCK_STEPS = 2 * HALF_STEPS,
    NOISE_EVERY = 4096
};
#define TIME_BASE    1700000000000000000u
#define ADDRESS_BASE 0x7f0000000000u
#define SECOND_NS    1000000000u

struct lum__row_maker {
    enum lum__workload_kind kind;
    /* tracks only, from here on */
    uint64_t
        next_row;   /* x and y are those of this row's second, and of the second after for devices before this row's */
    uint64_t block; /* that the steps belong to; UINT64_MAX: none yet */
    int32_t x[DEVICES], y[DEVICES];
    int8_t step_x[HALF_STEPS][DEVICES], step_y[HALF_STEPS][DEVICES];
};

/* The mixing function of splitmix64 (Vigna 2015) over a counter: random access to a random sequence. */
static inline uint64_t mix(uint64_t counter)
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

/* --------------------------------------------------------------------------------------------- seed, random */

/* The record is little-endian in memory by definition (lum.h). */
static inline void put_word(lum_t *row, unsigned index, uint64_t word)
{
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "lum_t is little-endian");
    memcpy((char *)row + 8 * index, &word, 8);
}

static void make_seed(uint64_t first_row, lum_t *rows, size_t row_count)
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
static inline void put_random_row(lum_t *row, uint64_t i, uint64_t random)
{
    uint32_t x = (uint32_t)(random & 0xfffff) - 0x80000, y = (uint32_t)(random >> 20 & 0xfffff) - 0x80000;
    uint64_t presence = random >> 40 & 1, structure_type = (random >> 41 & 0xff) * 6 >> 8;
    uint64_t words[5] = {i, TIME_BASE + i * 1000 + (((random >> 49) * 1000) >> 15), 0, x | (uint64_t)y << 32,
                         presence << 32 | structure_type << 40};
    for (unsigned k = 0; k < 5; k++) put_word(row, k, words[k]);
}

static void make_random(uint64_t first_row, lum_t *rows, size_t row_count)
{
    for (size_t k = 0; k < row_count; k++) put_random_row(&rows[k], first_row + k, mix(USE_ROW + first_row + k));
}

static void add_noise(uint64_t first_row, lum_t *rows, size_t row_count)
{
    for (uint64_t page = first_row / NOISE_EVERY; page * NOISE_EVERY < first_row + row_count; page++) {
        uint64_t i = page * NOISE_EVERY + mix(USE_NOISE + page) % NOISE_EVERY;
        if (i < first_row || i >= first_row + row_count) continue;
        lum_t *row = &rows[i - first_row];
        put_random_row(row, mix(USE_NOISE + USE_ROW + i), mix(USE_ROW + i));
        row->memory_address = mix(USE_NOISE + USE_DEVICE + i);
    }
}

/* --------------------------------------------------------------------------------------------------- tracks */

/* A step of -50..50 from eight random bits. */
static inline int8_t step_of(uint64_t bits) { return (int8_t)((int)((bits & 0xff) * 101 >> 8) - 50); }

static void enter_block(struct lum__row_maker *maker, uint64_t block)
{
    maker->block = block;
    for (unsigned j = 0; j < HALF_STEPS; j += 4) {
        for (unsigned device = 0; device < DEVICES; device++) {
            uint64_t random = mix(USE_STEPS + (block * (HALF_STEPS / 4) + j / 4) * DEVICES + device);
            for (unsigned k = 0; k < 4; k++) {
                maker->step_x[j + k][device] = step_of(random >> (16 * k));
                maker->step_y[j + k][device] = step_of(random >> (16 * k + 8));
            }
        }
    }
}

/* Which of the block's random steps leads away from second t, and in which direction. */
static inline unsigned step_index(uint64_t t, int *sign)
{
    unsigned j = (unsigned)(t % BLOCK_STEPS);
    *sign = j < HALF_STEPS ? 1 : -1;
    return j < HALF_STEPS ? j : ((j - HALF_STEPS) * 37 + 11) % HALF_STEPS; /* 37 is odd: every step once */
}

/* Moves devices first .. end - 1 from second t to t + 1. */
static void step_devices(struct lum__row_maker *maker, uint64_t t, unsigned first, unsigned end)
{
    int sign;
    unsigned index = step_index(t, &sign);
    const int8_t *step_x = maker->step_x[index], *step_y = maker->step_y[index];
    for (unsigned device = first; device < end; device++) {
        maker->x[device] += sign * step_x[device];
        maker->y[device] += sign * step_y[device];
    }
}

static void seek_tracks(struct lum__row_maker *maker, uint64_t row)
{
    uint64_t t = row / DEVICES, block = t / BLOCK_STEPS;
    uint64_t at = maker->next_row / DEVICES;
    if (block != maker->block || row < maker->next_row) {
        for (unsigned device = 0; device < DEVICES; device++) {
            uint64_t base = mix(USE_DEVICE + device);
            maker->x[device] = (int32_t)(base & 0xfffff) - 0x80000;
            maker->y[device] = (int32_t)(base >> 32 & 0xfffff) - 0x80000;
        }
        if (block != maker->block) enter_block(maker, block);
        at = block * BLOCK_STEPS;
    } else if (maker->next_row % DEVICES != 0 && at < t) {
        step_devices(maker, at, (unsigned)(maker->next_row % DEVICES), DEVICES);
        at++;
    } else if (at == t) {
        step_devices(maker, t, (unsigned)(maker->next_row % DEVICES), (unsigned)(row % DEVICES));
        maker->next_row = row;
        return;
    }
    for (; at < t; at++) step_devices(maker, at, 0, DEVICES);
    step_devices(maker, t, 0, (unsigned)(row % DEVICES));
    maker->next_row = row;
}

static void make_tracks(struct lum__row_maker *maker, uint64_t first_row, lum_t *rows, size_t row_count)
{
    if (first_row != maker->next_row || maker->block == UINT64_MAX) seek_tracks(maker, first_row);
    while (row_count > 0) {
        uint64_t t = maker->next_row / DEVICES, time = TIME_BASE + t * SECOND_NS;
        unsigned first = (unsigned)(maker->next_row % DEVICES), end = DEVICES;
        if (end - first > row_count) end = first + (unsigned)row_count;
        if (t / BLOCK_STEPS != maker->block) enter_block(maker, t / BLOCK_STEPS); /* the walk is back at its base */
        const int32_t *x = maker->x, *y = maker->y;
        uint64_t counter = USE_ROW + t * DEVICES;
        for (unsigned device = first; device < end; device++) {
            uint64_t jitter = ((mix(counter + device) >> 32) * 1000001) >> 32;
            *rows++ = (lum_t){.id = device,
                              .timestamp = time + jitter,
                              .memory_address = ADDRESS_BASE + 4096 * (uint64_t)device,
                              .position_x = x[device],
                              .position_y = y[device],
                              .presence = 1,
                              .structure_type = LUM_STRUCTURE_NODE};
        }
        step_devices(maker, t, first, end);
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
    maker->block = UINT64_MAX;
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

/* --------------------------------------------------------------------------------------------------- source */

/* A worker's own cache lines: workers write their positions at the same time. */
struct worker {
    _Alignas(64) struct lum__row_maker *maker;
    uint64_t next_row, end_row;
};

struct lum__workload {
    lum_source source;
    uint64_t next_row; /* open_piece() is called by one worker at a time */
    uint32_t worker_count;
    struct worker *workers;
};

static lum_status open_piece(void *context, uint32_t worker, uint64_t rows_max, lum_piece *out)
{
    struct lum__workload *workload = context;
    uint64_t left = workload->source.row_count - workload->next_row;
    if (left == 0) return LUM_END;
    struct worker *mine = &workload->workers[worker % workload->worker_count];
    out->first_row = mine->next_row = workload->next_row;
    out->row_count = rows_max < left ? rows_max : left;
    workload->next_row = mine->end_row = out->first_row + out->row_count;
    return LUM_OK;
}

static lum_status fill(void *context, uint32_t worker, lum_t *rows, size_t rows_max, size_t *row_count)
{
    struct lum__workload *workload = context;
    struct worker *mine = &workload->workers[worker % workload->worker_count];
    uint64_t left = mine->end_row - mine->next_row;
    size_t count = rows_max < left ? rows_max : (size_t)left;
    lum__row_maker_make(mine->maker, mine->next_row, rows, count);
    mine->next_row += count;
    *row_count = count;
    return LUM_OK;
}

struct lum__workload *lum__workload_create(enum lum__workload_kind kind, uint64_t row_count, uint32_t workers)
{
    struct lum__workload *workload = calloc(1, sizeof *workload);
    if (!workload) return NULL;
    workload->worker_count = workers;
    workload->workers = aligned_alloc(64, workers * sizeof *workload->workers);
    if (!workload->workers) {
        free(workload);
        return NULL;
    }
    memset(workload->workers, 0, workers * sizeof *workload->workers);
    for (uint32_t i = 0; i < workers; i++) {
        workload->workers[i].maker = lum__row_maker_create(kind);
        if (!workload->workers[i].maker) {
            lum__workload_destroy(workload);
            return NULL;
        }
    }
    workload->source = (lum_source)LUM_SOURCE_INIT;
    workload->source.context = workload;
    workload->source.name = lum__workload_names[kind];
    workload->source.row_count = row_count;
    workload->source.open_piece = open_piece;
    workload->source.fill = fill;
    return workload;
}

void lum__workload_destroy(struct lum__workload *workload)
{
    if (!workload) return;
    for (uint32_t i = 0; i < workload->worker_count; i++) lum__row_maker_destroy(workload->workers[i].maker);
    free(workload->workers);
    free(workload);
}

const lum_source *lum__workload_source(struct lum__workload *workload) { return &workload->source; }

/* --------------------------------------------------------------------------------------------------- compare */

#if defined(__x86_64__)
/* CRC-32C of the 40 bytes with a zero checksum, four records interleaved: the instruction takes three cycles but starts
 * every cycle. */
__attribute__((target("sse4.2"))) static void fill_checksums_sse42(lum_t *rows, size_t row_count)
{
    size_t i = 0;
    for (; i + 4 <= row_count; i += 4) {
        uint64_t crc[4] = {0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu};
        for (unsigned word = 0; word < 5; word++) {
            for (unsigned k = 0; k < 4; k++) {
                uint64_t value;
                memcpy(&value, (const char *)&rows[i + k] + 8 * word, 8);
                if (word == 4) value &= ~(uint64_t)0xffffffffu;
                crc[k] = __builtin_ia32_crc32di(crc[k], value);
            }
        }
        for (unsigned k = 0; k < 4; k++) rows[i + k].checksum = ~(uint32_t)crc[k];
    }
    for (; i < row_count; i++) rows[i].checksum = lum_record_checksum(&rows[i]);
}
#endif

static void fill_checksums(lum_t *rows, size_t row_count)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) {
        fill_checksums_sse42(rows, row_count);
        return;
    }
#endif
    for (size_t i = 0; i < row_count; i++) rows[i].checksum = lum_record_checksum(&rows[i]);
}

size_t lum__rows_compare(lum_t *made, const lum_t *read, size_t row_count, size_t *first)
{
    _Static_assert(sizeof(lum_t) == 40, "no padding: bytes compare as fields do");
    fill_checksums(made, row_count);
    *first = row_count;
    if (memcmp(made, read, row_count * sizeof *made) == 0) return 0;
    size_t differing = 0;
    for (size_t i = 0; i < row_count; i++) {
        if (memcmp(&made[i], &read[i], sizeof *made) == 0) continue;
        if (differing++ == 0) *first = i;
    }
    return differing;
}
