#include "pipeline/producer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/memory.h"
#include "storage/record.h"

enum { ORDINAL_CHUNK_BITS = 20 }; /* ordinal = piece << 20 | chunk of the piece: ascending in source order, not dense */
enum { COLUMN_PARTS = 4 };         /* parts of 1,024 rows, where a page has 4,096 */

lum_status lum__producer_init(struct lum__producer *producer)
{
    LUM_TRY(lum__io_open(producer->context->fs, LUM__PRODUCER_QUEUE_DEPTH, producer->context->lock_file, &producer->queue));
    void *memory = aligned_alloc(64, (lum__page_scratch_bytes() + 63) / 64 * 64);
    if (memory == NULL) return lum__fail(LUM_ERR_NO_MEMORY, "out of memory for a producer");
    producer->scratch = memory;
    memory = aligned_alloc(64, LUM__PAGE_ROWS_MAX * sizeof(lum_t));
    if (memory == NULL) return lum__fail(LUM_ERR_NO_MEMORY, "out of memory for a producer");
    producer->rows = memory;
    return lum__alloc_zeroed(LUM__PRODUCER_WRITES_IN_FLIGHT + 1, sizeof *producer->writes, (void **)&producer->writes);
}

/* Every request of the write is reaped, or none was submitted: its memory is free again. */
static void finish_write(struct lum__producer *producer, struct lum__chunk_write *write)
{
    LUM_ASSERT(write->requests_left == 0);
    lum__pool_give(producer->context->pool, write->buffer);
    for (uint32_t i = 0; i < write->chunk_count; i++) {
        if (write->status != LUM_OK) lum__error_restore(&write->error);
        producer->on_chunk(producer->loader, &write->chunks[i], write->status);
    }
    write->buffer = NULL;
}

static void end_write(struct lum__producer *producer, struct lum__chunk_write *write)
{
    producer->writes_in_flight--;
    finish_write(producer, write);
}

static uint32_t request_bytes(const struct lum__chunk_write *write, uint32_t request)
{
    uint32_t left = write->byte_count - request * LUM__PRODUCER_REQUEST_BYTES;
    return left < LUM__PRODUCER_REQUEST_BYTES ? left : LUM__PRODUCER_REQUEST_BYTES;
}

/* The length is checked: a short write is a failed write (pitfalls 14, 36). */
static void take_completion(struct lum__producer *producer, const struct lum__io_completion *completion)
{
    struct lum__chunk_write *write = &producer->writes[completion->user & 0xff];
    uint32_t request = (uint32_t)(completion->user >> 8);
    LUM_ASSERT(write->buffer != NULL);
    LUM_ASSERT(write->requests_left > 0);
    uint32_t expected = request_bytes(write, request);
    if (completion->result != (int64_t)expected && write->status == LUM_OK) {
        char path[64];
        const struct lum__chunk_entry *first = &write->chunks[0].entry;
        lum__segment_path(first->segment, path);
        uint64_t offset = first->offset + (uint64_t)request * LUM__PRODUCER_REQUEST_BYTES;
        int error = completion->result < 0 ? (int)-completion->result : EIO;
        if (completion->result < 0) {
            write->status = lum__fail_errno(error, path, offset, "cannot write a chunk to %s", path);
        } else {
            write->status = lum__fail_errno(error, path, offset, "a write of %u bytes to %s stopped after %lld", expected, path,
                                            (long long)completion->result);
        }
        write->error = *lum__error_last();
    }
    producer->requests_in_flight--;
    if (--write->requests_left == 0) end_write(producer, write);
}

static lum_status reap(struct lum__producer *producer, uint32_t wait_count)
{
    struct lum__io_completion completions[LUM__PRODUCER_QUEUE_DEPTH];
    uint32_t count = 0;
    uint64_t begin = wait_count > 0 ? lum__clock_monotonic_ns() : 0;
    lum_status status = lum__io_reap(producer->queue, wait_count, completions, LUM__PRODUCER_QUEUE_DEPTH, &count);
    if (wait_count > 0) producer->write_wait_ns += lum__clock_monotonic_ns() - begin;
    for (uint32_t i = 0; i < count; i++) take_completion(producer, &completions[i]);
    return status;
}

static struct lum__chunk_write *find_slot(struct lum__producer *producer)
{
    for (uint32_t i = 0; i < LUM__PRODUCER_WRITES_IN_FLIGHT + 1; i++) {
        if (producer->writes[i].buffer == NULL) return &producer->writes[i];
    }
    return NULL;
}

/* Back-pressure: own writes are reaped before this thread sleeps for somebody else's buffer. Nothing is gathered: it would hold a buffer. */
static lum_status take_buffer(struct lum__producer *producer, struct lum__chunk_write **out)
{
    LUM_ASSERT(producer->gathering == NULL);
    uint8_t *buffer = lum__pool_try_take(producer->context->pool);
    while (buffer == NULL && producer->requests_in_flight > 0) {
        LUM_TRY(reap(producer, 1));
        buffer = lum__pool_try_take(producer->context->pool);
    }
    if (buffer == NULL) buffer = lum__pool_take(producer->context->pool);
    struct lum__chunk_write *write = find_slot(producer);
    LUM_ASSERT(write != NULL); /* one more than may be in flight */
    write->buffer = buffer;
    write->byte_count = write->chunk_count = write->requests_left = 0;
    write->status = LUM_OK;
    *out = write;
    return LUM_OK;
}

static void set_failed(struct lum__chunk_write *write, lum_status status)
{
    write->status = status;
    write->error = *lum__error_last();
}

/* Step 4 of "A load": one extent for all chunks of the write, each sealed for its place in it. */
static lum_status place_chunks(struct lum__producer *producer, struct lum__chunk_write *write, struct lum__file **file)
{
    const struct lum__load_context *context = producer->context;
    uint64_t segment = 0, offset = 0;
    uint32_t attempt = 0;
    lum_status status;
    do status = lum__segments_reserve(context->segments, write->byte_count, &segment, &offset, file);
    while (lum__disk_full_retry(context->disk_full, status, write->byte_count, &attempt));
    if (status != LUM_OK) return status;
    for (uint32_t i = 0; i < write->chunk_count; i++) {
        struct lum__written_chunk *chunk = &write->chunks[i];
        lum__chunk_seal(&chunk->builder, context->store_id, segment, offset, chunk->transaction_id, chunk->ordinal, &chunk->entry);
        offset += chunk->entry.byte_count;
    }
    return LUM_OK;
}

/* Step 5: what was gathered is submitted. */
static lum_status submit_gathered(struct lum__producer *producer)
{
    struct lum__chunk_write *write = producer->gathering;
    struct lum__file *file = NULL;
    uint32_t request_count = (write->byte_count + LUM__PRODUCER_REQUEST_BYTES - 1) / LUM__PRODUCER_REQUEST_BYTES;
    LUM_ASSERT(request_count <= LUM__PRODUCER_QUEUE_DEPTH);
    while (producer->requests_in_flight + request_count > LUM__PRODUCER_QUEUE_DEPTH) LUM_TRY(reap(producer, 1));
    producer->gathering = NULL;
    lum_status status = place_chunks(producer, write, &file);
    if (status != LUM_OK) {
        set_failed(write, status);
        finish_write(producer, write);
        return status;
    }
    uint64_t offset = write->chunks[0].entry.offset;
    write->requests_left = request_count;
    producer->writes_in_flight++;
    for (uint32_t request = 0; request < request_count; request++) {
        uint64_t begin = (uint64_t)request * LUM__PRODUCER_REQUEST_BYTES;
        uint64_t user = (uint64_t)request << 8 | (uint64_t)(write - producer->writes);
        status = lum__io_submit_write(producer->queue, file, write->buffer + begin, request_bytes(write, request), offset + begin, user);
        if (status != LUM_OK) {
            set_failed(write, status);
            write->requests_left -= request_count - request;
            if (write->requests_left == 0) end_write(producer, write);
            return status;
        }
        producer->requests_in_flight++;
    }
    producer->bytes_written += write->byte_count;
    producer->chunk_count += write->chunk_count;
    return LUM_OK;
}

/* Small chunks wait for company as long as a write of this producer is in flight: the first is written at once, those that are built meanwhile
 * go together. A write costs much the same for 8 KiB and for 1 MiB. */
static lum_status submit_if_due(struct lum__producer *producer)
{
    const struct lum__chunk_write *write = producer->gathering;
    if (write == NULL) return LUM_OK;
    bool is_full = write->byte_count >= LUM__PRODUCER_GATHERED_BYTES || write->chunk_count == LUM__PRODUCER_GATHERED_MAX;
    return is_full || producer->requests_in_flight == 0 ? submit_gathered(producer) : LUM_OK;
}

lum_status lum__producer_reap(struct lum__producer *producer, bool all)
{
    if (producer->requests_in_flight > 0) LUM_TRY(reap(producer, 0));
    LUM_TRY(submit_if_due(producer));
    if (all && producer->gathering != NULL) LUM_TRY(submit_gathered(producer));
    while (all && producer->requests_in_flight > 0) LUM_TRY(reap(producer, 1));
    return LUM_OK;
}

static lum_status fail_row(struct lum__producer *producer, const struct lum__page_summary *summary, uint64_t row)
{
    return lum__fail_at(__FILE__, __LINE__, LUM_ERR_INPUT, 0, producer->source->name != NULL ? producer->source->name : "source", LUM_NO_OFFSET, 0,
                        "row %llu: %s", (unsigned long long)row + 1, lum__row_fault_text((enum lum__row_fault)summary->row_fault));
}

/* A whole page where the source gives less at a time; pages are what is encoded, so full ones are smallest. */
static lum_status fill_page(struct lum__producer *producer, size_t page_rows, size_t *row_count)
{
    const lum_source *source = producer->source;
    size_t given = 1;
    *row_count = 0;
    while (given != 0 && *row_count < page_rows) {
        LUM_TRY(source->fill(source->context, producer->worker, producer->rows + *row_count, page_rows - *row_count, &given));
        LUM_ASSERT(given <= page_rows - *row_count);
        *row_count += given;
    }
    return LUM_OK;
}

/* One page from the source into the chunk. *row_count 0: the piece is over. row: number of its first row in the source. */
static lum_status add_page(struct lum__producer *producer, struct lum__chunk_builder *builder, uint64_t row, uint64_t rows_max,
                           size_t *row_count)
{
    const lum_source *source = producer->source;
    struct lum__page_summary summary = {0};
    size_t page_rows = rows_max < LUM__PAGE_ROWS_MAX ? (size_t)rows_max : LUM__PAGE_ROWS_MAX;
    lum_status status = LUM_END; /* this piece has no columns */
    if (source->fill_columns != NULL) {
        lum_columns columns = {0};
        status = source->fill_columns(source->context, producer->worker, page_rows, &columns, row_count);
        if (status != LUM_END || source->fill == NULL) LUM_TRY(status);
        LUM_ASSERT(*row_count <= page_rows);
        if (status == LUM_OK && *row_count == 0) return LUM_OK;
        if (status == LUM_OK) status = lum__chunk_add_columns(builder, &columns, (uint32_t)*row_count, &summary);
    }
    if (status == LUM_END) {
        LUM_TRY(fill_page(producer, page_rows, row_count));
        if (*row_count == 0) return LUM_OK;
        status = lum__chunk_add_rows(builder, producer->rows, (uint32_t)*row_count, source->has_checksums, &summary);
    }
    producer->rows_filled += *row_count;
    return status == LUM_ERR_INPUT ? fail_row(producer, &summary, row + summary.row_fault_index) : status;
}

/* Where the next chunk is built: behind those that were gathered, or in a buffer of its own. */
static lum_status begin_chunk(struct lum__producer *producer, uint32_t row_room, struct lum__chunk_builder *builder)
{
    const struct lum__chunk_write *write = producer->gathering;
    if (write != NULL && write->byte_count + lum__chunk_bytes_max(row_room) > lum__pool_buffer_bytes(producer->context->pool)) {
        LUM_TRY(submit_gathered(producer));
    }
    while (producer->gathering == NULL && producer->writes_in_flight >= LUM__PRODUCER_WRITES_IN_FLIGHT) LUM_TRY(reap(producer, 1));
    if (producer->gathering == NULL) LUM_TRY(take_buffer(producer, &producer->gathering));
    write = producer->gathering;
    lum__chunk_begin(builder, write->buffer + write->byte_count, row_room, producer->scratch);
    return LUM_OK;
}

/* Nothing was built: a buffer without any chunk goes back. */
static void drop_chunk(struct lum__producer *producer)
{
    if (producer->gathering->chunk_count > 0) return;
    finish_write(producer, producer->gathering);
    producer->gathering = NULL;
}

static lum_status keep_chunk(struct lum__producer *producer, const struct lum__chunk_builder *builder, struct lum__load_transaction *transaction,
                             uint64_t transaction_id, uint64_t ordinal)
{
    struct lum__chunk_write *write = producer->gathering;
    write->chunks[write->chunk_count++] = (struct lum__written_chunk){
        .transaction = transaction, .transaction_id = transaction_id, .ordinal = ordinal, .builder = *builder};
    write->byte_count += lum__chunk_sealed_bytes(builder);
    producer->on_built(producer->loader, transaction);
    return lum__producer_reap(producer, false);
}

/* The most rows that the next chunk of a piece can have, and so the room for its directory. Columns may come in parts of less than a page, each of
 * which becomes a page of its own. */
static uint32_t row_room(const struct lum__producer *producer, uint64_t rows_left)
{
    uint32_t chunk_lums = producer->context->chunk_lums;
    if (producer->source->fill_columns != NULL && rows_left < chunk_lums) rows_left *= COLUMN_PARTS;
    return lum__chunk_row_room(rows_left, chunk_lums);
}

lum_status lum__producer_run_piece(struct lum__producer *producer, struct lum__load_transaction *transaction, uint64_t transaction_id,
                                   uint64_t piece_index, const lum_piece *piece, uint64_t rows_max, uint64_t *rows)
{
    *rows = 0;
    const uint32_t chunk_lums = producer->context->chunk_lums;
    if (piece->row_count != LUM_ROWS_UNKNOWN) rows_max = piece->row_count;
    bool is_over = false;
    for (uint64_t chunk = 0; !is_over; chunk++) {
        LUM_ASSERT(chunk < 1u << ORDINAL_CHUNK_BITS);
        struct lum__chunk_builder builder;
        LUM_TRY(begin_chunk(producer, row_room(producer, rows_max > *rows ? rows_max - *rows : 0), &builder));
        lum_status status = LUM_OK;
        while (status == LUM_OK && !is_over && builder.row_count < chunk_lums && builder.page_count < builder.page_capacity) {
            size_t row_count = 0;
            uint64_t left = piece->row_count == LUM_ROWS_UNKNOWN ? UINT64_MAX : piece->row_count - *rows;
            if (left > chunk_lums - builder.row_count) left = chunk_lums - builder.row_count;
            status = add_page(producer, &builder, piece->first_row + *rows, left, &row_count);
            if (status != LUM_OK) break;
            *rows += row_count;
            is_over = row_count == 0 || *rows == piece->row_count;
            status = producer->on_page(producer->loader, producer);
        }
        if (status != LUM_OK || builder.row_count == 0) {
            drop_chunk(producer);
            LUM_TRY(status);
            continue;
        }
        LUM_TRY(keep_chunk(producer, &builder, transaction, transaction_id, piece_index << ORDINAL_CHUNK_BITS | chunk));
    }
    return LUM_OK;
}

void lum__producer_fini(struct lum__producer *producer)
{
    if (producer->queue != NULL) {
        /* The ring's own memory of the requests cannot be trusted after a failed reap: closing waits for the rest. */
        while (producer->requests_in_flight > 0 && reap(producer, 1) == LUM_OK) continue;
        lum__io_close(producer->queue);
    }
    for (uint32_t i = 0; producer->writes != NULL && i < LUM__PRODUCER_WRITES_IN_FLIGHT + 1; i++) {
        struct lum__chunk_write *write = &producer->writes[i];
        if (write->buffer == NULL) continue;
        write->requests_left = 0;
        if (write == producer->gathering) {
            set_failed(write, lum__fail(LUM_ERR_CANCELLED, "the load ended before a chunk was written"));
        } else if (write->status == LUM_OK) {
            set_failed(write, lum__fail(LUM_ERR_IO, "the completion of a chunk's write was not seen"));
        }
        finish_write(producer, write);
    }
    free(producer->writes);
    free(producer->scratch);
    free(producer->rows);
}
