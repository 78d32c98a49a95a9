/* pipeline/loader.h - a bulk load: an OpenMP team of producers that turn a source's pieces into chunks, and the transactions they
 * belong to. Protocol: pipeline/README.md, "A load". */
#ifndef LUM_PIPELINE_LOADER_H
#define LUM_PIPELINE_LOADER_H

#include "lum/lum.h"
#include "pipeline/pool.h"
#include "pipeline/sequencer.h"
#include "storage/segment.h"

struct lum__load_context {
    struct lum__fs *fs;
    struct lum__file *lock_file;
    uint8_t store_id[16];
    struct lum__segments *segments;
    struct lum__sequencer *sequencer;
    const struct lum__disk_full *disk_full;
    struct lum__pool *pool;      /* buffers of lum__chunk_bytes_max(chunk_lums) */
    uint32_t chunk_lums;
    uint32_t workers;
    struct lum__metadata metadata; /* of every commit of the load; lent */
};

/* See lum_load(). Any number of loads may share a context. *write_wait_ns: time that producers waited for the disk. */
LUM_MUST_USE lum_status lum__load(const struct lum__load_context *context, const lum_source *source, const lum_load_options *options,
                                  lum_load_report *report, uint64_t *write_wait_ns);

#endif
