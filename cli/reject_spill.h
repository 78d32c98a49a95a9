/* cli/reject_spill.h - a file without a name for refused rows that are ahead of their turn and too many for memory. It lies
 * beside the reject file, for they go there in the end, and is gone when the process is, however it ends. One thread at a time. */
#ifndef LUM_CLI_REJECT_SPILL_H
#define LUM_CLI_REJECT_SPILL_H

#include <stddef.h>
#include <stdint.h>

struct lum__reject_block {
    uint64_t offset, byte_count;
};

struct lum__reject_spill {
    int fd; /* -1: not made yet */
    uint64_t bytes;      /* length of the file */
    uint64_t bytes_left; /* put and not yet taken; at 0 the file is emptied */
    uint8_t *buffer;
};

/* Puts bytes at the end of the file, which is made beside `beside` when it is needed first. Both return 0 or an errno. */
int lum__reject_spill_put(struct lum__reject_spill *spill, const char *beside, const uint8_t *bytes, size_t byte_count,
                          struct lum__reject_block *out);
/* Takes the front of a block, which shrinks by it; the bytes are lent until the next call. */
int lum__reject_spill_take(struct lum__reject_spill *spill, struct lum__reject_block *block, const uint8_t **bytes, size_t *byte_count);
void lum__reject_spill_close(struct lum__reject_spill *spill);

#endif
