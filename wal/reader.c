/* wal/reader.c - see reader.h; README.md, "Reading". */
#include "wal/reader.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/status.h"
#include "storage/header.h"
#include "wal/log_segment.h"
#include "wal/log_window.h"

struct lum__wal_reader {
    /* fixed at open */
    struct lum__fs *fs;
    uint8_t store_id[16];
    unsigned open_flags;
    bool has_limit;
    struct lum__log_position limit;
    uint64_t *numbers; /* of the files in wal/, ascending */
    size_t number_count;
    struct lum__wal_segment *segments; /* those with readable headers, by number */
    size_t segment_count;

    /* where it is */
    struct lum__log_window window; /* shows position.segment once that is open */
    struct lum__log_position position;
    uint64_t watermark;
    bool is_in_batch; /* the last accepted record was not the last of its batch */
    bool has_seal;    /* the last accepted record was `seal`: the log goes on in its successor */
    bool may_be_cut;  /* some segment says that position.segment was cut */
    struct lum__wal_record seal;

    /* why it stopped */
    enum lum__wal_stop stop;
    uint32_t condition;
    char message[256];
};

/* --- listing --- */

/* The headers of those of the numbered segments that can be read. */
static lum_status read_headers(struct lum__fs *fs, const uint8_t *store_id, unsigned flags, const uint64_t *numbers,
                               size_t number_count, struct lum__wal_segment **out, size_t *count,
                               lum_status (*bad)(void *context, const char *path), void *context)
{
    void *memory = NULL;
    lum_status status = LUM_OK;
    *out = NULL;
    *count = 0;
    LUM_TRY(lum__alloc_zeroed(number_count, sizeof(struct lum__wal_segment), &memory));
    struct lum__wal_segment *segments = memory;
    for (size_t i = 0; i < number_count; i++) {
        struct lum__file *file = NULL;
        status = lum__log_segment_open(fs, store_id, numbers[i], flags, &segments[*count], &file);
        (void)lum__file_close(file);
        if (status == LUM_OK) {
            ++*count;
        } else if (status == LUM_ERR_CORRUPT || status == LUM_ERR_UNSUPPORTED || status == LUM_ERR_FOREIGN) {
            char path[64];
            lum__wal_path(numbers[i], path);
            status = bad != NULL ? bad(context, path) : LUM_OK;
            if (status != LUM_OK) goto out;
        } else if (status != LUM_ERR_NOT_FOUND) { /* recycled by a live writer since it was listed */
            goto out;
        }
        status = LUM_OK;
    }
    *out = segments;
out:
    if (status != LUM_OK) {
        free(segments);
        *count = 0;
    }
    return status;
}

lum_status lum__wal_list(struct lum__fs *fs, const uint8_t *store_id, struct lum__wal_segment **out, size_t *count,
                         lum_status (*bad)(void *context, const char *path), void *context)
{
    uint64_t *numbers = NULL;
    size_t number_count = 0;
    *out = NULL;
    *count = 0;
    LUM_TRY(lum__log_segment_numbers(fs, &numbers, &number_count));
    lum_status status = read_headers(fs, store_id, LUM__OPEN_READ, numbers, number_count, out, count, bad, context);
    free(numbers);
    return status;
}

/* --- stopping --- */

__attribute__((format(printf, 4, 5))) static lum_status stop(struct lum__wal_reader *reader, enum lum__wal_stop why,
                                                             uint32_t condition, const char *format, ...)
{
    LUM_ASSERT(why != LUM__WAL_STOP_NONE);
    LUM_ASSERT(reader->stop == LUM__WAL_STOP_NONE);
    va_list arguments;
    reader->stop = why;
    reader->condition = condition;
    va_start(arguments, format);
    vsnprintf(reader->message, sizeof reader->message, format, arguments);
    va_end(arguments);
    return LUM_END;
}

/* Stops because a segment cannot be opened: `status` of the attempt says how. Failures of the machine are passed up. */
static lum_status stop_at_segment(struct lum__wal_reader *reader, lum_status status, uint64_t number)
{
    struct lum__error cause = *lum__error_last();
    if (status == LUM_ERR_UNSUPPORTED)
        return stop(reader, LUM__WAL_STOP_UNSUPPORTED, 0, "wal/%" PRIu64 ".wal: %.180s", number, cause.message);
    if (status == LUM_ERR_NOT_FOUND || status == LUM_ERR_CORRUPT || status == LUM_ERR_FOREIGN)
        return stop(reader, LUM__WAL_STOP_NO_SEGMENT, 0, "log segment wal/%" PRIu64 ".wal is needed: %.180s", number,
                    cause.message);
    return status;
}

/* --- going from segment to segment --- */

static void note_cuts(struct lum__wal_reader *reader)
{
    reader->may_be_cut = false;
    for (size_t i = 0; i < reader->segment_count; i++) {
        const struct lum__wal_segment *segment = &reader->segments[i];
        if (segment->origin == LUM__WAL_ORIGIN_RECOVERY && segment->previous_number == reader->position.segment)
            reader->may_be_cut = true;
    }
}

/* The log goes on at the beginning of a segment. Numbers only grow, so no segment is entered twice. */
static void enter(struct lum__wal_reader *reader, uint64_t number)
{
    LUM_ASSERT(number > reader->position.segment);
    lum__log_window_show(&reader->window, NULL, NULL);
    reader->position.segment = number;
    reader->position.offset = LUM__BLOCK_BYTES;
    reader->position.last_header_crc = 0;
    reader->is_in_batch = false;
    reader->has_seal = false;
    note_cuts(reader);
}

/* The segment whose header says that the log was cut exactly here; NULL if there is none. */
static const struct lum__wal_segment *find_cut(const struct lum__wal_reader *reader)
{
    const struct lum__log_position *here = &reader->position;
    const struct lum__wal_segment *found = NULL;
    if (!reader->may_be_cut) return NULL;
    for (size_t i = 0; i < reader->segment_count; i++) {
        const struct lum__wal_segment *segment = &reader->segments[i];
        bool is_cut = segment->origin == LUM__WAL_ORIGIN_RECOVERY && segment->previous_number == here->segment &&
                      segment->previous_end_offset == here->offset && segment->previous_sequence == here->sequence &&
                      segment->previous_header_crc == here->last_header_crc;
        if (is_cut && (found == NULL || segment->epoch >= found->epoch)) found = segment; /* by number among equals */
    }
    return found;
}

/* The first segment of a store's log, for a reader that begins before any segment; NULL if there is none. */
static const struct lum__wal_segment *find_first(const struct lum__wal_reader *reader)
{
    const struct lum__wal_segment *found = NULL;
    for (size_t i = 0; i < reader->segment_count; i++) {
        const struct lum__wal_segment *segment = &reader->segments[i];
        bool is_first =
            segment->origin == LUM__WAL_ORIGIN_FIRST && segment->previous_sequence == reader->position.sequence;
        if (is_first && (found == NULL || segment->epoch >= found->epoch)) found = segment;
    }
    return found;
}

/* From a seal to its successor: opened by its name, not from the list, which may be older than a live writer's segment.
 */
static lum_status follow_seal(struct lum__wal_reader *reader)
{
    const struct lum__wal_record *seal = &reader->seal;
    const struct lum__log_position end = reader->position;
    struct lum__wal_segment next;
    struct lum__file *file = NULL;
    LUM_ASSERT(seal->seal.successor > end.segment);
    LUM_ASSERT(seal->sequence == end.sequence);
    lum_status status =
        lum__log_segment_open(reader->fs, reader->store_id, seal->seal.successor, reader->open_flags, &next, &file);
    if (status != LUM_OK) return stop_at_segment(reader, status, seal->seal.successor);
    if (next.origin != LUM__WAL_ORIGIN_ROTATION || next.salt != seal->seal.successor_salt ||
        next.previous_number != end.segment || next.previous_end_offset != end.offset ||
        next.previous_sequence != end.sequence || next.previous_header_crc != end.last_header_crc) {
        (void)lum__file_close(file);
        return stop(reader, LUM__WAL_STOP_NO_SEGMENT, 0,
                    "wal/%" PRIu64 ".wal is not the successor that the seal of wal/%" PRIu64 ".wal names",
                    seal->seal.successor, end.segment);
    }
    enter(reader, next.number);
    lum__log_window_show(&reader->window, &next, file);
    return LUM_OK;
}

/* Opens position's segment for reading and checks that the position can lie in it. */
static lum_status open_current(struct lum__wal_reader *reader)
{
    const struct lum__log_position *here = &reader->position;
    struct lum__wal_segment segment;
    struct lum__file *file = NULL;
    lum_status status =
        lum__log_segment_open(reader->fs, reader->store_id, here->segment, reader->open_flags, &segment, &file);
    if (status != LUM_OK) return stop_at_segment(reader, status, here->segment);
    bool fits = here->offset >= LUM__BLOCK_BYTES && here->offset <= segment.segment_bytes && here->offset % 8 == 0 &&
                here->sequence >= segment.previous_sequence &&
                (here->offset > LUM__BLOCK_BYTES || here->sequence == segment.previous_sequence);
    if (!fits) {
        (void)lum__file_close(file);
        return stop(reader, LUM__WAL_STOP_GAP, 5, "wal/%" PRIu64 ".wal cannot hold the place where reading begins",
                    here->segment);
    }
    lum__log_window_show(&reader->window, &segment, file);
    return LUM_OK;
}

/* --- reading --- */

lum_status lum__wal_reader_open(struct lum__fs *fs, const uint8_t store_id[16], const struct lum__log_position *from,
                                const struct lum__log_position *limit, bool direct, struct lum__wal_reader **out)
{
    void *memory = NULL;
    lum_status status = LUM_OK;
    *out = NULL;
    LUM_TRY(lum__alloc_zeroed(1, sizeof(struct lum__wal_reader), &memory));
    struct lum__wal_reader *reader = memory;
    reader->fs = fs;
    memcpy(reader->store_id, store_id, sizeof reader->store_id);
    reader->open_flags = LUM__OPEN_READ | (direct ? (unsigned)LUM__OPEN_DIRECT : 0);
    reader->has_limit = limit != NULL;
    if (limit != NULL) reader->limit = *limit;
    reader->position = *from;
    reader->is_in_batch = from->offset % LUM__WAL_BATCH_ALIGNMENT != 0;
    LUM_TRY_OUT(lum__log_window_init(&reader->window));
    LUM_TRY_OUT(lum__log_segment_numbers(fs, &reader->numbers, &reader->number_count));
    LUM_TRY_OUT(read_headers(fs, store_id, reader->open_flags, reader->numbers, reader->number_count, &reader->segments,
                             &reader->segment_count, NULL, NULL));
    note_cuts(reader);
    *out = reader;
out:
    if (status != LUM_OK) lum__wal_reader_close(reader);
    return status;
}

void lum__wal_reader_close(struct lum__wal_reader *reader)
{
    if (reader == NULL) return;
    lum__log_window_fini(&reader->window);
    free(reader->segments);
    free(reader->numbers);
    free(reader);
}

void lum__wal_reader_position(const struct lum__wal_reader *reader, struct lum__log_position *out)
{
    *out = reader->position;
}

/* LUM_OK: position's segment is open, and what the log holds next lies there. */
static lum_status go_on(struct lum__wal_reader *reader)
{
    for (;;) {
        const struct lum__log_position *here = &reader->position;
        if (reader->has_limit && here->segment == reader->limit.segment && here->offset == reader->limit.offset &&
            here->sequence == reader->limit.sequence)
            return stop(reader, LUM__WAL_STOP_LIMIT, 0, "the log ends as the clean mark says");
        const struct lum__wal_segment *next = here->segment == 0 ? find_first(reader) : find_cut(reader);
        if (next != NULL) {
            enter(reader, next->number);
            continue;
        }
        if (here->segment == 0) return stop(reader, LUM__WAL_STOP_BLANK, 0, "there is no log yet");
        if (reader->has_seal) {
            LUM_TRY(follow_seal(reader));
            continue;
        }
        if (reader->window.file == NULL) LUM_TRY(open_current(reader));
        return LUM_OK;
    }
}

/* Stops at bytes that are not a valid record. */
static lum_status stop_at_look(struct lum__wal_reader *reader, enum lum__wal_look look, uint32_t condition)
{
    uint64_t segment = reader->position.segment;
    uint64_t offset = reader->position.offset;
    if (look == LUM__WAL_UNSUPPORTED)
        return stop(reader, LUM__WAL_STOP_UNSUPPORTED, condition,
                    "wal/%" PRIu64 ".wal, offset %" PRIu64 ": an intact record of a later version", segment, offset);
    if (reader->is_in_batch) /* a batch that breaks off: what follows is no end, whatever it is */
        return stop(reader, LUM__WAL_STOP_BAD, condition > 0 ? condition : 1,
                    "wal/%" PRIu64 ".wal, offset %" PRIu64 ": a batch breaks off", segment, offset);
    if (look == LUM__WAL_BLANK)
        return stop(reader, LUM__WAL_STOP_BLANK, 0, "wal/%" PRIu64 ".wal, offset %" PRIu64 ": never written", segment,
                    offset);
    if (look == LUM__WAL_STALE)
        return stop(reader, LUM__WAL_STOP_STALE, condition,
                    "wal/%" PRIu64 ".wal, offset %" PRIu64 ": a record of an earlier use of the file", segment, offset);
    return stop(reader, LUM__WAL_STOP_BAD, condition,
                "wal/%" PRIu64 ".wal, offset %" PRIu64 ": not a valid record (condition %" PRIu32 ")", segment, offset,
                condition);
}

/* Conditions 5 and 8 (format.md 3.1): the record's place among the others. */
static lum_status check_order(struct lum__wal_reader *reader, const struct lum__wal_record *record)
{
    const struct lum__log_position *here = &reader->position;
    if (record->sequence != here->sequence + 1)
        return stop(reader, LUM__WAL_STOP_GAP, 5,
                    "wal/%" PRIu64 ".wal, offset %" PRIu64 ": record %" PRIu64 " where %" PRIu64 " was expected",
                    here->segment, here->offset, record->sequence, here->sequence + 1);
    if (reader->has_limit && record->sequence > reader->limit.sequence)
        return stop(reader, LUM__WAL_STOP_GAP, 5,
                    "wal/%" PRIu64 ".wal, offset %" PRIu64 ": the log is not the one that the clean mark describes",
                    here->segment, here->offset);
    if (record->watermark >= record->sequence || record->watermark < reader->watermark)
        return stop(reader, LUM__WAL_STOP_BAD, 8,
                    "wal/%" PRIu64 ".wal, offset %" PRIu64 ": watermark %" PRIu64 " is out of order", here->segment,
                    here->offset, record->watermark);
    return LUM_OK;
}

lum_status lum__wal_reader_next(struct lum__wal_reader *reader, struct lum__wal_record *out)
{
    enum lum__wal_look look;
    uint32_t condition = 0;
    memset(out, 0, sizeof *out);
    if (reader->stop != LUM__WAL_STOP_NONE) return LUM_END;
    LUM_TRY(go_on(reader));
    if (reader->position.offset == reader->window.segment.segment_bytes) return stop_at_look(reader, LUM__WAL_BLANK, 0);
    LUM_TRY(lum__log_window_check(&reader->window, reader->position.offset, out, &look, &condition));
    if (look != LUM__WAL_VALID) return stop_at_look(reader, look, condition);
    LUM_TRY(check_order(reader, out));
    LUM_ASSERT(out->segment == reader->position.segment);
    LUM_ASSERT(out->offset == reader->position.offset);
    reader->position.offset = lum__wal_record_end(out);
    reader->position.sequence = out->sequence;
    reader->position.last_header_crc = out->header_crc;
    reader->watermark = out->watermark;
    reader->is_in_batch = !out->is_last_of_batch;
    reader->has_seal = out->type == LUM__WAL_SEAL;
    if (reader->has_seal) reader->seal = *out;
    return LUM_OK;
}

/* --- evidence --- */

static void raise_to(uint64_t *highest, uint64_t value)
{
    if (value > *highest) *highest = value;
}

/* Shows a segment for probing; without its header if that cannot be read. *is_shown: false if there is nothing. */
static lum_status show_for_probing(struct lum__wal_reader *reader, uint64_t number, bool *is_shown)
{
    struct lum__wal_segment segment;
    struct lum__file *file = NULL;
    char path[64];
    *is_shown = false;
    lum_status status =
        lum__log_segment_open(reader->fs, reader->store_id, number, reader->open_flags, &segment, &file);
    if (status == LUM_OK) {
        lum__log_window_show(&reader->window, &segment, file);
    } else if (status == LUM_ERR_CORRUPT || status == LUM_ERR_UNSUPPORTED || status == LUM_ERR_FOREIGN) {
        lum__wal_path(number, path);
        status = lum__fs_open_file(reader->fs, path, reader->open_flags, &file);
        if (status == LUM_ERR_NOT_FOUND || status == LUM_ERR_FOREIGN || status == LUM_ERR_CORRUPT)
            return LUM_OK; /* no regular file */
        LUM_TRY(status);
        LUM_TRY(lum__log_window_show_headless(&reader->window, reader->store_id, number, file));
    } else {
        return status == LUM_ERR_NOT_FOUND ? LUM_OK : status;
    }
    *is_shown = true;
    return LUM_OK;
}

/* What a segment behind the one where reading stopped says. */
static lum_status probe_later_segment(struct lum__wal_reader *reader, uint64_t number, struct lum__wal_evidence *out)
{
    struct lum__log_findings findings;
    bool is_shown;
    LUM_ASSERT(number > reader->position.segment);
    LUM_TRY(show_for_probing(reader, number, &is_shown));
    if (!is_shown) return LUM_OK;
    LUM_TRY(lum__log_probe(&reader->window, LUM__BLOCK_BYTES, &findings));
    out->records_behind += findings.records;
    raise_to(&out->watermark_behind, findings.watermark);
    /* The log went on there after a lower sequence than was accepted here: what was accepted last was dead, cut off by
     * a header that can no longer be read. */
    if (findings.first_sequence <= out->position.sequence) raise_to(&out->watermark_behind, out->position.sequence + 1);
    return LUM_OK;
}

/* What the rest of the segment where reading stopped says. */
static lum_status probe_rest(struct lum__wal_reader *reader, struct lum__wal_evidence *out)
{
    struct lum__log_findings findings;
    uint64_t offset = reader->position.offset;
    bool is_shown = reader->window.file != NULL;
    if (!is_shown && reader->position.segment != 0) { /* it could not be opened, or has no header */
        LUM_TRY(show_for_probing(reader, reader->position.segment, &is_shown));
        if (offset < LUM__BLOCK_BYTES || offset % 8 != 0) offset = LUM__BLOCK_BYTES; /* an impossible place to begin */
    }
    if (!is_shown || offset > reader->window.segment.segment_bytes) return LUM_OK;
    LUM_TRY(lum__log_probe(&reader->window, offset, &findings));
    out->records_behind = findings.records;
    out->watermark_behind = findings.watermark;
    if (findings.live_end > 0) out->tail_bytes = findings.live_end - offset;
    /* The rest of an old long batch behind a new short one does not begin with a record, but is no torn one. */
    if (out->stop == LUM__WAL_STOP_BAD && out->condition == 1 && !reader->is_in_batch && findings.is_first_stale)
        out->stop = LUM__WAL_STOP_STALE;
    return LUM_OK;
}

lum_status lum__wal_reader_evidence(struct lum__wal_reader *reader, struct lum__wal_evidence *out)
{
    LUM_ASSERT(reader->stop != LUM__WAL_STOP_NONE);
    uint64_t highest = reader->position.segment;
    if (reader->number_count > 0) raise_to(&highest, reader->numbers[reader->number_count - 1]);
    *out = (struct lum__wal_evidence){
        .stop = reader->stop,
        .position = reader->position,
        .condition = reader->condition,
        .watermark_accepted = reader->watermark,
        .next_segment = highest + 1,
    };
    memcpy(out->message, reader->message, sizeof out->message);
    if (reader->stop == LUM__WAL_STOP_LIMIT) return LUM_OK;
    LUM_TRY(probe_rest(reader, out));
    /* A later recovery's segment was begun after all before it was accepted and synced (README, R3 and R4). */
    for (size_t i = 0; i < reader->segment_count; i++) {
        const struct lum__wal_segment *segment = &reader->segments[i];
        if (segment->number > reader->position.segment && segment->origin == LUM__WAL_ORIGIN_RECOVERY)
            raise_to(&out->watermark_behind, segment->previous_sequence);
    }
    for (size_t i = 0; i < reader->number_count; i++) {
        if (reader->numbers[i] > reader->position.segment)
            LUM_TRY(probe_later_segment(reader, reader->numbers[i], out));
    }
    return LUM_OK;
}
