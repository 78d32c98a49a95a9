/* Proves that a scan of the newest versions gives exactly what a plain model gives, in scan order, for any shape of
 * data, number of threads, range, and memory, also where it has to spill and to divide; that damage ends it, and what
 * is said where temporary files cannot be made or have no room. LUM_SEED replays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/latest.h"
#include "base/random.h"
#include "lum/lum.h"
#include "support/directory.h"

enum { ROWS = 100000, COMMIT_ROWS = 27000, SHAPES = 5 };

static uint64_t seed = 1;
static char parent[256];

/* ---- the data */

/* Ids that come twice on average; all different, ascending; one only; few; most in one corner of the numbers. */
static lum_t make_row(int shape, uint64_t number)
{
    uint64_t state = seed * 31 + (uint64_t)shape * 1000003 + number;
    uint64_t random = lum__splitmix64(&state);
    lum_t row = {.timestamp = number * 10,
                 .position_x = (int32_t)(random >> 40) % 1000,
                 .position_y = (int32_t)number,
                 .presence = 1,
                 .is_destroyed = random % 5 == 0};
    static const uint64_t spans[SHAPES] = {ROWS / 2, 0, 1, 100, 0};
    row.id = shape == 1 ? number : shape == 4 ? UINT64_MAX - random % 70000 * (random % 7) : random % spans[shape];
    return row;
}

struct rows {
    int shape;
    uint64_t next;
    uint64_t at[8], end[8];
};

static lum_status open_piece(void *context, uint32_t worker, uint64_t rows_max, lum_piece *out)
{
    struct rows *rows = context;
    if (rows->next == ROWS) return LUM_END;
    out->first_row = rows->at[worker] = rows->next;
    out->row_count = rows_max < ROWS - rows->next ? rows_max : ROWS - rows->next;
    rows->next = rows->end[worker] = rows->next + out->row_count;
    return LUM_OK;
}

static lum_status fill(void *context, uint32_t worker, lum_t *out, size_t rows_max, size_t *row_count)
{
    struct rows *rows = context;
    for (*row_count = 0; *row_count < rows_max && rows->at[worker] < rows->end[worker]; (*row_count)++)
        out[*row_count] = make_row(rows->shape, rows->at[worker]++);
    return LUM_OK;
}

static void make_store(int shape, char path[300])
{
    struct rows rows = {.shape = shape};
    lum_source source = LUM_SOURCE_INIT;
    lum_options options = LUM_OPTIONS_INIT;
    lum_load_options load = LUM_LOAD_OPTIONS_INIT;
    lum_load_report report = LUM_LOAD_REPORT_INIT;
    lum_store *store;
    source.context = &rows;
    source.open_piece = open_piece;
    source.fill = fill;
    options.create = true;
    options.threads = 2;
    options.chunk_lums = 8192;
    load.commit_every = COMMIT_ROWS;
    snprintf(path, 300, "%s/shape%d", parent, shape);
    assert_int_equal(lum_open(path, &options, &store), LUM_OK);
    assert_int_equal(lum_load(store, &source, &load, &report), LUM_OK);
    assert_int_equal(report.rows_loaded, ROWS);
    assert_int_equal(lum_close(store), LUM_OK);
}

static lum_store *open_store(const char *path, uint32_t threads, uint64_t memory_bytes)
{
    lum_options options = LUM_OPTIONS_INIT;
    lum_store *store;
    options.read_only = true;
    options.threads = threads;
    options.memory_bytes_max = memory_bytes;
    assert_int_equal(lum_open(path, &options, &store), LUM_OK);
    return store;
}

/* ---- the model */

struct version {
    uint64_t id, number;
};

static int compare_versions(const void *a, const void *b)
{
    const struct version *left = a, *right = b;
    if (left->id != right->id) return left->id > right->id ? 1 : -1;
    return (left->number > right->number) - (left->number < right->number);
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static bool is_wanted(const lum_t *row, const lum_scan_options *options)
{
    return row->id >= options->id_min && row->id <= options->id_max && row->timestamp >= options->timestamp_min &&
           row->timestamp <= options->timestamp_max && row->position_x >= options->x_min &&
           row->position_x <= options->x_max && row->position_y >= options->y_min && row->position_y <= options->y_max;
}

/* Numbers of the rows that a scan must give, in order. */
static size_t model(int shape, const lum_scan_options *options, uint64_t *numbers)
{
    struct version *versions = malloc(ROWS * sizeof *versions);
    size_t count = 0;
    for (uint64_t number = 0; number < ROWS; number++)
        versions[number] = (struct version){make_row(shape, number).id, number};
    qsort(versions, ROWS, sizeof *versions, compare_versions);
    for (size_t index = 0; index < ROWS; index++) {
        if (index + 1 < ROWS && versions[index + 1].id == versions[index].id) continue;
        lum_t row = make_row(shape, versions[index].number);
        if (row.is_destroyed == 0 && is_wanted(&row, options)) numbers[count++] = versions[index].number;
    }
    free(versions);
    qsort(numbers, count, sizeof *numbers, compare_numbers);
    return count;
}

/* ---- comparing */

static void expect_row(int shape, uint64_t number, const lum_t *row)
{
    lum_t wanted = make_row(shape, number);
    wanted.checksum = lum_record_checksum(&wanted);
    assert_memory_equal(row, &wanted, sizeof wanted);
}

struct seen {
    int shape;
    uint8_t *flags; /* by row number; each is written once */
    _Atomic uint64_t count, wrong;
};

static lum_status note_rows(void *context, uint32_t worker, uint64_t position, const lum_t *rows, size_t row_count)
{
    struct seen *seen = context;
    (void)worker;
    for (size_t index = 0; index < row_count; index++) {
        uint64_t number = (uint64_t)rows[index].position_y; /* make_row puts it there */
        if (number < position || number >= position + 4096) seen->wrong++;
        seen->flags[number]++;
    }
    seen->count += row_count;
    return LUM_OK;
}

static void expect_scan(lum_store *store, int shape, const lum_scan_options *options, const uint64_t *numbers,
                        size_t count)
{
    lum_scan *scan;
    const lum_t *rows;
    size_t row_count, at = 0;
    lum_status status;
    assert_int_equal(lum_scan_open(store, options, &scan), LUM_OK);
    while ((status = lum_scan_next_rows(scan, &rows, &row_count)) == LUM_OK) {
        assert_true(at + row_count <= count);
        for (size_t index = 0; index < row_count; index++) expect_row(shape, numbers[at++], &rows[index]);
    }
    assert_int_equal(status, LUM_END);
    assert_int_equal(at, count);
    lum_scan_close(scan);

    struct seen seen = {.shape = shape, .flags = calloc(1, ROWS)};
    assert_int_equal(lum_scan_parallel(store, options, 0, note_rows, &seen, NULL), LUM_OK);
    assert_int_equal(seen.count, count);
    assert_int_equal(seen.wrong, 0);
    for (size_t index = 0; index < count; index++) assert_int_equal(seen.flags[numbers[index]], 1);
    free(seen.flags);
}

static void test_same_as_a_model(void **state)
{
    (void)state;
    static const uint64_t memories[] = {64 << 10, 4 << 20, 128 << 20};
    static const uint32_t threads[] = {1, 8, 2};
    uint64_t *numbers = malloc(ROWS * sizeof *numbers), random = seed;
    for (int shape = 0; shape < SHAPES; shape++) {
        char path[300];
        make_store(shape, path);
        for (int round = 0; round < 6; round++) {
            lum_scan_options options = LUM_SCAN_OPTIONS_INIT;
            options.latest = true;
            options.temporary_directory = parent;
            if (round % 3 == 1)
                options.id_min = lum__splitmix64(&random) % ROWS, options.id_max = options.id_min + ROWS / 4;
            if (round % 3 == 2) {
                options.timestamp_min = lum__splitmix64(&random) % ROWS * 10;
                options.x_max = (int32_t)(lum__splitmix64(&random) % 1000);
                options.y_max = ROWS - 1000;
            }
            size_t count = model(shape, &options, numbers);
            lum_store *store = open_store(path, threads[(round + shape) % 3], memories[(round / 2 + shape) % 3]);
            expect_scan(store, shape, &options, numbers, count);
            assert_int_equal(lum_close(store), LUM_OK);
        }
        lum_test_directory_remove(path);
    }
    free(numbers);
}

/* A table of 1,024 entries takes 768 ids; so many ids that a division of them has 745 to 765 on average, and some have
 * too many after others fitted. */
static void test_divisions_of_unequal_size(void **state)
{
    (void)state;
    char path[300];
    make_store(1, path);
    uint64_t *numbers = malloc(ROWS * sizeof *numbers);
    lum_store *store = open_store(path, 1, 64 << 10);
    for (uint64_t ids = 745 * 128; ids <= 765 * 128; ids += 5 * 128) {
        lum_scan_options options = LUM_SCAN_OPTIONS_INIT;
        options.latest = true;
        options.temporary_directory = parent;
        options.id_max = ids - 1;
        expect_scan(store, 1, &options, numbers, model(1, &options, numbers));
    }
    assert_int_equal(lum_close(store), LUM_OK);
    free(numbers);
    lum_test_directory_remove(path);
}

/* The smallest memory makes it spill ids and bits, and divide parts; the largest does neither. */
static void test_spills_where_it_must(void **state)
{
    (void)state;
    char path[300];
    make_store(0, path);
    lum_scan_options options = LUM_SCAN_OPTIONS_INIT;
    options.latest = true;
    options.temporary_directory = "/nowhere/at/all";
    lum_store *store = open_store(path, 2, 128 << 20);
    lum_group_t *group = lum_group_create(0);
    assert_int_equal(lum_scan_group(store, &options, group), LUM_OK); /* needs no file */
    uint64_t *numbers = malloc(ROWS * sizeof *numbers);
    assert_int_equal(lum_group_size(group), model(0, &options, numbers));
    free(numbers);
    lum_group_destroy(group);
    assert_int_equal(lum_close(store), LUM_OK);
    store = open_store(path, 2, 1 << 20);
    lum_scan *scan;
    assert_int_equal(lum_scan_open(store, &options, &scan), LUM_ERR_NOT_FOUND);
    assert_null(scan);
    assert_string_equal(lum_last_error()->file, "/nowhere/at/all");
    assert_non_null(strstr(lum_last_error()->remedy, "TMPDIR"));
    setenv("TMPDIR", "/nowhere/else", 1);
    options.temporary_directory = NULL;
    assert_int_equal(lum_scan_open(store, &options, &scan), LUM_ERR_NOT_FOUND);
    assert_string_equal(lum_last_error()->file, "/nowhere/else");
    unsetenv("TMPDIR");
    assert_int_equal(lum_close(store), LUM_OK);
    lum_test_directory_remove(path);
}

/* Rows of small transactions, which lie in the log and in memory yet, supersede those in chunks, and each other. */
static void test_rows_in_the_log(void **state)
{
    (void)state;
    char path[300];
    make_store(1, path); /* ids 0 .. ROWS - 1, each once */
    lum_options open_options = LUM_OPTIONS_INIT;
    lum_store *store;
    assert_int_equal(lum_open(path, &open_options, &store), LUM_OK);
    lum_t rows[3] = {{.id = 7, .position_y = 1, .presence = 1},
                     {.id = 8, .is_destroyed = 1},
                     {.id = ROWS + 5, .position_y = 2, .presence = 1}};
    for (int round = 0; round < 2; round++) {
        lum_txn *txn;
        assert_int_equal(lum_txn_begin(store, NULL, &txn), LUM_OK);
        assert_int_equal(lum_txn_append(txn, rows, 3), LUM_OK);
        assert_int_equal(lum_txn_commit(txn, NULL), LUM_OK);
        rows[0].position_y = 3; /* the second time */
    }
    lum_scan_options options = LUM_SCAN_OPTIONS_INIT;
    options.latest = true;
    uint64_t *numbers = malloc(ROWS * sizeof *numbers);
    size_t count = model(1, &options, numbers);
    bool was_7 = make_row(1, 7).is_destroyed == 0, was_8 = make_row(1, 8).is_destroyed == 0;
    free(numbers);
    lum_group_t *group = lum_group_create(0);
    assert_int_equal(lum_scan_group(store, &options, group), LUM_OK);
    assert_int_equal(lum_group_size(group), count - was_7 - was_8 + 2);
    const lum_t *last = lum_group_get(group, lum_group_size(group) - 2);
    assert_true(last[0].id == 7 && last[0].position_y == 3 && last[1].id == ROWS + 5);
    lum_group_destroy(group);
    assert_int_equal(lum_close(store), LUM_OK);
    lum_test_directory_remove(path);
}

static void test_columns_are_refused(void **state)
{
    (void)state;
    char path[300];
    make_store(3, path);
    lum_scan_options options = LUM_SCAN_OPTIONS_INIT;
    options.latest = true;
    lum_store *store = open_store(path, 1, 0);
    lum_scan *scan;
    lum_columns columns;
    size_t row_count;
    assert_int_equal(lum_scan_open(store, &options, &scan), LUM_OK);
    assert_int_equal(lum_scan_next_columns(scan, &columns, &row_count), LUM_ERR_ARGUMENT);
    lum_scan_close(scan);
    assert_int_equal(lum_close(store), LUM_OK);
    lum_test_directory_remove(path);
}

static void test_damage_ends_it(void **state)
{
    (void)state;
    char path[300], file[400];
    make_store(1, path);
    snprintf(file, sizeof file, "%s/data/1.seg", path);
    FILE *segment = fopen(file, "r+b");
    assert_non_null(segment);
    uint8_t byte;
    assert_int_equal(fseek(segment, 4096 + 4096, SEEK_SET), 0); /* in the first chunk's first pages */
    assert_int_equal(fread(&byte, 1, 1, segment), 1);
    byte ^= 4;
    assert_int_equal(fseek(segment, 4096 + 4096, SEEK_SET), 0);
    assert_int_equal(fwrite(&byte, 1, 1, segment), 1);
    fclose(segment);
    for (int memory = 0; memory < 2; memory++) {
        lum_scan_options options = LUM_SCAN_OPTIONS_INIT;
        options.latest = true;
        options.temporary_directory = parent;
        options.timestamp_min = ROWS * 9; /* far from the damage */
        lum_store *store = open_store(path, 2, memory ? 1 << 20 : 128 << 20);
        lum_scan *scan;
        assert_int_equal(lum_scan_open(store, &options, &scan), LUM_ERR_CORRUPT);
        assert_string_equal(lum_last_error()->file, "data/1.seg");
        struct seen seen = {.flags = calloc(1, ROWS)};
        assert_int_equal(lum_scan_parallel(store, &options, 0, note_rows, &seen, NULL), LUM_ERR_CORRUPT);
        assert_int_equal(seen.count, 0);
        free(seen.flags);
        options.id_min = ROWS - 100; /* ids in other chunks only: the damaged one has no say */
        assert_int_equal(lum_scan_open(store, &options, &scan), LUM_OK);
        lum_scan_close(scan);
        assert_int_equal(lum_close(store), LUM_OK);
    }
    lum_test_directory_remove(path);
}

/* A file system of 1 MiB: too small for what is expected, which is said before anything is written. */
static void test_no_room(void **state)
{
    (void)state;
    char path[300], small[300];
    make_store(1, path);
    snprintf(small, sizeof small, "%s/small", parent);
    char command[400];
    snprintf(command, sizeof command, "mkdir %s", small);
    assert_int_equal(system(command), 0);
    if (mount("tmpfs", small, "tmpfs", 0, "size=1m") != 0) {
        print_message("no small file system can be mounted here: skipped\n");
        skip();
    }
    lum_scan_options options = LUM_SCAN_OPTIONS_INIT;
    options.latest = true;
    options.temporary_directory = small;
    lum_store *store = open_store(path, 2, 1 << 20);
    lum_scan *scan;
    lum_status status = lum_scan_open(store, &options, &scan);
    assert_int_equal(lum_close(store), LUM_OK);
    assert_int_equal(umount(small), 0);
    assert_int_equal(status, LUM_ERR_NO_SPACE);
    assert_string_equal(lum_last_error()->file, small);
    assert_non_null(strstr(lum_last_error()->message, "may be needed"));
    lum_test_directory_remove(path);
}

int main(void)
{
    const char *text = getenv("LUM_SEED");
    if (text != NULL) seed = strtoull(text, NULL, 10);
    print_message("LUM_SEED=%llu\n", (unsigned long long)seed);
    lum_test_directory_make(parent, sizeof parent);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_divisions_of_unequal_size),
        cmocka_unit_test(test_same_as_a_model),
        cmocka_unit_test(test_spills_where_it_must),
        cmocka_unit_test(test_rows_in_the_log),
        cmocka_unit_test(test_columns_are_refused),
        cmocka_unit_test(test_damage_ends_it),
        cmocka_unit_test(test_no_room),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    lum_test_directory_remove(parent);
    return failed;
}
