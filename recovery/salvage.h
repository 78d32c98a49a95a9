/* recovery/salvage.h - what a damaged store still holds, read without changing a byte. Steps, with numbers:
 * recovery/README.md "Salvage". Finding (salvage_find.c) tells which transactions were committed and where their chunks
 * lie; reading (salvage_read.c) gives their rows page by page and takes down what is lost. Nothing here writes. */
#ifndef LUM_RECOVERY_SALVAGE_H
#define LUM_RECOVERY_SALVAGE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "lum/lum.h"
#include "storage/catalogue.h"
#include "storage/file.h"

/* A committed transaction, or (commit_sequence 0) the chunks of one that nothing says was committed. */
struct lum__salvage_transaction {
    uint64_t transaction_id, commit_sequence, commit_timestamp;
    char *mapping,
        *source_names;   /* what the commit says of itself, "" or NULL if nothing; the resume point is not kept */
    char *label;         /* "" if none or not known */
    bool is_count_known; /* the next two come from a commit record or an intact entry */
    uint64_t lum_count, chunk_count;
    uint64_t run_first; /* of a run (format.md 5): commit sequence of its first transaction; else 0 */
    bool is_member;     /* of a run, by a damaged checkpoint: only its label counts, its rows are the run's */
    size_t chunk_first, chunk_end; /* in salvage->chunks, by ordinal */
    const lum_t *rows;             /* of a small transaction, in the log; else NULL */
    uint32_t row_count;
};

/* What a pages record holds. */
struct lum__salvage_rows {
    uint64_t transaction_id;
    lum_t *rows; /* owned */
    uint32_t row_count;
};

struct lum__salvage_file {
    uint64_t segment;
    struct lum__file *file; /* NULL: it cannot be opened */
};

struct lum__salvage {
    struct lum__fs *fs;
    uint8_t store_id[16];
    struct lum__file *lock_file;
    struct lum__salvage_file *files; /* data segments, opened whatever their header says; under the mutex */
    size_t file_count, file_capacity;
    struct lum__salvage_transaction *transactions; /* committed, in commit order */
    size_t transaction_count, transaction_capacity;
    struct lum__salvage_transaction *orphans; /* not known to be committed, by id */
    size_t orphan_count, orphan_capacity;
    struct lum__chunk_entry *chunks;
    size_t chunk_count, chunk_capacity;
    struct lum__chunk_entry
        *scanned; /* every chunk with an intact header and directory in data/, if that was looked for */
    size_t scanned_count, scanned_capacity;
    struct lum__salvage_rows *rows; /* of small transactions, as the log has them, sorted by transaction */
    size_t rows_count, rows_capacity;
    uint64_t checkpoint_number; /* the intact one that was used; 0: none */
    uint64_t covered_sequence;  /* by it */
    bool is_scanned;
    pthread_mutex_t mutex;            /* guards files and losses while workers read */
    struct lum__salvage_loss *losses; /* of what is being read now, in no order */
    size_t loss_count, loss_capacity;
};

/* A part of the store that is lost. */
struct lum__salvage_loss {
    lum_loss face; /* its strings point into what follows, set when it is told */
    char file[LUM__PATH_BYTES_MAX];
    char what[200];
    uint32_t page_first, page_end; /* of a chunk whose directory is intact; 0, 0: all of the chunk */
};

/* LUM_ERR_NOT_FOUND: nothing here looks like a store. on_loss: of the log and of chunks whose place is not known; may
 * be NULL. want_orphans: look for chunks that nothing names. `fs` is only read, and stays the caller's. */
LUM_MUST_USE lum_status lum__salvage_open(struct lum__fs *fs, bool want_orphans, struct lum__salvage *out);
void lum__salvage_close(struct lum__salvage *salvage);

/* A loss that finding noted, in salvage->losses until they are taken. */
LUM_MUST_USE lum_status lum__salvage_note(struct lum__salvage *salvage, const struct lum__salvage_loss *loss);

/* The rows of one transaction as a source for lum_load: every page is verified as it is read, and what cannot be is
 * left out and noted as a loss. */
struct lum__salvage_source;
LUM_MUST_USE lum_status lum__salvage_source_open(struct lum__salvage *salvage,
                                                 const struct lum__salvage_transaction *transaction, uint32_t workers,
                                                 struct lum__salvage_source **out, lum_source *source);
void lum__salvage_source_close(struct lum__salvage_source *source);

/* Calls each() for the losses noted since the last call, sorted, neighbouring pages as one; then forgets them. */
LUM_MUST_USE lum_status lum__salvage_tell_losses(struct lum__salvage *salvage,
                                                 void (*each)(void *context, const lum_loss *loss), void *context,
                                                 uint64_t *lums_lost, uint64_t *loss_count);

/* What reading these chunks page by page would lose, without keeping a row: for findings. */
LUM_MUST_USE lum_status lum__salvage_count(struct lum__fs *fs, const uint8_t store_id[16],
                                           struct lum__chunk_entry *chunks, size_t chunk_count,
                                           void (*each)(void *context, const lum_loss *loss), void *context,
                                           uint64_t *lums_lost);

#endif
