/* Proves that the bytes of a log segment have not changed: the worked example of docs/format.md (section 3.4), which is
 * tests/golden/log_segment.hex, is what the encoder writes today, is read back field by field, and stands in the
 * document word for word; and so for the same segment with extensions (3.5), and for one with small transactions (3.3).
 * `golden_log_segment_test --write` prints the example, `--write extensions` and `--write pages` the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "storage/header.h"
#include "storage/row_table.h"
#include "wal/format.h"

enum { SEGMENT_BYTES = 16384, SALT = 0x5a17c0de, RECORD_COUNT = 5, LINE_BYTES = 16 };
#define FIRST_TRANSACTION ((1ull << 40) + 1)
#define NOON              1700000000000000000u

static const struct lum__wal_segment segment = {
    .store_id = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff},
    .number = 1,
    .epoch = 1,
    .timestamp = NOON,
    .salt = SALT,
    .origin = LUM__WAL_ORIGIN_FIRST,
    .first_sequence = 1,
    .segment_bytes = SEGMENT_BYTES,
};

/* Extensions (3.5): a mapping, file names, an item of a kind that nobody knows yet, and a resume point. */
static const uint8_t items[] = "\x01\0\0\0\x0d\0\0\0id=a x=b*1000"
                               "\x02\0\0\0\x0b\0\0\0a.csv\nb.csv"
                               "\x4d\0\0\0\x03\0\0\0\x01\x02\x03";
static const struct lum__metadata metadata = {
    .items = items, .item_bytes = sizeof items - 1, .resume = (const uint8_t *)"row 100", .resume_bytes = 7};

enum variant { PLAIN, EXTENSIONS, PAGES, VARIANTS };
static const char *const names[VARIANTS] = {"plain", "extensions", "pages"};

static lum_t rows[3];

static void fill_rows(void)
{
    for (uint32_t i = 0; i < 3; i++) {
        rows[i] = (lum_t){.id = 7 + i,
                          .timestamp = NOON + i,
                          .memory_address = 0x7f0000001000 + 40 * i,
                          .position_x = -1 - (int32_t)i,
                          .position_y = 1000,
                          .presence = 1,
                          .structure_type = LUM_STRUCTURE_NODE,
                          .is_destroyed = i == 1};
        rows[i].checksum = lum_record_checksum(&rows[i]);
    }
}

static void fill_pages(struct lum__wal_record *record, uint32_t first_row, uint32_t row_count)
{
    record->type = LUM__WAL_PAGES;
    record->count = row_count;
    record->pages.rows = &rows[first_row];
    record->pages.row_count = row_count;
    record->pages.digest = lum__rows_digest(0, &rows[first_row], row_count);
}

/* The first batch of the third example: a small transaction of two rows, its commit, and the row of another one whose commit never came. */
static void fill_small(struct lum__wal_record records[RECORD_COUNT])
{
    uint64_t offset = 4096;
    fill_rows();
    memset(records, 0, 3 * sizeof *records);
    fill_pages(&records[0], 0, 2);
    records[1].type = LUM__WAL_COMMIT;
    records[1].count = 2;
    records[1].commit.lum_count = 2;
    records[1].commit.digest = records[0].pages.digest;
    fill_pages(&records[2], 2, 1);
    records[2].is_last_of_batch = true;
    for (uint32_t i = 0; i < 3; i++) {
        records[i].offset = offset;
        records[i].sequence = i + 1;
        records[i].timestamp = NOON + (i + 1) * 1000000000ull;
        records[i].segment = 1;
        records[i].transaction_id = FIRST_TRANSACTION + i / 2;
        offset += lum__wal_record_bytes(&records[i]);
    }
}

/* Three batches: a transaction of one chunk; a watermark, written before the log went to sleep; the seal. */
static void fill_records(struct lum__wal_record records[RECORD_COUNT])
{
    memset(records, 0, RECORD_COUNT * sizeof *records);
    records[0].type = LUM__WAL_BEGIN;
    records[0].offset = 4096;
    records[1].type = LUM__WAL_CHUNK;
    records[1].offset = 4096 + 96;
    records[1].count = 100;
    records[1].chunk = (struct lum__chunk_entry){.segment = 1,
                                                 .offset = 4096,
                                                 .byte_count = 4096,
                                                 .row_count = 100,
                                                 .digest = 0xd16e57ed,
                                                 .lum_digest = 0x10adba5e,
                                                 .ordinal = 0,
                                                 .transaction_id = FIRST_TRANSACTION,
                                                 .range = {.id_min = 1,
                                                           .id_max = 100,
                                                           .timestamp_min = NOON,
                                                           .timestamp_max = NOON + 99,
                                                           .x_min = -50,
                                                           .x_max = 49,
                                                           .y_min = 0,
                                                           .y_max = 7}};
    records[2].type = LUM__WAL_COMMIT;
    records[2].offset = 4096 + 96 + 96 + 128;
    records[2].count = 100;
    records[2].commit.chunk_count = 1;
    records[2].commit.lum_count = 100;
    records[2].commit.digest = 0x10adba5e;
    records[2].commit.data_synced = true;
    records[2].commit.label_bytes = 4;
    memcpy(records[2].commit.label, "demo", 4);
    records[2].is_last_of_batch = true;
    records[3].type = LUM__WAL_WATERMARK;
    records[3].offset = 8192;
    records[3].watermark = 3;
    records[3].is_last_of_batch = true;
    records[4].type = LUM__WAL_SEAL;
    records[4].offset = 12288;
    records[4].watermark = 4;
    records[4].count = 2;
    records[4].seal.successor = 2;
    records[4].seal.successor_salt = 0x0ddba115;
    records[4].is_last_of_batch = true;
    for (uint32_t i = 0; i < RECORD_COUNT; i++) {
        records[i].sequence = i + 1;
        records[i].timestamp = NOON + (i + 1) * 1000000000ull;
        records[i].segment = 1;
        if (i < 3) records[i].transaction_id = FIRST_TRANSACTION;
    }
}

static void fill_variant(struct lum__wal_record records[RECORD_COUNT], enum variant variant)
{
    fill_records(records);
    if (variant == EXTENSIONS) records[2].commit.metadata = metadata;
    if (variant == PAGES) fill_small(records);
}

static void build(uint8_t bytes[SEGMENT_BYTES], enum variant variant)
{
    struct lum__wal_record records[RECORD_COUNT];
    memset(bytes, 0, SEGMENT_BYTES);
    lum__wal_segment_encode(&segment, bytes);
    fill_variant(records, variant);
    for (int i = 0; i < RECORD_COUNT; i++)
        lum__wal_record_encode(&records[i], segment.store_id, SALT, bytes + records[i].offset);
}

/* Offset, sixteen bytes; lines of zeros are left out. */
static int print_line(const uint8_t *bytes, uint32_t offset, char *out)
{
    int length = sprintf(out, "%05x ", offset);
    for (int i = 0; i < LINE_BYTES; i++)
        length += sprintf(out + length, i % 4 == 0 ? "  %02x" : " %02x", bytes[offset + (uint32_t)i]);
    return length + sprintf(out + length, "\n");
}

static char *hex_of(const uint8_t bytes[SEGMENT_BYTES])
{
    static char text[SEGMENT_BYTES * 5];
    static const uint8_t zeros[LINE_BYTES];
    int length = 0;
    text[0] = 0;
    for (uint32_t offset = 0; offset < SEGMENT_BYTES; offset += LINE_BYTES) {
        if (memcmp(bytes + offset, zeros, LINE_BYTES) != 0) length += print_line(bytes, offset, text + length);
    }
    return text;
}

static char *read_text(const char *path)
{
    char full[4096];
    const char *tree = getenv("LUM_SOURCE_DIR");
    snprintf(full, sizeof full, "%s/%s", tree != NULL ? tree : ".", path);
    FILE *file = fopen(full, "rb");
    if (file == NULL) fail_msg("cannot open %s", full);
    char *text = calloc(1, 1 << 20);
    size_t length = fread(text, 1, (1 << 20) - 1, file);
    fclose(file);
    assert_true(length > 0 && length < (1 << 20) - 1);
    return text;
}

static const char *const paths[] = {"tests/golden/log_segment.hex", "tests/golden/log_segment_extensions.hex",
                                    "tests/golden/log_segment_pages.hex"};

static void test_encoder_writes_the_golden_bytes(void **state)
{
    (void)state;
    static uint8_t bytes[SEGMENT_BYTES];
    for (int variant = 0; variant < VARIANTS; variant++) {
        char *golden = read_text(paths[variant]);
        build(bytes, (enum variant)variant);
        assert_string_equal(hex_of(bytes), golden);
        free(golden);
    }
}

static void parse(const char *text, uint8_t bytes[SEGMENT_BYTES])
{
    memset(bytes, 0, SEGMENT_BYTES);
    while (*text != 0) {
        char *at;
        unsigned long offset = strtoul(text, &at, 16);
        assert_true(offset % LINE_BYTES == 0 && offset < SEGMENT_BYTES);
        for (int i = 0; i < LINE_BYTES; i++) bytes[offset + (unsigned)i] = (uint8_t)strtoul(at, &at, 16);
        assert_int_equal(*at, '\n');
        text = at + 1;
    }
}

static void expect_golden_is_read(enum variant variant)
{
    static uint8_t bytes[SEGMENT_BYTES];
    struct lum__wal_segment header;
    struct lum__wal_record wanted[RECORD_COUNT];
    char *golden = read_text(paths[variant]);
    parse(golden, bytes);
    free(golden);
    assert_int_equal(lum__wal_segment_decode(bytes, segment.store_id, 1, "wal/1.wal", &header), LUM_OK);
    assert_memory_equal(&header, &segment, sizeof header);
    fill_variant(wanted, variant);
    uint64_t offset = LUM__BLOCK_BYTES;
    for (int i = 0; i < RECORD_COUNT; i++) {
        struct lum__wal_record record;
        uint32_t condition;
        assert_int_equal(offset, wanted[i].offset);
        assert_int_equal(
            lum__wal_record_check(bytes + offset, SEGMENT_BYTES - offset, &header, offset, &record, &condition),
            LUM__WAL_VALID);
        wanted[i].header_crc = record.header_crc; /* checked by the byte comparison above */
        wanted[i].payload_bytes = record.payload_bytes;
        if (record.type == LUM__WAL_PAGES) {
            assert_memory_equal(record.pages.rows, wanted[i].pages.rows, record.pages.row_count * sizeof(lum_t));
            wanted[i].pages.rows = record.pages.rows;
        }
        if (i == 2 && variant == EXTENSIONS) {
            assert_true(lum__metadata_is_same(&record.commit.metadata, &metadata));
            wanted[i].commit.metadata = record.commit.metadata;
        }
        assert_memory_equal(&record, &wanted[i], sizeof record);
        offset = lum__wal_record_end(&record);
    }
    assert_int_equal(offset, SEGMENT_BYTES);
}

static void test_golden_bytes_are_read(void **state)
{
    (void)state;
    for (int variant = 0; variant < VARIANTS; variant++) expect_golden_is_read((enum variant)variant);
}

static void expect_in_document(const char *path)
{
    char *golden = read_text(path);
    char *document = read_text("docs/format.md");
    for (char *line = strtok(golden, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (strstr(document, line) == NULL) fail_msg("docs/format.md lacks the line: %s", line);
    }
    free(golden);
    free(document);
}

static void test_document_shows_the_golden_bytes(void **state)
{
    (void)state;
    for (int variant = 0; variant < VARIANTS; variant++) expect_in_document(paths[variant]);
}

int main(int argument_count, char **arguments)
{
    if (argument_count > 1 && strcmp(arguments[1], "--write") == 0) {
        static uint8_t bytes[SEGMENT_BYTES];
        enum variant variant = PLAIN;
        while (argument_count > 2 && variant < VARIANTS - 1 && strcmp(arguments[2], names[variant]) != 0) variant++;
        build(bytes, variant);
        fputs(hex_of(bytes), stdout);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encoder_writes_the_golden_bytes),
        cmocka_unit_test(test_golden_bytes_are_read),
        cmocka_unit_test(test_document_shows_the_golden_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
