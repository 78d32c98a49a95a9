/* cli/row_writer.h - rows as the bytes of an output format. Holds no state of the output, so any number of threads may
 * use one. */
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
};

enum { LUM__ROW_WRITER_HEADER_BYTES_MAX = 512 };

/* columns: field names separated by commas; "all"; NULL for the default. Returns 0, or 2 after saying what is wrong. */
int lum__row_writer_choose(struct lum__row_writer *writer, enum lum__row_format format, const char *columns);

/* What the output begins with; 0 bytes if with a row. row_count counts for npy only, whose header has the same length
 * for any. */
size_t lum__row_writer_header(const struct lum__row_writer *writer, uint64_t row_count, uint8_t *out);
/* Room that lum__row_writer_rows() wants for each row. */
size_t lum__row_writer_row_bytes_max(const struct lum__row_writer *writer);
size_t lum__row_writer_rows(const struct lum__row_writer *writer, const lum_t *rows, size_t row_count, uint8_t *out);

#endif
