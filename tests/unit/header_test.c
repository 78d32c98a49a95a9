/* Proves that a file header comes back as it was written and that each condition of docs/format.md section 1 is
 * checked, with its number, and that no flipped bit of the block goes unnoticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/status.h"
#include "storage/header.h"

static const struct lum__file_header example = {
    .kind = LUM__FILE_WAL,
    .store_id = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
    .number = 7,
    .epoch = 3,
    .timestamp = 1234567890123456789u,
    .features_ignore = 0x8000000000000001u,
    .features_read_only = 2,
};

static void make_block(uint8_t block[LUM__BLOCK_BYTES])
{
    lum__header_encode(&example, block);
    lum__put_u32(block + LUM__HEADER_KIND_OFFSET, 0xabcdef01u);
    lum__header_seal(block);
}

static void expect(const uint8_t *block, enum lum__file_kind kind, uint64_t number, lum_status status,
                   uint32_t condition)
{
    struct lum__file_header header;

    assert_int_equal(lum__header_decode(block, kind, example.store_id, number, "wal/7.wal", &header), status);
    if (status == LUM_OK) return;
    assert_int_equal(lum__error_last()->status, status);
    assert_int_equal(lum__error_last()->condition, condition);
    assert_string_equal(lum__error_last()->file, "wal/7.wal");
    assert_true(lum__is_zero((const uint8_t *)&header, sizeof header));
}

static void test_round_trip(void **state)
{
    (void)state;
    uint8_t block[LUM__BLOCK_BYTES];
    struct lum__file_header header;

    make_block(block);
    assert_int_equal(lum__header_decode(block, LUM__FILE_WAL, NULL, 0, "wal/7.wal", &header), LUM_OK);
    assert_int_equal(header.kind, example.kind);
    assert_memory_equal(header.store_id, example.store_id, 16);
    assert_int_equal(header.number, example.number);
    assert_int_equal(header.epoch, example.epoch);
    assert_int_equal(header.timestamp, example.timestamp);
    assert_int_equal(header.features_ignore, example.features_ignore);
    assert_int_equal(header.features_read_only, example.features_read_only);
    assert_int_equal(lum__get_u32(block + LUM__HEADER_KIND_OFFSET), 0xabcdef01u);
    expect(block, LUM__FILE_WAL, 7, LUM_OK, 0);
}

static void test_conditions(void **state)
{
    (void)state;
    uint8_t block[LUM__BLOCK_BYTES];

    make_block(block);
    expect(block, LUM__FILE_DATA, 7, LUM_ERR_CORRUPT, 1);

    make_block(block);
    block[100] ^= 1;
    expect(block, LUM__FILE_WAL, 7, LUM_ERR_CORRUPT, 2);

    for (size_t at = 8; at <= 12; at += 4) { /* version, header bytes */
        make_block(block);
        lum__put_u32(block + at, 2);
        lum__header_seal(block);
        expect(block, LUM__FILE_WAL, 7, LUM_ERR_UNSUPPORTED, 3);
    }
    make_block(block);
    lum__put_u64(block + 48, 4);
    lum__header_seal(block);
    expect(block, LUM__FILE_WAL, 7, LUM_ERR_UNSUPPORTED, 3);

    make_block(block);
    block[16] ^= 1;
    lum__header_seal(block);
    expect(block, LUM__FILE_WAL, 7, LUM_ERR_FOREIGN, 4);

    make_block(block);
    expect(block, LUM__FILE_WAL, 8, LUM_ERR_CORRUPT, 5);
    lum__put_u64(block + 56, 0); /* only STATE has no number */
    lum__header_seal(block);
    expect(block, LUM__FILE_WAL, 0, LUM_ERR_CORRUPT, 5);

    make_block(block);
    block[LUM__BLOCK_BYTES - 1] = 1;
    expect(block, LUM__FILE_WAL, 7, LUM_ERR_CORRUPT, 6);
}

static void test_state_has_no_number(void **state)
{
    (void)state;
    uint8_t block[LUM__BLOCK_BYTES];
    struct lum__file_header header = example, decoded;

    header.kind = LUM__FILE_STATE;
    header.number = 0;
    lum__header_encode(&header, block);
    lum__header_seal(block);
    assert_int_equal(lum__header_decode(block, LUM__FILE_STATE, NULL, 0, "STATE", &decoded), LUM_OK);
    lum__put_u64(block + 56, 1);
    lum__header_seal(block);
    assert_int_equal(lum__header_decode(block, LUM__FILE_STATE, NULL, 0, "STATE", &decoded), LUM_ERR_CORRUPT);
    assert_int_equal(lum__error_last()->condition, 5);
}

static void test_every_bit(void **state)
{
    (void)state;
    uint8_t block[LUM__BLOCK_BYTES];

    make_block(block);
    for (size_t bit = 0; bit < sizeof block * 8; bit++) {
        struct lum__file_header header;
        block[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_equal(lum__header_decode(block, LUM__FILE_WAL, NULL, 0, "wal/7.wal", &header), LUM_ERR_CORRUPT);
        block[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_state_has_no_number),
        cmocka_unit_test(test_every_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
