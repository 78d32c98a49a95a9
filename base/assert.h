/* base/assert.h - assertions are for our bugs, statuses for the world. LUM_ASSERT stays on in release builds. */
#ifndef LUM_BASE_ASSERT_H
#define LUM_BASE_ASSERT_H

_Noreturn void lum__assert_failed(const char *expression, const char *file, int line);

#define LUM_ASSERT(expression)                                                                                         \
    do {                                                                                                               \
        if (__builtin_expect(!(expression), 0)) lum__assert_failed(#expression, __FILE__, __LINE__);                   \
    } while (0)

#ifdef NDEBUG
#define LUM_ASSERT_SLOW(expression) ((void)sizeof(expression))
#else
#define LUM_ASSERT_SLOW(expression) LUM_ASSERT(expression)
#endif

#endif
