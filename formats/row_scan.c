#include "formats/row_scan.h"

#include <string.h>

#include "formats/csv_block.h"

static bool is_line_end(uint8_t c) { return c == '\n' || c == '\r'; }

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
static unsigned scan_plain(struct lum__row_scanner *s, uint64_t cr, uint64_t lf, unsigned count, uint64_t rows_max)
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
static unsigned scan_quoted(struct lum__row_scanner *s, const uint8_t *bytes, uint64_t quotes, uint64_t cr, uint64_t lf,
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

/* knows_quotes is a constant where this is called: two functions come out of it. */
static inline size_t scan_rows(struct lum__row_scanner *s, const uint8_t *bytes, size_t byte_count, uint64_t rows_max,
                               bool knows_quotes)
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
        uint64_t quotes = knows_quotes ? lum__block64_equal(&block, '"') & valid : 0;
        uint64_t cr = lum__block64_equal(&block, '\r') & valid, lf = lum__block64_equal(&block, '\n') & valid;
        unsigned used = count;
        if (knows_quotes && (quotes != 0 || s->quote_pending))
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

size_t lum__csv_scan(struct lum__row_scanner *scanner, const uint8_t *bytes, size_t byte_count, uint64_t rows_max)
{
    return scan_rows(scanner, bytes, byte_count, rows_max, true);
}

size_t lum__lines_scan(struct lum__row_scanner *scanner, const uint8_t *bytes, size_t byte_count, uint64_t rows_max)
{
    return scan_rows(scanner, bytes, byte_count, rows_max, false);
}

uint64_t lum__count_lines(const uint8_t *bytes, size_t byte_count, bool last_was_cr)
{
    uint64_t lines = 0;
    uint8_t previous = last_was_cr ? '\r' : 0;
    size_t at = 0;

    for (; byte_count - at >= 64; at += 64) {
        struct lum__block64 block = lum__block64_load(bytes + at);
        lines += count_line_ends(lum__block64_equal(&block, '\r'), lum__block64_equal(&block, '\n'), previous == '\r', 64);
        previous = bytes[at + 63];
    }
    for (; at < byte_count; ++at) {
        lines += bytes[at] == '\r' || (bytes[at] == '\n' && previous != '\r');
        previous = bytes[at];
    }
    return lines;
}
