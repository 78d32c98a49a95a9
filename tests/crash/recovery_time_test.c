/* The limit of lum_options.max_recovery_ms: a writer whose commits amount to more than a recovery may take checks in by
 * itself with a checkpoint, and what a kill leaves to be verified stays below it; without the limit all of it would
 * have been left. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#include "lum/lum.h"
#include "support/directory.h"
#include "support/rows.h"

enum { COMMITS = 12, ROWS = 20000, RATE = 200000000 }; /* bytes a second: assumed where no recovery was measured */

/* In the child: commits of ROWS rows in chunks, each followed by a sync, behind which a checkpoint that was due is
 * over. Then it dies. */
static void commit_and_die(const char *directory, uint32_t max_recovery_ms, int pipe_end)
{
    lum_options options = LUM_OPTIONS_INIT;
    lum_info_data info = LUM_INFO_INIT;
    lum_store *store = NULL;
    options.create = true;
    options.threads = 1;
    options.max_recovery_ms = max_recovery_ms;
    if (lum_open(directory, &options, &store) != LUM_OK) _exit(1);
    for (uint64_t i = 0; i < COMMITS; i++) {
        struct lum_test_source context;
        lum_source source;
        lum_load_report report = LUM_LOAD_REPORT_INIT;
        lum_test_source_init(&context, i * ROWS, ROWS, &source);
        if (lum_load(store, &source, NULL, &report) != LUM_OK || lum_sync(store, NULL) != LUM_OK) _exit(1);
    }
    if (lum_info(store, &info) != LUM_OK || write(pipe_end, &info, sizeof info) != (ssize_t)sizeof info) _exit(1);
    (void)kill(getpid(), SIGKILL);
}

/* How many checkpoints were there when it was killed, and how many of the chunks had to be verified. */
static void kill_and_recover(uint32_t max_recovery_ms, lum_info_data *before, lum_recovery_data *recovery)
{
    char directory[256];
    int ends[2];
    lum_options options = LUM_OPTIONS_INIT;
    lum_store *store = NULL;
    uint64_t rows = 0;
    lum_test_directory_make(directory, sizeof directory);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) commit_and_die(directory, max_recovery_ms, ends[1]);
    close(ends[1]);
    assert_int_equal(read(ends[0], before, sizeof *before), sizeof *before);
    close(ends[0]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    options.threads = 1;
    assert_int_equal(lum_open(directory, &options, &store), LUM_OK);
    *recovery = (lum_recovery_data)LUM_RECOVERY_INIT;
    assert_int_equal(lum_recovery_info(store, recovery), LUM_OK);
    assert_true(recovery->crash_detected);
    assert_int_equal(lum_test_read_prefix(store, &rows), LUM_OK);
    assert_int_equal(rows, COMMITS * ROWS);
    assert_int_equal(lum_close(store), LUM_OK);
    lum_test_directory_remove(directory);
}

static void a_checkpoint_comes_before_recovery_takes_too_long(void **state)
{
    lum_info_data without, with;
    lum_recovery_data all, rest;
    (void)state;
    kill_and_recover(0, &without, &all);            /* the default: 10 s are 2 GB */
    assert_int_equal(without.checkpoint_number, 1); /* the empty store's */
    assert_int_equal(all.chunks_verified, COMMITS);
    uint64_t chunk_bytes = without.data_bytes / COMMITS;
    uint32_t limit_ms = (uint32_t)(5 * chunk_bytes / 2 * 1000 / RATE); /* two and a half commits */
    assert_true(limit_ms > 0);
    kill_and_recover(limit_ms, &with, &rest);
    assert_true(with.checkpoint_number > COMMITS / 4); /* one every three commits */
    assert_true(rest.chunks_verified < COMMITS);
    assert_true(rest.chunks_verified * chunk_bytes * 1000 / RATE <= limit_ms);
    assert_true(rest.wal_records_replayed < all.wal_records_replayed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_checkpoint_comes_before_recovery_takes_too_long)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
