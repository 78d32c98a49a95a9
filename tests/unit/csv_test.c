/* Proves the CSV scanner, cursor and writer: RFC 4180 case by case, rows cut exactly at a limit, line numbers, state
 * that survives any split of the stream, no byte read that must not matter. (csv_python_test.py compares with Python's
 * csv in bulk.) */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "formats/csv.h"
#include "formats/csv_cursor.h"

/* Every row on a line, fields between brackets; "!" behind a field with an error. */
static void show(const char *text, size_t length, char delimiter, char *out, size_t out_max)
{
    struct lum__csv_cursor cursor;
    struct lum__csv_field field;
    uint8_t *data = malloc(length + LUM__CSV_SLACK);
    size_t at = 0;

    memcpy(data, text, length);
    memset(data + length, "\",\n\r"[length % 4], LUM__CSV_SLACK); /* must not matter */
    lum__csv_cursor_init(&cursor, delimiter, data, data + length);
    while (lum__csv_next_row(&cursor)) {
        do {
            char value[256];
            lum__csv_next_field(&cursor, &field);
            assert_true(field.length < sizeof value);
            size_t value_length = lum__csv_unescape(&field, value);
            at += (size_t)snprintf(out + at, out_max - at, "[%.*s]%s", (int)value_length, value,
                                   field.error != LUM__CSV_OK ? "!" : "");
        } while (!field.row_ended);
        at += (size_t)snprintf(out + at, out_max - at, "|");
    }
    out[at] = '\0';
    free(data);
}

static void fields_follow_rfc_4180(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", ""},
        {"a,b\n", "[a][b]|"},
        {"a,b", "[a][b]|"},
        {"a,b\r\nc,d\r\n", "[a][b]|[c][d]|"},
        {"a\rb\r", "[a]|[b]|"},
        {"\n\n\r\n\ra\n\n\n", "[a]|"},
        {",\n", "[][]|"},
        {"a,\n,b\n", "[a][]|[][b]|"},
        {"a,", "[a][]|"},
        {"\"\"", "[]|"},
        {"\"\"\n\"\"", "[]|[]|"},
        {"\"a,b\",c\n", "[a,b][c]|"},
        {"\"a\nb\",\"c\r\nd\"\n", "[a\nb][c\r\nd]|"},
        {"\"say \"\"so\"\"\",x\n", "[say \"so\"][x]|"},
        {"\"\"\"\"\n", "[\"]|"},
        {"\"\"\"a\"\n", "[\"a]|"},
        {"\"a\"\"\"\n", "[a\"]|"},
        {"a\"b,c\"\"d\n", "[a\"b][c\"\"d]|"}, /* no quotes: they do not begin the field */
        {" \"a\",b\n", "[ \"a\"][b]|"},
        {"\"a\"b,c\nd\n", "[a]![c]|[d]|"},
        {"\"a\" ,c\n", "[a]![c]|"},
        {"\"a\"b\"c,d\"\n", "[a]![d\"]|"},
        {"x,\"abc", "[x][abc]!|"},
        {"x,\"abc\"\"", "[x][abc\"]!|"},
        {"\"", "[]!|"},
        {"a;b,c\n", "[a;b][c]|"},
        {"\xc3\xa9,\xff\xfe\n", "[\xc3\xa9][\xff\xfe]|"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        char out[512];
        show(cases[i].text, strlen(cases[i].text), ',', out, sizeof out);
        if (strcmp(out, cases[i].want) != 0) fail_msg("%s became %s", cases[i].text, out);
        /* The same behind 0 to 130 bytes of other rows: every place in the blocks of 64 bytes. */
        for (size_t before = 1; before < 131 && cases[i].text[0] != '\0'; ++before) {
            char text[512], moved[1024];
            memset(text, 'x', before);
            text[before - 1] = '\n';
            strcpy(text + before, cases[i].text);
            show(text, strlen(text), ',', moved, sizeof moved);
            const char *first_end = before > 1 ? strchr(moved, '|') + 1 : moved;
            assert_string_equal(first_end, cases[i].want);
        }
    }
}

static void any_delimiter_and_nul_bytes(void **state)
{
    char out[256];

    (void)state;
    show("a;b,c;\"d;\"\n", 11, ';', out, sizeof out);
    assert_string_equal(out, "[a][b,c][d;]|");
    show("a\tb\n", 4, '\t', out, sizeof out);
    assert_string_equal(out, "[a][b]|");
    struct lum__csv_cursor cursor;
    struct lum__csv_field field;
    uint8_t data[4 + LUM__CSV_SLACK] = "a\0b,";
    lum__csv_cursor_init(&cursor, ',', data, data + 4);
    assert_true(lum__csv_next_row(&cursor));
    lum__csv_next_field(&cursor, &field);
    assert_int_equal(field.length, 3);
    assert_memory_equal(field.text, "a\0b", 3);
}

/* A text with everything in it: rows and where they end, by a plain loop that looks at one byte after the other. */
struct ends {
    size_t count;
    size_t offset[512];
    uint64_t lines[512];
};

static void find_ends(const char *text, size_t length, struct ends *out)
{
    enum { ROW_BEGIN, FIELD_BEGIN, FIELD, QUOTED, QUOTE } where = ROW_BEGIN;
    uint64_t lines = 0;

    out->count = 0;
    for (size_t i = 0; i < length; ++i) {
        char c = text[i];
        bool end = c == '\n' || c == '\r';
        lines += c == '\r' || (c == '\n' && (i == 0 || text[i - 1] != '\r'));
        if (where == QUOTED) {
            if (c == '"') where = QUOTE;
        } else if (where == QUOTE && c == '"') {
            where = QUOTED;
        } else if (end) {
            if (where != ROW_BEGIN) {
                out->offset[out->count] = i + 1;
                out->lines[out->count++] = lines;
            }
            where = ROW_BEGIN;
        } else if (c == '"' && (where == ROW_BEGIN || where == FIELD_BEGIN)) {
            where = QUOTED;
        } else {
            where = c == ',' ? FIELD_BEGIN : FIELD;
        }
    }
}

static size_t random_text(uint64_t *seed, char *out, size_t length_max)
{
    static const char *const pieces[] = {"\"",
                                         "\"",
                                         "\"\"",
                                         ",",
                                         ",\"",
                                         "\",",
                                         "\n",
                                         "\r\n",
                                         "\r",
                                         "\n\n",
                                         "a",
                                         "bcd",
                                         "0123456789012345678901234567890123456789012345678901234567890"};
    size_t length = 0;

    for (size_t count = lum__splitmix64(seed) % 60; count > 0; --count) {
        const char *piece = pieces[lum__splitmix64(seed) % (sizeof pieces / sizeof pieces[0])];
        if (length + strlen(piece) > length_max) break;
        memcpy(out + length, piece, strlen(piece));
        length += strlen(piece);
    }
    return length;
}

static uint64_t seed_of_run(void)
{
    const char *text = getenv("LUM_SEED");
    uint64_t seed;
    if (text != NULL) return strtoull(text, NULL, 10);
    lum__random_bytes(&seed, sizeof seed);
    return seed;
}

/* For random texts, every limit of rows, and blocks of several sizes: the scanner stops exactly behind the right row,
 * with the right line count, wherever the stream is split. */
static void the_scanner_finds_the_same_rows_at_every_split(void **state)
{
    static char text[4096];
    static struct ends ends;
    uint64_t seed = seed_of_run(), first_seed = seed;

    (void)state;
    for (int round = 0; round < 3000; ++round) {
        size_t length = random_text(&seed, text, sizeof text);
        find_ends(text, length, &ends);
        size_t step = 1 + lum__splitmix64(&seed) % 100;
        uint64_t rows_max = 1 + lum__splitmix64(&seed) % (ends.count + 2);
        struct lum__row_scanner scanner = {.delimiter = ','};
        size_t at = 0;
        while (at < length && scanner.rows < rows_max) {
            size_t block = length - at < step ? length - at : step;
            uint8_t *exact = malloc(block); /* exactly the block: nothing behind it may be read */
            memcpy(exact, text + at, block);
            size_t used = lum__csv_scan(&scanner, exact, block, rows_max);
            free(exact);
            assert_true(used == block || scanner.rows == rows_max);
            at += used;
        }
        uint64_t rows = rows_max < ends.count ? rows_max : ends.count;
        bool good = scanner.rows == rows && scanner.offset == at;
        if (rows > 0)
            good = good && scanner.row_end == ends.offset[rows - 1] && scanner.row_end_lines == ends.lines[rows - 1];
        if (rows == rows_max)
            good = good && at == ends.offset[rows - 1];
        else
            good = good && at == length;
        good = good && scanner.lines == lum__count_lines((const uint8_t *)text, at, false);
        if (!good)
            fail_msg("LUM_SEED=%llu round %d step %zu rows_max %llu: %llu rows at %zu", (unsigned long long)first_seed,
                     round, step, (unsigned long long)rows_max, (unsigned long long)scanner.rows, at);
    }
}

static void lines_count_as_in_an_editor(void **state)
{
    static const struct {
        const char *text;
        uint64_t lines;
    } cases[] = {{"", 0}, {"a", 0}, {"a\n", 1}, {"a\r\nb\r\n", 2}, {"a\rb\r", 2}, {"\n\r", 2}, {"\r\n\n\r\r\n", 4}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i)
        assert_int_equal(lum__count_lines((const uint8_t *)cases[i].text, strlen(cases[i].text), false),
                         cases[i].lines);
    assert_int_equal(lum__count_lines((const uint8_t *)"\na", 2, true), 0); /* the second half of CRLF */
}

static void rows_are_written_with_the_chosen_columns(void **state)
{
    static const enum lum__field all[] = {LUM__FIELD_ID,
                                          LUM__FIELD_PRESENCE,
                                          LUM__FIELD_POSITION_X,
                                          LUM__FIELD_POSITION_Y,
                                          LUM__FIELD_STRUCTURE_TYPE,
                                          LUM__FIELD_TIMESTAMP,
                                          LUM__FIELD_MEMORY_ADDRESS,
                                          LUM__FIELD_IS_DESTROYED,
                                          LUM__FIELD_CHECKSUM};
    const lum_t rows[] = {
        {.id = 1, .presence = 1, .position_x = -2, .position_y = 3, .structure_type = 4, .timestamp = 5},
        {UINT64_MAX, UINT64_MAX, UINT64_MAX, INT32_MIN, INT32_MIN, UINT32_MAX, 1, 5, 1, 0},
    };
    uint8_t out[2 * LUM__CSV_ROW_BYTES_MAX];

    (void)state;
    size_t length = lum__csv_write_header(out, ',', all, LUM__FIELD_COUNT_DEFAULT);
    assert_int_equal(length, strlen("id,presence,position_x,position_y,structure_type,timestamp\n"));
    assert_memory_equal(out, "id,presence,position_x,position_y,structure_type,timestamp\n", length);
    assert_true(lum__csv_write_header(out, ',', all, LUM__FIELD_COUNT) <= LUM__CSV_HEADER_BYTES_MAX);

    length = lum__csv_write_rows(out, ',', all, LUM__FIELD_COUNT_DEFAULT, rows, 1);
    assert_int_equal(length, strlen("1,1,-2,3,4,5\n"));
    assert_memory_equal(out, "1,1,-2,3,4,5\n", length);

    static const char want[] = "18446744073709551615\t1\t-2147483648\t-2147483648\t5\t18446744073709551615\t"
                               "18446744073709551615\t1\t4294967295\n";
    length = lum__csv_write_rows(out, '\t', all, LUM__FIELD_COUNT, rows + 1, 1); /* the longest row there is */
    assert_int_equal(length, sizeof want - 1);
    assert_memory_equal(out, want, length);
    assert_true(length <= LUM__CSV_ROW_BYTES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_follow_rfc_4180),
        cmocka_unit_test(any_delimiter_and_nul_bytes),
        cmocka_unit_test(the_scanner_finds_the_same_rows_at_every_split),
        cmocka_unit_test(lines_count_as_in_an_editor),
        cmocka_unit_test(rows_are_written_with_the_chosen_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
