#include "formats/npy_convert.h"

#include <string.h>

#include "base/bytes.h"
#include "formats/field_parse.h"
#include "formats/field_text.h"

/* ------------------------------------------------------------------------------------------------------ preparing */

static uint8_t field_bytes(enum lum__field field)
{
    switch (field) {
    case LUM__FIELD_ID:
    case LUM__FIELD_TIMESTAMP:
    case LUM__FIELD_MEMORY_ADDRESS: return 8;
    case LUM__FIELD_POSITION_X:
    case LUM__FIELD_POSITION_Y:
    case LUM__FIELD_CHECKSUM: return 4;
    default: return 1;
    }
}

/* mantissa * 10^exponent as a whole number; 0 if it is none of 64 bits. */
static uint64_t factor_of(struct lum__scale scale)
{
    uint64_t factor = scale.mantissa;

    if (scale.exponent < 0) return 0;
    for (int32_t i = 0; i < scale.exponent; ++i)
        if (__builtin_mul_overflow(factor, 10u, &factor)) return 0;
    return factor;
}

const char *lum__npy_rule_init(struct lum__npy_rule *out, const struct lum__mapping_rule *rule,
                               const struct lum__npy_column *column, bool nat_is_null, bool round)
{
    bool is_signed = lum__field_is_signed(rule->field), is_time = rule->field == LUM__FIELD_TIMESTAMP;

    *out = (struct lum__npy_rule){.rule = *rule, .column = *column, .nat_is_null = nat_is_null, .round = round};
    out->bytes = field_bytes(rule->field);
    out->factor = factor_of(rule->scale);
    if (column->kind == 'M') {
        if (!is_time) return "is a date, which only timestamp can be";
        if (rule->scaled) return "is a date, which cannot be scaled";
        if (column->unit_ns == 0) return "is a date whose unit is no whole number of nanoseconds: use datetime64[ns]";
        out->factor = column->unit_ns;
    } else if (column->kind == 'f') {
        return "is floating point, which is not exact: store whole numbers, as in (a['x'] * 1e7).round().astype('<i4')";
    } else if (column->kind == 0 || strchr("iub", column->kind) == NULL) {
        return "is neither an integer nor a bool nor a datetime64";
    }
    out->is_copy = out->factor == 1 && column->byte_count == out->bytes && !column->is_big_endian &&
                   column->kind == (is_signed ? 'i' : 'u');
    return NULL;
}

/* -------------------------------------------------------------------------------------------------------- a value */

/* Sign and magnitude of what stands in a record. False: a date that is none. */
static inline bool load(const struct lum__npy_column *column, const uint8_t *record, bool *negative,
                        uint64_t *magnitude)
{
    const uint8_t *at = record + column->offset;
    bool is_signed = column->kind == 'i' || column->kind == 'M';
    uint64_t value;

    switch (column->byte_count) {
    case 1: value = is_signed ? (uint64_t)(int8_t)*at : *at; break;
    case 2: {
        uint16_t two = lum__get_u16(at);
        if (column->is_big_endian) two = __builtin_bswap16(two);
        value = is_signed ? (uint64_t)(int16_t)two : two;
        break;
    }
    case 4: {
        uint32_t four = lum__get_u32(at);
        if (column->is_big_endian) four = __builtin_bswap32(four);
        value = is_signed ? (uint64_t)(int32_t)four : four;
        break;
    }
    default:
        value = lum__get_u64(at);
        if (column->is_big_endian) value = __builtin_bswap64(value);
        break;
    }
    *negative = is_signed && (int64_t)value < 0;
    *magnitude = *negative ? 0 - value : value;
    return column->kind != 'M' || value != (uint64_t)1 << 63;
}

static uint64_t limit_of(enum lum__field field, bool negative)
{
    switch (field) {
    case LUM__FIELD_POSITION_X:
    case LUM__FIELD_POSITION_Y: return (uint64_t)INT32_MAX + negative;
    case LUM__FIELD_CHECKSUM: return negative ? 0 : UINT32_MAX;
    case LUM__FIELD_PRESENCE:
    case LUM__FIELD_IS_DESTROYED: return negative ? 0 : 1;
    case LUM__FIELD_STRUCTURE_TYPE: return negative ? 0 : LUM_STRUCTURE_TYPE_MAX;
    default: return negative ? 0 : UINT64_MAX;
    }
}

size_t lum__npy_show(const struct lum__npy_rule *rule, const uint8_t *record, char out[40])
{
    bool negative;
    uint64_t magnitude;
    char *end = out;

    if (!load(&rule->column, record, &negative, &magnitude)) {
        memcpy(out, "NaT", 4);
        return 3;
    }
    if (negative) *end++ = '-';
    end = lum__text_u64(end, magnitude);
    *end = '\0';
    return (size_t)(end - out);
}

/* A scale that is no whole number: by the exact arithmetic of the text formats. */
static enum lum__number_error convert_by_text(const struct lum__npy_rule *rule, const uint8_t *record, uint64_t *out)
{
    char text[40];
    lum_t row = {0};
    size_t offence, length = lum__npy_show(rule, record, text);

    enum lum__number_error error = lum__field_parse(&rule->rule, text, length, rule->round, &row, &offence);
    *out = lum__field_value(&row, rule->rule.field);
    return error;
}

static inline enum lum__number_error convert(const struct lum__npy_rule *rule, const uint8_t *record,
                                             uint64_t default_value, uint64_t *out)
{
    bool negative;
    uint64_t magnitude;

    *out = default_value;
    if (!load(&rule->column, record, &negative, &magnitude))
        return rule->nat_is_null ? LUM__NUMBER_OK : LUM__NUMBER_EMPTY;
    if (rule->factor == 0) return convert_by_text(rule, record, out);
    if (__builtin_mul_overflow(magnitude, rule->factor, &magnitude) || magnitude > limit_of(rule->rule.field, negative))
        return rule->column.kind == 'M' ? LUM__NUMBER_DATE_RANGE : LUM__NUMBER_RANGE;
    *out = negative ? 0 - magnitude : magnitude;
    return LUM__NUMBER_OK;
}

enum lum__number_error lum__npy_convert(const struct lum__npy_rule *rule, const uint8_t *record, uint64_t default_value,
                                        uint64_t *out)
{
    return convert(rule, record, default_value, out);
}

/* ------------------------------------------------------------------------------------------------- values in bulk */

/* The bytes are the value. The sizes are constants in each case: moves, not calls. Bytes have a limit. */
static bool copy_all(const uint8_t *from, size_t from_stride, uint8_t *to, size_t to_stride, size_t count,
                     uint8_t bytes, uint8_t limit)
{
    unsigned bad = 0;

    switch (bytes) {
    case 1:
        for (size_t i = 0; i < count; ++i) {
            uint8_t value = from[i * from_stride];
            to[i * to_stride] = value;
            bad |= value > limit;
        }
        break;
    case 4:
        for (size_t i = 0; i < count; ++i) memcpy(to + i * to_stride, from + i * from_stride, 4);
        break;
    default:
        for (size_t i = 0; i < count; ++i) memcpy(to + i * to_stride, from + i * from_stride, 8);
        break;
    }
    return bad == 0;
}

static inline void store(uint8_t *to, uint64_t value, uint8_t bytes)
{
    if (bytes == 8)
        lum__put_u64(to, value);
    else if (bytes == 4)
        lum__put_u32(to, (uint32_t)value);
    else
        *to = (uint8_t)value;
}

bool lum__npy_convert_all(const struct lum__npy_rule *rule, const uint8_t *records, size_t record_bytes, size_t count,
                          uint64_t default_value, uint8_t *out, size_t out_stride)
{
    const uint8_t *from = records + rule->column.offset;
    bool is_good = true;

    if (rule->is_copy) {
        uint8_t limit = rule->bytes == 1 ? (uint8_t)limit_of(rule->rule.field, false) : 0;
        if (out_stride == 8) return copy_all(from, record_bytes, out, 8, count, rule->bytes, limit);
        if (out_stride == 4) return copy_all(from, record_bytes, out, 4, count, rule->bytes, limit);
        if (out_stride == 1) return copy_all(from, record_bytes, out, 1, count, rule->bytes, limit);
        return copy_all(from, record_bytes, out, out_stride, count, rule->bytes, limit);
    }
    for (size_t i = 0; i < count; ++i) {
        uint64_t value;
        is_good &= convert(rule, records + i * record_bytes, default_value, &value) == LUM__NUMBER_OK;
        store(out + i * out_stride, value, rule->bytes);
    }
    return is_good;
}
