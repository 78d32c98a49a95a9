/* file_sim_disk.c - the disk in memory: files with their unsynced changes, names with theirs, faults and steps. */
#include "storage/file_sim_inner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/status.h"

/* --- helpers --- */

void lum__sim_lock(struct lum__sim *sim) { pthread_mutex_lock(&sim->mutex); }

void lum__sim_unlock(struct lum__sim *sim) { pthread_mutex_unlock(&sim->mutex); }

bool lum__sim_coin(uint64_t *random) { return lum__splitmix64(random) >> 63; }

uint64_t lum__sim_below(uint64_t *random, uint64_t bound)
{
    uint64_t value = lum__splitmix64(random);
    return bound == 0 ? 0 : value % bound;
}

void *lum__sim_alloc(size_t bytes)
{
    void *memory = malloc(bytes == 0 ? 1 : bytes);
    LUM_ASSERT(memory != NULL);
    return memory;
}

void *lum__sim_grow(void *array, size_t *capacity, size_t needed, size_t bytes_each)
{
    if (needed <= *capacity) return array;
    *capacity = needed * 2;
    void *grown = realloc(array, *capacity * bytes_each);
    LUM_ASSERT(grown != NULL);
    return grown;
}

/* --- how a call begins --- */

int lum__sim_strike(struct lum__sim *sim, enum lum__sim_call call, const char *path)
{
    int struck = 0;
    sim->call_counts[call]++;
    for (uint32_t i = 0; i < sim->armed_count; i++) {
        struct sim_armed *armed = &sim->armed[i];
        const struct lum__sim_fault *fault = &armed->fault;
        if (fault->call != call || strncmp(path, fault->path_prefix, strlen(fault->path_prefix)) != 0) continue;
        armed->seen++;
        bool strikes = armed->seen == fault->nth || (fault->is_lasting && armed->seen > fault->nth);
        if (strikes && struck == 0) struck = call == LUM__SIM_SHORT ? EIO : fault->os_errno;
    }
    return struck;
}

lum_status lum__sim_enter(struct lum__sim *sim, uint64_t generation, enum lum__sim_call call, bool is_step,
                          const char *path)
{
    bool is_dead = generation != sim->generation;
    if (is_step && !is_dead && !sim->is_stopped) {
        sim->steps++;
        if (sim->stop_step != 0 && sim->steps >= sim->stop_step) sim->is_stopped = true;
        if (sim->is_stopped && sim->on_stop != NULL) sim->on_stop(sim->on_stop_context, path);
    }
    if (is_dead || sim->is_stopped) {
        return lum__fail_errno(EIO, path, LUM_NO_OFFSET, "%s: the process is dead to this disk", path);
    }
    if (is_step && sim->is_read_only) {
        return lum__fail_errno(EROFS, path, LUM_NO_OFFSET, "%s: the disk is mounted for reading only", path);
    }
    int error = lum__sim_strike(sim, call, path);
    sim->struck_errno = error;
    if (error == 0 || call == LUM__SIM_WRITE || call == LUM__SIM_SYNC) return LUM_OK;
    bool is_sync = call == LUM__SIM_SYNC_DIR;
    return lum__fail_at(__FILE__, __LINE__, is_sync ? LUM_ERR_SYNC : lum__status_of_errno(error), error, path,
                        LUM_NO_OFFSET, 0, "%s: failed as the test asked for", path);
}

void lum__sim_arm(struct lum__sim *sim, const struct lum__sim_fault *fault)
{
    lum__sim_lock(sim);
    LUM_ASSERT(sim->armed_count < SIM_FAULTS_MAX);
    LUM_ASSERT(fault->nth > 0);
    sim->armed[sim->armed_count++] = (struct sim_armed){.fault = *fault};
    lum__sim_unlock(sim);
}

void lum__sim_disarm(struct lum__sim *sim)
{
    lum__sim_lock(sim);
    sim->armed_count = 0;
    lum__sim_unlock(sim);
}

/* --- files --- */

struct sim_inode *lum__sim_inode_new(struct lum__sim *sim)
{
    struct sim_inode *inode = lum__sim_alloc(sizeof *inode);
    *inode = (struct sim_inode){.next = sim->inodes};
    sim->inodes = inode;
    return inode;
}

void lum__sim_inode_release(struct lum__sim *sim, struct sim_inode *inode)
{
    LUM_ASSERT(inode->refs > 0);
    if (--inode->refs > 0) return;
    struct sim_inode **at = &sim->inodes;
    while (*at != inode) at = &(*at)->next;
    *at = inode->next;
    lum__sim_changes_clear(inode);
    free(inode->changes);
    lum__sim_data_free(&inode->live);
    lum__sim_data_free(&inode->durable);
    lum__sim_data_free(&inode->media);
    free(inode);
}

void lum__sim_change_apply(struct sim_data *data, const struct sim_change *change)
{
    switch (change->kind) {
    case CHANGE_WRITE: lum__sim_data_write(data, change->offset, change->data, change->bytes); break;
    case CHANGE_TRUNCATE: lum__sim_data_resize(data, change->offset); break;
    case CHANGE_EXTEND:
        if (change->offset > data->size) lum__sim_data_resize(data, change->offset);
        break;
    case CHANGE_ALLOCATE: lum__sim_data_allocate(data, change->offset, change->bytes); break;
    case CHANGE_PUNCH: lum__sim_data_punch(data, change->offset, change->bytes); break;
    }
}

static void push_change(struct sim_inode *inode, struct sim_change change)
{
    inode->changes =
        lum__sim_grow(inode->changes, &inode->change_capacity, inode->change_count + 1, sizeof *inode->changes);
    inode->changes[inode->change_count++] = change;
}

void lum__sim_inode_change(struct lum__sim *sim, struct sim_inode *inode, struct sim_change change)
{
    if (change.id == 0) change.id = ++sim->next_change_id;
    if (!change.is_in_flight) {
        lum__sim_change_apply(&inode->live, &change);
        if (inode->has_lost) lum__sim_change_apply(&inode->media, &change);
    }
    push_change(inode, change);
}

struct sim_change *lum__sim_change_find(struct sim_inode *inode, uint64_t id)
{
    for (size_t i = 0; i < inode->change_count; i++) {
        if (inode->changes[i].id == id) return &inode->changes[i];
    }
    return NULL;
}

void lum__sim_changes_clear(struct sim_inode *inode)
{
    for (size_t i = 0; i < inode->change_count; i++) free(inode->changes[i].data);
    inode->change_count = 0;
}

void lum__sim_inode_sync(struct sim_inode *inode)
{
    size_t kept = 0;
    for (size_t i = 0; i < inode->change_count; i++) {
        struct sim_change *change = &inode->changes[i];
        if (change->is_in_flight) {
            inode->changes[kept++] = *change;
            continue;
        }
        lum__sim_change_apply(&inode->durable, change);
        free(change->data);
    }
    inode->change_count = kept;
}

/* Splits a write into runs of sectors and keeps each or not. */
static void lose_sectors(struct lum__sim *sim, struct sim_inode *inode, const struct sim_change *change)
{
    uint64_t at = change->offset, end = change->offset + change->bytes;
    while (at < end) {
        uint64_t sectors = 1 + lum__sim_below(&sim->random, 16);
        uint64_t stop = (at / SIM_SECTOR + sectors) * SIM_SECTOR;
        if (stop > end) stop = end;
        if (lum__sim_coin(&sim->random)) {
            struct sim_change part = {
                .kind = CHANGE_WRITE, .id = ++sim->next_change_id, .offset = at, .bytes = stop - at};
            part.data = lum__sim_alloc((size_t)part.bytes);
            memcpy(part.data, change->data + (at - change->offset), (size_t)part.bytes);
            push_change(inode, part);
        }
        at = stop;
    }
    push_change(inode, (struct sim_change){.kind = CHANGE_EXTEND, .id = ++sim->next_change_id, .offset = end});
}

/* A sync failed: some unsynced sectors will never reach the disk, though the page cache shows them and the next sync
 * succeeds. Sizes and allocations are not lost, they go through a file system's own log. */
void lum__sim_inode_lose(struct lum__sim *sim, struct sim_inode *inode)
{
    struct sim_change *old = inode->changes;
    size_t old_count = inode->change_count;
    inode->changes = NULL;
    inode->change_count = inode->change_capacity = 0;
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].kind != CHANGE_WRITE || old[i].is_in_flight) {
            push_change(inode, old[i]);
            continue;
        }
        lose_sectors(sim, inode, &old[i]);
        free(old[i].data);
    }
    free(old);
    lum__sim_data_free(&inode->media);
    inode->media = lum__sim_data_copy(&inode->durable);
    inode->has_lost = true;
    for (size_t i = 0; i < inode->change_count; i++) {
        if (!inode->changes[i].is_in_flight) lum__sim_change_apply(&inode->media, &inode->changes[i]);
    }
}

uint64_t lum__sim_used_blocks(const struct lum__sim *sim)
{
    uint64_t used = 0;
    for (const struct sim_inode *inode = sim->inodes; inode != NULL; inode = inode->next)
        used += inode->live.used_blocks;
    return used;
}

uint64_t lum__sim_fitting(struct lum__sim *sim, const struct sim_inode *inode, uint64_t offset, uint64_t bytes)
{
    if (sim->limit_blocks == 0) return bytes;
    uint64_t used = lum__sim_used_blocks(sim);
    uint64_t room = used < sim->limit_blocks ? sim->limit_blocks - used : 0;
    if (lum__sim_data_missing(&inode->live, offset, bytes) <= room) return bytes;
    uint64_t end = offset;
    for (uint64_t block = offset / SIM_BLOCK; end < offset + bytes; block++) {
        if (lum__sim_data_is_hole(&inode->live, block) && room-- == 0) break;
        end = (block + 1) * SIM_BLOCK;
    }
    return end - offset < bytes ? end - offset : bytes;
}

uint64_t lum__sim_failed_prefix(struct lum__sim *sim, uint64_t offset, uint64_t bytes)
{
    if (lum__sim_coin(&sim->random)) return 0;
    uint64_t end = (offset + lum__sim_below(&sim->random, bytes)) / SIM_SECTOR * SIM_SECTOR;
    return end > offset ? end - offset : 0;
}

uint64_t lum__sim_read_bytes(const struct sim_file *file, void *out, uint64_t bytes, uint64_t offset)
{
    const struct sim_inode *inode = file->inode;
    const struct sim_data *data = file->base.is_direct && inode->has_lost ? &inode->media : &inode->live;
    if (offset >= inode->live.size) return 0;
    if (bytes > inode->live.size - offset) bytes = inode->live.size - offset;
    lum__sim_data_read(data, offset, out, bytes);
    return bytes;
}

/* --- names --- */

int32_t lum__sim_folder_find(struct lum__sim *sim, const char *name)
{
    for (uint32_t i = 0; i < sim->folder_count; i++) {
        if (sim->folders[i].is_live && strcmp(sim->folders[i].name, name) == 0) return (int32_t)i;
    }
    return -1;
}

bool lum__sim_locate(struct lum__sim *sim, const char *path, uint32_t *folder, const char **name)
{
    char folder_name[LUM__PATH_BYTES_MAX] = "";
    const char *slash = strchr(path, '/');
    if (slash != NULL) memcpy(folder_name, path, (size_t)(slash - path));
    *name = slash == NULL ? path : slash + 1;
    int32_t index = lum__sim_folder_find(sim, folder_name);
    *folder = index < 0 ? 0 : (uint32_t)index;
    return index >= 0;
}

struct sim_inode *lum__sim_names_get(const struct sim_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->entries[i].name, name) == 0) return names->entries[i].inode;
    }
    return NULL;
}

void lum__sim_names_set(struct lum__sim *sim, struct sim_names *names, const char *name, struct sim_inode *inode)
{
    inode->refs++;
    for (size_t i = 0; i < names->count; i++) {
        struct sim_entry *entry = &names->entries[i];
        if (strcmp(entry->name, name) != 0) continue;
        struct sim_inode *replaced = entry->inode;
        entry->inode = inode;
        lum__sim_inode_release(sim, replaced);
        return;
    }
    names->entries = lum__sim_grow(names->entries, &names->capacity, names->count + 1, sizeof *names->entries);
    struct sim_entry *entry = &names->entries[names->count++];
    snprintf(entry->name, sizeof entry->name, "%s", name);
    entry->inode = inode;
}

void lum__sim_names_remove(struct lum__sim *sim, struct sim_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->entries[i].name, name) != 0) continue;
        struct sim_inode *inode = names->entries[i].inode;
        names->entries[i] = names->entries[--names->count];
        lum__sim_inode_release(sim, inode);
        return;
    }
}

struct sim_name_change *lum__sim_name_changed(struct lum__sim *sim, enum sim_name_kind kind, uint32_t folder,
                                              const char *name, struct sim_inode *inode)
{
    sim->name_changes = lum__sim_grow(sim->name_changes, &sim->name_change_capacity, sim->name_change_count + 1,
                                      sizeof *sim->name_changes);
    struct sim_name_change *change = &sim->name_changes[sim->name_change_count++];
    *change = (struct sim_name_change){.kind = kind, .folder = folder, .to_folder = folder, .inode = inode};
    snprintf(change->name, sizeof change->name, "%s", name);
    if (inode != NULL) inode->refs++;
    return change;
}

void lum__sim_name_apply_durable(struct lum__sim *sim, const struct sim_name_change *change)
{
    struct sim_names *names = &sim->folders[change->folder].durable;
    switch (change->kind) {
    case NAME_MKDIR: sim->folders[change->folder].is_durable = true; break;
    case NAME_CREATE: lum__sim_names_set(sim, names, change->name, change->inode); break;
    case NAME_UNLINK:
        if (lum__sim_names_get(names, change->name) == change->inode) lum__sim_names_remove(sim, names, change->name);
        break;
    case NAME_RENAME:
        lum__sim_names_set(sim, &sim->folders[change->to_folder].durable, change->to_name, change->inode);
        if (lum__sim_names_get(names, change->name) == change->inode) lum__sim_names_remove(sim, names, change->name);
        break;
    }
}

void lum__sim_name_changes_clear(struct lum__sim *sim)
{
    for (size_t i = 0; i < sim->name_change_count; i++) {
        if (sim->name_changes[i].inode != NULL) lum__sim_inode_release(sim, sim->name_changes[i].inode);
    }
    sim->name_change_count = 0;
}

void lum__sim_names_sync(struct lum__sim *sim, uint32_t folder)
{
    size_t kept = 0;
    for (size_t i = 0; i < sim->name_change_count; i++) {
        struct sim_name_change *change = &sim->name_changes[i];
        uint32_t from = change->kind == NAME_MKDIR ? 0 : change->folder; /* a folder's name stands in the store */
        uint32_t to = change->kind == NAME_MKDIR ? 0 : change->to_folder;
        if (from == folder) change->is_synced = true;
        if (to == folder) change->is_to_synced = true;
        if (!change->is_synced || !change->is_to_synced) {
            sim->name_changes[kept++] = *change;
            continue;
        }
        lum__sim_name_apply_durable(sim, change);
        if (change->inode != NULL) lum__sim_inode_release(sim, change->inode);
    }
    sim->name_change_count = kept;
}
