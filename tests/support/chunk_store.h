/* tests/support/chunk_store.h - data segments with chunks of known rows on a disk in memory (or any file table), for
 * tests of what lies below the log: no log, no STATE, only data/ and a catalogue. */
#ifndef LUM_TESTS_CHUNK_STORE_H
#define LUM_TESTS_CHUNK_STORE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "storage/catalogue.h"
#include "storage/file_sim.h"
#include "storage/record.h"
#include "storage/segment.h"
#include "support/page_rows.h"

static const uint8_t chunk_store_id[16] = {0xc0, 0xff, 0xee, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13};

struct chunk_store {
    struct lum__sim *sim; /* NULL: fs is of another kind */
    struct lum__fs *fs;
    struct lum__catalogue *catalogue;
    struct lum__segments *segments;
    struct lum__page_scratch *scratch;
    lum_t *rows; /* all rows committed, in scan order, checksums filled in */
    uint64_t row_count, row_capacity;
    uint64_t sequence, transaction_id;
    struct lum__transaction transaction; /* being made */
    struct lum__chunk_entry chunks[64];
    size_t chunk_count;
};

static inline void chunk_store_open(struct chunk_store *store, struct lum__fs *fs, uint64_t segment_bytes_max)
{
    memset(store, 0, sizeof *store);
    if (fs == NULL) {
        store->sim = lum__sim_create(1);
        assert_int_equal(lum__sim_open(store->sim, false, &fs), LUM_OK);
    }
    store->fs = fs;
    assert_int_equal(lum__fs_mkdir(fs, "data"), LUM_OK);
    assert_int_equal(lum__fs_sync_dir(fs, ""), LUM_OK);
    assert_int_equal(lum__catalogue_create(&store->catalogue), LUM_OK);
    const struct lum__catalogue_version *version = lum__catalogue_pin(store->catalogue);
    assert_int_equal(lum__segments_open(fs, chunk_store_id, 1, segment_bytes_max, version, 1, &store->segments),
                     LUM_OK);
    lum__catalogue_unpin(store->catalogue, version);
    store->scratch = aligned_alloc(64, lum__round_up(lum__page_scratch_bytes(), 64));
}

static inline void chunk_store_close(struct chunk_store *store)
{
    assert_int_equal(lum__segments_close(store->segments), LUM_OK);
    lum__catalogue_destroy(store->catalogue);
    lum__fs_close(store->fs);
    if (store->sim != NULL) lum__sim_destroy(store->sim);
    free(store->scratch);
    free(store->rows);
}

/* Builds, reserves, writes: a chunk of row_count rows that follow those before it, in pages of page_lums; then its
 * entry waits in store->chunks. */
static inline void chunk_store_add(struct chunk_store *store, uint32_t row_count, uint32_t page_lums)
{
    struct lum__chunk_builder builder;
    struct lum__page_summary summary;
    uint32_t page_count = (row_count + page_lums - 1) / page_lums;
    uint32_t room = page_count * LUM__PAGE_ROWS_MAX;
    uint8_t *buffer = aligned_alloc(4096, lum__chunk_bytes_max(room));
    uint64_t segment, offset;
    struct lum__file *file;

    if (store->row_count + row_count > store->row_capacity) {
        store->row_capacity = 2 * (store->row_count + row_count);
        store->rows = realloc(store->rows, store->row_capacity * sizeof *store->rows);
    }
    lum_t *rows = store->rows + store->row_count;
    page_rows_random(rows, store->row_count, row_count);
    for (uint32_t row = 0; row < row_count; row++) rows[row].checksum = lum__record_checksum(&rows[row]);

    lum__chunk_begin(&builder, buffer, room, store->scratch);
    for (uint32_t first = 0; first < row_count; first += page_lums) {
        uint32_t count = row_count - first < page_lums ? row_count - first : page_lums;
        assert_int_equal(lum__chunk_add_rows(&builder, rows + first, count, true, &summary), LUM_OK);
    }
    assert_int_equal(
        lum__segments_reserve(store->segments, lum__chunk_sealed_bytes(&builder), &segment, &offset, &file), LUM_OK);
    if (store->chunk_count == 0)
        store->transaction = (struct lum__transaction){.transaction_id = ++store->transaction_id, .label = ""};
    struct lum__chunk_entry *entry = &store->chunks[store->chunk_count];
    lum__chunk_seal(&builder, chunk_store_id, segment, offset, store->transaction_id, store->chunk_count, entry);
    assert_int_equal(lum__file_write(file, buffer, entry->byte_count, offset), LUM_OK);
    store->row_count += row_count;
    store->chunk_count++;
    free(buffer);
}

/* Commits the chunks added since the last commit. */
static inline void chunk_store_commit(struct chunk_store *store, const char *label)
{
    store->transaction.commit_sequence = store->sequence += 3;
    store->transaction.commit_timestamp = 1700000000000000000u + store->sequence;
    store->transaction.chunk_count = store->chunk_count;
    store->transaction.lum_count = 0;
    store->transaction.digest = lum__catalogue_digest(0, store->chunks, store->chunk_count);
    for (size_t index = 0; index < store->chunk_count; index++)
        store->transaction.lum_count += store->chunks[index].row_count;
    store->transaction.data_synced = true;
    store->transaction.label = label;
    assert_int_equal(lum__catalogue_commit(store->catalogue, &store->transaction, store->chunks, store->chunk_count),
                     LUM_OK);
    store->chunk_count = 0;
}

#endif
