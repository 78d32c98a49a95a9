/* wal/writer.h - appends batches of records to the log. No threads: the caller (the sequencer; recovery; a test) drives
 * it. Protocol, with numbers: wal/README.md.
 *
 *   lum__wal_writer_start / _resume
 *        |
 *        v                 lum__wal_append            lum__wal_write
 *      open  ---------------------------->  building  ----------------->  written
 *      | ^  batch empty, all durable        batch in memory only,         batch empty, written > durable
 *      | |                                  its numbers are final         (append leads to building again)
 *      | |                                                                   |
 *      | +---------------------------- lum__wal_sync: durable = written -----+
 *      | +---------------------------- lum__wal_reserve that rotates: its seal's sync does the same
 *      |
 *      +-- lum__wal_reserve: LUM_ERR_NO_SPACE: stays as it was, nothing numbered, nothing lost; may be tried again
 *
 *   any --a write, sync or (but for a full disk) rotation fails--> dead: every later call answers LUM_ERR_POISONED,
 * nothing is ever written again, half-written batches stay where they are (the reader judges them), the caller poisons
 * the store.
 *
 * In every state but dead: durable <= written < next sequence; one block behind the place of the next batch is free for
 * the seal.
 *
 * One round of a caller: lum__wal_reserve (batch empty), lum__wal_append until done or false, lum__wal_write; where
 * append said false, again from the top; at the end lum__wal_sync. */
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
    uint64_t segment_bytes;   /* of new segments; an existing one keeps the size in its header */
    uint64_t next_segment;    /* number for the next new segment; raised above every name in wal/ */
    uint32_t batch_bytes_max; /* room for one batch, a multiple of 4,096; at most segment_bytes - 8 KiB */
};

/* Goes on behind `position`, the end of a log that was closed cleanly. What lies there is overwritten: it is dead. */
LUM_MUST_USE lum_status lum__wal_writer_resume(const struct lum__wal_writer_options *options,
                                               const struct lum__log_position *position, struct lum__wal_writer **out);
/* Starts a new segment behind `position` (origin 3: the cut of a recovery; or origin 1 when position->segment is 0: the
 * first of a store; wal/ exists). First makes durable what was accepted up to position, by a reader opened with direct
 * I/O: its segment is synced, and rewritten with its own bytes where direct I/O does not work. When it returns, the new
 * header and its directory entry are synced. LUM_ERR_NO_SPACE leaves nothing behind. */
LUM_MUST_USE lum_status lum__wal_writer_start(const struct lum__wal_writer_options *options,
                                              const struct lum__log_position *position, struct lum__wal_writer **out);

/* Makes room, before anything is numbered: afterwards a batch of batch_bytes (at most batch_bytes_max; 0 = any
 * single record) fits into the current segment. Where it does not, rotates: successor made and synced, seal written
 * and synced (so everything written is durable and one sequence is used up). The batch must be empty.
 * LUM_ERR_NO_SPACE: nothing was written or numbered, the writer lives; any other failure kills it. */
LUM_MUST_USE lum_status lum__wal_reserve(struct lum__wal_writer *writer, uint32_t batch_bytes);
/* Would lum__wal_reserve(writer, batch_bytes) rotate, and so sync the log? */
bool lum__wal_must_rotate(const struct lum__wal_writer *writer, uint32_t batch_bytes);
/* Adds a record to the batch in memory: numbers it (record->sequence, final), stamps watermark, time and place. type,
 * transaction_id, count and the type's payload fields are the caller's; never LUM__WAL_SEAL. False if
 * the batch or the segment is full, or the writer dead (nothing added): write, reserve, append again. */
bool lum__wal_append(struct lum__wal_writer *writer, struct lum__wal_record *record);
/* Bytes in the batch, and the sequence that the next appended record gets (before lum__wal_reserve: unless that
 * rotates). */
uint32_t lum__wal_batch_bytes(const struct lum__wal_writer *writer);
uint32_t lum__wal_batch_bytes_max(const struct lum__wal_writer *writer); /* as it was opened */
uint64_t lum__wal_next_sequence(const struct lum__wal_writer *writer);
/* Writes the batch. Afterwards it is empty. An empty batch is fine, nothing happens. A failure kills the writer. */
LUM_MUST_USE lum_status lum__wal_write(struct lum__wal_writer *writer);
/* Syncs what was written (not what is still being built); nothing to sync: no call. On success everything written so
 * far is durable and records appended later carry it as watermark. A failure kills the writer. */
LUM_MUST_USE lum_status lum__wal_sync(struct lum__wal_writer *writer);

uint64_t lum__wal_written_sequence(const struct lum__wal_writer *writer);
uint64_t lum__wal_durable_sequence(const struct lum__wal_writer *writer);
/* Where the next batch begins; covers everything written. */
void lum__wal_position(const struct lum__wal_writer *writer, struct lum__log_position *out);
/* LUM_ERR_FOREIGN if the current segment's file has left its name. */
LUM_MUST_USE lum_status lum__wal_check_current(const struct lum__wal_writer *writer);
uint64_t lum__wal_next_segment(const struct lum__wal_writer *writer);
uint64_t lum__wal_bytes_written(const struct lum__wal_writer *writer);
uint64_t lum__wal_sync_count(const struct lum__wal_writer *writer);
/* Segments whose number is below `segment` (at most the current one's) are not needed by any kept checkpoint: keeps
 * one for recycling (unless copy-on-write), unlinks the rest, syncs the directory. The caller makes sure that no
 * reader may need them. keep_spare false: unlinks all. */
LUM_MUST_USE lum_status lum__wal_recycle(struct lum__wal_writer *writer, uint64_t segment, bool keep_spare);
/* Closes the file. Does not sync. */
lum_status lum__wal_writer_close(struct lum__wal_writer *writer);

#endif
