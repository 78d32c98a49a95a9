#include <stdlib.h>

#include "api/store.h"
#include "base/parallel.h"
#include "base/status.h"

#define MIB ((uint64_t)1 << 20)

/* The numbers and where they come from: docs/architecture.md, "Defaults". */
static void fill_defaults(lum_options *options)
{
    if (options->threads == 0) options->threads = lum__cpu_count();
    if (options->chunk_lums == 0) options->chunk_lums = LUM_CHUNK_LUMS_DEFAULT;
    if (options->memory_bytes_max == 0) {
        options->memory_bytes_max = 48 * MIB * options->threads;
        if (options->memory_bytes_max < 128 * MIB) options->memory_bytes_max = 128 * MIB;
    }
    if (options->sync_interval_ms == 0) options->sync_interval_ms = 100;
    if (options->wal_segment_bytes == 0) options->wal_segment_bytes = 4 * MIB;
    if (options->data_segment_bytes_max == 0) options->data_segment_bytes_max = 1024 * MIB;
    if (options->checkpoint_wal_bytes == 0) options->checkpoint_wal_bytes = 64 * MIB;
    if (options->max_recovery_attempts == 0) options->max_recovery_attempts = 3;
    if (options->max_recovery_ms == 0) options->max_recovery_ms = 10000;
}

lum_status lum__options_resolve(const lum_options *options, lum_options *out)
{
    static const lum_options defaults = LUM_OPTIONS_INIT;
    *out = options != NULL ? *options : defaults;
    if (out->struct_version != 1) {
        return lum__fail(LUM_ERR_VERSION, "lum_options.struct_version is %u; this library knows 1", out->struct_version);
    }
    fill_defaults(out);
    if (out->chunk_lums < LUM_CHUNK_LUMS_MIN || out->chunk_lums > LUM_CHUNK_LUMS_MAX || out->chunk_lums % LUM__PAGE_ROWS_MAX != 0) {
        return lum__fail(LUM_ERR_ARGUMENT, "a chunk of %u LUMs: it must be a multiple of 4096 from %d to %d", out->chunk_lums,
                         LUM_CHUNK_LUMS_MIN, LUM_CHUNK_LUMS_MAX);
    }
    if (out->threads > 1024) return lum__fail(LUM_ERR_ARGUMENT, "%u threads: 1024 is the most", out->threads);
    if ((unsigned)out->sync_mode > LUM_SYNC_NONE) return lum__fail(LUM_ERR_ARGUMENT, "sync mode %d is not known", (int)out->sync_mode);
    if (out->wal_segment_bytes % 4096 != 0 || out->wal_segment_bytes < 64 * 1024 || out->wal_segment_bytes > 1024 * MIB) {
        return lum__fail(LUM_ERR_ARGUMENT, "log segments of %llu bytes: a multiple of 4096 from 64 KiB to 1 GiB is needed",
                         (unsigned long long)out->wal_segment_bytes);
    }
    if (out->data_segment_bytes_max < 64 * MIB) {
        return lum__fail(LUM_ERR_ARGUMENT, "data segments of %llu bytes: 64 MiB is the least",
                         (unsigned long long)out->data_segment_bytes_max);
    }
    return LUM_OK;
}
