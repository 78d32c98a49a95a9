/* cli/input_format.h - which format an input has, and the reader for it. */
#ifndef LUM_CLI_INPUT_FORMAT_H
#define LUM_CLI_INPUT_FORMAT_H

#include "cli/input.h"
#include "cli/options.h"
#include "formats/row_source.h"

enum lum__input_format {
    LUM__INPUT_AUTO,
    LUM__INPUT_CSV,
    LUM__INPUT_TSV, /* csv with tabs */
    LUM__INPUT_NDJSON,
    LUM__INPUT_NPY,
    LUM__INPUT_RAW
};
extern const char *const lum__input_format_names[]; /* of --format; ended by NULL */

/* By the first bytes (npy's magic; a first byte other than blanks that is `{`: ndjson), else by the name's ending, a
 * compression's set aside (.csv .tsv .ndjson .jsonl .npy .raw .lum), else csv. *why: "by its content", "by its name" or "the
 * default"; static. */
lum_status lum__input_format_detect(struct lum_input *input, enum lum__input_format *out, const char **why);
/* What was asked for ("as asked"), detected where that is LUM__INPUT_AUTO. */
lum_status lum__input_format_choose(struct lum_input *input, enum lum__input_format asked, enum lum__input_format *out, const char **why);

/* Opens the reader. options->delimiter 0: what the format has. */
lum_status lum__input_format_open(struct lum_input *input, enum lum__input_format format,
                                  const struct lum__row_options *options, struct lum__row_source **out);

/* Refuses, and says so, options that an asked format would pass over in silence. (In a load of several formats each takes what is for it.)
 * Returns 0 or the exit code. */
int lum__input_format_check_options(const struct lum__arguments *arguments);

#endif
