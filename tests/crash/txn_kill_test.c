/* kill -9 under small commits: a program of 16 threads, each committing one LUM after another and noting in shared memory what it submitted and what was
 * acknowledged, is killed again and again on the same store: at a random moment, or while it is in a fold, a checkpoint, a recycling, a rotation of the log or its
 * close, which it notes there too; and up to twice in a row the recovery that follows. After each round, for every thread: acknowledged <= there <= submitted, its
 * rows in order and bit-identical; verify is clean; nothing is there twice. Checkpoints (and so folds) come every few hundred commits.
 *
 *   txn_kill_test [kills] [seed]      default 30 kills; LUM_KILLS and LUM_SEED are stronger
 *
 * LUM_STORE=DIRECTORY, LUM_CUT=COMMAND and LUM_MEND=COMMAND: the store lies there, the command takes its file system away instead of a kill, and the other one
 * brings it back (shutdown_loop.py). */
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

#include "base/random.h"
#include "lum/lum.h"
#include "support/directory.h"
#include "support/phase.h"

enum { THREADS = 16, ROUNDS_MAX = 1000 };

/* In a file that parent and children map. A thread's rows are numbered on from round to round. */
struct notes {
    struct {
        _Alignas(64) _Atomic uint64_t submitted, acknowledged;
    } threads[THREADS];
    _Atomic uint32_t failed;
    _Atomic uint32_t is_stopping; /* the parent wants the store closed */
    _Atomic uint32_t phase;       /* enum lum_test_phase: where the child is */
};

static void make_row(uint64_t thread, uint64_t number, lum_t *row)
{
    uint64_t state = thread << 40 | number, noise = lum__splitmix64(&state);
    *row = (lum_t){.id = thread << 40 | number,
                   .timestamp = noise,
                   .memory_address = ~noise,
                   .position_x = (int32_t)number,
                   .position_y = -(int32_t)thread,
                   .presence = noise & 1,
                   .structure_type = (uint8_t)(noise % 6),
                   .is_destroyed = noise % 7 == 0};
    row->checksum = lum_record_checksum(row);
}

static struct notes *map_notes(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(struct notes)) != 0) return NULL;
    void *memory = mmap(NULL, sizeof(struct notes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return memory != MAP_FAILED ? memory : NULL;
}

static lum_status open_store(const char *directory, lum_store **store)
{
    lum_options options = LUM_OPTIONS_INIT;
    options.create = true;
    options.threads = 1;
    options.memory_bytes_max = 32u << 20;
    options.wal_segment_bytes = 128 * 1024;
    options.checkpoint_wal_bytes = 256 * 1024;
    return lum_open(directory, &options, store);
}

/* ------------------------------------------------------------------------------------------- the program that is killed */

struct worker {
    lum_store *store;
    struct notes *notes;
    uint64_t number;
};

static void *commit_rows(void *context)
{
    struct worker *worker = context;
    struct notes *notes = worker->notes;
    for (uint64_t number = atomic_load(&notes->threads[worker->number].submitted); notes->failed == 0 && notes->is_stopping == 0; number++) {
        lum_txn *txn = NULL;
        lum_t row;
        lum_receipt receipt = LUM_RECEIPT_INIT;
        make_row(worker->number, number, &row);
        atomic_store(&notes->threads[worker->number].submitted, number + 1);
        lum_status status = lum_txn_begin(worker->store, NULL, &txn);
        if (status == LUM_OK) status = lum_txn_append(txn, &row, 1);
        if (status == LUM_OK) status = lum_txn_commit(txn, &receipt);
        if (status != LUM_OK || !receipt.durable) atomic_store(&notes->failed, 1);
        else atomic_store(&notes->threads[worker->number].acknowledged, number + 1);
    }
    return NULL;
}

static int run_writer(const char *directory, const char *notes_path)
{
    struct notes *notes = map_notes(notes_path);
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    lum_store *store = NULL;
    if (notes == NULL) return 1;
    lum_test_phase_share(&notes->phase);
    if (open_store(directory, &store) != LUM_OK) {
        fprintf(stderr, "the writer cannot open the store: %s\n", lum_last_error()->message);
        atomic_store(&notes->failed, 1);
        return 1;
    }
    for (uint64_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.store = store, .notes = notes, .number = i};
        if (pthread_create(&threads[i], NULL, commit_rows, &workers[i]) != 0) return 1;
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    if (atomic_load(&notes->failed) != 0) return 1;
    return lum_close(store) == LUM_OK ? 0 : 1;
}

/* ------------------------------------------------------------------------------------------------------------ the judge */

/* What a thread submitted and was not there is never submitted again: the numbers go on, so a gap is allowed just there. */
struct found {
    uint64_t next[THREADS];             /* number of the row that comes next */
    uint64_t lost[THREADS][ROUNDS_MAX]; /* numbers that a kill took, one a round at most */
    uint32_t lost_count[THREADS];
};

static const char *take_row(struct found *found, const lum_t *row)
{
    uint64_t thread = row->id >> 40, number = row->id & ((UINT64_C(1) << 40) - 1);
    lum_t expected;
    if (thread >= THREADS) return "a row that nobody wrote";
    while (found->next[thread] < number) {
        uint32_t i = 0;
        while (i < found->lost_count[thread] && found->lost[thread][i] != found->next[thread]) i++;
        if (i == found->lost_count[thread]) return "a row is missing, or out of order";
        found->next[thread]++;
    }
    if (number < found->next[thread]) return "a row is there twice, or came back";
    make_row(thread, number, &expected);
    found->next[thread]++;
    return memcmp(&expected, row, sizeof expected) == 0 ? NULL : "a row is wrong";
}

static const char *judge(const char *directory, struct notes *notes, struct found *found, uint64_t *row_count)
{
    lum_store *store = NULL;
    lum_scan *scan = NULL;
    const lum_t *rows = NULL;
    size_t count = 0;
    const char *failure = NULL;
    memset(found->next, 0, sizeof found->next);
    *row_count = 0;
    if (open_store(directory, &store) != LUM_OK || lum_scan_open(store, NULL, &scan) != LUM_OK) return "the store cannot be opened";
    lum_status status = LUM_OK;
    while (failure == NULL && (status = lum_scan_next_rows(scan, &rows, &count)) == LUM_OK) {
        for (size_t i = 0; i < count && failure == NULL; i++) failure = take_row(found, &rows[i]);
        *row_count += count;
    }
    lum_scan_close(scan);
    if (failure == NULL && status != LUM_END) failure = "the store cannot be read";
    for (int i = 0; i < THREADS && failure == NULL; i++) {
        uint64_t acknowledged = atomic_load(&notes->threads[i].acknowledged), submitted = atomic_load(&notes->threads[i].submitted);
        if (found->next[i] > submitted) failure = "a row that was never submitted";
        if (found->next[i] < acknowledged) failure = "an acknowledged row is lost";
        while (failure == NULL && found->next[i] < submitted) found->lost[i][found->lost_count[i]++] = found->next[i]++;
    }
    if (lum_close(store) != LUM_OK && failure == NULL) failure = "the store cannot be closed";
    lum_verify_report report = LUM_VERIFY_REPORT_INIT;
    if (failure == NULL && lum_verify(directory, 1, NULL, NULL, &report) != LUM_OK) failure = "verify is not clean";
    return failure;
}

static void sleep_us(uint64_t us)
{
    struct timespec pause = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000 * 1000)};
    nanosleep(&pause, NULL);
}

static pid_t start(const char *self, const char *what, const char *directory, const char *notes_path)
{
    pid_t child = fork();
    if (child != 0) return child;
    execl(self, self, what, directory, notes_path, (char *)NULL);
    _exit(127);
}

/* Until the child is in that phase, and a little on; or not, where it does not get there. */
static void wait_for_phase(pid_t child, struct notes *notes, enum lum_test_phase phase, uint64_t *random)
{
    for (int i = 0; i < 20000 && atomic_load(&notes->phase) != phase; i++) {
        siginfo_t info = {0};
        if (i % 64 == 63 && waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == child) return;
        sleep_us(20);
    }
    uint64_t most = UINT64_C(1) << lum__splitmix64(random) % 12;
    sleep_us(lum__splitmix64(random) % most);
}

/* NULL, or what is wrong. *kills counts up unless the child was through before. */
static const char *kill_and_reap(pid_t child, struct notes *notes, uint64_t *kills)
{
    const char *cut = getenv("LUM_CUT"), *mend = getenv("LUM_MEND");
    bool is_cut = cut != NULL && mend != NULL;
    int status = 0;
    uint32_t phase = atomic_load(&notes->phase);
    if (is_cut && system(cut) != 0) return "cannot take the file system away"; /* every thread that notices ends */
    if (!is_cut) kill(child, SIGKILL);
    if (waitpid(child, &status, 0) != child) return "cannot run the writer";
    if (is_cut && system(mend) != 0) return "cannot bring the file system back";
    if (!is_cut && atomic_load(&notes->failed) != 0) return "a commit failed";
    atomic_store(&notes->failed, 0);
    bool is_through = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (is_through) return NULL;
    if (!is_cut && !WIFSIGNALED(status)) return "the writer ended by itself";
    if (is_cut && !WIFEXITED(status)) return "the writer was killed";
    if (is_cut) atomic_store(&notes->phase, phase); /* it went on to its end */
    lum_test_phase_killed((enum lum_test_phase)atomic_load(&notes->phase));
    (*kills)++;
    return NULL;
}

static const char *run_round(const char *self, const char *directory, const char *notes_path, struct notes *notes, uint64_t *random, uint64_t *kills)
{
    static const enum lum_test_phase phases[] = {PHASE_CHECKPOINT, PHASE_FOLD, PHASE_RECYCLE, PHASE_ROTATE, PHASE_CLOSE, PHASE_TRIM};
    enum lum_test_phase phase = phases[lum__splitmix64(random) % (sizeof phases / sizeof phases[0])];
    bool is_aimed = lum__splitmix64(random) % 3 != 0;
    lum_test_phase_enter_life(0);
    atomic_store(&notes->is_stopping, 0);
    atomic_store(&notes->phase, PHASE_DATA);
    pid_t child = start(self, "--writer", directory, notes_path);
    sleep_us(is_aimed ? 10000 + lum__splitmix64(random) % 100000 : 10000 + lum__splitmix64(random) % 300000);
    if (is_aimed && (phase == PHASE_CLOSE || phase == PHASE_TRIM)) atomic_store(&notes->is_stopping, 1);
    if (is_aimed) wait_for_phase(child, notes, phase, random);
    const char *failure = kill_and_reap(child, notes, kills);
    atomic_store(&notes->is_stopping, 1); /* a child that only opens and closes: the next opening, which recovers */
    for (int life = 1; life <= 2 && failure == NULL && lum__splitmix64(random) % 2 == 0; life++) {
        lum_test_phase_enter_life(life);
        atomic_store(&notes->phase, PHASE_DATA);
        child = start(self, "--writer", directory, notes_path);
        sleep_us(lum__splitmix64(random) % 3000);
        phase = (enum lum_test_phase[]){PHASE_OPEN, PHASE_FOLD, PHASE_CHECKPOINT, PHASE_CLOSE}[lum__splitmix64(random) % 4];
        wait_for_phase(child, notes, phase, random);
        failure = kill_and_reap(child, notes, kills);
    }
    return failure;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--writer") == 0) return run_writer(argv[2], argv[3]);
    const char *kills_text = getenv("LUM_KILLS"), *seed_text = getenv("LUM_SEED");
    uint64_t kills_wanted = kills_text != NULL ? strtoull(kills_text, NULL, 10) : argc > 1 ? strtoull(argv[1], NULL, 10) : 30;
    uint64_t random = seed_text != NULL ? strtoull(seed_text, NULL, 10) : argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    char directory[256], store[300], notes_path[300], self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    static struct found found;
    const char *failure = NULL;
    uint64_t rows = 0, kills = 0;
    int round = 0;
    if (length < 0) return 2;
    self[length] = 0;
    lum_test_directory_make(directory, sizeof directory);
    snprintf(store, sizeof store, "%s/store", directory);
    if (getenv("LUM_STORE") != NULL) snprintf(store, sizeof store, "%s", getenv("LUM_STORE"));
    snprintf(notes_path, sizeof notes_path, "%s/notes", directory);
    struct notes *notes = map_notes(notes_path);
    if (notes == NULL) return 2;
    for (; kills < kills_wanted && round < ROUNDS_MAX && failure == NULL; round++) {
        failure = run_round(self, store, notes_path, notes, &random, &kills);
        if (failure == NULL) failure = judge(store, notes, &found, &rows);
    }
    if (failure != NULL) printf("round %d: %s; last error: %s: %s\n", round, failure, lum_last_error()->file, lum_last_error()->message);
    printf("%d rounds, %llu rows there, %s; ", round, (unsigned long long)rows, failure == NULL ? "nothing acknowledged was lost" : "FAILED");
    lum_test_phase_print();
    if (failure == NULL) lum_test_directory_remove(directory);
    return failure == NULL && rows > 0 && kills >= kills_wanted ? 0 : 1;
}
