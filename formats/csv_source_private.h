/* formats/csv_source_private.h - what csv_source.c, csv_header.c and csv_error.c share. Nobody else includes it. */
#ifndef LUM_FORMATS_CSV_SOURCE_PRIVATE_H
#define LUM_FORMATS_CSV_SOURCE_PRIVATE_H

#include <stdatomic.h>

#include "base/status.h"
#include "formats/csv.h"
#include "formats/csv_cursor.h"
#include "formats/csv_source.h"
#include "formats/row_fault.h"
#include "formats/text_kernel.h"
#include "formats/text_pieces.h"

/* A row that will be refused, once there are some: telling it takes much code, which is in the caches then. */
struct lum__csv_refused {
    uint64_t row;          /* from 0 */
    const uint8_t *begin, *end;
    size_t good_before;    /* rows that this call of fill_columns() had by then */
    uint32_t rule;         /* of plan.rules, from 1; 0: the row has field_count fields */
    uint32_t field_count;
    struct lum__csv_field field;
    struct lum__csv_offence offence;
};
enum { LUM__CSV_REFUSED_MANY = 64, LUM__CSV_REFUSED_MAX = LUM__CSV_REFUSED_MANY + LUM__CSV_INDEX_ROWS + LUM__CSV_INDEX_BLOCK };

/* Where a worker is in its piece: written by open_piece(), then only touched by that worker's fill_columns(). */
struct lum__csv_worker {
    const struct lum__text_piece *piece;
    uint64_t next_row; /* number of the next row, from 0 */
    uint64_t rows_left;
    const uint8_t *at, *end; /* the next row, or empty lines before it; the piece's end */
    struct lum__line_counter lines;
    struct lum__csv_index index; /* where it has rows left, the first one is the next row */
    struct lum__field_columns *columns;
    uint32_t refused_count;      /* 0 outside of fill_columns() */
    struct lum__csv_refused refused[LUM__CSV_REFUSED_MAX];
};

/* How a sentence on a rule's column begins: `column 4 "longitude", for position_x: `. */
struct lum__csv_rule_text {
    size_t length;
    char bytes[256]; /* quotes twice; a name has up to 80 bytes */
};

struct lum__csv_source {
    struct lum__row_source shown; /* what the program sees */

    /* immutable after opening */
    char *name;
    char delimiter;
    bool round;
    const struct lum__reject_sink *rejects; /* NULL: a bad row ends the load */
    const char *null_text;
    size_t null_text_length;
    uint8_t *header;   /* the header row's bytes */
    char *header_text; /* the unescaped names, one behind the other, each terminated */
    const char **names;
    size_t *lengths;
    struct lum__mapping_columns columns;
    struct lum__mapping_plan plan;
    char *mapping_text;
    const struct lum__text_kernel *kernel;
    struct lum__csv_plan fast;
    struct lum__csv_rule_text rule_texts[LUM__FIELD_COUNT]; /* of plan.rules */
    bool is_fast; /* false: every row the slow way */

    struct lum__text_pieces pieces;
    struct lum__csv_worker *workers[LUM__SOURCE_WORKERS_MAX];

    /* any worker */
    _Atomic uint64_t rows_read;
    _Atomic uint64_t rows_rejected;
};

/* csv_header.c: reads up to the first row, checks that it can be CSV, takes the columns' names from it (no_header:
 * their number, and leaves the row in `rest`). */
lum_status lum__csv_read_header(struct lum__csv_source *source, bool no_header);

/* csv_plan.c: fills in source->fast, from all that is known after opening. */
void lum__csv_plan_columns(struct lum__csv_source *source);

/* csv_error.c: why a row is refused. The first call, after all else of opening, fills in rule_texts. */
void lum__csv_name_rules(struct lum__csv_source *source);
void lum__csv_fault_quotes(const struct lum__csv_source *source, const struct lum__csv_field *field, uint32_t column,
                           struct lum__row_fault *out);
void lum__csv_fault_field(const struct lum__csv_source *source, const struct lum__mapping_rule *rule,
                          const struct lum__csv_field *field, enum lum__number_error error, size_t offence,
                          struct lum__row_fault *out);
void lum__csv_fault_count(const struct lum__csv_source *source, const uint8_t *row_begin, uint32_t field_count,
                          struct lum__row_fault *out);
void lum__csv_fault_checksum(const uint8_t *row_begin, uint32_t given, uint32_t computed, struct lum__row_fault *out);

#endif
