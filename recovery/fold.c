/* recovery/fold.c - see fold.h. The rows lie in memory, verified when they came in and again by the encoder; chunks are written to fresh extents,
 * which nothing names before the checkpoint does. So a crash at any step leaves the rows in the log and free space in the data segments. */
#include "recovery/fold.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/memory.h"
#include "base/status.h"
#include "storage/catalogue.h"
#include "storage/segment.h"

enum { CHUNK_ROWS_MAX = 32 * LUM__PAGE_ROWS_MAX };

struct lum__fold {
    struct lum__catalogue_fold *catalogue;
    struct lum__chunk_entry *chunks; /* new ones, in order */
    size_t chunk_count, chunk_capacity;
    struct lum__fold_group *groups;
    size_t group_count, group_capacity;
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
    lum__chunk_seal(&folder->builder, folder->parts->store_id, segment, offset, folder->transaction_id, group->chunk_count++, entry);
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

static lum_status fold_group(struct folder *folder, struct lum__fold_group *group)
{
    const struct lum__catalogue_version *version = folder->version;
    size_t chunk = group->first_chunk;
    folder->transaction_id = version->transactions[group->first].transaction_id;
    lum__chunk_begin(&folder->builder, folder->buffer, CHUNK_ROWS_MAX, folder->scratch);
    for (size_t i = 0; i < group->count; i++) {
        for (uint64_t j = 0; j < version->transactions[group->first + i].chunk_count; j++, chunk++) {
            const struct lum__chunk_entry *entry = &version->chunks[chunk];
            LUM_ASSERT(entry->rows != NULL);
            for (uint32_t done = 0; done < entry->row_count;) {
                uint32_t part = LUM__PAGE_ROWS_MAX - folder->page_rows;
                if (part > entry->row_count - done) part = entry->row_count - done;
                memcpy(folder->page + folder->page_rows, entry->rows + done, part * sizeof(lum_t));
                folder->page_rows += part;
                done += part;
                if (folder->page_rows == LUM__PAGE_ROWS_MAX) LUM_TRY(flush_page(folder, group));
            }
        }
    }
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
    return LUM_OK;
}

static void close_folder(struct folder *folder)
{
    if (folder->buffer != NULL) lum__memory_unmap(folder->buffer, folder->buffer_mapped);
    if (folder->scratch != NULL) lum__memory_unmap(folder->scratch, folder->scratch_mapped);
    free(folder->page);
}

static lum_status write_chunks(struct folder *folder)
{
    LUM_TRY(open_folder(folder));
    for (size_t i = 0; i < folder->fold->group_count; i++) LUM_TRY(fold_group(folder, &folder->fold->groups[i]));
    return sync_chunks(folder);
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
    free(fold);
}

void lum__fold_publish(struct lum__fold *fold)
{
    if (fold == NULL) return;
    lum__catalogue_fold_publish(fold->catalogue);
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
