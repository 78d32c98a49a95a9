/* file_sim.c - the file table of the disk in memory. file_sim.h has the fault model. */
#include "storage/file_sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "storage/file_sim_inner.h"

static const struct lum__fs_ops sim_ops;

/* Every call begins so: takes the mutex (the caller gives it back), counts, and may fail. */
static lum_status begin(struct lum__fs *base, enum lum__sim_call call, bool is_step, const char *path)
{
    struct sim_fs *fs = (struct sim_fs *)base;
    lum__sim_lock(fs->sim);
    if (is_step && fs->is_read_only) {
        return lum__fail(LUM_ERR_READ_ONLY, "%s: the directory was opened for reading only", path);
    }
    return lum__sim_enter(fs->sim, fs->generation, call, is_step, path);
}

static lum_status begin_file(struct lum__file *base, enum lum__sim_call call, bool is_step)
{
    struct sim_file *file = (struct sim_file *)base;
    lum__sim_lock(file->sim);
    LUM_ASSERT(!is_step || file->is_writable);
    return lum__sim_enter(file->sim, file->generation, call, is_step, base->path);
}

static lum_status end(struct lum__sim *sim, lum_status status)
{
    lum__sim_unlock(sim);
    return status;
}

static lum_status not_found(const char *path)
{
    return lum__fail_errno(ENOENT, path, LUM_NO_OFFSET, "there is no %s", path);
}

/* --- the directory --- */

lum_status lum__sim_open(struct lum__sim *sim, bool read_only, struct lum__fs **out)
{
    struct sim_fs *fs = lum__sim_alloc(sizeof *fs);
    *fs = (struct sim_fs){.base = {.ops = &sim_ops}, .sim = sim, .is_read_only = read_only};
    lum__sim_lock(sim);
    fs->generation = sim->generation;
    sim->handle_count++;
    lum__sim_unlock(sim);
    *out = &fs->base;
    return LUM_OK;
}

static void drop_handle(struct lum__sim *sim)
{
    LUM_ASSERT(sim->handle_count > 0);
    sim->handle_count--;
}

static void sim_close(struct lum__fs *base)
{
    struct lum__sim *sim = ((struct sim_fs *)base)->sim;
    lum__sim_lock(sim);
    drop_handle(sim);
    lum__sim_unlock(sim);
    free(base);
}

static void sim_features(struct lum__fs *base, struct lum__fs_features *out)
{
    struct lum__sim *sim = ((struct sim_fs *)base)->sim;
    lum__sim_lock(sim);
    *out = (struct lum__fs_features){.direct_io = !sim->no_direct,
                                     .io_uring = true,
                                     .fallocate = true,
                                     .read_only = sim->is_read_only,
                                     .fs_type = "sim"};
    lum__sim_unlock(sim);
}

static lum_status make_folder(struct lum__sim *sim, const char *path)
{
    if (lum__sim_folder_find(sim, path) >= 0 || lum__sim_names_get(&sim->folders[0].live, path) != NULL) {
        return lum__fail_errno(EEXIST, path, LUM_NO_OFFSET, "%s is there already", path);
    }
    uint32_t index = 0; /* one of that name that a power cut took away is used again */
    while (index < sim->folder_count && strcmp(sim->folders[index].name, path) != 0) index++;
    if (index == sim->folder_count) {
        LUM_ASSERT(sim->folder_count < SIM_FOLDERS_MAX);
        sim->folders[sim->folder_count++] = (struct sim_folder){0};
        snprintf(sim->folders[index].name, sizeof sim->folders[index].name, "%s", path);
    }
    sim->folders[index].is_live = true;
    lum__sim_name_changed(sim, NAME_MKDIR, index, path, NULL);
    return LUM_OK;
}

static lum_status sim_mkdir(struct lum__fs *base, const char *path)
{
    struct lum__sim *sim = ((struct sim_fs *)base)->sim;
    lum_status status = begin(base, LUM__SIM_MKDIR, true, path);
    if (status == LUM_OK) status = make_folder(sim, path);
    return end(sim, status);
}

static struct lum__file *make_handle(struct lum__fs *base, const char *path, unsigned flags, struct sim_inode *inode)
{
    struct sim_fs *fs = (struct sim_fs *)base;
    struct sim_file *file = lum__sim_alloc(sizeof *file);
    *file = (struct sim_file){.base = {.fs = base}, .sim = fs->sim, .generation = fs->generation, .inode = inode};
    snprintf(file->base.path, sizeof file->base.path, "%s", path);
    file->base.is_direct = (flags & LUM__OPEN_DIRECT) != 0 && !fs->sim->no_direct;
    file->is_writable = (flags & LUM__OPEN_WRITE) != 0;
    inode->refs++;
    fs->sim->handle_count++;
    return &file->base;
}

static lum_status open_or_create(struct lum__fs *base, const char *path, unsigned flags, struct lum__file **out)
{
    struct lum__sim *sim = ((struct sim_fs *)base)->sim;
    uint32_t folder;
    const char *name;
    if (!lum__sim_locate(sim, path, &folder, &name)) return not_found(path);
    struct sim_inode *inode = lum__sim_names_get(&sim->folders[folder].live, name);
    if (flags & LUM__OPEN_CREATE) {
        if (inode != NULL) return lum__fail_errno(EEXIST, path, LUM_NO_OFFSET, "%s is there already", path);
        inode = lum__sim_inode_new(sim);
        lum__sim_names_set(sim, &sim->folders[folder].live, name, inode);
        lum__sim_name_changed(sim, NAME_CREATE, folder, name, inode);
    }
    if (inode == NULL) {
        if (folder == 0 && lum__sim_folder_find(sim, path) >= 0)
            return lum__fail(LUM_ERR_FOREIGN, "%s is a folder", path);
        return not_found(path);
    }
    *out = make_handle(base, path, flags, inode);
    return LUM_OK;
}

static lum_status sim_open(struct lum__fs *base, const char *path, unsigned flags, struct lum__file **out)
{
    struct sim_fs *fs = (struct sim_fs *)base;
    bool is_new = (flags & LUM__OPEN_CREATE) != 0;
    lum_status status = begin(base, is_new ? LUM__SIM_CREATE : LUM__SIM_OPEN, is_new, path);
    if (status == LUM_OK && (flags & LUM__OPEN_WRITE) != 0) {
        if (fs->is_read_only) status = lum__fail(LUM_ERR_READ_ONLY, "%s: opened for reading only", path);
        if (fs->sim->is_read_only) status = lum__fail_errno(EROFS, path, LUM_NO_OFFSET, "%s: read-only mount", path);
    }
    if (status == LUM_OK) status = open_or_create(base, path, flags, out);
    return end(fs->sim, status);
}

static lum_status move_name(struct lum__sim *sim, const char *from, const char *to)
{
    uint32_t from_folder, to_folder;
    const char *from_name, *to_name;
    if (!lum__sim_locate(sim, from, &from_folder, &from_name)) return not_found(from);
    if (!lum__sim_locate(sim, to, &to_folder, &to_name)) return not_found(to);
    struct sim_inode *inode = lum__sim_names_get(&sim->folders[from_folder].live, from_name);
    if (inode == NULL) return not_found(from);
    if (strcmp(from, to) == 0) return LUM_OK;
    lum__sim_names_set(sim, &sim->folders[to_folder].live, to_name, inode);
    lum__sim_names_remove(sim, &sim->folders[from_folder].live, from_name);
    struct sim_name_change *change = lum__sim_name_changed(sim, NAME_RENAME, from_folder, from_name, inode);
    change->to_folder = to_folder;
    snprintf(change->to_name, sizeof change->to_name, "%s", to_name);
    return LUM_OK;
}

static lum_status sim_rename(struct lum__fs *base, const char *from, const char *to)
{
    struct lum__sim *sim = ((struct sim_fs *)base)->sim;
    lum_status status = begin(base, LUM__SIM_RENAME, true, from);
    if (status == LUM_OK) status = move_name(sim, from, to);
    int error = status == LUM_OK ? lum__sim_strike(sim, LUM__SIM_RENAME_DONE, from) : 0;
    if (error != 0) status = lum__fail_errno(error, from, LUM_NO_OFFSET, "%s: renamed, and failed as the test asked for", from);
    return end(sim, status);
}

static lum_status remove_name(struct lum__sim *sim, const char *path)
{
    uint32_t folder;
    const char *name;
    if (!lum__sim_locate(sim, path, &folder, &name)) return not_found(path);
    struct sim_inode *inode = lum__sim_names_get(&sim->folders[folder].live, name);
    if (inode == NULL) return not_found(path);
    lum__sim_name_changed(sim, NAME_UNLINK, folder, name, inode);
    lum__sim_names_remove(sim, &sim->folders[folder].live, name);
    return LUM_OK;
}

static lum_status sim_unlink(struct lum__fs *base, const char *path)
{
    struct lum__sim *sim = ((struct sim_fs *)base)->sim;
    lum_status status = begin(base, LUM__SIM_UNLINK, true, path);
    if (status == LUM_OK) status = remove_name(sim, path);
    return end(sim, status);
}

static lum_status sim_sync_dir(struct lum__fs *base, const char *folder)
{
    struct lum__sim *sim = ((struct sim_fs *)base)->sim;
    lum_status status = begin(base, LUM__SIM_SYNC_DIR, true, folder);
    if (status == LUM_OK) {
        int32_t index = lum__sim_folder_find(sim, folder);
        if (index < 0) {
            status = not_found(folder);
        } else if (!sim->ignores_dir_sync) {
            lum__sim_names_sync(sim, (uint32_t)index);
        }
    }
    return end(sim, status);
}

/* The names of a folder as they are now, copied, because `each` may call the file table. */
static lum_status copy_names(struct lum__sim *sim, const char *folder, struct sim_entry **out, size_t *out_count)
{
    int32_t index = lum__sim_folder_find(sim, folder);
    if (index < 0) return not_found(folder);
    const struct sim_names *names = &sim->folders[index].live;
    struct sim_entry *copy = lum__sim_alloc((names->count + SIM_FOLDERS_MAX) * sizeof *copy);
    size_t count = 0;
    for (; count < names->count; count++) copy[count] = names->entries[count];
    for (uint32_t i = 1; index == 0 && i < sim->folder_count; i++) {
        if (!sim->folders[i].is_live) continue;
        snprintf(copy[count++].name, LUM__PATH_BYTES_MAX, "%s", sim->folders[i].name);
    }
    *out = copy;
    *out_count = count;
    return LUM_OK;
}

static lum_status sim_list(struct lum__fs *base, const char *folder,
                           lum_status (*each)(void *context, const char *name), void *context)
{
    struct lum__sim *sim = ((struct sim_fs *)base)->sim;
    struct sim_entry *names = NULL;
    size_t count = 0;
    lum_status status = begin(base, LUM__SIM_LIST, false, folder);
    if (status == LUM_OK) status = copy_names(sim, folder, &names, &count);
    lum__sim_unlock(sim);
    for (size_t i = 0; i < count && status == LUM_OK; i++) status = each(context, names[i].name);
    free(names);
    return status;
}

static lum_status sim_free_bytes(struct lum__fs *base, uint64_t *out)
{
    struct lum__sim *sim = ((struct sim_fs *)base)->sim;
    lum__sim_lock(sim);
    uint64_t used = lum__sim_used_blocks(sim), limit = sim->limit_blocks == 0 ? UINT64_C(1) << 40 : sim->limit_blocks;
    *out = used < limit ? (limit - used) * SIM_BLOCK : 0;
    lum__sim_unlock(sim);
    return LUM_OK;
}

/* --- a file --- */

static lum_status sim_file_close(struct lum__file *base)
{
    struct sim_file *file = (struct sim_file *)base;
    struct lum__sim *sim = file->sim;
    lum__sim_lock(sim);
    LUM_ASSERT(file->in_flight == 0);
    LUM_ASSERT(file->queue_refs == 0);
    size_t kept = 0;
    for (size_t i = 0; i < sim->lock_count; i++) {
        if (sim->locks[i].owner != file) sim->locks[kept++] = sim->locks[i];
    }
    sim->lock_count = kept;
    lum__sim_inode_release(sim, file->inode);
    drop_handle(sim);
    lum__sim_unlock(sim);
    free(file);
    return LUM_OK;
}

static lum_status sim_read(struct lum__file *base, void *buffer, size_t bytes, uint64_t offset, size_t *bytes_read)
{
    struct sim_file *file = (struct sim_file *)base;
    lum_status status = begin_file(base, LUM__SIM_READ, false);
    if (status == LUM_OK) *bytes_read = (size_t)lum__sim_read_bytes(file, buffer, bytes, offset);
    return end(file->sim, status);
}

static void write_prefix(struct sim_file *file, const void *buffer, uint64_t bytes, uint64_t offset)
{
    if (bytes == 0) return;
    struct sim_change change = {.kind = CHANGE_WRITE, .offset = offset, .bytes = bytes};
    change.data = lum__sim_alloc((size_t)bytes);
    memcpy(change.data, buffer, (size_t)bytes);
    lum__sim_inode_change(file->sim, file->inode, change);
}

static lum_status sim_write(struct lum__file *base, const void *buffer, size_t bytes, uint64_t offset)
{
    struct sim_file *file = (struct sim_file *)base;
    struct lum__sim *sim = file->sim;
    lum_status status = begin_file(base, LUM__SIM_WRITE, true);
    if (status != LUM_OK) return end(sim, status);
    int error = sim->struck_errno;
    uint64_t moved = error != 0 ? lum__sim_failed_prefix(sim, offset, bytes) : bytes;
    uint64_t fits = lum__sim_fitting(sim, file->inode, offset, moved);
    if (fits < moved) error = error != 0 ? error : ENOSPC;
    write_prefix(file, buffer, fits, offset);
    if (error != 0) {
        status = lum__fail_errno(error, base->path, offset, "cannot write %zu bytes of %s at %llu", bytes, base->path,
                                 (unsigned long long)offset);
    }
    return end(sim, status);
}

static lum_status sim_allocate(struct lum__file *base, uint64_t offset, uint64_t bytes)
{
    struct sim_file *file = (struct sim_file *)base;
    struct lum__sim *sim = file->sim;
    lum_status status = begin_file(base, LUM__SIM_ALLOCATE, true);
    if (status == LUM_OK && lum__sim_fitting(sim, file->inode, offset, bytes) < bytes) {
        status = lum__fail_errno(ENOSPC, base->path, offset, "cannot reserve %llu bytes for %s",
                                 (unsigned long long)bytes, base->path);
    }
    if (status == LUM_OK) {
        lum__sim_inode_change(sim, file->inode,
                              (struct sim_change){.kind = CHANGE_ALLOCATE, .offset = offset, .bytes = bytes});
    }
    return end(sim, status);
}

static lum_status sim_punch(struct lum__file *base, uint64_t offset, uint64_t bytes)
{
    struct sim_file *file = (struct sim_file *)base;
    lum_status status = begin_file(base, LUM__SIM_PUNCH, true);
    if (status == LUM_OK) {
        lum__sim_inode_change(file->sim, file->inode,
                              (struct sim_change){.kind = CHANGE_PUNCH, .offset = offset, .bytes = bytes});
    }
    return end(file->sim, status);
}

static lum_status sim_truncate(struct lum__file *base, uint64_t size_bytes)
{
    struct sim_file *file = (struct sim_file *)base;
    lum_status status = begin_file(base, LUM__SIM_TRUNCATE, true);
    if (status == LUM_OK) {
        lum__sim_inode_change(file->sim, file->inode,
                              (struct sim_change){.kind = CHANGE_TRUNCATE, .offset = size_bytes});
    }
    return end(file->sim, status);
}

static lum_status sim_sync(struct lum__file *base)
{
    struct sim_file *file = (struct sim_file *)base;
    struct lum__sim *sim = file->sim;
    lum_status status = begin_file(base, LUM__SIM_SYNC, true);
    if (status != LUM_OK) {
        status = lum__fail_at(__FILE__, __LINE__, LUM_ERR_SYNC, lum__error_last()->os_errno, base->path, LUM_NO_OFFSET,
                              0, "cannot sync %s", base->path);
    } else if (sim->struck_errno != 0) {
        lum__sim_inode_lose(sim, file->inode);
        status = lum__fail_at(__FILE__, __LINE__, LUM_ERR_SYNC, sim->struck_errno, base->path, LUM_NO_OFFSET, 0,
                              "cannot sync %s", base->path);
    } else if (!sim->ignores_file_sync) {
        lum__sim_inode_sync(file->inode);
    }
    return end(sim, status);
}

static lum_status sim_info(struct lum__file *base, struct lum__file_info *out)
{
    struct sim_file *file = (struct sim_file *)base;
    lum__sim_lock(file->sim);
    uint64_t links = 0;
    for (uint32_t i = 0; i < file->sim->folder_count; i++) {
        const struct sim_names *names = &file->sim->folders[i].live;
        for (size_t j = 0; j < names->count; j++) links += names->entries[j].inode == file->inode;
    }
    *out = (struct lum__file_info){.size_bytes = file->inode->live.size,
                                   .allocated_bytes = file->inode->live.used_blocks * SIM_BLOCK,
                                   .link_count = links,
                                   .mode = LUM__FILE_MODE};
    bool is_dead = file->generation != file->sim->generation || file->sim->is_stopped;
    lum__sim_unlock(file->sim);
    return is_dead ? lum__fail_errno(EIO, base->path, LUM_NO_OFFSET, "the process is dead to this disk") : LUM_OK;
}

/* --- locks: of an open file, like the kernel's open file description locks --- */

static bool lock_conflicts(const struct sim_file *file, uint64_t byte, enum lum__lock_kind kind)
{
    const struct lum__sim *sim = file->sim;
    for (size_t i = 0; i < sim->lock_count; i++) {
        const struct sim_lock *lock = &sim->locks[i];
        if (lock->owner == file || lock->inode != file->inode || lock->byte != byte) continue;
        if (kind == LUM__LOCK_EXCLUSIVE || lock->kind == LUM__LOCK_EXCLUSIVE) return true;
    }
    return false;
}

static struct sim_lock *own_lock(const struct sim_file *file, uint64_t byte)
{
    for (size_t i = 0; i < file->sim->lock_count; i++) {
        if (file->sim->locks[i].owner == file && file->sim->locks[i].byte == byte) return &file->sim->locks[i];
    }
    return NULL;
}

static lum_status sim_lock_byte(struct lum__file *base, uint64_t byte, enum lum__lock_kind kind)
{
    struct sim_file *file = (struct sim_file *)base;
    struct lum__sim *sim = file->sim;
    lum_status status = begin_file(base, LUM__SIM_LOCK, false);
    if (status == LUM_OK && kind == LUM__LOCK_EXCLUSIVE && !file->is_writable) { /* as the kernel answers */
        status = lum__fail_errno(EBADF, base->path, byte, "cannot lock %s, it is open for reading", base->path);
    }
    if (status == LUM_OK && lock_conflicts(file, byte, kind)) {
        status = lum__fail_at(__FILE__, __LINE__, LUM_ERR_BUSY, 0, base->path, LUM_NO_OFFSET, 0,
                              "%s is locked by another opening", base->path);
    }
    if (status == LUM_OK) {
        struct sim_lock *lock = own_lock(file, byte);
        if (lock == NULL) {
            sim->locks = lum__sim_grow(sim->locks, &sim->lock_capacity, sim->lock_count + 1, sizeof *sim->locks);
            lock = &sim->locks[sim->lock_count++];
        }
        *lock = (struct sim_lock){file, file->inode, byte, kind};
    }
    return end(sim, status);
}

static lum_status sim_unlock_byte(struct lum__file *base, uint64_t byte)
{
    struct sim_file *file = (struct sim_file *)base;
    lum__sim_lock(file->sim);
    struct sim_lock *lock = own_lock(file, byte);
    if (lock != NULL) *lock = file->sim->locks[--file->sim->lock_count];
    return end(file->sim, LUM_OK);
}

static lum_status sim_lock_holder(struct lum__file *base, uint64_t byte, bool *is_held)
{
    struct sim_file *file = (struct sim_file *)base;
    lum__sim_lock(file->sim);
    *is_held = lock_conflicts(file, byte, LUM__LOCK_SHARED);
    return end(file->sim, LUM_OK);
}

static lum_status sim_is_current(struct lum__file *base, bool *out)
{
    struct sim_file *file = (struct sim_file *)base;
    uint32_t folder;
    const char *name;
    lum__sim_lock(file->sim);
    *out = lum__sim_locate(file->sim, base->path, &folder, &name) &&
           lum__sim_names_get(&file->sim->folders[folder].live, name) == file->inode;
    return end(file->sim, LUM_OK);
}

static const struct lum__fs_ops sim_ops = {
    .close = sim_close,
    .features = sim_features,
    .mkdir = sim_mkdir,
    .open = sim_open,
    .rename = sim_rename,
    .unlink = sim_unlink,
    .sync_dir = sim_sync_dir,
    .list = sim_list,
    .free_bytes = sim_free_bytes,
    .file_close = sim_file_close,
    .read = sim_read,
    .write = sim_write,
    .allocate = sim_allocate,
    .punch = sim_punch,
    .truncate = sim_truncate,
    .sync = sim_sync,
    .info = sim_info,
    .lock = sim_lock_byte,
    .unlock = sim_unlock_byte,
    .lock_holder = sim_lock_holder,
    .is_current = sim_is_current,
    .queue_open = lum__sim_queue_open,
    .queue_submit = lum__sim_queue_submit,
    .queue_reap = lum__sim_queue_reap,
    .queue_close = lum__sim_queue_close,
};
