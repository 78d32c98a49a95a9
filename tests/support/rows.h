/* tests/support/rows.h - a source of rows that anybody can compute from their number, for tests of loading and crashing. */
#ifndef LUM_TESTS_SUPPORT_ROWS_H
#define LUM_TESTS_SUPPORT_ROWS_H

#include "lum/lum.h"

enum { LUM_TEST_WORKERS_MAX = 16 };

/* Row `number` of the test's data set: compressible here, random there, every enum value, checksum filled in. */
void lum_test_row(uint64_t number, lum_t *out);

/* A source that gives rows [first, first + count). */
struct lum_test_source {
    uint64_t first, count;
    uint64_t next; /* under lum's claim lock */
    struct {
        uint64_t at, end;
    } pieces[LUM_TEST_WORKERS_MAX];
    uint64_t fail_at; /* row number that answers LUM_ERR_INPUT; UINT64_MAX: none */
};
void lum_test_source_init(struct lum_test_source *context, uint64_t first, uint64_t count, lum_source *out);

/* Reads the whole store with a cursor: rows must be 0, 1, 2, ... in order, bit-identical. *row_count: how many. LUM_OK, or what the scan answered;
 * LUM_ERR_ARGUMENT when a row is not the expected one (its number is in *row_count). */
LUM_MUST_USE lum_status lum_test_read_prefix(lum_store *store, uint64_t *row_count);

#endif
