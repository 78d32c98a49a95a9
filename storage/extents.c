#include "storage/extents.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/status.h"

void lum__extents_fini(struct lum__extents *extents)
{
    free(extents->items);
    *extents = (struct lum__extents){0};
}

/* Index of the first extent that begins at or behind offset. */
static size_t find_index(const struct lum__extents *extents, uint64_t offset)
{
    size_t low = 0, high = extents->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (extents->items[middle].offset < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void remove_at(struct lum__extents *extents, size_t index)
{
    memmove(&extents->items[index], &extents->items[index + 1], (extents->count - index - 1) * sizeof *extents->items);
    extents->count--;
}

lum_status lum__extents_add(struct lum__extents *extents, uint64_t offset, uint64_t byte_count)
{
    LUM_ASSERT(byte_count > 0);
    LUM_TRY(lum__grow((void **)&extents->items, &extents->capacity, extents->count + 1, sizeof *extents->items));

    size_t index = find_index(extents, offset);
    struct lum__extent *before = index > 0 ? &extents->items[index - 1] : NULL;
    struct lum__extent *behind = index < extents->count ? &extents->items[index] : NULL;
    LUM_ASSERT(before == NULL || before->offset + before->byte_count <= offset);
    LUM_ASSERT(behind == NULL || offset + byte_count <= behind->offset);

    bool joins_before = before != NULL && before->offset + before->byte_count == offset;
    bool joins_behind = behind != NULL && offset + byte_count == behind->offset;
    if (joins_before) {
        before->byte_count += byte_count;
        if (joins_behind) {
            before->byte_count += behind->byte_count;
            remove_at(extents, index);
        }
    } else if (joins_behind) {
        behind->offset = offset;
        behind->byte_count += byte_count;
    } else {
        memmove(&extents->items[index + 1], &extents->items[index], (extents->count - index) * sizeof *extents->items);
        extents->items[index] = (struct lum__extent){offset, byte_count};
        extents->count++;
    }
    return LUM_OK;
}

bool lum__extents_take(struct lum__extents *extents, uint64_t byte_count, uint64_t *offset)
{
    for (size_t index = 0; index < extents->count; index++) {
        struct lum__extent *extent = &extents->items[index];
        if (extent->byte_count < byte_count) continue;
        *offset = extent->offset;
        extent->offset += byte_count;
        extent->byte_count -= byte_count;
        if (extent->byte_count == 0) remove_at(extents, index);
        return true;
    }
    *offset = 0;
    return false;
}

uint64_t lum__extents_tail(const struct lum__extents *extents, uint64_t end)
{
    if (extents->count == 0) return end;
    const struct lum__extent *last = &extents->items[extents->count - 1];
    return last->offset + last->byte_count == end ? last->offset : end;
}

void lum__extents_drop_tail(struct lum__extents *extents, uint64_t end)
{
    if (lum__extents_tail(extents, end) != end) extents->count--;
}
