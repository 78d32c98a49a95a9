/* file_sim_cut.c - making, cloning and destroying the disk in memory; power cuts and killed processes. */
#include "storage/file_sim_inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

const char *lum__sim_mode_name(enum lum__sim_mode mode)
{
    static const char *const names[LUM__SIM_MODES] = {"dropped", "kept", "torn-512", "torn-4096", "reordered", "mixed"};
    LUM_ASSERT((unsigned)mode < LUM__SIM_MODES);
    return names[mode];
}

/* --- life --- */

static struct lum__sim *sim_new(uint64_t seed)
{
    struct lum__sim *sim = lum__sim_alloc(sizeof *sim);
    *sim = (struct lum__sim){.random = seed, .generation = 1};
    pthread_mutex_init(&sim->mutex, NULL);
    return sim;
}

struct lum__sim *lum__sim_create(uint64_t seed)
{
    struct lum__sim *sim = sim_new(seed);
    sim->folder_count = 1;
    sim->folders[0] = (struct sim_folder){.is_live = true, .is_durable = true};
    return sim;
}

static void names_clear(struct lum__sim *sim, struct sim_names *names)
{
    while (names->count > 0) lum__sim_names_remove(sim, names, names->entries[0].name);
}

void lum__sim_destroy(struct lum__sim *sim)
{
    if (sim == NULL) return;
    LUM_ASSERT(sim->handle_count == 0);
    for (uint32_t i = 0; i < sim->folder_count; i++) {
        names_clear(sim, &sim->folders[i].live);
        names_clear(sim, &sim->folders[i].durable);
        free(sim->folders[i].live.entries);
        free(sim->folders[i].durable.entries);
    }
    lum__sim_name_changes_clear(sim);
    LUM_ASSERT(sim->inodes == NULL);
    free(sim->name_changes);
    free(sim->locks);
    pthread_mutex_destroy(&sim->mutex);
    free(sim);
}

/* --- clone --- */

static void clone_inode(struct lum__sim *to, struct sim_inode *from)
{
    struct sim_inode *copy = lum__sim_inode_new(to);
    copy->refs = 1; /* the cloner's, until all names are there */
    copy->live = lum__sim_data_copy(&from->live);
    copy->durable = lum__sim_data_copy(&from->durable);
    copy->has_lost = from->has_lost;
    if (from->has_lost) copy->media = lum__sim_data_copy(&from->media);
    copy->changes = lum__sim_grow(NULL, &copy->change_capacity, from->change_count, sizeof *copy->changes);
    copy->change_count = from->change_count;
    for (size_t i = 0; i < from->change_count; i++) {
        struct sim_change *change = &copy->changes[i];
        *change = from->changes[i];
        if (change->data == NULL) continue;
        change->data = lum__sim_alloc((size_t)change->bytes);
        memcpy(change->data, from->changes[i].data, (size_t)change->bytes);
    }
    from->clone = copy;
}

static void clone_names(struct lum__sim *to, struct sim_names *copy, const struct sim_names *from)
{
    *copy = (struct sim_names){0};
    for (size_t i = 0; i < from->count; i++) {
        lum__sim_names_set(to, copy, from->entries[i].name, from->entries[i].inode->clone);
    }
}

struct lum__sim *lum__sim_clone(struct lum__sim *from, uint64_t seed)
{
    struct lum__sim *to = sim_new(seed);
    lum__sim_lock(from);
    for (struct sim_inode *inode = from->inodes; inode != NULL; inode = inode->next) clone_inode(to, inode);
    to->folder_count = from->folder_count;
    for (uint32_t i = 0; i < from->folder_count; i++) {
        to->folders[i] = from->folders[i];
        clone_names(to, &to->folders[i].live, &from->folders[i].live);
        clone_names(to, &to->folders[i].durable, &from->folders[i].durable);
    }
    for (size_t i = 0; i < from->name_change_count; i++) {
        const struct sim_name_change *change = &from->name_changes[i];
        struct sim_inode *inode = change->inode == NULL ? NULL : change->inode->clone;
        struct sim_name_change *copy = lum__sim_name_changed(to, change->kind, change->folder, change->name, inode);
        *copy = *change;
        copy->inode = inode;
    }
    for (struct sim_inode *inode = from->inodes; inode != NULL; inode = inode->next) {
        lum__sim_inode_release(to, inode->clone); /* what only a handle kept alive is not cloned */
        inode->clone = NULL;
    }
    to->next_change_id = from->next_change_id;
    to->limit_blocks = from->limit_blocks;
    to->is_read_only = from->is_read_only;
    to->no_direct = from->no_direct;
    to->reorders_queue = from->reorders_queue;
    to->ignores_file_sync = from->ignores_file_sync;
    to->ignores_dir_sync = from->ignores_dir_sync;
    lum__sim_unlock(from);
    return to;
}

/* --- power cut --- */

/* Does sector or block `index` of `count` of a torn write survive? By one of four shapes, chosen once for the write. */
struct tear {
    enum { TEAR_ALL, TEAR_NONE, TEAR_PREFIX, TEAR_SUFFIX, TEAR_SCATTER } shape;
    uint64_t border;
};

static struct tear choose_tear(uint64_t *random, uint64_t count)
{
    struct tear tear = {.border = lum__sim_below(random, count + 1)};
    switch (lum__sim_below(random, 8)) {
    case 0: tear.shape = TEAR_ALL; break;
    case 1: tear.shape = TEAR_NONE; break;
    case 2:
    case 3: tear.shape = TEAR_PREFIX; break;
    case 4: tear.shape = TEAR_SUFFIX; break;
    default: tear.shape = TEAR_SCATTER; break;
    }
    return tear;
}

static bool survives_tear(const struct tear *tear, uint64_t *random, uint64_t index)
{
    switch (tear->shape) {
    case TEAR_ALL: return true;
    case TEAR_NONE: return false;
    case TEAR_PREFIX: return index < tear->border;
    case TEAR_SUFFIX: return index >= tear->border;
    case TEAR_SCATTER: return lum__sim_coin(random);
    }
    return false;
}

static void apply_torn(struct sim_data *data, const struct sim_change *change, uint64_t unit, uint64_t *random)
{
    uint64_t first = change->offset / unit, end = change->offset + change->bytes;
    uint64_t count = (end + unit - 1) / unit - first;
    struct tear tear = choose_tear(random, count);
    for (uint64_t i = 0; i < count; i++) {
        if (!survives_tear(&tear, random, i)) continue;
        uint64_t from = (first + i) * unit, to = from + unit;
        if (from < change->offset) from = change->offset;
        if (to > end) to = end;
        lum__sim_data_write(data, from, change->data + (from - change->offset), to - from);
    }
    if (end > data->size && lum__sim_coin(random)) lum__sim_data_resize(data, end);
}

static void survive(struct sim_data *data, const struct sim_change *change, enum lum__sim_mode mode, uint64_t *random)
{
    if (mode == LUM__SIM_MIXED) mode = (enum lum__sim_mode)lum__sim_below(random, LUM__SIM_MIXED);
    if (mode == LUM__SIM_DROPPED) return;
    bool is_torn = mode == LUM__SIM_TORN_512 || mode == LUM__SIM_TORN_4096;
    if (is_torn && change->kind == CHANGE_WRITE) {
        if (change->bytes == 0) return; /* a completion that moved nothing */
        apply_torn(data, change, mode == LUM__SIM_TORN_512 ? SIM_SECTOR : SIM_BLOCK, random);
        return;
    }
    if (mode == LUM__SIM_KEPT || lum__sim_coin(random)) lum__sim_change_apply(data, change);
}

/* What is left of a file's content is on the disk for good. */
static void cut_inode(struct sim_inode *inode, enum lum__sim_mode mode, uint64_t *random)
{
    for (size_t i = 0; i < inode->change_count; i++) survive(&inode->durable, &inode->changes[i], mode, random);
    lum__sim_changes_clear(inode);
    lum__sim_data_free(&inode->live);
    lum__sim_data_free(&inode->media);
    inode->has_lost = false;
    inode->live = lum__sim_data_copy(&inode->durable);
}

static void cut_names(struct lum__sim *sim, enum lum__sim_mode mode, uint64_t *random)
{
    for (size_t i = 0; i < sim->name_change_count; i++) {
        bool is_left = mode == LUM__SIM_KEPT || (mode != LUM__SIM_DROPPED && lum__sim_coin(random));
        if (is_left) lum__sim_name_apply_durable(sim, &sim->name_changes[i]);
    }
    for (uint32_t i = 0; i < sim->folder_count; i++) {
        struct sim_folder *folder = &sim->folders[i];
        if (!folder->is_durable) names_clear(sim, &folder->durable);
        names_clear(sim, &folder->live);
        folder->is_live = folder->is_durable;
        for (size_t j = 0; j < folder->durable.count; j++) {
            lum__sim_names_set(sim, &folder->live, folder->durable.entries[j].name, folder->durable.entries[j].inode);
        }
    }
    lum__sim_name_changes_clear(sim);
}

/* Every handle is dead, every lock gone, every trap of the test with them. */
static void end_processes(struct lum__sim *sim)
{
    sim->generation++;
    sim->lock_count = 0;
    sim->armed_count = 0;
    sim->is_stopped = false;
    sim->stop_step = 0;
}

void lum__sim_power_cut(struct lum__sim *sim, enum lum__sim_mode mode, uint64_t seed)
{
    LUM_ASSERT((unsigned)mode < LUM__SIM_MODES);
    lum__sim_lock(sim);
    end_processes(sim);
    for (struct sim_inode *inode = sim->inodes; inode != NULL; inode = inode->next) cut_inode(inode, mode, &seed);
    cut_names(sim, mode, &seed);
    lum__sim_unlock(sim);
}

void lum__sim_kill(struct lum__sim *sim, uint64_t seed)
{
    lum__sim_lock(sim);
    end_processes(sim);
    for (struct sim_inode *inode = sim->inodes; inode != NULL; inode = inode->next) {
        size_t kept = 0;
        for (size_t i = 0; i < inode->change_count; i++) {
            struct sim_change change = inode->changes[i];
            if (change.is_in_flight) { /* the kernel had it: it may still have gone through */
                if (lum__sim_coin(&seed)) {
                    free(change.data);
                    continue;
                }
                change.is_in_flight = false;
                lum__sim_change_apply(&inode->live, &change);
                if (inode->has_lost) lum__sim_change_apply(&inode->media, &change);
            }
            inode->changes[kept++] = change;
        }
        inode->change_count = kept;
    }
    lum__sim_unlock(sim);
}

void lum__sim_sync_all(struct lum__sim *sim)
{
    lum__sim_lock(sim);
    for (struct sim_inode *inode = sim->inodes; inode != NULL; inode = inode->next) lum__sim_inode_sync(inode);
    for (uint32_t i = 0; i < sim->folder_count; i++) lum__sim_names_sync(sim, i);
    lum__sim_unlock(sim);
}

/* --- switches and counters --- */

uint64_t lum__sim_call_count(struct lum__sim *sim, enum lum__sim_call call)
{
    lum__sim_lock(sim);
    uint64_t count = sim->call_counts[call];
    lum__sim_unlock(sim);
    return count;
}

uint64_t lum__sim_steps(struct lum__sim *sim)
{
    lum__sim_lock(sim);
    uint64_t steps = sim->steps;
    lum__sim_unlock(sim);
    return steps;
}

void lum__sim_stop_at(struct lum__sim *sim, uint64_t nth)
{
    lum__sim_lock(sim);
    sim->stop_step = nth == 0 ? 0 : sim->steps + nth;
    lum__sim_unlock(sim);
}

bool lum__sim_is_stopped(struct lum__sim *sim)
{
    lum__sim_lock(sim);
    bool is_stopped = sim->is_stopped;
    lum__sim_unlock(sim);
    return is_stopped;
}

void lum__sim_set_on_stop(struct lum__sim *sim, void (*on_stop)(void *context, const char *path), void *context)
{
    lum__sim_lock(sim);
    sim->on_stop = on_stop;
    sim->on_stop_context = context;
    lum__sim_unlock(sim);
}

void lum__sim_set_limit(struct lum__sim *sim, uint64_t bytes)
{
    lum__sim_lock(sim);
    sim->limit_blocks = bytes == 0 ? 0 : bytes < SIM_BLOCK ? 1 : bytes / SIM_BLOCK;
    lum__sim_unlock(sim);
}

uint64_t lum__sim_used_bytes(struct lum__sim *sim)
{
    lum__sim_lock(sim);
    uint64_t used = lum__sim_used_blocks(sim) * SIM_BLOCK;
    lum__sim_unlock(sim);
    return used;
}

static void set_switch(struct lum__sim *sim, bool *which, bool on)
{
    lum__sim_lock(sim);
    *which = on;
    lum__sim_unlock(sim);
}

void lum__sim_set_read_only(struct lum__sim *sim, bool on) { set_switch(sim, &sim->is_read_only, on); }
void lum__sim_set_direct(struct lum__sim *sim, bool on) { set_switch(sim, &sim->no_direct, !on); }
void lum__sim_set_reorder_queue(struct lum__sim *sim, bool on) { set_switch(sim, &sim->reorders_queue, on); }
void lum__sim_ignore_file_sync(struct lum__sim *sim, bool on) { set_switch(sim, &sim->ignores_file_sync, on); }
void lum__sim_ignore_dir_sync(struct lum__sim *sim, bool on) { set_switch(sim, &sim->ignores_dir_sync, on); }
