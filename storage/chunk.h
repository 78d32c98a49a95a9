/* storage/chunk.h - a chunk: up to 1 Mi LUMs in pages, the unit that a producer builds and the log describes.
 *
 * States of a chunk, and who owns its memory (the function on the arrow moves it):
 *
 *   filling --lum__chunk_seal--> sealed --submit write--> in flight --reap, length checked--> written
 *   (producer's buffer)          (producer)               (io queue)                          (no memory: only its entry)
 *
 *   written --push to the ring--> queued --sequencer: data sync, log, log sync--> durable --commit--> in the catalogue
 *
 *   any of these --rollback--> free (the extent goes back to the allocator after every write into it was reaped)
 *
 * Bytes: docs/format.md sections 4 and 5.1. */
#ifndef LUM_STORAGE_CHUNK_H
#define LUM_STORAGE_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/page.h"

enum {
    LUM__CHUNK_ALIGNMENT = 4096,
    LUM__CHUNK_HEADER_BYTES = 256,
    LUM__CHUNK_DIRECTORY_ENTRY_BYTES = 72,
    LUM__CHUNK_ENTRY_BYTES = 128,
    LUM__CHUNK_PAGES_MAX = 256,
    /* header and directory of the most pages: a page never begins behind it, so that one read of this size finds all of
       both */
    LUM__CHUNK_DIRECTORY_BYTES_MAX = LUM__CHUNK_HEADER_BYTES + LUM__CHUNK_PAGES_MAX * LUM__CHUNK_DIRECTORY_ENTRY_BYTES,
};

/* The range that leaves no row out. */
#define LUM__RANGE_ALL ((struct lum__range){0, UINT64_MAX, 0, UINT64_MAX, INT32_MIN, INT32_MAX, INT32_MIN, INT32_MAX})

/* May something within a hold a row of b? */
static inline bool lum__range_overlaps(const struct lum__range *a, const struct lum__range *b)
{
    return a->id_min <= b->id_max && b->id_min <= a->id_max && a->timestamp_min <= b->timestamp_max &&
           b->timestamp_min <= a->timestamp_max && a->x_min <= b->x_max && b->x_min <= a->x_max &&
           a->y_min <= b->y_max && b->y_min <= a->y_max;
}

/* Is every row of `inner` a row of `outer`? */
static inline bool lum__range_contains(const struct lum__range *outer, const struct lum__range *inner)
{
    return outer->id_min <= inner->id_min && inner->id_max <= outer->id_max &&
           outer->timestamp_min <= inner->timestamp_min && inner->timestamp_max <= outer->timestamp_max &&
           outer->x_min <= inner->x_min && inner->x_max <= outer->x_max && outer->y_min <= inner->y_min &&
           inner->y_max <= outer->y_max;
}

/* What log and catalogue know of a chunk. 120 bytes in memory.
 *
 * The rows of a small transaction stand in the catalogue as an entry too, until a fold makes chunks of them: `rows` is not NULL then, they lie in
 * memory (row_table.h), segment and offset are where the log has them, byte_count and digest are 0. Such an entry is never written to a file. */
struct lum__chunk_entry {
    uint64_t segment;
    uint64_t offset;
    uint32_t byte_count; /* multiple of 4,096 */
    uint32_t row_count;
    uint32_t digest; /* CRC of header and page directory */
    uint32_t lum_digest;
    uint64_t ordinal;
    uint64_t transaction_id;
    uint64_t commit_sequence; /* 0 = not committed */
    struct lum__range range;
    const lum_t *rows; /* NULL: a chunk on disk */
};
_Static_assert(sizeof(struct lum__chunk_entry) <= 128, "design 5.5: at most 128 bytes a chunk");

void lum__chunk_entry_encode(const struct lum__chunk_entry *entry, uint8_t out[LUM__CHUNK_ENTRY_BYTES]);
/* Checks form and limits (format.md 5.1: 1-5), not the chunk. `file` is where the entry was read, at file_offset. */
LUM_MUST_USE lum_status lum__chunk_entry_decode(const uint8_t in[LUM__CHUNK_ENTRY_BYTES], const char *file,
                                                uint64_t file_offset, struct lum__chunk_entry *out);

/* Bytes of buffer that a chunk of row_count_max rows can need at most. */
size_t lum__chunk_bytes_max(uint32_t row_count_max);

/* A chunk being filled. The buffer (lum__chunk_bytes_max, 4 KiB aligned) and the scratch belong to the caller. One
 * thread. */
struct lum__chunk_builder {
    uint8_t *buffer;
    struct lum__page_scratch *scratch;
    uint32_t page_capacity; /* directory room: pages of a full chunk */
    uint32_t page_count;
    uint32_t row_count;
    uint32_t used_bytes;
    uint32_t lum_digest;
    struct lum__range range;
};
/* row_count_max of a load's next chunk: its directory has no more room than the rows that are left (0: not known) need. */
static inline uint32_t lum__chunk_row_room(uint64_t rows_left, uint32_t chunk_lums)
{
    return rows_left > 0 && rows_left < chunk_lums ? (uint32_t)rows_left : chunk_lums;
}
void lum__chunk_begin(struct lum__chunk_builder *builder, uint8_t *buffer, uint32_t row_count_max,
                      struct lum__page_scratch *scratch);
/* Appends one page (1..4096 rows; at most page_capacity pages, so a chunk is only filled up by full pages). A bad row:
 * LUM_ERR_INPUT with the row's index and fault in *summary, the chunk is unchanged. */
LUM_MUST_USE lum_status lum__chunk_add_rows(struct lum__chunk_builder *builder, const lum_t *rows, uint32_t row_count,
                                            bool has_checksum, struct lum__page_summary *summary);
LUM_MUST_USE lum_status lum__chunk_add_columns(struct lum__chunk_builder *builder, const lum_columns *columns,
                                               uint32_t row_count, struct lum__page_summary *summary);
/* Size that the sealed chunk will have; the caller reserves an extent of it. */
uint32_t lum__chunk_sealed_bytes(const struct lum__chunk_builder *builder);
/* Writes header, directory and padding for the place it will lie at; fills the entry (commit_sequence 0). */
void lum__chunk_seal(struct lum__chunk_builder *builder, const uint8_t store_id[16], uint64_t segment, uint64_t offset,
                     uint64_t transaction_id, uint64_t ordinal, struct lum__chunk_entry *out);

/* --- reading --- */

/* A page directory entry. */
struct lum__page_entry {
    uint32_t offset, byte_count, row_count, crc, lum_digest;
    struct lum__range range;
};

/* Bytes of a chunk's beginning that hold its header and directory (so that they can be read alone); multiple of 4,096.
 */
uint32_t lum__chunk_directory_bytes(const struct lum__chunk_entry *entry);
/* Checks header and directory (format.md 4: 1-6) in `bytes` (at least lum__chunk_directory_bytes) against the entry.
 * `file` is for messages. */
LUM_MUST_USE lum_status lum__chunk_check_directory(const uint8_t *bytes, size_t byte_count, const uint8_t store_id[16],
                                                   const struct lum__chunk_entry *entry, const char *file,
                                                   uint32_t *page_count);
/* The page entry at index of a checked chunk. */
void lum__chunk_page(const uint8_t *bytes, uint32_t index, struct lum__page_entry *out);
/* Page CRC, then decode and digest (7, 8). page points at its bytes. Fails with lum__corrupt(file, chunk offset + ...).
 */
LUM_MUST_USE lum_status lum__chunk_decode_page(const uint8_t *page, const struct lum__page_entry *page_entry,
                                               const struct lum__chunk_entry *entry, struct lum__page_scratch *scratch,
                                               const char *file, lum_t *rows);
LUM_MUST_USE lum_status lum__chunk_decode_page_columns(const uint8_t *page, const struct lum__page_entry *page_entry,
                                                       const struct lum__chunk_entry *entry,
                                                       struct lum__page_scratch *scratch, const char *file,
                                                       lum_columns *columns);
/* The page's CRC alone (condition 7). */
LUM_MUST_USE lum_status lum__chunk_check_page_crc(const uint8_t *page, const struct lum__page_entry *page_entry,
                                                  const struct lum__chunk_entry *entry, const char *file);
/* What lum__chunk_decode_page proves, and that the page's minima and maxima are those of the directory. */
LUM_MUST_USE lum_status lum__chunk_check_page(const uint8_t *page, const struct lum__page_entry *page_entry,
                                              const struct lum__chunk_entry *entry, struct lum__page_scratch *scratch,
                                              const char *file);
/* Condition 9: byte_count bytes of padding, which lie chunk_offset behind the chunk's start, are zero. */
LUM_MUST_USE lum_status lum__chunk_check_padding(const uint8_t *at, size_t byte_count, uint32_t chunk_offset,
                                                 const struct lum__chunk_entry *entry, const char *file);
/* Everything (1-9) of a whole chunk in memory. */
LUM_MUST_USE lum_status lum__chunk_check(const uint8_t *bytes, const uint8_t store_id[16],
                                         const struct lum__chunk_entry *entry, struct lum__page_scratch *scratch,
                                         const char *file);

/* "data/N.seg" */
void lum__segment_path(uint64_t segment, char out[64]);

#endif
