/* recovery/salvage_checkpoint.c - a checkpoint with a damaged body, entry by entry. No CRC vouches for an entry; its
 * form does, and for a chunk's the chunk itself: digest, rows and ranges have to be those of the chunk that lies there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "base/status.h"
#include "recovery/copy_file.h"
#include "recovery/salvage_private.h"
#include "storage/checkpoint_layout.h"

struct body {
    const uint8_t *bytes;
    uint64_t byte_count;
    uint64_t chunk_count, transaction_count, open_count, open_chunk_count, label_bytes; /* as the header says */
    uint64_t transactions_at, labels_at;
    uint64_t lum_count; /* of all, as the header says */
    bool are_labels_placed; /* all label lengths together are the header's: each label is where it should be */
};

static bool lay_out(const uint8_t *header, struct body *body)
{
    body->chunk_count = lum__get_u64(header + LUM__CHECKPOINT_CHUNK_COUNT);
    body->transaction_count = lum__get_u64(header + LUM__CHECKPOINT_TRANSACTION_COUNT);
    body->open_count = lum__get_u64(header + LUM__CHECKPOINT_OPEN_COUNT);
    body->open_chunk_count = lum__get_u64(header + LUM__CHECKPOINT_OPEN_CHUNK_COUNT);
    body->label_bytes = lum__get_u64(header + LUM__CHECKPOINT_LABEL_BYTES);
    body->lum_count = lum__get_u64(header + LUM__CHECKPOINT_LUM_COUNT);
    uint64_t room = UINT64_MAX / 1024;
    if (body->chunk_count > room || body->transaction_count > room || body->open_count > room ||
        body->open_chunk_count > room || body->label_bytes > room)
        return false;
    body->transactions_at = body->chunk_count * LUM__CHUNK_ENTRY_BYTES;
    body->labels_at = body->transactions_at + (body->transaction_count + body->open_count) * LUM__TRANSACTION_BYTES +
                      body->open_chunk_count * LUM__CHUNK_ENTRY_BYTES;
    return true;
}

static void check_labels(struct body *body)
{
    uint64_t total = 0;
    for (uint64_t i = 0; i < body->transaction_count; i++) {
        uint64_t at = body->transactions_at + i * LUM__TRANSACTION_BYTES;
        if (at + LUM__TRANSACTION_BYTES > body->byte_count) return;
        total += lum__get_u16(body->bytes + at + LUM__TRANSACTION_LABEL_BYTES);
    }
    body->are_labels_placed = total == body->label_bytes;
}

static lum_status take_chunks(const struct body *body, const char *path, struct lum__checkpoint_remains *out)
{
    void *memory = NULL;
    uint64_t count = body->byte_count / LUM__CHUNK_ENTRY_BYTES;
    if (count > body->chunk_count) count = body->chunk_count;
    LUM_TRY(lum__alloc_zeroed(count, sizeof *out->chunks, &memory));
    out->chunks = memory;
    for (uint64_t i = 0; i < count; i++) {
        struct lum__chunk_entry entry;
        uint64_t at = i * LUM__CHUNK_ENTRY_BYTES;
        if (lum__chunk_entry_decode(body->bytes + at, path, LUM__BLOCK_BYTES + at, &entry) != LUM_OK) continue;
        if (entry.commit_sequence == 0 || entry.commit_sequence > out->covered_sequence || entry.transaction_id == 0)
            continue;
        out->chunks[out->chunk_count++] = entry;
    }
    return LUM_OK;
}

static lum_status take_label(const struct body *body, uint64_t offset, uint32_t byte_count, char **out)
{
    void *label = NULL;
    bool is_there = body->are_labels_placed && body->labels_at + offset + byte_count <= body->byte_count;
    LUM_TRY(lum__alloc_zeroed(1, (size_t)byte_count + 1, &label));
    if (is_there && memchr(body->bytes + body->labels_at + offset, 0, byte_count) == NULL)
        memcpy(label, body->bytes + body->labels_at + offset, byte_count);
    *out = label;
    return LUM_OK;
}

static lum_status take_transactions(const struct body *body, struct lum__checkpoint_remains *out)
{
    void *memory = NULL;
    uint64_t label_offset = 0, count = 0, lum_count = 0;
    if (body->byte_count > body->transactions_at)
        count = (body->byte_count - body->transactions_at) / LUM__TRANSACTION_BYTES;
    if (count > body->transaction_count) count = body->transaction_count;
    LUM_TRY(lum__alloc_zeroed(count, sizeof *out->transactions, &memory));
    out->transactions = memory;
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *at = body->bytes + body->transactions_at + i * LUM__TRANSACTION_BYTES;
        struct lum__salvage_transaction *transaction = &out->transactions[out->transaction_count];
        uint32_t label_bytes = lum__get_u16(at + LUM__TRANSACTION_LABEL_BYTES);
        *transaction =
            (struct lum__salvage_transaction){.transaction_id = lum__get_u64(at + LUM__TRANSACTION_ID),
                                              .commit_sequence = lum__get_u64(at + LUM__TRANSACTION_COMMIT_SEQUENCE),
                                              .commit_timestamp = lum__get_u64(at + LUM__TRANSACTION_TIMESTAMP),
                                              .lum_count = lum__get_u64(at + LUM__TRANSACTION_LUM_COUNT),
                                              .chunk_count = lum__get_u64(at + LUM__TRANSACTION_CHUNK_COUNT),
                                              .is_count_known = true};
        uint32_t run_count = lum__get_u32(at + LUM__TRANSACTION_RUN_COUNT), run_span = lum__get_u32(at + LUM__TRANSACTION_RUN_SPAN);
        if (run_count > 0 && run_span < transaction->commit_sequence) transaction->run_first = transaction->commit_sequence - run_span;
        /* Of one that is in a run only the label counts here: its rows are the run's. */
        transaction->is_member = lum__get_u16(at + LUM__TRANSACTION_FLAGS) & LUM__TRANSACTION_FLAG_MEMBER;
        if (transaction->is_member) transaction->lum_count = transaction->chunk_count = 0;
        uint64_t label_at = label_offset;
        label_offset += label_bytes;
        bool is_sane = transaction->transaction_id != 0 && transaction->commit_sequence != 0 &&
                       transaction->commit_sequence <= out->covered_sequence && label_bytes <= LUM__LABEL_BYTES_MAX &&
                       transaction->chunk_count <= body->chunk_count;
        if (!is_sane) continue;
        LUM_TRY(take_label(body, label_at, label_bytes, &transaction->label));
        lum_count += transaction->lum_count;
        out->transaction_count++;
    }
    out->says_all = out->transaction_count == body->transaction_count && lum_count == body->lum_count;
    return LUM_OK;
}

static lum_status take_body(struct lum__file *file, const uint8_t *header, const char *path, uint64_t size_bytes,
                            struct lum__checkpoint_remains *out)
{
    struct body body = {0};
    void *memory = NULL;
    uint64_t unreadable = 0;
    lum_status status = LUM_OK;
    out->covered_sequence = lum__get_u64(header + LUM__CHECKPOINT_SEQUENCE);
    if (!lay_out(header, &body)) return LUM_OK;
    body.byte_count = size_bytes - LUM__BLOCK_BYTES;
    LUM_TRY(lum__alloc_zeroed(1, body.byte_count + 1, &memory));
    body.bytes = memory;
    LUM_TRY_OUT(lum__read_around(file, memory, body.byte_count, LUM__BLOCK_BYTES, &unreadable));
    check_labels(&body);
    LUM_TRY_OUT(take_chunks(&body, path, out));
    status = take_transactions(&body, out);
out:
    free(memory);
    return status;
}

lum_status lum__salvage_checkpoint(struct lum__fs *fs, const uint8_t store_id[16], uint64_t number,
                                   struct lum__checkpoint_remains *out)
{
    struct lum__file *file = NULL;
    struct lum__file_info info;
    struct lum__file_header decoded;
    uint8_t header[LUM__BLOCK_BYTES];
    char path[LUM__PATH_BYTES_MAX];
    size_t bytes_read = 0;
    memset(out, 0, sizeof *out);
    snprintf(path, sizeof path, "checkpoint-%" PRIu64, number);
    LUM_TRY(lum__fs_open_file(fs, path, LUM__OPEN_READ, &file));
    lum_status status = lum__file_read(file, header, sizeof header, 0, &bytes_read);
    if (status == LUM_OK && bytes_read < sizeof header)
        status = lum__corrupt(path, bytes_read, 1, "the file is too short for its header");
    if (status == LUM_OK) status = lum__header_decode(header, LUM__FILE_CHECKPOINT, store_id, number, path, &decoded);
    if (status == LUM_OK) status = lum__file_info(file, &info);
    if (status == LUM_OK) status = take_body(file, header, path, info.size_bytes, out);
    (void)lum__file_close(file);
    if (status != LUM_OK) lum__checkpoint_remains_fini(out);
    return status;
}

void lum__checkpoint_remains_fini(struct lum__checkpoint_remains *remains)
{
    for (size_t i = 0; i < remains->transaction_count; i++) free(remains->transactions[i].label);
    free(remains->transactions);
    free(remains->chunks);
    memset(remains, 0, sizeof *remains);
}
