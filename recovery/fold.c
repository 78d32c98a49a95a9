/* recovery/fold.c - see fold.h. The rows lie in memory, verified when they came in and again by the encoder; chunks are written to fresh extents,
 * which nothing names before the checkpoint does. So a crash at any step leaves the rows in the log and free space in the data segments. Small chunks of earlier
 * folds that stand before them are read, verified, and written anew with them; their extents stay as they are as long as a kept checkpoint or a reader may
 * lead to them (parts.c, release_replaced). */
#include "recovery/fold.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/memory.h"
#include "base/status.h"
#include "storage/catalogue.h"
#include "storage/segment.h"

enum {
    CHUNK_ROWS_MAX = 32 * LUM__PAGE_ROWS_MAX,
    SMALL_ROWS = 8 * LUM__PAGE_ROWS_MAX, /* a folded chunk of fewer rows is joined with those that follow */
    JOINED_MAX = 64,                     /* chunks of one group */
};

struct lum__fold {
    struct lum__catalogue_fold *catalogue;
    struct lum__chunk_entry *chunks; /* new ones, in order */
    size_t chunk_count, chunk_capacity;
    struct lum__fold_group *groups;
    size_t group_count, group_capacity;
    struct lum__chunk_entry *replaced; /* old ones, whose rows are in new ones */
    size_t replaced_count, replaced_capacity;
};

/* A small chunk of an earlier fold, in memory, verified. */
struct joined {
    const struct lum__chunk_entry *entry;
    uint8_t *bytes;
    size_t mapped;
};

/* What building chunks needs, while the fold is being prepared. */
struct folder {
    struct lum__parts *parts;
    struct lum__fold *fold;
    const struct lum__catalogue_version *version;
    uint8_t *buffer;
    size_t buffer_mapped;
    struct lum__page_scratch *scratch;
    size_t scratch_mapped;
    lum_t *page; /* rows gathered for the next page */
    uint32_t page_rows;
    struct lum__chunk_builder builder;
    uint64_t transaction_id; /* that the group's chunks bear */
    uint64_t next_ordinal;
    lum_t *read_rows; /* of a page that is read */
    struct joined joined[JOINED_MAX]; /* of the group, the last one first */
    size_t joined_count;
};

/* ------------------------------------------------------------------------------------------------------------- groups */

/* Consecutive transactions that have no chunk on disk become one group: a fold never spans another transaction's bulk commit. */
static lum_status find_groups(struct folder *folder)
{
    const struct lum__catalogue_version *version = folder->version;
    struct lum__fold *fold = folder->fold;
    for (size_t i = 0, chunk = 0; i < version->transaction_count; i++) {
        const struct lum__transaction *transaction = &version->transactions[i];
        size_t first_chunk = chunk;
        chunk += transaction->chunk_count;
        if (!lum__transaction_is_foldable(version, transaction, first_chunk)) continue;
        struct lum__fold_group *last = fold->group_count > 0 ? &fold->groups[fold->group_count - 1] : NULL;
        if (last != NULL && last->first + last->count == i && lum__fold_group_has_room(version, last, transaction)) {
            last->count++;
            continue;
        }
        void *array = fold->groups;
        LUM_TRY(lum__grow(&array, &fold->group_capacity, fold->group_count + 1, sizeof *fold->groups));
        fold->groups = array;
        fold->groups[fold->group_count++] = (struct lum__fold_group){.first = i, .count = 1, .first_chunk = first_chunk};
    }
    return LUM_OK;
}

/* ------------------------------------------------------------------------------------------------------------ joining */

static lum_status read_chunk(struct folder *folder, const struct lum__chunk_entry *entry, struct joined *out)
{
    char path[64];
    struct lum__file *file = NULL;
    size_t bytes_read = 0;
    void *memory = NULL;
    lum__segment_path(entry->segment, path);
    LUM_TRY(lum__fs_open_file(folder->parts->fs, path, LUM__OPEN_READ, &file));
    lum_status status = lum__memory_map(entry->byte_count, &memory, &out->mapped);
    if (status == LUM_OK) status = lum__file_read(file, memory, entry->byte_count, entry->offset, &bytes_read);
    (void)lum__file_close(file);
    if (status == LUM_OK && bytes_read < entry->byte_count) status = lum__corrupt(path, entry->offset, 1, "the chunk is cut off");
    if (status == LUM_OK) status = lum__chunk_check(memory, folder->parts->store_id, entry, folder->scratch, path);
    if (status != LUM_OK) {
        if (memory != NULL) lum__memory_unmap(memory, out->mapped);
        return status;
    }
    out->entry = entry;
    out->bytes = memory;
    return LUM_OK;
}

static void forget_joined(struct folder *folder)
{
    while (folder->joined_count > 0) {
        struct joined *joined = &folder->joined[--folder->joined_count];
        lum__memory_unmap(joined->bytes, joined->mapped);
    }
}

/* May the transaction, whose last chunk is `tail` (NULL: it has none), go into the group? Only what the newest checkpoint names: what is newer is named by the log,
 * and has to stay where the log says. And only a chunk that is not much larger than what comes behind it: so the sizes of small ones at least halve, there are few
 * of them, and a row is written anew a few times only. */
static bool may_join(const struct folder *folder, const struct lum__fold_group *group, const struct lum__transaction *transaction,
                     const struct lum__chunk_entry *tail, uint64_t rows)
{
    size_t first_chunk = group->first_chunk - transaction->chunk_count;
    if (!lum__transaction_is_joinable(folder->version, transaction, first_chunk) || transaction->commit_sequence > folder->parts->checkpoint_position.sequence) return false;
    const struct lum__transaction *last = &folder->version->transactions[group->first + group->count - 1];
    if (last->commit_sequence - (transaction->commit_sequence - transaction->run_span) > UINT32_MAX) return false;
    if (tail == NULL) return true;
    return tail->rows == NULL && tail->row_count < SMALL_ROWS && tail->row_count < 2 * rows && rows < CHUNK_ROWS_MAX && folder->joined_count < JOINED_MAX;
}

/* Takes the small chunks at the end of what stands before the group into it. One that cannot be read stays where it is, for whoever reads it to tell. floor: the
 * first transaction that no earlier group has. */
static void join_tail(struct folder *folder, struct lum__fold_group *group, size_t floor)
{
    const struct lum__catalogue_version *version = folder->version;
    uint64_t rows = 0, transactions = 0;
    for (size_t i = group->first; i < group->first + group->count; i++) rows += version->transactions[i].lum_count;
    while (group->first > floor) {
        size_t first = group->first - 1;
        while (first > floor && version->transactions[first].is_member) first--;
        const struct lum__transaction *transaction = &version->transactions[first];
        const struct lum__chunk_entry *tail = transaction->chunk_count > 0 ? &version->chunks[group->first_chunk - 1] : NULL;
        transactions += transaction->run_count > 0 ? transaction->run_count : 1;
        if (!may_join(folder, group, transaction, tail, rows) || transactions + group->count >= UINT32_MAX) return;
        if (tail != NULL && read_chunk(folder, tail, &folder->joined[folder->joined_count]) != LUM_OK) return;
        if (tail != NULL) rows += folder->joined[folder->joined_count++].entry->row_count;
        group->count += group->first - first;
        group->first = first;
        group->first_chunk -= transaction->chunk_count;
        group->kept_count = transaction->chunk_count > 0 ? transaction->chunk_count - 1 : 0;
        if (group->kept_count > 0) return; /* their id and ordinals say that they begin the run */
    }
}

/* ------------------------------------------------------------------------------------------------------------- chunks */

static lum_status flush_chunk(struct folder *folder, struct lum__fold_group *group)
{
    struct lum__fold *fold = folder->fold;
    struct lum__file *file = NULL;
    uint64_t segment = 0, offset = 0;
    if (folder->builder.row_count == 0) return LUM_OK;
    uint32_t byte_count = lum__chunk_sealed_bytes(&folder->builder);
    void *array = fold->chunks;
    LUM_TRY(lum__grow(&array, &fold->chunk_capacity, fold->chunk_count + 1, sizeof *fold->chunks));
    fold->chunks = array;
    LUM_TRY(lum__segments_reserve(folder->parts->segments, byte_count, &segment, &offset, &file));
    struct lum__chunk_entry *entry = &fold->chunks[fold->chunk_count++]; /* from here on its extent is given back by a discard */
    lum__chunk_seal(&folder->builder, folder->parts->store_id, segment, offset, folder->transaction_id, folder->next_ordinal++, entry);
    group->chunk_count++;
    lum_status status = lum__file_write(file, folder->buffer, byte_count, offset);
    lum__chunk_begin(&folder->builder, folder->buffer, CHUNK_ROWS_MAX, folder->scratch);
    return status;
}

static lum_status flush_page(struct folder *folder, struct lum__fold_group *group)
{
    struct lum__page_summary summary;
    if (folder->page_rows == 0) return LUM_OK;
    lum_status status = lum__chunk_add_rows(&folder->builder, folder->page, folder->page_rows, true, &summary);
    if (status == LUM_ERR_INPUT) /* they were right when they were committed */
        return lum__corrupt(NULL, LUM_NO_OFFSET, 0, "rows of small transactions were changed in memory: %s", lum__error_last()->message);
    folder->page_rows = 0;
    if (status == LUM_OK && folder->builder.page_count == folder->builder.page_capacity) status = flush_chunk(folder, group);
    return status;
}

static lum_status add_rows(struct folder *folder, struct lum__fold_group *group, const lum_t *rows, uint32_t row_count)
{
    for (uint32_t done = 0; done < row_count;) {
        uint32_t part = LUM__PAGE_ROWS_MAX - folder->page_rows;
        if (part > row_count - done) part = row_count - done;
        memcpy(folder->page + folder->page_rows, rows + done, part * sizeof(lum_t));
        folder->page_rows += part;
        done += part;
        if (folder->page_rows == LUM__PAGE_ROWS_MAX) LUM_TRY(flush_page(folder, group));
    }
    return LUM_OK;
}

static lum_status add_joined(struct folder *folder, struct lum__fold_group *group, const struct joined *joined)
{
    struct lum__fold *fold = folder->fold;
    uint32_t page_count = 0;
    char path[64];
    void *array = fold->replaced;
    LUM_TRY(lum__grow(&array, &fold->replaced_capacity, fold->replaced_count + 1, sizeof *fold->replaced));
    fold->replaced = array;
    fold->replaced[fold->replaced_count++] = *joined->entry;
    lum__segment_path(joined->entry->segment, path);
    LUM_TRY(lum__chunk_check_directory(joined->bytes, joined->entry->byte_count, folder->parts->store_id, joined->entry, path, &page_count));
    for (uint32_t i = 0; i < page_count; i++) {
        struct lum__page_entry page;
        lum__chunk_page(joined->bytes, i, &page);
        LUM_TRY(lum__chunk_decode_page(joined->bytes + page.offset, &page, joined->entry, folder->scratch, path, folder->read_rows));
        LUM_TRY(add_rows(folder, group, folder->read_rows, page.row_count));
    }
    return LUM_OK;
}

static lum_status fold_group(struct folder *folder, struct lum__fold_group *group)
{
    const struct lum__catalogue_version *version = folder->version;
    size_t chunk = group->first_chunk + group->kept_count, joined = folder->joined_count;
    folder->transaction_id = version->transactions[group->first].transaction_id;
    folder->next_ordinal = group->kept_count > 0 ? version->chunks[chunk - 1].ordinal + 1 : LUM__FOLD_ORDINAL_FIRST;
    lum__chunk_begin(&folder->builder, folder->buffer, CHUNK_ROWS_MAX, folder->scratch);
    uint64_t chunk_count = 0;
    for (size_t i = 0; i < group->count; i++) chunk_count += version->transactions[group->first + i].chunk_count;
    for (size_t end = group->first_chunk + chunk_count; chunk < end; chunk++) {
        const struct lum__chunk_entry *entry = &version->chunks[chunk];
        if (entry->rows != NULL) {
            LUM_TRY(add_rows(folder, group, entry->rows, entry->row_count));
        } else {
            LUM_ASSERT(joined > 0 && folder->joined[joined - 1].entry == entry);
            LUM_TRY(add_joined(folder, group, &folder->joined[--joined]));
        }
    }
    LUM_ASSERT(joined == 0);
    LUM_TRY(flush_page(folder, group));
    return flush_chunk(folder, group);
}

static lum_status sync_chunks(const struct folder *folder)
{
    uint64_t last = 0; /* chunks come segment by segment, mostly: syncing one twice costs little */
    for (size_t i = 0; i < folder->fold->chunk_count; i++) {
        if (folder->fold->chunks[i].segment == last) continue;
        last = folder->fold->chunks[i].segment;
        LUM_TRY(lum__segments_sync(folder->parts->segments, last));
    }
    return LUM_OK;
}

/* -------------------------------------------------------------------------------------------------------------- whole */

static lum_status open_folder(struct folder *folder)
{
    void *memory = NULL;
    LUM_TRY(lum__memory_map(lum__chunk_bytes_max(CHUNK_ROWS_MAX), &memory, &folder->buffer_mapped));
    folder->buffer = memory;
    LUM_TRY(lum__memory_map(lum__page_scratch_bytes(), &memory, &folder->scratch_mapped));
    folder->scratch = memory;
    LUM_TRY(lum__alloc(LUM__PAGE_ROWS_MAX * sizeof *folder->page, &memory));
    folder->page = memory;
    LUM_TRY(lum__alloc(LUM__PAGE_ROWS_MAX * sizeof *folder->read_rows, &memory));
    folder->read_rows = memory;
    return LUM_OK;
}

static void close_folder(struct folder *folder)
{
    if (folder->buffer != NULL) lum__memory_unmap(folder->buffer, folder->buffer_mapped);
    if (folder->scratch != NULL) lum__memory_unmap(folder->scratch, folder->scratch_mapped);
    free(folder->page);
    free(folder->read_rows);
    forget_joined(folder);
}

static lum_status write_chunks(struct folder *folder)
{
    LUM_TRY(open_folder(folder));
    size_t floor = 0;
    for (size_t i = 0; i < folder->fold->group_count; i++) {
        struct lum__fold_group *group = &folder->fold->groups[i];
        if (folder->parts->may_join) join_tail(folder, group, floor);
        LUM_TRY(fold_group(folder, group));
        forget_joined(folder);
        floor = group->first + group->count;
    }
    return sync_chunks(folder);
}

/* Room to remember the replaced chunks, so that publishing cannot fail. */
static lum_status reserve_replaced(struct lum__parts *parts, const struct lum__fold *fold)
{
    void *array = parts->replaced;
    LUM_TRY(lum__grow(&array, &parts->replaced_capacity, parts->replaced_count + fold->replaced_count, sizeof *parts->replaced));
    parts->replaced = array;
    return LUM_OK;
}

lum_status lum__fold_prepare(struct lum__parts *parts, struct lum__fold **out)
{
    struct folder folder = {.parts = parts};
    void *memory = NULL;
    lum_status status = LUM_OK;
    *out = NULL;
    folder.version = lum__catalogue_pin(parts->catalogue);
    if (folder.version->unfolded_count == 0) goto out;
    LUM_TRY_OUT(lum__alloc_zeroed(1, sizeof *folder.fold, &memory));
    folder.fold = memory;
    LUM_TRY_OUT(find_groups(&folder));
    LUM_TRY_OUT(write_chunks(&folder));
    LUM_TRY_OUT(reserve_replaced(parts, folder.fold));
    LUM_TRY_OUT(lum__catalogue_fold_prepare(parts->catalogue, folder.fold->groups, folder.fold->group_count, folder.fold->chunks,
                                            &folder.fold->catalogue));
    *out = folder.fold;
    folder.fold = NULL;
out:
    close_folder(&folder);
    lum__catalogue_unpin(parts->catalogue, folder.version);
    if (folder.fold != NULL) {
        struct lum__error cause = *lum__error_last();
        lum__fold_discard(parts, folder.fold, false); /* nothing names the chunks */
        lum__error_restore(&cause);
    }
    return status;
}

const struct lum__catalogue_version *lum__fold_version(const struct lum__fold *fold) { return lum__catalogue_fold_version(fold->catalogue); }

static void destroy(struct lum__fold *fold)
{
    free(fold->chunks);
    free(fold->groups);
    free(fold->replaced);
    free(fold);
}

void lum__fold_publish(struct lum__parts *parts, struct lum__fold *fold)
{
    if (fold == NULL) return;
    lum__catalogue_fold_publish(fold->catalogue);
    for (size_t i = 0; i < fold->replaced_count; i++) {
        const struct lum__chunk_entry *chunk = &fold->replaced[i];
        parts->replaced[parts->replaced_count++] = (struct lum__replaced_extent){
            chunk->segment, chunk->offset, chunk->byte_count, parts->checkpoint_number, lum__catalogue_generation(parts->catalogue, false)};
    }
    destroy(fold);
}

void lum__fold_discard(struct lum__parts *parts, struct lum__fold *fold, bool is_in_doubt)
{
    if (fold == NULL) return;
    if (fold->catalogue != NULL) lum__catalogue_fold_discard(fold->catalogue);
    for (size_t i = 0; i < fold->chunk_count && !is_in_doubt; i++)
        lum__segments_release(parts->segments, fold->chunks[i].segment, fold->chunks[i].offset, fold->chunks[i].byte_count);
    destroy(fold);
}
