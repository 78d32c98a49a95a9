/* formats/csv_source_private.h - what csv_source.c, csv_header.c and csv_error.c share. Nobody else includes it. */
#ifndef LUM_FORMATS_CSV_SOURCE_PRIVATE_H
#define LUM_FORMATS_CSV_SOURCE_PRIVATE_H

#include <stdatomic.h>

#include "base/status.h"
#include "formats/csv.h"
#include "formats/csv_cursor.h"
#include "formats/csv_source.h"

/* A worker's rows: written by open_piece(), then only touched by that worker's fill(). */
struct lum__csv_piece {
    uint8_t *buffer;   /* piece_bytes_max + LUM__CSV_SLACK */
    size_t bytes;      /* whole rows and empty lines */
    uint64_t offset;   /* of buffer[0] in the stream */
    uint64_t line;     /* line number, from 1, of buffer[0] */
    bool follows_cr;   /* the byte before buffer[0] is a CR */
    uint64_t next_row; /* number of the next row, from 0 */
    uint64_t rows_left;
    struct lum__csv_cursor cursor;
};

struct lum__csv_source {
    /* immutable after opening */
    lum_source source;
    char *name;
    lum__read_bytes read;
    void *read_context;
    char delimiter;
    bool round;
    bool is_empty;
    char *null_text;
    size_t null_text_length;
    uint64_t piece_bytes_max;
    char *header_text; /* the unescaped names, one behind the other */
    const char **names;
    size_t *lengths;
    struct lum__mapping_columns columns;
    struct lum__mapping_plan plan;
    char *mapping_text;

    /* open_piece() only, one worker at a time */
    uint8_t *rest; /* read, but behind the last piece */
    size_t rest_bytes;
    size_t rest_capacity;
    bool stream_ended;
    bool last_was_cr; /* the byte before rest[0] is a CR */
    uint64_t offset;  /* of rest[0] in the stream */
    uint64_t line;    /* of rest[0] */
    uint64_t rows_cut;
    struct lum__error failure;                                  /* the stream's, for every later call */
    struct lum__csv_piece *pieces[LUM__CSV_SOURCE_WORKERS_MAX]; /* each entry: also its worker's fill() */

    /* any worker */
    _Atomic uint64_t rows_read;
    _Atomic uint64_t rows_rejected;
    _Atomic uint64_t bytes_read;
};

/* csv_header.c: reads up to the first row, checks that it can be CSV, takes the columns' names from it (no_header:
 * their number, and leaves the row in `rest`). */
lum_status lum__csv_read_header(struct lum__csv_source *source, bool no_header);

/* csv_error.c: describe why a row was refused. All return LUM_ERR_INPUT. */
lum_status lum__csv_fail_quotes(const struct lum__csv_source *source, const struct lum__csv_piece *piece,
                                const struct lum__csv_field *field, uint32_t column);
lum_status lum__csv_fail_field(const struct lum__csv_source *source, const struct lum__csv_piece *piece,
                               const struct lum__mapping_rule *rule, const struct lum__csv_field *field,
                               enum lum__number_error error, size_t at);
lum_status lum__csv_fail_count(const struct lum__csv_source *source, const struct lum__csv_piece *piece,
                               const uint8_t *row_begin, uint32_t field_count);
lum_status lum__csv_fail_checksum(const struct lum__csv_source *source, const struct lum__csv_piece *piece,
                                  const uint8_t *row_begin, uint32_t given, uint32_t computed);

#endif
