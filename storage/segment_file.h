/* storage/segment_file.h - one data segment file: its name, its header block. Shared by the allocator and the readers'
 * cache. */
#ifndef LUM_STORAGE_SEGMENT_FILE_H
#define LUM_STORAGE_SEGMENT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/file.h"

/* Opens data/N.seg and checks its header (format.md 1). *is_blank (may be NULL): after LUM_ERR_CORRUPT, the file is
 * shorter than a header block or begins with a block of zeros. Statuses: LUM_ERR_NOT_FOUND, _CORRUPT, _UNSUPPORTED,
 * _FOREIGN, I/O ones. */
LUM_MUST_USE lum_status lum__segment_file_open(struct lum__fs *fs, uint64_t number, const uint8_t store_id[16],
                                               unsigned open_flags, struct lum__file **out, bool *is_blank);
/* Writes the header block; not synced. */
LUM_MUST_USE lum_status lum__segment_file_put_header(struct lum__file *file, uint64_t number,
                                                     const uint8_t store_id[16], uint64_t epoch);
/* The numbers of the files in data/ that are named like segments, in no order. The caller frees *numbers. */
LUM_MUST_USE lum_status lum__segment_list(struct lum__fs *fs, uint64_t **numbers, size_t *count);

#endif
