/* The disk in memory lies exactly as its header says: what was synced survives every power cut, of the rest every
 * allowed outcome and no other is seen, errors strike when armed, and a lie about syncing is found out by the tests
 * that would have to find it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/random.h"
#include "base/status.h"
#include "storage/file_sim.h"

#define ok(call) assert_int_equal((call), LUM_OK)

enum { BLOCK = 4096, SECTOR = 512, ROUNDS = 200 };

static uint64_t first_seed = 1; /* LUM_SEED; a failure prints the seed of its round */

static struct lum__fs *mount(struct lum__sim *sim)
{
    struct lum__fs *fs = NULL;
    ok(lum__sim_open(sim, false, &fs));
    return fs;
}

static struct lum__file *open_file(struct lum__fs *fs, const char *path, unsigned flags)
{
    struct lum__file *file = NULL;
    ok(lum__fs_open_file(fs, path, flags, &file));
    return file;
}

static struct lum__file *make_file(struct lum__fs *fs, const char *path)
{
    return open_file(fs, path, LUM__OPEN_WRITE | LUM__OPEN_CREATE);
}

/* The content of a file as a new process finds it; NULL if it is not there. */
static uint8_t *content_of(struct lum__sim *sim, const char *path, size_t *bytes)
{
    uint8_t *content = NULL;
    struct lum__fs *fs = mount(sim);
    lum_status status = lum__fs_read_all(fs, path, 1 << 24, &content, bytes);
    assert_true(status == LUM_OK || status == LUM_ERR_NOT_FOUND);
    lum__fs_close(fs);
    return content;
}

static bool has_file(struct lum__sim *sim, const char *path)
{
    uint64_t size;
    return lum__sim_file_size(sim, path, &size) == LUM_OK;
}

static void fill(uint8_t *out, size_t bytes, uint8_t value) { memset(out, value, bytes); }

/* A durable file of eight blocks of 'o'. */
static struct lum__sim *disk_with_old_file(uint64_t seed)
{
    uint8_t old[8 * BLOCK];
    struct lum__sim *sim = lum__sim_create(seed);
    struct lum__fs *fs = mount(sim);
    struct lum__file *file = make_file(fs, "a");
    fill(old, sizeof old, 'o');
    ok(lum__file_write(file, old, sizeof old, 0));
    ok(lum__file_sync(file));
    ok(lum__fs_sync_dir(fs, ""));
    ok(lum__file_close(file));
    lum__fs_close(fs);
    return sim;
}

/* --- power cuts and contents --- */

/* One cut over two unsynced writes; says per sector of the first 8 blocks: 'o' old, '1' or '2'. */
static void cut_two_writes(enum lum__sim_mode mode, uint64_t seed, char sectors[8 * BLOCK / SECTOR])
{
    uint8_t new[8 * BLOCK];
    struct lum__sim *sim = disk_with_old_file(seed);
    struct lum__fs *fs = mount(sim);
    struct lum__file *file = open_file(fs, "a", LUM__OPEN_WRITE);
    fill(new, sizeof new, '1');
    ok(lum__file_write(file, new, 3 * BLOCK, BLOCK));
    fill(new, sizeof new, '2');
    ok(lum__file_write(file, new, 2 * BLOCK, 5 * BLOCK));
    lum__sim_power_cut(sim, mode, seed);
    assert_int_equal(lum__file_sync(file), LUM_ERR_SYNC); /* the handle is dead */
    assert_int_equal(lum__file_write(file, new, 1, 0), LUM_ERR_IO);
    ok(lum__file_close(file));
    lum__fs_close(fs);

    size_t bytes = 0;
    uint8_t *content = content_of(sim, "a", &bytes);
    assert_non_null(content);
    assert_int_equal(bytes, 8 * BLOCK);
    for (size_t i = 0; i < 8 * BLOCK / SECTOR; i++) {
        sectors[i] = (char)content[i * SECTOR];
        for (size_t j = 0; j < SECTOR; j++)
            assert_int_equal(content[i * SECTOR + j], sectors[i]); /* sectors are whole */
        char allowed = i >= 8 && i < 32 ? '1' : i >= 40 && i < 56 ? '2' : 'o';
        if (sectors[i] != 'o' && sectors[i] != allowed) fail_msg("seed %llu", (unsigned long long)seed);
    }
    free(content);
    lum__sim_destroy(sim);
}

static void assert_unit(const char *sectors, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) assert_int_equal(sectors[i], sectors[from]);
}

static void each_mode_leaves_what_it_says(void **state)
{
    (void)state;
    char sectors[8 * BLOCK / SECTOR];
    for (int mode = 0; mode < LUM__SIM_MODES; mode++) {
        bool has_split_block = false, has_split_write = false, has_hole_before = false, has_old = false,
             has_new = false;
        for (uint64_t seed = first_seed; seed < first_seed + ROUNDS; seed++) {
            cut_two_writes((enum lum__sim_mode)mode, seed, sectors);
            for (size_t i = 8; i < 32; i += 8) {
                for (size_t j = i; j < i + 8; j++) has_split_block |= sectors[j] != sectors[i];
                has_split_write |= sectors[i] != sectors[8];
            }
            if (mode == LUM__SIM_TORN_4096) {
                for (size_t i = 0; i < 64; i += 8) assert_unit(sectors, i, i + 8);
            }
            if (mode == LUM__SIM_REORDERED) {
                assert_unit(sectors, 8, 32);
                assert_unit(sectors, 40, 56);
            }
            has_hole_before |= sectors[8] == 'o' && sectors[40] == '2';
            has_old |= memchr(sectors + 8, 'o', 24) != NULL;
            has_new |= memchr(sectors + 8, '1', 24) != NULL;
        }
        bool is_torn_small = mode == LUM__SIM_TORN_512 || mode == LUM__SIM_MIXED;
        assert_int_equal(has_split_block, is_torn_small);
        assert_int_equal(has_split_write, is_torn_small || mode == LUM__SIM_TORN_4096);
        assert_int_equal(has_hole_before, mode != LUM__SIM_DROPPED && mode != LUM__SIM_KEPT);
        assert_int_equal(has_old, mode != LUM__SIM_KEPT);
        assert_int_equal(has_new, mode != LUM__SIM_DROPPED);
    }
}

static void what_was_synced_survives_and_the_cut_is_final(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + ROUNDS; seed++) {
        struct lum__sim *sim = disk_with_old_file(seed);
        struct lum__fs *fs = mount(sim);
        struct lum__file *file = open_file(fs, "a", LUM__OPEN_WRITE);
        ok(lum__file_write(file, "synced", 6, 100));
        ok(lum__file_truncate(file, 10000));
        ok(lum__file_write(file, "end", 3, 12000));
        ok(lum__file_sync(file));
        lum__sim_power_cut(sim, (enum lum__sim_mode)(seed % LUM__SIM_MODES), seed);
        ok(lum__file_close(file));
        lum__fs_close(fs);
        for (int again = 0; again < 3; again++) {
            size_t bytes = 0;
            uint8_t *content = content_of(sim, "a", &bytes);
            assert_int_equal(bytes, 12003);
            assert_memory_equal(content + 100, "synced", 6);
            assert_memory_equal(content + 12000, "end", 3);
            assert_int_equal(content[9999], 'o');
            assert_true(lum__is_zero(content + 10000, 2000));
            free(content);
            lum__sim_power_cut(sim, LUM__SIM_MIXED, seed + 1000);
        }
        lum__sim_destroy(sim);
    }
}

static void the_same_seed_is_the_same_cut(void **state)
{
    (void)state;
    char one[64], two[64];
    bool differs = false;
    for (uint64_t seed = first_seed; seed < first_seed + 20; seed++) {
        cut_two_writes(LUM__SIM_MIXED, seed, one);
        cut_two_writes(LUM__SIM_MIXED, seed, two);
        assert_memory_equal(one, two, sizeof one);
        cut_two_writes(LUM__SIM_MIXED, seed + 1, two);
        differs |= memcmp(one, two, sizeof one) != 0;
    }
    assert_true(differs);
}

static void sizes_of_unsynced_growth_vary(void **state)
{
    (void)state;
    bool has_old_size = false, has_full_size = false, has_between = false, has_zeros_at_end = false;
    uint8_t new[4 * BLOCK];
    fill(new, sizeof new, 'n');
    for (uint64_t seed = first_seed; seed < first_seed + ROUNDS; seed++) {
        struct lum__sim *sim = disk_with_old_file(seed);
        struct lum__fs *fs = mount(sim);
        struct lum__file *file = open_file(fs, "a", LUM__OPEN_WRITE);
        ok(lum__file_write(file, new, sizeof new, 8 * BLOCK));
        lum__sim_power_cut(sim, LUM__SIM_TORN_512, seed);
        ok(lum__file_close(file));
        lum__fs_close(fs);
        size_t bytes = 0;
        uint8_t *content = content_of(sim, "a", &bytes);
        assert_true(bytes >= 8 * BLOCK && bytes <= 12 * BLOCK);
        has_old_size |= bytes == 8 * BLOCK;
        has_full_size |= bytes == 12 * BLOCK;
        has_between |= bytes > 8 * BLOCK && bytes < 12 * BLOCK;
        has_zeros_at_end |= bytes == 12 * BLOCK && content[bytes - 1] == 0;
        free(content);
        lum__sim_destroy(sim);
    }
    assert_true(has_old_size && has_full_size && has_between && has_zeros_at_end);
}

/* --- power cuts and names --- */

static void names_survive_each_for_itself(void **state)
{
    (void)state;
    bool seen[2][2] = {{false}};
    bool has_renamed = false, has_not_renamed = false, has_unlinked = false, has_not_unlinked = false,
         has_lost_folder = false;
    for (uint64_t seed = first_seed; seed < first_seed + ROUNDS; seed++) {
        struct lum__sim *sim = disk_with_old_file(seed);
        struct lum__fs *fs = mount(sim);
        ok(lum__fs_replace(fs, "gone", "x", 1));
        ok(lum__file_close(make_file(fs, "one")));
        ok(lum__file_close(make_file(fs, "two")));
        ok(lum__fs_rename(fs, "a", "b"));
        ok(lum__fs_unlink(fs, "gone"));
        ok(lum__fs_mkdir(fs, "wal"));
        struct lum__file *file = make_file(fs, "wal/1");
        ok(lum__file_sync(file));
        ok(lum__fs_sync_dir(fs, "wal"));
        ok(lum__file_close(file));
        lum__fs_close(fs);
        lum__sim_power_cut(sim, LUM__SIM_MIXED, seed);
        seen[has_file(sim, "one")][has_file(sim, "two")] = true;
        assert_int_not_equal(has_file(sim, "a"), has_file(sim, "b")); /* both names or neither */
        has_renamed |= has_file(sim, "b");
        has_not_renamed |= has_file(sim, "a");
        has_unlinked |= !has_file(sim, "gone");
        has_not_unlinked |= has_file(sim, "gone");
        has_lost_folder |= !has_file(sim, "wal/1");
        lum__sim_destroy(sim);
    }
    assert_true(seen[0][0] && seen[0][1] && seen[1][0] && seen[1][1]);
    assert_true(has_renamed && has_not_renamed && has_unlinked && has_not_unlinked && has_lost_folder);
}

static void modes_of_names(void **state)
{
    (void)state;
    for (int kept = 0; kept < 2; kept++) {
        struct lum__sim *sim = disk_with_old_file(1);
        struct lum__fs *fs = mount(sim);
        ok(lum__file_close(make_file(fs, "new")));
        ok(lum__fs_unlink(fs, "a"));
        lum__fs_close(fs);
        lum__sim_power_cut(sim, kept ? LUM__SIM_KEPT : LUM__SIM_DROPPED, 1);
        assert_int_equal(has_file(sim, "new"), kept);
        assert_int_equal(has_file(sim, "a"), !kept);
        lum__sim_destroy(sim);
    }
}

/* lum__fs_replace, stopped before every step and cut in every mode: old or new, and new once it was reported. Answers
 * how many runs broke that: none on an honest disk, some on one that lies about syncs. */
static uint32_t broken_replaces(bool ignore_file, bool ignore_dir)
{
    uint32_t broken = 0;
    for (uint64_t seed = first_seed; seed < first_seed + ROUNDS; seed++) {
        for (uint64_t step = 1;; step++) {
            struct lum__sim *sim = lum__sim_create(seed);
            struct lum__fs *fs = mount(sim);
            ok(lum__fs_replace(fs, "STATE", "first", 5));
            lum__sim_ignore_file_sync(sim, ignore_file);
            lum__sim_ignore_dir_sync(sim, ignore_dir);
            lum__sim_stop_at(sim, step);
            lum_status status = lum__fs_replace(fs, "STATE", "the second", 10);
            bool was_stopped = lum__sim_is_stopped(sim);
            assert_int_equal(status == LUM_OK, !was_stopped);
            lum__fs_close(fs);
            lum__sim_power_cut(sim, (enum lum__sim_mode)(seed % LUM__SIM_MODES), seed);
            size_t bytes = 0;
            uint8_t *content = content_of(sim, "STATE", &bytes);
            bool is_old = content != NULL && bytes == 5 && memcmp(content, "first", 5) == 0;
            bool is_new = content != NULL && bytes == 10 && memcmp(content, "the second", 10) == 0;
            if (was_stopped ? !is_old && !is_new : !is_new) broken++;
            free(content);
            lum__sim_destroy(sim);
            if (!was_stopped) {
                assert_int_equal(step, 6); /* create, write, sync, rename, sync_dir; the sixth never came */
                break;
            }
        }
    }
    return broken;
}

static void replace_is_atomic_and_lies_are_found_out(void **state)
{
    (void)state;
    assert_int_equal(broken_replaces(false, false), 0);
    assert_true(broken_replaces(true, false) > 0);
    assert_true(broken_replaces(false, true) > 0);
}

/* --- killed processes --- */

static void a_kill_keeps_what_was_written_until_the_power_goes(void **state)
{
    (void)state;
    struct lum__sim *sim = disk_with_old_file(1);
    struct lum__fs *fs = mount(sim);
    struct lum__file *file = open_file(fs, "a", LUM__OPEN_WRITE);
    ok(lum__file_lock(file, 0, LUM__LOCK_EXCLUSIVE));
    ok(lum__file_write(file, "new", 3, 0));
    lum__sim_kill(sim, 1);
    size_t bytes;
    assert_int_equal(lum__file_read(file, &(uint8_t){0}, 1, 0, &bytes), LUM_ERR_IO);
    uint8_t *content = content_of(sim, "a", &bytes);
    assert_memory_equal(content, "newo", 4);
    free(content);

    struct lum__fs *second = mount(sim);
    struct lum__file *again = open_file(second, "a", LUM__OPEN_WRITE);
    ok(lum__file_lock(again, 0,
                      LUM__LOCK_EXCLUSIVE)); /* the dead one's lock went with it, even before its handle was closed */
    ok(lum__file_close(file));
    lum__fs_close(fs);
    lum__sim_power_cut(sim, LUM__SIM_DROPPED, 1);
    ok(lum__file_close(again));
    lum__fs_close(second);
    content = content_of(sim, "a", &bytes);
    assert_memory_equal(content, "oooo", 4);
    free(content);
    lum__sim_destroy(sim);
}

/* --- errors on demand --- */

static void arm(struct lum__sim *sim, enum lum__sim_call call, uint64_t nth, int os_errno, bool is_lasting,
                const char *prefix)
{
    struct lum__sim_fault fault = {.call = call, .nth = nth, .os_errno = os_errno, .is_lasting = is_lasting};
    snprintf(fault.path_prefix, sizeof fault.path_prefix, "%s", prefix);
    lum__sim_arm(sim, &fault);
}

static void faults_strike_when_armed(void **state)
{
    (void)state;
    struct lum__sim *sim = disk_with_old_file(1);
    struct lum__fs *fs = mount(sim);
    struct lum__file *file = open_file(fs, "a", LUM__OPEN_WRITE), *other = make_file(fs, "b"), *none = NULL;
    uint8_t byte;
    size_t bytes;
    arm(sim, LUM__SIM_WRITE, 2, ENOSPC, false, "a");
    ok(lum__file_write(file, "x", 1, 0));
    ok(lum__file_write(other, "x", 1, 0)); /* not on this path */
    assert_int_equal(lum__file_write(file, "x", 1, 0), LUM_ERR_NO_SPACE);
    assert_int_equal(lum__error_last()->os_errno, ENOSPC);
    assert_string_equal(lum__error_last()->file, "a");
    ok(lum__file_write(file, "x", 1, 0)); /* once */
    arm(sim, LUM__SIM_READ, 1, EIO, true, "");
    for (int i = 0; i < 3; i++) assert_int_equal(lum__file_read(file, &byte, 1, 0, &bytes), LUM_ERR_IO);
    lum__sim_disarm(sim);
    ok(lum__file_read(file, &byte, 1, 0, &bytes));
    arm(sim, LUM__SIM_ALLOCATE, 1, EDQUOT, false, "");
    assert_int_equal(lum__file_allocate(file, 0, 1 << 20), LUM_ERR_NO_SPACE);
    arm(sim, LUM__SIM_TRUNCATE, 1, EIO, false, "");
    assert_int_equal(lum__file_truncate(file, 0), LUM_ERR_IO);
    arm(sim, LUM__SIM_OPEN, 1, EACCES, false, "b");
    assert_int_equal(lum__fs_open_file(fs, "b", LUM__OPEN_READ, &none), LUM_ERR_PERMISSION);
    arm(sim, LUM__SIM_CREATE, 1, ENOSPC, false, "");
    assert_int_equal(lum__fs_open_file(fs, "c", LUM__OPEN_WRITE | LUM__OPEN_CREATE, &none), LUM_ERR_NO_SPACE);
    assert_false(has_file(sim, "c"));
    arm(sim, LUM__SIM_RENAME, 1, EIO, false, "b");
    assert_int_equal(lum__fs_rename(fs, "b", "c"), LUM_ERR_IO);
    assert_true(has_file(sim, "b"));
    arm(sim, LUM__SIM_SYNC_DIR, 1, EIO, false, "");
    assert_int_equal(lum__fs_sync_dir(fs, ""), LUM_ERR_SYNC);
    arm(sim, LUM__SIM_UNLINK, 1, EIO, false, "");
    assert_int_equal(lum__fs_unlink(fs, "b"), LUM_ERR_IO);
    arm(sim, LUM__SIM_MKDIR, 1, ENOSPC, false, "");
    assert_int_equal(lum__fs_mkdir(fs, "wal"), LUM_ERR_NO_SPACE);
    ok(lum__file_close(file));
    ok(lum__file_close(other));
    lum__fs_close(fs);
    lum__sim_power_cut(sim, LUM__SIM_DROPPED, 1);
    assert_false(has_file(sim, "b")); /* the failed directory sync made nothing durable */
    lum__sim_destroy(sim);
}

static void a_failed_sync_loses_what_the_page_cache_still_shows(void **state)
{
    (void)state;
    uint8_t new[8 * BLOCK], cached[8 * BLOCK];
    static _Alignas(BLOCK) uint8_t direct[8 * BLOCK];
    bool has_loss = false, has_survivor = false;
    fill(new, sizeof new, 'n');
    for (uint64_t seed = first_seed; seed < first_seed + 20; seed++) {
        struct lum__sim *sim = disk_with_old_file(seed);
        struct lum__fs *fs = mount(sim);
        struct lum__file *file = open_file(fs, "a", LUM__OPEN_WRITE);
        struct lum__file *direct_file = open_file(fs, "a", LUM__OPEN_READ | LUM__OPEN_DIRECT);
        size_t bytes;
        ok(lum__file_write(file, new, sizeof new, 0));
        ok(lum__file_read(direct_file, direct, sizeof direct, 0, &bytes));
        assert_memory_equal(direct, new, sizeof new);
        arm(sim, LUM__SIM_SYNC, 1, EIO, false, "");
        assert_int_equal(lum__file_sync(file), LUM_ERR_SYNC);
        assert_int_equal(lum__error_last()->os_errno, EIO);
        ok(lum__file_sync(file)); /* the next one reports success all the same */
        ok(lum__file_read(file, cached, sizeof cached, 0, &bytes));
        assert_memory_equal(cached, new, sizeof new);
        ok(lum__file_read(direct_file, direct, sizeof direct, 0, &bytes));
        has_loss |= memchr(direct, 'o', sizeof direct) != NULL;
        has_survivor |= memchr(direct, 'n', sizeof direct) != NULL;
        lum__sim_power_cut(sim, LUM__SIM_DROPPED, seed);
        ok(lum__file_close(file));
        ok(lum__file_close(direct_file));
        lum__fs_close(fs);
        uint8_t *content = content_of(sim, "a", &bytes);
        assert_memory_equal(content, direct, sizeof direct); /* direct reads told the truth */
        free(content);
        lum__sim_destroy(sim);
    }
    assert_true(has_loss && has_survivor);
}

static void a_full_disk_is_full(void **state)
{
    (void)state;
    struct lum__sim *sim = lum__sim_create(1);
    struct lum__fs *fs = mount(sim);
    struct lum__file *file = make_file(fs, "a");
    struct lum__file_info info;
    uint8_t block[3 * BLOCK] = {1};
    uint64_t free_bytes;
    lum__sim_set_limit(sim, 10 * BLOCK);
    ok(lum__file_allocate(file, 0, 8 * BLOCK));
    ok(lum__fs_free_bytes(fs, &free_bytes));
    assert_int_equal(free_bytes, 2 * BLOCK);
    assert_int_equal(lum__file_allocate(file, 8 * BLOCK, 3 * BLOCK), LUM_ERR_NO_SPACE);
    ok(lum__file_write(file, block, 3 * BLOCK, 5 * BLOCK)); /* reserved */
    assert_int_equal(lum__file_write(file, block, 3 * BLOCK, 8 * BLOCK), LUM_ERR_NO_SPACE);
    ok(lum__file_info(file, &info));
    assert_int_equal(info.size_bytes, 10 * BLOCK); /* the part that fitted is there */
    assert_int_equal(lum__file_write(file, block, 1, 10 * BLOCK), LUM_ERR_NO_SPACE);
    assert_int_equal(lum__sim_used_bytes(sim), 10 * BLOCK);
    ok(lum__file_punch(file, 0, 4 * BLOCK));
    ok(lum__file_write(file, block, 1, 10 * BLOCK));
    ok(lum__fs_free_bytes(fs, &free_bytes));
    assert_int_equal(free_bytes, 3 * BLOCK);
    ok(lum__file_close(file));
    ok(lum__fs_unlink(fs, "a"));
    ok(lum__fs_sync_dir(fs, ""));
    assert_int_equal(lum__sim_used_bytes(sim), 0);
    lum__fs_close(fs);
    lum__sim_destroy(sim);
}

static void a_read_only_disk_changes_nothing(void **state)
{
    (void)state;
    struct lum__sim *sim = disk_with_old_file(1);
    struct lum__fs *fs = NULL;
    struct lum__file *file = NULL;
    for (int mounted = 0; mounted < 2; mounted++) {
        lum_status expected = mounted ? LUM_ERR_PERMISSION : LUM_ERR_READ_ONLY;
        lum__sim_set_read_only(sim, mounted);
        ok(lum__sim_open(sim, !mounted, &fs));
        assert_int_equal(lum__fs_open_file(fs, "a", LUM__OPEN_WRITE, &file), expected);
        assert_int_equal(lum__fs_replace(fs, "b", "", 0), expected);
        assert_int_equal(lum__fs_rename(fs, "a", "b"), expected);
        ok(lum__fs_open_file(fs, "a", LUM__OPEN_READ, &file));
        ok(lum__file_lock(file, 1, LUM__LOCK_SHARED));
        ok(lum__file_close(file));
        lum__fs_close(fs);
    }
    assert_true(has_file(sim, "a"));
    lum__sim_destroy(sim);
}

/* --- queues --- */

static uint32_t reap_all(struct lum__io_queue *queue, uint32_t count, struct lum__io_completion *out)
{
    uint32_t reaped = 0, all = 0;
    while (all < count) {
        ok(lum__io_reap(queue, 1, out + all, count - all, &reaped));
        all += reaped;
    }
    return all;
}

static void a_sync_does_not_cover_what_was_not_reaped(void **state)
{
    (void)state;
    for (int reaped = 0; reaped < 2; reaped++) {
        struct lum__sim *sim = disk_with_old_file(1);
        struct lum__fs *fs = mount(sim);
        struct lum__file *file = open_file(fs, "a", LUM__OPEN_WRITE);
        struct lum__io_queue *queue = NULL;
        struct lum__io_completion done;
        size_t bytes;
        uint8_t byte;
        ok(lum__io_open(fs, 4, NULL, &queue));
        ok(lum__io_submit_write(queue, file, "n", 1, 0, 42));
        ok(lum__file_read(file, &byte, 1, 0, &bytes));
        assert_int_equal(byte, 'o');
        if (reaped) {
            reap_all(queue, 1, &done);
            assert_int_equal(done.user, 42);
            assert_int_equal(done.result, 1);
        }
        ok(lum__file_sync(file));
        lum__sim_power_cut(sim, LUM__SIM_DROPPED, 1);
        if (!reaped) {
            reap_all(queue, 1, &done);
            assert_int_equal(done.result, -EIO);
        }
        lum__io_close(queue);
        ok(lum__file_close(file));
        lum__fs_close(fs);
        uint8_t *content = content_of(sim, "a", &bytes);
        assert_int_equal(content[0], reaped ? 'n' : 'o');
        free(content);
        lum__sim_destroy(sim);
    }
}

static void completions_fail_fall_short_and_change_order(void **state)
{
    (void)state;
    struct lum__sim *sim = disk_with_old_file(first_seed);
    struct lum__fs *fs = mount(sim);
    struct lum__file *file = open_file(fs, "a", LUM__OPEN_WRITE | LUM__OPEN_DIRECT);
    struct lum__io_queue *queue = NULL;
    struct lum__io_completion done[16];
    static _Alignas(BLOCK) uint8_t block[2 * BLOCK];
    ok(lum__io_open(fs, 16, NULL, &queue));
    arm(sim, LUM__SIM_COMPLETION_WRITE, 2, EIO, false, "");
    arm(sim, LUM__SIM_SHORT, 3, 0, false, "");
    for (uint32_t i = 0; i < 4; i++) ok(lum__io_submit_write(queue, file, block, 2 * BLOCK, i * BLOCK, i));
    reap_all(queue, 4, done);
    assert_int_equal(done[0].result, 2 * BLOCK);
    assert_int_equal(done[1].result, -EIO);
    assert_int_equal(done[2].result, 2 * BLOCK);
    assert_int_equal(done[3].result,
                     BLOCK); /* the third that was asked whether it falls short; the failed one was not */
    assert_int_equal(lum__io_result_check(file, true, 0, 2 * BLOCK, done[1].result), LUM_ERR_IO);
    assert_int_equal(lum__io_result_check(file, true, 0, 2 * BLOCK, done[3].result), LUM_ERR_IO);
    arm(sim, LUM__SIM_SUBMIT, 1, EAGAIN, false, "");
    assert_int_equal(lum__io_submit_read(queue, file, block, BLOCK, 0, 9), LUM_ERR_IO);

    lum__sim_set_reorder_queue(sim, true);
    bool is_reordered = false, was_late = false;
    for (int round = 0; round < 10; round++) {
        uint32_t at_once = 0, seen = 0;
        for (uint32_t i = 0; i < 16; i++) ok(lum__io_submit_read(queue, file, block, BLOCK, 0, i));
        ok(lum__io_reap(queue, 0, done, 16, &at_once));
        was_late |= at_once < 16;
        if (at_once < 16) reap_all(queue, 16 - at_once, done + at_once);
        for (uint32_t i = 0; i < 16; i++) {
            is_reordered |= done[i].user != i;
            seen |= 1u << done[i].user;
        }
        assert_int_equal(seen, 0xffff);
    }
    assert_true(is_reordered && was_late);
    lum__sim_set_limit(sim, lum__sim_used_bytes(sim));
    ok(lum__io_submit_write(queue, file, block, BLOCK, 100 * BLOCK, 1));
    reap_all(queue, 1, done);
    assert_int_equal(done[0].result, -ENOSPC);
    lum__io_close(queue);
    ok(lum__file_close(file));
    lum__fs_close(fs);
    lum__sim_destroy(sim);
}

/* Runs `mistake` in a child that is expected to die of an assertion. */
static void assert_aborts(void (*mistake)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        if (freopen("/dev/null", "w", stderr) == NULL) _exit(2);
        mistake();
        _exit(0);
    }
    int wait_status = 0;
    assert_int_equal(waitpid(child, &wait_status, 0), child);
    assert_true(WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGABRT);
}

static void change_a_buffer_in_flight(void)
{
    struct lum__sim *sim = lum__sim_create(1);
    struct lum__fs *fs = mount(sim);
    struct lum__file *file = make_file(fs, "a");
    struct lum__io_queue *queue = NULL;
    uint8_t buffer[16] = {0};
    ok(lum__io_open(fs, 1, NULL, &queue));
    ok(lum__io_submit_write(queue, file, buffer, sizeof buffer, 0, 0));
    buffer[7] = 1;
    lum__io_close(queue);
}

static void close_a_file_in_flight(void)
{
    struct lum__sim *sim = lum__sim_create(1);
    struct lum__fs *fs = mount(sim);
    struct lum__file *file = make_file(fs, "a");
    struct lum__io_queue *queue = NULL;
    uint8_t buffer[16] = {0};
    ok(lum__io_open(fs, 1, NULL, &queue));
    ok(lum__io_submit_write(queue, file, buffer, sizeof buffer, 0, 0));
    (void)lum__file_close(file);
}

static void write_direct_and_unaligned(void)
{
    struct lum__sim *sim = lum__sim_create(1);
    struct lum__fs *fs = mount(sim);
    struct lum__file *file = open_file(fs, "a", LUM__OPEN_WRITE | LUM__OPEN_CREATE | LUM__OPEN_DIRECT);
    lum_status status = lum__file_write(file, "x", 1, 0);
    (void)status;
}

static void mistakes_are_caught(void **state)
{
    (void)state;
    assert_aborts(change_a_buffer_in_flight);
    assert_aborts(close_a_file_in_flight);
    assert_aborts(write_direct_and_unaligned);
}

/* --- stops, clones, copies --- */

static void after_a_stop_nothing_happens(void **state)
{
    (void)state;
    struct lum__sim *sim = disk_with_old_file(1);
    struct lum__fs *fs = mount(sim);
    struct lum__file *file = open_file(fs, "a", LUM__OPEN_WRITE), *none = NULL;
    struct lum__io_queue *queue = NULL;
    struct lum__io_completion done;
    uint32_t count;
    uint8_t byte;
    size_t bytes;
    uint64_t steps = lum__sim_steps(sim);
    ok(lum__io_open(fs, 2, NULL, &queue));
    lum__sim_stop_at(sim, 3);
    ok(lum__file_write(file, "1", 1, 0));
    ok(lum__file_read(file, &byte, 1, 0, &bytes)); /* not a step */
    ok(lum__io_submit_write(queue, file, "2", 1, 1, 5));
    assert_int_equal(lum__file_write(file, "3", 1, 2), LUM_ERR_IO);
    assert_true(lum__sim_is_stopped(sim));
    assert_int_equal(lum__sim_steps(sim), steps + 3);
    assert_int_equal(lum__file_read(file, &byte, 1, 0, &bytes), LUM_ERR_IO);
    assert_int_equal(lum__file_sync(file), LUM_ERR_SYNC);
    assert_int_equal(lum__fs_open_file(fs, "a", LUM__OPEN_READ, &none), LUM_ERR_IO);
    ok(lum__io_reap(queue, 1, &done, 1, &count));
    assert_int_equal(done.user, 5);
    assert_int_equal(done.result, -EIO);
    lum__io_close(queue);
    ok(lum__file_close(file));
    lum__fs_close(fs);
    lum__sim_power_cut(sim, LUM__SIM_KEPT, 1);
    uint8_t *content = content_of(sim, "a", &bytes);
    assert_memory_equal(content, "12oo", 4); /* what was submitted may arrive, what came after the stop never */
    free(content);
    lum__sim_destroy(sim);
}

static void clones_go_their_own_way(void **state)
{
    (void)state;
    struct lum__sim *sim = disk_with_old_file(1);
    struct lum__fs *fs = mount(sim);
    struct lum__file *file = open_file(fs, "a", LUM__OPEN_WRITE);
    ok(lum__file_write(file, "new", 3, 0));
    ok(lum__file_close(make_file(fs, "b")));
    struct lum__sim *one = lum__sim_clone(sim, 1), *two = lum__sim_clone(sim, 1);
    assert_int_equal(lum__sim_steps(one), 0);
    lum__sim_power_cut(one, LUM__SIM_DROPPED, 1);
    lum__sim_power_cut(two, LUM__SIM_KEPT, 1);
    ok(lum__file_write(file, "newer", 5, 0)); /* the original lives on */
    size_t bytes;
    uint8_t *content = content_of(one, "a", &bytes);
    assert_memory_equal(content, "oooooo", 6);
    free(content);
    content = content_of(two, "a", &bytes);
    assert_memory_equal(content, "newooo", 6);
    free(content);
    assert_false(has_file(one, "b"));
    assert_true(has_file(two, "b"));
    lum__sim_destroy(one);
    ok(lum__file_close(file));
    lum__fs_close(fs);
    content = content_of(sim, "a", &bytes);
    assert_memory_equal(content, "newero", 6);
    free(content);
    lum__sim_destroy(sim);
    lum__sim_destroy(two);
}

static void a_disk_goes_to_a_directory_and_back(void **state)
{
    (void)state;
    char directory[] = "/tmp/lum_sim_test_XXXXXX", command[64];
    assert_non_null(mkdtemp(directory));
    struct lum__sim *sim = disk_with_old_file(1), *back = lum__sim_create(2);
    struct lum__fs *fs = mount(sim);
    ok(lum__fs_mkdir(fs, "wal"));
    ok(lum__fs_mkdir(fs, "empty"));
    struct lum__file *file = make_file(fs, "wal/1.wal");
    ok(lum__file_write(file, "far", 3, 3 * BLOCK + 5));
    ok(lum__file_close(file));
    lum__fs_close(fs);
    ok(lum__sim_dump(sim, directory));
    ok(lum__sim_load(back, directory));
    lum__sim_power_cut(back, LUM__SIM_DROPPED, 1); /* what is loaded is durable */
    const char *const paths[] = {"a", "wal/1.wal"};
    for (int i = 0; i < 2; i++) {
        size_t bytes, bytes_back;
        uint8_t *content = content_of(sim, paths[i], &bytes), *content_back = content_of(back, paths[i], &bytes_back);
        assert_non_null(content_back);
        assert_int_equal(bytes, bytes_back);
        assert_memory_equal(content, content_back, bytes);
        free(content);
        free(content_back);
    }
    fs = mount(back);
    assert_int_equal(lum__fs_mkdir(fs, "empty"), LUM_ERR_EXISTS);
    lum__fs_close(fs);
    lum__sim_destroy(sim);
    lum__sim_destroy(back);
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    assert_int_equal(system(command), 0);
}

static void damage_is_silent_and_lasting(void **state)
{
    (void)state;
    struct lum__sim *sim = disk_with_old_file(1);
    ok(lum__sim_flip_bit(sim, "a", 8 * 5 + 2));
    ok(lum__sim_edit(sim, "a", 10, "edit", 4));
    assert_int_equal(lum__sim_edit(sim, "a", 8 * BLOCK - 1, "xy", 2), LUM_ERR_IO);
    assert_int_equal(lum__sim_flip_bit(sim, "none", 0), LUM_ERR_NOT_FOUND);
    lum__sim_power_cut(sim, LUM__SIM_MIXED, 1);
    size_t bytes;
    uint8_t *content = content_of(sim, "a", &bytes);
    assert_int_equal(bytes, 8 * BLOCK);
    assert_int_equal(content[5], 'o' ^ 4);
    assert_memory_equal(content + 9, "oedito", 6);
    free(content);
    lum__sim_destroy(sim);
}

/* --- threads --- */

struct writer {
    struct lum__fs *fs;
    char path[16];
    pthread_t thread;
};

static void *write_a_file(void *context)
{
    struct writer *writer = context;
    uint8_t bytes[BLOCK];
    struct lum__file *file = NULL;
    if (lum__fs_open_file(writer->fs, writer->path, LUM__OPEN_WRITE | LUM__OPEN_CREATE, &file) != LUM_OK) return writer;
    for (uint32_t i = 0; i < 200; i++) {
        fill(bytes, sizeof bytes, (uint8_t)i);
        if (lum__file_write(file, bytes, sizeof bytes, (uint64_t)i * BLOCK) != LUM_OK) return writer;
        if (i % 10 == 0 && lum__file_sync(file) != LUM_OK) return writer;
    }
    return lum__file_sync(file) == LUM_OK && lum__file_close(file) == LUM_OK ? NULL : writer;
}

static void threads_may_share_a_disk(void **state)
{
    (void)state;
    struct lum__sim *sim = lum__sim_create(1);
    struct writer writers[4];
    struct lum__fs *fs = mount(sim);
    for (int i = 0; i < 4; i++) {
        writers[i].fs = fs;
        snprintf(writers[i].path, sizeof writers[i].path, "f%d", i);
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_a_file, &writers[i]), 0);
    }
    struct lum__sim *clone = lum__sim_clone(sim, 1); /* in the midst of it; shares blocks with the writers */
    lum__sim_power_cut(clone, LUM__SIM_MIXED, 1);
    lum__sim_destroy(clone);
    for (int i = 0; i < 4; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(writers[i].thread, &failed), 0);
        assert_null(failed);
    }
    ok(lum__fs_sync_dir(fs, ""));
    lum__fs_close(fs);
    lum__sim_power_cut(sim, LUM__SIM_DROPPED, 1);
    for (int i = 0; i < 4; i++) {
        size_t bytes;
        uint8_t *content = content_of(sim, writers[i].path, &bytes);
        assert_int_equal(bytes, 200 * BLOCK);
        for (size_t at = 0; at < bytes; at += 997) assert_int_equal(content[at], (uint8_t)(at / BLOCK));
        free(content);
    }
    lum__sim_destroy(sim);
}

int main(void)
{
    const char *seed = getenv("LUM_SEED");
    if (seed != NULL) first_seed = strtoull(seed, NULL, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mode_leaves_what_it_says),
        cmocka_unit_test(what_was_synced_survives_and_the_cut_is_final),
        cmocka_unit_test(the_same_seed_is_the_same_cut),
        cmocka_unit_test(sizes_of_unsynced_growth_vary),
        cmocka_unit_test(names_survive_each_for_itself),
        cmocka_unit_test(modes_of_names),
        cmocka_unit_test(replace_is_atomic_and_lies_are_found_out),
        cmocka_unit_test(a_kill_keeps_what_was_written_until_the_power_goes),
        cmocka_unit_test(faults_strike_when_armed),
        cmocka_unit_test(a_failed_sync_loses_what_the_page_cache_still_shows),
        cmocka_unit_test(a_full_disk_is_full),
        cmocka_unit_test(a_read_only_disk_changes_nothing),
        cmocka_unit_test(a_sync_does_not_cover_what_was_not_reaped),
        cmocka_unit_test(completions_fail_fall_short_and_change_order),
        cmocka_unit_test(mistakes_are_caught),
        cmocka_unit_test(after_a_stop_nothing_happens),
        cmocka_unit_test(clones_go_their_own_way),
        cmocka_unit_test(a_disk_goes_to_a_directory_and_back),
        cmocka_unit_test(damage_is_silent_and_lasting),
        cmocka_unit_test(threads_may_share_a_disk),
    };
    int failed = cmocka_run_group_tests_name("the disk in memory", tests, NULL, NULL);
    if (failed > 0) fprintf(stderr, "LUM_SEED=%llu replays this\n", (unsigned long long)first_seed);
    return failed;
}
