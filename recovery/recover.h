/* recovery/recover.h - from a store directory to its contents: plan (reads only), and for a writer, apply.
 *
 * A plan reads the newest valid checkpoint and the log behind it, verifies the chunks that are newer than the checkpoint in parallel, asks
 * decide.c, and holds the resulting catalogue in memory. It never changes a byte, so readers of a crashed store use it too. Apply makes the
 * plan durable: see recovery/README.md, numbered steps; it may be killed at any of them. */
#ifndef LUM_RECOVERY_RECOVER_H
#define LUM_RECOVERY_RECOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "lum/lum.h"
#include "recovery/decide.h"
#include "recovery/state.h"
#include "storage/catalogue.h"
#include "storage/file.h"
#include "storage/segment.h"
#include "wal/reader.h"
#include "wal/writer.h"

struct lum__plan_options {
    uint32_t workers;
    uint64_t memory_bytes_max;
    bool for_reading;   /* a reader: only chunks of commits without data_synced are verified now, the others when they are read */
    bool writer_alive;  /* beside a live writer: the log's end is simply where it is now, nothing is a crash */
};

struct lum__plan {
    struct lum__state state;              /* as found */
    struct lum__checkpoint checkpoint;    /* the one used */
    uint64_t checkpoint_newest_found;     /* highest N in the directory, readable or not */
    bool fell_back;                       /* the newest checkpoint was damaged; the older one and its log were used */
    struct lum__catalogue *catalogue;     /* owned until taken */
    struct lum__open_transaction *open;   /* not committed at the end: rolled back */
    size_t open_count;
    struct lum__log_position end;         /* behind the last accepted record (before a cut commit, if there was one) */
    struct lum__wal_evidence evidence;
    struct lum__decision decision;
    bool needs_recovery;                  /* the end was not clean */
    uint64_t durable_sequence;            /* that can be proven: the end after a clean close, else the highest watermark */
    uint64_t next_data_segment, next_wal_segment;
    lum_recovery_data report;
};

/* LUM_OK also where the verdict is refuse (the caller looks at plan->decision). Errors: no valid checkpoint, I/O, damage of STATE. */
LUM_MUST_USE lum_status lum__plan_make(struct lum__fs *fs, const struct lum__plan_options *options, struct lum__plan *out);
void lum__plan_fini(struct lum__plan *plan);

/* What an open store consists of, below the threads. */
struct lum__parts {
    struct lum__fs *fs;
    uint8_t store_id[16];
    uint64_t epoch;
    struct lum__state state;
    struct lum__catalogue *catalogue;
    struct lum__wal_writer *writer;
    struct lum__segments *segments;
    /* the two newest checkpoints: numbers and where their replay begins */
    uint64_t checkpoint_number;
    struct lum__log_position checkpoint_position;
    uint64_t older_checkpoint_number; /* 0: none */
    struct lum__log_position older_checkpoint_position;
    lum_recovery_data report;
};

/* Opens a locked store for writing: STATE, plan, the attempt counter, recovery if needed, new epoch, mark running.
 * LUM_ERR_NEEDS_PERSON on refuse, state failed or too many attempts (STATE is then failed, readers still work); LUM_ERR_NEEDS_RECOVERY with
 * options->no_recovery. LUM_ERR_NO_SPACE costs no attempt. report is filled as far as known on failures too. */
LUM_MUST_USE lum_status lum__parts_open(struct lum__fs *fs, const lum_options *options, uint32_t workers, uint64_t memory_bytes_max,
                                        struct lum__parts *out);
/* Takes a checkpoint: the caller has stopped appending. Syncs the data segments in `dirty` and the log, writes checkpoint-N, logs and syncs a checkpoint
 * record, removes all checkpoints but the two newest, recycles log behind the older one (when no reader holds byte 1 of lock_file).
 * open: transactions in progress. */
LUM_MUST_USE lum_status lum__parts_checkpoint(struct lum__parts *parts, struct lum__file *lock_file, const struct lum__open_transaction *open,
                                              size_t open_count, const uint64_t *dirty_segments, size_t dirty_count);
/* Clean close: checkpoint, trim, clean mark. On a failure nothing is marked clean. Releases everything whatever the status. */
lum_status lum__parts_close_clean(struct lum__parts *parts, struct lum__file *lock_file);
/* Releases everything without marking clean (after poison). */
void lum__parts_abandon(struct lum__parts *parts);

#endif
