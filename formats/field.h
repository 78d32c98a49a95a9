/* formats/field.h - the fields of a LUM as text formats name them, in the order of their CSV columns. */
#ifndef LUM_FORMATS_FIELD_H
#define LUM_FORMATS_FIELD_H

#include <stddef.h>
#include <stdint.h>

enum lum__field {
    LUM__FIELD_ID,
    LUM__FIELD_PRESENCE,
    LUM__FIELD_POSITION_X,
    LUM__FIELD_POSITION_Y,
    LUM__FIELD_STRUCTURE_TYPE,
    LUM__FIELD_TIMESTAMP,
    LUM__FIELD_MEMORY_ADDRESS,
    LUM__FIELD_IS_DESTROYED,
    LUM__FIELD_CHECKSUM,
    LUM__FIELD_COUNT,
    LUM__FIELD_COUNT_DEFAULT = LUM__FIELD_TIMESTAMP + 1 /* what `scan` writes unless asked for all */
};

/* "id", "presence", ...: the names in headers, in --map and in messages. */
const char *lum__field_name(enum lum__field field);

/* The field of that name, or LUM__FIELD_COUNT if there is none. Names are matched exactly. */
enum lum__field lum__field_find(const char *name, size_t length);

/* "linear" ... "node"; NULL if the number is none of enum lum_structure_type. */
const char *lum__structure_type_name(unsigned number);

#endif
