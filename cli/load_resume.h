/* cli/load_resume.h - what a commit of `load --label` keeps, so that the same load can go on behind it, and the same input is known again
 * (docs/format.md 3.6). */
#ifndef LUM_CLI_LOAD_RESUME_H
#define LUM_CLI_LOAD_RESUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/chain_marks.h"
#include "cli/options.h"
#include "cli/reject_files.h"

enum { LUM__RESUME_BYTES_MAX = 16384, LUM__RESUME_TEXT_MAX = 4096 };

struct lum__resume {
    bool is_complete;    /* the whole input is loaded */
    uint64_t file_count; /* of the input */
    struct lum__chain_point point;
    struct lum__reject_point rejects;
    /* What decides what rows become: options as one text, cut at LUM__RESUME_TEXT_MAX, and the CRC-32C of the whole. */
    char meaning[LUM__RESUME_TEXT_MAX + 1];
    uint32_t meaning_sum;
    char reject_path[LUM__RESUME_TEXT_MAX + 1]; /* "": none */
};

void lum__resume_set_text(char out[LUM__RESUME_TEXT_MAX + 1], const char *text);
/* The options of a load that decide what its rows become, with the mapping as the reader resolved it. False: no memory. */
bool lum__resume_set_meaning(struct lum__resume *resume, const struct lum__arguments *arguments, const char *mapping);

size_t lum__resume_encode(const struct lum__resume *resume, uint8_t out[LUM__RESUME_BYTES_MAX]);
enum lum__resume_fault { LUM__RESUME_GOOD, LUM__RESUME_NONE, LUM__RESUME_NEWER, LUM__RESUME_DAMAGED };
enum lum__resume_fault lum__resume_decode(const void *bytes, size_t byte_count, struct lum__resume *out);

/* The command line of this run, shell-quoted, with --resume. Lent until the next call. */
const char *lum__resume_command(const struct lum__arguments *arguments);

#endif
