#include "formats/row_check.h"

bool lum__rows_are_good(const lum_t *rows, size_t row_count, bool has_checksums)
{
    unsigned bad = 0;

    for (size_t i = 0; i < row_count; ++i)
        bad |= (rows[i].presence > 1) | (rows[i].structure_type > LUM_STRUCTURE_TYPE_MAX) | (rows[i].is_destroyed > 1) |
               (rows[i].reserved != 0);
    for (size_t i = 0; has_checksums && i < row_count; ++i) bad |= rows[i].checksum != lum_record_checksum(&rows[i]);
    return bad == 0;
}

static void begin_value(struct lum__row_fault *out, const char *code, const uint8_t *at, const char *name,
                        uint8_t value)
{
    lum__fault_begin(out, code, at, 0, name);
    lum__fault_add(out, name);
    lum__fault_add(out, " is ");
    lum__fault_add_number(out, value);
    out->remedy = "correct the record, or make the input again";
}

void lum__row_fault_checksum(const lum_t *row, const uint8_t *at, struct lum__row_fault *out)
{
    lum__fault_begin(out, "checksum", at, 0, "checksum");
    lum__fault_add(out, "the row's checksum is given as ");
    lum__fault_add_number(out, row->checksum);
    lum__fault_add(out, ", but its fields make ");
    lum__fault_add_number(out, lum_record_checksum(row));
    out->remedy =
        "the row is damaged, or was changed without a new checksum; without a checksum column it would load unchecked";
}

bool lum__row_check(const lum_t *row, bool has_checksum, struct lum__row_fault *out)
{
    if (row->presence > 1) {
        begin_value(out, "range", &row->presence, "presence", row->presence);
        lum__fault_add(out, ", neither 0 nor 1");
    } else if (row->structure_type > LUM_STRUCTURE_TYPE_MAX) {
        begin_value(out, "range", &row->structure_type, "structure_type", row->structure_type);
        lum__fault_add(out, ", which is not from 0 to 5");
    } else if (row->is_destroyed > 1) {
        begin_value(out, "range", &row->is_destroyed, "is_destroyed", row->is_destroyed);
        lum__fault_add(out, ", neither 0 nor 1");
    } else if (row->reserved != 0) {
        begin_value(out, "range", &row->reserved, "reserved", row->reserved);
        lum__fault_add(out, " and not 0");
    } else if (has_checksum && row->checksum != lum_record_checksum(row)) {
        lum__row_fault_checksum(row, (const uint8_t *)&row->checksum, out);
        out->remedy = "the row is damaged, or was changed without a new checksum";
    } else {
        return true;
    }
    return false;
}
