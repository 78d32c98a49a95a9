/* storage/catalogue.c - versions of the catalogue.
 *
 *   catalogue -> version (count 3) --> chunk array, capacity 8   [c0 c1 c2 c3 c4 . . .]
 *   a scan's  -> version (count 2) ---^ (the same array; it never looks behind its count)
 *
 * The publishing thread writes behind the newest version's count, where no version looks, and then publishes the next
 * version under the mutex; that hand-over orders its writes before the reads of whoever pins the new version. When an
 * array is full, a larger copy is made and the old one lives until the last version that uses it is unpinned. So a
 * commit of k chunks costs O(k), amortised. */
#include "storage/catalogue.h"

#include <inttypes.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "base/status.h"
#include "storage/catalogue_private.h"
#include "storage/chunk_layout.h"

/* A committed transaction with a label, in a hash chain. Lives as long as the catalogue. */
struct label {
    struct label *next;
    uint64_t hash;
    struct lum__transaction transaction;
    char text[];
};

/* Bytes that transactions point to: the items of their metadata, or a resume point. Lives as long as the catalogue. */
struct blob {
    struct blob *next;
    uint32_t byte_count;
    uint8_t bytes[];
};

struct lum__catalogue {
    pthread_mutex_t mutex; /* newest, reference counts, labels */
    struct lum__version *newest, *oldest; /* of those alive */
    struct label **buckets;
    size_t bucket_count; /* a power of two */
    size_t label_count;
    struct blob *items, *resumes; /* newest use first; of the publishing thread */
};

enum { BUCKETS_AT_FIRST = 16, ELEMENTS_AT_FIRST = 16, BLOBS_COMPARED = 16 };

/* ----------------------------------------------------------------------------------------------- shared arrays */

lum_status lum__shared_array_create(size_t capacity, size_t element_bytes, struct lum__shared_array **out)
{
    void *memory;

    *out = NULL;
    if (capacity > (SIZE_MAX - sizeof **out) / element_bytes)
        return lum__fail(LUM_ERR_NO_MEMORY, "the catalogue is too large");
    LUM_TRY(lum__alloc(sizeof **out + capacity * element_bytes, &memory));
    *out = memory;
    (*out)->reference_count = 0;
    (*out)->capacity = capacity;
    return LUM_OK;
}

/* An array that holds the first `count` elements of `current` and has room for `more`: current itself, or a larger
 * copy. */
static lum_status array_with_room(struct lum__shared_array *current, size_t count, size_t more, size_t element_bytes,
                                  struct lum__shared_array **out)
{
    if (current->capacity - count >= more) {
        *out = current;
        return LUM_OK;
    }
    size_t capacity = count + more;
    if (capacity < current->capacity + current->capacity / 2) capacity = current->capacity + current->capacity / 2;
    LUM_TRY(lum__shared_array_create(capacity, element_bytes, out));
    memcpy((*out)->elements, current->elements, count * element_bytes);
    return LUM_OK;
}

static void array_release(struct lum__shared_array *array)
{
    LUM_ASSERT(array->reference_count > 0);
    if (--array->reference_count == 0) free(array);
}

/* ---------------------------------------------------------------------------------------------------- versions */

/* Under the mutex. */
static void version_release(struct lum__catalogue *catalogue, struct lum__version *version)
{
    LUM_ASSERT(version->reference_count > 0);
    if (--version->reference_count > 0) return;
    if (version->older != NULL) version->older->newer = version->newer;
    else catalogue->oldest = version->newer;
    if (version->newer != NULL) version->newer->older = version->older;
    array_release(version->chunks);
    array_release(version->transactions);
    if (version->folded_ids != NULL) array_release(version->folded_ids);
    lum__row_table_release(version->rows);
    free(version);
}

/* Makes version (its face and arrays are set) the newest. Under the mutex. */
static void version_publish(struct lum__catalogue *catalogue, struct lum__version *version)
{
    struct lum__version *previous = catalogue->newest;

    version->face.chunks = (const struct lum__chunk_entry *)version->chunks->elements;
    version->face.transactions = (const struct lum__transaction *)version->transactions->elements;
    version->face.folded_ids = version->folded_ids != NULL ? (const struct lum__id_range *)version->folded_ids->elements : NULL;
    version->reference_count = 1;
    version->chunks->reference_count++;
    version->transactions->reference_count++;
    if (version->folded_ids != NULL) version->folded_ids->reference_count++;
    if (version->rows != NULL) lum__row_table_retain(version->rows);
    version->older = previous;
    version->newer = NULL;
    if (previous != NULL) previous->newer = version;
    else catalogue->oldest = version;
    catalogue->newest = version;
    if (previous != NULL) version_release(catalogue, previous);
}

const struct lum__version *lum__catalogue_newest(const struct lum__catalogue *catalogue) { return catalogue->newest; }

void lum__catalogue_publish(struct lum__catalogue *catalogue, struct lum__version *version)
{
    (void)pthread_mutex_lock(&catalogue->mutex);
    version_publish(catalogue, version);
    (void)pthread_mutex_unlock(&catalogue->mutex);
}

lum_status lum__catalogue_create(struct lum__catalogue **out)
{
    lum_status status;
    struct lum__catalogue *catalogue = NULL;
    struct lum__version *version = NULL;

    *out = NULL;
    LUM_TRY_OUT(lum__alloc_zeroed(1, sizeof *catalogue, (void **)&catalogue));
    LUM_TRY_OUT(lum__alloc_zeroed(BUCKETS_AT_FIRST, sizeof(struct label *), (void **)&catalogue->buckets));
    catalogue->bucket_count = BUCKETS_AT_FIRST;
    LUM_TRY_OUT(lum__alloc_zeroed(1, sizeof *version, (void **)&version));
    LUM_TRY_OUT(lum__shared_array_create(ELEMENTS_AT_FIRST, sizeof(struct lum__chunk_entry), &version->chunks));
    LUM_TRY_OUT(lum__shared_array_create(ELEMENTS_AT_FIRST, sizeof(struct lum__transaction), &version->transactions));
    if (pthread_mutex_init(&catalogue->mutex, NULL) != 0) {
        status = lum__fail(LUM_ERR_NO_MEMORY, "a mutex cannot be made");
        goto out;
    }
    version_publish(catalogue, version);
    *out = catalogue;
    return LUM_OK;
out:
    if (version != NULL) {
        free(version->chunks);
        free(version->transactions);
        free(version);
    }
    if (catalogue != NULL) free(catalogue->buckets);
    free(catalogue);
    return status;
}

static void blobs_free(struct blob *blob)
{
    for (struct blob *next; blob != NULL; blob = next) {
        next = blob->next;
        free(blob);
    }
}

void lum__catalogue_destroy(struct lum__catalogue *catalogue)
{
    if (catalogue == NULL) return;
    LUM_ASSERT(catalogue->newest->reference_count == 1); /* else somebody still has it pinned */
    version_release(catalogue, catalogue->newest);
    for (size_t bucket = 0; bucket < catalogue->bucket_count; bucket++) {
        for (struct label *label = catalogue->buckets[bucket], *next; label != NULL; label = next) {
            next = label->next;
            free(label);
        }
    }
    blobs_free(catalogue->items);
    blobs_free(catalogue->resumes);
    (void)pthread_mutex_destroy(&catalogue->mutex);
    free(catalogue->buckets);
    free(catalogue);
}

const struct lum__catalogue_version *lum__catalogue_pin(struct lum__catalogue *catalogue)
{
    (void)pthread_mutex_lock(&catalogue->mutex);
    struct lum__version *version = catalogue->newest;
    version->reference_count++;
    (void)pthread_mutex_unlock(&catalogue->mutex);
    return &version->face;
}

void lum__catalogue_unpin(struct lum__catalogue *catalogue, const struct lum__catalogue_version *version)
{
    if (version == NULL) return;
    (void)pthread_mutex_lock(&catalogue->mutex);
    version_release(catalogue, (struct lum__version *)(uintptr_t)version); /* its face is its first member */
    (void)pthread_mutex_unlock(&catalogue->mutex);
}

uint64_t lum__catalogue_generation(struct lum__catalogue *catalogue, bool is_oldest)
{
    (void)pthread_mutex_lock(&catalogue->mutex);
    uint64_t generation = is_oldest ? catalogue->oldest->generation : catalogue->newest->generation;
    (void)pthread_mutex_unlock(&catalogue->mutex);
    return generation;
}

/* ------------------------------------------------------------------------------------------------------ labels */

static uint64_t hash_text(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */

    for (; *text != '\0'; text++) hash = (hash ^ (uint8_t)*text) * 0x100000001b3u;
    return hash ^ (hash >> 32);
}

static lum_status label_create(const struct lum__transaction *transaction, const struct lum__metadata *metadata,
                               struct label **out)
{
    size_t bytes = strlen(transaction->label) + 1;

    LUM_TRY(lum__alloc_zeroed(1, sizeof **out + bytes, (void **)out));
    memcpy((*out)->text, transaction->label, bytes);
    (*out)->transaction = *transaction;
    (*out)->transaction.label = (*out)->text;
    (*out)->transaction.metadata = *metadata;
    (*out)->hash = hash_text((*out)->text);
    return LUM_OK;
}

/* Under the mutex. Without memory for a larger table the chains only get longer. */
static void grow_buckets(struct lum__catalogue *catalogue)
{
    size_t bucket_count = catalogue->bucket_count * 2;
    struct label **buckets = calloc(bucket_count, sizeof *buckets);

    if (buckets == NULL) return;
    for (size_t bucket = 0; bucket < catalogue->bucket_count; bucket++) {
        /* A chain is newest first and has to stay so: reversed, then pushed one by one to the fronts of the new chains.
         */
        struct label *reversed = NULL;
        for (struct label *label = catalogue->buckets[bucket], *next; label != NULL; label = next) {
            next = label->next;
            label->next = reversed;
            reversed = label;
        }
        for (struct label *label = reversed, *next; label != NULL; label = next) {
            struct label **chain = &buckets[label->hash & (bucket_count - 1)];
            next = label->next;
            label->next = *chain;
            *chain = label;
        }
    }
    free(catalogue->buckets);
    catalogue->buckets = buckets;
    catalogue->bucket_count = bucket_count;
}

/* Under the mutex. */
static void label_insert(struct lum__catalogue *catalogue, struct label *label)
{
    if (catalogue->label_count >= catalogue->bucket_count) grow_buckets(catalogue);
    struct label **chain = &catalogue->buckets[label->hash & (catalogue->bucket_count - 1)];
    label->next = *chain;
    *chain = label;
    catalogue->label_count++;
}

const struct lum__transaction *lum__catalogue_find_label(struct lum__catalogue *catalogue, const char *label)
{
    uint64_t hash = hash_text(label);
    struct label *found;

    (void)pthread_mutex_lock(&catalogue->mutex);
    found = catalogue->buckets[hash & (catalogue->bucket_count - 1)];
    while (found != NULL && (found->hash != hash || strcmp(found->text, label) != 0)) found = found->next;
    (void)pthread_mutex_unlock(&catalogue->mutex);
    return found != NULL ? &found->transaction : NULL;
}

/* ---------------------------------------------------------------------------------------------------- metadata */

static bool blob_is(const struct blob *blob, const uint8_t *bytes, uint32_t byte_count)
{
    return blob->byte_count == byte_count && memcmp(blob->bytes, bytes, byte_count) == 0;
}

/* A copy of some bytes; or one that is there already, if it was used lately: the commits of a load, and of a few loads
 * at the same time, say the same of themselves. */
static lum_status keep_bytes(struct blob **list, const uint8_t *bytes, uint32_t byte_count, const uint8_t **out)
{
    struct blob **at = list, *blob;

    *out = NULL;
    if (byte_count == 0) return LUM_OK;
    for (int looked_at = 0; *at != NULL && looked_at < BLOBS_COMPARED && !blob_is(*at, bytes, byte_count); looked_at++)
        at = &(*at)->next;
    if (*at != NULL && blob_is(*at, bytes, byte_count)) {
        blob = *at;
        *at = blob->next;
    } else {
        LUM_TRY(lum__alloc(sizeof *blob + byte_count, (void **)&blob));
        blob->byte_count = byte_count;
        memcpy(blob->bytes, bytes, byte_count);
    }
    blob->next = *list;
    *list = blob;
    *out = blob->bytes;
    return LUM_OK;
}

static lum_status keep_metadata(struct lum__catalogue *catalogue, struct lum__metadata *metadata)
{
    LUM_TRY(keep_bytes(&catalogue->items, metadata->items, metadata->item_bytes, &metadata->items));
    return keep_bytes(&catalogue->resumes, metadata->resume, metadata->resume_bytes, &metadata->resume);
}

/* ------------------------------------------------------------------------------------------------------ commit */

uint32_t lum__catalogue_digest(uint32_t digest, const struct lum__chunk_entry *chunks, size_t chunk_count)
{
    for (size_t index = 0; index < chunk_count; index++) {
        digest = lum__crc32c_combine(digest, chunks[index].lum_digest, LUM__DIGEST_BYTES(chunks[index].row_count));
    }
    return digest;
}

static int compare_ordinals(const void *a, const void *b)
{
    uint64_t left = ((const struct lum__chunk_entry *)a)->ordinal,
             right = ((const struct lum__chunk_entry *)b)->ordinal;
    return (left > right) - (left < right);
}

static void sort_by_ordinal(struct lum__chunk_entry *chunks, size_t chunk_count)
{
    for (size_t index = 1; index < chunk_count; index++) {
        if (chunks[index - 1].ordinal > chunks[index].ordinal) {
            qsort(chunks, chunk_count, sizeof *chunks, compare_ordinals);
            return;
        }
    }
}

/* Are these (sorted) all the chunks of the transaction, each once, with the rows that it counted? */
static lum_status check_transaction(const struct lum__transaction *transaction, const struct lum__chunk_entry *chunks,
                                    size_t chunk_count)
{
    uint64_t lum_count = 0;

    for (size_t index = 0; index < chunk_count; index++) {
        if (chunks[index].transaction_id != transaction->transaction_id ||
            (index > 0 && chunks[index].ordinal == chunks[index - 1].ordinal)) {
            return lum__corrupt(NULL, LUM_NO_OFFSET, 0,
                                "transaction %" PRIu64 " has a chunk twice, or another's (ordinal %" PRIu64 ")",
                                transaction->transaction_id, chunks[index].ordinal);
        }
        lum_count += chunks[index].row_count;
    }
    if (chunk_count != transaction->chunk_count || lum_count != transaction->lum_count) {
        return lum__corrupt(NULL, LUM_NO_OFFSET, 0,
                            "transaction %" PRIu64 " has %zu chunks with %" PRIu64
                            " records; its commit counts %" PRIu64 " with %" PRIu64,
                            transaction->transaction_id, chunk_count, lum_count, transaction->chunk_count,
                            transaction->lum_count);
    }
    uint32_t digest = lum__catalogue_digest(0, chunks, chunk_count);
    if (digest != transaction->digest) {
        return lum__corrupt(NULL, LUM_NO_OFFSET, 0,
                            "the chunks of transaction %" PRIu64 " have digest %08x; its commit says %08x",
                            transaction->transaction_id, digest, transaction->digest);
    }
    return LUM_OK;
}

/* What a transaction costs in memory while its rows are not folded, rows not counted. */
enum { UNFOLDED_BYTES = sizeof(struct lum__transaction) + sizeof(struct lum__chunk_entry) };

static void add_sums(struct lum__catalogue_version *face, const struct lum__transaction *transaction, const struct lum__chunk_entry *chunks,
                     size_t chunk_count)
{
    face->chunk_count += chunk_count;
    face->transaction_count++;
    if (transaction->is_member) return; /* all of it is counted by its run */
    for (size_t index = 0; index < chunk_count; index++) face->data_bytes += chunks[index].byte_count;
    if (chunk_count > 0 && chunks[0].rows != NULL) {
        face->unfolded_count++;
        face->unfolded_bytes += UNFOLDED_BYTES + transaction->lum_count * sizeof(lum_t);
    }
    face->committed_count += transaction->run_count > 0 ? transaction->run_count : 1;
    face->lum_count += transaction->lum_count;
    face->last_commit_sequence = transaction->commit_sequence;
    face->digest = lum__crc32c_combine(face->digest, transaction->digest, LUM__DIGEST_BYTES(transaction->lum_count));
}

/* The version that follows `previous`; on failure it owns no array that previous does not have. */
static lum_status version_append(const struct lum__version *previous, const struct lum__transaction *transaction,
                                 const struct lum__chunk_entry *chunks, size_t chunk_count, struct lum__row_table *rows,
                                 struct lum__version **out)
{
    lum_status status;
    const struct lum__catalogue_version *old = &previous->face;
    struct lum__version *version = NULL;

    LUM_TRY_OUT(lum__alloc_zeroed(1, sizeof *version, (void **)&version));
    LUM_TRY_OUT(array_with_room(previous->chunks, old->chunk_count, chunk_count, sizeof *chunks, &version->chunks));
    LUM_TRY_OUT(array_with_room(previous->transactions, old->transaction_count, 1, sizeof *transaction,
                                &version->transactions));
    version->folded_ids = previous->folded_ids;
    version->rows = rows;
    version->generation = previous->generation;

    struct lum__chunk_entry *new_chunks = (struct lum__chunk_entry *)version->chunks->elements + old->chunk_count;
    if (chunk_count > 0) memcpy(new_chunks, chunks, chunk_count * sizeof *chunks);
    ((struct lum__transaction *)version->transactions->elements)[old->transaction_count] = *transaction;
    version->face = *old;
    add_sums(&version->face, transaction, chunks, chunk_count);
    *out = version;
    return LUM_OK;
out:
    if (version != NULL && version->chunks != previous->chunks) free(version->chunks);
    free(version);
    return status;
}

/* A member lies within the run before it; anything else begins behind everything before it. */
static lum_status check_order(const struct lum__version *previous, const struct lum__transaction *transaction)
{
    const struct lum__catalogue_version *old = &previous->face;
    uint64_t first = transaction->commit_sequence - transaction->run_span;
    size_t run = old->transaction_count;
    bool is_in_order = first > old->last_commit_sequence && first <= transaction->commit_sequence;

    if (transaction->is_member) {
        while (run > 0 && old->transactions[run - 1].is_member) run--;
        const struct lum__transaction *before = run > 0 ? &old->transactions[run - 1] : NULL;
        const struct lum__transaction *last = run > 0 ? &old->transactions[old->transaction_count - 1] : NULL;
        is_in_order = before != NULL && before->run_count > 0 && transaction->commit_sequence <= before->commit_sequence &&
                      transaction->commit_sequence >= before->commit_sequence - before->run_span &&
                      (last == before || transaction->commit_sequence > last->commit_sequence);
    }
    if (is_in_order) return LUM_OK;
    return lum__corrupt(NULL, LUM_NO_OFFSET, 0, "transaction %" PRIu64 " commits at sequence %" PRIu64 ", which is not behind %" PRIu64,
                        transaction->transaction_id, transaction->commit_sequence, old->last_commit_sequence);
}

/* Checked already. The row table is the one that the rows of chunks[0] are in, if they are in memory. */
static lum_status append_and_publish(struct lum__catalogue *catalogue, const struct lum__transaction *transaction,
                                     struct lum__chunk_entry *chunks, size_t chunk_count, struct lum__row_table *rows)
{
    lum_status status = LUM_OK;
    struct lum__version *version = NULL;
    struct label *label = NULL;
    struct lum__transaction entry = *transaction;

    for (size_t index = 0; index < chunk_count; index++) chunks[index].commit_sequence = transaction->commit_sequence;
    entry.label = "";
    LUM_TRY_OUT(keep_metadata(catalogue, &entry.metadata)); /* harmless if the commit fails later */
    if (transaction->label[0] != '\0') {
        LUM_TRY_OUT(label_create(transaction, &entry.metadata, &label));
        entry.label = label->text;
    }
    LUM_TRY_OUT(version_append(catalogue->newest, &entry, chunks, chunk_count, rows, &version));

    (void)pthread_mutex_lock(&catalogue->mutex);
    if (label != NULL) label_insert(catalogue, label);
    version_publish(catalogue, version);
    (void)pthread_mutex_unlock(&catalogue->mutex);
    return LUM_OK;
out:
    free(label);
    return status;
}

lum_status lum__catalogue_commit(struct lum__catalogue *catalogue, const struct lum__transaction *transaction,
                                 struct lum__chunk_entry *chunks, size_t chunk_count)
{
    const struct lum__version *previous = catalogue->newest; /* only this thread changes it */

    LUM_ASSERT(transaction->label != NULL);
    LUM_TRY(check_order(previous, transaction));
    sort_by_ordinal(chunks, chunk_count);
    if (!transaction->is_member) LUM_TRY(check_transaction(transaction, chunks, chunk_count));
    return append_and_publish(catalogue, transaction, chunks, chunk_count, previous->rows);
}

lum_status lum__catalogue_commit_rows(struct lum__catalogue *catalogue, const struct lum__transaction *transaction, const lum_t *rows,
                                      uint64_t segment, uint64_t offset)
{
    const struct lum__version *previous = catalogue->newest;
    struct lum__transaction entry = *transaction;
    struct lum__row_table *table = previous->rows;
    struct lum__chunk_entry chunk = {.segment = segment,
                                     .offset = offset,
                                     .row_count = (uint32_t)transaction->lum_count,
                                     .lum_digest = transaction->digest,
                                     .transaction_id = transaction->transaction_id};

    LUM_ASSERT(transaction->lum_count > 0 && transaction->lum_count <= UINT32_MAX && transaction->label != NULL);
    LUM_TRY(check_order(previous, transaction));
    bool is_new = table == NULL;
    if (is_new) LUM_TRY(lum__row_table_create(&table));
    lum_status status = lum__row_table_append(table, rows, transaction->lum_count, &chunk.rows);
    if (status == LUM_OK) {
        lum__rows_range(rows, transaction->lum_count, &chunk.range);
        entry.chunk_count = 1;
        status = append_and_publish(catalogue, &entry, &chunk, 1, table);
    }
    if (is_new) lum__row_table_release(table); /* the version has its own reference */
    return status;
}
