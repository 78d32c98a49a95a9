/* cli/stress.h - between the two processes of `lum stress`. */
#ifndef LUM_CLI_STRESS_H
#define LUM_CLI_STRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/message.h"
#include "cli/options.h"

/* What the reading process found out; goes through a pipe as it is: both ends are the same program. */
struct lum__read_result {
    uint64_t magic;
    bool is_completed; /* every row was read and compared */
    uint64_t rows_compared;
    uint64_t verification_errors; /* rows that differ, are missing, or came twice */
    uint64_t io_errors;           /* failures to open, read or decode */
    uint64_t read_time_ns;        /* from the start of the process to the last row compared */
    uint64_t memory_peak_bytes;
    uint64_t chunks_read, bytes_read;
    char io_mode[32];
    struct lum__failure failure; /* exit_code 0: none */
};
#define LUM__READ_RESULT_MAGIC 0x6c756d7265616431u

/* Starts this program again to read `store` back, waits for it. Always fills in *out; returns 0 or the exit code. */
int lum__stress_read_back(const struct lum__arguments *arguments, const char *store, uint32_t threads,
                          struct lum__read_result *out);

#endif
