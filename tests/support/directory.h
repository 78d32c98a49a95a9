/* tests/support/directory.h - a scratch directory for a test's store, on a real file system. */
#ifndef LUM_TESTS_SUPPORT_DIRECTORY_H
#define LUM_TESTS_SUPPORT_DIRECTORY_H

#include <stddef.h>

/* Makes an empty directory below $TMPDIR (default: the current directory, which is the build tree) and writes its path; aborts if it cannot. */
void lum_test_directory_make(char *path, size_t path_bytes);
/* Removes it and everything in it. */
void lum_test_directory_remove(const char *path);

#endif
