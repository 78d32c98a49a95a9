/* recovery/findings.c - see findings.h. */
#include "recovery/findings.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "recovery/log_gather.h"
#include "recovery/salvage.h"
#include "wal/log_segment.h"

enum { CHECKPOINTS_LISTED_MAX = 64 };

struct examine {
    struct lum__fs *fs;
    const struct lum__plan_options *options;
    struct lum__examination *out;
    struct lum__plan plan;
    bool has_plan;
    bool is_rebuilt;        /* STATE is missing, damaged or older than the rest: a new one is made of the rest */
    bool was_clean_refused; /* closed cleanly, but what was closed is not there */
    bool is_worn_out;       /* state failed, or no attempt left */
    bool has_bad_segment;   /* a data segment with committed chunks cannot be opened: no writer can go on with them */
};

/* --------------------------------------------------------------------------------------------------------- findings */

static void note(struct examine *examine, char row, const struct lum__error *error, const char *verdict)
{
    struct lum__examination *out = examine->out;
    if (out->finding_count == LUM__FINDINGS_MAX) return;
    struct lum__found *found = &out->findings[out->finding_count++];
    snprintf(found->file, sizeof found->file, "%.63s", error->file);
    snprintf(found->what, sizeof found->what, "%s", error->message);
    snprintf(found->verdict, sizeof found->verdict, "%s", verdict);
    found->face = (lum_recovery_finding){.row = row, .offset = error->offset, .condition = error->condition};
}

static bool is_damage(lum_status status)
{
    return status == LUM_ERR_CORRUPT || status == LUM_ERR_FOREIGN || status == LUM_ERR_NOT_FOUND;
}

/* --------------------------------------------------------------------------------------------------- STATE anew */

/* The store's id, from the newest intact checkpoint. */
static lum_status stand_in_for_state(struct examine *examine)
{
    struct lum__state *state = &examine->out->state;
    uint64_t numbers[CHECKPOINTS_LISTED_MAX];
    size_t count = 0;
    lum_status status = LUM_ERR_NOT_FOUND;
    memset(state, 0, sizeof *state);
    state->attempts_max = LUM__STATE_ATTEMPTS_DEFAULT;
    examine->is_rebuilt = true;
    LUM_TRY(lum__checkpoint_list(examine->fs, numbers, CHECKPOINTS_LISTED_MAX, &count));
    if (count == 0) return lum__fail(LUM_ERR_NOT_FOUND, "there is no lum store here");
    for (size_t i = 0; i < count && status != LUM_OK; i++) {
        struct lum__checkpoint checkpoint = {0};
        struct lum__catalogue *catalogue = NULL;
        LUM_TRY(lum__catalogue_create(&catalogue));
        status = lum__checkpoint_read(examine->fs, numbers[i], NULL, &checkpoint, catalogue);
        if (status == LUM_OK) memcpy(state->store_id, checkpoint.store_id, sizeof state->store_id);
        lum__checkpoint_fini(&checkpoint);
        lum__catalogue_destroy(catalogue);
    }
    return LUM_OK; /* without any, the plan says so */
}

/* An epoch above all that was given out: those of transactions, checkpoint and log segments. */
static lum_status find_epoch(struct examine *examine)
{
    uint64_t epoch = examine->plan.checkpoint.epoch, *numbers = NULL;
    size_t count = 0;
    if (examine->plan.replay->epoch_max > epoch) epoch = examine->plan.replay->epoch_max;
    LUM_TRY(lum__log_segment_numbers(examine->fs, &numbers, &count));
    for (size_t i = 0; i < count; i++) {
        struct lum__wal_segment segment;
        struct lum__file *file = NULL;
        if (lum__log_segment_open(examine->fs, examine->out->state.store_id, numbers[i], LUM__OPEN_READ, &segment,
                                  &file) != LUM_OK)
            continue;
        (void)lum__file_close(file);
        if (segment.epoch > epoch) epoch = segment.epoch;
    }
    free(numbers);
    examine->out->state.epoch = epoch + 1;
    return LUM_OK;
}

/* ------------------------------------------------------------------------------------------------------------ the plan
 */

static lum_status plan_again(struct examine *examine)
{
    if (examine->has_plan) lum__plan_fini(&examine->plan);
    lum_status status = lum__plan_make_under(examine->fs, examine->options, &examine->out->state, &examine->plan);
    examine->has_plan = status == LUM_OK;
    return status;
}

static bool is_refused(const struct examine *examine)
{
    return examine->has_plan && examine->plan.decision.verdict == LUM__VERDICT_REFUSE;
}

static void note_refusal(struct examine *examine)
{
    const struct lum__plan *plan = &examine->plan;
    struct lum__error none = {.offset = LUM_NO_OFFSET};
    snprintf(none.file, sizeof none.file, "%s", plan->report.wal_path);
    snprintf(none.message, sizeof none.message, "%s", plan->evidence.message);
    note(examine, plan->decision.row, plan->problem.status != LUM_OK ? &plan->problem : &none, plan->decision.sentence);
}

/* A plan, whatever has to be supposed for it; what had to be is a finding. No plan: only salvage helps. */
static lum_status make_plan(struct examine *examine)
{
    struct lum__state *state = &examine->out->state;
    lum_status status = lum__state_read(examine->fs, state);
    if (is_damage(status)) {
        struct lum__error error = *lum__error_last();
        if (error.file[0] == 0) snprintf(error.file, sizeof error.file, "STATE");
        if (status == LUM_ERR_NOT_FOUND) snprintf(error.message, sizeof error.message, "STATE is missing");
        note(examine, '-', &error, "STATE is made anew from the checkpoints and the log");
        LUM_TRY(stand_in_for_state(examine));
        state->epoch = UINT64_MAX;
    } else {
        LUM_TRY(status);
    }
    examine->is_worn_out =
        state->state == LUM_STATE_FAILED || (!state->is_clean && state->attempts >= state->attempts_max);
    status = plan_again(examine);
    if (status == LUM_ERR_CORRUPT && !examine->is_rebuilt && strcmp(lum__error_last()->file, "STATE") == 0) {
        note(examine, '-', lum__error_last(), "STATE is made anew from the checkpoints and the log");
        examine->is_rebuilt = true;
        state->epoch = UINT64_MAX;
        state->is_clean = false;
        status = plan_again(examine);
    }
    if (is_damage(status)) {
        note(examine, '-', lum__error_last(), "nothing says any more what was committed");
        return LUM_OK;
    }
    LUM_TRY(status);
    if (!is_refused(examine)) return LUM_OK;
    note_refusal(examine);
    if (!state->is_clean) return LUM_OK;
    examine->was_clean_refused = true; /* without the clean mark the log is judged as after a crash */
    state->is_clean = false;
    char row = examine->plan.decision.row;
    LUM_TRY(plan_again(examine));
    if (is_refused(examine) && examine->plan.decision.row != row) note_refusal(examine);
    return LUM_OK;
}

/* What a writer needs besides: each file that committed chunks are in. */
static lum_status check_segments(struct examine *examine)
{
    const struct lum__catalogue_version *version = lum__catalogue_pin(examine->plan.catalogue);
    struct lum__segment_files *files = NULL;
    uint64_t last = 0;
    lum_status status = lum__segment_files_open(examine->fs, examine->plan.state.store_id, false, &files);
    for (size_t i = 0; i < version->chunk_count && status == LUM_OK; i++) {
        struct lum__file *file = NULL;
        if (version->chunks[i].rows != NULL || version->chunks[i].segment == last) continue;
        last = version->chunks[i].segment;
        status = lum__segment_files_get(files, last, &file);
        if (!is_damage(status)) continue;
        examine->has_bad_segment = true;
        note(examine, '-', lum__error_last(), "no writer can go on with committed chunks that it cannot find");
        status = LUM_OK;
    }
    lum__segment_files_close(files);
    lum__catalogue_unpin(examine->plan.catalogue, version);
    return status;
}

static void note_the_rest(struct examine *examine, uint32_t attempts, const char *details)
{
    struct lum__error error = {.offset = LUM_NO_OFFSET};
    if (examine->plan.fell_back)
        note(examine, '-', &examine->plan.checkpoint_problem,
             "the older checkpoint and the log behind it say the same");
    if (!examine->is_worn_out || examine->out->finding_count > 0) return;
    snprintf(error.file, sizeof error.file, "STATE");
    snprintf(error.message, sizeof error.message, "recovery did not finish in %" PRIu32 " attempts%s%s", attempts,
             details[0] ? "; last: " : "", details);
    note(examine, '-', &error, "what stopped it may be gone");
}

/* ------------------------------------------------------------------------------------------------------------ counting
 */

static void widen(lum_recovery_choice *choice, uint64_t id_min, uint64_t id_max, uint64_t time_min, uint64_t time_max)
{
    if (!choice->are_ranges_known) {
        choice->are_ranges_known = true;
        choice->id_min = id_min;
        choice->id_max = id_max;
        choice->timestamp_min = time_min;
        choice->timestamp_max = time_max;
        return;
    }
    if (id_min < choice->id_min) choice->id_min = id_min;
    if (id_max > choice->id_max) choice->id_max = id_max;
    if (time_min < choice->timestamp_min) choice->timestamp_min = time_min;
    if (time_max > choice->timestamp_max) choice->timestamp_max = time_max;
}

/* Legible records behind the place where the log is going to end. */
struct behind {
    lum_recovery_choice *choice;
    struct lum__chunk_entry *chunks;
    size_t chunk_count, chunk_capacity;
    uint64_t *commits; /* transaction ids */
    size_t commit_count, commit_capacity;
};

static lum_status look_behind(void *context, const struct lum__wal_record *record)
{
    struct behind *behind = context;
    if (record->type == LUM__WAL_CHUNK) {
        void *array = behind->chunks;
        LUM_TRY(lum__grow(&array, &behind->chunk_capacity, behind->chunk_count + 1, sizeof *behind->chunks));
        behind->chunks = array;
        behind->chunks[behind->chunk_count++] = record->chunk;
    }
    if (record->type != LUM__WAL_COMMIT) return LUM_OK;
    void *array = behind->commits;
    LUM_TRY(lum__grow(&array, &behind->commit_capacity, behind->commit_count + 1, sizeof *behind->commits));
    behind->commits = array;
    behind->commits[behind->commit_count++] = record->transaction_id;
    behind->choice->transactions_lost++;
    behind->choice->lums_lost += record->commit.lum_count;
    return LUM_OK;
}

static lum_status note_hole(void *context, const struct lum__log_gap *gap)
{
    struct behind *behind = context;
    (void)gap;
    behind->choice->is_loss_exact = false;
    return LUM_OK;
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static lum_status count_behind(struct examine *examine, uint64_t end_sequence, lum_recovery_choice *choice)
{
    struct behind behind = {.choice = choice};
    struct lum__log_gather_options options = {.sequence_min = end_sequence + 1,
                                              .sequence_max = UINT64_MAX,
                                              .each = look_behind,
                                              .gap = note_hole,
                                              .context = &behind};
    struct lum__log_gather_counts counts;
    lum_status status = lum__log_gather(examine->fs, examine->plan.state.store_id, &options, &counts);
    if (behind.commit_count > 1) qsort(behind.commits, behind.commit_count, sizeof *behind.commits, compare_ids);
    for (size_t i = 0; i < behind.chunk_count; i++) {
        const struct lum__chunk_entry *chunk = &behind.chunks[i];
        if (behind.commit_count == 0 || bsearch(&chunk->transaction_id, behind.commits, behind.commit_count,
                                                sizeof *behind.commits, compare_ids) == NULL)
            continue;
        widen(choice, chunk->range.id_min, chunk->range.id_max, chunk->range.timestamp_min, chunk->range.timestamp_max);
    }
    free(behind.chunks);
    free(behind.commits);
    return status;
}

static void count_loss(void *context, const lum_loss *loss)
{
    lum_recovery_choice *choice = context;
    if (loss->are_ranges_known) widen(choice, loss->id_min, loss->id_max, loss->timestamp_min, loss->timestamp_max);
}

/* Rows in damaged pages of commits that are kept all the same. */
static lum_status count_damaged_rows(struct examine *examine, lum_recovery_choice *choice)
{
    const struct lum__replay *replay = examine->plan.replay;
    for (size_t i = 0; i < replay->commit_count; i++) {
        const struct lum__replay_commit *commit = &replay->commits[i];
        uint64_t lost = 0;
        if (!commit->is_bad) continue;
        LUM_TRY(lum__salvage_count(examine->fs, examine->plan.state.store_id, commit->chunks, commit->chunk_count,
                                   count_loss, choice, &lost));
        choice->lums_lost += lost;
        choice->lums_kept -= lost;
    }
    return LUM_OK;
}

/* ---------------------------------------------------------------------------------------------------------------- ways
 */

__attribute__((format(printf, 4, 5))) static struct lum__way *add_way(struct examine *examine, const char *name,
                                                                      enum lum__choice choice, const char *format, ...)
{
    struct lum__way *way = &examine->out->ways[examine->out->way_count++];
    const struct lum__catalogue_version *version = lum__catalogue_pin(examine->plan.catalogue);
    va_list values;
    va_start(values, format);
    vsnprintf(way->action, sizeof way->action, format, values);
    va_end(values);
    way->choice = choice;
    way->face = (lum_recovery_choice){.name = name,
                                      .is_loss_exact = true,
                                      .transactions_kept = version->committed_count,
                                      .lums_kept = version->lum_count,
                                      .last_sequence = examine->plan.end.sequence};
    lum__catalogue_unpin(examine->plan.catalogue, version);
    return way;
}

static size_t first_bad(const struct lum__replay *replay)
{
    size_t i = 0;
    while (i < replay->commit_count && !replay->commits[i].is_bad) i++;
    return i;
}

static bool is_log_whole(const struct examine *examine)
{
    char row = examine->plan.decision.row;
    return row == 'S' || row == 'D';
}

static lum_status add_keep(struct examine *examine)
{
    bool has_bad = first_bad(examine->plan.replay) < examine->plan.replay->commit_count;
    const char *chunks = has_bad ? ", and keep damaged chunks as they are: their intact pages can be read" : "";
    struct lum__way *way =
        is_log_whole(examine)
            ? add_way(examine, "keep", LUM__CHOICE_KEEP, "go on with every commit%s", chunks)
            : add_way(examine, "keep", LUM__CHOICE_KEEP, "go on with what the log gives up to sequence %" PRIu64 "%s",
                      examine->plan.replay->is_broken ? examine->plan.replay->broken_before.sequence
                                                      : examine->plan.end.sequence,
                      chunks);
    if (examine->plan.replay->is_broken) way->face.last_sequence = examine->plan.replay->broken_before.sequence;
    LUM_TRY(count_damaged_rows(examine, &way->face));
    return count_behind(examine, way->face.last_sequence, &way->face);
}

static lum_status add_drop(struct examine *examine)
{
    const struct lum__replay *replay = examine->plan.replay;
    size_t first = first_bad(replay);
    if (first == replay->commit_count) return LUM_OK;
    struct lum__way *way =
        add_way(examine, "drop", LUM__CHOICE_DROP,
                "undo the first commit with a damaged chunk (sequence %" PRIu64 ") and everything after it",
                replay->commits[first].transaction.commit_sequence);
    way->face.last_sequence = replay->commits[first].before.sequence;
    for (size_t i = first; i < replay->commit_count; i++) {
        const struct lum__replay_commit *commit = &replay->commits[i];
        way->face.transactions_kept--;
        way->face.lums_kept -= commit->transaction.lum_count;
        way->face.transactions_lost++;
        way->face.lums_lost += commit->transaction.lum_count;
        for (uint32_t j = 0; j < commit->rows.row_count; j++) {
            const lum_t *row = &commit->rows.rows[j];
            widen(&way->face, row->id, row->id, row->timestamp, row->timestamp);
        }
        for (size_t j = 0; j < commit->chunk_count; j++) {
            const struct lum__range *range = &commit->chunks[j].range;
            widen(&way->face, range->id_min, range->id_max, range->timestamp_min, range->timestamp_max);
        }
    }
    return count_behind(examine, examine->plan.end.sequence, &way->face);
}

static lum_status find_ways(struct examine *examine)
{
    struct lum__examination *out = examine->out;
    if (!examine->has_plan) return LUM_OK;
    enum lum__verdict verdict = examine->plan.decision.verdict;
    if (verdict == LUM__VERDICT_UNSUPPORTED) return lum__error_restore(&examine->plan.problem), LUM_ERR_UNSUPPORTED;
    if (verdict == LUM__VERDICT_REFUSE) {
        if (!examine->has_bad_segment) LUM_TRY(add_keep(examine));
        return add_drop(examine);
    }
    if (examine->has_bad_segment) return LUM_OK;
    if (examine->is_rebuilt) {
        struct lum__way *way =
            add_way(examine, "state", LUM__CHOICE_RETRY,
                    "write a new STATE, made of the rest of the store, and recover as after a crash");
        return count_behind(examine, examine->plan.end.sequence, &way->face);
    }
    if (examine->was_clean_refused) return add_keep(examine);
    if (!examine->is_worn_out) {
        out->needs_choice = false;
        return LUM_OK;
    }
    struct lum__way *way =
        add_way(examine, "retry", LUM__CHOICE_RETRY, "try recovery again, from the first attempt on");
    return count_behind(examine, examine->plan.end.sequence, &way->face);
}

static void lend_strings(struct lum__examination *out)
{
    for (size_t i = 0; i < out->finding_count; i++) {
        out->findings[i].face.file = out->findings[i].file;
        out->findings[i].face.what = out->findings[i].what;
        out->findings[i].face.verdict = out->findings[i].verdict;
    }
    for (size_t i = 0; i < out->way_count; i++) out->ways[i].face.action = out->ways[i].action;
}

lum_status lum__examine(struct lum__fs *fs, const struct lum__plan_options *options, struct lum__examination *out)
{
    struct examine examine = {.fs = fs, .options = options, .out = out};
    lum_status status = LUM_OK;
    memset(out, 0, sizeof *out);
    out->needs_choice = true;
    LUM_TRY_OUT(make_plan(&examine));
    if (examine.has_plan) LUM_TRY_OUT(check_segments(&examine));
    if (examine.has_plan) note_the_rest(&examine, out->state.attempts, out->state.error_details);
    LUM_TRY_OUT(find_ways(&examine));
    if (examine.has_plan && examine.is_rebuilt) LUM_TRY_OUT(find_epoch(&examine));
    out->state.state = LUM_STATE_CRASH_DETECTED;
    out->state.is_clean = false;
    out->state.attempts = 0;
    lend_strings(out);
out:;
    struct lum__error cause = *lum__error_last();
    if (examine.has_plan) lum__plan_fini(&examine.plan);
    if (status != LUM_OK) lum__error_restore(&cause);
    return status;
}
