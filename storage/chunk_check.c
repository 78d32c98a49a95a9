/* storage/chunk_check.c - what may be believed of a chunk that was read from disk: the numbered conditions of
 * docs/format.md section 4. Every byte may be hostile; offsets in messages are offsets in the segment file. */
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/status.h"
#include "storage/chunk.h"
#include "storage/chunk_layout.h"

uint32_t lum__chunk_directory_bytes(const struct lum__chunk_entry *entry)
{
    uint32_t bytes_max = (uint32_t)lum__round_up(LUM__CHUNK_DIRECTORY_BYTES_MAX, LUM__CHUNK_ALIGNMENT);
    return entry->byte_count < bytes_max ? entry->byte_count : bytes_max;
}

void lum__chunk_page(const uint8_t *bytes, uint32_t index, struct lum__page_entry *out)
{
    const uint8_t *at = bytes + LUM__CHUNK_HEADER_BYTES + (size_t)index * LUM__CHUNK_DIRECTORY_ENTRY_BYTES;
    out->offset = lum__get_u32(at + LUM__DIRECTORY_OFFSET);
    out->byte_count = lum__get_u32(at + LUM__DIRECTORY_BYTE_COUNT);
    out->row_count = lum__get_u32(at + LUM__DIRECTORY_ROW_COUNT);
    out->crc = lum__get_u32(at + LUM__DIRECTORY_CRC);
    out->lum_digest = lum__get_u32(at + LUM__DIRECTORY_LUM_DIGEST);
    lum__range_decode(at + LUM__DIRECTORY_RANGE, &out->range);
}

/* Conditions 1, 2, and of 9 the header's reserved bytes. */
static lum_status check_header_form(const uint8_t *bytes, const struct lum__chunk_entry *entry, const char *file)
{
    if (memcmp(bytes + LUM__CHUNK_MAGIC, LUM__CHUNK_MAGIC_BYTES, 4) != 0) {
        return lum__corrupt(file, entry->offset + LUM__CHUNK_MAGIC, 1, "there is no chunk where one should be");
    }
    if (lum__get_u32(bytes + LUM__CHUNK_CRC) != lum__crc32c(0, bytes, LUM__CHUNK_CRC)) {
        return lum__corrupt(file, entry->offset + LUM__CHUNK_CRC, 1, "a chunk's header fails its CRC");
    }
    uint32_t version = lum__get_u32(bytes + LUM__CHUNK_VERSION);
    if (version != LUM__CHUNK_VERSION_1) {
        return lum__unsupported(file, entry->offset + LUM__CHUNK_VERSION, 2,
                                "a chunk has version %u; this program knows version %d", version, LUM__CHUNK_VERSION_1);
    }
    uint64_t features_refuse = lum__get_u64(bytes + LUM__CHUNK_FEATURES_REFUSE);
    if (features_refuse != 0) {
        return lum__unsupported(file, entry->offset + LUM__CHUNK_FEATURES_REFUSE, 2,
                                "a chunk needs features (0x%" PRIx64 ") that this program does not have",
                                features_refuse);
    }
    if (!lum__is_zero(bytes + LUM__CHUNK_ZERO, LUM__CHUNK_CRC - LUM__CHUNK_ZERO)) {
        return lum__unsupported(file, entry->offset + LUM__CHUNK_ZERO, 9,
                                "a reserved byte of a chunk's header is not zero");
    }
    return LUM_OK;
}

/* Conditions 3 and 4: is it the chunk of this place, and the one that the entry means? */
static lum_status check_header_identity(const uint8_t *bytes, const uint8_t store_id[16],
                                        const struct lum__chunk_entry *entry, const char *file)
{
    struct lum__range range;

    if (memcmp(bytes + LUM__CHUNK_STORE_ID, store_id, 16) != 0) {
        return lum__corrupt(file, entry->offset + LUM__CHUNK_STORE_ID, 3, "a chunk belongs to another store");
    }
    if (lum__get_u64(bytes + LUM__CHUNK_SEGMENT) != entry->segment ||
        lum__get_u64(bytes + LUM__CHUNK_OFFSET) != entry->offset) {
        return lum__corrupt(file, entry->offset + LUM__CHUNK_SEGMENT, 3,
                            "a chunk was written for offset %" PRIu64 " of segment %" PRIu64 ", not for this place",
                            lum__get_u64(bytes + LUM__CHUNK_OFFSET), lum__get_u64(bytes + LUM__CHUNK_SEGMENT));
    }
    lum__range_decode(bytes + LUM__CHUNK_RANGE, &range);
    if (lum__get_u64(bytes + LUM__CHUNK_TRANSACTION_ID) != entry->transaction_id ||
        lum__get_u64(bytes + LUM__CHUNK_ORDINAL) != entry->ordinal ||
        lum__get_u32(bytes + LUM__CHUNK_BYTE_COUNT) != entry->byte_count ||
        lum__get_u32(bytes + LUM__CHUNK_ROW_COUNT) != entry->row_count ||
        lum__get_u32(bytes + LUM__CHUNK_LUM_DIGEST) != entry->lum_digest || !lum__range_equals(&range, &entry->range)) {
        return lum__corrupt(file, entry->offset + LUM__CHUNK_TRANSACTION_ID, 4,
                            "another chunk (of transaction %" PRIu64 ") lies where one of transaction %" PRIu64
                            " should be",
                            lum__get_u64(bytes + LUM__CHUNK_TRANSACTION_ID), entry->transaction_id);
    }
    return LUM_OK;
}

/* Condition 5, the header's part: afterwards header, directory and pages are known to lie inside the chunk. */
static lum_status check_header_sizes(const uint8_t *bytes, const struct lum__chunk_entry *entry, const char *file)
{
    uint32_t page_count = lum__get_u32(bytes + LUM__CHUNK_PAGE_COUNT);
    uint32_t first_page = lum__get_u32(bytes + LUM__CHUNK_FIRST_PAGE);
    uint32_t used_bytes = lum__get_u32(bytes + LUM__CHUNK_USED_BYTES);

    if (page_count == 0 || page_count > LUM__CHUNK_PAGES_MAX) {
        return lum__corrupt(file, entry->offset + LUM__CHUNK_PAGE_COUNT, 5, "a chunk has %u pages", page_count);
    }
    if (first_page < LUM__CHUNK_HEADER_BYTES + page_count * LUM__CHUNK_DIRECTORY_ENTRY_BYTES ||
        first_page > LUM__CHUNK_DIRECTORY_BYTES_MAX || first_page % LUM__PAGE_ALIGNMENT != 0) {
        return lum__corrupt(file, entry->offset + LUM__CHUNK_FIRST_PAGE, 5,
                            "a chunk's first page begins at its byte %u", first_page);
    }
    if (used_bytes <= first_page || lum__round_up(used_bytes, LUM__CHUNK_ALIGNMENT) != entry->byte_count) {
        return lum__corrupt(file, entry->offset + LUM__CHUNK_USED_BYTES, 5, "a chunk uses %u of its %u bytes",
                            used_bytes, entry->byte_count);
    }
    return LUM_OK;
}

/* Condition 5, the directory's part, its reserved bytes (9), and the digest of the page digests (8). */
static lum_status check_directory(const uint8_t *bytes, const struct lum__chunk_entry *entry, const char *file,
                                  uint32_t page_count)
{
    uint32_t next_offset = lum__get_u32(bytes + LUM__CHUNK_FIRST_PAGE);
    uint32_t used_bytes = lum__get_u32(bytes + LUM__CHUNK_USED_BYTES);
    uint64_t row_count = 0;
    uint32_t lum_digest = 0;

    for (uint32_t index = 0; index < page_count; index++) {
        uint64_t at = LUM__CHUNK_HEADER_BYTES + (uint64_t)index * LUM__CHUNK_DIRECTORY_ENTRY_BYTES;
        struct lum__page_entry page;

        lum__chunk_page(bytes, index, &page);
        if (page.offset != next_offset || page.byte_count == 0 || page.byte_count % LUM__PAGE_ALIGNMENT != 0 ||
            page.byte_count > LUM__PAGE_BYTES_MAX || page.byte_count > used_bytes - next_offset) {
            return lum__corrupt(file, entry->offset + at, 5, "page %u of a chunk has %u bytes at %u", index,
                                page.byte_count, page.offset);
        }
        if (page.row_count == 0 || page.row_count > LUM__PAGE_ROWS_MAX ||
            !lum__range_contains(&entry->range, &page.range) || !lum__range_is_ordered(&page.range)) {
            return lum__corrupt(file, entry->offset + at, 5,
                                "page %u of a chunk has %u rows, or a minimum or maximum out of order", index,
                                page.row_count);
        }
        if (lum__get_u32(bytes + at + LUM__DIRECTORY_ZERO) != 0) {
            return lum__unsupported(file, entry->offset + at, 9, "page %u of a chunk has an unknown mark", index);
        }
        next_offset += page.byte_count;
        row_count += page.row_count;
        lum_digest = lum__crc32c_combine(lum_digest, page.lum_digest, LUM__DIGEST_BYTES(page.row_count));
    }
    if (next_offset != used_bytes || row_count != entry->row_count) {
        return lum__corrupt(file, entry->offset + LUM__CHUNK_USED_BYTES, 5,
                            "the pages of a chunk end at its byte %u with %" PRIu64 " rows, not at %u with %u",
                            next_offset, row_count, used_bytes, entry->row_count);
    }
    if (lum_digest != entry->lum_digest) {
        return lum__corrupt(file, entry->offset + LUM__CHUNK_LUM_DIGEST, 8,
                            "the page digests of a chunk are not its digest");
    }
    return LUM_OK;
}

lum_status lum__chunk_check_directory(const uint8_t *bytes, size_t byte_count, const uint8_t store_id[16],
                                      const struct lum__chunk_entry *entry, const char *file, uint32_t *page_count)
{
    *page_count = 0;
    LUM_ASSERT(byte_count >= lum__chunk_directory_bytes(entry));
    LUM_TRY(check_header_form(bytes, entry, file));
    LUM_TRY(check_header_identity(bytes, store_id, entry, file));
    LUM_TRY(check_header_sizes(bytes, entry, file));

    uint32_t count = lum__get_u32(bytes + LUM__CHUNK_PAGE_COUNT);
    uint32_t directory_end = LUM__CHUNK_HEADER_BYTES + count * LUM__CHUNK_DIRECTORY_ENTRY_BYTES;
    if (lum__crc32c(0, bytes, directory_end) != entry->digest) {
        return lum__corrupt(file, entry->offset, 6,
                            "a chunk's header and page directory are not those that were logged");
    }
    LUM_TRY(check_directory(bytes, entry, file, count));
    *page_count = count;
    return LUM_OK;
}

/* Condition 7. */
lum_status lum__chunk_check_page_crc(const uint8_t *page, const struct lum__page_entry *page_entry,
                                     const struct lum__chunk_entry *entry, const char *file)
{
    if (lum__crc32c(0, page, page_entry->byte_count) != page_entry->crc) {
        return lum__corrupt(file, entry->offset + page_entry->offset, 7, "a page of %u bytes fails its CRC",
                            page_entry->byte_count);
    }
    return LUM_OK;
}

/* Condition 8, with the page's own condition in words. */
static lum_status page_damage(const struct lum__page_entry *page_entry, const struct lum__chunk_entry *entry,
                              const char *file, uint32_t condition, uint32_t at)
{
    return lum__corrupt(file, entry->offset + page_entry->offset + at, 8, "a page breaks condition %u of pages",
                        condition);
}

lum_status lum__chunk_decode_page(const uint8_t *page, const struct lum__page_entry *page_entry,
                                  const struct lum__chunk_entry *entry, struct lum__page_scratch *scratch,
                                  const char *file, lum_t *rows)
{
    uint32_t condition = 0, at = 0;

    LUM_TRY(lum__chunk_check_page_crc(page, page_entry, entry, file));
    if (!lum__page_decode(scratch, page, page_entry->byte_count, page_entry->row_count, page_entry->lum_digest, rows,
                          &condition, &at)) {
        return page_damage(page_entry, entry, file, condition, at);
    }
    return LUM_OK;
}

lum_status lum__chunk_decode_page_columns(const uint8_t *page, const struct lum__page_entry *page_entry,
                                          const struct lum__chunk_entry *entry, struct lum__page_scratch *scratch,
                                          const char *file, lum_columns *columns)
{
    uint32_t condition = 0, at = 0;

    LUM_TRY(lum__chunk_check_page_crc(page, page_entry, entry, file));
    if (!lum__page_decode_columns(scratch, page, page_entry->byte_count, page_entry->row_count, page_entry->lum_digest,
                                  columns, &condition, &at)) {
        return page_damage(page_entry, entry, file, condition, at);
    }
    return LUM_OK;
}

lum_status lum__chunk_check_page(const uint8_t *page, const struct lum__page_entry *page_entry,
                                 const struct lum__chunk_entry *entry, struct lum__page_scratch *scratch,
                                 const char *file)
{
    struct lum__range range;
    uint32_t condition = 0, at = 0;

    LUM_TRY(lum__chunk_check_page_crc(page, page_entry, entry, file));
    if (!lum__page_check(scratch, page, page_entry->byte_count, page_entry->row_count, page_entry->lum_digest, &range,
                         &condition, &at)) {
        return page_damage(page_entry, entry, file, condition, at);
    }
    if (!lum__range_equals(&page_entry->range, &range)) { /* by which scans pass pages over */
        return lum__corrupt(file, entry->offset + page_entry->offset, 8,
                            "the directory's minima and maxima of a page are not those of the page");
    }
    return LUM_OK;
}

lum_status lum__chunk_check_padding(const uint8_t *at, size_t byte_count, uint32_t chunk_offset,
                                    const struct lum__chunk_entry *entry, const char *file)
{
    if (!lum__is_zero(at, byte_count)) {
        return lum__corrupt(file, entry->offset + chunk_offset, 9, "the padding of a chunk is not zero");
    }
    return LUM_OK;
}

lum_status lum__chunk_check(const uint8_t *bytes, const uint8_t store_id[16], const struct lum__chunk_entry *entry,
                            struct lum__page_scratch *scratch, const char *file)
{
    uint32_t page_count;
    LUM_TRY(lum__chunk_check_directory(bytes, entry->byte_count, store_id, entry, file, &page_count));

    uint32_t end = LUM__CHUNK_HEADER_BYTES + page_count * LUM__CHUNK_DIRECTORY_ENTRY_BYTES;
    for (uint32_t index = 0; index < page_count; index++) {
        struct lum__page_entry page;

        lum__chunk_page(bytes, index, &page);
        LUM_TRY(lum__chunk_check_padding(bytes + end, page.offset - end, end, entry, file));
        LUM_TRY(lum__chunk_check_page(bytes + page.offset, &page, entry, scratch, file));
        end = page.offset + page.byte_count;
    }
    return lum__chunk_check_padding(bytes + end, entry->byte_count - end, end, entry, file);
}
