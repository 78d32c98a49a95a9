/* base/crc32c.h - CRC-32C (Castagnoli, RFC 3720 appendix B.4: reflected, initial value and final xor all ones) by ISA-L. */
#ifndef LUM_BASE_CRC32C_H
#define LUM_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32C of bytes, continuing from a previous result (0 to begin): crc32c(crc32c(0, a), b) == crc32c(0, ab). */
uint32_t lum__crc32c(uint32_t previous, const void *bytes, size_t byte_count);

/* The CRC-32C of a followed by b, from the CRCs of both and the length of b in bytes. (zlib's crc32_combine method.) */
uint32_t lum__crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t bytes_b);

#endif
