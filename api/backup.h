/* api/backup.h - a copy into a directory by name, for lum_backup and for what guided recovery does first. */
#ifndef LUM_API_BACKUP_H
#define LUM_API_BACKUP_H

#include "recovery/copy_store.h"

/* Makes `destination` if it is not there. After a failure nothing of ours is left in it. */
LUM_MUST_USE lum_status lum__backup_into(struct lum__fs *from, const char *destination, bool raw,
                                         const struct lum__copy_options *options, lum_backup_report *report);

/* Is `inner` the directory `outer` or below it (also where it is not there yet)? A copy inside of what it copies would
 * become part of the next one. */
bool lum__is_inside(const char *outer, const char *inner);
/* Removes the files and folders that a store is made of; what else is there stays. */
void lum__remove_copy(const char *destination);

#endif
