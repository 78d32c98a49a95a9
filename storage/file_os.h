/* file_os.h - what file_os.c (directory and files), file_os_lock.c (locks) and file_uring.c (queues) share. Nobody else
 * includes it. */
#ifndef LUM_STORAGE_FILE_OS_H
#define LUM_STORAGE_FILE_OS_H

#include <pthread.h>
#include <sys/types.h>

#include "storage/file.h"

enum { OS_FOLDERS_MAX = 16 };

struct os_folder {
    char name[LUM__PATH_BYTES_MAX];
    int fd;
};

struct os_fs {
    struct lum__fs base;
    /* immutable after open */
    int root_fd;
    bool is_read_only; /* asked for, not found: see features for the mount */
    bool no_direct, no_uring;
    /* each flag turns off at the first refusal, from any thread: atomic, relaxed (a late reader only tries once more)
     */
    struct lum__fs_features features;
    /* under folders_mutex: directory descriptors stay open, so that every name is looked up from the directory that was
     * there at the first use, whatever is renamed above it (pitfall 34) */
    pthread_mutex_t folders_mutex;
    struct os_folder folders[OS_FOLDERS_MAX];
    uint32_t folder_count;
};

struct os_file {
    struct lum__file base;
    int fd;
    bool is_writable;
    dev_t device;
    ino_t inode;
    uint32_t in_flight;  /* atomic: requests of queues */
    uint32_t queue_refs; /* atomic: queues that hold it as their lock_file */
};

/* openat() with O_CLOEXEC and O_NOCTTY that never answers a descriptor below 3 (pitfall 20). -1 and errno. */
int lum__os_open_at(int dir_fd, const char *name, int flags, mode_t mode);

static inline void lum__os_turn_off(bool *feature) { __atomic_store_n(feature, false, __ATOMIC_RELAXED); }
static inline bool lum__os_is_on(const bool *feature) { return __atomic_load_n(feature, __ATOMIC_RELAXED); }
lum_status lum__os_probe(struct os_fs *fs, const char *directory); /* fills fs->features; once, at open */
/* fs_type, remote, copy_on_write by the magic number of statfs(2). */
void lum__os_name_file_system(uint32_t magic, struct lum__fs_features *features);
void lum__os_features(struct lum__fs *fs, struct lum__fs_features *out);
bool lum__os_set_direct(int fd, bool on);

/* One blocking transfer of all bytes: handles EINTR, short counts, the 2 GiB cap and a late refusal of O_DIRECT.
 * Returns the bytes moved (fewer only at the end of file), or -errno; a write that stops moving is -EIO. */
int64_t lum__os_transfer(struct os_file *file, bool is_write, void *buffer, uint64_t bytes, uint64_t offset);
/* O_DIRECT was refused at a use: goes on buffered on the same descriptor (and its locks). False if that is refused too.
 */
bool lum__os_demote(struct os_file *file);

lum_status lum__os_lock(struct lum__file *file, uint64_t byte, enum lum__lock_kind kind);
lum_status lum__os_unlock(struct lum__file *file, uint64_t byte);
lum_status lum__os_lock_holder(struct lum__file *file, uint64_t byte, bool *is_held);
void lum__os_lock_forget(struct os_file *file); /* at close */

/* Does a ring open here, and does it know the two operations that we use? */
bool lum__os_uring_works(void);
lum_status lum__os_queue_open(struct lum__fs *fs, uint32_t depth, struct lum__file *lock_file,
                              struct lum__io_queue **out);
lum_status lum__os_queue_submit(struct lum__io_queue *queue, bool is_write, struct lum__file *file, void *buffer,
                                uint32_t bytes, uint64_t offset, uint64_t user);
lum_status lum__os_queue_reap(struct lum__io_queue *queue, uint32_t wait_count, struct lum__io_completion *out,
                              uint32_t out_max, uint32_t *out_count);
void lum__os_queue_close(struct lum__io_queue *queue);

#endif
