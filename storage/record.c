/* storage/record.c - the checks and the checksum of one LUM. Pages compute checksums in bulk: storage/page_rows.inc. */
#include "storage/record.h"

#include <pthread.h>
#include <string.h>

#include "base/bytes.h"
#include "storage/page_kernel.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* lum_t is read and written as it lies in memory, by users (the raw format) and by us: that needs a little-endian
 * machine. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "lum runs on little-endian machines only");
_Static_assert(sizeof(lum_t) == 40, "no padding");
_Static_assert(offsetof(lum_t, id) == 0 && offsetof(lum_t, timestamp) == 8 && offsetof(lum_t, memory_address) == 16,
               "docs/format.md");
_Static_assert(offsetof(lum_t, position_x) == 24 && offsetof(lum_t, position_y) == 28 &&
                   offsetof(lum_t, checksum) == 32,
               "docs/format.md");
_Static_assert(offsetof(lum_t, presence) == 36 && offsetof(lum_t, structure_type) == 37, "docs/format.md");
_Static_assert(offsetof(lum_t, is_destroyed) == 38 && offsetof(lum_t, reserved) == 39, "docs/format.md");

/* table[k][b]: the CRC-32C register after byte b and k zero bytes, from 0. */
static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void table_fill(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
        table[0][byte] = crc;
    }
    for (int zeros = 1; zeros < 8; zeros++)
        for (uint32_t byte = 0; byte < 256; byte++)
            table[zeros][byte] = table[zeros - 1][byte] >> 8 ^ table[0][table[zeros - 1][byte] & 255];
}

uint32_t lum__record_checksum_words(const uint64_t words[5])
{
    pthread_once(&table_once, table_fill);
    uint32_t crc = UINT32_MAX;
    for (int word = 0; word < 5; word++) {
        uint64_t x = words[word];
        if (word == 4) x &= UINT64_C(0xffffffff00000000); /* the checksum field counts as zero */
        x ^= crc;
        crc = 0;
        for (int byte = 0; byte < 8; byte++) crc ^= table[7 - byte][x >> 8 * byte & 255];
    }
    return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t checksum_by_instruction(const lum_t *record)
{
    const uint8_t *bytes = (const uint8_t *)record;
    uint64_t crc = UINT32_MAX;
    for (int word = 0; word < 4; word++) crc = _mm_crc32_u64(crc, lum__get_u64(bytes + 8 * word));
    return ~(uint32_t)_mm_crc32_u64(crc, (uint64_t)lum__get_u32(bytes + 36) << 32);
}
#endif

uint32_t lum__record_checksum(const lum_t *record)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) return checksum_by_instruction(record);
#endif
    uint64_t words[5];
    memcpy(words, record, sizeof words);
    return lum__record_checksum_words(words);
}

uint32_t lum_record_checksum(const lum_t *record) { return lum__record_checksum(record); }

const char *lum__row_fault_text(enum lum__row_fault fault)
{
    switch (fault) {
    case LUM__ROW_OK: return "the row is fine";
    case LUM__ROW_BAD_PRESENCE: return "presence is neither 0 nor 1";
    case LUM__ROW_BAD_STRUCTURE_TYPE: return "structure_type is not in 0..5";
    case LUM__ROW_BAD_IS_DESTROYED: return "is_destroyed is neither 0 nor 1";
    case LUM__ROW_BAD_RESERVED: return "the reserved byte is not 0";
    case LUM__ROW_BAD_CHECKSUM: return "the checksum does not match the row";
    }
    return "unknown fault";
}

enum lum__row_fault lum__record_check(const lum_t *record, bool has_checksum)
{
    if (record->presence > 1) return LUM__ROW_BAD_PRESENCE;
    if (record->structure_type > LUM_STRUCTURE_TYPE_MAX) return LUM__ROW_BAD_STRUCTURE_TYPE;
    if (record->is_destroyed > 1) return LUM__ROW_BAD_IS_DESTROYED;
    if (record->reserved != 0) return LUM__ROW_BAD_RESERVED;
    if (has_checksum && record->checksum != lum__record_checksum(record)) return LUM__ROW_BAD_CHECKSUM;
    return LUM__ROW_OK;
}
