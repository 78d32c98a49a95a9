/* recovery/decide.c - the decision table. Read it as a sieve from top to bottom; each row carries the negation of the
 * rows above it, so that the rows exclude each other and the order does not matter. recovery/README.md says why each
 * row is safe.
 *
 * Refusals stand first: whatever else was seen, one proof that something durable is lost is enough. */
#include "recovery/decide.h"

#include "base/assert.h"

/* The evidence as a word. */
enum {
    MARK = 1 << 0,    /* has_clean_mark */
    REACHED = 1 << 1, /* clean_end_reached */
    BLANK = 1 << 2,   /* stop_is_blank */
    LATER = 1 << 3,   /* stop_is_unsupported */
    LOST = 1 << 4,    /* lost_segment */
    BELOW = 1 << 5,   /* below_watermark */
    BROKEN = 1 << 6,  /* broken_transaction */
    CHUNK = 1 << 7,   /* bad_chunk */
    CHUNK_SYNCED = 1 << 8,
    CHUNK_BELOW = 1 << 9,
    PROOF = LATER | LOST | BELOW | BROKEN | CHUNK_SYNCED | CHUNK_BELOW, /* what alone forbids to go on */
};

struct row {
    uint32_t want; /* bits that must be set */
    uint32_t not_; /* bits that must not be set; the others do not matter */
};

/* One row here for each in `decisions`, same order. */
static const struct row rows[] = {
    {LATER, 0},
    {LOST, LATER},
    {BELOW, LATER | LOST},
    {BROKEN, LATER | LOST | BELOW},
    {CHUNK_SYNCED, LATER | LOST | BELOW | BROKEN},
    {CHUNK_BELOW, LATER | LOST | BELOW | BROKEN | CHUNK_SYNCED},
    {MARK, PROOF | REACHED},
    {MARK | REACHED | CHUNK, PROOF},
    {MARK | REACHED, PROOF | CHUNK},
    {CHUNK, PROOF | MARK},
    {BLANK, PROOF | MARK | CHUNK},
    {0, PROOF | MARK | CHUNK | BLANK},
};

static const struct lum__decision decisions[] = {
    {'U', LUM__VERDICT_UNSUPPORTED,
     "the log goes on with an intact record of a later version of lum: nothing is touched"},
    {'L', LUM__VERDICT_REFUSE,
     "a log segment that was synced before it was named is missing or unreadable: durable log is lost"},
    {'W', LUM__VERDICT_REFUSE, "the log breaks off below its watermark: records that were durable are lost"},
    {'X', LUM__VERDICT_REFUSE,
     "a commit does not fit the chunks that the log names before it, though every record is intact"},
    {'S', LUM__VERDICT_REFUSE, "a chunk that was synced before its commit was logged is damaged: durable data is lost"},
    {'D', LUM__VERDICT_REFUSE, "a chunk of a commit at or below the watermark is damaged: durable data is lost"},
    {'M', LUM__VERDICT_REFUSE,
     "the store was closed cleanly, but its log does not reach the end that was recorded then"},
    {'N', LUM__VERDICT_REFUSE, "the store was closed cleanly, but a chunk that was whole then is damaged"},
    {'A', LUM__VERDICT_CLEAN, "closed cleanly and complete"},
    {'K', LUM__VERDICT_CUT_COMMIT,
     "chunks of a commit that was never synced did not reach the disk: cut before that commit"},
    {'B', LUM__VERDICT_ACCEPT, "not closed cleanly, but the log ends whole: everything in it is accepted"},
    {'T', LUM__VERDICT_CUT,
     "the log ends in a tail above its watermark that was never synced: cut behind the last whole record"},
};

enum { ROW_COUNT = sizeof rows / sizeof rows[0] };
_Static_assert(sizeof decisions / sizeof decisions[0] == ROW_COUNT, "one decision a row");

static uint32_t evidence_word(const struct lum__decide_evidence *evidence)
{
    return (evidence->has_clean_mark ? MARK : 0u) | (evidence->clean_end_reached ? REACHED : 0u) |
           (evidence->stop_is_blank ? BLANK : 0u) | (evidence->stop_is_unsupported ? LATER : 0u) |
           (evidence->lost_segment ? LOST : 0u) | (evidence->below_watermark ? BELOW : 0u) |
           (evidence->broken_transaction ? BROKEN : 0u) | (evidence->bad_chunk ? CHUNK : 0u) |
           (evidence->bad_chunk_data_synced ? CHUNK_SYNCED : 0u) |
           (evidence->bad_chunk_below_watermark ? CHUNK_BELOW : 0u);
}

static bool row_matches(const struct row *row, uint32_t word)
{
    return (word & row->want) == row->want && (word & row->not_) == 0;
}

uint32_t lum__decide_matches(const struct lum__decide_evidence *evidence)
{
    uint32_t word = evidence_word(evidence), matches = 0;
    for (size_t i = 0; i < ROW_COUNT; i++) matches += row_matches(&rows[i], word);
    return matches;
}

struct lum__decision lum__decide(const struct lum__decide_evidence *evidence)
{
    uint32_t word = evidence_word(evidence);
    LUM_ASSERT_SLOW(lum__decide_matches(evidence) == 1);
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (row_matches(&rows[i], word)) return decisions[i];
    }
    LUM_ASSERT(!"the table answers every combination");
    return decisions[1];
}

const struct lum__decision *lum__decide_table(size_t *row_count)
{
    *row_count = ROW_COUNT;
    return decisions;
}

const char *lum__verdict_name(enum lum__verdict verdict)
{
    switch (verdict) {
    case LUM__VERDICT_CLEAN: return "clean";
    case LUM__VERDICT_ACCEPT: return "accept";
    case LUM__VERDICT_CUT: return "cut the tail";
    case LUM__VERDICT_CUT_COMMIT: return "cut the commit";
    case LUM__VERDICT_REFUSE: return "refuse";
    case LUM__VERDICT_UNSUPPORTED: return "unsupported";
    }
    return "unknown";
}
