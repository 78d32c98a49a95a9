/* recovery/state.h - the lifecycle file STATE (format.md section 2), the store's lock, and the making of a new store.
 *
 * Order at an opening for writing (design 7): lock -> read STATE -> decide -> *then* mark running (detect before mark). */
#ifndef LUM_RECOVERY_STATE_H
#define LUM_RECOVERY_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "lum/lum.h"
#include "storage/catalogue.h"
#include "storage/file.h"

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
};

/* LUM_ERR_NOT_FOUND: no STATE (not a store, or its creation was interrupted). LUM_ERR_CORRUPT, _UNSUPPORTED. */
LUM_MUST_USE lum_status lum__state_read(struct lum__fs *fs, struct lum__state *out);
/* Atomically replaces STATE; durable when it returns. */
LUM_MUST_USE lum_status lum__state_write(struct lum__fs *fs, struct lum__state *state);

/* Makes an empty store in the directory of fs: LOCK, folders, first log segment, checkpoint-1, and STATE last of all, everything synced in that order.
 * A directory without STATE is taken only if it holds nothing foreign and no committed data (remains of an interrupted creation are reused);
 * else LUM_ERR_EXISTS naming what is in the way. The writer's lock is taken first (returned). */
LUM_MUST_USE lum_status lum__store_create(struct lum__fs *fs, const lum_options *options, struct lum__file **lock_file);

/* Takes byte 0 of LOCK. Another process: LUM_ERR_BUSY at once with its pid from the LOCK text in the message; if that process is dead (a killed one
 * whose last writes are still in flight), retried up to 5 s. Then writes our pid into LOCK (a message only). */
LUM_MUST_USE lum_status lum__store_lock(struct lum__fs *fs, struct lum__file **lock_file);
/* Takes byte 1 shared, for readers; *lock_file is NULL where the medium is read-only (no lock needed). *writer_alive: byte 0 is held. */
LUM_MUST_USE lum_status lum__store_lock_shared(struct lum__fs *fs, struct lum__file **lock_file, bool *writer_alive);

#endif
