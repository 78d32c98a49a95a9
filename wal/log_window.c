/* wal/log_window.c - see log_window.h. */
#include "wal/log_window.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/memory.h"
#include "base/status.h"
#include "storage/header.h"

enum {
    /* Padded batches make the log outgrow small windows; and twice the largest step, so that a file whose every header
     * claims the largest payload is read twice, not a thousand times. */
    AHEAD_BYTES_MIN = 64 << 10,
    WINDOW_BYTES = 2 * (LUM__WAL_PAYLOAD_BYTES_MAX + 4 * 4096),
    PAYLOAD_BYTES_AT = 40,
    SALT_AT = 68,
};
_Static_assert(WINDOW_BYTES >= 1 << 20, "windows of at least 1 MiB");
_Static_assert(WINDOW_BYTES % LUM__IO_ALIGNMENT == 0, "direct reads");

lum_status lum__log_window_init(struct lum__log_window *window)
{
    void *memory = NULL;
    memset(window, 0, sizeof *window);
    LUM_TRY(lum__memory_map(WINDOW_BYTES, &memory, &window->mapped));
    window->bytes = memory;
    return LUM_OK;
}

void lum__log_window_fini(struct lum__log_window *window)
{
    (void)lum__file_close(window->file); /* only read */
    if (window->bytes != NULL) lum__memory_unmap(window->bytes, window->mapped);
    memset(window, 0, sizeof *window);
}

void lum__log_window_show(struct lum__log_window *window, const struct lum__wal_segment *segment,
                          struct lum__file *file)
{
    LUM_ASSERT(file == NULL || segment->number > 0);
    (void)lum__file_close(window->file);
    window->file = file;
    window->segment = file != NULL ? *segment : (struct lum__wal_segment){0};
    window->is_salt_unknown = false;
    window->offset = 0;
    window->count = 0;
    window->ahead_bytes = AHEAD_BYTES_MIN;
}

lum_status lum__log_window_show_headless(struct lum__log_window *window, const uint8_t store_id[16], uint64_t number,
                                         struct lum__file *file)
{
    struct lum__wal_segment segment = {.number = number};
    struct lum__file_info info = {0};
    LUM_ASSERT(file != NULL);
    lum_status status = lum__file_info(file, &info);
    memcpy(segment.store_id, store_id, sizeof segment.store_id);
    segment.segment_bytes = lum__round_up(info.size_bytes, LUM__BLOCK_BYTES);
    if (segment.segment_bytes < LUM__BLOCK_BYTES) segment.segment_bytes = LUM__BLOCK_BYTES;
    if (segment.segment_bytes > LUM__WAL_SEGMENT_BYTES_MAX) segment.segment_bytes = LUM__WAL_SEGMENT_BYTES_MAX;
    lum__log_window_show(window, &segment, file);
    window->is_salt_unknown = true;
    return status;
}

/* Shows `needed` bytes from offset on, and more: the first look at a segment is a small one, since the log behind a clean end is short;
 * each further one is twice as large. */
static lum_status refill(struct lum__log_window *window, uint64_t offset, uint64_t needed)
{
    uint64_t start = offset - offset % LUM__IO_ALIGNMENT;
    uint64_t left = window->segment.segment_bytes - start;
    uint64_t ahead = lum__round_up(offset - start + needed, LUM__IO_ALIGNMENT);
    if (ahead < window->ahead_bytes) ahead = window->ahead_bytes;
    if (ahead > WINDOW_BYTES) ahead = WINDOW_BYTES;
    if (window->ahead_bytes < WINDOW_BYTES) window->ahead_bytes *= 2;
    size_t wanted = left < ahead ? (size_t)left : (size_t)ahead;
    size_t bytes_read = 0;
    window->count = 0; /* a failed read leaves nothing valid */
    LUM_TRY(lum__file_read(window->file, window->bytes, wanted, start, &bytes_read));
    memset(window->bytes + bytes_read, 0, wanted - bytes_read);
    window->offset = start;
    window->count = wanted;
    return LUM_OK;
}

lum_status lum__log_window_get(struct lum__log_window *window, uint64_t offset, uint64_t wanted, const uint8_t **at,
                               uint64_t *available)
{
    LUM_ASSERT(window->file != NULL);
    LUM_ASSERT(offset <= window->segment.segment_bytes);
    LUM_ASSERT(wanted <= LUM__LOG_WINDOW_STEP);
    uint64_t left = window->segment.segment_bytes - offset;
    if (wanted > left) wanted = left;
    if (offset < window->offset || offset + wanted > window->offset + window->count) LUM_TRY(refill(window, offset, wanted));
    *at = window->bytes + (offset - window->offset);
    *available = window->offset + window->count - offset;
    return LUM_OK;
}

lum_status lum__log_window_check(struct lum__log_window *window, uint64_t offset, struct lum__wal_record *record,
                                 enum lum__wal_look *look, uint32_t *condition)
{
    const uint8_t *at = NULL;
    uint64_t available = 0;
    LUM_TRY(lum__log_window_get(window, offset, LUM__BLOCK_BYTES, &at, &available));
    if (available >= LUM__WAL_RECORD_HEADER_BYTES) {
        uint64_t payload_bytes =
            lum__get_u32(at + PAYLOAD_BYTES_AT); /* unchecked: only a hint of what to have at hand */
        if (payload_bytes <= LUM__WAL_PAYLOAD_BYTES_MAX) {
            uint64_t wanted = LUM__WAL_RECORD_HEADER_BYTES + payload_bytes + 8 + LUM__WAL_BATCH_ALIGNMENT;
            LUM_TRY(lum__log_window_get(window, offset, wanted, &at, &available));
        }
    }
    if (window->is_salt_unknown && available >= LUM__WAL_RECORD_HEADER_BYTES)
        window->segment.salt = lum__get_u32(at + SALT_AT); /* a number is never used twice, so that and the offset do */
    *look = lum__wal_record_check(at, available, &window->segment, offset, record, condition);
    return LUM_OK;
}

/* --- probing --- */

/* How far the probe has come, and what it stands in. */
struct probe {
    struct lum__log_window *window;
    struct lum__log_findings *findings;
    uint64_t at;        /* next 8-byte place to look at */
    uint64_t live_end;  /* end of the last valid record */
    uint64_t stale_end; /* end that the last leftover claims */
};

/* A place with the magic: is it a record? Moves on behind it, else by 8. */
static lum_status probe_record(struct probe *probe, uint64_t block_end, bool *has_live, bool *has_stale)
{
    struct lum__wal_record record;
    enum lum__wal_look look;
    uint32_t condition;
    LUM_TRY(lum__log_window_check(probe->window, probe->at, &record, &look, &condition));
    uint64_t end = probe->at + LUM__WAL_RECORD_HEADER_BYTES;
    if (record.payload_bytes <= LUM__WAL_PAYLOAD_BYTES_MAX) end += lum__round_up(record.payload_bytes, 8);
    if (look == LUM__WAL_VALID) {
        probe->findings->records++;
        if (record.watermark > probe->findings->watermark) probe->findings->watermark = record.watermark;
        if (record.sequence < probe->findings->first_sequence) probe->findings->first_sequence = record.sequence;
        *has_live = true;
        probe->live_end = end;
        probe->at = end;
    } else if (look == LUM__WAL_STALE) {
        *has_stale = true;
        probe->stale_end = end;
        probe->at = end < block_end ? end : block_end; /* it may have been overwritten from the next block on */
    } else if (condition >= 6) {
        *has_live =
            true; /* a true header over a torn payload. One of these a block: bounds the work on hostile files */
        probe->at = block_end;
    } else {
        probe->at += 8;
    }
    return LUM_OK;
}

/* One block, or what of it lies behind `from`. */
static lum_status probe_block(struct probe *probe, uint64_t from, uint64_t to, bool *is_stale)
{
    const uint8_t *bytes = NULL;
    uint64_t available = 0;
    *is_stale = false;
    LUM_TRY(lum__log_window_get(probe->window, from, to - from, &bytes, &available));
    if (lum__is_zero(bytes, to - from)) return LUM_OK;
    /* A record that began earlier may reach into this block, or over it. */
    bool has_live = probe->live_end > from;
    bool has_stale = probe->stale_end > from;
    if (probe->at < from) probe->at = from;
    while (probe->at < to) {
        LUM_TRY(lum__log_window_get(probe->window, probe->at, 8, &bytes, &available));
        if (available < 4 || memcmp(bytes, "WALX", 4) != 0) {
            probe->at += 8;
            continue;
        }
        LUM_TRY(probe_record(probe, to, &has_live, &has_stale));
    }
    *is_stale = has_stale && !has_live;
    if (!*is_stale) probe->findings->live_end = to;
    return LUM_OK;
}

/* Records lie at multiples of 8. All of these are looked at, not only the beginnings of blocks: the blocks of a batch
 * may have reached the disk in any order, and the end of an old long batch may stick out behind a new short one. */
lum_status lum__log_probe(struct lum__log_window *window, uint64_t offset, struct lum__log_findings *out)
{
    struct lum__file_info info;
    LUM_ASSERT(offset % 8 == 0 && offset >= LUM__BLOCK_BYTES);
    LUM_ASSERT(offset <= window->segment.segment_bytes);
    memset(out, 0, sizeof *out);
    out->first_sequence = UINT64_MAX;
    LUM_TRY(lum__file_info(window->file, &info));
    uint64_t end = window->segment.segment_bytes;
    if (info.size_bytes < end) end = lum__round_up(info.size_bytes, LUM__BLOCK_BYTES); /* behind it: nothing */
    struct probe probe = {.window = window, .findings = out, .at = offset};
    for (uint64_t from = offset; from < end;) {
        uint64_t to = lum__round_up(from + 1, LUM__BLOCK_BYTES);
        bool is_stale;
        LUM_TRY(probe_block(&probe, from, to, &is_stale));
        if (from == offset) out->is_first_stale = is_stale;
        from = to;
    }
    return LUM_OK;
}
