/* file_sim_queue.c - queues of the disk in memory. A request happens when it is reaped, in order or (reorder_queue) in
 * any order and late; until then a write is one of the file's unsynced changes, in flight: invisible, and not covered
 * by a sync. */
#include "storage/file_sim_inner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/status.h"

struct sim_request {
    struct sim_file *file;
    uint8_t *buffer;
    uint64_t offset, user, change_id;
    uint32_t bytes;
    bool is_write;
};

struct sim_queue {
    struct lum__io_queue base;
    struct lum__sim *sim;
    uint64_t generation;
    struct sim_file *lock_file;
    uint32_t depth, count; /* requests[0 .. count) are in flight, oldest first */
    struct sim_request requests[];
};

lum_status lum__sim_queue_open(struct lum__fs *base, uint32_t depth, struct lum__file *lock_file,
                               struct lum__io_queue **out)
{
    struct sim_fs *fs = (struct sim_fs *)base;
    struct sim_queue *queue = lum__sim_alloc(sizeof *queue + depth * sizeof queue->requests[0]);
    *queue = (struct sim_queue){.base = {.fs = base}, .sim = fs->sim, .generation = fs->generation, .depth = depth};
    queue->lock_file = (struct sim_file *)lock_file;
    lum__sim_lock(fs->sim);
    fs->sim->handle_count++;
    if (lock_file != NULL) queue->lock_file->queue_refs++;
    lum__sim_unlock(fs->sim);
    *out = &queue->base;
    return LUM_OK;
}

lum_status lum__sim_queue_submit(struct lum__io_queue *base, bool is_write, struct lum__file *base_file, void *buffer,
                                 uint32_t bytes, uint64_t offset, uint64_t user)
{
    struct sim_queue *queue = (struct sim_queue *)base;
    struct sim_file *file = (struct sim_file *)base_file;
    struct lum__sim *sim = queue->sim;
    lum__sim_lock(sim);
    LUM_ASSERT(queue->count < queue->depth);
    LUM_ASSERT(!is_write || file->is_writable);
    lum_status status = lum__sim_enter(sim, queue->generation, LUM__SIM_SUBMIT, is_write, base_file->path);
    if (status != LUM_OK) goto out;
    struct sim_request *request = &queue->requests[queue->count++];
    *request = (struct sim_request){
        .file = file, .buffer = buffer, .offset = offset, .user = user, .bytes = bytes, .is_write = is_write};
    file->in_flight++;
    if (is_write) {
        struct sim_change change = {.kind = CHANGE_WRITE, .is_in_flight = true, .offset = offset, .bytes = bytes};
        change.id = request->change_id = ++sim->next_change_id;
        change.data = lum__sim_alloc(bytes);
        memcpy(change.data, buffer, bytes);
        lum__sim_inode_change(sim, file->inode, change);
    }
out:
    lum__sim_unlock(sim);
    return status;
}

/* How many bytes move, and the errno if not all do (0 for a count that is just short). */
static uint64_t decide_moved(struct lum__sim *sim, const struct sim_request *request, int *error)
{
    const char *path = request->file->base.path;
    enum lum__sim_call call = request->is_write ? LUM__SIM_COMPLETION_WRITE : LUM__SIM_COMPLETION_READ;
    uint64_t moved = request->bytes;
    *error = lum__sim_strike(sim, call, path);
    if (*error != 0) return request->is_write ? lum__sim_failed_prefix(sim, request->offset, moved) : 0;
    if (lum__sim_strike(sim, LUM__SIM_SHORT, path) != 0) {
        uint64_t unit = moved > SIM_BLOCK ? SIM_BLOCK : SIM_SECTOR;
        moved = moved / 2 / unit * unit;
    }
    if (!request->is_write) return moved;
    uint64_t fits = lum__sim_fitting(sim, request->file->inode, request->offset, moved);
    if (fits == 0 && moved > 0) *error = ENOSPC;
    return fits;
}

static int64_t complete_write(struct lum__sim *sim, const struct sim_request *request)
{
    struct sim_inode *inode = request->file->inode;
    struct sim_change *change = lum__sim_change_find(inode, request->change_id);
    LUM_ASSERT(change != NULL);
    /* the buffer belongs to the kernel until its completion is reaped (pitfall 5) */
    LUM_ASSERT(memcmp(change->data, request->buffer, request->bytes) == 0);
    int error;
    change->bytes = decide_moved(sim, request, &error);
    change->is_in_flight = false;
    lum__sim_change_apply(&inode->live, change);
    if (inode->has_lost) lum__sim_change_apply(&inode->media, change);
    return error != 0 ? -(int64_t)error : (int64_t)change->bytes;
}

static int64_t complete(struct sim_queue *queue, const struct sim_request *request)
{
    struct lum__sim *sim = queue->sim;
    if (queue->generation != sim->generation || sim->is_stopped) return -EIO;
    if (request->is_write) return complete_write(sim, request);
    int error;
    uint64_t moved = decide_moved(sim, request, &error);
    if (error != 0) return -(int64_t)error;
    return (int64_t)lum__sim_read_bytes(request->file, request->buffer, moved, request->offset);
}

static void take_out(struct sim_queue *queue, uint32_t index, struct lum__io_completion *out)
{
    struct sim_request request = queue->requests[index];
    queue->count--;
    memmove(&queue->requests[index], &queue->requests[index + 1], (queue->count - index) * sizeof request);
    *out = (struct lum__io_completion){.user = request.user, .result = complete(queue, &request)};
    request.file->in_flight--;
}

lum_status lum__sim_queue_reap(struct lum__io_queue *base, uint32_t wait_count, struct lum__io_completion *out,
                               uint32_t out_max, uint32_t *out_count)
{
    struct sim_queue *queue = (struct sim_queue *)base;
    struct lum__sim *sim = queue->sim;
    lum__sim_lock(sim);
    LUM_ASSERT(wait_count <= queue->count);
    uint32_t wanted = queue->count < out_max ? queue->count : out_max;
    if (sim->reorders_queue) wanted = wait_count + (uint32_t)lum__sim_below(&sim->random, wanted - wait_count + 1);
    while (*out_count < wanted) {
        uint32_t index = sim->reorders_queue ? (uint32_t)lum__sim_below(&sim->random, queue->count) : 0;
        take_out(queue, index, &out[(*out_count)++]);
    }
    lum__sim_unlock(sim);
    return LUM_OK;
}

void lum__sim_queue_close(struct lum__io_queue *base)
{
    struct sim_queue *queue = (struct sim_queue *)base;
    struct lum__sim *sim = queue->sim;
    struct lum__io_completion ignored;
    lum__sim_lock(sim);
    while (queue->count > 0) take_out(queue, 0, &ignored);
    if (queue->lock_file != NULL) queue->lock_file->queue_refs--;
    sim->handle_count--;
    lum__sim_unlock(sim);
    free(queue);
}
