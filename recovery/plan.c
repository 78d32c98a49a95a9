/* recovery/plan.c - from a store directory to its contents, without changing a byte. Steps, with numbers:
 * recovery/README.md "The plan". */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/status.h"
#include "recovery/commit_check.h"
#include "recovery/recover.h"
#include "storage/header.h"
#include "wal/log_segment.h"

enum {
    CHECKPOINTS_TRIED_MAX = 16,
    LIVE_TRIES_MAX = 8, /* beside a live writer: without any progress */
    RACE_TRIES_MAX = 5, /* of a whole plan, when a file vanished under a reader */
    RACE_PAUSE_NS = 10000000,
};

static void pause_ns(long nanoseconds)
{
    struct timespec pause = {.tv_nsec = nanoseconds};
    nanosleep(&pause, NULL);
}

static void note_problem(struct lum__plan *plan, const struct lum__error *problem)
{
    if (plan->problem.status == LUM_OK) plan->problem = *problem;
}

/* ----------------------------------------------------------------------------------------- step 1: the checkpoint */

static bool is_damage(lum_status status)
{
    return status == LUM_ERR_CORRUPT || status == LUM_ERR_FOREIGN || status == LUM_ERR_NOT_FOUND;
}

static void note_fall_back(struct lum__plan *plan)
{
    if (!plan->fell_back) plan->checkpoint_problem = *lum__error_last();
    plan->fell_back = true;
}

/* The newest checkpoint that is valid, into plan->checkpoint and an own catalogue. */
static lum_status choose_checkpoint(struct lum__fs *fs, struct lum__plan *plan)
{
    uint64_t numbers[CHECKPOINTS_TRIED_MAX];
    size_t count = 0;
    LUM_TRY(lum__checkpoint_list(fs, numbers, CHECKPOINTS_TRIED_MAX, &count));
    if (count == 0) return lum__corrupt("checkpoint-1", LUM_NO_OFFSET, 0, "the store has no checkpoint at all");
    plan->checkpoint_newest_found = numbers[0];
    for (size_t i = 0; i < count; i++) {
        LUM_TRY(lum__catalogue_create(&plan->catalogue));
        lum_status status =
            lum__checkpoint_read(fs, numbers[i], plan->state.store_id, &plan->checkpoint, plan->catalogue);
        if (status == LUM_OK) return LUM_OK;
        lum__catalogue_destroy(plan->catalogue);
        plan->catalogue = NULL;
        lum__checkpoint_fini(&plan->checkpoint);
        memset(&plan->checkpoint, 0, sizeof plan->checkpoint);
        if (!is_damage(status)) return status;
        note_fall_back(plan);
    }
    lum__error_restore(&plan->checkpoint_problem);
    return lum__corrupt(plan->checkpoint_problem.file, plan->checkpoint_problem.offset,
                        plan->checkpoint_problem.condition, "no checkpoint can be read; of the newest: %s",
                        plan->checkpoint_problem.message);
}

/* STATE is replaced before anything that it must know of is written, so nothing in the store can be newer than it. */
static lum_status check_state_is_current(const struct lum__plan *plan)
{
    const struct lum__state *state = &plan->state;
    const struct lum__checkpoint *checkpoint = &plan->checkpoint;
    if (checkpoint->epoch > state->epoch || (plan->replay != NULL && plan->replay->epoch_max > state->epoch))
        return lum__corrupt("STATE", 64, 0, "STATE (epoch %" PRIu64 ") is older than the rest of the store",
                            state->epoch);
    if (state->is_clean &&
        (checkpoint->number > state->clean_checkpoint || checkpoint->replay.sequence > state->clean_sequence))
        return lum__corrupt("STATE", 96, 0, "STATE's clean mark is older than checkpoint-%" PRIu64, checkpoint->number);
    return LUM_OK;
}

/* A checkpoint that STATE or the log names, but that is not there any more. (A live writer may have taken it since the
 * directory was listed.) */
static void check_checkpoint_is_newest(const struct lum__plan_options *options, struct lum__plan *plan)
{
    uint64_t named = plan->state.is_clean ? plan->state.clean_checkpoint : 0;
    if (plan->replay->checkpoint_max > named) named = plan->replay->checkpoint_max;
    if (named > plan->checkpoint_newest_found && !plan->fell_back && !options->writer_alive) {
        char path[LUM__PATH_BYTES_MAX];
        snprintf(path, sizeof path, "checkpoint-%" PRIu64, named);
        lum_status status = lum__corrupt(path, LUM_NO_OFFSET, 0, "checkpoint-%" PRIu64 " is missing", named);
        (void)status;
        note_fall_back(plan);
    }
    if (named > plan->checkpoint_newest_found) plan->checkpoint_newest_found = named; /* never used again */
}

/* ---------------------------------------------------------------------------------------------------- step 2: the log
 */

static lum_status read_to_stop(struct lum__fs *fs, struct lum__plan *plan, const struct lum__log_position *from,
                               bool direct)
{
    struct lum__log_position limit = {.segment = plan->state.clean_segment,
                                      .offset = plan->state.clean_offset,
                                      .sequence = plan->state.clean_sequence};
    struct lum__wal_reader *reader = NULL;
    struct lum__wal_record record;
    lum_status status = LUM_OK;
    uint64_t watermark = plan->evidence.watermark_accepted;
    LUM_TRY(
        lum__wal_reader_open(fs, plan->state.store_id, from, plan->state.is_clean ? &limit : NULL, direct, &reader));
    for (;;) {
        struct lum__log_position before;
        lum__wal_reader_position(reader, &before);
        status = lum__wal_reader_next(reader, &record);
        if (status != LUM_OK) break;
        if (before.segment !=
            record.segment) { /* a seal or a cut was followed: the record is the first of its segment */
            LUM_ASSERT(record.offset == LUM__WAL_BATCH_ALIGNMENT);
            before = (struct lum__log_position){record.segment, record.offset, before.sequence, 0};
        }
        LUM_TRY_OUT(lum__replay_feed(plan->replay, &before, &record));
    }
    if (status != LUM_END) goto out;
    status = lum__wal_reader_evidence(reader, &plan->evidence);
    if (watermark > plan->evidence.watermark_accepted) plan->evidence.watermark_accepted = watermark;
out:
    lum__wal_reader_close(reader);
    return status;
}

static uint64_t highest_watermark(const struct lum__plan *plan)
{
    const struct lum__wal_evidence *evidence = &plan->evidence;
    uint64_t watermark = evidence->watermark_accepted;
    if (evidence->watermark_behind > watermark) watermark = evidence->watermark_behind;
    return watermark;
}

static bool breaks_off_below_watermark(const struct lum__plan *plan)
{
    return plan->evidence.stop != LUM__WAL_STOP_LIMIT && plan->evidence.position.sequence < highest_watermark(plan);
}

/* The clean end may be reached without a look at the segment it lies in: it has to be there all the same, the log goes
 * on in it. */
static lum_status check_end_segment(struct lum__fs *fs, struct lum__plan *plan)
{
    struct lum__wal_segment segment;
    struct lum__file *file = NULL;
    lum_status status = lum__log_segment_open(fs, plan->state.store_id, plan->evidence.position.segment, LUM__OPEN_READ,
                                              &segment, &file);
    (void)lum__file_close(file);
    if (!is_damage(status)) return status;
    plan->evidence.stop = LUM__WAL_STOP_NO_SEGMENT;
    snprintf(plan->evidence.message, sizeof plan->evidence.message, "the last log segment cannot be read: %.200s",
             lum__error_last()->message);
    return LUM_OK;
}

/* Beside a live writer the end moves: a batch that was half there when it was read, and its successors found behind it,
 * are no damage. So reading goes on from there until it has passed every watermark seen at the first stop, or stands
 * still. */
static lum_status read_log(struct lum__fs *fs, const struct lum__plan_options *options, struct lum__plan *plan)
{
    bool direct = !plan->state.is_clean && !options->writer_alive;
    LUM_TRY(lum__replay_create(&plan->checkpoint, &plan->replay));
    LUM_TRY(read_to_stop(fs, plan, &plan->checkpoint.replay, direct));
    uint64_t goal = highest_watermark(plan);
    for (int tries = 0; options->writer_alive && plan->evidence.position.sequence < goal && tries < LIVE_TRIES_MAX;) {
        struct lum__log_position from = plan->evidence.position;
        pause_ns(RACE_PAUSE_NS / 4);
        LUM_TRY(read_to_stop(fs, plan, &from, direct));
        tries = plan->evidence.position.sequence > from.sequence ? 0 : tries + 1;
    }
    if (plan->evidence.stop == LUM__WAL_STOP_LIMIT) LUM_TRY(check_end_segment(fs, plan));
    if (options->writer_alive && plan->evidence.position.sequence >= goal) { /* the end is simply where it is now */
        plan->evidence.watermark_behind = 0;
        plan->evidence.records_behind = 0;
        plan->evidence.tail_bytes = 0;
    }
    return LUM_OK;
}

/* ------------------------------------------------------------------------------------------------- step 3: the chunks
 */

static lum_status check_commits(struct lum__fs *fs, const struct lum__plan_options *options, struct lum__plan *plan)
{
    struct lum__commit_check_options check_options = {.store_id = plan->state.store_id,
                                                      .workers = options->workers,
                                                      .memory_bytes_max = options->memory_bytes_max,
                                                      .watermark = highest_watermark(plan),
                                                      .unsynced_only = options->for_reading,
                                                      .after_crash = !plan->state.is_clean};
    struct lum__commit_check check;
    if (options->writer_alive) return LUM_OK; /* a chunk is written before it is logged; whoever reads it verifies it */
    LUM_TRY(lum__commit_check(fs, plan->replay, &check_options, &check));
    plan->report.chunks_verified = check.chunks_verified;
    plan->report.lums_verified = check.lums_verified;
    if (check.problem.status != LUM_OK) {
        snprintf(plan->report.data_path, sizeof plan->report.data_path, "%s", check.problem.file);
        note_problem(plan, &check.problem);
    }
    return LUM_OK;
}

/* ----------------------------------------------------------------------------------------------- step 4: the verdict
 */

/* Index of the first commit with a bad chunk; commit_count if there is none. */
static size_t first_bad_commit(const struct lum__replay *replay)
{
    size_t i = 0;
    while (i < replay->commit_count && !replay->commits[i].is_bad) i++;
    return i;
}

static void decide(struct lum__plan *plan)
{
    const struct lum__wal_evidence *seen = &plan->evidence;
    struct lum__decide_evidence evidence = {
        .has_clean_mark = plan->state.is_clean,
        .clean_end_reached = seen->stop == LUM__WAL_STOP_LIMIT,
        .stop_is_blank = (seen->stop == LUM__WAL_STOP_BLANK || seen->stop == LUM__WAL_STOP_STALE) &&
                         seen->records_behind == 0 && seen->tail_bytes == 0,
        .stop_is_unsupported = seen->stop == LUM__WAL_STOP_UNSUPPORTED,
        .lost_segment = seen->stop == LUM__WAL_STOP_NO_SEGMENT,
        .below_watermark = breaks_off_below_watermark(plan),
        .broken_transaction = plan->replay->is_broken,
    };
    for (size_t i = first_bad_commit(plan->replay); i < plan->replay->commit_count; i++) {
        const struct lum__replay_commit *commit = &plan->replay->commits[i];
        if (!commit->is_bad) continue;
        evidence.bad_chunk = true;
        if (commit->transaction.data_synced) evidence.bad_chunk_data_synced = true;
        if (commit->transaction.commit_sequence <= highest_watermark(plan)) evidence.bad_chunk_below_watermark = true;
    }
    plan->decision = lum__decide(&evidence);
}

/* A person's word in the place of a refusal. The row stays: it says what was seen. */
static void choose(const struct lum__plan_options *options, struct lum__plan *plan)
{
    struct lum__replay *replay = plan->replay;
    bool is_asked = options->choice == LUM__CHOICE_KEEP || options->choice == LUM__CHOICE_DROP;
    if (!is_asked || plan->decision.verdict != LUM__VERDICT_REFUSE) return;
    bool drops = options->choice == LUM__CHOICE_DROP && first_bad_commit(replay) < replay->commit_count;
    plan->decision.verdict = drops ? LUM__VERDICT_CUT_COMMIT : LUM__VERDICT_CUT;
    plan->decision.sentence = drops ? "a person chose: cut before the first commit with a damaged chunk"
                                    : "a person chose: go on with what the log gives, damaged chunks stay";
    /* What is damaged cannot be moved; it stays where it is, as damage. */
    for (size_t i = 0; i < replay->commit_count; i++) replay->commits[i].is_doubtful &= !replay->commits[i].is_bad;
}

/* Why a segment that the log needs cannot be used. False if it can. */
static bool blame_segment(struct lum__fs *fs, const uint8_t store_id[16], uint64_t number, struct lum__error *out)
{
    struct lum__wal_segment segment;
    struct lum__file *file = NULL;
    lum_status status = lum__log_segment_open(fs, store_id, number, LUM__OPEN_READ, &segment, &file);
    *out = *lum__error_last();
    (void)lum__file_close(file);
    return is_damage(status) || status == LUM_ERR_UNSUPPORTED;
}

lum_status lum__plan_blame_log(struct lum__fs *fs, const uint8_t store_id[16], const struct lum__wal_evidence *seen,
                               const struct lum__replay *replay, lum_status status, const char *sentence)
{
    char path[LUM__PATH_BYTES_MAX];
    struct lum__error cause;
    lum__wal_path(seen->position.segment, path);
    bool is_segment = (seen->stop == LUM__WAL_STOP_NO_SEGMENT || seen->stop == LUM__WAL_STOP_UNSUPPORTED) &&
                      (blame_segment(fs, store_id, seen->position.segment, &cause) ||
                       (replay->successor != 0 && blame_segment(fs, store_id, replay->successor, &cause)));
    if (is_segment)
        return lum__fail_at(__FILE__, __LINE__, status, 0, cause.file, cause.offset, cause.condition, "%s; %s",
                            cause.message, sentence);
    if (seen->stop == LUM__WAL_STOP_NO_SEGMENT && replay->successor != 0) lum__wal_path(replay->successor, path);
    uint64_t offset = seen->stop == LUM__WAL_STOP_NO_SEGMENT ? 80 : seen->position.offset;
    return lum__fail_at(__FILE__, __LINE__, status, 0, path, offset, seen->condition, "%s; %s", seen->message,
                        sentence);
}

/* The stop as an error, where it is one. */
static void note_log_problem(struct lum__fs *fs, struct lum__plan *plan)
{
    const struct lum__wal_evidence *seen = &plan->evidence;
    enum lum__verdict verdict = plan->decision.verdict;
    if (plan->replay->is_broken) note_problem(plan, &plan->replay->problem);
    if (verdict != LUM__VERDICT_REFUSE && verdict != LUM__VERDICT_UNSUPPORTED) return;
    if (plan->problem.status != LUM_OK || seen->stop == LUM__WAL_STOP_LIMIT) return;
    lum_status status = verdict == LUM__VERDICT_UNSUPPORTED ? LUM_ERR_UNSUPPORTED : LUM_ERR_CORRUPT;
    status = lum__plan_blame_log(fs, plan->state.store_id, seen, plan->replay, status, plan->decision.sentence);
    (void)status;
    note_problem(plan, lum__error_last());
}

/* Where the log ends for this store from now on, and what of it counts. */
static lum_status take_content(struct lum__plan *plan)
{
    plan->end = plan->evidence.position;
    plan->commit_count = plan->replay->commit_count;
    if (plan->decision.verdict == LUM__VERDICT_CUT && plan->replay->is_broken) plan->end = plan->replay->broken_before;
    if (plan->decision.verdict == LUM__VERDICT_CUT_COMMIT) {
        plan->commit_count = first_bad_commit(plan->replay);
        LUM_ASSERT(plan->commit_count < plan->replay->commit_count);
        plan->end = plan->replay->commits[plan->commit_count].before;
    }
    uint64_t durable = highest_watermark(plan);
    if (durable < plan->checkpoint.replay.sequence) durable = plan->checkpoint.replay.sequence;
    if (durable > plan->end.sequence || plan->decision.verdict == LUM__VERDICT_CLEAN) durable = plan->end.sequence;
    plan->durable_sequence = durable;
    return lum__replay_publish(plan->replay, 0, plan->commit_count, plan->catalogue);
}

/* ------------------------------------------------------------------------------------------------- numbers and report
 */

static lum_status note_data_name(void *context, const char *name)
{
    uint64_t *next = context, number;
    if (lum__name_number(name, "", ".seg", &number) && number < UINT64_MAX && number >= *next) *next = number + 1;
    return LUM_OK;
}

/* A number is never used twice, whatever of it is left. */
static lum_status find_next_numbers(struct lum__fs *fs, struct lum__plan *plan)
{
    plan->next_data_segment = plan->checkpoint.next_data_segment;
    if (plan->replay->data_segment_max >= plan->next_data_segment)
        plan->next_data_segment = plan->replay->data_segment_max + 1;
    lum_status status = lum__fs_list(fs, "data", note_data_name, &plan->next_data_segment);
    if (status != LUM_ERR_NOT_FOUND) LUM_TRY(status);
    plan->next_wal_segment = plan->checkpoint.next_wal_segment;
    if (plan->evidence.next_segment > plan->next_wal_segment) plan->next_wal_segment = plan->evidence.next_segment;
    if (plan->state.is_clean && plan->state.clean_segment >= plan->next_wal_segment)
        plan->next_wal_segment = plan->state.clean_segment + 1;
    return LUM_OK;
}

/* Adds a sentence to the report's details, cut at their end. */
__attribute__((format(printf, 2, 3))) static void add_detail(lum_recovery_data *report, const char *format, ...)
{
    size_t used = strlen(report->error_details), room = sizeof report->error_details;
    va_list arguments;
    if (used > 0 && used + 3 < room) {
        memcpy(report->error_details + used, "; ", 3);
        used += 2;
    }
    va_start(arguments, format);
    vsnprintf(report->error_details + used, room - used, format, arguments);
    va_end(arguments);
}

static void explain(struct lum__plan *plan)
{
    if (plan->decision.verdict != LUM__VERDICT_CLEAN)
        add_detail(&plan->report, "row %c: %s", plan->decision.row, plan->decision.sentence);
    if (plan->problem.status != LUM_OK) add_detail(&plan->report, "%s: %s", plan->problem.file, plan->problem.message);
    if (plan->fell_back)
        add_detail(&plan->report, "%s could not be used (%s); checkpoint-%" PRIu64 " and the log behind it were",
                   plan->checkpoint_problem.file, plan->checkpoint_problem.message, plan->checkpoint.number);
}

static void fill_report(const struct lum__plan_options *options, struct lum__plan *plan)
{
    lum_recovery_data *report = &plan->report;
    const struct lum__replay *replay = plan->replay;
    bool is_unclean = !plan->state.is_clean;
    report->state = is_unclean && !options->writer_alive && plan->state.state != LUM_STATE_FAILED
                        ? LUM_STATE_CRASH_DETECTED
                        : plan->state.state;
    report->crash_detected = is_unclean && !options->writer_alive;
    report->last_checkpoint_sequence = plan->checkpoint.replay.sequence;
    report->last_sequence = plan->end.sequence;
    report->wal_records_replayed = replay->record_count;
    report->transactions_committed = plan->commit_count;
    report->verdict = plan->decision.row;
    lum__wal_path(plan->evidence.position.segment, report->wal_path);
    if (report->data_path[0] == 0) snprintf(report->data_path, sizeof report->data_path, "data");
    explain(plan);
    if (!report->crash_detected) return;
    report->transactions_rolled_back = replay->open_count + (replay->commit_count - plan->commit_count);
    bool is_repeated = plan->state.state == LUM_STATE_RECOVERING || plan->state.state == LUM_STATE_CRASH_DETECTED;
    report->crash_timestamp =
        is_repeated ? plan->state.crash_timestamp : plan->state.timestamp; /* of the crash, not of a recovery */
    if (replay->last_timestamp > report->crash_timestamp) report->crash_timestamp = replay->last_timestamp;
    if (plan->decision.verdict == LUM__VERDICT_CUT) report->tail_bytes_cut = plan->evidence.tail_bytes;
    if (plan->decision.verdict == LUM__VERDICT_CUT_COMMIT)
        report->tail_bytes_cut =
            replay->log_bytes - replay->commits[plan->commit_count].log_bytes_before + plan->evidence.tail_bytes;
    report->unproven_tail = report->tail_bytes_cut > 0 || replay->last_content_sequence > plan->durable_sequence;
}

/* ------------------------------------------------------------------------------------------------------ the whole plan
 */

lum_status lum__plan_make_under(struct lum__fs *fs, const struct lum__plan_options *options,
                                const struct lum__state *state, struct lum__plan *out)
{
    lum_status status = LUM_OK;
    uint64_t start = lum__clock_monotonic_ns();
    memset(out, 0, sizeof *out);
    out->state = *state;
    out->writer_alive = options->writer_alive;
    out->report = (lum_recovery_data)LUM_RECOVERY_INIT;
    out->report.attempts = state->attempts;
    out->report.max_recovery_attempts = state->attempts_max;
    out->report.auto_recovery_enabled = true;
    out->report.recovery_timestamp = state->recovery_timestamp;
    LUM_TRY_OUT(choose_checkpoint(fs, out));
    LUM_TRY_OUT(check_state_is_current(out));
    LUM_TRY_OUT(read_log(fs, options, out));
    LUM_TRY_OUT(check_state_is_current(out));
    check_checkpoint_is_newest(options, out);
    LUM_TRY_OUT(check_commits(fs, options, out));
    decide(out);
    choose(options, out);
    note_log_problem(fs, out);
    LUM_TRY_OUT(take_content(out));
    LUM_TRY_OUT(find_next_numbers(fs, out));
    out->needs_recovery = out->decision.verdict != LUM__VERDICT_CLEAN && !options->writer_alive;
    fill_report(options, out);
    out->report.recovery_time_ns = lum__clock_monotonic_ns() - start;
out:
    if (status != LUM_OK) {
        struct lum__error cause = *lum__error_last();
        lum__plan_fini(out);
        lum__error_restore(&cause);
    }
    return status;
}

/* Could a writer that works, opened or closed meanwhile have made this plan fail? Only readers meet that. */
static bool may_be_a_race(struct lum__fs *fs, const struct lum__plan_options *options, const struct lum__plan *plan,
                          const struct lum__state *before, lum_status status)
{
    struct lum__state now;
    bool is_refused = status == LUM_OK && plan->decision.verdict == LUM__VERDICT_REFUSE;
    bool is_bad = is_damage(status) || is_refused || (status == LUM_OK && plan->fell_back);
    if (!options->for_reading || !is_bad) return false;
    if (options->writer_alive) return true;
    return lum__state_read(fs, &now) == LUM_OK && (now.epoch != before->epoch || now.timestamp != before->timestamp);
}

/* Is a writer at work on the log? Asked after STATE was read, for one may have come just before that. While one recovers
 * the store, nothing is written to the log yet: what is there is what the crash left, and judged as such. */
static lum_status look_for_writer(const struct lum__state *state, struct lum__plan_options *options)
{
    if (!options->for_reading) return LUM_OK;
    if (!options->writer_alive && options->lock_file != NULL)
        LUM_TRY(lum__file_lock_holder(options->lock_file, LUM__LOCK_BYTE_WRITER, &options->writer_alive));
    if (state->state == LUM_STATE_RECOVERING) options->writer_alive = false;
    return LUM_OK;
}

lum_status lum__plan_make(struct lum__fs *fs, const struct lum__plan_options *options, struct lum__plan *out)
{
    for (int tries = 1;; tries++) {
        struct lum__plan_options now = *options;
        struct lum__state state;
        memset(out, 0, sizeof *out);
        LUM_TRY(lum__state_read(fs, &state));
        LUM_TRY(look_for_writer(&state, &now));
        lum_status status = lum__plan_make_under(fs, &now, &state, out);
        struct lum__error cause = *lum__error_last();
        if (tries == RACE_TRIES_MAX || !may_be_a_race(fs, &now, out, &state, status)) {
            lum__error_restore(&cause);
            return status;
        }
        if (status == LUM_OK) lum__plan_fini(out);
        pause_ns(RACE_PAUSE_NS);
    }
}

void lum__plan_fini(struct lum__plan *plan)
{
    lum__replay_destroy(plan->replay);
    lum__checkpoint_fini(&plan->checkpoint);
    if (plan->catalogue != NULL) lum__catalogue_destroy(plan->catalogue);
    memset(plan, 0, sizeof *plan);
}
