/* cli/progress.h - the line that says how far a run is: rows, rate, time left, durable position. On a terminal it is
 * rewritten in place; with --progress always elsewhere it is a line a second. SIGUSR1 prints it whatever the mode. */
#ifndef LUM_CLI_PROGRESS_H
#define LUM_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* mode is an enum lum__progress_mode. */
void lum__progress_setup(int mode, bool quiet);
/* A new phase: "writing", "reading". total: rows, or LUM_ROWS_UNKNOWN. Its clock starts now. */
void lum__progress_begin(const char *phase, uint64_t rows_total);
/* Call it as often as you like, from one thread at a time. durable_sequence 0: there is none to tell. */
void lum__progress_update(uint64_t rows, uint64_t durable_sequence);
/* Part of the input read, where rows_total is unknown: gives the percentage and the time left. */
void lum__progress_input(uint64_t bytes_read, uint64_t bytes_total);
/* Of a run that moves bytes rather than rows, instead of lum__progress_update. */
void lum__progress_bytes(uint64_t bytes_done, uint64_t bytes_total);
void lum__progress_end(void);
/* Before something else is written to stderr. */
void lum__progress_clear_line(void);

#endif
