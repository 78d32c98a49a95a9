/* storage/group.c - lum_group_t, a growable array of LUMs in memory (lum.h "group"). */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "lum/lum.h"

struct lum_group_t {
    lum_t *records;
    size_t size, capacity;
};

lum_group_t *lum_group_create(size_t capacity)
{
    void *memory;
    if (lum__alloc_zeroed(1, sizeof(lum_group_t), &memory) != LUM_OK) return NULL;
    lum_group_t *group = memory;
    if (capacity != 0) {
        if (lum__grow((void **)&group->records, &group->capacity, capacity, sizeof(lum_t)) != LUM_OK) {
            free(group);
            return NULL;
        }
    }
    return group;
}

lum_status lum_group_add_many(lum_group_t *group, const lum_t *records, size_t count)
{
    if (group == NULL || (records == NULL && count != 0))
        return lum__fail(LUM_ERR_ARGUMENT, "lum_group_add: the group or the records are NULL");
    if (count == 0) return LUM_OK;
    if (count > SIZE_MAX / sizeof(lum_t) - group->size)
        return lum__fail(LUM_ERR_NO_MEMORY, "a group of more than %zu records does not fit in memory",
                         SIZE_MAX / sizeof(lum_t));
    size_t needed = group->size + count;
    if (needed > group->capacity) {
        /* The records may be the group's own: growing moves them. */
        bool is_own = group->records != NULL && records >= group->records && records < group->records + group->size;
        size_t index = is_own ? (size_t)(records - group->records) : 0;
        LUM_TRY(lum__grow((void **)&group->records, &group->capacity, needed, sizeof(lum_t)));
        if (is_own) records = group->records + index;
    }
    memcpy(group->records + group->size, records, count * sizeof(lum_t));
    group->size = needed;
    return LUM_OK;
}

lum_status lum_group_add(lum_group_t *group, const lum_t *record) { return lum_group_add_many(group, record, 1); }

const lum_t *lum_group_get(const lum_group_t *group, size_t index)
{
    return group != NULL && index < group->size ? &group->records[index] : NULL;
}

size_t lum_group_size(const lum_group_t *group) { return group != NULL ? group->size : 0; }

const lum_t *lum_group_data(const lum_group_t *group)
{
    return group != NULL && group->size != 0 ? group->records : NULL;
}

void lum_group_destroy(lum_group_t *group)
{
    if (group == NULL) return;
    free(group->records);
    free(group);
}
