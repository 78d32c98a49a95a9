/* Proves that the bytes of a page have not changed: the worked example of docs/format.md (section 6.5), which is
 * tests/golden/page.hex, is what the encoder writes today at every instruction level, is read back row by row, and stands
 * in the document word for word. `golden_page_test --write` prints the example. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "storage/page_kernel.h"
#include "storage/record.h"

enum { ROWS = 100, DEVICES = 20, LINE_BYTES = 16, TEXT_BYTES = 1 << 20 };
#define NOON UINT64_C(1700000000000000000)

/* Twenty devices in turn; every third record takes 3 ns longer than the others. */
static void fill_rows(lum_t rows[ROWS])
{
    memset(rows, 0, ROWS * sizeof *rows);
    for (uint32_t i = 0; i < ROWS; i++) {
        rows[i].id = 101 + i % DEVICES;
        rows[i].timestamp = NOON + i * 1000 + (i % 3 == 0 ? 3 : 0);
        rows[i].memory_address = UINT64_C(0x7f0000010000) - 40 * i;
        rows[i].position_x = (int32_t)(i * i * 37 % 211) - 100;
        rows[i].position_y = -1;
        rows[i].presence = i % 7 != 0;
        rows[i].structure_type = LUM_STRUCTURE_NODE;
        rows[i].checksum = lum__record_checksum(&rows[i]);
    }
}

static uint8_t page[LUM__PAGE_BYTES_MAX] __attribute__((aligned(64)));
static struct lum__page_scratch scratch;
static lum_t rows[ROWS], back[ROWS];
static struct lum__page_summary summary;

static void build(void)
{
    fill_rows(rows);
    memset(page, 0xee, sizeof page);
    lum__page_encode(&scratch, rows, ROWS, true, page, &summary);
}

/* Offset, sixteen bytes; lines of zeros are left out. */
static int print_line(const uint8_t *bytes, uint32_t offset, char *out)
{
    int length = sprintf(out, "%05x ", offset);
    for (int i = 0; i < LINE_BYTES; i++)
        length += sprintf(out + length, i % 4 == 0 ? "  %02x" : " %02x", bytes[offset + (uint32_t)i]);
    return length + sprintf(out + length, "\n");
}

static const char *hex_of(const uint8_t *bytes, uint32_t byte_count)
{
    static char text[TEXT_BYTES];
    static const uint8_t zeros[LINE_BYTES];
    int length = 0;
    for (uint32_t offset = 0; offset < byte_count; offset += LINE_BYTES)
        if (memcmp(bytes + offset, zeros, LINE_BYTES) != 0) length += print_line(bytes, offset, text + length);
    return text;
}

static char *read_text(const char *path)
{
    char full[4096];
    const char *tree = getenv("LUM_SOURCE_DIR");
    snprintf(full, sizeof full, "%s/%s", tree != NULL ? tree : ".", path);
    FILE *file = fopen(full, "rb");
    if (file == NULL) fail_msg("cannot open %s", full);
    char *text = calloc(1, TEXT_BYTES);
    size_t length = fread(text, 1, TEXT_BYTES - 1, file);
    fclose(file);
    assert_true(length > 0 && length < TEXT_BYTES - 1);
    return text;
}

static void test_encoder_writes_the_golden_bytes(void **state)
{
    (void)state;
    static const char *const levels[] = {"baseline", "avx2", "avx512"};
    char *golden = read_text("tests/golden/page.hex");
    for (int level = 0; level < 3; level++) {
        const struct lum__page_kernel *kernel = lum__page_kernel_by_name(levels[level]);
        if (kernel == NULL) continue;
        lum__page_kernel_force(kernel);
        build();
        assert_string_equal(hex_of(page, summary.byte_count), golden);
    }
    lum__page_kernel_force(NULL);
    free(golden);
}

static void test_golden_bytes_are_read(void **state)
{
    (void)state;
    uint32_t condition, at;
    char *golden = read_text("tests/golden/page.hex"), *text = golden;
    build();
    memset(page, 0, sizeof page);
    while (*text != 0) {
        char *after;
        unsigned long offset = strtoul(text, &after, 16);
        assert_true(offset % LINE_BYTES == 0 && offset < summary.byte_count);
        for (int i = 0; i < LINE_BYTES; i++) page[offset + (unsigned)i] = (uint8_t)strtoul(after, &after, 16);
        assert_int_equal(*after, '\n');
        text = after + 1;
    }
    free(golden);
    assert_true(lum__page_decode(&scratch, page, summary.byte_count, ROWS, summary.lum_digest, back, &condition, &at));
    assert_memory_equal(back, rows, sizeof rows);
}

/* The example is worth its lines only while it shows every encoding that a page of 100 rows can have. */
static void test_example_has_the_encodings(void **state)
{
    (void)state;
    static const uint8_t expected[LUM__PAGE_COLUMNS] = {
        LUM__ENCODING_DELTA_HEAD, LUM__ENCODING_DELTA, LUM__ENCODING_STRIDE,   LUM__ENCODING_FOR,
        LUM__ENCODING_CONSTANT,   LUM__ENCODING_PLAIN, LUM__ENCODING_CONSTANT, LUM__ENCODING_CONSTANT};
    struct lum__page_column columns[LUM__PAGE_COLUMNS];
    uint32_t count, condition, at;
    build();
    assert_true(lum__page_columns(page, summary.byte_count, columns, LUM__PAGE_COLUMNS, &count, &condition, &at));
    for (int i = 0; i < LUM__PAGE_COLUMNS; i++)
        assert_string_equal(lum__encoding_name(columns[i].encoding), lum__encoding_name(expected[i]));
}

static void test_document_shows_the_golden_bytes(void **state)
{
    (void)state;
    char *golden = read_text("tests/golden/page.hex");
    char *document = read_text("docs/format.md");
    for (char *line = strtok(golden, "\n"); line != NULL; line = strtok(NULL, "\n"))
        if (strstr(document, line) == NULL) fail_msg("docs/format.md lacks the line: %s", line);
    free(golden);
    free(document);
}

int main(int argument_count, char **arguments)
{
    if (argument_count > 1 && strcmp(arguments[1], "--write") == 0) {
        build();
        fputs(hex_of(page, summary.byte_count), stdout);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encoder_writes_the_golden_bytes),
        cmocka_unit_test(test_golden_bytes_are_read),
        cmocka_unit_test(test_example_has_the_encodings),
        cmocka_unit_test(test_document_shows_the_golden_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
