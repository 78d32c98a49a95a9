/* recovery/salvage_read.c - the rows of a transaction, page by page: what verifies is a source's rows, what does not is
 * a loss with its place, its rows and, where an intact directory tells them, the ranges of their ids and times. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/memory.h"
#include "base/status.h"
#include "recovery/copy_file.h"
#include "recovery/salvage_private.h"
#include "storage/chunk.h"

enum { DIRECTORY_ROOM = 20480 };

/* A worker's piece: some pages of one chunk, or rows that are in memory already. */
struct reading {
    const struct lum__chunk_entry *chunk;
    uint64_t chunk_row; /* of the chunk's first row in the transaction; UINT64_MAX: not known */
    struct lum__file *file;
    struct lum__page_entry pages[LUM__CHUNK_PAGES_MAX];
    uint32_t page_indexes; /* of pages[0] in the chunk */
    uint32_t page_count, page_next;
    uint64_t row_next; /* of the chunk, of page_next's first row */
    const lum_t *rows; /* decoded, or lent by the transaction */
    size_t row_count;
    uint8_t *bytes;
    struct lum__page_scratch *scratch;
    lum_t *decoded;
};

struct lum__salvage_source {
    struct lum__salvage *salvage;
    const struct lum__salvage_transaction *transaction;
    uint32_t worker_count;
    struct reading *workers;
    /* under the claim of lum_load: open_piece is called by one worker at a time */
    size_t chunk; /* index of the current one */
    uint64_t chunk_row;
    bool has_directory;
    bool are_rows_given;
    uint32_t page_count, page_next;
    uint64_t row_next;
    uint8_t directory[DIRECTORY_ROOM];
};

/* ----------------------------------------------------------------------------------------------------------------
 * files */

/* Also where the header is damaged: each chunk says for itself where and whose it is. NULL: there is no such file. */
static lum_status get_file(struct lum__salvage *salvage, uint64_t segment, struct lum__file **out)
{
    lum_status status = LUM_OK;
    char path[64];
    *out = NULL;
    pthread_mutex_lock(&salvage->mutex);
    for (size_t i = 0; i < salvage->file_count; i++) {
        if (salvage->files[i].segment != segment) continue;
        *out = salvage->files[i].file;
        goto out;
    }
    void *array = salvage->files;
    LUM_TRY_OUT(lum__grow(&array, &salvage->file_capacity, salvage->file_count + 1, sizeof *salvage->files));
    salvage->files = array;
    lum__segment_path(segment, path);
    if (lum__fs_open_file(salvage->fs, path, LUM__OPEN_READ, out) != LUM_OK) *out = NULL;
    salvage->files[salvage->file_count++] = (struct lum__salvage_file){segment, *out};
out:
    pthread_mutex_unlock(&salvage->mutex);
    return status;
}

/* Bytes of a file; what cannot be read or is not there are zeros, which no check accepts. */
static lum_status read_bytes(struct lum__file *file, uint8_t *bytes, size_t byte_count, uint64_t offset)
{
    uint64_t unreadable = 0;
    memset(bytes, 0, byte_count);
    if (file == NULL) return LUM_OK;
    return lum__read_around(file, bytes, byte_count, offset, &unreadable);
}

/* ---------------------------------------------------------------------------------------------------------------
 * losses */

lum_status lum__salvage_note(struct lum__salvage *salvage, const struct lum__salvage_loss *loss)
{
    pthread_mutex_lock(&salvage->mutex);
    void *array = salvage->losses;
    lum_status status = lum__grow(&array, &salvage->loss_capacity, salvage->loss_count + 1, sizeof *loss);
    if (status == LUM_OK) {
        salvage->losses = array;
        salvage->losses[salvage->loss_count++] = *loss;
    }
    pthread_mutex_unlock(&salvage->mutex);
    return status;
}

static void begin_loss(const struct lum__salvage_source *source, const struct lum__chunk_entry *chunk,
                       struct lum__salvage_loss *out)
{
    *out = (struct lum__salvage_loss){.face = {.transaction_id = source->transaction->transaction_id,
                                               .commit_sequence = source->transaction->commit_sequence,
                                               .chunk_offset = chunk->offset,
                                               .are_lums_known = true,
                                               .are_ranges_known = true}};
    lum__segment_path(chunk->segment, out->file);
    snprintf(out->what, sizeof out->what, "%.199s", lum__error_last()->message);
}

static void put_ranges(lum_loss *loss, const struct lum__range *range)
{
    loss->id_min = range->id_min;
    loss->id_max = range->id_max;
    loss->timestamp_min = range->timestamp_min;
    loss->timestamp_max = range->timestamp_max;
}

static lum_status lose_chunk(struct lum__salvage_source *source, const struct lum__chunk_entry *chunk)
{
    struct lum__salvage_loss loss;
    begin_loss(source, chunk, &loss);
    loss.face.offset = chunk->offset;
    loss.face.byte_count = chunk->byte_count;
    loss.face.lums_lost = chunk->row_count;
    loss.face.first_row = source->chunk_row;
    put_ranges(&loss.face, &chunk->range);
    return lum__salvage_note(source->salvage, &loss);
}

static lum_status lose_page(struct lum__salvage_source *source, const struct reading *reading, uint32_t page)
{
    const struct lum__page_entry *entry = &reading->pages[page];
    struct lum__salvage_loss loss;
    begin_loss(source, reading->chunk, &loss);
    loss.face.offset = reading->chunk->offset + entry->offset;
    loss.face.byte_count = entry->byte_count;
    loss.face.lums_lost = entry->row_count;
    loss.face.first_row = reading->chunk_row + reading->row_next;
    loss.page_first = reading->page_indexes + page;
    loss.page_end = loss.page_first + 1;
    put_ranges(&loss.face, &entry->range);
    return lum__salvage_note(source->salvage, &loss);
}

static int compare_losses(const void *a, const void *b)
{
    const struct lum__salvage_loss *left = a, *right = b;
    int files = strcmp(left->file, right->file);
    if (left->face.commit_sequence != right->face.commit_sequence)
        return left->face.commit_sequence < right->face.commit_sequence ? -1 : 1;
    if (left->face.first_row != right->face.first_row) return left->face.first_row < right->face.first_row ? -1 : 1;
    if (files != 0) return files;
    return (left->face.offset > right->face.offset) - (left->face.offset < right->face.offset);
}

/* Neighbouring pages of one chunk are one loss. */
static bool join(struct lum__salvage_loss *loss, const struct lum__salvage_loss *next)
{
    if (loss->page_end == 0 || next->page_first != loss->page_end || strcmp(loss->file, next->file) != 0 ||
        loss->face.chunk_offset != next->face.chunk_offset)
        return false;
    loss->page_end = next->page_end;
    loss->face.byte_count = next->face.offset + next->face.byte_count - loss->face.offset;
    loss->face.lums_lost += next->face.lums_lost;
    if (next->face.id_min < loss->face.id_min) loss->face.id_min = next->face.id_min;
    if (next->face.id_max > loss->face.id_max) loss->face.id_max = next->face.id_max;
    if (next->face.timestamp_min < loss->face.timestamp_min) loss->face.timestamp_min = next->face.timestamp_min;
    if (next->face.timestamp_max > loss->face.timestamp_max) loss->face.timestamp_max = next->face.timestamp_max;
    return true;
}

lum_status lum__salvage_tell_losses(struct lum__salvage *salvage, void (*each)(void *context, const lum_loss *loss),
                                    void *context, uint64_t *lums_lost, uint64_t *loss_count)
{
    struct lum__salvage_loss *losses = salvage->losses;
    if (salvage->loss_count > 1) qsort(losses, salvage->loss_count, sizeof *losses, compare_losses);
    for (size_t i = 0, next; i < salvage->loss_count; i = next) {
        for (next = i + 1; next < salvage->loss_count && join(&losses[i], &losses[next]); next++) continue;
        lum_loss *face = &losses[i].face;
        face->file = losses[i].file;
        face->what = losses[i].what;
        face->page_first = losses[i].page_first;
        face->page_count = losses[i].page_end - losses[i].page_first;
        *lums_lost += face->lums_lost;
        ++*loss_count;
        if (each != NULL) each(context, face);
    }
    salvage->loss_count = 0;
    return LUM_OK;
}

/* ---------------------------------------------------------------------------------------------------------------
 * pieces */

/* The directory of the next chunk that has an intact one. LUM_END: there is none. */
static lum_status open_chunk(struct lum__salvage_source *source)
{
    const struct lum__salvage_transaction *transaction = source->transaction;
    while (!source->has_directory && source->chunk < transaction->chunk_end) {
        const struct lum__chunk_entry *chunk = &source->salvage->chunks[source->chunk];
        struct lum__file *file = NULL;
        char path[64];
        lum__segment_path(chunk->segment, path);
        LUM_TRY(get_file(source->salvage, chunk->segment, &file));
        LUM_TRY(read_bytes(file, source->directory, lum__chunk_directory_bytes(chunk), chunk->offset));
        lum_status status = LUM_OK;
        if (file == NULL)
            status = lum__corrupt(path, LUM_NO_OFFSET, 1, "%s is missing, and committed chunks are in it", path);
        else
            status = lum__chunk_check_directory(source->directory, lum__chunk_directory_bytes(chunk),
                                                source->salvage->store_id, chunk, path, &source->page_count);
        if (status == LUM_OK) {
            source->has_directory = true;
            source->page_next = 0;
            source->row_next = 0;
            return LUM_OK;
        }
        LUM_TRY(lose_chunk(source, chunk));
        source->chunk_row += chunk->row_count;
        source->chunk++;
    }
    return source->has_directory ? LUM_OK : LUM_END;
}

/* As many of the chunk's pages as have room in a piece. */
static void take_pages(struct lum__salvage_source *source, uint64_t rows_max, struct reading *reading)
{
    uint64_t rows = 0;
    reading->chunk = &source->salvage->chunks[source->chunk];
    reading->chunk_row = source->chunk_row;
    reading->page_indexes = source->page_next;
    reading->page_count = reading->page_next = 0;
    reading->row_next = source->row_next;
    while (source->page_next < source->page_count) {
        struct lum__page_entry *page = &reading->pages[reading->page_count];
        lum__chunk_page(source->directory, source->page_next, page);
        if (reading->page_count > 0 && rows + page->row_count > rows_max) break;
        rows += page->row_count;
        reading->page_count++;
        source->page_next++;
    }
    source->row_next += rows;
    if (source->page_next < source->page_count) return;
    source->has_directory = false;
    source->chunk_row += reading->chunk->row_count;
    source->chunk++;
}

static lum_status open_piece(void *context, uint32_t worker, uint64_t rows_max, lum_piece *out)
{
    struct lum__salvage_source *source = context;
    const struct lum__salvage_transaction *transaction = source->transaction;
    struct reading *reading = &source->workers[worker];
    LUM_ASSERT(worker < source->worker_count);
    *out = (lum_piece){.first_row = source->row_next, .row_count = LUM_ROWS_UNKNOWN};
    reading->row_count = 0;
    if (transaction->rows != NULL) { /* in the log, verified when it was read; they have room in any chunk */
        if (source->row_next == transaction->row_count) return LUM_END;
        uint64_t left = transaction->row_count - source->row_next;
        reading->rows = transaction->rows + source->row_next;
        reading->row_count = left < rows_max ? (size_t)left : (size_t)rows_max;
        reading->page_count = reading->page_next = 0;
        source->row_next += reading->row_count;
        return LUM_OK;
    }
    LUM_TRY(open_chunk(source));
    take_pages(source, rows_max, reading);
    return get_file(source->salvage, reading->chunk->segment, &reading->file);
}

static lum_status next_page(struct lum__salvage_source *source, struct reading *reading)
{
    const struct lum__chunk_entry *chunk = reading->chunk;
    const struct lum__page_entry *page = &reading->pages[reading->page_next];
    char path[64];
    lum__segment_path(chunk->segment, path);
    LUM_TRY(read_bytes(reading->file, reading->bytes, page->byte_count, chunk->offset + page->offset));
    lum_status status = lum__chunk_decode_page(reading->bytes, page, chunk, reading->scratch, path, reading->decoded);
    if (status == LUM_OK) {
        reading->rows = reading->decoded;
        reading->row_count = page->row_count;
    } else if (status == LUM_ERR_CORRUPT || status == LUM_ERR_UNSUPPORTED) {
        LUM_TRY(lose_page(source, reading, reading->page_next));
    } else {
        return status;
    }
    reading->row_next += page->row_count;
    reading->page_next++;
    return LUM_OK;
}

static lum_status fill(void *context, uint32_t worker, lum_t *rows, size_t rows_max, size_t *row_count)
{
    struct lum__salvage_source *source = context;
    struct reading *reading = &source->workers[worker];
    while (reading->row_count == 0 && reading->page_next < reading->page_count) LUM_TRY(next_page(source, reading));
    *row_count = reading->row_count < rows_max ? reading->row_count : rows_max;
    if (*row_count > 0) memcpy(rows, reading->rows, *row_count * sizeof *rows);
    reading->rows += *row_count;
    reading->row_count -= *row_count;
    return LUM_OK;
}

/* ------------------------------------------------------------------------------------------------------- open and
 * close */

static lum_status open_reading(struct reading *reading)
{
    void *memory = NULL;
    LUM_TRY(lum__alloc(lum__round_up(LUM__PAGE_BYTES_MAX, LUM__IO_ALIGNMENT), &memory));
    reading->bytes = memory;
    reading->scratch = aligned_alloc(64, lum__round_up(lum__page_scratch_bytes(), 64));
    reading->decoded = aligned_alloc(64, lum__round_up(LUM__PAGE_ROWS_MAX * sizeof(lum_t), 64));
    if (reading->scratch == NULL || reading->decoded == NULL)
        return lum__fail(LUM_ERR_NO_MEMORY, "no memory to decode pages");
    return LUM_OK;
}

lum_status lum__salvage_source_open(struct lum__salvage *salvage, const struct lum__salvage_transaction *transaction,
                                    uint32_t workers, struct lum__salvage_source **out, lum_source *source)
{
    void *memory = NULL;
    lum_status status = LUM_OK;
    *out = NULL;
    *source = (lum_source)LUM_SOURCE_INIT;
    LUM_TRY(lum__alloc_zeroed(1, sizeof **out, &memory));
    struct lum__salvage_source *made = memory;
    made->salvage = salvage;
    made->transaction = transaction;
    made->chunk = transaction->chunk_first;
    LUM_TRY_OUT(lum__alloc_zeroed(workers, sizeof *made->workers, &memory));
    made->workers = memory;
    made->worker_count = workers;
    for (uint32_t i = 0; i < workers; i++) LUM_TRY_OUT(open_reading(&made->workers[i]));
    source->context = made;
    source->name = "salvage";
    source->has_checksums = true; /* those that decoding verified: compared once more on the way into the new store */
    source->open_piece = open_piece;
    source->fill = fill;
    *out = made;
    made = NULL;
out:
    lum__salvage_source_close(made);
    return status;
}

void lum__salvage_source_close(struct lum__salvage_source *source)
{
    if (source == NULL) return;
    for (uint32_t i = 0; i < source->worker_count; i++) {
        free(source->workers[i].bytes);
        free(source->workers[i].scratch);
        free(source->workers[i].decoded);
    }
    free(source->workers);
    free(source);
}

static lum_status read_to_end(struct lum__salvage_source *source, lum_t *rows)
{
    lum_piece piece;
    lum_status status;
    while ((status = open_piece(source, 0, LUM__PAGE_ROWS_MAX, &piece)) == LUM_OK) {
        size_t row_count;
        do {
            LUM_TRY(fill(source, 0, rows, LUM__PAGE_ROWS_MAX, &row_count));
        } while (row_count > 0);
    }
    return status == LUM_END ? LUM_OK : status;
}

lum_status lum__salvage_count(struct lum__fs *fs, const uint8_t store_id[16], struct lum__chunk_entry *chunks,
                              size_t chunk_count, void (*each)(void *context, const lum_loss *loss), void *context,
                              uint64_t *lums_lost)
{
    struct lum__salvage salvage = {.fs = fs, .chunks = chunks, .chunk_count = chunk_count};
    struct lum__salvage_transaction transaction = {.chunk_end = chunk_count};
    struct lum__salvage_source *source = NULL;
    lum_source face;
    void *rows = NULL;
    uint64_t loss_count = 0;
    *lums_lost = 0;
    memcpy(salvage.store_id, store_id, sizeof salvage.store_id);
    pthread_mutex_init(&salvage.mutex, NULL);
    lum_status status = lum__salvage_source_open(&salvage, &transaction, 1, &source, &face);
    if (status == LUM_OK) status = lum__alloc(LUM__PAGE_ROWS_MAX * sizeof(lum_t), &rows);
    if (status == LUM_OK) status = read_to_end(source, rows);
    if (status == LUM_OK) status = lum__salvage_tell_losses(&salvage, each, context, lums_lost, &loss_count);
    lum__salvage_source_close(source);
    free(rows);
    for (size_t i = 0; i < salvage.file_count; i++) (void)lum__file_close(salvage.files[i].file);
    free(salvage.files);
    free(salvage.losses);
    pthread_mutex_destroy(&salvage.mutex);
    return status;
}
