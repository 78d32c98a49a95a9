/* cli/reject_files.h - the two files of --on-error reject=FILE: FILE holds what a reader needs first (a header) and then the
 * refused rows' own bytes; FILE.errors.csv holds a line on each. Both only grow, and can be cut back to a length that they
 * had. One thread at a time; the caller has the lock. */
#ifndef LUM_CLI_REJECT_FILES_H
#define LUM_CLI_REJECT_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/append_file.h"
#include "formats/row_source.h"

enum lum__reject_file { LUM__REJECT_ROWS, LUM__REJECT_ERRORS, LUM__REJECT_FILES };

/* How far the files are durable. */
struct lum__reject_point {
    uint64_t bytes[LUM__REJECT_FILES];
    uint32_t sums[LUM__REJECT_FILES]; /* CRC-32C of them; of FILE without its header, which may change */
    uint32_t header_bytes;
    uint64_t rows; /* in FILE */
};

struct lum__reject_files {
    char *paths[LUM__REJECT_FILES];
    int fds[LUM__REJECT_FILES];
    bool was_there[LUM__REJECT_FILES]; /* an empty file of that name was there before: never removed */
    bool has_names_synced;             /* their directory was synced since they were made */
    bool is_text;                      /* rows are lines */
    uint8_t *header;                   /* of FILE */
    size_t header_bytes;
    size_t header_bytes_there; /* of the FILE that a load goes on with */
    size_t shape_offset; /* of the row count in an npy header; 0: none */
    struct lum__append_file appended[LUM__REJECT_FILES]; /* of each fd that is not -1 */
    bool counts_points;
    uint32_t sums[LUM__REJECT_FILES]; /* where points are counted: see struct lum__reject_point; of what was appended */
    uint64_t record_bytes; /* of formats without lines: every row has as many */
    /* the first failure, to be said once the load is over */
    int failed_errno;
    const char *failed_doing, *failed_path;
};

/* Makes both files, or takes empty ones, and locks them until they are closed. Refuses, and says why: a name that is taken by something else than an
 * empty file, a file that is an input or lies in the store, one that another load has open. Returns 0 or an exit code. */
int lum__reject_files_open(struct lum__reject_files *files, const char *path, const char *store,
                           const char *const *inputs, size_t input_count);
/* Goes on behind a point: proves that both files begin as they did then, and cuts off what is behind it. A point without rows: makes new files; what
 * has their names gets other ones. Returns 0 or an exit code. */
int lum__reject_files_go_on(struct lum__reject_files *files, const char *path, const char *store, const char *const *inputs,
                            size_t input_count, const struct lum__reject_point *point);
/* What FILE begins with, from the first input's reader. False: no memory, or a header that nobody can continue. */
bool lum__reject_files_set_header(struct lum__reject_files *files, const struct lum__row_source *reader);
/* A FILE that is gone on with begins with this header: under another one its rows would be read as something else. */
bool lum__reject_files_has_header(const struct lum__reject_files *files);

/* Appends; false after a failure, this or an earlier one. */
bool lum__reject_files_append(struct lum__reject_files *files, enum lum__reject_file file, const uint8_t *bytes,
                              size_t byte_count);
/* How long they are with what was appended. */
void lum__reject_files_lengths(const struct lum__reject_files *files, uint64_t out[LUM__REJECT_FILES]);
/* What was appended is in the files, and FILE can be loaded as it is: a row count in its header is right. False: failed. */
bool lum__reject_files_flush(struct lum__reject_files *files);
/* Makes both durable as they were flushed, with their names. The only call that may run beside the others, and so without the
 * lock: what is appended meanwhile may be durable or not. Returns 0, or the errno of what failed, with *path and *doing. */
int lum__reject_files_sync(struct lum__reject_files *files, const char **path, const char **doing);
/* Back to lengths that they had, durably; both 0: removed, unless they were there before. False: failed. */
bool lum__reject_files_cut(struct lum__reject_files *files, const uint64_t bytes[LUM__REJECT_FILES]);
void lum__reject_files_close(struct lum__reject_files *files);

/* Keeps the first failure; returns false. */
bool lum__reject_files_fail(struct lum__reject_files *files, int os_errno, const char *path, const char *doing);

#endif
