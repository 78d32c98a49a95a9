/* recovery/rewrite.h - moves chunks that may be in the page cache only to fresh extents (pitfall 7). */
#ifndef LUM_RECOVERY_REWRITE_H
#define LUM_RECOVERY_REWRITE_H

#include "lum/status.h"
#include "recovery/recover.h"

/* Copies the chunks of doubtful commits among commits[0 .. commit_count) to fresh extents, verified, and syncs them;
 * changes the entries in plan->replay. Nothing in use before is overwritten, not even what is going to be cut, or parts->replaced.
 * *rewritten: chunks moved; plan->next_data_segment is raised. */
LUM_MUST_USE lum_status lum__rewrite_doubtful(struct lum__fs *fs, const struct lum__parts *parts, uint64_t segment_bytes_max,
                                              struct lum__plan *plan, uint64_t *rewritten);

#endif
