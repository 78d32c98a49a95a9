/* phase.h - what a power cut or kill on the simulated disk interrupts, counted. Functions of liblum where a new part of
 * a store's life begins are wrapped by the linker (lum_add_test(... PHASES)); the disk tells when it stops, and the
 * thread whose step it is knows where it is. */
#ifndef LUM_TESTS_PHASE_H
#define LUM_TESTS_PHASE_H

#include <stdatomic.h>
#include <stdint.h>

#include "storage/file_sim.h"

enum lum_test_phase {
    PHASE_DATA,    /* chunks and data segments: a load, or a large transaction */
    PHASE_LOG,     /* a batch of the log: commits */
    PHASE_ROTATE,  /* the log's next segment */
    PHASE_CREATE,  /* a new store */
    PHASE_OPEN,    /* of a store for writing; of a crashed one: its recovery */
    PHASE_REWRITE, /* ... where it writes chunks anew */
    PHASE_CHECKPOINT,
    PHASE_FOLD,
    PHASE_RECYCLE, /* old checkpoints and log segments */
    PHASE_CLOSE,
    PHASE_TRIM, /* of data segments at the close */
    PHASE_COPY, /* the emergency backup of guided recovery */
    PHASE_CHOICE,
    PHASE_END, /* everything was done and closed before */
    PHASES
};

/* Which life of the store the test is in: 0 the one that is written to, then its recovery, then that one's, ... */
enum { LUM_TEST_LIVES = 4 };

/* One test program has one count of these. Single-threaded but for the stop itself. */
void lum_test_phase_watch(struct lum__sim *sim); /* once for each disk */
void lum_test_phase_enter_life(int life);
/* The disk stops `steps` steps behind the nth time that a phase begins: what takes few of many steps is met as often as
 * the rest. One aim at a time; a cut ends it. Not for DATA, LOG, COPY, CHOICE and END, which no function begins. */
void lum_test_phase_aim(struct lum__sim *sim, enum lum_test_phase phase, uint64_t nth, uint64_t steps);
/* Whoever begins or ends a phase writes it down at *place, which another process may look at (txn_kill_test.c). */
void lum_test_phase_share(_Atomic uint32_t *place);
/* A process was killed in that phase. */
void lum_test_phase_killed(enum lum_test_phase phase);
/* Names what comes next in this thread, where no wrapped function does. */
void lum_test_phase_set(enum lum_test_phase phase);
/* A power cut or kill comes now: counts it, with the phase it stopped in. */
void lum_test_phase_cut(struct lum__sim *sim, bool is_power_cut);
uint64_t lum_test_phase_count(int life, enum lum_test_phase phase); /* life -1: all */
/* "1,200 power cuts and 300 kills; at work: data 100, log ...; in its recovery: ...; in that one's: ..." */
void lum_test_phase_print(void);
/* Those of the given phases that nothing hit in `life`, named on stdout. */
uint32_t lum_test_phase_missing(int life, const enum lum_test_phase *phases, uint32_t count);

#endif
