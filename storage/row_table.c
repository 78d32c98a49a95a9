#include "storage/row_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "base/status.h"
#include "storage/record.h"

enum { BLOCK_ROWS = 6400, DIGEST_ROWS = 256 };

struct block {
    struct block *next; /* older */
    size_t used, capacity;
    lum_t rows[];
};

struct lum__row_table {
    size_t reference_count;
    struct block *newest;
};

lum_status lum__row_table_create(struct lum__row_table **out)
{
    *out = NULL;
    LUM_TRY(lum__alloc_zeroed(1, sizeof **out, (void **)out));
    (*out)->reference_count = 1;
    return LUM_OK;
}

lum_status lum__row_table_append(struct lum__row_table *table, const lum_t *rows, size_t row_count, const lum_t **out)
{
    struct block *block = table->newest;
    *out = NULL;
    LUM_ASSERT(row_count > 0);
    if (block == NULL || block->capacity - block->used < row_count) {
        size_t capacity = row_count > BLOCK_ROWS ? row_count : BLOCK_ROWS;
        void *memory = NULL;
        LUM_TRY(lum__alloc(sizeof *block + capacity * sizeof *rows, &memory));
        block = memory;
        *block = (struct block){.next = table->newest, .capacity = capacity};
        table->newest = block;
    }
    memcpy(block->rows + block->used, rows, row_count * sizeof *rows);
    *out = block->rows + block->used;
    block->used += row_count;
    return LUM_OK;
}

void lum__row_table_retain(struct lum__row_table *table) { table->reference_count++; }

void lum__row_table_release(struct lum__row_table *table)
{
    if (table == NULL) return;
    LUM_ASSERT(table->reference_count > 0);
    if (--table->reference_count > 0) return;
    for (struct block *block = table->newest, *next; block != NULL; block = next) {
        next = block->next;
        free(block);
    }
    free(table);
}

uint32_t lum__rows_digest(uint32_t digest, const lum_t *rows, size_t row_count)
{
    uint8_t checksums[DIGEST_ROWS * 4];
    for (size_t done = 0; done < row_count;) {
        size_t part = row_count - done < DIGEST_ROWS ? row_count - done : DIGEST_ROWS;
        for (size_t i = 0; i < part; i++) lum__put_u32(checksums + 4 * i, rows[done + i].checksum);
        digest = lum__crc32c(digest, checksums, 4 * part);
        done += part;
    }
    return digest;
}

void lum__rows_range(const lum_t *rows, size_t row_count, struct lum__range *out)
{
    LUM_ASSERT(row_count > 0);
    *out = (struct lum__range){rows->id,         rows->id,         rows->timestamp,  rows->timestamp,
                               rows->position_x, rows->position_x, rows->position_y, rows->position_y};
    for (const lum_t *row = rows + 1; row < rows + row_count; row++) {
        if (row->id < out->id_min) out->id_min = row->id;
        if (row->id > out->id_max) out->id_max = row->id;
        if (row->timestamp < out->timestamp_min) out->timestamp_min = row->timestamp;
        if (row->timestamp > out->timestamp_max) out->timestamp_max = row->timestamp;
        if (row->position_x < out->x_min) out->x_min = row->position_x;
        if (row->position_x > out->x_max) out->x_max = row->position_x;
        if (row->position_y < out->y_min) out->y_min = row->position_y;
        if (row->position_y > out->y_max) out->y_max = row->position_y;
    }
}

size_t lum__rows_check(const lum_t *rows, size_t row_count)
{
    size_t index = 0;
    while (index < row_count && lum__record_check(&rows[index], true) == LUM__ROW_OK) index++;
    return index;
}
