/* Why a row was refused: the line, the column, what stands there, what is wrong with it, what to do. */
#include <stdio.h>
#include <string.h>

#include "formats/csv_source_private.h"

/* What stands in a field, short, without control bytes and without half a character at its end. */
static const char *show(const struct lum__csv_field *field, char out[64])
{
    size_t length = field->length < 40 ? field->length : 40;

    while (length < field->length && length > 0 && (field->text[length] & 0xc0) == 0x80) --length;
    for (size_t i = 0; i < length; ++i)
        out[i] = (char)(field->text[i] < 0x20 || field->text[i] == 0x7f ? '?' : field->text[i]);
    memcpy(out + length, length < field->length ? "..." : "", length < field->length ? 4 : 1);
    return out;
}

/* `4 "longitude"`, or `4` without a header. */
static const char *name_column(const struct lum__csv_source *source, uint32_t column, char out[128])
{
    if (source->columns.has_names && column < source->columns.count)
        (void)snprintf(out, 128, "%u \"%.*s\"", column + 1,
                       (int)(source->lengths[column] < 80 ? source->lengths[column] : 80), source->names[column]);
    else
        (void)snprintf(out, 128, "%u", column + 1);
    return out;
}

/* Where the number's syntax is wrong, by the kind of field. */
static const char *syntax_text(enum lum__field field, bool scaled)
{
    switch (field) {
    case LUM__FIELD_TIMESTAMP: return "is neither an ISO 8601 date nor a number";
    case LUM__FIELD_POSITION_X:
    case LUM__FIELD_POSITION_Y: return "is not a number";
    case LUM__FIELD_MEMORY_ADDRESS: return scaled ? "is not a number" : "is neither an integer nor 0x and hex digits";
    default: return scaled ? "is not a number" : "is not an integer";
    }
}

static const char *field_remedy(enum lum__field field, enum lum__number_error error)
{
    switch (error) {
    case LUM__NUMBER_EMPTY:
        return "every mapped column needs a value in every row: correct the row or map another column";
    case LUM__NUMBER_LEFTOVER: return "map the column with a larger scale, or allow rounding with --round";
    case LUM__NUMBER_DATE_SCALED: return "map the column without a scale";
    case LUM__NUMBER_DATE_RANGE: return "correct the row, or map another column";
    case LUM__NUMBER_NAME:
        return field == LUM__FIELD_STRUCTURE_TYPE
                   ? "structure types are 0 to 5, or linear, circular, binary, group, compressed, node"
                   : "write 0 or 1, or false or true";
    case LUM__NUMBER_RANGE:
        switch (field) {
        case LUM__FIELD_POSITION_X:
        case LUM__FIELD_POSITION_Y:
            return "a position is -2147483648 to 2147483647 after scaling: map the column with a smaller scale";
        case LUM__FIELD_CHECKSUM: return "a checksum is 0 to 4294967295";
        default: return "the field holds 0 to 18446744073709551615";
        }
    default: return "correct the row, or map another column";
    }
}

lum_status lum__csv_fail_field(const struct lum__csv_source *source, const struct lum__text_piece *piece,
                               const struct lum__mapping_rule *rule, const struct lum__csv_field *field,
                               enum lum__number_error error, size_t at)
{
    char shown[64], column[128], place[48] = "";
    const char *reason =
        error == LUM__NUMBER_SYNTAX ? syntax_text(rule->field, rule->scaled) : lum__number_error_text(error);

    if (error == LUM__NUMBER_SYNTAX && at < field->length)
        (void)snprintf(place, sizeof place, " (see its byte %zu)", at + 1);
    lum_status status = lum__fail_at(__FILE__, __LINE__, LUM_ERR_INPUT, 0, source->name, lum__text_piece_offset(piece, field->text),
                                     0, "column %s, for %s: \"%s\" %s%s", name_column(source, rule->column, column),
                                     lum__field_name(rule->field), show(field, shown), reason, place);
    lum__error_set_line(lum__text_piece_line(piece, field->text));
    lum__error_set_remedy("%s", field_remedy(rule->field, error));
    return status;
}

lum_status lum__csv_fail_quotes(const struct lum__csv_source *source, const struct lum__text_piece *piece,
                                const struct lum__csv_field *field, uint32_t column)
{
    char name[128];

    lum_status status =
        lum__fail_at(__FILE__, __LINE__, LUM_ERR_INPUT, 0, source->name, lum__text_piece_offset(piece, field->text), 0,
                     "column %s %s", name_column(source, column, name), lum__csv_error_text(field->error));
    lum__error_set_line(lum__text_piece_line(piece, field->text));
    lum__error_set_remedy("inside of a quoted field a quote is written twice: \"say \"\"so\"\"\"");
    return status;
}

lum_status lum__csv_fail_count(const struct lum__csv_source *source, const struct lum__text_piece *piece,
                               const uint8_t *row_begin, uint32_t field_count)
{
    lum_status status = lum__fail_at(__FILE__, __LINE__, LUM_ERR_INPUT, 0, source->name, lum__text_piece_offset(piece, row_begin), 0,
                                     "the row has %u field%s, the %s has %u", field_count, field_count == 1 ? "" : "s",
                                     source->columns.has_names ? "header" : "first row", source->columns.count);
    lum__error_set_line(lum__text_piece_line(piece, row_begin));
    lum__error_set_remedy("check the delimiter and the quotes of this row and the one before it");
    return status;
}

lum_status lum__csv_fail_checksum(const struct lum__csv_source *source, const struct lum__text_piece *piece,
                                  const uint8_t *row_begin, uint32_t given, uint32_t computed)
{
    lum_status status = lum__fail_at(__FILE__, __LINE__, LUM_ERR_INPUT, 0, source->name, lum__text_piece_offset(piece, row_begin), 0,
                                     "the row's checksum is given as %u, but its fields make %u", given, computed);
    lum__error_set_line(lum__text_piece_line(piece, row_begin));
    lum__error_set_remedy(
        "the row is damaged, or some of its fields are not mapped; without the checksum column it would "
        "load unchecked");
    return status;
}
