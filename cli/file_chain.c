#include "cli/file_chain.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/input.h"
#include "formats/csv_source.h"

struct chain_file {
    const char *path;
    struct lum_input *input;
    struct lum__row_source *reader;
    bool is_opened, is_ended;
    uint64_t first_row;                                        /* in the chain; known once the file is opened */
    uint64_t row_count;                                        /* given out so far; final once it has ended */
    uint64_t rows_reported;                                    /* by lum__file_chain_committed() */
    uint32_t worker_count;                                     /* workers with a piece of this file */
    uint64_t rows_read, rows_rejected, bytes_plain, bytes_raw; /* kept when it is closed */
};

struct lum__file_chain {
    lum_source source;
    struct lum__row_options options;
    size_t file_count, current; /* current: its turn; file_count: all are done. Changed by open_piece() only */
    uint64_t bytes_total;
    /* The mutex guards the pointers and counts of files[] against account(), bytes() and committed() from other
     * threads; open_piece() is the only one that changes them, so it reads without. */
    pthread_mutex_t mutex;
    struct chain_file *worker_files[LUM__SOURCE_WORKERS_MAX]; /* each worker's piece is of this file */
    struct chain_file files[];
};

static lum_status open_file(struct lum__file_chain *chain, struct chain_file *file, uint64_t first_row)
{
    struct lum_input *input = NULL;
    struct lum__row_source *reader = NULL;
    lum_status status = lum_input_open(file->path, &input);
    if (status == LUM_OK) {
        struct lum__input_bytes bytes = {
            .name = lum_input_name(input), .read = lum_input_read, .read_context = input, .fd = -1};
        status = lum__csv_open(&bytes, &chain->options, &reader);
    }
    if (status == LUM_OK && reader->is_empty && !chain->options.no_header) {
        status =
            lum_source_fail(lum_input_name(input), 0, UINT64_MAX,
                            "the file is empty: there is not even a header line (--no-header accepts it as no rows)");
        reader->close(reader);
        reader = NULL;
    }
    if (status != LUM_OK) {
        lum_input_close(input);
        return status;
    }
    pthread_mutex_lock(&chain->mutex);
    file->input = input;
    file->reader = reader;
    file->is_opened = true;
    file->first_row = first_row;
    pthread_mutex_unlock(&chain->mutex);
    return LUM_OK;
}

/* Under the mutex. Closes a file that nobody will ask for rows again. */
static void close_if_over(struct chain_file *file)
{
    if (!file->reader || !file->is_ended || file->worker_count > 0) return;
    const lum_source *source = &file->reader->source;
    source->account(source->context, &file->rows_read, &file->rows_rejected, &file->bytes_plain);
    file->bytes_raw = lum_input_bytes_read(file->input);
    file->reader->close(file->reader);
    lum_input_close(file->input);
    file->reader = NULL;
    file->input = NULL;
}

static void leave_file(struct lum__file_chain *chain, uint32_t worker)
{
    struct chain_file *file = chain->worker_files[worker];
    if (!file) return;
    pthread_mutex_lock(&chain->mutex);
    chain->worker_files[worker] = NULL;
    file->worker_count--;
    close_if_over(file);
    pthread_mutex_unlock(&chain->mutex);
}

static lum_status open_piece(void *context, uint32_t worker, uint64_t rows_max, lum_piece *out)
{
    struct lum__file_chain *chain = context;
    leave_file(chain, worker);
    while (chain->current < chain->file_count) {
        struct chain_file *file = &chain->files[chain->current];
        if (!file->is_opened) {
            struct chain_file *before = file - 1; /* the first one was opened by lum__file_chain_open() */
            lum_status open_status = open_file(chain, file, before->first_row + before->row_count);
            if (open_status != LUM_OK) return open_status;
        }
        const lum_source *source = &file->reader->source;
        lum_status status = source->open_piece(source->context, worker, rows_max, out);
        if (status != LUM_OK && status != LUM_END) return status;
        pthread_mutex_lock(&chain->mutex);
        if (status == LUM_OK) {
            out->first_row += file->first_row;
            file->row_count += out->row_count;
            file->worker_count++;
            chain->worker_files[worker] = file;
        } else {
            file->is_ended = true;
            chain->current++;
            close_if_over(file);
        }
        pthread_mutex_unlock(&chain->mutex);
        if (status == LUM_OK) return LUM_OK;
    }
    return LUM_END;
}

static lum_status fill(void *context, uint32_t worker, lum_t *rows, size_t rows_max, size_t *row_count)
{
    struct lum__file_chain *chain = context;
    const lum_source *source = &chain->worker_files[worker]->reader->source;
    return source->fill(source->context, worker, rows, rows_max, row_count);
}

static void account(void *context, uint64_t *rows_read, uint64_t *rows_rejected, uint64_t *bytes_read)
{
    struct lum__file_chain *chain = context;
    *rows_read = *rows_rejected = *bytes_read = 0;
    pthread_mutex_lock(&chain->mutex);
    for (size_t i = 0; i < chain->file_count && chain->files[i].is_opened; i++) {
        struct chain_file *file = &chain->files[i];
        uint64_t read = file->rows_read, rejected = file->rows_rejected, bytes = file->bytes_plain;
        if (file->reader) {
            const lum_source *source = &file->reader->source;
            source->account(source->context, &read, &rejected, &bytes);
        }
        *rows_read += read;
        *rows_rejected += rejected;
        *bytes_read += bytes;
    }
    pthread_mutex_unlock(&chain->mutex);
}

lum_status lum__file_chain_open(const char *const *paths, size_t path_count, const struct lum__row_options *options,
                                struct lum__file_chain **out)
{
    *out = NULL;
    struct lum__file_chain *chain = calloc(1, sizeof *chain + path_count * sizeof chain->files[0]);
    if (!chain) return LUM_ERR_NO_MEMORY;
    pthread_mutex_init(&chain->mutex, NULL);
    chain->options = *options;
    chain->file_count = path_count;
    bool is_total_known = true;
    for (size_t i = 0; i < path_count; i++) {
        struct stat info;
        chain->files[i].path = paths[i];
        is_total_known &= strcmp(paths[i], "-") != 0 && stat(paths[i], &info) == 0 && S_ISREG(info.st_mode);
        if (is_total_known) chain->bytes_total += (uint64_t)info.st_size;
    }
    if (!is_total_known) chain->bytes_total = 0;
    lum_status status = open_file(chain, &chain->files[0], 0);
    if (status != LUM_OK) {
        lum__file_chain_close(chain);
        return status;
    }
    chain->source = (lum_source)LUM_SOURCE_INIT;
    chain->source.context = chain;
    chain->source.name = paths[0];
    chain->source.has_checksums = chain->files[0].reader->source.has_checksums;
    chain->source.open_piece = open_piece;
    chain->source.fill = fill;
    chain->source.account = account;
    *out = chain;
    return LUM_OK;
}

void lum__file_chain_close(struct lum__file_chain *chain)
{
    if (!chain) return;
    for (size_t i = 0; i < chain->file_count; i++) {
        if (chain->files[i].reader) chain->files[i].reader->close(chain->files[i].reader);
        if (chain->files[i].input) lum_input_close(chain->files[i].input);
    }
    pthread_mutex_destroy(&chain->mutex);
    free(chain);
}

const lum_source *lum__file_chain_source(struct lum__file_chain *chain) { return &chain->source; }

const char *lum__file_chain_mapping_text(const struct lum__file_chain *chain)
{
    return chain->current < chain->file_count && chain->files[chain->current].reader
               ? chain->files[chain->current].reader->mapping_text
               : "";
}

void lum__file_chain_bytes(struct lum__file_chain *chain, uint64_t *read, uint64_t *total)
{
    *read = 0;
    *total = chain->bytes_total;
    pthread_mutex_lock(&chain->mutex);
    for (size_t i = 0; i < chain->file_count && chain->files[i].is_opened; i++) {
        struct chain_file *file = &chain->files[i];
        *read += file->input ? lum_input_bytes_read(file->input) : file->bytes_raw;
    }
    pthread_mutex_unlock(&chain->mutex);
}

void lum__file_chain_committed(struct lum__file_chain *chain, uint64_t rows_committed,
                               void (*each)(void *context, const char *path, uint64_t rows), void *context)
{
    for (size_t i = 0; i < chain->file_count; i++) {
        struct chain_file *file = &chain->files[i];
        pthread_mutex_lock(&chain->mutex);
        uint64_t rows = !file->is_opened || rows_committed <= file->first_row ? 0 : rows_committed - file->first_row;
        if (rows > file->row_count) rows = file->row_count;
        bool has_advanced = rows > file->rows_reported;
        if (has_advanced) file->rows_reported = rows;
        pthread_mutex_unlock(&chain->mutex);
        if (has_advanced) each(context, file->path, rows);
    }
}
