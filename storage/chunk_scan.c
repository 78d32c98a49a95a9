/* storage/chunk_scan.c - the parallel scan and the sequential cursor over a chunk_reader. */
#include "storage/chunk_scan.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "base/status.h"
#include "storage/chunk_reader.h"
#include "storage/row_table.h"

/* What decoding needs, of one thread. */
struct workspace {
    struct lum__page_scratch *scratch;
    lum_t *rows;
};

static lum_status workspace_init(struct workspace *workspace)
{
    workspace->scratch = aligned_alloc(64, lum__round_up(lum__page_scratch_bytes(), 64));
    workspace->rows = aligned_alloc(64, lum__round_up(LUM__PAGE_ROWS_MAX * sizeof(lum_t), 64));
    if (workspace->scratch == NULL || workspace->rows == NULL)
        return lum__fail(LUM_ERR_NO_MEMORY, "no memory to decode pages");
    return LUM_OK;
}

static void workspace_fini(struct workspace *workspace)
{
    free(workspace->scratch);
    free(workspace->rows);
}

/* ------------------------------------------------------------------------------------------------ parallel scan */

struct scan {
    struct lum__chunk_source source;
    lum__chunk_visitor visit;
    lum__chunk_column_visitor visit_columns; /* or NULL */
    lum__chunk_page_visitor visit_page;      /* or NULL */
    bool only_crc;
    lum__chunk_damage damage;
    void *context;
    atomic_bool is_over; /* a hint to the other workers, relaxed; what it stands for is under the mutex */
    pthread_mutex_t mutex;
    lum_status status; /* the first that ended the scan */
    struct lum__error error;
    struct lum__chunk_scan_counts counts;
};

static void end_scan(struct scan *scan, lum_status status)
{
    (void)pthread_mutex_lock(&scan->mutex);
    if (scan->status == LUM_OK) {
        scan->status = status;
        scan->error = *lum__error_last();
    }
    (void)pthread_mutex_unlock(&scan->mutex);
    atomic_store_explicit(&scan->is_over, true, memory_order_relaxed);
}

static void add_counts(struct scan *scan, const struct lum__chunk_scan_counts *counts)
{
    (void)pthread_mutex_lock(&scan->mutex);
    scan->counts.chunks_read += counts->chunks_read;
    scan->counts.pages_total += counts->pages_total;
    scan->counts.pages_read += counts->pages_read;
    scan->counts.rows_read += counts->rows_read;
    scan->counts.bytes_read += counts->bytes_read;
    (void)pthread_mutex_unlock(&scan->mutex);
}

/* Rows in memory are proven like any others before they are handed over. */
static lum_status check_rows(const struct lum__chunk_page_ref *page, const struct lum__chunk_entry *entry)
{
    if (lum__rows_check(page->rows, page->entry.row_count) == page->entry.row_count) return LUM_OK;
    return lum__corrupt(NULL, LUM_NO_OFFSET, 0, "rows of transaction %llu were changed in memory",
                        (unsigned long long)entry->transaction_id);
}

static lum_status split_rows(const struct lum__chunk_page_ref *page, const struct lum__chunk_entry *entry,
                             const struct workspace *workspace, lum_columns *columns)
{
    LUM_TRY(check_rows(page, entry));
    return lum__page_split(workspace->scratch, page->rows, page->entry.row_count, columns) ? LUM_OK : check_rows(page, entry);
}

/* Decodes, or checks, one page. */
static lum_status check_page(const struct scan *scan, const struct lum__chunk_page_ref *page,
                             const struct workspace *workspace, lum_columns *columns)
{
    const struct lum__chunk_entry *entry = &scan->source.chunks[page->chunk_index];
    char path[LUM__PATH_BYTES_MAX];

    if (page->rows != NULL && scan->visit_columns != NULL) return split_rows(page, entry, workspace, columns);
    if (page->rows != NULL) return check_rows(page, entry);
    lum__segment_path(entry->segment, path);
    if (scan->source.check_everything) {
        return lum__chunk_check_page(page->bytes, &page->entry, entry, workspace->scratch, path);
    }
    if (scan->only_crc) return lum__chunk_check_page_crc(page->bytes, &page->entry, entry, path);
    if (scan->visit_columns != NULL)
        return lum__chunk_decode_page_columns(page->bytes, &page->entry, entry, workspace->scratch, path, columns);
    return lum__chunk_decode_page(page->bytes, &page->entry, entry, workspace->scratch, path, workspace->rows);
}

static lum_status hand_over(const struct scan *scan, uint32_t worker, const struct lum__chunk_page_ref *page,
                            const lum_t *rows, const lum_columns *columns)
{
    if (scan->visit_columns != NULL)
        return scan->visit_columns(scan->context, worker, page->position, columns, page->entry.row_count);
    if (scan->visit_page != NULL) return scan->visit_page(scan->context, worker, page, scan->only_crc ? page->rows : rows);
    if (scan->visit == NULL) return LUM_OK;
    if (!scan->source.check_everything) {
        return scan->visit(scan->context, worker, page->chunk_index, page->position, rows, page->entry.row_count);
    }
    if (!page->is_last) return LUM_OK;
    const struct lum__chunk_entry *entry = &scan->source.chunks[page->chunk_index];
    uint64_t position = page->position + page->entry.row_count - entry->row_count;
    return scan->visit(scan->context, worker, page->chunk_index, position, NULL, entry->row_count);
}

/* One page's way; LUM_END at the end. Damage is told, and passed over if the callback says so. */
static lum_status scan_page(struct scan *scan, uint32_t worker, struct lum__chunk_reader *reader,
                            const struct workspace *workspace)
{
    struct lum__chunk_page_ref page;
    lum_status status = lum__chunk_reader_next(reader, &page);
    size_t damaged_index = reader->damaged_index;

    if (status == LUM_END) return status;
    if (status != LUM_OK && !reader->is_damage) return status;
    if (status == LUM_OK) {
        lum_columns columns = {0};
        status = check_page(scan, &page, workspace, &columns);
        const lum_t *rows = page.rows != NULL ? page.rows : workspace->rows;
        if (status == LUM_OK) return hand_over(scan, worker, &page, rows, &columns);
        damaged_index = page.chunk_index;
    }
    if (scan->damage == NULL) return status;
    LUM_TRY(scan->damage(scan->context, worker, damaged_index));
    lum__chunk_reader_skip(reader, damaged_index);
    return LUM_OK;
}

static void scan_worker(void *context, uint32_t worker)
{
    struct scan *scan = context;
    struct lum__chunk_reader reader;
    struct workspace workspace = {0};
    lum_status status = lum__chunk_reader_init(&reader, &scan->source);

    if (status == LUM_OK) status = workspace_init(&workspace);
    while (status == LUM_OK && !atomic_load_explicit(&scan->is_over, memory_order_relaxed)) { /* set by end_scan */
        status = scan_page(scan, worker, &reader, &workspace);
    }
    if (status != LUM_OK && status != LUM_END) end_scan(scan, status);
    add_counts(scan, &reader.counts);
    workspace_fini(&workspace);
    lum__chunk_reader_fini(&reader);
}

lum_status lum__chunk_scan(struct lum__fs *fs, struct lum__segment_files *files, const struct lum__chunk_entry *chunks,
                           size_t chunk_count, const struct lum__chunk_scan_options *options, uint32_t workers,
                           lum__chunk_visitor visit, lum__chunk_damage damage, void *context,
                           struct lum__chunk_scan_counts *counts)
{
    struct scan scan = {.visit = visit,
                        .visit_columns = options->visit_columns,
                        .visit_page = options->visit_page,
                        .only_crc = options->only_crc,
                        .damage = damage,
                        .context = context,
                        .counts = {.chunks_total = chunk_count}};

    LUM_ASSERT(visit != NULL || options->visit_columns != NULL || options->visit_page != NULL || options->check_everything);
    LUM_ASSERT(!options->only_crc || options->visit_page != NULL);
    LUM_ASSERT(options->visit_columns == NULL || !options->check_everything);
    if (counts != NULL) *counts = scan.counts;
    LUM_TRY(lum__chunk_source_init(&scan.source, fs, files, chunks, chunk_count, options, workers));
    if (pthread_mutex_init(&scan.mutex, NULL) != 0) {
        lum__chunk_source_fini(&scan.source);
        return lum__fail(LUM_ERR_NO_MEMORY, "a mutex cannot be made");
    }
    if (chunk_count > 0) lum__parallel(scan.source.workers, scan_worker, &scan);
    scan.counts.pages_total += scan.source.pages_pruned;
    if (counts != NULL) *counts = scan.counts;
    (void)pthread_mutex_destroy(&scan.mutex);
    lum__chunk_source_fini(&scan.source);
    if (scan.status != LUM_OK && scan.error.status == scan.status) lum__error_restore(&scan.error);
    return scan.status;
}

/* ------------------------------------------------------------------------------------------------------ cursor */

struct lum__chunk_cursor {
    struct lum__chunk_source source;
    struct lum__chunk_reader reader;
    struct workspace workspace;
    uint64_t position;
};

lum_status lum__chunk_cursor_open(struct lum__fs *fs, struct lum__segment_files *files,
                                  const struct lum__chunk_entry *chunks, size_t chunk_count,
                                  const struct lum__chunk_scan_options *options, struct lum__chunk_cursor **out)
{
    lum_status status;
    struct lum__chunk_cursor *cursor;

    *out = NULL;
    LUM_ASSERT(!options->check_everything);
    LUM_TRY(lum__alloc_zeroed(1, sizeof *cursor, (void **)&cursor));
    status = lum__chunk_source_init(&cursor->source, fs, files, chunks, chunk_count, options, 1);
    if (status != LUM_OK) {
        free(cursor);
        return status;
    }
    status = workspace_init(&cursor->workspace);
    if (status == LUM_OK) status = lum__chunk_reader_init(&cursor->reader, &cursor->source);
    if (status != LUM_OK) {
        lum__chunk_cursor_close(cursor);
        return status;
    }
    *out = cursor;
    return LUM_OK;
}

lum_status lum__chunk_cursor_next(struct lum__chunk_cursor *cursor, const lum_t **rows, uint32_t *row_count)
{
    struct lum__chunk_page_ref page;
    char path[LUM__PATH_BYTES_MAX];

    *rows = NULL;
    *row_count = 0;
    LUM_TRY(lum__chunk_reader_next(&cursor->reader, &page));
    cursor->position = page.position;
    const struct lum__chunk_entry *entry = &cursor->source.chunks[page.chunk_index];
    if (page.rows != NULL) {
        LUM_TRY(check_rows(&page, entry));
        *rows = page.rows;
        *row_count = page.entry.row_count;
        return LUM_OK;
    }
    lum__segment_path(entry->segment, path);
    LUM_TRY(lum__chunk_decode_page(page.bytes, &page.entry, entry, cursor->workspace.scratch, path,
                                   cursor->workspace.rows));
    *rows = cursor->workspace.rows;
    *row_count = page.entry.row_count;
    return LUM_OK;
}

lum_status lum__chunk_cursor_next_columns(struct lum__chunk_cursor *cursor, lum_columns *columns, uint32_t *row_count)
{
    struct lum__chunk_page_ref page;
    char path[LUM__PATH_BYTES_MAX];

    memset(columns, 0, sizeof *columns);
    *row_count = 0;
    LUM_TRY(lum__chunk_reader_next(&cursor->reader, &page));
    cursor->position = page.position;
    const struct lum__chunk_entry *entry = &cursor->source.chunks[page.chunk_index];
    if (page.rows != NULL) {
        LUM_TRY(split_rows(&page, entry, &cursor->workspace, columns));
        *row_count = page.entry.row_count;
        return LUM_OK;
    }
    lum__segment_path(entry->segment, path);
    LUM_TRY(lum__chunk_decode_page_columns(page.bytes, &page.entry, entry, cursor->workspace.scratch, path, columns));
    *row_count = page.entry.row_count;
    return LUM_OK;
}

uint64_t lum__chunk_cursor_position(const struct lum__chunk_cursor *cursor) { return cursor->position; }

void lum__chunk_cursor_counts(const struct lum__chunk_cursor *cursor, struct lum__chunk_scan_counts *out)
{
    *out = cursor->reader.counts;
    out->chunks_total = cursor->source.chunk_count;
    out->pages_total += cursor->source.pages_pruned;
}

void lum__chunk_cursor_close(struct lum__chunk_cursor *cursor)
{
    if (cursor == NULL) return;
    lum__chunk_reader_fini(&cursor->reader);
    workspace_fini(&cursor->workspace);
    lum__chunk_source_fini(&cursor->source);
    free(cursor);
}
