/* base/simd.h - the instruction levels that a SIMD source is compiled for (lum_simd_source in CMakeLists.txt), and
 * which of them this CPU has. */
#ifndef LUM_BASE_SIMD_H
#define LUM_BASE_SIMD_H

#include <stdbool.h>

enum lum__simd { LUM__SIMD_BASELINE, LUM__SIMD_AVX2, LUM__SIMD_AVX512, LUM__SIMD_COUNT };

/* "baseline", "avx2", "avx512" */
const char *lum__simd_name(enum lum__simd level);
/* The level of that name, LUM__SIMD_COUNT if there is none. */
enum lum__simd lum__simd_find(const char *name);

/* Whether this CPU may run it. */
bool lum__simd_has(enum lum__simd level);
/* The best level of the CPU that is not above the environment's LUM_SIMD. An unknown name there is no reason to fail:
 * it is ignored. */
enum lum__simd lum__simd_best(void);

#endif
