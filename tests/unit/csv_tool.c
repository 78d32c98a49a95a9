/* Shows what the CSV reader and the number parser make of an input, for csv_python_test.py to compare with Python.
 *
 *   csv_tool fields < TEXTS        every field of every row: a row a line, fields as hex with commas between; the
 *                                  scanners' row counts, line counts and row ends are checked against the cursor's on
 *                                  the way
 *   csv_tool load WORKERS ROWS_MAX READ_MAX MAP... < TEXTS
 *                                  the rows that a csv source gives to so many workers, and those it refuses
 *   csv_tool numbers               lines "kind scale round text" from stdin -> "ok value" or "error number"
 *
 * TEXTS: for each text a byte with the delimiter, its length in 8 bytes, the text. Each text's answer ends with "end". */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/status.h"
#include "formats/csv.h"
#include "formats/csv_cursor.h"
#include "formats/csv_source.h"
#include "formats/number.h"
#include "formats/text_kernel.h"
#include "support/source_load.h"

/* The next text of stdin, NULL at their end. Behind it lies what must not matter. */
static uint8_t *read_text(char *delimiter, size_t *bytes)
{
    uint8_t head[9];

    if (fread(head, 1, sizeof head, stdin) != sizeof head) return NULL;
    *delimiter = (char)head[0];
    *bytes = lum__get_u64(head + 1);
    uint8_t *data = malloc(*bytes + LUM__TEXT_SLACK);
    if (fread(data, 1, *bytes, stdin) != *bytes) exit(2);
    memset(data + *bytes, '"', LUM__TEXT_SLACK);
    return data;
}

/* Scans in steps of every size up to 70 bytes: state must carry over any split. Rows and ends must be the same each
 * time, at every instruction level. Long texts: some steps. */
static int check_scanner(const uint8_t *data, size_t bytes, char delimiter, uint64_t rows, uint64_t lines)
{
    for (size_t step = bytes < 10000 ? 1 : 61; step <= 70; step += 1) {
        struct lum__row_scanner scanner = {.delimiter = delimiter};
        for (size_t at = 0; at < bytes;) {
            size_t length = bytes - at < step ? bytes - at : step;
            size_t used = lum__csv_scan(&scanner, data + at, length, UINT64_MAX);
            if (used != length) return fprintf(stderr, "step %zu: scan stopped at %zu\n", step, at), 1;
            at += used;
        }
        if (scanner.rows + scanner.in_row != rows || scanner.lines != lines || scanner.offset != bytes)
            return fprintf(stderr, "step %zu: scanner has %" PRIu64 " rows and %" PRIu64 " lines\n", step,
                           scanner.rows + scanner.in_row, scanner.lines),
                   1;
    }
    return 0;
}

static int check_scanners(const uint8_t *data, size_t bytes, char delimiter, uint64_t rows)
{
    uint64_t lines = 0;

    for (size_t i = 0; i < bytes; ++i) lines += data[i] == '\r' || (data[i] == '\n' && (i == 0 || data[i - 1] != '\r'));
    for (enum lum__simd level = LUM__SIMD_BASELINE; level < LUM__SIMD_COUNT; ++level) {
        if (lum__text_kernel_of(level) == NULL) continue;
        lum__text_kernel_force(lum__text_kernel_of(level));
        if (check_scanner(data, bytes, delimiter, rows, lines) != 0) return 1;
        if (lum__count_lines(data, bytes, false) != lines) return fprintf(stderr, "lines are counted wrongly\n"), 1;
    }
    lum__text_kernel_force(NULL);
    return 0;
}

static void put_hex(const char *text, size_t length)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < length; ++i) {
        putchar_unlocked(digits[(uint8_t)text[i] >> 4]);
        putchar_unlocked(digits[(uint8_t)text[i] & 15]);
    }
}

static int show_fields(const uint8_t *data, size_t bytes, char delimiter)
{
    struct lum__csv_cursor cursor;
    struct lum__csv_field field = {0};
    char *text = malloc(bytes + 1);
    uint64_t rows = 0;
    enum lum__csv_error error = LUM__CSV_OK;

    lum__csv_cursor_init(&cursor, delimiter, data, data + bytes);
    struct lum__row_scanner scanner = {.delimiter = delimiter};
    while (lum__csv_next_row(&cursor)) {
        rows++;
        const char *separator = "";
        do {
            lum__csv_next_field(&cursor, &field);
            size_t length = lum__csv_unescape(&field, text);
            fputs(separator, stdout);
            put_hex(text, length);
            if (field.error != LUM__CSV_OK && error == LUM__CSV_OK) error = field.error;
            separator = ",";
        } while (!field.row_ended);
        putchar('\n');
        /* The scanner, stopped after the same row, must stand where the cursor stands, whatever is wrong in the row. */
        (void)lum__csv_scan(&scanner, data + scanner.offset, bytes - scanner.offset, rows);
        if (scanner.rows + scanner.in_row != rows || data + scanner.offset != cursor.at) {
            fprintf(stderr, "row %" PRIu64 ": the scanner is at %" PRIu64 ", the cursor at %zu\n", rows, scanner.offset,
                    (size_t)(cursor.at - data));
            return 1;
        }
    }
    if (error != LUM__CSV_OK) printf("error %d\n", (int)error);
    puts("end");
    free(text);
    return check_scanners(data, bytes, delimiter, rows);
}

static int show_all_fields(void)
{
    uint8_t *data;
    size_t bytes;
    char delimiter;
    int failed = 0;

    while (failed == 0 && (data = read_text(&delimiter, &bytes)) != NULL) {
        failed = show_fields(data, bytes, delimiter);
        free(data);
    }
    return failed;
}

/* ------------------------------------------------------------------------------------------------------ csv sources */

static int compare_ids(const void *a, const void *b)
{
    uint64_t left = ((const lum_t *)a)->id, right = ((const lum_t *)b)->id;
    return (left > right) - (left < right);
}

static void show_load(struct source_load *load)
{
    uint64_t count = 0;

    for (uint64_t i = 0; i < load->row_count; ++i)
        if (load->filled[i]) load->rows[count++] = load->rows[i];
    qsort(load->rows, count, sizeof load->rows[0], compare_ids);
    sort_rejects(load);
    for (uint64_t i = 0; i < count; ++i) {
        const lum_t *row = &load->rows[i];
        printf("row %" PRIu64 " %d %d %" PRIu64 " %" PRIu64 "\n", row->id, row->position_x, row->position_y,
               row->timestamp, row->memory_address);
    }
    for (uint64_t i = 0; i < load->reject_count; ++i) {
        const struct lum__rejected_row *row = &load->rejects[i].row;
        printf("bad %" PRIu64 " %s %" PRIu64 " %" PRIu64 "\n", row->row, row->code, row->line, row->offset);
    }
    if (load->status != LUM_OK) printf("error %s\n", load->error.message);
}

static int show_loads(uint32_t workers, uint64_t rows_max, size_t read_max, int map_count, char **maps)
{
    struct lum__mapping mapping = LUM__MAPPING_INIT;
    uint8_t *data;
    size_t bytes;
    char delimiter;
    bool round = false;

    for (int i = 0; i < map_count; ++i) {
        if (strcmp(maps[i], "--round") == 0)
            round = true;
        else if (lum__mapping_add(&mapping, maps[i]) != LUM_OK)
            return 2;
    }
    while ((data = read_text(&delimiter, &bytes)) != NULL) {
        struct text_stream stream = {(const char *)data, bytes, 0, read_max, 0};
        const struct lum__input_bytes input = text_stream_bytes("rows.csv", &stream);
        struct source_load load = {.rows_max = rows_max, .row_limit = bytes / 2 + 1};
        struct lum__row_source *csv;
        prepare_rejects(&load, load.row_limit);
        load.rows = malloc(load.row_limit * sizeof load.rows[0]);
        load.filled = calloc(load.row_limit, 1);
        const struct lum__row_options options = {.mapping = &mapping,
                                                 .delimiter = delimiter,
                                                 .no_header = true,
                                                 .round = round,
                                                 .rejects = &load.sink,
                                                 .piece_bytes_max = bytes < 1 << 20 ? 65536 : 0};
        if (lum__csv_open(&input, &options, &csv) == LUM_OK) {
            run_source_workers(&load, &csv->source, workers);
            show_load(&load);
            csv->close(csv);
        } else {
            printf("error %s\n", lum__error_last()->message);
        }
        puts("end");
        free_rejects(&load);
        free(load.rows);
        free(load.filled);
        free(data);
    }
    lum__mapping_destroy(&mapping);
    return 0;
}

/* ---------------------------------------------------------------------------------------------------- numbers */

static int show_numbers(void)
{
    static char line[4096], kind[32], scale_text[128];
    int round, used;

    while (fgets(line, sizeof line, stdin) != NULL) {
        struct lum__scale scale = LUM__SCALE_ONE;
        if (sscanf(line, "%31s %127s %d %n", kind, scale_text, &round, &used) != 3) return 1;
        char *text = line + used;
        size_t length = strcspn(text, "\n");
        char *exact = malloc(length); /* so that a sanitizer sees a read beyond the text */
        memcpy(exact, text, length);
        if (lum__scale_parse(scale_text, strlen(scale_text), &scale) != LUM__NUMBER_OK) return 1;
        enum lum__number_error error;
        uint64_t u = 0;
        int64_t i = 0;
        int32_t i32 = 0;
        if (strcmp(kind, "u64") == 0) {
            error = lum__parse_scaled_u64(exact, length, scale, round, &u, NULL);
        } else if (strcmp(kind, "int") == 0) {
            error = lum__parse_u64(exact, length, &u, NULL);
        } else if (strcmp(kind, "time") == 0) {
            error = lum__parse_timestamp(exact, length, scale, round, &u, NULL);
        } else if (strcmp(kind, "i64") == 0) {
            error = lum__parse_scaled_i64(exact, length, scale, round, &i, NULL);
        } else if (strcmp(kind, "sint") == 0) {
            error = lum__parse_i64(exact, length, &i, NULL);
        } else if (strcmp(kind, "sint32") == 0) {
            error = lum__parse_i32(exact, length, &i32, NULL);
            i = i32;
        } else {
            error = lum__parse_scaled_i32(exact, length, scale, round, &i32, NULL);
            i = i32;
        }
        if (error != LUM__NUMBER_OK)
            printf("error %d\n", (int)error);
        else if (i != 0)
            printf("ok %" PRId64 "\n", i);
        else
            printf("ok %" PRIu64 "\n", u);
        free(exact);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "fields") == 0) return show_all_fields();
    if (argc >= 5 && strcmp(argv[1], "load") == 0)
        return show_loads((uint32_t)atoi(argv[2]), (uint64_t)atoll(argv[3]), (size_t)atoll(argv[4]), argc - 5, argv + 5);
    if (argc == 2 && strcmp(argv[1], "numbers") == 0) return show_numbers();
    fprintf(stderr, "see the top of csv_tool.c\n");
    return 2;
}
