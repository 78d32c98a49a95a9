#include "cli/json.h"

#include <inttypes.h>
#include "cli/text.h"

static void write_string(FILE *out, const char *value)
{
    const char *text = value;
    fputc('"', out);
    while (*text) {
        size_t length = lum__utf8_length(text);
        if (length == 0) {
            fputs("\\ufffd", out);
            text++;
        } else if (length > 1) {
            fwrite(text, 1, length, out);
            text += length;
        } else {
            unsigned char c = (unsigned char)*text++;
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
