#include "base/parallel.h"

#include <omp.h>
#include <stddef.h>

#include "base/assert.h"

void lum__parallel(uint32_t workers, void (*body)(void *context, uint32_t worker), void *context)
{
    LUM_ASSERT(workers >= 1);
    LUM_ASSERT(body != NULL);
#pragma omp parallel num_threads((int)workers) default(none) shared(workers, body, context)
    {
        uint32_t given = (uint32_t)omp_get_num_threads();

        for (uint32_t worker = (uint32_t)omp_get_thread_num(); worker < workers; worker += given) body(context, worker);
    }
}
