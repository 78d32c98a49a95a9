/* formats/reject.h - rows that a source refuses while the load goes on: what is told of each, and to whom. */
#ifndef LUM_FORMATS_REJECT_H
#define LUM_FORMATS_REJECT_H

#include <stddef.h>
#include <stdint.h>

#include "lum/status.h"

/* One refused row. Everything is lent during the call; but while its input is read, column_name and code at the same addresses
 * are the same texts. */
struct lum__rejected_row {
    uint64_t row;            /* number in its input, from 1; every row counts, refused ones too */
    uint64_t line;           /* line of the offence, from 1; 0 in formats without lines */
    uint64_t offset;         /* byte of the offence in the (decompressed) input, from 0 */
    uint32_t column;         /* of the offence, from 1; 0: the row as a whole, or a format without columns */
    const char *column_name; /* "" if it has none */
    const char *code;        /* one word that scripts may compare: "syntax", "range", "leftover", "empty", "quote", "fields", "checksum" ... */
    const char *quoted_reason; /* see lum__reject_reason(); as inside of a quoted CSV field: every quote in it is two */
    size_t quoted_reason_length;
    const uint8_t *bytes;    /* the row exactly as it stands in the input, its line end included where it has one */
    size_t byte_count;
};

/* The sentence that a load which aborts would say, terminated. Returns out. */
enum { LUM__REASON_BYTES_MAX = 512 };
char *lum__reject_reason(const struct lum__rejected_row *row, char out[LUM__REASON_BYTES_MAX]);

/* Where a source tells them. row() is called in fill(), by the worker's thread, for the refused rows of its piece in order;
 * a status other than LUM_OK (for example: more than the user allows) ends the load as a bad row would. */
struct lum__reject_sink {
    void *context;
    lum_status (*row)(void *context, uint32_t worker, const struct lum__rejected_row *row);
};

#endif
