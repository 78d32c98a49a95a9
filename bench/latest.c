/* Does a scan of the newest versions stay within its memory limit? Makes a store of N LUMs with random ids of which
 * half are superseded, each by a row half the store behind it, and reads the newest ones in a process of its own, whose
 * largest resident set counts.
 *
 *   lum_latest make STORE N             N rows, N / 2 ids, one in 1,000 destroyed at last
 *   lum_latest scan STORE MEMORY [THREADS]   bytes; prints rows, seconds, peak; fails if a row is none of the newest,
 * or the peak is above MEMORY */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "lum/lum.h"

enum { WORKERS_MAX = 256, DESTROYED_EVERY = 1000 };

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int complain(const char *what)
{
    const lum_error_data *error = lum_last_error();
    fprintf(stderr, "%s: %s: %s\n%s\n", what, error->file, error->message, error->remedy);
    return 1;
}

/* ---- making */

struct rows {
    uint64_t count, next;
    uint64_t at[WORKERS_MAX], end[WORKERS_MAX];
};

/* A bijection, so that different keys have different ids. */
static uint64_t id_of(uint64_t key)
{
    key = (key ^ key >> 30) * 0xbf58476d1ce4e5b9u;
    key = (key ^ key >> 27) * 0x94d049bb133111ebu;
    return key ^ key >> 31;
}

static lum_status open_piece(void *context, uint32_t worker, uint64_t rows_max, lum_piece *out)
{
    struct rows *rows = context;
    if (rows->next == rows->count) return LUM_END;
    out->first_row = rows->at[worker] = rows->next;
    out->row_count = rows_max < rows->count - rows->next ? rows_max : rows->count - rows->next;
    rows->next = rows->end[worker] = rows->next + out->row_count;
    return LUM_OK;
}

static lum_status fill(void *context, uint32_t worker, lum_t *out, size_t rows_max, size_t *row_count)
{
    struct rows *rows = context;
    uint64_t half = rows->count / 2;
    for (*row_count = 0; *row_count < rows_max && rows->at[worker] < rows->end[worker]; (*row_count)++) {
        uint64_t number = rows->at[worker]++, key = number % half;
        bool is_second = number >= half;
        out[*row_count] = (lum_t){.id = id_of(key),
                                  .timestamp = number,
                                  .position_x = is_second,
                                  .presence = 1,
                                  .is_destroyed = is_second && key % DESTROYED_EVERY == 0};
    }
    return LUM_OK;
}

static int make_store(const char *path, uint64_t count)
{
    struct rows *rows = calloc(1, sizeof *rows);
    lum_options options = LUM_OPTIONS_INIT;
    lum_source source = LUM_SOURCE_INIT;
    lum_load_report report = LUM_LOAD_REPORT_INIT;
    lum_store *store;
    if (rows == NULL) return 1;
    rows->count = count / 2 * 2;
    source.context = rows;
    source.open_piece = open_piece;
    source.fill = fill;
    options.create = true;
    double begin = now();
    if (lum_open(path, &options, &store) != LUM_OK) return complain("open");
    lum_status status = lum_load(store, &source, NULL, &report);
    if (status != LUM_OK) (void)complain("load");
    if (lum_close(store) != LUM_OK) return complain("close");
    printf("made %" PRIu64 " rows in %.2f s\n", report.rows_loaded, now() - begin);
    free(rows);
    return status == LUM_OK ? 0 : 1;
}

/* ---- scanning */

struct sums {
    _Atomic uint64_t count, keys_wrong;
};

static lum_status add_rows(void *context, uint32_t worker, uint64_t position, const lum_t *rows, size_t row_count)
{
    struct sums *sums = context;
    uint64_t wrong = 0;
    (void)worker, (void)position;
    for (size_t index = 0; index < row_count; index++) wrong += rows[index].position_x != 1 || rows[index].is_destroyed;
    sums->count += row_count;
    sums->keys_wrong += wrong;
    return LUM_OK;
}

static int scan_store(const char *path, uint64_t memory_bytes, uint32_t threads)
{
    struct sums sums = {0};
    lum_options options = LUM_OPTIONS_INIT;
    lum_scan_options scan = LUM_SCAN_OPTIONS_INIT;
    lum_info_data info = LUM_INFO_INIT;
    lum_store *store;
    options.read_only = true;
    options.threads = threads;
    options.memory_bytes_max = memory_bytes;
    scan.latest = true;
    double begin = now();
    if (lum_open(path, &options, &store) != LUM_OK) return complain("open");
    if (lum_info(store, &info) != LUM_OK) return complain("info");
    if (lum_scan_parallel(store, &scan, 0, add_rows, &sums, NULL) != LUM_OK) return complain("scan");
    double seconds = now() - begin;
    if (lum_close(store) != LUM_OK) return complain("close");
    uint64_t ids = info.lum_count / 2, wanted = ids - (ids + DESTROYED_EVERY - 1) / DESTROYED_EVERY,
             peak = lum__memory_peak_bytes();
    printf("%" PRIu64 " of %" PRIu64 " rows in %.2f s; limit %.1f MiB, peak %.1f MiB\n", sums.count, info.lum_count,
           seconds, (double)memory_bytes / (1 << 20), (double)peak / (1 << 20));
    if (sums.keys_wrong != 0 || sums.count != wanted)
        return fprintf(stderr, "wrong: %" PRIu64 " rows are expected\n", wanted), 1;
    if (peak > memory_bytes) return fprintf(stderr, "the limit was not kept\n"), 1;
    return 0;
}

int main(int argument_count, char **arguments)
{
    if (argument_count == 4 && strcmp(arguments[1], "make") == 0)
        return make_store(arguments[2], strtoull(arguments[3], NULL, 10));
    if (argument_count >= 4 && strcmp(arguments[1], "scan") == 0) {
        uint32_t threads = argument_count > 4 ? (uint32_t)strtoul(arguments[4], NULL, 10) : 0;
        return scan_store(arguments[2], strtoull(arguments[3], NULL, 10), threads);
    }
    fprintf(stderr, "usage: lum_latest make STORE N | scan STORE MEMORY [THREADS]\n");
    return 2;
}
