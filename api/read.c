/* Reading: scans over one snapshot, in order or in parallel, and single ids. */
#include <stdlib.h>
#include <string.h>

#include "api/latest.h"
#include "api/store.h"
#include "base/memory.h"
#include "base/status.h"
#include "storage/chunk_scan.h"

struct lum_scan {
    lum_store *store;
    const struct lum__catalogue_version *version;
    struct lum__chunk_cursor *cursor;
    struct lum__range range;
    bool selects_all;
    uint64_t rows_returned;
    lum_t *selected; /* rows of a page that are in range */
    struct lum__latest *latest; /* or NULL */
};

static lum_status range_of(const lum_scan_options *options, struct lum__range *out, bool *selects_all)
{
    static const lum_scan_options everything = LUM_SCAN_OPTIONS_INIT;
    if (options == NULL) options = &everything;
    if (options->struct_version != 1) return lum__fail(LUM_ERR_VERSION, "lum_scan_options.struct_version must be 1");
    *out = (struct lum__range){.id_min = options->id_min, .id_max = options->id_max, .timestamp_min = options->timestamp_min,
                               .timestamp_max = options->timestamp_max, .x_min = options->x_min, .x_max = options->x_max,
                               .y_min = options->y_min, .y_max = options->y_max};
    *selects_all = out->id_min == 0 && out->id_max == UINT64_MAX && out->timestamp_min == 0 && out->timestamp_max == UINT64_MAX &&
                   out->x_min == INT32_MIN && out->x_max == INT32_MAX && out->y_min == INT32_MIN && out->y_max == INT32_MAX;
    return LUM_OK;
}

static bool is_in_range(const struct lum__range *range, const lum_t *row)
{
    return row->id >= range->id_min && row->id <= range->id_max && row->timestamp >= range->timestamp_min &&
           row->timestamp <= range->timestamp_max && row->position_x >= range->x_min && row->position_x <= range->x_max &&
           row->position_y >= range->y_min && row->position_y <= range->y_max;
}

/* Copies the rows in range, and of those (latest not NULL) the newest versions, to `out` (room for a page). position: of rows[0]. */
static lum_status select_rows(const struct lum__range *range, const struct lum__latest *latest, uint64_t position, const lum_t *rows,
                              size_t row_count, lum_t *out, size_t *out_count)
{
    uint64_t bits[LUM__PAGE_ROWS_MAX / 64];
    size_t selected = 0;
    *out_count = 0;
    if (latest != NULL) LUM_TRY(lum__latest_bits(latest, position, row_count, bits));
    else memset(bits, 0xff, sizeof bits);
    for (size_t i = 0; i < row_count; i++) {
        out[selected] = rows[i]; /* branch-free: overwritten unless it counts */
        selected += is_in_range(range, &rows[i]) & (bits[i / 64] >> i % 64 & 1);
    }
    *out_count = selected;
    return LUM_OK;
}

/* With options->latest: finds the newest versions in a pinned version of the catalogue. */
static lum_status find_latest(lum_store *store, const lum_scan_options *options, const struct lum__catalogue_version *version,
                              uint32_t threads, struct lum__latest **out)
{
    *out = NULL;
    if (options == NULL || !options->latest) return LUM_OK;
    struct lum__latest_options latest_options = {.id_min = options->id_min,
                                                 .id_max = options->id_max,
                                                 .threads = threads,
                                                 .memory_bytes_max = store->options.memory_bytes_max,
                                                 .directory = options->temporary_directory,
                                                 .store_id = store->store_id};
    return lum__latest_find(store->fs, store->files, version->chunks, version->chunk_count, &latest_options, out);
}

static lum_status refuse_columns(void)
{
    return lum__fail(LUM_ERR_ARGUMENT, "the newest versions come as rows, not as columns");
}

static struct lum__chunk_scan_options scan_options(const lum_store *store, const struct lum__range *range)
{
    return (struct lum__chunk_scan_options){.range = *range, .store_id = store->store_id, .memory_bytes_max = store->options.memory_bytes_max};
}

lum_status lum_scan_open(lum_store *store, const lum_scan_options *options, lum_scan **out)
{
    if (out == NULL) return lum__fail(LUM_ERR_ARGUMENT, "lum_scan_open needs a place for the handle");
    *out = NULL;
    LUM_TRY(lum__store_check(store));
    struct lum__range range;
    bool selects_all = false;
    LUM_TRY(range_of(options, &range, &selects_all));
    lum_scan *scan = NULL;
    LUM_TRY(lum__alloc_zeroed(1, sizeof *scan, (void **)&scan));
    lum_status status = LUM_OK;
    scan->store = store;
    scan->range = range;
    scan->selects_all = selects_all;
    scan->version = lum__catalogue_pin(store->catalogue);
    LUM_TRY_OUT(lum__alloc(LUM__PAGE_ROWS_MAX * sizeof(lum_t), (void **)&scan->selected));
    struct lum__chunk_scan_options chunk_options = scan_options(store, &range);
    LUM_TRY_OUT(find_latest(store, options, scan->version, store->options.threads, &scan->latest));
    if (scan->latest != NULL) scan->selects_all = false;
    LUM_TRY_OUT(lum__chunk_cursor_open(store->fs, store->files, scan->version->chunks, scan->version->chunk_count, &chunk_options, &scan->cursor));
    *out = scan;
    scan = NULL;
out:
    lum_scan_close(scan);
    return status;
}

lum_status lum_scan_next_rows(lum_scan *scan, const lum_t **rows, size_t *row_count)
{
    if (scan == NULL || rows == NULL || row_count == NULL) return lum__fail(LUM_ERR_ARGUMENT, "lum_scan_next_rows needs a scan and two places");
    *rows = NULL;
    *row_count = 0;
    LUM_TRY(lum__store_check(scan->store));
    while (*row_count == 0) {
        const lum_t *page = NULL;
        uint32_t page_rows = 0;
        LUM_TRY(lum__chunk_cursor_next(scan->cursor, &page, &page_rows));
        if (scan->selects_all) {
            *rows = page;
            *row_count = page_rows;
        } else {
            *rows = scan->selected;
            LUM_TRY(select_rows(&scan->range, scan->latest, lum__chunk_cursor_position(scan->cursor), page, page_rows, scan->selected, row_count));
        }
    }
    scan->rows_returned += *row_count;
    return LUM_OK;
}

lum_status lum_scan_next_columns(lum_scan *scan, lum_columns *columns, size_t *row_count)
{
    if (scan == NULL || columns == NULL || row_count == NULL) return lum__fail(LUM_ERR_ARGUMENT, "lum_scan_next_columns needs a scan and two places");
    memset(columns, 0, sizeof *columns);
    *row_count = 0;
    LUM_TRY(lum__store_check(scan->store));
    if (scan->latest != NULL) return refuse_columns();
    uint32_t page_rows = 0;
    LUM_TRY(lum__chunk_cursor_next_columns(scan->cursor, columns, &page_rows));
    *row_count = page_rows;
    scan->rows_returned += page_rows;
    return LUM_OK;
}

static void public_counts(const struct lum__chunk_scan_counts *counts, uint64_t rows_returned, lum_scan_counts *out)
{
    *out = (lum_scan_counts){.rows_returned = rows_returned, .rows_read = counts->rows_read, .chunks_total = counts->chunks_total,
                             .chunks_read = counts->chunks_read, .pages_total = counts->pages_total, .pages_read = counts->pages_read,
                             .bytes_read = counts->bytes_read};
}

void lum_scan_counts_get(const lum_scan *scan, lum_scan_counts *out)
{
    struct lum__chunk_scan_counts counts;
    lum__chunk_cursor_counts(scan->cursor, &counts);
    public_counts(&counts, scan->rows_returned, out);
}

void lum_scan_close(lum_scan *scan)
{
    if (scan == NULL) return;
    if (scan->cursor != NULL) lum__chunk_cursor_close(scan->cursor);
    if (scan->version != NULL) lum__catalogue_unpin(scan->store->catalogue, scan->version);
    lum__latest_free(scan->latest);
    free(scan->selected);
    free(scan);
}

/* ------------------------------------------------------------------------------------------------------- parallel */

struct parallel_scan {
    struct lum__range range;
    bool selects_all;
    lum_scan_visitor visit;
    void *context;
    lum_t *selected; /* a page for each worker */
    struct lum__latest *latest; /* or NULL */
    _Atomic uint64_t rows_returned;
};

static lum_status visit_page(void *context, uint32_t worker, size_t chunk_index, uint64_t position, const lum_t *rows, uint32_t row_count)
{
    struct parallel_scan *scan = context;
    (void)chunk_index;
    size_t count = row_count;
    if (!scan->selects_all) {
        lum_t *selected = scan->selected + (size_t)worker * LUM__PAGE_ROWS_MAX;
        LUM_TRY(select_rows(&scan->range, scan->latest, position, rows, row_count, selected, &count));
        rows = selected;
        if (count == 0) return LUM_OK;
    }
    atomic_fetch_add_explicit(&scan->rows_returned, count, memory_order_relaxed);
    return scan->visit(scan->context, worker, position, rows, count);
}

lum_status lum_scan_parallel(lum_store *store, const lum_scan_options *options, uint32_t threads, lum_scan_visitor visit, void *context,
                             lum_scan_counts *counts)
{
    LUM_TRY(lum__store_check(store));
    if (visit == NULL) return lum__fail(LUM_ERR_ARGUMENT, "lum_scan_parallel needs a visitor");
    struct parallel_scan scan = {.visit = visit, .context = context};
    LUM_TRY(range_of(options, &scan.range, &scan.selects_all));
    if (threads == 0) threads = store->options.threads;
    const struct lum__catalogue_version *version = lum__catalogue_pin(store->catalogue);
    struct lum__chunk_scan_options chunk_options = scan_options(store, &scan.range);
    struct lum__chunk_scan_counts chunk_counts = {0};
    lum_status status = LUM_OK;
    LUM_TRY_OUT(find_latest(store, options, version, threads, &scan.latest));
    if (scan.latest != NULL) scan.selects_all = false;
    if (!scan.selects_all) LUM_TRY_OUT(lum__alloc((size_t)threads * LUM__PAGE_ROWS_MAX * sizeof(lum_t), (void **)&scan.selected));
    status = lum__chunk_scan(store->fs, store->files, version->chunks, version->chunk_count, &chunk_options, threads, visit_page, NULL, &scan,
                             &chunk_counts);
out:
    lum__catalogue_unpin(store->catalogue, version);
    lum__latest_free(scan.latest);
    free(scan.selected);
    if (counts != NULL) public_counts(&chunk_counts, atomic_load(&scan.rows_returned), counts);
    return status;
}

struct column_scan {
    lum_scan_column_visitor visit;
    void *context;
};

static lum_status visit_columns(void *context, uint32_t worker, uint64_t position, const lum_columns *columns, uint32_t row_count)
{
    const struct column_scan *scan = context;
    return scan->visit(scan->context, worker, position, columns, row_count);
}

lum_status lum_scan_parallel_columns(lum_store *store, const lum_scan_options *options, uint32_t threads, lum_scan_column_visitor visit,
                                     void *context, lum_scan_counts *counts)
{
    LUM_TRY(lum__store_check(store));
    if (visit == NULL) return lum__fail(LUM_ERR_ARGUMENT, "lum_scan_parallel_columns needs a visitor");
    struct column_scan scan = {.visit = visit, .context = context};
    struct lum__range range;
    bool selects_all = false;
    LUM_TRY(range_of(options, &range, &selects_all));
    if (options != NULL && options->latest) return refuse_columns();
    struct lum__chunk_scan_options chunk_options = scan_options(store, &range);
    chunk_options.visit_columns = visit_columns;
    const struct lum__catalogue_version *version = lum__catalogue_pin(store->catalogue);
    struct lum__chunk_scan_counts chunk_counts = {0};
    lum_status status = lum__chunk_scan(store->fs, store->files, version->chunks, version->chunk_count, &chunk_options,
                                        threads != 0 ? threads : store->options.threads, NULL, NULL, &scan, &chunk_counts);
    lum__catalogue_unpin(store->catalogue, version);
    if (counts != NULL) public_counts(&chunk_counts, chunk_counts.rows_read, counts);
    return status;
}

/* ------------------------------------------------------------------------------------------------- groups, single ids */

lum_status lum_scan_group(lum_store *store, const lum_scan_options *options, lum_group_t *group)
{
    if (group == NULL) return lum__fail(LUM_ERR_ARGUMENT, "lum_scan_group needs a group");
    lum_scan *scan = NULL;
    LUM_TRY(lum_scan_open(store, options, &scan));
    lum_status status = LUM_OK;
    const lum_t *rows;
    size_t row_count;
    while (status == LUM_OK && (status = lum_scan_next_rows(scan, &rows, &row_count)) == LUM_OK) {
        status = lum_group_add_many(group, rows, row_count);
    }
    lum_scan_close(scan);
    return status == LUM_END ? LUM_OK : status;
}

/* The last row with this id in one chunk. */
static lum_status find_in_chunk(lum_store *store, const struct lum__chunk_entry *chunk, uint64_t id, lum_t *out, bool *found)
{
    struct lum__range range = {.id_min = id, .id_max = id, .timestamp_max = UINT64_MAX, .x_min = INT32_MIN, .x_max = INT32_MAX,
                               .y_min = INT32_MIN, .y_max = INT32_MAX};
    struct lum__chunk_scan_options options = scan_options(store, &range);
    struct lum__chunk_cursor *cursor = NULL;
    *found = false;
    LUM_TRY(lum__chunk_cursor_open(store->fs, store->files, chunk, 1, &options, &cursor));
    lum_status status;
    const lum_t *rows;
    uint32_t row_count;
    while ((status = lum__chunk_cursor_next(cursor, &rows, &row_count)) == LUM_OK) {
        for (uint32_t i = 0; i < row_count; i++) {
            if (rows[i].id != id) continue;
            *out = rows[i];
            *found = true;
        }
    }
    lum__chunk_cursor_close(cursor);
    return status == LUM_END ? LUM_OK : status;
}

lum_status lum_get(lum_store *store, uint64_t id, lum_t *out)
{
    if (out == NULL) return lum__fail(LUM_ERR_ARGUMENT, "lum_get needs a place for the record");
    memset(out, 0, sizeof *out);
    LUM_TRY(lum__store_check(store));
    const struct lum__catalogue_version *version = lum__catalogue_pin(store->catalogue);
    lum_status status = LUM_OK;
    bool found = false;
    /* the newest version is in the last chunk, in scan order, that holds the id */
    for (size_t i = version->chunk_count; i-- > 0 && !found && status == LUM_OK;) {
        const struct lum__chunk_entry *chunk = &version->chunks[i];
        if (id < chunk->range.id_min || id > chunk->range.id_max) continue;
        status = find_in_chunk(store, chunk, id, out, &found);
    }
    lum__catalogue_unpin(store->catalogue, version);
    LUM_TRY(status);
    if (!found || out->is_destroyed) {
        memset(out, 0, sizeof *out);
        return lum__fail(LUM_ERR_NOT_FOUND, "there is no LUM with id %llu", (unsigned long long)id);
    }
    return LUM_OK;
}
