/* storage/page_kernel.h - what the parts of the page code share: working memory, the parsed header, the table of
 * kernels.
 *
 * storage/page.c checks and writes headers and is compiled once; storage/page_kernel.c holds every loop over values and
 * is compiled once per instruction level. All levels write the same bytes. */
#ifndef LUM_STORAGE_PAGE_KERNEL_H
#define LUM_STORAGE_PAGE_KERNEL_H

#include <stdalign.h>

#include "storage/page.h"
#include "storage/page_format.h"

enum { LUM__PAGE_SLACK = 64 }; /* kernels may write up to this many values behind the last row of an array */

/* Rows of a page by column. The checksums come from rows, or are computed; they are not stored. */
struct lum__page_scratch {
    alignas(64) uint64_t id[LUM__PAGE_ROWS_MAX + LUM__PAGE_SLACK];
    alignas(64) uint64_t timestamp[LUM__PAGE_ROWS_MAX + LUM__PAGE_SLACK];
    alignas(64) uint64_t memory_address[LUM__PAGE_ROWS_MAX + LUM__PAGE_SLACK];
    alignas(64) uint32_t position_x[LUM__PAGE_ROWS_MAX + LUM__PAGE_SLACK];
    alignas(64) uint32_t position_y[LUM__PAGE_ROWS_MAX + LUM__PAGE_SLACK];
    alignas(64) uint8_t presence[LUM__PAGE_ROWS_MAX + LUM__PAGE_SLACK];
    alignas(64) uint8_t structure_type[LUM__PAGE_ROWS_MAX + LUM__PAGE_SLACK];
    alignas(64) uint8_t is_destroyed[LUM__PAGE_ROWS_MAX + LUM__PAGE_SLACK];
    alignas(64) uint32_t checksum[LUM__PAGE_ROWS_MAX + LUM__PAGE_SLACK];
    alignas(64) uint64_t residual[LUM__PAGE_ROWS_MAX + LUM__PAGE_SLACK]; /* of the column being encoded */
    alignas(64) uint32_t narrow[LUM__PAGE_ROWS_MAX + LUM__PAGE_SLACK]; /* a 64-bit column of small range, as 32 bits */
    alignas(64) uint32_t lane[LUM__BLOCK_VALUES];                      /* the block being packed: low 32 bits */
    alignas(64) uint32_t lane_high[LUM__BLOCK_VALUES];                 /* ... and what is above them */
    alignas(64) uint32_t tail[LUM__BLOCK_VALUES];                      /* a partial block's values, zero-padded */
    alignas(64) uint8_t body[LUM__BLOCK_VALUES * 4];                   /* ... and its body */
};

/* A column's descriptor, in memory. */
struct lum__page_descriptor {
    uint8_t column, type, encoding;
    uint32_t parameter;
    uint32_t offset, byte_count;
    uint64_t value_min, value_max; /* sign-extended where the type is signed */
};

/* Rows of a packed column that are predicted the same way: from the row `lag` before, or from nothing (0). */
struct lum__page_section {
    uint32_t begin, end, lag;
};

/* Cuts the rows of a packed column into its sections, in row order; returns how many. */
static inline uint32_t lum__page_sections(uint8_t encoding, uint32_t lag, uint32_t row_count,
                                          struct lum__page_section out[3])
{
    if (encoding == LUM__ENCODING_FOR) {
        out[0] = (struct lum__page_section){0, row_count, 0};
        return 1;
    }
    if (encoding == LUM__ENCODING_DELTA) {
        out[0] = (struct lum__page_section){0, lag, 0};
        out[1] = (struct lum__page_section){lag, row_count, lag};
        return 2;
    }
    out[0] = (struct lum__page_section){0, 1, 0};
    out[1] = (struct lum__page_section){1, lag, 1};
    out[2] = (struct lum__page_section){lag, row_count, lag};
    return 3;
}

static inline uint32_t lum__page_blocks(const struct lum__page_section *sections, uint32_t section_count)
{
    uint32_t blocks = 0;
    for (uint32_t i = 0; i < section_count; i++)
        blocks += (sections[i].end - sections[i].begin + LUM__BLOCK_VALUES - 1) / LUM__BLOCK_VALUES;
    return blocks;
}

/* Bytes of the block table, padding included. */
static inline uint32_t lum__page_table_bytes(uint32_t block_count)
{
    return (block_count * LUM__BLOCK_ENTRY_BYTES + LUM__BLOCK_ROW_BYTES - 1) / LUM__BLOCK_ROW_BYTES *
           LUM__BLOCK_ROW_BYTES;
}

/* Bytes of `count` values of `width` bits in lanes of lane_bits (8 or 32): as many whole 64-byte rows as they touch. */
static inline uint32_t lum__page_lane_bytes(uint32_t count, uint32_t width, uint32_t lane_bits)
{
    uint32_t lanes = LUM__BLOCK_ROW_BYTES * 8 / lane_bits;
    uint32_t steps = (count + lanes - 1) / lanes;
    return (steps * width + lane_bits - 1) / lane_bits * LUM__BLOCK_ROW_BYTES;
}

/* Bytes of a block's body. Widths above 32 are two bodies: the low 32 bits of each value, then the rest. */
static inline uint32_t lum__page_body_bytes(uint8_t type, uint32_t count, uint32_t width)
{
    if (type == LUM__TYPE_U8) return lum__page_lane_bytes(count, width, 8);
    if (width <= 32) return lum__page_lane_bytes(count, width, 32);
    return lum__page_lane_bytes(count, 32, 32) + lum__page_lane_bytes(count, width - 32, 32);
}

static inline uint32_t lum__page_type_bytes(uint8_t type)
{
    return type == LUM__TYPE_U8 ? 1 : type == LUM__TYPE_I32 ? 4 : 8;
}

/* What a column puts into one 32-bit word of every record (docs/format.md 6.1). */
struct lum__page_words {
    const uint32_t *each; /* row by row; NULL: `same` in all rows */
    uint32_t same;
};

/* The loops of one instruction level. Arrays are 64-byte aligned unless they are a caller's rows or columns. */
struct lum__page_kernel {
    const char *name;
    /* Rows to the columns of scratch, checksums recomputed. False if any row's reserved byte is not 0 or, with
     * has_checksum, any supplied checksum does not match. */
    bool (*split)(struct lum__page_scratch *scratch, const lum_t *rows, uint32_t row_count, bool has_checksum);
    /* Columns and checksums to rows; computes the checksums too and leaves them in scratch. */
    void (*join)(struct lum__page_scratch *scratch, lum_t *rows, uint32_t row_count);
    /* The checksums of columns (no NULL among them). */
    void (*checksum)(const lum_columns *columns, uint32_t row_count, uint32_t *out);
    /* The distance at which ids repeat, a useful `lag` for all columns of the page; 0 if there is none. */
    uint32_t (*find_lag)(const uint64_t *id, uint32_t row_count);
    /* Chooses an encoding for a column, writes its payload to out and fills encoding, parameter, byte_count, min, max.
     */
    void (*encode_column)(struct lum__page_scratch *scratch, const void *values, uint32_t row_count, uint32_t lag_hint,
                          uint8_t *out, struct lum__page_descriptor *descriptor);
    /* The same with the encoding given (for tests); false if the values can't be written that way. */
    bool (*encode_column_as)(struct lum__page_scratch *scratch, const void *values, uint32_t row_count,
                             uint8_t encoding, uint32_t lag, uint8_t *out, struct lum__page_descriptor *descriptor);
    /* Decodes a column whose descriptor and payload lum__page_parse found well-formed. False if min or max is not what
     * it says. */
    bool (*decode_column)(struct lum__page_scratch *scratch, const uint8_t *page,
                          const struct lum__page_descriptor *descriptor, uint32_t row_count, void *values);
    /* The same into words, low half first of a 64-bit column; not for columns of one byte. Lent from scratch until its
     * next use; out[1] is not set for a 32-bit column. */
    bool (*decode_words)(struct lum__page_scratch *scratch, const uint8_t *page,
                         const struct lum__page_descriptor *descriptor, uint32_t row_count,
                         struct lum__page_words out[2]);
    /* The three columns of one byte, decoded into scratch, as words. */
    void (*flag_words)(const struct lum__page_scratch *scratch, uint32_t row_count, uint32_t *out);
};

extern const struct lum__page_kernel lum__page_kernel_baseline;
#if defined(__x86_64__)
extern const struct lum__page_kernel lum__page_kernel_avx2;
extern const struct lum__page_kernel lum__page_kernel_avx512;
#endif

/* The kernel of this CPU, lowered by LUM_SIMD; chosen once. */
const struct lum__page_kernel *lum__page_kernel_current(void);
/* The kernel of a level by name, NULL if this CPU can't run it. For tests. */
const struct lum__page_kernel *lum__page_kernel_by_name(const char *name);
/* Makes all following calls of this process use `kernel` (NULL: the chosen one again). For tests, before other threads
 * start. */
void lum__page_kernel_force(const struct lum__page_kernel *kernel);

/* Checks header, descriptors and block tables (format.md 201-220). After true, decoding the columns reads only inside
 * the page. */
bool lum__page_parse(const uint8_t *page, size_t page_bytes, uint32_t row_count, uint32_t lum_digest,
                     struct lum__page_descriptor out[LUM__PAGE_COLUMNS], uint32_t *condition, uint32_t *at);
/* The minima and maxima of the columns that scans prune by. */
struct lum__range lum__page_range(const struct lum__page_descriptor columns[LUM__PAGE_COLUMNS]);
/* Writes the header and the descriptors. */
void lum__page_put_header(uint8_t *page, uint32_t row_count, uint32_t byte_count, uint32_t lum_digest,
                          const struct lum__page_descriptor columns[LUM__PAGE_COLUMNS]);

/* storage/record.c: CRC-32C of 40 bytes given as five words, by tables; for CPUs without the instruction. */
uint32_t lum__record_checksum_words(const uint64_t words[5]);

#endif
