#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/status.h"

static const size_t huge_page_bytes = 2u << 20;

/* Maps bytes (a multiple of the alignment) at an address that is one: maps more and gives back what sticks out. */
static void *map_aligned(size_t bytes, size_t alignment)
{
    size_t slack = alignment > (size_t)LUM__IO_ALIGNMENT ? alignment : 0;
    uint8_t *raw = mmap(NULL, bytes + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (raw == MAP_FAILED) return NULL;
    uint8_t *aligned = (uint8_t *)(uintptr_t)lum__round_up((uint64_t)(uintptr_t)raw, alignment);
    size_t before = (size_t)(aligned - raw);
    size_t after = slack - before;
    if (before > 0) (void)munmap(raw, before);
    if (after > 0) (void)munmap(aligned + bytes, after);
    return aligned;
}

lum_status lum__memory_map(size_t bytes, void **out, size_t *bytes_mapped)
{
    size_t alignment = bytes >= huge_page_bytes ? huge_page_bytes : (size_t)LUM__IO_ALIGNMENT;

    *out = NULL;
    *bytes_mapped = 0;
    if (bytes > SIZE_MAX / 2) return lum__fail(LUM_ERR_NO_MEMORY, "%zu bytes of memory are more than there can be", bytes);
    size_t rounded = (size_t)lum__round_up(bytes > 0 ? bytes : 1, alignment);
    void *memory = map_aligned(rounded, alignment);
    if (memory == NULL) return lum__fail_errno(ENOMEM, NULL, LUM_NO_OFFSET, "no memory for a buffer of %zu bytes", rounded);
    if (alignment == huge_page_bytes) (void)madvise(memory, rounded, MADV_HUGEPAGE); /* only a wish: slower without */
    *out = memory;
    *bytes_mapped = rounded;
    return LUM_OK;
}

void lum__memory_unmap(void *memory, size_t bytes_mapped)
{
    if (memory == NULL) return;
    int result = munmap(memory, bytes_mapped);
    LUM_ASSERT(result == 0);
}

lum_status lum__alloc(size_t bytes, void **out)
{
    *out = malloc(bytes > 0 ? bytes : 1);
    if (*out == NULL) return lum__fail_errno(ENOMEM, NULL, LUM_NO_OFFSET, "no memory for %zu bytes", bytes);
    return LUM_OK;
}

lum_status lum__alloc_huge(size_t bytes, void **out)
{
    if (bytes < huge_page_bytes) return lum__alloc(bytes, out);
    size_t rounded = (size_t)lum__round_up(bytes, huge_page_bytes);
    *out = NULL;
    if (rounded < bytes || posix_memalign(out, huge_page_bytes, rounded) != 0)
        return lum__fail_errno(ENOMEM, NULL, LUM_NO_OFFSET, "no memory for %zu bytes", bytes);
    (void)madvise(*out, rounded, MADV_HUGEPAGE); /* only a wish */
    return LUM_OK;
}

lum_status lum__alloc_zeroed(size_t count, size_t bytes_each, void **out)
{
    *out = calloc(count > 0 ? count : 1, bytes_each > 0 ? bytes_each : 1); /* checks the product */
    if (*out == NULL) return lum__fail_errno(ENOMEM, NULL, LUM_NO_OFFSET, "no memory for %zu x %zu bytes", count, bytes_each);
    return LUM_OK;
}

lum_status lum__grow(void **array, size_t *capacity, size_t needed, size_t bytes_each)
{
    enum { CAPACITY_MIN = 16 };

    LUM_ASSERT(bytes_each > 0);
    LUM_ASSERT(*array != NULL || *capacity == 0);
    if (needed <= *capacity) return LUM_OK;
    size_t wanted = *capacity <= SIZE_MAX / 2 ? *capacity * 2 : needed;
    if (wanted < needed) wanted = needed;
    if (wanted < CAPACITY_MIN) wanted = CAPACITY_MIN;
    if (wanted > SIZE_MAX / bytes_each) {
        return lum__fail_errno(ENOMEM, NULL, LUM_NO_OFFSET, "no memory for %zu x %zu bytes", wanted, bytes_each);
    }
    void *grown = realloc(*array, wanted * bytes_each);
    if (grown == NULL) {
        return lum__fail_errno(ENOMEM, NULL, LUM_NO_OFFSET, "no memory for %zu x %zu bytes", wanted, bytes_each);
    }
    *array = grown;
    *capacity = wanted;
    return LUM_OK;
}

uint64_t lum__memory_peak_bytes(void)
{
    struct rusage usage = {0};
    unsigned long long kibibytes = 0;
    char line[128];
    FILE *file = fopen("/proc/self/status", "re");

    if (file != NULL) {
        while (fgets(line, sizeof line, file) != NULL) {
            if (sscanf(line, "VmHWM: %llu kB", &kibibytes) == 1) break;
        }
        (void)fclose(file);
    }
    if (kibibytes == 0 && getrusage(RUSAGE_SELF, &usage) == 0) kibibytes = (unsigned long long)usage.ru_maxrss;
    return (uint64_t)kibibytes * 1024u;
}
