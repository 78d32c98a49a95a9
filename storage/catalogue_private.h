/* storage/catalogue_private.h - what catalogue.c and catalogue_fold.c share. */
#ifndef LUM_STORAGE_CATALOGUE_PRIVATE_H
#define LUM_STORAGE_CATALOGUE_PRIVATE_H

#include <stddef.h>

#include "storage/catalogue.h"
#include "storage/row_table.h"

/* An array that versions share; elements follow. */
struct lum__shared_array {
    size_t reference_count; /* of versions; under the mutex */
    size_t capacity;
    max_align_t elements[];
};

struct lum__version {
    struct lum__catalogue_version face; /* first: what a pin lends */
    size_t reference_count;             /* pins, and 1 while it is the newest; under the mutex */
    struct lum__shared_array *chunks, *transactions;
    struct lum__shared_array *folded_ids; /* NULL: none */
    struct lum__row_table *rows;          /* NULL: none */
    uint64_t generation;                  /* folds that replaced chunks before it was published */
    struct lum__version *older, *newer;   /* those that are alive; under the mutex */
};

LUM_MUST_USE lum_status lum__shared_array_create(size_t capacity, size_t element_bytes, struct lum__shared_array **out);
const struct lum__version *lum__catalogue_newest(const struct lum__catalogue *catalogue);
/* Makes version (its face and arrays are set, references not counted yet) the newest. Locks. */
void lum__catalogue_publish(struct lum__catalogue *catalogue, struct lum__version *version);

#endif
