/* storage/chunk_entry.c - the entry by which log and catalogue know a chunk (docs/format.md section 5.1), and the ranges in it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/status.h"
#include "storage/chunk.h"
#include "storage/chunk_layout.h"
#include "storage/header.h"

void lum__segment_path(uint64_t segment, char out[64]) { (void)snprintf(out, 64, "data/%" PRIu64 ".seg", segment); }

/* ------------------------------------------------------------------------------------------------------ ranges */

void lum__range_encode(const struct lum__range *range, uint8_t out[LUM__RANGE_BYTES])
{
    lum__put_u64(out, range->id_min);
    lum__put_u64(out + 8, range->id_max);
    lum__put_u64(out + 16, range->timestamp_min);
    lum__put_u64(out + 24, range->timestamp_max);
    lum__put_u32(out + 32, (uint32_t)range->x_min);
    lum__put_u32(out + 36, (uint32_t)range->x_max);
    lum__put_u32(out + 40, (uint32_t)range->y_min);
    lum__put_u32(out + 44, (uint32_t)range->y_max);
}

void lum__range_decode(const uint8_t in[LUM__RANGE_BYTES], struct lum__range *out)
{
    out->id_min = lum__get_u64(in);
    out->id_max = lum__get_u64(in + 8);
    out->timestamp_min = lum__get_u64(in + 16);
    out->timestamp_max = lum__get_u64(in + 24);
    out->x_min = (int32_t)lum__get_u32(in + 32);
    out->x_max = (int32_t)lum__get_u32(in + 36);
    out->y_min = (int32_t)lum__get_u32(in + 40);
    out->y_max = (int32_t)lum__get_u32(in + 44);
}

bool lum__range_is_ordered(const struct lum__range *range)
{
    return range->id_min <= range->id_max && range->timestamp_min <= range->timestamp_max &&
           range->x_min <= range->x_max && range->y_min <= range->y_max;
}

bool lum__range_equals(const struct lum__range *a, const struct lum__range *b)
{
    return lum__range_contains(a, b) && lum__range_contains(b, a);
}

/* ------------------------------------------------------------------------------------------------------- entry */

enum {
    ENTRY_SEGMENT = 0,
    ENTRY_OFFSET = 8,
    ENTRY_BYTE_COUNT = 16,
    ENTRY_ROW_COUNT = 20,
    ENTRY_DIGEST = 24,
    ENTRY_LUM_DIGEST = 28,
    ENTRY_ORDINAL = 32,
    ENTRY_TRANSACTION_ID = 40,
    ENTRY_COMMIT_SEQUENCE = 48,
    ENTRY_RANGE = 56,
    ENTRY_ZERO = ENTRY_RANGE + LUM__RANGE_BYTES,
};

void lum__chunk_entry_encode(const struct lum__chunk_entry *entry, uint8_t out[LUM__CHUNK_ENTRY_BYTES])
{
    LUM_ASSERT(entry->rows == NULL); /* rows that are not folded are named by the log alone */
    memset(out, 0, LUM__CHUNK_ENTRY_BYTES);
    lum__put_u64(out + ENTRY_SEGMENT, entry->segment);
    lum__put_u64(out + ENTRY_OFFSET, entry->offset);
    lum__put_u32(out + ENTRY_BYTE_COUNT, entry->byte_count);
    lum__put_u32(out + ENTRY_ROW_COUNT, entry->row_count);
    lum__put_u32(out + ENTRY_DIGEST, entry->digest);
    lum__put_u32(out + ENTRY_LUM_DIGEST, entry->lum_digest);
    lum__put_u64(out + ENTRY_ORDINAL, entry->ordinal);
    lum__put_u64(out + ENTRY_TRANSACTION_ID, entry->transaction_id);
    lum__put_u64(out + ENTRY_COMMIT_SEQUENCE, entry->commit_sequence);
    lum__range_encode(&entry->range, out + ENTRY_RANGE);
}

/* Conditions 5.1: 1-4. */
static lum_status check_entry_limits(const struct lum__chunk_entry *entry, const char *file, uint64_t file_offset)
{
    uint32_t pages_max = entry->row_count < LUM__CHUNK_PAGES_MAX ? entry->row_count : LUM__CHUNK_PAGES_MAX;
    uint64_t byte_count_max =
        lum__round_up(LUM__CHUNK_DIRECTORY_BYTES_MAX + (uint64_t)pages_max * LUM__PAGE_BYTES_MAX, LUM__CHUNK_ALIGNMENT);

    if (entry->segment == 0 || entry->offset < LUM__BLOCK_BYTES || entry->offset % LUM__CHUNK_ALIGNMENT != 0 ||
        entry->offset > LUM__SEGMENT_OFFSET_MAX) {
        return lum__corrupt(file, file_offset + ENTRY_SEGMENT, 1,
                            "chunk entry: no chunk can be at offset %" PRIu64 " of segment %" PRIu64, entry->offset,
                            entry->segment);
    }
    if (entry->row_count == 0 || entry->row_count > LUM_CHUNK_LUMS_MAX) {
        return lum__corrupt(file, file_offset + ENTRY_ROW_COUNT, 2, "chunk entry: %u rows", entry->row_count);
    }
    if (entry->byte_count == 0 || entry->byte_count % LUM__CHUNK_ALIGNMENT != 0 || entry->byte_count > byte_count_max) {
        return lum__corrupt(file, file_offset + ENTRY_BYTE_COUNT, 3, "chunk entry: %u bytes for %u rows",
                            entry->byte_count, entry->row_count);
    }
    if (!lum__range_is_ordered(&entry->range)) {
        return lum__corrupt(file, file_offset + ENTRY_RANGE, 4, "chunk entry: a minimum is above its maximum");
    }
    return LUM_OK;
}

lum_status lum__chunk_entry_decode(const uint8_t in[LUM__CHUNK_ENTRY_BYTES], const char *file, uint64_t file_offset,
                                   struct lum__chunk_entry *out)
{
    out->segment = lum__get_u64(in + ENTRY_SEGMENT);
    out->offset = lum__get_u64(in + ENTRY_OFFSET);
    out->byte_count = lum__get_u32(in + ENTRY_BYTE_COUNT);
    out->row_count = lum__get_u32(in + ENTRY_ROW_COUNT);
    out->digest = lum__get_u32(in + ENTRY_DIGEST);
    out->lum_digest = lum__get_u32(in + ENTRY_LUM_DIGEST);
    out->ordinal = lum__get_u64(in + ENTRY_ORDINAL);
    out->transaction_id = lum__get_u64(in + ENTRY_TRANSACTION_ID);
    out->commit_sequence = lum__get_u64(in + ENTRY_COMMIT_SEQUENCE);
    lum__range_decode(in + ENTRY_RANGE, &out->range);
    out->rows = NULL;

    lum_status status = check_entry_limits(out, file, file_offset);
    if (status == LUM_OK && !lum__is_zero(in + ENTRY_ZERO, LUM__CHUNK_ENTRY_BYTES - ENTRY_ZERO)) {
        status = lum__unsupported(file, file_offset + ENTRY_ZERO, 5, "chunk entry: a reserved byte is not zero");
    }
    if (status != LUM_OK) memset(out, 0, sizeof *out);
    return status;
}
