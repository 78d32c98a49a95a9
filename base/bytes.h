/* base/bytes.h - little-endian integers to and from bytes. Nothing on disk is written any other way. */
#ifndef LUM_BASE_BYTES_H
#define LUM_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LUM__LE(bits, value) (value)
#else
#define LUM__LE(bits, value) __builtin_bswap##bits(value)
#endif

static inline uint16_t lum__get_u16(const uint8_t *at) { uint16_t v; memcpy(&v, at, sizeof v); return LUM__LE(16, v); }
static inline uint32_t lum__get_u32(const uint8_t *at) { uint32_t v; memcpy(&v, at, sizeof v); return LUM__LE(32, v); }
static inline uint64_t lum__get_u64(const uint8_t *at) { uint64_t v; memcpy(&v, at, sizeof v); return LUM__LE(64, v); }
static inline void lum__put_u16(uint8_t *at, uint16_t v) { v = LUM__LE(16, v); memcpy(at, &v, sizeof v); }
static inline void lum__put_u32(uint8_t *at, uint32_t v) { v = LUM__LE(32, v); memcpy(at, &v, sizeof v); }
static inline void lum__put_u64(uint8_t *at, uint64_t v) { v = LUM__LE(64, v); memcpy(at, &v, sizeof v); }

/* Rounds up to a multiple of a power of two. */
static inline uint64_t lum__round_up(uint64_t value, uint64_t power_of_two)
{
    return (value + power_of_two - 1) & ~(power_of_two - 1);
}

/* True if all bytes are zero. */
static inline bool lum__is_zero(const uint8_t *at, size_t bytes)
{
    return bytes == 0 || (at[0] == 0 && memcmp(at, at + 1, bytes - 1) == 0);
}

#endif
