/* Proves that lum_where() tells every version of an id with its true place, in chunks and in the log, that
 * lum_column_info() adds up to what a scan sees, that lum_content() is the same for any order, threads and chunks, and
 * another one for any other rows; and that none of them passes over damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "lum/lum.h"
#include "support/directory.h"

enum { ROWS = 20000, IDS = 3000, SMALL_ROWS = 7 };

static char parent[256], path[300];

static lum_t make_row(uint64_t number)
{
    uint64_t state = number * 77 + 5, random = lum__splitmix64(&state);
    return (lum_t){.id = random % IDS,
                   .timestamp = 1000 + number * 3,
                   .memory_address = random >> 7,
                   .position_x = (int32_t)(random >> 13) % 5000,
                   .position_y = -(int32_t)(random % 70000),
                   .presence = random % 3 != 0,
                   .structure_type = (uint8_t)(random % 6),
                   .is_destroyed = random % 11 == 0};
}

/* ---- loading an array of rows */

struct array {
    const lum_t *rows;
    uint64_t count, next;
    uint64_t at[8], end[8];
};

static lum_status open_piece(void *context, uint32_t worker, uint64_t rows_max, lum_piece *out)
{
    struct array *array = context;
    if (array->next == array->count) return LUM_END;
    out->first_row = array->at[worker] = array->next;
    out->row_count = rows_max < array->count - array->next ? rows_max : array->count - array->next;
    array->next = array->end[worker] = array->next + out->row_count;
    return LUM_OK;
}

static lum_status fill(void *context, uint32_t worker, lum_t *rows, size_t rows_max, size_t *row_count)
{
    struct array *array = context;
    for (*row_count = 0; *row_count < rows_max && array->at[worker] < array->end[worker]; (*row_count)++)
        rows[*row_count] = array->rows[array->at[worker]++];
    return LUM_OK;
}

static lum_store *open_store(const char *directory, bool read_only, uint32_t threads)
{
    lum_options options = LUM_OPTIONS_INIT;
    lum_store *store;
    options.create = !read_only;
    options.read_only = read_only;
    options.threads = threads;
    options.chunk_lums = 4096;
    assert_int_equal(lum_open(directory, &options, &store), LUM_OK);
    return store;
}

static void load(lum_store *store, const lum_t *rows, uint64_t count, uint64_t commit_every)
{
    struct array array = {.rows = rows, .count = count};
    lum_source source = LUM_SOURCE_INIT;
    lum_load_options options = LUM_LOAD_OPTIONS_INIT;
    lum_load_report report = LUM_LOAD_REPORT_INIT;
    source.context = &array;
    source.open_piece = open_piece;
    source.fill = fill;
    options.commit_every = commit_every;
    assert_int_equal(lum_load(store, &source, &options, &report), LUM_OK);
    assert_int_equal(report.rows_loaded, count);
}

/* The rows of make_row in a store; some more that stay in the log while it is open. */
static lum_store *make_store(lum_t *rows)
{
    lum_store *store = open_store(path, false, 2);
    lum_txn *txn;
    lum_receipt receipt = LUM_RECEIPT_INIT;
    for (uint64_t number = 0; number < ROWS + SMALL_ROWS; number++) rows[number] = make_row(number);
    load(store, rows, ROWS, 9000);
    assert_int_equal(lum_txn_begin(store, NULL, &txn), LUM_OK);
    assert_int_equal(lum_txn_append(txn, rows + ROWS, SMALL_ROWS), LUM_OK);
    assert_int_equal(lum_txn_commit(txn, &receipt), LUM_OK);
    return store;
}

/* ---- where */

struct expected {
    const lum_t *rows;
    uint64_t id, next, seen, in_log; /* next: position from which the next version is looked for */
};

static lum_status check_version(void *context, const lum_version_data *version)
{
    struct expected *expected = context;
    while (expected->rows[expected->next].id != expected->id) expected->next++;
    lum_t wanted = expected->rows[expected->next];
    wanted.checksum = lum_record_checksum(&wanted);
    assert_memory_equal(&version->record, &wanted, sizeof wanted);
    assert_int_equal(version->position, expected->next);
    assert_true(version->transaction_id != 0 && version->commit_sequence != 0 && version->row <= version->position);
    char file[600], magic[4];
    snprintf(file, sizeof file, "%s/%s", path, version->file);
    FILE *stream = fopen(file, "rb");
    assert_non_null(stream);
    assert_int_equal(fseek(stream, (long)version->chunk_offset, SEEK_SET), 0);
    assert_int_equal(fread(magic, 1, 4, stream), 4);
    bool in_log = strncmp(version->file, "wal/", 4) == 0;
    assert_int_equal(in_log, expected->next >= ROWS);
    assert_memory_equal(magic, in_log ? "WALX" : "LUMC", 4);
    if (in_log) {
        assert_int_equal(version->row, expected->next - ROWS);
        assert_true(version->page_offset == version->chunk_offset);
    } else {
        assert_true(version->row < 4096 && version->page_offset > version->chunk_offset);
        assert_int_equal(fseek(stream, (long)version->page_offset, SEEK_SET), 0);
        assert_int_equal(fread(magic, 1, 4, stream), 4);
        assert_memory_equal(magic, "LPAG", 4);
    }
    fclose(stream);
    expected->next++;
    expected->seen++;
    expected->in_log += in_log;
    return LUM_OK;
}

static lum_status stop_at_first(void *context, const lum_version_data *version)
{
    (void)version;
    ++*(int *)context;
    return LUM_ERR_CANCELLED;
}

static void test_where(void **state)
{
    (void)state;
    lum_t *rows = malloc((ROWS + SMALL_ROWS) * sizeof *rows);
    lum_store *store = make_store(rows);
    uint64_t in_log = 0;
    for (int i = 0; i < 40; i++) {
        uint64_t id = i < SMALL_ROWS ? rows[ROWS + i].id : (uint64_t)i * 71 % IDS, count = 0;
        struct expected expected = {.rows = rows, .id = id};
        for (uint64_t number = 0; number < ROWS + SMALL_ROWS; number++) count += rows[number].id == id;
        lum_status status = lum_where(store, id, check_version, &expected);
        assert_int_equal(status, count > 0 ? LUM_OK : LUM_ERR_NOT_FOUND);
        assert_int_equal(expected.seen, count);
        in_log += expected.in_log;
    }
    assert_true(in_log >= SMALL_ROWS);
    int calls = 0;
    assert_int_equal(lum_where(store, rows[0].id, stop_at_first, &calls), LUM_ERR_CANCELLED);
    assert_int_equal(calls, 1);
    assert_int_equal(lum_where(store, IDS, stop_at_first, &calls), LUM_ERR_NOT_FOUND);
    assert_int_equal(calls, 1);
    assert_int_equal(lum_close(store), LUM_OK);
    lum_test_directory_remove(path);
    free(rows);
}

/* ---- columns */

static void expect_values(const lum_column_data *column, int64_t least, int64_t most)
{
    assert_true((int64_t)column->value_min == least);
    assert_true((int64_t)column->value_max == most);
}

static void test_columns(void **state)
{
    (void)state;
    lum_t *rows = malloc((ROWS + SMALL_ROWS) * sizeof *rows);
    lum_store *store = make_store(rows);
    lum_column_data columns[LUM_COLUMN_COUNT];
    lum_scan_counts counts;
    lum_scan *scan;
    assert_int_equal(lum_scan_open(store, NULL, &scan), LUM_OK);
    const lum_t *page;
    size_t row_count;
    int64_t x_min = INT32_MAX, x_max = INT32_MIN, y_min = INT32_MAX, y_max = INT32_MIN;
    while (lum_scan_next_rows(scan, &page, &row_count) == LUM_OK) {
        for (size_t i = 0; i < row_count; i++) {
            if (page[i].position_x < x_min) x_min = page[i].position_x;
            if (page[i].position_x > x_max) x_max = page[i].position_x;
            if (page[i].position_y < y_min) y_min = page[i].position_y;
            if (page[i].position_y > y_max) y_max = page[i].position_y;
        }
    }
    lum_scan_counts_get(scan, &counts);
    lum_scan_close(scan);
    assert_int_equal(lum_column_info(store, columns), LUM_OK);
    uint64_t bytes = 0;
    for (int column = 0; column < LUM_COLUMN_COUNT; column++) {
        uint64_t pages = 0, encoding_bytes = 0;
        for (int i = 0; i < LUM_ENCODINGS_MAX; i++) {
            pages += columns[column].encodings[i].page_count;
            encoding_bytes += columns[column].encodings[i].byte_count;
            assert_true(columns[column].encodings[i].page_count == 0 || columns[column].encodings[i].name != NULL);
        }
        assert_int_equal(pages, counts.pages_read - 1); /* one of them is the rows in the log */
        assert_int_equal(encoding_bytes, columns[column].byte_count);
        assert_int_equal(columns[column].row_count, ROWS);
        bytes += columns[column].byte_count;
    }
    lum_info_data info = LUM_INFO_INIT;
    assert_int_equal(lum_info(store, &info), LUM_OK);
    assert_true(bytes > info.data_bytes / 2 && bytes < info.data_bytes);
    assert_string_equal(columns[LUM_COLUMN_TIMESTAMP].name, "timestamp");
    expect_values(&columns[LUM_COLUMN_TIMESTAMP], 1000,
                  1000 + 3 * (ROWS + SMALL_ROWS - 1)); /* the last one lies in the log */
    expect_values(&columns[LUM_COLUMN_POSITION_X], x_min, x_max);
    expect_values(&columns[LUM_COLUMN_POSITION_Y], y_min, y_max);
    expect_values(&columns[LUM_COLUMN_STRUCTURE_TYPE], 0, 5);
    assert_true(columns[LUM_COLUMN_POSITION_Y].is_signed && !columns[LUM_COLUMN_ID].is_signed);
    assert_int_equal(lum_close(store), LUM_OK);
    lum_test_directory_remove(path);

    store = open_store(path, false, 1); /* without a row */
    assert_int_equal(lum_column_info(store, columns), LUM_OK);
    assert_true(columns[LUM_COLUMN_ID].value_min > columns[LUM_COLUMN_ID].value_max);
    assert_true((int64_t)columns[LUM_COLUMN_POSITION_X].value_min > (int64_t)columns[LUM_COLUMN_POSITION_X].value_max);
    assert_int_equal(lum_close(store), LUM_OK);
    lum_test_directory_remove(path);
    free(rows);
}

/* ---- content */

static lum_content_data content_of(const lum_t *rows, uint64_t count, uint32_t threads, uint64_t commit_every)
{
    lum_content_data content = LUM_CONTENT_INIT, again = LUM_CONTENT_INIT;
    lum_store *store = open_store(path, false, threads);
    load(store, rows, count, commit_every);
    assert_int_equal(lum_content(store, &content), LUM_OK);
    assert_int_equal(lum_close(store), LUM_OK);
    store = open_store(path, true, 8);
    assert_int_equal(lum_content(store, &again), LUM_OK);
    assert_memory_equal(&content, &again, sizeof content);
    assert_int_equal(lum_close(store), LUM_OK);
    lum_test_directory_remove(path);
    return content;
}

static void expect_other(const lum_t *rows, uint64_t count, const lum_content_data *content)
{
    lum_content_data other = content_of(rows, count, 1, 0);
    assert_true(other.digest[0] != content->digest[0] && other.digest[1] != content->digest[1]);
}

static void test_content(void **state)
{
    (void)state;
    enum { COUNT = 9000 };
    lum_t *rows = malloc(COUNT * sizeof *rows);
    uint64_t tombstones = 0;
    for (uint64_t number = 0; number < COUNT; number++) tombstones += (rows[number] = make_row(number)).is_destroyed;
    lum_content_data content = content_of(rows, COUNT, 2, 0);
    assert_int_equal(content.lum_count, COUNT);
    assert_int_equal(content.tombstone_count, tombstones);

    uint64_t random = 3; /* another order, other transactions */
    for (uint64_t i = COUNT; i > 1; i--) {
        uint64_t j = lum__splitmix64(&random) % i;
        lum_t row = rows[i - 1];
        rows[i - 1] = rows[j];
        rows[j] = row;
    }
    lum_content_data shuffled = content_of(rows, COUNT, 1, 1000);
    assert_memory_equal(&shuffled, &content, sizeof content);

    lum_t kept = rows[5000], *row = &rows[5000]; /* one bit of each field */
    row->id ^= 1, expect_other(rows, COUNT, &content), *row = kept;
    row->timestamp ^= 1ull << 63, expect_other(rows, COUNT, &content), *row = kept;
    row->memory_address ^= 1ull << 33, expect_other(rows, COUNT, &content), *row = kept;
    row->position_x ^= 1, expect_other(rows, COUNT, &content), *row = kept;
    row->position_y ^= 1 << 30, expect_other(rows, COUNT, &content), *row = kept;
    row->presence ^= 1, expect_other(rows, COUNT, &content), *row = kept;
    row->structure_type ^= 1, expect_other(rows, COUNT, &content), *row = kept;
    row->is_destroyed ^= 1, expect_other(rows, COUNT, &content), *row = kept;
    /* one row twice instead of another: an exclusive or of pairs would not see two such changes */
    rows[5000] = rows[5001], rows[5002] = rows[5003];
    expect_other(rows, COUNT, &content);
    rows[5000] = kept;
    expect_other(rows, COUNT - 1, &content);
    free(rows);
}

/* ---- damage */

static void test_damage(void **state)
{
    (void)state;
    lum_t *rows = malloc((ROWS + SMALL_ROWS) * sizeof *rows);
    lum_store *store = make_store(rows);
    assert_int_equal(lum_close(store), LUM_OK);
    char file[400];
    snprintf(file, sizeof file, "%s/data/1.seg", path);
    FILE *segment = fopen(file, "r+b");
    assert_non_null(segment);
    uint8_t byte;
    assert_int_equal(fseek(segment, 4096 + 2048, SEEK_SET), 0);
    assert_int_equal(fread(&byte, 1, 1, segment), 1);
    byte ^= 1;
    assert_int_equal(fseek(segment, 4096 + 2048, SEEK_SET), 0);
    assert_int_equal(fwrite(&byte, 1, 1, segment), 1);
    fclose(segment);
    store = open_store(path, true, 2);
    lum_column_data columns[LUM_COLUMN_COUNT];
    lum_content_data content = LUM_CONTENT_INIT;
    int calls = 0;
    assert_int_equal(lum_column_info(store, columns), LUM_ERR_CORRUPT);
    assert_string_equal(lum_last_error()->file, "data/1.seg");
    assert_int_equal(lum_content(store, &content), LUM_ERR_CORRUPT);
    assert_int_equal(content.lum_count, 0);
    assert_int_equal(lum_where(store, 1, stop_at_first, &calls), LUM_ERR_CORRUPT);
    assert_int_equal(calls, 0);
    assert_int_equal(lum_close(store), LUM_OK);
    lum_test_directory_remove(path);
    free(rows);
}

int main(void)
{
    lum_test_directory_make(parent, sizeof parent);
    snprintf(path, sizeof path, "%s/s", parent);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_content),
        cmocka_unit_test(test_damage),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    lum_test_directory_remove(parent);
    return failed;
}
