/* formats/field_parse.h - one field's text into a LUM, as its mapping rule says: the truth that every faster way of a
 * text format falls back to. */
#ifndef LUM_FORMATS_FIELD_PARSE_H
#define LUM_FORMATS_FIELD_PARSE_H

#include "formats/mapping.h"

/* On an error the field of row is 0 or unchanged, and *offence is the offset of the byte that gave offence. round:
 * digits left over after scaling are rounded, ties to even. */
enum lum__number_error lum__field_parse(const struct lum__mapping_rule *rule, const char *text, size_t length,
                                        bool round, lum_t *row, size_t *offence);

#endif
