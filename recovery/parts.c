/* recovery/parts.c - checkpoints and the end of an opening. Steps, with numbers: recovery/README.md "A checkpoint", "A
 * clean close". */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/status.h"
#include "recovery/fold.h"
#include "recovery/parts.h"
#include "recovery/recover.h"

enum {
    CHECKPOINTS_LISTED_MAX = 64,
    WAL_BATCH_BYTES = 1 << 20,
    WAL_SEGMENT_BYTES = 4 << 20,
    WAL_HEAD_AND_SEAL_BYTES = 8192,
    WAL_BYTES_LEFT_MAX = 16 << 20, /* on disk after a clean close */
};

uint64_t lum__parts_wal_segment_bytes(const lum_options *options)
{
    return options->wal_segment_bytes ? options->wal_segment_bytes : WAL_SEGMENT_BYTES;
}

void lum__parts_writer_options(struct lum__fs *fs, const lum_options *options, const struct lum__state *state,
                               uint64_t next_segment, struct lum__wal_writer_options *out)
{
    uint64_t segment_bytes = lum__parts_wal_segment_bytes(options);
    uint64_t room = segment_bytes - WAL_HEAD_AND_SEAL_BYTES;
    *out =
        (struct lum__wal_writer_options){.fs = fs,
                                         .epoch = state->epoch,
                                         .segment_bytes = segment_bytes,
                                         .next_segment = next_segment,
                                         .batch_bytes_max = room < WAL_BATCH_BYTES ? (uint32_t)room : WAL_BATCH_BYTES};
    memcpy(out->store_id, state->store_id, sizeof out->store_id);
}

/* ------------------------------------------------------------------------------------------------------ checkpoint */

/* A checkpoint never knows less than the one before (pitfall 29). */
static lum_status check_monotone(const struct lum__parts *parts, const struct lum__log_position *position,
                                 const struct lum__catalogue_version *version)
{
    if (position->sequence >= parts->checkpoint_position.sequence &&
        version->last_commit_sequence <= position->sequence &&
        version->last_commit_sequence >= parts->checkpoint_commit_sequence &&
        version->lum_count >= parts->checkpoint_lum_count)
        return LUM_OK;
    return lum__fail(LUM_ERR_ARGUMENT,
                     "refused to take a checkpoint that goes backwards: sequence %" PRIu64 " with %" PRIu64
                     " LUMs behind %" PRIu64 " with %" PRIu64,
                     position->sequence, version->lum_count, parts->checkpoint_position.sequence,
                     parts->checkpoint_lum_count);
}

static void remember_checkpoint(struct lum__parts *parts, const struct lum__checkpoint *checkpoint,
                                const struct lum__catalogue_version *version)
{
    if (parts->checkpoint_number != 0) {
        parts->older_checkpoint_number = parts->checkpoint_number;
        parts->older_checkpoint_position = parts->checkpoint_position;
    }
    parts->checkpoint_number = checkpoint->number;
    parts->checkpoint_number_max = checkpoint->number;
    parts->checkpoint_position = checkpoint->replay;
    parts->checkpoint_commit_sequence = version->last_commit_sequence;
    parts->checkpoint_lum_count = version->lum_count;
}

static lum_status write_checkpoint(struct lum__parts *parts, const struct lum__open_transaction *open,
                                   size_t open_count, const struct lum__catalogue_version *version,
                                   struct lum__checkpoint *checkpoint)
{
    *checkpoint = (struct lum__checkpoint){.number = parts->checkpoint_number_max + 1,
                                           .epoch = parts->epoch,
                                           .timestamp = lum__clock_wall_ns(),
                                           .open = (struct lum__open_transaction *)(uintptr_t)open,
                                           .open_count = open_count,
                                           .next_data_segment = lum__segments_next_number(parts->segments),
                                           .next_wal_segment = lum__wal_next_segment(parts->writer)};
    memcpy(checkpoint->store_id, parts->store_id, sizeof checkpoint->store_id);
    lum__wal_position(parts->writer, &checkpoint->replay);
    lum_status status = check_monotone(parts, &checkpoint->replay, version);
    if (status == LUM_OK) status = lum__checkpoint_write(parts->fs, checkpoint, version);
    if (status == LUM_OK) remember_checkpoint(parts, checkpoint, version);
    return status;
}

/* C3: first the fold, whose chunks are synced before the checkpoint names them; when it is there, catalogue and rows change in one publication. */
static lum_status fold_and_write(struct lum__parts *parts, const struct lum__open_transaction *open, size_t open_count,
                                 struct lum__checkpoint *checkpoint)
{
    struct lum__fold *fold = NULL;
    LUM_TRY(lum__fold_prepare(parts, &fold));
    const struct lum__catalogue_version *pinned = fold == NULL ? lum__catalogue_pin(parts->catalogue) : NULL;
    lum_status status = write_checkpoint(parts, open, open_count, fold != NULL ? lum__fold_version(fold) : pinned, checkpoint);
    if (status == LUM_OK) {
        lum__fold_publish(parts, fold);
    } else {
        struct lum__error cause = *lum__error_last();
        /* Only for want of space or memory is it sure that no checkpoint is there under its name; else it may be, and names the fold's chunks. */
        lum__fold_discard(parts, fold, status != LUM_ERR_NO_SPACE && status != LUM_ERR_NO_MEMORY);
        lum__error_restore(&cause);
    }
    lum__catalogue_unpin(parts->catalogue, pinned); /* NULL is fine */
    return status;
}

/* The record says in the log that the checkpoint exists: should it vanish, the next opening knows. */
static lum_status log_checkpoint(struct lum__parts *parts, const struct lum__checkpoint *checkpoint)
{
    struct lum__wal_record record = {.type = LUM__WAL_CHECKPOINT, .count = checkpoint->number};
    record.checkpoint.number = checkpoint->number;
    record.checkpoint.covered_sequence = checkpoint->replay.sequence;
    record.checkpoint.body_crc = checkpoint->body_crc;
    LUM_TRY(lum__wal_reserve(parts->writer, 0));
    bool is_appended = lum__wal_append(parts->writer, &record);
    LUM_ASSERT(is_appended);
    LUM_TRY(lum__wal_write(parts->writer));
    return lum__wal_sync(parts->writer);
}

lum_status lum__parts_take_checkpoint(struct lum__parts *parts, const struct lum__open_transaction *open,
                                      size_t open_count)
{
    struct lum__checkpoint checkpoint;
    LUM_ASSERT(lum__wal_batch_bytes(parts->writer) == 0);
    LUM_TRY(lum__wal_sync(parts->writer));
    LUM_ASSERT(lum__wal_durable_sequence(parts->writer) == lum__wal_written_sequence(parts->writer));
    LUM_TRY(fold_and_write(parts, open, open_count, &checkpoint));
    return log_checkpoint(parts, &checkpoint);
}

/* ------------------------------------------------------------------------------------------------- giving back old
 * files */

static lum_status remove_old_checkpoints(struct lum__parts *parts)
{
    uint64_t numbers[CHECKPOINTS_LISTED_MAX];
    size_t count = 0;
    LUM_TRY(lum__checkpoint_list(parts->fs, numbers, CHECKPOINTS_LISTED_MAX, &count));
    for (size_t i = 0; i < count; i++) {
        char path[LUM__PATH_BYTES_MAX];
        if (numbers[i] == parts->checkpoint_number || numbers[i] == parts->older_checkpoint_number) continue;
        snprintf(path, sizeof path, "checkpoint-%" PRIu64, numbers[i]);
        lum_status status = lum__fs_unlink(parts->fs, path);
        if (status != LUM_ERR_NOT_FOUND) LUM_TRY(status);
    }
    return LUM_OK;
}

/* Extents that neither of the two kept checkpoints names, nor a version that a scan of this process has pinned. No other process reads. */
static void release_replaced(struct lum__parts *parts)
{
    uint64_t oldest = lum__catalogue_generation(parts->catalogue, true);
    size_t kept = 0;
    for (size_t i = 0; i < parts->replaced_count; i++) {
        const struct lum__replaced_extent *extent = &parts->replaced[i];
        if (extent->checkpoint <= parts->older_checkpoint_number && extent->generation <= oldest)
            lum__segments_release(parts->segments, extent->segment, extent->offset, extent->byte_count);
        else
            parts->replaced[kept++] = *extent;
    }
    parts->replaced_count = kept;
}

/* Removes what neither of the two kept checkpoints needs, while no reader can be inside. An unlink that a power cut
 * undoes does no harm: a surplus old checkpoint is older than two valid ones, a surplus log segment lies before both.
 */
static lum_status give_back(struct lum__parts *parts, struct lum__file *lock_file, bool keep_spare)
{
    if (lock_file == NULL || parts->older_checkpoint_number == 0) return LUM_OK;
    lum_status status = lum__file_lock(lock_file, LUM__LOCK_BYTE_READERS, LUM__LOCK_EXCLUSIVE);
    if (status == LUM_ERR_BUSY) return LUM_OK; /* a reader may need them: the next checkpoint tries again */
    LUM_TRY(status);
    status = remove_old_checkpoints(parts);
    if (status == LUM_OK)
        status = lum__wal_recycle(parts->writer, parts->older_checkpoint_position.segment, keep_spare);
    if (status == LUM_OK) release_replaced(parts);
    lum_status unlocked = lum__file_unlock(lock_file, LUM__LOCK_BYTE_READERS);
    return status != LUM_OK ? status : unlocked;
}

/* Is everything that is open still what its name leads to? Else what was acknowledged lies where no opening will look. */
static lum_status check_files(struct lum__parts *parts, struct lum__file *lock_file)
{
    if (lock_file != NULL) LUM_TRY(lum__file_check_current(lock_file));
    LUM_TRY(lum__wal_check_current(parts->writer));
    return lum__segments_check_current(parts->segments);
}

lum_status lum__parts_checkpoint(struct lum__parts *parts, struct lum__file *lock_file,
                                 const struct lum__open_transaction *open, size_t open_count,
                                 const uint64_t *dirty_segments, size_t dirty_count)
{
    LUM_TRY(check_files(parts, lock_file));
    for (size_t i = 0; i < dirty_count; i++) LUM_TRY(lum__segments_sync(parts->segments, dirty_segments[i])); /* C1 */
    LUM_TRY(lum__parts_take_checkpoint(parts, open, open_count)); /* C2-C4 */
    return give_back(parts, lock_file, true);                     /* C5 */
}

/* ------------------------------------------------------------------------------------------------------------ the end
 */

/* Data segments of commits since the last checkpoint. In the modes interval and none they may never have been synced;
 * syncing one twice costs little. */
static lum_status sync_recent_data(struct lum__parts *parts)
{
    const struct lum__catalogue_version *version = lum__catalogue_pin(parts->catalogue);
    lum_status status = LUM_OK;
    uint64_t *done = NULL;
    size_t done_count = 0, done_capacity = 0;
    for (size_t i = version->chunk_count; i > 0; i--) {
        const struct lum__chunk_entry *chunk = &version->chunks[i - 1];
        bool is_done = false;
        if (chunk->commit_sequence <= parts->checkpoint_position.sequence) break;
        if (chunk->rows != NULL) continue; /* in the log only */
        for (size_t j = done_count; j > 0 && !is_done; j--) is_done = done[j - 1] == chunk->segment;
        if (is_done) continue;
        void *array = done;
        LUM_TRY_OUT(lum__grow(&array, &done_capacity, done_count + 1, sizeof *done));
        done = array;
        done[done_count++] = chunk->segment;
        LUM_TRY_OUT(lum__segments_sync(parts->segments, chunk->segment));
    }
out:
    free(done);
    lum__catalogue_unpin(parts->catalogue, version);
    return status;
}

static uint64_t wal_bytes_left(const struct lum__parts *parts)
{
    struct lum__log_position end;
    lum__wal_position(parts->writer, &end);
    return (end.segment - parts->older_checkpoint_position.segment + 1) * parts->wal_segment_bytes;
}

/* Between two checkpoints there may lie more log than a closed store should keep: a second one right behind the first
 * makes all of it old. */
static lum_status take_last_checkpoints(struct lum__parts *parts, struct lum__file *lock_file)
{
    LUM_TRY(lum__parts_take_checkpoint(parts, NULL, 0));
    if (wal_bytes_left(parts) > WAL_BYTES_LEFT_MAX) LUM_TRY(lum__parts_take_checkpoint(parts, NULL, 0));
    return give_back(parts, lock_file, false);
}

/* The same on a disk that may be full: first what rolled back transactions reserved is given back to the file system, then the owner may wait. A
 * checkpoint that found no room has changed nothing. */
static lum_status take_last_checkpoints_in_need(struct lum__parts *parts, struct lum__file *lock_file)
{
    uint32_t attempt = 0;
    lum_status status = take_last_checkpoints(parts, lock_file);
    if (status == LUM_ERR_NO_SPACE) {
        status = lum__segments_trim(parts->segments);
        if (status == LUM_OK) status = take_last_checkpoints(parts, lock_file);
    }
    while (lum__disk_full_retry(&parts->disk_full, status, parts->wal_segment_bytes, &attempt)) status = take_last_checkpoints(parts, lock_file);
    return status;
}

static lum_status mark_clean(struct lum__parts *parts)
{
    struct lum__log_position end;
    struct lum__state state = parts->state;
    lum__wal_position(parts->writer, &end);
    LUM_ASSERT(end.sequence == lum__wal_durable_sequence(parts->writer));
    state.state = LUM_STATE_NORMAL;
    state.is_clean = true;
    state.attempts = 0;
    state.clean_checkpoint = parts->checkpoint_number;
    state.clean_segment = end.segment;
    state.clean_offset = end.offset;
    state.clean_sequence = end.sequence;
    lum__state_explain(&state, "");
    return lum__state_write(parts->fs, &state);
}

static lum_status close_in_order(struct lum__parts *parts, struct lum__file *lock_file)
{
    LUM_ASSERT(lum__wal_batch_bytes(parts->writer) == 0);
    LUM_TRY(check_files(parts, lock_file));
    LUM_TRY(sync_recent_data(parts));
    LUM_TRY(take_last_checkpoints_in_need(parts, lock_file));
    LUM_TRY(lum__segments_trim(parts->segments));
    return mark_clean(parts);
}

static lum_status release_parts(struct lum__parts *parts)
{
    lum_status first = LUM_OK, status;
    if (parts->writer != NULL) first = lum__wal_writer_close(parts->writer);
    if (parts->segments != NULL) {
        status = lum__segments_close(parts->segments);
        if (first == LUM_OK) first = status;
    }
    if (parts->catalogue != NULL) lum__catalogue_destroy(parts->catalogue);
    free(parts->replaced);
    parts->replaced = NULL;
    parts->replaced_count = parts->replaced_capacity = 0;
    parts->writer = NULL;
    parts->segments = NULL;
    parts->catalogue = NULL;
    return first;
}

lum_status lum__parts_close_clean(struct lum__parts *parts, struct lum__file *lock_file)
{
    lum_status status = close_in_order(parts, lock_file);
    struct lum__error cause = *lum__error_last();
    lum_status released = release_parts(parts);
    if (status == LUM_OK)
        return released; /* marked clean after the last sync: a failing close loses nothing, but is told */
    lum__error_restore(&cause);
    return status;
}

void lum__parts_abandon(struct lum__parts *parts)
{
    struct lum__error cause = *lum__error_last();
    lum_status status = release_parts(parts);
    (void)status; /* the store is not clean anyway */
    lum__error_restore(&cause);
}
