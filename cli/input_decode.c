#include "cli/input_decode.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/archive_library.h"

struct lum_decoder {
    enum lum_compression compression;
    lum_decoder_source source;
    void *context;
    bool source_ended;
    bool source_failed;
    char source_message[LUM_DECODER_MESSAGE_MAX];
    uint64_t source_bytes; /* taken from the source so far */

    struct inflate_state *inflate; /* gzip */
    bool in_member;                /* between a gzip member's first byte and its checked trailer */

    const struct lum_archive_library *library; /* the others */
    struct archive *archive;
    bool archive_opened;
};

const char *lum_compression_name(enum lum_compression compression)
{
    switch (compression) {
    case LUM_PLAIN: return "none";
    case LUM_GZIP: return "gzip";
    case LUM_BZIP2: return "bzip2";
    case LUM_XZ: return "xz";
    case LUM_ZSTD: return "zstd";
    case LUM_LZ4: return "lz4";
    }
    return "unknown";
}

/* True if what is there of `bytes` agrees with the magic, and at least `least` bytes are. */
static bool begins_with(const uint8_t *bytes, size_t byte_count, const char *magic, size_t magic_bytes, size_t least)
{
    size_t length = byte_count < magic_bytes ? byte_count : magic_bytes;
    return length >= least && memcmp(bytes, magic, length) == 0;
}

enum lum_compression lum_compression_detect(const uint8_t *bytes, size_t byte_count)
{
    if (begins_with(bytes, byte_count, "\x1f\x8b", 2, 2)) return LUM_GZIP;
    if (begins_with(bytes, byte_count, "\xfd\x37zXZ\0", 6, 2)) return LUM_XZ;
    if (begins_with(bytes, byte_count, "\x28\xb5\x2f\xfd", 4, 3)) return LUM_ZSTD;
    if (begins_with(bytes, byte_count, "\x04\x22\x4d\x18", 4, 3)) return LUM_LZ4;
    if (byte_count >= 4 && (bytes[0] & 0xf0) == 0x50 && memcmp(bytes + 1, "\x2a\x4d\x18", 3) == 0)
        return LUM_ZSTD; /* a skippable frame, as parallel compressors write it first */
    if (byte_count >= 4 && memcmp(bytes, "BZh", 3) == 0 && bytes[3] >= '1' && bytes[3] <= '9' &&
        (begins_with(bytes + 4, byte_count - 4, "1AY&SY", 6, 0) ||
         begins_with(bytes + 4, byte_count - 4, "\x17rE8P\x90", 6, 0)))
        return LUM_BZIP2; /* "BZh9" alone could begin a text */
    return LUM_PLAIN;
}

/* The next block of the source; keeps its message where it fails. */
static ssize_t read_source(struct lum_decoder *decoder, const uint8_t **bytes)
{
    ssize_t got = decoder->source(decoder->context, bytes, decoder->source_message);
    if (got < 0) decoder->source_failed = true;
    if (got == 0) decoder->source_ended = true;
    if (got > 0) decoder->source_bytes += (uint64_t)got;
    return got;
}

static ssize_t fail(struct lum_decoder *decoder, char message[LUM_DECODER_MESSAGE_MAX], const char *reason)
{
    if (decoder->source_failed)
        (void)snprintf(message, LUM_DECODER_MESSAGE_MAX, "%s", decoder->source_message);
    else
        (void)snprintf(message, LUM_DECODER_MESSAGE_MAX, "the %s stream %s", lum_compression_name(decoder->compression),
                       reason);
    return -1;
}

/* -------------------------------------------------------------------------------------------------------- gzip */

/* Between members: is there another one? Zero bytes may pad the end (tapes, block devices); anything else has no place
 * there. 1: a member begins, 0: the end, -1: an error. */
static int begin_member(struct lum_decoder *decoder, char message[LUM_DECODER_MESSAGE_MAX])
{
    struct inflate_state *inflate = decoder->inflate;

    for (;;) {
        while (decoder->source_bytes > 0 && inflate->avail_in > 0 && *inflate->next_in == 0) {
            inflate->next_in++;
            inflate->avail_in--;
        }
        if (inflate->avail_in > 0) break;
        const uint8_t *bytes;
        ssize_t got = read_source(decoder, &bytes);
        if (got < 0) return (int)fail(decoder, message, "");
        if (got == 0) return 0;
        inflate->next_in = (uint8_t *)(uintptr_t)bytes; /* the interface lacks a const; it only reads */
        inflate->avail_in = (uint32_t)got;
    }
    if (*inflate->next_in != 0x1f) return (int)fail(decoder, message, "is followed by something else");
    uint8_t *next_in = inflate->next_in;
    uint32_t avail_in = inflate->avail_in;
    isal_inflate_reset(inflate);
    inflate->crc_flag = ISAL_GZIP; /* take header and trailer apart, and compare the CRC */
    inflate->next_in = next_in;
    inflate->avail_in = avail_in;
    decoder->in_member = true;
    return 1;
}

static ssize_t read_gzip(struct lum_decoder *decoder, uint8_t *out, size_t bytes_max,
                         char message[LUM_DECODER_MESSAGE_MAX])
{
    struct inflate_state *inflate = decoder->inflate;

    for (;;) {
        if (!decoder->in_member) {
            int begun = begin_member(decoder, message);
            if (begun <= 0) return begun;
        }
        if (inflate->avail_in == 0 && !decoder->source_ended) {
            const uint8_t *bytes;
            ssize_t got = read_source(decoder, &bytes);
            if (got < 0) return fail(decoder, message, "");
            inflate->next_in = (uint8_t *)(uintptr_t)bytes;
            inflate->avail_in = (uint32_t)got;
        }
        uint32_t avail_in = inflate->avail_in;
        inflate->next_out = out;
        inflate->avail_out = (uint32_t)bytes_max;
        int result = isal_inflate(inflate);
        if (result == ISAL_INCORRECT_CHECKSUM) return fail(decoder, message, "is damaged: its checksum does not match");
        if (result < 0) return fail(decoder, message, "is damaged");
        size_t plain = bytes_max - inflate->avail_out;
        decoder->in_member = inflate->block_state != ISAL_BLOCK_FINISH;
        if (plain > 0) return (ssize_t)plain;
        if (decoder->in_member && decoder->source_ended && inflate->avail_in == avail_in)
            return fail(decoder, message, "is cut short");
    }
}

/* ---------------------------------------------------------------------------------------------------- libarchive */

static la_ssize_t archive_source(struct archive *archive, void *context, const void **bytes)
{
    struct lum_decoder *decoder = context;
    const uint8_t *block = NULL;

    ssize_t got = read_source(decoder, &block);
    if (got < 0) decoder->library->set_error(archive, EIO, "%s", decoder->source_message);
    *bytes = block;
    return got;
}

static ssize_t fail_archive(struct lum_decoder *decoder, char message[LUM_DECODER_MESSAGE_MAX])
{
    char reason[LUM_DECODER_MESSAGE_MAX / 2];
    const char *text = decoder->library->error_string(decoder->archive);

    (void)snprintf(reason, sizeof reason, "is cut short or damaged (%.90s)", text != NULL ? text : "no reason given");
    return fail(decoder, message, reason);
}

static struct archive *new_archive(const struct lum_archive_library *library, enum lum_compression compression)
{
    struct archive *archive = library->read_new();

    if (archive == NULL) return NULL;
    int result = ARCHIVE_FATAL;
    switch (compression) {
    case LUM_BZIP2: result = library->read_support_filter_bzip2(archive); break;
    case LUM_XZ: result = library->read_support_filter_xz(archive); break;
    case LUM_ZSTD: result = library->read_support_filter_zstd(archive); break;
    case LUM_LZ4: result = library->read_support_filter_lz4(archive); break;
    case LUM_PLAIN:
    case LUM_GZIP: break;
    }
    /* ARCHIVE_WARN would mean an external program: not for input that nobody vouched for. */
    if (result != ARCHIVE_OK || library->read_support_format_raw(archive) != ARCHIVE_OK ||
        library->read_support_format_empty(archive) != ARCHIVE_OK) {
        library->read_free(archive);
        return NULL;
    }
    return archive;
}

static ssize_t read_archive(struct lum_decoder *decoder, uint8_t *out, size_t bytes_max,
                            char message[LUM_DECODER_MESSAGE_MAX])
{
    struct archive_entry *entry;

    if (!decoder->archive_opened) {
        decoder->archive_opened = true;
        if (decoder->library->read_open(decoder->archive, decoder, NULL, archive_source, NULL) != ARCHIVE_OK)
            return fail_archive(decoder, message);
        int result = decoder->library->read_next_header(decoder->archive, &entry);
        if (result != ARCHIVE_OK && result != ARCHIVE_EOF) return fail_archive(decoder, message);
        /* Too few bytes for the filter to see what we saw in the first four. */
        if (decoder->library->filter_code(decoder->archive, 0) == ARCHIVE_FILTER_NONE)
            return fail(decoder, message, "is cut short");
        if (result == ARCHIVE_EOF) return 0;
    }
    la_ssize_t got = decoder->library->read_data(decoder->archive, out, bytes_max);
    if (got < 0) return fail_archive(decoder, message);
    if (got == 0) {
        /* bzip2 and lz4 stop in silence at what they do not know. */
        const uint8_t *bytes;
        uint64_t used = (uint64_t)decoder->library->filter_bytes(decoder->archive, -1);
        if (used < decoder->source_bytes || (!decoder->source_ended && read_source(decoder, &bytes) != 0))
            return fail(decoder, message, "is followed by something else");
    }
    return (ssize_t)got;
}

/* ------------------------------------------------------------------------------------------------------------ */

struct lum_decoder *lum_decoder_open(enum lum_compression compression, lum_decoder_source source, void *context)
{
    struct lum_decoder *decoder = calloc(1, sizeof *decoder);

    if (decoder == NULL) return NULL;
    decoder->compression = compression;
    decoder->source = source;
    decoder->context = context;
    if (compression == LUM_GZIP) {
        decoder->inflate = calloc(1, sizeof *decoder->inflate);
        if (decoder->inflate != NULL) isal_inflate_init(decoder->inflate);
    } else {
        const char *reason;
        decoder->library = lum_archive_library(&reason);
        if (decoder->library != NULL) decoder->archive = new_archive(decoder->library, compression);
    }
    if (decoder->inflate == NULL && decoder->archive == NULL) {
        free(decoder);
        return NULL;
    }
    return decoder;
}

void lum_decoder_close(struct lum_decoder *decoder)
{
    if (decoder == NULL) return;
    if (decoder->archive != NULL) decoder->library->read_free(decoder->archive);
    free(decoder->inflate);
    free(decoder);
}

ssize_t lum_decoder_read(struct lum_decoder *decoder, uint8_t *out, size_t bytes_max,
                         char message[LUM_DECODER_MESSAGE_MAX])
{
    if (bytes_max > 1u << 30) bytes_max = 1u << 30;
    if (decoder->compression == LUM_GZIP) return read_gzip(decoder, out, bytes_max, message);
    return read_archive(decoder, out, bytes_max, message);
}
