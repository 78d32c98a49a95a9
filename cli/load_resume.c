#include "cli/load_resume.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/text.h"
#include "formats/input_sum.h"

/* Offsets of the record, docs/format.md 3.6. */
enum {
    AT_MAGIC = 0,
    AT_VERSION = 4,
    AT_FLAGS = 6,
    AT_FILE_COUNT = 8,
    AT_FILE = 16,
    AT_FILE_FIRST_ROW = 24,
    AT_FILE_ROWS = 32,
    AT_FILE_BYTES = 40,
    AT_FILE_LINE = 48,
    AT_BYTES = 56,
    AT_ROWS = 64,
    AT_ROWS_REFUSED = 72,
    AT_SUM = 80,
    AT_MEANING_SUM = 84,
    AT_REJECT_BYTES = 88, /* two */
    AT_REJECT_SUMS = 104, /* two */
    AT_REJECT_ROWS = 112,
    AT_MEANING_BYTES = 120,
    AT_REJECT_PATH_BYTES = 122,
    AT_REJECT_HEADER = 124,
    HEAD_BYTES = 128,
    VERSION = 1,
    FLAG_COMPLETE = 1,
    FLAG_FOLLOWS_CR = 2,
};

static void put(uint8_t *at, int byte_count, uint64_t value)
{
    for (int i = 0; i < byte_count; i++) at[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get(const uint8_t *at, int byte_count)
{
    uint64_t value = 0;
    for (int i = 0; i < byte_count; i++) value |= (uint64_t)at[i] << 8 * i;
    return value;
}

static const char magic[4] = {'L', 'R', 'S', 'M'};

void lum__resume_set_text(char out[LUM__RESUME_TEXT_MAX + 1], const char *text)
{
    snprintf(out, LUM__RESUME_TEXT_MAX + 1, "%s", text);
}

bool lum__resume_set_meaning(struct lum__resume *resume, const struct lum__arguments *arguments, const char *mapping)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (!out) return false;
    fprintf(out, "--map '%s'", mapping);
    if (arguments->no_header) fputs(" --no-header", out);
    if (arguments->delimiter) fprintf(out, " --delimiter '%s'", arguments->delimiter);
    if (arguments->null_text) fprintf(out, " --null '%s'", arguments->null_text);
    if (arguments->time_unit != 0) fprintf(out, " --time-unit %s", units[arguments->time_unit]);
    if (arguments->round) fputs(" --round", out);
    if (fclose(out) != 0) {
        free(text);
        return false;
    }
    resume->meaning_sum = lum__input_sum(0, text, bytes);
    lum__resume_set_text(resume->meaning, text);
    free(text);
    return true;
}

size_t lum__resume_encode(const struct lum__resume *resume, uint8_t out[LUM__RESUME_BYTES_MAX])
{
    const struct lum__chain_point *point = &resume->point;
    size_t meaning_bytes = strlen(resume->meaning), path_bytes = strlen(resume->reject_path);
    memset(out, 0, HEAD_BYTES);
    memcpy(out + AT_MAGIC, magic, sizeof magic);
    put(out + AT_VERSION, 2, VERSION);
    put(out + AT_FLAGS, 2, (uint16_t)((resume->is_complete ? FLAG_COMPLETE : 0) | (point->at.follows_cr ? FLAG_FOLLOWS_CR : 0)));
    put(out + AT_FILE_COUNT, 8, resume->file_count);
    put(out + AT_FILE, 8, point->file);
    put(out + AT_FILE_FIRST_ROW, 8, point->file_first_row);
    put(out + AT_FILE_ROWS, 8, point->at.rows);
    put(out + AT_FILE_BYTES, 8, point->at.bytes);
    put(out + AT_FILE_LINE, 8, point->at.line);
    put(out + AT_BYTES, 8, point->bytes);
    put(out + AT_ROWS, 8, point->rows);
    put(out + AT_ROWS_REFUSED, 8, point->rows_refused);
    put(out + AT_SUM, 4, point->sum);
    put(out + AT_MEANING_SUM, 4, resume->meaning_sum);
    for (int file = 0; file < LUM__REJECT_FILES; file++) {
        put(out + AT_REJECT_BYTES + 8 * file, 8, resume->rejects.bytes[file]);
        put(out + AT_REJECT_SUMS + 4 * file, 4, resume->rejects.sums[file]);
    }
    put(out + AT_REJECT_ROWS, 8, resume->rejects.rows);
    put(out + AT_REJECT_HEADER, 4, resume->rejects.header_bytes);
    put(out + AT_MEANING_BYTES, 2, (uint16_t)meaning_bytes);
    put(out + AT_REJECT_PATH_BYTES, 2, (uint16_t)path_bytes);
    memcpy(out + HEAD_BYTES, resume->meaning, meaning_bytes);
    memcpy(out + HEAD_BYTES + meaning_bytes, resume->reject_path, path_bytes);
    return HEAD_BYTES + meaning_bytes + path_bytes;
}

static bool is_plausible(const struct lum__resume *resume)
{
    const struct lum__chain_point *point = &resume->point;
    const struct lum__reject_point *rejects = &resume->rejects;
    if (rejects->rows > point->rows_refused || (rejects->rows > 0 && rejects->header_bytes > rejects->bytes[LUM__REJECT_ROWS])) return false;
    return point->file <= resume->file_count && resume->is_complete == (point->file == resume->file_count) && point->rows_refused <= point->rows &&
           point->at.bytes <= point->bytes && point->file_first_row <= point->rows && point->at.rows == point->rows - point->file_first_row;
}

enum lum__resume_fault lum__resume_decode(const void *bytes, size_t byte_count, struct lum__resume *out)
{
    const uint8_t *in = bytes;
    *out = (struct lum__resume){0};
    if (byte_count == 0) return LUM__RESUME_NONE;
    if (byte_count < AT_FILE_COUNT || memcmp(in, magic, sizeof magic) != 0) return LUM__RESUME_DAMAGED;
    uint16_t flags = (uint16_t)get(in + AT_FLAGS, 2);
    if ((uint16_t)get(in + AT_VERSION, 2) != VERSION || (flags & ~(FLAG_COMPLETE | FLAG_FOLLOWS_CR)) != 0)
        return LUM__RESUME_NEWER;
    if (byte_count < HEAD_BYTES) return LUM__RESUME_DAMAGED;
    size_t meaning_bytes = (uint16_t)get(in + AT_MEANING_BYTES, 2), path_bytes = (uint16_t)get(in + AT_REJECT_PATH_BYTES, 2);
    if (meaning_bytes > LUM__RESUME_TEXT_MAX || path_bytes > LUM__RESUME_TEXT_MAX || byte_count != HEAD_BYTES + meaning_bytes + path_bytes)
        return LUM__RESUME_DAMAGED;
    out->is_complete = (flags & FLAG_COMPLETE) != 0;
    out->file_count = get(in + AT_FILE_COUNT, 8);
    out->point = (struct lum__chain_point){
        .file = get(in + AT_FILE, 8),
        .at = {.bytes = get(in + AT_FILE_BYTES, 8),
               .rows = get(in + AT_FILE_ROWS, 8),
               .line = get(in + AT_FILE_LINE, 8),
               .follows_cr = (flags & FLAG_FOLLOWS_CR) != 0},
        .file_first_row = get(in + AT_FILE_FIRST_ROW, 8),
        .bytes = get(in + AT_BYTES, 8),
        .rows = get(in + AT_ROWS, 8),
        .rows_refused = get(in + AT_ROWS_REFUSED, 8),
        .sum = (uint32_t)get(in + AT_SUM, 4),
    };
    out->meaning_sum = (uint32_t)get(in + AT_MEANING_SUM, 4);
    for (int file = 0; file < LUM__REJECT_FILES; file++) {
        out->rejects.bytes[file] = get(in + AT_REJECT_BYTES + 8 * file, 8);
        out->rejects.sums[file] = (uint32_t)get(in + AT_REJECT_SUMS + 4 * file, 4);
    }
    out->rejects.rows = get(in + AT_REJECT_ROWS, 8);
    out->rejects.header_bytes = (uint32_t)get(in + AT_REJECT_HEADER, 4);
    memcpy(out->meaning, in + HEAD_BYTES, meaning_bytes);
    memcpy(out->reject_path, in + HEAD_BYTES + meaning_bytes, path_bytes);
    return is_plausible(out) ? LUM__RESUME_GOOD : LUM__RESUME_DAMAGED;
}

/* ------------------------------------------------------------------------------------------------- the command line */

/* As a shell takes it for one word. */
static void put_word(FILE *out, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=,:@%+";
    if (word[0] != 0 && word[strspn(word, plain)] == 0) {
        fputs(word, out);
        return;
    }
    if (!lum__text_is_plain(word)) { /* bash, zsh, ksh and busybox know it: no byte is lost on a terminal, nor in JSON */
        fputs("$'", out);
        for (; *word; word++) {
            unsigned char byte = (unsigned char)*word;
            if (byte == '\'' || byte == '\\') fprintf(out, "\\%c", byte);
            else if (byte < 0x20 || byte >= 0x7f) fprintf(out, "\\%03o", byte);
            else fputc(byte, out);
        }
        fputc('\'', out);
        return;
    }
    fputc('\'', out);
    for (; *word; word++) {
        if (*word == '\'') fputs("'\\''", out);
        else fputc(*word, out);
    }
    fputc('\'', out);
}

const char *lum__resume_command(const struct lum__arguments *arguments)
{
    static char *text;
    size_t bytes = 0;
    free(text);
    text = NULL;
    FILE *out = open_memstream(&text, &bytes);
    if (!out) return "the same command with --resume";
    fputs("lum load", out);
    if (!arguments->resume) fputs(" --resume", out); /* in front: behind a -- it would be a file */
    for (int i = 0; i < arguments->word_count; i++) {
        fputc(' ', out);
        put_word(out, arguments->words[i]);
    }
    return fclose(out) == 0 ? text : "the same command with --resume";
}
