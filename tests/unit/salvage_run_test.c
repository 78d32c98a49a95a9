/* Salvage of small transactions that are folded: the newest checkpoint is damaged where it says where their chunk lies, and nothing else names it. Their rows
 * are found on disk all the same, once, and their labels are kept. And two faults at a time, in that checkpoint, in the log that has them one by one, and in the
 * chunk: what is not found is told as lost, nothing is found twice, and no label stays without its rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "recovery/salvage.h"
#include "recovery/salvage_private.h"
#include "storage/chunk_layout.h"
#include "storage/file_sim.h"
#include "support/tiny_store.h"
#include "wal/log_segment.h"

enum { LOADS = 6, ROWS = 5 + 6 + 7 + 8 + 9 + 10 };
static const lum_options options = {.struct_version = 1, .wal_segment_bytes = 65536};

#define ok(call) assert_int_equal((call), LUM_OK)

static struct lum__log_position places[LOADS]; /* where the log has each */

static void make_store(struct lum__fs *fs)
{
    struct tiny tiny;
    ok(tiny_create(&tiny, fs, &options));
    for (uint64_t i = 0; i < LOADS; i++) {
        lum__wal_position(tiny.parts.writer, &places[i]);
        struct tiny_load load = {.number = i, .chunk_count = 1, .chunk_rows = 5 + (uint32_t)i, .data_synced = true};
        bool written = false;
        ok(tiny_commit_small(&tiny, &load, &written));
    }
    ok(tiny_close(&tiny));
}

static lum_status remove_log(void *context, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "wal/%s", name);
    return lum__fs_unlink(context, path);
}

/* Only the newest checkpoint is left of what names the chunk, and that entry is gone. */
static void damage_store(struct lum__fs *fs)
{
    uint64_t numbers[8];
    size_t count = 0;
    char path[LUM__PATH_BYTES_MAX];
    uint8_t junk[LUM__CHUNK_ENTRY_BYTES];
    struct lum__file *file = NULL;
    ok(lum__checkpoint_list(fs, numbers, 8, &count));
    for (size_t i = 1; i < count; i++) {
        snprintf(path, sizeof path, "checkpoint-%llu", (unsigned long long)numbers[i]);
        ok(lum__fs_unlink(fs, path));
    }
    ok(lum__fs_list(fs, "wal", remove_log, fs));
    memset(junk, 0xff, sizeof junk);
    snprintf(path, sizeof path, "checkpoint-%llu", (unsigned long long)numbers[0]);
    ok(lum__fs_open_file(fs, path, LUM__OPEN_WRITE, &file));
    ok(lum__file_write(file, junk, sizeof junk, 4096));
    ok(lum__file_close(file));
}

static void a_run_without_its_chunk_entry_is_found_on_disk(void **state)
{
    struct lum__sim *sim = lum__sim_create(1);
    struct lum__fs *fs = NULL;
    struct lum__salvage salvage;
    uint64_t rows = 0, labels = 0;
    (void)state;
    ok(lum__sim_open(sim, false, &fs));
    make_store(fs);
    damage_store(fs);
    ok(lum__salvage_open(fs, false, &salvage));
    for (size_t i = 0; i < salvage.transaction_count; i++) {
        const struct lum__salvage_transaction *transaction = &salvage.transactions[i];
        labels += transaction->label[0] != 0;
        for (size_t j = transaction->chunk_first; j < transaction->chunk_end; j++) rows += salvage.chunks[j].row_count;
    }
    assert_int_equal(rows, ROWS);
    assert_int_equal(labels, LOADS);
    lum__salvage_close(&salvage);
    lum__fs_close(fs);
    lum__sim_destroy(sim);
}

/* ------------------------------------------------------------------------------------------------------- two faults */

enum { CHUNK_ENTRY = 1, RUN_ENTRY = 2, CHUNK = 4, FAULTS = 8 };

static void spoil(struct lum__fs *fs, const char *path, uint64_t offset, size_t byte_count)
{
    uint8_t junk[4096];
    struct lum__file *file = NULL;
    memset(junk, 0xff, sizeof junk);
    ok(lum__fs_open_file(fs, path, LUM__OPEN_WRITE, &file));
    ok(lum__file_write(file, junk, byte_count, offset));
    ok(lum__file_close(file));
}

/* hole: a transaction of which the log cannot be read; LOADS: none. */
static void damage_twice(struct lum__fs *fs, int faults, int hole)
{
    uint64_t numbers[8];
    size_t count = 0;
    char path[LUM__PATH_BYTES_MAX];
    ok(lum__checkpoint_list(fs, numbers, 8, &count));
    snprintf(path, sizeof path, "checkpoint-%llu", (unsigned long long)numbers[0]);
    if (faults & CHUNK_ENTRY) spoil(fs, path, 4096, LUM__CHUNK_ENTRY_BYTES);
    if (faults & RUN_ENTRY) spoil(fs, path, 4096 + LUM__CHUNK_ENTRY_BYTES, 64);
    if (faults & CHUNK) spoil(fs, "data/1.seg", 4096, 4096);
    if (hole == LOADS) return;
    lum__wal_path(places[hole].segment, path);
    spoil(fs, path, places[hole].offset, 4096);
}

static void count_loss(void *context, const lum_loss *loss)
{
    bool *is_unknown = context;
    if (!loss->are_lums_known) *is_unknown = true;
}

static void check_salvaged(struct lum__fs *fs, int faults, int hole)
{
    struct lum__salvage salvage;
    uint64_t rows = 0, lums_lost = 0, loss_count = 0;
    bool has_chunk = false, is_unknown = false;
    ok(lum__salvage_open(fs, false, &salvage));
    for (size_t i = 0; i < salvage.transaction_count; i++) {
        const struct lum__salvage_transaction *transaction = &salvage.transactions[i];
        rows += transaction->rows != NULL ? transaction->row_count : 0;
        for (size_t j = transaction->chunk_first; j < transaction->chunk_end; j++) rows += salvage.chunks[j].row_count;
        has_chunk |= transaction->chunk_end > transaction->chunk_first;
    }
    for (size_t i = 0; i < salvage.transaction_count && !has_chunk; i++) {
        const struct lum__salvage_transaction *transaction = &salvage.transactions[i];
        if (transaction->label[0] != 0 && transaction->rows == NULL) fail_msg("faults %d, hole %d: label %s without rows", faults, hole, transaction->label);
    }
    ok(lum__salvage_tell_losses(&salvage, count_loss, &is_unknown, &lums_lost, &loss_count));
    lum__salvage_close(&salvage);
    bool is_told = rows == ROWS || (loss_count > 0 && (is_unknown || rows + lums_lost == ROWS));
    if (rows > ROWS || !is_told)
        fail_msg("faults %d, hole %d: %llu of %d rows, %llu lost of %llu losses", faults, hole, (unsigned long long)rows, ROWS,
                 (unsigned long long)lums_lost, (unsigned long long)loss_count);
}

static void two_faults_are_told(void **state)
{
    (void)state;
    struct lum__sim *made = lum__sim_create(1);
    struct lum__fs *fs = NULL;
    ok(lum__sim_open(made, false, &fs));
    make_store(fs);
    lum__fs_close(fs);
    for (int faults = 0; faults < FAULTS; faults++) {
        if (faults == CHUNK || faults == (CHUNK | RUN_ENTRY)) continue; /* the chunk is named: reading it tells */
        for (int hole = 0; hole <= LOADS; hole++) {
            struct lum__sim *sim = lum__sim_clone(made, 1);
            ok(lum__sim_open(sim, false, &fs));
            damage_twice(fs, faults, hole);
            check_salvaged(fs, faults, hole);
            lum__fs_close(fs);
            lum__sim_destroy(sim);
        }
    }
    lum__sim_destroy(made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_without_its_chunk_entry_is_found_on_disk),
        cmocka_unit_test(two_faults_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
