/* The log, for people: every record of every segment that can be read, oldest first. Beside a live writer: up to where it was when it was
 * first met. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/status.h"
#include "lum/lum.h"
#include "recovery/recover.h"
#include "storage/file.h"
#include "wal/reader.h"

enum { LIVE_TRIES_MAX = 8, LIVE_PAUSE_NS = 2500000 }; /* without any progress; as the plan's */

struct lum_wal {
    struct lum__fs *fs;
    struct lum__wal_reader *reader;
    struct lum__file *lock_file; /* while it is held, nothing of the log is recycled */
    uint8_t store_id[16];
    bool writer_alive;
    uint64_t goal; /* beside a live writer: what it had made durable when the log first seemed to end */
    int tries;
    char path[64];
    bool is_over;
};

/* The replay position of the older checkpoint: the oldest log that is surely there. */
static lum_status oldest_position(struct lum__fs *fs, const uint8_t store_id[16], struct lum__log_position *out)
{
    uint64_t numbers[8];
    size_t count = 0;
    LUM_TRY(lum__checkpoint_list(fs, numbers, 8, &count));
    lum_status status = lum__fail(LUM_ERR_CORRUPT, "no checkpoint can be read");
    for (size_t i = count; i-- > 0 && status != LUM_OK;) {
        struct lum__catalogue *catalogue = NULL;
        LUM_TRY(lum__catalogue_create(&catalogue));
        struct lum__checkpoint checkpoint = {0};
        status = lum__checkpoint_read(fs, numbers[i], store_id, &checkpoint, catalogue);
        if (status == LUM_OK) {
            *out = checkpoint.replay;
            lum__checkpoint_fini(&checkpoint);
        }
        lum__catalogue_destroy(catalogue);
    }
    return status;
}

lum_status lum_wal_open(const char *directory, lum_wal **out)
{
    if (directory == NULL || out == NULL) return lum__fail(LUM_ERR_ARGUMENT, "lum_wal_open needs a directory and a place for the handle");
    *out = NULL;
    struct lum_wal *wal = NULL;
    LUM_TRY(lum__alloc_zeroed(1, sizeof *wal, (void **)&wal));
    struct lum__fs_os_options fs_options = {.read_only = true};
    struct lum__state state;
    struct lum__log_position from;
    lum_status status = LUM_OK;
    LUM_TRY_OUT(lum__fs_open_os(directory, &fs_options, &wal->fs));
    LUM_TRY_OUT(lum__store_lock_shared(wal->fs, &wal->lock_file, &wal->writer_alive));
    LUM_TRY_OUT(lum__state_read(wal->fs, &state));
    if (!wal->writer_alive && wal->lock_file != NULL) /* one may have come since */
        LUM_TRY_OUT(lum__file_lock_holder(wal->lock_file, LUM__LOCK_BYTE_WRITER, &wal->writer_alive));
    memcpy(wal->store_id, state.store_id, sizeof wal->store_id);
    LUM_TRY_OUT(oldest_position(wal->fs, state.store_id, &from));
    struct lum__log_position limit = {.segment = state.clean_segment, .offset = state.clean_offset, .sequence = state.clean_sequence};
    LUM_TRY_OUT(lum__wal_reader_open(wal->fs, state.store_id, &from, state.is_clean ? &limit : NULL, false, &wal->reader));
    *out = wal;
    wal = NULL;
out:
    lum_wal_close(wal);
    return status;
}

/* Beside a live writer the end moves: a batch was half there when it was read, and its successors were found behind it. LUM_OK: read on. */
static lum_status read_on(struct lum_wal *wal, const struct lum__wal_evidence *evidence, uint64_t watermark)
{
    struct timespec pause = {.tv_nsec = LIVE_PAUSE_NS};
    struct lum__wal_reader *reader = NULL;
    if (wal->goal == 0) wal->goal = watermark;
    if (evidence->position.sequence >= wal->goal) return LUM_END;
    if (++wal->tries > LIVE_TRIES_MAX) return LUM_ERR_CORRUPT;
    nanosleep(&pause, NULL);
    LUM_TRY(lum__wal_reader_open(wal->fs, wal->store_id, &evidence->position, NULL, false, &reader));
    lum__wal_reader_close(wal->reader);
    wal->reader = reader;
    return LUM_OK;
}

/* At the end of the log: was it the end, or is something missing that was durable? LUM_OK: neither, it goes on. */
static lum_status tell_end(struct lum_wal *wal)
{
    struct lum__wal_evidence evidence;
    LUM_TRY(lum__wal_reader_evidence(wal->reader, &evidence));
    uint64_t watermark = evidence.watermark_behind > evidence.watermark_accepted ? evidence.watermark_behind : evidence.watermark_accepted;
    if (evidence.stop == LUM__WAL_STOP_LIMIT || evidence.position.sequence >= watermark) return LUM_END;
    if (wal->writer_alive) {
        lum_status status = read_on(wal, &evidence, watermark);
        if (status != LUM_ERR_CORRUPT) return status;
    }
    char path[64];
    lum__wal_path(evidence.position.segment, path);
    return lum__corrupt(path, evidence.position.offset, evidence.condition, "the log breaks off below its watermark %llu: %s",
                        (unsigned long long)watermark, evidence.message);
}

lum_status lum_wal_next(lum_wal *wal, lum_wal_record *out)
{
    if (wal == NULL || out == NULL) return lum__fail(LUM_ERR_ARGUMENT, "lum_wal_next needs a cursor and a record");
    memset(out, 0, sizeof *out);
    if (wal->is_over) return LUM_END;
    struct lum__wal_record record;
    lum_status status;
    while ((status = lum__wal_reader_next(wal->reader, &record)) == LUM_END && (status = tell_end(wal)) == LUM_OK) continue;
    wal->is_over = status != LUM_OK;
    LUM_TRY(status);
    wal->tries = 0;
    lum__wal_path(record.segment, wal->path);
    *out = (lum_wal_record){.sequence = record.sequence,
                            .type = lum__wal_type_name(record.type),
                            .transaction_id = record.transaction_id,
                            .timestamp = record.timestamp,
                            .count = record.count,
                            .watermark = record.watermark,
                            .payload_bytes = record.payload_bytes,
                            .file = wal->path,
                            .offset = record.offset};
    return LUM_OK;
}

void lum_wal_close(lum_wal *wal)
{
    if (wal == NULL) return;
    if (wal->reader != NULL) lum__wal_reader_close(wal->reader);
    if (wal->lock_file != NULL) (void)lum__file_close(wal->lock_file);
    if (wal->fs != NULL) lum__fs_close(wal->fs);
    free(wal);
}
