/* cli/commands.h - one variable a command; each is defined in the file of its name. */
#ifndef LUM_CLI_COMMANDS_H
#define LUM_CLI_COMMANDS_H

#include "cli/options.h"

extern const struct lum__command lum__command_backup;
extern const struct lum__command lum__command_checkpoint;
extern const struct lum__command lum__command_get;
extern const struct lum__command lum__command_info;
extern const struct lum__command lum__command_load;
extern const struct lum__command lum__command_recover;
extern const struct lum__command lum__command_scan;
extern const struct lum__command lum__command_stress;
extern const struct lum__command lum__command_stress_read; /* the second process of stress, hidden */
extern const struct lum__command lum__command_verify;
extern const struct lum__command lum__command_wal;

#endif
