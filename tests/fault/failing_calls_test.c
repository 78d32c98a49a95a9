/* Every kind of call that a disk can fail, failed at every place where the engine makes it (creation, loads with commits, checkpoints, close):
 * errors of writes, syncs, allocations, names, and writes of a queue that fail or stop half way. Whatever happens then (the process goes on,
 * closes, is killed, or the power is cut):
 *
 *   - the store opens again, verify is clean, and what is there are the rows that were reported as loaded, bit for bit; only where the load
 *     answered LUM_IN_DOUBT may there be more of its commits (P1, P2, P6);
 *   - rows_read = rows_loaded + rows_rejected + rows_skipped + rows_rolled_back (P8);
 *   - a failed sync is final: no later load of the same opening succeeds (pitfall 6).
 *
 *   failing_calls_test       LUM_SEED=... replays */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/store.h"
#include "base/random.h"
#include "recovery/verify.h"
#include "storage/file_sim.h"
#include "support/rows.h"

enum { LOADS = 4 };
static const uint64_t load_rows[LOADS] = {3000, 9000, 2500, 1500};
static const uint64_t commit_every[LOADS] = {700, 4500, 0, 500};

struct round {
    uint64_t random;
    struct lum__sim_fault fault;
    lum_options options;
    uint64_t rows_loaded;    /* reported */
    uint64_t rows_in_doubt;  /* that may be there beyond */
    uint64_t commit_first, commit_rows; /* of the load in doubt */
    const char *what;        /* is wrong; NULL: nothing */
    char text[1024];
};

static const struct {
    enum lum__sim_call call;
    int os_errno;
    const char *name;
} faults[] = {
    {LUM__SIM_COMPLETION_WRITE, EIO, "a chunk's write fails"},
    {LUM__SIM_COMPLETION_WRITE, ENOSPC, "a chunk's write has no room"},
    {LUM__SIM_SHORT, 0, "a chunk's write stops half way"},
    {LUM__SIM_SUBMIT, EIO, "a submission fails"},
    {LUM__SIM_WRITE, EIO, "a write fails"},
    {LUM__SIM_WRITE, ENOSPC, "a write has no room"},
    {LUM__SIM_SYNC, EIO, "a sync fails"},
    {LUM__SIM_SYNC_DIR, EIO, "a directory sync fails"},
    {LUM__SIM_ALLOCATE, ENOSPC, "an allocation has no room"},
    {LUM__SIM_CREATE, ENOSPC, "a creation has no room"},
    {LUM__SIM_RENAME, EIO, "a rename fails"},
    {LUM__SIM_RENAME_DONE, EIO, "a rename takes effect and fails"},
    {LUM__SIM_UNLINK, EIO, "an unlink fails"},
    {LUM__SIM_TRUNCATE, EIO, "a truncate fails"},
};
enum { FAULTS = sizeof faults / sizeof faults[0] };

static void complain(struct round *round, const char *what)
{
    if (round->what != NULL) return;
    const lum_error_data *error = lum_last_error();
    snprintf(round->text, sizeof round->text, "%s; last error: %s %s:%llu: %s", what, lum_status_name(error->status), error->file,
             (unsigned long long)error->offset, error->message);
    round->what = round->text;
}

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

/* One load behind the rows that are there. Every load begins at the last reported row: what was rolled back is loaded again. */
static lum_status run_load(struct round *round, lum_store *store, int index)
{
    struct lum_test_source context;
    lum_source source;
    lum_load_options options = LUM_LOAD_OPTIONS_INIT;
    lum_load_report report = LUM_LOAD_REPORT_INIT;
    lum_test_source_init(&context, round->rows_loaded, load_rows[index], &source);
    options.commit_every = commit_every[index];
    lum_status status = lum_load(store, &source, &options, &report);
    if (report.rows_read != report.rows_loaded + report.rows_rejected + report.rows_skipped + report.rows_rolled_back) {
        complain(round, "rows are unaccounted for");
    }
    if (status == LUM_OK && report.rows_loaded != load_rows[index]) complain(round, "a load that succeeded loaded less than all");
    if (status == LUM_IN_DOUBT) {
        round->commit_first = round->rows_loaded;
        round->commit_rows = commit_every[index];
        round->rows_in_doubt = load_rows[index] - report.rows_loaded;
    }
    round->rows_loaded += report.rows_loaded;
    return status;
}

/* Creation, loads, a checkpoint, close. Goes on after errors, as a careless caller would. */
static void run_script(struct round *round, struct lum__sim *sim)
{
    lum_store *store = NULL;
    if (open_on(sim, &round->options, &store) != LUM_OK) return;
    bool is_poisoned = false;
    for (int i = 0; i < LOADS && round->rows_in_doubt == 0; i++) {
        lum_status status = run_load(round, store, i);
        if (is_poisoned && status == LUM_OK) complain(round, "a load succeeded after a failed sync or write");
        /* what comes after LUM_ERR_NO_SPACE may succeed */
        if (status == LUM_ERR_SYNC || status == LUM_ERR_POISONED || status == LUM_IN_DOUBT) is_poisoned = true;
        if (i == 1) {
            status = lum_checkpoint(store);
            if (is_poisoned && status == LUM_OK) complain(round, "a checkpoint succeeded after a failed sync or write");
            if (status == LUM_ERR_SYNC || status == LUM_ERR_POISONED) is_poisoned = true;
        }
    }
    (void)lum_close(store);
}

/* May `rows` be there? */
static bool is_possible(const struct round *round, uint64_t rows)
{
    if (rows == round->rows_loaded) return true;
    if (rows < round->rows_loaded || rows > round->rows_loaded + round->rows_in_doubt) return false;
    if (rows == round->rows_loaded + round->rows_in_doubt) return true;
    return round->commit_rows > 0 && (rows - round->commit_first) % round->commit_rows == 0;
}

static void on_finding(void *context, const lum_finding *finding)
{
    char text[512];
    snprintf(text, sizeof text, "verify: %s:%llu: %s", finding->file, (unsigned long long)finding->offset, finding->what);
    complain(context, text);
}

static void check_store(struct round *round, struct lum__sim *sim)
{
    lum_store *store = NULL;
    struct lum__fs *fs = NULL;
    uint64_t rows = 0;
    if (open_on(sim, &round->options, &store) != LUM_OK) {
        complain(round, "the store does not open again");
        return;
    }
    if (lum_test_read_prefix(store, &rows) != LUM_OK) complain(round, "a row is wrong or cannot be read");
    if (!is_possible(round, rows)) {
        char text[160];
        snprintf(text, sizeof text, "%llu rows are there; reported: %llu, in doubt: %llu", (unsigned long long)rows,
                 (unsigned long long)round->rows_loaded, (unsigned long long)round->rows_in_doubt);
        complain(round, text);
    }
    if (lum_close(store) != LUM_OK) complain(round, "the store does not close");
    lum_verify_report report = LUM_VERIFY_REPORT_INIT;
    if (lum__sim_open(sim, true, &fs) != LUM_OK) {
        complain(round, "the disk does not open");
        return;
    }
    if (lum__verify(fs, 1, on_finding, round, &report) != LUM_OK) complain(round, "verify is not clean");
    lum__fs_close(fs);
}

/* What comes after the failure. */
static void end_of_process(struct round *round, struct lum__sim *sim)
{
    uint64_t seed = lum__splitmix64(&round->random);
    switch (lum__splitmix64(&round->random) % 3) {
    case 0: lum__sim_disarm(sim); break; /* a normal end: the next opening follows */
    case 1: lum__sim_kill(sim, seed); break;
    default: lum__sim_power_cut(sim, (enum lum__sim_mode)(lum__splitmix64(&round->random) % LUM__SIM_MODES), seed);
    }
}

static struct lum__sim *start(struct round *round, uint64_t seed)
{
    memset(round, 0, sizeof *round);
    round->random = seed;
    round->options = (lum_options)LUM_OPTIONS_INIT;
    round->options.create = true;
    round->options.threads = 1 + (uint32_t)(lum__splitmix64(&round->random) % 3);
    round->options.chunk_lums = 4096;
    round->options.memory_bytes_max = 64u << 20;
    round->options.wal_segment_bytes = 65536;
    round->options.checkpoint_wal_bytes = 32768;
    round->options.data_segment_bytes_max = 64u << 20;
    struct lum__sim *sim = lum__sim_create(seed);
    lum__sim_set_reorder_queue(sim, lum__splitmix64(&round->random) % 2);
    return sim;
}

/* False: it went wrong. */
static bool run_round(uint64_t seed, size_t fault, uint64_t nth)
{
    struct round round;
    struct lum__sim *sim = start(&round, seed);
    round.fault = (struct lum__sim_fault){.call = faults[fault].call, .nth = nth, .os_errno = faults[fault].os_errno,
                                          .is_lasting = lum__splitmix64(&round.random) % 4 == 0};
    lum__sim_arm(sim, &round.fault);
    run_script(&round, sim);
    end_of_process(&round, sim);
    check_store(&round, sim);
    lum__sim_destroy(sim);
    if (round.what != NULL) {
        printf("LUM_SEED=%llu: %s at call %llu%s: %s\n", (unsigned long long)seed, faults[fault].name, (unsigned long long)nth,
               round.fault.is_lasting ? " and from then on" : "", round.what);
    }
    return round.what == NULL;
}

/* How often an undisturbed script makes the call; the most of a few, for threads make it vary. */
static uint64_t count_calls(uint64_t seed, enum lum__sim_call call)
{
    uint64_t most = 0;
    for (uint64_t i = 0; i < 3; i++) {
        struct round round;
        struct lum__sim *sim = start(&round, seed + i);
        run_script(&round, sim);
        uint64_t count = lum__sim_call_count(sim, call == LUM__SIM_SHORT ? LUM__SIM_COMPLETION_WRITE : call);
        if (count > most) most = count;
        lum__sim_destroy(sim);
    }
    return most;
}

int main(void)
{
    const char *seed_text = getenv("LUM_SEED");
    uint64_t seed = seed_text != NULL ? strtoull(seed_text, NULL, 10) : 1;
    uint64_t rounds = 0, failures = 0;
    for (size_t fault = 0; fault < FAULTS && failures < 10; fault++) {
        uint64_t calls = count_calls(seed, faults[fault].call);
        if (calls == 0) printf("%s: the script makes no such call\n", faults[fault].name), failures++;
        for (uint64_t nth = 1; nth <= calls + 1; nth++) {
            for (uint64_t variant = 0; variant < 3; variant++, rounds++) failures += !run_round(seed + variant, fault, nth);
        }
    }
    printf("%llu failing calls, %llu failures\n", (unsigned long long)rounds, (unsigned long long)failures);
    return failures > 0 ? 1 : 0;
}
