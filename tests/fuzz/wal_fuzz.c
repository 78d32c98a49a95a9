/* Proves that the log reader answers any bytes in wal/ without crashing, looping or leaving its buffers (run it under a
 * sanitizer to see the last), and that damage of any kind - as long as nobody makes the checksums right again - is
 * never returned as a record. An input is a list of 8-byte changes to the files of a small log: flips, stray blocks,
 * blocks from elsewhere, cut files, and forgeries with right checksums; or (first byte 255) a whole segment file.
 *
 * Without LUM_LIBFUZZER: random changes, LUM_ROUNDS times from LUM_SEED. With it: the entry point of libFuzzer,
 *   clang -fsanitize=fuzzer,address -DLUM_LIBFUZZER ... (tests/README.md) */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/random.h"
#include "base/status.h"
#include "storage/file_sim.h"
#include "storage/header.h"
#include "support/wal_script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEGMENT_BYTES = 16384, FILES_MAX = 16, PLACES_MAX = 4096, CHANGE_BYTES = 8, CHANGES_MAX = 64 };

#define DEMAND(truth)                                                                                                  \
    do {                                                                                                               \
        if (!(truth)) {                                                                                                \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #truth);                                                \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* The undamaged log: two lives, several segments, one of them recycled. */
static struct lum__sim *base;
static struct wal_script script;
static uint64_t files[FILES_MAX]; /* segment numbers */
static uint32_t file_count;
static struct {
    uint64_t segment, offset;
} places[PLACES_MAX]; /* of its records */
static uint32_t place_count;

static lum_status note_file(void *context, const char *name)
{
    (void)context;
    uint64_t number = lum__wal_name_number(name);
    if (number != 0 && file_count < FILES_MAX) files[file_count++] = number;
    return LUM_OK;
}

static void note_places(struct lum__fs *fs)
{
    struct lum__wal_reader *reader;
    struct lum__wal_record record;
    DEMAND(lum__wal_reader_open(fs, wal_store_id, &script.older, NULL, false, &reader) == LUM_OK);
    while (lum__wal_reader_next(reader, &record) == LUM_OK && place_count < PLACES_MAX) {
        places[place_count].segment = record.segment;
        places[place_count++].offset = record.offset;
    }
    lum__wal_reader_close(reader);
    DEMAND(place_count > 20);
}

static void make_base(void)
{
    struct lum__fs *fs;
    struct lum__wal_writer *writer;
    struct lum__wal_writer_options options;
    struct lum__wal_evidence end;
    base = lum__sim_create(7);
    wal_script_init(&script, 7);
    wal_with_metadata = true;
    script.segment_bytes = SEGMENT_BYTES;
    script.batch_bytes_max = 8192;
    DEMAND(lum__sim_open(base, false, &fs) == LUM_OK);
    DEMAND(wal_script_first(&script, fs, &writer) == LUM_OK);
    while (script.older.segment < 3) DEMAND(wal_script_run(&script, writer, 20) == LUM_OK);
    DEMAND(wal_script_batch(&script, writer, 12, false) == LUM_OK);
    DEMAND(lum__wal_writer_close(writer) == LUM_OK);
    DEMAND(*wal_script_check(&script, fs, &script.newest, true, &end) == 0);
    end.position = script.newest; /* a cut with a dead tail behind it */
    script.epoch++;
    wal_script_options(&script, fs, &options);
    DEMAND(lum__wal_writer_start(&options, &end.position, &writer) == LUM_OK);
    wal_script_cut(&script, &end.position);
    for (int i = 0; i < 9; i++) DEMAND(wal_script_batch(&script, writer, 15, i % 2 == 0) == LUM_OK);
    DEMAND(lum__wal_writer_close(writer) == LUM_OK);
    DEMAND(lum__fs_list(fs, "wal", note_file, NULL) == LUM_OK);
    note_places(fs);
    lum__fs_close(fs);
}

/* Overwrites what of the place lies inside the file. */
static void edit(struct lum__sim *sim, const char *path, uint64_t offset, const void *bytes, size_t count)
{
    uint64_t size = 0;
    if (lum__sim_file_size(sim, path, &size) != LUM_OK || offset >= size) return;
    if (count > size - offset) count = (size_t)(size - offset);
    DEMAND(lum__sim_edit(sim, path, offset, bytes, count) == LUM_OK);
}

static void path_of(uint8_t choice, char path[64]) { lum__wal_path(files[choice % file_count], path); }

static bool read_at(struct lum__fs *fs, const char *path, uint64_t offset, uint8_t *out, size_t count)
{
    struct lum__file *file = NULL;
    size_t bytes_read = 0;
    if (lum__fs_open_file(fs, path, LUM__OPEN_READ, &file) != LUM_OK) return false;
    lum_status status = lum__file_read(file, out, count, offset, &bytes_read);
    (void)lum__file_close(file);
    return status == LUM_OK && bytes_read == count;
}

static void cut_file(struct lum__fs *fs, const char *path, uint64_t size)
{
    struct lum__file *file = NULL;
    if (lum__fs_open_file(fs, path, LUM__OPEN_WRITE, &file) != LUM_OK) return;
    DEMAND(lum__file_truncate(file, size) == LUM_OK);
    (void)lum__file_close(file);
}

/* Changes a record and makes its checksums right again. */
static void forge_record(struct lum__sim *sim, struct lum__fs *fs, uint32_t index, uint32_t at, uint32_t value)
{
    uint8_t bytes[LUM__BLOCK_BYTES];
    char path[64];
    lum__wal_path(places[index % place_count].segment, path);
    uint64_t offset = places[index % place_count].offset;
    if (!read_at(fs, path, offset, bytes, 512) || memcmp(bytes, "WALX", 4) != 0) return;
    lum__put_u32(bytes + at % 256 / 4 * 4, value);
    uint32_t payload_bytes = lum__get_u32(bytes + 40);
    if (payload_bytes <= 512 - 96) lum__put_u32(bytes + 44, lum__crc32c(0, bytes + 96, payload_bytes));
    lum__put_u32(bytes + 92, lum__crc32c(lum__crc32c(0, wal_store_id, 16), bytes, 92));
    edit(sim, path, offset, bytes, 512);
}

static void forge_header(struct lum__sim *sim, struct lum__fs *fs, const char *path, uint32_t at, uint32_t value)
{
    uint8_t block[LUM__BLOCK_BYTES];
    if (!read_at(fs, path, 0, block, sizeof block)) return;
    lum__put_u32(block + 56 + at % 80 / 4 * 4, value);
    lum__header_seal(block);
    edit(sim, path, 0, block, sizeof block);
}

/* Returns true if it forged something: then what comes back need not be what was written. */
static bool change(struct lum__sim *sim, struct lum__fs *fs, const uint8_t *op)
{
    uint8_t block[LUM__BLOCK_BYTES];
    char path[64], other[64];
    uint32_t a = lum__get_u16(op + 2), b = lum__get_u16(op + 4), value = lum__get_u16(op + 6);
    uint64_t size = 0;
    path_of(op[1], path);
    path_of(op[6], other);
    if (lum__sim_file_size(sim, path, &size) != LUM_OK || size == 0) return false;
    switch (op[0] % 9) {
    case 0: DEMAND(lum__sim_flip_bit(sim, path, ((uint64_t)a << 16 | b) % (size * 8)) == LUM_OK); return false;
    case 1: edit(sim, path, (uint64_t)a * 16 % size, op + 4, 1 + b % 4); return false;
    case 2:
        memset(block, (int)(b & 1 ? value : 0), sizeof block);
        edit(sim, path, a % 4 * LUM__BLOCK_BYTES, block, sizeof block);
        return false;
    case 3: /* a misdirected or stale write */
        if (!read_at(fs, other, b % 4 * LUM__BLOCK_BYTES, block, sizeof block)) return false;
        edit(sim, path, a % 4 * LUM__BLOCK_BYTES, block, sizeof block);
        return false;
    case 4: cut_file(fs, path, (uint64_t)a * 8 % (SEGMENT_BYTES + 4096)); return false;
    case 5: DEMAND(lum__fs_unlink(fs, path) == LUM_OK); return false;
    case 6: DEMAND(lum__fs_rename(fs, path, other) == LUM_OK); return false;
    case 7: forge_record(sim, fs, a, b, value & 1 ? value >> 1 : 0xffffff00u | value); return true;
    default: forge_header(sim, fs, path, b, value & 1 ? value >> 1 : 0xffffff00u | value); return true;
    }
}

/* Reads it all and demands what must hold of any bytes. */
static void read_all(struct lum__fs *fs, const struct lum__log_position *from, const struct lum__log_position *limit,
                     bool is_forged)
{
    struct lum__wal_reader *reader;
    struct lum__wal_record record;
    struct lum__wal_evidence evidence;
    struct lum__log_position before, after;
    lum_status status;
    uint64_t count = 0;
    DEMAND(lum__wal_reader_open(fs, wal_store_id, from, limit, true, &reader) == LUM_OK);
    lum__wal_reader_position(reader, &before);
    while ((status = lum__wal_reader_next(reader, &record)) == LUM_OK) {
        DEMAND(++count <= (uint64_t)FILES_MAX * (SEGMENT_BYTES + 65536) / 96);
        DEMAND(record.sequence == before.sequence + 1);
        DEMAND(record.segment >= before.segment);
        DEMAND(record.watermark < record.sequence);
        DEMAND(is_forged || wal_script_is_right(&script, &record, true));
        lum__wal_reader_position(reader, &after);
        DEMAND(after.sequence == record.sequence && after.segment == record.segment && after.offset > record.offset);
        before = after;
    }
    DEMAND(status == LUM_END);
    DEMAND(lum__wal_reader_evidence(reader, &evidence) == LUM_OK);
    DEMAND(evidence.stop != LUM__WAL_STOP_NONE);
    DEMAND(evidence.position.sequence == from->sequence + count);
    DEMAND(evidence.watermark_accepted <= evidence.position.sequence);
    DEMAND(memchr(evidence.message, 0, sizeof evidence.message) != NULL && evidence.message[0] != 0);
    lum__wal_reader_close(reader);
}

static lum_status ignore_bad(void *context, const char *path)
{
    (void)path;
    ++*(uint32_t *)context;
    return LUM_OK;
}

static void look_at_all(struct lum__sim *sim, bool is_forged)
{
    static const struct lum__log_position beginning;
    struct lum__wal_segment *segments = NULL;
    struct lum__fs *fs;
    size_t count;
    uint32_t bad = 0;
    DEMAND(lum__sim_open(sim, true, &fs) == LUM_OK);
    read_all(fs, &beginning, NULL, is_forged);
    read_all(fs, &script.older, NULL, is_forged);
    read_all(fs, &script.newest, &script.newest, is_forged);
    read_all(fs, &script.older, &script.newest, is_forged);
    DEMAND(lum__wal_list(fs, NULL, &segments, &count, ignore_bad, &bad) == LUM_OK);
    DEMAND(count + bad <= FILES_MAX);
    free(segments);
    lum__fs_close(fs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lum__fs *fs;
    bool is_forged = false;
    if (base == NULL) make_base();
    struct lum__sim *sim = lum__sim_clone(base, 1);
    DEMAND(lum__sim_open(sim, false, &fs) == LUM_OK);
    if (size > 0 && data[0] == 255) { /* a whole file, in place of the one that the newest checkpoint names */
        char path[64];
        lum__wal_path(script.newest.segment, path);
        if (size > 1) edit(sim, path, 0, data + 1, size - 1 < 65536 ? size - 1 : 65536);
        is_forged = true;
    } else {
        for (uint32_t i = 0; i < CHANGES_MAX && (i + 1) * CHANGE_BYTES <= size; i++)
            if (change(sim, fs, data + i * CHANGE_BYTES)) is_forged = true;
    }
    lum__fs_close(fs);
    look_at_all(sim, is_forged);
    lum__sim_destroy(sim);
    return 0;
}

#ifndef LUM_LIBFUZZER

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

int main(void)
{
    uint64_t seed = number_from("LUM_SEED", 1);
    uint64_t rounds = number_from("LUM_ROUNDS", 2000);
    for (uint64_t round = 0; round < rounds; round++) {
        uint8_t changes[8 * CHANGE_BYTES];
        uint64_t state = seed * 1000003 + round;
        for (size_t i = 0; i < sizeof changes; i += 8) lum__put_u64(changes + i, lum__splitmix64(&state));
        if (changes[0] == 255) changes[0] = 0;
        if (round % 2 == 0) /* half of the rounds without a forgery, so that what comes back is compared */
            for (size_t i = 0; i < sizeof changes; i += CHANGE_BYTES) changes[i] %= 7;
        LLVMFuzzerTestOneInput(changes, (1 + round % 8) * CHANGE_BYTES);
    }
    printf("seed %" PRIu64 ": %" PRIu64 " rounds\n", seed, rounds);
    lum__sim_destroy(base);
    return 0;
}

#endif
