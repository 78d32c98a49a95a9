/* kill -9 under small commits: a program of 16 threads, each committing one LUM after another and noting in shared memory what it submitted and what was
 * acknowledged, is killed at a random moment, again and again on the same store. After each kill, for every thread: acknowledged <= there <= submitted, its rows in
 * order and bit-identical; verify is clean; nothing is there twice. Checkpoints (and so folds) come every few hundred commits.
 *
 *   txn_kill_test [rounds] [seed]      default 20 rounds; LUM_ROUNDS and LUM_SEED are stronger */
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

enum { THREADS = 16 };

/* In a file that parent and children map. A thread's rows are numbered on from round to round. */
struct notes {
    struct {
        _Alignas(64) _Atomic uint64_t submitted, acknowledged;
    } threads[THREADS];
    _Atomic uint32_t failed;
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
    for (uint64_t number = atomic_load(&notes->threads[worker->number].submitted); notes->failed == 0; number++) {
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
    if (open_store(directory, &store) != LUM_OK) {
        fprintf(stderr, "the writer cannot open the store: %s\n", lum_last_error()->message);
        atomic_store(&notes->failed, 1);
        return 1;
    }
    for (uint64_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.store = store, .notes = notes, .number = i};
        if (pthread_create(&threads[i], NULL, commit_rows, &workers[i]) != 0) return 1;
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL); /* only after a failure */
    return 1;
}

/* ------------------------------------------------------------------------------------------------------------ the judge */

/* What a thread submitted and was not there is never submitted again: the numbers go on, so a gap is allowed just there. */
struct found {
    uint64_t next[THREADS];     /* number of the row that comes next */
    uint64_t lost[THREADS][64]; /* numbers that a kill took, one a round at most */
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

static const char *run_round(const char *self, const char *directory, const char *notes_path, uint64_t *random)
{
    struct notes *notes = map_notes(notes_path);
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        execl(self, self, "--writer", directory, notes_path, (char *)NULL);
        _exit(127);
    }
    sleep_us(20000 + lum__splitmix64(random) % 400000);
    kill(child, SIGKILL);
    if (notes == NULL || waitpid(child, &status, 0) != child) return "cannot run the writer";
    const char *failure = atomic_load(&notes->failed) != 0 ? "a commit failed" : !WIFSIGNALED(status) ? "the writer ended by itself" : NULL;
    munmap(notes, sizeof *notes);
    return failure;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--writer") == 0) return run_writer(argv[2], argv[3]);
    const char *rounds_text = getenv("LUM_ROUNDS"), *seed_text = getenv("LUM_SEED");
    uint64_t rounds = rounds_text != NULL ? strtoull(rounds_text, NULL, 10) : argc > 1 ? strtoull(argv[1], NULL, 10) : 20;
    uint64_t random = seed_text != NULL ? strtoull(seed_text, NULL, 10) : argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    char directory[256], store[300], notes_path[300], self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    static struct found found;
    const char *failure = NULL;
    uint64_t rows = 0, round = 0;
    if (length < 0) return 2;
    self[length] = 0;
    lum_test_directory_make(directory, sizeof directory);
    snprintf(store, sizeof store, "%s/store", directory);
    snprintf(notes_path, sizeof notes_path, "%s/notes", directory);
    struct notes *notes = map_notes(notes_path);
    if (notes == NULL) return 2;
    for (; round < rounds && round < 64 && failure == NULL; round++) {
        failure = run_round(self, store, notes_path, &random);
        if (failure == NULL) failure = judge(store, notes, &found, &rows);
    }
    if (failure != NULL) printf("round %llu: %s; last error: %s: %s\n", (unsigned long long)round, failure, lum_last_error()->file, lum_last_error()->message);
    printf("%llu kills, %llu rows there, %s\n", (unsigned long long)round, (unsigned long long)rows, failure == NULL ? "nothing acknowledged was lost" : "FAILED");
    if (failure == NULL) lum_test_directory_remove(directory);
    return failure == NULL && rows > 0 ? 0 : 1;
}
