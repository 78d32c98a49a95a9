/* cli/output.h - where the data of a command goes: a file, a pipe, a device; written by several threads in one order.
 *
 * A file is written under another name beside it, synced, and renamed when it is complete: a run that is interrupted
 * leaves the old file, or none, and never one that only looks complete. What is no regular file is written as it
 * is. */
#ifndef LUM_CLI_OUTPUT_H
#define LUM_CLI_OUTPUT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/output_blocks.h"

struct lum__output {
    const char *path; /* NULL: standard output */
    char *target;     /* what the temporary file is renamed to; NULL: written in place */
    char *temporary;
    int fd;
    int spool_fd;       /* -1, or a file without a name that is copied to fd in the end */
    bool is_positional; /* a file of our own: threads write at their place at the same time */
    struct lum__output_blocks *blocks; /* NULL: what comes is written as it comes */
    uint64_t start;     /* of the first byte in fd */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t turn; /* the ticket whose bytes come next; under the mutex like what follows */
    uint64_t bytes;
    int os_errno; /* of the first write that failed */
};

/* path NULL or "-": standard output. is_patched: lum__output_patch() will be called (a pipe is spooled then, in
 * $TMPDIR). Returns 0, or the exit code of a failure that was said. */
int lum__output_open(struct lum__output *output, const char *path, bool is_patched);
/* The bytes of a ticket, from 0 on, each given once; they come out in the order of the tickets, so this waits for those
 * before. False after a failure, which lum__output_close() says. Any thread. */
bool lum__output_write(struct lum__output *output, uint64_t ticket, const uint8_t *bytes, size_t byte_count);
/* Before the first write: a file that gets a name is gathered in blocks (cli/output_blocks.h), for LUM__OUTPUT_BLOCKS of memory. */
void lum__output_gather(struct lum__output *output);
/* After all writes, before a patch: what was gathered is written. False after a failure. */
bool lum__output_end(struct lum__output *output);
/* Overwrites the first bytes. After lum__output_end(). */
void lum__output_patch(struct lum__output *output, const uint8_t *bytes, size_t byte_count);
enum lum__output_ending {
    LUM__OUTPUT_DROPPED,  /* the file is removed; what had its name stays */
    LUM__OUTPUT_COMPLETE, /* the file gets its name */
    LUM__OUTPUT_PARTIAL   /* rows are missing: it gets its name with .incomplete behind, and this is said; what had the name stays */
};
/* After an open that was good. Standard output and what is written in place keep what they got. Returns 0 or the exit code of
 * a failure that was said. */
int lum__output_close(struct lum__output *output, enum lum__output_ending ending);

#endif
