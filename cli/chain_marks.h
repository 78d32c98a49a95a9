/* cli/chain_marks.h - how far a chain of input files is parsed, piece by piece, until a commit asks: the place behind its last row, and the sum of
 * all that stands before. 88 bytes for each piece that is not committed yet. */
#ifndef LUM_CLI_CHAIN_MARKS_H
#define LUM_CLI_CHAIN_MARKS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/input_sum.h"

/* A place in the input, and what stands in front of it. */
struct lum__chain_point {
    uint64_t file;               /* index; the number of files: behind the last */
    struct lum__input_point at;  /* in that file; all zero: not even its header is in front of it */
    uint64_t file_first_row;     /* rows of the files before it */
    uint64_t bytes;              /* of all files, decompressed */
    uint64_t rows, rows_refused; /* of all files, refused ones included */
    uint32_t sum; /* CRC-32C of the bytes, and at the end of each file of its length (8 bytes): what moves from one file to the next is seen */
};

void lum__chain_point_add(struct lum__chain_point *point, const struct lum__input_part *part, uint64_t rows_refused);
void lum__chain_point_end_file(struct lum__chain_point *point);

struct lum__chain_mark {
    struct lum__input_part part;
    uint64_t rows_end; /* of all files */
    uint64_t rows_refused;
    bool is_done, ends_file;
};

struct lum__chain_marks {
    pthread_mutex_t mutex;
    struct lum__chain_point now; /* behind the last mark taken */
    struct lum__chain_mark *marks; /* [first, first + count), in source order */
    size_t first, count, capacity;
    uint64_t first_number; /* of marks[first] */
};

void lum__chain_marks_init(struct lum__chain_marks *marks);
void lum__chain_marks_fini(struct lum__chain_marks *marks);
/* One thread at a time, in source order. *number: for done(). LUM_ERR_NO_MEMORY. */
lum_status lum__chain_marks_add(struct lum__chain_marks *marks, const struct lum__chain_mark *mark, uint64_t *number);
/* The worker has parsed the piece. Any thread. */
void lum__chain_marks_done(struct lum__chain_marks *marks, uint64_t number, uint32_t sum, uint64_t rows_refused);
/* Everything up to row rows_end, where a piece ends, is parsed. Numbers never go back. */
void lum__chain_marks_take(struct lum__chain_marks *marks, uint64_t rows_end, struct lum__chain_point *out);

#endif
