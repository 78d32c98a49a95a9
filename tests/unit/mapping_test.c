/* Proves the --map grammar, what maps itself, the defaults, and that a wrong mapping lists the columns and suggests a
 * --map that is then accepted. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "formats/mapping.h"

static size_t lengths[64];

static struct lum__mapping_columns columns_of(const char *const *names, uint32_t count, bool has_names)
{
    for (uint32_t i = 0; i < count; ++i) lengths[i] = strlen(names[i]);
    return (struct lum__mapping_columns){names, lengths, count, has_names, LUM__COLUMNS_OF_ROW};
}

static const char *const cities[] = {"geonameid", "name", "latitude", "longitude", "population", "modified"};
static const char *const own[] = {"id",        "presence",       "position_x",   "position_y", "structure_type",
                                  "timestamp", "memory_address", "is_destroyed", "checksum"};

/* Resolves `maps` (NULL-ended) against columns; the plan as text, or the error. */
static lum_status resolve(const char *const *maps, const struct lum__mapping_columns *columns, char text[512],
                          struct lum__mapping_plan *plan)
{
    struct lum__mapping mapping = LUM__MAPPING_INIT;
    lum_status status = LUM_OK;

    for (; *maps != NULL && status == LUM_OK; ++maps) status = lum__mapping_add(&mapping, *maps);
    if (status == LUM_OK) status = lum__mapping_resolve(&mapping, columns, "file.csv", plan);
    lum__mapping_destroy(&mapping);
    if (status == LUM_OK) (void)lum__mapping_describe(plan, columns, text, 512);
    return status;
}

static void resolves_to(const char *const *maps, const struct lum__mapping_columns *columns, const char *want)
{
    struct lum__mapping_plan plan;
    char text[512] = "";

    if (resolve(maps, columns, text, &plan) != LUM_OK) fail_msg("%s: %s", want, lum__error_last()->message);
    assert_string_equal(text, want);
}

static void own_names_map_themselves(void **state)
{
    struct lum__mapping_columns columns = columns_of(own, 9, true);

    (void)state;
    resolves_to((const char *[]){NULL}, &columns,
                "id=id,presence=presence,position_x=position_x,position_y=position_y,structure_type=structure_type,"
                "timestamp=timestamp,memory_address=memory_address,is_destroyed=is_destroyed,checksum=checksum");
    columns = columns_of((const char *[]){"timestamp", "ID", "id"}, 3, true);
    resolves_to((const char *[]){NULL}, &columns, "timestamp=timestamp,id=id"); /* case matters */
}

static void columns_scales_and_constants(void **state)
{
    struct lum__mapping_columns columns = columns_of(cities, 6, true);
    struct lum__mapping_plan plan;
    char text[512];

    (void)state;
    const char *const maps[] = {"id=geonameid,position_x=longitude*1e7",
                                "position_y=latitude*10000000",
                                "timestamp=modified,memory_address=population",
                                "structure_type=group",
                                "presence=0",
                                NULL};
    assert_int_equal(resolve(maps, &columns, text, &plan), LUM_OK);
    assert_int_equal(plan.rule_count, 5);
    for (uint32_t i = 1; i < plan.rule_count; ++i) assert_true(plan.rules[i - 1].column <= plan.rules[i].column);
    assert_int_equal(plan.rules[1].field, LUM__FIELD_POSITION_Y);
    assert_int_equal(plan.rules[1].scale.exponent, 7);
    assert_int_equal(plan.rules[1].scale.mantissa, 1);
    assert_int_equal(plan.defaults.structure_type, 3);
    assert_int_equal(plan.defaults.presence, 0);
    assert_string_equal(text, "id=geonameid,position_y=latitude*1e7,position_x=longitude*1e7,memory_address=population,"
                              "timestamp=modified,presence=0,structure_type=3");
    resolves_to((const char *const[]){"id=#1,memory_address=#1,position_x=#4*0.5", NULL}, &columns,
                "id=geonameid,memory_address=geonameid,position_x=longitude*5e-1");
    resolves_to((const char *const[]){"id=@row,timestamp=2020-01-01,position_x=-5,is_destroyed=true", NULL}, &columns,
                "id=@row,position_x=-5,timestamp=1577836800000000000,is_destroyed=1");
}

static void defaults_are_presence_1_and_0(void **state)
{
    struct lum__mapping_columns columns = columns_of(cities, 6, true);
    struct lum__mapping_plan plan;
    char text[512];

    (void)state;
    assert_int_equal(resolve((const char *const[]){"id=geonameid", NULL}, &columns, text, &plan), LUM_OK);
    const lum_t want = {.presence = 1};
    assert_memory_equal(&plan.defaults, &want, sizeof want);
    assert_false(plan.id_is_row_number);
}

static void odd_names_need_quotes(void **state)
{
    static const char *const odd[] = {"id", "a,b", "c*2", "say \"so\"", "#1", "@row", "3", ""};
    struct lum__mapping_columns columns = columns_of(odd, 8, true);
    static const struct {
        const char *map;
        uint32_t column;
        bool scaled;
    } cases[] = {
        {"memory_address=\"a,b\"", 1, false},  {"memory_address=\"c*2\"", 2, false},
        {"memory_address=\"c*2\"*3", 2, true}, {"memory_address=\"say \"\"so\"\"\"", 3, false},
        {"memory_address=\"#1\"", 4, false},   {"memory_address=\"@row\"", 5, false},
        {"memory_address=3", 6, false}, /* a column of that name goes before a constant */
        {"memory_address=\"\"", 7, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        struct lum__mapping_plan plan;
        char text[512];
        bool found = false;
        if (resolve((const char *const[]){cases[i].map, NULL}, &columns, text, &plan) != LUM_OK)
            fail_msg("%s: %s", cases[i].map, lum__error_last()->message);
        for (uint32_t rule = 0; rule < plan.rule_count; ++rule) {
            if (plan.rules[rule].field != LUM__FIELD_MEMORY_ADDRESS) continue;
            found = plan.rules[rule].column == cases[i].column && plan.rules[rule].scaled == cases[i].scaled;
        }
        if (!found) fail_msg("%s became %s", cases[i].map, text);
        /* What a plan says of itself is a --map that means the same. */
        char again[512];
        struct lum__mapping_plan second;
        assert_int_equal(resolve((const char *const[]){text, NULL}, &columns, again, &second), LUM_OK);
        assert_string_equal(text, again);
        assert_memory_equal(plan.rules, second.rules, plan.rule_count * sizeof plan.rules[0]);
    }
}

static void wrong_grammar_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",          "id",         "=x",          "id=",       "id=a,",   "id=a,,presence=1",
        "idx=a",     "id=a,id=b",  "id=\"a",      "id=\"a\"b", "ID=a",    "id=\"a\"*x",
        "id=\"a\"*", "id=\"a\"*0", "id=\"a\"*-1", "id =a",     "id=*1e7", "reserved=a"};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; ++i) {
        struct lum__mapping mapping = LUM__MAPPING_INIT;
        if (lum__mapping_add(&mapping, wrong[i]) != LUM_ERR_ARGUMENT) fail_msg("\"%s\" was taken", wrong[i]);
        assert_true(strlen(lum__error_last()->remedy) > 0);
        lum__mapping_destroy(&mapping);
    }
}

static void wrong_columns_list_what_is_there(void **state)
{
    struct lum__mapping_columns columns = columns_of(cities, 6, true);
    static const struct {
        const char *map, *message;
    } cases[] = {
        {"id=geonamid", "id=geonamid: there is no column \"geonamid\"; the columns are geonameid, name, latitude, "
                        "longitude, population, modified"},
        {"id=geonameid,position_x=lon*1e7", "position_x=lon: there is no column \"lon\"; the columns are"},
        {"position_x=longitude*1e7", "no column is named \"id\", and no --map says where the ids are; the columns are"},
        {"id=#7", "id=#7: the file has 6 columns"},
        {"id=#0", "id=#0: the file has 6 columns"},
        {"id=5", "id=5: there is no column \"5\""},
        {"id=5", "id=5: there is no column \"5\", and no constant can be in its place"},
        {"id=@row*2", "id=@row takes no scale"},
        {"id=geonameid,structure_type=6", "structure_type=6: there is no column \"6\", nor such a structure type (linear, circular,"},
        {"id=geonameid,structure_type=cube", "structure_type=cube: there is no column \"cube\", nor such a structure type (linear, circular,"},
        {"id=geonameid,timestamp=@row", "timestamp=@row: only id can be the row's number"},
        {"id=geonameid,timestamp=2020-13-01", "timestamp=2020-13-01: there is no column \"2020-13-01\", nor is it a value that the field can have"},
        {"id=geonameid,presence=maybe", "presence=maybe: there is no column \"maybe\", nor is it a value that the field can have"},
        {"id=geonameid,position_x=longitude*0", "position_x=longitude*0: a scale must be a positive decimal such as 1e7, 1000 or 0.001"},
        {"id=geonameid,position_x=#4*1e400", "position_x=#4*1e400: a scale must be a positive decimal"},
        {"id=geonameid,position_x=longitude*-1", "position_x=longitude*-1: a scale must be a positive decimal"},
        {"id=geonameid, position_x=lon*2", "position_x=lon: there is no column \"lon\""},
        {"id=geonameid,presence=name*2", "presence takes no scale"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        struct lum__mapping_plan plan;
        char text[512], suggestion[512];
        assert_int_equal(resolve((const char *const[]){cases[i].map, NULL}, &columns, text, &plan), LUM_ERR_INPUT);
        const struct lum__error *error = lum__error_last();
        if (strncmp(error->message, cases[i].message, strlen(cases[i].message)) != 0)
            fail_msg("%s: %s", cases[i].map, error->message);
        assert_string_equal(error->file, "file.csv");
        /* The suggestion is ready to use. */
        if (sscanf(error->remedy, "for example --map '%500[^']'", suggestion) != 1) fail_msg("%s", error->remedy);
        if (strstr(cases[i].map, "presence") != NULL) continue; /* says what is wrong; the column stays the user's */
        if (resolve((const char *const[]){suggestion, NULL}, &columns, text, &plan) != LUM_OK)
            fail_msg("%s suggested %s: %s", cases[i].map, suggestion, lum__error_last()->message);
    }
}

static void a_header_with_another_delimiter_is_told(void **state)
{
    static const struct {
        const char *header, *remedy;
    } cases[] = {{"id;position_x", "the columns seem to be parted by \";\": --delimiter ';'"},
                 {"id|x", "the columns seem to be parted by \"|\": --delimiter '|'"},
                 {"id\tx\ty", "the columns seem to be parted by tabs: --format tsv"},
                 {"id,x", "the columns seem to be parted by \",\": --delimiter ','"},
                 {"ident", "for example --map 'id=ident', or --no-header if the first line is data"}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        struct lum__mapping_columns columns = columns_of(&cases[i].header, 1, true);
        struct lum__mapping_plan plan;
        char text[512];
        assert_int_equal(resolve((const char *const[]){NULL}, &columns, text, &plan), LUM_ERR_INPUT);
        assert_string_equal(lum__error_last()->remedy, cases[i].remedy);
    }
}

static void without_a_header_only_numbers_count(void **state)
{
    static const char *const first_row[] = {"id", "2", "3"};
    struct lum__mapping_columns columns = columns_of(first_row, 3, false);
    struct lum__mapping_plan plan;
    char text[512];

    (void)state;
    assert_int_equal(resolve((const char *const[]){NULL}, &columns, text, &plan),
                     LUM_ERR_INPUT); /* "id" is data here */
    assert_non_null(strstr(lum__error_last()->message, "the columns are #1 to #3"));
    assert_non_null(strstr(lum__error_last()->remedy, "--map 'id=#1'"));
    resolves_to((const char *const[]){"id=#3,position_x=#2", NULL}, &columns, "position_x=#2,id=#3");
}

static void a_name_that_stands_twice_is_refused_where_it_is_used(void **state)
{
    static const char *const twice[] = {"id", "x", "x", "y"};
    struct lum__mapping_columns columns = columns_of(twice, 4, true);
    struct lum__mapping_plan plan;
    char text[512];

    (void)state;
    resolves_to((const char *const[]){"position_y=y", NULL}, &columns, "id=id,position_y=y");
    assert_int_equal(resolve((const char *const[]){"position_x=x", NULL}, &columns, text, &plan), LUM_ERR_INPUT);
    assert_non_null(strstr(lum__error_last()->message, "two columns are named \"x\": use their numbers (#2 or #3)"));
    resolves_to((const char *const[]){"position_x=#3", NULL}, &columns, "id=id,position_x=#3");
}

static void long_lists_are_cut_with_a_count(void **state)
{
    static char names[64][40];
    static const char *pointers[64];
    struct lum__mapping_plan plan;
    char text[512];

    (void)state;
    for (int i = 0; i < 64; ++i) {
        (void)snprintf(names[i], sizeof names[i], "a_rather_long_column_name_%d", i);
        pointers[i] = names[i];
    }
    struct lum__mapping_columns columns = columns_of(pointers, 64, true);
    assert_int_equal(resolve((const char *const[]){"id=x", NULL}, &columns, text, &plan), LUM_ERR_INPUT);
    assert_non_null(strstr(lum__error_last()->message, " more"));
    assert_true(strlen(lum__error_last()->message) < 511);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_names_map_themselves),
        cmocka_unit_test(columns_scales_and_constants),
        cmocka_unit_test(defaults_are_presence_1_and_0),
        cmocka_unit_test(odd_names_need_quotes),
        cmocka_unit_test(wrong_grammar_is_refused),
        cmocka_unit_test(wrong_columns_list_what_is_there),
        cmocka_unit_test(a_header_with_another_delimiter_is_told),
        cmocka_unit_test(without_a_header_only_numbers_count),
        cmocka_unit_test(a_name_that_stands_twice_is_refused_where_it_is_used),
        cmocka_unit_test(long_lists_are_cut_with_a_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
