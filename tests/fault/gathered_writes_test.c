/* Small chunks that are written together (pipeline/producer.c): a bad row takes nothing from the complete transactions before it, whatever was
 * still being gathered; a failed write or a full disk takes whole transactions, and their space is used again. On the simulated disk, whose
 * completions come late and in any order. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#include "api/store.h"
#include "storage/file_sim.h"
#include "support/rows.h"

enum { COMMIT_EVERY = 500, SEEDS = 40 };

static lum_store *open_on(struct lum__sim *sim)
{
    lum_options options = LUM_OPTIONS_INIT, resolved;
    struct lum__fs *fs = NULL;
    lum_store *store = NULL;
    options.create = true;
    options.threads = 1;
    options.chunk_lums = 4096;
    options.memory_bytes_max = 64u << 20;
    assert_int_equal(lum__options_resolve(&options, &resolved), LUM_OK);
    assert_int_equal(lum__sim_open(sim, false, &fs), LUM_OK);
    assert_int_equal(lum__store_open_fs(fs, "sim", &resolved, &store), LUM_OK);
    return store;
}

static lum_status load(lum_store *store, uint64_t first, uint64_t count, uint64_t fail_at, lum_load_report *report)
{
    struct lum_test_source context;
    lum_source source;
    lum_load_options options = LUM_LOAD_OPTIONS_INIT;
    *report = (lum_load_report)LUM_LOAD_REPORT_INIT;
    options.commit_every = COMMIT_EVERY;
    lum_test_source_init(&context, first, count, &source);
    context.fail_at = fail_at;
    lum_status status = lum_load(store, &source, &options, report);
    assert_int_equal(report->rows_read, report->rows_loaded + report->rows_rolled_back);
    assert_int_equal(report->rows_loaded % COMMIT_EVERY, 0);
    return status;
}

static uint64_t rows_there(lum_store *store)
{
    uint64_t rows = 0;
    assert_int_equal(lum_test_read_prefix(store, &rows), LUM_OK);
    return rows;
}

static struct lum__sim *late_disk(uint64_t seed)
{
    struct lum__sim *sim = lum__sim_create(seed);
    lum__sim_set_reorder_queue(sim, true);
    return sim;
}

static void small_chunks_are_written_together(void **state)
{
    (void)state;
    struct lum__sim *sim = late_disk(1);
    lum_store *store = open_on(sim);
    lum_load_report report;
    uint64_t before = lum__sim_call_count(sim, LUM__SIM_SUBMIT);
    assert_int_equal(load(store, 0, 40000, UINT64_MAX, &report), LUM_OK);
    assert_int_equal(report.commit_count, 80);
    assert_int_equal(report.chunk_count, 80);
    assert_true(lum__sim_call_count(sim, LUM__SIM_SUBMIT) - before < 60); /* half of the looks find the last write not done */
    assert_int_equal(rows_there(store), 40000);
    assert_int_equal(lum_close(store), LUM_OK);
    lum__sim_destroy(sim);
}

static void a_bad_row_takes_nothing_from_the_transactions_before_it(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct lum__sim *sim = late_disk(seed);
        lum_store *store = open_on(sim);
        lum_load_report report;
        assert_int_equal(load(store, 0, 10000, 7123, &report), LUM_ERR_INPUT);
        assert_string_equal(lum_last_error()->message, "the row that must fail");
        assert_int_equal(report.rows_loaded, 7000);
        assert_int_equal(rows_there(store), 7000);
        lum__sim_kill(sim, seed);
        (void)lum_close(store);
        store = open_on(sim);
        assert_int_equal(rows_there(store), 7000);
        assert_int_equal(lum_close(store), LUM_OK);
        lum__sim_destroy(sim);
    }
}

/* The nth write of a chunk fails, or the nth reservation finds no room: what the report says is there, and the rest can be loaded behind it. */
static void a_failure_takes_whole_transactions(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct lum__sim *sim = late_disk(seed);
        lum_store *store = open_on(sim);
        bool is_full = seed % 2 == 0;
        struct lum__sim_fault fault = {.call = is_full ? LUM__SIM_ALLOCATE : LUM__SIM_COMPLETION_WRITE,
                                       .nth = 1 + seed % 9,
                                       .os_errno = is_full ? ENOSPC : EIO,
                                       .is_lasting = is_full,
                                       .path_prefix = "data/"};
        lum_load_report report;
        lum__sim_arm(sim, &fault);
        lum_status status = load(store, 0, 40000, UINT64_MAX, &report);
        if (status != LUM_OK) assert_int_equal(status, is_full ? LUM_ERR_NO_SPACE : LUM_ERR_IO);
        if (!is_full) assert_int_not_equal(status, LUM_OK);
        uint64_t loaded = report.rows_loaded;
        assert_int_equal(rows_there(store), loaded);
        lum__sim_disarm(sim);
        if (loaded < 40000) assert_int_equal(load(store, loaded, 40000 - loaded, UINT64_MAX, &report), LUM_OK);
        assert_int_equal(rows_there(store), 40000);
        lum_info_data info = LUM_INFO_INIT;
        assert_int_equal(lum_info(store, &info), LUM_OK);
        assert_int_equal(info.chunk_count, 80);
        assert_int_equal(lum_close(store), LUM_OK);
        store = open_on(sim);
        assert_int_equal(rows_there(store), 40000);
        assert_int_equal(lum_close(store), LUM_OK);
        lum__sim_destroy(sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_chunks_are_written_together),
        cmocka_unit_test(a_bad_row_takes_nothing_from_the_transactions_before_it),
        cmocka_unit_test(a_failure_takes_whole_transactions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
