/* Transactions in a real directory: many threads that commit, roll back, checkpoint and scan at once (for ThreadSanitizer); and what a backup beside the
 * writer, and a salvage after a kill, hold of small transactions that were not folded. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#include "lum/lum.h"
#include "support/directory.h"
#include "support/rows.h"

enum { WRITERS = 4, TRANSACTIONS = 150, STRIDE = 10000 };

static char directory[256];

static lum_store *open_store(bool read_only)
{
    lum_options options = LUM_OPTIONS_INIT;
    lum_store *store = NULL;
    options.create = !read_only;
    options.read_only = read_only;
    options.threads = 2;
    options.chunk_lums = 4096;
    options.memory_bytes_max = 64u << 20;
    options.wal_segment_bytes = 256 * 1024;
    options.checkpoint_wal_bytes = 512 * 1024;
    lum_status status = lum_open(directory, &options, &store);
    if (status != LUM_OK) print_error("%s\n", lum_last_error()->message);
    assert_int_equal(status, LUM_OK);
    return store;
}

static lum_status put(lum_store *store, uint64_t first, uint64_t count, bool commits, lum_receipt *receipt)
{
    lum_txn *txn = NULL;
    lum_t row;
    lum_status status = lum_txn_begin(store, NULL, &txn);
    for (uint64_t i = 0; i < count && status == LUM_OK; i++) {
        lum_test_row(first + i, &row);
        status = lum_txn_append(txn, &row, 1);
    }
    if (status != LUM_OK) return status;
    return commits ? lum_txn_commit(txn, receipt) : lum_txn_rollback(txn);
}

/* ------------------------------------------------------------------------------------------------- all at once */

static _Atomic uint64_t rows_committed;
static _Atomic bool is_over;

struct writer {
    lum_store *store;
    uint64_t number;
    bool failed;
};

static void *write_rows(void *context)
{
    struct writer *writer = context;
    for (uint64_t i = 0; i < TRANSACTIONS && !writer->failed; i++) {
        uint64_t first = (writer->number * TRANSACTIONS + i) * STRIDE;
        uint64_t count = i % 50 == 7 ? 6000 : 1 + i % 3; /* some are chunks */
        lum_receipt receipt = LUM_RECEIPT_INIT;
        bool commits = i % 5 != 3;
        writer->failed = put(writer->store, first, count, commits, &receipt) != LUM_OK;
        if (commits) writer->failed |= !receipt.durable || receipt.lum_count != count;
        if (commits) atomic_fetch_add(&rows_committed, count);
    }
    return NULL;
}

static void *take_checkpoints(void *context)
{
    struct writer *writer = context;
    while (!atomic_load(&is_over) && !writer->failed) writer->failed = lum_checkpoint(writer->store) != LUM_OK;
    return NULL;
}

static void *scan_rows(void *context)
{
    struct writer *writer = context;
    uint64_t before = 0;
    while (!atomic_load(&is_over) && !writer->failed) {
        lum_scan *scan = NULL;
        const lum_t *rows = NULL;
        size_t count = 0;
        uint64_t seen = 0;
        lum_status status = lum_scan_open(writer->store, NULL, &scan);
        while (status == LUM_OK && (status = lum_scan_next_rows(scan, &rows, &count)) == LUM_OK) {
            for (size_t i = 0; i < count; i++) {
                lum_t expected;
                lum_test_row(rows[i].id, &expected);
                writer->failed |= memcmp(&expected, &rows[i], sizeof expected) != 0;
            }
            seen += count;
        }
        lum_scan_close(scan);
        writer->failed |= status != LUM_END || seen < before;
        before = seen;
    }
    return NULL;
}

static void writers_readers_and_checkpoints_at_once(void **state)
{
    (void)state;
    lum_store *store = open_store(false);
    pthread_t threads[WRITERS + 2];
    struct writer writers[WRITERS + 2];
    for (uint64_t i = 0; i < WRITERS + 2; i++) {
        writers[i] = (struct writer){.store = store, .number = i};
        void *(*work)(void *) = i < WRITERS ? write_rows : i == WRITERS ? take_checkpoints : scan_rows;
        assert_int_equal(pthread_create(&threads[i], NULL, work, &writers[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++) pthread_join(threads[i], NULL);
    atomic_store(&is_over, true);
    for (int i = WRITERS; i < WRITERS + 2; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < WRITERS + 2; i++) assert_false(writers[i].failed);
    lum_info_data info = LUM_INFO_INIT;
    assert_int_equal(lum_info(store, &info), LUM_OK);
    assert_int_equal(info.lum_count, atomic_load(&rows_committed));
    assert_int_equal(info.transaction_count, WRITERS * TRANSACTIONS * 4 / 5);
    assert_int_equal(lum_close(store), LUM_OK);
    lum_verify_report report = LUM_VERIFY_REPORT_INIT;
    assert_int_equal(lum_verify(directory, 1, NULL, NULL, &report), LUM_OK);
    assert_int_equal(report.lums_checked, info.lum_count);
}

/* ----------------------------------------------------------------------------------------- beside and after a writer */

static void expect_prefix(const char *path, uint64_t rows)
{
    lum_options options = LUM_OPTIONS_INIT;
    lum_store *store = NULL;
    uint64_t found = 0;
    for (int writes = 0; writes < 2; writes++) {
        options.read_only = writes == 0;
        assert_int_equal(lum_open(path, &options, &store), LUM_OK);
        assert_int_equal(lum_test_read_prefix(store, &found), LUM_OK);
        assert_int_equal(found, rows);
        assert_int_equal(lum_close(store), LUM_OK);
    }
    lum_verify_report report = LUM_VERIFY_REPORT_INIT;
    assert_int_equal(lum_verify(path, 1, NULL, NULL, &report), LUM_OK);
}

static void a_backup_beside_the_writer_has_rows_that_are_not_folded(void **state)
{
    (void)state;
    char copy[300];
    lum_receipt receipt = LUM_RECEIPT_INIT;
    lum_backup_report report = LUM_BACKUP_REPORT_INIT;
    snprintf(copy, sizeof copy, "%s.copy", directory);
    lum_store *store = open_store(false);
    assert_int_equal(put(store, 0, 5000, true, &receipt), LUM_OK);
    assert_int_equal(put(store, 5000, 10, true, &receipt), LUM_OK);
    assert_int_equal(lum_checkpoint(store), LUM_OK);
    assert_int_equal(put(store, 5010, 10, true, &receipt), LUM_OK);
    assert_int_equal(put(store, 5020, 10, true, &receipt), LUM_OK);
    lum_status status = lum_backup(directory, copy, NULL, &report);
    if (status != LUM_OK) print_error("%s\n", lum_last_error()->message);
    assert_int_equal(status, LUM_OK);
    assert_int_equal(put(store, 5030, 10, true, &receipt), LUM_OK);
    assert_int_equal(lum_close(store), LUM_OK);
    expect_prefix(copy, 5030);
    expect_prefix(directory, 5040);
    lum_test_directory_remove(copy);
}

/* The child's part: 30 commits of 3 rows, a checkpoint in between, and no farewell. */
static int commit_and_die(void)
{
    lum_receipt receipt = LUM_RECEIPT_INIT;
    lum_store *store = open_store(false);
    bool is_well = true;
    for (uint64_t i = 0; i < 30; i++) {
        is_well = is_well && put(store, i * 3, 3, true, &receipt) == LUM_OK;
        if (i == 10) is_well = is_well && lum_checkpoint(store) == LUM_OK;
    }
    if (is_well) kill(getpid(), SIGKILL);
    return 1;
}

static void readers_and_salvage_after_a_kill_have_every_acknowledged_row(void **state)
{
    (void)state;
    char saved[300];
    snprintf(saved, sizeof saved, "%s.saved", directory);
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "transactions_test", "--commit-and-die", directory, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    lum_store *store = open_store(true);
    uint64_t found = 0;
    lum_info_data info = LUM_INFO_INIT;
    assert_int_equal(lum_test_read_prefix(store, &found), LUM_OK);
    assert_int_equal(found, 90);
    assert_int_equal(lum_info(store, &info), LUM_OK);
    assert_true(info.needs_recovery);
    assert_int_equal(lum_close(store), LUM_OK);
    lum_salvage_report report = LUM_SALVAGE_REPORT_INIT;
    assert_int_equal(lum_salvage(directory, saved, NULL, &report), LUM_OK);
    expect_prefix(saved, 90);
    store = open_store(false);
    assert_int_equal(lum_close(store), LUM_OK);
    expect_prefix(directory, 90);
    lum_test_directory_remove(saved);
}

static int make(void **state)
{
    (void)state;
    lum_test_directory_make(directory, sizeof directory);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    lum_test_directory_remove(directory);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--commit-and-die") == 0) {
        snprintf(directory, sizeof directory, "%s", argv[2]);
        return commit_and_die();
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(writers_readers_and_checkpoints_at_once, make, clean),
        cmocka_unit_test_setup_teardown(a_backup_beside_the_writer_has_rows_that_are_not_folded, make, clean),
        cmocka_unit_test_setup_teardown(readers_and_salvage_after_a_kill_have_every_acknowledged_row, make, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
