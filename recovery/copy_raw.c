/* recovery/copy_raw.c - a store's files as they are, damage and all: before anything destructive is done, and for
 * whoever has to look into it elsewhere. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "recovery/copy_file.h"
#include "recovery/copy_store.h"
#include "recovery/state.h"
#include "storage/header.h"

enum { FOLDER_COUNT = 3 };

struct raw {
    struct lum__fs *from, *to;
    const struct lum__copy_options *options;
    lum_backup_report *report;
    const char *folder;
    bool only_measure;
    uint64_t bytes_total, bytes_done;
};

/* Names that a store is made of. What else lies there is no part of it, and emergency/ holds copies like this one. */
static bool is_ours(const char *folder, const char *name)
{
    uint64_t number;
    if (strlen(name) + strlen(folder) + 2 > LUM__PATH_BYTES_MAX) return false;
    if (strcmp(folder, "wal") == 0) return lum__name_number(name, "", ".wal", &number);
    if (strcmp(folder, "data") == 0) return lum__name_number(name, "", ".seg", &number);
    return lum__name_number(name, "checkpoint-", "", &number); /* STATE comes last, LOCK is the copy's own */
}

static lum_status measure(struct raw *raw, const char *path)
{
    struct lum__file *file = NULL;
    struct lum__file_info info;
    LUM_TRY(lum__fs_open_file(raw->from, path, LUM__OPEN_READ, &file));
    lum_status status = lum__file_info(file, &info);
    (void)lum__file_close(file);
    if (status == LUM_OK)
        raw->bytes_total += info.size_bytes < info.allocated_bytes ? info.size_bytes : info.allocated_bytes;
    return status;
}

static lum_status copy_one(struct raw *raw, const char *path)
{
    struct lum__copy_file_options options = {
        .limit_bytes = UINT64_MAX, .pass_over_unreadable = true, .read_back = true};
    struct lum__copy_file_counts counts = {0};
    LUM_TRY(lum__copy_file(raw->from, raw->to, path, &options, &counts));
    raw->report->file_count++;
    raw->report->bytes_copied += counts.bytes_copied;
    raw->report->bytes_shared += counts.bytes_shared;
    raw->report->bytes_unreadable += counts.bytes_unreadable;
    raw->bytes_done += counts.bytes_copied + counts.bytes_shared;
    if (raw->options->on_progress != NULL &&
        !raw->options->on_progress(raw->options->callback_context, raw->bytes_done, raw->bytes_total))
        return lum__fail(LUM_ERR_CANCELLED, "the copy was cancelled");
    return LUM_OK;
}

static lum_status take_name(void *context, const char *name)
{
    struct raw *raw = context;
    char path[LUM__PATH_BYTES_MAX];
    if (!is_ours(raw->folder, name)) return LUM_OK;
    snprintf(path, sizeof path, "%s%s%s", raw->folder, raw->folder[0] ? "/" : "", name);
    return raw->only_measure ? measure(raw, path) : copy_one(raw, path);
}

static lum_status for_all_names(struct raw *raw, bool only_measure)
{
    static const char *const folders[FOLDER_COUNT] = {"", "wal", "data"};
    raw->only_measure = only_measure;
    for (int i = 0; i < FOLDER_COUNT; i++) {
        raw->folder = folders[i];
        lum_status status = lum__fs_list(raw->from, folders[i], take_name, raw);
        if (status != LUM_ERR_NOT_FOUND) LUM_TRY(status);
        if (!only_measure) LUM_TRY(lum__fs_sync_dir(raw->to, folders[i]));
    }
    return LUM_OK;
}

/* STATE last of all, and whole under its name or not there: a copy that was cut off opens nowhere. */
static lum_status copy_state(struct raw *raw)
{
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    lum_status status = lum__fs_read_all(raw->from, "STATE", LUM__COPY_PART_BYTES, &bytes, &byte_count);
    if (status == LUM_ERR_NOT_FOUND) return LUM_OK; /* that is its damage */
    LUM_TRY(status);
    status = lum__fs_replace(raw->to, "STATE", bytes, byte_count);
    free(bytes);
    if (status == LUM_OK) {
        raw->report->file_count++;
        raw->report->bytes_copied += byte_count;
    }
    return status;
}

static lum_status refuse_writer(bool writer_alive)
{
    if (!writer_alive) return LUM_OK;
    return lum__fail(LUM_ERR_BUSY, "a writer has the store open: its files cannot be copied as they are (without --raw "
                                   "they can, as one snapshot)");
}

/* Nobody wrote meanwhile: no writer is there, and none was, for each replaces STATE before it writes. */
static lum_status check_unchanged(struct raw *raw, struct lum__file *lock_file, const uint8_t *state,
                                  size_t state_bytes)
{
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    bool writer_alive = false;
    if (lock_file != NULL) LUM_TRY(lum__file_lock_holder(lock_file, LUM__LOCK_BYTE_WRITER, &writer_alive));
    LUM_TRY(refuse_writer(writer_alive));
    lum_status status = lum__fs_read_all(raw->from, "STATE", LUM__COPY_PART_BYTES, &bytes, &byte_count);
    if (status == LUM_ERR_NOT_FOUND) status = LUM_OK;
    if (status == LUM_OK && (byte_count != state_bytes || (byte_count > 0 && memcmp(bytes, state, byte_count) != 0)))
        status = lum__fail(LUM_ERR_BUSY, "a writer opened the store while it was copied");
    free(bytes);
    return status;
}

static lum_status copy_files(struct raw *raw, struct lum__file *lock_file)
{
    uint8_t *state = NULL;
    size_t state_bytes = 0;
    lum_status status = lum__fs_read_all(raw->from, "STATE", LUM__COPY_PART_BYTES, &state, &state_bytes);
    if (status != LUM_ERR_NOT_FOUND) LUM_TRY_OUT(status);
    LUM_TRY_OUT(for_all_names(raw, false));
    if (!raw->options->has_lock) LUM_TRY_OUT(check_unchanged(raw, lock_file, state, state_bytes));
    LUM_TRY_OUT(copy_state(raw));
out:
    free(state);
    return status;
}

/* Blocks are shared where that is possible, and then need no room: tried with the first block of all. */
static lum_status check_room(struct raw *raw)
{
    struct lum__file *from = NULL, *to = NULL;
    bool is_shared = false;
    if (lum__fs_open_file(raw->from, "LOCK", LUM__OPEN_READ, &from) == LUM_OK) {
        lum_status status = lum__fs_open_file(raw->to, "STATE.tmp", LUM__OPEN_WRITE | LUM__OPEN_CREATE, &to);
        is_shared = status == LUM_OK && lum__file_clone(from, to);
        (void)lum__file_close(from);
        LUM_TRY(status);
        LUM_TRY(lum__file_close(to));
        LUM_TRY(lum__fs_unlink(raw->to, "STATE.tmp"));
    }
    return is_shared ? LUM_OK : lum__copy_check_room(raw->to, raw->bytes_total + LUM__COPY_PART_BYTES);
}

lum_status lum__copy_raw(struct lum__fs *from, struct lum__fs *to, const struct lum__copy_options *options,
                         lum_backup_report *report)
{
    struct raw raw = {.from = from, .to = to, .options = options, .report = report};
    struct lum__file *from_lock = NULL, *to_lock = NULL;
    bool writer_alive = false, is_begun = false;
    lum_status status = LUM_OK;
    report->is_raw = true;
    if (!options->has_lock) {
        LUM_TRY_OUT(lum__store_lock_shared(from, &from_lock, &writer_alive));
        LUM_TRY_OUT(refuse_writer(writer_alive));
    }
    LUM_TRY_OUT(for_all_names(&raw, true));
    if (raw.bytes_total == 0) {
        status = lum__fail(LUM_ERR_NOT_FOUND, "there is no lum store here");
        goto out;
    }
    status = lum__copy_begin(to, &to_lock);
    is_begun = to_lock != NULL; /* until then nothing there is ours to remove */
    LUM_TRY_OUT(status);
    LUM_TRY_OUT(check_room(&raw));
    status = copy_files(&raw, from_lock);
out:
    if (status != LUM_OK && is_begun) lum__copy_remove(to);
    struct lum__error cause = *lum__error_last();
    (void)lum__file_close(to_lock);
    (void)lum__file_close(from_lock);
    if (status != LUM_OK) lum__error_restore(&cause);
    return status;
}
