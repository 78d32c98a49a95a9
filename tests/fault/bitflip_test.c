/* Proves: every single bit of a small, cleanly closed store with every record type and encoding, when flipped, is
 * reported by verify with the file and an offset, or is inert: the store reads back the same, row for row. And that
 * files cut short, removed, swapped, put in from another store, or set back to an older state are reported or inert
 * likewise. Reading never returns anything but the right rows or an error.
 *
 *   bitflip_test [STEP]     flips every STEP-th bit only, from a seeded start (sanitizers are slow); default all;
 * LUM_SEED */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/parallel.h"
#include "base/random.h"
#include "base/status.h"
#include "recovery/verify.h"
#include "storage/chunk_scan.h"
#include "storage/file_sim.h"
#include "storage/page_format.h"
#include "storage/segment.h"
#include "support/tiny_store.h"

enum { FILES_MAX = 64, WORKERS_MAX = 64 };

static const lum_options options = {.struct_version = 1, .wal_segment_bytes = 16384, .data_segment_bytes_max = 24576};
static struct lum__sim *original;
static uint64_t bit_step = 1;

/* ------------------------------------------------------------------------------------------------------------ the
 * store */

static void must(lum_status status)
{
    if (status != LUM_OK)
        fail_msg("%s: %s: %s", lum_status_name(status), lum__error_last()->file, lum__error_last()->message);
}

static void commit(struct tiny *tiny, uint64_t number, uint32_t chunks, uint32_t rows, bool data_synced)
{
    struct tiny_load load = {.number = number, .chunk_count = chunks, .chunk_rows = rows, .data_synced = data_synced};
    bool written;
    must(tiny_commit(tiny, &load, &written));
}

static void commit_small(struct tiny *tiny, uint64_t number, uint32_t rows)
{
    struct tiny_load load = {.number = number, .chunk_count = 1, .chunk_rows = rows, .data_synced = true};
    bool written;
    must(tiny_commit_small(tiny, &load, &written));
}

/* Every record type lies behind the older of the two checkpoints, which carries an open transaction. */
static void fill_store(struct tiny *tiny)
{
    struct tiny_load left = {.number = 900, .chunk_count = 1, .chunk_rows = 20};
    for (uint64_t number = 0; number < 5; number++) commit(tiny, number, 1, number == 2 ? 800 : 150, true);
    must(tiny_leave(tiny, &left, false));
    must(tiny_checkpoint(tiny));
    must(tiny_leave(tiny, &left, true));
    commit(tiny, 5, 2, 60, false);
    commit_small(tiny, 6, 3); /* two in a row: the last checkpoint makes a run of them, with both as members */
    commit_small(tiny, 7, 5);
    commit(tiny, 8, 1, 40, true);
    commit_small(tiny, 9, 1);
    must(tiny_watermark(tiny));
}

static struct lum__sim *make_store(uint64_t seed)
{
    struct lum__sim *sim = lum__sim_create(seed);
    struct lum__fs *fs = NULL;
    struct tiny tiny;
    must(lum__sim_open(sim, false, &fs));
    must(tiny_create(&tiny, fs, &options));
    fill_store(&tiny);
    must(tiny_close(&tiny));
    lum__fs_close(fs);
    lum__sim_sync_all(sim);
    return sim;
}

/* ---------------------------------------------------------------------------------------------------- reading and
 * checking */

struct reading {
    uint32_t crc;
    uint64_t rows;
    uint32_t encodings; /* bits, by number */
};

static lum_status add_rows(void *context, uint32_t worker, size_t chunk_index, uint64_t position, const lum_t *rows,
                           uint32_t row_count)
{
    struct reading *reading = context;
    (void)worker, (void)chunk_index, (void)position;
    reading->crc = lum__crc32c(reading->crc, rows, row_count * sizeof *rows);
    reading->rows += row_count;
    return LUM_OK;
}

static void add_catalogue(struct reading *reading, const struct lum__catalogue_version *version)
{
    for (size_t i = 0; i < version->transaction_count; i++) {
        const struct lum__transaction *transaction = &version->transactions[i];
        if (transaction->run_count > 0) continue; /* a fold only joins what its members (all have labels) say */
        uint64_t words[] = {transaction->transaction_id, transaction->commit_sequence, transaction->commit_timestamp,
                            transaction->lum_count, transaction->digest, transaction->data_synced};
        reading->crc = lum__crc32c(reading->crc, words, sizeof words);
        reading->crc = lum__crc32c(reading->crc, transaction->label, strlen(transaction->label));
        const struct lum__metadata *metadata = &transaction->metadata;
        reading->crc = lum__crc32c(reading->crc, metadata->items, metadata->item_bytes);
        reading->crc = lum__crc32c(reading->crc, metadata->resume, metadata->resume_bytes);
    }
}

/* What a reader gets: transactions and rows. A status other than LUM_OK, or a verdict that is not clean: it was told of
 * damage. */
static lum_status read_store(struct lum__fs *fs, struct reading *out)
{
    struct lum__plan_options plan_options = {.workers = 1, .memory_bytes_max = 16 << 20, .for_reading = true};
    struct lum__chunk_scan_options scan = {.range = LUM__RANGE_ALL, .memory_bytes_max = 16 << 20};
    struct lum__segment_files *files = NULL;
    struct lum__chunk_scan_counts counts;
    struct lum__plan plan;
    memset(out, 0, sizeof *out);
    lum_status status = lum__plan_make(fs, &plan_options, &plan);
    if (status != LUM_OK) return status;
    const struct lum__catalogue_version *version = lum__catalogue_pin(plan.catalogue);
    add_catalogue(out, version);
    scan.store_id = plan.state.store_id;
    status = lum__segment_files_open(fs, plan.state.store_id, true, &files);
    if (status == LUM_OK)
        status =
            lum__chunk_scan(fs, files, version->chunks, version->chunk_count, &scan, 1, add_rows, NULL, out, &counts);
    lum__segment_files_close(files);
    if (status == LUM_OK && plan.decision.verdict != LUM__VERDICT_CLEAN) status = LUM_ERR_NEEDS_RECOVERY;
    lum__catalogue_unpin(plan.catalogue, version);
    lum__plan_fini(&plan);
    return status;
}

struct findings {
    const char *file; /* that has to be named */
    size_t count, named, with_offset;
    char first[256];
};

static void on_finding(void *context, const lum_finding *finding)
{
    struct findings *findings = context;
    if (findings->count++ == 0)
        snprintf(findings->first, sizeof findings->first, "%s: %.200s", finding->file, finding->what);
    if (strcmp(finding->file, findings->file) != 0) return;
    findings->named++;
    if (finding->offset != LUM_NO_OFFSET) findings->with_offset++;
}

enum outcome { INERT, REPORTED, SILENT, ELSEWHERE };

/* After a change of `file`: was it reported there, or does it change nothing? */
static enum outcome judge(struct lum__fs *fs, const char *file, const struct reading *right, bool offset_wanted,
                          char why[512])
{
    lum_verify_report report;
    struct findings findings = {.file = file};
    struct reading reading;
    lum_status verified = lum__verify(fs, 1, on_finding, &findings, &report);
    if (findings.count == 0 && verified == LUM_OK) {
        lum_status status = read_store(fs, &reading);
        if (status == LUM_OK && reading.crc == right->crc && reading.rows == right->rows) return INERT;
        snprintf(why, 512, "verify found nothing, but reading gives %s, %" PRIu64 " rows", lum_status_name(status),
                 reading.rows);
        return SILENT;
    }
    snprintf(why, 512, "%s, %zu findings, first %s", lum_status_name(verified), findings.count, findings.first);
    if (verified == LUM_OK || findings.count == 0) return SILENT;
    if (findings.named == 0 || (offset_wanted && findings.with_offset == 0)) return ELSEWHERE;
    return REPORTED;
}

/* Rows, where a reader gets them without an error, are the right ones. */
static bool reads_right_or_fails(struct lum__fs *fs, const struct reading *right)
{
    struct reading reading;
    return read_store(fs, &reading) != LUM_OK || (reading.crc == right->crc && reading.rows == right->rows);
}

/* --------------------------------------------------------------------------------------------------------------- all
 * files */

struct file_list {
    char paths[FILES_MAX][LUM__PATH_BYTES_MAX];
    size_t count;
    const char *folder;
};

static lum_status add_path(void *context, const char *name)
{
    struct file_list *list = context;
    if (strcmp(name, "wal") == 0 || strcmp(name, "data") == 0) return LUM_OK;
    assert_true(list->count < FILES_MAX);
    snprintf(list->paths[list->count++], LUM__PATH_BYTES_MAX, "%s%s%.40s", list->folder, list->folder[0] ? "/" : "",
             name);
    return LUM_OK;
}

static void list_files(struct lum__sim *sim, struct file_list *list)
{
    struct lum__fs *fs = NULL;
    list->count = 0;
    must(lum__sim_open(sim, true, &fs));
    for (size_t i = 0; i < 3; i++) {
        static const char *const folders[] = {"", "wal", "data"};
        list->folder = folders[i];
        must(lum__fs_list(fs, folders[i], add_path, list));
    }
    lum__fs_close(fs);
}

static void read_right(struct lum__sim *sim, struct reading *right)
{
    struct lum__fs *fs = NULL;
    must(lum__sim_open(sim, true, &fs));
    must(read_store(fs, right));
    assert_int_equal(right->rows, 4 * 150 + 800 + 2 * 60 + 3 + 5 + 40 + 1);
    lum__fs_close(fs);
}

/* -------------------------------------------------------------------------------------------------------------------
 * flips */

struct flipping {
    struct file_list files;
    uint64_t sizes[FILES_MAX];
    struct reading right;
    uint64_t start;
    struct {
        uint64_t flipped, inert;
        bool failed;
        char why[1024];
    } workers[WORKERS_MAX];
    uint32_t worker_count;
};

static bool flip_one(struct flipping *flipping, struct lum__sim *sim, struct lum__fs *fs, uint32_t worker, size_t file,
                     uint64_t bit)
{
    char path[LUM__PATH_BYTES_MAX], why[512] = "";
    memcpy(path, flipping->files.paths[file], sizeof path);
    must(lum__sim_flip_bit(sim, path, bit));
    enum outcome outcome = judge(fs, path, &flipping->right, true, why);
    bool is_right = bit % 61 != 0 || reads_right_or_fails(fs, &flipping->right);
    must(lum__sim_flip_bit(sim, path, bit));
    flipping->workers[worker].flipped++;
    if (outcome == INERT) flipping->workers[worker].inert++;
    if ((outcome == INERT || outcome == REPORTED) && is_right) return true;
    char *failure = flipping->workers[worker].why;
    snprintf(failure, sizeof flipping->workers[worker].why, "%.60s, bit %" PRIu64 " (byte %" PRIu64 "): %s%s", path,
             bit, bit / 8, is_right ? "" : "wrong rows were read; ", why);
    flipping->workers[worker].failed = true;
    return false;
}

static void flip_worker(void *context, uint32_t worker)
{
    struct flipping *flipping = context;
    struct lum__sim *sim = lum__sim_clone(original, worker);
    struct lum__fs *fs = NULL;
    uint64_t number = 0;
    bool is_well = lum__sim_open(sim, true, &fs) == LUM_OK;
    for (size_t file = 0; is_well && file < flipping->files.count; file++) {
        for (uint64_t bit = 0; is_well && bit < flipping->sizes[file] * 8; bit++, number++) {
            if ((number + flipping->start) % bit_step != 0 || number / bit_step % flipping->worker_count != worker)
                continue;
            is_well = flip_one(flipping, sim, fs, worker, file, bit);
        }
    }
    lum__fs_close(fs);
    lum__sim_destroy(sim);
}

static void every_flipped_bit_is_reported_or_inert(void **state)
{
    (void)state;
    static struct flipping flipping;
    uint64_t flipped = 0, inert = 0, bytes = 0;
    const char *seed = getenv("LUM_SEED");
    flipping.start = seed != NULL ? strtoull(seed, NULL, 10) : 0;
    list_files(original, &flipping.files);
    read_right(original, &flipping.right);
    for (size_t i = 0; i < flipping.files.count; i++) {
        must(lum__sim_file_size(original, flipping.files.paths[i], &flipping.sizes[i]));
        bytes += flipping.sizes[i];
    }
    flipping.worker_count = lum__cpu_count() < WORKERS_MAX ? lum__cpu_count() : WORKERS_MAX;
    lum__parallel(flipping.worker_count, flip_worker, &flipping);
    for (uint32_t i = 0; i < flipping.worker_count; i++) {
        if (flipping.workers[i].failed) fail_msg("%s", flipping.workers[i].why);
        flipped += flipping.workers[i].flipped;
        inert += flipping.workers[i].inert;
    }
    print_message("%" PRIu64 " bytes in %zu files: %" PRIu64 " bits flipped, %" PRIu64 " reported, %" PRIu64 " inert\n",
                  bytes, flipping.files.count, flipped, flipped - inert, inert);
    assert_true(bytes >= 65536);
    assert_true(flipped >= bytes * 8 / bit_step);
    assert_true(inert < flipped / 2);
}

/* ---------------------------------------------------------------------------------------------------------- whole
 * files */

static uint8_t *slurp(struct lum__sim *sim, const char *path, size_t *byte_count)
{
    struct lum__fs *fs = NULL;
    uint8_t *bytes = NULL;
    must(lum__sim_open(sim, true, &fs));
    must(lum__fs_read_all(fs, path, 1 << 24, &bytes, byte_count));
    lum__fs_close(fs);
    return bytes;
}

static void put_file(struct lum__sim *sim, const char *path, const uint8_t *bytes, size_t byte_count)
{
    struct lum__fs *fs = NULL;
    struct lum__file *file = NULL;
    must(lum__sim_open(sim, false, &fs));
    lum_status status = lum__fs_unlink(fs, path);
    if (status != LUM_ERR_NOT_FOUND) must(status);
    must(lum__fs_open_file(fs, path, LUM__OPEN_WRITE | LUM__OPEN_CREATE, &file));
    if (byte_count > 0) must(lum__file_write(file, bytes, byte_count, 0));
    must(lum__file_close(file));
    lum__fs_close(fs);
}

/* Judges a changed store; wants: REPORTED, or INERT allowed too. Also: a writer never loses a row over it. */
static void expect_either(struct lum__sim *sim, const char *path, const char *other_path, bool may_be_inert,
                          const char *what)
{
    struct lum__fs *fs = NULL;
    struct reading right;
    char why[512] = "";
    read_right(original, &right);
    must(lum__sim_open(sim, false, &fs));
    enum outcome outcome = judge(fs, path, &right, false, why);
    if (outcome == ELSEWHERE && other_path != NULL) outcome = judge(fs, other_path, &right, false, why);
    if (outcome != REPORTED && !(outcome == INERT && may_be_inert))
        fail_msg("%s %s: %s", path, what, outcome == INERT ? "inert" : why);
    if (!reads_right_or_fails(fs, &right)) fail_msg("%s %s: wrong rows were read", path, what);
    struct tiny tiny;
    if (tiny_open(&tiny, fs, &options) == LUM_OK) {
        const struct lum__catalogue_version *version = lum__catalogue_pin(tiny.parts.catalogue);
        if (version->lum_count != right.rows)
            fail_msg("%s %s: a writer went on with %" PRIu64 " rows", path, what, version->lum_count);
        lum__catalogue_unpin(tiny.parts.catalogue, version);
        tiny_abandon(&tiny);
    }
    lum__fs_close(fs);
}

static void expect(struct lum__sim *sim, const char *path, bool may_be_inert, const char *what)
{
    expect_either(sim, path, NULL, may_be_inert, what);
}

static void removed_and_truncated_files(void **state)
{
    (void)state;
    struct file_list files;
    list_files(original, &files);
    for (size_t i = 0; i < files.count; i++) {
        const char *path = files.paths[i];
        size_t byte_count = 0;
        uint8_t *bytes = slurp(original, path, &byte_count);
        struct lum__fs *fs = NULL;
        struct lum__sim *sim = lum__sim_clone(original, i);
        must(lum__sim_open(sim, false, &fs));
        must(lum__fs_unlink(fs, path));
        lum__fs_close(fs);
        expect(sim, path, false, "removed");
        lum__sim_destroy(sim);
        bool is_log_or_lock =
            strncmp(path, "wal/", 4) == 0 || strcmp(path, "LOCK") == 0; /* a log may be cut in its dead end */
        for (size_t length = 0; length < byte_count; length += length % 4096 == 0 ? 1 : 4095) {
            sim = lum__sim_clone(original, i);
            put_file(sim, path, bytes, length);
            expect(sim, path, is_log_or_lock, "truncated");
            lum__sim_destroy(sim);
        }
        sim = lum__sim_clone(original, i); /* longer by a block of rubbish */
        uint8_t *longer = malloc(byte_count + 4096);
        memcpy(longer, bytes, byte_count);
        memset(longer + byte_count, 0x5a, 4096);
        put_file(sim, path, longer, byte_count + 4096);
        bool has_exact_size = strcmp(path, "STATE") == 0 || strncmp(path, "checkpoint-", 11) == 0;
        expect(sim, path, !has_exact_size, "made longer");
        lum__sim_destroy(sim);
        free(longer);
        free(bytes);
    }
}

static bool is_in(const char *path, const char *beginning) { return strncmp(path, beginning, strlen(beginning)) == 0; }

static void swapped_files(void **state)
{
    (void)state;
    static const char *const kinds[] = {"wal/", "data/", "checkpoint-"};
    struct file_list files;
    size_t swapped[3] = {0};
    list_files(original, &files);
    for (size_t kind = 0; kind < 3; kind++) {
        for (size_t i = 0; i < files.count; i++) {
            for (size_t j = i + 1; j < files.count; j++) {
                if (!is_in(files.paths[i], kinds[kind]) || !is_in(files.paths[j], kinds[kind])) continue;
                size_t bytes_i, bytes_j;
                uint8_t *content_i = slurp(original, files.paths[i], &bytes_i),
                        *content_j = slurp(original, files.paths[j], &bytes_j);
                struct lum__sim *sim = lum__sim_clone(original, 1);
                put_file(sim, files.paths[i], content_j, bytes_j);
                put_file(sim, files.paths[j], content_i, bytes_i);
                expect_either(sim, files.paths[i], files.paths[j], false, "swapped");
                lum__sim_destroy(sim);
                free(content_i);
                free(content_j);
                swapped[kind]++;
            }
        }
    }
    for (size_t kind = 0; kind < 3; kind++) assert_int_not_equal(swapped[kind], 0);
}

static void files_of_another_store(void **state)
{
    (void)state;
    struct lum__sim *other = make_store(2);
    struct file_list files;
    list_files(other, &files);
    for (size_t i = 0; i < files.count; i++) {
        const char *path = files.paths[i];
        if (strcmp(path, "LOCK") == 0) continue;
        size_t byte_count;
        uint8_t *bytes = slurp(other, path, &byte_count);
        struct lum__sim *sim = lum__sim_clone(original, 1);
        put_file(sim, path, bytes, byte_count);
        if (strcmp(path, "STATE") != 0)
            expect(sim, path, false, "from another store, in its place");
        else
            expect(sim, "checkpoint-2", false, "with STATE from another store");
        lum__sim_destroy(sim);
        if (is_in(path, "wal/") || is_in(path, "data/")) { /* beside the own ones */
            const char *extra = is_in(path, "wal/") ? "wal/77.wal" : "data/77.seg";
            lum__put_u64(bytes + 56, 77);
            lum__put_u32(bytes + 508, lum__crc32c(0, bytes, 508));
            sim = lum__sim_clone(original, 1);
            put_file(sim, extra, bytes, byte_count);
            expect(sim, extra, false, "from another store, added");
            lum__sim_destroy(sim);
        }
        free(bytes);
    }
    lum__sim_destroy(other);
    struct lum__sim *sim = lum__sim_clone(original, 1);
    put_file(sim, "notes.txt", (const uint8_t *)"x", 1);
    expect(sim, "notes.txt", false, "a foreign file");
    put_file(sim, "data/1.seg.bak", (const uint8_t *)"x", 1);
    expect(sim, "data/1.seg.bak", false, "a foreign file");
    lum__sim_destroy(sim);
}

/* An older version of every file in its place: what a lost write, or a restore of one file from a backup, leaves. */
static void files_of_an_earlier_time(void **state)
{
    (void)state;
    struct lum__sim *later = lum__sim_clone(original, 1);
    struct lum__fs *fs = NULL;
    struct tiny tiny;
    must(lum__sim_open(later, false, &fs));
    must(tiny_open(&tiny, fs, &options));
    for (uint64_t number = 10; number < 14; number++) commit(&tiny, number, 2, 100, true);
    must(tiny_close(&tiny));
    lum__fs_close(fs);
    struct reading right, reading;
    must(lum__sim_open(later, true, &fs));
    must(read_store(fs, &right));
    lum__fs_close(fs);
    struct file_list files;
    list_files(original, &files);
    for (size_t i = 0; i < files.count; i++) {
        size_t byte_count;
        uint8_t *bytes = slurp(original, files.paths[i], &byte_count);
        struct lum__sim *sim = lum__sim_clone(later, 1);
        lum_verify_report report;
        put_file(sim, files.paths[i], bytes, byte_count);
        must(lum__sim_open(sim, true, &fs));
        lum_status verified = lum__verify(fs, 1, NULL, NULL, &report), read = read_store(fs, &reading);
        bool is_same = read == LUM_OK && reading.crc == right.crc && reading.rows == right.rows;
        if (read == LUM_OK && !is_same) fail_msg("%s of an earlier time: other rows were read", files.paths[i]);
        if (verified == LUM_OK && !is_same) fail_msg("%s of an earlier time: silent", files.paths[i]);
        if (strcmp(files.paths[i], "STATE") == 0) assert_int_equal(verified, LUM_ERR_CORRUPT);
        lum__fs_close(fs);
        lum__sim_destroy(sim);
        free(bytes);
    }
    lum__sim_destroy(later);
}

/* At a chunk's place: another chunk of this store that once lay there, with all its checksums right. */
static void an_older_chunk_in_a_newer_ones_place(void **state)
{
    (void)state;
    struct lum__sim *sim = lum__sim_create(3);
    struct lum__fs *fs = NULL;
    struct tiny tiny;
    struct tiny_load load = {.number = 500, .chunk_count = 1, .chunk_rows = 300, .data_synced = true};
    bool written;
    must(lum__sim_open(sim, false, &fs));
    must(tiny_create(&tiny, fs, &options));
    must(tiny_leave(&tiny, &load, true)); /* rolled back: its extent is free again */
    must(tiny_sync(&tiny));
    size_t old_count, new_count;
    uint8_t *old = slurp(sim, "data/1.seg", &old_count);
    must(tiny_commit(&tiny, &load, &written)); /* the same rows, in the same place */
    must(tiny_close(&tiny));
    uint8_t *new = slurp(sim, "data/1.seg", &new_count);
    assert_true(new_count <= old_count && new_count > 4096);
    assert_memory_equal(new + 24, old + 24, 16);               /* (segment headers) */
    assert_memory_equal(new + 4096 + 24, old + 4096 + 24, 16); /* the chunks: same segment, same offset */
    assert_memory_not_equal(new + 4096, old + 4096, 256);
    must(lum__sim_edit(sim, "data/1.seg", 4096, old + 4096, new_count - 4096));
    struct findings findings = {.file = "data/1.seg"};
    lum_verify_report report;
    assert_int_equal(lum__verify(fs, 1, on_finding, &findings, &report), LUM_ERR_CORRUPT);
    assert_int_equal(findings.with_offset, 1);
    struct reading reading;
    assert_int_equal(read_store(fs, &reading), LUM_ERR_CORRUPT);
    free(old);
    free(new);
    lum__fs_close(fs);
    lum__sim_destroy(sim);
}

/* ------------------------------------------------------------------------------------------------- is the store worth
 * it? */

static void note_encodings(struct lum__sim *sim, const struct lum__chunk_entry *chunk, uint32_t *encodings)
{
    char path[64];
    size_t byte_count;
    lum__segment_path(chunk->segment, path);
    uint8_t *bytes = slurp(sim, path, &byte_count);
    struct lum__page_entry page;
    lum__chunk_page(bytes + chunk->offset, 0, &page);
    struct lum__page_column columns[LUM__PAGE_COLUMNS];
    uint32_t count = 0, condition, at;
    assert_true(lum__page_columns(bytes + chunk->offset + page.offset, page.byte_count, columns, LUM__PAGE_COLUMNS,
                                  &count, &condition, &at));
    for (uint32_t i = 0; i < count; i++) *encodings |= 1u << columns[i].encoding;
    free(bytes);
}

static void the_store_has_every_record_type_and_encoding(void **state)
{
    (void)state;
    struct lum__fs *fs = NULL;
    uint64_t numbers[8];
    size_t count = 0;
    struct lum__checkpoint older = {0};
    struct lum__catalogue *catalogue = NULL;
    struct lum__wal_reader *reader = NULL;
    struct lum__wal_record record;
    uint32_t types = 0, encodings = 0;
    must(lum__sim_open(original, true, &fs));
    must(lum__checkpoint_list(fs, numbers, 8, &count));
    assert_int_equal(count, 2);
    must(lum__catalogue_create(&catalogue));
    must(lum__checkpoint_read(fs, numbers[1], NULL, &older, catalogue));
    assert_int_equal(older.open_count, 1);
    must(lum__wal_reader_open(fs, older.store_id, &older.replay, NULL, false, &reader));
    while (lum__wal_reader_next(reader, &record) == LUM_OK) types |= 1u << record.type;
    lum__wal_reader_close(reader);
    for (int type = LUM__WAL_BEGIN; type <= LUM__WAL_CHECKPOINT; type++) {
        assert_true(types & 1u << type);
    }
    const struct lum__catalogue_version *version = lum__catalogue_pin(catalogue);
    for (size_t i = 0; i < version->chunk_count; i++) note_encodings(original, &version->chunks[i], &encodings);
    for (int encoding = 1; encoding <= LUM__ENCODING_LAST; encoding++) {
        if (!(encodings & 1u << encoding))
            fail_msg("no column is encoded as %s", lum__encoding_name((uint8_t)encoding));
    }
    lum__catalogue_unpin(catalogue, version);
    lum__checkpoint_fini(&older);
    lum__catalogue_destroy(catalogue);
    lum__fs_close(fs);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_store_has_every_record_type_and_encoding),
        cmocka_unit_test(removed_and_truncated_files),
        cmocka_unit_test(swapped_files),
        cmocka_unit_test(files_of_another_store),
        cmocka_unit_test(files_of_an_earlier_time),
        cmocka_unit_test(an_older_chunk_in_a_newer_ones_place),
        cmocka_unit_test(every_flipped_bit_is_reported_or_inert),
    };
    if (argc > 1) bit_step = strtoull(argv[1], NULL, 10);
    if (bit_step == 0) return 2;
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); /* a million small reads: zeroing huge pages would be most of the time */
    original = make_store(1);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    lum__sim_destroy(original);
    return failed;
}
