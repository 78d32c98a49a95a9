/* Rows of a workload against columns that were read back: made and compared in one pass, nothing is stored. */
#include <stdbool.h>
#include <string.h>

#include "cli/workload_inner.h"

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
        uint64_t jitter = tracks_jitter(counter + device);
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
    lum__tracks_seek(maker, first_row);
    for (size_t done = 0; done < row_count;) {
        uint64_t t = maker->next_row / DEVICES;
        unsigned first = (unsigned)(maker->next_row % DEVICES), end = DEVICES;
        if (end - first > row_count - done) end = first + (unsigned)(row_count - done);
        lum_columns columns = columns_at(read, done);
        differ_tracks_run(&difference, maker, t, first, end, &columns);
        lum__tracks_step(maker, t, first, end);
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
