#include "storage/chunk_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/memory.h"
#include "storage/chunk_layout.h"

enum {
    REQUEST_BYTES = 1 << 20,
    SLOT_BYTES_MIN = 256 * 1024,  /* a page and a directory fit */
    SLOT_BYTES_MAX = 16 << 20,    /* larger chunks are read in windows */
    WHOLE_BYTES_MAX = 128 * 1024, /* chunks up to this size are read whole even for a few pages */
    GAP_BYTES_MAX = 64 * 1024,    /* unwanted pages up to this size are read rather than skipped */
    RUN_BYTES_MAX = 2 << 20,      /* small chunks side by side are read together, up to this size, */
    RUN_GAP_BYTES_MAX = 256 << 10, /* with this much between them that is not wanted, or comes later (they lie in disorder) */
    MEMORY_BYTES_DEFAULT = 64 << 20,
    REAP_MAX = 16,
};
_Static_assert(SLOT_BYTES_MIN >= LUM__PAGE_BYTES_MAX + 2 * LUM__CHUNK_ALIGNMENT, "a window holds at least a page");
_Static_assert(SLOT_BYTES_MIN >= LUM__CHUNK_DIRECTORY_BYTES_MAX + LUM__CHUNK_ALIGNMENT, "a slot holds any directory");

/* ----------------------------------------------------------------------------------------------------- source */

static bool is_chunk_wanted(const struct lum__chunk_source *source, const struct lum__chunk_entry *entry)
{
    return source->check_everything || lum__range_overlaps(&source->range, &entry->range);
}

/* Slots as large as the largest chunk to be read, as many as memory allows; and few where there are few chunks, so that
 * no reader claims what another one could work on. */
static void plan_memory(struct lum__chunk_source *source, uint64_t memory_bytes_max, uint32_t workers)
{
    uint64_t budget = (memory_bytes_max > 0 ? memory_bytes_max : MEMORY_BYTES_DEFAULT) / 2;
    uint64_t largest_bytes = SLOT_BYTES_MIN;

    for (size_t index = 0; index < source->chunk_count; index++) {
        if (source->chunks[index].byte_count > largest_bytes) largest_bytes = source->chunks[index].byte_count;
    }
    uint64_t slot_bytes = largest_bytes < SLOT_BYTES_MAX ? largest_bytes : SLOT_BYTES_MAX;
    bool has_windows = largest_bytes > slot_bytes;
    if (workers > source->chunk_count) workers = source->chunk_count > 0 ? (uint32_t)source->chunk_count : 1;
    if (workers > budget / (2 * SLOT_BYTES_MIN)) workers = (uint32_t)(budget / (2 * SLOT_BYTES_MIN));
    if (workers == 0) workers = 1;

    uint64_t share = budget / workers;
    uint64_t slot_count = source->chunk_count / workers;
    if (slot_count < 1) slot_count = 1;
    if (slot_count > LUM__READER_SLOTS_MAX) slot_count = LUM__READER_SLOTS_MAX;
    if (slot_count * slot_bytes > share) slot_count = share / slot_bytes;
    if (slot_bytes < RUN_BYTES_MAX && slot_count * RUN_BYTES_MAX <= share) slot_bytes = RUN_BYTES_MAX;
    if (slot_count <
        2) { /* one slot for chunks that fit and that nobody waits for; else two, if need be smaller ones */
        slot_count = !has_windows && slot_bytes <= share && source->chunk_count <= workers ? 1 : 2;
        if (slot_count * slot_bytes > share)
            slot_bytes = share / slot_count / LUM__CHUNK_ALIGNMENT * LUM__CHUNK_ALIGNMENT;
        if (slot_bytes < SLOT_BYTES_MIN) slot_bytes = SLOT_BYTES_MIN;
    }
    source->workers = workers;
    source->slot_count = (uint32_t)slot_count;
    source->slot_bytes = (uint32_t)slot_bytes;
    source->run_chunks_max = source->chunk_count / (workers * slot_count);
}

lum_status lum__chunk_source_init(struct lum__chunk_source *source, struct lum__fs *fs,
                                  struct lum__segment_files *files, const struct lum__chunk_entry *chunks,
                                  size_t chunk_count, const struct lum__chunk_scan_options *options, uint32_t workers)
{
    memset(source, 0, sizeof *source);
    source->fs = fs;
    source->files = files;
    source->chunks = chunks;
    source->chunk_count = chunk_count;
    source->range = options->range;
    memcpy(source->store_id, options->store_id, 16);
    source->check_everything = options->check_everything;
    plan_memory(source, options->memory_bytes_max, workers);
    if (pthread_mutex_init(&source->mutex, NULL) != 0) return lum__fail(LUM_ERR_NO_MEMORY, "a mutex cannot be made");
    return LUM_OK;
}

void lum__chunk_source_fini(struct lum__chunk_source *source) { (void)pthread_mutex_destroy(&source->mutex); }

/* Is all of the chunk read in one go? Where it fits and most of it may be wanted. */
static bool is_chunk_read_whole(const struct lum__chunk_source *source, const struct lum__chunk_entry *entry)
{
    return entry->byte_count <= source->slot_bytes && (source->check_everything || entry->byte_count <= WHOLE_BYTES_MAX ||
                                                       lum__range_contains(&source->range, &entry->range));
}

/* A claimed chunk's first unit: all of it, or its directory. */
static void plan_first_unit(const struct lum__chunk_source *source, struct lum__chunk_unit *unit)
{
    const struct lum__chunk_entry *entry = &source->chunks[unit->chunk_index];

    unit->is_first = true;
    unit->run_end = unit->chunk_index + 1;
    unit->is_rows = entry->rows != NULL;
    unit->is_whole = unit->is_rows || is_chunk_read_whole(source, entry);
    unit->begin = entry->offset;
    unit->end = entry->offset + (unit->is_whole ? entry->byte_count : lum__chunk_directory_bytes(entry));
}

/* Takes the chunks that come next into a whole chunk's unit, as long as they lie beside it. Under the mutex. */
static void claim_run(struct lum__chunk_source *source, struct lum__chunk_unit *unit)
{
    uint64_t wanted_bytes = unit->end - unit->begin;

    while (source->next_index < source->chunk_count && unit->run_end - unit->chunk_index < source->run_chunks_max) {
        const struct lum__chunk_entry *entry = &source->chunks[source->next_index];
        uint64_t begin = entry->offset < unit->begin ? entry->offset : unit->begin;
        uint64_t end = entry->offset + entry->byte_count > unit->end ? entry->offset + entry->byte_count : unit->end;

        if (entry->rows != NULL || entry->segment != source->chunks[unit->chunk_index].segment) return;
        if (!is_chunk_wanted(source, entry) || !is_chunk_read_whole(source, entry)) return;
        wanted_bytes += entry->byte_count;
        if (end - begin > RUN_BYTES_MAX || end - begin > source->slot_bytes ||
            end - begin > wanted_bytes + RUN_GAP_BYTES_MAX) {
            return;
        }
        unit->begin = begin;
        unit->end = end;
        unit->is_run = true;
        unit->run_end = ++source->next_index;
        source->next_position += entry->row_count;
    }
}

/* The next chunk, or run of chunks, that may have rows in range. False: there are no more. */
static bool claim_chunk(struct lum__chunk_source *source, struct lum__chunk_unit *unit)
{
    bool is_found = false;

    memset(unit, 0, sizeof *unit);
    (void)pthread_mutex_lock(&source->mutex);
    while (!is_found && source->next_index < source->chunk_count) {
        const struct lum__chunk_entry *entry = &source->chunks[source->next_index];
        unit->chunk_index = source->next_index++;
        unit->position = source->next_position;
        source->next_position += entry->row_count;
        is_found = is_chunk_wanted(source, entry);
        if (!is_found) source->pages_pruned += (entry->row_count + LUM__PAGE_ROWS_MAX - 1) / LUM__PAGE_ROWS_MAX;
    }
    if (is_found) {
        plan_first_unit(source, unit);
        if (unit->is_whole && !unit->is_rows) claim_run(source, unit);
    }
    (void)pthread_mutex_unlock(&source->mutex);
    return is_found;
}

/* ------------------------------------------------------------------------------------------------ reader's life */

lum_status lum__chunk_reader_init(struct lum__chunk_reader *reader, struct lum__chunk_source *source)
{
    uint32_t requests = source->slot_count * ((source->slot_bytes + REQUEST_BYTES - 1) / REQUEST_BYTES);

    memset(reader, 0, sizeof *reader);
    reader->source = source;
    LUM_TRY(
        lum__alloc(lum__round_up(LUM__CHUNK_DIRECTORY_BYTES_MAX, LUM__CHUNK_ALIGNMENT), (void **)&reader->directory));
    LUM_TRY(lum__memory_map((size_t)source->slot_count * source->slot_bytes, &reader->memory, &reader->memory_bytes));
    for (uint32_t index = 0; index < source->slot_count; index++) {
        reader->slots[index].buffer = (uint8_t *)reader->memory + (size_t)index * source->slot_bytes;
    }
    return lum__io_open(source->fs, requests, NULL, &reader->queue);
}

void lum__chunk_reader_fini(struct lum__chunk_reader *reader)
{
    if (reader->queue != NULL)
        lum__io_close(reader->queue); /* waits for what is in flight: the buffers are its until then */
    if (reader->memory != NULL) lum__memory_unmap(reader->memory, reader->memory_bytes);
    free(reader->directory);
    memset(reader, 0, sizeof *reader);
}

static const struct lum__chunk_entry *entry_of(const struct lum__chunk_reader *reader,
                                               const struct lum__chunk_unit *unit)
{
    return &reader->source->chunks[unit->chunk_index];
}

static bool is_page_wanted(const struct lum__chunk_reader *reader, const struct lum__page_entry *page)
{
    return reader->source->check_everything || lum__range_overlaps(&reader->source->range, &page->range);
}

/* -------------------------------------------------------------------------------------------------- read ahead */

/* The next window of the chunk whose directory is known: wanted pages and small gaps between them, as many as a slot
 * holds. */
static bool next_window(struct lum__chunk_reader *reader, struct lum__chunk_unit *unit)
{
    const struct lum__chunk_entry *entry = entry_of(reader, &reader->window_chunk);
    uint32_t index = reader->window_page;
    struct lum__page_entry page;

    *unit = reader->window_chunk;
    unit->is_first = unit->is_whole = false;
    unit->page_first = unit->page_end = UINT32_MAX;
    for (; index < reader->page_count; index++) {
        lum__chunk_page(reader->directory, index, &page);
        if (!is_page_wanted(reader, &page)) continue;
        uint64_t begin = entry->offset + page.offset / LUM__CHUNK_ALIGNMENT * LUM__CHUNK_ALIGNMENT;
        uint64_t end = entry->offset + lum__round_up(page.offset + page.byte_count, LUM__CHUNK_ALIGNMENT);
        if (unit->page_first == UINT32_MAX) {
            unit->page_first = index;
            unit->begin = begin;
        } else if (entry->offset + page.offset > unit->end + GAP_BYTES_MAX ||
                   end - unit->begin > reader->source->slot_bytes) {
            break;
        }
        unit->end = end;
        unit->page_end = index + 1;
    }
    reader->window_page = index;
    if (index == reader->page_count) reader->has_windows = false;
    LUM_ASSERT(unit->page_first == UINT32_MAX ||
               (unit->end <= entry->offset + entry->byte_count && unit->end - unit->begin <= reader->source->slot_bytes));
    return unit->page_first != UINT32_MAX;
}

static bool next_unit(struct lum__chunk_reader *reader, struct lum__chunk_unit *unit)
{
    if (reader->has_windows && next_window(reader, unit)) return true;
    if (reader->awaits_directory || !claim_chunk(reader->source, unit)) return false;
    reader->awaits_directory = !unit->is_whole;
    return true;
}

/* Submits the slot's unit. What is wrong with its segment is kept for the unit's turn. */
static lum_status submit_unit(struct lum__chunk_reader *reader, uint32_t slot_index)
{
    struct lum__chunk_slot *slot = &reader->slots[slot_index];
    const struct lum__chunk_entry *entry = entry_of(reader, &slot->unit);
    uint32_t byte_count = (uint32_t)(slot->unit.end - slot->unit.begin);

    slot->pending = 0;
    slot->error.status = LUM_OK;
    if (slot->unit.is_rows) return LUM_OK;
    if (lum__segment_files_get(reader->source->files, entry->segment, &slot->file) != LUM_OK) {
        slot->error = *lum__error_last();
        return LUM_OK;
    }
    for (uint32_t done = 0; done < byte_count; done += REQUEST_BYTES) {
        uint32_t request_bytes = byte_count - done < REQUEST_BYTES ? byte_count - done : REQUEST_BYTES;
        LUM_TRY(lum__io_submit_read(reader->queue, slot->file, slot->buffer + done, request_bytes,
                                    slot->unit.begin + done, (uint64_t)done << 8 | slot_index));
        slot->pending++;
    }
    reader->counts.bytes_read += byte_count;
    return LUM_OK;
}

static lum_status fill_slots(struct lum__chunk_reader *reader)
{
    while (reader->used < reader->source->slot_count) {
        uint32_t slot_index = (reader->oldest + reader->used) % reader->source->slot_count;
        if (!next_unit(reader, &reader->slots[slot_index].unit)) return LUM_OK;
        reader->used++;
        LUM_TRY(submit_unit(reader, slot_index));
    }
    return LUM_OK;
}

/* A request that did not move all its bytes: beyond the file's end, or unreadable. Keeps the first failure of the unit.
 */
static void settle_incomplete(struct lum__chunk_slot *slot, uint32_t done, uint32_t request_bytes, int64_t result)
{
    uint64_t offset = slot->unit.begin + done;
    size_t bytes_read = 0;
    lum_status status;

    if (slot->unit.is_run) { /* whose chunk is it? */
        slot->unit.is_run_bad = true;
        return;
    }
    if (result < 0 && result != -EAGAIN && result != -EINTR) {
        status =
            lum__fail_errno((int)-result, slot->file->path, offset, "cannot read %u bytes of a chunk", request_bytes);
    } else { /* short reads happen; only a plain read knows the end of file from a hiccup */
        status = lum__file_read(slot->file, slot->buffer + done, request_bytes, offset, &bytes_read);
    }
    if (status == LUM_OK && bytes_read < request_bytes) {
        status = lum__corrupt(slot->file->path, offset + bytes_read, 1, "the file ends inside a committed chunk");
    }
    if (status != LUM_OK && slot->error.status == LUM_OK) slot->error = *lum__error_last();
}

/* Waits until the slot's requests are all done. */
static lum_status wait_for_slot(struct lum__chunk_reader *reader, struct lum__chunk_slot *wanted)
{
    struct lum__io_completion completions[REAP_MAX];
    uint32_t count;

    while (wanted->pending > 0) {
        LUM_TRY(lum__io_reap(reader->queue, 1, completions, REAP_MAX, &count));
        for (uint32_t index = 0; index < count; index++) {
            struct lum__chunk_slot *slot = &reader->slots[completions[index].user & 0xff];
            uint32_t done = (uint32_t)(completions[index].user >> 8);
            uint32_t left = (uint32_t)(slot->unit.end - slot->unit.begin) - done;
            uint32_t request_bytes = left < REQUEST_BYTES ? left : REQUEST_BYTES;

            LUM_ASSERT(slot->pending > 0);
            slot->pending--;
            if (completions[index].result != request_bytes)
                settle_incomplete(slot, done, request_bytes, completions[index].result);
        }
    }
    return LUM_OK;
}

/* ------------------------------------------------------------------------------------------------ the active unit */

static void free_oldest(struct lum__chunk_reader *reader)
{
    reader->is_active = false;
    reader->oldest = (reader->oldest + 1) % reader->source->slot_count;
    reader->used--;
}

/* Nothing more of the active unit's chunk: goes on to the next chunk of a run, or frees the slot. */
static void leave_chunk(struct lum__chunk_reader *reader)
{
    struct lum__chunk_unit *unit = &reader->slots[reader->oldest].unit;

    reader->is_active = false;
    if (unit->chunk_index + 1 == unit->run_end) {
        free_oldest(reader);
        return;
    }
    unit->position += entry_of(reader, unit)->row_count;
    unit->chunk_index++;
}

/* Where byte `offset` of the unit's chunk lies. */
static uint8_t *bytes_at(const struct lum__chunk_reader *reader, const struct lum__chunk_slot *slot, uint32_t offset)
{
    return slot->buffer + (entry_of(reader, &slot->unit)->offset + offset - slot->unit.begin);
}

/* A chunk of a run of which something could not be read: only the chunk that cannot be read is damaged. */
static lum_status read_again(const struct lum__chunk_reader *reader, const struct lum__chunk_slot *slot)
{
    const struct lum__chunk_entry *entry = entry_of(reader, &slot->unit);
    size_t bytes_read = 0;

    LUM_TRY(lum__file_read(slot->file, bytes_at(reader, slot, 0), entry->byte_count, entry->offset, &bytes_read));
    if (bytes_read == entry->byte_count) return LUM_OK;
    return lum__corrupt(slot->file->path, entry->offset + bytes_read, 1, "the file ends inside a committed chunk");
}

/* A first unit: checks the directory and keeps it. */
static lum_status start_chunk(struct lum__chunk_reader *reader, const struct lum__chunk_slot *slot)
{
    const struct lum__chunk_source *source = reader->source;
    const struct lum__chunk_unit *unit = &slot->unit;
    const struct lum__chunk_entry *entry = entry_of(reader, unit);
    const char *path = slot->file->path;
    const uint8_t *bytes = bytes_at(reader, slot, 0);
    uint32_t directory_bytes = lum__chunk_directory_bytes(entry);

    LUM_TRY(lum__chunk_check_directory(bytes, directory_bytes, source->store_id, entry, path, &reader->page_count));
    uint32_t end = LUM__CHUNK_HEADER_BYTES + reader->page_count * LUM__CHUNK_DIRECTORY_ENTRY_BYTES;
    memcpy(reader->directory, bytes, end);
    if (source->check_everything) {
        uint32_t first_page = lum__get_u32(bytes + LUM__CHUNK_FIRST_PAGE);
        LUM_TRY(lum__chunk_check_padding(bytes + end, first_page - end, end, entry, path));
    }
    reader->counts.chunks_read++;
    reader->counts.pages_total += reader->page_count;
    reader->page_next = 0;
    reader->page_end = unit->is_whole ? reader->page_count : 0;
    reader->row_next = 0;
    if (!unit->is_whole) {
        reader->has_windows = true;
        reader->window_page = 0;
        reader->window_chunk = *unit;
    }
    return LUM_OK;
}

static lum_status start_rows(struct lum__chunk_reader *reader, const struct lum__chunk_unit *unit)
{
    reader->page_count = (entry_of(reader, unit)->row_count + LUM__PAGE_ROWS_MAX - 1) / LUM__PAGE_ROWS_MAX;
    reader->counts.chunks_read++;
    reader->counts.pages_total += reader->page_count;
    reader->page_next = 0;
    reader->page_end = reader->page_count;
    reader->row_next = 0;
    return LUM_OK;
}

/* The oldest slot's reads are done: makes its pages ready to be handed out. */
static lum_status start_unit(struct lum__chunk_reader *reader, const struct lum__chunk_slot *slot)
{
    const struct lum__chunk_unit *unit = &slot->unit;
    const struct lum__chunk_entry *entry = entry_of(reader, unit);

    if (unit->is_rows) return start_rows(reader, unit);
    if (unit->is_first && !unit->is_whole) reader->awaits_directory = false;
    if (slot->error.status != LUM_OK) {
        lum__error_restore(&slot->error);
        return slot->error.status;
    }
    if (unit->is_run_bad) LUM_TRY(read_again(reader, slot));
    if (unit->is_first) LUM_TRY(start_chunk(reader, slot));
    if (!unit->is_first) reader->page_end = unit->page_end;
    bool has_end = (unit->is_whole || !unit->is_first) && unit->end >= entry->offset + entry->byte_count;
    if (reader->source->check_everything && has_end) {
        uint32_t used_bytes = lum__get_u32(reader->directory + LUM__CHUNK_USED_BYTES);
        LUM_TRY(lum__chunk_check_padding(bytes_at(reader, slot, used_bytes), entry->byte_count - used_bytes, used_bytes,
                                         entry, slot->file->path));
    }
    return LUM_OK;
}

/* The next part of rows in memory. */
static bool take_rows(struct lum__chunk_reader *reader, const struct lum__chunk_unit *unit, struct lum__chunk_page_ref *out)
{
    const struct lum__chunk_entry *entry = entry_of(reader, unit);
    if (reader->page_next == reader->page_end) return false;
    uint64_t left = entry->row_count - reader->row_next;
    *out = (struct lum__chunk_page_ref){.chunk_index = unit->chunk_index,
                                        .position = unit->position + reader->row_next,
                                        .rows = entry->rows + reader->row_next,
                                        .is_last = ++reader->page_next == reader->page_end};
    out->entry.row_count = left < LUM__PAGE_ROWS_MAX ? (uint32_t)left : LUM__PAGE_ROWS_MAX;
    reader->row_next += out->entry.row_count;
    reader->counts.pages_read++;
    reader->counts.rows_read += out->entry.row_count;
    return true;
}

/* The active unit's next page in range. */
static bool take_page(struct lum__chunk_reader *reader, struct lum__chunk_page_ref *out)
{
    const struct lum__chunk_slot *slot = &reader->slots[reader->oldest];
    const struct lum__chunk_unit *unit = &slot->unit;

    if (unit->is_rows) return take_rows(reader, unit, out);
    while (reader->page_next < reader->page_end) {
        uint32_t index = reader->page_next++;
        lum__chunk_page(reader->directory, index, &out->entry);
        uint64_t row = reader->row_next;
        reader->row_next += out->entry.row_count;
        if (!is_page_wanted(reader, &out->entry) || (!unit->is_whole && index < unit->page_first)) continue;
        out->chunk_index = unit->chunk_index;
        out->position = unit->position + row;
        out->bytes = bytes_at(reader, slot, out->entry.offset);
        out->rows = NULL;
        out->is_last = index + 1 == reader->page_count;
        reader->counts.pages_read++;
        reader->counts.rows_read += out->entry.row_count;
        return true;
    }
    return false;
}

lum_status lum__chunk_reader_next(struct lum__chunk_reader *reader, struct lum__chunk_page_ref *out)
{
    reader->is_damage = false;
    for (;;) {
        if (reader->is_active) {
            if (take_page(reader, out)) return LUM_OK;
            leave_chunk(reader);
        }
        LUM_TRY(fill_slots(reader));
        if (reader->used == 0) return LUM_END;

        struct lum__chunk_slot *slot = &reader->slots[reader->oldest];
        LUM_TRY(wait_for_slot(reader, slot));
        if (reader->is_skipping && slot->unit.chunk_index == reader->skipped_index) {
            leave_chunk(reader);
            continue;
        }
        lum_status status = start_unit(reader, slot);
        if (status != LUM_OK) {
            reader->is_damage = true;
            reader->damaged_index = slot->unit.chunk_index;
            leave_chunk(reader);
            return status;
        }
        reader->is_active = true;
    }
}

void lum__chunk_reader_skip(struct lum__chunk_reader *reader, size_t chunk_index)
{
    reader->is_skipping = true;
    reader->skipped_index = chunk_index;
    if (reader->has_windows && reader->window_chunk.chunk_index == chunk_index) reader->has_windows = false;
    if (reader->is_active && reader->slots[reader->oldest].unit.chunk_index == chunk_index) leave_chunk(reader);
}
