/* api/latest.h - which rows of a snapshot are the newest versions of their ids: two passes, within a memory limit.
 *
 *   ids --scan--> (id, position, tombstone) by hash of id --a table for each part--> positions that survive --> one bit
 * a row
 *
 * What does not fit the limit is spilled (storage/spill.h). */
#ifndef LUM_API_LATEST_H
#define LUM_API_LATEST_H

#include "lum/lum.h"
#include "storage/chunk_scan.h"

struct lum__latest;

struct lum__latest_options {
    uint64_t id_min, id_max; /* other ids are left out */
    uint32_t threads;
    uint64_t memory_bytes_max; /* seven eighths are used while it is found, an eighth afterwards */
    const char *directory;     /* of temporary files; NULL: $TMPDIR, else /var/tmp */
    const uint8_t *store_id;
};

/* Reads the ids of all chunks. Damage is a failure: what is in a damaged page may supersede anything. The chunks are
 * those of a version that the caller has pinned. Blocks for the reading. */
LUM_MUST_USE lum_status lum__latest_find(struct lum__fs *fs, struct lum__segment_files *files,
                                         const struct lum__chunk_entry *chunks, size_t chunk_count,
                                         const struct lum__latest_options *options, struct lum__latest **out);
/* Bit i of the words: row position + i survives. count: a page's rows at most; words: room for LUM__PAGE_ROWS_MAX / 64.
 * Bits from count on are undefined. Any thread. */
LUM_MUST_USE lum_status lum__latest_bits(const struct lum__latest *latest, uint64_t position, size_t count,
                                         uint64_t *words);
bool lum__latest_was_spilled(const struct lum__latest *latest);
void lum__latest_free(struct lum__latest *latest); /* NULL is fine */

#endif
