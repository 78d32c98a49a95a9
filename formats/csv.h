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
#include "formats/row_scan.h"
#include "lum/lum.h"

/* ---------------------------------------------------------------------------------------------------------- writing */

enum { LUM__CSV_ROW_BYTES_MAX = 160, LUM__CSV_HEADER_BYTES_MAX = 160 };

/* The names of `fields`, or rows of them, ended by LF; structure types as numbers. out has room for
 * LUM__CSV_HEADER_BYTES_MAX, or row_count * LUM__CSV_ROW_BYTES_MAX bytes; returns the bytes written. At least one
 * field, each at most once. */
size_t lum__csv_write_header(uint8_t *out, char delimiter, const enum lum__field *fields, size_t field_count);
size_t lum__csv_write_rows(uint8_t *out, char delimiter, const enum lum__field *fields, size_t field_count,
                           const lum_t *rows, size_t row_count);

#endif
