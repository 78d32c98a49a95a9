#include "cli/on_full.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "cli/message.h"
#include "cli/open_store.h"
#include "cli/signals.h"

enum { PAUSE_MS_MIN = 100, PAUSE_MS_MAX = 2000 };

/* Several threads may wait for the same disk: one message for all of them. */
static struct {
    pthread_mutex_t mutex;
    bool is_told;
    uint64_t begin_ns;
} waiting = {.mutex = PTHREAD_MUTEX_INITIALIZER};
static atomic_bool was_interrupted; /* relaxed: carries no other data */

static void tell_begin(const char *store, const lum_full_data *full)
{
    pthread_mutex_lock(&waiting.mutex);
    if (!waiting.is_told) {
        uint64_t free_bytes = lum__free_bytes(store);
        waiting.is_told = true;
        waiting.begin_ns = lum__monotonic_ns();
        lum__message_warn(
            "%s: no room for %s: %s are needed, %s are free (%s); waiting for room, trying again at least every %d s",
            store, full->file[0] ? full->file : "it", lum__human_bytes(full->bytes_needed),
            lum__human_bytes(free_bytes == UINT64_MAX ? 0 : free_bytes), strerror(full->os_errno), PAUSE_MS_MAX / 1000);
    }
    pthread_mutex_unlock(&waiting.mutex);
}

static void tell_end(const char *store)
{
    pthread_mutex_lock(&waiting.mutex);
    if (waiting.is_told)
        lum__message_warn("%s: there is room again after %s: going on", store,
                          lum__human_seconds(lum__monotonic_ns() - waiting.begin_ns));
    waiting.is_told = false;
    pthread_mutex_unlock(&waiting.mutex);
}

bool lum__on_full_wait(void *store, const lum_full_data *full)
{
    if (full->is_over) {
        tell_end(store);
        return true;
    }
    tell_begin(store, full);
    int pause_ms = full->attempt < 5 ? PAUSE_MS_MIN << full->attempt : PAUSE_MS_MAX;
    struct pollfd interrupt = {.fd = lum__signals_interrupt_fd(), .events = POLLIN};
    if (!lum__signals_interrupted()) (void)poll(&interrupt, 1, pause_ms < PAUSE_MS_MAX ? pause_ms : PAUSE_MS_MAX);
    if (!lum__signals_interrupted()) return true;
    atomic_store_explicit(&was_interrupted, true, memory_order_relaxed);
    return false;
}

bool lum__on_full_was_interrupted(void) { return atomic_load_explicit(&was_interrupted, memory_order_relaxed); }
