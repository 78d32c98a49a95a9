#include "cli/progress.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/message.h"
#include "cli/options.h"
#include "cli/signals.h"

/* One run, one line: a static. The mutex is for errors that are said by one thread while another one updates the line.
 */
static struct {
    pthread_mutex_t mutex;
    bool is_shown, is_terminal, is_line_dirty;
    char phase[32];
    uint64_t rows_total, start_ns, last_ns, input_read, input_total;
} state = {.mutex = PTHREAD_MUTEX_INITIALIZER};

void lum__progress_setup(int mode, bool quiet)
{
    state.is_terminal = isatty(STDERR_FILENO);
    state.is_shown = mode == LUM__PROGRESS_ALWAYS || (mode == LUM__PROGRESS_AUTO && state.is_terminal && !quiet);
}

void lum__progress_begin(const char *phase, uint64_t rows_total)
{
    snprintf(state.phase, sizeof state.phase, "%s", phase);
    state.rows_total = rows_total;
    state.start_ns = state.last_ns = lum__monotonic_ns();
    state.input_read = state.input_total = 0;
    lum__signals_answer_status(true);
}

void lum__progress_input(uint64_t bytes_read, uint64_t bytes_total)
{
    state.input_read = bytes_read;
    state.input_total = bytes_total;
}

/* Share of the work done, 0 where it is unknown. */
static double share_done(uint64_t rows)
{
    if (state.rows_total != LUM_ROWS_UNKNOWN && state.rows_total > 0) return (double)rows / (double)state.rows_total;
    if (state.input_total > 0 && state.input_read <= state.input_total)
        return (double)state.input_read / (double)state.input_total;
    return 0;
}

static void format_line(char *out, size_t bytes_max, uint64_t rows, uint64_t durable_sequence, uint64_t now_ns)
{
    uint64_t elapsed_ns = now_ns - state.start_ns;
    double share = share_done(rows);
    int used = snprintf(out, bytes_max, "%s: %s rows", state.phase, lum__human_count(rows));
    if (share > 0)
        used += snprintf(out + used, bytes_max - (size_t)used, ", %.0f %%", share * 100 > 100 ? 100 : share * 100);
    used += snprintf(out + used, bytes_max - (size_t)used, ", %srows/s", lum__human_rate(rows, elapsed_ns));
    if (share > 0 && share < 1) {
        used += snprintf(out + used, bytes_max - (size_t)used, ", %s left",
                         lum__human_seconds((uint64_t)((double)elapsed_ns * (1 - share) / share)));
    }
    if (durable_sequence)
        snprintf(out + used, bytes_max - (size_t)used, ", durable at sequence %" PRIu64, durable_sequence);
}

/* Is a line due, or asked for with SIGUSR1? */
static bool is_due(bool *is_asked, uint64_t *now_ns)
{
    *is_asked = lum__signals_take_status_request();
    if (!state.is_shown && !*is_asked) return false;
    *now_ns = lum__monotonic_ns();
    uint64_t pause_ns = state.is_terminal ? 100000000u : 1000000000u;
    return *is_asked || *now_ns - state.last_ns >= pause_ns;
}

static void show_line(const char *line, bool is_asked, uint64_t now_ns)
{
    pthread_mutex_lock(&state.mutex);
    state.last_ns = now_ns;
    if (state.is_terminal && state.is_shown && !is_asked) {
        fprintf(stderr, "\r\033[K%s", line);
        state.is_line_dirty = true;
    } else {
        fprintf(stderr, "%s%s\n", state.is_line_dirty ? "\r\033[K" : "", line);
        state.is_line_dirty = false;
    }
    fflush(stderr);
    pthread_mutex_unlock(&state.mutex);
}

void lum__progress_update(uint64_t rows, uint64_t durable_sequence)
{
    bool is_asked;
    uint64_t now_ns;
    char line[200];
    if (!is_due(&is_asked, &now_ns)) return;
    format_line(line, sizeof line, rows, durable_sequence, now_ns);
    show_line(line, is_asked, now_ns);
}

void lum__progress_bytes(uint64_t bytes_done, uint64_t bytes_total)
{
    bool is_asked;
    uint64_t now_ns;
    char line[200];
    if (!is_due(&is_asked, &now_ns)) return;
    double share = bytes_total > 0 ? 100.0 * (double)bytes_done / (double)bytes_total : 0;
    snprintf(line, sizeof line, "%s: %s, %.0f %%, %sB/s", state.phase, lum__human_bytes(bytes_done),
             share > 100 ? 100 : share, lum__human_rate(bytes_done, now_ns - state.start_ns));
    show_line(line, is_asked, now_ns);
}

void lum__progress_clear_line(void)
{
    pthread_mutex_lock(&state.mutex);
    if (state.is_line_dirty) fputs("\r\033[K", stderr);
    state.is_line_dirty = false;
    pthread_mutex_unlock(&state.mutex);
}

void lum__progress_end(void)
{
    lum__signals_answer_status(false);
    lum__progress_clear_line();
}
