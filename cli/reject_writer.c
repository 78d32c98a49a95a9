#include "cli/reject_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/message.h"
#include "cli/reject_files.h"
#include "cli/reject_spill.h"
#include "formats/reject_text.h"

enum { BLOCK_BYTES = 1 << 20, PARKED_BYTES_MAX = 16 << 20 };

struct text {
    uint8_t *bytes;
    size_t used, capacity;
};

/* Bytes of a piece that went to the spill, in front of those in its texts. */
struct spilled {
    enum lum__reject_file file;
    struct lum__reject_block block;
};

struct piece {
    struct piece *next;      /* in source order */
    uint32_t worker;
    uint64_t row_end;        /* rows of the source up to and with this piece */
    uint64_t refused_count;
    uint64_t record_bytes;   /* of its last row */
    struct text texts[LUM__REJECT_FILES];
    struct text name; /* of its input, as a field of the errors file; empty before the first refused row */
    struct lum__reject_memo memos[LUM__REJECT_MEMOS]; /* of its input too */
    struct spilled *spilled;
    size_t spilled_count, spilled_capacity;
    bool is_over;
};

/* How long the files were behind a piece. */
struct mark {
    uint64_t row_end, refused_count;
    uint64_t bytes[LUM__REJECT_FILES];
    uint32_t sums[LUM__REJECT_FILES];
};

/* Of one worker, apart from the others': one count for all would wander between their caches, a bad row at a time. */
struct worker_count {
    _Atomic uint64_t refused; /* orders nothing */
    char apart[64 - sizeof(uint64_t)];
};

struct lum__reject_writer {
    struct lum__reject_options options; /* immutable */
    _Atomic uint64_t first_reason_row;  /* written under the mutex; read without to see that there is nothing to do */

    /* begin_input(), begin_piece(): one thread at a time */
    char *first_name;
    const char *format_name; /* static */
    char *mapping_text;
    uint64_t rows_begun;

    struct worker_count counts[LUM__SOURCE_WORKERS_MAX];
    _Atomic uint64_t limited_count; /* of all workers, where options.max is a limit; orders nothing */
    struct piece *workers[LUM__SOURCE_WORKERS_MAX]; /* each entry: its worker's own, between begin_piece() and end_piece() */

    /* under mutex, files too */
    pthread_mutex_t mutex;
    struct lum__reject_files files;
    struct piece *oldest, *newest;
    struct piece *unused[LUM__SOURCE_WORKERS_MAX]; /* by the worker that had them: their memory is in its caches */
    size_t parked_bytes;
    struct lum__reject_spill spill;
    struct mark written;   /* behind the last piece that is written whole */
    struct mark committed;
    struct mark *marks; /* of pieces behind `committed`, in order: [first, first + count) */
    size_t mark_first, mark_count, mark_capacity;
    uint64_t synced_bytes[LUM__REJECT_FILES]; /* how long the files were when they were last synced, or that was tried */
    char first_reason[512]; /* of the first refused row seen so far, by its place in the source */
    bool has_ended;         /* no piece follows */
    bool has_syncer;        /* its thread was started, once; what might follow, a commit syncs */
    pthread_t syncer;

    pthread_mutex_t sync_mutex; /* held while the files are synced; before the other mutex */
};

/* --------------------------------------------------------------------------------------------------------- texts */

static bool reserve(struct text *text, size_t more)
{
    if (text->capacity - text->used >= more) return true;
    size_t capacity = text->capacity > 0 ? text->capacity : 4096;
    while (capacity - text->used < more) capacity *= 2;
    uint8_t *bytes = realloc(text->bytes, capacity);
    if (!bytes) return false;
    text->bytes = bytes;
    text->capacity = capacity;
    return true;
}

/* The input's name as a field, with the comma behind it: once a piece. */
static bool name_piece(struct piece *piece, const char *name)
{
    piece->name.used = 0;
    if (!reserve(&piece->name, lum__reject_name_bytes_max(name))) return false;
    piece->name.used = (size_t)(lum__reject_put_name(piece->name.bytes, name) - piece->name.bytes);
    lum__reject_forget(piece->memos);
    return true;
}

static bool put_error_line(struct piece *piece, const struct lum__rejected_row *row)
{
    struct text *text = &piece->texts[LUM__REJECT_ERRORS];
    const struct lum__reject_memo *memo = lum__reject_recall(piece->memos, row);
    if (!reserve(text, piece->name.used + lum__reject_line_bytes_max(row, memo))) return false;
    memcpy(text->bytes + text->used, piece->name.bytes, piece->name.used);
    text->used += piece->name.used;
    text->used = (size_t)(lum__reject_put_line(text->bytes + text->used, row, memo) - text->bytes);
    return true;
}

/* The row's own bytes; the last line of an input may lack its end, and more rows may follow. */
static bool put_row(struct piece *piece, const struct lum__rejected_row *row, bool is_text)
{
    struct text *text = &piece->texts[LUM__REJECT_ROWS];
    if (!reserve(text, row->byte_count + 1)) return false;
    memcpy(text->bytes + text->used, row->bytes, row->byte_count);
    text->used += row->byte_count;
    uint8_t last = row->byte_count > 0 ? row->bytes[row->byte_count - 1] : 0;
    if (is_text && last != '\n' && last != '\r') text->bytes[text->used++] = '\n';
    return true;
}

/* --------------------------------------------------------------------------------------------------------- failing */

/* Under the mutex. */
static lum_status failure_status(const struct lum__reject_writer *writer)
{
    int os_errno = writer->files.failed_errno;
    return os_errno == 0 ? LUM_OK : os_errno == ENOSPC || os_errno == EDQUOT ? LUM_ERR_NO_SPACE : os_errno == ENOMEM ? LUM_ERR_NO_MEMORY : LUM_ERR_IO;
}

static lum_status fail(struct lum__reject_writer *writer, int os_errno, const char *doing)
{
    pthread_mutex_lock(&writer->mutex);
    lum__reject_files_fail(&writer->files, os_errno, writer->options.path, doing);
    lum_status status = failure_status(writer);
    pthread_mutex_unlock(&writer->mutex);
    return status;
}

bool lum__reject_writer_has_failed(struct lum__reject_writer *writer)
{
    pthread_mutex_lock(&writer->mutex);
    bool has_failed = writer->files.failed_errno != 0;
    pthread_mutex_unlock(&writer->mutex);
    return has_failed;
}

int lum__reject_writer_say_failure(struct lum__reject_writer *writer)
{
    const struct lum__reject_files *files = &writer->files;
    return lum__message_system(files->failed_errno, files->failed_path, "cannot %s %s", files->failed_doing, files->failed_path);
}

/* --------------------------------------------------------------------------------------------------------- the spill */

static bool spill_text(struct lum__reject_writer *writer, struct piece *piece, enum lum__reject_file file)
{
    struct text *text = &piece->texts[file];
    struct spilled *spilled = &piece->spilled[piece->spilled_count];
    int os_errno = lum__reject_spill_put(&writer->spill, writer->options.path, text->bytes, text->used, &spilled->block);
    if (os_errno != 0) return lum__reject_files_fail(&writer->files, os_errno, writer->options.path, "write rows ahead of their turn beside");
    spilled->file = file;
    piece->spilled_count++;
    text->used = 0;
    return true;
}

/* Under the mutex: the piece's texts go to the spill. */
static bool spill(struct lum__reject_writer *writer, struct piece *piece)
{
    if (piece->spilled_capacity < piece->spilled_count + LUM__REJECT_FILES) {
        size_t capacity = piece->spilled_capacity * 2 + LUM__REJECT_FILES;
        struct spilled *spilled = realloc(piece->spilled, capacity * sizeof *spilled);
        if (!spilled) return lum__reject_files_fail(&writer->files, ENOMEM, writer->options.path, "keep rows for");
        piece->spilled = spilled;
        piece->spilled_capacity = capacity;
    }
    return spill_text(writer, piece, LUM__REJECT_ROWS) && spill_text(writer, piece, LUM__REJECT_ERRORS);
}

/* Under the mutex: what the piece has in the spill goes to the files. */
static bool write_spilled(struct lum__reject_writer *writer, struct piece *piece)
{
    for (size_t i = 0; i < piece->spilled_count; i++) {
        struct lum__reject_block block = piece->spilled[i].block;
        while (block.byte_count > 0) {
            const uint8_t *bytes;
            size_t byte_count;
            int os_errno = lum__reject_spill_take(&writer->spill, &block, &bytes, &byte_count);
            if (os_errno != 0)
                return lum__reject_files_fail(&writer->files, os_errno, writer->options.path, "read back rows ahead of their turn beside");
            if (!lum__reject_files_append(&writer->files, piece->spilled[i].file, bytes, byte_count)) return false;
        }
    }
    piece->spilled_count = 0;
    return true;
}

/* --------------------------------------------------------------------------------------------------- pieces in order */

/* Under the mutex: the oldest piece's rows so far. */
static bool write_piece(struct lum__reject_writer *writer, struct piece *piece)
{
    if (piece->record_bytes > 0) writer->files.record_bytes = piece->record_bytes;
    if (!write_spilled(writer, piece)) return false;
    for (int file = 0; file < LUM__REJECT_FILES; file++) {
        struct text *text = &piece->texts[file];
        if (!lum__reject_files_append(&writer->files, file, text->bytes, text->used)) return false;
        text->used = 0;
    }
    return true;
}

static bool add_mark(struct lum__reject_writer *writer)
{
    if (writer->mark_first + writer->mark_count == writer->mark_capacity) {
        if (writer->mark_first > writer->mark_count) { /* most of the front is free */
            memmove(writer->marks, writer->marks + writer->mark_first, writer->mark_count * sizeof *writer->marks);
            writer->mark_first = 0;
        } else {
            size_t capacity = writer->mark_capacity * 2 + 64;
            struct mark *marks = realloc(writer->marks, capacity * sizeof *marks);
            if (!marks) return lum__reject_files_fail(&writer->files, ENOMEM, writer->options.path, "keep the length of");
            writer->marks = marks;
            writer->mark_capacity = capacity;
        }
    }
    writer->marks[writer->mark_first + writer->mark_count++] = writer->written;
    return true;
}

static size_t memory_bytes(const struct piece *piece) { return piece->texts[0].capacity + piece->texts[1].capacity; }

static void free_texts(struct piece *piece)
{
    for (int file = 0; file < LUM__REJECT_FILES; file++) {
        free(piece->texts[file].bytes);
        piece->texts[file] = (struct text){0};
    }
}

/* Memory of a piece that had much is given back, the usual little is kept for the next. */
static void recycle(struct lum__reject_writer *writer, struct piece *piece)
{
    if (memory_bytes(piece) > 4 * (size_t)BLOCK_BYTES) free_texts(piece);
    piece->next = writer->unused[piece->worker];
    writer->unused[piece->worker] = piece;
}

/* Under the mutex: all pieces whose turn it is and that are over. */
static bool write_pieces(struct lum__reject_writer *writer)
{
    while (writer->oldest && writer->oldest->is_over) {
        struct piece *piece = writer->oldest;
        writer->parked_bytes -= memory_bytes(piece);
        if (!write_piece(writer, piece)) return false;
        writer->written.row_end = piece->row_end;
        if (piece->refused_count > 0) {
            writer->written.refused_count += piece->refused_count;
            lum__reject_files_lengths(&writer->files, writer->written.bytes);
            memcpy(writer->written.sums, writer->files.sums, sizeof writer->written.sums);
            if (!add_mark(writer)) return false;
        }
        writer->oldest = piece->next;
        if (!writer->oldest) writer->newest = NULL;
        recycle(writer, piece);
    }
    return true;
}

/* Under the mutex. By the lengths: whatever way bytes went, a commit does not pass over them. */
static bool has_unsynced(const struct lum__reject_writer *writer)
{
    uint64_t bytes[LUM__REJECT_FILES];
    lum__reject_files_lengths(&writer->files, bytes);
    return memcmp(bytes, writer->synced_bytes, sizeof bytes) != 0;
}

/* What is written so far. Returns only once it is durable, whoever syncs it. */
static lum_status sync_written(struct lum__reject_writer *writer)
{
    const char *path, *doing;
    pthread_mutex_lock(&writer->sync_mutex);
    pthread_mutex_lock(&writer->mutex);
    bool is_sync_due = has_unsynced(writer);
    if (is_sync_due) lum__reject_files_flush(&writer->files);
    lum__reject_files_lengths(&writer->files, writer->synced_bytes);
    lum_status status = failure_status(writer);
    pthread_mutex_unlock(&writer->mutex);
    if (status == LUM_OK && is_sync_due) {
        int os_errno = lum__reject_files_sync(&writer->files, &path, &doing); /* without the lock: it takes long */
        pthread_mutex_lock(&writer->mutex);
        if (os_errno != 0) lum__reject_files_fail(&writer->files, os_errno, path, doing);
        status = failure_status(writer);
        pthread_mutex_unlock(&writer->mutex);
    }
    pthread_mutex_unlock(&writer->sync_mutex);
    return status;
}

static void *sync_ahead(void *writer)
{
    (void)sync_written(writer); /* a failure is kept, and told by the sync before the commit */
    return NULL;
}

/* Under the mutex. Without a thread the commit syncs. */
static void sync_if_over(struct lum__reject_writer *writer)
{
    if (!writer->has_ended || writer->oldest || !has_unsynced(writer) || writer->has_syncer) return;
    writer->has_syncer = pthread_create(&writer->syncer, NULL, sync_ahead, writer) == 0;
}

static void join_syncer(struct lum__reject_writer *writer)
{
    if (writer->has_syncer) pthread_join(writer->syncer, NULL);
    writer->has_syncer = false;
}

void lum__reject_writer_end_inputs(struct lum__reject_writer *writer)
{
    if (!writer->options.path) return;
    pthread_mutex_lock(&writer->mutex);
    writer->has_ended = true;
    sync_if_over(writer);
    pthread_mutex_unlock(&writer->mutex);
}

lum_status lum__reject_writer_begin_piece(struct lum__reject_writer *writer, uint32_t worker, uint64_t row_count)
{
    if (!writer->options.path) return LUM_OK;
    pthread_mutex_lock(&writer->mutex);
    struct piece *piece = writer->unused[worker];
    if (piece)
        writer->unused[worker] = piece->next;
    else
        piece = calloc(1, sizeof *piece);
    if (!piece) lum__reject_files_fail(&writer->files, ENOMEM, writer->options.path, "gather rows for");
    lum_status status = failure_status(writer);
    if (piece) {
        writer->rows_begun += row_count;
        piece->next = NULL;
        piece->worker = worker;
        piece->row_end = writer->rows_begun;
        piece->refused_count = 0;
        piece->name.used = 0;
        piece->is_over = false;
        if (writer->newest)
            writer->newest->next = piece;
        else
            writer->oldest = piece;
        writer->newest = writer->workers[worker] = piece;
    }
    pthread_mutex_unlock(&writer->mutex);
    return status;
}

lum_status lum__reject_writer_end_piece(struct lum__reject_writer *writer, uint32_t worker)
{
    struct piece *piece = writer->workers[worker];
    if (!piece) return LUM_OK;
    writer->workers[worker] = NULL;
    pthread_mutex_lock(&writer->mutex);
    piece->is_over = true;
    bool is_good = true;
    if (piece != writer->oldest && writer->parked_bytes + memory_bytes(piece) > PARKED_BYTES_MAX) {
        is_good = spill(writer, piece);
        free_texts(piece);
    }
    writer->parked_bytes += memory_bytes(piece);
    if (is_good) write_pieces(writer);
    sync_if_over(writer);
    lum_status status = failure_status(writer);
    pthread_mutex_unlock(&writer->mutex);
    return status;
}

/* The worker's buffer is full: written if it is its turn, else spilled. */
static lum_status empty_texts(struct lum__reject_writer *writer, struct piece *piece)
{
    pthread_mutex_lock(&writer->mutex);
    if (piece == writer->oldest)
        write_piece(writer, piece);
    else
        spill(writer, piece);
    lum_status status = failure_status(writer);
    pthread_mutex_unlock(&writer->mutex);
    return status;
}

/* ---------------------------------------------------------------------------------------------------------- rows */

/* The first refused row of the source, for the message at the end; it need not be the first that comes here. */
static void keep_first_reason(struct lum__reject_writer *writer, const char *name, uint64_t source_row, const struct lum__rejected_row *row)
{
    if (source_row >= atomic_load_explicit(&writer->first_reason_row, memory_order_relaxed)) return;
    pthread_mutex_lock(&writer->mutex);
    if (source_row < atomic_load_explicit(&writer->first_reason_row, memory_order_relaxed)) {
        char place[32] = "", reason[LUM__REASON_BYTES_MAX];
        if (row->line > 0)
            snprintf(place, sizeof place, ":%" PRIu64, row->line);
        else
            snprintf(place, sizeof place, " row %" PRIu64, row->row);
        atomic_store_explicit(&writer->first_reason_row, source_row, memory_order_relaxed);
        snprintf(writer->first_reason, sizeof writer->first_reason, "%.200s%s: %.250s", name, place, lum__reject_reason(row, reason));
    }
    pthread_mutex_unlock(&writer->mutex);
}

static lum_status refuse_more(const struct lum__reject_writer *writer, const char *name, const struct lum__rejected_row *row)
{
    char message[480], reason[LUM__REASON_BYTES_MAX];
    snprintf(message, sizeof message, "%.300s; with this row more than --max-errors %" PRIu64 " are refused", lum__reject_reason(row, reason), writer->options.max);
    return lum_source_fail(name, row->line, row->offset, message);
}

lum_status lum__reject_writer_row(struct lum__reject_writer *writer, uint32_t worker, const char *name, uint64_t first_row,
                                  const struct lum__rejected_row *row)
{
    struct piece *piece = writer->workers[worker];
    keep_first_reason(writer, name, first_row + row->row, row);
    _Atomic uint64_t *count = &writer->counts[worker].refused; /* written by this worker only */
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1, memory_order_relaxed);
    if (writer->options.max != UINT64_MAX) {
        uint64_t before = atomic_fetch_add_explicit(&writer->limited_count, 1, memory_order_relaxed);
        if (before + writer->options.refused_before >= writer->options.max) return refuse_more(writer, name, row);
    }
    if (!piece) return LUM_OK; /* skipped */
    if ((piece->name.used == 0 && !name_piece(piece, name)) || !put_row(piece, row, writer->files.is_text) ||
        !put_error_line(piece, row))
        return fail(writer, ENOMEM, "gather rows for");
    piece->refused_count++;
    piece->record_bytes = row->byte_count;
    bool is_full = piece->texts[LUM__REJECT_ROWS].used >= BLOCK_BYTES || piece->texts[LUM__REJECT_ERRORS].used >= BLOCK_BYTES;
    return is_full ? empty_texts(writer, piece) : LUM_OK;
}

/* Bytes of a header row without its line end: inputs with LF and with CRLF may share a file, whose rows keep their own. */
static size_t header_text_bytes(const struct lum__reject_files *files, const uint8_t *header, size_t bytes)
{
    while (files->is_text && bytes > 0 && (header[bytes - 1] == '\n' || header[bytes - 1] == '\r')) bytes--;
    return bytes;
}

/* What keeps this input's refused rows out of the file, as in "its header"; NULL: nothing. */
static const char *find_difference(const struct lum__reject_writer *writer, const struct lum__row_source *reader)
{
    const struct lum__reject_files *files = &writer->files; /* its header changes behind shape_offset only, under the mutex */
    if (strcmp(reader->format_name, writer->format_name) != 0) return "format";
    size_t bytes = header_text_bytes(files, files->header, files->header_bytes);
    bool is_same = header_text_bytes(files, reader->reject_header, reader->reject_header_bytes) == bytes;
    if (files->shape_offset > 0) bytes = files->shape_offset; /* the type stands in front of it */
    if (is_same && bytes > 0) is_same = memcmp(reader->reject_header, files->header, bytes) == 0;
    if (!is_same) return files->is_text ? "header row" : "record type";
    return strcmp(reader->mapping_text, writer->mapping_text) == 0 ? NULL : "mapping";
}

lum_status lum__reject_writer_begin_input(struct lum__reject_writer *writer, const char *name, const struct lum__row_source *reader)
{
    if (!writer->options.path) return LUM_OK;
    if (!writer->first_name) {
        writer->first_name = strdup(name);
        writer->mapping_text = strdup(reader->mapping_text);
        writer->format_name = reader->format_name;
        pthread_mutex_lock(&writer->mutex);
        if (!writer->first_name || !writer->mapping_text)
            lum__reject_files_fail(&writer->files, ENOMEM, writer->options.path, "keep a name for");
        else
            lum__reject_files_set_header(&writer->files, reader);
        lum_status status = failure_status(writer);
        bool has_header = status != LUM_OK || lum__reject_files_has_header(&writer->files);
        pthread_mutex_unlock(&writer->mutex);
        return has_header ? status : lum_source_fail(writer->options.path, 0, UINT64_MAX, "the reject file's header is not as the interrupted load left it: it was changed");
    }
    const char *difference = find_difference(writer, reader);
    if (!difference) return LUM_OK;
    char message[512];
    snprintf(message, sizeof message,
             "its %s is not that of %.200s, so refused rows of both cannot go into one reject file: load it by itself, with a reject "
             "file of its own",
             difference, writer->first_name);
    return lum_source_fail(name, 0, UINT64_MAX, message);
}

/* --------------------------------------------------------------------------------------------------------- commits */

bool lum__reject_writer_has_files(const struct lum__reject_writer *writer) { return writer->options.path != NULL; }

lum_status lum__reject_writer_sync(struct lum__reject_writer *writer, uint64_t rows_end)
{
    pthread_mutex_lock(&writer->mutex);
    if (writer->written.row_end < rows_end) /* a bug of ours: never commit rows whose refused ones are not written */
        lum__reject_files_fail(&writer->files, EINVAL, writer->options.path, "find all rows of a transaction for");
    pthread_mutex_unlock(&writer->mutex);
    return sync_written(writer);
}

void lum__reject_writer_point(struct lum__reject_writer *writer, uint64_t rows_end, struct lum__reject_point *out)
{
    pthread_mutex_lock(&writer->mutex);
    const struct mark *found = &writer->committed;
    for (size_t i = 0; i < writer->mark_count && writer->marks[writer->mark_first + i].row_end <= rows_end; i++)
        found = &writer->marks[writer->mark_first + i];
    *out = (struct lum__reject_point){.rows = found->refused_count, .header_bytes = (uint32_t)writer->files.header_bytes};
    memcpy(out->bytes, found->bytes, sizeof out->bytes);
    memcpy(out->sums, found->sums, sizeof out->sums);
    pthread_mutex_unlock(&writer->mutex);
}

void lum__reject_writer_committed(struct lum__reject_writer *writer, uint64_t rows_end)
{
    pthread_mutex_lock(&writer->mutex);
    while (writer->mark_count > 0 && writer->marks[writer->mark_first].row_end <= rows_end) {
        writer->committed = writer->marks[writer->mark_first++];
        writer->mark_count--;
    }
    pthread_mutex_unlock(&writer->mutex);
}

/* ------------------------------------------------------------------------------------------------ opening, closing */

int lum__reject_writer_open(const struct lum__reject_options *options, struct lum__reject_writer **out)
{
    *out = NULL;
    struct lum__reject_writer *writer = calloc(1, sizeof *writer);
    if (!writer) return lum__message_system(ENOMEM, options->path, "no memory for refused rows");
    writer->options = *options;
    writer->spill.fd = -1;
    atomic_init(&writer->first_reason_row, UINT64_MAX);
    writer->files = (struct lum__reject_files){.fds = {-1, -1}};
    pthread_mutex_init(&writer->mutex, NULL);
    pthread_mutex_init(&writer->sync_mutex, NULL);
    int exit_code = 0;
    const struct lum__reject_point *point = options->go_on;
    if (options->path && point)
        exit_code = lum__reject_files_go_on(&writer->files, options->path, options->store, options->inputs, options->input_count, point);
    else if (options->path)
        exit_code = lum__reject_files_open(&writer->files, options->path, options->store, options->inputs, options->input_count);
    writer->files.counts_points = options->counts_points;
    if (point && point->rows > 0) {
        writer->committed.refused_count = point->rows;
        memcpy(writer->committed.bytes, point->bytes, sizeof point->bytes);
        memcpy(writer->committed.sums, point->sums, sizeof point->sums);
        writer->written = writer->committed;
        memcpy(writer->synced_bytes, point->bytes, sizeof point->bytes); /* before the commit that the point is of */
    }
    if (exit_code != 0) {
        static const uint64_t nothing[LUM__REJECT_FILES];
        if (!point || point->rows == 0) lum__reject_files_cut(&writer->files, nothing);
        lum__reject_writer_close(writer);
        return exit_code;
    }
    *out = writer;
    return 0;
}

static void say_what_was_refused(const struct lum__reject_writer *writer, bool keep_all)
{
    const struct lum__reject_files *files = &writer->files;
    uint64_t before = writer->options.go_on ? writer->options.go_on->rows : 0; /* in the files before this run */
    uint64_t refused = lum__reject_writer_count(writer), kept = writer->committed.refused_count;
    if (refused > 0) lum__message_note("refused rows: %s, the first: %s", lum__human_count(refused), writer->first_reason);
    if (refused == 0 || !writer->options.path) return;
    const char *rows_path = files->paths[LUM__REJECT_ROWS], *errors_path = files->paths[LUM__REJECT_ERRORS];
    if (keep_all)
        lum__message_note("%s and %s are as they were when a commit's outcome came in doubt: they may hold rows of transactions that are not committed",
                          rows_path, errors_path);
    else if (kept == 0)
        lum__message_note("%s: no refused row belongs to a committed transaction, so the file was %s", rows_path,
                          files->was_there[LUM__REJECT_ROWS] ? "emptied" : "removed");
    else
        lum__message_note("%s has %s%s, %s says where and why", rows_path, lum__human_number_of(kept, "refused row"),
                          kept < refused + before ? " (those of committed transactions only)" : "", errors_path);
    if (kept > 0 && writer->mapping_text && strncmp(writer->mapping_text, "id=@row", 7) == 0)
        lum__message_note("loaded by itself, %s is numbered from 1 again: give its rows ids of their own", rows_path);
}

/* Both files hold what the last commit counted, durably, and no more. */
static bool is_as_committed(const struct lum__reject_writer *writer)
{
    uint64_t bytes[LUM__REJECT_FILES];
    lum__reject_files_lengths(&writer->files, bytes);
    return writer->files.failed_errno == 0 && writer->committed.refused_count > 0 && !has_unsynced(writer) &&
           memcmp(writer->committed.bytes, bytes, sizeof bytes) == 0;
}

int lum__reject_writer_finish(struct lum__reject_writer *writer, bool keep_all, int exit_code)
{
    join_syncer(writer);
    if (writer->options.path && !keep_all && !is_as_committed(writer) && !lum__reject_files_cut(&writer->files, writer->committed.bytes)) {
        int cut_code = lum__reject_writer_say_failure(writer);
        return exit_code != 0 ? exit_code : cut_code;
    }
    say_what_was_refused(writer, keep_all);
    return exit_code;
}

uint64_t lum__reject_writer_kept(const struct lum__reject_writer *writer) { return writer->committed.refused_count; }

uint64_t lum__reject_writer_count(const struct lum__reject_writer *writer)
{
    uint64_t count = 0;
    for (uint32_t worker = 0; worker < LUM__SOURCE_WORKERS_MAX; worker++)
        count += atomic_load_explicit(&writer->counts[worker].refused, memory_order_relaxed);
    return count;
}

const char *lum__reject_writer_path(const struct lum__reject_writer *writer, enum lum__reject_file file) { return writer->files.paths[file]; }

static void free_pieces(struct piece *piece)
{
    while (piece) {
        struct piece *next = piece->next;
        free(piece->texts[LUM__REJECT_ROWS].bytes);
        free(piece->texts[LUM__REJECT_ERRORS].bytes);
        free(piece->name.bytes);
        free(piece->spilled);
        free(piece);
        piece = next;
    }
}

void lum__reject_writer_close(struct lum__reject_writer *writer)
{
    if (!writer) return;
    join_syncer(writer);
    free_pieces(writer->oldest);
    for (uint32_t worker = 0; worker < LUM__SOURCE_WORKERS_MAX; worker++) free_pieces(writer->unused[worker]);
    lum__reject_files_close(&writer->files);
    lum__reject_spill_close(&writer->spill);
    free(writer->marks);
    free(writer->first_name);
    free(writer->mapping_text);
    pthread_mutex_destroy(&writer->mutex);
    pthread_mutex_destroy(&writer->sync_mutex);
    free(writer);
}
