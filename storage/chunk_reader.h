/* storage/chunk_reader.h - brings the pages of chunks into memory, ahead of their use. The engine below chunk_scan.h:
 * the readers of one source share its chunks, each reader belongs to one thread.
 *
 * A reader has a few slots of one size. A unit is what one slot holds: a whole chunk, or several small ones that lie
 * side by side; or, where a chunk does not fit or only some of its pages are wanted, first its directory and then
 * windows of neighbouring pages. Units are read and handed out in order:
 *
 *   free --claim, submit reads--> in flight --all reaped, oldest first--> active (its pages are handed out) --> free
 *
 * Rows in memory (chunk.h) are a unit without a read; their pages are parts of them.
 *
 * The windows of a chunk are known once its directory was checked, so a claimed directory holds up further claims of
 * this reader until it is active. */
#ifndef LUM_STORAGE_CHUNK_READER_H
#define LUM_STORAGE_CHUNK_READER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "storage/chunk_scan.h"

enum { LUM__READER_SLOTS_MAX = 4 };

/* Chunks to be read, each once, in order; shared by readers. */
struct lum__chunk_source {
    struct lum__fs *fs;
    struct lum__segment_files *files;
    const struct lum__chunk_entry *chunks;
    size_t chunk_count;
    struct lum__range range;
    uint8_t store_id[16];
    bool check_everything;
    uint32_t workers;    /* readers that memory allows */
    uint32_t slot_count; /* of each reader */
    uint32_t slot_bytes;
    size_t run_chunks_max; /* in one unit */
    pthread_mutex_t mutex;
    size_t next_index;      /* under the mutex */
    uint64_t next_position; /* under the mutex: rows before next_index */
    uint64_t pages_pruned;  /* under the mutex: of chunks that were passed over */
};

/* A part of a chunk, or a run of whole ones, read in one go. */
struct lum__chunk_unit {
    size_t chunk_index;
    size_t run_end;                /* index behind the run's last chunk; chunk_index goes up to it */
    uint64_t position;             /* of the chunk's first row */
    uint64_t begin, end;           /* bytes of the segment, multiples of 4,096 */
    uint32_t page_first, page_end; /* of a window */
    bool is_first;                 /* begins with the directory */
    bool is_rows;                  /* rows in memory: nothing is read */
    bool is_whole;
    bool is_run;     /* more than one chunk */
    bool is_run_bad; /* something in it could not be read: each chunk is read again, by itself */
};

struct lum__chunk_slot {
    uint8_t *buffer;
    struct lum__chunk_unit unit;
    struct lum__file *file;
    uint32_t pending;        /* requests not reaped yet */
    struct lum__error error; /* status LUM_OK: none */
};

struct lum__chunk_reader {
    struct lum__chunk_source *source;
    struct lum__io_queue *queue;
    void *memory;
    size_t memory_bytes;
    struct lum__chunk_slot slots[LUM__READER_SLOTS_MAX];
    uint32_t oldest, used; /* slots [oldest, oldest + used), around the end */

    /* the chunk whose directory was checked last, and how far its windows were submitted */
    uint8_t *directory;
    uint32_t page_count;
    bool awaits_directory; /* a unit that is only a directory is in flight */
    bool has_windows;
    uint32_t window_page;
    struct lum__chunk_unit window_chunk;

    bool is_active; /* the oldest slot's pages are being handed out */
    uint32_t page_next, page_end;
    uint64_t row_next; /* rows of the chunk before page_next */

    bool is_skipping; /* the rest of chunk skipped_index is passed over */
    size_t skipped_index;
    bool is_damage; /* the last failure is about chunk damaged_index, and reading may go on */
    size_t damaged_index;
    struct lum__chunk_scan_counts counts;
};

/* A page in memory, not checked yet; lent until the reader's next call. */
struct lum__chunk_page_ref {
    size_t chunk_index;
    uint64_t position; /* of its first row */
    const uint8_t *bytes;
    const lum_t *rows; /* instead of bytes: rows in memory; of entry only row_count is set */
    struct lum__page_entry entry;
    bool is_last; /* of its chunk */
};

/* Divides at most half of options->memory_bytes_max among at most `workers` readers (source->workers says how many). */
LUM_MUST_USE lum_status lum__chunk_source_init(struct lum__chunk_source *source, struct lum__fs *fs,
                                               struct lum__segment_files *files, const struct lum__chunk_entry *chunks,
                                               size_t chunk_count, const struct lum__chunk_scan_options *options,
                                               uint32_t workers);
void lum__chunk_source_fini(struct lum__chunk_source *source);

LUM_MUST_USE lum_status lum__chunk_reader_init(struct lum__chunk_reader *reader, struct lum__chunk_source *source);
void lum__chunk_reader_fini(struct lum__chunk_reader *reader); /* also of a reader whose init failed */
/* The next page in range. LUM_END. With reader->is_damage the failure is one chunk's: the next call goes on behind what
 * failed. */
LUM_MUST_USE lum_status lum__chunk_reader_next(struct lum__chunk_reader *reader, struct lum__chunk_page_ref *out);
/* Passes over what is left of a chunk. */
void lum__chunk_reader_skip(struct lum__chunk_reader *reader, size_t chunk_index);

#endif
