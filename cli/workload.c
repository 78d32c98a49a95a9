#include "cli/workload.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

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

/* Moves devices first .. end - 1 from second t to t + 1, each coordinate by -50..50. */
static void step_devices(struct lum__row_maker *maker, uint64_t t, unsigned first, unsigned end)
{
    int32_t sign;
    uint64_t step = step_of(t, &sign);
    if (step != maker->step) make_step(maker, step);
    add_steps(maker->x + first, maker->random_x + first, end - first, sign);
    add_steps(maker->y + first, maker->random_y + first, end - first, sign);
}

/* At the start of each block all devices are at their bases: from there, or from where the maker is if that is on the
 * way, the steps are made one after the other. */
static void seek_tracks(struct lum__row_maker *maker, uint64_t row)
{
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
    for (; at < t; at++, at_device = 0) step_devices(maker, at, at_device, DEVICES);
    step_devices(maker, t, at_device, device_end);
    maker->next_row = row;
}

static void make_tracks(struct lum__row_maker *maker, uint64_t first_row, lum_t *rows, size_t row_count)
{
    if (first_row != maker->next_row || maker->step == UINT64_MAX) seek_tracks(maker, first_row);
    while (row_count > 0) {
        uint64_t t = maker->next_row / DEVICES, time = TIME_BASE + t * SECOND_NS, counter = USE_ROW + t * DEVICES;
        unsigned first = (unsigned)(maker->next_row % DEVICES), end = DEVICES;
        if (end - first > row_count) end = first + (unsigned)row_count;
        for (unsigned device = first; device < end; device++, rows++) {
            uint64_t jitter = ((mix(counter + device) >> 32) * 1000001) >> 32;
            put_word(rows, 0, device);
            put_word(rows, 1, time + jitter);
            put_word(rows, 2, ADDRESS_BASE + 4096 * (uint64_t)device);
            put_word(rows, 3, (uint32_t)maker->x[device] | (uint64_t)(uint32_t)maker->y[device] << 32);
            put_word(rows, 4, (uint64_t)1 << 32 | (uint64_t)LUM_STRUCTURE_NODE << 40);
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

/* Differences are gathered with OR, so that the loops have no branch and the compiler can vectorise them. */
struct difference {
    uint64_t wide;
    uint32_t middle;
    uint8_t narrow;
};

static bool is_none(const struct difference *difference)
{
    return difference->wide == 0 && difference->middle == 0 && difference->narrow == 0;
}

static lum_columns columns_at(const lum_columns *columns, size_t index)
{
    return (lum_columns){.id = columns->id + index,
                         .timestamp = columns->timestamp + index,
                         .memory_address = columns->memory_address + index,
                         .position_x = columns->position_x + index,
                         .position_y = columns->position_y + index,
                         .presence = columns->presence + index,
                         .structure_type = columns->structure_type + index,
                         .is_destroyed = columns->is_destroyed + index,
                         .checksum = columns->checksum + index};
}

/* Rows of one run of x: everything rises evenly. (Sums, not products, and counters as wide as the column: both decide
 * whether the loops become vector code.) */
FOR_EVERY_LEVEL static void differ_seed_run(struct difference *out, uint64_t i, uint32_t x, uint32_t y,
                                            const lum_columns *read, size_t row_count)
{
    uint64_t wide = 0, id = i, time = TIME_BASE + i, address = ADDRESS_BASE + 40 * i;
    uint32_t middle = 0;
    uint8_t narrow = 0;
    for (size_t k = 0; k < row_count; k++, id++) wide |= read->id[k] ^ id;
    for (size_t k = 0; k < row_count; k++, time++) wide |= read->timestamp[k] ^ time;
    for (size_t k = 0; k < row_count; k++, address += 40) wide |= read->memory_address[k] ^ address;
    for (size_t k = 0; k < row_count; k++, x++) middle |= (uint32_t)read->position_x[k] ^ x;
    for (size_t k = 0; k < row_count; k++) middle |= (uint32_t)read->position_y[k] ^ y;
    /* 0 and 1 in turn, eight at a time: a byte that alternates keeps the compiler from vectorising */
    const uint64_t turns = i % 2 == 0 ? 0x0100010001000100u : 0x0001000100010001u;
    size_t eights = row_count / 8 * 8;
    for (size_t k = 0; k < eights; k += 8) {
        uint64_t presences;
        memcpy(&presences, read->presence + k, sizeof presences);
        wide |= presences ^ turns;
    }
    for (size_t k = eights; k < row_count; k++) narrow |= read->presence[k] ^ ((i + k) & 1);
    for (size_t k = 0; k < row_count; k++) narrow |= read->structure_type[k] | read->is_destroyed[k];
    out->wide |= wide;
    out->middle |= middle;
    out->narrow |= narrow;
}

static bool matches_seed(uint64_t first_row, const lum_columns *read, size_t row_count)
{
    struct difference difference = {0};
    for (size_t done = 0; done < row_count;) {
        uint64_t i = first_row + done, x = i % 100000;
        size_t run = 100000 - x < row_count - done ? (size_t)(100000 - x) : row_count - done;
        lum_columns columns = columns_at(read, done);
        differ_seed_run(&difference, i, (uint32_t)x, (uint32_t)(i / 100000), &columns, run);
        done += run;
    }
    return is_none(&difference);
}

/* Against rows that are made a few at a time. */
static bool matches_rows(struct lum__row_maker *maker, uint64_t first_row, const lum_columns *read, size_t row_count)
{
    enum { STEP = 128 };
    lum_t made[STEP];
    struct difference difference = {0};
    for (size_t done = 0; done < row_count; done += STEP) {
        size_t count = row_count - done < STEP ? row_count - done : STEP;
        lum_columns columns = columns_at(read, done);
        lum__row_maker_make(maker, first_row + done, made, count);
        for (size_t k = 0; k < count; k++) {
            difference.wide |= (columns.id[k] ^ made[k].id) | (columns.timestamp[k] ^ made[k].timestamp) |
                               (columns.memory_address[k] ^ made[k].memory_address);
            difference.middle |= ((uint32_t)columns.position_x[k] ^ (uint32_t)made[k].position_x) |
                                 ((uint32_t)columns.position_y[k] ^ (uint32_t)made[k].position_y);
            difference.narrow |= (columns.presence[k] ^ made[k].presence) |
                                 (columns.structure_type[k] ^ made[k].structure_type) |
                                 (columns.is_destroyed[k] ^ made[k].is_destroyed);
        }
    }
    return is_none(&difference);
}

FOR_EVERY_LEVEL static void differ_random(struct difference *out, uint64_t first_row, const lum_columns *read,
                                          size_t row_count)
{
    uint64_t wide = 0, narrow = 0;
    for (size_t k = 0; k < row_count; k++) {
        uint64_t i = first_row + k, random = mix(USE_ROW + i);
        uint64_t x = (uint32_t)((uint32_t)(random & 0xfffff) - 0x80000),
                 y = (uint32_t)((uint32_t)(random >> 20 & 0xfffff) - 0x80000);
        wide |= (read->id[k] ^ i) | read->memory_address[k] |
                (read->timestamp[k] ^ (TIME_BASE + i * 1000 + (((random >> 49) * 1000) >> 15)));
        wide |= ((uint32_t)read->position_x[k] ^ x) | ((uint32_t)read->position_y[k] ^ y);
        narrow |= (read->presence[k] ^ (random >> 40 & 1)) |
                  (read->structure_type[k] ^ ((random >> 41 & 0xff) * 6 >> 8)) | read->is_destroyed[k];
    }
    out->wide |= wide | narrow;
}

static bool matches_random(uint64_t first_row, const lum_columns *read, size_t row_count)
{
    struct difference difference = {0};
    differ_random(&difference, first_row, read, row_count);
    return is_none(&difference);
}

/* Devices first .. end - 1 at second t; columns begin at device first. */
FOR_EVERY_LEVEL static void differ_tracks_run(struct difference *out, const struct lum__row_maker *maker, uint64_t t,
                                              unsigned first, unsigned end, const lum_columns *read)
{
    uint64_t wide = 0, counter = USE_ROW + t * DEVICES, time = TIME_BASE + t * SECOND_NS;
    uint32_t middle = 0;
    uint8_t narrow = 0;
    for (unsigned device = first, k = 0; device < end; device++, k++) {
        uint64_t jitter = ((mix(counter + device) >> 32) * 1000001) >> 32;
        wide |= (read->id[k] ^ device) | (read->timestamp[k] ^ (time + jitter)) |
                (read->memory_address[k] ^ (ADDRESS_BASE + 4096 * (uint64_t)device));
    }
    for (unsigned device = first, k = 0; device < end; device++, k++) {
        middle |= ((uint32_t)read->position_x[k] ^ (uint32_t)maker->x[device]) |
                  ((uint32_t)read->position_y[k] ^ (uint32_t)maker->y[device]);
        narrow |= (read->presence[k] ^ 1) | (read->structure_type[k] ^ LUM_STRUCTURE_NODE) | read->is_destroyed[k];
    }
    out->wide |= wide;
    out->middle |= middle;
    out->narrow |= narrow;
}

static bool matches_tracks(struct lum__row_maker *maker, uint64_t first_row, const lum_columns *read, size_t row_count)
{
    struct difference difference = {0};
    if (first_row != maker->next_row || maker->step == UINT64_MAX) seek_tracks(maker, first_row);
    for (size_t done = 0; done < row_count;) {
        uint64_t t = maker->next_row / DEVICES;
        unsigned first = (unsigned)(maker->next_row % DEVICES), end = DEVICES;
        if (end - first > row_count - done) end = first + (unsigned)(row_count - done);
        lum_columns columns = columns_at(read, done);
        differ_tracks_run(&difference, maker, t, first, end, &columns);
        step_devices(maker, t, first, end);
        maker->next_row += end - first;
        done += end - first;
    }
    return is_none(&difference);
}

/* Seed but for one row in each page. */
static bool matches_seed_noise(struct lum__row_maker *maker, uint64_t first_row, const lum_columns *read,
                               size_t row_count)
{
    bool matches = true;
    for (size_t done = 0; done < row_count;) {
        uint64_t page = (first_row + done) / NOISE_EVERY,
                 noisy = page * NOISE_EVERY + mix(USE_NOISE + page) % NOISE_EVERY;
        uint64_t end =
            (page + 1) * NOISE_EVERY - first_row < row_count ? (page + 1) * NOISE_EVERY - first_row : row_count;
        uint64_t at = noisy >= first_row + done && noisy < first_row + end ? noisy - first_row : end;
        lum_columns before = columns_at(read, done);
        matches &= matches_seed(first_row + done, &before, at - done);
        if (at < end) {
            lum_columns row = columns_at(read, at), behind = columns_at(read, at + 1);
            matches &= matches_rows(maker, first_row + at, &row, 1);
            matches &= matches_seed(first_row + at + 1, &behind, end - at - 1);
        }
        done = end;
    }
    return matches;
}

bool lum__row_maker_matches(struct lum__row_maker *maker, uint64_t first_row, const lum_columns *read, size_t row_count)
{
    switch (maker->kind) {
    case LUM__WORKLOAD_SEED: return matches_seed(first_row, read, row_count);
    case LUM__WORKLOAD_RANDOM: return matches_random(first_row, read, row_count);
    case LUM__WORKLOAD_TRACKS: return matches_tracks(maker, first_row, read, row_count);
    case LUM__WORKLOAD_SEED_NOISE: return matches_seed_noise(maker, first_row, read, row_count);
    }
    return false;
}

size_t lum__rows_compare(const lum_t *made, const lum_columns *read, size_t row_count, size_t *first)
{
    size_t differing = 0;
    *first = row_count;
    for (size_t i = 0; i < row_count; i++) {
        lum_t row = {.id = read->id[i],
                     .timestamp = read->timestamp[i],
                     .memory_address = read->memory_address[i],
                     .position_x = read->position_x[i],
                     .position_y = read->position_y[i],
                     .presence = read->presence[i],
                     .structure_type = read->structure_type[i],
                     .is_destroyed = read->is_destroyed[i]};
        lum_t expected = made[i];
        row.checksum = read->checksum[i];
        expected.checksum = lum_record_checksum(&expected);
        if (memcmp(&row, &expected, sizeof row) == 0) continue;
        if (differing++ == 0) *first = i;
    }
    return differing;
}
