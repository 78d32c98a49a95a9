/* Proves that a source of columns is loaded as the same rows by a source of rows: any number of workers, pages that
 * come short, transactions of odd sizes; that a column which is left out is its default; and that a value that is not
 * allowed is refused with its row's number, whatever column and page it stands in, and leaves nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#include "lum/lum.h"
#include "support/directory.h"
#include "support/rows.h"

enum { PAGE_ROWS = 4096 };

struct column_worker {
    uint64_t at, end, id[PAGE_ROWS], timestamp[PAGE_ROWS], memory_address[PAGE_ROWS];
    int32_t position_x[PAGE_ROWS], position_y[PAGE_ROWS];
    uint8_t presence[PAGE_ROWS], structure_type[PAGE_ROWS], is_destroyed[PAGE_ROWS];
};

struct column_source {
    uint64_t count, next;
    uint64_t bad_row; /* UINT64_MAX: none */
    unsigned bad_column;
    size_t rows_max; /* fewer than asked for */
    struct column_worker *workers;
};

static lum_status open_piece(void *context, uint32_t worker, uint64_t rows_max, lum_piece *out)
{
    struct column_source *source = context;
    uint64_t left = source->count - source->next;
    if (left == 0) return LUM_END;
    out->first_row = source->workers[worker].at = source->next;
    out->row_count = left < rows_max ? left : rows_max;
    source->next = source->workers[worker].end = out->first_row + out->row_count;
    return LUM_OK;
}

static void spoil(struct column_worker *worker, unsigned column, size_t at)
{
    uint8_t *const columns[] = {worker->presence, worker->structure_type, worker->is_destroyed};
    static const uint8_t values[] = {2, 6, 255};
    columns[column][at] = values[column];
}

static lum_status fill_columns(void *context, uint32_t worker, size_t rows_max, lum_columns *columns, size_t *row_count)
{
    struct column_source *source = context;
    struct column_worker *mine = &source->workers[worker];
    uint64_t left = mine->end - mine->at;
    size_t count = rows_max < left ? rows_max : (size_t)left;
    if (count > source->rows_max) count = source->rows_max;
    for (size_t i = 0; i < count; i++) {
        lum_t row;
        lum_test_row(mine->at + i, &row);
        mine->id[i] = row.id;
        mine->timestamp[i] = row.timestamp;
        mine->memory_address[i] = row.memory_address;
        mine->position_x[i] = row.position_x;
        mine->position_y[i] = row.position_y;
        mine->presence[i] = row.presence;
        mine->structure_type[i] = row.structure_type;
        mine->is_destroyed[i] = row.is_destroyed;
        if (mine->at + i == source->bad_row) spoil(mine, source->bad_column, i);
    }
    *columns = (lum_columns){mine->id,
                             mine->timestamp,
                             mine->memory_address,
                             mine->position_x,
                             mine->position_y,
                             mine->presence,
                             mine->structure_type,
                             mine->is_destroyed,
                             NULL};
    mine->at += count;
    *row_count = count;
    return LUM_OK;
}

struct result {
    lum_status status;
    char message[256];
    lum_load_report report;
    uint64_t row_count;
    uint32_t digest;
};

/* Loads a source into a store of its own and looks what is in it. */
static struct result load(const lum_source *source, uint32_t threads, uint64_t commit_every)
{
    char directory[256];
    struct result result = {.report = LUM_LOAD_REPORT_INIT};
    lum_options options = LUM_OPTIONS_INIT;
    lum_load_options load_options = LUM_LOAD_OPTIONS_INIT;
    lum_info_data info = LUM_INFO_INIT;
    lum_store *store;
    options.create = true;
    options.threads = threads;
    options.chunk_lums = 8192;
    load_options.commit_every = commit_every;
    lum_test_directory_make(directory, sizeof directory);
    assert_int_equal(lum_open(directory, &options, &store), LUM_OK);
    result.status = lum_load(store, source, &load_options, &result.report);
    if (result.status != LUM_OK) strncpy(result.message, lum_last_error()->message, sizeof result.message - 1);
    assert_int_equal(lum_info(store, &info), LUM_OK);
    result.row_count = info.lum_count;
    result.digest = info.digest;
    if (result.status == LUM_OK && source->fill_columns == fill_columns) {
        uint64_t rows;
        assert_int_equal(lum_test_read_prefix(store, &rows), LUM_OK);
        assert_int_equal(rows, info.lum_count);
    }
    assert_int_equal(lum_close(store), LUM_OK);
    lum_test_directory_remove(directory);
    return result;
}

static struct result load_columns(struct column_source *context, uint32_t threads, uint64_t commit_every)
{
    lum_source source = LUM_SOURCE_INIT;
    context->workers = calloc(threads, sizeof *context->workers);
    assert_non_null(context->workers);
    source.context = context;
    source.name = "columns";
    source.row_count = context->count;
    source.open_piece = open_piece;
    source.fill_columns = fill_columns;
    struct result result = load(&source, threads, commit_every);
    free(context->workers);
    return result;
}

static void columns_are_loaded_as_rows_are(void **state)
{
    (void)state;
    static const struct {
        uint64_t count, commit_every;
        size_t rows_max;
        uint32_t threads;
    } cases[] = {{1, 0, PAGE_ROWS, 1},          {4095, 0, PAGE_ROWS, 1},   {4096, 0, PAGE_ROWS, 2},
                 {4097, 0, PAGE_ROWS, 2},       {100000, 0, PAGE_ROWS, 3}, {100000, 0, 1000, 3},
                 {100000, 12345, PAGE_ROWS, 2}, {50001, 777, 100, 4},      {30000, 4096, PAGE_ROWS, 16},
                 {8192, 8192, 4095, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lum_test_source rows_context;
        lum_source rows;
        lum_test_source_init(&rows_context, 0, cases[i].count, &rows);
        struct column_source columns = {.count = cases[i].count, .bad_row = UINT64_MAX, .rows_max = cases[i].rows_max};
        struct result by_rows = load(&rows, cases[i].threads, cases[i].commit_every);
        struct result by_columns = load_columns(&columns, cases[i].threads, cases[i].commit_every);
        assert_int_equal(by_rows.status, LUM_OK);
        assert_int_equal(by_columns.status, LUM_OK);
        assert_int_equal(by_columns.row_count, cases[i].count);
        assert_int_equal(by_columns.digest, by_rows.digest);
        assert_int_equal(by_columns.report.digest, by_rows.report.digest);
        assert_int_equal(by_columns.report.rows_loaded, cases[i].count);
        assert_int_equal(by_columns.report.commit_count, by_rows.report.commit_count);
    }
}

static void values_that_are_not_allowed_are_refused(void **state)
{
    (void)state;
    static const uint64_t places[] = {0, 1, 63, 64, 4095, 4096, 8191, 8192, 19999};
    for (unsigned column = 0; column < 3; column++) {
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
            struct column_source columns = {
                .count = 20000, .bad_row = places[i], .bad_column = column, .rows_max = i % 2 ? PAGE_ROWS : 1000};
            struct result result = load_columns(&columns, 2, 0);
            char expected[32];
            snprintf(expected, sizeof expected, "row %llu: ", (unsigned long long)places[i] + 1);
            assert_int_equal(result.status, LUM_ERR_INPUT);
            assert_non_null(strstr(result.message, expected));
            assert_int_equal(result.row_count, 0);
            assert_int_equal(result.report.rows_loaded, 0);
            assert_int_equal(result.report.rows_read, result.report.rows_rolled_back + result.report.rows_rejected);
        }
    }
}

static lum_status fill_ids_only(void *context, uint32_t worker, size_t rows_max, lum_columns *columns,
                                size_t *row_count)
{
    lum_status status = fill_columns(context, worker, rows_max, columns, row_count);
    *columns = (lum_columns){.id = columns->id};
    return status;
}

static void columns_left_out_are_defaults(void **state)
{
    (void)state;
    char directory[256];
    struct column_worker *worker = calloc(1, sizeof *worker);
    struct column_source columns = {.count = 5000, .bad_row = UINT64_MAX, .rows_max = PAGE_ROWS, .workers = worker};
    lum_source source = LUM_SOURCE_INIT;
    lum_options options = LUM_OPTIONS_INIT;
    lum_load_report report = LUM_LOAD_REPORT_INIT;
    lum_store *store;
    source.context = &columns;
    source.open_piece = open_piece;
    source.fill_columns = fill_ids_only;
    options.create = true;
    options.threads = 1;
    lum_test_directory_make(directory, sizeof directory);
    assert_int_equal(lum_open(directory, &options, &store), LUM_OK);
    assert_int_equal(lum_load(store, &source, NULL, &report), LUM_OK);
    for (uint64_t number = 0; number < 5000; number += 1249) {
        lum_t filled, row, expected;
        lum_test_row(number, &filled);
        expected = (lum_t){.id = filled.id, .presence = 1};
        expected.checksum = lum_record_checksum(&expected);
        assert_int_equal(lum_get(store, filled.id, &row), LUM_OK);
        assert_memory_equal(&row, &expected, sizeof row);
    }
    assert_int_equal(lum_close(store), LUM_OK);
    lum_test_directory_remove(directory);
    free(worker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_loaded_as_rows_are),
        cmocka_unit_test(values_that_are_not_allowed_are_refused),
        cmocka_unit_test(columns_left_out_are_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
