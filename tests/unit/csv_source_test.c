/* Proves that a CSV stream gives the same rows to any number of workers, however it is cut into reads and pieces; that
 * every bad row is placed at its line, column and byte; and that odd streams (empty, endless rows, broken reads) end in
 * one clear error. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/status.h"
#include "formats/csv.h"
#include "formats/csv_source.h"
#include "formats/text_kernel.h"
#include "support/source_load.h"

static lum_status open_csv(const char *name, struct text_stream *stream, const struct lum__row_options *options,
                           struct lum__row_source **out)
{
    const struct lum__input_bytes input = text_stream_bytes(name, stream);
    return lum__csv_open(&input, options, out);
}

struct setup {
    const char *map;
    const char *null_text;
    bool no_header, round;
    uint64_t piece_bytes_max;
    size_t read_max, fail_at;
    uint32_t workers;
    uint64_t rows_max;
    char delimiter;
};

/* Loads a text; rows (room for row_limit) may be NULL where a failure is expected at the opening. */
static lum_status load_text(const char *text, size_t length, struct setup setup, lum_t *rows, uint64_t row_limit,
                            uint64_t *row_count, struct lum__error *error)
{
    struct text_stream stream = {text, length, 0, setup.read_max ? setup.read_max : SIZE_MAX, setup.fail_at};
    struct lum__mapping mapping = LUM__MAPPING_INIT;
    struct lum__row_options options = {.delimiter = setup.delimiter,
                                       .no_header = setup.no_header,
                                       .round = setup.round,
                                       .null_text = setup.null_text,
                                       .mapping = &mapping,
                                       .piece_bytes_max = setup.piece_bytes_max};
    struct lum__row_source *csv;

    if (setup.map != NULL) assert_int_equal(lum__mapping_add(&mapping, setup.map), LUM_OK);
    lum_status status = open_csv("rows.csv", &stream, &options, &csv);
    lum__mapping_destroy(&mapping);
    *row_count = 0;
    if (status != LUM_OK) {
        assert_null(csv);
        *error = *lum__error_last();
        return status;
    }
    struct source_load load = {.rows_max = setup.rows_max ? setup.rows_max : 1000000, .rows = rows, .row_limit = row_limit};
    run_source_workers(&load, &csv->source, setup.workers ? setup.workers : 1);
    uint64_t read, rejected, bytes;
    load.source->account(load.source->context, &read, &rejected, &bytes);
    if (load.status == LUM_OK) {
        assert_int_equal(read, load.row_count);
        assert_int_equal(rejected, 0);
    } else if (load.status == LUM_ERR_INPUT && load.error.line > 1) {
        assert_true(read > 0 && read <= load.row_count);
    }
    csv->close(csv);
    *row_count = load.row_count;
    *error = load.error;
    return load.status;
}

/* Rows with ids 0, 1, 2 ..., each with a text column that is made to be hard; *line[i] is the line that row i's id
 * stands in. */
static char *make_text(uint64_t row_count, uint64_t *seed, size_t *length, uint64_t *line, size_t *offset)
{
    static const char *const texts[] = {"plain", "\"a,b\"",           "\"two\nlines\"", "\"three\r\nlines\n\"",
                                        "\"\"",  "\"say \"\"x\"\"\"", "it\"s",          "\"\r\""};
    char *text = malloc(64 + row_count * 80);
    size_t at = (size_t)sprintf(text, "text,id,x\r\n");
    uint64_t lines = 1;

    for (uint64_t row = 0; row < row_count; ++row) {
        const char *field = texts[lum__splitmix64(seed) % 8];
        const char *end = ((const char *const[]){"\n", "\r\n", "\n\n", "\r\r\n\n"})[lum__splitmix64(seed) % 4];
        size_t begin = at;
        at += (size_t)sprintf(text + at, "%s,", field);
        if (line != NULL) line[row] = 1 + lines + lum__count_lines((uint8_t *)text + begin, at - begin, false);
        if (offset != NULL) offset[row] = at;
        at += (size_t)sprintf(text + at, "%llu,%lld%s", (unsigned long long)row, (long long)row * -3, end);
        lines += lum__count_lines((uint8_t *)text + begin, at - begin, false);
    }
    *length = at;
    return text;
}

static void any_workers_give_the_same_rows(void **state)
{
    enum { ROWS = 60000 };
    uint64_t seed = 1, row_count;
    size_t length;
    struct lum__error error;

    (void)state;
    char *text = make_text(ROWS, &seed, &length, NULL, NULL);
    lum_t *rows = calloc(ROWS, sizeof *rows);
    static const struct setup setups[] = {
        {.map = "position_x=x", .workers = 1},
        {.map = "position_x=x", .workers = 2, .rows_max = 4096},
        {.map = "position_x=x", .workers = 8, .rows_max = 777, .read_max = 10007},
        {.map = "position_x=x", .workers = 16, .piece_bytes_max = 65536}, /* the bytes limit the pieces */
        {.map = "position_x=x", .workers = 3, .rows_max = 1},
    };
    for (size_t i = 0; i < sizeof setups / sizeof setups[0]; ++i) {
        memset(rows, 0xee, ROWS * sizeof *rows);
        assert_int_equal(load_text(text, length, setups[i], rows, ROWS, &row_count, &error), LUM_OK);
        assert_int_equal(row_count, ROWS);
        for (uint64_t row = 0; row < ROWS; ++row) {
            const lum_t want = {.id = row, .position_x = (int32_t)row * -3, .presence = 1};
            assert_memory_equal(&rows[row], &want, sizeof want);
        }
    }
    free(rows);
    free(text);
}

static void a_stream_may_be_split_anywhere(void **state)
{
    static const char text[] =
        "\xef\xbb\xbfid,t,x\r\n1,\"a\r\nb\",2\r\n\"3\",\"\"\"\n\"\"\",\"4\"\n\r\n5,,6\r7,\"\n\n\",8";
    lum_t rows[8];
    uint64_t row_count;
    struct lum__error error;

    (void)state;
    for (size_t read_max = 1; read_max <= sizeof text; ++read_max) {
        for (uint64_t rows_max = 1; rows_max <= 5; ++rows_max) {
            struct setup setup = {.map = "position_x=x", .read_max = read_max, .rows_max = rows_max, .workers = 1};
            assert_int_equal(load_text(text, sizeof text - 1, setup, rows, 8, &row_count, &error), LUM_OK);
            assert_int_equal(row_count, 4);
            for (int row = 0; row < 4; ++row) {
                assert_int_equal(rows[row].id, 2 * row + 1);
                assert_int_equal(rows[row].position_x, 2 * row + 2);
            }
        }
    }
}

/* A quoted line end, and what else has a meaning over two bytes, at every place of the blocks that are looked at together,
 * at the end of a piece that its bytes limit, and at the end of a read; for every instruction level. */
static void what_is_two_bytes_long_may_be_split_anywhere(void **state)
{
    static const char *const middles[] = {"\"a\nb\"", "\"a\r\nb\"", "\"\"\"\n\"\"\"", "\"\"\"\"", "\",\"", "\"\r\n\"\"\""};
    enum { PIECE = 65536, REACH = 70 };
    static lum_t rows[PIECE];
    static char text[2 * PIECE];
    struct lum__error error;
    uint64_t row_count;

    (void)state;
    for (enum lum__simd level = LUM__SIMD_BASELINE; level < LUM__SIMD_COUNT; ++level) {
        if (lum__text_kernel_of(level) == NULL) continue;
        lum__text_kernel_force(lum__text_kernel_of(level));
        for (size_t m = 0; m < sizeof middles / sizeof middles[0]; ++m) {
            for (size_t place = 0; place < 2 * REACH; ++place) {
                /* place 0 .. REACH: the row begins near the stream's start, and then near the end of the first piece. */
                bool near_end = place >= REACH;
                size_t want = near_end ? PIECE + 9 - REACH / 2 + (place - REACH) : 9 + place, at = 9;
                uint64_t rows_before = 0;
                memcpy(text, "id,t,x,y\n", 9);
                for (; at + 30 < want; at += 16, ++rows_before) memcpy(text + at, "1,a,123456,7777\n", 16);
                size_t fill = want - at;
                at += (size_t)sprintf(text + at, "2,");
                memset(text + at, 'f', fill);
                at += fill;
                at += (size_t)sprintf(text + at, ",1,1\n3,%s,5,6\n4,z,7,8", middles[m]);
                struct setup setup = {.map = "position_x=x,position_y=y",
                                      .workers = 1,
                                      .piece_bytes_max = PIECE,
                                      .read_max = place % 3 == 0 ? 4096 : place % 3 == 1 ? want + 3 : SIZE_MAX};
                assert_int_equal(load_text(text, at, setup, rows, PIECE, &row_count, &error), LUM_OK);
                assert_int_equal(row_count, rows_before + 3);
                assert_int_equal(rows[rows_before + 1].id, 3);
                assert_int_equal(rows[rows_before + 1].position_x, 5);
                assert_int_equal(rows[rows_before + 1].position_y, 6);
                assert_int_equal(rows[rows_before + 2].id, 4);
                assert_int_equal(rows[rows_before + 2].position_y, 8);
            }
        }
    }
    lum__text_kernel_force(NULL);
}

static void a_bad_row_is_placed_exactly(void **state)
{
    enum { ROWS = 500 };
    static uint64_t line[ROWS];
    static size_t offset[ROWS];
    static lum_t rows[ROWS];
    uint64_t seed = 2, row_count;
    size_t length;
    struct lum__error error;

    (void)state;
    char *text = make_text(ROWS, &seed, &length, line, offset);
    for (int bad = 0; bad < ROWS; bad += bad < 20 ? 1 : 13) {
        char was = text[offset[bad]];
        text[offset[bad]] = 'q';
        for (uint32_t workers = 1; workers <= 8; workers *= 2) {
            struct setup setup = {
                .workers = workers, .rows_max = 1 + (uint64_t)bad % 9, .read_max = 1 + (size_t)bad % 50};
            assert_int_equal(load_text(text, length, setup, rows, ROWS, &row_count, &error), LUM_ERR_INPUT);
            assert_string_equal(error.file, "rows.csv");
            assert_int_equal(error.line, line[bad]);
            assert_int_equal(error.offset, offset[bad]);
            assert_non_null(strstr(error.message, "column 2 \"id\", for id: \"q"));
            assert_true(strlen(error.remedy) > 0);
        }
        text[offset[bad]] = was;
    }
    free(text);
}

/* Pieces that end because they are full, in the middle of rows of several lines. */
static void lines_stay_right_where_bytes_limit_the_pieces(void **state)
{
    enum { ROWS = 12000 };
    uint64_t *line = calloc(ROWS, sizeof *line), seed = 3, row_count;
    size_t *offset = calloc(ROWS, sizeof *offset), length;
    lum_t *rows = calloc(ROWS, sizeof *rows);
    struct lum__error error;

    (void)state;
    char *text = make_text(ROWS, &seed, &length, line, offset);
    for (int bad = 700; bad < ROWS; bad += 401) {
        struct setup setup = {.workers = 2, .piece_bytes_max = 65536};
        char was = text[offset[bad]];
        text[offset[bad]] = 'q';
        assert_int_equal(load_text(text, length, setup, rows, ROWS, &row_count, &error), LUM_ERR_INPUT);
        assert_int_equal(error.line, line[bad]);
        assert_int_equal(error.offset, offset[bad]);
        text[offset[bad]] = was;
    }
    free(rows);
    free(offset);
    free(line);
    free(text);
}

/* Of a long text pieces are as long as the caches like them, and end with whole pages of rows, so that the store's pages are full; wherever
 * they end, rows and places stay right. */
static void pieces_of_a_long_text_end_with_whole_pages(void **state)
{
    enum { ROWS = 400000, PAGE_ROWS = 4096, USUAL_BYTES = 2 << 20 };
    uint64_t *line = calloc(ROWS, sizeof *line), seed = 4, row_count;
    size_t *offset = calloc(ROWS, sizeof *offset), length;
    lum_t *rows = calloc(ROWS, sizeof *rows);
    struct lum__error error;

    (void)state;
    char *text = make_text(ROWS, &seed, &length, line, offset);
    for (size_t read_max = SIZE_MAX; read_max > 1000; read_max = read_max == SIZE_MAX ? 99991 : read_max / 10) {
        struct text_stream stream = {text, length, 0, read_max, 0};
        struct lum__mapping mapping = LUM__MAPPING_INIT;
        struct lum__row_options options = {.mapping = &mapping};
        struct lum__row_source *csv;
        lum_piece piece;
        uint64_t next = 0, pieces = 0;
        assert_int_equal(open_csv("rows.csv", &stream, &options, &csv), LUM_OK);
        lum__mapping_destroy(&mapping);
        while (csv->source.open_piece(csv->source.context, 0, 1000000, &piece) == LUM_OK) {
            size_t given = 1;
            assert_int_equal(piece.first_row, next);
            for (uint64_t end = next + piece.row_count; next < end; next += given) {
                assert_int_equal(csv->source.fill(csv->source.context, 0, rows, PAGE_ROWS, &given), LUM_OK);
                assert_true(given > 0);
                for (size_t i = 0; i < given; ++i) assert_int_equal(rows[i].id, next + i);
            }
            size_t bytes = (next < ROWS ? offset[next] : length) - offset[next - piece.row_count];
            assert_true(bytes < USUAL_BYTES + (PAGE_ROWS + 1) * 80);
            if (next == ROWS) continue;
            assert_int_equal(piece.row_count % PAGE_ROWS, 0);
            assert_true(bytes > USUAL_BYTES - 80);
            pieces++;
        }
        assert_int_equal(next, ROWS);
        assert_in_range(pieces, 3, 20);
        csv->close(csv);
    }
    for (int bad = 40000; bad < ROWS; bad += 71993) { /* all pieces but the first */
        struct setup setup = {.workers = 2};
        char was = text[offset[bad]];
        text[offset[bad]] = 'q';
        assert_int_equal(load_text(text, length, setup, rows, ROWS, &row_count, &error), LUM_ERR_INPUT);
        assert_int_equal(error.line, line[bad]);
        assert_int_equal(error.offset, offset[bad]);
        text[offset[bad]] = was;
    }
    free(rows);
    free(offset);
    free(line);
    free(text);
}

static void every_kind_of_bad_row_says_why(void **state)
{
    static const struct {
        const char *row, *message;
        uint64_t line;
    } cases[] = {
        {"1,2", "the row has 2 fields, the header has 3", 3},
        {"1,2,3,4", "the row has 4 fields, the header has 3", 3},
        {",2,3", "column 1 \"id\", for id: \"\" is empty", 3},
        {"-1,2,3", "column 1 \"id\", for id: \"-1\" is out of range", 3},
        {"18446744073709551616,2,3", "\"18446744073709551616\" is out of range", 3},
        {"1,2.25,3", "column 2 \"x\", for position_x: \"2.25\" has digits left over", 3},
        {"1,214748364.8,3", "for position_x: \"214748364.8\" is out of range", 3},
        {"1,2,2020-02-30", "for timestamp: \"2020-02-30\" has a month, day", 3},
        {"1,2,1969-01-01", "for timestamp: \"1969-01-01\" is outside of", 3},
        {"1,2,Monday", "for timestamp: \"Monday\" is neither an ISO 8601 date nor a number (see its byte 1)", 3},
        {"1,12x,3", "\"12x\" is not a number (see its byte 3)", 3},
        {"\"1\"x,2,3", "column 1 \"id\" has text behind its closing quote", 3},
        {"1,\"2", "column 2 \"x\" has a quote that is never closed", 3},
        {"1,2,\"\n\n\"", "column 3 \"t\", for timestamp: \"??\"", 3},
        {"\n1,2,x", "column 3 \"t\", for timestamp: \"x\"", 4},
        {"1,\x01\x7f,3", "\"??\" is not a number", 3},
        {"1", "the row has 1 field, the header has 3", 3},
        {"1,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xc3\xa9\xc3\xa9,3", "aaaaa...\" is not a number", 3},
    };
    lum_t rows[16];
    uint64_t row_count;
    struct lum__error error;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        char text[512];
        int length = snprintf(text, sizeof text, "id,x,t\n7,8,9\n%s\n", cases[i].row);
        struct setup setup = {.map = "position_x=x*10,timestamp=t", .workers = 1};
        if (load_text(text, (size_t)length, setup, rows, 16, &row_count, &error) != LUM_ERR_INPUT)
            fail_msg("%s was taken", cases[i].row);
        if (strstr(error.message, cases[i].message) == NULL || error.line != cases[i].line)
            fail_msg("%s: line %llu: %s", cases[i].row, (unsigned long long)error.line, error.message);
        assert_true(strlen(error.remedy) > 0);
    }
}

static void streams_without_rows_are_legal(void **state)
{
    static const char *const texts[] = {"",   "\n\r\n\n", "\xef\xbb\xbf",          "\xef\xbb\xbf\n",
                                        "id", "id,x\n",   "\xef\xbb\xbfid\r\n\r\n"};
    uint64_t row_count;
    struct lum__error error;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; ++i) {
        struct text_stream stream = {texts[i], strlen(texts[i]), 0, 1, 0};
        struct lum__row_options options = {0};
        struct lum__row_source *csv;
        lum_piece piece;
        assert_int_equal(open_csv("x", &stream, &options, &csv), LUM_OK);
        assert_int_equal(csv->is_empty, i < 4);
        const lum_source *source = &csv->source;
        for (uint32_t worker = 0; worker < 3; ++worker)
            assert_int_equal(source->open_piece(source->context, worker, 10, &piece), LUM_END);
        csv->close(csv);
        assert_int_equal(
            load_text(texts[i], strlen(texts[i]), (struct setup){.workers = 2}, NULL, 0, &row_count, &error), LUM_OK);
        assert_int_equal(row_count, 0);
    }
}

static void what_is_not_csv_is_told_at_once(void **state)
{
    static const struct {
        const char *text;
        size_t length;
        const char *message;
    } cases[] = {
        {"\x7f"
         "ELF\x02\x01\0\0\0\0",
         10, "control byte 0x02"},
        {"\xff\xfei\0d\0\n\0", 8, "UTF-16"},
        {"\xfe\xff\0i\0d\0\n", 8, "UTF-16"},
        {"\x28\xb5\x2f\xfd\x04\x00\n", 7, "control byte 0x04"},
        {"id,\0x\n1,2\n", 10, "control byte 0x00"},
        {"id,\"x\n1,2\n", 10, "column 2 of the first row has a quote that is never closed"},
    };
    uint64_t row_count;
    struct lum__error error;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        assert_int_equal(
            load_text(cases[i].text, cases[i].length, (struct setup){.workers = 1}, NULL, 0, &row_count, &error),
            LUM_ERR_INPUT);
        if (strstr(error.message, cases[i].message) == NULL) fail_msg("%zu: %s", i, error.message);
        assert_string_equal(error.file, "rows.csv");
    }
    char *endless = malloc(2 << 20);
    memset(endless, 'x', 2 << 20);
    assert_int_equal(load_text(endless, 2 << 20, (struct setup){.workers = 1}, NULL, 0, &row_count, &error),
                     LUM_ERR_INPUT);
    assert_non_null(strstr(error.message, "its first row does not end within 1 MiB"));
    free(endless);
}

static void long_rows_load_up_to_the_limit(void **state)
{
    size_t long_bytes = 10u << 20, length = 0;
    char *text = malloc(long_bytes + (17u << 20));
    lum_t rows[4];
    uint64_t row_count;
    struct lum__error error;

    (void)state;
    length += (size_t)sprintf(text, "id,t\n1,a\n2,\"");
    memset(text + length, 'y', long_bytes); /* a field of 10 MiB with line ends in it */
    for (size_t i = length; i < length + long_bytes; i += 1000) text[i] = '\n';
    length += long_bytes;
    length += (size_t)sprintf(text + length, "\"\n3,c\n");
    assert_int_equal(load_text(text, length, (struct setup){.workers = 2}, rows, 4, &row_count, &error), LUM_OK);
    assert_int_equal(row_count, 3);
    assert_int_equal(rows[1].id, 2);
    assert_int_equal(rows[2].id, 3);

    /* One that is longer than a piece can be, behind good rows: refused, with its place. */
    length = (size_t)sprintf(text, "id,t\n1,a\n2,\"b\nb\"\n3,\"");
    size_t begin = length - 3;
    memset(text + length, 'z', 17u << 20);
    length += 17u << 20;
    assert_int_equal(load_text(text, length, (struct setup){.workers = 1}, rows, 4, &row_count, &error), LUM_ERR_INPUT);
    assert_non_null(strstr(error.message, "longer than 16777216 bytes"));
    assert_int_equal(error.line, 5);
    assert_int_equal(error.offset, begin);
    assert_int_equal(row_count, 2);
    free(text);
}

static void a_read_error_is_passed_on_and_stays(void **state)
{
    static const char text[] = "id\n1\n2\n3\n4\n";
    struct text_stream stream = {text, sizeof text - 1, 0, 4, 8};
    struct lum__row_options options = {0};
    struct lum__row_source *csv;
    lum_piece piece;

    (void)state;
    assert_int_equal(open_csv("x", &stream, &options, &csv), LUM_OK);
    const lum_source *source = &csv->source;
    for (uint32_t worker = 0; worker < 3; ++worker) {
        lum__error_clear();
        assert_int_equal(source->open_piece(source->context, worker, 100, &piece), LUM_ERR_IO);
        assert_string_equal(lum__error_last()->message, "the disk is on fire");
    }
    csv->close(csv);
    stream = (struct text_stream){text, sizeof text - 1, 0, 1, 1};
    assert_int_equal(open_csv("x", &stream, &options, &csv), LUM_ERR_IO);
    assert_null(csv);
}

static lum_status read_header_then_cancel(void *context, uint8_t *out, size_t bytes_max, size_t *bytes)
{
    unsigned *calls = context;
    assert_true(bytes_max >= 3);
    memcpy(out, "id\n", 3);
    *bytes = (*calls)++ == 0 ? 3 : 0;
    return *calls == 1 ? LUM_OK : LUM_ERR_CANCELLED;
}

/* A reader that answers with a status alone, behind an older failure of this thread: the older one is not taken for it. */
static void a_read_status_without_a_message_is_not_an_older_failure(void **state)
{
    unsigned calls = 0;
    struct lum__row_options options = {0};
    struct lum__row_source *csv;
    lum_piece piece;

    (void)state;
    const struct lum__input_bytes input = {.name = "x", .read = read_header_then_cancel, .read_context = &calls, .fd = -1};
    assert_int_equal(lum__csv_open(&input, &options, &csv), LUM_OK);
    assert_int_equal(lum__fail(LUM_ERR_NOT_FOUND, "older"), LUM_ERR_NOT_FOUND);
    for (uint32_t worker = 0; worker < 2; ++worker) {
        assert_int_equal(csv->source.open_piece(csv->source.context, worker, 100, &piece), LUM_ERR_CANCELLED);
        assert_int_equal(lum__error_last()->status, LUM_ERR_CANCELLED);
    }
    csv->close(csv);
}

static void options_change_what_a_row_means(void **state)
{
    lum_t rows[4];
    uint64_t row_count;
    struct lum__error error;

    (void)state;
    static const char plain[] = "5;NA;1.5\n6;7;2.5\n";
    struct setup setup = {.map = "id=#1,memory_address=#2,position_x=#3",
                          .null_text = "NA",
                          .no_header = true,
                          .round = true,
                          .delimiter = ';',
                          .workers = 1};
    assert_int_equal(load_text(plain, sizeof plain - 1, setup, rows, 4, &row_count, &error), LUM_OK);
    assert_int_equal(row_count, 2);
    assert_int_equal(rows[0].memory_address, 0);
    assert_int_equal(rows[1].memory_address, 7);
    assert_int_equal(rows[0].position_x, 2);
    assert_int_equal(rows[1].position_x, 2);
    setup.null_text = NULL;
    assert_int_equal(load_text(plain, sizeof plain - 1, setup, rows, 4, &row_count, &error), LUM_ERR_INPUT);
    assert_int_equal(error.line, 1);
    setup.delimiter = '"';
    assert_int_equal(load_text(plain, sizeof plain - 1, setup, rows, 4, &row_count, &error), LUM_ERR_ARGUMENT);

    static const char numbered[] = "t,kind,seen\n2020-01-01,node,TRUE\n2020-01-02,2,0\n";
    setup = (struct setup){.map = "id=@row,timestamp=t,structure_type=kind,presence=seen,memory_address=0x10",
                           .rows_max = 1,
                           .workers = 2};
    assert_int_equal(load_text(numbered, sizeof numbered - 1, setup, rows, 4, &row_count, &error), LUM_OK);
    const lum_t want[2] = {
        {.id = 1, .timestamp = 1577836800000000000u, .structure_type = 5, .presence = 1, .memory_address = 16},
        {.id = 2, .timestamp = 1577923200000000000u, .structure_type = 2, .presence = 0, .memory_address = 16}};
    assert_memory_equal(rows, want, sizeof want);
}

static void supplied_checksums_are_checked(void **state)
{
    lum_t row = {.id = 7, .position_x = -1, .presence = 1, .timestamp = 9}, rows[2];
    char text[256];
    uint64_t row_count;
    struct lum__error error;

    (void)state;
    for (int wrong = 0; wrong < 2; ++wrong) {
        int length = snprintf(text, sizeof text, "id,position_x,timestamp,checksum\n7,-1,9,%u\n",
                              lum_record_checksum(&row) + (unsigned)wrong);
        lum_status status = load_text(text, (size_t)length, (struct setup){.workers = 1}, rows, 2, &row_count, &error);
        assert_int_equal(status, wrong ? LUM_ERR_INPUT : LUM_OK);
        if (wrong) assert_non_null(strstr(error.message, "the row's checksum is given as"));
    }
    assert_int_equal(error.line, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_workers_give_the_same_rows),  cmocka_unit_test(a_stream_may_be_split_anywhere),
        cmocka_unit_test(what_is_two_bytes_long_may_be_split_anywhere),
        cmocka_unit_test(a_bad_row_is_placed_exactly),     cmocka_unit_test(lines_stay_right_where_bytes_limit_the_pieces),
        cmocka_unit_test(pieces_of_a_long_text_end_with_whole_pages),
        cmocka_unit_test(every_kind_of_bad_row_says_why),
        cmocka_unit_test(streams_without_rows_are_legal),  cmocka_unit_test(what_is_not_csv_is_told_at_once),
        cmocka_unit_test(long_rows_load_up_to_the_limit),  cmocka_unit_test(a_read_error_is_passed_on_and_stays),
        cmocka_unit_test(a_read_status_without_a_message_is_not_an_older_failure),
        cmocka_unit_test(options_change_what_a_row_means), cmocka_unit_test(supplied_checksums_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
