#include "formats/json_value.h"

#include <json-c/json_object.h>
#include <json-c/json_tokener.h>
#include <limits.h>
#include <string.h>

enum { DEPTH_MAX = 32 };

static void let_go(struct lum__json_reader *reader)
{
    if (reader->held != NULL) json_object_put(reader->held);
    reader->held = NULL;
}

void lum__json_reader_fini(struct lum__json_reader *reader)
{
    let_go(reader);
    if (reader->tokener != NULL) json_tokener_free(reader->tokener);
    *reader = (struct lum__json_reader){0};
}

/* The odd case. */
static const uint8_t *take_by_library(struct lum__json_reader *reader, const uint8_t *at, const uint8_t *end,
                                      struct lum__json_value *out, const char **reason, const uint8_t **offence)
{
    *offence = at;
    *reason = "no memory to read it";
    if (reader->tokener == NULL) reader->tokener = json_tokener_new_ex(DEPTH_MAX);
    if (reader->tokener == NULL) return NULL;
    *reason = "it is too long";
    if (end - at > INT_MAX) return NULL;
    json_tokener_reset(reader->tokener);
    json_tokener_set_flags(reader->tokener,
                           JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS | JSON_TOKENER_VALIDATE_UTF8);
    reader->held = json_tokener_parse_ex(reader->tokener, (const char *)at, (int)(end - at));
    enum json_tokener_error error = json_tokener_get_error(reader->tokener);
    size_t used = json_tokener_get_parse_end(reader->tokener);
    *offence = at + used;
    if (error == json_tokener_success && reader->held != NULL) {
        out->kind = LUM__JSON_NESTED;
        out->text = at;
        out->length = used;
        if (json_object_is_type(reader->held, json_type_string)) {
            out->kind = LUM__JSON_STRING;
            out->text = (const uint8_t *)json_object_get_string(reader->held);
            out->length = (size_t)json_object_get_string_len(reader->held);
        }
        return at + used;
    }
    *reason = error == json_tokener_continue      ? "a string, an object or an array does not end"
              : error == json_tokener_error_depth ? "objects and arrays are nested deeper than 32"
                                                  : "a value is not JSON";
    return NULL;
}

static const uint8_t *take_string(struct lum__json_reader *reader, const uint8_t *at, const uint8_t *end,
                                  struct lum__json_value *out, const char **reason, const uint8_t **offence)
{
    const uint8_t *p = at + 1;

    while (p < end && *p != '"' && *p != '\\' && *p >= 0x20) ++p;
    if (p < end && *p == '\\') {
        const uint8_t *string_end = take_by_library(reader, at, end, out, reason, offence);
        for (p = at; string_end != NULL && p < string_end; ++p) {
            if (*p >= 0x20) continue;
            *reason = "a control byte in a string";
            *offence = p;
            return NULL;
        }
        return string_end;
    }
    *offence = p;
    *reason = p == end ? "a string does not end" : "a control byte in a string";
    if (p == end || *p != '"') return NULL;
    *out = (struct lum__json_value){LUM__JSON_STRING, at + 1, (size_t)(p - at - 1)};
    return p + 1;
}

static bool word_is(const uint8_t *at, const uint8_t *end, const char *word)
{
    return (size_t)(end - at) >= strlen(word) && memcmp(at, word, strlen(word)) == 0;
}

const uint8_t *lum__json_take_value(struct lum__json_reader *reader, const uint8_t *at, const uint8_t *end,
                                    struct lum__json_value *out, const char **reason, const uint8_t **offence)
{
    static const struct {
        const char *word;
        enum lum__json_kind kind;
    } words[] = {{"true", LUM__JSON_BOOL}, {"false", LUM__JSON_BOOL}, {"null", LUM__JSON_NULL}};

    let_go(reader);
    *offence = at;
    *reason = "a value is missing";
    if (at == end) return NULL;
    if (*at == '"') return take_string(reader, at, end, out, reason, offence);
    if (*at == '{' || *at == '[') return take_by_library(reader, at, end, out, reason, offence);
    if (*at == '-' || (*at >= '0' && *at <= '9')) {
        const uint8_t *number_end = lum__json_number_end(at, end);
        *reason = "a number is not as JSON writes numbers";
        if (number_end == NULL) return NULL;
        *out = (struct lum__json_value){LUM__JSON_NUMBER, at, (size_t)(number_end - at)};
        return number_end;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; ++i) {
        if (!word_is(at, end, words[i].word)) continue;
        *out = (struct lum__json_value){words[i].kind, at, strlen(words[i].word)};
        return at + out->length;
    }
    *reason = "a value is neither a number, a string, true, false nor null";
    return NULL;
}
