/* recovery/copy_file.h - copies one file of a store into another directory, byte for byte. */
#ifndef LUM_RECOVERY_COPY_FILE_H
#define LUM_RECOVERY_COPY_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/file.h"

enum { LUM__COPY_PART_BYTES = 1 << 20 };

struct lum__copy_file_options {
    uint64_t limit_bytes;      /* what lies behind is left out, and reads as zeros up to the size; UINT64_MAX: all */
    bool no_clone;             /* share no blocks, move bytes */
    bool pass_over_unreadable; /* blocks that cannot be read become zeros and are counted; else they are a failure */
    bool read_back;            /* read the copy again, past the page cache where possible, and compare */
};

struct lum__copy_file_counts {
    uint64_t bytes_copied, bytes_shared, bytes_unreadable;
};

/* Makes `path` in `to` (which must not be there) and syncs it, not its folder. Zeros are left as holes. Adds to
 * *counts. LUM_ERR_NOT_FOUND: it is not in `from`. LUM_ERR_IO: what was read back is not what was written. */
LUM_MUST_USE lum_status lum__copy_file(struct lum__fs *from, struct lum__fs *to, const char *path,
                                       const struct lum__copy_file_options *options,
                                       struct lum__copy_file_counts *counts);

/* Reads bytes; where they cannot be read as a whole, block by block, so that a bad sector costs itself alone. What
 * cannot be read, and what lies behind the end of the file, are zeros. */
LUM_MUST_USE lum_status lum__read_around(struct lum__file *file, uint8_t *buffer, size_t byte_count, uint64_t offset,
                                         uint64_t *bytes_unreadable);

#endif
