/* formats/npy.h - NumPy's .npy files: the header that says what follows, and LUMs as a structured array.
 *
 * A file is 6 bytes of magic, two of version, the length of the header, the header (a Python literal: descr,
 * fortran_order, shape, padded with blanks and ended by LF so that the data begins at a multiple of 64), and the
 * records, back to back. */
#ifndef LUM_FORMATS_NPY_H
#define LUM_FORMATS_NPY_H

#include <stddef.h>
#include <stdint.h>

#include "formats/field.h"
#include "lum/lum.h"

/* ---------------------------------------------------------------------------------------------------------- writing */

enum { LUM__NPY_HEADER_BYTES_MAX = 512 };

/* The fields of the record as it lies in memory. Written in this order, a row is the 40 bytes of a lum_t (the last one
 * is padding in NumPy's eyes); any other list of fields is packed, in its order. */
extern const enum lum__field lum__npy_record_fields[LUM__FIELD_COUNT];

size_t lum__npy_row_bytes(const enum lum__field *fields, size_t field_count);
/* Version 1.0. The header of the same fields has the same length whatever row_count is, so it may be written again
 * when the count is known. Returns its bytes, a multiple of 64. */
size_t lum__npy_write_header(uint8_t *out, const enum lum__field *fields, size_t field_count, uint64_t row_count);
/* out has room for row_count * lum__npy_row_bytes() bytes; returns the bytes written. */
size_t lum__npy_write_rows(uint8_t *out, const enum lum__field *fields, size_t field_count, const lum_t *rows,
                           size_t row_count);

#endif
