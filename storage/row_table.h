/* storage/row_table.h - the rows of small transactions that are committed but not folded into chunks yet: plain records in memory blocks.
 *
 * One table is one generation: all rows between two folds. Rows are only ever appended, behind everything that an older version of the catalogue
 * looks at, and never move; versions count references, the last one frees the table. So a scan that pins a version keeps its rows, whatever a
 * fold does meanwhile. Appending is the publisher's alone; the reference count is guarded by the catalogue's mutex. */
#ifndef LUM_STORAGE_ROW_TABLE_H
#define LUM_STORAGE_ROW_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "lum/lum.h"
#include "storage/page.h"

struct lum__row_table;

LUM_MUST_USE lum_status lum__row_table_create(struct lum__row_table **out); /* one reference */
/* Copies rows; *out lends the copy for as long as the table lives. LUM_ERR_NO_MEMORY changes nothing. */
LUM_MUST_USE lum_status lum__row_table_append(struct lum__row_table *table, const lum_t *rows, size_t row_count, const lum_t **out);
void lum__row_table_retain(struct lum__row_table *table);
void lum__row_table_release(struct lum__row_table *table); /* NULL is fine */

/* What log and catalogue want to know of rows, checksums filled in: CRC over the checksums in row order, minima and maxima. row_count above 0. */
uint32_t lum__rows_digest(uint32_t digest, const lum_t *rows, size_t row_count);
void lum__rows_range(const lum_t *rows, size_t row_count, struct lum__range *out);
/* Index of the first row whose fields or checksum are wrong; row_count if none is. */
size_t lum__rows_check(const lum_t *rows, size_t row_count);

#endif
