#include "cli/file_chain.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/input.h"
#include "cli/message.h"

struct chain_file {
    const char *path;
    struct lum_input *input;
    struct lum__row_source *reader;
    bool is_opened, is_ended, is_plain_file;
    uint64_t first_row;                                        /* in the chain; known once the file is opened */
    uint64_t row_count;                                        /* given out so far; final once it has ended */
    uint64_t rows_reported;                                    /* by lum__file_chain_committed() */
    uint32_t worker_count;                                     /* workers with a piece of this file */
    uint64_t rows_read, rows_rejected, bytes_plain, bytes_raw; /* kept when it is closed */
};

/* What a worker has in hand. Its own, but for open_piece(), which its own thread calls. */
struct chain_worker {
    _Alignas(64) struct chain_file *file; /* its piece is of this file; NULL: none */
    uint64_t rows_left;                   /* of the piece; counted only where rows may be refused */
};

struct lum__file_chain {
    lum_source source;
    struct lum__chain_options options;
    struct lum__reject_sink sink;
    char *mapping_text;         /* of the first file */
    size_t file_count, current; /* current: its turn; file_count: all are done. Changed by open_piece() only */
    uint64_t bytes_total;
    /* The mutex guards the pointers and counts of files[] against account(), bytes() and committed() from other
     * threads; open_piece() is the only one that changes them, so it reads without. */
    pthread_mutex_t mutex;
    struct chain_worker workers[LUM__SOURCE_WORKERS_MAX];
    struct chain_file files[];
};

/* The sink of all readers: rows go on to the writer with the name of their file. */
static lum_status on_rejected(void *context, uint32_t worker, const struct lum__rejected_row *row)
{
    struct lum__file_chain *chain = context;
    const struct chain_file *file = chain->workers[worker].file;
    return lum__reject_writer_row(chain->options.rejects, worker, lum_input_name(file->input), file->first_row, row);
}

static lum_status open_reader(const struct lum__file_chain *chain, struct lum_input *input, uint64_t first_row,
                              struct lum__row_source **out)
{
    struct lum__row_options rows = chain->options.rows;
    enum lum__input_format format;
    const char *why;
    *out = NULL;
    rows.rows_before = first_row;
    lum_status status = lum__input_format_choose(input, chain->options.format, &format, &why);
    if (status == LUM_OK) status = lum__input_format_open(input, format, &rows, out);
    if (status != LUM_OK) return status;
    lum__message_detail("%s: %s (%s), compression %s, --map '%s'", lum_input_name(input), lum__input_format_names[format], why,
                        lum_input_compression(input), (*out)->mapping_text);
    bool needs_header = (format == LUM__INPUT_CSV || format == LUM__INPUT_TSV) && !rows.no_header;
    if (!(*out)->is_empty || !needs_header) return LUM_OK;
    return lum_source_fail(lum_input_name(input), 0, UINT64_MAX,
                           "the file is empty: there is not even a header line (--no-header accepts it as no rows)");
}

static lum_status open_file(struct lum__file_chain *chain, struct chain_file *file, uint64_t first_row)
{
    struct lum_input *input = NULL;
    struct lum__row_source *reader = NULL;
    lum_status status = lum_input_open(file->path, &input);
    if (status == LUM_OK) status = open_reader(chain, input, first_row, &reader);
    if (status == LUM_OK && chain->options.rejects)
        status = lum__reject_writer_begin_input(chain->options.rejects, lum_input_name(input), reader);
    if (status != LUM_OK) {
        if (reader) reader->close(reader);
        lum_input_close(input);
        return status;
    }
    uint64_t file_bytes;
    pthread_mutex_lock(&chain->mutex);
    file->input = input;
    file->is_plain_file = lum_input_fd(input, &file_bytes) >= 0;
    file->reader = reader;
    file->is_opened = true;
    file->first_row = first_row;
    pthread_mutex_unlock(&chain->mutex);
    return LUM_OK;
}

/* Under the mutex. Readers of plain files may pass the input by, which then counts nothing. */
static uint64_t raw_bytes_read(const struct chain_file *file)
{
    uint64_t read = lum_input_bytes_read(file->input), rows, rejected, bytes;
    if (!file->is_plain_file) return read;
    file->reader->source.account(file->reader->source.context, &rows, &rejected, &bytes);
    return bytes > read ? bytes : read;
}

/* Under the mutex. Closes a file that nobody will ask for rows again. */
static void close_if_over(struct chain_file *file)
{
    if (!file->reader || !file->is_ended || file->worker_count > 0) return;
    const lum_source *source = &file->reader->source;
    source->account(source->context, &file->rows_read, &file->rows_rejected, &file->bytes_plain);
    file->bytes_raw = raw_bytes_read(file);
    file->reader->close(file->reader);
    lum_input_close(file->input);
    file->reader = NULL;
    file->input = NULL;
}

static void leave_file(struct lum__file_chain *chain, uint32_t worker)
{
    struct chain_file *file = chain->workers[worker].file;
    if (!file) return;
    pthread_mutex_lock(&chain->mutex);
    chain->workers[worker].file = NULL;
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
            chain->workers[worker] = (struct chain_worker){.file = file, .rows_left = out->row_count};
        } else {
            file->is_ended = true;
            chain->current++;
            close_if_over(file);
        }
        pthread_mutex_unlock(&chain->mutex);
        if (status == LUM_OK)
            return chain->options.rejects ? lum__reject_writer_begin_piece(chain->options.rejects, worker, out->row_count) : LUM_OK;
    }
    return LUM_END;
}

/* Told before the loader can take the piece for finished, and so before the commit that counts its refused rows. */
static lum_status tell_if_over(struct lum__file_chain *chain, uint32_t worker, size_t row_count)
{
    struct chain_worker *own = &chain->workers[worker];
    if (!chain->options.rejects) return LUM_OK;
    own->rows_left -= row_count;
    bool is_over = row_count == 0 || own->rows_left == 0;
    return is_over ? lum__reject_writer_end_piece(chain->options.rejects, worker) : LUM_OK;
}

static lum_status fill(void *context, uint32_t worker, lum_t *rows, size_t rows_max, size_t *row_count)
{
    struct lum__file_chain *chain = context;
    const lum_source *source = &chain->workers[worker].file->reader->source;
    lum_status status = source->fill(source->context, worker, rows, rows_max, row_count);
    return status == LUM_OK ? tell_if_over(chain, worker, *row_count) : status;
}

static lum_status fill_columns(void *context, uint32_t worker, size_t rows_max, lum_columns *columns, size_t *row_count)
{
    struct lum__file_chain *chain = context;
    const lum_source *source = &chain->workers[worker].file->reader->source;
    *row_count = 0;
    if (!source->fill_columns) return LUM_END; /* rows of this file come by fill() */
    lum_status status = source->fill_columns(source->context, worker, rows_max, columns, row_count);
    return status == LUM_OK ? tell_if_over(chain, worker, *row_count) : status;
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

/* Of all files together, 0 where one does not say. */
static uint64_t sum_bytes(const struct lum__chain_options *options)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < options->path_count; i++) {
        struct stat info;
        if (strcmp(options->paths[i], "-") == 0 || stat(options->paths[i], &info) != 0 || !S_ISREG(info.st_mode)) return 0;
        sum += (uint64_t)info.st_size;
    }
    return sum;
}

static void describe_source(struct lum__file_chain *chain)
{
    chain->source = (lum_source)LUM_SOURCE_INIT;
    chain->source.context = chain;
    chain->source.name = chain->files[0].path;
    if (chain->file_count == 1) chain->source.row_count = chain->files[0].reader->source.row_count;
    /* has_checksums stays false: readers compare checksums themselves, since a file with and one without may follow each other */
    chain->source.open_piece = open_piece;
    chain->source.fill = fill;
    chain->source.fill_columns = fill_columns;
    chain->source.account = account;
}

lum_status lum__file_chain_open(const struct lum__chain_options *options, struct lum__file_chain **out)
{
    *out = NULL;
    size_t bytes = sizeof(struct lum__file_chain) + options->path_count * sizeof(struct chain_file);
    struct lum__file_chain *chain = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!chain) return LUM_ERR_NO_MEMORY;
    memset(chain, 0, bytes);
    pthread_mutex_init(&chain->mutex, NULL);
    chain->options = *options;
    chain->sink = (struct lum__reject_sink){.context = chain, .row = on_rejected};
    chain->options.rows.rejects = options->rejects ? &chain->sink : NULL;
    chain->file_count = options->path_count;
    for (size_t i = 0; i < chain->file_count; i++) chain->files[i].path = options->paths[i];
    chain->bytes_total = sum_bytes(options);
    lum_status status = open_file(chain, &chain->files[0], 0);
    if (status == LUM_OK) chain->mapping_text = strdup(chain->files[0].reader->mapping_text);
    if (status == LUM_OK && !chain->mapping_text) status = LUM_ERR_NO_MEMORY;
    if (status != LUM_OK) {
        lum__file_chain_close(chain);
        return status;
    }
    describe_source(chain);
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
    free(chain->mapping_text);
    free(chain);
}

const lum_source *lum__file_chain_source(struct lum__file_chain *chain) { return &chain->source; }

const char *lum__file_chain_mapping_text(const struct lum__file_chain *chain) { return chain->mapping_text; }

void lum__file_chain_bytes(struct lum__file_chain *chain, uint64_t *read, uint64_t *total)
{
    *read = 0;
    *total = chain->bytes_total;
    pthread_mutex_lock(&chain->mutex);
    for (size_t i = 0; i < chain->file_count && chain->files[i].is_opened; i++) {
        struct chain_file *file = &chain->files[i];
        *read += file->reader ? raw_bytes_read(file) : file->bytes_raw;
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
