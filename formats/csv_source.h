/* formats/csv_source.h - a CSV byte stream as a lum_source.
 *
 * open_piece(), one worker at a time, reads the next whole rows of the stream into the worker's own buffer; all it
 * looks for is where rows end (quotes respected), so that fill() of any number of workers parses at the same time. A
 * piece's first_row and row_count are exact. A row that does not parse ends the load with file, line, column, reason
 * and remedy.
 *
 * Every row must have as many fields as the header (or, without one, the first row). An empty field is refused unless
 * null_text is "". Memory: piece_bytes_max a worker plus what was read ahead of the last piece (at most the same again,
 * once a stream), touched only as far as rows need it. */
#ifndef LUM_FORMATS_CSV_SOURCE_H
#define LUM_FORMATS_CSV_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/mapping.h"
#include "lum/lum.h"

/* Gives the next 1 to bytes_max bytes, *bytes = 0 at the end of the stream. One thread at a time, any thread. */
typedef lum_status (*lum__read_bytes)(void *context, uint8_t *out, size_t bytes_max, size_t *bytes);

struct lum__csv_options {
    char delimiter;               /* 0: comma */
    bool no_header;               /* the first row is data; columns are selected by number */
    bool round;                   /* digits left over after scaling are rounded, ties to even, instead of refused */
    const char *null_text;        /* a field of exactly this text takes the default (not for id); NULL: none. Lent */
    const struct lum__mapping *mapping; /* NULL: header names only. Used during the opening */
    uint64_t piece_bytes_max;     /* 0: 16 MiB; at least 64 KiB. Also the longest row */
};
#define LUM__CSV_OPTIONS_INIT {0}

enum { LUM__CSV_SOURCE_WORKERS_MAX = 1024 };

struct lum__csv_source;

/* Reads the header, resolves the mapping. name is for messages (copied). A stream without any bytes is a source without
 * rows. Statuses: LUM_ERR_INPUT (not CSV, columns), LUM_ERR_ARGUMENT (delimiter), LUM_ERR_NO_MEMORY, those of read. */
LUM_MUST_USE lum_status lum__csv_source_open(const char *name, lum__read_bytes read, void *read_context,
                                             const struct lum__csv_options *options, struct lum__csv_source **out);
/* NULL is fine. Not while a load uses it. */
void lum__csv_source_close(struct lum__csv_source *source);

/* The source for lum_load(); lent until the close. Workers from 0 to LUM__CSV_SOURCE_WORKERS_MAX - 1. bytes_read of its
 * account are bytes of CSV text, after decompression. */
const lum_source *lum__csv_source_get(struct lum__csv_source *source);

/* True if the stream had no bytes at all (or a byte order mark only): worth a message. */
bool lum__csv_source_is_empty(const struct lum__csv_source *source);

/* The mapping in use as --map text, see lum__mapping_describe(). Lent until the close. */
const char *lum__csv_source_mapping_text(const struct lum__csv_source *source);

#endif
