/* Opening, closing and describing a store. States: api/store.h. */
#include "api/store.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "base/status.h"
#include "storage/header.h"

/* jemalloc's figures where the program is linked with it; liblum itself never links it (a dlopen'ed library could not). */
int mallctl(const char *name, void *old, size_t *old_bytes, void *new_value, size_t new_bytes) __attribute__((weak));

const char *lum_version(void) { return LUM_VERSION_STRING; }

uint32_t lum_cpu_count(void) { return lum__cpu_count(); }

const char *lum_store_state_name(enum lum_store_state state)
{
    static const char *const names[] = {"normal", "crash_detected", "recovering", "recovered", "failed"};
    return (unsigned)state < sizeof names / sizeof names[0] ? names[state] : "unknown";
}

lum_status lum__store_check(const lum_store *store)
{
    if (store == NULL) return lum__fail(LUM_ERR_ARGUMENT, "the store is NULL");
    if (store->pid != getpid()) {
        return lum__fail(LUM_ERR_FORKED, "the store was opened by process %d and cannot be used in its child %d; open it again here",
                         (int)store->pid, (int)getpid());
    }
    return LUM_OK;
}

lum_status lum__store_check_writable(const lum_store *store)
{
    LUM_TRY(lum__store_check(store));
    if (!store->is_writer) return lum__fail(LUM_ERR_READ_ONLY, "the store was opened for reading only");
    return lum__sequencer_check(store->sequencer);
}

/* ------------------------------------------------------------------------------------------------------- opening */

/* Takes the lock of an existing store, or makes a new one. */
static lum_status lock_or_create(lum_store *store, const char *directory)
{
    lum_status status = lum__store_lock(store->fs, &store->lock_file);
    if (status == LUM_OK) {
        struct lum__state state;
        status = lum__state_read(store->fs, &state);
        if (status != LUM_ERR_NOT_FOUND) return status;
        LUM_TRY(lum__file_close(store->lock_file)); /* a creation that was interrupted */
        store->lock_file = NULL;
    }
    if (status != LUM_ERR_NOT_FOUND) return status;
    if (!store->options.create) {
        return lum__fail_at(__FILE__, __LINE__, LUM_ERR_NOT_FOUND, 0, directory, LUM_NO_OFFSET, 0, "there is no lum store in %s", directory);
    }
    return lum__store_create(store->fs, &store->options, &store->lock_file);
}

static lum_status open_writer(lum_store *store, const char *directory)
{
    struct lum__fs_features features;
    lum__fs_features(store->fs, &features);
    if (features.read_only) return lum__fail(LUM_ERR_PERMISSION, "%s cannot be written", directory);
    if (features.remote && !store->options.force_filesystem) {
        return lum__fail(LUM_ERR_FILESYSTEM, "%s is on %s: a remote file system may lose synced data and locks", directory, features.fs_type);
    }
    LUM_TRY(lock_or_create(store, directory));
    LUM_TRY(lum__parts_open(store->fs, &store->options, store->options.threads, store->options.memory_bytes_max, &store->parts));
    store->is_writer = true;
    store->catalogue = store->parts.catalogue;
    memcpy(store->store_id, store->parts.store_id, sizeof store->store_id);
    struct lum__sequencer_options sequencer_options = {.sync_mode = store->options.sync_mode,
                                                       .sync_interval_ms = store->options.sync_interval_ms,
                                                       .checkpoint_wal_bytes = store->options.checkpoint_wal_bytes,
                                                       .max_recovery_ms = store->options.max_recovery_ms,
                                                       .row_bytes_max = store->options.memory_bytes_max / 8};
    return lum__sequencer_start(&store->parts, store->lock_file, &sequencer_options, &store->sequencer);
}

static lum_status open_reader(lum_store *store)
{
    bool writer_alive = false;
    LUM_TRY(lum__store_lock_shared(store->fs, &store->lock_file, &writer_alive));
    struct lum__plan_options plan_options = {.workers = store->options.threads,
                                             .memory_bytes_max = store->options.memory_bytes_max,
                                             .for_reading = true,
                                             .writer_alive = writer_alive,
                                             .lock_file = store->lock_file};
    LUM_TRY(lum__plan_make(store->fs, &plan_options, &store->plan));
    store->catalogue = store->plan.catalogue;
    memcpy(store->store_id, store->plan.state.store_id, sizeof store->store_id);
    return LUM_OK;
}

/* Releases whatever was opened; the lock last of all. */
static lum_status release(lum_store *store, lum_status status)
{
    if (store->files != NULL) lum__segment_files_close(store->files);
    lum__pool_destroy(store->pool);
    if (!store->is_writer) lum__plan_fini(&store->plan);
    if (store->lock_file != NULL) {
        lum_status closed = lum__file_close(store->lock_file);
        if (status == LUM_OK) status = closed;
    }
    if (store->fs != NULL) lum__fs_close(store->fs);
    pthread_mutex_destroy(&store->mutex);
    free(store);
    return status;
}

lum_status lum__store_open_fs(struct lum__fs *fs, const char *directory, const lum_options *options, lum_store **out)
{
    *out = NULL;
    lum_store *store = NULL;
    lum_status status = lum__alloc_zeroed(1, sizeof *store, (void **)&store);
    if (status != LUM_OK) {
        lum__fs_close(fs);
        return status;
    }
    store->fs = fs;
    store->options = *options;
    store->pid = getpid();
    pthread_mutex_init(&store->mutex, NULL);
    status = options->read_only ? open_reader(store) : open_writer(store, directory);
    if (status == LUM_OK) status = lum__segment_files_open(store->fs, store->store_id, true, &store->files);
    if (status != LUM_OK) {
        struct lum__error error = *lum__error_last();
        if (store->sequencer != NULL) lum__sequencer_stop(store->sequencer);
        if (store->is_writer) lum__parts_abandon(&store->parts);
        release(store, status);
        lum__error_restore(&error);
        return status;
    }
    *out = store;
    return LUM_OK;
}

lum_status lum_open(const char *directory, const lum_options *options, lum_store **out)
{
    if (out == NULL || directory == NULL) return lum__fail(LUM_ERR_ARGUMENT, "lum_open needs a directory and a place for the handle");
    *out = NULL;
    lum_options resolved;
    LUM_TRY(lum__options_resolve(options, &resolved));
    struct lum__fs_os_options fs_options = {.create = resolved.create && !resolved.read_only, .read_only = resolved.read_only};
    struct lum__fs *fs = NULL;
    LUM_TRY(lum__fs_open_os(directory, &fs_options, &fs));
    return lum__store_open_fs(fs, directory, &resolved, out);
}

lum_status lum_close(lum_store *store)
{
    if (store == NULL) return LUM_OK;
    LUM_TRY(lum__store_check(store));
    lum_status status = LUM_OK;
    if (store->is_writer) {
        lum__store_end_transactions(store);
        status = lum__sequencer_stop(store->sequencer); /* after it nobody writes, so this is the last word on whether a sync failed */
        if (status == LUM_OK) status = lum__parts_close_clean(&store->parts, store->lock_file);
        else lum__parts_abandon(&store->parts);
    }
    return release(store, status);
}

/* ----------------------------------------------------------------------------------------------- sync, checkpoint */

lum_status lum_sync(lum_store *store, uint64_t *durable_sequence)
{
    if (durable_sequence != NULL) *durable_sequence = 0;
    LUM_TRY(lum__store_check_writable(store));
    return lum__sequencer_ask(store->sequencer, LUM__REQUEST_SYNC, durable_sequence);
}

lum_status lum_checkpoint(lum_store *store)
{
    LUM_TRY(lum__store_check_writable(store));
    return lum__sequencer_ask(store->sequencer, LUM__REQUEST_CHECKPOINT, NULL);
}

/* ---------------------------------------------------------------------------------------------------- describing */

struct disk_usage {
    struct lum__fs *fs;
    const char *folder;
    uint64_t bytes;
};

static lum_status add_file(void *context, const char *name)
{
    struct disk_usage *usage = context;
    char path[LUM__PATH_BYTES_MAX];
    size_t folder_bytes = strlen(usage->folder), name_bytes = strlen(name);
    if (folder_bytes + 1 + name_bytes >= sizeof path) return LUM_OK; /* not one of ours */
    memcpy(path, usage->folder, folder_bytes);
    if (folder_bytes > 0) path[folder_bytes++] = '/';
    memcpy(path + folder_bytes, name, name_bytes + 1);
    struct lum__file *file = NULL;
    if (lum__fs_open_file(usage->fs, path, LUM__OPEN_READ, &file) != LUM_OK) return LUM_OK; /* a folder, or gone meanwhile */
    struct lum__file_info info;
    lum_status status = lum__file_info(file, &info);
    if (status == LUM_OK) usage->bytes += info.allocated_bytes;
    lum_status closed = lum__file_close(file);
    return status != LUM_OK ? status : closed;
}

lum_status lum__store_bytes_on_disk(struct lum__fs *fs, uint64_t *out)
{
    static const char *const folders[] = {"", "wal", "data", "emergency"};
    *out = 0;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        struct disk_usage usage = {.fs = fs, .folder = folders[i]};
        lum_status status = lum__fs_list(fs, folders[i], add_file, &usage);
        if (status != LUM_OK && status != LUM_ERR_NOT_FOUND) return status;
        *out += usage.bytes;
    }
    return LUM_OK;
}

lum_status lum_info(lum_store *store, lum_info_data *out)
{
    LUM_TRY(lum__store_check(store));
    if (out == NULL || out->struct_version != 1) return lum__fail(LUM_ERR_VERSION, "lum_info_data.struct_version must be 1");
    *out = (lum_info_data)LUM_INFO_INIT;
    const struct lum__catalogue_version *version = lum__catalogue_pin(store->catalogue);
    memcpy(out->store_id, store->store_id, sizeof out->store_id);
    out->format_version = LUM__FORMAT_VERSION;
    out->lum_count = version->lum_count;
    out->chunk_count = version->chunk_count;
    out->transaction_count = version->committed_count;
    out->data_bytes = version->data_bytes;
    out->digest = version->digest;
    lum__catalogue_unpin(store->catalogue, version);
    if (store->is_writer) {
        struct lum__sequencer_stats stats;
        lum__sequencer_stats(store->sequencer, &stats);
        out->state = store->parts.state.state;
        out->last_sequence = stats.last_sequence;
        out->durable_sequence = stats.durable_sequence;
        out->checkpoint_sequence = stats.checkpoint_sequence;
        out->checkpoint_number = stats.checkpoint_number;
    } else {
        out->state = store->plan.needs_recovery && store->plan.state.state == LUM_STATE_NORMAL ? LUM_STATE_CRASH_DETECTED : store->plan.state.state;
        out->needs_recovery = store->plan.needs_recovery;
        out->last_sequence = store->plan.end.sequence;
        out->durable_sequence = store->plan.durable_sequence;
        out->checkpoint_sequence = store->plan.checkpoint.replay.sequence;
        out->checkpoint_number = store->plan.checkpoint.number;
    }
    LUM_TRY(lum__store_held(store->fs, store->store_id, out));
    return lum__store_bytes_on_disk(store->fs, &out->bytes_on_disk);
}

/* The texts of a transaction with a NUL behind each; successive transactions share theirs. */
struct texts {
    const uint8_t *items; /* that they were copied from */
    char *mapping, *sources;
};

static lum_status copy_text(const struct lum__metadata *metadata, uint16_t kind, char **out)
{
    uint32_t byte_count;
    const uint8_t *bytes = lum__metadata_find(metadata, kind, &byte_count);
    free(*out);
    *out = NULL;
    LUM_TRY(lum__alloc((size_t)byte_count + 1, (void **)out));
    if (byte_count > 0) memcpy(*out, bytes, byte_count);
    (*out)[byte_count] = 0;
    return LUM_OK;
}

static lum_status show_texts(const struct lum__metadata *metadata, struct texts *texts, lum_transaction_data *data)
{
    data->mapping = data->source_names = "";
    if (metadata->items == NULL) return LUM_OK;
    if (metadata->items != texts->items) {
        texts->items = NULL;
        LUM_TRY(copy_text(metadata, LUM__METADATA_MAPPING, &texts->mapping));
        LUM_TRY(copy_text(metadata, LUM__METADATA_SOURCES, &texts->sources));
        texts->items = metadata->items;
    }
    data->mapping = texts->mapping;
    data->source_names = texts->sources;
    return LUM_OK;
}

lum_status lum_transactions(lum_store *store, lum_status (*each)(void *context, const lum_transaction_data *transaction), void *context)
{
    LUM_TRY(lum__store_check(store));
    const struct lum__catalogue_version *version = lum__catalogue_pin(store->catalogue);
    struct texts texts = {0};
    lum_status status = LUM_OK;
    for (size_t i = 0; i < version->transaction_count; i++) {
        const struct lum__transaction *transaction = &version->transactions[i];
        lum_transaction_data data = {.transaction_id = transaction->transaction_id,
                                     .commit_sequence = transaction->commit_sequence,
                                     .commit_timestamp = transaction->commit_timestamp,
                                     .lum_count = transaction->lum_count,
                                     .chunk_count = transaction->chunk_count,
                                     .digest = transaction->digest,
                                     .label = transaction->label,
                                     .run_count = transaction->run_count > 0 ? transaction->run_count : 1,
                                     .first_sequence = transaction->commit_sequence - transaction->run_span,
                                     .is_in_run = transaction->is_member};
        LUM_TRY_OUT(show_texts(&transaction->metadata, &texts, &data));
        LUM_TRY_OUT(each(context, &data));
    }
out:
    free(texts.mapping);
    free(texts.sources);
    lum__catalogue_unpin(store->catalogue, version);
    return status;
}

static const char *io_mode_name(const struct lum__fs_features *features)
{
    if (features->direct_io) return features->io_uring ? "direct+uring" : "direct+posix";
    return features->io_uring ? "buffered+uring" : "buffered+posix";
}

static uint64_t allocator_bytes(void)
{
    uint64_t epoch = 1;
    size_t allocated = 0, bytes = sizeof epoch;
    if (mallctl == NULL || mallctl("epoch", &epoch, &bytes, &epoch, bytes) != 0) return 0;
    bytes = sizeof allocated;
    return mallctl("stats.allocated", &allocated, &bytes, NULL, 0) == 0 ? allocated : 0;
}

lum_status lum_stats(lum_store *store, lum_stats_data *out)
{
    LUM_TRY(lum__store_check(store));
    if (out == NULL || out->struct_version != 1) return lum__fail(LUM_ERR_VERSION, "lum_stats_data.struct_version must be 1");
    *out = (lum_stats_data)LUM_STATS_INIT;
    struct lum__fs_features features;
    lum__fs_features(store->fs, &features);
    if (store->is_writer) {
        struct lum__sequencer_stats stats;
        lum__sequencer_stats(store->sequencer, &stats);
        out->sync_count = stats.sync_count;
        out->batch_count = stats.batch_count;
        out->commit_count = stats.commit_count;
        out->log_bytes_written = stats.log_bytes_written;
    }
    out->data_bytes_written = atomic_load_explicit(&store->data_bytes_written, memory_order_relaxed);
    out->producer_write_wait_ns = atomic_load_explicit(&store->producer_write_wait_ns, memory_order_relaxed);
    pthread_mutex_lock(&store->mutex);
    if (store->pool != NULL) out->pool_wait_ns = lum__pool_wait_ns(store->pool);
    pthread_mutex_unlock(&store->mutex);
    out->memory_bytes_peak = lum__memory_peak_bytes();
    out->allocator_bytes = allocator_bytes();
    out->io_mode = io_mode_name(&features);
    out->simd_level = lum__simd_level();
    memcpy(out->fs_type, features.fs_type, sizeof out->fs_type);
    out->threads = store->options.threads;
    out->chunk_lums = store->options.chunk_lums;
    out->memory_bytes_max = store->options.memory_bytes_max;
    out->others_may_write = features.others_may_write;
    return LUM_OK;
}
