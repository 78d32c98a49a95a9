/* lum_options.on_full: who owns the store is asked exactly where nothing was written yet, what he waited for goes on as
 * if nothing had been, and a failed sync is never one of these (pitfalls 6 and 13). On the simulated disk. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#include "api/store.h"
#include "storage/file_sim.h"
#include "support/rows.h"

enum { ROWS = 40000, TRIES = 3 };

/* The owner of the store: gives room back after so many questions. */
struct owner {
    struct lum__sim *sim;
    uint32_t patience; /* questions until there is room; 0: never, he gives up at the first */
    bool is_fault;     /* what is in the way: an armed fault, else the disk's limit */
    char file_prefix[16];
    _Atomic uint32_t questions, ends;
};

static bool on_full(void *context, const lum_full_data *full)
{
    struct owner *owner = context;
    if (full->is_over) {
        atomic_fetch_add(&owner->ends, 1);
        return false; /* does not matter */
    }
    assert_true(full->os_errno == ENOSPC && full->bytes_needed >= 4096 && full->attempt > 0);
    assert_memory_equal(full->file, owner->file_prefix, strlen(owner->file_prefix));
    uint32_t asked = atomic_fetch_add(&owner->questions, 1) + 1;
    if (asked == owner->patience && owner->is_fault) lum__sim_disarm(owner->sim);
    if (asked == owner->patience && !owner->is_fault) lum__sim_set_limit(owner->sim, 0);
    return owner->patience > 0;
}

static lum_store *open_on(struct lum__sim *sim, struct owner *owner)
{
    lum_options options = LUM_OPTIONS_INIT, resolved;
    struct lum__fs *fs = NULL;
    lum_store *store = NULL;
    options.create = true;
    options.threads = 2;
    options.chunk_lums = 4096;
    options.memory_bytes_max = 64u << 20;
    options.wal_segment_bytes = 65536;
    if (owner != NULL) options.on_full = on_full;
    options.on_full_context = owner;
    assert_int_equal(lum__options_resolve(&options, &resolved), LUM_OK);
    assert_int_equal(lum__sim_open(sim, false, &fs), LUM_OK);
    assert_int_equal(lum__store_open_fs(fs, "sim", &resolved, &store), LUM_OK);
    return store;
}

static lum_status load_rows(lum_store *store, uint64_t first, uint64_t count, uint64_t commit_every)
{
    struct lum_test_source context;
    lum_source source;
    lum_load_options options = LUM_LOAD_OPTIONS_INIT;
    lum_load_report report = LUM_LOAD_REPORT_INIT;
    options.commit_every = commit_every;
    lum_test_source_init(&context, first, count, &source);
    return lum_load(store, &source, &options, &report);
}

/* After a power cut: what was acknowledged is there, and nothing else. */
static void expect_rows(struct lum__sim *sim, uint64_t count)
{
    uint64_t rows = 0;
    lum__sim_power_cut(sim, LUM__SIM_MIXED, count);
    lum_store *store = open_on(sim, NULL);
    assert_int_equal(lum_test_read_prefix(store, &rows), LUM_OK);
    assert_int_equal(rows, count);
    assert_int_equal(lum_close(store), LUM_OK);
}

static void a_load_waits_for_room_for_chunks(void **state)
{
    (void)state;
    struct owner owner = {.sim = lum__sim_create(1), .patience = TRIES, .file_prefix = "data/"};
    lum_store *store = open_on(owner.sim, &owner);
    lum__sim_set_limit(owner.sim, lum__sim_used_bytes(owner.sim) + (256 << 10));
    assert_int_equal(load_rows(store, 0, ROWS, 0), LUM_OK);
    assert_true(owner.questions >= TRIES && owner.ends >= 1);
    assert_int_equal(lum_close(store), LUM_OK);
    expect_rows(owner.sim, ROWS);
    lum__sim_destroy(owner.sim);
}

/* Commits of a row, until the log has to go on in a new segment. */
static void a_commit_waits_for_room_in_the_log(void **state)
{
    (void)state;
    struct owner owner = {.sim = lum__sim_create(2), .patience = TRIES, .is_fault = true, .file_prefix = "wal/"};
    lum_store *store = open_on(owner.sim, &owner);
    struct lum__sim_fault fault = {
        .call = LUM__SIM_CREATE, .nth = 1, .os_errno = ENOSPC, .is_lasting = true, .path_prefix = "wal/"};
    lum__sim_arm(owner.sim, &fault);
    uint64_t row = 0;
    while (owner.questions == 0 && row < 10000) {
        lum_txn *txn = NULL;
        lum_receipt receipt = LUM_RECEIPT_INIT;
        lum_t record;
        lum_test_row(row++, &record);
        assert_int_equal(lum_txn_begin(store, NULL, &txn), LUM_OK);
        assert_int_equal(lum_txn_append(txn, &record, 1), LUM_OK);
        assert_int_equal(lum_txn_commit(txn, &receipt), LUM_OK);
        assert_true(receipt.durable);
    }
    assert_int_equal(owner.questions, TRIES);
    assert_int_equal(owner.ends, 1);
    expect_rows(owner.sim, row); /* without a close */
    (void)!lum_close(store);
    lum__sim_destroy(owner.sim);
}

static void closing_waits_for_its_checkpoint(void **state)
{
    (void)state;
    struct owner owner = {.sim = lum__sim_create(3), .patience = TRIES, .is_fault = true, .file_prefix = "checkpoint-"};
    lum_store *store = open_on(owner.sim, &owner);
    assert_int_equal(load_rows(store, 0, ROWS, 0), LUM_OK);
    struct lum__sim_fault fault = {
        .call = LUM__SIM_WRITE, .nth = 1, .os_errno = ENOSPC, .is_lasting = true, .path_prefix = "checkpoint-"};
    lum__sim_arm(owner.sim, &fault);
    assert_int_equal(lum_close(store), LUM_OK);
    assert_int_equal(owner.questions, TRIES);
    assert_int_equal(owner.ends, 1);
    store = open_on(owner.sim, NULL);
    lum_recovery_data recovery = LUM_RECOVERY_INIT;
    assert_int_equal(lum_recovery_info(store, &recovery), LUM_OK);
    assert_false(recovery.crash_detected);
    assert_int_equal(lum_close(store), LUM_OK);
    expect_rows(owner.sim, ROWS);
    lum__sim_destroy(owner.sim);
}

/* No room for the checkpoint but what a rolled back load has reserved: closing gives that back first, and nobody has to
 * wait. */
static void closing_gives_back_what_was_rolled_back(void **state)
{
    (void)state;
    struct lum__sim *sim = lum__sim_create(4);
    lum_store *store = open_on(sim, NULL);
    assert_int_equal(load_rows(store, 0, 4096, 0), LUM_OK);
    lum__sim_set_limit(sim, lum__sim_used_bytes(sim) + (256 << 10));
    assert_int_equal(load_rows(store, 4096, 16 * ROWS, 0), LUM_ERR_NO_SPACE);
    lum__sim_set_limit(sim, lum__sim_used_bytes(sim));
    assert_int_equal(lum_close(store), LUM_OK);
    lum__sim_set_limit(sim, 0);
    expect_rows(sim, 4096);
    lum__sim_destroy(sim);
}

static void who_gives_up_is_answered_no_space(void **state)
{
    (void)state;
    struct owner owner = {.sim = lum__sim_create(5), .file_prefix = "data/"};
    lum_store *store = open_on(owner.sim, &owner);
    lum__sim_set_limit(owner.sim, lum__sim_used_bytes(owner.sim) + (256 << 10));
    assert_int_equal(load_rows(store, 0, 16 * ROWS, 0), LUM_ERR_NO_SPACE);
    assert_true(owner.questions >= 1);
    assert_int_equal(owner.ends, 0);
    lum__sim_set_limit(owner.sim, 0);
    assert_int_equal(load_rows(store, 0, ROWS, 10000),
                     LUM_OK); /* the store lives on, without a trace of the first load */
    expect_rows(owner.sim, ROWS);
    (void)!lum_close(store);
    lum__sim_destroy(owner.sim);
}

/* The kernel may have dropped what it could not place: final, whoever would like to wait. */
static void a_sync_that_finds_no_room_is_not_waited_for(void **state)
{
    (void)state;
    static const char *const folders[] = {"data/", "wal/"};
    for (size_t i = 0; i < 2; i++) {
        struct owner owner = {.sim = lum__sim_create(6 + i), .patience = TRIES, .is_fault = true};
        lum_store *store = open_on(owner.sim, &owner);
        assert_int_equal(load_rows(store, 0, 4096, 0), LUM_OK);
        struct lum__sim_fault fault = {.call = LUM__SIM_SYNC, .nth = 1, .os_errno = ENOSPC};
        (void)strcpy(fault.path_prefix, folders[i]);
        lum__sim_arm(owner.sim, &fault);
        assert_int_not_equal(load_rows(store, 4096, 4096, 0), LUM_OK);
        assert_int_equal(owner.questions, 0);
        assert_int_equal(lum__store_check_writable(store), LUM_ERR_POISONED);
        assert_int_not_equal(lum_close(store), LUM_OK);
        assert_int_equal(owner.questions, 0);
        expect_rows(owner.sim, 4096);
        lum__sim_destroy(owner.sim);
    }
}

/* `ulimit -f` does not go away. */
static void a_limit_of_the_process_is_not_waited_for(void **state)
{
    (void)state;
    struct owner owner = {.sim = lum__sim_create(8), .patience = TRIES, .is_fault = true};
    lum_store *store = open_on(owner.sim, &owner);
    struct lum__sim_fault fault = {
        .call = LUM__SIM_ALLOCATE, .nth = 1, .os_errno = EFBIG, .is_lasting = true, .path_prefix = "data/"};
    lum__sim_arm(owner.sim, &fault);
    assert_int_equal(load_rows(store, 0, ROWS, 0), LUM_ERR_NO_SPACE);
    assert_non_null(strstr(lum_last_error()->remedy, "ulimit -f"));
    assert_int_equal(owner.questions, 0);
    lum__sim_disarm(owner.sim);
    assert_int_equal(lum_close(store), LUM_OK);
    lum__sim_destroy(owner.sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_load_waits_for_room_for_chunks),
        cmocka_unit_test(a_commit_waits_for_room_in_the_log),
        cmocka_unit_test(closing_waits_for_its_checkpoint),
        cmocka_unit_test(closing_gives_back_what_was_rolled_back),
        cmocka_unit_test(who_gives_up_is_answered_no_space),
        cmocka_unit_test(a_sync_that_finds_no_room_is_not_waited_for),
        cmocka_unit_test(a_limit_of_the_process_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
