/* file_sim_dump.c - the disk in memory seen from outside: damage, and copies to and from a real directory. */
#include "storage/file_sim_inner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/status.h"

/* --- damage --- */

static lum_status find(struct lum__sim *sim, const char *path, struct sim_inode **out)
{
    uint32_t folder;
    const char *name;
    *out = NULL;
    if (lum__sim_locate(sim, path, &folder, &name)) *out = lum__sim_names_get(&sim->folders[folder].live, name);
    if (*out == NULL) return lum__fail_errno(ENOENT, path, LUM_NO_OFFSET, "there is no %s on the disk", path);
    return LUM_OK;
}

/* Into what reads see and what is on the disk, so that no cut or sync brings the good bytes back. */
static lum_status edit(struct lum__sim *sim, const char *path, uint64_t offset, const uint8_t *bytes, size_t byte_count,
                       bool is_xor)
{
    struct sim_inode *inode;
    LUM_TRY(find(sim, path, &inode));
    struct sim_data *views[3] = {&inode->live, &inode->durable, inode->has_lost ? &inode->media : NULL};
    if (offset > inode->live.size || byte_count > inode->live.size - offset) {
        return lum__fail_errno(EINVAL, path, offset, "%s ends before %llu", path,
                               (unsigned long long)(offset + byte_count));
    }
    for (int view = 0; view < 3; view++) {
        for (size_t i = 0; views[view] != NULL && i < byte_count && offset + i < views[view]->size; i++) {
            uint8_t byte;
            lum__sim_data_read(views[view], offset + i, &byte, 1);
            byte = is_xor ? byte ^ bytes[i] : bytes[i];
            lum__sim_data_write(views[view], offset + i, &byte, 1);
        }
    }
    return LUM_OK;
}

lum_status lum__sim_edit(struct lum__sim *sim, const char *path, uint64_t offset, const void *bytes, size_t byte_count)
{
    lum__sim_lock(sim);
    lum_status status = edit(sim, path, offset, bytes, byte_count, false);
    lum__sim_unlock(sim);
    return status;
}

lum_status lum__sim_flip_bit(struct lum__sim *sim, const char *path, uint64_t bit)
{
    uint8_t mask = (uint8_t)(1u << (bit % 8));
    lum__sim_lock(sim);
    lum_status status = edit(sim, path, bit / 8, &mask, 1, true);
    lum__sim_unlock(sim);
    return status;
}

lum_status lum__sim_file_size(struct lum__sim *sim, const char *path, uint64_t *out)
{
    struct sim_inode *inode;
    *out = 0;
    lum__sim_lock(sim);
    lum_status status = find(sim, path, &inode);
    if (status == LUM_OK) *out = inode->live.size;
    lum__sim_unlock(sim);
    return status;
}

/* --- to a real directory --- */

static lum_status fail_outside(const char *path)
{
    return lum__fail_errno(errno, NULL, LUM_NO_OFFSET, "copying the disk in memory: %s", path);
}

static lum_status dump_file(const struct sim_data *data, const char *path)
{
    uint8_t block[SIM_BLOCK];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, LUM__FILE_MODE);
    if (fd < 0) return fail_outside(path);
    bool is_good = ftruncate(fd, (off_t)data->size) == 0;
    for (uint64_t offset = 0; offset < data->size && is_good; offset += SIM_BLOCK) {
        if (lum__sim_data_is_hole(data, offset / SIM_BLOCK)) continue;
        size_t part = data->size - offset < SIM_BLOCK ? (size_t)(data->size - offset) : SIM_BLOCK;
        lum__sim_data_read(data, offset, block, part);
        is_good = pwrite(fd, block, part, (off_t)offset) == (ssize_t)part;
    }
    lum_status status = is_good ? LUM_OK : fail_outside(path);
    close(fd);
    return status;
}

static lum_status dump_all(struct lum__sim *sim, const char *directory)
{
    char path[4096];
    for (uint32_t i = 0; i < sim->folder_count; i++) {
        const struct sim_folder *folder = &sim->folders[i];
        if (!folder->is_live) continue;
        snprintf(path, sizeof path, "%s/%s", directory, folder->name);
        if (mkdir(path, 0755) != 0 && errno != EEXIST) return fail_outside(path);
        for (size_t j = 0; j < folder->live.count; j++) {
            snprintf(path, sizeof path, "%s/%s/%s", directory, folder->name, folder->live.entries[j].name);
            LUM_TRY(dump_file(&folder->live.entries[j].inode->live, path));
        }
    }
    return LUM_OK;
}

lum_status lum__sim_dump(struct lum__sim *sim, const char *directory)
{
    lum__sim_lock(sim);
    lum_status status = dump_all(sim, directory);
    lum__sim_unlock(sim);
    return status;
}

/* --- and back: through the file table, then everything is synced --- */

static lum_status load_file(struct lum__fs *fs, const char *real_path, const char *path)
{
    static const size_t part_bytes = 1 << 20;
    struct lum__file *file = NULL;
    lum_status status;
    uint8_t *buffer = lum__sim_alloc(part_bytes);
    int fd = open(real_path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0) {
        status = fail_outside(real_path);
        goto out;
    }
    LUM_TRY_OUT(lum__fs_open_file(fs, path, LUM__OPEN_WRITE | LUM__OPEN_CREATE, &file));
    LUM_TRY_OUT(lum__file_truncate(file, (uint64_t)info.st_size));
    for (off_t offset = 0; offset < info.st_size;) {
        ssize_t part = pread(fd, buffer, part_bytes, offset);
        if (part <= 0) {
            status = fail_outside(real_path);
            goto out;
        }
        LUM_TRY_OUT(lum__file_write(file, buffer, (size_t)part, (uint64_t)offset));
        offset += part;
    }
out:
    lum__file_close(file);
    if (fd >= 0) close(fd);
    free(buffer);
    return status;
}

static lum_status load_folder(struct lum__fs *fs, const char *directory, const char *folder)
{
    char real_path[4096], path[LUM__PATH_BYTES_MAX * 2];
    snprintf(real_path, sizeof real_path, "%s/%s", directory, folder);
    DIR *dir = opendir(real_path);
    if (dir == NULL) return fail_outside(real_path);
    lum_status status = LUM_OK;
    const struct dirent *entry;
    while (status == LUM_OK && (entry = readdir(dir)) != NULL) {
        struct stat info;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        snprintf(real_path, sizeof real_path, "%s/%s/%.255s", directory, folder, entry->d_name);
        snprintf(path, sizeof path, "%s%s%.63s", folder, folder[0] == '\0' ? "" : "/", entry->d_name);
        if (lstat(real_path, &info) != 0) {
            status = fail_outside(real_path);
        } else if (S_ISREG(info.st_mode)) {
            status = load_file(fs, real_path, path);
        } else if (S_ISDIR(info.st_mode) && folder[0] == '\0') {
            status = lum__fs_mkdir(fs, path);
            if (status == LUM_OK) status = load_folder(fs, directory, path);
        }
    }
    closedir(dir);
    return status;
}

lum_status lum__sim_load(struct lum__sim *sim, const char *directory)
{
    struct lum__fs *fs = NULL;
    LUM_TRY(lum__sim_open(sim, false, &fs));
    lum_status status = load_folder(fs, directory, "");
    lum__fs_close(fs);
    if (status == LUM_OK) lum__sim_sync_all(sim);
    return status;
}
