/* Proves what wal/writer.h promises of a writer that is not crashed: numbering, watermarks, batches, rotation on a full
 * disk and elsewhere, recycling, resuming, death after the first failed write or sync. (Crashes: wal_power_test.c.) */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/status.h"
#include "storage/file_sim.h"
#include "storage/header.h"
#include "support/wal_script.h"
#include "wal/log_segment.h"

/* A disk, a file table on it, a script and its writer. */
struct fixture {
    struct lum__sim *sim;
    struct lum__fs *fs;
    struct wal_script script;
    struct lum__wal_writer *writer;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->sim = lum__sim_create(1);
    assert_int_equal(lum__sim_open(fixture->sim, false, &fixture->fs), LUM_OK);
    wal_script_init(&fixture->script, 1);
    assert_int_equal(wal_script_first(&fixture->script, fixture->fs, &fixture->writer), LUM_OK);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    (void)lum__wal_writer_close(fixture->writer);
    lum__fs_close(fixture->fs);
    lum__sim_destroy(fixture->sim);
    free(fixture);
    return 0;
}

static void expect_same_position(const struct lum__log_position *a, const struct lum__log_position *b)
{
    assert_int_equal(a->segment, b->segment);
    assert_int_equal(a->offset, b->offset);
    assert_int_equal(a->sequence, b->sequence);
    assert_int_equal(a->last_header_crc, b->last_header_crc);
}

/* Everything appended must come back from the beginning. */
static void expect_all_back(struct fixture *fixture)
{
    static const struct lum__log_position beginning;
    struct lum__wal_evidence end;
    assert_string_equal(wal_script_check(&fixture->script, fixture->fs, &beginning, true, &end), "");
    assert_int_equal(end.position.sequence, lum__wal_written_sequence(fixture->writer));
    struct lum__log_position position;
    lum__wal_position(fixture->writer, &position);
    expect_same_position(&end.position, &position);
}

static struct lum__wal_segment header_of(struct fixture *fixture, uint64_t number)
{
    struct lum__wal_segment segment;
    struct lum__file *file = NULL;
    lum_status status = lum__log_segment_open(fixture->fs, wal_store_id, number, LUM__OPEN_READ, &segment, &file);
    if (status != LUM_OK) fail_msg("segment %u: %s", (unsigned)number, lum__error_last()->message);
    (void)lum__file_close(file);
    return segment;
}

static size_t file_count(struct fixture *fixture)
{
    uint64_t *numbers;
    size_t count;
    assert_int_equal(lum__log_segment_numbers(fixture->fs, &numbers, &count), LUM_OK);
    free(numbers);
    return count;
}

static bool is_there(struct fixture *fixture, uint64_t number)
{
    char path[64];
    uint64_t size;
    lum__wal_path(number, path);
    return lum__sim_file_size(fixture->sim, path, &size) == LUM_OK;
}

/* Fills the current segment until nothing more fits; returns its number. */
static uint64_t fill_segment(struct fixture *fixture)
{
    struct lum__log_position position;
    lum__wal_position(fixture->writer, &position);
    struct lum__wal_record record;
    do {
        wal_make_record(lum__wal_next_sequence(fixture->writer), 1, &record);
        while (lum__wal_append(fixture->writer, &record)) {
            fixture->script.generations[record.sequence] = 1;
            wal_make_record(lum__wal_next_sequence(fixture->writer), 1, &record);
        }
        if (lum__wal_batch_bytes(fixture->writer) == 0) break;
        assert_int_equal(lum__wal_write(fixture->writer), LUM_OK);
    } while (true);
    fixture->script.appended = lum__wal_next_sequence(fixture->writer) - 1;
    return position.segment;
}

static void test_first_segment(void **state)
{
    struct fixture *fixture = *state;
    uint64_t size;
    struct lum__log_position position;
    struct lum__wal_segment segment = header_of(fixture, 1);
    assert_int_equal(segment.origin, LUM__WAL_ORIGIN_FIRST);
    assert_true(segment.first_sequence == 1 && segment.epoch == 1 && segment.segment_bytes == 32768);
    assert_int_equal(lum__sim_file_size(fixture->sim, "wal/1.wal", &size), LUM_OK);
    assert_int_equal(size, 32768);
    lum__wal_position(fixture->writer, &position);
    assert_true(position.segment == 1 && position.offset == 4096 && position.sequence == 0 &&
                position.last_header_crc == 0);
    assert_int_equal(lum__wal_next_segment(fixture->writer), 2);
}

static void test_numbers_and_watermarks(void **state)
{
    struct fixture *fixture = *state;
    struct lum__wal_writer *writer = fixture->writer;
    struct lum__wal_record record = {.type = LUM__WAL_WATERMARK};
    for (uint64_t i = 1; i <= 3; i++) {
        assert_int_equal(lum__wal_next_sequence(writer), i);
        assert_true(lum__wal_append(writer, &record));
        assert_true(record.sequence == i && record.watermark == 0 && record.timestamp > 0);
        assert_int_equal(record.offset, 4096 + (i - 1) * 96);
    }
    assert_int_equal(lum__wal_batch_bytes(writer), 3 * 96);
    assert_int_equal(lum__wal_written_sequence(writer), 0);
    assert_int_equal(lum__wal_write(writer), LUM_OK);
    assert_int_equal(lum__wal_batch_bytes(writer), 0);
    assert_int_equal(lum__wal_written_sequence(writer), 3);
    assert_int_equal(lum__wal_durable_sequence(writer), 0);
    assert_true(lum__wal_append(writer, &record));
    assert_int_equal(record.watermark, 0); /* 1-3 are written, not durable */
    assert_int_equal(record.offset, 8192);
    assert_int_equal(lum__wal_sync(writer), LUM_OK);
    assert_int_equal(lum__wal_durable_sequence(writer), 3); /* not what is still being built */
    assert_true(lum__wal_append(writer, &record));
    assert_true(record.sequence == 5 && record.watermark == 3);
    uint64_t syncs = lum__wal_sync_count(writer);
    assert_int_equal(lum__wal_sync(writer), LUM_OK); /* nothing new was written: no call */
    assert_int_equal(lum__wal_sync_count(writer), syncs);
    assert_int_equal(lum__wal_write(writer), LUM_OK);
    assert_int_equal(lum__wal_write(writer), LUM_OK); /* empty: nothing happens */
    assert_int_equal(lum__wal_bytes_written(writer), 8192);
}

static void test_full_batch_is_refused_unchanged(void **state)
{
    struct fixture *fixture = *state;
    struct lum__wal_record record = {.type = LUM__WAL_BEGIN, .transaction_id = 1};
    uint32_t count = 0;
    while (lum__wal_append(fixture->writer, &record)) count++;
    assert_int_equal(count, 12288 / 96);
    struct lum__wal_record before = record;
    uint64_t next = lum__wal_next_sequence(fixture->writer);
    assert_false(lum__wal_append(fixture->writer, &record));
    assert_memory_equal(&record, &before, sizeof record);
    assert_int_equal(lum__wal_next_sequence(fixture->writer), next);
    assert_int_equal(lum__wal_write(fixture->writer), LUM_OK);
    assert_int_equal(lum__wal_written_sequence(fixture->writer), count);
}

static void test_rotation(void **state)
{
    struct fixture *fixture = *state;
    fill_segment(fixture);
    struct lum__log_position end;
    lum__wal_position(fixture->writer, &end);
    assert_int_equal(end.offset, 32768 - 4096); /* all but the seal's room was used */
    uint64_t last = lum__wal_written_sequence(fixture->writer);
    assert_int_equal(lum__wal_reserve(fixture->writer, 1), LUM_OK);
    fixture->script.appended = last + 1;
    assert_int_equal(lum__wal_written_sequence(fixture->writer), last + 1); /* the seal */
    assert_int_equal(lum__wal_durable_sequence(fixture->writer), last + 1); /* which was synced */
    struct lum__wal_segment first = header_of(fixture, 1);
    struct lum__wal_segment second = header_of(fixture, 2);
    assert_int_equal(second.origin, LUM__WAL_ORIGIN_ROTATION);
    assert_int_not_equal(second.salt, first.salt);
    assert_true(second.previous_number == 1 && second.previous_end_offset == 32768 &&
                second.previous_sequence == last + 1);
    assert_true(second.first_sequence == last + 2);
    assert_int_equal(wal_script_run(&fixture->script, fixture->writer, 1000), LUM_OK);
    lum__wal_position(fixture->writer, &end);
    assert_true(end.segment > 3);
    if (fixture->script.older.segment == 0) expect_all_back(fixture);
}

static void test_reserve_leaves_no_gap(void **state)
{
    struct fixture *fixture = *state;
    struct lum__log_position position;
    assert_int_equal(wal_script_batch(&fixture->script, fixture->writer, 1, false), LUM_OK);
    for (int i = 0; i < 3; i++) assert_int_equal(lum__wal_reserve(fixture->writer, 12288), LUM_OK);
    lum__wal_position(fixture->writer, &position);
    assert_true(position.segment == 1 && position.offset == 8192); /* room was there: nothing happened */
    assert_int_equal(wal_script_batch(&fixture->script, fixture->writer, 1, false), LUM_OK);
    assert_int_equal(wal_script_batch(&fixture->script, fixture->writer, 1, false), LUM_OK);
    assert_int_equal(lum__wal_reserve(fixture->writer, 12288),
                     LUM_OK); /* 16,384 + 12,288 = the seal's block: it still fits */
    lum__wal_position(fixture->writer, &position);
    assert_true(position.segment == 1 && position.offset == 16384);
    assert_int_equal(wal_script_batch(&fixture->script, fixture->writer, 1, false), LUM_OK);
    assert_int_equal(lum__wal_reserve(fixture->writer, 8192), LUM_OK);
    lum__wal_position(fixture->writer, &position);
    assert_int_equal(position.segment, 1);
    assert_int_equal(lum__wal_reserve(fixture->writer, 12288), LUM_OK); /* only the larger one does not fit */
    fixture->script.appended = lum__wal_written_sequence(fixture->writer);
    lum__wal_position(fixture->writer, &position);
    assert_true(position.segment == 2 && position.offset == 4096);
    expect_all_back(fixture);
}

static void test_full_disk_in_rotation(void **state)
{
    struct fixture *fixture = *state;
    static const enum lum__sim_call calls[] = {LUM__SIM_CREATE, LUM__SIM_ALLOCATE, LUM__SIM_WRITE};
    for (size_t i = 0; i < 3; i++) {
        for (uint64_t nth = 1; nth <= (calls[i] == LUM__SIM_WRITE ? 2 : 1); nth++) { /* zeros, header */
            fill_segment(fixture);
            struct lum__sim_fault fault = {.call = calls[i], .nth = nth, .os_errno = ENOSPC, .is_lasting = true};
            struct lum__log_position before, after;
            lum__wal_position(fixture->writer, &before);
            size_t files = file_count(fixture);
            uint64_t next = lum__wal_next_sequence(fixture->writer);
            lum__sim_arm(fixture->sim, &fault);
            for (int attempt = 0; attempt < 3; attempt++) {
                assert_int_equal(lum__wal_reserve(fixture->writer, 0), LUM_ERR_NO_SPACE);
                assert_int_equal(lum__error_last()->os_errno, ENOSPC); /* cleaning up did not hide the cause */
                assert_int_equal(lum__wal_next_sequence(fixture->writer), next);
                lum__wal_position(fixture->writer, &after);
                expect_same_position(&before, &after);
                assert_int_equal(file_count(fixture), files);
                if (calls[i] == LUM__SIM_WRITE && nth == 2) { /* lasting from the second on: arm it anew */
                    lum__sim_disarm(fixture->sim);
                    lum__sim_arm(fixture->sim, &fault);
                }
            }
            lum__sim_disarm(fixture->sim);
            assert_int_equal(lum__wal_sync(fixture->writer), LUM_OK); /* what was written before is not in doubt */
            assert_int_equal(lum__wal_reserve(fixture->writer, 0), LUM_OK);
            fixture->script.appended = lum__wal_written_sequence(fixture->writer);
        }
    }
    expect_all_back(fixture);
}

static void test_no_space_by_limit_then_room(void **state)
{
    struct fixture *fixture = *state;
    fill_segment(fixture);
    lum__sim_set_limit(fixture->sim, lum__sim_used_bytes(fixture->sim) + 8192);
    uint64_t used = lum__sim_used_bytes(fixture->sim);
    assert_int_equal(lum__wal_reserve(fixture->writer, 0), LUM_ERR_NO_SPACE);
    assert_int_equal(lum__sim_used_bytes(fixture->sim), used); /* the attempt gave its space back */
    lum__sim_set_limit(fixture->sim, 0);
    assert_int_equal(wal_script_batch(&fixture->script, fixture->writer, 5, true), LUM_OK);
    expect_all_back(fixture);
}

static void expect_dead(struct fixture *fixture)
{
    struct lum__wal_record record = {.type = LUM__WAL_WATERMARK};
    uint64_t steps = lum__sim_steps(fixture->sim);
    assert_false(lum__wal_append(fixture->writer, &record));
    assert_int_equal(lum__wal_write(fixture->writer), LUM_ERR_POISONED);
    assert_int_equal(lum__wal_sync(fixture->writer), LUM_ERR_POISONED);
    assert_int_equal(lum__wal_reserve(fixture->writer, 0), LUM_ERR_POISONED);
    assert_int_equal(lum__wal_recycle(fixture->writer, 1, true), LUM_ERR_POISONED);
    assert_int_equal(lum__error_last()->os_errno, EIO);    /* the first cause is told */
    assert_int_equal(lum__sim_steps(fixture->sim), steps); /* the disk was not touched again */
}

static void test_failed_write_kills(void **state)
{
    struct fixture *fixture = *state;
    struct lum__sim_fault fault = {.call = LUM__SIM_WRITE, .nth = 1, .os_errno = EIO};
    assert_int_equal(wal_script_batch(&fixture->script, fixture->writer, 5, true), LUM_OK);
    lum__sim_arm(fixture->sim, &fault);
    assert_int_equal(wal_script_batch(&fixture->script, fixture->writer, 5, true), LUM_ERR_IO);
    assert_int_equal(lum__wal_durable_sequence(fixture->writer), 5);
    assert_int_equal(lum__wal_written_sequence(fixture->writer), 5);
    expect_dead(fixture);
}

static void test_failed_sync_kills(void **state)
{
    struct fixture *fixture = *state;
    struct lum__sim_fault fault = {.call = LUM__SIM_SYNC, .nth = 1, .os_errno = EIO};
    lum__sim_arm(fixture->sim, &fault);
    assert_int_equal(wal_script_batch(&fixture->script, fixture->writer, 5, true), LUM_ERR_SYNC);
    assert_int_equal(lum__wal_durable_sequence(fixture->writer), 0);
    expect_dead(fixture);
}

static void test_failed_seal_kills(void **state)
{
    struct fixture *fixture = *state;
    for (uint64_t nth = 1; nth <= 2; nth++) { /* sync of the successor, of the seal */
        struct lum__sim_fault fault = {.call = LUM__SIM_SYNC, .nth = nth, .os_errno = EIO};
        fill_segment(fixture);
        lum__sim_arm(fixture->sim, &fault);
        assert_int_equal(lum__wal_reserve(fixture->writer, 0), LUM_ERR_SYNC);
        expect_dead(fixture);
        tear_down(state);
        set_up(state);
        fixture = *state;
    }
}

static void test_recycling(void **state)
{
    struct fixture *fixture = *state;
    struct lum__wal_writer *writer = fixture->writer;
    for (int i = 0; i < 4; i++) { /* segments 1-4 full, now in 5 */
        fill_segment(fixture);
        assert_int_equal(lum__wal_reserve(writer, 0), LUM_OK);
    }
    fixture->script.appended = lum__wal_written_sequence(writer);
    uint64_t creates = lum__sim_call_count(fixture->sim, LUM__SIM_CREATE);
    struct lum__log_position from = {.segment = 5, .offset = 4096, .sequence = lum__wal_written_sequence(writer)};
    uint32_t old_salt = header_of(fixture, 1).salt;
    assert_int_equal(lum__wal_recycle(writer, 4, true), LUM_OK);
    assert_true(is_there(fixture, 1) && !is_there(fixture, 2) && !is_there(fixture, 3) && is_there(fixture, 4));
    assert_int_equal(lum__wal_recycle(writer, 5, true), LUM_OK); /* again: still one spare */
    assert_true(is_there(fixture, 1) && !is_there(fixture, 4));
    fill_segment(fixture);
    assert_int_equal(lum__wal_reserve(writer, 0), LUM_OK);
    fixture->script.appended = lum__wal_written_sequence(writer);
    assert_int_equal(lum__sim_call_count(fixture->sim, LUM__SIM_CREATE), creates); /* nothing was made */
    assert_true(!is_there(fixture, 1) && is_there(fixture, 6));
    assert_int_not_equal(header_of(fixture, 6).salt, old_salt);
    struct lum__wal_evidence end;
    assert_string_equal(wal_script_check(&fixture->script, fixture->fs, &from, true, &end), "");
    assert_int_equal(end.stop, LUM__WAL_STOP_STALE); /* old batches in the recycled file are seen for what they are */
    assert_int_equal(end.tail_bytes, 0);
    assert_int_equal(end.records_behind, 0);
    assert_int_equal(lum__wal_recycle(writer, 6, false), LUM_OK);
    assert_int_equal(file_count(fixture), 1);
}

static void test_recycling_spares_only_what_is_ours(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 4; i++) {
        fill_segment(fixture);
        assert_int_equal(lum__wal_reserve(fixture->writer, 0), LUM_OK);
    }
    /* 1: another store's header. 2: damaged. 3: a file of another size. */
    uint8_t block[4096];
    struct lum__wal_segment foreign = header_of(fixture, 1);
    foreign.store_id[0] ^= 1;
    lum__wal_segment_encode(&foreign, block);
    assert_int_equal(lum__sim_edit(fixture->sim, "wal/1.wal", 0, block, sizeof block), LUM_OK);
    assert_int_equal(lum__sim_flip_bit(fixture->sim, "wal/2.wal", 700), LUM_OK);
    struct lum__file *file = NULL;
    assert_int_equal(lum__fs_open_file(fixture->fs, "wal/3.wal", LUM__OPEN_WRITE, &file), LUM_OK);
    assert_int_equal(lum__file_truncate(file, 16384), LUM_OK);
    assert_int_equal(lum__file_close(file), LUM_OK);
    assert_int_equal(lum__wal_recycle(fixture->writer, 5, true), LUM_OK);
    assert_true(is_there(fixture, 1)); /* not ours to remove */
    assert_true(!is_there(fixture, 2) && !is_there(fixture, 3));
    assert_true(is_there(fixture, 4)); /* the spare */
}

static void test_resume_goes_on_in_place(void **state)
{
    struct fixture *fixture = *state;
    struct lum__wal_writer_options options;
    struct lum__log_position end;
    assert_int_equal(wal_script_batch(&fixture->script, fixture->writer, 10, true), LUM_OK);
    lum__wal_position(fixture->writer, &end);
    assert_int_equal(lum__wal_writer_close(fixture->writer), LUM_OK);
    fixture->writer = NULL;
    wal_script_options(&fixture->script, fixture->fs, &options);
    options.segment_bytes = 65536; /* of new segments; this one keeps its size */
    assert_int_equal(lum__wal_writer_resume(&options, &end, &fixture->writer), LUM_OK);
    assert_int_equal(lum__wal_durable_sequence(fixture->writer), 10);
    assert_int_equal(wal_script_run(&fixture->script, fixture->writer, 3), LUM_OK);
    assert_int_equal(file_count(fixture), 1);
    fill_segment(fixture);
    assert_int_equal(lum__wal_reserve(fixture->writer, 0), LUM_OK);
    fixture->script.appended = lum__wal_written_sequence(fixture->writer);
    assert_int_equal(header_of(fixture, 1).segment_bytes, 32768);
    assert_int_equal(header_of(fixture, 2).segment_bytes, 65536);
    expect_all_back(fixture);
}

static void test_resume_refuses_an_impossible_end(void **state)
{
    struct fixture *fixture = *state;
    struct lum__wal_writer_options options;
    struct lum__wal_writer *writer;
    wal_script_options(&fixture->script, fixture->fs, &options);
    static const struct lum__log_position ends[] = {{.segment = 1, .offset = 0, .sequence = 5},
                                                    {.segment = 1, .offset = 4096 + 8, .sequence = 5},
                                                    {.segment = 1, .offset = 32768 + 4096, .sequence = 5}};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        assert_int_equal(lum__wal_writer_resume(&options, &ends[i], &writer), LUM_ERR_CORRUPT);
    struct lum__log_position missing = {.segment = 9, .offset = 4096, .sequence = 5};
    assert_int_equal(lum__wal_writer_resume(&options, &missing, &writer), LUM_ERR_NOT_FOUND);
    assert_null(writer);
}

static void test_start_takes_a_fresh_number(void **state)
{
    struct fixture *fixture = *state;
    struct lum__wal_writer_options options;
    struct lum__wal_writer *writer;
    struct lum__log_position end;
    struct lum__file *file = NULL;
    assert_int_equal(wal_script_batch(&fixture->script, fixture->writer, 10, true), LUM_OK);
    lum__wal_position(fixture->writer, &end);
    assert_int_equal(lum__fs_open_file(fixture->fs, "wal/41.wal", LUM__OPEN_WRITE | LUM__OPEN_CREATE, &file), LUM_OK);
    assert_int_equal(lum__file_close(file), LUM_OK); /* left half-made by somebody */
    wal_script_options(&fixture->script, fixture->fs, &options);
    assert_int_equal(lum__wal_writer_start(&options, &end, &writer), LUM_OK);
    lum__wal_writer_close(fixture->writer);
    fixture->writer = writer;
    struct lum__wal_segment segment = header_of(fixture, 42);
    assert_int_equal(segment.origin, LUM__WAL_ORIGIN_RECOVERY);
    assert_true(segment.previous_number == 1 && segment.previous_end_offset == end.offset &&
                segment.previous_sequence == 10 && segment.previous_header_crc == end.last_header_crc);
    assert_int_equal(lum__wal_next_segment(writer), 43);
    assert_int_equal(wal_script_batch(&fixture->script, fixture->writer, 10, true), LUM_OK);
    expect_all_back(fixture);
}

static void test_start_on_a_full_disk_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct lum__wal_writer_options options;
    struct lum__wal_writer *writer;
    struct lum__log_position end;
    lum__wal_position(fixture->writer, &end);
    wal_script_options(&fixture->script, fixture->fs, &options);
    lum__sim_set_limit(fixture->sim, lum__sim_used_bytes(fixture->sim) + 4096);
    assert_int_equal(lum__wal_writer_start(&options, &end, &writer), LUM_ERR_NO_SPACE);
    assert_null(writer);
    assert_int_equal(file_count(fixture), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_first_segment),
        TEST(test_numbers_and_watermarks),
        TEST(test_full_batch_is_refused_unchanged),
        TEST(test_rotation),
        TEST(test_reserve_leaves_no_gap),
        TEST(test_full_disk_in_rotation),
        TEST(test_no_space_by_limit_then_room),
        TEST(test_failed_write_kills),
        TEST(test_failed_sync_kills),
        TEST(test_failed_seal_kills),
        TEST(test_recycling),
        TEST(test_recycling_spares_only_what_is_ours),
        TEST(test_resume_goes_on_in_place),
        TEST(test_resume_refuses_an_impossible_end),
        TEST(test_start_takes_a_fresh_number),
        TEST(test_start_on_a_full_disk_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
