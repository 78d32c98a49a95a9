/* Proves that the log survives power cuts, kills and failing calls at every step of append, write, sync, rotation,
 * recycling and of the start after a crash: everything durable comes back, in order and bit-identical, nothing that was
 * not appended ever does, and the evidence never claims a loss that did not happen. Run on a disk that ignores syncs,
 * the same test must find violations. LUM_SEED=... replays. Pitfalls 1-3, 6-10, 12, 13, 26. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/status.h"
#include "storage/file_sim.h"
#include "support/wal_script.h"

enum { LIVES = 4, RECORDS = 300, STEPS_MAX = 100000 };

static uint64_t base_seed(void)
{
    const char *text = getenv("LUM_SEED");
    return text != NULL ? strtoull(text, NULL, 0) : 1;
}

/* How a run is disturbed. */
struct plan {
    uint64_t seed;
    uint64_t stop_at;        /* step at which the first life ends; 0: never */
    enum lum__sim_mode mode; /* of its power cut */
    bool kill;               /* a kill instead */
    bool no_direct;
    bool ignore_file_sync, ignore_dir_sync;
    struct lum__sim_fault fault; /* nth 0: none */
};

struct run {
    const struct plan *plan;
    struct lum__sim *sim;
    struct wal_script script;
    uint64_t rng;
    uint64_t steps; /* of the first life */
    const char *wrong;
};

/* The writer of a life: of the store's first, or behind what a reader accepts. NULL if it could not be had. */
static struct lum__wal_writer *begin_life(struct run *run, struct lum__fs *fs, bool is_first)
{
    struct lum__wal_writer *writer = NULL;
    struct lum__wal_writer_options options;
    struct lum__wal_evidence end;
    struct wal_script *script = &run->script;
    if (is_first) return wal_script_first(script, fs, &writer) == LUM_OK ? writer : NULL;
    script->epoch++;
    const struct lum__log_position *from = lum__splitmix64(&run->rng) % 2 ? &script->newest : &script->older;
    run->wrong = wal_script_check(script, fs, from, true, &end);
    if (*run->wrong != 0) return NULL;
    lum_status status = lum__fs_mkdir(fs, "wal");
    if (status == LUM_OK) status = lum__fs_sync_dir(fs, "");
    if (status != LUM_OK && status != LUM_ERR_EXISTS) return NULL;
    wal_script_options(script, fs, &options);
    if (lum__wal_writer_start(&options, &end.position, &writer) != LUM_OK) return NULL;
    wal_script_cut(script, &end.position); /* and from now on, all that was accepted must stay */
    return writer;
}

static void live(struct run *run, bool is_first, uint64_t stop_at)
{
    struct lum__fs *fs = NULL;
    if (lum__sim_open(run->sim, false, &fs) != LUM_OK) fail_msg("the simulated disk does not open");
    uint64_t steps_before = lum__sim_steps(run->sim);
    lum__sim_stop_at(run->sim, stop_at);
    if (is_first && run->plan->fault.nth > 0) lum__sim_arm(run->sim, &run->plan->fault);
    struct lum__wal_writer *writer = begin_life(run, fs, is_first);
    if (writer != NULL) {
        lum_status status = wal_script_run(&run->script, writer, RECORDS);
        if (status == LUM_ERR_NO_SPACE) { /* room again: the writer goes on if it still lives */
            lum__sim_disarm(run->sim);
            status = wal_script_run(&run->script, writer, RECORDS);
        }
        if (status != LUM_OK && stop_at == 0 && run->plan->fault.nth == 0)
            fail_msg("a life without a fault failed: %s", lum__error_last()->message);
        (void)lum__wal_writer_close(writer);
    }
    if (is_first) run->steps = lum__sim_steps(run->sim) - steps_before;
    lum__fs_close(fs);
}

static void end_life(struct run *run, bool is_first)
{
    uint64_t random = lum__splitmix64(&run->rng);
    bool kill = is_first ? run->plan->kill : random % 4 == 0;
    enum lum__sim_mode mode = is_first ? run->plan->mode : (enum lum__sim_mode)(random / 4 % LUM__SIM_MODES);
    if (kill)
        lum__sim_kill(run->sim, random >> 8);
    else
        lum__sim_power_cut(run->sim, mode, random >> 8);
}

/* LIVES lives, each ended by a power cut or kill, the later ones at a random early step; then a last look. */
static const char *execute(const struct plan *plan, uint64_t *steps)
{
    static struct run run;
    memset(&run, 0, sizeof run);
    run.plan = plan;
    run.sim = lum__sim_create(plan->seed);
    run.rng = plan->seed * 77 + plan->stop_at;
    run.wrong = "";
    wal_script_init(&run.script, plan->seed);
    lum__sim_set_direct(run.sim, !plan->no_direct);
    lum__sim_ignore_file_sync(run.sim, plan->ignore_file_sync);
    lum__sim_ignore_dir_sync(run.sim, plan->ignore_dir_sync);
    for (int life = 0; life < LIVES && *run.wrong == 0; life++) {
        live(&run, life == 0, life == 0 ? plan->stop_at : 1 + lum__splitmix64(&run.rng) % (life == 1 ? 12 : 60));
        end_life(&run, life == 0);
    }
    if (*run.wrong == 0) {
        struct lum__fs *fs = NULL;
        struct lum__wal_evidence end;
        if (lum__sim_open(run.sim, true, &fs) != LUM_OK) fail_msg("the simulated disk does not open");
        run.wrong = wal_script_check(&run.script, fs, &run.script.older, true, &end);
        if (*run.wrong == 0) run.wrong = wal_script_check(&run.script, fs, &run.script.newest, true, &end);
        lum__fs_close(fs);
    }
    lum__sim_destroy(run.sim);
    if (steps != NULL) *steps = run.steps;
    return run.wrong;
}

/* Cuts at every step of the script of each seed; each step by one mode (all of them over the seeds), every fifth by a
 * kill. Returns the number of violations; prints the first few. */
static uint32_t cut_everywhere(struct plan plan, uint32_t seeds, uint32_t stride, bool is_violation_wanted)
{
    uint32_t violations = 0;
    uint32_t runs = 0;
    for (uint32_t i = 0; i < seeds; i++) {
        uint64_t steps = STEPS_MAX;
        plan.seed = base_seed() + i;
        for (plan.stop_at = 1; plan.stop_at <= steps; plan.stop_at += stride) {
            uint64_t steps_taken;
            plan.mode = (enum lum__sim_mode)((plan.stop_at + i) % LUM__SIM_MODES);
            plan.kill = plan.stop_at % 5 == 0;
            plan.no_direct = (plan.stop_at / 3 + i) % 2 == 0;
            const char *wrong = execute(&plan, &steps_taken);
            if (steps_taken < plan.stop_at) steps = steps_taken; /* it ended by itself */
            runs++;
            if (*wrong == 0) continue;
            if (++violations <= 3 && !is_violation_wanted)
                print_message("LUM_SEED=%llu, step %llu, %s%s: %s\n", (unsigned long long)plan.seed,
                              (unsigned long long)plan.stop_at, plan.kill ? "kill" : lum__sim_mode_name(plan.mode),
                              plan.no_direct ? ", not direct" : "", wrong);
        }
    }
    print_message("%u runs, %u violations\n", runs, violations);
    return violations;
}

static void test_power_cut_at_every_step(void **state)
{
    (void)state;
    struct plan plan = {0};
    assert_int_equal(cut_everywhere(plan, 12, 1, false), 0);
}

static void test_failing_calls(void **state)
{
    (void)state;
    static const struct {
        enum lum__sim_call call;
        int os_errno;
        bool is_lasting;
    } faults[] = {{LUM__SIM_WRITE, EIO, false},     {LUM__SIM_WRITE, ENOSPC, false},   {LUM__SIM_WRITE, ENOSPC, true},
                  {LUM__SIM_SYNC, EIO, false},      {LUM__SIM_SYNC, EIO, true},        {LUM__SIM_SYNC_DIR, EIO, false},
                  {LUM__SIM_CREATE, ENOSPC, false}, {LUM__SIM_ALLOCATE, ENOSPC, true}, {LUM__SIM_RENAME, ENOSPC, false},
                  {LUM__SIM_UNLINK, EIO, false},    {LUM__SIM_OPEN, EIO, false},       {LUM__SIM_LIST, EIO, false}};
    uint32_t violations = 0;
    for (uint32_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        for (uint32_t nth = 1; nth <= 40; nth++) {
            struct plan plan = {.seed = base_seed() + nth,
                                .mode = (enum lum__sim_mode)(nth % LUM__SIM_MODES),
                                .kill = nth % 2 == 0,
                                .no_direct = nth % 3 == 0,
                                .fault = {.call = faults[i].call,
                                          .nth = nth,
                                          .os_errno = faults[i].os_errno,
                                          .is_lasting = faults[i].is_lasting}};
            const char *wrong = execute(&plan, NULL);
            if (*wrong != 0 && ++violations <= 3)
                print_message("LUM_SEED=%llu, fault %u at call %u, mode %s: %s\n", (unsigned long long)base_seed(), i,
                              nth, plan.kill ? "kill" : lum__sim_mode_name(plan.mode), wrong);
        }
    }
    assert_int_equal(violations, 0);
}

static void test_a_disk_that_ignores_file_syncs_is_noticed(void **state)
{
    (void)state;
    struct plan plan = {.ignore_file_sync = true};
    assert_true(cut_everywhere(plan, 2, 3, true) > 0);
}

static void test_a_disk_that_ignores_directory_syncs_is_noticed(void **state)
{
    (void)state;
    struct plan plan = {.ignore_dir_sync = true};
    assert_true(cut_everywhere(plan, 2, 3, true) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_cut_at_every_step),
        cmocka_unit_test(test_failing_calls),
        cmocka_unit_test(test_a_disk_that_ignores_file_syncs_is_noticed),
        cmocka_unit_test(test_a_disk_that_ignores_directory_syncs_is_noticed),
    };
    wal_with_metadata = true;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
