/* file_os.c - the file table of a real directory: POSIX calls, O_DIRECT and fallocate where they work.
 *
 * What works is probed at open with an unnamed file (O_TMPFILE), and again by every first use: a refusal turns the
 * feature off and the same call goes on without it (pitfall 4). file_uring.c has the queues, file_os_lock.c the locks.
 */
#include "storage/file_os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/status.h"

enum { TRANSFER_BYTES_MAX = 1 << 30 }; /* of one call; the kernel moves at most 2 GiB less a page (pitfall 14) */

/* --- names and descriptors --- */

/* A stray print to a closed stdout or stderr must never reach a data file (pitfall 20). */
static int move_above_stdio(int fd)
{
    if (fd < 0 || fd > 2) return fd;
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int error = errno;
    close(fd);
    errno = error;
    return moved;
}

int lum__os_open_at(int dir_fd, const char *name, int flags, mode_t mode)
{
    for (;;) {
        int fd = openat(dir_fd, name, flags | O_CLOEXEC | O_NOCTTY, mode);
        if (fd >= 0 || errno != EINTR) return move_above_stdio(fd);
    }
}

/* The kept descriptor of a folder of the store; "" is the store itself. */
static lum_status folder_fd(struct os_fs *fs, const char *folder, int *out)
{
    if (folder[0] == '\0') {
        *out = fs->root_fd;
        return LUM_OK;
    }
    lum_status status = LUM_OK;
    pthread_mutex_lock(&fs->folders_mutex);
    for (uint32_t i = 0; i < fs->folder_count; i++) {
        if (strcmp(fs->folders[i].name, folder) == 0) {
            *out = fs->folders[i].fd;
            goto out;
        }
    }
    if (fs->folder_count == OS_FOLDERS_MAX) {
        status = lum__fail(LUM_ERR_ARGUMENT, "more than %d folders in one store", OS_FOLDERS_MAX);
        goto out;
    }
    int fd = lum__os_open_at(fs->root_fd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (fd < 0) {
        int error = errno;
        status = error == ELOOP || error == ENOTDIR
                     ? lum__fail(LUM_ERR_FOREIGN, "%s is not a folder; a symbolic link is not followed", folder)
                     : lum__fail_errno(error, folder, LUM_NO_OFFSET, "cannot open the folder %s", folder);
        goto out;
    }
    struct os_folder *kept = &fs->folders[fs->folder_count++];
    snprintf(kept->name, sizeof kept->name, "%s", folder);
    kept->fd = fd;
    *out = fd;
out:
    pthread_mutex_unlock(&fs->folders_mutex);
    return status;
}

/* Splits a valid path into its folder's descriptor and the name in it. */
static lum_status locate(struct os_fs *fs, const char *path, int *dir_fd, const char **name)
{
    char folder[LUM__PATH_BYTES_MAX] = "";
    const char *slash = strchr(path, '/');
    if (slash != NULL) memcpy(folder, path, (size_t)(slash - path));
    *name = slash == NULL ? path : slash + 1;
    return folder_fd(fs, folder, dir_fd);
}

static lum_status refuse_if_read_only(struct os_fs *fs, const char *path)
{
    if (!fs->is_read_only) return LUM_OK;
    return lum__fail_at(__FILE__, __LINE__, LUM_ERR_READ_ONLY, 0, path, LUM_NO_OFFSET, 0,
                        "%s: the directory was opened for reading only", path);
}

/* --- opening and closing the directory --- */

/* Syncs the directory in which `directory` has its name. */
static int sync_parent(const char *directory)
{
    char *parent = strdup(directory);
    if (parent == NULL) return ENOMEM;
    size_t bytes = strlen(parent);
    while (bytes > 1 && parent[bytes - 1] == '/') parent[--bytes] = '\0';
    char *slash = strrchr(parent, '/');
    if (slash == NULL) {
        memcpy(parent, ".", bytes == 0 ? 1 : 2);
    } else {
        slash[slash == parent ? 1 : 0] = '\0';
    }
    int error = 0;
    int fd = lum__os_open_at(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0 || fsync(fd) != 0) error = errno;
    if (fd >= 0) close(fd);
    free(parent);
    return error;
}

static lum_status create_directory(const char *directory)
{
    bool is_new = mkdir(directory, 0777) == 0;
    if (!is_new && errno != EEXIST) {
        bool is_parent_missing = errno == ENOENT;
        lum_status status = lum__fail_errno(errno, NULL, LUM_NO_OFFSET, "cannot make the directory %s", directory);
        if (is_parent_missing) lum__error_set_remedy("make the directory above it first");
        return status;
    }
    /* Also for a directory that was there: the process that made it may have died before this. Only for our own is it
     * an error not to manage it: the parent of another may not be readable to us. */
    int error = sync_parent(directory);
    if (error != 0 && is_new) {
        return lum__fail_at(__FILE__, __LINE__, LUM_ERR_SYNC, error, NULL, LUM_NO_OFFSET, 0,
                            "cannot sync the directory above %s", directory);
    }
    return LUM_OK;
}

/* LUM_IO=buffered, threads, or both with a comma between. */
static void apply_environment(struct os_fs *fs)
{
    const char *wish = getenv("LUM_IO");
    if (wish == NULL) return;
    if (strstr(wish, "buffered") != NULL) fs->no_direct = true;
    if (strstr(wish, "threads") != NULL) fs->no_uring = true;
}

static void os_close(struct lum__fs *base)
{
    struct os_fs *fs = (struct os_fs *)base;
    for (uint32_t i = 0; i < fs->folder_count; i++) close(fs->folders[i].fd);
    if (fs->root_fd >= 0) close(fs->root_fd);
    pthread_mutex_destroy(&fs->folders_mutex);
    free(fs);
}

static const struct lum__fs_ops os_ops;

lum_status lum__fs_open_os(const char *directory, const struct lum__fs_os_options *options, struct lum__fs **out)
{
    *out = NULL;
    struct lum__fs_os_options defaults = {0};
    if (options == NULL) options = &defaults;
    if (options->create && !options->read_only) LUM_TRY(create_directory(directory));

    void *memory = NULL;
    LUM_TRY(lum__alloc_zeroed(1, sizeof(struct os_fs), &memory));
    struct os_fs *fs = memory;
    fs->base.ops = &os_ops;
    fs->is_read_only = options->read_only;
    fs->no_direct = options->no_direct;
    fs->no_uring = options->no_uring;
    apply_environment(fs);
    pthread_mutex_init(&fs->folders_mutex, NULL);

    lum_status status;
    fs->root_fd = lum__os_open_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY, 0);
    if (fs->root_fd < 0) {
        bool is_file = errno == ENOTDIR;
        status = lum__fail_errno(errno, NULL, LUM_NO_OFFSET, "cannot open the directory %s", directory);
        if (is_file) lum__error_set_remedy("a store is a directory, named before the files that are loaded into it");
        goto out;
    }
    LUM_TRY_OUT(lum__os_probe(fs, directory));
    *out = &fs->base;
    return LUM_OK;
out:
    os_close(&fs->base);
    return status;
}

/* --- names --- */

static lum_status os_mkdir(struct lum__fs *base, const char *path)
{
    struct os_fs *fs = (struct os_fs *)base;
    LUM_TRY(refuse_if_read_only(fs, path));
    if (mkdirat(fs->root_fd, path, LUM__FOLDER_MODE) != 0) {
        return lum__fail_errno(errno, path, LUM_NO_OFFSET, "cannot make the folder %s", path);
    }
    int fd = -1;
    LUM_TRY(folder_fd(fs, path, &fd));
    if (fchmod(fd, LUM__FOLDER_MODE) != 0 && errno != EPERM && errno != EOPNOTSUPP) {
        return lum__fail_errno(errno, path, LUM_NO_OFFSET, "cannot set the mode of %s", path);
    }
    return LUM_OK;
}

static lum_status os_rename(struct lum__fs *base, const char *from, const char *to)
{
    struct os_fs *fs = (struct os_fs *)base;
    int from_fd, to_fd;
    const char *from_name, *to_name;
    LUM_TRY(refuse_if_read_only(fs, from));
    LUM_TRY(locate(fs, from, &from_fd, &from_name));
    LUM_TRY(locate(fs, to, &to_fd, &to_name));
    if (renameat(from_fd, from_name, to_fd, to_name) != 0) {
        return lum__fail_errno(errno, from, LUM_NO_OFFSET, "cannot rename %s to %s", from, to);
    }
    return LUM_OK;
}

static lum_status os_unlink(struct lum__fs *base, const char *path)
{
    struct os_fs *fs = (struct os_fs *)base;
    int dir_fd;
    const char *name;
    LUM_TRY(refuse_if_read_only(fs, path));
    LUM_TRY(locate(fs, path, &dir_fd, &name));
    if (unlinkat(dir_fd, name, 0) != 0) {
        return lum__fail_errno(errno, path, LUM_NO_OFFSET, "cannot remove %s", path);
    }
    return LUM_OK;
}

static lum_status os_sync_dir(struct lum__fs *base, const char *folder)
{
    struct os_fs *fs = (struct os_fs *)base;
    int fd = -1;
    LUM_TRY(refuse_if_read_only(fs, folder));
    LUM_TRY(folder_fd(fs, folder, &fd));
    if (fsync(fd) != 0) { /* never again: the failure is reported once only (pitfall 6) */
        int error = errno;
        return lum__fail_at(__FILE__, __LINE__, LUM_ERR_SYNC, error, folder, LUM_NO_OFFSET, 0,
                            "cannot sync the folder %s", folder[0] == '\0' ? "of the store" : folder);
    }
    return LUM_OK;
}

static lum_status os_list(struct lum__fs *base, const char *folder, lum_status (*each)(void *context, const char *name),
                          void *context)
{
    struct os_fs *fs = (struct os_fs *)base;
    int kept_fd = -1;
    LUM_TRY(folder_fd(fs, folder, &kept_fd));
    int fd =
        lum__os_open_at(kept_fd, ".", O_RDONLY | O_DIRECTORY, 0); /* of its own, for a reading position of its own */
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        int error = errno;
        if (fd >= 0) close(fd);
        return lum__fail_errno(error, folder, LUM_NO_OFFSET, "cannot list the folder '%s'", folder);
    }
    lum_status status = LUM_OK;
    while (status == LUM_OK) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL) {
            if (errno != 0)
                status = lum__fail_errno(errno, folder, LUM_NO_OFFSET, "cannot list the folder '%s'", folder);
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        status = each(context, entry->d_name);
    }
    closedir(dir);
    return status;
}

static lum_status os_free_bytes(struct lum__fs *base, uint64_t *out)
{
    struct os_fs *fs = (struct os_fs *)base;
    struct statvfs info;
    if (fstatvfs(fs->root_fd, &info) != 0) {
        return lum__fail_errno(errno, NULL, LUM_NO_OFFSET, "cannot ask for free space");
    }
    *out = (uint64_t)info.f_bavail * info.f_frsize;
    return LUM_OK;
}

/* --- opening a file --- */

static lum_status refuse_foreign(const char *path, const char *what)
{
    return lum__fail_at(__FILE__, __LINE__, LUM_ERR_FOREIGN, 0, path, LUM_NO_OFFSET, 0,
                        "%s is %s, not a plain file of a store; nothing was done with it", path, what);
}

static lum_status check_plain(const struct stat *info, const char *path)
{
    if (S_ISLNK(info->st_mode)) return refuse_foreign(path, "a symbolic link");
    if (!S_ISREG(info->st_mode)) return refuse_foreign(path, "a folder, pipe, socket or device");
    if (info->st_nlink > 1) return refuse_foreign(path, "linked under a second name");
    return LUM_OK;
}

/* Opens the descriptor. What is there is looked at before it is opened (a device may act at open) and again afterwards
 * (it may have been swapped in between); O_NONBLOCK keeps a pipe from holding us up in that case. */
static lum_status open_plain(struct os_fs *fs, const char *path, unsigned flags, int *out, struct stat *info)
{
    int dir_fd;
    const char *name;
    LUM_TRY(locate(fs, path, &dir_fd, &name));
    bool is_new = (flags & LUM__OPEN_CREATE) != 0;
    if (!is_new) {
        if (fstatat(dir_fd, name, info, AT_SYMLINK_NOFOLLOW) != 0) {
            return lum__fail_errno(errno, path, LUM_NO_OFFSET, "cannot open %s", path);
        }
        LUM_TRY(check_plain(info, path));
    }
    int os_flags = ((flags & LUM__OPEN_WRITE) ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK;
    int fd = lum__os_open_at(dir_fd, name, os_flags | (is_new ? O_CREAT | O_EXCL : 0), LUM__FILE_MODE);
    if (fd < 0) return lum__fail_errno(errno, path, LUM_NO_OFFSET, "cannot %s %s", is_new ? "make" : "open", path);

    lum_status status = LUM_OK;
    if (fstat(fd, info) != 0) status = lum__fail_errno(errno, path, LUM_NO_OFFSET, "cannot ask about %s", path);
    if (status == LUM_OK) status = check_plain(info, path);
    if (status == LUM_OK && fcntl(fd, F_SETFL, 0) != 0) {
        status = lum__fail_errno(errno, path, LUM_NO_OFFSET, "cannot set the flags of %s", path);
    }
    if (status == LUM_OK && is_new && fchmod(fd, LUM__FILE_MODE) != 0 && errno != EPERM && errno != EOPNOTSUPP) {
        status = lum__fail_errno(errno, path, LUM_NO_OFFSET, "cannot set the mode of %s", path);
    }
    if (status != LUM_OK) {
        close(fd);
        return status;
    }
    *out = fd;
    return LUM_OK;
}

static lum_status os_open(struct lum__fs *base, const char *path, unsigned flags, struct lum__file **out)
{
    struct os_fs *fs = (struct os_fs *)base;
    if (flags & LUM__OPEN_WRITE) LUM_TRY(refuse_if_read_only(fs, path));
    void *memory = NULL;
    LUM_TRY(lum__alloc_zeroed(1, sizeof(struct os_file), &memory));
    struct os_file *file = memory;
    struct stat info;
    lum_status status = open_plain(fs, path, flags, &file->fd, &info);
    if (status != LUM_OK) {
        free(file);
        return status;
    }
    file->base.fs = base;
    snprintf(file->base.path, sizeof file->base.path, "%s", path);
    file->is_writable = (flags & LUM__OPEN_WRITE) != 0;
    file->device = info.st_dev;
    file->inode = info.st_ino;
    /* Set on the open descriptor, not in open(): some file systems make the file and then refuse the flag. */
    if ((flags & LUM__OPEN_DIRECT) && lum__os_is_on(&fs->features.direct_io)) {
        file->base.is_direct = lum__os_set_direct(file->fd, true);
        if (!file->base.is_direct) lum__os_turn_off(&fs->features.direct_io);
    }
    *out = &file->base;
    return LUM_OK;
}

static lum_status os_file_close(struct lum__file *base)
{
    struct os_file *file = (struct os_file *)base;
    LUM_ASSERT(__atomic_load_n(&file->in_flight, __ATOMIC_ACQUIRE) == 0);
    LUM_ASSERT(__atomic_load_n(&file->queue_refs, __ATOMIC_ACQUIRE) == 0);
    lum__os_lock_forget(file);
    lum_status status = LUM_OK;
    /* Once only: after any answer, EINTR too, the descriptor is gone, and its number may be somebody else's (pitfall
     * 14). */
    if (close(file->fd) != 0 && errno != EINTR && file->is_writable) {
        status = lum__fail_errno(errno, base->path, LUM_NO_OFFSET, "closing %s failed", base->path);
    }
    free(file);
    return status;
}

/* --- bytes --- */

bool lum__os_demote(struct os_file *file)
{
    if (!lum__file_is_direct(&file->base)) return true; /* another request found it out first */
    if (!lum__os_set_direct(file->fd, false)) return false;
    __atomic_store_n(&file->base.is_direct, false, __ATOMIC_RELAXED);
    lum__os_turn_off(&((struct os_fs *)file->base.fs)->features.direct_io);
    return true;
}

static bool ends_at(const struct os_file *file, uint64_t offset)
{
    struct stat info;
    return fstat(file->fd, &info) == 0 && (uint64_t)info.st_size <= offset;
}

int64_t lum__os_transfer(struct os_file *file, bool is_write, void *buffer, uint64_t bytes, uint64_t offset)
{
    uint64_t done = 0;
    while (done < bytes) {
        size_t part = bytes - done < TRANSFER_BYTES_MAX ? (size_t)(bytes - done) : TRANSFER_BYTES_MAX;
        uint8_t *at = (uint8_t *)buffer + done;
        off_t place = (off_t)(offset + done);
        bool was_direct = lum__file_is_direct(&file->base);
        ssize_t moved = is_write ? pwrite(file->fd, at, part, place) : pread(file->fd, at, part, place);
        if (moved < 0) {
            if (errno == EINTR) continue;
            if (errno == EINVAL && was_direct && lum__os_demote(file)) continue;
            return -(int64_t)errno;
        }
        if (moved == 0) return is_write ? -(int64_t)EIO : (int64_t)done;
        done += (uint64_t)moved;
        if (done == bytes || !lum__file_is_direct(&file->base) || done % LUM__IO_ALIGNMENT == 0) continue;
        /* Direct, and stopped inside a block: a read at the end of file is done, anything else starts that block again.
         */
        if (!is_write && ends_at(file, offset + done)) break;
        if ((uint64_t)moved < LUM__IO_ALIGNMENT) return -(int64_t)EIO;
        done &= ~(uint64_t)(LUM__IO_ALIGNMENT - 1);
    }
    return (int64_t)done;
}

static lum_status os_read(struct lum__file *base, void *buffer, size_t bytes, uint64_t offset, size_t *bytes_read)
{
    int64_t result = lum__os_transfer((struct os_file *)base, false, buffer, bytes, offset);
    if (result < 0) {
        return lum__fail_errno((int)-result, base->path, offset, "cannot read %zu bytes of %s at %llu", bytes,
                               base->path, (unsigned long long)offset);
    }
    *bytes_read = (size_t)result;
    return LUM_OK;
}

static lum_status os_write(struct lum__file *base, const void *buffer, size_t bytes, uint64_t offset)
{
    int64_t result = lum__os_transfer((struct os_file *)base, true, (void *)(uintptr_t)buffer, bytes, offset);
    if (result < 0) {
        return lum__fail_errno((int)-result, base->path, offset, "cannot write %zu bytes of %s at %llu", bytes,
                               base->path, (unsigned long long)offset);
    }
    LUM_ASSERT((uint64_t)result == bytes);
    return LUM_OK;
}

static lum_status extend_size(struct os_file *file, uint64_t size_bytes)
{
    struct stat info;
    if (fstat(file->fd, &info) != 0) {
        return lum__fail_errno(errno, file->base.path, LUM_NO_OFFSET, "cannot ask about %s", file->base.path);
    }
    if ((uint64_t)info.st_size >= size_bytes) return LUM_OK;
    return lum__file_truncate(&file->base, size_bytes);
}

static lum_status os_allocate(struct lum__file *base, uint64_t offset, uint64_t bytes)
{
    struct os_file *file = (struct os_file *)base;
    struct os_fs *fs = (struct os_fs *)base->fs;
    while (lum__os_is_on(&fs->features.fallocate)) {
        if (fallocate(file->fd, 0, (off_t)offset, (off_t)bytes) == 0) return LUM_OK;
        if (errno == EINTR) continue; /* common with timers running (pitfall 3) */
        if (errno != EOPNOTSUPP && errno != ENOSYS) {
            return lum__fail_errno(errno, base->path, offset, "cannot reserve %llu bytes for %s",
                                   (unsigned long long)bytes, base->path);
        }
        lum__os_turn_off(&fs->features.fallocate);
    }
    return extend_size(file, offset + bytes);
}

static lum_status os_punch(struct lum__file *base, uint64_t offset, uint64_t bytes)
{
    struct os_file *file = (struct os_file *)base;
    for (;;) {
        if (fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes) == 0)
            return LUM_OK;
        if (errno == EINTR) continue;
        if (errno == EOPNOTSUPP || errno == ENOSYS) return LUM_OK; /* the space stays taken, nothing else */
        return lum__fail_errno(errno, base->path, offset, "cannot give back %llu bytes of %s",
                               (unsigned long long)bytes, base->path);
    }
}

static lum_status os_truncate(struct lum__file *base, uint64_t size_bytes)
{
    while (ftruncate(((struct os_file *)base)->fd, (off_t)size_bytes) != 0) {
        if (errno == EINTR) continue;
        return lum__fail_errno(errno, base->path, size_bytes, "cannot set the size of %s to %llu", base->path,
                               (unsigned long long)size_bytes);
    }
    return LUM_OK;
}

/* Any failure counts, EINTR too: after it the kernel may hold the pages for clean, and a second call would say so
 * (pitfall 6). */
static lum_status os_sync(struct lum__file *base)
{
    if (fdatasync(((struct os_file *)base)->fd) == 0) return LUM_OK;
    int error = errno;
    return lum__fail_at(__FILE__, __LINE__, LUM_ERR_SYNC, error, base->path, LUM_NO_OFFSET, 0, "cannot sync %s",
                        base->path);
}

static lum_status os_info(struct lum__file *base, struct lum__file_info *out)
{
    struct stat info;
    if (fstat(((struct os_file *)base)->fd, &info) != 0) {
        return lum__fail_errno(errno, base->path, LUM_NO_OFFSET, "cannot ask about %s", base->path);
    }
    out->size_bytes = (uint64_t)info.st_size;
    out->allocated_bytes = (uint64_t)info.st_blocks * 512;
    out->link_count = info.st_nlink;
    out->mode = info.st_mode & 07777;
    return LUM_OK;
}

static lum_status os_is_current(struct lum__file *base, bool *out)
{
    struct os_file *file = (struct os_file *)base;
    struct stat info;
    int dir_fd;
    const char *name;
    LUM_TRY(locate((struct os_fs *)base->fs, base->path, &dir_fd, &name));
    if (fstatat(dir_fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) return LUM_OK;
        return lum__fail_errno(errno, base->path, LUM_NO_OFFSET, "cannot ask about %s", base->path);
    }
    *out = info.st_dev == file->device && info.st_ino == file->inode && info.st_nlink == 1;
    return LUM_OK;
}

static bool os_clone(struct lum__file *from, struct lum__file *to)
{
    return ioctl(((struct os_file *)to)->fd, FICLONE, ((struct os_file *)from)->fd) == 0;
}

static const struct lum__fs_ops os_ops = {
    .close = os_close,
    .features = lum__os_features,
    .mkdir = os_mkdir,
    .open = os_open,
    .rename = os_rename,
    .unlink = os_unlink,
    .sync_dir = os_sync_dir,
    .list = os_list,
    .free_bytes = os_free_bytes,
    .file_close = os_file_close,
    .read = os_read,
    .write = os_write,
    .allocate = os_allocate,
    .punch = os_punch,
    .truncate = os_truncate,
    .sync = os_sync,
    .info = os_info,
    .lock = lum__os_lock,
    .unlock = lum__os_unlock,
    .lock_holder = lum__os_lock_holder,
    .is_current = os_is_current,
    .clone = os_clone,
    .queue_open = lum__os_queue_open,
    .queue_submit = lum__os_queue_submit,
    .queue_reap = lum__os_queue_reap,
    .queue_close = lum__os_queue_close,
};
