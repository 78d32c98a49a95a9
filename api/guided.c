/* Recovery that asks: findings, choices, an emergency backup, and then what was chosen. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "api/backup.h"
#include "api/store.h"
#include "base/clock.h"
#include "base/status.h"
#include "recovery/findings.h"

#define BACKUP_MEMORY_BYTES ((uint64_t)64 << 20)

struct guided {
    const char *directory;
    const lum_options *options; /* resolved */
    const lum_guide *guide;
    lum_guide_report *report;
    struct lum__fs *fs;
    struct lum__file *lock_file;
    struct lum__examination examination;
};

/* ------------------------------------------------------------------------------------------------------------- choosing */

static lum_status nothing_helps(void)
{
    lum__fail(LUM_ERR_CORRUPT, "nothing that recovery could do makes this store usable again");
    lum__error_set_remedy("lum salvage STORE NEW writes what is intact into a new store");
    return LUM_ERR_CORRUPT;
}

static lum_status choose(struct guided *guided, const struct lum__way **out)
{
    const struct lum__examination *examination = &guided->examination;
    lum_recovery_finding findings[LUM__FINDINGS_MAX];
    lum_recovery_choice choices[LUM__WAYS_MAX];
    lum_recovery_view view = {.findings = findings,
                              .finding_count = examination->finding_count,
                              .choices = choices,
                              .choice_count = examination->way_count};
    *out = NULL;
    for (size_t i = 0; i < view.finding_count; i++) findings[i] = examination->findings[i].face;
    for (size_t i = 0; i < view.choice_count; i++) choices[i] = examination->ways[i].face;
    LUM_TRY(lum__store_bytes_on_disk(guided->fs, &view.backup_bytes));
    int index = guided->guide->choose != NULL ? guided->guide->choose(guided->guide->context, &view) : -1;
    if (view.choice_count == 0) return nothing_helps();
    if (index < 0 || (size_t)index >= view.choice_count)
        return lum__fail(LUM_ERR_NEEDS_PERSON, "nothing was chosen: the store is as it was");
    *out = &examination->ways[index];
    snprintf(guided->report->choice, sizeof guided->report->choice, "%s", (*out)->face.name);
    return LUM_OK;
}

/* ----------------------------------------------------------------------------------------------------- the original bytes */

/* STORE/emergency/20260131T120000Z, with a number behind it where that is taken. */
static lum_status name_backup(struct guided *guided, char *out, size_t bytes_max)
{
    time_t now = (time_t)(lum__clock_wall_ns() / 1000000000u);
    struct tm parts;
    struct stat info;
    char stamp[32];
    lum_status status = lum__fs_mkdir(guided->fs, "emergency");
    if (status == LUM_OK) status = lum__fs_sync_dir(guided->fs, "");
    if (status != LUM_ERR_EXISTS) LUM_TRY(status);
    gmtime_r(&now, &parts);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &parts);
    for (int i = 1; i < 1000; i++) {
        int length = snprintf(out, bytes_max, "%s/emergency/%s%s", guided->directory, stamp, "");
        if (i > 1) length = snprintf(out, bytes_max, "%s/emergency/%s-%d", guided->directory, stamp, i);
        if (length >= (int)bytes_max) return lum__fail(LUM_ERR_ARGUMENT, "the path of the emergency backup is too long");
        if (stat(out, &info) != 0) return LUM_OK;
    }
    return lum__fail(LUM_ERR_EXISTS, "there are too many emergency backups of this second");
}

static lum_status back_up(struct guided *guided)
{
    lum_guide_report *report = guided->report;
    lum_backup_report copied = LUM_BACKUP_REPORT_INIT;
    struct lum__copy_options options = {
        .workers = guided->options->threads, .memory_bytes_max = BACKUP_MEMORY_BYTES, .has_lock = true};
    if (guided->guide->backup_directory != NULL) {
        if (lum__is_inside(guided->directory, guided->guide->backup_directory))
            return lum__fail(LUM_ERR_EXISTS, "the emergency backup would lie among the files of the store");
        snprintf(report->backup_path, sizeof report->backup_path, "%s", guided->guide->backup_directory);
    } else {
        LUM_TRY(name_backup(guided, report->backup_path, sizeof report->backup_path));
    }
    lum_status status = lum__backup_into(guided->fs, report->backup_path, true, &options, &copied);
    if (status != LUM_OK) {
        report->backup_path[0] = 0;
        if (status == LUM_ERR_NO_SPACE)
            lum__error_set_remedy("free space, or name a place for the emergency backup with --backup-dir");
        return status;
    }
    report->backup_bytes = copied.bytes_copied + copied.bytes_shared;
    return LUM_OK;
}

/* ------------------------------------------------------------------------------------------------------------ carrying out */

static lum_status open_and_close(struct lum__fs *fs, struct lum__file *lock_file, const lum_options *options,
                                 enum lum__choice choice, lum_recovery_data *out)
{
    struct lum__parts parts;
    lum_status status =
        lum__parts_open_chosen(fs, options, choice, options->threads, options->memory_bytes_max, &parts);
    *out = parts.report;
    LUM_TRY(status);
    return lum__parts_close_clean(&parts, lock_file);
}

lum_status lum__guided_carry_out(struct lum__fs *fs, struct lum__file *lock_file, const lum_options *options,
                                 struct lum__state *state, enum lum__choice choice, lum_recovery_data *out)
{
    LUM_TRY(lum__state_check_writable(state));
    LUM_TRY(lum__state_write(fs, state)); /* G5 */
    return open_and_close(fs, lock_file, options, choice, out);
}

static lum_status run(struct guided *guided)
{
    struct lum__plan_options plan_options = {.workers = guided->options->threads,
                                             .memory_bytes_max = guided->options->memory_bytes_max};
    const struct lum__way *way = NULL;
    lum_recovery_data *recovery = &guided->report->recovery;
    LUM_TRY(lum__examine(guided->fs, &plan_options, &guided->examination));
    if (guided->examination.needs_choice) LUM_TRY(choose(guided, &way));
    if (guided->guide->dry_run) return LUM_OK;
    if (way == NULL)
        return open_and_close(guided->fs, guided->lock_file, guided->options, LUM__CHOICE_NONE, recovery);
    LUM_TRY(back_up(guided)); /* no copy, no choice */
    return lum__guided_carry_out(guided->fs, guided->lock_file, guided->options, &guided->examination.state,
                                 way->choice, recovery);
}

static lum_status take_lock(struct guided *guided)
{
    bool writer_alive = false;
    if (!guided->guide->dry_run) return lum__store_lock(guided->fs, &guided->lock_file);
    LUM_TRY(lum__store_lock_shared(guided->fs, &guided->lock_file, &writer_alive));
    return writer_alive ? lum__fail(LUM_ERR_BUSY, "another process has the store open for writing") : LUM_OK;
}

lum_status lum_recover_guided(const char *directory, const lum_options *options, const lum_guide *guide, lum_guide_report *report)
{
    lum_options resolved;
    if (directory == NULL || guide == NULL || report == NULL)
        return lum__fail(LUM_ERR_ARGUMENT, "lum_recover_guided needs a directory, a guide and a report");
    if (guide->struct_version != 1 || report->struct_version != 1)
        return lum__fail(LUM_ERR_VERSION, "struct_version of guide and report must be 1");
    *report = (lum_guide_report)LUM_GUIDE_REPORT_INIT;
    report->recovery = (lum_recovery_data)LUM_RECOVERY_INIT;
    LUM_TRY(lum__options_resolve(options, &resolved));
    resolved.no_recovery = false;
    struct guided guided = {.directory = directory, .options = &resolved, .guide = guide, .report = report};
    struct lum__fs_os_options fs_options = {.read_only = guide->dry_run};
    LUM_TRY(lum__fs_open_os(directory, &fs_options, &guided.fs));
    lum_status status = take_lock(&guided);
    if (status == LUM_OK) status = run(&guided);
    struct lum__error cause = *lum__error_last();
    (void)lum__file_close(guided.lock_file);
    lum__fs_close(guided.fs);
    if (status != LUM_OK) lum__error_restore(&cause);
    return status;
}
