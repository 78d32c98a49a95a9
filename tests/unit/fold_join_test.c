/* Folds that take the small chunks before them along: many checkpoints of few rows leave few chunks; what they replace
 * stays where it is as long as the older kept checkpoint, or a pinned version, leads to it; damage stays where it is
 * and stops nobody. On a simulated disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#include "api/store.h"
#include "base/random.h"
#include "recovery/copy_store.h"
#include "recovery/salvage_private.h"
#include "recovery/verify.h"
#include "storage/file_sim.h"
#include "support/rows.h"

enum { CHUNKS_MAX = 20 };

static lum_options options_of_all(void)
{
    lum_options options = LUM_OPTIONS_INIT, resolved;
    options.create = true;
    options.threads = 1;
    options.chunk_lums = 4096;
    options.memory_bytes_max = 64u << 20;
    options.wal_segment_bytes = 1 << 20;
    options.data_segment_bytes_max = 64u << 20;
    assert_int_equal(lum__options_resolve(&options, &resolved), LUM_OK);
    return resolved;
}

static lum_store *open_on(struct lum__sim *sim)
{
    lum_options options = options_of_all();
    struct lum__fs *fs = NULL;
    lum_store *store = NULL;
    assert_int_equal(lum__sim_open(sim, false, &fs), LUM_OK);
    lum_status status = lum__store_open_fs(fs, "sim", &options, &store);
    if (status != LUM_OK) print_error("open: %s: %s\n", lum_last_error()->file, lum_last_error()->message);
    assert_int_equal(status, LUM_OK);
    return store;
}

static lum_receipt put(lum_store *store, uint64_t *next, uint64_t count, const char *label)
{
    lum_txn_options options = LUM_TXN_OPTIONS_INIT;
    lum_txn *txn = NULL;
    lum_receipt receipt = LUM_RECEIPT_INIT;
    options.label = label;
    assert_int_equal(lum_txn_begin(store, &options, &txn), LUM_OK);
    for (uint64_t i = 0; i < count; i++) {
        lum_t row;
        lum_test_row((*next)++, &row);
        assert_int_equal(lum_txn_append(txn, &row, 1), LUM_OK);
    }
    assert_int_equal(lum_txn_commit(txn, &receipt), LUM_OK);
    return receipt;
}

static void expect_rows(lum_store *store, uint64_t count)
{
    uint64_t rows = 0;
    lum_status status = lum_test_read_prefix(store, &rows);
    if (status != LUM_OK)
        print_error("read: %s: %s (row %llu)\n", lum_last_error()->file, lum_last_error()->message,
                    (unsigned long long)rows);
    assert_int_equal(status, LUM_OK);
    assert_int_equal(rows, count);
}

static size_t chunk_count(lum_store *store)
{
    const struct lum__catalogue_version *version = lum__catalogue_pin(store->catalogue);
    size_t count = version->chunk_count;
    lum__catalogue_unpin(store->catalogue, version);
    return count;
}

static void verify(struct lum__sim *sim)
{
    struct lum__fs *fs = NULL;
    lum_verify_report report = LUM_VERIFY_REPORT_INIT;
    assert_int_equal(lum__sim_open(sim, true, &fs), LUM_OK);
    lum_status status = lum__verify(fs, 1, NULL, NULL, &report);
    if (status != LUM_OK) print_error("verify: %s: %s\n", lum_last_error()->file, lum_last_error()->message);
    assert_int_equal(status, LUM_OK);
    lum__fs_close(fs);
}

static void many_checkpoints_of_few_rows_leave_few_chunks(void **state)
{
    (void)state;
    enum { CHECKPOINTS = 400 };
    static lum_receipt receipts[CHECKPOINTS];
    struct lum__sim *sim = lum__sim_create(1);
    lum_store *store = open_on(sim);
    uint64_t next = 0, random = 1;
    for (int i = 0; i < CHECKPOINTS; i++) {
        char label[16];
        snprintf(label, sizeof label, "l%d", i);
        receipts[i] = put(store, &next, 1 + lum__splitmix64(&random) % 40, i % 50 == 7 ? label : NULL);
        if (i % 10 == 9) {
            assert_int_equal(lum_close(store), LUM_OK);
            store = open_on(sim);
        } else {
            assert_int_equal(lum_checkpoint(store), LUM_OK);
        }
        assert_true(chunk_count(store) <=
                    CHUNKS_MAX); /* 40 rows to 16,000: at most ten halvings, and a few of nearly the same size */
    }
    expect_rows(store, next);
    for (int i = 0; i < CHECKPOINTS; i++) {
        enum lum_outcome outcome;
        assert_int_equal(lum_txn_outcome(store, receipts[i].transaction_id, &outcome), LUM_OK);
        assert_int_equal(outcome, LUM_OUTCOME_COMMITTED);
    }
    for (int i = 7; i < CHECKPOINTS; i += 50) {
        char label[16];
        lum_receipt found = LUM_RECEIPT_INIT;
        snprintf(label, sizeof label, "l%d", i);
        assert_int_equal(lum_label_outcome(store, label, &found), LUM_OK);
        assert_true(found.transaction_id == receipts[i].transaction_id && found.sequence == receipts[i].sequence &&
                    found.digest == receipts[i].digest);
    }
    assert_true(store->parts.replaced_count <= 2 * CHUNKS_MAX); /* given back behind the older checkpoint */
    assert_int_equal(lum_close(store), LUM_OK);
    verify(sim);
    lum__sim_destroy(sim);
}

/* Large enough chunks are left alone, and a bulk commit between is a border. */
static void only_small_chunks_of_folds_are_replaced(void **state)
{
    (void)state;
    struct lum__sim *sim = lum__sim_create(2);
    lum_store *store = open_on(sim);
    uint64_t next = 0;
    for (int i = 0; i < 30; i++) put(store, &next, 1200, NULL); /* 36,000 rows: no small chunk */
    assert_int_equal(lum_checkpoint(store), LUM_OK);
    assert_int_equal(chunk_count(store), 1);
    put(store, &next, 10, NULL);
    assert_int_equal(lum_checkpoint(store), LUM_OK);
    assert_int_equal(chunk_count(store), 2);
    struct lum_test_source context;
    lum_source source;
    lum_load_report report = LUM_LOAD_REPORT_INIT;
    lum_test_source_init(&context, next, 5, &source);
    assert_int_equal(lum_load(store, &source, NULL, &report), LUM_OK);
    next += 5;
    assert_int_equal(lum_checkpoint(store), LUM_OK);
    for (int i = 0; i < 5; i++) {
        put(store, &next, 10, NULL);
        assert_int_equal(lum_checkpoint(store), LUM_OK);
    }
    assert_true(chunk_count(store) >= 4 && chunk_count(store) <= 6); /* 36,000; 10; bulk 5; 50 in one to three */
    expect_rows(store, next);
    assert_int_equal(lum_close(store), LUM_OK);
    verify(sim);
    lum__sim_destroy(sim);
}

static bool is_replaced(lum_store *store, const struct lum__chunk_entry *chunk)
{
    for (size_t i = 0; i < store->parts.replaced_count; i++) {
        const struct lum__replaced_extent *extent = &store->parts.replaced[i];
        if (extent->segment == chunk->segment && extent->offset == chunk->offset) return true;
    }
    return false;
}

static void a_pinned_version_keeps_its_chunks(void **state)
{
    (void)state;
    struct lum__sim *sim = lum__sim_create(3);
    lum_store *store = open_on(sim);
    uint64_t next = 0;
    put(store, &next, 100, NULL);
    assert_int_equal(lum_checkpoint(store), LUM_OK);
    const struct lum__catalogue_version *pinned = lum__catalogue_pin(store->catalogue);
    struct lum__chunk_entry chunk = pinned->chunks[0];
    for (int i = 0; i < 6; i++) {
        put(store, &next, 60, NULL);
        assert_int_equal(lum_checkpoint(store), LUM_OK);
        assert_true(is_replaced(store, &chunk));
    }
    lum__catalogue_unpin(store->catalogue, pinned);
    put(store, &next, 1, NULL);
    assert_int_equal(lum_checkpoint(store), LUM_OK);
    assert_false(is_replaced(store, &chunk));
    expect_rows(store, next);
    assert_int_equal(lum_close(store), LUM_OK);
    lum__sim_destroy(sim);
}

/* A copy of the disk whose newest checkpoint is damaged: the older one and the log behind it give all rows. */
static void expect_fallback(struct lum__sim *sim, uint64_t checkpoint_number, uint64_t rows, uint64_t seed)
{
    char path[32];
    struct lum__sim *copy = lum__sim_clone(sim, seed);
    lum__sim_kill(copy, seed);
    snprintf(path, sizeof path, "checkpoint-%llu", (unsigned long long)checkpoint_number);
    assert_int_equal(lum__sim_flip_bit(copy, path, 4096 * 8 + 77), LUM_OK);
    lum_store *store = open_on(copy);
    expect_rows(store, rows);
    uint64_t next = rows;
    put(store, &next, 3, NULL);
    assert_int_equal(lum_checkpoint(store), LUM_OK);
    assert_int_equal(lum_checkpoint(store), LUM_OK);
    expect_rows(store, next);
    assert_int_equal(lum_close(store), LUM_OK);
    lum__sim_destroy(copy);
}

/* Loads between the checkpoints take every free extent that there is: none may be one that the older checkpoint names.
 */
static void the_older_checkpoint_finds_its_chunks(void **state)
{
    (void)state;
    struct lum__sim *sim = lum__sim_create(4);
    lum_store *store = open_on(sim);
    uint64_t next = 0, random = 4;
    for (int i = 0; i < 120; i++) {
        struct lum_test_source context;
        lum_source source;
        lum_load_report report = LUM_LOAD_REPORT_INIT;
        for (uint64_t n = 1 + lum__splitmix64(&random) % 3; n > 0; n--)
            put(store, &next, 1 + lum__splitmix64(&random) % 300, NULL);
        bool is_close = lum__splitmix64(&random) % 4 == 0;
        if (is_close) assert_int_equal(lum_close(store), LUM_OK);
        if (is_close)
            store = open_on(sim);
        else
            assert_int_equal(lum_checkpoint(store), LUM_OK);
        if (lum__splitmix64(&random) % 2 == 0) {
            uint64_t count = 1 + lum__splitmix64(&random) % 3000;
            lum_test_source_init(&context, next, count, &source);
            assert_int_equal(lum_load(store, &source, NULL, &report), LUM_OK);
            next += count;
        }
        if (i % 3 == 0) put(store, &next, 1 + lum__splitmix64(&random) % 20, NULL);
        uint64_t number = 0;
        lum_info_data info = LUM_INFO_INIT;
        assert_int_equal(lum_info(store, &info), LUM_OK);
        number = info.checkpoint_number;
        expect_fallback(sim, number, next, (uint64_t)i + 1);
    }
    expect_rows(store, next);
    assert_int_equal(lum_close(store), LUM_OK);
    verify(sim);
    lum__sim_destroy(sim);
}

static void a_damaged_chunk_stays_and_stops_nobody(void **state)
{
    (void)state;
    struct lum__sim *sim = lum__sim_create(5);
    lum_store *store = open_on(sim);
    uint64_t next = 0, row = 0;
    put(store, &next, 100, NULL);
    assert_int_equal(lum_checkpoint(store), LUM_OK);
    const struct lum__catalogue_version *version = lum__catalogue_pin(store->catalogue);
    uint64_t offset = version->chunks[0].offset;
    lum__catalogue_unpin(store->catalogue, version);
    assert_int_equal(lum__sim_flip_bit(sim, "data/1.seg", (offset + 2560 + 400) * 8), LUM_OK);
    for (int i = 0; i < 3; i++) {
        put(store, &next, 100, NULL);
        assert_int_equal(lum_checkpoint(store), LUM_OK);
    }
    assert_int_equal(chunk_count(store), 3); /* the damaged one; 200 rows; 100 */
    assert_int_equal(lum_test_read_prefix(store, &row), LUM_ERR_CORRUPT);
    assert_int_equal(lum_close(store), LUM_OK);
    lum__sim_destroy(sim);
}

static void a_copy_of_it_opens(void **state)
{
    (void)state;
    struct lum__sim *sim = lum__sim_create(6), *other = lum__sim_create(7);
    lum_store *store = open_on(sim);
    uint64_t next = 0;
    for (int i = 0; i < 4; i++) { /* the last one joins all into one chunk */
        put(store, &next, 50, NULL);
        assert_int_equal(lum_checkpoint(store), LUM_OK);
    }
    assert_true(store->parts.replaced_count > 0);
    struct lum__fs *from = NULL, *to = NULL;
    struct lum__copy_options options = {.workers = 1, .memory_bytes_max = 64u << 20};
    lum_backup_report report = LUM_BACKUP_REPORT_INIT;
    assert_int_equal(lum__sim_open(sim, true, &from), LUM_OK);
    assert_int_equal(lum__sim_open(other, false, &to), LUM_OK);
    assert_int_equal(lum__copy_snapshot(from, to, &options, &report), LUM_OK);
    lum__fs_close(from);
    lum__fs_close(to);
    verify(other);
    lum_store *copy = open_on(other);
    expect_rows(copy, next);
    put(copy, &next, 50, NULL);
    assert_int_equal(lum_close(copy), LUM_OK);
    verify(other);
    assert_int_equal(lum_close(store), LUM_OK);
    lum__sim_destroy(sim);
    lum__sim_destroy(other);
}

/* ---------------------------------------------------------------------------------------------------------------
 * salvage */

static lum_status remove_log(void *context, const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "wal/%s", name);
    return lum__fs_unlink(context, path);
}

/* Four checkpoints of fifty rows, closed: one run, whose chunk has replaced 100 and 50 rows, which the older checkpoint
 * names; all of them lie on the disk. */
static struct lum__sim *make_joined(uint64_t seed, uint64_t *rows, uint64_t *newest)
{
    struct lum__sim *sim = lum__sim_create(seed);
    lum_store *store = open_on(sim);
    struct lum__fs *fs = NULL;
    uint64_t numbers[4];
    size_t count = 0;
    *rows = 0;
    for (int i = 0; i < 3; i++) {
        put(store, rows, 50, NULL);
        assert_int_equal(lum_checkpoint(store), LUM_OK);
    }
    assert_int_equal(chunk_count(store), 2);
    put(store, rows, 50, NULL);
    assert_int_equal(lum_close(store), LUM_OK); /* its checkpoint joins */
    assert_int_equal(lum__sim_open(sim, true, &fs), LUM_OK);
    assert_int_equal(lum__checkpoint_list(fs, numbers, 4, &count), LUM_OK);
    lum__fs_close(fs);
    assert_int_equal(count, 2);
    *newest = numbers[0];
    return sim;
}

static uint64_t salvaged_rows(struct lum__sim *sim, bool without_log)
{
    struct lum__fs *fs = NULL;
    struct lum__salvage salvage;
    uint64_t rows = 0;
    assert_int_equal(lum__sim_open(sim, false, &fs), LUM_OK);
    if (without_log) assert_int_equal(lum__fs_list(fs, "wal", remove_log, fs), LUM_OK);
    assert_int_equal(lum__salvage_open(fs, false, &salvage), LUM_OK);
    for (size_t i = 0; i < salvage.transaction_count; i++) {
        const struct lum__salvage_transaction *transaction = &salvage.transactions[i];
        for (size_t j = transaction->chunk_first; j < transaction->chunk_end; j++) rows += salvage.chunks[j].row_count;
        rows += transaction->row_count;
    }
    lum__salvage_close(&salvage);
    lum__fs_close(fs);
    return rows;
}

static void salvage_takes_each_row_once(void **state)
{
    (void)state;
    static const struct {
        bool newest_is_damaged, older_is_damaged, entries_are_gone, without_log;
    } cases[] = {{false, false, false, false}, {false, false, false, true}, {true, false, false, false},
                 {true, false, false, true},   {true, true, false, true},   {true, true, true, true},
                 {false, true, false, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t rows = 0, newest = 0;
        struct lum__sim *sim = make_joined(20 + i, &rows, &newest);
        uint8_t junk[128];
        memset(junk, 0xff, sizeof junk);
        for (uint64_t n = newest; n + 1 >= newest && n > 0; n--) {
            char path[32];
            (void)snprintf(path, sizeof path, "checkpoint-%llu", (unsigned long long)n);
            bool is_damaged = n == newest ? cases[i].newest_is_damaged : cases[i].older_is_damaged;
            uint64_t bytes = 0;
            if (!is_damaged || lum__sim_file_size(sim, path, &bytes) != LUM_OK) continue;
            assert_int_equal(lum__sim_flip_bit(sim, path, (bytes - 1) * 8), LUM_OK); /* of the ranges of ids */
            if (cases[i].entries_are_gone) assert_int_equal(lum__sim_edit(sim, path, 4096, junk, sizeof junk), LUM_OK);
        }
        uint64_t found = salvaged_rows(sim, cases[i].without_log);
        if (found != rows) print_error("case %zu\n", i);
        assert_int_equal(found, rows);
        lum__sim_destroy(sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_checkpoints_of_few_rows_leave_few_chunks),
        cmocka_unit_test(only_small_chunks_of_folds_are_replaced),
        cmocka_unit_test(a_pinned_version_keeps_its_chunks),
        cmocka_unit_test(the_older_checkpoint_finds_its_chunks),
        cmocka_unit_test(a_damaged_chunk_stays_and_stops_nobody),
        cmocka_unit_test(a_copy_of_it_opens),
        cmocka_unit_test(salvage_takes_each_row_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
