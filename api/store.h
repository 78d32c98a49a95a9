/* api/store.h - what a lum_store is. The library's own; lum.h is the public face.
 *
 * States of a store, the function on each arrow, and what holds in each:
 *
 *   opening --lum_open--> running   : lock held, STATE says running under a new epoch, sequencer thread alive
 *   opening --lum_open(read_only)--> reading : shared lock (or read-only medium), a plan's catalogue, no threads
 *   running --a failed write or sync--> failed : poisoned; every call answers the first cause; only lum_close works
 *   running --lum_close--> draining --lum__parts_close_clean--> closed : STATE says clean
 *   failed  --lum_close--> closed : STATE still says running; the next opening recovers */
#ifndef LUM_API_STORE_H
#define LUM_API_STORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "lum/lum.h"
#include "pipeline/loader.h"
#include "pipeline/pool.h"
#include "pipeline/sequencer.h"
#include "recovery/recover.h"
#include "storage/segment.h"

struct lum_store {
    /* immutable after open */
    struct lum__fs *fs;
    struct lum__file *lock_file;
    lum_options options; /* defaults filled in */
    pid_t pid;
    bool is_writer;
    struct lum__parts parts;         /* writer */
    struct lum__plan plan;           /* reader */
    struct lum__catalogue *catalogue;/* of either */
    uint8_t store_id[16];
    struct lum__segment_files *files;/* for reading chunks */
    struct lum__sequencer *sequencer;/* writer */

    /* under mutex */
    pthread_mutex_t mutex;
    struct lum__pool *pool; /* made by the first load, or the first large transaction */
    struct lum_txn *transactions; /* not ended yet: a list */

    /* any thread, relaxed: statistics */
    _Atomic uint64_t data_bytes_written, producer_write_wait_ns;
};

/* Refuses NULL and handles that crossed a fork (pitfall 19). */
LUM_MUST_USE lum_status lum__store_check(const lum_store *store);
/* ... and what is not open for writing, or poisoned. */
LUM_MUST_USE lum_status lum__store_check_writable(const lum_store *store);
/* LUM_ERR_LABEL unless label_after is the newest transaction of the label, 0 for a label ("": none) that is not in the store. */
LUM_MUST_USE lum_status lum__store_check_label(lum_store *store, const char *label, uint64_t label_after);
/* The buffer pool, made now if need be. LUM_ERR_MEMORY_LIMIT. */
LUM_MUST_USE lum_status lum__store_make_pool(lum_store *store);
/* Rolls back what was not ended: the store is being closed. Their handles only answer an error from now on. */
void lum__store_end_transactions(lum_store *store);
/* Copies *options with its defaults filled in; LUM_ERR_VERSION, LUM_ERR_ARGUMENT. */
LUM_MUST_USE lum_status lum__options_resolve(const lum_options *options, lum_options *out);
/* lum_open on any file table (tests use simulated disks); options resolved. The store owns fs, also after a failure. */
LUM_MUST_USE lum_status lum__store_open_fs(struct lum__fs *fs, const char *directory, const lum_options *options, lum_store **out);
/* What a person chose (G5 and G6 of recovery/README.md), when the emergency backup is there. state: as examined. */
LUM_MUST_USE lum_status lum__guided_carry_out(struct lum__fs *fs, struct lum__file *lock_file, const lum_options *options, struct lum__state *state,
                                              enum lum__choice choice, lum_recovery_data *out);
/* Fills in held_bytes and what belongs to it. */
LUM_MUST_USE lum_status lum__store_held(struct lum__fs *fs, const uint8_t store_id[16], lum_info_data *out);
/* Allocated bytes of all files of a store directory. */
LUM_MUST_USE lum_status lum__store_bytes_on_disk(struct lum__fs *fs, uint64_t *out);

#endif
