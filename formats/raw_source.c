#include "formats/raw_source.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "formats/record_pieces.h"
#include "formats/row_check.h"

struct raw_source {
    struct lum__row_source shown; /* what the program sees */
    char *name;
    struct lum__record_pieces pieces;
};

static lum_status open_piece(void *context, uint32_t worker, uint64_t rows_max, lum_piece *out)
{
    struct raw_source *source = context;

    return lum__record_pieces_open(&source->pieces, worker, rows_max, out);
}

/* There is a bad row among them: tells it, and closes the gaps. */
static lum_status pick_good_rows(struct raw_source *source, uint32_t worker, uint64_t first_row, lum_t *rows,
                                 size_t *count)
{
    struct lum__row_fault fault;
    size_t good = 0;

    for (size_t i = 0; i < *count; ++i) {
        if (lum__row_check(&rows[i], true, &fault)) {
            rows[good++] = rows[i];
            continue;
        }
        LUM_TRY(lum__record_pieces_refuse(&source->pieces, worker, first_row + i, (const uint8_t *)&rows[i], &fault));
    }
    *count = good;
    return LUM_OK;
}

static lum_status fill(void *context, uint32_t worker, lum_t *rows, size_t rows_max, size_t *row_count)
{
    struct raw_source *source = context;
    size_t count = 1;

    *row_count = 0;
    while (*row_count == 0 && count > 0) { /* a page of bad rows only is not the end */
        const uint8_t *bytes;
        uint64_t first_row;
        LUM_TRY(
            lum__record_pieces_next(&source->pieces, worker, rows_max, (uint8_t *)rows, &bytes, &count, &first_row));
        if (count == 0) break;
        if (bytes != (const uint8_t *)rows)
            memcpy(rows, bytes, count * sizeof *rows); /* little-endian, as all of lum */
        *row_count = count;
        if (!lum__rows_are_good(rows, count, true)) {
            lum_status status = pick_good_rows(source, worker, first_row, rows, row_count);
            if (status != LUM_OK) *row_count = 0;
            LUM_TRY(status);
        }
    }
    return LUM_OK;
}

static void account(void *context, uint64_t *rows_read, uint64_t *rows_rejected, uint64_t *bytes_read)
{
    struct raw_source *source = context;

    lum__record_pieces_account(&source->pieces, rows_read, rows_rejected, bytes_read);
}

static void close_source(struct lum__row_source *shown)
{
    struct raw_source *source = shown->source.context;

    lum__record_pieces_fini(&source->pieces);
    free(source->name);
    free(source);
}

static lum_status check_mapping(const struct lum__mapping *mapping)
{
    for (unsigned field = 0; mapping != NULL && field < LUM__FIELD_COUNT; ++field) {
        if (!mapping->items[field].present) continue;
        lum_status status =
            lum__fail(LUM_ERR_ARGUMENT, "--map does not go with raw records: a record is a whole LUM, with "
                                        "its checksum");
        lum__error_set_remedy("leave --map out; to change or choose fields, give a .npy, CSV or NDJSON file");
        return status;
    }
    return LUM_OK;
}

static lum_status check_length(const struct lum__input_bytes *input)
{
    uint64_t extra = input->fd >= 0 ? input->file_bytes % sizeof(lum_t) : 0;

    if (extra == 0) return LUM_OK;
    lum_status status =
        lum__fail_at(__FILE__, __LINE__, LUM_ERR_INPUT, 0, input->name, input->file_bytes - extra, 0,
                     "these are no whole 40-byte records: %llu bytes leave %llu over behind the last one",
                     (unsigned long long)input->file_bytes, (unsigned long long)extra);
    lum__error_set_remedy("a raw file is 40-byte records back to back, without a header: was it cut short, or is it of "
                          "another --format?");
    return status;
}

lum_status lum__raw_open(const struct lum__input_bytes *input, const struct lum__row_options *options,
                         struct lum__row_source **out)
{
    struct lum__input_bytes named = *input;
    void *memory;

    *out = NULL;
    LUM_TRY(check_mapping(options->mapping));
    LUM_TRY(check_length(input));
    char *name = strdup(input->name);
    if (name == NULL) return lum__fail(LUM_ERR_NO_MEMORY, "no memory to read %s", input->name);
    lum_status status = lum__alloc_zeroed(1, sizeof(struct raw_source), &memory);
    if (status != LUM_OK) free(name);
    LUM_TRY(status);
    struct raw_source *source = memory;
    source->name = name;
    named.name = name;
    uint64_t row_count = input->fd >= 0 ? input->file_bytes / sizeof(lum_t) : LUM_ROWS_UNKNOWN;
    lum__record_pieces_init(&source->pieces, &named, 0, sizeof(lum_t), row_count, options->rejects);
    source->shown = (struct lum__row_source){.source = LUM_SOURCE_INIT,
                                             .format_name = "raw",
                                             .mapping_text = "",
                                             .is_empty = input->fd >= 0 && input->file_bytes == 0,
                                             .close = close_source};
    source->pieces.sums = options->sums;
    source->shown.records = &source->pieces;
    source->shown.source.context = source;
    source->shown.source.name = name;
    source->shown.source.row_count = row_count;
    source->shown.source.has_checksums = true;
    source->shown.source.open_piece = open_piece;
    source->shown.source.fill = fill;
    source->shown.source.account = account;
    *out = &source->shown;
    return LUM_OK;
}
