/* Power cuts and kills of transactions, threads and all, on the simulated disk: threads commit small and large transactions, wait for them or not, roll
 * back (with chunks queued and on disk), label, checkpoint (which folds) and sync, in each mode, until the disk stops at a random step; a third of the
 * time recovery is stopped and cut too. Then, by the receipts that the threads hold:
 *
 *   - everything acknowledged is there (after a power cut: everything whose durability was told), nothing that was rolled back or refused is;
 *   - every transaction that is there is whole, its rows bit-identical and in order, and stands in the order of the sequences in the receipts;
 *   - what is there is a prefix of commit order: no commit is missing before one that is there;
 *   - lum_txn_outcome and lum_label_outcome say just that, and info, verify and a second opening agree.
 *
 *   txn_power_test [rounds] [seed]     default 1,000 rounds; LUM_ROUNDS and LUM_SEED are stronger; replay one failure with: 1 SEED
 *   txn_power_test steps [rounds]      one thread, always the same script, stopped at step 1, 2, 3, ...; every third time recovery at such a step too */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/store.h"
#include "base/random.h"
#include "recovery/verify.h"
#include "storage/file_sim.h"
#include "support/phase.h"
#include "support/rows.h"

enum { THREADS_MAX = 16, TRANSACTIONS_MAX = 400, ROWS_STRIDE = 100000 };

enum fate { REFUSED, IN_DOUBT, ROLLED_BACK, COMMITTED };

struct attempt {
    uint64_t number; /* its rows are the test rows from number * ROWS_STRIDE on */
    uint64_t row_count, id, sequence;
    uint32_t digest;
    enum fate fate;
    bool is_labelled;
    bool is_there; /* found when reading */
};

struct worker {
    struct round *round;
    uint64_t random;
    lum_store *store;
    struct attempt attempts[TRANSACTIONS_MAX];
    size_t count;
};

struct round {
    uint64_t seed;
    lum_options options;
    uint32_t threads;
    _Atomic uint64_t next_number;
    _Atomic uint64_t durable; /* highest sequence whose durability was told */
    struct worker workers[THREADS_MAX];
};

static const char *failure; /* of the current round; NULL: none */
static char failure_text[1024];

static void fail_round(const char *what)
{
    if (failure != NULL) return;
    const lum_error_data *error = lum_last_error();
    snprintf(failure_text, sizeof failure_text, "%s; last error: %s %s:%llu: %s", what, lum_status_name(error->status), error->file,
             (unsigned long long)error->offset, error->message);
    failure = failure_text;
}

static uint64_t pick(uint64_t *random, uint64_t count) { return lum__splitmix64(random) % count; }

static lum_status open_on(struct lum__sim *sim, const lum_options *options, lum_store **out)
{
    lum_options resolved;
    *out = NULL;
    lum_status status = lum__options_resolve(options, &resolved);
    struct lum__fs *fs = NULL;
    if (status == LUM_OK) status = lum__sim_open(sim, false, &fs);
    if (status == LUM_OK) status = lum__store_open_fs(fs, "sim", &resolved, out);
    return status;
}

/* --------------------------------------------------------------------------------------------------- what threads do */

static void raise_durable(struct round *round, uint64_t sequence)
{
    uint64_t known = atomic_load(&round->durable);
    while (known < sequence && !atomic_compare_exchange_weak(&round->durable, &known, sequence)) continue;
}

static lum_status append_rows(lum_txn *txn, const struct attempt *attempt)
{
    lum_t rows[64];
    for (uint64_t done = 0; done < attempt->row_count;) {
        size_t part = attempt->row_count - done < 64 ? attempt->row_count - done : 64;
        for (size_t i = 0; i < part; i++) lum_test_row(attempt->number * ROWS_STRIDE + done + i, &rows[i]);
        lum_status status = lum_txn_append(txn, rows, part);
        if (status != LUM_OK) return status;
        done += part;
    }
    return LUM_OK;
}

static bool commit(struct worker *worker, struct attempt *attempt, lum_txn *txn)
{
    lum_receipt receipt = LUM_RECEIPT_INIT;
    bool is_async = pick(&worker->random, 3) == 0;
    lum_status status = is_async ? lum_txn_commit_async(txn, &receipt) : lum_txn_commit(txn, &receipt);
    if (status == LUM_IN_DOUBT) attempt->fate = IN_DOUBT;
    if (status != LUM_OK) return false;
    attempt->fate = COMMITTED;
    attempt->sequence = receipt.sequence;
    attempt->digest = receipt.digest;
    if (receipt.durable) raise_durable(worker->round, receipt.sequence);
    if (!receipt.durable && !is_async && worker->round->options.sync_mode == LUM_SYNC_COMMIT) fail_round("a commit was answered before its sync");
    if (is_async && pick(&worker->random, 3) == 0) {
        if (lum_wait_durable(worker->store, receipt.sequence, UINT64_MAX) != LUM_OK) return false;
        raise_durable(worker->round, receipt.sequence);
    }
    return true;
}

static uint64_t pick_row_count(uint64_t *random)
{
    switch (pick(random, 8)) {
    case 0: return 1400 + pick(random, 200); /* around the most that goes into the log */
    case 1: return pick(random, 9000);       /* chunks */
    case 2: return 0;
    default: return 1 + pick(random, 40);
    }
}

static bool run_transaction(struct worker *worker)
{
    struct attempt *attempt = &worker->attempts[worker->count++];
    lum_txn_options options = LUM_TXN_OPTIONS_INIT;
    lum_txn *txn = NULL;
    char label[32];
    *attempt = (struct attempt){.number = atomic_fetch_add(&worker->round->next_number, 1), .row_count = pick_row_count(&worker->random)};
    attempt->is_labelled = pick(&worker->random, 6) == 0;
    snprintf(label, sizeof label, "t%llu", (unsigned long long)attempt->number);
    if (attempt->is_labelled) options.label = label;
    if (lum_txn_begin(worker->store, &options, &txn) != LUM_OK) return false;
    attempt->id = lum_txn_id(txn);
    lum_status status = append_rows(txn, attempt);
    if (status == LUM_OK && pick(&worker->random, 4) != 0) return commit(worker, attempt, txn);
    attempt->fate = ROLLED_BACK;
    return lum_txn_rollback(txn) == LUM_OK && status == LUM_OK;
}

static void *work(void *context)
{
    struct worker *worker = context;
    bool goes_on = true;
    while (goes_on && worker->count < TRANSACTIONS_MAX) {
        /* in every third round checkpoints of few rows: folds that join the chunks of earlier ones */
        uint64_t action = pick(&worker->random, worker->round->seed % 3 == 0 ? 6 : 40);
        uint64_t sequence = 0;
        if (action == 0) goes_on = lum_checkpoint(worker->store) == LUM_OK;
        else if (action == 1) goes_on = lum_sync(worker->store, &sequence) == LUM_OK;
        else goes_on = run_transaction(worker);
        raise_durable(worker->round, sequence);
        if (pick(&worker->random, 60) == 0) break; /* the end of the script, so that closing is met too */
    }
    return NULL;
}

static void run_threads(struct lum__sim *sim, struct round *round)
{
    lum_store *store = NULL;
    pthread_t threads[THREADS_MAX];
    if (open_on(sim, &round->options, &store) != LUM_OK) return;
    for (uint32_t i = 0; i < round->threads; i++) {
        round->workers[i].store = store;
        if (i > 0) pthread_create(&threads[i], NULL, work, &round->workers[i]);
    }
    work(&round->workers[0]);
    for (uint32_t i = 1; i < round->threads; i++) pthread_join(threads[i], NULL);
    lum_close(store);
}

/* ---------------------------------------------------------------------------------------------------------- checking */

static struct attempt *find_attempt(struct round *round, uint64_t number)
{
    for (uint32_t i = 0; i < round->threads; i++) {
        for (size_t j = 0; j < round->workers[i].count; j++) {
            if (round->workers[i].attempts[j].number == number) return &round->workers[i].attempts[j];
        }
    }
    return NULL;
}

/* Where a scan is: inside which transaction, at which of its rows. */
struct reading {
    struct attempt *attempt;
    uint64_t row, last_sequence, rows;
};

static void finish_transaction(struct reading *reading)
{
    if (reading->attempt != NULL && reading->row != reading->attempt->row_count) fail_round("a part of a transaction is visible");
    reading->attempt = NULL;
}

static void take_row(struct round *round, struct reading *reading, const lum_t *row)
{
    lum_t expected;
    if (reading->attempt == NULL || reading->row == reading->attempt->row_count) {
        finish_transaction(reading);
        reading->attempt = find_attempt(round, row->id / ROWS_STRIDE);
        reading->row = 0;
        if (reading->attempt == NULL) {
            fail_round("a row that nobody wrote");
            return;
        }
        if (reading->attempt->is_there) fail_round("a transaction is there twice");
        if (reading->attempt->fate == ROLLED_BACK || reading->attempt->fate == REFUSED) fail_round("a transaction that was rolled back is visible");
        reading->attempt->is_there = true;
        uint64_t sequence = reading->attempt->sequence;
        if (sequence != 0 && sequence <= reading->last_sequence) fail_round("transactions are out of order");
        if (sequence != 0) reading->last_sequence = sequence;
    }
    lum_test_row(reading->attempt->number * ROWS_STRIDE + reading->row++, &expected);
    if (memcmp(&expected, row, sizeof expected) != 0) fail_round("a row is wrong");
    reading->rows++;
}

static void read_rows(struct round *round, lum_store *store, uint64_t *row_count)
{
    struct reading reading = {0};
    lum_scan *scan = NULL;
    const lum_t *rows = NULL;
    size_t count = 0;
    lum_status status = lum_scan_open(store, NULL, &scan);
    while (status == LUM_OK && failure == NULL && (status = lum_scan_next_rows(scan, &rows, &count)) == LUM_OK) {
        for (size_t i = 0; i < count && failure == NULL; i++) take_row(round, &reading, &rows[i]);
    }
    if (failure == NULL && status != LUM_END) fail_round("the store cannot be read");
    finish_transaction(&reading);
    *row_count = reading.rows;
    lum_scan_close(scan);
}

static void check_attempt(struct round *round, lum_store *store, struct attempt *attempt, bool may_lose, uint64_t *highest_there, uint64_t *lowest_lost)
{
    enum lum_outcome outcome = LUM_OUTCOME_UNKNOWN;
    if (attempt->id != 0 && lum_txn_outcome(store, attempt->id, &outcome) != LUM_OK) fail_round("no outcome");
    if (attempt->row_count == 0 || attempt->id == 0) attempt->is_there = outcome == LUM_OUTCOME_COMMITTED; /* no rows to see it by */
    if (attempt->id != 0 && outcome != (attempt->is_there ? LUM_OUTCOME_COMMITTED : LUM_OUTCOME_NOT_COMMITTED))
        fail_round("lum_txn_outcome does not say what is there");
    if (attempt->is_there && attempt->fate == ROLLED_BACK) fail_round("a transaction that was rolled back is committed");
    if (attempt->is_labelled) {
        char label[32];
        lum_receipt found = LUM_RECEIPT_INIT;
        snprintf(label, sizeof label, "t%llu", (unsigned long long)attempt->number);
        lum_status status = lum_label_outcome(store, label, &found);
        if (status != (attempt->is_there ? LUM_OK : LUM_ERR_NOT_FOUND)) fail_round("a label is lost, or there without its transaction");
        if (attempt->is_there && (found.transaction_id != attempt->id || found.lum_count != attempt->row_count)) fail_round("a label tells another transaction");
        if (attempt->is_there && attempt->fate == COMMITTED && (found.sequence != attempt->sequence || found.digest != attempt->digest))
            fail_round("a label tells another commit");
    }
    if (attempt->fate != COMMITTED) return;
    if (!attempt->is_there && (!may_lose || attempt->sequence <= atomic_load(&round->durable))) fail_round("an acknowledged transaction is lost");
    if (attempt->is_there && attempt->sequence > *highest_there) *highest_there = attempt->sequence;
    if (!attempt->is_there && attempt->sequence < *lowest_lost) *lowest_lost = attempt->sequence;
}

/* Ends with a clean close or, what is there being durable now, with another power cut. */
static void check_store(struct lum__sim *sim, struct round *round, bool may_lose, bool ends_in_cut, uint32_t *digest, uint64_t *transactions)
{
    lum_store *store = NULL;
    uint64_t rows = 0, highest_there = 0, lowest_lost = UINT64_MAX;
    for (uint32_t i = 0; i < round->threads; i++) {
        for (size_t j = 0; j < round->workers[i].count; j++) round->workers[i].attempts[j].is_there = false;
    }
    if (open_on(sim, &round->options, &store) != LUM_OK) {
        fail_round("the store does not open");
        return;
    }
    lum_info_data info = LUM_INFO_INIT;
    read_rows(round, store, &rows);
    if (lum_info(store, &info) != LUM_OK) fail_round("no info");
    if (failure == NULL && info.lum_count != rows) fail_round("info and scan disagree");
    *digest = info.digest;
    *transactions = info.transaction_count;
    for (uint32_t i = 0; i < round->threads; i++) {
        for (size_t j = 0; j < round->workers[i].count && failure == NULL; j++)
            check_attempt(round, store, &round->workers[i].attempts[j], may_lose, &highest_there, &lowest_lost);
    }
    if (failure == NULL && lowest_lost < highest_there) fail_round("a commit is missing before one that is there");
    if (ends_in_cut) lum__sim_power_cut(sim, (enum lum__sim_mode)(round->seed % LUM__SIM_MODES), round->seed);
    if (lum_close(store) != LUM_OK && !ends_in_cut) fail_round("the store does not close");
}

static void on_finding(void *context, const lum_finding *finding)
{
    char text[512];
    (void)context;
    snprintf(text, sizeof text, "verify: %s:%llu: condition %u: %s", finding->file, (unsigned long long)finding->offset, finding->condition,
             finding->what);
    fail_round(text);
}

static void check_verify(struct lum__sim *sim)
{
    struct lum__fs *fs = NULL;
    if (lum__sim_open(sim, true, &fs) != LUM_OK) {
        fail_round("cannot open the disk for verify");
        return;
    }
    lum_verify_report report = LUM_VERIFY_REPORT_INIT;
    if (lum__verify(fs, 1, on_finding, NULL, &report) != LUM_OK) fail_round("verify is not clean");
    lum__fs_close(fs);
}

/* ------------------------------------------------------------------------------------------------------------ rounds */

static void make_round(struct round *round, uint64_t seed)
{
    uint64_t random = seed;
    memset(round, 0, sizeof *round);
    round->seed = seed;
    round->threads = pick(&random, 16) == 0 ? THREADS_MAX : 1 + (uint32_t)pick(&random, 3);
    atomic_init(&round->next_number, 1);
    round->options = (lum_options)LUM_OPTIONS_INIT;
    round->options.create = true;
    round->options.threads = 1;
    round->options.chunk_lums = 4096;
    round->options.memory_bytes_max = pick(&random, 4) == 0 ? 2u << 20 : 64u << 20; /* a row table of 256 KiB folds often */
    round->options.wal_segment_bytes = 64 * 1024;
    round->options.checkpoint_wal_bytes = 16384 + pick(&random, 262144);
    round->options.data_segment_bytes_max = 64u << 20;
    uint64_t mode = pick(&random, 8);
    round->options.sync_mode = mode == 6 ? LUM_SYNC_INTERVAL : mode == 7 ? LUM_SYNC_NONE : LUM_SYNC_COMMIT;
    round->options.sync_interval_ms = 1;
    for (uint32_t i = 0; i < round->threads; i++) {
        round->workers[i].round = round;
        round->workers[i].random = lum__splitmix64(&random);
    }
}

static void cut(struct lum__sim *sim, uint64_t *random, bool *was_power_cut)
{
    bool is_kill = pick(random, 4) == 0;
    lum_test_phase_cut(sim, !is_kill);
    if (is_kill) {
        lum__sim_kill(sim, lum__splitmix64(random));
    } else {
        *was_power_cut = true;
        lum__sim_power_cut(sim, (enum lum__sim_mode)pick(random, LUM__SIM_MODES), lum__splitmix64(random));
    }
}

/* Where the disk is to stop: half of the time at any step, else soon after something that takes few steps has begun. */
static void choose_stop(struct lum__sim *sim, int life, uint64_t spread, uint64_t *random)
{
    static const enum lum_test_phase rare[] = {PHASE_CHECKPOINT, PHASE_FOLD, PHASE_RECYCLE, PHASE_CLOSE, PHASE_TRIM, PHASE_ROTATE};
    enum lum_test_phase phase = rare[pick(random, sizeof rare / sizeof rare[0])];
    uint64_t nth = 1 + pick(random, life == 0 ? 4 : 1), steps = 1 + pick(random, 8);
    if (pick(random, 2) == 0) lum_test_phase_aim(sim, phase, nth, steps);
    else lum__sim_stop_at(sim, 1 + pick(random, spread));
}

/* Opens, is stopped at a step of that, and cut once more. life: which opening this is. step 0: any. */
static void stop_recovery(struct lum__sim *sim, const struct round *round, int life, uint64_t step, uint64_t *random, bool *was_power_cut)
{
    lum_store *store = NULL;
    if (step > 0) lum__sim_stop_at(sim, step);
    else choose_stop(sim, life, 60, random);
    lum_test_phase_enter_life(life);
    if (open_on(sim, &round->options, &store) == LUM_OK) lum_close(store);
    cut(sim, random, was_power_cut);
}

/* only_step 0: a random script, stopped at a random step. */
static void run_round(struct round *round, uint64_t seed, uint64_t only_step)
{
    uint64_t random = seed ^ 0x2545f491;
    make_round(round, only_step > 0 ? 13 : seed);
    if (only_step > 0) round->threads = 1;
    struct lum__sim *sim = lum__sim_create(seed);
    lum__sim_set_reorder_queue(sim, true);
    lum_test_phase_watch(sim);
    lum_test_phase_enter_life(0);
    if (pick(&random, 8) == 0) lum__sim_set_direct(sim, false);
    bool is_full = only_step == 0 && pick(&random, 6) == 0; /* the disk fills up: at work, and half of the time while recovering too */
    if (is_full) lum__sim_set_limit(sim, (300u << 10) + pick(&random, 2u << 20));
    bool was_power_cut = false;
    if (only_step > 0) lum__sim_stop_at(sim, only_step);
    else choose_stop(sim, 0, pick(&random, 3) == 0 ? 80 : 520, &random);
    run_threads(sim, round);
    cut(sim, &random, &was_power_cut);
    if (is_full && pick(&random, 2) == 0) lum__sim_set_limit(sim, 0);
    if (only_step > 0 && only_step % 3 == 0) stop_recovery(sim, round, 1, 1 + only_step / 3 % 60, &random, &was_power_cut);
    for (int life = 1; only_step == 0 && life <= 2 && pick(&random, life == 1 ? 3 : 2) == 0; life++)
        stop_recovery(sim, round, life, 0, &random, &was_power_cut);
    lum__sim_set_limit(sim, 0);
    uint64_t transactions = 0, transactions_again = 0;
    uint32_t digest = 0, digest_again = 0;
    check_store(sim, round, was_power_cut, pick(&random, 2) == 0, &digest, &transactions);
    if (failure == NULL) check_verify(sim);
    if (failure == NULL) check_store(sim, round, was_power_cut, false, &digest_again, &transactions_again);
    if (failure == NULL && (transactions != transactions_again || digest != digest_again)) fail_round("opening once more changed something");
    lum__sim_destroy(sim);
}

/* A test that no longer gets to where it should turns red. */
static bool is_everything_met(void)
{
    static const enum lum_test_phase work[] = {PHASE_DATA, PHASE_LOG,  PHASE_ROTATE,  PHASE_CREATE, PHASE_CHECKPOINT,
                                               PHASE_FOLD, PHASE_OPEN, PHASE_RECYCLE, PHASE_CLOSE,  PHASE_TRIM};
    static const enum lum_test_phase recovery[] = {PHASE_OPEN, PHASE_FOLD, PHASE_CHECKPOINT, PHASE_CLOSE};
    uint32_t missing = lum_test_phase_missing(0, work, sizeof work / sizeof work[0]);
    for (int life = 1; life <= 2; life++) missing += lum_test_phase_missing(life, recovery, sizeof recovery / sizeof recovery[0]);
    return missing == 0;
}

int main(int argc, char **argv)
{
    bool steps = argc > 1 && strcmp(argv[1], "steps") == 0;
    if (steps) argc--, argv++;
    const char *rounds_text = getenv("LUM_ROUNDS"), *seed_text = getenv("LUM_SEED"); /* stronger than arguments: CTest gives those */
    if (rounds_text == NULL && argc > 1) rounds_text = argv[1];
    if (seed_text == NULL && argc > 2) seed_text = argv[2];
    uint64_t rounds = rounds_text != NULL ? strtoull(rounds_text, NULL, 10) : 1000;
    uint64_t seed = seed_text != NULL ? strtoull(seed_text, NULL, 10) : 1;
    uint64_t failures = 0;
    struct round *round = malloc(sizeof *round);
    if (round == NULL) return 2;
    for (uint64_t i = 0; i < rounds && failures < 10; i++, seed++) {
        failure = NULL;
        run_round(round, seed, steps ? i + 1 : 0);
        if (failure == NULL) continue;
        failures++;
        printf("seed %llu: %s\n", (unsigned long long)seed, failure);
    }
    free(round);
    bool is_blind = !steps && rounds >= 1000 && !is_everything_met();
    printf("%llu rounds, %llu failures; ", (unsigned long long)rounds, (unsigned long long)failures);
    lum_test_phase_print();
    return failures > 0 || is_blind ? 1 : 0;
}
