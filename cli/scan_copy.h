/* cli/scan_copy.h - the rows of a scan to an output, by several threads, in scan order.
 *
 * A worker takes the next rows of the scan under a mutex, with a ticket; turns them into bytes beside the others; and
 * hands the bytes over in the order of the tickets (cli/output.h). Memory is two buffers a worker. */
#ifndef LUM_CLI_SCAN_COPY_H
#define LUM_CLI_SCAN_COPY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/output.h"
#include "cli/row_writer.h"
#include "lum/lum.h"

struct lum__scan_copy {
    /* the caller's */
    lum_scan *scan;
    const char *store_path; /* for messages */
    const struct lum__row_writer *writer;
    struct lum__output *output;
    uint64_t rows_max;   /* UINT64_MAX: all */
    uint64_t rows_total; /* for progress; LUM_ROWS_UNKNOWN */
    uint32_t threads;
    uint64_t memory_bytes_max; /* for the buffers of all workers; at least one worker runs */
    /* the result */
    uint64_t row_count;
    /* inside */
    pthread_mutex_t mutex; /* guards all of these */
    const lum_t *lent;     /* rows of the scan that nobody has taken yet */
    size_t lent_count;
    uint64_t ticket_next, damage_count;
    bool is_over;
    int damage_code, exit_code;
    size_t batch_rows;
};

/* Writes header and rows. Damage is said and passed over. Returns 0, 3 after damage, or the exit code of what ended it
 * (said; a failed write is said by lum__output_close()). */
int lum__scan_copy_run(struct lum__scan_copy *copy);

#endif
