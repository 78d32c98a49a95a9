/* recovery/log_gather.c - see log_gather.h. */
#include "recovery/log_gather.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "base/status.h"
#include "recovery/copy_file.h"
#include "storage/header.h"
#include "wal/log_segment.h"

enum { AT_SALT = 68, RECORD_ALIGNMENT = 8 };

/* What is known of a segment before its records are wanted. */
struct known {
    uint64_t number;
    struct lum__wal_segment segment; /* the header, or what stands in for it */
    bool has_header;
    uint64_t first_sequence; /* of its first legible record, UINT64_MAX: none */
    uint64_t dead_from;      /* sequences from here on count no more: a later segment begins there */
};

struct gather {
    struct lum__fs *fs;
    const uint8_t *store_id;
    const struct lum__log_gather_options *options;
    struct lum__log_gather_counts *counts;
    uint64_t last_sequence; /* of the last record told */
    uint64_t last_segment, last_offset;
};

/* A segment's bytes, illegible blocks as zeros. */
static lum_status read_segment(struct lum__fs *fs, uint64_t number, uint8_t **out, uint64_t *byte_count)
{
    struct lum__file *file = NULL;
    struct lum__file_info info;
    void *memory = NULL;
    uint64_t unreadable = 0;
    lum_status status = LUM_OK;
    char path[64];
    *out = NULL;
    *byte_count = 0;
    lum__wal_path(number, path);
    LUM_TRY(lum__fs_open_file(fs, path, LUM__OPEN_READ, &file));
    LUM_TRY_OUT(lum__file_info(file, &info));
    if (info.size_bytes > LUM__WAL_SEGMENT_BYTES_MAX) info.size_bytes = LUM__WAL_SEGMENT_BYTES_MAX;
    LUM_TRY_OUT(lum__alloc_zeroed(1, info.size_bytes + 1, &memory));
    LUM_TRY_OUT(lum__read_around(file, memory, info.size_bytes, 0, &unreadable));
    *out = memory;
    *byte_count = info.size_bytes;
    memory = NULL;
out:
    free(memory);
    (void)lum__file_close(file);
    return status;
}

/* The next legible record at or behind *offset; false at the end. *offset: behind it. */
static bool next_record(const struct known *known, const uint8_t *bytes, uint64_t byte_count, uint64_t *offset,
                        struct lum__wal_record *out)
{
    struct lum__wal_segment segment = known->segment;
    uint64_t at = *offset;
    while (at + LUM__WAL_RECORD_HEADER_BYTES <= byte_count) {
        uint32_t condition = 0;
        if (memcmp(bytes + at, "WALX", 4) != 0) {
            at += RECORD_ALIGNMENT;
            continue;
        }
        if (!known->has_header) segment.salt = lum__get_u32(bytes + at + AT_SALT);
        if (lum__wal_record_check(bytes + at, byte_count - at, &segment, at, out, &condition) == LUM__WAL_VALID) {
            *offset = lum__wal_record_end(out);
            return true;
        }
        at += RECORD_ALIGNMENT;
    }
    *offset = byte_count;
    return false;
}

/* The header, or what stands in for it: number by name, salt by the records. */
static void know_header(struct gather *gather, struct known *known, const uint8_t *bytes, uint64_t byte_count)
{
    char path[64];
    lum__wal_path(known->number, path);
    gather->counts->segments++;
    if (byte_count >= LUM__BLOCK_BYTES)
        known->has_header =
            lum__wal_segment_decode(bytes, gather->store_id, known->number, path, &known->segment) == LUM_OK;
    if (known->has_header) return;
    gather->counts->segments_without_header++;
    memset(&known->segment, 0, sizeof known->segment);
    memcpy(known->segment.store_id, gather->store_id, sizeof known->segment.store_id);
    known->segment.number = known->number;
    known->segment.segment_bytes = LUM__WAL_SEGMENT_BYTES_MAX;
}

static lum_status know_segment(struct gather *gather, struct known *known)
{
    uint8_t *bytes = NULL;
    uint64_t byte_count = 0, offset = LUM__BLOCK_BYTES;
    struct lum__wal_record record;
    LUM_TRY(read_segment(gather->fs, known->number, &bytes, &byte_count));
    know_header(gather, known, bytes, byte_count);
    known->first_sequence = known->dead_from = UINT64_MAX;
    if (next_record(known, bytes, byte_count, &offset, &record)) known->first_sequence = record.sequence;
    free(bytes);
    return LUM_OK;
}

/* Where a later segment begins the earlier ones end. One without any record says nothing of that, unless it is a cut:
 * its header alone is the cut. */
static void find_dead(struct known *known, size_t count)
{
    uint64_t dead_from = UINT64_MAX;
    for (size_t i = count; i-- > 0;) {
        bool is_cut = known[i].has_header && known[i].segment.origin == LUM__WAL_ORIGIN_RECOVERY;
        uint64_t begins = is_cut ? known[i].segment.first_sequence : known[i].first_sequence;
        known[i].dead_from = dead_from;
        if (begins < dead_from) dead_from = begins;
    }
}

static lum_status tell_gap(struct gather *gather, uint64_t sequence_last)
{
    struct lum__log_gap gap = {.sequence_first = gather->last_sequence + 1,
                               .sequence_last = sequence_last,
                               .segment = gather->last_segment,
                               .offset = gather->last_offset};
    gather->counts->gaps++;
    return gather->options->gap != NULL ? gather->options->gap(gather->options->context, &gap) : LUM_OK;
}

static lum_status tell_record(struct gather *gather, const struct lum__wal_record *record)
{
    const struct lum__log_gather_options *options = gather->options;
    if (record->watermark > gather->counts->watermark) gather->counts->watermark = record->watermark;
    if (record->sequence < options->sequence_min || record->sequence > options->sequence_max) return LUM_OK;
    if (record->sequence <= gather->last_sequence) return LUM_OK; /* told already: a copy from before a recovery */
    if (record->sequence > gather->last_sequence + 1) LUM_TRY(tell_gap(gather, record->sequence - 1));
    gather->last_sequence = record->sequence;
    gather->last_segment = record->segment;
    gather->last_offset = lum__wal_record_end(record);
    gather->counts->records++;
    return options->each(options->context, record);
}

static lum_status tell_segment(struct gather *gather, const struct known *known)
{
    uint8_t *bytes = NULL;
    uint64_t byte_count = 0, offset = LUM__BLOCK_BYTES;
    struct lum__wal_record record;
    lum_status status = LUM_OK;
    if (known->first_sequence >= known->dead_from) return LUM_OK;
    LUM_TRY(read_segment(gather->fs, known->number, &bytes, &byte_count));
    while (status == LUM_OK && next_record(known, bytes, byte_count, &offset, &record) &&
           record.sequence < known->dead_from)
        status = tell_record(gather, &record);
    free(bytes);
    return status;
}

lum_status lum__log_gather(struct lum__fs *fs, const uint8_t store_id[16],
                           const struct lum__log_gather_options *options, struct lum__log_gather_counts *counts)
{
    struct gather gather = {.fs = fs, .store_id = store_id, .options = options, .counts = counts};
    uint64_t *numbers = NULL;
    size_t count = 0;
    void *memory = NULL;
    lum_status status = LUM_OK;
    memset(counts, 0, sizeof *counts);
    gather.last_sequence = options->sequence_min > 0 ? options->sequence_min - 1 : 0;
    LUM_TRY(lum__log_segment_numbers(fs, &numbers, &count));
    LUM_TRY_OUT(lum__alloc_zeroed(count, sizeof(struct known), &memory));
    struct known *known = memory;
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        known[used].number = numbers[i];
        status = know_segment(&gather, &known[used]);
        if (status == LUM_ERR_NO_MEMORY) goto out;
        if (status == LUM_OK) used++; /* a file that cannot be opened has no records: a gap, if they are missed */
    }
    find_dead(known, used);
    status = LUM_OK;
    for (size_t i = 0; i < used; i++) LUM_TRY_OUT(tell_segment(&gather, &known[i]));
    uint64_t known_to_be = counts->watermark < options->sequence_max ? counts->watermark : options->sequence_max;
    if (options->sequence_known > known_to_be) known_to_be = options->sequence_known;
    if (known_to_be > gather.last_sequence) status = tell_gap(&gather, known_to_be);
out:
    free(memory);
    free(numbers);
    return status;
}
