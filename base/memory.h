/* base/memory.h - aligned, huge-page buffers that are allocated once and reused; malloc with a status. */
#ifndef LUM_BASE_MEMORY_H
#define LUM_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lum/status.h"

enum { LUM__IO_ALIGNMENT = 4096 };

/* Anonymous memory by mmap, zeroed, 4 KiB aligned (2 MiB when bytes >= 2 MiB, then with MADV_HUGEPAGE); *bytes_mapped is what it
 * costs. Its pages are touched first by whoever fills it (on that thread's memory node). Free with lum__memory_unmap().
 * Statuses: LUM_ERR_NO_MEMORY. Any thread. */
LUM_MUST_USE lum_status lum__memory_map(size_t bytes, void **out, size_t *bytes_mapped);
void lum__memory_unmap(void *memory, size_t bytes_mapped);

/* malloc, calloc, realloc with a status. A count of 0 gives a valid pointer. */
LUM_MUST_USE lum_status lum__alloc(size_t bytes, void **out);
LUM_MUST_USE lum_status lum__alloc_zeroed(size_t count, size_t bytes_each, void **out);

/* malloc of what is touched from its beginning on, as far as it is needed: huge pages, where there are any, cost few page faults.
 * Free with free(). */
LUM_MUST_USE lum_status lum__alloc_huge(size_t bytes, void **out);

/* Grows *array (of *capacity elements) so that at least `needed` fit; doubles. Contents are kept. */
LUM_MUST_USE lum_status lum__grow(void **array, size_t *capacity, size_t needed, size_t bytes_each);

/* Peak resident set of this process in bytes (VmHWM). */
uint64_t lum__memory_peak_bytes(void);

#endif
