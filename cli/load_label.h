/* cli/load_label.h - `load --label`: what the store knows of the label, and so what a load of it does: everything, the rest, or nothing any more. */
#ifndef LUM_CLI_LOAD_LABEL_H
#define LUM_CLI_LOAD_LABEL_H

#include "cli/load_resume.h"
#include "cli/options.h"
#include "lum/lum.h"

enum lum__label_plan {
    LUM__LABEL_NEW,    /* nothing is committed under it */
    LUM__LABEL_GO_ON,  /* a part is, and --resume was given */
    LUM__LABEL_LOADED, /* the whole input is: the same one has nothing to add */
};

struct lum__load_label {
    enum lum__label_plan plan;
    bool is_unfinished;         /* a part of the input is loaded */
    lum_receipt newest;         /* of the label's newest commit; not for LUM__LABEL_NEW */
    struct lum__resume before;  /* what it says */
    struct lum__resume now;     /* what the next commit will say: texts and numbers that stay the same */
};

/* Looks the label up in an open store (NULL: there is no store yet). Returns 0 or an exit code: a part is loaded and --resume was not given, or what
 * the commit says cannot be gone on with. reject_path: of this run, NULL for none. */
int lum__load_label_look(struct lum__load_label *label, lum_store *store, const struct lum__arguments *arguments, size_t file_count,
                         const char *reject_path);
/* Once the input is open: the same options? mapping: as the reader resolved it. Returns 0 or an exit code. */
int lum__load_label_check_meaning(struct lum__load_label *label, const struct lum__arguments *arguments, const char *mapping);
/* Where the load goes on; NULL: at the beginning. */
const struct lum__chain_point *lum__load_label_from(const struct lum__load_label *label);

#endif
