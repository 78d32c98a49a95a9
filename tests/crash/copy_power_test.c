/* A copy of a store is a store, or nothing: the power of the destination is cut in every step of the copying, in each
 * of the disk's ways; what is left opens nowhere, or is whole and holds what the source held. And a source whose chunk
 * is damaged is refused, whatever is damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/status.h"
#include "recovery/copy_store.h"
#include "recovery/verify.h"
#include "storage/file_sim.h"
#include "support/tiny_store.h"

enum { LOADS = 6 };
static const lum_options store_options = {.struct_version = 1, .wal_segment_bytes = 65536};
static const struct lum__copy_options copy_options = {.workers = 1, .memory_bytes_max = 64 << 20};
static struct tiny_load loads[LOADS];

#define ok(call) assert_int_equal((call), LUM_OK)

/* Commits, a checkpoint in the middle, a transaction left open; the writer stays. */
static void make_source(struct lum__sim *sim, struct tiny *tiny)
{
    struct lum__fs *fs = NULL;
    ok(lum__sim_open(sim, false, &fs));
    ok(tiny_create(tiny, fs, &store_options));
    for (uint64_t i = 0; i < LOADS; i++) {
        bool written = false;
        loads[i] = (struct tiny_load){
            .number = i, .chunk_count = 1 + (uint32_t)i % 3, .chunk_rows = 100 + (uint32_t)i, .data_synced = true};
        ok(tiny_commit(tiny, &loads[i], &written));
        if (i % 2 == 1) ok(tiny_checkpoint(tiny));
    }
    struct tiny_load open = {.number = 77, .chunk_count = 2, .chunk_rows = 50};
    ok(tiny_leave(tiny, &open, false));
}

static lum_status copy_to(struct lum__sim *from_sim, struct lum__sim *to_sim)
{
    struct lum__fs *from = NULL, *to = NULL;
    lum_backup_report report = LUM_BACKUP_REPORT_INIT;
    ok(lum__sim_open(from_sim, true, &from));
    ok(lum__sim_open(to_sim, false, &to));
    lum_status status = lum__copy_snapshot(from, to, &copy_options, &report);
    lum__fs_close(to);
    lum__fs_close(from);
    return status;
}

/* What a cut left: nothing that opens, or the whole. Returns whether it opens. */
static bool check_left(struct lum__sim *sim)
{
    struct lum__fs *fs = NULL;
    struct lum__state state;
    struct tiny tiny;
    char why[256] = "";
    lum_verify_report report;
    ok(lum__sim_open(sim, false, &fs));
    bool is_store = lum__state_read(fs, &state) != LUM_ERR_NOT_FOUND;
    if (is_store) {
        lum_status status = lum__verify(fs, 1, NULL, NULL, &report);
        if (status != LUM_OK) print_error("verify of a copy: %s\n", lum__error_last()->message);
        assert_int_equal(status, LUM_OK);
        assert_true(state.is_clean);
        ok(tiny_open(&tiny, fs, &store_options));
        assert_false(tiny.parts.report.crash_detected);
        int64_t found = tiny_check(&tiny, loads, LOADS, why);
        if (found != LOADS) print_error("a copy: %s\n", why);
        assert_int_equal(found, LOADS);
        ok(tiny_close(&tiny));
        ok(lum__verify(fs, 1, NULL, NULL, &report));
    }
    lum__fs_close(fs);
    return is_store;
}

static void every_cut_leaves_a_store_or_nothing(void **state)
{
    struct lum__sim *from = lum__sim_create(1);
    struct tiny tiny;
    uint64_t whole = 0, nothing = 0;
    (void)state;
    make_source(from, &tiny);
    for (uint64_t step = 1;; step++) {
        bool is_through = false;
        for (int mode = 0; mode < LUM__SIM_MODES; mode++) {
            struct lum__sim *to = lum__sim_create(step);
            lum__sim_stop_at(to, step);
            is_through = copy_to(from, to) == LUM_OK && !lum__sim_is_stopped(to);
            lum__sim_power_cut(to, (enum lum__sim_mode)mode, step * 31 + (uint64_t)mode);
            bool is_store = check_left(to);
            if (is_through) assert_true(is_store); /* it was told to be one: it has to be, whatever the cut did */
            whole += is_store;
            nothing += !is_store;
            lum__sim_destroy(to);
        }
        if (is_through) break;
    }
    print_message("copies: %llu whole, %llu nothing\n", (unsigned long long)whole, (unsigned long long)nothing);
    assert_true(whole >= LUM__SIM_MODES && nothing > 100);
    struct lum__fs *fs = tiny.fs;
    ok(tiny_close(&tiny));
    lum__fs_close(fs);
    lum__sim_destroy(from);
}

/* A copy that cannot even look into its destination removes nothing there: it may be somebody's store. */
static void what_a_copy_did_not_make_is_not_removed(void **state)
{
    static const enum lum__sim_call calls[] = {LUM__SIM_LIST, LUM__SIM_LOCK, LUM__SIM_CREATE};
    struct lum__sim *from = lum__sim_create(4);
    struct tiny source;
    (void)state;
    make_source(from, &source);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        struct lum__sim *to = lum__sim_create(5);
        struct tiny other;
        struct lum__sim_fault fault = {.call = calls[i], .nth = 1, .os_errno = EMFILE};
        make_source(to, &other);
        struct lum__fs *other_fs = other.fs;
        ok(tiny_close(&other));
        lum__fs_close(other_fs);
        lum__sim_arm(to, &fault);
        assert_int_not_equal(copy_to(from, to), LUM_OK);
        lum__sim_disarm(to);
        assert_true(check_left(to));
        lum__sim_destroy(to);
    }
    struct lum__fs *fs = source.fs;
    ok(tiny_close(&source));
    lum__fs_close(fs);
    lum__sim_destroy(from);
}

/* A crashed source: what its log proves. */
static void a_crashed_store_is_copied_as_recovery_would_leave_it(void **state)
{
    struct lum__sim *from = lum__sim_create(2), *to = lum__sim_create(3);
    struct tiny tiny;
    (void)state;
    make_source(from, &tiny);
    lum__sim_kill(from, 5);
    struct lum__fs *fs = tiny.fs;
    tiny_abandon(&tiny);
    lum__fs_close(fs);
    ok(copy_to(from, to));
    lum__sim_power_cut(to, LUM__SIM_DROPPED, 1);
    assert_true(check_left(to));
    assert_int_equal(copy_to(from, to), LUM_ERR_EXISTS); /* not empty any more */
    assert_true(check_left(to));
    lum__sim_destroy(to);
    lum__sim_destroy(from);
}

static void damage_is_never_copied(void **state)
{
    struct lum__sim *from = lum__sim_create(2), *to = lum__sim_create(3);
    struct tiny tiny;
    (void)state;
    make_source(from, &tiny);
    struct lum__fs *fs = tiny.fs;
    ok(tiny_close(&tiny));
    lum__fs_close(fs);
    ok(lum__sim_flip_bit(from, "data/1.seg", (4096 + 700) * 8)); /* in the first chunk's first page */
    assert_int_equal(copy_to(from, to), LUM_ERR_CORRUPT);
    assert_false(check_left(to));
    lum__sim_destroy(to);
    lum__sim_destroy(from);
}

/* A full destination: exit 7's status, nothing left but folders, and the source is as it was. */
static void a_full_destination_is_told(void **state)
{
    struct lum__sim *from = lum__sim_create(2), *to = lum__sim_create(3);
    struct tiny tiny;
    (void)state;
    make_source(from, &tiny);
    lum__sim_set_limit(to, 1 << 20);
    assert_int_equal(copy_to(from, to), LUM_ERR_NO_SPACE);
    assert_false(check_left(to));
    assert_true(lum__sim_used_bytes(to) < 8192);
    struct lum__fs *fs = tiny.fs;
    ok(tiny_close(&tiny));
    lum__fs_close(fs);
    lum__sim_destroy(to);
    lum__sim_destroy(from);
}

int main(void)
{
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); /* hundreds of small openings */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_leaves_a_store_or_nothing),
        cmocka_unit_test(what_a_copy_did_not_make_is_not_removed),
        cmocka_unit_test(a_crashed_store_is_copied_as_recovery_would_leave_it),
        cmocka_unit_test(damage_is_never_copied),
        cmocka_unit_test(a_full_destination_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
