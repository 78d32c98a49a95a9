/* Everything at once on one store: loads with 1 to 16 workers from several threads, scans, gets, syncs, checkpoints and info beside them; then
 * every row is there once, whatever the threads did. ThreadSanitizer runs this too: ring, pool, sequencer, waiters, shutdown. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#include "lum/lum.h"
#include "support/directory.h"
#include "support/rows.h"

struct job {
    lum_store *store;
    uint64_t first, count, commit_every;
    uint64_t fail_at; /* UINT64_MAX: none */
    bool cancel;
    lum_status status;
    lum_load_report report;
};

static bool cancel_at_once(void *context, const lum_load_progress *progress)
{
    (void)context;
    (void)progress;
    return false;
}

static void *load(void *context)
{
    struct job *job = context;
    struct lum_test_source source_context;
    lum_source source;
    lum_test_source_init(&source_context, job->first, job->count, &source);
    source_context.fail_at = job->fail_at;
    lum_load_options options = LUM_LOAD_OPTIONS_INIT;
    options.commit_every = job->commit_every;
    if (job->cancel) options.on_progress = cancel_at_once;
    job->report = (lum_load_report)LUM_LOAD_REPORT_INIT;
    job->status = lum_load(job->store, &source, &options, &job->report);
    return NULL;
}

struct reader {
    lum_store *store;
    _Atomic bool stop;
    uint64_t rounds;
    bool failed;
};

static lum_status count_rows(void *context, uint32_t worker, uint64_t position, const lum_t *rows, size_t row_count)
{
    (void)worker;
    (void)position;
    for (size_t i = 0; i < row_count; i++) {
        lum_t expected;
        lum_test_row(rows[i].id, &expected);
        if (memcmp(&expected, &rows[i], sizeof expected) != 0) return LUM_ERR_ARGUMENT;
    }
    atomic_fetch_add((_Atomic uint64_t *)context, row_count);
    return LUM_OK;
}

static void *read_all_the_time(void *context)
{
    struct reader *reader = context;
    uint64_t rows_before = 0;
    while (!atomic_load(&reader->stop)) {
        _Atomic uint64_t rows = 0;
        lum_info_data info = LUM_INFO_INIT;
        if (lum_scan_parallel(reader->store, NULL, 2, count_rows, &rows, NULL) != LUM_OK) reader->failed = true;
        if (lum_info(reader->store, &info) != LUM_OK || info.lum_count < rows) reader->failed = true;
        if (rows < rows_before) reader->failed = true; /* what was visible stays visible */
        rows_before = rows;
        if (lum_sync(reader->store, NULL) != LUM_OK || lum_checkpoint(reader->store) != LUM_OK) reader->failed = true;
        reader->rounds++;
    }
    return NULL;
}

static lum_store *open_store(const char *directory, uint32_t threads)
{
    lum_options options = LUM_OPTIONS_INIT;
    options.create = true;
    options.threads = threads;
    options.chunk_lums = 4096;
    options.wal_segment_bytes = 64 * 1024;
    options.checkpoint_wal_bytes = 256 * 1024;
    lum_store *store = NULL;
    assert_int_equal(lum_open(directory, &options, &store), LUM_OK);
    return store;
}

static void check_rows(const char *directory, uint64_t row_count)
{
    lum_store *store = open_store(directory, 2);
    uint8_t *seen = calloc(row_count, 1);
    lum_scan *scan = NULL;
    const lum_t *rows = NULL;
    size_t count = 0;
    uint64_t total = 0;
    assert_int_equal(lum_scan_open(store, NULL, &scan), LUM_OK);
    lum_status status;
    while ((status = lum_scan_next_rows(scan, &rows, &count)) == LUM_OK) {
        for (size_t i = 0; i < count; i++, total++) {
            assert_true(rows[i].id < row_count);
            assert_int_equal(seen[rows[i].id]++, 0);
        }
    }
    assert_int_equal(status, LUM_END);
    assert_int_equal(total, row_count);
    lum_scan_close(scan);
    free(seen);
    assert_int_equal(lum_close(store), LUM_OK);
    lum_verify_report report = LUM_VERIFY_REPORT_INIT;
    assert_int_equal(lum_verify(directory, 2, NULL, NULL, &report), LUM_OK);
    assert_int_equal(report.lums_checked, row_count);
}

static void many_loads(uint32_t threads, int job_count, uint64_t rows_each)
{
    char directory[256];
    lum_test_directory_make(directory, sizeof directory);
    lum_store *store = open_store(directory, threads);
    struct job jobs[8];
    pthread_t load_threads[8], reader_thread;
    struct reader reader = {.store = store};
    assert_int_equal(pthread_create(&reader_thread, NULL, read_all_the_time, &reader), 0);
    for (int i = 0; i < job_count; i++) {
        jobs[i] = (struct job){.store = store, .first = (uint64_t)i * rows_each, .count = rows_each,
                               .commit_every = i % 2 == 0 ? 0 : 700 + (uint64_t)i * 100, .fail_at = UINT64_MAX};
        assert_int_equal(pthread_create(&load_threads[i], NULL, load, &jobs[i]), 0);
    }
    for (int i = 0; i < job_count; i++) {
        pthread_join(load_threads[i], NULL);
        assert_int_equal(jobs[i].status, LUM_OK);
        assert_int_equal(jobs[i].report.rows_loaded, rows_each);
        assert_true(jobs[i].report.durable);
    }
    atomic_store(&reader.stop, true);
    pthread_join(reader_thread, NULL);
    assert_false(reader.failed);
    assert_int_equal(lum_close(store), LUM_OK);
    check_rows(directory, (uint64_t)job_count * rows_each);
    lum_test_directory_remove(directory);
}

static void two_threads(void **state)
{
    (void)state;
    many_loads(2, 2, 60000);
}

static void sixteen_threads(void **state)
{
    (void)state;
    many_loads(16, 4, 40000);
}

/* A load that fails midway, in any worker, leaves whole transactions only, gives its space back, and harms nobody else. */
static void a_failing_load_beside_others(void **state)
{
    (void)state;
    char directory[256];
    lum_test_directory_make(directory, sizeof directory);
    lum_store *store = open_store(directory, 4);
    struct job good = {.store = store, .first = 0, .count = 50000, .commit_every = 1000, .fail_at = UINT64_MAX};
    struct job bad = {.store = store, .first = 50000, .count = 50000, .commit_every = 0, .fail_at = 87654};
    pthread_t threads[2];
    assert_int_equal(pthread_create(&threads[0], NULL, load, &good), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, load, &bad), 0);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    assert_int_equal(good.status, LUM_OK);
    assert_int_equal(bad.status, LUM_ERR_INPUT);
    assert_int_equal(bad.report.rows_loaded, 0);
    assert_int_equal(bad.report.rows_read, bad.report.rows_rolled_back + bad.report.rows_rejected);
    assert_int_equal(lum_close(store), LUM_OK);
    check_rows(directory, 50000);
    lum_test_directory_remove(directory);
}

static void a_cancelled_load_keeps_its_commits(void **state)
{
    (void)state;
    char directory[256];
    lum_test_directory_make(directory, sizeof directory);
    lum_store *store = open_store(directory, 2);
    struct job job = {.store = store, .count = 30000000, .commit_every = 5000, .fail_at = UINT64_MAX, .cancel = true};
    load(&job);
    assert_int_equal(job.status, LUM_ERR_CANCELLED);
    assert_int_equal(job.report.rows_loaded % 5000, 0);
    assert_true(job.report.rows_loaded < job.count);
    assert_int_equal(lum_close(store), LUM_OK);
    check_rows(directory, job.report.rows_loaded);
    lum_test_directory_remove(directory);
}

static void an_empty_load_is_one_empty_transaction(void **state)
{
    (void)state;
    char directory[256];
    lum_test_directory_make(directory, sizeof directory);
    lum_store *store = open_store(directory, 2);
    struct job job = {.store = store, .count = 0, .commit_every = 10, .fail_at = UINT64_MAX};
    load(&job);
    assert_int_equal(job.status, LUM_OK);
    assert_int_equal(job.report.commit_count, 1);
    assert_int_equal(job.report.rows_loaded, 0);
    /* and one whose rows are a multiple of commit_every has no empty transaction at its end */
    job = (struct job){.store = store, .count = 50, .commit_every = 10, .fail_at = UINT64_MAX};
    load(&job);
    assert_int_equal(job.status, LUM_OK);
    assert_int_equal(job.report.commit_count, 5);
    assert_int_equal(lum_close(store), LUM_OK);
    lum_test_directory_remove(directory);
}

static lum_status answer_busy(void *context, uint32_t worker, uint64_t rows_max, lum_piece *out)
{
    (void)context, (void)worker, (void)rows_max, (void)out;
    return LUM_ERR_BUSY;
}

static lum_status never_fill(void *context, uint32_t worker, lum_t *rows, size_t rows_max, size_t *row_count)
{
    (void)context, (void)worker, (void)rows, (void)rows_max, (void)row_count;
    fail_msg("no piece was opened");
    return LUM_ERR_ARGUMENT;
}

/* A source that answers with a status and says nothing, behind an older failure: lum_last_error() is about the load. */
static void a_silent_source_is_not_an_older_failure(void **state)
{
    (void)state;
    char directory[256];
    lum_test_directory_make(directory, sizeof directory);
    lum_store *store = open_store(directory, 1);
    lum_source source = LUM_SOURCE_INIT;
    source.name = "silent";
    source.open_piece = answer_busy;
    source.fill = never_fill;
    lum_load_report report = LUM_LOAD_REPORT_INIT;
    lum_t row;
    assert_int_equal(lum_get(store, 12345, &row), LUM_ERR_NOT_FOUND);
    assert_int_equal(lum_load(store, &source, NULL, &report), LUM_ERR_BUSY);
    assert_int_equal(lum_last_error()->status, LUM_ERR_BUSY);
    assert_non_null(strstr(lum_last_error()->message, "answered ERR_BUSY"));
    assert_int_equal(lum_close(store), LUM_OK);
    lum_test_directory_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_threads),
        cmocka_unit_test(sixteen_threads),
        cmocka_unit_test(a_failing_load_beside_others),
        cmocka_unit_test(a_cancelled_load_keeps_its_commits),
        cmocka_unit_test(a_silent_source_is_not_an_older_failure),
        cmocka_unit_test(an_empty_load_is_one_empty_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
