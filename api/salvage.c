/* Writing what is intact of a damaged store into a new one. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/backup.h"
#include "base/clock.h"
#include "base/parallel.h"
#include "base/status.h"
#include "lum/lum.h"
#include "recovery/salvage.h"

struct job {
    struct lum__salvage salvage;
    const lum_salvage_options *options;
    lum_salvage_report *report;
    uint32_t threads;
    uint64_t lums_total, lums_done;
    bool is_inexact;
};

static lum_status check_empty(const char *directory)
{
    DIR *listing = opendir(directory);
    bool is_empty = true;
    if (listing == NULL && errno == ENOENT) return LUM_OK;
    if (listing == NULL) return lum__fail_errno(errno, NULL, LUM_NO_OFFSET, "cannot open the directory %s", directory);
    for (struct dirent *entry; is_empty && (entry = readdir(listing)) != NULL;)
        is_empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    closedir(listing);
    if (is_empty) return LUM_OK;
    return lum__fail(LUM_ERR_EXISTS, "%s is not empty: what is saved needs an empty or a new directory", directory);
}

static void take_loss(void *context, const lum_loss *loss)
{
    struct job *job = context;
    if (!loss->are_lums_known) job->is_inexact = true;
    if (job->options->on_loss != NULL) job->options->on_loss(job->options->callback_context, loss);
}

static lum_status tell_losses(struct job *job)
{
    return lum__salvage_tell_losses(&job->salvage, take_loss, job, &job->report->lums_lost, &job->report->loss_count);
}

static bool on_progress(void *context, const lum_load_progress *progress)
{
    struct job *job = context;
    if (job->options->on_progress == NULL) return true;
    return job->options->on_progress(job->options->callback_context, job->lums_done + progress->rows_written, job->lums_total);
}

/* One transaction into the new store. *is_whole: nothing of it was lost on the way. */
static lum_status save_transaction(struct job *job, lum_store *store, const struct lum__salvage_transaction *transaction,
                                   const char *label, uint64_t *lums_saved, bool *is_whole)
{
    struct lum__salvage_source *opened = NULL;
    lum_source source;
    lum_load_options options = LUM_LOAD_OPTIONS_INIT;
    lum_load_report report = LUM_LOAD_REPORT_INIT;
    uint64_t losses_before = job->report->loss_count;
    options.label = label[0] != 0 ? label : NULL;
    /* The commits of one load had one label; here each is a load of its own, behind the one before. Where that would go on in its input is not saved. */
    lum_receipt newest = LUM_RECEIPT_INIT;
    if (options.label != NULL && lum_label_outcome(store, label, &newest) == LUM_OK) options.label_after = newest.transaction_id;
    options.mapping = transaction->mapping;
    options.source_names = transaction->source_names;
    options.on_progress = on_progress;
    options.callback_context = job;
    LUM_TRY(lum__salvage_source_open(&job->salvage, transaction, job->threads, &opened, &source));
    lum_status status = lum_load(store, &source, &options, &report);
    lum__salvage_source_close(opened);
    LUM_TRY(status);
    LUM_TRY(tell_losses(job));
    *lums_saved += report.rows_loaded;
    job->lums_done += report.rows_loaded;
    *is_whole = job->report->loss_count == losses_before &&
                (!transaction->is_count_known || report.rows_loaded == transaction->lum_count);
    return LUM_OK;
}

static lum_status save_committed(struct job *job, lum_store *store)
{
    for (size_t i = 0; i < job->salvage.transaction_count; i++) {
        const struct lum__salvage_transaction *transaction = &job->salvage.transactions[i];
        bool is_whole = false;
        LUM_TRY(save_transaction(job, store, transaction, transaction->label, &job->report->lums_saved, &is_whole));
        if (is_whole)
            job->report->transactions_whole++;
        else
            job->report->transactions_damaged++;
    }
    return LUM_OK;
}

/* Losses among orphans are no losses of the store: nobody knows that they ever counted. */
static lum_status save_orphans(struct job *job, lum_store *store)
{
    lum_salvage_report before = *job->report;
    lum_salvage_options silent = *job->options;
    const lum_salvage_options *told = job->options;
    bool is_inexact = job->is_inexact;
    lum_status status = LUM_OK;
    silent.on_loss = NULL;
    job->options = &silent;
    for (size_t i = 0; i < job->salvage.orphan_count && status == LUM_OK; i++) {
        const struct lum__salvage_transaction *orphan = &job->salvage.orphans[i];
        bool is_whole = false;
        char label[64];
        snprintf(label, sizeof label, "orphans-of-%llu", (unsigned long long)orphan->transaction_id);
        status = save_transaction(job, store, orphan, label, &before.orphan_lums, &is_whole);
        before.orphan_chunks += orphan->chunk_end - orphan->chunk_first;
    }
    *job->report = before;
    job->options = told;
    job->is_inexact = is_inexact;
    return status;
}

/* Nothing of it is needed before all of it is there: one sync at the end. */
static lum_status save_into(struct job *job, const char *destination, lum_status (*save)(struct job *, lum_store *))
{
    lum_options options = LUM_OPTIONS_INIT;
    lum_store *store = NULL;
    LUM_TRY(check_empty(destination));
    options.create = true;
    options.threads = job->threads;
    options.memory_bytes_max = job->options->memory_bytes_max;
    options.sync_mode = LUM_SYNC_NONE;
    lum_status status = lum_open(destination, &options, &store);
    bool is_ours = status == LUM_OK || status == LUM_ERR_NO_SPACE; /* else it may be a store that another process makes just now */
    if (status == LUM_OK) status = save(job, store);
    struct lum__error cause = *lum__error_last();
    lum_status closed = lum_close(store);
    if (status == LUM_OK) {
        status = closed;
        cause = *lum__error_last();
    }
    if (status != LUM_OK) {
        if (is_ours) lum__remove_copy(destination); /* half of it must not be taken for all */
        lum__error_restore(&cause);
    }
    return status;
}

static lum_status judge(const struct job *job)
{
    const lum_salvage_report *report = job->report;
    if (report->loss_count == 0 && report->transactions_damaged == 0) return LUM_OK;
    lum__fail(LUM_ERR_CORRUPT, "%llu rows were saved; %s%llu rows in %llu place%s are lost", (unsigned long long)report->lums_saved,
              report->is_lost_count_exact ? "" : "at least ", (unsigned long long)report->lums_lost,
              (unsigned long long)report->loss_count, report->loss_count == 1 ? "" : "s");
    lum__error_set_remedy("restore what is lost from a backup; keep the damaged store until that is done");
    return LUM_ERR_CORRUPT;
}

static lum_status run(struct job *job, const char *destination)
{
    lum_salvage_report *report = job->report;
    memcpy(report->store_id, job->salvage.store_id, sizeof report->store_id);
    report->checkpoint_number = job->salvage.checkpoint_number;
    report->is_scanned = job->salvage.is_scanned;
    for (size_t i = 0; i < job->salvage.transaction_count; i++) job->lums_total += job->salvage.transactions[i].lum_count;
    LUM_TRY(check_empty(destination));
    if (job->options->orphans != NULL) LUM_TRY(check_empty(job->options->orphans));
    LUM_TRY(tell_losses(job));
    LUM_TRY(save_into(job, destination, save_committed));
    if (job->options->orphans != NULL && job->salvage.orphan_count > 0)
        LUM_TRY(save_into(job, job->options->orphans, save_orphans));
    report->is_lost_count_exact = !job->is_inexact;
    return judge(job);
}

lum_status lum_salvage(const char *directory, const char *destination, const lum_salvage_options *options, lum_salvage_report *report)
{
    static const lum_salvage_options defaults = LUM_SALVAGE_OPTIONS_INIT;
    if (options == NULL) options = &defaults;
    if (directory == NULL || destination == NULL || report == NULL)
        return lum__fail(LUM_ERR_ARGUMENT, "lum_salvage needs two directories and a report");
    if (options->struct_version != 1 || report->struct_version != 1)
        return lum__fail(LUM_ERR_VERSION, "struct_version of options and report must be 1");
    *report = (lum_salvage_report)LUM_SALVAGE_REPORT_INIT;
    struct job job = {.options = options, .report = report, .threads = options->threads ? options->threads : lum__cpu_count()};
    struct lum__fs_os_options fs_options = {.read_only = true};
    struct lum__fs *fs = NULL;
    uint64_t start = lum__clock_monotonic_ns();
    if (lum__is_inside(directory, destination) || (options->orphans != NULL && lum__is_inside(directory, options->orphans)))
        return lum__fail(LUM_ERR_EXISTS, "the new store would lie in the damaged one");
    LUM_TRY(lum__fs_open_os(directory, &fs_options, &fs));
    lum_status status = lum__salvage_open(fs, options->orphans != NULL, &job.salvage);
    if (status == LUM_OK) {
        status = run(&job, destination);
        struct lum__error cause = *lum__error_last();
        lum__salvage_close(&job.salvage);
        if (status != LUM_OK) lum__error_restore(&cause);
    }
    lum__fs_close(fs);
    report->elapsed_ns = lum__clock_monotonic_ns() - start;
    return status;
}
