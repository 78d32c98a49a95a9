/* A program of somebody else, using what `cmake --install` gave: compiled as C11 and as C++20 by install_test.sh. It makes a
 * store, loads rows through a source of its own, closes, opens again, gets and scans them, and reads an error. */
#include <lum/lum.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s does not hold: %s\n", __FILE__, __LINE__, #condition,                           \
                    lum_last_error()->message);                                                                        \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

enum { ROWS = 10000 };

static lum_t make_row(uint64_t number)
{
    lum_t row;

    memset(&row, 0, sizeof row);
    row.id = number;
    row.timestamp = 1700000000000000000u + number;
    row.position_x = (int32_t)number - ROWS / 2;
    row.presence = 1;
    return row;
}

static lum_status open_piece(void *context, uint32_t worker, uint64_t rows_max, lum_piece *out)
{
    uint64_t *next_row = (uint64_t *)context; /* lum calls from one worker at a time */
    uint64_t left = ROWS - *next_row;

    (void)worker;
    if (left == 0) return LUM_END;
    out->first_row = *next_row;
    out->row_count = left < rows_max ? left : rows_max;
    *next_row += out->row_count;
    return LUM_OK;
}

/* One thread, so one piece at a time: its place is enough to remember. */
static uint64_t fill_row;

static lum_status fill(void *context, uint32_t worker, lum_t *rows, size_t rows_max, size_t *row_count)
{
    uint64_t end = *(uint64_t *)context;

    (void)worker;
    for (*row_count = 0; *row_count < rows_max && fill_row < end; ++*row_count) rows[*row_count] = make_row(fill_row++);
    return LUM_OK;
}

static void load(const char *path)
{
    uint64_t next_row = 0;
    lum_options options = LUM_OPTIONS_INIT;
    lum_source source = LUM_SOURCE_INIT;
    lum_load_options load_options = LUM_LOAD_OPTIONS_INIT;
    lum_load_report report = LUM_LOAD_REPORT_INIT;
    lum_store *store = NULL;

    options.create = true;
    options.threads = 1;
    CHECK(lum_open(path, &options, &store) == LUM_OK);
    source.context = &next_row;
    source.name = "consumer";
    source.row_count = ROWS;
    source.open_piece = open_piece;
    source.fill = fill;
    CHECK(lum_load(store, &source, &load_options, &report) == LUM_OK);
    CHECK(report.rows_loaded == ROWS);
    CHECK(report.durable);
    CHECK(lum_close(store) == LUM_OK);
}

static void read_back(const char *path)
{
    lum_options options = LUM_OPTIONS_INIT;
    lum_scan_options scan_options = LUM_SCAN_OPTIONS_INIT;
    lum_group_t *group = lum_group_create(0);
    lum_store *store = NULL;
    lum_t row;

    CHECK(group != NULL);
    CHECK(lum_open(path, &options, &store) == LUM_OK);
    CHECK(lum_get(store, 1234, &row) == LUM_OK);
    CHECK(row.position_x == 1234 - ROWS / 2);
    CHECK(row.checksum == lum_record_checksum(&row));
    CHECK(lum_get(store, ROWS, &row) == LUM_ERR_NOT_FOUND);
    CHECK(lum_scan_group(store, &scan_options, group) == LUM_OK);
    CHECK(lum_group_size(group) == ROWS);
    for (uint64_t i = 0; i < ROWS; i++) {
        lum_t expected = make_row(i);
        expected.checksum = lum_record_checksum(&expected);
        CHECK(memcmp(lum_group_get(group, (size_t)i), &expected, sizeof expected) == 0);
    }
    lum_group_destroy(group);
    CHECK(lum_close(store) == LUM_OK);
}

int main(int argc, char **argv)
{
    lum_options options = LUM_OPTIONS_INIT;
    lum_store *store = NULL;

    if (argc != 2) return 2;
    CHECK(strcmp(lum_version(), LUM_VERSION_STRING) == 0);
    CHECK(lum_open(argv[1], &options, &store) == LUM_ERR_NOT_FOUND); /* not made unless asked for */
    CHECK(store == NULL);
    CHECK(strcmp(lum_status_name(lum_last_error()->status), "ERR_NOT_FOUND") == 0);
    load(argv[1]);
    read_back(argv[1]);
    printf("%d rows\n", ROWS);
    return 0;
}
