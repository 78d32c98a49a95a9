/* Proves: STATE keeps every field, each of format.md's conditions for it is checked with the right status, it is
 * replaced atomically whatever a power cut leaves, and LOCK admits one writer, names it, and admits readers beside it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/status.h"
#include "recovery/state.h"
#include "storage/file_sim.h"
#include "storage/header.h"

static struct lum__state example_state(void)
{
    struct lum__state state = {.epoch = 7,
                               .state = LUM_STATE_RECOVERED,
                               .is_clean = true,
                               .attempts = 2,
                               .attempts_max = 3,
                               .clean_checkpoint = 11,
                               .clean_segment = 12,
                               .clean_offset = 8192,
                               .clean_sequence = 13,
                               .crash_timestamp = 14,
                               .recovery_timestamp = 15,
                               .recovery_count = 16,
                               .features_ignore = 1};
    memset(state.store_id, 0x5a, sizeof state.store_id);
    lum__state_explain(&state, "a sentence");
    return state;
}

static void put_lock(struct lum__fs *fs)
{
    struct lum__file *file = NULL;
    assert_int_equal(lum__fs_open_file(fs, "LOCK", LUM__OPEN_WRITE | LUM__OPEN_CREATE, &file), LUM_OK);
    assert_int_equal(lum__file_close(file), LUM_OK);
}

static void every_field_is_kept(void **context)
{
    (void)context;
    struct lum__sim *sim = lum__sim_create(1);
    struct lum__fs *fs = NULL;
    struct lum__state out, state = example_state();
    assert_int_equal(lum__sim_open(sim, false, &fs), LUM_OK);
    assert_int_equal(lum__state_read(fs, &out), LUM_ERR_NOT_FOUND);
    assert_int_equal(lum__state_write(fs, &state), LUM_OK);
    assert_int_equal(lum__state_read(fs, &out), LUM_OK);
    assert_memory_equal(out.store_id, state.store_id, 16);
    assert_int_equal(out.epoch, 7);
    assert_int_equal(out.state, LUM_STATE_RECOVERED);
    assert_true(out.is_clean);
    assert_int_equal(out.attempts, 2);
    assert_int_equal(out.attempts_max, 3);
    assert_int_equal(out.clean_checkpoint, 11);
    assert_int_equal(out.clean_segment, 12);
    assert_int_equal(out.clean_offset, 8192);
    assert_int_equal(out.clean_sequence, 13);
    assert_int_equal(out.crash_timestamp, 14);
    assert_int_equal(out.recovery_timestamp, 15);
    assert_int_equal(out.recovery_count, 16);
    assert_int_equal(out.pid, getpid());
    assert_int_equal(out.features_ignore, 1); /* of a later version: kept when this one rewrites STATE */
    assert_string_equal(out.error_details, "a sentence");
    assert_true(out.timestamp > 0);
    lum__fs_close(fs);
    lum__sim_destroy(sim);
}

/* STATE's block, for breaking. */
static void encoded_state(uint8_t block[LUM__BLOCK_BYTES])
{
    struct lum__sim *sim = lum__sim_create(1);
    struct lum__fs *fs = NULL;
    struct lum__state state = example_state();
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    assert_int_equal(lum__sim_open(sim, false, &fs), LUM_OK);
    assert_int_equal(lum__state_write(fs, &state), LUM_OK);
    assert_int_equal(lum__fs_read_all(fs, "STATE", 8192, &bytes, &byte_count), LUM_OK);
    assert_int_equal(byte_count, LUM__BLOCK_BYTES);
    memcpy(block, bytes, LUM__BLOCK_BYTES);
    free(bytes);
    lum__fs_close(fs);
    lum__sim_destroy(sim);
}

static void every_flipped_bit_is_damage(void **context)
{
    (void)context;
    uint8_t block[LUM__BLOCK_BYTES];
    struct lum__state out;
    encoded_state(block);
    assert_int_equal(lum__state_decode(block, sizeof block, &out), LUM_OK);
    for (size_t bit = 0; bit < 8 * sizeof block; bit++) {
        block[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(lum__state_decode(block, sizeof block, &out), LUM_ERR_CORRUPT);
        assert_string_equal(lum__error_last()->file, "STATE");
        assert_int_not_equal(lum__error_last()->condition, 0);
        block[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void conditions_have_their_status(void **context)
{
    (void)context;
    static const struct {
        size_t offset;
        uint32_t value, condition;
        lum_status status;
    } cases[] = {
        {0, 0x41414141, 1, LUM_ERR_CORRUPT}, /* magic */
        {8, 2, 3, LUM_ERR_UNSUPPORTED},      /* version */
        {48, 1, 3, LUM_ERR_UNSUPPORTED},     /* must refuse */
        {56, 9, 5, LUM_ERR_CORRUPT},         /* own number */
        {80, 5, 8, LUM_ERR_UNSUPPORTED},     /* state */
        {84, 2, 8, LUM_ERR_UNSUPPORTED},     /* clean */
        {160, 1, 6, LUM_ERR_UNSUPPORTED},    /* reserved */
        {252, 1, 6, LUM_ERR_UNSUPPORTED},    {504, 1, 6, LUM_ERR_UNSUPPORTED},
        {400, 1, 6, LUM_ERR_UNSUPPORTED}, /* behind the error details' end */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t block[LUM__BLOCK_BYTES];
        struct lum__state out;
        encoded_state(block);
        lum__put_u32(block + cases[i].offset, cases[i].value);
        lum__header_seal(block);
        assert_int_equal(lum__state_decode(block, sizeof block, &out), cases[i].status);
        assert_int_equal(lum__error_last()->condition, cases[i].condition);
    }
    uint8_t block[2 * LUM__BLOCK_BYTES] = {0};
    struct lum__state out;
    encoded_state(block);
    assert_int_equal(lum__state_decode(block, 4095, &out), LUM_ERR_CORRUPT); /* 7 */
    assert_int_equal(lum__error_last()->condition, 7);
    assert_int_equal(lum__state_decode(block, 4097, &out), LUM_ERR_CORRUPT);
    assert_int_equal(lum__error_last()->condition, 7);
}

static void a_read_only_feature_refuses_writers(void **context)
{
    (void)context;
    struct lum__state state = example_state();
    assert_int_equal(lum__state_check_writable(&state), LUM_OK);
    state.features_read_only = 4;
    assert_int_equal(lum__state_check_writable(&state), LUM_ERR_UNSUPPORTED);
}

static void long_sentences_are_cut_between_characters(void **context)
{
    (void)context;
    struct lum__state state;
    char sentence[400] = "";
    for (int i = 0; i < 130; i++) strcat(sentence, "é");
    strcpy(sentence, "x");
    for (int i = 0; i < 130; i++) strcat(sentence, "é");
    lum__state_explain(&state, sentence);
    assert_int_equal(strlen(state.error_details), 247); /* 1 + 123 * 2: byte 248 would be half a character */
    assert_int_equal((unsigned char)state.error_details[245], 0xc3);
}

static void a_power_cut_leaves_the_old_or_the_new(void **context)
{
    (void)context;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct lum__sim *sim = lum__sim_create(seed);
        struct lum__fs *fs = NULL;
        struct lum__state out, state = example_state();
        assert_int_equal(lum__sim_open(sim, false, &fs), LUM_OK);
        assert_int_equal(lum__state_write(fs, &state), LUM_OK);
        state.epoch = 8;
        lum__sim_stop_at(sim, 1 + seed % 6);
        lum_status status = lum__state_write(fs, &state);
        lum__sim_power_cut(sim, LUM__SIM_MIXED, seed);
        lum__fs_close(fs);
        assert_int_equal(lum__sim_open(sim, false, &fs), LUM_OK);
        assert_int_equal(lum__state_read(fs, &out), LUM_OK);
        assert_true(out.epoch == 8 || (out.epoch == 7 && status != LUM_OK));
        lum__fs_close(fs);
        lum__sim_destroy(sim);
    }
}

static void one_writer_and_readers_beside_it(void **context)
{
    (void)context;
    struct lum__sim *sim = lum__sim_create(1);
    struct lum__fs *first = NULL, *second = NULL;
    struct lum__file *writer = NULL, *other = NULL, *reader = NULL;
    bool writer_alive = true;
    char pid[32];
    assert_int_equal(lum__sim_open(sim, false, &first), LUM_OK);
    assert_int_equal(lum__sim_open(sim, false, &second), LUM_OK);
    assert_int_equal(lum__store_lock(first, &writer), LUM_ERR_NOT_FOUND);
    put_lock(first);
    assert_int_equal(lum__store_lock_shared(second, &reader, &writer_alive), LUM_OK);
    assert_false(writer_alive);
    lum__file_close(reader);
    assert_int_equal(lum__store_lock(first, &writer), LUM_OK);
    assert_int_equal(lum__store_lock(second, &other), LUM_ERR_BUSY);
    assert_null(other);
    snprintf(pid, sizeof pid, "pid %ld", (long)getpid());
    assert_non_null(strstr(lum__error_last()->message, pid));
    assert_int_equal(lum__store_lock_shared(second, &reader, &writer_alive), LUM_OK);
    assert_true(writer_alive);
    /* what the writer frees, it frees only while no reader is there */
    assert_int_equal(lum__file_lock(writer, LUM__LOCK_BYTE_READERS, LUM__LOCK_EXCLUSIVE), LUM_ERR_BUSY);
    lum__file_close(reader);
    assert_int_equal(lum__file_lock(writer, LUM__LOCK_BYTE_READERS, LUM__LOCK_EXCLUSIVE), LUM_OK);
    lum__file_close(writer);
    assert_int_equal(lum__store_lock(second, &other), LUM_OK);
    lum__file_close(other);
    lum__fs_close(first);
    lum__fs_close(second);
    lum__sim_destroy(sim);
}

static void a_store_without_lock_is_told_apart_from_no_store(void **context)
{
    (void)context;
    struct lum__sim *sim = lum__sim_create(1);
    struct lum__fs *fs = NULL;
    struct lum__file *file = NULL;
    struct lum__state state = example_state();
    assert_int_equal(lum__sim_open(sim, false, &fs), LUM_OK);
    assert_int_equal(lum__state_write(fs, &state), LUM_OK);
    assert_int_equal(lum__store_lock(fs, &file), LUM_ERR_CORRUPT);
    assert_string_equal(lum__error_last()->file, "LOCK");
    lum__fs_close(fs);
    lum__sim_destroy(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_is_kept),
        cmocka_unit_test(every_flipped_bit_is_damage),
        cmocka_unit_test(conditions_have_their_status),
        cmocka_unit_test(a_read_only_feature_refuses_writers),
        cmocka_unit_test(long_sentences_are_cut_between_characters),
        cmocka_unit_test(a_power_cut_leaves_the_old_or_the_new),
        cmocka_unit_test(one_writer_and_readers_beside_it),
        cmocka_unit_test(a_store_without_lock_is_told_apart_from_no_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
