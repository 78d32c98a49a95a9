/* A recording holds every call once, with its arguments and result, in the order in which things were asked and
 * answered; and the file table behind it works as if nobody looked on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "storage/file_record.h"
#include "storage/file_sim.h"

#define ok(call) assert_int_equal((call), LUM_OK)

struct fixture {
    struct lum__sim *sim;
    struct lum__recording *recording;
    struct lum__fs *fs;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    struct lum__fs *inner = NULL;
    fixture.sim = lum__sim_create(1);
    fixture.recording = lum__recording_create();
    *state = &fixture;
    if (lum__sim_open(fixture.sim, false, &inner) != LUM_OK) return -1;
    return lum__fs_record(inner, fixture.recording, &fixture.fs) == LUM_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    lum__fs_close(fixture->fs);
    lum__recording_destroy(fixture->recording);
    lum__sim_destroy(fixture->sim);
    return 0;
}

static void assert_kinds(struct lum__recording *recording, const enum lum__event_kind *kinds, size_t count)
{
    if (lum__recording_count(recording) != count) lum__recording_print(recording, stderr);
    assert_int_equal(lum__recording_count(recording), count);
    uint64_t last_begin = 0;
    for (size_t i = 0; i < count; i++) {
        struct lum__event event = lum__recording_get(recording, i);
        assert_string_equal(lum__event_kind_name(event.kind), lum__event_kind_name(kinds[i]));
        assert_true(event.begin > last_begin);
        last_begin = event.begin;
    }
}

static void a_replace_is_its_five_steps_in_order(void **state)
{
    struct fixture *fixture = *state;
    ok(lum__fs_mkdir(fixture->fs, "wal"));
    lum__recording_clear(fixture->recording);
    ok(lum__fs_replace(fixture->fs, "wal/STATE", "abc", 3));
    lum__recording_note(fixture->recording, "acknowledged", 17);
    static const enum lum__event_kind kinds[] = {LUM__EVENT_CREATE, LUM__EVENT_WRITE,  LUM__EVENT_SYNC,
                                                 LUM__EVENT_CLOSE,  LUM__EVENT_RENAME, LUM__EVENT_SYNC_DIR,
                                                 LUM__EVENT_NOTE};
    assert_kinds(fixture->recording, kinds, 7);
    for (size_t i = 0; i + 1 < 7; i++) { /* one after the other */
        assert_true(lum__recording_get(fixture->recording, i).end <
                    lum__recording_get(fixture->recording, i + 1).begin);
    }
    struct lum__event event = lum__recording_get(fixture->recording, 1);
    assert_string_equal(event.path, "wal/STATE.tmp");
    assert_int_equal(event.bytes, 3);
    assert_int_equal(event.moved, 3);
    event = lum__recording_get(fixture->recording, 4);
    assert_string_equal(event.path, "wal/STATE.tmp");
    assert_string_equal(event.other_path, "wal/STATE");
    assert_string_equal(lum__recording_get(fixture->recording, 5).path, "wal");
    event = lum__recording_get(fixture->recording, 6);
    assert_string_equal(event.path, "acknowledged");
    assert_int_equal(event.bytes, 17);
}

static void every_call_is_there_with_its_result(void **state)
{
    struct fixture *fixture = *state;
    struct lum__file *file = NULL;
    uint8_t buffer[8];
    size_t bytes;
    assert_int_equal(lum__fs_open_file(fixture->fs, "a", LUM__OPEN_READ, &file), LUM_ERR_NOT_FOUND);
    ok(lum__fs_open_file(fixture->fs, "a", LUM__OPEN_WRITE | LUM__OPEN_CREATE, &file));
    ok(lum__file_lock(file, 1, LUM__LOCK_EXCLUSIVE));
    ok(lum__file_allocate(file, 4096, 8192));
    ok(lum__file_write(file, "hello", 5, 100));
    ok(lum__file_read(file, buffer, 8, 12286, &bytes));
    ok(lum__file_punch(file, 0, 4096));
    ok(lum__file_truncate(file, 77));
    ok(lum__file_unlock(file, 1));
    struct lum__sim_fault fault = {.call = LUM__SIM_SYNC, .nth = 1, .os_errno = EIO};
    lum__sim_arm(fixture->sim, &fault);
    assert_int_equal(lum__file_sync(file), LUM_ERR_SYNC);
    assert_int_equal(lum__error_last()->os_errno, EIO); /* recording does not touch the error */
    ok(lum__file_close(file));
    ok(lum__fs_unlink(fixture->fs, "a"));
    static const enum lum__event_kind kinds[] = {LUM__EVENT_OPEN,     LUM__EVENT_CREATE,   LUM__EVENT_LOCK,
                                                 LUM__EVENT_ALLOCATE, LUM__EVENT_WRITE,    LUM__EVENT_READ,
                                                 LUM__EVENT_PUNCH,    LUM__EVENT_TRUNCATE, LUM__EVENT_UNLOCK,
                                                 LUM__EVENT_SYNC,     LUM__EVENT_CLOSE,    LUM__EVENT_UNLINK};
    assert_kinds(fixture->recording, kinds, 12);
    struct lum__recording *recording = fixture->recording;
    assert_int_equal(lum__recording_get(recording, 0).status, LUM_ERR_NOT_FOUND);
    assert_int_equal(lum__recording_get(recording, 3).offset, 4096);
    assert_int_equal(lum__recording_get(recording, 3).bytes, 8192);
    assert_int_equal(lum__recording_get(recording, 5).bytes, 8);
    assert_int_equal(lum__recording_get(recording, 5).moved, 2);
    assert_int_equal(lum__recording_get(recording, 7).bytes, 77);
    assert_int_equal(lum__recording_get(recording, 9).status, LUM_ERR_SYNC);
    assert_int_equal(lum__recording_find(recording, 0, LUM__EVENT_SYNC, "a"), 9);
    assert_int_equal(lum__recording_find(recording, 10, LUM__EVENT_SYNC, "a"), SIZE_MAX);
    assert_int_equal(lum__recording_find(recording, 0, LUM__EVENT_SYNC, "b"), SIZE_MAX);
}

static void a_request_begins_at_submit_and_ends_when_reaped(void **state)
{
    struct fixture *fixture = *state;
    struct lum__recording *recording = fixture->recording;
    struct lum__file *file = NULL, *lock_file = NULL;
    struct lum__io_queue *queue = NULL;
    struct lum__io_completion done[4];
    uint32_t count;
    ok(lum__fs_open_file(fixture->fs, "LOCK", LUM__OPEN_WRITE | LUM__OPEN_CREATE, &lock_file));
    ok(lum__fs_open_file(fixture->fs, "a", LUM__OPEN_WRITE | LUM__OPEN_CREATE, &file));
    ok(lum__io_open(fixture->fs, 4, lock_file, &queue));
    lum__recording_clear(recording);
    ok(lum__io_submit_write(queue, file, "one", 3, 0, 1001));
    ok(lum__io_submit_write(queue, file, "two", 3, 3, 1002));
    assert_int_equal(lum__recording_get(recording, 0).end, 0);
    ok(lum__file_sync(file)); /* too early: the recording shows it */
    struct lum__sim_fault fault = {.call = LUM__SIM_COMPLETION_WRITE, .nth = 2, .os_errno = ENOSPC};
    lum__sim_arm(fixture->sim, &fault);
    ok(lum__io_reap(queue, 2, done, 4, &count));
    assert_int_equal(count, 2);
    assert_int_equal(done[0].user, 1001);
    assert_int_equal(done[1].user, 1002);
    struct lum__event one = lum__recording_get(recording, 0), two = lum__recording_get(recording, 1);
    struct lum__event sync = lum__recording_get(recording, 2);
    assert_int_equal(one.kind, LUM__EVENT_QUEUE_WRITE);
    assert_true(one.end > sync.end && two.end > one.end);
    assert_int_equal(one.moved, 3);
    assert_int_equal(one.status, LUM_OK);
    assert_int_equal(two.moved, -ENOSPC);
    assert_int_equal(two.status, LUM_ERR_IO);
    assert_int_equal(two.offset, 3);
    uint8_t buffer[3];
    ok(lum__io_submit_read(queue, file, buffer, 3, 0, 1003));
    lum__io_close(queue);
    assert_true(lum__recording_get(recording, 3).end > 0);
    assert_memory_equal(buffer, "one", 3);
    ok(lum__file_close(file));
    ok(lum__file_close(lock_file));
}

struct worker {
    struct fixture *fixture;
    char path[16];
    pthread_t thread;
};

enum { WORKERS = 4, WRITES = 500 };

static void *write_and_sync(void *context)
{
    struct worker *worker = context;
    struct lum__file *file = NULL;
    if (lum__fs_open_file(worker->fixture->fs, worker->path, LUM__OPEN_WRITE | LUM__OPEN_CREATE, &file) != LUM_OK)
        return worker;
    for (uint32_t i = 0; i < WRITES; i++) {
        if (lum__file_write(file, &i, sizeof i, i * sizeof i) != LUM_OK) return worker;
    }
    return lum__file_sync(file) == LUM_OK && lum__file_close(file) == LUM_OK ? NULL : worker;
}

static void threads_share_one_order(void **state)
{
    struct fixture *fixture = *state;
    struct worker workers[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        workers[i].fixture = fixture;
        snprintf(workers[i].path, sizeof workers[i].path, "f%d", i);
        assert_int_equal(pthread_create(&workers[i].thread, NULL, write_and_sync, &workers[i]), 0);
    }
    for (int i = 0; i < WORKERS; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(workers[i].thread, &failed), 0);
        assert_null(failed);
    }
    size_t count = lum__recording_count(fixture->recording);
    assert_int_equal(count, WORKERS * (WRITES + 3));
    uint8_t *seen = calloc(2 * count + 1, 1); /* every place in the order is taken exactly once */
    uint64_t last_end[WORKERS] = {0};
    uint32_t thread[WORKERS] = {0}, writes[WORKERS] = {0};
    for (size_t i = 0; i < count; i++) {
        struct lum__event event = lum__recording_get(fixture->recording, i);
        int worker = event.path[1] - '0';
        assert_true(event.begin < event.end && event.end <= 2 * count);
        assert_int_equal(seen[event.begin]++, 0);
        assert_int_equal(seen[event.end]++, 0);
        assert_true(event.begin > last_end[worker]); /* a thread's calls follow each other */
        last_end[worker] = event.end;
        if (thread[worker] == 0) thread[worker] = event.thread;
        assert_int_equal(event.thread, thread[worker]);
        if (event.kind == LUM__EVENT_WRITE) assert_int_equal(event.offset, sizeof(uint32_t) * writes[worker]++);
    }
    free(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_replace_is_its_five_steps_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_call_is_there_with_its_result, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_request_begins_at_submit_and_ends_when_reaped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(threads_share_one_order, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("recording", tests, NULL, NULL);
}
