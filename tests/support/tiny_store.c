#include "support/tiny_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/random.h"
#include "base/status.h"
#include "storage/chunk_scan.h"
#include "storage/record.h"
#include "storage/row_table.h"
#include "storage/segment.h"

void tiny_row(uint64_t number, uint64_t row, lum_t *out)
{
    uint64_t seed = number * 1000003 + row, device_seed = number * 1000003 + row % 64;
    uint64_t noise = lum__splitmix64(&seed), device_noise = lum__splitmix64(&device_seed);
    memset(out, 0, sizeof *out);
    out->id = number * 1000000 + (number % 4 == 1 ? row * 37 + noise % 3 : row); /* delta; stride */
    if (number % 3 == 2) out->id = number * 1000000 + row % 64; /* 64 devices take turns: what the encoder looks for */
    out->timestamp = 1700000000000000000u; /* constant; stride; delta against 64 rows back, with a head */
    if (number % 3 == 1) out->timestamp += row * 1000;
    if (number % 3 == 2) out->timestamp += row % 64 * 1000000 + device_noise % 1000 + row / 64 * 7 + noise % 4;
    out->memory_address = number % 2 == 0 ? 0x7f0000000000u + row * 40 : lum__splitmix64(&seed); /* stride; plain */
    out->position_x = (int32_t)(lum__splitmix64(&seed) % 2001) - 1000; /* frame of reference */
    out->position_y = (int32_t)row - 500;
    out->presence = row % 7 != 0;
    out->structure_type = (uint8_t)(lum__splitmix64(&seed) % (LUM_STRUCTURE_TYPE_MAX + 1));
    out->is_destroyed = number % 5 == 0 && row % 11 == 0;
    out->checksum = lum__record_checksum(out);
}

uint32_t tiny_digest(const struct tiny_load *load)
{
    uint32_t digest = 0;
    for (uint64_t row = 0; row < (uint64_t)load->chunk_count * load->chunk_rows; row++) {
        lum_t lum;
        uint8_t bytes[4];
        tiny_row(load->number, row, &lum);
        lum__put_u32(bytes, lum.checksum);
        digest = lum__crc32c(digest, bytes, sizeof bytes);
    }
    return digest;
}

/* None; items; items and a resume point; a resume point alone. */
void tiny_metadata(uint64_t number, struct lum__metadata *out)
{
    static const uint8_t items[] = "\x01\0\0\0\x04\0\0\0id=a\x02\0\0\0\x05\0\0\0a.csv";
    static const uint8_t resume[] = "resume at 1234567";
    *out = (struct lum__metadata){0};
    if (number % 4 == 1 || number % 4 == 2) {
        out->items = items;
        out->item_bytes = sizeof items - 1;
    }
    if (number % 4 >= 2) {
        out->resume = resume;
        out->resume_bytes = 10 + number % 7;
    }
}

/* ------------------------------------------------------------------------------------------------------ open and close
 */

static void forget_open(struct tiny *tiny)
{
    for (size_t i = 0; i < tiny->open_count; i++) free(tiny->open[i].chunks);
    tiny->open_count = 0;
    tiny->dirty_count = 0;
}

static void release(struct tiny *tiny)
{
    struct lum__error cause = *lum__error_last();
    forget_open(tiny);
    (void)lum__file_close(tiny->lock);
    tiny->lock = NULL;
    lum__error_restore(&cause);
}

static lum_status open_parts(struct tiny *tiny)
{
    lum_status status = lum__parts_open(tiny->fs, &tiny->options, 1, 16 << 20, &tiny->parts);
    if (status != LUM_OK) release(tiny);
    tiny->next_transaction = tiny->parts.epoch << 40;
    return status;
}

lum_status tiny_create(struct tiny *tiny, struct lum__fs *fs, const lum_options *options)
{
    *tiny = (struct tiny){.fs = fs, .options = *options};
    LUM_TRY(lum__store_create(fs, options, &tiny->lock));
    return open_parts(tiny);
}

lum_status tiny_open(struct tiny *tiny, struct lum__fs *fs, const lum_options *options)
{
    *tiny = (struct tiny){.fs = fs, .options = *options};
    LUM_TRY(lum__store_lock(fs, &tiny->lock));
    return open_parts(tiny);
}

lum_status tiny_close(struct tiny *tiny)
{
    lum_status status = lum__parts_close_clean(&tiny->parts, tiny->lock);
    release(tiny);
    return status;
}

void tiny_abandon(struct tiny *tiny)
{
    lum__parts_abandon(&tiny->parts);
    release(tiny);
}

/* ---------------------------------------------------------------------------------------------------------------- data
 */

static lum_status write_chunk(struct tiny *tiny, const struct tiny_load *load, uint32_t index, uint64_t transaction_id,
                              struct lum__chunk_entry *out)
{
    size_t buffer_bytes = (lum__chunk_bytes_max(load->chunk_rows) + 4095) / 4096 * 4096;
    uint8_t *buffer = aligned_alloc(4096, buffer_bytes);
    void *scratch = aligned_alloc(64, (lum__page_scratch_bytes() + 63) / 64 * 64);
    lum_t *rows = malloc(LUM__PAGE_ROWS_MAX * sizeof *rows);
    struct lum__chunk_builder builder;
    struct lum__file *file = NULL;
    uint64_t segment = 0, offset = 0;
    lum_status status = LUM_OK;
    LUM_ASSERT(buffer != NULL && scratch != NULL && rows != NULL);
    lum__chunk_begin(&builder, buffer, load->chunk_rows, scratch);
    for (uint32_t done = 0; done < load->chunk_rows;) {
        struct lum__page_summary summary;
        uint32_t count = load->chunk_rows - done < LUM__PAGE_ROWS_MAX ? load->chunk_rows - done : LUM__PAGE_ROWS_MAX;
        for (uint32_t i = 0; i < count; i++)
            tiny_row(load->number, (uint64_t)index * load->chunk_rows + done + i, &rows[i]);
        LUM_TRY_OUT(lum__chunk_add_rows(&builder, rows, count, true, &summary));
        done += count;
    }
    uint32_t bytes = lum__chunk_sealed_bytes(&builder);
    LUM_TRY_OUT(lum__segments_reserve(tiny->parts.segments, bytes, &segment, &offset, &file));
    lum__chunk_seal(&builder, tiny->parts.store_id, segment, offset, transaction_id, index * 10, out);
    LUM_TRY_OUT(lum__file_write(file, buffer, bytes, offset));
    bool is_known = false;
    for (size_t i = 0; i < tiny->dirty_count; i++) is_known = is_known || tiny->dirty[i] == segment;
    if (!is_known) {
        LUM_ASSERT(tiny->dirty_count < TINY_DIRTY_MAX);
        tiny->dirty[tiny->dirty_count++] = segment;
    }
out:
    free(buffer);
    free(scratch);
    free(rows);
    return status;
}

static lum_status sync_data(struct tiny *tiny)
{
    for (size_t i = 0; i < tiny->dirty_count; i++) LUM_TRY(lum__segments_sync(tiny->parts.segments, tiny->dirty[i]));
    tiny->dirty_count = 0;
    return LUM_OK;
}

/* ----------------------------------------------------------------------------------------------------------------- log
 */

/* Room for a small batch. A rotation raises the watermark, and the watermark vouches for data: so that is synced first.
 */
static lum_status reserve(struct tiny *tiny)
{
    struct lum__log_position before;
    lum__wal_position(tiny->parts.writer, &before);
    if (before.offset + 3 * 4096 > tiny->parts.wal_segment_bytes) LUM_TRY(sync_data(tiny));
    return lum__wal_reserve(tiny->parts.writer, 4096);
}

static void append(struct tiny *tiny, struct lum__wal_record *record)
{
    bool is_appended = lum__wal_append(tiny->parts.writer, record);
    LUM_ASSERT(is_appended);
}

static lum_status log_chunks(struct tiny *tiny, const struct tiny_load *load, uint64_t transaction_id,
                             struct lum__chunk_entry *chunks)
{
    struct lum__wal_record begin = {.type = LUM__WAL_BEGIN, .transaction_id = transaction_id};
    for (uint32_t i = 0; i < load->chunk_count; i++) LUM_TRY(write_chunk(tiny, load, i, transaction_id, &chunks[i]));
    if (load->data_synced) LUM_TRY(sync_data(tiny));
    LUM_TRY(reserve(tiny));
    append(tiny, &begin);
    for (uint32_t i = 0; i < load->chunk_count; i++) {
        struct lum__wal_record record = {
            .type = LUM__WAL_CHUNK, .transaction_id = transaction_id, .count = chunks[i].row_count, .chunk = chunks[i]};
        append(tiny, &record);
    }
    return LUM_OK;
}

lum_status tiny_commit(struct tiny *tiny, const struct tiny_load *load, bool *written)
{
    struct lum__chunk_entry chunks[TINY_CHUNKS_MAX];
    uint64_t transaction_id = ++tiny->next_transaction;
    struct lum__wal_record record = {.type = LUM__WAL_COMMIT, .transaction_id = transaction_id};
    *written = false;
    LUM_TRY(log_chunks(tiny, load, transaction_id, chunks));
    record.count = (uint64_t)load->chunk_count * load->chunk_rows;
    record.commit.chunk_count = load->chunk_count;
    record.commit.lum_count = record.count;
    record.commit.digest = lum__catalogue_digest(0, chunks, load->chunk_count);
    record.commit.data_synced = load->data_synced;
    record.commit.label_bytes =
        (uint8_t)snprintf(record.commit.label, sizeof record.commit.label, "t%llu", (unsigned long long)load->number);
    tiny_metadata(load->number, &record.commit.metadata);
    append(tiny, &record);
    LUM_TRY(lum__wal_write(tiny->parts.writer));
    *written = true;
    if (load->data_synced) LUM_TRY(lum__wal_sync(tiny->parts.writer));
    struct lum__transaction transaction = {.transaction_id = transaction_id,
                                           .commit_sequence = record.sequence,
                                           .commit_timestamp = record.timestamp,
                                           .lum_count = record.commit.lum_count,
                                           .chunk_count = load->chunk_count,
                                           .digest = record.commit.digest,
                                           .data_synced = load->data_synced,
                                           .label = record.commit.label,
                                           .metadata = record.commit.metadata};
    return lum__catalogue_commit(tiny->parts.catalogue, &transaction, chunks, load->chunk_count);
}

lum_status tiny_commit_small(struct tiny *tiny, const struct tiny_load *load, bool *written)
{
    uint32_t row_count = load->chunk_count * load->chunk_rows;
    uint64_t transaction_id = ++tiny->next_transaction;
    struct lum__wal_record pages = {.type = LUM__WAL_PAGES, .transaction_id = transaction_id, .count = row_count};
    struct lum__wal_record record = {.type = LUM__WAL_COMMIT, .transaction_id = transaction_id, .count = row_count};
    lum_t *rows = malloc(row_count * sizeof *rows);
    LUM_ASSERT(rows != NULL);
    for (uint32_t i = 0; i < row_count; i++) tiny_row(load->number, i, &rows[i]);
    pages.pages.rows = rows;
    pages.pages.row_count = row_count;
    pages.pages.digest = record.commit.digest = lum__rows_digest(0, rows, row_count);
    record.commit.lum_count = row_count;
    tiny_metadata(load->number, &record.commit.metadata);
    record.commit.label_bytes =
        (uint8_t)snprintf(record.commit.label, sizeof record.commit.label, "t%llu", (unsigned long long)load->number);
    *written = false;
    lum_status status = LUM_OK;
    LUM_TRY_OUT(lum__wal_reserve(tiny->parts.writer, lum__wal_record_bytes(&pages) + lum__wal_record_bytes(&record)));
    append(tiny, &pages);
    append(tiny, &record);
    LUM_TRY_OUT(lum__wal_write(tiny->parts.writer));
    *written = true;
    if (load->data_synced) LUM_TRY_OUT(lum__wal_sync(tiny->parts.writer));
    struct lum__transaction transaction = {.transaction_id = transaction_id,
                                           .commit_sequence = record.sequence,
                                           .commit_timestamp = record.timestamp,
                                           .lum_count = row_count,
                                           .digest = record.commit.digest,
                                           .label = record.commit.label,
                                           .metadata = record.commit.metadata};
    status = lum__catalogue_commit_rows(tiny->parts.catalogue, &transaction, rows, pages.segment, pages.offset);
out:
    free(rows);
    return status;
}

lum_status tiny_leave(struct tiny *tiny, const struct tiny_load *load, bool is_rolled_back)
{
    struct lum__chunk_entry chunks[TINY_CHUNKS_MAX];
    uint64_t transaction_id = ++tiny->next_transaction;
    struct lum__wal_record record = {
        .type = LUM__WAL_ROLLBACK, .transaction_id = transaction_id, .count = load->chunk_count};
    LUM_TRY(log_chunks(tiny, load, transaction_id, chunks));
    if (is_rolled_back) append(tiny, &record);
    LUM_TRY(lum__wal_write(tiny->parts.writer));
    if (is_rolled_back) {
        for (uint32_t i = 0; i < load->chunk_count; i++)
            lum__segments_release(tiny->parts.segments, chunks[i].segment, chunks[i].offset, chunks[i].byte_count);
    } else if (tiny->open_count < TINY_OPEN_MAX) {
        struct lum__open_transaction *open = &tiny->open[tiny->open_count++];
        *open = (struct lum__open_transaction){.transaction_id = transaction_id, .chunk_count = load->chunk_count};
        open->chunks = malloc((load->chunk_count + 1) * sizeof *open->chunks);
        memcpy(open->chunks, chunks, load->chunk_count * sizeof *open->chunks);
    }
    return LUM_OK;
}

lum_status tiny_sync(struct tiny *tiny)
{
    LUM_TRY(sync_data(tiny));
    return lum__wal_sync(tiny->parts.writer);
}

lum_status tiny_watermark(struct tiny *tiny)
{
    struct lum__wal_record record = {.type = LUM__WAL_WATERMARK};
    LUM_TRY(tiny_sync(tiny));
    LUM_TRY(reserve(tiny));
    append(tiny, &record);
    LUM_TRY(lum__wal_write(tiny->parts.writer));
    return lum__wal_sync(tiny->parts.writer);
}

lum_status tiny_checkpoint(struct tiny *tiny)
{
    LUM_TRY(
        lum__parts_checkpoint(&tiny->parts, tiny->lock, tiny->open, tiny->open_count, tiny->dirty, tiny->dirty_count));
    tiny->dirty_count = 0;
    return LUM_OK;
}

/* -------------------------------------------------------------------------------------------------------------
 * checking */

struct reading {
    const struct tiny_load *loads;
    const struct lum__chunk_entry *chunks;
    const struct lum__catalogue_version *version;
    uint64_t rows;
    char *why;
};

static lum_status check_rows(void *context, uint32_t worker, size_t chunk_index, uint64_t position, const lum_t *rows,
                             uint32_t row_count)
{
    struct reading *reading = context;
    const struct lum__chunk_entry *chunk = &reading->chunks[chunk_index];
    size_t transaction = 0;
    uint64_t first = 0;
    (void)worker;
    while (reading->version->transactions[transaction].commit_sequence != chunk->commit_sequence)
        first += reading->version->transactions[transaction++].lum_count;
    for (uint32_t i = 0; i < row_count; i++) {
        lum_t expected;
        tiny_row(reading->loads[transaction].number, position - first + i, &expected);
        if (memcmp(&expected, &rows[i], sizeof expected) != 0) {
            snprintf(reading->why, 256, "row %llu of transaction %zu is another",
                     (unsigned long long)(position - first + i), transaction);
            return LUM_ERR_CANCELLED;
        }
    }
    reading->rows += row_count;
    return LUM_OK;
}

static lum_status read_rows(struct tiny *tiny, const struct tiny_load *loads,
                            const struct lum__catalogue_version *version, char why[256])
{
    struct reading reading = {.loads = loads, .chunks = version->chunks, .version = version, .why = why};
    struct lum__chunk_scan_options options = {
        .range = LUM__RANGE_ALL, .store_id = tiny->parts.store_id, .memory_bytes_max = 16 << 20};
    struct lum__segment_files *files = NULL;
    struct lum__chunk_scan_counts counts;
    LUM_TRY(lum__segment_files_open(tiny->fs, tiny->parts.store_id, true, &files));
    lum_status status = lum__chunk_scan(tiny->fs, files, version->chunks, version->chunk_count, &options, 1, check_rows,
                                        NULL, &reading, &counts);
    lum__segment_files_close(files);
    if (status == LUM_OK && reading.rows != version->lum_count) {
        snprintf(why, 256, "%llu rows were read of %llu", (unsigned long long)reading.rows,
                 (unsigned long long)version->lum_count);
        return LUM_ERR_CANCELLED;
    }
    if (status != LUM_OK && status != LUM_ERR_CANCELLED)
        snprintf(why, 256, "reading rows: %.200s", lum__error_last()->message);
    return status;
}

int64_t tiny_check(struct tiny *tiny, const struct tiny_load *loads, size_t load_count, char why[256])
{
    const struct lum__catalogue_version *version = lum__catalogue_pin(tiny->parts.catalogue);
    int64_t count = (int64_t)version->transaction_count;
    if (version->transaction_count > load_count) {
        snprintf(why, 256, "%zu transactions, but %zu were submitted", version->transaction_count, load_count);
        count = -1;
    }
    for (int64_t i = 0; i < count; i++) {
        const struct lum__transaction *transaction = &version->transactions[i];
        char label[32];
        snprintf(label, sizeof label, "t%llu", (unsigned long long)loads[i].number);
        struct lum__metadata metadata;
        tiny_metadata(loads[i].number, &metadata);
        if (strcmp(transaction->label, label) != 0 || transaction->digest != tiny_digest(&loads[i]) ||
            !lum__metadata_is_same(&transaction->metadata, &metadata)) {
            snprintf(why, 256, "transaction %lld is \"%s\" instead of \"%s\", or has another digest or metadata",
                     (long long)i, transaction->label, label);
            count = -1;
        }
    }
    if (count > 0 && version->chunk_count > 0 && read_rows(tiny, loads, version, why) != LUM_OK) count = -1;
    lum__catalogue_unpin(tiny->parts.catalogue, version);
    return count;
}
