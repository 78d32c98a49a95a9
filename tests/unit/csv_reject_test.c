/* Proves that a load that goes on over bad rows gets all the good ones, and is told of each bad one its number, line,
 * column, byte, reason and original bytes, by any number of workers, however the stream is cut; that the reason is what
 * a load that ends would have said; and what null text and units of time mean for every field. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "formats/csv_source.h"
#include "formats/text_kernel.h"
#include "support/source_load.h"

enum { ROWS = 20000 };

/* A text of good and bad rows, and what is to be said of each bad one. */
struct expectation {
    bool is_bad;
    const char *code;
    uint32_t column;
    uint64_t line, offset;
    size_t begin, length; /* of the row, its line end included */
};
struct sample {
    char *text;
    size_t length;
    uint64_t bad_count;
    struct expectation rows[ROWS];
};

/* %s: a field of text; @ before the offence: it is taken out. */
static const struct {
    const char *row, *code;
    uint32_t column;
} bad_kinds[] = {
    {"%s,@q%llu,5,7", "syntax", 2},
    {"%s,@,5,7", "empty", 2},
    {"%s,@99999999999999999999,5,7", "range", 2},
    {"%s,%llu,@1.5,2", "leftover", 3},
    {"%s,%llu,\"@x\n\",2", "syntax", 3},
    {"@%s,%llu,5", "fields", 0},
    {"@%s,%llu,5,6,7", "fields", 0},
    {"@%s,q%llu,5", "fields", 0}, /* before what is wrong with a field: it may be another column's */
    {"@%s,%llu,x,,7", "fields", 0},
    {"\"@a\"b,%llu,2,3", "quote", 1},
    {"\"@a\n\"\"b\"c\",\"d\"\"\n\",2,3", "quote", 1},
    {"%s,\"@1\n2\"x\",\"y\nz\",3", "quote", 2},
    {"%s,%llu,5,@2020-02-30", "date", 4},
};
static const char *const good_texts[] = {"plain",  "\"a,b\"", "\"two\nlines\"",    "\"three\r\nlines\n\"",
                                         "\"\"",   "",        "\"say \"\"x\"\"\"", "it\"s",
                                         "\"\r\"", "12"};
static const char *const line_ends[] = {"\n", "\r\n", "\r", "\n", "\n\n", "\r\r\n\n"};

static uint64_t count_lines_plainly(const char *text, size_t length)
{
    uint64_t lines = 1;
    for (size_t i = 0; i < length; ++i)
        lines += text[i] == '\r' || (text[i] == '\n' && (i == 0 || text[i - 1] != '\r'));
    return lines;
}

static void make_sample(struct sample *sample, uint64_t seed, unsigned bad_in)
{
    char row[256];

    sample->text = malloc(64 + ROWS * 96);
    size_t at = (size_t)sprintf(sample->text, "text,id,x,t\r\n");
    uint64_t lines = 2;
    sample->bad_count = 0;
    for (unsigned i = 0; i < ROWS; ++i) {
        struct expectation *want = &sample->rows[i];
        const char *text = good_texts[lum__splitmix64(&seed) % 10];
        unsigned kind = (unsigned)(lum__splitmix64(&seed) % (sizeof bad_kinds / sizeof bad_kinds[0]));
        *want = (struct expectation){.is_bad = lum__splitmix64(&seed) % bad_in == 0, .begin = at};
        unsigned long long id = i;
        if (!want->is_bad) {
            (void)snprintf(row, sizeof row, "%s,%llu,-%llu,1%09llu", text, id, id, id);
        } else if (strstr(bad_kinds[kind].row, "%s") != NULL) {
            (void)snprintf(row, sizeof row, bad_kinds[kind].row, text, id);
        } else {
            (void)snprintf(row, sizeof row, bad_kinds[kind].row, id);
        }
        char *mark = strchr(row, '@');
        if (mark != NULL) {
            memmove(mark, mark + 1, strlen(mark));
            want->code = bad_kinds[kind].code;
            want->column = bad_kinds[kind].column;
            want->offset = at + (size_t)(mark - row);
            want->line = lines - 1 + count_lines_plainly(row, (size_t)(mark - row));
            sample->bad_count++;
        }
        const char *end = line_ends[lum__splitmix64(&seed) % 6];
        if (i + 1 == ROWS) end = "";
        size_t row_length = strlen(row), end_length = strlen(end);
        memcpy(sample->text + at, row, row_length);
        memcpy(sample->text + at + row_length, end, end_length);
        size_t end_of_row = end_length == 0 ? 0 : strncmp(end, "\r\n", 2) == 0 ? 2 : 1;
        want->length = row_length + end_of_row;
        lines += count_lines_plainly(sample->text + at, row_length + end_length) - 1;
        at += row_length + end_length;
    }
    sample->length = at;
}

struct cut {
    uint32_t workers;
    uint64_t rows_max, piece_bytes_max;
    size_t read_max;
};

static void load_sample(const char *text, size_t length, struct cut cut, struct source_load *load,
                        uint64_t reject_limit)
{
    struct text_stream stream = {text, length, 0, cut.read_max ? cut.read_max : SIZE_MAX, 0};
    const struct lum__input_bytes input = text_stream_bytes("rows.csv", &stream);
    struct lum__mapping mapping = LUM__MAPPING_INIT;
    struct lum__row_source *csv;
    uint64_t read, rejected, bytes;

    *load = (struct source_load){.rows_max = cut.rows_max ? cut.rows_max : 1000000, .row_limit = ROWS};
    load->rows = calloc(ROWS, sizeof *load->rows);
    load->filled = calloc(ROWS, 1);
    prepare_rejects(load, reject_limit);
    struct lum__row_options options = {
        .mapping = &mapping, .rejects = &load->sink, .piece_bytes_max = cut.piece_bytes_max};
    assert_int_equal(lum__mapping_add(&mapping, "position_x=x,timestamp=t"), LUM_OK);
    assert_int_equal(lum__csv_open(&input, &options, &csv), LUM_OK);
    run_source_workers(load, &csv->source, cut.workers);
    csv->source.account(csv->source.context, &read, &rejected, &bytes);
    if (load->status == LUM_OK) {
        assert_int_equal(read, load->row_count);
        assert_int_equal(rejected, load->reject_count);
    }
    csv->close(csv);
    lum__mapping_destroy(&mapping);
    sort_rejects(load);
}

static void end_load(struct source_load *load)
{
    free_rejects(load);
    free(load->rows);
    free(load->filled);
}

static void check_sample(const struct sample *sample, const struct source_load *load)
{
    uint64_t bad = 0, good = 0;
    static bool seen[ROWS];

    assert_int_equal(load->status, LUM_OK);
    assert_int_equal(load->row_count, ROWS);
    assert_int_equal(load->reject_count, sample->bad_count);
    memset(seen, 0, sizeof seen);
    for (unsigned i = 0; i < ROWS; ++i) {
        if (!load->filled[i]) continue;
        const lum_t *row = &load->rows[i];
        assert_true(row->id < ROWS && !seen[row->id] && !sample->rows[row->id].is_bad);
        assert_int_equal(row->position_x, -(int32_t)row->id);
        assert_int_equal(row->timestamp, 1000000000 + row->id);
        seen[row->id] = true;
        good++;
    }
    assert_int_equal(good, ROWS - sample->bad_count);
    for (unsigned i = 0; i < ROWS; ++i) {
        const struct expectation *want = &sample->rows[i];
        if (!want->is_bad) continue;
        const struct lum__rejected_row *got = &load->rejects[bad++].row;
        static const char *const names[] = {"", "text", "id", "x", "t"};
        if (got->row != i + 1 || got->line != want->line || got->offset != want->offset ||
            got->column != want->column || strcmp(got->code, want->code) != 0 ||
            strcmp(got->column_name, names[want->column]) != 0)
            fail_msg(
                "row %u, line %llu, byte %llu, column %u, %s: told as row %llu, line %llu, byte %llu, column %u, %s",
                i + 1, (unsigned long long)want->line, (unsigned long long)want->offset, want->column, want->code,
                (unsigned long long)got->row, (unsigned long long)got->line, (unsigned long long)got->offset,
                got->column, got->code);
        assert_int_equal(got->byte_count, want->length);
        assert_memory_equal(got->bytes, sample->text + want->begin, want->length);
    }
}

static void every_bad_row_is_told_and_no_good_one_is_lost(void **state)
{
    static const struct cut cuts[] = {
        {1, 0, 0, 0}, {2, 4096, 0, 0}, {8, 777, 0, 10007}, {8, 0, 65536, 0}, {2, 1, 0, 0}, {1, 13, 0, 1},
    };
    static const unsigned bad_in[] = {100, 3, 1};
    static struct sample sample;
    struct source_load load;

    (void)state;
    for (size_t i = 0; i < sizeof bad_in / sizeof bad_in[0]; ++i) {
        make_sample(&sample, i, bad_in[i]);
        assert_true(sample.bad_count > ROWS / bad_in[i] / 2);
        for (size_t c = 0; c < sizeof cuts / sizeof cuts[0]; ++c) {
            load_sample(sample.text, sample.length, cuts[c], &load, ROWS);
            check_sample(&sample, &load);
            end_load(&load);
        }
        free(sample.text);
    }
}

/* The header and the refused rows are a file of their own, whose rows are refused for the same reasons: the very
 * sentences with which a load of any of them alone ends. */
static void refused_rows_make_a_file_and_reasons_are_those_of_a_load_that_ends(void **state)
{
    static struct sample sample;
    struct source_load load, again, alone;
    char *file;
    size_t length, bad = 0;

    (void)state;
    make_sample(&sample, 7, 50);
    load_sample(sample.text, sample.length, (struct cut){.workers = 2, .rows_max = 500}, &load, ROWS);
    file = malloc(sample.length);
    length = (size_t)sprintf(file, "text,id,x,t\r\n");
    for (uint64_t i = 0; i < load.reject_count; ++i) {
        memcpy(file + length, load.rejects[i].row.bytes, load.rejects[i].row.byte_count);
        length += load.rejects[i].row.byte_count;
    }
    load_sample(file, length, (struct cut){.workers = 1}, &again, ROWS);
    assert_int_equal(again.reject_count, load.reject_count);
    assert_int_equal(again.row_count, load.reject_count);
    for (; bad < load.reject_count; ++bad) {
        const struct lum__rejected_row *row = &load.rejects[bad].row;
        assert_string_equal(again.rejects[bad].reason, load.rejects[bad].reason);
        assert_memory_equal(again.rejects[bad].bytes, row->bytes, row->byte_count);
        char *one = malloc(64 + row->byte_count);
        size_t one_length = (size_t)sprintf(one, "text,id,x,t\n");
        memcpy(one + one_length, row->bytes, row->byte_count);
        struct text_stream stream = {one, one_length + row->byte_count, 0, SIZE_MAX, 0};
        const struct lum__input_bytes input = text_stream_bytes("rows.csv", &stream);
        struct lum__mapping mapping = LUM__MAPPING_INIT;
        struct lum__row_options options = {.mapping = &mapping};
        struct lum__row_source *csv;
        assert_int_equal(lum__mapping_add(&mapping, "position_x=x,timestamp=t"), LUM_OK);
        assert_int_equal(lum__csv_open(&input, &options, &csv), LUM_OK);
        assert_int_equal(csv->reject_header_bytes, one_length);
        assert_memory_equal(csv->reject_header, one, one_length);
        alone = (struct source_load){.rows_max = 10, .row_limit = 10, .rows = load.rows};
        run_source_workers(&alone, &csv->source, 1);
        assert_int_equal(alone.status, LUM_ERR_INPUT);
        assert_string_equal(alone.error.message, load.rejects[bad].reason);
        csv->close(csv);
        lum__mapping_destroy(&mapping);
        free(one);
    }
    end_load(&load);
    end_load(&again);
    free(file);
    free(sample.text);
}

static void the_sink_may_end_the_load(void **state)
{
    static struct sample sample;
    struct source_load load;

    (void)state;
    make_sample(&sample, 8, 10);
    load_sample(sample.text, sample.length, (struct cut){.workers = 1, .rows_max = 100}, &load, 25);
    assert_int_equal(load.status, LUM_ERR_INPUT);
    assert_string_equal(load.error.message, "too many bad rows");
    assert_int_equal(load.reject_count, 25);
    end_load(&load);
    free(sample.text);
}

/* ----------------------------------------------------------------------------------------------- short and long rows */

static void index_nothing(struct lum__csv_index *index, char delimiter, const uint8_t *text, const uint8_t *end)
{
    (void)delimiter;
    index->text = text;
    index->end = end;
    index->row_count = index->row_at = index->position_count = index->position_at = index->row_begin = 0;
}

/* Rows without quotes, of which one in `odd_in` has not `width` fields; `bad_in`: fields that are no numbers. The first column is the id. */
static char *make_odd_rows(uint32_t width, uint32_t rows, uint32_t odd_in, uint32_t bad_in, uint64_t seed, size_t *length)
{
    char *text = malloc(64 + (size_t)(rows + 1) * (2 * width + 20) * 4);
    size_t at = 0;

    for (uint32_t column = 0; column < width; ++column) at += (size_t)sprintf(text + at, "%s%s", column > 0 ? "," : "", column == 0 ? "id" : column == width - 1 ? "z" : "x");
    text[at++] = '\n';
    for (uint32_t row = 0; row < rows; ++row) {
        uint32_t fields = width;
        if (lum__splitmix64(&seed) % odd_in == 0) fields = 1 + (uint32_t)(lum__splitmix64(&seed) % (lum__splitmix64(&seed) % 2 ? width + 2 : 2 * width + 1));
        for (uint32_t field = 0; field < fields; ++field) {
            if (field > 0) text[at++] = ',';
            if (lum__splitmix64(&seed) % ((uint64_t)bad_in * width) == 0)
                text[at++] = 'q';
            else
                at += (size_t)sprintf(text + at, "%u", (unsigned)(field == 0 ? row : lum__splitmix64(&seed) % 100));
        }
        at += (size_t)sprintf(text + at, "%s", lum__splitmix64(&seed) % 8 == 0 ? "\r\n\n" : "\n");
    }
    *length = at;
    return text;
}

static void load_odd_rows(const struct lum__text_kernel *kernel, const char *text, size_t length, uint32_t width, uint32_t row_count, struct source_load *load)
{
    struct text_stream stream = {text, length, 0, SIZE_MAX, 0};
    const struct lum__input_bytes input = text_stream_bytes("rows.csv", &stream);
    struct lum__mapping mapping = LUM__MAPPING_INIT;
    struct lum__row_source *csv;

    *load = (struct source_load){.rows_max = row_count, .row_limit = row_count, .rows = calloc(row_count, sizeof *load->rows)};
    prepare_rejects(load, row_count);
    struct lum__row_options options = {.mapping = &mapping, .rejects = &load->sink};
    char map[64];
    snprintf(map, sizeof map, width > 1 ? "id=#1,position_x=#%u,timestamp=#%u" : "id=#1", width / 2 + 1, width);
    assert_int_equal(lum__mapping_add(&mapping, map), LUM_OK);
    lum__text_kernel_force(kernel);
    assert_int_equal(lum__csv_open(&input, &options, &csv), LUM_OK);
    run_source_workers(load, &csv->source, 1);
    assert_int_equal(load->status, LUM_OK);
    assert_int_equal(load->row_count, row_count);
    assert_int_equal(load->pieces, 1);
    csv->close(csv);
    lum__text_kernel_force(NULL);
    lum__mapping_destroy(&mapping);
}

static void check_same(const struct source_load *got, const struct source_load *want)
{
    assert_int_equal(got->reject_count, want->reject_count);
    assert_memory_equal(got->rows, want->rows, (want->row_count - want->reject_count) * sizeof want->rows[0]); /* one piece */
    for (uint64_t i = 0; i < want->reject_count; ++i) {
        const struct source_reject *a = &got->rejects[i], *b = &want->rejects[i];
        assert_int_equal(a->row.row, b->row.row);
        assert_int_equal(a->row.line, b->row.line);
        assert_int_equal(a->row.offset, b->row.offset);
        assert_int_equal(a->row.column, b->row.column);
        assert_string_equal(a->row.column_name, b->row.column_name);
        assert_string_equal(a->row.code, b->row.code);
        assert_string_equal(a->reason, b->reason);
        assert_int_equal(a->row.byte_count, b->row.byte_count);
        assert_memory_equal(a->bytes, b->bytes, b->row.byte_count);
    }
}

/* Files of few columns and of so many that the index has no room to level short rows. */
static void short_and_long_rows_are_told_as_the_slow_way_tells_them(void **state)
{
    static const struct {
        uint32_t width, rows;
    } sizes[] = {{1, 1500}, {2, 1500}, {3, 1500}, {6, 1500}, {40, 700}, {400, 150}, {1024, 100}, {1025, 20}};
    static const uint32_t odd_in[] = {1000000, 100, 5, 2, 1}, bad_in[] = {1000000, 100, 3};
    uint64_t seed = 11, refused = 0;

    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; ++s) {
        for (size_t k = 0; k < 5 * 3; ++k) {
            struct lum__text_kernel slow = lum__text_kernel_baseline;
            struct source_load want, got;
            size_t length;
            char *text = make_odd_rows(sizes[s].width, sizes[s].rows, odd_in[k % 5], bad_in[k / 5], seed++, &length);
            slow.csv_index = index_nothing;
            load_odd_rows(&slow, text, length, sizes[s].width, sizes[s].rows, &want);
            for (enum lum__simd level = LUM__SIMD_BASELINE; level < LUM__SIMD_COUNT; ++level) {
                if (lum__text_kernel_of(level) == NULL) continue;
                load_odd_rows(lum__text_kernel_of(level), text, length, sizes[s].width, sizes[s].rows, &got);
                check_same(&got, &want);
                end_load(&got);
            }
            refused += want.reject_count;
            end_load(&want);
            free(text);
        }
    }
    assert_true(refused > 10000);
}

/* --------------------------------------------------------------------------------------------- texts of a few rows */

struct small {
    const char *map, *null_text;
    struct lum__scale time_unit;
    bool no_header, round;
};

/* Loads a text of at most eight rows with one worker; load holds the good rows and the refused ones. */
static void load_small(const char *text, size_t length, struct small small, lum_t rows[8], struct source_load *load)
{
    struct text_stream stream = {text, length, 0, SIZE_MAX, 0};
    const struct lum__input_bytes input = text_stream_bytes("rows.csv", &stream);
    struct lum__mapping mapping = LUM__MAPPING_INIT;
    struct lum__row_source *csv;

    *load = (struct source_load){.rows_max = 8, .row_limit = 8, .rows = rows};
    prepare_rejects(load, 8);
    struct lum__row_options options = {.mapping = &mapping,
                                       .null_text = small.null_text,
                                       .time_unit = small.time_unit,
                                       .no_header = small.no_header,
                                       .round = small.round,
                                       .rejects = &load->sink};
    if (small.map != NULL) assert_int_equal(lum__mapping_add(&mapping, small.map), LUM_OK);
    assert_int_equal(lum__csv_open(&input, &options, &csv), LUM_OK);
    run_source_workers(load, &csv->source, 1);
    assert_int_equal(load->status, LUM_OK);
    csv->close(csv);
    lum__mapping_destroy(&mapping);
}

static void a_quote_that_is_never_closed_takes_the_rest(void **state)
{
    static const char text[] = "id,t\n1,a\n2,\"b\n3,c\n4,d\n";
    struct source_load load;
    lum_t rows[8];

    (void)state;
    load_small(text, sizeof text - 1, (struct small){0}, rows, &load);
    assert_int_equal(load.row_count, 2);
    assert_int_equal(load.reject_count, 1);
    assert_string_equal(load.rejects[0].row.code, "quote");
    assert_int_equal(load.rejects[0].row.line, 3);
    assert_int_equal(load.rejects[0].row.column, 2);
    assert_int_equal(load.rejects[0].row.byte_count, strlen("2,\"b\n3,c\n4,d\n"));
    free_rejects(&load);
}

static void row_numbers_count_refused_rows(void **state)
{
    static const char text[] = "10\nx\n30\n\n40,1\n50";
    struct source_load load;
    lum_t rows[8];

    (void)state;
    load_small(text, sizeof text - 1, (struct small){.map = "id=@row,memory_address=#1", .no_header = true}, rows,
               &load);
    assert_int_equal(load.row_count, 5);
    assert_int_equal(load.reject_count, 2);
    for (unsigned i = 0; i < 3; ++i) {
        assert_int_equal(rows[i].id, 2 * i + 1);
        assert_int_equal(rows[i].memory_address, 10 * (2 * i + 1));
    }
    assert_int_equal(load.rejects[0].row.row, 2);
    assert_string_equal(load.rejects[0].row.column_name, "");
    assert_int_equal(load.rejects[1].row.row, 4);
    assert_int_equal(load.rejects[1].row.line, 5);
    assert_string_equal(load.rejects[1].reason, "the row has 2 fields, the first row has 1");
    free_rejects(&load);
}

static void rows_with_a_wrong_checksum_are_refused(void **state)
{
    lum_t row = {.id = 7, .position_x = -1, .presence = 1}, rows[8];
    struct source_load load;
    char text[256];

    (void)state;
    uint32_t checksum = lum_record_checksum(&row);
    int length = snprintf(text, sizeof text, "id,position_x,checksum\n7,-1,%u\n8,-1,%u\n7,-1,%u\n7,-1,4294967296\n",
                          checksum, checksum, checksum);
    load_small(text, (size_t)length, (struct small){0}, rows, &load);
    assert_int_equal(load.row_count, 4);
    assert_int_equal(load.reject_count, 2);
    assert_string_equal(load.rejects[0].row.code, "checksum");
    assert_int_equal(load.rejects[0].row.line, 3);
    assert_int_equal(load.rejects[0].row.column, 0);
    assert_string_equal(load.rejects[1].row.code, "range");
    assert_int_equal(rows[0].checksum, checksum);
    assert_int_equal(rows[1].checksum, checksum);
    free_rejects(&load);
}

static void null_text_stands_for_the_default_of_every_field_but_id(void **state)
{
    static const char *const nulls[] = {"", "NA", "\\N", "0x"};
    static const char *const names[] = {"presence",  "position_x",     "position_y",  "structure_type",
                                        "timestamp", "memory_address", "is_destroyed"};
    struct source_load load;
    lum_t rows[8];

    (void)state;
    for (size_t n = 0; n < sizeof nulls / sizeof nulls[0]; ++n) {
        for (size_t f = 0; f < sizeof names / sizeof names[0]; ++f) {
            char text[256];
            int length = snprintf(text, sizeof text, "%s,id\n%s,1\n\"%s\",2\n1,%s\n%s ,3\n1,4\n", names[f], nulls[n],
                                  nulls[n], nulls[n], nulls[n]);
            load_small(text, (size_t)length, (struct small){.null_text = nulls[n]}, rows, &load);
            const lum_t want = {.id = 1, .presence = 1};
            assert_memory_equal(&rows[0], &want, sizeof want);
            assert_int_equal(rows[1].id, 2);
            assert_memory_equal((uint8_t *)&rows[1] + 8, (const uint8_t *)&want + 8, sizeof want - 8);
            assert_int_equal(rows[2].id, 4);
            assert_int_equal(load.reject_count, 2); /* not for id, and not with a blank behind it */
            assert_int_equal(load.rejects[0].row.row, 3);
            assert_int_equal(load.rejects[0].row.column, 2);
            assert_int_equal(load.rejects[1].row.row, 4);
            free_rejects(&load);
        }
    }
}

static void numbers_of_time_count_in_the_unit_and_dates_do_not(void **state)
{
    static const char text[] = "id,t\n1,1700000000\n2,1.5\n3,2020-01-01\n4,18446744074\n5,0.0000000001\n6,-1\n";
    const struct lum__scale seconds = {1, 9};
    struct source_load load;
    lum_t rows[8];

    (void)state;
    load_small(text, sizeof text - 1, (struct small){.map = "timestamp=t", .time_unit = seconds}, rows, &load);
    assert_int_equal(load.row_count - load.reject_count, 3);
    assert_true(rows[0].timestamp == 1700000000000000000u);
    assert_int_equal(rows[1].timestamp, 1500000000);
    assert_true(rows[2].timestamp == 1577836800000000000u);
    assert_string_equal(load.rejects[0].row.code, "range");
    assert_string_equal(load.rejects[1].row.code, "leftover");
    assert_string_equal(load.rejects[2].row.code, "range");
    free_rejects(&load);

    load_small(text, sizeof text - 1, (struct small){.map = "timestamp=t", .time_unit = {1, 3}, .round = true}, rows,
               &load);
    assert_int_equal(load.reject_count, 1);
    assert_int_equal(rows[0].timestamp, 1700000000000);
    assert_int_equal(rows[4].timestamp, 0);
    free_rejects(&load);

    /* A scale of its own wins, and refuses dates as it always does. */
    load_small(text, sizeof text - 1, (struct small){.map = "timestamp=t*1e6", .time_unit = seconds}, rows, &load);
    assert_int_equal(rows[0].timestamp, 1700000000000000);
    assert_int_equal(load.reject_count, 3);
    assert_string_equal(load.rejects[0].row.code, "scale");
    free_rejects(&load);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bad_row_is_told_and_no_good_one_is_lost),
        cmocka_unit_test(refused_rows_make_a_file_and_reasons_are_those_of_a_load_that_ends),
        cmocka_unit_test(the_sink_may_end_the_load),
        cmocka_unit_test(a_quote_that_is_never_closed_takes_the_rest),
        cmocka_unit_test(row_numbers_count_refused_rows),
        cmocka_unit_test(short_and_long_rows_are_told_as_the_slow_way_tells_them),
        cmocka_unit_test(rows_with_a_wrong_checksum_are_refused),
        cmocka_unit_test(null_text_stands_for_the_default_of_every_field_but_id),
        cmocka_unit_test(numbers_of_time_count_in_the_unit_and_dates_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
