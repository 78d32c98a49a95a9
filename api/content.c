/* What a store holds, whatever the order: a digest of the multiset of its rows.
 *
 * Each row is mixed to 128 bits, as two mixes of 64 bits that share nothing but the row; the mixes are added up. A sum
 * does not depend on the order, nor on how workers share the rows, and counts a row as often as it is there (an
 * exclusive or would not). Two different multisets have the same sums only if the mixes of what differs between them
 * cancel out, modulo 2^64 and twice. For rows that nobody chose for the purpose the mixes are as good as random, so
 * that is one chance in 2^128 for a pair of stores. Somebody who chooses rows can solve for it: this is no
 * cryptographic digest. */
#include <stdlib.h>
#include <string.h>

#include "api/store.h"
#include "base/memory.h"
#include "base/status.h"
#include "storage/chunk_scan.h"

struct worker_sums {
    _Alignas(64) uint64_t tombstone_count;
    uint64_t lum_count;
    uint64_t digest[2];
};

/* A bijection in which every bit of the input changes every bit of the output half of the time (the finaliser of
 * splitmix64). */
static inline uint64_t mix(uint64_t word)
{
    word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9u;
    word = (word ^ word >> 27) * 0x94d049bb133111ebu;
    return word ^ word >> 31;
}

static inline uint64_t mix_row(uint64_t state, const uint64_t words[5])
{
    for (int i = 0; i < 5; i++) state = mix(state ^ words[i]);
    return state;
}

static lum_status add_page(void *context, uint32_t worker, uint64_t position, const lum_columns *columns,
                           uint32_t row_count)
{
    struct worker_sums *sums = (struct worker_sums *)context + worker;
    uint64_t first = 0, second = 0, tombstones = 0;
    (void)position;
    for (uint32_t row = 0; row < row_count; row++) {
        const uint64_t words[5] = {
            columns->id[row],
            columns->timestamp[row],
            columns->memory_address[row],
            (uint32_t)columns->position_x[row] | (uint64_t)(uint32_t)columns->position_y[row] << 32,
            columns->presence[row] | (uint64_t)columns->structure_type[row] << 8 |
                (uint64_t)columns->is_destroyed[row] << 16,
        };
        first += mix_row(0x243f6a8885a308d3u, words);
        second += mix_row(0x13198a2e03707344u, words);
        tombstones += columns->is_destroyed[row];
    }
    sums->lum_count += row_count;
    sums->tombstone_count += tombstones;
    sums->digest[0] += first;
    sums->digest[1] += second;
    return LUM_OK;
}

lum_status lum_content(lum_store *store, lum_content_data *out)
{
    LUM_TRY(lum__store_check(store));
    if (out == NULL || out->struct_version != 1)
        return lum__fail(LUM_ERR_VERSION, "lum_content_data.struct_version must be 1");
    *out = (lum_content_data)LUM_CONTENT_INIT;
    uint32_t workers = store->options.threads;
    struct worker_sums *sums = aligned_alloc(64, workers * sizeof *sums);
    if (sums == NULL) return lum__fail(LUM_ERR_NO_MEMORY, "no memory for the sums of %u workers", workers);
    memset(sums, 0, workers * sizeof *sums);
    const struct lum__catalogue_version *version = lum__catalogue_pin(store->catalogue);
    struct lum__chunk_scan_options options = {.range = LUM__RANGE_ALL,
                                              .store_id = store->store_id,
                                              .memory_bytes_max = store->options.memory_bytes_max,
                                              .visit_columns = add_page};
    lum_status status = lum__chunk_scan(store->fs, store->files, version->chunks, version->chunk_count, &options,
                                        workers, NULL, NULL, sums, NULL);
    lum__catalogue_unpin(store->catalogue, version);
    for (uint32_t worker = 0; status == LUM_OK && worker < workers; worker++) {
        out->lum_count += sums[worker].lum_count;
        out->tombstone_count += sums[worker].tombstone_count;
        out->digest[0] += sums[worker].digest[0];
        out->digest[1] += sums[worker].digest[1];
    }
    free(sums);
    return status;
}
