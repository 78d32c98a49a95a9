/* recovery/verify.h - checks every byte of a store without changing any. */
#ifndef LUM_RECOVERY_VERIFY_H
#define LUM_RECOVERY_VERIFY_H

#include "lum/lum.h"
#include "storage/file.h"

/* STATE, both checkpoints, every log segment from the older checkpoint's position on, every committed chunk and LUM (in parallel), file names
 * and headers, foreign files. Each problem goes to on_finding (one thread at a time). LUM_OK / LUM_ERR_CORRUPT as lum_verify. The fs may be read-only. */
LUM_MUST_USE lum_status lum__verify(struct lum__fs *fs, uint32_t workers, void (*on_finding)(void *context, const lum_finding *finding),
                                    void *context, lum_verify_report *report);

#endif
