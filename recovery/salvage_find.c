/* recovery/salvage_find.c - which transactions were committed, and where their chunks lie: from the newest intact
 * checkpoint and the legible log behind it; where either has holes, from what is left of damaged checkpoints and from
 * the chunks themselves. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "recovery/log_gather.h"
#include "recovery/salvage_private.h"
#include "recovery/state.h"
#include "storage/header.h"
#include "wal/log_segment.h"

enum { STORE_IDS_MAX = 16 };

/* ------------------------------------------------------------------------------------------------- whose files are
 * these
 */

struct vote {
    struct lum__fs *fs;
    uint8_t ids[STORE_IDS_MAX][16];
    uint32_t votes[STORE_IDS_MAX];
    size_t count;
};

static void vote_for(struct vote *vote, const char *path, enum lum__file_kind kind)
{
    uint8_t block[LUM__BLOCK_BYTES];
    struct lum__file *file = NULL;
    struct lum__file_header header;
    size_t bytes_read = 0, i = 0;
    if (lum__fs_open_file(vote->fs, path, LUM__OPEN_READ, &file) != LUM_OK) return;
    bool is_read = lum__file_read(file, block, sizeof block, 0, &bytes_read) == LUM_OK && bytes_read == sizeof block;
    (void)lum__file_close(file);
    if (!is_read || lum__header_decode(block, kind, NULL, 0, path, &header) != LUM_OK) return;
    while (i < vote->count && memcmp(vote->ids[i], header.store_id, 16) != 0) i++;
    if (i == STORE_IDS_MAX) return;
    if (i == vote->count) memcpy(vote->ids[vote->count++], header.store_id, 16);
    vote->votes[i]++;
}

static lum_status vote_log(void *context, const char *name)
{
    char path[LUM__PATH_BYTES_MAX];
    if (lum__wal_name_number(name) == 0) return LUM_OK;
    lum__wal_path(lum__wal_name_number(name), path);
    vote_for(context, path, LUM__FILE_WAL);
    return LUM_OK;
}

static lum_status vote_data(void *context, const char *name)
{
    char path[LUM__PATH_BYTES_MAX];
    uint64_t number;
    if (!lum__name_number(name, "", ".seg", &number)) return LUM_OK;
    lum__segment_path(number, path);
    vote_for(context, path, LUM__FILE_DATA);
    return LUM_OK;
}

/* Most files decide: one that got here from another store, be it STATE, does not make the rest foreign. */
static lum_status find_store_id(struct lum__salvage_find *find)
{
    struct lum__salvage *salvage = find->salvage;
    struct vote vote = {.fs = salvage->fs};
    size_t best = 0;
    vote_for(&vote, "STATE", LUM__FILE_STATE);
    for (size_t i = 0; i < find->number_count; i++) {
        char path[LUM__PATH_BYTES_MAX];
        snprintf(path, sizeof path, "checkpoint-%" PRIu64, find->numbers[i]);
        vote_for(&vote, path, LUM__FILE_CHECKPOINT);
    }
    lum_status status = lum__fs_list(salvage->fs, "wal", vote_log, &vote);
    if (status != LUM_ERR_NOT_FOUND) LUM_TRY(status);
    status = lum__fs_list(salvage->fs, "data", vote_data, &vote);
    if (status != LUM_ERR_NOT_FOUND) LUM_TRY(status);
    if (vote.count == 0) return lum__fail(LUM_ERR_NOT_FOUND, "no file here has the header of a lum store");
    for (size_t i = 1; i < vote.count; i++) {
        if (vote.votes[i] > vote.votes[best]) best = i;
    }
    memcpy(salvage->store_id, vote.ids[best], 16);
    return LUM_OK;
}

/* ----------------------------------------------------------------------------------------------------------- small
 * steps
 */

static lum_status copy_text(const void *bytes, size_t byte_count, char **out)
{
    void *copy = NULL;
    LUM_TRY(lum__alloc_zeroed(1, byte_count + 1, &copy));
    if (byte_count > 0) memcpy(copy, bytes, byte_count);
    *out = copy;
    return LUM_OK;
}

static lum_status copy_item(const struct lum__metadata *metadata, uint16_t kind, char **out)
{
    uint32_t byte_count = 0;
    const uint8_t *bytes = lum__metadata_find(metadata, kind, &byte_count);
    return bytes != NULL ? copy_text(bytes, byte_count, out) : LUM_OK;
}

/* metadata may be NULL. */
lum_status lum__salvage_add_transaction(struct lum__salvage *salvage, const struct lum__salvage_transaction *transaction,
                                        const char *label, const struct lum__metadata *metadata)
{
    void *array = salvage->transactions;
    LUM_TRY(lum__grow(&array, &salvage->transaction_capacity, salvage->transaction_count + 1, sizeof *transaction));
    salvage->transactions = array;
    struct lum__salvage_transaction *added = &salvage->transactions[salvage->transaction_count++];
    *added = *transaction;
    added->label = added->mapping = added->source_names = NULL;
    LUM_TRY(copy_text(label, strlen(label), &added->label));
    if (metadata == NULL) return LUM_OK;
    LUM_TRY(copy_item(metadata, LUM__METADATA_MAPPING, &added->mapping));
    return copy_item(metadata, LUM__METADATA_SOURCES, &added->source_names);
}

void lum__salvage_free_texts(struct lum__salvage_transaction *transaction)
{
    free(transaction->label);
    free(transaction->mapping);
    free(transaction->source_names);
}

static lum_status add_chunk(struct lum__salvage *salvage, const struct lum__chunk_entry *entry)
{
    void *array = salvage->chunks;
    LUM_TRY(lum__grow(&array, &salvage->chunk_capacity, salvage->chunk_count + 1, sizeof *entry));
    salvage->chunks = array;
    salvage->chunks[salvage->chunk_count++] = *entry;
    return LUM_OK;
}

static lum_status add_named(struct lum__salvage_find *find, const struct lum__chunk_entry *entry)
{
    void *array = find->named;
    LUM_TRY(lum__grow(&array, &find->named_capacity, find->named_count + 1, sizeof *entry));
    find->named = array;
    find->named[find->named_count++] = *entry;
    return LUM_OK;
}

/* ------------------------------------------------------------------------------------------------- the intact
 * checkpoint
 */

static lum_status take_version(struct lum__salvage_find *find, const struct lum__catalogue_version *version)
{
    struct lum__salvage *salvage = find->salvage;
    size_t chunk = 0;
    for (size_t i = 0; i < version->transaction_count; i++) {
        const struct lum__transaction *from = &version->transactions[i];
        struct lum__salvage_transaction transaction = {.transaction_id = from->transaction_id,
                                                       .commit_sequence = from->commit_sequence,
                                                       .commit_timestamp = from->commit_timestamp,
                                                       .is_count_known = true,
                                                       .lum_count = from->is_member ? 0 : from->lum_count, /* its run has them; only its label counts */
                                                       .chunk_count = from->chunk_count,
                                                       .chunk_first = salvage->chunk_count};
        for (uint64_t j = 0; j < from->chunk_count; j++) LUM_TRY(add_chunk(salvage, &version->chunks[chunk++]));
        transaction.chunk_end = salvage->chunk_count;
        LUM_TRY(lum__salvage_add_transaction(salvage, &transaction, from->label, &from->metadata));
    }
    find->base_count = salvage->transaction_count;
    return LUM_OK;
}

/* Open transactions of the checkpoint may be committed by the log behind it. */
static lum_status take_checkpoint(struct lum__salvage_find *find, const struct lum__checkpoint *checkpoint,
                                  struct lum__catalogue *catalogue)
{
    const struct lum__catalogue_version *version = lum__catalogue_pin(catalogue);
    find->salvage->checkpoint_number = checkpoint->number;
    find->salvage->covered_sequence = checkpoint->replay.sequence;
    lum_status status = take_version(find, version);
    lum__catalogue_unpin(catalogue, version);
    for (size_t i = 0; i < checkpoint->open_count && status == LUM_OK; i++) {
        for (size_t j = 0; j < checkpoint->open[i].chunk_count && status == LUM_OK; j++)
            status = add_named(find, &checkpoint->open[i].chunks[j]);
    }
    return status;
}

static lum_status find_checkpoint(struct lum__salvage_find *find)
{
    for (size_t i = 0; i < find->number_count; i++) {
        struct lum__checkpoint checkpoint = {0};
        struct lum__catalogue *catalogue = NULL;
        LUM_TRY(lum__catalogue_create(&catalogue));
        lum_status status =
            lum__checkpoint_read(find->salvage->fs, find->numbers[i], find->salvage->store_id, &checkpoint, catalogue);
        bool is_intact = status == LUM_OK;
        if (is_intact) status = take_checkpoint(find, &checkpoint, catalogue);
        lum__checkpoint_fini(&checkpoint);
        lum__catalogue_destroy(catalogue);
        if (is_intact || status == LUM_ERR_NO_MEMORY) return status;
    }
    return LUM_OK;
}

/* --------------------------------------------------------------------------------------------------------------- the
 * log
 */

static lum_status take_commit(struct lum__salvage_find *find, const struct lum__wal_record *record)
{
    struct lum__salvage_transaction transaction = {.transaction_id = record->transaction_id,
                                                   .commit_sequence = record->sequence,
                                                   .commit_timestamp = record->timestamp,
                                                   .is_count_known = true,
                                                   .lum_count = record->commit.lum_count,
                                                   .chunk_count = record->commit.chunk_count};
    return lum__salvage_add_transaction(find->salvage, &transaction, record->commit.label, &record->commit.metadata);
}

static lum_status take_rows(struct lum__salvage *salvage, const struct lum__wal_record *record)
{
    void *array = salvage->rows, *rows = NULL;
    size_t bytes = record->pages.row_count * sizeof(lum_t);
    LUM_TRY(lum__grow(&array, &salvage->rows_capacity, salvage->rows_count + 1, sizeof *salvage->rows));
    salvage->rows = array;
    LUM_TRY(lum__alloc(bytes, &rows));
    memcpy(rows, record->pages.rows, bytes);
    salvage->rows[salvage->rows_count++] = (struct lum__salvage_rows){record->transaction_id, rows, record->pages.row_count};
    return LUM_OK;
}

static lum_status take_record(void *context, const struct lum__wal_record *record)
{
    struct lum__salvage_find *find = context;
    find->last_successor = record->type == LUM__WAL_SEAL ? record->seal.successor : 0;
    if (record->type == LUM__WAL_PAGES) return take_rows(find->salvage, record);
    if (record->type == LUM__WAL_CHUNK) return add_named(find, &record->chunk);
    if (record->type == LUM__WAL_COMMIT) return take_commit(find, record);
    return LUM_OK;
}

static lum_status take_gap(void *context, const struct lum__log_gap *gap)
{
    struct lum__salvage_find *find = context;
    void *array = find->gaps;
    LUM_TRY(lum__grow(&array, &find->gap_capacity, find->gap_count + 1, sizeof *gap));
    find->gaps = array;
    find->gaps[find->gap_count++] = *gap;
    return LUM_OK;
}

static lum_status read_log(struct lum__salvage_find *find)
{
    bool is_clean = find->has_state && find->state.is_clean;
    struct lum__log_gather_options options = {.sequence_min = find->salvage->covered_sequence + 1,
                                              .sequence_max = is_clean ? find->state.clean_sequence : UINT64_MAX,
                                              .sequence_known = is_clean ? find->state.clean_sequence : 0,
                                              .each = take_record,
                                              .gap = take_gap,
                                              .context = find};
    struct lum__log_gather_counts counts;
    return lum__log_gather(find->salvage->fs, find->salvage->store_id, &options, &counts);
}

/* The log's last word is that it goes on in another segment. Not a hole with an end, but one all the same. */
static lum_status check_successor(struct lum__salvage_find *find)
{
    struct lum__wal_segment segment;
    struct lum__file *file = NULL;
    if (find->last_successor == 0 || (find->has_state && find->state.is_clean)) return LUM_OK;
    lum_status status = lum__log_segment_open(find->salvage->fs, find->salvage->store_id, find->last_successor,
                                              LUM__OPEN_READ, &segment, &file);
    (void)lum__file_close(file);
    if (status == LUM_OK) return LUM_OK;
    struct lum__salvage_loss loss = {.face = {.offset = LUM_NO_OFFSET, .first_row = UINT64_MAX}};
    lum__wal_path(find->last_successor, loss.file);
    snprintf(loss.what, sizeof loss.what,
             "the log goes on in this segment, which cannot be read: what was committed "
             "there is not known");
    return lum__salvage_note(find->salvage, &loss);
}

/* --------------------------------------------------------------------------------------------- what is left of the
 * others
 */

static lum_status take_remains(struct lum__salvage_find *find, const struct lum__checkpoint_remains *remains)
{
    uint64_t covered = find->salvage->covered_sequence;
    for (size_t i = 0; i < remains->chunk_count; i++) {
        if (remains->chunks[i].commit_sequence > covered) LUM_TRY(add_named(find, &remains->chunks[i]));
    }
    for (size_t i = 0; i < remains->transaction_count; i++) {
        const struct lum__salvage_transaction *from = &remains->transactions[i];
        if (from->commit_sequence <= covered) continue;
        LUM_TRY(lum__salvage_add_transaction(find->salvage, from, from->label, NULL));
    }
    if (remains->says_all && remains->covered_sequence > find->remains_covered)
        find->remains_covered = remains->covered_sequence;
    return LUM_OK;
}

static lum_status read_damaged_checkpoints(struct lum__salvage_find *find)
{
    for (size_t i = 0; i < find->number_count; i++) {
        struct lum__checkpoint_remains remains;
        if (find->numbers[i] <= find->salvage->checkpoint_number) continue;
        lum_status status =
            lum__salvage_checkpoint(find->salvage->fs, find->salvage->store_id, find->numbers[i], &remains);
        if (status == LUM_ERR_NO_MEMORY) return status;
        if (status != LUM_OK) continue;
        status = take_remains(find, &remains);
        lum__checkpoint_remains_fini(&remains);
        LUM_TRY(status);
    }
    return LUM_OK;
}

/* ---------------------------------------------------------------------------------------------------- chunks to
 * transactions
 */

static int compare_chunks(const void *a, const void *b)
{
    const struct lum__chunk_entry *left = a, *right = b;
    if (left->transaction_id != right->transaction_id) return left->transaction_id < right->transaction_id ? -1 : 1;
    return (left->ordinal > right->ordinal) - (left->ordinal < right->ordinal);
}

static lum_status note_missing(struct lum__salvage_find *find, const struct lum__salvage_transaction *transaction, uint64_t rows)
{
    struct lum__salvage_loss loss = {.face = {.offset = LUM_NO_OFFSET,
                                              .first_row = UINT64_MAX,
                                              .transaction_id = transaction->transaction_id,
                                              .commit_sequence = transaction->commit_sequence,
                                              .are_lums_known = true,
                                              .lums_lost = transaction->lum_count - rows}};
    snprintf(loss.file, sizeof loss.file, "data");
    snprintf(loss.what, sizeof loss.what, "chunks of a committed transaction of which nothing says where they lie");
    return lum__salvage_note(find->salvage, &loss);
}

static int compare_rows(const void *a, const void *b)
{
    const struct lum__salvage_rows *left = a, *right = b;
    return (left->transaction_id > right->transaction_id) - (left->transaction_id < right->transaction_id);
}

/* A small one: its rows are in the log, or lost with their record. Chunks that bear its id are a fold's, with the rows of others. */
static lum_status resolve_small(struct lum__salvage_find *find, struct lum__salvage_transaction *transaction)
{
    struct lum__salvage *salvage = find->salvage;
    const struct lum__salvage_rows *found = lum__salvage_find_rows(salvage, transaction->transaction_id);
    transaction->chunk_first = transaction->chunk_end = salvage->chunk_count;
    if (found == NULL) return note_missing(find, transaction, 0);
    transaction->rows = found->rows;
    transaction->row_count = found->row_count;
    return LUM_OK;
}

/* The chunks of one transaction that the intact checkpoint does not have. */
static lum_status resolve(struct lum__salvage_find *find, struct lum__salvage_transaction *transaction)
{
    struct lum__salvage *salvage = find->salvage;
    bool is_small = transaction->is_count_known && transaction->chunk_count == 0;
    if (is_small && transaction->lum_count > 0) return resolve_small(find, transaction);
    struct lum__salvage_walk walk;
    uint64_t rows = 0;
    size_t first = salvage->chunk_count;
    lum__salvage_walk_begin(find, transaction, &walk);
    /* Of an empty one, or a member, chunks with its id are its run's. */
    for (const struct lum__chunk_entry *entry; !is_small && (entry = lum__salvage_walk_next(find, &walk)) != NULL;) {
        rows += entry->row_count;
        LUM_TRY(add_chunk(salvage, entry));
        salvage->chunks[salvage->chunk_count - 1].commit_sequence = transaction->commit_sequence;
    }
    transaction->chunk_first = first;
    transaction->chunk_end = salvage->chunk_count;
    if (!transaction->is_count_known || rows >= transaction->lum_count) return LUM_OK;
    const struct lum__salvage_rows *in_log = lum__salvage_find_rows(salvage, transaction->transaction_id);
    bool is_in_log = in_log != NULL && in_log->row_count == transaction->lum_count; /* folded alone */
    if (!is_in_log) return note_missing(find, transaction, rows);
    salvage->chunk_count = first;
    return resolve_small(find, transaction);
}

static bool is_any_incomplete(const struct lum__salvage_find *find)
{
    for (size_t i = find->base_count; i < find->salvage->transaction_count; i++) {
        const struct lum__salvage_transaction *transaction = &find->salvage->transactions[i];
        if (lum__salvage_count_named(find, transaction->transaction_id) < transaction->chunk_count) return true;
    }
    return false;
}

/* ---------------------------------------------------------------------------------------------------------------
 * orphans */

static int compare_places(const void *a, const void *b)
{
    const struct lum__chunk_entry *left = a, *right = b;
    if (left->segment != right->segment) return left->segment < right->segment ? -1 : 1;
    return (left->offset > right->offset) - (left->offset < right->offset);
}

static bool is_named(const struct lum__chunk_entry *by_place, size_t count, const struct lum__chunk_entry *entry)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_places(&by_place[middle], entry);
        if (order == 0) return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static lum_status add_orphan(struct lum__salvage *salvage, const struct lum__chunk_entry *entry)
{
    struct lum__salvage_transaction *last =
        salvage->orphan_count > 0 ? &salvage->orphans[salvage->orphan_count - 1] : NULL;
    if (last == NULL || last->transaction_id != entry->transaction_id) {
        void *array = salvage->orphans;
        LUM_TRY(lum__grow(&array, &salvage->orphan_capacity, salvage->orphan_count + 1, sizeof *last));
        salvage->orphans = array;
        last = &salvage->orphans[salvage->orphan_count++];
        *last = (struct lum__salvage_transaction){.transaction_id = entry->transaction_id,
                                                  .chunk_first = salvage->chunk_count};
    }
    LUM_TRY(add_chunk(salvage, entry));
    last->chunk_end = salvage->chunk_count;
    return LUM_OK;
}

static lum_status find_orphans(struct lum__salvage *salvage)
{
    size_t count = salvage->chunk_count;
    void *memory = NULL;
    lum_status status = LUM_OK;
    LUM_TRY(lum__alloc(count * sizeof *salvage->chunks, &memory));
    struct lum__chunk_entry *by_place = memory;
    if (count > 0) memcpy(by_place, salvage->chunks, count * sizeof *by_place);
    if (count > 1) qsort(by_place, count, sizeof *by_place, compare_places);
    for (size_t i = 0; i < salvage->scanned_count && status == LUM_OK; i++) {
        if (!is_named(by_place, count, &salvage->scanned[i])) status = add_orphan(salvage, &salvage->scanned[i]);
    }
    free(by_place);
    return status;
}

/* ------------------------------------------------------------------------------------------------------------- all of
 * it */

static lum_status note_gaps(struct lum__salvage_find *find)
{
    for (size_t i = 0; i < find->gap_count; i++) {
        const struct lum__log_gap *gap = &find->gaps[i];
        struct lum__salvage_loss loss = {.face = {.offset = LUM_NO_OFFSET,
                                                  .first_row = UINT64_MAX,
                                                  .sequence_first = gap->sequence_first,
                                                  .sequence_last = gap->sequence_last}};
        if (gap->sequence_last <= find->remains_covered) continue; /* a damaged checkpoint says what came of it */
        if (loss.face.sequence_first <= find->remains_covered) loss.face.sequence_first = find->remains_covered + 1;
        snprintf(loss.file, sizeof loss.file, "wal");
        if (gap->segment != 0) {
            lum__wal_path(gap->segment, loss.file);
            loss.face.offset = gap->offset;
        }
        snprintf(loss.what, sizeof loss.what, "log records that cannot be read: what they committed is not known");
        LUM_TRY(lum__salvage_note(find->salvage, &loss));
    }
    return LUM_OK;
}

static lum_status find_all(struct lum__salvage_find *find)
{
    struct lum__salvage *salvage = find->salvage;
    LUM_TRY(lum__checkpoint_list(salvage->fs, find->numbers, LUM__SALVAGE_CHECKPOINTS_MAX, &find->number_count));
    LUM_TRY(find_store_id(find));
    find->has_state = lum__state_read(salvage->fs, &find->state) == LUM_OK &&
                      memcmp(find->state.store_id, salvage->store_id, 16) == 0;
    LUM_TRY(find_checkpoint(find));
    LUM_TRY(read_log(find));
    bool is_incomplete = salvage->checkpoint_number == 0 || find->gap_count > 0;
    if (is_incomplete) LUM_TRY(read_damaged_checkpoints(find));
    if (find->named_count > 1) qsort(find->named, find->named_count, sizeof *find->named, compare_chunks);
    if (salvage->rows_count > 1) qsort(salvage->rows, salvage->rows_count, sizeof *salvage->rows, compare_rows);
    if (is_incomplete || find->want_orphans || is_any_incomplete(find)) LUM_TRY(lum__salvage_scan(salvage));
    if (is_incomplete) LUM_TRY(lum__salvage_add_nameless(find));
    LUM_TRY(lum__salvage_remove_repeated(find));
    for (size_t i = find->base_count; i < salvage->transaction_count; i++)
        LUM_TRY(resolve(find, &salvage->transactions[i]));
    LUM_TRY(note_gaps(find));
    LUM_TRY(check_successor(find));
    return find->want_orphans ? find_orphans(salvage) : LUM_OK;
}

lum_status lum__salvage_open(struct lum__fs *fs, bool want_orphans, struct lum__salvage *out)
{
    struct lum__salvage_find find = {.salvage = out, .want_orphans = want_orphans};
    bool writer_alive = false;
    memset(out, 0, sizeof *out);
    out->fs = fs;
    pthread_mutex_init(&out->mutex, NULL);
    lum_status status = lum__store_lock_shared(fs, &out->lock_file, &writer_alive);
    if (status == LUM_OK && writer_alive)
        status = lum__fail(LUM_ERR_BUSY, "a writer has the store open: it is not to be salvaged from under it");
    if (status == LUM_OK) status = find_all(&find);
    free(find.named);
    free(find.gaps);
    if (status != LUM_OK) {
        struct lum__error cause = *lum__error_last();
        lum__salvage_close(out);
        lum__error_restore(&cause);
    }
    return status;
}

void lum__salvage_close(struct lum__salvage *salvage)
{
    for (size_t i = 0; i < salvage->transaction_count; i++) lum__salvage_free_texts(&salvage->transactions[i]);
    for (size_t i = 0; i < salvage->rows_count; i++) free(salvage->rows[i].rows);
    free(salvage->rows);
    free(salvage->transactions);
    free(salvage->orphans);
    free(salvage->chunks);
    free(salvage->scanned);
    free(salvage->losses);
    for (size_t i = 0; i < salvage->file_count; i++) (void)lum__file_close(salvage->files[i].file);
    free(salvage->files);
    (void)lum__file_close(salvage->lock_file);
    pthread_mutex_destroy(&salvage->mutex);
    memset(salvage, 0, sizeof *salvage);
}
