/* formats/raw_source.h - 40-byte records as they lie in memory (lum_t), back to back, without a header: what `scan
 * --format raw` writes.
 *
 * Every record brings its checksum, and it must be right: there is no value that means "none". A record that is not
 * right, or has a flag, type or reserved byte out of range, ends the load with row and offset, or goes to
 * options.rejects. There are no columns, so there is nothing to map: a mapping is refused. */
#ifndef LUM_FORMATS_RAW_SOURCE_H
#define LUM_FORMATS_RAW_SOURCE_H

#include "formats/row_source.h"

/* Statuses: LUM_ERR_INPUT (a file whose length is no multiple of 40), LUM_ERR_ARGUMENT (a mapping), LUM_ERR_NO_MEMORY.
 */
LUM_MUST_USE lum_status lum__raw_open(const struct lum__input_bytes *input, const struct lum__row_options *options,
                                      struct lum__row_source **out);

#endif
