/* cli/message.h - what the program says on stderr, and the exit code that goes with it. The first failure of a run is
 * remembered: it decides the exit code and becomes the JSON's error object; later ones are only said. */
#ifndef LUM_CLI_MESSAGE_H
#define LUM_CLI_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "lum/lum.h"

enum lum__exit {
    LUM__EXIT_DONE = 0,
    LUM__EXIT_IO = 1,
    LUM__EXIT_USAGE = 2,
    LUM__EXIT_DAMAGE = 3,
    LUM__EXIT_BUSY = 4,
    LUM__EXIT_NEEDS_PERSON = 5,
    LUM__EXIT_INPUT = 6,
    LUM__EXIT_NO_SPACE = 7,
    LUM__EXIT_NOT_FOUND = 8,
    LUM__EXIT_INTERRUPTED = 130
};

struct lum__failure {
    int exit_code; /* 0: none so far */
    char name[32], file[256], message[512], remedy[512];
    uint64_t line, offset; /* 0, UINT64_MAX: none */
    int os_errno;
};

void lum__message_setup(bool quiet, bool verbose);
int lum__exit_code_of(lum_status status);

/* Each says an error, remembers it if it is the first, and returns the exit code. */
int lum__message_status(lum_status status); /* this thread's lum_last_error() */
/* The same of a call that works on a store: the file, relative to it, is named with its path; the store itself where
 * there is none. */
int lum__message_store(lum_status status, const char *store);
int lum__message_usage(const char *remedy, const char *format, ...) __attribute__((format(printf, 2, 3)));
int lum__message_system(int os_errno, const char *file, const char *format, ...) __attribute__((format(printf, 3, 4)));
int lum__message_refuse(int exit_code, const char *name, const char *file, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
const struct lum__failure *lum__message_first_failure(void);
/* A failure that another process has said already: remembered, if it is the first, not said. */
void lum__message_adopt(const struct lum__failure *failure);

/* A line that --quiet does not hide: something waits for a person, or will surprise one later. */
void lum__message_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A line for a person: always unless --quiet; with --verbose only. A progress line on the terminal is cleared before.
 */
void lum__message_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void lum__message_detail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Numbers for people, in one of a few static buffers: "100,000,000"; "991 MB"; "1.52 s"; "283 M". */
const char *lum__human_count(uint64_t count);
const char *lum__human_number_of(uint64_t count, const char *thing); /* "1 row", "3 rows" */
const char *lum__human_bytes(uint64_t bytes);
const char *lum__human_seconds(uint64_t ns);
const char *lum__human_rate(uint64_t count, uint64_t ns);
/* Nanoseconds since 1970 as "2026-01-31T12:00:00.123456789Z". */
void lum__human_time(uint64_t ns, char out[40]);
/* As everybody writes a UUID. */
void lum__human_store_id(const uint8_t id[16], char out[40]);

uint64_t lum__monotonic_ns(void);

#endif
