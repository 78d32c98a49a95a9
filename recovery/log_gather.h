/* recovery/log_gather.h - every record of the log that is still legible, whatever lies between: for salvage, and to
 * tell what a cut would lose. Unlike wal/reader.h it follows no chain and stops at nothing. */
#ifndef LUM_RECOVERY_LOG_GATHER_H
#define LUM_RECOVERY_LOG_GATHER_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/file.h"
#include "wal/format.h"

/* A hole in the log: records whose bytes cannot be understood. */
struct lum__log_gap {
    uint64_t sequence_first, sequence_last; /* that are missing */
    uint64_t segment, offset; /* behind the last legible record before it; segment 0: at the very beginning */
};

struct lum__log_gather_options {
    uint64_t sequence_min, sequence_max; /* of the records wanted; both ends included */
    uint64_t sequence_known; /* one that there was, by other evidence; 0: none. If the records end before it, that is a
                                gap */
    lum_status (*each)(void *context, const struct lum__wal_record *record); /* in ascending sequence */
    lum_status (*gap)(void *context, const struct lum__log_gap *gap);        /* may be NULL; in order with each() */
    void *context;
};

struct lum__log_gather_counts {
    uint64_t segments, segments_without_header;
    uint64_t records;
    uint64_t gaps;
    uint64_t watermark; /* the highest that any record bears */
};

/* Reads all of wal/. What a later segment's header says was cut is left out (format.md 3: dead), and so is what a later
 * use of the same sequences replaced. Segments without a readable header count by their name and the salt in their
 * records. Blocks that cannot be read count as illegible. A gap at the end is told if a watermark is above the last
 * record. Statuses: those of the callbacks, want of memory, I/O of listing. */
LUM_MUST_USE lum_status lum__log_gather(struct lum__fs *fs, const uint8_t store_id[16],
                                        const struct lum__log_gather_options *options,
                                        struct lum__log_gather_counts *counts);

#endif
