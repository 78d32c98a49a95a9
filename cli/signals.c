#include "cli/signals.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

/* Relaxed everywhere: the flags carry no other data. Lock-free atomics may be used in handlers. */
static atomic_int interrupt_count;
static atomic_bool status_requested;

static void on_interrupt(int number)
{
    (void)number;
    if (atomic_fetch_add_explicit(&interrupt_count, 1, memory_order_relaxed) > 0) _exit(130);
    static const char text[] = "\nlum: interrupted, ending cleanly; once more ends at once\n";
    ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);
    (void)ignored;
}

static void on_status_request(int number)
{
    (void)number;
    atomic_store_explicit(&status_requested, true, memory_order_relaxed);
}

static void handle(int number, void (*handler)(int))
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

void lum__signals_setup(void)
{
    handle(SIGPIPE, SIG_DFL);
    handle(SIGUSR1, on_status_request);
}

void lum__signals_catch_interrupts(void)
{
    struct sigaction before;
    /* A shell starts background jobs with SIGINT ignored: respected. */
    if (sigaction(SIGINT, NULL, &before) == 0 && before.sa_handler != SIG_IGN) handle(SIGINT, on_interrupt);
    handle(SIGTERM, on_interrupt);
}

bool lum__signals_interrupted(void) { return atomic_load_explicit(&interrupt_count, memory_order_relaxed) > 0; }

bool lum__signals_take_status_request(void)
{
    return atomic_exchange_explicit(&status_requested, false, memory_order_relaxed);
}
