/* storage/page_format.h - the bytes of a page: numbers only, shared by the writer and the reader of pages.
 *
 * docs/format.md "Pages" is the source of truth. Everything here is on disk: never renumber, never reuse. */
#ifndef LUM_STORAGE_PAGE_FORMAT_H
#define LUM_STORAGE_PAGE_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

/* Page header, 64 bytes, then one descriptor of 32 bytes per column, then the columns' payloads. */
enum {
    LUM__PAGE_MAGIC = 0x4741504c, /* "LPAG" */
    LUM__PAGE_SCHEMA_LUM = 0,
    LUM__PAGE_VERSION = 1,

    LUM__PAGE_AT_MAGIC = 0,         /* u32 */
    LUM__PAGE_AT_SCHEMA = 4,        /* u16 */
    LUM__PAGE_AT_VERSION = 6,       /* u16 */
    LUM__PAGE_AT_ROW_COUNT = 8,     /* u32 */
    LUM__PAGE_AT_BYTE_COUNT = 12,   /* u32 */
    LUM__PAGE_AT_LUM_DIGEST = 16,   /* u32 */
    LUM__PAGE_AT_COLUMN_COUNT = 20, /* u8 */
    LUM__PAGE_AT_RESERVED = 21,     /* zero up to 64 */
    LUM__PAGE_HEADER_BYTES = 64,

    LUM__PAGE_COLUMN_AT_ID = 0,        /* u8, enum lum_column */
    LUM__PAGE_COLUMN_AT_TYPE = 1,      /* u8, enum lum__page_type */
    LUM__PAGE_COLUMN_AT_ENCODING = 2,  /* u8, enum lum__encoding */
    LUM__PAGE_COLUMN_AT_RESERVED = 3,  /* u8, zero */
    LUM__PAGE_COLUMN_AT_PARAMETER = 4, /* u32, meaning by encoding */
    LUM__PAGE_COLUMN_AT_OFFSET = 8,    /* u32, of the payload, from the page's first byte */
    LUM__PAGE_COLUMN_AT_BYTES = 12,    /* u32, of the payload */
    LUM__PAGE_COLUMN_AT_MIN = 16,      /* u64, signed columns sign-extended */
    LUM__PAGE_COLUMN_AT_MAX = 24,      /* u64 */
    LUM__PAGE_COLUMN_BYTES = 32,

    LUM__PAGE_COLUMNS = 8,
    LUM__PAGE_PAYLOAD_AT = LUM__PAGE_HEADER_BYTES + LUM__PAGE_COLUMNS * LUM__PAGE_COLUMN_BYTES,

    /* Packed payloads: a table of 16-byte block entries, zero-padded to 64, then the blocks' bodies in 64-byte rows. */
    LUM__BLOCK_VALUES = 1024,
    LUM__BLOCK_AT_BASE = 0,     /* u64 */
    LUM__BLOCK_AT_WIDTH = 8,    /* u8, bits per value */
    LUM__BLOCK_AT_RESERVED = 9, /* zero up to 16 */
    LUM__BLOCK_ENTRY_BYTES = 16,
    LUM__BLOCK_ROW_BYTES = 64,
    LUM__PAGE_BLOCKS_MAX = 8, /* of one column: 4,096 rows in at most 3 sections make at most 6 */
};

enum lum__page_type {
    LUM__TYPE_U8 = 1,
    LUM__TYPE_I32 = 2,
    LUM__TYPE_U64 = 3,
};

enum lum__encoding {
    LUM__ENCODING_CONSTANT = 1, /* every value is min */
    LUM__ENCODING_STRIDE = 2,   /* from min to max in equal steps; parameter 1: from max down to min */
    LUM__ENCODING_PLAIN = 3,    /* values, little-endian */
    LUM__ENCODING_FOR = 4,      /* packed: value - base of its block */
    LUM__ENCODING_DELTA =
        5, /* packed: rows before the parameter'th as FOR, the others minus the value `parameter` rows back */
    LUM__ENCODING_DELTA_HEAD = 6, /* the same, but rows 1..parameter-1 are packed as differences to the row before */
    LUM__ENCODING_LAST = 6,
};

/* Numbers of the "valid if and only if" list. 201 up, so that a number names one condition in the whole of format.md.
 */
enum lum__page_condition {
    LUM__PAGE_BAD_LENGTH = 201,
    LUM__PAGE_BAD_MAGIC = 202,
    LUM__PAGE_UNKNOWN_SCHEMA = 203,  /* unsupported, not damage */
    LUM__PAGE_UNKNOWN_VERSION = 204, /* unsupported */
    LUM__PAGE_BAD_ROW_COUNT = 205,
    LUM__PAGE_BAD_BYTE_COUNT = 206,
    LUM__PAGE_BAD_COLUMN_COUNT = 207,
    LUM__PAGE_BAD_RESERVED = 208,
    LUM__PAGE_BAD_DIGEST_COPY = 209,
    LUM__PAGE_BAD_COLUMN = 210,
    LUM__PAGE_UNKNOWN_ENCODING = 211, /* unsupported */
    LUM__PAGE_BAD_ENCODING = 212,
    LUM__PAGE_BAD_PARAMETER = 213,
    LUM__PAGE_BAD_OFFSET = 214,
    LUM__PAGE_BAD_PAYLOAD_BYTES = 215,
    LUM__PAGE_BAD_LIMITS = 216,
    LUM__PAGE_BAD_STRIDE = 217,
    LUM__PAGE_BAD_BLOCK = 218,
    LUM__PAGE_BAD_PADDING = 219,
    LUM__PAGE_BAD_END = 220,
    LUM__PAGE_WRONG_MIN_MAX = 221,
    LUM__PAGE_WRONG_DIGEST = 222,
};

/* True for the conditions that mean "intact, but of a newer lum" (once the page's CRC was found right). */
static inline bool lum__page_condition_is_unsupported(uint32_t condition)
{
    return condition == LUM__PAGE_UNKNOWN_SCHEMA || condition == LUM__PAGE_UNKNOWN_VERSION ||
           condition == LUM__PAGE_UNKNOWN_ENCODING;
}

#endif
