/* wal/writer.h - appends batches of records to the log. No threads: the caller (the sequencer; recovery; a test) drives it.
 *
 * A batch is: lum__wal_append() for each record, lum__wal_write(), lum__wal_sync(). After a failed write or sync the writer is dead (every
 * later call answers LUM_ERR_POISONED): the caller poisons the store. Protocol, with numbers: wal/README.md. */
#ifndef LUM_WAL_WRITER_H
#define LUM_WAL_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/catalogue.h"
#include "storage/file.h"
#include "wal/format.h"

struct lum__wal_writer;

struct lum__wal_writer_options {
    struct lum__fs *fs;
    uint8_t store_id[16];
    uint64_t epoch;
    uint64_t segment_bytes;      /* of new segments; an existing one keeps the size in its header */
    uint64_t next_segment;       /* number for the next new segment; never used before */
    uint32_t batch_bytes_max;    /* room for one batch; at most segment_bytes - 8 KiB */
};

/* Goes on behind `position`, the end of a log that was closed cleanly. What lies there is overwritten: it is dead. */
LUM_MUST_USE lum_status lum__wal_writer_resume(const struct lum__wal_writer_options *options, const struct lum__log_position *position,
                                               struct lum__wal_writer **out);
/* Starts a new segment behind `position` (origin 3: the cut of a recovery; or origin 1 when position->segment is 0: the first of a
 * store). The header and the directory entry are synced when it returns. */
LUM_MUST_USE lum_status lum__wal_writer_start(const struct lum__wal_writer_options *options, const struct lum__log_position *position,
                                              struct lum__wal_writer **out);

/* Adds a record to the batch in memory: numbers it, stamps watermark and time. type, transaction_id, count and the type's payload fields are
 * the caller's. False if the batch is full (nothing added): write it, then append again. */
bool lum__wal_append(struct lum__wal_writer *writer, struct lum__wal_record *record);
/* Bytes in the batch, and the sequence that the next appended record would get. */
uint32_t lum__wal_batch_bytes(const struct lum__wal_writer *writer);
uint64_t lum__wal_next_sequence(const struct lum__wal_writer *writer);
/* Makes room for the batch, before anything of it is written: rotates if it does not fit into the segment (successor made and synced, seal
 * written and synced). LUM_ERR_NO_SPACE: nothing of the batch was written, the batch is dropped and its numbers are taken back; the writer lives. */
LUM_MUST_USE lum_status lum__wal_reserve(struct lum__wal_writer *writer);
/* Writes the batch (after lum__wal_reserve). Afterwards it is empty. A failure kills the writer. */
LUM_MUST_USE lum_status lum__wal_write(struct lum__wal_writer *writer);
/* Syncs what was written. On success everything written so far is durable and later records carry it as watermark. A failure kills the writer. */
LUM_MUST_USE lum_status lum__wal_sync(struct lum__wal_writer *writer);

uint64_t lum__wal_written_sequence(const struct lum__wal_writer *writer);
uint64_t lum__wal_durable_sequence(const struct lum__wal_writer *writer);
/* Where the next batch begins; covers everything written. */
void lum__wal_position(const struct lum__wal_writer *writer, struct lum__log_position *out);
uint64_t lum__wal_next_segment(const struct lum__wal_writer *writer);
uint64_t lum__wal_bytes_written(const struct lum__wal_writer *writer);
uint64_t lum__wal_sync_count(const struct lum__wal_writer *writer);
/* Segments whose number is below `segment` are not needed by any kept checkpoint: keeps one for recycling (unless copy-on-write), unlinks the rest, syncs
 * the directory. The caller makes sure that no reader may need them. keep_spare false: unlinks all. */
LUM_MUST_USE lum_status lum__wal_recycle(struct lum__wal_writer *writer, uint64_t segment, bool keep_spare);
/* Closes the file. Does not sync. */
lum_status lum__wal_writer_close(struct lum__wal_writer *writer);

#endif
