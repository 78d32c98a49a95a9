/* formats/csv_cursor.h - walks over the rows and fields of a CSV text. By the rules on top of formats/csv.h. Inline,
 * because the loop around it is the hottest of a load. */
#ifndef LUM_FORMATS_CSV_CURSOR_H
#define LUM_FORMATS_CSV_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "formats/csv_block.h"
#include "formats/row_scan.h"

enum lum__csv_error {
    LUM__CSV_OK = 0,
    LUM__CSV_TEXT_AFTER_QUOTE, /* "abc"d */
    LUM__CSV_QUOTE_OPEN        /* the text ends inside of quotes */
};
const char *lum__csv_error_text(enum lum__csv_error error);

/* Walks over the fields of a text that begins at a row's start. Reads up to LUM__CSV_SLACK bytes behind `end`: they
 * must be readable, their content does not matter. Fields are lent slices of the text. */
enum { LUM__CSV_SLACK = LUM__TEXT_SLACK };
struct lum__csv_cursor {
    const uint8_t *at; /* the next field's first byte */
    const uint8_t *end;
    const uint8_t *block; /* where the 64 bytes of `specials` begin */
    uint64_t specials;    /* delimiters, quotes and line ends of the block, at or behind `at` */
    char delimiter;
};
struct lum__csv_field {
    const uint8_t *text; /* without the outer quotes */
    size_t length;
    bool escaped;              /* quoted, and "" inside stands for " */
    bool row_ended;            /* the last field of its row */
    enum lum__csv_error error; /* text and length are the part before the offence; the cursor is at the next field */
};

/* Copies a field's text to out (length bytes suffice), "" as ". Returns the bytes copied. */
size_t lum__csv_unescape(const struct lum__csv_field *field, char *out);

/* ------------------------------------------------------------------------------------------------------------ */

static inline bool lum__csv_is_line_end(uint8_t c) { return c == '\n' || c == '\r'; }

static inline uint64_t lum__csv_find_specials(const uint8_t *at, char delimiter)
{
    struct lum__block64 block = lum__block64_load(at);
    return lum__block64_equal(&block, delimiter) | lum__block64_equal(&block, '"') | lum__block64_equal(&block, '\n') |
           lum__block64_equal(&block, '\r');
}

/* The next byte of meaning that was not taken yet; `end` if there is none. */
static inline const uint8_t *lum__csv_take_special(struct lum__csv_cursor *cursor)
{
    while (cursor->specials == 0) {
        if (cursor->end - cursor->block <= 64) return cursor->end;
        cursor->block += 64;
        cursor->specials = lum__csv_find_specials(cursor->block, cursor->delimiter);
    }
    const uint8_t *special = cursor->block + __builtin_ctzll(cursor->specials);
    cursor->specials &= cursor->specials - 1;
    return special < cursor->end ? special : cursor->end;
}

static inline void lum__csv_cursor_init(struct lum__csv_cursor *cursor, char delimiter, const uint8_t *begin,
                                        const uint8_t *end)
{
    LUM_ASSERT(begin <= end);
    *cursor = (struct lum__csv_cursor){.at = begin, .end = end, .block = begin, .delimiter = delimiter};
    cursor->specials = lum__csv_find_specials(begin, delimiter);
}

/* Passes over empty lines. False at the end of the text, true at a row's first byte. */
static inline bool lum__csv_next_row(struct lum__csv_cursor *cursor)
{
    while (cursor->at < cursor->end && lum__csv_is_line_end(*cursor->at)) {
        const uint8_t *special = lum__csv_take_special(cursor);
        LUM_ASSERT(special == cursor->at);
        cursor->at++;
    }
    return cursor->at < cursor->end;
}

/* From a special byte on to the field's end, where that byte is none itself. Leaves the cursor at the next field. */
static inline const uint8_t *lum__csv_take_field_end(struct lum__csv_cursor *cursor, struct lum__csv_field *out)
{
    for (;;) {
        const uint8_t *special = lum__csv_take_special(cursor);
        if (special == cursor->end) {
            out->row_ended = true;
            cursor->at = special;
            return special;
        }
        if (*special == '"') continue;
        out->row_ended = *special != (uint8_t)cursor->delimiter;
        cursor->at = special + 1;
        return special;
    }
}

static inline void lum__csv_take_quoted_field(struct lum__csv_cursor *cursor, struct lum__csv_field *out)
{
    const uint8_t *special = lum__csv_take_special(cursor); /* the opening quote */

    LUM_ASSERT(special == cursor->at);
    out->text = cursor->at + 1;
    for (;;) {
        special = lum__csv_take_special(cursor);
        if (special == cursor->end) {
            out->error = LUM__CSV_QUOTE_OPEN;
            out->row_ended = true;
            cursor->at = special;
            break;
        }
        if (*special != '"') continue;
        if (special + 1 == cursor->end || special[1] != '"') {
            if (lum__csv_take_field_end(cursor, out) != special + 1) out->error = LUM__CSV_TEXT_AFTER_QUOTE;
            break;
        }
        (void)lum__csv_take_special(cursor); /* the second quote of "" */
        out->escaped = true;
    }
    out->length = (size_t)(special - out->text);
}

/* The next field of the row; only as long as the last one was not its row's last. */
static inline void lum__csv_next_field(struct lum__csv_cursor *cursor, struct lum__csv_field *out)
{
    out->text = cursor->at;
    out->escaped = false;
    out->error = LUM__CSV_OK;
    if (cursor->at < cursor->end && *cursor->at == '"') {
        lum__csv_take_quoted_field(cursor, out);
        return;
    }
    out->length = (size_t)(lum__csv_take_field_end(cursor, out) - out->text);
}

#endif
