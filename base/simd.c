#include "base/simd.h"

#include <stdlib.h>
#include <string.h>

const char *lum__simd_name(enum lum__simd level)
{
    static const char *const names[LUM__SIMD_COUNT] = {"baseline", "avx2", "avx512"};
    return names[level];
}

enum lum__simd lum__simd_find(const char *name)
{
    enum lum__simd level = LUM__SIMD_BASELINE;

    while (level < LUM__SIMD_COUNT && strcmp(name, lum__simd_name(level)) != 0) ++level;
    return level;
}

bool lum__simd_has(enum lum__simd level)
{
    if (level == LUM__SIMD_BASELINE) return true;
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool has_avx2 =
        __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("sse4.2");
    if (level == LUM__SIMD_AVX2) return has_avx2;
    /* AVX-512 without VPCLMULQDQ (before Ice Lake and Zen 4) clocks down and has the slower CRC: not worth a level. */
    return level == LUM__SIMD_AVX512 && has_avx2 && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("vpclmulqdq");
#else
    return false;
#endif
}

enum lum__simd lum__simd_best(void)
{
    enum lum__simd best = LUM__SIMD_BASELINE;
    const char *limit = getenv("LUM_SIMD");

    for (enum lum__simd level = LUM__SIMD_BASELINE; level < LUM__SIMD_COUNT; ++level) {
        if (lum__simd_has(level)) best = level;
        if (limit != NULL && strcmp(limit, lum__simd_name(level)) == 0) break;
    }
    return best;
}
