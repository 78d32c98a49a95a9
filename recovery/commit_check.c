/* recovery/commit_check.c - see commit_check.h. */
#include "recovery/commit_check.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "storage/chunk_scan.h"
#include "storage/segment.h"

struct check {
    struct lum__replay *replay;
    struct lum__chunk_entry *chunks; /* to be scanned */
    size_t *commit_of;               /* index of the commit of each */
    size_t chunk_count;
    uint64_t lum_count;
    pthread_mutex_t mutex; /* guards what follows, and is_bad of the commits, while workers run */
    uint64_t bad_count, bad_lums;
    size_t problem_commit;
    struct lum__error problem;
};

/* This thread's last error is what is wrong with a chunk of the commit. */
static void note_bad(struct check *check, size_t commit)
{
    if (check->problem.status == LUM_OK || commit < check->problem_commit) {
        check->problem = *lum__error_last();
        check->problem_commit = commit;
    }
    check->replay->commits[commit].is_bad = true;
}

static lum_status on_damage(void *context, uint32_t worker, size_t chunk_index)
{
    struct check *check = context;
    (void)worker;
    pthread_mutex_lock(&check->mutex);
    LUM_ASSERT(chunk_index < check->chunk_count);
    note_bad(check, check->commit_of[chunk_index]);
    check->bad_count++;
    check->bad_lums += check->chunks[chunk_index].row_count;
    pthread_mutex_unlock(&check->mutex);
    return LUM_OK;
}

/* Damage of a whole segment file is damage of every chunk in it. */
static bool is_damage(lum_status status)
{
    return status == LUM_ERR_NOT_FOUND || status == LUM_ERR_CORRUPT || status == LUM_ERR_FOREIGN;
}

/* Collects the chunks whose segments can be opened; the others are bad already. */
static lum_status collect(struct check *check, struct lum__segment_files *files,
                          const struct lum__commit_check_options *options)
{
    size_t total = 0;
    void *chunks = NULL, *commit_of = NULL;
    for (size_t i = 0; i < check->replay->commit_count; i++) total += check->replay->commits[i].chunk_count;
    LUM_TRY(lum__alloc(total * sizeof *check->chunks, &chunks));
    check->chunks = chunks;
    LUM_TRY(lum__alloc(total * sizeof *check->commit_of, &commit_of));
    check->commit_of = commit_of;
    for (size_t i = 0; i < check->replay->commit_count; i++) {
        const struct lum__replay_commit *commit = &check->replay->commits[i];
        if (options->unsynced_only && commit->transaction.data_synced) continue;
        for (size_t j = 0; j < commit->chunk_count; j++) {
            struct lum__file *file = NULL;
            lum_status status = lum__segment_files_get(files, commit->chunks[j].segment, &file);
            if (is_damage(status)) {
                note_bad(check, i);
                continue;
            }
            LUM_TRY(status);
            check->chunks[check->chunk_count] = commit->chunks[j];
            check->commit_of[check->chunk_count++] = i;
            check->lum_count += commit->chunks[j].row_count;
        }
    }
    return LUM_OK;
}

/* After the scan, because direct reading may turn out to be impossible at the first try. */
static lum_status note_doubtful(struct check *check, struct lum__segment_files *files,
                                const struct lum__commit_check_options *options)
{
    for (size_t i = 0; i < check->chunk_count; i++) {
        struct lum__replay_commit *commit = &check->replay->commits[check->commit_of[i]];
        struct lum__file *file = NULL;
        if (commit->transaction.data_synced || commit->transaction.commit_sequence <= options->watermark) continue;
        LUM_TRY(lum__segment_files_get(files, check->chunks[i].segment, &file));
        if (!lum__file_is_direct(file)) commit->is_doubtful = true;
    }
    return LUM_OK;
}

static lum_status run_check(struct lum__fs *fs, struct check *check, const struct lum__commit_check_options *options)
{
    struct lum__segment_files *files = NULL;
    struct lum__chunk_scan_counts counts = {0};
    struct lum__chunk_scan_options scan = {
        .store_id = options->store_id, .check_everything = true, .memory_bytes_max = options->memory_bytes_max};
    lum_status status = LUM_OK;
    LUM_TRY(lum__segment_files_open(fs, options->store_id, options->after_crash, &files));
    LUM_TRY_OUT(collect(check, files, options));
    if (check->chunk_count > 0)
        LUM_TRY_OUT(lum__chunk_scan(fs, files, check->chunks, check->chunk_count, &scan, options->workers, NULL,
                                    on_damage, check, &counts));
    if (options->after_crash) LUM_TRY_OUT(note_doubtful(check, files, options));
out:
    lum__segment_files_close(files);
    return status;
}

lum_status lum__commit_check(struct lum__fs *fs, struct lum__replay *replay,
                             const struct lum__commit_check_options *options, struct lum__commit_check *out)
{
    struct check check = {.replay = replay};
    memset(out, 0, sizeof *out);
    if (replay->commit_count == 0) return LUM_OK;
    pthread_mutex_init(&check.mutex, NULL);
    lum_status status = run_check(fs, &check, options);
    if (status == LUM_OK) {
        out->chunks_verified = check.chunk_count - check.bad_count;
        out->lums_verified = check.lum_count - check.bad_lums;
        out->problem = check.problem;
    }
    pthread_mutex_destroy(&check.mutex);
    free(check.chunks);
    free(check.commit_of);
    return status;
}
