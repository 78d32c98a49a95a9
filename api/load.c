/* Loading: checks the arguments, makes the buffer pool, runs pipeline/loader.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/store.h"
#include "base/bytes.h"
#include "base/memory.h"
#include "base/status.h"
#include "storage/chunk.h"
#include "storage/page.h"
#include "storage/record.h"

lum_status lum_source_fail(const char *file, uint64_t line, uint64_t offset, const char *message)
{
    lum_status status =
        lum__fail_at(__FILE__, __LINE__, LUM_ERR_INPUT, 0, file, offset, 0, "%s", message != NULL ? message : "the source refused its input");
    lum__error_set_line(line);
    return status;
}

#define MIB (1024 * 1024)
#define GATHERING_BYTES ((size_t)2 << 20)

/* In the largest unit that tells it to a hundredth or so; exact where it is a whole number of them. */
static void write_bytes(uint64_t bytes, char out[24])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB"};
    unsigned unit = 0;
    uint64_t whole = bytes;
    while (unit < 3 && (whole >= 100 * 1024 || (whole >= 1024 && whole % 1024 == 0))) {
        whole /= 1024;
        unit++;
    }
    (void)snprintf(out, 24, "%llu %s", (unsigned long long)whole, units[unit]);
}

/* Five eighths of the memory are chunk buffers; the rest is rows, columns, the log's batch, the catalogue and the program. Four buffers a
 * producer are the most that help: one being filled, three on their way to the disk. */
lum_status lum__store_make_pool(lum_store *store)
{
    lum_status status = LUM_OK;
    pthread_mutex_lock(&store->mutex);
    if (store->pool == NULL) {
        const lum_options *options = &store->options;
        size_t buffer_bytes = lum__chunk_bytes_max(options->chunk_lums);
        uint64_t count = options->memory_bytes_max / 8 * 5 / buffer_bytes;
        if (count > (uint64_t)options->threads * 4) count = (uint64_t)options->threads * 4;
        if (count < (uint64_t)options->threads + 1) {
            uint64_t needed = ((uint64_t)options->threads + 1) * buffer_bytes / 5 * 8;
            char given[24], least[24];
            write_bytes(options->memory_bytes_max, given);
            write_bytes(lum__round_up(needed + 8, MIB), least); /* 8: of the divisions */
            status = lum__fail(LUM_ERR_MEMORY_LIMIT, "%s of memory are too little for %u thread%s with chunks of %u LUMs: at least %s are needed",
                               given, options->threads, options->threads == 1 ? "" : "s", options->chunk_lums, least);
        } else {
            /* room for small chunks to be gathered */
            size_t share = options->memory_bytes_max / 8 * 5 / count / LUM__CHUNK_ALIGNMENT * LUM__CHUNK_ALIGNMENT;
            if (share > GATHERING_BYTES) share = GATHERING_BYTES;
            if (buffer_bytes < share) buffer_bytes = share;
            status = lum__pool_create((uint32_t)count, buffer_bytes, &store->pool);
        }
    }
    pthread_mutex_unlock(&store->mutex);
    return status;
}

static lum_status check_arguments(const lum_source *source, const lum_load_options *options, const lum_load_report *report)
{
    if (source == NULL || source->struct_version != 1 || report == NULL || report->struct_version != 1 ||
        (options != NULL && options->struct_version != 1)) {
        return lum__fail(LUM_ERR_VERSION, "struct_version of source, options and report must be 1");
    }
    if (source->open_piece == NULL || (source->fill == NULL && source->fill_columns == NULL)) {
        return lum__fail(LUM_ERR_ARGUMENT, "a source needs open_piece and fill or fill_columns");
    }
    if (options != NULL && options->label != NULL && strlen(options->label) > LUM__WAL_LABEL_BYTES_MAX) {
        return lum__fail(LUM_ERR_ARGUMENT, "a label of %zu bytes: 255 is the most", strlen(options->label));
    }
    return LUM_OK;
}

lum_status lum_load(lum_store *store, const lum_source *source, const lum_load_options *options, lum_load_report *report)
{
    static const lum_load_options defaults = LUM_LOAD_OPTIONS_INIT;
    LUM_TRY(check_arguments(source, options, report));
    *report = (lum_load_report)LUM_LOAD_REPORT_INIT;
    LUM_TRY(lum__store_check_writable(store));
    /* Now, so that nobody waits for a load that cannot be committed; the sequencer looks again at each commit. */
    if (options != NULL && options->label != NULL) LUM_TRY(lum__store_check_label(store, options->label, options->label_after));
    LUM_TRY(lum__store_make_pool(store));
    struct lum__load_context context = {.fs = store->fs,
                                        .lock_file = store->lock_file,
                                        .segments = store->parts.segments,
                                        .sequencer = store->sequencer,
                                        .disk_full = &store->parts.disk_full,
                                        .pool = store->pool,
                                        .chunk_lums = store->options.chunk_lums,
                                        .workers = store->options.threads};
    memcpy(context.store_id, store->store_id, sizeof context.store_id);
    if (options == NULL) options = &defaults;
    uint8_t *texts;
    LUM_TRY(lum__metadata_build(options->mapping, options->source_names, &texts, &context.metadata.item_bytes));
    context.metadata.items = texts;
    uint64_t write_wait_ns = 0;
    lum_status status = lum__load(&context, source, options, report, &write_wait_ns);
    free(texts);
    atomic_fetch_add_explicit(&store->producer_write_wait_ns, write_wait_ns, memory_order_relaxed);
    atomic_fetch_add_explicit(&store->data_bytes_written, report->bytes_written, memory_order_relaxed);
    return status;
}

/* Rows into chunks that nobody will write; *bytes: what they would take. */
static lum_status encode_rows(const lum_t *rows, size_t row_count, uint32_t chunk_lums, uint8_t *buffer, struct lum__page_scratch *scratch,
                              uint64_t *bytes)
{
    struct lum__chunk_builder builder;
    lum__chunk_begin(&builder, buffer, lum__chunk_row_room(row_count, chunk_lums), scratch);
    for (size_t row = 0; row < row_count;) {
        struct lum__page_summary summary = {0};
        size_t page_rows = row_count - row < LUM__PAGE_ROWS_MAX ? row_count - row : LUM__PAGE_ROWS_MAX;
        lum_status status = lum__chunk_add_rows(&builder, rows + row, (uint32_t)page_rows, false, &summary);
        if (status == LUM_ERR_INPUT) {
            return lum__fail(LUM_ERR_INPUT, "row %llu: %s", (unsigned long long)(row + summary.row_fault_index) + 1,
                             lum__row_fault_text((enum lum__row_fault)summary.row_fault));
        }
        LUM_TRY(status);
        row += page_rows;
        if (row < row_count && builder.row_count < chunk_lums) continue;
        *bytes += lum__chunk_sealed_bytes(&builder);
        lum__chunk_begin(&builder, buffer, lum__chunk_row_room(row_count - row, chunk_lums), scratch);
    }
    return LUM_OK;
}

lum_status lum_encoded_size(const lum_t *rows, size_t row_count, uint32_t chunk_lums, uint64_t *bytes)
{
    *bytes = 0;
    if (chunk_lums == 0) chunk_lums = LUM_CHUNK_LUMS_DEFAULT;
    if (chunk_lums < LUM_CHUNK_LUMS_MIN || chunk_lums > LUM_CHUNK_LUMS_MAX || chunk_lums % LUM__PAGE_ROWS_MAX != 0) {
        return lum__fail(LUM_ERR_ARGUMENT, "chunk_lums is a multiple of %d from %d to %d", LUM__PAGE_ROWS_MAX, LUM_CHUNK_LUMS_MIN, LUM_CHUNK_LUMS_MAX);
    }
    size_t scratch_bytes = (lum__page_scratch_bytes() + 63) / 64 * 64;
    uint8_t *buffer = aligned_alloc(LUM__IO_ALIGNMENT, (lum__chunk_bytes_max(chunk_lums) + LUM__IO_ALIGNMENT - 1) / LUM__IO_ALIGNMENT * LUM__IO_ALIGNMENT);
    void *scratch = aligned_alloc(64, scratch_bytes);
    lum_status status = LUM_OK;
    if (buffer == NULL || scratch == NULL) status = lum__fail(LUM_ERR_NO_MEMORY, "out of memory for a chunk");
    else status = encode_rows(rows, row_count, chunk_lums, buffer, scratch, bytes);
    free(buffer);
    free(scratch);
    return status;
}
