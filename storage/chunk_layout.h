/* storage/chunk_layout.h - offsets inside a chunk, shared by the code that builds (chunk.c) and the code that checks
 * (chunk_check.c). Source of truth: docs/format.md section 4. */
#ifndef LUM_STORAGE_CHUNK_LAYOUT_H
#define LUM_STORAGE_CHUNK_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/chunk.h"

#define LUM__CHUNK_MAGIC_BYTES "LUMC"

enum {
    LUM__CHUNK_VERSION_1 = 1,
    LUM__RANGE_BYTES = 48,

    LUM__CHUNK_MAGIC = 0,
    LUM__CHUNK_VERSION = 4,
    LUM__CHUNK_STORE_ID = 8,
    LUM__CHUNK_SEGMENT = 24,
    LUM__CHUNK_OFFSET = 32,
    LUM__CHUNK_TRANSACTION_ID = 40,
    LUM__CHUNK_ORDINAL = 48,
    LUM__CHUNK_BYTE_COUNT = 56,
    LUM__CHUNK_ROW_COUNT = 60,
    LUM__CHUNK_PAGE_COUNT = 64,
    LUM__CHUNK_FIRST_PAGE = 68,
    LUM__CHUNK_USED_BYTES = 72,
    LUM__CHUNK_LUM_DIGEST = 76,
    LUM__CHUNK_RANGE = 80,
    LUM__CHUNK_FEATURES_REFUSE = 128,
    LUM__CHUNK_ZERO = 136,
    LUM__CHUNK_CRC = 252,

    LUM__DIRECTORY_OFFSET = 0,
    LUM__DIRECTORY_BYTE_COUNT = 4,
    LUM__DIRECTORY_ROW_COUNT = 8,
    LUM__DIRECTORY_CRC = 12,
    LUM__DIRECTORY_LUM_DIGEST = 16,
    LUM__DIRECTORY_ZERO = 20,
    LUM__DIRECTORY_RANGE = 24,
};
_Static_assert(LUM__CHUNK_RANGE + LUM__RANGE_BYTES == LUM__CHUNK_FEATURES_REFUSE, "format.md 4");
_Static_assert(LUM__DIRECTORY_RANGE + LUM__RANGE_BYTES == LUM__CHUNK_DIRECTORY_ENTRY_BYTES, "format.md 4");

/* No offset in a file is beyond this, so that offset + length never overflows, not as a signed number either. */
#define LUM__SEGMENT_OFFSET_MAX ((uint64_t)1 << 62)

/* Bytes that a digest over the checksums of this many rows covers. */
#define LUM__DIGEST_BYTES(row_count) ((uint64_t)4 * (row_count))

void lum__range_encode(const struct lum__range *range, uint8_t out[LUM__RANGE_BYTES]);
void lum__range_decode(const uint8_t in[LUM__RANGE_BYTES], struct lum__range *out);
bool lum__range_is_ordered(const struct lum__range *range);
bool lum__range_equals(const struct lum__range *a, const struct lum__range *b);

#endif
