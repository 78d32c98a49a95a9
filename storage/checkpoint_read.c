/* storage/checkpoint_read.c - reads a checkpoint and believes nothing of it: the numbered conditions of docs/format.md
 * section 5. Every count is compared with the file's size before anything is allocated. The body is read twice, for its
 * CRC and then for its entries, so that memory does not have to hold it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "base/status.h"
#include "storage/catalogue.h"
#include "storage/checkpoint_layout.h"
#include "storage/chunk_layout.h"

enum { SECTION_BUFFER_BYTES = 64 * 1024 };

/* What the header says of the body. */
struct counts {
    uint64_t chunks, transactions, open, open_chunks, label_bytes, metadata_bytes;
    uint64_t body_bytes, lum_count, id_ranges;
    uint32_t digest;
};

/* A part of the body that is read front to back. */
struct section {
    struct lum__file *file;
    const char *path;
    uint64_t offset, end; /* in the file, of what was not read yet */
    uint8_t *buffer;
    size_t begin, filled; /* in the buffer */
};

/* An extent, for the check that none overlap. */
struct extent {
    uint64_t segment, offset, byte_count;
};

struct reader {
    struct lum__file *file;
    char path[LUM__PATH_BYTES_MAX];
    struct counts counts;
    struct section chunks, transactions, open, open_chunks, labels, metadata, id_ranges;
    uint8_t *extensions; /* of the transaction read last; room for LUM__METADATA_BYTES_MAX */
    uint32_t extension_bytes;
    struct extent *extents;
    size_t extent_count;
    struct lum__chunk_entry *batch; /* chunks of the transaction being read */
    size_t batch_capacity;
};

/* --------------------------------------------------------------------------------------------------- sections */

static lum_status section_init(struct section *section, const struct reader *reader, uint64_t *offset,
                               uint64_t byte_count)
{
    section->file = reader->file;
    section->path = reader->path;
    section->offset = *offset;
    section->end = *offset += byte_count;
    section->begin = section->filled = 0;
    return lum__alloc(SECTION_BUFFER_BYTES, (void **)&section->buffer);
}

static lum_status read_exactly(struct lum__file *file, const char *path, uint8_t *buffer, size_t byte_count,
                               uint64_t offset)
{
    size_t bytes_read;

    LUM_TRY(lum__file_read(file, buffer, byte_count, offset, &bytes_read));
    if (bytes_read != byte_count)
        return lum__corrupt(path, offset + bytes_read, 7, "%s ended while it was being read", path);
    return LUM_OK;
}

/* The section's next byte_count bytes, lent until the next call; *file_offset is where they were. The caller knows that
 * they are there. */
static lum_status section_next(struct section *section, size_t byte_count, const uint8_t **out, uint64_t *file_offset)
{
    size_t held = section->filled - section->begin;

    LUM_ASSERT(byte_count <= SECTION_BUFFER_BYTES);
    if (held < byte_count) {
        uint64_t left = section->end - section->offset;
        size_t wanted = SECTION_BUFFER_BYTES - held;
        memmove(section->buffer, section->buffer + section->begin, held);
        if (wanted > left) wanted = (size_t)left;
        LUM_ASSERT(held + wanted >= byte_count);
        LUM_TRY(read_exactly(section->file, section->path, section->buffer + held, wanted, section->offset));
        section->offset += wanted;
        section->begin = 0;
        section->filled = held + wanted;
    }
    *file_offset = section->offset - (section->filled - section->begin);
    *out = section->buffer + section->begin;
    section->begin += byte_count;
    return LUM_OK;
}

static uint64_t section_left(const struct section *section)
{
    return section->end - section->offset + (section->filled - section->begin);
}

/* ----------------------------------------------------------------------------------------------------- header */

/* Condition 7. The file's size bounds every count, and with it everything that is allocated later. */
static lum_status check_counts(const struct reader *reader, uint64_t size_bytes)
{
    const struct counts *counts = &reader->counts;
    uint64_t body_bytes = size_bytes - LUM__BLOCK_BYTES;
    uint64_t limit = body_bytes / LUM__TRANSACTION_BYTES;

    if (counts->body_bytes != body_bytes) {
        return lum__corrupt(reader->path, LUM__CHECKPOINT_BODY_BYTES, 7,
                            "%s has %" PRIu64 " bytes behind its header, not %" PRIu64, reader->path, body_bytes,
                            counts->body_bytes);
    }
    bool fits = counts->chunks <= limit && counts->open_chunks <= limit && counts->transactions <= limit &&
                counts->open <= limit && counts->label_bytes <= body_bytes && counts->metadata_bytes <= body_bytes &&
                counts->id_ranges <= limit * (LUM__TRANSACTION_BYTES / LUM__ID_RANGE_BYTES);
    if (!fits || LUM__CHUNK_ENTRY_BYTES * (counts->chunks + counts->open_chunks) +
                         LUM__TRANSACTION_BYTES * (counts->transactions + counts->open) + counts->label_bytes +
                         counts->metadata_bytes + LUM__ID_RANGE_BYTES * counts->id_ranges !=
                     body_bytes) {
        return lum__corrupt(reader->path, LUM__CHECKPOINT_CHUNK_COUNT, 7,
                            "the counts in %s do not fit its %" PRIu64 " bytes", reader->path, body_bytes);
    }
    return LUM_OK;
}

static lum_status decode_header(struct reader *reader, const uint8_t *block, uint64_t number, const uint8_t *store_id,
                                struct lum__checkpoint *out)
{
    struct lum__file_header header;

    LUM_TRY(lum__header_decode(block, LUM__FILE_CHECKPOINT, store_id, number, reader->path, &header));
    if (header.features_read_only != 0) out->is_read_only = true;
    memcpy(out->store_id, header.store_id, 16);
    out->number = header.number;
    out->epoch = header.epoch;
    out->timestamp = header.timestamp;
    out->replay = (struct lum__log_position){
        .segment = lum__get_u64(block + LUM__CHECKPOINT_REPLAY_SEGMENT),
        .offset = lum__get_u64(block + LUM__CHECKPOINT_REPLAY_OFFSET),
        .sequence = lum__get_u64(block + LUM__CHECKPOINT_SEQUENCE),
        .last_header_crc = lum__get_u32(block + LUM__CHECKPOINT_REPLAY_CRC),
    };
    out->body_crc = lum__get_u32(block + LUM__CHECKPOINT_BODY_CRC);
    out->next_data_segment = lum__get_u64(block + LUM__CHECKPOINT_NEXT_DATA_SEGMENT);
    out->next_wal_segment = lum__get_u64(block + LUM__CHECKPOINT_NEXT_WAL_SEGMENT);
    reader->counts = (struct counts){
        .chunks = lum__get_u64(block + LUM__CHECKPOINT_CHUNK_COUNT),
        .transactions = lum__get_u64(block + LUM__CHECKPOINT_TRANSACTION_COUNT),
        .open = lum__get_u64(block + LUM__CHECKPOINT_OPEN_COUNT),
        .open_chunks = lum__get_u64(block + LUM__CHECKPOINT_OPEN_CHUNK_COUNT),
        .label_bytes = lum__get_u64(block + LUM__CHECKPOINT_LABEL_BYTES),
        .metadata_bytes = lum__get_u64(block + LUM__CHECKPOINT_METADATA_BYTES),
        .body_bytes = lum__get_u64(block + LUM__CHECKPOINT_BODY_BYTES),
        .lum_count = lum__get_u64(block + LUM__CHECKPOINT_LUM_COUNT),
        .digest = lum__get_u32(block + LUM__CHECKPOINT_DIGEST),
        .id_ranges = lum__get_u64(block + LUM__CHECKPOINT_ID_RANGE_COUNT),
    };
    if (lum__get_u64(block + LUM__CHECKPOINT_FOLD_SEQUENCE) != out->replay.sequence ||
        lum__get_u32(block + LUM__CHECKPOINT_ZERO_1) != 0 ||
        !lum__is_zero(block + LUM__CHECKPOINT_ZERO_2, LUM__CHECKPOINT_ZERO_2_END - LUM__CHECKPOINT_ZERO_2)) {
        return lum__unsupported(reader->path, LUM__CHECKPOINT_FOLD_SEQUENCE, 9,
                                "the header of %s has fields that this program does not know", reader->path);
    }
    if (out->replay.segment == 0 || out->replay.segment >= out->next_wal_segment || out->replay.offset == 0 ||
        out->replay.offset % LUM__BLOCK_BYTES != 0) {
        return lum__corrupt(reader->path, LUM__CHECKPOINT_REPLAY_SEGMENT, 9, "%s names no place in the log",
                            reader->path);
    }
    return LUM_OK;
}

static lum_status read_header(struct reader *reader, uint64_t number, const uint8_t *store_id,
                              struct lum__checkpoint *out)
{
    struct lum__file_info info;
    uint8_t block[LUM__BLOCK_BYTES];

    LUM_TRY(lum__file_info(reader->file, &info));
    if (info.size_bytes < LUM__BLOCK_BYTES) {
        return lum__corrupt(reader->path, info.size_bytes, 1, "%s is shorter than a header", reader->path);
    }
    LUM_TRY(read_exactly(reader->file, reader->path, block, sizeof block, 0));
    LUM_TRY(decode_header(reader, block, number, store_id, out));
    return check_counts(reader, info.size_bytes);
}

/* Condition 8. */
static lum_status check_body_crc(struct reader *reader, uint32_t body_crc)
{
    lum_status status = LUM_OK;
    uint8_t *buffer;
    uint32_t crc = 0;

    LUM_TRY(lum__alloc(SECTION_BUFFER_BYTES, (void **)&buffer));
    for (uint64_t done = 0; done < reader->counts.body_bytes;) {
        uint64_t left = reader->counts.body_bytes - done;
        size_t part_bytes = left < SECTION_BUFFER_BYTES ? (size_t)left : SECTION_BUFFER_BYTES;
        LUM_TRY_OUT(read_exactly(reader->file, reader->path, buffer, part_bytes, LUM__BLOCK_BYTES + done));
        crc = lum__crc32c(crc, buffer, part_bytes);
        done += part_bytes;
    }
    if (crc != body_crc) {
        status = lum__corrupt(reader->path, LUM__BLOCK_BYTES, 8,
                              "the %" PRIu64 " bytes behind the header of %s fail their CRC", reader->counts.body_bytes,
                              reader->path);
    }
out:
    free(buffer);
    return status;
}

/* ------------------------------------------------------------------------------------------------------ body */

/* Chunk entries of one transaction. Conditions 9, 10 and, of 12, the segment numbers. */
static lum_status read_chunks(struct reader *reader, struct section *section,
                              const struct lum__transaction *transaction, const struct lum__checkpoint *checkpoint,
                              struct lum__chunk_entry *out)
{
    for (uint64_t index = 0; index < transaction->chunk_count; index++) {
        const uint8_t *at;
        uint64_t offset;

        LUM_TRY(section_next(section, LUM__CHUNK_ENTRY_BYTES, &at, &offset));
        LUM_TRY(lum__chunk_entry_decode(at, reader->path, offset, &out[index]));
        bool is_in_order =
            transaction->commit_sequence == 0 || index == 0 || out[index].ordinal > out[index - 1].ordinal;
        if (out[index].transaction_id != transaction->transaction_id ||
            out[index].commit_sequence != transaction->commit_sequence || !is_in_order) {
            return lum__corrupt(reader->path, offset, 10,
                                "a chunk entry of transaction %" PRIu64 " is not where it belongs",
                                transaction->transaction_id);
        }
        if (out[index].segment >= checkpoint->next_data_segment) {
            return lum__corrupt(reader->path, offset, 12,
                                "a chunk is said to be in segment %" PRIu64 "; the next new one is %" PRIu64,
                                out[index].segment, checkpoint->next_data_segment);
        }
        reader->extents[reader->extent_count++] =
            (struct extent){out[index].segment, out[index].offset, out[index].byte_count};
    }
    return LUM_OK;
}

/* What an entry says of the parts of the body that belong to it. */
struct lengths {
    size_t label_bytes;
    uint32_t metadata_bytes, metadata_inherited;
};

/* One transaction entry. Condition 9, and no more chunks and label bytes than are left. */
static lum_status read_transaction(struct reader *reader, struct section *section, const struct section *chunks,
                                   struct lum__transaction *out, struct lengths *lengths, uint64_t *offset)
{
    const uint8_t *at;

    LUM_TRY(section_next(section, LUM__TRANSACTION_BYTES, &at, offset));
    uint16_t flags = lum__get_u16(at + LUM__TRANSACTION_FLAGS);
    *out = (struct lum__transaction){
        .transaction_id = lum__get_u64(at + LUM__TRANSACTION_ID),
        .commit_sequence = lum__get_u64(at + LUM__TRANSACTION_COMMIT_SEQUENCE),
        .commit_timestamp = lum__get_u64(at + LUM__TRANSACTION_TIMESTAMP),
        .lum_count = lum__get_u64(at + LUM__TRANSACTION_LUM_COUNT),
        .chunk_count = lum__get_u64(at + LUM__TRANSACTION_CHUNK_COUNT),
        .digest = lum__get_u32(at + LUM__TRANSACTION_DIGEST),
        .data_synced = (flags & LUM__TRANSACTION_FLAG_DATA_SYNCED) != 0,
        .label = "",
        .run_count = lum__get_u32(at + LUM__TRANSACTION_RUN_COUNT),
        .run_span = lum__get_u32(at + LUM__TRANSACTION_RUN_SPAN),
        .is_member = (flags & LUM__TRANSACTION_FLAG_MEMBER) != 0,
    };
    *lengths = (struct lengths){
        .label_bytes = lum__get_u16(at + LUM__TRANSACTION_LABEL_BYTES),
        .metadata_bytes = lum__get_u32(at + LUM__TRANSACTION_METADATA_BYTES),
        .metadata_inherited = lum__get_u32(at + LUM__TRANSACTION_METADATA_INHERITED),
    };
    if ((flags & ~(LUM__TRANSACTION_FLAG_DATA_SYNCED | LUM__TRANSACTION_FLAG_MEMBER)) != 0) {
        return lum__unsupported(reader->path, *offset, 9,
                                "a transaction entry has marks that this program does not know");
    }
    if (lengths->label_bytes > LUM__LABEL_BYTES_MAX || lengths->label_bytes > section_left(&reader->labels) ||
        out->chunk_count > section_left(chunks) / LUM__CHUNK_ENTRY_BYTES) {
        return lum__corrupt(reader->path, *offset, 11,
                            "a transaction entry counts %" PRIu64 " chunks and %zu label bytes; fewer are left",
                            out->chunk_count, lengths->label_bytes);
    }
    return LUM_OK;
}

static lum_status read_label(struct reader *reader, size_t label_bytes, char label[LUM__LABEL_BYTES_MAX + 1])
{
    const uint8_t *at;
    uint64_t offset;

    LUM_TRY(section_next(&reader->labels, label_bytes, &at, &offset));
    if (memchr(at, '\0', label_bytes) != NULL)
        return lum__corrupt(reader->path, offset, 9, "a label holds a zero byte");
    memcpy(label, at, label_bytes);
    label[label_bytes] = '\0';
    return LUM_OK;
}

/* Condition 13. The bytes of the transaction before are still in reader->extensions: the first of them may be its too.
 * *out is lent until the next call. */
static lum_status read_metadata(struct reader *reader, const struct lengths *lengths, uint64_t entry_offset,
                                struct lum__metadata *out)
{
    const uint8_t *at;
    uint64_t offset;

    if (lengths->metadata_inherited > reader->extension_bytes || lengths->metadata_bytes > LUM__METADATA_BYTES_MAX ||
        lengths->metadata_bytes + lengths->metadata_inherited > LUM__METADATA_BYTES_MAX ||
        lengths->metadata_bytes > section_left(&reader->metadata)) {
        return lum__corrupt(reader->path, entry_offset, 13,
                            "a transaction entry counts %" PRIu32 " bytes of extensions and %" PRIu32
                            " of those before; there are fewer",
                            lengths->metadata_bytes, lengths->metadata_inherited);
    }
    LUM_TRY(section_next(&reader->metadata, lengths->metadata_bytes, &at, &offset));
    memcpy(reader->extensions + lengths->metadata_inherited, at, lengths->metadata_bytes);
    reader->extension_bytes = lengths->metadata_inherited + lengths->metadata_bytes;
    return lum__metadata_decode(reader->extensions, reader->extension_bytes, reader->path, offset, out);
}

/* Condition 14. */
static lum_status check_run(const struct reader *reader, const struct lum__transaction *transaction, size_t label_bytes, uint64_t offset)
{
    bool is_run = transaction->run_count > 0;
    bool fits_run = is_run ? transaction->run_count >= 2 && transaction->run_span >= transaction->run_count - 1 &&
                                 transaction->run_span < transaction->commit_sequence && label_bytes == 0
                           : transaction->run_span == 0;
    bool fits_member = !transaction->is_member || (!is_run && transaction->chunk_count == 0);
    if (fits_run && fits_member) return LUM_OK;
    return lum__corrupt(reader->path, offset, 14, "a transaction entry says that it is a run of %" PRIu32 " over %" PRIu32 " sequences, or a member of one, and cannot be",
                        transaction->run_count, transaction->run_span);
}

/* Condition 14 too. */
static lum_status read_id_ranges(struct reader *reader, struct lum__catalogue *catalogue)
{
    void *memory = NULL;
    LUM_TRY(lum__alloc(reader->counts.id_ranges * sizeof(struct lum__id_range), &memory));
    struct lum__id_range *ranges = memory;
    lum_status status = LUM_OK;
    for (uint64_t index = 0; index < reader->counts.id_ranges; index++) {
        const uint8_t *at;
        uint64_t offset;
        LUM_TRY_OUT(section_next(&reader->id_ranges, LUM__ID_RANGE_BYTES, &at, &offset));
        ranges[index] = (struct lum__id_range){lum__get_u64(at), lum__get_u64(at + 8)};
    }
    status = lum__catalogue_set_folded_ids(catalogue, ranges, reader->counts.id_ranges);
    if (status == LUM_ERR_CORRUPT) status = lum__corrupt(reader->path, LUM__CHECKPOINT_ID_RANGE_COUNT, 14, "%s", lum__error_last()->message);
out:
    free(ranges);
    return status;
}

/* Committed transactions go into the catalogue, which checks the sums (condition 11). */
static lum_status read_committed(struct reader *reader, const struct lum__checkpoint *checkpoint,
                                 struct lum__catalogue *catalogue)
{
    uint64_t last_sequence = 0;

    for (uint64_t index = 0; index < reader->counts.transactions; index++) {
        struct lum__transaction transaction;
        char label[LUM__LABEL_BYTES_MAX + 1];
        struct lengths lengths;
        uint64_t offset;

        LUM_TRY(read_transaction(reader, &reader->transactions, &reader->chunks, &transaction, &lengths, &offset));
        LUM_TRY(check_run(reader, &transaction, lengths.label_bytes, offset));
        bool is_behind = transaction.is_member || transaction.commit_sequence - transaction.run_span > last_sequence;
        if (!is_behind || transaction.commit_sequence > checkpoint->replay.sequence) {
            return lum__corrupt(reader->path, offset, 10, "a commit at sequence %" PRIu64 " is out of order",
                                transaction.commit_sequence);
        }
        if (!transaction.is_member) last_sequence = transaction.commit_sequence;
        LUM_TRY(read_label(reader, lengths.label_bytes, label));
        transaction.label = label;
        LUM_TRY(read_metadata(reader, &lengths, offset, &transaction.metadata));
        LUM_TRY(lum__grow((void **)&reader->batch, &reader->batch_capacity, transaction.chunk_count,
                          sizeof *reader->batch));
        LUM_TRY(read_chunks(reader, &reader->chunks, &transaction, checkpoint, reader->batch));
        lum_status status = lum__catalogue_commit(catalogue, &transaction, reader->batch, transaction.chunk_count);
        if (status == LUM_ERR_CORRUPT) return lum__corrupt(reader->path, offset, 11, "%s", lum__error_last()->message);
        LUM_TRY(status);
    }
    return read_id_ranges(reader, catalogue);
}

static lum_status read_open(struct reader *reader, struct lum__checkpoint *out)
{
    LUM_TRY(lum__alloc_zeroed(reader->counts.open, sizeof *out->open, (void **)&out->open));
    for (uint64_t index = 0; index < reader->counts.open; index++) {
        struct lum__open_transaction *open = &out->open[index];
        struct lum__transaction transaction;
        struct lengths lengths;
        uint64_t offset;

        LUM_TRY(read_transaction(reader, &reader->open, &reader->open_chunks, &transaction, &lengths, &offset));
        if (transaction.commit_sequence != 0 || transaction.commit_timestamp != 0 || transaction.lum_count != 0 ||
            transaction.digest != 0 || transaction.data_synced || lengths.label_bytes != 0 ||
            lengths.metadata_bytes != 0 || lengths.metadata_inherited != 0 || transaction.run_count != 0 ||
            transaction.run_span != 0 || transaction.is_member) {
            return lum__corrupt(reader->path, offset, 10, "an open transaction has marks of a committed one");
        }
        LUM_TRY(
            lum__grow((void **)&open->chunks, &open->chunk_capacity, transaction.chunk_count, sizeof *open->chunks));
        open->transaction_id = transaction.transaction_id;
        open->chunk_count = transaction.chunk_count;
        out->open_count++;
        LUM_TRY(read_chunks(reader, &reader->open_chunks, &transaction, out, open->chunks));
    }
    return LUM_OK;
}

static int compare_extents(const void *a, const void *b)
{
    const struct extent *left = a, *right = b;
    if (left->segment != right->segment) return left->segment > right->segment ? 1 : -1;
    return (left->offset > right->offset) - (left->offset < right->offset);
}

/* Conditions 11 (what the parts say of the whole) and 12. */
static lum_status check_whole(struct reader *reader, struct lum__catalogue *catalogue)
{
    const struct lum__catalogue_version *version = lum__catalogue_pin(catalogue);
    bool is_sum_right = version->lum_count == reader->counts.lum_count && version->digest == reader->counts.digest;

    lum__catalogue_unpin(catalogue, version);
    if (!is_sum_right || section_left(&reader->chunks) != 0 || section_left(&reader->open_chunks) != 0 ||
        section_left(&reader->labels) != 0 || section_left(&reader->metadata) != 0) {
        return lum__corrupt(reader->path, LUM__CHECKPOINT_CHUNK_COUNT, 11,
                            "the header of %s counts otherwise than its entries", reader->path);
    }
    qsort(reader->extents, reader->extent_count, sizeof *reader->extents, compare_extents);
    for (size_t index = 1; index < reader->extent_count; index++) {
        const struct extent *before = &reader->extents[index - 1], *extent = &reader->extents[index];
        if (before->segment == extent->segment && before->offset + before->byte_count > extent->offset) {
            return lum__corrupt(reader->path, LUM__BLOCK_BYTES, 12,
                                "two chunks overlap at offset %" PRIu64 " of segment %" PRIu64, extent->offset,
                                extent->segment);
        }
    }
    return LUM_OK;
}

static lum_status read_body(struct reader *reader, struct lum__checkpoint *out, struct lum__catalogue *catalogue)
{
    const struct counts *counts = &reader->counts;
    uint64_t offset = LUM__BLOCK_BYTES;

    LUM_TRY(section_init(&reader->chunks, reader, &offset, counts->chunks * LUM__CHUNK_ENTRY_BYTES));
    LUM_TRY(section_init(&reader->transactions, reader, &offset, counts->transactions * LUM__TRANSACTION_BYTES));
    LUM_TRY(section_init(&reader->open, reader, &offset, counts->open * LUM__TRANSACTION_BYTES));
    LUM_TRY(section_init(&reader->open_chunks, reader, &offset, counts->open_chunks * LUM__CHUNK_ENTRY_BYTES));
    LUM_TRY(section_init(&reader->labels, reader, &offset, counts->label_bytes));
    LUM_TRY(section_init(&reader->metadata, reader, &offset, counts->metadata_bytes));
    LUM_TRY(section_init(&reader->id_ranges, reader, &offset, counts->id_ranges * LUM__ID_RANGE_BYTES));
    LUM_TRY(lum__alloc(LUM__METADATA_BYTES_MAX, (void **)&reader->extensions));
    LUM_TRY(
        lum__alloc_zeroed(counts->chunks + counts->open_chunks, sizeof *reader->extents, (void **)&reader->extents));
    LUM_TRY(read_committed(reader, out, catalogue));
    LUM_TRY(read_open(reader, out));
    return check_whole(reader, catalogue);
}

lum_status lum__checkpoint_read(struct lum__fs *fs, uint64_t number, const uint8_t *store_id,
                                struct lum__checkpoint *out, struct lum__catalogue *catalogue)
{
    lum_status status;
    struct reader reader = {0};

    memset(out, 0, sizeof *out);
    (void)snprintf(reader.path, sizeof reader.path, "checkpoint-%" PRIu64, number);
    LUM_TRY_OUT(lum__fs_open_file(fs, reader.path, LUM__OPEN_READ, &reader.file));
    LUM_TRY_OUT(read_header(&reader, number, store_id, out));
    LUM_TRY_OUT(check_body_crc(&reader, out->body_crc));
    LUM_TRY_OUT(read_body(&reader, out, catalogue));
out:
    free(reader.chunks.buffer);
    free(reader.transactions.buffer);
    free(reader.open.buffer);
    free(reader.open_chunks.buffer);
    free(reader.labels.buffer);
    free(reader.metadata.buffer);
    free(reader.extensions);
    free(reader.id_ranges.buffer);
    free(reader.extents);
    free(reader.batch);
    (void)lum__file_close(reader.file);
    if (status != LUM_OK) lum__checkpoint_fini(out);
    return status;
}

void lum__checkpoint_fini(struct lum__checkpoint *checkpoint)
{
    for (size_t index = 0; index < checkpoint->open_count; index++) free(checkpoint->open[index].chunks);
    free(checkpoint->open);
    memset(checkpoint, 0, sizeof *checkpoint);
}

/* ------------------------------------------------------------------------------------------------------ list */

struct listing {
    uint64_t *numbers;
    size_t max, count;
};

static lum_status list_name(void *context, const char *name)
{
    struct listing *listing = context;
    uint64_t number;
    size_t place = 0;

    if (!lum__name_number(name, "checkpoint-", "", &number)) return LUM_OK;
    while (place < listing->count && listing->numbers[place] > number) place++;
    if (place == listing->max) return LUM_OK;
    size_t moved = (listing->count < listing->max ? listing->count : listing->max - 1) - place;
    memmove(&listing->numbers[place + 1], &listing->numbers[place], moved * sizeof number);
    listing->numbers[place] = number;
    if (listing->count < listing->max) listing->count++;
    return LUM_OK;
}

lum_status lum__checkpoint_list(struct lum__fs *fs, uint64_t *numbers, size_t max, size_t *count)
{
    struct listing listing = {.numbers = numbers, .max = max};
    lum_status status = lum__fs_list(fs, "", list_name, &listing);

    *count = status == LUM_OK ? listing.count : 0;
    return status;
}
