/* cli/result.h - the JSON object that a run ends with: begun empty, filled by the command, ended with the exit code
 * and, after a failure, the error. Nothing is printed unless --json or --report asked for it. */
#ifndef LUM_CLI_RESULT_H
#define LUM_CLI_RESULT_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/json.h"
#include "cli/options.h"

struct lum__result {
    struct lum__json json; /* writes to memory: stdout and --report get the same bytes */
    char *text;
    size_t text_bytes;
    bool is_printed;      /* --json */
    bool data_has_stdout; /* then the object goes to stderr */
};

/* False (said) if memory is out. */
bool lum__result_begin(struct lum__result *result, const struct lum__arguments *arguments);
/* Ends the object, prints and saves it. Returns the exit code: exit_code, or the first failure's if that is not 0, or
 * that of a failure to print. */
int lum__result_end(struct lum__result *result, int exit_code);

/* The members "exit_code" and, after a failure, "error". */
void lum__result_write_ending(struct lum__json *json, int exit_code);

/* Opens the file of --report before anything is done: a path that cannot be written should not show after an hour. What
 * it holds stays until the new report is written. Returns 0 or the exit code of a failure that was said. */
int lum__result_open_report(const char *path);
/* The file stays as it was: it turned out to be something that must not be written to. */
void lum__result_drop_report(void);

/* What was printed has left the process? Returns 0, or an exit code: of this failure, which is said, or of an earlier one. */
int lum__result_flush_stdout(void);

/* For failures before a command has a result: prints the object by itself where --json was asked for; to stderr where data
 * takes stdout. */
int lum__result_only_failure(bool json, bool data_has_stdout, int exit_code);

#endif
