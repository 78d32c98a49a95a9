/* An output file that several threads write in blocks: bytes come out in the order of the tickets whatever sizes they have and whoever is first,
 * through the page cache and past it; a write that fails ends all of them and leaves no file. ThreadSanitizer runs this too. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#include "cli/output.h"
#include "support/directory.h"

enum { THREADS = 4, PIECE_BYTES_MAX = 3 * LUM__OUTPUT_BLOCK_BYTES / 2 };
#define FILE_BYTES ((uint64_t)90 << 20) /* what is behind the first 64 MiB goes past the page cache */

static char directory[256], path[300];

static int setup(void **state)
{
    (void)state;
    lum_test_directory_make(directory, sizeof directory);
    snprintf(path, sizeof path, "%s/out", directory);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lum_test_directory_remove(directory);
    return 0;
}

/* Every eight bytes of the file say where they stand. */
static void fill(uint8_t *bytes, uint64_t offset, size_t byte_count)
{
    for (size_t i = 0; i < byte_count; i++) bytes[i] = (uint8_t)((offset + i) / 8 * 0x9e3779b97f4a7c15u >> (offset + i) % 8 * 8);
}

/* Sizes of all kinds, the same for every run; none but the last ends with the file. */
static size_t piece_bytes(uint64_t ticket)
{
    uint64_t random = (ticket + 1) * 0x9e3779b97f4a7c15u;
    random ^= random >> 29;
    return 1 + (random >> 8) % (random % 3 == 0 ? PIECE_BYTES_MAX : random % 3 == 1 ? 100 : 200000);
}

struct work {
    struct lum__output output;
    pthread_mutex_t mutex;
    uint64_t ticket, offset; /* next */
};

static void *write_pieces(void *context)
{
    struct work *work = context;
    uint8_t *bytes = malloc(PIECE_BYTES_MAX);
    for (bool is_good = true; is_good;) {
        pthread_mutex_lock(&work->mutex);
        uint64_t ticket = work->ticket, offset = work->offset;
        size_t count = piece_bytes(ticket);
        if (count > FILE_BYTES - offset) count = (size_t)(FILE_BYTES - offset);
        if (count > 0) work->ticket++;
        work->offset += count;
        pthread_mutex_unlock(&work->mutex);
        if (count == 0) break;
        fill(bytes, offset, count);
        is_good = lum__output_write(&work->output, ticket, bytes, count);
    }
    free(bytes);
    return NULL;
}

static bool write_file(struct work *work)
{
    pthread_t threads[THREADS];
    *work = (struct work){.mutex = PTHREAD_MUTEX_INITIALIZER};
    assert_int_equal(lum__output_open(&work->output, path, false), 0);
    lum__output_gather(&work->output);
    assert_non_null(work->output.blocks);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, write_pieces, work), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    return lum__output_end(&work->output);
}

static void check_file(uint8_t first)
{
    static uint8_t got[1 << 16], wanted[sizeof got];
    struct stat info;
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &info), 0);
    assert_int_equal(info.st_size, FILE_BYTES);
    for (uint64_t offset = 0; offset < FILE_BYTES; offset += sizeof got) {
        assert_int_equal(fread(got, 1, sizeof got, file), sizeof got);
        fill(wanted, offset, sizeof wanted);
        if (offset == 0) wanted[0] = first;
        assert_memory_equal(got, wanted, sizeof got);
    }
    fclose(file);
}

static void test_bytes_come_out_in_order(void **state)
{
    struct work work;
    const uint8_t first = 0xa5;
    (void)state;
    assert_true(write_file(&work));
    lum__output_patch(&work.output, &first, 1); /* a page that went past the cache, or through it: the same file */
    assert_int_equal(lum__output_close(&work.output, LUM__OUTPUT_COMPLETE), 0);
    check_file(first);
}

static void test_less_than_a_block(void **state)
{
    struct lum__output output;
    char got[8] = "";
    (void)state;
    assert_int_equal(lum__output_open(&output, path, false), 0);
    lum__output_gather(&output);
    assert_true(lum__output_write(&output, 0, (const uint8_t *)"few", 3));
    assert_int_equal(lum__output_close(&output, LUM__OUTPUT_COMPLETE), 0);
    FILE *file = fopen(path, "rb");
    assert_int_equal(fread(got, 1, sizeof got, file), 3);
    assert_string_equal(got, "few");
    fclose(file);
}

/* The file system takes no more at any of these lengths: before, at and behind the first direct write, and inside of the last block. */
static void test_a_full_file_ends_all(void **state)
{
    const uint64_t limits[] = {4096, (64 << 20) - 1, 64 << 20, (70 << 20) + 4096, FILE_BYTES - 1};
    struct rlimit before;
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct rlimit limit = {limits[i], before.rlim_max};
        struct stat info;
        struct work work;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        bool is_good = write_file(&work);
        int exit_code = lum__output_close(&work.output, LUM__OUTPUT_COMPLETE);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_false(is_good);
        assert_int_not_equal(exit_code, 0);
        assert_int_not_equal(stat(path, &info), 0);
        char command[400];
        snprintf(command, sizeof command, "test -z \"$(ls -A '%s')\"", directory);
        assert_int_equal(system(command), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bytes_come_out_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_less_than_a_block, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_full_file_ends_all, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
