/* storage/header.h - the file header that STATE, checkpoints, log segments and data segments share (format.md section
 * 1). */
#ifndef LUM_STORAGE_HEADER_H
#define LUM_STORAGE_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "lum/status.h"

enum {
    LUM__BLOCK_BYTES = 4096,
    LUM__HEADER_BYTES = 512,
    LUM__HEADER_KIND_OFFSET = 80,
    LUM__FORMAT_VERSION = 1,
};

enum lum__file_kind { LUM__FILE_STATE, LUM__FILE_CHECKPOINT, LUM__FILE_WAL, LUM__FILE_DATA };

struct lum__file_header {
    enum lum__file_kind kind;
    uint8_t store_id[16];
    uint64_t number;
    uint64_t epoch;
    uint64_t timestamp;
    uint64_t features_ignore, features_read_only, features_refuse;
};

/* Fills block (4,096 bytes, zeroed here) with the common fields. The caller then puts the fields of its kind and calls
 * _seal. */
void lum__header_encode(const struct lum__file_header *header, uint8_t block[LUM__BLOCK_BYTES]);
/* Puts the header CRC. */
void lum__header_seal(uint8_t block[LUM__BLOCK_BYTES]);
/* STATE: what lies behind the header is the caller's to check. Checks conditions 1-6 except "reserved bytes" of the kind's own part. store_id NULL: any store is fine (it is
 * returned). number 0: any. file is the path for messages. LUM_ERR_CORRUPT, LUM_ERR_UNSUPPORTED, LUM_ERR_FOREIGN. */
LUM_MUST_USE lum_status lum__header_decode(const uint8_t block[LUM__BLOCK_BYTES], enum lum__file_kind kind,
                                           const uint8_t *store_id, uint64_t number, const char *file,
                                           struct lum__file_header *out);

/* The number in a file name of the form prefix N suffix, N decimal, from 1, without leading zeros. False for any other
 * name. */
bool lum__name_number(const char *name, const char *prefix, const char *suffix, uint64_t *number);

#endif
