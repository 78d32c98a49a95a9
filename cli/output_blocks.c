#include "cli/output_blocks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALIGNMENT = 4096, CACHED_BLOCKS = 64 };

int lum__write_all(int fd, const uint8_t *bytes, size_t byte_count, uint64_t offset)
{
    for (size_t done = 0; done < byte_count;) {
        ssize_t written = offset == UINT64_MAX ? write(fd, bytes + done, byte_count - done)
                                               : pwrite(fd, bytes + done, byte_count - done, (off_t)(offset + done));
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return written < 0 ? errno : EIO;
        done += (size_t)written;
    }
    return 0;
}

bool lum__output_blocks_open(struct lum__output_blocks *blocks, int fd)
{
    char name[40];
    void *memory;
    *blocks = (struct lum__output_blocks){.fd = fd, .direct_fd = -1};
    if (posix_memalign(&memory, ALIGNMENT, (size_t)LUM__OUTPUT_BLOCKS * LUM__OUTPUT_BLOCK_BYTES) != 0) return false;
    blocks->bytes = memory;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    blocks->direct_fd = open(name, O_WRONLY | O_DIRECT | O_CLOEXEC);
    for (uint64_t slot = 0; slot < LUM__OUTPUT_BLOCKS; slot++) blocks->numbers[slot] = slot;
    pthread_mutex_init(&blocks->mutex, NULL);
    pthread_cond_init(&blocks->changed, NULL);
    return true;
}

/* A direct write may be refused for its alignment, or end early at a full disk, at a boundary of nothing: then the same bytes
 * go through the cache, which says what is wrong. */
static int write_block(const struct lum__output_blocks *blocks, uint64_t number, const uint8_t *bytes)
{
    uint64_t offset = number * LUM__OUTPUT_BLOCK_BYTES;
    if (blocks->direct_fd >= 0 && number >= CACHED_BLOCKS &&
        pwrite(blocks->direct_fd, bytes, LUM__OUTPUT_BLOCK_BYTES, (off_t)offset) == LUM__OUTPUT_BLOCK_BYTES)
        return 0;
    return lum__write_all(blocks->fd, bytes, LUM__OUTPUT_BLOCK_BYTES, offset);
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
