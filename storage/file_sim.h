/* file_sim.h - a disk in memory that lies. For tests only: it is not part of liblum.
 *
 * The fault model, exactly:
 *
 *  1. What a power cut leaves. A file's content that was synced, and a name whose folder was synced, survive. A request
 * of a queue counts as written only once it was reaped: a sync before that does not cover it. Of everything else
 * anything may be left, chosen by mode and seed:
 *       - of each unsynced write, any subset of the 512-byte sectors of the file that it touched (a sector that does
 * not survive holds what it held before, zeros if nothing); the size reaches at least to the last surviving sector, and
 * sometimes as far as the write did (then zeros between);
 *       - an unsynced truncate, allocate or punch happened or did not;
 *       - an unsynced mkdir, create, unlink or rename happened or did not, each for itself, whatever was done before or
 * after it. A rename is atomic: both names or neither. A folder whose making is lost takes everything in it with it.
 *     Modes: nothing unsynced survives (DROPPED), all of it does (KEPT), any sectors of each write (TORN_512), any
 * 4,096-byte blocks (TORN_4096), whole writes but later ones without earlier ones (REORDERED), each change by a mode of
 * its own (MIXED). What the cut left is what the disk holds from then on, durably. Writes that survive are applied in
 * the order made.
 *  2. What a killed process leaves (lum__sim_kill): all that was written, in the page cache, still unsynced; of the
 * requests of queues that were not reaped, any. Locks are gone.
 *  3. After either, every handle is dead (its calls answer LUM_ERR_IO, EIO; closing frees it) and the disk can be
 * opened again.
 *  4. Errors on demand at the N-th call of a kind, once or from then on. A failed write left a prefix of whole sectors,
 * or nothing. A failed sync has dropped some of the unsynced sectors for good: the next sync reports success, reads
 * through the page cache still show them, direct reads (LUM__OPEN_DIRECT) and the state after a power cut do not - as
 * on Linux. A failed directory sync made nothing durable; what it was for may survive. All other failed calls did
 * nothing, but for RENAME_DONE. SHORT: a request of a queue moves a part only.
 *  5. A limit in bytes, in blocks of 4,096, on what files hold (an unlinked one until its folder is synced): then
 * ENOSPC, after a prefix that still fitted.
 *  6. Silent damage: bits flipped, bytes edited, in cache and on disk alike.
 *  7. stop_at(N): the N-th changing call from now does not happen, and it and every later call answers LUM_ERR_IO: to
 * the program it looks as if it had died there, and a power cut or kill comes next. Requests in flight come back from
 * the queue with -EIO.
 *  8. Two lies for mutation tests: a file sync, or a directory sync, that reports success and does nothing.
 *
 * It also catches two mistakes by assertion: a buffer that changes while its write is in flight, and a file closed with
 * requests in flight. All calls are thread-safe. Memory that runs out is an assertion: this is a test. */
#ifndef LUM_STORAGE_FILE_SIM_H
#define LUM_STORAGE_FILE_SIM_H

#include "storage/file.h"

struct lum__sim;

enum lum__sim_mode {
    LUM__SIM_DROPPED,
    LUM__SIM_KEPT,
    LUM__SIM_TORN_512,
    LUM__SIM_TORN_4096,
    LUM__SIM_REORDERED,
    LUM__SIM_MIXED,
    LUM__SIM_MODES,
};
const char *lum__sim_mode_name(enum lum__sim_mode mode);

enum lum__sim_call {
    LUM__SIM_READ,
    LUM__SIM_WRITE, /* lum__file_write */
    LUM__SIM_SYNC,
    LUM__SIM_ALLOCATE,
    LUM__SIM_PUNCH,
    LUM__SIM_TRUNCATE,
    LUM__SIM_OPEN, /* of an existing file */
    LUM__SIM_CREATE,
    LUM__SIM_RENAME,      /* fault path: the old name */
    LUM__SIM_RENAME_DONE, /* a rename that takes effect, and answers an error all the same */
    LUM__SIM_UNLINK,
    LUM__SIM_MKDIR,
    LUM__SIM_SYNC_DIR, /* fault path: the folder */
    LUM__SIM_LIST,
    LUM__SIM_LOCK,
    LUM__SIM_SUBMIT,           /* lum__io_submit_* answers a status */
    LUM__SIM_COMPLETION_WRITE, /* a write's completion is -errno */
    LUM__SIM_COMPLETION_READ,
    LUM__SIM_SHORT, /* a completion, of either kind, moves a part; os_errno is not used */
    LUM__SIM_CALLS,
};

struct lum__sim_fault {
    enum lum__sim_call call;
    uint64_t nth;    /* 1: the next call of this kind (on this path), counted from when the fault was armed */
    int os_errno;    /* EIO, ENOSPC, EDQUOT, ... */
    bool is_lasting; /* from then on, not once */
    char path_prefix[LUM__PATH_BYTES_MAX]; /* only on paths that begin so; "" is all */
};

/* --- the disk; it outlives the file tables opened on it --- */

struct lum__sim *lum__sim_create(uint64_t seed); /* the seed of every choice that is not given one of its own */
/* A deep copy (cheap: unchanged blocks are shared): files, names, what is unsynced, limit, switches. No handles, locks,
 * faults or stop; the step count is 0. */
struct lum__sim *lum__sim_clone(struct lum__sim *sim, uint64_t seed);
void lum__sim_destroy(struct lum__sim *sim); /* after every handle on it was closed */

/* A file table on the disk. Several at once are several processes. */
LUM_MUST_USE lum_status lum__sim_open(struct lum__sim *sim, bool read_only, struct lum__fs **out);

void lum__sim_power_cut(struct lum__sim *sim, enum lum__sim_mode mode, uint64_t seed); /* also clears stop and faults */
void lum__sim_kill(struct lum__sim *sim, uint64_t seed);                               /* likewise */
void lum__sim_sync_all(struct lum__sim *sim); /* everything as it is now becomes durable, queued requests apart */

void lum__sim_arm(struct lum__sim *sim, const struct lum__sim_fault *fault); /* at most 16 */
void lum__sim_disarm(struct lum__sim *sim);
uint64_t lum__sim_call_count(struct lum__sim *sim, enum lum__sim_call call); /* since creation, failed ones included */

/* Steps: calls that change something (create, write, a submitted write, allocate, punch, truncate, sync, rename,
 * unlink, mkdir, sync_dir), counted since creation or cloning. */
uint64_t lum__sim_steps(struct lum__sim *sim);
void lum__sim_stop_at(struct lum__sim *sim, uint64_t nth); /* 1: the next step; 0: never */
bool lum__sim_is_stopped(struct lum__sim *sim);
/* Called once for each stop, by the thread whose step it is, with the step's path, so that a test can count what it
 * interrupts. It must not call the disk. Stays until it is replaced; NULL: nobody asks. */
void lum__sim_set_on_stop(struct lum__sim *sim, void (*on_stop)(void *context, const char *path), void *context);

void lum__sim_set_limit(struct lum__sim *sim, uint64_t bytes); /* 0: none */
uint64_t lum__sim_used_bytes(struct lum__sim *sim);
void lum__sim_set_read_only(struct lum__sim *sim, bool on);     /* as a mount: changing calls answer EROFS */
void lum__sim_set_direct(struct lum__sim *sim, bool on);        /* off: LUM__OPEN_DIRECT gives buffered files */
void lum__sim_set_reorder_queue(struct lum__sim *sim, bool on); /* completions come in any order, and late */
void lum__sim_ignore_file_sync(struct lum__sim *sim, bool on);
void lum__sim_ignore_dir_sync(struct lum__sim *sim, bool on);

/* --- its bytes --- */

LUM_MUST_USE lum_status lum__sim_flip_bit(struct lum__sim *sim, const char *path,
                                          uint64_t bit); /* bit 0 is the lowest of byte 0 */
LUM_MUST_USE lum_status lum__sim_edit(struct lum__sim *sim, const char *path, uint64_t offset, const void *bytes,
                                      size_t byte_count);
LUM_MUST_USE lum_status lum__sim_file_size(struct lum__sim *sim, const char *path, uint64_t *out);
/* All live files to a real directory (made if missing), and back: what is loaded is durable. */
LUM_MUST_USE lum_status lum__sim_dump(struct lum__sim *sim, const char *directory);
LUM_MUST_USE lum_status lum__sim_load(struct lum__sim *sim, const char *directory);

#endif
