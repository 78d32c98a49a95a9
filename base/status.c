#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

static _Thread_local struct lum__error last_error = {.offset = LUM_NO_OFFSET};

const char *lum_status_name(lum_status status)
{
    switch (status) { /* no default: the compiler names a status that is missing here */
    case LUM_OK: return "OK";
    case LUM_ERR_ARGUMENT: return "ERR_ARGUMENT";
    case LUM_ERR_VERSION: return "ERR_VERSION";
    case LUM_ERR_FORKED: return "ERR_FORKED";
    case LUM_ERR_MEMORY_LIMIT: return "ERR_MEMORY_LIMIT";
    case LUM_ERR_IO: return "ERR_IO";
    case LUM_ERR_SYNC: return "ERR_SYNC";
    case LUM_ERR_NO_SPACE: return "ERR_NO_SPACE";
    case LUM_ERR_NO_MEMORY: return "ERR_NO_MEMORY";
    case LUM_ERR_PERMISSION: return "ERR_PERMISSION";
    case LUM_ERR_FILESYSTEM: return "ERR_FILESYSTEM";
    case LUM_ERR_CORRUPT: return "ERR_CORRUPT";
    case LUM_ERR_UNSUPPORTED: return "ERR_UNSUPPORTED";
    case LUM_ERR_FOREIGN: return "ERR_FOREIGN";
    case LUM_ERR_BUSY: return "ERR_BUSY";
    case LUM_ERR_NEEDS_PERSON: return "ERR_NEEDS_PERSON";
    case LUM_ERR_NEEDS_RECOVERY: return "ERR_NEEDS_RECOVERY";
    case LUM_ERR_READ_ONLY: return "ERR_READ_ONLY";
    case LUM_ERR_NOT_FOUND: return "ERR_NOT_FOUND";
    case LUM_ERR_EXISTS: return "ERR_EXISTS";
    case LUM_ERR_POISONED: return "ERR_POISONED";
    case LUM_ERR_LABEL: return "ERR_LABEL";
    case LUM_ERR_TIMEOUT: return "ERR_TIMEOUT";
    case LUM_ERR_INPUT: return "ERR_INPUT";
    case LUM_ERR_CANCELLED: return "ERR_CANCELLED";
    case LUM_IN_DOUBT: return "IN_DOUBT";
    case LUM_END: return "END";
    }
    return "UNKNOWN";
}

lum_status lum__status_of_errno(int os_errno)
{
    switch (os_errno) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return LUM_ERR_NO_SPACE; /* a limit of the process or the file system: no room, as far as this file goes */
    case EACCES:
    case EPERM:
    case EROFS: return LUM_ERR_PERMISSION;
    case ENOENT: return LUM_ERR_NOT_FOUND;
    case EEXIST: return LUM_ERR_EXISTS;
    case ENOMEM: return LUM_ERR_NO_MEMORY;
    default: return LUM_ERR_IO;
    }
}

lum_status lum__fail_at(const char *where_file, int where_line, lum_status status, int os_errno, const char *file,
                        uint64_t offset, uint32_t condition, const char *format, ...)
{
    struct lum__error error = {
        .status = status,
        .os_errno = os_errno,
        .offset = offset,
        .condition = condition,
        .where_file = where_file,
        .where_line = where_line,
    };
    va_list arguments;

    LUM_ASSERT(status != LUM_OK);
    /* Built aside: the arguments may point into last_error (a message that quotes an earlier one). */
    if (file != NULL) (void)snprintf(error.file, sizeof error.file, "%s", file);
    va_start(arguments, format);
    int length = vsnprintf(error.message, sizeof error.message, format, arguments);
    va_end(arguments);
    if (os_errno != 0 && length >= 0 && (size_t)length < sizeof error.message) {
        char text[128];
        (void)snprintf(error.message + length, sizeof error.message - (size_t)length, ": %s",
                       strerror_r(os_errno, text, sizeof text));
    }
    last_error = error;
    return status;
}

void lum__error_set_line(uint64_t line) { last_error.line = line; }

void lum__error_set_remedy(const char *format, ...)
{
    char remedy[sizeof last_error.remedy]; /* built aside, as above */
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(remedy, sizeof remedy, format, arguments);
    va_end(arguments);
    memcpy(last_error.remedy, remedy, sizeof remedy);
}

const struct lum__error *lum__error_last(void) { return &last_error; }

void lum__error_restore(const struct lum__error *error)
{
    if (error != &last_error) last_error = *error;
}

void lum__error_clear(void) { last_error = (struct lum__error){.offset = LUM_NO_OFFSET}; }
