#include "formats/field.h"

#include <string.h>

#include "lum/lum.h"

static const char *const field_names[LUM__FIELD_COUNT] = {
    [LUM__FIELD_ID] = "id",
    [LUM__FIELD_PRESENCE] = "presence",
    [LUM__FIELD_POSITION_X] = "position_x",
    [LUM__FIELD_POSITION_Y] = "position_y",
    [LUM__FIELD_STRUCTURE_TYPE] = "structure_type",
    [LUM__FIELD_TIMESTAMP] = "timestamp",
    [LUM__FIELD_MEMORY_ADDRESS] = "memory_address",
    [LUM__FIELD_IS_DESTROYED] = "is_destroyed",
    [LUM__FIELD_CHECKSUM] = "checksum",
};

static const char *const structure_type_names[LUM_STRUCTURE_TYPE_MAX + 1] = {
    [LUM_STRUCTURE_LINEAR] = "linear", [LUM_STRUCTURE_CIRCULAR] = "circular",     [LUM_STRUCTURE_BINARY] = "binary",
    [LUM_STRUCTURE_GROUP] = "group",   [LUM_STRUCTURE_COMPRESSED] = "compressed", [LUM_STRUCTURE_NODE] = "node",
};

const char *lum__field_name(enum lum__field field)
{
    return (unsigned)field < LUM__FIELD_COUNT ? field_names[field] : "";
}

enum lum__field lum__field_find(const char *name, size_t length)
{
    for (unsigned field = 0; field < LUM__FIELD_COUNT; ++field)
        if (strlen(field_names[field]) == length && memcmp(field_names[field], name, length) == 0)
            return (enum lum__field)field;
    return LUM__FIELD_COUNT;
}

const char *lum__structure_type_name(unsigned number)
{
    return number <= LUM_STRUCTURE_TYPE_MAX ? structure_type_names[number] : NULL;
}
