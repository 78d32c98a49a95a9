/* recovery/salvage_private.h - what the files of salvage share. */
#ifndef LUM_RECOVERY_SALVAGE_PRIVATE_H
#define LUM_RECOVERY_SALVAGE_PRIVATE_H

#include "recovery/salvage.h"

/* Every chunk in data/ whose header and directory are intact and of this place, into salvage->scanned, sorted by
 * transaction, ordinal, segment, offset. (salvage_scan.c) */
LUM_MUST_USE lum_status lum__salvage_scan(struct lum__salvage *salvage);

/* The entries of a checkpoint whose header is intact and whose body is not: each chunk entry that has a valid form,
 * each transaction entry that makes sense. (salvage_checkpoint.c) */
struct lum__checkpoint_remains {
    uint64_t covered_sequence;
    struct lum__salvage_transaction *transactions;
    size_t transaction_count;
    struct lum__chunk_entry *chunks;
    size_t chunk_count;
};
LUM_MUST_USE lum_status lum__salvage_checkpoint(struct lum__fs *fs, const uint8_t store_id[16], uint64_t number,
                                                struct lum__checkpoint_remains *out);
void lum__checkpoint_remains_fini(struct lum__checkpoint_remains *remains);

#endif
