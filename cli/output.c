#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/file_write.h"
#include "cli/message.h"

/* ------------------------------------------------------------------------------------------------------- opening */

static const char *name_of(const struct lum__output *output) { return output->path ? output->path : "standard output"; }

static int refuse(const struct lum__output *output, int os_errno)
{
    return lum__message_system(os_errno, output->path, "cannot write to %s", name_of(output));
}

/* As open() would have made it, or as the file is that it will replace. */
static mode_t mode_of(const struct stat *existing)
{
    if (existing) return existing->st_mode & 07777;
    mode_t mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

/* A temporary file beside the target; where a link leads to, not in place of the link. */
static int open_temporary(struct lum__output *output, const struct stat *existing)
{
    output->target = existing ? realpath(output->path, NULL) : strdup(output->path);
    if (!output->target) return refuse(output, errno);
    if (asprintf(&output->temporary, "%s.part-XXXXXX", output->target) < 0) {
        output->temporary = NULL;
        return refuse(output, ENOMEM);
    }
    output->fd = mkostemp(output->temporary, O_CLOEXEC);
    if (output->fd < 0) {
        int os_errno = errno;
        free(output->temporary);
        output->temporary = NULL;
        return refuse(output, os_errno);
    }
    if (fchmod(output->fd, mode_of(existing)) != 0) return refuse(output, errno);
    output->is_positional = true;
    return 0;
}

static int open_spool(struct lum__output *output)
{
    const char *directory = getenv("TMPDIR");
    if (!directory || !*directory) directory = "/tmp";
    output->spool_fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (output->spool_fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
        char name[4096];
        snprintf(name, sizeof name, "%s/lum-XXXXXX", directory);
        output->spool_fd = mkostemp(name, O_CLOEXEC);
        if (output->spool_fd >= 0) unlink(name);
    }
    if (output->spool_fd < 0)
        return lum__message_system(errno, directory, "cannot make a temporary file in %s (TMPDIR)", directory);
    output->is_positional = true;
    return 0;
}

/* Standard output that is a file can be written again at its beginning, unless it is appended to. */
static bool can_patch(struct lum__output *output)
{
    struct stat info;
    int flags = fcntl(output->fd, F_GETFL);
    off_t start = lseek(output->fd, 0, SEEK_CUR);
    if (fstat(output->fd, &info) != 0 || !S_ISREG(info.st_mode)) return false;
    if (start < 0 || flags < 0 || (flags & O_APPEND) != 0) return false;
    output->start = (uint64_t)start;
    return true;
}

int lum__output_open(struct lum__output *output, const char *path, bool is_patched)
{
    struct stat info;
    int exit_code = 0;
    *output = (struct lum__output){.path = path && strcmp(path, "-") != 0 ? path : NULL, .fd = -1, .spool_fd = -1};
    pthread_mutex_init(&output->mutex, NULL);
    pthread_cond_init(&output->changed, NULL);
    bool exists = output->path && stat(output->path, &info) == 0;
    if (!output->path) {
        output->fd = STDOUT_FILENO;
    } else if (!exists || S_ISREG(info.st_mode)) {
        exit_code = open_temporary(output, exists ? &info : NULL);
    } else {
        output->fd = open(output->path, O_WRONLY | O_CLOEXEC);
        if (output->fd < 0) exit_code = refuse(output, errno);
    }
    if (exit_code == 0 && is_patched && !output->temporary && !can_patch(output)) exit_code = open_spool(output);
    if (exit_code != 0) lum__output_close(output, LUM__OUTPUT_DROPPED);
    return exit_code;
}

/* ------------------------------------------------------------------------------------------------------- writing */

bool lum__output_write(struct lum__output *output, uint64_t ticket, const uint8_t *bytes, size_t byte_count)
{
    int fd = output->spool_fd >= 0 ? output->spool_fd : output->fd;
    pthread_mutex_lock(&output->mutex);
    while (output->turn != ticket && output->os_errno == 0) pthread_cond_wait(&output->changed, &output->mutex);
    bool is_good = output->os_errno == 0;
    uint64_t offset = output->bytes;
    if (is_good && output->is_positional) { /* its place is settled: the next one need not wait for the write */
        output->bytes += byte_count;
        output->turn++;
        pthread_cond_broadcast(&output->changed);
    }
    pthread_mutex_unlock(&output->mutex);
    if (!is_good) return false;
    int os_errno = output->blocks ? lum__output_blocks_put(output->blocks, offset, bytes, byte_count)
                                  : lum__write_all(fd, bytes, byte_count, output->is_positional ? offset : UINT64_MAX);
    pthread_mutex_lock(&output->mutex);
    if (os_errno != 0 && output->os_errno == 0) output->os_errno = os_errno;
    if (!output->is_positional && os_errno == 0) {
        output->bytes += byte_count;
        output->turn++;
    }
    pthread_cond_broadcast(&output->changed);
    pthread_mutex_unlock(&output->mutex);
    return os_errno == 0;
}

void lum__output_gather(struct lum__output *output)
{
    if (!output->temporary) return;
    output->blocks = malloc(sizeof *output->blocks);
    if (!output->blocks || lum__output_blocks_open(output->blocks, output->fd)) return;
    free(output->blocks);
    output->blocks = NULL;
}

bool lum__output_end(struct lum__output *output)
{
    if (!output->blocks) return output->os_errno == 0;
    int os_errno = output->os_errno == 0 ? lum__output_blocks_end(output->blocks) : 0;
    if (output->os_errno == 0) output->os_errno = os_errno;
    lum__output_blocks_close(output->blocks);
    free(output->blocks);
    output->blocks = NULL;
    return output->os_errno == 0;
}

void lum__output_patch(struct lum__output *output, const uint8_t *bytes, size_t byte_count)
{
    int os_errno = output->spool_fd >= 0 ? lum__write_all(output->spool_fd, bytes, byte_count, 0)
                                         : lum__write_all(output->fd, bytes, byte_count, output->start);
    if (output->os_errno == 0) output->os_errno = os_errno;
}

/* ------------------------------------------------------------------------------------------------------- closing */

static int copy_spool(struct lum__output *output)
{
    enum { COPY_BYTES = 1 << 20 };
    uint8_t *buffer = malloc(COPY_BYTES);
    int os_errno = buffer ? 0 : ENOMEM;
    for (uint64_t done = 0; os_errno == 0 && done < output->bytes;) {
        ssize_t got = pread(output->spool_fd, buffer, COPY_BYTES, (off_t)done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0)
            os_errno = got < 0 ? errno : EIO;
        else
            os_errno = lum__write_all(output->fd, buffer, (size_t)got, UINT64_MAX);
        if (os_errno == 0) done += (uint64_t)got;
    }
    free(buffer);
    return os_errno;
}

/* The name is given to what is on the disk already, and is on the disk itself before the command says that it is done.
 */
static int give_name(struct lum__output *output, enum lum__output_ending ending)
{
    if (ending == LUM__OUTPUT_PARTIAL) {
        char *incomplete;
        if (asprintf(&incomplete, "%s.incomplete", output->target) < 0) return ENOMEM;
        free(output->target);
        output->target = incomplete;
    }
    if (fsync(output->fd) != 0 || rename(output->temporary, output->target) != 0) return errno;
    free(output->temporary);
    output->temporary = NULL;
    if (ending == LUM__OUTPUT_PARTIAL)
        lum__message_note("the rows that could be read are in %s; %s is as it was", output->target, output->path);
    int directory = open(dirname(output->target), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return errno;
    int os_errno = fsync(directory) == 0 || errno == EINVAL || errno == EROFS ? 0 : errno;
    close(directory);
    return os_errno;
}

int lum__output_close(struct lum__output *output, enum lum__output_ending ending)
{
    (void)lum__output_end(output);
    int os_errno = output->os_errno, exit_code = 0;
    bool is_kept = ending != LUM__OUTPUT_DROPPED;
    if (os_errno == 0 && is_kept && output->spool_fd >= 0) os_errno = copy_spool(output);
    if (os_errno == 0 && is_kept && output->temporary) os_errno = give_name(output, ending);
    if (output->temporary) unlink(output->temporary);
    if (output->fd >= 0 && output->path && close(output->fd) != 0 && os_errno == 0 && is_kept) os_errno = errno;
    if (output->spool_fd >= 0) close(output->spool_fd);
    if (os_errno != 0) exit_code = refuse(output, os_errno);
    free(output->temporary);
    free(output->target);
    pthread_cond_destroy(&output->changed);
    pthread_mutex_destroy(&output->mutex);
    return exit_code;
}
