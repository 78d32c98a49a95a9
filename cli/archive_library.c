#include "cli/archive_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stddef.h>

/* The name stands for the interface of all versions since 3.0; Debian, Ubuntu, Fedora and others ship it. */
static const char library_name[] = "libarchive.so.13";

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct lum_archive_library library;
static char why_not[256]; /* "" once it is loaded */

static void load(void)
{
    void *handle = dlopen(library_name, RTLD_NOW | RTLD_LOCAL); /* kept until the process ends */
    if (handle == NULL) {
        snprintf(why_not, sizeof why_not, "%s", dlerror());
        return;
    }
#define LOAD(name)                                                                                                                         \
    *(void **)&library.name = dlsym(handle, "archive_" #name);                                                                             \
    if (library.name == NULL) snprintf(why_not, sizeof why_not, "%s has no archive_" #name, library_name);
    LUM_ARCHIVE_FUNCTIONS(LOAD)
#undef LOAD
}

const struct lum_archive_library *lum_archive_library(const char **reason)
{
    pthread_once(&once, load);
    *reason = why_not;
    return why_not[0] == 0 ? &library : NULL;
}
