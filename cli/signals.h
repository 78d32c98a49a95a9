/* cli/signals.h - Ctrl-C ends a run cleanly, a second one at once; SIGUSR1 asks for a status line; SIGPIPE kills, as in
 * any filter. */
#ifndef LUM_CLI_SIGNALS_H
#define LUM_CLI_SIGNALS_H

#include <stdbool.h>

/* Default dispositions for what the parent may have left ignored. Once, at the start of main. */
void lum__signals_setup(void);
/* From here on SIGINT and SIGTERM only set a flag: for commands that look at it. The second one exits with 130 at once.
 */
void lum__signals_catch_interrupts(void);
bool lum__signals_interrupted(void);
/* True once after every SIGUSR1. */
bool lum__signals_take_status_request(void);

#endif
