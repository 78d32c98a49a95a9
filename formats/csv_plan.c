/* How the columns of a CSV source are parsed the fast way: decided once, at its opening. */
#include <string.h>

#include "formats/csv_source_private.h"

/* Scales that the kernels know are 1 to 1e9. */
static enum lum__csv_kind kind_of_rule(const struct lum__mapping_rule *rule)
{
    const bool is_one = rule->scale.mantissa == 1 && rule->scale.exponent == 0;

    if (rule->scale.mantissa != 1 || rule->scale.exponent < 0 || rule->scale.exponent > 9) return LUM__CSV_SLOW;
    switch (rule->field) {
    case LUM__FIELD_ID:
    case LUM__FIELD_MEMORY_ADDRESS: return rule->scaled ? LUM__CSV_DECIMAL_U64 : LUM__CSV_U64;
    case LUM__FIELD_PRESENCE:
    case LUM__FIELD_IS_DESTROYED: return LUM__CSV_FLAG;
    case LUM__FIELD_POSITION_X:
    case LUM__FIELD_POSITION_Y: return rule->scaled ? LUM__CSV_DECIMAL_I32 : LUM__CSV_I32;
    case LUM__FIELD_STRUCTURE_TYPE: return LUM__CSV_TYPE;
    case LUM__FIELD_TIMESTAMP: return rule->scaled && !is_one ? LUM__CSV_DECIMAL_U64 : LUM__CSV_TIME;
    case LUM__FIELD_CHECKSUM: return LUM__CSV_U32;
    case LUM__FIELD_COUNT: break;
    }
    return LUM__CSV_SLOW;
}

void lum__csv_plan_columns(struct lum__csv_source *source)
{
    struct lum__csv_plan *fast = &source->fast;
    /* A null text that is a number must be seen before it is taken for one. */
    const bool null_is_number = source->null_text != NULL && strpbrk(source->null_text, "0123456789") != NULL;

    fast->delimiter = source->delimiter;
    fast->round = source->round;
    fast->id_is_row_number = source->plan.id_is_row_number;
    fast->has_checksums = source->shown.source.has_checksums;
    fast->null_text = source->null_text;
    fast->null_text_length = source->null_text_length;
    fast->field_count = source->columns.count;
    fast->column_count = source->plan.rule_count;
    fast->defaults = source->plan.defaults;
    for (uint32_t i = 0; i < source->plan.rule_count; ++i) {
        const struct lum__mapping_rule *rule = &source->plan.rules[i];
        fast->columns[i] = (struct lum__csv_column){.rule = rule,
                                                    .kind = null_is_number ? LUM__CSV_SLOW : kind_of_rule(rule),
                                                    .exponent = (uint32_t)rule->scale.exponent};
    }
    source->is_fast = fast->field_count <= LUM__CSV_INDEX_POSITIONS / 4;
}
