#include "support/rows.h"

#include <string.h>

#include "base/random.h"

void lum_test_row(uint64_t number, lum_t *out)
{
    uint64_t state = number;
    uint64_t noise = lum__splitmix64(&state);
    bool is_noisy = number / 5000 % 2 == 1;
    memset(out, 0, sizeof *out);
    out->id = number;
    out->timestamp = 1700000000000000000u + number * 1000 + (is_noisy ? noise % 1000 : 0);
    out->memory_address = is_noisy ? noise : 4096 + number * 40;
    out->position_x = (int32_t)(is_noisy ? noise >> 20 : number % 1000);
    out->position_y = (int32_t)(number / 1000);
    out->presence = (uint8_t)(number & 1);
    out->structure_type = (uint8_t)(number % 6);
    out->is_destroyed = (uint8_t)(number % 97 == 0);
    out->checksum = lum_record_checksum(out);
}

static lum_status open_piece(void *context, uint32_t worker, uint64_t rows_max, lum_piece *out)
{
    struct lum_test_source *source = context;
    uint64_t end = source->first + source->count;
    if (source->next == end) return LUM_END;
    uint64_t rows = end - source->next < rows_max ? end - source->next : rows_max;
    *out = (lum_piece){.first_row = source->next - source->first, .row_count = rows};
    source->pieces[worker].at = source->next;
    source->pieces[worker].end = source->next += rows;
    return LUM_OK;
}

static lum_status fill(void *context, uint32_t worker, lum_t *rows, size_t rows_max, size_t *row_count)
{
    struct lum_test_source *source = context;
    *row_count = 0;
    while (*row_count < rows_max && source->pieces[worker].at < source->pieces[worker].end) {
        if (source->pieces[worker].at == source->fail_at) return lum_source_fail("test rows", 7, 0, "the row that must fail");
        lum_test_row(source->pieces[worker].at++, &rows[(*row_count)++]);
    }
    return LUM_OK;
}

void lum_test_source_init(struct lum_test_source *context, uint64_t first, uint64_t count, lum_source *out)
{
    *context = (struct lum_test_source){.first = first, .count = count, .next = first, .fail_at = UINT64_MAX};
    *out = (lum_source)LUM_SOURCE_INIT;
    out->context = context;
    out->name = "test rows";
    out->row_count = count;
    out->has_checksums = true;
    out->open_piece = open_piece;
    out->fill = fill;
}

lum_status lum_test_read_prefix(lum_store *store, uint64_t *row_count)
{
    *row_count = 0;
    lum_scan *scan = NULL;
    lum_status status = lum_scan_open(store, NULL, &scan);
    if (status != LUM_OK) return status;
    const lum_t *rows = NULL;
    size_t count = 0;
    while ((status = lum_scan_next_rows(scan, &rows, &count)) == LUM_OK) {
        for (size_t i = 0; i < count; i++) {
            lum_t expected;
            lum_test_row(*row_count, &expected);
            if (memcmp(&expected, &rows[i], sizeof expected) != 0) {
                lum_scan_close(scan);
                return LUM_ERR_ARGUMENT;
            }
            ++*row_count;
        }
    }
    lum_scan_close(scan);
    return status == LUM_END ? LUM_OK : status;
}
