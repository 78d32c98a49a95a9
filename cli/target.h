/* cli/target.h - where a command may not write: over the files it reads, and among the files of a store. */
#ifndef LUM_CLI_TARGET_H
#define LUM_CLI_TARGET_H

#include <stddef.h>

/* Refuses, and says so, a path that lies in the store or is one of the inputs under any name (links too). To be asked
 * before the path is opened. what: "reject file"; remedy: what the user is to do. Returns 0 or the exit code. */
int lum__target_check(const char *what, const char *path, const char *remedy, const char *store,
                      const char *const *inputs, size_t input_count);

/* Refuses, and says so, two outputs that would be one file. Devices and pipes may be shared. NULL: that one is not asked for. */
int lum__target_check_differ(const char *what, const char *path, const char *other_what, const char *other);

#endif
