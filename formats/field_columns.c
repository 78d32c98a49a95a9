#include "formats/field_columns.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"

#define PLACE(name) {offsetof(lum_t, name), offsetof(struct lum__field_columns, name), sizeof((lum_t *)0)->name}

const struct lum__field_place lum__field_places[LUM__FIELD_COUNT] = {
    [LUM__FIELD_ID] = PLACE(id),
    [LUM__FIELD_PRESENCE] = PLACE(presence),
    [LUM__FIELD_POSITION_X] = PLACE(position_x),
    [LUM__FIELD_POSITION_Y] = PLACE(position_y),
    [LUM__FIELD_STRUCTURE_TYPE] = PLACE(structure_type),
    [LUM__FIELD_TIMESTAMP] = PLACE(timestamp),
    [LUM__FIELD_MEMORY_ADDRESS] = PLACE(memory_address),
    [LUM__FIELD_IS_DESTROYED] = PLACE(is_destroyed),
    [LUM__FIELD_CHECKSUM] = PLACE(checksum),
};

lum_status lum__field_columns_make(const lum_t *defaults, struct lum__field_columns **out)
{
    struct lum__field_columns *columns = aligned_alloc(64, (sizeof *columns + 63) / 64 * 64);

    *out = columns;
    if (columns == NULL) return lum__fail(LUM_ERR_NO_MEMORY, "out of memory for the columns of a page");
    for (size_t row = 0; row < LUM__FIELD_COLUMNS_ROWS; ++row) lum__field_columns_put(columns, row, defaults);
    return LUM_OK;
}

void lum__field_columns_put(struct lum__field_columns *columns, size_t at, const lum_t *row)
{
    columns->id[at] = row->id;
    columns->timestamp[at] = row->timestamp;
    columns->memory_address[at] = row->memory_address;
    columns->position_x[at] = row->position_x;
    columns->position_y[at] = row->position_y;
    columns->checksum[at] = row->checksum;
    columns->presence[at] = row->presence;
    columns->structure_type[at] = row->structure_type;
    columns->is_destroyed[at] = row->is_destroyed;
}

void lum__field_columns_get(const struct lum__field_columns *columns, size_t at, lum_t *row)
{
    *row = (lum_t){.id = columns->id[at],
                   .timestamp = columns->timestamp[at],
                   .memory_address = columns->memory_address[at],
                   .position_x = columns->position_x[at],
                   .position_y = columns->position_y[at],
                   .checksum = columns->checksum[at],
                   .presence = columns->presence[at],
                   .structure_type = columns->structure_type[at],
                   .is_destroyed = columns->is_destroyed[at]};
}

lum_columns lum__field_columns_lend(const struct lum__field_columns *columns)
{
    return (lum_columns){.id = columns->id,
                         .timestamp = columns->timestamp,
                         .memory_address = columns->memory_address,
                         .position_x = columns->position_x,
                         .position_y = columns->position_y,
                         .presence = columns->presence,
                         .structure_type = columns->structure_type,
                         .is_destroyed = columns->is_destroyed};
}
