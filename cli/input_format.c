#include "cli/input_format.h"

#include <stdbool.h>
#include <string.h>

#include "cli/message.h"
#include "formats/csv_source.h"
#include "formats/ndjson_source.h"
#include "formats/npy.h"
#include "formats/npy_source.h"
#include "formats/raw_source.h"

const char *const lum__input_format_names[] = {"auto", "csv", "tsv", "ndjson", "npy", "raw", NULL};

static bool ends_with(const char *name, size_t length, const char *ending)
{
    size_t ending_length = strlen(ending);
    return length > ending_length && memcmp(name + length - ending_length, ending, ending_length) == 0;
}

/* LUM__INPUT_AUTO: the name says nothing. */
static enum lum__input_format format_of_name(const char *name)
{
    static const char *const compressions[] = {".gz", ".zst", ".xz", ".lz4", ".bz2"};
    static const struct {
        const char *ending;
        enum lum__input_format format;
    } endings[] = {{".csv", LUM__INPUT_CSV},      {".tsv", LUM__INPUT_TSV}, {".ndjson", LUM__INPUT_NDJSON},
                   {".jsonl", LUM__INPUT_NDJSON}, {".npy", LUM__INPUT_NPY}, {".raw", LUM__INPUT_RAW},
                   {".lum", LUM__INPUT_RAW}};
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof compressions / sizeof compressions[0]; i++) {
        if (!ends_with(name, length, compressions[i])) continue;
        length -= strlen(compressions[i]);
        break;
    }
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        if (ends_with(name, length, endings[i].ending)) return endings[i].format;
    }
    return LUM__INPUT_AUTO;
}

static size_t skip_blanks(const uint8_t *bytes, size_t byte_count)
{
    static const uint8_t byte_order_mark[] = {0xef, 0xbb, 0xbf};
    size_t at = byte_count >= 3 && memcmp(bytes, byte_order_mark, 3) == 0 ? 3 : 0;
    while (at < byte_count && memchr(" \t\r\n", bytes[at], 4)) at++;
    return at;
}

/* "[{", with blanks between; no header of a CSV begins like that. */
static bool is_array_of_objects(const uint8_t *bytes, size_t byte_count)
{
    if (byte_count == 0 || bytes[0] != '[') return false;
    size_t at = 1 + skip_blanks(bytes + 1, byte_count - 1);
    return at < byte_count && bytes[at] == '{';
}

lum_status lum__input_format_detect(struct lum_input *input, enum lum__input_format *out, const char **why)
{
    const uint8_t *bytes;
    size_t byte_count, wanted = 16, at;
    *out = LUM__INPUT_CSV;
    *why = "by its content";
    do { /* no more than needed: a pipe may be slow */
        lum_status status = lum_input_peek(input, wanted, &bytes, &byte_count);
        if (status != LUM_OK) return status;
        at = skip_blanks(bytes, byte_count);
        if (at < byte_count || byte_count < wanted) break;
        wanted *= 4;
    } while (wanted <= LUM_INPUT_PEEK_MAX);
    if (byte_count >= 6 && memcmp(bytes, LUM__NPY_MAGIC, 6) == 0) {
        *out = LUM__INPUT_NPY;
    } else if (at < byte_count && bytes[at] == '{') {
        *out = LUM__INPUT_NDJSON;
    } else if (is_array_of_objects(bytes + at, byte_count - at)) {
        return lum_source_fail(lum_input_name(input), 0, at, "this is a JSON array, and NDJSON is one object a line: jq -c '.[]' FILE | lum load STORE -");
    } else {
        enum lum__input_format format = format_of_name(lum_input_name(input));
        *why = format == LUM__INPUT_AUTO ? "the default" : "by its name";
        if (format != LUM__INPUT_AUTO) *out = format;
    }
    return LUM_OK;
}

lum_status lum__input_format_choose(struct lum_input *input, enum lum__input_format asked, enum lum__input_format *out, const char **why)
{
    *out = asked;
    *why = "as asked";
    return asked == LUM__INPUT_AUTO ? lum__input_format_detect(input, out, why) : LUM_OK;
}

lum_status lum__input_format_open(struct lum_input *input, enum lum__input_format format,
                                  const struct lum__row_options *options, struct lum__row_source **out)
{
    struct lum__input_bytes bytes = {.name = lum_input_name(input), .read = lum_input_read, .read_context = input};
    struct lum__row_options own = *options;
    *out = NULL;
    bytes.fd = lum_input_fd(input, &bytes.file_bytes);
    switch (format) {
    case LUM__INPUT_TSV:
        if (own.delimiter == 0) own.delimiter = '\t';
        return lum__csv_open(&bytes, &own, out);
    case LUM__INPUT_NDJSON: return lum__ndjson_open(&bytes, &own, out);
    case LUM__INPUT_NPY: return lum__npy_open(&bytes, &own, out);
    case LUM__INPUT_RAW: return lum__raw_open(&bytes, &own, out);
    case LUM__INPUT_AUTO:
    case LUM__INPUT_CSV: break;
    }
    return lum__csv_open(&bytes, &own, out);
}

int lum__input_format_check_options(const struct lum__arguments *arguments)
{
    enum lum__input_format format = (enum lum__input_format)arguments->input_format;
    bool is_csv = format == LUM__INPUT_CSV || format == LUM__INPUT_TSV;
    if (format == LUM__INPUT_AUTO || is_csv) return 0;
    const char *name = lum__input_format_names[format];
    if (arguments->no_header) return lum__message_usage(NULL, "--no-header is for csv and tsv, not for %s", name);
    if (format != LUM__INPUT_RAW) return 0;
    const char *other = arguments->null_text ? "null" : arguments->round ? "round" : arguments->time_unit != 0 ? "time-unit" : NULL;
    return other ? lum__message_usage("a record is taken as it is", "--%s does not go with raw records", other) : 0;
}
