#include "cli/row_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/message.h"
#include "formats/csv.h"
#include "formats/number.h"

enum {
    BUFFER_BYTES = 1 << 20,
    ROWS_AT_ONCE = 1024,
    NDJSON_ROW_BYTES_MAX = 320 /* names, digits and punctuation of all fields */
};
_Static_assert(ROWS_AT_ONCE *NDJSON_ROW_BYTES_MAX <= BUFFER_BYTES, "a block of rows fits into the buffer");
_Static_assert((int)LUM__CSV_ROW_BYTES_MAX <= (int)NDJSON_ROW_BYTES_MAX, "a block of rows fits into the buffer");

int lum__row_writer_choose(struct lum__row_writer *writer, const char *columns)
{
    bool is_all = columns && strcmp(columns, "all") == 0;
    writer->field_count = 0;
    if (!columns || is_all) {
        writer->field_count = is_all ? LUM__FIELD_COUNT : LUM__FIELD_COUNT_DEFAULT;
        for (size_t i = 0; i < writer->field_count; i++) writer->fields[i] = (enum lum__field)i;
        return 0;
    }
    const char *names[LUM__FIELD_COUNT + 1] = {0};
    for (int i = 0; i < LUM__FIELD_COUNT; i++) names[i] = lum__field_name((enum lum__field)i);
    for (const char *at = columns;; at++) {
        size_t length = strcspn(at, ",");
        enum lum__field field = lum__field_find(at, length);
        char name[40];
        snprintf(name, sizeof name, "%.*s", (int)length, at);
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

static int refuse_write(const struct lum__row_writer *writer, int os_errno)
{
    const char *name = writer->path ? writer->path : "standard output";
    return lum__message_system(os_errno, writer->path, "cannot write to %s", name);
}

static int write_out(struct lum__row_writer *writer)
{
    for (size_t done = 0; done < writer->buffered_bytes;) {
        ssize_t written = write(writer->fd, writer->buffer + done, writer->buffered_bytes - done);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) {
            writer->buffered_bytes = 0;
            return refuse_write(writer, written < 0 ? errno : EIO);
        }
        done += (size_t)written;
        writer->bytes_written += (uint64_t)written;
    }
    writer->buffered_bytes = 0;
    return 0;
}

int lum__row_writer_open(struct lum__row_writer *writer, const char *path, enum lum__row_format format)
{
    writer->path = path && strcmp(path, "-") != 0 ? path : NULL;
    writer->format = format;
    writer->buffered_bytes = 0;
    writer->bytes_written = 0;
    writer->buffer = malloc(BUFFER_BYTES);
    if (!writer->buffer) return lum__message_system(ENOMEM, NULL, "no memory for output");
    writer->fd = STDOUT_FILENO;
    if (writer->path) {
        writer->fd = open(writer->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (writer->fd < 0) {
            free(writer->buffer);
            return lum__message_system(errno, path, "cannot write to %s", path);
        }
    }
    if (format == LUM__ROWS_CSV)
        writer->buffered_bytes = lum__csv_write_header(writer->buffer, ',', writer->fields, writer->field_count);
    return 0;
}

static size_t write_field(char *out, const lum_t *row, enum lum__field field)
{
    switch (field) {
    case LUM__FIELD_ID: return lum__format_u64(out, row->id);
    case LUM__FIELD_PRESENCE: return lum__format_u64(out, row->presence);
    case LUM__FIELD_POSITION_X: return lum__format_i32(out, row->position_x);
    case LUM__FIELD_POSITION_Y: return lum__format_i32(out, row->position_y);
    case LUM__FIELD_STRUCTURE_TYPE: return lum__format_u64(out, row->structure_type);
    case LUM__FIELD_TIMESTAMP: return lum__format_u64(out, row->timestamp);
    case LUM__FIELD_MEMORY_ADDRESS: return lum__format_u64(out, row->memory_address);
    case LUM__FIELD_IS_DESTROYED: return lum__format_u64(out, row->is_destroyed);
    default: return lum__format_u64(out, row->checksum);
    }
}

static size_t write_ndjson(const struct lum__row_writer *writer, char *out, const lum_t *rows, size_t row_count)
{
    char *at = out;
    for (size_t i = 0; i < row_count; i++) {
        for (size_t k = 0; k < writer->field_count; k++) {
            const char *name = lum__field_name(writer->fields[k]);
            *at++ = k == 0 ? '{' : ',';
            *at++ = '"';
            at = stpcpy(at, name);
            *at++ = '"';
            *at++ = ':';
            at += write_field(at, &rows[i], writer->fields[k]);
        }
        *at++ = '}';
        *at++ = '\n';
    }
    return (size_t)(at - out);
}

int lum__row_writer_write(struct lum__row_writer *writer, const lum_t *rows, size_t row_count)
{
    while (row_count > 0) {
        size_t count = row_count < ROWS_AT_ONCE ? row_count : ROWS_AT_ONCE;
        if (BUFFER_BYTES - writer->buffered_bytes < count * NDJSON_ROW_BYTES_MAX) {
            int exit_code = write_out(writer);
            if (exit_code != 0) return exit_code;
        }
        uint8_t *out = writer->buffer + writer->buffered_bytes;
        switch (writer->format) {
        case LUM__ROWS_CSV:
            writer->buffered_bytes += lum__csv_write_rows(out, ',', writer->fields, writer->field_count, rows, count);
            break;
        case LUM__ROWS_NDJSON: writer->buffered_bytes += write_ndjson(writer, (char *)out, rows, count); break;
        case LUM__ROWS_RAW: /* the raw format is the record as it is in memory (lum.h) */
            memcpy(out, rows, count * sizeof *rows);
            writer->buffered_bytes += count * sizeof *rows;
            break;
        }
        rows += count;
        row_count -= count;
    }
    return 0;
}

int lum__row_writer_close(struct lum__row_writer *writer)
{
    int exit_code = write_out(writer);
    if (writer->path && close(writer->fd) != 0 && exit_code == 0) exit_code = refuse_write(writer, errno);
    free(writer->buffer);
    writer->buffer = NULL;
    return exit_code;
}
