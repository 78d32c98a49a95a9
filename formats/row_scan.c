/* The choice of kernel, and the row scanners through it. */
#include "formats/row_scan.h"

#include <pthread.h>
#include <stdatomic.h>

#include "formats/text_kernel.h"

static const struct lum__text_kernel *chosen;
static _Atomic(const struct lum__text_kernel *) forced; /* relaxed: only tests set it, before they start threads */
static pthread_once_t chosen_once = PTHREAD_ONCE_INIT;

const struct lum__text_kernel *lum__text_kernel_of(enum lum__simd level)
{
    static const struct lum__text_kernel *const kernels[] = {
        &lum__text_kernel_baseline,
#if defined(__x86_64__)
        &lum__text_kernel_avx2,
        &lum__text_kernel_avx512,
#endif
    };
    return lum__simd_has(level) ? kernels[level] : NULL;
}

static void choose_kernel(void) { chosen = lum__text_kernel_of(lum__simd_best()); }

const struct lum__text_kernel *lum__text_kernel_current(void)
{
    const struct lum__text_kernel *kernel = atomic_load_explicit(&forced, memory_order_relaxed);

    if (kernel != NULL) return kernel;
    (void)pthread_once(&chosen_once, choose_kernel);
    return chosen;
}

void lum__text_kernel_force(const struct lum__text_kernel *kernel)
{
    atomic_store_explicit(&forced, kernel, memory_order_relaxed);
}

size_t lum__csv_scan(struct lum__row_scanner *scanner, const uint8_t *bytes, size_t byte_count, uint64_t rows_max)
{
    return lum__text_kernel_current()->csv_scan(scanner, bytes, byte_count, rows_max);
}

size_t lum__lines_scan(struct lum__row_scanner *scanner, const uint8_t *bytes, size_t byte_count, uint64_t rows_max)
{
    return lum__text_kernel_current()->lines_scan(scanner, bytes, byte_count, rows_max);
}

uint64_t lum__count_lines(const uint8_t *bytes, size_t byte_count, bool last_was_cr)
{
    return lum__text_kernel_current()->count_lines(bytes, byte_count, last_was_cr);
}
