/* storage/file.h - the file table: everything lum asks of an operating system's files goes through here.
 *
 * A `struct lum__fs` is one store directory. Three implementations answer it:
 *   lum__fs_open_os     (file_os.c)      POSIX + io_uring + O_DIRECT, each probed at open and at first use, with fallbacks
 *   lum__fs_record      (file_record.c)  wraps another one and records every operation, for proofs of order
 *   lum__fs_sim         (file_sim.c)     a disk in memory that lies: power cuts, torn and reordered writes, errors on demand
 *
 * Paths are relative to the store directory, at most one folder deep ("STATE", "wal/7.wal"), of [A-Za-z0-9._-] only; no path
 * component is ever followed through a symbolic link, and what opens is a regular file with one link. A file descriptor
 * below 3 is never used for data. All statuses come with lum__fail() details naming the path.
 *
 * What we assume of a file (storage/README.md numbers these assumptions): a write is durable after a later successful
 * sync of that file; a name is durable after a later successful sync of its directory; a failed sync says nothing about
 * any write before it, and is final. */
#ifndef LUM_STORAGE_FILE_H
#define LUM_STORAGE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lum/status.h"

struct lum__fs;
struct lum__file;
struct lum__io_queue;

enum {
    LUM__PATH_BYTES_MAX = 64,      /* the final zero included */
    LUM__IO_BYTES_MAX = 1u << 30,  /* of one queued request */
    LUM__FILE_MODE = 0640,         /* of every file made, whatever the umask (pitfall 34) */
    LUM__FOLDER_MODE = 0750,       /* of wal/, data/, emergency/; the store directory itself follows the umask */
};

enum lum__open_flags {
    LUM__OPEN_READ = 1,
    LUM__OPEN_WRITE = 2,      /* read and write */
    LUM__OPEN_CREATE = 4,     /* with WRITE; fails with LUM_ERR_EXISTS if the name exists */
    LUM__OPEN_DIRECT = 8,     /* O_DIRECT where it works (see lum__file_is_direct); offset, length, buffer then 4 KiB aligned */
};

/* What of the machine is in use; for reports. "direct+uring", "direct+threads", "buffered" ... */
struct lum__fs_features {
    bool direct_io;     /* the last probe of O_DIRECT succeeded */
    bool io_uring;
    bool fallocate;     /* false: allocate() writes zeros or only extends */
    bool copy_on_write; /* btrfs, zfs, bcachefs...: filling ahead and recycling do not help */
    bool remote;        /* NFS, CIFS, FUSE...: refused for writing unless forced */
    bool read_only;     /* the mount or the directory cannot be written */
    bool others_may_write; /* group or others may write the directory, or somebody else owns it: worth a warning */
    char fs_type[16];   /* "ext4", "xfs", "btrfs", "tmpfs", "overlay", "0x..." */
};

struct lum__file_info {
    uint64_t size_bytes;
    uint64_t allocated_bytes; /* st_blocks * 512 */
    uint64_t link_count;
    uint32_t mode;            /* permission bits */
};

enum lum__lock_kind { LUM__LOCK_SHARED, LUM__LOCK_EXCLUSIVE };

/* One finished request of a queue. `result`: bytes, or -errno. */
struct lum__io_completion {
    uint64_t user;
    int64_t result;
};

/* Implementations fill this; callers use the lum__fs_* / lum__file_* / lum__io_* functions below. */
struct lum__fs_ops {
    void (*close)(struct lum__fs *);
    void (*features)(struct lum__fs *, struct lum__fs_features *out);
    lum_status (*mkdir)(struct lum__fs *, const char *path);
    lum_status (*open)(struct lum__fs *, const char *path, unsigned flags, struct lum__file **out);
    lum_status (*rename)(struct lum__fs *, const char *from, const char *to);
    lum_status (*unlink)(struct lum__fs *, const char *path);
    lum_status (*sync_dir)(struct lum__fs *, const char *folder);
    lum_status (*list)(struct lum__fs *, const char *folder, lum_status (*each)(void *context, const char *name), void *context);
    lum_status (*free_bytes)(struct lum__fs *, uint64_t *out);

    lum_status (*file_close)(struct lum__file *);
    lum_status (*read)(struct lum__file *, void *buffer, size_t bytes, uint64_t offset, size_t *bytes_read);
    lum_status (*write)(struct lum__file *, const void *buffer, size_t bytes, uint64_t offset);
    lum_status (*allocate)(struct lum__file *, uint64_t offset, uint64_t bytes);
    lum_status (*punch)(struct lum__file *, uint64_t offset, uint64_t bytes);
    lum_status (*truncate)(struct lum__file *, uint64_t size_bytes);
    lum_status (*sync)(struct lum__file *);
    lum_status (*info)(struct lum__file *, struct lum__file_info *out);
    lum_status (*lock)(struct lum__file *, uint64_t byte, enum lum__lock_kind kind);
    lum_status (*unlock)(struct lum__file *, uint64_t byte);
    lum_status (*lock_holder)(struct lum__file *, uint64_t byte, bool *is_held);
    lum_status (*is_current)(struct lum__file *, bool *out);
    bool (*clone)(struct lum__file *from, struct lum__file *to); /* NULL: never */

    lum_status (*queue_open)(struct lum__fs *, uint32_t depth, struct lum__file *lock_file, struct lum__io_queue **out);
    lum_status (*queue_submit)(struct lum__io_queue *, bool is_write, struct lum__file *, void *buffer, uint32_t bytes,
                               uint64_t offset, uint64_t user);
    lum_status (*queue_reap)(struct lum__io_queue *, uint32_t wait_count, struct lum__io_completion *out, uint32_t out_max,
                             uint32_t *out_count);
    void (*queue_close)(struct lum__io_queue *);
};

/* Implementations embed these as their first member. */
struct lum__fs { const struct lum__fs_ops *ops; };
struct lum__file { struct lum__fs *fs; char path[LUM__PATH_BYTES_MAX]; bool is_direct; };
struct lum__io_queue { struct lum__fs *fs; };

/* --- opening a directory --- */

struct lum__fs_os_options {
    bool create;           /* mkdir the directory (mode 0777 & ~umask) and sync its parent; LUM_ERR_EXISTS is not raised for an existing one */
    bool read_only;        /* never opens anything for writing */
    bool no_direct, no_uring; /* for tests and comparisons; also environment LUM_IO=buffered|threads */
};
LUM_MUST_USE lum_status lum__fs_open_os(const char *directory, const struct lum__fs_os_options *options, struct lum__fs **out);

/* --- the directory --- */

void lum__fs_close(struct lum__fs *fs);
void lum__fs_features(struct lum__fs *fs, struct lum__fs_features *out);
/* "direct+uring", "direct+threads", "buffered+uring", "buffered+threads": how bulk data moves. A static string. */
const char *lum__fs_io_mode(const struct lum__fs_features *features);
LUM_MUST_USE lum_status lum__fs_mkdir(struct lum__fs *fs, const char *path);              /* LUM_ERR_EXISTS if there; not synced */
LUM_MUST_USE lum_status lum__fs_open_file(struct lum__fs *fs, const char *path, unsigned flags, struct lum__file **out); /* LUM_ERR_NOT_FOUND */
LUM_MUST_USE lum_status lum__fs_rename(struct lum__fs *fs, const char *from, const char *to);      /* replaces; not synced */
LUM_MUST_USE lum_status lum__fs_unlink(struct lum__fs *fs, const char *path);             /* not synced */
LUM_MUST_USE lum_status lum__fs_sync_dir(struct lum__fs *fs, const char *folder);         /* "" is the store directory itself */
LUM_MUST_USE lum_status lum__fs_list(struct lum__fs *fs, const char *folder, lum_status (*each)(void *context, const char *name),
                                     void *context);                                      /* no order; "." and ".." left out */
LUM_MUST_USE lum_status lum__fs_free_bytes(struct lum__fs *fs, uint64_t *out);

/* Writes a whole small file atomically: temporary name (path + ".tmp", replaced if a crash left one) -> write -> sync -> rename
 * -> sync directory (pitfalls 1, 15). One caller at a time for a path. After an error the old content, or (only where the last
 * step, LUM_ERR_SYNC, failed) the old or the new one, is there. */
LUM_MUST_USE lum_status lum__fs_replace(struct lum__fs *fs, const char *path, const void *bytes, size_t byte_count);
/* Reads a whole file of at most bytes_max (else LUM_ERR_CORRUPT) into a malloc'ed buffer that the caller frees. */
LUM_MUST_USE lum_status lum__fs_read_all(struct lum__fs *fs, const char *path, size_t bytes_max, uint8_t **out, size_t *out_bytes);

/* --- a file; every function may be called from any thread, concurrently --- */

/* NULL is fine; the result matters after writes. Its locks end here. First reap what queues have in
 * flight on it, and close the queues that hold it as their lock_file. */
lum_status lum__file_close(struct lum__file *file);
/* Reads until `bytes` or the end of file; *bytes_read says how many. EINTR and short reads are handled inside. */
LUM_MUST_USE lum_status lum__file_read(struct lum__file *file, void *buffer, size_t bytes, uint64_t offset, size_t *bytes_read);
LUM_MUST_USE lum_status lum__file_write(struct lum__file *file, const void *buffer, size_t bytes, uint64_t offset); /* all or error */
/* Reserves blocks and extends the size. Nobody may write beyond the old size meanwhile. */
LUM_MUST_USE lum_status lum__file_allocate(struct lum__file *file, uint64_t offset, uint64_t bytes);
LUM_MUST_USE lum_status lum__file_punch(struct lum__file *file, uint64_t offset, uint64_t bytes);    /* gives blocks back; where impossible, LUM_OK */
LUM_MUST_USE lum_status lum__file_truncate(struct lum__file *file, uint64_t size_bytes);
LUM_MUST_USE lum_status lum__file_sync(struct lum__file *file); /* fdatasync; a failure is final (LUM_ERR_SYNC), never call again */
LUM_MUST_USE lum_status lum__file_info(struct lum__file *file, struct lum__file_info *out);
/* May turn from true to false at the first refused use, on any thread: hence atomic. */
static inline bool lum__file_is_direct(const struct lum__file *file)
{
    return __atomic_load_n(&file->is_direct, __ATOMIC_RELAXED);
}

/* Locks one byte (open file description lock, plus a registry by device and inode for two opens in one process).
 * Never waits: LUM_ERR_BUSY at once. */
LUM_MUST_USE lum_status lum__file_lock(struct lum__file *file, uint64_t byte, enum lum__lock_kind kind);
lum_status lum__file_unlock(struct lum__file *file, uint64_t byte);
/* Is the byte locked exclusively by anyone else? */
LUM_MUST_USE lum_status lum__file_lock_holder(struct lum__file *file, uint64_t byte, bool *is_held);
/* False if the path no longer leads to this file (it was renamed, unlinked or replaced), or it has another link. */
LUM_MUST_USE lum_status lum__file_is_current(struct lum__file *file, bool *out);
/* LUM_ERR_FOREIGN if it is not (pitfall 21): what is written to it goes where no opening will look. */
LUM_MUST_USE lum_status lum__file_check_current(struct lum__file *file);
/* Makes an empty file share all blocks of another one (a reflink), where both lie on one file system that can: no bytes
 * move and no space is used. False: it cannot, and nothing happened. Either file may be of another store directory. */
LUM_MUST_USE bool lum__file_clone(struct lum__file *from, struct lum__file *to);

/* --- a queue of asynchronous requests; one thread at a time --- */

/* depth: requests in flight at most. lock_file (may be NULL) is held open by the queue until the last request is done, so that a
 * lock outlives the writes of a killed process. Without io_uring, a queue executes at submit. */
LUM_MUST_USE lum_status lum__io_open(struct lum__fs *fs, uint32_t depth, struct lum__file *lock_file, struct lum__io_queue **out);
/* Submits; the buffer belongs to the queue until its completion is reaped. At most `depth` may be in flight. */
LUM_MUST_USE lum_status lum__io_submit_write(struct lum__io_queue *queue, struct lum__file *file, const void *buffer, uint32_t bytes,
                                             uint64_t offset, uint64_t user);
LUM_MUST_USE lum_status lum__io_submit_read(struct lum__io_queue *queue, struct lum__file *file, void *buffer, uint32_t bytes,
                                            uint64_t offset, uint64_t user);
/* Waits for wait_count completions (at most as many as are in flight; 0: only looks), returns up to out_max. A short write is a result below the length: the
 * caller checks (lum__io_result_check). */
LUM_MUST_USE lum_status lum__io_reap(struct lum__io_queue *queue, uint32_t wait_count, struct lum__io_completion *out,
                                     uint32_t out_max, uint32_t *out_count);
/* LUM_OK if a completion moved all its bytes; else the failure, naming the file (a short count is LUM_ERR_IO). */
LUM_MUST_USE lum_status lum__io_result_check(const struct lum__file *file, bool is_write, uint64_t offset, uint32_t bytes,
                                             int64_t result);
/* Reaps everything in flight, then closes. */
void lum__io_close(struct lum__io_queue *queue);

#endif
