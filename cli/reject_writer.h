/* cli/reject_writer.h - rows that a load refuses and goes on: counted against --max-errors and, with --on-error reject=FILE,
 * written to FILE and FILE.errors.csv in input order, whatever the number of workers.
 *
 * Each worker gathers the refused rows of its piece in a buffer of its own, without a lock. A piece that is over and the
 * oldest is written; one that is over before its turn is parked, and written by whoever ends the piece before it. Nobody
 * waits for another worker's piece: a wait in here could never end, for a waiting worker keeps chunk buffers and
 * unreaped writes that the worker with the oldest piece may need to go on. What is ahead of its turn and
 * too large to be kept in memory goes to a file without a name beside FILE (the spill) and is copied from there when its turn comes.
 * It never takes more room than FILE would need for the same rows.
 *
 * Memory: 2 MiB a worker, 16 MiB for parked pieces, and a mark of 32 bytes for each piece with refused rows of transactions
 * that are not committed. */
#ifndef LUM_CLI_REJECT_WRITER_H
#define LUM_CLI_REJECT_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/reject_files.h"
#include "formats/row_source.h"
#include "lum/lum.h"

struct lum__reject_writer;

struct lum__reject_options {
    const char *path; /* NULL: skipped rows are counted, not kept */
    uint64_t max;     /* more refused rows than that end the load; UINT64_MAX: any number */
    const char *store;
    const char *const *inputs; /* that FILE must not be one of */
    size_t input_count;
    const struct lum__reject_point *go_on; /* behind which the load goes on; NULL: from the beginning */
    uint64_t refused_before;               /* rows refused in front of it; counted against max */
    bool counts_points;                    /* lum__reject_writer_point() will be asked */
};

/* Returns 0, or the exit code of what is wrong with the path, which was said. Strings are lent until the close. */
int lum__reject_writer_open(const struct lum__reject_options *options, struct lum__reject_writer **out);

/* What a source of rows tells, in source order and one at a time: an input begins (LUM_ERR_INPUT if rows of it cannot go into one
 * file with those before), and a worker begins a piece of `row_count` rows. */
lum_status lum__reject_writer_begin_input(struct lum__reject_writer *writer, const char *name,
                                          const struct lum__row_source *reader);
lum_status lum__reject_writer_begin_piece(struct lum__reject_writer *writer, uint32_t worker, uint64_t row_count);
/* No piece and no input follows; may be called again, by any worker. As soon as the last piece is over, what is refused is made durable by a thread
 * of its own: beside the last chunks, not behind them. lum__reject_writer_sync() waits for that thread and tells its failure. */
void lum__reject_writer_end_inputs(struct lum__reject_writer *writer);
/* By the worker: a refused row of its piece, and the piece's end. first_row: rows of the inputs before this one. A status other
 * than LUM_OK ends the load: too many (LUM_ERR_INPUT, described), or not written (see lum__reject_writer_has_failed). */
lum_status lum__reject_writer_row(struct lum__reject_writer *writer, uint32_t worker, const char *name, uint64_t first_row,
                                  const struct lum__rejected_row *row);
lum_status lum__reject_writer_end_piece(struct lum__reject_writer *writer, uint32_t worker);

/* False where rows are skipped: then there is nothing to sync. */
bool lum__reject_writer_has_files(const struct lum__reject_writer *writer);
/* Makes every refused row among the first rows_end of the source durable: for before_commit. All of their pieces are over. */
lum_status lum__reject_writer_sync(struct lum__reject_writer *writer, uint64_t rows_end);
/* How far the files are durable with that, after lum__reject_writer_sync(). */
void lum__reject_writer_point(struct lum__reject_writer *writer, uint64_t rows_end, struct lum__reject_point *out);
/* The first rows_end of the source are committed: for on_commit. */
void lum__reject_writer_committed(struct lum__reject_writer *writer, uint64_t rows_end);

/* Writing failed; lum__reject_writer_say_failure() says it and returns the exit code. */
bool lum__reject_writer_has_failed(struct lum__reject_writer *writer);
int lum__reject_writer_say_failure(struct lum__reject_writer *writer);

/* Once the load is over. Cuts the files back to what belongs to committed transactions (removes them where that is nothing) unless
 * keep_all (a commit is in doubt), and says what they hold. Returns exit_code, or the failure's. */
int lum__reject_writer_finish(struct lum__reject_writer *writer, bool keep_all, int exit_code);

/* After the finish. */
uint64_t lum__reject_writer_kept(const struct lum__reject_writer *writer); /* rows in FILE, of what was loaded before too */
uint64_t lum__reject_writer_count(const struct lum__reject_writer *writer); /* rows refused by this run */
const char *lum__reject_writer_path(const struct lum__reject_writer *writer, enum lum__reject_file file); /* NULL without FILE */
void lum__reject_writer_close(struct lum__reject_writer *writer); /* NULL is fine */

#endif
