/* The writer of refused rows by itself: whatever order workers end their pieces in, the files hold the rows in source order; what is far ahead of
 * its turn is spilled, not lost and not waited for; files are cut back to what is committed; a write that fails is told and nothing behind it
 * is taken for kept. ThreadSanitizer runs this too. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka needs some of the above */
#include <cmocka.h>

#include "cli/file_chain.h"
#include "cli/message.h"
#include "cli/reject_writer.h"
#include "support/directory.h"

static char directory[256], path[300], errors_path[320];

/* Stands in front of the C library's: what was synced, and how long it was then. */
static struct {
    _Atomic int calls;        /* written last */
    int directories, fail_at; /* fail_at: call from 1; 0: none */
    uint64_t longest;         /* of a regular file */
} syncs;

static void forget_syncs(int fail_at)
{
    syncs.calls = syncs.directories = 0;
    syncs.fail_at = fail_at;
    syncs.longest = 0;
}

int fsync(int fd)
{
    struct stat info;
    bool is_failing = syncs.calls + 1 == syncs.fail_at;
    if (!is_failing && fstat(fd, &info) == 0) {
        if (S_ISDIR(info.st_mode)) syncs.directories++;
        else if ((uint64_t)info.st_size > syncs.longest) syncs.longest = (uint64_t)info.st_size;
    }
    syncs.calls++;
    errno = EIO;
    return is_failing ? -1 : 0;
}

static int make_directory(void **state)
{
    (void)state;
    lum__message_setup(true, false);
    lum_test_directory_make(directory, sizeof directory);
    snprintf(path, sizeof path, "%s/bad.csv", directory);
    snprintf(errors_path, sizeof errors_path, "%s.errors.csv", path);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    lum_test_directory_remove(directory);
    return 0;
}

static char *read_file(const char *name, size_t *bytes)
{
    FILE *file = fopen(name, "rb");
    if (!file) return NULL;
    fseek(file, 0, SEEK_END);
    *bytes = (size_t)ftell(file);
    rewind(file);
    char *text = malloc(*bytes + 1);
    assert_int_equal(fread(text, 1, *bytes, file), *bytes);
    text[*bytes] = 0;
    fclose(file);
    return text;
}

static struct lum__reject_writer *open_writer(uint64_t max)
{
    static const struct lum__row_source reader = {.format_name = "csv", .mapping_text = "id=id", .reject_header = (const uint8_t *)"id,x\n",
                                                  .reject_header_bytes = 5};
    struct lum__reject_options options = {.path = path, .max = max, .store = "/nowhere"};
    struct lum__reject_writer *writer = NULL;
    assert_int_equal(lum__reject_writer_open(&options, &writer), 0);
    assert_int_equal(lum__reject_writer_begin_input(writer, "in.csv", &reader), LUM_OK);
    return writer;
}

/* Row `number` of the source, `bytes` long. */
static lum_status refuse(struct lum__reject_writer *writer, uint32_t worker, uint64_t number, size_t bytes)
{
    char text[4096];
    int length = snprintf(text, sizeof text, "%llu,", (unsigned long long)number);
    memset(text + length, 'x', bytes - (size_t)length);
    text[bytes - 1] = '\n';
    struct lum__rejected_row row = {.row = number, .line = number + 1, .offset = number * 10, .column = 1, .column_name = "id", .code = "syntax",
                                    .quoted_reason = "\"\"x\"\" is bad", .quoted_reason_length = strlen("\"\"x\"\" is bad"), .bytes = (const uint8_t *)text, .byte_count = bytes};
    return lum__reject_writer_row(writer, worker, "in.csv", 0, &row);
}

/* FILE's rows are those of `numbers`, ascending; the errors file says the same. */
static void check_files(const uint64_t *numbers, size_t count)
{
    size_t bytes, error_bytes;
    char *text = read_file(path, &bytes), *errors = read_file(errors_path, &error_bytes);
    assert_non_null(text);
    assert_non_null(errors);
    assert_memory_equal(text, "id,x\n", 5);
    char *at = text + 5, *error = strchr(errors, '\n') + 1;
    for (size_t i = 0; i < count; i++) {
        char line[120];
        assert_int_equal(strtoull(at, NULL, 10), numbers[i]);
        snprintf(line, sizeof line, "in.csv,%llu,%llu,%llu,1,id,syntax,\"\"\"x\"\" is bad\"\n", (unsigned long long)numbers[i],
                 (unsigned long long)numbers[i] + 1, (unsigned long long)numbers[i] * 10);
        assert_memory_equal(error, line, strlen(line));
        at = strchr(at, '\n') + 1;
        error += strlen(line);
    }
    assert_ptr_equal(at, text + bytes);
    assert_ptr_equal(error, errors + error_bytes);
    free(text);
    free(errors);
}

/* Four pieces of 20,000 rows, all refused, 1 KB each: 20 MB a piece. Pieces end in the order 3, 1, 2, 0. */
static void pieces_far_ahead_are_spilled(void **state)
{
    (void)state;
    enum { PIECE_ROWS = 20000, PIECES = 4 };
    static const uint32_t order[PIECES] = {3, 1, 2, 0};
    static uint64_t numbers[PIECE_ROWS * PIECES];
    struct lum__reject_writer *writer = open_writer(UINT64_MAX);
    struct stat info;
    for (uint32_t piece = 0; piece < PIECES; piece++) assert_int_equal(lum__reject_writer_begin_piece(writer, piece, PIECE_ROWS), LUM_OK);
    for (int i = 0; i < PIECES; i++) {
        uint32_t piece = order[i];
        for (uint64_t row = 1; row <= PIECE_ROWS; row++)
            assert_int_equal(refuse(writer, piece, piece * PIECE_ROWS + row, 1000), LUM_OK);
        assert_int_equal(lum__reject_writer_end_piece(writer, piece), LUM_OK);
        assert_int_equal(stat(path, &info), 0);
        if (piece != 0) assert_int_equal(info.st_size, 0); /* its turn has not come */
    }
    for (uint64_t i = 0; i < PIECE_ROWS * PIECES; i++) numbers[i] = i + 1;
    assert_int_equal(lum__reject_writer_sync(writer, PIECE_ROWS * PIECES), LUM_OK);
    check_files(numbers, PIECE_ROWS * PIECES);
    lum__reject_writer_committed(writer, PIECE_ROWS * 3);
    assert_int_equal(lum__reject_writer_finish(writer, false, 0), 0); /* the fourth piece's are cut off */
    assert_int_equal(lum__reject_writer_kept(writer), PIECE_ROWS * 3);
    check_files(numbers, PIECE_ROWS * 3);
    lum__reject_writer_close(writer);
}

/* ------------------------------------------------------------------------------------------------- several threads */

enum { THREADS = 8, ROWS = 400000 };
static struct {
    struct lum__reject_writer *writer;
    pthread_mutex_t claim;
    uint64_t next;
    _Atomic uint64_t failures;
} shared = {.claim = PTHREAD_MUTEX_INITIALIZER};

/* Every 10th row, and all of every 7th piece. */
static bool is_refused(uint64_t row, uint64_t piece_begin) { return row % 10 == 3 || piece_begin / 1000 % 7 == 2; }

/* Pieces that wait for an earlier one, 300 KB each: what they keep in memory has a bound. */
static void waiting_pieces_keep_little_memory(void **state)
{
    (void)state;
    enum { PIECES = 400, PIECE_ROWS = 300 };
    static uint64_t numbers[PIECES * PIECE_ROWS];
    struct lum__reject_writer *writer = open_writer(UINT64_MAX);
    assert_int_equal(lum__reject_writer_begin_piece(writer, 0, PIECE_ROWS), LUM_OK);
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd, most = 0;
    for (uint64_t piece = 1; piece < PIECES; piece++) {
        assert_int_equal(lum__reject_writer_begin_piece(writer, 1, PIECE_ROWS), LUM_OK);
        for (uint64_t row = 1; row <= PIECE_ROWS; row++) assert_int_equal(refuse(writer, 1, piece * PIECE_ROWS + row, 1000), LUM_OK);
        assert_int_equal(lum__reject_writer_end_piece(writer, 1), LUM_OK);
        size_t now = mallinfo2().uordblks + mallinfo2().hblkhd; /* 0 with a sanitizer's memory */
        if (now > before && now - before > most) most = now - before;
    }
    assert_true(most < 24 << 20);
    for (uint64_t row = 1; row <= PIECE_ROWS; row++) assert_int_equal(refuse(writer, 0, row, 100), LUM_OK);
    assert_int_equal(lum__reject_writer_end_piece(writer, 0), LUM_OK);
    for (uint64_t i = 0; i < PIECES * PIECE_ROWS; i++) numbers[i] = i + 1;
    assert_int_equal(lum__reject_writer_sync(writer, PIECES * PIECE_ROWS), LUM_OK);
    check_files(numbers, PIECES * PIECE_ROWS);
    lum__reject_writer_close(writer);
}

/* One input's names are gone when the next one's come, perhaps to the same memory. */
static void names_of_a_piece_are_its_own(void **state)
{
    (void)state;
    struct lum__reject_writer *writer = open_writer(UINT64_MAX);
    char name[8];
    for (uint64_t piece = 0; piece < 3; piece++) {
        snprintf(name, sizeof name, "x%llu", (unsigned long long)piece);
        struct lum__rejected_row row = {.row = piece + 1, .line = piece + 2, .column = 2, .column_name = name, .code = "range", .quoted_reason = "no", .quoted_reason_length = 2,
                                        .bytes = (const uint8_t *)"1,2\n", .byte_count = 4};
        assert_int_equal(lum__reject_writer_begin_piece(writer, 0, 1), LUM_OK);
        assert_int_equal(lum__reject_writer_row(writer, 0, "in.csv", 0, &row), LUM_OK);
        assert_int_equal(lum__reject_writer_end_piece(writer, 0), LUM_OK);
    }
    assert_int_equal(lum__reject_writer_sync(writer, 3), LUM_OK);
    size_t bytes;
    char *errors = read_file(errors_path, &bytes);
    assert_string_equal(strchr(errors, '\n') + 1, "in.csv,1,2,0,2,x0,range,\"no\"\nin.csv,2,3,0,2,x1,range,\"no\"\nin.csv,3,4,0,2,x2,range,\"no\"\n");
    free(errors);
    lum__reject_writer_close(writer);
}

static void *work(void *context)
{
    uint32_t worker = (uint32_t)(uintptr_t)context;
    for (;;) {
        pthread_mutex_lock(&shared.claim);
        uint64_t begin = shared.next, count = begin / 1000 % 7 == 2 ? 5000 : 1000;
        if (begin < ROWS) {
            if (count > ROWS - begin) count = ROWS - begin;
            shared.next += count;
            if (lum__reject_writer_begin_piece(shared.writer, worker, count) != LUM_OK) shared.failures++;
        }
        pthread_mutex_unlock(&shared.claim);
        if (begin >= ROWS) return NULL;
        if (begin % 13 == 0) usleep(2000); /* a slow one, which others overtake */
        for (uint64_t row = begin; row < begin + count; row++)
            if (is_refused(row, begin) && refuse(shared.writer, worker, row + 1, 900) != LUM_OK) shared.failures++;
        if (lum__reject_writer_end_piece(shared.writer, worker) != LUM_OK) shared.failures++;
    }
}

static void any_number_of_workers_write_in_order(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    uint64_t *numbers = malloc(ROWS * sizeof *numbers);
    size_t count = 0;
    shared.writer = open_writer(UINT64_MAX);
    for (uintptr_t i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)i), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(shared.failures, 0);
    for (uint64_t begin = 0; begin < ROWS;) {
        uint64_t piece = begin / 1000 % 7 == 2 ? 5000 : 1000;
        if (piece > ROWS - begin) piece = ROWS - begin;
        for (uint64_t row = begin; row < begin + piece; row++)
            if (is_refused(row, begin)) numbers[count++] = row + 1;
        begin += piece;
    }
    assert_int_equal(lum__reject_writer_sync(shared.writer, ROWS), LUM_OK);
    lum__reject_writer_committed(shared.writer, ROWS);
    assert_int_equal(lum__reject_writer_finish(shared.writer, false, 0), 0);
    assert_int_equal(lum__reject_writer_count(shared.writer), count);
    assert_int_equal(lum__reject_writer_kept(shared.writer), count);
    check_files(numbers, count);
    lum__reject_writer_close(shared.writer);
    free(numbers);
}

/* ----------------------------------------------------------------------------------------------------- failures */

static void a_write_that_fails_is_told(void **state)
{
    (void)state;
    struct rlimit before, small = {.rlim_cur = 100000};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    struct lum__reject_writer *writer = open_writer(UINT64_MAX);
    uint64_t numbers[] = {1, 2};
    assert_int_equal(lum__reject_writer_begin_piece(writer, 0, 10), LUM_OK);
    assert_int_equal(refuse(writer, 0, 1, 50), LUM_OK);
    assert_int_equal(refuse(writer, 0, 2, 50), LUM_OK);
    assert_int_equal(lum__reject_writer_end_piece(writer, 0), LUM_OK);
    assert_int_equal(lum__reject_writer_sync(writer, 10), LUM_OK);
    lum__reject_writer_committed(writer, 10);
    assert_int_equal(lum__reject_writer_begin_piece(writer, 0, 1000), LUM_OK);
    for (uint64_t row = 11; row <= 1010; row++) assert_int_equal(refuse(writer, 0, row, 500), LUM_OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    (void)lum__reject_writer_end_piece(writer, 0); /* tells it if all was written by then */
    lum_status sync_status = lum__reject_writer_sync(writer, 1010);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(sync_status, LUM_ERR_IO); /* so no commit counts these rows */
    assert_int_equal(lum__reject_writer_sync(writer, 1010), LUM_ERR_IO);
    assert_int_equal(lum__reject_writer_begin_piece(writer, 0, 10), LUM_ERR_IO);
    assert_true(lum__reject_writer_has_failed(writer));
    assert_int_equal(lum__reject_writer_say_failure(writer), LUM__EXIT_NO_SPACE); /* ulimit -f is a full disk */
    assert_int_equal(lum__reject_writer_finish(writer, false, 1), 1);
    check_files(numbers, 2); /* what is committed */
    lum__reject_writer_close(writer);
}

static void refuse_one(struct lum__reject_writer *writer, uint64_t number)
{
    assert_int_equal(lum__reject_writer_begin_piece(writer, 0, 10), LUM_OK);
    assert_int_equal(refuse(writer, 0, number, 500), LUM_OK);
    assert_int_equal(lum__reject_writer_end_piece(writer, 0), LUM_OK);
}

/* All rows, both files and, once, their names; nothing where nothing is new. */
static void a_commit_finds_its_rows_synced(void **state)
{
    (void)state;
    struct lum__reject_writer *writer = open_writer(UINT64_MAX);
    forget_syncs(0);
    assert_int_equal(lum__reject_writer_sync(writer, 0), LUM_OK);
    assert_int_equal(syncs.calls, 0); /* no refused row */
    refuse_one(writer, 1);
    assert_int_equal(lum__reject_writer_sync(writer, 10), LUM_OK);
    assert_int_equal(syncs.calls, 3);
    assert_int_equal(syncs.directories, 1);
    assert_int_equal(syncs.longest, 5 + 500);
    lum__reject_writer_committed(writer, 10);
    assert_int_equal(lum__reject_writer_sync(writer, 10), LUM_OK);
    assert_int_equal(syncs.calls, 3);
    refuse_one(writer, 11);
    assert_int_equal(lum__reject_writer_sync(writer, 20), LUM_OK);
    assert_int_equal(syncs.calls, 5);
    assert_int_equal(syncs.longest, 5 + 2 * 500);
    lum__reject_writer_close(writer);
}

/* Waits for the thread that syncs ahead; false: it does not come so far. */
static bool have_been_synced(int calls)
{
    for (int i = 0; i < 1000 && syncs.calls < calls; i++) usleep(10000);
    return syncs.calls == calls;
}

/* Commits rows_end rows, of which the refused ones, of `bytes` each, are `numbers`: each file is synced once by then, whole. */
static void commit_all(struct lum__reject_writer *writer, uint64_t rows_end, const uint64_t *numbers, size_t count, size_t bytes)
{
    assert_int_equal(lum__reject_writer_sync(writer, rows_end), LUM_OK);
    assert_int_equal(syncs.calls, 3);
    assert_int_equal(syncs.directories, 1);
    assert_int_equal(syncs.longest, 5 + count * bytes);
    lum__reject_writer_committed(writer, rows_end);
    assert_int_equal(lum__reject_writer_finish(writer, false, 0), 0);
    check_files(numbers, count);
    lum__reject_writer_close(writer);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(errors_path), 0);
}

/* A piece that went to the spill to its last byte; nothing of it is left in memory when its turn comes. */
static void what_was_spilled_is_synced_too(void **state)
{
    (void)state;
    enum { BYTES = 4096, COUNT = (1 << 20) / BYTES }; /* a full block */
    for (int is_ahead = 0; is_ahead < 2; is_ahead++) {
        struct lum__reject_writer *writer = open_writer(UINT64_MAX);
        uint64_t numbers[COUNT];
        forget_syncs(0);
        assert_int_equal(lum__reject_writer_begin_piece(writer, 0, 10), LUM_OK);
        assert_int_equal(lum__reject_writer_begin_piece(writer, 1, COUNT), LUM_OK);
        for (uint64_t row = 0; row < COUNT; row++) assert_int_equal(refuse(writer, 1, numbers[row] = 11 + row, BYTES), LUM_OK);
        assert_int_equal(lum__reject_writer_end_piece(writer, 1), LUM_OK);
        assert_int_equal(lum__reject_writer_end_piece(writer, 0), LUM_OK);
        if (is_ahead) lum__reject_writer_end_inputs(writer);
        if (is_ahead) assert_true(have_been_synced(3));
        commit_all(writer, 10 + COUNT, numbers, COUNT, BYTES);
    }
}

static void a_sync_that_fails_is_told_and_never_tried_again(void **state)
{
    (void)state;
    for (int fail_at = 1; fail_at <= 3; fail_at++) {
        struct lum__reject_writer *writer = open_writer(UINT64_MAX);
        forget_syncs(fail_at);
        refuse_one(writer, 1);
        assert_int_equal(lum__reject_writer_sync(writer, 10), LUM_ERR_IO);
        assert_int_equal(syncs.calls, fail_at);
        assert_int_equal(lum__reject_writer_sync(writer, 10), LUM_ERR_IO);
        assert_int_equal(syncs.calls, fail_at);
        assert_int_equal(lum__reject_writer_finish(writer, false, 1), 1);
        assert_int_not_equal(access(path, F_OK), 0);
        lum__reject_writer_close(writer);
    }
    forget_syncs(0);
}

/* When the inputs are over and the last piece is, whichever comes first: before anybody commits. */
static void rows_are_synced_ahead_of_the_last_commit(void **state)
{
    (void)state;
    for (int is_end_last = 0; is_end_last < 2; is_end_last++) {
        struct lum__reject_writer *writer = open_writer(UINT64_MAX);
        forget_syncs(0);
        assert_int_equal(lum__reject_writer_begin_piece(writer, 0, 10), LUM_OK);
        assert_int_equal(lum__reject_writer_begin_piece(writer, 1, 10), LUM_OK);
        assert_int_equal(refuse(writer, 1, 11, 500), LUM_OK);
        assert_int_equal(refuse(writer, 0, 1, 500), LUM_OK);
        for (int i = 0; i < 2 && !is_end_last; i++) lum__reject_writer_end_inputs(writer);
        assert_int_equal(lum__reject_writer_end_piece(writer, 0), LUM_OK);
        usleep(20000);
        assert_int_equal(syncs.calls, 0); /* a row may follow */
        assert_int_equal(lum__reject_writer_end_piece(writer, 1), LUM_OK);
        for (int i = 0; i < 2 && is_end_last; i++) lum__reject_writer_end_inputs(writer);
        assert_true(have_been_synced(3));
        commit_all(writer, 20, (const uint64_t[]){1, 11}, 2, 500);
    }
}

/* The chain of input files tells when they are over. */
static void inputs_that_are_over_are_told(void **state)
{
    (void)state;
    char input[300];
    snprintf(input, sizeof input, "%s/in.csv", directory);
    FILE *file = fopen(input, "w");
    assert_non_null(file);
    fputs("id,x\n1,2\nbad,3\n", file);
    fclose(file);
    struct lum__mapping mapping = LUM__MAPPING_INIT;
    assert_int_equal(lum__mapping_add(&mapping, "id=id"), LUM_OK);
    struct lum__reject_options reject_options = {.path = path, .max = UINT64_MAX, .store = "/nowhere"};
    struct lum__chain_options options = {.paths = (const char *const[]){input}, .path_count = 1, .rows.mapping = &mapping};
    struct lum__file_chain *chain;
    lum_piece piece;
    lum_t rows[8];
    size_t count;
    assert_int_equal(lum__reject_writer_open(&reject_options, &options.rejects), 0);
    forget_syncs(0);
    assert_int_equal(lum__file_chain_open(&options, &chain), LUM_OK);
    const lum_source *source = lum__file_chain_source(chain);
    assert_int_equal(source->open_piece(source->context, 0, 100, &piece), LUM_OK);
    assert_int_equal(source->fill(source->context, 0, rows, 8, &count), LUM_OK);
    assert_int_equal(count, 1);
    assert_int_equal(source->fill(source->context, 0, rows, 8, &count), LUM_OK);
    assert_int_equal(count, 0);
    assert_int_equal(source->open_piece(source->context, 0, 100, &piece), LUM_END);
    assert_true(have_been_synced(3));
    lum__file_chain_close(chain);
    lum__reject_writer_close(options.rejects);
    lum__mapping_destroy(&mapping);
}

static void a_sync_ahead_that_fails_stops_the_commit(void **state)
{
    (void)state;
    for (int fail_at = 1; fail_at <= 3; fail_at++) {
        struct lum__reject_writer *writer = open_writer(UINT64_MAX);
        forget_syncs(fail_at);
        refuse_one(writer, 1);
        lum__reject_writer_end_inputs(writer);
        if (fail_at < 3) assert_true(have_been_synced(fail_at)); /* else the commit may find it at work */
        assert_int_equal(lum__reject_writer_sync(writer, 10), LUM_ERR_IO);
        assert_int_equal(syncs.calls, fail_at);
        assert_int_equal(lum__reject_writer_finish(writer, false, 1), 1);
        assert_int_not_equal(access(path, F_OK), 0);
        lum__reject_writer_close(writer);
    }
    forget_syncs(0);
}

static void a_piece_that_is_not_over_stops_its_commit(void **state)
{
    (void)state;
    struct lum__reject_writer *writer = open_writer(UINT64_MAX);
    assert_int_equal(lum__reject_writer_begin_piece(writer, 0, 10), LUM_OK);
    assert_int_equal(lum__reject_writer_begin_piece(writer, 1, 10), LUM_OK);
    assert_int_equal(refuse(writer, 1, 12, 50), LUM_OK);
    assert_int_equal(lum__reject_writer_end_piece(writer, 1), LUM_OK);
    assert_int_not_equal(lum__reject_writer_sync(writer, 20), LUM_OK);
    lum__reject_writer_close(writer);
}

/* A load that was killed behind a sync of more rows than are committed; the one that goes on may end before it reads anything. */
static void what_goes_on_begins_as_committed(void **state)
{
    (void)state;
    static const char header[] = "\x93NUMPY {'descr': [('id', '<u8')], 'fortran_order': False, 'shape': (0,), }            \n";
    static const struct lum__row_source reader = {.format_name = "npy", .mapping_text = "id=id", .reject_header = (const uint8_t *)header,
                                                  .reject_header_bytes = sizeof header - 1};
    struct lum__reject_options options = {.path = path, .max = UINT64_MAX, .store = "/nowhere", .counts_points = true};
    struct lum__reject_writer *writer;
    struct lum__reject_point point;
    size_t bytes;
    assert_int_equal(lum__reject_writer_open(&options, &writer), 0);
    assert_int_equal(lum__reject_writer_begin_input(writer, "in.csv", &reader), LUM_OK);
    refuse_one(writer, 1);
    assert_int_equal(lum__reject_writer_sync(writer, 10), LUM_OK);
    lum__reject_writer_point(writer, 10, &point);
    lum__reject_writer_committed(writer, 10);
    for (uint64_t piece = 1; piece < 12; piece++) refuse_one(writer, piece * 10 + 1);
    assert_int_equal(lum__reject_writer_sync(writer, 120), LUM_OK);
    lum__reject_writer_close(writer); /* no lum__reject_writer_finish(): as it is found after a kill */
    char *text = read_file(path, &bytes);
    assert_non_null(strstr(text, "'shape': (12,), }           \n"));
    assert_int_equal(bytes, sizeof header - 1 + 12 * 500);
    free(text);

    forget_syncs(0);
    options.go_on = &point;
    assert_int_equal(lum__reject_writer_open(&options, &writer), 0);
    assert_true(syncs.calls >= 2);
    assert_int_equal(syncs.longest, sizeof header - 1 + 500);
    lum__reject_writer_close(writer);
    text = read_file(path, &bytes);
    assert_non_null(strstr(text, "'shape': (1,), }            \n"));
    assert_int_equal(bytes, sizeof header - 1 + 500);
    free(text);
}

static void more_than_the_most_are_refused(void **state)
{
    (void)state;
    struct lum__reject_writer *writer = open_writer(2);
    assert_int_equal(lum__reject_writer_begin_piece(writer, 0, 10), LUM_OK);
    assert_int_equal(refuse(writer, 0, 1, 50), LUM_OK);
    assert_int_equal(refuse(writer, 0, 2, 50), LUM_OK);
    assert_int_equal(refuse(writer, 0, 3, 50), LUM_ERR_INPUT);
    assert_string_equal(lum_last_error()->file, "in.csv");
    assert_int_equal(lum_last_error()->line, 4);
    assert_int_equal(lum__reject_writer_finish(writer, false, 6), 6);
    assert_int_not_equal(access(path, F_OK), 0); /* nothing is committed: removed */
    assert_int_not_equal(access(errors_path, F_OK), 0);
    lum__reject_writer_close(writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pieces_far_ahead_are_spilled, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(waiting_pieces_keep_little_memory, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(names_of_a_piece_are_its_own, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(any_number_of_workers_write_in_order, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(a_write_that_fails_is_told, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(a_commit_finds_its_rows_synced, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(what_was_spilled_is_synced_too, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(a_sync_that_fails_is_told_and_never_tried_again, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(rows_are_synced_ahead_of_the_last_commit, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(inputs_that_are_over_are_told, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(a_sync_ahead_that_fails_stops_the_commit, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(a_piece_that_is_not_over_stops_its_commit, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(what_goes_on_begins_as_committed, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(more_than_the_most_are_refused, make_directory, remove_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
