/* recovery/state.h - the lifecycle file STATE (format.md section 2), the store's lock, and the making of a new store.
 *
 * Order at an opening for writing (design 7): lock -> read STATE -> decide -> *then* mark running (detect before mark).
 */
#ifndef LUM_RECOVERY_STATE_H
#define LUM_RECOVERY_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "lum/lum.h"
#include "storage/catalogue.h"
#include "storage/file.h"

/* One recovery, for the history. */
struct lum__recovery_note {
    uint64_t recovery_timestamp, crash_timestamp, duration_ns, last_sequence;
    uint64_t transactions_committed, transactions_rolled_back, tail_bytes_cut;
    uint32_t attempts;
    char row;       /* of the decision table, 0: none */
    uint8_t choice; /* enum lum__choice */
    uint8_t outcome;
};
enum { LUM__RECOVERY_SUCCEEDED = 1, LUM__RECOVERY_FAILED = 2, LUM__STATE_HISTORY_MAX = 16 };

struct lum__state {
    uint8_t store_id[16];
    uint64_t epoch;
    uint64_t timestamp;
    enum lum_store_state state;
    bool is_clean;
    uint32_t attempts;
    uint32_t attempts_max;
    uint64_t clean_checkpoint;
    uint64_t clean_segment;
    uint64_t clean_offset;
    uint64_t clean_sequence;
    uint64_t crash_timestamp;
    uint64_t recovery_timestamp;
    uint64_t recovery_count;
    uint64_t pid;
    char error_details[249];
    struct lum__recovery_note history[LUM__STATE_HISTORY_MAX]; /* newest first */
    uint32_t history_count;
    uint64_t features_ignore;    /* bits of later versions, kept as found */
    uint64_t features_read_only; /* not zero: opening for writing is refused (lum__state_check_writable) */
};
enum { LUM__STATE_ATTEMPTS_DEFAULT = 3 };

/* LUM_ERR_NOT_FOUND: no STATE (not a store, or its creation was interrupted). LUM_ERR_CORRUPT, _UNSUPPORTED. */
LUM_MUST_USE lum_status lum__state_read(struct lum__fs *fs, struct lum__state *out);
/* The same from bytes, for verify. */
LUM_MUST_USE lum_status lum__state_decode(const uint8_t *bytes, size_t byte_count, struct lum__state *out);
/* LUM_ERR_UNSUPPORTED if a later version left something in the store that only allows reading. */
LUM_MUST_USE lum_status lum__state_check_writable(const struct lum__state *state);
/* Atomically replaces STATE (sets timestamp and pid); durable when it returns. */
LUM_MUST_USE lum_status lum__state_write(struct lum__fs *fs, struct lum__state *state);
/* Puts a recovery in front of the history; the oldest goes. */
void lum__state_note(struct lum__state *state, const struct lum__recovery_note *note);
/* Puts a sentence into error_details, cut at its size between characters. */
void lum__state_explain(struct lum__state *state, const char *sentence);

/* Makes an empty store in the directory of fs: LOCK, folders, first log segment, checkpoint-1, and STATE last of all,
 * everything synced in that order. A directory without STATE is taken only if it holds nothing foreign and no committed
 * data (remains of an interrupted creation are reused); else LUM_ERR_EXISTS naming what is in the way. The writer's
 * lock is taken first (returned). */
LUM_MUST_USE lum_status lum__store_create(struct lum__fs *fs, const lum_options *options, struct lum__file **lock_file);

/* Bytes of LOCK that opens and readers lock. On disk, never renumber. */
enum { LUM__LOCK_BYTE_WRITER = 0, LUM__LOCK_BYTE_READERS = 1 };

/* Takes byte 0 of LOCK. LUM_ERR_NOT_FOUND: no store here; LUM_ERR_CORRUPT: a store without LOCK. Another process:
 * LUM_ERR_BUSY at once with its pid from the LOCK text in the message; if that process is dead (a killed one whose last
 * writes are still in flight), retried up to 5 s. Then writes our pid into LOCK (a message only). */
LUM_MUST_USE lum_status lum__store_lock(struct lum__fs *fs, struct lum__file **lock_file);
/* Takes byte 1 shared, for readers; *lock_file is NULL where the medium is read-only and cannot lock, or has no LOCK
 * (no lock needed then). *writer_alive: byte 0 is held. Waits up to 5 s while a writer has byte 1 for freeing. */
LUM_MUST_USE lum_status lum__store_lock_shared(struct lum__fs *fs, struct lum__file **lock_file, bool *writer_alive);

#endif
