#include "recovery/disk_full.h"

#include <errno.h>

bool lum__disk_full_retry(const struct lum__disk_full *disk_full, lum_status status, uint64_t bytes_needed,
                          uint32_t *attempt)
{
    struct lum__error error = *lum__error_last();
    bool is_full =
        status == LUM_ERR_NO_SPACE && error.status == status && (error.os_errno == ENOSPC || error.os_errno == EDQUOT);
    bool is_over = status == LUM_OK && *attempt > 0;
    if (disk_full->ask == NULL || (!is_full && !is_over))
        return false; /* a limit of the process (EFBIG) does not go away */
    if (is_full) ++*attempt;
    lum_full_data full = {.file = is_full ? error.file : "",
                          .bytes_needed = bytes_needed,
                          .os_errno = is_full ? error.os_errno : 0,
                          .attempt = *attempt,
                          .is_over = is_over};
    bool goes_on = disk_full->ask(disk_full->context, &full);
    lum__error_restore(&error);
    return is_full && goes_on;
}
