#include "cli/reject_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/file_write.h"
#include "cli/message.h"
#include "cli/target.h"
#include "formats/input_sum.h"
#include "formats/npy.h"

#define ERRORS_HEADER "file,row,line,byte,column,column_name,code,reason\n"

bool lum__reject_files_fail(struct lum__reject_files *files, int os_errno, const char *path, const char *doing)
{
    if (files->failed_errno == 0) {
        files->failed_errno = os_errno != 0 ? os_errno : EIO;
        files->failed_path = path;
        files->failed_doing = doing;
    }
    return false;
}

/* ------------------------------------------------------------------------------------------------------- refusals */

static const char other[] = "name another file for the refused rows";

static int refuse_rows_of_others(const char *path)
{
    return lum__message_refuse(LUM__EXIT_USAGE, "ERR_EXISTS", path,
                               "it may hold rows that an earlier load refused: load them or move it away, or name another file",
                               "the reject file %s is there already", path);
}

/* A name that the rows must not go to, said; 0 if there is nothing against it. */
static int check_name(const char *path, const char *store, const char *const *inputs, size_t input_count)
{
    struct stat info;
    int exit_code = lum__target_check("reject file", path, other, store, inputs, input_count);
    if (exit_code != 0 || stat(path, &info) != 0) return exit_code;
    if (!S_ISREG(info.st_mode)) {
        return lum__message_refuse(LUM__EXIT_USAGE, "ERR_USAGE", path, other,
                                   "the reject file %s is not a regular file: rows in it could not be made durable", path);
    }
    return info.st_size == 0 ? 0 : refuse_rows_of_others(path);
}

/* -------------------------------------------------------------------------------------------------------- opening */

/* Two loads would write over each other, or rename each other's file: it belongs to the one that has its lock, which the kernel gives back with the
 * process. Where the file system has no locks, the name has to do. */
static int lock(int fd, const char *path)
{
    struct stat own, named;
    bool is_taken = flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    /* Who had the lock before us may have renamed or removed the file after we opened it. */
    if (!is_taken) is_taken = fstat(fd, &own) != 0 || stat(path, &named) != 0 || own.st_dev != named.st_dev || own.st_ino != named.st_ino;
    if (!is_taken) return 0;
    return lum__message_refuse(LUM__EXIT_BUSY, "ERR_BUSY", path, "wait for the other load, or name another file for the refused rows",
                               "another load has the reject file %s open", path);
}

/* Not ours, so nothing is to be cut off it. */
static int give_up(struct lum__reject_files *files, enum lum__reject_file file, int exit_code)
{
    lum__append_file_close(&files->appended[file]);
    (void)close(files->fds[file]);
    files->fds[file] = -1;
    return exit_code;
}

/* The file that was opened, if it is empty still, or will be ours. */
static int take_one(struct lum__reject_files *files, enum lum__reject_file file)
{
    struct stat info;
    int exit_code = lock(files->fds[file], files->paths[file]);
    if (exit_code == 0 && fstat(files->fds[file], &info) == 0 && info.st_size > 0) exit_code = refuse_rows_of_others(files->paths[file]);
    return exit_code == 0 ? 0 : give_up(files, file, exit_code);
}

/* Makes one file, or takes the empty one of that name. */
static int open_one(struct lum__reject_files *files, enum lum__reject_file file)
{
    const char *path = files->paths[file];
    int flags = O_RDWR | O_CLOEXEC | O_NOCTTY;
    files->fds[file] = open(path, flags | O_CREAT | O_EXCL, 0666);
    if (files->fds[file] < 0 && errno == EEXIST) {
        files->was_there[file] = true;
        files->fds[file] = open(path, flags);
    }
    if (files->fds[file] < 0) return lum__message_system(errno, path, "cannot make the reject file %s", path);
    lum__append_file_open(&files->appended[file], files->fds[file], 0);
    return take_one(files, file);
}

static int name_files(struct lum__reject_files *files, const char *path)
{
    *files = (struct lum__reject_files){.fds = {-1, -1}};
    files->paths[LUM__REJECT_ROWS] = strdup(path);
    if (asprintf(&files->paths[LUM__REJECT_ERRORS], "%s.errors.csv", path) < 0) files->paths[LUM__REJECT_ERRORS] = NULL;
    if (files->paths[LUM__REJECT_ROWS] && files->paths[LUM__REJECT_ERRORS]) return 0;
    return lum__message_system(ENOMEM, path, "no memory for the reject file");
}

int lum__reject_files_open(struct lum__reject_files *files, const char *path, const char *store, const char *const *inputs,
                           size_t input_count)
{
    int exit_code = name_files(files, path);
    for (int file = 0; file < LUM__REJECT_FILES && exit_code == 0; file++) exit_code = check_name(files->paths[file], store, inputs, input_count);
    for (int file = 0; file < LUM__REJECT_FILES && exit_code == 0; file++) exit_code = open_one(files, file);
    return exit_code;
}

/* ------------------------------------------------------------------------------------------------------- going on */

static int give_another_name(const char *path)
{
    for (int number = 1; number < 1000; number++) {
        char name[PATH_MAX];
        if (snprintf(name, sizeof name, "%s.uncommitted-%d", path, number) >= (int)sizeof name) break;
        if (renameat2(AT_FDCWD, path, AT_FDCWD, name, RENAME_NOREPLACE) == 0) {
            lum__message_note("%s held rows of no committed transaction of this load: it is now %s", path, name);
            return 0;
        }
        if (errno != EEXIST) return lum__message_system(errno, path, "cannot rename %s", path);
    }
    return lum__message_system(EEXIST, path, "cannot find a free name for %s", path);
}

/* Rows of no committed transaction that a load which was killed left behind: kept, under another name. */
static int set_aside(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size == 0) return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return lum__message_system(errno, path, "cannot open the reject file %s", path);
    int exit_code = lock(fd, path); /* a load that runs needs it where it is */
    if (exit_code == 0) exit_code = give_another_name(path);
    (void)close(fd);
    return exit_code;
}

static int refuse_file(const char *path, const char *what)
{
    return lum__message_refuse(LUM__EXIT_INPUT, "ERR_INPUT", path,
                               "put it back as the interrupted load left it; or load the input again under another label, into a new store",
                               "the reject file %s %s", path, what);
}

/* The first bytes of the file, from `begin` on, have this sum? -1: cannot be read. */
static int has_sum(int fd, uint64_t begin, uint64_t end, uint32_t expected)
{
    static uint8_t buffer[1 << 16];
    uint32_t found = 0;
    while (begin < end) {
        size_t wanted = end - begin < sizeof buffer ? (size_t)(end - begin) : sizeof buffer;
        ssize_t got = pread(fd, buffer, wanted, (off_t)begin);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return -1;
        found = lum__input_sum(found, buffer, (size_t)got);
        begin += (uint64_t)got;
    }
    return found == expected;
}

static int reopen_one(struct lum__reject_files *files, enum lum__reject_file file, const struct lum__reject_point *point)
{
    const char *path = files->paths[file];
    struct stat info;
    files->was_there[file] = true;
    files->fds[file] = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (files->fds[file] < 0 && errno == ENOENT) return refuse_file(path, "is not there: it held rows that the interrupted load refused");
    if (files->fds[file] < 0 && errno == EISDIR) return refuse_file(path, "is not a regular file");
    if (files->fds[file] < 0) return lum__message_system(errno, path, "cannot open the reject file %s", path);
    lum__append_file_open(&files->appended[file], files->fds[file], point->bytes[file]);
    if (fstat(files->fds[file], &info) != 0) return lum__message_system(errno, path, "cannot open the reject file %s", path);
    if (!S_ISREG(info.st_mode)) return refuse_file(path, "is not a regular file");
    int exit_code = lock(files->fds[file], path);
    if (exit_code != 0) return give_up(files, file, exit_code);
    if ((uint64_t)info.st_size < point->bytes[file]) return refuse_file(path, "is shorter than the interrupted load left it");
    int is_same = has_sum(files->fds[file], file == LUM__REJECT_ROWS ? point->header_bytes : 0, point->bytes[file], point->sums[file]);
    if (is_same < 0) return lum__message_system(errno, path, "cannot read the reject file %s", path);
    if (!is_same) return refuse_file(path, "is not as the interrupted load left it: it was changed");
    files->sums[file] = point->sums[file];
    files->header_bytes_there = point->header_bytes;
    return 0;
}

/* Where the row count of an npy header stands ("'shape': (0,)"), 0 if there is none. The header must have room for any count: blanks. */
static size_t find_shape(const uint8_t *header, size_t header_bytes)
{
    static const char before[] = "'shape': (";
    size_t found = 0; /* the last one: names of columns stand in front of it */
    for (size_t at = 0; at + sizeof before - 1 <= header_bytes; at++)
        if (memcmp(header + at, before, sizeof before - 1) == 0) found = at + sizeof before - 1;
    return found;
}

/* Of a write, if it failed. */
static bool is_good(struct lum__reject_files *files, enum lum__reject_file file, int os_errno)
{
    return os_errno == 0 || lum__reject_files_fail(files, os_errno, files->paths[file], "write refused rows to");
}

/* Makes FILE loadable as it is: writes the row count into its header, at shape_offset. */
static bool put_row_count(struct lum__reject_files *files, uint8_t *header, size_t header_bytes, size_t shape_offset)
{
    uint64_t length = files->appended[LUM__REJECT_ROWS].length;
    if (shape_offset == 0 || files->record_bytes == 0 || length == 0) return true;
    char text[32];
    uint64_t row_count = (length - header_bytes) / files->record_bytes;
    int digits = snprintf(text, sizeof text, "%llu", (unsigned long long)row_count);
    uint8_t *begin = header + shape_offset, *header_end = header + header_bytes - 1; /* LF */
    uint8_t *old_end = begin;
    while (old_end < header_end && *old_end != ',') old_end++;
    uint8_t *text_end = header_end;
    while (text_end > old_end && text_end[-1] == ' ') text_end--;
    if (begin + digits + (text_end - old_end) > header_end)
        return lum__reject_files_fail(files, EINVAL, files->paths[LUM__REJECT_ROWS], "write the row count into the header of");
    memmove(begin + digits, old_end, (size_t)(text_end - old_end));
    memcpy(begin, text, (size_t)digits);
    uint8_t *padding = begin + digits + (text_end - old_end);
    memset(padding, ' ', (size_t)(header_end - padding));
    return is_good(files, LUM__REJECT_ROWS, lum__write_all(files->fds[LUM__REJECT_ROWS], header, header_bytes, 0));
}

static bool finish_header(struct lum__reject_files *files) { return put_row_count(files, files->header, files->header_bytes, files->shape_offset); }

/* The header that FILE has may count the rows that were cut off; the load may end before a reader brings its own. */
static bool correct_header(struct lum__reject_files *files, size_t header_bytes)
{
    const char *path = files->paths[LUM__REJECT_ROWS];
    uint8_t *header = malloc(header_bytes + 1);
    if (!header) return lum__reject_files_fail(files, ENOMEM, path, "correct the header of");
    bool is_corrected = pread(files->fds[LUM__REJECT_ROWS], header, header_bytes, 0) == (ssize_t)header_bytes;
    if (!is_corrected) lum__reject_files_fail(files, errno, path, "read the header of");
    if (is_corrected && header_bytes >= 6 && memcmp(header, LUM__NPY_MAGIC, 6) == 0)
        is_corrected = put_row_count(files, header, header_bytes, find_shape(header, header_bytes));
    free(header);
    return is_corrected;
}

/* Durably: what is cut off may be loaded, once it is corrected in the input, and must not come back as refused. */
static int cut_to_point(struct lum__reject_files *files, const struct lum__reject_point *point)
{
    const char *path, *doing;
    for (int file = 0; file < LUM__REJECT_FILES; file++) {
        int os_errno = lum__append_file_cut(&files->appended[file], point->bytes[file]);
        if (os_errno != 0)
            return lum__message_system(os_errno, files->paths[file], "cannot shorten the reject file %s", files->paths[file]);
    }
    if (!correct_header(files, point->header_bytes))
        return lum__message_system(files->failed_errno, files->failed_path, "cannot %s %s", files->failed_doing, files->failed_path);
    int os_errno = lum__reject_files_sync(files, &path, &doing);
    return os_errno == 0 ? 0 : lum__message_system(os_errno, path, "cannot %s %s", doing, path);
}

int lum__reject_files_go_on(struct lum__reject_files *files, const char *path, const char *store, const char *const *inputs,
                            size_t input_count, const struct lum__reject_point *point)
{
    int exit_code = 0;
    if (point->rows == 0) {
        char *errors_path = NULL;
        if (asprintf(&errors_path, "%s.errors.csv", path) < 0) return lum__message_system(ENOMEM, path, "no memory for the reject file");
        const char *const paths[] = {path, errors_path};
        for (int i = 0; i < 2 && exit_code == 0; i++) exit_code = lum__target_check("reject file", paths[i], "name another file for the refused rows", store, inputs, input_count);
        for (int i = 0; i < 2 && exit_code == 0; i++) exit_code = set_aside(paths[i]);
        free(errors_path);
        return exit_code == 0 ? lum__reject_files_open(files, path, store, inputs, input_count) : exit_code;
    }
    exit_code = name_files(files, path);
    for (int file = 0; file < LUM__REJECT_FILES && exit_code == 0; file++) {
        exit_code = lum__target_check("reject file", files->paths[file], "name another file for the refused rows", store, inputs, input_count);
        if (exit_code == 0) exit_code = reopen_one(files, file, point);
    }
    files->record_bytes = (point->bytes[LUM__REJECT_ROWS] - point->header_bytes) / point->rows; /* used where all are as long */
    return exit_code == 0 ? cut_to_point(files, point) : exit_code; /* only now that both are known to be ours */
}

bool lum__reject_files_has_header(const struct lum__reject_files *files)
{
    if (files->appended[LUM__REJECT_ROWS].length == 0) return true;
    size_t compared = files->shape_offset > 0 ? files->shape_offset : files->header_bytes;
    uint8_t *there = malloc(compared + 1);
    if (!there || files->header_bytes_there != files->header_bytes) {
        free(there);
        return false;
    }
    bool is_same = pread(files->fds[LUM__REJECT_ROWS], there, compared, 0) == (ssize_t)compared && memcmp(there, files->header, compared) == 0;
    free(there);
    return is_same;
}

bool lum__reject_files_set_header(struct lum__reject_files *files, const struct lum__row_source *reader)
{
    files->is_text = strcmp(reader->format_name, "npy") != 0 && strcmp(reader->format_name, "raw") != 0;
    files->header = malloc(reader->reject_header_bytes + 1);
    if (!files->header) return lum__reject_files_fail(files, ENOMEM, files->paths[0], "keep a header for");
    if (reader->reject_header_bytes > 0) memcpy(files->header, reader->reject_header, reader->reject_header_bytes);
    files->header_bytes = reader->reject_header_bytes;
    uint8_t last = files->header_bytes > 0 ? files->header[files->header_bytes - 1] : '\n';
    if (files->is_text && last != '\n' && last != '\r') files->header[files->header_bytes++] = '\n'; /* the first input ends with its header; rows of the next ones follow */
    if (strcmp(reader->format_name, "npy") == 0) {
        files->shape_offset = find_shape(files->header, files->header_bytes);
        if (files->shape_offset == 0) return lum__reject_files_fail(files, EINVAL, files->paths[0], "find the shape in the header of");
    }
    return true;
}

/* -------------------------------------------------------------------------------------------------------- writing */

static bool append(struct lum__reject_files *files, enum lum__reject_file file, const void *bytes, size_t byte_count)
{
    return is_good(files, file, lum__append_file_put(&files->appended[file], bytes, byte_count));
}

static void sum(struct lum__reject_files *files, enum lum__reject_file file, const void *bytes, size_t byte_count)
{
    if (files->counts_points) files->sums[file] = lum__input_sum(files->sums[file], bytes, byte_count);
}

bool lum__reject_files_append(struct lum__reject_files *files, enum lum__reject_file file, const uint8_t *bytes, size_t byte_count)
{
    if (files->failed_errno != 0) return false;
    if (byte_count == 0) return true;
    if (files->appended[file].length == 0) {
        bool has_header = file == LUM__REJECT_ROWS ? append(files, file, files->header, files->header_bytes)
                                                   : append(files, file, ERRORS_HEADER, sizeof ERRORS_HEADER - 1);
        if (!has_header) return false;
        if (file == LUM__REJECT_ERRORS) sum(files, file, ERRORS_HEADER, sizeof ERRORS_HEADER - 1);
    }
    sum(files, file, bytes, byte_count);
    return append(files, file, bytes, byte_count);
}

bool lum__reject_files_flush(struct lum__reject_files *files)
{
    for (int file = 0; file < LUM__REJECT_FILES; file++)
        if (!is_good(files, file, lum__append_file_flush(&files->appended[file]))) return false;
    return finish_header(files);
}

void lum__reject_files_lengths(const struct lum__reject_files *files, uint64_t out[LUM__REJECT_FILES])
{
    for (int file = 0; file < LUM__REJECT_FILES; file++) out[file] = files->appended[file].length;
}

/* The names were made in a folder that must be synced too (pitfall 1). */
static int sync_folder(const char *path)
{
    char folder[PATH_MAX];
    if (snprintf(folder, sizeof folder, "%s", path) >= (int)sizeof folder) return ENAMETOOLONG;
    char *slash = strrchr(folder, '/');
    if (!slash)
        strcpy(folder, ".");
    else
        slash[slash == folder] = 0;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno;
    int os_errno = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return os_errno;
}

int lum__reject_files_sync(struct lum__reject_files *files, const char **path, const char **doing)
{
    *doing = "make refused rows durable in";
    for (int file = 0; file < LUM__REJECT_FILES; file++) /* both on their way before one is waited for */
        (void)sync_file_range(files->fds[file], 0, 0, SYNC_FILE_RANGE_WRITE);
    for (int file = 0; file < LUM__REJECT_FILES; file++) {
        *path = files->paths[file];
        if (fsync(files->fds[file]) != 0) return errno;
    }
    if (files->has_names_synced) return 0;
    int os_errno = sync_folder(files->paths[LUM__REJECT_ROWS]);
    files->has_names_synced = os_errno == 0;
    return os_errno;
}

bool lum__reject_files_cut(struct lum__reject_files *files, const uint64_t bytes[LUM__REJECT_FILES])
{
    bool is_empty = bytes[LUM__REJECT_ROWS] == 0;
    for (int file = 0; file < LUM__REJECT_FILES; file++) {
        const char *path = files->paths[file];
        if (files->fds[file] < 0) continue;
        if (is_empty && !files->was_there[file]) {
            if (unlink(path) != 0 && errno != ENOENT) return lum__reject_files_fail(files, errno, path, "remove");
            continue;
        }
        int os_errno = lum__append_file_cut(&files->appended[file], bytes[file]);
        if (os_errno != 0) return lum__reject_files_fail(files, os_errno, path, "shorten");
    }
    const char *path, *doing;
    int os_errno = 0;
    if (is_empty)
        (void)sync_folder(files->paths[LUM__REJECT_ROWS]); /* a name that comes back after a power cut is an empty file's, or refused rows' of nothing */
    else if (!finish_header(files) || (os_errno = lum__reject_files_sync(files, &path, &doing)) != 0)
        return os_errno == 0 ? false : lum__reject_files_fail(files, os_errno, path, doing);
    return true;
}

void lum__reject_files_close(struct lum__reject_files *files)
{
    for (int file = 0; file < LUM__REJECT_FILES; file++) {
        if (files->fds[file] >= 0) (void)give_up(files, file, 0); /* what matters was synced before the commit */
        free(files->paths[file]);
    }
    free(files->header);
}
