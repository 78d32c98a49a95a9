/* The file table keeps its header's word on a real directory (with every fallback), on /dev/shm and on the disk in
 * memory: what is written is read, names obey the grammar, nothing foreign opens, locks exclude, queues answer every
 * request once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/status.h"
#include "storage/file.h"
#include "storage/file_os.h"
#include "storage/file_record.h"
#include "storage/file_sim.h"

#define ok(call) assert_int_equal((call), LUM_OK)

enum { BLOCK = LUM__IO_ALIGNMENT };

/* --- the places the same cases run in --- */

struct place {
    const char *name;
    const char *parent; /* where the directory is made; NULL: the disk in memory */
    bool no_direct, no_uring, recorded;
    struct lum__recording *recording;
    struct lum__sim *sim;
    struct lum__fs *fs;
    char directory[128];
};

static int place_open(void **state)
{
    struct place *place = *state;
    if (place->parent == NULL) {
        place->sim = lum__sim_create(1);
        lum__sim_set_direct(place->sim, !place->no_direct);
        if (lum__sim_open(place->sim, false, &place->fs) != LUM_OK) return -1;
        if (!place->recorded) return 0;
        place->recording = lum__recording_create();
        return lum__fs_record(place->fs, place->recording, &place->fs) == LUM_OK ? 0 : -1;
    }
    snprintf(place->directory, sizeof place->directory, "%s/lum_file_test_XXXXXX", place->parent);
    if (mkdtemp(place->directory) == NULL) return -1;
    struct lum__fs_os_options options = {.create = true, .no_direct = place->no_direct, .no_uring = place->no_uring};
    return lum__fs_open_os(place->directory, &options, &place->fs) == LUM_OK ? 0 : -1;
}

static int place_close(void **state)
{
    struct place *place = *state;
    lum__fs_close(place->fs);
    place->fs = NULL;
    lum__recording_destroy(place->recording);
    place->recording = NULL;
    lum__sim_destroy(place->sim);
    place->sim = NULL;
    if (place->parent == NULL) return 0;
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s'", place->directory);
    return system(command) == 0 ? 0 : -1;
}

static struct lum__fs *fs_of(void **state) { return ((struct place *)*state)->fs; }

static struct lum__file *open_file(struct lum__fs *fs, const char *path, unsigned flags)
{
    struct lum__file *file = NULL;
    lum_status status = lum__fs_open_file(fs, path, flags, &file);
    if (status != LUM_OK) print_error("%s: %s\n", path, lum__error_last()->message);
    assert_int_equal(status, LUM_OK);
    assert_non_null(file);
    return file;
}

static struct lum__file *make_file(struct lum__fs *fs, const char *path, unsigned more)
{
    return open_file(fs, path, LUM__OPEN_WRITE | LUM__OPEN_CREATE | more);
}

static void assert_refused(struct lum__fs *fs, const char *path, unsigned flags, lum_status expected)
{
    struct lum__file *file = NULL;
    assert_int_equal(lum__fs_open_file(fs, path, flags, &file), expected);
    assert_null(file);
    assert_int_equal(lum__error_last()->status, expected);
    assert_true(strlen(lum__error_last()->message) > 0);
}

static uint8_t *blocks_of(size_t count, uint64_t seed)
{
    void *memory = NULL;
    assert_int_equal(posix_memalign(&memory, BLOCK, count * BLOCK), 0);
    for (size_t i = 0; i < count * BLOCK; i += 8) lum__put_u64((uint8_t *)memory + i, lum__splitmix64(&seed));
    return memory;
}

/* --- cases for every place --- */

static void what_is_written_is_read(void **state)
{
    struct lum__fs *fs = fs_of(state);
    struct lum__file *file = make_file(fs, "STATE", 0);
    uint8_t back[64];
    size_t bytes = 99;
    ok(lum__file_write(file, "hello", 5, 3));
    ok(lum__file_read(file, back, sizeof back, 0, &bytes));
    assert_int_equal(bytes, 8);
    assert_memory_equal(back, "\0\0\0hello", 8);
    ok(lum__file_read(file, back, sizeof back, 8, &bytes));
    assert_int_equal(bytes, 0);
    ok(lum__file_read(file, back, sizeof back, 1000, &bytes));
    assert_int_equal(bytes, 0);
    ok(lum__file_sync(file));
    ok(lum__fs_sync_dir(fs, ""));
    ok(lum__file_close(file));

    file = open_file(fs, "STATE", LUM__OPEN_READ);
    ok(lum__file_read(file, back, 2, 4, &bytes));
    assert_int_equal(bytes, 2);
    assert_memory_equal(back, "el", 2);
    ok(lum__file_close(file));
    assert_int_equal(lum__file_close(NULL), LUM_OK);
}

static void direct_files_read_a_tail_that_is_not_a_block(void **state)
{
    struct lum__fs *fs = fs_of(state);
    uint8_t *out = blocks_of(3, 1), *back = blocks_of(4, 2);
    struct lum__file *file = make_file(fs, "a.seg", LUM__OPEN_DIRECT);
    ok(lum__file_write(file, out, 3 * BLOCK, BLOCK));
    ok(lum__file_truncate(file, 2 * BLOCK + 100));
    size_t bytes = 0;
    ok(lum__file_read(file, back, 4 * BLOCK, 0, &bytes));
    assert_int_equal(bytes, 2 * BLOCK + 100);
    assert_true(lum__is_zero(back, BLOCK));
    assert_memory_equal(back + BLOCK, out, BLOCK + 100);
    ok(lum__file_read(file, back, BLOCK, 2 * BLOCK, &bytes));
    assert_int_equal(bytes, 100);
    ok(lum__file_read(file, back, BLOCK, 3 * BLOCK, &bytes));
    assert_int_equal(bytes, 0);
    ok(lum__file_close(file));
    free(out);
    free(back);
}

static void names_obey_the_grammar(void **state)
{
    static const char *const bad[] = {
        "",      ".",        "..",   "/a",  "a/",  "a//b",
        "a/b/c", "../a",     "a/..", "./a", "a b", "a\nb",
        "a\\b",  "\xc3\xa9", "a:b",  "a*",  "a/.", "0123456789012345678901234567890123456789012345678901234567890123"};
    struct lum__fs *fs = fs_of(state);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_refused(fs, bad[i], LUM__OPEN_READ, LUM_ERR_ARGUMENT);
        assert_refused(fs, bad[i], LUM__OPEN_WRITE | LUM__OPEN_CREATE, LUM_ERR_ARGUMENT);
        assert_int_equal(lum__fs_unlink(fs, bad[i]), LUM_ERR_ARGUMENT);
        assert_int_equal(lum__fs_rename(fs, bad[i], "b"), LUM_ERR_ARGUMENT);
        assert_int_equal(lum__fs_rename(fs, "b", bad[i]), LUM_ERR_ARGUMENT);
    }
    assert_int_equal(lum__fs_mkdir(fs, "a/b"), LUM_ERR_ARGUMENT);
    assert_int_equal(lum__fs_sync_dir(fs, ".."), LUM_ERR_ARGUMENT);
    ok(lum__file_close(make_file(fs, "..hidden-A_9", 0)));
}

struct seen {
    char names[16][LUM__PATH_BYTES_MAX];
    uint32_t count, stop_at;
};

static lum_status see(void *context, const char *name)
{
    struct seen *seen = context;
    assert_true(seen->count < 16);
    snprintf(seen->names[seen->count++], LUM__PATH_BYTES_MAX, "%s", name);
    return seen->count == seen->stop_at ? LUM_END : LUM_OK;
}

static bool has_seen(const struct seen *seen, const char *name)
{
    for (uint32_t i = 0; i < seen->count; i++) {
        if (strcmp(seen->names[i], name) == 0) return true;
    }
    return false;
}

static void names_come_and_go(void **state)
{
    struct lum__fs *fs = fs_of(state);
    assert_refused(fs, "wal/1.wal", LUM__OPEN_READ, LUM_ERR_NOT_FOUND);
    ok(lum__fs_mkdir(fs, "wal"));
    assert_int_equal(lum__fs_mkdir(fs, "wal"), LUM_ERR_EXISTS);
    assert_refused(fs, "wal/1.wal", LUM__OPEN_READ, LUM_ERR_NOT_FOUND);
    ok(lum__file_close(make_file(fs, "wal/1.wal", 0)));
    assert_refused(fs, "wal/1.wal", LUM__OPEN_WRITE | LUM__OPEN_CREATE, LUM_ERR_EXISTS);
    ok(lum__file_close(make_file(fs, "wal/2.wal", 0)));
    ok(lum__file_close(make_file(fs, "top", 0)));

    struct seen seen = {0};
    ok(lum__fs_list(fs, "wal", see, &seen));
    assert_int_equal(seen.count, 2);
    assert_true(has_seen(&seen, "1.wal") && has_seen(&seen, "2.wal"));
    seen = (struct seen){0};
    ok(lum__fs_list(fs, "", see, &seen));
    assert_int_equal(seen.count, 2);
    assert_true(has_seen(&seen, "wal") && has_seen(&seen, "top"));
    seen = (struct seen){.stop_at = 1};
    assert_int_equal(lum__fs_list(fs, "wal", see, &seen), LUM_END);
    assert_int_equal(seen.count, 1);
    assert_int_equal(lum__fs_list(fs, "nowhere", see, &seen), LUM_ERR_NOT_FOUND);

    ok(lum__fs_rename(fs, "wal/1.wal", "wal/2.wal"));
    assert_int_equal(lum__fs_rename(fs, "wal/1.wal", "wal/3.wal"), LUM_ERR_NOT_FOUND);
    ok(lum__fs_unlink(fs, "wal/2.wal"));
    assert_int_equal(lum__fs_unlink(fs, "wal/2.wal"), LUM_ERR_NOT_FOUND);
    seen = (struct seen){0};
    ok(lum__fs_list(fs, "wal", see, &seen));
    assert_int_equal(seen.count, 0);
    ok(lum__fs_sync_dir(fs, "wal"));
    assert_int_equal(lum__fs_sync_dir(fs, "data"), LUM_ERR_NOT_FOUND);
}

static void replace_is_whole_or_not_at_all(void **state)
{
    struct lum__fs *fs = fs_of(state);
    uint8_t *bytes = NULL;
    size_t count = 0;
    assert_int_equal(lum__fs_read_all(fs, "STATE", 100, &bytes, &count), LUM_ERR_NOT_FOUND);
    assert_null(bytes);
    ok(lum__fs_replace(fs, "STATE", "first", 5));
    ok(lum__file_close(make_file(fs, "STATE.tmp", 0))); /* as a crash leaves it */
    ok(lum__fs_replace(fs, "STATE", "the second", 10));
    ok(lum__fs_read_all(fs, "STATE", 10, &bytes, &count));
    assert_int_equal(count, 10);
    assert_memory_equal(bytes, "the second", 10);
    free(bytes);
    assert_refused(fs, "STATE.tmp", LUM__OPEN_READ, LUM_ERR_NOT_FOUND);
    assert_int_equal(lum__fs_read_all(fs, "STATE", 9, &bytes, &count), LUM_ERR_CORRUPT);
    assert_null(bytes);
    assert_string_equal(lum__error_last()->file, "STATE");

    ok(lum__fs_mkdir(fs, "wal"));
    ok(lum__fs_replace(fs, "wal/empty", "", 0));
    ok(lum__fs_read_all(fs, "wal/empty", 0, &bytes, &count));
    assert_non_null(bytes);
    assert_int_equal(count, 0);
    free(bytes);
    assert_int_equal(lum__fs_replace(fs, "nowhere/x", "", 0), LUM_ERR_NOT_FOUND);
}

static void space_is_reserved_and_given_back(void **state)
{
    struct lum__fs *fs = fs_of(state);
    struct lum__file *file = make_file(fs, "a.seg", 0);
    struct lum__file_info info;
    uint8_t *out = blocks_of(16, 3), *back = blocks_of(16, 4);
    size_t bytes;
    ok(lum__file_allocate(file, 0, 64 * BLOCK));
    ok(lum__file_info(file, &info));
    assert_int_equal(info.size_bytes, 64 * BLOCK);
    assert_int_equal(info.link_count, 1);
    assert_int_equal(info.mode, LUM__FILE_MODE);
    struct lum__fs_features features;
    lum__fs_features(fs, &features);
    if (features.fallocate) assert_true(info.allocated_bytes >= 64 * BLOCK);
    ok(lum__file_write(file, out, 16 * BLOCK, 16 * BLOCK));
    ok(lum__file_allocate(file, 0, 8 * BLOCK)); /* never shrinks, never changes what is there */
    ok(lum__file_read(file, back, 16 * BLOCK, 16 * BLOCK, &bytes));
    assert_memory_equal(back, out, 16 * BLOCK);
    ok(lum__file_sync(file));

    ok(lum__file_punch(file, 20 * BLOCK, 4 * BLOCK));
    ok(lum__file_read(file, back, 16 * BLOCK, 16 * BLOCK, &bytes));
    assert_int_equal(bytes, 16 * BLOCK);
    assert_memory_equal(back, out, 4 * BLOCK);
    assert_true(lum__is_zero(back + 4 * BLOCK, 4 * BLOCK));
    assert_memory_equal(back + 8 * BLOCK, out + 8 * BLOCK, 8 * BLOCK);
    ok(lum__file_info(file, &info));
    assert_int_equal(info.size_bytes, 64 * BLOCK);
    if (features.fallocate) assert_true(info.allocated_bytes <= 60 * BLOCK);

    ok(lum__file_truncate(file, 17 * BLOCK));
    ok(lum__file_truncate(file, 18 * BLOCK)); /* what was cut does not come back */
    ok(lum__file_read(file, back, 16 * BLOCK, 16 * BLOCK, &bytes));
    assert_int_equal(bytes, 2 * BLOCK);
    assert_memory_equal(back, out, BLOCK);
    assert_true(lum__is_zero(back + BLOCK, BLOCK));
    uint64_t free_bytes = 0;
    ok(lum__fs_free_bytes(fs, &free_bytes));
    assert_true(free_bytes > 0);
    ok(lum__file_close(file));
    free(out);
    free(back);
}

static void beyond_what_a_file_can_hold_is_refused(void **state)
{
    struct lum__file *file = make_file(fs_of(state), "a", 0);
    uint8_t byte = 0;
    size_t bytes;
    assert_int_equal(lum__file_write(file, &byte, 1, INT64_MAX), LUM_ERR_ARGUMENT);
    assert_int_equal(lum__file_write(file, &byte, 1, UINT64_MAX), LUM_ERR_ARGUMENT);
    assert_int_equal(lum__file_read(file, &byte, 1, UINT64_MAX, &bytes), LUM_ERR_ARGUMENT);
    assert_int_equal(lum__file_truncate(file, UINT64_MAX), LUM_ERR_ARGUMENT);
    assert_int_equal(lum__file_allocate(file, UINT64_MAX - 5, 10), LUM_ERR_ARGUMENT);
    ok(lum__file_close(file));
}

static void locks_exclude_other_openings(void **state)
{
    struct lum__fs *fs = fs_of(state);
    struct lum__file *a = make_file(fs, "LOCK", 0), *b = open_file(fs, "LOCK", LUM__OPEN_WRITE);
    struct lum__file *reader = open_file(fs, "LOCK", LUM__OPEN_READ);
    bool is_held = true;
    ok(lum__file_lock_holder(b, 0, &is_held));
    assert_false(is_held);
    ok(lum__file_lock(a, 0, LUM__LOCK_EXCLUSIVE));
    assert_int_equal(lum__file_lock(b, 0, LUM__LOCK_EXCLUSIVE), LUM_ERR_BUSY);
    assert_int_equal(lum__file_lock(reader, 0, LUM__LOCK_SHARED), LUM_ERR_BUSY);
    ok(lum__file_lock_holder(reader, 0, &is_held));
    assert_true(is_held);
    ok(lum__file_lock_holder(a, 0, &is_held)); /* by anyone else */
    assert_false(is_held);

    ok(lum__file_lock(reader, 1, LUM__LOCK_SHARED)); /* another byte is another lock */
    ok(lum__file_lock(b, 1, LUM__LOCK_SHARED));
    assert_int_equal(lum__file_lock(a, 1, LUM__LOCK_EXCLUSIVE), LUM_ERR_BUSY);
    ok(lum__file_lock_holder(a, 1, &is_held)); /* shared is not exclusive */
    assert_false(is_held);
    ok(lum__file_unlock(b, 1));
    assert_int_equal(lum__file_lock(a, 1, LUM__LOCK_EXCLUSIVE), LUM_ERR_BUSY);
    ok(lum__file_close(reader)); /* a close drops its own locks, and nobody else's (pitfall 18) */
    ok(lum__file_lock(a, 1, LUM__LOCK_EXCLUSIVE));
    ok(lum__file_lock_holder(b, 0, &is_held));
    assert_true(is_held);
    ok(lum__file_lock(a, 1, LUM__LOCK_SHARED)); /* own locks change their kind */
    ok(lum__file_lock(b, 1, LUM__LOCK_SHARED));

    ok(lum__file_close(a));
    ok(lum__file_lock(b, 0, LUM__LOCK_EXCLUSIVE));
    ok(lum__file_close(b));
}

static void a_file_knows_when_its_name_left_it(void **state)
{
    struct lum__fs *fs = fs_of(state);
    bool is_current = false;
    struct lum__file *a = make_file(fs, "a", 0), *b = make_file(fs, "b", 0);
    ok(lum__file_is_current(a, &is_current));
    assert_true(is_current);
    ok(lum__fs_rename(fs, "b", "a"));
    ok(lum__file_is_current(a, &is_current));
    assert_false(is_current);
    ok(lum__file_is_current(b, &is_current));
    assert_false(is_current);
    ok(lum__file_write(a, "still", 5, 0)); /* the file lives on while it is open */
    ok(lum__fs_unlink(fs, "a"));
    ok(lum__file_is_current(a, &is_current));
    assert_false(is_current);
    ok(lum__file_close(a));
    ok(lum__file_close(b));
}

enum { DEPTH = 8, REQUESTS = 100 };

static void reap_some(struct lum__io_queue *queue, struct lum__file *file, uint32_t wait, bool is_write, uint8_t *seen,
                      uint32_t *in_flight)
{
    struct lum__io_completion done[DEPTH];
    uint32_t count = 0;
    ok(lum__io_reap(queue, wait, done, DEPTH, &count));
    assert_true(count >= wait && count <= *in_flight);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(done[i].user < REQUESTS);
        assert_int_equal(seen[done[i].user], 0); /* once each */
        seen[done[i].user] = 1;
        ok(lum__io_result_check(file, is_write, done[i].user * BLOCK, BLOCK, done[i].result));
    }
    *in_flight -= count;
}

static void run_queue(struct lum__io_queue *queue, struct lum__file *file, bool is_write, uint8_t *buffer)
{
    uint8_t seen[REQUESTS] = {0};
    uint32_t in_flight = 0;
    for (uint32_t i = 0; i < REQUESTS; i++) {
        if (in_flight == DEPTH) reap_some(queue, file, 1, is_write, seen, &in_flight);
        uint64_t offset = (uint64_t)i * BLOCK;
        if (is_write) {
            ok(lum__io_submit_write(queue, file, buffer + offset, BLOCK, offset, i));
        } else {
            ok(lum__io_submit_read(queue, file, buffer + offset, BLOCK, offset, i));
        }
        in_flight++;
        if (i % 7 == 0) reap_some(queue, file, 0, is_write, seen, &in_flight);
    }
    if (in_flight > 0) reap_some(queue, file, in_flight, is_write, seen, &in_flight);
    for (uint32_t i = 0; i < REQUESTS; i++) assert_int_equal(seen[i], 1);
}

static void queues_answer_every_request_once(void **state)
{
    struct lum__fs *fs = fs_of(state);
    struct lum__file *lock_file = make_file(fs, "LOCK", 0), *file = make_file(fs, "a.seg", LUM__OPEN_DIRECT);
    struct lum__io_queue *queue = NULL;
    uint8_t *out = blocks_of(REQUESTS, 5), *back = blocks_of(REQUESTS, 6);
    ok(lum__file_lock(lock_file, 0, LUM__LOCK_EXCLUSIVE));
    ok(lum__io_open(fs, DEPTH, lock_file, &queue));
    run_queue(queue, file, true, out);
    run_queue(queue, file, false, back);
    assert_memory_equal(out, back, REQUESTS * BLOCK);

    /* the end of file: a part of the last block, then nothing */
    struct lum__io_completion done;
    uint32_t count;
    ok(lum__file_truncate(file, BLOCK + 10));
    ok(lum__io_submit_read(queue, file, back, 2 * BLOCK, 0, 7));
    ok(lum__io_reap(queue, 1, &done, 1, &count));
    assert_int_equal(done.user, 7);
    assert_int_equal(done.result, BLOCK + 10);
    assert_int_equal(lum__io_result_check(file, false, 0, 2 * BLOCK, done.result), LUM_ERR_IO);
    ok(lum__io_submit_read(queue, file, back, BLOCK, 8 * BLOCK, 8));
    ok(lum__io_reap(queue, 1, &done, 1, &count));
    assert_int_equal(done.result, 0);

    for (uint32_t i = 0; i < DEPTH; i++) ok(lum__io_submit_write(queue, file, out, BLOCK, i * BLOCK, i));
    lum__io_close(queue); /* reaps what is in flight */
    struct lum__file_info info;
    ok(lum__file_info(file, &info));
    assert_int_equal(info.size_bytes, DEPTH * BLOCK);

    /* the ring must not keep the lock after a clean close */
    ok(lum__file_close(lock_file));
    lock_file = open_file(fs, "LOCK", LUM__OPEN_WRITE);
    ok(lum__file_lock(lock_file, 0, LUM__LOCK_EXCLUSIVE));
    ok(lum__file_close(lock_file));
    ok(lum__file_close(file));
    free(out);
    free(back);
}

/* --- cases of a real directory --- */

static void os_path(const struct place *place, const char *name, char out[256])
{
    snprintf(out, 256, "%s/%s", place->directory, name);
}

static void foreign_things_do_not_open(void **state)
{
    struct place *place = *state;
    char at[256], target[256];
    ok(lum__file_close(make_file(place->fs, "real", 0)));
    os_path(place, "real", target);
    os_path(place, "link", at);
    assert_int_equal(symlink(target, at), 0);
    os_path(place, "pipe", at);
    assert_int_equal(mkfifo(at, 0600), 0);
    os_path(place, "folder", at);
    assert_int_equal(mkdir(at, 0700), 0);
    os_path(place, "linked-folder", at);
    assert_int_equal(symlink("folder", at), 0);
    os_path(place, "dangling", at);
    assert_int_equal(symlink("/nonexistent/x", at), 0);

    static const char *const names[] = {"link", "pipe", "folder"};
    for (size_t i = 0; i < 3; i++) {
        assert_refused(place->fs, names[i], LUM__OPEN_READ, LUM_ERR_FOREIGN);
        assert_refused(place->fs, names[i], LUM__OPEN_WRITE, LUM_ERR_FOREIGN);
        assert_refused(place->fs, names[i], LUM__OPEN_WRITE | LUM__OPEN_CREATE, LUM_ERR_EXISTS);
    }
    assert_refused(place->fs, "dangling", LUM__OPEN_WRITE | LUM__OPEN_CREATE, LUM_ERR_EXISTS);
    assert_refused(place->fs, "linked-folder/a", LUM__OPEN_WRITE | LUM__OPEN_CREATE, LUM_ERR_FOREIGN);

    struct lum__file *file = open_file(place->fs, "real", LUM__OPEN_READ);
    bool is_current = false;
    os_path(place, "second-name", at);
    assert_int_equal(link(target, at), 0);
    ok(lum__file_is_current(file, &is_current));
    assert_false(is_current);
    ok(lum__file_close(file));
    assert_refused(place->fs, "real", LUM__OPEN_READ, LUM_ERR_FOREIGN);
}

static void modes_do_not_follow_the_umask(void **state)
{
    struct place *place = *state;
    char at[256];
    struct stat info;
    mode_t before = umask(0777);
    lum_status status = lum__fs_mkdir(place->fs, "wal");
    struct lum__file *file = NULL;
    if (status == LUM_OK) status = lum__fs_open_file(place->fs, "wal/1", LUM__OPEN_WRITE | LUM__OPEN_CREATE, &file);
    umask(before);
    if (status == LUM_ERR_PERMISSION && geteuid() != 0)
        skip(); /* mkdirat(0) of an ordinary user cannot be opened again */
    assert_int_equal(status, LUM_OK);
    ok(lum__file_close(file));
    os_path(place, "wal", at);
    assert_int_equal(stat(at, &info), 0);
    assert_int_equal(info.st_mode & 07777, LUM__FOLDER_MODE);
    os_path(place, "wal/1", at);
    assert_int_equal(stat(at, &info), 0);
    assert_int_equal(info.st_mode & 07777, LUM__FILE_MODE);
}

static void standard_descriptors_are_never_used(void **state)
{
    struct place *place = *state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (int fd = 0; fd < 3; fd++) close(fd);
        struct lum__fs *fs = NULL;
        struct lum__file *file = NULL;
        bool good = lum__fs_open_os(place->directory, NULL, &fs) == LUM_OK &&
                    lum__fs_open_file(fs, "data", LUM__OPEN_WRITE | LUM__OPEN_CREATE, &file) == LUM_OK;
        for (int fd = 0; fd < 3 && good; fd++) good = fcntl(fd, F_GETFD) == -1 && errno == EBADF;
        _exit(good ? 0 : 1);
    }
    int wait_status = -1;
    assert_int_equal(waitpid(child, &wait_status, 0), child);
    assert_int_equal(wait_status, 0);
}

static void a_lock_ends_with_its_process(void **state)
{
    struct place *place = *state;
    ok(lum__file_close(make_file(place->fs, "LOCK", 0)));
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) { /* opens for itself: an inherited descriptor would share the parent's lock */
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* never outlives a failed test */
        struct lum__fs *fs = NULL;
        struct lum__file *file = NULL;
        struct lum__io_queue *queue = NULL;
        bool good = lum__fs_open_os(place->directory, NULL, &fs) == LUM_OK &&
                    lum__fs_open_file(fs, "LOCK", LUM__OPEN_WRITE, &file) == LUM_OK &&
                    lum__file_lock(file, 0, LUM__LOCK_EXCLUSIVE) == LUM_OK &&
                    lum__io_open(fs, 4, file, &queue) == LUM_OK;
        if (write(ready[1], good ? "y" : "n", 1) == 1) pause();
        _exit(1);
    }
    char answer = 'n';
    assert_int_equal(read(ready[0], &answer, 1), 1);
    assert_int_equal(answer, 'y');
    struct lum__file *file = open_file(place->fs, "LOCK", LUM__OPEN_WRITE);
    bool is_held = false;
    assert_int_equal(lum__file_lock(file, 0, LUM__LOCK_EXCLUSIVE), LUM_ERR_BUSY);
    ok(lum__file_lock_holder(file, 0, &is_held));
    assert_true(is_held);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    lum_status status = LUM_ERR_BUSY; /* the kernel takes a dead process's ring down a little later */
    for (int i = 0; i < 5000 && status == LUM_ERR_BUSY; i++) {
        status = lum__file_lock(file, 0, LUM__LOCK_EXCLUSIVE);
        if (status == LUM_ERR_BUSY) usleep(1000);
    }
    assert_int_equal(status, LUM_OK);
    ok(lum__file_close(file));
    close(ready[0]);
    close(ready[1]);
}

/* The ring alone holds the LOCK file here: the descriptor that took the lock is closed behind the file table's back, as
 * it is when a killed process's descriptors are gone and its ring is not yet. */
static void a_ring_holds_the_lock(void **state)
{
    struct place *place = *state;
    struct lum__fs_features features;
    lum__fs_features(place->fs, &features);
    if (!features.io_uring) skip();
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    ok(lum__file_close(make_file(place->fs, "LOCK", 0)));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        struct lum__fs *fs = NULL;
        struct lum__file *file = NULL;
        struct lum__io_queue *queue = NULL;
        bool good = lum__fs_open_os(place->directory, NULL, &fs) == LUM_OK &&
                    lum__fs_open_file(fs, "LOCK", LUM__OPEN_WRITE, &file) == LUM_OK &&
                    lum__file_lock(file, 0, LUM__LOCK_EXCLUSIVE) == LUM_OK &&
                    lum__io_open(fs, 4, file, &queue) == LUM_OK && close(((struct os_file *)file)->fd) == 0;
        if (write(ready[1], good ? "y" : "n", 1) == 1) pause();
        _exit(1);
    }
    char answer = 'n';
    assert_int_equal(read(ready[0], &answer, 1), 1);
    assert_int_equal(answer, 'y');
    struct lum__file *file = open_file(place->fs, "LOCK", LUM__OPEN_WRITE);
    assert_int_equal(lum__file_lock(file, 0, LUM__LOCK_EXCLUSIVE), LUM_ERR_BUSY);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    lum_status status = LUM_ERR_BUSY;
    for (int i = 0; i < 5000 && status == LUM_ERR_BUSY; i++) {
        status = lum__file_lock(file, 0, LUM__LOCK_EXCLUSIVE);
        if (status == LUM_ERR_BUSY) usleep(1000);
    }
    assert_int_equal(status, LUM_OK);
    ok(lum__file_close(file));
    close(ready[0]);
    close(ready[1]);
}

static void reading_only_changes_nothing(void **state)
{
    struct place *place = *state;
    struct lum__fs_os_options options = {.read_only = true};
    struct lum__fs *fs = NULL;
    ok(lum__fs_replace(place->fs, "STATE", "x", 1));
    ok(lum__fs_open_os(place->directory, &options, &fs));
    assert_refused(fs, "STATE", LUM__OPEN_WRITE, LUM_ERR_READ_ONLY);
    assert_refused(fs, "new", LUM__OPEN_WRITE | LUM__OPEN_CREATE, LUM_ERR_READ_ONLY);
    assert_int_equal(lum__fs_mkdir(fs, "wal"), LUM_ERR_READ_ONLY);
    assert_int_equal(lum__fs_rename(fs, "STATE", "b"), LUM_ERR_READ_ONLY);
    assert_int_equal(lum__fs_unlink(fs, "STATE"), LUM_ERR_READ_ONLY);
    assert_int_equal(lum__fs_replace(fs, "STATE", "y", 1), LUM_ERR_READ_ONLY);
    struct lum__file *file = open_file(fs, "STATE", LUM__OPEN_READ | LUM__OPEN_DIRECT);
    ok(lum__file_lock(file, 1, LUM__LOCK_SHARED));
    ok(lum__file_close(file));
    struct seen seen = {0};
    ok(lum__fs_list(fs, "", see, &seen));
    assert_int_equal(seen.count, 1);
    lum__fs_close(fs);
}

static void directories_are_made_when_asked(void **state)
{
    struct place *place = *state;
    struct lum__fs *fs = NULL;
    char at[256];
    os_path(place, "store", at);
    assert_int_equal(lum__fs_open_os(at, NULL, &fs), LUM_ERR_NOT_FOUND);
    assert_null(fs);
    struct lum__fs_os_options options = {.create = true};
    ok(lum__fs_open_os(at, &options, &fs));
    lum__fs_close(fs);
    ok(lum__fs_open_os(at, &options, &fs));
    lum__fs_close(fs);
    os_path(place, "store///", at);
    ok(lum__fs_open_os(at, &options, &fs));
    lum__fs_close(fs);
    os_path(place, "no/where", at);
    assert_int_equal(lum__fs_open_os(at, &options, &fs), LUM_ERR_NOT_FOUND);
    ok(lum__fs_replace(place->fs, "plain", "", 0));
    os_path(place, "plain", at);
    assert_int_not_equal(lum__fs_open_os(at, &options, &fs), LUM_OK);
    assert_null(fs);
}

static void features_tell_what_is_in_use(void **state)
{
    struct place *place = *state;
    struct lum__fs_features features;
    lum__fs_features(place->fs, &features);
    if (place->no_direct) assert_false(features.direct_io);
    if (place->no_uring) assert_false(features.io_uring);
    assert_false(features.read_only);
    assert_true(strlen(features.fs_type) > 0);
    if (strcmp(place->parent, "/dev/shm") == 0) assert_string_equal(features.fs_type, "tmpfs");
    struct lum__file *file = make_file(place->fs, "a", LUM__OPEN_DIRECT);
    if (!features.direct_io) assert_false(lum__file_is_direct(file));
    ok(lum__file_close(file));

    struct lum__fs *fs = NULL;
    assert_int_equal(setenv("LUM_IO", "buffered,threads", 1), 0);
    ok(lum__fs_open_os(place->directory, NULL, &fs));
    unsetenv("LUM_IO");
    lum__fs_features(fs, &features);
    assert_string_equal(lum__fs_io_mode(&features), "buffered+threads");
    lum__fs_close(fs);

    assert_int_equal(chmod(place->directory, 0777), 0);
    ok(lum__fs_open_os(place->directory, NULL, &fs));
    lum__fs_features(fs, &features);
    assert_true(features.others_may_write);
    lum__fs_close(fs);
}

static bool takes_any_alignment(const struct place *place)
{
    struct lum__fs_features features;
    lum__fs_features(place->fs, &features);
    return strcmp(features.fs_type, "tmpfs") == 0; /* since Linux 6.6 it takes the flag, and anything under it */
}

/* O_DIRECT is refused at a use, not at open: goes on buffered. A misaligned place is refused by every file system that
 * takes the flag, so it stands in for one that refuses everything. */
static void a_late_refusal_of_direct_goes_on_buffered(void **state)
{
    struct place *place = *state;
    struct lum__file *file = make_file(place->fs, "a", LUM__OPEN_DIRECT);
    if (!lum__file_is_direct(file) || takes_any_alignment(place)) {
        ok(lum__file_close(file));
        skip();
    }
    uint8_t *out = blocks_of(2, 9), *back = blocks_of(2, 10);
    size_t bytes;
    /* past the common face, which would call it our own bug */
    ok(file->fs->ops->write(file, out + 1, 1000, 77));
    assert_false(lum__file_is_direct(file));
    ok(lum__file_read(file, back, 1000, 77, &bytes));
    assert_int_equal(bytes, 1000);
    assert_memory_equal(out + 1, back, 1000);
    struct lum__fs_features features;
    lum__fs_features(place->fs, &features);
    assert_false(features.direct_io);
    ok(lum__file_close(file));
    free(out);
    free(back);
}

static void a_late_refusal_in_a_queue_goes_on_buffered(void **state)
{
    struct place *place = *state;
    struct lum__file *file = make_file(place->fs, "a", LUM__OPEN_DIRECT);
    if (!lum__file_is_direct(file) || takes_any_alignment(place)) {
        ok(lum__file_close(file));
        skip();
    }
    uint8_t *out = blocks_of(4, 9), *back = blocks_of(4, 10);
    struct lum__io_queue *queue = NULL;
    struct lum__io_completion done[4];
    uint32_t count;
    size_t bytes;
    ok(lum__io_open(place->fs, 4, NULL, &queue));
    for (uint32_t i = 0; i < 4; i++) { /* several at once find it out */
        ok(queue->fs->ops->queue_submit(queue, true, file, out + i * 1001, 1001, i * 1001, i));
    }
    ok(lum__io_reap(queue, 4, done, 4, &count));
    for (uint32_t i = 0; i < 4; i++) assert_int_equal(done[i].result, 1001);
    lum__io_close(queue);
    assert_false(lum__file_is_direct(file));
    ok(lum__file_read(file, back, 4004, 0, &bytes));
    assert_int_equal(bytes, 4004);
    assert_memory_equal(out, back, 4004);
    ok(lum__file_close(file));
    free(out);
    free(back);
}

/* --- the runs --- */

#define in_place(f)                                                                                                    \
    {                                                                                                                  \
        .name = #f, .test_func = f, .setup_func = place_open, .teardown_func = place_close, .initial_state = place     \
    }

#define COMMON_CASES                                                                                                   \
    in_place(what_is_written_is_read), in_place(direct_files_read_a_tail_that_is_not_a_block),                         \
        in_place(names_obey_the_grammar), in_place(names_come_and_go), in_place(replace_is_whole_or_not_at_all),       \
        in_place(space_is_reserved_and_given_back), in_place(beyond_what_a_file_can_hold_is_refused),                  \
        in_place(locks_exclude_other_openings), in_place(a_file_knows_when_its_name_left_it),                          \
        in_place(queues_answer_every_request_once)

static int run_os(struct place *place)
{
    const struct CMUnitTest tests[] = {
        COMMON_CASES,
        in_place(foreign_things_do_not_open),
        in_place(modes_do_not_follow_the_umask),
        in_place(standard_descriptors_are_never_used),
        in_place(a_lock_ends_with_its_process),
        in_place(a_ring_holds_the_lock),
        in_place(reading_only_changes_nothing),
        in_place(directories_are_made_when_asked),
        in_place(features_tell_what_is_in_use),
        in_place(a_late_refusal_of_direct_goes_on_buffered),
        in_place(a_late_refusal_in_a_queue_goes_on_buffered),
    };
    return cmocka_run_group_tests_name(place->name, tests, NULL, NULL);
}

static int run_sim(struct place *place)
{
    const struct CMUnitTest tests[] = {COMMON_CASES};
    return cmocka_run_group_tests_name(place->name, tests, NULL, NULL);
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");
    struct place places[] = {
        {.name = "disk", .parent = tmp != NULL ? tmp : "/tmp"},
        {.name = "disk, buffered", .parent = tmp != NULL ? tmp : "/tmp", .no_direct = true},
        {.name = "disk, no io_uring", .parent = tmp != NULL ? tmp : "/tmp", .no_uring = true},
        {.name = "disk, neither", .parent = tmp != NULL ? tmp : "/tmp", .no_direct = true, .no_uring = true},
        {.name = "memory file system", .parent = "/dev/shm"},
        {.name = "simulated disk"},
        {.name = "simulated disk, buffered", .no_direct = true},
        {.name = "simulated disk, recorded", .recorded = true},
    };
    int failed = 0;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (places[i].parent == NULL) {
            failed += run_sim(&places[i]);
        } else if (access(places[i].parent, W_OK) == 0) {
            failed += run_os(&places[i]);
        }
    }
    return failed;
}
