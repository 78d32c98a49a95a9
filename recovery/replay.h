/* recovery/replay.h - from log records to transactions: which committed, with which chunks. Pure, no I/O; the plan
 * feeds it. */
#ifndef LUM_RECOVERY_REPLAY_H
#define LUM_RECOVERY_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "storage/catalogue.h"
#include "wal/format.h"

/* What a pages record holds, and where it lies. */
struct lum__replay_rows {
    lum_t *rows; /* NULL: none */
    uint32_t row_count;
    uint32_t digest;
    uint64_t segment, offset;
};

/* A commit in the log with all that belongs to it. */
struct lum__replay_commit {
    struct lum__transaction transaction; /* its label and metadata are owned here */
    struct lum__chunk_entry *chunks;     /* by ordinal, commit_sequence set */
    size_t chunk_count;
    size_t chunk_capacity;
    struct lum__replay_rows rows;    /* instead of chunks, of a small transaction */
    struct lum__log_position before; /* where its record begins: a cut before it ends here */
    uint64_t log_bytes_before;       /* of records read before it */
    bool is_bad;                     /* set by the plan: a chunk failed its checks */
    bool is_doubtful; /* set by the plan: never synced, and read through the page cache: recovery rewrites it */
};

enum { LUM__REPLAY_BUCKETS = 1024 };
struct lum__replay_open; /* a transaction without its end */

struct lum__replay {
    struct lum__replay_commit *commits; /* in commit order */
    size_t commit_count, commit_capacity;
    size_t open_count;
    struct lum__replay_open *open[LUM__REPLAY_BUCKETS];
    uint64_t record_count;
    uint64_t log_bytes;
    uint64_t last_timestamp;        /* label of the newest record */
    uint64_t last_content_sequence; /* of the last record that says something of a transaction */
    uint64_t epoch_max;             /* highest epoch in a transaction id */
    uint64_t data_segment_max;      /* highest segment number in a chunk entry */
    uint64_t checkpoint_max;        /* highest checkpoint number in a checkpoint record */
    uint64_t successor;             /* that the last record fed names, if it is a seal; else 0 */
    bool is_broken;                 /* a record did not fit the ones before it, though both are intact */
    struct lum__error problem;      /* why */
    struct lum__log_position broken_before; /* where that record begins */
};

/* Begins behind a checkpoint: its open transactions and position. */
LUM_MUST_USE lum_status lum__replay_create(const struct lum__checkpoint *checkpoint, struct lum__replay **out);
/* The next record; before: the place where it begins, as the reader tells it. Fails only for want of memory: what does
 * not fit sets is_broken and problem, and nothing of any transaction is taken from there on. */
LUM_MUST_USE lum_status lum__replay_feed(struct lum__replay *replay, const struct lum__log_position *before,
                                         const struct lum__wal_record *record);
/* Commits commits[first .. end) to the catalogue. */
LUM_MUST_USE lum_status lum__replay_publish(const struct lum__replay *replay, size_t first, size_t end,
                                            struct lum__catalogue *catalogue);
void lum__replay_destroy(struct lum__replay *replay);

#endif
