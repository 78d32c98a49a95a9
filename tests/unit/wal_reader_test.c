/* Proves where and why the log reader stops, that it goes from segment to segment as docs/format.md says ("The log of a
 * store is a chain"), and that its evidence finds what lies behind a stop. Breaks conditions 5 and 8 of a log record.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/random.h"
#include "base/status.h"
#include "storage/file_sim.h"
#include "storage/header.h"
#include "support/wal_script.h"
#include "wal/log_segment.h"

struct fixture {
    struct lum__sim *sim;
    struct lum__fs *fs;
    struct wal_script script;
    struct lum__wal_writer *writer;
};

static const struct lum__log_position beginning;

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

static void batch(struct fixture *fixture, uint32_t count, bool sync)
{
    assert_int_equal(wal_script_batch(&fixture->script, fixture->writer, count, sync), LUM_OK);
}

static struct lum__log_position position_of(struct fixture *fixture)
{
    struct lum__log_position position;
    lum__wal_position(fixture->writer, &position);
    return position;
}

/* Reads all; returns the evidence. */
static struct lum__wal_evidence read_all(struct fixture *fixture, const struct lum__log_position *from,
                                         const struct lum__log_position *limit)
{
    struct lum__wal_reader *reader;
    struct lum__wal_record record;
    struct lum__wal_evidence evidence;
    lum_status status;
    assert_int_equal(lum__wal_reader_open(fixture->fs, wal_store_id, from, limit, false, &reader), LUM_OK);
    while ((status = lum__wal_reader_next(reader, &record)) == LUM_OK) {
    }
    assert_int_equal(status, LUM_END);
    assert_int_equal(lum__wal_reader_next(reader, &record), LUM_END); /* and it stays so */
    assert_int_equal(lum__wal_reader_evidence(reader, &evidence), LUM_OK);
    lum__wal_reader_close(reader);
    assert_true(evidence.message[0] != 0);
    return evidence;
}

/* A new life behind a place: what recovery does. */
static void start_behind(struct fixture *fixture, const struct lum__log_position *place)
{
    struct lum__wal_writer_options options;
    (void)lum__wal_writer_close(fixture->writer);
    fixture->writer = NULL;
    fixture->script.epoch++;
    wal_script_options(&fixture->script, fixture->fs, &options);
    assert_int_equal(lum__wal_writer_start(&options, place, &fixture->writer), LUM_OK);
    wal_script_cut(&fixture->script, place);
}

static void read_bytes(struct fixture *fixture, const char *path, uint64_t offset, void *out, size_t count)
{
    struct lum__file *file = NULL;
    size_t bytes_read;
    assert_int_equal(lum__fs_open_file(fixture->fs, path, LUM__OPEN_READ, &file), LUM_OK);
    assert_int_equal(lum__file_read(file, out, count, offset, &bytes_read), LUM_OK);
    assert_int_equal(bytes_read, count);
    assert_int_equal(lum__file_close(file), LUM_OK);
}

/* Changes eight bytes of the record header at offset of segment 1 and mends its CRC. */
static void change_header(struct fixture *fixture, uint64_t offset, uint32_t at, uint64_t value)
{
    uint8_t header[96];
    read_bytes(fixture, "wal/1.wal", offset, header, sizeof header);
    assert_memory_equal(header, "WALX", 4);
    lum__put_u64(header + at, value);
    lum__put_u32(header + 92, lum__crc32c(lum__crc32c(0, wal_store_id, 16), header, 92));
    assert_int_equal(lum__sim_edit(fixture->sim, "wal/1.wal", offset, header, sizeof header), LUM_OK);
}

static void test_blank_end(void **state)
{
    struct fixture *fixture = *state;
    struct lum__wal_evidence end = read_all(fixture, &beginning, NULL);
    assert_int_equal(end.stop, LUM__WAL_STOP_BLANK);
    assert_true(end.position.segment == 1 && end.position.offset == 4096 && end.position.sequence == 0);
    batch(fixture, 5, true);
    batch(fixture, 50, true);
    batch(fixture, 1, false);
    end = read_all(fixture, &beginning, NULL);
    struct lum__log_position place = position_of(fixture);
    assert_int_equal(end.stop, LUM__WAL_STOP_BLANK);
    assert_true(end.position.offset == place.offset && end.position.sequence == 56);
    assert_int_equal(end.position.last_header_crc, place.last_header_crc);
    assert_int_equal(end.watermark_accepted, 55);
    assert_true(end.watermark_behind == 0 && end.records_behind == 0 && end.tail_bytes == 0 && end.condition == 0);
    assert_int_equal(end.next_segment, 2);
}

static void test_no_log_at_all(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(lum__fs_unlink(fixture->fs, "wal/1.wal"), LUM_OK);
    struct lum__wal_evidence end = read_all(fixture, &beginning, NULL);
    assert_int_equal(end.stop, LUM__WAL_STOP_BLANK);
    assert_int_equal(end.next_segment, 1);
    struct lum__log_position from = {.segment = 1, .offset = 4096};
    assert_int_equal(read_all(fixture, &from, NULL).stop, LUM__WAL_STOP_NO_SEGMENT);
}

static void test_from_the_middle(void **state)
{
    struct fixture *fixture = *state;
    struct lum__wal_evidence end;
    batch(fixture, 30, true);
    struct lum__log_position from = position_of(fixture);
    batch(fixture, 30, true);
    assert_string_equal(wal_script_check(&fixture->script, fixture->fs, &from, true, &end), "");
    assert_int_equal(end.position.sequence, 60);
}

static void test_impossible_beginnings(void **state)
{
    struct fixture *fixture = *state;
    batch(fixture, 30, true);
    static const struct lum__log_position places[] = {
        {.segment = 1, .offset = 0},          {.segment = 1, .offset = 4088},
        {.segment = 1, .offset = 4100},       {.segment = 1, .offset = 32768 + 4096},
        {.segment = 1, .offset = UINT64_MAX}, {.segment = 1, .offset = 4096, .sequence = 3},
    };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        assert_int_equal(read_all(fixture, &places[i], NULL).stop, LUM__WAL_STOP_GAP);
    struct lum__log_position at_end = {.segment = 1, .offset = 32768, .sequence = 30};
    assert_int_equal(read_all(fixture, &at_end, NULL).stop, LUM__WAL_STOP_BLANK);
}

static void test_limit(void **state)
{
    struct fixture *fixture = *state;
    batch(fixture, 30, true);
    struct lum__log_position limit = position_of(fixture);
    limit.last_header_crc = 0; /* a clean mark does not know it */
    struct lum__wal_evidence end = read_all(fixture, &beginning, &limit);
    assert_int_equal(end.stop, LUM__WAL_STOP_LIMIT);
    assert_int_equal(end.position.sequence, 30);
    batch(fixture, 1, true);
    end = read_all(fixture, &beginning, &limit);
    assert_int_equal(end.stop, LUM__WAL_STOP_LIMIT); /* what lies behind is dead */
    assert_true(end.position.sequence == 30 && end.watermark_behind == 0);
    limit = position_of(fixture);
    limit.offset += 4096; /* a mark behind what is there */
    limit.sequence++;
    assert_int_equal(read_all(fixture, &beginning, &limit).stop, LUM__WAL_STOP_BLANK);
    limit.sequence = 20; /* a mark that the log runs past */
    end = read_all(fixture, &beginning, &limit);
    assert_true(end.stop == LUM__WAL_STOP_GAP && end.position.sequence == 20);
}

static void test_condition_5_sequence(void **state)
{
    struct fixture *fixture = *state;
    static const uint64_t wrong[] = {0, 10, 12, UINT64_MAX};
    batch(fixture, 10, true);
    uint64_t offset = position_of(fixture).offset;
    batch(fixture, 10, true);
    for (size_t i = 0; i < 4; i++) {
        change_header(fixture, offset, 8, wrong[i]);
        struct lum__wal_evidence end = read_all(fixture, &beginning, NULL);
        assert_true(end.stop == LUM__WAL_STOP_GAP && end.condition == 5);
        assert_true(end.position.sequence == 10 && end.position.offset == offset);
    }
    change_header(fixture, offset, 8, 11);
    assert_int_equal(read_all(fixture, &beginning, NULL).position.sequence, 20);
}

static void test_condition_8_watermark(void **state)
{
    struct fixture *fixture = *state;
    batch(fixture, 10, true);
    batch(fixture, 10, true);
    uint64_t offset = position_of(fixture).offset;
    batch(fixture, 1, true);
    static const uint64_t wrong[] = {9, 21, UINT64_MAX}; /* before it: 10; its own sequence: 21 */
    for (size_t i = 0; i < 3; i++) {
        change_header(fixture, offset, 48, wrong[i]);
        struct lum__wal_evidence end = read_all(fixture, &beginning, NULL);
        assert_true(end.stop == LUM__WAL_STOP_BAD && end.condition == 8 && end.position.sequence == 20);
    }
    for (uint64_t right = 10; right <= 20; right += 10) {
        change_header(fixture, offset, 48, right);
        assert_int_equal(read_all(fixture, &beginning, NULL).position.sequence, 21);
    }
}

static void test_unsupported_record(void **state)
{
    struct fixture *fixture = *state;
    batch(fixture, 10, true);
    uint64_t offset = position_of(fixture).offset;
    batch(fixture, 1, true);
    change_header(fixture, offset, 76, 1);
    struct lum__wal_evidence end = read_all(fixture, &beginning, NULL);
    assert_true(end.stop == LUM__WAL_STOP_UNSUPPORTED && end.condition == 3 && end.position.sequence == 10);
    assert_int_equal(end.tail_bytes, 4096);
}

static void test_bad_record_and_what_lies_behind(void **state)
{
    struct fixture *fixture = *state;
    batch(fixture, 10, true);
    uint64_t offset = position_of(fixture).offset;
    batch(fixture, 1, true);  /* 11, to be damaged */
    batch(fixture, 40, true); /* 12-51 under watermark 11: several blocks */
    batch(fixture, 1, false); /* 52 under watermark 51 */
    uint64_t file_end = position_of(fixture).offset;
    assert_int_equal(lum__sim_flip_bit(fixture->sim, "wal/1.wal", (offset + 20) * 8), LUM_OK);
    struct lum__wal_evidence end = read_all(fixture, &beginning, NULL);
    assert_true(end.stop == LUM__WAL_STOP_BAD && end.condition == 2 && end.position.sequence == 10);
    assert_int_equal(end.watermark_accepted, 0);
    assert_int_equal(end.watermark_behind, 51); /* durable data is lost, and it shows */
    assert_int_equal(end.records_behind, 41);
    assert_int_equal(end.tail_bytes, file_end - offset);
}

static void test_torn_batch(void **state)
{
    struct fixture *fixture = *state;
    static const uint8_t zeros[4096];
    batch(fixture, 10, true);
    uint64_t offset = position_of(fixture).offset;
    batch(fixture, 60, false);
    uint64_t file_end = position_of(fixture).offset;
    assert_true(file_end - offset >= 3 * 4096);
    /* Its second block never reached the disk: the records before it are accepted, the third block is seen. */
    assert_int_equal(lum__sim_edit(fixture->sim, "wal/1.wal", offset + 4096, zeros, 4096), LUM_OK);
    struct lum__wal_evidence end = read_all(fixture, &beginning, NULL);
    assert_int_equal(end.stop, LUM__WAL_STOP_BAD);
    assert_true(end.position.sequence > 10 && end.position.sequence < 70);
    assert_true(end.position.offset > offset && end.position.offset < offset + 4096);
    assert_true(end.records_behind > 0 && end.watermark_behind == 10);
    assert_int_equal(end.tail_bytes, file_end - end.position.offset);
    /* Recovery cuts within the batch, and the reader goes over exactly there, past valid records of the old batch. */
    start_behind(fixture, &end.position);
    batch(fixture, 5, true);
    assert_string_equal(wal_script_check(&fixture->script, fixture->fs, &beginning, true, &end), "");
    assert_true(end.position.segment == 2);
    /* Its first block never did: an end without a trace at the stop, but with a tail. */
    assert_int_equal(lum__sim_edit(fixture->sim, "wal/1.wal", offset, zeros, 4096), LUM_OK);
    assert_int_equal(lum__fs_unlink(fixture->fs, "wal/2.wal"), LUM_OK);
    end = read_all(fixture, &beginning, NULL);
    assert_int_equal(end.stop, LUM__WAL_STOP_BLANK);
    assert_int_equal(end.tail_bytes, file_end - offset);
    assert_int_equal(end.watermark_behind, 10);
}

/* Segments 1 (sealed) and 2 (one batch). */
static void rotate_once(struct fixture *fixture)
{
    while (position_of(fixture).segment == 1) batch(fixture, 20, true);
    assert_int_equal(position_of(fixture).segment, 2);
}

static void test_seal_without_successor(void **state)
{
    struct fixture *fixture = *state;
    struct lum__wal_segment header;
    struct lum__file *file = NULL;
    uint8_t block[4096], good[4096];
    rotate_once(fixture);
    assert_string_equal(
        wal_script_check(&fixture->script, fixture->fs, &beginning, true, &(struct lum__wal_evidence){0}), "");
    assert_int_equal(lum__log_segment_open(fixture->fs, wal_store_id, 2, LUM__OPEN_READ, &header, &file), LUM_OK);
    assert_int_equal(lum__file_close(file), LUM_OK);
    lum__wal_segment_encode(&header, good);
    for (int change = 0; change < 6; change++) {
        struct lum__wal_segment other = header;
        if (change == 0) other.salt ^= 1;
        if (change == 1) other.origin = LUM__WAL_ORIGIN_RECOVERY; /* with another end: no cut either */
        if (change <= 1) other.previous_header_crc ^= 1;
        if (change == 2) other.previous_header_crc ^= 1;
        if (change == 3) other.previous_end_offset -= 4096;
        if (change == 4) other.previous_sequence = other.first_sequence++;
        if (change == 5) other.number = 3; /* swapped in */
        lum__wal_segment_encode(&other, block);
        assert_int_equal(lum__sim_edit(fixture->sim, "wal/2.wal", 0, block, sizeof block), LUM_OK);
        struct lum__wal_evidence end = read_all(fixture, &beginning, NULL);
        if (end.stop != LUM__WAL_STOP_NO_SEGMENT) fail_msg("change %d is not seen", change);
        assert_int_equal(end.position.segment, 1);
        assert_int_equal(end.position.sequence, header.previous_sequence);
    }
    assert_int_equal(lum__sim_edit(fixture->sim, "wal/2.wal", 0, good, sizeof good), LUM_OK);
    assert_int_equal(read_all(fixture, &beginning, NULL).stop, LUM__WAL_STOP_BLANK);
    lum__put_u32(good + 8, 2); /* a later version: never called damage */
    lum__header_seal(good);
    assert_int_equal(lum__sim_edit(fixture->sim, "wal/2.wal", 0, good, sizeof good), LUM_OK);
    assert_int_equal(read_all(fixture, &beginning, NULL).stop, LUM__WAL_STOP_UNSUPPORTED);
    assert_int_equal(lum__fs_unlink(fixture->fs, "wal/2.wal"), LUM_OK);
    assert_int_equal(read_all(fixture, &beginning, NULL).stop, LUM__WAL_STOP_NO_SEGMENT);
}

static void test_lost_seal_shows_in_the_successor(void **state)
{
    struct fixture *fixture = *state;
    static const uint8_t zeros[4096];
    rotate_once(fixture);
    uint64_t first = position_of(fixture).sequence;
    batch(fixture, 1, true);
    struct lum__wal_evidence whole = read_all(fixture, &beginning, NULL);
    struct lum__wal_segment *segments;
    size_t count;
    assert_int_equal(lum__wal_list(fixture->fs, wal_store_id, &segments, &count, NULL, NULL), LUM_OK);
    assert_int_equal(count, 2);
    uint64_t seal_at = segments[1].previous_end_offset - 4096;
    uint64_t seal_sequence = segments[1].previous_sequence;
    free(segments);
    assert_int_equal(lum__sim_edit(fixture->sim, "wal/1.wal", seal_at, zeros, 4096), LUM_OK);
    struct lum__wal_evidence end = read_all(fixture, &beginning, NULL);
    assert_int_equal(end.stop, LUM__WAL_STOP_BLANK); /* harmless, by itself */
    assert_int_equal(end.position.sequence, seal_sequence - 1);
    assert_true(end.watermark_behind >= first && end.watermark_behind == whole.watermark_accepted);
    assert_true(end.records_behind == whole.position.sequence - seal_sequence);
}

static void test_half_made_successor_is_not_used(void **state)
{
    struct fixture *fixture = *state;
    static const uint8_t zeros[4096];
    struct lum__wal_evidence end;
    struct lum__wal_segment header;
    struct lum__file *file = NULL;
    while (position_of(fixture).offset < 32768 - 4096) batch(fixture, 10, true);
    assert_int_equal(lum__wal_reserve(fixture->writer, 0), LUM_OK);
    /* The power went before the seal was written: successor 2 is there, nothing leads to it. */
    assert_int_equal(lum__sim_edit(fixture->sim, "wal/1.wal", 32768 - 4096, zeros, 4096), LUM_OK);
    assert_string_equal(wal_script_check(&fixture->script, fixture->fs, &beginning, true, &end), "");
    assert_true(end.position.segment == 1 && end.position.offset == 32768 - 4096);
    assert_int_equal(end.next_segment, 3);
    start_behind(fixture, &end.position);
    batch(fixture, 5, true);
    assert_string_equal(wal_script_check(&fixture->script, fixture->fs, &beginning, true, &end), "");
    assert_int_equal(end.position.segment, 3);
    assert_int_equal(lum__log_segment_open(fixture->fs, wal_store_id, 3, LUM__OPEN_READ, &header, &file), LUM_OK);
    assert_int_equal(lum__file_close(file), LUM_OK);
    assert_int_equal(header.previous_number, 1);
}

static void test_chain_of_empty_segments(void **state)
{
    struct fixture *fixture = *state;
    struct lum__wal_evidence end;
    batch(fixture, 10, true);
    batch(fixture, 60, false);
    assert_int_equal(lum__sim_flip_bit(fixture->sim, "wal/1.wal", (8192 + 300) * 8), LUM_OK);
    /* Recovery that is killed before it writes anything, four times over. */
    for (uint64_t i = 0; i < 4; i++) {
        end = read_all(fixture, &beginning, NULL);
        assert_int_equal(end.position.segment, 1 + i);
        if (i > 0)
            assert_true(end.position.offset == 4096 && end.position.last_header_crc == 0 &&
                        end.stop == LUM__WAL_STOP_BLANK);
        start_behind(fixture, &end.position);
    }
    assert_true(end.position.sequence >= 10 && end.position.sequence < 70);
    uint64_t cut = end.position.sequence;
    batch(fixture, 3, true);
    assert_string_equal(wal_script_check(&fixture->script, fixture->fs, &beginning, true, &end), "");
    assert_true(end.position.segment == 5 && end.position.sequence == cut + 3);
    assert_int_equal(end.watermark_accepted, cut); /* what was accepted is durable now, and the new records say so */
}

static void test_highest_epoch_wins(void **state)
{
    struct fixture *fixture = *state;
    struct lum__wal_evidence end;
    batch(fixture, 10, true);
    struct lum__log_position cut = position_of(fixture);
    start_behind(fixture, &cut); /* segment 2, epoch 2 */
    batch(fixture, 5, true);
    start_behind(fixture, &cut); /* a person chose to cut there again: segment 3, epoch 3 */
    batch(fixture, 7, true);
    assert_string_equal(wal_script_check(&fixture->script, fixture->fs, &beginning, true, &end), "");
    assert_true(end.position.segment == 3 && end.position.sequence == 17);
    fixture->script.epoch = 1; /* becomes 2: a number above, but an epoch below. It must not win */
    start_behind(fixture, &cut);
    batch(fixture, 1, true);
    end = read_all(fixture, &beginning, NULL);
    assert_true(end.position.segment == 3 && end.position.sequence == 17);
}

static void test_evidence_of_a_later_recovery(void **state)
{
    struct fixture *fixture = *state;
    batch(fixture, 10, true);
    uint64_t offset = position_of(fixture).offset;
    batch(fixture, 10, false);
    struct lum__log_position cut = position_of(fixture);
    start_behind(fixture, &cut); /* accepted up to 20, synced; nothing written since */
    assert_int_equal(lum__sim_flip_bit(fixture->sim, "wal/1.wal", (offset + 20) * 8), LUM_OK);
    struct lum__wal_evidence end = read_all(fixture, &beginning, NULL);
    assert_true(end.stop == LUM__WAL_STOP_BAD && end.position.sequence == 10);
    assert_int_equal(end.watermark_behind, 20);
}

static void test_damaged_header_of_a_cut(void **state)
{
    struct fixture *fixture = *state;
    batch(fixture, 10, true);
    struct lum__log_position cut = position_of(fixture);
    batch(fixture, 10, false); /* 11-20: dead after the cut, but whole */
    start_behind(fixture, &cut);
    batch(fixture, 3, true); /* 11-13 of the new life */
    assert_int_equal(lum__sim_flip_bit(fixture->sim, "wal/2.wal", 800), LUM_OK);
    struct lum__wal_evidence end = read_all(fixture, &beginning, NULL);
    assert_true(end.position.segment == 1 && end.position.sequence == 20); /* ran into the dead ones */
    assert_int_equal(end.records_behind, 3);
    assert_true(end.watermark_behind > 20); /* and says so */
}

static void test_damaged_header_of_a_successor(void **state)
{
    struct fixture *fixture = *state;
    rotate_once(fixture);
    batch(fixture, 3, true);
    batch(fixture, 3, true);
    uint64_t last = position_of(fixture).sequence;
    assert_int_equal(lum__sim_flip_bit(fixture->sim, "wal/2.wal", 800), LUM_OK);
    struct lum__wal_evidence end = read_all(fixture, &beginning, NULL);
    assert_int_equal(end.stop, LUM__WAL_STOP_NO_SEGMENT);
    assert_int_equal(end.watermark_behind, last - 3);
    /* The same where reading begins there: the header is the first thing looked for. */
    struct lum__log_position from = {.segment = 2, .offset = 4096, .sequence = end.position.sequence};
    end = read_all(fixture, &from, NULL);
    assert_int_equal(end.stop, LUM__WAL_STOP_NO_SEGMENT);
    assert_int_equal(end.watermark_behind, last - 3);
}

static void test_stale_leftovers(void **state)
{
    struct fixture *fixture = *state;
    struct lum__wal_record record = {.type = LUM__WAL_WATERMARK};
    /* Segment 1 full of batches of three blocks, then recycled as 3 and written with batches of one. */
    for (int i = 0; i < 2; i++) {
        while (lum__wal_append(fixture->writer, &record)) {
        }
        assert_int_equal(lum__wal_write(fixture->writer), LUM_OK);
    }
    rotate_once(fixture);
    while (position_of(fixture).segment == 2) {
        assert_int_equal(lum__wal_recycle(fixture->writer, 2, true), LUM_OK);
        batch(fixture, 20, true);
    }
    struct lum__log_position from = position_of(fixture);
    assert_true(from.segment == 3);
    for (int i = 0; i < 4; i++) { /* at offsets in and between the old batches */
        batch(fixture, 1, true);
        struct lum__wal_evidence end = read_all(fixture, &from, NULL);
        assert_int_equal(end.stop, LUM__WAL_STOP_STALE);
        assert_true(end.tail_bytes == 0 && end.records_behind == 0 && end.watermark_behind == 0);
    }
    /* A torn new batch among the leftovers is told from them. */
    uint64_t offset = position_of(fixture).offset;
    batch(fixture, 1, false);
    assert_int_equal(lum__sim_flip_bit(fixture->sim, "wal/3.wal", (offset + 92) * 8), LUM_OK);
    struct lum__wal_evidence end = read_all(fixture, &from, NULL);
    assert_true(end.stop == LUM__WAL_STOP_BAD && end.tail_bytes == 4096);
}

static void test_short_file_counts_as_zeros(void **state)
{
    struct fixture *fixture = *state;
    struct lum__file *file = NULL;
    batch(fixture, 10, true);
    uint64_t offset = position_of(fixture).offset;
    batch(fixture, 60, true);
    batch(fixture, 1, true);
    assert_int_equal(lum__fs_open_file(fixture->fs, "wal/1.wal", LUM__OPEN_WRITE, &file), LUM_OK);
    assert_int_equal(lum__file_truncate(file, offset), LUM_OK);
    struct lum__wal_evidence end = read_all(fixture, &beginning, NULL);
    assert_true(end.stop == LUM__WAL_STOP_BLANK && end.position.sequence == 10);
    assert_int_equal(lum__file_truncate(file, offset + 100), LUM_OK);
    assert_int_equal(read_all(fixture, &beginning, NULL).stop, LUM__WAL_STOP_BLANK);
    assert_int_equal(lum__file_truncate(file, 1000), LUM_OK);
    assert_int_equal(read_all(fixture, &beginning, NULL).stop, LUM__WAL_STOP_BLANK); /* no first segment */
    struct lum__log_position from = {.segment = 1, .offset = 4096};
    assert_int_equal(read_all(fixture, &from, NULL).stop, LUM__WAL_STOP_NO_SEGMENT);
    assert_int_equal(lum__file_close(file), LUM_OK);
}

static void test_log_larger_than_windows(void **state)
{
    struct fixture *fixture = *state;
    struct lum__log_position cut = position_of(fixture);
    struct lum__wal_evidence end;
    fixture->script.segment_bytes = 24 << 20;
    fixture->script.batch_bytes_max = 1 << 20;
    start_behind(fixture, &cut);
    while (lum__wal_bytes_written(fixture->writer) <
           (22 << 20)) { /* padded batches, and one of many blocks now and then */
        uint64_t random = lum__splitmix64(&fixture->script.rng);
        batch(fixture, random % 512 == 0 ? 300 : 1, random % 64 == 0);
    }
    assert_int_equal(lum__wal_sync(fixture->writer), LUM_OK);
    assert_string_equal(wal_script_check(&fixture->script, fixture->fs, &beginning, true, &end), "");
    assert_int_equal(end.position.sequence, lum__wal_written_sequence(fixture->writer));
}

static lum_status note_bad(void *context, const char *path)
{
    char *seen = context;
    assert_int_not_equal(lum__error_last()->status, LUM_OK);
    strcat(strcat(seen, path), " ");
    return LUM_OK;
}

static void test_list(void **state)
{
    struct fixture *fixture = *state;
    struct lum__wal_segment *segments;
    struct lum__file *file = NULL;
    size_t count;
    char seen[200] = "";
    while (position_of(fixture).segment < 5) batch(fixture, 30, true);
    static const char *const names[] = {"wal/foreign", "wal/07.wal", "wal/9.wal"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(lum__fs_open_file(fixture->fs, names[i], LUM__OPEN_WRITE | LUM__OPEN_CREATE, &file), LUM_OK);
        assert_int_equal(lum__file_close(file), LUM_OK);
    }
    assert_int_equal(lum__sim_flip_bit(fixture->sim, "wal/3.wal", 800), LUM_OK);
    assert_int_equal(lum__fs_rename(fixture->fs, "wal/1.wal", "wal/4.wal"), LUM_OK);
    assert_int_equal(lum__wal_list(fixture->fs, NULL, &segments, &count, note_bad, seen), LUM_OK);
    assert_true(count == 2 && segments[0].number == 2 && segments[1].number == 5);
    assert_string_equal(seen, "wal/3.wal wal/4.wal wal/9.wal ");
    free(segments);
}

static void test_position_before_each_record_is_a_place_to_cut(void **state)
{
    struct fixture *fixture = *state;
    struct lum__wal_reader *reader;
    struct lum__wal_record record;
    struct lum__wal_evidence end;
    struct lum__log_position before = {0};
    batch(fixture, 10, true);
    batch(fixture, 10, true);
    assert_int_equal(lum__wal_reader_open(fixture->fs, wal_store_id, &beginning, NULL, true, &reader), LUM_OK);
    for (int i = 0; i < 17; i++) {
        lum__wal_reader_position(reader, &before);
        assert_int_equal(lum__wal_reader_next(reader, &record), LUM_OK);
    }
    lum__wal_reader_close(reader);
    assert_true(before.sequence == 16 && before.offset == record.offset && before.segment == 1);
    start_behind(fixture, &before);
    batch(fixture, 10, true);
    assert_string_equal(wal_script_check(&fixture->script, fixture->fs, &beginning, true, &end), "");
    assert_true(end.position.sequence == 26 && end.position.segment == 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_blank_end),
        TEST(test_no_log_at_all),
        TEST(test_from_the_middle),
        TEST(test_impossible_beginnings),
        TEST(test_limit),
        TEST(test_condition_5_sequence),
        TEST(test_condition_8_watermark),
        TEST(test_unsupported_record),
        TEST(test_bad_record_and_what_lies_behind),
        TEST(test_torn_batch),
        TEST(test_seal_without_successor),
        TEST(test_lost_seal_shows_in_the_successor),
        TEST(test_half_made_successor_is_not_used),
        TEST(test_chain_of_empty_segments),
        TEST(test_highest_epoch_wins),
        TEST(test_evidence_of_a_later_recovery),
        TEST(test_damaged_header_of_a_cut),
        TEST(test_damaged_header_of_a_successor),
        TEST(test_stale_leftovers),
        TEST(test_short_file_counts_as_zeros),
        TEST(test_log_larger_than_windows),
        TEST(test_list),
        TEST(test_position_before_each_record_is_a_place_to_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
