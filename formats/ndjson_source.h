/* formats/ndjson_source.h - newline-delimited JSON as rows: one flat object a line.
 *
 * Keys map to fields as the columns of a CSV file do: the first object's keys, and any field's own name in any row.
 * Keys may stand in any order; others are passed over, whatever their value. A key that is missing, or null, takes the
 * field's default (id has none). Numbers are taken from their digits, never through floating point, and may stand in
 * quotes. Text is JSON to the letter (RFC 8259, UTF-8; no NaN, no key twice); what is not ends the load with file,
 * line, byte and key, or goes to options.rejects.
 *
 * A row whose keys, order and blanks are those of the row before is read without looking keys up. */
#ifndef LUM_FORMATS_NDJSON_SOURCE_H
#define LUM_FORMATS_NDJSON_SOURCE_H

#include "formats/row_source.h"

/* Reads the first object, resolves the mapping. A stream without any bytes is a source without rows. Statuses:
 * LUM_ERR_INPUT (not NDJSON, keys), LUM_ERR_ARGUMENT (piece_bytes_max), LUM_ERR_NO_MEMORY, those of read. */
LUM_MUST_USE lum_status lum__ndjson_open(const struct lum__input_bytes *input, const struct lum__row_options *options,
                                         struct lum__row_source **out);

#endif
