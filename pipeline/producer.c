#include "pipeline/producer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/memory.h"
#include "storage/record.h"

enum { ORDINAL_CHUNK_BITS = 20 }; /* ordinal = piece << 20 | chunk of the piece: ascending in source order, not dense */

lum_status lum__producer_init(struct lum__producer *producer)
{
    LUM_TRY(lum__io_open(producer->context->fs, LUM__PRODUCER_QUEUE_DEPTH, producer->context->lock_file, &producer->queue));
    void *memory = aligned_alloc(64, (lum__page_scratch_bytes() + 63) / 64 * 64);
    if (memory == NULL) return lum__fail(LUM_ERR_NO_MEMORY, "out of memory for a producer");
    producer->scratch = memory;
    memory = aligned_alloc(64, LUM__PAGE_ROWS_MAX * sizeof(lum_t));
    if (memory == NULL) return lum__fail(LUM_ERR_NO_MEMORY, "out of memory for a producer");
    producer->rows = memory;
    return LUM_OK;
}

/* Every request of the chunk is reaped: its memory is free again. */
static void finish_chunk(struct lum__producer *producer, struct lum__chunk_in_flight *chunk)
{
    LUM_ASSERT(chunk->requests_left == 0);
    lum__pool_give(producer->context->pool, chunk->buffer);
    producer->on_chunk(producer->loader, producer, chunk);
    memset(chunk, 0, sizeof *chunk);
}

static uint32_t request_bytes(const struct lum__chunk_in_flight *chunk, uint32_t request)
{
    uint32_t begin = request * LUM__PRODUCER_REQUEST_BYTES;
    uint32_t left = chunk->entry.byte_count - begin;
    return left < LUM__PRODUCER_REQUEST_BYTES ? left : LUM__PRODUCER_REQUEST_BYTES;
}

/* The length is checked: a short write is a failed write (pitfalls 14, 36). */
static void take_completion(struct lum__producer *producer, const struct lum__io_completion *completion)
{
    struct lum__chunk_in_flight *chunk = &producer->in_flight[completion->user & 0xff];
    uint32_t request = (uint32_t)(completion->user >> 8);
    LUM_ASSERT(chunk->buffer != NULL);
    LUM_ASSERT(chunk->requests_left > 0);
    uint32_t expected = request_bytes(chunk, request);
    if (completion->result != (int64_t)expected && chunk->status == LUM_OK) {
        char path[64];
        lum__segment_path(chunk->entry.segment, path);
        uint64_t offset = chunk->entry.offset + (uint64_t)request * LUM__PRODUCER_REQUEST_BYTES;
        int error = completion->result < 0 ? (int)-completion->result : EIO;
        if (completion->result < 0) {
            chunk->status = lum__fail_errno(error, path, offset, "cannot write a chunk to %s", path);
        } else {
            chunk->status = lum__fail_errno(error, path, offset, "a write of %u bytes to %s stopped after %lld", expected, path,
                                            (long long)completion->result);
        }
        chunk->error = *lum__error_last();
    }
    producer->requests_in_flight--;
    if (--chunk->requests_left == 0) finish_chunk(producer, chunk);
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

lum_status lum__producer_reap(struct lum__producer *producer, bool all)
{
    if (producer->requests_in_flight > 0) LUM_TRY(reap(producer, 0));
    while (all && producer->requests_in_flight > 0) LUM_TRY(reap(producer, 1));
    return LUM_OK;
}

static struct lum__chunk_in_flight *find_slot(struct lum__producer *producer)
{
    for (uint32_t i = 0; i < LUM__PRODUCER_CHUNKS_IN_FLIGHT; i++) {
        if (producer->in_flight[i].buffer == NULL) return &producer->in_flight[i];
    }
    return NULL;
}

/* Back-pressure: own writes are reaped before this thread sleeps for somebody else's buffer. */
static lum_status take_buffer(struct lum__producer *producer, uint8_t **out)
{
    *out = lum__pool_try_take(producer->context->pool);
    while (*out == NULL && producer->requests_in_flight > 0) {
        LUM_TRY(reap(producer, 1));
        *out = lum__pool_try_take(producer->context->pool);
    }
    if (*out == NULL) *out = lum__pool_take(producer->context->pool);
    return LUM_OK;
}

/* Steps 4 and 5 of "A load": an extent is reserved, the chunk sealed for it, and its write submitted. Consumes the buffer. */
static lum_status write_chunk(struct lum__producer *producer, struct lum__chunk_builder *builder,
                              struct lum__load_transaction *transaction, uint64_t transaction_id, uint64_t ordinal)
{
    const struct lum__load_context *context = producer->context;
    lum_status status = LUM_OK;
    uint32_t byte_count = lum__chunk_sealed_bytes(builder);
    uint32_t request_count = (byte_count + LUM__PRODUCER_REQUEST_BYTES - 1) / LUM__PRODUCER_REQUEST_BYTES;
    LUM_ASSERT(request_count <= LUM__PRODUCER_QUEUE_DEPTH);
    struct lum__chunk_in_flight *slot = find_slot(producer);
    while (slot == NULL || producer->requests_in_flight + request_count > LUM__PRODUCER_QUEUE_DEPTH) {
        LUM_TRY_OUT(reap(producer, 1));
        slot = find_slot(producer);
    }
    struct lum__file *file = NULL;
    uint64_t segment = 0, offset = 0;
    uint32_t attempt = 0;
    do status = lum__segments_reserve(context->segments, byte_count, &segment, &offset, &file);
    while (lum__disk_full_retry(context->disk_full, status, byte_count, &attempt));
    if (status != LUM_OK) goto out;
    memset(slot, 0, sizeof *slot);
    lum__chunk_seal(builder, context->store_id, segment, offset, transaction_id, ordinal, &slot->entry);
    LUM_ASSERT(slot->entry.byte_count == byte_count);
    slot->buffer = builder->buffer;
    slot->transaction = transaction;
    slot->requests_left = request_count;
    producer->on_submit(producer->loader, transaction);
    for (uint32_t request = 0; request < request_count; request++) {
        uint64_t begin = (uint64_t)request * LUM__PRODUCER_REQUEST_BYTES;
        uint64_t user = (uint64_t)request << 8 | (uint64_t)(slot - producer->in_flight);
        lum_status submitted = lum__io_submit_write(producer->queue, file, builder->buffer + begin, request_bytes(slot, request), offset + begin, user);
        if (submitted != LUM_OK) {
            slot->status = submitted;
            slot->error = *lum__error_last();
            slot->requests_left -= request_count - request;
            if (slot->requests_left == 0) finish_chunk(producer, slot);
            return submitted;
        }
        producer->requests_in_flight++;
    }
    producer->bytes_written += byte_count;
    producer->chunk_count++;
    return LUM_OK;
out:
    lum__pool_give(context->pool, builder->buffer);
    return status;
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

lum_status lum__producer_run_piece(struct lum__producer *producer, struct lum__load_transaction *transaction, uint64_t transaction_id,
                                   uint64_t piece_index, const lum_piece *piece, uint64_t *rows)
{
    *rows = 0;
    const uint32_t chunk_lums = producer->context->chunk_lums;
    bool is_over = false;
    for (uint64_t chunk = 0; !is_over; chunk++) {
        LUM_ASSERT(chunk < 1u << ORDINAL_CHUNK_BITS);
        uint8_t *buffer = NULL;
        LUM_TRY(take_buffer(producer, &buffer));
        struct lum__chunk_builder builder;
        lum__chunk_begin(&builder, buffer, chunk_lums, producer->scratch);
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
            lum__pool_give(producer->context->pool, buffer);
            LUM_TRY(status);
            continue;
        }
        LUM_TRY(write_chunk(producer, &builder, transaction, transaction_id, piece_index << ORDINAL_CHUNK_BITS | chunk));
        LUM_TRY(lum__producer_reap(producer, false));
    }
    return LUM_OK;
}

void lum__producer_fini(struct lum__producer *producer)
{
    if (producer->queue != NULL) {
        /* The ring's own memory of the requests cannot be trusted after a failed reap: closing waits for the rest. */
        lum_status status = lum__producer_reap(producer, true);
        (void)status;
        lum__io_close(producer->queue);
    }
    for (uint32_t i = 0; i < LUM__PRODUCER_CHUNKS_IN_FLIGHT; i++) {
        struct lum__chunk_in_flight *chunk = &producer->in_flight[i];
        if (chunk->buffer == NULL) continue;
        chunk->requests_left = 0;
        if (chunk->status == LUM_OK) {
            chunk->status = lum__fail(LUM_ERR_IO, "the completion of a chunk's write was not seen");
            chunk->error = *lum__error_last();
        }
        finish_chunk(producer, chunk);
    }
    free(producer->scratch);
    free(producer->rows);
}
