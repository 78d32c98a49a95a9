/* formats/reject_text.h - refused rows as lines of CSV (RFC 4180): file,row,line,byte,column,column_name,code,reason. A
 * position that there is not is empty. Plain functions on memory, as a file may be full of bad rows. */
#ifndef LUM_FORMATS_REJECT_TEXT_H
#define LUM_FORMATS_REJECT_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "formats/reject.h"

/* The line's first field, with the comma behind it: the input's name. out has room for lum__reject_name_bytes_max();
 * returns the end. */
size_t lum__reject_name_bytes_max(const char *name);
uint8_t *lum__reject_put_name(uint8_t *out, const char *name);

/* The rest of the line, its end included. out has room for lum__reject_line_bytes_max(); returns the end. */
size_t lum__reject_line_bytes_max(const struct lum__rejected_row *row);
uint8_t *lum__reject_put_line(uint8_t *out, const struct lum__rejected_row *row);

#endif
