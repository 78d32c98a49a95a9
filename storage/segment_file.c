/* storage/segment_file.c - data segment files, and the cache of those open for reading. */
#include "storage/segment_file.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/status.h"
#include "storage/header.h"
#include "storage/segment.h"

/* Conditions 1-6 of format.md 1, and the reserved bytes: a data segment's header has no fields of its own. */
static lum_status check_header(const uint8_t *block, size_t byte_count, uint64_t number, const uint8_t store_id[16],
                               const char *path)
{
    struct lum__file_header header;

    if (byte_count < LUM__BLOCK_BYTES) return lum__corrupt(path, byte_count, 1, "%s is shorter than a header", path);
    LUM_TRY(lum__header_decode(block, LUM__FILE_DATA, store_id, number, path, &header));
    if (!lum__is_zero(block + LUM__HEADER_KIND_OFFSET, LUM__HEADER_BYTES - 4 - LUM__HEADER_KIND_OFFSET)) {
        return lum__unsupported(path, LUM__HEADER_KIND_OFFSET, 6, "a reserved byte in the header of %s is not zero",
                                path);
    }
    return LUM_OK;
}

lum_status lum__segment_file_open(struct lum__fs *fs, uint64_t number, const uint8_t store_id[16], unsigned open_flags,
                                  struct lum__file **out, bool *is_blank)
{
    lum_status status;
    char path[LUM__PATH_BYTES_MAX];
    struct lum__file *file = NULL;
    uint8_t *block = NULL;
    size_t byte_count;

    *out = NULL;
    if (is_blank != NULL) *is_blank = false;
    lum__segment_path(number, path);
    LUM_TRY_OUT(lum__fs_open_file(fs, path, open_flags, &file));
    block = aligned_alloc(LUM__IO_ALIGNMENT, LUM__BLOCK_BYTES);
    if (block == NULL) {
        status = lum__fail(LUM_ERR_NO_MEMORY, "no memory for a header block");
        goto out;
    }
    LUM_TRY_OUT(lum__file_read(file, block, LUM__BLOCK_BYTES, 0, &byte_count));
    LUM_TRY_OUT(check_header(block, byte_count, number, store_id, path));
    *out = file;
    file = NULL;
out:
    if (status == LUM_ERR_CORRUPT && is_blank != NULL)
        *is_blank = byte_count < LUM__BLOCK_BYTES || lum__is_zero(block, LUM__BLOCK_BYTES);
    free(block);
    (void)lum__file_close(file);
    return status;
}

lum_status lum__segment_file_put_header(struct lum__file *file, uint64_t number, const uint8_t store_id[16],
                                        uint64_t epoch)
{
    struct lum__file_header header = {
        .kind = LUM__FILE_DATA, .number = number, .epoch = epoch, .timestamp = lum__clock_wall_ns()};
    uint8_t *block = aligned_alloc(LUM__IO_ALIGNMENT, LUM__BLOCK_BYTES);

    if (block == NULL) return lum__fail(LUM_ERR_NO_MEMORY, "no memory for a header block");
    memcpy(header.store_id, store_id, 16);
    lum__header_encode(&header, block);
    lum__header_seal(block);
    lum_status status = lum__file_write(file, block, LUM__BLOCK_BYTES, 0);
    free(block);
    return status;
}

/* --------------------------------------------------------------------------------------------------------- list */

struct listing {
    uint64_t *numbers;
    size_t count, capacity;
};

static lum_status list_name(void *context, const char *name)
{
    struct listing *listing = context;
    uint64_t number;

    if (!lum__name_number(name, "", ".seg", &number)) return LUM_OK;
    LUM_TRY(lum__grow((void **)&listing->numbers, &listing->capacity, listing->count + 1, sizeof number));
    listing->numbers[listing->count++] = number;
    return LUM_OK;
}

lum_status lum__segment_list(struct lum__fs *fs, uint64_t **numbers, size_t *count)
{
    struct listing listing = {0};
    lum_status status = lum__fs_list(fs, "data", list_name, &listing);

    if (status != LUM_OK) {
        free(listing.numbers);
        listing = (struct listing){0};
    }
    *numbers = listing.numbers;
    *count = listing.count;
    return status;
}

/* ----------------------------------------------------------------------------------------- the cache for readers */

struct open_file {
    uint64_t number;
    struct lum__file *file;
};

struct lum__segment_files {
    struct lum__fs *fs;
    uint8_t store_id[16];
    unsigned open_flags;
    pthread_mutex_t mutex;   /* what follows */
    struct open_file *items; /* by number */
    size_t count, capacity;
};

lum_status lum__segment_files_open(struct lum__fs *fs, const uint8_t store_id[16], bool direct,
                                   struct lum__segment_files **out)
{
    struct lum__segment_files *files;

    *out = NULL;
    LUM_TRY(lum__alloc_zeroed(1, sizeof *files, (void **)&files));
    files->fs = fs;
    memcpy(files->store_id, store_id, 16);
    files->open_flags = LUM__OPEN_READ | (direct ? LUM__OPEN_DIRECT : 0);
    if (pthread_mutex_init(&files->mutex, NULL) != 0) {
        free(files);
        return lum__fail(LUM_ERR_NO_MEMORY, "a mutex cannot be made");
    }
    *out = files;
    return LUM_OK;
}

/* Index of the segment, or where it belongs. */
static size_t find_index(const struct lum__segment_files *files, uint64_t number)
{
    size_t low = 0, high = files->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (files->items[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static lum_status get_locked(struct lum__segment_files *files, uint64_t segment, struct lum__file **out)
{
    size_t index = find_index(files, segment);
    struct lum__file *file;

    if (index < files->count && files->items[index].number == segment) {
        *out = files->items[index].file;
        return LUM_OK;
    }
    LUM_TRY(lum__grow((void **)&files->items, &files->capacity, files->count + 1, sizeof *files->items));
    lum_status status = lum__segment_file_open(files->fs, segment, files->store_id, files->open_flags, &file, NULL);
    if (status == LUM_ERR_NOT_FOUND) { /* only segments with chunks are asked for */
        char path[LUM__PATH_BYTES_MAX];
        lum__segment_path(segment, path);
        return lum__corrupt(path, LUM_NO_OFFSET, 1, "%s is missing, and committed chunks are in it", path);
    }
    LUM_TRY(status);
    memmove(&files->items[index + 1], &files->items[index], (files->count - index) * sizeof *files->items);
    files->items[index] = (struct open_file){segment, file};
    files->count++;
    *out = file;
    return LUM_OK;
}

lum_status lum__segment_files_get(struct lum__segment_files *files, uint64_t segment, struct lum__file **out)
{
    *out = NULL;
    (void)pthread_mutex_lock(&files->mutex);
    lum_status status = get_locked(files, segment, out);
    (void)pthread_mutex_unlock(&files->mutex);
    return status;
}

void lum__segment_files_close(struct lum__segment_files *files)
{
    if (files == NULL) return;
    for (size_t index = 0; index < files->count; index++) (void)lum__file_close(files->items[index].file);
    (void)pthread_mutex_destroy(&files->mutex);
    free(files->items);
    free(files);
}
