/* storage/catalogue_fold.c - the version of the catalogue in which small transactions are folded, and the set of their ids. Their rows are chunks
 * then; consecutive ones have become one entry, a run, followed by those of them that have a label or metadata (members). So the catalogue does
 * not grow with every small commit, while ids and labels are still answered for. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "base/status.h"
#include "storage/catalogue.h"
#include "storage/catalogue_private.h"
#include "storage/chunk_layout.h"

enum { EPOCH_SHIFT = 40 }; /* transaction id = epoch * 2^40 + n */

struct lum__catalogue_fold {
    struct lum__catalogue *catalogue;
    struct lum__version *version;
};

/* --------------------------------------------------------------------------------------------------------------- ids */

static int compare_ids(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Adds a range that begins behind all before it. */
static void add_range(struct lum__id_range *ranges, size_t *count, struct lum__id_range range)
{
    if (*count > 0 && ranges[*count - 1].last + 1 == range.first) ranges[*count - 1].last = range.last;
    else ranges[(*count)++] = range;
}

/* The union of sorted ranges and sorted ids; room for all. */
static size_t merge_ids(const struct lum__id_range *ranges, size_t range_count, const uint64_t *ids, size_t id_count, struct lum__id_range *out)
{
    size_t count = 0, range = 0, id = 0;
    while (range < range_count || id < id_count) {
        bool is_range = id == id_count || (range < range_count && ranges[range].first < ids[id]);
        add_range(out, &count, is_range ? ranges[range] : (struct lum__id_range){ids[id], ids[id]});
        if (is_range) range++;
        else id++;
    }
    return count;
}

static lum_status add_ids(const struct lum__version *previous, uint64_t *ids, size_t id_count, struct lum__version *version)
{
    const struct lum__catalogue_version *old = &previous->face;
    version->folded_ids = previous->folded_ids;
    if (id_count == 0) return LUM_OK;
    qsort(ids, id_count, sizeof *ids, compare_ids);
    LUM_TRY(lum__shared_array_create(old->folded_id_count + id_count, sizeof(struct lum__id_range), &version->folded_ids));
    version->face.folded_id_count =
        merge_ids(old->folded_ids, old->folded_id_count, ids, id_count, (struct lum__id_range *)version->folded_ids->elements);
    return LUM_OK;
}

/* Ascending, apart, none over the border of an epoch, and as many as the runs count. */
static bool fits_runs(const struct lum__catalogue_version *version, const struct lum__id_range *ranges, size_t count)
{
    uint64_t in_runs = 0, in_ranges = 0;
    for (size_t i = 0; i < version->transaction_count; i++) in_runs += version->transactions[i].run_count;
    for (size_t i = 0; i < count; i++) {
        if (ranges[i].first == 0 || ranges[i].last < ranges[i].first || ranges[i].first >> EPOCH_SHIFT != ranges[i].last >> EPOCH_SHIFT) return false;
        if (i > 0 && ranges[i].first <= ranges[i - 1].last + 1) return false;
        in_ranges += ranges[i].last - ranges[i].first + 1;
    }
    return in_runs == in_ranges;
}

lum_status lum__catalogue_set_folded_ids(struct lum__catalogue *catalogue, const struct lum__id_range *ranges, size_t count)
{
    const struct lum__version *previous = lum__catalogue_newest(catalogue);
    void *memory = NULL;
    if (!fits_runs(&previous->face, ranges, count))
        return lum__corrupt(NULL, LUM_NO_OFFSET, 0, "the ids of the transactions in runs are not as many as the runs count, or out of order");
    if (count == 0) return LUM_OK;
    LUM_TRY(lum__alloc_zeroed(1, sizeof *previous, &memory));
    struct lum__version *version = memory;
    *version = *previous;
    lum_status status = lum__shared_array_create(count, sizeof *ranges, &version->folded_ids);
    if (status != LUM_OK) {
        free(version);
        return status;
    }
    memcpy(version->folded_ids->elements, ranges, count * sizeof *ranges);
    version->face.folded_id_count = count;
    lum__catalogue_publish(catalogue, version);
    return LUM_OK;
}

bool lum__catalogue_has_id(const struct lum__catalogue_version *version, uint64_t transaction_id)
{
    size_t low = 0, high = version->folded_id_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (version->folded_ids[middle].last < transaction_id) low = middle + 1;
        else high = middle;
    }
    if (low < version->folded_id_count && version->folded_ids[low].first <= transaction_id) return true;
    for (size_t i = version->transaction_count; i-- > 0;) {
        const struct lum__transaction *transaction = &version->transactions[i];
        if (transaction->run_count == 0 && transaction->transaction_id == transaction_id) return true;
    }
    return false;
}

/* ------------------------------------------------------------------------------------------------------------- groups */

bool lum__transaction_says_something(const struct lum__transaction *transaction)
{
    return transaction->label[0] != '\0' || lum__metadata_bytes(&transaction->metadata) > 0;
}

bool lum__transaction_is_foldable(const struct lum__catalogue_version *version, const struct lum__transaction *transaction, size_t first_chunk)
{
    if (transaction->run_count > 0 || transaction->is_member) return false;
    if (transaction->chunk_count == 0) return transaction->lum_count == 0 && !lum__transaction_says_something(transaction);
    return transaction->chunk_count == 1 && version->chunks[first_chunk].rows != NULL;
}

bool lum__transaction_is_joinable(const struct lum__catalogue_version *version, const struct lum__transaction *transaction, size_t first_chunk)
{
    if (transaction->is_member) return false;
    if (transaction->run_count > 0) return true;
    const struct lum__chunk_entry *chunk = &version->chunks[first_chunk]; /* of one that was folded alone */
    return transaction->chunk_count == 1 && chunk->rows == NULL && chunk->ordinal == LUM__FOLD_ORDINAL_FIRST;
}

bool lum__fold_group_has_room(const struct lum__catalogue_version *version, const struct lum__fold_group *group,
                              const struct lum__transaction *transaction)
{
    return group->count < UINT32_MAX && transaction->commit_sequence - version->transactions[group->first].commit_sequence <= UINT32_MAX;
}

/* Where the new version is put together. */
struct fold_writer {
    const struct lum__catalogue_version *old;
    struct lum__transaction *transactions;
    struct lum__chunk_entry *chunks;
    size_t transaction_count, chunk_count;
    uint64_t *ids;
    size_t id_count;
    const struct lum__chunk_entry *next_new; /* of the chunks that the fold wrote */
    uint64_t data_bytes;
};

static void put_chunks(struct fold_writer *writer, const struct lum__chunk_entry *chunks, size_t count, uint64_t commit_sequence)
{
    for (size_t i = 0; i < count; i++) {
        writer->chunks[writer->chunk_count] = chunks[i];
        writer->chunks[writer->chunk_count++].commit_sequence = commit_sequence;
        writer->data_bytes += chunks[i].byte_count;
    }
}

/* Of the transactions that are neither members nor runs: their ids are in a run from now on. */
static void join(struct fold_writer *writer, struct lum__transaction *run, const struct lum__transaction *each)
{
    run->digest = lum__crc32c_combine(run->digest, each->digest, LUM__DIGEST_BYTES(each->lum_count));
    run->lum_count += each->lum_count;
    run->run_count += each->run_count > 0 ? each->run_count : 1;
    if (each->run_count == 0) writer->ids[writer->id_count++] = each->transaction_id;
}

static void put_group(struct fold_writer *writer, const struct lum__fold_group *group)
{
    const struct lum__transaction *first = &writer->old->transactions[group->first], *last = first + group->count - 1;
    struct lum__transaction run = *first;
    run.chunk_count = group->kept_count + group->chunk_count;
    if (group->count > 1) {
        run.commit_sequence = last->commit_sequence;
        run.commit_timestamp = last->commit_timestamp;
        run.lum_count = run.digest = run.run_count = 0;
        run.data_synced = true;
        run.label = "";
        run.metadata = (struct lum__metadata){0};
        run.run_span = (uint32_t)(last->commit_sequence - (first->commit_sequence - first->run_span));
        for (const struct lum__transaction *each = first; each <= last; each++) {
            if (!each->is_member) join(writer, &run, each);
        }
    }
    const struct lum__chunk_entry *kept = writer->old->chunks + group->first_chunk;
    uint32_t digest = lum__catalogue_digest(lum__catalogue_digest(0, kept, group->kept_count), writer->next_new, group->chunk_count);
    LUM_ASSERT(digest == run.digest); /* the rows that were committed, and no others */
    writer->transactions[writer->transaction_count++] = run;
    put_chunks(writer, kept, group->kept_count, run.commit_sequence);
    put_chunks(writer, writer->next_new, group->chunk_count, run.commit_sequence);
    writer->next_new += group->chunk_count;
    for (const struct lum__transaction *each = first; group->count > 1 && each <= last; each++) {
        if (!lum__transaction_says_something(each)) continue;
        struct lum__transaction *member = &writer->transactions[writer->transaction_count++];
        *member = *each;
        member->chunk_count = 0;
        member->is_member = true;
    }
}

static void put_all(struct fold_writer *writer, const struct lum__fold_group *groups, size_t group_count)
{
    size_t chunk = 0;
    for (size_t i = 0; i < writer->old->transaction_count;) {
        const struct lum__transaction *transaction = &writer->old->transactions[i];
        if (group_count > 0 && groups->first == i) {
            put_group(writer, groups);
            for (size_t end = i + groups->count; i < end; i++) chunk += writer->old->transactions[i].chunk_count;
            groups++;
            group_count--;
            continue;
        }
        writer->transactions[writer->transaction_count++] = *transaction;
        put_chunks(writer, writer->old->chunks + chunk, transaction->chunk_count, transaction->commit_sequence);
        chunk += transaction->chunk_count;
        i++;
    }
    LUM_ASSERT(group_count == 0);
}

lum_status lum__catalogue_fold_prepare(struct lum__catalogue *catalogue, const struct lum__fold_group *groups, size_t group_count,
                                       const struct lum__chunk_entry *chunks, struct lum__catalogue_fold **out)
{
    lum_status status = LUM_OK;
    const struct lum__version *previous = lum__catalogue_newest(catalogue);
    struct fold_writer writer = {.old = &previous->face, .next_new = chunks};
    struct lum__catalogue_fold *fold = NULL;
    struct lum__version *version = NULL;
    size_t chunk_count = previous->face.chunk_count;
    *out = NULL;
    for (size_t i = 0; i < group_count; i++) chunk_count += groups[i].chunk_count; /* more than will be left: memory entries go */
    LUM_TRY_OUT(lum__alloc_zeroed(1, sizeof *fold, (void **)&fold));
    LUM_TRY_OUT(lum__alloc_zeroed(1, sizeof *version, (void **)&version));
    LUM_TRY_OUT(lum__alloc(previous->face.transaction_count * sizeof *writer.ids, (void **)&writer.ids));
    LUM_TRY_OUT(lum__shared_array_create(chunk_count, sizeof *chunks, &version->chunks));
    /* a run and its members: at most one entry more than transactions */
    LUM_TRY_OUT(lum__shared_array_create(previous->face.transaction_count + group_count, sizeof(struct lum__transaction), &version->transactions));
    writer.chunks = (struct lum__chunk_entry *)version->chunks->elements;
    writer.transactions = (struct lum__transaction *)version->transactions->elements;
    put_all(&writer, groups, group_count);
    version->face = previous->face;
    version->face.chunks = writer.chunks;
    version->face.chunk_count = writer.chunk_count;
    version->face.transactions = writer.transactions;
    version->face.transaction_count = writer.transaction_count;
    version->face.unfolded_count = 0;
    version->face.unfolded_bytes = 0;
    version->face.data_bytes = writer.data_bytes;
    version->generation = previous->generation + 1;
    LUM_TRY_OUT(add_ids(previous, writer.ids, writer.id_count, version));
    if (version->folded_ids != NULL) version->face.folded_ids = (const struct lum__id_range *)version->folded_ids->elements;
    *fold = (struct lum__catalogue_fold){catalogue, version};
    *out = fold;
out:
    free(writer.ids);
    if (status != LUM_OK) {
        if (version != NULL) free(version->chunks);
        if (version != NULL) free(version->transactions);
        free(version);
        free(fold);
    }
    return status;
}

const struct lum__catalogue_version *lum__catalogue_fold_version(const struct lum__catalogue_fold *fold) { return &fold->version->face; }

void lum__catalogue_fold_publish(struct lum__catalogue_fold *fold)
{
    lum__catalogue_publish(fold->catalogue, fold->version);
    free(fold);
}

void lum__catalogue_fold_discard(struct lum__catalogue_fold *fold)
{
    struct lum__version *version = fold->version;
    if (version->folded_ids != lum__catalogue_newest(fold->catalogue)->folded_ids) free(version->folded_ids);
    free(version->chunks);
    free(version->transactions);
    free(version);
    free(fold);
}

/* ------------------------------------------------------------------------------------------------- replaced chunks */

static int compare_places(const void *a, const void *b)
{
    const struct lum__chunk_entry *left = a, *right = b;
    if (left->segment != right->segment) return left->segment < right->segment ? -1 : 1;
    return (left->offset > right->offset) - (left->offset < right->offset);
}

/* chunks: by place, none overlaps another. */
static bool overlaps_any(const struct lum__chunk_entry *chunks, size_t count, const struct lum__chunk_entry *chunk)
{
    size_t low = 0, high = count; /* the first one that ends behind the chunk's start */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct lum__chunk_entry *at = &chunks[middle];
        if (at->segment < chunk->segment || (at->segment == chunk->segment && at->offset + at->byte_count <= chunk->offset)) low = middle + 1;
        else high = middle;
    }
    return low < count && chunks[low].segment == chunk->segment && chunks[low].offset < chunk->offset + chunk->byte_count;
}

static size_t collect_on_disk(const struct lum__catalogue_version *version, struct lum__chunk_entry *out)
{
    size_t count = 0;
    for (size_t i = 0; i < version->chunk_count; i++) {
        if (version->chunks[i].rows == NULL) out[count++] = version->chunks[i];
    }
    return count;
}

lum_status lum__catalogue_only_in(const struct lum__catalogue_version *older, const struct lum__catalogue_version *newer,
                                  struct lum__chunk_entry **out, size_t *count)
{
    struct lum__chunk_entry *have = NULL, *found = NULL;
    *out = NULL;
    *count = 0;
    LUM_TRY(lum__alloc(newer->chunk_count * sizeof *have, (void **)&have));
    lum_status status = lum__alloc(older->chunk_count * sizeof *found, (void **)&found);
    if (status == LUM_OK) {
        size_t have_count = collect_on_disk(newer, have), found_count = collect_on_disk(older, found);
        if (have_count > 1) qsort(have, have_count, sizeof *have, compare_places);
        for (size_t i = 0; i < found_count; i++) {
            if (!overlaps_any(have, have_count, &found[i])) found[(*count)++] = found[i];
        }
        *out = found;
    }
    free(have);
    return status;
}
