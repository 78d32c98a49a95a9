/* storage/chunk_scan.h - reads chunks of a catalogue version in parallel, verified, pruned by minima and maxima. */
#ifndef LUM_STORAGE_CHUNK_SCAN_H
#define LUM_STORAGE_CHUNK_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/catalogue.h"
#include "storage/segment.h"

/* Like lum__chunk_visitor (below), with columns. */
typedef lum_status (*lum__chunk_column_visitor)(void *context, uint32_t worker, uint64_t position,
                                                const lum_columns *columns, uint32_t row_count);

/* Like lum__chunk_visitor, with all that is known of the page (chunk_reader.h). rows NULL: not decoded. */
struct lum__chunk_page_ref;
typedef lum_status (*lum__chunk_page_visitor)(void *context, uint32_t worker, const struct lum__chunk_page_ref *page,
                                              const lum_t *rows);

struct lum__chunk_scan_options {
    struct lum__range range; /* chunks and pages without any row in it are not read (all ranges together) */
    const uint8_t *store_id;
    bool check_everything; /* for verify and recovery: read whole chunks, check conditions 1-9, ignore the range */
    /* At most half of it is used for the read buffers of all workers together, but at least 512 KiB; 0: 64 MiB. Where
     * it is small, fewer workers run and large chunks are read in parts. */
    uint64_t memory_bytes_max;
    lum__chunk_column_visitor visit_columns; /* parallel scans: called instead of visit; columns lent during the call */
    lum__chunk_page_visitor visit_page;      /* parallel scans: likewise */
    bool only_crc; /* with visit_page: the page's CRC is checked, but nothing decoded */
};

/* Read: brought into memory; of what was passed over unread, pages_total supposes full pages. */
struct lum__chunk_scan_counts {
    uint64_t chunks_total, chunks_read, pages_total, pages_read, rows_read, bytes_read;
};

/* Called for each page read, concurrently by workers; rows lent during the call. position: number of the first row
 * among all rows of the version. chunk_index: into version->chunks. A status other than LUM_OK ends the scan. With
 * check_everything it may be NULL, and is called once for each chunk that passed, with all its rows as row_count and
 * rows NULL. */
typedef lum_status (*lum__chunk_visitor)(void *context, uint32_t worker, size_t chunk_index, uint64_t position,
                                         const lum_t *rows, uint32_t row_count);
/* Called for a chunk that fails its checks or cannot be read (error = lum__error_last() of this thread); of its pages,
 * some may have been visited. LUM_OK: go on with the next chunk. */
typedef lum_status (*lum__chunk_damage)(void *context, uint32_t worker, size_t chunk_index);

/* Scans chunks [first, first + count) of an array with `workers` threads (lum__parallel). Each worker takes the next
 * chunk, or run of small ones, from a shared counter, and reads ahead (lum__io_queue, 1 MiB requests) the ones after it
 * while it decodes. damage NULL: the first damage ends the scan. counts may be NULL. */
LUM_MUST_USE lum_status lum__chunk_scan(struct lum__fs *fs, struct lum__segment_files *files,
                                        const struct lum__chunk_entry *chunks, size_t chunk_count,
                                        const struct lum__chunk_scan_options *options, uint32_t workers,
                                        lum__chunk_visitor visit, lum__chunk_damage damage, void *context,
                                        struct lum__chunk_scan_counts *counts);

/* A sequential cursor over the same: pages in scan order, with read-ahead; not with check_everything. One thread. */
struct lum__chunk_cursor;
LUM_MUST_USE lum_status lum__chunk_cursor_open(struct lum__fs *fs, struct lum__segment_files *files,
                                               const struct lum__chunk_entry *chunks, size_t chunk_count,
                                               const struct lum__chunk_scan_options *options,
                                               struct lum__chunk_cursor **out);
/* Rows of the next page, lent until the next call. LUM_END. Damage: LUM_ERR_CORRUPT; the next call goes on behind that
 * page (or chunk, if its directory is damaged; or behind what was read with it, if it cannot be read). */
LUM_MUST_USE lum_status lum__chunk_cursor_next(struct lum__chunk_cursor *cursor, const lum_t **rows,
                                               uint32_t *row_count);
LUM_MUST_USE lum_status lum__chunk_cursor_next_columns(struct lum__chunk_cursor *cursor, lum_columns *columns,
                                                       uint32_t *row_count);
/* Number of the first of the rows handed out last among all rows of the chunks. */
uint64_t lum__chunk_cursor_position(const struct lum__chunk_cursor *cursor);
void lum__chunk_cursor_counts(const struct lum__chunk_cursor *cursor, struct lum__chunk_scan_counts *out);
void lum__chunk_cursor_close(struct lum__chunk_cursor *cursor);

#endif
