/* cli/file_chain.h - several input files, one behind the other, as one lum_source: `lum load STORE A.csv B.csv` is one
 * load. Files are opened when their turn comes and closed when no worker parses rows of them any more. */
#ifndef LUM_CLI_FILE_CHAIN_H
#define LUM_CLI_FILE_CHAIN_H

#include <stdint.h>

#include "cli/chain_marks.h"
#include "cli/input_format.h"
#include "cli/reject_writer.h"
#include "formats/row_source.h"
#include "lum/lum.h"

struct lum__file_chain;

struct lum__chain_options {
    const char *const *paths; /* "-" is standard input */
    size_t path_count;
    enum lum__input_format format; /* of all, or LUM__INPUT_AUTO: each by itself */
    struct lum__row_options rows;  /* its `rejects` is the chain's own */
    struct lum__reject_writer *rejects; /* NULL: a bad row ends the load */
    bool counts_points;                 /* lum__file_chain_point() will be asked */
    /* The source gives what is behind this place, once it is proved that what is in front of it is the same: lum__file_chain_open() reads all of that,
     * and answers LUM_ERR_LABEL, and why in *difference, if it is not. NULL: from the beginning. */
    const struct lum__chain_point *from;
    char (*difference)[512];
};

/* Opens the first file, so that most mistakes show before a store is made. What options point to is lent until the close.
 * Failures are this thread's lum_last_error(). */
lum_status lum__file_chain_open(const struct lum__chain_options *options, struct lum__file_chain **out);
void lum__file_chain_close(struct lum__file_chain *chain); /* NULL is fine */
const lum_source *lum__file_chain_source(struct lum__file_chain *chain);

/* Where the first rows_end rows of the source end; all of them were given. Never fewer than in the call before. */
void lum__file_chain_point(struct lum__file_chain *chain, uint64_t rows_end, struct lum__chain_point *out);
/* The mapping of the first file, as --map text. Lent until the close. */
const char *lum__file_chain_mapping_text(const struct lum__file_chain *chain);
/* Bytes of the input files, compressed as they are: read so far, and in total (0 if not known). Any thread. */
void lum__file_chain_bytes(struct lum__file_chain *chain, uint64_t *read, uint64_t *total);

/* Which rows of which files are among the first `rows_committed` of the source (counted from where it began): calls each() for every file whose rows
 * advanced since the last call, with the rows of that file. One thread at a time. */
void lum__file_chain_committed(struct lum__file_chain *chain, uint64_t rows_committed,
                               void (*each)(void *context, const char *path, uint64_t rows), void *context);

#endif
