/* cli/signals.h - Ctrl-C ends a run cleanly, a second one at once; SIGUSR1 asks for a status line; SIGPIPE kills, as in
 * any filter. */
#ifndef LUM_CLI_SIGNALS_H
#define LUM_CLI_SIGNALS_H

#include <stdbool.h>

/* What holds for every command, once, at the start of main: SIGINT and SIGTERM end with 130 and a message, as there is
 * nothing to clean up; SIGPIPE kills; SIGUSR1 is answered; SIGXFSZ is ignored. */
void lum__signals_setup(void);
/* For the answer to SIGUSR1 while nothing shows progress. Lent for the rest of the run. */
void lum__signals_name_command(const char *name);

/* From here on SIGINT and SIGTERM only set a flag: for commands that look at it. The second one exits with 130 at once.
 */
void lum__signals_catch_interrupts(void);
bool lum__signals_interrupted(void);
/* Becomes readable with the first interrupt, for poll(); -1 before lum__signals_catch_interrupts(). */
int lum__signals_interrupt_fd(void);

/* While true, SIGUSR1 is left to who calls lum__signals_take_status_request(): progress.c. */
void lum__signals_answer_status(bool is_answered);
/* True once after every SIGUSR1. */
bool lum__signals_take_status_request(void);

#endif
