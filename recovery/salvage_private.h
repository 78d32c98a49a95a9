/* recovery/salvage_private.h - what the files of salvage share. */
#ifndef LUM_RECOVERY_SALVAGE_PRIVATE_H
#define LUM_RECOVERY_SALVAGE_PRIVATE_H

#include "recovery/log_gather.h"
#include "recovery/salvage.h"
#include "recovery/state.h"

/* Every chunk in data/ whose header and directory are intact and of this place, into salvage->scanned, sorted by
 * transaction, ordinal, segment, offset. (salvage_scan.c) */
LUM_MUST_USE lum_status lum__salvage_scan(struct lum__salvage *salvage);

/* The entries of a checkpoint whose header is intact and whose body is not: each chunk entry that has a valid form,
 * each transaction entry that makes sense. (salvage_checkpoint.c) */
struct lum__checkpoint_remains {
    uint64_t covered_sequence;
    bool says_all; /* no transaction entry is missing: what they do not name was not committed */
    struct lum__salvage_transaction *transactions;
    size_t transaction_count;
    struct lum__chunk_entry *chunks;
    size_t chunk_count;
};
LUM_MUST_USE lum_status lum__salvage_checkpoint(struct lum__fs *fs, const uint8_t store_id[16], uint64_t number,
                                                struct lum__checkpoint_remains *out);
void lum__checkpoint_remains_fini(struct lum__checkpoint_remains *remains);

/* What finding works with. */
enum { LUM__SALVAGE_CHECKPOINTS_MAX = 64 };
struct lum__salvage_find {
    struct lum__salvage *salvage;
    bool want_orphans;
    struct lum__state state;
    bool has_state;
    uint64_t numbers[LUM__SALVAGE_CHECKPOINTS_MAX]; /* of checkpoint files, newest first */
    size_t number_count;
    struct lum__chunk_entry *named; /* chunks that the log, or a damaged checkpoint, names for transactions of either */
    size_t named_count, named_capacity;
    struct lum__log_gap *gaps;
    size_t gap_count, gap_capacity;
    size_t base_count;        /* transactions of the intact checkpoint: their chunks are in salvage->chunks already */
    uint64_t remains_covered; /* by damaged checkpoints of which every transaction entry is legible */
    uint64_t last_successor;  /* that the last record names, if it is a seal; else 0 */
};

/* A transaction's chunks: by ordinal, of two with one ordinal the one that lies where it says (a recovery may have
 * moved a chunk, and the log names its old place). (salvage_repeat.c, like what follows) */
struct lum__salvage_walk {
    uint64_t transaction_id;
    uint64_t rows_left; /* of the transaction; UINT64_MAX: not known */
    size_t named, scanned; /* behind the last one */
};
void lum__salvage_walk_begin(const struct lum__salvage_find *find, const struct lum__salvage_transaction *transaction,
                             struct lum__salvage_walk *out);
const struct lum__chunk_entry *lum__salvage_walk_next(const struct lum__salvage_find *find, struct lum__salvage_walk *walk);
uint64_t lum__salvage_count_named(const struct lum__salvage_find *find, uint64_t transaction_id);
/* The rows that the log has of a small transaction; NULL: none. salvage->rows is sorted. */
const struct lum__salvage_rows *lum__salvage_find_rows(const struct lum__salvage *salvage, uint64_t transaction_id);
/* Chunk entries of a damaged checkpoint whose transaction entry is illegible become transactions. */
LUM_MUST_USE lum_status lum__salvage_add_nameless(struct lum__salvage_find *find);
/* Sorts the transactions behind the intact checkpoint's; of what was found twice one goes. named, scanned and rows are sorted. */
LUM_MUST_USE lum_status lum__salvage_remove_repeated(struct lum__salvage_find *find);
LUM_MUST_USE lum_status lum__salvage_add_transaction(struct lum__salvage *salvage,
                                                     const struct lum__salvage_transaction *transaction,
                                                     const char *label, const struct lum__metadata *metadata);
void lum__salvage_free_texts(struct lum__salvage_transaction *transaction);

#endif
