/* storage/record.h - the 40-byte LUM: its checksum and its range checks. The struct itself is lum_t in lum/lum.h. */
#ifndef LUM_STORAGE_RECORD_H
#define LUM_STORAGE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lum/lum.h"

/* CRC-32C of the record's 40 bytes with the checksum field (bytes 32..35) taken as zero. docs/format.md "The record". */
uint32_t lum__record_checksum(const lum_t *record);

/* Why a row may not enter a store; LUM__ROW_OK or the first failing rule. */
enum lum__row_fault {
    LUM__ROW_OK = 0,
    LUM__ROW_BAD_PRESENCE,
    LUM__ROW_BAD_STRUCTURE_TYPE,
    LUM__ROW_BAD_IS_DESTROYED,
    LUM__ROW_BAD_RESERVED,
    LUM__ROW_BAD_CHECKSUM, /* a supplied checksum that does not match */
};
const char *lum__row_fault_text(enum lum__row_fault fault);
enum lum__row_fault lum__record_check(const lum_t *record, bool has_checksum);

#endif
