/* formats/csv_block.h - which of 64 bytes are equal to one, as a bit mask (bit 0: the first byte). The wide compare of
 * everything that looks for structure in text. */
#ifndef LUM_FORMATS_CSV_BLOCK_H
#define LUM_FORMATS_CSV_BLOCK_H

#include <stdint.h>

#include "base/bytes.h"

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

struct lum__block64 {
#if defined(__AVX512BW__)
    __m512i part[1];
#elif defined(__AVX2__)
    __m256i part[2];
#elif defined(__SSE2__)
    __m128i part[4];
#else
    uint64_t part[8];
#endif
};

static inline struct lum__block64 lum__block64_load(const uint8_t *at)
{
    struct lum__block64 block;
#if defined(__AVX512BW__)
    block.part[0] = _mm512_loadu_si512((const void *)at);
#elif defined(__AVX2__)
    for (int i = 0; i < 2; ++i) block.part[i] = _mm256_loadu_si256((const __m256i *)(const void *)(at + 32 * i));
#elif defined(__SSE2__)
    for (int i = 0; i < 4; ++i) block.part[i] = _mm_loadu_si128((const __m128i *)(const void *)(at + 16 * i));
#else
    for (int i = 0; i < 8; ++i) block.part[i] = lum__get_u64(at + 8 * i);
#endif
    return block;
}

static inline uint64_t lum__block64_equal(const struct lum__block64 *block, char c)
{
    uint64_t mask = 0;
#if defined(__AVX512BW__)
    mask = _mm512_cmpeq_epi8_mask(block->part[0], _mm512_set1_epi8(c));
#elif defined(__AVX2__)
    for (int i = 0; i < 2; ++i) {
        __m256i equal = _mm256_cmpeq_epi8(block->part[i], _mm256_set1_epi8(c));
        mask |= (uint64_t)(uint32_t)_mm256_movemask_epi8(equal) << (32 * i);
    }
#elif defined(__SSE2__)
    for (int i = 0; i < 4; ++i) {
        __m128i equal = _mm_cmpeq_epi8(block->part[i], _mm_set1_epi8(c));
        mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(equal) << (16 * i);
    }
#else
    const uint64_t ones = 0x0101010101010101u, sevens = 0x7f7f7f7f7f7f7f7fu;
    for (int i = 0; i < 8; ++i) {
        uint64_t differs = block->part[i] ^ ones * (uint8_t)c;
        uint64_t zero = ~(((differs & sevens) + sevens) | differs | sevens); /* 0x80 in every byte that is equal */
        mask |= ((zero >> 7) * 0x0102040810204080u >> 56) << (8 * i);        /* gather the eight bits */
    }
#endif
    return mask;
}

/* Which are equal to one of two. */
static inline uint64_t lum__block64_equal_either(const struct lum__block64 *block, char a, char b)
{
#if defined(__AVX2__) && !defined(__AVX512BW__)
    uint64_t mask = 0;
    for (int i = 0; i < 2; ++i) {
        __m256i equal = _mm256_or_si256(_mm256_cmpeq_epi8(block->part[i], _mm256_set1_epi8(a)),
                                        _mm256_cmpeq_epi8(block->part[i], _mm256_set1_epi8(b)));
        mask |= (uint64_t)(uint32_t)_mm256_movemask_epi8(equal) << (32 * i);
    }
    return mask;
#elif defined(__SSE2__) && !defined(__AVX2__)
    uint64_t mask = 0;
    for (int i = 0; i < 4; ++i) {
        __m128i equal = _mm_or_si128(_mm_cmpeq_epi8(block->part[i], _mm_set1_epi8(a)),
                                     _mm_cmpeq_epi8(block->part[i], _mm_set1_epi8(b)));
        mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(equal) << (16 * i);
    }
    return mask;
#else
    return lum__block64_equal(block, a) | lum__block64_equal(block, b);
#endif
}

/* Bytes below a blank, or not ASCII. */
static inline uint64_t lum__block64_odd(const struct lum__block64 *block)
{
    uint64_t mask = 0;
#if defined(__AVX512BW__) /* as signed numbers, bytes from 0x80 on are below a blank too */
    mask = _mm512_cmplt_epi8_mask(block->part[0], _mm512_set1_epi8(' '));
#elif defined(__AVX2__)
    for (int i = 0; i < 2; ++i) {
        __m256i below = _mm256_cmpgt_epi8(_mm256_set1_epi8(' '), block->part[i]);
        mask |= (uint64_t)(uint32_t)_mm256_movemask_epi8(below) << (32 * i);
    }
#elif defined(__SSE2__)
    for (int i = 0; i < 4; ++i) {
        __m128i below = _mm_cmplt_epi8(block->part[i], _mm_set1_epi8(' '));
        mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(below) << (16 * i);
    }
#else
    const uint64_t sevens = 0x7f7f7f7f7f7f7f7fu;
    for (int i = 0; i < 8; ++i) {
        uint64_t word = block->part[i];
        uint64_t odd = (~((word & sevens) + 0x6060606060606060u) | word) & ~sevens; /* 0x80 in every byte that is odd */
        mask |= ((odd >> 7) * 0x0102040810204080u >> 56) << (8 * i);                /* gather the eight bits */
    }
#endif
    return mask;
}

#endif
