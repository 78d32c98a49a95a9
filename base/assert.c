#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void lum__assert_failed(const char *expression, const char *file, int line)
{
    /* Unformatted state may be damaged: say it and stop. abort() leaves a core, and the store as after a kill, which is safe. */
    fprintf(stderr, "lum: internal error: %s does not hold (%s:%d); please report this\n", expression, file, line);
    fflush(stderr);
    abort();
}
