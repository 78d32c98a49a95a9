/* file_sim_inner.h - the parts of the disk in memory; only the file_sim_*.c files include it.
 *
 *   contents   file_sim_data.c    a file's bytes as shared, copy-on-write blocks
 *   disk       file_sim_disk.c    files, names, what is unsynced, faults
 *   cut        file_sim_cut.c     power cut, kill, clone
 *   calls      file_sim.c         the file table
 *   queues     file_sim_queue.c
 *   outside    file_sim_dump.c    edit, dump, load
 */
#ifndef LUM_STORAGE_FILE_SIM_INNER_H
#define LUM_STORAGE_FILE_SIM_INNER_H

#include <pthread.h>

#include "base/random.h"
#include "storage/file_sim.h"

enum { SIM_BLOCK = 4096, SIM_SECTOR = 512, SIM_FOLDERS_MAX = 16, SIM_FAULTS_MAX = 16 };

/* --- contents --- */

struct sim_block;

struct sim_data {
    uint64_t size;
    uint64_t used_blocks;      /* allocated, written or not */
    size_t block_count;        /* length of blocks */
    struct sim_block **blocks; /* NULL: a hole */
};

void lum__sim_data_write(struct sim_data *data, uint64_t offset, const void *bytes, uint64_t byte_count);
void lum__sim_data_read(const struct sim_data *data, uint64_t offset, void *out,
                        uint64_t byte_count); /* zeros past the end */
void lum__sim_data_resize(struct sim_data *data, uint64_t size);
void lum__sim_data_allocate(struct sim_data *data, uint64_t offset, uint64_t byte_count);
void lum__sim_data_punch(struct sim_data *data, uint64_t offset, uint64_t byte_count);
uint64_t lum__sim_data_missing(const struct sim_data *data, uint64_t offset,
                               uint64_t byte_count); /* blocks not allocated yet */
bool lum__sim_data_is_hole(const struct sim_data *data, uint64_t block);
struct sim_data lum__sim_data_copy(const struct sim_data *data);
void lum__sim_data_free(struct sim_data *data);

/* --- files --- */

enum sim_change_kind { CHANGE_WRITE, CHANGE_TRUNCATE, CHANGE_EXTEND, CHANGE_ALLOCATE, CHANGE_PUNCH };

/* One change of a file that is not durable yet. */
struct sim_change {
    enum sim_change_kind kind;
    bool is_in_flight; /* a queued write that was not reaped: not visible, not covered by a sync */
    uint64_t id;
    uint64_t offset; /* truncate, extend: the size */
    uint64_t bytes;
    uint8_t *data; /* write */
};

struct sim_inode {
    struct sim_inode *next;
    uint32_t refs; /* names (live, durable), name changes, handles */
    uint32_t in_flight;
    struct sim_data live;    /* what reads see */
    struct sim_data durable; /* what was synced */
    struct sim_data media;   /* if has_lost: what direct reads see, that is live without what failed syncs dropped */
    bool has_lost;
    struct sim_change *changes;
    size_t change_count, change_capacity;
    struct sim_inode *clone; /* while cloning */
};

/* --- names --- */

struct sim_entry {
    char name[LUM__PATH_BYTES_MAX];
    struct sim_inode *inode;
};

struct sim_names {
    struct sim_entry *entries;
    size_t count, capacity;
};

struct sim_folder {
    char name[LUM__PATH_BYTES_MAX]; /* "" for the store itself, which is folder 0 */
    bool is_live, is_durable;
    struct sim_names live, durable;
};

enum sim_name_kind { NAME_MKDIR, NAME_CREATE, NAME_UNLINK, NAME_RENAME };

/* One change of names that is not durable yet. */
struct sim_name_change {
    enum sim_name_kind kind;
    uint32_t folder, to_folder;   /* mkdir: folder is the new one */
    bool is_synced, is_to_synced; /* a rename between folders needs both */
    char name[LUM__PATH_BYTES_MAX], to_name[LUM__PATH_BYTES_MAX];
    struct sim_inode *inode;
};

/* --- the disk --- */

struct sim_file;

struct sim_lock {
    const struct sim_file *owner;
    const struct sim_inode *inode;
    uint64_t byte;
    enum lum__lock_kind kind;
};

struct sim_armed {
    struct lum__sim_fault fault;
    uint64_t seen;
};

struct lum__sim {
    pthread_mutex_t mutex; /* over everything below, and everything reached from it */
    uint64_t random;
    uint64_t generation; /* a handle of an older one is dead */
    uint32_t handle_count;
    struct sim_inode *inodes;
    struct sim_folder folders[SIM_FOLDERS_MAX];
    uint32_t folder_count;
    struct sim_name_change *name_changes;
    size_t name_change_count, name_change_capacity;
    struct sim_lock *locks;
    size_t lock_count, lock_capacity;
    struct sim_armed armed[SIM_FAULTS_MAX];
    uint32_t armed_count;
    uint64_t call_counts[LUM__SIM_CALLS];
    int struck_errno; /* of the call that has just entered, if it is one that fails in its own way (write, sync) */
    uint64_t next_change_id;
    uint64_t steps, stop_step; /* stop_step 0: never */
    void (*on_stop)(void *context, const char *path);
    void *on_stop_context;
    uint64_t limit_blocks;     /* 0: none */
    bool is_stopped, is_read_only, no_direct, reorders_queue, ignores_file_sync, ignores_dir_sync;
};

struct sim_fs {
    struct lum__fs base;
    struct lum__sim *sim;
    uint64_t generation;
    bool is_read_only;
};

struct sim_file {
    struct lum__file base;
    struct lum__sim *sim;
    uint64_t generation;
    struct sim_inode *inode;
    bool is_writable;
    uint32_t in_flight, queue_refs;
};

void lum__sim_lock(struct lum__sim *sim);
void lum__sim_unlock(struct lum__sim *sim);
bool lum__sim_coin(uint64_t *random);
uint64_t lum__sim_below(uint64_t *random, uint64_t bound); /* uniform enough, 0 for bound 0 */
void *lum__sim_alloc(size_t bytes);
void *lum__sim_grow(void *array, size_t *capacity, size_t needed, size_t bytes_each);

/* All below: under the mutex. */

/* Counts the call, and says how it fails: LUM_OK if it does not, or (write, sync) if struck_errno says it must.
 * is_step: it would change something. */
lum_status lum__sim_enter(struct lum__sim *sim, uint64_t generation, enum lum__sim_call call, bool is_step,
                          const char *path);
/* The errno of an armed fault that strikes now, or 0. */
int lum__sim_strike(struct lum__sim *sim, enum lum__sim_call call, const char *path);

struct sim_inode *lum__sim_inode_new(struct lum__sim *sim);
void lum__sim_inode_release(struct lum__sim *sim, struct sim_inode *inode);

int32_t lum__sim_folder_find(struct lum__sim *sim, const char *name); /* live; -1 if none */
/* Splits a path; false if its folder does not exist. */
bool lum__sim_locate(struct lum__sim *sim, const char *path, uint32_t *folder, const char **name);
struct sim_inode *lum__sim_names_get(const struct sim_names *names, const char *name);
void lum__sim_names_set(struct lum__sim *sim, struct sim_names *names, const char *name, struct sim_inode *inode);
void lum__sim_names_remove(struct lum__sim *sim, struct sim_names *names, const char *name);
struct sim_name_change *lum__sim_name_changed(struct lum__sim *sim, enum sim_name_kind kind, uint32_t folder,
                                              const char *name, struct sim_inode *inode);
void lum__sim_name_apply_durable(struct lum__sim *sim, const struct sim_name_change *change);
void lum__sim_name_changes_clear(struct lum__sim *sim);
void lum__sim_names_sync(struct lum__sim *sim, uint32_t folder);

/* Notes a change and (unless it is in flight) applies it to what reads see. Takes over change->data. */
void lum__sim_inode_change(struct lum__sim *sim, struct sim_inode *inode, struct sim_change change);
void lum__sim_change_apply(struct sim_data *data, const struct sim_change *change);
struct sim_change *lum__sim_change_find(struct sim_inode *inode, uint64_t id);
void lum__sim_changes_clear(struct sim_inode *inode);
void lum__sim_inode_sync(struct sim_inode *inode);
void lum__sim_inode_lose(struct lum__sim *sim, struct sim_inode *inode);
/* How many of the bytes at offset fit under the limit. */
uint64_t lum__sim_fitting(struct lum__sim *sim, const struct sim_inode *inode, uint64_t offset, uint64_t bytes);
uint64_t lum__sim_used_blocks(const struct lum__sim *sim);
/* How much a failing transfer moved all the same: whole sectors, fewer than all. */
uint64_t lum__sim_failed_prefix(struct lum__sim *sim, uint64_t offset, uint64_t bytes);

/* A read as the handle sees it; answers the bytes before the end of file. */
uint64_t lum__sim_read_bytes(const struct sim_file *file, void *out, uint64_t bytes, uint64_t offset);

lum_status lum__sim_queue_open(struct lum__fs *fs, uint32_t depth, struct lum__file *lock_file,
                               struct lum__io_queue **out);
lum_status lum__sim_queue_submit(struct lum__io_queue *queue, bool is_write, struct lum__file *file, void *buffer,
                                 uint32_t bytes, uint64_t offset, uint64_t user);
lum_status lum__sim_queue_reap(struct lum__io_queue *queue, uint32_t wait_count, struct lum__io_completion *out,
                               uint32_t out_max, uint32_t *out_count);
void lum__sim_queue_close(struct lum__io_queue *queue);

#endif
