/* lum_encoded_size() says to the byte what a load of the same rows writes into data segments, for any chunk size, and refuses what a load refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#include "lum/lum.h"
#include "support/directory.h"
#include "support/rows.h"

enum { ROWS = 30000 };

static lum_t *make_rows(void)
{
    lum_t *rows = malloc(ROWS * sizeof *rows);
    for (uint64_t i = 0; i < ROWS; i++) lum_test_row(i, &rows[i]);
    return rows;
}

static uint64_t load(uint32_t chunk_lums)
{
    char directory[256];
    lum_options options = LUM_OPTIONS_INIT;
    struct lum_test_source context;
    lum_source source;
    lum_load_report report = LUM_LOAD_REPORT_INIT;
    lum_store *store = NULL;
    lum_test_directory_make(directory, sizeof directory);
    options.create = true;
    options.threads = 1;
    options.chunk_lums = chunk_lums;
    assert_int_equal(lum_open(directory, &options, &store), LUM_OK);
    lum_test_source_init(&context, 0, ROWS, &source);
    assert_int_equal(lum_load(store, &source, NULL, &report), LUM_OK);
    assert_int_equal(lum_close(store), LUM_OK);
    lum_test_directory_remove(directory);
    return report.bytes_written;
}

static void it_is_what_a_load_writes(void **state)
{
    (void)state;
    static const uint32_t chunk_lums[] = {4096, 8192, 0};
    lum_t *rows = make_rows();
    for (size_t i = 0; i < 3; i++) {
        uint64_t bytes = 1;
        assert_int_equal(lum_encoded_size(rows, ROWS, chunk_lums[i], &bytes), LUM_OK);
        assert_int_equal(bytes, load(chunk_lums[i]));
    }
    free(rows);
}

static void what_a_load_refuses_has_no_size(void **state)
{
    (void)state;
    lum_t *rows = make_rows();
    uint64_t bytes = 1;
    assert_int_equal(lum_encoded_size(rows, 0, 0, &bytes), LUM_OK);
    assert_int_equal(bytes, 0);
    rows[5000].structure_type = 6;
    assert_int_equal(lum_encoded_size(rows, ROWS, 0, &bytes), LUM_ERR_INPUT);
    assert_non_null(strstr(lum_last_error()->message, "row 5001"));
    assert_int_equal(lum_encoded_size(rows, ROWS, 5000, &bytes), LUM_ERR_ARGUMENT);
    assert_int_equal(lum_encoded_size(rows, ROWS, 2 * LUM_CHUNK_LUMS_MAX, &bytes), LUM_ERR_ARGUMENT);
    free(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_what_a_load_writes),
        cmocka_unit_test(what_a_load_refuses_has_no_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
