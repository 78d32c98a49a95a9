/* file_record.c - see file_record.h. Each call: begin an event, ask the inner file table, end the event. */
#include "storage/file_record.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/status.h"

/* --- the list --- */

struct lum__recording {
    pthread_mutex_t mutex; /* over everything below */
    struct lum__event *events;
    size_t count, capacity;
    uint64_t order;
};

static const char *const kind_names[LUM__EVENT_KINDS] = {
    "note",  "mkdir",    "open",  "create",   "close", "rename", "unlink", "sync_dir",    "list",      "read",
    "write", "allocate", "punch", "truncate", "sync",  "lock",   "unlock", "queue_write", "queue_read"};

const char *lum__event_kind_name(enum lum__event_kind kind)
{
    LUM_ASSERT((unsigned)kind < LUM__EVENT_KINDS);
    return kind_names[kind];
}

struct lum__recording *lum__recording_create(void)
{
    struct lum__recording *recording = calloc(1, sizeof *recording);
    LUM_ASSERT(recording != NULL);
    pthread_mutex_init(&recording->mutex, NULL);
    return recording;
}

void lum__recording_destroy(struct lum__recording *recording)
{
    if (recording == NULL) return;
    pthread_mutex_destroy(&recording->mutex);
    free(recording->events);
    free(recording);
}

void lum__recording_clear(struct lum__recording *recording)
{
    pthread_mutex_lock(&recording->mutex);
    recording->count = 0;
    pthread_mutex_unlock(&recording->mutex);
}

static uint32_t this_thread(void)
{
    static uint32_t thread_count;
    static _Thread_local uint32_t own;
    if (own == 0) own = __atomic_add_fetch(&thread_count, 1, __ATOMIC_RELAXED);
    return own;
}

/* Answers the event's index, by which it is ended. */
static size_t begin(struct lum__recording *recording, enum lum__event_kind kind, const char *path, uint64_t offset,
                    uint64_t bytes)
{
    pthread_mutex_lock(&recording->mutex);
    if (recording->count == recording->capacity) {
        recording->capacity = recording->capacity == 0 ? 1024 : recording->capacity * 2;
        recording->events = realloc(recording->events, recording->capacity * sizeof *recording->events);
        LUM_ASSERT(recording->events != NULL);
    }
    size_t index = recording->count++;
    struct lum__event *event = &recording->events[index];
    *event = (struct lum__event){
        .kind = kind, .begin = ++recording->order, .thread = this_thread(), .offset = offset, .bytes = bytes};
    snprintf(event->path, sizeof event->path, "%s", path);
    pthread_mutex_unlock(&recording->mutex);
    return index;
}

static lum_status end(struct lum__recording *recording, size_t index, lum_status status, int64_t moved)
{
    pthread_mutex_lock(&recording->mutex);
    LUM_ASSERT(index < recording->count);
    struct lum__event *event = &recording->events[index];
    LUM_ASSERT(event->end == 0);
    event->end = ++recording->order;
    event->status = status;
    event->moved = moved;
    pthread_mutex_unlock(&recording->mutex);
    return status;
}

void lum__recording_note(struct lum__recording *recording, const char *text, uint64_t value)
{
    (void)end(recording, begin(recording, LUM__EVENT_NOTE, text, 0, value), LUM_OK, 0);
}

size_t lum__recording_count(struct lum__recording *recording)
{
    pthread_mutex_lock(&recording->mutex);
    size_t count = recording->count;
    pthread_mutex_unlock(&recording->mutex);
    return count;
}

struct lum__event lum__recording_get(struct lum__recording *recording, size_t index)
{
    pthread_mutex_lock(&recording->mutex);
    LUM_ASSERT(index < recording->count);
    struct lum__event event = recording->events[index];
    pthread_mutex_unlock(&recording->mutex);
    return event;
}

size_t lum__recording_find(struct lum__recording *recording, size_t from, enum lum__event_kind kind,
                           const char *path_prefix)
{
    size_t found = SIZE_MAX;
    pthread_mutex_lock(&recording->mutex);
    for (size_t i = from; i < recording->count && found == SIZE_MAX; i++) {
        const struct lum__event *event = &recording->events[i];
        if (event->kind == kind && strncmp(event->path, path_prefix, strlen(path_prefix)) == 0) found = i;
    }
    pthread_mutex_unlock(&recording->mutex);
    return found;
}

void lum__recording_print(struct lum__recording *recording, FILE *out)
{
    size_t count = lum__recording_count(recording);
    fprintf(out, "%8s %8s %6s %-11s %-20s %12s %12s  result\n", "begin", "end", "thread", "call", "path", "offset",
            "bytes");
    for (size_t i = 0; i < count; i++) {
        struct lum__event event = lum__recording_get(recording, i);
        fprintf(out, "%8" PRIu64 " %8" PRIu64 " %6u %-11s %-20s %12" PRIu64 " %12" PRIu64 "  %s%s%s\n", event.begin,
                event.end, event.thread, lum__event_kind_name(event.kind), event.path, event.offset, event.bytes,
                event.end == 0 ? "under way" : lum_status_name(event.status), event.other_path[0] ? " -> " : "",
                event.other_path);
    }
}

/* --- the file table --- */

struct record_fs {
    struct lum__fs base;
    struct lum__fs *inner;
    struct lum__recording *recording;
};

struct record_file {
    struct lum__file base;
    struct lum__file *inner;
};

struct record_request {
    uint64_t user;
    size_t event;
    uint32_t bytes;
    bool is_used;
};

struct record_queue {
    struct lum__io_queue base;
    struct lum__io_queue *inner;
    uint32_t depth;
    struct record_request requests[];
};

static struct record_fs *as_fs(struct lum__fs *fs) { return (struct record_fs *)fs; }
static struct lum__file *inner_of(struct lum__file *file) { return ((struct record_file *)file)->inner; }
static struct lum__recording *recording_of(struct lum__file *file) { return as_fs(file->fs)->recording; }

/* The inner file may have given direct I/O up in the call. */
static void refresh(struct lum__file *file)
{
    __atomic_store_n(&file->is_direct, lum__file_is_direct(inner_of(file)), __ATOMIC_RELAXED);
}

static void record_close(struct lum__fs *fs)
{
    lum__fs_close(as_fs(fs)->inner);
    free(fs);
}

static void record_features(struct lum__fs *fs, struct lum__fs_features *out)
{
    lum__fs_features(as_fs(fs)->inner, out);
}

static lum_status record_mkdir(struct lum__fs *fs, const char *path)
{
    size_t event = begin(as_fs(fs)->recording, LUM__EVENT_MKDIR, path, 0, 0);
    return end(as_fs(fs)->recording, event, lum__fs_mkdir(as_fs(fs)->inner, path), 0);
}

static lum_status record_open(struct lum__fs *fs, const char *path, unsigned flags, struct lum__file **out)
{
    struct lum__recording *recording = as_fs(fs)->recording;
    void *memory = NULL;
    LUM_TRY(lum__alloc_zeroed(1, sizeof(struct record_file), &memory));
    struct record_file *file = memory;
    size_t event = begin(recording, flags & LUM__OPEN_CREATE ? LUM__EVENT_CREATE : LUM__EVENT_OPEN, path, 0, flags);
    lum_status status = lum__fs_open_file(as_fs(fs)->inner, path, flags, &file->inner);
    end(recording, event, status, 0);
    if (status != LUM_OK) {
        free(file);
        return status;
    }
    file->base.fs = fs;
    snprintf(file->base.path, sizeof file->base.path, "%s", path);
    refresh(&file->base);
    *out = &file->base;
    return LUM_OK;
}

static lum_status record_rename(struct lum__fs *fs, const char *from, const char *to)
{
    struct lum__recording *recording = as_fs(fs)->recording;
    size_t event = begin(recording, LUM__EVENT_RENAME, from, 0, 0);
    pthread_mutex_lock(&recording->mutex);
    snprintf(recording->events[event].other_path, LUM__PATH_BYTES_MAX, "%s", to);
    pthread_mutex_unlock(&recording->mutex);
    return end(recording, event, lum__fs_rename(as_fs(fs)->inner, from, to), 0);
}

static lum_status record_unlink(struct lum__fs *fs, const char *path)
{
    size_t event = begin(as_fs(fs)->recording, LUM__EVENT_UNLINK, path, 0, 0);
    return end(as_fs(fs)->recording, event, lum__fs_unlink(as_fs(fs)->inner, path), 0);
}

static lum_status record_sync_dir(struct lum__fs *fs, const char *folder)
{
    size_t event = begin(as_fs(fs)->recording, LUM__EVENT_SYNC_DIR, folder, 0, 0);
    return end(as_fs(fs)->recording, event, lum__fs_sync_dir(as_fs(fs)->inner, folder), 0);
}

static lum_status record_list(struct lum__fs *fs, const char *folder,
                              lum_status (*each)(void *context, const char *name), void *context)
{
    size_t event = begin(as_fs(fs)->recording, LUM__EVENT_LIST, folder, 0, 0);
    return end(as_fs(fs)->recording, event, lum__fs_list(as_fs(fs)->inner, folder, each, context), 0);
}

static lum_status record_free_bytes(struct lum__fs *fs, uint64_t *out)
{
    return lum__fs_free_bytes(as_fs(fs)->inner, out);
}

static lum_status record_file_close(struct lum__file *file)
{
    struct lum__recording *recording = recording_of(file);
    size_t event = begin(recording, LUM__EVENT_CLOSE, file->path, 0, 0);
    lum_status status = end(recording, event, lum__file_close(inner_of(file)), 0);
    free(file);
    return status;
}

static lum_status record_read(struct lum__file *file, void *buffer, size_t bytes, uint64_t offset, size_t *bytes_read)
{
    size_t event = begin(recording_of(file), LUM__EVENT_READ, file->path, offset, bytes);
    lum_status status = lum__file_read(inner_of(file), buffer, bytes, offset, bytes_read);
    refresh(file);
    return end(recording_of(file), event, status, (int64_t)*bytes_read);
}

static lum_status record_write(struct lum__file *file, const void *buffer, size_t bytes, uint64_t offset)
{
    size_t event = begin(recording_of(file), LUM__EVENT_WRITE, file->path, offset, bytes);
    lum_status status = lum__file_write(inner_of(file), buffer, bytes, offset);
    refresh(file);
    return end(recording_of(file), event, status, status == LUM_OK ? (int64_t)bytes : 0);
}

static lum_status record_allocate(struct lum__file *file, uint64_t offset, uint64_t bytes)
{
    size_t event = begin(recording_of(file), LUM__EVENT_ALLOCATE, file->path, offset, bytes);
    return end(recording_of(file), event, lum__file_allocate(inner_of(file), offset, bytes), 0);
}

static lum_status record_punch(struct lum__file *file, uint64_t offset, uint64_t bytes)
{
    size_t event = begin(recording_of(file), LUM__EVENT_PUNCH, file->path, offset, bytes);
    return end(recording_of(file), event, lum__file_punch(inner_of(file), offset, bytes), 0);
}

static lum_status record_truncate(struct lum__file *file, uint64_t size_bytes)
{
    size_t event = begin(recording_of(file), LUM__EVENT_TRUNCATE, file->path, 0, size_bytes);
    return end(recording_of(file), event, lum__file_truncate(inner_of(file), size_bytes), 0);
}

static lum_status record_sync(struct lum__file *file)
{
    size_t event = begin(recording_of(file), LUM__EVENT_SYNC, file->path, 0, 0);
    return end(recording_of(file), event, lum__file_sync(inner_of(file)), 0);
}

static lum_status record_info(struct lum__file *file, struct lum__file_info *out)
{
    return lum__file_info(inner_of(file), out);
}

static lum_status record_lock(struct lum__file *file, uint64_t byte, enum lum__lock_kind kind)
{
    size_t event = begin(recording_of(file), LUM__EVENT_LOCK, file->path, byte, kind == LUM__LOCK_EXCLUSIVE);
    return end(recording_of(file), event, lum__file_lock(inner_of(file), byte, kind), 0);
}

static lum_status record_unlock(struct lum__file *file, uint64_t byte)
{
    size_t event = begin(recording_of(file), LUM__EVENT_UNLOCK, file->path, byte, 0);
    return end(recording_of(file), event, lum__file_unlock(inner_of(file), byte), 0);
}

static lum_status record_lock_holder(struct lum__file *file, uint64_t byte, bool *is_held)
{
    return lum__file_lock_holder(inner_of(file), byte, is_held);
}

static lum_status record_is_current(struct lum__file *file, bool *out)
{
    return lum__file_is_current(inner_of(file), out);
}

/* --- queues: the inner request carries our slot as its user value --- */

static lum_status record_queue_open(struct lum__fs *fs, uint32_t depth, struct lum__file *lock_file,
                                    struct lum__io_queue **out)
{
    void *memory = NULL;
    LUM_TRY(lum__alloc_zeroed(1, sizeof(struct record_queue) + depth * sizeof(struct record_request), &memory));
    struct record_queue *queue = memory;
    queue->base.fs = fs;
    queue->depth = depth;
    lum_status status =
        lum__io_open(as_fs(fs)->inner, depth, lock_file == NULL ? NULL : inner_of(lock_file), &queue->inner);
    if (status != LUM_OK) {
        free(queue);
        return status;
    }
    *out = &queue->base;
    return LUM_OK;
}

static lum_status record_queue_submit(struct lum__io_queue *base, bool is_write, struct lum__file *file, void *buffer,
                                      uint32_t bytes, uint64_t offset, uint64_t user)
{
    struct record_queue *queue = (struct record_queue *)base;
    struct lum__recording *recording = as_fs(base->fs)->recording;
    uint32_t slot = 0;
    while (slot < queue->depth && queue->requests[slot].is_used) slot++;
    LUM_ASSERT(slot < queue->depth);
    size_t event =
        begin(recording, is_write ? LUM__EVENT_QUEUE_WRITE : LUM__EVENT_QUEUE_READ, file->path, offset, bytes);
    lum_status status = is_write ? lum__io_submit_write(queue->inner, inner_of(file), buffer, bytes, offset, slot)
                                 : lum__io_submit_read(queue->inner, inner_of(file), buffer, bytes, offset, slot);
    refresh(file);
    if (status != LUM_OK) return end(recording, event, status, 0);
    queue->requests[slot] = (struct record_request){.user = user, .event = event, .bytes = bytes, .is_used = true};
    return LUM_OK;
}

static lum_status record_queue_reap(struct lum__io_queue *base, uint32_t wait_count, struct lum__io_completion *out,
                                    uint32_t out_max, uint32_t *out_count)
{
    struct record_queue *queue = (struct record_queue *)base;
    LUM_TRY(lum__io_reap(queue->inner, wait_count, out, out_max, out_count));
    for (uint32_t i = 0; i < *out_count; i++) {
        LUM_ASSERT(out[i].user < queue->depth);
        struct record_request *request = &queue->requests[out[i].user];
        LUM_ASSERT(request->is_used);
        lum_status status = out[i].result == (int64_t)request->bytes ? LUM_OK : LUM_ERR_IO;
        end(as_fs(base->fs)->recording, request->event, status, out[i].result);
        out[i].user = request->user;
        request->is_used = false;
    }
    return LUM_OK;
}

/* Reaps here first, so that what was in flight at the close has its end too. */
static void record_queue_close(struct lum__io_queue *base)
{
    struct record_queue *queue = (struct record_queue *)base;
    for (uint32_t slot = 0; slot < queue->depth;) {
        struct lum__io_completion ignored;
        uint32_t count = 0;
        if (!queue->requests[slot].is_used) {
            slot++;
        } else if (record_queue_reap(base, 1, &ignored, 1, &count) != LUM_OK) {
            break;
        }
    }
    lum__io_close(queue->inner);
    free(queue);
}

static const struct lum__fs_ops record_ops = {
    .close = record_close,
    .features = record_features,
    .mkdir = record_mkdir,
    .open = record_open,
    .rename = record_rename,
    .unlink = record_unlink,
    .sync_dir = record_sync_dir,
    .list = record_list,
    .free_bytes = record_free_bytes,
    .file_close = record_file_close,
    .read = record_read,
    .write = record_write,
    .allocate = record_allocate,
    .punch = record_punch,
    .truncate = record_truncate,
    .sync = record_sync,
    .info = record_info,
    .lock = record_lock,
    .unlock = record_unlock,
    .lock_holder = record_lock_holder,
    .is_current = record_is_current,
    .queue_open = record_queue_open,
    .queue_submit = record_queue_submit,
    .queue_reap = record_queue_reap,
    .queue_close = record_queue_close,
};

lum_status lum__fs_record(struct lum__fs *inner, struct lum__recording *recording, struct lum__fs **out)
{
    *out = NULL;
    void *memory = NULL;
    LUM_TRY(lum__alloc_zeroed(1, sizeof(struct record_fs), &memory));
    struct record_fs *fs = memory;
    *fs = (struct record_fs){.base = {.ops = &record_ops}, .inner = inner, .recording = recording};
    *out = &fs->base;
    return LUM_OK;
}
