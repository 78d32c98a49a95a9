#include "cli/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* Relaxed everywhere: the flags carry no other data. Lock-free atomics may be used in handlers. */
static atomic_int interrupt_count;
static atomic_bool status_requested, status_is_answered;
static atomic_int interrupt_fd = -1;
static const char *command_name = "lum"; /* written before the handlers can meet it with another value */
static struct timespec start;

static void write_stderr(const char *text)
{
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

static void on_interrupt(int number)
{
    int saved_errno = errno;
    (void)number;
    if (atomic_fetch_add_explicit(&interrupt_count, 1, memory_order_relaxed) > 0) _exit(130);
    write_stderr("\nlum: interrupted, ending cleanly; once more ends at once\n");
    uint64_t one = 1;
    ssize_t ignored = write(atomic_load_explicit(&interrupt_fd, memory_order_relaxed), &one, sizeof one);
    (void)ignored;
    errno = saved_errno;
}

static void on_interrupt_at_once(int number)
{
    (void)number;
    write_stderr("\nlum: interrupted\n");
    _exit(130);
}

/* "lum verify: running for 12 s", with what a handler may call. */
static void tell_running(void)
{
    struct timespec now;
    char digits[24];
    size_t at = sizeof digits - 1;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t seconds = (uint64_t)(now.tv_sec - start.tv_sec);
    digits[at] = 0;
    do digits[--at] = (char)('0' + seconds % 10);
    while ((seconds /= 10) > 0);
    write_stderr("lum ");
    write_stderr(command_name);
    write_stderr(": running for ");
    write_stderr(digits + at);
    write_stderr(" s\n");
}

static void on_status_request(int number)
{
    int saved_errno = errno;
    (void)number;
    if (atomic_load_explicit(&status_is_answered, memory_order_relaxed))
        atomic_store_explicit(&status_requested, true, memory_order_relaxed);
    else
        tell_running();
    errno = saved_errno;
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

/* A shell starts background jobs with SIGINT ignored: respected. */
static void handle_interrupts(void (*handler)(int))
{
    struct sigaction before;
    if (sigaction(SIGINT, NULL, &before) == 0 && before.sa_handler != SIG_IGN) handle(SIGINT, handler);
    handle(SIGTERM, handler);
}

void lum__signals_setup(void)
{
    clock_gettime(CLOCK_MONOTONIC, &start);
    handle(SIGPIPE, SIG_DFL);
    handle(SIGXFSZ, SIG_IGN); /* ulimit -f: the write that is too much fails instead, and says which file */
    handle(SIGUSR1, on_status_request);
    handle_interrupts(on_interrupt_at_once);
}

void lum__signals_name_command(const char *name) { command_name = name; }

void lum__signals_catch_interrupts(void)
{
    /* Without it (no descriptors left) an interrupt still sets the flag, but wakes nobody who waits for input. */
    atomic_store_explicit(&interrupt_fd, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), memory_order_relaxed);
    handle_interrupts(on_interrupt);
}

bool lum__signals_interrupted(void) { return atomic_load_explicit(&interrupt_count, memory_order_relaxed) > 0; }

int lum__signals_interrupt_fd(void) { return atomic_load_explicit(&interrupt_fd, memory_order_relaxed); }

void lum__signals_answer_status(bool is_answered)
{
    atomic_store_explicit(&status_is_answered, is_answered, memory_order_relaxed);
}

bool lum__signals_take_status_request(void)
{
    return atomic_exchange_explicit(&status_requested, false, memory_order_relaxed);
}
