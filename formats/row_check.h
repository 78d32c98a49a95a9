/* formats/row_check.h - what every row must keep to, for readers whose rows come as numbers: flags are 0 or 1, types
 * exist, the reserved byte is 0, a checksum that was given is right. */
#ifndef LUM_FORMATS_ROW_CHECK_H
#define LUM_FORMATS_ROW_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "formats/row_fault.h"
#include "lum/lum.h"

/* True if all rows are good. */
bool lum__rows_are_good(const lum_t *rows, size_t row_count, bool has_checksums);
/* The first offence of a row. False, and why, if it has one; fault->at is in *row. */
bool lum__row_check(const lum_t *row, bool has_checksum, struct lum__row_fault *out);
/* The same for a checksum alone. at: the offence's place. */
void lum__row_fault_checksum(const lum_t *row, const uint8_t *at, struct lum__row_fault *out);

#endif
