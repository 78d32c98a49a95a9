/* formats/text_kernel.h - the loops over bytes of text, compiled once per instruction level (formats/text_kernel.c) and
 * chosen once at run time.
 *
 * The fast way of CSV: csv_index() finds the delimiters and row ends of some hundred rows at once, with quotes resolved
 * 64 bytes at a time; csv_parse() goes through the rows it can be sure of (as many fields as the header has) column by
 * column, so that each loop knows what it parses. The others: a row with quotes where none may stand is not in the index; one
 * with more or fewer fields is taken out of it and noted; one with a field that does not parse is marked bad. Where there are
 * quotes, the slow way (formats/csv_cursor.h) looks at marked rows again and is the one truth about what is wrong with them;
 * without, the index knows their fields and the kernel which one is wrong, and why. */
#ifndef LUM_FORMATS_TEXT_KERNEL_H
#define LUM_FORMATS_TEXT_KERNEL_H

#include "base/simd.h"
#include "formats/field_columns.h"
#include "formats/mapping.h"
#include "formats/row_scan.h"

/* How a column is parsed; whatever the fast way does not take goes through lum__field_parse(). */
enum lum__csv_kind {
    LUM__CSV_U64,
    LUM__CSV_U32,
    LUM__CSV_I32,
    LUM__CSV_FLAG,        /* 0 or 1 */
    LUM__CSV_TYPE,        /* 0 to 5 */
    LUM__CSV_DECIMAL_U64, /* times ten to the `exponent` */
    LUM__CSV_DECIMAL_I32,
    LUM__CSV_TIME, /* digits, or a date */
    LUM__CSV_SLOW  /* only lum__field_parse() */
};
struct lum__csv_column {
    const struct lum__mapping_rule *rule;
    enum lum__csv_kind kind;
    uint32_t exponent; /* 0 to 9 */
};

/* What all rows of a source have in common. */
struct lum__csv_plan {
    char delimiter;
    bool round;
    bool id_is_row_number;
    bool has_checksums;
    const char *null_text; /* NULL: none */
    size_t null_text_length;
    uint32_t field_count; /* of every row */
    uint32_t column_count;
    struct lum__csv_column columns[LUM__FIELD_COUNT];
    lum_t defaults;
};

enum { LUM__CSV_INDEX_POSITIONS = 4096, LUM__CSV_INDEX_ROWS = 256, LUM__CSV_INDEX_BLOCK = 64 };
enum { LUM__CSV_BAD_CHECKSUM = 0xff }; /* more than there are columns */

/* Why the first field that did not parse did not, in a row that is marked bad. */
struct lum__csv_offence {
    enum lum__number_error error;
    uint32_t at; /* the byte of the field that gave offence */
};

/* A row with more or fewer fields than it should have. */
struct lum__csv_odd {
    uint32_t row;        /* it stood in front of this one of the parsed rows, or, if that is their number, behind them */
    uint32_t begin, end; /* positions of its first byte and of its line end's first byte */
    uint32_t field_count;
};

/* Where the fields of the next rows end. Whole rows only; positions count from `text`. */
struct lum__csv_index {
    const uint8_t *text, *end;
    uint32_t row_count, row_at; /* row_ends[row_at] is the next row's; none is left if they are equal */
    uint32_t position_count, position_at;
    uint32_t row_begin; /* position of the next row's first byte */
    bool has_quotes;    /* somewhere in the rows indexed last */
    uint32_t row_ends[LUM__CSV_INDEX_ROWS + LUM__CSV_INDEX_BLOCK + 16];
    uint32_t before[LUM__CSV_INDEX_ROWS + LUM__CSV_INDEX_BLOCK]; /* of the parsed rows: their first byte - 1 */
    /* Of the parsed rows: a bit for each that is bad; why, see csv_parse(); more of it, but for a checksum. */
    uint64_t bad_rows[(LUM__CSV_INDEX_ROWS + LUM__CSV_INDEX_BLOCK) / 64];
    uint8_t bad[LUM__CSV_INDEX_ROWS + LUM__CSV_INDEX_BLOCK];
    struct lum__csv_offence offences[LUM__CSV_INDEX_ROWS + LUM__CSV_INDEX_BLOCK];
    uint32_t odd_count; /* among the parsed rows and behind them, no longer in the index */
    struct lum__csv_odd odd[LUM__CSV_INDEX_ROWS + LUM__CSV_INDEX_BLOCK];
    uint32_t positions[LUM__CSV_INDEX_POSITIONS + LUM__CSV_INDEX_BLOCK + 16]; /* the kernel writes in steps */
};

struct lum__text_kernel {
    const char *name;
    lum__scan_rows csv_scan, lines_scan;
    uint64_t (*count_lines)(const uint8_t *bytes, size_t byte_count, bool last_was_cr);

    /* Indexes rows of a text that begins at a row's start (or at empty lines before it); LUM__TEXT_SLACK behind the
     * end. No rows: the next one has to be taken the slow way. */
    void (*csv_index)(struct lum__csv_index *index, char delimiter, const uint8_t *text, const uint8_t *end);
    /* Parses the index's next rows into the columns that the plan has rules for, from the row `first` on, and passes over them.
     * Rows with other than plan->field_count fields are left out and stand in index->odd; with them they are at most rows_max, and
     * at least one. row_number: of the first one, in its input. *any_bad tells whether a row is odd or did not parse; index->bad,
     * for each that did not, the first of plan->columns that was bad, from 1, or LUM__CSV_BAD_CHECKSUM: what its columns hold
     * means nothing. Returns how many are not odd. */
    uint32_t (*csv_parse)(struct lum__csv_index *index, const struct lum__csv_plan *plan, uint64_t row_number,
                          uint32_t rows_max, struct lum__field_columns *columns, uint32_t first, bool *any_bad);
};

extern const struct lum__text_kernel lum__text_kernel_baseline;
#if defined(__x86_64__)
extern const struct lum__text_kernel lum__text_kernel_avx2;
extern const struct lum__text_kernel lum__text_kernel_avx512;
#endif

/* Tests force a level before they start threads; NULL ends that. NULL for a level that this CPU does not have. */
const struct lum__text_kernel *lum__text_kernel_of(enum lum__simd level);
const struct lum__text_kernel *lum__text_kernel_current(void);
void lum__text_kernel_force(const struct lum__text_kernel *kernel);

/* Marks a parsed row bad if it is not yet; true if it was not. */
static inline bool lum__csv_index_mark(struct lum__csv_index *index, uint32_t row, uint8_t why)
{
    uint64_t *rows = &index->bad_rows[row / 64], bit = (uint64_t)1 << row % 64;
    if ((*rows & bit) != 0) return false;
    *rows |= bit;
    index->bad[row] = why;
    return true;
}

/* The position of the first byte at or behind `position` that is no line end. */
static inline uint32_t lum__csv_index_skip_empty(const struct lum__csv_index *index, uint32_t position)
{
    const uint32_t end = (uint32_t)(index->end - index->text);
    while (position < end && (index->text[position] == '\n' || index->text[position] == '\r')) ++position;
    return position;
}

#endif
