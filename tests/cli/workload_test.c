/* Proves that the workloads of `lum stress` are what they say: the same row for the same number however it is reached,
 * walks within their steps, values within their ranges, and that the comparison sees a change of any bit of any row. */
#include "cli/workload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "cli/message.h"

enum { ROWS = 300000, DEVICES = 1000 };

static lum_t *make(enum lum__workload_kind kind, uint64_t first_row, size_t row_count)
{
    lum_t *rows = calloc(row_count, sizeof *rows);
    struct lum__row_maker *maker = lum__row_maker_create(kind);
    assert_true(rows && maker);
    lum__row_maker_make(maker, first_row, rows, row_count);
    lum__row_maker_destroy(maker);
    return rows;
}

/* Pieces of any size in any order, by one maker, give the rows that one run from the start gives. */
static void rows_depend_on_their_number_alone(void **state)
{
    (void)state;
    const char *seed_text = getenv("LUM_SEED");
    uint64_t seed = seed_text ? strtoull(seed_text, NULL, 0) : 20261123, random = seed;
    for (int kind = LUM__WORKLOAD_SEED; kind <= LUM__WORKLOAD_SEED_NOISE; kind++) {
        lum_t *all = make((enum lum__workload_kind)kind, 0, ROWS);
        struct lum__row_maker *maker = lum__row_maker_create((enum lum__workload_kind)kind);
        uint64_t next = 0;
        for (int i = 0; i < 2000; i++) {
            static lum_t piece[3000];
            size_t count = 1 + lum__splitmix64(&random) % (i % 3 ? 3000 : 10);
            /* Often on where the last one ended, often a little further on, sometimes anywhere. */
            uint64_t choice = lum__splitmix64(&random) % 4;
            if (choice == 1) next += lum__splitmix64(&random) % 5000;
            if (choice == 2 || next + count > ROWS) next = lum__splitmix64(&random) % (ROWS - 3000);
            lum__row_maker_make(maker, next, piece, count);
            if (memcmp(piece, &all[next], count * sizeof *piece) != 0)
                fail_msg("workload %s: rows %lu + %zu differ (LUM_SEED=%lu)", lum__workload_names[kind],
                         (unsigned long)next, count, (unsigned long)seed);
            next += count;
        }
        lum__row_maker_destroy(maker);
        free(all);
    }
}

static lum_t row_of(const lum_columns *columns, size_t i)
{
    return (lum_t){.id = columns->id ? columns->id[i] : 0,
                   .timestamp = columns->timestamp ? columns->timestamp[i] : 0,
                   .memory_address = columns->memory_address ? columns->memory_address[i] : 0,
                   .position_x = columns->position_x ? columns->position_x[i] : 0,
                   .position_y = columns->position_y ? columns->position_y[i] : 0,
                   .presence = columns->presence ? columns->presence[i] : 1,
                   .structure_type = columns->structure_type ? columns->structure_type[i] : 0,
                   .is_destroyed = columns->is_destroyed ? columns->is_destroyed[i] : 0};
}

/* Pieces of odd sizes in any order as columns are the rows, and nothing is written behind the last one. */
static void columns_are_the_same_rows(void **state)
{
    (void)state;
    uint64_t random = 20261125;
    struct lum__column_room *room = malloc(sizeof *room);
    assert_non_null(room);
    for (int kind = LUM__WORKLOAD_SEED; kind <= LUM__WORKLOAD_SEED_NOISE; kind++) {
        lum_t *all = make((enum lum__workload_kind)kind, 0, ROWS);
        struct lum__row_maker *maker = lum__row_maker_create((enum lum__workload_kind)kind);
        uint64_t next = 0;
        for (int i = 0; i < 1500; i++) {
            static const size_t sizes[] = {1, 2, 7, 999, 1000, 1001, 4095, LUM__COLUMN_ROWS_MAX};
            size_t count = i % 2 ? sizes[lum__splitmix64(&random) % 8] : 1 + lum__splitmix64(&random) % LUM__COLUMN_ROWS_MAX;
            if (i % 3 == 0 || next + count > ROWS) next = lum__splitmix64(&random) % (ROWS - LUM__COLUMN_ROWS_MAX);
            lum_columns columns;
            memset(room, 0xee, sizeof *room);
            lum__row_maker_make_columns(maker, next, count, room, &columns);
            for (size_t k = 0; k < count; k++) {
                lum_t row = row_of(&columns, k);
                if (memcmp(&row, &all[next + k], sizeof row) != 0)
                    fail_msg("workload %s: row %lu of %lu + %zu differs as column", lum__workload_names[kind],
                             (unsigned long)(next + k), (unsigned long)next, count);
            }
            if (count < LUM__COLUMN_ROWS_MAX) {
                assert_int_equal(room->id[count], 0xeeeeeeeeeeeeeeee);
                assert_int_equal((uint32_t)room->position_y[count], 0xeeeeeeee);
                assert_int_equal(room->structure_type[count], 0xee);
            }
            next += count;
        }
        lum__row_maker_destroy(maker);
        free(all);
    }
    free(room);
}

/* As lum_load() asks for them: columns into got. */
static void take_columns(const lum_source *source, uint32_t worker, const lum_piece *piece, lum_t *got)
{
    size_t count = 0, rows_max = 4096;
    for (uint64_t done = 0; done < piece->row_count; done += count, rows_max = rows_max == 4096 ? 4001 : 4096) {
        lum_columns columns;
        assert_int_equal(source->fill_columns(source->context, worker, rows_max, &columns, &count), LUM_OK);
        assert_true(count > 0 && count <= rows_max);
        for (size_t i = 0; i < count; i++) got[piece->first_row + done + i] = row_of(&columns, i);
    }
    lum_columns columns;
    assert_int_equal(source->fill_columns(source->context, worker, 4096, &columns, &count), LUM_OK);
    assert_int_equal(count, 0); /* the piece is over */
}

static void pieces_of_columns_make_the_whole(void **state)
{
    (void)state;
    for (int kind = LUM__WORKLOAD_SEED; kind <= LUM__WORKLOAD_SEED_NOISE; kind++) {
        lum_t *all = make((enum lum__workload_kind)kind, 0, ROWS), *got = calloc(ROWS, sizeof *got);
        struct lum__workload *workload = lum__workload_create((enum lum__workload_kind)kind, ROWS, 3, true);
        const lum_source *source = lum__workload_source(workload);
        lum_piece piece;
        for (uint32_t worker = 0; source->open_piece(source->context, worker, 70001, &piece) == LUM_OK;
             worker = (worker + 1) % 3)
            take_columns(source, worker, &piece, got);
        assert_memory_equal(got, all, ROWS * sizeof *got);
        lum__workload_destroy(workload);
        free(all);
        free(got);
    }
}

/* What the source hands out to workers in turn, piece by piece, is the workload from its first row to its last. */
static void pieces_of_workers_make_the_whole(void **state)
{
    (void)state;
    for (int kind = LUM__WORKLOAD_SEED; kind <= LUM__WORKLOAD_SEED_NOISE; kind++) {
        lum_t *all = make((enum lum__workload_kind)kind, 0, ROWS), *got = calloc(ROWS, sizeof *got);
        struct lum__workload *workload = lum__workload_create((enum lum__workload_kind)kind, ROWS, 3, false);
        assert_null(lum__workload_source(workload)->fill_columns);
        const lum_source *source = lum__workload_source(workload);
        uint64_t given = 0;
        lum_piece piece;
        for (uint32_t worker = 0; source->open_piece(source->context, worker, 70001, &piece) == LUM_OK;
             worker = (worker + 1) % 3) {
            assert_int_equal(piece.first_row, given);
            size_t count = 0;
            for (uint64_t done = 0; done < piece.row_count; done += count) {
                assert_int_equal(source->fill(source->context, worker, got + given + done, 4096, &count), LUM_OK);
                assert_true(count > 0);
            }
            given += piece.row_count;
        }
        assert_int_equal(given, ROWS);
        assert_memory_equal(got, all, ROWS * sizeof *got);
        lum__workload_destroy(workload);
        free(all);
        free(got);
    }
}

static void seed_rows_are_the_formula(void **state)
{
    (void)state;
    const uint64_t starts[] = {0, 99990, ((uint64_t)1 << 33) + 5};
    for (size_t s = 0; s < 3; s++) {
        lum_t *rows = make(LUM__WORKLOAD_SEED, starts[s], 5000);
        for (uint64_t k = 0; k < 5000; k++) {
            uint64_t i = starts[s] + k;
            assert_int_equal(rows[k].id, i);
            assert_int_equal(rows[k].presence, i % 2);
            assert_int_equal(rows[k].position_x, i % 100000);
            assert_int_equal(rows[k].position_y, i / 100000);
            assert_int_equal(rows[k].timestamp - rows[0].timestamp, k);
            assert_int_equal(rows[k].memory_address - rows[0].memory_address, 40 * k);
            assert_int_equal(rows[k].structure_type + rows[k].is_destroyed + rows[k].reserved + rows[k].checksum, 0);
        }
        free(rows);
    }
}

/* All values are used, about equally. */
static void random_rows_fill_their_ranges(void **state)
{
    (void)state;
    lum_t *rows = make(LUM__WORKLOAD_RANDOM, 0, ROWS);
    unsigned types[6] = {0}, present = 0, east = 0, north = 0;
    for (uint64_t i = 0; i < ROWS; i++) {
        const lum_t *row = &rows[i];
        assert_int_equal(row->id, i);
        assert_in_range(row->timestamp - 1700000000000000000u - i * 1000, 0, 999);
        assert_true(row->position_x >= -(1 << 19) && row->position_x < 1 << 19);
        assert_true(row->position_y >= -(1 << 19) && row->position_y < 1 << 19);
        assert_in_range(row->structure_type, 0, 5);
        assert_in_range(row->presence, 0, 1);
        types[row->structure_type]++;
        present += row->presence;
        east += row->position_x >= 0;
        north += row->position_y >= 0;
    }
    for (int i = 0; i < 6; i++) assert_in_range(types[i], ROWS / 6 * 97 / 100, ROWS / 6 * 103 / 100);
    assert_in_range(present, ROWS * 49 / 100, ROWS * 51 / 100);
    assert_in_range(east, ROWS * 49 / 100, ROWS * 51 / 100);
    assert_in_range(north, ROWS * 49 / 100, ROWS * 51 / 100);
    free(rows);
}

/* Steps within +-50, both ends reached, and no device's walk is another's. */
static void tracks_walk_in_small_steps(void **state)
{
    (void)state;
    lum_t *rows = make(LUM__WORKLOAD_TRACKS, 0, ROWS);
    int smallest = 0, largest = 0;
    unsigned equal_steps = 0;
    for (uint64_t i = DEVICES; i < ROWS; i++) {
        const lum_t *row = &rows[i], *before = &rows[i - DEVICES];
        int step_x = row->position_x - before->position_x, step_y = row->position_y - before->position_y;
        assert_int_equal(row->id, i % DEVICES);
        assert_int_equal(row->memory_address, before->memory_address);
        assert_in_range(row->timestamp - 1700000000000000000u - i / DEVICES * 1000000000u, 0, 1000000);
        assert_true(step_x >= -50 && step_x <= 50 && step_y >= -50 && step_y <= 50);
        if (step_x < smallest) smallest = step_x;
        if (step_y > largest) largest = step_y;
        equal_steps += step_x == step_y;
        assert_int_equal(row->presence, 1);
        assert_int_equal(row->structure_type, LUM_STRUCTURE_NODE);
    }
    assert_int_equal(smallest, -50);
    assert_int_equal(largest, 50);
    assert_true(equal_steps < ROWS / 50); /* one in 101 by chance */
    free(rows);
}

static void noise_is_one_row_in_each_page(void **state)
{
    (void)state;
    lum_t *plain = make(LUM__WORKLOAD_SEED, 0, 40960), *noisy = make(LUM__WORKLOAD_SEED_NOISE, 0, 40960);
    for (size_t page = 0; page < 10; page++) {
        unsigned differing = 0;
        for (size_t i = 4096 * page; i < 4096 * (page + 1); i++)
            differing += memcmp(&plain[i], &noisy[i], sizeof *plain) != 0;
        assert_int_equal(differing, 1);
    }
    free(plain);
    free(noisy);
}

/* Columns of rows, as a scan lends them. */
struct columns {
    uint64_t id[4096], timestamp[4096], memory_address[4096];
    int32_t position_x[4096], position_y[4096];
    uint8_t presence[4096], structure_type[4096], is_destroyed[4096];
    uint32_t checksum[4096];
};

static lum_columns columns_of(struct columns *columns, const lum_t *rows, size_t row_count)
{
    for (size_t i = 0; i < row_count; i++) {
        columns->id[i] = rows[i].id;
        columns->timestamp[i] = rows[i].timestamp;
        columns->memory_address[i] = rows[i].memory_address;
        columns->position_x[i] = rows[i].position_x;
        columns->position_y[i] = rows[i].position_y;
        columns->presence[i] = rows[i].presence;
        columns->structure_type[i] = rows[i].structure_type;
        columns->is_destroyed[i] = rows[i].is_destroyed;
        columns->checksum[i] = lum_record_checksum(&rows[i]);
    }
    return (lum_columns){.id = columns->id, .timestamp = columns->timestamp, .memory_address = columns->memory_address,
                         .position_x = columns->position_x, .position_y = columns->position_y, .presence = columns->presence,
                         .structure_type = columns->structure_type, .is_destroyed = columns->is_destroyed, .checksum = columns->checksum};
}

/* Every bit of a row: flipped, it makes exactly that row differ, in the fast comparison and in the one that tells which; for every
 * workload, from positions on and off page and x boundaries. */
static void comparing_sees_every_bit(void **state)
{
    (void)state;
    static const uint64_t positions[] = {0, 99000, 4096 * 24, 1000000007};
    struct columns *storage = malloc(sizeof *storage);
    for (int kind = LUM__WORKLOAD_SEED; kind <= LUM__WORKLOAD_SEED_NOISE; kind++) {
        struct lum__row_maker *maker = lum__row_maker_create((enum lum__workload_kind)kind);
        for (size_t p = 0; p < sizeof positions / sizeof positions[0]; p++) {
            lum_t *made = make((enum lum__workload_kind)kind, positions[p], 4096);
            lum_columns read = columns_of(storage, made, 4096);
            size_t first = 0;
            assert_true(lum__row_maker_matches(maker, positions[p], &read, 4096));
            assert_int_equal(lum__rows_compare(made, &read, 4096, &first), 0);
            for (size_t bit = 0; bit < 320; bit++) {
                size_t index = bit * 1021 % 4096;
                lum_t row = made[index];
                if (bit / 8 >= offsetof(lum_t, checksum) && bit / 8 < offsetof(lum_t, presence)) continue;
                if (bit / 8 == offsetof(lum_t, reserved)) continue;
                ((uint8_t *)&made[index])[bit / 8] ^= (uint8_t)(1u << bit % 8);
                lum_t changed = made[index];
                made[index] = row;
                lum_t *altered = malloc(4096 * sizeof *altered);
                memcpy(altered, made, 4096 * sizeof *altered);
                altered[index] = changed;
                read = columns_of(storage, altered, 4096);
                assert_false(lum__row_maker_matches(maker, positions[p], &read, 4096));
                assert_int_equal(lum__rows_compare(made, &read, 4096, &first), 1);
                assert_int_equal(first, index);
                free(altered);
            }
            free(made);
        }
        lum__row_maker_destroy(maker);
    }
    free(storage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_depend_on_their_number_alone), cmocka_unit_test(pieces_of_workers_make_the_whole),
        cmocka_unit_test(columns_are_the_same_rows),
        cmocka_unit_test(pieces_of_columns_make_the_whole),
        cmocka_unit_test(seed_rows_are_the_formula),         cmocka_unit_test(random_rows_fill_their_ranges),
        cmocka_unit_test(tracks_walk_in_small_steps),        cmocka_unit_test(noise_is_one_row_in_each_page),
        cmocka_unit_test(comparing_sees_every_bit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
