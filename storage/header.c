/* storage/header.c - the first block of every file of a store (docs/format.md section 1). */
#include "storage/header.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/status.h"

enum {
    AT_MAGIC = 0,
    AT_VERSION = 8,
    AT_HEADER_BYTES = 12,
    AT_STORE_ID = 16,
    AT_FEATURES_IGNORE = 32,
    AT_FEATURES_READ_ONLY = 40,
    AT_FEATURES_REFUSE = 48,
    AT_NUMBER = 56,
    AT_EPOCH = 64,
    AT_TIMESTAMP = 72,
    AT_CRC = 508,
    MAGIC_BYTES = 8,
};

static const char magics[][MAGIC_BYTES + 1] = {
    [LUM__FILE_STATE] = "LUMSTATE",
    [LUM__FILE_CHECKPOINT] = "LUMCKPT1",
    [LUM__FILE_WAL] = "LUMWALS1",
    [LUM__FILE_DATA] = "LUMDATA1",
};

void lum__header_encode(const struct lum__file_header *header, uint8_t block[LUM__BLOCK_BYTES])
{
    LUM_ASSERT(header->kind <= LUM__FILE_DATA);
    LUM_ASSERT((header->kind == LUM__FILE_STATE) == (header->number == 0));
    memset(block, 0, LUM__BLOCK_BYTES);
    memcpy(block + AT_MAGIC, magics[header->kind], MAGIC_BYTES);
    lum__put_u32(block + AT_VERSION, LUM__FORMAT_VERSION);
    lum__put_u32(block + AT_HEADER_BYTES, LUM__HEADER_BYTES);
    memcpy(block + AT_STORE_ID, header->store_id, sizeof header->store_id);
    lum__put_u64(block + AT_FEATURES_IGNORE, header->features_ignore);
    lum__put_u64(block + AT_FEATURES_READ_ONLY, header->features_read_only);
    lum__put_u64(block + AT_FEATURES_REFUSE, header->features_refuse);
    lum__put_u64(block + AT_NUMBER, header->number);
    lum__put_u64(block + AT_EPOCH, header->epoch);
    lum__put_u64(block + AT_TIMESTAMP, header->timestamp);
}

void lum__header_seal(uint8_t block[LUM__BLOCK_BYTES]) { lum__put_u32(block + AT_CRC, lum__crc32c(0, block, AT_CRC)); }

/* Conditions 1-3: is this a header, undamaged, that this version understands? */
static lum_status check_form(const uint8_t *block, enum lum__file_kind kind, const char *file)
{
    if (memcmp(block + AT_MAGIC, magics[kind], MAGIC_BYTES) != 0) {
        return lum__corrupt(file, AT_MAGIC, 1, "%s does not begin with %s", file, magics[kind]);
    }
    uint32_t crc = lum__crc32c(0, block, AT_CRC);
    if (lum__get_u32(block + AT_CRC) != crc) {
        return lum__corrupt(file, AT_CRC, 2, "the header of %s fails its CRC", file);
    }
    uint32_t version = lum__get_u32(block + AT_VERSION);
    uint32_t header_bytes = lum__get_u32(block + AT_HEADER_BYTES);
    uint64_t features_refuse = lum__get_u64(block + AT_FEATURES_REFUSE);
    if (version != LUM__FORMAT_VERSION || header_bytes != LUM__HEADER_BYTES) {
        return lum__unsupported(file, AT_VERSION, 3,
                                "%s has format version %u (header of %u bytes); this program knows version %d", file,
                                version, header_bytes, LUM__FORMAT_VERSION);
    }
    if (features_refuse != 0) {
        return lum__unsupported(file, AT_FEATURES_REFUSE, 3,
                                "%s needs features (0x%llx) that this program does not have", file,
                                (unsigned long long)features_refuse);
    }
    return LUM_OK;
}

lum_status lum__header_decode(const uint8_t block[LUM__BLOCK_BYTES], enum lum__file_kind kind, const uint8_t *store_id,
                              uint64_t number, const char *file, struct lum__file_header *out)
{
    memset(out, 0, sizeof *out);
    LUM_TRY(check_form(block, kind, file));
    if (store_id != NULL && memcmp(block + AT_STORE_ID, store_id, 16) != 0) {
        return lum__fail_at(__FILE__, __LINE__, LUM_ERR_FOREIGN, 0, file, AT_STORE_ID, 4, "%s belongs to another store",
                            file);
    }
    uint64_t own_number = lum__get_u64(block + AT_NUMBER);
    bool is_number_right = kind == LUM__FILE_STATE ? own_number == 0 : own_number != 0;
    if (number != 0 && own_number != number) is_number_right = false;
    if (!is_number_right) {
        return lum__corrupt(file, AT_NUMBER, 5, "%s is number %llu by its header: it was renamed or swapped", file,
                            (unsigned long long)own_number);
    }
    if (kind != LUM__FILE_STATE && !lum__is_zero(block + LUM__HEADER_BYTES, LUM__BLOCK_BYTES - LUM__HEADER_BYTES)) {
        return lum__corrupt(file, LUM__HEADER_BYTES, 6, "the header block of %s is not zero behind its header", file);
    }
    out->kind = kind;
    memcpy(out->store_id, block + AT_STORE_ID, sizeof out->store_id);
    out->number = own_number;
    out->epoch = lum__get_u64(block + AT_EPOCH);
    out->timestamp = lum__get_u64(block + AT_TIMESTAMP);
    out->features_ignore = lum__get_u64(block + AT_FEATURES_IGNORE);
    out->features_read_only = lum__get_u64(block + AT_FEATURES_READ_ONLY);
    out->features_refuse = lum__get_u64(block + AT_FEATURES_REFUSE);
    return LUM_OK;
}

bool lum__name_number(const char *name, const char *prefix, const char *suffix, uint64_t *number)
{
    size_t prefix_bytes = strlen(prefix);
    uint64_t value = 0;
    const char *at;

    *number = 0;
    if (strncmp(name, prefix, prefix_bytes) != 0) return false;
    at = name + prefix_bytes;
    if (*at < '1' || *at > '9') return false;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
            return false;
    }
    if (strcmp(at, suffix) != 0) return false;
    *number = value;
    return true;
}
