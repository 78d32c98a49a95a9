/* recovery/replay.c - see replay.h. */
#include "recovery/replay.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/status.h"

enum { EPOCH_SHIFT = 40 }; /* transaction id = epoch * 2^40 + n */

struct lum__replay_open {
    struct lum__replay_open *next; /* in its bucket */
    uint64_t transaction_id;
    struct lum__chunk_entry *chunks;
    size_t chunk_count;
    size_t chunk_capacity;
    struct lum__replay_rows rows; /* of its pages record, instead of chunks */
};

static struct lum__replay_open **find_open(struct lum__replay *replay, uint64_t transaction_id)
{
    struct lum__replay_open **at =
        &replay->open[(transaction_id ^ transaction_id >> EPOCH_SHIFT) % LUM__REPLAY_BUCKETS];
    while (*at != NULL && (*at)->transaction_id != transaction_id) at = &(*at)->next;
    return at;
}

static lum_status add_open(struct lum__replay *replay, uint64_t transaction_id, struct lum__replay_open **out)
{
    struct lum__replay_open **at = find_open(replay, transaction_id);
    void *memory = NULL;
    LUM_ASSERT(*at == NULL);
    LUM_TRY(lum__alloc_zeroed(1, sizeof **at, &memory));
    *at = memory;
    (*at)->transaction_id = transaction_id;
    replay->open_count++;
    *out = *at;
    return LUM_OK;
}

static void remove_open(struct lum__replay *replay, struct lum__replay_open **at)
{
    struct lum__replay_open *open = *at;
    *at = open->next;
    free(open->chunks);
    free(open->rows.rows);
    free(open);
    LUM_ASSERT(replay->open_count > 0);
    replay->open_count--;
}

static lum_status add_chunk(struct lum__replay_open *open, const struct lum__chunk_entry *entry)
{
    void *array = open->chunks;
    LUM_TRY(lum__grow(&array, &open->chunk_capacity, open->chunk_count + 1, sizeof *entry));
    open->chunks = array;
    open->chunks[open->chunk_count++] = *entry;
    return LUM_OK;
}

lum_status lum__replay_create(const struct lum__checkpoint *checkpoint, struct lum__replay **out)
{
    void *memory = NULL;
    lum_status status = LUM_OK;
    *out = NULL;
    LUM_TRY(lum__alloc_zeroed(1, sizeof(struct lum__replay), &memory));
    struct lum__replay *replay = memory;
    for (size_t i = 0; i < checkpoint->open_count; i++) {
        const struct lum__open_transaction *from = &checkpoint->open[i];
        struct lum__replay_open *open = NULL;
        if (*find_open(replay, from->transaction_id) != NULL) continue; /* the checkpoint's own check forbids it */
        LUM_TRY_OUT(add_open(replay, from->transaction_id, &open));
        for (size_t j = 0; j < from->chunk_count; j++) {
            LUM_TRY_OUT(add_chunk(open, &from->chunks[j]));
            if (from->chunks[j].segment > replay->data_segment_max) replay->data_segment_max = from->chunks[j].segment;
        }
    }
    *out = replay;
out:
    if (status != LUM_OK) lum__replay_destroy(replay);
    return status;
}

/* Intact records that contradict each other: our bug, or a log put together from pieces. Nothing of it is taken from
 * here on. */
static lum_status mark_broken(struct lum__replay *replay, const struct lum__wal_record *record, const char *why)
{
    char path[64];
    lum__wal_path(record->segment, path);
    lum_status status =
        lum__corrupt(path, record->offset, 0, "%s %llu of transaction %llu %s", lum__wal_type_name(record->type),
                     (unsigned long long)record->sequence, (unsigned long long)record->transaction_id, why);
    (void)status;
    replay->is_broken = true;
    replay->problem = *lum__error_last();
    return LUM_OK;
}

static int compare_ordinals(const void *a, const void *b)
{
    const struct lum__chunk_entry *left = a, *right = b;
    return (left->ordinal > right->ordinal) - (left->ordinal < right->ordinal);
}

/* Why a commit does not fit its chunks (sorted by ordinal), NULL if it does. */
static const char *find_misfit(const struct lum__wal_record *record, const struct lum__replay_open *open)
{
    const struct lum__chunk_entry *chunks = open->chunks;
    size_t count = open->chunk_count;
    uint64_t rows = 0;
    if (open->rows.rows != NULL) {
        if (record->commit.chunk_count != 0 || count != 0) return "has both rows in the log and chunks";
        if (record->commit.lum_count != open->rows.row_count) return "names another number of records than its rows in the log";
        return record->commit.digest == open->rows.digest ? NULL : "has another digest than its rows in the log";
    }
    if (record->commit.chunk_count != count) return "names another number of chunks than the log does";
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && chunks[i].ordinal == chunks[i - 1].ordinal) return "has two chunks at one place in its order";
        rows += chunks[i].row_count;
    }
    if (record->commit.lum_count != rows) return "names another number of records than its chunks hold";
    if (lum__catalogue_digest(0, chunks, count) != record->commit.digest) return "has another digest than its chunks";
    return NULL;
}

/* Copies label and metadata to one block, which the label's pointer owns. */
static lum_status copy_texts(const struct lum__wal_record *record, char **label, struct lum__metadata *metadata)
{
    size_t label_bytes = record->commit.label_bytes;
    *metadata = record->commit.metadata;
    LUM_TRY(lum__alloc(label_bytes + 1 + metadata->item_bytes + metadata->resume_bytes, (void **)label));
    memcpy(*label, record->commit.label, label_bytes);
    (*label)[label_bytes] = 0;
    uint8_t *at = (uint8_t *)*label + label_bytes + 1;
    if (metadata->item_bytes > 0) metadata->items = memcpy(at, metadata->items, metadata->item_bytes);
    if (metadata->resume_bytes > 0)
        metadata->resume = memcpy(at + metadata->item_bytes, metadata->resume, metadata->resume_bytes);
    return LUM_OK;
}

static lum_status feed_commit(struct lum__replay *replay, const struct lum__log_position *before,
                              const struct lum__wal_record *record)
{
    struct lum__replay_open **at = find_open(replay, record->transaction_id);
    struct lum__replay_open none = {.transaction_id = record->transaction_id};
    struct lum__replay_open *open = *at != NULL ? *at : &none; /* a commit without any chunk needs no begin */
    if (open->chunk_count > 1) qsort(open->chunks, open->chunk_count, sizeof *open->chunks, compare_ordinals);
    const char *misfit = find_misfit(record, open);
    if (misfit != NULL) return mark_broken(replay, record, misfit);

    void *array = replay->commits;
    char *label;
    struct lum__metadata metadata;
    LUM_TRY(lum__grow(&array, &replay->commit_capacity, replay->commit_count + 1, sizeof *replay->commits));
    replay->commits = array;
    LUM_TRY(copy_texts(record, &label, &metadata));

    struct lum__replay_commit *commit = &replay->commits[replay->commit_count++];
    memset(commit, 0, sizeof *commit);
    commit->transaction = (struct lum__transaction){.transaction_id = record->transaction_id,
                                                    .commit_sequence = record->sequence,
                                                    .commit_timestamp = record->timestamp,
                                                    .lum_count = record->commit.lum_count,
                                                    .chunk_count = record->commit.chunk_count,
                                                    .digest = record->commit.digest,
                                                    .data_synced = record->commit.data_synced,
                                                    .label = label,
                                                    .metadata = metadata};
    commit->before = *before;
    commit->log_bytes_before = replay->log_bytes;
    commit->rows = open->rows;
    commit->chunks = open->chunks;
    commit->chunk_count = open->chunk_count;
    commit->chunk_capacity = open->chunk_capacity;
    for (size_t i = 0; i < commit->chunk_count; i++) commit->chunks[i].commit_sequence = record->sequence;
    open->chunks = NULL;
    open->rows.rows = NULL;
    if (*at != NULL) remove_open(replay, at);
    return LUM_OK;
}

static lum_status feed_chunk(struct lum__replay *replay, const struct lum__wal_record *record)
{
    struct lum__replay_open *open = *find_open(replay, record->transaction_id);
    if (record->chunk.transaction_id != record->transaction_id)
        return mark_broken(replay, record, "names a chunk of another transaction");
    if (open == NULL) LUM_TRY(add_open(replay, record->transaction_id, &open));
    if (open->rows.rows != NULL) return mark_broken(replay, record, "names a chunk of a transaction that has rows in the log");
    if (record->chunk.segment > replay->data_segment_max) replay->data_segment_max = record->chunk.segment;
    return add_chunk(open, &record->chunk);
}

/* Its rows are lent by the reader, so they are copied. */
static lum_status feed_pages(struct lum__replay *replay, const struct lum__wal_record *record)
{
    struct lum__replay_open *open = *find_open(replay, record->transaction_id);
    void *rows = NULL;
    if (open != NULL) return mark_broken(replay, record, "was begun before");
    LUM_TRY(add_open(replay, record->transaction_id, &open));
    LUM_TRY(lum__alloc(record->pages.row_count * sizeof(lum_t), &rows));
    memcpy(rows, record->pages.rows, record->pages.row_count * sizeof(lum_t));
    open->rows = (struct lum__replay_rows){.rows = rows,
                                           .row_count = record->pages.row_count,
                                           .digest = record->pages.digest,
                                           .segment = record->segment,
                                           .offset = record->offset};
    return LUM_OK;
}

static lum_status feed_begin(struct lum__replay *replay, const struct lum__wal_record *record)
{
    struct lum__replay_open *open;
    if (*find_open(replay, record->transaction_id) != NULL) return mark_broken(replay, record, "was begun before");
    return add_open(replay, record->transaction_id, &open);
}

lum_status lum__replay_feed(struct lum__replay *replay, const struct lum__log_position *before,
                            const struct lum__wal_record *record)
{
    lum_status status = LUM_OK;
    LUM_ASSERT(record->sequence == before->sequence + 1);
    replay->record_count++;
    replay->successor = record->type == LUM__WAL_SEAL ? record->seal.successor : 0;
    if (record->timestamp > replay->last_timestamp) replay->last_timestamp = record->timestamp;
    if (record->type <= LUM__WAL_ROLLBACK) {
        replay->last_content_sequence = record->sequence;
        if (record->transaction_id >> EPOCH_SHIFT > replay->epoch_max)
            replay->epoch_max = record->transaction_id >> EPOCH_SHIFT;
    }
    if (!replay->is_broken) {
        struct lum__replay_open **open;
        switch (record->type) {
        case LUM__WAL_BEGIN: status = feed_begin(replay, record); break;
        case LUM__WAL_PAGES: status = feed_pages(replay, record); break;
        case LUM__WAL_CHUNK: status = feed_chunk(replay, record); break;
        case LUM__WAL_COMMIT: status = feed_commit(replay, before, record); break;
        case LUM__WAL_ROLLBACK:
            open = find_open(replay, record->transaction_id);
            if (*open != NULL) remove_open(replay, open);
            break;
        case LUM__WAL_CHECKPOINT:
            if (record->checkpoint.number > replay->checkpoint_max) replay->checkpoint_max = record->checkpoint.number;
            break;
        case LUM__WAL_WATERMARK:
        case LUM__WAL_SEAL: break;
        }
    }
    if (replay->is_broken && replay->broken_before.segment == 0) replay->broken_before = *before;
    replay->log_bytes += lum__wal_record_bytes(record);
    return status;
}

lum_status lum__replay_publish(const struct lum__replay *replay, size_t first, size_t end,
                               struct lum__catalogue *catalogue)
{
    LUM_ASSERT(first <= end);
    LUM_ASSERT(end <= replay->commit_count);
    for (size_t i = first; i < end; i++) {
        const struct lum__replay_commit *commit = &replay->commits[i];
        if (commit->rows.rows != NULL)
            LUM_TRY(lum__catalogue_commit_rows(catalogue, &commit->transaction, commit->rows.rows, commit->rows.segment, commit->rows.offset));
        else
            LUM_TRY(lum__catalogue_commit(catalogue, &commit->transaction, commit->chunks, commit->chunk_count));
    }
    return LUM_OK;
}

void lum__replay_destroy(struct lum__replay *replay)
{
    if (replay == NULL) return;
    for (size_t i = 0; i < LUM__REPLAY_BUCKETS; i++) {
        while (replay->open[i] != NULL) remove_open(replay, &replay->open[i]);
    }
    for (size_t i = 0; i < replay->commit_count; i++) {
        free(replay->commits[i].chunks);
        free(replay->commits[i].rows.rows);
        free((void *)(uintptr_t)replay->commits[i].transaction.label);
    }
    free(replay->commits);
    free(replay);
}
