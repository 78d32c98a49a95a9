#include "cli/open_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cli/message.h"
#include "cli/on_full.h"

lum_options lum__open_options(const struct lum__arguments *arguments, enum lum__open_mode mode)
{
    lum_options options = LUM_OPTIONS_INIT;
    options.create = mode == LUM__OPEN_CREATE;
    options.read_only = mode == LUM__OPEN_READ;
    options.threads = (uint32_t)arguments->threads;
    options.chunk_lums = (uint32_t)arguments->chunk_lums;
    options.memory_bytes_max = arguments->memory_bytes;
    options.sync_mode = arguments->sync.mode;
    options.sync_interval_ms = arguments->sync.interval_ms;
    options.max_recovery_ms = (uint32_t)arguments->max_recovery_ms;
    return options;
}

/* On a full disk an opening leaves nothing half made and costs no recovery attempt, so it can be made again. */
static lum_status open_with_room(const char *path, const lum_options *options, lum_store **out)
{
    uint64_t needed = options->wal_segment_bytes ? options->wal_segment_bytes : 4 << 20;
    lum_status status = lum_open(path, options, out);
    bool has_waited = false, goes_on = options->on_full != NULL;
    for (uint32_t attempt = 1; status == LUM_ERR_NO_SPACE && goes_on && lum_last_error()->os_errno != EFBIG; attempt++) {
        lum_full_data full = {.file = lum_last_error()->file, .bytes_needed = needed, .os_errno = lum_last_error()->os_errno, .attempt = attempt};
        has_waited = true;
        goes_on = options->on_full(options->on_full_context, &full);
        if (goes_on) status = lum_open(path, options, out);
    }
    if (status == LUM_OK && has_waited) options->on_full(options->on_full_context, &(lum_full_data){.file = "", .is_over = true});
    return status;
}

int lum__open_store(const char *path, const lum_options *options, lum_store **out)
{
    lum_status status = open_with_room(path, options, out); /* waits a while for the last writes of a killed holder */
    if (status == LUM_ERR_NO_SPACE && lum__on_full_was_interrupted())
        return lum__message_refuse(LUM__EXIT_INTERRUPTED, "ERR_CANCELLED", NULL, NULL, "interrupted while waiting for room to open %s", path);
    if (status != LUM_OK) return lum__message_store(status, path);
    lum_info_data info = LUM_INFO_INIT;
    lum_recovery_data recovery = LUM_RECOVERY_INIT;
    lum_stats_data stats = LUM_STATS_INIT;
    if (lum_stats(*out, &stats) == LUM_OK && stats.others_may_write)
        lum__message_note("warning: others may write %s (its mode or its owner): who can, can destroy it", path);
    if (options->read_only) {
        if (lum_info(*out, &info) == LUM_OK && info.needs_recovery) {
            lum__message_note("%s needs recovery (it was not closed cleanly): reading what its log proves; "
                              "the next writer, or `lum recover %s`, repairs it",
                              path, path);
        }
    } else if (lum_recovery_info(*out, &recovery) == LUM_OK && recovery.crash_detected) {
        lum__message_note(
            "%s was not closed cleanly: recovered in %s, %s transactions committed, %s rolled back, %s of log cut",
            path, lum__human_seconds(recovery.recovery_time_ns), lum__human_count(recovery.transactions_committed),
            lum__human_count(recovery.transactions_rolled_back), lum__human_bytes(recovery.tail_bytes_cut));
    }
    return 0;
}

int lum__close_store(lum_store *store, const char *path, int exit_code)
{
    if (!store) return exit_code;
    lum_status status = lum_close(store);
    if (status == LUM_OK) return exit_code;
    if (status == LUM_ERR_NO_SPACE && lum__on_full_was_interrupted()) {
        static const char lasting[] = "the next command that writes recovers it, and nothing acknowledged is lost";
        if (exit_code == 0)
            return lum__message_refuse(LUM__EXIT_INTERRUPTED, "ERR_CANCELLED", NULL, lasting, "interrupted while waiting for room to close %s", path);
        lum__message_warn("%s has no room for a clean end: %s", path, lasting);
        return exit_code;
    }
    int close_code = lum__message_store(status, path);
    return exit_code ? exit_code : close_code;
}

/* ------------------------------------------------------------------------------------------------- directories */

static uint64_t bytes_below(int directory_fd)
{
    uint64_t bytes = 0;
    DIR *directory = fdopendir(directory_fd);
    if (!directory) {
        close(directory_fd);
        return 0;
    }
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        struct stat info;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (fstatat(dirfd(directory), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
        if (S_ISREG(info.st_mode)) bytes += (uint64_t)info.st_blocks * 512;
        if (!S_ISDIR(info.st_mode)) continue;
        int below = openat(dirfd(directory), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below >= 0) bytes += bytes_below(below);
    }
    closedir(directory);
    return bytes;
}

uint64_t lum__directory_bytes(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? 0 : bytes_below(fd);
}

uint64_t lum__free_bytes(const char *path)
{
    char parent[4096];
    if (snprintf(parent, sizeof parent, "%s", path) >= (int)sizeof parent) return UINT64_MAX;
    struct statvfs info;
    while (statvfs(parent, &info) != 0) {
        char *slash = strrchr(parent, '/');
        if (!slash && strcmp(parent, ".") == 0) return UINT64_MAX;
        if (!slash)
            strcpy(parent, ".");
        else
            slash[slash == parent] = 0; /* "/x" becomes "/" */
        if (slash == parent && statvfs(parent, &info) != 0) return UINT64_MAX;
    }
    return (uint64_t)info.f_bavail * info.f_frsize;
}

bool lum__is_absent_or_empty(const char *path)
{
    DIR *directory = opendir(path);
    if (!directory) return errno == ENOENT;
    bool is_empty = true;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        is_empty &= strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    }
    closedir(directory);
    return is_empty;
}

/* --------------------------------------------------------------------------------------------------- removing */

static bool begins_with(const char *name, const char *beginning)
{
    return strncmp(name, beginning, strlen(beginning)) == 0;
}

static bool ends_with(const char *name, const char *ending)
{
    size_t length = strlen(name), ending_length = strlen(ending);
    return length >= ending_length && strcmp(name + length - ending_length, ending) == 0;
}

/* Names of design's tree, and of their temporary forms. */
static bool is_store_file(const char *directory, const char *name)
{
    if (strcmp(directory, "wal") == 0) return ends_with(name, ".wal") || strstr(name, ".wal.");
    if (strcmp(directory, "data") == 0) return ends_with(name, ".seg") || strstr(name, ".seg.");
    return strcmp(name, "LOCK") == 0 || begins_with(name, "STATE") || begins_with(name, "checkpoint-");
}

static void remove_files(int directory_fd, const char *directory_name)
{
    int copy = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = copy >= 0 ? fdopendir(copy) : NULL;
    if (!directory) return;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (is_store_file(directory_name, entry->d_name)) unlinkat(directory_fd, entry->d_name, 0);
    }
    closedir(directory);
}

int lum__remove_store(const char *path)
{
    static const char *const folders[] = {"wal", "data", "emergency"};
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT ? 0 : lum__message_system(errno, path, "cannot remove %s", path);
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        int folder_fd = openat(fd, folders[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (folder_fd < 0) continue;
        if (strcmp(folders[i], "emergency") != 0) remove_files(folder_fd, folders[i]);
        close(folder_fd);
        unlinkat(fd, folders[i], AT_REMOVEDIR);
    }
    remove_files(fd, "");
    close(fd);
    if (rmdir(path) == 0) return 0;
    if (errno == ENOTEMPTY || errno == EEXIST) {
        lum__message_note("%s stays: it holds files that the stress run did not make", path);
        return 0;
    }
    if (errno == EBUSY || errno == EACCES || errno == EPERM || errno == EINVAL)
        return 0; /* a mount point, or ".": empty is enough */
    return lum__message_system(errno, path, "cannot remove %s", path);
}

uint64_t lum__memory_peak(void)
{
    /* Not getrusage(): its figure is inherited through exec, so a small child of a large parent would tell the
     * parent's. */
    FILE *file = fopen("/proc/self/status", "r");
    if (!file) return 0;
    char line[256];
    unsigned long long kilobytes = 0;
    while (fgets(line, sizeof line, file) && sscanf(line, "VmHWM: %llu", &kilobytes) != 1) {
    }
    fclose(file);
    return kilobytes * 1024;
}
