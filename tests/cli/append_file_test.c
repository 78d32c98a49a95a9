/* A file that only grows: whatever is put, flushed and cut, in any order and any sizes, the file is what a plain buffer would be; at all times
 * it is a prefix of what was put; a failure, in the caller's write or in the thread's, is told by every later call; without direct writes and
 * without a thread it is slower and still right. ThreadSanitizer runs this too. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#include "cli/append_file.h"
#include "support/directory.h"

enum { BLOCK = LUM__APPEND_BLOCK_BYTES };

static char directory[256], path[300];

/* Stand in front of the C library's. */
static struct {
    _Atomic bool refuses_direct, has_no_threads, has_no_memory, heals;
    _Atomic bool is_held;           /* writes of whole blocks wait until this ends */
    _Atomic int64_t fails_at;       /* a write that reaches this offset is ENOSPC in front of it; -1: none does */
    _Atomic uint32_t whole, parts;  /* writes */
} world = {.fails_at = -1};

ssize_t pwrite(int fd, const void *bytes, size_t byte_count, off_t offset)
{
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "pwrite");
    bool is_direct = (fcntl(fd, F_GETFL) & O_DIRECT) != 0;
    if (byte_count == BLOCK) while (world.is_held) usleep(200);
    if (is_direct && world.refuses_direct) {
        errno = EINVAL;
        return -1;
    }
    byte_count == BLOCK ? world.whole++ : world.parts++;
    if (world.fails_at >= 0 && offset + (off_t)byte_count > world.fails_at) {
        if (offset >= world.fails_at && !is_direct && world.heals) world.fails_at = -1;
        if (offset < world.fails_at && !is_direct) return real(fd, bytes, (size_t)(world.fails_at - offset), offset);
        errno = ENOSPC;
        return -1;
    }
    return real(fd, bytes, byte_count, offset);
}

/* ThreadSanitizer has one of its own; without a thread there is nothing to race. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CAN_REFUSE_THREADS 0
#endif
#endif
#if !defined(CAN_REFUSE_THREADS)
#define CAN_REFUSE_THREADS 1
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *context)
{
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    return world.has_no_threads ? EAGAIN : real(thread, attributes, run, context);
}
#else
#define CAN_REFUSE_THREADS 0
#endif

int posix_memalign(void **out, size_t alignment, size_t byte_count)
{
    if (world.has_no_memory) return ENOMEM;
    *out = aligned_alloc(alignment, byte_count);
    return *out ? 0 : ENOMEM;
}

static int make_directory(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    world.fails_at = -1;
    lum_test_directory_make(directory, sizeof directory);
    snprintf(path, sizeof path, "%s/file", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    lum_test_directory_remove(directory);
    return 0;
}

static uint64_t random_state = 42;
static uint64_t draw(uint64_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (random_state >> 33) % below;
}

static uint8_t *make_bytes(size_t count)
{
    uint8_t *bytes = malloc(count);
    assert_non_null(bytes);
    for (size_t i = 0; i < count; i++) bytes[i] = (uint8_t)(i * 2654435761u >> 24);
    return bytes;
}

/* The file is `model`, or (length_least below length) a prefix of it that has at least so many bytes. */
static uint64_t check_file(const uint8_t *model, uint64_t length, uint64_t length_least)
{
    struct stat info;
    int fd = open(path, O_RDONLY);
    assert_int_equal(fstat(fd, &info), 0);
    uint64_t bytes = (uint64_t)info.st_size;
    assert_in_range(bytes, length_least, length);
    uint8_t *there = malloc(bytes + 1);
    for (uint64_t at = 0; at < bytes;) {
        ssize_t got = read(fd, there + at, bytes - at);
        assert_true(got > 0);
        at += (uint64_t)got;
    }
    close(fd);
    assert_true(bytes == 0 || memcmp(there, model, bytes) == 0);
    free(there);
    return bytes;
}

/* Many calls; the file is compared after each flush and cut, and often in between. */
static void do_anything(void)
{
    enum { MOST = 12 * BLOCK };
    struct lum__append_file file;
    uint8_t *model = make_bytes(MOST);
    uint64_t length = 0, flushed = 0;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    lum__append_file_open(&file, fd, 0);
    for (int step = 0; step < 150; step++) {
        uint64_t kind = draw(20), bytes = kind == 0 ? draw(4 * BLOCK) : kind < 4 ? draw(BLOCK) : kind < 6 ? BLOCK - length % BLOCK : draw(5000);
        if (kind == 19) { /* what follows is not what was there */
            length = draw(3) == 0 ? draw(length + 1) : length / BLOCK * BLOCK;
            assert_int_equal(lum__append_file_cut(&file, length), 0);
            for (uint64_t i = length; i < MOST; i += 97) model[i] ^= 0x55;
            flushed = length;
            check_file(model, length, length);
        } else if (kind == 18 || length + bytes > MOST) {
            assert_int_equal(lum__append_file_flush(&file), 0);
            flushed = length;
            check_file(model, length, length);
        } else {
            assert_int_equal(lum__append_file_put(&file, model + length, (size_t)bytes), 0);
            length += bytes;
            if (kind < 2) check_file(model, length, flushed);
        }
        assert_int_equal(file.length, length);
    }
    lum__append_file_close(&file);
    check_file(model, length, length);
    close(fd);
    free(model);
}

static void anything_in_any_order(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) do_anything();
    assert_true(world.whole > 0);
}

static void without_direct_writes(void **state)
{
    (void)state;
    world.refuses_direct = true;
    do_anything();
}

static void without_a_thread(void **state)
{
    (void)state;
    if (!CAN_REFUSE_THREADS) skip();
    world.has_no_threads = true;
    do_anything();
}

static void without_memory_nothing_is_put(void **state)
{
    (void)state;
    struct lum__append_file file;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    lum__append_file_open(&file, fd, 0);
    world.has_no_memory = true;
    assert_int_equal(lum__append_file_put(&file, (const uint8_t *)"abc", 3), ENOMEM);
    world.has_no_memory = false;
    assert_int_equal(lum__append_file_put(&file, (const uint8_t *)"def", 3), ENOMEM); /* bytes before these are missing */
    assert_int_equal(lum__append_file_flush(&file), ENOMEM);
    lum__append_file_close(&file);
    check_file((const uint8_t *)"", 0, 0);
    close(fd);
}

/* 20 MB behind the flush of a part: only whole blocks are direct, the rest of the flushed one is not. */
static void a_file_is_gone_on_with_at_any_length(void **state)
{
    (void)state;
    uint8_t *model = make_bytes(4 * BLOCK + 777);
    for (uint64_t there = 0; there < 4 * BLOCK; there += BLOCK / 2 + 333) {
        struct lum__append_file file;
        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
        assert_int_equal(write(fd, model, there), there);
        lum__append_file_open(&file, fd, there);
        assert_int_equal(lum__append_file_put(&file, model + there, 4 * BLOCK + 777 - there), 0);
        lum__append_file_close(&file);
        check_file(model, 4 * BLOCK + 777, 4 * BLOCK + 777);
        close(fd);
    }
    free(model);
}

/* The disk stands still: put() goes on until all blocks are queued, and not further; nothing is lost when it goes on. */
static void a_slow_disk_is_not_waited_for_until_all_blocks_are_full(void **state)
{
    (void)state;
    uint8_t *model = make_bytes((LUM__APPEND_BLOCKS + 2) * BLOCK);
    struct lum__append_file file;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    lum__append_file_open(&file, fd, 0);
    world.is_held = true;
    uint64_t length = (LUM__APPEND_BLOCKS - 1) * BLOCK + 1000; /* would never return if it waited for a block */
    assert_int_equal(lum__append_file_put(&file, model, length), 0);
    check_file(model, length, 0);
    world.is_held = false;
    assert_int_equal(lum__append_file_put(&file, model + length, (LUM__APPEND_BLOCKS + 2) * BLOCK - length), 0);
    assert_int_equal(lum__append_file_flush(&file), 0);
    check_file(model, (LUM__APPEND_BLOCKS + 2) * BLOCK, (LUM__APPEND_BLOCKS + 2) * BLOCK);
    lum__append_file_close(&file);
    close(fd);
    free(model);
}

/* The disk is full at some byte; `flushed` bytes were flushed before that. */
static void fail_at(uint64_t full_at, uint64_t flushed, const uint8_t *model)
{
    struct lum__append_file file;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600), failed = 0;
    lum__append_file_open(&file, fd, 0);
    assert_int_equal(lum__append_file_put(&file, model, flushed), 0);
    assert_int_equal(lum__append_file_flush(&file), 0);
    world.fails_at = (int64_t)full_at;
    uint64_t length = flushed;
    for (; failed == 0 && length < 20 * BLOCK; length += 10000) failed = lum__append_file_put(&file, model + length, 10000);
    if (failed == 0) failed = lum__append_file_flush(&file);
    assert_int_equal(failed, ENOSPC);
    world.fails_at = -1; /* there is room again, but bytes are missing */
    assert_int_equal(lum__append_file_put(&file, model, 5), ENOSPC);
    assert_int_equal(lum__append_file_flush(&file), ENOSPC);
    uint64_t bytes = check_file(model, full_at, flushed);
    assert_int_equal(lum__append_file_cut(&file, flushed), 0);
    assert_int_equal(lum__append_file_put(&file, model, 5), ENOSPC); /* still */
    lum__append_file_close(&file);
    assert_true(bytes <= full_at);
    check_file(model, flushed, flushed);
    close(fd);
}

static void a_failure_is_told_by_every_later_call(void **state)
{
    (void)state;
    uint8_t *model = make_bytes(21 * BLOCK);
    for (int no_threads = 0; no_threads < 1 + CAN_REFUSE_THREADS; no_threads++) {
        world.has_no_threads = no_threads == 1;
        fail_at(100, 0, model);                           /* in the flush of a part */
        fail_at(3 * BLOCK + 5000, 0, model);              /* in a whole block */
        fail_at(3 * BLOCK, 100, model);                   /* at its first byte */
        fail_at(BLOCK - 10, BLOCK / 2, model);            /* in what a flush left of a block */
        fail_at(4 * BLOCK + 5000, 4 * BLOCK + 77, model);
        world.heals = true; /* a write fails, and those behind it would not */
        fail_at(3 * BLOCK, 0, model);
        fail_at(3 * BLOCK, 2 * BLOCK + 100, model);
        world.heals = false;
    }
    free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(anything_in_any_order, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(without_direct_writes, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(without_a_thread, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(without_memory_nothing_is_put, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(a_file_is_gone_on_with_at_any_length, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(a_slow_disk_is_not_waited_for_until_all_blocks_are_full, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(a_failure_is_told_by_every_later_call, make_directory, remove_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
