/* On a real file system that is full, every call says LUM_ERR_NO_SPACE, nothing else is lost, and work goes on once
 * there is room. Mounts a small tmpfs, so it needs root: skipped (77) otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/status.h"
#include "storage/file.h"

#define ok(call) assert_int_equal((call), LUM_OK)

enum { BLOCK = 4096, DISK_BLOCKS = 256 };

static char directory[] = "/tmp/lum_full_test_XXXXXX";
static struct lum__fs *fs;

static struct lum__file *make_file(const char *path, unsigned more)
{
    struct lum__file *file = NULL;
    ok(lum__fs_open_file(fs, path, LUM__OPEN_WRITE | LUM__OPEN_CREATE | more, &file));
    return file;
}

static void reserving_too_much_changes_nothing(void **state)
{
    (void)state;
    struct lum__file *file = make_file("a", 0);
    uint64_t before, after;
    ok(lum__fs_free_bytes(fs, &before));
    assert_int_equal(lum__file_allocate(file, 0, 2 * DISK_BLOCKS * BLOCK), LUM_ERR_NO_SPACE);
    assert_int_equal(lum__error_last()->os_errno, ENOSPC);
    assert_string_equal(lum__error_last()->file, "a");
    ok(lum__fs_free_bytes(fs, &after));
    assert_int_equal(before, after);
    ok(lum__file_allocate(file, 0, 4 * BLOCK));
    ok(lum__file_close(file));
    ok(lum__fs_unlink(fs, "a"));
}

static uint8_t *block_of(uint8_t value)
{
    void *memory = NULL;
    assert_int_equal(posix_memalign(&memory, BLOCK, BLOCK), 0);
    memset(memory, value, BLOCK);
    return memory;
}

static void writing_fills_up_and_goes_on_when_there_is_room(void **state)
{
    (void)state;
    struct lum__file *reserved = make_file("reserved", 0), *file = make_file("a", LUM__OPEN_DIRECT);
    uint8_t *block = block_of(7), *back = block_of(0);
    uint32_t written = 0;
    size_t bytes;
    lum_status status = LUM_OK;
    ok(lum__file_allocate(reserved, 0, 4 * BLOCK));
    while (written < DISK_BLOCKS && (status = lum__file_write(file, block, BLOCK, (uint64_t)written * BLOCK)) == LUM_OK)
        written++;
    assert_int_equal(status, LUM_ERR_NO_SPACE);
    assert_true(written > DISK_BLOCKS / 2);
    for (uint32_t i = 0; i < written; i++) {
        ok(lum__file_read(file, back, BLOCK, (uint64_t)i * BLOCK, &bytes));
        assert_int_equal(bytes, BLOCK);
        assert_memory_equal(back, block, BLOCK);
    }
    for (uint32_t i = 0; i < 4; i++)
        ok(lum__file_write(reserved, block, BLOCK, (uint64_t)i * BLOCK)); /* what was reserved is */

    struct lum__io_queue *queue = NULL;
    struct lum__io_completion done;
    uint32_t count;
    ok(lum__io_open(fs, 2, NULL, &queue));
    ok(lum__io_submit_write(queue, file, block, BLOCK, (uint64_t)(written + 1) * BLOCK, 5));
    ok(lum__io_reap(queue, 1, &done, 1, &count));
    assert_int_equal(done.result, -ENOSPC);
    assert_int_equal(lum__io_result_check(file, true, 0, BLOCK, done.result), LUM_ERR_NO_SPACE);
    lum__io_close(queue);

    ok(lum__file_close(reserved));
    ok(lum__fs_unlink(fs, "reserved"));
    ok(lum__file_write(file, block, BLOCK, (uint64_t)written * BLOCK));
    ok(lum__file_sync(file));
    ok(lum__file_close(file));
    ok(lum__fs_unlink(fs, "a"));
    free(block);
    free(back);
}

static void a_failed_replace_leaves_the_old_content(void **state)
{
    (void)state;
    uint8_t *big = calloc(1, 2 * DISK_BLOCKS * BLOCK), *back = NULL;
    size_t bytes;
    ok(lum__fs_replace(fs, "STATE", "old", 3));
    assert_int_equal(lum__fs_replace(fs, "STATE", big, 2 * DISK_BLOCKS * BLOCK), LUM_ERR_NO_SPACE);
    ok(lum__fs_read_all(fs, "STATE", 3, &back, &bytes));
    assert_memory_equal(back, "old", 3);
    uint64_t free_bytes;
    ok(lum__fs_free_bytes(fs, &free_bytes)); /* the half-written temporary file is gone */
    assert_true(free_bytes > DISK_BLOCKS / 2 * BLOCK);
    ok(lum__fs_replace(fs, "STATE", "new", 3));
    free(back);
    free(big);
}

int main(void)
{
    char options[32];
    snprintf(options, sizeof options, "size=%d", DISK_BLOCKS * BLOCK);
    /* a mount of our own: it goes with this process, and nobody else sees it */
    if (mkdtemp(directory) == NULL) return 1;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("lum_full_test", directory, "tmpfs", 0, options) != 0) {
        fprintf(stderr, "skipped: cannot mount a tmpfs (%s)\n", strerror(errno));
        rmdir(directory);
        return 77;
    }
    int failed = 1;
    if (lum__fs_open_os(directory, NULL, &fs) == LUM_OK) {
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(reserving_too_much_changes_nothing),
            cmocka_unit_test(writing_fills_up_and_goes_on_when_there_is_room),
            cmocka_unit_test(a_failed_replace_leaves_the_old_content),
        };
        failed = cmocka_run_group_tests_name("a full disk", tests, NULL, NULL);
        lum__fs_close(fs);
    }
    umount(directory);
    rmdir(directory);
    return failed;
}
