/* recovery/same_content.h - do a checkpoint and the log behind it give what the next checkpoint says? */
#ifndef LUM_RECOVERY_SAME_CONTENT_H
#define LUM_RECOVERY_SAME_CONTENT_H

#include <stdbool.h>

#include "storage/catalogue.h"

/* a: with the log replayed, so with unfolded rows; b: as a checkpoint holds it, all folded. */
bool lum__is_same_content(const struct lum__catalogue_version *a, const struct lum__catalogue_version *b);

#endif
