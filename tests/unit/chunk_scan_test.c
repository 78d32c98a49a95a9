/* Proves that a scan gives every row once, at its place and bit-identical, for any workers and any memory; that it
 * reads only what a range needs and never leaves a row of it out; that every kind of damage is told with file, offset
 * and condition and never returned as rows, while the rest is still read; and that the cursor gives the same in order.
 */
#include "support/chunk_store.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "base/crc32c.h"
#include "base/status.h"
#include "storage/chunk_layout.h"
#include "storage/chunk_scan.h"

/* Three transactions; short pages, one chunk of 2 MiB and more that small memory reads in windows, two segments. */
static void fill(struct chunk_store *store)
{
    chunk_store_open(store, NULL, 4 << 20);
    chunk_store_add(store, 200000, 4096);
    chunk_store_add(store, 1, 4096);
    chunk_store_commit(store, "a");
    chunk_store_add(store, 40000, 4096);
    chunk_store_add(store, 256, 1);
    chunk_store_add(store, 9000, 4096);
    chunk_store_commit(store, "");
    for (int index = 0; index < 20; index++) chunk_store_add(store, 10000, 4000);
    chunk_store_add(store, 200000, 4096);
    chunk_store_commit(store, "c");
}

struct visit {
    const struct chunk_store *store;
    pthread_mutex_t mutex;
    uint8_t *seen; /* a byte a row */
    uint64_t row_count, mistakes, chunk_count;
    uint64_t damage_count, damaged_index;
    struct lum__error error;
    lum_status answer, damage_answer;
};

static lum_status visit_rows(void *context, uint32_t worker, size_t chunk_index, uint64_t position, const lum_t *rows,
                             uint32_t row_count)
{
    struct visit *visit = context;
    (void)worker;
    (void)chunk_index;
    (void)pthread_mutex_lock(&visit->mutex);
    visit->row_count += row_count;
    visit->chunk_count++;
    if (position + row_count > visit->store->row_count) {
        visit->mistakes++;
    } else {
        if (rows != NULL && memcmp(rows, visit->store->rows + position, row_count * sizeof *rows) != 0)
            visit->mistakes++;
        for (uint32_t row = 0; row < row_count; row++) visit->mistakes += visit->seen[position + row]++ != 0;
    }
    (void)pthread_mutex_unlock(&visit->mutex);
    return visit->answer;
}

static lum_status visit_damage(void *context, uint32_t worker, size_t chunk_index)
{
    struct visit *visit = context;
    (void)worker;
    (void)pthread_mutex_lock(&visit->mutex);
    visit->damage_count++;
    visit->damaged_index = chunk_index;
    visit->error = *lum__error_last();
    (void)pthread_mutex_unlock(&visit->mutex);
    return visit->damage_answer;
}

static void visit_init(struct visit *visit, const struct chunk_store *store)
{
    memset(visit, 0, sizeof *visit);
    visit->store = store;
    visit->seen = calloc(store->row_count, 1);
    assert_int_equal(pthread_mutex_init(&visit->mutex, NULL), 0);
}

static void visit_fini(struct visit *visit)
{
    free(visit->seen);
    (void)pthread_mutex_destroy(&visit->mutex);
}

static lum_status run_scan(const struct chunk_store *store, const struct lum__chunk_scan_options *options,
                           uint32_t workers, lum__chunk_damage damage, struct visit *visit,
                           struct lum__chunk_scan_counts *counts)
{
    struct lum__segment_files *files;
    const struct lum__catalogue_version *version = lum__catalogue_pin(store->catalogue);

    assert_int_equal(lum__segment_files_open(store->fs, chunk_store_id, true, &files), LUM_OK);
    lum_status status = lum__chunk_scan(store->fs, files, version->chunks, version->chunk_count, options, workers,
                                        visit_rows, damage, visit, counts);
    lum__segment_files_close(files);
    lum__catalogue_unpin(store->catalogue, version);
    return status;
}

/* Memory limits that give one window at a time, windows, and whole chunks. */
static const uint64_t memories[] = {1, 2 << 20, 6 << 20, 0};

static void test_every_row_once(void **state)
{
    (void)state;
    struct chunk_store store;

    fill(&store);
    for (uint32_t workers = 1; workers <= 5; workers += 2) {
        for (size_t memory = 0; memory < sizeof memories / sizeof *memories; memory++) {
            for (int everything = 0; everything < 2; everything++) {
                struct visit visit;
                struct lum__chunk_scan_counts counts;
                struct lum__chunk_scan_options options = {.range = LUM__RANGE_ALL,
                                                          .store_id = chunk_store_id,
                                                          .check_everything = everything,
                                                          .memory_bytes_max = memories[memory]};

                lum__sim_set_reorder_queue(store.sim, memory % 2 == 1);
                visit_init(&visit, &store);
                assert_int_equal(run_scan(&store, &options, workers, NULL, &visit, &counts), LUM_OK);
                assert_int_equal(visit.mistakes, 0);
                assert_int_equal(visit.row_count, store.row_count);
                if (everything) assert_int_equal(visit.chunk_count, 26);
                assert_int_equal(counts.rows_read, store.row_count);
                assert_int_equal(counts.chunks_read, counts.chunks_total);
                assert_int_equal(counts.pages_read, counts.pages_total);
                assert_int_equal(counts.chunks_total, 26);
                visit_fini(&visit);
            }
        }
    }
    chunk_store_close(&store);
}

static bool is_in(const struct lum__range *range, const lum_t *row)
{
    return row->id >= range->id_min && row->id <= range->id_max && row->timestamp >= range->timestamp_min &&
           row->timestamp <= range->timestamp_max && row->position_x >= range->x_min &&
           row->position_x <= range->x_max && row->position_y >= range->y_min && row->position_y <= range->y_max;
}

static void test_ranges(void **state)
{
    (void)state;
    struct chunk_store store;
    struct lum__range ranges[6] = {LUM__RANGE_ALL, LUM__RANGE_ALL, LUM__RANGE_ALL,
                                   LUM__RANGE_ALL, LUM__RANGE_ALL, LUM__RANGE_ALL};

    fill(&store);
    ranges[0].id_min = ranges[0].id_max = 123456; /* a page in the middle of the first chunk */
    ranges[1].id_min = 100000, ranges[1].id_max = 100001;
    ranges[1].timestamp_max = store.rows[150000].timestamp;
    ranges[2].timestamp_min = store.rows[store.row_count - 5000].timestamp;
    ranges[3].id_min = 1, ranges[3].id_max = store.row_count - 2; /* all but the two ends */
    ranges[4].x_min = ranges[4].x_max = 77;                       /* no help from the order */
    ranges[5].id_min = store.row_count;                           /* nothing */
    for (size_t index = 0; index < 6; index++) {
        for (size_t memory = 0; memory < sizeof memories / sizeof *memories; memory++) {
            struct visit visit;
            struct lum__chunk_scan_counts counts;
            struct lum__chunk_scan_options options = {
                .range = ranges[index], .store_id = chunk_store_id, .memory_bytes_max = memories[memory]};

            visit_init(&visit, &store);
            assert_int_equal(run_scan(&store, &options, 2, NULL, &visit, &counts), LUM_OK);
            assert_int_equal(visit.mistakes, 0);
            for (uint64_t row = 0; row < store.row_count; row++) {
                if (is_in(&ranges[index], &store.rows[row])) assert_int_equal(visit.seen[row], 1);
            }
            assert_int_equal(counts.rows_read, visit.row_count);
            if (index < 2) { /* a directory and a page or two of 2 MiB */
                assert_int_equal(counts.chunks_read, 1);
                assert_in_range(counts.rows_read, 1, 2 * 4096);
                assert_in_range(counts.bytes_read, 1, 200 * 1024);
            }
            if (index == 5) assert_int_equal(counts.bytes_read, 0);
            visit_fini(&visit);
        }
    }
    chunk_store_close(&store);
}

static void test_cursor(void **state)
{
    (void)state;
    struct chunk_store store;

    fill(&store);
    const struct lum__catalogue_version *version = lum__catalogue_pin(store.catalogue);
    for (size_t memory = 0; memory < sizeof memories / sizeof *memories; memory++) {
        struct lum__segment_files *files;
        struct lum__chunk_cursor *cursor;
        struct lum__chunk_scan_counts counts;
        struct lum__chunk_scan_options options = {
            .range = LUM__RANGE_ALL, .store_id = chunk_store_id, .memory_bytes_max = memories[memory]};
        uint64_t position = 0;
        lum_status status = LUM_OK;

        assert_int_equal(lum__segment_files_open(store.fs, chunk_store_id, true, &files), LUM_OK);
        assert_int_equal(
            lum__chunk_cursor_open(store.fs, files, version->chunks, version->chunk_count, &options, &cursor), LUM_OK);
        for (int turn = 0; status == LUM_OK; turn++) {
            uint32_t row_count;
            if (turn % 2 == 0) {
                const lum_t *rows;
                status = lum__chunk_cursor_next(cursor, &rows, &row_count);
                if (status == LUM_OK) assert_memory_equal(rows, store.rows + position, row_count * sizeof *rows);
            } else {
                lum_columns columns;
                status = lum__chunk_cursor_next_columns(cursor, &columns, &row_count);
                for (uint32_t row = 0; status == LUM_OK && row < row_count; row++) {
                    assert_int_equal(columns.id[row], store.rows[position + row].id);
                    assert_int_equal(columns.position_y[row], store.rows[position + row].position_y);
                    assert_int_equal(columns.checksum[row], store.rows[position + row].checksum);
                }
            }
            position += row_count;
        }
        assert_int_equal(status, LUM_END);
        assert_int_equal(position, store.row_count);
        lum__chunk_cursor_counts(cursor, &counts);
        assert_int_equal(counts.rows_read, store.row_count);
        lum__chunk_cursor_close(cursor);
        lum__segment_files_close(files);
    }
    lum__catalogue_unpin(store.catalogue, version);
    chunk_store_close(&store);
}

/* Which kind of damage, at which byte of chunk 5, must be told as which condition; everything: only a full check sees
 * it. */
static const struct {
    int64_t at; /* below 0: from the chunk's end */
    uint32_t condition;
    bool everything;
} damages[] = {{0, 1, false}, {200, 1, false}, {300, 6, false}, {700, 7, false}, {-4097, 7, false}, {-1, 9, true}};

static void test_damage(void **state)
{
    (void)state;
    struct chunk_store store;
    enum { DAMAGED = 5, ROWS_BEFORE = 249257 };

    fill(&store);
    const struct lum__catalogue_version *version = lum__catalogue_pin(store.catalogue);
    struct lum__chunk_entry entry = version->chunks[DAMAGED];
    char path[64];
    lum__segment_path(entry.segment, path);
    for (size_t index = 0; index < sizeof damages / sizeof *damages; index++) {
        for (int everything = damages[index].everything; everything < 2; everything++) {
            uint64_t at = entry.offset + (damages[index].at < 0 ? entry.byte_count : 0) + (uint64_t)damages[index].at;
            struct visit visit;
            struct lum__chunk_scan_counts counts;
            struct lum__chunk_scan_options options = {.range = LUM__RANGE_ALL,
                                                      .store_id = chunk_store_id,
                                                      .check_everything = everything,
                                                      .memory_bytes_max = memories[index % 4]};

            assert_int_equal(lum__sim_flip_bit(store.sim, path, at * 8), LUM_OK);
            visit_init(&visit, &store);
            assert_int_equal(run_scan(&store, &options, 2, visit_damage, &visit, &counts), LUM_OK);
            assert_int_equal(visit.mistakes, 0);
            assert_int_equal(visit.damage_count, 1);
            assert_int_equal(visit.damaged_index, DAMAGED);
            assert_int_equal(visit.error.status, LUM_ERR_CORRUPT);
            assert_int_equal(visit.error.condition, damages[index].condition);
            assert_string_equal(visit.error.file, path);
            assert_in_range(visit.error.offset, entry.offset, entry.offset + entry.byte_count);
            for (uint64_t row = 0; row < store.row_count; row++) { /* every other chunk is whole */
                bool is_damaged = row >= ROWS_BEFORE && row < ROWS_BEFORE + entry.row_count;
                if (!is_damaged) assert_int_equal(visit.seen[row], 1);
            }
            visit_fini(&visit);

            visit_init(&visit, &store); /* nobody to ask, or an answer that ends it */
            assert_int_equal(run_scan(&store, &options, 2, NULL, &visit, NULL), LUM_ERR_CORRUPT);
            assert_int_equal(lum__error_last()->condition, damages[index].condition);
            visit.damage_answer = LUM_ERR_CANCELLED;
            memset(visit.seen, 0, store.row_count);
            assert_int_equal(run_scan(&store, &options, 2, visit_damage, &visit, NULL), LUM_ERR_CANCELLED);
            assert_int_equal(visit.mistakes, 0);
            visit_fini(&visit);
            assert_int_equal(lum__sim_flip_bit(store.sim, path, at * 8), LUM_OK);
        }
    }
    lum__catalogue_unpin(store.catalogue, version);
    chunk_store_close(&store);
}

static void test_unreadable_and_cut_short(void **state)
{
    (void)state;
    struct chunk_store store;
    struct visit visit;
    struct lum__chunk_scan_options options = {.range = LUM__RANGE_ALL, .store_id = chunk_store_id};
    struct lum__chunk_scan_counts counts;

    fill(&store);
    struct lum__sim_fault fault = {.call = LUM__SIM_COMPLETION_READ, .nth = 3, .os_errno = EIO, .path_prefix = "data/"};
    lum__sim_arm(store.sim, &fault);
    visit_init(&visit, &store);
    uint32_t workers = 26; /* as many as chunks: each is read by itself */
    assert_int_equal(run_scan(&store, &options, workers, visit_damage, &visit, &counts), LUM_OK);
    assert_int_equal(visit.mistakes, 0);
    assert_int_equal(visit.damage_count, 1);
    assert_int_equal(visit.error.status, LUM_ERR_IO);
    assert_int_equal(visit.error.os_errno, EIO);
    assert_memory_equal(visit.error.file, "data/", 5);
    assert_true(visit.error.offset >= 4096 && visit.error.offset != LUM_NO_OFFSET);
    visit_fini(&visit);
    lum__sim_disarm(store.sim);

    fault =
        (struct lum__sim_fault){.call = LUM__SIM_SHORT, .nth = 2, .is_lasting = true}; /* short reads are no damage */
    lum__sim_arm(store.sim, &fault);
    visit_init(&visit, &store);
    assert_int_equal(run_scan(&store, &options, 2, visit_damage, &visit, &counts), LUM_OK);
    assert_int_equal(visit.mistakes + visit.damage_count, 0);
    assert_int_equal(visit.row_count, store.row_count);
    visit_fini(&visit);
    lum__sim_disarm(store.sim);

    const struct lum__catalogue_version *version =
        lum__catalogue_pin(store.catalogue); /* the last segment loses its end */
    const struct lum__chunk_entry *last = &version->chunks[version->chunk_count - 1];
    char path[64];
    struct lum__file *file;
    lum__segment_path(last->segment, path);
    assert_int_equal(lum__fs_open_file(store.fs, path, LUM__OPEN_WRITE, &file), LUM_OK);
    assert_int_equal(lum__file_truncate(file, last->offset + last->byte_count - 4096), LUM_OK);
    assert_int_equal(lum__file_close(file), LUM_OK);
    visit_init(&visit, &store);
    assert_int_equal(run_scan(&store, &options, 2, visit_damage, &visit, &counts), LUM_OK);
    assert_int_equal(visit.damage_count, 1);
    assert_int_equal(visit.damaged_index, version->chunk_count - 1);
    assert_int_equal(visit.error.status, LUM_ERR_CORRUPT);
    assert_int_equal(visit.error.condition, 1);
    visit_fini(&visit);

    assert_int_equal(lum__fs_unlink(store.fs, path), LUM_OK); /* and then it is gone */
    visit_init(&visit, &store);
    assert_int_equal(run_scan(&store, &options, 3, visit_damage, &visit, &counts), LUM_OK);
    uint64_t in_segment = 0;
    for (size_t index = 0; index < version->chunk_count; index++)
        in_segment += version->chunks[index].segment == last->segment;
    assert_int_equal(visit.damage_count, in_segment);
    assert_int_equal(visit.error.status, LUM_ERR_CORRUPT);
    assert_string_equal(visit.error.file, path);
    assert_int_equal(visit.mistakes, 0);
    visit_fini(&visit);
    lum__catalogue_unpin(store.catalogue, version);
    chunk_store_close(&store);
}

/* Small chunks side by side are read together. Where that fails, each is read by itself, and only what cannot be read then
 * is damaged. */
static void test_run_is_read_again(void **state)
{
    (void)state;
    struct chunk_store store;
    struct visit visit;
    struct lum__chunk_scan_options options = {.range = LUM__RANGE_ALL, .store_id = chunk_store_id};
    struct lum__sim_fault together = {
        .call = LUM__SIM_COMPLETION_READ, .nth = 1, .os_errno = EIO, .path_prefix = "data/", .is_lasting = true};

    fill(&store);
    const struct lum__catalogue_version *version = lum__catalogue_pin(store.catalogue);
    lum__sim_arm(store.sim, &together);
    uint64_t reads = lum__sim_call_count(store.sim, LUM__SIM_READ);
    visit_init(&visit, &store);
    assert_int_equal(run_scan(&store, &options, 1, visit_damage, &visit, NULL), LUM_OK);
    uint64_t damage_count = visit.damage_count, row_count = visit.row_count;
    reads = lum__sim_call_count(store.sim, LUM__SIM_READ) - reads;
    assert_in_range(damage_count, 1, 10); /* the large ones */
    assert_true(row_count >= 10 * 10000);
    visit_fini(&visit);
    lum__sim_disarm(store.sim);

    struct lum__sim_fault alone = {.call = LUM__SIM_READ, .nth = reads, .os_errno = EIO, .path_prefix = "data/"};
    lum__sim_arm(store.sim, &together);
    lum__sim_arm(store.sim, &alone); /* the last of those that are read again */
    visit_init(&visit, &store);
    assert_int_equal(run_scan(&store, &options, 1, visit_damage, &visit, NULL), LUM_OK);
    assert_int_equal(visit.mistakes, 0);
    assert_int_equal(visit.damage_count, damage_count + 1);
    assert_int_equal(visit.row_count, row_count - 10000);
    visit_fini(&visit);
    lum__sim_disarm(store.sim);

    struct lum__file *file; /* a run that the end of the file cuts off */
    char path[64];
    const struct lum__chunk_entry *cut = &version->chunks[version->chunk_count - 2];
    lum__segment_path(cut->segment, path);
    assert_int_equal(lum__fs_open_file(store.fs, path, LUM__OPEN_WRITE, &file), LUM_OK);
    assert_int_equal(lum__file_truncate(file, cut->offset + 4096), LUM_OK);
    assert_int_equal(lum__file_close(file), LUM_OK);
    visit_init(&visit, &store);
    assert_int_equal(run_scan(&store, &options, 1, visit_damage, &visit, NULL), LUM_OK);
    uint64_t behind = 0, rows_behind = 0;
    for (size_t index = 0; index < version->chunk_count; index++) {
        const struct lum__chunk_entry *entry = &version->chunks[index];
        if (entry->segment != cut->segment || entry->offset < cut->offset) continue;
        behind++;
        rows_behind += entry->row_count;
    }
    assert_int_equal(visit.mistakes, 0);
    assert_int_equal(visit.damage_count, behind);
    assert_int_equal(visit.row_count, store.row_count - rows_behind);
    assert_int_equal(visit.error.status, LUM_ERR_CORRUPT);
    visit_fini(&visit);
    lum__catalogue_unpin(store.catalogue, version);
    chunk_store_close(&store);
}

static void test_visitor_ends_it(void **state)
{
    (void)state;
    struct chunk_store store;
    struct visit visit;
    struct lum__chunk_scan_options options = {.range = LUM__RANGE_ALL, .store_id = chunk_store_id};

    fill(&store);
    visit_init(&visit, &store);
    visit.answer = LUM_ERR_CANCELLED;
    assert_int_equal(run_scan(&store, &options, 4, NULL, &visit, NULL), LUM_ERR_CANCELLED);
    assert_in_range(visit.chunk_count, 1, 4);
    assert_int_equal(visit.mistakes, 0);
    visit_fini(&visit);
    chunk_store_close(&store);
}

static void test_cursor_goes_on_behind_damage(void **state)
{
    (void)state;
    struct chunk_store store;
    struct lum__segment_files *files;
    struct lum__chunk_cursor *cursor;
    struct lum__chunk_scan_options options = {.range = LUM__RANGE_ALL, .store_id = chunk_store_id};
    struct lum__page_entry page;
    uint64_t row_total = 0;
    int failures = 0;

    fill(&store);
    const struct lum__catalogue_version *version = lum__catalogue_pin(store.catalogue);
    const struct lum__chunk_entry *entry = &version->chunks[2]; /* 40,000 rows in 10 pages */
    char path[64];
    uint8_t *bytes = malloc(entry->byte_count);
    struct lum__file *file;
    size_t bytes_read;
    lum__segment_path(entry->segment, path);
    assert_int_equal(lum__fs_open_file(store.fs, path, LUM__OPEN_READ, &file), LUM_OK);
    assert_int_equal(lum__file_read(file, bytes, entry->byte_count, entry->offset, &bytes_read), LUM_OK);
    assert_int_equal(lum__file_close(file), LUM_OK);
    lum__chunk_page(bytes, 4, &page);
    assert_int_equal(lum__sim_flip_bit(store.sim, path, (entry->offset + page.offset + 100) * 8),
                     LUM_OK); /* one page */
    assert_int_equal(lum__sim_flip_bit(store.sim, path, (version->chunks[4].offset + 300) * 8),
                     LUM_OK); /* one directory */

    assert_int_equal(lum__segment_files_open(store.fs, chunk_store_id, true, &files), LUM_OK);
    assert_int_equal(lum__chunk_cursor_open(store.fs, files, version->chunks, version->chunk_count, &options, &cursor),
                     LUM_OK);
    for (;;) {
        const lum_t *rows;
        uint32_t row_count;
        lum_status status = lum__chunk_cursor_next(cursor, &rows, &row_count);
        if (status == LUM_END) break;
        if (status == LUM_OK) {
            assert_memory_equal(rows, store.rows + rows[0].id, row_count * sizeof *rows); /* ids are row numbers here */
            row_total += row_count;
        } else {
            assert_int_equal(status, LUM_ERR_CORRUPT);
            failures++;
        }
    }
    assert_int_equal(failures, 2);
    assert_int_equal(row_total, store.row_count - page.row_count - version->chunks[4].row_count);
    free(bytes);
    lum__chunk_cursor_close(cursor);
    lum__segment_files_close(files);
    lum__catalogue_unpin(store.catalogue, version);
    chunk_store_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_once),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_cursor),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_unreadable_and_cut_short),
        cmocka_unit_test(test_run_is_read_again),
        cmocka_unit_test(test_visitor_ends_it),
        cmocka_unit_test(test_cursor_goes_on_behind_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
