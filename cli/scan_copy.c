#include "cli/scan_copy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/message.h"
#include "cli/progress.h"
#include "cli/signals.h"

enum {
    PAGE_ROWS = 4096,
    BATCH_PAGES_MAX = 4,       /* some hundred microseconds of work: handing it over costs next to nothing */
    DAMAGE_LINES_MAX = 100000, /* behind that, the store is not worth its lines */
    THREADS_MAX = 256
};

/* With the mutex held: the scan's next rows into `lent`. False at the end, or at a failure. */
static bool lend_more(struct lum__scan_copy *copy)
{
    while (!copy->is_over) {
        lum_status status = lum_scan_next_rows(copy->scan, &copy->lent, &copy->lent_count);
        if (status == LUM_OK) return true;
        copy->lent_count = 0;
        if (status == LUM_ERR_CORRUPT && copy->damage_count++ < DAMAGE_LINES_MAX) {
            copy->damage_code = lum__message_store(status, copy->store_path);
            continue;
        }
        if (status != LUM_END) copy->exit_code = lum__message_store(status, copy->store_path);
        copy->is_over = true;
    }
    return false;
}

static void look_around(struct lum__scan_copy *copy)
{
    lum__progress_update(copy->row_count, 0);
    if (copy->is_over || !lum__signals_interrupted()) return;
    copy->is_over = true;
    copy->exit_code = lum__message_refuse(LUM__EXIT_INTERRUPTED, "ERR_CANCELLED", NULL, NULL,
                                          "interrupted after %s rows", lum__human_count(copy->row_count));
}

/* The next rows of the scan, with the ticket of their place. 0: there are none. */
static size_t take_batch(struct lum__scan_copy *copy, lum_t *rows, uint64_t *ticket)
{
    size_t count = 0;
    pthread_mutex_lock(&copy->mutex);
    while (count < copy->batch_rows && copy->row_count < copy->rows_max) {
        if (copy->is_over || (copy->lent_count == 0 && !lend_more(copy))) break;
        size_t take = copy->lent_count;
        if (take > copy->batch_rows - count) take = copy->batch_rows - count;
        if (take > copy->rows_max - copy->row_count) take = (size_t)(copy->rows_max - copy->row_count);
        memcpy(rows + count, copy->lent, take * sizeof *rows);
        copy->lent += take;
        copy->lent_count -= take;
        copy->row_count += take;
        count += take;
    }
    if (count > 0) *ticket = copy->ticket_next++;
    look_around(copy);
    pthread_mutex_unlock(&copy->mutex);
    return count;
}

static void end_with(struct lum__scan_copy *copy, int exit_code)
{
    pthread_mutex_lock(&copy->mutex);
    copy->is_over = true;
    if (copy->exit_code == 0) copy->exit_code = exit_code;
    pthread_mutex_unlock(&copy->mutex);
}

static void *work(void *context)
{
    struct lum__scan_copy *copy = context;
    const struct lum__row_writer *writer = copy->writer;
    bool is_raw = writer->format == LUM__ROWS_RAW; /* the rows are the bytes */
    lum_t *rows = malloc(copy->batch_rows * sizeof *rows);
    uint8_t *bytes = is_raw ? NULL : malloc(copy->batch_rows * lum__row_writer_row_bytes_max(writer));
    uint64_t ticket = 0;
    if (!rows || (!bytes && !is_raw)) {
        end_with(copy, lum__message_system(ENOMEM, NULL, "no memory for output"));
    } else {
        for (size_t count; (count = take_batch(copy, rows, &ticket)) > 0;) {
            bool is_written =
                is_raw
                    ? lum__output_write(copy->output, ticket, (const uint8_t *)rows, count * sizeof *rows)
                    : lum__output_write(copy->output, ticket, bytes, lum__row_writer_rows(writer, rows, count, bytes));
            if (!is_written) end_with(copy, 0);
        }
    }
    free(bytes);
    free(rows);
    return NULL;
}

/* How many workers, and how many rows each takes at once, within the memory. A quarter of it may be the output's. */
static uint32_t divide_memory(struct lum__scan_copy *copy)
{
    size_t row_bytes =
        sizeof(lum_t) + (copy->writer->format == LUM__ROWS_RAW ? 0 : lum__row_writer_row_bytes_max(copy->writer));
    const uint64_t block_bytes = (uint64_t)LUM__OUTPUT_BLOCKS * LUM__OUTPUT_BLOCK_BYTES;
    uint64_t memory_bytes = copy->memory_bytes_max;
    if (memory_bytes >= 4 * block_bytes) {
        lum__output_gather(copy->output);
        memory_bytes -= block_bytes;
    }
    uint64_t pages = memory_bytes / (PAGE_ROWS * row_bytes);
    uint32_t threads = copy->threads < THREADS_MAX ? copy->threads : THREADS_MAX;
    if (threads > pages) threads = pages > 0 ? (uint32_t)pages : 1;
    if (threads == 0) threads = 1;
    pages /= threads;
    copy->batch_rows = PAGE_ROWS * (pages < 1 ? 1 : pages > BATCH_PAGES_MAX ? BATCH_PAGES_MAX : (size_t)pages);
    return threads;
}

int lum__scan_copy_run(struct lum__scan_copy *copy)
{
    pthread_t threads[THREADS_MAX];
    uint32_t thread_count = divide_memory(copy), started = 0;
    uint8_t header[LUM__ROW_WRITER_HEADER_BYTES_MAX];
    pthread_mutex_init(&copy->mutex, NULL);
    lum__progress_begin("scanning", copy->rows_total);
    size_t header_bytes = lum__row_writer_header(copy->writer, 0, header);
    if (!lum__output_write(copy->output, copy->ticket_next++, header, header_bytes)) copy->is_over = true;
    while (started + 1 < thread_count && pthread_create(&threads[started], NULL, work, copy) == 0) started++;
    work(copy);
    for (uint32_t i = 0; i < started; i++) pthread_join(threads[i], NULL);
    bool is_written = lum__output_end(copy->output);
    if (copy->writer->format == LUM__ROWS_NPY && copy->exit_code == 0 && is_written) { /* the header says how many rows follow */
        header_bytes = lum__row_writer_header(copy->writer, copy->row_count, header);
        lum__output_patch(copy->output, header, header_bytes);
    }
    lum__progress_end();
    pthread_mutex_destroy(&copy->mutex);
    return copy->exit_code != 0 ? copy->exit_code : copy->damage_code;
}
