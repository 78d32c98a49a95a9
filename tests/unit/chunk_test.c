/* Proves that rows come back from a sealed chunk bit by bit, that each condition of docs/format.md sections 4 and 5.1
 * is checked, with its number and place in the file, even where an attacker made all CRCs right, and that no flipped
 * bit of a chunk goes unnoticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/status.h"
#include "storage/chunk.h"
#include "storage/chunk_layout.h"
#include "storage/record.h"
#include "support/page_rows.h"

static const uint8_t store_id[16] = {9, 8, 7, 6, 5, 4, 3, 2, 1};
static const char path[] = "data/3.seg";
enum { SEGMENT = 3, OFFSET = 12 * 4096, TRANSACTION = 77, ORDINAL = 5 };

/* A chunk in memory, with what its test needs. */
struct fixture {
    uint8_t *bytes, *spare; /* the chunk, and a copy to damage */
    struct lum__page_scratch *scratch;
    lum_t *rows, *page_rows;
    uint32_t row_count;
    struct lum__chunk_entry entry;
};

/* row_count rows, in pages of page_lums, in a chunk with room for row_count_max. */
static void build(struct fixture *fixture, uint32_t row_count_max, uint32_t row_count, uint32_t page_lums)
{
    struct lum__chunk_builder builder;
    struct lum__page_summary summary;

    memset(fixture, 0, sizeof *fixture);
    fixture->bytes = aligned_alloc(4096, lum__chunk_bytes_max(row_count_max));
    fixture->spare = aligned_alloc(4096, lum__chunk_bytes_max(row_count_max));
    fixture->scratch = aligned_alloc(64, lum__round_up(lum__page_scratch_bytes(), 64));
    fixture->rows = malloc(row_count * sizeof *fixture->rows);
    fixture->page_rows = malloc(LUM__PAGE_ROWS_MAX * sizeof *fixture->page_rows);
    fixture->row_count = row_count;
    memset(fixture->bytes, 0xee,
           lum__chunk_bytes_max(row_count_max)); /* a reused buffer: what is not written must not show */
    page_rows_random(fixture->rows, 1000, row_count);

    lum__chunk_begin(&builder, fixture->bytes, row_count_max, fixture->scratch);
    for (uint32_t first = 0; first < row_count; first += page_lums) {
        uint32_t count = row_count - first < page_lums ? row_count - first : page_lums;
        assert_int_equal(lum__chunk_add_rows(&builder, fixture->rows + first, count, false, &summary), LUM_OK);
    }
    uint32_t sealed_bytes = lum__chunk_sealed_bytes(&builder);
    lum__chunk_seal(&builder, store_id, SEGMENT, OFFSET, TRANSACTION, ORDINAL, &fixture->entry);
    assert_int_equal(fixture->entry.byte_count, sealed_bytes);
    for (uint32_t index = 0; index < row_count; index++)
        fixture->rows[index].checksum = lum__record_checksum(&fixture->rows[index]);
}

static void fini(struct fixture *fixture)
{
    free(fixture->bytes);
    free(fixture->spare);
    free(fixture->scratch);
    free(fixture->rows);
    free(fixture->page_rows);
}

static void expect_rows(struct fixture *fixture, uint32_t page_count_expected)
{
    uint32_t page_count, first = 0;

    assert_int_equal(lum__chunk_check_directory(fixture->bytes, lum__chunk_directory_bytes(&fixture->entry), store_id,
                                                &fixture->entry, path, &page_count),
                     LUM_OK);
    assert_int_equal(page_count, page_count_expected);
    for (uint32_t index = 0; index < page_count; index++) {
        struct lum__page_entry page;
        lum_columns columns;

        lum__chunk_page(fixture->bytes, index, &page);
        assert_int_equal(lum__chunk_decode_page(fixture->bytes + page.offset, &page, &fixture->entry, fixture->scratch,
                                                path, fixture->page_rows),
                         LUM_OK);
        assert_memory_equal(fixture->page_rows, fixture->rows + first, page.row_count * sizeof(lum_t));
        assert_int_equal(lum__chunk_decode_page_columns(fixture->bytes + page.offset, &page, &fixture->entry,
                                                        fixture->scratch, path, &columns),
                         LUM_OK);
        for (uint32_t row = 0; row < page.row_count; row++) {
            assert_int_equal(columns.id[row], fixture->rows[first + row].id);
            assert_int_equal(columns.checksum[row], fixture->rows[first + row].checksum);
        }
        first += page.row_count;
    }
    assert_int_equal(first, fixture->row_count);
    assert_int_equal(
        lum__chunk_check(fixture->bytes, store_id, &fixture->entry, fixture->scratch, path),
        LUM_OK);
}

static void test_round_trips(void **state)
{
    (void)state;
    const struct {
        uint32_t row_count_max, row_count, page_lums, page_count;
    } cases[] = {
        {4096, 1, 4096, 1},    {4096, 4096, 4096, 1},  {8192, 4097, 4096, 2},         {100000, 90001, 4096, 22},
        {262144, 640, 10, 64}, {1048576, 256, 1, 256}, {1048576, 1048576, 4096, 256},
    };

    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        struct fixture fixture;
        uint8_t encoded[LUM__CHUNK_ENTRY_BYTES];
        struct lum__chunk_entry decoded;

        build(&fixture, cases[index].row_count_max, cases[index].row_count, cases[index].page_lums);
        assert_int_equal(fixture.entry.row_count, cases[index].row_count);
        expect_rows(&fixture, cases[index].page_count);

        uint32_t digest = 0;
        for (uint32_t row = 0; row < fixture.row_count; row++) {
            uint8_t checksum[4];
            lum__put_u32(checksum, fixture.rows[row].checksum);
            digest = lum__crc32c(digest, checksum, 4);
        }
        assert_int_equal(fixture.entry.lum_digest, digest);

        fixture.entry.commit_sequence = 99;
        lum__chunk_entry_encode(&fixture.entry, encoded);
        assert_int_equal(lum__chunk_entry_decode(encoded, "checkpoint-1", 4096, &decoded), LUM_OK);
        assert_memory_equal(&decoded, &fixture.entry, sizeof decoded);
        fini(&fixture);
    }
}

static void test_bad_row_changes_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    struct lum__chunk_builder builder, before;
    struct lum__page_summary summary;

    build(&fixture, 8192, 8000, 4096);
    lum__chunk_begin(&builder, fixture.bytes, 8192, fixture.scratch);
    assert_int_equal(lum__chunk_add_rows(&builder, fixture.rows, 4096, true, &summary), LUM_OK);
    before = builder;
    fixture.rows[4096 + 17].structure_type = 6;
    assert_int_equal(lum__chunk_add_rows(&builder, fixture.rows + 4096, 3904, false, &summary), LUM_ERR_INPUT);
    assert_int_equal(summary.row_fault, LUM__ROW_BAD_STRUCTURE_TYPE);
    assert_int_equal(summary.row_fault_index, 17);
    assert_memory_equal(&builder, &before, sizeof builder);
    fixture.rows[4096 + 17].structure_type = 0;
    assert_int_equal(lum__chunk_add_rows(&builder, fixture.rows + 4096, 3904, true, &summary), LUM_ERR_INPUT);
    assert_int_equal(summary.row_fault, LUM__ROW_BAD_CHECKSUM);

    fixture.rows[4096 + 17].checksum = lum__record_checksum(&fixture.rows[4096 + 17]);
    assert_int_equal(lum__chunk_add_rows(&builder, fixture.rows + 4096, 3904, true, &summary), LUM_OK);
    lum__chunk_seal(&builder, store_id, SEGMENT, OFFSET, TRANSACTION, ORDINAL, &fixture.entry);
    expect_rows(&fixture, 2);
    fini(&fixture);
}

/* Makes every CRC and digest of the spare right again after it was changed, and the entry's digest too. */
static void forge(struct fixture *fixture, struct lum__chunk_entry *entry)
{
    uint8_t *at = fixture->spare;
    uint32_t page_count = lum__get_u32(at + LUM__CHUNK_PAGE_COUNT);

    lum__put_u32(at + LUM__CHUNK_CRC, lum__crc32c(0, at, LUM__CHUNK_CRC));
    if (page_count > LUM__CHUNK_PAGES_MAX) return;
    entry->digest = lum__crc32c(0, at, LUM__CHUNK_HEADER_BYTES + page_count * LUM__CHUNK_DIRECTORY_ENTRY_BYTES);
}

static void expect_condition(struct fixture *fixture, const struct lum__chunk_entry *entry, lum_status status,
                             uint32_t condition)
{
    assert_int_equal(lum__chunk_check(fixture->spare, store_id, entry, fixture->scratch, path),
                     status);
    const struct lum__error *error = lum__error_last();
    assert_int_equal(error->condition, condition);
    assert_string_equal(error->file, path);
    assert_in_range(error->offset, OFFSET, OFFSET + entry->byte_count);
}

enum { AT_PAGE_1 = LUM__CHUNK_HEADER_BYTES + LUM__CHUNK_DIRECTORY_ENTRY_BYTES };

/* A change of the header or the directory that an attacker could make, and the condition that refuses it. */
struct forgery {
    uint32_t at, byte_count; /* 4 or 8 */
    uint64_t value, mask;    /* value, or where mask is not 0, the old value xor mask */
    lum_status status;
    uint32_t condition;
};
static const struct forgery forgeries[] = {
    {LUM__CHUNK_VERSION, 4, 2, 0, LUM_ERR_UNSUPPORTED, 2},
    {LUM__CHUNK_FEATURES_REFUSE, 8, 1, 0, LUM_ERR_UNSUPPORTED, 2},
    {LUM__CHUNK_STORE_ID, 4, 0, 1, LUM_ERR_CORRUPT, 3},
    {LUM__CHUNK_SEGMENT, 8, SEGMENT + 1, 0, LUM_ERR_CORRUPT, 3},
    {LUM__CHUNK_OFFSET, 8, OFFSET + 4096, 0, LUM_ERR_CORRUPT, 3},
    {LUM__CHUNK_TRANSACTION_ID, 8, TRANSACTION + 1, 0, LUM_ERR_CORRUPT, 4},
    {LUM__CHUNK_ORDINAL, 8, ORDINAL + 1, 0, LUM_ERR_CORRUPT, 4},
    {LUM__CHUNK_BYTE_COUNT, 4, 0, 4096, LUM_ERR_CORRUPT, 4},
    {LUM__CHUNK_ROW_COUNT, 4, 0, 1, LUM_ERR_CORRUPT, 4},
    {LUM__CHUNK_LUM_DIGEST, 4, 0, 1, LUM_ERR_CORRUPT, 4},
    {LUM__CHUNK_RANGE, 8, 0, 1, LUM_ERR_CORRUPT, 4},
    {LUM__CHUNK_PAGE_COUNT, 4, 0, 0, LUM_ERR_CORRUPT, 5},
    {LUM__CHUNK_PAGE_COUNT, 4, 257, 0, LUM_ERR_CORRUPT, 5},
    {LUM__CHUNK_PAGE_COUNT, 4, UINT32_MAX, 0, LUM_ERR_CORRUPT, 5},
    {LUM__CHUNK_PAGE_COUNT, 4, 2, 0, LUM_ERR_CORRUPT, 5},
    {LUM__CHUNK_FIRST_PAGE, 4, 0, 0, LUM_ERR_CORRUPT, 5},
    {LUM__CHUNK_FIRST_PAGE, 4, 511, 0, LUM_ERR_CORRUPT, 5},
    {LUM__CHUNK_FIRST_PAGE, 4, UINT32_MAX - 63, 0, LUM_ERR_CORRUPT, 5},
    {LUM__CHUNK_USED_BYTES, 4, 0, 0, LUM_ERR_CORRUPT, 5},
    {LUM__CHUNK_USED_BYTES, 4, UINT32_MAX, 0, LUM_ERR_CORRUPT, 5},
    {LUM__CHUNK_ZERO, 4, 1, 0, LUM_ERR_UNSUPPORTED, 9},
    {LUM__CHUNK_CRC - 4, 4, 1, 0, LUM_ERR_UNSUPPORTED, 9},
    {AT_PAGE_1 + LUM__DIRECTORY_OFFSET, 4, 0, 64, LUM_ERR_CORRUPT, 5},
    {AT_PAGE_1 + LUM__DIRECTORY_BYTE_COUNT, 4, 0, 0, LUM_ERR_CORRUPT, 5},
    {AT_PAGE_1 + LUM__DIRECTORY_BYTE_COUNT, 4, 0, 64, LUM_ERR_CORRUPT, 5},
    {AT_PAGE_1 + LUM__DIRECTORY_BYTE_COUNT, 4, 0, 1, LUM_ERR_CORRUPT, 5},
    {AT_PAGE_1 + LUM__DIRECTORY_BYTE_COUNT, 4, UINT32_MAX - 63, 0, LUM_ERR_CORRUPT, 5},
    {AT_PAGE_1 + LUM__DIRECTORY_ROW_COUNT, 4, 0, 0, LUM_ERR_CORRUPT, 5},
    {AT_PAGE_1 + LUM__DIRECTORY_ROW_COUNT, 4, 4097, 0, LUM_ERR_CORRUPT, 5},
    {AT_PAGE_1 + LUM__DIRECTORY_ROW_COUNT, 4, 4095, 0, LUM_ERR_CORRUPT, 5},
    {AT_PAGE_1 + LUM__DIRECTORY_RANGE, 8, UINT64_MAX, 0, LUM_ERR_CORRUPT, 5},
    {AT_PAGE_1 + LUM__DIRECTORY_RANGE, 8, 0, 0, LUM_ERR_CORRUPT, 5},
    {AT_PAGE_1 + LUM__DIRECTORY_CRC, 4, 0, 1, LUM_ERR_CORRUPT, 7},
    {AT_PAGE_1 + LUM__DIRECTORY_LUM_DIGEST, 4, 0, 1, LUM_ERR_CORRUPT, 8},
    {AT_PAGE_1 + LUM__DIRECTORY_RANGE, 8, 0, 1, LUM_ERR_CORRUPT, 8},
    {AT_PAGE_1 + LUM__DIRECTORY_ZERO, 4, 1, 0, LUM_ERR_UNSUPPORTED, 9},
};

static void test_conditions_of_header_and_directory(void **state)
{
    (void)state;
    struct fixture fixture;

    build(&fixture, 12288, 10000, 4096);
    for (size_t index = 0; index < sizeof forgeries / sizeof *forgeries; index++) {
        const struct forgery *forgery = &forgeries[index];
        struct lum__chunk_entry entry = fixture.entry;
        uint8_t *at = fixture.spare + forgery->at;

        memcpy(fixture.spare, fixture.bytes, entry.byte_count);
        if (forgery->byte_count == 4)
            lum__put_u32(at, (uint32_t)(forgery->mask != 0 ? lum__get_u32(at) ^ forgery->mask : forgery->value));
        if (forgery->byte_count == 8)
            lum__put_u64(at, forgery->mask != 0 ? lum__get_u64(at) ^ forgery->mask : forgery->value);
        forge(&fixture, &entry);
        expect_condition(&fixture, &entry, forgery->status, forgery->condition);
    }
    fini(&fixture);
}

static void test_conditions_of_the_rest(void **state)
{
    (void)state;
    struct fixture fixture;
    struct lum__chunk_entry entry;
    struct lum__page_entry page;

    build(&fixture, 12288, 10000, 4096);
    memcpy(fixture.spare, fixture.bytes, fixture.entry.byte_count);
    fixture.spare[0] = 'X';
    expect_condition(&fixture, &fixture.entry, LUM_ERR_CORRUPT, 1);
    fixture.spare[0] = 'L';
    fixture.spare[60] ^= 1;
    expect_condition(&fixture, &fixture.entry, LUM_ERR_CORRUPT, 1);
    fixture.spare[60] ^= 1;

    entry = fixture.entry; /* another digest is in the log: an older chunk with the same numbers */
    entry.digest ^= 1;
    expect_condition(&fixture, &entry, LUM_ERR_CORRUPT, 6);

    lum__chunk_page(fixture.spare, 2, &page);
    fixture.spare[page.offset + page.byte_count / 2] ^= 0x80;
    expect_condition(&fixture, &fixture.entry, LUM_ERR_CORRUPT, 7);
    assert_int_equal(lum__error_last()->offset, OFFSET + page.offset);

    uint8_t *page_entry = fixture.spare + LUM__CHUNK_HEADER_BYTES + 2 * LUM__CHUNK_DIRECTORY_ENTRY_BYTES;
    entry = fixture.entry; /* the page itself is forged, with its CRC */
    lum__put_u32(page_entry + LUM__DIRECTORY_CRC, lum__crc32c(0, fixture.spare + page.offset, page.byte_count));
    forge(&fixture, &entry);
    expect_condition(&fixture, &entry, LUM_ERR_CORRUPT, 8);

    memcpy(fixture.spare, fixture.bytes, fixture.entry.byte_count);
    uint32_t directory_end = LUM__CHUNK_HEADER_BYTES + 3 * LUM__CHUNK_DIRECTORY_ENTRY_BYTES;
    fixture.spare[directory_end] = 1;
    expect_condition(&fixture, &fixture.entry, LUM_ERR_CORRUPT, 9);
    fixture.spare[directory_end] = 0;
    fixture.spare[fixture.entry.byte_count - 1] = 1;
    expect_condition(&fixture, &fixture.entry, LUM_ERR_CORRUPT, 9);
    fixture.spare[fixture.entry.byte_count - 1] = 0;
    assert_int_equal(
        lum__chunk_check(fixture.spare, store_id, &fixture.entry, fixture.scratch, path), LUM_OK);
    fini(&fixture);
}

static void test_every_bit(void **state)
{
    (void)state;
    struct fixture fixture;

    build(&fixture, 8192, 60, 30);
    for (size_t bit = 0; bit < (size_t)fixture.entry.byte_count * 8; bit++) {
        fixture.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_equal(
            lum__chunk_check(fixture.bytes, store_id, &fixture.entry, fixture.scratch, path),
            LUM_ERR_CORRUPT);
        fixture.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    assert_int_equal(
        lum__chunk_check(fixture.bytes, store_id, &fixture.entry, fixture.scratch, path), LUM_OK);
    fini(&fixture);
}

static void test_conditions_of_entries(void **state)
{
    (void)state;
    const struct {
        uint32_t at, byte_count;
        uint64_t value;
        lum_status status;
        uint32_t condition;
    } cases[] = {
        {0, 8, 0, LUM_ERR_CORRUPT, 1},
        {8, 8, 0, LUM_ERR_CORRUPT, 1},
        {8, 8, 4097, LUM_ERR_CORRUPT, 1},
        {8, 8, UINT64_MAX - 4095, LUM_ERR_CORRUPT, 1},
        {20, 4, 0, LUM_ERR_CORRUPT, 2},
        {20, 4, 1048577, LUM_ERR_CORRUPT, 2},
        {16, 4, 0, LUM_ERR_CORRUPT, 3},
        {16, 4, 4095, LUM_ERR_CORRUPT, 3},
        {16, 4, 4294963200u, LUM_ERR_CORRUPT, 3},
        {56, 8, UINT64_MAX, LUM_ERR_CORRUPT, 4},
        {72, 8, UINT64_MAX, LUM_ERR_CORRUPT, 4},
        {88, 4, INT32_MAX, LUM_ERR_CORRUPT, 4},
        {96, 4, INT32_MAX, LUM_ERR_CORRUPT, 4},
        {104, 4, 1, LUM_ERR_UNSUPPORTED, 5},
        {124, 4, 1, LUM_ERR_UNSUPPORTED, 5},
    };
    struct fixture fixture;

    build(&fixture, 4096, 100, 4096);
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        uint8_t encoded[LUM__CHUNK_ENTRY_BYTES];
        struct lum__chunk_entry decoded;

        lum__chunk_entry_encode(&fixture.entry, encoded);
        if (cases[index].byte_count == 4) lum__put_u32(encoded + cases[index].at, (uint32_t)cases[index].value);
        if (cases[index].byte_count == 8) lum__put_u64(encoded + cases[index].at, cases[index].value);
        assert_int_equal(lum__chunk_entry_decode(encoded, "checkpoint-1", 8192, &decoded), cases[index].status);
        assert_int_equal(lum__error_last()->condition, cases[index].condition);
        assert_in_range(lum__error_last()->offset, 8192, 8192 + LUM__CHUNK_ENTRY_BYTES);
    }
    fini(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_bad_row_changes_nothing),
        cmocka_unit_test(test_conditions_of_header_and_directory),
        cmocka_unit_test(test_conditions_of_the_rest),
        cmocka_unit_test(test_every_bit),
        cmocka_unit_test(test_conditions_of_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
