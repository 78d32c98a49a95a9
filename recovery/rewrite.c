/* recovery/rewrite.c - see rewrite.h.
 *
 * After a failed sync the kernel may hold pages as clean that the disk never got; reading them back proves nothing, and
 * a new fdatasync writes nothing. Where chunks were read past the page cache they were seen on the disk itself. Where
 * that is impossible, and no sync after the chunk's write is proven (neither data_synced nor the watermark), the bytes
 * are written anew. */
#include "recovery/rewrite.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "base/status.h"
#include "storage/segment.h"

enum {
    AT_SEGMENT = 24, /* of the chunk header, format.md section 4 */
    AT_OFFSET = 32,
    AT_HEADER_CRC = 252,
};

struct mover {
    struct lum__fs *fs;
    const uint8_t *store_id;
    struct lum__segment_files *files;
    struct lum__segments *segments;
    struct lum__page_scratch *scratch;
    size_t scratch_mapped;
    uint64_t *touched; /* segments written to */
    size_t touched_count, touched_capacity;
};

/* Gives a chunk in memory another place: header CRC and digest change, pages do not. */
static void readdress(uint8_t *bytes, uint32_t page_count, uint64_t segment, uint64_t offset,
                      struct lum__chunk_entry *entry)
{
    lum__put_u64(bytes + AT_SEGMENT, segment);
    lum__put_u64(bytes + AT_OFFSET, offset);
    lum__put_u32(bytes + AT_HEADER_CRC, lum__crc32c(0, bytes, AT_HEADER_CRC));
    entry->segment = segment;
    entry->offset = offset;
    entry->digest =
        lum__crc32c(0, bytes, LUM__CHUNK_HEADER_BYTES + (size_t)page_count * LUM__CHUNK_DIRECTORY_ENTRY_BYTES);
}

static lum_status note_touched(struct mover *mover, uint64_t segment)
{
    void *array = mover->touched;
    for (size_t i = 0; i < mover->touched_count; i++) {
        if (mover->touched[i] == segment) return LUM_OK;
    }
    LUM_TRY(lum__grow(&array, &mover->touched_capacity, mover->touched_count + 1, sizeof *mover->touched));
    mover->touched = array;
    mover->touched[mover->touched_count++] = segment;
    return LUM_OK;
}

static lum_status move_bytes(struct mover *mover, struct lum__chunk_entry *entry, uint8_t *bytes)
{
    struct lum__file *from = NULL, *to = NULL;
    char path[64];
    size_t bytes_read = 0;
    uint32_t page_count = 0;
    uint64_t segment = 0, offset = 0;
    lum__segment_path(entry->segment, path);
    LUM_TRY(lum__segment_files_get(mover->files, entry->segment, &from));
    LUM_TRY(lum__file_read(from, bytes, entry->byte_count, entry->offset, &bytes_read));
    if (bytes_read < entry->byte_count)
        return lum__corrupt(path, entry->offset + bytes_read, 1, "the chunk is cut off by the end of its segment");
    /* Verified in the plan already, but these are other bytes: read again. */
    LUM_TRY(lum__chunk_check(bytes, mover->store_id, entry, mover->scratch, path));
    LUM_TRY(lum__chunk_check_directory(bytes, entry->byte_count, mover->store_id, entry, path, &page_count));
    LUM_TRY(lum__segments_reserve(mover->segments, entry->byte_count, &segment, &offset, &to));
    LUM_TRY(note_touched(mover, segment));
    readdress(bytes, page_count, segment, offset, entry);
    return lum__file_write(to, bytes, entry->byte_count, offset);
}

static lum_status move_chunk(struct mover *mover, struct lum__chunk_entry *entry)
{
    void *bytes = NULL;
    size_t mapped = 0;
    LUM_TRY(lum__memory_map(entry->byte_count, &bytes, &mapped));
    lum_status status = move_bytes(mover, entry, bytes);
    lum__memory_unmap(bytes, mapped);
    return status;
}

/* A version in which all that may still count is in use: the catalogue, and whole commits that are going to be cut. (A
 * bad one is cut again, whatever becomes of its chunks; its files may not even be there.) */
static lum_status collect_used(const struct lum__parts *parts, const struct lum__plan *plan, const struct lum__catalogue_version *version,
                               struct lum__catalogue_version *used)
{
    const struct lum__replay *replay = plan->replay;
    size_t count = version->chunk_count + parts->replaced_count;
    void *memory = NULL;
    *used = *version;
    for (size_t i = plan->commit_count; i < replay->commit_count; i++) count += replay->commits[i].chunk_count;
    LUM_TRY(lum__alloc(count * sizeof *version->chunks, &memory));
    struct lum__chunk_entry *chunks = memory;
    if (version->chunk_count > 0) memcpy(chunks, version->chunks, version->chunk_count * sizeof *chunks);
    size_t at = version->chunk_count;
    for (size_t i = plan->commit_count; i < replay->commit_count; i++) {
        if (replay->commits[i].is_bad) continue;
        for (size_t j = 0; j < replay->commits[i].chunk_count; j++) chunks[at++] = replay->commits[i].chunks[j];
    }
    for (size_t i = 0; i < parts->replaced_count; i++) {
        const struct lum__replaced_extent *extent = &parts->replaced[i];
        chunks[at++] = (struct lum__chunk_entry){.segment = extent->segment, .offset = extent->offset, .byte_count = extent->byte_count};
    }
    used->chunks = chunks;
    used->chunk_count = at;
    return LUM_OK;
}

static lum_status move_all(struct mover *mover, struct lum__plan *plan, uint64_t *rewritten)
{
    for (size_t i = 0; i < plan->commit_count; i++) {
        struct lum__replay_commit *commit = &plan->replay->commits[i];
        for (size_t j = 0; commit->is_doubtful && j < commit->chunk_count; j++) {
            LUM_TRY(move_chunk(mover, &commit->chunks[j]));
            ++*rewritten;
        }
    }
    for (size_t i = 0; i < mover->touched_count; i++) LUM_TRY(lum__segments_sync(mover->segments, mover->touched[i]));
    return LUM_OK;
}

static lum_status open_mover(struct mover *mover, uint64_t epoch, uint64_t segment_bytes_max,
                             const struct lum__plan *plan, const struct lum__catalogue_version *used)
{
    void *memory = NULL;
    LUM_TRY(lum__memory_map(lum__page_scratch_bytes(), &memory, &mover->scratch_mapped));
    mover->scratch = memory;
    LUM_TRY(lum__segment_files_open(mover->fs, mover->store_id, false, &mover->files));
    return lum__segments_open(mover->fs, mover->store_id, epoch, segment_bytes_max, used, plan->next_data_segment,
                              &mover->segments);
}

static lum_status close_mover(struct mover *mover)
{
    lum_status status = mover->segments != NULL ? lum__segments_close(mover->segments) : LUM_OK;
    lum__segment_files_close(mover->files);
    free(mover->touched);
    if (mover->scratch != NULL) lum__memory_unmap(mover->scratch, mover->scratch_mapped);
    return status;
}

static bool is_anything_doubtful(const struct lum__plan *plan)
{
    for (size_t i = 0; i < plan->commit_count; i++) {
        if (plan->replay->commits[i].is_doubtful) return true;
    }
    return false;
}

lum_status lum__rewrite_doubtful(struct lum__fs *fs, const struct lum__parts *parts, uint64_t segment_bytes_max, struct lum__plan *plan,
                                 uint64_t *rewritten)
{
    *rewritten = 0;
    if (!is_anything_doubtful(plan)) return LUM_OK;
    struct mover mover = {.fs = fs, .store_id = plan->state.store_id};
    const struct lum__catalogue_version *version = lum__catalogue_pin(plan->catalogue);
    struct lum__catalogue_version used;
    lum_status status = collect_used(parts, plan, version, &used);
    if (status == LUM_OK) {
        status = open_mover(&mover, parts->epoch, segment_bytes_max, plan, &used);
        if (status == LUM_OK) status = move_all(&mover, plan, rewritten);
        if (mover.segments != NULL) plan->next_data_segment = lum__segments_next_number(mover.segments);
        struct lum__error cause = *lum__error_last();
        lum_status closed = close_mover(&mover);
        if (status == LUM_OK)
            status = closed;
        else
            lum__error_restore(&cause);
        free((void *)(uintptr_t)used.chunks);
    }
    lum__catalogue_unpin(plan->catalogue, version);
    return status;
}
