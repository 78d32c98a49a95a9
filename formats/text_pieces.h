/* formats/text_pieces.h - a stream of text cut into pieces of whole rows: what the readers of csv and ndjson share.
 *
 * lum__text_pieces_open(), one worker at a time, reads the stream's next whole rows into the worker's own buffer; all
 * it looks for is where rows end, so that any number of workers parses at the same time. first_row and row_count of a
 * piece are exact. Memory: piece_bytes_max a worker plus what was read ahead of the last piece (at most the same again,
 * once a stream), touched only as far as rows need it. */
#ifndef LUM_FORMATS_TEXT_PIECES_H
#define LUM_FORMATS_TEXT_PIECES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "formats/row_scan.h"
#include "formats/row_source.h"

enum { LUM__PIECE_BYTES_MIN = 64 * 1024, LUM__PIECE_BYTES_DEFAULT = 16 * 1024 * 1024 };

/* A worker's rows: written by lum__text_pieces_open(), then only touched by that worker. */
struct lum__text_piece {
    uint8_t *memory;
    uint8_t *buffer; /* in memory, with LUM__TEXT_SLACK before it and behind what it holds */
    size_t bytes;    /* whole rows, with their line ends, and empty lines */
    uint64_t offset; /* of buffer[0] in the stream */
    uint64_t line;   /* line number, from 1, of buffer[0] */
    bool follows_cr; /* the byte before buffer[0] is a CR */
    uint64_t first_row, row_count;
    bool is_line_a_row; /* no row has several lines and none is empty: lines need not be counted */
    const uint8_t *summed; /* up to there */
    uint32_t sum;          /* CRC-32C of what is before it, where pieces are summed */
};

struct lum__text_pieces {
    /* immutable after init */
    const char *name;        /* of the stream; lent */
    const char *format_name; /* for messages: "CSV" */
    lum__read_bytes read;
    void *read_context;
    lum__scan_rows scan;
    char delimiter;
    uint64_t piece_bytes_max;
    bool sums; /* set after init */

    /* opening and lum__text_pieces_open() only, one thread at a time */
    uint8_t *rest; /* read, but behind the last piece */
    size_t rest_bytes, rest_capacity;
    bool stream_ended;
    bool last_was_cr; /* the byte before rest[0] is a CR */
    uint64_t offset;  /* of rest[0] in the stream */
    uint64_t line;    /* of rest[0] */
    uint64_t rows_cut;
    uint32_t front_sum;  /* of what the opening dropped */
    uint32_t tail_sum;   /* of what is behind the last row, once the stream is over */
    uint64_t tail_bytes;
    struct lum__error failure;                                /* the stream's, for every later call */
    struct lum__text_piece *workers[LUM__SOURCE_WORKERS_MAX]; /* each entry: also its worker's */

    _Atomic uint64_t bytes_read; /* of whole pieces; any thread reads it */
};

/* scan and delimiter: how rows end. format_name and input->name are lent. LUM_ERR_ARGUMENT for a piece_bytes_max that
 * is too small. */
lum_status lum__text_pieces_init(struct lum__text_pieces *pieces, const struct lum__input_bytes *input,
                                 uint64_t piece_bytes_max, lum__scan_rows scan, char delimiter,
                                 const char *format_name);
void lum__text_pieces_fini(struct lum__text_pieces *pieces); /* all zero is fine */

/* For the opening of a source, before the first piece: what stands at the front of the stream is in rest[0 ..
 * rest_bytes). Reads more of the stream; not when rest is piece_bytes_max long. */
lum_status lum__text_pieces_read_more(struct lum__text_pieces *pieces);
/* Passes over the first bytes of rest: a header of `lines` line ends. */
void lum__text_pieces_drop(struct lum__text_pieces *pieces, size_t byte_count, uint64_t lines);
/* Passes over a UTF-8 byte order mark; refuses UTF-16 and UTF-32. */
lum_status lum__text_pieces_drop_byte_order_mark(struct lum__text_pieces *pieces);
/* LUM_ERR_INPUT: this cannot be a text of that format, with the remedy that says what could. */
lum_status lum__text_pieces_fail_not_text(const struct lum__text_pieces *pieces, uint64_t offset, const char *reason);

/* A lum_source's open_piece(). Afterwards *piece is the worker's, until its next call. */
lum_status lum__text_pieces_open(struct lum__text_pieces *pieces, uint32_t worker, uint64_t rows_max, lum_piece *out,
                                 const struct lum__text_piece **piece);

/* Its worker has parsed the piece up to `at`, or to its end if it has no rows left: sums it, where that is asked for. */
void lum__text_pieces_sum(struct lum__text_pieces *pieces, uint32_t worker, const uint8_t *at, uint64_t rows_left);

/* Where bytes of a piece stand in the stream. Lines are counted from where the last call left off, where they have to
 * be: ask in the order of the piece. row: the number, from 0, of the row that the byte belongs to. */
struct lum__line_counter {
    const uint8_t *at;
    uint64_t line; /* of at */
    bool follows_cr;
};
static inline struct lum__line_counter lum__line_counter_begin(const struct lum__text_piece *piece)
{
    return (struct lum__line_counter){piece->buffer, piece->line, piece->follows_cr};
}
uint64_t lum__line_counter_go(struct lum__line_counter *counter, const uint8_t *at);
static inline uint64_t lum__text_piece_line(const struct lum__text_piece *piece, struct lum__line_counter *counter,
                                            uint64_t row, const uint8_t *at)
{
    return piece->is_line_a_row ? piece->line + (row - piece->first_row) : lum__line_counter_go(counter, at);
}
static inline uint64_t lum__text_piece_offset(const struct lum__text_piece *piece, const uint8_t *at)
{
    return piece->offset + (uint64_t)(at - piece->buffer);
}

#endif
