/* A load, seen from above. Producers claim pieces in source order under one mutex; a piece belongs to exactly one transaction. A transaction
 * is complete when it takes no more pieces and every chunk of it was handed to the sequencer; complete transactions are committed in
 * order. States of a load transaction:
 *
 *   open (takes pieces) --rows_max reached or source over--> closed --last chunk handed over--> complete
 *   complete --all before it pushed--> before_commit() --LUM_OK--> pushed (commit in the ring) --ticket done--> acknowledged
 *   acknowledged --on_commit()--> free slot
 *   any before pushed, after a failure --> rolled back (pushed as a rollback; space given back by the sequencer)
 *
 * One thread at a time moves transactions from complete to pushed, `is_pushing` says that there is one: see push_complete(). */
#include "pipeline/loader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "pipeline/producer.h"

enum { WINDOW = 256 }; /* transactions of one load that may be open, pushed or unacknowledged at a time */
#define PROGRESS_NS 100000000u

struct lum__load_transaction {
    uint64_t transaction_id;
    uint64_t rows_assigned; /* of its pieces, where known; else their upper bound */
    uint64_t rows;          /* given by the source: what is stored */
    uint64_t input_rows;    /* of its finished pieces, refused ones included */
    uint64_t chunk_count;
    uint64_t piece_count;
    uint64_t outstanding;   /* pieces being worked on + chunks in flight */
    bool is_closed;
    bool is_pushed;
    void *resume; /* what before_commit() wants kept: a copy; NULL for nothing */
    size_t resume_bytes;
    struct lum__ticket ticket;
    struct lum__request request;
};

struct loader {
    /* immutable */
    const struct lum__load_context *context;
    const lum_source *source;
    const lum_load_options *options;
    struct lum__chain chain; /* the sequencer's */
    uint64_t rows_per_transaction;
    uint64_t begin_ns;

    /* under claim: open_piece and what decides the next piece's transaction */
    pthread_mutex_t claim;
    bool source_is_over;

    /* under mutex */
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* a transaction was pushed, or the load failed */
    struct lum__load_transaction window[WINDOW]; /* transaction n lies in slot n % WINDOW */
    uint64_t first;  /* oldest not acknowledged */
    uint64_t pushed; /* next one to push */
    uint64_t last;   /* the one that takes pieces */
    bool is_pushing; /* a thread is in push_complete(), perhaps without the mutex */
    uint64_t rows_pushed; /* input rows of transactions before `pushed` */
    uint64_t newest_id;   /* of the label: that transaction is the last one pushed, or the one that the load goes on behind */
    bool has_ended;       /* no transaction comes behind `last` */
    lum_status status; /* first failure */
    struct lum__error error;

    /* under events: acknowledging, in commit order */
    pthread_mutex_t events;
    uint64_t rows_committed; /* input rows, refused ones included */
    uint64_t rows_loaded;
    lum_load_report *report;

    _Atomic bool is_stopping; /* relaxed: only makes workers look at status earlier */
    _Atomic uint64_t rows_written, bytes_written;
    uint64_t next_progress_ns; /* worker 0 only */

    struct lum__producer *producers;
};

static struct lum__load_transaction *slot(struct loader *loader, uint64_t number) { return &loader->window[number % WINDOW]; }

/* Keeps the first failure. */
static void fail(struct loader *loader, lum_status status)
{
    LUM_ASSERT(status != LUM_OK);
    pthread_mutex_lock(&loader->mutex);
    if (loader->status == LUM_OK) {
        loader->status = status;
        if (lum__error_last()->status != status) /* a callback that said nothing: what is there is of an older failure */
            (void)lum__fail(status, "the load was stopped: its source answered %s", lum_status_name(status));
        loader->error = *lum__error_last();
    }
    pthread_cond_broadcast(&loader->changed);
    pthread_mutex_unlock(&loader->mutex);
    if (status == LUM_ERR_SYNC) lum__sequencer_poison(loader->context->sequencer); /* a new data segment's: final like any other */
    atomic_store_explicit(&loader->is_stopping, true, memory_order_relaxed);
}

static void begin_transaction(struct loader *loader, uint64_t number)
{
    struct lum__load_transaction *transaction = slot(loader, number);
    memset(transaction, 0, sizeof *transaction);
    transaction->transaction_id = lum__sequencer_transaction_id(loader->context->sequencer);
}

static lum_status keep_note(struct lum__load_transaction *transaction, const lum_commit_note *note)
{
    if (note->resume_bytes > LUM__METADATA_RESUME_BYTES_MAX) {
        return lum__fail(LUM_ERR_ARGUMENT, "a resume point of %zu bytes: %d is the most", note->resume_bytes, LUM__METADATA_RESUME_BYTES_MAX);
    }
    if (note->resume == NULL || note->resume_bytes == 0) return LUM_OK;
    LUM_TRY(lum__alloc(note->resume_bytes, &transaction->resume));
    memcpy(transaction->resume, note->resume, note->resume_bytes);
    transaction->resume_bytes = note->resume_bytes;
    return LUM_OK;
}

/* Makes durable, outside of the store, what a commit of the rows up to rows_end must not be without. Without any lock: it may sync. */
static lum_status before_commit(struct loader *loader, struct lum__load_transaction *transaction, uint64_t rows_end, bool is_last)
{
    const lum_load_options *options = loader->options;
    lum_commit_note note = {.is_last = is_last};
    lum__error_clear();
    lum_status status = options->before_commit(options->callback_context, rows_end, &note);
    if (status != LUM_OK && lum__error_last()->status != status) {
        return lum__fail(status, "the commit was stopped: before_commit answered %s", lum_status_name(status));
    }
    return status == LUM_OK ? keep_note(transaction, &note) : status;
}

static void push_commit(struct loader *loader, struct lum__load_transaction *transaction)
{
    LUM_ASSERT(!transaction->is_pushed);
    transaction->request = (struct lum__request){.kind = LUM__REQUEST_COMMIT,
                                                 .transaction_id = transaction->transaction_id,
                                                 .lum_count = transaction->rows,
                                                 .chunk_count = transaction->chunk_count,
                                                 .label = loader->options->label,
                                                 .label_after = loader->newest_id,
                                                 .metadata = loader->context->metadata,
                                                 .chain = &loader->chain,
                                                 .ticket = &transaction->ticket};
    transaction->request.metadata.resume = transaction->resume;
    transaction->request.metadata.resume_bytes = (uint32_t)transaction->resume_bytes;
    transaction->is_pushed = true;
    loader->newest_id = transaction->transaction_id;
    loader->pushed++;
    lum__sequencer_push(loader->context->sequencer, &transaction->request);
    pthread_cond_broadcast(&loader->changed);
}

/* With mutex held: pushes the commits of complete transactions, in order. (The sequencer never takes this mutex.) The mutex is let go while
 * before_commit() runs; is_pushing keeps the calls, and so the commits, in order. Who finds it set may leave: the thread that set it looks
 * again, under the mutex, before it clears it, so a transaction that became complete meanwhile is not forgotten. */
static void push_complete(struct loader *loader)
{
    if (loader->is_pushing) return;
    loader->is_pushing = true;
    while (loader->status == LUM_OK && loader->pushed <= loader->last) {
        struct lum__load_transaction *transaction = slot(loader, loader->pushed);
        if (!transaction->is_closed || transaction->outstanding > 0) break;
        uint64_t rows_end = loader->rows_pushed + transaction->input_rows;
        if (loader->options->before_commit != NULL) {
            bool is_last = loader->has_ended && loader->pushed == loader->last;
            pthread_mutex_unlock(&loader->mutex);
            lum_status status = before_commit(loader, transaction, rows_end, is_last);
            if (status != LUM_OK) fail(loader, status);
            pthread_mutex_lock(&loader->mutex);
            if (loader->status != LUM_OK) break; /* this call, or anybody meanwhile: rolled back by settle() */
        }
        loader->rows_pushed = rows_end;
        push_commit(loader, transaction);
    }
    loader->is_pushing = false;
}

/* With mutex held, on the way out: this one of the transaction's pieces or chunks is done. */
static void drop_outstanding(struct loader *loader, struct lum__load_transaction *transaction)
{
    LUM_ASSERT(transaction->outstanding > 0);
    transaction->outstanding--;
    push_complete(loader);
}

static void finish_piece(struct loader *loader, struct lum__load_transaction *transaction, const lum_piece *piece, uint64_t rows)
{
    pthread_mutex_lock(&loader->mutex);
    transaction->rows += rows;
    transaction->input_rows += piece->row_count == LUM_ROWS_UNKNOWN ? rows : piece->row_count;
    drop_outstanding(loader, transaction);
    pthread_mutex_unlock(&loader->mutex);
}

static void on_built(void *context, struct lum__load_transaction *transaction)
{
    struct loader *loader = context;
    pthread_mutex_lock(&loader->mutex);
    transaction->outstanding++;
    pthread_mutex_unlock(&loader->mutex);
}

/* ------------------------------------------------------------------------------------------------- acknowledging */

/* With events held: reports the oldest transaction's commit if it is there (wait: waits for it). False if there is none. */
static bool acknowledge_one(struct loader *loader, bool wait)
{
    pthread_mutex_lock(&loader->mutex);
    struct lum__load_transaction *transaction = slot(loader, loader->first);
    bool is_pushed = loader->first < loader->pushed && transaction->is_pushed;
    pthread_mutex_unlock(&loader->mutex);
    if (!is_pushed || (!wait && !lum__ticket_is_done(&transaction->ticket))) return false;
    lum__ticket_wait(&transaction->ticket, UINT64_MAX);
    if (transaction->ticket.status != LUM_OK) {
        fail(loader, transaction->ticket.status);
        return false;
    }
    loader->rows_committed += transaction->input_rows;
    loader->rows_loaded += transaction->rows;
    lum_load_report *report = loader->report;
    report->transaction_id = transaction->transaction_id;
    report->commit_sequence = transaction->ticket.sequence;
    report->digest = transaction->ticket.digest;
    report->durable = transaction->ticket.sequence <= lum__sequencer_durable(loader->context->sequencer);
    report->commit_count++;
    lum_load_event event = {.rows_committed = loader->rows_committed,
                            .sequence = report->commit_sequence,
                            .transaction_id = report->transaction_id,
                            .durable = report->durable,
                            .rows_loaded = loader->rows_loaded};
    if (loader->options->on_commit != NULL) loader->options->on_commit(loader->options->callback_context, &event);
    pthread_mutex_lock(&loader->mutex);
    free(transaction->resume);
    transaction->resume = NULL;
    loader->first++;
    pthread_mutex_unlock(&loader->mutex);
    return true;
}

static void acknowledge(struct loader *loader)
{
    if (pthread_mutex_trylock(&loader->events) != 0) return; /* somebody else is at it */
    while (acknowledge_one(loader, false)) continue;
    pthread_mutex_unlock(&loader->events);
}

/* ------------------------------------------------------------------------------------------------------ claiming */

/* With mutex held. */
static bool is_window_full(const struct loader *loader) { return loader->last + 1 - loader->first >= WINDOW; }

/* With claim held: the transaction that the next piece goes to. LUM_END: none now, the window is full (make_room) or the load has failed. */
static lum_status open_transaction(struct loader *loader, struct lum__load_transaction **out)
{
    lum_status status = LUM_OK;
    pthread_mutex_lock(&loader->mutex);
    if (loader->status != LUM_OK) {
        status = LUM_END;
    } else if (slot(loader, loader->last)->is_closed) {
        if (is_window_full(loader)) status = LUM_END;
        else begin_transaction(loader, ++loader->last);
    }
    *out = slot(loader, loader->last);
    pthread_mutex_unlock(&loader->mutex);
    return status;
}

/* Without claim held, own writes reaped: sleeps until the oldest transaction is acknowledged. */
static void make_room(struct loader *loader)
{
    pthread_mutex_lock(&loader->mutex);
    while (loader->status == LUM_OK && loader->first == loader->pushed && is_window_full(loader)) {
        pthread_cond_wait(&loader->changed, &loader->mutex); /* the workers that have its pieces push it */
    }
    pthread_mutex_unlock(&loader->mutex);
    pthread_mutex_lock(&loader->events);
    acknowledge_one(loader, true);
    pthread_mutex_unlock(&loader->events);
}

struct claimed {
    struct lum__load_transaction *transaction;
    uint64_t transaction_id;
    uint64_t piece_index;
    uint64_t rows_max;
    lum_piece piece;
};

/* With claim held: the source is over. A transaction that got no piece is not committed, unless it is the load's only one, or before_commit() keeps a note
 * with a label: then it is what says that the input was loaded to its end. Its push waits until claim is free: before_commit() takes its time. */
static void close_last(struct loader *loader, struct lum__load_transaction *transaction)
{
    loader->source_is_over = true;
    pthread_mutex_lock(&loader->mutex);
    bool is_noted = loader->options->before_commit != NULL && loader->options->label != NULL && loader->options->label[0] != 0;
    bool is_wanted = transaction->piece_count > 0 || loader->last == 0 || is_noted;
    if (is_wanted) transaction->is_closed = true;
    else loader->last--;
    loader->has_ended = true;
    pthread_cond_broadcast(&loader->changed);
    pthread_mutex_unlock(&loader->mutex);
}

/* With claim held. LUM_END: there is nothing to claim any more. */
static lum_status claim_piece(struct loader *loader, uint32_t worker, struct claimed *out)
{
    if (loader->source_is_over) return LUM_END;
    struct lum__load_transaction *transaction = NULL;
    LUM_TRY(open_transaction(loader, &transaction));
    uint64_t rows_max = loader->rows_per_transaction - transaction->rows_assigned;
    if (rows_max > loader->context->chunk_lums) rows_max = loader->context->chunk_lums;
    lum_status status = loader->source->open_piece(loader->source->context, worker, rows_max, &out->piece);
    if (status == LUM_END) close_last(loader, transaction);
    LUM_TRY(status);
    uint64_t rows = out->piece.row_count == LUM_ROWS_UNKNOWN ? rows_max : out->piece.row_count;
    LUM_ASSERT(rows <= rows_max);
    out->rows_max = rows_max;
    out->transaction = transaction;
    pthread_mutex_lock(&loader->mutex);
    out->transaction_id = transaction->transaction_id;
    out->piece_index = transaction->piece_count++;
    transaction->outstanding++;
    transaction->rows_assigned += rows;
    bool is_full = transaction->rows_assigned >= loader->rows_per_transaction;
    if (is_full) transaction->is_closed = true;
    pthread_mutex_unlock(&loader->mutex);
    return LUM_OK;
}

/* ------------------------------------------------------------------------------------------------------- workers */

/* A chunk is on disk, or its write failed. */
static void on_chunk(void *context, const struct lum__written_chunk *chunk, lum_status status)
{
    struct loader *loader = context;
    const struct lum__chunk_entry *entry = &chunk->entry;
    struct lum__request *request = status == LUM_OK ? calloc(1, sizeof *request) : NULL;
    if (status == LUM_OK && request == NULL) status = lum__fail(LUM_ERR_NO_MEMORY, "out of memory for a request");
    if (status != LUM_OK) {
        /* Reaped, so the extent, if there was one, is free again; after an I/O error its blocks are not trusted and stay out of use until the
         * store is reopened. */
        if (status != LUM_ERR_IO && entry->byte_count > 0) {
            lum__segments_release(loader->context->segments, entry->segment, entry->offset, entry->byte_count);
        }
        fail(loader, status);
    } else {
        *request = (struct lum__request){.kind = LUM__REQUEST_CHUNK, .is_heap = true, .transaction_id = entry->transaction_id, .chunk = *entry};
        atomic_fetch_add_explicit(&loader->rows_written, entry->row_count, memory_order_relaxed); /* for progress only */
        atomic_fetch_add_explicit(&loader->bytes_written, entry->byte_count, memory_order_relaxed);
        lum__sequencer_push(loader->context->sequencer, request);
    }
    pthread_mutex_lock(&loader->mutex);
    chunk->transaction->chunk_count += status == LUM_OK;
    drop_outstanding(loader, chunk->transaction);
    pthread_mutex_unlock(&loader->mutex);
}

static lum_status on_page(void *context, struct lum__producer *producer)
{
    struct loader *loader = context;
    if (atomic_load_explicit(&loader->is_stopping, memory_order_relaxed)) return LUM_ERR_CANCELLED;
    if (producer->worker != 0 || loader->options->on_progress == NULL) return LUM_OK;
    uint64_t now = lum__clock_monotonic_ns();
    if (now < loader->next_progress_ns) return LUM_OK;
    loader->next_progress_ns = now + PROGRESS_NS;
    lum_load_progress progress = {
        .rows_written = atomic_load_explicit(&loader->rows_written, memory_order_relaxed),
        .rows_total = loader->source->row_count,
        .bytes_written = atomic_load_explicit(&loader->bytes_written, memory_order_relaxed),
        .durable_sequence = lum__sequencer_durable(loader->context->sequencer),
        .elapsed_ns = now - loader->begin_ns,
    };
    if (loader->options->on_progress(loader->options->callback_context, &progress)) return LUM_OK;
    return lum__fail(LUM_ERR_CANCELLED, "cancelled; what was committed before stays");
}

/* A bad row or a wish to stop takes nothing from the transactions before it: what this worker has built of them is written and handed over. */
static void finish_earlier(struct loader *loader, struct lum__producer *producer, lum_status status)
{
    if (status != LUM_ERR_INPUT && status != LUM_ERR_CANCELLED) return;
    if (atomic_load_explicit(&loader->is_stopping, memory_order_relaxed)) return; /* nothing is committed any more */
    struct lum__error error = *lum__error_last();
    lum_status reaped = lum__producer_reap(producer, true);
    if (reaped != LUM_OK) fail(loader, reaped);
    lum__error_restore(&error);
}

static lum_status run_worker(struct loader *loader, struct lum__producer *producer)
{
    LUM_TRY(lum__producer_init(producer));
    while (!atomic_load_explicit(&loader->is_stopping, memory_order_relaxed)) {
        LUM_TRY(lum__sequencer_check(loader->context->sequencer));
        struct claimed claimed;
        pthread_mutex_lock(&loader->claim);
        lum_status status = claim_piece(loader, producer->worker, &claimed);
        bool is_over = loader->source_is_over;
        /* Before anybody else asks a source that has failed, is told that it is over, and closes and commits a transaction that lacks rows. */
        if (status != LUM_OK && status != LUM_END) fail(loader, status);
        pthread_mutex_unlock(&loader->claim);
        if (status == LUM_END) {
            LUM_TRY(lum__producer_reap(producer, true)); /* others may wait for our chunks */
            if (is_over) break;
            make_room(loader);
            continue;
        }
        LUM_TRY(status);
        uint64_t rows = 0;
        status = lum__producer_run_piece(producer, claimed.transaction, claimed.transaction_id, claimed.piece_index, &claimed.piece,
                                        claimed.rows_max, &rows);
        if (status != LUM_OK) {
            finish_earlier(loader, producer, status);
            fail(loader, status); /* before its piece counts as finished */
        }
        finish_piece(loader, claimed.transaction, &claimed.piece, rows);
        LUM_TRY(status);
        acknowledge(loader);
    }
    pthread_mutex_lock(&loader->mutex);
    push_complete(loader); /* the last transaction may have been closed without a piece in work */
    pthread_mutex_unlock(&loader->mutex);
    return LUM_OK;
}

static void worker_main(void *context, uint32_t worker)
{
    struct loader *loader = context;
    struct lum__producer *producer = &loader->producers[worker];
    *producer = (struct lum__producer){.context = loader->context,
                                       .source = loader->source,
                                       .worker = worker,
                                       .on_built = on_built,
                                       .on_chunk = on_chunk,
                                       .on_page = on_page,
                                       .loader = loader};
    lum_status status = run_worker(loader, producer);
    if (status != LUM_OK) fail(loader, status);
    lum__producer_fini(producer);
}

/* ------------------------------------------------------------------------------------------------------- the load */

/* After the team: every chunk was handed over or given up. Waits for what is pushed, rolls the rest back. */
static void settle(struct loader *loader)
{
    pthread_mutex_lock(&loader->events);
    while (loader->first < loader->pushed && acknowledge_one(loader, true)) continue;
    pthread_mutex_unlock(&loader->events);
    for (uint64_t number = loader->first; number <= loader->last; number++) {
        struct lum__load_transaction *transaction = slot(loader, number);
        bool was_pushed = transaction->is_pushed;
        if (was_pushed) lum__ticket_wait(&transaction->ticket, UINT64_MAX);
        if (was_pushed && transaction->ticket.status == LUM_IN_DOUBT && loader->status != LUM_IN_DOUBT) {
            loader->status = LUM_IN_DOUBT; /* whatever a worker met first: rows of this load may be there after all (P6) */
            loader->error = transaction->ticket.error;
        }
        LUM_ASSERT(!was_pushed || transaction->ticket.status != LUM_OK); /* the chain breaks at the first failure */
        LUM_ASSERT(transaction->outstanding == 0);
        struct lum__ticket ticket = {0};
        struct lum__request request = {.kind = LUM__REQUEST_ROLLBACK, .transaction_id = transaction->transaction_id, .ticket = &ticket};
        lum__sequencer_push(loader->context->sequencer, &request);
        lum__ticket_wait(&ticket, UINT64_MAX);
        free(transaction->resume);
        transaction->resume = NULL;
    }
}

/* P8, counted from two sides: what the source says it read, and what the producers took from it. */
static void account(struct loader *loader, uint64_t *write_wait_ns)
{
    lum_load_report *report = loader->report;
    uint64_t rows_filled = 0;
    for (uint32_t i = 0; i < loader->context->workers; i++) {
        const struct lum__producer *producer = &loader->producers[i];
        rows_filled += producer->rows_filled;
        report->bytes_written += producer->bytes_written;
        report->chunk_count += producer->chunk_count;
        *write_wait_ns += producer->write_wait_ns;
    }
    report->rows_loaded = loader->rows_loaded;
    report->rows_read = rows_filled;
    if (loader->source->account != NULL) {
        loader->source->account(loader->source->context, &report->rows_read, &report->rows_rejected, &report->bytes_read);
    }
    report->rows_rolled_back = report->rows_read - report->rows_rejected - report->rows_loaded;
    bool adds_up = report->rows_read == rows_filled + report->rows_rejected && report->rows_rolled_back == 0;
    if (loader->source->account != NULL) adds_up &= loader->rows_committed == report->rows_read; /* its pieces say the same */
    if (loader->status == LUM_OK && !adds_up) {
        lum_status status = lum__fail(LUM_ERR_ARGUMENT, "%s says that it read %llu rows and rejected %llu, but gave %llu (of pieces of %llu), of which %llu were committed",
                                      loader->source->name, (unsigned long long)report->rows_read, (unsigned long long)report->rows_rejected,
                                      (unsigned long long)rows_filled, (unsigned long long)loader->rows_committed,
                                      (unsigned long long)report->rows_loaded);
        fail(loader, status);
    }
    report->elapsed_ns = lum__clock_monotonic_ns() - loader->begin_ns;
}

lum_status lum__load(const struct lum__load_context *context, const lum_source *source, const lum_load_options *options,
                     lum_load_report *report, uint64_t *write_wait_ns)
{
    *write_wait_ns = 0;
    LUM_TRY(lum__sequencer_check(context->sequencer));
    struct loader *loader = NULL;
    LUM_TRY(lum__alloc_zeroed(1, sizeof *loader, (void **)&loader));
    lum_status status = lum__alloc_zeroed(context->workers, sizeof *loader->producers, (void **)&loader->producers);
    if (status != LUM_OK) {
        free(loader);
        return status;
    }
    loader->context = context;
    loader->source = source;
    loader->options = options;
    loader->report = report;
    loader->rows_per_transaction = options->commit_every > 0 ? options->commit_every : UINT64_MAX;
    loader->newest_id = options->label_after;
    loader->begin_ns = lum__clock_monotonic_ns();
    loader->next_progress_ns = loader->begin_ns + PROGRESS_NS;
    pthread_mutex_init(&loader->claim, NULL);
    pthread_mutex_init(&loader->mutex, NULL);
    pthread_mutex_init(&loader->events, NULL);
    pthread_cond_init(&loader->changed, NULL);
    begin_transaction(loader, 0);
    lum__parallel(context->workers, worker_main, loader);
    settle(loader);
    account(loader, write_wait_ns);
    status = loader->status;
    if (status != LUM_OK) lum__error_restore(&loader->error);
    pthread_cond_destroy(&loader->changed);
    pthread_mutex_destroy(&loader->claim);
    pthread_mutex_destroy(&loader->mutex);
    pthread_mutex_destroy(&loader->events);
    free(loader->producers);
    free(loader);
    return status;
}
