/* formats/row_scan.h - where the rows of a text end. Lines are counted as editors do: LF, CRLF and lone CR. */
#ifndef LUM_FORMATS_ROW_SCAN_H
#define LUM_FORMATS_ROW_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LUM__TEXT_SLACK = 64 }; /* bytes around a text that readers may touch; their content does not matter */

/* Finds row ends in a stream that arrives in blocks of any size. Begin with all zero and, for CSV, the delimiter. */
struct lum__row_scanner {
    char delimiter;
    bool in_quotes;
    bool quote_pending;     /* the last byte was a quote inside of quotes: it closes, or is the first half of "" */
    bool last_was_cr;       /* for counting CRLF as one line end */
    bool in_field;          /* the last byte belongs to an unquoted field: a quote would open nothing */
    bool in_row;            /* bytes of a row stand behind the last row end */
    uint64_t rows;          /* rows that ended so far; empty lines are none */
    uint64_t lines;         /* line ends so far */
    uint64_t offset;        /* bytes scanned so far */
    uint64_t row_end;       /* offset behind the end of the last row that ended */
    uint64_t row_end_lines; /* line ends up to row_end */
};

/* Scans bytes until scanner->rows is rows_max or all of them are done; returns how many were used: all, or up to and
 * with the end of the row that made rows_max. */
typedef size_t (*lum__scan_rows)(struct lum__row_scanner *scanner, const uint8_t *bytes, size_t byte_count,
                                 uint64_t rows_max);

/* Every line end (LF, CRLF, lone CR) that follows something ends a row. */
size_t lum__lines_scan(struct lum__row_scanner *scanner, const uint8_t *bytes, size_t byte_count, uint64_t rows_max);
/* The same, but not inside of quotes: rows of CSV, by the rules of formats/csv.h. */
size_t lum__csv_scan(struct lum__row_scanner *scanner, const uint8_t *bytes, size_t byte_count, uint64_t rows_max);

/* Line ends in a text; last_was_cr: the byte before it is a CR. */
uint64_t lum__count_lines(const uint8_t *bytes, size_t byte_count, bool last_was_cr);

#endif
