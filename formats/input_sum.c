#include "formats/input_sum.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "formats/record_pieces.h"
#include "formats/text_pieces.h"

enum { SKIP_BYTES = 256 * 1024 };

uint32_t lum__input_sum(uint32_t previous, const void *bytes, size_t byte_count) { return lum__crc32c(previous, bytes, byte_count); }

uint32_t lum__input_sum_combine(uint32_t sum_a, uint32_t sum_b, uint64_t bytes_b) { return lum__crc32c_combine(sum_a, sum_b, bytes_b); }

static struct lum__input_point text_point(const struct lum__text_pieces *pieces)
{
    return (struct lum__input_point){pieces->offset, pieces->rows_cut, pieces->line, pieces->last_was_cr};
}

static struct lum__input_point record_point(const struct lum__record_pieces *pieces)
{
    return (struct lum__input_point){
        .bytes = pieces->data_offset + pieces->rows_cut * pieces->record_bytes, .rows = pieces->rows_cut, .line = 1};
}

void lum__input_front(const struct lum__row_source *source, struct lum__input_part *out)
{
    if (source->text != NULL)
        *out = (struct lum__input_part){source->text->offset, source->text->front_sum, text_point(source->text)};
    else
        *out = (struct lum__input_part){source->records->data_offset, source->records->front_sum, record_point(source->records)};
}

void lum__input_piece(const struct lum__row_source *source, uint32_t worker, struct lum__input_part *out)
{
    if (source->text != NULL) {
        *out = (struct lum__input_part){.bytes = source->text->workers[worker]->bytes, .end = text_point(source->text)};
    } else {
        const struct lum__record_pieces *pieces = source->records;
        *out = (struct lum__input_part){.bytes = pieces->workers[worker]->rows_left * pieces->record_bytes, .end = record_point(pieces)};
    }
}

uint32_t lum__input_piece_sum(const struct lum__row_source *source, uint32_t worker)
{
    return source->text != NULL ? source->text->workers[worker]->sum : source->records->workers[worker]->sum;
}

void lum__input_tail(const struct lum__row_source *source, struct lum__input_part *out)
{
    *out = (struct lum__input_part){0};
    if (source->text != NULL) {
        *out = (struct lum__input_part){source->text->tail_bytes, source->text->tail_sum, text_point(source->text)};
        out->end.bytes += out->bytes;
    } else {
        out->end = record_point(source->records);
    }
}

/* ------------------------------------------------------------------------------------------------------- skipping */

static lum_status skip_text(struct lum__text_pieces *pieces, uint64_t wanted, uint8_t *buffer, struct lum__input_part *out)
{
    while (out->bytes < wanted && !(pieces->stream_ended && pieces->rest_bytes == 0)) {
        uint64_t left = wanted - out->bytes;
        size_t got = pieces->rest_bytes;
        if (got > 0) {
            if (got > left) got = (size_t)left;
            out->sum = lum__crc32c(out->sum, pieces->rest, got);
            lum__text_pieces_drop(pieces, got, 0);
        } else {
            LUM_TRY(pieces->read(pieces->read_context, buffer, left < SKIP_BYTES ? (size_t)left : SKIP_BYTES, &got));
            pieces->stream_ended = got == 0;
            out->sum = lum__crc32c(out->sum, buffer, got);
            pieces->offset += got;
        }
        out->bytes += got;
    }
    atomic_fetch_add_explicit(&pieces->bytes_read, out->bytes, memory_order_relaxed);
    return LUM_OK;
}

static lum_status skip_records(struct lum__record_pieces *pieces, uint64_t wanted, uint8_t *buffer, struct lum__input_part *out)
{
    size_t got = 1;
    while (out->bytes < wanted && got > 0) {
        uint64_t left = wanted - out->bytes;
        LUM_TRY(lum__record_input_read(&pieces->input, pieces->data_offset + out->bytes, buffer, left < SKIP_BYTES ? (size_t)left : SKIP_BYTES, &got));
        out->sum = lum__crc32c(out->sum, buffer, got);
        out->bytes += got;
    }
    atomic_fetch_add_explicit(&pieces->bytes_read, out->bytes, memory_order_relaxed);
    return LUM_OK;
}

lum_status lum__input_skip(struct lum__row_source *source, const struct lum__input_point *to, struct lum__input_part *out)
{
    void *buffer;
    struct lum__input_part front;

    *out = (struct lum__input_part){0};
    lum__input_front(source, &front);
    if (to != NULL && to->bytes < front.bytes) return LUM_OK; /* another header: nothing fits */
    uint64_t wanted = to != NULL ? to->bytes - front.bytes : UINT64_MAX;
    LUM_TRY(lum__alloc(SKIP_BYTES, &buffer));
    lum_status status =
        source->text != NULL ? skip_text(source->text, wanted, buffer, out) : skip_records(source->records, wanted, buffer, out);
    free(buffer);
    LUM_TRY(status);
    if (to != NULL && source->text != NULL) {
        source->text->rows_cut = to->rows;
        source->text->line = to->line;
        source->text->last_was_cr = to->follows_cr;
    } else if (source->text == NULL) {
        /* What does not stand at a record's end is no place of ours: the sums or the lengths will differ. */
        source->records->rows_cut = out->bytes / source->records->record_bytes;
        if (to == NULL) source->records->stream_ended = true;
    }
    out->end = source->text != NULL ? text_point(source->text) : record_point(source->records);
    return LUM_OK;
}
