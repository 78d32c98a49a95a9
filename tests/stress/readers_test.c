/* Readers beside a live writer that loads, rotates its log, takes checkpoints, recycles, closes and opens again: whatever moment they come at,
 * verify finds nothing, the log has no break, and a snapshot holds every row acknowledged before it was opened, as an unbroken prefix. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#include "lum/lum.h"
#include "support/directory.h"
#include "support/rows.h"

enum { RUN_MS = 2500 };

struct shared {
    char directory[256];
    enum lum_sync_mode sync_mode;
    _Atomic uint64_t rows_acknowledged;
    _Atomic uint64_t rows_submitted;
    _Atomic bool stop;
    _Atomic uint64_t snapshots, verifications, log_readings;
    pthread_mutex_t mutex; /* failure */
    char failure[1024];
};

static void fail_test(struct shared *shared, const char *what)
{
    const lum_error_data *error = lum_last_error();
    pthread_mutex_lock(&shared->mutex);
    if (shared->failure[0] == 0) {
        snprintf(shared->failure, sizeof shared->failure, "%s; last error: %s %s:%llu: %s", what, lum_status_name(error->status),
                 error->file, (unsigned long long)error->offset, error->message);
    }
    pthread_mutex_unlock(&shared->mutex);
    atomic_store(&shared->stop, true);
}

static void on_commit(void *context, const lum_load_event *event)
{
    (void)event;
    struct shared *shared = context;
    atomic_fetch_add(&shared->rows_acknowledged, 100);
}

/* Loads of 30 commits with 100 rows; every other one is followed by a checkpoint; every eighth closes the store and opens it again. */
static void *write_all_the_time(void *context)
{
    struct shared *shared = context;
    lum_options options = LUM_OPTIONS_INIT;
    lum_store *store = NULL;
    options.create = true;
    options.threads = 2;
    options.chunk_lums = 4096;
    options.wal_segment_bytes = 65536;
    options.sync_mode = shared->sync_mode;
    for (uint64_t round = 0; !atomic_load(&shared->stop); round++) {
        struct lum_test_source source_context;
        lum_source source;
        lum_load_options load_options = LUM_LOAD_OPTIONS_INIT;
        lum_load_report report = LUM_LOAD_REPORT_INIT;
        load_options.commit_every = 100;
        load_options.on_commit = on_commit;
        load_options.callback_context = shared;
        if (store == NULL && lum_open(shared->directory, &options, &store) != LUM_OK) return fail_test(shared, "the writer cannot open"), NULL;
        lum_test_source_init(&source_context, atomic_load(&shared->rows_submitted), 3000, &source);
        atomic_fetch_add(&shared->rows_submitted, 3000);
        if (lum_load(store, &source, &load_options, &report) != LUM_OK) fail_test(shared, "a load failed");
        if (round % 2 == 1 && lum_checkpoint(store) != LUM_OK) fail_test(shared, "a checkpoint failed");
        if (round % 8 == 7) {
            if (lum_close(store) != LUM_OK) fail_test(shared, "closing failed");
            store = NULL;
        }
    }
    if (lum_close(store) != LUM_OK) fail_test(shared, "closing failed");
    return NULL;
}

static void *take_snapshots(void *context)
{
    struct shared *shared = context;
    lum_options options = LUM_OPTIONS_INIT;
    options.read_only = true;
    options.threads = 1;
    while (!atomic_load(&shared->stop)) {
        uint64_t at_least = atomic_load(&shared->rows_acknowledged), rows = 0;
        lum_store *store = NULL;
        if (lum_open(shared->directory, &options, &store) != LUM_OK) return fail_test(shared, "a reader cannot open"), NULL;
        if (lum_test_read_prefix(store, &rows) != LUM_OK) fail_test(shared, "a row is wrong or cannot be read");
        if (rows < at_least || rows % 100 != 0) fail_test(shared, "a snapshot lacks acknowledged rows, or holds half a transaction");
        if (lum_close(store) != LUM_OK) fail_test(shared, "a reader cannot close");
        atomic_fetch_add(&shared->snapshots, 1);
    }
    return NULL;
}

static void on_finding(void *context, const lum_finding *finding)
{
    char text[512];
    snprintf(text, sizeof text, "verify: %s:%llu: %s", finding->file, (unsigned long long)finding->offset, finding->what);
    fail_test(context, text);
}

static void *verify_all_the_time(void *context)
{
    struct shared *shared = context;
    while (!atomic_load(&shared->stop)) {
        lum_verify_report report = LUM_VERIFY_REPORT_INIT;
        if (lum_verify(shared->directory, 1, on_finding, shared, &report) != LUM_OK) fail_test(shared, "verify is not clean");
        atomic_fetch_add(&shared->verifications, 1);
    }
    return NULL;
}

static void *read_the_log(void *context)
{
    struct shared *shared = context;
    while (!atomic_load(&shared->stop)) {
        lum_wal *wal = NULL;
        lum_wal_record record;
        uint64_t sequence = 0;
        if (lum_wal_open(shared->directory, &wal) != LUM_OK) return fail_test(shared, "the log cannot be opened"), NULL;
        lum_status status;
        while ((status = lum_wal_next(wal, &record)) == LUM_OK) {
            if (sequence != 0 && record.sequence != sequence + 1) fail_test(shared, "the log has a gap");
            sequence = record.sequence;
        }
        if (status != LUM_END) fail_test(shared, "the log breaks off");
        lum_wal_close(wal);
        atomic_fetch_add(&shared->log_readings, 1);
    }
    return NULL;
}

static void run(enum lum_sync_mode sync_mode)
{
    static void *(*const bodies[])(void *) = {write_all_the_time, take_snapshots, verify_all_the_time, read_the_log};
    struct shared shared = {.sync_mode = sync_mode, .mutex = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[4];
    lum_options options = LUM_OPTIONS_INIT;
    lum_store *store = NULL;
    lum_test_directory_make(shared.directory, sizeof shared.directory);
    options.create = true;
    options.wal_segment_bytes = 65536;
    assert_int_equal(lum_open(shared.directory, &options, &store), LUM_OK);
    assert_int_equal(lum_close(store), LUM_OK);
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, bodies[i], &shared), 0);
    for (int waited = 0; waited < RUN_MS && !atomic_load(&shared.stop); waited += 10) {
        struct timespec pause = {.tv_nsec = 10000000};
        nanosleep(&pause, NULL);
    }
    atomic_store(&shared.stop, true);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    printf("%llu rows; %llu snapshots, %llu verifications, %llu readings of the log\n", (unsigned long long)shared.rows_submitted,
           (unsigned long long)shared.snapshots, (unsigned long long)shared.verifications, (unsigned long long)shared.log_readings);
    if (shared.failure[0] != 0) fail_msg("%s", shared.failure);
    lum_test_directory_remove(shared.directory);
}

static void beside_a_writer_that_syncs(void **state)
{
    (void)state;
    run(LUM_SYNC_COMMIT);
}

static void beside_a_writer_that_does_not(void **state)
{
    (void)state;
    run(LUM_SYNC_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beside_a_writer_that_syncs),
        cmocka_unit_test(beside_a_writer_that_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
