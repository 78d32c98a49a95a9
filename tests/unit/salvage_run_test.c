/* Salvage of small transactions that are folded: the newest checkpoint is damaged where it says where their chunk lies, and nothing else names it. Their rows
 * are found on disk all the same, once, and their labels are kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "recovery/salvage.h"
#include "recovery/salvage_private.h"
#include "storage/chunk_layout.h"
#include "storage/file_sim.h"
#include "support/tiny_store.h"

enum { LOADS = 3 };
static const lum_options options = {.struct_version = 1, .wal_segment_bytes = 65536};

#define ok(call) assert_int_equal((call), LUM_OK)

static void make_store(struct lum__fs *fs)
{
    struct tiny tiny;
    ok(tiny_create(&tiny, fs, &options));
    for (uint64_t i = 0; i < LOADS; i++) {
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
    assert_int_equal(rows, 5 + 6 + 7);
    assert_int_equal(labels, LOADS);
    lum__salvage_close(&salvage);
    lum__fs_close(fs);
    lum__sim_destroy(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_run_without_its_chunk_entry_is_found_on_disk)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
