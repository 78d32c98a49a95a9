/* storage/page_check.c - is a page valid? What a decode proves (docs/format.md 6.4), without making rows of it.
 *
 * The digest is the CRC, over all rows, of the CRC of each row's words. But for its initial value and final xor a CRC is
 * linear: the sum (xor) of each word times a power of x that only its place decides, modulo the polynomial. So words and
 * rows may be summed in the other order: first each word over all rows (a CRC over an array of 32-bit values, which is
 * much faster than eight rows' CRCs abreast), then those sums, as if they were a row. The result is the same number. */
#include <string.h>

#include "base/crc32c.h"
#include "storage/page_kernel.h"
#include "storage/record.h"

enum {
    RECORD_WORDS = sizeof(lum_t) / 4,
    WORD_OF_X = offsetof(lum_t, position_x) / 4,
    WORD_OF_FLAGS = offsetof(lum_t, presence) / 4,
};

/* A record in which every word is known for all rows at once: the words that are the same in all of them, and of the
 * others the linear CRC over the rows. */
struct record_sum {
    uint32_t same[RECORD_WORDS], each[RECORD_WORDS];
};

static void add_words(struct record_sum *sum, uint32_t word, const struct lum__page_words *words, uint32_t row_count)
{
    if (words->each == NULL)
        sum->same[word] = words->same;
    else /* initial value and final xor zero */
        sum->each[word] = ~lum__crc32c(UINT32_MAX, words->each, (size_t)row_count * 4);
}

static uint32_t checksum_of_words(const uint32_t words[RECORD_WORDS])
{
    lum_t record;
    memcpy(&record, words, sizeof record);
    return lum__record_checksum(&record);
}

/* The rows' checksums are those of `same`, plus what the other words add to each. */
static uint32_t digest_of(struct lum__page_scratch *scratch, const struct record_sum *sum, uint32_t row_count)
{
    static const uint32_t zero[RECORD_WORDS];
    const uint32_t same = checksum_of_words(sum->same);
    for (uint32_t i = 0; i < row_count; i++) scratch->checksum[i] = same;
    return lum__crc32c(0, scratch->checksum, (size_t)row_count * 4) ^ checksum_of_words(sum->each) ^
           checksum_of_words(zero);
}

/* The columns of one byte, all of them in one word. */
static bool add_flags(struct record_sum *sum, struct lum__page_scratch *scratch, const uint8_t *page,
                      const struct lum__page_descriptor columns[LUM__PAGE_COLUMNS], uint32_t row_count, uint32_t *bad_column)
{
    const struct lum__page_kernel *kernel = lum__page_kernel_current();
    const struct lum__page_descriptor *flags = &columns[LUM_COLUMN_PRESENCE];
    uint8_t *const values[3] = {scratch->presence, scratch->structure_type, scratch->is_destroyed};
    struct lum__page_words words = {0};
    bool is_same = true;
    for (uint32_t i = 0; i < 3; i++) {
        words.same |= (uint32_t)flags[i].value_min << 8 * i;
        is_same &= flags[i].encoding == LUM__ENCODING_CONSTANT;
    }
    for (uint32_t i = 0; i < 3 && !is_same; i++) {
        *bad_column = LUM_COLUMN_PRESENCE + i;
        if (!kernel->decode_column(scratch, page, &flags[i], row_count, values[i])) return false;
    }
    if (!is_same) {
        kernel->flag_words(scratch, row_count, scratch->narrow);
        words.each = scratch->narrow;
    }
    add_words(sum, WORD_OF_FLAGS, &words, row_count);
    return true;
}

static bool add_columns(struct record_sum *sum, struct lum__page_scratch *scratch, const uint8_t *page,
                        const struct lum__page_descriptor columns[LUM__PAGE_COLUMNS], uint32_t row_count,
                        uint32_t *bad_column)
{
    const struct lum__page_kernel *kernel = lum__page_kernel_current();
    for (uint32_t i = 0; i < LUM_COLUMN_PRESENCE; i++) {
        struct lum__page_words words[2];
        bool is_wide = columns[i].type == LUM__TYPE_U64;
        uint32_t word = is_wide ? 2 * i : WORD_OF_X + i - LUM_COLUMN_POSITION_X;
        *bad_column = i;
        if (!kernel->decode_words(scratch, page, &columns[i], row_count, words)) return false;
        add_words(sum, word, &words[0], row_count);
        if (is_wide) add_words(sum, word + 1, &words[1], row_count);
    }
    return add_flags(sum, scratch, page, columns, row_count, bad_column);
}

bool lum__page_check(struct lum__page_scratch *scratch, const uint8_t *page, size_t page_bytes, uint32_t row_count,
                     uint32_t lum_digest, struct lum__range *range, uint32_t *condition, uint32_t *at)
{
    struct lum__page_descriptor columns[LUM__PAGE_COLUMNS];
    struct record_sum sum = {0};
    uint32_t bad_column = 0;
    *condition = 0;
    *at = 0;
    *range = (struct lum__range){0};
    if (!lum__page_parse(page, page_bytes, row_count, lum_digest, columns, condition, at)) return false;
    if (!add_columns(&sum, scratch, page, columns, row_count, &bad_column)) {
        *condition = LUM__PAGE_WRONG_MIN_MAX;
        *at = LUM__PAGE_HEADER_BYTES + bad_column * LUM__PAGE_COLUMN_BYTES + LUM__PAGE_COLUMN_AT_MIN;
        return false;
    }
    if (digest_of(scratch, &sum, row_count) != lum_digest) {
        *condition = LUM__PAGE_WRONG_DIGEST;
        *at = LUM__PAGE_AT_LUM_DIGEST;
        return false;
    }
    *range = lum__page_range(columns);
    return true;
}
