/* The order of a batch (pipeline/README.md, "A batch in eight steps"); the comments below name the steps.
 *
 * States of the sequencer: running --failed write or sync--> poisoned (answers every request with the first cause; never writes
 * again) ; running | poisoned --stop request--> stopped. There is no way back from poisoned: reopening runs recovery. A failed sync is final
 * because the kernel may have dropped the dirty pages and a second fsync would report success for data that is gone (pitfall 6). */
#include "pipeline/sequencer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/futex.h"
#include "base/memory.h"
#include "pipeline/ring.h"
#include "storage/segment.h"

enum {
    RING_CAPACITY = 4096,
    BATCH_REQUESTS_MAX = 4096,
    TRANSACTION_ID_EPOCH_SHIFT = 40,
};
enum { HEALTHY, BEING_POISONED, POISONED };
/* Chunks that nobody waits for yet are gathered up to this many bytes or this long before they are synced and logged. */
#define GATHER_BYTES_MAX (64u << 20)
#define GATHER_NS_MAX 50000000u
/* How long the ring must stay empty before the watermark record is written: a lone committer that comes back at once pays no second sync. */
#define IDLE_GRACE_NS 10000000u
#define NO_SPACE_PAUSE_NS 1000000000u
/* Rows of small transactions in one batch, and so by how much the row table may outgrow its limit. */
#define BATCH_ROW_BYTES_MAX (4u << 20)
/* Asynchronous commits that keep coming are synced at least so often. */
#define ASYNC_SYNC_NS 10000000u

/* A transaction that has logged a chunk and is neither committed nor rolled back. */
struct open_transaction {
    struct lum__open_transaction base;
    lum_status failed; /* a chunk of it could not be logged: it can only be rolled back */
};

struct lum__sequencer {
    /* immutable after start */
    struct lum__parts *parts;
    struct lum__file *lock_file;
    struct lum__sequencer_options options;
    struct lum__ring *ring;
    pthread_t thread;

    /* sequencer thread only */
    struct lum__request *batch_first, *batch_last;
    uint32_t batch_requests;
    uint64_t batch_data_bytes, batch_row_bytes;
    uint64_t batch_begin_ns;
    bool batch_is_urgent;
    bool batch_is_data_synced; /* every chunk of its commits was synced before their records */
    bool rows_are_refused;     /* the row table is full, and the disk too */
    bool may_wait;             /* for room in the log: what is being logged is a chunk or a commit */
    uint64_t fold_retry_ns;    /* not before, after a full disk */
    bool stop;
    uint64_t watermark_logged; /* watermark of the newest record in the log */
    uint64_t content_sequence; /* of the newest record that says something of a transaction; 0: none since the start */
    uint64_t last_sync_ns;
    uint64_t unsynced_since_ns; /* when the oldest record was published that is written and not synced; 0: there is none */
    uint64_t watermark_retry_ns; /* not before, after a full disk */
    uint64_t log_bytes_at_checkpoint;
    uint64_t chunk_bytes_since_checkpoint; /* of commits: a recovery would read and check them */
    uint64_t *dirty; /* data segments with chunks that were not synced yet */
    size_t dirty_count, dirty_capacity;
    struct open_transaction *open;
    size_t open_count, open_capacity;

    /* any thread, atomic; written by the sequencer thread only (but for next_transaction) */
    _Alignas(64) _Atomic uint64_t durable_sequence; /* S1: stored with release after the log sync; S2: readers load it with acquire */
    _Atomic uint64_t last_sequence;
    _Atomic uint64_t checkpoint_sequence, checkpoint_number;
    _Atomic uint64_t data_syncs, log_syncs, batches, commits, log_bytes;
    _Alignas(64) _Atomic uint64_t next_transaction;
    _Alignas(64) _Atomic uint32_t waiter_count;  /* D1: raised with seq_cst before durable_sequence is looked at; D2: looked at after it was stored */
    _Atomic uint32_t durable_event;              /* counts up when it rose while somebody waited, and when the store is poisoned */
    _Alignas(64) _Atomic uint32_t is_poisoned; /* P1: stored with release after poison_error; P2: readers load it with acquire */
    struct lum__error poison_error;
};

/* ------------------------------------------------------------------------------------------------- tickets, poison */

static void answer(struct lum__ticket *ticket, lum_status status)
{
    if (ticket == NULL) return;
    ticket->status = status;
    if (status != LUM_OK) {
        ticket->error = *lum__error_last();
        ticket->error.status = status; /* LUM_IN_DOUBT tells the cause in its message */
    }
    atomic_store_explicit(&ticket->is_done, 1, memory_order_release); /* T1 */
    lum__futex_wake_all(&ticket->is_done);
}

bool lum__ticket_is_done(struct lum__ticket *ticket)
{
    return atomic_load_explicit(&ticket->is_done, memory_order_acquire) != 0; /* T2 */
}

bool lum__ticket_wait(struct lum__ticket *ticket, uint64_t timeout_ns)
{
    uint64_t begin = lum__clock_monotonic_ns();
    while (!lum__ticket_is_done(ticket)) {
        uint64_t waited = lum__clock_monotonic_ns() - begin;
        if (timeout_ns != UINT64_MAX && waited >= timeout_ns) return false;
        lum__futex_wait(&ticket->is_done, 0, timeout_ns == UINT64_MAX ? UINT64_MAX : timeout_ns - waited);
    }
    if (ticket->status != LUM_OK) lum__error_restore(&ticket->error);
    return true;
}

static bool is_poisoned(struct lum__sequencer *sequencer)
{
    return atomic_load_explicit(&sequencer->is_poisoned, memory_order_relaxed) != HEALTHY; /* only the yes or no matters here */
}

static void wake_waiters(struct lum__sequencer *sequencer)
{
    atomic_fetch_add_explicit(&sequencer->durable_event, 1, memory_order_release); /* D3 */
    lum__futex_wake_all(&sequencer->durable_event);
}

/* Step F: the first cause stays; this thread's error is it. */
void lum__sequencer_poison(struct lum__sequencer *sequencer)
{
    uint32_t healthy = HEALTHY;
    /* relaxed: who wins publishes the cause below */
    if (!atomic_compare_exchange_strong_explicit(&sequencer->is_poisoned, &healthy, BEING_POISONED, memory_order_relaxed, memory_order_relaxed)) return;
    sequencer->poison_error = *lum__error_last();
    atomic_store_explicit(&sequencer->is_poisoned, POISONED, memory_order_release); /* P1 */
    wake_waiters(sequencer);
}

lum_status lum__sequencer_check(struct lum__sequencer *sequencer)
{
    uint32_t state = atomic_load_explicit(&sequencer->is_poisoned, memory_order_acquire); /* P2 */
    if (state == HEALTHY) return LUM_OK;
    /* The cause is being written down by another thread. Never LUM_OK: a commit would be answered so without being published. */
    if (state == BEING_POISONED) return lum__fail(LUM_ERR_POISONED, "a write or a sync failed just now, in another thread");
    struct lum__error error = sequencer->poison_error;
    error.status = LUM_ERR_POISONED;
    lum__error_restore(&error);
    return LUM_ERR_POISONED;
}

/* --------------------------------------------------------------------------------------- dirty segments, open transactions */

static lum_status mark_dirty(struct lum__sequencer *sequencer, uint64_t segment)
{
    for (size_t i = 0; i < sequencer->dirty_count; i++) {
        if (sequencer->dirty[i] == segment) return LUM_OK;
    }
    LUM_TRY(lum__grow((void **)&sequencer->dirty, &sequencer->dirty_capacity, sequencer->dirty_count + 1, sizeof *sequencer->dirty));
    sequencer->dirty[sequencer->dirty_count++] = segment;
    return LUM_OK;
}

static lum_status sync_dirty(struct lum__sequencer *sequencer)
{
    for (size_t i = 0; i < sequencer->dirty_count; i++) {
        LUM_TRY(lum__segments_sync(sequencer->parts->segments, sequencer->dirty[i]));
        atomic_fetch_add_explicit(&sequencer->data_syncs, 1, memory_order_relaxed);
    }
    sequencer->dirty_count = 0;
    return LUM_OK;
}

static struct open_transaction *find_open(struct lum__sequencer *sequencer, uint64_t transaction_id)
{
    for (size_t i = sequencer->open_count; i-- > 0;) { /* the newest is asked for most */
        if (sequencer->open[i].base.transaction_id == transaction_id) return &sequencer->open[i];
    }
    return NULL;
}

static lum_status add_open(struct lum__sequencer *sequencer, uint64_t transaction_id, struct open_transaction **out)
{
    LUM_TRY(lum__grow((void **)&sequencer->open, &sequencer->open_capacity, sequencer->open_count + 1, sizeof *sequencer->open));
    struct open_transaction *open = &sequencer->open[sequencer->open_count++];
    *open = (struct open_transaction){.base = {.transaction_id = transaction_id}, .failed = LUM_OK};
    *out = open;
    return LUM_OK;
}

static void remove_open(struct lum__sequencer *sequencer, struct open_transaction *open)
{
    free(open->base.chunks);
    *open = sequencer->open[--sequencer->open_count];
}

static void release_chunks(struct lum__sequencer *sequencer, const struct open_transaction *open)
{
    for (size_t i = 0; i < open->base.chunk_count; i++) {
        const struct lum__chunk_entry *chunk = &open->base.chunks[i];
        lum__segments_release(sequencer->parts->segments, chunk->segment, chunk->offset, chunk->byte_count);
    }
}

/* ------------------------------------------------------------------------------------------------------- logging */

static int compare_ordinals(const void *a, const void *b)
{
    uint64_t left = ((const struct lum__chunk_entry *)a)->ordinal, right = ((const struct lum__chunk_entry *)b)->ordinal;
    return left < right ? -1 : left > right;
}

static void publish_sequences(struct lum__sequencer *sequencer)
{
    struct lum__wal_writer *writer = sequencer->parts->writer;
    uint64_t durable = lum__wal_durable_sequence(writer);
    if (durable == lum__wal_written_sequence(writer)) sequencer->unsynced_since_ns = 0;
    else if (sequencer->unsynced_since_ns == 0) sequencer->unsynced_since_ns = lum__clock_monotonic_ns();
    LUM_ASSERT(durable >= atomic_load_explicit(&sequencer->durable_sequence, memory_order_relaxed));
    atomic_store_explicit(&sequencer->last_sequence, lum__wal_written_sequence(writer), memory_order_relaxed);
    atomic_store_explicit(&sequencer->log_bytes, lum__wal_bytes_written(writer), memory_order_relaxed);
    atomic_store_explicit(&sequencer->log_syncs, lum__wal_sync_count(writer), memory_order_relaxed);
    atomic_store_explicit(&sequencer->durable_sequence, durable, memory_order_release); /* S1 */
    atomic_thread_fence(memory_order_seq_cst);                                            /* D2 pairs with D1 */
    if (atomic_load_explicit(&sequencer->waiter_count, memory_order_relaxed) > 0) wake_waiters(sequencer);
}

/* Room for a batch. A rotation syncs the log, so the data goes first, in every mode: a watermark never covers a commit whose chunks may be
 * missing. */
static lum_status reserve_log(struct lum__sequencer *sequencer, uint32_t batch_bytes)
{
    struct lum__parts *parts = sequencer->parts;
    lum_status status;
    uint32_t attempt = 0;
    if (lum__wal_must_rotate(parts->writer, batch_bytes)) LUM_TRY(sync_dirty(sequencer));
    do {
        status = lum__wal_reserve(parts->writer, batch_bytes);
        if (status != LUM_ERR_NO_SPACE || !sequencer->may_wait) continue;
        LUM_TRY(lum__wal_sync(parts->writer)); /* what was answered does not wait for room */
        publish_sequences(sequencer);
    } while (sequencer->may_wait && lum__disk_full_retry(&parts->disk_full, status, parts->wal_segment_bytes, &attempt));
    return status;
}

static lum_status append(struct lum__sequencer *sequencer, struct lum__wal_record *record)
{
    struct lum__wal_writer *writer = sequencer->parts->writer;
    uint32_t record_bytes = lum__wal_record_bytes(record);
    if (lum__wal_batch_bytes(writer) == 0) LUM_TRY(reserve_log(sequencer, record_bytes));
    if (!lum__wal_append(writer, record)) {
        LUM_TRY(lum__wal_write(writer));
        LUM_TRY(reserve_log(sequencer, record_bytes));
        bool appended = lum__wal_append(writer, record);
        LUM_ASSERT(appended);
    }
    LUM_ASSERT(record->watermark >= sequencer->watermark_logged);
    sequencer->watermark_logged = record->watermark;
    if (record->type != LUM__WAL_WATERMARK) sequencer->content_sequence = record->sequence;
    return LUM_OK;
}

static lum_status log_chunk(struct lum__sequencer *sequencer, struct lum__request *request)
{
    struct open_transaction *open = find_open(sequencer, request->transaction_id);
    if (open == NULL) {
        struct lum__wal_record begin = {.type = LUM__WAL_BEGIN, .transaction_id = request->transaction_id};
        LUM_TRY(add_open(sequencer, request->transaction_id, &open));
        LUM_TRY(append(sequencer, &begin));
    }
    struct lum__open_transaction *base = &open->base;
    LUM_TRY(lum__grow((void **)&base->chunks, &base->chunk_capacity, base->chunk_count + 1, sizeof *base->chunks));
    struct lum__wal_record record = {.type = LUM__WAL_CHUNK,
                                     .transaction_id = request->transaction_id,
                                     .count = request->chunk.row_count,
                                     .chunk = request->chunk};
    LUM_TRY(append(sequencer, &record));
    base->chunks[base->chunk_count++] = request->chunk;
    return LUM_OK;
}

/* The transaction's digest, in source order; checks that all of it was logged. */
static lum_status sum_transaction(const struct lum__request *request, struct open_transaction *open, uint32_t *digest)
{
    if (open->failed != LUM_OK) return lum__fail(open->failed, "an earlier chunk of the transaction could not be logged");
    if (open->base.chunk_count > 0) qsort(open->base.chunks, open->base.chunk_count, sizeof *open->base.chunks, compare_ordinals);
    uint64_t lum_count = 0;
    for (size_t i = 0; i < open->base.chunk_count; i++) lum_count += open->base.chunks[i].row_count;
    LUM_ASSERT(open->base.chunk_count == request->chunk_count);
    LUM_ASSERT(lum_count == request->lum_count);
    *digest = lum__catalogue_digest(0, open->base.chunks, open->base.chunk_count);
    return LUM_OK;
}

/* The rows of a small transaction. Should its commit not get into the log, they mean nothing. */
static lum_status log_rows(struct lum__sequencer *sequencer, struct lum__request *request)
{
    if (sequencer->rows_are_refused)
        return lum__fail(LUM_ERR_NO_SPACE, "the disk is full, and so is the memory for small transactions that cannot be folded into it");
    struct lum__wal_record record = {.type = LUM__WAL_PAGES, .transaction_id = request->transaction_id, .count = request->lum_count};
    record.pages.rows = request->rows;
    record.pages.row_count = (uint32_t)request->lum_count;
    record.pages.digest = request->rows_digest;
    LUM_TRY(append(sequencer, &record));
    request->wal_segment = record.segment;
    request->wal_offset = record.offset;
    return LUM_OK;
}

/* A label is committed once, whoever asks at the same time: only here commits stand one behind the other. The newest transaction of the label is
 * one of this batch, in front of the request and logged, or the catalogue's. */
static lum_status check_label(const struct lum__sequencer *sequencer, const struct lum__request *request)
{
    if (request->label == NULL || request->label[0] == 0) return LUM_OK;
    const struct lum__transaction *found = lum__catalogue_find_label(sequencer->parts->catalogue, request->label);
    uint64_t newest = found != NULL ? found->transaction_id : 0;
    for (const struct lum__request *earlier = sequencer->batch_first; earlier != request; earlier = earlier->next) {
        if (earlier->kind == LUM__REQUEST_COMMIT && earlier->label != NULL && strcmp(earlier->label, request->label) == 0)
            newest = earlier->transaction_id;
    }
    if (newest == request->label_after) return LUM_OK;
    if (request->label_after == 0) {
        return lum__fail(LUM_ERR_LABEL, "the label \"%s\" was committed already, by transaction %llu", request->label, (unsigned long long)newest);
    }
    return lum__fail(LUM_ERR_LABEL, "transaction %llu is not the newest with the label \"%s\": another load goes on with it",
                     (unsigned long long)request->label_after, request->label);
}

static lum_status log_commit(struct lum__sequencer *sequencer, struct lum__request *request)
{
    if (request->chain != NULL && request->chain->is_broken) return lum__fail(LUM_ERR_NO_SPACE, "an earlier commit of the load failed");
    LUM_TRY(check_label(sequencer, request));
    uint32_t digest = request->rows_digest;
    if (request->rows != NULL) {
        LUM_TRY(log_rows(sequencer, request));
    } else {
        struct open_transaction *open = find_open(sequencer, request->transaction_id);
        if (open == NULL) LUM_TRY(add_open(sequencer, request->transaction_id, &open)); /* an empty transaction */
        LUM_TRY(sum_transaction(request, open, &digest));
    }
    struct lum__wal_record record = {.type = LUM__WAL_COMMIT, .transaction_id = request->transaction_id, .count = request->lum_count};
    record.commit.chunk_count = request->chunk_count;
    record.commit.lum_count = request->lum_count;
    record.commit.digest = digest;
    record.commit.data_synced = sequencer->batch_is_data_synced;
    LUM_ASSERT(!record.commit.data_synced || sequencer->dirty_count == 0);
    if (request->label != NULL) {
        size_t label_bytes = strlen(request->label);
        LUM_ASSERT(label_bytes <= LUM__WAL_LABEL_BYTES_MAX);
        memcpy(record.commit.label, request->label, label_bytes);
        record.commit.label_bytes = (uint8_t)label_bytes;
    }
    record.commit.metadata = request->metadata;
    LUM_TRY(append(sequencer, &record));
    request->sequence = record.sequence;
    request->timestamp = record.timestamp;
    request->ticket->digest = digest;
    return LUM_OK;
}

static lum_status log_rollback(struct lum__sequencer *sequencer, struct lum__request *request)
{
    struct open_transaction *open = find_open(sequencer, request->transaction_id);
    if (open == NULL) return LUM_OK; /* nothing of it was logged */
    struct lum__wal_record record = {
        .type = LUM__WAL_ROLLBACK, .transaction_id = request->transaction_id, .count = open->base.chunk_count};
    lum_status status = append(sequencer, &record);
    /* without room for its record a rollback still stands: what is not committed is never visible */
    return status == LUM_ERR_NO_SPACE ? LUM_OK : status;
}

static lum_status log_request(struct lum__sequencer *sequencer, struct lum__request *request)
{
    switch (request->kind) {
    case LUM__REQUEST_CHUNK: return log_chunk(sequencer, request);
    case LUM__REQUEST_COMMIT: return log_commit(sequencer, request);
    case LUM__REQUEST_ROLLBACK: return log_rollback(sequencer, request);
    default: return LUM_OK;
    }
}

/* ------------------------------------------------------------------------------------------------------- publishing */

static lum_status publish_commit(struct lum__sequencer *sequencer, struct lum__request *request)
{
    struct open_transaction *open = find_open(sequencer, request->transaction_id);
    struct lum__catalogue *catalogue = sequencer->parts->catalogue;
    LUM_ASSERT(open != NULL || request->rows != NULL);
    struct lum__transaction transaction = {
        .transaction_id = request->transaction_id,
        .commit_sequence = request->sequence,
        .commit_timestamp = request->timestamp,
        .lum_count = request->lum_count,
        .chunk_count = request->chunk_count,
        .digest = request->ticket->digest,
        .data_synced = sequencer->batch_is_data_synced,
        .label = request->label != NULL ? request->label : "",
        .metadata = request->metadata,
    };
    if (request->rows != NULL) {
        LUM_TRY(lum__catalogue_commit_rows(catalogue, &transaction, request->rows, request->wal_segment, request->wal_offset));
    } else {
        LUM_TRY(lum__catalogue_commit(catalogue, &transaction, open->base.chunks, open->base.chunk_count));
        for (size_t i = 0; i < open->base.chunk_count; i++) sequencer->chunk_bytes_since_checkpoint += open->base.chunks[i].byte_count;
        remove_open(sequencer, open);
    }
    atomic_fetch_add_explicit(&sequencer->commits, 1, memory_order_relaxed);
    request->ticket->sequence = request->sequence;
    request->ticket->timestamp = request->timestamp;
    return LUM_OK;
}

/* Step 8: in order, makes commits visible, gives rolled back space back, answers. */
static void publish_request(struct lum__sequencer *sequencer, struct lum__request *request)
{
    lum_status status = LUM_OK;
    struct open_transaction *open;
    switch (request->kind) {
    case LUM__REQUEST_COMMIT:
        /* Logged but not publishable: memory is out. Reopening shows it and all commits behind it, which are logged too. */
        status = is_poisoned(sequencer) ? lum__sequencer_check(sequencer) : publish_commit(sequencer, request);
        if (status != LUM_OK) lum__sequencer_poison(sequencer);
        if (status != LUM_OK && request->chain != NULL) request->chain->is_broken = true;
        answer(request->ticket, status == LUM_OK ? LUM_OK : LUM_IN_DOUBT);
        break;
    case LUM__REQUEST_ROLLBACK:
        open = find_open(sequencer, request->transaction_id);
        if (open != NULL) {
            release_chunks(sequencer, open);
            remove_open(sequencer, open);
        }
        answer(request->ticket, LUM_OK);
        break;
    case LUM__REQUEST_SYNC:
        if (request->ticket != NULL) request->ticket->sequence = lum__wal_durable_sequence(sequencer->parts->writer);
        answer(request->ticket, LUM_OK);
        break;
    default: break; /* chunks have no ticket */
    }
}

/* --------------------------------------------------------------------------------------------------------- failing */

/* Answers a request that did not get through. The thread's error is the cause. */
static void fail_request(struct lum__sequencer *sequencer, struct lum__request *request, lum_status status)
{
    struct open_transaction *open = find_open(sequencer, request->transaction_id);
    switch (request->kind) {
    case LUM__REQUEST_CHUNK:
        /* The chunk lies on disk, nobody will name it. While the store lives its extent goes back at once. */
        if (!is_poisoned(sequencer)) {
            lum__segments_release(sequencer->parts->segments, request->chunk.segment, request->chunk.offset, request->chunk.byte_count);
        }
        if (open == NULL && add_open(sequencer, request->transaction_id, &open) != LUM_OK) lum__sequencer_poison(sequencer);
        if (open != NULL) open->failed = status;
        break;
    case LUM__REQUEST_COMMIT:
        if (request->chain != NULL) request->chain->is_broken = true;
        /* Nobody rolls back what never had a chunk: an entry for it would go into every checkpoint from here on. */
        if (open != NULL && request->chunk_count == 0 && open->base.chunk_count == 0 && !request->is_logged) remove_open(sequencer, open);
        /* P6: submitted and then failed is in doubt; before that it never becomes visible, and the caller's rollback cleans up */
        answer(request->ticket, request->is_logged ? LUM_IN_DOUBT : status);
        break;
    default: answer(request->ticket, status); break;
    }
}

/* --------------------------------------------------------------------------------------------------------- a batch */

static lum_status note_chunks(struct lum__sequencer *sequencer)
{
    for (struct lum__request *request = sequencer->batch_first; request != NULL; request = request->next) {
        if (request->kind == LUM__REQUEST_CHUNK) LUM_TRY(mark_dirty(sequencer, request->chunk.segment));
    }
    return LUM_OK;
}

/* Nothing but asynchronous commits, and the last sync is not long ago: a later batch, or the watermark once the ring is empty, syncs them. */
static bool may_sync_later(const struct lum__sequencer *sequencer)
{
    for (const struct lum__request *request = sequencer->batch_first; request != NULL; request = request->next) {
        if (request->kind != LUM__REQUEST_COMMIT || !request->is_async) return false;
    }
    return lum__clock_monotonic_ns() - sequencer->last_sync_ns < ASYNC_SYNC_NS;
}

static uint64_t interval_ns(const struct lum__sequencer *sequencer) { return (uint64_t)sequencer->options.sync_interval_ms * 1000000u; }

/* By when a sync of what was answered without one must be begun, whatever else there is to do; UINT64_MAX: never. */
static uint64_t sync_deadline_ns(const struct lum__sequencer *sequencer)
{
    if (sequencer->unsynced_since_ns == 0 || sequencer->options.sync_mode == LUM_SYNC_NONE) return UINT64_MAX;
    return sequencer->unsynced_since_ns + (sequencer->options.sync_mode == LUM_SYNC_INTERVAL ? interval_ns(sequencer) : ASYNC_SYNC_NS);
}

static bool must_sync(const struct lum__sequencer *sequencer)
{
    if (sequencer->options.sync_mode == LUM_SYNC_COMMIT) return !may_sync_later(sequencer);
    for (const struct lum__request *request = sequencer->batch_first; request != NULL; request = request->next) {
        if (request->kind == LUM__REQUEST_SYNC) return true;
    }
    return sequencer->options.sync_mode == LUM_SYNC_INTERVAL &&
           lum__clock_monotonic_ns() - sequencer->last_sync_ns >= interval_ns(sequencer);
}

/* Steps 6 and 7. */
static lum_status write_and_sync(struct lum__sequencer *sequencer, bool sync)
{
    struct lum__wal_writer *writer = sequencer->parts->writer;
    if (lum__wal_batch_bytes(writer) > 0) LUM_TRY(lum__wal_write(writer));
    if (!sync || lum__wal_durable_sequence(writer) == lum__wal_written_sequence(writer)) return LUM_OK;
    LUM_TRY(lum__wal_sync(writer));
    sequencer->last_sync_ns = lum__clock_monotonic_ns();
    return LUM_OK;
}

/* Fails every request of the batch that is not published yet. */
static void fail_batch(struct lum__sequencer *sequencer, lum_status status)
{
    for (struct lum__request *request = sequencer->batch_first; request != NULL;) {
        struct lum__request *next = request->next;
        bool is_heap = request->is_heap;
        if (request->kind == LUM__REQUEST_STOP) {
            sequencer->stop = true;
            answer(request->ticket, LUM_OK);
        } else {
            fail_request(sequencer, request, status);
        }
        if (is_heap) free(request);
        request = next;
    }
}

/* Step 5. A request without room in the log (LUM_ERR_NO_SPACE), or with a label that is taken, fails alone, and the store lives on: it is taken out
 * of the batch. */
static lum_status log_batch(struct lum__sequencer *sequencer)
{
    struct lum__request **link = &sequencer->batch_first;
    sequencer->batch_last = NULL;
    while (*link != NULL) {
        struct lum__request *request = *link;
        sequencer->may_wait = request->kind == LUM__REQUEST_CHUNK || request->kind == LUM__REQUEST_COMMIT;
        lum_status status = log_request(sequencer, request);
        sequencer->may_wait = false;
        if (status == LUM_OK) {
            request->is_logged = true;
            sequencer->batch_last = request;
            link = &request->next;
            continue;
        }
        if (status != LUM_ERR_NO_SPACE && status != LUM_ERR_NO_MEMORY && status != LUM_ERR_LABEL) return status;
        *link = request->next;
        bool is_heap = request->is_heap;
        fail_request(sequencer, request, status);
        if (is_heap) free(request);
    }
    return LUM_OK;
}

static lum_status run_batch(struct lum__sequencer *sequencer)
{
    LUM_TRY(note_chunks(sequencer));
    bool sync = must_sync(sequencer);
    if (sync) LUM_TRY(sync_dirty(sequencer)); /* steps 3, 4 */
    sequencer->batch_is_data_synced = sync && sequencer->options.sync_mode == LUM_SYNC_COMMIT;
    LUM_TRY(log_batch(sequencer));
    LUM_TRY(write_and_sync(sequencer, sync));
    publish_sequences(sequencer);
    atomic_fetch_add_explicit(&sequencer->batches, 1, memory_order_relaxed);
    return LUM_OK;
}

/* What the next checkpoint is for. After one that found no room too: the next is tried when as much has come again. */
static void begin_anew(struct lum__sequencer *sequencer)
{
    sequencer->log_bytes_at_checkpoint = lum__wal_bytes_written(sequencer->parts->writer);
    sequencer->chunk_bytes_since_checkpoint = 0;
}

/* By the size of the log, or by the time that a recovery would take. */
static bool is_checkpoint_due(const struct lum__sequencer *sequencer)
{
    uint64_t log_bytes = lum__wal_bytes_written(sequencer->parts->writer) - sequencer->log_bytes_at_checkpoint;
    double seconds = (double)(log_bytes + sequencer->chunk_bytes_since_checkpoint) / (double)sequencer->parts->recovery_bytes_per_second;
    if (log_bytes >= sequencer->options.checkpoint_wal_bytes) return true;
    return sequencer->options.max_recovery_ms > 0 && seconds * 1000 > sequencer->options.max_recovery_ms;
}

static void take_checkpoint(struct lum__sequencer *sequencer, struct lum__ticket *ticket)
{
    lum_status status = LUM_OK;
    struct lum__parts *parts = sequencer->parts;
    struct lum__open_transaction *open = NULL;
    LUM_TRY_OUT(lum__alloc_zeroed(sequencer->open_count, sizeof *open, (void **)&open));
    for (size_t i = 0; i < sequencer->open_count; i++) open[i] = sequencer->open[i].base;
    LUM_TRY_OUT(lum__parts_checkpoint(parts, sequencer->lock_file, open, sequencer->open_count, sequencer->dirty, sequencer->dirty_count));
    sequencer->dirty_count = 0;
    sequencer->watermark_logged = parts->checkpoint_position.sequence; /* the checkpoint's record covers all before it */
    publish_sequences(sequencer);
    atomic_store_explicit(&sequencer->checkpoint_sequence, parts->checkpoint_position.sequence, memory_order_relaxed);
    atomic_store_explicit(&sequencer->checkpoint_number, parts->checkpoint_number, memory_order_relaxed);
    begin_anew(sequencer);
    if (ticket != NULL) ticket->sequence = lum__wal_durable_sequence(parts->writer);
out:
    free(open);
    /* Without room for a checkpoint the log simply grows on; anything else that failed may have been a sync. */
    if (status != LUM_OK && status != LUM_ERR_NO_SPACE && status != LUM_ERR_NO_MEMORY) lum__sequencer_poison(sequencer);
    answer(ticket, status);
}

/* Step 8. First everything that was logged is published; only then checkpoints, which cover all of the log and so must find every commit
 * of it in the catalogue, also those that were asked for after them. */
static void publish_batch(struct lum__sequencer *sequencer)
{
    struct lum__request *specials = NULL, **special = &specials;
    for (struct lum__request *request = sequencer->batch_first; request != NULL;) {
        struct lum__request *next = request->next;
        bool is_heap = request->is_heap; /* an asker's request may be gone once it is answered */
        if (request->kind == LUM__REQUEST_CHECKPOINT || request->kind == LUM__REQUEST_STOP) {
            request->next = NULL;
            *special = request;
            special = &request->next;
        } else {
            publish_request(sequencer, request);
            if (is_heap) free(request);
        }
        request = next;
    }
    for (struct lum__request *request = specials; request != NULL;) {
        struct lum__request *next = request->next;
        if (request->kind == LUM__REQUEST_STOP) {
            sequencer->stop = true;
            answer(request->ticket, LUM_OK);
        } else if (lum__sequencer_check(sequencer) != LUM_OK) {
            answer(request->ticket, LUM_ERR_POISONED);
        } else {
            take_checkpoint(sequencer, request->ticket);
        }
        request = next;
    }
}

static uint64_t unfolded_bytes(struct lum__sequencer *sequencer)
{
    const struct lum__catalogue_version *version = lum__catalogue_pin(sequencer->parts->catalogue);
    uint64_t bytes = version->unfolded_bytes;
    lum__catalogue_unpin(sequencer->parts->catalogue, version);
    return bytes;
}

/* Before a batch that would overfill the row table: folds it. Committers wait meanwhile; where the disk has no room for that, they are refused. */
static void make_room_for_rows(struct lum__sequencer *sequencer)
{
    if (sequencer->batch_row_bytes == 0) return;
    bool is_full = unfolded_bytes(sequencer) + sequencer->batch_row_bytes > sequencer->options.row_bytes_max;
    if (is_full && lum__clock_monotonic_ns() >= sequencer->fold_retry_ns) {
        take_checkpoint(sequencer, NULL);
        is_full = unfolded_bytes(sequencer) > 0;
        sequencer->fold_retry_ns = is_full ? lum__clock_monotonic_ns() + NO_SPACE_PAUSE_NS : 0;
    }
    sequencer->rows_are_refused = is_full;
}

static void process_batch(struct lum__sequencer *sequencer)
{
    if (!is_poisoned(sequencer)) make_room_for_rows(sequencer);
    lum_status status = lum__sequencer_check(sequencer);
    if (status == LUM_OK) {
        status = run_batch(sequencer);
        if (status != LUM_OK) lum__sequencer_poison(sequencer);
    }
    if (status == LUM_OK) publish_batch(sequencer);
    else fail_batch(sequencer, status);
    sequencer->batch_first = sequencer->batch_last = NULL;
    sequencer->batch_requests = 0;
    sequencer->batch_data_bytes = 0;
    sequencer->batch_row_bytes = 0;
    sequencer->batch_is_urgent = false;
    if (!is_poisoned(sequencer) && is_checkpoint_due(sequencer)) {
        take_checkpoint(sequencer, NULL);
        begin_anew(sequencer);
    }
}

/* ---------------------------------------------------------------------------------------------------- the thread */

/* Steps 1, 2: takes what is in the ring. */
static void collect(struct lum__sequencer *sequencer)
{
    while (sequencer->batch_requests < BATCH_REQUESTS_MAX && sequencer->batch_data_bytes < GATHER_BYTES_MAX &&
           sequencer->batch_row_bytes < BATCH_ROW_BYTES_MAX) {
        struct lum__request *request = lum__ring_pop(sequencer->ring);
        if (request == NULL) return;
        if (sequencer->batch_first == NULL) {
            sequencer->batch_first = request;
            sequencer->batch_begin_ns = lum__clock_monotonic_ns();
        } else {
            sequencer->batch_last->next = request;
        }
        sequencer->batch_last = request;
        request->next = NULL;
        request->is_logged = false;
        sequencer->batch_requests++;
        sequencer->batch_data_bytes += request->kind == LUM__REQUEST_CHUNK ? request->chunk.byte_count : 0;
        if (request->rows != NULL) sequencer->batch_row_bytes += request->lum_count * sizeof(lum_t);
        sequencer->batch_is_urgent |= request->ticket != NULL || request->kind == LUM__REQUEST_SYNC;
    }
}

/* Until when chunks are gathered, if nothing makes the batch urgent: earlier where a sync is due that goes with it. */
static uint64_t gather_end_ns(const struct lum__sequencer *sequencer)
{
    uint64_t end = sequencer->batch_begin_ns + GATHER_NS_MAX, deadline = sync_deadline_ns(sequencer);
    return deadline < end ? deadline : end;
}

static bool is_batch_due(const struct lum__sequencer *sequencer)
{
    if (sequencer->batch_first == NULL) return false;
    return sequencer->batch_is_urgent || sequencer->batch_requests >= BATCH_REQUESTS_MAX ||
           sequencer->batch_data_bytes >= GATHER_BYTES_MAX || lum__clock_monotonic_ns() >= gather_end_ns(sequencer);
}

/* One watermark record, written and synced: proves everything before it to a later recovery. In the weaker modes it is also what makes it durable. */
static void log_watermark(struct lum__sequencer *sequencer)
{
    struct lum__wal_record record = {.type = LUM__WAL_WATERMARK};
    lum_status status = sync_dirty(sequencer);
    if (status == LUM_OK) status = write_and_sync(sequencer, true);
    if (status == LUM_OK) publish_sequences(sequencer); /* that is durable whether or not there is room for the record */
    if (status == LUM_OK && lum__clock_monotonic_ns() < sequencer->watermark_retry_ns) return;
    if (status == LUM_OK) status = append(sequencer, &record);
    if (status == LUM_OK) status = write_and_sync(sequencer, true);
    if (status == LUM_OK) publish_sequences(sequencer);
    else if (status == LUM_ERR_NO_SPACE) sequencer->watermark_retry_ns = lum__clock_monotonic_ns() + NO_SPACE_PAUSE_NS;
    else lum__sequencer_poison(sequencer);
}

/* Does the log say anything that no watermark in it covers? (A watermark record itself needs no other one.) */
static bool is_watermark_due(const struct lum__sequencer *sequencer)
{
    return sequencer->options.sync_mode != LUM_SYNC_NONE && sequencer->content_sequence > sequencer->watermark_logged;
}

static void idle(struct lum__sequencer *sequencer)
{
    if (is_poisoned(sequencer) || !is_watermark_due(sequencer)) {
        lum__ring_wait(sequencer->ring, UINT64_MAX);
        return;
    }
    uint64_t begin = lum__clock_monotonic_ns(), deadline = sync_deadline_ns(sequencer);
    uint64_t until = begin + (sequencer->options.sync_mode == LUM_SYNC_INTERVAL ? interval_ns(sequencer) : IDLE_GRACE_NS);
    if (until < sequencer->watermark_retry_ns) until = sequencer->watermark_retry_ns;
    if (until > deadline) until = deadline; /* what was answered is not kept waiting by wakings in vain, nor by a full disk */
    lum__ring_wait(sequencer->ring, until > begin ? until - begin : 0);
    collect(sequencer);
    if (sequencer->batch_first == NULL && lum__clock_monotonic_ns() >= until) log_watermark(sequencer);
}

static void *run(void *context)
{
    struct lum__sequencer *sequencer = context;
    while (!sequencer->stop) {
        collect(sequencer);
        if (is_batch_due(sequencer)) {
            process_batch(sequencer);
        } else if (sequencer->batch_first != NULL) {
            uint64_t now = lum__clock_monotonic_ns(), end = gather_end_ns(sequencer);
            if (now < end) lum__ring_wait(sequencer->ring, end - now);
        } else {
            idle(sequencer);
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------------------------------------------- any thread */

lum_status lum__sequencer_start(struct lum__parts *parts, struct lum__file *lock_file, const struct lum__sequencer_options *options,
                                struct lum__sequencer **out)
{
    *out = NULL;
    struct lum__sequencer *sequencer = aligned_alloc(64, (sizeof *sequencer + 63) / 64 * 64);
    if (sequencer == NULL) return lum__fail(LUM_ERR_NO_MEMORY, "out of memory for the sequencer");
    memset(sequencer, 0, sizeof *sequencer);
    sequencer->parts = parts;
    sequencer->lock_file = lock_file;
    sequencer->options = *options;
    sequencer->last_sync_ns = lum__clock_monotonic_ns();
    sequencer->watermark_logged = lum__wal_durable_sequence(parts->writer);
    sequencer->log_bytes_at_checkpoint = lum__wal_bytes_written(parts->writer);
    atomic_init(&sequencer->next_transaction, (parts->epoch << TRANSACTION_ID_EPOCH_SHIFT) + 1);
    atomic_init(&sequencer->checkpoint_sequence, parts->checkpoint_position.sequence);
    atomic_init(&sequencer->checkpoint_number, parts->checkpoint_number);
    publish_sequences(sequencer);
    lum_status status = lum__ring_create(RING_CAPACITY, &sequencer->ring);
    if (status == LUM_OK) {
        int error = pthread_create(&sequencer->thread, NULL, run, sequencer);
        if (error != 0) {
            status = lum__fail_errno(error, NULL, LUM_NO_OFFSET, "cannot start the sequencer thread");
            lum__ring_destroy(sequencer->ring);
        }
    }
    if (status != LUM_OK) {
        free(sequencer);
        return status;
    }
    *out = sequencer;
    return LUM_OK;
}

lum_status lum__sequencer_stop(struct lum__sequencer *sequencer)
{
    struct lum__ticket ticket = {0};
    struct lum__request request = {.kind = LUM__REQUEST_STOP, .ticket = &ticket};
    lum__sequencer_push(sequencer, &request);
    pthread_join(sequencer->thread, NULL);
    lum_status status = lum__sequencer_check(sequencer);
    lum__ring_destroy(sequencer->ring);
    for (size_t i = 0; i < sequencer->open_count; i++) free(sequencer->open[i].base.chunks);
    free(sequencer->open);
    free(sequencer->dirty);
    free(sequencer);
    return status;
}

void lum__sequencer_push(struct lum__sequencer *sequencer, struct lum__request *request)
{
    LUM_ASSERT(request->ticket != NULL || request->is_heap);
    LUM_ASSERT(request->kind != LUM__REQUEST_CHUNK || request->is_heap);
    lum__ring_push(sequencer->ring, request);
}

lum_status lum__sequencer_ask(struct lum__sequencer *sequencer, enum lum__request_kind kind, uint64_t *sequence)
{
    struct lum__ticket ticket = {0};
    struct lum__request request = {.kind = kind, .ticket = &ticket};
    lum__sequencer_push(sequencer, &request);
    lum__ticket_wait(&ticket, UINT64_MAX);
    if (sequence != NULL) *sequence = ticket.sequence;
    return ticket.status;
}

uint64_t lum__sequencer_transaction_id(struct lum__sequencer *sequencer)
{
    return atomic_fetch_add_explicit(&sequencer->next_transaction, 1, memory_order_relaxed); /* only uniqueness matters */
}

uint64_t lum__sequencer_next_transaction(struct lum__sequencer *sequencer)
{
    return atomic_load_explicit(&sequencer->next_transaction, memory_order_relaxed); /* only a bound */
}

uint64_t lum__sequencer_durable(struct lum__sequencer *sequencer)
{
    return atomic_load_explicit(&sequencer->durable_sequence, memory_order_acquire); /* S2 */
}

uint32_t lum__sequencer_rows_max(const struct lum__sequencer *sequencer)
{
    uint32_t room = lum__wal_batch_bytes_max(sequencer->parts->writer) - LUM__WAL_RECORD_HEADER_BYTES - LUM__WAL_PAGES_BYTES;
    return room / sizeof(lum_t) < LUM__WAL_PAGES_ROWS_MAX ? room / (uint32_t)sizeof(lum_t) : LUM__WAL_PAGES_ROWS_MAX;
}

/* In the weaker modes, and behind asynchronous commits, nobody may be about to sync. */
static lum_status ask_for_sync(struct lum__sequencer *sequencer)
{
    struct lum__request *request = NULL;
    LUM_TRY(lum__alloc_zeroed(1, sizeof *request, (void **)&request));
    request->kind = LUM__REQUEST_SYNC;
    request->is_heap = true;
    lum__sequencer_push(sequencer, request);
    return LUM_OK;
}

lum_status lum__sequencer_wait_durable(struct lum__sequencer *sequencer, uint64_t sequence, uint64_t timeout_ns)
{
    if (lum__sequencer_durable(sequencer) >= sequence) return LUM_OK;
    /* relaxed: who knows a sequence of this store has seen, through its ticket, that it was published */
    if (sequence > atomic_load_explicit(&sequencer->last_sequence, memory_order_relaxed))
        return lum__fail(LUM_ERR_ARGUMENT, "sequence %llu was not given out yet", (unsigned long long)sequence);
    lum_status status = lum__sequencer_check(sequencer);
    if (status == LUM_OK) status = ask_for_sync(sequencer);
    uint64_t begin = lum__clock_monotonic_ns();
    atomic_fetch_add_explicit(&sequencer->waiter_count, 1, memory_order_seq_cst); /* D1 pairs with D2 */
    while (status == LUM_OK) {
        uint32_t event = atomic_load_explicit(&sequencer->durable_event, memory_order_acquire); /* D4 pairs with D3 */
        atomic_thread_fence(memory_order_seq_cst);
        if (lum__sequencer_durable(sequencer) >= sequence) break;
        status = lum__sequencer_check(sequencer);
        uint64_t waited = lum__clock_monotonic_ns() - begin;
        if (status == LUM_OK && timeout_ns != UINT64_MAX && waited >= timeout_ns)
            status = lum__fail(LUM_ERR_TIMEOUT, "sequence %llu is not durable yet", (unsigned long long)sequence);
        if (status == LUM_OK) lum__futex_wait(&sequencer->durable_event, event, timeout_ns == UINT64_MAX ? UINT64_MAX : timeout_ns - waited);
    }
    atomic_fetch_sub_explicit(&sequencer->waiter_count, 1, memory_order_relaxed);
    return status;
}

void lum__sequencer_stats(struct lum__sequencer *sequencer, struct lum__sequencer_stats *out)
{
    out->durable_sequence = lum__sequencer_durable(sequencer);
    out->last_sequence = atomic_load_explicit(&sequencer->last_sequence, memory_order_relaxed);
    out->checkpoint_sequence = atomic_load_explicit(&sequencer->checkpoint_sequence, memory_order_relaxed);
    out->checkpoint_number = atomic_load_explicit(&sequencer->checkpoint_number, memory_order_relaxed);
    out->sync_count = atomic_load_explicit(&sequencer->data_syncs, memory_order_relaxed) +
                      atomic_load_explicit(&sequencer->log_syncs, memory_order_relaxed);
    out->batch_count = atomic_load_explicit(&sequencer->batches, memory_order_relaxed);
    out->commit_count = atomic_load_explicit(&sequencer->commits, memory_order_relaxed);
    out->log_bytes_written = atomic_load_explicit(&sequencer->log_bytes, memory_order_relaxed);
}
