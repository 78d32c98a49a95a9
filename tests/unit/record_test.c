/* Proves that a LUM's checksum is the CRC-32C of its 40 bytes with the checksum field as zero, computed alike by every
 * way we have (one record, tables, whole pages of every instruction level), that every bit of the record counts, and
 * that each rule for rows is checked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "storage/page_kernel.h"
#include "storage/record.h"
#include "support/page_rows.h"

/* Straight from RFC 3720: bit by bit. */
static uint32_t crc32c_by_bits(const uint8_t *bytes, size_t byte_count)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < byte_count; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
    }
    return ~crc;
}

static uint32_t checksum_by_bits(const lum_t *record)
{
    lum_t copy = *record;
    copy.checksum = 0;
    return crc32c_by_bits((const uint8_t *)&copy, sizeof copy);
}

static lum_t random_record(uint64_t *state)
{
    lum_t record;
    uint64_t words[5];
    for (int i = 0; i < 5; i++) words[i] = lum__splitmix64(state);
    memcpy(&record, words, sizeof record);
    return record;
}

static void test_known_values(void **state)
{
    (void)state;
    assert_int_equal(crc32c_by_bits((const uint8_t *)"123456789", 9), 0xe3069283); /* the check value of CRC-32C */
    lum_t zero = {0};
    assert_int_equal(lum_record_checksum(&zero), checksum_by_bits(&zero));
    lum_t record = {.id = 1,
                    .timestamp = 1700000000000000000,
                    .memory_address = 0x7f00deadbeef,
                    .position_x = -5,
                    .position_y = 7,
                    .presence = 1,
                    .structure_type = LUM_STRUCTURE_NODE};
    assert_int_equal(lum_record_checksum(&record), checksum_by_bits(&record));
    assert_int_equal(lum_record_checksum(&record), 0x1508c648); /* pinned: on disk for ever */
}

static void test_all_ways_agree(void **state)
{
    (void)state;
    uint64_t random = 7;
    for (int i = 0; i < 2000; i++) {
        lum_t record = random_record(&random);
        uint32_t expected = checksum_by_bits(&record);
        uint64_t words[5];
        memcpy(words, &record, sizeof words);
        assert_int_equal(lum__record_checksum(&record), expected);
        assert_int_equal(lum_record_checksum(&record), expected);
        assert_int_equal(lum__record_checksum_words(words), expected);
    }
}

static void test_pages_agree(void **state)
{
    (void)state;
    static const char *const levels[] = {"baseline", "avx2", "avx512"};
    struct lum__page_scratch *scratch = aligned_alloc(64, (lum__page_scratch_bytes() + 63) / 64 * 64);
    lum_t *rows = calloc(LUM__PAGE_ROWS_MAX, sizeof *rows), *back = calloc(LUM__PAGE_ROWS_MAX, sizeof *back);
    assert_non_null(scratch);
    assert_non_null(rows);
    assert_non_null(back);
    uint64_t random = 8;
    for (int level = 0; level < 3; level++) {
        const struct lum__page_kernel *kernel = lum__page_kernel_by_name(levels[level]);
        if (kernel == NULL) continue;
        for (uint32_t count = 1; count <= 200; count++) {
            for (uint32_t i = 0; i < count; i++) {
                rows[i] = random_record(&random);
                rows[i].reserved = 0;
                rows[i].checksum = checksum_by_bits(&rows[i]);
            }
            assert_true(kernel->split(scratch, rows, count, true));
            for (uint32_t i = 0; i < count; i++) assert_int_equal(scratch->checksum[i], rows[i].checksum);
            memset(scratch->checksum, 0, sizeof scratch->checksum);
            kernel->join(scratch, back, count);
            assert_memory_equal(back, rows, count * sizeof *rows);
            for (uint32_t i = 0; i < count; i++) assert_int_equal(scratch->checksum[i], rows[i].checksum);
            /* from columns that lie anywhere */
            uint64_t id[201], timestamp[201];
            memcpy(id + 1, scratch->id, count * sizeof *id);
            memcpy(timestamp + 1, scratch->timestamp, count * sizeof *id);
            lum_columns columns = {id + 1,
                                   timestamp + 1,
                                   scratch->memory_address,
                                   (int32_t *)scratch->position_x,
                                   (int32_t *)scratch->position_y,
                                   scratch->presence,
                                   scratch->structure_type,
                                   scratch->is_destroyed,
                                   NULL};
            uint32_t out[200];
            kernel->checksum(&columns, count, out);
            for (uint32_t i = 0; i < count; i++) assert_int_equal(out[i], rows[i].checksum);
        }
    }
    free(scratch);
    free(rows);
    free(back);
}

static void test_every_bit_counts(void **state)
{
    (void)state;
    uint64_t random = 9;
    lum_t record = random_record(&random);
    uint32_t checksum = lum__record_checksum(&record);
    for (uint32_t bit = 0; bit < 320; bit++) {
        lum_t other = record;
        ((uint8_t *)&other)[bit / 8] ^= (uint8_t)(1u << bit % 8);
        bool is_checksum_field = bit >= 32 * 8 && bit < 36 * 8;
        assert_int_equal(lum__record_checksum(&other) == checksum, is_checksum_field);
    }
}

static void test_each_rule(void **state)
{
    (void)state;
    lum_t good = {.id = UINT64_MAX, .position_x = INT32_MIN, .presence = 1, .structure_type = 5, .is_destroyed = 1};
    assert_int_equal(lum__record_check(&good, false), LUM__ROW_OK);
    assert_int_equal(lum__record_check(&good, true), LUM__ROW_BAD_CHECKSUM);
    good.checksum = lum_record_checksum(&good);
    assert_int_equal(lum__record_check(&good, true), LUM__ROW_OK);
    lum_t bad = good;
    bad.presence = 2;
    assert_int_equal(lum__record_check(&bad, true), LUM__ROW_BAD_PRESENCE);
    bad = good;
    bad.structure_type = 6;
    assert_int_equal(lum__record_check(&bad, true), LUM__ROW_BAD_STRUCTURE_TYPE);
    bad = good;
    bad.is_destroyed = 2;
    assert_int_equal(lum__record_check(&bad, true), LUM__ROW_BAD_IS_DESTROYED);
    bad = good;
    bad.reserved = 1;
    assert_int_equal(lum__record_check(&bad, true), LUM__ROW_BAD_RESERVED);
    for (int fault = LUM__ROW_OK; fault <= LUM__ROW_BAD_CHECKSUM; fault++)
        for (int other = LUM__ROW_OK; other < fault; other++)
            assert_string_not_equal(lum__row_fault_text((enum lum__row_fault)fault),
                                    lum__row_fault_text((enum lum__row_fault)other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_values), cmocka_unit_test(test_all_ways_agree),
        cmocka_unit_test(test_pages_agree),  cmocka_unit_test(test_every_bit_counts),
        cmocka_unit_test(test_each_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
