/* recovery/recover.h - from a store directory to its contents: plan (reads only), and for a writer, apply.
 *
 * A plan reads the newest valid checkpoint and the log behind it, verifies the chunks that are newer than the
 * checkpoint in parallel, asks decide.c, and holds the resulting catalogue in memory. It never changes a byte, so
 * readers of a crashed store use it too. Apply makes the plan durable: see recovery/README.md, numbered steps; it may
 * be killed at any of them. */
#ifndef LUM_RECOVERY_RECOVER_H
#define LUM_RECOVERY_RECOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "lum/lum.h"
#include "recovery/decide.h"
#include "recovery/disk_full.h"
#include "recovery/replay.h"
#include "recovery/state.h"
#include "storage/catalogue.h"
#include "storage/file.h"
#include "storage/segment.h"
#include "wal/reader.h"
#include "wal/writer.h"

/* What a person decided where the table refuses. It changes no other verdict. */
enum lum__choice {
    LUM__CHOICE_NONE,  /* nobody was asked */
    LUM__CHOICE_RETRY, /* judge anew, as the table says */
    LUM__CHOICE_KEEP,  /* the log ends where it breaks off; commits with damaged chunks count, the damage stays */
    LUM__CHOICE_DROP   /* the log ends before the first commit with a damaged chunk */
};

struct lum__plan_options {
    uint32_t workers;
    uint64_t memory_bytes_max;
    bool for_reading; /* a reader: only chunks of commits without data_synced are verified now, the others when they are
                         read */
    bool writer_alive; /* beside a live writer: the log's end is simply where it is now, nothing is a crash */
    enum lum__choice choice;     /* recovery only */
    struct lum__file *lock_file; /* a reader's, to see a writer that came since; NULL for a writer, or without LOCK */
};

struct lum__plan {
    struct lum__state state;           /* as found */
    struct lum__checkpoint checkpoint; /* the one used */
    uint64_t checkpoint_newest_found;  /* highest N in the directory, readable or not */
    bool fell_back;                    /* the newest checkpoint was damaged; the older one and its log were used */
    struct lum__catalogue *catalogue;  /* owned until taken */
    struct lum__replay *replay;        /* what the log behind the checkpoint says ... */
    size_t commit_count;               /* ... of which commits[0 .. commit_count) are in the catalogue */
    struct lum__log_position end;      /* behind the last accepted record (before a cut commit, if there was one) */
    struct lum__wal_evidence evidence;
    struct lum__decision decision;
    bool writer_alive;         /* as the options said */
    bool needs_recovery;       /* the end was not clean */
    uint64_t durable_sequence; /* that can be proven: the end after a clean close, else the highest watermark */
    uint64_t next_data_segment, next_wal_segment;
    struct lum__error problem; /* the first thing wrong, with file, offset and condition; status LUM_OK if nothing is */
    struct lum__error checkpoint_problem; /* with fell_back: what is wrong with the newest checkpoint */
    lum_recovery_data report;
};

/* LUM_OK also where the verdict is refuse (the caller looks at plan->decision; the catalogue then holds what is intact,
 * as a prefix of commit order, so that it can be read). Errors: no valid checkpoint, I/O, damage of STATE. Beside a
 * live writer it tries again where a file vanished under it. */
LUM_MUST_USE lum_status lum__plan_make(struct lum__fs *fs, const struct lum__plan_options *options,
                                       struct lum__plan *out);
/* The same under a given STATE (for verify, where the real one is damaged). */
LUM_MUST_USE lum_status lum__plan_make_under(struct lum__fs *fs, const struct lum__plan_options *options,
                                             const struct lum__state *state, struct lum__plan *out);
void lum__plan_fini(struct lum__plan *plan);
/* Makes the place where reading the log stopped, and why, this thread's last error: of the segment that is to blame (a
 * successor that a seal names, rather than the seal). status: LUM_ERR_CORRUPT or LUM_ERR_UNSUPPORTED, returned. */
lum_status lum__plan_blame_log(struct lum__fs *fs, const uint8_t store_id[16], const struct lum__wal_evidence *seen,
                               const struct lum__replay *replay, lum_status status, const char *sentence);

/* Of a chunk whose rows a fold has written anew: not free before no kept checkpoint and no pinned version names it. */
struct lum__replaced_extent {
    uint64_t segment, offset;
    uint32_t byte_count;
    uint64_t checkpoint; /* the first one that does not name it */
    uint64_t generation; /* of the first version of the catalogue that does not */
};

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
    uint64_t checkpoint_number_max;      /* highest ever seen; the next one is above it */
    uint64_t checkpoint_commit_sequence; /* last commit in the newest: a later checkpoint must not hold less */
    uint64_t checkpoint_lum_count;
    uint64_t wal_segment_bytes;
    bool may_join; /* folds may replace small chunks: not while the store is being opened */
    struct lum__replaced_extent *replaced;
    size_t replaced_count, replaced_capacity;
    struct lum__disk_full disk_full;
    uint64_t recovery_bytes_per_second; /* that this opening's recovery read and checked, or an assumption */
    lum_recovery_data report;
};

/* Opens a locked store for writing: STATE, plan, the attempt counter, recovery if needed, new epoch, mark running.
 * LUM_ERR_NEEDS_PERSON on refuse, state failed or too many attempts (STATE is then failed, readers still work);
 * LUM_ERR_NEEDS_RECOVERY with options->no_recovery. LUM_ERR_NO_SPACE costs no attempt. report is filled as far as known
 * on failures too. */
LUM_MUST_USE lum_status lum__parts_open(struct lum__fs *fs, const lum_options *options, uint32_t workers,
                                        uint64_t memory_bytes_max, struct lum__parts *out);
/* The same with a person's choice, which holds for this opening alone. */
LUM_MUST_USE lum_status lum__parts_open_chosen(struct lum__fs *fs, const lum_options *options, enum lum__choice choice,
                                               uint32_t workers, uint64_t memory_bytes_max, struct lum__parts *out);
/* Takes a checkpoint: the caller has stopped appending. Syncs the data segments in `dirty` and the log, writes
 * checkpoint-N, logs and syncs a checkpoint record, removes all checkpoints but the two newest, recycles log behind the
 * older one (only while no reader holds byte 1 of lock_file; with lock_file NULL nothing is removed). open:
 * transactions in progress. The batch of parts->writer must be empty, and every commit in the log published in
 * parts->catalogue. LUM_ERR_NO_SPACE: the store goes on as before, take one again later. Any other failure: poison. */
LUM_MUST_USE lum_status lum__parts_checkpoint(struct lum__parts *parts, struct lum__file *lock_file,
                                              const struct lum__open_transaction *open, size_t open_count,
                                              const uint64_t *dirty_segments, size_t dirty_count);
/* Clean close: syncs the data of all commits since the last checkpoint and the log, checkpoint, trim, clean mark. No
 * transaction is open any more. On a failure nothing is marked clean. Releases everything whatever the status. */
lum_status lum__parts_close_clean(struct lum__parts *parts, struct lum__file *lock_file);
/* Releases everything without marking clean (after poison). */
void lum__parts_abandon(struct lum__parts *parts);

/* A person asks to try again (lum recover) a store that is in state failed: attempts 0, state crash_detected. The next
 * opening judges it anew, and refuses again if the evidence is the same. The caller holds the lock. LUM_OK and nothing
 * done in any other state. */
LUM_MUST_USE lum_status lum__parts_retry(struct lum__fs *fs);

#endif
