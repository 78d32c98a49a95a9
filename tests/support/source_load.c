#include "support/source_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

lum_status read_text_stream(void *context, uint8_t *out, size_t bytes_max, size_t *bytes)
{
    struct text_stream *stream = context;
    size_t length = stream->length - stream->at;

    *bytes = 0;
    if (stream->fail_at != 0 && stream->at >= stream->fail_at) return lum__fail(LUM_ERR_IO, "the disk is on fire");
    if (length > bytes_max) length = bytes_max;
    if (length > stream->read_max) length = stream->read_max;
    memcpy(out, stream->text + stream->at, length);
    stream->at += length;
    *bytes = length;
    return LUM_OK;
}

struct lum__input_bytes text_stream_bytes(const char *name, struct text_stream *stream)
{
    return (struct lum__input_bytes){.name = name, .read = read_text_stream, .read_context = stream, .fd = -1};
}

static lum_status take_reject(void *context, uint32_t worker, const struct lum__rejected_row *row)
{
    struct source_load *load = context;

    (void)worker;
    pthread_mutex_lock(&load->mutex);
    if (load->reject_count == load->reject_limit) {
        pthread_mutex_unlock(&load->mutex);
        return lum__fail(LUM_ERR_INPUT, "too many bad rows");
    }
    struct source_reject *reject = &load->rejects[load->reject_count++];
    reject->row = *row;
    size_t name_bytes = strlen(row->column_name) + 1, code_bytes = strlen(row->code) + 1;
    reject->texts = malloc(name_bytes + code_bytes);
    reject->row.column_name = strcpy(reject->texts, row->column_name);
    reject->row.code = strcpy(reject->texts + name_bytes, row->code);
    lum__reject_reason(row, reject->reason);
    reject->bytes = malloc(row->byte_count);
    reject->row.bytes = memcpy(reject->bytes, row->bytes, row->byte_count);
    pthread_mutex_unlock(&load->mutex);
    return LUM_OK;
}

void prepare_rejects(struct source_load *load, uint64_t reject_limit)
{
    load->sink = (struct lum__reject_sink){load, take_reject};
    load->reject_limit = reject_limit;
    load->rejects = calloc(reject_limit + 1, sizeof *load->rejects);
}

void free_rejects(struct source_load *load)
{
    for (uint64_t i = 0; i < load->reject_count; ++i) {
        free(load->rejects[i].texts);
        free(load->rejects[i].bytes);
    }
    free(load->rejects);
}

static int compare_rejects(const void *a, const void *b)
{
    uint64_t left = ((const struct source_reject *)a)->row.row, right = ((const struct source_reject *)b)->row.row;
    return (left > right) - (left < right);
}

void sort_rejects(struct source_load *load)
{
    qsort(load->rejects, load->reject_count, sizeof *load->rejects, compare_rejects);
}

static lum_status open_next_piece(struct source_load *load, uint32_t worker, lum_piece *piece)
{
    lum_status status = LUM_END; /* another worker's failure ends all */

    pthread_mutex_lock(&load->mutex);
    if (load->status == LUM_OK) status = load->source->open_piece(load->source->context, worker, load->rows_max, piece);
    if (status == LUM_OK) {
        load->pieces++;
        if (piece->row_count > load->rows_max || piece->first_row != load->row_count ||
            piece->first_row + piece->row_count > load->row_limit)
            abort();
        load->row_count += piece->row_count;
    }
    if (status != LUM_OK && status != LUM_END) {
        load->status = status;
        load->error = *lum__error_last();
    }
    pthread_mutex_unlock(&load->mutex);
    return status;
}

static void *work(void *context)
{
    struct source_load *load = context;
    lum_piece piece;

    pthread_mutex_lock(&load->mutex);
    uint32_t worker = load->next_worker++;
    pthread_mutex_unlock(&load->mutex);
    while (open_next_piece(load, worker, &piece) == LUM_OK) {
        uint64_t filled = 0;
        lum_status status = LUM_OK;
        for (size_t got = 1; got > 0 && status == LUM_OK; filled += got) {
            size_t room = piece.row_count - filled;
            status = load->source->fill(load->source->context, worker, load->rows + piece.first_row + filled,
                                        room < 4096 ? room : 4096, &got);
            if (load->filled != NULL) memset(load->filled + piece.first_row + filled, 1, got);
            if (room == 0) break;
        }
        if (status == LUM_OK && filled != piece.row_count && load->rejects == NULL) abort();
        if (status == LUM_OK) continue;
        pthread_mutex_lock(&load->mutex);
        if (load->status == LUM_OK) {
            load->status = status;
            load->error = *lum__error_last();
        }
        pthread_mutex_unlock(&load->mutex);
    }
    return NULL;
}

void run_source_workers(struct source_load *load, const lum_source *source, uint32_t workers)
{
    pthread_t threads[16];

    load->source = source;
    pthread_mutex_init(&load->mutex, NULL);
    for (uint32_t i = 0; i < workers; ++i)
        if (pthread_create(&threads[i], NULL, work, load) != 0) abort();
    for (uint32_t i = 0; i < workers; ++i) pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&load->mutex);
}
