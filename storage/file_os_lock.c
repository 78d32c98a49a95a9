/* file_os_lock.c - byte locks that belong to an open file, not to a process.
 *
 * Classic fcntl locks vanish when any descriptor of the file is closed anywhere in the process, and say nothing between
 * two opens of one process (pitfall 18). So: open file description locks, which the kernel drops with the last
 * reference to the description - the process may die in any way, no stale lock stays behind (pitfall 17) - and a
 * registry by device, inode and byte, so that two opens in one process see each other even where a file system emulates
 * these locks per process. */
#include "storage/file_os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/status.h"

struct held_lock {
    struct held_lock *next;
    const struct os_file *owner;
    dev_t device;
    ino_t inode;
    uint64_t byte;
    enum lum__lock_kind kind;
};

static pthread_mutex_t registry_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct held_lock *registry; /* under registry_mutex; a handful of entries */

static int set_lock(int fd, uint64_t byte, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = 1};
    while (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        if (errno != EINTR) return errno;
    }
    return 0;
}

static bool is_same_place(const struct held_lock *lock, const struct os_file *file, uint64_t byte)
{
    return lock->device == file->device && lock->inode == file->inode && lock->byte == byte;
}

/* Registry only, under the mutex: does another open of this process hold the byte against `kind`? */
static bool registry_conflicts(const struct os_file *file, uint64_t byte, enum lum__lock_kind kind)
{
    for (const struct held_lock *lock = registry; lock != NULL; lock = lock->next) {
        if (lock->owner == file || !is_same_place(lock, file, byte)) continue;
        if (kind == LUM__LOCK_EXCLUSIVE || lock->kind == LUM__LOCK_EXCLUSIVE) return true;
    }
    return false;
}

static struct held_lock *registry_own(const struct os_file *file, uint64_t byte)
{
    for (struct held_lock *lock = registry; lock != NULL; lock = lock->next) {
        if (lock->owner == file && lock->byte == byte) return lock;
    }
    return NULL;
}

static void registry_remove(const struct os_file *file, bool all, uint64_t byte)
{
    for (struct held_lock **at = &registry; *at != NULL;) {
        struct held_lock *lock = *at;
        if (lock->owner == file && (all || lock->byte == byte)) {
            *at = lock->next;
            free(lock);
        } else {
            at = &lock->next;
        }
    }
}

static lum_status busy(const struct os_file *file)
{
    return lum__fail_at(__FILE__, __LINE__, LUM_ERR_BUSY, 0, file->base.path, LUM_NO_OFFSET, 0,
                        "%s is locked by another opening", file->base.path);
}

lum_status lum__os_lock(struct lum__file *base, uint64_t byte, enum lum__lock_kind kind)
{
    struct os_file *file = (struct os_file *)base;
    void *entry = NULL;
    LUM_TRY(lum__alloc(sizeof(struct held_lock), &entry));
    pthread_mutex_lock(&registry_mutex);
    lum_status status = LUM_OK;
    if (registry_conflicts(file, byte, kind)) {
        status = busy(file);
        goto out;
    }
    int error = set_lock(file->fd, byte, kind == LUM__LOCK_EXCLUSIVE ? F_WRLCK : F_RDLCK);
    if (error == EAGAIN || error == EACCES) {
        status = busy(file);
        goto out;
    }
    if (error != 0) {
        status = lum__fail_errno(error, base->path, byte, "cannot lock %s", base->path);
        goto out;
    }
    struct held_lock *own = registry_own(file, byte);
    if (own == NULL) {
        own = entry;
        entry = NULL;
        *own = (struct held_lock){registry, file, file->device, file->inode, byte, kind};
        registry = own;
    }
    own->kind = kind; /* a lock held already changes its kind, as in the kernel */
out:
    pthread_mutex_unlock(&registry_mutex);
    free(entry);
    return status;
}

lum_status lum__os_unlock(struct lum__file *base, uint64_t byte)
{
    struct os_file *file = (struct os_file *)base;
    pthread_mutex_lock(&registry_mutex);
    registry_remove(file, false, byte);
    int error = set_lock(file->fd, byte, F_UNLCK);
    pthread_mutex_unlock(&registry_mutex);
    if (error != 0) return lum__fail_errno(error, base->path, byte, "cannot unlock %s", base->path);
    return LUM_OK;
}

lum_status lum__os_lock_holder(struct lum__file *base, uint64_t byte, bool *is_held)
{
    struct os_file *file = (struct os_file *)base;
    pthread_mutex_lock(&registry_mutex);
    *is_held = registry_conflicts(file, byte, LUM__LOCK_SHARED);
    pthread_mutex_unlock(&registry_mutex);
    if (*is_held) return LUM_OK;

    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = 1};
    while (fcntl(file->fd, F_OFD_GETLK, &lock) != 0) {
        if (errno != EINTR)
            return lum__fail_errno(errno, base->path, byte, "cannot ask for the lock of %s", base->path);
    }
    *is_held = lock.l_type != F_UNLCK;
    return LUM_OK;
}

/* Also unlocks, so that the byte is free at once and not when the kernel gets round to dropping the last reference. */
void lum__os_lock_forget(struct os_file *file)
{
    pthread_mutex_lock(&registry_mutex);
    for (struct held_lock *lock = registry; lock != NULL; lock = lock->next) {
        if (lock->owner == file) set_lock(file->fd, lock->byte, F_UNLCK);
    }
    registry_remove(file, true, 0);
    pthread_mutex_unlock(&registry_mutex);
}
