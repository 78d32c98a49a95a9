/* file_uring.c - queues: io_uring where it works, else each request runs inside its submit.
 *
 * Nothing here relies on the order of requests: a caller that needs order reaps first and submits afterwards (pitfall
 * 36). The ring holds the store's LOCK file as a registered file: when a process is killed, the kernel drops a ring's
 * files only after the ring's last request has ended, so nobody else gets the lock while a write of the dead process is
 * on its way. */
#include "storage/file_os.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/status.h"

enum {
    NO_SLOT = UINT32_MAX,
    GHOST = UINT32_MAX - 1,  /* user data of a request that was withdrawn: its completion means nothing */
    SUBMIT_TRIES_MAX = 2000, /* with 1 ms between: the kernel is out of memory for requests */
};

struct request {
    struct os_file *file;
    uint8_t *buffer;
    uint64_t offset, user;
    uint32_t bytes, done;
    uint32_t next; /* of the free list, or of the list of finished ones */
    int64_t result;
    bool is_write;
    bool was_direct; /* when the kernel got it */
};

struct os_queue {
    struct lum__io_queue base;
    struct io_uring ring;
    bool has_ring;
    struct os_file *lock_file;
    uint32_t depth;
    uint32_t in_flight; /* given out by submit, not yet handed over by reap */
    uint32_t free_first;
    uint32_t ready_first, ready_last; /* finished, in the order they finished */
    struct request requests[];
};

bool lum__os_uring_works(void)
{
    struct io_uring ring;
    if (io_uring_queue_init(2, &ring, 0) != 0) return false;
    struct io_uring_probe *probe = io_uring_get_probe_ring(&ring);
    bool works = probe != NULL && io_uring_opcode_supported(probe, IORING_OP_READ) &&
                 io_uring_opcode_supported(probe, IORING_OP_WRITE);
    io_uring_free_probe(probe);
    io_uring_queue_exit(&ring);
    return works;
}

/* A ring, or quietly none: the kernel may refuse (ENOSYS, EPERM, ENOMEM under a locked-memory limit) what the probe
 * got. */
static bool open_ring(struct os_queue *queue, uint32_t depth)
{
    if (io_uring_queue_init(depth, &queue->ring, IORING_SETUP_CLAMP) != 0) return false;
    io_uring_ring_dontfork(&queue->ring);
    if (queue->lock_file != NULL && io_uring_register_files(&queue->ring, &queue->lock_file->fd, 1) != 0) {
        io_uring_queue_exit(&queue->ring);
        return false;
    }
    return true;
}

lum_status lum__os_queue_open(struct lum__fs *base, uint32_t depth, struct lum__file *lock_file,
                              struct lum__io_queue **out)
{
    struct os_fs *fs = (struct os_fs *)base;
    void *memory = NULL;
    LUM_TRY(lum__alloc_zeroed(1, sizeof(struct os_queue) + depth * sizeof(struct request), &memory));
    struct os_queue *queue = memory;
    queue->base.fs = base;
    queue->depth = depth;
    queue->lock_file = (struct os_file *)lock_file;
    queue->ready_first = queue->ready_last = NO_SLOT;
    queue->free_first = NO_SLOT;
    for (uint32_t i = depth; i-- > 0;) {
        queue->requests[i].next = queue->free_first;
        queue->free_first = i;
    }
    if (queue->lock_file != NULL) __atomic_fetch_add(&queue->lock_file->queue_refs, 1, __ATOMIC_ACQ_REL);
    if (lum__os_is_on(&fs->features.io_uring)) {
        queue->has_ring = open_ring(queue, depth);
        if (!queue->has_ring) lum__os_turn_off(&fs->features.io_uring);
    }
    *out = &queue->base;
    return LUM_OK;
}

static void finish(struct os_queue *queue, uint32_t slot, int64_t result)
{
    struct request *request = &queue->requests[slot];
    request->result = result;
    request->next = NO_SLOT;
    if (queue->ready_last == NO_SLOT) {
        queue->ready_first = slot;
    } else {
        queue->requests[queue->ready_last].next = slot;
    }
    queue->ready_last = slot;
}

static void run_at_once(struct os_queue *queue, uint32_t slot)
{
    struct request *request = &queue->requests[slot];
    int64_t moved = lum__os_transfer(request->file, request->is_write, request->buffer + request->done,
                                     request->bytes - request->done, request->offset + request->done);
    finish(queue, slot, moved < 0 ? moved : (int64_t)request->done + moved);
}

/* Hands what is left of a request to the kernel. 0 or an errno; then the kernel does not have it and never will. */
static int give_to_ring(struct os_queue *queue, uint32_t slot)
{
    struct request *request = &queue->requests[slot];
    request->was_direct = lum__file_is_direct(&request->file->base);
    struct io_uring_sqe *sqe = io_uring_get_sqe(&queue->ring);
    LUM_ASSERT(sqe != NULL); /* every submission below empties the submission ring, or withdraws what it put there */
    void *at = request->buffer + request->done;
    uint32_t bytes = request->bytes - request->done;
    if (request->is_write) {
        io_uring_prep_write(sqe, request->file->fd, at, bytes, request->offset + request->done);
    } else {
        io_uring_prep_read(sqe, request->file->fd, at, bytes, request->offset + request->done);
    }
    io_uring_sqe_set_data64(sqe, slot);
    for (int tries = 0;; tries++) {
        int submitted = io_uring_submit(&queue->ring);
        if (submitted >= 1) return 0;
        if (submitted == -EINTR) continue;
        bool may_pass = submitted == 0 || submitted == -EAGAIN || submitted == -EBUSY;
        if (!may_pass || tries >= SUBMIT_TRIES_MAX) {
            /* It still lies in the ring and would go out with the next submission, from a buffer that is no longer
             * ours. */
            io_uring_prep_nop(sqe);
            io_uring_sqe_set_data64(sqe, GHOST);
            return submitted == 0 ? EAGAIN : -submitted;
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

lum_status lum__os_queue_submit(struct lum__io_queue *base, bool is_write, struct lum__file *file, void *buffer,
                                uint32_t bytes, uint64_t offset, uint64_t user)
{
    struct os_queue *queue = (struct os_queue *)base;
    LUM_ASSERT(queue->free_first != NO_SLOT); /* more than depth in flight */
    uint32_t slot = queue->free_first;
    struct request *request = &queue->requests[slot];
    uint32_t next_free = request->next;
    *request = (struct request){.file = (struct os_file *)file,
                                .buffer = buffer,
                                .offset = offset,
                                .user = user,
                                .bytes = bytes,
                                .is_write = is_write,
                                .next = next_free};
    if (queue->has_ring) {
        int error = give_to_ring(queue, slot);
        if (error != 0) {
            return lum__fail_errno(error, file->path, offset, "the kernel takes no more requests for %s", file->path);
        }
    }
    queue->free_first = next_free;
    queue->in_flight++;
    __atomic_fetch_add(&request->file->in_flight, 1, __ATOMIC_ACQ_REL);
    if (!queue->has_ring) run_at_once(queue, slot);
    return LUM_OK;
}

/* Must the rest of this request be given to the kernel again? Else it is finished with *result. */
static bool must_continue(struct request *request, int64_t *result)
{
    int64_t moved = *result;
    if (moved == -EINTR || moved == -EAGAIN) return true;
    if (moved == -EINVAL && request->was_direct) return lum__os_demote(request->file);
    if (moved < 0) return false;
    request->done += (uint32_t)moved;
    *result = request->done;
    if (moved == 0 || request->done == request->bytes) return false;
    /* A part: the rest, if a direct file may ask for it. Inside a block it is the end of file, or the caller's to see.
     */
    return !lum__file_is_direct(&request->file->base) || request->done % LUM__IO_ALIGNMENT == 0;
}

static void take_completion(struct os_queue *queue, uint64_t slot, int64_t result)
{
    if (slot == GHOST) return;
    LUM_ASSERT(slot < queue->depth);
    struct request *request = &queue->requests[slot];
    if (!must_continue(request, &result)) {
        finish(queue, (uint32_t)slot, result);
        return;
    }
    int error = give_to_ring(queue, (uint32_t)slot);
    if (error != 0) finish(queue, (uint32_t)slot, -error);
}

/* Moves what the kernel has finished to the ready list; waits for at least one if asked to. */
static lum_status collect(struct os_queue *queue, bool wait)
{
    struct io_uring_cqe *cqe = NULL;
    int error = io_uring_peek_cqe(&queue->ring, &cqe);
    if (error != 0 && wait) {
        do {
            error = io_uring_wait_cqe(&queue->ring, &cqe);
        } while (error == -EINTR);
        if (error != 0) {
            return lum__fail_errno(-error, NULL, LUM_NO_OFFSET, "waiting for the kernel's queue failed");
        }
    }
    while (error == 0 && cqe != NULL) {
        uint64_t slot = io_uring_cqe_get_data64(cqe);
        int64_t result = cqe->res;
        io_uring_cqe_seen(&queue->ring, cqe);
        take_completion(queue, slot, result);
        error = io_uring_peek_cqe(&queue->ring, &cqe);
    }
    return LUM_OK;
}

static void hand_over(struct os_queue *queue, struct lum__io_completion *out)
{
    uint32_t slot = queue->ready_first;
    struct request *request = &queue->requests[slot];
    *out = (struct lum__io_completion){.user = request->user, .result = request->result};
    queue->ready_first = request->next;
    if (queue->ready_first == NO_SLOT) queue->ready_last = NO_SLOT;
    request->next = queue->free_first;
    queue->free_first = slot;
    queue->in_flight--;
    __atomic_fetch_sub(&request->file->in_flight, 1, __ATOMIC_ACQ_REL);
}

lum_status lum__os_queue_reap(struct lum__io_queue *base, uint32_t wait_count, struct lum__io_completion *out,
                              uint32_t out_max, uint32_t *out_count)
{
    struct os_queue *queue = (struct os_queue *)base;
    LUM_ASSERT(wait_count <= queue->in_flight);
    bool has_looked = !queue->has_ring;
    while (*out_count < out_max) {
        if (queue->ready_first != NO_SLOT) {
            hand_over(queue, &out[(*out_count)++]);
            continue;
        }
        bool must_wait = *out_count < wait_count;
        if (!must_wait && has_looked) break;
        LUM_TRY(collect(queue, must_wait));
        has_looked = true;
    }
    return LUM_OK;
}

void lum__os_queue_close(struct lum__io_queue *base)
{
    struct os_queue *queue = (struct os_queue *)base;
    struct lum__io_completion ignored;
    uint32_t count;
    while (queue->in_flight > 0) {
        count = 0;
        /* Going on would free buffers that the kernel may still read from. */
        lum_status status = lum__os_queue_reap(base, 1, &ignored, 1, &count);
        LUM_ASSERT(status == LUM_OK);
    }
    if (queue->has_ring) {
        /* by itself, and before the ring: the ring is torn down later and elsewhere, and the lock must not wait for
         * that */
        if (queue->lock_file != NULL) io_uring_unregister_files(&queue->ring);
        io_uring_queue_exit(&queue->ring);
    }
    if (queue->lock_file != NULL) __atomic_fetch_sub(&queue->lock_file->queue_refs, 1, __ATOMIC_ACQ_REL);
    free(queue);
}
