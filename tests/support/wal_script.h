/* wal_script.h - what log tests share: records whose whole content follows from their sequence, a writer driven at
 * random, and a check of what a reader gives back. Violations are returned, not asserted, so that a test can also
 * demand that a broken disk is noticed. */
#ifndef LUM_TESTS_WAL_SCRIPT_H
#define LUM_TESTS_WAL_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/file.h"
#include "wal/reader.h"
#include "wal/writer.h"

extern const uint8_t wal_store_id[16];

/* Set by a test that wants commits with extensions among the records, some longer than a block. */
extern bool wal_with_metadata;

/* The caller's part of the record that a script appends as `sequence` in its `generation`-th life. */
void wal_make_record(uint64_t sequence, uint32_t generation, struct lum__wal_record *out);

/* What was appended, and what must therefore come back. */
enum { WAL_SCRIPT_SEQUENCES = 1 << 14 };
struct wal_script {
    uint32_t generation;
    uint32_t generations[WAL_SCRIPT_SEQUENCES]; /* of each sequence appended; 0: none, or a seal */
    uint64_t appended;                          /* last sequence handed to the writer, a seal included */
    uint64_t durable;                           /* last sequence that a sync, a rotation or a start vouched for */
    uint64_t epoch;
    struct lum__log_position newest, older; /* replay positions of the two kept checkpoints */
    uint32_t segment_bytes, batch_bytes_max;
    uint64_t rng;
};

void wal_script_init(struct wal_script *script, uint64_t seed);
void wal_script_options(const struct wal_script *script, struct lum__fs *fs, struct lum__wal_writer_options *out);
/* wal/ and the first segment. */
LUM_MUST_USE lum_status wal_script_first(struct wal_script *script, struct lum__fs *fs, struct lum__wal_writer **out);
/* count records in batches of random sizes, syncs, now and then a checkpoint with recycling. Ends at the first failure.
 */
LUM_MUST_USE lum_status wal_script_run(struct wal_script *script, struct lum__wal_writer *writer, uint32_t count);
/* Appends, writes and (if sync) syncs one batch of count records. */
LUM_MUST_USE lum_status wal_script_batch(struct wal_script *script, struct lum__wal_writer *writer, uint32_t count,
                                         bool sync);

/* Is this what was appended under its sequence, in this life or (if in_any_life) an earlier one? */
bool wal_script_is_right(const struct wal_script *script, const struct lum__wal_record *record, bool in_any_life);
/* Reads everything from `from` on. "" if every record is what was appended there, in order, everything durable came
 * back, and no evidence says that durable data was lost; else what is wrong. *end: where reading stopped. */
const char *wal_script_check(const struct wal_script *script, struct lum__fs *fs, const struct lum__log_position *from,
                             bool direct, struct lum__wal_evidence *end);
/* The log was cut at `end` and is written on from there in a new life. */
void wal_script_cut(struct wal_script *script, const struct lum__log_position *end);

#endif
