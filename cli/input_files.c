#include "cli/input_files.h"

#include <errno.h>
#include <glob.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/message.h"

static int refuse_memory(void) { return lum__message_system(ENOMEM, NULL, "no memory for the names of the files"); }

static int add(struct lum__input_files *files, const char *path, bool is_pattern)
{
    const char **paths = realloc(files->paths, (files->count + 1) * sizeof *paths);
    if (!paths) return refuse_memory();
    files->paths = paths;
    if (is_pattern) {
        char **owned = realloc(files->owned, (files->owned_count + 1) * sizeof *owned);
        char *copy = strdup(path);
        if (owned) files->owned = owned;
        if (!owned || !copy) {
            free(copy);
            return refuse_memory();
        }
        path = files->owned[files->owned_count++] = copy;
    }
    files->paths[files->count++] = path;
    return 0;
}

static int add_matches(struct lum__input_files *files, const char *pattern)
{
    glob_t found = {0};
    int result = glob(pattern, GLOB_ERR, NULL, &found); /* sorted by bytes: the program keeps the C locale */
    int exit_code = 0;
    if (result == GLOB_NOMATCH)
        exit_code = lum__message_refuse(LUM__EXIT_NOT_FOUND, "ERR_NOT_FOUND", pattern, "ls shows what is there; * ? and [...] match as in a shell",
                                        "no file matches %s", pattern);
    else if (result == GLOB_NOSPACE)
        exit_code = refuse_memory();
    else if (result != 0)
        exit_code = lum__message_system(errno, pattern, "cannot look for files like %s", pattern);
    for (size_t i = 0; exit_code == 0 && i < found.gl_pathc; i++) exit_code = add(files, found.gl_pathv[i], true);
    globfree(&found);
    return exit_code;
}

static int check(const char *path)
{
    struct stat info;
    if (strcmp(path, "-") == 0) return 0;
    if (stat(path, &info) != 0) return lum__message_system(errno, path, "cannot read %s", path);
    if (S_ISDIR(info.st_mode)) {
        return lum__message_refuse(LUM__EXIT_INPUT, "ERR_INPUT", path, "name the files in it, or a pattern in quotes: 'DIR/*.csv'",
                                   "%s is a directory", path);
    }
    return access(path, R_OK) == 0 ? 0 : lum__message_system(errno, path, "cannot read %s", path);
}

int lum__input_files_find(const char *const *words, size_t word_count, struct lum__input_files *out)
{
    *out = (struct lum__input_files){0};
    bool has_stdin = false;
    int exit_code = 0;
    for (size_t i = 0; exit_code == 0 && i < word_count; i++) {
        struct stat info;
        bool is_stdin = strcmp(words[i], "-") == 0;
        if (is_stdin && has_stdin) return lum__message_usage(NULL, "- (standard input) can be read only once");
        has_stdin |= is_stdin;
        bool is_pattern = strpbrk(words[i], "*?[") != NULL && lstat(words[i], &info) != 0;
        exit_code = is_pattern ? add_matches(out, words[i]) : add(out, words[i], false);
    }
    for (size_t i = 0; exit_code == 0 && i < out->count; i++) exit_code = check(out->paths[i]);
    return exit_code;
}

void lum__input_files_free(struct lum__input_files *files)
{
    for (size_t i = 0; i < files->owned_count; i++) free(files->owned[i]);
    free(files->owned);
    free(files->paths);
}
