/* Proves that the page decoder answers any bytes without crashing, looping or leaving its buffers (run it under a
 * sanitizer to see the last), alike at every instruction level, and that what it accepts is a page: its rows encode and
 * decode to themselves.
 *
 * Without LUM_LIBFUZZER: mutates good pages, LUM_ROUNDS times from LUM_SEED. With it: the entry point of libFuzzer,
 *   clang -fsanitize=fuzzer,address -DLUM_LIBFUZZER ... (tests/README.md) */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/random.h"
#include "storage/page_kernel.h"
#include "storage/record.h"
#include "support/page_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DEMAND(truth)                                                                                                  \
    do {                                                                                                               \
        if (!(truth)) {                                                                                                \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #truth);                                                \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

static void *aligned(size_t bytes)
{
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    DEMAND(memory != NULL);
    memset(memory, 0, (bytes + 63) / 64 * 64);
    return memory;
}

/* Rows that were accepted are rows: they go through a page of their own unchanged. */
static void check_accepted(struct lum__page_scratch *scratch, const lum_t *rows, uint32_t row_count, uint32_t digest)
{
    static uint8_t *page;
    static lum_t *back;
    if (page == NULL) {
        page = aligned(LUM__PAGE_BYTES_MAX);
        back = aligned(LUM__PAGE_ROWS_MAX * sizeof *back);
    }
    struct lum__page_summary summary;
    uint32_t condition, at;
    lum__page_encode(scratch, rows, row_count, true, page, &summary);
    DEMAND(summary.row_fault == LUM__ROW_OK);
    DEMAND(summary.lum_digest == digest);
    DEMAND(lum__page_decode(scratch, page, summary.byte_count, row_count, digest, back, &condition, &at));
    DEMAND(memcmp(back, rows, row_count * sizeof *rows) == 0);
}

/* Checking a page without making rows of it proves neither more nor less. */
static void check_answers_alike(struct lum__page_scratch *scratch, const uint8_t *page, size_t size, uint32_t row_count,
                                uint32_t digest, bool is_good, uint32_t condition, uint32_t at)
{
    struct lum__range range;
    uint32_t condition_found, at_found;
    DEMAND(lum__page_check(scratch, page, size, row_count, digest, &range, &condition_found, &at_found) == is_good);
    DEMAND(condition_found == condition && at_found == at);
}

/* The page alone: row count and digest are taken from it, as a directory that agrees would have them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const levels[] = {"baseline", "avx2", "avx512"};
    static struct lum__page_scratch *scratch;
    if (scratch == NULL) scratch = aligned(lum__page_scratch_bytes());
    uint32_t row_count = size >= 20 ? lum__get_u32(data + LUM__PAGE_AT_ROW_COUNT) : 1;
    uint32_t digest = size >= 20 ? lum__get_u32(data + LUM__PAGE_AT_LUM_DIGEST) : 0;
    if (row_count == 0 || row_count > LUM__PAGE_ROWS_MAX) row_count = 1;
    uint8_t *page = malloc(size != 0 ? size : 1); /* of the exact size, so that a sanitizer sees the end */
    lum_t *rows = malloc(row_count * sizeof *rows);
    DEMAND(page != NULL && rows != NULL);
    if (size != 0) memcpy(page, data, size);

    bool is_good[3] = {false, false, false};
    uint32_t condition[3] = {0}, at[3] = {0}, first = 3;
    for (uint32_t level = 0; level < 3; level++) {
        const struct lum__page_kernel *kernel = lum__page_kernel_by_name(levels[level]);
        if (kernel == NULL) continue;
        lum__page_kernel_force(kernel);
        is_good[level] = lum__page_decode(scratch, page, size, row_count, digest, rows, &condition[level], &at[level]);
        if (first == 3) first = level;
        DEMAND(is_good[level] == is_good[first]);
        DEMAND(condition[level] == condition[first]);
        DEMAND(at[level] == at[first]);
        DEMAND(is_good[level] ||
               (condition[level] >= LUM__PAGE_BAD_LENGTH && condition[level] <= LUM__PAGE_WRONG_DIGEST));
        check_answers_alike(scratch, page, size, row_count, digest, is_good[level], condition[level], at[level]);
        if (is_good[level]) check_accepted(scratch, rows, row_count, digest);
    }
    lum__page_kernel_force(NULL);

    struct lum__page_column columns[LUM__PAGE_COLUMNS];
    uint32_t count, where, why;
    if (lum__page_columns(page, size, columns, 3, &count, &why, &where)) DEMAND(count == 3);
    free(page);
    free(rows);
    return 0;
}

#ifndef LUM_LIBFUZZER

static uint64_t random_state;
static uint32_t pick(uint32_t below) { return (uint32_t)(lum__splitmix64(&random_state) % below); }

/* A good page of some kind. */
static uint32_t good_page(uint8_t *page)
{
    static struct lum__page_scratch *scratch;
    static lum_t *rows;
    static struct page_rows_walk walk;
    if (scratch == NULL) {
        scratch = aligned(lum__page_scratch_bytes());
        rows = aligned(LUM__PAGE_ROWS_MAX * sizeof *rows);
    }
    uint32_t row_count = pick(3) ? 1 + pick(300) : 1 + pick(LUM__PAGE_ROWS_MAX);
    uint32_t kind = pick(4);
    if (kind == 0) page_rows_seed(rows, pick(100000), row_count);
    if (kind == 1) page_rows_random(rows, pick(100000), row_count);
    if (kind >= 2) page_rows_tracks(rows, pick(100000), row_count, &walk);
    if (kind == 3)
        for (uint32_t i = 0; i < row_count; i++) rows[i].memory_address = lum__splitmix64(&random_state);
    struct lum__page_summary summary;
    lum__page_encode(scratch, rows, row_count, false, page, &summary);
    return summary.byte_count;
}

static void mutate(uint8_t *page, uint32_t *byte_count)
{
    static const uint8_t odd[] = {0, 1, 2, 5, 6, 7, 31, 32, 33, 63, 64, 65, 127, 128, 255};
    uint32_t mutations = 1 + pick(3);
    for (uint32_t i = 0; i < mutations; i++) {
        uint32_t region = pick(4); /* the interesting bytes are in front */
        uint32_t limit = region == 0   ? 24
                         : region == 1 ? LUM__PAGE_PAYLOAD_AT
                         : region == 2 ? LUM__PAGE_PAYLOAD_AT + 256
                                       : *byte_count;
        uint32_t place = pick(limit < *byte_count ? limit : *byte_count);
        switch (pick(5)) {
        case 0: page[place] ^= (uint8_t)(1u << pick(8)); break;
        case 1: page[place] = odd[pick(sizeof odd)]; break;
        case 2: page[place] = (uint8_t)pick(256); break;
        case 3: page[place] = page[pick(*byte_count)]; break;
        default:
            if (pick(4) == 0) { /* cut or grow, with a header that says so */
                *byte_count = pick(2) ? 64 * (1 + pick(*byte_count / 64)) : *byte_count + 64 * pick(20);
                if (*byte_count > LUM__PAGE_BYTES_MAX) *byte_count = LUM__PAGE_BYTES_MAX;
                lum__put_u32(page + LUM__PAGE_AT_BYTE_COUNT, *byte_count);
            }
        }
    }
}

int main(void)
{
    const char *seed = getenv("LUM_SEED"), *rounds = getenv("LUM_ROUNDS");
    uint64_t first = seed != NULL ? strtoull(seed, NULL, 0) : 1,
             count = rounds != NULL ? strtoull(rounds, NULL, 0) : 20000;
    uint8_t *page = aligned(2 * LUM__PAGE_BYTES_MAX);
    for (uint64_t round = 0; round < count; round++) {
        random_state = first + round; /* so that LUM_SEED=<the last one printed> LUM_ROUNDS=1 replays */
        uint32_t byte_count = good_page(page);
        memset(page + byte_count, 0, 64 * 20);
        if (round % 16 != 0) mutate(page, &byte_count);
        if (round % 5000 == 0) fprintf(stderr, "LUM_SEED=%llu ...\n", (unsigned long long)(first + round));
        LLVMFuzzerTestOneInput(page, byte_count);
    }
    printf("%llu pages from LUM_SEED=%llu\n", (unsigned long long)count, (unsigned long long)first);
    free(page);
    return 0;
}

#endif
