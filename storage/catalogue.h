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
    /* A run: what a fold made of run_count (2 or more) consecutive small transactions. transaction_id is the first one's, commit_sequence and time are
     * the last one's, the first one committed at commit_sequence - run_span. Else 0. */
    uint32_t run_count, run_span;
    bool is_member; /* one of the run before it that has a label: chunk_count 0, its rows are counted there */
};

struct lum__catalogue;

/* Ids of transactions, both ends included. */
struct lum__id_range {
    uint64_t first, last;
};

/* An immutable version. Arrays are in scan order (commit sequence, ordinal) and commit order. */
struct lum__catalogue_version {
    const struct lum__chunk_entry *chunks;
    size_t chunk_count;
    const struct lum__transaction *transactions;
    size_t transaction_count;   /* entries */
    uint64_t committed_count;    /* transactions, each of a run counted */
    const struct lum__id_range *folded_ids; /* of all that are in runs; ascending, none touches the next */
    size_t folded_id_count;
    size_t unfolded_count;      /* transactions whose rows lie in memory ... */
    uint64_t unfolded_bytes;    /* ... and what they cost of it */
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
/* The same for a small transaction: its rows (digest and count are the transaction's; copied) stay in memory until a fold. segment, offset: of its
 * pages record. */
LUM_MUST_USE lum_status lum__catalogue_commit_rows(struct lum__catalogue *catalogue, const struct lum__transaction *transaction, const lum_t *rows,
                                                   uint64_t segment, uint64_t offset);
/* The ids of the transactions that are in runs, after all runs are in (a checkpoint is read). Refuses what does not fit them: LUM_ERR_CORRUPT. */
LUM_MUST_USE lum_status lum__catalogue_set_folded_ids(struct lum__catalogue *catalogue, const struct lum__id_range *ranges, size_t count);
/* Is the transaction with this id committed in the version? */
bool lum__catalogue_has_id(const struct lum__catalogue_version *version, uint64_t transaction_id);
/* The newest version, pinned. Any thread. */
const struct lum__catalogue_version *lum__catalogue_pin(struct lum__catalogue *catalogue);
void lum__catalogue_unpin(struct lum__catalogue *catalogue, const struct lum__catalogue_version *version);
/* Folds that replaced chunks before the newest version, or before the oldest that is still pinned, was published. Any thread. */
uint64_t lum__catalogue_generation(struct lum__catalogue *catalogue, bool is_oldest);
/* The newest committed transaction of a label, NULL if none. Lent while the catalogue lives. Any thread. */
const struct lum__transaction *lum__catalogue_find_label(struct lum__catalogue *catalogue, const char *label);

/* --- folding: recovery/fold.c writes the chunks, the checkpoint makes them count --- */

/* transactions[first .. first + count) of a version, whose rows are now chunk_count chunks: foldable ones, and before them perhaps runs of earlier folds, whose
 * last chunks were small and are replaced. */
struct lum__fold_group {
    size_t first, count;
    size_t first_chunk; /* of its first transaction, in the version */
    size_t kept_count;  /* of the first transaction's chunks, that stay as they are before the new ones */
    size_t chunk_count;
};

/* Has it no chunk on disk and nothing but rows to say? first_chunk: index of its first chunk in the version. */
bool lum__transaction_is_foldable(const struct lum__catalogue_version *version, const struct lum__transaction *transaction, size_t first_chunk);
/* A label or metadata: then a fold keeps an entry of it beside its run. */
bool lum__transaction_says_something(const struct lum__transaction *transaction);
/* May the transaction, which follows the group's last one, join it? */
bool lum__fold_group_has_room(const struct lum__catalogue_version *version, const struct lum__fold_group *group,
                              const struct lum__transaction *transaction);

/* The ordinals of a fold's chunks begin so: the first chunk of another transaction is never number 1 (0, or a multiple of 2^20). */
enum { LUM__FOLD_ORDINAL_FIRST = 1 };
/* Was it made by a fold? Then a later one may join it with what follows. first_chunk: index of its first chunk in the version. */
bool lum__transaction_is_joinable(const struct lum__catalogue_version *version, const struct lum__transaction *transaction, size_t first_chunk);
/* Chunks on disk that `older` has, `newer` has not, and that overlap none of newer's; the caller frees. */
LUM_MUST_USE lum_status lum__catalogue_only_in(const struct lum__catalogue_version *older, const struct lum__catalogue_version *newer,
                                               struct lum__chunk_entry **out, size_t *count);

struct lum__catalogue_fold;
/* The version in which the groups of the newest one are folded; chunks: of all groups, back to back. Not published yet. Nothing may be committed
 * until it is published or discarded. */
LUM_MUST_USE lum_status lum__catalogue_fold_prepare(struct lum__catalogue *catalogue, const struct lum__fold_group *groups, size_t group_count,
                                                    const struct lum__chunk_entry *chunks, struct lum__catalogue_fold **out);
const struct lum__catalogue_version *lum__catalogue_fold_version(const struct lum__catalogue_fold *fold);
void lum__catalogue_fold_publish(struct lum__catalogue_fold *fold); /* cannot fail */
void lum__catalogue_fold_discard(struct lum__catalogue_fold *fold);

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
