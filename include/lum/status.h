/* status.h - what a lum call can answer.
 *
 * Every call that can fail returns a lum_status. The numbers are part of the ABI: they are grouped by ten, never
 * renumbered, and new ones are only added. lum_status_name() gives the identifier, lum_last_error() the whole story
 * (file, offset, errno, condition) of the calling thread's last failure. */
#ifndef LUM_STATUS_H
#define LUM_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum lum_status {
    LUM_OK = 0,

    /* 10s: the caller's mistake; nothing was changed */
    LUM_ERR_ARGUMENT = 10,     /* an argument is out of its documented range, or a handle was misused */
    LUM_ERR_VERSION = 11,      /* the struct_version of an options struct is not known to this library */
    LUM_ERR_FORKED = 12,       /* the store was opened before fork(); only the opening process may use it */
    LUM_ERR_MEMORY_LIMIT = 13, /* memory_bytes_max is too small for the threads and chunk size asked for */

    /* 20s: the machine's answer */
    LUM_ERR_IO = 20,        /* a read, write or file operation failed; errno tells */
    LUM_ERR_SYNC = 21,      /* a sync failed: the store is poisoned, close it and open it again (recovery runs) */
    LUM_ERR_NO_SPACE = 22,  /* ENOSPC or EDQUOT; what was asked for did not happen and nothing else was lost */
    LUM_ERR_NO_MEMORY = 23, /* an allocation failed */
    LUM_ERR_PERMISSION = 24,/* EACCES, EPERM or EROFS */
    LUM_ERR_FILESYSTEM = 25,/* a file system that lum does not trust (NFS and other remote ones) without force */

    /* 30s: what is on disk is wrong; never returned as data */
    LUM_ERR_CORRUPT = 30,     /* bytes fail a check: damage */
    LUM_ERR_UNSUPPORTED = 31, /* intact, but written by a newer or differently featured lum */
    LUM_ERR_FOREIGN = 32,     /* intact, but of another store, or not a lum file at all */

    /* 40s: state */
    LUM_ERR_BUSY = 40,          /* another process (or another handle in this one) has the store open for writing */
    LUM_ERR_NEEDS_PERSON = 41,  /* recovery refused or ran out of attempts: lum recover --guided */
    LUM_ERR_NEEDS_RECOVERY = 42,/* opened read-only after a crash: what is intact can be read, writing needs recovery */
    LUM_ERR_READ_ONLY = 43,     /* a write was asked of a store opened for reading */
    LUM_ERR_NOT_FOUND = 44,     /* no such store, id, label or transaction */
    LUM_ERR_EXISTS = 45,        /* something is already where a new store or file should be made */
    LUM_ERR_POISONED = 46,      /* an earlier write or sync of this store failed; see lum_last_error() for the first cause */
    LUM_ERR_LABEL = 47,         /* the label is committed already; nothing was done */
    LUM_ERR_TIMEOUT = 48,       /* lum_wait_durable: the time passed first */

    /* 50s: data and control flow of loads and scans */
    LUM_ERR_INPUT = 50,     /* the source refused its input: a bad row, wrong columns, a damaged archive */
    LUM_ERR_CANCELLED = 51, /* the progress callback asked to stop; what was committed before stays */
    LUM_IN_DOUBT = 52,      /* the commit's log write was submitted, then failed: ask lum_txn_outcome() after reopening */
    LUM_END = 53            /* no more rows or records; an answer, not a failure */
} lum_status;

#if defined(__GNUC__)
#define LUM_MUST_USE __attribute__((warn_unused_result))
#define LUM_PUBLIC __attribute__((visibility("default")))
#else
#define LUM_MUST_USE
#define LUM_PUBLIC
#endif

/* The identifier without its prefix, for example "ERR_CORRUPT". A static string, never NULL. Any thread. */
LUM_PUBLIC const char *lum_status_name(lum_status status);

#ifdef __cplusplus
}
#endif
#endif
