/* Proves that log records and segment headers survive a round trip, and that breaking any one numbered condition of
 * docs/format.md section 3 (checksums made right again where needed) or any single bit is seen.
 * Conditions 5 and 8 of a record, its place among others, are broken in wal_reader_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/status.h"
#include "storage/header.h"
#include "storage/row_table.h"
#include "wal/format.h"

enum { AT = 8192, SALT = 0x5a17c0de };

static const struct lum__wal_segment segment = {
    .store_id = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
    .number = 7,
    .epoch = 3,
    .timestamp = 1700000000000000000u,
    .salt = SALT,
    .origin = LUM__WAL_ORIGIN_ROTATION,
    .first_sequence = 41,
    .previous_number = 6,
    .previous_end_offset = 12288,
    .previous_sequence = 40,
    .previous_header_crc = 0xabcdef01,
    .segment_bytes = 65536,
};

static bool with_metadata; /* of the sample commit */
static const struct lum__metadata no_metadata, some_metadata = {
    .items = (const uint8_t *)"\x01\0\0\0\x04\0\0\0id=a",
    .item_bytes = 12,
    .resume = (const uint8_t *)"row 9",
    .resume_bytes = 5,
};

static lum_t rows[3];

static void fill_pages(struct lum__wal_record *record)
{
    for (uint32_t i = 0; i < 3; i++) {
        rows[i] = (lum_t){.id = 900 + i, .timestamp = 1700000000000000000u + i, .position_x = -5, .presence = 1, .structure_type = 2};
        rows[i].checksum = lum_record_checksum(&rows[i]);
    }
    record->count = 3;
    record->pages.rows = rows;
    record->pages.row_count = 3;
    record->pages.digest = lum__rows_digest(0, rows, 3);
}

/* A record of each type, at AT of the segment, alone in its batch. */
static struct lum__wal_record sample(enum lum__wal_type type)
{
    struct lum__wal_record record = {.type = type,
                                     .sequence = 50,
                                     .timestamp = 1700000000123456789u,
                                     .watermark = 45,
                                     .is_last_of_batch = true,
                                     .segment = 7,
                                     .offset = AT};
    bool is_of_transaction = type <= LUM__WAL_ROLLBACK;
    if (is_of_transaction) record.transaction_id = (3ull << 40) + 9;
    switch (type) {
    case LUM__WAL_PAGES: fill_pages(&record); break;
    case LUM__WAL_CHUNK:
        record.count = 4096;
        record.chunk = (struct lum__chunk_entry){.segment = 2,
                                                 .offset = 40960,
                                                 .byte_count = 8192,
                                                 .row_count = 4096,
                                                 .digest = 0x11223344,
                                                 .lum_digest = 0x55667788,
                                                 .ordinal = 5,
                                                 .transaction_id = record.transaction_id,
                                                 .range = {.id_min = 1,
                                                           .id_max = 4096,
                                                           .timestamp_min = 10,
                                                           .timestamp_max = 20,
                                                           .x_min = -5,
                                                           .x_max = 5,
                                                           .y_min = -7,
                                                           .y_max = -6}};
        break;
    case LUM__WAL_COMMIT:
        record.count = 123456;
        record.commit.chunk_count = 3;
        record.commit.lum_count = 123456;
        record.commit.digest = 0xfeedbeef;
        record.commit.data_synced = true;
        record.commit.label_bytes = 5;
        memcpy(record.commit.label, "daily", 5);
        record.commit.metadata = with_metadata ? some_metadata : no_metadata;
        break;
    case LUM__WAL_ROLLBACK: record.count = 2; break;
    case LUM__WAL_SEAL:
        record.count = 8;
        record.seal.successor = 8;
        record.seal.successor_salt = 0x01020304;
        break;
    case LUM__WAL_CHECKPOINT:
        record.count = 12;
        record.checkpoint.number = 12;
        record.checkpoint.covered_sequence = 44;
        record.checkpoint.body_crc = 0x0badcafe;
        break;
    default: break;
    }
    return record;
}

static const enum lum__wal_type types[] = {LUM__WAL_BEGIN,     LUM__WAL_PAGES, LUM__WAL_CHUNK, LUM__WAL_COMMIT,    LUM__WAL_ROLLBACK,
                                           LUM__WAL_WATERMARK, LUM__WAL_SEAL,  LUM__WAL_CHECKPOINT};
enum { TYPE_COUNT = sizeof types / sizeof *types };

/* The rest of the segment from AT on, with the encoded record at its start. */
static uint8_t bytes[65536 - AT];

static void place(enum lum__wal_type type)
{
    struct lum__wal_record record = sample(type);
    memset(bytes, 0, sizeof bytes);
    uint32_t record_bytes = lum__wal_record_encode(&record, segment.store_id, SALT, bytes);
    assert_int_equal(record_bytes, lum__wal_record_bytes(&record));
}

/* Makes the header CRC (and before it, the payload CRC) right again. */
static void mend_header(void)
{
    lum__put_u32(bytes + 92, lum__crc32c(lum__crc32c(0, segment.store_id, 16), bytes, 92));
}
static void mend(void)
{
    lum__put_u32(bytes + 44, lum__crc32c(0, bytes + 96, lum__get_u32(bytes + 40)));
    mend_header();
}

static enum lum__wal_look look(uint32_t *condition)
{
    struct lum__wal_record record;
    return lum__wal_record_check(bytes, sizeof bytes, &segment, AT, &record, condition);
}

static void expect_at(int line, enum lum__wal_look wanted, uint32_t wanted_condition)
{
    uint32_t condition = 99;
    enum lum__wal_look seen = look(&condition);
    if (seen != wanted || condition != wanted_condition)
        fail_msg("line %d: look %d condition %u, wanted look %d condition %u", line, (int)seen, condition, (int)wanted,
                 wanted_condition);
}
#define expect(wanted, wanted_condition) expect_at(__LINE__, wanted, wanted_condition)

static void expect_round_trips(void)
{
    for (int i = 0; i < TYPE_COUNT; i++) {
        struct lum__wal_record in = sample(types[i]);
        struct lum__wal_record out;
        uint32_t condition = 99;
        memset(bytes, 0, sizeof bytes);
        lum__wal_record_encode(&in, segment.store_id, SALT, bytes);
        assert_int_equal(lum__wal_record_check(bytes, sizeof bytes, &segment, AT, &out, &condition), LUM__WAL_VALID);
        assert_int_equal(condition, 0);
        assert_int_equal(out.type, in.type);
        assert_true(out.sequence == 50 && out.watermark == 45 && out.timestamp == in.timestamp);
        assert_true(out.transaction_id == in.transaction_id && out.count == in.count);
        assert_true(out.segment == 7 && out.offset == AT && out.is_last_of_batch);
        assert_int_equal(out.header_crc, in.header_crc);
        assert_int_equal(out.payload_bytes, in.payload_bytes);
        assert_int_equal(lum__wal_record_end(&out), AT + 4096);
        switch (in.type) {
        case LUM__WAL_PAGES:
            assert_int_equal(out.pages.row_count, 3);
            assert_int_equal(out.pages.digest, in.pages.digest);
            assert_memory_equal(out.pages.rows, rows, sizeof rows);
            break;
        case LUM__WAL_CHUNK: assert_memory_equal(&out.chunk, &in.chunk, sizeof in.chunk); break;
        case LUM__WAL_COMMIT:
            assert_true(out.commit.chunk_count == 3 && out.commit.lum_count == 123456 && out.commit.data_synced);
            assert_int_equal(out.commit.digest, 0xfeedbeef);
            assert_string_equal(out.commit.label, "daily");
            assert_true(lum__metadata_is_same(&out.commit.metadata, &in.commit.metadata));
            break;
        case LUM__WAL_SEAL: assert_true(out.seal.successor == 8 && out.seal.successor_salt == 0x01020304); break;
        case LUM__WAL_CHECKPOINT:
            assert_true(out.checkpoint.number == 12 && out.checkpoint.covered_sequence == 44);
            assert_int_equal(out.checkpoint.body_crc, 0x0badcafe);
            break;
        default: break;
        }
    }
}

static void test_round_trip(void **state)
{
    (void)state;
    expect_round_trips();
    with_metadata = true;
    expect_round_trips();
    with_metadata = false;
}

static void test_blank_block(void **state)
{
    (void)state;
    memset(bytes, 0, sizeof bytes);
    expect(LUM__WAL_BLANK, 0);
    bytes[4095] = 1;
    expect(LUM__WAL_BAD, 1);
    bytes[4095] = 0;
    bytes[4096] = 1; /* the next block does not matter */
    expect(LUM__WAL_BLANK, 0);
}

static void test_condition_1_room_and_magic(void **state)
{
    (void)state;
    struct lum__wal_record record;
    uint32_t condition;
    place(LUM__WAL_COMMIT);
    for (uint64_t count = 4; count < 96; count += 4) {
        assert_int_equal(lum__wal_record_check(bytes, count, &segment, AT, &record, &condition), LUM__WAL_BAD);
        assert_int_equal(condition, 1);
    }
    assert_int_equal(lum__wal_record_check(bytes, 0, &segment, segment.segment_bytes, &record, &condition),
                     LUM__WAL_BLANK);
    bytes[3] = 'Y';
    mend_header();
    expect(LUM__WAL_BAD, 1);
}

static void test_condition_2_header_crc_and_store(void **state)
{
    (void)state;
    place(LUM__WAL_COMMIT);
    bytes[92] ^= 1;
    expect(LUM__WAL_BAD, 2);
    place(LUM__WAL_COMMIT);
    bytes[25] ^= 1; /* the label-only timestamp */
    expect(LUM__WAL_BAD, 2);
    /* Another store's record: its CRC was begun with another UUID. */
    struct lum__wal_record record = sample(LUM__WAL_COMMIT);
    uint8_t other_store[16] = {99};
    lum__wal_record_encode(&record, other_store, SALT, bytes);
    expect(LUM__WAL_BAD, 2);
}

static void test_condition_3_unknown_numbers(void **state)
{
    (void)state;
    static const struct {
        uint32_t at;
        uint8_t value;
    } changes[] = {{4, 2}, {5, 1}, {6, 0}, {6, 9}, {7, 1}, {72, 3}, {73, 1}, {76, 1}, {91, 1}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        place(LUM__WAL_WATERMARK);
        bytes[changes[i].at] = changes[i].value;
        mend_header();
        expect(LUM__WAL_UNSUPPORTED, 3);
    }
}

static void test_condition_4_place(void **state)
{
    (void)state;
    static const uint32_t places[] = {56, 60, 68}; /* segment number, offset, salt */
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        place(LUM__WAL_COMMIT);
        bytes[places[i]] ^= 0x10;
        mend_header();
        expect(LUM__WAL_STALE, 4);
    }
}

static void test_condition_6_length(void **state)
{
    (void)state;
    place(LUM__WAL_BEGIN);
    lum__put_u32(bytes + 40, LUM__WAL_PAYLOAD_BYTES_MAX + 1);
    mend_header();
    expect(LUM__WAL_BAD, 6);
    lum__put_u32(bytes + 40, UINT32_MAX);
    mend_header();
    expect(LUM__WAL_BAD, 6);
    lum__put_u32(bytes + 40, (uint32_t)sizeof bytes - 96 + 1);
    mend_header();
    expect(LUM__WAL_BAD, 6);
    lum__put_u32(bytes + 40, (uint32_t)sizeof bytes - 96); /* fits exactly, so something else is wrong */
    mend();
    expect(LUM__WAL_BAD, 9);
}

static void test_condition_7_payload(void **state)
{
    (void)state;
    place(LUM__WAL_COMMIT);
    bytes[96 + 16] ^= 1;
    expect(LUM__WAL_BAD, 7);
    place(LUM__WAL_COMMIT); /* payload 45 bytes, padded to 48 */
    bytes[96 + 45] = 1;
    expect(LUM__WAL_BAD, 7);
}

/* One change to a payload or to a header field that belongs to the type's form. */
struct form_change {
    enum lum__wal_type type;
    uint32_t at;
    uint8_t value;
    enum lum__wal_look look;
};

static void test_condition_9_form(void **state)
{
    (void)state;
    static const struct form_change changes[] = {
        {LUM__WAL_BEGIN, 32, 1, LUM__WAL_BAD},     /* a begin counts nothing */
        {LUM__WAL_WATERMARK, 32, 1, LUM__WAL_BAD}, /* nor does a watermark */
        {LUM__WAL_WATERMARK, 16, 1, LUM__WAL_BAD}, /* which is of no transaction */
        {LUM__WAL_WATERMARK, 40, 8, LUM__WAL_BAD}, /* and has no payload */
        {LUM__WAL_ROLLBACK, 40, 8, LUM__WAL_BAD},
        {LUM__WAL_BEGIN, 40, 8, LUM__WAL_BAD},
        {LUM__WAL_WATERMARK, 6, 2, LUM__WAL_BAD}, /* pages without a transaction */
        {LUM__WAL_PAGES, 96, 2, LUM__WAL_UNSUPPORTED},     /* another form */
        {LUM__WAL_PAGES, 96 + 12, 1, LUM__WAL_UNSUPPORTED},
        {LUM__WAL_PAGES, 96 + 4, 2, LUM__WAL_BAD},         /* rows are not as many as the header counts, or as there are */
        {LUM__WAL_PAGES, 32, 2, LUM__WAL_BAD},
        {LUM__WAL_PAGES, 40, 16, LUM__WAL_BAD},            /* none there */
        {LUM__WAL_PAGES, 40, 8, LUM__WAL_BAD},             /* shorter than its fixed part */
        {LUM__WAL_PAGES, 40, 96, LUM__WAL_BAD},            /* two rows, of three */
        {LUM__WAL_PAGES, 96 + 8, 1, LUM__WAL_BAD},         /* digest */
        {LUM__WAL_PAGES, 96 + 16 + 24, 1, LUM__WAL_BAD},   /* a row that its checksum does not fit */
        {LUM__WAL_PAGES, 96 + 16 + 32, 1, LUM__WAL_BAD},   /* a checksum that its row does not fit */
        {LUM__WAL_PAGES, 96 + 16 + 39, 1, LUM__WAL_BAD},   /* a reserved byte */
        {LUM__WAL_CHUNK, 32, 9, LUM__WAL_BAD},            /* count is not the entry's rows */
        {LUM__WAL_CHUNK, 16, 1, LUM__WAL_BAD},            /* transaction is not the entry's */
        {LUM__WAL_CHUNK, 40, 120, LUM__WAL_BAD},          /* an entry is 128 bytes */
        {LUM__WAL_CHUNK, 96 + 48, 1, LUM__WAL_BAD},       /* commit sequence: not yet known */
        {LUM__WAL_COMMIT, 32, 9, LUM__WAL_BAD},           /* count is not the payload's */
        {LUM__WAL_COMMIT, 40, 32, LUM__WAL_BAD},          /* too short for its fixed part */
        {LUM__WAL_COMMIT, 40, 48, LUM__WAL_BAD},          /* longer than its label */
        {LUM__WAL_COMMIT, 96 + 24, 4, LUM__WAL_BAD},      /* label shorter than the payload */
        {LUM__WAL_COMMIT, 96 + 25, 1, LUM__WAL_BAD},      /* label longer than a label may be */
        {LUM__WAL_COMMIT, 96 + 42, 0, LUM__WAL_BAD},      /* NUL in the label */
        {LUM__WAL_COMMIT, 96 + 20, 2, LUM__WAL_UNSUPPORTED},
        {LUM__WAL_COMMIT, 96 + 26, 1, LUM__WAL_UNSUPPORTED},
        {LUM__WAL_COMMIT, 96 + 28, 8, LUM__WAL_BAD}, /* extensions that are not there */
        {LUM__WAL_COMMIT, 96 + 30, 1, LUM__WAL_BAD},
        {LUM__WAL_COMMIT, 96 + 32, 1, LUM__WAL_UNSUPPORTED},
        {LUM__WAL_SEAL, 96 + 0, 9, LUM__WAL_BAD}, /* count is not the payload's */
        {LUM__WAL_SEAL, 40, 8, LUM__WAL_BAD},
        {LUM__WAL_SEAL, 16, 1, LUM__WAL_BAD},
        {LUM__WAL_SEAL, 72, 0, LUM__WAL_BAD}, /* a seal ends its batch */
        {LUM__WAL_SEAL, 96 + 12, 1, LUM__WAL_UNSUPPORTED},
        {LUM__WAL_CHECKPOINT, 96 + 0, 9, LUM__WAL_BAD},
        {LUM__WAL_CHECKPOINT, 16, 1, LUM__WAL_BAD},
        {LUM__WAL_CHECKPOINT, 40, 16, LUM__WAL_BAD},
        {LUM__WAL_CHECKPOINT, 96 + 20, 1, LUM__WAL_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        uint32_t condition = 99;
        place(changes[i].type);
        bytes[changes[i].at] = changes[i].value;
        if (changes[i].at == 40) /* bytes behind a shorter payload would be bad padding: another condition */
            memset(bytes + 96 + changes[i].value, 0, 64);
        mend();
        enum lum__wal_look seen = look(&condition);
        if (seen != changes[i].look || condition != 9)
            fail_msg("change %zu: look %d, condition %u", i, (int)seen, condition);
    }
    /* Extensions: what else may be wrong with them is metadata_test.c's. */
    static const struct form_change of_metadata[] = {
        {LUM__WAL_COMMIT, 96 + 28, 24, LUM__WAL_BAD},           /* fewer than there are */
        {LUM__WAL_COMMIT, 96 + 45 + 4, 5, LUM__WAL_BAD},        /* an item longer than it is */
        {LUM__WAL_COMMIT, 96 + 45 + 1, 0x80, LUM__WAL_UNSUPPORTED}, /* a kind that must be known */
        {LUM__WAL_COMMIT, 96 + 45 + 2, 1, LUM__WAL_UNSUPPORTED},
    };
    with_metadata = true;
    for (size_t i = 0; i < sizeof of_metadata / sizeof *of_metadata; i++) {
        place(LUM__WAL_COMMIT);
        bytes[of_metadata[i].at] = of_metadata[i].value;
        mend();
        expect(of_metadata[i].look, 9);
    }
    with_metadata = false;
    /* A transaction's record without a transaction. */
    static const enum lum__wal_type of_transaction[] = {LUM__WAL_BEGIN, LUM__WAL_PAGES, LUM__WAL_CHUNK, LUM__WAL_COMMIT,
                                                        LUM__WAL_ROLLBACK};
    for (size_t i = 0; i < 5; i++) {
        place(of_transaction[i]);
        memset(bytes + 16, 0, 8);
        mend();
        expect(LUM__WAL_BAD, 9);
    }
    /* A seal that leads back: a reader could go round in circles. */
    for (uint8_t successor = 0; successor <= 7; successor++) {
        place(LUM__WAL_SEAL);
        bytes[32] = successor;
        bytes[96] = successor;
        mend();
        expect(LUM__WAL_BAD, 9);
    }
}

static void test_condition_10_batch_padding(void **state)
{
    (void)state;
    for (uint32_t at = 96 + 48; at < 4096; at += 61) {
        place(LUM__WAL_COMMIT);
        bytes[at] = 1;
        expect(LUM__WAL_BAD, 10);
    }
    place(LUM__WAL_COMMIT);
    bytes[4096] = 1; /* the next batch */
    expect(LUM__WAL_VALID, 0);
    place(LUM__WAL_COMMIT);
    bytes[72] = 0; /* not the last: what follows is another record's */
    bytes[96 + 48] = 1;
    mend_header();
    expect(LUM__WAL_VALID, 0);
}

static void test_every_bit_of_a_record(void **state)
{
    (void)state;
    for (int i = 0; i <= TYPE_COUNT; i++) { /* the last: a commit with extensions */
        with_metadata = i == TYPE_COUNT;
        place(with_metadata ? LUM__WAL_COMMIT : types[i]);
        for (uint32_t bit = 0; bit < 4096 * 8; bit++) {
            uint32_t condition;
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            if (look(&condition) == LUM__WAL_VALID || condition == 0)
                fail_msg("type %d: flipped bit %u is not seen", i, bit);
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        expect(LUM__WAL_VALID, 0);
    }
    with_metadata = false;
}

static void test_mark_last(void **state)
{
    (void)state;
    struct lum__wal_record record = sample(LUM__WAL_CHUNK);
    memset(bytes, 0, sizeof bytes);
    record.is_last_of_batch = false;
    lum__wal_record_encode(&record, segment.store_id, SALT, bytes);
    uint32_t crc = lum__wal_record_mark_last(bytes, segment.store_id);
    struct lum__wal_record out;
    uint32_t condition;
    assert_int_equal(lum__wal_record_check(bytes, sizeof bytes, &segment, AT, &out, &condition), LUM__WAL_VALID);
    assert_true(out.is_last_of_batch);
    assert_int_equal(out.header_crc, crc);
    assert_int_not_equal(crc, record.header_crc);
}

/* --- segment headers --- */

static uint8_t block[4096];

static void expect_segment(int line, lum_status wanted, uint32_t condition)
{
    struct lum__wal_segment out;
    lum__header_seal(block);
    lum_status status = lum__wal_segment_decode(block, segment.store_id, 7, "wal/7.wal", &out);
    if (status != wanted || (status != LUM_OK && lum__error_last()->condition != condition))
        fail_msg("line %d: status %s, condition %u", line, lum_status_name(status), lum__error_last()->condition);
}

static void test_segment_round_trip(void **state)
{
    (void)state;
    struct lum__wal_segment out;
    lum__wal_segment_encode(&segment, block);
    assert_int_equal(lum__wal_segment_decode(block, segment.store_id, 7, "wal/7.wal", &out), LUM_OK);
    assert_memory_equal(&out, &segment, sizeof out);
    assert_int_equal(lum__wal_segment_decode(block, NULL, 0, "wal/7.wal", &out), LUM_OK);
    assert_int_equal(lum__wal_segment_decode(block, segment.store_id, 8, "wal/8.wal", &out), LUM_ERR_CORRUPT);
    assert_int_equal(lum__error_last()->condition, 5); /* renamed */
    uint8_t other_store[16] = {0};
    assert_int_equal(lum__wal_segment_decode(block, other_store, 7, "wal/7.wal", &out), LUM_ERR_FOREIGN);
}

static void test_segment_condition_7_unknown(void **state)
{
    (void)state;
    static const uint32_t places[] = {84, 124, 136, 507}; /* origin 2 -> 3 is known, so it gets 9 below */
    for (size_t i = 0; i < 4; i++) {
        lum__wal_segment_encode(&segment, block);
        block[places[i]] = 9;
        expect_segment(__LINE__, LUM_ERR_UNSUPPORTED, 7);
    }
}

static void test_segment_condition_8_size(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {0, 4096, 12288, 65537, 65536 + 2048, (1ull << 30) + 4096, UINT64_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        lum__wal_segment_encode(&segment, block);
        lum__put_u64(block + 128, sizes[i]);
        expect_segment(__LINE__, LUM_ERR_CORRUPT, 8);
    }
    struct lum__wal_segment out;
    lum__wal_segment_encode(&segment, block);
    lum__put_u64(block + 56, 1ull << 32); /* a record cannot name it */
    lum__header_seal(block);
    assert_int_equal(lum__wal_segment_decode(block, segment.store_id, 0, "x", &out), LUM_ERR_CORRUPT);
    assert_int_equal(lum__error_last()->condition, 8);
}

static void test_segment_condition_9_predecessor(void **state)
{
    (void)state;
    static const struct {
        uint32_t origin;
        uint64_t first, number, end, sequence;
        uint32_t crc;
        bool fits;
    } cases[] = {
        {2, 41, 6, 12288, 40, 1, true},  {2, 41, 7, 12288, 40, 1, false}, /* itself */
        {2, 41, 8, 12288, 40, 1, false}, {2, 41, 0, 12288, 40, 1, false},
        {2, 42, 6, 12288, 40, 1, false}, {2, 0, 6, 12288, UINT64_MAX, 1, false},
        {2, 41, 6, 4096, 40, 1, false},                                  /* no seal fits before it */
        {2, 41, 6, 12296, 40, 1, false}, {3, 41, 6, 12296, 40, 1, true}, /* a cut may lie within a batch */
        {3, 41, 6, 12290, 40, 1, false}, {3, 41, 6, 4096, 40, 0, true},  /* of a segment without records */
        {3, 41, 6, 4088, 40, 0, false},  {3, 41, 6, (1ull << 30) + 8, 40, 0, false},
        {1, 1, 0, 0, 0, 0, true},        {1, 1, 1, 0, 0, 0, false},
        {1, 1, 0, 4096, 0, 0, false},    {1, 1, 0, 0, 0, 5, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lum__wal_segment_encode(&segment, block);
        lum__put_u32(block + 84, cases[i].origin);
        lum__put_u64(block + 88, cases[i].first);
        lum__put_u64(block + 96, cases[i].number);
        lum__put_u64(block + 104, cases[i].end);
        lum__put_u64(block + 112, cases[i].sequence);
        lum__put_u32(block + 120, cases[i].crc);
        expect_segment(__LINE__ * 1000 + (int)i, cases[i].fits ? LUM_OK : LUM_ERR_CORRUPT, 9);
    }
}

static void test_every_bit_of_a_segment_header(void **state)
{
    (void)state;
    struct lum__wal_segment out;
    lum__wal_segment_encode(&segment, block);
    for (uint32_t bit = 0; bit < 4096 * 8; bit++) {
        block[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (lum__wal_segment_decode(block, segment.store_id, 7, "wal/7.wal", &out) == LUM_OK)
            fail_msg("flipped bit %u is not seen", bit);
        block[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void test_names(void **state)
{
    (void)state;
    char path[64];
    lum__wal_path(4294967295u, path);
    assert_string_equal(path, "wal/4294967295.wal");
    assert_int_equal(lum__wal_name_number("17.wal"), 17);
    assert_int_equal(lum__wal_name_number("4294967295.wal"), 4294967295u);
    static const char *const foreign[] = {"",       "0.wal",  "01.wal", "4294967296.wal", "99999999999999999999999.wal",
                                          "7",      "7.wal2", "7.seg",  "-7.wal",         " 7.wal",
                                          "7 .wal", ".wal",   "a.wal",  "7.wal.tmp"};
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) assert_int_equal(lum__wal_name_number(foreign[i]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_blank_block),
        cmocka_unit_test(test_condition_1_room_and_magic),
        cmocka_unit_test(test_condition_2_header_crc_and_store),
        cmocka_unit_test(test_condition_3_unknown_numbers),
        cmocka_unit_test(test_condition_4_place),
        cmocka_unit_test(test_condition_6_length),
        cmocka_unit_test(test_condition_7_payload),
        cmocka_unit_test(test_condition_9_form),
        cmocka_unit_test(test_condition_10_batch_padding),
        cmocka_unit_test(test_every_bit_of_a_record),
        cmocka_unit_test(test_mark_last),
        cmocka_unit_test(test_segment_round_trip),
        cmocka_unit_test(test_segment_condition_7_unknown),
        cmocka_unit_test(test_segment_condition_8_size),
        cmocka_unit_test(test_segment_condition_9_predecessor),
        cmocka_unit_test(test_every_bit_of_a_segment_header),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
