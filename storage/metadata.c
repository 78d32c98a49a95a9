/* storage/metadata.c - the extensions of a commit to and from bytes (docs/format.md 3.5). No I/O. */
#include "storage/metadata.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/memory.h"
#include "base/status.h"

enum { KIND_AT = 0, ZERO_AT = 2, LENGTH_AT = 4, ITEM_HEADER_BYTES = 8, CUT_BYTES = 3 };

_Static_assert(2 * (ITEM_HEADER_BYTES + LUM__METADATA_TEXT_BYTES_MAX) + ITEM_HEADER_BYTES +
                       LUM__METADATA_RESUME_BYTES_MAX <=
                   LUM__METADATA_BYTES_MAX,
               "a reader takes what we write");

/* --- writing --- */

/* How much of a text is kept in front of "...": up to a line's end, or else to the start of a UTF-8 character. */
static size_t cut_text(const char *text, bool at_line)
{
    size_t kept = LUM__METADATA_TEXT_BYTES_MAX - CUT_BYTES, line = kept;
    while (at_line && line > 0 && text[line - 1] != '\n') line--;
    if (line > 0 && at_line) return line;
    while (kept > 0 && ((uint8_t)text[kept] & 0xc0) == 0x80) kept--;
    return kept;
}

static uint8_t *put_item_header(uint8_t *out, uint16_t kind, size_t byte_count)
{
    lum__put_u16(out + KIND_AT, kind);
    lum__put_u16(out + ZERO_AT, 0);
    lum__put_u32(out + LENGTH_AT, (uint32_t)byte_count);
    return out + ITEM_HEADER_BYTES;
}

static uint8_t *put_text(uint8_t *out, uint16_t kind, const char *text)
{
    size_t length = text != NULL ? strlen(text) : 0;
    if (length == 0) return out;
    bool is_cut = length > LUM__METADATA_TEXT_BYTES_MAX;
    size_t kept = is_cut ? cut_text(text, kind == LUM__METADATA_SOURCES) : length;
    length = kept + (is_cut ? CUT_BYTES : 0);
    out = put_item_header(out, kind, length);
    memcpy(out, text, kept);
    if (is_cut) memcpy(out + kept, "...", CUT_BYTES);
    return out + length;
}

lum_status lum__metadata_build(const char *mapping, const char *sources, uint8_t **out, uint32_t *byte_count)
{
    void *memory;
    *out = NULL;
    *byte_count = 0;
    if ((mapping == NULL || *mapping == 0) && (sources == NULL || *sources == 0)) return LUM_OK;
    LUM_TRY(lum__alloc((size_t)2 * (ITEM_HEADER_BYTES + LUM__METADATA_TEXT_BYTES_MAX), &memory));
    *out = memory;
    uint8_t *end = put_text(*out, LUM__METADATA_MAPPING, mapping);
    end = put_text(end, LUM__METADATA_SOURCES, sources);
    *byte_count = (uint32_t)(end - *out);
    return LUM_OK;
}

uint32_t lum__metadata_bytes(const struct lum__metadata *metadata)
{
    return metadata->item_bytes + (metadata->resume_bytes > 0 ? ITEM_HEADER_BYTES + metadata->resume_bytes : 0);
}

void lum__metadata_encode(const struct lum__metadata *metadata, uint8_t *out)
{
    LUM_ASSERT(lum__metadata_bytes(metadata) <= LUM__METADATA_BYTES_MAX);
    if (metadata->item_bytes > 0) memcpy(out, metadata->items, metadata->item_bytes);
    if (metadata->resume_bytes == 0) return;
    out = put_item_header(out + metadata->item_bytes, LUM__METADATA_RESUME, metadata->resume_bytes);
    memcpy(out, metadata->resume, metadata->resume_bytes);
}

/* --- reading --- */

static bool is_text(uint16_t kind) { return kind == LUM__METADATA_MAPPING || kind == LUM__METADATA_SOURCES; }

/* The extensions of a commit are valid if and only if (format.md 3.5)  1. they are 65,536 bytes at most, and the items
 * fill them exactly, each with 8 bytes of header and one byte of content or more;  2. the zero bytes are zero, and no
 * kind from 32,768 on is unknown (else unsupported);  3. no kind is 0, none that is known stands twice, and a resume
 * point is the last item;  4. a text holds no NUL. */
lum_status lum__metadata_decode(const uint8_t *bytes, uint32_t byte_count, const char *file, uint64_t offset,
                                struct lum__metadata *out)
{
    uint32_t known_seen = 0;
    memset(out, 0, sizeof *out);
    if (byte_count > LUM__METADATA_BYTES_MAX)
        return lum__corrupt(file, offset, 1, "a commit's extensions have %" PRIu32 " bytes; 65,536 are the most",
                            byte_count);
    for (uint32_t at = 0; at < byte_count;) {
        uint32_t left = byte_count - at;
        uint32_t length = left < ITEM_HEADER_BYTES ? 0 : lum__get_u32(bytes + at + LENGTH_AT);
        if (length == 0 || length > left - ITEM_HEADER_BYTES)
            return lum__corrupt(file, offset + at, 1, "an item of a commit's extensions does not fit them");
        uint16_t kind = lum__get_u16(bytes + at + KIND_AT);
        if (lum__get_u16(bytes + at + ZERO_AT) != 0 || kind >= LUM__METADATA_MUST_KNOW)
            return lum__unsupported(file, offset + at, 2, "a commit has an extension that this program does not know");
        bool is_known = kind <= LUM__METADATA_RESUME;
        if (kind == 0 || (is_known && (known_seen >> kind & 1) != 0) || out->resume != NULL)
            return lum__corrupt(file, offset + at, 3, "an item of a commit's extensions is not where it belongs");
        if (is_known) known_seen |= 1u << kind;
        const uint8_t *content = bytes + at + ITEM_HEADER_BYTES;
        if (is_text(kind) && memchr(content, 0, length) != NULL)
            return lum__corrupt(file, offset + at, 4, "a text in a commit's extensions holds a zero byte");
        if (kind == LUM__METADATA_RESUME) {
            out->resume = content;
            out->resume_bytes = length;
        } else {
            out->item_bytes = at + ITEM_HEADER_BYTES + length;
        }
        at += ITEM_HEADER_BYTES + length;
    }
    if (out->item_bytes > 0) out->items = bytes;
    return LUM_OK;
}

const uint8_t *lum__metadata_find(const struct lum__metadata *metadata, uint16_t kind, uint32_t *byte_count)
{
    *byte_count = 0;
    for (uint32_t at = 0; at < metadata->item_bytes;) {
        uint32_t length = lum__get_u32(metadata->items + at + LENGTH_AT);
        if (lum__get_u16(metadata->items + at + KIND_AT) == kind) {
            *byte_count = length;
            return metadata->items + at + ITEM_HEADER_BYTES;
        }
        at += ITEM_HEADER_BYTES + length;
    }
    return NULL;
}

bool lum__metadata_is_same(const struct lum__metadata *a, const struct lum__metadata *b)
{
    if (a->item_bytes != b->item_bytes || a->resume_bytes != b->resume_bytes) return false;
    if (a->item_bytes > 0 && a->items != b->items && memcmp(a->items, b->items, a->item_bytes) != 0) return false;
    return a->resume_bytes == 0 || a->resume == b->resume || memcmp(a->resume, b->resume, a->resume_bytes) == 0;
}
