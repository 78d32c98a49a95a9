/* storage/spill.c - see spill.h. A full block: the one before it in its chain (u64), words used (u32), CRC-32C of all
 * but itself (u32), values. Read by the process that wrote it, so in the machine's byte order. */
#include "storage/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "base/status.h"

/* ----------------------------------------------------------------------------------------------- temporary files */

#define REMEDY "name a directory on a disk with room (TMPDIR), or allow more memory"

static lum_status fail_temporary(int os_errno, const struct lum__temporary *file, uint64_t offset, const char *what)
{
    lum_status status = lum__fail_errno(os_errno, file->directory, offset, "the temporary file in %s cannot be %s",
                                        file->directory, what);
    lum__error_set_remedy(REMEDY);
    return status;
}

static lum_status check_room(const struct lum__temporary *file, uint64_t bytes_expected)
{
    struct statvfs info;
    if (bytes_expected == 0 || fstatvfs(file->fd, &info) != 0) return LUM_OK; /* a write will tell */
    uint64_t free_bytes = (uint64_t)info.f_bavail * info.f_frsize;
    if (free_bytes >= bytes_expected) return LUM_OK;
    lum_status status =
        lum__fail_at(__FILE__, __LINE__, LUM_ERR_NO_SPACE, 0, file->directory, LUM_NO_OFFSET, 0,
                     "%s has room for %llu MiB of temporary files; %llu MiB may be needed", file->directory,
                     (unsigned long long)(free_bytes >> 20), (unsigned long long)(bytes_expected >> 20) + 1);
    lum__error_set_remedy(REMEDY);
    return status;
}

lum_status lum__temporary_open(const char *directory, uint64_t bytes_expected, struct lum__temporary *out)
{
    if (directory == NULL) directory = getenv("TMPDIR");
    if (directory == NULL || *directory == 0) directory = "/var/tmp";
    (void)snprintf(out->directory, sizeof out->directory, "%s", directory);
    out->fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (out->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
        char name[4096];
        (void)snprintf(name, sizeof name, "%s/lum-XXXXXX", directory);
        out->fd = mkostemp(name, O_CLOEXEC);
        if (out->fd >= 0) (void)unlink(name);
    }
    if (out->fd >= 0 && out->fd < 3) { /* where a stray message would end up in it (pitfall 20) */
        int low = out->fd;
        out->fd = fcntl(low, F_DUPFD_CLOEXEC, 3);
        (void)close(low);
    }
    if (out->fd < 0) return fail_temporary(errno, out, LUM_NO_OFFSET, "made");
    lum_status status = check_room(out, bytes_expected);
    if (status != LUM_OK) lum__temporary_close(out);
    return status;
}

lum_status lum__temporary_write(const struct lum__temporary *file, const void *bytes, size_t byte_count,
                                uint64_t offset)
{
    const uint8_t *at = bytes;
    while (byte_count > 0) {
        ssize_t written = pwrite(file->fd, at, byte_count, (off_t)offset);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return fail_temporary(written < 0 ? errno : EIO, file, offset, "written");
        at += written;
        offset += (uint64_t)written;
        byte_count -= (size_t)written;
    }
    return LUM_OK;
}

lum_status lum__temporary_read(const struct lum__temporary *file, void *bytes, size_t byte_count, uint64_t offset)
{
    uint8_t *at = bytes;
    while (byte_count > 0) {
        ssize_t count = pread(file->fd, at, byte_count, (off_t)offset);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return fail_temporary(count < 0 ? errno : EIO, file, offset, "read");
        at += count;
        offset += (uint64_t)count;
        byte_count -= (size_t)count;
    }
    return LUM_OK;
}

lum_status lum__temporary_bad(const struct lum__temporary *file, uint64_t offset)
{
    return lum__fail_at(__FILE__, __LINE__, LUM_ERR_IO, 0, file->directory, offset, 0,
                        "the temporary file in %s gave back other bytes than were written", file->directory);
}

void lum__temporary_close(struct lum__temporary *file)
{
    if (file->fd > 0) (void)close(file->fd);
    file->fd = -1;
}

/* --------------------------------------------------------------------------------------------------------- spill */

static void put_head(uint64_t *block, uint64_t previous, uint32_t used, size_t block_bytes)
{
    block[0] = previous;
    block[1] = used;
    uint32_t crc = lum__crc32c(0, block, block_bytes);
    block[1] |= (uint64_t)crc << 32;
}

static bool is_head_right(uint64_t *block, size_t block_bytes)
{
    uint32_t crc = (uint32_t)(block[1] >> 32);
    block[1] &= UINT32_MAX;
    return lum__crc32c(0, block, block_bytes) == crc && block[1] <= block_bytes / sizeof *block;
}

static lum_status init_lane(struct lum__spill *spill, struct lum__spill_lane *lane)
{
    size_t count = spill->options.partition_count;
    LUM_TRY(lum__memory_map(count * spill->options.block_bytes, (void **)&lane->blocks, &lane->mapped_bytes));
    LUM_TRY(lum__alloc_zeroed(count, sizeof *lane->used, (void **)&lane->used));
    LUM_TRY(lum__alloc_zeroed(count, sizeof *lane->heads, (void **)&lane->heads));
    for (size_t partition = 0; partition < count; partition++) lane->used[partition] = LUM__SPILL_BLOCK_HEAD_WORDS;
    return LUM_OK;
}

lum_status lum__spill_init(struct lum__spill *spill, const struct lum__spill_options *options)
{
    LUM_ASSERT(options->block_bytes % LUM__SPILL_BLOCK_BYTES_MIN == 0);
    memset(spill, 0, sizeof *spill);
    spill->options = *options;
    spill->block_words = options->block_bytes / (uint32_t)sizeof(uint64_t);
    spill->file.fd = -1;
    atomic_init(&spill->file_end, options->block_bytes); /* 0 means: no block */
    if (!options->in_memory) {
        uint64_t blocks = (uint64_t)options->partition_count * options->lane_count;
        uint64_t bytes = options->value_count_max * options->value_words * sizeof(uint64_t);
        LUM_TRY(lum__temporary_open(options->directory, bytes + bytes / 64 + blocks, &spill->file));
    }
    LUM_TRY(lum__alloc_zeroed(options->lane_count, sizeof *spill->lanes, (void **)&spill->lanes));
    for (uint32_t lane = 0; lane < options->lane_count; lane++) LUM_TRY(init_lane(spill, &spill->lanes[lane]));
    return LUM_OK;
}

static void free_chain(uint64_t head)
{
    while (head != 0) {
        uint64_t *block = (uint64_t *)(uintptr_t)head;
        head = block[0];
        free(block);
    }
}

void lum__spill_fini(struct lum__spill *spill)
{
    for (uint32_t index = 0; spill->lanes != NULL && index < spill->options.lane_count; index++) {
        struct lum__spill_lane *lane = &spill->lanes[index];
        for (uint32_t partition = 0;
             spill->options.in_memory && lane->heads != NULL && partition < spill->options.partition_count; partition++)
            free_chain(lane->heads[partition]);
        if (lane->blocks != NULL) lum__memory_unmap(lane->blocks, lane->mapped_bytes);
        free(lane->used);
        free(lane->heads);
    }
    free(spill->lanes);
    lum__temporary_close(&spill->file);
    memset(spill, 0, sizeof *spill);
    spill->file.fd = -1;
}

/* Puts a full (or any) open block aside. */
lum_status lum__spill_flush(struct lum__spill *spill, uint32_t lane, uint32_t partition)
{
    struct lum__spill_lane *own = &spill->lanes[lane];
    uint64_t *block = own->blocks + (size_t)partition * spill->block_words;
    size_t block_bytes = spill->options.block_bytes;

    put_head(block, own->heads[partition], own->used[partition], block_bytes);
    if (spill->options.in_memory) {
        void *copy;
        LUM_TRY(lum__alloc(block_bytes, &copy));
        memcpy(copy, block, block_bytes);
        own->heads[partition] = (uint64_t)(uintptr_t)copy;
    } else {
        uint64_t offset = atomic_fetch_add_explicit(&spill->file_end, block_bytes, memory_order_relaxed);
        LUM_TRY(lum__temporary_write(&spill->file, block, block_bytes, offset));
        own->heads[partition] = offset;
    }
    own->used[partition] = LUM__SPILL_BLOCK_HEAD_WORDS;
    return LUM_OK;
}

void lum__spill_cursor_init(struct lum__spill_cursor *cursor, struct lum__spill *spill, uint32_t partition,
                            uint64_t *buffer)
{
    LUM_ASSERT(partition < spill->options.partition_count);
    *cursor = (struct lum__spill_cursor){.spill = spill, .partition = partition, .buffer = buffer};
}

/* The chain's next full block. */
static lum_status fetch_block(struct lum__spill_cursor *cursor, const uint64_t **out)
{
    const struct lum__spill *spill = cursor->spill;
    size_t block_bytes = spill->options.block_bytes;
    *out = (const uint64_t *)(uintptr_t)cursor->next;
    if (spill->options.in_memory) return LUM_OK;
    LUM_TRY(lum__temporary_read(&spill->file, cursor->buffer, block_bytes, cursor->next));
    if (!is_head_right(cursor->buffer, block_bytes)) return lum__temporary_bad(&spill->file, cursor->next);
    *out = cursor->buffer;
    return LUM_OK;
}

lum_status lum__spill_cursor_next(struct lum__spill_cursor *cursor, const uint64_t **values, size_t *count)
{
    struct lum__spill *spill = cursor->spill;
    uint32_t words = spill->options.value_words;
    *values = NULL;
    *count = 0;
    while (*count == 0 && cursor->lane < spill->options.lane_count) {
        const struct lum__spill_lane *lane = &spill->lanes[cursor->lane];
        const uint64_t *block = lane->blocks + (size_t)cursor->partition * spill->block_words;
        uint64_t used = lane->used[cursor->partition];
        if (!cursor->is_open_done) {
            cursor->is_open_done = true;
            cursor->next = lane->heads[cursor->partition];
        } else if (cursor->next != 0) {
            LUM_TRY(fetch_block(cursor, &block));
            used = block[1] & UINT32_MAX;
            cursor->next = block[0];
        } else {
            cursor->is_open_done = false;
            cursor->lane++;
            continue;
        }
        *values = block + LUM__SPILL_BLOCK_HEAD_WORDS;
        *count = (size_t)(used - LUM__SPILL_BLOCK_HEAD_WORDS) / words;
    }
    return *count > 0 ? LUM_OK : LUM_END;
}
