#include "formats/row_fault.h"

#include <string.h>

#include "base/bytes.h"
#include "base/status.h"
#include "formats/field_text.h"
#include "formats/number.h"

void lum__fault_begin(struct lum__row_fault *fault, const char *code, const uint8_t *at, uint32_t column,
                      const char *column_name)
{
    fault->code = code;
    fault->remedy = "";
    fault->at = at;
    fault->column = column;
    fault->column_name = column_name;
    fault->quoted_length = 0;
}

void lum__fault_add_text(struct lum__row_fault *fault, const char *text, size_t length)
{
    for (size_t i = 0; i < length; ++i) lum__fault_add_bytes(fault, text[i] == '"' ? "\"\"" : &text[i], text[i] == '"' ? 2 : 1);
}

static char *unquote(const char *quoted, size_t length, char out[LUM__REASON_BYTES_MAX])
{
    size_t used = 0;

    for (size_t i = 0; i < length && used < LUM__REASON_BYTES_MAX - 1; ++i) {
        out[used++] = quoted[i];
        i += quoted[i] == '"'; /* the second one */
    }
    out[used] = '\0';
    return out;
}

char *lum__fault_reason(const struct lum__row_fault *fault, char out[LUM__REASON_BYTES_MAX])
{
    return unquote(fault->quoted, fault->quoted_length, out);
}

char *lum__reject_reason(const struct lum__rejected_row *row, char out[LUM__REASON_BYTES_MAX])
{
    return unquote(row->quoted_reason, row->quoted_reason_length, out);
}

void lum__fault_add_number(struct lum__row_fault *fault, uint64_t number)
{
    char digits[LUM__FIELD_TEXT_BYTES_MAX + LUM__FIELD_TEXT_SLACK];

    lum__fault_add_bytes(fault, digits, (size_t)(lum__text_u64(digits, number) - digits));
}

/* 0x80 in the lowest of the bytes that are `byte`, perhaps in others above it; 0 if there is none. */
static uint64_t find_byte(uint64_t bytes, uint8_t byte)
{
    const uint64_t ones = 0x0101010101010101u, differs = bytes ^ ones * byte;
    return (differs - ones) & ~differs & ones * 0x80;
}

/* No control byte and no quote. Eight at a time: 8 bytes behind the last one are read too. */
static bool is_plain(const char *text, size_t length)
{
    const uint64_t blanks = 0x2020202020202020u;
    uint64_t odd = 0;

    for (size_t i = 0; i < length; i += 8) {
        uint64_t bytes = lum__get_u64((const uint8_t *)text + i);
        const uint64_t behind = length - i < 8 ? ~(uint64_t)0 << 8 * (length - i) : 0;
        bytes = (bytes & ~behind) | (blanks & behind);
        odd |= ((bytes - blanks) & ~bytes & 0x8080808080808080u) | find_byte(bytes, '"') | find_byte(bytes, 0x7f);
    }
    return odd == 0;
}

void lum__fault_add_shown(struct lum__row_fault *fault, const uint8_t *text, size_t length)
{
    const size_t most = 40;
    size_t shown_length = length < most ? length : most;

    while (shown_length < length && shown_length > 0 && (text[shown_length] & 0xc0) == 0x80) --shown_length;
    lum__fault_add(fault, "\"\"");
    const size_t begin = fault->quoted_length;
    lum__fault_add_bytes(fault, (const char *)text, shown_length);
    if (!is_plain(fault->quoted + begin, fault->quoted_length - begin)) {
        fault->quoted_length = begin;
        for (size_t i = 0; i < shown_length; ++i)
            lum__fault_add_text(fault, text[i] < 0x20 || text[i] == 0x7f ? "?" : (const char *)&text[i], 1);
    }
    lum__fault_add(fault, shown_length < length ? "...\"\"" : "\"\"");
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

static const char *range_remedy(enum lum__field field)
{
    switch (field) {
    case LUM__FIELD_POSITION_X:
    case LUM__FIELD_POSITION_Y:
        return "a position is -2147483648 to 2147483647 after scaling: map the column with a smaller scale";
    case LUM__FIELD_CHECKSUM: return "a checksum is 0 to 4294967295";
    case LUM__FIELD_STRUCTURE_TYPE: return "structure types are 0 to 5";
    case LUM__FIELD_PRESENCE: return "presence is 0 or 1";
    case LUM__FIELD_IS_DESTROYED: return "is_destroyed is 0 or 1";
    case LUM__FIELD_TIMESTAMP: return "a timestamp is 0 to 18446744073709551615 nanoseconds: see --time-unit and the column's scale";
    default: return "the field holds 0 to 18446744073709551615";
    }
}

/* What programs write where there is no value. */
static bool stands_for_nothing(const uint8_t *text, size_t length)
{
    static const char *const words[] = {"NULL", "null", "Null", "NA", "N/A", "n/a", "None", "NaN", "nan", "\\N", "-"};

    for (size_t i = 0; length <= 4 && i < sizeof words / sizeof words[0]; ++i)
        if (strlen(words[i]) == length && memcmp(words[i], text, length) == 0) return true;
    return false;
}

const char *lum__fault_field_remedy(const struct lum__mapping_rule *rule, const uint8_t *text, size_t length,
                                    enum lum__number_error error)
{
    const enum lum__field field = rule->field;
    const bool is_word = error == LUM__NUMBER_SYNTAX || error == LUM__NUMBER_NAME;

    if (is_word && field != LUM__FIELD_ID && stands_for_nothing(text, length))
        return "a text that stands for no value takes the default with --null TEXT";
    switch (error) {
    case LUM__NUMBER_EMPTY:
        return field == LUM__FIELD_ID ? "every row needs an id: correct the row, or map another column"
                                      : "correct the row, or let empty fields take the default with --null \"\"";
    case LUM__NUMBER_LEFTOVER: return "map the column with a larger scale, or allow rounding with --round";
    case LUM__NUMBER_DATE_SCALED: return "map the column without a scale";
    case LUM__NUMBER_DATE_RANGE: return "correct the row, or map another column";
    case LUM__NUMBER_NAME:
        return field == LUM__FIELD_STRUCTURE_TYPE
                   ? "structure types are 0 to 5, or linear, circular, binary, group, compressed, node"
                   : "write 0 or 1, or false or true";
    case LUM__NUMBER_RANGE: return range_remedy(field);
    default: return "correct the row, or map another column";
    }
}

void lum__fault_add_field_name(struct lum__row_fault *fault, enum lum__field field)
{
    lum__fault_add(fault, "for ");
    lum__fault_add(fault, lum__field_name(field));
    lum__fault_add(fault, ": ");
}

void lum__fault_add_field(struct lum__row_fault *fault, const struct lum__mapping_rule *rule, const uint8_t *text,
                          size_t length, enum lum__number_error error, size_t offence)
{
    fault->code = lum__number_error_code(error);
    lum__fault_add_shown(fault, text, length);
    lum__fault_add(fault, " ");
    if (error != LUM__NUMBER_SYNTAX) {
        lum__fault_add(fault, lum__number_error_text(error));
        return;
    }
    lum__fault_add(fault, syntax_text(rule->field, rule->scaled));
    if (offence >= length) return;
    lum__fault_add(fault, " (see its byte ");
    lum__fault_add_number(fault, offence + 1);
    lum__fault_add(fault, ")");
}

lum_status lum__fault_raise(const struct lum__row_fault *fault, const char *file, uint64_t line, uint64_t offset)
{
    char reason[LUM__REASON_BYTES_MAX];
    lum_status status =
        lum__fail_at(__FILE__, __LINE__, LUM_ERR_INPUT, 0, file, offset, 0, "%s", lum__fault_reason(fault, reason));

    lum__error_set_line(line);
    if (fault->remedy[0] != '\0') lum__error_set_remedy("%s", fault->remedy);
    return status;
}
