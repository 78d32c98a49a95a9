/* cli/commands.h - one variable a command; each is defined in the file of its name. */
#ifndef LUM_CLI_COMMANDS_H
#define LUM_CLI_COMMANDS_H

#include "cli/options.h"

/* All of them, in the order of the overview; ended by NULL. */
extern const struct lum__command *const lum__commands[];

extern const struct lum__command lum__command_backup;
extern const struct lum__command lum__command_checkpoint;
extern const struct lum__command lum__command_completion;
extern const struct lum__command lum__command_diff;
extern const struct lum__command lum__command_get;
extern const struct lum__command lum__command_history;
extern const struct lum__command lum__command_info;
extern const struct lum__command lum__command_load;
extern const struct lum__command lum__command_manual; /* writes the man pages when lum is built, hidden */
extern const struct lum__command lum__command_recover;
extern const struct lum__command lum__command_salvage;
extern const struct lum__command lum__command_scan;
extern const struct lum__command lum__command_stress;
extern const struct lum__command lum__command_stress_read; /* the second process of stress, hidden */
extern const struct lum__command lum__command_verify;
extern const struct lum__command lum__command_wal;
extern const struct lum__command lum__command_where;

/* What the exit codes mean; ended by a NULL text. */
struct lum__exit_meaning {
    int code;
    const char *text;
};
extern const struct lum__exit_meaning lum__exit_meanings[];

/* `lum --help` */
void lum__help_print_overview(FILE *out);

#endif
