/* file_sim_data.c - a file's bytes in memory: 4 KiB blocks, shared between what is live, what is durable and clones of
 * the disk until one of them writes. */
#include "storage/file_sim_inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

struct sim_block {
    uint32_t refs; /* atomic: clones may live on other threads */
    uint8_t bytes[SIM_BLOCK];
};

/* Stands for every block that is allocated and was never written. Never freed, never changed. */
static struct sim_block unwritten;

static void block_release(struct sim_block *block)
{
    if (block == NULL || block == &unwritten) return;
    if (__atomic_sub_fetch(&block->refs, 1, __ATOMIC_ACQ_REL) == 0) free(block);
}

/* The block, ours alone, to be written into. */
static uint8_t *block_own(struct sim_data *data, size_t index)
{
    struct sim_block *old = data->blocks[index];
    if (old != NULL && old != &unwritten && __atomic_load_n(&old->refs, __ATOMIC_ACQUIRE) == 1) return old->bytes;
    struct sim_block *own = lum__sim_alloc(sizeof *own);
    own->refs = 1;
    if (old == NULL || old == &unwritten) {
        memset(own->bytes, 0, SIM_BLOCK);
    } else {
        memcpy(own->bytes, old->bytes, SIM_BLOCK);
    }
    if (old == NULL) data->used_blocks++;
    block_release(old);
    data->blocks[index] = own;
    return own->bytes;
}

static void make_room(struct sim_data *data, uint64_t end)
{
    size_t needed = (size_t)((end + SIM_BLOCK - 1) / SIM_BLOCK);
    if (needed <= data->block_count) return;
    size_t count = needed + needed / 2;
    struct sim_block **blocks = realloc(data->blocks, count * sizeof *blocks);
    LUM_ASSERT(blocks != NULL);
    memset(blocks + data->block_count, 0, (count - data->block_count) * sizeof *blocks);
    data->blocks = blocks;
    data->block_count = count;
}

/* The part of a range that lies in the block at *offset; moves on to the next. */
static size_t next_part(uint64_t *offset, uint64_t *left, size_t *block, size_t *inside)
{
    *block = (size_t)(*offset / SIM_BLOCK);
    *inside = (size_t)(*offset % SIM_BLOCK);
    size_t part = SIM_BLOCK - *inside < *left ? SIM_BLOCK - *inside : (size_t)*left;
    *offset += part;
    *left -= part;
    return part;
}

void lum__sim_data_write(struct sim_data *data, uint64_t offset, const void *bytes, uint64_t byte_count)
{
    const uint8_t *from = bytes;
    size_t block, inside;
    if (byte_count == 0) return; /* never extends */
    make_room(data, offset + byte_count);
    while (byte_count > 0) {
        size_t part = next_part(&offset, &byte_count, &block, &inside);
        memcpy(block_own(data, block) + inside, from, part);
        from += part;
    }
    if (offset > data->size) data->size = offset;
}

void lum__sim_data_read(const struct sim_data *data, uint64_t offset, void *out, uint64_t byte_count)
{
    uint8_t *to = out;
    size_t block, inside;
    while (byte_count > 0) {
        size_t part = next_part(&offset, &byte_count, &block, &inside);
        const struct sim_block *source = block < data->block_count ? data->blocks[block] : NULL;
        if (source == NULL || source == &unwritten) {
            memset(to, 0, part);
        } else {
            memcpy(to, source->bytes + inside, part);
        }
        to += part;
    }
}

static void drop_block(struct sim_data *data, size_t block)
{
    if (data->blocks[block] == NULL) return;
    block_release(data->blocks[block]);
    data->blocks[block] = NULL;
    data->used_blocks--;
}

static void zero_part(struct sim_data *data, size_t block, size_t inside, size_t part)
{
    if (block >= data->block_count || data->blocks[block] == NULL || data->blocks[block] == &unwritten) return;
    memset(block_own(data, block) + inside, 0, part);
}

void lum__sim_data_resize(struct sim_data *data, uint64_t size)
{
    if (size < data->size) {
        size_t first = (size_t)((size + SIM_BLOCK - 1) / SIM_BLOCK);
        for (size_t i = first; i < data->block_count; i++) drop_block(data, i);
        if (size % SIM_BLOCK != 0) {
            zero_part(data, (size_t)(size / SIM_BLOCK), (size_t)(size % SIM_BLOCK),
                      (size_t)(SIM_BLOCK - size % SIM_BLOCK));
        }
    }
    data->size = size;
}

void lum__sim_data_allocate(struct sim_data *data, uint64_t offset, uint64_t byte_count)
{
    make_room(data, offset + byte_count);
    for (uint64_t at = offset / SIM_BLOCK; at * SIM_BLOCK < offset + byte_count; at++) {
        if (data->blocks[at] != NULL) continue;
        data->blocks[at] = &unwritten;
        data->used_blocks++;
    }
    if (offset + byte_count > data->size) data->size = offset + byte_count;
}

void lum__sim_data_punch(struct sim_data *data, uint64_t offset, uint64_t byte_count)
{
    size_t block, inside;
    while (byte_count > 0) {
        size_t part = next_part(&offset, &byte_count, &block, &inside);
        if (block >= data->block_count) return;
        if (part == SIM_BLOCK) {
            drop_block(data, block);
        } else {
            zero_part(data, block, inside, part);
        }
    }
}

uint64_t lum__sim_data_missing(const struct sim_data *data, uint64_t offset, uint64_t byte_count)
{
    uint64_t missing = 0;
    for (uint64_t at = offset / SIM_BLOCK; at * SIM_BLOCK < offset + byte_count; at++) {
        if (lum__sim_data_is_hole(data, at)) missing++;
    }
    return missing;
}

bool lum__sim_data_is_hole(const struct sim_data *data, uint64_t block)
{
    return block >= data->block_count || data->blocks[block] == NULL;
}

struct sim_data lum__sim_data_copy(const struct sim_data *data)
{
    struct sim_data copy = *data;
    if (data->block_count == 0) return copy;
    copy.blocks = lum__sim_alloc(data->block_count * sizeof *copy.blocks);
    for (size_t i = 0; i < data->block_count; i++) {
        copy.blocks[i] = data->blocks[i];
        if (copy.blocks[i] == NULL || copy.blocks[i] == &unwritten) continue;
        __atomic_add_fetch(&copy.blocks[i]->refs, 1, __ATOMIC_RELAXED); /* we hold one already: it cannot go away */
    }
    return copy;
}

void lum__sim_data_free(struct sim_data *data)
{
    for (size_t i = 0; i < data->block_count; i++) block_release(data->blocks[i]);
    free(data->blocks);
    *data = (struct sim_data){0};
}
