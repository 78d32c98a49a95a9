/* tests/support/source_load.h - what a load does with a source, without the store: workers open pieces one at a time
 * and fill at the same time. */
#ifndef LUM_TESTS_SUPPORT_SOURCE_LOAD_H
#define LUM_TESTS_SUPPORT_SOURCE_LOAD_H

#include <pthread.h>

#include "base/status.h"
#include "formats/row_source.h"

/* A stream in memory that gives at most read_max bytes at once, and fails at fail_at. */
struct text_stream {
    const char *text;
    size_t length, at, read_max, fail_at;
};

lum_status read_text_stream(void *context, uint8_t *out, size_t bytes_max, size_t *bytes);
struct lum__input_bytes text_stream_bytes(const char *name, struct text_stream *stream);

/* A row that was refused, with copies of its texts (free with free_rejects). */
struct source_reject {
    struct lum__rejected_row row;
    char *texts; /* column_name and code */
    char reason[LUM__REASON_BYTES_MAX];
    uint8_t *bytes;
};

struct source_load {
    const lum_source *source;
    pthread_mutex_t mutex;
    uint32_t next_worker;
    uint64_t rows_max;
    lum_t *rows;     /* a row stands at its number in the source less what its own piece refused before it */
    uint8_t *filled; /* 1 for each of rows that was filled; NULL: not asked */
    uint64_t row_count, row_limit, pieces;
    lum_status status;
    struct lum__error error;
    struct lum__reject_sink sink; /* for options.rejects; see prepare_rejects */
    uint64_t reject_count, reject_limit;
    struct source_reject *rejects; /* room for reject_limit */
};

/* load->sink collects up to reject_limit rows, and refuses the next. */
void prepare_rejects(struct source_load *load, uint64_t reject_limit);
void free_rejects(struct source_load *load);
void sort_rejects(struct source_load *load); /* by row */

/* At most 16. Afterwards load->status and error are the first failure. */
void run_source_workers(struct source_load *load, const lum_source *source, uint32_t workers);

#endif
