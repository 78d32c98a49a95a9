/* recovery/verify.h - checks every byte of a store without changing any. */
#ifndef LUM_RECOVERY_VERIFY_H
#define LUM_RECOVERY_VERIFY_H

#include "lum/lum.h"
#include "storage/file.h"

/* STATE, both checkpoints, the log from the older one's position on (and that it leads to the newer one's contents),
 * every committed chunk and LUM (in parallel), file names and headers, foreign files. Each problem goes to on_finding
 * (may be NULL; one thread at a time). LUM_OK; LUM_ERR_CORRUPT; LUM_ERR_UNSUPPORTED if the only problem is what a later
 * version left; LUM_ERR_NOT_FOUND: no store here; I/O errors. lum__error_last() is then the first finding. Takes the
 * readers' lock by itself. The fs may be read-only. A store that crashed is judged by what recovery would keep: a tail
 * that recovery cuts is no damage. */
LUM_MUST_USE lum_status lum__verify(struct lum__fs *fs, uint32_t workers,
                                    void (*on_finding)(void *context, const lum_finding *finding), void *context,
                                    lum_verify_report *report);

#endif
