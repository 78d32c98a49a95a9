#include "formats/json_value.h"

#include <json-c/json_object.h>
#include <json-c/json_tokener.h>
#include <limits.h>
#include <string.h>

enum { DEPTH_MAX = 32 }; /* of nested values; a string needs none */

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

/* The odd case: a string with escapes. */
static const uint8_t *take_by_library(struct lum__json_reader *reader, const uint8_t *at, const uint8_t *end,
                                      struct lum__json_value *out, const char **reason, const uint8_t **offence)
{
    *offence = at;
    *reason = "no memory to read it";
    let_go(reader);
    if (reader->tokener == NULL) reader->tokener = json_tokener_new_ex(2);
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
    *reason = error == json_tokener_continue ? "a string does not end" : "an escape in a string is none of JSON's";
    if (error != json_tokener_success || !json_object_is_type(reader->held, json_type_string)) return NULL;
    out->kind = LUM__JSON_STRING;
    out->text = (const uint8_t *)json_object_get_string(reader->held);
    out->length = (size_t)json_object_get_string_len(reader->held);
    return at + used;
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

static const uint8_t *take_scalar(struct lum__json_reader *reader, const uint8_t *at, const uint8_t *end,
                                  struct lum__json_value *out, const char **reason, const uint8_t **offence)
{
    static const struct {
        const char *word;
        enum lum__json_kind kind;
    } words[] = {{"true", LUM__JSON_BOOL}, {"false", LUM__JSON_BOOL}, {"null", LUM__JSON_NULL}};

    *offence = at;
    *reason = "a value is missing";
    if (at == end) return NULL;
    if (*at == '"') return take_string(reader, at, end, out, reason, offence);
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

/* ------------------------------------------------------------------------------------------------------ nested ones */

/* Inside of objects and arrays: which of them are objects, the innermost in the lowest bit. */
struct nesting {
    uint64_t is_object;
    unsigned depth;
};

static const uint8_t *fail_nested(const uint8_t *at, const char *text, const char **reason, const uint8_t **offence)
{
    *reason = text;
    *offence = at;
    return NULL;
}

/* `"key":` */
static const uint8_t *skip_key(struct lum__json_reader *reader, const uint8_t *at, const uint8_t *end,
                               const char **reason, const uint8_t **offence)
{
    struct lum__json_value key;

    at = lum__json_skip_blanks(at, end);
    if (at == end || *at != '"') return fail_nested(at, "a key in quotes is missing", reason, offence);
    at = take_string(reader, at, end, &key, reason, offence);
    if (at == NULL) return NULL;
    at = lum__json_skip_blanks(at, end);
    return at < end && *at == ':' ? at + 1 : fail_nested(at, "a colon is missing", reason, offence);
}

/* From behind a value on: closes what ends here, up to the next value or, with depth 0, the end. */
static const uint8_t *skip_separators(struct lum__json_reader *reader, struct nesting *nesting, const uint8_t *at,
                                      const uint8_t *end, const char **reason, const uint8_t **offence)
{
    while (nesting->depth > 0) {
        bool is_object = nesting->is_object & 1;
        at = lum__json_skip_blanks(at, end);
        if (at == end) return fail_nested(at, "an object or an array does not end", reason, offence);
        if (*at == ',') return is_object ? skip_key(reader, at + 1, end, reason, offence) : at + 1;
        if (*at != (is_object ? '}' : ']'))
            return fail_nested(at, is_object ? "a comma or } is missing" : "a comma or ] is missing", reason, offence);
        ++at;
        nesting->is_object >>= 1;
        nesting->depth--;
    }
    return at;
}

/* An object or an array, which only has to be right. Without recursion: a text may be deep. */
static const uint8_t *skip_nested(struct lum__json_reader *reader, const uint8_t *at, const uint8_t *end,
                                  struct lum__json_value *out, const char **reason, const uint8_t **offence)
{
    struct nesting nesting = {0};
    struct lum__json_value value;
    const uint8_t *begin = at;

    do {
        at = lum__json_skip_blanks(at, end);
        if (at < end && (*at == '{' || *at == '[')) {
            bool is_object = *at == '{';
            if (nesting.depth == DEPTH_MAX)
                return fail_nested(at, "objects and arrays are nested deeper than 32", reason, offence);
            nesting.is_object = nesting.is_object << 1 | is_object;
            nesting.depth++;
            at = lum__json_skip_blanks(at + 1, end);
            bool is_empty = at < end && *at == (is_object ? '}' : ']');
            if (!is_empty && is_object) at = skip_key(reader, at, end, reason, offence);
            if (at == NULL) return NULL;
            if (!is_empty) continue;
        } else {
            at = take_scalar(reader, at, end, &value, reason, offence);
            if (at == NULL) return NULL;
        }
        at = skip_separators(reader, &nesting, at, end, reason, offence);
        if (at == NULL) return NULL;
    } while (nesting.depth > 0);
    *out = (struct lum__json_value){LUM__JSON_NESTED, begin, (size_t)(at - begin)};
    return at;
}

const uint8_t *lum__json_take_value(struct lum__json_reader *reader, const uint8_t *at, const uint8_t *end,
                                    struct lum__json_value *out, const char **reason, const uint8_t **offence)
{
    let_go(reader);
    if (at < end && (*at == '{' || *at == '[')) return skip_nested(reader, at, end, out, reason, offence);
    return take_scalar(reader, at, end, out, reason, offence);
}
