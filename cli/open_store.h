/* cli/open_store.h - what all commands do with a store's directory: open it as the options say, measure it, remove it.
 */
#ifndef LUM_CLI_OPEN_STORE_H
#define LUM_CLI_OPEN_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/options.h"
#include "lum/lum.h"

enum lum__open_mode { LUM__OPEN_READ, LUM__OPEN_WRITE, LUM__OPEN_CREATE };

/* Options of the library as the command line gives them. */
lum_options lum__open_options(const struct lum__arguments *arguments, enum lum__open_mode mode);

/* Opens, waiting up to 5 s for a lock whose holder is dead already, and says when the store was recovered or needs
 * recovery. Returns 0 or the exit code of the failure, which was said. */
int lum__open_store(const char *path, const lum_options *options, lum_store **out);

/* Closes; a failure is said and changes an exit code of 0. */
int lum__close_store(lum_store *store, const char *path, int exit_code);

/* Allocated bytes of all files below path. */
uint64_t lum__directory_bytes(const char *path);

/* Bytes that this user may still write on path's file system, or that of its nearest parent that exists. UINT64_MAX:
 * not known. */
uint64_t lum__free_bytes(const char *path);

/* True if path does not exist, or is a directory with nothing in it. */
bool lum__is_absent_or_empty(const char *path);

/* Removes the files that a store is made of, and its directories. What else is in them stays, and is said. */
int lum__remove_store(const char *path);

/* Largest resident set of this process so far, in bytes; 0 if not known. */
uint64_t lum__memory_peak(void);

#endif
