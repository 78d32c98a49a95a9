#include "cli/file_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int lum__write_all(int fd, const uint8_t *bytes, size_t byte_count, uint64_t offset)
{
    for (size_t done = 0; done < byte_count;) {
        ssize_t written = offset == UINT64_MAX ? write(fd, bytes + done, byte_count - done)
                                               : pwrite(fd, bytes + done, byte_count - done, (off_t)(offset + done));
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return written < 0 ? errno : EIO;
        done += (size_t)written;
    }
    return 0;
}

int lum__open_direct(int fd)
{
    char name[40];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    return open(name, O_WRONLY | O_DIRECT | O_CLOEXEC);
}

/* A direct write may be refused for its alignment, or end early at a full disk, at a boundary of nothing: then the same bytes
 * go through the cache, which says what is wrong. */
int lum__write_direct(int direct_fd, int fd, const uint8_t *bytes, size_t byte_count, uint64_t offset)
{
    if (direct_fd >= 0 && pwrite(direct_fd, bytes, byte_count, (off_t)offset) == (ssize_t)byte_count) return 0;
    return lum__write_all(fd, bytes, byte_count, offset);
}
