/* formats/ndjson_private.h - what ndjson_source.c and ndjson_row.c share. Nobody else includes it. */
#ifndef LUM_FORMATS_NDJSON_PRIVATE_H
#define LUM_FORMATS_NDJSON_PRIVATE_H

#include <stdatomic.h>

#include "base/status.h"
#include "formats/json_value.h"
#include "formats/ndjson.h"
#include "formats/row_fault.h"
#include "formats/text_pieces.h"

enum {
    LUM__NDJSON_COLUMNS_MAX = 4096,
    LUM__NDJSON_GLUE_MAX = 64, /* values of a row that has a form, and bytes between two of them */
    LUM__NDJSON_NO_COLUMN = UINT16_MAX
};

/* The form of a row: the bytes in front of each value. The next row most likely has the same, and then there are no
 * keys to be looked up. */
struct lum__ndjson_glue {
    uint8_t text[LUM__NDJSON_GLUE_MAX + 8]; /* zeros behind its length */
    uint8_t length;
    uint16_t column;
};
struct lum__ndjson_form {
    uint32_t value_count; /* 0: none is known */
    struct lum__ndjson_glue glue[LUM__NDJSON_GLUE_MAX];
    struct lum__ndjson_glue tail; /* behind the last value */
};

/* A key that means something: one of the first object's, or the name of a field. */
struct lum__ndjson_column {
    uint16_t rule_first, rule_count; /* in the plan */
};

struct lum__ndjson_worker {
    const struct lum__text_piece *piece;
    const uint8_t *at;
    uint64_t next_row; /* number of the next row, from 0 */
    uint64_t rows_left;
    struct lum__line_counter lines;
    struct lum__json_reader reader;
    struct lum__ndjson_form form;
    uint64_t seen[(LUM__NDJSON_COLUMNS_MAX + LUM__FIELD_COUNT) / 64 + 1]; /* columns of the row in work */
};

struct lum__ndjson_source {
    struct lum__row_source shown; /* what the program sees */

    /* immutable after opening */
    char *name;
    bool round;
    const struct lum__reject_sink *rejects; /* NULL: a bad row ends the load */
    const char *null_text;
    size_t null_text_length;
    char *name_text; /* the columns' names, one behind the other, each terminated */
    const char **names;
    size_t *lengths;
    struct lum__ndjson_column *columns;
    uint32_t column_count; /* of all; of the first object's: */
    uint32_t key_count;
    struct lum__mapping_plan plan;
    uint32_t id_column; /* LUM__NDJSON_NO_COLUMN if rows are numbered */
    char *mapping_text;

    struct lum__text_pieces pieces;
    struct lum__ndjson_worker *workers[LUM__SOURCE_WORKERS_MAX];

    /* any worker */
    _Atomic uint64_t rows_read, rows_rejected;
};

/* Where a row's text ends (its line end, or end). *is_odd: there is a byte in it that wants care: a backslash, a
 * control byte, or one that is not ASCII. */
const uint8_t *lum__ndjson_row_end(const uint8_t *at, const uint8_t *end, bool *is_odd);

/* Calls each() for the keys and values of a flat object, decoded, in order; false where it refuses one, or the text is
 * no object, with *fault filled in. value_begin: where the value stands in the text. */
struct lum__ndjson_pair {
    const uint8_t *key;
    size_t key_length;
    const uint8_t *key_at; /* in the text */
    const uint8_t *value_begin, *value_end;
    struct lum__json_value value;
};
typedef bool (*lum__ndjson_each)(void *context, const struct lum__ndjson_pair *pair, struct lum__row_fault *fault);
bool lum__ndjson_walk(struct lum__json_reader *reader, const uint8_t *begin, const uint8_t *end, bool is_odd,
                      lum__ndjson_each each, void *context, struct lum__row_fault *fault);

/* One row, [begin, end) without its line end. False if it is bad, and why. */
bool lum__ndjson_parse_row(const struct lum__ndjson_source *source, struct lum__ndjson_worker *worker,
                           const uint8_t *begin, const uint8_t *end, bool is_odd, lum_t *row,
                           struct lum__row_fault *fault);

#endif
