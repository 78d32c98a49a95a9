/* wal/format.c - segment headers and log records to and from bytes (docs/format.md section 3). No I/O. */
#include "wal/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/status.h"
#include "storage/header.h"
#include "storage/row_table.h"

enum {
    /* segment header, own part */
    SALT_AT = 80,
    ORIGIN_AT = 84,
    FIRST_SEQUENCE_AT = 88,
    PREVIOUS_NUMBER_AT = 96,
    PREVIOUS_END_AT = 104,
    PREVIOUS_SEQUENCE_AT = 112,
    PREVIOUS_CRC_AT = 120,
    SEGMENT_ZERO_AT = 124,
    SEGMENT_BYTES_AT = 128,
    SEGMENT_UNUSED_AT = 136,
    SEGMENT_CRC_AT = 508,

    /* record header */
    VERSION_AT = 4,
    TYPE_AT = 6,
    SEQUENCE_AT = 8,
    TRANSACTION_AT = 16,
    TIMESTAMP_AT = 24,
    COUNT_AT = 32,
    PAYLOAD_BYTES_AT = 40,
    PAYLOAD_CRC_AT = 44,
    WATERMARK_AT = 48,
    SEGMENT_AT = 56,
    OFFSET_AT = 60,
    RECORD_SALT_AT = 68,
    FLAGS_AT = 72,
    RESERVED_AT = 76,
    HEADER_CRC_AT = 92,

    /* pages payload */
    PAGES_FORM_AT = 0,
    PAGES_ROW_COUNT_AT = 4,
    PAGES_DIGEST_AT = 8,
    PAGES_ZERO_AT = 12,

    RECORD_VERSION = 1,
    RESERVED_BYTES = 16,
    PAGES_FORM_ROWS = 1,
};

_Static_assert(HEADER_CRC_AT + 4 == LUM__WAL_RECORD_HEADER_BYTES, "the header CRC ends the record header");
_Static_assert(RESERVED_AT + RESERVED_BYTES == HEADER_CRC_AT, "reserved bytes reach up to the header CRC");
_Static_assert(SEGMENT_CRC_AT + 4 == LUM__HEADER_BYTES, "the segment header's CRC ends it");
_Static_assert((int)SALT_AT == (int)LUM__HEADER_KIND_OFFSET, "the segment's own part follows the common part");
_Static_assert(LUM__WAL_RECORD_HEADER_BYTES + LUM__WAL_COMMIT_BYTES + LUM__WAL_LABEL_BYTES_MAX +
                       2 * LUM__METADATA_TEXT_BYTES_MAX + LUM__METADATA_RESUME_BYTES_MAX + 3 * 8 <=
                   65536 - 2 * LUM__BLOCK_BYTES,
               "every record that we write fits the smallest segment that lum_open makes, beside header and seal");

static const uint8_t MAGIC[4] = {'W', 'A', 'L', 'X'};

void lum__wal_path(uint64_t segment, char out[64])
{
    LUM_ASSERT(segment > 0);
    snprintf(out, 64, "wal/%" PRIu64 ".wal", segment);
}

uint64_t lum__wal_name_number(const char *name)
{
    uint64_t number = 0;
    const char *at = name;
    if (*at < '1' || *at > '9') return 0; /* no leading zeros: one number, one name */
    for (; *at >= '0' && *at <= '9'; at++) {
        number = number * 10 + (uint64_t)(*at - '0');
        if (number > UINT32_MAX) return 0; /* a record names its segment with 32 bits */
    }
    return strcmp(at, ".wal") == 0 ? number : 0;
}

const char *lum__wal_type_name(enum lum__wal_type type)
{
    switch (type) {
    case LUM__WAL_BEGIN: return "begin";
    case LUM__WAL_PAGES: return "pages";
    case LUM__WAL_CHUNK: return "chunk";
    case LUM__WAL_COMMIT: return "commit";
    case LUM__WAL_ROLLBACK: return "rollback";
    case LUM__WAL_WATERMARK: return "watermark";
    case LUM__WAL_SEAL: return "seal";
    case LUM__WAL_CHECKPOINT: return "checkpoint";
    }
    return "unknown";
}

/* --- segment header --- */

void lum__wal_segment_encode(const struct lum__wal_segment *segment, uint8_t block[4096])
{
    LUM_ASSERT(segment->number > 0 && segment->number <= UINT32_MAX);
    LUM_ASSERT(segment->previous_sequence + 1 == segment->first_sequence);
    struct lum__file_header header = {
        .kind = LUM__FILE_WAL, .number = segment->number, .epoch = segment->epoch, .timestamp = segment->timestamp};
    memcpy(header.store_id, segment->store_id, sizeof header.store_id);
    lum__header_encode(&header, block);
    lum__put_u32(block + SALT_AT, segment->salt);
    lum__put_u32(block + ORIGIN_AT, (uint32_t)segment->origin);
    lum__put_u64(block + FIRST_SEQUENCE_AT, segment->first_sequence);
    lum__put_u64(block + PREVIOUS_NUMBER_AT, segment->previous_number);
    lum__put_u64(block + PREVIOUS_END_AT, segment->previous_end_offset);
    lum__put_u64(block + PREVIOUS_SEQUENCE_AT, segment->previous_sequence);
    lum__put_u32(block + PREVIOUS_CRC_AT, segment->previous_header_crc);
    lum__put_u64(block + SEGMENT_BYTES_AT, segment->segment_bytes);
    lum__header_seal(block);
}

/* Condition 9: do the words about the predecessor make sense together? */
static bool predecessor_fits(const struct lum__wal_segment *segment)
{
    if (segment->first_sequence == 0 || segment->previous_sequence != segment->first_sequence - 1) return false;
    if (segment->origin == LUM__WAL_ORIGIN_FIRST)
        return segment->previous_number == 0 && segment->previous_end_offset == 0 && segment->previous_header_crc == 0;
    if (segment->previous_number == 0 || segment->previous_number >= segment->number) return false;
    if (segment->previous_end_offset < LUM__BLOCK_BYTES || segment->previous_end_offset > LUM__WAL_SEGMENT_BYTES_MAX)
        return false;
    if (segment->origin == LUM__WAL_ORIGIN_ROTATION) /* behind a seal, which fills a block */
        return segment->previous_end_offset % LUM__WAL_BATCH_ALIGNMENT == 0 &&
               segment->previous_end_offset > LUM__BLOCK_BYTES;
    return segment->previous_end_offset % 8 == 0;
}

/* A log segment's header is valid if and only if conditions 1-6 of every file header hold (storage/header.c), and
 * (format.md section 3)  7. the origin is 1..3, and the zero bytes of its own part are zero (else unsupported); 8.
 * segment bytes is a multiple of 4,096 between 16 KiB and 1 GiB, the own number fits 32 bits; 9. the words about the
 * predecessor fit together. */
lum_status lum__wal_segment_decode(const uint8_t block[4096], const uint8_t *store_id, uint64_t number,
                                   const char *file, struct lum__wal_segment *out)
{
    struct lum__file_header header;
    memset(out, 0, sizeof *out);
    LUM_TRY(lum__header_decode(block, LUM__FILE_WAL, store_id, number, file, &header));
    uint32_t origin = lum__get_u32(block + ORIGIN_AT);
    if (origin < LUM__WAL_ORIGIN_FIRST || origin > LUM__WAL_ORIGIN_RECOVERY ||
        !lum__is_zero(block + SEGMENT_ZERO_AT, 4) ||
        !lum__is_zero(block + SEGMENT_UNUSED_AT, SEGMENT_CRC_AT - SEGMENT_UNUSED_AT))
        return lum__fail_at(__FILE__, __LINE__, LUM_ERR_UNSUPPORTED, 0, file, 0, 7,
                            "the log segment's header holds something that this version does not know");
    struct lum__wal_segment segment = {
        .number = header.number,
        .epoch = header.epoch,
        .timestamp = header.timestamp,
        .salt = lum__get_u32(block + SALT_AT),
        .origin = (enum lum__wal_origin)origin,
        .first_sequence = lum__get_u64(block + FIRST_SEQUENCE_AT),
        .previous_number = lum__get_u64(block + PREVIOUS_NUMBER_AT),
        .previous_end_offset = lum__get_u64(block + PREVIOUS_END_AT),
        .previous_sequence = lum__get_u64(block + PREVIOUS_SEQUENCE_AT),
        .previous_header_crc = lum__get_u32(block + PREVIOUS_CRC_AT),
        .segment_bytes = lum__get_u64(block + SEGMENT_BYTES_AT),
        .features_read_only = header.features_read_only,
    };
    memcpy(segment.store_id, header.store_id, sizeof segment.store_id);
    if (segment.segment_bytes < LUM__WAL_SEGMENT_BYTES_MIN || segment.segment_bytes > LUM__WAL_SEGMENT_BYTES_MAX ||
        segment.segment_bytes % LUM__WAL_BATCH_ALIGNMENT != 0 || segment.number == 0 || segment.number > UINT32_MAX)
        return lum__corrupt(file, SEGMENT_BYTES_AT, 8, "the log segment's header gives an impossible size or number");
    if (!predecessor_fits(&segment))
        return lum__corrupt(file, FIRST_SEQUENCE_AT, 9,
                            "the log segment's header contradicts itself about its predecessor");
    *out = segment;
    return LUM_OK;
}

/* --- records: writing --- */

static uint32_t payload_bytes_of(const struct lum__wal_record *record)
{
    switch (record->type) {
    case LUM__WAL_PAGES: return LUM__WAL_PAGES_BYTES + record->pages.row_count * (uint32_t)sizeof(lum_t);
    case LUM__WAL_CHUNK: return LUM__CHUNK_ENTRY_BYTES;
    case LUM__WAL_COMMIT:
        return LUM__WAL_COMMIT_BYTES + record->commit.label_bytes + lum__metadata_bytes(&record->commit.metadata);
    case LUM__WAL_SEAL: return LUM__WAL_SEAL_BYTES;
    case LUM__WAL_CHECKPOINT: return LUM__WAL_CHECKPOINT_BYTES;
    case LUM__WAL_BEGIN:
    case LUM__WAL_ROLLBACK:
    case LUM__WAL_WATERMARK: return 0;
    }
    LUM_ASSERT(!"a record type that this version writes");
    return 0;
}

uint32_t lum__wal_record_bytes(const struct lum__wal_record *record)
{
    return LUM__WAL_RECORD_HEADER_BYTES + (uint32_t)lum__round_up(payload_bytes_of(record), 8);
}

uint64_t lum__wal_record_end(const struct lum__wal_record *record)
{
    uint64_t end = record->offset + LUM__WAL_RECORD_HEADER_BYTES + lum__round_up(record->payload_bytes, 8);
    return record->is_last_of_batch ? lum__round_up(end, LUM__WAL_BATCH_ALIGNMENT) : end;
}

/* Writes the payload; out is zeroed already. */
static void encode_payload(const struct lum__wal_record *record, uint8_t *out)
{
    switch (record->type) {
    case LUM__WAL_PAGES:
        LUM_ASSERT(record->pages.row_count == record->count);
        LUM_ASSERT(record->pages.row_count > 0 && record->pages.row_count <= LUM__WAL_PAGES_ROWS_MAX);
        lum__put_u32(out + PAGES_FORM_AT, PAGES_FORM_ROWS);
        lum__put_u32(out + PAGES_ROW_COUNT_AT, record->pages.row_count);
        lum__put_u32(out + PAGES_DIGEST_AT, record->pages.digest);
        memcpy(out + LUM__WAL_PAGES_BYTES, record->pages.rows, record->pages.row_count * sizeof(lum_t)); /* as it lies: storage/record.c */
        break;
    case LUM__WAL_CHUNK:
        LUM_ASSERT(record->chunk.commit_sequence == 0);
        LUM_ASSERT(record->chunk.transaction_id == record->transaction_id);
        LUM_ASSERT(record->chunk.row_count == record->count);
        lum__chunk_entry_encode(&record->chunk, out);
        break;
    case LUM__WAL_COMMIT:
        LUM_ASSERT(record->commit.lum_count == record->count);
        lum__put_u64(out, record->commit.chunk_count);
        lum__put_u64(out + 8, record->commit.lum_count);
        lum__put_u32(out + 16, record->commit.digest);
        lum__put_u32(out + 20, record->commit.data_synced ? 1 : 0);
        lum__put_u16(out + 24, record->commit.label_bytes);
        lum__put_u32(out + 28, lum__metadata_bytes(&record->commit.metadata));
        memcpy(out + LUM__WAL_COMMIT_BYTES, record->commit.label, record->commit.label_bytes);
        lum__metadata_encode(&record->commit.metadata, out + LUM__WAL_COMMIT_BYTES + record->commit.label_bytes);
        break;
    case LUM__WAL_SEAL:
        LUM_ASSERT(record->seal.successor == record->count);
        lum__put_u64(out, record->seal.successor);
        lum__put_u32(out + 8, record->seal.successor_salt);
        break;
    case LUM__WAL_CHECKPOINT:
        LUM_ASSERT(record->checkpoint.number == record->count);
        lum__put_u64(out, record->checkpoint.number);
        lum__put_u64(out + 8, record->checkpoint.covered_sequence);
        lum__put_u32(out + 16, record->checkpoint.body_crc);
        break;
    default: break; /* no payload */
    }
}

static uint32_t header_crc(const uint8_t *bytes, const uint8_t store_id[16])
{
    return lum__crc32c(lum__crc32c(0, store_id, 16), bytes, HEADER_CRC_AT);
}

uint32_t lum__wal_record_encode(struct lum__wal_record *record, const uint8_t store_id[16], uint32_t salt, uint8_t *out)
{
    LUM_ASSERT(record->offset % 8 == 0 && record->offset >= LUM__BLOCK_BYTES);
    LUM_ASSERT(record->watermark < record->sequence);
    uint32_t record_bytes = lum__wal_record_bytes(record);
    memset(out, 0, record_bytes);
    uint8_t *payload = out + LUM__WAL_RECORD_HEADER_BYTES;
    encode_payload(record, payload);
    record->payload_bytes = payload_bytes_of(record);
    memcpy(out, MAGIC, sizeof MAGIC);
    lum__put_u16(out + VERSION_AT, RECORD_VERSION);
    lum__put_u16(out + TYPE_AT, (uint16_t)record->type);
    lum__put_u64(out + SEQUENCE_AT, record->sequence);
    lum__put_u64(out + TRANSACTION_AT, record->transaction_id);
    lum__put_u64(out + TIMESTAMP_AT, record->timestamp);
    lum__put_u64(out + COUNT_AT, record->count);
    lum__put_u32(out + PAYLOAD_BYTES_AT, record->payload_bytes);
    lum__put_u32(out + PAYLOAD_CRC_AT, lum__crc32c(0, payload, record->payload_bytes));
    lum__put_u64(out + WATERMARK_AT, record->watermark);
    lum__put_u32(out + SEGMENT_AT, (uint32_t)record->segment);
    lum__put_u64(out + OFFSET_AT, record->offset);
    lum__put_u32(out + RECORD_SALT_AT, salt);
    lum__put_u32(out + FLAGS_AT, record->is_last_of_batch ? LUM__WAL_FLAG_LAST_OF_BATCH : 0);
    record->header_crc = header_crc(out, store_id);
    lum__put_u32(out + HEADER_CRC_AT, record->header_crc);
    return record_bytes;
}

uint32_t lum__wal_record_mark_last(uint8_t *bytes, const uint8_t store_id[16])
{
    LUM_ASSERT(memcmp(bytes, MAGIC, sizeof MAGIC) == 0);
    lum__put_u32(bytes + FLAGS_AT, LUM__WAL_FLAG_LAST_OF_BATCH);
    uint32_t crc = header_crc(bytes, store_id);
    lum__put_u32(bytes + HEADER_CRC_AT, crc);
    return crc;
}

/* --- records: checking --- */

static void decode_header(const uint8_t *bytes, struct lum__wal_record *out)
{
    out->type = (enum lum__wal_type)lum__get_u16(bytes + TYPE_AT);
    out->sequence = lum__get_u64(bytes + SEQUENCE_AT);
    out->transaction_id = lum__get_u64(bytes + TRANSACTION_AT);
    out->timestamp = lum__get_u64(bytes + TIMESTAMP_AT);
    out->count = lum__get_u64(bytes + COUNT_AT);
    out->watermark = lum__get_u64(bytes + WATERMARK_AT);
    out->payload_bytes = lum__get_u32(bytes + PAYLOAD_BYTES_AT);
    out->header_crc = lum__get_u32(bytes + HEADER_CRC_AT);
    out->is_last_of_batch = (lum__get_u32(bytes + FLAGS_AT) & LUM__WAL_FLAG_LAST_OF_BATCH) != 0;
    out->segment = lum__get_u32(bytes + SEGMENT_AT);
    out->offset = lum__get_u64(bytes + OFFSET_AT);
}

/* Every row is proven here, so that nobody behind this has to. */
static enum lum__wal_look decode_pages(const uint8_t *payload, struct lum__wal_record *out)
{
    uint32_t digest = 0;
    if (out->payload_bytes < LUM__WAL_PAGES_BYTES) return LUM__WAL_BAD;
    if (lum__get_u32(payload + PAGES_FORM_AT) != PAGES_FORM_ROWS || lum__get_u32(payload + PAGES_ZERO_AT) != 0)
        return LUM__WAL_UNSUPPORTED;
    uint32_t row_count = lum__get_u32(payload + PAGES_ROW_COUNT_AT);
    if (row_count == 0 || row_count > LUM__WAL_PAGES_ROWS_MAX || row_count != out->count ||
        out->payload_bytes != LUM__WAL_PAGES_BYTES + row_count * sizeof(lum_t))
        return LUM__WAL_BAD;
    for (uint32_t i = 0; i < row_count; i++) {
        lum_t row;
        memcpy(&row, payload + LUM__WAL_PAGES_BYTES + i * sizeof row, sizeof row);
        if (lum__rows_check(&row, 1) != 1) return LUM__WAL_BAD;
        digest = lum__rows_digest(digest, &row, 1);
    }
    out->pages.rows = payload + LUM__WAL_PAGES_BYTES;
    out->pages.row_count = row_count;
    out->pages.digest = digest;
    return digest == lum__get_u32(payload + PAGES_DIGEST_AT) ? LUM__WAL_VALID : LUM__WAL_BAD;
}

static enum lum__wal_look decode_chunk(const uint8_t *payload, struct lum__wal_record *out)
{
    char path[64];
    if (out->payload_bytes != LUM__CHUNK_ENTRY_BYTES) return LUM__WAL_BAD;
    lum__wal_path(out->segment, path);
    lum_status status = lum__chunk_entry_decode(payload, path, out->offset + LUM__WAL_RECORD_HEADER_BYTES, &out->chunk);
    if (status == LUM_ERR_UNSUPPORTED) return LUM__WAL_UNSUPPORTED;
    if (status != LUM_OK || out->chunk.commit_sequence != 0) return LUM__WAL_BAD;
    bool is_same = out->chunk.transaction_id == out->transaction_id && out->chunk.row_count == out->count;
    return is_same ? LUM__WAL_VALID : LUM__WAL_BAD;
}

static enum lum__wal_look decode_commit(const uint8_t *payload, struct lum__wal_record *out)
{
    char path[64];
    if (out->payload_bytes < LUM__WAL_COMMIT_BYTES) return LUM__WAL_BAD;
    uint32_t label_bytes = lum__get_u16(payload + 24);
    uint32_t data_synced = lum__get_u32(payload + 20);
    uint32_t extension_bytes = lum__get_u32(payload + 28);
    if (data_synced > 1 || !lum__is_zero(payload + 26, 2) || !lum__is_zero(payload + 32, 8))
        return LUM__WAL_UNSUPPORTED;
    uint32_t metadata_at = LUM__WAL_COMMIT_BYTES + label_bytes;
    if (label_bytes > LUM__WAL_LABEL_BYTES_MAX || extension_bytes > LUM__METADATA_BYTES_MAX ||
        out->payload_bytes != metadata_at + extension_bytes)
        return LUM__WAL_BAD;
    if (memchr(payload + LUM__WAL_COMMIT_BYTES, 0, label_bytes) != NULL) return LUM__WAL_BAD;
    out->commit.chunk_count = lum__get_u64(payload);
    out->commit.lum_count = lum__get_u64(payload + 8);
    out->commit.digest = lum__get_u32(payload + 16);
    out->commit.data_synced = data_synced == 1;
    out->commit.label_bytes = (uint8_t)label_bytes;
    memcpy(out->commit.label, payload + LUM__WAL_COMMIT_BYTES, label_bytes);
    lum__wal_path(out->segment, path);
    lum_status status = lum__metadata_decode(payload + metadata_at, extension_bytes, path,
                                             out->offset + LUM__WAL_RECORD_HEADER_BYTES + metadata_at,
                                             &out->commit.metadata);
    if (status != LUM_OK) return status == LUM_ERR_UNSUPPORTED ? LUM__WAL_UNSUPPORTED : LUM__WAL_BAD;
    return out->commit.lum_count == out->count ? LUM__WAL_VALID : LUM__WAL_BAD;
}

static enum lum__wal_look decode_seal(const uint8_t *payload, struct lum__wal_record *out)
{
    if (out->payload_bytes != LUM__WAL_SEAL_BYTES) return LUM__WAL_BAD;
    if (!lum__is_zero(payload + 12, 4)) return LUM__WAL_UNSUPPORTED;
    out->seal.successor = lum__get_u64(payload);
    out->seal.successor_salt = lum__get_u32(payload + 8);
    /* Numbers only grow: a seal that points back could lead a reader round in circles. */
    if (out->seal.successor <= out->segment || out->seal.successor > UINT32_MAX) return LUM__WAL_BAD;
    return out->seal.successor == out->count && out->is_last_of_batch ? LUM__WAL_VALID : LUM__WAL_BAD;
}

static enum lum__wal_look decode_checkpoint(const uint8_t *payload, struct lum__wal_record *out)
{
    if (out->payload_bytes != LUM__WAL_CHECKPOINT_BYTES) return LUM__WAL_BAD;
    if (!lum__is_zero(payload + 20, 4)) return LUM__WAL_UNSUPPORTED;
    out->checkpoint.number = lum__get_u64(payload);
    out->checkpoint.covered_sequence = lum__get_u64(payload + 8);
    out->checkpoint.body_crc = lum__get_u32(payload + 16);
    return out->checkpoint.number == out->count ? LUM__WAL_VALID : LUM__WAL_BAD;
}

/* Condition 9: the form of each type (format.md 3.2). */
static enum lum__wal_look decode_payload(const uint8_t *payload, struct lum__wal_record *out)
{
    bool is_of_transaction = out->transaction_id != 0;
    bool is_bare = out->payload_bytes == 0;
    switch (out->type) {
    case LUM__WAL_PAGES: return is_of_transaction ? decode_pages(payload, out) : LUM__WAL_BAD;
    case LUM__WAL_BEGIN: return is_bare && is_of_transaction && out->count == 0 ? LUM__WAL_VALID : LUM__WAL_BAD;
    case LUM__WAL_ROLLBACK: return is_bare && is_of_transaction ? LUM__WAL_VALID : LUM__WAL_BAD;
    case LUM__WAL_WATERMARK: return is_bare && !is_of_transaction && out->count == 0 ? LUM__WAL_VALID : LUM__WAL_BAD;
    case LUM__WAL_CHUNK: return is_of_transaction ? decode_chunk(payload, out) : LUM__WAL_BAD;
    case LUM__WAL_COMMIT: return is_of_transaction ? decode_commit(payload, out) : LUM__WAL_BAD;
    case LUM__WAL_SEAL: return !is_of_transaction ? decode_seal(payload, out) : LUM__WAL_BAD;
    case LUM__WAL_CHECKPOINT: return !is_of_transaction ? decode_checkpoint(payload, out) : LUM__WAL_BAD;
    }
    return LUM__WAL_BAD;
}

/* A log record at an offset is valid if and only if (format.md 3.1)
 *
 *  1. at least 96 bytes are left in the segment and the first four are `WALX`;
 *  2. the header CRC, begun with the store UUID, matches;
 *  3. version is 1, the type is 1..8, no other flag than bit 0 is set and the reserved bytes are zero (else
 * unsupported);
 *  4. segment number, offset and salt are those of the place it was read from;
 *  5. the sequence is the one expected there                                             (wal/reader.c);
 *  6. the payload has at most 2 MiB, and header and padded payload fit in what is left of the segment;
 *  7. the payload CRC matches, and the bytes that pad the payload to a multiple of 8 are zero;
 *  8. the watermark is below the sequence and not below the watermark of the record before (wal/reader.c);
 *  9. the payload is of its type's form (3.2);
 * 10. if it is the last of its batch, the bytes up to the next multiple of 4,096 are zero. */
enum lum__wal_look lum__wal_record_check(const uint8_t *bytes, uint64_t byte_count,
                                         const struct lum__wal_segment *segment, uint64_t offset,
                                         struct lum__wal_record *out, uint32_t *condition)
{
    LUM_ASSERT(offset % 8 == 0 && offset >= LUM__BLOCK_BYTES);
    LUM_ASSERT(offset <= segment->segment_bytes);
    memset(out, 0, sizeof *out);
    *condition = 0;
    uint64_t left = segment->segment_bytes - offset;
    if (byte_count < left) left = byte_count;
    if (offset % LUM__WAL_BATCH_ALIGNMENT == 0 &&
        lum__is_zero(bytes, left < LUM__BLOCK_BYTES ? left : LUM__BLOCK_BYTES))
        return LUM__WAL_BLANK;

    *condition = 1;
    if (left < LUM__WAL_RECORD_HEADER_BYTES || memcmp(bytes, MAGIC, sizeof MAGIC) != 0) return LUM__WAL_BAD;
    *condition = 2;
    if (lum__get_u32(bytes + HEADER_CRC_AT) != header_crc(bytes, segment->store_id)) return LUM__WAL_BAD;
    *condition = 3;
    uint32_t type = lum__get_u16(bytes + TYPE_AT);
    if (lum__get_u16(bytes + VERSION_AT) != RECORD_VERSION || type < LUM__WAL_BEGIN || type > LUM__WAL_CHECKPOINT ||
        (lum__get_u32(bytes + FLAGS_AT) & ~(uint32_t)LUM__WAL_FLAG_LAST_OF_BATCH) != 0 ||
        !lum__is_zero(bytes + RESERVED_AT, RESERVED_BYTES))
        return LUM__WAL_UNSUPPORTED;
    decode_header(bytes, out);
    *condition = 4;
    if (out->segment != segment->number || out->offset != offset ||
        lum__get_u32(bytes + RECORD_SALT_AT) != segment->salt)
        return LUM__WAL_STALE;
    *condition = 6;
    if (out->payload_bytes > LUM__WAL_PAYLOAD_BYTES_MAX) return LUM__WAL_BAD;
    uint64_t record_bytes = LUM__WAL_RECORD_HEADER_BYTES + lum__round_up(out->payload_bytes, 8);
    if (record_bytes > left) return LUM__WAL_BAD;
    *condition = 7;
    const uint8_t *payload = bytes + LUM__WAL_RECORD_HEADER_BYTES;
    if (lum__get_u32(bytes + PAYLOAD_CRC_AT) != lum__crc32c(0, payload, out->payload_bytes)) return LUM__WAL_BAD;
    if (!lum__is_zero(payload + out->payload_bytes, record_bytes - LUM__WAL_RECORD_HEADER_BYTES - out->payload_bytes))
        return LUM__WAL_BAD;
    *condition = 9;
    enum lum__wal_look look = decode_payload(payload, out);
    if (look != LUM__WAL_VALID) return look;
    *condition = 10;
    uint64_t end = lum__wal_record_end(out) - offset;
    if (end > left || !lum__is_zero(bytes + record_bytes, end - record_bytes)) return LUM__WAL_BAD;
    *condition = 0;
    return LUM__WAL_VALID;
}
