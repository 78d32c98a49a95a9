/* base/clock.h - durations come from the monotonic clock; the wall clock is only ever a label. */
#ifndef LUM_BASE_CLOCK_H
#define LUM_BASE_CLOCK_H

#include <stdint.h>

uint64_t lum__clock_monotonic_ns(void);
uint64_t lum__clock_wall_ns(void); /* nanoseconds since the Unix epoch */

#endif
