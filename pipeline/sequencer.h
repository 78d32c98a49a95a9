/* pipeline/sequencer.h - the one thread that numbers, logs, syncs and publishes. pipeline/README.md has its protocol in numbered steps.
 *
 * Anything that must be ordered goes to it as a request through the ring. Requests of one transaction: its chunks (each after its write was
 * reaped and its length checked), then one commit or one rollback; the caller sees to it that the last one is pushed after all others. */
#ifndef LUM_PIPELINE_SEQUENCER_H
#define LUM_PIPELINE_SEQUENCER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "lum/lum.h"
#include "recovery/recover.h"

struct lum__sequencer;

enum lum__request_kind {
    LUM__REQUEST_CHUNK,
    LUM__REQUEST_COMMIT,
    LUM__REQUEST_ROLLBACK,
    LUM__REQUEST_SYNC,
    LUM__REQUEST_CHECKPOINT,
    LUM__REQUEST_STOP
};

/* The answer to a request; zero-initialised by the asker, who owns it and waits for it. */
struct lum__ticket {
    _Atomic uint32_t is_done; /* T1: stored with release after the fields below; T2: waiters load it with acquire */
    lum_status status;
    uint64_t sequence;  /* commit: of its record; sync, checkpoint: the durable sequence */
    uint64_t timestamp; /* commit: in its record */
    uint32_t digest;    /* commit: of the transaction */
    struct lum__error error;
};

/* The commits of one load, which must be durable as prefixes: once one of them failed, those behind it fail too. */
struct lum__chain {
    bool is_broken; /* sequencer thread only */
};

struct lum__request {
    enum lum__request_kind kind;
    bool is_heap;                  /* the sequencer frees it (chunks); else it is its asker's, untouched once the ticket is done */
    uint64_t transaction_id;
    struct lum__chunk_entry chunk; /* chunk */
    uint64_t lum_count;            /* commit: for the check against what was logged */
    uint64_t chunk_count;          /* commit */
    const lum_t *rows;             /* commit of a small transaction: all its rows (lum_count of them), which go into the log with it; else NULL */
    uint32_t rows_digest;          /* of rows */
    bool is_async;                 /* commit: answered when it is written, whatever the mode; a later batch syncs */
    const char *label;             /* commit; NULL for none */
    uint64_t label_after;          /* commit: the transaction that must be the newest of the label; 0: the label must be new. Else LUM_ERR_LABEL */
    struct lum__metadata metadata; /* commit; its bytes are the asker's until the ticket is done */
    struct lum__chain *chain;      /* commit; NULL for none */
    struct lum__ticket *ticket;    /* NULL for chunks */
    /* sequencer's own */
    struct lum__request *next;
    uint64_t sequence;
    uint64_t timestamp;
    uint64_t wal_segment, wal_offset; /* of the pages record */
    bool is_logged;
};

struct lum__sequencer_options {
    enum lum_sync_mode sync_mode;
    uint32_t sync_interval_ms;
    uint64_t checkpoint_wal_bytes;
    uint32_t max_recovery_ms; /* that a recovery may take by estimate before a checkpoint is taken; 0: any time */
    uint64_t row_bytes_max; /* of memory for small transactions that are not folded yet: then a checkpoint folds them */
};

/* Starts the thread. It owns parts->writer until it is stopped. */
LUM_MUST_USE lum_status lum__sequencer_start(struct lum__parts *parts, struct lum__file *lock_file,
                                             const struct lum__sequencer_options *options, struct lum__sequencer **out);
/* Lets it answer everything that was pushed, stops and joins it. Nobody may push any more. The last word of lum__sequencer_check: what was
 * pushed last, and the stop itself, may have met the failure. */
lum_status lum__sequencer_stop(struct lum__sequencer *sequencer);

/* Hands a request over. Sleeps while the ring is full. Any thread. */
void lum__sequencer_push(struct lum__sequencer *sequencer, struct lum__request *request);
/* Waits for a ticket; false if timeout_ns passed first (UINT64_MAX: none). Restores its error into this thread if its status is not LUM_OK. */
bool lum__ticket_wait(struct lum__ticket *ticket, uint64_t timeout_ns);
bool lum__ticket_is_done(struct lum__ticket *ticket);
/* Pushes a request without a transaction (sync, checkpoint) and waits. */
LUM_MUST_USE lum_status lum__sequencer_ask(struct lum__sequencer *sequencer, enum lum__request_kind kind, uint64_t *sequence);

/* epoch * 2^40 + n, never used twice. Any thread. */
uint64_t lum__sequencer_transaction_id(struct lum__sequencer *sequencer);
/* The next one to be given out; every one below it, of this opening, was. Any thread. */
uint64_t lum__sequencer_next_transaction(struct lum__sequencer *sequencer);
/* LUM_OK, or LUM_ERR_POISONED with the first cause as this thread's error. Any thread. */
LUM_MUST_USE lum_status lum__sequencer_check(struct lum__sequencer *sequencer);
/* Nothing is written any more; this thread's error is the cause, unless there was one before. Any thread. */
void lum__sequencer_poison(struct lum__sequencer *sequencer);

struct lum__sequencer_stats {
    uint64_t last_sequence, durable_sequence, checkpoint_sequence, checkpoint_number;
    uint64_t sync_count, batch_count, commit_count, log_bytes_written;
};
/* Any thread. */
void lum__sequencer_stats(struct lum__sequencer *sequencer, struct lum__sequencer_stats *out);
uint64_t lum__sequencer_durable(struct lum__sequencer *sequencer);
/* Most rows of a small transaction, so that its record fits every log segment. */
uint32_t lum__sequencer_rows_max(const struct lum__sequencer *sequencer);
/* Sleeps until `sequence` is durable; asks for a sync if none is on its way. LUM_ERR_TIMEOUT (timeout_ns UINT64_MAX: none), LUM_ERR_POISONED,
 * LUM_ERR_ARGUMENT for a sequence that was never given out. Any thread. */
LUM_MUST_USE lum_status lum__sequencer_wait_durable(struct lum__sequencer *sequencer, uint64_t sequence, uint64_t timeout_ns);

#endif
