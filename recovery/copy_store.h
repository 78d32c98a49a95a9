/* recovery/copy_store.h - a copy of a store in another directory. Steps, with numbers: recovery/README.md "A copy". */
#ifndef LUM_RECOVERY_COPY_STORE_H
#define LUM_RECOVERY_COPY_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "lum/lum.h"
#include "storage/file.h"

struct lum__copy_options {
    uint32_t workers;
    uint64_t memory_bytes_max;
    bool (*on_progress)(void *context, uint64_t bytes_done, uint64_t bytes_total); /* may be NULL; false: stop */
    void *callback_context;
    bool has_lock; /* raw: the caller holds the writer's lock of `from` */
};

/* Of what is committed now, beside a writer too: a store that was closed cleanly. `to` is empty and gets its STATE last
 * of all. LUM_ERR_CORRUPT: what should be copied is damaged. LUM_ERR_NEEDS_PERSON: the log is. LUM_ERR_EXISTS: `to` is
 * not empty. */
LUM_MUST_USE lum_status lum__copy_snapshot(struct lum__fs *from, struct lum__fs *to,
                                           const struct lum__copy_options *options, lum_backup_report *report);
/* Of all files, as they are, damage and all; no writer may be at work. STATE last of all. */
LUM_MUST_USE lum_status lum__copy_raw(struct lum__fs *from, struct lum__fs *to, const struct lum__copy_options *options,
                                      lum_backup_report *report);
/* After a failure: removes the files that a copy is made of, as far as possible. Folders stay. */
void lum__copy_remove(struct lum__fs *to);

/* For both kinds: LUM_ERR_EXISTS if the directory holds anything; then LOCK is made and taken, wal/ and data/ made. *lock_file stays NULL as long as
 * something there may be another's: lum__copy_remove() is for after that. */
LUM_MUST_USE lum_status lum__copy_begin(struct lum__fs *to, struct lum__file **lock_file);
/* LUM_ERR_NO_SPACE, saying how much is missing. */
LUM_MUST_USE lum_status lum__copy_check_room(struct lum__fs *to, uint64_t bytes_needed);

#endif
