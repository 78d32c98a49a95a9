/* formats/csv_source.h - a CSV byte stream as rows.
 *
 * open_piece() cuts the stream into pieces of whole rows (formats/text_pieces.h, quotes respected); fill() of any number
 * of workers parses them at the same time. A row that does not parse ends the load with file, line, column, reason and
 * remedy, or goes to options.rejects: it ends where the scanner that cut the pieces says, whatever is wrong in it.
 *
 * Every row must have as many fields as the header (or, without one, the first row). An empty field is refused unless
 * null_text is "". */
#ifndef LUM_FORMATS_CSV_SOURCE_H
#define LUM_FORMATS_CSV_SOURCE_H

#include "formats/row_source.h"

/* Reads the header, resolves the mapping. A stream without any bytes is a source without rows. Statuses:
 * LUM_ERR_INPUT (not CSV, columns), LUM_ERR_ARGUMENT (delimiter, piece_bytes_max), LUM_ERR_NO_MEMORY, those of read. */
LUM_MUST_USE lum_status lum__csv_open(const struct lum__input_bytes *input, const struct lum__row_options *options,
                                      struct lum__row_source **out);

#endif
