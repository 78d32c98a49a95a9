/* formats/reject_text.h - refused rows as lines of CSV (RFC 4180): file,row,line,byte,column,column_name,code,reason. A
 * position that there is not is empty. Plain functions on memory, as a file may be full of bad rows. */
#ifndef LUM_FORMATS_REJECT_TEXT_H
#define LUM_FORMATS_REJECT_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "formats/reject.h"

/* The line's first field, with the comma behind it: the input's name. out has room for lum__reject_name_bytes_max();
 * returns the end. */
size_t lum__reject_name_bytes_max(const char *name);
uint8_t *lum__reject_put_name(uint8_t *out, const char *name);

/* What many lines have in common: `column,column_name,code,"`. Told apart by the addresses of name and code. */
struct lum__reject_memo {
    const char *column_name, *code; /* NULL: of nothing yet */
    uint32_t column, byte_count;
    uint8_t bytes[104];
};
enum { LUM__REJECT_MEMOS = 16 };
/* Before names or codes may be others at the same addresses: with each input. */
void lum__reject_forget(struct lum__reject_memo memos[LUM__REJECT_MEMOS]);
/* The row's, made now if need be. NULL: it is too long to be kept. */
const struct lum__reject_memo *lum__reject_recall(struct lum__reject_memo memos[LUM__REJECT_MEMOS], const struct lum__rejected_row *row);

/* The rest of the line, its end included. out has room for lum__reject_line_bytes_max(); returns the end. */
size_t lum__reject_line_bytes_max(const struct lum__rejected_row *row, const struct lum__reject_memo *memo);
uint8_t *lum__reject_put_line(uint8_t *out, const struct lum__rejected_row *row, const struct lum__reject_memo *memo);

#endif
