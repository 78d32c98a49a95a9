/* recovery/decide.h - evidence in, verdict out: a pure, exhaustive table without I/O. recovery/README.md says why each
 * verdict is safe. */
#ifndef LUM_RECOVERY_DECIDE_H
#define LUM_RECOVERY_DECIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lum__verdict {
    LUM__VERDICT_CLEAN,      /* closed cleanly and complete: go on */
    LUM__VERDICT_ACCEPT,     /* unclean, but the log ends whole: accept it all */
    LUM__VERDICT_CUT,        /* an unsynced tail: cut behind the last accepted record */
    LUM__VERDICT_CUT_COMMIT, /* an unsynced commit whose chunks are not there: cut before it */
    LUM__VERDICT_REFUSE,     /* lost durable data: a person must choose */
    LUM__VERDICT_UNSUPPORTED /* intact, but of a later version: never touched */
};

/* What was seen. Independent bits, so that all combinations can be enumerated. */
struct lum__decide_evidence {
    bool has_clean_mark;    /* STATE says closed cleanly */
    bool clean_end_reached; /* the log was read up to the clean mark's end, and ends there with the mark's sequence */
    bool stop_is_blank;     /* reading stopped at a never written or stale block, and no valid record lies behind it */
    bool stop_is_unsupported; /* ... at an intact record of a later version */
    bool lost_segment;        /* ... at a seal whose successor cannot be read, or the first segment is missing */
    bool below_watermark;     /* the sequence expected at the stop is <= the highest watermark found anywhere */
    bool broken_transaction;  /* an accepted commit does not fit the chunks logged before it, though the log is whole */
    bool bad_chunk;           /* a chunk under an accepted commit fails its checks */
    bool bad_chunk_data_synced;     /* ... and that commit says data_synced */
    bool bad_chunk_below_watermark; /* ... or its sequence is <= the watermark */
};
enum { LUM__EVIDENCE_BITS = 10 };

struct lum__decision {
    char row; /* the letter of the row */
    enum lum__verdict verdict;
    const char *sentence; /* for log and report; static */
};

/* Exactly one row answers each combination. */
struct lum__decision lum__decide(const struct lum__decide_evidence *evidence);
/* The rows that match (exactly 1 unless the table is wrong) and the table itself, for the test and for `lum recover`.
 */
uint32_t lum__decide_matches(const struct lum__decide_evidence *evidence);
const struct lum__decision *lum__decide_table(size_t *row_count);
const char *lum__verdict_name(enum lum__verdict verdict);

#endif
