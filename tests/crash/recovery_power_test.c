/* Proves: whatever a power cut (or kill) leaves at any step of creating, loading, checkpointing, closing or recovering,
 * the next opening succeeds by itself and finds acknowledged <= recovered <= submitted, as an unbroken prefix of commit
 * order, bit for bit; verify finds nothing; a second opening changes nothing. And that the test can fail: with a disk
 * that ignores file syncs or directory syncs it does.
 *
 *   recovery_power_test [FIRST_SEED COUNT]      LUM_SEED=N replays one */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/status.h"
#include "recovery/verify.h"
#include "storage/file_sim.h"
#include "support/phase.h"
#include "support/tiny_store.h"

enum { SEEDS = 1000, LOADS_MAX = 256, ROUNDS = 3, INTERRUPTIONS_MAX = 2, WHY_BYTES = 512 };

enum mutation { MUTATION_NONE, MUTATION_NO_FILE_SYNC, MUTATION_NO_DIR_SYNC };

struct run {
    uint64_t seed, random;
    struct lum__sim *sim;
    struct tiny tiny;
    bool is_open;
    struct tiny_load loads[LOADS_MAX]; /* submitted, in commit order */
    size_t submitted;
    size_t written;      /* their log writes returned: a kill must not lose them */
    size_t acknowledged; /* durable: nothing may lose them */
    char why[WHY_BYTES];
};

static const lum_options options = {.struct_version = 1, .wal_segment_bytes = 65536, .data_segment_bytes_max = 262144};

/* What the runs went through, so that a test that no longer gets there turns red. */
static struct {
    uint64_t rows[128]; /* openings by row of the decision table */
    uint64_t interrupted_recoveries, interrupted_creations, recycled, in_doubt;
} met;

static uint64_t pick(struct run *run, uint64_t count) { return lum__splitmix64(&run->random) % count; }

static bool complain(struct run *run, const char *what)
{
    if (run->why[0] == 0) {
        const struct lum__error *error = lum__error_last();
        snprintf(run->why, sizeof run->why, "%s (last error: %s, %s at %" PRIu64 ": %.200s)", what,
                 lum_status_name(error->status), error->file, error->offset, error->message);
    }
    return false;
}

/* --------------------------------------------------------------------------------------------------------- life of a
 * store */

static lum_status load_one(struct run *run)
{
    struct tiny_load *load = &run->loads[run->submitted];
    bool written = false;
    *load = (struct tiny_load){.number = run->submitted,
                               .chunk_count = (uint32_t)pick(run, 4),
                               .chunk_rows = 1 + (uint32_t)pick(run, 300),
                               .data_synced = pick(run, 5) < 2};
    if (pick(run, 40) == 0) load->chunk_rows = 5000;
    run->submitted++;
    lum_status status = tiny_commit(&run->tiny, load, &written);
    if (written) run->written = run->submitted;
    if (status == LUM_OK && load->data_synced) run->acknowledged = run->submitted;
    return status;
}

static lum_status leave_one(struct run *run)
{
    struct tiny_load load = {.number = 1000000 + pick(run, 1000),
                             .chunk_count = 1 + (uint32_t)pick(run, 3),
                             .chunk_rows = 1 + (uint32_t)pick(run, 200)};
    return tiny_leave(&run->tiny, &load, pick(run, 2) == 0);
}

/* What the program does between two crashes; ends at the first failure, which is the crash. */
static lum_status live(struct run *run)
{
    for (uint64_t steps = 5 + pick(run, 40); steps > 0; steps--) {
        lum_status status = LUM_OK;
        uint64_t what = pick(run, 20);
        if (what < 12 && run->submitted < LOADS_MAX) {
            status = load_one(run);
        } else if (what < 15) {
            status = leave_one(run);
        } else if (what == 15 && pick(run, 2) == 0) {
            status = pick(run, 2) == 0 ? tiny_sync(&run->tiny) : tiny_watermark(&run->tiny);
            if (status == LUM_OK) run->acknowledged = run->submitted;
        } else if (what < 18) {
            status = tiny_checkpoint(&run->tiny);
            if (status == LUM_OK) run->acknowledged = run->submitted;
        } else if (what == 18 && pick(run, 2) == 0) {
            run->is_open = false;
            status = tiny_close(&run->tiny);
            if (status != LUM_OK) return status;
            run->acknowledged = run->submitted;
            struct lum__fs *fs = run->tiny.fs;
            status = tiny_open(&run->tiny, fs, &options);
            run->is_open = status == LUM_OK;
        }
        if (status != LUM_OK) return status;
    }
    return LUM_OK;
}

/* ------------------------------------------------------------------------------------------------------------------
 * crashes */

/* Returns whether it was a power cut (else a kill). */
static bool crash(struct run *run)
{
    struct lum__fs *fs = run->tiny.fs;
    bool is_cut = pick(run, 4) != 0;
    lum_test_phase_cut(run->sim, is_cut);
    if (is_cut) {
        lum__sim_power_cut(run->sim, (enum lum__sim_mode)pick(run, LUM__SIM_MODES), lum__splitmix64(&run->random));
    } else {
        lum__sim_kill(run->sim, lum__splitmix64(&run->random));
    }
    if (run->is_open) tiny_abandon(&run->tiny);
    run->is_open = false;
    lum__fs_close(fs);
    return is_cut;
}

/* Creates the store if it is not there yet, else opens it. */
static lum_status start(struct run *run)
{
    struct lum__fs *fs = NULL;
    lum_status status = lum__sim_open(run->sim, false, &fs);
    if (status != LUM_OK) return status;
    struct lum__state state;
    run->tiny.fs = fs;
    status = lum__state_read(fs, &state);
    if (status == LUM_ERR_NOT_FOUND) {
        status = tiny_create(&run->tiny, fs, &options);
        if (status != LUM_OK) met.interrupted_creations++;
    } else if (status == LUM_OK) {
        status = tiny_open(&run->tiny, fs, &options);
    }
    run->tiny.fs = fs;
    run->is_open = status == LUM_OK;
    return status;
}

static void note_opening(struct run *run)
{
    const struct lum__parts *parts = &run->tiny.parts;
    met.rows[(unsigned char)parts->report.verdict]++;
    const struct lum__catalogue_version *version = lum__catalogue_pin(parts->catalogue);
    if (version->transaction_count > run->acknowledged) met.in_doubt++;
    lum__catalogue_unpin(parts->catalogue, version);
    struct lum__file *first = NULL;
    if (lum__fs_open_file(run->tiny.fs, "wal/1.wal", LUM__OPEN_READ, &first) == LUM_ERR_NOT_FOUND) met.recycled++;
    lum__file_close(first);
}

/* Opens until it works; in a third of the cases recovery itself is cut off first, at most as often as the store allows.
 */
static bool recover(struct run *run, bool is_cut)
{
    size_t must = is_cut ? run->acknowledged : run->written;
    for (int interruptions = 0; interruptions < INTERRUPTIONS_MAX && pick(run, 3) == 0; interruptions++) {
        lum__sim_stop_at(run->sim, 1 + pick(run, 40));
        lum_test_phase_enter_life(interruptions + 1);
        lum_status status = start(run);
        if (status != LUM_OK && !lum__sim_is_stopped(run->sim))
            return complain(run, "an opening failed before it was cut off");
        if (status != LUM_OK) met.interrupted_recoveries++;
        if (status == LUM_OK) { /* it came through before the stop: what it found is durable from here on */
            int64_t found = tiny_check(&run->tiny, run->loads, run->submitted, run->why);
            if (found < (int64_t)must) return complain(run, "an opening that was cut off later found too little");
            must = run->submitted = run->written = run->acknowledged = (size_t)found;
        }
        if (crash(run) && must > run->acknowledged) must = run->acknowledged;
    }
    if (start(run) != LUM_OK) return complain(run, "the opening after a crash failed");
    note_opening(run);
    int64_t count = tiny_check(&run->tiny, run->loads, run->submitted, run->why);
    if (count < 0) return complain(run, "wrong content");
    if ((size_t)count < must) {
        snprintf(run->why, sizeof run->why,
                 "%lld commits recovered, %zu were acknowledged (%zu submitted, after a %s, row %c: %s)",
                 (long long)count, must, run->submitted, is_cut ? "power cut" : "kill", run->tiny.parts.report.verdict,
                 run->tiny.parts.report.error_details);
        return false;
    }
    run->submitted = run->written = run->acknowledged =
        (size_t)count; /* recovery made them durable; the others are gone for good */
    return true;
}

/* Nothing that was opened and left alone may change, and verify agrees. */
static bool check_again(struct run *run)
{
    lum_verify_report report;
    struct lum__fs *fs = run->tiny.fs;
    uint64_t sequence = run->tiny.parts.report.last_sequence;
    bool is_closed = pick(run, 2) == 0;
    if (is_closed && tiny_close(&run->tiny) != LUM_OK) return complain(run, "closing failed");
    if (!is_closed) tiny_abandon(&run->tiny);
    run->is_open = false;
    if (lum__verify(fs, 1, NULL, NULL, &report) != LUM_OK)
        return complain(run, "verify found something after recovery");
    if (tiny_open(&run->tiny, fs, &options) != LUM_OK) return complain(run, "the second opening failed");
    run->is_open = true;
    if (is_closed == run->tiny.parts.report.crash_detected)
        return complain(run, "a clean close was not seen, or seen where none was");
    if (run->tiny.parts.report.tail_bytes_cut != 0) return complain(run, "the second opening cut something");
    if (run->tiny.parts.report.last_sequence < sequence) return complain(run, "the second opening lost records");
    int64_t count = tiny_check(&run->tiny, run->loads, run->submitted, run->why);
    if (count != (int64_t)run->submitted) return complain(run, "the second opening found other commits");
    return true;
}

/* True if all is well; else run->why says what is not. */
static bool run_seed(uint64_t seed, enum mutation mutation, char why[WHY_BYTES])
{
    struct run *run = calloc(1, sizeof *run);
    bool is_well = true;
    run->seed = run->random = seed;
    run->sim = lum__sim_create(seed);
    lum_test_phase_watch(run->sim);
    lum__sim_ignore_file_sync(run->sim, mutation == MUTATION_NO_FILE_SYNC);
    lum__sim_ignore_dir_sync(run->sim, mutation == MUTATION_NO_DIR_SYNC);
    lum__sim_set_direct(run->sim, pick(run, 4) != 0);
    for (int round = 0; is_well && round < ROUNDS; round++) {
        lum_test_phase_enter_life(0);
        lum__sim_stop_at(run->sim, 1 + pick(run, round == 0 ? 300 : 150));
        bool is_sync_failing = pick(run, 8) == 0;
        if (is_sync_failing) { /* a failed sync loses sectors for good, and reading them back shows them all the same */
            struct lum__sim_fault fault = {.call = LUM__SIM_SYNC, .nth = 1 + pick(run, 30), .os_errno = 5};
            lum__sim_arm(run->sim, &fault);
        }
        lum_status status = run->is_open ? LUM_OK : start(run);
        if (status == LUM_OK) status = live(run);
        (void)status; /* whatever it was, the power is cut now */
        lum__sim_disarm(run->sim);
        bool is_cut = crash(run);
        is_well = recover(run, is_cut || is_sync_failing) && check_again(run);
    }
    if (!is_well) snprintf(why, WHY_BYTES, "%s", run->why);
    struct lum__fs *fs = run->tiny.fs;
    if (run->is_open) tiny_abandon(&run->tiny);
    lum__fs_close(fs);
    lum__sim_destroy(run->sim);
    free(run);
    return is_well;
}

/* --------------------------------------------------------------------------------------------------------------------
 * tests */

static uint64_t first_seed, seed_count = SEEDS;

static void every_cut_is_survived(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + seed_count; seed++) {
        char why[WHY_BYTES] = "";
        if (!run_seed(seed, MUTATION_NONE, why)) fail_msg("LUM_SEED=%" PRIu64 ": %s", seed, why);
    }
    print_message("openings: %" PRIu64 " clean, %" PRIu64 " accepted whole, %" PRIu64 " tails cut, %" PRIu64
                  " commits cut; %" PRIu64 " after recycling, %" PRIu64
                  " with more commits than were acknowledged; %" PRIu64 " recoveries and %" PRIu64
                  " creations cut off\n",
                  met.rows['A'], met.rows['B'], met.rows['T'], met.rows['K'], met.recycled, met.in_doubt,
                  met.interrupted_recoveries, met.interrupted_creations);
    lum_test_phase_print();
    if (seed_count < SEEDS) return;
    assert_true(met.rows['A'] > 50 && met.rows['B'] > 500 && met.rows['T'] > 100 && met.rows['K'] > 20);
    assert_true(met.recycled > 50 && met.in_doubt > 100);
    assert_true(met.interrupted_recoveries > 200 && met.interrupted_creations > 20);
}

static void a_lying_disk_is_noticed(enum mutation mutation)
{
    uint64_t caught = 0;
    for (uint64_t seed = 0; seed < 200 && caught == 0; seed++) {
        char why[WHY_BYTES] = "";
        if (!run_seed(seed, mutation, why)) caught++;
    }
    assert_int_not_equal(caught, 0);
}

static void ignored_file_syncs_turn_it_red(void **state)
{
    (void)state;
    a_lying_disk_is_noticed(MUTATION_NO_FILE_SYNC);
}

static void ignored_directory_syncs_turn_it_red(void **state)
{
    (void)state;
    a_lying_disk_is_noticed(MUTATION_NO_DIR_SYNC);
}

int main(int argc, char **argv)
{
    const char *one = getenv("LUM_SEED");
    if (argc > 2) {
        first_seed = strtoull(argv[1], NULL, 10);
        seed_count = strtoull(argv[2], NULL, 10);
    }
    if (one != NULL) {
        first_seed = strtoull(one, NULL, 10);
        seed_count = 1;
    }
    prctl(PR_SET_THP_DISABLE, 1, 0, 0,
          0); /* thousands of small openings: zeroing huge pages would be most of the time */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_is_survived),
        cmocka_unit_test(ignored_file_syncs_turn_it_red),
        cmocka_unit_test(ignored_directory_syncs_turn_it_red),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
