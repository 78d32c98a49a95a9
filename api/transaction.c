/* Transactions. States of one:
 *
 *   gathering --SPILL_ROWS reached--> spilling (chunks on disk and in the log, rows still gathered)
 *   gathering --commit--> one request with its rows            spilling --commit--> the rest as a chunk, then the request of a bulk commit
 *   any --failure of an append--> failed: only a rollback, or a commit that answers the failure and rolls back
 *   any --lum_close--> orphaned: every call answers an error, commit and rollback free it */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/store.h"
#include "base/assert.h"
#include "base/memory.h"
#include "base/status.h"
#include "pipeline/pool.h"
#include "storage/chunk.h"
#include "storage/record.h"
#include "storage/row_table.h"

enum { SPILL_ROWS = 32768 };

struct lum_txn {
    struct lum_txn *next, *previous; /* in the store's list, under its mutex */
    lum_store *store;                /* NULL: it was closed */
    uint64_t id;
    char *label; /* NULL: none */
    lum_t *rows; /* gathered, not written yet */
    size_t row_count, row_capacity;
    uint64_t lum_count;   /* of all rows */
    uint64_t chunk_count; /* written and handed over */
    struct lum__page_scratch *scratch;
    lum_status failed;
    struct lum__error error;
};

/* --------------------------------------------------------------------------------------------------- begin and end */

static lum_status check_usable(const lum_txn *txn)
{
    if (txn == NULL) return lum__fail(LUM_ERR_ARGUMENT, "the transaction is NULL");
    if (txn->store == NULL) return lum__fail(LUM_ERR_ARGUMENT, "the transaction's store was closed, which rolled it back");
    LUM_TRY(lum__store_check(txn->store));
    if (txn->failed != LUM_OK) lum__error_restore(&txn->error);
    return txn->failed;
}

lum_status lum_txn_begin(lum_store *store, const lum_txn_options *options, lum_txn **out)
{
    if (out == NULL) return lum__fail(LUM_ERR_ARGUMENT, "lum_txn_begin needs a place for the handle");
    *out = NULL;
    LUM_TRY(lum__store_check_writable(store));
    if (options != NULL && options->struct_version != 1) return lum__fail(LUM_ERR_VERSION, "lum_txn_options.struct_version must be 1");
    const char *label = options != NULL && options->label != NULL ? options->label : "";
    size_t label_bytes = strlen(label);
    if (label_bytes > LUM__WAL_LABEL_BYTES_MAX) return lum__fail(LUM_ERR_ARGUMENT, "a label of %zu bytes: 255 is the most", label_bytes);
    LUM_TRY(lum__store_check_label(store, label, 0));
    lum_txn *txn = NULL;
    LUM_TRY(lum__alloc_zeroed(1, sizeof *txn, (void **)&txn));
    lum_status status = label_bytes > 0 ? lum__alloc(label_bytes + 1, (void **)&txn->label) : LUM_OK;
    if (status != LUM_OK) {
        free(txn);
        return status;
    }
    if (label_bytes > 0) memcpy(txn->label, label, label_bytes + 1);
    txn->store = store;
    txn->id = lum__sequencer_transaction_id(store->sequencer);
    pthread_mutex_lock(&store->mutex);
    txn->next = store->transactions;
    if (txn->next != NULL) txn->next->previous = txn;
    store->transactions = txn;
    pthread_mutex_unlock(&store->mutex);
    *out = txn;
    return LUM_OK;
}

uint64_t lum_txn_id(const lum_txn *txn) { return txn != NULL ? txn->id : 0; }

static void release(lum_txn *txn)
{
    lum_store *store = txn->store;
    if (store != NULL && store->pid == getpid()) { /* in a forked child the mutex may be anybody's */
        pthread_mutex_lock(&store->mutex);
        if (txn->next != NULL) txn->next->previous = txn->previous;
        if (txn->previous != NULL) txn->previous->next = txn->next;
        else store->transactions = txn->next;
        pthread_mutex_unlock(&store->mutex);
    }
    free(txn->label);
    free(txn->rows);
    free(txn->scratch);
    free(txn);
}

/* Chunks that were handed over are given back by the sequencer. */
static lum_status roll_back_chunks(lum_txn *txn)
{
    struct lum__ticket ticket = {0};
    struct lum__request request = {.kind = LUM__REQUEST_ROLLBACK, .transaction_id = txn->id, .ticket = &ticket};
    if (txn->chunk_count == 0) return LUM_OK;
    lum__sequencer_push(txn->store->sequencer, &request);
    lum__ticket_wait(&ticket, UINT64_MAX);
    return ticket.status;
}

lum_status lum_txn_rollback(lum_txn *txn)
{
    if (txn == NULL) return LUM_OK;
    lum_status status = txn->store != NULL ? lum__store_check(txn->store) : LUM_OK; /* closed: rolled back already */
    if (status == LUM_OK && txn->store != NULL) status = roll_back_chunks(txn);
    release(txn);
    return status;
}

void lum__store_end_transactions(lum_store *store)
{
    pthread_mutex_lock(&store->mutex);
    lum_txn *txn = store->transactions;
    store->transactions = NULL;
    pthread_mutex_unlock(&store->mutex);
    for (lum_txn *next; txn != NULL; txn = next) {
        next = txn->next;
        lum_status status = roll_back_chunks(txn);
        (void)status; /* the next opening rolls back what the sequencer could not */
        txn->next = txn->previous = NULL;
        txn->store = NULL;
    }
}

/* ------------------------------------------------------------------------------------------------------- appending */

/* Keeps the failure of an append or a commit: from here on there is only the rollback. */
static lum_status fail(lum_txn *txn, lum_status status)
{
    txn->failed = status;
    txn->error = *lum__error_last();
    if (status == LUM_ERR_SYNC) lum__sequencer_poison(txn->store->sequencer); /* a new data segment's: final like any other */
    return status;
}

static lum_status build_chunk(lum_txn *txn, uint8_t *buffer, struct lum__chunk_builder *builder)
{
    lum__chunk_begin(builder, buffer, (uint32_t)txn->row_count, txn->scratch);
    for (size_t done = 0; done < txn->row_count;) {
        struct lum__page_summary summary;
        size_t part = txn->row_count - done < LUM__PAGE_ROWS_MAX ? txn->row_count - done : LUM__PAGE_ROWS_MAX;
        LUM_TRY(lum__chunk_add_rows(builder, txn->rows + done, (uint32_t)part, true, &summary));
        done += part;
    }
    return LUM_OK;
}

/* The descriptor enters the ring after the write has completed, as a load's does. */
static lum_status hand_over(lum_txn *txn, const struct lum__chunk_entry *entry)
{
    struct lum__request *request = NULL;
    LUM_TRY(lum__alloc_zeroed(1, sizeof *request, (void **)&request));
    *request = (struct lum__request){.kind = LUM__REQUEST_CHUNK, .is_heap = true, .transaction_id = txn->id, .chunk = *entry};
    lum__sequencer_push(txn->store->sequencer, request);
    txn->chunk_count++;
    txn->row_count = 0;
    atomic_fetch_add_explicit(&txn->store->data_bytes_written, entry->byte_count, memory_order_relaxed);
    return LUM_OK;
}

static lum_status write_chunk(lum_txn *txn, struct lum__chunk_builder *builder)
{
    lum_store *store = txn->store;
    struct lum__file *file = NULL;
    struct lum__chunk_entry entry;
    uint64_t segment = 0, offset = 0;
    uint32_t byte_count = lum__chunk_sealed_bytes(builder);
    lum_status status;
    uint32_t attempt = 0;
    do status = lum__segments_reserve(store->parts.segments, byte_count, &segment, &offset, &file);
    while (lum__disk_full_retry(&store->parts.disk_full, status, byte_count, &attempt));
    LUM_TRY(status);
    lum__chunk_seal(builder, store->store_id, segment, offset, txn->id, txn->chunk_count, &entry);
    status = lum__file_write(file, builder->buffer, byte_count, offset);
    bool is_trusted = status != LUM_ERR_IO; /* after an I/O error the blocks stay out of use until the store is reopened */
    if (status == LUM_OK) status = hand_over(txn, &entry);
    if (status != LUM_OK && is_trusted) lum__segments_release(store->parts.segments, segment, offset, byte_count);
    return status;
}

/* Writes the gathered rows as one chunk. The buffer is held only here, so that open transactions never keep a load from going on. */
static lum_status spill(lum_txn *txn)
{
    lum_store *store = txn->store;
    LUM_TRY(lum__sequencer_check(store->sequencer));
    LUM_TRY(lum__store_make_pool(store));
    if (txn->scratch == NULL) {
        txn->scratch = aligned_alloc(64, (lum__page_scratch_bytes() + 63) / 64 * 64);
        if (txn->scratch == NULL) return lum__fail(LUM_ERR_NO_MEMORY, "out of memory to encode pages");
    }
    uint8_t *buffer = lum__pool_take(store->pool);
    struct lum__chunk_builder builder;
    lum_status status = build_chunk(txn, buffer, &builder);
    if (status == LUM_OK) status = write_chunk(txn, &builder);
    lum__pool_give(store->pool, buffer);
    return status;
}

static size_t spill_rows(const lum_txn *txn)
{
    uint32_t chunk_lums = txn->store->options.chunk_lums;
    return chunk_lums < SPILL_ROWS ? chunk_lums : SPILL_ROWS;
}

static lum_status check_rows(const lum_t *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        enum lum__row_fault fault = lum__record_check(&rows[i], rows[i].checksum != 0);
        if (fault != LUM__ROW_OK) return lum__fail(LUM_ERR_INPUT, "row %zu: %s", i + 1, lum__row_fault_text(fault));
    }
    return LUM_OK;
}

static lum_status add_rows(lum_txn *txn, const lum_t *rows, size_t count)
{
    size_t most = spill_rows(txn);
    while (count > 0) {
        size_t part = most - txn->row_count < count ? most - txn->row_count : count;
        LUM_TRY(lum__grow((void **)&txn->rows, &txn->row_capacity, txn->row_count + part, sizeof *txn->rows));
        lum_t *to = txn->rows + txn->row_count;
        memcpy(to, rows, part * sizeof *rows);
        for (size_t i = 0; i < part; i++) to[i].checksum = lum__record_checksum(&to[i]);
        txn->row_count += part;
        txn->lum_count += part;
        rows += part;
        count -= part;
        if (txn->row_count == most) LUM_TRY(spill(txn));
    }
    return LUM_OK;
}

lum_status lum_txn_append(lum_txn *txn, const lum_t *rows, size_t count)
{
    LUM_TRY(check_usable(txn));
    if (rows == NULL && count > 0) return lum__fail(LUM_ERR_ARGUMENT, "lum_txn_append needs rows");
    LUM_TRY(check_rows(rows, count));
    lum_status status = add_rows(txn, rows, count);
    return status == LUM_OK ? LUM_OK : fail(txn, status);
}

lum_status lum_txn_append_group(lum_txn *txn, const lum_group_t *group)
{
    if (group == NULL) return lum__fail(LUM_ERR_ARGUMENT, "the group is NULL");
    return lum_txn_append(txn, lum_group_data(group), lum_group_size(group));
}

/* ------------------------------------------------------------------------------------------------------ committing */

static lum_status commit_usable(lum_txn *txn, bool is_async, lum_receipt *receipt)
{
    struct lum__sequencer *sequencer = txn->store->sequencer;
    bool is_small = txn->chunk_count == 0 && txn->row_count <= lum__sequencer_rows_max(sequencer);
    LUM_TRY(lum__sequencer_check(sequencer));
    if (!is_small && txn->row_count > 0) LUM_TRY(spill(txn));
    struct lum__ticket ticket = {0};
    struct lum__request request = {.kind = LUM__REQUEST_COMMIT,
                                   .transaction_id = txn->id,
                                   .lum_count = txn->lum_count,
                                   .chunk_count = txn->chunk_count,
                                   .is_async = is_async,
                                   .label = txn->label,
                                   .ticket = &ticket};
    if (is_small && txn->row_count > 0) {
        request.rows = txn->rows;
        request.rows_digest = lum__rows_digest(0, txn->rows, txn->row_count);
    }
    lum__sequencer_push(sequencer, &request);
    lum__ticket_wait(&ticket, UINT64_MAX);
    LUM_TRY(ticket.status);
    receipt->sequence = ticket.sequence;
    receipt->timestamp = ticket.timestamp;
    receipt->digest = ticket.digest;
    receipt->lum_count = txn->lum_count;
    receipt->durable = ticket.sequence <= lum__sequencer_durable(sequencer);
    txn->chunk_count = 0; /* they are the catalogue's now */
    return LUM_OK;
}

static lum_status commit(lum_txn *txn, bool is_async, lum_receipt *receipt)
{
    lum_receipt mine = LUM_RECEIPT_INIT;
    if (txn == NULL) return lum__fail(LUM_ERR_ARGUMENT, "the transaction is NULL");
    lum_status status = receipt != NULL && receipt->struct_version != 1 ? lum__fail(LUM_ERR_VERSION, "lum_receipt.struct_version must be 1") : LUM_OK;
    if (status != LUM_OK) receipt = NULL;
    if (status == LUM_OK) status = check_usable(txn);
    mine.transaction_id = txn->id;
    if (status == LUM_OK) status = commit_usable(txn, is_async, &mine);
    if (status != LUM_OK) {
        struct lum__error cause = *lum__error_last();
        if (status == LUM_ERR_SYNC && txn->failed == LUM_OK && txn->store != NULL) (void)fail(txn, status);
        lum_status undone = lum_txn_rollback(txn);
        (void)undone; /* what was not committed is never visible, whether its space came back or not */
        lum__error_restore(&cause);
    } else {
        release(txn);
    }
    if (receipt != NULL) *receipt = mine;
    return status;
}

lum_status lum_txn_commit(lum_txn *txn, lum_receipt *receipt) { return commit(txn, false, receipt); }

lum_status lum_txn_commit_async(lum_txn *txn, lum_receipt *receipt) { return commit(txn, true, receipt); }

lum_status lum_wait_durable(lum_store *store, uint64_t sequence, uint64_t timeout_ns)
{
    LUM_TRY(lum__store_check(store));
    if (!store->is_writer) return lum__fail(LUM_ERR_READ_ONLY, "the store was opened for reading only");
    return lum__sequencer_wait_durable(store->sequencer, sequence, timeout_ns);
}

/* ------------------------------------------------------------------------------------------------------- outcomes */

enum { EPOCH_SHIFT = 40 }; /* transaction id = epoch * 2^40 + n */

/* Of an id that is not committed: may it have been given out, and be sure of its end? */
static bool is_surely_not_committed(lum_store *store, uint64_t transaction_id)
{
    uint64_t epoch = transaction_id >> EPOCH_SHIFT;
    if (transaction_id == 0 || epoch == 0) return false;
    if (store->is_writer) {
        if (epoch != store->parts.epoch) return epoch < store->parts.epoch;
        return transaction_id < lum__sequencer_next_transaction(store->sequencer) && lum__sequencer_check(store->sequencer) == LUM_OK;
    }
    const struct lum__state *state = &store->plan.state;
    enum lum__verdict verdict = store->plan.decision.verdict;
    if (verdict == LUM__VERDICT_REFUSE || verdict == LUM__VERDICT_UNSUPPORTED) return false; /* its commit may lie in what cannot be read */
    return epoch < state->epoch || (epoch == state->epoch && !store->plan.writer_alive);
}

lum_status lum_txn_outcome(lum_store *store, uint64_t transaction_id, enum lum_outcome *out)
{
    if (out == NULL) return lum__fail(LUM_ERR_ARGUMENT, "lum_txn_outcome needs a place for the answer");
    *out = LUM_OUTCOME_UNKNOWN;
    LUM_TRY(lum__store_check(store));
    bool is_not_committed = is_surely_not_committed(store, transaction_id); /* before the look, so that a commit in between is seen */
    const struct lum__catalogue_version *version = lum__catalogue_pin(store->catalogue);
    bool is_committed = lum__catalogue_has_id(version, transaction_id);
    lum__catalogue_unpin(store->catalogue, version);
    if (is_committed) *out = LUM_OUTCOME_COMMITTED;
    else if (is_not_committed) *out = LUM_OUTCOME_NOT_COMMITTED;
    return LUM_OK;
}

lum_status lum__store_check_label(lum_store *store, const char *label, uint64_t label_after)
{
    const struct lum__transaction *found = label[0] != 0 ? lum__catalogue_find_label(store->catalogue, label) : NULL;
    uint64_t newest = found != NULL ? found->transaction_id : 0;
    if (newest == label_after) return LUM_OK;
    if (label_after != 0) {
        return lum__fail(LUM_ERR_LABEL, "transaction %llu is not the newest with the label \"%s\"", (unsigned long long)label_after, label);
    }
    return lum__fail(LUM_ERR_LABEL, "the label \"%s\" was committed already, by transaction %llu", label, (unsigned long long)newest);
}

lum_status lum_label_resume(lum_store *store, const char *label, const void **resume, size_t *resume_bytes)
{
    if (label == NULL || resume == NULL || resume_bytes == NULL)
        return lum__fail(LUM_ERR_ARGUMENT, "lum_label_resume needs a label and places for the bytes and their count");
    *resume = NULL;
    *resume_bytes = 0;
    LUM_TRY(lum__store_check(store));
    const struct lum__transaction *found = label[0] != 0 ? lum__catalogue_find_label(store->catalogue, label) : NULL;
    if (found == NULL) return lum__fail(LUM_ERR_NOT_FOUND, "no committed transaction has the label \"%s\"", label);
    *resume = found->metadata.resume;
    *resume_bytes = found->metadata.resume_bytes;
    return LUM_OK;
}

lum_status lum_label_outcome(lum_store *store, const char *label, lum_receipt *out)
{
    if (label == NULL || out == NULL || out->struct_version != 1)
        return lum__fail(LUM_ERR_ARGUMENT, "lum_label_outcome needs a label and a receipt with struct_version 1");
    *out = (lum_receipt)LUM_RECEIPT_INIT;
    LUM_TRY(lum__store_check(store));
    const struct lum__transaction *found = label[0] != 0 ? lum__catalogue_find_label(store->catalogue, label) : NULL;
    if (found == NULL) return lum__fail(LUM_ERR_NOT_FOUND, "no committed transaction has the label \"%s\"", label);
    out->sequence = found->commit_sequence;
    out->transaction_id = found->transaction_id;
    out->digest = found->digest;
    out->lum_count = found->lum_count;
    out->timestamp = found->commit_timestamp;
    out->durable = found->commit_sequence <= (store->is_writer ? lum__sequencer_durable(store->sequencer) : store->plan.durable_sequence);
    return LUM_OK;
}
