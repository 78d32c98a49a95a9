/* cli/file_write.h - writing bytes to a file, all of them: short and interrupted writes are gone on with, and direct ones
 * that the file system refuses go through the page cache. Any thread. */
#ifndef LUM_CLI_FILE_WRITE_H
#define LUM_CLI_FILE_WRITE_H

#include <stddef.h>
#include <stdint.h>

enum { LUM__DIRECT_ALIGNMENT = 4096 }; /* of memory, bytes and offsets of a direct write: enough for any disk */

/* All bytes, at an offset or (UINT64_MAX) where the file stands. 0 or errno. */
int lum__write_all(int fd, const uint8_t *bytes, size_t byte_count, uint64_t offset);

/* The same file once more, for writes past the page cache (O_DIRECT): the caller's to close. -1: it has none. */
int lum__open_direct(int fd);
/* All bytes, aligned, past the page cache where direct_fd is not -1 and the file system can. 0 or errno. */
int lum__write_direct(int direct_fd, int fd, const uint8_t *bytes, size_t byte_count, uint64_t offset);

#endif
