#include "cli/target.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/message.h"

/* The path with its folder resolved, so that two names of one place compare equal; "" if there is no such folder. The
 * last name need not exist. */
static void resolve(const char *path, char out[PATH_MAX])
{
    char copy[PATH_MAX];
    out[0] = 0;
    if (realpath(path, out)) return;
    out[0] = 0;
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    if (length >= sizeof copy) return;
    memcpy(copy, path, length);
    copy[length] = 0;
    char folder[PATH_MAX], *slash = strrchr(copy, '/');
    const char *name = slash ? slash + 1 : copy;
    if (slash) *slash = 0;
    if (!realpath(!slash ? "." : slash == copy ? "/" : copy, folder)) return;
    if (snprintf(out, PATH_MAX, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, name) >= PATH_MAX) out[0] = 0;
}

static bool is_same_file(const char *path, const struct stat *info)
{
    struct stat other;
    return strcmp(path, "-") != 0 && stat(path, &other) == 0 && other.st_dev == info->st_dev &&
           other.st_ino == info->st_ino;
}

/* The name in the store of the file that `info` is, with `inner` its folder: a hard link lies elsewhere, and is the same file. */
static bool find_in_folder(int folder_fd, const char *inner, const struct stat *info, char *out, size_t out_bytes)
{
    int fd = openat(folder_fd, inner, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    bool is_found = false;
    if (!folder) {
        if (fd >= 0) close(fd);
        return false;
    }
    for (struct dirent *entry; !is_found && (entry = readdir(folder)) != NULL;) {
        struct stat other;
        if (fstatat(dirfd(folder), entry->d_name, &other, AT_SYMLINK_NOFOLLOW) != 0) continue;
        is_found = S_ISREG(other.st_mode) && other.st_dev == info->st_dev && other.st_ino == info->st_ino;
        if (is_found) snprintf(out, out_bytes, "%s%s%s", strcmp(inner, ".") == 0 ? "" : inner, strcmp(inner, ".") == 0 ? "" : "/", entry->d_name);
    }
    closedir(folder);
    return is_found;
}

static bool is_linked_from_store(const char *store, const struct stat *info, char *out, size_t out_bytes)
{
    static const char *const folders[] = {".", "wal", "data"};
    bool is_found = false;
    if (!S_ISREG(info->st_mode) || info->st_nlink < 2) return false;
    int fd = open(store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; fd >= 0 && !is_found && i < sizeof folders / sizeof folders[0]; i++)
        is_found = find_in_folder(fd, folders[i], info, out, out_bytes);
    if (fd >= 0) close(fd);
    return is_found;
}

int lum__target_check(const char *what, const char *path, const char *remedy, const char *store,
                      const char *const *inputs, size_t input_count)
{
    char resolved[PATH_MAX], resolved_store[PATH_MAX];
    struct stat info;
    resolve(path, resolved);
    resolve(store, resolved_store);
    size_t length = strlen(resolved_store);
    if (length > 0 && strncmp(resolved, resolved_store, length) == 0 &&
        (resolved[length] == '/' || !resolved[length])) {
        return lum__message_refuse(LUM__EXIT_USAGE, "ERR_USAGE", path, remedy, "the %s %s would lie in the store", what,
                                   path);
    }
    if (stat(path, &info) != 0) return 0;
    char linked[300];
    if (is_linked_from_store(store, &info, linked, sizeof linked)) {
        return lum__message_refuse(LUM__EXIT_USAGE, "ERR_USAGE", path, remedy, "the %s %s is a link to the store's file %s", what,
                                   path, linked);
    }
    for (size_t i = 0; i < input_count; i++) {
        if (!is_same_file(inputs[i], &info)) continue;
        return lum__message_refuse(LUM__EXIT_USAGE, "ERR_USAGE", path, remedy, "the %s %s is an input of this load",
                                   what, path);
    }
    return 0;
}

int lum__target_check_differ(const char *what, const char *path, const char *other_what, const char *other)
{
    char resolved[PATH_MAX], resolved_other[PATH_MAX];
    struct stat info;
    if (!path || !other) return 0;
    bool is_there = stat(path, &info) == 0;
    if (is_there && !S_ISREG(info.st_mode)) return 0;
    resolve(path, resolved);
    resolve(other, resolved_other);
    if (!(is_there && is_same_file(other, &info)) && (!resolved[0] || strcmp(resolved, resolved_other) != 0)) return 0;
    return lum__message_refuse(LUM__EXIT_USAGE, "ERR_USAGE", path, "name another file for one of them",
                               "the %s %s would be the %s too", what, path, other_what);
}
