/* What lies where: all versions of an id with their places, and how the columns are stored. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/store.h"
#include "base/memory.h"
#include "base/status.h"
#include "storage/chunk_reader.h"
#include "storage/page_format.h"
#include "wal/format.h"

_Static_assert((int)LUM__ENCODING_LAST < (int)LUM_ENCODINGS_MAX, "every encoding has its place in lum_column_data");
_Static_assert((int)LUM__PAGE_COLUMNS == (int)LUM_COLUMN_COUNT, "a page has the columns that lum.h names");

/* The scans below, over one pinned version. */
static lum_status scan_pages(lum_store *store, const struct lum__catalogue_version *version,
                             const struct lum__range *range, bool only_crc, lum__chunk_page_visitor visit,
                             void *context)
{
    struct lum__chunk_scan_options options = {.range = *range,
                                              .store_id = store->store_id,
                                              .memory_bytes_max = store->options.memory_bytes_max,
                                              .visit_page = visit,
                                              .only_crc = only_crc};
    return lum__chunk_scan(store->fs, store->files, version->chunks, version->chunk_count, &options,
                           store->options.threads, NULL, NULL, context, NULL);
}

/* ------------------------------------------------------------------------------------------------------- versions of
 * an id */

struct hit {
    lum_t record;
    size_t chunk_index;
    uint64_t page_offset; /* in the chunk */
    uint64_t position;
};

struct hits {
    uint64_t id;
    pthread_mutex_t mutex; /* the rest */
    struct hit *items;
    size_t count, capacity;
};

static lum_status collect_hits(void *context, uint32_t worker, const struct lum__chunk_page_ref *page,
                               const lum_t *rows)
{
    struct hits *hits = context;
    lum_status status = LUM_OK;
    (void)worker;
    for (uint32_t row = 0; row < page->entry.row_count; row++) {
        if (rows[row].id != hits->id) continue;
        pthread_mutex_lock(&hits->mutex);
        status = lum__grow((void **)&hits->items, &hits->capacity, hits->count + 1, sizeof *hits->items);
        if (status == LUM_OK)
            hits->items[hits->count++] = (struct hit){.record = rows[row],
                                                      .chunk_index = page->chunk_index,
                                                      .page_offset = page->rows != NULL ? 0 : page->entry.offset,
                                                      .position = page->position + row};
        pthread_mutex_unlock(&hits->mutex);
        LUM_TRY(status);
    }
    return LUM_OK;
}

static int compare_positions(const void *a, const void *b)
{
    uint64_t left = ((const struct hit *)a)->position, right = ((const struct hit *)b)->position;
    return (left > right) - (left < right);
}

/* Hits in order of position, so the chunks' first positions are found in one walk. */
static lum_status tell_hits(const struct hits *hits, const struct lum__catalogue_version *version,
                            lum_status (*each)(void *context, const lum_version_data *data), void *context)
{
    uint64_t first_position = 0;
    size_t chunk_index = 0;
    for (size_t i = 0; i < hits->count; i++) {
        const struct hit *hit = &hits->items[i];
        char path[LUM__PATH_BYTES_MAX];
        while (chunk_index < hit->chunk_index) first_position += version->chunks[chunk_index++].row_count;
        const struct lum__chunk_entry *chunk = &version->chunks[chunk_index];
        if (chunk->rows != NULL)
            lum__wal_path(chunk->segment, path);
        else
            lum__segment_path(chunk->segment, path);
        lum_version_data data = {.record = hit->record,
                                 .transaction_id = chunk->transaction_id,
                                 .commit_sequence = chunk->commit_sequence,
                                 .file = path,
                                 .chunk_offset = chunk->offset,
                                 .page_offset = chunk->offset + hit->page_offset,
                                 .row = hit->position - first_position,
                                 .position = hit->position};
        LUM_TRY(each(context, &data));
    }
    return LUM_OK;
}

lum_status lum_where(lum_store *store, uint64_t id, lum_status (*each)(void *context, const lum_version_data *version),
                     void *context)
{
    LUM_TRY(lum__store_check(store));
    if (each == NULL) return lum__fail(LUM_ERR_ARGUMENT, "lum_where needs a function to tell");
    struct hits hits = {.id = id};
    struct lum__range range = LUM__RANGE_ALL;
    range.id_min = range.id_max = id;
    if (pthread_mutex_init(&hits.mutex, NULL) != 0) return lum__fail(LUM_ERR_NO_MEMORY, "a mutex cannot be made");
    const struct lum__catalogue_version *version = lum__catalogue_pin(store->catalogue);
    lum_status status = scan_pages(store, version, &range, false, collect_hits, &hits);
    if (status == LUM_OK && hits.count == 0)
        status = lum__fail(LUM_ERR_NOT_FOUND, "there is no LUM with id %llu", (unsigned long long)id);
    if (status == LUM_OK) {
        qsort(hits.items, hits.count, sizeof *hits.items, compare_positions);
        status = tell_hits(&hits, version, each, context);
    }
    lum__catalogue_unpin(store->catalogue, version);
    pthread_mutex_destroy(&hits.mutex);
    free(hits.items);
    return status;
}

/* -----------------------------------------------------------------------------------------------------------------
 * columns */

static bool is_signed(int column) { return column == LUM_COLUMN_POSITION_X || column == LUM_COLUMN_POSITION_Y; }

/* Values in an order that is right for signed columns too. */
static uint64_t order_of(int column, uint64_t value) { return is_signed(column) ? value ^ 1ull << 63 : value; }

static void init_columns(lum_column_data out[LUM_COLUMN_COUNT])
{
    memset(out, 0, LUM_COLUMN_COUNT * sizeof *out);
    for (int column = 0; column < LUM_COLUMN_COUNT; column++) {
        out[column].name = lum__column_name((uint8_t)column);
        out[column].is_signed = is_signed(column);
        out[column].value_min = order_of(column, UINT64_MAX); /* order_of is its own inverse */
        out[column].value_max = order_of(column, 0);
        for (uint8_t encoding = 1; encoding <= LUM__ENCODING_LAST; encoding++)
            out[column].encodings[encoding].name = lum__encoding_name(encoding);
    }
}

static void add_values(lum_column_data *to, int column, uint64_t value_min, uint64_t value_max)
{
    if (order_of(column, value_min) < order_of(column, to->value_min)) to->value_min = value_min;
    if (order_of(column, value_max) > order_of(column, to->value_max)) to->value_max = value_max;
}

/* Rows in memory. */
static void add_rows(lum_column_data *columns, const lum_t *rows, uint32_t row_count)
{
    for (uint32_t row = 0; row < row_count; row++) {
        const uint64_t values[LUM_COLUMN_COUNT] = {
            [LUM_COLUMN_ID] = rows[row].id,
            [LUM_COLUMN_TIMESTAMP] = rows[row].timestamp,
            [LUM_COLUMN_MEMORY_ADDRESS] = rows[row].memory_address,
            [LUM_COLUMN_POSITION_X] = (uint64_t)(int64_t)rows[row].position_x,
            [LUM_COLUMN_POSITION_Y] = (uint64_t)(int64_t)rows[row].position_y,
            [LUM_COLUMN_PRESENCE] = rows[row].presence,
            [LUM_COLUMN_STRUCTURE_TYPE] = rows[row].structure_type,
            [LUM_COLUMN_IS_DESTROYED] = rows[row].is_destroyed,
        };
        for (int column = 0; column < LUM_COLUMN_COUNT; column++)
            add_values(&columns[column], column, values[column], values[column]);
    }
}

struct column_scan {
    const struct lum__catalogue_version *version;
    lum_column_data (*workers)[LUM_COLUMN_COUNT];
};

static lum_status add_page(void *context, uint32_t worker, const struct lum__chunk_page_ref *page, const lum_t *rows)
{
    struct column_scan *scan = context;
    lum_column_data *out = scan->workers[worker];
    struct lum__page_column columns[LUM__PAGE_COLUMNS];
    uint32_t count, condition = 0, at = 0;
    if (rows != NULL) {
        add_rows(out, rows, page->entry.row_count);
        return LUM_OK;
    }
    if (!lum__page_columns(page->bytes, page->entry.byte_count, columns, LUM__PAGE_COLUMNS, &count, &condition, &at)) {
        const struct lum__chunk_entry *chunk = &scan->version->chunks[page->chunk_index];
        char path[LUM__PATH_BYTES_MAX];
        lum__segment_path(chunk->segment, path);
        uint64_t offset = chunk->offset + page->entry.offset + at;
        if (lum__page_condition_is_unsupported(condition))
            return lum__unsupported(path, offset, condition, "a page is of a later version");
        return lum__corrupt(path, offset, condition, "a page's header is damaged");
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct lum__page_column *column = &columns[i];
        lum_column_data *to = &out[column->column];
        add_values(to, column->column, column->value_min, column->value_max);
        to->byte_count += column->byte_count;
        to->row_count += page->entry.row_count;
        to->encodings[column->encoding].page_count++;
        to->encodings[column->encoding].byte_count += column->byte_count;
    }
    return LUM_OK;
}

static void add_columns(lum_column_data *to, const lum_column_data *from)
{
    for (int column = 0; column < LUM_COLUMN_COUNT; column++) {
        add_values(&to[column], column, from[column].value_min, from[column].value_max);
        to[column].byte_count += from[column].byte_count;
        to[column].row_count += from[column].row_count;
        for (int encoding = 0; encoding < LUM_ENCODINGS_MAX; encoding++) {
            to[column].encodings[encoding].page_count += from[column].encodings[encoding].page_count;
            to[column].encodings[encoding].byte_count += from[column].encodings[encoding].byte_count;
        }
    }
}

lum_status lum_column_info(lum_store *store, lum_column_data out[LUM_COLUMN_COUNT])
{
    LUM_TRY(lum__store_check(store));
    if (out == NULL) return lum__fail(LUM_ERR_ARGUMENT, "lum_column_info needs a place for LUM_COLUMN_COUNT columns");
    init_columns(out);
    struct column_scan scan = {0};
    struct lum__range range = LUM__RANGE_ALL;
    uint32_t workers = store->options.threads;
    LUM_TRY(lum__alloc(workers * sizeof *scan.workers, (void **)&scan.workers));
    for (uint32_t worker = 0; worker < workers; worker++) init_columns(scan.workers[worker]);
    scan.version = lum__catalogue_pin(store->catalogue);
    lum_status status = scan_pages(store, scan.version, &range, true, add_page, &scan);
    lum__catalogue_unpin(store->catalogue, scan.version);
    for (uint32_t worker = 0; status == LUM_OK && worker < workers; worker++) add_columns(out, scan.workers[worker]);
    free(scan.workers);
    return status;
}
