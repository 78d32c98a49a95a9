/* Pitfalls of the durability list that a program meets through liblum: each test names its number. The program itself:
 * tests/cli/pitfalls_test.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/store.h"
#include "lum/lum.h"
#include "storage/file_os.h"
#include "storage/file_sim.h"
#include "support/directory.h"
#include "support/rows.h"

enum { ROWS = 5000 };

#define ok(call) assert_int_equal((call), LUM_OK)

static lum_store *open_store(const char *directory)
{
    lum_options options = LUM_OPTIONS_INIT;
    lum_store *store = NULL;
    options.create = true;
    options.threads = 2;
    lum_status status = lum_open(directory, &options, &store);
    if (status != LUM_OK) print_error("%s\n", lum_last_error()->message);
    ok(status);
    return store;
}

static lum_status load_rows(lum_store *store, uint64_t first, uint64_t count)
{
    struct lum_test_source context;
    lum_source source;
    lum_load_report report = LUM_LOAD_REPORT_INIT;
    lum_test_source_init(&context, first, count, &source);
    return lum_load(store, &source, NULL, &report);
}

/* 19: a handle that crossed a fork does nothing in the child, not even on closing, and the parent goes on. */
static void pitfall_19_a_fork_with_an_open_store(void **state)
{
    char directory[512];
    lum_test_directory_make(directory, sizeof directory);
    lum_store *store = open_store(directory);
    (void)state;
    ok(load_rows(store, 0, ROWS));
    pid_t child = fork();
    if (child == 0) {
        lum_info_data info = LUM_INFO_INIT;
        lum_t row;
        lum_scan *scan = NULL;
        bool is_refused = lum_info(store, &info) == LUM_ERR_FORKED && lum_get(store, 1, &row) == LUM_ERR_FORKED &&
                          lum_scan_open(store, NULL, &scan) == LUM_ERR_FORKED &&
                          load_rows(store, 0, 1) == LUM_ERR_FORKED && lum_checkpoint(store) == LUM_ERR_FORKED &&
                          lum_close(store) == LUM_ERR_FORKED;
        _exit(is_refused ? 0 : 1); /* its descriptors go, and with them nothing of the parent's lock */
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    lum_store *second = NULL;
    lum_options options = LUM_OPTIONS_INIT;
    assert_int_equal(lum_open(directory, &options, &second), LUM_ERR_BUSY); /* 18: the lock is still held */
    ok(load_rows(store, ROWS, ROWS));
    ok(lum_close(store));
    store = open_store(directory);
    uint64_t count = 0;
    ok(lum_test_read_prefix(store, &count));
    assert_int_equal(count, 2 * ROWS);
    ok(lum_close(store));
    lum_test_directory_remove(directory);
}

/* 18: two opens in one process exclude each other, and closing a reader's descriptors takes no lock from the writer. */
static void pitfall_18_two_opens_in_one_process(void **state)
{
    char directory[512];
    lum_test_directory_make(directory, sizeof directory);
    lum_store *store = open_store(directory), *second = NULL, *reader = NULL;
    lum_options options = LUM_OPTIONS_INIT;
    (void)state;
    ok(load_rows(store, 0, ROWS));
    assert_int_equal(lum_open(directory, &options, &second), LUM_ERR_BUSY);
    options.read_only = true;
    ok(lum_open(directory, &options, &reader));
    ok(lum_close(reader)); /* with POSIX record locks the writer's would be gone now */
    options.read_only = false;
    assert_int_equal(lum_open(directory, &options, &second), LUM_ERR_BUSY);
    ok(load_rows(store, ROWS, ROWS));
    ok(lum_close(store));
    ok(lum_open(directory, &options, &second));
    ok(lum_close(second));
    lum_test_directory_remove(directory);
}

/* 20: with standard input, output and error closed, no file of the store gets their numbers. */
static void pitfall_20_no_data_on_standard_descriptors(void **state)
{
    char directory[512];
    lum_test_directory_make(directory, sizeof directory);
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        int answer = 1;
        close(0);
        close(1);
        close(2);
        lum_options options = LUM_OPTIONS_INIT;
        lum_store *store = NULL;
        options.create = true;
        if (lum_open(directory, &options, &store) == LUM_OK && load_rows(store, 0, ROWS) == LUM_OK) {
            bool are_free = fcntl(0, F_GETFD) == -1 && fcntl(1, F_GETFD) == -1 && fcntl(2, F_GETFD) == -1;
            ssize_t stray = write(1, "a stray print", 13) + write(2, "another", 7);
            answer = are_free && stray == -2 && lum_close(store) == LUM_OK ? 0 : 2;
        }
        _exit(answer);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    lum_verify_report report = LUM_VERIFY_REPORT_INIT;
    ok(lum_verify(directory, 1, NULL, NULL, &report));
    lum_test_directory_remove(directory);
}

/* 21: a file that leaves its name while the store is open stops it at the next checkpoint; put back, nothing is lost. */
static void pitfall_21_files_that_leave_their_names(void **state)
{
    static const char *const files[] = {"data/1.seg", "wal/1.wal", "LOCK"};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char directory[512], path[600], away[600];
        lum_test_directory_make(directory, sizeof directory);
        lum_store *store = open_store(directory);
        ok(load_rows(store, 0, ROWS));
        snprintf(path, sizeof path, "%s/%s", directory, files[i]);
        snprintf(away, sizeof away, "%s.away", path);
        assert_int_equal(rename(path, away), 0);
        assert_int_equal(lum_checkpoint(store), LUM_ERR_FOREIGN);
        assert_int_equal(load_rows(store, ROWS, ROWS), LUM_ERR_POISONED);
        assert_int_not_equal(lum_close(store), LUM_OK);
        assert_int_equal(rename(away, path), 0);
        store = open_store(directory);
        uint64_t count = 0;
        ok(lum_test_read_prefix(store, &count));
        assert_int_equal(count, ROWS);
        snprintf(away, sizeof away, "%s/../second-name-%d", directory, (int)getpid());
        assert_int_equal(link(path, away), 0);
        bool is_open_file = i != 1; /* recovery went on in another segment of the log */
        assert_int_equal(lum_close(store), is_open_file ? LUM_ERR_FOREIGN : LUM_OK);
        assert_int_equal(unlink(away), 0);
        ok(lum_close(open_store(directory)));
        lum_test_directory_remove(directory);
    }
}

/* 23: which file systems are remote is told by their magic numbers (statfs(2)). */
static void pitfall_23_remote_file_systems_are_known(void **state)
{
    static const struct {
        uint32_t magic;
        const char *name;
        bool is_remote, is_copy_on_write;
    } known[] = {
        {0x6969, "nfs", true, false},          {0xff534d42, "cifs", true, false}, {0xfe534d42, "smb2", true, false},
        {0x65735546, "fuse", true, false},     {0x00c36400, "ceph", true, false}, {0x01021997, "9p", true, false},
        {0x0bd00bd0, "lustre", true, false},   {0xef53, "ext4", false, false},    {0x58465342, "xfs", false, false},
        {0x9123683e, "btrfs", false, true},    {0x2fc12fc1, "zfs", false, true},  {0x01021994, "tmpfs", false, false},
        {0x12345678, "0x12345678", false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct lum__fs_features features = {0};
        lum__os_name_file_system(known[i].magic, &features);
        assert_string_equal(features.fs_type, known[i].name);
        assert_int_equal(features.remote, known[i].is_remote);
        assert_int_equal(features.copy_on_write, known[i].is_copy_on_write);
    }
}

/* A disk in memory that says it is on NFS. */
static struct lum__fs_ops nfs_ops;
static void (*sim_features)(struct lum__fs *, struct lum__fs_features *);

static void nfs_features(struct lum__fs *fs, struct lum__fs_features *out)
{
    sim_features(fs, out);
    out->remote = true;
    snprintf(out->fs_type, sizeof out->fs_type, "nfs");
}

static struct lum__fs *open_nfs(struct lum__sim *sim)
{
    struct lum__fs *fs = NULL;
    ok(lum__sim_open(sim, false, &fs));
    nfs_ops = *fs->ops;
    sim_features = nfs_ops.features;
    nfs_ops.features = nfs_features;
    fs->ops = &nfs_ops;
    return fs;
}

/* 23: writing there is refused unless it is forced; what lies there can be read. */
static void pitfall_23_remote_file_systems_are_refused_unless_forced(void **state)
{
    struct lum__sim *sim = lum__sim_create(1);
    lum_options options = LUM_OPTIONS_INIT, resolved;
    lum_store *store = NULL;
    (void)state;
    options.create = true;
    options.threads = 1;
    ok(lum__options_resolve(&options, &resolved));
    assert_int_equal(lum__store_open_fs(open_nfs(sim), "nfs", &resolved, &store), LUM_ERR_FILESYSTEM);
    assert_non_null(strstr(lum_last_error()->message, "nfs"));
    resolved.force_filesystem = true;
    ok(lum__store_open_fs(open_nfs(sim), "nfs", &resolved, &store));
    ok(load_rows(store, 0, ROWS));
    ok(lum_close(store));
    resolved.force_filesystem = false;
    resolved.create = false;
    resolved.read_only = true;
    ok(lum__store_open_fs(open_nfs(sim), "nfs", &resolved, &store));
    uint64_t count = 0;
    ok(lum_test_read_prefix(store, &count));
    assert_int_equal(count, ROWS);
    ok(lum_close(store));
    lum__sim_destroy(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pitfall_20_no_data_on_standard_descriptors), /* first: no OpenMP team works in the child of a
                                                                         process that had one */
        cmocka_unit_test(pitfall_18_two_opens_in_one_process),
        cmocka_unit_test(pitfall_19_a_fork_with_an_open_store),
        cmocka_unit_test(pitfall_21_files_that_leave_their_names),
        cmocka_unit_test(pitfall_23_remote_file_systems_are_known),
        cmocka_unit_test(pitfall_23_remote_file_systems_are_refused_unless_forced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
