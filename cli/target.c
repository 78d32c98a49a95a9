#include "cli/target.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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
    for (size_t i = 0; i < input_count; i++) {
        if (!is_same_file(inputs[i], &info)) continue;
        return lum__message_refuse(LUM__EXIT_USAGE, "ERR_USAGE", path, remedy, "the %s %s is an input of this load",
                                   what, path);
    }
    return 0;
}
