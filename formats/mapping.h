/* formats/mapping.h - which column of a file, times what, goes into which field of a LUM.
 *
 * One --map option is a list of items, separated by commas:
 *
 *     item   := field "=" source [ "*" scale ]
 *     source := name | '"' name with "" for a quote '"' | "#" number, from 1 | "@row" | constant
 *
 * A plain name ends at a comma or at a `*` that a scale follows; anything else needs the quotes. A source that names no
 * column but is a value that the field can take (3, group, 2020-01-01) is a constant; id takes no constant. @row is the
 * number of the row, from 1, through all inputs of a load, refused rows counted; only for id. Fields without an item map themselves to a column of their
 * own name; then come the defaults: presence 1, everything else 0. id is required. */
#ifndef LUM_FORMATS_MAPPING_H
#define LUM_FORMATS_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/field.h"
#include "formats/number.h"
#include "lum/lum.h"

/* What the user asked for, before a file was seen. */
struct lum__mapping_item {
    bool present;
    bool quoted;        /* the source was in quotes: a column name and nothing else */
    bool scaled;
    char *source;       /* unquoted; owned */
    struct lum__scale scale;
};
struct lum__mapping {
    struct lum__mapping_item items[LUM__FIELD_COUNT];
};
#define LUM__MAPPING_INIT {0}

/* Adds the items of one --map option. LUM_ERR_ARGUMENT, with the reason and a remedy, for text that does not follow the
 * grammar, a field that does not exist or was mapped before. mapping starts as LUM__MAPPING_INIT; destroy it in the end
 * whatever happened. */
LUM_MUST_USE lum_status lum__mapping_add(struct lum__mapping *mapping, const char *text);
void lum__mapping_destroy(struct lum__mapping *mapping);

/* One field that is read from one column. */
struct lum__mapping_rule {
    uint32_t column; /* from 0 */
    enum lum__field field;
    bool scaled;
    struct lum__scale scale; /* one, or the unit of time, if not scaled */
};

/* The mapping of one file: rules by column (a column may feed several fields), and what all rows begin as. */
struct lum__mapping_plan {
    struct lum__mapping_rule rules[LUM__FIELD_COUNT];
    uint32_t rule_count;
    bool id_is_row_number;
    uint64_t rows_before; /* of inputs in front of this one, which row numbers go on from */
    lum_t defaults;
};

/* A header or first row: unquoted texts, lent. */
struct lum__mapping_columns {
    const char *const *names;
    const size_t *lengths;
    uint32_t count;
    bool has_names; /* false: there is no header, only numbers (#1) select columns */
    enum {
        LUM__COLUMNS_OF_ROW,   /* names stand in a first row of text */
        LUM__COLUMNS_OF_KEYS,  /* they are the keys of the first object */
        LUM__COLUMNS_OF_FIELDS /* they are the fields of a record's type */
    } kind;
};

/* Resolves mapping against a file's columns. LUM_ERR_INPUT if a column does not exist, stands twice in the header, or
 * id has none: the message lists the file's columns, the remedy is a ready --map. file is for the error. */
LUM_MUST_USE lum_status lum__mapping_resolve(const struct lum__mapping *mapping,
                                             const struct lum__mapping_columns *columns, const char *file,
                                             struct lum__mapping_plan *out);

/* Numbers in the timestamp's column count in that unit, unless the mapping gives the column a scale of its own: that one
 * is kept. unit.mantissa 0: nothing changes. */
void lum__mapping_set_time_unit(struct lum__mapping_plan *plan, struct lum__scale unit);

/* The plan as --map text, for reports: "id=geonameid,position_x=longitude*1e7,presence=1". Always terminated; returns
 * the bytes of the whole text, as snprintf does. */
size_t lum__mapping_describe(const struct lum__mapping_plan *plan, const struct lum__mapping_columns *columns,
                             char *out, size_t bytes_max);

#endif
