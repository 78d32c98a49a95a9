/* recovery/salvage_repeat.c - what was found twice: a transaction by the log and by a damaged checkpoint, chunks by
 * name and on the disk, and small transactions one by one in the log and, folded, as a run (format.md 5). Of each the
 * better one stays, and what the other alone would have said is a loss that is told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "recovery/salvage_private.h"

/* --------------------------------------------------------------------------------------------------- looking things up
 */

static size_t first_of(const struct lum__chunk_entry *chunks, size_t count, uint64_t transaction_id)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (chunks[middle].transaction_id < transaction_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint64_t lum__salvage_count_named(const struct lum__salvage_find *find, uint64_t id)
{
    uint64_t count = 0;
    for (size_t i = first_of(find->named, find->named_count, id);
         i < find->named_count && find->named[i].transaction_id == id; i++)
        count +=
            i == 0 || find->named[i - 1].transaction_id != id || find->named[i - 1].ordinal != find->named[i].ordinal;
    return count;
}

void lum__salvage_walk_begin(const struct lum__salvage_find *find, const struct lum__salvage_transaction *transaction,
                             struct lum__salvage_walk *out)
{
    const struct lum__salvage *salvage = find->salvage;
    uint64_t id = transaction->transaction_id;
    bool is_whole = transaction->is_count_known && lum__salvage_count_named(find, id) >= transaction->chunk_count;
    out->transaction_id = id;
    out->rows_left = transaction->is_count_known ? transaction->lum_count : UINT64_MAX;
    out->named = first_of(find->named, find->named_count, id);
    out->scanned = is_whole ? salvage->scanned_count : first_of(salvage->scanned, salvage->scanned_count, id);
}

const struct lum__chunk_entry *lum__salvage_walk_next(const struct lum__salvage_find *find,
                                                      struct lum__salvage_walk *walk)
{
    const struct lum__salvage *salvage = find->salvage;
    uint64_t id = walk->transaction_id;
    const struct lum__chunk_entry *a = walk->named < find->named_count ? &find->named[walk->named] : NULL;
    const struct lum__chunk_entry *b = walk->scanned < salvage->scanned_count ? &salvage->scanned[walk->scanned] : NULL;
    if (a != NULL && a->transaction_id != id) a = NULL;
    if (b != NULL && b->transaction_id != id) b = NULL;
    if (a == NULL && b == NULL) return NULL;
    const struct lum__chunk_entry *out = b != NULL && (a == NULL || b->ordinal <= a->ordinal) ? b : a, *fitting = NULL;
    while (walk->named < find->named_count && find->named[walk->named].transaction_id == id &&
           find->named[walk->named].ordinal <= out->ordinal) {
        const struct lum__chunk_entry *at = &find->named[walk->named++];
        if (at->ordinal == out->ordinal && at->row_count == walk->rows_left) fitting = at;
        if (at->ordinal == out->ordinal && out == b && at->segment == b->segment && at->offset == b->offset) out = at;
    }
    while (walk->scanned < salvage->scanned_count && salvage->scanned[walk->scanned].transaction_id == id &&
           salvage->scanned[walk->scanned].ordinal <= out->ordinal) {
        const struct lum__chunk_entry *at = &salvage->scanned[walk->scanned++];
        if (at->ordinal == out->ordinal && at->row_count == walk->rows_left) fitting = at;
    }
    /* A fold may have replaced the last chunk of a run by a larger one with the same number: the one that makes the count right. */
    if (fitting != NULL && out->row_count != walk->rows_left) out = fitting;
    if (walk->rows_left != UINT64_MAX) walk->rows_left -= out->row_count < walk->rows_left ? out->row_count : walk->rows_left;
    return out;
}

static uint64_t rows_in_chunks(const struct lum__salvage_find *find, const struct lum__salvage_transaction *transaction)
{
    struct lum__salvage_walk walk;
    uint64_t rows = 0;
    lum__salvage_walk_begin(find, transaction, &walk);
    for (const struct lum__chunk_entry *entry; (entry = lum__salvage_walk_next(find, &walk)) != NULL;)
        rows += entry->row_count;
    return rows;
}

static int compare_ids(const void *a, const void *b)
{
    const struct lum__salvage_rows *left = a, *right = b;
    return (left->transaction_id > right->transaction_id) - (left->transaction_id < right->transaction_id);
}

const struct lum__salvage_rows *lum__salvage_find_rows(const struct lum__salvage *salvage, uint64_t transaction_id)
{
    struct lum__salvage_rows wanted = {.transaction_id = transaction_id};
    return salvage->rows_count > 0 ? bsearch(&wanted, salvage->rows, salvage->rows_count, sizeof wanted, compare_ids)
                                   : NULL;
}

/* -----------------------------------------------------------------------------------------------------------------
 * runs */

/* In the log, with its rows beside it. */
static bool is_small(const struct lum__salvage_transaction *transaction)
{
    return transaction->is_count_known && transaction->chunk_count == 0 && transaction->lum_count > 0;
}

/* The chunks say when it was committed. With the id of a small transaction, they are those of a run that it leads. */
lum_status lum__salvage_add_nameless(struct lum__salvage_find *find)
{
    struct lum__salvage *salvage = find->salvage;
    for (size_t i = 0; i < find->named_count; i++) {
        const struct lum__chunk_entry *entry = &find->named[i];
        struct lum__salvage_transaction nameless = {.transaction_id = entry->transaction_id,
                                                    .commit_sequence = entry->commit_sequence};
        bool is_seen = entry->commit_sequence == 0; /* named by the log: its commit says whether it counts */
        if (i > 0 && find->named[i - 1].transaction_id == entry->transaction_id &&
            find->named[i - 1].commit_sequence == entry->commit_sequence)
            continue;
        for (size_t j = find->base_count; j < salvage->transaction_count && !is_seen; j++) {
            const struct lum__salvage_transaction *other = &salvage->transactions[j];
            bool is_same = other->transaction_id == entry->transaction_id;
            is_seen =
                other->commit_sequence == entry->commit_sequence && (is_same || !(is_small(other) || other->is_member));
            if (is_same && (is_small(other) || other->is_member)) nameless.run_first = other->commit_sequence;
        }
        if (is_seen) continue;
        LUM_TRY(lum__salvage_add_transaction(salvage, &nameless, "", NULL));
    }
    return LUM_OK;
}

static lum_status note_lost_of_run(struct lum__salvage_find *find, const struct lum__salvage_transaction *run,
                                   uint64_t lums_lost)
{
    struct lum__salvage_loss loss = {.face = {.offset = LUM_NO_OFFSET,
                                              .first_row = UINT64_MAX,
                                              .sequence_first = run->run_first,
                                              .sequence_last = run->commit_sequence,
                                              .are_lums_known = run->is_count_known,
                                              .lums_lost = lums_lost}};
    snprintf(loss.file, sizeof loss.file, "data");
    snprintf(loss.what, sizeof loss.what,
             "small transactions that were folded into a chunk of which nothing says where it lies, and the log has "
             "only some of them");
    return lum__salvage_note(find->salvage, &loss);
}

/* Rows of a transaction that a fold made, as a run or alone, of which more can be found than an entry: a later run may have joined it. False: of any other one with
 * chunks. */
static bool find_folded(const struct lum__salvage_find *find, size_t index, uint64_t *rows)
{
    const struct lum__salvage *salvage = find->salvage;
    const struct lum__salvage_transaction *transaction = &salvage->transactions[index];
    *rows = 0;
    if (index < find->base_count) {
        for (size_t i = transaction->chunk_first; i < transaction->chunk_end; i++) *rows += salvage->chunks[i].row_count;
        return transaction->chunk_first < transaction->chunk_end && salvage->chunks[transaction->chunk_first].ordinal == LUM__FOLD_ORDINAL_FIRST;
    }
    struct lum__salvage_walk walk;
    lum__salvage_walk_begin(find, transaction, &walk);
    const struct lum__chunk_entry *first = lum__salvage_walk_next(find, &walk);
    *rows = rows_in_chunks(find, transaction);
    return transaction->run_first > 0 || (first != NULL && first->ordinal == LUM__FOLD_ORDINAL_FIRST);
}

/* Small transactions that a damaged checkpoint has as a run, and the log one by one, or another checkpoint as the runs that it joins: what gives fewer rows goes.
 * transactions[first .. kept): those before the run that are kept so far. Where the run stays, those in it stay only as
 * members, for their label; where it goes, so do members that the log does not have, for their rows are lost and a
 * label would say that they are there. */
static lum_status settle_run(struct lum__salvage_find *find, const struct lum__salvage_transaction *run, size_t *kept,
                             bool *is_kept)
{
    struct lum__salvage_transaction *all = find->salvage->transactions;
    size_t first = *kept, end = *kept;
    uint64_t lums_in_log = 0, rows_in_log = 0, folded = 0, joined_end = 0; /* commit sequence of the last run that it joins */
    while (first > 0 && all[first - 1].commit_sequence >= run->run_first) {
        const struct lum__salvage_rows *rows = lum__salvage_find_rows(find->salvage, all[--first].transaction_id);
        *is_kept = false;
        bool is_folded = (first < find->base_count || all[first].chunk_count > 0 || !all[first].is_count_known) && find_folded(find, first, &folded);
        if (!is_folded && (all[first].chunk_count > 0 || !all[first].is_count_known))
            return LUM_OK; /* no run spans such a one: its entry is damaged */
        if (is_folded && all[first].commit_sequence > joined_end) joined_end = all[first].commit_sequence;
        if (!is_folded && !is_small(&all[first])) continue;
        lums_in_log += all[first].lum_count;
        rows_in_log += is_folded ? folded : rows != NULL ? rows->row_count : 0;
    }
    *is_kept = rows_in_chunks(find, run) >= rows_in_log;
    *kept = first;
    for (size_t i = first; i < end; i++) {
        bool has_label = all[i].label != NULL && all[i].label[0] != 0;
        if (*is_kept ? !has_label : all[i].is_member && i >= find->base_count && all[i].commit_sequence > joined_end) {
            lum__salvage_free_texts(&all[i]);
            continue;
        }
        if (*is_kept) {
            all[i].lum_count = all[i].chunk_count = all[i].chunk_first = all[i].chunk_end = 0;
            all[i].is_count_known = true;
        }
        all[(*kept)++] = all[i];
    }
    if (*is_kept && first < find->base_count) find->base_count = first;
    if (*is_kept || (run->is_count_known && lums_in_log >= run->lum_count)) return LUM_OK;
    return note_lost_of_run(find, run, run->is_count_known ? run->lum_count - lums_in_log : 0);
}

static int compare_transactions(const void *a, const void *b)
{
    const struct lum__salvage_transaction *left = a, *right = b;
    bool is_left_run = left->run_first > 0, is_right_run = right->run_first > 0;
    if (left->commit_sequence != right->commit_sequence) return left->commit_sequence < right->commit_sequence ? -1 : 1;
    if (is_left_run != is_right_run) return is_left_run - is_right_run; /* a run behind all that it may replace */
    if (left->is_count_known != right->is_count_known) return right->is_count_known - left->is_count_known;
    return (left->lum_count < right->lum_count) -
           (left->lum_count > right->lum_count); /* the log's before a run's member */
}

lum_status lum__salvage_remove_repeated(struct lum__salvage_find *find)
{
    struct lum__salvage *salvage = find->salvage;
    struct lum__salvage_transaction *all = salvage->transactions;
    size_t kept = find->base_count, end = salvage->transaction_count;
    uint64_t settled = 0; /* commit sequence of the last run */
    lum_status status = LUM_OK;
    if (end > kept + 1) qsort(all + kept, end - kept, sizeof *all, compare_transactions);
    for (size_t i = kept; i < end; i++) {
        struct lum__salvage_transaction one = all[i];
        bool is_run = one.run_first > 0, stays = true;
        all[i].label = all[i].mapping = all[i].source_names = NULL; /* they go with `one` */
        if (is_run && one.commit_sequence == settled)
            stays = false; /* two damaged checkpoints have it */
        else if (is_run && status == LUM_OK)
            status = settle_run(find, &one, &kept, &stays);
        else if (!is_run && kept > find->base_count && all[kept - 1].commit_sequence == one.commit_sequence)
            stays = false;
        if (is_run) settled = one.commit_sequence;
        if (stays)
            all[kept++] = one;
        else
            lum__salvage_free_texts(&one);
    }
    salvage->transaction_count = kept;
    return status;
}
