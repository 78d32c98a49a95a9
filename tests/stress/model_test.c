/* Everything that reads, against a plain model: small and large transactions over few ids (tombstones and several
 * versions in one transaction too), rollbacks, checkpoints, folds, reopening and kills in random order on the disk in
 * memory; after each few, scans of everything, of random ranges and of the newest versions, single ids, all versions of
 * an id, outcomes and labels must say what a list of the committed rows says. Scans that were opened before go on
 * meanwhile and give what was there when they were opened.
 *
 *   model_test [rounds] [seed]      default 60 rounds; LUM_ROUNDS and LUM_SEED are stronger; replay one failure with: 1
 * SEED */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/store.h"
#include "base/random.h"
#include "storage/file_sim.h"

enum { OPERATIONS = 120, ROWS_MAX = 400000, TRANSACTIONS_MAX = 200, SCANS_MAX = 3 };

struct world {
    uint64_t random;
    struct lum__sim *sim;
    lum_options options;
    lum_store *store;
    lum_t *rows; /* committed, in order */
    size_t count, id_count;
    lum_t *fresh; /* of the transaction that is being made */
    struct {
        uint64_t id;
        uint64_t row_count;
        bool is_committed, is_labelled;
    } transactions[TRANSACTIONS_MAX];
    size_t transaction_count;
    struct {
        lum_scan *scan;
        size_t count, at;
    } scans[SCANS_MAX];
};

static const char *failure;
static char failure_text[512];

static void fail_round(const char *what)
{
    if (failure != NULL) return;
    snprintf(failure_text, sizeof failure_text, "%s; last error: %s: %s", what, lum_last_error()->file,
             lum_last_error()->message);
    failure = failure_text;
}

static uint64_t pick(struct world *world, uint64_t count) { return lum__splitmix64(&world->random) % count; }

static void reopen(struct world *world)
{
    lum_options resolved;
    struct lum__fs *fs = NULL;
    lum_status status = lum__options_resolve(&world->options, &resolved);
    if (status == LUM_OK) status = lum__sim_open(world->sim, false, &fs);
    if (status == LUM_OK) status = lum__store_open_fs(fs, "sim", &resolved, &world->store);
    if (status != LUM_OK) fail_round("the store does not open");
}

/* ------------------------------------------------------------------------------------------------------------ writing
 */

static void make_rows(struct world *world, size_t count)
{
    uint64_t first = pick(world, world->id_count), stride = pick(world, 3);
    bool is_random = pick(world, 2) == 0;
    for (size_t i = 0; i < count; i++) {
        lum_t *row = &world->fresh[i];
        *row = (lum_t){.id = is_random ? pick(world, world->id_count) : (first + i * stride) % world->id_count,
                       .timestamp = 1000 + pick(world, 1000),
                       .memory_address = lum__splitmix64(&world->random),
                       .position_x = (int32_t)pick(world, 2000) - 1000,
                       .position_y = (int32_t)pick(world, 100),
                       .presence = (uint8_t)pick(world, 2),
                       .structure_type = (uint8_t)pick(world, 6),
                       .is_destroyed = pick(world, 5) == 0};
        row->checksum = lum_record_checksum(row);
    }
}

static void run_transaction(struct world *world)
{
    uint64_t size = pick(world, 10);
    size_t count = size == 0   ? 0
                   : size == 1 ? 1500 + pick(world, 200)
                   : size == 2 ? pick(world, 14000)
                               : 1 + pick(world, 60);
    bool is_labelled = pick(world, 4) == 0, is_kept = pick(world, 5) != 0;
    lum_txn_options options = LUM_TXN_OPTIONS_INIT;
    lum_txn *txn = NULL;
    char label[32];
    size_t number = world->transaction_count++;
    snprintf(label, sizeof label, "t%zu", number);
    if (is_labelled) options.label = label;
    make_rows(world, count);
    if (lum_txn_begin(world->store, &options, &txn) != LUM_OK) {
        fail_round("cannot begin");
        return;
    }
    world->transactions[number].id = lum_txn_id(txn);
    world->transactions[number].row_count = count;
    world->transactions[number].is_committed = is_kept;
    world->transactions[number].is_labelled = is_labelled;
    for (size_t done = 0; done < count;) {
        size_t part = 1 + pick(world, 3000);
        if (part > count - done) part = count - done;
        if (lum_txn_append(txn, world->fresh + done, part) != LUM_OK) fail_round("cannot append");
        done += part;
    }
    lum_status status = !is_kept              ? lum_txn_rollback(txn)
                        : pick(world, 2) == 0 ? lum_txn_commit_async(txn, NULL)
                                              : lum_txn_commit(txn, NULL);
    if (status != LUM_OK) fail_round("cannot end a transaction");
    if (!is_kept) return;
    memcpy(world->rows + world->count, world->fresh, count * sizeof *world->fresh);
    world->count += count;
}

/* ------------------------------------------------------------------------------------------------------------ reading
 */

static bool is_newest(const struct world *world, size_t index)
{
    for (size_t i = index + 1; i < world->count; i++) {
        if (world->rows[i].id == world->rows[index].id) return false;
    }
    return true;
}

static bool is_selected(const lum_scan_options *options, const lum_t *row)
{
    return row->id >= options->id_min && row->id <= options->id_max && row->timestamp >= options->timestamp_min &&
           row->timestamp <= options->timestamp_max && row->position_x >= options->x_min &&
           row->position_x <= options->x_max && row->position_y >= options->y_min && row->position_y <= options->y_max;
}

static void check_scan(struct world *world)
{
    lum_scan_options options = LUM_SCAN_OPTIONS_INIT;
    lum_scan *scan = NULL;
    const lum_t *rows = NULL;
    size_t count = 0, at = 0, end = world->count;
    if (pick(world, 2) == 0) options.id_max = (options.id_min = pick(world, world->id_count)) + pick(world, 20);
    if (pick(world, 3) == 0)
        options.timestamp_max = (options.timestamp_min = 1000 + pick(world, 1000)) + pick(world, 300);
    if (pick(world, 3) == 0)
        options.x_max = (options.x_min = (int32_t)pick(world, 2000) - 1000) + (int32_t)pick(world, 300);
    if (pick(world, 4) == 0) options.y_max = (options.y_min = (int32_t)pick(world, 100)) + (int32_t)pick(world, 30);
    options.latest = world->count < 30000 && pick(world, 3) == 0;
    lum_status status = lum_scan_open(world->store, &options, &scan);
    while (status == LUM_OK && failure == NULL && (status = lum_scan_next_rows(scan, &rows, &count)) == LUM_OK) {
        for (size_t i = 0; i < count && failure == NULL; i++, at++) {
            while (at < end && (!is_selected(&options, &world->rows[at]) ||
                                (options.latest && (world->rows[at].is_destroyed || !is_newest(world, at)))))
                at++;
            if (at == end || memcmp(&rows[i], &world->rows[at], sizeof rows[i]) != 0)
                fail_round("a scan gives another row");
        }
    }
    if (failure == NULL && status != LUM_END) fail_round("a scan fails");
    for (; at < end && failure == NULL; at++) {
        if (is_selected(&options, &world->rows[at]) &&
            !(options.latest && (world->rows[at].is_destroyed || !is_newest(world, at))))
            fail_round("a scan gives too little");
    }
    lum_scan_close(scan);
}

struct versions {
    struct world *world;
    uint64_t id;
    size_t at;
};

static lum_status check_version(void *context, const lum_version_data *version)
{
    struct versions *versions = context;
    const struct world *world = versions->world;
    while (versions->at < world->count && world->rows[versions->at].id != versions->id) versions->at++;
    if (versions->at == world->count ||
        memcmp(&world->rows[versions->at], &version->record, sizeof version->record) != 0 ||
        version->position != versions->at)
        fail_round("lum_where gives another version");
    versions->at++;
    return LUM_OK;
}

static void check_id(struct world *world)
{
    uint64_t id = pick(world, world->id_count + 2);
    const lum_t *newest = NULL;
    lum_t found;
    for (size_t i = 0; i < world->count; i++) newest = world->rows[i].id == id ? &world->rows[i] : newest;
    lum_status expected = newest != NULL && !newest->is_destroyed ? LUM_OK : LUM_ERR_NOT_FOUND;
    if (lum_get(world->store, id, &found) != expected) fail_round("lum_get finds what is not there, or not what is");
    if (expected == LUM_OK && memcmp(&found, newest, sizeof found) != 0) fail_round("lum_get gives another version");
    struct versions versions = {.world = world, .id = id};
    if (lum_where(world->store, id, check_version, &versions) != (newest != NULL ? LUM_OK : LUM_ERR_NOT_FOUND))
        fail_round("lum_where");
    while (versions.at < world->count && world->rows[versions.at].id != id) versions.at++;
    if (newest != NULL && versions.at != world->count) fail_round("lum_where gives too few versions");
}

static void check_transactions(struct world *world)
{
    for (size_t i = 0; i < world->transaction_count; i++) {
        enum lum_outcome outcome;
        lum_receipt receipt = LUM_RECEIPT_INIT;
        char label[32];
        snprintf(label, sizeof label, "t%zu", i);
        if (lum_txn_outcome(world->store, world->transactions[i].id, &outcome) != LUM_OK ||
            outcome != (world->transactions[i].is_committed ? LUM_OUTCOME_COMMITTED : LUM_OUTCOME_NOT_COMMITTED))
            fail_round("lum_txn_outcome");
        bool is_there = lum_label_outcome(world->store, label, &receipt) == LUM_OK;
        if (is_there != (world->transactions[i].is_labelled && world->transactions[i].is_committed))
            fail_round("a label is lost, or there");
        if (is_there && (receipt.lum_count != world->transactions[i].row_count ||
                         receipt.transaction_id != world->transactions[i].id))
            fail_round("a label tells another transaction");
    }
}

/* A few pages more of the scans that are open; ends what is through. */
static void go_on_scanning(struct world *world, bool to_the_end)
{
    for (int i = 0; i < SCANS_MAX; i++) {
        if (world->scans[i].scan == NULL) continue;
        lum_status status = LUM_OK;
        const lum_t *rows = NULL;
        size_t count = 0;
        while (status == LUM_OK && failure == NULL) {
            status = lum_scan_next_rows(world->scans[i].scan, &rows, &count);
            if (status != LUM_OK) break;
            if (world->scans[i].at + count > world->scans[i].count ||
                memcmp(rows, world->rows + world->scans[i].at, count * sizeof *rows) != 0)
                fail_round("an older scan sees what came later, or another row");
            world->scans[i].at += count;
            if (!to_the_end && pick(world, 2) == 0) break;
        }
        if (status != LUM_OK && status != LUM_END) fail_round("an older scan fails");
        if (status == LUM_END && world->scans[i].at != world->scans[i].count)
            fail_round("an older scan gives too little");
        if (status == LUM_OK && !to_the_end) continue;
        lum_scan_close(world->scans[i].scan);
        world->scans[i].scan = NULL;
    }
}

static void begin_scan(struct world *world)
{
    for (int i = 0; i < SCANS_MAX; i++) {
        if (world->scans[i].scan != NULL) continue;
        if (lum_scan_open(world->store, NULL, &world->scans[i].scan) != LUM_OK) fail_round("cannot begin a scan");
        world->scans[i].count = world->count;
        world->scans[i].at = 0;
        return;
    }
}

/* ------------------------------------------------------------------------------------------------------------- rounds
 */

static void end_store(struct world *world, bool is_killed)
{
    go_on_scanning(world, true);
    if (is_killed && lum_sync(world->store, NULL) != LUM_OK) fail_round("cannot sync");
    if (is_killed)
        lum__sim_power_cut(world->sim, (enum lum__sim_mode)pick(world, LUM__SIM_MODES),
                           lum__splitmix64(&world->random));
    if ((lum_close(world->store) == LUM_OK) == is_killed)
        fail_round(is_killed ? "a close after the power cut" : "cannot close");
    world->store = NULL;
}

static void run_operation(struct world *world)
{
    uint64_t what = pick(world, 40);
    if (what == 0) {
        end_store(world, pick(world, 2) == 0);
        if (failure == NULL) reopen(world);
    } else if (what < 4) {
        if (lum_checkpoint(world->store) != LUM_OK) fail_round("no checkpoint");
    } else if (what < 7) {
        begin_scan(world);
    } else if (what < 12) {
        check_scan(world);
    } else if (what < 17) {
        check_id(world);
    } else if (what == 17) {
        check_transactions(world);
    } else if (world->transaction_count < TRANSACTIONS_MAX && world->count + 14000 < ROWS_MAX) {
        run_transaction(world);
    }
    if (failure == NULL) go_on_scanning(world, false);
}

static void run_round(struct world *world, uint64_t seed)
{
    lum_t *rows = world->rows, *fresh = world->fresh;
    *world = (struct world){.random = seed, .rows = rows, .fresh = fresh, .sim = lum__sim_create(seed)};
    world->id_count = pick(world, 2) == 0 ? 50 : 5000;
    world->options = (lum_options)LUM_OPTIONS_INIT;
    world->options.create = true;
    world->options.threads = 1;
    world->options.chunk_lums = 4096;
    world->options.memory_bytes_max =
        pick(world, 2) == 0 ? 2u << 20 : 64u << 20; /* a row table of 256 KiB folds often */
    world->options.wal_segment_bytes = 64 * 1024;
    world->options.checkpoint_wal_bytes = 16384 + pick(world, 262144);
    reopen(world);
    for (int i = 0; i < OPERATIONS && failure == NULL; i++) run_operation(world);
    if (failure == NULL) check_transactions(world);
    if (failure == NULL) check_scan(world);
    if (world->store != NULL) end_store(world, false);
    lum__sim_destroy(world->sim);
}

int main(int argc, char **argv)
{
    const char *rounds_text = getenv("LUM_ROUNDS"), *seed_text = getenv("LUM_SEED");
    uint64_t rounds = rounds_text != NULL ? strtoull(rounds_text, NULL, 10)
                      : argc > 1          ? strtoull(argv[1], NULL, 10)
                                          : 60;
    uint64_t seed = seed_text != NULL ? strtoull(seed_text, NULL, 10) : argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    struct world *world = calloc(1, sizeof *world);
    if (world == NULL) return 2;
    world->rows = malloc(ROWS_MAX * sizeof *world->rows);
    world->fresh = malloc(14000 * sizeof *world->fresh);
    if (world->rows == NULL || world->fresh == NULL) return 2;
    for (uint64_t i = 0; i < rounds && failure == NULL; i++, seed++) {
        run_round(world, seed);
        if (failure != NULL) printf("seed %llu: %s\n", (unsigned long long)seed, failure);
    }
    free(world->rows);
    free(world->fresh);
    free(world);
    printf("%llu rounds, %s\n", (unsigned long long)rounds, failure == NULL ? "all as the model says" : "FAILED");
    return failure == NULL ? 0 : 1;
}
