/* Proves that the fast way of the CSV reader is the slow way, only faster: for any text, mapping and cut into pieces,
 * every instruction level gives the rows, and refuses the rows, that the cursor and lum__field_parse() give and refuse,
 * for the same reasons at the same places. Run it under a sanitizer to see that nothing is read outside.
 *
 * Without LUM_LIBFUZZER: generates texts, LUM_ROUNDS of them from LUM_SEED. With it: the entry point of libFuzzer. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/status.h"
#include "formats/csv_source.h"
#include "formats/text_kernel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long long seed_now, rows_seen, rejects_seen;

#define DEMAND(truth)                                                                                                  \
    do {                                                                                                               \
        if (!(truth)) {                                                                                                \
            fprintf(stderr, "%s:%d: %s (LUM_SEED=%llu LUM_ROUNDS=1)\n", __FILE__, __LINE__, #truth, seed_now);         \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* ------------------------------------------------------------------------------------------- what a reader makes of it
 */

struct bytes {
    uint8_t *data;
    size_t length, capacity;
};

struct outcome {
    struct bytes rows, rejects;
};

static void put(struct bytes *bytes, const void *data, size_t length)
{
    if (bytes->length + length > bytes->capacity) {
        bytes->capacity = 2 * (bytes->length + length) + 64;
        bytes->data = realloc(bytes->data, bytes->capacity);
        DEMAND(bytes->data != NULL);
    }
    if (length > 0) memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
}

static lum_status take_reject(void *context, uint32_t worker, const struct lum__rejected_row *row)
{
    struct bytes *out = context;
    char place[128], reason[LUM__REASON_BYTES_MAX];

    (void)worker;
    int length = snprintf(place, sizeof place, "row %llu line %llu byte %llu column %u ", (unsigned long long)row->row,
                          (unsigned long long)row->line, (unsigned long long)row->offset, row->column);
    put(out, place, (size_t)length);
    put(out, row->column_name, strlen(row->column_name));
    put(out, row->code, strlen(row->code));
    lum__reject_reason(row, reason);
    put(out, reason, strlen(reason));
    put(out, row->bytes, row->byte_count);
    put(out, "\n", 1);
    return LUM_OK;
}

struct stream {
    const uint8_t *text;
    size_t length, at, read_max;
};

static lum_status read_stream(void *context, uint8_t *out, size_t bytes_max, size_t *bytes)
{
    struct stream *stream = context;
    size_t length = stream->length - stream->at;

    if (length > bytes_max) length = bytes_max;
    if (length > stream->read_max) length = stream->read_max;
    if (length > 0) memcpy(out, stream->text + stream->at, length);
    stream->at += length;
    *bytes = length;
    return LUM_OK;
}

/* How the text is read: chosen by the input's first bytes. */
struct way {
    const char *map, *null_text;
    struct lum__scale time_unit;
    char delimiter;
    bool no_header, round;
    uint64_t rows_max;
    size_t fill_max, read_max;
};

static void read_rows(const lum_source *source, const struct way *way, struct bytes *out)
{
    static lum_t rows[4096];
    lum_status status;
    lum_piece piece;
    size_t count;

    for (uint32_t turn = 0; (status = source->open_piece(source->context, turn % 2, way->rows_max, &piece)) == LUM_OK;
         ++turn) {
        do {
            DEMAND(source->fill(source->context, turn % 2, rows, way->fill_max, &count) == LUM_OK);
            put(out, rows, count * sizeof rows[0]);
        } while (count > 0);
    }
    DEMAND(status == LUM_END);
}

static void read_text(const struct way *way, const uint8_t *text, size_t length, struct outcome *out)
{
    struct stream stream = {text, length, 0, way->read_max};
    const struct lum__input_bytes input = {.name = "fuzz", .read = read_stream, .read_context = &stream, .fd = -1};
    const struct lum__reject_sink sink = {&out->rejects, take_reject};
    struct lum__mapping mapping = LUM__MAPPING_INIT;
    struct lum__row_source *source;
    struct lum__row_options options = {.mapping = &mapping,
                                       .null_text = way->null_text,
                                       .time_unit = way->time_unit,
                                       .round = way->round,
                                       .no_header = way->no_header,
                                       .delimiter = way->delimiter,
                                       .rejects = &sink,
                                       .piece_bytes_max = 65536};
    uint64_t counts[3];

    *out = (struct outcome){0};
    DEMAND(lum__mapping_add(&mapping, way->map) == LUM_OK);
    if (lum__csv_open(&input, &options, &source) == LUM_OK) {
        read_rows(&source->source, way, &out->rows);
        source->source.account(source->source.context, &counts[0], &counts[1], &counts[2]);
        put(&out->rejects, counts, sizeof counts);
        rejects_seen += counts[1];
        source->close(source);
    } else {
        put(&out->rejects, lum__error_last()->message, strlen(lum__error_last()->message));
    }
    lum__mapping_destroy(&mapping);
}

/* -------------------------------------------------------------------------------------------------------- comparing */

static void index_nothing(struct lum__csv_index *index, char delimiter, const uint8_t *text, const uint8_t *end)
{
    (void)delimiter;
    index->text = text;
    index->end = end;
    index->row_count = index->row_at = index->position_count = index->position_at = index->row_begin = 0;
}

static void show(const char *name, const struct bytes *bytes)
{
    fprintf(stderr, "--- %s\n", name);
    fwrite(bytes->data, 1, bytes->length < 4000 ? bytes->length : 4000, stderr);
}

static void compare(const struct way *way, const uint8_t *text, size_t length)
{
    struct lum__text_kernel slow = lum__text_kernel_baseline;
    struct outcome want, got;

    slow.csv_index = index_nothing;
    lum__text_kernel_force(&slow);
    read_text(way, text, length, &want);
    for (enum lum__simd level = LUM__SIMD_BASELINE; level < LUM__SIMD_COUNT; ++level) {
        if (lum__text_kernel_of(level) == NULL) continue;
        lum__text_kernel_force(lum__text_kernel_of(level));
        read_text(way, text, length, &got);
        bool same_rejects = got.rejects.length == want.rejects.length &&
                            memcmp(got.rejects.data, want.rejects.data, want.rejects.length) == 0;
        bool same_rows = got.rows.length == want.rows.length &&
                         (want.rows.length == 0 || memcmp(got.rows.data, want.rows.data, want.rows.length) == 0);
        if (!same_rejects || !same_rows) {
            show("slowly", &want.rejects);
            show(lum__simd_name(level), &got.rejects);
            fprintf(stderr, "%zu and %zu bytes of rows, map %s\n", want.rows.length, got.rows.length, way->map);
        }
        DEMAND(same_rejects);
        DEMAND(same_rows);
        free(got.rows.data);
        free(got.rejects.data);
    }
    lum__text_kernel_force(NULL);
    rows_seen += want.rows.length / sizeof(lum_t);
    free(want.rows.data);
    free(want.rejects.data);
}

enum { CHOICES = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const maps[] = {
        "id=#1",
        "id=#1,position_x=#2,position_y=#3",
        "id=@row,timestamp=#1,presence=#2",
        "id=#2*1000,position_x=#1*1e7,structure_type=#3,presence=1",
        "id=#3,timestamp=#2*1e3,memory_address=#1",
        "id=#1,position_x=#1,memory_address=#1,timestamp=#1",
        "id=#2,position_x=#2*0.5,position_y=#2*1e9,is_destroyed=#3,checksum=#4",
        "id=#2,presence=#1,structure_type=#1,is_destroyed=#3",
    };
    static const char *const nulls[] = {NULL, NULL, "", "NA", "0", "-1", "\\N", "5 "};
    static const struct lum__scale units[] = {{0, 0}, {1, 9}, {1, 3}, {25, -1}};
    static const char delimiters[] = ",,,;\t| .";
    static const size_t sizes[] = {1, 3, 7, 64, 255, 300, 1000, 4096};
    if (size < CHOICES) return 0;
    const struct way way = {.map = maps[data[0] % 8],
                            .null_text = nulls[data[1] % 8],
                            .time_unit = units[data[2] % 4],
                            .delimiter = delimiters[data[3] % 8],
                            .no_header = data[4] & 1,
                            .round = data[4] & 2,
                            .rows_max = sizes[data[5] % 8],
                            .fill_max = sizes[data[6] % 8],
                            .read_max = data[7] % 8 == 7 ? SIZE_MAX : 16 * sizes[data[7] % 8]};
    compare(&way, data + CHOICES, size - CHOICES);
    return 0;
}

#ifndef LUM_LIBFUZZER

static uint64_t random_state;
static uint32_t pick(uint32_t below) { return (uint32_t)(lum__splitmix64(&random_state) % below); }

static void put_text(struct bytes *out, const char *text) { put(out, text, strlen(text)); }

static void put_digits(struct bytes *out, uint32_t count)
{
    for (uint32_t i = 0; i < count; ++i) put(out, &(char){(char)('0' + pick(10))}, 1);
}

/* `tame`: of 16, how many fields are what a machine would write. */
static void put_field(struct bytes *out, uint32_t column, uint32_t tame)
{
    static const char *const odd[] = {"",
                                      "NA",
                                      "\\N",
                                      " 5",
                                      "5 ",
                                      "+7",
                                      "-0",
                                      "--1",
                                      "-",
                                      "0x1F",
                                      "0xg",
                                      "1e3",
                                      "12.50",
                                      ".5",
                                      "5.",
                                      "1.2.3",
                                      "abc",
                                      "\"8\"",
                                      "\"\"",
                                      "\"1\"\"2\"",
                                      "\"a\nb\"",
                                      "\"a,b;c\"",
                                      "\"1\"x",
                                      "it\"s",
                                      "\"",
                                      "\"\r\n\"",
                                      "true",
                                      "FALSE",
                                      "node",
                                      "6",
                                      "2020-02-29",
                                      "2021-02-29",
                                      "2020-01-01T10:11:12",
                                      "2020-01-01 10:11:12Z",
                                      "1969-12-31",
                                      "2554-07-21T23:34:33",
                                      "2554-01-01",
                                      "9999-12-31",
                                      "2020-01-01T10:11:12.123456789+01:00",
                                      "2020-1-1",
                                      "18446744073709551615",
                                      "18446744073709551616",
                                      "2147483647",
                                      "2147483648",
                                      "-2147483648",
                                      "-2147483649",
                                      "4294967295",
                                      "4294967296",
                                      "00000000000000000001",
                                      "0000000000000000000000001",
                                      "214.7483647",
                                      "-214.7483649",
                                      "\xef\xbb\xbf",
                                      "\xc3\xa9",
                                      "1\xb2",
                                      "\t3",
                                      "1:2",
                                      "/",
                                      ":",
                                      "1234567/",
                                      "12345678:",
                                      "999999999999999999:"};
    if (pick(16) < tame) {
        if (column == 1 && pick(2)) put_text(out, "-");
        put_digits(out, pick(3) ? 1 : 1 + pick(pick(4) ? 9 : 20));
        if (column == 2 && pick(2)) {
            put_text(out, ".");
            put_digits(out, 1 + pick(8));
        }
        return;
    }
    if (pick(40) == 0) {
        put_text(out, "\"");
        for (uint32_t i = pick(300); i > 0; --i) put_text(out, pick(20) ? "text, " : "\n");
        put_text(out, "\"");
        return;
    }
    put_text(out, odd[pick(sizeof odd / sizeof odd[0])]);
}

static void generate(struct bytes *out)
{
    static const char *const ends[] = {"\n", "\r\n", "\r", "\n\n", "\r\r\n"};
    const uint32_t tame = pick(4) ? 14 + pick(3) : pick(17), end = pick(6),
                   columns = pick(4) ? 3 + pick(2) : 1 + pick(5);
    const uint32_t wrong = pick(2) ? 0 : 1 + pick(50);
    uint8_t choices[CHOICES];
    char delimiter[2] = ",";

    out->length = 0;
    for (int i = 0; i < CHOICES; ++i) choices[i] = (uint8_t)pick(256);
    put(out, choices, sizeof choices);
    delimiter[0] = ",,,;\t| ."[choices[3] % 8];
    uint32_t run = 0; /* of rows with any number of fields: more than are indexed at once */
    for (uint32_t row = pick(8) ? pick(60) : pick(2000); row > 0; --row) {
        if (run > 0) --run;
        else if (pick(4000) == 0) run = pick(700);
        uint32_t fields = run > 0 || (wrong != 0 && pick(wrong) == 0) ? 1 + pick(6) : columns;
        for (uint32_t column = 0; column < fields; ++column) {
            if (column > 0) put_text(out, delimiter);
            put_field(out, column, tame);
        }
        put_text(out, ends[end < 5 && pick(20) ? end : pick(5)]);
    }
    if (pick(3) == 0 && out->length > CHOICES) out->length--;
    for (uint32_t i = pick(4) ? 0 : pick(10); i > 0 && out->length > CHOICES; --i)
        out->data[CHOICES + pick((uint32_t)out->length - CHOICES)] = (uint8_t) "\",\n\r1a-.\x80"[pick(9)];
}

int main(void)
{
    const char *seed_text = getenv("LUM_SEED"), *rounds_text = getenv("LUM_ROUNDS");
    const uint64_t seed = seed_text != NULL ? strtoull(seed_text, NULL, 0) : 1;
    const uint64_t rounds = rounds_text != NULL ? strtoull(rounds_text, NULL, 0) : 3000;
    struct bytes input = {0};

    for (uint64_t round = 0; round < rounds; ++round) {
        random_state = seed + round;
        seed_now = seed + round;
        generate(&input);
        uint8_t *exact = malloc(input.length);
        DEMAND(exact != NULL);
        memcpy(exact, input.data, input.length);
        (void)LLVMFuzzerTestOneInput(exact, input.length);
        free(exact);
    }
    fprintf(stderr, "%llu texts, %llu rows, %llu refused: every level as the slow way\n", (unsigned long long)rounds,
            rows_seen, rejects_seen);
    if (rounds >= 1000)
        DEMAND(rows_seen > 30 * rounds && rejects_seen > 30 * rounds); /* it must not be about nothing */
    free(input.data);
    return 0;
}

#endif
