/* formats/ndjson.h - LUMs as newline-delimited JSON: one flat object a line. */
#ifndef LUM_FORMATS_NDJSON_H
#define LUM_FORMATS_NDJSON_H

#include <stddef.h>
#include <stdint.h>

#include "formats/field.h"
#include "lum/lum.h"

enum { LUM__NDJSON_ROW_BYTES_MAX = 320 }; /* names, digits and punctuation of all fields, and slack */

/* One object a row with `fields` in that order, all values as numbers. out has room for row_count *
 * LUM__NDJSON_ROW_BYTES_MAX bytes; returns the bytes written. At least one field, each at most once. */
size_t lum__ndjson_write_rows(uint8_t *out, const enum lum__field *fields, size_t field_count, const lum_t *rows,
                              size_t row_count);

#endif
