#include "cli/message.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/progress.h"
#include "cli/signals.h"
#include "cli/text.h"

static bool is_quiet, is_verbose;
static struct lum__failure first_failure = {.offset = UINT64_MAX};

void lum__message_setup(bool quiet, bool verbose)
{
    is_quiet = quiet;
    is_verbose = verbose && !quiet;
}

const struct lum__failure *lum__message_first_failure(void) { return &first_failure; }

void lum__message_adopt(const struct lum__failure *failure)
{
    if (first_failure.exit_code == 0) first_failure = *failure;
}

int lum__exit_code_of(lum_status status)
{
    switch (status) {
    case LUM_OK:
    case LUM_END: return LUM__EXIT_DONE;
    case LUM_ERR_ARGUMENT:
    case LUM_ERR_MEMORY_LIMIT:
    case LUM_ERR_EXISTS: return LUM__EXIT_USAGE;
    case LUM_ERR_CORRUPT:
    case LUM_ERR_FOREIGN: return LUM__EXIT_DAMAGE;
    case LUM_ERR_BUSY: return LUM__EXIT_BUSY;
    case LUM_ERR_NEEDS_PERSON:
    case LUM_ERR_NEEDS_RECOVERY: return LUM__EXIT_NEEDS_PERSON;
    case LUM_ERR_INPUT:
    case LUM_ERR_LABEL: return LUM__EXIT_INPUT;
    case LUM_ERR_NO_SPACE: return LUM__EXIT_NO_SPACE;
    case LUM_ERR_NOT_FOUND: return LUM__EXIT_NOT_FOUND;
    case LUM_ERR_CANCELLED: return LUM__EXIT_INTERRUPTED;
    default: return LUM__EXIT_IO;
    }
}

/* ----------------------------------------------------------------------------------------------------- errors */

/* On a terminal that knows colours, unless somebody does not want any (https://no-color.org). */
static bool wants_colour(void)
{
    const char *no_color = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return isatty(STDERR_FILENO) && !(no_color && *no_color) && terminal && strcmp(terminal, "dumb") != 0;
}

static int say_failure(const struct lum__failure *failure)
{
    lum__progress_clear_line();
    bool has_colour = wants_colour();
    char place[320] = "";
    if (failure->file[0] && failure->line)
        snprintf(place, sizeof place, "%s:%" PRIu64 ": ", failure->file, failure->line);
    else if (failure->file[0] && failure->offset != UINT64_MAX)
        snprintf(place, sizeof place, "%s at byte %" PRIu64 ": ", failure->file, failure->offset);
    else if (failure->file[0] && !strstr(failure->message, failure->file))
        snprintf(place, sizeof place, "%s: ", failure->file);
    fprintf(stderr, "%slum:%s ", has_colour ? "\033[1;31m" : "", has_colour ? "\033[0m" : "");
    lum__text_put(stderr, place);
    lum__text_put(stderr, failure->message);
    if (failure->os_errno && !strstr(failure->message, strerror(failure->os_errno)))
        fprintf(stderr, " (%s)", strerror(failure->os_errno));
    fputc('\n', stderr);
    if (failure->remedy[0]) {
        fputs("     ", stderr);
        lum__text_put(stderr, failure->remedy);
        fputc('\n', stderr);
    }
    if (first_failure.exit_code == 0) first_failure = *failure;
    return failure->exit_code;
}

static void copy_text(char *out, size_t bytes_max, const char *text)
{
    snprintf(out, bytes_max, "%s", text ? text : "");
}

int lum__message_status(lum_status status) { return lum__message_store(status, NULL); }

int lum__message_store(lum_status status, const char *store)
{
    if (status == LUM_ERR_CANCELLED && lum__signals_interrupted())
        return lum__message_refuse(LUM__EXIT_INTERRUPTED, "ERR_CANCELLED", NULL, NULL, "interrupted");
    const lum_error_data *error = lum_last_error();
    struct lum__failure failure = {.exit_code = lum__exit_code_of(status), .offset = UINT64_MAX};
    copy_text(failure.name, sizeof failure.name, lum_status_name(status));
    if (error->status == status) {
        bool is_inside = store && error->file[0] && error->file[0] != '/' && status != LUM_ERR_INPUT;
        if (is_inside)
            snprintf(failure.file, sizeof failure.file, "%s/%s", store, error->file);
        else
            copy_text(failure.file, sizeof failure.file, error->file[0] || !store ? error->file : store);
        copy_text(failure.message, sizeof failure.message, error->message);
        copy_text(failure.remedy, sizeof failure.remedy, error->remedy);
        failure.line = error->line;
        failure.offset = error->offset;
        failure.os_errno = error->os_errno;
    } else {
        snprintf(failure.message, sizeof failure.message, "the library answered %s", failure.name);
    }
    return say_failure(&failure);
}

int lum__message_usage(const char *remedy, const char *format, ...)
{
    struct lum__failure failure = {.exit_code = LUM__EXIT_USAGE, .name = "ERR_USAGE", .offset = UINT64_MAX};
    va_list values;
    va_start(values, format);
    vsnprintf(failure.message, sizeof failure.message, format, values);
    va_end(values);
    copy_text(failure.remedy, sizeof failure.remedy, remedy);
    return say_failure(&failure);
}

/* EFBIG: `ulimit -f`, or more than the file system lets one file have. */
static const char *full_remedy(int os_errno)
{
    return os_errno == EFBIG ? "files may not become so large here: raise `ulimit -f` (or use another file system), and run the command again"
                             : "make room on that file system and run the command again";
}

int lum__message_system(int os_errno, const char *file, const char *format, ...)
{
    bool is_full = os_errno == ENOSPC || os_errno == EDQUOT || os_errno == EFBIG;
    struct lum__failure failure = {.exit_code = is_full              ? LUM__EXIT_NO_SPACE
                                                : os_errno == ENOENT ? LUM__EXIT_NOT_FOUND
                                                                     : LUM__EXIT_IO,
                                   .os_errno = os_errno,
                                   .offset = UINT64_MAX};
    copy_text(failure.name, sizeof failure.name,
              is_full              ? "ERR_NO_SPACE"
              : os_errno == ENOENT ? "ERR_NOT_FOUND"
                                   : "ERR_IO");
    va_list values;
    va_start(values, format);
    vsnprintf(failure.message, sizeof failure.message, format, values);
    va_end(values);
    copy_text(failure.file, sizeof failure.file, file);
    if (is_full) copy_text(failure.remedy, sizeof failure.remedy, full_remedy(os_errno));
    return say_failure(&failure);
}

int lum__message_refuse(int exit_code, const char *name, const char *file, const char *remedy, const char *format, ...)
{
    struct lum__failure failure = {.exit_code = exit_code, .offset = UINT64_MAX};
    va_list values;
    va_start(values, format);
    vsnprintf(failure.message, sizeof failure.message, format, values);
    va_end(values);
    copy_text(failure.name, sizeof failure.name, name);
    copy_text(failure.file, sizeof failure.file, file);
    copy_text(failure.remedy, sizeof failure.remedy, remedy);
    return say_failure(&failure);
}

/* ------------------------------------------------------------------------------------------------------ notes */

static void say_line(const char *format, va_list values)
{
    char *text;
    lum__progress_clear_line();
    if (vasprintf(&text, format, values) < 0) return;
    lum__text_put(stderr, text);
    fputc('\n', stderr);
    free(text);
}

void lum__message_warn(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    say_line(format, values);
    va_end(values);
}

void lum__message_note(const char *format, ...)
{
    if (is_quiet) return;
    va_list values;
    va_start(values, format);
    say_line(format, values);
    va_end(values);
}

void lum__message_detail(const char *format, ...)
{
    if (!is_verbose) return;
    va_list values;
    va_start(values, format);
    say_line(format, values);
    va_end(values);
}

/* ---------------------------------------------------------------------------------------------------- numbers */

/* Several in one printf are fine; per thread, as progress lines may come from any. */
static char *next_buffer(void)
{
    enum { BUFFERS = 16 };
    static _Thread_local char buffers[BUFFERS][48];
    static _Thread_local unsigned used;
    return buffers[used++ % BUFFERS];
}

const char *lum__human_count(uint64_t count)
{
    char digits[24], *out = next_buffer();
    int length = snprintf(digits, sizeof digits, "%" PRIu64, count);
    char *at = out;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) *at++ = ',';
        *at++ = digits[i];
    }
    *at = 0;
    return out;
}

const char *lum__human_number_of(uint64_t count, const char *thing)
{
    char number[32], *out = next_buffer();
    snprintf(number, sizeof number, "%s", lum__human_count(count));
    snprintf(out, 48, "%s %s%s", number, thing, count == 1 ? "" : "s");
    return out;
}

/* Three digits and a unit: "1.52 ", "15.2 M", "152 G". */
static const char *human_scaled(double value, const char *unit)
{
    static const char *const prefixes[] = {"", "k", "M", "G", "T", "P", "E"};
    size_t i = 0;
    while (value >= 999.5 && i < 6) {
        value /= 1000;
        i++;
    }
    char *out = next_buffer();
    int decimals = i == 0 ? 0 : value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    snprintf(out, 32, "%.*f %s%s", decimals, value, prefixes[i], unit);
    return out;
}

const char *lum__human_bytes(uint64_t bytes) { return human_scaled((double)bytes, "B"); }

const char *lum__human_rate(uint64_t count, uint64_t ns)
{
    return human_scaled(ns ? (double)count * 1e9 / (double)ns : 0, "");
}

const char *lum__human_seconds(uint64_t ns)
{
    char *out = next_buffer();
    double seconds = (double)ns / 1e9;
    snprintf(out, 32, seconds < 0.01 ? "%.2g s" : seconds < 100 ? "%.2f s" : "%.0f s", seconds);
    return out;
}

void lum__human_time(uint64_t ns, char out[40])
{
    time_t seconds = (time_t)(ns / 1000000000u);
    struct tm parts;
    size_t length = strftime(out, 40, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &parts));
    snprintf(out + length, 40 - length, ".%09" PRIu64 "Z", ns % 1000000000u);
}

void lum__human_store_id(const uint8_t b[16], char out[40])
{
    snprintf(out, 40, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3],
             b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

uint64_t lum__monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
