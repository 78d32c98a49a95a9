/* lum.h - bulk, durable, verifiable storage of LUM records. The whole public face of liblum (with lum/status.h).
 *
 * Read it from top to bottom: record, group, store, loading, transactions, reading, upkeep, the log, errors.
 *
 *     lum_options options = LUM_OPTIONS_INIT;
 *     lum_store *store;
 *     if (lum_open("cities.lum", &options, &store) != LUM_OK) ...lum_last_error()...
 *     lum_load(store, &source, &load_options, &report);     // durable when it returns LUM_OK
 *     lum_scan_open(store, &scan_options, &scan); while (lum_scan_next_rows(scan, &rows, &count) == LUM_OK) ...
 *     lum_close(store);
 *
 * Rules that hold everywhere:
 *  - Status is the return value; outputs come last and are set to NULL/0 on entry. lum_last_error() has the whole story.
 *  - Structs that begin with struct_version are initialised by their ..._INIT macro and may grow in later versions.
 *  - A store may be used by any number of threads; a transaction, a scan, a group or a log cursor by one thread at a time.
 *  - "written": the write completed. "durable": a later sync, with everything before it, returned success.
 *  - Strings are UTF-8, times are nanoseconds since the Unix epoch, sizes are bytes, unless said otherwise.
 * Every function blocks at most for the input and output that its description names. */
#ifndef LUM_LUM_H
#define LUM_LUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lum/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------------------------------------------- version */

#define LUM_VERSION_MAJOR 0
#define LUM_VERSION_MINOR 1
#define LUM_VERSION_PATCH 0
#define LUM_VERSION_STRING "0.1.0"

/* The version of the library at run time, "major.minor.patch". A static string. */
LUM_PUBLIC const char *lum_version(void);

/* ----------------------------------------------------------------------------------------------------- record */

/* What a LUM's structure_type may be. On disk, never renumber. */
enum lum_structure_type {
    LUM_STRUCTURE_LINEAR = 0,
    LUM_STRUCTURE_CIRCULAR = 1,
    LUM_STRUCTURE_BINARY = 2,
    LUM_STRUCTURE_GROUP = 3,
    LUM_STRUCTURE_COMPRESSED = 4,
    LUM_STRUCTURE_NODE = 5,
    LUM_STRUCTURE_TYPE_MAX = 5
};

/* One LUM: 40 bytes in memory and in the raw file format, little-endian, no padding. Several records may have one id: they
 * are versions of it, the one committed last is the newest, and is_destroyed = 1 hides the earlier ones. */
typedef struct lum_t {
    uint64_t id;             /* chosen by the user */
    uint64_t timestamp;      /* nanoseconds since the Unix epoch */
    uint64_t memory_address; /* where the LUM lived when it was made: stored verbatim, never followed */
    int32_t position_x;
    int32_t position_y;
    uint32_t checksum;       /* lum_record_checksum(); 0 is fine where a source does not supply checksums */
    uint8_t presence;        /* 0 or 1 */
    uint8_t structure_type;  /* enum lum_structure_type */
    uint8_t is_destroyed;    /* 0, or 1 for a tombstone */
    uint8_t reserved;        /* 0 */
} lum_t;

/* Names of the columns; also the bits of column sets. On disk, never renumber. */
enum lum_column {
    LUM_COLUMN_ID = 0,
    LUM_COLUMN_TIMESTAMP = 1,
    LUM_COLUMN_MEMORY_ADDRESS = 2,
    LUM_COLUMN_POSITION_X = 3,
    LUM_COLUMN_POSITION_Y = 4,
    LUM_COLUMN_PRESENCE = 5,
    LUM_COLUMN_STRUCTURE_TYPE = 6,
    LUM_COLUMN_IS_DESTROYED = 7,
    LUM_COLUMN_COUNT = 8 /* the checksum is computed, not stored; `reserved` is always 0 */
};

/* Rows by column. Arrays of the same length; as an input, a NULL array means the default (presence 1, everything else 0);
 * as an output, every array is there. */
typedef struct lum_columns {
    const uint64_t *id;
    const uint64_t *timestamp;
    const uint64_t *memory_address;
    const int32_t *position_x;
    const int32_t *position_y;
    const uint8_t *presence;
    const uint8_t *structure_type;
    const uint8_t *is_destroyed;
    const uint32_t *checksum; /* output only */
} lum_columns;

/* CRC-32C (RFC 3720) of the record's 40 bytes in memory order, with the checksum field taken as zero. Any thread. */
LUM_PUBLIC uint32_t lum_record_checksum(const lum_t *record);

/* ------------------------------------------------------------------------------------------------------ group */

/* A growable array of LUMs in memory. */
typedef struct lum_group_t lum_group_t;

/* A new, empty group with room for `capacity` records (0 is fine). NULL when memory is out. The caller destroys it. */
LUM_PUBLIC lum_group_t *lum_group_create(size_t capacity);
/* Appends a copy of *record. LUM_ERR_NO_MEMORY leaves the group as it was. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_group_add(lum_group_t *group, const lum_t *record);
/* Appends copies of `count` records, all or none. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_group_add_many(lum_group_t *group, const lum_t *records, size_t count);
/* The record at index, NULL beyond the end. Lent until the next add or destroy. */
LUM_PUBLIC const lum_t *lum_group_get(const lum_group_t *group, size_t index);
LUM_PUBLIC size_t lum_group_size(const lum_group_t *group);
/* All records, in order; NULL while the group has none. Lent until the next add or destroy. */
LUM_PUBLIC const lum_t *lum_group_data(const lum_group_t *group);
/* NULL is fine. */
LUM_PUBLIC void lum_group_destroy(lum_group_t *group);

/* ------------------------------------------------------------------------------------------------------ store */

/* An open store: a directory that only liblum writes to. */
typedef struct lum_store lum_store;

enum { LUM_CHUNK_LUMS_MIN = 4096, LUM_CHUNK_LUMS_DEFAULT = 262144, LUM_CHUNK_LUMS_MAX = 1048576 };

/* What a commit that was acknowledged (it returned LUM_OK, or on_commit was called) has behind it, and so what may be lost of it. A process
 * kill (SIGKILL, a crash, out of memory) leaves what was written to the operating system; a power cut, a reset or a kernel's crash leaves only
 * what was synced.
 *
 * In every mode: after either there are whole transactions, a prefix of commit order, and the store opens. What was told to be durable
 * (lum_receipt.durable, lum_load_event.durable, lum_wait_durable, lum_sync, durable_sequence) is never lost, nor is what was acknowledged
 * before a lum_checkpoint that succeeded. After a lum_close that returned LUM_OK everything is durable. */
enum lum_sync_mode {
    /* Acknowledged = synced. A process kill loses nothing acknowledged, a power cut neither. (lum_txn_commit_async does not wait for its sync.) */
    LUM_SYNC_COMMIT = 0,
    /* Acknowledged = written, chunks and log; a sync that covers it is begun within sync_interval_ms. A process kill loses nothing acknowledged.
     * A power cut loses at most what was acknowledged in the last sync_interval_ms, and while the sync that was due then was on its way. */
    LUM_SYNC_INTERVAL = 1,
    /* Acknowledged = written, chunks and log. A process kill loses nothing acknowledged. A power cut may lose everything since the last sync, and
     * there is one only at lum_sync, lum_wait_durable, a checkpoint (lum_checkpoint, or by itself: checkpoint_wal_bytes, max_recovery_ms, full
     * memory for small transactions), a change of the log segment, and the close. For data that can be loaded again. */
    LUM_SYNC_NONE = 2
};

/* The disk is full: what lum_options.on_full is told. */
typedef struct lum_full_data {
    const char *file;               /* that could not grow, relative to the store; lent during the call */
    uint64_t bytes_needed;          /* at least */
    int os_errno;                   /* ENOSPC or EDQUOT */
    uint32_t attempt;               /* tries that failed so far, from 1 */
    bool is_over;                   /* the last try got through: nothing is asked, the answer does not matter */
} lum_full_data;

/* How to open a store. Set by LUM_OPTIONS_INIT; 0 always means "the default". */
typedef struct lum_options {
    uint32_t struct_version;
    bool create;                    /* make the store if it is not there (default false) */
    bool read_only;                 /* default false; several readers run beside one writer */
    bool no_recovery;               /* with a writer: fail with LUM_ERR_NEEDS_RECOVERY instead of recovering (default false) */
    bool force_filesystem;          /* write on a remote file system all the same (default false) */
    uint32_t threads;               /* producers, scan and recovery workers; default the CPUs this process may use */
    uint32_t chunk_lums;            /* rows of a chunk, a multiple of 4,096; default 262,144 */
    uint64_t memory_bytes_max;      /* default 128 MiB, or 48 MiB a thread where that is more */
    enum lum_sync_mode sync_mode;   /* default LUM_SYNC_COMMIT */
    uint32_t sync_interval_ms;      /* for LUM_SYNC_INTERVAL; default 100 */
    uint64_t wal_segment_bytes;     /* size of a log segment, a multiple of 4,096, 64 KiB .. 1 GiB; default 4 MiB */
    uint64_t data_segment_bytes_max;/* size at which a new data segment is begun; default 1 GiB */
    uint64_t checkpoint_wal_bytes;  /* log since the last checkpoint at which one is taken by itself; default 64 MiB */
    uint32_t max_recovery_attempts; /* default 3 */
    /* Asked when the disk has no room for a chunk, for log, or for the checkpoint of lum_close(), before anything of it was written: true tries again, so
     * it waits as long as it likes before it returns; false (or NULL, the default) fails with LUM_ERR_NO_SPACE. Any thread, several at the same time;
     * while it waits for log the store's other commits wait too. Never call the store from it. Not asked by lum_open() (open again), by
     * lum_checkpoint(), nor where a write or a sync has failed: that cannot be tried again. */
    bool (*on_full)(void *context, const lum_full_data *full);
    void *on_full_context;
    /* A checkpoint is taken by itself as soon as a recovery would take longer than this by estimate: bytes of log and of committed chunks since the last
     * one, by the rate that this opening's own recovery had, or 200 MB/s where there was none to measure. Default 10,000 */
    uint32_t max_recovery_ms;
} lum_options;
#define LUM_OPTIONS_INIT { .struct_version = 1 }

/* Opens the store in `directory`: locks it, reads its state, recovers if it was not closed cleanly (in parallel; see
 * lum_recovery_info for what it did), and marks it running. A store that does not exist is made if options->create.
 * Statuses: LUM_ERR_NOT_FOUND, LUM_ERR_BUSY (a writer has it; the message names its pid), LUM_ERR_NEEDS_PERSON (recovery refused
 * or gave up), LUM_ERR_CORRUPT, LUM_ERR_UNSUPPORTED, LUM_ERR_FOREIGN, LUM_ERR_FILESYSTEM, LUM_ERR_MEMORY_LIMIT, I/O ones.
 * Blocks for the recovery. The caller closes the store. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_open(const char *directory, const lum_options *options, lum_store **out);

/* Waits for work in flight, syncs, takes a checkpoint, gives unused space back and marks the store clean. The handle is gone
 * whatever the status; on an error the next opening recovers, and nothing acknowledged is lost. NULL is fine. */
LUM_PUBLIC lum_status lum_close(lum_store *store);

/* Makes everything written before the call durable; *durable_sequence (may be NULL) tells up to where. Blocks for a sync. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_sync(lum_store *store, uint64_t *durable_sequence);

/* Takes a checkpoint now: makes restarting fast and lets old log be recycled. Blocks for its writes and syncs. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_checkpoint(lum_store *store);

enum lum_store_state {
    LUM_STATE_NORMAL = 0,
    LUM_STATE_CRASH_DETECTED = 1,
    LUM_STATE_RECOVERING = 2,
    LUM_STATE_RECOVERED = 3,
    LUM_STATE_FAILED = 4
};
LUM_PUBLIC const char *lum_store_state_name(enum lum_store_state state); /* "normal", "crash_detected", ... */

/* What is in a store. */
typedef struct lum_info_data {
    uint32_t struct_version;
    uint8_t store_id[16];
    uint32_t format_version;
    enum lum_store_state state;
    bool needs_recovery;            /* opened read-only after an unclean end: log replayed in memory */
    uint64_t lum_count;
    uint64_t chunk_count;
    uint64_t transaction_count;     /* committed */
    uint64_t bytes_on_disk;         /* allocated blocks of all files */
    uint64_t data_bytes;            /* bytes of committed chunks */
    uint64_t last_sequence;
    uint64_t durable_sequence;
    uint64_t checkpoint_sequence;
    uint64_t checkpoint_number;
    uint32_t digest;                /* CRC-32C over all LUM checksums in scan order */
    /* What readers hold back: checkpoints older than the two that are kept, and the log before those. The first checkpoint without a reader gives it back. */
    uint64_t held_bytes;            /* 0: nothing */
    uint64_t held_since_checkpoint; /* the oldest of them */
    uint64_t held_since_timestamp;  /* its wall clock */
} lum_info_data;
#define LUM_INFO_INIT { .struct_version = 1 }
LUM_PUBLIC LUM_MUST_USE lum_status lum_info(lum_store *store, lum_info_data *out);

/* A committed transaction, as lum_transactions() tells it. */
typedef struct lum_transaction_data {
    uint64_t transaction_id;
    uint64_t commit_sequence;
    uint64_t commit_timestamp;      /* wall clock of the commit, a label only */
    uint64_t lum_count;
    uint64_t chunk_count;
    uint32_t digest;                /* CRC-32C over the LUM checksums in source order: the same for any threads and chunk size */
    const char *label;              /* "" if none; lent during the call */
    const char *mapping;            /* what lum_load was given; "" if nothing; lent during the call */
    const char *source_names;       /* likewise */
    /* A checkpoint makes one entry, a run, of consecutive small transactions (lum_txn_commit): more than 1 is how many. Its transaction_id is the first
     * one's, commit_sequence and time are the last one's. */
    uint64_t run_count;
    uint64_t first_sequence;        /* commit sequence of a run's first transaction, else commit_sequence */
    bool is_in_run;                 /* one of the run before it, told because it has a label: its rows are counted there */
} lum_transaction_data;
/* Calls each() for every committed transaction in commit order; stops at the first status that is not LUM_OK and returns it. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_transactions(lum_store *store,
                                                    lum_status (*each)(void *context, const lum_transaction_data *transaction),
                                                    void *context);

/* Counters of an open store since it was opened. */
typedef struct lum_stats_data {
    uint32_t struct_version;
    uint64_t sync_count;            /* fdatasync calls, data and log */
    uint64_t batch_count;
    uint64_t commit_count;
    uint64_t log_bytes_written;
    uint64_t data_bytes_written;
    uint64_t pool_wait_ns;          /* producers waiting for a buffer */
    uint64_t producer_write_wait_ns;/* producers waiting for the disk */
    uint64_t memory_bytes_peak;     /* resident set of the process */
    uint64_t allocator_bytes;       /* jemalloc's "allocated" where linked, else 0 */
    const char *io_mode;            /* "direct+uring", "direct+posix", "buffered+posix"...; static */
    const char *simd_level;         /* "avx512", "avx2", "baseline"; static */
    char fs_type[16];
    uint32_t threads;
    uint32_t chunk_lums;
    uint64_t memory_bytes_max;
    bool others_may_write;          /* group or others may write the store's directory, or somebody else owns it */
} lum_stats_data;
#define LUM_STATS_INIT { .struct_version = 1 }
LUM_PUBLIC LUM_MUST_USE lum_status lum_stats(lum_store *store, lum_stats_data *out);

/* ---------------------------------------------------------------------------------------------------- loading */

#define LUM_ROWS_UNKNOWN UINT64_MAX

/* A consecutive part of a source's rows, worked on by one worker. */
typedef struct lum_piece {
    uint64_t first_row; /* row number, from 0, of the piece's first row in this source, refused rows counted */
    uint64_t row_count; /* rows of the input in it: fill() gives as many, less those that the source refuses. LUM_ROWS_UNKNOWN (then at most
                         * the rows_max of open_piece): only for a source that refuses none */
} lum_piece;

/* Where rows come from. lum calls open_piece() from one worker at a time and in source order; it calls fill() or fill_columns()
 * of different workers' pieces at the same time. A source that knows its rows by number (a generator, an array) hands out pieces
 * and computes; a stream reads in open_piece() and parses in fill(). Each worker has at most one piece; it is over when fill()
 * answers *row_count = 0 or when piece.row_count rows were given. A source may refuse rows and go on: it gives the others only, and tells how
 * many it refused in account(). */
typedef struct lum_source {
    uint32_t struct_version;
    void *context;
    const char *name;          /* for messages: a file name, or "generator" */
    uint64_t row_count;        /* in total, or LUM_ROWS_UNKNOWN; for progress and the space check */
    bool has_checksums;        /* the rows' checksum fields are filled in and must match */
    /* Gives worker its next piece of at most rows_max rows. LUM_END when there are no more. */
    lum_status (*open_piece)(void *context, uint32_t worker, uint64_t rows_max, lum_piece *out);
    /* Fills up to rows_max (a page's worth) of the worker's piece. An error (LUM_ERR_INPUT with lum_source_fail()) ends the load. */
    lum_status (*fill)(void *context, uint32_t worker, lum_t *rows, size_t rows_max, size_t *row_count);
    /* Instead of fill, NULL if not offered: columns lent until the worker's next call. Where fill is offered too, LUM_END answers that the rows of
     * the worker's piece come by fill (a chain of files of different formats). */
    lum_status (*fill_columns)(void *context, uint32_t worker, size_t rows_max, lum_columns *columns, size_t *row_count);
    /* May be NULL. Fills in what only the source knows: rows_read, rows_rejected, bytes_read of the report. Any time, any thread. */
    void (*account)(void *context, uint64_t *rows_read, uint64_t *rows_rejected, uint64_t *bytes_read);
} lum_source;
#define LUM_SOURCE_INIT { .struct_version = 1, .row_count = LUM_ROWS_UNKNOWN }

/* For a source's callbacks: records why the input was refused (file name, line or 0, byte offset, a sentence) as this thread's
 * error and returns LUM_ERR_INPUT. */
LUM_PUBLIC lum_status lum_source_fail(const char *file, uint64_t line, uint64_t offset, const char *message);

/* A durable commit during a load. */
typedef struct lum_load_event {
    uint64_t rows_committed;   /* rows of this source durable so far, refused ones counted: where a later load would go on */
    uint64_t sequence;
    uint64_t transaction_id;
    bool durable;
    uint64_t rows_loaded;      /* of rows_committed, those that are in the store */
} lum_load_event;

/* What before_commit wants kept with the commit: filled in by it, copied at once when it has returned. */
typedef struct lum_commit_note {
    const void *resume;        /* what a later load needs to go on behind this commit, opaque; NULL for nothing. lum_label_resume() answers it */
    size_t resume_bytes;       /* at most 16,384 */
    bool is_last;              /* told to before_commit: no transaction of this load comes behind this one */
} lum_commit_note;

/* A snapshot for progress displays. */
typedef struct lum_load_progress {
    uint64_t rows_written;     /* in chunks on disk */
    uint64_t rows_total;       /* or LUM_ROWS_UNKNOWN */
    uint64_t bytes_written;
    uint64_t durable_sequence;
    uint64_t elapsed_ns;
} lum_load_progress;

typedef struct lum_load_options {
    uint32_t struct_version;
    uint64_t commit_every;     /* rows of a transaction, refused ones counted; 0: the whole load is one */
    /* Stored with every commit of the load and never forgotten; NULL for none; at most 255 bytes. A label is committed once: LUM_ERR_LABEL if it is in the
     * store already (unless label_after says which load this one goes on with), or if another load or transaction commits it meanwhile. A load with a label,
     * commit_every and before_commit ends with a transaction that may have no rows: the one whose note says is_last. */
    const char *label;
    /* After each durable commit, in commit order, from one thread at a time; the next is not reported before it returns. */
    void (*on_commit)(void *context, const lum_load_event *event);
    /* About ten times a second. Return false to cancel: what is committed stays, the rest is rolled back, LUM_ERR_CANCELLED. */
    bool (*on_progress)(void *context, const lum_load_progress *progress);
    void *callback_context;
    /* Before the commit of each transaction of the load, in commit order, one call at a time: all of its rows were given and its chunks written,
     * nothing of it is visible yet. What must not be missing once the commit is durable (a file of refused rows) is made durable here.
     * rows_end: rows of the source up to and with this transaction, refused ones counted. Any status but LUM_OK ends the load with that status,
     * and this transaction and all behind it are rolled back; even after LUM_OK the commit may still fail. Called by a worker without any lock
     * held, so it may block; fill() of other workers and on_commit of earlier transactions run beside it. */
    lum_status (*before_commit)(void *context, uint64_t rows_end, lum_commit_note *note);
    /* Texts for people, stored with every commit of the load and shown by lum_transactions(); NULL for none. Beyond 16 KiB they are cut. */
    const char *mapping;       /* how columns became fields */
    const char *source_names;  /* the input files, one a line */
    /* With a label that is in the store: the load goes on behind this transaction, which must be the newest with the label (lum_label_outcome()). The
     * source then gives what comes behind the rows committed so far. 0: the label is new. */
    uint64_t label_after;
} lum_load_options;
#define LUM_LOAD_OPTIONS_INIT { .struct_version = 1 }

/* rows_read = rows_loaded + rows_rejected + rows_skipped + rows_rolled_back, always, also after a failure. A refused row is counted as rejected
 * whatever became of the transaction it would have been in. Rows of a commit that is in doubt (LUM_IN_DOUBT) are counted as rolled back;
 * reopening may show them after all. */
typedef struct lum_load_report {
    uint32_t struct_version;
    uint64_t rows_read, rows_loaded, rows_rejected, rows_skipped, rows_rolled_back;
    uint64_t bytes_read;       /* of input, where the source knows */
    uint64_t bytes_written;    /* of chunks */
    uint64_t chunk_count;
    uint64_t commit_count;
    uint64_t transaction_id;   /* of the last committed transaction, 0 if none */
    uint64_t commit_sequence;  /* its sequence */
    bool durable;              /* the last commit is durable */
    uint32_t digest;           /* of the last committed transaction */
    uint64_t elapsed_ns;
} lum_load_report;
#define LUM_LOAD_REPORT_INIT { .struct_version = 1 }

/* Loads everything a source has, with options.threads of lum_open as workers. One transaction, or one every commit_every rows in
 * source order. When it returns LUM_OK every row is committed (and durable, in LUM_SYNC_COMMIT). On failure nothing of the
 * uncommitted part is ever visible; the report tells what was committed before. Several loads may run at once.
 * Statuses: LUM_ERR_INPUT, LUM_ERR_LABEL, LUM_ERR_NO_SPACE, LUM_ERR_CANCELLED, LUM_ERR_POISONED, LUM_IN_DOUBT, those of callbacks, I/O ones.
 * Blocks for the load. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_load(lum_store *store, const lum_source *source, const lum_load_options *options,
                                            lum_load_report *report);

/* How many bytes of data rows would take in a store, in chunks of chunk_lums (0: the default): encodes them in this thread's memory, as a load
 * would, and writes nothing. For estimates and their time. LUM_ERR_INPUT: a row that a load would refuse. Any thread. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_encoded_size(const lum_t *rows, size_t row_count, uint32_t chunk_lums, uint64_t *bytes);

/* ---------------------------------------------------------------------------------------------- transactions */

/* Rows that become visible and durable together. Any number of transactions, in any number of threads; each is used by one thread at a time.
 *
 *     lum_txn *txn;
 *     lum_receipt receipt = LUM_RECEIPT_INIT;
 *     if (lum_txn_begin(store, NULL, &txn) == LUM_OK && lum_txn_append(txn, rows, count) == LUM_OK) status = lum_txn_commit(txn, &receipt);
 *
 * Up to 16,384 rows (fewer with small log segments) go into the log with the commit: one write, one sync, shared with the commits of other threads. A
 * later checkpoint folds them into chunks. More rows are written as chunks, while they are appended. A row with is_destroyed = 1 is a
 * tombstone: it hides the earlier versions of its id. */
typedef struct lum_txn lum_txn;

typedef struct lum_txn_options {
    uint32_t struct_version;
    /* Stored with the commit and never forgotten; NULL for none; at most 255 bytes, copied. A label is committed once: who does not know whether a commit
     * got through gives the same label again and learns it. LUM_ERR_LABEL, of lum_txn_begin() or, where others try at the same time, of the commit:
     * it is committed; lum_label_outcome() has its receipt, whose digest and lum_count tell whether it was of the same rows. */
    const char *label;
} lum_txn_options;
#define LUM_TXN_OPTIONS_INIT { .struct_version = 1 }

/* What a commit answers. On a failure transaction_id is filled in all the same. */
typedef struct lum_receipt {
    uint32_t struct_version;
    uint64_t sequence;         /* place in the one order of commits; for lum_wait_durable() */
    uint64_t transaction_id;   /* for lum_txn_outcome() */
    bool durable;              /* a sync covered it already */
    uint32_t digest;           /* CRC-32C over the checksums of its rows, in order */
    uint64_t lum_count;
    uint64_t timestamp;        /* wall clock of the commit, a label only */
} lum_receipt;
#define LUM_RECEIPT_INIT { .struct_version = 1 }

/* Begins a transaction; nothing is written. options NULL: none. LUM_ERR_LABEL: the label is committed already. The caller ends it with commit or rollback, before it closes the store. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_txn_begin(lum_store *store, const lum_txn_options *options, lum_txn **out);
/* Its id, for lum_txn_outcome(). 0 for NULL. */
LUM_PUBLIC uint64_t lum_txn_id(const lum_txn *txn);
/* Adds copies of count rows, in order. checksum is checked where it is not 0. LUM_ERR_INPUT (a bad row: nothing of this call was added) leaves the
 * transaction usable; after any other failure it can only be rolled back. Blocks for the writing of a chunk now and then, and for a chunk buffer,
 * which loads share: never call it inside a callback of a load of the same store. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_txn_append(lum_txn *txn, const lum_t *rows, size_t count);
/* The same with all records of a group. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_txn_append_group(lum_txn *txn, const lum_group_t *group);
/* Commits, and consumes the transaction whatever the status. LUM_OK: every row is visible, and durable in LUM_SYNC_COMMIT (in the other modes: written,
 * so that a process kill loses nothing; see enum lum_sync_mode). LUM_IN_DOUBT: the log write was submitted and failed, ask lum_txn_outcome() after
 * reopening. Any other status: nothing of it is or ever becomes visible. receipt may be NULL. Blocks for a write and a sync, shared with others. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_txn_commit(lum_txn *txn, lum_receipt *receipt);
/* The same, but in every mode it returns when the commit is written and visible, not yet synced: a process kill loses nothing, a power cut may lose it and
 * all commits behind it. In LUM_SYNC_COMMIT it is synced with the next commit that waits, and a sync is begun after 10 ms at the latest; in the other
 * modes it is a commit like any other. lum_wait_durable() and lum_sync() wait for the sync. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_txn_commit_async(lum_txn *txn, lum_receipt *receipt);
/* Undoes it and gives its space back; consumes it. NULL is fine. */
LUM_PUBLIC lum_status lum_txn_rollback(lum_txn *txn);

/* Waits until the commit with this sequence, and all before it, are durable; asks for a sync where none is on its way. LUM_ERR_TIMEOUT after timeout_ns
 * (UINT64_MAX: no limit); LUM_ERR_POISONED if a sync failed: reopen, and ask lum_txn_outcome(). */
LUM_PUBLIC LUM_MUST_USE lum_status lum_wait_durable(lum_store *store, uint64_t sequence, uint64_t timeout_ns);

enum lum_outcome {
    LUM_OUTCOME_UNKNOWN = 0,      /* no such id was given out, or it is in doubt until the store is reopened, or its log is damaged */
    LUM_OUTCOME_COMMITTED = 1,
    LUM_OUTCOME_NOT_COMMITTED = 2 /* rolled back or lost in a crash; or, of an id of this opening, still open */
};
/* What became of a transaction, also of one from before a crash and of one that was folded long ago. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_txn_outcome(lum_store *store, uint64_t transaction_id, enum lum_outcome *out);
/* The newest committed transaction, or load, with this label. LUM_ERR_NOT_FOUND if there is none; in a store opened for reading whose log is
 * damaged (lum_verify), that says only that none is known in front of the damage. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_label_outcome(lum_store *store, const char *label, lum_receipt *out);
/* What before_commit had kept with the newest transaction of the label: *resume is NULL, *resume_bytes 0 if that is nothing. Lent until lum_close().
 * LUM_ERR_NOT_FOUND as lum_label_outcome(). Any thread. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_label_resume(lum_store *store, const char *label, const void **resume, size_t *resume_bytes);

/* ---------------------------------------------------------------------------------------------------- reading */

/* Both ends included. LUM_SCAN_OPTIONS_INIT selects everything. */
typedef struct lum_scan_options {
    uint32_t struct_version;
    uint64_t id_min, id_max;
    uint64_t timestamp_min, timestamp_max;
    int32_t x_min, x_max;
    int32_t y_min, y_max;
    /* Only the newest version of each id, and none of an id whose newest is a tombstone; still in scan order. The ranges then choose among those. All ids
     * are read first, by options.threads of lum_open; what that puts aside beyond memory_bytes_max goes to temporary files. Not for columns. */
    bool latest;
    const char *temporary_directory; /* for latest; NULL: $TMPDIR, else /var/tmp. 16 bytes for each row in the range of ids may be needed */
} lum_scan_options;
#define LUM_SCAN_OPTIONS_INIT                                                                                          \
    { .struct_version = 1, .id_max = UINT64_MAX, .timestamp_max = UINT64_MAX, .x_min = INT32_MIN, .x_max = INT32_MAX,  \
      .y_min = INT32_MIN, .y_max = INT32_MAX }

typedef struct lum_scan lum_scan;

/* What a scan did; pages_read < pages_total where the page minima and maxima allowed to skip. With latest: without the reading of ids before it. */
typedef struct lum_scan_counts {
    uint64_t rows_returned, rows_read;
    uint64_t chunks_total, chunks_read, pages_total, pages_read;
    uint64_t bytes_read;
} lum_scan_counts;

/* A scan of one snapshot: every version, tombstones too, in commit order, then input order. Pins the snapshot until closed. With latest it blocks for
 * the reading of all ids, and damage ends it: what a damaged page holds may hide anything; LUM_ERR_NO_SPACE for want of room for temporary files. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_scan_open(lum_store *store, const lum_scan_options *options, lum_scan **out);
/* The next rows (a page's worth at most, at least 1), lent until the next call on this scan. LUM_END after the last. Every row was verified; damage
 * is LUM_ERR_CORRUPT with file and offset, and the next call goes on behind the damaged page. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_scan_next_rows(lum_scan *scan, const lum_t **rows, size_t *row_count);
/* The same as columns (all rows of a page that has any in range; range options filter pages, not rows). LUM_ERR_ARGUMENT with latest. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_scan_next_columns(lum_scan *scan, lum_columns *columns, size_t *row_count);
LUM_PUBLIC void lum_scan_counts_get(const lum_scan *scan, lum_scan_counts *out);
LUM_PUBLIC void lum_scan_close(lum_scan *scan);

/* A page of rows in a parallel scan. position: the number, from 0, of rows[0] among all rows of the snapshot in scan order
 * (rows outside of the ranges counted). */
typedef lum_status (*lum_scan_visitor)(void *context, uint32_t worker, uint64_t position, const lum_t *rows, size_t row_count);
/* Scans with `threads` workers (0: as the store was opened): visit() is called concurrently, in no order. The first status other
 * than LUM_OK, from visit or from damage, ends the scan and is returned. counts may be NULL. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_scan_parallel(lum_store *store, const lum_scan_options *options, uint32_t threads,
                                                     lum_scan_visitor visit, void *context, lum_scan_counts *counts);

/* The same with columns, which need not be turned into rows: lent during the call, every row of a page that has any in range (as
 * lum_scan_next_columns). LUM_ERR_ARGUMENT with latest. */
typedef lum_status (*lum_scan_column_visitor)(void *context, uint32_t worker, uint64_t position, const lum_columns *columns,
                                              size_t row_count);
LUM_PUBLIC LUM_MUST_USE lum_status lum_scan_parallel_columns(lum_store *store, const lum_scan_options *options, uint32_t threads,
                                                             lum_scan_column_visitor visit, void *context, lum_scan_counts *counts);

/* Appends all rows of a scan to a group. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_scan_group(lum_store *store, const lum_scan_options *options, lum_group_t *group);

/* The newest version of an id. LUM_ERR_NOT_FOUND if there is none or the newest is a tombstone. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_get(lum_store *store, uint64_t id, lum_t *out);

/* --- what lies where --- */

/* A version of an id, as lum_where() tells it. */
typedef struct lum_version_data {
    lum_t record;
    uint64_t transaction_id;   /* of a run of small transactions (lum_transaction_data): the first one's */
    uint64_t commit_sequence;  /* of a run: the last one's */
    const char *file;          /* relative to the store; a log segment where the row was not folded into a chunk yet; lent during the call */
    uint64_t chunk_offset;     /* in the file, of the chunk, or of the log record */
    uint64_t page_offset;      /* in the file, of the page; of a log record: the same */
    uint64_t row;              /* in the chunk or record, from 0 */
    uint64_t position;         /* among all rows of the snapshot in scan order, from 0 */
} lum_version_data;
/* Calls each() for every version of an id, tombstones too, oldest first; stops at the first status that is not LUM_OK and returns it. LUM_ERR_NOT_FOUND if
 * there is none. Reads, with options.threads, the pages whose range of ids holds it; any damage there is a failure. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_where(lum_store *store, uint64_t id,
                                             lum_status (*each)(void *context, const lum_version_data *version), void *context);

enum { LUM_ENCODINGS_MAX = 16 };

/* How a column is stored. */
typedef struct lum_column_data {
    const char *name;          /* static */
    bool is_signed;            /* value_min and value_max are int64_t in two's complement */
    uint64_t value_min, value_max; /* value_min > value_max (both as they are compared): there is no row */
    uint64_t byte_count;       /* of its payloads; page headers and padding are not counted */
    uint64_t row_count;        /* stored in pages */
    /* By number, from 1 (docs/format.md section 6); name NULL: not known. page_count 0: not in use. */
    struct lum_encoding_data {
        const char *name;      /* static */
        uint64_t page_count, byte_count;
    } encodings[LUM_ENCODINGS_MAX];
} lum_column_data;
/* How the LUM_COLUMN_COUNT columns of all chunks are stored, in the order of enum lum_column. Rows that still lie in the log count for the values only.
 * Reads every page with options.threads and checks its CRC; damage is a failure. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_column_info(lum_store *store, lum_column_data out[LUM_COLUMN_COUNT]);

/* What is in a store, whatever the order of its rows. */
typedef struct lum_content_data {
    uint32_t struct_version;
    uint64_t lum_count;
    uint64_t tombstone_count;
    uint64_t digest[2];        /* sums, modulo 2^64, of two mixes of each row */
} lum_content_data;
#define LUM_CONTENT_INIT { .struct_version = 1 }
/* Two stores with the same content hold the same rows, each as often; different rows with the same digest do not happen by accident (docs/architecture.md),
 * but can be made on purpose. Reads everything with options.threads; damage is a failure. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_content(lum_store *store, lum_content_data *out);

/* ----------------------------------------------------------------------------------------------------- upkeep */

/* A problem found by lum_verify. */
typedef struct lum_finding {
    const char *file;      /* relative to the store; lent during the call */
    uint64_t offset;       /* in the file; UINT64_MAX if none */
    uint32_t condition;    /* number in docs/format.md's list, 0 if none */
    const char *what;      /* one sentence; lent during the call */
} lum_finding;

typedef struct lum_verify_report {
    uint32_t struct_version;
    uint64_t chunks_checked, lums_checked, wal_records_checked, files_checked, bytes_checked;
    uint64_t error_count;
} lum_verify_report;
#define LUM_VERIFY_REPORT_INIT { .struct_version = 1 }

/* Checks every byte of a store without changing any: state, checkpoints, log, chunks, every LUM; in parallel. Each problem goes to
 * on_finding (may be NULL; called from one thread at a time). LUM_OK if none was found, LUM_ERR_CORRUPT if any was.
 * Needs no open store and no write permission. A store that a writer has open is checked up to its durable sequence. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_verify(const char *directory, uint32_t threads,
                                              void (*on_finding)(void *context, const lum_finding *finding), void *context,
                                              lum_verify_report *report);

/* What the last opening (or lum_recover) found and did; all zero after a clean start. */
typedef struct lum_recovery_data {
    uint32_t struct_version;
    enum lum_store_state state;
    bool crash_detected;
    bool auto_recovery_enabled;
    uint32_t attempts, max_recovery_attempts;
    uint64_t crash_timestamp;      /* wall clock of the last sign of life before the crash, 0 if none */
    uint64_t recovery_timestamp;   /* wall clock when recovery ended */
    uint64_t last_checkpoint_sequence;
    uint64_t last_sequence;        /* the last one accepted */
    uint64_t wal_records_replayed;
    uint64_t transactions_committed, transactions_rolled_back;
    uint64_t chunks_verified, lums_verified;
    uint64_t tail_bytes_cut;
    bool unproven_tail;
    uint64_t recovery_time_ns;
    char verdict;                  /* letter of the row of the decision table (recovery/README.md) */
    char error_details[512];
    char wal_path[256], data_path[256];
} lum_recovery_data;
#define LUM_RECOVERY_INIT { .struct_version = 1 }
LUM_PUBLIC LUM_MUST_USE lum_status lum_recovery_info(lum_store *store, lum_recovery_data *out);

/* Opens, recovers if needed, closes cleanly, and reports. With dry_run nothing is written: *out says what would be done.
 * LUM_ERR_BUSY while a process has it open for writing, with dry_run too. out is filled as far as possible on failure too. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_recover(const char *directory, const lum_options *options, bool dry_run, lum_recovery_data *out);

/* A recovery of the past. */
typedef struct lum_recovery_entry {
    uint64_t recovery_timestamp;   /* wall clock of its end */
    uint64_t crash_timestamp;
    uint64_t recovery_time_ns;     /* up to the verdict */
    uint64_t last_sequence;        /* the last one accepted */
    uint64_t transactions_committed, transactions_rolled_back;
    uint64_t tail_bytes_cut;
    uint32_t attempts;             /* this one counted */
    char verdict;                  /* letter of the row of the decision table, 0 if it was not asked */
    const char *choice;            /* of guided recovery: "retry", "keep", "drop"; "" if nobody was asked; static */
    bool succeeded;                /* false: it ended in the state failed */
} lum_recovery_entry;
/* The last recoveries of a store (16 at most), newest first. Stops at the first status that is not LUM_OK and returns it. Needs no open store. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_recovery_history(const char *directory,
                                                        lum_status (*each)(void *context, const lum_recovery_entry *entry), void *context);

/* --- recovery that asks --- */

/* Something that is wrong with a store. Strings are lent during the call. */
typedef struct lum_recovery_finding {
    char row;                      /* of the decision table (recovery/README.md); '-': no row of it */
    const char *file;              /* relative to the store */
    uint64_t offset;               /* UINT64_MAX if none */
    uint32_t condition;            /* number in docs/format.md's lists, 0 if none */
    const char *what;              /* the evidence, one sentence */
    const char *verdict;           /* what follows from it */
} lum_recovery_finding;

/* A way out, and what it costs. */
typedef struct lum_recovery_choice {
    const char *name;              /* "keep", "drop", "state", "retry": one word; static */
    const char *action;            /* what would be done */
    uint64_t transactions_kept, lums_kept;
    uint64_t transactions_lost, lums_lost; /* that can be counted */
    bool is_loss_exact;            /* false: the log has holes, in which more may have been committed */
    uint64_t last_sequence;        /* of the store afterwards */
    bool are_ranges_known;         /* of ids and timestamps of the lost rows, both ends included */
    uint64_t id_min, id_max, timestamp_min, timestamp_max;
} lum_recovery_choice;

typedef struct lum_recovery_view {
    const lum_recovery_finding *findings;
    size_t finding_count;
    const lum_recovery_choice *choices; /* none: only lum_salvage helps */
    size_t choice_count;
    uint64_t backup_bytes;         /* that an emergency backup may need at most */
} lum_recovery_view;

typedef struct lum_guide {
    uint32_t struct_version;
    /* Called once if there is something to decide. The index of a choice, or -1: the store stays as it is. */
    int (*choose)(void *context, const lum_recovery_view *view);
    void *context;
    bool dry_run;                  /* ask, and change nothing */
    const char *backup_directory;  /* for the emergency backup, new or empty; NULL: STORE/emergency/TIME */
} lum_guide;
#define LUM_GUIDE_INIT { .struct_version = 1 }

typedef struct lum_guide_report {
    uint32_t struct_version;
    char choice[16];               /* that was made; "" if there was none to make */
    char backup_path[512];         /* of the emergency backup; "" if none was made */
    uint64_t backup_bytes;
    lum_recovery_data recovery;    /* what was done in the end */
} lum_guide_report;
#define LUM_GUIDE_REPORT_INIT { .struct_version = 1 }

/* Recovers a store that lum_recover refuses: examines it, asks guide->choose, copies all original bytes to a safe place, does what was chosen and
 * closes the store cleanly. A store that needs no decision is recovered as ever, without a question. May be killed at any point: until the choice
 * is carried out the next call finds the same, afterwards it is done.
 * Statuses: LUM_ERR_NEEDS_PERSON (nothing was chosen), LUM_ERR_CORRUPT (no choice would help), LUM_ERR_NO_SPACE (for the backup: nothing was done),
 * those of lum_open. Blocks for all of it. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_recover_guided(const char *directory, const lum_options *options, const lum_guide *guide,
                                                      lum_guide_report *report);

/* --- copies --- */

typedef struct lum_backup_options {
    uint32_t struct_version;
    bool raw;                      /* every file as it is, damage too, of a store that no writer has open (default false) */
    uint32_t threads;              /* 0: the CPUs this process may use */
    uint64_t memory_bytes_max;     /* 0: 64 MiB */
    /* From time to time, from one thread at a time: bytes copied and read back. Return false to cancel. May be NULL. */
    bool (*on_progress)(void *context, uint64_t bytes_done, uint64_t bytes_total);
    void *callback_context;
} lum_backup_options;
#define LUM_BACKUP_OPTIONS_INIT { .struct_version = 1 }

typedef struct lum_backup_report {
    uint32_t struct_version;
    uint8_t store_id[16];          /* of the store, and of its copy */
    uint64_t lum_count, chunk_count, transaction_count; /* in the copy; 0 with raw */
    uint64_t last_sequence;        /* the snapshot's: commits above it are not in the copy */
    uint32_t digest;               /* over all LUM checksums in scan order */
    uint64_t file_count;
    uint64_t bytes_copied;
    uint64_t bytes_shared;         /* blocks that both share (reflink): no bytes were moved */
    uint64_t bytes_unreadable;     /* raw: the disk did not give them; zeros in the copy */
    bool beside_writer;            /* a writer had the store open */
    bool was_crashed;              /* the store was not closed cleanly; the copy is */
    bool is_raw;
    uint64_t elapsed_ns;
} lum_backup_report;
#define LUM_BACKUP_REPORT_INIT { .struct_version = 1 }

/* Copies a store into `destination`, a directory that is empty or not there yet, while a writer may go on: all that was committed at one
 * moment, as a store that was closed cleanly, synced, and read back (every chunk, every LUM) before it is called a store: its STATE is made
 * last of all, so a copy that was cut off does not open. It keeps the store's id: a copy is the same store at an earlier moment, and files of
 * the two are never mixed. A crashed store is copied as recovery would leave it. After a failure nothing is left in the destination.
 * Statuses: LUM_ERR_EXISTS, LUM_ERR_NO_SPACE, LUM_ERR_CORRUPT (a damaged store: raw, lum_recover_guided or lum_salvage), LUM_ERR_BUSY (raw),
 * LUM_ERR_CANCELLED, LUM_ERR_NOT_FOUND, I/O ones. Needs no open store. Blocks for the copying. options may be NULL. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_backup(const char *directory, const char *destination, const lum_backup_options *options,
                                              lum_backup_report *report);

/* --- salvage --- */

/* A part of a damaged store that lum_salvage could not save. */
typedef struct lum_loss {
    const char *file;              /* relative to the store; lent during the call */
    uint64_t offset, byte_count;   /* of what is damaged; UINT64_MAX and 0 where there is no place to tell */
    uint64_t chunk_offset;         /* of the chunk it is a part of, 0 if it is none */
    uint32_t page_first, page_count; /* pages of that chunk; page_count 0: all of it */
    uint64_t transaction_id, commit_sequence; /* of the rows; 0 if not known */
    uint64_t first_row;            /* number, from 0, of the first lost row in its transaction; UINT64_MAX: not known */
    bool are_lums_known;           /* false for log that cannot be read: nobody knows what it committed */
    uint64_t lums_lost;
    bool are_ranges_known;         /* smallest and largest id and timestamp of the lost rows, both included */
    uint64_t id_min, id_max, timestamp_min, timestamp_max;
    uint64_t sequence_first, sequence_last; /* of log records that cannot be read, else 0 */
    const char *what;              /* one sentence; lent during the call */
} lum_loss;

typedef struct lum_salvage_options {
    uint32_t struct_version;
    const char *orphans;           /* a second new store for chunks that nothing says were committed; NULL: they are not looked for */
    uint32_t threads;              /* 0: the CPUs this process may use */
    uint64_t memory_bytes_max;     /* 0: as lum_options */
    void (*on_loss)(void *context, const lum_loss *loss); /* in commit order, from one thread; may be NULL */
    bool (*on_progress)(void *context, uint64_t lums_done, uint64_t lums_total); /* false: cancel; may be NULL */
    void *callback_context;
} lum_salvage_options;
#define LUM_SALVAGE_OPTIONS_INIT { .struct_version = 1 }

typedef struct lum_salvage_report {
    uint32_t struct_version;
    uint8_t store_id[16];          /* of the damaged store; the new one has an id of its own */
    uint64_t checkpoint_number;    /* the intact checkpoint that it began with, 0: none was intact */
    bool is_scanned;               /* checkpoints or log had holes, and all data segments were searched for chunks */
    uint64_t transactions_whole, transactions_damaged;
    uint64_t lums_saved;
    uint64_t lums_lost;            /* that are known of; there may be more where a loss has are_lums_known false */
    bool is_lost_count_exact;
    uint64_t loss_count;
    uint64_t orphan_chunks, orphan_lums; /* written to the second store */
    uint64_t elapsed_ns;
} lum_salvage_report;
#define LUM_SALVAGE_REPORT_INIT { .struct_version = 1 }

/* Writes everything intact that a checkpoint or a commit in the log names into a new store, transaction by transaction, in commit order, with
 * labels; page by page where chunks are damaged. Works without STATE, without any intact checkpoint, with segments missing. The damaged store is
 * only read: not a byte and not a time of it changes, and it may lie on read-only media. No writer may have it open.
 * LUM_OK: all was saved. LUM_ERR_CORRUPT: the new store is complete and closed, but something of the old one is lost (report, on_loss).
 * LUM_ERR_NOT_FOUND: nothing here is of a store. LUM_ERR_EXISTS: `destination` is not empty. LUM_ERR_BUSY, LUM_ERR_NO_SPACE, LUM_ERR_CANCELLED,
 * I/O ones: nothing is left in the destination. Blocks for all of it. options may be NULL. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_salvage(const char *directory, const char *destination, const lum_salvage_options *options,
                                               lum_salvage_report *report);

/* ---------------------------------------------------------------------------------------------------- the log */

typedef struct lum_wal lum_wal;

/* A log record, for people. */
typedef struct lum_wal_record {
    uint64_t sequence;
    const char *type;              /* "begin", "pages", "chunk", "commit", "rollback", "watermark", "seal", "checkpoint"; static */
    uint64_t transaction_id;
    uint64_t timestamp;
    uint64_t count;                /* rows, chunks or number, as the type says in docs/format.md */
    uint64_t watermark;
    uint32_t payload_bytes;
    const char *file;              /* lent until the next call */
    uint64_t offset;
} lum_wal_record;

/* Reads the log of a store, read-only, from its oldest record. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_wal_open(const char *directory, lum_wal **out);
/* LUM_END at the end of the log. LUM_ERR_CORRUPT (and the end) where it breaks off below its watermark. */
LUM_PUBLIC LUM_MUST_USE lum_status lum_wal_next(lum_wal *wal, lum_wal_record *out);
LUM_PUBLIC void lum_wal_close(lum_wal *wal);

/* ----------------------------------------------------------------------------------------------------- errors */

/* A thread's last failure. Strings are never NULL. */
typedef struct lum_error_data {
    lum_status status;
    int os_errno;                  /* 0 if no system call failed */
    const char *file;              /* "" if none */
    uint64_t line;                 /* of an input file, 0 if none */
    uint64_t offset;               /* UINT64_MAX if none */
    uint32_t condition;            /* number in docs/format.md's lists, 0 if none */
    const char *message;           /* one sentence */
    const char *remedy;            /* what to do, "" if there is nothing to say */
} lum_error_data;
/* The calling thread's last failure, also after a failed lum_open. Lent until the thread's next failing call. */
LUM_PUBLIC const lum_error_data *lum_last_error(void);

/* CPUs this process may use (affinity mask, cgroup quota): the default of options.threads. */
LUM_PUBLIC uint32_t lum_cpu_count(void);

#ifdef __cplusplus
}
#endif
#endif
