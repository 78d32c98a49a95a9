/* recovery/same_content.c - see same_content.h. A fold changes chunks and joins transactions, so where `a` still has rows in memory, `b` has them as
 * chunks, in runs of consecutive transactions (storage/catalogue_fold.c), with small chunks before them. Everything else is the same in both. */
#include "recovery/same_content.h"

#include <string.h>

#include "base/crc32c.h"
#include "storage/chunk_layout.h"

/* How far a version was compared. */
struct side {
    const struct lum__catalogue_version *version;
    size_t transaction, chunk;
};

static const struct lum__transaction *next(const struct side *side)
{
    return side->transaction < side->version->transaction_count ? &side->version->transactions[side->transaction] : NULL;
}

static void step(struct side *side)
{
    side->chunk += next(side)->chunk_count;
    side->transaction++;
}

/* Place and digest of a chunk may differ where no sync vouched for it: recovery rewrote it then (README, step R4). */
static bool is_same_chunk(const struct lum__chunk_entry *a, const struct lum__chunk_entry *b, bool data_synced)
{
    bool same_place = a->segment == b->segment && a->offset == b->offset && a->digest == b->digest;
    return a->rows == NULL && b->rows == NULL && a->transaction_id == b->transaction_id && a->ordinal == b->ordinal &&
           a->commit_sequence == b->commit_sequence && a->byte_count == b->byte_count && a->row_count == b->row_count &&
           a->lum_digest == b->lum_digest && (same_place || !data_synced);
}

static bool is_same_transaction(const struct lum__transaction *a, const struct lum__transaction *b)
{
    return a->transaction_id == b->transaction_id && a->commit_sequence == b->commit_sequence &&
           a->lum_count == b->lum_count && a->digest == b->digest && a->run_count == b->run_count && a->run_span == b->run_span &&
           a->data_synced == b->data_synced && strcmp(a->label, b->label) == 0 &&
           lum__metadata_is_same(&a->metadata, &b->metadata);
}

/* Both as they were, on disk already. */
static bool compare_unchanged(struct side *a, struct side *b)
{
    const struct lum__transaction *left = next(a), *right = next(b);
    if (!is_same_transaction(left, right) || left->chunk_count != right->chunk_count || left->is_member != right->is_member) return false;
    for (uint64_t i = 0; i < left->chunk_count; i++) {
        if (!is_same_chunk(&a->version->chunks[a->chunk + i], &b->version->chunks[b->chunk + i], left->data_synced)) return false;
    }
    step(a);
    step(b);
    return true;
}

/* The members of a run in b against the transactions of a that have something to say. */
static bool compare_member(struct side *b, const struct lum__transaction *transaction)
{
    if (!lum__transaction_says_something(transaction)) return true;
    const struct lum__transaction *member = next(b);
    if (member == NULL || !member->is_member || !is_same_transaction(transaction, member)) return false;
    step(b);
    return true;
}

/* The members of a run of a, which are members in b too. */
static bool compare_members(struct side *a, struct side *b)
{
    while (next(a) != NULL && next(a)->is_member) {
        if (!compare_member(b, next(a))) return false;
        step(a);
    }
    return true;
}

/* b's next is a run made of as many transactions of a: small ones, and runs whose small chunks were replaced. */
static bool compare_run(struct side *a, struct side *b)
{
    const struct lum__transaction *run = next(b), *first = next(a), *last = first;
    uint64_t lum_count = 0, count = 0;
    uint32_t digest = 0;
    step(b);
    while (count < run->run_count) {
        last = next(a);
        if (last == NULL || (!lum__transaction_is_foldable(a->version, last, a->chunk) && !lum__transaction_is_joinable(a->version, last, a->chunk))) return false;
        count += last->run_count > 0 ? last->run_count : 1;
        lum_count += last->lum_count;
        digest = lum__crc32c_combine(digest, last->digest, LUM__DIGEST_BYTES(last->lum_count));
        if (!lum__catalogue_has_id(b->version, last->transaction_id) || !compare_member(b, last)) return false;
        step(a);
        if (last->run_count > 0 && !compare_members(a, b)) return false;
    }
    return count == run->run_count && run->transaction_id == first->transaction_id && run->commit_sequence == last->commit_sequence &&
           run->run_span == last->commit_sequence - (first->commit_sequence - first->run_span) && run->lum_count == lum_count && run->digest == digest;
}

bool lum__is_same_content(const struct lum__catalogue_version *a, const struct lum__catalogue_version *b)
{
    struct side left = {.version = a}, right = {.version = b};
    if (a->committed_count != b->committed_count || a->lum_count != b->lum_count || a->digest != b->digest) return false;
    while (next(&left) != NULL && next(&right) != NULL) {
        const struct lum__transaction *old = next(&left), *new = next(&right);
        bool is_folded = lum__transaction_is_foldable(a, old, left.chunk);
        bool same;
        bool is_joined = !is_folded && new->run_count > 0 && new->commit_sequence > old->commit_sequence;
        if ((is_folded && new->run_count > 0) || is_joined) {
            same = compare_run(&left, &right);
        } else if (is_folded) { /* folded alone, or empty */
            same = is_same_transaction(old, new);
            step(&left);
            step(&right);
        } else {
            same = compare_unchanged(&left, &right);
        }
        if (!same) return false;
    }
    return next(&left) == NULL && next(&right) == NULL;
}
