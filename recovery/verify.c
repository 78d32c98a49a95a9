/* recovery/verify.c - see verify.h. What it goes through, and what of it is inert: recovery/README.md "Verify". */
#include "recovery/verify.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/status.h"
#include "recovery/recover.h"
#include "recovery/same_content.h"
#include "recovery/state.h"
#include "storage/chunk_scan.h"
#include "storage/header.h"
#include "storage/segment.h"

enum { CHECKPOINTS_LISTED_MAX = 64, MEMORY_BYTES_MAX = 64 << 20 };

struct verify {
    struct lum__fs *fs;
    uint32_t workers;
    bool writer_alive;
    struct lum__file *lock_file; /* NULL: without LOCK */
    struct lum__state state;                      /* the store's, or what stands in for a damaged one */
    uint64_t checkpoints[CHECKPOINTS_LISTED_MAX]; /* files found, newest first */
    size_t checkpoint_count;
    bool has_lock, has_state, has_wal, has_data;
    pthread_mutex_t mutex; /* what follows, while workers run */
    void (*on_finding)(void *context, const lum_finding *finding);
    void *context;
    lum_verify_report *report;
    struct lum__error first; /* finding, the one to return */
};

/* ----------------------------------------------------------------------------------------------------------- findings
 */

/* This thread's last error is a problem of the store. */
static void note_finding(struct verify *verify)
{
    const struct lum__error *error = lum__error_last();
    pthread_mutex_lock(&verify->mutex);
    verify->report->error_count++;
    bool is_first_damage = error->status != LUM_ERR_UNSUPPORTED && verify->first.status == LUM_ERR_UNSUPPORTED;
    if (verify->first.status == LUM_OK || is_first_damage) verify->first = *error;
    if (verify->on_finding != NULL) {
        lum_finding finding = {
            .file = error->file, .offset = error->offset, .condition = error->condition, .what = error->message};
        verify->on_finding(verify->context, &finding);
    }
    pthread_mutex_unlock(&verify->mutex);
}

static bool is_finding(lum_status status)
{
    return status == LUM_ERR_CORRUPT || status == LUM_ERR_UNSUPPORTED || status == LUM_ERR_FOREIGN ||
           status == LUM_ERR_NOT_FOUND;
}

/* Findings are taken down and verification goes on; failures of the machine are passed up. */
static lum_status take_down(struct verify *verify, lum_status status)
{
    if (!is_finding(status)) return status;
    note_finding(verify);
    return LUM_OK;
}

static lum_status take_down_problem(struct verify *verify, const struct lum__error *problem)
{
    lum__error_restore(problem);
    return take_down(verify, problem->status);
}

/* -------------------------------------------------------------------------------------------------------------- names
 */

/* NAME.tmp of a replacement that was not finished: the next writer removes it. */
static bool is_leftover(const char *name)
{
    size_t length = strlen(name);
    uint64_t number;
    return strcmp(name, "STATE.tmp") == 0 || (length > 4 && lum__name_number(name, "checkpoint-", ".tmp", &number));
}

static lum_status unexpected(struct verify *verify, const char *folder, const char *name)
{
    char path[300];
    snprintf(path, sizeof path, "%s%s%s", folder, folder[0] != 0 ? "/" : "", name);
    return take_down(verify, lum__fail_at(__FILE__, __LINE__, LUM_ERR_FOREIGN, 0, path, LUM_NO_OFFSET, 0,
                                          "%s is not a file of a lum store", path));
}

static lum_status check_top_name(void *context, const char *name)
{
    struct verify *verify = context;
    uint64_t number;
    if (strcmp(name, "LOCK") == 0) {
        verify->has_lock = true;
    } else if (strcmp(name, "STATE") == 0) {
        verify->has_state = true;
    } else if (strcmp(name, "wal") == 0) {
        verify->has_wal = true;
    } else if (strcmp(name, "data") == 0) {
        verify->has_data = true;
    } else if (strcmp(name, "emergency") != 0 && !lum__name_number(name, "checkpoint-", "", &number) &&
               !is_leftover(name)) {
        return unexpected(verify, "", name);
    }
    return LUM_OK;
}

static lum_status check_wal_name(void *context, const char *name)
{
    uint64_t number;
    return lum__name_number(name, "", ".wal", &number) ? LUM_OK : unexpected(context, "wal", name);
}

static lum_status check_data_name(void *context, const char *name)
{
    uint64_t number;
    return lum__name_number(name, "", ".seg", &number) ? LUM_OK : unexpected(context, "data", name);
}

static lum_status check_is_there(struct verify *verify, bool is_there, const char *name)
{
    if (is_there) return LUM_OK;
    return take_down(verify, lum__corrupt(name, LUM_NO_OFFSET, 0, "%s is missing", name));
}

static lum_status check_names(struct verify *verify)
{
    LUM_TRY(lum__fs_list(verify->fs, "", check_top_name, verify));
    LUM_TRY(lum__checkpoint_list(verify->fs, verify->checkpoints, CHECKPOINTS_LISTED_MAX, &verify->checkpoint_count));
    if (!verify->has_state && verify->checkpoint_count == 0)
        return lum__fail(LUM_ERR_NOT_FOUND, "there is no lum store here");
    LUM_TRY(check_is_there(verify, verify->has_lock, "LOCK"));
    LUM_TRY(check_is_there(verify, verify->has_wal, "wal"));
    LUM_TRY(check_is_there(verify, verify->has_data, "data"));
    if (verify->has_wal) LUM_TRY(lum__fs_list(verify->fs, "wal", check_wal_name, verify));
    if (verify->has_data) LUM_TRY(lum__fs_list(verify->fs, "data", check_data_name, verify));
    return LUM_OK;
}

static void count_file(struct verify *verify, uint64_t bytes)
{
    verify->report->files_checked++;
    verify->report->bytes_checked += bytes;
}

/* ---------------------------------------------------------------------------------------------------- STATE,
 * checkpoints */

/* Without STATE nothing says where a clean end would be: the log is read to where it breaks off. The store's id comes
 * from a checkpoint. */
static lum_status stand_in_for_state(struct verify *verify)
{
    memset(&verify->state, 0, sizeof verify->state);
    verify->state.epoch = UINT64_MAX;
    verify->state.attempts_max = LUM__STATE_ATTEMPTS_DEFAULT;
    for (size_t i = 0; i < verify->checkpoint_count; i++) {
        struct lum__checkpoint checkpoint = {0};
        struct lum__catalogue *catalogue = NULL;
        LUM_TRY(lum__catalogue_create(&catalogue));
        lum_status status = lum__checkpoint_read(verify->fs, verify->checkpoints[i], NULL, &checkpoint, catalogue);
        memcpy(verify->state.store_id, checkpoint.store_id, sizeof verify->state.store_id);
        lum__checkpoint_fini(&checkpoint);
        lum__catalogue_destroy(catalogue);
        if (status == LUM_OK) return LUM_OK;
    }
    return LUM_OK; /* then no checkpoint is valid either, and the plan says so */
}

static lum_status check_state(struct verify *verify)
{
    lum_status status = lum__state_read(verify->fs, &verify->state);
    if (status == LUM_OK) {
        count_file(verify, LUM__BLOCK_BYTES);
        return LUM_OK;
    }
    if (status == LUM_ERR_NOT_FOUND)
        status = lum__fail_at(__FILE__, __LINE__, status, 0, "STATE", LUM_NO_OFFSET, 0, "the file STATE is missing");
    LUM_TRY(take_down(verify, status));
    return stand_in_for_state(verify);
}

static lum_status check_checkpoint(struct verify *verify, uint64_t number)
{
    struct lum__checkpoint checkpoint = {0};
    struct lum__catalogue *catalogue = NULL;
    LUM_TRY(lum__catalogue_create(&catalogue));
    lum_status status = lum__checkpoint_read(verify->fs, number, verify->state.store_id, &checkpoint, catalogue);
    if (status == LUM_OK) {
        const struct lum__catalogue_version *version = lum__catalogue_pin(catalogue);
        count_file(verify, LUM__BLOCK_BYTES + version->chunk_count * LUM__CHUNK_ENTRY_BYTES);
        lum__catalogue_unpin(catalogue, version);
    }
    lum__checkpoint_fini(&checkpoint);
    lum__catalogue_destroy(catalogue);
    if (status == LUM_ERR_NOT_FOUND && verify->writer_alive) return LUM_OK; /* removed since it was listed */
    return take_down(verify, status);
}

static lum_status check_checkpoints(struct verify *verify)
{
    for (size_t i = 0; i < verify->checkpoint_count; i++) LUM_TRY(check_checkpoint(verify, verify->checkpoints[i]));
    if (verify->checkpoint_count != 1 || verify->checkpoints[0] == 1) return LUM_OK;
    char path[LUM__PATH_BYTES_MAX]; /* from the second on there are always two */
    snprintf(path, sizeof path, "checkpoint-%" PRIu64, verify->checkpoints[0] - 1);
    return take_down(verify, lum__corrupt(path, LUM_NO_OFFSET, 0, "the older of the two checkpoints is missing"));
}

static bool is_listed(const struct verify *verify, const struct lum__error *problem)
{
    for (size_t i = 0; i < verify->checkpoint_count; i++) {
        char path[LUM__PATH_BYTES_MAX];
        snprintf(path, sizeof path, "checkpoint-%" PRIu64, verify->checkpoints[i]);
        if (strcmp(path, problem->file) == 0) return true;
    }
    return false;
}

/* ---------------------------------------------------------------------------------------------------------------- log
 */

static lum_status check_bad_segment(void *context, const char *path)
{
    struct verify *verify = context;
    const struct lum__error *error = lum__error_last();
    (void)path;
    /* A bad header of a segment that the log leads to stops the reader, which says so. Of any other it is what a crash
     * leaves of a successor or a recycled file, and inert; but not if it is intact, and another's. */
    if (error->status == LUM_ERR_FOREIGN || error->status == LUM_ERR_UNSUPPORTED) note_finding(verify);
    return LUM_OK;
}

static lum_status check_segment_list(struct verify *verify)
{
    struct lum__wal_segment *segments = NULL;
    size_t count = 0;
    LUM_TRY(lum__wal_list(verify->fs, verify->state.store_id, &segments, &count, check_bad_segment, verify));
    for (size_t i = 0; i < count; i++) count_file(verify, LUM__BLOCK_BYTES);
    free(segments);
    return LUM_OK;
}

/* The log from `from` on to exactly `to`. Breaks in it are findings (*is_whole false). */
static lum_status read_between(struct verify *verify, const struct lum__checkpoint *from,
                               const struct lum__log_position *to, struct lum__replay *replay, bool *is_whole)
{
    struct lum__wal_reader *reader = NULL;
    struct lum__wal_record record;
    struct lum__wal_evidence evidence;
    lum_status status = LUM_OK;
    *is_whole = false;
    LUM_TRY(lum__wal_reader_open(verify->fs, verify->state.store_id, &from->replay, to, false, &reader));
    for (;;) {
        struct lum__log_position before;
        lum__wal_reader_position(reader, &before);
        status = lum__wal_reader_next(reader, &record);
        if (status != LUM_OK) break;
        LUM_TRY_OUT(lum__replay_feed(replay, &before, &record));
    }
    if (status != LUM_END) goto out;
    LUM_TRY_OUT(lum__wal_reader_evidence(reader, &evidence));
    verify->report->wal_records_checked += replay->record_count;
    verify->report->bytes_checked += replay->log_bytes;
    if (replay->is_broken) {
        status = take_down_problem(verify, &replay->problem);
    } else if (evidence.stop != LUM__WAL_STOP_LIMIT) {
        lum_status kind = evidence.stop == LUM__WAL_STOP_UNSUPPORTED ? LUM_ERR_UNSUPPORTED : LUM_ERR_CORRUPT;
        status = take_down(verify, lum__plan_blame_log(verify->fs, verify->state.store_id, &evidence, replay, kind,
                                                       "the log breaks off between two checkpoints"));
    } else {
        *is_whole = true;
    }
out:
    lum__wal_reader_close(reader);
    return status;
}

/* The older checkpoint with the log behind it must give the newer one. */
static lum_status compare_checkpoints(struct verify *verify, const struct lum__checkpoint *older,
                                      struct lum__catalogue *older_content, const struct lum__checkpoint *newer)
{
    struct lum__replay *replay = NULL;
    struct lum__checkpoint again = {0};
    struct lum__catalogue *newer_content = NULL;
    bool is_whole = false;
    lum_status status = LUM_OK;
    LUM_TRY(lum__replay_create(older, &replay));
    LUM_TRY_OUT(read_between(verify, older, &newer->replay, replay, &is_whole));
    if (!is_whole) goto out;
    LUM_TRY_OUT(lum__replay_publish(replay, 0, replay->commit_count, older_content));
    LUM_TRY_OUT(lum__catalogue_create(&newer_content));
    LUM_TRY_OUT(lum__checkpoint_read(verify->fs, newer->number, verify->state.store_id, &again, newer_content));
    const struct lum__catalogue_version *a = lum__catalogue_pin(older_content), *b = lum__catalogue_pin(newer_content);
    if (!lum__is_same_content(a, b)) {
        char path[LUM__PATH_BYTES_MAX];
        snprintf(path, sizeof path, "checkpoint-%" PRIu64, newer->number);
        status = take_down(verify, lum__corrupt(path, LUM__BLOCK_BYTES, 9,
                                                "checkpoint-%" PRIu64 " and the log behind it give other contents",
                                                older->number));
    }
    lum__catalogue_unpin(older_content, a);
    lum__catalogue_unpin(newer_content, b);
out:
    lum__checkpoint_fini(&again);
    if (newer_content != NULL) lum__catalogue_destroy(newer_content);
    lum__replay_destroy(replay);
    return status;
}

static lum_status cross_check(struct verify *verify, const struct lum__checkpoint *newer)
{
    for (size_t i = 0; i < verify->checkpoint_count; i++) {
        struct lum__checkpoint older = {0};
        struct lum__catalogue *content = NULL;
        if (verify->checkpoints[i] >= newer->number) continue;
        LUM_TRY(lum__catalogue_create(&content));
        lum_status status =
            lum__checkpoint_read(verify->fs, verify->checkpoints[i], verify->state.store_id, &older, content);
        bool is_valid = status == LUM_OK;
        status =
            is_valid ? compare_checkpoints(verify, &older, content, newer) : LUM_OK; /* an invalid one was reported */
        lum__checkpoint_fini(&older);
        lum__catalogue_destroy(content);
        LUM_TRY(status);
        if (is_valid) return LUM_OK; /* only the newest two are kept with their log */
    }
    return LUM_OK;
}

/* --------------------------------------------------------------------------------------------------------------- data
 */

static lum_status on_damage(void *context, uint32_t worker, size_t chunk_index)
{
    struct verify *verify = context;
    (void)worker;
    (void)chunk_index;
    note_finding(verify);
    return LUM_OK;
}

/* Sorts out the chunks whose segment file is missing or has a bad header: one finding a file. */
static lum_status select_chunks(struct verify *verify, struct lum__segment_files *files,
                                const struct lum__catalogue_version *version, struct lum__chunk_entry *selected,
                                size_t *selected_count)
{
    uint64_t bad_segment = 0, last_good = 0;
    for (size_t i = 0; i < version->chunk_count; i++) {
        const struct lum__chunk_entry *chunk = &version->chunks[i];
        struct lum__file *file = NULL;
        if (chunk->rows == NULL) verify->report->chunks_checked++;
        verify->report->lums_checked += chunk->row_count;
        if (chunk->rows != NULL) continue; /* proven when the log was read */
        if (chunk->segment == bad_segment) continue;
        if (chunk->segment != last_good) {
            lum_status status = lum__segment_files_get(files, chunk->segment, &file);
            LUM_TRY(take_down(verify, status));
            if (status != LUM_OK) {
                bad_segment = chunk->segment;
                continue;
            }
            last_good = chunk->segment;
        }
        selected[(*selected_count)++] = *chunk;
        verify->report->bytes_checked += chunk->byte_count;
    }
    return LUM_OK;
}

static lum_status check_chunks(struct verify *verify, const struct lum__catalogue_version *version)
{
    struct lum__segment_files *files = NULL;
    struct lum__chunk_scan_counts counts = {0};
    struct lum__chunk_scan_options options = {
        .store_id = verify->state.store_id, .check_everything = true, .memory_bytes_max = MEMORY_BYTES_MAX};
    void *memory = NULL;
    size_t count = 0;
    lum_status status = LUM_OK;
    LUM_TRY(lum__alloc(version->chunk_count * sizeof *version->chunks, &memory));
    struct lum__chunk_entry *selected = memory;
    LUM_TRY_OUT(lum__segment_files_open(verify->fs, verify->state.store_id, true, &files));
    LUM_TRY_OUT(select_chunks(verify, files, version, selected, &count));
    if (count > 0)
        LUM_TRY_OUT(lum__chunk_scan(verify->fs, files, selected, count, &options, verify->workers, NULL, on_damage,
                                    verify, &counts));
out:
    lum__segment_files_close(files);
    free(selected);
    return status;
}

struct data_listing {
    struct verify *verify;
    struct lum__segment_files *files;
};

/* Every segment file has to be this store's. One without chunks may have a bad header (a crash while it was made). */
static lum_status check_data_file(void *context, const char *name)
{
    struct data_listing *listing = context;
    struct lum__file *file = NULL;
    uint64_t number;
    if (!lum__name_number(name, "", ".seg", &number)) return LUM_OK;
    lum_status status = lum__segment_files_get(listing->files, number, &file);
    if (status == LUM_OK) count_file(listing->verify, LUM__BLOCK_BYTES);
    if (status == LUM_ERR_CORRUPT || status == LUM_ERR_NOT_FOUND) return LUM_OK;
    return take_down(listing->verify, status);
}

static lum_status check_data_files(struct verify *verify)
{
    struct data_listing listing = {.verify = verify};
    if (!verify->has_data) return LUM_OK;
    LUM_TRY(lum__segment_files_open(verify->fs, verify->state.store_id, false, &listing.files));
    lum_status status = lum__fs_list(verify->fs, "data", check_data_file, &listing);
    lum__segment_files_close(listing.files);
    return status;
}

/* ---------------------------------------------------------------------------------------------------------- all of it
 */

static lum_status check_contents(struct verify *verify)
{
    struct lum__plan_options options = {.workers = verify->workers,
                                        .memory_bytes_max = MEMORY_BYTES_MAX,
                                        .for_reading = true,
                                        .writer_alive = verify->writer_alive,
                                        .lock_file = verify->lock_file};
    struct lum__plan plan;
    lum_status status = verify->state.epoch == UINT64_MAX
                            ? lum__plan_make_under(verify->fs, &options, &verify->state, &plan)
                            : lum__plan_make(verify->fs, &options, &plan);
    if (status != LUM_OK) return take_down(verify, status);
    verify->report->wal_records_checked += plan.replay->record_count;
    verify->report->bytes_checked += plan.replay->log_bytes;
    bool is_refused = plan.decision.verdict == LUM__VERDICT_REFUSE || plan.decision.verdict == LUM__VERDICT_UNSUPPORTED;
    bool is_of_chunk = strncmp(plan.problem.file, "data/", 5) == 0; /* found again below, with all others */
    if (is_refused && plan.problem.status != LUM_OK && !is_of_chunk)
        LUM_TRY_OUT(take_down_problem(verify, &plan.problem));
    if (plan.fell_back && !is_listed(verify, &plan.checkpoint_problem))
        LUM_TRY_OUT(take_down_problem(verify, &plan.checkpoint_problem));
    LUM_TRY_OUT(cross_check(verify, &plan.checkpoint));
    const struct lum__catalogue_version *version = lum__catalogue_pin(plan.catalogue);
    status = check_chunks(verify, version);
    lum__catalogue_unpin(plan.catalogue, version);
out:;
    struct lum__error cause = *lum__error_last();
    lum__plan_fini(&plan);
    lum__error_restore(&cause);
    return status;
}

static lum_status check_store(struct verify *verify)
{
    LUM_TRY(check_names(verify));
    LUM_TRY(check_state(verify));
    LUM_TRY(check_checkpoints(verify));
    if (verify->has_wal) LUM_TRY(check_segment_list(verify));
    LUM_TRY(check_data_files(verify));
    return check_contents(verify);
}

lum_status lum__verify(struct lum__fs *fs, uint32_t workers,
                       void (*on_finding)(void *context, const lum_finding *finding), void *context,
                       lum_verify_report *report)
{
    struct verify verify = {
        .fs = fs, .workers = workers, .on_finding = on_finding, .context = context, .report = report};
    *report = (lum_verify_report)LUM_VERIFY_REPORT_INIT;
    LUM_TRY(lum__store_lock_shared(fs, &verify.lock_file, &verify.writer_alive));
    pthread_mutex_init(&verify.mutex, NULL);
    lum_status status = check_store(&verify);
    pthread_mutex_destroy(&verify.mutex);
    struct lum__error cause = *lum__error_last();
    lum__file_close(verify.lock_file);
    if (status == LUM_OK && report->error_count > 0) {
        bool is_foreign = verify.first.status == LUM_ERR_FOREIGN;
        if (verify.first.status != LUM_ERR_UNSUPPORTED) verify.first.status = LUM_ERR_CORRUPT; /* as it is answered */
        lum__error_restore(&verify.first);
        if (is_foreign) lum__error_set_remedy("remove the file, or the second name of it, that does not belong here");
        return verify.first.status;
    }
    if (status != LUM_OK) lum__error_restore(&cause);
    return status;
}
