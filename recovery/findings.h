/* recovery/findings.h - why a store needs a person, and what a person may choose. Reads only; api/guided.c does what
 * was chosen. What each choice keeps and loses is counted, not guessed. */
#ifndef LUM_RECOVERY_FINDINGS_H
#define LUM_RECOVERY_FINDINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "lum/lum.h"
#include "recovery/recover.h"

enum { LUM__FINDINGS_MAX = 32, LUM__WAYS_MAX = 4 };

struct lum__found {
    lum_recovery_finding face; /* its strings point into what follows */
    char file[LUM__PATH_BYTES_MAX], what[512], verdict[200];
};

struct lum__way {
    lum_recovery_choice face;
    char action[300];
    enum lum__choice choice; /* for lum__parts_open_chosen */
};

struct lum__examination {
    /* As STATE has to be before the choice is carried out: not clean, no attempts, an epoch not below anything. */
    struct lum__state state;
    bool needs_choice; /* false: recovery as ever does it */
    struct lum__found findings[LUM__FINDINGS_MAX];
    size_t finding_count;
    struct lum__way ways[LUM__WAYS_MAX];
    size_t way_count;
};

/* options: of a writer's plan (every chunk of the commits behind the checkpoint is read). LUM_ERR_NOT_FOUND: no store.
 */
LUM_MUST_USE lum_status lum__examine(struct lum__fs *fs, const struct lum__plan_options *options,
                                     struct lum__examination *out);

#endif
