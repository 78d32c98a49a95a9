/* recovery/fold.h - turns the rows of small transactions into chunks, for a checkpoint. recovery/README.md, "A fold". */
#ifndef LUM_RECOVERY_FOLD_H
#define LUM_RECOVERY_FOLD_H

#include <stdbool.h>

#include "lum/status.h"
#include "recovery/recover.h"

struct lum__fold;

/* Writes chunks for all rows in the catalogue that have none, syncs them, and builds the version of the catalogue that names them; nobody sees it yet.
 * *out NULL: there was nothing to do. After a failure the space is free again, unless it was a write or sync that failed. */
LUM_MUST_USE lum_status lum__fold_prepare(struct lum__parts *parts, struct lum__fold **out);
/* For the checkpoint that alone makes the chunks count. Lent. */
const struct lum__catalogue_version *lum__fold_version(const struct lum__fold *fold);
/* The checkpoint (parts->checkpoint_number) is there: the version becomes the newest, and the extents of the chunks that it replaced go to parts->replaced. NULL
 * is fine. Cannot fail. */
void lum__fold_publish(struct lum__parts *parts, struct lum__fold *fold);
/* It is not, or (is_in_doubt) may be there all the same, after a failed sync: only if it surely is not, the chunks' space is given back. NULL is fine. */
void lum__fold_discard(struct lum__parts *parts, struct lum__fold *fold, bool is_in_doubt);

#endif
