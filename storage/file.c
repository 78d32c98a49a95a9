/* file.c - the common face of the file tables: names and alignment are checked here, once, for every implementation. */
#include "storage/file.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/status.h"

/* --- names --- */

static bool name_byte_is_allowed(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
}

static bool component_is_valid(const char *at, size_t bytes)
{
    if (bytes == 0) return false;
    if (at[0] == '.' && (bytes == 1 || (bytes == 2 && at[1] == '.'))) return false;
    for (size_t i = 0; i < bytes; i++) {
        if (!name_byte_is_allowed(at[i])) return false;
    }
    return true;
}

/* The grammar of file.h: one component, or two with one slash between them. */
static bool path_is_valid(const char *path)
{
    size_t bytes = strlen(path);
    if (bytes >= LUM__PATH_BYTES_MAX) return false;
    const char *slash = strchr(path, '/');
    if (slash == NULL) return component_is_valid(path, bytes);
    size_t folder_bytes = (size_t)(slash - path);
    return component_is_valid(path, folder_bytes) && component_is_valid(slash + 1, bytes - folder_bytes - 1);
}

static lum_status check_path(const char *path)
{
    if (path_is_valid(path)) return LUM_OK;
    return lum__fail(LUM_ERR_ARGUMENT, "'%s' is not a name that may stand in a store", path);
}

/* A folder: "" for the store itself, else one component. */
static lum_status check_folder(const char *folder)
{
    if (folder[0] == '\0') return LUM_OK;
    if (strchr(folder, '/') == NULL && path_is_valid(folder)) return LUM_OK;
    return lum__fail(LUM_ERR_ARGUMENT, "'%s' is not a folder of a store", folder);
}

/* --- the directory --- */

void lum__fs_close(struct lum__fs *fs)
{
    if (fs != NULL) fs->ops->close(fs);
}

void lum__fs_features(struct lum__fs *fs, struct lum__fs_features *out)
{
    memset(out, 0, sizeof *out);
    fs->ops->features(fs, out);
}

const char *lum__fs_io_mode(const struct lum__fs_features *features)
{
    if (features->direct_io) return features->io_uring ? "direct+uring" : "direct+threads";
    return features->io_uring ? "buffered+uring" : "buffered+threads";
}

lum_status lum__fs_mkdir(struct lum__fs *fs, const char *path)
{
    LUM_TRY(check_folder(path));
    LUM_ASSERT(path[0] != '\0');
    return fs->ops->mkdir(fs, path);
}

lum_status lum__fs_open_file(struct lum__fs *fs, const char *path, unsigned flags, struct lum__file **out)
{
    *out = NULL;
    LUM_ASSERT((flags & (LUM__OPEN_READ | LUM__OPEN_WRITE)) != 0);
    LUM_ASSERT((flags & LUM__OPEN_CREATE) == 0 || (flags & LUM__OPEN_WRITE) != 0);
    LUM_TRY(check_path(path));
    return fs->ops->open(fs, path, flags, out);
}

lum_status lum__fs_rename(struct lum__fs *fs, const char *from, const char *to)
{
    LUM_TRY(check_path(from));
    LUM_TRY(check_path(to));
    return fs->ops->rename(fs, from, to);
}

lum_status lum__fs_unlink(struct lum__fs *fs, const char *path)
{
    LUM_TRY(check_path(path));
    return fs->ops->unlink(fs, path);
}

lum_status lum__fs_sync_dir(struct lum__fs *fs, const char *folder)
{
    LUM_TRY(check_folder(folder));
    return fs->ops->sync_dir(fs, folder);
}

lum_status lum__fs_list(struct lum__fs *fs, const char *folder, lum_status (*each)(void *context, const char *name),
                        void *context)
{
    LUM_TRY(check_folder(folder));
    return fs->ops->list(fs, folder, each, context);
}

lum_status lum__fs_free_bytes(struct lum__fs *fs, uint64_t *out)
{
    *out = 0;
    return fs->ops->free_bytes(fs, out);
}

/* The folder part of a path, "" if it has none. */
static void folder_of(const char *path, char out[LUM__PATH_BYTES_MAX])
{
    const char *slash = strchr(path, '/');
    size_t bytes = slash == NULL ? 0 : (size_t)(slash - path);
    memcpy(out, path, bytes);
    out[bytes] = '\0';
}

/* Steps 1-3 of lum__fs_replace: the new content, synced, under the temporary name. */
static lum_status write_temporary(struct lum__fs *fs, const char *path, const void *bytes, size_t byte_count)
{
    struct lum__file *file = NULL;
    lum_status status = lum__fs_open_file(fs, path, LUM__OPEN_WRITE | LUM__OPEN_CREATE, &file);
    if (status == LUM_ERR_EXISTS) { /* a crash left it; nothing ever reads a temporary name */
        LUM_TRY(lum__fs_unlink(fs, path));
        status = lum__fs_open_file(fs, path, LUM__OPEN_WRITE | LUM__OPEN_CREATE, &file);
    }
    if (status != LUM_OK) return status;
    LUM_TRY_OUT(lum__file_write(file, bytes, byte_count, 0));
    LUM_TRY_OUT(lum__file_sync(file));
out:;
    struct lum__error first = *lum__error_last();
    lum_status closed = lum__file_close(file);
    if (status == LUM_OK) return closed;
    lum__error_restore(&first);
    return status;
}

lum_status lum__fs_replace(struct lum__fs *fs, const char *path, const void *bytes, size_t byte_count)
{
    char temporary[LUM__PATH_BYTES_MAX + 4], folder[LUM__PATH_BYTES_MAX];
    LUM_TRY(check_path(path));
    memcpy(temporary, path, strlen(path));
    memcpy(temporary + strlen(path), ".tmp", 5);
    LUM_TRY(check_path(temporary));
    folder_of(path, folder);

    lum_status status = write_temporary(fs, temporary, bytes, byte_count);
    if (status == LUM_OK) status = lum__fs_rename(fs, temporary, path);
    if (status != LUM_OK) { /* tidy up, but report what went wrong first */
        struct lum__error first = *lum__error_last();
        lum_status ignored = lum__fs_unlink(fs, temporary);
        (void)ignored;
        lum__error_restore(&first);
        return status;
    }
    return lum__fs_sync_dir(fs, folder);
}

lum_status lum__fs_read_all(struct lum__fs *fs, const char *path, size_t bytes_max, uint8_t **out, size_t *out_bytes)
{
    *out = NULL;
    *out_bytes = 0;
    struct lum__file *file = NULL;
    struct lum__file_info info;
    void *buffer = NULL;
    LUM_TRY(lum__fs_open_file(fs, path, LUM__OPEN_READ, &file));
    lum_status status;
    LUM_TRY_OUT(lum__file_info(file, &info));
    if (info.size_bytes > bytes_max) { /* checked before anything is allocated (pitfall 31) */
        status = lum__corrupt(path, 0, 0, "%s has %llu bytes, more than the %zu that such a file may have", path,
                              (unsigned long long)info.size_bytes, bytes_max);
        goto out;
    }
    LUM_TRY_OUT(lum__alloc((size_t)info.size_bytes + 1, &buffer)); /* one more: an empty file is a valid pointer too */
    LUM_TRY_OUT(lum__file_read(file, buffer, (size_t)info.size_bytes, 0, out_bytes));
    *out = buffer;
    buffer = NULL;
out:
    free(buffer);
    lum__file_close(file); /* only read from: its result says nothing */
    return status;
}

/* --- a file --- */

/* Direct transfers are whole blocks at whole blocks; anything else is our own bug, on every implementation. */
static void assert_aligned(const struct lum__file *file, const void *buffer, uint64_t bytes, uint64_t offset)
{
    if (!lum__file_is_direct(file)) return;
    LUM_ASSERT((uintptr_t)buffer % LUM__IO_ALIGNMENT == 0);
    LUM_ASSERT(bytes % LUM__IO_ALIGNMENT == 0);
    LUM_ASSERT(offset % LUM__IO_ALIGNMENT == 0);
}

static lum_status check_range(const struct lum__file *file, uint64_t bytes, uint64_t offset)
{
    if (bytes <= (uint64_t)INT64_MAX && offset <= (uint64_t)INT64_MAX - bytes) return LUM_OK;
    return lum__fail_at(__FILE__, __LINE__, LUM_ERR_ARGUMENT, 0, file->path, offset, 0,
                        "%s: %llu bytes at %llu are beyond what a file can hold", file->path, (unsigned long long)bytes,
                        (unsigned long long)offset);
}

lum_status lum__file_close(struct lum__file *file) { return file == NULL ? LUM_OK : file->fs->ops->file_close(file); }

lum_status lum__file_read(struct lum__file *file, void *buffer, size_t bytes, uint64_t offset, size_t *bytes_read)
{
    *bytes_read = 0;
    assert_aligned(file, buffer, bytes, offset);
    LUM_TRY(check_range(file, bytes, offset));
    return bytes == 0 ? LUM_OK : file->fs->ops->read(file, buffer, bytes, offset, bytes_read);
}

lum_status lum__file_write(struct lum__file *file, const void *buffer, size_t bytes, uint64_t offset)
{
    assert_aligned(file, buffer, bytes, offset);
    LUM_TRY(check_range(file, bytes, offset));
    return bytes == 0 ? LUM_OK : file->fs->ops->write(file, buffer, bytes, offset);
}

lum_status lum__file_allocate(struct lum__file *file, uint64_t offset, uint64_t bytes)
{
    LUM_TRY(check_range(file, bytes, offset));
    return bytes == 0 ? LUM_OK : file->fs->ops->allocate(file, offset, bytes);
}

lum_status lum__file_punch(struct lum__file *file, uint64_t offset, uint64_t bytes)
{
    LUM_TRY(check_range(file, bytes, offset));
    return bytes == 0 ? LUM_OK : file->fs->ops->punch(file, offset, bytes);
}

lum_status lum__file_truncate(struct lum__file *file, uint64_t size_bytes)
{
    LUM_TRY(check_range(file, size_bytes, 0));
    return file->fs->ops->truncate(file, size_bytes);
}

lum_status lum__file_sync(struct lum__file *file) { return file->fs->ops->sync(file); }

lum_status lum__file_info(struct lum__file *file, struct lum__file_info *out)
{
    memset(out, 0, sizeof *out);
    return file->fs->ops->info(file, out);
}

lum_status lum__file_lock(struct lum__file *file, uint64_t byte, enum lum__lock_kind kind)
{
    return file->fs->ops->lock(file, byte, kind);
}

lum_status lum__file_unlock(struct lum__file *file, uint64_t byte) { return file->fs->ops->unlock(file, byte); }

lum_status lum__file_lock_holder(struct lum__file *file, uint64_t byte, bool *is_held)
{
    *is_held = false;
    return file->fs->ops->lock_holder(file, byte, is_held);
}

lum_status lum__file_is_current(struct lum__file *file, bool *out)
{
    *out = false;
    return file->fs->ops->is_current(file, out);
}

lum_status lum__file_check_current(struct lum__file *file)
{
    bool is_current = false;
    LUM_TRY(lum__file_is_current(file, &is_current));
    if (is_current) return LUM_OK;
    return lum__fail_at(__FILE__, __LINE__, LUM_ERR_FOREIGN, 0, file->path, LUM_NO_OFFSET, 0,
                        "%s was renamed, removed, replaced or linked while the store was open", file->path);
}

bool lum__file_clone(struct lum__file *from, struct lum__file *to)
{
    const struct lum__fs_ops *ops = to->fs->ops;
    return ops->clone != NULL && ops == from->fs->ops && ops->clone(from, to);
}

/* --- a queue --- */

lum_status lum__io_open(struct lum__fs *fs, uint32_t depth, struct lum__file *lock_file, struct lum__io_queue **out)
{
    *out = NULL;
    LUM_ASSERT(depth > 0 && depth <= 4096);
    return fs->ops->queue_open(fs, depth, lock_file, out);
}

lum_status lum__io_submit_write(struct lum__io_queue *queue, struct lum__file *file, const void *buffer, uint32_t bytes,
                                uint64_t offset, uint64_t user)
{
    LUM_ASSERT(bytes > 0 && bytes <= LUM__IO_BYTES_MAX);
    assert_aligned(file, buffer, bytes, offset);
    LUM_TRY(check_range(file, bytes, offset));
    /* the one cast: a queue keeps reads and writes in one record, and only ever reads from a write's buffer */
    return queue->fs->ops->queue_submit(queue, true, file, (void *)(uintptr_t)buffer, bytes, offset, user);
}

lum_status lum__io_submit_read(struct lum__io_queue *queue, struct lum__file *file, void *buffer, uint32_t bytes,
                               uint64_t offset, uint64_t user)
{
    LUM_ASSERT(bytes > 0 && bytes <= LUM__IO_BYTES_MAX);
    assert_aligned(file, buffer, bytes, offset);
    LUM_TRY(check_range(file, bytes, offset));
    return queue->fs->ops->queue_submit(queue, false, file, buffer, bytes, offset, user);
}

lum_status lum__io_reap(struct lum__io_queue *queue, uint32_t wait_count, struct lum__io_completion *out,
                        uint32_t out_max, uint32_t *out_count)
{
    *out_count = 0;
    LUM_ASSERT(wait_count <= out_max);
    return queue->fs->ops->queue_reap(queue, wait_count, out, out_max, out_count);
}

lum_status lum__io_result_check(const struct lum__file *file, bool is_write, uint64_t offset, uint32_t bytes,
                                int64_t result)
{
    const char *verb = is_write ? "write" : "read";
    if (result == (int64_t)bytes) return LUM_OK;
    if (result < 0) {
        return lum__fail_errno((int)-result, file->path, offset, "cannot %s %u bytes of %s at %llu", verb, bytes,
                               file->path, (unsigned long long)offset);
    }
    return lum__fail_at(__FILE__, __LINE__, LUM_ERR_IO, 0, file->path, offset, 0,
                        "short %s of %s at %llu: %lld of %u bytes", verb, file->path, (unsigned long long)offset,
                        (long long)result, bytes);
}

void lum__io_close(struct lum__io_queue *queue)
{
    if (queue != NULL) queue->fs->ops->queue_close(queue);
}
