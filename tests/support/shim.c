/* tests/support/shim.c - put in front of the C library with LD_PRELOAD, to do to the real program what the world does:
 *
 *   LUM_SHIM_CLOCK=SECONDS     the wall clock is off by so much (it may be negative); the monotonic one is not
 *   LUM_SHIM_KILL_AT_SYNC=N    SIGKILL instead of the N-th fdatasync */
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *out)
{
    static int (*real)(clockid_t, struct timespec *);
    if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, out);
    const char *offset = getenv("LUM_SHIM_CLOCK");
    if (result == 0 && clock == CLOCK_REALTIME && offset != NULL) out->tv_sec += atoll(offset);
    return result;
}

int fdatasync(int fd)
{
    static int (*real)(int);
    static int count;
    if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
    const char *at = getenv("LUM_SHIM_KILL_AT_SYNC");
    if (at != NULL && __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED) == atoi(at)) kill(getpid(), SIGKILL);
    return real(fd);
}
