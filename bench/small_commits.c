/* bench/small_commits.c - THREADS threads that each commit N single LUMs and wait for each to be durable: lum, and beside it SQLite 3 and RocksDB where their
 * headers were there when this was built (Debian: libsqlite3-dev, librocksdb-dev). Run them in turn, each in a new directory of one disk: bench/README.md.
 *
 *   lum_small_commits lum|sqlite|rocksdb DIRECTORY [threads] [commits a thread]
 *
 * One line: engine, threads, commits, seconds, commits/s, syncs, commits/sync (0 where the engine does not tell). */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lum/lum.h"
#ifdef HAVE_SQLITE
#include <sqlite3.h>
#endif
#ifdef HAVE_ROCKSDB
#include <rocksdb/c.h>
#endif

struct job {
    const char *directory;
    void *shared; /* the engine's, made before the clock runs */
    uint32_t number, commits;
    int failed;
};

static void make_row(const struct job *job, uint32_t commit, lum_t *row)
{
    *row = (lum_t){.id = (uint64_t)job->number << 32 | commit, .timestamp = 1700000000000000000u + commit, .position_x = (int32_t)commit, .presence = 1};
}

/* --------------------------------------------------------------------------------------------------------------- lum */

static void *open_lum(const char *directory)
{
    lum_options options = LUM_OPTIONS_INIT;
    lum_store *store = NULL;
    options.create = true;
    return lum_open(directory, &options, &store) == LUM_OK ? store : NULL;
}

static void *run_lum(void *context)
{
    struct job *job = context;
    for (uint32_t i = 0; i < job->commits && !job->failed; i++) {
        lum_txn *txn = NULL;
        lum_t row;
        lum_receipt receipt = LUM_RECEIPT_INIT;
        make_row(job, i, &row);
        if (lum_txn_begin(job->shared, NULL, &txn) != LUM_OK) job->failed = 1;
        else if (lum_txn_append(txn, &row, 1) != LUM_OK) job->failed = 1, lum_txn_rollback(txn);
        else if (lum_txn_commit(txn, &receipt) != LUM_OK || !receipt.durable) job->failed = 1;
    }
    return NULL;
}

static uint64_t syncs_of_lum(void *store)
{
    lum_stats_data stats = LUM_STATS_INIT;
    return lum_stats(store, &stats) == LUM_OK ? stats.sync_count : 0;
}

/* ------------------------------------------------------------------------------------------------------------ SQLite */

#ifdef HAVE_SQLITE
static sqlite3 *connect_sqlite(const char *directory)
{
    char path[4096];
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/lums.sqlite", directory);
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) return NULL;
    sqlite3_busy_timeout(db, 60000);
    sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS lum(id INTEGER, record BLOB)", NULL, NULL, NULL);
    return db;
}

static void *run_sqlite(void *context)
{
    struct job *job = context;
    sqlite3 *db = connect_sqlite(job->directory);
    sqlite3_stmt *insert = NULL;
    if (db == NULL || sqlite3_prepare_v2(db, "INSERT INTO lum VALUES(?, ?)", -1, &insert, NULL) != SQLITE_OK) job->failed = 1;
    for (uint32_t i = 0; i < job->commits && !job->failed; i++) {
        lum_t row;
        make_row(job, i, &row);
        sqlite3_bind_int64(insert, 1, (int64_t)row.id);
        sqlite3_bind_blob(insert, 2, &row, sizeof row, SQLITE_TRANSIENT);
        int status;
        while ((status = sqlite3_step(insert)) == SQLITE_BUSY) sqlite3_reset(insert);
        job->failed = status != SQLITE_DONE;
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    sqlite3_close(db);
    return NULL;
}
#endif

/* ----------------------------------------------------------------------------------------------------------- RocksDB */

#ifdef HAVE_ROCKSDB
static void *open_rocksdb(const char *directory)
{
    char path[4096], *error = NULL;
    rocksdb_options_t *options = rocksdb_options_create();
    snprintf(path, sizeof path, "%s/rocksdb", directory);
    rocksdb_options_set_create_if_missing(options, 1);
    return rocksdb_open(options, path, &error);
}

static void *run_rocksdb(void *context)
{
    struct job *job = context;
    rocksdb_writeoptions_t *options = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(options, 1);
    for (uint32_t i = 0; i < job->commits && !job->failed; i++) {
        lum_t row;
        char *error = NULL;
        make_row(job, i, &row);
        rocksdb_put(job->shared, options, (const char *)&row.id, sizeof row.id, (const char *)&row, sizeof row, &error);
        job->failed = error != NULL;
    }
    rocksdb_writeoptions_destroy(options);
    return NULL;
}
#endif

/* -------------------------------------------------------------------------------------------------------------- main */

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    if (argc < 3) return 2;
    const char *engine = argv[1], *directory = argv[2];
    uint32_t threads = argc > 3 ? (uint32_t)atoi(argv[3]) : 16, commits = argc > 4 ? (uint32_t)atoi(argv[4]) : 10000;
    void *(*work)(void *) = NULL;
    void *shared = NULL;
    if (strcmp(engine, "lum") == 0) work = run_lum, shared = open_lum(directory);
#ifdef HAVE_SQLITE
    if (strcmp(engine, "sqlite") == 0) work = run_sqlite, shared = connect_sqlite(directory);
#endif
#ifdef HAVE_ROCKSDB
    if (strcmp(engine, "rocksdb") == 0) work = run_rocksdb, shared = open_rocksdb(directory);
#endif
    if (work == NULL) return 77; /* built without it */
    if (shared == NULL || threads == 0 || threads > 256) return 1;
    pthread_t handles[256];
    struct job jobs[256];
    uint64_t syncs = work == run_lum ? syncs_of_lum(shared) : 0;
    double begin = now();
    for (uint32_t i = 0; i < threads; i++) {
        jobs[i] = (struct job){.directory = directory, .shared = shared, .number = i, .commits = commits};
        if (pthread_create(&handles[i], NULL, work, &jobs[i]) != 0) return 1;
    }
    int failed = 0;
    for (uint32_t i = 0; i < threads; i++) {
        pthread_join(handles[i], NULL);
        failed |= jobs[i].failed;
    }
    double seconds = now() - begin, count = (double)threads * commits;
    if (work == run_lum) syncs = syncs_of_lum(shared) - syncs;
    printf("%-8s %3u threads %8.0f commits %8.3f s %9.0f commits/s %8llu syncs %6.1f commits/sync%s\n", engine, threads, count, seconds, count / seconds,
           (unsigned long long)syncs, syncs > 0 ? count / (double)syncs : 0.0, failed ? " FAILED" : "");
    if (work == run_lum && lum_close(shared) != LUM_OK) return 1;
    return failed;
}
