/* formats/field_columns.h - a page of rows by column: what readers fill where their input needs no rows in between. */
#ifndef LUM_FORMATS_FIELD_COLUMNS_H
#define LUM_FORMATS_FIELD_COLUMNS_H

#include <stddef.h>
#include <stdint.h>

#include "formats/field.h"
#include "lum/lum.h"

enum { LUM__FIELD_COLUMNS_ROWS = 4096 }; /* a page has at most */

/* One worker's. The first array is 64-byte aligned. */
struct lum__field_columns {
    uint64_t id[LUM__FIELD_COLUMNS_ROWS];
    uint64_t timestamp[LUM__FIELD_COLUMNS_ROWS];
    uint64_t memory_address[LUM__FIELD_COLUMNS_ROWS];
    int32_t position_x[LUM__FIELD_COLUMNS_ROWS];
    int32_t position_y[LUM__FIELD_COLUMNS_ROWS];
    uint32_t checksum[LUM__FIELD_COLUMNS_ROWS]; /* as the input has them */
    uint8_t presence[LUM__FIELD_COLUMNS_ROWS];
    uint8_t structure_type[LUM__FIELD_COLUMNS_ROWS];
    uint8_t is_destroyed[LUM__FIELD_COLUMNS_ROWS];
};

/* Where a field is, in a row and in the columns. */
struct lum__field_place {
    uint32_t row_offset, array_offset, bytes;
};
extern const struct lum__field_place lum__field_places[LUM__FIELD_COUNT];

/* The array of a field. */
static inline uint8_t *lum__field_column(struct lum__field_columns *columns, enum lum__field field)
{
    return (uint8_t *)columns + lum__field_places[field].array_offset;
}

/* Every row of the new columns has the defaults: a field that nobody writes needs no more. For free(); LUM_ERR_NO_MEMORY. */
lum_status lum__field_columns_make(const lum_t *defaults, struct lum__field_columns **out);

/* One row; the reserved byte is 0. */
void lum__field_columns_put(struct lum__field_columns *columns, size_t at, const lum_t *row);
void lum__field_columns_get(const struct lum__field_columns *columns, size_t at, lum_t *row);

/* For lum_source.fill_columns(): lent. */
lum_columns lum__field_columns_lend(const struct lum__field_columns *columns);

#endif
