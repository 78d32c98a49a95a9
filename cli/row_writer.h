/* cli/row_writer.h - rows as text or raw bytes to a file or stdout, in large writes. */
#ifndef LUM_CLI_ROW_WRITER_H
#define LUM_CLI_ROW_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "cli/options.h"
#include "formats/field.h"
#include "lum/lum.h"

struct lum__row_writer {
    enum lum__row_format format;
    enum lum__field fields[LUM__FIELD_COUNT];
    size_t field_count;
    const char *path; /* NULL or "-": stdout */
    int fd;
    uint8_t *buffer;
    size_t buffered_bytes;
    uint64_t bytes_written;
};

/* Field names separated by commas; "all"; NULL for the default. Returns 0, or 2 after saying what is wrong. */
int lum__row_writer_choose(struct lum__row_writer *writer, const char *columns);
/* All return 0 or the exit code of a failure that was said. A header is written for CSV. */
int lum__row_writer_open(struct lum__row_writer *writer, const char *path, enum lum__row_format format);
int lum__row_writer_write(struct lum__row_writer *writer, const lum_t *rows, size_t row_count);
/* Writes what is left and closes; always once after an open that was good. */
int lum__row_writer_close(struct lum__row_writer *writer);

#endif
