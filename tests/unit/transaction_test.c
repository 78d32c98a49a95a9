/* Transactions on a simulated disk: what is visible when, receipts, labels, outcomes, folding, tombstones, snapshots, limits, misuse. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#include "api/store.h"
#include "recovery/verify.h"
#include "storage/file_sim.h"
#include "support/rows.h"

struct world {
    struct lum__sim *sim;
    lum_options options;
    lum_store *store;
};

static lum_store *open_store(struct world *world)
{
    lum_options resolved;
    struct lum__fs *fs = NULL;
    assert_int_equal(lum__options_resolve(&world->options, &resolved), LUM_OK);
    assert_int_equal(lum__sim_open(world->sim, resolved.read_only, &fs), LUM_OK);
    lum_store *store = NULL;
    lum_status status = lum__store_open_fs(fs, "sim", &resolved, &store);
    if (status != LUM_OK) print_error("%s\n", lum_last_error()->message);
    assert_int_equal(status, LUM_OK);
    return store;
}

static void begin_world_of(struct world *world, uint64_t seed)
{
    memset(world, 0, sizeof *world);
    world->sim = lum__sim_create(seed);
    world->options = (lum_options)LUM_OPTIONS_INIT;
    world->options.create = true;
    world->options.threads = 1;
    world->options.chunk_lums = 4096;
    world->options.memory_bytes_max = 64u << 20;
    world->options.wal_segment_bytes = 1 << 20;
    world->options.data_segment_bytes_max = 64u << 20;
    world->store = open_store(world);
}

static void begin_world(struct world *world) { begin_world_of(world, 7); }

static void reopen(struct world *world)
{
    assert_int_equal(lum_close(world->store), LUM_OK);
    world->store = open_store(world);
}

static void verify(struct world *world)
{
    struct lum__fs *fs = NULL;
    lum_verify_report report = LUM_VERIFY_REPORT_INIT;
    assert_int_equal(lum__sim_open(world->sim, true, &fs), LUM_OK);
    lum_status status = lum__verify(fs, 1, NULL, NULL, &report);
    if (status != LUM_OK) print_error("verify: %s: %s\n", lum_last_error()->file, lum_last_error()->message);
    assert_int_equal(status, LUM_OK);
    lum__fs_close(fs);
}

static void end_world(struct world *world)
{
    assert_int_equal(lum_close(world->store), LUM_OK);
    verify(world);
    lum__sim_destroy(world->sim);
}

/* Commits rows [first, first + count) of the test's data set. */
static lum_receipt put(lum_store *store, uint64_t first, uint64_t count, const char *label)
{
    lum_txn_options options = LUM_TXN_OPTIONS_INIT;
    options.label = label;
    lum_txn *txn = NULL;
    lum_receipt receipt = LUM_RECEIPT_INIT;
    assert_int_equal(lum_txn_begin(store, &options, &txn), LUM_OK);
    for (uint64_t i = 0; i < count; i++) {
        lum_t row;
        lum_test_row(first + i, &row);
        assert_int_equal(lum_txn_append(txn, &row, 1), LUM_OK);
    }
    assert_int_equal(lum_txn_commit(txn, &receipt), LUM_OK);
    return receipt;
}

static uint64_t rows_there(lum_store *store)
{
    uint64_t rows = 0;
    assert_int_equal(lum_test_read_prefix(store, &rows), LUM_OK);
    return rows;
}

static lum_info_data info_of(lum_store *store)
{
    lum_info_data info = LUM_INFO_INIT;
    assert_int_equal(lum_info(store, &info), LUM_OK);
    return info;
}

static enum lum_outcome outcome_of(lum_store *store, uint64_t id)
{
    enum lum_outcome outcome = LUM_OUTCOME_UNKNOWN;
    assert_int_equal(lum_txn_outcome(store, id, &outcome), LUM_OK);
    return outcome;
}

static void load(lum_store *store, uint64_t first, uint64_t count)
{
    struct lum_test_source context;
    lum_source source;
    lum_load_report report = LUM_LOAD_REPORT_INIT;
    lum_test_source_init(&context, first, count, &source);
    assert_int_equal(lum_load(store, &source, NULL, &report), LUM_OK);
}

/* ------------------------------------------------------------------------------------------------------ visibility */

static void a_commit_is_visible_durable_and_comes_back(void **state)
{
    (void)state;
    struct world world;
    begin_world(&world);
    lum_receipt a = put(world.store, 0, 1, NULL), b = put(world.store, 1, 100, NULL);
    assert_true(a.durable && b.durable && b.sequence > a.sequence && b.transaction_id > a.transaction_id);
    assert_int_equal(b.lum_count, 100);
    assert_int_equal(rows_there(world.store), 101);
    lum_info_data before = info_of(world.store);
    assert_int_equal(before.transaction_count, 2);
    assert_int_equal(before.lum_count, 101);
    lum_t row;
    assert_int_equal(lum_get(world.store, 50, &row), LUM_OK);
    assert_int_equal(row.id, 50);
    reopen(&world);
    lum_info_data after = info_of(world.store);
    assert_int_equal(rows_there(world.store), 101);
    assert_int_equal(after.transaction_count, 2);
    assert_int_equal(after.digest, before.digest);
    assert_int_equal(lum_get(world.store, 50, &row), LUM_OK);
    end_world(&world);
}

static void nothing_is_visible_before_the_commit_or_after_a_rollback(void **state)
{
    (void)state;
    struct world world;
    begin_world(&world);
    for (uint64_t count = 10; count <= 20000; count *= 20) { /* the largest is spilled */
        lum_txn *txn = NULL;
        assert_int_equal(lum_txn_begin(world.store, NULL, &txn), LUM_OK);
        for (uint64_t i = 0; i < count; i++) {
            lum_t row;
            lum_test_row(i, &row);
            assert_int_equal(lum_txn_append(txn, &row, 1), LUM_OK);
        }
        uint64_t id = lum_txn_id(txn);
        assert_int_equal(rows_there(world.store), 0);
        assert_int_equal(lum_txn_rollback(txn), LUM_OK);
        assert_int_equal(rows_there(world.store), 0);
        assert_int_equal(outcome_of(world.store, id), LUM_OUTCOME_NOT_COMMITTED);
    }
    assert_int_equal(info_of(world.store).transaction_count, 0);
    end_world(&world);
}

static void large_transactions_are_chunks_in_the_same_order(void **state)
{
    (void)state;
    struct world world;
    begin_world(&world);
    lum_group_t *group = lum_group_create(0);
    for (uint64_t i = 0; i < 50000; i++) {
        lum_t row;
        lum_test_row(100 + i, &row);
        assert_int_equal(lum_group_add(group, &row), LUM_OK);
    }
    put(world.store, 0, 100, NULL);
    lum_txn *txn = NULL;
    lum_receipt receipt = LUM_RECEIPT_INIT;
    assert_int_equal(lum_txn_begin(world.store, NULL, &txn), LUM_OK);
    assert_int_equal(lum_txn_append_group(txn, group), LUM_OK);
    assert_int_equal(lum_txn_commit(txn, &receipt), LUM_OK);
    put(world.store, 50100, 7, NULL);
    load(world.store, 50107, 5000);
    put(world.store, 55107, 3, NULL);
    assert_int_equal(rows_there(world.store), 55110);
    assert_int_equal(lum_checkpoint(world.store), LUM_OK);
    assert_int_equal(rows_there(world.store), 55110);
    reopen(&world);
    assert_int_equal(rows_there(world.store), 55110);
    assert_int_equal(info_of(world.store).transaction_count, 5);
    lum_group_destroy(group);
    end_world(&world);
}

static void an_older_snapshot_stays_while_commits_and_folds_go_on(void **state)
{
    (void)state;
    struct world world;
    begin_world(&world);
    put(world.store, 0, 10, NULL);
    put(world.store, 10, 10, NULL);
    lum_scan *scan = NULL;
    assert_int_equal(lum_scan_open(world.store, NULL, &scan), LUM_OK);
    put(world.store, 20, 10, NULL);
    assert_int_equal(lum_checkpoint(world.store), LUM_OK);
    put(world.store, 30, 10, NULL);
    assert_int_equal(lum_checkpoint(world.store), LUM_OK);
    const lum_t *rows = NULL;
    size_t count = 0;
    uint64_t seen = 0;
    while (lum_scan_next_rows(scan, &rows, &count) == LUM_OK) {
        for (size_t i = 0; i < count; i++) assert_int_equal(rows[i].id, seen++);
    }
    assert_int_equal(seen, 20);
    lum_scan_close(scan);
    assert_int_equal(rows_there(world.store), 40);
    end_world(&world);
}

static void rows_in_memory_are_read_as_columns_and_in_parallel(void **state)
{
    (void)state;
    struct world world;
    begin_world(&world);
    put(world.store, 0, 5000, NULL);
    put(world.store, 5000, 3, NULL);
    lum_scan *scan = NULL;
    lum_columns columns;
    size_t count = 0;
    uint64_t seen = 0;
    assert_int_equal(lum_scan_open(world.store, NULL, &scan), LUM_OK);
    while (lum_scan_next_columns(scan, &columns, &count) == LUM_OK) {
        for (size_t i = 0; i < count; i++, seen++) {
            lum_t row;
            lum_test_row(seen, &row);
            assert_true(columns.id[i] == row.id && columns.timestamp[i] == row.timestamp && columns.checksum[i] == row.checksum);
            assert_true(columns.position_x[i] == row.position_x && columns.is_destroyed[i] == row.is_destroyed);
        }
    }
    assert_int_equal(seen, 5003);
    lum_scan_close(scan);
    lum_scan_options range = LUM_SCAN_OPTIONS_INIT;
    range.id_min = 4999;
    range.id_max = 5001;
    lum_group_t *group = lum_group_create(0);
    assert_int_equal(lum_scan_group(world.store, &range, group), LUM_OK);
    assert_int_equal(lum_group_size(group), 3);
    lum_group_destroy(group);
    end_world(&world);
}

static void tombstones_hide_and_newer_versions_win(void **state)
{
    (void)state;
    struct world world;
    begin_world(&world);
    lum_t row;
    for (int version = 0; version < 3; version++) {
        lum_txn *txn = NULL;
        lum_test_row(5, &row);
        row.position_x = version;
        row.is_destroyed = version == 1;
        row.checksum = 0;
        assert_int_equal(lum_txn_begin(world.store, NULL, &txn), LUM_OK);
        assert_int_equal(lum_txn_append(txn, &row, 1), LUM_OK);
        assert_int_equal(lum_txn_commit(txn, NULL), LUM_OK);
        lum_t found;
        assert_int_equal(lum_get(world.store, 5, &found), version == 1 ? LUM_ERR_NOT_FOUND : LUM_OK);
        if (version == 1) assert_int_equal(lum_checkpoint(world.store), LUM_OK);
        assert_int_equal(lum_get(world.store, 5, &found), version == 1 ? LUM_ERR_NOT_FOUND : LUM_OK);
        if (version != 1) assert_int_equal(found.position_x, version);
    }
    end_world(&world);
}

/* ------------------------------------------------------------------------------------------- folds, ids, labels */

struct listing {
    uint64_t entries, transactions, runs, members, lums;
};

static lum_status list_one(void *context, const lum_transaction_data *transaction)
{
    struct listing *listing = context;
    listing->entries++;
    if (transaction->is_in_run) {
        listing->members++;
        return LUM_OK;
    }
    listing->transactions += transaction->run_count;
    listing->runs += transaction->run_count > 1;
    listing->lums += transaction->lum_count;
    return LUM_OK;
}

static void folded_transactions_become_runs_and_are_still_known(void **state)
{
    (void)state;
    struct world world;
    begin_world(&world);
    lum_receipt receipts[60];
    uint64_t rolled_back[2];
    lum_txn *txn = NULL;
    for (uint64_t i = 0; i < 60; i++) {
        if (i % 30 == 10) {
            assert_int_equal(lum_txn_begin(world.store, NULL, &txn), LUM_OK);
            rolled_back[i / 30] = lum_txn_id(txn);
            assert_int_equal(lum_txn_rollback(txn), LUM_OK);
        }
        char label[32];
        snprintf(label, sizeof label, "label %llu", (unsigned long long)i);
        if (i == 40) load(world.store, i, 1); /* a bulk commit in between: what is before it and behind it stays apart */
        receipts[i] = i == 40 ? receipts[39] : put(world.store, i, 1, i % 20 == 3 ? label : NULL);
        if (i == 25) assert_int_equal(lum_checkpoint(world.store), LUM_OK);
    }
    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < 60; i++) assert_int_equal(outcome_of(world.store, receipts[i].transaction_id), LUM_OUTCOME_COMMITTED);
        for (int i = 0; i < 2; i++) assert_int_equal(outcome_of(world.store, rolled_back[i]), LUM_OUTCOME_NOT_COMMITTED);
        assert_int_equal(outcome_of(world.store, UINT64_C(77) << 40), LUM_OUTCOME_UNKNOWN);
        lum_receipt found = LUM_RECEIPT_INIT;
        for (uint64_t i = 3; i < 60; i += 20) {
            char label[32];
            snprintf(label, sizeof label, "label %llu", (unsigned long long)i);
            assert_int_equal(lum_label_outcome(world.store, label, &found), LUM_OK);
            assert_true(found.transaction_id == receipts[i].transaction_id && found.sequence == receipts[i].sequence);
            assert_true(found.digest == receipts[i].digest && found.lum_count == 1);
        }
        assert_int_equal(lum_label_outcome(world.store, "label 4", &found), LUM_ERR_NOT_FOUND);
        assert_int_equal(rows_there(world.store), 60);
        assert_int_equal(info_of(world.store).transaction_count, 60);
        if (round < 2) reopen(&world);
        struct listing listing = {0};
        if (round == 0) assert_int_equal(lum_transactions(world.store, list_one, &listing), LUM_OK);
        if (round == 0) assert_true(listing.transactions == 60 && listing.runs == 2 && listing.members == 3 && listing.entries == 6);
    }
    end_world(&world);
}

static void many_small_commits_fold_into_few_entries(void **state)
{
    (void)state;
    struct world world;
    begin_world(&world);
    lum_receipt first = put(world.store, 0, 1, NULL), last = first;
    for (uint64_t i = 1; i < 3000; i++) last = put(world.store, i, 1, NULL);
    reopen(&world);
    struct listing listing = {0};
    assert_int_equal(lum_transactions(world.store, list_one, &listing), LUM_OK);
    assert_int_equal(listing.entries, 1);
    assert_int_equal(listing.transactions, 3000);
    const struct lum__catalogue_version *version = lum__catalogue_pin(world.store->catalogue);
    assert_int_equal(version->folded_id_count, 1);
    assert_int_equal(version->chunk_count, 1);
    lum__catalogue_unpin(world.store->catalogue, version);
    assert_int_equal(outcome_of(world.store, first.transaction_id), LUM_OUTCOME_COMMITTED);
    assert_int_equal(outcome_of(world.store, last.transaction_id + 1), LUM_OUTCOME_NOT_COMMITTED); /* of an epoch that is over */
    assert_int_equal(rows_there(world.store), 3000);
    end_world(&world);
}

static void a_full_row_table_is_folded(void **state)
{
    (void)state;
    struct world world;
    begin_world(&world);
    world.options.memory_bytes_max = 8u << 20; /* a row table of 1 MiB */
    reopen(&world);
    uint64_t before = info_of(world.store).checkpoint_number, number = 0;
    for (int i = 0; i < 60; i++, number += 1000) {
        put(world.store, number, 1000, NULL);
        const struct lum__catalogue_version *version = lum__catalogue_pin(world.store->catalogue);
        assert_true(version->unfolded_bytes <= 1u << 20);
        lum__catalogue_unpin(world.store->catalogue, version);
    }
    assert_true(info_of(world.store).checkpoint_number >= before + 2);
    assert_int_equal(rows_there(world.store), number);
    end_world(&world);
}

/* ---------------------------------------------------------------------------------------------- asynchronous commits */

static void async_commits_are_visible_at_once_and_durable_when_waited_for(void **state)
{
    (void)state;
    struct world world;
    begin_world(&world);
    lum_stats_data stats = LUM_STATS_INIT;
    assert_int_equal(lum_stats(world.store, &stats), LUM_OK);
    uint64_t syncs = stats.sync_count;
    lum_receipt receipt = LUM_RECEIPT_INIT;
    for (uint64_t i = 0; i < 200; i++) {
        lum_txn *txn = NULL;
        lum_t row;
        lum_test_row(i, &row);
        assert_int_equal(lum_txn_begin(world.store, NULL, &txn), LUM_OK);
        assert_int_equal(lum_txn_append(txn, &row, 1), LUM_OK);
        assert_int_equal(lum_txn_commit_async(txn, &receipt), LUM_OK);
        if (i % 50 == 0) assert_int_equal(rows_there(world.store), i + 1);
    }
    assert_int_equal(lum_wait_durable(world.store, receipt.sequence, UINT64_MAX), LUM_OK);
    assert_true(info_of(world.store).durable_sequence >= receipt.sequence);
    assert_int_equal(lum_stats(world.store, &stats), LUM_OK);
    assert_true(stats.sync_count - syncs < 100);
    assert_int_equal(lum_wait_durable(world.store, receipt.sequence + 1000, 0), LUM_ERR_ARGUMENT);
    lum__sim_power_cut(world.sim, LUM__SIM_DROPPED, 3);
    (void)lum_close(world.store);
    world.store = open_store(&world);
    assert_int_equal(rows_there(world.store), 200);
    end_world(&world);
}

static void waiting_works_in_every_mode_and_times_out(void **state)
{
    (void)state;
    for (int mode = LUM_SYNC_COMMIT; mode <= LUM_SYNC_NONE; mode++) {
        struct world world;
        begin_world(&world);
        world.options.sync_mode = (enum lum_sync_mode)mode;
        world.options.sync_interval_ms = 100000;
        reopen(&world);
        lum_receipt receipt = put(world.store, 0, 3, NULL);
        assert_int_equal(receipt.durable, mode == LUM_SYNC_COMMIT);
        assert_int_equal(lum_wait_durable(world.store, receipt.sequence, UINT64_C(10000000000)), LUM_OK);
        assert_true(info_of(world.store).durable_sequence >= receipt.sequence);
        end_world(&world);
    }
}

/* ------------------------------------------------------------------------------------------------------ failures */

static void a_bad_row_changes_nothing(void **state)
{
    (void)state;
    struct world world;
    begin_world(&world);
    lum_txn *txn = NULL;
    lum_t rows[2];
    assert_int_equal(lum_txn_begin(world.store, NULL, &txn), LUM_OK);
    lum_test_row(0, &rows[0]);
    lum_test_row(1, &rows[1]);
    assert_int_equal(lum_txn_append(txn, rows, 1), LUM_OK);
    rows[1].position_x++; /* its checksum is wrong now */
    assert_int_equal(lum_txn_append(txn, rows, 2), LUM_ERR_INPUT);
    lum_test_row(1, &rows[1]);
    rows[1].structure_type = 6;
    rows[1].checksum = 0;
    assert_int_equal(lum_txn_append(txn, &rows[1], 1), LUM_ERR_INPUT);
    lum_test_row(1, &rows[1]);
    assert_int_equal(lum_txn_append(txn, &rows[1], 1), LUM_OK);
    assert_int_equal(lum_txn_commit(txn, NULL), LUM_OK);
    assert_int_equal(rows_there(world.store), 2);
    end_world(&world);
}

/* One commit whose log write or sync fails, after it the end of the process; tells whether it is there after reopening. */
static bool commit_in_doubt(uint64_t seed)
{
    struct world world;
    begin_world_of(&world, seed);
    put(world.store, 0, 5, NULL);
    struct lum__sim_fault fault = {
        .call = seed % 2 == 0 ? LUM__SIM_WRITE : LUM__SIM_SYNC, .nth = 1, .os_errno = EIO, .is_lasting = true, .path_prefix = "wal/"};
    lum__sim_arm(world.sim, &fault);
    lum_txn_options options = LUM_TXN_OPTIONS_INIT;
    options.label = "doubtful";
    lum_txn *txn = NULL, *late = NULL;
    lum_t row;
    lum_receipt receipt = LUM_RECEIPT_INIT, labelled = LUM_RECEIPT_INIT;
    lum_test_row(5, &row);
    assert_int_equal(lum_txn_begin(world.store, &options, &txn), LUM_OK);
    assert_int_equal(lum_txn_append(txn, &row, 1), LUM_OK);
    assert_int_equal(lum_txn_begin(world.store, NULL, &late), LUM_OK);
    assert_int_equal(lum_txn_commit(txn, &receipt), LUM_IN_DOUBT);
    assert_true(receipt.transaction_id != 0);
    assert_int_equal(outcome_of(world.store, receipt.transaction_id), LUM_OUTCOME_UNKNOWN);
    assert_int_equal(rows_there(world.store), 5); /* not visible while it is in doubt */
    assert_int_equal(lum_txn_commit(late, NULL), LUM_ERR_POISONED);
    assert_int_equal(lum_txn_begin(world.store, NULL, &txn), LUM_ERR_POISONED);
    assert_int_equal(lum_wait_durable(world.store, info_of(world.store).last_sequence, UINT64_MAX) != LUM_ERR_TIMEOUT, true);
    (void)lum_close(world.store);
    lum__sim_disarm(world.sim);
    if (seed % 3 == 0) lum__sim_kill(world.sim, seed);
    else lum__sim_power_cut(world.sim, seed % 3 == 1 ? LUM__SIM_DROPPED : LUM__SIM_KEPT, seed);
    bool is_there = false;
    for (int opening = 0; opening < 2; opening++) { /* and it stays what it was found to be */
        world.store = open_store(&world);
        uint64_t rows = rows_there(world.store);
        assert_true(opening == 0 ? rows == 5 || rows == 6 : (rows == 6) == is_there);
        is_there = rows == 6;
        assert_int_equal(outcome_of(world.store, receipt.transaction_id), is_there ? LUM_OUTCOME_COMMITTED : LUM_OUTCOME_NOT_COMMITTED);
        assert_int_equal(lum_label_outcome(world.store, "doubtful", &labelled), is_there ? LUM_OK : LUM_ERR_NOT_FOUND);
        assert_true(!is_there || labelled.transaction_id == receipt.transaction_id);
        if (opening == 0) assert_int_equal(lum_close(world.store), LUM_OK);
    }
    end_world(&world);
    return is_there;
}

static void a_commit_whose_log_write_or_sync_fails_is_in_doubt(void **state)
{
    (void)state;
    uint64_t there[2] = {0};
    enum { ROUNDS = 60 };
    for (uint64_t seed = 0; seed < ROUNDS; seed++) there[seed % 2] += commit_in_doubt(seed);
    /* both happen: after a failed write and after a failed sync, there and not there */
    for (int i = 0; i < 2; i++) assert_true(there[i] > 0 && there[i] < ROUNDS / 2);
}

/* Where the log is damaged below what was durable, an id that is not found may have been committed: nobody may be told that it was not. */
static void a_damaged_log_leaves_outcomes_unknown(void **state)
{
    struct world world, damaged;
    lum_receipt receipts[4];
    uint8_t junk[4096];
    struct lum__fs *fs = NULL;
    struct lum__file *file = NULL;
    (void)state;
    begin_world(&world);
    for (uint64_t i = 0; i < 4; i++) {
        receipts[i] = put(world.store, i, 1, NULL);
        assert_true(receipts[i].durable);
    }
    damaged = world;
    damaged.sim = lum__sim_clone(world.sim, 9); /* a crash, as it lies */
    memset(junk, 0x5a, sizeof junk);
    assert_int_equal(lum__sim_open(damaged.sim, false, &fs), LUM_OK);
    assert_int_equal(lum__fs_open_file(fs, "wal/1.wal", LUM__OPEN_WRITE, &file), LUM_OK);
    assert_int_equal(lum__file_write(file, junk, sizeof junk, 8192), LUM_OK); /* behind the first commit */
    assert_int_equal(lum__file_close(file), LUM_OK);
    lum__fs_close(fs);
    damaged.options.create = false;
    damaged.options.read_only = true;
    damaged.store = open_store(&damaged);
    assert_int_equal(outcome_of(damaged.store, receipts[0].transaction_id), LUM_OUTCOME_COMMITTED);
    assert_int_equal(outcome_of(damaged.store, receipts[3].transaction_id), LUM_OUTCOME_UNKNOWN);
    assert_int_equal(lum_close(damaged.store), LUM_OK);
    lum__sim_destroy(damaged.sim);
    end_world(&world);
}

/* An empty transaction that had no room in the log is over, and not open in every checkpoint to come. */
static void an_empty_commit_without_room_leaves_nothing_open(void **state)
{
    struct world world;
    lum_status status = LUM_OK;
    struct lum__sim_fault fault = {.call = LUM__SIM_CREATE, .nth = 1, .os_errno = ENOSPC, .is_lasting = true, .path_prefix = "wal/"};
    (void)state;
    begin_world(&world);
    lum__sim_arm(world.sim, &fault);
    for (int refused = 0, tries = 0; refused < 3 && tries < 1000; refused += status == LUM_ERR_NO_SPACE, tries++) {
        lum_txn *txn = NULL;
        assert_int_equal(lum_txn_begin(world.store, NULL, &txn), LUM_OK);
        status = lum_txn_commit(txn, NULL);
    }
    assert_int_equal(status, LUM_ERR_NO_SPACE);
    lum__sim_disarm(world.sim);
    assert_int_equal(lum_checkpoint(world.store), LUM_OK);
    uint64_t numbers[8];
    size_t count = 0;
    struct lum__checkpoint checkpoint = {0};
    struct lum__catalogue *catalogue = NULL;
    assert_int_equal(lum__checkpoint_list(world.store->fs, numbers, 8, &count), LUM_OK);
    assert_int_equal(lum__catalogue_create(&catalogue), LUM_OK);
    assert_int_equal(lum__checkpoint_read(world.store->fs, numbers[0], NULL, &checkpoint, catalogue), LUM_OK);
    assert_int_equal(checkpoint.open_count, 0);
    lum__checkpoint_fini(&checkpoint);
    lum__catalogue_destroy(catalogue);
    end_world(&world);
}

/* Rows of a transaction that is too large for the log, so that chunks of it are on disk and in the sequencer's hands. */
static lum_txn *begin_large(lum_store *store, uint64_t first)
{
    lum_txn *txn = NULL;
    assert_int_equal(lum_txn_begin(store, NULL, &txn), LUM_OK);
    for (uint64_t i = 0; i < 20000; i++) {
        lum_t row;
        lum_test_row(first + i, &row);
        assert_int_equal(lum_txn_append(txn, &row, 1), LUM_OK);
    }
    return txn;
}

/* Sum of segment * 2^32 + offset over the chunks: where they lie. */
static uint64_t places_of(lum_store *store)
{
    const struct lum__catalogue_version *version = lum__catalogue_pin(store->catalogue);
    uint64_t sum = 0;
    for (size_t i = 0; i < version->chunk_count; i++) sum += (version->chunks[i].segment << 32) + version->chunks[i].offset;
    lum__catalogue_unpin(store->catalogue, version);
    return sum;
}

static void rolled_back_space_is_used_again(void **state)
{
    (void)state;
    uint64_t places[2];
    for (int rolls_back = 0; rolls_back < 2; rolls_back++) {
        struct world world;
        begin_world(&world);
        for (int i = 0; i < 3 * rolls_back; i++) { /* of other rows: nothing of them may come back */
            assert_int_equal(lum_txn_rollback(begin_large(world.store, 500000)), LUM_OK);
            if (i == 1) assert_int_equal(lum_checkpoint(world.store), LUM_OK);
        }
        lum_txn *open = rolls_back ? begin_large(world.store, 700000) : NULL; /* a checkpoint carries it */
        if (open != NULL) assert_int_equal(lum_checkpoint(world.store), LUM_OK);
        assert_int_equal(lum_txn_rollback(open), LUM_OK);
        assert_int_equal(lum_txn_commit(begin_large(world.store, 0), NULL), LUM_OK);
        places[rolls_back] = places_of(world.store);
        assert_int_equal(rows_there(world.store), 20000);
        lum__sim_kill(world.sim, 1);
        (void)lum_close(world.store);
        world.store = open_store(&world);
        assert_int_equal(rows_there(world.store), 20000);
        end_world(&world);
    }
    assert_int_equal(places[0], places[1]); /* the same places as if nothing had been there before */
}

/* The row table is full and the disk has no room for a fold: commits are refused before they are logged, and go on when there is room again. */
static void a_full_disk_refuses_small_commits_until_there_is_room(void **state)
{
    (void)state;
    struct world world;
    begin_world(&world);
    world.options.memory_bytes_max = 8u << 20; /* a row table of 1 MiB */
    world.options.wal_segment_bytes = 16u << 20;
    reopen(&world);
    static const enum lum__sim_call calls[] = {LUM__SIM_ALLOCATE, LUM__SIM_WRITE, LUM__SIM_CREATE};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        struct lum__sim_fault fault = {.call = calls[i], .nth = 1, .os_errno = ENOSPC, .is_lasting = true, .path_prefix = "data/"};
        lum__sim_arm(world.sim, &fault);
    }
    uint64_t rows = 0;
    lum_status status = LUM_OK;
    for (int i = 0; i < 60 && status == LUM_OK; i++) {
        lum_txn *txn = NULL;
        assert_int_equal(lum_txn_begin(world.store, NULL, &txn), LUM_OK);
        for (uint64_t j = 0; j < 1000; j++) {
            lum_t row;
            lum_test_row(rows + j, &row);
            assert_int_equal(lum_txn_append(txn, &row, 1), LUM_OK);
        }
        status = lum_txn_commit(txn, NULL);
        if (status == LUM_OK) rows += 1000;
    }
    assert_int_equal(status, LUM_ERR_NO_SPACE);
    assert_true(rows >= 20000 && rows < 30000); /* 40 bytes each */
    assert_int_equal(rows_there(world.store), rows);
    lum__sim_disarm(world.sim);
    struct timespec pause = {.tv_sec = 1, .tv_nsec = 100000000}; /* a full disk is asked once a second */
    nanosleep(&pause, NULL);
    put(world.store, rows, 10, NULL);
    assert_int_equal(rows_there(world.store), rows + 10);
    end_world(&world);
}

static void misuse_is_answered(void **state)
{
    (void)state;
    struct world world;
    begin_world(&world);
    lum_txn *txn = NULL;
    lum_t row;
    char label[300];
    lum_test_row(0, &row);
    assert_int_equal(lum_txn_append(NULL, &row, 1), LUM_ERR_ARGUMENT);
    assert_int_equal(lum_txn_commit(NULL, NULL), LUM_ERR_ARGUMENT);
    assert_int_equal(lum_txn_rollback(NULL), LUM_OK);
    assert_int_equal(lum_txn_begin(NULL, NULL, &txn), LUM_ERR_ARGUMENT);
    memset(label, 'x', sizeof label);
    label[256] = 0;
    lum_txn_options options = LUM_TXN_OPTIONS_INIT;
    options.label = label;
    assert_int_equal(lum_txn_begin(world.store, &options, &txn), LUM_ERR_ARGUMENT);
    options.struct_version = 9;
    assert_int_equal(lum_txn_begin(world.store, &options, &txn), LUM_ERR_VERSION);
    lum_receipt receipt = {.struct_version = 9};
    assert_int_equal(lum_txn_begin(world.store, NULL, &txn), LUM_OK);
    assert_int_equal(lum_txn_commit(txn, &receipt), LUM_ERR_VERSION); /* and it is gone: nothing leaks */

    assert_int_equal(lum_txn_begin(world.store, NULL, &txn), LUM_OK);
    assert_int_equal(lum_txn_append(txn, &row, 1), LUM_OK);
    pid_t child = fork();
    if (child == 0) _exit(lum_txn_append(txn, &row, 1) == LUM_ERR_FORKED && lum_txn_commit(txn, NULL) == LUM_ERR_FORKED ? 0 : 1);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);

    reopen(&world); /* with a transaction open: it is rolled back */
    assert_int_equal(lum_txn_append(txn, &row, 1), LUM_ERR_ARGUMENT);
    assert_int_equal(lum_txn_commit(txn, NULL), LUM_ERR_ARGUMENT);
    assert_int_equal(rows_there(world.store), 0);
    world.options.create = false;
    world.options.read_only = true;
    assert_int_equal(lum_close(world.store), LUM_OK);
    world.store = open_store(&world);
    assert_int_equal(lum_txn_begin(world.store, NULL, &txn), LUM_ERR_READ_ONLY);
    assert_int_equal(lum_wait_durable(world.store, 1, 0), LUM_ERR_READ_ONLY);
    end_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_is_visible_durable_and_comes_back),
        cmocka_unit_test(nothing_is_visible_before_the_commit_or_after_a_rollback),
        cmocka_unit_test(large_transactions_are_chunks_in_the_same_order),
        cmocka_unit_test(an_older_snapshot_stays_while_commits_and_folds_go_on),
        cmocka_unit_test(rows_in_memory_are_read_as_columns_and_in_parallel),
        cmocka_unit_test(tombstones_hide_and_newer_versions_win),
        cmocka_unit_test(folded_transactions_become_runs_and_are_still_known),
        cmocka_unit_test(many_small_commits_fold_into_few_entries),
        cmocka_unit_test(a_full_row_table_is_folded),
        cmocka_unit_test(async_commits_are_visible_at_once_and_durable_when_waited_for),
        cmocka_unit_test(waiting_works_in_every_mode_and_times_out),
        cmocka_unit_test(a_bad_row_changes_nothing),
        cmocka_unit_test(a_commit_whose_log_write_or_sync_fails_is_in_doubt),
        cmocka_unit_test(a_damaged_log_leaves_outcomes_unknown),
        cmocka_unit_test(an_empty_commit_without_room_leaves_nothing_open),
        cmocka_unit_test(rolled_back_space_is_used_again),
        cmocka_unit_test(a_full_disk_refuses_small_commits_until_there_is_room),
        cmocka_unit_test(misuse_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
