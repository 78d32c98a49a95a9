/* What readers hold back from being recycled: told by what lies there (checkpoints, log), so that any reader can tell
 * it of a store that another process writes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/store.h"
#include "base/bytes.h"
#include "base/memory.h"
#include "storage/checkpoint_layout.h"
#include "storage/header.h"
#include "wal/log_segment.h"

enum { CHECKPOINTS_KEPT = 2, CHECKPOINTS_LISTED_MAX = 1024 };

/* Allocated bytes of a file, 0 if it is gone: the writer may remove it at any time. */
static uint64_t allocated_bytes(struct lum__fs *fs, const char *path)
{
    struct lum__file *file = NULL;
    struct lum__file_info info = {0};
    if (lum__fs_open_file(fs, path, LUM__OPEN_READ, &file) != LUM_OK) return 0;
    lum_status status = lum__file_info(file, &info);
    (void)lum__file_close(file);
    return status == LUM_OK ? info.allocated_bytes : 0;
}

/* Header of a checkpoint; false if it cannot be read. */
static bool read_header(struct lum__fs *fs, const uint8_t store_id[16], uint64_t number, uint64_t *timestamp,
                        uint64_t *replay_segment)
{
    static _Alignas(LUM__IO_ALIGNMENT) _Thread_local uint8_t block[LUM__BLOCK_BYTES];
    char path[LUM__PATH_BYTES_MAX];
    struct lum__file *file = NULL;
    struct lum__file_header header;
    size_t bytes = 0;
    (void)snprintf(path, sizeof path, "checkpoint-%" PRIu64, number);
    if (lum__fs_open_file(fs, path, LUM__OPEN_READ, &file) != LUM_OK) return false;
    lum_status status = lum__file_read(file, block, sizeof block, 0, &bytes);
    (void)lum__file_close(file);
    if (status != LUM_OK || bytes < sizeof block) return false;
    if (lum__header_decode(block, LUM__FILE_CHECKPOINT, store_id, number, path, &header) != LUM_OK) return false;
    *timestamp = header.timestamp;
    *replay_segment = lum__get_u64(block + LUM__CHECKPOINT_REPLAY_SEGMENT);
    return true;
}

static lum_status add_log(struct lum__fs *fs, uint64_t before_segment, lum_info_data *out)
{
    uint64_t *numbers = NULL;
    size_t count = 0;
    LUM_TRY(lum__log_segment_numbers(fs, &numbers, &count));
    for (size_t i = 0; i < count && numbers[i] < before_segment; i++) {
        char path[64];
        lum__wal_path(numbers[i], path);
        out->held_bytes += allocated_bytes(fs, path);
    }
    free(numbers);
    return LUM_OK;
}

lum_status lum__store_held(struct lum__fs *fs, const uint8_t store_id[16], lum_info_data *out)
{
    uint64_t numbers[CHECKPOINTS_LISTED_MAX], timestamp, segment;
    size_t count = 0;
    LUM_TRY(lum__checkpoint_list(fs, numbers, CHECKPOINTS_LISTED_MAX, &count));
    if (count <= CHECKPOINTS_KEPT) return LUM_OK; /* the spare log segment alone is no reader's doing */
    for (size_t i = CHECKPOINTS_KEPT; i < count; i++) {
        char path[LUM__PATH_BYTES_MAX];
        (void)snprintf(path, sizeof path, "checkpoint-%" PRIu64, numbers[i]);
        out->held_bytes += allocated_bytes(fs, path);
    }
    out->held_since_checkpoint = numbers[count - 1];
    if (read_header(fs, store_id, numbers[count - 1], &timestamp, &segment)) out->held_since_timestamp = timestamp;
    if (!read_header(fs, store_id, numbers[CHECKPOINTS_KEPT - 1], &timestamp, &segment)) return LUM_OK;
    return add_log(fs, segment, out);
}
