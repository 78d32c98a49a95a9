/* The beginning of a CSV stream: byte order mark, is it text at all, the columns. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "formats/csv_source_private.h"

enum { HEADER_BYTES_MAX = 1024 * 1024 };

/* A first row with control bytes is no header and no row of numbers: most likely not a text file at all. */
static lum_status check_text(const struct lum__csv_source *source, size_t byte_count)
{
    char reason[120];

    for (size_t i = 0; i < byte_count; ++i) {
        uint8_t c = source->pieces.rest[i];
        if (c >= 0x20 || c == '\t' || c == '\n' || c == '\r' || c == (uint8_t)source->delimiter) continue;
        (void)snprintf(reason, sizeof reason, "this is not CSV text: its first row has the control byte 0x%02x", c);
        return lum__text_pieces_fail_not_text(&source->pieces, source->pieces.offset + i, reason);
    }
    return LUM_OK;
}

/* Reads on until `rest` holds the whole first row; *bytes up to its end, 0 if the stream has no row. */
static lum_status find_first_row(struct lum__csv_source *source, struct lum__row_scanner *scanner, size_t *bytes)
{
    size_t scanned = 0;

    for (;;) {
        scanned += lum__csv_scan(scanner, source->pieces.rest + scanned, source->pieces.rest_bytes - scanned, 1);
        *bytes = scanned;
        if (scanner->rows == 1) return LUM_OK;
        if (source->pieces.stream_ended) {
            if (!scanner->in_row) *bytes = 0;
            return LUM_OK;
        }
        LUM_TRY(check_text(source, scanned)); /* rubbish is better told from its bytes than from its length */
        if (scanned >= HEADER_BYTES_MAX || scanned == source->pieces.piece_bytes_max)
            return lum__text_pieces_fail_not_text(&source->pieces, 0, "this is not CSV: its first row does not end within 1 MiB");
        LUM_TRY(lum__text_pieces_read_more(&source->pieces));
    }
}

static lum_status count_columns(const struct lum__csv_source *source, size_t bytes, uint32_t *out)
{
    struct lum__csv_cursor cursor;
    struct lum__csv_field field;

    *out = 0;
    lum__csv_cursor_init(&cursor, source->delimiter, source->pieces.rest, source->pieces.rest + bytes);
    (void)lum__csv_next_row(&cursor);
    do {
        lum__csv_next_field(&cursor, &field);
        ++*out;
        if (field.error == LUM__CSV_OK) continue;
        uint64_t offset = (uint64_t)(field.text - source->pieces.rest);
        lum_status status = lum__fail_at(__FILE__, __LINE__, LUM_ERR_INPUT, 0, source->name, source->pieces.offset + offset, 0,
                                         "column %u of the first row %s", *out, lum__csv_error_text(field.error));
        lum__error_set_line(source->pieces.line + lum__count_lines(source->pieces.rest, offset, false));
        return status;
    } while (!field.row_ended);
    return LUM_OK;
}

static lum_status take_names(struct lum__csv_source *source, size_t bytes)
{
    struct lum__csv_cursor cursor;
    struct lum__csv_field field;
    void *memory;

    LUM_TRY(lum__alloc(bytes + 1, &memory));
    source->header_text = memory;
    char *text = memory;
    lum__csv_cursor_init(&cursor, source->delimiter, source->pieces.rest, source->pieces.rest + bytes);
    (void)lum__csv_next_row(&cursor);
    for (uint32_t column = 0; column < source->columns.count; ++column) {
        lum__csv_next_field(&cursor, &field);
        size_t length = lum__csv_unescape(&field, text);
        char *name = text;
        text += length + 1; /* there is room: a delimiter or the row's end stood behind each name */
        while (length > 0 && (name[length - 1] == ' ' || name[length - 1] == '\t')) --length;
        while (length > 0 && (*name == ' ' || *name == '\t')) ++name, --length;
        name[length] = '\0';
        source->names[column] = name;
        source->lengths[column] = length;
    }
    return LUM_OK;
}

/* Puts the LF of a CRLF to the first row, and keeps the row for files of refused rows. */
static lum_status keep_header(struct lum__csv_source *source, size_t *bytes)
{
    struct lum__text_pieces *pieces = &source->pieces;
    size_t begin = 0;
    void *memory;

    if (pieces->rest[*bytes - 1] == '\r') {
        if (*bytes == pieces->rest_bytes && !pieces->stream_ended && *bytes < pieces->piece_bytes_max)
            LUM_TRY(lum__text_pieces_read_more(pieces));
        if (*bytes < pieces->rest_bytes && pieces->rest[*bytes] == '\n') ++*bytes;
    }
    while (lum__csv_is_line_end(pieces->rest[begin])) ++begin; /* empty lines before it */
    LUM_TRY(lum__alloc(*bytes - begin, &memory));
    source->header = memcpy(memory, pieces->rest + begin, *bytes - begin);
    source->shown.reject_header = source->header;
    source->shown.reject_header_bytes = *bytes - begin;
    return LUM_OK;
}

lum_status lum__csv_read_header(struct lum__csv_source *source, bool no_header)
{
    struct lum__row_scanner scanner = {.delimiter = source->delimiter};
    size_t bytes;
    void *memory;

    LUM_TRY(lum__text_pieces_drop_byte_order_mark(&source->pieces));
    LUM_TRY(find_first_row(source, &scanner, &bytes));
    source->shown.is_empty = bytes == 0;
    if (source->shown.is_empty) return LUM_OK;
    LUM_TRY(check_text(source, bytes));
    LUM_TRY(count_columns(source, bytes, &source->columns.count));
    LUM_TRY(lum__alloc_zeroed(source->columns.count, sizeof *source->names, &memory));
    source->names = memory;
    LUM_TRY(lum__alloc_zeroed(source->columns.count, sizeof *source->lengths, &memory));
    source->lengths = memory;
    source->columns.names = source->names;
    source->columns.lengths = source->lengths;
    source->columns.has_names = !no_header;
    if (no_header) return LUM_OK;
    LUM_TRY(take_names(source, bytes));
    LUM_TRY(keep_header(source, &bytes));
    lum__text_pieces_drop(&source->pieces, bytes, scanner.rows == 1 ? scanner.row_end_lines : scanner.lines);
    return LUM_OK;
}
