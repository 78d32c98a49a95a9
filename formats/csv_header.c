/* The beginning of a CSV stream: byte order mark, is it text at all, the columns. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "formats/csv_source_private.h"

enum { READ_BYTES = 64 * 1024, HEADER_BYTES_MAX = 1024 * 1024 };

/* Appends the next bytes of the stream to `rest`, with slack behind them; never more than a piece can take. */
static lum_status read_more(struct lum__csv_source *source)
{
    void *memory = source->rest;
    size_t got, room = source->piece_bytes_max - source->rest_bytes;

    LUM_ASSERT(room > 0);
    LUM_TRY(lum__grow(&memory, &source->rest_capacity, source->rest_bytes + READ_BYTES + LUM__CSV_SLACK, 1));
    source->rest = memory;
    LUM_TRY(source->read(source->read_context, source->rest + source->rest_bytes, room < READ_BYTES ? room : READ_BYTES,
                         &got));
    source->stream_ended = got == 0;
    source->rest_bytes += got;
    return LUM_OK;
}

static void drop_front(struct lum__csv_source *source, size_t byte_count)
{
    source->rest_bytes -= byte_count;
    memmove(source->rest, source->rest + byte_count, source->rest_bytes);
    source->offset += byte_count;
}

static lum_status fail_not_text(const struct lum__csv_source *source, uint64_t offset, const char *reason)
{
    lum_status status = lum__fail_at(__FILE__, __LINE__, LUM_ERR_INPUT, 0, source->name, offset, 0, "%s", reason);
    lum__error_set_remedy(
        "give a CSV file in UTF-8 or another ASCII-based encoding, plain or compressed with gzip, bzip2, "
        "xz, zstd or lz4");
    return status;
}

static lum_status take_byte_order_mark(struct lum__csv_source *source)
{
    while (source->rest_bytes < 3 && !source->stream_ended) LUM_TRY(read_more(source));
    if (source->rest_bytes >= 2 &&
        (memcmp(source->rest, "\xff\xfe", 2) == 0 || memcmp(source->rest, "\xfe\xff", 2) == 0))
        return fail_not_text(source, 0, "this is UTF-16 or UTF-32 text, not UTF-8");
    if (source->rest_bytes >= 3 && memcmp(source->rest, "\xef\xbb\xbf", 3) == 0) drop_front(source, 3);
    return LUM_OK;
}

/* A first row with control bytes is no header and no row of numbers: most likely not a text file at all. */
static lum_status check_text(const struct lum__csv_source *source, size_t byte_count)
{
    char reason[120];

    for (size_t i = 0; i < byte_count; ++i) {
        uint8_t c = source->rest[i];
        if (c >= 0x20 || c == '\t' || c == '\n' || c == '\r' || c == (uint8_t)source->delimiter) continue;
        (void)snprintf(reason, sizeof reason, "this is not CSV text: its first row has the control byte 0x%02x", c);
        return fail_not_text(source, source->offset + i, reason);
    }
    return LUM_OK;
}

/* Reads on until `rest` holds the whole first row; *bytes up to its end, 0 if the stream has no row. */
static lum_status find_first_row(struct lum__csv_source *source, struct lum__csv_scanner *scanner, size_t *bytes)
{
    size_t scanned = 0;

    for (;;) {
        scanned += lum__csv_scan(scanner, source->rest + scanned, source->rest_bytes - scanned, 1);
        *bytes = scanned;
        if (scanner->rows == 1) return LUM_OK;
        if (source->stream_ended) {
            if (!scanner->in_row) *bytes = 0;
            return LUM_OK;
        }
        LUM_TRY(check_text(source, scanned)); /* rubbish is better told from its bytes than from its length */
        if (scanned >= HEADER_BYTES_MAX || scanned == source->piece_bytes_max)
            return fail_not_text(source, 0, "this is not CSV: its first row does not end within 1 MiB");
        LUM_TRY(read_more(source));
    }
}

static lum_status count_columns(const struct lum__csv_source *source, size_t bytes, uint32_t *out)
{
    struct lum__csv_cursor cursor;
    struct lum__csv_field field;

    *out = 0;
    lum__csv_cursor_init(&cursor, source->delimiter, source->rest, source->rest + bytes);
    (void)lum__csv_next_row(&cursor);
    do {
        lum__csv_next_field(&cursor, &field);
        ++*out;
        if (field.error == LUM__CSV_OK) continue;
        uint64_t offset = (uint64_t)(field.text - source->rest);
        lum_status status = lum__fail_at(__FILE__, __LINE__, LUM_ERR_INPUT, 0, source->name, source->offset + offset, 0,
                                         "column %u of the first row %s", *out, lum__csv_error_text(field.error));
        lum__error_set_line(source->line + lum__csv_count_lines(source->rest, offset, false));
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
    lum__csv_cursor_init(&cursor, source->delimiter, source->rest, source->rest + bytes);
    (void)lum__csv_next_row(&cursor);
    for (uint32_t column = 0; column < source->columns.count; ++column) {
        lum__csv_next_field(&cursor, &field);
        size_t length = lum__csv_unescape(&field, text);
        const char *name = text;
        text += length;
        while (length > 0 && (name[length - 1] == ' ' || name[length - 1] == '\t')) --length;
        while (length > 0 && (*name == ' ' || *name == '\t')) ++name, --length;
        source->names[column] = name;
        source->lengths[column] = length;
    }
    return LUM_OK;
}

lum_status lum__csv_read_header(struct lum__csv_source *source, bool no_header)
{
    struct lum__csv_scanner scanner = {.delimiter = source->delimiter};
    size_t bytes;
    void *memory;

    LUM_TRY(take_byte_order_mark(source));
    LUM_TRY(find_first_row(source, &scanner, &bytes));
    source->is_empty = bytes == 0;
    if (source->is_empty) return LUM_OK;
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
    source->line += scanner.rows == 1 ? scanner.row_end_lines : scanner.lines;
    source->last_was_cr = source->rest[bytes - 1] == '\r';
    drop_front(source, bytes);
    return LUM_OK;
}
