#include "cli/output_blocks.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/file_write.h"

enum { CACHED_BLOCKS = 64 };

bool lum__output_blocks_open(struct lum__output_blocks *blocks, int fd)
{
    void *memory;
    *blocks = (struct lum__output_blocks){.fd = fd, .direct_fd = -1};
    if (posix_memalign(&memory, LUM__DIRECT_ALIGNMENT, (size_t)LUM__OUTPUT_BLOCKS * LUM__OUTPUT_BLOCK_BYTES) != 0) return false;
    blocks->bytes = memory;
    blocks->direct_fd = lum__open_direct(fd);
    for (uint64_t slot = 0; slot < LUM__OUTPUT_BLOCKS; slot++) blocks->numbers[slot] = slot;
    pthread_mutex_init(&blocks->mutex, NULL);
    pthread_cond_init(&blocks->changed, NULL);
    return true;
}

static int write_block(const struct lum__output_blocks *blocks, uint64_t number, const uint8_t *bytes)
{
    int direct_fd = number < CACHED_BLOCKS ? -1 : blocks->direct_fd;
    return lum__write_direct(direct_fd, blocks->fd, bytes, LUM__OUTPUT_BLOCK_BYTES, number * LUM__OUTPUT_BLOCK_BYTES);
}

/* Bytes of one block. */
static int put_part(struct lum__output_blocks *blocks, uint64_t offset, const uint8_t *bytes, size_t byte_count)
{
    uint64_t number = offset / LUM__OUTPUT_BLOCK_BYTES;
    size_t slot = number % LUM__OUTPUT_BLOCKS;
    uint8_t *block = blocks->bytes + slot * LUM__OUTPUT_BLOCK_BYTES;

    pthread_mutex_lock(&blocks->mutex);
    while (blocks->numbers[slot] != number && blocks->os_errno == 0) pthread_cond_wait(&blocks->changed, &blocks->mutex);
    int os_errno = blocks->os_errno;
    pthread_mutex_unlock(&blocks->mutex);
    if (os_errno != 0) return os_errno;

    memcpy(block + offset % LUM__OUTPUT_BLOCK_BYTES, bytes, byte_count); /* its own part of the block */

    pthread_mutex_lock(&blocks->mutex);
    blocks->filled[slot] += byte_count;
    bool is_full = blocks->filled[slot] == LUM__OUTPUT_BLOCK_BYTES;
    pthread_mutex_unlock(&blocks->mutex);
    if (!is_full) return 0;

    os_errno = write_block(blocks, number, block);
    pthread_mutex_lock(&blocks->mutex);
    if (blocks->os_errno == 0) blocks->os_errno = os_errno;
    blocks->filled[slot] = 0;
    blocks->numbers[slot] = number + LUM__OUTPUT_BLOCKS;
    pthread_cond_broadcast(&blocks->changed);
    pthread_mutex_unlock(&blocks->mutex);
    return os_errno;
}

int lum__output_blocks_put(struct lum__output_blocks *blocks, uint64_t offset, const uint8_t *bytes, size_t byte_count)
{
    while (byte_count > 0) {
        size_t room = LUM__OUTPUT_BLOCK_BYTES - offset % LUM__OUTPUT_BLOCK_BYTES, part = byte_count < room ? byte_count : room;
        int os_errno = put_part(blocks, offset, bytes, part);
        if (os_errno != 0) return os_errno;
        offset += part;
        bytes += part;
        byte_count -= part;
    }
    return 0;
}

int lum__output_blocks_end(struct lum__output_blocks *blocks)
{
    for (size_t slot = 0; slot < LUM__OUTPUT_BLOCKS && blocks->os_errno == 0; slot++) { /* one at most is begun */
        blocks->os_errno = lum__write_all(blocks->fd, blocks->bytes + slot * LUM__OUTPUT_BLOCK_BYTES, blocks->filled[slot],
                                          blocks->numbers[slot] * LUM__OUTPUT_BLOCK_BYTES);
        blocks->filled[slot] = 0;
    }
    return blocks->os_errno;
}

void lum__output_blocks_close(struct lum__output_blocks *blocks)
{
    if (blocks->direct_fd >= 0) close(blocks->direct_fd);
    free(blocks->bytes);
    pthread_cond_destroy(&blocks->changed);
    pthread_mutex_destroy(&blocks->mutex);
}
