/* Proves that what a commit says of itself survives a round trip, that long texts are cut where a person can still read
 * them, and that each numbered condition of docs/format.md 3.5 is checked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/status.h"
#include "storage/metadata.h"

static void expect_text(const struct lum__metadata *metadata, uint16_t kind, const char *wanted)
{
    uint32_t byte_count;
    const uint8_t *bytes = lum__metadata_find(metadata, kind, &byte_count);
    assert_int_equal(byte_count, wanted != NULL ? strlen(wanted) : 0);
    if (wanted == NULL)
        assert_null(bytes);
    else
        assert_memory_equal(bytes, wanted, byte_count);
}

/* Builds, encodes with a resume point, decodes. */
static void expect_round_trip(const char *mapping, const char *sources, const char *resume)
{
    struct lum__metadata in = {0}, out;
    uint8_t *items, bytes[1024];
    assert_int_equal(lum__metadata_build(mapping, sources, &items, &in.item_bytes), LUM_OK);
    in.items = items;
    in.resume_bytes = (uint32_t)strlen(resume);
    in.resume = in.resume_bytes > 0 ? (const uint8_t *)resume : NULL;
    uint32_t byte_count = lum__metadata_bytes(&in);
    assert_true(byte_count <= sizeof bytes);
    lum__metadata_encode(&in, bytes);
    assert_int_equal(lum__metadata_decode(bytes, byte_count, "f", 0, &out), LUM_OK);
    assert_true(lum__metadata_is_same(&in, &out));
    assert_int_equal(out.resume == NULL, in.resume == NULL);
    assert_int_equal(out.items == NULL, in.items == NULL);
    expect_text(&out, LUM__METADATA_MAPPING, mapping != NULL && mapping[0] ? mapping : NULL);
    expect_text(&out, LUM__METADATA_SOURCES, sources != NULL && sources[0] ? sources : NULL);
    expect_text(&out, 77, NULL);
    free(items);
}

static void test_round_trip(void **state)
{
    (void)state;
    expect_round_trip("id=a x=b*1000", "a.csv\nb.csv", "row 7");
    expect_round_trip("id=a", NULL, "");
    expect_round_trip(NULL, "-", "r");
    expect_round_trip("", "", "r");
    expect_round_trip(NULL, NULL, "");
}

/* A text of `length` bytes, some of them of characters of two bytes, a line every 100. */
static char *long_text(size_t length)
{
    char *text = malloc(length + 1);
    for (size_t i = 0; i < length; i++) text[i] = i % 100 == 99 ? '\n' : i % 2 ? '\xa9' : '\xc3';
    text[length] = 0;
    return text;
}

static void test_long_texts_are_cut(void **state)
{
    (void)state;
    for (size_t length = LUM__METADATA_TEXT_BYTES_MAX - 2; length < LUM__METADATA_TEXT_BYTES_MAX + 3; length++) {
        char *text = long_text(length);
        struct lum__metadata metadata = {0}, out;
        uint8_t *items;
        uint32_t byte_count;
        assert_int_equal(lum__metadata_build(text, text, &items, &metadata.item_bytes), LUM_OK);
        assert_int_equal(lum__metadata_decode(items, metadata.item_bytes, "f", 0, &out), LUM_OK);
        const char *mapping = (const char *)lum__metadata_find(&out, LUM__METADATA_MAPPING, &byte_count);
        if (length <= LUM__METADATA_TEXT_BYTES_MAX) {
            assert_int_equal(byte_count, length);
            assert_memory_equal(mapping, text, length);
        } else {
            /* before "..." a whole character, and of sources a whole line */
            assert_in_range(byte_count, LUM__METADATA_TEXT_BYTES_MAX - 1, LUM__METADATA_TEXT_BYTES_MAX);
            assert_memory_equal(mapping, text, byte_count - 3);
            assert_memory_equal(mapping + byte_count - 4, "\xa9...", 4);
            const char *sources = (const char *)lum__metadata_find(&out, LUM__METADATA_SOURCES, &byte_count);
            assert_int_equal(byte_count, 16300 + 3);
            assert_memory_equal(sources + byte_count - 4, "\n...", 4);
        }
        free(items);
        free(text);
    }
    /* One name that is longer than all the room: cut like any text. */
    char *name = malloc(20001);
    uint8_t *items;
    uint32_t byte_count;
    memset(name, 'x', 20000);
    name[20000] = 0;
    assert_int_equal(lum__metadata_build(NULL, name, &items, &byte_count), LUM_OK);
    assert_int_equal(byte_count, 8 + LUM__METADATA_TEXT_BYTES_MAX);
    free(items);
    free(name);
}

static void test_unknown_kinds_are_kept(void **state)
{
    (void)state;
    static const uint8_t bytes[] = "\x4d\0\0\0\x02\0\0\0zz"
                                   "\xff\x7f\0\0\x01\0\0\0y"
                                   "\x4d\0\0\0\x01\0\0\0x";
    struct lum__metadata out;
    assert_int_equal(lum__metadata_decode(bytes, sizeof bytes - 1, "f", 0, &out), LUM_OK);
    assert_int_equal(out.item_bytes, sizeof bytes - 1);
    assert_memory_equal(out.items, bytes, sizeof bytes - 1);
    expect_text(&out, 0x7fff, "y");
    expect_text(&out, LUM__METADATA_MAPPING, NULL);
}

static void test_conditions(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        uint32_t byte_count;
        lum_status status;
        uint32_t condition;
    } cases[] = {
        {"\1\0\0\0\1\0\0\0", 8, LUM_ERR_CORRUPT, 1},    /* no content where one byte is said */
        {"\1\0\0\0\0\0\0\0", 8, LUM_ERR_CORRUPT, 1},    /* no content at all */
        {"\1\0\0\0\1\0\0", 7, LUM_ERR_CORRUPT, 1},      /* no whole header */
        {"\1\0\0\0\1\0\0\0xy", 10, LUM_ERR_CORRUPT, 1}, /* a byte too many */
        {"\1\0\0\0\xff\xff\xff\xffx", 9, LUM_ERR_CORRUPT, 1},
        {"\1\0\1\0\1\0\0\0x", 9, LUM_ERR_UNSUPPORTED, 2},
        {"\1\0\0\1\1\0\0\0x", 9, LUM_ERR_UNSUPPORTED, 2},
        {"\0\x80\0\0\1\0\0\0x", 9, LUM_ERR_UNSUPPORTED, 2},
        {"\xff\xff\0\0\1\0\0\0x", 9, LUM_ERR_UNSUPPORTED, 2},
        {"\0\0\0\0\1\0\0\0x", 9, LUM_ERR_CORRUPT, 3},
        {"\1\0\0\0\1\0\0\0x\1\0\0\0\1\0\0\0y", 18, LUM_ERR_CORRUPT, 3},
        {"\2\0\0\0\1\0\0\0x\2\0\0\0\1\0\0\0y", 18, LUM_ERR_CORRUPT, 3},
        {"\3\0\0\0\1\0\0\0x\1\0\0\0\1\0\0\0y", 18, LUM_ERR_CORRUPT, 3}, /* something behind the resume point */
        {"\3\0\0\0\1\0\0\0x\3\0\0\0\1\0\0\0y", 18, LUM_ERR_CORRUPT, 3},
        {"\1\0\0\0\2\0\0\0x\0", 10, LUM_ERR_CORRUPT, 4},
        {"\2\0\0\0\2\0\0\0\0x", 10, LUM_ERR_CORRUPT, 4},
        {"\3\0\0\0\2\0\0\0\0x", 10, LUM_OK, 0}, /* opaque */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lum__metadata out;
        lum__error_clear();
        lum_status status =
            lum__metadata_decode((const uint8_t *)cases[i].bytes, cases[i].byte_count, "wal/1.wal", 100, &out);
        if (status != cases[i].status || lum__error_last()->condition != cases[i].condition)
            fail_msg("case %zu: %s, condition %u", i, lum_status_name(status), lum__error_last()->condition);
    }
    /* The most, and one more. */
    uint8_t *bytes = calloc(1, LUM__METADATA_BYTES_MAX + 1);
    struct lum__metadata out;
    lum__put_u16(bytes, 99);
    lum__put_u32(bytes + 4, LUM__METADATA_BYTES_MAX - 8);
    assert_int_equal(lum__metadata_decode(bytes, LUM__METADATA_BYTES_MAX, "f", 0, &out), LUM_OK);
    lum__put_u32(bytes + 4, LUM__METADATA_BYTES_MAX - 7);
    assert_int_equal(lum__metadata_decode(bytes, LUM__METADATA_BYTES_MAX + 1, "f", 0, &out), LUM_ERR_CORRUPT);
    assert_int_equal(lum__error_last()->condition, 1);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_unknown_kinds_are_kept),
        cmocka_unit_test(test_conditions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
