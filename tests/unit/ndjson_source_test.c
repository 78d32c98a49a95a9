/* Proves that NDJSON gives the same rows to any number of workers, however keys, blanks and numbers are written; that
 * whatever is no flat object of JSON is refused at its line and byte, key and reason; and that hostile lines (deep, long,
 * broken) end in one clear error. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "formats/ndjson.h"
#include "formats/ndjson_source.h"
#include "support/source_load.h"

enum { ROWS = 20000 };

/* Loads a text; load->rows has room for row_limit. */
static lum_status load_text(const char *text, size_t length, struct lum__row_options options, uint32_t workers,
                            size_t read_max, struct source_load *load)
{
    struct text_stream stream = {.text = text, .length = length, .read_max = read_max};
    const struct lum__input_bytes input = text_stream_bytes("in", &stream);
    struct lum__row_source *source;

    if (load->reject_limit > 0) options.rejects = &load->sink;
    load->next_worker = 0;
    LUM_TRY(lum__ndjson_open(&input, &options, &source));
    run_source_workers(load, &source->source, workers);
    uint64_t rows_read, rows_rejected, bytes_read;
    source->source.account(source->source.context, &rows_read, &rows_rejected, &bytes_read);
    if (load->status == LUM_OK) {
        assert_true(rows_read == load->row_count && rows_rejected == load->reject_count);
    } else {
        lum__error_restore(&load->error);
    }
    source->close(source);
    return load->status;
}

static void load_good(const char *text, const char *map, lum_t *rows, uint64_t want_count)
{
    struct lum__mapping mapping = LUM__MAPPING_INIT;
    struct source_load load = {.rows_max = 1000, .rows = rows, .row_limit = want_count};

    if (map != NULL) assert_int_equal(lum__mapping_add(&mapping, map), LUM_OK);
    lum_status status = load_text(text, strlen(text), (struct lum__row_options){.mapping = &mapping}, 1, 1 << 20, &load);
    if (status != LUM_OK) fail_msg("%s: %s", text, lum__error_last()->message);
    assert_true(load.row_count == want_count);
    lum__mapping_destroy(&mapping);
}

static void make_rows(lum_t *rows, size_t count)
{
    uint64_t random = 7;
    static const uint64_t wide[] = {0, 1, UINT64_MAX, (uint64_t)1 << 63};
    static const int32_t narrow[] = {0, -1, INT32_MIN, INT32_MAX};

    for (size_t i = 0; i < count; ++i) {
        uint64_t r = lum__splitmix64(&random);
        rows[i] = (lum_t){.id = i % 5 == 0 ? wide[r % 4] : lum__splitmix64(&random),
                          .timestamp = i % 7 == 0 ? wide[r >> 8 & 3] : lum__splitmix64(&random) >> (r >> 58),
                          .memory_address = i % 11 == 0 ? wide[r >> 16 & 3] : lum__splitmix64(&random) >> (r >> 52 & 63),
                          .position_x = i % 3 == 0 ? narrow[r >> 24 & 3] : (int32_t)lum__splitmix64(&random),
                          .position_y = i % 4 == 0 ? narrow[r >> 32 & 3] : (int32_t)lum__splitmix64(&random),
                          .presence = r >> 40 & 1,
                          .structure_type = (uint8_t)((r >> 41 & 0xff) % 6),
                          .is_destroyed = r >> 50 & 1};
        rows[i].checksum = lum_record_checksum(&rows[i]);
    }
}

static void written_rows_come_back(void **state)
{
    static const enum lum__field all[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    static const uint32_t workers[] = {1, 2, 8};
    static const size_t reads[] = {1 << 20, 7, 100000};
    lum_t *rows = malloc(ROWS * sizeof *rows), *got = malloc(ROWS * sizeof *got);
    uint8_t *text = malloc((size_t)ROWS * LUM__NDJSON_ROW_BYTES_MAX);

    (void)state;
    make_rows(rows, ROWS);
    for (int i = 0; i < 3; ++i) {
        size_t count = reads[i] == 7 ? 2000 : ROWS;
        size_t length = lum__ndjson_write_rows(text, all, LUM__FIELD_COUNT, rows, count);
        struct source_load load = {.rows_max = 3000, .rows = got, .row_limit = count};
        memset(got, 0xee, ROWS * sizeof *got);
        assert_int_equal(load_text((char *)text, length, (struct lum__row_options){.piece_bytes_max = 1 << 18}, workers[i],
                                   reads[i], &load),
                         LUM_OK);
        assert_true(load.row_count == count);
        assert_memory_equal(got, rows, count * sizeof *rows);
    }
    free(text);
    free(got);
    free(rows);
}

/* Every row means id 1, timestamp 1e9, x -5, presence 0; whatever the row before looked like. */
static const char *const same_rows[] = {
    "{\"id\":1,\"timestamp\":1000000000,\"position_x\":-5,\"presence\":0,\"name\":\"x\"}",
    "{\"id\":1,\"timestamp\":1000000000,\"position_x\":-5,\"presence\":0,\"name\":\"yy\"}",
    "{\"id\": 1, \"timestamp\": 1000000000, \"position_x\": -5, \"presence\": 0, \"name\": \"x\"}",
    "{\"id\": 1, \"timestamp\": 1000000000, \"position_x\": -5, \"presence\": false, \"name\": null}",
    " \t{ \"id\" :\t1 , \"timestamp\" : 1000000000 ,\"position_x\":-5,\"presence\":0 } \t",
    "{\"presence\":0,\"position_x\":-5,\"timestamp\":1000000000,\"id\":1}",
    "{\"presence\":\"0\",\"position_x\":\"-5\",\"timestamp\":\"1970-01-01T00:00:01Z\",\"id\":\"1\"}",
    "{\"presence\":\"false\",\"position_x\":-5.0,\"timestamp\":\"1970-01-01 00:00:01\",\"id\":1}",
    "{\"presence\":0,\"position_x\":-0.5e1,\"timestamp\":1e9,\"id\":1}",
    "{\"\\u0069\\u0064\":1,\"timestamp\":\"1\\u0030\\u00300000000\",\"position_x\":-5,\"presence\":0}",
    "{\"id\":1,\"timestamp\":1000000000,\"position_x\":-5,\"presence\":0,\"other\":{\"id\":7,\"a\":[1,2,{\"b\":null}]}}",
    "{\"other\":[[],{},\"]}\"],\"id\":1,\"timestamp\":1000000000,\"position_x\":-5,\"presence\":0}",
    "{\"name\":\"a \\\"quote\\\" and \\\\\",\"id\":1,\"timestamp\":1000000000,\"position_x\":-5,\"presence\":0}",
    "{\"name\":\"gr\303\266\303\237e \xf0\x9f\x8c\x8d\",\"id\":1,\"timestamp\":1000000000,\"position_x\":-5,\"presence\":0}",
    "{\"position_y\":null,\"id\":1,\"timestamp\":1000000000,\"position_x\":-5,\"presence\":0,\"is_destroyed\":null}",
    "{\"\":1,\"id\":1,\"timestamp\":1000000000,\"position_x\":-5,\"presence\":0,\"checksum\":null}",
    "{\"memory_address\":0,\"id\":1,\"timestamp\":1000000000,\"position_x\":-5,\"presence\":0,\"structure_type\":\"linear\"}",
};

static void rows_may_be_written_in_many_ways(void **state)
{
    enum { KINDS = sizeof same_rows / sizeof same_rows[0] };
    static const char *const ends[] = {"\n", "\r\n", "\n\n", "\r"};
    char *text = malloc(KINDS * KINDS * 400);
    lum_t *rows = malloc(KINDS * KINDS * 2 * sizeof *rows);
    const lum_t want = {.id = 1, .timestamp = 1000000000, .position_x = -5};
    size_t length = 0, count = 0;

    (void)state;
    for (size_t i = 0; i < KINDS; ++i) { /* every kind behind every other, and twice */
        for (size_t k = 0; k < KINDS; ++k, count += 2)
            length += (size_t)sprintf(text + length, "%s%s%s%s", same_rows[i], ends[k % 4], same_rows[k], ends[(i + k) % 4]);
    }
    for (uint32_t workers = 1; workers <= 4; ++workers) {
        struct source_load load = {.rows_max = 17, .rows = rows, .row_limit = count};
        memset(rows, 0xee, count * sizeof *rows);
        lum_status status = load_text(text, length, (struct lum__row_options){0}, workers, 1000, &load);
        if (status != LUM_OK) fail_msg("%s", lum__error_last()->message);
        assert_true(load.row_count == count);
        for (size_t i = 0; i < count; ++i)
            if (memcmp(&rows[i], &want, sizeof want) != 0) fail_msg("row %zu is another", i);
    }
    free(rows);
    free(text);
}

static void keys_map_like_columns(void **state)
{
    lum_t rows[3];

    (void)state;
    load_good("{\"n\":7,\"lon\":1.5,\"t\":3}\n{\"lon\":-2.25,\"t\":\"1970-01-02\",\"n\":8,\"is_destroyed\":true}", "id=n,position_x=lon*1e2,timestamp=t",
              rows, 2);
    assert_true(rows[0].id == 7 && rows[0].position_x == 150 && rows[0].timestamp == 3 && rows[0].is_destroyed == 0);
    assert_true(rows[1].id == 8 && rows[1].position_x == -225 && rows[1].timestamp == 86400000000000 && rows[1].is_destroyed == 1);
    load_good("{\"id\":5}\n{\"a\":1}\n{}\n", "id=@row,structure_type=group", rows, 3);
    assert_true(rows[0].id == 1 && rows[1].id == 2 && rows[2].id == 3 && rows[2].structure_type == 3);
    /* one key for two fields */
    load_good("{\"id\":5}\n{\"id\":6}\n", "memory_address=id", rows, 2);
    assert_true(rows[1].id == 6 && rows[1].memory_address == 6);
    /* a field that only later rows have */
    load_good("{\"id\":5}\n{\"id\":6,\"position_y\":9}\n{\"position_y\":10,\"id\":7}\n", NULL, rows, 3);
    assert_true(rows[0].position_y == 0 && rows[1].position_y == 9 && rows[2].position_y == 10);
}

static void numbers_keep_every_digit(void **state)
{
    lum_t rows[2];

    (void)state;
    load_good("{\"id\":18446744073709551615,\"timestamp\":9007199254740993}\n{\"id\":18446744073709551614}\n", NULL, rows, 2);
    assert_true(rows[0].id == UINT64_MAX && rows[0].timestamp == 9007199254740993 && rows[1].id == UINT64_MAX - 1);
}

/* Each behind a good row of three forms, so that the quick way and the long way are both tried. @ before the offence: taken
 * out. */
static const struct {
    const char *row, *code, *name, *words;
} bad_rows[] = {
    {"{\"id\":@18446744073709551616}", "range", "id", "is out of range"},
    {"{\"id\":@-1}", "range", "id", "is out of range"},
    {"{\"id\":@1.5}", "syntax", "id", "is not an integer"},
    {"{\"id\":@1e2}", "syntax", "id", "is not an integer"},
    {"{\"id\":@null}", "empty", "id", "is empty"},
    {"{\"id\":@\"\"}", "empty", "id", "is empty"},
    {"{\"id\":@true}", "syntax", "id", "is not an integer"},
    {"{\"id\":@[1]}", "syntax", "id", "an object or an array is no value"},
    {"{\"id\":1,\"position_x\":@2147483648}", "range", "position_x", "is out of range"},
    {"{\"id\":1,\"position_x\":@0.5}", "leftover", "position_x", "digits left over"},
    {"{\"id\":1,\"presence\":@2}", "name", "presence", "for presence: \"2\""},
    {"{\"id\":1,\"timestamp\":@\"2020-02-30\"}", "date", "timestamp", "does not exist"},
    {"{\"id\":1,\"timestamp\":@\"2020-\\u00302-30\"}", "date", "timestamp", "does not exist"},
    {"@{\"n\":1}", "empty", "id", "the row has no \"id\", for id"},
    {"@{}", "empty", "id", "the row has no \"id\", for id"},
    {"@{\"id\":1,\"checksum\":5}", "checksum", "checksum", "given as 5"},
    {"@{\"id\":1,\"checksum\":0}", "checksum", "checksum", "given as 0"},
    {"{\"id\":1,@\"id\":1}", "fields", "id", "stands in the row twice"},
    {"{\"id\":1,@\"\\u0069d\":2}", "fields", "id", "stands in the row twice"},
    {"{\"id\":@+1}", "syntax", "", "neither a number, a string"},
    {"{\"id\":@01}", "syntax", "", "not as JSON writes numbers"},
    {"{\"id\":@1.}", "syntax", "", "not as JSON writes numbers"},
    {"{\"id\":@-}", "syntax", "", "not as JSON writes numbers"},
    {"{\"id\":1,\"x\":@1.e5}", "syntax", "", "not as JSON writes numbers"},
    {"{\"id\":1,\"x\":@.5}", "syntax", "", "neither a number, a string"},
    {"{\"id\":1@x}", "syntax", "", "a comma or } is missing"},
    {"{\"id\":0@x10}", "syntax", "", "a comma or } is missing"},
    {"{\"id\":@NaN}", "syntax", "", "neither a number, a string"},
    {"{\"id\":1,\"x\":@Infinity}", "syntax", "", "neither a number, a string"},
    {"{\"id\":1,\"x\":@nul}", "syntax", "", "neither a number, a string"},
    {"{\"id\":@}", "syntax", "", "neither a number, a string"},
    {"{\"id\":@", "syntax", "", "a value is missing"},
    {"{\"id\"@}", "syntax", "", "a colon is missing"},
    {"{@id:1}", "syntax", "", "a key in quotes is missing"},
    {"{@'id':1}", "syntax", "", "a key in quotes is missing"},
    {"{\"id\":1,@}", "syntax", "", "a key in quotes is missing"},
    {"{@,\"id\":1}", "syntax", "", "a key in quotes is missing"},
    {"{\"id\":1@", "syntax", "", "a comma or } is missing"},
    {"{\"id\":1}@,", "syntax", "", "something behind the object"},
    {"{\"id\":1}@{\"id\":2}", "syntax", "", "something behind the object"},
    {"@[1]", "syntax", "", "it is an array"},
    {"@\"id\"", "syntax", "", "does not begin with {"},
    {"@id,presence", "syntax", "", "does not begin with {"},
    {" \t@", "syntax", "", "does not begin with {"},
    {"{\"id\":1,\"x\":\"abc@", "syntax", "", "a string does not end"},
    {"{\"id\":1,\"x\":\"a@\tb\"}", "syntax", "", "a control byte in a string"},
    {"{\"id\":1,\"x\":\"\\n@\tb\"}", "syntax", "", "a control byte in a string"},
    {"{\"id\":1,\"x\":\"@\xff\"}", "syntax", "", "a byte is not UTF-8"},
    {"{\"id\":1,\"x\":\"@\xc0\x80\"}", "syntax", "", "a byte is not UTF-8"},
    {"{\"id\":1,\"x\":\"@\xed\xa0\x80\"}", "syntax", "", "a byte is not UTF-8"},
    {"{\"id\":1,\"x\":\"@\xf4\x90\x80\x80\"}", "syntax", "", "a byte is not UTF-8"},
    {"{\"id\":1,\"x\":\"\xe2\x82\xac@\xe2\x82\"}", "syntax", "", "a byte is not UTF-8"},
    {"{\"id\":1,\"@\xc3\":2}", "syntax", "", "a byte is not UTF-8"},
};
enum { BAD_KINDS = sizeof bad_rows / sizeof bad_rows[0] };

/* Without its @; *offence is where it stood. */
static size_t put_bad_row(char *out, size_t kind, size_t *offence)
{
    const char *at = strchr(bad_rows[kind].row, '@');
    *offence = (size_t)(at - bad_rows[kind].row);
    return (size_t)sprintf(out, "%.*s%s", (int)*offence, bad_rows[kind].row, at + 1);
}

static void bad_rows_are_placed(void **state)
{
    static const char *const good[] = {"{\"id\":1}\n", "{\"id\":1,\"x\":2}\r\n", "{\"id\":1,\"position_x\":3}\n\n"};
    char text[400];
    lum_t rows[3];

    (void)state;
    for (size_t kind = 0; kind < BAD_KINDS; ++kind) {
        for (size_t k = 0; k < 3; ++k) {
            size_t offence, begin = strlen(good[k]);
            struct source_load load = {.rows_max = 100, .rows = rows, .row_limit = 3};
            strcpy(text, good[k]);
            size_t length = begin + put_bad_row(text + begin, kind, &offence);
            lum_status status = load_text(text, length, (struct lum__row_options){0}, 1, 1000, &load);
            const struct lum__error *error = lum__error_last();
            if (status != LUM_ERR_INPUT || strstr(error->message, bad_rows[kind].words) == NULL ||
                error->offset != begin + offence || error->line != (k == 2 ? 3 : 2))
                fail_msg("%s: %d, %s, line %llu, offset %llu", bad_rows[kind].row, status, error->message,
                         (unsigned long long)error->line, (unsigned long long)error->offset);
            assert_true(error->remedy[0] != '\0');
        }
    }
}

static void bad_rows_are_told_and_passed_over(void **state)
{
    enum { COUNT = 20000 };
    char *text = malloc(COUNT * 100);
    size_t *begins = malloc((COUNT + 1) * sizeof *begins), *offences = calloc(COUNT, sizeof *offences), length = 0;
    lum_t *rows = malloc(COUNT * sizeof *rows);
    uint8_t *filled = malloc(COUNT);

    (void)state;
    for (size_t i = 0; i < COUNT; ++i) {
        begins[i] = length;
        if (i % 7 == 3) {
            length += put_bad_row(text + length, i / 7 % BAD_KINDS, &offences[i]);
            text[length++] = '\n';
        } else {
            length += (size_t)sprintf(text + length, "{\"id\":%zu,\"position_y\":%zu}\n", i, i * 3);
        }
    }
    begins[COUNT] = length;
    for (uint32_t workers = 1; workers <= 8; workers *= 2) {
        struct source_load load = {.rows_max = 999, .rows = rows, .row_limit = COUNT, .filled = filled};
        memset(filled, 0, COUNT);
        prepare_rejects(&load, COUNT);
        assert_int_equal(load_text(text, length, (struct lum__row_options){.piece_bytes_max = 1 << 16}, workers, 5000, &load), LUM_OK);
        sort_rejects(&load);
        size_t next = 0;
        for (size_t i = 0; i < COUNT; ++i) {
            if (i % 7 != 3) continue;
            const struct source_reject *reject = &load.rejects[next++];
            const struct lum__rejected_row *row = &reject->row;
            size_t kind = i / 7 % BAD_KINDS;
            if (row->row != i + 1 || row->line != i + 1 || row->offset != begins[i] + offences[i] ||
                strcmp(row->code, bad_rows[kind].code) != 0 || strcmp(row->column_name, bad_rows[kind].name) != 0)
                fail_msg("row %zu, %s: row %llu, line %llu, offset %llu, %s, %s, %s", i, bad_rows[kind].row,
                         (unsigned long long)row->row, (unsigned long long)row->line,
                         (unsigned long long)row->offset, row->code, row->column_name, reject->reason);
            assert_int_equal(row->byte_count, begins[i + 1] - begins[i]);
            assert_memory_equal(row->bytes, text + begins[i], row->byte_count);
        }
        assert_true(next == load.reject_count);
        uint64_t good = 0;
        for (size_t i = 0; i < COUNT; ++i) {
            good += filled[i];
            if (filled[i]) assert_true(rows[i].position_y == (int32_t)rows[i].id * 3 && rows[i].id >= i);
        }
        assert_true(good == COUNT - next);
        free_rejects(&load);
    }
    free(filled);
    free(rows);
    free(offences);
    free(begins);
    free(text);
}

static void null_text_and_units_count(void **state)
{
    static const char text[] = "{\"id\":1,\"timestamp\":5,\"position_x\":\"NA\"}\n{\"id\":1,\"timestamp\":6,\"position_x\":\"NA\"}";
    lum_t rows[2];
    struct source_load load = {.rows_max = 100, .rows = rows, .row_limit = 2};

    (void)state;
    assert_int_equal(load_text(text, strlen(text), (struct lum__row_options){.null_text = "NA", .time_unit = {1, 9}}, 1, 100, &load),
                     LUM_OK);
    assert_true(rows[1].timestamp == 6000000000 && rows[1].position_x == 0);
}

static void odd_streams_end_clearly(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"[{\"id\":1}]\n", "it is an array"},
        {"[\n{\"id\":1}\n]\n", "it is an array"},
        {"id,presence\n1,1\n", "does not begin with {"},
        {"{\"id\":1,\"a\":1,\"a\":2}\n", "twice: \"a\""},
        {"{\"id\":1", "a comma or } is missing"},
        {"{\"name\":1}\n{\"id\":1}\n", "no column is named \"id\""},
        {"\xff\xfe{\0", "UTF-16"},
    };
    lum_t rows[2];
    struct source_load empty = {.rows_max = 1};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        struct source_load load = {.rows_max = 1};
        lum_status status = load_text(cases[i].text, strlen(cases[i].text), (struct lum__row_options){0}, 1, 100, &load);
        if (status != LUM_ERR_INPUT || strstr(lum__error_last()->message, cases[i].words) == NULL)
            fail_msg("%s: %d, %s", cases[i].text, status, lum__error_last()->message);
    }
    assert_int_equal(load_text("", 0, (struct lum__row_options){0}, 1, 100, &empty), LUM_OK);
    assert_int_equal(load_text("\n\r\n", 3, (struct lum__row_options){0}, 1, 100, &empty), LUM_OK);
    assert_int_equal(load_text("\xef\xbb\xbf", 3, (struct lum__row_options){0}, 1, 100, &empty), LUM_OK);
    assert_true(empty.row_count == 0);
    load_good("\xef\xbb\xbf{\"id\":4}", NULL, rows, 1);
    assert_true(rows[0].id == 4);
}

/* Lines that are long or deep. */
static void hostile_lines_are_bounded(void **state)
{
    enum { LONG = 10000000 };
    char *text = malloc(LONG + 1000);
    lum_t rows[2];

    (void)state;
    size_t length = (size_t)sprintf(text, "{\"id\":1}\n{\"id\":2,\"x\":\"");
    memset(text + length, 'a', LONG);
    strcpy(text + length + LONG, "\\u0041\"}\n");
    load_good(text, NULL, rows, 2);
    assert_true(rows[1].id == 2);

    struct source_load load = {.rows_max = 10, .rows = rows, .row_limit = 2};
    assert_int_equal(load_text(text, strlen(text), (struct lum__row_options){.piece_bytes_max = 1 << 20}, 1, 1 << 20, &load),
                     LUM_ERR_INPUT);
    assert_non_null(strstr(lum__error_last()->message, "is longer than"));
    assert_int_equal(lum__error_last()->line, 2);

    for (int brace = 0; brace < 2; ++brace) {
        length = (size_t)sprintf(text, "{\"id\":1}\n{\"id\":2,\"x\":");
        for (size_t i = 0; i < LONG / 10; ++i) length += (size_t)sprintf(text + length, brace ? "{\"a\":" : "[");
        load = (struct source_load){.rows_max = 10, .rows = rows, .row_limit = 2};
        assert_int_equal(load_text(text, length, (struct lum__row_options){0}, 1, 1 << 20, &load), LUM_ERR_INPUT);
        assert_non_null(strstr(lum__error_last()->message, "nested deeper than 32"));
    }
    length = 0;
    text[length++] = '{'; /* a first row of very many keys */
    for (size_t i = 0; i < 5000; ++i) length += (size_t)sprintf(text + length, "\"k%zu\":1,", i);
    strcpy(text + length, "\"id\":1}");
    assert_int_equal(load_text(text, strlen(text), (struct lum__row_options){0}, 1, 1 << 20, &load), LUM_ERR_INPUT);
    assert_non_null(strstr(lum__error_last()->message, "more than 4,096 keys"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_rows_come_back),
        cmocka_unit_test(rows_may_be_written_in_many_ways),
        cmocka_unit_test(keys_map_like_columns),
        cmocka_unit_test(numbers_keep_every_digit),
        cmocka_unit_test(bad_rows_are_placed),
        cmocka_unit_test(bad_rows_are_told_and_passed_over),
        cmocka_unit_test(null_text_and_units_count),
        cmocka_unit_test(odd_streams_end_clearly),
        cmocka_unit_test(hostile_lines_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
