/* file_record.h - a file table that writes down what is asked of another one, for proofs of order. For tests only: it
 * is not part of liblum.
 *
 * Every call becomes one event with two places in one order: `begin` when it was asked, `end` when it was answered (for
 * a request of a queue: when it was submitted, and when it was reaped). "A before B" is proven by A.end < B.begin. A
 * test adds events of its own with lum__recording_note(), for instance when a commit was acknowledged. All calls are
 * thread-safe; an event's place is taken right before the inner call and right after it, so that what the order says
 * did happen in that order. */
#ifndef LUM_STORAGE_FILE_RECORD_H
#define LUM_STORAGE_FILE_RECORD_H

#include <stdio.h>

#include "storage/file.h"

enum lum__event_kind {
    LUM__EVENT_NOTE,
    LUM__EVENT_MKDIR,
    LUM__EVENT_OPEN,
    LUM__EVENT_CREATE,
    LUM__EVENT_CLOSE,
    LUM__EVENT_RENAME, /* path -> other_path */
    LUM__EVENT_UNLINK,
    LUM__EVENT_SYNC_DIR, /* path: the folder */
    LUM__EVENT_LIST,
    LUM__EVENT_READ,
    LUM__EVENT_WRITE,
    LUM__EVENT_ALLOCATE,
    LUM__EVENT_PUNCH,
    LUM__EVENT_TRUNCATE, /* bytes: the new size */
    LUM__EVENT_SYNC,
    LUM__EVENT_LOCK, /* offset: the byte */
    LUM__EVENT_UNLOCK,
    LUM__EVENT_QUEUE_WRITE,
    LUM__EVENT_QUEUE_READ,
    LUM__EVENT_KINDS,
};
const char *lum__event_kind_name(enum lum__event_kind kind);

struct lum__event {
    enum lum__event_kind kind;
    uint64_t begin, end;            /* 1 and up; end 0: not answered yet */
    uint32_t thread;                /* 1 and up, in the order in which threads were first seen by any recording */
    char path[LUM__PATH_BYTES_MAX]; /* a note: its text */
    char other_path[LUM__PATH_BYTES_MAX];
    uint64_t offset;
    uint64_t bytes;    /* asked for; a note: its value */
    lum_status status; /* a request of a queue: LUM_ERR_IO if it moved less than all */
    int64_t moved;     /* bytes moved; a request of a queue: bytes, or -errno */
};

struct lum__recording;

struct lum__recording *lum__recording_create(void);
void lum__recording_destroy(
    struct lum__recording *recording); /* NULL is fine; after the file tables that write into it */
void lum__recording_clear(struct lum__recording *recording); /* with nothing under way */
void lum__recording_note(struct lum__recording *recording, const char *text, uint64_t value);
size_t lum__recording_count(struct lum__recording *recording);
/* Copies an event; they are numbered from 0 in the order of their beginnings. */
struct lum__event lum__recording_get(struct lum__recording *recording, size_t index);
/* The first event at or after `from` of that kind whose path begins so; its index, or SIZE_MAX. */
size_t lum__recording_find(struct lum__recording *recording, size_t from, enum lum__event_kind kind,
                           const char *path_prefix);
void lum__recording_print(struct lum__recording *recording, FILE *out);

/* Wraps `inner`, which is closed with the wrapper. Several wrappers may share a recording: their events share one
 * order. */
LUM_MUST_USE lum_status lum__fs_record(struct lum__fs *inner, struct lum__recording *recording, struct lum__fs **out);

#endif
