/* formats/record_pieces.h - records of one length, back to back, cut into pieces: what the readers of raw and npy
 * share.
 *
 * In a regular file the place of every record is known: opening a piece only counts, and any number of workers read
 * their own records at the same time, a page's worth at once. A stream is read when a piece is opened, by one worker at
 * a time, into the worker's own buffer (at most LUM__RECORD_PIECE_BYTES_MAX). */
#ifndef LUM_FORMATS_RECORD_PIECES_H
#define LUM_FORMATS_RECORD_PIECES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "formats/row_fault.h"
#include "formats/row_source.h"

enum { LUM__RECORD_PIECE_BYTES_MAX = 16 * 1024 * 1024 }; /* also the longest record */

struct lum__record_worker {
    uint8_t *buffer; /* of a stream: the piece; of a file: what was read last */
    size_t buffer_bytes;
    size_t used_bytes;  /* of a stream's piece */
    uint64_t row_next;  /* number of the next record, from 0 */
    uint64_t rows_left; /* of the piece */
    uint32_t sum;       /* CRC-32C of those before row_next, where pieces are summed */
};

struct lum__record_pieces {
    /* immutable after init */
    struct lum__input_bytes input; /* name lent */
    uint64_t data_offset;          /* of the first record */
    size_t record_bytes;
    uint64_t row_count; /* LUM_ROWS_UNKNOWN: as many as the stream has */
    const struct lum__reject_sink *rejects;
    bool sums;          /* these two are set after init */
    uint32_t front_sum; /* of what is before data_offset */

    /* lum__record_pieces_open() only, one thread at a time */
    uint64_t rows_cut;
    bool stream_ended;
    struct lum__error failure;                                   /* the stream's, for every later call */
    struct lum__record_worker *workers[LUM__SOURCE_WORKERS_MAX]; /* each entry: also its worker's */

    /* any worker; counters, they order nothing */
    _Atomic uint64_t rows_read, rows_rejected, bytes_read;
};

/* Reads exactly byte_count bytes in front of the records, at an offset; fewer only at the end of the input. */
lum_status lum__record_input_read(const struct lum__input_bytes *input, uint64_t offset, uint8_t *out,
                                  size_t byte_count, size_t *got);

/* The input stands at data_offset. input->name, rejects: lent. The length of a file must be right: the caller compares.
 */
void lum__record_pieces_init(struct lum__record_pieces *pieces, const struct lum__input_bytes *input,
                             uint64_t data_offset, size_t record_bytes, uint64_t row_count,
                             const struct lum__reject_sink *rejects);
void lum__record_pieces_fini(struct lum__record_pieces *pieces); /* all zero is fine */

/* A lum_source's open_piece() and account(). */
lum_status lum__record_pieces_open(struct lum__record_pieces *pieces, uint32_t worker, uint64_t rows_max,
                                   lum_piece *out);
void lum__record_pieces_account(struct lum__record_pieces *pieces, uint64_t *rows_read, uint64_t *rows_rejected,
                                uint64_t *bytes_read);

/* The worker's next records, at most rows_max and what is left of its piece (then *count = 0); *first_row is the number
 * of the first. *bytes is lent until the worker's next call. own, where given, has room for them and may be where they
 * are. */
lum_status lum__record_pieces_next(struct lum__record_pieces *pieces, uint32_t worker, size_t rows_max, uint8_t *own,
                                   const uint8_t **bytes, size_t *count, uint64_t *first_row);

/* A bad record (fault->at points into it): tells it, LUM_OK, or ends the load. */
lum_status lum__record_pieces_refuse(struct lum__record_pieces *pieces, uint32_t worker, uint64_t row,
                                     const uint8_t *record, const struct lum__row_fault *fault);

#endif
