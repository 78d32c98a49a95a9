/* Proves: exactly one row of the recovery table answers each of the 2^10 combinations of evidence, no proof of lost
 * durable data is ever waved through, and the dangerous combinations get the verdict that recovery/README.md names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "recovery/decide.h"

enum { COMBINATIONS = 1 << LUM__EVIDENCE_BITS };

static struct lum__decide_evidence combination(unsigned bits)
{
    return (struct lum__decide_evidence){.has_clean_mark = bits & 1,
                                         .clean_end_reached = bits & 2,
                                         .stop_is_blank = bits & 4,
                                         .stop_is_unsupported = bits & 8,
                                         .lost_segment = bits & 16,
                                         .below_watermark = bits & 32,
                                         .broken_transaction = bits & 64,
                                         .bad_chunk = bits & 128,
                                         .bad_chunk_data_synced = bits & 256,
                                         .bad_chunk_below_watermark = bits & 512};
}

static void every_combination_has_one_row(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < COMBINATIONS; bits++) {
        struct lum__decide_evidence evidence = combination(bits);
        if (lum__decide_matches(&evidence) != 1)
            fail_msg("combination 0x%x: %u rows", bits, lum__decide_matches(&evidence));
    }
}

static void every_row_is_reached_and_explained(void **state)
{
    (void)state;
    size_t count;
    const struct lum__decision *table = lum__decide_table(&count);
    size_t reached[128] = {0};
    for (unsigned bits = 0; bits < COMBINATIONS; bits++) {
        struct lum__decide_evidence evidence = combination(bits);
        reached[(unsigned char)lum__decide(&evidence).row]++;
    }
    assert_int_equal(count, 12);
    for (size_t i = 0; i < count; i++) {
        assert_true(table[i].row >= 'A' && table[i].row <= 'Z');
        assert_true(reached[(unsigned char)table[i].row] > 0);
        assert_true(strlen(table[i].sentence) > 20);
        for (size_t j = 0; j < i; j++) assert_int_not_equal(table[i].row, table[j].row);
    }
}

static void proof_of_loss_is_never_waved_through(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < COMBINATIONS; bits++) {
        struct lum__decide_evidence e = combination(bits);
        enum lum__verdict verdict = lum__decide(&e).verdict;
        bool is_proof = e.lost_segment || e.below_watermark || e.broken_transaction || e.bad_chunk_data_synced ||
                        e.bad_chunk_below_watermark;
        if (e.stop_is_unsupported) {
            assert_int_equal(verdict, LUM__VERDICT_UNSUPPORTED);
        } else if (is_proof) {
            assert_int_equal(verdict, LUM__VERDICT_REFUSE);
        } else if (e.has_clean_mark) { /* a clean mark never excuses damage, and nothing of a clean store is ever cut */
            assert_int_equal(verdict, e.clean_end_reached && !e.bad_chunk ? LUM__VERDICT_CLEAN : LUM__VERDICT_REFUSE);
        } else {
            assert_true(verdict == LUM__VERDICT_ACCEPT || verdict == LUM__VERDICT_CUT ||
                        verdict == LUM__VERDICT_CUT_COMMIT);
            assert_int_equal(verdict == LUM__VERDICT_CUT_COMMIT, e.bad_chunk);
        }
    }
}

static char row_of(struct lum__decide_evidence evidence) { return lum__decide(&evidence).row; }
#define ROW(...) row_of((struct lum__decide_evidence){__VA_ARGS__})

static void dangerous_cases_by_name(void **state)
{
    (void)state;
    assert_int_equal(ROW(.has_clean_mark = true, .clean_end_reached = true), 'A');
    assert_int_equal(ROW(.stop_is_blank = true), 'B');
    assert_int_equal(ROW(.stop_is_blank = false), 'T');
    assert_int_equal(ROW(.stop_is_blank = true, .bad_chunk = true), 'K');
    assert_int_equal(ROW(.bad_chunk = true), 'K');
    /* a blank stop looks harmless; a watermark behind it says that the log went on */
    assert_int_equal(ROW(.stop_is_blank = true, .below_watermark = true), 'W');
    /* the clean mark came back from an older STATE: records behind it were durable */
    assert_int_equal(ROW(.has_clean_mark = true, .clean_end_reached = true, .below_watermark = true), 'W');
    /* the log ends before the clean mark's end, blank as a fresh log */
    assert_int_equal(ROW(.has_clean_mark = true, .stop_is_blank = true), 'M');
    assert_int_equal(ROW(.has_clean_mark = true, .clean_end_reached = true, .bad_chunk = true), 'N');
    assert_int_equal(ROW(.bad_chunk = true, .bad_chunk_data_synced = true, .stop_is_blank = true), 'S');
    assert_int_equal(ROW(.bad_chunk = true, .bad_chunk_below_watermark = true), 'D');
    assert_int_equal(ROW(.lost_segment = true, .stop_is_blank = true), 'L');
    assert_int_equal(ROW(.broken_transaction = true, .stop_is_blank = true), 'X');
    /* a later version's record is never cut off as a bad tail */
    assert_int_equal(ROW(.stop_is_unsupported = true), 'U');
    assert_int_equal(ROW(.stop_is_unsupported = true, .below_watermark = true, .lost_segment = true), 'U');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_combination_has_one_row),
        cmocka_unit_test(every_row_is_reached_and_explained),
        cmocka_unit_test(proof_of_loss_is_never_waved_through),
        cmocka_unit_test(dangerous_cases_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
