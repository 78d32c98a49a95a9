/* cli/input_files.h - the FILE... of a command line: patterns that name no file themselves are expanded, sorted; every file is
 * looked at before anything is made, for a missing third file should not show after an hour. */
#ifndef LUM_CLI_INPUT_FILES_H
#define LUM_CLI_INPUT_FILES_H

#include <stddef.h>

struct lum__input_files {
    const char **paths;
    size_t count;
    char **owned; /* paths that patterns became */
    size_t owned_count;
};

/* Returns 0, or an exit code for what is wrong, which was said. Free it in any case. */
int lum__input_files_find(const char *const *words, size_t word_count, struct lum__input_files *out);
void lum__input_files_free(struct lum__input_files *files);

#endif
