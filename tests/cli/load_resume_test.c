/* Proves that the resume point of `lum load --label` is read as docs/format.md 3.6 says: what was written comes back, the worked example is what is
 * written, one of another version or cut anywhere is refused, never believed; and that the command line is quoted so that a shell gives it back. */
#include "cli/load_resume.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t example[] = {
    0x4c, 0x52, 0x53, 0x4d, 0x01, 0x00, 0x02, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* LRSM, version 1, flags 2; 2 files */
    0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x64, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* in the second; 100 rows before it */
    0x3c, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xe8, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* 60 of its rows, 1,000 bytes */
    0x3e, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xd0, 0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* line 62; 2,000 bytes in all */
    0xa0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* 160 rows, 3 refused */
    0x44, 0x33, 0x22, 0x11, 0x88, 0x77, 0x66, 0x55, 0x32, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* sums; FILE 50 bytes */
    0x96, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x03, 0x02, 0x01, 0x08, 0x07, 0x06, 0x05, /* errors 150; their sums */
    0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0c, 0x00, 0x03, 0x00, 0x05, 0x00, 0x00, 0x00, /* 3 rows; texts of 12 and 3; header 5 */
    '-',  '-',  'm',  'a',  'p',  ' ',  '\'', 'i',  'd',  '=',  'a',  '\'', 'b',  'a',  'd'};

static struct lum__resume example_resume(void)
{
    struct lum__resume resume = {.file_count = 2,
                                 .point = {.file = 1,
                                           .at = {.bytes = 1000, .rows = 60, .line = 62, .follows_cr = true},
                                           .file_first_row = 100,
                                           .bytes = 2000,
                                           .rows = 160,
                                           .rows_refused = 3,
                                           .sum = 0x11223344},
                                 .rejects = {.bytes = {50, 150}, .sums = {0x01020304, 0x05060708}, .header_bytes = 5, .rows = 3},
                                 .meaning_sum = 0x55667788};
    lum__resume_set_text(resume.meaning, "--map 'id=a'");
    lum__resume_set_text(resume.reject_path, "bad");
    return resume;
}

static void what_is_written_comes_back(void **state)
{
    (void)state;
    static uint8_t bytes[LUM__RESUME_BYTES_MAX];
    struct lum__resume resume = example_resume(), back;
    size_t byte_count = lum__resume_encode(&resume, bytes);
    assert_int_equal(byte_count, sizeof example);
    assert_memory_equal(bytes, example, sizeof example);
    assert_int_equal(lum__resume_decode(example, sizeof example, &back), LUM__RESUME_GOOD);
    assert_memory_equal(&back.point.at, &resume.point.at, sizeof(uint64_t) * 3);
    assert_true(back.point.at.follows_cr && !back.is_complete && back.file_count == 2 && back.point.file == 1 && back.point.file_first_row == 100);
    assert_true(back.point.bytes == 2000 && back.point.rows == 160 && back.point.rows_refused == 3 && back.point.sum == 0x11223344);
    assert_true(back.rejects.bytes[0] == 50 && back.rejects.bytes[1] == 150 && back.rejects.sums[0] == 0x01020304 && back.rejects.sums[1] == 0x05060708);
    assert_true(back.rejects.rows == 3 && back.rejects.header_bytes == 5 && back.meaning_sum == 0x55667788);
    assert_string_equal(back.meaning, "--map 'id=a'");
    assert_string_equal(back.reject_path, "bad");
    memset(resume.meaning, 'm', LUM__RESUME_TEXT_MAX);
    memset(resume.reject_path, 'r', LUM__RESUME_TEXT_MAX);
    byte_count = lum__resume_encode(&resume, bytes);
    assert_in_range(byte_count, 2 * LUM__RESUME_TEXT_MAX, LUM__RESUME_BYTES_MAX);
    assert_int_equal(lum__resume_decode(bytes, byte_count, &back), LUM__RESUME_GOOD);
    assert_string_equal(back.reject_path, resume.reject_path);
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    struct lum__resume back;
    uint8_t bytes[sizeof example + 1];
    assert_int_equal(lum__resume_decode(NULL, 0, &back), LUM__RESUME_NONE);
    for (size_t length = 1; length < sizeof example; length++) {
        uint8_t *cut = malloc(length); /* its own memory: a read beyond is seen by a sanitizer */
        memcpy(cut, example, length);
        assert_int_equal(lum__resume_decode(cut, length, &back), LUM__RESUME_DAMAGED);
        free(cut);
    }
    memcpy(bytes, example, sizeof example);
    bytes[sizeof example] = 0;
    assert_int_equal(lum__resume_decode(bytes, sizeof bytes, &back), LUM__RESUME_DAMAGED);
    static const struct {
        size_t at;
        uint8_t value;
        enum lum__resume_fault expected;
    } cases[] = {
        {0, 'X', LUM__RESUME_DAMAGED},
        {4, 2, LUM__RESUME_NEWER},    /* version */
        {6, 4, LUM__RESUME_NEWER},    /* a flag nobody knows */
        {6, 3, LUM__RESUME_DAMAGED},  /* complete, in the middle */
        {16, 2, LUM__RESUME_DAMAGED}, /* behind the last file, not complete */
        {16, 3, LUM__RESUME_DAMAGED}, /* behind it altogether */
        {24, 1, LUM__RESUME_DAMAGED}, /* rows do not add up */
        {56, 0, LUM__RESUME_DAMAGED}, /* fewer bytes than the file alone */
        {72, 0xff, LUM__RESUME_DAMAGED}, /* more refused rows than rows */
        {112, 4, LUM__RESUME_DAMAGED},   /* more in FILE than were refused */
        {124, 60, LUM__RESUME_DAMAGED},  /* a header longer than FILE */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memcpy(bytes, example, sizeof example);
        bytes[cases[i].at] = cases[i].value;
        if (cases[i].at == 56) bytes[57] = 1;
        enum lum__resume_fault fault = lum__resume_decode(bytes, sizeof example, &back);
        if (fault != cases[i].expected) print_error("byte %zu\n", cases[i].at);
        assert_int_equal(fault, cases[i].expected);
    }
}

static void the_command_is_quoted(void **state)
{
    (void)state;
    static const char *const words[] = {"a b.lum", "it's.csv", "--map", "id=x*10", "--null", "", "--", "-f"};
    struct lum__arguments arguments = {.words = words, .word_count = 8};
    assert_string_equal(lum__resume_command(&arguments), "lum load --resume 'a b.lum' 'it'\\''s.csv' --map 'id=x*10' --null '' -- -f");
    static const char *const odd[] = {"caf\u00e9", "a\nb's", "\xff", "\x1b[1m\\"}; /* a terminal and JSON would not give them back */
    arguments.words = odd;
    arguments.word_count = 4;
    assert_string_equal(lum__resume_command(&arguments), "lum load --resume 'caf\u00e9' $'a\\012b\\'s' $'\\377' $'\\033[1m\\\\'");
    arguments.words = words;
    arguments.resume = true;
    arguments.word_count = 1;
    assert_string_equal(lum__resume_command(&arguments), "lum load 'a b.lum'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_comes_back),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(the_command_is_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
