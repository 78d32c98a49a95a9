/* cli/text.h - text that came from outside (names of files, labels, values) on its way to a person. */
#ifndef LUM_CLI_TEXT_H
#define LUM_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Length of the UTF-8 character at text (RFC 3629: no surrogates, nothing overlong), 0 if it is none. */
size_t lum__utf8_length(const char *text);

/* Every byte can be shown as it is: UTF-8, and nothing that moves a cursor, colours, or ends a line. */
bool lum__text_is_plain(const char *text);

/* The text; what is not plain in it as \n, \t or \xNN. A label must not be able to write over what the program says, nor to add lines to it. */
void lum__text_put(FILE *out, const char *text);

#endif
