#include "cli/append_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/file_write.h"

void lum__append_file_open(struct lum__append_file *file, int fd, uint64_t length)
{
    *file = (struct lum__append_file){.fd = fd, .direct_fd = -1, .length = length, .handed = length};
    pthread_mutex_init(&file->mutex, NULL);
    pthread_cond_init(&file->changed, NULL);
}

/* --------------------------------------------------------------------------------------------------------- writing */

/* [begin, end) of a block: a whole one directly, a part through the page cache. */
static int write_block(const struct lum__append_file *file, const uint8_t *block, uint64_t begin, uint64_t end)
{
    if (end - begin == LUM__APPEND_BLOCK_BYTES) return lum__write_direct(file->direct_fd, file->fd, block, LUM__APPEND_BLOCK_BYTES, begin);
    return lum__write_all(file->fd, block + begin % LUM__APPEND_BLOCK_BYTES, (size_t)(end - begin), begin);
}

static uint64_t block_end(uint64_t offset) { return offset - offset % LUM__APPEND_BLOCK_BYTES + LUM__APPEND_BLOCK_BYTES; }

static void *write_queued(void *context)
{
    struct lum__append_file *file = context;
    pthread_mutex_lock(&file->mutex);
    for (;;) {
        while (file->queued_count == 0 && !file->is_ending) pthread_cond_wait(&file->changed, &file->mutex);
        if (file->queued_count == 0) break;
        uint8_t *block = file->queue[0].block;
        uint64_t begin = file->queue[0].begin;
        int failed = file->thread_failed; /* then nothing more is written */
        pthread_mutex_unlock(&file->mutex);
        if (failed == 0) failed = write_block(file, block, begin, block_end(begin));
        pthread_mutex_lock(&file->mutex);
        file->thread_failed = failed;
        file->free[file->free_count++] = block;
        memmove(&file->queue[0], &file->queue[1], --file->queued_count * sizeof file->queue[0]);
        pthread_cond_broadcast(&file->changed);
    }
    pthread_mutex_unlock(&file->mutex);
    return NULL;
}

/* Until it has nothing to do. Returns the first failure. */
static int wait_for_thread(struct lum__append_file *file)
{
    pthread_mutex_lock(&file->mutex);
    while (file->queued_count > 0) pthread_cond_wait(&file->changed, &file->mutex);
    if (file->failed == 0) file->failed = file->thread_failed;
    pthread_mutex_unlock(&file->mutex);
    return file->failed;
}

/* What is gathered up to `end`, by the caller; the thread has nothing to do. */
static int write_gathered(struct lum__append_file *file, uint64_t end)
{
    if (file->failed != 0 || file->handed >= end) return file->failed;
    file->failed = write_block(file, file->block, file->handed, end);
    if (file->failed == 0) file->handed = end;
    return file->failed;
}

/* --------------------------------------------------------------------------------------------------- handing over */

/* All of them at once; what is not used is not touched. */
static bool make_blocks(struct lum__append_file *file)
{
    const size_t bytes = (size_t)LUM__APPEND_BLOCKS * LUM__APPEND_BLOCK_BYTES;
    void *memory;
    if (posix_memalign(&memory, bytes, bytes) != 0) return false;
    (void)madvise(memory, bytes, MADV_HUGEPAGE); /* only a wish */
    file->block = file->blocks = memory;
    for (uint32_t i = LUM__APPEND_BLOCKS - 1; i > 0; i--) file->free[file->free_count++] = file->blocks + (size_t)i * LUM__APPEND_BLOCK_BYTES;
    return true;
}

/* With the first block. Without a thread, blocks are written where they become full. */
static void start_thread(struct lum__append_file *file)
{
    if (file->has_thread || file->direct_fd >= 0) return;
    file->direct_fd = lum__open_direct(file->fd);
    file->has_thread = pthread_create(&file->thread, NULL, write_queued, file) == 0;
}

static void queue_block(struct lum__append_file *file)
{
    pthread_mutex_lock(&file->mutex);
    file->queue[file->queued_count].block = file->block;
    file->queue[file->queued_count++].begin = file->handed;
    file->handed = file->length;
    pthread_cond_broadcast(&file->changed);
    while (file->free_count == 0) pthread_cond_wait(&file->changed, &file->mutex);
    file->block = file->free[--file->free_count];
    if (file->failed == 0) file->failed = file->thread_failed;
    pthread_mutex_unlock(&file->mutex);
}

/* The block that is gathered is full. */
static void hand_over(struct lum__append_file *file)
{
    start_thread(file);
    if (file->has_thread) queue_block(file);
    else write_gathered(file, file->length);
}

/* ---------------------------------------------------------------------------------------------------------- callers */

int lum__append_file_put(struct lum__append_file *file, const uint8_t *bytes, size_t byte_count)
{
    if (file->failed != 0) return file->failed;
    if (!file->blocks && !make_blocks(file)) return file->failed = ENOMEM;
    while (byte_count > 0 && file->failed == 0) {
        size_t room = (size_t)(block_end(file->length) - file->length);
        size_t part = byte_count < room ? byte_count : room;
        memcpy(file->block + file->length % LUM__APPEND_BLOCK_BYTES, bytes, part);
        file->length += part;
        bytes += part;
        byte_count -= part;
        if (part == room) hand_over(file);
    }
    return file->failed;
}

int lum__append_file_flush(struct lum__append_file *file)
{
    if (wait_for_thread(file) != 0) return file->failed;
    return write_gathered(file, file->length);
}

int lum__append_file_cut(struct lum__append_file *file, uint64_t length)
{
    wait_for_thread(file);
    if (length > file->handed && write_gathered(file, length) != 0) return file->failed;
    if (ftruncate(file->fd, (off_t)length) != 0) {
        if (file->failed == 0) file->failed = errno;
        return errno;
    }
    file->length = file->handed = length;
    return 0;
}

void lum__append_file_close(struct lum__append_file *file)
{
    (void)lum__append_file_flush(file);
    if (file->has_thread) {
        pthread_mutex_lock(&file->mutex);
        file->is_ending = true;
        pthread_cond_broadcast(&file->changed);
        pthread_mutex_unlock(&file->mutex);
        pthread_join(file->thread, NULL);
    }
    if (file->direct_fd >= 0) (void)close(file->direct_fd);
    free(file->blocks);
    pthread_cond_destroy(&file->changed);
    pthread_mutex_destroy(&file->mutex);
}
