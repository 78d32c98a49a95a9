/* storage/page_kernel.c - every loop over a page's values; compiled once per instruction level (storage/page_kernel.h).
 *
 * The build defines LUM_SIMD_LEVEL (baseline, avx2, avx512) and sets the compiler's flags to match. Plain C that the
 * compiler vectorises, GCC vector types where the layout wants a fixed width, intrinsics only for the two
 * transpositions and the CRC. What is written must not depend on the level: tests/unit/page_test.c compares them byte
 * by byte. */
#include "storage/page_kernel.h"

#include <string.h>

#include "base/bytes.h"

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX2__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define JOIN_TOKENS_(a, b) a##b
#define JOIN_TOKENS(a, b)  JOIN_TOKENS_(a, b)
#define TEXT_(a)           #a
#define TEXT(a)            TEXT_(a)
#if defined(__clang__)
#define UNROLL(n) _Pragma(TEXT(clang loop unroll_count(n)))
#else
#define UNROLL(n) _Pragma(TEXT(GCC unroll n))
#endif

/* Smallest and largest value, and their distance in bits, of a block being encoded. Signed ones sign-extended. */
struct block {
    uint64_t min, max;
    uint32_t width;
};

/* A column's values as they are stored where nothing is smaller. */
struct plain {
    const void *values;
    uint32_t byte_count;
};

static inline uint32_t bit_width(uint64_t value) { return value ? 64 - (uint32_t)__builtin_clzll(value) : 0; }

static void put_block(uint8_t *entry, uint64_t base, uint32_t width)
{
    lum__put_u64(entry + LUM__BLOCK_AT_BASE, base);
    entry[LUM__BLOCK_AT_WIDTH] = (uint8_t)width;
}

#include "storage/page_pack.inc"

/* Packs count values minus base (they fit width, at most 32, bits); returns the body's bytes. */
static uint32_t pack_lanes(struct lum__page_scratch *scratch, const uint32_t *values, uint32_t count, uint32_t width,
                           uint32_t base, uint8_t *body)
{
    uint32_t bytes = lum__page_lane_bytes(count, width, 32);
    if (count == LUM__BLOCK_VALUES) {
        pack32(values, body, width, base);
        return bytes;
    }
    for (uint32_t i = 0; i < count; i++) scratch->tail[i] = values[i] - base;
    memset(scratch->tail + count, 0, (LUM__BLOCK_VALUES - count) * sizeof *scratch->tail);
    pack32(scratch->tail, scratch->body, width, 0);
    memcpy(body, scratch->body, bytes);
    return bytes;
}

/* Unpacks a body of count values and adds base; the lanes behind them hold anything. Returns the body's bytes. */
static uint32_t unpack_lanes(struct lum__page_scratch *scratch, const uint8_t *body, uint32_t count, uint32_t width,
                             uint32_t base, uint32_t *lanes)
{
    uint32_t bytes = lum__page_lane_bytes(count, width, 32);
    if (count == LUM__BLOCK_VALUES) {
        unpack32(body, lanes, width, base);
    } else {
        memcpy(scratch->body, body, bytes); /* a full block of this width may be longer than what is left of the page */
        unpack32(scratch->body, lanes, width, base);
    }
    return bytes;
}

/* out[i] = in[i] + out[i - 1] from i = 0 on; out[-1] is there. in may be out. */
static void prefix_sum_u32(uint32_t *out, const uint32_t *in, uint32_t count)
{
    uint32_t sum = out[-1], i = 0;
#if defined(__AVX512F__)
    const __m512i zero = _mm512_setzero_si512(), last = _mm512_set1_epi32(15);
    __m512i carry = _mm512_set1_epi32((int)sum);
    for (; i + 16 <= count; i += 16) {
        __m512i v = _mm512_loadu_si512(in + i);
        v = _mm512_add_epi32(v, _mm512_alignr_epi32(v, zero, 15));
        v = _mm512_add_epi32(v, _mm512_alignr_epi32(v, zero, 14));
        v = _mm512_add_epi32(v, _mm512_alignr_epi32(v, zero, 12));
        v = _mm512_add_epi32(v, _mm512_alignr_epi32(v, zero, 8));
        _mm512_storeu_si512(out + i, _mm512_add_epi32(v, carry));
        carry = _mm512_add_epi32(carry, _mm512_permutexvar_epi32(last, v));
    }
    sum = (uint32_t)_mm512_cvtsi512_si32(carry);
#elif defined(__AVX2__)
    const __m256i fourth = _mm256_set1_epi32(3), last = _mm256_set1_epi32(7), zero = _mm256_setzero_si256();
    __m256i carry = _mm256_set1_epi32((int)sum);
    for (; i + 8 <= count; i += 8) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(in + i));
        v = _mm256_add_epi32(v, _mm256_slli_si256(v, 4)); /* within each half */
        v = _mm256_add_epi32(v, _mm256_slli_si256(v, 8));
        v = _mm256_add_epi32(v, _mm256_blend_epi32(zero, _mm256_permutevar8x32_epi32(v, fourth), 0xf0));
        _mm256_storeu_si256((__m256i *)(out + i), _mm256_add_epi32(v, carry));
        carry = _mm256_add_epi32(carry, _mm256_permutevar8x32_epi32(v, last));
    }
    sum = (uint32_t)_mm256_cvtsi256_si32(carry);
#endif
    for (; i < count; i++) out[i] = sum += in[i];
}

static void prefix_sum_u64(uint64_t *out, const uint64_t *in, uint32_t count)
{
    uint64_t sum = out[-1];
    for (uint32_t i = 0; i < count; i++) out[i] = sum += in[i];
}

/* A packed 64-bit column whose values span less than 2^30: decoded as 32-bit offsets from its min. */
static inline bool has_small_span(const struct lum__page_descriptor *descriptor)
{
    return descriptor->encoding >= LUM__ENCODING_FOR &&
           descriptor->value_max - descriptor->value_min < UINT64_C(1) << 30;
}

#define VALUE uint32_t
#define ORDERED int32_t
#define SIGNED  int32_t
#define WIDE    0
#define NAME(x) x##_u32
#include "storage/page_column.inc"
#undef VALUE
#undef ORDERED
#undef SIGNED
#undef WIDE
#undef NAME

#define VALUE uint64_t
#define ORDERED uint64_t
#define SIGNED  int64_t
#define WIDE    1
#define NAME(x) x##_u64
#include "storage/page_column.inc"
#undef VALUE
#undef ORDERED
#undef SIGNED
#undef WIDE
#undef NAME

#include "storage/page_column8.inc"
#include "storage/page_rows.inc"
#include "storage/page_words.inc"

/* Larger and larger, at 17 rows in equal distances. */
static bool seems_ascending(const uint64_t *id, uint32_t row_count)
{
    uint32_t apart = (row_count - 1) / 16;
    for (uint32_t i = 0; i < 16; i++)
        if (id[i * apart] >= id[(i + 1) * apart]) return false;
    return true;
}

/* Ids that go round (devices in turn): the distance of the first repeat, checked at some rows. Small distances give way
 * to a multiple of at least 16, whose rows can be added a vector at a time. */
static uint32_t find_lag(const uint64_t *id, uint32_t row_count)
{
    enum { LANES = VECTOR_BYTES / 8, STEP = 8 * LANES };
    if (row_count < 64 || id[row_count - 1] - id[0] == (id[1] - id[0]) * (row_count - 1))
        return 0; /* ids in steps do not repeat */
    if (seems_ascending(id, row_count)) return 0; /* nor do these */
    const vector64 first = (vector64){0} + id[0];
    uint32_t lag = 0, begin = 1;
    for (; begin + STEP <= row_count; begin += STEP) {
        vector64 equal = {0};
        uint64_t any = 0;
        for (uint32_t i = 0; i < STEP; i += LANES) equal |= (vector64)(load64(id + begin + i) == first);
        for (uint32_t i = 0; i < LANES; i++) any |= equal[i];
        if (any) break;
    }
    for (; begin < row_count && !lag; begin++)
        if (id[begin] == id[0]) lag = begin;
    if (lag && lag < 16) lag *= (15 + lag) / lag;
    if (!lag || lag + 32 > row_count) return 0;
    uint32_t apart = (row_count - lag) / 16;
    for (uint32_t i = 0; i < 16; i++)
        if (id[lag + i * apart] != id[i * apart]) return 0;
    return lag;
}

static bool encode_column_as(struct lum__page_scratch *scratch, const void *values, uint32_t row_count,
                             uint8_t encoding, uint32_t lag, uint8_t *out, struct lum__page_descriptor *descriptor)
{
    if (encoding == LUM__ENCODING_DELTA && (lag < 1 || lag >= row_count)) return false;
    if (encoding == LUM__ENCODING_DELTA_HEAD && (lag < 2 || lag >= row_count)) return false;
    if (descriptor->type == LUM__TYPE_U64)
        return encode_u64(scratch, values, row_count, lag, encoding, out, descriptor);
    if (descriptor->type == LUM__TYPE_I32)
        return encode_u32(scratch, values, row_count, lag, encoding, out, descriptor);
    encode_u8(scratch, values, row_count, encoding, out, descriptor);
    return encoding == 0 || descriptor->encoding == encoding;
}

static void encode_column(struct lum__page_scratch *scratch, const void *values, uint32_t row_count, uint32_t lag_hint,
                          uint8_t *out, struct lum__page_descriptor *descriptor)
{
    encode_column_as(scratch, values, row_count, 0, lag_hint, out, descriptor);
}

static bool decode_column(struct lum__page_scratch *scratch, const uint8_t *page,
                          const struct lum__page_descriptor *descriptor, uint32_t row_count, void *values)
{
    if (descriptor->type == LUM__TYPE_U64) return decode_u64(scratch, page, descriptor, row_count, values);
    if (descriptor->type == LUM__TYPE_I32) return decode_u32(scratch, page, descriptor, row_count, values);
    return decode_u8(scratch, page, descriptor, row_count, values);
}

const struct lum__page_kernel JOIN_TOKENS(lum__page_kernel_, LUM_SIMD_LEVEL) = {
    .name = TEXT(LUM_SIMD_LEVEL),
    .split = split_rows,
    .join = join_rows,
    .checksum = checksum_columns,
    .find_lag = find_lag,
    .encode_column = encode_column,
    .encode_column_as = encode_column_as,
    .decode_column = decode_column,
    .decode_words = decode_words,
    .flag_words = flag_words,
};
