/* wal/writer.c - see writer.h for the states, README.md for the protocol's steps. */
#include "wal/writer.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/status.h"
#include "storage/header.h"
#include "wal/log_segment.h"

enum { SEAL_ROOM_BYTES = LUM__WAL_BATCH_ALIGNMENT };

struct lum__wal_writer {
    /* fixed at open */
    struct lum__fs *fs;
    uint8_t store_id[16];
    uint64_t epoch;
    uint64_t segment_bytes;
    uint32_t batch_bytes_max;
    uint8_t *batch; /* batch_bytes_max, 4 KiB aligned; behind it one block for the seal */
    size_t batch_mapped;

    /* the current segment */
    struct lum__wal_segment segment;
    struct lum__file *file;
    uint64_t offset;          /* where the batch goes; a multiple of 4,096 */
    uint32_t last_header_crc; /* of the last written record in this segment, 0 if none */

    /* the batch being built */
    uint32_t batch_bytes;
    uint32_t last_record_at; /* in the batch; its flag is set when the batch is written */

    /* the log */
    uint64_t written_sequence;
    uint64_t durable_sequence;
    uint64_t next_sequence; /* written_sequence + 1 + records in the batch */
    uint64_t next_segment;
    uint64_t spare; /* number of an old segment kept for recycling, 0 if none */
    uint64_t bytes_written;
    uint64_t sync_count;

    bool is_dead;
    struct lum__error cause; /* of death */
};

static void check_invariants(const struct lum__wal_writer *writer)
{
    LUM_ASSERT(writer->durable_sequence <= writer->written_sequence);
    LUM_ASSERT(writer->written_sequence < writer->next_sequence);
    LUM_ASSERT(writer->offset % LUM__WAL_BATCH_ALIGNMENT == 0);
    LUM_ASSERT(writer->batch_bytes <= writer->batch_bytes_max);
}

/* --- life and death --- */

/* Answers what the failing call has to return. Never "no space" or "no memory": those promise that nothing was written and that the writer
 * lives, but a write was tried here (a file system that copies on write needs room for every one). */
static lum_status die(struct lum__wal_writer *writer, lum_status status)
{
    LUM_ASSERT(status != LUM_OK);
    LUM_ASSERT(!writer->is_dead);
    writer->is_dead = true;
    writer->cause = *lum__error_last();
    if (status != LUM_ERR_NO_SPACE && status != LUM_ERR_NO_MEMORY) return status;
    writer->cause.status = LUM_ERR_IO;
    lum__error_restore(&writer->cause);
    return LUM_ERR_IO;
}

static lum_status answer_dead(const struct lum__wal_writer *writer)
{
    LUM_ASSERT(writer->is_dead);
    return lum__fail_at(__FILE__, __LINE__, LUM_ERR_POISONED, writer->cause.os_errno, writer->cause.file,
                        writer->cause.offset, 0, "the log cannot be written since an earlier failure: %s",
                        writer->cause.message);
}

static void destroy(struct lum__wal_writer *writer)
{
    if (writer == NULL) return;
    if (writer->batch != NULL) lum__memory_unmap(writer->batch, writer->batch_mapped);
    free(writer);
}

/* The parts that starting and resuming share. */
static lum_status create_writer(const struct lum__wal_writer_options *options, struct lum__wal_writer **out)
{
    LUM_ASSERT(options->batch_bytes_max > 0 && options->batch_bytes_max % LUM__WAL_BATCH_ALIGNMENT == 0);
    LUM_ASSERT(options->batch_bytes_max + LUM__BLOCK_BYTES + SEAL_ROOM_BYTES <= options->segment_bytes);
    LUM_ASSERT(options->segment_bytes % LUM__WAL_BATCH_ALIGNMENT == 0);
    LUM_ASSERT(options->segment_bytes <= LUM__WAL_SEGMENT_BYTES_MAX);
    struct lum__wal_writer *writer = NULL;
    uint64_t *numbers = NULL;
    size_t number_count = 0;
    void *memory = NULL;
    lum_status status = LUM_OK;
    LUM_TRY(lum__alloc_zeroed(1, sizeof *writer, &memory));
    writer = memory;
    writer->fs = options->fs;
    memcpy(writer->store_id, options->store_id, sizeof writer->store_id);
    writer->epoch = options->epoch;
    writer->segment_bytes = options->segment_bytes;
    writer->batch_bytes_max = options->batch_bytes_max;
    LUM_TRY_OUT(lum__memory_map((size_t)options->batch_bytes_max + SEAL_ROOM_BYTES, &memory, &writer->batch_mapped));
    writer->batch = memory;
    /* A number that any file in wal/ bears, be it half-made, is never used again. */
    LUM_TRY_OUT(lum__log_segment_numbers(options->fs, &numbers, &number_count));
    writer->next_segment = options->next_segment > 0 ? options->next_segment : 1;
    if (number_count > 0 && numbers[number_count - 1] >= writer->next_segment)
        writer->next_segment = numbers[number_count - 1] + 1;
    *out = writer;
out:
    free(numbers);
    if (status != LUM_OK) destroy(writer);
    return status;
}

/* The log ends at `sequence`, all of it durable; the next batch goes to `offset` of the segment. */
static void set_end(struct lum__wal_writer *writer, uint64_t sequence, uint64_t offset, uint32_t last_header_crc)
{
    writer->offset = offset;
    writer->last_header_crc = last_header_crc;
    writer->written_sequence = sequence;
    writer->durable_sequence = sequence;
    writer->next_sequence = sequence + 1;
    check_invariants(writer);
}

/* Header of a new segment behind `previous`. */
static lum_status new_segment(struct lum__wal_writer *writer, enum lum__wal_origin origin,
                              const struct lum__log_position *previous, struct lum__wal_segment *out)
{
    uint32_t current_salt = writer->segment.salt; /* out may be that very segment */
    if (writer->next_segment > UINT32_MAX)
        return lum__fail(LUM_ERR_UNSUPPORTED, "the log has run out of segment numbers");
    *out = (struct lum__wal_segment){
        .number = writer->next_segment++, /* also when making it fails: a number is tried once */
        .epoch = writer->epoch,
        .timestamp = lum__clock_wall_ns(),
        .origin = origin,
        .first_sequence = previous->sequence + 1,
        .previous_number = previous->segment,
        .previous_end_offset = previous->offset,
        .previous_sequence = previous->sequence,
        .previous_header_crc = previous->last_header_crc,
        .segment_bytes = writer->segment_bytes,
    };
    memcpy(out->store_id, writer->store_id, sizeof out->store_id);
    do lum__random_bytes(&out->salt, sizeof out->salt);
    while (out->salt == current_salt);
    return LUM_OK;
}

lum_status lum__wal_writer_start(const struct lum__wal_writer_options *options,
                                 const struct lum__log_position *position, struct lum__wal_writer **out)
{
    struct lum__wal_writer *writer = NULL;
    struct lum__log_position previous = *position;
    lum_status status = LUM_OK;
    *out = NULL;
    LUM_TRY(create_writer(options, &writer));
    enum lum__wal_origin origin = LUM__WAL_ORIGIN_RECOVERY;
    if (position->segment == 0) {
        origin = LUM__WAL_ORIGIN_FIRST;
        previous = (struct lum__log_position){.sequence = position->sequence};
    }
    LUM_TRY_OUT(lum__log_segment_harden(writer->fs, writer->store_id, &previous)); /* R3 */
    LUM_TRY_OUT(new_segment(writer, origin, &previous, &writer->segment));
    LUM_TRY_OUT(lum__log_segment_create(writer->fs, &writer->segment, &writer->file)); /* R4 */
    writer->sync_count++;
    set_end(writer, position->sequence, LUM__BLOCK_BYTES, 0);
    *out = writer;
out:
    if (status != LUM_OK) destroy(writer);
    return status;
}

lum_status lum__wal_writer_resume(const struct lum__wal_writer_options *options,
                                  const struct lum__log_position *position, struct lum__wal_writer **out)
{
    struct lum__wal_writer *writer = NULL;
    lum_status status = LUM_OK;
    char path[64];
    LUM_ASSERT(position->segment > 0);
    *out = NULL;
    LUM_TRY(create_writer(options, &writer));
    LUM_TRY_OUT(lum__log_segment_open(writer->fs, writer->store_id, position->segment,
                                      LUM__OPEN_WRITE | LUM__OPEN_DIRECT, &writer->segment, &writer->file));
    lum__wal_path(position->segment, path);
    if (position->offset < LUM__BLOCK_BYTES || position->offset > writer->segment.segment_bytes ||
        position->offset % LUM__WAL_BATCH_ALIGNMENT != 0 || position->sequence < writer->segment.previous_sequence) {
        status = lum__corrupt(path, position->offset, 0, "the end of the log does not lie in this segment");
        goto out;
    }
    set_end(writer, position->sequence, position->offset, position->last_header_crc);
    *out = writer;
out:
    if (status != LUM_OK && writer->file != NULL) {
        struct lum__error cause = *lum__error_last();
        (void)lum__file_close(writer->file);
        lum__error_restore(&cause);
    }
    if (status != LUM_OK) destroy(writer);
    return status;
}

lum_status lum__wal_writer_close(struct lum__wal_writer *writer)
{
    if (writer == NULL) return LUM_OK;
    lum_status status = lum__file_close(writer->file);
    destroy(writer);
    return status;
}

/* --- rotation --- */

/* Where batches must end: the block behind is the seal's. */
static uint64_t batches_end(const struct lum__wal_writer *writer)
{
    return writer->segment.segment_bytes - SEAL_ROOM_BYTES;
}

/* Encodes the seal of the current segment into the spare block behind the batch buffer. */
static void build_seal(struct lum__wal_writer *writer, const struct lum__wal_segment *successor,
                       struct lum__wal_record *seal, uint8_t *block)
{
    LUM_ASSERT(writer->offset + SEAL_ROOM_BYTES <= writer->segment.segment_bytes);
    LUM_ASSERT(seal->sequence == writer->next_sequence);
    seal->count = successor->number;
    seal->seal.successor = successor->number;
    seal->seal.successor_salt = successor->salt;
    memset(block, 0, SEAL_ROOM_BYTES);
    lum__wal_record_encode(seal, writer->store_id, writer->segment.salt, block);
}

static lum_status make_successor(struct lum__wal_writer *writer, const struct lum__wal_segment *successor,
                                 struct lum__file **out)
{
    uint64_t spare = writer->spare;
    writer->spare = 0;
    if (spare != 0) {
        lum_status status = lum__log_segment_recycle(writer->fs, spare, successor, out);
        if (status != LUM_ERR_NOT_FOUND) return status;
    }
    return lum__log_segment_create(writer->fs, successor, out);
}

/* README steps S1 to S4. The seal is known before the successor is made, so that the successor's header can name it;
 * but it is written after the successor is durable, so that a seal on disk always has its successor. */
static lum_status rotate(struct lum__wal_writer *writer)
{
    LUM_ASSERT(writer->batch_bytes == 0);
    LUM_ASSERT(writer->next_sequence == writer->written_sequence + 1);
    struct lum__wal_segment successor;
    struct lum__file *file = NULL;
    uint8_t *block = writer->batch + writer->batch_bytes_max;
    struct lum__wal_record seal = {
        .type = LUM__WAL_SEAL,
        .sequence = writer->next_sequence,
        .timestamp = lum__clock_wall_ns(),
        .watermark = writer->durable_sequence,
        .is_last_of_batch = true,
        .segment = writer->segment.number,
        .offset = writer->offset,
    };
    struct lum__log_position end = {
        .segment = writer->segment.number, .offset = writer->offset + SEAL_ROOM_BYTES, .sequence = seal.sequence};
    lum_status status = new_segment(writer, LUM__WAL_ORIGIN_ROTATION, &end, &successor);
    if (status != LUM_OK) return die(writer, status);
    build_seal(writer, &successor, &seal, block); /* S1 */
    successor.previous_header_crc = seal.header_crc;
    status = make_successor(writer, &successor, &file);                           /* S2 */
    if (status == LUM_ERR_NO_SPACE || status == LUM_ERR_NO_MEMORY) return status; /* nothing refers to what was tried */
    if (status != LUM_OK) return die(writer, status);
    status = lum__file_write(writer->file, block, SEAL_ROOM_BYTES, writer->offset); /* S3 */
    if (status == LUM_OK) status = lum__file_sync(writer->file);
    if (status != LUM_OK) {
        status = die(writer, status);
        (void)lum__file_close(file);
        lum__error_restore(&writer->cause);
        return status;
    }
    writer->bytes_written += SEAL_ROOM_BYTES;
    writer->sync_count += 2;
    (void)lum__file_close(writer->file); /* all of it is durable, a close can lose nothing */
    writer->file = file;                 /* S4 */
    writer->segment = successor;
    set_end(writer, seal.sequence, LUM__BLOCK_BYTES, 0);
    return LUM_OK;
}

bool lum__wal_must_rotate(const struct lum__wal_writer *writer, uint32_t batch_bytes)
{
    LUM_ASSERT(batch_bytes <= writer->batch_bytes_max);
    uint64_t needed = lum__round_up(batch_bytes > 0 ? batch_bytes : 1, LUM__WAL_BATCH_ALIGNMENT);
    return writer->offset + needed > batches_end(writer);
}

lum_status lum__wal_reserve(struct lum__wal_writer *writer, uint32_t batch_bytes)
{
    LUM_ASSERT(writer->batch_bytes == 0);
    if (writer->is_dead) return answer_dead(writer);
    return lum__wal_must_rotate(writer, batch_bytes) ? rotate(writer) : LUM_OK;
}

/* --- batches --- */

bool lum__wal_append(struct lum__wal_writer *writer, struct lum__wal_record *record)
{
    LUM_ASSERT(record->type != LUM__WAL_SEAL);
    if (writer->is_dead) return false;
    uint64_t batch_bytes = (uint64_t)writer->batch_bytes + lum__wal_record_bytes(record);
    uint64_t padded = lum__round_up(batch_bytes, LUM__WAL_BATCH_ALIGNMENT);
    if (padded > writer->batch_bytes_max || writer->offset + padded > batches_end(writer)) return false;
    record->sequence = writer->next_sequence++;
    record->timestamp = lum__clock_wall_ns();
    record->watermark = writer->durable_sequence;
    record->segment = writer->segment.number;
    record->offset = writer->offset + writer->batch_bytes;
    record->is_last_of_batch = false; /* known when the batch is written */
    writer->last_record_at = writer->batch_bytes;
    lum__wal_record_encode(record, writer->store_id, writer->segment.salt, writer->batch + writer->batch_bytes);
    writer->batch_bytes = (uint32_t)batch_bytes;
    check_invariants(writer);
    return true;
}

lum_status lum__wal_write(struct lum__wal_writer *writer)
{
    check_invariants(writer);
    if (writer->is_dead) return answer_dead(writer);
    if (writer->batch_bytes == 0) return LUM_OK;
    uint32_t padded = (uint32_t)lum__round_up(writer->batch_bytes, LUM__WAL_BATCH_ALIGNMENT);
    LUM_ASSERT(writer->offset + padded <= batches_end(writer));
    uint32_t crc = lum__wal_record_mark_last(writer->batch + writer->last_record_at, writer->store_id);
    memset(writer->batch + writer->batch_bytes, 0, padded - writer->batch_bytes);
    lum_status status = lum__file_write(writer->file, writer->batch, padded, writer->offset);
    writer->batch_bytes = 0; /* written or not, it is never written again (pitfall 8) */
    if (status != LUM_OK) return die(writer, status);
    writer->offset += padded;
    writer->last_header_crc = crc;
    writer->written_sequence = writer->next_sequence - 1;
    writer->bytes_written += padded;
    check_invariants(writer);
    return LUM_OK;
}

lum_status lum__wal_sync(struct lum__wal_writer *writer)
{
    check_invariants(writer);
    if (writer->is_dead) return answer_dead(writer);
    if (writer->durable_sequence == writer->written_sequence) return LUM_OK;
    lum_status status = lum__file_sync(writer->file);
    if (status != LUM_OK) return die(writer, status); /* final, never retried (pitfall 6) */
    writer->sync_count++;
    writer->durable_sequence = writer->written_sequence;
    return LUM_OK;
}

/* --- recycling --- */

/* May the old segment's file be used again as it is? */
static bool is_fit_for_recycling(struct lum__wal_writer *writer, const struct lum__wal_segment *segment,
                                 struct lum__file *file)
{
    struct lum__file_info info;
    struct lum__fs_features features;
    lum__fs_features(writer->fs, &features);
    if (features.copy_on_write || segment->segment_bytes != writer->segment_bytes) return false;
    return lum__file_info(file, &info) == LUM_OK && info.size_bytes == writer->segment_bytes;
}

static lum_status recycle_one(struct lum__wal_writer *writer, uint64_t number, bool keep_spare)
{
    struct lum__wal_segment segment;
    struct lum__file *file = NULL;
    char path[64];
    lum__wal_path(number, path);
    lum_status status = lum__log_segment_open(writer->fs, writer->store_id, number, LUM__OPEN_READ, &segment, &file);
    if (status == LUM_ERR_FOREIGN) return LUM_OK; /* another store's: not ours to remove */
    bool is_spare =
        status == LUM_OK && keep_spare && writer->spare == 0 && is_fit_for_recycling(writer, &segment, file);
    (void)lum__file_close(file);
    if (is_spare) {
        writer->spare = number;
        return LUM_OK;
    }
    status = lum__fs_unlink(writer->fs, path);
    return status == LUM_ERR_NOT_FOUND ? LUM_OK : status;
}

lum_status lum__wal_recycle(struct lum__wal_writer *writer, uint64_t segment, bool keep_spare)
{
    LUM_ASSERT(segment <= writer->segment.number);
    uint64_t *numbers = NULL;
    size_t count = 0;
    lum_status status = LUM_OK;
    if (writer->is_dead) return answer_dead(writer);
    LUM_TRY(lum__log_segment_numbers(writer->fs, &numbers, &count));
    writer->spare = 0; /* chosen anew: it is among them */
    for (size_t i = 0; i < count && numbers[i] < segment; i++) LUM_TRY_OUT(recycle_one(writer, numbers[i], keep_spare));
    LUM_TRY_OUT(lum__fs_sync_dir(writer->fs, "wal"));
out:
    free(numbers);
    return status;
}

/* --- looking --- */

uint32_t lum__wal_batch_bytes(const struct lum__wal_writer *writer) { return writer->batch_bytes; }
uint32_t lum__wal_batch_bytes_max(const struct lum__wal_writer *writer) { return writer->batch_bytes_max; }
uint64_t lum__wal_next_sequence(const struct lum__wal_writer *writer) { return writer->next_sequence; }
uint64_t lum__wal_written_sequence(const struct lum__wal_writer *writer) { return writer->written_sequence; }
uint64_t lum__wal_durable_sequence(const struct lum__wal_writer *writer) { return writer->durable_sequence; }
uint64_t lum__wal_next_segment(const struct lum__wal_writer *writer) { return writer->next_segment; }
uint64_t lum__wal_bytes_written(const struct lum__wal_writer *writer) { return writer->bytes_written; }
uint64_t lum__wal_sync_count(const struct lum__wal_writer *writer) { return writer->sync_count; }

lum_status lum__wal_check_current(const struct lum__wal_writer *writer) { return lum__file_check_current(writer->file); }

void lum__wal_position(const struct lum__wal_writer *writer, struct lum__log_position *out)
{
    *out = (struct lum__log_position){
        .segment = writer->segment.number,
        .offset = writer->offset,
        .sequence = writer->written_sequence,
        .last_header_crc = writer->last_header_crc,
    };
}
