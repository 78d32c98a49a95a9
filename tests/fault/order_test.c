/* The order that durability rests on, proven on a real disk by the recording file table, for loads with 1 to 4 producers:
 *
 *   every chunk write of the transaction reaped -> data sync -> commit's log write -> log sync -> acknowledgement
 *
 * "A -> B" means that A was answered before B was asked. In sync mode none the test's own check fails (so it can). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#include "api/store.h"
#include "storage/file_record.h"
#include "support/directory.h"
#include "support/rows.h"

static bool begins_with(const char *path, const char *prefix) { return strncmp(path, prefix, strlen(prefix)) == 0; }

/* Where a commit record lies, from the log itself. */
struct place {
    char path[64];
    uint64_t offset;
};

static void find_commit(const char *directory, uint64_t sequence, struct place *out)
{
    lum_wal *wal = NULL;
    lum_wal_record record;
    out->path[0] = 0;
    assert_int_equal(lum_wal_open(directory, &wal), LUM_OK);
    while (lum_wal_next(wal, &record) == LUM_OK) {
        if (record.sequence != sequence) continue;
        assert_string_equal(record.type, "commit");
        snprintf(out->path, sizeof out->path, "%s", record.file);
        out->offset = record.offset;
    }
    lum_wal_close(wal);
    assert_true(out->path[0] != 0);
}

/* Is there an answered sync of a file in `folder` after `from` and before `to`? */
static bool is_synced_between(struct lum__recording *recording, const char *folder, uint64_t from, uint64_t to)
{
    for (size_t i = 0; i < lum__recording_count(recording); i++) {
        struct lum__event event = lum__recording_get(recording, i);
        if (event.kind == LUM__EVENT_SYNC && begins_with(event.path, folder) && event.status == LUM_OK && event.begin > from &&
            event.end != 0 && event.end < to) {
            return true;
        }
    }
    return false;
}

/* The transaction whose load began at event time `begun` and was acknowledged at `acknowledged`. */
static bool is_right(struct lum__recording *recording, uint64_t begun, uint64_t acknowledged, const struct place *commit)
{
    uint64_t chunk_writes = 0, chunk_writes_end = 0, log_write_begin = 0, log_write_end = 0;
    for (size_t i = 0; i < lum__recording_count(recording); i++) {
        struct lum__event event = lum__recording_get(recording, i);
        if (event.begin < begun || event.begin > acknowledged) continue;
        if (event.kind == LUM__EVENT_QUEUE_WRITE) {
            assert_true(begins_with(event.path, "data/"));
            assert_int_equal(event.moved, (int64_t)event.bytes);
            chunk_writes++;
            if (event.end > chunk_writes_end) chunk_writes_end = event.end;
        }
        if (event.kind == LUM__EVENT_WRITE && strcmp(event.path, commit->path) == 0 && commit->offset >= event.offset &&
            commit->offset < event.offset + event.bytes) {
            log_write_begin = event.begin;
            log_write_end = event.end;
        }
    }
    return chunk_writes > 0 && log_write_begin > 0 && is_synced_between(recording, "data/", chunk_writes_end, log_write_begin) &&
           is_synced_between(recording, commit->path, log_write_end, acknowledged);
}

/* Over all loads of a recording: how many were in the right order. */
static int count_right_orders(struct lum__recording *recording, const char *directory)
{
    int right = 0;
    uint64_t begun = 0;
    for (size_t i = 0; i < lum__recording_count(recording); i++) {
        struct lum__event event = lum__recording_get(recording, i);
        if (event.kind != LUM__EVENT_NOTE) continue;
        if (strcmp(event.path, "load") == 0) {
            begun = event.begin;
        } else {
            struct place commit;
            find_commit(directory, event.bytes, &commit);
            right += is_right(recording, begun, event.begin, &commit);
        }
    }
    return right;
}

struct run {
    struct lum__recording *recording;
};

static void note_commit(void *context, const lum_load_event *event)
{
    struct run *run = context;
    lum__recording_note(run->recording, "acknowledged", event->sequence);
}

/* Loads `loads` times, each one transaction, and tells how many were in the right order. */
static int count_right(uint32_t threads, enum lum_sync_mode sync_mode, int loads)
{
    char directory[256];
    lum_test_directory_make(directory, sizeof directory);
    struct run run = {.recording = lum__recording_create()};
    lum_options options = LUM_OPTIONS_INIT, resolved;
    options.create = true;
    options.threads = threads;
    options.chunk_lums = 8192;
    options.sync_mode = sync_mode;
    options.wal_segment_bytes = 64 * 1024;
    assert_int_equal(lum__options_resolve(&options, &resolved), LUM_OK);
    struct lum__fs_os_options fs_options = {.create = true};
    struct lum__fs *real = NULL, *fs = NULL;
    lum_store *store = NULL;
    assert_int_equal(lum__fs_open_os(directory, &fs_options, &real), LUM_OK);
    assert_int_equal(lum__fs_record(real, run.recording, &fs), LUM_OK);
    assert_int_equal(lum__store_open_fs(fs, directory, &resolved, &store), LUM_OK);
    for (int i = 0; i < loads; i++) {
        struct lum_test_source context;
        lum_source source;
        lum_load_options load_options = LUM_LOAD_OPTIONS_INIT;
        lum_load_report report = LUM_LOAD_REPORT_INIT;
        lum_test_source_init(&context, (uint64_t)i * 50000, 50000, &source);
        load_options.on_commit = note_commit;
        load_options.callback_context = &run;
        lum__recording_note(run.recording, "load", (uint64_t)i);
        assert_int_equal(lum_load(store, &source, &load_options, &report), LUM_OK);
    }
    assert_int_equal(lum_close(store), LUM_OK);
    int right = count_right_orders(run.recording, directory);
    lum__recording_destroy(run.recording);
    lum_test_directory_remove(directory);
    return right;
}

static void every_commit_is_in_order(void **state)
{
    (void)state;
    assert_int_equal(count_right(1, LUM_SYNC_COMMIT, 20), 20);
    assert_int_equal(count_right(2, LUM_SYNC_COMMIT, 20), 20);
    assert_int_equal(count_right(4, LUM_SYNC_COMMIT, 20), 20);
}

static void the_check_can_fail(void **state)
{
    (void)state;
    assert_true(count_right(2, LUM_SYNC_NONE, 5) < 5);
}

/* A new store: STATE gets its name only after everything else was written, synced and named. */
static void creation_ends_with_state(void **state)
{
    (void)state;
    char directory[256];
    lum_test_directory_make(directory, sizeof directory);
    struct lum__recording *recording = lum__recording_create();
    lum_options options = LUM_OPTIONS_INIT, resolved;
    options.create = true;
    assert_int_equal(lum__options_resolve(&options, &resolved), LUM_OK);
    struct lum__fs_os_options fs_options = {.create = true};
    struct lum__fs *real = NULL, *fs = NULL;
    lum_store *store = NULL;
    assert_int_equal(lum__fs_open_os(directory, &fs_options, &real), LUM_OK);
    assert_int_equal(lum__fs_record(real, recording, &fs), LUM_OK);
    assert_int_equal(lum__store_open_fs(fs, directory, &resolved, &store), LUM_OK);
    size_t named = SIZE_MAX;
    for (size_t i = 0; i < lum__recording_count(recording) && named == SIZE_MAX; i++) {
        struct lum__event event = lum__recording_get(recording, i);
        if (event.kind == LUM__EVENT_RENAME && strcmp(event.other_path, "STATE") == 0) named = i;
    }
    assert_true(named != SIZE_MAX);
    struct lum__event rename = lum__recording_get(recording, named);
    bool wal_folder = false, data_folder = false, wal_file = false, checkpoint = false, root = false;
    for (size_t i = 0; i < named; i++) {
        struct lum__event event = lum__recording_get(recording, i);
        if (event.end == 0 || event.end > rename.begin) continue;
        if (event.kind == LUM__EVENT_SYNC_DIR && strcmp(event.path, "wal") == 0) wal_folder = true;
        if (event.kind == LUM__EVENT_MKDIR && strcmp(event.path, "data") == 0) data_folder = true;
        if (event.kind == LUM__EVENT_SYNC && begins_with(event.path, "wal/")) wal_file = true;
        if (event.kind == LUM__EVENT_SYNC && begins_with(event.path, "checkpoint-1")) checkpoint = true;
        if (event.kind == LUM__EVENT_SYNC_DIR && event.path[0] == 0) root = true;
    }
    assert_true(wal_folder && data_folder && wal_file && checkpoint && root);
    assert_int_equal(lum_close(store), LUM_OK);
    lum__recording_destroy(recording);
    lum_test_directory_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_commit_is_in_order),
        cmocka_unit_test(the_check_can_fail),
        cmocka_unit_test(creation_ends_with_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
