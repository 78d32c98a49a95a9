/* storage/page.h - a page: up to 4,096 LUMs encoded column by column. Pure functions of memory, no I/O, no allocation.
 *
 * Source of truth for the bytes: docs/format.md "Pages". Every function here exists once per instruction level
 * (baseline, AVX2, AVX-512), built from one source, chosen once at run time (lum__simd_level()). */
#ifndef LUM_STORAGE_PAGE_H
#define LUM_STORAGE_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lum/lum.h"

enum {
    LUM__PAGE_ROWS_MAX = 4096,
    LUM__PAGE_ALIGNMENT = 64, /* pages start at multiples of this inside a chunk, and are zero-padded to it */
    /* the largest an encoded page can be (every column plain), padding included */
    LUM__PAGE_BYTES_MAX = 160 * 1024,
};

/* Smallest and largest value of the columns that scans prune by. */
struct lum__range {
    uint64_t id_min, id_max;
    uint64_t timestamp_min, timestamp_max;
    int32_t x_min, x_max;
    int32_t y_min, y_max;
};

/* What an encoder learnt about a page. */
struct lum__page_summary {
    uint32_t row_count;
    uint32_t byte_count; /* of the encoded page, padding to LUM__PAGE_ALIGNMENT included */
    uint32_t lum_digest; /* CRC-32C over the rows' checksums, 4 little-endian bytes each, in row order, taken before
                            encoding */
    struct lum__range range;
    uint32_t row_fault; /* enum lum__row_fault of the first bad row, 0 if none; then nothing was encoded */
    uint32_t row_fault_index;
};

/* Working memory of one encoding or decoding thread (columns of a page, about 256 KiB). 64-byte aligned; the caller
 * allocates. */
struct lum__page_scratch;
size_t lum__page_scratch_bytes(void);

/* Encodes row_count (1..4096) rows: checks each row's enums (and its checksum if has_checksum), computes the LUM
 * checksums and the page digest, turns rows to columns, encodes. `out` has room for LUM__PAGE_BYTES_MAX, 64-byte
 * aligned. rows are not changed. Never fails but for a row fault (summary->row_fault). */
void lum__page_encode(struct lum__page_scratch *scratch, const lum_t *rows, uint32_t row_count, bool has_checksum,
                      uint8_t *out, struct lum__page_summary *summary);
/* The same from columns (arrays of row_count values; a NULL column is all default: presence 1, others 0). */
void lum__page_encode_columns(struct lum__page_scratch *scratch, const lum_columns *columns, uint32_t row_count,
                              uint8_t *out, struct lum__page_summary *summary);

/* Decodes into rows (checksums filled in), recomputes every LUM checksum and compares with lum_digest (from the page's
 * directory entry). Bytes are hostile: any input is answered, never read or written out of bounds.
 * On damage returns false with *condition = number in format.md's list and *at = byte offset in the page. */
bool lum__page_decode(struct lum__page_scratch *scratch, const uint8_t *page, size_t page_bytes, uint32_t row_count,
                      uint32_t lum_digest, lum_t *rows, uint32_t *condition, uint32_t *at);
/* The same, into columns lent from scratch until its next use. */
bool lum__page_decode_columns(struct lum__page_scratch *scratch, const uint8_t *page, size_t page_bytes,
                              uint32_t row_count, uint32_t lum_digest, lum_columns *columns, uint32_t *condition,
                              uint32_t *at);

/* The same checks, without handing anything out but the page's minima and maxima. */
bool lum__page_check(struct lum__page_scratch *scratch, const uint8_t *page, size_t page_bytes, uint32_t row_count,
                     uint32_t lum_digest, struct lum__range *range, uint32_t *condition, uint32_t *at);

/* Rows that were never encoded as columns, lent from scratch until its next use. False if a row's reserved byte is not 0 or its checksum is wrong. */
bool lum__page_split(struct lum__page_scratch *scratch, const lum_t *rows, uint32_t row_count, lum_columns *columns);

/* What a page holds, column by column, for `info --columns`; same checks of the headers as a decode. */
struct lum__page_column {
    uint8_t column;   /* enum lum__column */
    uint8_t encoding; /* enum lum__encoding */
    uint32_t byte_count;
    uint64_t value_min, value_max; /* signed columns: sign-extended */
};
bool lum__page_columns(const uint8_t *page, size_t page_bytes, struct lum__page_column *out, uint32_t out_max,
                       uint32_t *out_count, uint32_t *condition, uint32_t *at);
const char *lum__encoding_name(uint8_t encoding);
const char *lum__column_name(uint8_t column);

/* "baseline", "avx2", "avx512"; environment LUM_SIMD may lower it (for tests and benchmarks). */
const char *lum__simd_level(void);

#endif
