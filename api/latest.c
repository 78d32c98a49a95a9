/* api/latest.c - see latest.h.
 *
 * Memory, of a limit M with W workers: the scan's buffers take M/4, the open blocks of the spill M/8, values that are
 * kept in memory M/4; then the tables take M/4 and the bits M/8 or, spilled, the open blocks of the second spill.
 *
 * Ids are hashed by a bijection, so distinct ids have distinct hashes. The hash's upper bits choose the part, the lower
 * ones the slot in the part's table. A part whose ids do not fit the table is read several times, each time for a
 * division of it: division d of D are the hashes whose lower half h has h * D / 2^32 = d. */
#include "api/latest.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "base/random.h"
#include "base/status.h"
#include "storage/spill.h"

enum {
    PARTS_MAX = 1 << 16,
    PARTS_FOR_BALANCE = 64, /* so that no worker has the last part alone */
    ROWS_FOR_BALANCE = 1 << 20,
    TABLE_ENTRIES_MIN = 1024,
    DIVISIONS_MAX = 1 << 20,
    AHEAD = 16, /* places in memory that are asked for before they are used: each is a cache miss */
    /* a block of the spilled bits: words, then their CRC-32C */
    BITS_BLOCK_BYTES = 4096,
    BITS_BLOCK_WORDS = BITS_BLOCK_BYTES / 8 - 1,
    BITS_BLOCK_ROWS = BITS_BLOCK_WORDS * 64,
};
#define EMPTY UINT64_MAX

struct lum__latest {
    uint64_t row_count; /* of the version */
    uint64_t *words;    /* the bits, if they fit */
    struct lum__temporary file;
    bool was_spilled;
};

/* The finding of it. */
struct finding {
    struct lum__latest *latest;
    struct lum__latest_options options;
    uint32_t workers;
    uint64_t seed;
    struct lum__spill ids;       /* id, position * 2 + is_destroyed */
    uint32_t part_shift;         /* part = hash >> part_shift, of 64 bits; 64: one part */
    uint32_t table_entries;      /* a power of two; three quarters may be used */
    struct lum__spill positions; /* that survive; by slice; only where the bits are spilled */
    uint64_t slice_rows;         /* a multiple of BITS_BLOCK_ROWS */
    _Atomic uint32_t next;       /* part or slice; relaxed, only uniqueness matters */
    _Atomic bool is_over;        /* a hint, relaxed */
    pthread_mutex_t mutex;
    lum_status status; /* the first failure, under the mutex */
    struct lum__error error;
};

static void fail(struct finding *finding, lum_status status)
{
    (void)pthread_mutex_lock(&finding->mutex);
    if (finding->status == LUM_OK) {
        finding->status = status;
        finding->error = *lum__error_last();
    }
    (void)pthread_mutex_unlock(&finding->mutex);
    atomic_store_explicit(&finding->is_over, true, memory_order_relaxed);
}

static lum_status run_workers(struct finding *finding, void (*body)(void *context, uint32_t worker))
{
    atomic_store_explicit(&finding->next, 0, memory_order_relaxed);
    lum__parallel(finding->workers, body, finding);
    if (finding->status != LUM_OK) lum__error_restore(&finding->error);
    return finding->status;
}

/* A bijection (the finaliser of splitmix64). */
static inline uint64_t hash_id(uint64_t id, uint64_t seed)
{
    uint64_t hash = id ^ seed;
    hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9u;
    hash = (hash ^ hash >> 27) * 0x94d049bb133111ebu;
    return hash ^ hash >> 31;
}

/* -------------------------------------------------------------------------------------------------- planning */

static uint64_t rows_in_range(const struct lum__chunk_entry *chunks, size_t chunk_count, const struct lum__range *range,
                              uint64_t *row_count)
{
    uint64_t wanted = 0;
    *row_count = 0;
    for (size_t index = 0; index < chunk_count; index++) {
        *row_count += chunks[index].row_count;
        if (lum__range_overlaps(range, &chunks[index].range)) wanted += chunks[index].row_count;
    }
    return wanted;
}

static uint32_t block_bytes_of(uint64_t share, uint32_t parts)
{
    uint64_t bytes = share / parts / LUM__SPILL_BLOCK_BYTES_MIN * LUM__SPILL_BLOCK_BYTES_MIN;
    if (bytes < LUM__SPILL_BLOCK_BYTES_MIN) return LUM__SPILL_BLOCK_BYTES_MIN;
    return bytes < LUM__SPILL_BLOCK_BYTES_MAX ? (uint32_t)bytes : LUM__SPILL_BLOCK_BYTES_MAX;
}

/* How many parts, how large a table, in memory or on disk. */
static lum_status plan_ids(struct finding *finding, uint64_t rows)
{
    uint64_t memory = finding->options.memory_bytes_max;
    uint64_t table_bytes = memory / 4 / finding->workers, lane_bytes = memory / 8 / finding->workers;
    uint64_t entries = TABLE_ENTRIES_MIN;
    while (entries * 2 * 16 <= table_bytes && entries / 4 * 3 < rows) entries *= 2;
    uint64_t wanted = rows / (entries / 4 * 3) + 1;
    if (rows >= ROWS_FOR_BALANCE && wanted < PARTS_FOR_BALANCE) wanted = PARTS_FOR_BALANCE;
    uint32_t parts = 1, bits = 0;
    while (parts < wanted && parts < PARTS_MAX && (uint64_t)parts * 2 * LUM__SPILL_BLOCK_BYTES_MIN <= lane_bytes) {
        parts *= 2;
        bits++;
    }
    while (entries > TABLE_ENTRIES_MIN && entries / 2 / 4 * 3 > rows / parts + rows / parts / 8) entries /= 2;
    finding->part_shift = 64 - bits;
    finding->table_entries = (uint32_t)entries;
    struct lum__spill_options options = {.value_words = 2,
                                         .partition_count = parts,
                                         .lane_count = finding->workers,
                                         .block_bytes = block_bytes_of(lane_bytes, parts),
                                         .value_count_max = rows,
                                         .directory = finding->options.directory};
    /* Full blocks, for each lane's open one the rounding. */
    options.in_memory = rows * 16 + (uint64_t)parts * finding->workers * options.block_bytes <= memory / 4 ||
                        rows * 16 <= (uint64_t)parts * options.block_bytes;
    finding->latest->was_spilled = !options.in_memory;
    return lum__spill_init(&finding->ids, &options);
}

/* Room for the bits, or for the positions that become bits later. */
static lum_status plan_bits(struct finding *finding, uint64_t rows)
{
    struct lum__latest *latest = finding->latest;
    uint64_t memory = finding->options.memory_bytes_max, lane_bytes = memory / 8 / finding->workers;
    uint64_t words = latest->row_count / 64 + 2; /* one behind the end: reading takes two at a time */
    if (words * 8 <= memory / 8 || words * 8 <= LUM__SPILL_BLOCK_BYTES_MIN)
        return lum__alloc_zeroed(words, sizeof *latest->words, (void **)&latest->words);
    uint64_t slices_max = lane_bytes / LUM__SPILL_BLOCK_BYTES_MIN;
    if (slices_max == 0) slices_max = 1;
    uint64_t blocks = latest->row_count / BITS_BLOCK_ROWS + 1;
    uint64_t slice_blocks = memory / 16 / finding->workers / BITS_BLOCK_BYTES;
    if (slice_blocks < blocks / slices_max + 1) slice_blocks = blocks / slices_max + 1;
    finding->slice_rows = slice_blocks * BITS_BLOCK_ROWS;
    uint32_t slices = (uint32_t)((blocks + slice_blocks - 1) / slice_blocks);
    latest->was_spilled = true;
    LUM_TRY(lum__temporary_open(finding->options.directory, blocks * BITS_BLOCK_BYTES, &latest->file));
    struct lum__spill_options options = {.value_words = 1,
                                         .partition_count = slices,
                                         .lane_count = finding->workers,
                                         .block_bytes = block_bytes_of(lane_bytes, slices),
                                         .value_count_max = rows,
                                         .directory = finding->options.directory};
    return lum__spill_init(&finding->positions, &options);
}

/* ------------------------------------------------------------------------------------------------ first pass */

static lum_status put_ids(void *context, uint32_t worker, uint64_t position, const lum_columns *columns,
                          uint32_t row_count)
{
    struct finding *finding = context;
    const uint64_t id_min = finding->options.id_min, id_max = finding->options.id_max;
    LUM_ASSERT(worker < finding->workers);
    for (uint32_t row = 0; row < row_count; row++) {
        uint64_t id = columns->id[row];
        if (id < id_min || id > id_max) continue;
        uint64_t value[2] = {id, (position + row) << 1 | columns->is_destroyed[row]};
        uint32_t part = 0;
        if (finding->part_shift < 64) part = (uint32_t)(hash_id(id, finding->seed) >> finding->part_shift);
        LUM_TRY(lum__spill_put(&finding->ids, worker, part, value));
    }
    return LUM_OK;
}

/* ----------------------------------------------------------------------------------------------- second pass */

struct entry {
    uint64_t id;
    uint64_t newest; /* position * 2 + is_destroyed; EMPTY: no entry */
};

/* What one worker needs for a part. */
struct table {
    struct entry *entries;
    size_t mapped_bytes;
    uint32_t mask, used, used_max;
    uint64_t *buffer;
};

static inline uint32_t slot_of(const struct table *table, uint64_t hash)
{
    return (uint32_t)(hash ^ hash >> 24) & table->mask;
}

/* False: the table is full. */
static inline bool table_take(struct table *table, uint64_t id, uint64_t newest, uint64_t hash)
{
    uint32_t slot = slot_of(table, hash);
    while (table->entries[slot].newest != EMPTY && table->entries[slot].id != id) slot = (slot + 1) & table->mask;
    struct entry *entry = &table->entries[slot];
    if (entry->newest == EMPTY) {
        if (table->used == table->used_max) return false;
        table->used++;
        *entry = (struct entry){id, newest};
    } else if (newest > entry->newest) {
        entry->newest = newest;
    }
    return true;
}

static lum_status keep_survivors(struct finding *finding, uint32_t worker, const struct table *table)
{
    uint64_t *words = finding->latest->words;
    for (uint32_t slot = 0; slot <= table->mask; slot++) {
        uint64_t newest = table->entries[slot].newest, position = newest >> 1;
        uint64_t next = table->entries[(slot + AHEAD) & table->mask].newest;
        if (words != NULL && next != EMPTY) __builtin_prefetch(&words[next / 128], 1);
        if (newest == EMPTY || (newest & 1) != 0) continue;
        if (words != NULL) /* of several workers' rows, so atomic; relaxed: read after they were joined */
            __atomic_fetch_or(&words[position / 64], 1ull << position % 64, __ATOMIC_RELAXED);
        else
            LUM_TRY(lum__spill_put(&finding->positions, worker, (uint32_t)(position / finding->slice_rows), &position));
    }
    return LUM_OK;
}

/* One division of a part into the table. *fits false: too many ids. */
static lum_status fill_table(struct finding *finding, uint32_t part, uint64_t division, uint64_t divisions,
                             struct table *table, bool *fits)
{
    struct lum__spill_cursor cursor;
    const uint64_t *values;
    size_t count;
    lum_status status;

    memset(table->entries, 0xff, ((size_t)table->mask + 1) * sizeof *table->entries);
    table->used = 0;
    *fits = true;
    lum__spill_cursor_init(&cursor, &finding->ids, part, table->buffer);
    while ((status = lum__spill_cursor_next(&cursor, &values, &count)) == LUM_OK) {
        for (size_t index = 0; index < count; index++) {
            if (index + AHEAD < count)
                __builtin_prefetch(&table->entries[slot_of(table, hash_id(values[2 * (index + AHEAD)], finding->seed))],
                                   1);
            uint64_t hash = hash_id(values[2 * index], finding->seed);
            if (divisions > 1 && (hash & UINT32_MAX) * divisions >> 32 != division) continue;
            *fits = table_take(table, values[2 * index], values[2 * index + 1], hash);
            if (!*fits) return LUM_OK;
        }
    }
    return status == LUM_END ? LUM_OK : status;
}

static lum_status settle_part(struct finding *finding, uint32_t worker, uint32_t part, struct table *table)
{
    uint64_t divisions = 1;
    for (uint64_t division = 0; division < divisions;) {
        bool fits;
        LUM_TRY(fill_table(finding, part, division, divisions, table, &fits));
        if (fits) {
            LUM_TRY(keep_survivors(finding, worker, table));
            division++;
            continue;
        }
        divisions *= 2; /* nothing of this one was kept yet: it is the next two */
        division *= 2;
        if (divisions > DIVISIONS_MAX)
            return lum__fail(LUM_ERR_MEMORY_LIMIT, "the memory limit is too small to find the newest versions");
    }
    return LUM_OK;
}

static lum_status settle_parts(struct finding *finding, uint32_t worker)
{
    lum_status status = LUM_OK;
    struct table table = {.mask = finding->table_entries - 1, .used_max = finding->table_entries / 4 * 3};
    LUM_TRY_OUT(lum__memory_map((size_t)finding->table_entries * sizeof *table.entries, (void **)&table.entries,
                                &table.mapped_bytes));
    LUM_TRY_OUT(lum__alloc(finding->ids.options.block_bytes, (void **)&table.buffer));
    while (!atomic_load_explicit(&finding->is_over, memory_order_relaxed)) {
        uint32_t part = atomic_fetch_add_explicit(&finding->next, 1, memory_order_relaxed);
        if (part >= finding->ids.options.partition_count) break;
        LUM_TRY_OUT(settle_part(finding, worker, part, &table));
    }
out:
    if (table.entries != NULL) lum__memory_unmap(table.entries, table.mapped_bytes);
    free(table.buffer);
    return status;
}

static void settle_worker(void *context, uint32_t worker)
{
    lum_status status = settle_parts(context, worker);
    if (status != LUM_OK) fail(context, status);
}

/* ---------------------------------------------------------------------------------------- bits, where spilled */

/* The blocks of one slice, to the file. */
static lum_status write_slice(struct finding *finding, uint32_t slice, uint64_t *bits, uint64_t *buffer)
{
    struct lum__latest *latest = finding->latest;
    uint64_t first_row = slice * finding->slice_rows, blocks = finding->slice_rows / BITS_BLOCK_ROWS;
    uint64_t first_block = first_row / BITS_BLOCK_ROWS, blocks_all = latest->row_count / BITS_BLOCK_ROWS + 1;
    struct lum__spill_cursor cursor;
    const uint64_t *values;
    size_t count;
    lum_status status;

    memset(bits, 0, blocks * BITS_BLOCK_BYTES);
    lum__spill_cursor_init(&cursor, &finding->positions, slice, buffer);
    while ((status = lum__spill_cursor_next(&cursor, &values, &count)) == LUM_OK) {
        for (size_t index = 0; index < count; index++) {
            uint64_t row = values[index] - first_row;
            uint64_t *block = bits + row / BITS_BLOCK_ROWS * (BITS_BLOCK_BYTES / 8);
            block[row % BITS_BLOCK_ROWS / 64] |= 1ull << row % 64;
        }
    }
    if (status != LUM_END) return status;
    if (first_block + blocks > blocks_all) blocks = blocks_all - first_block;
    for (uint64_t index = 0; index < blocks; index++) {
        uint64_t *block = bits + index * (BITS_BLOCK_BYTES / 8);
        block[BITS_BLOCK_WORDS] = lum__crc32c(0, block, BITS_BLOCK_WORDS * 8);
    }
    return lum__temporary_write(&latest->file, bits, blocks * BITS_BLOCK_BYTES, first_block * BITS_BLOCK_BYTES);
}

static lum_status write_slices(struct finding *finding)
{
    lum_status status = LUM_OK;
    uint64_t *bits = NULL, *buffer = NULL;
    LUM_TRY_OUT(lum__alloc(finding->slice_rows / BITS_BLOCK_ROWS * BITS_BLOCK_BYTES, (void **)&bits));
    LUM_TRY_OUT(lum__alloc(finding->positions.options.block_bytes, (void **)&buffer));
    while (!atomic_load_explicit(&finding->is_over, memory_order_relaxed)) {
        uint32_t slice = atomic_fetch_add_explicit(&finding->next, 1, memory_order_relaxed);
        if (slice >= finding->positions.options.partition_count) break;
        LUM_TRY_OUT(write_slice(finding, slice, bits, buffer));
    }
out:
    free(bits);
    free(buffer);
    return status;
}

static void write_worker(void *context, uint32_t worker)
{
    (void)worker;
    lum_status status = write_slices(context);
    if (status != LUM_OK) fail(context, status);
}

/* --------------------------------------------------------------------------------------------------- the whole */

static lum_status find(struct finding *finding, struct lum__fs *fs, struct lum__segment_files *files,
                       const struct lum__chunk_entry *chunks, size_t chunk_count)
{
    struct lum__range range = LUM__RANGE_ALL;
    range.id_min = finding->options.id_min;
    range.id_max = finding->options.id_max;
    uint64_t rows = rows_in_range(chunks, chunk_count, &range, &finding->latest->row_count);
    struct lum__chunk_scan_options scan = {.range = range,
                                           .store_id = finding->options.store_id,
                                           .memory_bytes_max = finding->options.memory_bytes_max / 2,
                                           .visit_columns = put_ids};
    LUM_TRY(plan_ids(finding, rows));
    LUM_TRY(lum__chunk_scan(fs, files, chunks, chunk_count, &scan, finding->workers, NULL, NULL, finding, NULL));
    LUM_TRY(plan_bits(finding, rows));
    LUM_TRY(run_workers(finding, settle_worker));
    lum__spill_fini(&finding->ids);
    return finding->latest->words != NULL ? LUM_OK : run_workers(finding, write_worker);
}

lum_status lum__latest_find(struct lum__fs *fs, struct lum__segment_files *files, const struct lum__chunk_entry *chunks,
                            size_t chunk_count, const struct lum__latest_options *options, struct lum__latest **out)
{
    struct finding finding = {.options = *options, .workers = options->threads};
    *out = NULL;
    LUM_TRY(lum__alloc_zeroed(1, sizeof *finding.latest, (void **)&finding.latest));
    finding.latest->file.fd = -1;
    if (pthread_mutex_init(&finding.mutex, NULL) != 0) {
        free(finding.latest);
        return lum__fail(LUM_ERR_NO_MEMORY, "a mutex cannot be made");
    }
    lum__random_bytes(&finding.seed, sizeof finding.seed); /* nobody can choose ids that fall into one part */
    lum_status status = find(&finding, fs, files, chunks, chunk_count);
    lum__spill_fini(&finding.ids);
    lum__spill_fini(&finding.positions);
    (void)pthread_mutex_destroy(&finding.mutex);
    if (status == LUM_OK)
        *out = finding.latest;
    else
        lum__latest_free(finding.latest);
    return status;
}

/* --------------------------------------------------------------------------------------------------------- asking */

/* `count` bits from the place `from` of an array on; reads one word behind the last. */
static void copy_bits(const uint64_t *words, uint64_t from, size_t count, uint64_t *out)
{
    const uint64_t *at = words + from / 64;
    uint32_t shift = (uint32_t)(from % 64);
    for (size_t index = 0; index < (count + 63) / 64; index++)
        out[index] = shift == 0 ? at[index] : at[index] >> shift | at[index + 1] << (64 - shift);
}

/* The rows lie in one block or two: both are put behind each other, without what stands between the words. */
static lum_status read_bits(const struct lum__latest *latest, uint64_t position, size_t count, uint64_t *out)
{
    uint64_t words[2 * BITS_BLOCK_WORDS + 2];
    uint64_t first = position / BITS_BLOCK_ROWS, last = (position + count - 1) / BITS_BLOCK_ROWS;
    LUM_ASSERT(last - first < 2);
    for (uint64_t block = first; block <= last; block++) {
        uint64_t *at = words + (block - first) * BITS_BLOCK_WORDS;
        LUM_TRY(lum__temporary_read(&latest->file, at, BITS_BLOCK_BYTES, block * BITS_BLOCK_BYTES));
        if (at[BITS_BLOCK_WORDS] != lum__crc32c(0, at, BITS_BLOCK_WORDS * 8))
            return lum__temporary_bad(&latest->file, block * BITS_BLOCK_BYTES);
    }
    words[(last - first + 1) * BITS_BLOCK_WORDS] = 0;
    copy_bits(words, position % BITS_BLOCK_ROWS, count, out);
    return LUM_OK;
}

lum_status lum__latest_bits(const struct lum__latest *latest, uint64_t position, size_t count, uint64_t *words)
{
    if (count == 0) return LUM_OK;
    LUM_ASSERT(position + count <= latest->row_count);
    if (latest->words == NULL) return read_bits(latest, position, count, words);
    copy_bits(latest->words, position, count, words);
    return LUM_OK;
}

bool lum__latest_was_spilled(const struct lum__latest *latest) { return latest->was_spilled; }

void lum__latest_free(struct lum__latest *latest)
{
    if (latest == NULL) return;
    lum__temporary_close(&latest->file);
    free(latest->words);
    free(latest);
}
