/* The rows of a workload made as columns, with the same values as workload.c makes by rows. Loops as workload_compare.c
 * has them: sums, not products, and counters as wide as the column decide whether they become vector code. */
#include <string.h>

#include "cli/workload_inner.h"

/* Rows of one run of x: everything rises evenly. */
FOR_EVERY_LEVEL static void make_seed_run(uint64_t i, uint32_t x, uint32_t y, struct lum__column_room *room, size_t at,
                                          size_t row_count)
{
    uint64_t id = i, time = TIME_BASE + i, address = ADDRESS_BASE + 40 * i;
    for (size_t k = at; k < at + row_count; k++, id++) room->id[k] = id;
    for (size_t k = at; k < at + row_count; k++, time++) room->timestamp[k] = time;
    for (size_t k = at; k < at + row_count; k++, address += 40) room->memory_address[k] = address;
    for (size_t k = at; k < at + row_count; k++, x++) room->position_x[k] = (int32_t)x;
    for (size_t k = at; k < at + row_count; k++) room->position_y[k] = (int32_t)y;
    for (size_t k = 0; k < row_count; k++) room->presence[at + k] = (uint8_t)((uint8_t)i + (uint8_t)k) & 1;
}

static void make_seed(uint64_t first_row, size_t row_count, struct lum__column_room *room, lum_columns *out)
{
    uint64_t x = first_row % 100000, y = first_row / 100000;
    for (size_t done = 0; done < row_count; x = 0, y++) {
        size_t run = 100000 - x < row_count - done ? (size_t)(100000 - x) : row_count - done;
        make_seed_run(first_row + done, (uint32_t)x, (uint32_t)y, room, done, run);
        done += run;
    }
    out->memory_address = room->memory_address;
    out->presence = room->presence;
}

static void put_row(struct lum__column_room *room, size_t at, const lum_t *row)
{
    room->id[at] = row->id;
    room->timestamp[at] = row->timestamp;
    room->memory_address[at] = row->memory_address;
    room->position_x[at] = row->position_x;
    room->position_y[at] = row->position_y;
    room->presence[at] = row->presence;
    room->structure_type[at] = row->structure_type;
}

static void add_noise(uint64_t first_row, size_t row_count, struct lum__column_room *room, lum_columns *out)
{
    memset(room->structure_type, 0, row_count);
    for (uint64_t page = first_row / NOISE_EVERY; page * NOISE_EVERY < first_row + row_count; page++) {
        lum_t row;
        uint64_t i = lum__noise_row(page, &row);
        if (i >= first_row && i < first_row + row_count) put_row(room, (size_t)(i - first_row), &row);
    }
    out->structure_type = room->structure_type;
}

FOR_EVERY_LEVEL static void make_random(uint64_t first_row, size_t row_count, struct lum__column_room *room)
{
    for (size_t k = 0; k < row_count; k++) {
        uint64_t i = first_row + k, random = mix(USE_ROW + i);
        room->id[k] = i;
        room->timestamp[k] = TIME_BASE + i * 1000 + (((random >> 49) * 1000) >> 15);
        room->position_x[k] = (int32_t)((uint32_t)(random & 0xfffff) - 0x80000);
        room->position_y[k] = (int32_t)((uint32_t)(random >> 20 & 0xfffff) - 0x80000);
        room->presence[k] = random >> 40 & 1;
        room->structure_type[k] = (uint8_t)((random >> 41 & 0xff) * 6 >> 8);
    }
}

/* Devices first .. end - 1 at one second. */
FOR_EVERY_LEVEL static void make_tracks_run(uint64_t t, unsigned first, unsigned end, struct lum__column_room *room,
                                            size_t at)
{
    uint64_t counter = USE_ROW + t * DEVICES, time = TIME_BASE + t * SECOND_NS;
    for (uint64_t device = first; device < end; device++, at++) {
        room->id[at] = device;
        room->timestamp[at] = time + tracks_jitter(counter + device);
        room->memory_address[at] = ADDRESS_BASE + 4096 * device;
    }
}

static void make_tracks(struct lum__row_maker *maker, uint64_t first_row, size_t row_count,
                        struct lum__column_room *room)
{
    lum__tracks_seek(maker, first_row);
    for (size_t done = 0; done < row_count;) {
        uint64_t t = maker->next_row / DEVICES;
        unsigned first = (unsigned)(maker->next_row % DEVICES), end = DEVICES;
        if (end - first > row_count - done) end = first + (unsigned)(row_count - done);
        make_tracks_run(t, first, end, room, done);
        memcpy(room->position_x + done, maker->x + first, (end - first) * sizeof *maker->x);
        memcpy(room->position_y + done, maker->y + first, (end - first) * sizeof *maker->y);
        lum__tracks_step(maker, t, first, end);
        maker->next_row += end - first;
        done += end - first;
    }
    memset(room->structure_type, LUM_STRUCTURE_NODE, row_count);
}

/* Columns that are all default are left out: is_destroyed always, presence of tracks, and so on. */
void lum__row_maker_make_columns(struct lum__row_maker *maker, uint64_t first_row, size_t row_count,
                                 struct lum__column_room *room, lum_columns *out)
{
    *out = (lum_columns){
        .id = room->id, .timestamp = room->timestamp, .position_x = room->position_x, .position_y = room->position_y};
    switch (maker->kind) {
    case LUM__WORKLOAD_SEED: make_seed(first_row, row_count, room, out); break;
    case LUM__WORKLOAD_SEED_NOISE:
        make_seed(first_row, row_count, room, out);
        add_noise(first_row, row_count, room, out);
        break;
    case LUM__WORKLOAD_RANDOM:
        make_random(first_row, row_count, room);
        out->presence = room->presence;
        out->structure_type = room->structure_type;
        break;
    case LUM__WORKLOAD_TRACKS:
        make_tracks(maker, first_row, row_count, room);
        out->memory_address = room->memory_address;
        out->structure_type = room->structure_type;
        break;
    }
}
