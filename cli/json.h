/* cli/json.h - writes JSON to a FILE as it goes: no tree in memory, so a log dump of any length is fine. Own because
 * writing is all that the program needs and it is a page long; a library would build every object in memory first and
 * would write strings that are not UTF-8 (file names may be anything) as they are. */
#ifndef LUM_CLI_JSON_H
#define LUM_CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct lum__json {
    FILE *out;
    bool has_member; /* something stands before in the innermost object or array */
};

/* name is NULL in arrays and for the outermost object. */
void lum__json_begin_object(struct lum__json *json, const char *name);
void lum__json_end_object(struct lum__json *json);
void lum__json_begin_array(struct lum__json *json, const char *name);
void lum__json_end_array(struct lum__json *json);
void lum__json_string(struct lum__json *json, const char *name, const char *value); /* NULL is written as null */
void lum__json_u64(struct lum__json *json, const char *name, uint64_t value);
void lum__json_i64(struct lum__json *json, const char *name, int64_t value);
void lum__json_bool(struct lum__json *json, const char *name, bool value);
void lum__json_null(struct lum__json *json, const char *name);

#endif
