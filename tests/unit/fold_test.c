/* Folding in the catalogue: what the version before, the folded one and a reader of its checkpoint see; that an old version keeps its rows; and each part of
 * condition 14 of docs/format.md section 5, under right CRCs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/status.h"
#include "storage/catalogue.h"
#include "storage/checkpoint_layout.h"
#include "storage/file_sim.h"
#include "storage/row_table.h"

enum { EPOCH_SHIFT = 40, TRANSACTIONS = 5, FILE_BYTES_MAX = 65536 };
#define ID(n) ((UINT64_C(2) << EPOCH_SHIFT) + (n))

/* Five small transactions of n + 1 rows each, sequences 10, 12, ... ; number 2 has a label; ids 1, 2, 4, 5 and 3 come in this order. */
static const uint64_t ids[TRANSACTIONS + 1] = {1, 2, 4, 5, 3, 6};

static void fill_rows(lum_t *rows, uint64_t number)
{
    for (uint64_t i = 0; i <= number; i++) {
        rows[i] = (lum_t){.id = number * 10 + i, .timestamp = 99, .presence = 1};
        rows[i].checksum = lum_record_checksum(&rows[i]);
    }
}

static void commit_small(struct lum__catalogue *catalogue, uint64_t number)
{
    lum_t rows[TRANSACTIONS + 1];
    fill_rows(rows, number);
    struct lum__transaction transaction = {.transaction_id = ID(ids[number]),
                                           .commit_sequence = 10 + 2 * number,
                                           .commit_timestamp = 1000 + number,
                                           .lum_count = number + 1,
                                           .digest = lum__rows_digest(0, rows, number + 1),
                                           .label = number == 2 ? "third" : ""};
    assert_int_equal(lum__catalogue_commit_rows(catalogue, &transaction, rows, 1, 4096), LUM_OK);
}

/* What the fold's chunk would be. */
static struct lum__chunk_entry chunk_of_all(const struct lum__catalogue_version *version)
{
    struct lum__chunk_entry chunk = {.segment = 1, .offset = 4096, .byte_count = 4096, .digest = 77, .transaction_id = ID(1)};
    for (size_t i = 0; i < version->chunk_count; i++) chunk.row_count += version->chunks[i].row_count;
    chunk.lum_digest = version->digest;
    chunk.range = (struct lum__range){.id_max = 99, .timestamp_min = 99, .timestamp_max = 99};
    return chunk;
}

static void fold_all(struct lum__catalogue *catalogue)
{
    struct lum__catalogue_fold *fold = NULL;
    const struct lum__catalogue_version *version = lum__catalogue_pin(catalogue);
    struct lum__chunk_entry chunk = chunk_of_all(version);
    struct lum__fold_group group = {.first = 0, .count = version->transaction_count, .first_chunk = 0, .chunk_count = 1};
    for (size_t i = 0; i < version->transaction_count; i++) assert_true(lum__transaction_is_foldable(version, &version->transactions[i], i));
    lum__catalogue_unpin(catalogue, version);
    assert_int_equal(lum__catalogue_fold_prepare(catalogue, &group, 1, &chunk, &fold), LUM_OK);
    lum__catalogue_fold_discard(fold); /* nothing has changed */
    assert_int_equal(lum__catalogue_fold_prepare(catalogue, &group, 1, &chunk, &fold), LUM_OK);
    lum__catalogue_fold_publish(fold);
}

static void expect_folded(struct lum__catalogue *catalogue, uint32_t digest)
{
    const struct lum__catalogue_version *version = lum__catalogue_pin(catalogue);
    assert_int_equal(version->chunk_count, 1);
    assert_int_equal(version->transaction_count, 2);
    assert_int_equal(version->committed_count, TRANSACTIONS);
    assert_int_equal(version->lum_count, 15);
    assert_int_equal(version->digest, digest);
    assert_int_equal(version->unfolded_count + version->unfolded_bytes, 0);
    assert_int_equal(version->last_commit_sequence, 18);
    const struct lum__transaction *run = &version->transactions[0], *member = &version->transactions[1];
    assert_true(run->transaction_id == ID(1) && run->run_count == TRANSACTIONS && run->run_span == 8 && run->commit_sequence == 18);
    assert_true(run->lum_count == 15 && run->chunk_count == 1 && run->digest == digest && run->commit_timestamp == 1004 && run->label[0] == 0);
    assert_true(member->is_member && member->transaction_id == ID(4) && member->commit_sequence == 14 && member->lum_count == 3);
    assert_string_equal(member->label, "third");
    assert_int_equal(version->folded_id_count, 1);
    for (uint64_t id = 1; id <= TRANSACTIONS; id++) assert_true(lum__catalogue_has_id(version, ID(id)));
    assert_false(lum__catalogue_has_id(version, ID(0)) || lum__catalogue_has_id(version, ID(6)));
    lum__catalogue_unpin(catalogue, version);
    const struct lum__transaction *found = lum__catalogue_find_label(catalogue, "third");
    assert_true(found != NULL && found->transaction_id == ID(4));
}

static void an_old_version_keeps_its_rows(void **state)
{
    (void)state;
    struct lum__catalogue *catalogue = NULL;
    assert_int_equal(lum__catalogue_create(&catalogue), LUM_OK);
    for (uint64_t i = 0; i < TRANSACTIONS; i++) commit_small(catalogue, i);
    const struct lum__catalogue_version *before = lum__catalogue_pin(catalogue);
    assert_int_equal(before->unfolded_count, TRANSACTIONS);
    assert_true(before->unfolded_bytes > 15 * sizeof(lum_t));
    uint32_t digest = before->digest;
    fold_all(catalogue);
    expect_folded(catalogue, digest);
    for (uint64_t i = 0; i < TRANSACTIONS; i++) {
        lum_t rows[TRANSACTIONS];
        fill_rows(rows, i);
        assert_memory_equal(before->chunks[i].rows, rows, (i + 1) * sizeof *rows);
        assert_int_equal(before->chunks[i].range.id_max, i * 10 + i);
    }
    lum__catalogue_unpin(catalogue, before);
    commit_small(catalogue, TRANSACTIONS); /* goes on in a new row table */
    lum__catalogue_destroy(catalogue);
}

/* --------------------------------------------------------------------------------------------------------- checkpoint */

enum { AT_RUN = 4096 + 128, AT_MEMBER = AT_RUN + 64, AT_LABELS = AT_MEMBER + 64, AT_RANGES = AT_LABELS + 5, FILE_BYTES = AT_RANGES + 16 };

static const uint8_t store_id[16] = {1, 2, 3};

static lum_status read_back(struct lum__fs *fs, const uint8_t *bytes, struct lum__catalogue *catalogue)
{
    struct lum__checkpoint checkpoint;
    if (bytes != NULL) assert_int_equal(lum__fs_replace(fs, "checkpoint-1", bytes, FILE_BYTES), LUM_OK);
    lum_status status = lum__checkpoint_read(fs, 1, store_id, &checkpoint, catalogue);
    if (status == LUM_OK) lum__checkpoint_fini(&checkpoint);
    return status;
}

struct forgery {
    uint32_t at, byte_count;
    uint64_t value;
    uint32_t condition;
};
static const struct forgery forgeries[] = {
    {AT_RUN + LUM__TRANSACTION_RUN_COUNT, 4, 1, 14},
    {AT_RUN + LUM__TRANSACTION_RUN_COUNT, 4, 4, 14},  /* the ranges hold more */
    {AT_RUN + LUM__TRANSACTION_RUN_COUNT, 4, 10, 14}, /* more than sequences */
    {AT_RUN + LUM__TRANSACTION_RUN_SPAN, 4, 3, 14},
    {AT_RUN + LUM__TRANSACTION_RUN_SPAN, 4, 18, 14},  /* from sequence 0 */
    {AT_RUN + LUM__TRANSACTION_FLAGS, 2, 2, 14},      /* a run that is a member */
    {AT_MEMBER + LUM__TRANSACTION_RUN_COUNT, 4, 2, 14},
    {AT_MEMBER + LUM__TRANSACTION_RUN_SPAN, 4, 1, 14},
    {AT_MEMBER + LUM__TRANSACTION_FLAGS, 2, 0, 10},             /* no member: out of order */
    {AT_MEMBER + LUM__TRANSACTION_CHUNK_COUNT, 8, 1, 11},       /* there are no more */
    {AT_MEMBER + LUM__TRANSACTION_COMMIT_SEQUENCE, 8, 9, 11},   /* before its run */
    {AT_MEMBER + LUM__TRANSACTION_COMMIT_SEQUENCE, 8, 19, 11},  /* behind it */
    {AT_RANGES, 8, ID(2), 14},
    {AT_RANGES, 8, 0, 14},
    {AT_RANGES + 8, 8, ID(6), 14},
    {AT_RANGES + 8, 8, ID(0), 14},
    {AT_RANGES, 8, ID(5) - (UINT64_C(1) << EPOCH_SHIFT), 14},
};

static void condition_14_is_checked(void **state)
{
    (void)state;
    struct lum__sim *sim = lum__sim_create(1);
    struct lum__fs *fs = NULL;
    struct lum__catalogue *catalogue = NULL;
    struct lum__checkpoint checkpoint = {
        .number = 1, .epoch = 2, .timestamp = 5, .replay = {.segment = 1, .offset = 8192, .sequence = 20}, .next_data_segment = 2, .next_wal_segment = 2};
    memcpy(checkpoint.store_id, store_id, sizeof store_id);
    assert_int_equal(lum__sim_open(sim, false, &fs), LUM_OK);
    assert_int_equal(lum__catalogue_create(&catalogue), LUM_OK);
    for (uint64_t i = 0; i < TRANSACTIONS; i++) commit_small(catalogue, i);
    fold_all(catalogue);
    const struct lum__catalogue_version *version = lum__catalogue_pin(catalogue);
    uint32_t digest = version->digest;
    assert_int_equal(lum__checkpoint_write(fs, &checkpoint, version), LUM_OK);
    lum__catalogue_unpin(catalogue, version);
    lum__catalogue_destroy(catalogue);

    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    assert_int_equal(lum__catalogue_create(&catalogue), LUM_OK);
    assert_int_equal(read_back(fs, NULL, catalogue), LUM_OK);
    expect_folded(catalogue, digest);
    lum__catalogue_destroy(catalogue);
    assert_int_equal(lum__fs_read_all(fs, "checkpoint-1", FILE_BYTES_MAX, &bytes, &byte_count), LUM_OK);
    assert_int_equal(byte_count, FILE_BYTES);
    for (size_t i = 0; i < sizeof forgeries / sizeof *forgeries; i++) {
        uint8_t forged[FILE_BYTES];
        memcpy(forged, bytes, sizeof forged);
        for (uint32_t byte = 0; byte < forgeries[i].byte_count; byte++) forged[forgeries[i].at + byte] = (uint8_t)(forgeries[i].value >> 8 * byte);
        lum__put_u32(forged + LUM__CHECKPOINT_BODY_CRC, lum__crc32c(0, forged + 4096, FILE_BYTES - 4096));
        lum__header_seal(forged);
        assert_int_equal(lum__catalogue_create(&catalogue), LUM_OK);
        lum_status status = read_back(fs, forged, catalogue);
        if (status != LUM_ERR_CORRUPT || lum__error_last()->condition != forgeries[i].condition)
            fail_msg("forgery %zu: %s, condition %u: %s", i, lum_status_name(status), lum__error_last()->condition, lum__error_last()->message);
        lum__catalogue_destroy(catalogue);
    }
    free(bytes);
    lum__fs_close(fs);
    lum__sim_destroy(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_old_version_keeps_its_rows),
        cmocka_unit_test(condition_14_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
