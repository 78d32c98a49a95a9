#include "cli/json.h"

#include <inttypes.h>
#include <string.h>

/* Length of the UTF-8 character at text (RFC 3629: no surrogates, nothing overlong), 0 if it is none. */
static size_t utf8_length(const unsigned char *text)
{
    unsigned char first = text[0];
    if (first < 0x80) return 1;
    size_t length = first >= 0xc2 && first <= 0xdf   ? 2
                    : (first & 0xf0) == 0xe0         ? 3
                    : first >= 0xf0 && first <= 0xf4 ? 4
                                                     : 0;
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) return 0; /* the terminator too */
    }
    if (first == 0xe0 && text[1] < 0xa0) return 0;
    if (first == 0xed && text[1] > 0x9f) return 0;
    if (first == 0xf0 && text[1] < 0x90) return 0;
    if (first == 0xf4 && text[1] > 0x8f) return 0;
    return length;
}

static void write_string(FILE *out, const char *value)
{
    const unsigned char *text = (const unsigned char *)value;
    fputc('"', out);
    while (*text) {
        size_t length = utf8_length(text);
        if (length == 0) {
            fputs("\\ufffd", out);
            text++;
        } else if (length > 1) {
            fwrite(text, 1, length, out);
            text += length;
        } else {
            unsigned char c = *text++;
            if (c == '"' || c == '\\')
                fprintf(out, "\\%c", c);
            else if (c == '\n')
                fputs("\\n", out);
            else if (c == '\t')
                fputs("\\t", out);
            else if (c < 0x20 || c == 0x7f)
                fprintf(out, "\\u%04x", c);
            else
                fputc(c, out);
        }
    }
    fputc('"', out);
}

static void begin_member(struct lum__json *json, const char *name)
{
    if (json->has_member) fputc(',', json->out);
    json->has_member = true;
    if (name) {
        write_string(json->out, name);
        fputc(':', json->out);
    }
}

static void begin_nested(struct lum__json *json, const char *name, char bracket)
{
    begin_member(json, name);
    fputc(bracket, json->out);
    json->has_member = false;
}

static void end_nested(struct lum__json *json, char bracket)
{
    fputc(bracket, json->out);
    json->has_member = true;
}

void lum__json_begin_object(struct lum__json *json, const char *name) { begin_nested(json, name, '{'); }
void lum__json_end_object(struct lum__json *json) { end_nested(json, '}'); }
void lum__json_begin_array(struct lum__json *json, const char *name) { begin_nested(json, name, '['); }
void lum__json_end_array(struct lum__json *json) { end_nested(json, ']'); }

void lum__json_string(struct lum__json *json, const char *name, const char *value)
{
    begin_member(json, name);
    if (value)
        write_string(json->out, value);
    else
        fputs("null", json->out);
}

void lum__json_u64(struct lum__json *json, const char *name, uint64_t value)
{
    begin_member(json, name);
    fprintf(json->out, "%" PRIu64, value);
}

void lum__json_i64(struct lum__json *json, const char *name, int64_t value)
{
    begin_member(json, name);
    fprintf(json->out, "%" PRId64, value);
}

void lum__json_bool(struct lum__json *json, const char *name, bool value)
{
    begin_member(json, name);
    fputs(value ? "true" : "false", json->out);
}

void lum__json_null(struct lum__json *json, const char *name)
{
    begin_member(json, name);
    fputs("null", json->out);
}
