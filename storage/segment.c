/* storage/segment.c - the allocator of data segments: storage/README.md, "Data segments". */
#include "storage/segment.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/status.h"
#include "storage/extents.h"
#include "storage/header.h"
#include "storage/segment_file.h"

enum {
    GROWTH_BYTES_MIN = 4 << 20, /* a segment is allocated ahead by its own size, but at least and at most so much */
    GROWTH_BYTES_MAX = 64 << 20,
};

struct segment {
    uint64_t number;
    struct lum__file *file;
    uint64_t size_bytes; /* of the file, a multiple of 4,096; every byte behind the header block is used or in `free` */
    uint64_t used_bytes; /* of committed and reserved chunks */
    uint64_t fresh_from; /* from here on everything has its blocks; what is before may be holes that a trim punched */
    struct lum__extents free;
    uint32_t sync_count; /* syncs in progress: trim leaves the segment alone */
};

struct lum__segments {
    struct lum__fs *fs;
    uint8_t store_id[16];
    uint64_t epoch;
    uint64_t segment_bytes_max;
    pthread_mutex_t mutex; /* all that follows, and growing a file */
    uint64_t next_number;
    struct segment *items; /* by number */
    size_t count, capacity;
};

static void segment_fini(struct segment *segment)
{
    lum__extents_fini(&segment->free);
    (void)lum__file_close(segment->file);
    segment->file = NULL;
}

static struct segment *find_segment(struct lum__segments *segments, uint64_t number)
{
    for (size_t index = segments->count; index > 0; index--) { /* the newest are asked for most */
        if (segments->items[index - 1].number == number) return &segments->items[index - 1];
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------------------ opening */

/* An extent that a chunk entry names. */
struct used_extent {
    uint64_t segment, offset, byte_count;
};

static int compare_used(const void *a, const void *b)
{
    const struct used_extent *left = a, *right = b;
    if (left->segment != right->segment) return left->segment > right->segment ? 1 : -1;
    return (left->offset > right->offset) - (left->offset < right->offset);
}

/* Rows that are not folded yet use no extent. */
static lum_status collect_used(const struct lum__catalogue_version *catalogue, struct used_extent **out, size_t *count)
{
    *count = 0;
    LUM_TRY(lum__alloc_zeroed(catalogue->chunk_count, sizeof **out, (void **)out));
    for (size_t index = 0; index < catalogue->chunk_count; index++) {
        const struct lum__chunk_entry *chunk = &catalogue->chunks[index];
        if (chunk->rows != NULL) continue;
        (*out)[(*count)++] = (struct used_extent){chunk->segment, chunk->offset, chunk->byte_count};
    }
    qsort(*out, *count, sizeof **out, compare_used);
    return LUM_OK;
}

/* Everything between the used extents (sorted, of this segment) is free. */
static lum_status map_free_extents(struct segment *segment, const struct used_extent *used, size_t used_count)
{
    char path[LUM__PATH_BYTES_MAX];
    uint64_t end = LUM__BLOCK_BYTES;

    lum__segment_path(segment->number, path);
    for (size_t index = 0; index < used_count; index++) {
        if (used[index].offset < end) {
            return lum__corrupt(path, used[index].offset, 12, "two committed chunks overlap");
        }
        if (used[index].offset > segment->size_bytes ||
            used[index].byte_count > segment->size_bytes - used[index].offset) {
            return lum__corrupt(path, used[index].offset, 1,
                                "a committed chunk of %" PRIu64 " bytes is beyond the file's end (%" PRIu64 ")",
                                used[index].byte_count, segment->size_bytes);
        }
        if (used[index].offset > end) LUM_TRY(lum__extents_add(&segment->free, end, used[index].offset - end));
        end = used[index].offset + used[index].byte_count;
        segment->used_bytes += used[index].byte_count;
    }
    if (segment->size_bytes > end) LUM_TRY(lum__extents_add(&segment->free, end, segment->size_bytes - end));
    return LUM_OK;
}

/* A segment that no chunk entry names and whose header is bad. One that is empty or begins with zeros was never used: a
 * crash interrupted its creation (protocol steps 2-4), so it is removed. Any other is left alone, for verify to report;
 * nothing is allocated from it. */
static lum_status pass_over_damaged(struct lum__segments *segments, const char *path, bool is_blank)
{
    if (!is_blank) return LUM_OK;
    LUM_TRY(lum__fs_unlink(segments->fs, path));
    return lum__fs_sync_dir(segments->fs, "data");
}

static lum_status open_segment(struct lum__segments *segments, uint64_t number, const struct used_extent *used,
                               size_t used_count)
{
    lum_status status;
    char path[LUM__PATH_BYTES_MAX];
    struct segment segment = {.number = number};
    struct lum__file_info info;
    bool is_blank;

    lum__segment_path(number, path);
    LUM_TRY_OUT(
        lum__grow((void **)&segments->items, &segments->capacity, segments->count + 1, sizeof *segments->items));
    status = lum__segment_file_open(segments->fs, number, segments->store_id, LUM__OPEN_WRITE | LUM__OPEN_DIRECT,
                                    &segment.file, &is_blank);
    if (status == LUM_ERR_CORRUPT && used_count == 0) return pass_over_damaged(segments, path, is_blank);
    if (status != LUM_OK) goto out;
    LUM_TRY_OUT(lum__file_info(segment.file, &info));
    segment.size_bytes = segment.fresh_from = info.size_bytes / LUM__BLOCK_BYTES * LUM__BLOCK_BYTES;
    LUM_TRY_OUT(map_free_extents(&segment, used, used_count));
    segments->items[segments->count++] = segment;
    return LUM_OK;
out:
    segment_fini(&segment);
    return status;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Opens the listed segments; each one that a chunk names has to be among them. */
static lum_status open_all(struct lum__segments *segments, const uint64_t *numbers, size_t number_count,
                           const struct used_extent *used, size_t used_count)
{
    size_t begin = 0;

    for (size_t index = 0; index < number_count; index++) {
        size_t end = begin;
        if (begin < used_count && used[begin].segment < numbers[index]) break; /* a file is missing */
        while (end < used_count && used[end].segment == numbers[index]) end++;
        LUM_TRY(open_segment(segments, numbers[index], used + begin, end - begin));
        begin = end;
        if (numbers[index] >= segments->next_number) segments->next_number = numbers[index] + 1;
    }
    if (begin < used_count) {
        char path[LUM__PATH_BYTES_MAX];
        lum__segment_path(used[begin].segment, path);
        return lum__corrupt(path, LUM_NO_OFFSET, 1, "%s is missing, and committed chunks are in it", path);
    }
    return LUM_OK;
}

lum_status lum__segments_open(struct lum__fs *fs, const uint8_t store_id[16], uint64_t epoch,
                              uint64_t segment_bytes_max, const struct lum__catalogue_version *catalogue,
                              uint64_t next_segment, struct lum__segments **out)
{
    lum_status status;
    struct lum__segments *segments = NULL;
    struct used_extent *used = NULL;
    uint64_t *numbers = NULL;
    size_t number_count = 0, used_count = 0;

    *out = NULL;
    LUM_TRY_OUT(lum__alloc_zeroed(1, sizeof *segments, (void **)&segments));
    segments->fs = fs;
    memcpy(segments->store_id, store_id, 16);
    segments->epoch = epoch;
    segments->segment_bytes_max = segment_bytes_max;
    segments->next_number = next_segment > 0 ? next_segment : 1;
    LUM_TRY_OUT(collect_used(catalogue, &used, &used_count));
    LUM_TRY_OUT(lum__segment_list(fs, &numbers, &number_count));
    if (number_count > 0) qsort(numbers, number_count, sizeof *numbers, compare_numbers);
    LUM_TRY_OUT(open_all(segments, numbers, number_count, used, used_count));
    if (pthread_mutex_init(&segments->mutex, NULL) != 0) {
        status = lum__fail(LUM_ERR_NO_MEMORY, "a mutex cannot be made");
        goto out;
    }
    free(numbers);
    free(used);
    *out = segments;
    return LUM_OK;
out:
    if (segments != NULL) {
        for (size_t index = 0; index < segments->count; index++) segment_fini(&segments->items[index]);
        free(segments->items);
    }
    free(segments);
    free(numbers);
    free(used);
    return status;
}

/* ------------------------------------------------------------------------------------------------------ growing */

/* Allocates `wanted` bytes at the file's end, or just `needed` where there is no room for more. A failure leaves the
 * file as it was. */
static lum_status allocate_tail(struct lum__file *file, uint64_t size_bytes, uint64_t needed, uint64_t wanted,
                                uint64_t *added)
{
    lum_status status = lum__file_allocate(file, size_bytes, wanted);

    *added = wanted;
    if (status == LUM_ERR_NO_SPACE && wanted > needed) {
        *added = needed;
        status = lum__file_allocate(file, size_bytes, needed);
    }
    if (status != LUM_OK) { /* what a failed fallocate may have got is given back, and its error is the one to tell */
        struct lum__error error = *lum__error_last();
        (void)!lum__file_truncate(file, size_bytes);
        lum__error_restore(&error);
        *added = 0;
    }
    return status;
}

/* How much to allocate so that `needed` bytes fit and few calls are made. */
static uint64_t growth_bytes(const struct lum__segments *segments, uint64_t size_bytes, uint64_t needed)
{
    uint64_t wanted = size_bytes;

    if (wanted < GROWTH_BYTES_MIN) wanted = GROWTH_BYTES_MIN;
    if (wanted > GROWTH_BYTES_MAX) wanted = GROWTH_BYTES_MAX;
    uint64_t left = segments->segment_bytes_max > size_bytes ? segments->segment_bytes_max - size_bytes : 0;
    if (wanted > left) wanted = left / LUM__BLOCK_BYTES * LUM__BLOCK_BYTES;
    return wanted > needed ? wanted : needed;
}

/* Makes the newest segment's tail large enough. False in *grew: it is full. */
static lum_status grow_newest(struct lum__segments *segments, uint32_t byte_count, bool *grew)
{
    *grew = false;
    if (segments->count == 0) return LUM_OK;
    struct segment *newest = &segments->items[segments->count - 1];
    uint64_t needed = byte_count - (newest->size_bytes - lum__extents_tail(&newest->free, newest->size_bytes));
    if (newest->size_bytes > segments->segment_bytes_max || needed > segments->segment_bytes_max - newest->size_bytes)
        return LUM_OK;

    uint64_t added;
    LUM_TRY(allocate_tail(newest->file, newest->size_bytes, needed, growth_bytes(segments, newest->size_bytes, needed),
                          &added));
    LUM_TRY(lum__extents_add(&newest->free, newest->size_bytes, added));
    newest->size_bytes += added;
    *grew = true;
    return LUM_OK;
}

/* A new segment with room for byte_count: protocol steps 1-5. Nothing of it is used before its header and its name are
 * durable. */
static lum_status create_segment(struct lum__segments *segments, uint32_t byte_count)
{
    lum_status status;
    char path[LUM__PATH_BYTES_MAX];
    struct segment segment = {.number = segments->next_number};
    uint64_t needed = LUM__BLOCK_BYTES + (uint64_t)byte_count;
    bool is_created = false;

    LUM_TRY(lum__grow((void **)&segments->items, &segments->capacity, segments->count + 1, sizeof *segments->items));
    segments->next_number++; /* step 1: never used again, whatever happens */
    lum__segment_path(segment.number, path);
    LUM_TRY_OUT(
        lum__fs_open_file(segments->fs, path, LUM__OPEN_WRITE | LUM__OPEN_CREATE | LUM__OPEN_DIRECT, &segment.file));
    is_created = true;
    LUM_TRY_OUT(allocate_tail(segment.file, 0, needed, growth_bytes(segments, 0, needed), &segment.size_bytes));
    LUM_TRY_OUT(lum__extents_add(&segment.free, LUM__BLOCK_BYTES, segment.size_bytes - LUM__BLOCK_BYTES));
    LUM_TRY_OUT(lum__segment_file_put_header(segment.file, segment.number, segments->store_id, segments->epoch));
    LUM_TRY_OUT(lum__file_sync(segment.file));
    LUM_TRY_OUT(lum__fs_sync_dir(segments->fs, "data"));
    segments->items[segments->count++] = segment;
    return LUM_OK;
out:;
    struct lum__error error = *lum__error_last();
    segment_fini(&segment);
    if (is_created)
        (void)!lum__fs_unlink(segments->fs, path); /* if that fails too, the next opening removes or passes over it */
    lum__error_restore(&error);
    return status;
}

/* ----------------------------------------------------------------------------------------------- reserve, release */

/* The segment that has byte_count free bytes in one place, which are taken; NULL if none has. */
static struct segment *take_extent(struct lum__segments *segments, uint32_t byte_count, uint64_t *offset)
{
    for (size_t index = 0; index < segments->count; index++) {
        struct segment *segment = &segments->items[index];
        if (!lum__extents_take(&segment->free, byte_count, offset)) continue;
        segment->used_bytes += byte_count;
        return segment;
    }
    return NULL;
}

static void give_back(struct segment *segment, uint64_t offset, uint32_t byte_count)
{
    LUM_ASSERT(segment->used_bytes >= byte_count);
    /* Without memory for the list the extent is lost until the next opening builds the map anew; that is all. */
    if (lum__extents_add(&segment->free, offset, byte_count) == LUM_OK) segment->used_bytes -= byte_count;
}

static lum_status reserve_locked(struct lum__segments *segments, uint32_t byte_count, struct segment **out,
                                 uint64_t *offset)
{
    bool grew;
    struct segment *segment = take_extent(segments, byte_count, offset);

    if (segment == NULL) {
        LUM_TRY(grow_newest(segments, byte_count, &grew));
        if (!grew) LUM_TRY(create_segment(segments, byte_count));
        segment = take_extent(segments, byte_count, offset);
        LUM_ASSERT(segment != NULL);
    }
    if (*offset < segment->fresh_from) { /* a full disk has to show here, not when the chunk is written (pitfall 13) */
        lum_status status = lum__file_allocate(segment->file, *offset, byte_count);
        if (status != LUM_OK) {
            struct lum__error error = *lum__error_last();
            give_back(segment, *offset, byte_count);
            lum__error_restore(&error);
            return status;
        }
    }
    *out = segment;
    return LUM_OK;
}

lum_status lum__segments_reserve(struct lum__segments *segments, uint32_t byte_count, uint64_t *segment,
                                 uint64_t *offset, struct lum__file **file)
{
    LUM_ASSERT(byte_count > 0 && byte_count % LUM__CHUNK_ALIGNMENT == 0);
    struct segment *found = NULL;

    *segment = *offset = 0;
    *file = NULL;
    (void)pthread_mutex_lock(&segments->mutex);
    lum_status status = reserve_locked(segments, byte_count, &found, offset);
    if (status == LUM_OK) {
        *segment = found->number;
        *file = found->file;
    } else {
        *offset = 0;
    }
    (void)pthread_mutex_unlock(&segments->mutex);
    return status;
}

void lum__segments_release(struct lum__segments *segments, uint64_t segment, uint64_t offset, uint32_t byte_count)
{
    (void)pthread_mutex_lock(&segments->mutex);
    struct segment *owner = find_segment(segments, segment);
    LUM_ASSERT(owner != NULL);
    LUM_ASSERT(offset >= LUM__BLOCK_BYTES && offset + byte_count <= owner->size_bytes);
    give_back(owner, offset, byte_count);
    (void)pthread_mutex_unlock(&segments->mutex);
}

lum_status lum__segments_sync(struct lum__segments *segments, uint64_t segment)
{
    (void)pthread_mutex_lock(&segments->mutex);
    struct segment *found = find_segment(segments, segment);
    struct lum__file *file = found != NULL ? found->file : NULL;
    if (found != NULL) found->sync_count++;
    (void)pthread_mutex_unlock(&segments->mutex);
    if (file == NULL) return LUM_OK; /* trimmed away: everything in it had been given back */

    lum_status status = lum__file_sync(file);

    (void)pthread_mutex_lock(&segments->mutex);
    find_segment(segments, segment)->sync_count--; /* found again: the array may have moved */
    (void)pthread_mutex_unlock(&segments->mutex);
    return status;
}

uint64_t lum__segments_next_number(struct lum__segments *segments)
{
    (void)pthread_mutex_lock(&segments->mutex);
    uint64_t number = segments->next_number;
    (void)pthread_mutex_unlock(&segments->mutex);
    return number;
}

/* ------------------------------------------------------------------------------------------------ trim and close */

static lum_status trim_segment(struct segment *segment)
{
    uint64_t end = lum__extents_tail(&segment->free, segment->size_bytes);
    bool is_changed = false;

    if (end < segment->size_bytes) {
        LUM_TRY(lum__file_truncate(segment->file, end));
        lum__extents_drop_tail(&segment->free, segment->size_bytes);
        segment->size_bytes = end;
        is_changed = true;
    }
    segment->fresh_from = segment->size_bytes;
    for (size_t index = 0; index < segment->free.count; index++) {
        LUM_TRY(
            lum__file_punch(segment->file, segment->free.items[index].offset, segment->free.items[index].byte_count));
        is_changed = true;
    }
    return is_changed ? lum__file_sync(segment->file) : LUM_OK;
}

static lum_status remove_segment(struct lum__segments *segments, size_t index)
{
    char path[LUM__PATH_BYTES_MAX];

    lum__segment_path(segments->items[index].number, path);
    LUM_TRY(lum__fs_unlink(segments->fs, path));
    segment_fini(&segments->items[index]);
    memmove(&segments->items[index], &segments->items[index + 1],
            (segments->count - index - 1) * sizeof *segments->items);
    segments->count--;
    return LUM_OK;
}

static lum_status trim_locked(struct lum__segments *segments)
{
    bool is_removed = false;

    for (size_t index = segments->count; index > 0; index--) {
        struct segment *segment = &segments->items[index - 1];
        if (segment->sync_count > 0) continue;
        if (segment->used_bytes > 0) {
            LUM_TRY(trim_segment(segment));
        } else {
            LUM_TRY(remove_segment(segments, index - 1));
            is_removed = true;
        }
    }
    return is_removed ? lum__fs_sync_dir(segments->fs, "data") : LUM_OK;
}

lum_status lum__segments_trim(struct lum__segments *segments)
{
    (void)pthread_mutex_lock(&segments->mutex);
    lum_status status = trim_locked(segments);
    (void)pthread_mutex_unlock(&segments->mutex);
    return status;
}

lum_status lum__segments_check_current(struct lum__segments *segments)
{
    lum_status status = LUM_OK;

    (void)pthread_mutex_lock(&segments->mutex);
    for (size_t index = 0; index < segments->count && status == LUM_OK; index++) {
        status = lum__file_check_current(segments->items[index].file);
    }
    (void)pthread_mutex_unlock(&segments->mutex);
    return status;
}

lum_status lum__segments_close(struct lum__segments *segments)
{
    lum_status status = LUM_OK;

    if (segments == NULL) return LUM_OK;
    for (size_t index = 0; index < segments->count; index++) {
        struct segment *segment = &segments->items[index];
        LUM_ASSERT(segment->sync_count == 0);
        lum_status close_status = lum__file_close(segment->file);
        if (status == LUM_OK) status = close_status;
        segment->file = NULL;
        segment_fini(segment);
    }
    (void)pthread_mutex_destroy(&segments->mutex);
    free(segments->items);
    free(segments);
    return status;
}
