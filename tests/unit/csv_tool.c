/* Shows what the CSV reader and the number parser make of an input, for csv_python_test.py to compare with Python.
 *
 *   csv_tool fields FILE [DELIMITER]    every field of every row: a row a line, fields as hex with commas between; the
 * scanner's row count, line count and row ends are checked against the cursor's on the way csv_tool rows FILE WORKERS
 * ROWS_MAX READ_MAX MAP...   the rows of a csv_source, as CSV with all fields, in piece order csv_tool numbers lines
 * "kind scale round text" from stdin -> "ok value" or "error number" */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "formats/csv.h"
#include "formats/csv_cursor.h"
#include "formats/csv_source.h"
#include "formats/number.h"

static uint8_t *read_file(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    size_t capacity = 1 << 16, length = 0;
    uint8_t *data = malloc(capacity + LUM__CSV_SLACK);
    for (size_t got; (got = fread(data + length, 1, capacity - length, file)) > 0;) {
        length += got;
        if (length == capacity) data = realloc(data, (capacity *= 2) + LUM__CSV_SLACK);
    }
    fclose(file);
    memset(data + length, '"', LUM__CSV_SLACK); /* what lies behind the end must not matter */
    *bytes = length;
    return data;
}

/* Scans in steps of every size up to 70 bytes: state must carry over any split. Rows and ends must be the same each
 * time. */
static int check_scanner(const uint8_t *data, size_t bytes, char delimiter, uint64_t rows, uint64_t lines)
{
    for (size_t step = 1; step <= 70; ++step) {
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

static int show_fields(const char *path, char delimiter)
{
    struct lum__csv_cursor cursor;
    struct lum__csv_field field = {0};
    size_t bytes;
    uint8_t *data = read_file(path, &bytes);
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
            for (size_t i = 0; i < length; ++i) printf("%02x", (unsigned char)text[i]);
            if (field.error != LUM__CSV_OK && error == LUM__CSV_OK) error = field.error;
            separator = ",";
        } while (!field.row_ended);
        putchar('\n');
        /* The scanner, stopped after the same row, must stand where the cursor stands. */
        size_t used = lum__csv_scan(&scanner, data + scanner.offset, bytes - scanner.offset, rows);
        (void)used;
        if (scanner.rows + scanner.in_row != rows || data + scanner.offset != cursor.at) {
            fprintf(stderr, "row %" PRIu64 ": the scanner is at %" PRIu64 ", the cursor at %zu\n", rows, scanner.offset,
                    (size_t)(cursor.at - data));
            return 1;
        }
    }
    if (error != LUM__CSV_OK) printf("error %d\n", (int)error);
    int failed = check_scanner(data, bytes, delimiter, rows, lum__count_lines(data, bytes, false));
    free(text);
    free(data);
    return failed;
}

/* ------------------------------------------------------------------------------------------------ csv_source rows */

struct memory_stream {
    const uint8_t *data;
    size_t bytes, at, read_max;
};

static lum_status read_memory(void *context, uint8_t *to, size_t bytes_max, size_t *bytes)
{
    struct memory_stream *from = context;
    size_t length = from->bytes - from->at;
    if (length > bytes_max) length = bytes_max;
    if (length > from->read_max) length = from->read_max;
    memcpy(to, from->data + from->at, length);
    from->at += length;
    *bytes = length;
    return LUM_OK;
}

/* What this program holds while it may give up at any row: globals, so that a leak checker only sees leaks of the
 * library. */
static struct memory_stream stream;
static lum_piece *pieces;
static lum_t **rows;
static uint8_t *out;

static int complain(struct lum__row_source *csv)
{
    const struct lum__error *error = lum__error_last();
    printf("error line %" PRIu64 " offset %" PRId64 ": %s [%s]\n", error->line, (int64_t)error->offset, error->message,
           error->remedy);
    if (csv != NULL) csv->close(csv);
    return 0;
}

/* One thread plays all workers: pieces are opened ahead for all, then filled in the opposite order. Output in source
 * order. */
static int show_rows(const char *path, uint32_t workers, uint64_t rows_max, size_t read_max, int map_count, char **maps)
{
    static const enum lum__field fields[] = {LUM__FIELD_ID,
                                             LUM__FIELD_PRESENCE,
                                             LUM__FIELD_POSITION_X,
                                             LUM__FIELD_POSITION_Y,
                                             LUM__FIELD_STRUCTURE_TYPE,
                                             LUM__FIELD_TIMESTAMP,
                                             LUM__FIELD_MEMORY_ADDRESS,
                                             LUM__FIELD_IS_DESTROYED};
    struct lum__mapping mapping = LUM__MAPPING_INIT;
    struct lum__row_options options = {0};
    struct lum__row_source *csv = NULL;

    stream.read_max = read_max;
    stream.data = read_file(path, &stream.bytes);
    options.mapping = &mapping;
    for (int i = 0; i < map_count; ++i) {
        if (strcmp(maps[i], "--no-header") == 0)
            options.no_header = true;
        else if (strcmp(maps[i], "--round") == 0)
            options.round = true;
        else if (lum__mapping_add(&mapping, maps[i]) != LUM_OK)
            return lum__mapping_destroy(&mapping), complain(NULL);
    }
    const struct lum__input_bytes input = {.name = path, .read = read_memory, .read_context = &stream, .fd = -1};
    lum_status opened = lum__csv_open(&input, &options, &csv);
    lum__mapping_destroy(&mapping);
    if (opened != LUM_OK) return complain(NULL);
    const lum_source *source = &csv->source;
    pieces = calloc(workers, sizeof *pieces);
    rows = calloc(workers, sizeof *rows);
    out = malloc(rows_max * LUM__CSV_ROW_BYTES_MAX);
    uint64_t expected_row = 0;
    bool ended = false;
    for (uint32_t w = 0; w < workers; ++w) rows[w] = malloc(rows_max * sizeof **rows);
    while (!ended) {
        uint32_t opened_count = 0;
        for (; opened_count < workers; ++opened_count) {
            lum_status status = source->open_piece(source->context, opened_count, rows_max, &pieces[opened_count]);
            if (status == LUM_END) {
                ended = true;
                break;
            }
            if (status != LUM_OK) return complain(csv);
            if (pieces[opened_count].first_row != expected_row) return fprintf(stderr, "first_row is wrong\n"), 1;
            expected_row += pieces[opened_count].row_count;
        }
        for (uint32_t w = opened_count; w-- > 0;) {
            size_t got, count = 0;
            do {
                size_t step = rows_max - count < 7 ? rows_max - count : 7;
                if (source->fill(source->context, w, rows[w] + count, step, &got) != LUM_OK) return complain(csv);
                count += got;
            } while (got > 0);
            if (count != pieces[w].row_count) return fprintf(stderr, "row_count is wrong\n"), 1;
        }
        for (uint32_t w = 0; w < opened_count; ++w)
            fwrite(out, 1, lum__csv_write_rows(out, ',', fields, 8, rows[w], pieces[w].row_count), stdout);
    }
    uint64_t read, rejected, bytes;
    source->account(source->context, &read, &rejected, &bytes);
    fprintf(stderr, "%" PRIu64 " rows, mapping %s\n", read, csv->mapping_text);
    for (uint32_t w = 0; w < workers; ++w) free(rows[w]);
    free(rows);
    free(pieces);
    free(out);
    csv->close(csv);
    free((void *)stream.data);
    return read != expected_row || rejected != 0;
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
    if (argc >= 3 && strcmp(argv[1], "fields") == 0) return show_fields(argv[2], argc > 3 ? argv[3][0] : ',');
    if (argc >= 6 && strcmp(argv[1], "rows") == 0)
        return show_rows(argv[2], (uint32_t)atoi(argv[3]), (uint64_t)atoll(argv[4]), (size_t)atoll(argv[5]), argc - 6,
                         argv + 6);
    if (argc == 2 && strcmp(argv[1], "numbers") == 0) return show_numbers();
    fprintf(stderr, "see the top of csv_tool.c\n");
    return 2;
}
