/* storage/extents.h - the free extents of one file: sorted by offset, neighbours merged, first fit. No I/O, no locks.
 */
#ifndef LUM_STORAGE_EXTENTS_H
#define LUM_STORAGE_EXTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lum/status.h"

struct lum__extent {
    uint64_t offset, byte_count;
};

struct lum__extents {
    struct lum__extent *items;
    size_t count, capacity;
};

void lum__extents_fini(struct lum__extents *extents);
/* Adds an extent that overlaps none (asserted), merging it with its neighbours. LUM_ERR_NO_MEMORY changes nothing. */
LUM_MUST_USE lum_status lum__extents_add(struct lum__extents *extents, uint64_t offset, uint64_t byte_count);
/* Takes byte_count from the first extent that has so many. False if none has. */
bool lum__extents_take(struct lum__extents *extents, uint64_t byte_count, uint64_t *offset);
/* Where the extent that ends at `end` begins; `end` itself if none does. */
uint64_t lum__extents_tail(const struct lum__extents *extents, uint64_t end);
/* Drops the extent that ends at `end`, if there is one. */
void lum__extents_drop_tail(struct lum__extents *extents, uint64_t end);

#endif
