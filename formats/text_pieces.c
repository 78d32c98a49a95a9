#include "formats/text_pieces.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "lum/lum.h"

enum {
    READ_BYTES = 256 * 1024,
    READ_BYTES_FIRST = 64 * 1024,
    READ_BYTES_LEAST = 4096,
    /* A piece that holds so much ends with its next whole page of rows: more would not fit the processor's caches, and would
     * be read and parsed more slowly. */
    PIECE_BYTES_USUAL = 2 * 1024 * 1024,
    PAGE_ROWS = LUM_CHUNK_LUMS_MIN,
    PIECE_ROWS_LEAST = 4 * PAGE_ROWS,
    PIECE_BYTES_MORE = 1 /* read beyond a full piece to see whether an LF follows its last CR */
};

lum_status lum__text_pieces_init(struct lum__text_pieces *pieces, const struct lum__input_bytes *input,
                                 uint64_t piece_bytes_max, lum__scan_rows scan, char delimiter, const char *format_name)
{
    *pieces = (struct lum__text_pieces){.name = input->name,
                                        .format_name = format_name,
                                        .read = input->read,
                                        .read_context = input->read_context,
                                        .scan = scan,
                                        .delimiter = delimiter,
                                        .piece_bytes_max = piece_bytes_max,
                                        .line = 1};
    if (piece_bytes_max == 0) pieces->piece_bytes_max = LUM__PIECE_BYTES_DEFAULT;
    if (pieces->piece_bytes_max < LUM__PIECE_BYTES_MIN)
        return lum__fail(LUM_ERR_ARGUMENT, "piece_bytes_max is at least %d", LUM__PIECE_BYTES_MIN);
    return LUM_OK;
}

static void free_buffer(struct lum__text_pieces *pieces, uint32_t worker)
{
    if (pieces->workers[worker] == NULL) return;
    free(pieces->workers[worker]->memory);
    pieces->workers[worker]->memory = pieces->workers[worker]->buffer = NULL;
}

void lum__text_pieces_fini(struct lum__text_pieces *pieces)
{
    for (uint32_t worker = 0; worker < LUM__SOURCE_WORKERS_MAX; ++worker) {
        free_buffer(pieces, worker);
        free(pieces->workers[worker]);
    }
    free(pieces->rest);
}

/* --------------------------------------------------------------------------------------------- the stream's front */

lum_status lum__text_pieces_read_more(struct lum__text_pieces *pieces)
{
    void *memory = pieces->rest;
    size_t got, room = pieces->piece_bytes_max - pieces->rest_bytes;

    LUM_ASSERT(room > 0);
    if (room > READ_BYTES_FIRST) room = READ_BYTES_FIRST;
    LUM_TRY(lum__grow(&memory, &pieces->rest_capacity, pieces->rest_bytes + room + LUM__TEXT_SLACK, 1));
    pieces->rest = memory;
    LUM_TRY(pieces->read(pieces->read_context, pieces->rest + pieces->rest_bytes, room, &got));
    pieces->stream_ended = got == 0;
    pieces->rest_bytes += got;
    return LUM_OK;
}

void lum__text_pieces_drop(struct lum__text_pieces *pieces, size_t byte_count, uint64_t lines)
{
    if (byte_count == 0) return;
    pieces->last_was_cr = pieces->rest[byte_count - 1] == '\r';
    pieces->front_sum = lum__crc32c(pieces->front_sum, pieces->rest, byte_count);
    pieces->rest_bytes -= byte_count;
    memmove(pieces->rest, pieces->rest + byte_count, pieces->rest_bytes);
    pieces->offset += byte_count;
    pieces->line += lines;
}

lum_status lum__text_pieces_fail_not_text(const struct lum__text_pieces *pieces, uint64_t offset, const char *reason)
{
    lum_status status = lum__fail_at(__FILE__, __LINE__, LUM_ERR_INPUT, 0, pieces->name, offset, 0, "%s", reason);
    lum__error_set_remedy("give a %s file in UTF-8 or another ASCII-based encoding, plain or compressed with gzip, "
                          "bzip2, xz, zstd or lz4",
                          pieces->format_name);
    return status;
}

lum_status lum__text_pieces_drop_byte_order_mark(struct lum__text_pieces *pieces)
{
    while (pieces->rest_bytes < 3 && !pieces->stream_ended) LUM_TRY(lum__text_pieces_read_more(pieces));
    if (pieces->rest_bytes >= 2 &&
        (memcmp(pieces->rest, "\xff\xfe", 2) == 0 || memcmp(pieces->rest, "\xfe\xff", 2) == 0))
        return lum__text_pieces_fail_not_text(pieces, 0, "this is UTF-16 or UTF-32 text, not UTF-8");
    if (pieces->rest_bytes >= 3 && memcmp(pieces->rest, "\xef\xbb\xbf", 3) == 0) lum__text_pieces_drop(pieces, 3, 0);
    return LUM_OK;
}

/* ------------------------------------------------------------------------------------------------- cutting pieces */

static lum_status get_piece(struct lum__text_pieces *pieces, uint32_t worker, struct lum__text_piece **out)
{
    struct lum__text_piece *piece = pieces->workers[worker];
    void *memory;

    *out = NULL;
    if (piece == NULL) {
        LUM_TRY(lum__alloc_zeroed(1, sizeof *piece, &memory));
        piece = pieces->workers[worker] = memory;
    }
    if (piece->buffer == NULL) {
        /* All at once: untouched memory costs nothing, and rows never move while they are parsed. */
        LUM_TRY(lum__alloc_huge(LUM__TEXT_SLACK + pieces->piece_bytes_max + PIECE_BYTES_MORE + LUM__TEXT_SLACK, &memory));
        piece->memory = memory;
        piece->buffer = piece->memory + LUM__TEXT_SLACK;
        memset(piece->memory, 0, LUM__TEXT_SLACK);
    }
    *out = piece;
    return LUM_OK;
}

/* Keeps what was read behind a piece's last row for the next one. */
static lum_status keep_rest(struct lum__text_pieces *pieces, const uint8_t *bytes, size_t byte_count)
{
    void *memory = pieces->rest;

    LUM_TRY(lum__grow(&memory, &pieces->rest_capacity, byte_count, 1));
    pieces->rest = memory;
    if (byte_count > 0) memcpy(pieces->rest, bytes, byte_count);
    pieces->rest_bytes = byte_count;
    return LUM_OK;
}

static lum_status fail_long_row(struct lum__text_pieces *pieces)
{
    lum_status status =
        lum__fail_at(__FILE__, __LINE__, LUM_ERR_INPUT, 0, pieces->name, pieces->offset, 0,
                     "the row that begins here is longer than %llu bytes", (unsigned long long)pieces->piece_bytes_max);
    lum__error_set_line(pieces->line);
    lum__error_set_remedy("look for a quote that is never closed, in this row or before it");
    return status;
}

static lum_status read_into(struct lum__text_pieces *pieces, struct lum__text_piece *piece, size_t room, size_t *filled)
{
    size_t got;

    LUM_TRY(pieces->read(pieces->read_context, piece->buffer + *filled, room < READ_BYTES ? room : READ_BYTES, &got));
    LUM_ASSERT(got <= room);
    pieces->stream_ended = got == 0;
    *filled += got;
    return LUM_OK;
}

/* A row that ended with the CR of a CRLF has its LF in the same piece, so that a refused row is whole. */
static lum_status take_line_feed(struct lum__text_pieces *pieces, struct lum__text_piece *piece, size_t *filled,
                                 size_t *bytes_used)
{
    if (*bytes_used == 0 || piece->buffer[*bytes_used - 1] != '\r') return LUM_OK;
    if (*bytes_used == *filled && !pieces->stream_ended) LUM_TRY(read_into(pieces, piece, PIECE_BYTES_MORE, filled));
    if (*bytes_used < *filled && piece->buffer[*bytes_used] == '\n') ++*bytes_used;
    return LUM_OK;
}

/* Of a piece that holds so much: how many rows it will have. */
static uint64_t end_of_piece(size_t filled, uint64_t rows, uint64_t rows_max)
{
    if (filled < PIECE_BYTES_USUAL || rows < PIECE_ROWS_LEAST) return rows_max;
    uint64_t end = (rows + PAGE_ROWS - 1) / PAGE_ROWS * PAGE_ROWS;
    return end < rows_max ? end : rows_max;
}

/* Not many more than the rows that are still wanted will take: what is behind them is copied for the next piece. */
static size_t bytes_to_read(const struct lum__text_pieces *pieces, size_t filled, uint64_t rows, uint64_t rows_max)
{
    size_t room = pieces->piece_bytes_max - filled;
    if (rows == 0 || rows_max - rows >= READ_BYTES) return room;
    uint64_t wanted = (rows_max - rows) * (filled / rows + 1) + READ_BYTES_LEAST;
    return wanted < room ? (size_t)wanted : room;
}

/* Reads until the piece holds rows_max rows, or as many as it should or can hold, or the stream's last. *bytes_used is behind the last
 * row. */
static lum_status read_rows(struct lum__text_pieces *pieces, struct lum__text_piece *piece, uint64_t rows_max,
                            struct lum__row_scanner *scanner, size_t *bytes_used)
{
    size_t scanned = 0, filled = pieces->rest_bytes;

    *bytes_used = 0;
    if (filled > 0) memcpy(piece->buffer, pieces->rest, filled);
    pieces->rest_bytes = 0;
    for (;;) {
        scanned += pieces->scan(scanner, piece->buffer + scanned, filled - scanned, rows_max);
        rows_max = end_of_piece(filled, scanner->rows, rows_max);
        if (scanner->rows == rows_max) break;
        LUM_ASSERT(scanned == filled);
        if (pieces->stream_ended) break;
        if (filled == pieces->piece_bytes_max) {
            if (scanner->rows == 0) return fail_long_row(pieces);
            break;
        }
        LUM_TRY(read_into(pieces, piece, bytes_to_read(pieces, filled, scanner->rows, rows_max), &filled));
    }
    uint64_t lines = scanner->row_end_lines;
    *bytes_used = scanner->row_end;
    if (pieces->stream_ended && scanned == filled && scanner->rows < rows_max) {
        scanner->rows += scanner->in_row; /* the last row needs no line end */
        *bytes_used = filled;
        lines = scanner->lines + scanner->in_row;
    }
    piece->is_line_a_row = lines == scanner->rows;
    LUM_TRY(take_line_feed(pieces, piece, &filled, bytes_used));
    return keep_rest(pieces, piece->buffer + *bytes_used, filled - *bytes_used);
}

static lum_status cut_piece(struct lum__text_pieces *pieces, uint32_t worker, uint64_t rows_max,
                            struct lum__text_piece **out)
{
    struct lum__row_scanner scanner = {.delimiter = pieces->delimiter, .last_was_cr = pieces->last_was_cr};
    struct lum__text_piece *piece;
    size_t bytes;

    LUM_TRY(get_piece(pieces, worker, &piece));
    LUM_TRY(read_rows(pieces, piece, rows_max, &scanner, &bytes));
    if (scanner.rows == 0) {
        pieces->tail_bytes += bytes; /* asked again, there is no more */
        pieces->tail_sum = lum__crc32c(pieces->tail_sum, piece->buffer, bytes);
        free_buffer(pieces, worker);
        return LUM_END;
    }
    piece->bytes = bytes;
    piece->offset = pieces->offset;
    piece->line = pieces->line;
    piece->follows_cr = pieces->last_was_cr;
    piece->first_row = pieces->rows_cut;
    piece->row_count = scanner.rows;
    piece->summed = piece->buffer;
    piece->sum = 0;

    pieces->rows_cut += scanner.rows;
    pieces->offset += bytes;
    pieces->line += scanner.row_end_lines; /* after an unended last row nobody asks any more */
    pieces->last_was_cr = piece->buffer[bytes - 1] == '\r';
    atomic_fetch_add_explicit(&pieces->bytes_read, bytes, memory_order_relaxed); /* a counter, orders nothing */
    *out = piece;
    return LUM_OK;
}

lum_status lum__text_pieces_open(struct lum__text_pieces *pieces, uint32_t worker, uint64_t rows_max, lum_piece *out,
                                 const struct lum__text_piece **piece)
{
    struct lum__text_piece *cut = NULL;

    *out = (lum_piece){0};
    *piece = NULL;
    if (worker >= LUM__SOURCE_WORKERS_MAX || rows_max == 0)
        return lum__fail(LUM_ERR_ARGUMENT, "a %s source takes workers below %d and at least one row a piece",
                         pieces->format_name, LUM__SOURCE_WORKERS_MAX);
    if (pieces->failure.status != LUM_OK) { /* the stream broke off: it does not come back */
        lum__error_restore(&pieces->failure);
        return pieces->failure.status;
    }
    lum_status status = cut_piece(pieces, worker, rows_max, &cut);
    if (status != LUM_OK) {
        if (status == LUM_END) return status;
        if (lum__error_last()->status != status) /* the reader of the input has said nothing: what is there is older */
            (void)!lum__fail(status, "reading the %s input answered %s", pieces->format_name, lum_status_name(status));
        pieces->failure = *lum__error_last();
        return status;
    }
    out->first_row = cut->first_row;
    out->row_count = cut->row_count;
    *piece = cut;
    return LUM_OK;
}

void lum__text_pieces_sum(struct lum__text_pieces *pieces, uint32_t worker, const uint8_t *at, uint64_t rows_left)
{
    struct lum__text_piece *piece = pieces->workers[worker];

    if (!pieces->sums) return;
    const uint8_t *end = rows_left > 0 ? at : piece->buffer + piece->bytes;
    piece->sum = lum__crc32c(piece->sum, piece->summed, (size_t)(end - piece->summed));
    piece->summed = end;
}

uint64_t lum__line_counter_go(struct lum__line_counter *counter, const uint8_t *at)
{
    LUM_ASSERT(at >= counter->at);
    if (at == counter->at) return counter->line;
    counter->line += lum__count_lines(counter->at, (size_t)(at - counter->at), counter->follows_cr);
    counter->follows_cr = at[-1] == '\r';
    counter->at = at;
    return counter->line;
}
