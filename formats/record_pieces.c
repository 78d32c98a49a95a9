#include "formats/record_pieces.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/memory.h"

/* ------------------------------------------------------------------------------------------------------- reading */

static lum_status read_file(const struct lum__input_bytes *input, uint64_t offset, uint8_t *out, size_t byte_count,
                            size_t *got)
{
    for (*got = 0; *got < byte_count;) {
        ssize_t n = pread(input->fd, out + *got, byte_count - *got, (off_t)(offset + *got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return lum__fail_errno(errno, input->name, offset + *got, "cannot read %s", input->name);
        if (n == 0) break;
        *got += (size_t)n;
    }
    return LUM_OK;
}

static lum_status read_stream(const struct lum__input_bytes *input, uint8_t *out, size_t byte_count, size_t *got)
{
    size_t n = 1;

    for (*got = 0; *got < byte_count && n > 0; *got += n) {
        LUM_TRY(input->read(input->read_context, out + *got, byte_count - *got, &n));
        LUM_ASSERT(n <= byte_count - *got);
    }
    return LUM_OK;
}

lum_status lum__record_input_read(const struct lum__input_bytes *input, uint64_t offset, uint8_t *out,
                                  size_t byte_count, size_t *got)
{
    *got = 0;
    if (input->fd >= 0) return read_file(input, offset, out, byte_count, got);
    return read_stream(input, out, byte_count, got);
}

static uint64_t offset_of(const struct lum__record_pieces *pieces, uint64_t row)
{
    return pieces->data_offset + row * pieces->record_bytes;
}

static lum_status fail_at_row(const struct lum__record_pieces *pieces, uint64_t row, const char *reason)
{
    lum_status status = lum__fail_at(__FILE__, __LINE__, LUM_ERR_INPUT, 0, pieces->input.name, offset_of(pieces, row),
                                     0, "%s (before row %llu)", reason, (unsigned long long)row + 1);
    lum__error_set_remedy("the input was cut short, or is not what its format says; make it again, or copy it again");
    return status;
}

/* ------------------------------------------------------------------------------------------------ cutting pieces */

static lum_status get_worker(struct lum__record_pieces *pieces, uint32_t index, struct lum__record_worker **out)
{
    void *memory;

    if (pieces->workers[index] == NULL) {
        LUM_TRY(lum__alloc_zeroed(1, sizeof **out, &memory));
        pieces->workers[index] = memory;
    }
    *out = pieces->workers[index];
    return LUM_OK;
}

static lum_status reserve(struct lum__record_worker *worker, size_t byte_count)
{
    void *memory;

    if (worker->buffer_bytes >= byte_count) return LUM_OK;
    LUM_TRY(lum__alloc(byte_count, &memory));
    free(worker->buffer);
    worker->buffer = memory;
    worker->buffer_bytes = byte_count;
    return LUM_OK;
}

/* After the last record that was promised nothing may follow. */
static lum_status check_end(struct lum__record_pieces *pieces)
{
    uint8_t byte;
    size_t got;

    LUM_TRY(read_stream(&pieces->input, &byte, 1, &got));
    pieces->stream_ended = true;
    return got == 0 ? LUM_OK : fail_at_row(pieces, pieces->rows_cut, "there are bytes behind the last row");
}

/* At most rows_max records of the stream into the worker's buffer; *rows = 0 at its end. */
static lum_status read_piece(struct lum__record_pieces *pieces, struct lum__record_worker *worker, uint64_t rows_max,
                             uint64_t *rows)
{
    size_t got;

    *rows = 0;
    if (pieces->stream_ended) return LUM_OK;
    LUM_TRY(reserve(worker, (size_t)rows_max * pieces->record_bytes));
    LUM_TRY(read_stream(&pieces->input, worker->buffer, (size_t)rows_max * pieces->record_bytes, &got));
    *rows = got / pieces->record_bytes;
    pieces->stream_ended = *rows < rows_max;
    if (got % pieces->record_bytes != 0)
        return fail_at_row(pieces, pieces->rows_cut + *rows, "the input ends within the record that begins here");
    if (pieces->row_count == LUM_ROWS_UNKNOWN) return LUM_OK;
    if (*rows < rows_max)
        return fail_at_row(pieces, pieces->rows_cut + *rows, "the input has fewer rows than its header says");
    return LUM_OK;
}

static lum_status cut_piece(struct lum__record_pieces *pieces, struct lum__record_worker *worker, uint64_t rows_max,
                            lum_piece *out)
{
    uint64_t rows_fit = LUM__RECORD_PIECE_BYTES_MAX / pieces->record_bytes, rows;

    if (rows_max > rows_fit) rows_max = rows_fit;
    if (pieces->row_count != LUM_ROWS_UNKNOWN && rows_max > pieces->row_count - pieces->rows_cut)
        rows_max = pieces->row_count - pieces->rows_cut;
    if (rows_max == 0) {
        if (pieces->input.fd < 0 && !pieces->stream_ended) LUM_TRY(check_end(pieces));
        return LUM_END;
    }
    rows = rows_max;
    if (pieces->input.fd < 0) LUM_TRY(read_piece(pieces, worker, rows_max, &rows));
    if (rows == 0) return LUM_END;
    worker->row_next = pieces->rows_cut;
    worker->rows_left = rows;
    worker->used_bytes = 0;
    worker->sum = 0;
    *out = (lum_piece){.first_row = pieces->rows_cut, .row_count = rows};
    pieces->rows_cut += rows;
    return LUM_OK;
}

lum_status lum__record_pieces_open(struct lum__record_pieces *pieces, uint32_t index, uint64_t rows_max, lum_piece *out)
{
    struct lum__record_worker *worker;

    *out = (lum_piece){0};
    if (index >= LUM__SOURCE_WORKERS_MAX || rows_max == 0)
        return lum__fail(LUM_ERR_ARGUMENT, "a source takes workers below %d and at least one row a piece",
                         LUM__SOURCE_WORKERS_MAX);
    if (pieces->failure.status != LUM_OK) { /* the stream broke off: it does not come back */
        lum__error_restore(&pieces->failure);
        return pieces->failure.status;
    }
    LUM_TRY(get_worker(pieces, index, &worker));
    lum_status status = cut_piece(pieces, worker, rows_max, out);
    if (status != LUM_OK && status != LUM_END) pieces->failure = *lum__error_last();
    return status;
}

/* ------------------------------------------------------------------------------------------------------- records */

lum_status lum__record_pieces_next(struct lum__record_pieces *pieces, uint32_t index, size_t rows_max, uint8_t *own,
                                   const uint8_t **bytes, size_t *count, uint64_t *first_row)
{
    struct lum__record_worker *worker = index < LUM__SOURCE_WORKERS_MAX ? pieces->workers[index] : NULL;

    *count = 0;
    *first_row = 0;
    *bytes = NULL;
    if (worker == NULL) return lum__fail(LUM_ERR_ARGUMENT, "rows are asked for before open_piece()");
    size_t rows_fit = LUM__RECORD_PIECE_BYTES_MAX / pieces->record_bytes;
    if (rows_max > rows_fit) rows_max = rows_fit;
    if (rows_max > worker->rows_left) rows_max = (size_t)worker->rows_left;
    size_t byte_count = rows_max * pieces->record_bytes, got;
    if (pieces->input.fd < 0) {
        *bytes = worker->buffer + worker->used_bytes;
        worker->used_bytes += byte_count;
    } else {
        if (own == NULL) {
            LUM_TRY(reserve(worker, byte_count));
            own = worker->buffer;
        }
        LUM_TRY(read_file(&pieces->input, offset_of(pieces, worker->row_next), own, byte_count, &got));
        if (got < byte_count)
            return fail_at_row(pieces, worker->row_next + got / pieces->record_bytes,
                               "the file became shorter while it was read");
        *bytes = own;
    }
    if (pieces->sums) worker->sum = lum__crc32c(worker->sum, *bytes, byte_count);
    *count = rows_max;
    *first_row = worker->row_next;
    worker->row_next += rows_max;
    worker->rows_left -= rows_max;
    atomic_fetch_add_explicit(&pieces->rows_read, rows_max, memory_order_relaxed);
    atomic_fetch_add_explicit(&pieces->bytes_read, byte_count, memory_order_relaxed);
    return LUM_OK;
}

lum_status lum__record_pieces_refuse(struct lum__record_pieces *pieces, uint32_t worker, uint64_t row,
                                     const uint8_t *record, const struct lum__row_fault *fault)
{
    uint64_t offset = offset_of(pieces, row) + (uint64_t)(fault->at - record);

    atomic_fetch_add_explicit(&pieces->rows_rejected, 1, memory_order_relaxed);
    if (pieces->rejects == NULL) return lum__fault_raise(fault, pieces->input.name, 0, offset);
    const struct lum__rejected_row rejected = {.row = row + 1,
                                               .offset = offset,
                                               .column = fault->column,
                                               .column_name = fault->column_name,
                                               .code = fault->code,
                                               .quoted_reason = fault->quoted,
                                               .quoted_reason_length = fault->quoted_length,
                                               .bytes = record,
                                               .byte_count = pieces->record_bytes};
    return pieces->rejects->row(pieces->rejects->context, worker, &rejected);
}

void lum__record_pieces_account(struct lum__record_pieces *pieces, uint64_t *rows_read, uint64_t *rows_rejected,
                                uint64_t *bytes_read)
{
    *rows_read = atomic_load_explicit(&pieces->rows_read, memory_order_relaxed);
    *rows_rejected = atomic_load_explicit(&pieces->rows_rejected, memory_order_relaxed);
    *bytes_read = pieces->data_offset + atomic_load_explicit(&pieces->bytes_read, memory_order_relaxed);
}

void lum__record_pieces_init(struct lum__record_pieces *pieces, const struct lum__input_bytes *input,
                             uint64_t data_offset, size_t record_bytes, uint64_t row_count,
                             const struct lum__reject_sink *rejects)
{
    LUM_ASSERT(record_bytes > 0 && record_bytes <= LUM__RECORD_PIECE_BYTES_MAX);
    pieces->input = *input;
    pieces->data_offset = data_offset;
    pieces->record_bytes = record_bytes;
    pieces->row_count = row_count;
    pieces->rejects = rejects;
}

void lum__record_pieces_fini(struct lum__record_pieces *pieces)
{
    for (uint32_t i = 0; i < LUM__SOURCE_WORKERS_MAX; ++i) {
        if (pieces->workers[i] == NULL) continue;
        free(pieces->workers[i]->buffer);
        free(pieces->workers[i]);
    }
}
