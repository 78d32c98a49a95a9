/* cli/append_file.h - a file that only grows, a little at a time, while its writer has better things to do than to wait
 * for it. Bytes are gathered in blocks, which a thread of the file's own writes past the page cache (O_DIRECT), so that
 * neither copying into the cache nor its writeback nor a slow disk costs the threads that put.
 *
 * 1. put() copies into the block that is gathered. A file of less than a block has no thread.
 * 2. A block that is full is queued for the thread, and the next is gathered in the block that was written last (it is
 *    still in the processor's caches), or in one that nothing was gathered in yet. put() waits only if all others are queued.
 * 3. flush() waits for the thread and writes what is gathered through the page cache: what was put is then in the file
 *    (durable after an fsync()). The rest of that block goes the same way: one page never both ways. So a file that is
 *    cut or gone on with at any length needs nothing read back.
 * 4. The file is at all times a prefix of what was put, without a hole; a failure is told by every call that follows. */
#ifndef LUM_CLI_APPEND_FILE_H
#define LUM_CLI_APPEND_FILE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LUM__APPEND_BLOCK_BYTES = 1 << 19, LUM__APPEND_BLOCKS = 4 }; /* together one huge page: a page fault for each 4 KiB costs more than all the rest */

struct lum__append_file {
    int fd;           /* lent */
    int direct_fd;    /* the same file; -1: no direct writes */
    uint64_t length;  /* of all that was put */
    uint64_t handed;  /* ... and is in the file or queued */
    uint8_t *blocks;  /* NULL: nothing was put yet */
    uint8_t *block;   /* gathered, one of them: what follows `handed`, each byte at its offset in the file modulo a block */
    int failed;       /* errno of the first write that failed, as far as it is known here */
    bool has_thread;
    pthread_t thread;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* under the mutex */
    struct {
        uint8_t *block;
        uint64_t begin; /* to the block's end */
    } queue[LUM__APPEND_BLOCKS]; /* the oldest first; the thread has it */
    uint32_t queued_count, free_count;
    uint8_t *free[LUM__APPEND_BLOCKS];
    bool is_ending;
    int thread_failed;
};

/* fd: of a regular file as long as `length`, lent until the close. */
void lum__append_file_open(struct lum__append_file *file, int fd, uint64_t length);

/* One thread at a time. Each returns 0, or the errno of what failed, now or before. */
int lum__append_file_put(struct lum__append_file *file, const uint8_t *bytes, size_t byte_count);
int lum__append_file_flush(struct lum__append_file *file);
/* Back to a length that it had: the file is then as long. After a failure too, if that length was flushed before. */
int lum__append_file_cut(struct lum__append_file *file, uint64_t length);
/* Flushes as far as that goes. */
void lum__append_file_close(struct lum__append_file *file);

#endif
