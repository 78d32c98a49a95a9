/* A label is committed once: by transactions one after the other, at the same time, and by loads; and a load goes on
 * with its own label only behind the transaction that is its newest. What before_commit had kept comes back, also after
 * a checkpoint. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#include "api/store.h"
#include "storage/file_sim.h"
#include "support/rows.h"

enum { THREADS = 8, ROUNDS = 40 };

struct world {
    struct lum__sim *sim;
    lum_store *store;
};

static lum_store *open_store(struct world *world)
{
    lum_options options = LUM_OPTIONS_INIT, resolved;
    options.create = true;
    options.threads = 2;
    options.chunk_lums = 4096;
    options.memory_bytes_max = 64u << 20;
    struct lum__fs *fs = NULL;
    lum_store *store = NULL;
    assert_int_equal(lum__options_resolve(&options, &resolved), LUM_OK);
    assert_int_equal(lum__sim_open(world->sim, false, &fs), LUM_OK);
    assert_int_equal(lum__store_open_fs(fs, "sim", &resolved, &store), LUM_OK);
    return store;
}

static void begin_world(struct world *world)
{
    world->sim = lum__sim_create(7);
    world->store = open_store(world);
}

static void end_world(struct world *world)
{
    assert_int_equal(lum_close(world->store), LUM_OK);
    lum__sim_destroy(world->sim);
}

static void reopen(struct world *world)
{
    assert_int_equal(lum_close(world->store), LUM_OK);
    world->store = open_store(world);
}

static uint64_t rows_there(lum_store *store)
{
    lum_info_data info = LUM_INFO_INIT;
    assert_int_equal(lum_info(store, &info), LUM_OK);
    return info.lum_count;
}

static lum_txn *begin(lum_store *store, const char *label, uint64_t row_count)
{
    lum_txn_options options = LUM_TXN_OPTIONS_INIT;
    lum_txn *txn = NULL;
    lum_t row;
    options.label = label;
    assert_int_equal(lum_txn_begin(store, &options, &txn), LUM_OK);
    for (uint64_t i = 0; i < row_count; i++) {
        lum_test_row(i, &row);
        assert_int_equal(lum_txn_append(txn, &row, 1), LUM_OK);
    }
    return txn;
}

/* ---------------------------------------------------------------------------------------------------- transactions */

static void a_second_commit_is_refused(void **state)
{
    (void)state;
    struct world world;
    begin_world(&world);
    lum_txn *first = begin(world.store, "day 1", 3), *second = begin(world.store, "day 1", 5),
            *large = begin(world.store, "day 1", 40000);
    lum_txn_options options = LUM_TXN_OPTIONS_INIT;
    lum_txn *none = NULL;
    lum_receipt receipt = LUM_RECEIPT_INIT, found = LUM_RECEIPT_INIT;
    assert_int_equal(lum_txn_commit(first, &receipt), LUM_OK);
    assert_int_equal(lum_txn_commit(second, NULL), LUM_ERR_LABEL);
    assert_int_equal(lum_txn_commit(large, NULL), LUM_ERR_LABEL); /* its chunks are on disk: given back */
    for (int round = 0; round < 2; round++) {
        options.label = "day 1";
        assert_int_equal(lum_txn_begin(world.store, &options, &none), LUM_ERR_LABEL);
        assert_null(none);
        assert_int_equal(lum_label_outcome(world.store, "day 1", &found), LUM_OK);
        assert_true(found.transaction_id == receipt.transaction_id && found.lum_count == 3 &&
                    found.digest == receipt.digest);
        assert_int_equal(rows_there(world.store), 3);
        reopen(&world);
    }
    assert_int_equal(lum_txn_commit(begin(world.store, "day 2", 1), NULL), LUM_OK); /* the store lives */
    assert_int_equal(lum_txn_commit(begin(world.store, "", 1), NULL), LUM_OK); /* no label, as often as one likes */
    assert_int_equal(lum_txn_commit(begin(world.store, "", 1), NULL), LUM_OK);
    assert_int_equal(rows_there(world.store), 6);
    end_world(&world);
}

struct racer {
    lum_txn *txn;
    lum_status status;
    pthread_barrier_t *start;
    bool is_async;
};

static void *commit_now(void *context)
{
    struct racer *racer = context;
    pthread_barrier_wait(racer->start);
    racer->status = racer->is_async ? lum_txn_commit_async(racer->txn, NULL) : lum_txn_commit(racer->txn, NULL);
    return NULL;
}

static void of_many_at_the_same_time_one_gets_through(void **state)
{
    (void)state;
    struct world world;
    begin_world(&world);
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_t start;
        pthread_t threads[THREADS];
        struct racer racers[THREADS];
        char label[32];
        snprintf(label, sizeof label, "round %d", round);
        assert_int_equal(pthread_barrier_init(&start, NULL, THREADS), 0);
        for (int i = 0; i < THREADS; i++)
            racers[i] = (struct racer){.txn = begin(world.store, label, 2), .start = &start, .is_async = i % 2 == 1};
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, commit_now, &racers[i]), 0);
        int committed = 0, refused = 0;
        for (int i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
            committed += racers[i].status == LUM_OK;
            refused += racers[i].status == LUM_ERR_LABEL;
        }
        pthread_barrier_destroy(&start);
        assert_int_equal(committed, 1);
        assert_int_equal(refused, THREADS - 1);
    }
    assert_int_equal(rows_there(world.store), 2 * ROUNDS);
    reopen(&world);
    assert_int_equal(rows_there(world.store), 2 * ROUNDS);
    end_world(&world);
}

/* ----------------------------------------------------------------------------------------------------------- loads */

struct notes {
    char text[64];
    int calls, last_calls;
    uint64_t rows_end;
    int stop_at;          /* call that stops the load; 0: none */
    lum_store *steals_in; /* the label's next commit is taken by somebody else there */
    size_t note_bytes;
};

static lum_status before_commit(void *context, uint64_t rows_end, lum_commit_note *note)
{
    struct notes *notes = context;
    notes->calls++;
    notes->last_calls += note->is_last;
    notes->rows_end = rows_end;
    if (notes->calls == notes->stop_at) return LUM_ERR_CANCELLED;
    if (notes->steals_in) assert_int_equal(lum_txn_commit(begin(notes->steals_in, "stolen", 1), NULL), LUM_OK);
    notes->steals_in = NULL;
    snprintf(notes->text, sizeof notes->text, "behind row %llu%s", (unsigned long long)rows_end, note->is_last ? ", the end" : "");
    note->resume = notes->text;
    note->resume_bytes = notes->note_bytes > 0 ? notes->note_bytes : strlen(notes->text);
    return LUM_OK;
}

static lum_status load(lum_store *store, const char *label, uint64_t after, uint64_t first, uint64_t count,
                       struct notes *notes, lum_load_report *report)
{
    struct lum_test_source context;
    lum_source source;
    lum_load_options options = LUM_LOAD_OPTIONS_INIT;
    *report = (lum_load_report)LUM_LOAD_REPORT_INIT;
    lum_test_source_init(&context, first, count, &source);
    options.label = label;
    options.label_after = after;
    options.commit_every = 1000;
    options.before_commit = before_commit;
    options.callback_context = notes;
    return lum_load(store, &source, &options, report);
}

static void assert_resume(lum_store *store, const char *label, const char *expected)
{
    const void *resume = "";
    size_t bytes = 1;
    assert_int_equal(lum_label_resume(store, label, &resume, &bytes), LUM_OK);
    assert_int_equal(bytes, strlen(expected));
    assert_memory_equal(resume, expected, bytes);
}

static void a_load_goes_on_behind_its_newest_transaction(void **state)
{
    (void)state;
    struct world world;
    begin_world(&world);
    struct notes notes = {.stop_at = 4};
    lum_load_report report;
    lum_receipt found = LUM_RECEIPT_INIT;
    const void *resume = "";
    size_t bytes = 1;
    assert_int_equal(lum_label_resume(world.store, "all", &resume, &bytes), LUM_ERR_NOT_FOUND);
    assert_true(resume == NULL && bytes == 0);
    assert_int_equal(load(world.store, "all", 0, 0, 5000, &notes, &report), LUM_ERR_CANCELLED);
    assert_int_equal(report.rows_loaded, 3000);
    assert_int_equal(notes.last_calls, 0);
    for (int round = 0; round < 2; round++) {
        assert_resume(world.store, "all", "behind row 3000");
        notes = (struct notes){0};
        assert_int_equal(load(world.store, "all", 0, 0, 5000, &notes, &report), LUM_ERR_LABEL);
        assert_int_equal(load(world.store, "all", 12345, 3000, 2000, &notes, &report), LUM_ERR_LABEL);
        assert_int_equal(load(world.store, "other", 12345, 0, 5000, &notes, &report), LUM_ERR_LABEL);
        assert_int_equal(notes.calls, 0); /* at once, before anything was read */
        assert_int_equal(lum_checkpoint(world.store), LUM_OK);
        if (round == 0) reopen(&world);
    }
    assert_int_equal(lum_label_outcome(world.store, "all", &found), LUM_OK);
    assert_int_equal(load(world.store, "all", found.transaction_id, 3000, 2000, &notes, &report), LUM_OK);
    assert_int_equal(report.commit_count, 3); /* the last one is empty, and tells that there is no more */
    assert_int_equal(notes.last_calls, 1);
    uint64_t rows = 0;
    assert_int_equal(lum_test_read_prefix(world.store, &rows), LUM_OK);
    assert_int_equal(rows, 5000);
    assert_resume(world.store, "all", "behind row 2000, the end");
    assert_int_equal(load(world.store, "all", found.transaction_id, 5000, 1000, &notes, &report),
                     LUM_ERR_LABEL); /* not the newest any more */
    end_world(&world);
}

static void who_takes_the_label_meanwhile_stops_the_load(void **state)
{
    (void)state;
    struct world world;
    begin_world(&world);
    struct notes notes = {.steals_in = world.store};
    lum_load_report report;
    assert_int_equal(load(world.store, "stolen", 0, 0, 5000, &notes, &report), LUM_ERR_LABEL);
    assert_int_equal(report.rows_loaded, 0);
    assert_int_equal(rows_there(world.store), 1);
    notes = (struct notes){.note_bytes = 20000}; /* never read: refused before */
    assert_int_equal(load(world.store, "long", 0, 0, 1000, &notes, &report), LUM_ERR_ARGUMENT);
    notes = (struct notes){0};
    assert_int_equal(load(world.store, "next", 0, 0, 500, &notes, &report), LUM_OK); /* the store lives */
    assert_int_equal(report.commit_count, 1); /* its only transaction has rows and is the last */
    assert_int_equal(notes.last_calls, 1);
    end_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_commit_is_refused),
        cmocka_unit_test(of_many_at_the_same_time_one_gets_through),
        cmocka_unit_test(a_load_goes_on_behind_its_newest_transaction),
        cmocka_unit_test(who_takes_the_label_meanwhile_stops_the_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
