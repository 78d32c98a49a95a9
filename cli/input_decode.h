/* cli/input_decode.h - compressed bytes to plain ones, with every check that the format has: a stream that is cut
 * short, damaged or followed by something else is an error.
 *
 * gzip goes through ISA-L, because libarchive 3.6 does not compare a gzip stream's CRC; the others go through
 * libarchive. */
#ifndef LUM_CLI_INPUT_DECODE_H
#define LUM_CLI_INPUT_DECODE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum lum_compression { LUM_PLAIN, LUM_GZIP, LUM_BZIP2, LUM_XZ, LUM_ZSTD, LUM_LZ4 };
const char *lum_compression_name(enum lum_compression compression);

/* Tells by the first bytes (up to 16 help). Anything unknown is plain. */
enum lum_compression lum_compression_detect(const uint8_t *bytes, size_t byte_count);

enum { LUM_DECODER_MESSAGE_MAX = 256 };

/* Where compressed bytes come from: lends the next block until the next call. 0 at the end, -1 with message on an
 * error. */
typedef ssize_t (*lum_decoder_source)(void *context, const uint8_t **bytes, char message[LUM_DECODER_MESSAGE_MAX]);

struct lum_decoder;

/* NULL when memory is out. */
struct lum_decoder *lum_decoder_open(enum lum_compression compression, lum_decoder_source source, void *context);
void lum_decoder_close(struct lum_decoder *decoder); /* NULL is fine */

/* The next 1 to bytes_max plain bytes; 0 at the end; -1 with message on an error, which is final. */
ssize_t lum_decoder_read(struct lum_decoder *decoder, uint8_t *out, size_t bytes_max,
                         char message[LUM_DECODER_MESSAGE_MAX]);

#endif
