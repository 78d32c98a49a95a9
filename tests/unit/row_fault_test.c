/* Proves that whatever stands in a field is shown short, without control bytes, without half a character, with its quotes
 * doubled; that a sentence never grows over its buffer; and that lines of the errors file are what a plain writer of
 * CSV would write, however often and in whatever order columns and codes come. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "formats/reject_text.h"
#include "formats/row_fault.h"

/* What lum__fault_add_shown() is to add, a byte at a time. */
static size_t show_plainly(const uint8_t *text, size_t length, char *out)
{
    size_t shown = length < 40 ? length : 40, used = 0;

    while (shown < length && shown > 0 && (text[shown] & 0xc0) == 0x80) --shown;
    out[used++] = '"';
    out[used++] = '"';
    for (size_t i = 0; i < shown; ++i) {
        out[used++] = text[i] < 0x20 || text[i] == 0x7f ? '?' : (char)text[i];
        if (text[i] == '"') out[used++] = '"';
    }
    for (int i = 0; shown < length && i < 3; ++i) out[used++] = '.';
    out[used++] = '"';
    out[used++] = '"';
    return used;
}

static void check_shown(const uint8_t *text, size_t length)
{
    struct lum__row_fault fault;
    char want[200];

    memset(&fault, '"', sizeof fault); /* what was in the memory before must not matter */
    lum__fault_begin(&fault, "", NULL, 0, "");
    lum__fault_add(&fault, "It is ");
    lum__fault_add_shown(&fault, text, length);
    size_t want_length = show_plainly(text, length, want);
    assert_int_equal(fault.quoted_length, 6 + want_length);
    assert_memory_equal(fault.quoted + 6, want, want_length);
}

static void any_byte_anywhere_is_shown_as_it_should(void **state)
{
    uint8_t text[64];

    (void)state;
    for (size_t length = 0; length <= 45; ++length) {
        memset(text, 'a', sizeof text);
        check_shown(text, length);
        for (size_t at = 0; at < length; ++at) {
            for (unsigned byte = 0; byte < 256; ++byte) {
                memset(text, 'a', sizeof text);
                text[at] = (uint8_t)byte;
                check_shown(text, length);
            }
        }
    }
    uint64_t seed = 5;
    for (int round = 0; round < 20000; ++round) {
        for (size_t i = 0; i < sizeof text; ++i) text[i] = (uint8_t)lum__splitmix64(&seed);
        check_shown(text, lum__splitmix64(&seed) % sizeof text);
    }
}

static void a_sentence_ends_where_its_buffer_does(void **state)
{
    struct lum__row_fault fault;
    char reason[LUM__REASON_BYTES_MAX];
    uint8_t text[40];

    (void)state;
    memset(text, '"', sizeof text);
    for (size_t before = 0; before < LUM__REASON_BYTES_MAX; ++before) {
        lum__fault_begin(&fault, "", NULL, 0, "");
        for (size_t i = 0; i < before; ++i) lum__fault_add(&fault, "a");
        lum__fault_add_shown(&fault, text, before % 41);
        lum__fault_add_shown(&fault, (const uint8_t *)"plain", 5);
        assert_true(fault.quoted_length < LUM__REASON_BYTES_MAX);
        assert_true(strlen(lum__fault_reason(&fault, reason)) >= before);
    }
}

/* A field of CSV, quoted where it must be. */
static size_t put_plainly(char *out, const char *field)
{
    size_t used = 0;

    if (field[0] != ' ' && strpbrk(field, ",\"\r\n") == NULL) return (size_t)sprintf(out, "%s,", field);
    out[used++] = '"';
    for (; *field != '\0'; ++field) {
        out[used++] = *field;
        if (*field == '"') out[used++] = '"';
    }
    return used + (size_t)sprintf(out + used, "\",");
}

static void lines_are_what_a_plain_writer_writes(void **state)
{
    static const char *const codes[] = {"syntax", "range", "leftover", "empty", "quote", "fields", "checksum", "date"};
    static char names[40][80];
    static struct lum__reject_memo memos[LUM__REJECT_MEMOS];
    char want[600];
    uint8_t got[600];
    uint64_t seed = 9;

    (void)state;
    for (int i = 0; i < 40; ++i) {
        static const char letters[] = "abcdefgh ,\"\n";
        int length = i % 4 == 3 ? 79 : i % 7;
        for (int at = 0; at < length; ++at) names[i][at] = letters[lum__splitmix64(&seed) % (sizeof letters - 1)];
    }
    for (int input = 0; input < 3; ++input) {
        lum__reject_forget(memos);
        for (int i = 0; input > 0 && i < 40; ++i) /* other names where these were */
            if (names[i][0] != '\0') names[i][0] = (char)('A' + input);
        for (int round = 0; round < 30000; ++round) {
            uint32_t column = (uint32_t)(lum__splitmix64(&seed) % 40);
            struct lum__rejected_row row = {.row = lum__splitmix64(&seed) >> lum__splitmix64(&seed) % 64,
                                            .line = round % 3 == 0 ? 0 : lum__splitmix64(&seed) >> lum__splitmix64(&seed) % 64,
                                            .offset = lum__splitmix64(&seed) >> lum__splitmix64(&seed) % 64,
                                            .column = column,
                                            .column_name = names[lum__splitmix64(&seed) % 8 == 0 ? 7 : column],
                                            .code = codes[lum__splitmix64(&seed) % 8],
                                            .quoted_reason = "it is \"\"bad\"\"",
                                            .quoted_reason_length = (size_t)(lum__splitmix64(&seed) % 14)};
            size_t used = row.row > 0 ? (size_t)sprintf(want, "%llu,", (unsigned long long)row.row) : (size_t)sprintf(want, ",");
            used += row.line > 0 ? (size_t)sprintf(want + used, "%llu,", (unsigned long long)row.line) : (size_t)sprintf(want + used, ",");
            used += (size_t)sprintf(want + used, "%llu,", (unsigned long long)row.offset);
            used += column > 0 ? (size_t)sprintf(want + used, "%u,", column) : (size_t)sprintf(want + used, ",");
            used += put_plainly(want + used, row.column_name);
            used += (size_t)sprintf(want + used, "%s,\"%.*s\"\n", row.code, (int)row.quoted_reason_length, row.quoted_reason);
            const struct lum__reject_memo *memo = lum__reject_recall(memos, &row);
            assert_true(memo != NULL || strlen(row.column_name) > 20);
            size_t bytes = (size_t)(lum__reject_put_line(got, &row, memo) - got);
            assert_true(bytes <= lum__reject_line_bytes_max(&row, memo));
            assert_int_equal(bytes, used);
            assert_memory_equal(got, want, used);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_byte_anywhere_is_shown_as_it_should),
        cmocka_unit_test(a_sentence_ends_where_its_buffer_does),
        cmocka_unit_test(lines_are_what_a_plain_writer_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
