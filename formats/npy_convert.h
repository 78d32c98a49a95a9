/* formats/npy_convert.h - one field of NumPy records into one field of LUMs: exact, checked value by value. */
#ifndef LUM_FORMATS_NPY_CONVERT_H
#define LUM_FORMATS_NPY_CONVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/mapping.h"
#include "formats/npy.h"

/* A mapping rule together with the column that feeds it. */
struct lum__npy_rule {
    struct lum__mapping_rule rule;
    struct lum__npy_column column;
    uint64_t factor;  /* what values are multiplied by; 0: the scale is no whole number, the long way through text */
    uint8_t bytes;    /* of the LUM's field: 1, 4 or 8 */
    bool is_copy;     /* the bytes are the value already */
    bool nat_is_null; /* a date that is none (NaT) takes the default */
    bool round;
};

/* Prepares a rule. A reason, static, why this column cannot feed this field; NULL if it can. */
const char *lum__npy_rule_init(struct lum__npy_rule *out, const struct lum__mapping_rule *rule,
                               const struct lum__npy_column *column, bool nat_is_null, bool round);

/* The value of one record as the bytes of the LUM's field (the low `bytes` of *out); default_value: what NaT takes. */
enum lum__number_error lum__npy_convert(const struct lum__npy_rule *rule, const uint8_t *record, uint64_t default_value,
                                        uint64_t *out);

/* The value as text, for messages: at most 32 bytes, terminated. */
size_t lum__npy_show(const struct lum__npy_rule *rule, const uint8_t *record, char out[40]);

/* The same for count records, record_bytes apart, to places out_stride apart. False if any value is refused: then what
 * is written is to be thrown away, and each value to be looked at. */
bool lum__npy_convert_all(const struct lum__npy_rule *rule, const uint8_t *records, size_t record_bytes, size_t count,
                          uint64_t default_value, uint8_t *out, size_t out_stride);

#endif
