/* cli/workload.h - LUMs that are made, not read: what `lum stress` writes and, made again, compares with.
 *
 * Row i of a workload depends on i alone, so any part of it can be made again by any thread:
 *
 *   seed        id i, presence i % 2, x i % 100000, y i / 100000, type 0, timestamp and address rising evenly
 *   random      id i, timestamp i * 1000 + 0..999, x and y in 2^20 values around 0, presence and type, all at random
 *   tracks      1,000 devices in turn, a position each second: id i % 1000, steps within +-50, jittered timestamps, one
 *               address a device. Behind every 64 random steps the walk makes the same steps backwards in another
 *               order: it stays near its base, and any position can be found without a replay from the start
 *   seed+noise  seed with one random row in every 4,096
 *
 * Randomness is a counter through splitmix64's mixing function: one call a row. */
#ifndef LUM_CLI_WORKLOAD_H
#define LUM_CLI_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/options.h"
#include "lum/lum.h"

/* Makes rows of one workload for one thread. Going on where it stopped is cheap; a jump costs up to 30 us for tracks. */
struct lum__row_maker;

struct lum__row_maker *lum__row_maker_create(enum lum__workload_kind kind); /* NULL: out of memory */
void lum__row_maker_destroy(struct lum__row_maker *maker);
/* Rows first_row .. first_row + row_count - 1, checksums 0. */
void lum__row_maker_make(struct lum__row_maker *maker, uint64_t first_row, lum_t *rows, size_t row_count);

/* Are these columns, read back, exactly the rows first_row .. first_row + row_count - 1? Every field but the checksum, which the
 * library has proven when it hands columns over (lum.h). Rows are made and compared in one pass, nothing is stored. */
bool lum__row_maker_matches(struct lum__row_maker *maker, uint64_t first_row, const lum_columns *read, size_t row_count);

/* The same rows as columns, up to LUM__COLUMN_ROWS_MAX of them, lent in room; a column that is all default is NULL. */
enum { LUM__COLUMN_ROWS_MAX = 4096 };
struct lum__column_room {
    uint64_t id[LUM__COLUMN_ROWS_MAX], timestamp[LUM__COLUMN_ROWS_MAX], memory_address[LUM__COLUMN_ROWS_MAX];
    int32_t position_x[LUM__COLUMN_ROWS_MAX], position_y[LUM__COLUMN_ROWS_MAX];
    uint8_t presence[LUM__COLUMN_ROWS_MAX], structure_type[LUM__COLUMN_ROWS_MAX];
};
void lum__row_maker_make_columns(struct lum__row_maker *maker, uint64_t first_row, size_t row_count,
                                 struct lum__column_room *room, lum_columns *out);

/* The same as a source for lum_load(), rows 0 .. row_count - 1, for up to `workers` workers; by rows or by columns. NULL: out
 * of memory. */
struct lum__workload;
struct lum__workload *lum__workload_create(enum lum__workload_kind kind, uint64_t row_count, uint32_t workers,
                                           bool as_columns);
void lum__workload_destroy(struct lum__workload *workload);
const lum_source *lum__workload_source(struct lum__workload *workload);

/* Compares rows read back with rows made again, every field, one by one: to tell which differ. Returns how many; *first is the
 * index of the first. */
size_t lum__rows_compare(const lum_t *made, const lum_columns *read, size_t row_count, size_t *first);

#endif
