/* Power cuts and kills of the whole engine, threads and all, on the simulated disk (storage/file_sim.h states the fault model): a script of
 * creation, loads with many commits, checkpoints and close is stopped at a random step, the power is cut in one of six ways (or the
 * process killed), a third of the time recovery is stopped and cut too, up to three times. Then:
 *
 *   acknowledged <= recovered <= submitted, bit-identical, an unbroken prefix that ends at a commit; verify finds nothing; opening once more
 *   changes nothing. (In the weaker sync modes a power cut may lose acknowledged commits, but only as a suffix; a kill may not.)
 *
 *   power_loss_test [rounds] [seed]      default 1,000 rounds; LUM_ROUNDS and LUM_SEED are stronger; replay one failure with: 1 SEED
 *   power_loss_test lie-file-sync | lie-directory-sync [rounds]    the disk lies about that sync: exits 0 only if the test notices */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/store.h"
#include "base/random.h"
#include "recovery/verify.h"
#include "storage/file_sim.h"
#include "support/phase.h"
#include "support/rows.h"

enum lie { LIE_NONE, LIE_FILE_SYNC, LIE_DIRECTORY_SYNC };

struct script {
    uint64_t seed;
    lum_options options;
    uint64_t load_rows[3];
    uint64_t commit_every[3];
    bool checkpoint_between;
    /* what happened */
    uint64_t rows_acknowledged; /* durable by the library's word */
    uint64_t rows_submitted;
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

static void on_commit(void *context, const lum_load_event *event)
{
    struct script *script = context;
    (void)event;
    script->rows_acknowledged = script->rows_submitted + event->rows_committed;
}

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

static void make_script(struct script *script, uint64_t seed)
{
    uint64_t random = seed;
    memset(script, 0, sizeof *script);
    script->seed = seed;
    script->options = (lum_options)LUM_OPTIONS_INIT;
    script->options.create = true;
    script->options.threads = 1 + (uint32_t)(lum__splitmix64(&random) % 3);
    script->options.chunk_lums = 4096;
    script->options.memory_bytes_max = 64u << 20;
    script->options.wal_segment_bytes = 64 * 1024;
    script->options.checkpoint_wal_bytes = 16384 + lum__splitmix64(&random) % 131072;
    script->options.data_segment_bytes_max = 64u << 20;
    uint64_t mode = lum__splitmix64(&random) % 8;
    script->options.sync_mode = mode == 6 ? LUM_SYNC_INTERVAL : mode == 7 ? LUM_SYNC_NONE : LUM_SYNC_COMMIT;
    script->options.sync_interval_ms = 1;
    for (int i = 0; i < 3; i++) {
        script->load_rows[i] = 1 + lum__splitmix64(&random) % 12000;
        script->commit_every[i] = (200 + lum__splitmix64(&random) % 6000) >> lum__splitmix64(&random) % 6;
    }
    script->checkpoint_between = lum__splitmix64(&random) % 2;
}

/* Runs until it is done or the disk stops; what is acknowledged and submitted is noted in the script. */
static void run_script(struct lum__sim *sim, struct script *script)
{
    lum_store *store = NULL;
    if (open_on(sim, &script->options, &store) != LUM_OK) return;
    for (int i = 0; i < 3; i++) {
        struct lum_test_source context;
        lum_source source;
        lum_test_source_init(&context, script->rows_submitted, script->load_rows[i], &source);
        lum_load_options options = LUM_LOAD_OPTIONS_INIT;
        options.commit_every = script->commit_every[i];
        options.on_commit = on_commit;
        options.callback_context = script;
        lum_load_report report = LUM_LOAD_REPORT_INIT;
        lum_status status = lum_load(store, &source, &options, &report);
        script->rows_submitted += script->load_rows[i];
        if (status != LUM_OK) break;
        if (script->checkpoint_between && lum_checkpoint(store) != LUM_OK) break;
    }
    lum_close(store);
}

static bool is_commit_boundary(const struct script *script, uint64_t rows)
{
    uint64_t first = 0;
    for (int i = 0; i < 3; i++) {
        uint64_t end = first + script->load_rows[i];
        if (rows == first || rows == end) return true;
        if (rows < end) return (rows - first) % script->commit_every[i] == 0;
        first = end;
    }
    return false;
}

static void on_finding(void *context, const lum_finding *finding)
{
    (void)context;
    char text[512];
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

/* Ends with a clean close or, what is there being durable now, with another power cut. */
static void check_store(struct lum__sim *sim, const struct script *script, bool may_lose, bool ends_in_cut, uint64_t *rows, uint32_t *digest)
{
    lum_store *store = NULL;
    lum_status status = open_on(sim, &script->options, &store);
    if (status != LUM_OK) {
        fail_round("the store does not open");
        return;
    }
    lum_info_data info = LUM_INFO_INIT;
    if (lum_test_read_prefix(store, rows) != LUM_OK) fail_round("a row is wrong or cannot be read");
    if (lum_info(store, &info) != LUM_OK) fail_round("no info");
    if (info.lum_count != *rows) fail_round("info and scan disagree");
    *digest = info.digest;
    if (!may_lose && *rows < script->rows_acknowledged) fail_round("an acknowledged row is lost");
    if (*rows > script->rows_submitted) fail_round("there are rows that were never submitted");
    if (!is_commit_boundary(script, *rows)) fail_round("a part of a transaction is visible");
    if (ends_in_cut) lum__sim_power_cut(sim, (enum lum__sim_mode)(script->seed % LUM__SIM_MODES), script->seed);
    if (lum_close(store) != LUM_OK && !ends_in_cut) fail_round("the store does not close");
}

static void cut(struct lum__sim *sim, uint64_t *random, bool *was_power_cut)
{
    bool is_kill = lum__splitmix64(random) % 4 == 0;
    lum_test_phase_cut(sim, !is_kill);
    if (is_kill) {
        lum__sim_kill(sim, lum__splitmix64(random));
    } else {
        *was_power_cut = true;
        lum__sim_power_cut(sim, (enum lum__sim_mode)(lum__splitmix64(random) % LUM__SIM_MODES), lum__splitmix64(random));
    }
}

/* Where the disk is to stop: half of the time at any step, else soon after something that takes few steps has begun. */
static void choose_stop(struct lum__sim *sim, int life, uint64_t spread, uint64_t *random)
{
    static const enum lum_test_phase rare[] = {PHASE_CHECKPOINT, PHASE_FOLD, PHASE_RECYCLE, PHASE_CLOSE, PHASE_TRIM, PHASE_ROTATE};
    enum lum_test_phase phase = rare[lum__splitmix64(random) % (sizeof rare / sizeof rare[0])];
    uint64_t nth = 1 + lum__splitmix64(random) % (life == 0 ? 4 : 1), steps = 1 + lum__splitmix64(random) % 8;
    if (lum__splitmix64(random) % 2 == 0) lum_test_phase_aim(sim, phase, nth, steps);
    else lum__sim_stop_at(sim, 1 + lum__splitmix64(random) % spread);
}

static void run_round(uint64_t seed, enum lie lie)
{
    uint64_t random = seed ^ 0x5bd1e995;
    struct script script;
    make_script(&script, seed);
    struct lum__sim *sim = lum__sim_create(seed);
    lum__sim_set_reorder_queue(sim, true);
    lum_test_phase_watch(sim);
    lum_test_phase_enter_life(0);
    if (lum__splitmix64(&random) % 8 == 0) lum__sim_set_direct(sim, false);
    if (lie == LIE_FILE_SYNC) lum__sim_ignore_file_sync(sim, true);
    if (lie == LIE_DIRECTORY_SYNC) lum__sim_ignore_dir_sync(sim, true);
    bool was_power_cut = false;
    /* creation takes about 20 steps, a commit three or more: early and late stops alike */
    choose_stop(sim, 0, lum__splitmix64(&random) % 3 == 0 ? 60 : 300, &random);
    run_script(sim, &script);
    cut(sim, &random, &was_power_cut);
    for (int life = 1; life <= 2 && lum__splitmix64(&random) % (life == 1 ? 3 : 2) == 0; life++) {
        choose_stop(sim, life, 50, &random);
        lum_test_phase_enter_life(life);
        lum_store *store = NULL;
        if (open_on(sim, &script.options, &store) == LUM_OK) lum_close(store);
        cut(sim, &random, &was_power_cut);
    }
    bool may_lose = was_power_cut && script.options.sync_mode != LUM_SYNC_COMMIT;
    uint64_t rows = 0, rows_again = 0;
    uint32_t digest = 0, digest_again = 0;
    check_store(sim, &script, may_lose, lum__splitmix64(&random) % 2 == 0, &rows, &digest);
    if (failure == NULL) check_verify(sim);
    if (failure == NULL) check_store(sim, &script, may_lose, false, &rows_again, &digest_again);
    if (failure == NULL && (rows != rows_again || digest != digest_again)) fail_round("opening once more changed something");
    lum__sim_destroy(sim);
}

/* A test that no longer gets to where it should turns red. */
static bool is_everything_met(void)
{
    static const enum lum_test_phase work[] = {PHASE_DATA, PHASE_LOG, PHASE_CREATE, PHASE_OPEN, PHASE_CHECKPOINT, PHASE_RECYCLE, PHASE_CLOSE};
    static const enum lum_test_phase recovery[] = {PHASE_OPEN, PHASE_CHECKPOINT, PHASE_CLOSE};
    uint32_t missing = lum_test_phase_missing(0, work, sizeof work / sizeof work[0]);
    for (int life = 1; life <= 2; life++) missing += lum_test_phase_missing(life, recovery, sizeof recovery / sizeof recovery[0]);
    return missing == 0;
}

int main(int argc, char **argv)
{
    enum lie lie = LIE_NONE;
    if (argc > 1 && strcmp(argv[1], "lie-file-sync") == 0) lie = LIE_FILE_SYNC;
    if (argc > 1 && strcmp(argv[1], "lie-directory-sync") == 0) lie = LIE_DIRECTORY_SYNC;
    if (lie != LIE_NONE) argc--, argv++;
    const char *rounds_text = getenv("LUM_ROUNDS"), *seed_text = getenv("LUM_SEED"); /* stronger than arguments: CTest gives those */
    if (rounds_text == NULL && argc > 1) rounds_text = argv[1];
    if (seed_text == NULL && argc > 2) seed_text = argv[2];
    uint64_t rounds = rounds_text != NULL ? strtoull(rounds_text, NULL, 10) : 1000;
    uint64_t seed = seed_text != NULL ? strtoull(seed_text, NULL, 10) : 1;
    uint64_t failures = 0;
    for (uint64_t i = 0; i < rounds; i++, seed++) {
        failure = NULL;
        run_round(seed, lie);
        if (failure == NULL) continue;
        failures++;
        if (lie == LIE_NONE) printf("seed %llu: %s\n", (unsigned long long)seed, failure);
        if (lie == LIE_NONE && failures == 10) break;
    }
    if (lie != LIE_NONE) {
        printf("%llu of %llu rounds noticed the lie\n", (unsigned long long)failures, (unsigned long long)rounds);
        return failures > 0 ? 0 : 1;
    }
    bool is_blind = rounds >= 1000 && !is_everything_met();
    printf("%llu rounds, %llu failures; ", (unsigned long long)rounds, (unsigned long long)failures);
    lum_test_phase_print();
    return failures > 0 || is_blind ? 1 : 0;
}
