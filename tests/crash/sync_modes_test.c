/* What a process kill and a power cut may lose in each sync mode, as lum.h says it (enum lum_sync_mode), by small
 * transactions and by loads (chunks), waited for and asynchronous, beside checkpoints, lum_sync and lum_wait_durable,
 * on a disk in memory and by real kills:
 *
 * - any mode: what is there is whole transactions, bit-identical, a prefix of commit order, and verify is clean.
 * Nothing whose durability was told (receipt, event, lum_wait_durable, lum_sync, lum_info) is ever lost, nor what was
 * acknowledged before a checkpoint that succeeded. A kill loses nothing that was acknowledged. After a close neither
 * loses anything. lum_txn_outcome says of each transaction what became of it, also of those under way at the end.
 * - commit: a power cut loses nothing that was acknowledged (but asynchronous commits of the last 10 ms).
 * - interval: a power cut loses nothing that was acknowledged longer ago than the interval, and a sync's time.
 * - none: a power cut may lose everything else.
 *
 * That it can fail: in the weaker modes power cuts must have lost something at least once, and on a disk that lies
 * about syncs each mode must fail.
 *
 *   sync_modes_test commit|interval|none [rounds] [seed]      default 60 rounds; LUM_ROUNDS and LUM_SEED are stronger
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "api/store.h"
#include "base/clock.h"
#include "base/random.h"
#include "recovery/verify.h"
#include "storage/file_sim.h"
#include "support/directory.h"
#include "support/rows.h"

enum { WORKERS = 4, LOADER = WORKERS - 1, ENTRIES_MAX = 60000, WORKER_SHIFT = 32, LOAD_ROWS = 30000, INTERVAL_MS = 60 };
/* What a sync may take on the disk in memory, on a busy machine; rounds in which the machine stood still for longer are
 * not judged by the clock. */
#define SYNC_NS  50000000u
#define STALL_NS 20000000u
#define ASYNC_NS 10000000u

enum end { POWER_CUT, KILL, CLOSE, REAL_KILL, ENDS };
static const char *const end_names[ENDS] = {"power cut", "kill", "close and power cut", "kill -9"};

/* One acknowledged commit: the worker's rows up to rows_end are there if it is. */
struct entry {
    uint64_t rows_end, sequence, transaction_id, acknowledged_ns;
    bool is_durable, is_async;
};

/* In memory that a killed process leaves behind. Each worker's rows are numbered from worker << WORKER_SHIFT. */
struct notes {
    struct {
        _Atomic uint64_t submitted;              /* rows */
        _Atomic uint64_t count;                  /* of entries */
        _Atomic uint64_t last_id, last_rows_end; /* of the last transaction that was begun; id 0: none */
        struct entry entries[ENTRIES_MAX];
    } workers[WORKERS];
    _Atomic uint64_t durable; /* the highest sequence that was told to be durable */
    _Atomic bool stop, is_ready;
    _Atomic bool failed; /* a commit failed though nothing was wrong yet */
};

struct round {
    enum lum_sync_mode mode;
    enum end end;
    uint64_t seed;
    bool is_quiet; /* nobody asks for a sync: mode commit has asynchronous commits only, before a close there are chunks
                      only */
    lum_options options;
    struct notes *notes;
    lum_store *store;
    uint64_t cut_ns;   /* when the disk was stopped */
    uint64_t stall_ns; /* the longest that the machine kept a thread waiting meanwhile */
};

struct worker {
    struct round *round;
    uint32_t number;
    uint64_t random, rows; /* acknowledged */
};

static const char *failure; /* of the current round; NULL: none */
static char failure_text[1024];

static void fail_round(const char *what)
{
    if (failure != NULL) return;
    const lum_error_data *error = lum_last_error();
    snprintf(failure_text, sizeof failure_text, "%s; last error: %s %s: %s", what, lum_status_name(error->status),
             error->file, error->message);
    failure = failure_text;
}

static uint64_t pick(uint64_t *random, uint64_t count) { return lum__splitmix64(random) % count; }

static void sleep_us(uint64_t us)
{
    struct timespec pause = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000 * 1000)};
    nanosleep(&pause, NULL);
}

static lum_options make_options(enum lum_sync_mode mode)
{
    lum_options options = LUM_OPTIONS_INIT;
    options.create = true;
    options.threads = 2;
    options.chunk_lums = 4096;
    options.memory_bytes_max = 64u << 20;
    options.wal_segment_bytes = 8u << 20; /* no rotation: it would sync more than the mode promises */
    options.data_segment_bytes_max = 64u << 20;
    options.sync_mode = mode;
    options.sync_interval_ms = INTERVAL_MS;
    return options;
}

/* --------------------------------------------------------------------------------------------------- what is killed */

static void lift(_Atomic uint64_t *value, uint64_t to)
{
    uint64_t known = atomic_load(value);
    while (known < to && !atomic_compare_exchange_weak(value, &known, to)) continue;
}

static void acknowledge(struct worker *worker, struct entry entry)
{
    struct notes *notes = worker->round->notes;
    uint64_t count = atomic_load(&notes->workers[worker->number].count);
    if (count == ENTRIES_MAX) {
        atomic_store(&notes->stop, true);
        return;
    }
    entry.acknowledged_ns = lum__clock_monotonic_ns();
    notes->workers[worker->number].entries[count] = entry;
    atomic_store(&notes->workers[worker->number].count, count + 1);
    if (entry.is_durable) lift(&notes->durable, entry.sequence);
}

/* A small transaction, or one that is large enough for a chunk. */
static bool run_transaction(struct worker *worker)
{
    struct round *round = worker->round;
    lum_txn *txn = NULL;
    lum_receipt receipt = LUM_RECEIPT_INIT;
    /* Nothing then that is synced at once: a chunk is, and what was answered before it goes along. */
    bool only_async = round->is_quiet && round->mode == LUM_SYNC_COMMIT;
    bool is_large = (round->is_quiet && round->end == CLOSE) || (!only_async && pick(&worker->random, 64) == 0);
    bool is_async = only_async || pick(&worker->random, 4) == 0;
    uint64_t count = is_large ? 5000 : 1 + pick(&worker->random, 8);
    lift(&round->notes->workers[worker->number].submitted, worker->rows + count);
    if (lum_txn_begin(round->store, NULL, &txn) != LUM_OK) return false;
    atomic_store(&round->notes->workers[worker->number].last_id, 0);
    atomic_store(&round->notes->workers[worker->number].last_rows_end, worker->rows + count);
    atomic_store(&round->notes->workers[worker->number].last_id, lum_txn_id(txn));
    for (uint64_t i = 0; i < count; i++) {
        lum_t row;
        lum_test_row(((uint64_t)worker->number << WORKER_SHIFT) + worker->rows + i, &row);
        if (lum_txn_append(txn, &row, 1) == LUM_OK) continue;
        lum_txn_rollback(txn);
        return false;
    }
    if ((is_async ? lum_txn_commit_async(txn, &receipt) : lum_txn_commit(txn, &receipt)) != LUM_OK) return false;
    worker->rows += count;
    acknowledge(worker,
                (struct entry){worker->rows, receipt.sequence, receipt.transaction_id, 0, receipt.durable, is_async});
    if (!round->is_quiet && pick(&worker->random, 100) == 0) {
        if (lum_wait_durable(round->store, receipt.sequence, UINT64_MAX) != LUM_OK) return false;
        lift(&round->notes->durable, receipt.sequence);
    }
    return true;
}

static void on_commit(void *context, const lum_load_event *event)
{
    struct worker *worker = context;
    acknowledge(worker, (struct entry){worker->rows + event->rows_committed, event->sequence, event->transaction_id, 0,
                                       event->durable, false});
}

static bool run_load(struct worker *worker)
{
    struct lum_test_source context;
    lum_source source;
    lum_load_report report = LUM_LOAD_REPORT_INIT;
    lum_load_options options = LUM_LOAD_OPTIONS_INIT;
    uint64_t first = ((uint64_t)worker->number << WORKER_SHIFT) + worker->rows;
    lift(&worker->round->notes->workers[worker->number].submitted, worker->rows + LOAD_ROWS);
    lum_test_source_init(&context, first, LOAD_ROWS, &source);
    options.commit_every = LOAD_ROWS / 20;
    options.on_commit = on_commit;
    options.callback_context = worker;
    if (lum_load(worker->round->store, &source, &options, &report) != LUM_OK) return false;
    worker->rows += LOAD_ROWS;
    sleep_us(pick(&worker->random, 40000)); /* so that not every sync is the load's */
    return true;
}

/* What is told of durability beside the commits: what was written before a sync or checkpoint that succeeded is durable
 * too. */
static bool look(struct worker *worker)
{
    struct round *round = worker->round;
    lum_info_data info = LUM_INFO_INIT;
    if (lum_info(round->store, &info) != LUM_OK) return false;
    lift(&round->notes->durable, info.durable_sequence);
    uint64_t synced = 0, action = round->is_quiet ? 2 : pick(&worker->random, 150);
    if (action == 0 && lum_checkpoint(round->store) == LUM_OK) lift(&round->notes->durable, info.last_sequence);
    if (action == 1 && lum_sync(round->store, &synced) == LUM_OK)
        lift(&round->notes->durable, synced > info.last_sequence ? synced : info.last_sequence);
    return true;
}

static void *work(void *context)
{
    struct worker *worker = context;
    struct round *round = worker->round;
    struct notes *notes = round->notes;
    bool goes_on = true;
    while (goes_on && !atomic_load(&notes->stop)) {
        if (worker->number == LOADER && (!round->is_quiet || round->mode != LUM_SYNC_COMMIT))
            goes_on = run_load(worker);
        else if (worker->number == 0 && pick(&worker->random, 3) == 0)
            goes_on = look(worker);
        else
            goes_on = run_transaction(worker);
        sleep_us(pick(&worker->random, 2000)); /* not faster than a round can be looked through */
    }
    if (!goes_on && !atomic_load(&notes->stop)) atomic_store(&notes->failed, true);
    return NULL;
}

static void start_workers(struct round *round, struct worker *workers, pthread_t *threads)
{
    uint64_t random = round->seed;
    for (uint32_t i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.round = round, .number = i, .random = lum__splitmix64(&random)};
        if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0) abort();
    }
    atomic_store(&round->notes->is_ready, true);
}

/* ------------------------------------------------------------------------------------------------------------- judging
 */

static lum_status open_on(struct lum__sim *sim, const lum_options *options, lum_store **out)
{
    lum_options resolved;
    struct lum__fs *fs = NULL;
    *out = NULL;
    lum_status status = lum__options_resolve(options, &resolved);
    if (status == LUM_OK) status = lum__sim_open(sim, false, &fs);
    if (status == LUM_OK) status = lum__store_open_fs(fs, "sim", &resolved, out);
    return status;
}

/* found[worker]: how many of its rows are there, which must be its first ones, in order. */
static void read_rows(lum_store *store, uint64_t *found)
{
    lum_scan *scan = NULL;
    const lum_t *rows = NULL;
    size_t count = 0;
    lum_status status = lum_scan_open(store, NULL, &scan);
    while (status == LUM_OK && failure == NULL && (status = lum_scan_next_rows(scan, &rows, &count)) == LUM_OK) {
        for (size_t i = 0; i < count && failure == NULL; i++) {
            lum_t expected;
            uint64_t worker = rows[i].id >> WORKER_SHIFT;
            if (worker < WORKERS) lum_test_row((worker << WORKER_SHIFT) + found[worker]++, &expected);
            if (worker >= WORKERS || memcmp(&expected, &rows[i], sizeof expected) != 0)
                fail_round("a row is wrong, missing or out of order");
        }
    }
    if (failure == NULL && status != LUM_END) fail_round("the store cannot be read");
    lum_scan_close(scan);
}

/* May this acknowledged commit be lost? */
static bool may_be_lost(const struct round *round, const struct entry *entry)
{
    if (round->end != POWER_CUT) return false;
    if (entry->sequence <= atomic_load(&round->notes->durable)) return false;
    if (round->mode == LUM_SYNC_NONE) return true;
    if (round->mode == LUM_SYNC_COMMIT && !entry->is_async) return false;
    uint64_t grace = round->mode == LUM_SYNC_INTERVAL ? INTERVAL_MS * UINT64_C(1000000) : ASYNC_NS;
    return entry->acknowledged_ns + grace + SYNC_NS > round->cut_ns || round->stall_ns > STALL_NS;
}

/* Tells how many acknowledged commits are lost. */
static uint64_t check_entries(const struct round *round, const uint64_t *found)
{
    uint64_t lost = 0, highest_there = 0, lowest_lost = UINT64_MAX;
    for (uint32_t i = 0; i < WORKERS && failure == NULL; i++) {
        uint64_t count = atomic_load(&round->notes->workers[i].count), end = 0;
        if (found[i] > atomic_load(&round->notes->workers[i].submitted))
            fail_round("rows are there that were never submitted");
        for (uint64_t j = 0; j < count && failure == NULL; j++) {
            const struct entry *entry = &round->notes->workers[i].entries[j];
            bool is_there = entry->rows_end <= found[i];
            if (!is_there && found[i] > end) fail_round("a part of a transaction is visible");
            if (!is_there && !may_be_lost(round, entry)) fail_round("something is lost that the mode promises to keep");
            if (is_there && entry->sequence > highest_there) highest_there = entry->sequence;
            if (!is_there && entry->sequence < lowest_lost) lowest_lost = entry->sequence;
            lost += !is_there;
            end = entry->rows_end;
        }
    }
    if (failure == NULL && lowest_lost < highest_there) fail_round("a commit is missing before one that is there");
    return lost;
}

static void check_outcome(lum_store *store, uint64_t id, bool is_there)
{
    enum lum_outcome outcome = LUM_OUTCOME_UNKNOWN;
    if (lum_txn_outcome(store, id, &outcome) != LUM_OK) fail_round("no outcome");
    if (outcome != (is_there ? LUM_OUTCOME_COMMITTED : LUM_OUTCOME_NOT_COMMITTED))
        fail_round("lum_txn_outcome does not say what is there");
}

static void check_outcomes(const struct round *round, lum_store *store, const uint64_t *found)
{
    for (uint32_t i = 0; i < WORKERS && failure == NULL; i++) {
        uint64_t count = atomic_load(&round->notes->workers[i].count),
                 last_id = atomic_load(&round->notes->workers[i].last_id);
        for (uint64_t j = 0; j < count && failure == NULL; j++) {
            const struct entry *entry = &round->notes->workers[i].entries[j];
            check_outcome(store, entry->transaction_id, entry->rows_end <= found[i]);
        }
        if (last_id != 0)
            check_outcome(store, last_id, atomic_load(&round->notes->workers[i].last_rows_end) <= found[i]);
    }
}

static uint64_t check_store(const struct round *round, lum_store *store)
{
    uint64_t found[WORKERS] = {0};
    read_rows(store, found);
    if (failure == NULL) check_outcomes(round, store, found);
    return failure == NULL ? check_entries(round, found) : 0;
}

/* ------------------------------------------------------------------------------------------- rounds on the disk in
 * memory */

struct watch {
    _Atomic bool stop;
    uint64_t stall_ns;
};

/* Looks how long the machine keeps a thread waiting that wants to run every millisecond. */
static void *watch_machine(void *context)
{
    struct watch *watch = context;
    for (uint64_t before = lum__clock_monotonic_ns(), now; !atomic_load(&watch->stop); before = now) {
        sleep_us(1000);
        now = lum__clock_monotonic_ns();
        if (now - before > watch->stall_ns + 1000000) watch->stall_ns = now - before - 1000000;
    }
    return NULL;
}

/* The workers finish what they are at. Three times in four the disk stops in the middle of the close. */
static void close_round(struct round *round, struct lum__sim *sim, pthread_t *threads, uint64_t *random)
{
    for (uint32_t i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL);
    bool stops = pick(random, 4) != 0;
    if (stops) lum__sim_stop_at(sim, 1 + pick(random, 15));
    lum_status status = lum_close(round->store);
    if (status != LUM_OK && !stops) fail_round("the store does not close");
    if (status != LUM_OK) round->end = POWER_CUT;
}

static void end_round(struct round *round, struct lum__sim *sim, pthread_t *threads, uint64_t *random)
{
    bool is_close = round->end == CLOSE;
    round->cut_ns = lum__clock_monotonic_ns();
    atomic_store(&round->notes->stop, true);
    if (is_close) close_round(round, sim, threads, random);
    enum lum__sim_mode cut = pick(random, 2) == 0 ? LUM__SIM_DROPPED : (enum lum__sim_mode)pick(random, LUM__SIM_MODES);
    if (round->end == KILL)
        lum__sim_kill(sim, lum__splitmix64(random));
    else
        lum__sim_power_cut(sim, cut, lum__splitmix64(random));
    if (is_close) return;
    for (uint32_t i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL);
    (void)lum_close(round->store);
}

static void check_verify(struct lum__sim *sim)
{
    struct lum__fs *fs = NULL;
    lum_verify_report report = LUM_VERIFY_REPORT_INIT;
    if (lum__sim_open(sim, true, &fs) != LUM_OK) {
        fail_round("the disk does not open");
        return;
    }
    if (lum__verify(fs, 1, NULL, NULL, &report) != LUM_OK) fail_round("verify is not clean");
    lum__fs_close(fs);
}

/* Tells how many acknowledged commits are lost. */
static uint64_t run_round(struct round *round, bool is_lying)
{
    uint64_t random = round->seed ^ 0x9e3779b9, lost = 0;
    struct worker workers[WORKERS];
    pthread_t threads[WORKERS], watcher;
    struct watch watch = {.stall_ns = 0};
    struct lum__sim *sim = lum__sim_create(round->seed);
    round->options = make_options(round->mode);
    lum__sim_set_reorder_queue(sim, true);
    if (open_on(sim, &round->options, &round->store) != LUM_OK) abort();
    if (is_lying) lum__sim_ignore_file_sync(sim, true);
    if (pthread_create(&watcher, NULL, watch_machine, &watch) != 0) abort();
    start_workers(round, workers, threads);
    sleep_us(round->end == CLOSE ? 40000 : 120000 + pick(&random, 200000));
    end_round(round, sim, threads, &random);
    atomic_store(&watch.stop, true);
    pthread_join(watcher, NULL);
    round->stall_ns = watch.stall_ns;
    if (atomic_load(&round->notes->failed)) fail_round("a commit failed though nothing was wrong");
    lum_store *store = NULL;
    if (failure == NULL && open_on(sim, &round->options, &store) != LUM_OK) fail_round("the store does not open");
    if (failure == NULL) lost = check_store(round, store);
    if (store != NULL && lum_close(store) != LUM_OK) fail_round("the store does not close again");
    if (failure == NULL) check_verify(sim);
    lum__sim_destroy(sim);
    return lost;
}

/* ------------------------------------------------------------------------------------------------------- real kills */

static struct notes *map_notes(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(struct notes)) != 0) abort();
    void *memory = mmap(NULL, sizeof(struct notes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (memory == MAP_FAILED) abort();
    return memory;
}

/* The program that is killed. */
static int run_writer(enum lum_sync_mode mode, const char *directory, const char *notes_path, uint64_t seed)
{
    struct round round = {
        .mode = mode, .end = REAL_KILL, .seed = seed, .options = make_options(mode), .notes = map_notes(notes_path)};
    struct worker workers[WORKERS];
    pthread_t threads[WORKERS];
    if (lum_open(directory, &round.options, &round.store) != LUM_OK) {
        fprintf(stderr, "the writer cannot open the store: %s\n", lum_last_error()->message);
        return 1;
    }
    start_workers(&round, workers, threads);
    for (uint32_t i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL); /* only after a failure */
    return 1;
}

static pid_t start_writer(const struct round *round, const char *directory, const char *notes_path)
{
    char mode[8], seed[32];
    snprintf(mode, sizeof mode, "%d", (int)round->mode);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)round->seed);
    pid_t child = fork();
    if (child != 0) return child;
    execl("/proc/self/exe", "sync_modes_test", "--writer", mode, directory, notes_path, seed, (char *)NULL);
    _exit(127);
}

static void run_kill(struct round *round)
{
    char directory[256], store_path[300], notes_path[300];
    uint64_t random = round->seed;
    int status = 0;
    lum_store *store = NULL;
    lum_verify_report report = LUM_VERIFY_REPORT_INIT;
    round->options = make_options(round->mode);
    lum_test_directory_make(directory, sizeof directory);
    snprintf(store_path, sizeof store_path, "%s/store", directory);
    snprintf(notes_path, sizeof notes_path, "%s/notes", directory);
    struct notes *notes = map_notes(notes_path);
    round->notes = notes;
    pid_t child = start_writer(round, store_path, notes_path);
    for (int i = 0; i < 5000 && !atomic_load(&notes->is_ready); i++) sleep_us(2000);
    sleep_us(20000 + pick(&random, 200000));
    kill(child, SIGKILL);
    if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status)) fail_round("the writer ended by itself");
    if (failure == NULL && lum_open(store_path, &round->options, &store) != LUM_OK)
        fail_round("the store does not open");
    if (failure == NULL) (void)check_store(round, store);
    if (store != NULL && lum_close(store) != LUM_OK) fail_round("the store does not close");
    if (failure == NULL && lum_verify(store_path, 1, NULL, NULL, &report) != LUM_OK) fail_round("verify is not clean");
    munmap(notes, sizeof *notes);
    if (failure == NULL)
        lum_test_directory_remove(directory);
    else
        printf("kept: %s\n", directory);
}

/* ---------------------------------------------------------------------------------------------------------------- main
 */

struct tally {
    uint64_t rounds[ENDS], commits, lost, judged_by_clock;
};

/* False: it went wrong. */
static bool run_one(enum lum_sync_mode mode, enum end end, uint64_t seed, bool is_lying, struct notes *notes,
                    struct tally *tally)
{
    uint64_t random = seed;
    struct round round = {.mode = mode, .end = end, .seed = seed, .is_quiet = pick(&random, 2) == 0, .notes = notes};
    failure = NULL;
    if (end == REAL_KILL) {
        run_kill(&round);
    } else {
        memset(notes, 0, sizeof *notes);
        tally->lost += run_round(&round, is_lying);
        for (uint32_t i = 0; i < WORKERS; i++) tally->commits += atomic_load(&notes->workers[i].count);
        tally->judged_by_clock += end == POWER_CUT && round.stall_ns <= STALL_NS;
    }
    tally->rounds[end]++;
    return failure == NULL;
}

static bool run_all(enum lum_sync_mode mode, uint64_t rounds, uint64_t seed, struct notes *notes)
{
    struct tally tally = {0}, lying = {0};
    bool is_lie_noticed = false;
    for (uint64_t i = 0; i < rounds; i++) {
        enum end end =
            (const enum end[]){POWER_CUT, CLOSE, POWER_CUT, REAL_KILL, POWER_CUT, CLOSE, KILL, REAL_KILL}[i % 8];
        if (run_one(mode, end, seed + i, false, notes, &tally)) continue;
        printf("LUM_SEED=%llu, %s: %s\n", (unsigned long long)(seed + i), end_names[end], failure);
        return false;
    }
    for (uint64_t i = 0; i < 60 && !is_lie_noticed; i++)
        is_lie_noticed = !run_one(mode, mode == LUM_SYNC_NONE ? CLOSE : POWER_CUT, i, true, notes, &lying);
    printf("%llu power cuts (%llu judged by the clock), %llu kills, %llu closes, %llu kills -9; %llu commits "
           "acknowledged, power cuts lost %llu\n",
           (unsigned long long)tally.rounds[POWER_CUT], (unsigned long long)tally.judged_by_clock,
           (unsigned long long)tally.rounds[KILL], (unsigned long long)tally.rounds[CLOSE],
           (unsigned long long)tally.rounds[REAL_KILL], (unsigned long long)tally.commits,
           (unsigned long long)tally.lost);
    if (!is_lie_noticed) printf("a disk that lies about its syncs was not noticed: this test proves nothing\n");
    bool loses = tally.lost > 0 || mode == LUM_SYNC_COMMIT || rounds < 8;
    if (!loses) printf("no power cut lost anything: this test proves nothing\n");
    return is_lie_noticed && loses;
}

int main(int argc, char **argv)
{
    static const char *const modes[] = {"commit", "interval", "none"};
    const char *rounds_text = getenv("LUM_ROUNDS"),
               *seed_text = getenv("LUM_SEED"); /* stronger than arguments: CTest gives those */
    if (argc == 6 && strcmp(argv[1], "--writer") == 0)
        return run_writer((enum lum_sync_mode)strtoull(argv[2], NULL, 10), argv[3], argv[4],
                          strtoull(argv[5], NULL, 10));
    size_t mode = 0;
    while (argc > 1 && mode < 3 && strcmp(argv[1], modes[mode]) != 0) mode++;
    if (argc < 2 || mode == 3) return 2;
    if (rounds_text == NULL && argc > 2) rounds_text = argv[2];
    if (seed_text == NULL && argc > 3) seed_text = argv[3];
    struct notes *notes = malloc(sizeof *notes);
    if (notes == NULL) return 2;
    bool is_fine = run_all((enum lum_sync_mode)mode, rounds_text != NULL ? strtoull(rounds_text, NULL, 10) : 60,
                           seed_text != NULL ? strtoull(seed_text, NULL, 10) : 1, notes);
    free(notes);
    return is_fine ? 0 : 1;
}
