#include "support/directory.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

void lum_test_directory_make(char *path, size_t path_bytes)
{
    const char *parent = getenv("TMPDIR");
    snprintf(path, path_bytes, "%s/lum-test-XXXXXX", parent != NULL ? parent : ".");
    if (mkdtemp(path) != NULL) return;
    perror(path);
    abort();
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

void lum_test_directory_remove(const char *path)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0) perror(path);
}
