/* recovery/salvage_scan.c - looks at every 4 KiB of the data segments for chunks. A chunk's header says where it was
 * written, of which store and transaction it is, and its CRC vouches for that; the directory has no CRC of its own when
 * no entry names the chunk, but its page digests together must be the header's lum digest. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "base/status.h"
#include "recovery/copy_file.h"
#include "recovery/salvage_private.h"
#include "storage/chunk_layout.h"
#include "storage/segment_file.h"

enum { WINDOW_BYTES = 1 << 20, DIRECTORY_ROOM = 20480 };

struct scan {
    struct lum__salvage *salvage;
    uint8_t *bytes; /* a window, and room for the directory of a chunk at its end */
};

/* The entry that names this chunk, made of the chunk itself. False if it is none, or not intact, or not of this place.
 */
static bool look_at(struct scan *scan, const uint8_t *bytes, uint64_t segment, uint64_t offset,
                    struct lum__chunk_entry *out)
{
    char path[64];
    uint32_t page_count = 0;
    if (memcmp(bytes + LUM__CHUNK_MAGIC, LUM__CHUNK_MAGIC_BYTES, 4) != 0) return false;
    if (lum__get_u32(bytes + LUM__CHUNK_CRC) != lum__crc32c(0, bytes, LUM__CHUNK_CRC)) return false;
    lum__segment_path(segment, path);
    memset(out, 0, sizeof *out);
    out->segment = segment;
    out->offset = offset;
    out->byte_count = lum__get_u32(bytes + LUM__CHUNK_BYTE_COUNT);
    out->row_count = lum__get_u32(bytes + LUM__CHUNK_ROW_COUNT);
    out->lum_digest = lum__get_u32(bytes + LUM__CHUNK_LUM_DIGEST);
    out->transaction_id = lum__get_u64(bytes + LUM__CHUNK_TRANSACTION_ID);
    out->ordinal = lum__get_u64(bytes + LUM__CHUNK_ORDINAL);
    lum__range_decode(bytes + LUM__CHUNK_RANGE, &out->range);
    uint32_t pages = lum__get_u32(bytes + LUM__CHUNK_PAGE_COUNT);
    if (pages == 0 || pages > LUM__CHUNK_PAGES_MAX) return false;
    out->digest = lum__crc32c(0, bytes, LUM__CHUNK_HEADER_BYTES + (size_t)pages * LUM__CHUNK_DIRECTORY_ENTRY_BYTES);
    return lum__chunk_check_directory(bytes, DIRECTORY_ROOM, scan->salvage->store_id, out, path, &page_count) == LUM_OK;
}

static lum_status scan_window(struct scan *scan, uint64_t segment, uint64_t window, uint64_t size_bytes)
{
    struct lum__salvage *salvage = scan->salvage;
    for (uint64_t at = 0; at < WINDOW_BYTES && window + at < size_bytes; at += LUM__CHUNK_ALIGNMENT) {
        struct lum__chunk_entry entry;
        void *array = salvage->scanned;
        if (!look_at(scan, scan->bytes + at, segment, window + at, &entry)) continue;
        LUM_TRY(lum__grow(&array, &salvage->scanned_capacity, salvage->scanned_count + 1, sizeof entry));
        salvage->scanned = array;
        salvage->scanned[salvage->scanned_count++] = entry;
    }
    return LUM_OK;
}

static lum_status scan_segment(struct scan *scan, uint64_t segment)
{
    struct lum__file *file = NULL;
    struct lum__file_info info;
    char path[64];
    lum__segment_path(segment, path);
    if (lum__fs_open_file(scan->salvage->fs, path, LUM__OPEN_READ, &file) != LUM_OK)
        return LUM_OK; /* no chunk to find */
    lum_status status = lum__file_info(file, &info);
    for (uint64_t window = LUM__CHUNK_ALIGNMENT; status == LUM_OK && window < info.size_bytes; window += WINDOW_BYTES) {
        uint64_t unreadable = 0;
        status = lum__read_around(file, scan->bytes, WINDOW_BYTES + DIRECTORY_ROOM, window, &unreadable);
        if (status == LUM_OK) status = scan_window(scan, segment, window, info.size_bytes);
    }
    (void)lum__file_close(file);
    return status;
}

static int compare_chunks(const void *a, const void *b)
{
    const struct lum__chunk_entry *left = a, *right = b;
    if (left->transaction_id != right->transaction_id) return left->transaction_id < right->transaction_id ? -1 : 1;
    if (left->ordinal != right->ordinal) return left->ordinal < right->ordinal ? -1 : 1;
    if (left->segment != right->segment) return left->segment < right->segment ? -1 : 1;
    return (left->offset > right->offset) - (left->offset < right->offset);
}

lum_status lum__salvage_scan(struct lum__salvage *salvage)
{
    struct scan scan = {.salvage = salvage};
    uint64_t *numbers = NULL;
    size_t count = 0;
    void *memory = NULL;
    lum_status status = lum__segment_list(salvage->fs, &numbers, &count);
    salvage->is_scanned = true;
    if (status == LUM_ERR_NOT_FOUND) return LUM_OK;
    LUM_TRY(status);
    LUM_TRY_OUT(lum__alloc(WINDOW_BYTES + DIRECTORY_ROOM, &memory));
    scan.bytes = memory;
    for (size_t i = 0; i < count; i++) LUM_TRY_OUT(scan_segment(&scan, numbers[i]));
    if (salvage->scanned_count > 1)
        qsort(salvage->scanned, salvage->scanned_count, sizeof *salvage->scanned, compare_chunks);
out:
    free(memory);
    free(numbers);
    return status;
}
