#include "cli/row_writer.h"

#include <stdio.h>
#include <string.h>

#include "cli/message.h"
#include "formats/csv.h"
#include "formats/ndjson.h"
#include "formats/npy.h"

_Static_assert((int)LUM__ROW_WRITER_HEADER_BYTES_MAX >= (int)LUM__CSV_HEADER_BYTES_MAX, "any header fits");
_Static_assert((int)LUM__ROW_WRITER_HEADER_BYTES_MAX >= (int)LUM__NPY_HEADER_BYTES_MAX, "any header fits");

int lum__row_writer_choose(struct lum__row_writer *writer, enum lum__row_format format, const char *columns)
{
    bool is_all = columns && strcmp(columns, "all") == 0;
    writer->format = format;
    writer->field_count = 0;
    if (format == LUM__ROWS_RAW && columns && !is_all)
        return lum__message_usage("--format npy writes the columns you name",
                                  "--columns does not go with --format raw: a raw row is the whole record");
    if (!columns || is_all) {
        writer->field_count = is_all ? LUM__FIELD_COUNT : LUM__FIELD_COUNT_DEFAULT;
        for (size_t i = 0; i < writer->field_count; i++)
            writer->fields[i] = is_all && format == LUM__ROWS_NPY ? lum__npy_record_fields[i] : (enum lum__field)i;
        return 0;
    }
    const char *names[LUM__FIELD_COUNT + 1] = {0};
    for (int i = 0; i < LUM__FIELD_COUNT; i++) names[i] = lum__field_name((enum lum__field)i);
    for (const char *at = columns;; at++) {
        at += strspn(at, " ");
        size_t length = strcspn(at, ",");
        enum lum__field field = lum__field_find(at, length);
        char name[40];
        snprintf(name, sizeof name, "%.*s", (int)length, at);
        if (strcmp(name, "all") == 0)
            return lum__message_usage("--columns all writes each of them", "--columns: all stands alone, without other names");
        if (field == LUM__FIELD_COUNT) {
            const char *closest = lum__closest_word(name, names);
            return lum__message_usage(
                "id, presence, position_x, position_y, structure_type, timestamp, memory_address, is_destroyed, "
                "checksum, or all",
                "--columns: there is no \"%s\"%s%s%s", name, closest ? "; did you mean " : "", closest ? closest : "",
                closest ? "?" : "");
        }
        for (size_t i = 0; i < writer->field_count; i++) {
            if (writer->fields[i] == field) return lum__message_usage(NULL, "--columns names %s twice", name);
        }
        writer->fields[writer->field_count++] = field;
        at += length;
        if (!*at) return 0;
    }
}

size_t lum__row_writer_header(const struct lum__row_writer *writer, uint64_t row_count, uint8_t *out)
{
    switch (writer->format) {
    case LUM__ROWS_CSV: return lum__csv_write_header(out, ',', writer->fields, writer->field_count);
    case LUM__ROWS_NPY: return lum__npy_write_header(out, writer->fields, writer->field_count, row_count);
    case LUM__ROWS_NDJSON:
    case LUM__ROWS_RAW: break;
    }
    return 0;
}

size_t lum__row_writer_row_bytes_max(const struct lum__row_writer *writer)
{
    switch (writer->format) {
    case LUM__ROWS_CSV: return LUM__CSV_ROW_BYTES_MAX;
    case LUM__ROWS_NDJSON: return LUM__NDJSON_ROW_BYTES_MAX;
    case LUM__ROWS_NPY: return lum__npy_row_bytes(writer->fields, writer->field_count);
    case LUM__ROWS_RAW: break;
    }
    return sizeof(lum_t);
}

size_t lum__row_writer_rows(const struct lum__row_writer *writer, const lum_t *rows, size_t row_count, uint8_t *out)
{
    switch (writer->format) {
    case LUM__ROWS_CSV: return lum__csv_write_rows(out, ',', writer->fields, writer->field_count, rows, row_count);
    case LUM__ROWS_NDJSON: return lum__ndjson_write_rows(out, writer->fields, writer->field_count, rows, row_count);
    case LUM__ROWS_NPY: return lum__npy_write_rows(out, writer->fields, writer->field_count, rows, row_count);
    case LUM__ROWS_RAW: break;
    }
    memcpy(out, rows, row_count * sizeof *rows); /* the raw format is the record as it is in memory (lum.h) */
    return row_count * sizeof *rows;
}
