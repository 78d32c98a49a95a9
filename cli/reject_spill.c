#include "cli/reject_spill.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/file_write.h"

enum { BUFFER_BYTES = 256 << 10 };

static int open_spill(struct lum__reject_spill *spill, const char *beside)
{
    char name[PATH_MAX];
    if (!spill->buffer) spill->buffer = malloc(BUFFER_BYTES);
    if (!spill->buffer) return ENOMEM;
    if (snprintf(name, sizeof name, "%s", beside) >= (int)sizeof name) return ENAMETOOLONG;
    char *slash = strrchr(name, '/');
    if (slash)
        slash[slash == name] = 0;
    else
        strcpy(name, ".");
    spill->fd = open(name, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (spill->fd >= 0) return 0;
    /* a file system that has no such files */
    if (snprintf(name, sizeof name, "%s.XXXXXX", beside) >= (int)sizeof name) return ENAMETOOLONG;
    spill->fd = mkostemp(name, O_CLOEXEC);
    if (spill->fd < 0) return errno;
    return unlink(name) == 0 ? 0 : errno;
}

int lum__reject_spill_put(struct lum__reject_spill *spill, const char *beside, const uint8_t *bytes, size_t byte_count,
                          struct lum__reject_block *out)
{
    *out = (struct lum__reject_block){0};
    if (byte_count == 0) return 0;
    int os_errno = spill->fd < 0 ? open_spill(spill, beside) : 0;
    if (os_errno != 0) return os_errno;
    os_errno = lum__write_all(spill->fd, bytes, byte_count, spill->bytes);
    if (os_errno != 0) return os_errno;
    *out = (struct lum__reject_block){spill->bytes, byte_count};
    spill->bytes += byte_count;
    spill->bytes_left += byte_count;
    return 0;
}

int lum__reject_spill_take(struct lum__reject_spill *spill, struct lum__reject_block *block, const uint8_t **bytes, size_t *byte_count)
{
    size_t wanted = block->byte_count < BUFFER_BYTES ? (size_t)block->byte_count : BUFFER_BYTES;
    ssize_t got;
    do got = pread(spill->fd, spill->buffer, wanted, (off_t)block->offset);
    while (got < 0 && errno == EINTR);
    if (got <= 0) return got < 0 ? errno : EIO;
    *bytes = spill->buffer;
    *byte_count = (size_t)got;
    block->offset += (uint64_t)got;
    block->byte_count -= (uint64_t)got;
    spill->bytes_left -= (uint64_t)got;
    if (spill->bytes_left > 0) return 0;
    spill->bytes = 0;
    return ftruncate(spill->fd, 0) == 0 ? 0 : errno;
}

void lum__reject_spill_close(struct lum__reject_spill *spill)
{
    if (spill->fd >= 0) (void)close(spill->fd);
    free(spill->buffer);
}
