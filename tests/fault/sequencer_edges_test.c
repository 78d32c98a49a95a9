/* Edges of the sequencer at which something acknowledged could be lost: a commit that stands alone behind a synced batch, a log without
 * room in the middle of a batch, a sync that fails while the store is being closed. Each on the simulated disk. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#include "api/store.h"
#include "base/clock.h"
#include "storage/file_sim.h"
#include "storage/segment.h"
#include "support/rows.h"

static lum_options small_options(enum lum_sync_mode mode, uint32_t interval_ms)
{
    lum_options options = LUM_OPTIONS_INIT;
    options.create = true;
    options.threads = 1;
    options.chunk_lums = 4096;
    options.memory_bytes_max = 64u << 20;
    options.wal_segment_bytes = 65536;
    options.data_segment_bytes_max = 64u << 20;
    options.sync_mode = mode;
    options.sync_interval_ms = interval_ms;
    return options;
}

static lum_store *open_on(struct lum__sim *sim, const lum_options *options)
{
    lum_options resolved;
    struct lum__fs *fs = NULL;
    lum_store *store = NULL;
    assert_int_equal(lum__options_resolve(options, &resolved), LUM_OK);
    assert_int_equal(lum__sim_open(sim, false, &fs), LUM_OK);
    assert_int_equal(lum__store_open_fs(fs, "sim", &resolved, &store), LUM_OK);
    return store;
}

static void sleep_ms(long ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

static lum_load_report load_rows(lum_store *store, uint64_t first, uint64_t count)
{
    struct lum_test_source context;
    lum_source source;
    lum_load_report report = LUM_LOAD_REPORT_INIT;
    lum_test_source_init(&context, first, count, &source);
    assert_int_equal(lum_load(store, &source, NULL, &report), LUM_OK);
    return report;
}

static uint64_t rows_there(lum_store *store)
{
    uint64_t rows = 0;
    assert_int_equal(lum_test_read_prefix(store, &rows), LUM_OK);
    return rows;
}

/* An empty transaction is one record: the commit. Nothing else follows it, and everything before it is durable. */
static void a_lone_commit_is_synced_within_the_interval(void **state)
{
    (void)state;
    struct lum__sim *sim = lum__sim_create(1);
    lum_options options = small_options(LUM_SYNC_INTERVAL, 60);
    lum_store *store = open_on(sim, &options);
    assert_int_equal(lum_sync(store, NULL), LUM_OK);
    lum_load_report report = load_rows(store, 0, 0);
    sleep_ms(400);
    lum_info_data info = LUM_INFO_INIT;
    assert_int_equal(lum_info(store, &info), LUM_OK);
    assert_true(info.durable_sequence >= report.commit_sequence);
    lum__sim_power_cut(sim, LUM__SIM_DROPPED, 1);
    (void)lum_close(store);
    store = open_on(sim, &options);
    assert_int_equal(lum_info(store, &info), LUM_OK);
    assert_int_equal(info.transaction_count, 1);
    assert_int_equal(lum_close(store), LUM_OK);
    lum__sim_destroy(sim);
}

static lum_receipt commit_row(lum_store *store, uint64_t number)
{
    lum_txn *txn = NULL;
    lum_t row;
    lum_receipt receipt = LUM_RECEIPT_INIT;
    lum_test_row(number, &row);
    assert_int_equal(lum_txn_begin(store, NULL, &txn), LUM_OK);
    assert_int_equal(lum_txn_append(txn, &row, 1), LUM_OK);
    assert_int_equal(lum_txn_commit(txn, &receipt), LUM_OK);
    return receipt;
}

/* After what time a commit is durable, if shortly before its time is up a chunk comes, for which nobody waits and which is gathered with others. */
static uint64_t synced_after_ns(uint32_t interval_ms)
{
    struct lum__sim *sim = lum__sim_create(3);
    lum_options options = small_options(LUM_SYNC_INTERVAL, interval_ms);
    lum_store *store = open_on(sim, &options);
    lum_txn *txn = NULL;
    assert_int_equal(lum_txn_begin(store, NULL, &txn), LUM_OK);
    assert_int_equal(lum_sync(store, NULL), LUM_OK);
    lum_receipt receipt = commit_row(store, 0);
    uint64_t begin = lum__clock_monotonic_ns();
    sleep_ms(interval_ms - 15);
    for (uint64_t i = 1; i <= options.chunk_lums; i++) {
        lum_t row;
        lum_test_row(i, &row);
        assert_int_equal(lum_txn_append(txn, &row, 1), LUM_OK);
    }
    while (lum__sequencer_durable(store->sequencer) < receipt.sequence) sleep_ms(1);
    uint64_t after = lum__clock_monotonic_ns() - begin;
    assert_int_equal(lum_txn_rollback(txn), LUM_OK);
    assert_int_equal(lum_close(store), LUM_OK);
    lum__sim_destroy(sim);
    return after;
}

static void gathered_chunks_do_not_delay_the_interval(void **state)
{
    (void)state;
    enum { INTERVAL_MS = 100, GATHER_MS = 50 };
    uint64_t best = UINT64_MAX; /* a busy machine only makes it later */
    for (int i = 0; i < 20 && best > (INTERVAL_MS + GATHER_MS / 4) * UINT64_C(1000000); i++) {
        uint64_t after = synced_after_ns(INTERVAL_MS);
        if (after < best) best = after;
    }
    assert_true(best <= (INTERVAL_MS + GATHER_MS / 4) * UINT64_C(1000000));
}

struct full_disk {
    lum_store *store;
    uint64_t acknowledged, durable; /* sequences; durable: when the disk was found full */
    uint64_t times;
};

static bool on_full(void *context, const lum_full_data *full)
{
    struct full_disk *disk = context;
    (void)full;
    disk->durable = lum__sequencer_durable(disk->store->sequencer);
    disk->times++;
    return false;
}

/* While the log waits for room, for as long as that takes, what was answered before is durable already, though its interval is not over. */
static void a_full_disk_does_not_delay_the_interval(void **state)
{
    (void)state;
    struct lum__sim *sim = lum__sim_create(4);
    struct full_disk disk = {.store = NULL};
    lum_options options = small_options(LUM_SYNC_INTERVAL, 3600000);
    options.on_full = on_full;
    options.on_full_context = &disk;
    disk.store = open_on(sim, &options);
    struct lum__sim_fault fault = {.call = LUM__SIM_CREATE, .nth = 1, .os_errno = ENOSPC, .is_lasting = true, .path_prefix = "wal/"};
    lum__sim_arm(sim, &fault);
    for (uint64_t i = 0; disk.times == 0 && i < 1000; i++) {
        lum_txn *txn = NULL;
        lum_t row;
        lum_receipt receipt = LUM_RECEIPT_INIT;
        lum_test_row(i, &row);
        assert_int_equal(lum_txn_begin(disk.store, NULL, &txn), LUM_OK);
        assert_int_equal(lum_txn_append(txn, &row, 1), LUM_OK);
        if (lum_txn_commit(txn, &receipt) == LUM_OK) disk.acknowledged = receipt.sequence;
    }
    assert_int_equal(disk.times, 1);
    assert_true(disk.acknowledged > 0 && disk.durable >= disk.acknowledged);
    lum__sim_disarm(sim);
    assert_int_equal(lum_close(disk.store), LUM_OK);
    lum__sim_destroy(sim);
}

/* In mode commit it is synced at once; the watermark record behind it is what proves that to a later recovery, so that damage of the
 * commit's record is a loss to be told and no tail to be cut. */
static void a_lone_commit_is_covered_by_a_watermark(void **state)
{
    (void)state;
    struct lum__sim *sim = lum__sim_create(2);
    lum_options options = small_options(LUM_SYNC_COMMIT, 0);
    lum_store *store = open_on(sim, &options);
    lum_load_report report = load_rows(store, 0, 0);
    sleep_ms(400);
    lum_info_data info = LUM_INFO_INIT;
    assert_int_equal(lum_info(store, &info), LUM_OK);
    assert_true(info.last_sequence > report.commit_sequence);
    lum__sim_power_cut(sim, LUM__SIM_DROPPED, 2);
    (void)lum_close(store);
    store = open_on(sim, &options);
    lum_recovery_data recovery = LUM_RECOVERY_INIT;
    assert_int_equal(lum_recovery_info(store, &recovery), LUM_OK);
    assert_false(recovery.unproven_tail);
    assert_int_equal(lum_close(store), LUM_OK);
    lum__sim_destroy(sim);
}

/* ----------------------------------------------------------------------------------------- a log without room, mid-batch */

enum { LABEL_BYTES = 255 };

static struct lum__request *chunk_request(uint64_t transaction_id, uint64_t ordinal)
{
    struct lum__request *request = calloc(1, sizeof *request);
    assert_non_null(request);
    request->kind = LUM__REQUEST_CHUNK;
    request->is_heap = true;
    request->transaction_id = transaction_id;
    request->chunk = (struct lum__chunk_entry){.transaction_id = transaction_id, .segment = 1, .offset = 4096, .byte_count = 4096,
                                               .row_count = 1, .ordinal = ordinal};
    return request;
}

/* One batch: chunks of a transaction that stays open, which nobody waits for, then two empty commits. Some number of chunks makes the
 * batch run over exactly at the last commit, whose turn it then is to write what was gathered before it. */
static void run_full_log(uint64_t seed, enum lum_sync_mode mode, uint32_t chunk_count)
{
    struct lum__sim *sim = lum__sim_create(seed);
    lum_options options = small_options(mode, 100000);
    lum_store *store = open_on(sim, &options);
    struct lum__sim_fault fault = {.call = LUM__SIM_WRITE, .nth = 1, .os_errno = ENOSPC, .is_lasting = true, .path_prefix = "wal/"};
    lum__sim_arm(sim, &fault);
    char label[LABEL_BYTES + 1];
    memset(label, 'x', LABEL_BYTES);
    label[LABEL_BYTES] = 0;
    struct lum__ticket tickets[2] = {{0}, {0}};
    struct lum__request commits[2];
    uint64_t open_id = lum__sequencer_transaction_id(store->sequencer);
    for (uint32_t i = 0; i < chunk_count; i++) lum__sequencer_push(store->sequencer, chunk_request(open_id, i));
    for (int i = 0; i < 2; i++) {
        commits[i] = (struct lum__request){.kind = LUM__REQUEST_COMMIT,
                                           .transaction_id = lum__sequencer_transaction_id(store->sequencer),
                                           .label = label,
                                           .ticket = &tickets[i]};
    }
    for (int i = 0; i < 2; i++) lum__sequencer_push(store->sequencer, &commits[i]);
    uint64_t acknowledged = 0;
    for (int i = 0; i < 2; i++) {
        assert_true(lum__ticket_wait(&tickets[i], UINT64_MAX));
        acknowledged += tickets[i].status == LUM_OK;
    }
    assert_int_equal(acknowledged, 0); /* nothing was written */
    assert_int_equal(lum__store_check_writable(store), LUM_ERR_POISONED); /* a log that failed half-way takes nothing any more */
    lum__sim_kill(sim, seed);
    (void)lum_close(store);
    store = open_on(sim, &options);
    lum_info_data info = LUM_INFO_INIT;
    assert_int_equal(lum_info(store, &info), LUM_OK);
    assert_true(info.transaction_count >= acknowledged);
    assert_int_equal(lum_close(store), LUM_OK);
    lum__sim_destroy(sim);
}

static void a_log_without_room_inside_a_batch_acknowledges_nothing(void **state)
{
    (void)state;
    /* a batch of 64 KiB - 8 KiB holds this many chunk records and nearly one commit */
    struct lum__wal_record chunk = {.type = LUM__WAL_CHUNK}, commit = {.type = LUM__WAL_COMMIT};
    commit.commit.label_bytes = LABEL_BYTES;
    uint32_t room = 65536 - 8192, chunk_bytes = (uint32_t)lum__wal_record_bytes(&chunk), commit_bytes = (uint32_t)lum__wal_record_bytes(&commit);
    uint32_t most = (room - commit_bytes) / chunk_bytes;
    for (uint32_t count = most - 4; count <= most + 1; count++) {
        run_full_log(count, LUM_SYNC_COMMIT, count);
        run_full_log(count, LUM_SYNC_NONE, count);
    }
}

/* ------------------------------------------------------------------------------------------------- a sync fails in close */

/* The data sync that is due when the store is closed fails. Its second try would succeed, as on Linux, without the data: the store must
 * not be marked clean then. */
static void a_failed_sync_at_close_is_final(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct lum__sim *sim = lum__sim_create(seed);
        lum_options options = small_options(LUM_SYNC_INTERVAL, 300);
        lum_store *store = open_on(sim, &options);
        sleep_ms(150);
        (void)load_rows(store, 0, 3000); /* within the interval: not synced */
        sleep_ms(200);                   /* the last sync is longer ago now, the idle thread's own one is not due yet */
        struct lum__sim_fault fault = {.call = LUM__SIM_SYNC, .nth = 1, .os_errno = EIO, .path_prefix = "data/"};
        lum__sim_arm(sim, &fault);
        assert_int_not_equal(lum_close(store), LUM_OK);
        lum__sim_power_cut(sim, LUM__SIM_DROPPED, seed);
        store = open_on(sim, &options);
        uint64_t rows = rows_there(store);
        assert_true(rows == 0 || rows == 3000);
        lum_recovery_data recovery = LUM_RECOVERY_INIT;
        assert_int_equal(lum_recovery_info(store, &recovery), LUM_OK);
        assert_true(recovery.crash_detected);
        assert_int_equal(lum_close(store), LUM_OK);
        lum__sim_destroy(sim);
    }
}

/* ------------------------------------------------------------------------- a rename that takes effect and fails all the same */

/* Would the next chunk be written over one that the store's newest checkpoint, as the next opening will find it, names? */
static bool is_free_place_in_checkpoint(lum_store *store, struct lum__sim *sim)
{
    struct lum__file *file = NULL;
    uint64_t segment = 0, offset = 0;
    lum_options options = small_options(LUM_SYNC_COMMIT, 0);
    options.read_only = true;
    struct lum__sim *copy = lum__sim_clone(sim, 1);
    lum_store *reader = open_on(copy, &options);
    const struct lum__catalogue_version *version = lum__catalogue_pin(reader->catalogue);
    bool is_taken = false;
    assert_true(version->chunk_count > 0 && version->unfolded_count == 0); /* folded: the checkpoint is there */
    assert_int_equal(lum__segments_reserve(store->parts.segments, 4096, &segment, &offset, &file), LUM_OK);
    for (size_t i = 0; i < version->chunk_count; i++) {
        const struct lum__chunk_entry *chunk = &version->chunks[i];
        is_taken |= chunk->segment == segment && chunk->offset < offset + 4096 && offset < chunk->offset + chunk->byte_count;
    }
    lum__catalogue_unpin(reader->catalogue, version);
    assert_int_equal(lum_close(reader), LUM_OK);
    lum__sim_destroy(copy);
    return is_taken;
}

/* The checkpoint is there under its name, and names the chunks of its fold, though its maker was told that the rename failed. Those chunks must
 * stay as they are, nothing may be answered as if all were well, and the next opening has every row once. */
static void a_checkpoint_that_is_there_though_its_rename_failed(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 3; seed++) {
        struct lum__sim *sim = lum__sim_create(seed);
        lum_options options = small_options(LUM_SYNC_COMMIT, 0);
        lum_store *store = open_on(sim, &options);
        for (uint64_t i = 0; i < 50; i++) (void)commit_row(store, i);
        struct lum__sim_fault fault = {.call = LUM__SIM_RENAME_DONE, .nth = 1, .os_errno = EIO, .path_prefix = "checkpoint-"};
        lum__sim_arm(sim, &fault);
        assert_int_equal(lum_checkpoint(store), LUM_ERR_IO);
        assert_false(is_free_place_in_checkpoint(store, sim));
        assert_int_equal(rows_there(store), 50);
        lum_txn *txn = NULL;
        assert_int_equal(lum_txn_begin(store, NULL, &txn), LUM_ERR_POISONED);
        assert_int_not_equal(lum_close(store), LUM_OK);
        if (seed > 0) lum__sim_power_cut(sim, seed == 1 ? LUM__SIM_KEPT : LUM__SIM_DROPPED, seed);
        store = open_on(sim, &options);
        assert_int_equal(rows_there(store), 50);
        (void)load_rows(store, 50, 9000); /* over what is free now */
        (void)commit_row(store, 9050);
        assert_int_equal(lum_close(store), LUM_OK);
        store = open_on(sim, &options);
        assert_int_equal(rows_there(store), 9051);
        assert_int_equal(lum_close(store), LUM_OK);
        lum__sim_destroy(sim);
    }
}

/* The same for STATE, at every replacement of it from creation to close: what was acknowledged is there, and the store opens. */
static void a_state_that_is_there_though_its_rename_failed(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth <= 6; nth++) {
        struct lum__sim *sim = lum__sim_create(nth);
        lum_options options = small_options(LUM_SYNC_COMMIT, 0), resolved;
        uint64_t acknowledged = 0, failed = 0;
        struct lum__sim_fault fault = {.call = LUM__SIM_RENAME_DONE, .nth = nth, .os_errno = EIO, .path_prefix = "STATE"};
        lum__sim_arm(sim, &fault);
        assert_int_equal(lum__options_resolve(&options, &resolved), LUM_OK);
        for (int opening = 0; opening < 5; opening++) {
            struct lum__fs *fs = NULL;
            lum_store *store = NULL;
            assert_int_equal(lum__sim_open(sim, false, &fs), LUM_OK);
            lum_status status = lum__store_open_fs(fs, "sim", &resolved, &store);
            if (status == LUM_OK) {
                assert_int_equal(rows_there(store), acknowledged);
                (void)commit_row(store, acknowledged++);
                status = lum_close(store);
            }
            failed += status != LUM_OK;
        }
        assert_int_equal(failed, 1); /* it is told, once, and the next opening goes on */
        assert_true(acknowledged >= 4);
        lum__sim_destroy(sim);
    }
}

/* ---------------------------------------------------------------------------------------------------- long metadata */

struct texts {
    const char *mapping, *sources;
    uint64_t seen;
};

static lum_status compare_texts(void *context, const lum_transaction_data *transaction)
{
    struct texts *texts = context;
    size_t kept = strlen(transaction->mapping) - 3; /* cut, "..." */
    assert_true(kept > 16000);
    assert_memory_equal(transaction->mapping, texts->mapping, kept);
    assert_string_equal(transaction->mapping + kept, "...");
    assert_string_equal(transaction->source_names, texts->sources);
    texts->seen++;
    return LUM_OK;
}

/* Commits that say as much of themselves as they may, in the smallest log segments: each takes most of one. They come back from the log,
 * and from a checkpoint. */
static void the_longest_metadata_fits_the_smallest_segment(void **state)
{
    (void)state;
    static char mapping[40001], sources[16001];
    memset(mapping, 'm', sizeof mapping - 1);
    memset(sources, 's', sizeof sources - 1);
    struct lum__sim *sim = lum__sim_create(5);
    lum_options options = small_options(LUM_SYNC_COMMIT, 0);
    lum_store *store = open_on(sim, &options);
    struct lum_test_source context;
    lum_source source;
    lum_load_report report = LUM_LOAD_REPORT_INIT;
    lum_load_options load = LUM_LOAD_OPTIONS_INIT;
    load.mapping = mapping;
    load.source_names = sources;
    load.commit_every = 100;
    lum_test_source_init(&context, 0, 1000, &source);
    assert_int_equal(lum_load(store, &source, &load, &report), LUM_OK);
    assert_int_equal(report.commit_count, 10);
    lum__sim_kill(sim, 1);
    (void)lum_close(store);
    for (int round = 0; round < 2; round++) { /* from the log, then from the checkpoint that closing took */
        store = open_on(sim, &options);
        struct texts texts = {.mapping = mapping, .sources = sources};
        assert_int_equal(lum_transactions(store, compare_texts, &texts), LUM_OK);
        assert_int_equal(texts.seen, 10);
        assert_int_equal(rows_there(store), 1000);
        assert_int_equal(lum_close(store), LUM_OK);
    }
    lum__sim_destroy(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lone_commit_is_synced_within_the_interval),
        cmocka_unit_test(gathered_chunks_do_not_delay_the_interval),
        cmocka_unit_test(a_full_disk_does_not_delay_the_interval),
        cmocka_unit_test(a_lone_commit_is_covered_by_a_watermark),
        cmocka_unit_test(a_log_without_room_inside_a_batch_acknowledges_nothing),
        cmocka_unit_test(a_failed_sync_at_close_is_final),
        cmocka_unit_test(a_checkpoint_that_is_there_though_its_rename_failed),
        cmocka_unit_test(a_state_that_is_there_though_its_rename_failed),
        cmocka_unit_test(the_longest_metadata_fits_the_smallest_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
