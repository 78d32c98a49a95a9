/* formats/npy_source.h - NumPy's structured arrays (.npy) as rows.
 *
 * Fields of the array map to fields of a LUM by name, as columns of a CSV file do; others are passed over. They may
 * stand in any order, with any padding between. Integers of any width and byte order, bools and datetime64 (for
 * timestamp) are converted exactly; a value that does not fit ends the load with row and offset, or goes to
 * options.rejects. A field that is named reserved is checked to be 0. options.time_unit is of integers; a datetime64
 * has its own. NaT is refused, or takes the default where there is a null_text.
 *
 * Rows are offered as columns too, unless the array has checksums, which are of whole rows. */
#ifndef LUM_FORMATS_NPY_SOURCE_H
#define LUM_FORMATS_NPY_SOURCE_H

#include "formats/row_source.h"

/* Reads the header, resolves the mapping. Statuses: LUM_ERR_INPUT (no such array, columns, a file that is longer or
 * shorter than its header says), LUM_ERR_NO_MEMORY, those of read. */
LUM_MUST_USE lum_status lum__npy_open(const struct lum__input_bytes *input, const struct lum__row_options *options,
                                      struct lum__row_source **out);

#endif
