/* tests/support/tiny_store.h - a store driven by one thread, straight on the recovery floor: write chunk, sync, log,
 * sync, publish. What the real sequencer does with many threads, small enough to be stopped at every step. */
#ifndef LUM_TESTS_TINY_STORE_H
#define LUM_TESTS_TINY_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "recovery/recover.h"
#include "recovery/state.h"

enum { TINY_DIRTY_MAX = 64, TINY_OPEN_MAX = 8, TINY_CHUNKS_MAX = 4 };

struct tiny {
    struct lum__fs *fs;
    struct lum__file *lock;
    struct lum__parts parts;
    lum_options options;
    uint64_t next_transaction;
    uint64_t dirty[TINY_DIRTY_MAX]; /* data segments written to since their last sync */
    size_t dirty_count;
    struct lum__open_transaction open[TINY_OPEN_MAX]; /* begun, logged, without an end */
    size_t open_count;
};

/* What a transaction is made of. Its rows follow from `number` alone. */
struct tiny_load {
    uint64_t number;      /* the label is "tNUMBER" */
    uint32_t chunk_count; /* 0 .. TINY_CHUNKS_MAX */
    uint32_t chunk_rows;
    bool data_synced; /* data before log; else nothing is synced (modes interval, none) */
};

/* Row `row` of transaction `number`. Over a few numbers with some hundred rows each, every encoding of pages is used.
 */
void tiny_row(uint64_t number, uint64_t row, lum_t *out);
/* What the commit of transaction `number` says besides. */
void tiny_metadata(uint64_t number, struct lum__metadata *out);
/* The digest that tiny_load must give. */
uint32_t tiny_digest(const struct tiny_load *load);

/* fs stays the caller's. Everything that fails leaves the tiny closed. */
lum_status tiny_create(struct tiny *tiny, struct lum__fs *fs, const lum_options *options);
lum_status tiny_open(struct tiny *tiny, struct lum__fs *fs, const lum_options *options);
/* Writes and logs one transaction. *written: its commit's log write returned success. data_synced: LUM_OK means
 * durable, with all before. */
lum_status tiny_commit(struct tiny *tiny, const struct tiny_load *load, bool *written);
/* A small transaction: its chunk_count * chunk_rows rows go into the log with the commit. */
lum_status tiny_commit_small(struct tiny *tiny, const struct tiny_load *load, bool *written);
/* The same without an end (is_rolled_back false: stays open), or with a rollback. */
lum_status tiny_leave(struct tiny *tiny, const struct tiny_load *load, bool is_rolled_back);
lum_status tiny_sync(struct tiny *tiny);
lum_status tiny_watermark(struct tiny *tiny);
lum_status tiny_checkpoint(struct tiny *tiny);
lum_status tiny_close(struct tiny *tiny);
void tiny_abandon(struct tiny *tiny);

/* Reads every committed transaction back: labels t0, t1, ... in order, digests, and every row of every chunk. Returns
 * how many there are, or -1 with a reason in why. loads: what was submitted. */
int64_t tiny_check(struct tiny *tiny, const struct tiny_load *loads, size_t load_count, char why[256]);

#endif
