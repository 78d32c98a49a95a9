/* before_commit of lum_load: called once for each transaction, in commit order, never two at a time, with the rows of the source up to its end,
 * and before any of its rows is visible; commits and on_commit follow in the same order, whatever the workers do meanwhile. A call that fails
 * leaves exactly the transactions before it. The source refuses rows, so that transactions are smaller than their input, or empty.
 * ThreadSanitizer runs this too. */
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

enum { NEVER = 1 << 30 };

struct job {
    lum_store *store;
    struct lum_test_source rows;
    uint64_t (*refused_before)(uint64_t row); /* how many of the rows before `row` are refused */
    uint64_t row_count, commit_every;
    int fail_at; /* call of before_commit, from 1 */
    int slow_us;
    /* what was seen */
    _Atomic uint64_t rows_read, rows_refused;
    _Atomic int calls_running;
    _Atomic int call_count;
    uint64_t rows_end, rows_committed, rows_loaded, commit_count;
    _Atomic int wrong; /* line of the first thing that was not as it should be */
};

#define EXPECT(job, condition)                                                                                                                     \
    do {                                                                                                                                           \
        int none_ = 0;                                                                                                                             \
        if (!(condition)) atomic_compare_exchange_strong(&(job)->wrong, &none_, __LINE__);                                                         \
    } while (0)

static uint64_t refuse_none(uint64_t row)
{
    (void)row;
    return 0;
}
static uint64_t refuse_every_seventh(uint64_t row) { return row / 7; }
/* Rows 2,000 to 3,999 of every 10,000: whole transactions of 1,000 rows. */
static uint64_t refuse_blocks(uint64_t row)
{
    uint64_t in = row % 10000;
    return row / 10000 * 2000 + (in < 2000 ? 0 : in < 4000 ? in - 2000 : 2000);
}
static bool is_refused(const struct job *job, uint64_t row) { return job->refused_before(row + 1) != job->refused_before(row); }

/* ------------------------------------------------------------------------------------------------------ the source */

static lum_status open_piece(void *context, uint32_t worker, uint64_t rows_max, lum_piece *out)
{
    struct job *job = context;
    struct lum_test_source *rows = &job->rows;
    if (rows->next == rows->count) return LUM_END;
    uint64_t count = rows->count - rows->next < rows_max ? rows->count - rows->next : rows_max;
    *out = (lum_piece){.first_row = rows->next, .row_count = count};
    rows->pieces[worker].at = rows->next;
    rows->pieces[worker].end = rows->next += count;
    return LUM_OK;
}

static lum_status fill(void *context, uint32_t worker, lum_t *rows, size_t rows_max, size_t *row_count)
{
    struct job *job = context;
    uint64_t *at = &job->rows.pieces[worker].at;
    *row_count = 0;
    while (*row_count < rows_max && *at < job->rows.pieces[worker].end) {
        uint64_t row = (*at)++;
        atomic_fetch_add(&job->rows_read, 1);
        if (is_refused(job, row)) atomic_fetch_add(&job->rows_refused, 1);
        else lum_test_row(row, &rows[(*row_count)++]);
    }
    return LUM_OK;
}

static void account(void *context, uint64_t *rows_read, uint64_t *rows_rejected, uint64_t *bytes_read)
{
    struct job *job = context;
    *rows_read = atomic_load(&job->rows_read);
    *rows_rejected = atomic_load(&job->rows_refused);
    *bytes_read = 0;
}

/* --------------------------------------------------------------------------------------------------- the callbacks */

static uint64_t visible_rows(lum_store *store)
{
    lum_info_data info = LUM_INFO_INIT;
    return lum_info(store, &info) == LUM_OK ? info.lum_count : UINT64_MAX;
}

static lum_status before_commit(void *context, uint64_t rows_end, lum_commit_note *note)
{
    struct job *job = context;
    EXPECT(job, atomic_fetch_add(&job->calls_running, 1) == 0);
    int call = atomic_fetch_add(&job->call_count, 1) + 1;
    EXPECT(job, note->resume == NULL && note->resume_bytes == 0);
    uint64_t transaction_end = (uint64_t)call * job->commit_every;
    EXPECT(job, rows_end == (transaction_end < job->row_count ? transaction_end : job->row_count));
    EXPECT(job, visible_rows(job->store) <= job->rows_end - job->refused_before(job->rows_end)); /* none of this transaction */
    job->rows_end = rows_end; /* no lock: the calls come one at a time, which ThreadSanitizer checks here */
    if (job->slow_us > 0) usleep((useconds_t)(call % 3 * job->slow_us));
    EXPECT(job, atomic_fetch_sub(&job->calls_running, 1) == 1);
    return call == job->fail_at ? LUM_ERR_NO_SPACE : LUM_OK;
}

static void on_commit(void *context, const lum_load_event *event)
{
    struct job *job = context;
    EXPECT(job, event->rows_committed == job->commit_every * (job->commit_count + 1) || event->rows_committed == job->row_count);
    EXPECT(job, event->rows_loaded == event->rows_committed - job->refused_before(event->rows_committed));
    EXPECT(job, (uint64_t)atomic_load(&job->call_count) > job->commit_count);
    job->rows_committed = event->rows_committed;
    job->rows_loaded = event->rows_loaded;
    job->commit_count++;
}

/* --------------------------------------------------------------------------------------------------------- running */

static lum_store *open_store(const char *directory, uint32_t threads)
{
    lum_options options = LUM_OPTIONS_INIT;
    options.create = true;
    options.threads = threads;
    options.chunk_lums = 4096;
    lum_store *store = NULL;
    assert_int_equal(lum_open(directory, &options, &store), LUM_OK);
    return store;
}

static lum_status run(struct job *job, lum_load_report *report)
{
    lum_load_options options = LUM_LOAD_OPTIONS_INIT;
    lum_source source = LUM_SOURCE_INIT;
    job->rows = (struct lum_test_source){.count = job->row_count};
    source.context = job;
    source.name = "refusing rows";
    source.has_checksums = true;
    source.open_piece = open_piece;
    source.fill = fill;
    source.account = account;
    options.commit_every = job->commit_every;
    options.before_commit = before_commit;
    options.on_commit = on_commit;
    options.callback_context = job;
    *report = (lum_load_report)LUM_LOAD_REPORT_INIT;
    return lum_load(job->store, &source, &options, report);
}

/* The store holds the rows before `rows_end` that are not refused, in order. */
static void check_prefix(struct job *job, lum_store *store, uint64_t rows_end)
{
    lum_scan *scan = NULL;
    const lum_t *rows = NULL;
    size_t count = 0;
    uint64_t row = 0;
    lum_status status;
    assert_int_equal(lum_scan_open(store, NULL, &scan), LUM_OK);
    while ((status = lum_scan_next_rows(scan, &rows, &count)) == LUM_OK) {
        for (size_t i = 0; i < count; i++, row++) {
            while (is_refused(job, row)) row++;
            assert_int_equal(rows[i].id, row);
        }
    }
    assert_int_equal(status, LUM_END);
    assert_int_equal(visible_rows(store), rows_end - job->refused_before(rows_end));
    lum_scan_close(scan);
}

static void load_all(uint32_t threads, uint64_t row_count, uint64_t commit_every, uint64_t (*refused_before)(uint64_t row), int slow_us)
{
    char directory[256];
    lum_test_directory_make(directory, sizeof directory);
    lum_load_report report;
    struct job job = {.store = open_store(directory, threads), .refused_before = refused_before, .row_count = row_count,
                      .commit_every = commit_every, .fail_at = NEVER, .slow_us = slow_us};
    assert_int_equal(run(&job, &report), LUM_OK);
    assert_int_equal(job.wrong, 0);
    assert_int_equal(job.rows_end, row_count);
    assert_int_equal(job.rows_committed, row_count);
    assert_int_equal(job.rows_loaded, report.rows_loaded);
    assert_int_equal(job.commit_count, (row_count + commit_every - 1) / commit_every);
    assert_int_equal(job.call_count, job.commit_count);
    assert_int_equal(report.rows_read, row_count);
    assert_int_equal(report.rows_rejected, refused_before(row_count));
    assert_int_equal(report.rows_loaded, row_count - refused_before(row_count));
    check_prefix(&job, job.store, row_count);
    assert_int_equal(lum_close(job.store), LUM_OK);
    lum_test_directory_remove(directory);
}

static void calls_come_in_commit_order(void **state)
{
    (void)state;
    load_all(1, 40000, 1000, refuse_none, 0);
    load_all(2, 200000, 1000, refuse_every_seventh, 0); /* more transactions than the window of 64 holds */
    load_all(8, 200000, 700, refuse_every_seventh, 300);
    load_all(8, 3000, 1, refuse_none, 0); /* as many calls as rows */
    load_all(8, 300000, 250000, refuse_every_seventh, 1000); /* several pieces and chunks each */
}

static void transactions_may_be_empty(void **state)
{
    (void)state;
    load_all(1, 40000, 1000, refuse_blocks, 0);
    load_all(8, 200000, 1000, refuse_blocks, 200);
}

static void a_failing_call_leaves_exactly_the_prefix(void **state)
{
    (void)state;
    static const uint32_t threads[] = {1, 2, 8};
    for (size_t t = 0; t < 3; t++) {
        for (int fail_at = 1; fail_at <= 30; fail_at += fail_at < 4 ? 1 : 13) {
            char directory[256];
            lum_test_directory_make(directory, sizeof directory);
            lum_load_report report;
            struct job job = {.store = open_store(directory, threads[t]), .refused_before = refuse_every_seventh, .row_count = 30000,
                              .commit_every = 1000, .fail_at = fail_at, .slow_us = 50};
            uint64_t rows_end = (uint64_t)(fail_at - 1) * 1000;
            assert_int_equal(run(&job, &report), LUM_ERR_NO_SPACE);
            assert_string_equal(lum_last_error()->message, "the commit was stopped: before_commit answered ERR_NO_SPACE");
            assert_int_equal(job.wrong, 0);
            assert_int_equal(job.call_count, fail_at); /* and none after it */
            assert_int_equal(job.rows_committed, rows_end);
            assert_int_equal(report.rows_loaded, rows_end - refuse_every_seventh(rows_end));
            assert_int_equal(report.rows_read, report.rows_loaded + report.rows_rejected + report.rows_rolled_back);
            check_prefix(&job, job.store, rows_end);
            assert_int_equal(lum_close(job.store), LUM_OK);
            lum_store *store = open_store(directory, 1);
            check_prefix(&job, store, rows_end);
            assert_int_equal(lum_close(store), LUM_OK);
            lum_test_directory_remove(directory);
        }
    }
}

/* A load that fails elsewhere while a call is under way: the call's transaction is rolled back though it answered LUM_OK. */
static lum_status poison_the_source(void *context, uint64_t rows_end, lum_commit_note *note)
{
    struct job *job = context;
    lum_status status = before_commit(context, rows_end, note);
    while (atomic_load(&job->rows_read) < job->row_count) usleep(50); /* the other worker reads on, to the row that ends the load */
    usleep(20000); /* until the other worker has written what it built before that row, and told the load of its failure */
    return status;
}

static lum_status fill_until_last(void *context, uint32_t worker, lum_t *rows, size_t rows_max, size_t *row_count)
{
    struct job *job = context;
    lum_status status = fill(context, worker, rows, rows_max, row_count);
    if (job->rows.pieces[worker].end == job->row_count) {
        for (int wait = 0; wait < 100 && atomic_load(&job->call_count) == 0; wait++) usleep(100);
        atomic_store(&job->rows_read, job->row_count);
        return lum_source_fail("refusing rows", 0, UINT64_MAX, "the last piece must fail");
    }
    return status;
}

/* One round; true if the failure came during a call (which worker is how far is up to the system; one that did all of it commits what is complete
 * before the bad row). */
static bool fail_during_a_call(void)
{
    char directory[256];
    lum_test_directory_make(directory, sizeof directory);
    struct job job = {.store = open_store(directory, 2), .refused_before = refuse_none, .row_count = 5000, .commit_every = 1000,
                      .fail_at = NEVER};
    lum_load_options options = LUM_LOAD_OPTIONS_INIT;
    lum_source source = LUM_SOURCE_INIT;
    lum_load_report report = LUM_LOAD_REPORT_INIT;
    job.rows = (struct lum_test_source){.count = job.row_count};
    source.context = &job;
    source.name = "refusing rows";
    source.open_piece = open_piece;
    source.fill = fill_until_last;
    options.commit_every = job.commit_every;
    options.before_commit = poison_the_source;
    options.on_commit = on_commit;
    options.callback_context = &job;
    assert_int_equal(lum_load(job.store, &source, &options, &report), LUM_ERR_INPUT);
    assert_int_equal(job.wrong, 0);
    uint64_t call_count = (uint64_t)job.call_count;
    assert_in_range(call_count, 0, 4);
    assert_true(job.commit_count == call_count || job.commit_count + 1 == call_count);
    assert_int_equal(report.rows_loaded, job.commit_count * 1000);
    check_prefix(&job, job.store, job.commit_count * 1000);
    assert_int_equal(lum_close(job.store), LUM_OK);
    lum_test_directory_remove(directory);
    return call_count > job.commit_count;
}

static void a_failure_during_a_call_rolls_back(void **state)
{
    (void)state;
    int during = 0;
    for (int round = 0; round < 200 && during < 3; round++) during += fail_during_a_call();
    assert_int_equal(during, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_come_in_commit_order),
        cmocka_unit_test(transactions_may_be_empty),
        cmocka_unit_test(a_failing_call_leaves_exactly_the_prefix),
        cmocka_unit_test(a_failure_during_a_call_rolls_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
