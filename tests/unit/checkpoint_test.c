/* Proves that a checkpoint gives back what was written, that each condition of docs/format.md section 5 is checked,
 * with its number, even under right CRCs, that no flipped bit and no lost end goes unnoticed, and that wherever the
 * power fails or a call fails while one is written, the one before it is whole and the new one is whole or not there.
 */
#include "support/chunk_store.h"

#include <errno.h>
#include <stdio.h>

#include "base/crc32c.h"
#include "base/status.h"
#include "storage/checkpoint_layout.h"
#include "storage/header.h"

enum { FILE_BYTES_MAX = 1 << 20 };
static const char path[] = "checkpoint-4";

/* A disk and a catalogue without chunks on it: a checkpoint never looks at them. */
struct fixture {
    struct lum__sim *sim;
    struct lum__fs *fs;
    struct lum__catalogue *catalogue;
    struct lum__chunk_entry open_chunks[3];
    struct lum__open_transaction open[2];
    struct lum__checkpoint checkpoint;
};

static struct lum__chunk_entry make_chunk(uint64_t transaction_id, uint64_t ordinal, uint64_t place)
{
    return (struct lum__chunk_entry){
        .segment = 1 + place / 100,
        .offset = 4096 * (1 + place % 100),
        .byte_count = 4096,
        .row_count = (uint32_t)(100 + place),
        .digest = (uint32_t)place * 0x9e3779b9u,
        .lum_digest = (uint32_t)place * 0x7f4a7c15u,
        .ordinal = ordinal,
        .transaction_id = transaction_id,
        .range = {place, place + 1, 5, 6, -7, 7, INT32_MIN, INT32_MAX},
    };
}

static void commit(struct lum__catalogue *catalogue, uint64_t transaction_id, uint64_t sequence, uint64_t place,
                   size_t chunk_count, const char *label)
{
    struct lum__chunk_entry chunks[8];
    struct lum__transaction transaction = {.transaction_id = transaction_id,
                                           .commit_sequence = sequence,
                                           .commit_timestamp = 1000 + sequence,
                                           .chunk_count = chunk_count,
                                           .data_synced = sequence % 2 == 0,
                                           .label = label};

    char resume[24];
    if (sequence % 10 == 0 || sequence > 100) { /* all items the same, each resume point another */
        transaction.metadata.items = (const uint8_t *)"\x01\0\0\0\x04\0\0\0id=a";
        transaction.metadata.item_bytes = 12;
        transaction.metadata.resume_bytes = (uint32_t)snprintf(resume, sizeof resume, "r%d", (int)sequence);
        transaction.metadata.resume = (const uint8_t *)resume;
    }
    for (size_t index = 0; index < chunk_count; index++) {
        chunks[index] = make_chunk(transaction_id, index * 2, place + index);
        transaction.lum_count += chunks[index].row_count;
    }
    transaction.digest = lum__catalogue_digest(0, chunks, chunk_count);
    assert_int_equal(lum__catalogue_commit(catalogue, &transaction, chunks, chunk_count), LUM_OK);
}

static void fixture_init(struct fixture *fixture)
{
    memset(fixture, 0, sizeof *fixture);
    fixture->sim = lum__sim_create(3);
    assert_int_equal(lum__sim_open(fixture->sim, false, &fixture->fs), LUM_OK);
    assert_int_equal(lum__catalogue_create(&fixture->catalogue), LUM_OK);
    commit(fixture->catalogue, 101, 10, 0, 3, "first");
    commit(fixture->catalogue, 102, 20, 3, 0, ""); /* an empty transaction is one too */
    commit(fixture->catalogue, 103, 31, 3, 2, "cities");
    for (size_t index = 0; index < 3; index++)
        fixture->open_chunks[index] = make_chunk(index < 2 ? 104 : 105, index, 50 + index);
    fixture->open[0] =
        (struct lum__open_transaction){.transaction_id = 104, .chunks = fixture->open_chunks, .chunk_count = 2};
    fixture->open[1] =
        (struct lum__open_transaction){.transaction_id = 105, .chunks = fixture->open_chunks + 2, .chunk_count = 1};
    fixture->checkpoint = (struct lum__checkpoint){
        .number = 4,
        .epoch = 9,
        .timestamp = 12345,
        .replay = {.segment = 7, .offset = 8192, .sequence = 40, .last_header_crc = 0xdeadbeef},
        .next_data_segment = 2,
        .next_wal_segment = 8,
        .open = fixture->open,
        .open_count = 2,
    };
    memcpy(fixture->checkpoint.store_id, chunk_store_id, 16);
}

static void fixture_fini(struct fixture *fixture)
{
    lum__catalogue_destroy(fixture->catalogue);
    lum__fs_close(fixture->fs);
    lum__sim_destroy(fixture->sim);
}

static lum_status write_checkpoint(struct fixture *fixture)
{
    const struct lum__catalogue_version *version = lum__catalogue_pin(fixture->catalogue);
    lum_status status = lum__checkpoint_write(fixture->fs, &fixture->checkpoint, version);
    lum__catalogue_unpin(fixture->catalogue, version);
    return status;
}

/* Reads checkpoint `number` and throws it away. */
static lum_status try_read(struct lum__fs *fs, uint64_t number)
{
    struct lum__catalogue *catalogue;
    struct lum__checkpoint checkpoint;

    assert_int_equal(lum__catalogue_create(&catalogue), LUM_OK);
    lum_status status = lum__checkpoint_read(fs, number, chunk_store_id, &checkpoint, catalogue);
    if (status != LUM_OK) assert_true(lum__is_zero((const uint8_t *)&checkpoint, sizeof checkpoint));
    lum__checkpoint_fini(&checkpoint);
    lum__catalogue_destroy(catalogue);
    return status;
}

static void expect_same_version(struct lum__catalogue *expected, struct lum__catalogue *found)
{
    const struct lum__catalogue_version *a = lum__catalogue_pin(expected), *b = lum__catalogue_pin(found);

    assert_int_equal(a->chunk_count, b->chunk_count);
    if (a->chunk_count > 0) assert_memory_equal(a->chunks, b->chunks, a->chunk_count * sizeof *a->chunks);
    assert_int_equal(a->transaction_count, b->transaction_count);
    for (size_t index = 0; index < a->transaction_count; index++) {
        const struct lum__transaction *left = &a->transactions[index], *right = &b->transactions[index];
        assert_int_equal(left->transaction_id, right->transaction_id);
        assert_int_equal(left->commit_sequence, right->commit_sequence);
        assert_int_equal(left->commit_timestamp, right->commit_timestamp);
        assert_int_equal(left->lum_count, right->lum_count);
        assert_int_equal(left->chunk_count, right->chunk_count);
        assert_int_equal(left->digest, right->digest);
        assert_int_equal(left->data_synced, right->data_synced);
        assert_string_equal(left->label, right->label);
        assert_true(lum__metadata_is_same(&left->metadata, &right->metadata));
    }
    assert_int_equal(a->lum_count, b->lum_count);
    assert_int_equal(a->data_bytes, b->data_bytes);
    assert_int_equal(a->last_commit_sequence, b->last_commit_sequence);
    assert_int_equal(a->digest, b->digest);
    lum__catalogue_unpin(expected, a);
    lum__catalogue_unpin(found, b);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct fixture fixture;
    struct lum__catalogue *catalogue;
    struct lum__checkpoint read;

    fixture_init(&fixture);
    assert_int_equal(write_checkpoint(&fixture), LUM_OK);
    assert_int_equal(lum__catalogue_create(&catalogue), LUM_OK);
    assert_int_equal(lum__checkpoint_read(fixture.fs, 4, NULL, &read, catalogue), LUM_OK);
    expect_same_version(fixture.catalogue, catalogue);
    assert_int_equal(lum__catalogue_find_label(catalogue, "cities")->transaction_id, 103);
    assert_memory_equal(read.store_id, chunk_store_id, 16);
    assert_int_equal(read.number, 4);
    assert_int_equal(read.epoch, 9);
    assert_int_equal(read.timestamp, 12345);
    assert_memory_equal(&read.replay, &fixture.checkpoint.replay, sizeof read.replay);
    assert_int_equal(read.next_data_segment, 2);
    assert_int_equal(read.next_wal_segment, 8);
    assert_int_equal(read.body_crc, fixture.checkpoint.body_crc);
    assert_false(read.is_read_only);
    assert_int_equal(read.open_count, 2);
    for (size_t index = 0; index < 2; index++) {
        assert_int_equal(read.open[index].transaction_id, fixture.open[index].transaction_id);
        assert_int_equal(read.open[index].chunk_count, fixture.open[index].chunk_count);
        assert_memory_equal(read.open[index].chunks, fixture.open[index].chunks,
                            read.open[index].chunk_count * sizeof *read.open[index].chunks);
    }
    lum__checkpoint_fini(&read);
    lum__catalogue_destroy(catalogue);
    assert_int_equal(try_read(fixture.fs, 3), LUM_ERR_NOT_FOUND);
    fixture_fini(&fixture);
}

static void test_empty_and_large(void **state)
{
    (void)state;
    enum { COMMITS = 100000 };
    struct fixture fixture;

    fixture_init(&fixture);
    for (int large = 0; large < 2; large++) {
        struct lum__catalogue *expected, *found;
        struct lum__checkpoint read;
        char label[16];

        assert_int_equal(lum__catalogue_create(&expected), LUM_OK);
        for (uint64_t index = 1; large && index <= COMMITS; index++) {
            (void)snprintf(label, sizeof label, index % 3 == 0 ? "load %d" : "%.0d", (int)(index % 3 == 0 ? index : 0));
            commit(expected, index, index * 2, index, 1, label);
        }
        lum__catalogue_destroy(fixture.catalogue);
        fixture.catalogue = expected;
        fixture.checkpoint.open_count = 0;
        fixture.checkpoint.number++;
        fixture.checkpoint.replay.sequence = 2 * COMMITS;
        fixture.checkpoint.next_data_segment = COMMITS;
        assert_int_equal(write_checkpoint(&fixture), LUM_OK);
        assert_int_equal(lum__catalogue_create(&found), LUM_OK);
        assert_int_equal(lum__checkpoint_read(fixture.fs, fixture.checkpoint.number, chunk_store_id, &read, found),
                         LUM_OK);
        assert_int_equal(read.open_count, 0);
        expect_same_version(expected, found);
        lum__checkpoint_fini(&read);
        lum__catalogue_destroy(found);
    }
    fixture_fini(&fixture);
}

/* ---- the conditions */

enum { /* places in the file; the fixture has 5 chunks, 3 transactions, 2 open ones with 3 chunks, labels, and metadata of
          two transactions, of which the second inherits 12 bytes */
       AT_CHUNKS = 4096,
       AT_TRANSACTIONS = AT_CHUNKS + 5 * 128,
       AT_OPEN = AT_TRANSACTIONS + 3 * 64,
       AT_OPEN_CHUNKS = AT_OPEN + 2 * 64,
       AT_LABELS = AT_OPEN_CHUNKS + 3 * 128,
       AT_METADATA = AT_LABELS + 11,
       FILE_BYTES = AT_METADATA + 12 + 8 + 3 + 8 + 3,
};

struct forgery {
    uint32_t at, byte_count;
    uint64_t value;
    lum_status status;
    uint32_t condition;
};
static const struct forgery forgeries[] = {
    {LUM__CHECKPOINT_BODY_BYTES, 8, FILE_BYTES - 4095, LUM_ERR_CORRUPT, 7},
    {LUM__CHECKPOINT_BODY_BYTES, 8, UINT64_MAX, LUM_ERR_CORRUPT, 7},
    {LUM__CHECKPOINT_CHUNK_COUNT, 8, 6, LUM_ERR_CORRUPT, 7},
    {LUM__CHECKPOINT_CHUNK_COUNT, 8, UINT64_MAX / 128 + 6, LUM_ERR_CORRUPT, 7},
    {LUM__CHECKPOINT_TRANSACTION_COUNT, 8, UINT64_MAX / 64 + 4, LUM_ERR_CORRUPT, 7},
    {LUM__CHECKPOINT_OPEN_COUNT, 8, 3, LUM_ERR_CORRUPT, 7},
    {LUM__CHECKPOINT_OPEN_CHUNK_COUNT, 8, 2, LUM_ERR_CORRUPT, 7},
    {LUM__CHECKPOINT_LABEL_BYTES, 8, 10, LUM_ERR_CORRUPT, 7},
    {LUM__CHECKPOINT_METADATA_BYTES, 8, 33, LUM_ERR_CORRUPT, 7},
    {LUM__CHECKPOINT_METADATA_BYTES, 8, UINT64_MAX, LUM_ERR_CORRUPT, 7},
    {LUM__CHECKPOINT_FOLD_SEQUENCE, 8, 39, LUM_ERR_UNSUPPORTED, 9},
    {LUM__CHECKPOINT_ZERO_1, 4, 1, LUM_ERR_UNSUPPORTED, 9},
    {LUM__CHECKPOINT_ZERO_2, 4, 1, LUM_ERR_UNSUPPORTED, 9},
    {LUM__CHECKPOINT_ZERO_2_END - 4, 4, 1, LUM_ERR_UNSUPPORTED, 9},
    {LUM__CHECKPOINT_REPLAY_SEGMENT, 8, 0, LUM_ERR_CORRUPT, 9},
    {LUM__CHECKPOINT_REPLAY_SEGMENT, 8, 8, LUM_ERR_CORRUPT, 9},
    {LUM__CHECKPOINT_REPLAY_OFFSET, 8, 0, LUM_ERR_CORRUPT, 9},
    {LUM__CHECKPOINT_REPLAY_OFFSET, 8, 8193, LUM_ERR_CORRUPT, 9},
    {AT_TRANSACTIONS + LUM__TRANSACTION_FLAGS, 2, 4, LUM_ERR_UNSUPPORTED, 9},
    {AT_LABELS, 2, 0, LUM_ERR_CORRUPT, 9},
    {AT_CHUNKS + 128 + 0, 8, 0, LUM_ERR_CORRUPT, 1},          /* 5.1: no such place */
    {AT_CHUNKS + 128 + 20, 4, 0, LUM_ERR_CORRUPT, 2},         /* 5.1: rows */
    {AT_OPEN_CHUNKS + 16, 4, 4095, LUM_ERR_CORRUPT, 3},       /* 5.1: bytes */
    {AT_OPEN_CHUNKS + 56, 8, UINT64_MAX, LUM_ERR_CORRUPT, 4}, /* 5.1: minimum */
    {AT_CHUNKS + 120, 8, 1, LUM_ERR_UNSUPPORTED, 5},          /* 5.1: reserved */
    {AT_TRANSACTIONS + 64 + LUM__TRANSACTION_COMMIT_SEQUENCE, 8, 10, LUM_ERR_CORRUPT, 10},
    {AT_TRANSACTIONS + 128 + LUM__TRANSACTION_COMMIT_SEQUENCE, 8, 41, LUM_ERR_CORRUPT, 10},
    {AT_TRANSACTIONS + LUM__TRANSACTION_COMMIT_SEQUENCE, 8, 0, LUM_ERR_CORRUPT, 10},
    {AT_CHUNKS + 128 + 40, 8, 102, LUM_ERR_CORRUPT, 10}, /* another transaction's chunk */
    {AT_CHUNKS + 128 + 48, 8, 11, LUM_ERR_CORRUPT, 10},  /* another sequence */
    {AT_CHUNKS + 128 + 32, 8, 0, LUM_ERR_CORRUPT, 10},   /* ordinals do not ascend */
    {AT_OPEN + LUM__TRANSACTION_COMMIT_SEQUENCE, 8, 5, LUM_ERR_CORRUPT, 10},
    {AT_OPEN + LUM__TRANSACTION_LUM_COUNT, 8, 5, LUM_ERR_CORRUPT, 10},
    {AT_OPEN + LUM__TRANSACTION_LABEL_BYTES, 2, 1, LUM_ERR_CORRUPT, 11},
    {AT_OPEN + LUM__TRANSACTION_METADATA_BYTES, 4, 1, LUM_ERR_CORRUPT, 10},
    {AT_OPEN + LUM__TRANSACTION_METADATA_INHERITED, 4, 1, LUM_ERR_CORRUPT, 10},
    {AT_OPEN_CHUNKS + 40, 8, 105, LUM_ERR_CORRUPT, 10},
    {AT_OPEN_CHUNKS + 48, 8, 1, LUM_ERR_CORRUPT, 10},
    {AT_TRANSACTIONS + LUM__TRANSACTION_LUM_COUNT, 8, 302, LUM_ERR_CORRUPT, 11},
    {AT_TRANSACTIONS + LUM__TRANSACTION_DIGEST, 4, 1, LUM_ERR_CORRUPT, 11},
    {AT_TRANSACTIONS + LUM__TRANSACTION_CHUNK_COUNT, 8, 2, LUM_ERR_CORRUPT, 11},
    {AT_TRANSACTIONS + LUM__TRANSACTION_CHUNK_COUNT, 8, UINT64_MAX, LUM_ERR_CORRUPT, 11},
    {AT_TRANSACTIONS + LUM__TRANSACTION_LABEL_BYTES, 2, 256, LUM_ERR_CORRUPT, 11},
    {AT_TRANSACTIONS + 128 + LUM__TRANSACTION_LABEL_BYTES, 2, 7, LUM_ERR_CORRUPT, 11},
    {AT_TRANSACTIONS + LUM__TRANSACTION_LABEL_BYTES, 2, 4, LUM_ERR_CORRUPT, 11},
    {AT_OPEN + 64 + LUM__TRANSACTION_CHUNK_COUNT, 8, 0, LUM_ERR_CORRUPT, 11},
    {LUM__CHECKPOINT_LUM_COUNT, 8, 1, LUM_ERR_CORRUPT, 11},
    {LUM__CHECKPOINT_DIGEST, 4, 1, LUM_ERR_CORRUPT, 11},
    {AT_TRANSACTIONS + 64 + LUM__TRANSACTION_METADATA_BYTES, 4, 0, LUM_ERR_CORRUPT, 11}, /* and some are left */
    {AT_TRANSACTIONS + LUM__TRANSACTION_METADATA_BYTES, 4, 24, LUM_ERR_CORRUPT, 1},      /* 3.5: not whole items */
    {AT_TRANSACTIONS + 64 + LUM__TRANSACTION_METADATA_INHERITED, 4, 11, LUM_ERR_CORRUPT, 1},
    {AT_METADATA, 2, 0x8001, LUM_ERR_UNSUPPORTED, 2}, /* 3.5: a kind that must be known */
    {AT_METADATA, 2, 0, LUM_ERR_CORRUPT, 3},          /* 3.5: no kind */
    {AT_METADATA + 8, 2, 0, LUM_ERR_CORRUPT, 4},      /* 3.5: a NUL */
    {AT_TRANSACTIONS + LUM__TRANSACTION_METADATA_BYTES, 4, 65537, LUM_ERR_CORRUPT, 13},
    {AT_TRANSACTIONS + LUM__TRANSACTION_METADATA_BYTES, 4, UINT32_MAX, LUM_ERR_CORRUPT, 13},
    {AT_TRANSACTIONS + LUM__TRANSACTION_METADATA_BYTES, 4, 35, LUM_ERR_CORRUPT, 13},     /* more than there are */
    {AT_TRANSACTIONS + LUM__TRANSACTION_METADATA_INHERITED, 4, 1, LUM_ERR_CORRUPT, 13},  /* of none before */
    {AT_TRANSACTIONS + 64 + LUM__TRANSACTION_METADATA_INHERITED, 4, 24, LUM_ERR_CORRUPT, 13},
    {AT_TRANSACTIONS + 64 + LUM__TRANSACTION_METADATA_INHERITED, 4, UINT32_MAX, LUM_ERR_CORRUPT, 13},
    {LUM__CHECKPOINT_ID_RANGE_COUNT, 8, 1, LUM_ERR_CORRUPT, 7}, /* runs: tests/unit/fold_test.c */
    {LUM__CHECKPOINT_ID_RANGE_COUNT, 8, UINT64_MAX, LUM_ERR_CORRUPT, 7},
    {AT_OPEN + LUM__TRANSACTION_RUN_COUNT, 4, 2, LUM_ERR_CORRUPT, 10},
    {AT_OPEN + LUM__TRANSACTION_RUN_SPAN, 4, 2, LUM_ERR_CORRUPT, 10},
    {AT_OPEN + LUM__TRANSACTION_FLAGS, 2, 2, LUM_ERR_CORRUPT, 10},
    {AT_TRANSACTIONS + LUM__TRANSACTION_RUN_COUNT, 4, 2, LUM_ERR_CORRUPT, 14},
    {AT_TRANSACTIONS + LUM__TRANSACTION_RUN_SPAN, 4, 1, LUM_ERR_CORRUPT, 14},
    {AT_TRANSACTIONS + LUM__TRANSACTION_FLAGS, 2, 2, LUM_ERR_CORRUPT, 14},
    {AT_CHUNKS + 128 + 8, 8, 4096, LUM_ERR_CORRUPT, 12},  /* over the first chunk */
    {AT_OPEN_CHUNKS + 8, 8, 8192, LUM_ERR_CORRUPT, 12},   /* an open one over a committed one */
    {AT_CHUNKS + 128 + 16, 4, 8192, LUM_ERR_CORRUPT, 12}, /* into the next one */
    {LUM__CHECKPOINT_NEXT_DATA_SEGMENT, 8, 1, LUM_ERR_CORRUPT, 12},
};

static void forge_crcs(uint8_t *bytes)
{
    lum__put_u32(bytes + LUM__CHECKPOINT_BODY_CRC, lum__crc32c(0, bytes + 4096, FILE_BYTES - 4096));
    lum__header_seal(bytes);
}

static void test_conditions(void **state)
{
    (void)state;
    struct fixture fixture;
    uint8_t *bytes, forged[FILE_BYTES];
    size_t byte_count;

    fixture_init(&fixture);
    assert_int_equal(write_checkpoint(&fixture), LUM_OK);
    assert_int_equal(lum__fs_read_all(fixture.fs, path, FILE_BYTES_MAX, &bytes, &byte_count), LUM_OK);
    assert_int_equal(byte_count, FILE_BYTES);
    for (size_t index = 0; index < sizeof forgeries / sizeof *forgeries; index++) {
        const struct forgery *forgery = &forgeries[index];

        memcpy(forged, bytes, sizeof forged);
        if (forgery->byte_count == 2) lum__put_u16(forged + forgery->at, (uint16_t)forgery->value);
        if (forgery->byte_count == 4) lum__put_u32(forged + forgery->at, (uint32_t)forgery->value);
        if (forgery->byte_count == 8) lum__put_u64(forged + forgery->at, forgery->value);
        forge_crcs(forged);
        assert_int_equal(lum__fs_replace(fixture.fs, path, forged, sizeof forged), LUM_OK);
        lum_status status = try_read(fixture.fs, 4);
        if (status != forgery->status || lum__error_last()->condition != forgery->condition) {
            print_message("forgery %zu: %s, condition %u\n", index, lum__error_last()->message,
                          lum__error_last()->condition);
        }
        assert_int_equal(status, forgery->status);
        assert_int_equal(lum__error_last()->condition, forgery->condition);
        assert_string_equal(lum__error_last()->file, path);
    }
    memcpy(forged, bytes, sizeof forged); /* 4 and the features, of the file header */
    forged[20] ^= 1;
    forge_crcs(forged);
    assert_int_equal(lum__fs_replace(fixture.fs, path, forged, sizeof forged), LUM_OK);
    assert_int_equal(try_read(fixture.fs, 4), LUM_ERR_FOREIGN);
    assert_int_equal(lum__fs_replace(fixture.fs, path, bytes, byte_count), LUM_OK);
    assert_int_equal(try_read(fixture.fs, 4), LUM_OK);
    assert_int_equal(lum__fs_rename(fixture.fs, path, "checkpoint-5"), LUM_OK);
    assert_int_equal(try_read(fixture.fs, 5), LUM_ERR_CORRUPT);
    assert_int_equal(lum__error_last()->condition, 5);
    free(bytes);
    fixture_fini(&fixture);
}

static void test_every_bit_and_length(void **state)
{
    (void)state;
    struct fixture fixture;
    uint8_t *bytes;
    size_t byte_count;

    fixture_init(&fixture);
    assert_int_equal(write_checkpoint(&fixture), LUM_OK);
    for (uint64_t bit = 0; bit < FILE_BYTES * 8; bit++) {
        assert_int_equal(lum__sim_flip_bit(fixture.sim, path, bit), LUM_OK);
        assert_int_equal(try_read(fixture.fs, 4), LUM_ERR_CORRUPT);
        assert_string_equal(lum__error_last()->file, path);
        assert_true(lum__error_last()->condition != 0);
        assert_int_equal(lum__sim_flip_bit(fixture.sim, path, bit), LUM_OK);
    }
    assert_int_equal(lum__fs_read_all(fixture.fs, path, FILE_BYTES_MAX, &bytes, &byte_count), LUM_OK);
    bytes = realloc(bytes, byte_count + 4096);
    memset(bytes + byte_count, 0, 4096);
    for (size_t length = 0; length <= byte_count + 4096;
         length += length == byte_count - 1 || length == byte_count ? 1 : 97) {
        if (length == byte_count) continue;
        assert_int_equal(lum__fs_replace(fixture.fs, path, bytes, length), LUM_OK);
        assert_int_equal(try_read(fixture.fs, 4), LUM_ERR_CORRUPT);
        assert_in_range(lum__error_last()->condition, 1, 7);
    }
    free(bytes);
    fixture_fini(&fixture);
}

/* ---- the protocol */

/* After whatever happened: checkpoint 4 is whole, 5 is whole or not there, and nothing else has a checkpoint's name.
 * True if 5 is there. */
static bool expect_old_or_new(struct lum__fs *fs, struct lum__catalogue *old, struct lum__catalogue *new)
{
    uint64_t numbers[4];
    size_t count;

    assert_int_equal(lum__checkpoint_list(fs, numbers, 4, &count), LUM_OK);
    assert_in_range(count, 1, 2);
    assert_int_equal(numbers[count - 1], 4);
    for (size_t index = 0; index < count; index++) {
        struct lum__checkpoint read;
        struct lum__catalogue *catalogue;
        assert_int_equal(lum__catalogue_create(&catalogue), LUM_OK);
        assert_int_equal(lum__checkpoint_read(fs, numbers[index], chunk_store_id, &read, catalogue), LUM_OK);
        expect_same_version(numbers[index] == 4 ? old : new, catalogue);
        lum__checkpoint_fini(&read);
        lum__catalogue_destroy(catalogue);
    }
    return count == 2;
}

/* Checkpoint 4 on disk, its catalogue kept as *old, and one more transaction so that checkpoint 5 differs. */
static void fixture_with_old(struct fixture *fixture, struct lum__catalogue **old)
{
    struct lum__checkpoint read;

    fixture_init(fixture);
    assert_int_equal(write_checkpoint(fixture), LUM_OK);
    assert_int_equal(lum__catalogue_create(old), LUM_OK);
    assert_int_equal(lum__checkpoint_read(fixture->fs, 4, chunk_store_id, &read, *old), LUM_OK);
    lum__checkpoint_fini(&read);
    commit(fixture->catalogue, 106, 45, 20, 4, "more");
    fixture->checkpoint.number = 5;
    fixture->checkpoint.replay.sequence = 50;
}

static void test_power_cuts(void **state)
{
    (void)state;
    bool is_over = false;
    int new_count = 0, old_count = 0;

    for (uint64_t step = 1; !is_over; step++) {
        for (int mode = 0; mode < 4 * LUM__SIM_MODES; mode++) { /* each mode with several seeds */
            struct fixture fixture;
            struct lum__catalogue *old;

            fixture_with_old(&fixture, &old);
            if (mode % 2 == 1) assert_int_equal(lum__fs_replace(fixture.fs, "STATE", "x", 1), LUM_OK);
            lum__sim_stop_at(fixture.sim, step);
            lum_status status = write_checkpoint(&fixture);
            is_over = !lum__sim_is_stopped(fixture.sim);
            assert_int_equal(status == LUM_OK, is_over);
            lum__sim_power_cut(fixture.sim, mode % LUM__SIM_MODES, step * 1000 + (uint64_t)mode);
            lum__fs_close(fixture.fs);
            assert_int_equal(lum__sim_open(fixture.sim, false, &fixture.fs), LUM_OK);
            bool is_new = expect_old_or_new(fixture.fs, old, fixture.catalogue);
            if (is_over) assert_true(is_new);
            new_count += is_new;
            old_count += !is_new;

            assert_int_equal(write_checkpoint(&fixture),
                             LUM_OK); /* whatever was left is no obstacle, and the second one is whole too */
            assert_true(expect_old_or_new(fixture.fs, old, fixture.catalogue));
            lum__catalogue_destroy(old);
            fixture_fini(&fixture);
        }
    }
    assert_true(new_count > 20 && old_count > 20); /* both happen */
}

static void test_failing_calls(void **state)
{
    (void)state;
    const struct {
        enum lum__sim_call call;
        uint64_t nth;
        int os_errno;
        lum_status status;
    } cases[] = {
        {LUM__SIM_UNLINK, 1, EIO, LUM_ERR_IO},         {LUM__SIM_CREATE, 1, ENOSPC, LUM_ERR_NO_SPACE},
        {LUM__SIM_WRITE, 1, ENOSPC, LUM_ERR_NO_SPACE}, {LUM__SIM_WRITE, 2, EIO, LUM_ERR_IO},
        {LUM__SIM_SYNC, 1, EIO, LUM_ERR_SYNC},         {LUM__SIM_RENAME, 1, ENOSPC, LUM_ERR_NO_SPACE},
        {LUM__SIM_SYNC_DIR, 1, EIO, LUM_ERR_SYNC},
    };

    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        struct fixture fixture;
        struct lum__catalogue *old;
        struct lum__sim_fault fault = {
            .call = cases[index].call, .nth = cases[index].nth, .os_errno = cases[index].os_errno};
        uint64_t size_bytes;

        fixture_with_old(&fixture, &old);
        lum__sim_arm(fixture.sim, &fault);
        assert_int_equal(write_checkpoint(&fixture), cases[index].status);
        assert_int_equal(lum__error_last()->os_errno, cases[index].os_errno); /* not that of the cleaning up */
        lum__sim_disarm(fixture.sim);
        bool is_new = expect_old_or_new(fixture.fs, old, fixture.catalogue);
        assert_int_equal(is_new, cases[index].call == LUM__SIM_SYNC_DIR);
        assert_int_equal(lum__sim_file_size(fixture.sim, "checkpoint-5.tmp", &size_bytes), LUM_ERR_NOT_FOUND);
        assert_int_equal(write_checkpoint(&fixture), LUM_OK);
        assert_true(expect_old_or_new(fixture.fs, old, fixture.catalogue));
        lum__catalogue_destroy(old);
        fixture_fini(&fixture);
    }
}

static void test_unreadable(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth < 20; nth++) {
        struct fixture fixture;
        struct lum__sim_fault fault = {.call = LUM__SIM_READ, .nth = nth, .os_errno = EIO};

        fixture_init(&fixture);
        assert_int_equal(write_checkpoint(&fixture), LUM_OK);
        lum__sim_arm(fixture.sim, &fault);
        lum_status status = try_read(fixture.fs, 4);
        assert_true(status == LUM_ERR_IO || (status == LUM_OK && nth > 3));
        if (status == LUM_ERR_IO) assert_string_equal(lum__error_last()->file, path);
        fixture_fini(&fixture);
    }
}

static void test_list(void **state)
{
    (void)state;
    const char *names[] = {"checkpoint-9",
                           "checkpoint-10",
                           "checkpoint-1",
                           "checkpoint-01",
                           "checkpoint-",
                           "checkpoint-0",
                           "checkpoint-3x",
                           "checkpoint-4.tmp",
                           "xcheckpoint-5",
                           "STATE",
                           "checkpoint-200",
                           "checkpoint-18446744073709551615",
                           "checkpoint-18446744073709551616"};
    struct fixture fixture;
    uint64_t numbers[8];
    size_t count;

    fixture_init(&fixture);
    for (size_t index = 0; index < sizeof names / sizeof *names; index++) {
        assert_int_equal(lum__fs_replace(fixture.fs, names[index], "x", 1), LUM_OK);
    }
    assert_int_equal(lum__checkpoint_list(fixture.fs, numbers, 8, &count), LUM_OK);
    const uint64_t all[] = {UINT64_MAX, 200, 10, 9, 1};
    assert_int_equal(count, 5);
    assert_memory_equal(numbers, all, sizeof all);
    assert_int_equal(lum__checkpoint_list(fixture.fs, numbers, 2, &count), LUM_OK);
    assert_int_equal(count, 2);
    assert_memory_equal(numbers, all, 2 * sizeof *all);
    fixture_fini(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),           cmocka_unit_test(test_empty_and_large),
        cmocka_unit_test(test_conditions),           cmocka_unit_test(test_power_cuts),
        cmocka_unit_test(test_every_bit_and_length), cmocka_unit_test(test_failing_calls),
        cmocka_unit_test(test_unreadable),           cmocka_unit_test(test_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
