/* storage/segment.h - data segments: which extents of which file are free, and the open files.
 *
 * Producers reserve an extent for a sealed chunk (once per 262,144 rows, so a mutex costs nothing measurable), write
 * it, and either its transaction commits or the extent is given back. An extent is given back only after every write
 * into it was reaped. */
#ifndef LUM_STORAGE_SEGMENT_H
#define LUM_STORAGE_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/catalogue.h"
#include "storage/file.h"

struct lum__segments;

/* Builds the free map from the segments on disk (data/ is listed, headers are checked) and the catalogue's entries:
 * what no committed chunk uses is free (recovery rolled open transactions back). next_segment: number for the next new
 * file, unless a higher one is there. Only for writers. Damage that committed chunks are in: LUM_ERR_CORRUPT. A segment
 * without any and with a bad header is removed if it begins with zeros (a creation that a crash interrupted), else left
 * alone. A segment of another store: LUM_ERR_FOREIGN. */
LUM_MUST_USE lum_status lum__segments_open(struct lum__fs *fs, const uint8_t store_id[16], uint64_t epoch,
                                           uint64_t segment_bytes_max, const struct lum__catalogue_version *catalogue,
                                           uint64_t next_segment, struct lum__segments **out);
/* Reserves byte_count (multiple of 4,096) and returns the file, open for direct writing, shared. First fit among free
 * extents, else the tail of the newest segment (allocated ahead in steps), else a new segment (created, header written
 * and synced, directory synced). LUM_ERR_NO_SPACE leaves everything as it was. Any thread. */
LUM_MUST_USE lum_status lum__segments_reserve(struct lum__segments *segments, uint32_t byte_count, uint64_t *segment,
                                              uint64_t *offset, struct lum__file **file);
/* Gives an extent back; every write into it must have been reaped. Any thread. */
void lum__segments_release(struct lum__segments *segments, uint64_t segment, uint64_t offset, uint32_t byte_count);
/* fdatasync of one segment. A failure is final. A number that is not there any more (trimmed away) is fine. Any thread.
 */
LUM_MUST_USE lum_status lum__segments_sync(struct lum__segments *segments, uint64_t segment);
uint64_t lum__segments_next_number(struct lum__segments *segments);
/* Truncates tails and punches free extents, removes empty segments, syncs files and directory: what info's
 * bytes_on_disk counts. Reserved extents stay; any thread. */
LUM_MUST_USE lum_status lum__segments_trim(struct lum__segments *segments);
/* LUM_ERR_FOREIGN if a file has left its name (lum__file_check_current). Any thread. */
LUM_MUST_USE lum_status lum__segments_check_current(struct lum__segments *segments);
/* Closes all files. */
lum_status lum__segments_close(struct lum__segments *segments);

/* A cache of segment files open for reading; any thread. The file stays open until the cache is closed. */
struct lum__segment_files;
LUM_MUST_USE lum_status lum__segment_files_open(struct lum__fs *fs, const uint8_t store_id[16], bool direct,
                                                struct lum__segment_files **out);
LUM_MUST_USE lum_status lum__segment_files_get(struct lum__segment_files *files, uint64_t segment,
                                               struct lum__file **out);
void lum__segment_files_close(struct lum__segment_files *files);

#endif
