#include "base/clock.h"

#include <time.h>

static uint64_t read_clock_ns(clockid_t clock)
{
    struct timespec now = {0};

    (void)clock_gettime(clock, &now); /* cannot fail for these two clocks */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t lum__clock_monotonic_ns(void) { return read_clock_ns(CLOCK_MONOTONIC); }

uint64_t lum__clock_wall_ns(void) { return read_clock_ns(CLOCK_REALTIME); }
