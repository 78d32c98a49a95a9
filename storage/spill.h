/* storage/spill.h - values put aside by partition by many threads, and read back partition by partition: in memory, or
 * in a temporary file without a name where they do not fit. What the file gives back is checked like anything else.
 *
 * A lane is one thread's: for each partition the block that is being filled, and the chain of the full ones before it:
 *
 *   lane 0, partition 7:  open block (memory) --> full block (file, offset 40960) --> full block (file, 4096) --> 0 */
#ifndef LUM_STORAGE_SPILL_H
#define LUM_STORAGE_SPILL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lum/status.h"

enum { LUM__SPILL_BLOCK_BYTES_MIN = 4096, LUM__SPILL_BLOCK_BYTES_MAX = 65536, LUM__SPILL_BLOCK_HEAD_WORDS = 2 };

/* --- a temporary file without a name: gone with its descriptor, however the process ends --- */

struct lum__temporary {
    int fd; /* -1: none */
    char directory[256];
};
/* directory NULL: $TMPDIR, else /var/tmp. bytes_expected: refused at once where so much is not free (0: not known).
 * LUM_ERR_NO_SPACE, LUM_ERR_NOT_FOUND, LUM_ERR_PERMISSION, I/O ones. */
LUM_MUST_USE lum_status lum__temporary_open(const char *directory, uint64_t bytes_expected, struct lum__temporary *out);
LUM_MUST_USE lum_status lum__temporary_write(const struct lum__temporary *file, const void *bytes, size_t byte_count,
                                             uint64_t offset);
LUM_MUST_USE lum_status lum__temporary_read(const struct lum__temporary *file, void *bytes, size_t byte_count,
                                            uint64_t offset);
lum_status lum__temporary_bad(const struct lum__temporary *file, uint64_t offset); /* it gave back other bytes */
void lum__temporary_close(struct lum__temporary *file);

/* --- the spill --- */

struct lum__spill_options {
    uint32_t value_words; /* 64-bit words of a value */
    uint32_t partition_count;
    uint32_t lane_count;
    uint32_t block_bytes;
    bool in_memory;
    uint64_t value_count_max; /* how many will come at most, for the check that there is room */
    const char *directory;    /* lum__temporary_open; lent */
};

struct lum__spill_lane {
    uint64_t *blocks;    /* open blocks, block_words apart; values from word LUM__SPILL_BLOCK_HEAD_WORDS on */
    size_t mapped_bytes; /* of blocks: mapped, so that they go back to the system at once */
    uint32_t *used;      /* words of each */
    uint64_t *heads;     /* the newest full block: offset in the file or address; 0: none */
};

struct lum__spill {
    struct lum__spill_options options;
    uint32_t block_words;
    struct lum__spill_lane *lanes;
    struct lum__temporary file;
    _Atomic uint64_t file_end; /* of blocks handed out; relaxed, only uniqueness matters */
};

/* Opens the temporary file if it is not in_memory. */
LUM_MUST_USE lum_status lum__spill_init(struct lum__spill *spill, const struct lum__spill_options *options);
void lum__spill_fini(struct lum__spill *spill); /* also after a failed init, or of zeros */

LUM_MUST_USE lum_status lum__spill_flush(struct lum__spill *spill, uint32_t lane, uint32_t partition);

/* A lane belongs to one thread. */
static inline lum_status lum__spill_put(struct lum__spill *spill, uint32_t lane, uint32_t partition,
                                        const uint64_t *value)
{
    struct lum__spill_lane *own = &spill->lanes[lane];
    uint64_t *block = own->blocks + (size_t)partition * spill->block_words;
    uint32_t used = own->used[partition];
    for (uint32_t word = 0; word < spill->options.value_words; word++) block[used++] = value[word];
    own->used[partition] = used;
    if (used + spill->options.value_words <= spill->block_words) return LUM_OK;
    return lum__spill_flush(spill, lane, partition);
}

/* Reads one partition after all lanes are done; several cursors may run at once, also on one partition. */
struct lum__spill_cursor {
    struct lum__spill *spill;
    uint32_t partition, lane;
    bool is_open_done; /* of the lane */
    uint64_t next;
    uint64_t *buffer; /* block_bytes, the caller's */
};
void lum__spill_cursor_init(struct lum__spill_cursor *cursor, struct lum__spill *spill, uint32_t partition,
                            uint64_t *buffer);
/* The next values, in no order, lent until the next call. LUM_END. */
LUM_MUST_USE lum_status lum__spill_cursor_next(struct lum__spill_cursor *cursor, const uint64_t **values,
                                               size_t *count);

#endif
