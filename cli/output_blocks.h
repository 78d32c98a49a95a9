/* cli/output_blocks.h - a large file, written by several threads past the page cache: on many machines several times as
 * fast as through it, and the cache keeps what it had.
 *
 * Bytes are gathered in blocks. The thread that fills a block writes it. The first blocks go through the page cache, as
 * a small file is likely to be read at once; the rest past it (O_DIRECT), where the file system can. */
#ifndef LUM_CLI_OUTPUT_BLOCKS_H
#define LUM_CLI_OUTPUT_BLOCKS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LUM__OUTPUT_BLOCK_BYTES = 1 << 20, LUM__OUTPUT_BLOCKS = 8 };

struct lum__output_blocks {
    int fd;         /* lent */
    int direct_fd;  /* the same file; -1: no direct writes */
    uint8_t *bytes; /* LUM__OUTPUT_BLOCKS of them, aligned */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* under the mutex; block n of the file is gathered in slot n % LUM__OUTPUT_BLOCKS */
    uint64_t numbers[LUM__OUTPUT_BLOCKS];
    size_t filled[LUM__OUTPUT_BLOCKS];
    int os_errno; /* of the first write that failed */
};

/* fd: an empty regular file. False: no memory, write it without. */
bool lum__output_blocks_open(struct lum__output_blocks *blocks, int fd);
/* Bytes of the file, each given once. Waits for room: bytes in front of them must be on their way, from other threads.
 * Returns 0, or the errno of this or an earlier write. Any thread. */
int lum__output_blocks_put(struct lum__output_blocks *blocks, uint64_t offset, const uint8_t *bytes, size_t byte_count);
/* After all bytes: writes the last, partial block. Returns 0 or an errno. */
int lum__output_blocks_end(struct lum__output_blocks *blocks);
void lum__output_blocks_close(struct lum__output_blocks *blocks);

#endif
