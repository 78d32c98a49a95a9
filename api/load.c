/* Loading: checks the arguments, makes the buffer pool, runs pipeline/loader.c. */
#include <stdlib.h>
#include <string.h>

#include "api/store.h"
#include "base/status.h"
#include "storage/chunk.h"

lum_status lum_source_fail(const char *file, uint64_t line, uint64_t offset, const char *message)
{
    lum_status status =
        lum__fail_at(__FILE__, __LINE__, LUM_ERR_INPUT, 0, file, offset, 0, "%s", message != NULL ? message : "the source refused its input");
    lum__error_set_line(line);
    return status;
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
            status = lum__fail(LUM_ERR_MEMORY_LIMIT,
                               "%llu MiB of memory are too little for %u threads with chunks of %u LUMs: at least %llu MiB are needed",
                               (unsigned long long)(options->memory_bytes_max >> 20), options->threads, options->chunk_lums,
                               (unsigned long long)(needed >> 20) + 1);
        } else {
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
    LUM_TRY(lum__store_make_pool(store));
    struct lum__load_context context = {.fs = store->fs,
                                        .lock_file = store->lock_file,
                                        .segments = store->parts.segments,
                                        .sequencer = store->sequencer,
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
