/* wal/log_window.h - the bytes of one log segment, seen through a window of a few MiB that is refilled as reading goes
 * on. Used by reader.c (in order) and probe.c (behind the stop). What lies behind the end of a too short file is zero.
 */
#ifndef LUM_WAL_LOG_WINDOW_H
#define LUM_WAL_LOG_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/file.h"
#include "wal/format.h"

struct lum__log_window {
    uint8_t *bytes; /* 4 KiB aligned */
    size_t mapped;
    struct lum__wal_segment segment; /* number 0: none */
    bool is_salt_unknown;            /* its header cannot be read: records are taken by number and offset alone */
    struct lum__file *file;
    uint64_t offset; /* of bytes[0] in the segment; a multiple of 4,096 */
    uint64_t count;
    uint64_t ahead_bytes; /* how much the next refill reads at least */
};

LUM_MUST_USE lum_status lum__log_window_init(struct lum__log_window *window);
void lum__log_window_fini(struct lum__log_window *window);
/* Shows another segment; the file is the window's from now on. file NULL: shows nothing. */
void lum__log_window_show(struct lum__log_window *window, const struct lum__wal_segment *segment,
                          struct lum__file *file);
/* Shows what can be known of a segment without its header: for probing only. */
LUM_MUST_USE lum_status lum__log_window_show_headless(struct lum__log_window *window, const uint8_t store_id[16],
                                                      uint64_t number, struct lum__file *file);
/* *at: the bytes from offset on, *available of them: at least `wanted` (at most LUM__LOG_WINDOW_STEP) or up to the end
 * of the segment. Valid until the next call. */
enum { LUM__LOG_WINDOW_STEP = LUM__WAL_PAYLOAD_BYTES_MAX + 3 * 4096 };
LUM_MUST_USE lum_status lum__log_window_get(struct lum__log_window *window, uint64_t offset, uint64_t wanted,
                                            const uint8_t **at, uint64_t *available);
/* Checks the record at offset (lum__wal_record_check) with all the bytes that it claims. */
LUM_MUST_USE lum_status lum__log_window_check(struct lum__log_window *window, uint64_t offset,
                                              struct lum__wal_record *record, enum lum__wal_look *look,
                                              uint32_t *condition);

/* Looks through a segment from `offset` on for anything that is or was a record. */
struct lum__log_findings {
    uint64_t records;        /* valid ones */
    uint64_t watermark;      /* the highest in them */
    uint64_t first_sequence; /* the lowest of them; UINT64_MAX if there are none */
    uint64_t live_end;       /* end of the last block that is neither zero nor stale; 0 if none */
    bool is_first_stale;     /* the block at offset holds leftovers of an earlier use only */
};
LUM_MUST_USE lum_status lum__log_probe(struct lum__log_window *window, uint64_t offset, struct lum__log_findings *out);

#endif
