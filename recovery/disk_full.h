/* recovery/disk_full.h - a full disk, where a call changed nothing and may be made again: the owner of the store is
 * asked, and waits.
 *
 *     uint32_t attempt = 0;
 *     do status = ...; while (lum__disk_full_retry(&parts->disk_full, status, bytes, &attempt));
 *
 * Only for calls that reserve (an extent, a log segment) or whose failure leaves nothing behind (a checkpoint): never
 * for a write that may have left dirty pages, never for a sync (pitfall 6). */
#ifndef LUM_RECOVERY_DISK_FULL_H
#define LUM_RECOVERY_DISK_FULL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "lum/lum.h"

/* lum_options.on_full */
struct lum__disk_full {
    bool (*ask)(void *context, const lum_full_data *full); /* NULL: nobody waits */
    void *context;
};

/* After each try. True: there was no room, and the owner has waited for some: try again. Tells the owner too when a try
 * got through after such waiting. This thread's error stays. *attempt is 0 before the first try. */
bool lum__disk_full_retry(const struct lum__disk_full *disk_full, lum_status status, uint64_t bytes_needed,
                          uint32_t *attempt);

#endif
