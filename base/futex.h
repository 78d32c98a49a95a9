/* base/futex.h - sleeping on a 32-bit atomic (futex(2), process-private). Callers order memory with the atomic itself. */
#ifndef LUM_BASE_FUTEX_H
#define LUM_BASE_FUTEX_H

#include <stdatomic.h>
#include <stdint.h>

/* Sleeps while *word == expected, until a wake, a signal or the timeout (ns; UINT64_MAX: none). May return for no reason. */
void lum__futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns);
void lum__futex_wake_all(_Atomic uint32_t *word);
void lum__futex_wake_one(_Atomic uint32_t *word);

#endif
