/* cli/guide.h - the questions of `lum recover --guided`. */
#ifndef LUM_CLI_GUIDE_H
#define LUM_CLI_GUIDE_H

#include "cli/json.h"
#include "cli/options.h"
#include "lum/lum.h"

struct lum__guide_talk {
    const struct lum__arguments *arguments;
    struct lum__json *json; /* gets "findings" and "choices" */
    bool is_asked;          /* there was something to choose */
    bool is_unknown;        /* --choose names none of the choices, which was said */
};

/* For lum_guide: shows findings and choices, and takes the choice from --choose or from the terminal. */
int lum__guide_choose(void *talk, const lum_recovery_view *view);

#endif
