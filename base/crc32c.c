/* base/crc32c.c - ISA-L's crc32_iscsi computes the bare remainder; the standard's initial value and final xor are added here. */
#include "base/crc32c.h"

#include <isa-l/crc.h>

enum { CRC_CALL_BYTES_MAX = 1 << 30 }; /* crc32_iscsi takes an int */

uint32_t lum__crc32c(uint32_t previous, const void *bytes, size_t byte_count)
{
    const uint8_t *at = bytes;
    uint32_t state = ~previous;

    while (byte_count > 0) {
        size_t part_bytes = byte_count < CRC_CALL_BYTES_MAX ? byte_count : CRC_CALL_BYTES_MAX;

        state = crc32_iscsi((unsigned char *)(uintptr_t)at, (int)part_bytes, state); /* only reads: its const is missing */
        at += part_bytes;
        byte_count -= part_bytes;
    }
    return ~state;
}

/* Polynomials over GF(2), reflected: bit 31 is x^0. Appending n bytes to a message multiplies its remainder by x^(8n). */
enum { POLYNOMIAL_DEGREE = 32 };
static const uint32_t polynomial = 0x82f63b78u;

/* x^(8 * 2^k) modulo the polynomial, for k = 0..63; tests/unit/crc32c_test.c computes them again. */
static const uint32_t x_to_bytes[64] = {
    0x00800000u, 0x00008000u, 0x82f63b78u, 0x6ea2d55cu, 0x18b8ea18u, 0x510ac59au, 0xb82be955u, 0xb8fdb1e7u,
    0x88e56f72u, 0x74c360a4u, 0xe4172b16u, 0x0d65762au, 0x35d73a62u, 0x28461564u, 0xbf455269u, 0xe2ea32dcu,
    0xfe7740e6u, 0xf946610bu, 0x3c204f8fu, 0x538586e3u, 0x59726915u, 0x734d5309u, 0xbc1ac763u, 0x7d0722ccu,
    0xd289cabeu, 0xe94ca9bcu, 0x05b74f3fu, 0xa51e1f42u, 0x40000000u, 0x20000000u, 0x08000000u, 0x00800000u,
    0x00008000u, 0x82f63b78u, 0x6ea2d55cu, 0x18b8ea18u, 0x510ac59au, 0xb82be955u, 0xb8fdb1e7u, 0x88e56f72u,
    0x74c360a4u, 0xe4172b16u, 0x0d65762au, 0x35d73a62u, 0x28461564u, 0xbf455269u, 0xe2ea32dcu, 0xfe7740e6u,
    0xf946610bu, 0x3c204f8fu, 0x538586e3u, 0x59726915u, 0x734d5309u, 0xbc1ac763u, 0x7d0722ccu, 0xd289cabeu,
    0xe94ca9bcu, 0x05b74f3fu, 0xa51e1f42u, 0x40000000u, 0x20000000u, 0x08000000u, 0x00800000u, 0x00008000u,
};

static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;

    for (int bit = POLYNOMIAL_DEGREE - 1; bit >= 0; bit--) {
        product ^= b & (0u - (a >> bit & 1u));
        b = (b >> 1) ^ (polynomial & (0u - (b & 1u)));
    }
    return product;
}

uint32_t lum__crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t bytes_b)
{
    /* Initial value and final xor of a and b cancel out: the remainder of "a then zeros" xor that of b. */
    for (uint32_t k = 0; bytes_b != 0; k++, bytes_b >>= 1) {
        if (bytes_b & 1u) crc_a = multiply(x_to_bytes[k], crc_a);
    }
    return crc_a ^ crc_b;
}
