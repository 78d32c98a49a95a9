/* wal/log_segment.c - see log_segment.h. */
#include "wal/log_segment.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/memory.h"
#include "base/status.h"
#include "storage/header.h"

enum { COPY_BYTES = 1 << 20 };

/* Closes and unlinks a file that nothing refers to yet. The failure that led here stays this thread's last error. */
static void abandon(struct lum__fs *fs, struct lum__file *file, const char *path)
{
    struct lum__error cause = *lum__error_last();
    lum_status ignored = lum__file_close(file);
    ignored = lum__fs_unlink(fs, path);
    (void)ignored; /* what stays behind has no readable header or is in nobody's chain; lum__wal_recycle removes it */
    lum__error_restore(&cause);
}

static lum_status write_header(struct lum__file *file, const struct lum__wal_segment *segment)
{
    alignas(LUM__IO_ALIGNMENT) uint8_t block[LUM__BLOCK_BYTES];
    lum__wal_segment_encode(segment, block);
    return lum__file_write(file, block, sizeof block, 0);
}

/* Zeros are written, not only promised: the first write into an allocated but unwritten extent changes metadata, and
 * so would make every sync of the log wait for the file system's journal (pitfalls 2, 3). */
static lum_status fill_with_zeros(struct lum__file *file, uint64_t byte_count)
{
    void *zeros = NULL;
    size_t mapped = 0;
    lum_status status = LUM_OK;
    LUM_TRY(lum__memory_map(COPY_BYTES, &zeros, &mapped));
    LUM_TRY_OUT(lum__file_allocate(file, 0, byte_count));
    for (uint64_t offset = 0; offset < byte_count; offset += COPY_BYTES) {
        uint64_t left = byte_count - offset;
        LUM_TRY_OUT(lum__file_write(file, zeros, left < COPY_BYTES ? (size_t)left : COPY_BYTES, offset));
    }
out:
    lum__memory_unmap(zeros, mapped);
    return status;
}

lum_status lum__log_segment_create(struct lum__fs *fs, const struct lum__wal_segment *segment, struct lum__file **out)
{
    LUM_ASSERT(segment->segment_bytes % LUM__BLOCK_BYTES == 0);
    LUM_ASSERT(segment->segment_bytes >= LUM__WAL_SEGMENT_BYTES_MIN);
    struct lum__fs_features features;
    struct lum__file *file = NULL;
    lum_status status = LUM_OK;
    char path[64];
    *out = NULL;
    lum__wal_path(segment->number, path);
    lum__fs_features(fs, &features);
    LUM_TRY(lum__fs_open_file(fs, path, LUM__OPEN_WRITE | LUM__OPEN_CREATE | LUM__OPEN_DIRECT, &file));
    if (features.copy_on_write)
        LUM_TRY_OUT(lum__file_truncate(file, segment->segment_bytes)); /* filling would only use space (pitfall 24) */
    else
        LUM_TRY_OUT(fill_with_zeros(file, segment->segment_bytes));
    LUM_TRY_OUT(write_header(file, segment));
    LUM_TRY_OUT(lum__file_sync(file));
    LUM_TRY_OUT(lum__fs_sync_dir(fs, "wal"));
    *out = file;
out:
    if (status != LUM_OK) abandon(fs, file, path);
    return status;
}

lum_status lum__log_segment_recycle(struct lum__fs *fs, uint64_t spare, const struct lum__wal_segment *segment,
                                    struct lum__file **out)
{
    LUM_ASSERT(spare > 0);
    LUM_ASSERT(spare < segment->number);
    struct lum__file *file = NULL;
    lum_status status = LUM_OK;
    char old_path[64];
    char path[64];
    *out = NULL;
    lum__wal_path(spare, old_path);
    lum__wal_path(segment->number, path);
    /* Until the new header is there, the old one carries another number than the name: nobody takes the file for a
     * segment. The name is durable first, so that a power cut cannot put the new header under the old name alone. */
    LUM_TRY(lum__fs_rename(fs, old_path, path));
    LUM_TRY_OUT(lum__fs_sync_dir(fs, "wal"));
    LUM_TRY_OUT(lum__fs_open_file(fs, path, LUM__OPEN_WRITE | LUM__OPEN_DIRECT, &file));
    LUM_TRY_OUT(write_header(file, segment));
    LUM_TRY_OUT(lum__file_sync(file));
    *out = file;
out:
    if (status != LUM_OK) abandon(fs, file, path);
    return status;
}

lum_status lum__log_segment_open(struct lum__fs *fs, const uint8_t *store_id, uint64_t number, unsigned flags,
                                 struct lum__wal_segment *segment, struct lum__file **out)
{
    alignas(LUM__IO_ALIGNMENT) uint8_t block[LUM__BLOCK_BYTES];
    struct lum__file *file = NULL;
    lum_status status = LUM_OK;
    size_t bytes_read = 0;
    char path[64];
    LUM_ASSERT(number > 0);
    *out = NULL;
    memset(segment, 0, sizeof *segment);
    lum__wal_path(number, path);
    LUM_TRY(lum__fs_open_file(fs, path, flags, &file));
    LUM_TRY_OUT(lum__file_read(file, block, sizeof block, 0, &bytes_read));
    if (bytes_read < sizeof block) {
        status = lum__corrupt(path, bytes_read, 1, "the file is too short for its header");
        goto out;
    }
    LUM_TRY_OUT(lum__wal_segment_decode(block, store_id, number, path, segment));
    if ((flags & LUM__OPEN_WRITE) != 0 && segment->features_read_only != 0) {
        status = lum__fail_at(__FILE__, __LINE__, LUM_ERR_UNSUPPORTED, 0, path, 0, 3,
                              "the log segment has features that this version may read, but not write");
        goto out;
    }
    *out = file;
out:
    if (status != LUM_OK) {
        struct lum__error cause = *lum__error_last();
        (void)lum__file_close(file);
        lum__error_restore(&cause);
    }
    return status;
}

/* Writes the blocks in [from, to) with the bytes they have. */
static lum_status rewrite(struct lum__file *file, uint64_t from, uint64_t to)
{
    void *buffer = NULL;
    size_t mapped = 0;
    lum_status status = LUM_OK;
    LUM_TRY(lum__memory_map(COPY_BYTES, &buffer, &mapped));
    while (from < to) {
        size_t bytes_read = 0;
        size_t wanted = to - from < COPY_BYTES ? (size_t)(to - from) : COPY_BYTES;
        LUM_TRY_OUT(lum__file_read(file, buffer, wanted, from, &bytes_read));
        if (bytes_read == 0) break;
        LUM_TRY_OUT(lum__file_write(file, buffer, bytes_read, from));
        from += bytes_read;
    }
out:
    lum__memory_unmap(buffer, mapped);
    return status;
}

/* The records of position's segment may be in the page cache only, or in the disk's own cache. A sync empties the
 * latter; and where the reader could not read past the page cache, pages whose write-back failed may look clean, so
 * they are made dirty again with their own bytes (pitfall 7). If the segment holds no record yet, the predecessor's
 * seal was perhaps never synced, so it has its turn too. If it holds one, the sync of that seal had succeeded. */
lum_status lum__log_segment_harden(struct lum__fs *fs, const uint8_t store_id[16],
                                   const struct lum__log_position *position)
{
    uint64_t number = position->segment;
    uint64_t end = position->offset;
    while (number != 0) {
        struct lum__wal_segment segment;
        struct lum__file *file = NULL;
        lum_status status =
            lum__log_segment_open(fs, store_id, number, LUM__OPEN_WRITE | LUM__OPEN_DIRECT, &segment, &file);
        /* No readable segment: the reader accepted nothing from it, and what lies before is a checkpoint's. */
        if (status == LUM_ERR_NOT_FOUND || status == LUM_ERR_CORRUPT) return LUM_OK;
        LUM_TRY(status);
        LUM_ASSERT(segment.previous_number < number); /* so this ends */
        if (!lum__file_is_direct(file))
            LUM_TRY_OUT(rewrite(file, LUM__BLOCK_BYTES, lum__round_up(end, LUM__BLOCK_BYTES)));
        LUM_TRY_OUT(lum__file_sync(file));
        number = end > LUM__BLOCK_BYTES ? 0 : segment.previous_number;
        end = segment.previous_end_offset;
    out:
        (void)lum__file_close(file);
        if (status != LUM_OK) return status;
    }
    return LUM_OK;
}

struct numbers {
    uint64_t *values;
    size_t count;
    size_t capacity;
};

static lum_status collect_number(void *context, const char *name)
{
    struct numbers *numbers = context;
    uint64_t number = lum__wal_name_number(name);
    if (number == 0) return LUM_OK; /* foreign */
    void *values = numbers->values;
    LUM_TRY(lum__grow(&values, &numbers->capacity, numbers->count + 1, sizeof *numbers->values));
    numbers->values = values;
    numbers->values[numbers->count++] = number;
    return LUM_OK;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

lum_status lum__log_segment_numbers(struct lum__fs *fs, uint64_t **out, size_t *count)
{
    struct numbers numbers = {0};
    *out = NULL;
    *count = 0;
    lum_status status = lum__fs_list(fs, "wal", collect_number, &numbers);
    if (status != LUM_OK && status != LUM_ERR_NOT_FOUND) {
        free(numbers.values);
        return status;
    }
    if (numbers.count > 0) qsort(numbers.values, numbers.count, sizeof *numbers.values, compare_numbers);
    *out = numbers.values;
    *count = numbers.count;
    return LUM_OK;
}
