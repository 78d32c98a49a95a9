/* Copying a store, whole or as it lies. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/backup.h"
#include "base/clock.h"
#include "base/parallel.h"
#include "base/status.h"
#include "lum/lum.h"
#include "recovery/copy_store.h"

#define DEFAULT_MEMORY_BYTES ((uint64_t)64 << 20)

/* The directory itself, or of one that is not there yet, the directory it will be made in. The caller frees it. */
static char *nearest_real_path(const char *path)
{
    char parent[4096];
    char *real = realpath(path, NULL);
    if (real != NULL || snprintf(parent, sizeof parent, "%s", path) >= (int)sizeof parent) return real;
    size_t length = strlen(parent);
    while (length > 1 && parent[length - 1] == '/') parent[--length] = 0;
    char *slash = strrchr(parent, '/');
    if (slash == NULL) return realpath(".", NULL);
    slash[slash == parent] = 0; /* "/x" becomes "/" */
    return realpath(parent, NULL);
}

bool lum__is_inside(const char *outer, const char *inner)
{
    char *a = realpath(outer, NULL), *b = nearest_real_path(inner);
    size_t length = a != NULL ? strlen(a) : 0;
    bool inside = a != NULL && b != NULL && strncmp(a, b, length) == 0 && (b[length] == 0 || b[length] == '/');
    free(a);
    free(b);
    return inside;
}

/* Only what is empty goes: these are rmdir's. Nothing beside a LOCK: lum__copy_remove() takes our own away, so that one is another's. */
static void remove_folders(const char *destination, bool is_new)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/LOCK", destination) >= (int)sizeof path || access(path, F_OK) == 0) return;
    static const char *const folders[] = {"wal", "data"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        if (snprintf(path, sizeof path, "%s/%s", destination, folders[i]) < (int)sizeof path) (void)rmdir(path);
    }
    if (is_new) (void)rmdir(destination);
}

void lum__remove_copy(const char *destination)
{
    struct lum__fs_os_options options = {.create = false};
    struct lum__fs *fs = NULL;
    if (lum__fs_open_os(destination, &options, &fs) != LUM_OK) return;
    lum__copy_remove(fs);
    lum__fs_close(fs);
    remove_folders(destination, true);
}

lum_status lum__backup_into(struct lum__fs *from, const char *destination, bool raw, const struct lum__copy_options *options,
                            lum_backup_report *report)
{
    struct stat info;
    struct lum__fs_os_options to_options = {.create = true};
    struct lum__fs *to = NULL;
    uint64_t start = lum__clock_monotonic_ns();
    bool is_new = stat(destination, &info) != 0;
    LUM_TRY(lum__fs_open_os(destination, &to_options, &to));
    lum_status status = raw ? lum__copy_raw(from, to, options, report) : lum__copy_snapshot(from, to, options, report);
    lum__fs_close(to);
    if (status != LUM_OK && (is_new || status != LUM_ERR_EXISTS)) {
        struct lum__error cause = *lum__error_last();
        remove_folders(destination, is_new);
        lum__error_restore(&cause);
    }
    report->elapsed_ns = lum__clock_monotonic_ns() - start;
    return status;
}

lum_status lum_backup(const char *directory, const char *destination, const lum_backup_options *options, lum_backup_report *report)
{
    static const lum_backup_options defaults = LUM_BACKUP_OPTIONS_INIT;
    if (options == NULL) options = &defaults;
    if (directory == NULL || destination == NULL || report == NULL)
        return lum__fail(LUM_ERR_ARGUMENT, "lum_backup needs two directories and a report");
    if (options->struct_version != 1 || report->struct_version != 1)
        return lum__fail(LUM_ERR_VERSION, "struct_version of options and report must be 1");
    *report = (lum_backup_report)LUM_BACKUP_REPORT_INIT;
    struct lum__fs_os_options from_options = {.read_only = true};
    struct lum__fs *from = NULL;
    LUM_TRY(lum__fs_open_os(directory, &from_options, &from));
    struct lum__copy_options copy = {.workers = options->threads ? options->threads : lum__cpu_count(),
                                     .memory_bytes_max = options->memory_bytes_max ? options->memory_bytes_max : DEFAULT_MEMORY_BYTES,
                                     .on_progress = options->on_progress,
                                     .callback_context = options->callback_context};
    lum_status status = lum__is_inside(directory, destination)
                            ? lum__fail(LUM_ERR_EXISTS, "the destination lies in the store that is copied")
                            : lum__backup_into(from, destination, options->raw, &copy, report);
    lum__fs_close(from);
    return status;
}
