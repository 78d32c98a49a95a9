#include "cli/file_chain.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/input.h"
#include "cli/message.h"
#include "formats/input_sum.h"

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
    uint64_t rows_left;                   /* of the piece; counted only where rows may be refused, or points are counted */
    uint64_t mark, rows_refused;          /* the piece's */
    bool has_mark;
};

struct lum__file_chain {
    lum_source source;
    struct lum__chain_options options;
    struct lum__reject_sink sink;
    struct lum__chain_marks marks; /* where points are counted */
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
    chain->workers[worker].rows_refused++;
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

/* ---------------------------------------------------------------------------------------------------------- points */

static lum_status add_mark(struct lum__file_chain *chain, const struct lum__chain_mark *mark, uint64_t *number)
{
    return lum__chain_marks_add(&chain->marks, mark, number);
}

/* The header is part of what a load has read. */
static lum_status mark_front(struct lum__file_chain *chain, const struct chain_file *file)
{
    struct lum__chain_mark mark = {.rows_end = file->first_row, .is_done = true};
    uint64_t number;
    if (!chain->options.counts_points) return LUM_OK;
    lum__input_front(file->reader, &mark.part);
    return add_mark(chain, &mark, &number);
}

static lum_status mark_piece(struct lum__file_chain *chain, const struct chain_file *file, uint32_t worker)
{
    struct lum__chain_mark mark = {0};
    if (!chain->options.counts_points) return LUM_OK;
    lum__input_piece(file->reader, worker, &mark.part);
    mark.rows_end = file->first_row + mark.part.end.rows;
    chain->workers[worker].has_mark = true;
    return add_mark(chain, &mark, &chain->workers[worker].mark);
}

static lum_status mark_end(struct lum__file_chain *chain, const struct chain_file *file)
{
    struct lum__chain_mark mark = {.is_done = true, .ends_file = true};
    uint64_t number;
    if (!chain->options.counts_points) return LUM_OK;
    lum__input_tail(file->reader, &mark.part);
    mark.rows_end = file->first_row + mark.part.end.rows;
    return add_mark(chain, &mark, &number);
}

void lum__file_chain_point(struct lum__file_chain *chain, uint64_t rows_end, struct lum__chain_point *out)
{
    uint64_t before = chain->options.from ? chain->options.from->rows : 0;
    lum__chain_marks_take(&chain->marks, before + rows_end, out);
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
            if (open_status == LUM_OK) open_status = mark_front(chain, file);
            if (open_status != LUM_OK) return open_status;
        }
        const lum_source *source = &file->reader->source;
        lum_status status = source->open_piece(source->context, worker, rows_max, out);
        if (status != LUM_OK && status != LUM_END) return status;
        lum_status mark_status = status == LUM_OK ? mark_piece(chain, file, worker) : mark_end(chain, file);
        if (mark_status != LUM_OK) return mark_status;
        pthread_mutex_lock(&chain->mutex);
        if (status == LUM_OK) {
            out->first_row += file->first_row;
            file->row_count += out->row_count;
            file->worker_count++;
            chain->workers[worker].file = file;
            chain->workers[worker].rows_left = out->row_count;
            chain->workers[worker].rows_refused = 0;
        } else {
            file->is_ended = true;
            chain->current++;
            close_if_over(file);
        }
        pthread_mutex_unlock(&chain->mutex);
        if (status == LUM_OK)
            return chain->options.rejects ? lum__reject_writer_begin_piece(chain->options.rejects, worker, out->row_count) : LUM_OK;
    }
    if (chain->options.rejects) lum__reject_writer_end_inputs(chain->options.rejects);
    return LUM_END;
}

/* Told before the loader can take the piece for finished, and so before the commit that counts its refused rows. */
static lum_status tell_if_over(struct lum__file_chain *chain, uint32_t worker, size_t row_count)
{
    struct chain_worker *own = &chain->workers[worker];
    if (!chain->options.rejects && !chain->options.counts_points) return LUM_OK;
    own->rows_left -= row_count;
    bool is_over = row_count == 0 || own->rows_left == 0;
    if (is_over && own->has_mark) {
        lum__chain_marks_done(&chain->marks, own->mark, lum__input_piece_sum(own->file->reader, worker), own->rows_refused);
        own->has_mark = false;
    }
    return is_over && chain->options.rejects ? lum__reject_writer_end_piece(chain->options.rejects, worker) : LUM_OK;
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
    if (chain->file_count == 1 && chain->files[0].reader && chain->files[0].reader->source.row_count != LUM_ROWS_UNKNOWN)
        chain->source.row_count = chain->files[0].reader->source.row_count - chain->files[0].row_count;
    /* has_checksums stays false: readers compare checksums themselves, since a file with and one without may follow each other */
    chain->source.open_piece = open_piece;
    chain->source.fill = fill;
    chain->source.fill_columns = fill_columns;
    chain->source.account = account;
}

/* --------------------------------------------------------------------------------------------------------- going on */

/* Reads a file up to a point, NULL: its end, and adds it to *sum. */
static lum_status pass_over(struct lum__file_chain *chain, struct chain_file *file, const struct lum__input_point *to, struct lum__chain_point *sum)
{
    struct lum__input_part part;
    uint64_t first_row = to ? chain->options.from->file_first_row : 0; /* id=@row goes on in it; what is passed by makes no rows */
    lum_status status = file->is_opened ? LUM_OK : open_file(chain, file, first_row);
    if (status != LUM_OK) return status;
    lum__input_front(file->reader, &part);
    lum__chain_point_add(sum, &part, 0);
    status = lum__input_skip(file->reader, to, &part);
    if (status != LUM_OK) return status;
    lum__chain_point_add(sum, &part, 0);
    if (to) return LUM_OK;
    lum__chain_point_end_file(sum);
    pthread_mutex_lock(&chain->mutex);
    file->is_ended = true;
    close_if_over(file);
    pthread_mutex_unlock(&chain->mutex);
    return LUM_OK;
}

/* What is in front of the point is not what it was. */
static lum_status refuse_input(const struct lum__file_chain *chain, const struct lum__chain_point *found)
{
    const struct lum__chain_point *from = chain->options.from;
    size_t index = from->file < chain->file_count ? (size_t)from->file : chain->file_count - 1;
    const char *name = chain->files[index].path, *together = chain->file_count > 1 ? ", with the files before it," : "";
    unsigned long long was = from->bytes, is = found->bytes, row = from->rows;
    char *out = *chain->options.difference;
    size_t room = sizeof *chain->options.difference;
    if (is < was)
        snprintf(out, room, "%.200s%s was shortened: %llu bytes of it (decompressed) are loaded, and %llu are there", name, together, was, is);
    else if (is > was)
        snprintf(out, room, "%.200s%s is not the input that was loaded: that had %llu bytes (decompressed), this has %llu", name, together, was, is);
    else
        snprintf(out, room, "%.200s%s was changed at or before row %llu (byte %llu): these are not the rows that were loaded", name, together, row, was);
    return LUM_ERR_LABEL;
}

/* Puts the chain behind options.from, if what is in front of it is the same. */
static lum_status go_on(struct lum__file_chain *chain)
{
    const struct lum__chain_point *from = chain->options.from;
    struct lum__chain_point found = {0};
    bool is_in_file = from->file < chain->file_count && from->at.bytes > 0;
    size_t pass_count = (size_t)from->file + is_in_file;
    for (size_t i = 0; i < pass_count; i++) {
        lum_status status = pass_over(chain, &chain->files[i], i < from->file ? NULL : &from->at, &found);
        if (status != LUM_OK) return status;
    }
    if (found.bytes != from->bytes || found.sum != from->sum || found.file != from->file) return refuse_input(chain, &found);
    for (size_t i = 0; i < from->file; i++) chain->files[i].first_row = from->file_first_row;
    if (is_in_file) {
        struct chain_file *file = &chain->files[from->file];
        file->first_row = from->file_first_row;
        file->row_count = file->rows_reported = from->at.rows;
    }
    chain->marks.now = *from;
    chain->current = (size_t)from->file;
    return LUM_OK;
}

lum_status lum__file_chain_open(const struct lum__chain_options *options, struct lum__file_chain **out)
{
    *out = NULL;
    size_t bytes = sizeof(struct lum__file_chain) + options->path_count * sizeof(struct chain_file);
    struct lum__file_chain *chain = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!chain) return LUM_ERR_NO_MEMORY;
    memset(chain, 0, bytes);
    pthread_mutex_init(&chain->mutex, NULL);
    lum__chain_marks_init(&chain->marks);
    chain->options = *options;
    chain->sink = (struct lum__reject_sink){.context = chain, .row = on_rejected};
    chain->options.rows.rejects = options->rejects ? &chain->sink : NULL;
    chain->options.rows.sums = options->counts_points;
    chain->file_count = options->path_count;
    for (size_t i = 0; i < chain->file_count; i++) chain->files[i].path = options->paths[i];
    chain->bytes_total = sum_bytes(options);
    lum_status status = open_file(chain, &chain->files[0], 0);
    if (status == LUM_OK) chain->mapping_text = strdup(chain->files[0].reader->mapping_text);
    if (status == LUM_OK && !chain->mapping_text) status = LUM_ERR_NO_MEMORY;
    bool goes_on = options->from && (options->from->file > 0 || options->from->at.bytes > 0);
    if (status == LUM_OK) status = goes_on ? go_on(chain) : mark_front(chain, &chain->files[0]);
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
    lum__chain_marks_fini(&chain->marks);
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
    if (chain->options.from) rows_committed += chain->options.from->rows;
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
