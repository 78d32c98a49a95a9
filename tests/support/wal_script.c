/* wal_script.c - see wal_script.h. */
#include "support/wal_script.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "base/status.h"

const uint8_t wal_store_id[16] = {7, 6, 5, 4, 3, 2, 1, 0, 8, 9, 10, 11, 12, 13, 14, 15};

bool wal_with_metadata;
static const uint8_t resume[6000] = "any bytes, and many zeros";

static void make_chunk(uint64_t random, struct lum__wal_record *out)
{
    out->count = 1 + random % 4096;
    out->chunk = (struct lum__chunk_entry){
        .segment = 1 + random % 9,
        .offset = 4096 * (1 + random % 1000),
        .byte_count = 4096 * (1 + (uint32_t)(random >> 8) % 16),
        .row_count = (uint32_t)out->count,
        .digest = (uint32_t)(random >> 16),
        .lum_digest = (uint32_t)(random >> 24),
        .ordinal = random >> 40,
        .transaction_id = out->transaction_id,
        .range = {.id_min = 5,
                  .id_max = 5 + random,
                  .timestamp_min = 1,
                  .timestamp_max = random >> 3,
                  .x_min = -3,
                  .x_max = 3},
    };
    if (out->chunk.range.id_max < 5) out->chunk.range.id_max = UINT64_MAX;
    if (out->chunk.range.timestamp_max < 1) out->chunk.range.timestamp_max = 1;
}

void wal_make_record(uint64_t sequence, uint32_t generation, struct lum__wal_record *out)
{
    uint64_t state = sequence * 1000003 + generation;
    uint64_t random = lum__splitmix64(&state);
    memset(out, 0, sizeof *out);
    switch (random % 16) {
    case 0: out->type = LUM__WAL_BEGIN; break;
    case 1: out->type = LUM__WAL_ROLLBACK; break;
    case 2: out->type = LUM__WAL_WATERMARK; return;
    case 3:
        out->type = LUM__WAL_CHECKPOINT;
        out->count = out->checkpoint.number = random >> 5;
        out->checkpoint.covered_sequence = random >> 7;
        out->checkpoint.body_crc = (uint32_t)(random >> 9);
        return;
    case 4:
    case 5:
    case 6: out->type = LUM__WAL_COMMIT; break;
    default: out->type = LUM__WAL_CHUNK; break;
    }
    out->transaction_id = ((uint64_t)generation << 40) + 1 + random % 100;
    if (out->type == LUM__WAL_ROLLBACK) out->count = random >> 20;
    if (out->type == LUM__WAL_CHUNK) make_chunk(random, out);
    if (out->type == LUM__WAL_COMMIT) {
        out->count = out->commit.lum_count = random >> 10;
        out->commit.chunk_count = random >> 30;
        out->commit.digest = (uint32_t)random;
        out->commit.data_synced = (random & 64) != 0;
        out->commit.label_bytes = (uint8_t)(random >> 8);
        for (uint32_t i = 0; i < out->commit.label_bytes; i++) out->commit.label[i] = (char)('a' + (random + i) % 26);
        if (wal_with_metadata && (random & 128) != 0) { /* some so long that the record takes two blocks */
            out->commit.metadata.resume = resume;
            out->commit.metadata.resume_bytes = 1 + (uint32_t)(random >> 40) % (uint32_t)sizeof resume;
        }
    }
}

static bool is_same(const struct lum__wal_record *record, uint32_t generation)
{
    struct lum__wal_record wanted;
    wal_make_record(record->sequence, generation, &wanted);
    if (record->type != wanted.type || record->transaction_id != wanted.transaction_id || record->count != wanted.count)
        return false;
    switch (wanted.type) {
    case LUM__WAL_CHUNK: return memcmp(&record->chunk, &wanted.chunk, sizeof wanted.chunk) == 0;
    case LUM__WAL_COMMIT: {
        struct lum__wal_record seen = *record;
        if (!lum__metadata_is_same(&record->commit.metadata, &wanted.commit.metadata)) return false;
        seen.commit.metadata = wanted.commit.metadata;
        return memcmp(&seen.commit, &wanted.commit, sizeof wanted.commit) == 0;
    }
    case LUM__WAL_CHECKPOINT: return memcmp(&record->checkpoint, &wanted.checkpoint, sizeof wanted.checkpoint) == 0;
    default: return true;
    }
}

bool wal_script_is_right(const struct wal_script *script, const struct lum__wal_record *record, bool in_any_life)
{
    if (record->sequence >= WAL_SCRIPT_SEQUENCES) return false;
    uint32_t generation = script->generations[record->sequence];
    if (!in_any_life) return generation == 0 ? record->type == LUM__WAL_SEAL : is_same(record, generation);
    if (record->type == LUM__WAL_SEAL) return true;
    for (generation = 1; generation <= script->generation; generation++) {
        if (is_same(record, generation)) return true;
    }
    return false;
}

void wal_script_init(struct wal_script *script, uint64_t seed)
{
    memset(script, 0, sizeof *script);
    script->generation = 1;
    script->epoch = 1;
    script->segment_bytes = 32768;
    script->batch_bytes_max = 12288;
    script->rng = seed;
}

void wal_script_options(const struct wal_script *script, struct lum__fs *fs, struct lum__wal_writer_options *out)
{
    *out = (struct lum__wal_writer_options){.fs = fs,
                                            .epoch = script->epoch,
                                            .segment_bytes = script->segment_bytes,
                                            .next_segment = 1,
                                            .batch_bytes_max = script->batch_bytes_max};
    memcpy(out->store_id, wal_store_id, sizeof out->store_id);
}

lum_status wal_script_first(struct wal_script *script, struct lum__fs *fs, struct lum__wal_writer **out)
{
    struct lum__wal_writer_options options;
    *out = NULL;
    wal_script_options(script, fs, &options);
    LUM_TRY(lum__fs_mkdir(fs, "wal"));
    LUM_TRY(lum__fs_sync_dir(fs, ""));
    return lum__wal_writer_start(&options, &script->newest, out);
}

/* Also after failures: a rotation may have used a sequence for its seal, and vouches for all before it. */
static void note(struct wal_script *script, const struct lum__wal_writer *writer)
{
    uint64_t last = lum__wal_next_sequence(writer) - 1;
    if (last > script->appended) script->appended = last;
    if (lum__wal_durable_sequence(writer) > script->durable) script->durable = lum__wal_durable_sequence(writer);
}

static lum_status append_one(struct wal_script *script, struct lum__wal_writer *writer)
{
    struct lum__wal_record record;
    for (;;) {
        uint64_t sequence = lum__wal_next_sequence(writer);
        wal_make_record(sequence, script->generation, &record);
        if (lum__wal_append(writer, &record)) {
            if (record.sequence != sequence)
                return lum__fail(LUM_ERR_ARGUMENT, "append gave another number than it said");
            script->generations[sequence] = script->generation;
            note(script, writer);
            return LUM_OK;
        }
        LUM_TRY(lum__wal_write(writer));
        /* The seal's write may fail and yet reach the disk, so its number counts as handed out. */
        script->appended = lum__wal_next_sequence(writer);
        LUM_TRY(lum__wal_reserve(writer, lum__wal_record_bytes(&record)));
        note(script, writer);
    }
}

lum_status wal_script_batch(struct wal_script *script, struct lum__wal_writer *writer, uint32_t count, bool sync)
{
    for (uint32_t i = 0; i < count; i++) LUM_TRY(append_one(script, writer));
    LUM_TRY(lum__wal_write(writer));
    if (!sync) return LUM_OK;
    LUM_TRY(lum__wal_sync(writer));
    note(script, writer);
    return LUM_OK;
}

static lum_status checkpoint(struct wal_script *script, struct lum__wal_writer *writer)
{
    LUM_TRY(lum__wal_sync(writer));
    note(script, writer);
    script->older = script->newest;
    lum__wal_position(writer, &script->newest);
    if (script->older.segment == 0) return LUM_OK;
    return lum__wal_recycle(writer, script->older.segment, lum__splitmix64(&script->rng) % 4 != 0);
}

lum_status wal_script_run(struct wal_script *script, struct lum__wal_writer *writer, uint32_t count)
{
    while (count > 0) {
        uint64_t random = lum__splitmix64(&script->rng);
        uint32_t batch = 1 + (uint32_t)(random % (random & 256 ? 8 : 60));
        if (batch > count) batch = count;
        count -= batch;
        if ((random >> 16) % 3 == 0) {
            script->appended = lum__wal_next_sequence(writer);
            LUM_TRY(lum__wal_reserve(writer, (uint32_t)(random >> 20) % (script->batch_bytes_max + 1)));
            note(script, writer);
        }
        LUM_TRY(wal_script_batch(script, writer, batch, (random >> 32) % 3 != 0));
        if ((random >> 40) % 6 == 0) LUM_TRY(checkpoint(script, writer));
    }
    return LUM_OK;
}

static char problem[512];

__attribute__((format(printf, 1, 2))) static const char *violation(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem, sizeof problem, format, arguments);
    va_end(arguments);
    return problem;
}

const char *wal_script_check(const struct wal_script *script, struct lum__fs *fs, const struct lum__log_position *from,
                             bool direct, struct lum__wal_evidence *end)
{
    struct lum__wal_reader *reader = NULL;
    struct lum__wal_record record;
    const char *wrong = "";
    memset(end, 0, sizeof *end);
    lum_status status = lum__wal_reader_open(fs, wal_store_id, from, NULL, direct, &reader);
    uint64_t sequence = from->sequence;
    while (status == LUM_OK && (status = lum__wal_reader_next(reader, &record)) == LUM_OK) {
        if (record.sequence != ++sequence)
            wrong = violation("record %" PRIu64 " follows %" PRIu64, record.sequence, sequence - 1);
        if (!wal_script_is_right(script, &record, false))
            wrong = violation("record %" PRIu64 " is not what was appended", record.sequence);
    }
    if (status == LUM_END) status = lum__wal_reader_evidence(reader, end);
    lum__wal_reader_close(reader);
    if (status != LUM_OK) return violation("reading failed: %s", lum__error_last()->message);
    if (*wrong != 0) return wrong;
    if (end->position.sequence != sequence)
        return violation("position %" PRIu64 ", not %" PRIu64, end->position.sequence, sequence);
    if (sequence > script->appended)
        return violation("read up to %" PRIu64 ", appended up to %" PRIu64, sequence, script->appended);
    if (sequence < script->durable)
        return violation("read up to %" PRIu64 ", durable up to %" PRIu64 ": %s", sequence, script->durable,
                         end->message);
    if (sequence < end->watermark_behind || sequence < end->watermark_accepted)
        return violation("evidence of lost data: read up to %" PRIu64 ", watermarks %" PRIu64 " and %" PRIu64, sequence,
                         end->watermark_accepted, end->watermark_behind);
    if (end->stop == LUM__WAL_STOP_NO_SEGMENT) return violation("%s", end->message);
    return "";
}

void wal_script_cut(struct wal_script *script, const struct lum__log_position *end)
{
    for (uint64_t i = end->sequence + 1; i < WAL_SCRIPT_SEQUENCES; i++) script->generations[i] = 0;
    script->generation++;
    script->epoch++;
    script->appended = end->sequence;
    script->durable = end->sequence;
}
