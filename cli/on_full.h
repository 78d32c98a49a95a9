/* cli/on_full.h - --on-full wait: a full disk is told once, then tried again until there is room or somebody
 * interrupts. */
#ifndef LUM_CLI_ON_FULL_H
#define LUM_CLI_ON_FULL_H

#include <stdbool.h>

#include "lum/lum.h"

/* For lum_options.on_full; context is the store's path. Any thread. */
bool lum__on_full_wait(void *store, const lum_full_data *full);
/* Did an interrupt end such waiting? Then what failed for want of room was interrupted. */
bool lum__on_full_was_interrupted(void);

#endif
