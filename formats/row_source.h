/* formats/row_source.h - what the reader of every format is to the program: a lum_source, and what is said of it. */
#ifndef LUM_FORMATS_ROW_SOURCE_H
#define LUM_FORMATS_ROW_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/mapping.h"
#include "formats/reject.h"
#include "lum/lum.h"

enum { LUM__SOURCE_WORKERS_MAX = 1024 };

/* Gives the next 1 to bytes_max bytes, *bytes = 0 at the end of the stream. One thread at a time, any thread. */
typedef lum_status (*lum__read_bytes)(void *context, uint8_t *out, size_t bytes_max, size_t *bytes);

/* Where the bytes come from: a stream, and, where it is a regular file that is not compressed, its descriptor, which any number of
 * workers may pread() from instead. */
struct lum__input_bytes {
    const char *name; /* for messages; copied */
    lum__read_bytes read;
    void *read_context;
    int fd;             /* -1: only the stream */
    uint64_t file_bytes; /* of fd */
};

/* How rows are read. All zero is the default. Strings and pointers are lent until the source is closed. */
struct lum__row_options {
    const struct lum__mapping *mapping;     /* NULL: names only */
    const char *null_text;                  /* a field of exactly this text takes the default (not for id); NULL: none */
    struct lum__scale time_unit;            /* of timestamps given as plain numbers: nanoseconds each; mantissa 0: 1 */
    bool round;                             /* digits left over after scaling are rounded, ties to even, instead of refused */
    bool no_header;                         /* csv: the first row is data; columns are selected by number */
    char delimiter;                         /* csv: 0 is a comma */
    const struct lum__reject_sink *rejects; /* NULL: a bad row ends the load */
    uint64_t rows_before;                   /* of earlier inputs of the load: id=@row goes on from there */
    bool sums;                              /* workers sum the bytes that they parse: formats/input_sum.h */
    uint64_t piece_bytes_max;               /* text formats: 0 is 16 MiB; at least 64 KiB. Also the longest row */
};

struct lum__text_pieces;
struct lum__record_pieces;

/* An opened reader. */
struct lum__row_source {
    lum_source source;         /* for lum_load(); lent until close. account(): bytes_read are decompressed bytes */
    const char *format_name;   /* "csv", "ndjson", "npy", "raw" */
    const char *mapping_text;  /* the mapping in use as --map text, see lum__mapping_describe(); lent until close */
    bool is_empty;             /* the stream had no bytes at all (or a byte order mark only): worth a message */
    const uint8_t *reject_header; /* what a file of refused rows begins with, to load as this one does (a header row); lent */
    size_t reject_header_bytes;
    struct lum__text_pieces *text; /* how it cuts its input: one of the two, for formats/input_sum.h */
    struct lum__record_pieces *records;
    void (*close)(struct lum__row_source *source); /* not while a load uses it */
};

#endif
