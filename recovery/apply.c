/* recovery/apply.c - opens a locked store for writing, and recovers it first where that is needed. Steps, with numbers:
 * recovery/README.md "Opening for writing" and "Recovery". Every step may be the last one of this process: the next
 * opening begins again, and finds either what was there before or what the step made. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/status.h"
#include "recovery/parts.h"
#include "recovery/recover.h"
#include "recovery/rewrite.h"
#include "storage/header.h"
#include "storage/segment.h"

/* What a recovery reads and checks a second, where this opening had none that was long enough to measure: what an old hard disk reads in sequence. */
#define RECOVERY_BYTES_PER_SECOND 200000000u
#define MEASURED_BYTES_MIN (64u << 20)

enum { DATA_SEGMENT_BYTES_MAX = 1 << 30, CHECKPOINTS_LISTED_MAX = 64, LEFTOVERS_MAX = 64 };

struct opening {
    struct lum__fs *fs;
    const lum_options *options;
    struct lum__plan_options plan_options;
    struct lum__plan plan;
    struct lum__parts *parts;
    struct lum__chunk_entry *kept; /* see keep_places */
    size_t kept_count;
};

static uint64_t data_segment_bytes_max(const lum_options *options)
{
    return options->data_segment_bytes_max ? options->data_segment_bytes_max : DATA_SEGMENT_BYTES_MAX;
}

/* -------------------------------------------------------------------------------------------------------- small steps
 */

struct leftovers {
    char names[LEFTOVERS_MAX][LUM__PATH_BYTES_MAX];
    size_t count;
};

static lum_status note_leftover(void *context, const char *name)
{
    struct leftovers *leftovers = context;
    size_t length = strlen(name);
    bool is_ours = strncmp(name, "STATE", 5) == 0 || strncmp(name, "checkpoint-", 11) == 0;
    if (!is_ours || length < 4 || length >= LUM__PATH_BYTES_MAX || strcmp(name + length - 4, ".tmp") != 0)
        return LUM_OK;
    if (leftovers->count < LEFTOVERS_MAX) memcpy(leftovers->names[leftovers->count++], name, length + 1);
    return LUM_OK;
}

/* Replacements that were not finished. */
static lum_status remove_leftovers(struct lum__fs *fs)
{
    struct leftovers leftovers = {.count = 0};
    LUM_TRY(lum__fs_list(fs, "", note_leftover, &leftovers));
    for (size_t i = 0; i < leftovers.count; i++) {
        lum_status status = lum__fs_unlink(fs, leftovers.names[i]);
        if (status != LUM_ERR_NOT_FOUND) LUM_TRY(status);
    }
    return LUM_OK;
}

/* A block is held back while recovery fills the disk, so that STATE can say how it ended. It bears the name of a
 * replacement of STATE: whoever finds it removes it. */
static lum_status hold_room_for_state(struct lum__fs *fs)
{
    static const uint8_t zeros[LUM__BLOCK_BYTES];
    struct lum__file *file = NULL;
    LUM_TRY(lum__fs_open_file(fs, "STATE.tmp", LUM__OPEN_WRITE | LUM__OPEN_CREATE, &file));
    lum_status status = lum__file_write(file, zeros, sizeof zeros, 0);
    lum_status closed = lum__file_close(file);
    return status != LUM_OK ? status : closed;
}

static lum_status release_room_for_state(struct lum__fs *fs)
{
    lum_status status = lum__fs_unlink(fs, "STATE.tmp");
    if (status == LUM_OK)
        status =
            lum__fs_sync_dir(fs, ""); /* the space of an unlinked file is free for sure once its folder is synced */
    return status == LUM_ERR_NOT_FOUND ? LUM_OK : status;
}

/* Chunks of the older checkpoint that a fold has replaced since: their extents stay. */
static lum_status adopt_replaced(struct opening *opening, struct lum__catalogue *older)
{
    struct lum__parts *parts = opening->parts;
    struct lum__catalogue *newest = parts->catalogue != NULL ? parts->catalogue : opening->plan.catalogue;
    struct lum__chunk_entry *chunks = NULL;
    size_t count = 0;
    const struct lum__catalogue_version *old = lum__catalogue_pin(older), *new = lum__catalogue_pin(newest);
    lum_status status = lum__catalogue_only_in(old, new, &chunks, &count);
    void *array = parts->replaced;
    if (status == LUM_OK) status = lum__grow(&array, &parts->replaced_capacity, count, sizeof *parts->replaced);
    if (status == LUM_OK) parts->replaced = array;
    for (size_t i = 0; i < count && status == LUM_OK; i++)
        parts->replaced[parts->replaced_count++] = (struct lum__replaced_extent){chunks[i].segment, chunks[i].offset, chunks[i].byte_count,
                                                                                 parts->checkpoint_number, 0};
    free(chunks);
    lum__catalogue_unpin(older, old);
    lum__catalogue_unpin(newest, new);
    return status;
}

/* The plan's checkpoint becomes the newest of the two kept ones; the next older one that is valid, the older. */
static lum_status adopt_checkpoints(struct opening *opening)
{
    struct lum__parts *parts = opening->parts;
    const struct lum__plan *plan = &opening->plan;
    uint64_t numbers[CHECKPOINTS_LISTED_MAX];
    size_t count = 0;
    parts->checkpoint_number = plan->checkpoint.number;
    parts->checkpoint_position = plan->checkpoint.replay;
    parts->checkpoint_number_max = plan->checkpoint_newest_found;
    parts->checkpoint_commit_sequence =
        0; /* what this opening publishes only adds to the catalogue: checked from here on */
    parts->checkpoint_lum_count = 0;
    LUM_TRY(lum__checkpoint_list(opening->fs, numbers, CHECKPOINTS_LISTED_MAX, &count));
    for (size_t i = 0; i < count; i++) {
        struct lum__checkpoint older = {0};
        struct lum__catalogue *catalogue = NULL;
        if (numbers[i] >= plan->checkpoint.number) continue;
        LUM_TRY(lum__catalogue_create(&catalogue));
        lum_status status = lum__checkpoint_read(opening->fs, numbers[i], parts->store_id, &older, catalogue);
        if (status == LUM_OK) {
            parts->older_checkpoint_number = older.number;
            parts->older_checkpoint_position = older.replay;
            status = adopt_replaced(opening, catalogue);
        }
        lum__checkpoint_fini(&older);
        lum__catalogue_destroy(catalogue);
        if (status == LUM_OK) return LUM_OK;
        if (status != LUM_ERR_CORRUPT && status != LUM_ERR_FOREIGN && status != LUM_ERR_NOT_FOUND) return status;
    }
    return LUM_OK;
}

static void remember_content(struct lum__parts *parts)
{
    const struct lum__catalogue_version *version = lum__catalogue_pin(parts->catalogue);
    parts->checkpoint_commit_sequence = version->last_commit_sequence;
    parts->checkpoint_lum_count = version->lum_count;
    lum__catalogue_unpin(parts->catalogue, version);
}

/* Chunks that the catalogue does not have (any more) where the old log names them: those that R4 moves, and whole commits that are cut. Until the
 * checkpoint of R6 is there, another recovery may have to read them just there, so its fold must not write over them. */
static lum_status keep_places(struct opening *opening)
{
    const struct lum__plan *plan = &opening->plan;
    void *array = NULL;
    size_t capacity = 0;
    for (size_t i = 0; i < plan->replay->commit_count; i++) {
        const struct lum__replay_commit *commit = &plan->replay->commits[i];
        bool is_kept = i < plan->commit_count ? commit->is_doubtful : !commit->is_bad;
        if (!is_kept || commit->chunk_count == 0) continue;
        LUM_TRY(lum__grow(&array, &capacity, opening->kept_count + commit->chunk_count, sizeof *opening->kept));
        opening->kept = array;
        memcpy(opening->kept + opening->kept_count, commit->chunks, commit->chunk_count * sizeof *opening->kept);
        opening->kept_count += commit->chunk_count;
    }
    return LUM_OK;
}

static void release_places(struct opening *opening)
{
    for (size_t i = 0; i < opening->kept_count; i++) {
        const struct lum__chunk_entry *chunk = &opening->kept[i];
        lum__segments_release(opening->parts->segments, chunk->segment, chunk->offset, chunk->byte_count);
    }
}

static lum_status open_segments(struct opening *opening)
{
    struct lum__parts *parts = opening->parts;
    const struct lum__catalogue_version *version = lum__catalogue_pin(parts->catalogue);
    struct lum__catalogue_version used = *version;
    void *memory = NULL;
    lum_status status = lum__alloc((version->chunk_count + opening->kept_count + parts->replaced_count) * sizeof *opening->kept, &memory);
    if (status == LUM_OK) {
        struct lum__chunk_entry *chunks = memory;
        if (version->chunk_count > 0) memcpy(chunks, version->chunks, version->chunk_count * sizeof *chunks);
        if (opening->kept_count > 0) memcpy(chunks + version->chunk_count, opening->kept, opening->kept_count * sizeof *chunks);
        used.chunks = chunks;
        used.chunk_count += opening->kept_count;
        for (size_t i = 0; i < parts->replaced_count; i++)
            chunks[used.chunk_count++] = (struct lum__chunk_entry){
                .segment = parts->replaced[i].segment, .offset = parts->replaced[i].offset, .byte_count = parts->replaced[i].byte_count};
        status = lum__segments_open(opening->fs, parts->store_id, parts->epoch, data_segment_bytes_max(opening->options), &used,
                                    opening->plan.next_data_segment, &parts->segments);
    }
    free(memory);
    lum__catalogue_unpin(parts->catalogue, version);
    return status;
}

/* For the history in STATE; written with it. */
static void note_recovery(struct opening *opening, uint8_t outcome)
{
    const lum_recovery_data *report = &opening->parts->report;
    struct lum__recovery_note note = {.recovery_timestamp = lum__clock_wall_ns(),
                                      .crash_timestamp = report->crash_timestamp,
                                      .duration_ns = report->recovery_time_ns,
                                      .last_sequence = report->last_sequence,
                                      .transactions_committed = report->transactions_committed,
                                      .transactions_rolled_back = report->transactions_rolled_back,
                                      .tail_bytes_cut = report->tail_bytes_cut,
                                      .attempts = opening->parts->state.attempts,
                                      .row = report->verdict,
                                      .choice = (uint8_t)opening->plan_options.choice,
                                      .outcome = outcome};
    lum__state_note(&opening->parts->state, &note);
}

/* STATE says that no writer gets in, and why. A failure to say so changes nothing: the next opening finds out again. */
static lum_status fail_store(struct opening *opening, const struct lum__error *problem, const char *sentence)
{
    struct lum__state *state = &opening->parts->state;
    lum_recovery_data *report = &opening->parts->report;
    char why[1024];
    if (problem->status != LUM_OK && problem->file[0] != 0 && problem->offset != LUM_NO_OFFSET) {
        snprintf(why, sizeof why, "%s, offset %" PRIu64 ": %s", problem->file, problem->offset, problem->message);
    } else if (problem->status != LUM_OK) {
        snprintf(why, sizeof why, "%s%s%s", problem->file, problem->file[0] ? ": " : "", problem->message);
    } else {
        snprintf(why, sizeof why, "%s", sentence);
    }
    state->state = LUM_STATE_FAILED;
    note_recovery(opening, LUM__RECOVERY_FAILED);
    lum__state_explain(state, why);
    lum_status status = lum__state_write(opening->fs, state);
    (void)status;
    report->state = LUM_STATE_FAILED;
    snprintf(report->error_details, sizeof report->error_details, "%.*s", (int)sizeof report->error_details - 1, why);
    return lum__fail_at(__FILE__, __LINE__, LUM_ERR_NEEDS_PERSON, 0, problem->file, problem->offset, problem->condition,
                        "the store needs a person's decision: %s (what is intact can be read; `lum verify` shows the "
                        "damage, `lum recover --guided` the choices)",
                        why);
}

/* Damage of the store itself is for a person; failures of the machine are passed up as they are. */
static lum_status judge_failed_plan(struct opening *opening, lum_status status)
{
    struct lum__error problem = *lum__error_last();
    if (status != LUM_ERR_CORRUPT && status != LUM_ERR_FOREIGN) return status;
    return fail_store(opening, &problem, "");
}

/* --------------------------------------------------------------------------------------------------- a clean store
 * (O3-O6) */

static lum_status take_parts(struct opening *opening)
{
    struct lum__parts *parts = opening->parts;
    struct lum__wal_writer_options writer_options;
    parts->catalogue = opening->plan.catalogue;
    opening->plan.catalogue = NULL;
    LUM_TRY(adopt_checkpoints(opening));
    LUM_TRY(open_segments(opening));
    lum__parts_writer_options(opening->fs, opening->options, &parts->state, opening->plan.next_wal_segment,
                              &writer_options);
    return lum__wal_writer_resume(&writer_options, &opening->plan.end, &parts->writer);
}

/* The opening failed before it wrote a byte into the log: the clean mark still holds. */
static void restore_clean_mark(struct opening *opening)
{
    struct lum__error cause = *lum__error_last();
    opening->parts->state.is_clean = true; /* its end was kept beside it */
    lum_status status = lum__state_write(opening->fs, &opening->parts->state);
    (void)status; /* then the next opening recovers */
    lum__error_restore(&cause);
}

static lum_status take_over_clean(struct opening *opening)
{
    struct lum__parts *parts = opening->parts;
    parts->state.epoch++;
    parts->state.state = LUM_STATE_NORMAL;
    parts->state.is_clean = false;
    parts->state.attempts = 0;
    lum__state_explain(&parts->state, "");
    parts->epoch = parts->state.epoch;
    LUM_TRY(lum__state_write(opening->fs, &parts->state)); /* before anything else is written */
    LUM_TRY(remove_leftovers(opening->fs));
    lum_status status = take_parts(opening);
    if (status != LUM_OK) {
        restore_clean_mark(opening);
        return status;
    }
    if (opening->plan.fell_back) LUM_TRY(lum__parts_take_checkpoint(parts, NULL, 0)); /* two good ones again */
    remember_content(parts);
    return LUM_OK;
}

static lum_status open_clean(struct opening *opening)
{
    struct lum__parts *parts = opening->parts;
    lum_status status = lum__plan_make(opening->fs, &opening->plan_options, &opening->plan);
    if (status != LUM_OK) return judge_failed_plan(opening, status);
    parts->report = opening->plan.report;
    switch (opening->plan.decision.verdict) {
    case LUM__VERDICT_CLEAN: return take_over_clean(opening);
    case LUM__VERDICT_UNSUPPORTED: return lum__error_restore(&opening->plan.problem), LUM_ERR_UNSUPPORTED;
    default: return fail_store(opening, &opening->plan.problem, opening->plan.decision.sentence);
    }
}

/* -------------------------------------------------------------------------------------------------- a crashed store
 * (R1-R8) */

/* What the accepted log names was written; now it is also synced, before anything relies on it. (The log itself:
 * lum__wal_writer_start.) */
static lum_status sync_touched_data(struct opening *opening)
{
    const struct lum__replay *replay = opening->plan.replay;
    uint64_t last = 0; /* chunks of a commit come segment by segment: nearly every repetition is caught by this alone */
    for (size_t i = 0; i < opening->plan.commit_count; i++) {
        for (size_t j = 0; j < replay->commits[i].chunk_count; j++) {
            struct lum__file *file = NULL;
            char path[64];
            if (replay->commits[i].chunks[j].segment == last) continue;
            last = replay->commits[i].chunks[j].segment;
            lum__segment_path(last, path);
            LUM_TRY(lum__fs_open_file(opening->fs, path, LUM__OPEN_WRITE, &file));
            lum_status status = lum__file_sync(file);
            lum_status closed = lum__file_close(file);
            LUM_TRY(status);
            LUM_TRY(closed);
        }
    }
    return lum__fs_sync_dir(opening->fs, "data");
}

/* The catalogue anew, with the entries of moved chunks. */
static lum_status rebuild_catalogue(struct opening *opening)
{
    struct lum__plan *plan = &opening->plan;
    struct lum__checkpoint checkpoint = {0};
    struct lum__catalogue *catalogue = NULL;
    LUM_TRY(lum__catalogue_create(&catalogue));
    lum_status status =
        lum__checkpoint_read(opening->fs, plan->checkpoint.number, plan->state.store_id, &checkpoint, catalogue);
    if (status == LUM_OK) status = lum__replay_publish(plan->replay, 0, plan->commit_count, catalogue);
    lum__checkpoint_fini(&checkpoint);
    if (status != LUM_OK) {
        lum__catalogue_destroy(catalogue);
        return status;
    }
    lum__catalogue_destroy(plan->catalogue);
    plan->catalogue = catalogue;
    return LUM_OK;
}

static lum_status make_durable(struct opening *opening)
{
    struct lum__parts *parts = opening->parts;
    struct lum__wal_writer_options writer_options;
    uint64_t rewritten = 0;
    LUM_TRY(sync_touched_data(opening)); /* R3 */
    LUM_TRY(keep_places(opening));
    LUM_TRY(adopt_checkpoints(opening));
    LUM_TRY(lum__rewrite_doubtful(opening->fs, parts, data_segment_bytes_max(opening->options), &opening->plan, &rewritten)); /* R4 */
    if (rewritten > 0) LUM_TRY(rebuild_catalogue(opening));
    parts->catalogue = opening->plan.catalogue;
    opening->plan.catalogue = NULL;
    LUM_TRY(open_segments(opening));
    lum__parts_writer_options(opening->fs, opening->options, &parts->state, opening->plan.next_wal_segment,
                              &writer_options);
    LUM_TRY(lum__wal_writer_start(&writer_options, &opening->plan.end,
                                  &parts->writer));      /* R5: the cut stands in its header */
    LUM_TRY(lum__parts_take_checkpoint(parts, NULL, 0)); /* R6 */
    release_places(opening);
    remember_content(parts);
    return LUM_OK;
}

static lum_status recover(struct opening *opening)
{
    struct lum__parts *parts = opening->parts;
    struct lum__plan *plan = &opening->plan;
    lum_status status = lum__plan_make_under(opening->fs, &opening->plan_options, &parts->state, plan); /* R2 */
    if (status != LUM_OK) return judge_failed_plan(opening, status);
    parts->report = plan->report;
    if (plan->decision.verdict == LUM__VERDICT_UNSUPPORTED)
        return lum__error_restore(&plan->problem), LUM_ERR_UNSUPPORTED;
    if (plan->decision.verdict == LUM__VERDICT_REFUSE)
        return fail_store(opening, &plan->problem, plan->decision.sentence);
    LUM_ASSERT(plan->decision.verdict != LUM__VERDICT_CLEAN); /* STATE is not */
    LUM_TRY(remove_leftovers(opening->fs));
    LUM_TRY(hold_room_for_state(opening->fs));
    LUM_TRY(make_durable(opening));
    LUM_TRY(release_room_for_state(opening->fs));
    parts->state.state = LUM_STATE_RECOVERED; /* R7 */
    note_recovery(opening, LUM__RECOVERY_SUCCEEDED);
    parts->state.attempts = 0;
    parts->state.crash_timestamp = plan->report.crash_timestamp;
    parts->state.recovery_timestamp = lum__clock_wall_ns();
    parts->state.recovery_count++;
    lum__state_explain(&parts->state, plan->report.error_details);
    LUM_TRY(lum__state_write(opening->fs, &parts->state));
    parts->report.state = LUM_STATE_RECOVERED;
    parts->report.recovery_timestamp = parts->state.recovery_timestamp;
    return LUM_OK;
}

/* What fails for want of something that others can provide is no attempt. */
static bool costs_no_attempt(lum_status status)
{
    return status == LUM_ERR_NO_SPACE || status == LUM_ERR_NO_MEMORY || status == LUM_ERR_MEMORY_LIMIT ||
           status == LUM_ERR_PERMISSION || status == LUM_ERR_UNSUPPORTED || status == LUM_ERR_FOREIGN;
}

/* A full disk: what this attempt made goes, so that STATE has room to take the attempt back. The new log segment too,
 * unless a checkpoint begins in it already; nothing but its own header says the cut. */
static void give_back_space(struct opening *opening, lum_status why)
{
    struct lum__parts *parts = opening->parts;
    struct lum__log_position end = {0};
    char path[64];
    if (parts->writer != NULL) lum__wal_position(parts->writer, &end);
    bool is_needed = end.segment == 0 || end.segment == parts->checkpoint_position.segment;
    lum__parts_abandon(parts);
    if (why != LUM_ERR_NO_SPACE) return;
    lum_status status = LUM_OK;
    if (!is_needed) {
        lum__wal_path(end.segment, path);
        status = lum__fs_unlink(opening->fs, path);
    }
    if (status == LUM_OK) status = lum__fs_sync_dir(opening->fs, "wal");
    if (status == LUM_OK) status = lum__fs_sync_dir(opening->fs, "data");
    if (status == LUM_OK) status = release_room_for_state(opening->fs);
    (void)status; /* then the attempt stays counted */
}

static void note_failed_attempt(struct opening *opening, lum_status status, uint32_t attempts_before)
{
    struct lum__state *state = &opening->parts->state;
    struct lum__error cause = *lum__error_last();
    if (status == LUM_ERR_NEEDS_PERSON || status == LUM_ERR_SYNC) return; /* said already; or nothing more is written */
    give_back_space(opening, status);
    state->state = LUM_STATE_CRASH_DETECTED;
    if (costs_no_attempt(status)) state->attempts = attempts_before;
    lum__state_explain(state, cause.message);
    lum_status written = lum__state_write(opening->fs, state);
    (void)written; /* then the attempt stays counted */
    lum__error_restore(&cause);
}

/* Everything between the start and the end of the recovery counts, its syncs and its checkpoint too. */
static void measure_recovery(struct opening *opening, uint64_t elapsed_ns)
{
    const struct lum__plan *plan = &opening->plan;
    uint64_t bytes = plan->replay->log_bytes;
    for (size_t i = 0; i < plan->commit_count; i++) {
        for (size_t j = 0; j < plan->replay->commits[i].chunk_count; j++) bytes += plan->replay->commits[i].chunks[j].byte_count;
    }
    if (bytes >= MEASURED_BYTES_MIN && elapsed_ns > 0)
        opening->parts->recovery_bytes_per_second = (uint64_t)((double)bytes * 1e9 / (double)elapsed_ns) + 1;
}

static lum_status open_after_crash(struct opening *opening)
{
    struct lum__parts *parts = opening->parts;
    struct lum__state *state = &parts->state;
    uint32_t attempts_before = state->attempts;
    uint64_t start = lum__clock_monotonic_ns();
    parts->report.state = LUM_STATE_CRASH_DETECTED;
    parts->report.crash_detected = true;
    if (opening->options->no_recovery)
        return lum__fail(LUM_ERR_NEEDS_RECOVERY, "the store was not closed cleanly and recovery was not wanted");
    if (state->attempts >= state->attempts_max) {
        struct lum__error problem = {.status = LUM_OK, .offset = LUM_NO_OFFSET};
        char sentence[320];
        snprintf(sentence, sizeof sentence, "recovery did not finish in %" PRIu32 " attempts%s%s", state->attempts,
                 state->error_details[0] ? "; last: " : "", state->error_details);
        return fail_store(opening, &problem, sentence);
    }
    if (state->state != LUM_STATE_RECOVERING && state->state != LUM_STATE_CRASH_DETECTED)
        state->crash_timestamp = state->timestamp;
    state->attempts++; /* R1: counted, and durable, before it is tried */
    state->state = LUM_STATE_RECOVERING;
    state->epoch++;
    parts->epoch = state->epoch;
    LUM_TRY(lum__state_write(opening->fs, state));
    lum_status status = recover(opening);
    if (status != LUM_OK) note_failed_attempt(opening, status, attempts_before);
    parts->report.attempts = status == LUM_OK ? attempts_before + 1 : state->attempts;
    parts->report.max_recovery_attempts = state->attempts_max;
    parts->report.recovery_time_ns = lum__clock_monotonic_ns() - start;
    if (status == LUM_OK) measure_recovery(opening, parts->report.recovery_time_ns);
    return status;
}

/* ------------------------------------------------------------------------------------------------------------ the
 * opening */

static lum_status open_locked(struct opening *opening)
{
    struct lum__parts *parts = opening->parts;
    struct lum__state *state = &parts->state;
    LUM_TRY(lum__state_read(opening->fs, state)); /* O2 */
    LUM_TRY(lum__state_check_writable(state));
    memcpy(parts->store_id, state->store_id, sizeof parts->store_id);
    if (opening->options->max_recovery_attempts != 0) state->attempts_max = opening->options->max_recovery_attempts;
    parts->report.state = state->state;
    parts->report.attempts = state->attempts;
    parts->report.max_recovery_attempts = state->attempts_max;
    parts->report.crash_timestamp = state->crash_timestamp;
    parts->report.recovery_timestamp = state->recovery_timestamp;
    if (state->state == LUM_STATE_FAILED) {
        snprintf(parts->report.error_details, sizeof parts->report.error_details, "%s", state->error_details);
        return lum__fail(LUM_ERR_NEEDS_PERSON,
                         "an earlier recovery gave up: %s (what is intact can be read; `lum recover` tries again, `lum "
                         "verify` shows the damage)",
                         state->error_details);
    }
    return state->is_clean ? open_clean(opening) : open_after_crash(opening);
}

lum_status lum__parts_open(struct lum__fs *fs, const lum_options *options, uint32_t workers, uint64_t memory_bytes_max,
                           struct lum__parts *out)
{
    return lum__parts_open_chosen(fs, options, LUM__CHOICE_NONE, workers, memory_bytes_max, out);
}

lum_status lum__parts_open_chosen(struct lum__fs *fs, const lum_options *options, enum lum__choice choice,
                                  uint32_t workers, uint64_t memory_bytes_max, struct lum__parts *out)
{
    struct opening opening = {.fs = fs,
                              .options = options,
                              .plan_options = {.workers = workers,
                                               .memory_bytes_max = memory_bytes_max,
                                               .choice = choice},
                              .parts = out};
    memset(out, 0, sizeof *out);
    out->fs = fs;
    out->report = (lum_recovery_data)LUM_RECOVERY_INIT;
    out->report.auto_recovery_enabled = !options->no_recovery;
    out->wal_segment_bytes = lum__parts_wal_segment_bytes(options);
    out->recovery_bytes_per_second = RECOVERY_BYTES_PER_SECOND;
    out->disk_full = (struct lum__disk_full){options->on_full, options->on_full_context};
    lum_status status = open_locked(&opening);
    out->report.auto_recovery_enabled = !options->no_recovery;
    struct lum__error cause = *lum__error_last();
    lum__plan_fini(&opening.plan);
    free(opening.kept);
    if (status != LUM_OK) {
        lum__parts_abandon(out);
        lum__error_restore(&cause);
    }
    out->may_join = status == LUM_OK;
    return status;
}

lum_status lum__parts_retry(struct lum__fs *fs)
{
    struct lum__state state;
    LUM_TRY(lum__state_read(fs, &state));
    LUM_TRY(lum__state_check_writable(&state));
    if (state.state != LUM_STATE_FAILED) return LUM_OK;
    state.state = state.is_clean ? LUM_STATE_NORMAL : LUM_STATE_CRASH_DETECTED;
    state.attempts = 0;
    return lum__state_write(fs, &state);
}
