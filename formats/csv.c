#include "formats/csv.h"
#include "formats/csv_cursor.h"

#include <string.h>

#include "base/assert.h"
#include "formats/csv_block.h"
#include "formats/number.h"

static bool is_line_end(uint8_t c) { return c == '\n' || c == '\r'; }

const char *lum__csv_error_text(enum lum__csv_error error)
{
    switch (error) {
    case LUM__CSV_OK: return "is fine";
    case LUM__CSV_TEXT_AFTER_QUOTE: return "has text behind its closing quote";
    case LUM__CSV_QUOTE_OPEN: return "has a quote that is never closed";
    }
    return "is wrong";
}

/* ---------------------------------------------------------------------------------------------- row boundaries */

static uint64_t bits_below(unsigned count) { return count >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << count) - 1; }

/* Line ends among the first `count` bytes: every CR, and every LF that follows none. */
static unsigned count_line_ends(uint64_t cr, uint64_t lf, bool last_was_cr, unsigned count)
{
    uint64_t ends = (cr | (lf & ~(cr << 1 | last_was_cr))) & bits_below(count);
    return (unsigned)__builtin_popcountll(ends);
}

/* The position behind the n-th (from 1) set bit. */
static unsigned behind_nth_bit(uint64_t mask, uint64_t n)
{
    while (--n > 0) mask &= mask - 1;
    return (unsigned)__builtin_ctzll(mask) + 1;
}

/* A block without quotes that begins outside of quotes: all at once. Returns the bytes used. */
static unsigned scan_plain(struct lum__csv_scanner *s, uint64_t cr, uint64_t lf, unsigned count, uint64_t rows_max)
{
    uint64_t ends = cr | lf;
    uint64_t row_ends = ends & ~(ends << 1 | !s->in_row); /* an end behind an end is an empty line */
    unsigned rows = (unsigned)__builtin_popcountll(row_ends);

    if (rows >= rows_max - s->rows) {
        rows = (unsigned)(rows_max - s->rows);
        count = behind_nth_bit(row_ends, rows);
        row_ends &= bits_below(count);
    }
    if (rows > 0) {
        unsigned behind = 64 - (unsigned)__builtin_clzll(row_ends);
        s->rows += rows;
        s->row_end = s->offset + behind;
        s->row_end_lines = s->lines + count_line_ends(cr, lf, s->last_was_cr, behind);
    }
    s->in_row = (ends >> (count - 1) & 1) == 0;
    return count;
}

/* A block with quotes, or that begins inside of them: from one byte of meaning to the next. Returns the bytes used. */
static unsigned scan_quoted(struct lum__csv_scanner *s, const uint8_t *bytes, uint64_t quotes, uint64_t cr, uint64_t lf,
                            unsigned count, uint64_t rows_max)
{
    unsigned pending_at = 0; /* where the second quote of "" would stand */

    if (s->quote_pending && (quotes & 1) == 0) s->in_quotes = s->quote_pending = false;
    for (uint64_t specials = quotes | cr | lf; specials != 0; specials &= specials - 1) {
        unsigned i = (unsigned)__builtin_ctzll(specials);
        bool quote = bytes[i] == '"';
        if (s->quote_pending) {
            s->quote_pending = false;
            if (quote && i == pending_at) continue;
            s->in_quotes = false;
        }
        if (s->in_quotes) {
            s->quote_pending = quote;
            pending_at = i + 1;
        } else if (quote) {
            bool in_field = i == 0 ? s->in_field : bytes[i - 1] != (uint8_t)s->delimiter && !is_line_end(bytes[i - 1]);
            s->in_quotes = !in_field;
        } else if (i == 0 ? s->in_row : !is_line_end(bytes[i - 1])) {
            s->rows++;
            s->row_end = s->offset + i + 1;
            s->row_end_lines = s->lines + count_line_ends(cr, lf, s->last_was_cr, i + 1);
            if (s->rows == rows_max) {
                s->in_row = false;
                return i + 1;
            }
        }
    }
    /* A quote at the very end stays pending; one before it closed. */
    if (s->quote_pending && pending_at < count) s->in_quotes = s->quote_pending = false;
    s->in_row = s->in_quotes || !is_line_end(bytes[count - 1]);
    return count;
}

size_t lum__csv_scan(struct lum__csv_scanner *s, const uint8_t *bytes, size_t byte_count, uint64_t rows_max)
{
    uint8_t tail[64];

    for (size_t at = 0; at < byte_count;) {
        unsigned count = byte_count - at < 64 ? (unsigned)(byte_count - at) : 64;
        const uint8_t *here = bytes + at;
        if (s->rows >= rows_max) return at;
        if (count < 64) {
            memset(tail, 0, sizeof tail);
            here = memcpy(tail, here, count);
        }
        struct lum__block64 block = lum__block64_load(here);
        uint64_t valid = bits_below(count);
        uint64_t quotes = lum__block64_equal(&block, '"') & valid;
        uint64_t cr = lum__block64_equal(&block, '\r') & valid, lf = lum__block64_equal(&block, '\n') & valid;
        unsigned used = count;
        if (quotes != 0 || s->quote_pending)
            used = scan_quoted(s, here, quotes, cr, lf, count, rows_max);
        else if (!s->in_quotes)
            used = scan_plain(s, cr, lf, count, rows_max);
        s->lines += count_line_ends(cr, lf, s->last_was_cr, used);
        s->last_was_cr = here[used - 1] == '\r';
        s->in_field = here[used - 1] != (uint8_t)s->delimiter && !is_line_end(here[used - 1]);
        s->offset += used;
        at += used;
        if (used < count) return at;
    }
    return byte_count;
}

uint64_t lum__csv_count_lines(const uint8_t *bytes, size_t byte_count, bool last_was_cr)
{
    uint64_t lines = 0;
    uint8_t previous = last_was_cr ? '\r' : 0;

    for (size_t i = 0; i < byte_count; ++i) {
        lines += bytes[i] == '\r' || (bytes[i] == '\n' && previous != '\r');
        previous = bytes[i];
    }
    return lines;
}

size_t lum__csv_unescape(const struct lum__csv_field *field, char *out)
{
    size_t length = 0;

    for (size_t i = 0; i < field->length; ++i) {
        out[length++] = (char)field->text[i];
        if (field->escaped && field->text[i] == '"') ++i; /* in an escaped field quotes come in pairs */
    }
    return length;
}

/* ---------------------------------------------------------------------------------------------------------- writing */

size_t lum__csv_write_header(uint8_t *out, char delimiter, const enum lum__field *fields, size_t field_count)
{
    size_t at = 0;

    LUM_ASSERT(field_count > 0 && field_count <= LUM__FIELD_COUNT);
    for (size_t i = 0; i < field_count; ++i) {
        const char *name = lum__field_name(fields[i]);
        size_t length = strlen(name);
        memcpy(out + at, name, length);
        at += length;
        out[at++] = (uint8_t)delimiter;
    }
    out[at - 1] = '\n';
    return at;
}

static inline size_t write_field(char *out, enum lum__field field, const lum_t *row)
{
    switch (field) {
    case LUM__FIELD_ID: return lum__format_u64(out, row->id);
    case LUM__FIELD_PRESENCE: return lum__format_u64(out, row->presence);
    case LUM__FIELD_POSITION_X: return lum__format_i32(out, row->position_x);
    case LUM__FIELD_POSITION_Y: return lum__format_i32(out, row->position_y);
    case LUM__FIELD_STRUCTURE_TYPE: return lum__format_u64(out, row->structure_type);
    case LUM__FIELD_TIMESTAMP: return lum__format_u64(out, row->timestamp);
    case LUM__FIELD_MEMORY_ADDRESS: return lum__format_u64(out, row->memory_address);
    case LUM__FIELD_IS_DESTROYED: return lum__format_u64(out, row->is_destroyed);
    case LUM__FIELD_CHECKSUM: return lum__format_u64(out, row->checksum);
    case LUM__FIELD_COUNT: break;
    }
    return 0;
}

size_t lum__csv_write_rows(uint8_t *out, char delimiter, const enum lum__field *fields, size_t field_count,
                           const lum_t *rows, size_t row_count)
{
    char *at = (char *)out;

    LUM_ASSERT(field_count > 0 && field_count <= LUM__FIELD_COUNT);
    for (size_t row = 0; row < row_count; ++row) {
        for (size_t i = 0; i < field_count; ++i) {
            at += write_field(at, fields[i], &rows[row]);
            *at++ = delimiter;
        }
        at[-1] = '\n';
    }
    return (size_t)(at - (char *)out);
}
