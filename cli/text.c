#include "cli/text.h"

#include <string.h>

size_t lum__utf8_length(const char *at)
{
    const unsigned char *text = (const unsigned char *)at;
    unsigned char first = text[0];
    if (first < 0x80) return 1;
    size_t length = first >= 0xc2 && first <= 0xdf   ? 2
                    : (first & 0xf0) == 0xe0         ? 3
                    : first >= 0xf0 && first <= 0xf4 ? 4
                                                     : 0;
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) return 0; /* the terminator too */
    }
    if (first == 0xe0 && text[1] < 0xa0) return 0;
    if (first == 0xed && text[1] > 0x9f) return 0;
    if (first == 0xf0 && text[1] < 0x90) return 0;
    if (first == 0xf4 && text[1] > 0x8f) return 0;
    return length;
}

/* Bytes at text that can be shown as they are, 0 for one that cannot: a control character (C0, DEL, C1) or no UTF-8. */
static size_t plain_length(const char *text)
{
    unsigned char first = (unsigned char)text[0], second = first ? (unsigned char)text[1] : 0;
    if (first < 0x20 || first == 0x7f || (first == 0xc2 && second < 0xa0)) return 0;
    return lum__utf8_length(text);
}

bool lum__text_is_plain(const char *text)
{
    while (*text) {
        size_t length = plain_length(text);
        if (length == 0) return false;
        text += length;
    }
    return true;
}

void lum__text_put(FILE *out, const char *text)
{
    while (*text) {
        size_t length = plain_length(text);
        if (length > 0) {
            fwrite(text, 1, length, out);
            text += length;
            continue;
        }
        unsigned char byte = (unsigned char)*text++;
        if (byte == '\n') fputs("\\n", out);
        else if (byte == '\t') fputs("\\t", out);
        else fprintf(out, "\\x%02x", byte);
    }
}
