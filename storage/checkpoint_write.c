/* storage/checkpoint_write.c - writes a checkpoint: storage/README.md, "Checkpoints", protocol steps 1-6. */
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

enum { STREAM_BYTES = 256 * 1024 };

/* The body on its way to the file. */
struct stream {
    struct lum__file *file;
    uint8_t *buffer;
    size_t used_bytes;
    uint64_t offset; /* in the file, of buffer[0] */
    uint32_t crc;
};

static lum_status stream_write_out(struct stream *stream)
{
    if (stream->used_bytes == 0) return LUM_OK;
    LUM_TRY(lum__file_write(stream->file, stream->buffer, stream->used_bytes, stream->offset));
    stream->crc = lum__crc32c(stream->crc, stream->buffer, stream->used_bytes);
    stream->offset += stream->used_bytes;
    stream->used_bytes = 0;
    return LUM_OK;
}

/* Room for an entry at the stream's end; it belongs to the stream as soon as this returns. */
static lum_status stream_room(struct stream *stream, size_t byte_count, uint8_t **out)
{
    LUM_ASSERT(byte_count <= STREAM_BYTES);
    if (STREAM_BYTES - stream->used_bytes < byte_count) LUM_TRY(stream_write_out(stream));
    *out = stream->buffer + stream->used_bytes;
    stream->used_bytes += byte_count;
    return LUM_OK;
}

static lum_status put_chunks(struct stream *stream, const struct lum__chunk_entry *chunks, size_t chunk_count)
{
    for (size_t index = 0; index < chunk_count; index++) {
        uint8_t *at;
        LUM_TRY(stream_room(stream, LUM__CHUNK_ENTRY_BYTES, &at));
        lum__chunk_entry_encode(&chunks[index], at);
    }
    return LUM_OK;
}

/* The bytes at the start of a transaction's metadata that are not written because they are those of the one before:
 * all commits of a load say the same of themselves, but for the resume point. */
static uint32_t inherited_bytes(const struct lum__catalogue_version *version, size_t index)
{
    if (index == 0) return 0;
    const struct lum__metadata *metadata = &version->transactions[index].metadata;
    const struct lum__metadata *before = &version->transactions[index - 1].metadata;
    if (metadata->item_bytes == 0 || metadata->item_bytes != before->item_bytes) return 0;
    bool is_same = metadata->items == before->items || memcmp(metadata->items, before->items, metadata->item_bytes) == 0;
    return is_same ? metadata->item_bytes : 0;
}

static lum_status put_transaction(struct stream *stream, const struct lum__transaction *transaction, uint32_t inherited)
{
    uint8_t *at;
    size_t label_bytes = strlen(transaction->label);

    LUM_ASSERT(label_bytes <= LUM__LABEL_BYTES_MAX);
    LUM_TRY(stream_room(stream, LUM__TRANSACTION_BYTES, &at));
    memset(at, 0, LUM__TRANSACTION_BYTES);
    lum__put_u64(at + LUM__TRANSACTION_ID, transaction->transaction_id);
    lum__put_u64(at + LUM__TRANSACTION_COMMIT_SEQUENCE, transaction->commit_sequence);
    lum__put_u64(at + LUM__TRANSACTION_TIMESTAMP, transaction->commit_timestamp);
    lum__put_u64(at + LUM__TRANSACTION_LUM_COUNT, transaction->lum_count);
    lum__put_u64(at + LUM__TRANSACTION_CHUNK_COUNT, transaction->chunk_count);
    lum__put_u32(at + LUM__TRANSACTION_DIGEST, transaction->digest);
    lum__put_u16(at + LUM__TRANSACTION_LABEL_BYTES, (uint16_t)label_bytes);
    lum__put_u16(at + LUM__TRANSACTION_FLAGS, (uint16_t)((transaction->data_synced ? LUM__TRANSACTION_FLAG_DATA_SYNCED : 0) |
                                                        (transaction->is_member ? LUM__TRANSACTION_FLAG_MEMBER : 0)));
    lum__put_u32(at + LUM__TRANSACTION_RUN_COUNT, transaction->run_count);
    lum__put_u32(at + LUM__TRANSACTION_RUN_SPAN, transaction->run_span);
    lum__put_u32(at + LUM__TRANSACTION_METADATA_BYTES, lum__metadata_bytes(&transaction->metadata) - inherited);
    lum__put_u32(at + LUM__TRANSACTION_METADATA_INHERITED, inherited);
    return LUM_OK;
}

static lum_status put_metadata(struct stream *stream, const struct lum__metadata *metadata, uint32_t inherited)
{
    struct lum__metadata own = *metadata;
    uint8_t *at;

    if (inherited > 0) own.item_bytes = 0;
    LUM_TRY(stream_room(stream, lum__metadata_bytes(&own), &at));
    lum__metadata_encode(&own, at);
    return LUM_OK;
}

static lum_status put_body(struct stream *stream, const struct lum__checkpoint *checkpoint,
                           const struct lum__catalogue_version *version)
{
    LUM_TRY(put_chunks(stream, version->chunks, version->chunk_count));
    for (size_t index = 0; index < version->transaction_count; index++)
        LUM_TRY(put_transaction(stream, &version->transactions[index], inherited_bytes(version, index)));
    for (size_t index = 0; index < checkpoint->open_count; index++) {
        const struct lum__open_transaction *open = &checkpoint->open[index];
        struct lum__transaction entry = {
            .transaction_id = open->transaction_id, .chunk_count = open->chunk_count, .label = ""};
        LUM_TRY(put_transaction(stream, &entry, 0));
    }
    for (size_t index = 0; index < checkpoint->open_count; index++) {
        LUM_TRY(put_chunks(stream, checkpoint->open[index].chunks, checkpoint->open[index].chunk_count));
    }
    for (size_t index = 0; index < version->transaction_count; index++) {
        const char *label = version->transactions[index].label;
        uint8_t *at;
        LUM_TRY(stream_room(stream, strlen(label), &at));
        memcpy(at, label, strlen(label));
    }
    for (size_t index = 0; index < version->transaction_count; index++)
        LUM_TRY(put_metadata(stream, &version->transactions[index].metadata, inherited_bytes(version, index)));
    for (size_t index = 0; index < version->folded_id_count; index++) {
        uint8_t *at;
        LUM_TRY(stream_room(stream, LUM__ID_RANGE_BYTES, &at));
        lum__put_u64(at, version->folded_ids[index].first);
        lum__put_u64(at + 8, version->folded_ids[index].last);
    }
    return stream_write_out(stream);
}

static void put_header(uint8_t block[LUM__BLOCK_BYTES], const struct lum__checkpoint *checkpoint,
                       const struct lum__catalogue_version *version, uint64_t body_bytes)
{
    struct lum__file_header header = {.kind = LUM__FILE_CHECKPOINT,
                                      .number = checkpoint->number,
                                      .epoch = checkpoint->epoch,
                                      .timestamp = checkpoint->timestamp};
    uint64_t open_chunk_count = 0, label_bytes = 0, metadata_bytes = 0;

    memcpy(header.store_id, checkpoint->store_id, 16);
    for (size_t index = 0; index < checkpoint->open_count; index++)
        open_chunk_count += checkpoint->open[index].chunk_count;
    for (size_t index = 0; index < version->transaction_count; index++) {
        label_bytes += strlen(version->transactions[index].label);
        metadata_bytes += lum__metadata_bytes(&version->transactions[index].metadata) - inherited_bytes(version, index);
    }

    lum__header_encode(&header, block);
    lum__put_u64(block + LUM__CHECKPOINT_SEQUENCE, checkpoint->replay.sequence);
    lum__put_u64(block + LUM__CHECKPOINT_FOLD_SEQUENCE, checkpoint->replay.sequence);
    lum__put_u64(block + LUM__CHECKPOINT_REPLAY_SEGMENT, checkpoint->replay.segment);
    lum__put_u64(block + LUM__CHECKPOINT_REPLAY_OFFSET, checkpoint->replay.offset);
    lum__put_u32(block + LUM__CHECKPOINT_REPLAY_CRC, checkpoint->replay.last_header_crc);
    lum__put_u32(block + LUM__CHECKPOINT_BODY_CRC, checkpoint->body_crc);
    lum__put_u64(block + LUM__CHECKPOINT_BODY_BYTES, body_bytes);
    lum__put_u64(block + LUM__CHECKPOINT_CHUNK_COUNT, version->chunk_count);
    lum__put_u64(block + LUM__CHECKPOINT_TRANSACTION_COUNT, version->transaction_count);
    lum__put_u64(block + LUM__CHECKPOINT_OPEN_COUNT, checkpoint->open_count);
    lum__put_u64(block + LUM__CHECKPOINT_OPEN_CHUNK_COUNT, open_chunk_count);
    lum__put_u64(block + LUM__CHECKPOINT_LABEL_BYTES, label_bytes);
    lum__put_u64(block + LUM__CHECKPOINT_LUM_COUNT, version->lum_count);
    lum__put_u32(block + LUM__CHECKPOINT_DIGEST, version->digest);
    lum__put_u64(block + LUM__CHECKPOINT_NEXT_DATA_SEGMENT, checkpoint->next_data_segment);
    lum__put_u64(block + LUM__CHECKPOINT_NEXT_WAL_SEGMENT, checkpoint->next_wal_segment);
    lum__put_u64(block + LUM__CHECKPOINT_METADATA_BYTES, metadata_bytes);
    lum__put_u64(block + LUM__CHECKPOINT_ID_RANGE_COUNT, version->folded_id_count);
    lum__header_seal(block);
}

/* What a reader will demand (format.md 5), asserted before it is written. Overlaps of chunks are left to the reader. */
static void assert_writable(const struct lum__checkpoint *checkpoint, const struct lum__catalogue_version *version)
{
    LUM_ASSERT(checkpoint->number > 0);
    LUM_ASSERT(checkpoint->replay.segment > 0 && checkpoint->replay.segment < checkpoint->next_wal_segment);
    LUM_ASSERT(checkpoint->replay.offset >= LUM__BLOCK_BYTES && checkpoint->replay.offset % LUM__BLOCK_BYTES == 0);
    LUM_ASSERT(version->last_commit_sequence <= checkpoint->replay.sequence);
    LUM_ASSERT(version->unfolded_count == 0);
    for (size_t index = 0; index < version->chunk_count; index++) {
        LUM_ASSERT(version->chunks[index].segment < checkpoint->next_data_segment);
    }
    for (size_t index = 0; index < checkpoint->open_count; index++) {
        for (size_t chunk = 0; chunk < checkpoint->open[index].chunk_count; chunk++) {
            LUM_ASSERT(checkpoint->open[index].chunks[chunk].segment < checkpoint->next_data_segment);
            LUM_ASSERT(checkpoint->open[index].chunks[chunk].commit_sequence == 0);
            LUM_ASSERT(checkpoint->open[index].chunks[chunk].transaction_id == checkpoint->open[index].transaction_id);
        }
    }
}

static lum_status write_file(struct lum__fs *fs, const char *path, struct lum__checkpoint *checkpoint,
                             const struct lum__catalogue_version *version)
{
    lum_status status;
    uint8_t block[LUM__BLOCK_BYTES];
    struct stream stream = {.offset = LUM__BLOCK_BYTES};

    LUM_TRY_OUT(lum__alloc(STREAM_BYTES, (void **)&stream.buffer));
    LUM_TRY_OUT(lum__fs_open_file(fs, path, LUM__OPEN_WRITE | LUM__OPEN_CREATE, &stream.file));
    LUM_TRY_OUT(put_body(&stream, checkpoint, version));
    checkpoint->body_crc = stream.crc;
    put_header(block, checkpoint, version, stream.offset - LUM__BLOCK_BYTES);
    LUM_TRY_OUT(lum__file_write(stream.file, block, sizeof block, 0));
    LUM_TRY_OUT(lum__file_sync(stream.file));
out:
    free(stream.buffer);
    if (status == LUM_OK) return lum__file_close(stream.file);
    (void)lum__file_close(stream.file);
    return status;
}

lum_status lum__checkpoint_write(struct lum__fs *fs, struct lum__checkpoint *checkpoint,
                                 const struct lum__catalogue_version *version)
{
    lum_status status;
    char path[LUM__PATH_BYTES_MAX], temporary[LUM__PATH_BYTES_MAX];

    assert_writable(checkpoint, version);
    (void)snprintf(path, sizeof path, "checkpoint-%" PRIu64, checkpoint->number);
    (void)snprintf(temporary, sizeof temporary, "checkpoint-%" PRIu64 ".tmp", checkpoint->number);

    status = lum__fs_unlink(fs, temporary); /* step 1: one that an interrupted attempt left */
    if (status != LUM_OK && status != LUM_ERR_NOT_FOUND) return status;
    status = write_file(fs, temporary, checkpoint, version);            /* steps 2-4 */
    if (status == LUM_OK) status = lum__fs_rename(fs, temporary, path); /* step 5 */
    if (status != LUM_OK) {
        struct lum__error error = *lum__error_last();
        (void)!lum__fs_unlink(fs, temporary); /* the next writer removes what cannot be removed now */
        lum__error_restore(&error);
        return status;
    }
    return lum__fs_sync_dir(fs, ""); /* step 6 */
}
