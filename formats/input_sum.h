/* formats/input_sum.h - how far an input was read, and the sum of what was read: so that a later load can prove that the input is the same and go
 * on in it. All of it speaks of the plain bytes, decompressed, headers and empty lines included. The sum is their CRC-32C; the pieces' sums, combined in
 * order, make the same one however the input was cut. Workers sum what they parse (lum__row_options.sums), while it is in their cache. */
#ifndef LUM_FORMATS_INPUT_SUM_H
#define LUM_FORMATS_INPUT_SUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/row_source.h"

/* CRC-32C of bytes behind others; of two parts behind each other, the second of bytes_b bytes. */
uint32_t lum__input_sum(uint32_t previous, const void *bytes, size_t byte_count);
uint32_t lum__input_sum_combine(uint32_t sum_a, uint32_t sum_b, uint64_t bytes_b);

/* A place between two rows. */
struct lum__input_point {
    uint64_t bytes, rows; /* in front of it */
    uint64_t line;        /* that begins there, from 1; of texts */
    bool follows_cr;      /* of texts: the byte before is a CR */
};

struct lum__input_part {
    uint64_t bytes;
    uint32_t sum;
    struct lum__input_point end;
};

/* What the opening of the source took: a header, a byte order mark. */
void lum__input_front(const struct lum__row_source *source, struct lum__input_part *out);
/* The piece that open_piece() has just given the worker; its sum comes with lum__input_piece_sum(), once its last row was given. */
void lum__input_piece(const struct lum__row_source *source, uint32_t worker, struct lum__input_part *out);
uint32_t lum__input_piece_sum(const struct lum__row_source *source, uint32_t worker);
/* After LUM_END: what stands behind the last row. */
void lum__input_tail(const struct lum__row_source *source, struct lum__input_part *out);
/* Before the first piece: passes over what stands between the front and `to` (NULL: the end of the input), so that the first piece begins there.
 * out->bytes is less than asked for where the input ends before. */
LUM_MUST_USE lum_status lum__input_skip(struct lum__row_source *source, const struct lum__input_point *to, struct lum__input_part *out);

#endif
