/* formats/csv.h - the bytes of CSV (RFC 4180): where rows and fields begin and end, and LUMs as CSV.
 *
 * Reading follows RFC 4180 and, where that is silent, Python's csv module with strict=True:
 *  - A quote opens a quoted field only as its first byte; anywhere else in an unquoted field it is an ordinary byte.
 *    "" inside of quotes is a quote; delimiters and line ends inside of quotes belong to the field. Text behind a
 *    closing quote, or a quote that is never closed, is an error.
 *  - LF, CRLF and lone CR end a row; the last row needs none. Empty lines are no rows and are passed over.
 *  - A UTF-8 byte order mark at the start is for the caller to pass over. Text is not checked for UTF-8, and NUL is an
 *    ordinary byte, in columns that nobody asked for.
 * Lines are counted as editors do: LF, CRLF and lone CR, also inside of quotes. */
#ifndef LUM_FORMATS_CSV_H
#define LUM_FORMATS_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/field.h"
#include "lum/lum.h"

/* ---------------------------------------------------------------------------------------------- row boundaries */

/* Finds row ends in a stream that arrives in blocks of any size. Begin with all zero and the delimiter. */
struct lum__csv_scanner {
    char delimiter;
    bool in_quotes;
    bool quote_pending;     /* the last byte was a quote inside of quotes: it closes, or is the first half of "" */
    bool last_was_cr;       /* for counting CRLF as one line end */
    bool in_field;          /* the last byte belongs to an unquoted field: a quote would open nothing */
    bool in_row;            /* bytes of a row stand behind the last row end */
    uint64_t rows;          /* rows that ended so far */
    uint64_t lines;         /* line ends so far */
    uint64_t offset;        /* bytes scanned so far */
    uint64_t row_end;       /* offset behind the end of the last row that ended */
    uint64_t row_end_lines; /* line ends up to row_end */
};

/* Scans bytes until scanner->rows is rows_max or all of them are done; returns how many were used: all, or up to and
 * with the end of the row that made rows_max. */
size_t lum__csv_scan(struct lum__csv_scanner *scanner, const uint8_t *bytes, size_t byte_count, uint64_t rows_max);

/* Line ends in a text; last_was_cr: the byte before it is a CR. */
uint64_t lum__csv_count_lines(const uint8_t *bytes, size_t byte_count, bool last_was_cr);

/* ---------------------------------------------------------------------------------------------------------- writing */

enum { LUM__CSV_ROW_BYTES_MAX = 160, LUM__CSV_HEADER_BYTES_MAX = 160 };

/* The names of `fields`, or rows of them, ended by LF; structure types as numbers. out has room for
 * LUM__CSV_HEADER_BYTES_MAX, or row_count * LUM__CSV_ROW_BYTES_MAX bytes; returns the bytes written. At least one
 * field, each at most once. */
size_t lum__csv_write_header(uint8_t *out, char delimiter, const enum lum__field *fields, size_t field_count);
size_t lum__csv_write_rows(uint8_t *out, char delimiter, const enum lum__field *fields, size_t field_count,
                           const lum_t *rows, size_t row_count);

#endif
