#include "formats/field_parse.h"

#include "base/assert.h"

/* Unscaled and plain, as machines write them; whatever else there is, the long way. */
static enum lum__number_error parse_position(const struct lum__mapping_rule *rule, const char *text, size_t length,
                                             bool round, int32_t *out, size_t *offence)
{
    if (!rule->scaled && lum__parse_i32(text, length, out, offence) == LUM__NUMBER_OK) return LUM__NUMBER_OK;
    return lum__parse_scaled_i32(text, length, rule->scale, round, out, offence);
}

static enum lum__number_error parse_checksum(const char *text, size_t length, uint32_t *out, size_t *offence)
{
    uint64_t checksum;
    enum lum__number_error error = lum__parse_u64(text, length, &checksum, offence);

    *out = (uint32_t)checksum;
    return error == LUM__NUMBER_OK && checksum > UINT32_MAX ? LUM__NUMBER_RANGE : error;
}

enum lum__number_error lum__field_parse(const struct lum__mapping_rule *rule, const char *text, size_t length,
                                        bool round, lum_t *row, size_t *offence)
{
    *offence = 0;
    switch (rule->field) {
    case LUM__FIELD_ID:
        if (!rule->scaled) return lum__parse_u64(text, length, &row->id, offence);
        return lum__parse_scaled_u64(text, length, rule->scale, round, &row->id, offence);
    case LUM__FIELD_PRESENCE: return lum__parse_flag(text, length, &row->presence, offence);
    case LUM__FIELD_POSITION_X: return parse_position(rule, text, length, round, &row->position_x, offence);
    case LUM__FIELD_POSITION_Y: return parse_position(rule, text, length, round, &row->position_y, offence);
    case LUM__FIELD_STRUCTURE_TYPE: return lum__parse_structure_type(text, length, &row->structure_type, offence);
    case LUM__FIELD_TIMESTAMP:
        if (rule->scaled) return lum__parse_timestamp(text, length, rule->scale, round, &row->timestamp, offence);
        return lum__parse_time_in(text, length, rule->scale, round, &row->timestamp, offence);
    case LUM__FIELD_MEMORY_ADDRESS:
        if (!rule->scaled) return lum__parse_address(text, length, &row->memory_address, offence);
        return lum__parse_scaled_u64(text, length, rule->scale, round, &row->memory_address, offence);
    case LUM__FIELD_IS_DESTROYED: return lum__parse_flag(text, length, &row->is_destroyed, offence);
    case LUM__FIELD_CHECKSUM: return parse_checksum(text, length, &row->checksum, offence);
    case LUM__FIELD_COUNT: break;
    }
    LUM_ASSERT(!"a rule for a field that does not exist");
    return LUM__NUMBER_SYNTAX;
}
