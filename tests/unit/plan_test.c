/* Proves: creation stopped anywhere leaves nothing or an empty store and never takes a foreign directory; an opening
 * gives each kind of end the verdict that recovery/README.md names; refusals keep writers out and readers in; attempts
 * are counted before they are made and cost nothing when the disk is full; a damaged checkpoint, doubtful chunks,
 * readers beside a writer and checkpoints that would go backwards are handled as said there. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/status.h"
#include "recovery/verify.h"
#include "storage/file_sim.h"
#include "storage/segment.h"
#include "storage/row_table.h"
#include "support/tiny_store.h"

static const lum_options options = {.struct_version = 1, .wal_segment_bytes = 65536, .data_segment_bytes_max = 262144};

/* A disk with an open store on it. */
struct bench {
    struct lum__sim *sim;
    struct lum__fs *fs;
    struct tiny tiny;
    struct tiny_load loads[32];
    size_t load_count;
};

static void must_at(lum_status status, int line)
{
    if (status != LUM_OK)
        fail_msg("line %d: %s: %s: %s", line, lum_status_name(status), lum__error_last()->file,
                 lum__error_last()->message);
}
#define must(call) must_at((call), __LINE__)

static void put_on_bench(struct bench *bench)
{
    memset(bench, 0, sizeof *bench);
    bench->sim = lum__sim_create(1);
    must(lum__sim_open(bench->sim, false, &bench->fs));
    must(tiny_create(&bench->tiny, bench->fs, &options));
}

static void load(struct bench *bench, uint32_t chunks, bool data_synced)
{
    bool written;
    struct tiny_load *one = &bench->loads[bench->load_count];
    *one = (struct tiny_load){
        .number = bench->load_count++, .chunk_count = chunks, .chunk_rows = 100, .data_synced = data_synced};
    must(tiny_commit(&bench->tiny, one, &written));
}

static void check_loads(struct bench *bench, size_t count)
{
    char why[256] = "";
    int64_t found = tiny_check(&bench->tiny, bench->loads, bench->load_count, why);
    if (found != (int64_t)count) fail_msg("%lld commits instead of %zu: %s", (long long)found, count, why);
}

/* The process dies; everything it wrote is on the disk. */
static void die_in_peace(struct bench *bench)
{
    lum__sim_sync_all(bench->sim);
    lum__sim_kill(bench->sim, 1);
    tiny_abandon(&bench->tiny);
    lum__fs_close(bench->fs);
    must(lum__sim_open(bench->sim, false, &bench->fs));
}

static void clear_bench(struct bench *bench)
{
    lum__fs_close(bench->fs);
    lum__sim_destroy(bench->sim);
}

static lum_status reopen(struct bench *bench) { return tiny_open(&bench->tiny, bench->fs, &options); }

static void read_state(struct bench *bench, struct lum__state *state) { must(lum__state_read(bench->fs, state)); }

/* The last chunk of the newest commit, from the open store. */
static struct lum__chunk_entry last_chunk(struct bench *bench)
{
    const struct lum__catalogue_version *version = lum__catalogue_pin(bench->tiny.parts.catalogue);
    struct lum__chunk_entry entry = version->chunks[version->chunk_count - 1];
    lum__catalogue_unpin(bench->tiny.parts.catalogue, version);
    return entry;
}

static void spoil_chunk(struct bench *bench, const struct lum__chunk_entry *chunk)
{
    char path[64];
    lum__segment_path(chunk->segment, path);
    must(lum__sim_flip_bit(bench->sim, path, (chunk->offset + 600) * 8));
}

/* Refused: a writer gets LUM_ERR_NEEDS_PERSON again and again, a reader gets `intact` commits. */
static void check_refused(struct bench *bench, char row, size_t intact)
{
    struct lum__plan_options plan_options = {.workers = 1, .memory_bytes_max = 16 << 20, .for_reading = true};
    struct lum__plan plan;
    struct lum__state state;
    assert_int_equal(reopen(bench), LUM_ERR_NEEDS_PERSON);
    read_state(bench, &state);
    assert_int_equal(state.state, LUM_STATE_FAILED);
    assert_true(strlen(state.error_details) > 10);
    uint64_t steps = lum__sim_steps(bench->sim);
    must(lum__plan_make(bench->fs, &plan_options, &plan));
    assert_int_equal(plan.decision.row, row);
    assert_int_equal(plan.decision.verdict, LUM__VERDICT_REFUSE);
    assert_true(plan.needs_recovery);
    assert_int_not_equal(plan.problem.status, LUM_OK);
    const struct lum__catalogue_version *version = lum__catalogue_pin(plan.catalogue);
    assert_int_equal(version->transaction_count, intact);
    lum__catalogue_unpin(plan.catalogue, version);
    lum__plan_fini(&plan);
    assert_int_equal(lum__sim_steps(bench->sim), steps); /* a plan changes nothing */
    uint64_t epoch = state.epoch;
    assert_int_equal(reopen(bench), LUM_ERR_NEEDS_PERSON);
    read_state(bench, &state);
    assert_int_equal(state.epoch, epoch);
    must(lum__parts_retry(bench->fs)); /* a person asks again: judged anew, the same */
    assert_int_equal(reopen(bench), LUM_ERR_NEEDS_PERSON);
}

/* -------------------------------------------------------------------------------------------------------------
 * creation */

static void creation_stopped_anywhere_leaves_nothing_or_an_empty_store(void **context)
{
    (void)context;
    bool is_finished = false;
    size_t stores = 0;
    for (uint64_t step = 1; !is_finished; step++) {
        for (int mode = 0; mode < LUM__SIM_MODES; mode++) {
            struct bench bench = {.sim = lum__sim_create(step)};
            struct lum__state state;
            must(lum__sim_open(bench.sim, false, &bench.fs));
            lum__sim_stop_at(bench.sim, step);
            struct lum__file *lock = NULL;
            is_finished = lum__store_create(bench.fs, &options, &lock) == LUM_OK;
            lum__sim_power_cut(bench.sim, (enum lum__sim_mode)mode, step);
            lum__file_close(lock);
            lum__fs_close(bench.fs);
            must(lum__sim_open(bench.sim, false, &bench.fs));
            lum_status status = lum__state_read(bench.fs, &state);
            if (is_finished) assert_int_equal(status, LUM_OK);
            if (status == LUM_OK) {
                stores++;
                must(reopen(&bench));
            } else {
                assert_int_equal(status, LUM_ERR_NOT_FOUND);
                must(tiny_create(&bench.tiny, bench.fs, &options)); /* over the remains */
            }
            check_loads(&bench, 0);
            load(&bench, 1, true);
            must(tiny_close(&bench.tiny));
            clear_bench(&bench);
        }
    }
    assert_true(stores >= LUM__SIM_MODES);
}

static void creation_needs_few_syncs(void **context)
{
    (void)context;
    struct bench bench;
    put_on_bench(&bench); /* create and first opening */
    assert_true(lum__sim_call_count(bench.sim, LUM__SIM_SYNC) <= 6);
    assert_true(lum__sim_call_count(bench.sim, LUM__SIM_SYNC_DIR) <= 6);
    must(tiny_close(&bench.tiny));
    clear_bench(&bench);
}

static void put_file(struct lum__fs *fs, const char *path, uint64_t bytes, uint8_t last)
{
    struct lum__file *file = NULL;
    must(lum__fs_open_file(fs, path, LUM__OPEN_WRITE | LUM__OPEN_CREATE, &file));
    if (bytes > 0) must(lum__file_write(file, &last, 1, bytes - 1));
    must(lum__file_close(file));
}

static void creation_takes_no_foreign_directory(void **context)
{
    (void)context;
    static const struct {
        const char *path;
        uint64_t bytes;
        uint8_t last;
        bool is_remains; /* of an interrupted creation: taken */
    } cases[] = {
        {"notes.txt", 0, 0, false},       {"STATE", 4096, 0, false},    {"checkpoint-2", 4096, 0, false},
        {"wal/2.wal", 4096, 0, false},    {"data/1.seg", 0, 0, false},  {"wal/1.wal", 8192, 1, false},
        {"checkpoint-1", 4100, 7, false}, {"wal/1.wal", 8192, 0, true}, {"checkpoint-1", 100, 7, true},
        {"STATE.tmp", 4096, 7, true},     {"LOCK", 0, 0, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct lum__sim *sim = lum__sim_create(1);
        struct lum__fs *fs = NULL;
        struct lum__file *lock = NULL;
        must(lum__sim_open(sim, false, &fs));
        must(lum__fs_mkdir(fs, "wal"));
        must(lum__fs_mkdir(fs, "data"));
        put_file(fs, cases[i].path, cases[i].bytes, cases[i].last);
        uint64_t steps = lum__sim_steps(sim);
        lum_status status = lum__store_create(fs, &options, &lock);
        if (cases[i].is_remains) {
            must(status);
        } else {
            assert_int_equal(status, LUM_ERR_EXISTS);
            assert_string_equal(lum__error_last()->file, cases[i].path);
            assert_int_equal(lum__sim_steps(sim), steps); /* and nothing was touched */
        }
        lum__file_close(lock);
        lum__fs_close(fs);
        lum__sim_destroy(sim);
    }
}

/* ------------------------------------------------------------------------------------------------------------ clean
 * ends */

static void a_clean_store_goes_on_where_it_ended(void **context)
{
    (void)context;
    struct bench bench;
    struct lum__state before, after;
    put_on_bench(&bench);
    load(&bench, 2, true);
    must(tiny_close(&bench.tiny));
    read_state(&bench, &before);
    assert_true(before.is_clean);
    assert_int_equal(before.state, LUM_STATE_NORMAL);
    must(reopen(&bench));
    read_state(&bench, &after);
    assert_false(after.is_clean); /* marked running before anything is written */
    assert_int_equal(after.epoch, before.epoch + 1);
    assert_int_equal(bench.tiny.parts.report.verdict, 'A');
    assert_false(bench.tiny.parts.report.crash_detected);
    struct lum__log_position end;
    lum__wal_position(bench.tiny.parts.writer, &end);
    assert_int_equal(end.segment, before.clean_segment);
    assert_int_equal(end.offset, before.clean_offset);
    assert_int_equal(end.sequence, before.clean_sequence);
    check_loads(&bench, 1);
    load(&bench, 1, true);
    must(tiny_close(&bench.tiny));
    must(reopen(&bench));
    check_loads(&bench, 2);
    must(tiny_close(&bench.tiny));
    clear_bench(&bench);
}

static void a_clean_close_leaves_little_log(void **context)
{
    (void)context;
    struct bench bench;
    put_on_bench(&bench);
    for (int i = 0; i < 300; i++) must(tiny_watermark(&bench.tiny));
    must(tiny_close(&bench.tiny));
    struct lum__wal_segment *segments = NULL;
    size_t count = 0;
    uint64_t bytes = 0;
    struct lum__state state;
    read_state(&bench, &state);
    must(lum__wal_list(bench.fs, state.store_id, &segments, &count, NULL, NULL));
    for (size_t i = 0; i < count; i++) bytes += segments[i].segment_bytes;
    free(segments);
    assert_true(bytes <= 16 << 20);
    must(reopen(&bench));
    must(tiny_checkpoint(&bench.tiny)); /* the older of two checkpoints is now at the end too */
    must(tiny_close(&bench.tiny));
    must(lum__wal_list(bench.fs, state.store_id, &segments, &count, NULL, NULL));
    free(segments);
    assert_in_range(count, 1, 2);
    clear_bench(&bench);
}

static void a_missing_clean_end_is_refused(void **context)
{
    (void)context;
    struct bench bench;
    uint8_t zeros[4096] = {0};
    put_on_bench(&bench);
    load(&bench, 1, true);
    struct lum__log_position end;
    must(tiny_checkpoint(&bench.tiny));
    lum__wal_position(bench.tiny.parts.writer, &end);
    must(tiny_close(&bench.tiny));
    must(lum__sim_edit(bench.sim, "wal/1.wal", end.offset, zeros, sizeof zeros)); /* the close's checkpoint record */
    check_refused(&bench, 'M', 1);
    clear_bench(&bench);
}

static void a_clean_store_with_a_foreign_segment_stays_clean(void **context)
{
    (void)context;
    struct bench bench, other;
    struct lum__state state;
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    put_on_bench(&other);
    load(&other, 1, true);
    must(lum__fs_read_all(other.fs, "data/1.seg", 1 << 24, &bytes, &byte_count));
    must(tiny_close(&other.tiny));
    clear_bench(&other);
    put_on_bench(&bench);
    must(tiny_close(&bench.tiny));
    struct lum__file *file = NULL;
    must(lum__fs_open_file(bench.fs, "data/1.seg", LUM__OPEN_WRITE | LUM__OPEN_CREATE, &file));
    must(lum__file_write(file, bytes, byte_count, 0));
    must(lum__file_close(file));
    free(bytes);
    assert_int_equal(reopen(&bench), LUM_ERR_FOREIGN);
    read_state(&bench, &state);
    assert_true(state.is_clean);
    must(lum__fs_unlink(bench.fs, "data/1.seg"));
    must(reopen(&bench));
    assert_int_equal(bench.tiny.parts.report.verdict, 'A');
    must(tiny_close(&bench.tiny));
    clear_bench(&bench);
}

/* ------------------------------------------------------------------------------------------------------------ verdicts
 */

static void a_whole_log_is_accepted(void **context)
{
    (void)context;
    struct bench bench;
    put_on_bench(&bench);
    load(&bench, 2, true);
    load(&bench, 1, false);
    struct tiny_load left = {.number = 99, .chunk_count = 1, .chunk_rows = 10};
    must(tiny_leave(&bench.tiny, &left, false));
    die_in_peace(&bench);
    must(reopen(&bench));
    const lum_recovery_data *report = &bench.tiny.parts.report;
    assert_int_equal(report->verdict, 'B');
    assert_int_equal(report->state, LUM_STATE_RECOVERED);
    assert_true(report->crash_detected);
    assert_int_equal(report->transactions_committed, 2);
    assert_int_equal(report->transactions_rolled_back, 1);
    assert_int_equal(report->chunks_verified, 3);
    assert_int_equal(report->lums_verified, 300);
    assert_int_equal(report->tail_bytes_cut, 0);
    assert_true(report->unproven_tail); /* no later record vouches for the last batch */
    assert_true(report->crash_timestamp > 0 && report->recovery_timestamp >= report->crash_timestamp);
    check_loads(&bench, 2);
    load(&bench, 1, true);
    must(tiny_close(&bench.tiny));
    clear_bench(&bench);
}

static void a_watermark_record_proves_the_tail(void **context)
{
    (void)context;
    struct bench bench;
    put_on_bench(&bench);
    load(&bench, 1, true);
    must(tiny_watermark(&bench.tiny));
    die_in_peace(&bench);
    must(reopen(&bench));
    assert_int_equal(bench.tiny.parts.report.verdict, 'B');
    assert_false(bench.tiny.parts.report.unproven_tail);
    must(tiny_close(&bench.tiny));
    clear_bench(&bench);
}

/* Where the log will go on, for spoiling what comes next. */
static struct lum__log_position log_end(struct bench *bench)
{
    struct lum__log_position end;
    lum__wal_position(bench->tiny.parts.writer, &end);
    return end;
}

static void spoil_log(struct bench *bench, const struct lum__log_position *at)
{
    char path[64];
    lum__wal_path(at->segment, path);
    must(lum__sim_flip_bit(bench->sim, path, (at->offset + 30) * 8));
}

static void a_bad_tail_is_cut_and_stays_cut(void **context)
{
    (void)context;
    struct bench bench;
    put_on_bench(&bench);
    load(&bench, 1, true);
    struct lum__log_position end = log_end(&bench);
    load(&bench, 1, true);
    die_in_peace(&bench);
    spoil_log(&bench, &end); /* the blind spot: the last synced batch, nothing behind it */
    must(reopen(&bench));
    assert_int_equal(bench.tiny.parts.report.verdict, 'T');
    assert_true(bench.tiny.parts.report.unproven_tail);
    assert_int_equal(bench.tiny.parts.report.tail_bytes_cut, 4096);
    bench.load_count = 1;
    check_loads(&bench, 1);
    load(&bench, 2, true);
    die_in_peace(&bench); /* the second crash must not see the first one's rubbish */
    must(reopen(&bench));
    assert_int_equal(bench.tiny.parts.report.verdict, 'B');
    check_loads(&bench, 2);
    must(tiny_close(&bench.tiny));
    clear_bench(&bench);
}

static void a_break_below_the_watermark_is_refused(void **context)
{
    (void)context;
    struct bench bench;
    put_on_bench(&bench);
    load(&bench, 1, true);
    struct lum__log_position end = log_end(&bench);
    load(&bench, 1, true);
    must(tiny_watermark(&bench.tiny));
    die_in_peace(&bench);
    spoil_log(&bench, &end);
    check_refused(&bench, 'W', 1);
    clear_bench(&bench);
}

static void a_lost_segment_is_refused(void **context)
{
    (void)context;
    struct bench bench;
    put_on_bench(&bench);
    while (log_end(&bench).segment == 1) must(tiny_watermark(&bench.tiny));
    load(&bench, 1, true);
    die_in_peace(&bench);
    must(lum__fs_unlink(bench.fs, "wal/2.wal"));
    check_refused(&bench, 'L', 0);
    clear_bench(&bench);
}

static void a_bad_synced_chunk_is_refused(void **context)
{
    (void)context;
    struct bench bench;
    put_on_bench(&bench);
    load(&bench, 1, true);
    load(&bench, 1, true);
    struct lum__chunk_entry chunk = last_chunk(&bench);
    die_in_peace(&bench);
    spoil_chunk(&bench, &chunk);
    /* a reader is not kept waiting for chunks that were synced: it verifies them when it reads them */
    assert_int_equal(reopen(&bench), LUM_ERR_NEEDS_PERSON);
    assert_int_equal(bench.tiny.parts.report.verdict, 'S');
    assert_string_equal(lum__error_last()->file, "data/1.seg");
    assert_int_not_equal(lum__error_last()->offset, LUM_NO_OFFSET);
    lum_verify_report report;
    assert_int_equal(lum__verify(bench.fs, 1, NULL, NULL, &report), LUM_ERR_CORRUPT);
    assert_int_equal(report.error_count, 1);
    clear_bench(&bench);
}

static void a_bad_chunk_below_the_watermark_is_refused(void **context)
{
    (void)context;
    struct bench bench;
    put_on_bench(&bench);
    load(&bench, 1, false);
    struct lum__chunk_entry chunk = last_chunk(&bench);
    must(tiny_watermark(&bench.tiny)); /* syncs the data, then the log */
    die_in_peace(&bench);
    spoil_chunk(&bench, &chunk);
    check_refused(&bench, 'D', 1);
    clear_bench(&bench);
}

static void a_bad_unsynced_chunk_cuts_its_commit_and_all_behind(void **context)
{
    (void)context;
    struct bench bench;
    put_on_bench(&bench);
    load(&bench, 1, false);
    load(&bench, 2, false);
    struct lum__chunk_entry chunk = last_chunk(&bench);
    load(&bench, 1, false);
    die_in_peace(&bench);
    spoil_chunk(&bench, &chunk);
    lum_verify_report verify_report;
    must(lum__verify(bench.fs, 1, NULL, NULL, &verify_report)); /* what recovery cuts is no damage */
    must(reopen(&bench));
    assert_int_equal(bench.tiny.parts.report.verdict, 'K');
    assert_int_equal(bench.tiny.parts.report.transactions_committed, 1);
    assert_int_equal(bench.tiny.parts.report.transactions_rolled_back, 2);
    assert_true(bench.tiny.parts.report.tail_bytes_cut > 0);
    bench.load_count = 1;
    check_loads(&bench, 1);
    load(&bench, 3, true);
    die_in_peace(&bench);
    must(reopen(&bench));
    check_loads(&bench, 2);
    must(tiny_close(&bench.tiny));
    must(lum__verify(bench.fs, 1, NULL, NULL, &verify_report));
    clear_bench(&bench);
}

static void a_commit_that_fits_no_chunks_is_refused(void **context)
{
    (void)context;
    struct bench bench;
    put_on_bench(&bench);
    load(&bench, 1, true);
    struct lum__wal_record record = {.type = LUM__WAL_COMMIT, .transaction_id = 77 + (2ull << 40), .count = 5};
    record.commit.chunk_count = 1;
    record.commit.lum_count = 5;
    must(lum__wal_reserve(bench.tiny.parts.writer, 0));
    assert_true(lum__wal_append(bench.tiny.parts.writer, &record));
    must(lum__wal_write(bench.tiny.parts.writer));
    must(lum__wal_sync(bench.tiny.parts.writer));
    die_in_peace(&bench);
    check_refused(&bench, 'X', 1);
    clear_bench(&bench);
}

static void append(struct bench *bench, struct lum__wal_record record)
{
    must(lum__wal_reserve(bench->tiny.parts.writer, 0));
    assert_true(lum__wal_append(bench->tiny.parts.writer, &record));
    must(lum__wal_write(bench->tiny.parts.writer));
    must(lum__wal_sync(bench->tiny.parts.writer));
}

/* Rows in the log and a commit that says something else of them, each record intact. */
static void rows_that_do_not_fit_their_commit_are_refused(void **context)
{
    (void)context;
    uint64_t id = 77 + (2ull << 40);
    lum_t row;
    tiny_row(9, 1, &row);
    struct lum__wal_record pages = {.type = LUM__WAL_PAGES, .transaction_id = id, .count = 1};
    pages.pages.rows = &row;
    pages.pages.row_count = 1;
    pages.pages.digest = lum__rows_digest(0, &row, 1);
    struct lum__wal_record chunk = {.type = LUM__WAL_CHUNK, .transaction_id = id, .count = 1};
    chunk.chunk = (struct lum__chunk_entry){.segment = 1, .offset = 4096, .byte_count = 4096, .row_count = 1, .transaction_id = id};
    for (int wrong = 0; wrong <= 5; wrong++) {
        struct bench bench;
        struct lum__wal_record commit = {.type = LUM__WAL_COMMIT, .transaction_id = id, .count = 1};
        commit.commit.lum_count = 1;
        commit.commit.digest = pages.pages.digest;
        if (wrong == 1) commit.count = commit.commit.lum_count = 2;
        if (wrong == 2) commit.commit.digest++;
        if (wrong == 3) commit.commit.chunk_count = 1;
        put_on_bench(&bench);
        load(&bench, 1, true);
        append(&bench, pages);
        if (wrong == 4) append(&bench, pages);
        if (wrong == 5) append(&bench, chunk);
        append(&bench, commit);
        die_in_peace(&bench);
        if (wrong > 0) {
            check_refused(&bench, 'X', 1);
        } else { /* nothing is */
            must(reopen(&bench));
            const struct lum__catalogue_version *version = lum__catalogue_pin(bench.tiny.parts.catalogue);
            assert_int_equal(version->committed_count, 2);
            assert_int_equal(version->lum_count, 101);
            assert_int_equal(version->unfolded_count, 0); /* recovery's checkpoint has folded it */
            lum__catalogue_unpin(bench.tiny.parts.catalogue, version);
            must(tiny_close(&bench.tiny));
        }
        clear_bench(&bench);
    }
}

/* Rows without a commit mean nothing; with one, an older checkpoint and the log give them back when the newest is damaged. */
static void small_transactions_survive_a_damaged_checkpoint(void **context)
{
    (void)context;
    struct bench bench;
    struct tiny_load small = {.number = 1, .chunk_count = 1, .chunk_rows = 30, .data_synced = true};
    bool written;
    lum_verify_report report;
    put_on_bench(&bench);
    load(&bench, 1, true);
    must(tiny_checkpoint(&bench.tiny));
    for (uint64_t i = 0; i < 3; i++) {
        small.number = i + 1;
        bench.loads[bench.load_count++] = small;
        must(tiny_commit_small(&bench.tiny, &small, &written));
    }
    must(tiny_checkpoint(&bench.tiny)); /* folds them */
    die_in_peace(&bench);
    must(lum__sim_flip_bit(bench.sim, "checkpoint-3", 8 * 4200));
    must(reopen(&bench));
    const struct lum__catalogue_version *version = lum__catalogue_pin(bench.tiny.parts.catalogue);
    assert_int_equal(version->committed_count, 4);
    assert_int_equal(version->lum_count, 190);
    assert_int_equal(version->chunk_count, 2); /* a run's again */
    lum__catalogue_unpin(bench.tiny.parts.catalogue, version);
    for (int i = 1; i <= 3; i++) {
        char label[8];
        snprintf(label, sizeof label, "t%d", i);
        assert_non_null(lum__catalogue_find_label(bench.tiny.parts.catalogue, label));
    }
    must(tiny_close(&bench.tiny));
    must(lum__verify(bench.fs, 1, NULL, NULL, &report));
    clear_bench(&bench);
}

static void a_later_versions_record_is_not_touched(void **context)
{
    (void)context;
    struct bench bench;
    struct lum__state before, after;
    uint8_t header[96], id_and_header[16 + 92];
    put_on_bench(&bench);
    struct lum__log_position end = log_end(&bench);
    must(tiny_watermark(&bench.tiny));
    read_state(&bench, &before);
    die_in_peace(&bench);
    struct lum__file *file = NULL;
    size_t bytes = 0;
    must(lum__fs_open_file(bench.fs, "wal/1.wal", LUM__OPEN_READ, &file));
    must(lum__file_read(file, header, sizeof header, end.offset, &bytes));
    must(lum__file_close(file));
    header[4] = 2; /* version */
    memcpy(id_and_header, before.store_id, 16);
    memcpy(id_and_header + 16, header, 92);
    lum__put_u32(header + 92, lum__crc32c(0, id_and_header, sizeof id_and_header));
    must(lum__sim_edit(bench.sim, "wal/1.wal", end.offset, header, sizeof header));
    for (int i = 0; i < 5; i++) assert_int_equal(reopen(&bench), LUM_ERR_UNSUPPORTED);
    read_state(&bench, &after);
    assert_int_equal(after.attempts, 0); /* asking costs nothing: the later version may still open it */
    clear_bench(&bench);
}

/* --------------------------------------------------------------------------------------------------------------
 * attempts */

static void attempts_are_counted_before_they_are_made(void **context)
{
    (void)context;
    struct bench bench;
    struct lum__state state;
    put_on_bench(&bench);
    load(&bench, 1, true);
    die_in_peace(&bench);
    for (uint32_t attempt = 1; attempt <= 3; attempt++) { /* each dies right after it has begun to read */
        struct lum__sim_fault fault = {.call = LUM__SIM_READ, .nth = 1, .os_errno = EIO, .path_prefix = "wal/"};
        lum__sim_arm(bench.sim, &fault);
        assert_int_equal(reopen(&bench), LUM_ERR_IO);
        read_state(&bench, &state);
        assert_int_equal(state.attempts, attempt);
    }
    assert_int_equal(reopen(&bench), LUM_ERR_NEEDS_PERSON); /* although it would work now */
    read_state(&bench, &state);
    assert_int_equal(state.state, LUM_STATE_FAILED);
    must(lum__parts_retry(bench.fs));
    must(reopen(&bench));
    check_loads(&bench, 1);
    read_state(&bench, &state);
    assert_int_equal(state.attempts, 0);
    assert_int_equal(state.state, LUM_STATE_RECOVERED);
    assert_int_equal(state.recovery_count, 1);
    must(tiny_close(&bench.tiny));
    clear_bench(&bench);
}

static void a_full_disk_costs_no_attempt(void **context)
{
    (void)context;
    struct bench bench;
    struct lum__state state;
    put_on_bench(&bench);
    load(&bench, 3, true);
    die_in_peace(&bench);
    uint64_t used = lum__sim_used_bytes(bench.sim);
    size_t tried = 0;
    for (uint64_t room = 0; room < 90000; room += 4096) {
        lum__sim_set_limit(bench.sim, used + room);
        lum_status status = reopen(&bench);
        if (status == LUM_OK) break;
        assert_int_equal(status, LUM_ERR_NO_SPACE);
        tried++;
        read_state(&bench, &state);
        assert_int_equal(state.attempts, 0);
    }
    assert_true(tried > 10);
    lum__sim_set_limit(bench.sim, 0);
    if (bench.tiny.parts.catalogue == NULL) must(reopen(&bench));
    check_loads(&bench, 1);
    must(tiny_close(&bench.tiny));
    clear_bench(&bench);
}

static void recovery_only_where_it_is_wanted(void **context)
{
    (void)context;
    struct bench bench;
    lum_options without = options;
    put_on_bench(&bench);
    load(&bench, 1, true);
    die_in_peace(&bench);
    without.no_recovery = true;
    struct lum__state before, after;
    read_state(&bench, &before);
    assert_int_equal(tiny_open(&bench.tiny, bench.fs, &without), LUM_ERR_NEEDS_RECOVERY);
    read_state(&bench, &after);
    assert_int_equal(after.epoch, before.epoch);
    assert_int_equal(after.timestamp, before.timestamp);
    clear_bench(&bench);
}

/* ------------------------------------------------------------------------------------------------ doubt, checkpoints,
 * readers */

static void unsynced_chunks_are_rewritten_where_direct_reads_are_impossible(void **context)
{
    (void)context;
    for (int direct = 0; direct < 2; direct++) {
        struct bench bench;
        put_on_bench(&bench);
        load(&bench, 1, true);
        struct lum__chunk_entry synced = last_chunk(&bench);
        load(&bench, 1, false);
        struct lum__chunk_entry unsynced = last_chunk(&bench);
        lum__sim_kill(bench.sim, 1); /* the page cache lives on */
        tiny_abandon(&bench.tiny);
        lum__fs_close(bench.fs);
        lum__sim_set_direct(bench.sim, direct == 1);
        must(lum__sim_open(bench.sim, false, &bench.fs));
        must(reopen(&bench));
        struct lum__chunk_entry after = last_chunk(&bench);
        bool is_moved = after.segment != unsynced.segment || after.offset != unsynced.offset;
        assert_int_equal(is_moved, direct == 0);
        assert_int_equal(after.lum_digest, unsynced.lum_digest);
        const struct lum__catalogue_version *version = lum__catalogue_pin(bench.tiny.parts.catalogue);
        assert_int_equal(version->chunks[0].offset, synced.offset);
        assert_int_equal(version->chunks[0].segment, synced.segment);
        lum__catalogue_unpin(bench.tiny.parts.catalogue, version);
        lum__sim_power_cut(bench.sim, LUM__SIM_DROPPED, 1); /* recovery made them durable */
        tiny_abandon(&bench.tiny);
        lum__fs_close(bench.fs);
        must(lum__sim_open(bench.sim, false, &bench.fs));
        must(reopen(&bench));
        check_loads(&bench, 2);
        must(tiny_close(&bench.tiny));
        lum_verify_report report;
        must(lum__verify(bench.fs, 1, NULL, NULL, &report)); /* the log still names the old place: no contradiction */
        clear_bench(&bench);
    }
}

/* Recovery moves a chunk (above) and folds a small transaction, and is stopped at each of its steps: the next one reads the old log, which names the
 * chunk's old place. */
static void a_fold_keeps_off_the_old_places_of_moved_chunks(void **context)
{
    (void)context;
    bool is_over = false;
    for (uint64_t step = 1; !is_over; step++) {
        struct bench bench;
        bool written;
        put_on_bench(&bench);
        load(&bench, 1, true);
        struct tiny_load *small = &bench.loads[bench.load_count++];
        *small = (struct tiny_load){.number = 1, .chunk_count = 1, .chunk_rows = 30, .data_synced = true};
        must(tiny_commit_small(&bench.tiny, small, &written));
        load(&bench, 1, false);
        lum__sim_kill(bench.sim, 1); /* the page cache lives on */
        tiny_abandon(&bench.tiny);
        lum__fs_close(bench.fs);
        lum__sim_set_direct(bench.sim, false);
        must(lum__sim_open(bench.sim, false, &bench.fs));
        lum__sim_stop_at(bench.sim, step);
        is_over = reopen(&bench) == LUM_OK && !lum__sim_is_stopped(bench.sim);
        lum__sim_kill(bench.sim, step);
        if (bench.tiny.lock != NULL) tiny_abandon(&bench.tiny);
        lum__fs_close(bench.fs);
        must(lum__sim_open(bench.sim, false, &bench.fs));
        must(reopen(&bench));
        check_loads(&bench, 3);
        must(tiny_close(&bench.tiny));
        lum_verify_report report;
        must(lum__verify(bench.fs, 1, NULL, NULL, &report));
        clear_bench(&bench);
        assert_true(step < 1000);
    }
}

static void a_damaged_checkpoint_is_passed_over_and_replaced(void **context)
{
    (void)context;
    for (int is_clean = 0; is_clean < 2; is_clean++) {
        struct bench bench;
        lum_verify_report report;
        char path[64];
        put_on_bench(&bench);
        load(&bench, 2, true);
        must(tiny_checkpoint(&bench.tiny));
        load(&bench, 1, true);
        must(tiny_checkpoint(&bench.tiny));
        load(&bench, 1, true);
        snprintf(path, sizeof path, "checkpoint-%d", 3 + is_clean);
        if (is_clean)
            must(tiny_close(&bench.tiny));
        else
            die_in_peace(&bench);
        must(lum__sim_flip_bit(bench.sim, path, 8 * 4200));
        assert_int_equal(lum__verify(bench.fs, 1, NULL, NULL, &report), LUM_ERR_CORRUPT);
        assert_string_equal(lum__error_last()->file, path);
        must(reopen(&bench));
        assert_non_null(strstr(bench.tiny.parts.report.error_details, path));
        assert_int_equal(bench.tiny.parts.checkpoint_number, 4 + is_clean); /* a new one at once, under a new number */
        check_loads(&bench, 3);
        must(tiny_close(&bench.tiny));
        must(lum__verify(bench.fs, 1, NULL, NULL, &report));
        clear_bench(&bench);
    }
}

static void a_checkpoint_never_goes_backwards(void **context)
{
    (void)context;
    struct bench bench;
    put_on_bench(&bench);
    load(&bench, 1, true);
    must(tiny_checkpoint(&bench.tiny));
    uint64_t number = bench.tiny.parts.checkpoint_number;
    struct lum__catalogue *right = bench.tiny.parts.catalogue, *empty = NULL;
    must(lum__catalogue_create(&empty));
    bench.tiny.parts.catalogue = empty;
    assert_int_equal(tiny_checkpoint(&bench.tiny), LUM_ERR_ARGUMENT);
    bench.tiny.parts.catalogue = right;
    lum__catalogue_destroy(empty);
    assert_int_equal(bench.tiny.parts.checkpoint_number, number);
    must(tiny_checkpoint(&bench.tiny));
    must(tiny_close(&bench.tiny));
    must(reopen(&bench)); /* nor across openings */
    assert_int_equal(bench.tiny.parts.checkpoint_lum_count, 100);
    must(tiny_close(&bench.tiny));
    clear_bench(&bench);
}

static void readers_beside_a_writer(void **context)
{
    (void)context;
    struct bench bench;
    struct lum__fs *reader_fs = NULL;
    struct lum__file *reader_lock = NULL;
    bool writer_alive = false;
    put_on_bench(&bench);
    load(&bench, 1, true);
    must(lum__sim_open(bench.sim, true, &reader_fs));
    must(lum__store_lock_shared(reader_fs, &reader_lock, &writer_alive));
    assert_true(writer_alive);
    load(&bench, 1, true);
    struct lum__plan_options plan_options = {
        .workers = 1, .memory_bytes_max = 16 << 20, .for_reading = true, .writer_alive = true};
    struct lum__plan plan;
    must(lum__plan_make(reader_fs, &plan_options, &plan));
    assert_int_equal(plan.commit_count, 2);
    assert_false(plan.needs_recovery);
    assert_false(plan.report.crash_detected);
    lum__plan_fini(&plan);
    for (int i = 0; i < 5; i++) must(tiny_checkpoint(&bench.tiny));
    struct lum__file *oldest = NULL; /* nothing that the reader may be reading has gone */
    must(lum__fs_open_file(reader_fs, "checkpoint-1", LUM__OPEN_READ, &oldest));
    lum__file_close(oldest);
    lum_verify_report report;
    must(lum__verify(reader_fs, 1, NULL, NULL, &report));
    lum__file_close(reader_lock);
    must(tiny_checkpoint(&bench.tiny));
    assert_int_equal(lum__fs_open_file(reader_fs, "checkpoint-1", LUM__OPEN_READ, &oldest), LUM_ERR_NOT_FOUND);
    lum__fs_close(reader_fs);
    must(tiny_close(&bench.tiny));
    clear_bench(&bench);
}

static void an_interrupted_replacement_is_removed(void **context)
{
    (void)context;
    struct bench bench;
    struct lum__file *file = NULL;
    put_on_bench(&bench);
    must(tiny_close(&bench.tiny));
    put_file(bench.fs, "STATE.tmp", 10, 1);
    put_file(bench.fs, "checkpoint-9.tmp", 10, 1);
    lum_verify_report report;
    must(lum__verify(bench.fs, 1, NULL, NULL, &report));
    must(reopen(&bench));
    assert_int_equal(lum__fs_open_file(bench.fs, "checkpoint-9.tmp", LUM__OPEN_READ, &file), LUM_ERR_NOT_FOUND);
    must(tiny_close(&bench.tiny));
    clear_bench(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creation_stopped_anywhere_leaves_nothing_or_an_empty_store),
        cmocka_unit_test(creation_needs_few_syncs),
        cmocka_unit_test(creation_takes_no_foreign_directory),
        cmocka_unit_test(a_clean_store_goes_on_where_it_ended),
        cmocka_unit_test(a_clean_close_leaves_little_log),
        cmocka_unit_test(a_missing_clean_end_is_refused),
        cmocka_unit_test(a_clean_store_with_a_foreign_segment_stays_clean),
        cmocka_unit_test(a_whole_log_is_accepted),
        cmocka_unit_test(a_watermark_record_proves_the_tail),
        cmocka_unit_test(a_bad_tail_is_cut_and_stays_cut),
        cmocka_unit_test(a_break_below_the_watermark_is_refused),
        cmocka_unit_test(a_lost_segment_is_refused),
        cmocka_unit_test(a_bad_synced_chunk_is_refused),
        cmocka_unit_test(a_bad_chunk_below_the_watermark_is_refused),
        cmocka_unit_test(a_bad_unsynced_chunk_cuts_its_commit_and_all_behind),
        cmocka_unit_test(a_commit_that_fits_no_chunks_is_refused),
        cmocka_unit_test(rows_that_do_not_fit_their_commit_are_refused),
        cmocka_unit_test(small_transactions_survive_a_damaged_checkpoint),
        cmocka_unit_test(a_later_versions_record_is_not_touched),
        cmocka_unit_test(attempts_are_counted_before_they_are_made),
        cmocka_unit_test(a_full_disk_costs_no_attempt),
        cmocka_unit_test(recovery_only_where_it_is_wanted),
        cmocka_unit_test(unsynced_chunks_are_rewritten_where_direct_reads_are_impossible),
        cmocka_unit_test(a_fold_keeps_off_the_old_places_of_moved_chunks),
        cmocka_unit_test(a_damaged_checkpoint_is_passed_over_and_replaced),
        cmocka_unit_test(a_checkpoint_never_goes_backwards),
        cmocka_unit_test(readers_beside_a_writer),
        cmocka_unit_test(an_interrupted_replacement_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
