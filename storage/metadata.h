/* storage/metadata.h - what a commit says of itself besides its numbers: the extensions of docs/format.md 3.5. */
#ifndef LUM_STORAGE_METADATA_H
#define LUM_STORAGE_METADATA_H

#include <stdbool.h>
#include <stdint.h>

#include "lum/status.h"

/* On disk, never renumber. A kind from LUM__METADATA_MUST_KNOW on is refused by a program that does not know it; the
 * others are kept as they are. */
enum {
    LUM__METADATA_MAPPING = 1, /* text: the columns of the input that became fields */
    LUM__METADATA_SOURCES = 2, /* text: the names of the input files, one a line */
    LUM__METADATA_RESUME = 3,  /* opaque bytes: where an interrupted load goes on */
    LUM__METADATA_MUST_KNOW = 0x8000,
};

enum {
    LUM__METADATA_BYTES_MAX = 65536,        /* of one commit, as a reader takes it */
    LUM__METADATA_TEXT_BYTES_MAX = 16384,   /* of one text, as we write it: the commit fits the smallest log segment */
    LUM__METADATA_RESUME_BYTES_MAX = 16384, /* likewise */
};

/* The extensions of one commit. The resume point is different in each commit of a load and stands last, so that the
 * rest can be one string for all of them. All zero: none. */
struct lum__metadata {
    const uint8_t *items; /* all but the resume point, encoded */
    uint32_t item_bytes;
    uint32_t resume_bytes;
    const uint8_t *resume; /* content of the resume point; NULL if there is none */
};

/* The items of two texts, either of which may be NULL or "". Longer ones are cut, at a line (sources) or a character,
 * and end in "...". The caller frees *out, which is NULL if there is no text. */
LUM_MUST_USE lum_status lum__metadata_build(const char *mapping, const char *sources, uint8_t **out,
                                            uint32_t *byte_count);
/* Extension bytes of a commit. */
uint32_t lum__metadata_bytes(const struct lum__metadata *metadata);
void lum__metadata_encode(const struct lum__metadata *metadata, uint8_t *out);
/* Conditions 1-4 of format.md 3.5; *out points into bytes. file, offset: of bytes, for the message.
 * LUM_ERR_CORRUPT, LUM_ERR_UNSUPPORTED. */
LUM_MUST_USE lum_status lum__metadata_decode(const uint8_t *bytes, uint32_t byte_count, const char *file,
                                             uint64_t offset, struct lum__metadata *out);
/* The content of an item that is no resume point, NULL if there is none of that kind. */
const uint8_t *lum__metadata_find(const struct lum__metadata *metadata, uint16_t kind, uint32_t *byte_count);
bool lum__metadata_is_same(const struct lum__metadata *a, const struct lum__metadata *b);

#endif
