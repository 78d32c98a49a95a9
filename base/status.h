/* base/status.h - the one error idiom of the tree.
 *
 * A function that can fail returns lum_status, sets its outputs to NULL/0 on entry and describes a failure once, where
 * it is detected, with lum__fail() or lum__corrupt(). Callers pass it up with LUM_TRY, or with LUM_TRY_OUT where there
 * is something to release at the one `out:` label. The description is per thread (lum_last_error() reads it). */
#ifndef LUM_BASE_STATUS_H
#define LUM_BASE_STATUS_H

#include <stdint.h>

#include "lum/status.h"

#define LUM_TRY(call)                                                                                                  \
    do {                                                                                                               \
        lum_status try_status_ = (call);                                                                               \
        if (try_status_ != LUM_OK) return try_status_;                                                                 \
    } while (0)

/* Needs a local `lum_status status` and a label `out`. */
#define LUM_TRY_OUT(call)                                                                                              \
    do {                                                                                                               \
        status = (call);                                                                                               \
        if (status != LUM_OK) goto out;                                                                                \
    } while (0)

#define LUM_NO_OFFSET UINT64_MAX

/* The last failure of a thread. Strings are cut at their size, always terminated. */
struct lum__error {
    lum_status status;
    int os_errno;           /* 0 where no system call was involved */
    char file[256];         /* path relative to the store, or an input's name; "" if none */
    uint64_t line;          /* line of an input file; 0 if none */
    uint64_t offset;        /* byte offset in file; LUM_NO_OFFSET if none */
    uint32_t condition;     /* number in docs/format.md's "valid if and only if" list; 0 if none */
    const char *where_file; /* source file and line that detected it */
    int where_line;
    char message[512];      /* one sentence for a person */
    char remedy[512];       /* what to do about it; "" where lum_last_error() should say what the status suggests */
};

/* Records a failure of this thread and returns status. os_errno 0 if no system call failed. file may be NULL. */
lum_status lum__fail_at(const char *where_file, int where_line, lum_status status, int os_errno, const char *file,
                        uint64_t offset, uint32_t condition, const char *format, ...)
    __attribute__((format(printf, 8, 9), cold));

#define lum__fail(status, ...) lum__fail_at(__FILE__, __LINE__, (status), 0, NULL, LUM_NO_OFFSET, 0, __VA_ARGS__)
/* A failed system call: maps ENOSPC/EDQUOT, EACCES/EPERM/EROFS, ENOENT, EEXIST, ENOMEM, everything else to LUM_ERR_IO. */
#define lum__fail_errno(os_errno, file, offset, ...)                                                                   \
    lum__fail_at(__FILE__, __LINE__, lum__status_of_errno(os_errno), (os_errno), (file), (offset), 0, __VA_ARGS__)
/* Damage on disk. The only way a LUM_ERR_CORRUPT is made: it names file, offset and format.md's condition number. */
#define lum__corrupt(file, offset, condition, ...)                                                                     \
    lum__fail_at(__FILE__, __LINE__, LUM_ERR_CORRUPT, 0, (file), (offset), (condition), __VA_ARGS__)
/* Intact, but written by a later version (a valid CRC over a number or a feature that is not known here). */
#define lum__unsupported(file, offset, condition, ...)                                                                 \
    lum__fail_at(__FILE__, __LINE__, LUM_ERR_UNSUPPORTED, 0, (file), (offset), (condition), __VA_ARGS__)

lum_status lum__status_of_errno(int os_errno);

/* Add to the failure that this thread has just recorded: the line of an input file, and what to do about it.
 * (lum__fail_at clears both.) */
void lum__error_set_line(uint64_t line);
void lum__error_set_remedy(const char *format, ...) __attribute__((format(printf, 1, 2), cold));

/* This thread's last failure; valid until the next one. Never NULL. */
const struct lum__error *lum__error_last(void);
/* Copies an error into this thread (a worker's failure handed to the caller). */
void lum__error_restore(const struct lum__error *error);
void lum__error_clear(void);

#endif
