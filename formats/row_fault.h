/* formats/row_fault.h - why a row of text is refused, before anybody decides what follows: the load ends, or goes on
 * without it. The sentence is put together without formatted printing, because a file may be full of bad rows. */
#ifndef LUM_FORMATS_ROW_FAULT_H
#define LUM_FORMATS_ROW_FAULT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "formats/mapping.h"
#include "formats/reject.h"

struct lum__row_fault {
    const char *code;        /* see formats/reject.h. Static, as is the remedy */
    const char *remedy;      /* "" if there is none */
    const uint8_t *at;       /* the offence, in the row's text */
    uint32_t column;         /* from 1; 0: the row as a whole */
    const char *column_name; /* "" if it has none */
    size_t quoted_length;
    char quoted[LUM__REASON_BYTES_MAX + 8]; /* the sentence, every quote in it twice: most go into a CSV file as they are. 8: it is looked at eight bytes at a time */
};

/* An empty sentence. */
void lum__fault_begin(struct lum__row_fault *fault, const char *code, const uint8_t *at, uint32_t column,
                      const char *column_name);
/* Adds text whose quotes are twice already; what does not fit is left out as a whole. Inline: the length is nearly always
 * a constant. */
static inline void lum__fault_add_bytes(struct lum__row_fault *fault, const char *bytes, size_t byte_count)
{
    if (byte_count >= LUM__REASON_BYTES_MAX - fault->quoted_length) return;
    memcpy(fault->quoted + fault->quoted_length, bytes, byte_count);
    fault->quoted_length += byte_count;
}
static inline void lum__fault_add(struct lum__row_fault *fault, const char *text)
{
    lum__fault_add_bytes(fault, text, strlen(text));
}
/* Any text: a name, say. Its quotes come out twice. */
void lum__fault_add_text(struct lum__row_fault *fault, const char *text, size_t length);
void lum__fault_add_number(struct lum__row_fault *fault, uint64_t number);

/* What stands in a field, short, without control bytes and without half a character at its end, in quotes. */
void lum__fault_add_shown(struct lum__row_fault *fault, const uint8_t *text, size_t length);

/* `for timestamp: ` */
void lum__fault_add_field_name(struct lum__row_fault *fault, enum lum__field field);
/* `"Monday" is neither ... (see its byte 1)`, with its code: a field that does not parse. offence is what
 * lum__field_parse() gave. */
void lum__fault_add_field(struct lum__row_fault *fault, const struct lum__mapping_rule *rule, const uint8_t *text,
                          size_t length, enum lum__number_error error, size_t offence);

/* What to do about such a field: by itself, because a refused row is told without. */
const char *lum__fault_field_remedy(const struct lum__mapping_rule *rule, const uint8_t *text, size_t length,
                                    enum lum__number_error error);

/* The sentence, terminated. Returns out. */
char *lum__fault_reason(const struct lum__row_fault *fault, char out[LUM__REASON_BYTES_MAX]);

/* The fault as this thread's failure, LUM_ERR_INPUT. line 0: none. */
lum_status lum__fault_raise(const struct lum__row_fault *fault, const char *file, uint64_t line, uint64_t offset);

#endif
