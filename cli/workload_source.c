/* A workload as a source for lum_load(): by rows, or by columns. */
#include <stdlib.h>
#include <string.h>

#include "cli/workload.h"

/* A worker's own cache lines: workers write their positions at the same time. */
struct worker {
    _Alignas(64) struct lum__row_maker *maker;
    struct lum__column_room *room; /* NULL where rows are wanted */
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

static lum_status fill_columns(void *context, uint32_t worker, size_t rows_max, lum_columns *columns, size_t *row_count)
{
    struct lum__workload *workload = context;
    struct worker *mine = &workload->workers[worker % workload->worker_count];
    uint64_t left = mine->end_row - mine->next_row;
    size_t count = rows_max < left ? rows_max : (size_t)left;
    if (count > LUM__COLUMN_ROWS_MAX) count = LUM__COLUMN_ROWS_MAX;
    lum__row_maker_make_columns(mine->maker, mine->next_row, count, mine->room, columns);
    mine->next_row += count;
    *row_count = count;
    return LUM_OK;
}

static bool make_workers(struct lum__workload *workload, enum lum__workload_kind kind, uint32_t count, bool as_columns)
{
    workload->workers = aligned_alloc(64, count * sizeof *workload->workers);
    if (!workload->workers) return false;
    memset(workload->workers, 0, count * sizeof *workload->workers);
    workload->worker_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct worker *worker = &workload->workers[i];
        worker->maker = lum__row_maker_create(kind);
        if (as_columns) worker->room = aligned_alloc(64, (sizeof *worker->room + 63) / 64 * 64);
        if (!worker->maker || (as_columns && !worker->room)) return false;
    }
    return true;
}

struct lum__workload *lum__workload_create(enum lum__workload_kind kind, uint64_t row_count, uint32_t workers,
                                           bool as_columns)
{
    struct lum__workload *workload = calloc(1, sizeof *workload);
    if (!workload) return NULL;
    if (!make_workers(workload, kind, workers, as_columns)) {
        lum__workload_destroy(workload);
        return NULL;
    }
    workload->source = (lum_source)LUM_SOURCE_INIT;
    workload->source.context = workload;
    workload->source.name = lum__workload_names[kind];
    workload->source.row_count = row_count;
    workload->source.open_piece = open_piece;
    workload->source.fill = fill;
    if (as_columns) workload->source.fill_columns = fill_columns;
    return workload;
}

void lum__workload_destroy(struct lum__workload *workload)
{
    if (!workload) return;
    for (uint32_t i = 0; i < workload->worker_count; i++) {
        lum__row_maker_destroy(workload->workers[i].maker);
        free(workload->workers[i].room);
    }
    free(workload->workers);
    free(workload);
}

const lum_source *lum__workload_source(struct lum__workload *workload) { return &workload->source; }
