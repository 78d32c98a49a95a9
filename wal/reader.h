/* wal/reader.h - reads the log, record by record, over segments. No threads, never writes, decides nothing: it
 * reports what it sees, and recovery/decide.c decides. */
#ifndef LUM_WAL_READER_H
#define LUM_WAL_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/catalogue.h"
#include "storage/file.h"
#include "wal/format.h"

struct lum__wal_reader;

/* Where and why reading stopped. */
enum lum__wal_stop {
    LUM__WAL_STOP_NONE,        /* it has not */
    LUM__WAL_STOP_LIMIT,       /* at the end position given to open (a clean mark) */
    LUM__WAL_STOP_BLANK,       /* at a block never written, or the end of the segment */
    LUM__WAL_STOP_STALE,       /* at a record of an earlier use of the file */
    LUM__WAL_STOP_BAD,         /* at bytes that fail a check */
    LUM__WAL_STOP_GAP,         /* at a valid record with another sequence than the expected, or past a clean mark */
    LUM__WAL_STOP_NO_SEGMENT,  /* a seal names a successor that cannot be read; or the first segment cannot */
    LUM__WAL_STOP_UNSUPPORTED, /* intact, but of a later version */
};

/* What lies at and behind the stop. */
struct lum__wal_evidence {
    enum lum__wal_stop stop;
    struct lum__log_position position; /* behind the last accepted record */
    uint32_t condition;                /* that failed (format.md 3.1), 0 if none */
    char message[256];                 /* what was seen, for a person */
    uint64_t watermark_accepted;       /* highest watermark in accepted records */
    uint64_t watermark_behind; /* the highest sequence that anything behind the stop says is durable; 0 if nothing does:
                                  watermarks of valid records in the rest of this segment and in every file with a
                                  higher number (also where its header cannot be read), and what the header of a later
                                  recovery's segment (origin 3) says was accepted and synced before it. Above
                                  position.sequence too if the log goes on in such a file after a lower sequence */
    uint64_t records_behind;   /* valid records found there */
    uint64_t tail_bytes;   /* from the stop to the end of the last block behind it in this segment that is neither zero
                              nor stale */
    uint64_t next_segment; /* above every number in wal/ */
};

/* Opens at `from` (a checkpoint's replay position; segment 0: at the start of a store's log). limit NULL: reads to
 * where it breaks off; else it stops there (a clean mark) and anything that stops it earlier is reported as such.
 * direct: read past the page cache (O_DIRECT) where possible. */
LUM_MUST_USE lum_status lum__wal_reader_open(struct lum__fs *fs, const uint8_t store_id[16],
                                             const struct lum__log_position *from,
                                             const struct lum__log_position *limit, bool direct,
                                             struct lum__wal_reader **out);
/* The next accepted record. LUM_END at the stop. Follows seals to successors, and at any place goes over to a segment
 * whose header says that the log was cut exactly here (origin 3; of several the highest epoch) before it looks at the
 * bytes. Only I/O errors are failures. */
LUM_MUST_USE lum_status lum__wal_reader_next(struct lum__wal_reader *reader, struct lum__wal_record *out);
/* Behind the last accepted record. Asked before each lum__wal_reader_next, it is where the log can be cut before that
 * record. */
void lum__wal_reader_position(const struct lum__wal_reader *reader, struct lum__log_position *out);
/* After LUM_END: probes behind the stop (not behind LUM__WAL_STOP_LIMIT: all there is dead) and tells all. */
LUM_MUST_USE lum_status lum__wal_reader_evidence(struct lum__wal_reader *reader, struct lum__wal_evidence *out);
void lum__wal_reader_close(struct lum__wal_reader *reader);

/* The segments in wal/ with readable headers, by number; for `lum wal`, verify, recycling. Files whose header cannot
 * be read are given to bad() (may be NULL) with lum__error_last() set. Caller frees *out. */
LUM_MUST_USE lum_status lum__wal_list(struct lum__fs *fs, const uint8_t *store_id, struct lum__wal_segment **out,
                                      size_t *count, lum_status (*bad)(void *context, const char *path), void *context);

#endif
