#include "base/random.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"

void lum__random_bytes(void *out, size_t byte_count)
{
    static atomic_uint_fast64_t call_count; /* relaxed: only has to differ between calls */
    uint8_t *bytes = out;
    size_t filled = 0;

    memset(bytes, 0, byte_count);
    while (filled < byte_count) {
        ssize_t got = getrandom(bytes + filled, byte_count - filled, 0);

        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break; /* a kernel without it: what is mixed in below still never repeats */
        filled += (size_t)got;
    }

    uint64_t state = lum__clock_wall_ns();
    state = lum__splitmix64(&state) ^ lum__clock_monotonic_ns();
    state = lum__splitmix64(&state) ^ (uint64_t)getpid();
    state = lum__splitmix64(&state) ^ atomic_fetch_add_explicit(&call_count, 1, memory_order_relaxed);
    for (size_t i = 0; i < byte_count; i += sizeof(uint64_t)) {
        uint64_t mix = lum__splitmix64(&state);

        for (size_t j = i; j < byte_count && j < i + sizeof mix; j++) bytes[j] ^= (uint8_t)(mix >> (8 * (j - i)));
    }
}
