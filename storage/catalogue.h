/* storage/catalogue.h - which chunks and transactions are committed; its snapshots; the checkpoint file.
 *
 * The catalogue is a sequence of immutable versions. A reader pins one (a reference count), a commit publishes the next
 * one. Entries are only ever appended, so a version is (array, count): older versions share the array and never look
 * behind their count. One thread publishes (the sequencer, or recovery before it exists); any thread pins. */
#ifndef LUM_STORAGE_CATALOGUE_H
#define LUM_STORAGE_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/chunk.h"
#include "storage/file.h"
#include "storage/metadata.h"

/* A committed (or, in a checkpoint, open) transaction. */
struct lum__transaction {
    uint64_t transaction_id;
    uint64_t commit_sequence; /* 0 = open */
    uint64_t commit_timestamp;
    uint64_t lum_count;
    uint64_t chunk_count;
    uint32_t digest;
    bool data_synced;
    const char *label;             /* "" or a string owned by the catalogue */
    struct lum__metadata metadata; /* owned by the catalogue; successive transactions share equal items */
};

struct lum__catalogue;

/* An immutable version. Arrays are in scan order (commit sequence, ordinal) and commit order. */
struct lum__catalogue_version {
    const struct lum__chunk_entry *chunks;
    size_t chunk_count;
    const struct lum__transaction *transactions;
    size_t transaction_count;
    uint64_t lum_count;
    uint64_t data_bytes;
    uint64_t last_commit_sequence;
    uint32_t digest; /* over all LUM checksums in scan order */
};

LUM_MUST_USE lum_status lum__catalogue_create(struct lum__catalogue **out);
void lum__catalogue_destroy(struct lum__catalogue *catalogue); /* no pins may be left */
/* Appends one committed transaction and its chunks (any order; sorted by ordinal here; commit_sequence is set here) and
 * publishes atomically. Checks that count, rows and combined digest are the transaction's and that its sequence is
 * behind the last one, else LUM_ERR_CORRUPT and nothing happens. Label and metadata are copied. */
LUM_MUST_USE lum_status lum__catalogue_commit(struct lum__catalogue *catalogue,
                                              const struct lum__transaction *transaction,
                                              struct lum__chunk_entry *chunks, size_t chunk_count);
/* The newest version, pinned. Any thread. */
const struct lum__catalogue_version *lum__catalogue_pin(struct lum__catalogue *catalogue);
void lum__catalogue_unpin(struct lum__catalogue *catalogue, const struct lum__catalogue_version *version);
/* The newest committed transaction of a label, NULL if none. Lent while the catalogue lives. Any thread. */
const struct lum__transaction *lum__catalogue_find_label(struct lum__catalogue *catalogue, const char *label);

/* Digest of chunks in order: combine of their lum digests. */
uint32_t lum__catalogue_digest(uint32_t digest, const struct lum__chunk_entry *chunks, size_t chunk_count);

/* --- the checkpoint file --- */

/* A place in the log: where the record `sequence` + 1 would begin. */
struct lum__log_position {
    uint64_t segment;
    uint64_t offset;
    uint64_t sequence;        /* last sequence before this place */
    uint32_t last_header_crc; /* of that record; 0 if the segment holds none */
};

/* An open transaction, as a checkpoint carries it. */
struct lum__open_transaction {
    uint64_t transaction_id;
    struct lum__chunk_entry *chunks;
    size_t chunk_count;
    size_t chunk_capacity;
};

struct lum__checkpoint {
    uint8_t store_id[16];
    uint64_t number;
    uint64_t epoch;
    uint64_t timestamp;
    struct lum__log_position replay; /* replay.sequence = covered sequence S */
    uint64_t next_data_segment;
    uint64_t next_wal_segment;
    uint32_t body_crc;                  /* filled by write and read */
    bool is_read_only;                  /* filled by read: it has features that allow reading only */
    struct lum__open_transaction *open; /* owned by the caller on write; by the checkpoint after read */
    size_t open_count;
};

/* Writes checkpoint-N: temporary -> write -> sync -> rename -> sync directory. The caller has synced all that it
 * covers. After a failure the checkpoint may be there all the same if the status is LUM_ERR_SYNC (final, as ever); else
 * it is not. */
LUM_MUST_USE lum_status lum__checkpoint_write(struct lum__fs *fs, struct lum__checkpoint *checkpoint,
                                              const struct lum__catalogue_version *version);
/* Reads and checks checkpoint-N; fills an empty catalogue (after a failure it may be partly filled: destroy it).
 * LUM_ERR_CORRUPT, _UNSUPPORTED, _FOREIGN, _NOT_FOUND. store_id NULL: any. The caller finishes *out. */
LUM_MUST_USE lum_status lum__checkpoint_read(struct lum__fs *fs, uint64_t number, const uint8_t *store_id,
                                             struct lum__checkpoint *out, struct lum__catalogue *catalogue);
void lum__checkpoint_fini(struct lum__checkpoint *checkpoint);
/* The numbers of the checkpoint files in the store, newest first; at most max. Names only, nothing is read. */
LUM_MUST_USE lum_status lum__checkpoint_list(struct lum__fs *fs, uint64_t *numbers, size_t max, size_t *count);

#endif
