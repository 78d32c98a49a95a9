/* file_os_probe.c - what a directory's file system and this kernel offer, tried out rather than looked up. */
#include "storage/file_os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/status.h"

static const struct known_fs {
    uint32_t magic;
    const char *name;
    bool is_copy_on_write, is_remote;
} known_fs_types[] = {
    {0xef53, "ext4", false, false},      {0x58465342, "xfs", false, false},     {0x9123683e, "btrfs", true, false},
    {0x2fc12fc1, "zfs", true, false},    {0xca451a4e, "bcachefs", true, false}, {0x3434, "nilfs2", true, false},
    {0x01021994, "tmpfs", false, false}, {0x858458f6, "ramfs", false, false},   {0x794c7630, "overlay", false, false},
    {0xf2f52010, "f2fs", false, false},  {0x3153464a, "jfs", false, false},     {0x2011bab0, "exfat", false, false},
    {0x4d44, "vfat", false, false},      {0x7366746e, "ntfs3", false, false},   {0xf15f, "ecryptfs", false, false},
    {0x6969, "nfs", false, true},        {0xff534d42, "cifs", false, true},     {0xfe534d42, "smb2", false, true},
    {0x517b, "smb", false, true},        {0x65735546, "fuse", false, true},     {0x00c36400, "ceph", false, true},
    {0x5346414f, "afs", false, true},    {0x6b414653, "kafs", false, true},     {0x01021997, "9p", false, true},
    {0x0bd00bd0, "lustre", false, true}, {0x47504653, "gpfs", false, true},     {0x01161970, "gfs2", false, true},
    {0x7461636f, "ocfs2", false, true},  {0x786f4256, "vboxsf", false, true},   {0x73757245, "coda", false, true},
};

void lum__os_name_file_system(uint32_t magic, struct lum__fs_features *features)
{
    snprintf(features->fs_type, sizeof features->fs_type, "0x%x", (unsigned)magic);
    for (size_t i = 0; i < sizeof known_fs_types / sizeof known_fs_types[0]; i++) {
        const struct known_fs *known = &known_fs_types[i];
        if (known->magic != magic) continue;
        snprintf(features->fs_type, sizeof features->fs_type, "%s", known->name);
        features->copy_on_write = known->is_copy_on_write;
        features->remote = known->is_remote;
        return;
    }
}

bool lum__os_set_direct(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

/* One aligned block written past the start and read back: some file systems accept the flag and refuse the first use.
 */
static bool direct_works(int fd)
{
    void *block = NULL;
    if (posix_memalign(&block, LUM__IO_ALIGNMENT, LUM__IO_ALIGNMENT) != 0) return false;
    memset(block, 0x5a, LUM__IO_ALIGNMENT);
    bool works = lum__os_set_direct(fd, true) &&
                 pwrite(fd, block, LUM__IO_ALIGNMENT, LUM__IO_ALIGNMENT) == LUM__IO_ALIGNMENT &&
                 pread(fd, block, LUM__IO_ALIGNMENT, LUM__IO_ALIGNMENT) == LUM__IO_ALIGNMENT &&
                 *(const unsigned char *)block == 0x5a;
    free(block);
    return works;
}

/* The unnamed file is gone with its descriptor, whatever happens: a probe leaves nothing behind. Where O_TMPFILE is
 * unknown the features stay on until a first use says otherwise. */
static void probe_with_file(struct os_fs *fs)
{
    int fd = lum__os_open_at(fs->root_fd, ".", O_TMPFILE | O_RDWR, LUM__FILE_MODE);
    if (fd < 0) return;
    if (fallocate(fd, 0, 0, LUM__IO_ALIGNMENT) != 0 && errno == EOPNOTSUPP) fs->features.fallocate = false;
    if (fs->features.direct_io && !direct_works(fd)) fs->features.direct_io = false;
    close(fd);
}

lum_status lum__os_probe(struct os_fs *fs, const char *directory)
{
    struct statfs fs_info;
    struct stat info;
    if (fstatfs(fs->root_fd, &fs_info) != 0 || fstat(fs->root_fd, &info) != 0) {
        return lum__fail_errno(errno, NULL, LUM_NO_OFFSET, "cannot ask about the directory %s", directory);
    }
    lum__os_name_file_system((uint32_t)fs_info.f_type, &fs->features);
    fs->features.read_only = (fs_info.f_flags & ST_RDONLY) != 0 || faccessat(fs->root_fd, ".", W_OK, AT_EACCESS) != 0;
    fs->features.others_may_write = (info.st_mode & (S_IWGRP | S_IWOTH)) != 0 || info.st_uid != geteuid();
    fs->features.direct_io = !fs->no_direct;
    fs->features.io_uring = !fs->no_uring && lum__os_uring_works();
    fs->features.fallocate = true;
    if (!fs->is_read_only && !fs->features.read_only) probe_with_file(fs);
    return LUM_OK;
}

void lum__os_features(struct lum__fs *base, struct lum__fs_features *out)
{
    struct os_fs *fs = (struct os_fs *)base;
    /* the three that change are read one by one; the rest is fixed since open */
    out->direct_io = lum__os_is_on(&fs->features.direct_io);
    out->io_uring = lum__os_is_on(&fs->features.io_uring);
    out->fallocate = lum__os_is_on(&fs->features.fallocate);
    out->copy_on_write = fs->features.copy_on_write;
    out->remote = fs->features.remote;
    out->read_only = fs->features.read_only;
    out->others_may_write = fs->features.others_may_write;
    memcpy(out->fs_type, fs->features.fs_type, sizeof out->fs_type);
}
