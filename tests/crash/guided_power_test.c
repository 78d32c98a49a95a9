/* Power cuts and kills while a person's choice is carried out: stores that a recovery refuses (rows W L S D M of its
 * table), that used up their attempts, or whose STATE is gone; every choice that is offered; stopped at every step of
 * it, cut in each of the disk's ways, and a second time while it is carried out again. Whatever was left, the store
 * then refuses as before and offers the same choice, or it opens: and then it holds what the choice, carried out
 * without a cut, makes of it, and verify says the same. The emergency backup is cut at every step too: a copy that has
 * a STATE is whole.
 *
 *   guided_power_test [all]      each step is cut in two of the seven ways, or in all of them */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include <cmocka.h>

#include "api/store.h"
#include "base/status.h"
#include "recovery/copy_store.h"
#include "recovery/findings.h"
#include "recovery/verify.h"
#include "storage/file_sim.h"
#include "storage/segment.h"
#include "support/phase.h"
#include "support/tiny_store.h"

enum { WAYS = LUM__SIM_MODES + 1 /* the last: a kill */ };

static const lum_options store_options = {.struct_version = 1,
                                          .wal_segment_bytes = 65536,
                                          .data_segment_bytes_max = 262144,
                                          .threads = 1,
                                          .memory_bytes_max = 16 << 20};
static const struct lum__plan_options plan_options = {.workers = 1, .memory_bytes_max = 16 << 20};

static const char *scene; /* what the failing assertion was about */

static void must_at(lum_status status, int line)
{
    if (status != LUM_OK)
        fail_msg("line %d, %s: %s: %s: %s", line, scene, lum_status_name(status), lum__error_last()->file,
                 lum__error_last()->message);
}
#define must(call) must_at((call), __LINE__)

/* ------------------------------------------------------------------------------------------------------ damaged stores
 */

enum damage { BREAK_IN_LOG, LOST_SEGMENT, SYNCED_CHUNK, WATERMARKED_CHUNK, CLEAN_END, WORN_OUT, NO_STATE, DAMAGES };
static const char *const damage_names[DAMAGES] = {"W", "L", "S", "D", "M", "attempts used up", "no STATE"};

struct scenery {
    struct lum__log_position end_before; /* of the second last synced commit */
    struct lum__chunk_entry chunk;       /* of that */
    struct lum__log_position clean_end;  /* before the close */
};

static void commit(struct tiny *tiny, uint64_t number, bool is_small, bool data_synced)
{
    bool written = false;
    struct tiny_load load = {
        .number = number, .chunk_count = 1 + (uint32_t)number % 2, .chunk_rows = 40, .data_synced = data_synced};
    if (is_small)
        must(tiny_commit_small(tiny, &load, &written));
    else
        must(tiny_commit(tiny, &load, &written));
}

/* Folded and unfolded rows, chunks before and behind a checkpoint, an open transaction; then the commits that the
 * damage is about. */
static void live(struct tiny *tiny, enum damage damage, struct scenery *scenery)
{
    struct tiny_load open = {.number = 77, .chunk_count = 2, .chunk_rows = 50};
    for (uint64_t i = 0; i < 3; i++) commit(tiny, i, i == 1, true);
    must(tiny_checkpoint(tiny));
    commit(tiny, 3, false, true);
    commit(tiny, 4, true, true);
    if (damage == LOST_SEGMENT) {
        struct lum__log_position end;
        do {
            must(tiny_watermark(tiny));
            lum__wal_position(tiny->parts.writer, &end);
        } while (end.segment == 1);
    }
    lum__wal_position(tiny->parts.writer, &scenery->end_before);
    commit(tiny, 5, false, damage != WATERMARKED_CHUNK);
    const struct lum__catalogue_version *version = lum__catalogue_pin(tiny->parts.catalogue);
    scenery->chunk = version->chunks[version->chunk_count - 1];
    lum__catalogue_unpin(tiny->parts.catalogue, version);
    commit(tiny, 6, true, true);
    if (damage != CLEAN_END) must(tiny_leave(tiny, &open, false));
    must(tiny_watermark(tiny));
}

static void spoil(struct lum__sim *sim, enum damage damage, const struct scenery *scenery)
{
    static const uint8_t zeros[4096];
    char path[64];
    struct lum__fs *fs = NULL;
    struct lum__state state;
    must(lum__sim_open(sim, false, &fs));
    if (damage == BREAK_IN_LOG) {
        lum__wal_path(scenery->end_before.segment, path);
        must(lum__sim_flip_bit(sim, path, (scenery->end_before.offset + 30) * 8));
    }
    if (damage == LOST_SEGMENT) must(lum__fs_unlink(fs, "wal/2.wal"));
    if (damage == SYNCED_CHUNK || damage == WATERMARKED_CHUNK) {
        lum__segment_path(scenery->chunk.segment, path);
        must(lum__sim_flip_bit(sim, path, (scenery->chunk.offset + 600) * 8));
    }
    if (damage == CLEAN_END) {
        lum__wal_path(scenery->clean_end.segment, path);
        must(lum__sim_edit(sim, path, scenery->clean_end.offset, zeros, sizeof zeros));
    }
    if (damage == WORN_OUT) {
        must(lum__state_read(fs, &state));
        state.attempts = state.attempts_max;
        state.state = LUM_STATE_FAILED;
        must(lum__state_write(fs, &state));
    }
    if (damage == NO_STATE) must(lum__fs_unlink(fs, "STATE"));
    lum__fs_close(fs);
    lum__sim_sync_all(sim);
}

static struct lum__sim *make_damaged(enum damage damage)
{
    struct lum__sim *sim = lum__sim_create(1);
    struct lum__fs *fs = NULL;
    struct tiny tiny;
    struct scenery scenery;
    must(lum__sim_open(sim, false, &fs));
    must(tiny_create(&tiny, fs, &store_options));
    live(&tiny, damage, &scenery);
    if (damage == CLEAN_END) {
        must(tiny_checkpoint(&tiny));
        lum__wal_position(tiny.parts.writer, &scenery.clean_end);
        must(tiny_close(&tiny));
    } else {
        lum__sim_sync_all(sim);
        lum__sim_kill(sim, 1);
        tiny_abandon(&tiny);
    }
    lum__fs_close(fs);
    spoil(sim, damage, &scenery);
    return sim;
}

/* ------------------------------------------------------------------------------------------------------------ carrying
 * out */

static const struct lum__way *find_way(const struct lum__examination *examination, const char *name)
{
    for (size_t i = 0; i < examination->way_count; i++) {
        if (strcmp(examination->ways[i].face.name, name) == 0) return &examination->ways[i];
    }
    return NULL;
}

/* As lum_recover_guided does it behind its backup. LUM_ERR_NEEDS_PERSON: the choice is not offered. */
static lum_status carry_out(struct lum__sim *sim, const char *name)
{
    static struct lum__examination examination;
    struct lum__fs *fs = NULL;
    struct lum__file *lock_file = NULL;
    lum_recovery_data recovery;
    must(lum__sim_open(sim, false, &fs));
    lum_status status = lum__store_lock(fs, &lock_file);
    if (status == LUM_OK) status = lum__examine(fs, &plan_options, &examination);
    if (status == LUM_OK) {
        const struct lum__way *way = find_way(&examination, name);
        struct lum__parts parts;
        if (way != NULL) {
            status = lum__guided_carry_out(fs, lock_file, &store_options, &examination.state, way->choice, &recovery);
        } else if (examination.needs_choice) {
            status = LUM_ERR_NEEDS_PERSON;
        } else {
            status = lum__parts_open(fs, &store_options, 1, 16 << 20, &parts);
            if (status == LUM_OK) status = lum__parts_close_clean(&parts, lock_file);
        }
    }
    (void)lum__file_close(lock_file);
    lum__fs_close(fs);
    return status;
}

struct content {
    uint64_t transactions, lums;
    uint32_t digest;
    lum_status verified;
    uint64_t errors;
};

static lum_status look(struct lum__sim *sim, struct content *out)
{
    struct lum__fs *fs = NULL;
    struct tiny tiny;
    lum_verify_report report = LUM_VERIFY_REPORT_INIT;
    must(lum__sim_open(sim, false, &fs));
    lum_status status = tiny_open(&tiny, fs, &store_options);
    if (status == LUM_OK) {
        const struct lum__catalogue_version *version = lum__catalogue_pin(tiny.parts.catalogue);
        *out = (struct content){
            .transactions = version->committed_count, .lums = version->lum_count, .digest = version->digest};
        lum__catalogue_unpin(tiny.parts.catalogue, version);
        must(tiny_close(&tiny));
        out->verified = lum__verify(fs, 1, NULL, NULL, &report);
        out->errors = report.error_count;
    }
    lum__fs_close(fs);
    return status;
}

static void cut(struct lum__sim *sim, int way, uint64_t seed)
{
    lum_test_phase_cut(sim, way < LUM__SIM_MODES);
    if (way < LUM__SIM_MODES)
        lum__sim_power_cut(sim, (enum lum__sim_mode)way, seed);
    else
        lum__sim_kill(sim, seed);
}

static uint64_t refused_again, opened;

/* What is left after cuts: opens as chosen, or refuses, and the choice, made again, gives the same. */
static void check_left(struct lum__sim *sim, const char *name, const struct content *expected)
{
    struct content found = {0};
    lum_status status = look(sim, &found);
    if (status == LUM_ERR_NEEDS_PERSON || status == LUM_ERR_CORRUPT || status == LUM_ERR_NOT_FOUND) {
        refused_again++;
        must(carry_out(sim, name));
        status = look(sim, &found);
    } else {
        opened++;
    }
    must(status);
    if (found.transactions != expected->transactions || found.lums != expected->lums ||
        found.digest != expected->digest)
        fail_msg("%s, %s: %llu transactions with %llu LUMs instead of %llu with %llu", scene, name,
                 (unsigned long long)found.transactions, (unsigned long long)found.lums,
                 (unsigned long long)expected->transactions, (unsigned long long)expected->lums);
    if (found.verified != expected->verified || found.errors != expected->errors)
        fail_msg("%s, %s: verify finds %llu errors instead of %llu", scene, name, (unsigned long long)found.errors,
                 (unsigned long long)expected->errors);
}

static int ways_each = 2; /* of the seven, at each step; all of them over a few steps */

static bool is_wanted(uint64_t step, int way) { return (step * 2 + (uint64_t)way) % WAYS < (uint64_t)ways_each; }

/* Every step; with every third one the choice is made again and cut once more. */
static uint64_t cut_everywhere(struct lum__sim *damaged, const char *name)
{
    struct content expected = {0};
    struct lum__sim *uncut = lum__sim_clone(damaged, 1);
    lum_test_phase_enter_life(LUM_TEST_LIVES - 1);
    must(carry_out(uncut, name));
    must(look(uncut, &expected));
    lum__sim_destroy(uncut);
    assert_true(expected.transactions > 0);
    for (uint64_t step = 1;; step++) {
        bool is_through = false;
        for (int way = 0; way < WAYS; way++) {
            if (!is_wanted(step, way)) continue;
            struct lum__sim *sim = lum__sim_clone(damaged, step);
            lum_test_phase_watch(sim);
            lum_test_phase_enter_life(1);
            lum_test_phase_set(PHASE_CHOICE);
            lum__sim_stop_at(sim, step);
            lum_status status = carry_out(sim, name);
            is_through = !lum__sim_is_stopped(sim);
            if (is_through) must(status);
            cut(sim, way, step * 31 + (uint64_t)way);
            if (!is_through && (step + (uint64_t)way) % 3 == 0) {
                lum_test_phase_enter_life(2);
                lum_test_phase_set(PHASE_CHOICE);
                lum__sim_stop_at(sim, 1 + (step * 7 + (uint64_t)way * 5) % 40);
                (void)carry_out(sim, name);
                cut(sim, (way + 3) % WAYS, step * 37 + (uint64_t)way);
            }
            check_left(sim, name, &expected);
            lum__sim_destroy(sim);
        }
        if (is_through) return step - 1;
    }
}

static void every_cut_of_every_choice_is_survived(void **context)
{
    static const enum lum_test_phase phases[] = {PHASE_CHOICE, PHASE_OPEN, PHASE_CHECKPOINT, PHASE_FOLD, PHASE_CLOSE};
    (void)context;
    for (int damage = 0; damage < DAMAGES; damage++) {
        static struct lum__examination examination;
        struct lum__fs *fs = NULL;
        scene = damage_names[damage];
        struct lum__sim *damaged = make_damaged((enum damage)damage);
        must(lum__sim_open(damaged, true, &fs));
        must(lum__examine(fs, &plan_options, &examination));
        lum__fs_close(fs);
        assert_true(examination.needs_choice);
        assert_true(examination.way_count > 0);
        for (size_t i = 0; i < examination.way_count; i++) {
            uint64_t steps = cut_everywhere(damaged, examination.ways[i].face.name);
            print_message("%s, %s: %llu steps\n", scene, examination.ways[i].face.name, (unsigned long long)steps);
        }
        lum__sim_destroy(damaged);
    }
    print_message("%llu refused again, %llu opened; ", (unsigned long long)refused_again, (unsigned long long)opened);
    lum_test_phase_print();
    assert_true(refused_again > 100 && opened > 100);
    for (int life = 1; life <= 2; life++)
        assert_int_equal(lum_test_phase_missing(life, phases, sizeof phases / sizeof phases[0]), 0);
}

static lum_status copy_raw(struct lum__sim *from_sim, struct lum__sim *to_sim)
{
    static const struct lum__copy_options options = {.workers = 1, .memory_bytes_max = 64 << 20, .has_lock = true};
    struct lum__fs *from = NULL, *to = NULL;
    lum_backup_report report = LUM_BACKUP_REPORT_INIT;
    must(lum__sim_open(from_sim, false, &from));
    must(lum__sim_open(to_sim, false, &to));
    lum_status status = lum__copy_raw(from, to, &options, &report);
    lum__fs_close(to);
    lum__fs_close(from);
    return status;
}

/* What a cut left of an emergency backup: no STATE, or a store that is damaged as the original is and offers the same.
 */
static bool check_copy(struct lum__sim *copy, const struct content *expected)
{
    struct lum__fs *fs = NULL;
    struct lum__state state;
    must(lum__sim_open(copy, true, &fs));
    bool is_there = lum__state_read(fs, &state) != LUM_ERR_NOT_FOUND;
    lum__fs_close(fs);
    if (!is_there) return false;
    struct content found = {0};
    assert_int_equal(look(copy, &found), LUM_ERR_NEEDS_PERSON);
    check_left(copy, "keep", expected);
    return true;
}

static void every_cut_of_the_backup_leaves_all_or_nothing(void **context)
{
    struct lum__sim *damaged = NULL, *uncut = NULL;
    struct content expected = {0};
    uint64_t whole = 0, nothing = 0;
    (void)context;
    scene = "the backup of W";
    damaged = make_damaged(BREAK_IN_LOG);
    uncut = lum__sim_clone(damaged, 1);
    must(carry_out(uncut, "keep"));
    must(look(uncut, &expected));
    lum_test_phase_enter_life(0);
    lum_test_phase_set(PHASE_COPY);
    for (uint64_t step = 1;; step++) {
        bool is_through = false;
        for (int way = 0; way < WAYS; way++) {
            if (!is_wanted(step, way)) continue;
            struct lum__sim *to = lum__sim_create(step);
            lum_test_phase_watch(to);
            lum__sim_stop_at(to, step);
            lum_status status = copy_raw(damaged, to);
            is_through = !lum__sim_is_stopped(to);
            if (is_through) must(status);
            cut(to, way, step * 31 + (uint64_t)way);
            bool is_store = check_copy(to, &expected);
            if (is_through) assert_true(is_store);
            whole += is_store;
            nothing += !is_store;
            lum__sim_destroy(to);
        }
        if (is_through) break;
    }
    print_message("backups: %llu whole, %llu nothing\n", (unsigned long long)whole, (unsigned long long)nothing);
    assert_true(whole > 0 && nothing > 20);
    lum__sim_destroy(uncut);
    lum__sim_destroy(damaged);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "all") == 0) ways_each = WAYS;
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); /* thousands of small openings */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_of_the_backup_leaves_all_or_nothing),
        cmocka_unit_test(every_cut_of_every_choice_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
