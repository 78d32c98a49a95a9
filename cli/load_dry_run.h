/* cli/load_dry_run.h - lum load --dry-run: what a load would do, told from the beginning of each input. Writes nothing. */
#ifndef LUM_CLI_LOAD_DRY_RUN_H
#define LUM_CLI_LOAD_DRY_RUN_H

#include "cli/file_chain.h"
#include "cli/json.h"
#include "cli/options.h"

/* Prints to standard output, unless the arguments ask for JSON; adds its members to json. Returns the exit code, which is that
 * of the load as far as the sample tells. */
int lum__load_dry_run(const struct lum__arguments *arguments, const struct lum__chain_options *options, bool reads_on,
                      struct lum__json *json);

#endif
