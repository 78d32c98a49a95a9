/* Verifying and recovering. */
#include <string.h>

#include "api/store.h"
#include "base/parallel.h"
#include "base/status.h"
#include "recovery/verify.h"

lum_status lum_verify(const char *directory, uint32_t threads, void (*on_finding)(void *context, const lum_finding *finding), void *context,
                      lum_verify_report *report)
{
    if (directory == NULL || report == NULL || report->struct_version != 1) {
        return lum__fail(LUM_ERR_ARGUMENT, "lum_verify needs a directory and a report with struct_version 1");
    }
    *report = (lum_verify_report)LUM_VERIFY_REPORT_INIT;
    struct lum__fs_os_options fs_options = {.read_only = true};
    struct lum__fs *fs = NULL;
    LUM_TRY(lum__fs_open_os(directory, &fs_options, &fs));
    lum_status status = lum__verify(fs, threads > 0 ? threads : lum__cpu_count(), on_finding, context, report);
    lum__fs_close(fs);
    return status;
}

lum_status lum_recovery_info(lum_store *store, lum_recovery_data *out)
{
    LUM_TRY(lum__store_check(store));
    if (out == NULL || out->struct_version != 1) return lum__fail(LUM_ERR_VERSION, "lum_recovery_data.struct_version must be 1");
    *out = store->is_writer ? store->parts.report : store->plan.report;
    out->struct_version = 1;
    return LUM_OK;
}

/* Somebody asks for it by name: a store that gave up is judged anew. */
static lum_status retry_failed(const char *directory)
{
    struct lum__fs_os_options fs_options = {.create = false};
    struct lum__fs *fs = NULL;
    struct lum__file *lock_file = NULL;
    lum_status status = LUM_OK;
    LUM_TRY(lum__fs_open_os(directory, &fs_options, &fs));
    LUM_TRY_OUT(lum__store_lock(fs, &lock_file));
    LUM_TRY_OUT(lum__parts_retry(fs));
out:
    if (lock_file != NULL) {
        lum_status closed = lum__file_close(lock_file);
        if (status == LUM_OK) status = closed;
    }
    lum__fs_close(fs);
    return status;
}

lum_status lum_recover(const char *directory, const lum_options *options, bool dry_run, lum_recovery_data *out)
{
    if (out == NULL || out->struct_version != 1) return lum__fail(LUM_ERR_VERSION, "lum_recovery_data.struct_version must be 1");
    *out = (lum_recovery_data)LUM_RECOVERY_INIT;
    static const lum_options defaults = LUM_OPTIONS_INIT;
    lum_options mine = options != NULL ? *options : defaults;
    mine.create = false;
    mine.read_only = dry_run;
    mine.no_recovery = false;
    lum_store *store = NULL;
    lum_status status = dry_run ? LUM_OK : retry_failed(directory);
    if (status == LUM_OK) status = lum_open(directory, &mine, &store);
    if (status != LUM_OK) {
        /* what a plan can still tell of a store that no writer gets into */
        struct lum__error error = *lum__error_last();
        mine.read_only = true;
        if (lum_open(directory, &mine, &store) == LUM_OK) {
            lum_status told = lum_recovery_info(store, out);
            (void)told;
            lum_close(store);
        }
        lum__error_restore(&error);
        return status;
    }
    status = lum_recovery_info(store, out);
    bool writer_alive = store->plan.writer_alive; /* who comes without dry_run is told so by lum_open() */
    lum_status closed = lum_close(store);
    if (status == LUM_OK && writer_alive)
        return lum__fail(LUM_ERR_BUSY, "another process has the store open for writing");
    return status != LUM_OK ? status : closed;
}

lum_status lum_recovery_history(const char *directory, lum_status (*each)(void *context, const lum_recovery_entry *entry), void *context)
{
    static const char *const choices[] = {"", "retry", "keep", "drop"};
    struct lum__fs_os_options fs_options = {.read_only = true};
    struct lum__fs *fs = NULL;
    struct lum__state state;
    if (directory == NULL || each == NULL) return lum__fail(LUM_ERR_ARGUMENT, "lum_recovery_history needs a directory and a callback");
    LUM_TRY(lum__fs_open_os(directory, &fs_options, &fs));
    lum_status status = lum__state_read(fs, &state);
    for (uint32_t i = 0; status == LUM_OK && i < state.history_count; i++) {
        const struct lum__recovery_note *note = &state.history[i];
        lum_recovery_entry entry = {.recovery_timestamp = note->recovery_timestamp,
                                    .crash_timestamp = note->crash_timestamp,
                                    .recovery_time_ns = note->duration_ns,
                                    .last_sequence = note->last_sequence,
                                    .transactions_committed = note->transactions_committed,
                                    .transactions_rolled_back = note->transactions_rolled_back,
                                    .tail_bytes_cut = note->tail_bytes_cut,
                                    .attempts = note->attempts,
                                    .verdict = note->row,
                                    .choice = note->choice < 4 ? choices[note->choice] : "",
                                    .succeeded = note->outcome == LUM__RECOVERY_SUCCEEDED};
        status = each(context, &entry);
    }
    lum__fs_close(fs);
    return status;
}
