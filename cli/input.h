/* cli/input.h - an input file or stdin as a stream of plain bytes: what is compressed (gzip, bzip2, xz, zstd, lz4; told
 * by its first bytes, never by its name) comes out decompressed, by a thread that works ahead of the reader. A
 * compressed stream that is cut short or damaged is an error, never a quiet end. Errors are LUM_ERR_INPUT with the
 * file's name (lum_last_error()). */
#ifndef LUM_CLI_INPUT_H
#define LUM_CLI_INPUT_H

#include <stddef.h>
#include <stdint.h>

#include "lum/lum.h"

struct lum_input;

/* Opens a path, or stdin for "-". A missing file, a directory, no permission: one clear message each. */
lum_status lum_input_open(const char *path, struct lum_input **out);
void lum_input_close(struct lum_input *input); /* NULL is fine */

/* The next 1 to bytes_max bytes; *bytes = 0 at the end; LUM_ERR_CANCELLED at an end that comes with an interrupt (cli/signals.h). context is the lum_input: fits lum__read_bytes. */
lum_status lum_input_read(void *context, uint8_t *out, size_t bytes_max, size_t *bytes);

/* The first plain bytes, without taking them: at least bytes_wanted (at most LUM_INPUT_PEEK_MAX) unless the input is shorter.
 * Lent until the next call. Before the first lum_input_read() only. */
enum { LUM_INPUT_PEEK_MAX = 4096 };
lum_status lum_input_peek(struct lum_input *input, size_t bytes_wanted, const uint8_t **bytes, size_t *byte_count);

/* The descriptor of a regular file that is not compressed and stands at its beginning, for pread(); else -1. */
int lum_input_fd(const struct lum_input *input, uint64_t *file_bytes);

/* For messages and progress. Any thread, any time. */
const char *lum_input_name(const struct lum_input *input);        /* the path, or "(stdin)" */
const char *lum_input_compression(const struct lum_input *input); /* "none", "gzip", "zstd", ... */
uint64_t lum_input_bytes_total(const struct lum_input *input);    /* of the file; 0 if not known (a pipe) */
uint64_t lum_input_bytes_read(const struct lum_input *input);     /* of the file so far, before decompression */
uint64_t lum_input_bytes_plain(const struct lum_input *input);    /* given to the reader so far */
uint64_t lum_input_bytes_decoded(const struct lum_input *input);  /* plain bytes that bytes_read became: ahead of the reader */

#endif
