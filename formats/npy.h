/* formats/npy.h - NumPy's .npy files: the header that says what follows, and LUMs as a structured array.
 *
 * A file is 6 bytes of magic, two of version, the length of the header, the header (a Python literal: descr,
 * fortran_order, shape, padded with blanks and ended by LF so that the data begins at a multiple of 64), and the
 * records, back to back. */
#ifndef LUM_FORMATS_NPY_H
#define LUM_FORMATS_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/field.h"
#include "lum/lum.h"

#define LUM__NPY_MAGIC "\x93NUMPY" /* the first 6 bytes */

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

/* ---------------------------------------------------------------------------------------------------------- reading */

enum {
    LUM__NPY_PREFIX_BYTES = 12, /* magic, version, header length: 10 in version 1 */
    LUM__NPY_HEADER_TEXT_BYTES_MAX = 1 << 20,
    LUM__NPY_COLUMNS_MAX = 4096,
    LUM__NPY_RECORD_BYTES_MAX = 16 * 1024 * 1024
};

/* A named field of the records. */
struct lum__npy_column {
    const char *name; /* UTF-8, terminated */
    size_t name_length;
    char type_text[16]; /* as it stands in the header, cut; for messages */
    char kind; /* b bool, i u integers, M time, others as NumPy names them; 0: an array or a record of its own */
    bool is_big_endian;
    uint32_t byte_count; /* of all of it */
    uint64_t unit_ns;    /* of kind M; 0: a unit that is no whole number of nanoseconds, or none */
    uint64_t offset;     /* in the record */
};

struct lum__npy_header {
    uint64_t data_offset; /* of the first record, from the file's start */
    uint64_t row_count;
    uint64_t record_bytes;
    uint32_t column_count;
    struct lum__npy_column *columns;
    char *names;                  /* what the columns' names lie in */
    size_t descr_at, descr_bytes; /* the text of the records' type, in the header's text */
};

/* From the first LUM__NPY_PREFIX_BYTES (or all, if the file is shorter): how many bytes the prefix really has, and the
 * header behind it. file is for messages. LUM_ERR_INPUT. */
LUM_MUST_USE lum_status lum__npy_prefix(const uint8_t *prefix, size_t byte_count, const char *file, uint32_t *version,
                                        size_t *prefix_bytes, size_t *header_bytes);
/* Parses the header's text: a one-dimensional structured array in C order, whose records are at most
 * LUM__NPY_RECORD_BYTES_MAX long. Python objects anywhere are refused: they would be pickles. data_offset: where the
 * text ends. LUM_ERR_INPUT, LUM_ERR_NO_MEMORY; then out needs no fini. */
LUM_MUST_USE lum_status lum__npy_parse(const uint8_t *text, size_t byte_count, uint32_t version, uint64_t data_offset,
                                       const char *file, struct lum__npy_header *out);
void lum__npy_header_fini(struct lum__npy_header *header); /* all zero is fine */

#endif
