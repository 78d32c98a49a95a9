/* Proves that a commit is published whole and in order, that a pinned version never changes whatever is committed
 * beside it, that what does not add up is refused without a trace, that labels are found, and that 100,000 small
 * commits take no time. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/random.h"
#include "base/status.h"
#include "storage/catalogue.h"

/* Chunk `ordinal` of a transaction: what it says is a function of both. */
static struct lum__chunk_entry make_chunk(uint64_t transaction_id, uint64_t ordinal)
{
    uint64_t seed = transaction_id * 1000003 + ordinal;
    return (struct lum__chunk_entry){
        .segment = 1,
        .offset = 4096 * (ordinal + 1),
        .byte_count = 4096,
        .row_count = (uint32_t)(lum__splitmix64(&seed) % 5000 + 1),
        .digest = (uint32_t)lum__splitmix64(&seed),
        .lum_digest = (uint32_t)lum__splitmix64(&seed),
        .ordinal = ordinal,
        .transaction_id = transaction_id,
    };
}

/* Fills chunks (in source order) and the transaction that they make. */
static struct lum__transaction make_transaction(uint64_t transaction_id, uint64_t sequence,
                                                struct lum__chunk_entry *chunks, size_t count)
{
    struct lum__transaction transaction = {.transaction_id = transaction_id,
                                           .commit_sequence = sequence,
                                           .commit_timestamp = 5,
                                           .chunk_count = count,
                                           .label = ""};

    for (size_t index = 0; index < count; index++) {
        chunks[index] = make_chunk(transaction_id, index * 10); /* ordinals ascend, they need not be dense */
        transaction.lum_count += chunks[index].row_count;
        transaction.digest =
            lum__crc32c_combine(transaction.digest, chunks[index].lum_digest, 4 * (uint64_t)chunks[index].row_count);
    }
    return transaction;
}

static void test_commit_and_order(void **state)
{
    (void)state;
    struct lum__catalogue *catalogue;
    struct lum__chunk_entry chunks[3];

    assert_int_equal(lum__catalogue_create(&catalogue), LUM_OK);
    const struct lum__catalogue_version *empty = lum__catalogue_pin(catalogue);
    assert_int_equal(empty->chunk_count + empty->transaction_count + empty->lum_count, 0);

    struct lum__transaction transaction = make_transaction(11, 100, chunks, 3);
    struct lum__chunk_entry last = chunks[2];
    chunks[2] = chunks[0]; /* handed over in another order */
    chunks[0] = last;
    assert_int_equal(lum__catalogue_commit(catalogue, &transaction, chunks, 3), LUM_OK);

    const struct lum__catalogue_version *version = lum__catalogue_pin(catalogue);
    assert_int_equal(version->chunk_count, 3);
    assert_int_equal(version->transaction_count, 1);
    assert_int_equal(version->lum_count, transaction.lum_count);
    assert_int_equal(version->data_bytes, 3 * 4096);
    assert_int_equal(version->last_commit_sequence, 100);
    assert_int_equal(version->digest, transaction.digest);
    for (size_t index = 0; index < 3; index++) {
        assert_int_equal(version->chunks[index].ordinal, index * 10);
        assert_int_equal(version->chunks[index].commit_sequence, 100);
    }
    assert_int_equal(empty->chunk_count, 0);
    lum__catalogue_unpin(catalogue, empty);
    lum__catalogue_unpin(catalogue, version);
    lum__catalogue_destroy(catalogue);
}

static void test_refusals_leave_no_trace(void **state)
{
    (void)state;
    struct lum__catalogue *catalogue;
    struct lum__chunk_entry chunks[4];
    struct lum__transaction transaction;

    assert_int_equal(lum__catalogue_create(&catalogue), LUM_OK);
    transaction = make_transaction(1, 50, chunks, 1);
    assert_int_equal(lum__catalogue_commit(catalogue, &transaction, chunks, 1), LUM_OK);

    for (int fault = 0; fault < 7; fault++) {
        size_t chunk_count = 4;
        transaction = make_transaction(2, 60, chunks, 4);
        transaction.label = "never";
        switch (fault) {
        case 0: chunk_count = 3; break;
        case 1: transaction.lum_count++; break;
        case 2: transaction.digest ^= 1; break;
        case 3: chunks[1].ordinal = chunks[2].ordinal; break;
        case 4: chunks[3].transaction_id = 1; break;
        case 5: transaction.commit_sequence = 50; break;
        case 6: chunks[0].row_count++, chunks[1].row_count--; break; /* the same sum in other places */
        }
        assert_int_equal(lum__catalogue_commit(catalogue, &transaction, chunks, chunk_count), LUM_ERR_CORRUPT);
        const struct lum__catalogue_version *version = lum__catalogue_pin(catalogue);
        assert_int_equal(version->chunk_count, 1);
        assert_int_equal(version->transaction_count, 1);
        assert_int_equal(version->last_commit_sequence, 50);
        lum__catalogue_unpin(catalogue, version);
        assert_null(lum__catalogue_find_label(catalogue, "never"));
    }
    lum__catalogue_destroy(catalogue);
}

static void test_labels(void **state)
{
    (void)state;
    struct lum__catalogue *catalogue;
    char text[32];

    assert_int_equal(lum__catalogue_create(&catalogue), LUM_OK);
    for (uint64_t index = 1; index <= 1000; index++) {
        struct lum__chunk_entry chunk;
        struct lum__transaction transaction = make_transaction(index, index * 2, &chunk, 1);
        (void)snprintf(text, sizeof text, "load-%d", (int)(index % 700)); /* 1..300 come twice: the newest counts */
        transaction.label = text;
        assert_int_equal(lum__catalogue_commit(catalogue, &transaction, &chunk, 1), LUM_OK);
    }
    memset(text, 'x', sizeof text - 1); /* the caller's string is not needed any more */
    for (uint64_t label = 0; label < 700; label++) {
        uint64_t index = label + 700 <= 1000 ? label + 700 : label;
        (void)snprintf(text, sizeof text, "load-%d", (int)label);
        const struct lum__transaction *transaction = lum__catalogue_find_label(catalogue, text);
        assert_non_null(transaction);
        assert_int_equal(transaction->transaction_id, index);
        assert_string_equal(transaction->label, text);
    }
    assert_null(lum__catalogue_find_label(catalogue, "load-700"));
    assert_null(lum__catalogue_find_label(catalogue, ""));
    const struct lum__catalogue_version *version = lum__catalogue_pin(catalogue);
    assert_string_equal(version->transactions[4].label, "load-5");
    lum__catalogue_unpin(catalogue, version);
    lum__catalogue_destroy(catalogue);
}

/* Commits of two loads that alternate, each with its items in all commits and a resume point of its own in each. */
static void test_metadata_is_copied_once(void **state)
{
    (void)state;
    struct lum__catalogue *catalogue;
    uint8_t items[2][12] = {"\x01\0\0\0\x04\0\0\0id=", "\x02\0\0\0\x04\0\0\0a.c"};
    char resume[24];

    assert_int_equal(lum__catalogue_create(&catalogue), LUM_OK);
    for (uint64_t index = 1; index <= 100; index++) {
        struct lum__transaction transaction = make_transaction(index, index * 2, NULL, 0);
        transaction.label = index % 2 == 0 ? "even" : "odd";
        transaction.metadata.items = items[index % 2];
        transaction.metadata.item_bytes = sizeof items[0];
        transaction.metadata.resume_bytes = (uint32_t)snprintf(resume, sizeof resume, "r%d", (int)index);
        transaction.metadata.resume = (const uint8_t *)resume;
        assert_int_equal(lum__catalogue_commit(catalogue, &transaction, NULL, 0), LUM_OK);
    }
    const struct lum__catalogue_version *version = lum__catalogue_pin(catalogue);
    for (size_t index = 0; index < 100; index++) {
        const struct lum__metadata *metadata = &version->transactions[index].metadata;
        assert_memory_equal(metadata->items, items[(index + 1) % 2], sizeof items[0]);
        assert_ptr_not_equal(metadata->items, items[(index + 1) % 2]);
        assert_ptr_equal(metadata->items, version->transactions[index % 2].metadata.items);
        assert_int_equal(metadata->resume_bytes, snprintf(resume, sizeof resume, "r%d", (int)index + 1));
        assert_memory_equal(metadata->resume, resume, metadata->resume_bytes);
    }
    const struct lum__metadata *newest = &lum__catalogue_find_label(catalogue, "odd")->metadata;
    assert_true(lum__metadata_is_same(newest, &version->transactions[98].metadata));
    lum__catalogue_unpin(catalogue, version);
    lum__catalogue_destroy(catalogue);
}

static void test_many_small_commits(void **state)
{
    (void)state;
    enum { COMMITS = 100000 };
    struct lum__catalogue *catalogue;
    uint64_t begin = lum__clock_monotonic_ns();
    uint64_t rows = 0;

    assert_int_equal(lum__catalogue_create(&catalogue), LUM_OK);
    for (uint64_t index = 1; index <= COMMITS; index++) {
        struct lum__chunk_entry chunk;
        struct lum__transaction transaction = make_transaction(index, index, &chunk, 1);
        assert_int_equal(lum__catalogue_commit(catalogue, &transaction, &chunk, 1), LUM_OK);
        rows += transaction.lum_count;
    }
    const struct lum__catalogue_version *version = lum__catalogue_pin(catalogue);
    assert_int_equal(version->chunk_count, COMMITS);
    assert_int_equal(version->lum_count, rows);
    assert_int_equal(version->digest, lum__catalogue_digest(0, version->chunks, version->chunk_count));
    lum__catalogue_unpin(catalogue, version);
    lum__catalogue_destroy(catalogue);
    /* about 0.1 s; were a commit linear in what is there, this would be minutes, even under a sanitizer */
    assert_true(lum__clock_monotonic_ns() - begin < 20 * (uint64_t)1000000000);
}

struct race {
    struct lum__catalogue *catalogue;
    atomic_bool is_over;
};

/* Pins, and checks that the pinned version is whole: its digest and row count are those of its chunks. */
static void *pin_and_check(void *context)
{
    struct race *race = context;
    uint64_t last_sequence = 0;
    uintptr_t failures = 0;

    while (!atomic_load(&race->is_over)) {
        const struct lum__catalogue_version *version = lum__catalogue_pin(race->catalogue);
        uint64_t rows = 0;
        for (size_t index = 0; index < version->chunk_count; index++) rows += version->chunks[index].row_count;
        if (rows != version->lum_count || version->last_commit_sequence < last_sequence) failures++;
        if (lum__catalogue_digest(0, version->chunks, version->chunk_count) != version->digest) failures++;
        last_sequence = version->last_commit_sequence;
        lum__catalogue_unpin(race->catalogue, version);
    }
    return (void *)failures;
}

static void test_pins_beside_commits(void **state)
{
    (void)state;
    struct race race = {.is_over = false};
    pthread_t threads[3];

    assert_int_equal(lum__catalogue_create(&race.catalogue), LUM_OK);
    for (size_t index = 0; index < 3; index++)
        assert_int_equal(pthread_create(&threads[index], NULL, pin_and_check, &race), 0);
    for (uint64_t index = 1; index <= 500; index++) {
        struct lum__chunk_entry chunks[5];
        struct lum__transaction transaction = make_transaction(index, index, chunks, index % 6);
        assert_int_equal(lum__catalogue_commit(race.catalogue, &transaction, chunks, index % 6), LUM_OK);
    }
    atomic_store(&race.is_over, true);
    for (size_t index = 0; index < 3; index++) {
        void *failures;
        assert_int_equal(pthread_join(threads[index], &failures), 0);
        assert_null(failures);
    }
    lum__catalogue_destroy(race.catalogue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commit_and_order),
        cmocka_unit_test(test_refusals_leave_no_trace),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_metadata_is_copied_once),
        cmocka_unit_test(test_many_small_commits),
        cmocka_unit_test(test_pins_beside_commits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
