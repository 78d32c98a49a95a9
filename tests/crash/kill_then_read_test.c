/* What recovery reports adds up to what is there: nothing was checkpointed, so every chunk and row was verified, and every transaction replayed.
 *
 * A reader that comes right after a writer was killed sees a crash, not a running store, although the kernel may still be busy with the
 * writer's last requests, which hold the lock; and it sees every row that was acknowledged. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#include "lum/lum.h"
#include "support/directory.h"
#include "support/rows.h"

enum { ROUNDS = 4, COMMIT_EVERY = 5000 };

static void tell(void *context, const lum_load_event *event)
{
    int pipe_end = *(int *)context;
    if (write(pipe_end, &event->rows_committed, sizeof event->rows_committed) != (ssize_t)sizeof event->rows_committed) _exit(1);
}

/* In the child: loads until it is killed. */
static void load_for_ever(const char *directory, int pipe_end)
{
    struct lum_test_source context;
    lum_source source;
    lum_options options = LUM_OPTIONS_INIT;
    lum_load_options load_options = LUM_LOAD_OPTIONS_INIT;
    lum_load_report report = LUM_LOAD_REPORT_INIT;
    lum_store *store = NULL;
    options.create = true;
    options.threads = 2;
    options.sync_mode = LUM_SYNC_NONE;
    load_options.commit_every = COMMIT_EVERY;
    load_options.on_commit = tell;
    load_options.callback_context = &pipe_end;
    lum_test_source_init(&context, 0, (uint64_t)1 << 40, &source);
    if (lum_open(directory, &options, &store) == LUM_OK) (void)!lum_load(store, &source, &load_options, &report);
    _exit(1);
}

/* The report of the recovery against the store of `rows` rows that it leaves. */
static void recover_and_add_up(const char *directory, uint64_t rows)
{
    lum_options options = LUM_OPTIONS_INIT;
    lum_recovery_data recovery = LUM_RECOVERY_INIT;
    lum_info_data info = LUM_INFO_INIT;
    lum_store *store = NULL;
    options.threads = 2;
    assert_int_equal(lum_recover(directory, &options, false, &recovery), LUM_OK);
    assert_true(recovery.crash_detected);
    assert_int_equal(recovery.lums_verified, rows);
    assert_int_equal(recovery.transactions_committed, rows / COMMIT_EVERY);
    assert_true(recovery.wal_records_replayed >= recovery.transactions_committed + recovery.chunks_verified);
    options.read_only = true;
    assert_int_equal(lum_open(directory, &options, &store), LUM_OK);
    assert_int_equal(lum_info(store, &info), LUM_OK);
    assert_false(info.needs_recovery);
    assert_int_equal(info.lum_count, recovery.lums_verified);
    assert_int_equal(info.chunk_count, recovery.chunks_verified);
    assert_int_equal(lum_close(store), LUM_OK);
}

static void kill_and_read(void)
{
    char directory[256];
    int ends[2];
    uint64_t acknowledged = 0, next = 0, rows = 0;
    lum_test_directory_make(directory, sizeof directory);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) load_for_ever(directory, ends[1]);
    close(ends[1]);
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        assert_int_equal(read(ends[0], &acknowledged, sizeof acknowledged), sizeof acknowledged);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 < 150);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    while (read(ends[0], &next, sizeof next) == (ssize_t)sizeof next) acknowledged = next;
    close(ends[0]);

    lum_options options = LUM_OPTIONS_INIT;
    lum_info_data info = LUM_INFO_INIT;
    lum_store *store = NULL;
    options.read_only = true;
    options.threads = 2;
    assert_int_equal(lum_open(directory, &options, &store), LUM_OK);
    assert_int_equal(lum_info(store, &info), LUM_OK);
    assert_true(info.needs_recovery);
    assert_int_equal(info.state, LUM_STATE_CRASH_DETECTED);
    assert_int_equal(lum_test_read_prefix(store, &rows), LUM_OK);
    assert_true(rows >= acknowledged && rows % COMMIT_EVERY == 0);
    assert_int_equal(lum_close(store), LUM_OK);
    recover_and_add_up(directory, rows);
    lum_test_directory_remove(directory);
}

static void a_reader_right_after_a_kill(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) kill_and_read();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_right_after_a_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
