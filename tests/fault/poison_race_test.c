/* The moment in which one thread has found a failed write or sync and writes down why, and the sequencer goes on:
 * forced, by standing in for that thread. No commit may be answered LUM_OK then, none may become visible, and nothing
 * more may be written. The sequencer is compiled into this test, so that its state can be set at the very places where
 * the race would set it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#include "wal/writer.h"

static lum_status write_then_race(struct lum__wal_writer *writer);
#define lum__wal_write write_then_race
#include "pipeline/sequencer.c"
#undef lum__wal_write

#include "api/store.h"
#include "storage/file_sim.h"
#include "support/rows.h"

static struct lum__sequencer *raced; /* whose next log write the other thread's failure comes behind; NULL: none */

static void begin_race(struct lum__sequencer *sequencer) { atomic_store(&sequencer->is_poisoned, BEING_POISONED); }

static void end_race(struct lum__sequencer *sequencer)
{
    (void)lum__fail_errno(EIO, "data/1.seg", LUM_NO_OFFSET, "the sync of another thread failed");
    sequencer->poison_error = *lum__error_last();
    atomic_store_explicit(&sequencer->is_poisoned, POISONED, memory_order_release);
    wake_waiters(sequencer);
}

static lum_status write_then_race(struct lum__wal_writer *writer)
{
    lum_status status = lum__wal_write(writer);
    if (raced != NULL) begin_race(raced);
    raced = NULL;
    return status;
}

/* ------------------------------------------------------------------------------------------------------------ a store
 */

static lum_store *open_on(struct lum__sim *sim)
{
    lum_options options = LUM_OPTIONS_INIT, resolved;
    struct lum__fs *fs = NULL;
    lum_store *store = NULL;
    options.create = true;
    options.threads = 1;
    options.memory_bytes_max = 64u << 20;
    assert_int_equal(lum__options_resolve(&options, &resolved), LUM_OK);
    assert_int_equal(lum__sim_open(sim, false, &fs), LUM_OK);
    assert_int_equal(lum__store_open_fs(fs, "sim", &resolved, &store), LUM_OK);
    return store;
}

static lum_txn *begin_row(lum_store *store, uint64_t number)
{
    lum_txn *txn = NULL;
    lum_t row;
    lum_test_row(number, &row);
    assert_int_equal(lum_txn_begin(store, NULL, &txn), LUM_OK);
    assert_int_equal(lum_txn_append(txn, &row, 1), LUM_OK);
    return txn;
}

static uint64_t rows_there(lum_store *store)
{
    uint64_t rows = 0;
    assert_int_equal(lum_test_read_prefix(store, &rows), LUM_OK);
    return rows;
}

static enum lum_outcome outcome_of(lum_store *store, uint64_t id)
{
    enum lum_outcome outcome = LUM_OUTCOME_UNKNOWN;
    assert_int_equal(lum_txn_outcome(store, id, &outcome), LUM_OK);
    return outcome;
}

/* Past the checks of the callers, which may have passed just before. */
static lum_status push_commit(lum_store *store, uint64_t id, const lum_t *row)
{
    struct lum__ticket ticket = {0};
    struct lum__request request = {
        .kind = LUM__REQUEST_COMMIT, .transaction_id = id, .lum_count = 1, .rows = row, .ticket = &ticket};
    lum__sequencer_push(store->sequencer, &request);
    assert_true(lum__ticket_wait(&ticket, UINT64_MAX));
    return ticket.status;
}

static void wait_until_idle(struct lum__sim *sim)
{
    for (uint64_t steps = 0;
         steps != lum__sim_steps(sim);) { /* the watermark of the last commit comes 10 ms behind it */
        struct timespec pause = {.tv_nsec = 100000000};
        steps = lum__sim_steps(sim);
        nanosleep(&pause, NULL);
    }
}

/* -------------------------------------------------------------------------------------------------------------- tests
 */

static void before_a_batch(void **state)
{
    (void)state;
    struct lum__sim *sim = lum__sim_create(1);
    lum_store *store = open_on(sim);
    lum_t row;
    uint64_t sequence = 0;
    lum_test_row(1, &row);
    assert_int_equal(lum_txn_commit(begin_row(store, 0), NULL), LUM_OK);
    lum_txn *late = begin_row(store, 1);
    uint64_t id = lum__sequencer_transaction_id(store->sequencer);
    wait_until_idle(sim);
    uint64_t steps = lum__sim_steps(sim);
    begin_race(store->sequencer);
    assert_int_equal(push_commit(store, id, &row), LUM_ERR_POISONED);
    assert_int_equal(lum__sequencer_ask(store->sequencer, LUM__REQUEST_SYNC, &sequence), LUM_ERR_POISONED);
    assert_int_equal(lum__sequencer_ask(store->sequencer, LUM__REQUEST_CHECKPOINT, NULL), LUM_ERR_POISONED);
    assert_int_equal(lum_txn_commit(late, NULL), LUM_ERR_POISONED);
    assert_int_equal(outcome_of(store, id), LUM_OUTCOME_UNKNOWN);
    assert_int_equal(lum__sim_steps(sim), steps); /* nothing was written */
    end_race(store->sequencer);
    assert_int_equal(push_commit(store, id, &row), LUM_ERR_POISONED);
    assert_non_null(
        strstr(lum_last_error()->message, "the sync of another thread failed")); /* the cause, once it is known */
    assert_int_equal(rows_there(store), 1);
    assert_int_not_equal(lum_close(store), LUM_OK);
    store = open_on(sim);
    assert_int_equal(rows_there(store), 1);
    assert_int_equal(outcome_of(store, id), LUM_OUTCOME_NOT_COMMITTED);
    assert_int_equal(lum_close(store), LUM_OK);
    lum__sim_destroy(sim);
}

/* The commit's record is written, and synced, when the failure of the other thread comes: in doubt, not visible;
 * reopening shows it. */
static void within_a_batch(void **state)
{
    (void)state;
    struct lum__sim *sim = lum__sim_create(2);
    lum_store *store = open_on(sim);
    lum_receipt receipt = LUM_RECEIPT_INIT;
    assert_int_equal(lum_txn_commit(begin_row(store, 0), NULL), LUM_OK);
    wait_until_idle(sim);
    lum_txn *txn = begin_row(store, 1);
    raced = store->sequencer;
    assert_int_equal(lum_txn_commit(txn, &receipt), LUM_IN_DOUBT);
    assert_null(raced);
    assert_int_equal(rows_there(store), 1);
    assert_int_equal(outcome_of(store, receipt.transaction_id), LUM_OUTCOME_UNKNOWN);
    assert_int_equal(lum__sequencer_ask(store->sequencer, LUM__REQUEST_CHECKPOINT, NULL), LUM_ERR_POISONED);
    end_race(store->sequencer);
    assert_int_equal(lum_wait_durable(store, UINT64_C(1), UINT64_MAX),
                     LUM_OK); /* the first commit's: it stays durable */
    assert_int_not_equal(lum_close(store), LUM_OK);
    lum__sim_power_cut(sim, LUM__SIM_DROPPED, 2);
    store = open_on(sim);
    assert_int_equal(rows_there(store), 2);
    assert_int_equal(outcome_of(store, receipt.transaction_id), LUM_OUTCOME_COMMITTED);
    assert_int_equal(lum_close(store), LUM_OK);
    lum__sim_destroy(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_a_batch),
        cmocka_unit_test(within_a_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
