/* recovery/parts.h - what apply.c, parts.c and store_create.c share, below recover.h. */
#ifndef LUM_RECOVERY_PARTS_H
#define LUM_RECOVERY_PARTS_H

#include "recovery/recover.h"

/* Steps C2-C4 of a checkpoint: sync the log, write checkpoint-N, log and sync its record. The data it names is synced
 * already. Nothing is removed. */
LUM_MUST_USE lum_status lum__parts_take_checkpoint(struct lum__parts *parts, const struct lum__open_transaction *open,
                                                   size_t open_count);
/* Options of a log writer for a store with these options (defaults filled in). */
void lum__parts_writer_options(struct lum__fs *fs, const lum_options *options, const struct lum__state *state,
                               uint64_t next_segment, struct lum__wal_writer_options *out);
uint64_t lum__parts_wal_segment_bytes(const lum_options *options);

#endif
