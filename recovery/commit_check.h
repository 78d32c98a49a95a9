/* recovery/commit_check.h - are the chunks of the commits in a replayed log really there? In parallel, past the page
 * cache where possible. */
#ifndef LUM_RECOVERY_COMMIT_CHECK_H
#define LUM_RECOVERY_COMMIT_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "recovery/replay.h"
#include "storage/file.h"

struct lum__commit_check_options {
    const uint8_t *store_id;
    uint32_t workers;
    uint64_t memory_bytes_max;
    uint64_t watermark;
    bool unsynced_only; /* only commits without data_synced (readers verify the others when they read them) */
    bool after_crash;   /* read directly; what had to be read through the page cache and was never synced is marked
                           doubtful */
};

struct lum__commit_check {
    uint64_t chunks_verified, lums_verified;
    struct lum__error problem; /* of the first bad chunk in commit order; status LUM_OK if all are good */
};

/* Sets is_bad and is_doubtful of the commits. Damage is an answer, not a failure; failures are I/O errors and want of
 * memory. */
LUM_MUST_USE lum_status lum__commit_check(struct lum__fs *fs, struct lum__replay *replay,
                                          const struct lum__commit_check_options *options,
                                          struct lum__commit_check *out);

#endif
