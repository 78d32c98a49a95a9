/* recovery/state.c - STATE to and from bytes (format.md section 2), and the lock. */
#include "recovery/state.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/status.h"
#include "storage/header.h"

enum {
    AT_STATE = 80,
    AT_CLEAN = 84,
    AT_ATTEMPTS = 88,
    AT_ATTEMPTS_MAX = 92,
    AT_CLEAN_CHECKPOINT = 96,
    AT_CLEAN_SEGMENT = 104,
    AT_CLEAN_OFFSET = 112,
    AT_CLEAN_SEQUENCE = 120,
    AT_CRASH_TIMESTAMP = 128,
    AT_RECOVERY_TIMESTAMP = 136,
    AT_RECOVERY_COUNT = 144,
    AT_PID = 152,
    AT_ZERO = 160,
    AT_ERROR = 256,
    ERROR_BYTES = 248,
    AT_END_ZERO = 504,
    AT_HISTORY = 512,
    HISTORY_ENTRY_BYTES = 128,
    HISTORY_ENTRY_ZERO = 63,
    AT_HISTORY_END = AT_HISTORY + LUM__STATE_HISTORY_MAX * HISTORY_ENTRY_BYTES,
    AT_HISTORY_CRC = 4092,
    LOCK_TEXT_BYTES = 64,
    LOCK_WAIT_MS = 5000,
    DEAD_WAIT_MS = 1000, /* of a reader, for the last writes of a dead writer */
    LOCK_PAUSE_MS = 20,
};

static const char state_path[] = "STATE";

/* ---------------------------------------------------------------------------------------------------- STATE */

/* The CRC is right, so these bytes were meant: they come from a later version. */
static lum_status unsupported(uint64_t offset, uint32_t condition, const char *what)
{
    return lum__unsupported(state_path, offset, condition, "%s: written by a later version of lum", what);
}

static lum_status check_form(const uint8_t *block)
{
    if (lum__get_u32(block + AT_STATE) > LUM_STATE_FAILED)
        return unsupported(AT_STATE, 8, "the state is not one of 0..4");
    if (lum__get_u32(block + AT_CLEAN) > 1) return unsupported(AT_CLEAN, 8, "the clean mark is neither 0 nor 1");
    if (!lum__is_zero(block + AT_ZERO, AT_ERROR - AT_ZERO))
        return unsupported(AT_ZERO, 6, "reserved bytes are not zero");
    if (!lum__is_zero(block + AT_END_ZERO, 4)) return unsupported(AT_END_ZERO, 6, "reserved bytes are not zero");
    size_t length = strnlen((const char *)block + AT_ERROR, ERROR_BYTES);
    if (!lum__is_zero(block + AT_ERROR + length, ERROR_BYTES - length))
        return unsupported(AT_ERROR + length, 6, "the error details are not zero-padded");
    return LUM_OK;
}

/* Condition 9. */
static lum_status decode_history(const uint8_t *block, struct lum__state *out)
{
    if (lum__is_zero(block + AT_HISTORY, LUM__BLOCK_BYTES - AT_HISTORY)) return LUM_OK;
    if (lum__get_u32(block + AT_HISTORY_CRC) != lum__crc32c(0, block + AT_HISTORY, AT_HISTORY_CRC - AT_HISTORY))
        return lum__corrupt(state_path, AT_HISTORY, 9, "the history in STATE fails its CRC");
    if (!lum__is_zero(block + AT_HISTORY_END, AT_HISTORY_CRC - AT_HISTORY_END))
        return unsupported(AT_HISTORY_END, 9, "bytes behind the history are not zero");
    for (uint32_t i = 0; i < LUM__STATE_HISTORY_MAX; i++) {
        const uint8_t *at = block + AT_HISTORY + (size_t)i * HISTORY_ENTRY_BYTES;
        if (!lum__is_zero(at + HISTORY_ENTRY_ZERO, HISTORY_ENTRY_BYTES - HISTORY_ENTRY_ZERO))
            return unsupported(AT_HISTORY, 9, "reserved bytes of the history are not zero");
        if (lum__get_u64(at) == 0) break;
        out->history[out->history_count++] =
            (struct lum__recovery_note){.recovery_timestamp = lum__get_u64(at),
                                        .crash_timestamp = lum__get_u64(at + 8),
                                        .duration_ns = lum__get_u64(at + 16),
                                        .last_sequence = lum__get_u64(at + 24),
                                        .transactions_committed = lum__get_u64(at + 32),
                                        .transactions_rolled_back = lum__get_u64(at + 40),
                                        .tail_bytes_cut = lum__get_u64(at + 48),
                                        .attempts = lum__get_u32(at + 56),
                                        .row = (char)at[60],
                                        .choice = at[61],
                                        .outcome = at[62]};
    }
    return LUM_OK;
}

static void encode_history(const struct lum__state *state, uint8_t *block)
{
    if (state->history_count == 0) return;
    for (uint32_t i = 0; i < state->history_count; i++) {
        const struct lum__recovery_note *note = &state->history[i];
        uint8_t *at = block + AT_HISTORY + (size_t)i * HISTORY_ENTRY_BYTES;
        lum__put_u64(at, note->recovery_timestamp);
        lum__put_u64(at + 8, note->crash_timestamp);
        lum__put_u64(at + 16, note->duration_ns);
        lum__put_u64(at + 24, note->last_sequence);
        lum__put_u64(at + 32, note->transactions_committed);
        lum__put_u64(at + 40, note->transactions_rolled_back);
        lum__put_u64(at + 48, note->tail_bytes_cut);
        lum__put_u32(at + 56, note->attempts);
        at[60] = (uint8_t)note->row;
        at[61] = note->choice;
        at[62] = note->outcome;
    }
    lum__put_u32(block + AT_HISTORY_CRC, lum__crc32c(0, block + AT_HISTORY, AT_HISTORY_CRC - AT_HISTORY));
}

void lum__state_note(struct lum__state *state, const struct lum__recovery_note *note)
{
    memmove(&state->history[1], &state->history[0], (LUM__STATE_HISTORY_MAX - 1) * sizeof state->history[0]);
    state->history[0] = *note;
    if (state->history[0].recovery_timestamp == 0) state->history[0].recovery_timestamp = 1;
    if (state->history_count < LUM__STATE_HISTORY_MAX) state->history_count++;
}

lum_status lum__state_decode(const uint8_t *bytes, size_t byte_count, struct lum__state *out)
{
    memset(out, 0, sizeof *out);
    if (byte_count != LUM__BLOCK_BYTES)
        return lum__corrupt(state_path, byte_count < LUM__BLOCK_BYTES ? byte_count : LUM__BLOCK_BYTES, 7,
                            "STATE has %zu bytes instead of %d", byte_count, LUM__BLOCK_BYTES);
    struct lum__file_header header;
    LUM_TRY(lum__header_decode(bytes, LUM__FILE_STATE, NULL, 0, state_path, &header));
    if (header.number != 0) return lum__corrupt(state_path, 56, 5, "STATE carries the number of another file");
    LUM_TRY(check_form(bytes));
    memcpy(out->store_id, header.store_id, sizeof out->store_id);
    out->epoch = header.epoch;
    out->timestamp = header.timestamp;
    out->features_ignore = header.features_ignore;
    out->features_read_only = header.features_read_only;
    out->state = (enum lum_store_state)lum__get_u32(bytes + AT_STATE);
    out->is_clean = lum__get_u32(bytes + AT_CLEAN) == 1;
    out->attempts = lum__get_u32(bytes + AT_ATTEMPTS);
    out->attempts_max = lum__get_u32(bytes + AT_ATTEMPTS_MAX);
    out->clean_checkpoint = lum__get_u64(bytes + AT_CLEAN_CHECKPOINT);
    out->clean_segment = lum__get_u64(bytes + AT_CLEAN_SEGMENT);
    out->clean_offset = lum__get_u64(bytes + AT_CLEAN_OFFSET);
    out->clean_sequence = lum__get_u64(bytes + AT_CLEAN_SEQUENCE);
    out->crash_timestamp = lum__get_u64(bytes + AT_CRASH_TIMESTAMP);
    out->recovery_timestamp = lum__get_u64(bytes + AT_RECOVERY_TIMESTAMP);
    out->recovery_count = lum__get_u64(bytes + AT_RECOVERY_COUNT);
    out->pid = lum__get_u64(bytes + AT_PID);
    memcpy(out->error_details, bytes + AT_ERROR, ERROR_BYTES);
    return decode_history(bytes, out);
}

static void encode_state(const struct lum__state *state, uint8_t block[LUM__BLOCK_BYTES])
{
    struct lum__file_header header = {.kind = LUM__FILE_STATE,
                                      .epoch = state->epoch,
                                      .timestamp = state->timestamp,
                                      .features_ignore = state->features_ignore,
                                      .features_read_only = state->features_read_only};
    memcpy(header.store_id, state->store_id, sizeof header.store_id);
    lum__header_encode(&header, block);
    lum__put_u32(block + AT_STATE, (uint32_t)state->state);
    lum__put_u32(block + AT_CLEAN, state->is_clean);
    lum__put_u32(block + AT_ATTEMPTS, state->attempts);
    lum__put_u32(block + AT_ATTEMPTS_MAX, state->attempts_max);
    lum__put_u64(block + AT_CLEAN_CHECKPOINT, state->clean_checkpoint);
    lum__put_u64(block + AT_CLEAN_SEGMENT, state->clean_segment);
    lum__put_u64(block + AT_CLEAN_OFFSET, state->clean_offset);
    lum__put_u64(block + AT_CLEAN_SEQUENCE, state->clean_sequence);
    lum__put_u64(block + AT_CRASH_TIMESTAMP, state->crash_timestamp);
    lum__put_u64(block + AT_RECOVERY_TIMESTAMP, state->recovery_timestamp);
    lum__put_u64(block + AT_RECOVERY_COUNT, state->recovery_count);
    lum__put_u64(block + AT_PID, state->pid);
    memcpy(block + AT_ERROR, state->error_details, strnlen(state->error_details, ERROR_BYTES));
    encode_history(state, block);
    lum__header_seal(block);
}

lum_status lum__state_read(struct lum__fs *fs, struct lum__state *out)
{
    memset(out, 0, sizeof *out);
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    lum_status status = lum__fs_read_all(fs, state_path, 2 * LUM__BLOCK_BYTES, &bytes, &byte_count);
    if (status == LUM_ERR_NOT_FOUND) return lum__fail(status, "there is no lum store here (no file STATE)");
    LUM_TRY(status);
    status = lum__state_decode(bytes, byte_count, out);
    free(bytes);
    return status;
}

lum_status lum__state_check_writable(const struct lum__state *state)
{
    if (state->features_read_only == 0) return LUM_OK;
    return lum__unsupported(state_path, 40, 3,
                            "the store has features (0x%llx) of a later version of lum that this version may only read",
                            (unsigned long long)state->features_read_only);
}

lum_status lum__state_write(struct lum__fs *fs, struct lum__state *state)
{
    LUM_ASSERT(state->epoch > 0);
    LUM_ASSERT(state->state <= LUM_STATE_FAILED);
    uint8_t block[LUM__BLOCK_BYTES];
    state->timestamp = lum__clock_wall_ns();
    state->pid = (uint64_t)getpid();
    encode_state(state, block);
    return lum__fs_replace(fs, state_path, block, sizeof block);
}

void lum__state_explain(struct lum__state *state, const char *sentence)
{
    memset(state->error_details, 0, sizeof state->error_details);
    size_t length = strnlen(sentence, ERROR_BYTES);
    if (length == ERROR_BYTES) { /* never half a UTF-8 character */
        while (length > 0 && ((unsigned char)sentence[length] & 0xc0) == 0x80) length--;
    }
    memcpy(state->error_details, sentence, length);
}

/* ----------------------------------------------------------------------------------------------------- LOCK */

static void pause_ms(unsigned ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

/* The pid in the text of LOCK, 0 if there is none. It is a message: whether the store is in use is told by the lock
 * alone. */
static uint64_t lock_text_pid(struct lum__file *lock_file)
{
    char text[LOCK_TEXT_BYTES + 1] = {0};
    size_t bytes = 0;
    if (lum__file_read(lock_file, text, LOCK_TEXT_BYTES, 0, &bytes) != LUM_OK) return 0;
    text[bytes] = 0;
    const char *at = strstr(text, "pid ");
    return at ? strtoull(at + 4, NULL, 10) : 0;
}

static void lock_text_write(struct lum__file *lock_file)
{
    char text[LOCK_TEXT_BYTES + 1];
    int length = snprintf(text, sizeof text, "writer pid %ld", (long)getpid());
    memset(text + length, ' ', (size_t)(LOCK_TEXT_BYTES - length));
    text[LOCK_TEXT_BYTES - 1] = '\n';
    lum_status status = lum__file_write(lock_file, text, LOCK_TEXT_BYTES, 0);
    (void)status; /* a full disk must not keep the message's owner out */
}

/* A killed process whose parent has not asked for its end yet: kill() still finds it. "pid (name) Z ...", and a name may
 * hold anything. */
static bool process_is_zombie(uint64_t pid)
{
    char path[32], text[256] = {0};
    (void)snprintf(path, sizeof path, "/proc/%llu/stat", (unsigned long long)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) return false;
    size_t bytes = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[bytes] = 0;
    const char *name_end = strrchr(text, ')');
    return name_end != NULL && (strncmp(name_end, ") Z", 3) == 0 || strncmp(name_end, ") X", 3) == 0);
}

/* Dead to us may be alive in another pid namespace: that only costs the wait, never the lock. */
static bool process_is_dead(uint64_t pid)
{
    if (pid == 0 || pid > INT32_MAX) return false;
    if (kill((pid_t)pid, 0) != 0) return errno == ESRCH;
    return process_is_zombie(pid);
}

static lum_status open_lock_file(struct lum__fs *fs, unsigned flags, struct lum__file **out)
{
    lum_status status = lum__fs_open_file(fs, "LOCK", flags, out);
    if (status != LUM_ERR_NOT_FOUND) return status;
    struct lum__file *state_file = NULL;
    if (lum__fs_open_file(fs, state_path, LUM__OPEN_READ, &state_file) == LUM_OK) {
        lum__file_close(state_file);
        return lum__corrupt(
            "LOCK", LUM_NO_OFFSET, 0,
            "the store has no LOCK file; if no lum process has it open, make an empty file of this name");
    }
    return lum__fail(LUM_ERR_NOT_FOUND, "there is no lum store here");
}

lum_status lum__store_lock(struct lum__fs *fs, struct lum__file **lock_file)
{
    *lock_file = NULL;
    struct lum__file *file = NULL;
    LUM_TRY(open_lock_file(fs, LUM__OPEN_WRITE, &file));
    lum_status status = LUM_OK;
    uint64_t pid = 0;
    for (unsigned waited_ms = 0;; waited_ms += LOCK_PAUSE_MS) {
        status = lum__file_lock(file, LUM__LOCK_BYTE_WRITER, LUM__LOCK_EXCLUSIVE);
        if (status != LUM_ERR_BUSY) break;
        pid = lock_text_pid(file);
        if (!process_is_dead(pid) || waited_ms >= LOCK_WAIT_MS) break;
        pause_ms(LOCK_PAUSE_MS);
    }
    if (status == LUM_OK) {
        lock_text_write(file);
        *lock_file = file;
        return LUM_OK;
    }
    lum__file_close(file);
    if (status == LUM_ERR_BUSY && process_is_dead(pid))
        return lum__fail(LUM_ERR_BUSY,
                         "another process has the store open for writing (LOCK names pid %llu, which has ended)",
                         (unsigned long long)pid);
    if (status == LUM_ERR_BUSY && pid != 0)
        return lum__fail(LUM_ERR_BUSY, "another process has the store open for writing (pid %llu)",
                         (unsigned long long)pid);
    if (status == LUM_ERR_BUSY) return lum__fail(LUM_ERR_BUSY, "another process has the store open for writing");
    return status;
}

/* Does a writer have the store? A killed one's last requests hold the lock a little longer than it lived: they are
 * waited for, so that what it left is seen whole, and as a crash. */
static lum_status look_for_writer(struct lum__file *lock_file, bool *writer_alive)
{
    for (unsigned waited_ms = 0;; waited_ms += LOCK_PAUSE_MS) {
        LUM_TRY(lum__file_lock_holder(lock_file, LUM__LOCK_BYTE_WRITER, writer_alive));
        if (!*writer_alive || waited_ms >= DEAD_WAIT_MS || !process_is_dead(lock_text_pid(lock_file))) return LUM_OK;
        pause_ms(LOCK_PAUSE_MS);
    }
}

lum_status lum__store_lock_shared(struct lum__fs *fs, struct lum__file **lock_file, bool *writer_alive)
{
    *lock_file = NULL;
    *writer_alive = false;
    struct lum__fs_features features;
    lum__fs_features(fs, &features);
    struct lum__file *file = NULL;
    lum_status status = lum__fs_open_file(fs, "LOCK", LUM__OPEN_READ, &file);
    if (status == LUM_ERR_NOT_FOUND) return LUM_OK; /* a copy without it; verify says so */
    LUM_TRY(status);
    for (unsigned waited_ms = 0;; waited_ms += LOCK_PAUSE_MS) {
        status = lum__file_lock(file, LUM__LOCK_BYTE_READERS, LUM__LOCK_SHARED);
        if (status != LUM_ERR_BUSY || waited_ms >= LOCK_WAIT_MS) break;
        pause_ms(LOCK_PAUSE_MS);
    }
    if (status == LUM_OK) {
        status = look_for_writer(file, writer_alive);
        if (status == LUM_OK) {
            *lock_file = file;
            return LUM_OK;
        }
    }
    lum__file_close(file);
    if (status != LUM_ERR_BUSY && features.read_only) return LUM_OK; /* nobody can write there */
    return status;
}
