/* wal/log_segment.h - log segments as files: making, recycling, hardening, listing. Used by writer.c and reader.c.
 *
 * A segment file is made ready before anything refers to it: space and zeros first, then the header, then file and
 * directory synced. A header that can be read therefore says: this file is complete. Names below the oldest needed
 * segment are rubbish or spares; files whose header cannot be read and that no seal names are half-made successors. */
#ifndef LUM_WAL_LOG_SEGMENT_H
#define LUM_WAL_LOG_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/catalogue.h"
#include "storage/file.h"
#include "wal/format.h"

/* A new file: filled with zeros to its full size (copy-on-write: only extended), header written, file and directory
 * synced. Failure leaves no file behind (best effort) and this thread's error as it was first seen. */
LUM_MUST_USE lum_status lum__log_segment_create(struct lum__fs *fs, const struct lum__wal_segment *segment,
                                                struct lum__file **out);
/* The same from an old segment's file: rename, sync directory, new header, sync. Its old batches stay behind the
 * header, under another number and salt. LUM_ERR_NOT_FOUND if the spare has gone. */
LUM_MUST_USE lum_status lum__log_segment_recycle(struct lum__fs *fs, uint64_t spare,
                                                 const struct lum__wal_segment *segment, struct lum__file **out);
/* Opens a segment (flags: enum lum__open_flags) and checks its header. store_id NULL: any store. */
LUM_MUST_USE lum_status lum__log_segment_open(struct lum__fs *fs, const uint8_t *store_id, uint64_t number,
                                              unsigned flags, struct lum__wal_segment *segment, struct lum__file **out);
/* After an unclean end: makes durable what a reader accepted up to position (README, step R3). */
LUM_MUST_USE lum_status lum__log_segment_harden(struct lum__fs *fs, const uint8_t store_id[16],
                                                const struct lum__log_position *position);
/* The numbers of the names "N.wal" in wal/, ascending; none if there is no wal/. Caller frees *out. */
LUM_MUST_USE lum_status lum__log_segment_numbers(struct lum__fs *fs, uint64_t **out, size_t *count);

#endif
