#include "support/phase.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "recovery/fold.h"
#include "recovery/parts.h"
#include "recovery/recover.h"
#include "recovery/rewrite.h"
#include "recovery/state.h"
#include "storage/segment.h"
#include "wal/writer.h"

static const char *const phase_names[PHASES] = {"data",    "log",        "rotate", "create",       "open",
                                                "rewrite", "checkpoint", "fold",   "recycle",      "close",
                                                "trim",    "copy",       "choice", "after the end"};
static const char *const life_names[LUM_TEST_LIVES] = {"at work", "in its recovery", "in the recovery of that",
                                                       "and of that"};

static _Thread_local enum lum_test_phase here;
static int life;
static enum lum_test_phase stopped_in;
static struct {
    pthread_mutex_t mutex;
    struct lum__sim *sim;
    enum lum_test_phase phase;
    uint64_t nth, steps; /* nth 0: no aim */
} aim = {.mutex = PTHREAD_MUTEX_INITIALIZER};
static _Atomic uint32_t *shared;
static uint64_t counts[LUM_TEST_LIVES][PHASES], power_cuts, kills;

static void on_stop(void *context, const char *path)
{
    (void)context;
    stopped_in = here;
    bool is_removed = strncmp(path, "checkpoint-", 11) == 0 && strstr(path, ".tmp") == NULL;
    if (here == PHASE_DATA && strncmp(path, "wal", 3) == 0) stopped_in = PHASE_LOG;
    if ((here == PHASE_CHECKPOINT || here == PHASE_CLOSE) && is_removed) stopped_in = PHASE_RECYCLE;
}

void lum_test_phase_watch(struct lum__sim *sim) { lum__sim_set_on_stop(sim, on_stop, NULL); }

void lum_test_phase_enter_life(int number)
{
    life = number < LUM_TEST_LIVES ? number : LUM_TEST_LIVES - 1;
    here = PHASE_DATA;
}

void lum_test_phase_aim(struct lum__sim *sim, enum lum_test_phase phase, uint64_t nth, uint64_t steps)
{
    pthread_mutex_lock(&aim.mutex);
    aim.sim = sim;
    aim.phase = phase;
    aim.nth = nth;
    aim.steps = steps;
    pthread_mutex_unlock(&aim.mutex);
}

static enum lum_test_phase enter(enum lum_test_phase phase)
{
    enum lum_test_phase before = here;
    here = phase;
    pthread_mutex_lock(&aim.mutex);
    if (aim.nth > 0 && aim.phase == phase && --aim.nth == 0) lum__sim_stop_at(aim.sim, aim.steps);
    pthread_mutex_unlock(&aim.mutex);
    if (shared != NULL) atomic_store(shared, phase);
    return before;
}

static void leave(enum lum_test_phase before)
{
    here = before;
    if (shared != NULL) atomic_store(shared, before);
}

void lum_test_phase_share(_Atomic uint32_t *place) { shared = place; }

void lum_test_phase_killed(enum lum_test_phase phase)
{
    counts[life][phase]++;
    kills++;
}

void lum_test_phase_set(enum lum_test_phase phase) { here = phase; }

void lum_test_phase_cut(struct lum__sim *sim, bool is_power_cut)
{
    lum_test_phase_aim(NULL, PHASE_END, 0, 0);
    counts[life][lum__sim_is_stopped(sim) ? stopped_in : PHASE_END]++;
    if (is_power_cut)
        power_cuts++;
    else
        kills++;
}

uint64_t lum_test_phase_count(int number, enum lum_test_phase phase)
{
    uint64_t sum = 0;
    for (int i = 0; i < LUM_TEST_LIVES; i++) sum += number == i || number < 0 ? counts[i][phase] : 0;
    return sum;
}

void lum_test_phase_print(void)
{
    printf("%" PRIu64 " power cuts and %" PRIu64 " kills", power_cuts, kills);
    for (int i = 0; i < LUM_TEST_LIVES; i++) {
        const char *before = "; ";
        for (int phase = 0; phase < PHASES; phase++) {
            if (counts[i][phase] == 0) continue;
            if (*before == ';')
                printf("; %s: ", life_names[i]);
            else
                printf(", ");
            printf("%s %" PRIu64, phase_names[phase], counts[i][phase]);
            before = ", ";
        }
    }
    printf("\n");
}

uint32_t lum_test_phase_missing(int number, const enum lum_test_phase *phases, uint32_t count)
{
    uint32_t missing = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (lum_test_phase_count(number, phases[i]) > 0) continue;
        printf("nothing was cut off %s: %s\n", number < 0 ? "anywhere" : life_names[number], phase_names[phases[i]]);
        missing++;
    }
    return missing;
}

/* ------------------------------------------------------------------------------------------------- wrapped functions
 */

/* The linker's names: __wrap_F stands in for F, __real_F is it. */
#define WRAP(result, name, parameters, arguments, phase)                                                               \
    result __real_##name parameters;                                                                                   \
    result __wrap_##name parameters;                                                                                   \
    result __wrap_##name parameters                                                                                    \
    {                                                                                                                  \
        enum lum_test_phase before = enter(phase);                                                                     \
        result answer = __real_##name arguments;                                                                       \
        leave(before);                                                                                                 \
        return answer;                                                                                                 \
    }

WRAP(lum_status, lum__store_create, (struct lum__fs * fs, const lum_options *options, struct lum__file **lock_file),
     (fs, options, lock_file), PHASE_CREATE)
WRAP(lum_status, lum__parts_open,
     (struct lum__fs * fs, const lum_options *options, uint32_t workers, uint64_t memory_bytes_max,
      struct lum__parts *out),
     (fs, options, workers, memory_bytes_max, out), PHASE_OPEN)
WRAP(lum_status, lum__parts_open_chosen,
     (struct lum__fs * fs, const lum_options *options, enum lum__choice choice, uint32_t workers,
      uint64_t memory_bytes_max, struct lum__parts *out),
     (fs, options, choice, workers, memory_bytes_max, out), PHASE_OPEN)
WRAP(lum_status, lum__rewrite_doubtful,
     (struct lum__fs * fs, uint64_t epoch, uint64_t segment_bytes_max, struct lum__plan *plan, uint64_t *rewritten),
     (fs, epoch, segment_bytes_max, plan, rewritten), PHASE_REWRITE)
WRAP(lum_status, lum__parts_checkpoint,
     (struct lum__parts * parts, struct lum__file *lock_file, const struct lum__open_transaction *open,
      size_t open_count, const uint64_t *dirty_segments, size_t dirty_count),
     (parts, lock_file, open, open_count, dirty_segments, dirty_count), PHASE_CHECKPOINT)
/* Of recovery; the others' are called inside parts.c, which no linker sees. */
WRAP(lum_status, lum__parts_take_checkpoint,
     (struct lum__parts * parts, const struct lum__open_transaction *open, size_t open_count),
     (parts, open, open_count), PHASE_CHECKPOINT)
WRAP(lum_status, lum__fold_prepare, (struct lum__parts * parts, struct lum__fold **out), (parts, out), PHASE_FOLD)
WRAP(lum_status, lum__wal_recycle, (struct lum__wal_writer * writer, uint64_t segment, bool keep_spare),
     (writer, segment, keep_spare), PHASE_RECYCLE)
WRAP(lum_status, lum__wal_reserve, (struct lum__wal_writer * writer, uint32_t batch_bytes), (writer, batch_bytes),
     PHASE_ROTATE)
WRAP(lum_status, lum__parts_close_clean, (struct lum__parts * parts, struct lum__file *lock_file), (parts, lock_file),
     PHASE_CLOSE)
WRAP(lum_status, lum__segments_trim, (struct lum__segments * segments), (segments), PHASE_TRIM)
/* Inside of another phase it belongs to that. */
WRAP(lum_status, lum__wal_write, (struct lum__wal_writer * writer), (writer), here == PHASE_DATA ? PHASE_LOG : here)
WRAP(lum_status, lum__wal_sync, (struct lum__wal_writer * writer), (writer), here == PHASE_DATA ? PHASE_LOG : here)
