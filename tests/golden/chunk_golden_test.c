/* Proves that the bytes of a chunk and of a checkpoint have not changed: the worked examples of docs/format.md
 * (sections 4.1 and 5.3), which are tests/golden/chunk.hex and checkpoint.hex, are what is written today, are read back
 * field by field, and stand in the document word for word (of the chunk, all but its pages). `golden_chunk_test --write
 * chunk|checkpoint` prints one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "storage/catalogue.h"
#include "storage/file_sim.h"
#include "storage/record.h"

enum { LINE_BYTES = 16, ROWS = 60, PAGE_LUMS = 50, CHUNK_ROOM = 8192, FILE_BYTES_MAX = 16384, FIRST_PAGE = 0x1c0 };
#define TRANSACTION ((1ull << 40) + 1)
#define NOON        1700000000000000000u

static const uint8_t store_id[16] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                                     0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};

static void fill_rows(lum_t rows[ROWS])
{
    memset(rows, 0, ROWS * sizeof *rows);
    for (uint32_t index = 0; index < ROWS; index++) {
        rows[index].id = 1 + index;
        rows[index].timestamp = NOON + index * 1000;
        rows[index].position_x = -30 + (int32_t)index;
        rows[index].position_y = 7;
        rows[index].presence = 1;
        rows[index].checksum = lum__record_checksum(&rows[index]);
    }
}

/* Sixty rows in a page of fifty and a page of ten, at the first place of the first data segment. */
static uint8_t *build_chunk(struct lum__chunk_entry *entry)
{
    static _Alignas(4096) uint8_t buffer[512 * 1024];
    struct lum__page_scratch *scratch = aligned_alloc(64, (lum__page_scratch_bytes() + 63) / 64 * 64);
    struct lum__chunk_builder builder;
    struct lum__page_summary summary;
    lum_t rows[ROWS];

    assert_true(lum__chunk_bytes_max(CHUNK_ROOM) <= sizeof buffer);
    fill_rows(rows);
    lum__chunk_begin(&builder, buffer, CHUNK_ROOM, scratch);
    assert_int_equal(lum__chunk_add_rows(&builder, rows, PAGE_LUMS, true, &summary), LUM_OK);
    assert_int_equal(lum__chunk_add_rows(&builder, rows + PAGE_LUMS, ROWS - PAGE_LUMS, true, &summary), LUM_OK);
    lum__chunk_seal(&builder, store_id, 1, 4096, TRANSACTION, 0, entry);
    assert_int_equal(entry->byte_count, 4096);
    free(scratch);
    return buffer;
}

/* That chunk, committed at sequence 3 with label "demo", and an open transaction that has written one chunk behind it.
 */
static void fill_checkpoint(struct lum__checkpoint *checkpoint, struct lum__open_transaction *open,
                            struct lum__chunk_entry *open_chunk)
{
    struct lum__chunk_entry chunk;
    (void)build_chunk(&chunk);
    *open_chunk = chunk;
    open_chunk->offset = 8192;
    open_chunk->digest = 0xd16e57ed;
    open_chunk->lum_digest = 0x10adba5e;
    open_chunk->transaction_id = TRANSACTION + 1;
    *open = (struct lum__open_transaction){.transaction_id = TRANSACTION + 1, .chunks = open_chunk, .chunk_count = 1};
    *checkpoint = (struct lum__checkpoint){
        .number = 1,
        .epoch = 1,
        .timestamp = NOON + 9000000000u,
        .replay = {.segment = 1, .offset = 12288, .sequence = 5, .last_header_crc = 0x5ea1ed01},
        .next_data_segment = 2,
        .next_wal_segment = 3,
        .open = open,
        .open_count = 1,
    };
    memcpy(checkpoint->store_id, store_id, 16);
}

/* Extensions (3.5): a mapping, file names, an item of a kind that nobody knows yet, and a resume point. */
static const uint8_t items[] = "\x01\0\0\0\x0d\0\0\0id=a x=b*1000"
                               "\x02\0\0\0\x0b\0\0\0a.csv\nb.csv"
                               "\x4d\0\0\0\x03\0\0\0\x01\x02\x03";
static const struct lum__metadata metadata[2] = {
    {.items = items, .item_bytes = sizeof items - 1, .resume = (const uint8_t *)"row 60", .resume_bytes = 6},
    {.items = items, .item_bytes = sizeof items - 1, .resume = (const uint8_t *)"end", .resume_bytes = 3},
};

/* with_metadata: the transaction has extensions, and an empty one behind it all of them but the resume point. */
static struct lum__catalogue *build_catalogue(bool with_metadata)
{
    struct lum__catalogue *catalogue;
    struct lum__chunk_entry chunk;
    (void)build_chunk(&chunk);
    struct lum__transaction transaction = {.transaction_id = TRANSACTION,
                                           .commit_sequence = 3,
                                           .commit_timestamp = NOON + 3000000000u,
                                           .lum_count = ROWS,
                                           .chunk_count = 1,
                                           .digest = chunk.lum_digest,
                                           .data_synced = true,
                                           .label = "demo"};
    struct lum__transaction empty = {.transaction_id = TRANSACTION + 5,
                                     .commit_sequence = 4,
                                     .commit_timestamp = NOON + 4000000000u,
                                     .data_synced = true,
                                     .label = "demo",
                                     .metadata = metadata[1]};
    if (with_metadata) transaction.metadata = metadata[0];
    assert_int_equal(lum__catalogue_create(&catalogue), LUM_OK);
    assert_int_equal(lum__catalogue_commit(catalogue, &transaction, &chunk, 1), LUM_OK);
    if (with_metadata) assert_int_equal(lum__catalogue_commit(catalogue, &empty, NULL, 0), LUM_OK);
    return catalogue;
}

static uint8_t *build_checkpoint(bool with_metadata, size_t *byte_count)
{
    struct lum__sim *sim = lum__sim_create(1);
    struct lum__fs *fs;
    struct lum__catalogue *catalogue = build_catalogue(with_metadata);
    struct lum__checkpoint checkpoint;
    struct lum__open_transaction open;
    struct lum__chunk_entry open_chunk;
    uint8_t *bytes;

    assert_int_equal(lum__sim_open(sim, false, &fs), LUM_OK);
    fill_checkpoint(&checkpoint, &open, &open_chunk);
    const struct lum__catalogue_version *version = lum__catalogue_pin(catalogue);
    assert_int_equal(lum__checkpoint_write(fs, &checkpoint, version), LUM_OK);
    lum__catalogue_unpin(catalogue, version);
    assert_int_equal(lum__fs_read_all(fs, "checkpoint-1", FILE_BYTES_MAX, &bytes, byte_count), LUM_OK);
    lum__catalogue_destroy(catalogue);
    lum__fs_close(fs);
    lum__sim_destroy(sim);
    return bytes;
}

/* Offset, up to sixteen bytes; lines of zeros are left out. The caller frees it. */
static char *hex_of(const uint8_t *bytes, size_t byte_count)
{
    char *text = calloc(1, byte_count * 5 + 1);
    int length = 0;

    for (size_t offset = 0; offset < byte_count; offset += LINE_BYTES) {
        size_t count = byte_count - offset < LINE_BYTES ? byte_count - offset : LINE_BYTES;
        bool is_zero = true;
        for (size_t index = 0; index < count; index++) is_zero = is_zero && bytes[offset + index] == 0;
        if (is_zero) continue;
        length += sprintf(text + length, "%05x ", (unsigned)offset);
        for (size_t index = 0; index < count; index++) {
            length += sprintf(text + length, index % 4 == 0 ? "  %02x" : " %02x", bytes[offset + index]);
        }
        length += sprintf(text + length, "\n");
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

/* Bytes of a golden file; *byte_count is behind the last byte that a line names. */
static uint8_t *read_golden(const char *path, size_t *byte_count)
{
    uint8_t *bytes = aligned_alloc(4096, FILE_BYTES_MAX);
    char *text = read_text(path);

    memset(bytes, 0, FILE_BYTES_MAX);
    for (char *at = text; *at != '\0'; at++) {
        size_t offset = strtoul(at, &at, 16);
        assert_true(offset % LINE_BYTES == 0 && offset < FILE_BYTES_MAX);
        for (*byte_count = offset; *at == ' ';) bytes[(*byte_count)++] = (uint8_t)strtoul(at, &at, 16);
        assert_int_equal(*at, '\n');
    }
    free(text);
    return bytes;
}

static const char *const checkpoint_paths[] = {"tests/golden/checkpoint.hex",
                                               "tests/golden/checkpoint_extensions.hex"};

static void test_golden_bytes_are_written(void **state)
{
    (void)state;
    struct lum__chunk_entry entry;
    size_t byte_count;
    char *golden = read_text("tests/golden/chunk.hex"), *written = hex_of(build_chunk(&entry), 4096);
    assert_string_equal(written, golden);
    free(golden);
    free(written);

    for (int with_metadata = 0; with_metadata < 2; with_metadata++) {
        uint8_t *bytes = build_checkpoint(with_metadata, &byte_count);
        golden = read_text(checkpoint_paths[with_metadata]);
        written = hex_of(bytes, byte_count);
        assert_string_equal(written, golden);
        free(bytes);
        free(golden);
        free(written);
    }
}

static void test_golden_chunk_is_read(void **state)
{
    (void)state;
    struct lum__chunk_entry entry;
    struct lum__page_scratch *scratch = aligned_alloc(64, (lum__page_scratch_bytes() + 63) / 64 * 64);
    lum_t rows[ROWS], read[LUM__PAGE_ROWS_MAX];
    size_t byte_count;
    uint32_t page_count;
    uint8_t *bytes = read_golden("tests/golden/chunk.hex", &byte_count);

    (void)build_chunk(&entry);
    fill_rows(rows);
    assert_int_equal(lum__chunk_check(bytes, store_id, &entry, scratch, "data/1.seg"), LUM_OK);
    assert_int_equal(lum__chunk_check_directory(bytes, 4096, store_id, &entry, "data/1.seg", &page_count), LUM_OK);
    assert_int_equal(page_count, 2);
    for (uint32_t index = 0; index < 2; index++) {
        struct lum__page_entry page;
        lum__chunk_page(bytes, index, &page);
        assert_int_equal(lum__chunk_decode_page(bytes + page.offset, &page, &entry, scratch, "data/1.seg", read),
                         LUM_OK);
        assert_memory_equal(read, rows + index * PAGE_LUMS, page.row_count * sizeof *rows);
    }
    free(scratch);
    free(bytes);
}

static void expect_golden_checkpoint_is_read(bool with_metadata)
{
    struct lum__sim *sim = lum__sim_create(1);
    struct lum__fs *fs;
    struct lum__catalogue *catalogue, *wanted_catalogue = build_catalogue(with_metadata);
    struct lum__checkpoint checkpoint, wanted;
    struct lum__open_transaction open;
    struct lum__chunk_entry open_chunk;
    size_t byte_count;
    uint8_t *bytes = read_golden(checkpoint_paths[with_metadata], &byte_count);

    assert_int_equal(lum__sim_open(sim, false, &fs), LUM_OK);
    assert_int_equal(lum__fs_replace(fs, "checkpoint-1", bytes, byte_count), LUM_OK);
    assert_int_equal(lum__catalogue_create(&catalogue), LUM_OK);
    assert_int_equal(lum__checkpoint_read(fs, 1, store_id, &checkpoint, catalogue), LUM_OK);
    fill_checkpoint(&wanted, &open, &open_chunk);
    assert_int_equal(checkpoint.epoch, wanted.epoch);
    assert_int_equal(checkpoint.timestamp, wanted.timestamp);
    assert_memory_equal(&checkpoint.replay, &wanted.replay, sizeof wanted.replay);
    assert_int_equal(checkpoint.next_data_segment, wanted.next_data_segment);
    assert_int_equal(checkpoint.next_wal_segment, wanted.next_wal_segment);
    assert_int_equal(checkpoint.open_count, 1);
    assert_memory_equal(checkpoint.open[0].chunks, &open_chunk, sizeof open_chunk);

    const struct lum__catalogue_version *a = lum__catalogue_pin(catalogue), *b = lum__catalogue_pin(wanted_catalogue);
    assert_int_equal(a->chunk_count, 1);
    assert_memory_equal(a->chunks, b->chunks, sizeof *a->chunks);
    assert_int_equal(a->transactions[0].transaction_id, TRANSACTION);
    assert_int_equal(a->transactions[0].commit_timestamp, b->transactions[0].commit_timestamp);
    assert_true(a->transactions[0].data_synced);
    assert_string_equal(a->transactions[0].label, "demo");
    assert_int_equal(a->transaction_count, with_metadata ? 2 : 1);
    if (with_metadata) {
        for (int index = 0; index < 2; index++)
            assert_true(lum__metadata_is_same(&a->transactions[index].metadata, &metadata[index]));
        assert_ptr_equal(a->transactions[0].metadata.items, a->transactions[1].metadata.items); /* kept once */
    }
    lum__catalogue_unpin(catalogue, a);
    lum__catalogue_unpin(wanted_catalogue, b);
    lum__checkpoint_fini(&checkpoint);
    lum__catalogue_destroy(catalogue);
    lum__catalogue_destroy(wanted_catalogue);
    lum__fs_close(fs);
    lum__sim_destroy(sim);
    free(bytes);
}

static void test_golden_checkpoint_is_read(void **state)
{
    (void)state;
    expect_golden_checkpoint_is_read(false);
    expect_golden_checkpoint_is_read(true);
}

static void expect_in_document(const char *path, unsigned long end)
{
    char *golden = read_text(path), *document = read_text("docs/format.md");
    for (char *line = strtok(golden, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (strtoul(line, NULL, 16) < end && strstr(document, line) == NULL)
            fail_msg("docs/format.md lacks the line: %s", line);
    }
    free(golden);
    free(document);
}

static void test_document_shows_the_golden_bytes(void **state)
{
    (void)state;
    expect_in_document("tests/golden/chunk.hex", FIRST_PAGE);
    expect_in_document(checkpoint_paths[0], FILE_BYTES_MAX);
    expect_in_document(checkpoint_paths[1], FILE_BYTES_MAX);
}

int main(int argument_count, char **arguments)
{
    if (argument_count > 2 && strcmp(arguments[1], "--write") == 0) {
        struct lum__chunk_entry entry;
        size_t byte_count;
        char *text = strcmp(arguments[2], "chunk") == 0 ? hex_of(build_chunk(&entry), 4096) : NULL;
        if (text == NULL) {
            uint8_t *bytes = build_checkpoint(strcmp(arguments[2], "checkpoint_extensions") == 0, &byte_count);
            text = hex_of(bytes, byte_count);
            free(bytes);
        }
        (void)fputs(text, stdout);
        free(text);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_bytes_are_written),
        cmocka_unit_test(test_golden_chunk_is_read),
        cmocka_unit_test(test_golden_checkpoint_is_read),
        cmocka_unit_test(test_document_shows_the_golden_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
