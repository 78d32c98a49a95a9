/* storage/chunk.c - building chunks (docs/format.md section 4). Reading and checking: chunk_check.c; entries: chunk_entry.c. */
#include "storage/chunk.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/status.h"
#include "storage/chunk_layout.h"
#include "storage/header.h"
#include "storage/record.h"

static uint32_t page_capacity_of(uint32_t row_count_max)
{
    LUM_ASSERT(row_count_max >= 1);
    LUM_ASSERT(row_count_max <= LUM_CHUNK_LUMS_MAX);
    return (row_count_max + LUM__PAGE_ROWS_MAX - 1) / LUM__PAGE_ROWS_MAX;
}

static uint32_t first_page_offset(uint32_t page_capacity)
{
    return (uint32_t)lum__round_up(LUM__CHUNK_HEADER_BYTES + page_capacity * LUM__CHUNK_DIRECTORY_ENTRY_BYTES,
                                   LUM__PAGE_ALIGNMENT);
}

size_t lum__chunk_bytes_max(uint32_t row_count_max)
{
    uint32_t page_capacity = page_capacity_of(row_count_max);
    return lum__round_up(first_page_offset(page_capacity) + (size_t)page_capacity * LUM__PAGE_BYTES_MAX,
                         LUM__CHUNK_ALIGNMENT);
}

void lum__chunk_begin(struct lum__chunk_builder *builder, uint8_t *buffer, uint32_t row_count_max,
                      struct lum__page_scratch *scratch)
{
    LUM_ASSERT((uintptr_t)buffer % LUM__CHUNK_ALIGNMENT == 0);
    memset(builder, 0, sizeof *builder);
    builder->buffer = buffer;
    builder->scratch = scratch;
    builder->page_capacity = page_capacity_of(row_count_max);
    builder->used_bytes = first_page_offset(builder->page_capacity);
}

static void widen_range(struct lum__range *range, const struct lum__range *by)
{
    if (by->id_min < range->id_min) range->id_min = by->id_min;
    if (by->id_max > range->id_max) range->id_max = by->id_max;
    if (by->timestamp_min < range->timestamp_min) range->timestamp_min = by->timestamp_min;
    if (by->timestamp_max > range->timestamp_max) range->timestamp_max = by->timestamp_max;
    if (by->x_min < range->x_min) range->x_min = by->x_min;
    if (by->x_max > range->x_max) range->x_max = by->x_max;
    if (by->y_min < range->y_min) range->y_min = by->y_min;
    if (by->y_max > range->y_max) range->y_max = by->y_max;
}

/* The page was encoded in place, at used_bytes: takes its CRC while it is still in the cache, and its directory entry.
 */
static lum_status accept_page(struct lum__chunk_builder *builder, const struct lum__page_summary *summary)
{
    if (summary->row_fault != LUM__ROW_OK) {
        return lum__fail(LUM_ERR_INPUT, "row %u: %s", summary->row_fault_index,
                         lum__row_fault_text((enum lum__row_fault)summary->row_fault));
    }
    LUM_ASSERT(summary->byte_count > 0 && summary->byte_count <= LUM__PAGE_BYTES_MAX);
    LUM_ASSERT(summary->byte_count % LUM__PAGE_ALIGNMENT == 0);

    const uint8_t *page = builder->buffer + builder->used_bytes;
    uint8_t *at = builder->buffer + LUM__CHUNK_HEADER_BYTES + builder->page_count * LUM__CHUNK_DIRECTORY_ENTRY_BYTES;
    lum__put_u32(at + LUM__DIRECTORY_OFFSET, builder->used_bytes);
    lum__put_u32(at + LUM__DIRECTORY_BYTE_COUNT, summary->byte_count);
    lum__put_u32(at + LUM__DIRECTORY_ROW_COUNT, summary->row_count);
    lum__put_u32(at + LUM__DIRECTORY_CRC, lum__crc32c(0, page, summary->byte_count));
    lum__put_u32(at + LUM__DIRECTORY_LUM_DIGEST, summary->lum_digest);
    lum__put_u32(at + LUM__DIRECTORY_ZERO, 0);
    lum__range_encode(&summary->range, at + LUM__DIRECTORY_RANGE);

    builder->lum_digest =
        lum__crc32c_combine(builder->lum_digest, summary->lum_digest, LUM__DIGEST_BYTES(summary->row_count));
    if (builder->page_count == 0) builder->range = summary->range;
    widen_range(&builder->range, &summary->range);
    builder->page_count++;
    builder->row_count += summary->row_count;
    builder->used_bytes += summary->byte_count;
    return LUM_OK;
}

lum_status lum__chunk_add_rows(struct lum__chunk_builder *builder, const lum_t *rows, uint32_t row_count,
                               bool has_checksum, struct lum__page_summary *summary)
{
    LUM_ASSERT(builder->page_count < builder->page_capacity);
    LUM_ASSERT(row_count >= 1 && row_count <= LUM__PAGE_ROWS_MAX);
    lum__page_encode(builder->scratch, rows, row_count, has_checksum, builder->buffer + builder->used_bytes, summary);
    return accept_page(builder, summary);
}

lum_status lum__chunk_add_columns(struct lum__chunk_builder *builder, const lum_columns *columns, uint32_t row_count,
                                  struct lum__page_summary *summary)
{
    LUM_ASSERT(builder->page_count < builder->page_capacity);
    LUM_ASSERT(row_count >= 1 && row_count <= LUM__PAGE_ROWS_MAX);
    lum__page_encode_columns(builder->scratch, columns, row_count, builder->buffer + builder->used_bytes, summary);
    return accept_page(builder, summary);
}

uint32_t lum__chunk_sealed_bytes(const struct lum__chunk_builder *builder)
{
    return (uint32_t)lum__round_up(builder->used_bytes, LUM__CHUNK_ALIGNMENT);
}

static void put_header(const struct lum__chunk_builder *builder, const uint8_t store_id[16],
                       const struct lum__chunk_entry *entry)
{
    uint8_t *at = builder->buffer;

    memset(at, 0, LUM__CHUNK_HEADER_BYTES);
    memcpy(at + LUM__CHUNK_MAGIC, LUM__CHUNK_MAGIC_BYTES, 4);
    lum__put_u32(at + LUM__CHUNK_VERSION, LUM__CHUNK_VERSION_1);
    memcpy(at + LUM__CHUNK_STORE_ID, store_id, 16);
    lum__put_u64(at + LUM__CHUNK_SEGMENT, entry->segment);
    lum__put_u64(at + LUM__CHUNK_OFFSET, entry->offset);
    lum__put_u64(at + LUM__CHUNK_TRANSACTION_ID, entry->transaction_id);
    lum__put_u64(at + LUM__CHUNK_ORDINAL, entry->ordinal);
    lum__put_u32(at + LUM__CHUNK_BYTE_COUNT, entry->byte_count);
    lum__put_u32(at + LUM__CHUNK_ROW_COUNT, entry->row_count);
    lum__put_u32(at + LUM__CHUNK_PAGE_COUNT, builder->page_count);
    lum__put_u32(at + LUM__CHUNK_FIRST_PAGE, first_page_offset(builder->page_capacity));
    lum__put_u32(at + LUM__CHUNK_USED_BYTES, builder->used_bytes);
    lum__put_u32(at + LUM__CHUNK_LUM_DIGEST, entry->lum_digest);
    lum__range_encode(&entry->range, at + LUM__CHUNK_RANGE);
    lum__put_u32(at + LUM__CHUNK_CRC, lum__crc32c(0, at, LUM__CHUNK_CRC));
}

void lum__chunk_seal(struct lum__chunk_builder *builder, const uint8_t store_id[16], uint64_t segment, uint64_t offset,
                     uint64_t transaction_id, uint64_t ordinal, struct lum__chunk_entry *out)
{
    LUM_ASSERT(builder->page_count > 0);
    LUM_ASSERT(segment > 0 && offset >= LUM__BLOCK_BYTES && offset % LUM__CHUNK_ALIGNMENT == 0);
    *out = (struct lum__chunk_entry){
        .segment = segment,
        .offset = offset,
        .byte_count = lum__chunk_sealed_bytes(builder),
        .row_count = builder->row_count,
        .lum_digest = builder->lum_digest,
        .ordinal = ordinal,
        .transaction_id = transaction_id,
        .range = builder->range,
    };
    put_header(builder, store_id, out);

    /* Only the gaps are zeroed: the buffer is reused, and what lies between the pages was written by the encoder. */
    uint32_t directory_end = LUM__CHUNK_HEADER_BYTES + builder->page_count * LUM__CHUNK_DIRECTORY_ENTRY_BYTES;
    uint32_t first_page = first_page_offset(builder->page_capacity);
    memset(builder->buffer + directory_end, 0, first_page - directory_end);
    memset(builder->buffer + builder->used_bytes, 0, out->byte_count - builder->used_bytes);
    out->digest = lum__crc32c(0, builder->buffer, directory_end);
}
