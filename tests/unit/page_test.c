/* Proves that a page gives back exactly the rows that went in, for every encoding, row count, instruction level and
 * edge value; that all levels write the same bytes; that bad rows are named; and that each numbered condition of
 * docs/format.md section 6 is checked: every one is broken alone and reported by its number and place. */
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
#include "storage/page_kernel.h"
#include "storage/record.h"
#include "support/page_rows.h"

enum { ROWS_MAX = LUM__PAGE_ROWS_MAX };

static const char *const levels[] = {"baseline", "avx2", "avx512"};
static struct lum__page_scratch *scratch;
static uint8_t *page, *other_page;
static lum_t *rows, *back;
static uint64_t seed;

static void *aligned(size_t bytes)
{
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    assert_non_null(memory);
    memset(memory, 0xa5, bytes);
    return memory;
}

static int set_up(void **state)
{
    (void)state;
    scratch = aligned(lum__page_scratch_bytes());
    page = aligned(LUM__PAGE_BYTES_MAX);
    other_page = aligned(LUM__PAGE_BYTES_MAX);
    rows = aligned(ROWS_MAX * sizeof(lum_t));
    back = aligned(ROWS_MAX * sizeof(lum_t));
    const char *given = getenv("LUM_SEED");
    seed = given != NULL ? strtoull(given, NULL, 0) : 20261123;
    print_message("LUM_SEED=%llu\n", (unsigned long long)seed);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lum__page_kernel_force(NULL);
    free(scratch);
    free(page);
    free(other_page);
    free(rows);
    free(back);
    return 0;
}

static uint64_t bits(uint64_t *state, uint32_t count)
{
    return count == 0 ? 0 : lum__splitmix64(state) >> (64 - count);
}

/* --- round trips
 * -------------------------------------------------------------------------------------------------------- */

static struct lum__range range_of(const lum_t *from, uint32_t count)
{
    struct lum__range range = {from[0].id,         from[0].id,         from[0].timestamp,  from[0].timestamp,
                               from[0].position_x, from[0].position_x, from[0].position_y, from[0].position_y};
    for (uint32_t i = 1; i < count; i++) {
        if (from[i].id < range.id_min) range.id_min = from[i].id;
        if (from[i].id > range.id_max) range.id_max = from[i].id;
        if (from[i].timestamp < range.timestamp_min) range.timestamp_min = from[i].timestamp;
        if (from[i].timestamp > range.timestamp_max) range.timestamp_max = from[i].timestamp;
        if (from[i].position_x < range.x_min) range.x_min = from[i].position_x;
        if (from[i].position_x > range.x_max) range.x_max = from[i].position_x;
        if (from[i].position_y < range.y_min) range.y_min = from[i].position_y;
        if (from[i].position_y > range.y_max) range.y_max = from[i].position_y;
    }
    return range;
}

static void assert_columns(const lum_columns *columns, const lum_t *expected, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        lum_t row = {columns->id[i],
                     columns->timestamp[i],
                     columns->memory_address[i],
                     columns->position_x[i],
                     columns->position_y[i],
                     columns->checksum[i],
                     columns->presence[i],
                     columns->structure_type[i],
                     columns->is_destroyed[i],
                     0};
        if (memcmp(&row, &expected[i], sizeof row) != 0) fail_msg("row %u of %u differs as columns", i, count);
    }
}

/* Encodes rows[0..count) as rows and as columns, at every level, and reads them back at every level, from a copy of the
 * exact size so that a sanitizer sees a read behind its end. */
static void check_round_trip(uint32_t count)
{
    uint32_t digest = 0, byte_count = 0, condition, at;
    struct lum__range range = range_of(rows, count);
    for (uint32_t i = 0; i < count; i++) {
        rows[i].checksum = lum__record_checksum(&rows[i]);
        uint8_t bytes[4];
        lum__put_u32(bytes, rows[i].checksum);
        digest = lum__crc32c(digest, bytes, 4);
    }
    for (int level = 0; level < 3; level++) {
        const struct lum__page_kernel *kernel = lum__page_kernel_by_name(levels[level]);
        if (kernel == NULL) continue;
        lum__page_kernel_force(kernel);
        struct lum__page_summary summary;
        memset(other_page, 0xee, LUM__PAGE_BYTES_MAX);
        lum__page_encode(scratch, rows, count, level == 1, other_page, &summary);
        assert_int_equal(summary.row_fault, LUM__ROW_OK);
        assert_int_equal(summary.row_count, count);
        assert_int_equal(summary.lum_digest, digest);
        assert_memory_equal(&summary.range, &range, sizeof range);
        assert_true(summary.byte_count <= LUM__PAGE_BYTES_MAX && summary.byte_count % LUM__PAGE_ALIGNMENT == 0);
        if (level == 0) {
            byte_count = summary.byte_count;
            memcpy(page, other_page, byte_count);
        }
        assert_int_equal(summary.byte_count, byte_count);
        assert_memory_equal(other_page, page, byte_count);

        uint8_t *exact = malloc(byte_count);
        memcpy(exact, page, byte_count);
        lum_t *exact_rows = malloc(count * sizeof(lum_t));
        if (!lum__page_decode(scratch, exact, byte_count, count, digest, exact_rows, &condition, &at))
            fail_msg("%s: condition %u at %u, %u rows", kernel->name, condition, at, count);
        assert_memory_equal(exact_rows, rows, count * sizeof(lum_t));
        lum_columns columns;
        assert_true(lum__page_decode_columns(scratch, exact, byte_count, count, digest, &columns, &condition, &at));
        assert_columns(&columns, rows, count);
        struct lum__range checked;
        struct lum__page_scratch *own = aligned(sizeof *own);
        if (!lum__page_check(own, exact, byte_count, count, digest, &checked, &condition, &at))
            fail_msg("%s: check: condition %u at %u, %u rows", kernel->name, condition, at, count);
        assert_memory_equal(&checked, &range, sizeof range);
        free(own);

        /* the columns just read, as a source would lend them */
        struct lum__page_scratch *lent = aligned(sizeof *lent);
        memcpy(lent, scratch, sizeof *lent);
        lum_columns source = {lent->id,
                              lent->timestamp,
                              lent->memory_address,
                              (int32_t *)lent->position_x,
                              (int32_t *)lent->position_y,
                              lent->presence,
                              lent->structure_type,
                              lent->is_destroyed,
                              NULL};
        memset(other_page, 0xdd, LUM__PAGE_BYTES_MAX);
        lum__page_encode_columns(scratch, &source, count, other_page, &summary);
        assert_int_equal(summary.byte_count, byte_count);
        assert_int_equal(summary.lum_digest, digest);
        assert_memory_equal(&summary.range, &range, sizeof range);
        assert_memory_equal(other_page, page, byte_count);
        free(lent);
        free(exact);
        free(exact_rows);
    }
    lum__page_kernel_force(NULL);
}

static const uint32_t counts[] = {1,    2,    3,    4,    5,    7,    8,    15,   16,   17,   31,
                                  32,   33,   47,   48,   63,   64,   65,   127,  255,  1000, 1023,
                                  1024, 1025, 1999, 2047, 2048, 2049, 3071, 3073, 4064, 4095, 4096};
enum { COUNTS = sizeof counts / sizeof *counts };

static void test_workloads(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < COUNTS; i++) {
        static struct page_rows_walk walk;
        page_rows_seed(rows, i * 4096, counts[i]);
        check_round_trip(counts[i]);
        page_rows_random(rows, i * 4096, counts[i]);
        check_round_trip(counts[i]);
        page_rows_tracks(rows, i * 4096, counts[i], &walk);
        check_round_trip(counts[i]);
    }
}

/* Bytes per LUM, the promise of design.md and reference-figures.md: 100 pages in a row of each workload. */
static void test_sizes(void **state)
{
    (void)state;
    static struct page_rows_walk walk;
    double limits[3] = {0.3, 9.9, 7.8};
    for (int workload = 0; workload < 3; workload++) {
        uint64_t bytes = 0;
        for (uint32_t i = 0; i < 100; i++) {
            struct lum__page_summary summary;
            if (workload == 0) page_rows_seed(rows, i * ROWS_MAX, ROWS_MAX);
            if (workload == 1) page_rows_random(rows, i * ROWS_MAX, ROWS_MAX);
            if (workload == 2) page_rows_tracks(rows, i * ROWS_MAX, ROWS_MAX, &walk);
            lum__page_encode(scratch, rows, ROWS_MAX, false, page, &summary);
            bytes += summary.byte_count;
        }
        print_message("workload %d: %.3f bytes per LUM\n", workload, (double)bytes / 100 / ROWS_MAX);
        assert_true((double)bytes / 100 / ROWS_MAX <= limits[workload]);
    }
}

/* One 64-bit column in one of the shapes that encodings are made for. */
static void fill_shape(uint64_t *out, uint32_t count, uint64_t *state)
{
    uint64_t shape = bits(state, 4), first = bits(state, (uint32_t)bits(state, 6) + 1), value = first;
    uint64_t step = bits(state, (uint32_t)bits(state, 6) + 1), width = bits(state, 6) + 1, lag = bits(state, 11) + 1;
    if (bits(state, 2) == 0) step = -step;
    for (uint32_t i = 0; i < count; i++) {
        switch (shape) {
        case 0: out[i] = first; break;
        case 1:
        case 2: out[i] = first + i * step; break;                      /* may wrap */
        case 3: out[i] = first + bits(state, (uint32_t)width); break;  /* frame of reference */
        case 4: out[i] = value += bits(state, (uint32_t)width); break; /* rising */
        case 5: out[i] = value += bits(state, 6) - 32; break;          /* walk */
        case 6: out[i] = first + i % lag; break;                       /* going round */
        case 7: out[i] = i < lag ? bits(state, 40) : out[i - lag] + bits(state, 5) - 16; break;
        case 8: out[i] = bits(state, 64); break;
        case 9: out[i] = bits(state, 1) ? UINT64_MAX : 0; break;
        case 10: out[i] = bits(state, 1) ? INT64_MAX : (uint64_t)INT64_MIN; break;
        case 11: out[i] = i == lag ? UINT64_MAX : first; break;       /* one outlier */
        case 12: out[i] = first + i * step + (i == count / 2); break; /* nearly a stride */
        case 13: out[i] = bits(state, 1) ? UINT32_MAX : 0; break;
        case 14: out[i] = (i % 2 ? UINT64_C(0x7fffffff) : UINT64_C(0x80000000)) + (i >= 2000) * step; break;
        default: out[i] = first + i * 1000 + bits(state, 10); break; /* a clock */
        }
    }
}

static void test_random_shapes(void **state)
{
    (void)state;
    static uint64_t column[ROWS_MAX];
    const int rounds = getenv("LUM_ROUNDS") != NULL ? atoi(getenv("LUM_ROUNDS")) : 150;
    for (int round = 0; round < rounds; round++) {
        uint64_t random = seed * 1000003 + (uint64_t)round;
        uint32_t count = round % 3 == 0 ? ROWS_MAX : (uint32_t)bits(&random, 12) + 1;
        memset(rows, 0, count * sizeof *rows);
        bool is_shared = bits(&random, 2) == 0; /* positions that follow the shape of the ids' column */
        for (int c = 0; c < 8; c++) {
            if (c < 5 && !(c == 4 && is_shared)) fill_shape(column, count, &random);
            uint32_t kind = (uint32_t)bits(&random, 2);
            for (uint32_t i = 0; i < count; i++) {
                if (c == 0) rows[i].id = column[i];
                if (c == 1) rows[i].timestamp = column[i];
                if (c == 2) rows[i].memory_address = column[i];
                if (c == 3) rows[i].position_x = (int32_t)column[i];
                if (c == 4) rows[i].position_y = (int32_t)column[i];
                if (c == 5) rows[i].presence = kind == 0 ? 1 : kind == 1 ? i % 2 : (uint8_t)bits(&random, 1);
                if (c == 6) rows[i].structure_type = kind == 0 ? 3 : (uint8_t)(bits(&random, 8) % (kind == 1 ? 6 : 2));
                if (c == 7) rows[i].is_destroyed = kind != 2 ? 0 : (uint8_t)bits(&random, 1);
            }
        }
        check_round_trip(count);
    }
}

/* --- encodings by force
 * ------------------------------------------------------------------------------------------------- */

/* The words of a column, as the digest takes them, are its values. */
static void check_words(const struct lum__page_kernel *kernel, const uint8_t *payload,
                        const struct lum__page_descriptor *descriptor, uint32_t count, const void *values)
{
    struct lum__page_words words[2];
    uint32_t word_count = descriptor->type == LUM__TYPE_U64 ? 2 : 1;
    assert_true(kernel->decode_words(scratch, payload, descriptor, count, words));
    for (uint32_t word = 0; word < word_count; word++) {
        for (uint32_t i = 0; i < count; i++) {
            uint32_t expected = lum__get_u32((const uint8_t *)values + 4 * (i * word_count + word));
            uint32_t found = words[word].each != NULL ? words[word].each[i] : words[word].same;
            if (found != expected) fail_msg("%s: word %u of value %u of %u differs", kernel->name, word, i, count);
        }
    }
}

/* Encodes one column as asked, alone at the front of a page-sized buffer, at every level; the bytes and what is read
 * back must be the same everywhere. Returns false if the values can't be written that way. */
static bool check_forced(uint8_t type, const void *values, uint32_t count, uint8_t encoding, uint32_t lag)
{
    struct lum__page_descriptor first = {0};
    uint8_t *decoded = aligned((ROWS_MAX + LUM__PAGE_SLACK) * 8);
    bool is_possible = false;
    for (int level = 0; level < 3; level++) {
        const struct lum__page_kernel *kernel = lum__page_kernel_by_name(levels[level]);
        if (kernel == NULL) continue;
        struct lum__page_descriptor descriptor = {.type = type};
        uint8_t *out = level == 0 ? page : other_page;
        is_possible = kernel->encode_column_as(scratch, values, count, encoding, lag, out, &descriptor);
        if (!is_possible) break;
        if (level == 0) first = descriptor;
        assert_int_equal(descriptor.encoding, encoding);
        assert_memory_equal(&descriptor, &first, sizeof first);
        assert_memory_equal(out, page, first.byte_count);
        memset(decoded, 0x5a, (ROWS_MAX + LUM__PAGE_SLACK) * 8);
        uint8_t *exact = malloc(first.byte_count + 1);
        memcpy(exact, page, first.byte_count);
        assert_true(kernel->decode_column(scratch, exact, &descriptor, count, decoded));
        assert_memory_equal(decoded, values, count * lum__page_type_bytes(type));
        if (type != LUM__TYPE_U8) check_words(kernel, exact, &descriptor, count, values);
        free(exact);
    }
    free(decoded);
    return is_possible;
}

static void test_each_encoding(void **state)
{
    (void)state;
    static const uint32_t lags[] = {1, 2, 3, 7, 15, 16, 17, 63, 1000, 1024, 1500, 2048, 4095};
    static uint64_t wide[ROWS_MAX];
    static uint32_t narrow[ROWS_MAX];
    uint64_t random = seed;
    int possible[LUM__ENCODING_LAST + 1] = {0};
    for (uint32_t c = 0; c < COUNTS; c++) {
        for (int shape = 0; shape < 24; shape++) {
            fill_shape(wide, counts[c], &random);
            for (uint32_t i = 0; i < counts[c]; i++) narrow[i] = (uint32_t)wide[i];
            for (uint8_t encoding = 1; encoding <= LUM__ENCODING_FOR; encoding++) {
                possible[encoding] += check_forced(LUM__TYPE_U64, wide, counts[c], encoding, 0);
                possible[encoding] += check_forced(LUM__TYPE_I32, narrow, counts[c], encoding, 0);
            }
            uint32_t lag = lags[(uint32_t)bits(&random, 16) % 13];
            for (uint8_t encoding = LUM__ENCODING_DELTA; encoding <= LUM__ENCODING_DELTA_HEAD; encoding++) {
                possible[encoding] += check_forced(LUM__TYPE_U64, wide, counts[c], encoding, lag);
                possible[encoding] += check_forced(LUM__TYPE_I32, narrow, counts[c], encoding, lag);
            }
        }
    }
    for (int encoding = 1; encoding <= LUM__ENCODING_LAST; encoding++) assert_true(possible[encoding] > 100);
}

/* 64-bit values on both sides of a multiple of 2^32: their high halves are not all the same. */
static void test_across_high_half(void **state)
{
    (void)state;
    static uint64_t values[ROWS_MAX];
    for (uint8_t encoding = LUM__ENCODING_STRIDE; encoding <= LUM__ENCODING_DELTA_HEAD; encoding++) {
        for (uint64_t high = 1; high < 4; high++) {
            uint64_t random = seed + high, edge = (high << 62) + (high << 32);
            for (uint32_t i = 0; i < ROWS_MAX; i++)
                values[i] = edge - 2000 + i + (encoding == LUM__ENCODING_STRIDE ? 0 : bits(&random, 8));
            assert_true(check_forced(LUM__TYPE_U64, values, ROWS_MAX, encoding, 17));
        }
    }
}

/* 64-bit values below 2^31, up to both ends, go as 32-bit ones, and one that is not below makes them wide: ids that begin anywhere below 2^30. */
static void test_small_values(void **state)
{
    (void)state;
    static uint64_t values[ROWS_MAX];
    static const uint64_t firsts[] = {0, 5, (1 << 30) - 1, 1 << 30, (1u << 31) - 1, 1u << 31}, outliers[] = {0, (1u << 31) - 1, 1u << 31, UINT64_MAX};
    for (int f = 0; f < 6; f++) {
        for (int o = 0; o < 4; o++) {
            uint64_t random = seed + (uint64_t)f;
            for (uint32_t i = 0; i < ROWS_MAX; i++) values[i] = i == 0 ? firsts[f] : i % 3 == 0 ? (1u << 31) - 1 : i % 3 == 1 ? 0 : bits(&random, 31);
            values[ROWS_MAX - 7] = outliers[o];
            assert_true(check_forced(LUM__TYPE_U64, values, ROWS_MAX, LUM__ENCODING_FOR, 0));
            assert_true(check_forced(LUM__TYPE_U64, values, ROWS_MAX, LUM__ENCODING_DELTA, 1));
            assert_true(check_forced(LUM__TYPE_U64, values, ROWS_MAX, LUM__ENCODING_DELTA_HEAD, 16));
        }
    }
}

/* Every width of every type, in full and partial blocks: the values 0 and 2^width - 1 are among them. */
static void test_each_width(void **state)
{
    (void)state;
    static uint64_t wide[ROWS_MAX];
    static uint32_t narrow[ROWS_MAX];
    static uint8_t bytes[ROWS_MAX];
    static const uint32_t some[] = {2, 40, 1024, 1025, 2000};
    uint64_t random = seed;
    for (uint32_t width = 1; width <= 64; width++) {
        for (int c = 0; c < 5; c++) {
            for (uint32_t i = 0; i < some[c]; i++) {
                wide[i] = i == 0 ? 0 : i == 1 ? UINT64_MAX >> (64 - width) : bits(&random, width);
                narrow[i] = (uint32_t)wide[i];
                bytes[i] = (uint8_t)wide[i];
            }
            assert_true(check_forced(LUM__TYPE_U64, wide, some[c], LUM__ENCODING_FOR, 0));
            if (width <= 32) assert_true(check_forced(LUM__TYPE_I32, narrow, some[c], LUM__ENCODING_FOR, 0));
            if (width <= 8) assert_true(check_forced(LUM__TYPE_U8, bytes, some[c], LUM__ENCODING_FOR, 0));
            if (width <= 8) assert_true(check_forced(LUM__TYPE_U8, bytes, some[c], LUM__ENCODING_PLAIN, 0));
        }
    }
}

/* What each workload's columns are stored as: a change here is a change of speed or size, and should be meant. */
static void test_choices(void **state)
{
    (void)state;
    static const uint8_t expected[2][LUM__PAGE_COLUMNS] = {
        {LUM__ENCODING_STRIDE, LUM__ENCODING_STRIDE, LUM__ENCODING_STRIDE, LUM__ENCODING_STRIDE, LUM__ENCODING_CONSTANT,
         LUM__ENCODING_FOR, LUM__ENCODING_CONSTANT, LUM__ENCODING_CONSTANT},
        {LUM__ENCODING_STRIDE, LUM__ENCODING_DELTA, LUM__ENCODING_CONSTANT, LUM__ENCODING_FOR, LUM__ENCODING_FOR,
         LUM__ENCODING_FOR, LUM__ENCODING_FOR, LUM__ENCODING_CONSTANT}};
    for (int workload = 0; workload < 2; workload++) {
        struct lum__page_summary summary;
        struct lum__page_column columns[LUM__PAGE_COLUMNS];
        uint32_t count, condition, at;
        if (workload == 0) page_rows_seed(rows, 0, ROWS_MAX);
        if (workload == 1) page_rows_random(rows, 0, ROWS_MAX);
        lum__page_encode(scratch, rows, ROWS_MAX, false, page, &summary);
        assert_true(lum__page_columns(page, summary.byte_count, columns, LUM__PAGE_COLUMNS, &count, &condition, &at));
        assert_int_equal(count, LUM__PAGE_COLUMNS);
        for (int i = 0; i < LUM__PAGE_COLUMNS; i++) {
            assert_int_equal(columns[i].column, i);
            assert_string_equal(lum__encoding_name(columns[i].encoding), lum__encoding_name(expected[workload][i]));
        }
        assert_int_equal(columns[LUM_COLUMN_ID].value_min, 0);
        assert_int_equal(columns[LUM_COLUMN_ID].value_max, ROWS_MAX - 1);
    }
}

/* --- what may not enter
 * -------------------------------------------------------------------------------------------------- */

static void test_row_faults(void **state)
{
    (void)state;
    static const uint32_t places[] = {0, 1, 15, 16, 33, 1023, 2047, 2048, 2099};
    for (int level = 0; level < 3; level++) {
        const struct lum__page_kernel *kernel = lum__page_kernel_by_name(levels[level]);
        if (kernel == NULL) continue;
        lum__page_kernel_force(kernel);
        for (uint32_t p = 0; p < sizeof places / sizeof *places; p++) {
            for (uint32_t fault = LUM__ROW_BAD_PRESENCE; fault <= LUM__ROW_BAD_CHECKSUM; fault++) {
                struct lum__page_summary summary;
                page_rows_random(rows, 7, 2100);
                for (uint32_t i = 0; i < 2100; i++) rows[i].checksum = lum__record_checksum(&rows[i]);
                lum_t *bad = &rows[places[p]];
                if (fault == LUM__ROW_BAD_PRESENCE) bad->presence = 2;
                if (fault == LUM__ROW_BAD_STRUCTURE_TYPE) bad->structure_type = 6;
                if (fault == LUM__ROW_BAD_IS_DESTROYED) bad->is_destroyed = 255;
                if (fault == LUM__ROW_BAD_RESERVED) bad->reserved = 128;
                if (fault == LUM__ROW_BAD_CHECKSUM) bad->checksum ^= 1u << p;
                lum__page_encode(scratch, rows, 2100, true, page, &summary);
                assert_int_equal(summary.row_fault, fault);
                assert_int_equal(summary.row_fault_index, places[p]);
                if (fault == LUM__ROW_BAD_CHECKSUM) { /* not looked at where the source has none */
                    lum__page_encode(scratch, rows, 2100, false, page, &summary);
                    assert_int_equal(summary.row_fault, LUM__ROW_OK);
                }
            }
        }
        for (uint32_t column = 0; column < 3; column++) { /* the same in columns, which have no reserved byte and no checksum */
            static uint64_t id[100];
            uint8_t values[3][100];
            memset(values[0], 1, 100);
            memset(values[1], 5, 100);
            memset(values[2], 0, 100);
            values[column][70] = column == 1 ? 6 : 2;
            lum_columns columns = {.id = id, .presence = values[0], .structure_type = values[1], .is_destroyed = values[2]};
            struct lum__page_summary summary;
            lum__page_encode_columns(scratch, &columns, 100, page, &summary);
            assert_int_equal(summary.row_fault, LUM__ROW_BAD_PRESENCE + column);
            assert_int_equal(summary.row_fault_index, 70);
        }
    }
    lum__page_kernel_force(NULL);
}

static void test_missing_columns_are_defaults(void **state)
{
    (void)state;
    static uint64_t id[300];
    for (uint32_t i = 0; i < 300; i++) id[i] = i * i;
    lum_columns columns = {.id = id};
    struct lum__page_summary summary;
    uint32_t condition, at;
    lum__page_encode_columns(scratch, &columns, 300, page, &summary);
    assert_int_equal(summary.row_fault, LUM__ROW_OK);
    assert_true(lum__page_decode(scratch, page, summary.byte_count, 300, summary.lum_digest, back, &condition, &at));
    for (uint32_t i = 0; i < 300; i++) {
        lum_t expected = {.id = id[i], .presence = 1};
        expected.checksum = lum__record_checksum(&expected);
        assert_memory_equal(&back[i], &expected, sizeof expected);
    }
}

/* --- conditions 201-222
 * ---------------------------------------------------------------------------------------------------- */

/* A page with every encoding in it: 1,100 rows. */
static uint32_t conditions_page(uint32_t *digest)
{
    struct lum__page_summary summary;
    uint64_t random = 4711;
    memset(rows, 0, 1100 * sizeof *rows);
    for (uint32_t i = 0; i < 1100; i++) {
        rows[i].id = 5 + 3 * i;                                                    /* stride */
        rows[i].timestamp = (i ? rows[i - 1].timestamp : 0xfffffff0) + bits(&random, 8); /* delta by 1, across 2^32 */
        rows[i].memory_address = bits(&random, 64);                                /* plain */
        rows[i].position_x = (int32_t)bits(&random, 9) - 100;                      /* for */
        rows[i].position_y = 7;                                                    /* constant */
        rows[i].presence = (uint8_t)bits(&random, 1);
    }
    lum__page_encode(scratch, rows, 1100, false, page, &summary);
    *digest = summary.lum_digest;
    return summary.byte_count;
}

static uint32_t descriptor_at(uint32_t column) { return LUM__PAGE_HEADER_BYTES + column * LUM__PAGE_COLUMN_BYTES; }

struct breakage {
    uint32_t condition;
    uint32_t at;    /* where it is reported */
    uint32_t byte;  /* what is changed */
    uint32_t value; /* to this byte */
};

static uint32_t payload_at(uint32_t column)
{
    return lum__get_u32(page + descriptor_at(column) + LUM__PAGE_COLUMN_AT_OFFSET);
}

/* Decoding other_page as columns, and checking it, answer what decoding it as rows did. */
static void assert_others_answer(uint32_t byte_count, uint32_t digest, bool is_good, uint32_t condition, uint32_t at)
{
    lum_columns columns;
    uint32_t columns_condition = 0, columns_at = 0;
    assert_int_equal(
        lum__page_decode_columns(scratch, other_page, byte_count, 1100, digest, &columns, &columns_condition, &columns_at),
        is_good);
    assert_int_equal(columns_condition, condition);
    assert_int_equal(columns_at, at);
    if (!is_good) assert_null(columns.id); /* nothing of a damaged page is lent */
    struct lum__range range;
    assert_int_equal(
        lum__page_check(scratch, other_page, byte_count, 1100, digest, &range, &columns_condition, &columns_at), is_good);
    assert_int_equal(columns_condition, condition);
    assert_int_equal(columns_at, at);
}

static void check_broken(const struct breakage *b, uint32_t byte_count, uint32_t digest)
{
    uint32_t condition = 0, at = 0;
    memcpy(other_page, page, byte_count);
    assert_int_not_equal(other_page[b->byte], b->value);
    other_page[b->byte] = (uint8_t)b->value;
    bool is_good = lum__page_decode(scratch, other_page, byte_count, 1100, digest, back, &condition, &at);
    if (is_good || condition != b->condition || at != b->at)
        fail_msg("byte %u = %u: condition %u at %u, expected %u at %u", b->byte, b->value, condition, at, b->condition,
                 b->at);
    assert_others_answer(byte_count, digest, is_good, condition, at);
    bool is_unsupported = b->condition == 203 || b->condition == 204 || b->condition == 211;
    assert_int_equal(lum__page_condition_is_unsupported(condition), is_unsupported);
}

static void test_conditions(void **state)
{
    (void)state;
    uint32_t digest, condition, at, byte_count = conditions_page(&digest);
    const uint32_t id = descriptor_at(0), time = descriptor_at(1), address = descriptor_at(2), x = descriptor_at(3),
                   y = descriptor_at(4), type = descriptor_at(6);
    const uint32_t time_table = payload_at(1), x_table = payload_at(3);
    assert_true(lum__page_decode(scratch, page, byte_count, 1100, digest, back, &condition, &at));
    assert_int_equal(page[time + 2], LUM__ENCODING_DELTA);
    assert_int_equal(page[address + 2], LUM__ENCODING_PLAIN);
    assert_int_equal(page[x + 2], LUM__ENCODING_FOR);
    assert_int_equal(page[y + 2], LUM__ENCODING_CONSTANT);
    const struct breakage breakages[] = {
        {202, 0, 0, 'l'},                       /* magic */
        {203, 4, 4, 1},                         /* a schema of later */
        {204, 6, 6, 2},                         /* a version of later */
        {205, 8, 8, 0x4d},                      /* row count 1101 */
        {206, 12, 13, (uint8_t)(page[13] + 1)}, /* byte count */
        {207, 20, 20, 9},                       /* column count */
        {208, 21, 63, 1},                       /* reserved in the header */
        {208, id + 3, id + 3, 1},               /* ... in a descriptor */
        {209, 16, 16, (uint8_t)(page[16] ^ 1)}, /* the digest's copy */
        {210, time, time, 2},                   /* column out of order */
        {210, id + 1, id + 1, LUM__TYPE_I32},   /* wrong type */
        {211, id + 2, id + 2, 0},               /* an encoding of later */
        {211, id + 2, id + 2, LUM__ENCODING_LAST + 1},
        {212, type + 2, type + 2, LUM__ENCODING_STRIDE}, /* not for columns of one byte */
        {213, id + 4, id + 4, 2},                        /* a stride goes up or down */
        {213, time + 4, time + 4, 0},                    /* no distance */
        {213, time + 4, time + 6, 1},                    /* a distance beyond the page */
        {213, x + 4, x + 4, 1},                          /* FOR takes none */
        {214, time + 8, time + 8, (uint8_t)(page[time + 8] ^ 64)},
        {214, y + 8, y + 11, 0x80},                                           /* beyond the page */
        {215, y + 12, y + 12, 64},                                            /* a constant has no payload */
        {215, address + 12, address + 12, (uint8_t)(page[address + 12] ^ 1)}, /* plain has one length */
        {215, time + 12, time + 12, (uint8_t)(page[time + 12] ^ 64)},         /* packed has the table's */
        {215, time + 12, time + 15, 0xff},                                    /* beyond the page */
        {216, x + 16, x + 23, 0},                                             /* not sign-extended */
        {216, type + 24, type + 24, 6},                                       /* max beyond the enum */
        {216, y + 16, y + 16, 8},                                             /* min above max */
        {217, y + 24, y + 24, 8},                                             /* a constant with two values */
        {217, id + 24, id + 24, (uint8_t)(page[id + 24] + 1)},                /* a span that the steps do not divide */
        {218, time_table, time_table + 8, 40},              /* wider than min..max, alone in its section */
        {215, time + 12, time_table + 8, 1},                /* a width that the length does not have */
        {218, x_table, x_table + 8, 10},                    /* wider than min..max */
        {218, x_table, x_table + 7, 0},                     /* base not sign-extended */
        {218, x_table, x_table + 1, 0x80},                  /* base outside min..max */
        {218, time_table + 16, time_table + 16 + 7, 0x40},  /* a difference larger than max - min */
        {218, x_table + 9, x_table + 15, 1},                /* reserved */
        {219, x_table + 32, x_table + 40, 1},               /* behind the table */
        {221, x + 16, x + 16, (uint8_t)(page[x + 16] - 1)}, /* a min that no row has */
        {221, address + 16, address + 24, (uint8_t)(page[address + 24] + 1)},
    };
    for (uint32_t i = 0; i < sizeof breakages / sizeof *breakages; i++) check_broken(&breakages[i], byte_count, digest);

    /* 201: the length it is read with */
    assert_false(lum__page_decode(scratch, page, LUM__PAGE_PAYLOAD_AT - 64, 1100, digest, back, &condition, &at));
    assert_int_equal(condition, LUM__PAGE_BAD_LENGTH);
    assert_false(lum__page_decode(scratch, page, byte_count - 1, 1100, digest, back, &condition, &at));
    assert_int_equal(condition, LUM__PAGE_BAD_LENGTH);
    assert_false(lum__page_decode(scratch, page, LUM__PAGE_BYTES_MAX + 64, 1100, digest, back, &condition, &at));
    assert_int_equal(condition, LUM__PAGE_BAD_LENGTH);
    /* 205: the directory's count */
    assert_false(lum__page_decode(scratch, page, byte_count, 1099, digest, back, &condition, &at));
    assert_int_equal(condition, LUM__PAGE_BAD_ROW_COUNT);

    /* 219: behind the last payload; presence is packed in whole rows, so use plain bytes */
    uint32_t plain_end = payload_at(2) + 1100 * 8;
    assert_int_not_equal(plain_end % 64, 0);
    const struct breakage padding = {219, plain_end, plain_end, 1};
    check_broken(&padding, byte_count, digest);

    /* 220: a page that is longer than its columns */
    memcpy(other_page, page, byte_count);
    memset(other_page + byte_count, 0, 64);
    lum__put_u32(other_page + 12, byte_count + 64);
    assert_false(lum__page_decode(scratch, other_page, byte_count + 64, 1100, digest, back, &condition, &at));
    assert_int_equal(condition, LUM__PAGE_BAD_END);

    /* 222: another value between min and max */
    const struct breakage value = {222, 16, payload_at(2) + 8 * 500, (uint8_t)(page[payload_at(2) + 8 * 500] ^ 1)};
    check_broken(&value, byte_count, digest);
}

/* One row cannot be a stride. */
static void test_stride_of_one_row(void **state)
{
    (void)state;
    struct lum__page_summary summary;
    uint32_t condition, at;
    page_rows_seed(rows, 1, 1);
    lum__page_encode(scratch, rows, 1, false, page, &summary);
    assert_int_equal(summary.byte_count, LUM__PAGE_PAYLOAD_AT);
    page[descriptor_at(0) + LUM__PAGE_COLUMN_AT_ENCODING] = LUM__ENCODING_STRIDE;
    assert_false(lum__page_decode(scratch, page, summary.byte_count, 1, summary.lum_digest, back, &condition, &at));
    assert_int_equal(condition, LUM__PAGE_BAD_STRIDE);
}

/* Each bit of a page flipped: reported, or the rows are the same (bits behind the last value of a block). */
static void test_each_bit(void **state)
{
    (void)state;
    uint32_t digest, condition, at, byte_count = conditions_page(&digest), inert = 0;
    for (uint32_t i = 0; i < 1100; i++) rows[i].checksum = lum__record_checksum(&rows[i]);
    for (uint32_t bit = 0; bit < byte_count * 8; bit += bit < 8 * 1024 ? 1 : 7) {
        memcpy(other_page, page, byte_count);
        other_page[bit / 8] ^= (uint8_t)(1u << bit % 8);
        memset(back, 0x11, 1100 * sizeof *back);
        bool is_good = lum__page_decode(scratch, other_page, byte_count, 1100, digest, back, &condition, &at);
        assert_others_answer(byte_count, digest, is_good, condition, at);
        if (!is_good) continue;
        assert_memory_equal(back, rows, 1100 * sizeof *rows);
        inert++;
    }
    assert_true(inert < byte_count / 8); /* only the unused part of the last, partial block of each packed column */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_workloads),     cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_random_shapes), cmocka_unit_test(test_each_encoding),
        cmocka_unit_test(test_each_width),    cmocka_unit_test(test_choices),
        cmocka_unit_test(test_row_faults),    cmocka_unit_test(test_missing_columns_are_defaults),
        cmocka_unit_test(test_conditions),    cmocka_unit_test(test_stride_of_one_row),
        cmocka_unit_test(test_each_bit),      cmocka_unit_test(test_across_high_half),
        cmocka_unit_test(test_small_values),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
