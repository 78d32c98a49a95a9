/* Proves that command lines are read as the tables say: sizes, ranges, sync modes and lists; that what is wrong is
 * refused by name with the closest match; and that JSON strings are valid whatever is in them. */
#include "cli/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/json.h"
#include "cli/message.h"

#define FIELD(name) offsetof(struct lum__arguments, name)
static const struct lum__option own_options[] = {
    {.name = "count",
     .kind = LUM__OPTION_NUMBER,
     .offset = FIELD(count),
     .argument = "N",
     .min = 1,
     .max = 1000000000000,
     .help = "rows"},
    {.name = "map", .letter = 'm', .kind = LUM__OPTION_LIST, .offset = FIELD(maps), .argument = "M", .help = "map"},
    {.name = "workload",
     .kind = LUM__OPTION_CHOICE,
     .offset = FIELD(workload),
     .argument = "W",
     .choices = lum__workload_names,
     .help = "w"},
    {0}};
static const struct lum__option *const tables[] = {own_options, lum__options_writer, lum__options_ranges,
                                                   lum__options_common, NULL};
static const struct lum__command command = {.name = "try",
                                            .positional_help = "STORE [FILE]",
                                            .positional_min = 1,
                                            .positional_max = 2,
                                            .summary = "a test",
                                            .examples = "",
                                            .tables = tables};
static struct lum__arguments arguments;

/* The words, ended by NULL, behind `lum try`. */
static int parse(const char *first, ...)
{
    static const char *words[32];
    int count = 0;
    va_list list;
    va_start(list, first);
    for (const char *word = first; word; word = va_arg(list, const char *)) words[count++] = word;
    va_end(list);
    lum__arguments_init(&arguments);
    return lum__options_parse(&command, count, words, &arguments);
}

static void numbers_take_their_suffixes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {{"0", 0},
                {"7", 7},
                {"1K", 1000},
                {"3M", 3000000},
                {"2G", 2000000000},
                {"1T", 1000000000000},
                {"1Ki", 1024},
                {"5Mi", 5 << 20},
                {"1Gi", 1 << 30},
                {"2Ti", (uint64_t)2 << 40},
                {"18446744073709551615", UINT64_MAX}};
    static const char *const bad[] = {"",
                                      "K",
                                      "-1",
                                      "+1",
                                      "1k",
                                      "1KB",
                                      "1MiB",
                                      "1 M",
                                      "1.5M",
                                      "0x10",
                                      "1m",
                                      "1e6",
                                      "18446744073709551616",
                                      "18446744073709552K",
                                      "16777216Ti"};
    uint64_t value;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_null(lum__number_parse(good[i].text, &value));
        assert_int_equal(value, good[i].value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_non_null(lum__number_parse(bad[i], &value));
}

static void all_forms_of_options_are_read(void **state)
{
    (void)state;
    assert_int_equal(parse("a.lum", "--count=5K", "-qv", "--map", "x=1", "-my=2", "-m", "z=3", "--json", "b.csv", NULL),
                     0);
    assert_int_equal(arguments.count, 5000);
    assert_true(arguments.quiet && arguments.verbose && arguments.json);
    assert_int_equal(arguments.maps.count, 3);
    assert_string_equal(arguments.maps.items[1], "y=2");
    assert_int_equal(arguments.positional_count, 2);
    assert_string_equal(arguments.positional[0], "a.lum");
    assert_string_equal(arguments.positional[1], "b.csv");
    assert_int_equal(parse("--", "--json", "-", NULL), 0);
    assert_false(arguments.json);
    assert_string_equal(arguments.positional[0], "--json");
    assert_string_equal(arguments.positional[1], "-");
    assert_int_equal(parse("--help", NULL), 0); /* help needs nothing else */
    assert_true(arguments.help);
    assert_int_equal(parse("s", "--workload", "seed+noise", "--progress=never", NULL), 0);
    assert_int_equal(arguments.workload, LUM__WORKLOAD_SEED_NOISE);
    assert_int_equal(arguments.progress, LUM__PROGRESS_NEVER);
}

static void ranges_and_sync_modes_are_read(void **state)
{
    (void)state;
    assert_int_equal(
        parse("s", "--id", "5..9", "--x", "-5..", "--y=..-3", "--time", "2020-01-01..2020-01-02T00:00:00.5Z", NULL), 0);
    assert_int_equal(arguments.id.min, 5);
    assert_int_equal(arguments.id.max, 9);
    assert_int_equal(arguments.x.min, -5);
    assert_int_equal(arguments.x.max, INT32_MAX);
    assert_int_equal(arguments.y.min, INT32_MIN);
    assert_int_equal(arguments.y.max, -3);
    assert_int_equal(arguments.time.min, 1577836800000000000);
    assert_int_equal(arguments.time.max, 1577923200500000000);
    assert_int_equal(parse("s", "--id", "7", "--sync=interval=250", NULL), 0);
    assert_int_equal(arguments.id.min, 7);
    assert_int_equal(arguments.id.max, 7);
    assert_int_equal(arguments.sync.mode, LUM_SYNC_INTERVAL);
    assert_int_equal(arguments.sync.interval_ms, 250);
    assert_int_equal(parse("s", "--sync", "none", NULL), 0);
    assert_int_equal(arguments.sync.mode, LUM_SYNC_NONE);
    static const char *const bad[] = {"--id=..",        "--id=9..5",           "--id=-1..",  "--id=a..b",
                                      "--x=2147483648", "--time=2020-13-01..", "--sync=now", "--sync=interval=0",
                                      "--id=1...5",     "--count=0",           "--count=2T", "--threads=0",
                                      "--chunk-lums=5", "--workload=sed",      "--json=1",   "--map"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_int_equal(parse("s", bad[i], NULL), LUM__EXIT_USAGE);
}

static void words_too_many_or_too_few_are_refused(void **state)
{
    (void)state;
    assert_int_equal(parse(NULL), LUM__EXIT_USAGE);
    assert_int_equal(parse("a", "b", "c", NULL), LUM__EXIT_USAGE);
    assert_int_equal(parse("a", "--bogus", NULL), LUM__EXIT_USAGE);
    assert_int_equal(parse("a", "-z", NULL), LUM__EXIT_USAGE);
}

static void the_closest_word_is_found(void **state)
{
    (void)state;
    static const char *const list[] = {"count", "workload", "commit-every", "threads", "memory", "json", NULL};
    assert_string_equal(lum__closest_word("cuont", list), "count");
    assert_string_equal(lum__closest_word("treads", list), "threads");
    assert_string_equal(lum__closest_word("commit_every", list), "commit-every");
    assert_string_equal(lum__closest_word("mem", list), "memory");
    assert_string_equal(lum__closest_word("work", list), "workload");
    assert_null(lum__closest_word("zzzzzz", list));
    assert_null(lum__closest_word("a-very-long-word-that-is-longer-than-any-option-of-the-program", list));
}

static void json_strings_are_valid_utf8_and_escaped(void **state)
{
    (void)state;
    static const struct {
        const char *text, *json;
    } cases[] = {{"plain", "\"plain\""},
                 {"\"\\\n\t\x01", "\"\\\"\\\\\\n\\t\\u0001\""},
                 {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
                 {"\xff", "\"\\ufffd\""},
                 {"a\xc3", "\"a\\ufffd\""},
                 {"\xc0\x80", "\"\\ufffd\\ufffd\""},
                 {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = NULL;
        size_t bytes = 0;
        struct lum__json json = {.out = open_memstream(&text, &bytes)};
        lum__json_string(&json, NULL, cases[i].text);
        fclose(json.out);
        assert_string_equal(text, cases[i].json);
        free(text);
    }
}

static void json_members_are_separated(void **state)
{
    (void)state;
    char *text = NULL;
    size_t bytes = 0;
    struct lum__json json = {.out = open_memstream(&text, &bytes)};
    lum__json_begin_object(&json, NULL);
    lum__json_u64(&json, "a", UINT64_MAX);
    lum__json_begin_array(&json, "b");
    lum__json_begin_object(&json, NULL);
    lum__json_end_object(&json);
    lum__json_i64(&json, NULL, INT64_MIN);
    lum__json_end_array(&json);
    lum__json_bool(&json, "c", true);
    lum__json_null(&json, "d");
    lum__json_string(&json, "e", NULL);
    lum__json_end_object(&json);
    fclose(json.out);
    assert_string_equal(
        text, "{\"a\":18446744073709551615,\"b\":[{},-9223372036854775808],\"c\":true,\"d\":null,\"e\":null}");
    free(text);
}

static void numbers_for_people(void **state)
{
    (void)state;
    assert_string_equal(lum__human_count(0), "0");
    assert_string_equal(lum__human_count(999), "999");
    assert_string_equal(lum__human_count(100000000), "100,000,000");
    assert_string_equal(lum__human_count(UINT64_MAX), "18,446,744,073,709,551,615");
    assert_string_equal(lum__human_bytes(999), "999 B");
    assert_string_equal(lum__human_bytes(991000000), "991 MB");
    assert_string_equal(lum__human_bytes(1520), "1.52 kB");
    assert_string_equal(lum__human_bytes(999600), "1.00 MB");
    assert_string_equal(lum__human_seconds(1520000000), "1.52 s");
    assert_string_equal(lum__human_rate(0, 0), "0 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_take_their_suffixes),    cmocka_unit_test(all_forms_of_options_are_read),
        cmocka_unit_test(ranges_and_sync_modes_are_read), cmocka_unit_test(words_too_many_or_too_few_are_refused),
        cmocka_unit_test(the_closest_word_is_found),      cmocka_unit_test(json_strings_are_valid_utf8_and_escaped),
        cmocka_unit_test(json_members_are_separated),     cmocka_unit_test(numbers_for_people)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
