/* recovery/copy_store.c - a consistent copy of a store, beside its writer too. Steps, with numbers: recovery/README.md
 * "A copy". */
#include "recovery/copy_store.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "base/status.h"
#include "recovery/copy_file.h"
#include "recovery/parts.h"
#include "recovery/recover.h"
#include "storage/chunk_scan.h"
#include "storage/header.h"
#include "storage/segment_file.h"
#include "wal/log_segment.h"

enum { PLAN_TRIES_MAX = 5, CHECKPOINTS_LISTED_MAX = 64 };

/* A data segment of the copy while it is written. */
struct target {
    uint64_t segment;
    struct lum__file *file;
    bool is_shared; /* a reflink of the whole file: its chunks are there already */
};

struct copy {
    struct lum__fs *from, *to;
    const struct lum__copy_options *options;
    lum_backup_report *report;
    struct lum__plan plan;
    const struct lum__catalogue_version *version; /* of the plan's catalogue, pinned */
    struct lum__checkpoint older;                 /* number 0: there is none */
    struct lum__chunk_entry *replaced;            /* named by it alone */
    size_t replaced_count;
    struct lum__segment_files *files;             /* of `from` */
    struct target *targets;                       /* by segment */
    size_t target_count, target_capacity;
    uint32_t chunk_bytes_max;
    _Atomic size_t next_chunk;
    _Atomic uint64_t bytes_done;
    pthread_mutex_t mutex;   /* what follows */
    struct lum__error error; /* the first of the workers; status LUM_OK: none */
};

/* ------------------------------------------------------------------------------------------------ what is to be copied
 */

/* Chunks of the older checkpoint that a fold has replaced since: copied too, so that the copy can fall back as well. */
static lum_status find_replaced(struct copy *copy, struct lum__catalogue *older)
{
    const struct lum__catalogue_version *version = lum__catalogue_pin(older);
    lum_status status = lum__catalogue_only_in(version, copy->version, &copy->replaced, &copy->replaced_count);
    lum__catalogue_unpin(older, version);
    return status;
}

/* What is copied: the snapshot's chunks, then the replaced ones. */
static size_t chunks_to_copy(const struct copy *copy) { return copy->version->chunk_count + copy->replaced_count; }

static bool is_replaced(const struct copy *copy, size_t index) { return index >= copy->version->chunk_count; }

static const struct lum__chunk_entry *chunk_at(const struct copy *copy, size_t index)
{
    return is_replaced(copy, index) ? &copy->replaced[index - copy->version->chunk_count] : &copy->version->chunks[index];
}

/* The checkpoint before the plan's, so that the copy has two as well. */
static lum_status find_older_checkpoint(struct copy *copy)
{
    uint64_t numbers[CHECKPOINTS_LISTED_MAX];
    size_t count = 0;
    LUM_TRY(lum__checkpoint_list(copy->from, numbers, CHECKPOINTS_LISTED_MAX, &count));
    for (size_t i = 0; i < count && copy->older.number == 0; i++) {
        struct lum__catalogue *catalogue = NULL;
        if (numbers[i] >= copy->plan.checkpoint.number) continue;
        LUM_TRY(lum__catalogue_create(&catalogue));
        lum_status status =
            lum__checkpoint_read(copy->from, numbers[i], copy->plan.state.store_id, &copy->older, catalogue);
        if (status == LUM_OK) status = find_replaced(copy, catalogue);
        lum__catalogue_destroy(catalogue);
        if (status == LUM_OK) return LUM_OK;
        lum__checkpoint_fini(&copy->older);
        memset(&copy->older, 0, sizeof copy->older);
        if (status != LUM_ERR_CORRUPT && status != LUM_ERR_FOREIGN && status != LUM_ERR_NOT_FOUND) return status;
    }
    return LUM_OK;
}

static lum_status refuse_damaged(const struct lum__plan *plan)
{
    if (plan->decision.verdict == LUM__VERDICT_UNSUPPORTED)
        return lum__error_restore(&plan->problem), LUM_ERR_UNSUPPORTED;
    lum__fail_at(__FILE__, __LINE__, LUM_ERR_CORRUPT, 0, plan->problem.file, plan->problem.offset,
                 plan->problem.condition, "the store is damaged and cannot be copied as a whole one: %s",
                 plan->problem.status != LUM_OK ? plan->problem.message : plan->decision.sentence);
    lum__error_set_remedy(
        "lum backup --raw copies it as it is; lum recover --guided shows the choices, lum salvage saves "
        "what is intact");
    return LUM_ERR_CORRUPT;
}

/* K1, K2: what is committed now. A checkpoint that a writer took between the listing and the reading of the log is
 * named in the log, but not in the plan: then once more. */
static lum_status take_snapshot(struct copy *copy, struct lum__file *lock_file, bool writer_alive)
{
    struct lum__plan_options options = {.workers = copy->options->workers,
                                        .memory_bytes_max = copy->options->memory_bytes_max,
                                        .for_reading = true,
                                        .writer_alive = writer_alive,
                                        .lock_file = lock_file};
    for (int tries = 1;; tries++) {
        LUM_TRY(lum__plan_make(copy->from, &options, &copy->plan));
        bool is_behind = copy->plan.replay->checkpoint_max > copy->plan.checkpoint.number && !copy->plan.fell_back;
        if (!is_behind || tries == PLAN_TRIES_MAX) break;
        lum__plan_fini(&copy->plan);
    }
    enum lum__verdict verdict = copy->plan.decision.verdict;
    if (verdict == LUM__VERDICT_REFUSE || verdict == LUM__VERDICT_UNSUPPORTED) return refuse_damaged(&copy->plan);
    copy->version = lum__catalogue_pin(copy->plan.catalogue);
    return find_older_checkpoint(copy);
}

/* ------------------------------------------------------------------------------------------------ the destination */

struct look {
    const char *ours; /* that may be there */
    char found[LUM__PATH_BYTES_MAX];
};

static lum_status look_for_anything(void *context, const char *name)
{
    struct look *look = context;
    if (look->found[0] == 0 && strcmp(name, look->ours) != 0) snprintf(look->found, sizeof look->found, "%s", name);
    return LUM_OK;
}

static lum_status refuse_filled(struct lum__fs *to, const char *ours)
{
    struct look look = {.ours = ours};
    LUM_TRY(lum__fs_list(to, "", look_for_anything, &look));
    if (look.found[0] == 0) return LUM_OK;
    lum__fail_at(__FILE__, __LINE__, LUM_ERR_EXISTS, 0, look.found, LUM_NO_OFFSET, 0,
                 "the destination is not empty: a copy needs an empty or a new directory");
    lum__error_set_remedy("name another directory; if an interrupted copy left it, remove it");
    return LUM_ERR_EXISTS;
}

lum_status lum__copy_begin(struct lum__fs *to, struct lum__file **lock_file)
{
    struct lum__file *file = NULL, *lock = NULL;
    *lock_file = NULL;
    LUM_TRY(refuse_filled(to, "")); /* before LOCK is put into it */
    LUM_TRY(lum__fs_open_file(to, "LOCK", LUM__OPEN_WRITE | LUM__OPEN_CREATE, &file));
    LUM_TRY(lum__file_close(file));
    LUM_TRY(lum__store_lock(to, &lock)); /* nobody makes a store in it from here on */
    lum_status status = refuse_filled(to, "LOCK"); /* but somebody may have done so just before */
    if (status != LUM_OK) {
        (void)lum__file_close(lock);
        return status;
    }
    *lock_file = lock; /* what is made from here on is ours */
    LUM_TRY(lum__fs_mkdir(to, "wal"));
    return lum__fs_mkdir(to, "data");
}

lum_status lum__copy_check_room(struct lum__fs *to, uint64_t bytes_needed)
{
    uint64_t bytes_free = 0;
    LUM_TRY(lum__fs_free_bytes(to, &bytes_free));
    if (bytes_free >= bytes_needed) return LUM_OK;
    return lum__fail(LUM_ERR_NO_SPACE, "the copy needs %" PRIu64 " MB; the destination has %" PRIu64 " MB free",
                     bytes_needed / 1000000 + 1, bytes_free / 1000000);
}

static lum_status remove_top(void *context, const char *name)
{
    struct lum__fs *to = context;
    lum_status status = LUM_OK;
    if (strcmp(name, "wal") != 0 && strcmp(name, "data") != 0) status = lum__fs_unlink(to, name);
    return (void)status, LUM_OK;
}

static lum_status remove_below(struct lum__fs *to, const char *folder, const char *name)
{
    char path[2 * LUM__PATH_BYTES_MAX + 256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    lum_status status = lum__fs_unlink(to, path);
    return (void)status, LUM_OK;
}
static lum_status remove_log(void *context, const char *name) { return remove_below(context, "wal", name); }
static lum_status remove_data(void *context, const char *name) { return remove_below(context, "data", name); }

void lum__copy_remove(struct lum__fs *to)
{
    struct lum__error cause = *lum__error_last();
    lum_status status = lum__fs_unlink(to, "STATE"); /* first: nothing opens it from here on */
    status = lum__fs_list(to, "data", remove_data, to);
    status = lum__fs_list(to, "wal", remove_log, to);
    status = lum__fs_list(to, "", remove_top, to);
    status = lum__fs_sync_dir(to, "data"); /* the space is free for sure once the folder is synced */
    status = lum__fs_sync_dir(to, "wal");
    status = lum__fs_sync_dir(to, "");
    (void)status;
    lum__error_restore(&cause);
}

/* ------------------------------------------------------------------------------------------------ K3: the chunks */

static lum_status tell_progress(struct copy *copy)
{
    if (copy->options->on_progress == NULL) return LUM_OK;
    uint64_t total = 2 * copy->version->data_bytes; /* each byte is written, and read back */
    pthread_mutex_lock(&copy->mutex);
    bool go_on = copy->options->on_progress(copy->options->callback_context, atomic_load(&copy->bytes_done), total);
    pthread_mutex_unlock(&copy->mutex);
    return go_on ? LUM_OK : lum__fail(LUM_ERR_CANCELLED, "the copy was cancelled");
}

static struct target *find_target(const struct copy *copy, uint64_t segment)
{
    for (size_t i = 0; i < copy->target_count; i++) {
        if (copy->targets[i].segment == segment) return &copy->targets[i];
    }
    return NULL;
}

/* A file for the chunks of one segment: a reflink of all of it, or a header, into which the chunks are copied. */
static lum_status add_target(struct copy *copy, uint64_t segment)
{
    void *array = copy->targets;
    struct lum__file *from = NULL;
    struct target target = {.segment = segment};
    char path[64];
    lum__segment_path(segment, path);
    LUM_TRY(lum__segment_files_get(copy->files, segment, &from));
    LUM_TRY(lum__grow(&array, &copy->target_capacity, copy->target_count + 1, sizeof target));
    copy->targets = array;
    LUM_TRY(lum__fs_open_file(copy->to, path, LUM__OPEN_WRITE | LUM__OPEN_CREATE | LUM__OPEN_DIRECT, &target.file));
    copy->targets[copy->target_count++] = target; /* closed with the others from here on */
    copy->report->file_count++;
    if (lum__file_clone(from, target.file)) {
        copy->targets[copy->target_count - 1].is_shared = true;
        return LUM_OK;
    }
    return lum__segment_file_put_header(target.file, segment, copy->plan.state.store_id, copy->plan.state.epoch);
}

static lum_status make_targets(struct copy *copy)
{
    uint64_t last = 0;
    for (size_t i = 0; i < chunks_to_copy(copy); i++) {
        const struct lum__chunk_entry *chunk = chunk_at(copy, i);
        if (chunk->rows != NULL) continue; /* in the log, which is copied too */
        if (chunk->byte_count > copy->chunk_bytes_max) copy->chunk_bytes_max = chunk->byte_count;
        if (chunk->segment == last || find_target(copy, chunk->segment) != NULL) continue;
        LUM_TRY(add_target(copy, chunk->segment));
        last = chunk->segment;
    }
    return LUM_OK;
}

struct copier {
    uint8_t *bytes;
    struct lum__page_scratch *scratch;
    size_t bytes_mapped, scratch_mapped;
};

/* Verified before it is written: damage is never copied. */
static lum_status copy_chunk(struct copy *copy, struct copier *copier, const struct lum__chunk_entry *entry)
{
    struct target *target = find_target(copy, entry->segment);
    struct lum__file *from = NULL;
    size_t bytes_read = 0;
    char path[64];
    LUM_ASSERT(target != NULL);
    if (!target->is_shared) {
        lum__segment_path(entry->segment, path);
        LUM_TRY(lum__segment_files_get(copy->files, entry->segment, &from));
        LUM_TRY(lum__file_read(from, copier->bytes, entry->byte_count, entry->offset, &bytes_read));
        if (bytes_read < entry->byte_count)
            return lum__corrupt(path, entry->offset + bytes_read, 1, "the chunk is cut off by the end of its segment");
        LUM_TRY(lum__chunk_check(copier->bytes, copy->plan.state.store_id, entry, copier->scratch, path));
        LUM_TRY(lum__file_write(target->file, copier->bytes, entry->byte_count, entry->offset));
    }
    atomic_fetch_add(&copy->bytes_done, entry->byte_count);
    return tell_progress(copy);
}

static lum_status open_copier(const struct copy *copy, struct copier *copier)
{
    void *memory = NULL;
    LUM_TRY(lum__memory_map(copy->chunk_bytes_max, &memory, &copier->bytes_mapped));
    copier->bytes = memory;
    LUM_TRY(lum__memory_map(lum__page_scratch_bytes(), &memory, &copier->scratch_mapped));
    copier->scratch = memory;
    return LUM_OK;
}

static void close_copier(struct copier *copier)
{
    if (copier->bytes != NULL) lum__memory_unmap(copier->bytes, copier->bytes_mapped);
    if (copier->scratch != NULL) lum__memory_unmap(copier->scratch, copier->scratch_mapped);
}

static bool has_failed(struct copy *copy)
{
    pthread_mutex_lock(&copy->mutex);
    bool failed = copy->error.status != LUM_OK;
    pthread_mutex_unlock(&copy->mutex);
    return failed;
}

static void copy_worker(void *context, uint32_t worker)
{
    struct copy *copy = context;
    struct copier copier = {0};
    lum_status status = open_copier(copy, &copier);
    (void)worker;
    while (status == LUM_OK && !has_failed(copy)) {
        size_t index = atomic_fetch_add(&copy->next_chunk, 1);
        if (index >= chunks_to_copy(copy)) break;
        if (chunk_at(copy, index)->rows == NULL) status = copy_chunk(copy, &copier, chunk_at(copy, index));
        if (status == LUM_ERR_CORRUPT && is_replaced(copy, index)) status = LUM_OK; /* nothing of the snapshot */
    }
    close_copier(&copier);
    if (status == LUM_OK) return;
    pthread_mutex_lock(&copy->mutex);
    if (copy->error.status == LUM_OK) copy->error = *lum__error_last();
    pthread_mutex_unlock(&copy->mutex);
}

static lum_status copy_chunks(struct copy *copy)
{
    uint64_t workers = copy->options->memory_bytes_max / 2 / (copy->chunk_bytes_max + LUM__COPY_PART_BYTES);
    if (workers > copy->options->workers) workers = copy->options->workers;
    if (chunks_to_copy(copy) > 0) lum__parallel(workers > 0 ? (uint32_t)workers : 1, copy_worker, copy);
    if (copy->error.status != LUM_OK) return lum__error_restore(&copy->error), copy->error.status;
    for (size_t i = 0; i < chunks_to_copy(copy); i++) {
        const struct lum__chunk_entry *chunk = chunk_at(copy, i);
        if (chunk->rows != NULL) continue;
        if (find_target(copy, chunk->segment)->is_shared)
            copy->report->bytes_shared += chunk->byte_count;
        else
            copy->report->bytes_copied += chunk->byte_count;
    }
    for (size_t i = 0; i < copy->target_count; i++) LUM_TRY(lum__file_sync(copy->targets[i].file));
    return lum__fs_sync_dir(copy->to, "data");
}

/* -------------------------------------------------------------------------------------- K4: the log and the
 * checkpoints
 */

static lum_status copy_whole(struct copy *copy, const char *path, uint64_t limit_bytes)
{
    struct lum__copy_file_options options = {.limit_bytes = limit_bytes, .read_back = true};
    struct lum__copy_file_counts counts = {0};
    LUM_TRY(lum__copy_file(copy->from, copy->to, path, &options, &counts));
    copy->report->file_count++;
    copy->report->bytes_copied += counts.bytes_copied;
    copy->report->bytes_shared += counts.bytes_shared;
    return LUM_OK;
}

static lum_status copy_checkpoint(struct copy *copy, uint64_t number)
{
    char path[LUM__PATH_BYTES_MAX];
    snprintf(path, sizeof path, "checkpoint-%" PRIu64, number);
    return copy_whole(copy, path, UINT64_MAX);
}

static uint64_t first_log_segment(const struct copy *copy)
{
    return copy->older.number != 0 ? copy->older.replay.segment : copy->plan.checkpoint.replay.segment;
}

/* From the older checkpoint's place to the end of the snapshot. A file without a readable header is no part of the log.
 */
static lum_status copy_log(struct copy *copy)
{
    const struct lum__log_position *end = &copy->plan.end;
    uint64_t *numbers = NULL;
    size_t count = 0;
    lum_status status = LUM_OK;
    LUM_TRY(lum__log_segment_numbers(copy->from, &numbers, &count));
    for (size_t i = 0; i < count; i++) {
        struct lum__wal_segment segment;
        struct lum__file *file = NULL;
        char path[64];
        if (numbers[i] < first_log_segment(copy) || numbers[i] > end->segment) continue;
        status =
            lum__log_segment_open(copy->from, copy->plan.state.store_id, numbers[i], LUM__OPEN_READ, &segment, &file);
        (void)lum__file_close(file);
        if (status == LUM_ERR_CORRUPT || status == LUM_ERR_FOREIGN) continue;
        LUM_TRY_OUT(status);
        lum__wal_path(numbers[i], path);
        uint64_t used = (end->offset + LUM__BLOCK_BYTES - 1) / LUM__BLOCK_BYTES * LUM__BLOCK_BYTES;
        LUM_TRY_OUT(copy_whole(copy, path, numbers[i] == end->segment ? used : UINT64_MAX));
    }
    status = lum__fs_sync_dir(copy->to, "wal");
out:
    free(numbers);
    return status;
}

/* K5: a segment whose header says that the log was cut where the snapshot ends; the clean mark stands in it. */
static lum_status end_log(struct copy *copy, struct lum__state *state)
{
    static const lum_options defaults = LUM_OPTIONS_INIT;
    struct lum__wal_writer_options options;
    struct lum__wal_writer *writer = NULL;
    struct lum__log_position end;
    lum__parts_writer_options(copy->to, &defaults, state, copy->plan.next_wal_segment, &options);
    LUM_TRY(lum__wal_writer_start(&options, &copy->plan.end, &writer));
    lum__wal_position(writer, &end);
    LUM_TRY(lum__wal_writer_close(writer));
    state->clean_segment = end.segment;
    state->clean_offset = end.offset;
    state->clean_sequence = end.sequence;
    return LUM_OK;
}

/* ------------------------------------------------------------------------------------------------ K6: reading it back
 */

static lum_status count_checked(void *context, uint32_t worker, size_t chunk_index, uint64_t position,
                                const lum_t *rows, uint32_t row_count)
{
    struct copy *copy = context;
    (void)worker, (void)position, (void)rows, (void)row_count;
    atomic_fetch_add(&copy->bytes_done, copy->version->chunks[chunk_index].byte_count);
    return tell_progress(copy);
}

static lum_status check_chunks(struct copy *copy, const struct lum__catalogue_version *version)
{
    struct lum__segment_files *files = NULL;
    struct lum__chunk_scan_options options = {.store_id = copy->plan.state.store_id,
                                              .check_everything = true,
                                              .memory_bytes_max = copy->options->memory_bytes_max};
    LUM_TRY(lum__segment_files_open(copy->to, copy->plan.state.store_id, true, &files));
    lum_status status = lum__chunk_scan(copy->to, files, version->chunks, version->chunk_count, &options,
                                        copy->options->workers, count_checked, NULL, copy, NULL);
    lum__segment_files_close(files);
    return status;
}

/* The copy as an opening will see it: closed cleanly, with the snapshot's content, every chunk of it whole. */
static lum_status check_copy(struct copy *copy, const struct lum__state *state)
{
    struct lum__plan_options options = {
        .workers = copy->options->workers, .memory_bytes_max = copy->options->memory_bytes_max, .for_reading = true};
    struct lum__plan plan;
    LUM_TRY(lum__plan_make_under(copy->to, &options, state, &plan));
    const struct lum__catalogue_version *version = lum__catalogue_pin(plan.catalogue);
    const struct lum__catalogue_version *wanted = copy->version;
    lum_status status = LUM_OK;
    if (plan.decision.verdict != LUM__VERDICT_CLEAN || version->lum_count != wanted->lum_count ||
        version->digest != wanted->digest || version->chunk_count != wanted->chunk_count ||
        version->transaction_count != wanted->transaction_count)
        status = lum__fail(LUM_ERR_IO, "the copy does not read back as what was copied (row %c): %s", plan.decision.row,
                           plan.problem.status != LUM_OK ? plan.problem.message : plan.decision.sentence);
    if (status == LUM_OK) status = check_chunks(copy, version);
    lum__catalogue_unpin(plan.catalogue, version);
    struct lum__error cause = *lum__error_last();
    lum__plan_fini(&plan);
    lum__error_restore(&cause);
    return status;
}

/* -------------------------------------------------------------------------------------------------------- all of it */

static uint64_t bytes_needed(const struct copy *copy)
{
    uint64_t needed = LUM__COPY_PART_BYTES; /* STATE, LOCK, folders */
    uint64_t log_segments = copy->plan.end.segment - first_log_segment(copy) + 2;
    bool is_shared = copy->target_count > 0 && copy->targets[0].is_shared;
    needed += log_segments * lum__parts_wal_segment_bytes(&(lum_options)LUM_OPTIONS_INIT);
    needed += 2 * copy->version->chunk_count * LUM__CHUNK_ENTRY_BYTES;
    for (size_t i = 0; i < copy->replaced_count; i++) needed += copy->replaced[i].byte_count;
    return is_shared ? needed : needed + copy->version->data_bytes;
}

static void fill_report(struct copy *copy)
{
    lum_backup_report *report = copy->report;
    memcpy(report->store_id, copy->plan.state.store_id, sizeof report->store_id);
    report->lum_count = copy->version->lum_count;
    report->chunk_count = copy->version->chunk_count;
    report->transaction_count = copy->version->transaction_count;
    report->last_sequence = copy->plan.end.sequence;
    report->digest = copy->version->digest;
    report->was_crashed = copy->plan.needs_recovery;
}

static lum_status write_copy(struct copy *copy)
{
    struct lum__state state = copy->plan.state;
    LUM_TRY(make_targets(copy));
    LUM_TRY(lum__copy_check_room(copy->to, bytes_needed(copy)));
    LUM_TRY(copy_chunks(copy));
    if (copy->older.number != 0) LUM_TRY(copy_checkpoint(copy, copy->older.number));
    LUM_TRY(copy_checkpoint(copy, copy->plan.checkpoint.number));
    LUM_TRY(copy_log(copy));
    LUM_TRY(end_log(copy, &state));
    LUM_TRY(lum__fs_sync_dir(copy->to, ""));
    state.state = LUM_STATE_NORMAL;
    state.is_clean = true;
    state.attempts = 0;
    state.clean_checkpoint = copy->plan.checkpoint.number;
    lum__state_explain(&state, "");
    LUM_TRY(check_copy(copy, &state));
    return lum__state_write(copy->to, &state); /* K7 */
}

static lum_status close_copy(struct copy *copy, lum_status status)
{
    struct lum__error cause = *lum__error_last();
    for (size_t i = 0; i < copy->target_count; i++) {
        lum_status closed = lum__file_close(copy->targets[i].file);
        if (status == LUM_OK && closed != LUM_OK) {
            status = closed;
            cause = *lum__error_last();
        }
    }
    free(copy->targets);
    lum__segment_files_close(copy->files);
    lum__checkpoint_fini(&copy->older);
    free(copy->replaced);
    if (copy->version != NULL) lum__catalogue_unpin(copy->plan.catalogue, copy->version);
    if (copy->plan.catalogue != NULL) lum__plan_fini(&copy->plan);
    pthread_mutex_destroy(&copy->mutex);
    if (status != LUM_OK) lum__error_restore(&cause);
    return status;
}

lum_status lum__copy_snapshot(struct lum__fs *from, struct lum__fs *to, const struct lum__copy_options *options,
                              lum_backup_report *report)
{
    struct copy copy = {.from = from, .to = to, .options = options, .report = report};
    struct lum__file *from_lock = NULL, *to_lock = NULL;
    bool writer_alive = false, is_begun = false;
    lum_status status = LUM_OK;
    pthread_mutex_init(&copy.mutex, NULL);
    LUM_TRY_OUT(lum__store_lock_shared(from, &from_lock, &writer_alive));
    report->beside_writer = writer_alive;
    LUM_TRY_OUT(take_snapshot(&copy, from_lock, writer_alive));
    fill_report(&copy);
    LUM_TRY_OUT(lum__segment_files_open(from, copy.plan.state.store_id, true, &copy.files));
    status = lum__copy_begin(to, &to_lock);
    is_begun = to_lock != NULL; /* until then nothing there is ours to remove */
    if (status == LUM_OK) status = write_copy(&copy);
out:
    status = close_copy(&copy, status);
    if (status != LUM_OK && is_begun) lum__copy_remove(to);
    struct lum__error cause = *lum__error_last();
    (void)lum__file_close(to_lock);
    (void)lum__file_close(from_lock);
    if (status != LUM_OK) lum__error_restore(&cause);
    return status;
}
