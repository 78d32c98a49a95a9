/* Proves that the allocator never gives the same bytes twice, gives back what is released, survives a full disk at
 * every step unchanged, makes a segment durable before it is used, and gives all unused space back in a trim; and that
 * what is on disk is checked when it is opened. */
#include "support/chunk_store.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "base/random.h"
#include "base/status.h"
#include "storage/chunk_layout.h"
#include "storage/extents.h"
#include "storage/header.h"

/* ---- extents against a plain map of blocks */

static void test_extents(void **state)
{
    (void)state;
    enum { BLOCKS = 300, STEPS = 20000 };
    uint8_t is_free[BLOCKS] = {0};
    struct lum__extents extents = {0};
    const char *text = getenv("LUM_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : 7;

    print_message("LUM_SEED=%llu\n", (unsigned long long)seed);
    for (int step = 0; step < STEPS; step++) {
        uint64_t random = lum__splitmix64(&seed);
        uint64_t count = random % 20 + 1, at = (random >> 8) % BLOCKS;
        if (random >> 63) { /* add, where nothing of it is free */
            bool fits = at + count <= BLOCKS;
            for (uint64_t block = at; fits && block < at + count; block++) fits = !is_free[block];
            if (!fits) continue;
            assert_int_equal(lum__extents_add(&extents, at, count), LUM_OK);
            memset(is_free + at, 1, count);
        } else { /* the first run that is long enough, or none */
            uint64_t run = 0, expected = UINT64_MAX, offset;
            for (uint64_t block = 0; block < BLOCKS && expected == UINT64_MAX; block++) {
                run = is_free[block] ? run + 1 : 0;
                if (run == count) expected = block + 1 - count;
            }
            bool is_taken = lum__extents_take(&extents, count, &offset);
            assert_int_equal(is_taken, expected != UINT64_MAX);
            if (!is_taken) continue;
            /* first fit takes a run's beginning */
            assert_int_equal(offset, expected);
            memset(is_free + offset, 0, count);
        }
        uint64_t tail = BLOCKS;
        while (tail > 0 && is_free[tail - 1]) tail--;
        assert_int_equal(lum__extents_tail(&extents, BLOCKS), tail);
    }
    for (size_t index = 1; index < extents.count; index++) { /* sorted, and neighbours are merged */
        assert_true(extents.items[index - 1].offset + extents.items[index - 1].byte_count <
                    extents.items[index].offset);
    }
    lum__extents_fini(&extents);
}

/* ---- the allocator */

static struct lum__segments *open_again(struct chunk_store *store, uint64_t next_segment, lum_status expected)
{
    struct lum__segments *segments;
    const struct lum__catalogue_version *version = lum__catalogue_pin(store->catalogue);
    assert_int_equal(lum__segments_open(store->fs, chunk_store_id, 2, 1 << 20, version, next_segment, &segments),
                     expected);
    lum__catalogue_unpin(store->catalogue, version);
    return segments;
}

struct taken {
    uint64_t segment, offset;
    uint32_t byte_count;
};

static int compare_taken(const void *a, const void *b)
{
    const struct taken *left = a, *right = b;
    if (left->segment != right->segment) return left->segment > right->segment ? 1 : -1;
    return (left->offset > right->offset) - (left->offset < right->offset);
}

static void expect_disjoint(struct taken *taken, size_t count)
{
    qsort(taken, count, sizeof *taken, compare_taken);
    for (size_t index = 0; index < count; index++) {
        assert_true(taken[index].offset >= 4096 && taken[index].offset % 4096 == 0);
        if (index > 0 && taken[index].segment == taken[index - 1].segment) {
            assert_true(taken[index - 1].offset + taken[index - 1].byte_count <= taken[index].offset);
        }
    }
}

enum { TAKERS = 4, TAKEN_EACH = 400 };
struct taker {
    struct lum__segments *segments;
    struct taken taken[TAKEN_EACH];
    uint64_t seed;
    int failures;
};

/* Reserves, now and then releases, and syncs meanwhile. */
static void *take_and_release(void *context)
{
    struct taker *taker = context;

    for (size_t index = 0; index < TAKEN_EACH; index++) {
        struct taken *taken = &taker->taken[index];
        struct lum__file *file;
        taken->byte_count = (uint32_t)(lum__splitmix64(&taker->seed) % 16 + 1) * 4096;
        if (lum__segments_reserve(taker->segments, taken->byte_count, &taken->segment, &taken->offset, &file) != LUM_OK)
            taker->failures++;
        if (index > 10 && index % 3 == 0) {
            struct taken *old = &taker->taken[index - 7];
            lum__segments_release(taker->segments, old->segment, old->offset, old->byte_count);
            if (lum__segments_reserve(taker->segments, old->byte_count, &old->segment, &old->offset, &file) != LUM_OK)
                taker->failures++;
        }
        if (index % 50 == 0 && lum__segments_sync(taker->segments, taken->segment) != LUM_OK) taker->failures++;
        if (index % 100 == 0 && lum__segments_trim(taker->segments) != LUM_OK) taker->failures++;
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    (void)state;
    struct chunk_store store;
    static struct taker takers[TAKERS];
    static struct taken all[TAKERS * TAKEN_EACH];
    pthread_t threads[TAKERS];

    chunk_store_open(&store, NULL, 1 << 20);
    for (size_t index = 0; index < TAKERS; index++) {
        takers[index] = (struct taker){.segments = store.segments, .seed = index};
        assert_int_equal(pthread_create(&threads[index], NULL, take_and_release, &takers[index]), 0);
    }
    for (size_t index = 0; index < TAKERS; index++) {
        assert_int_equal(pthread_join(threads[index], NULL), 0);
        assert_int_equal(takers[index].failures, 0);
        memcpy(all + index * TAKEN_EACH, takers[index].taken, sizeof takers[index].taken);
    }
    expect_disjoint(all, TAKERS * TAKEN_EACH);
    assert_true(all[TAKERS * TAKEN_EACH - 1].segment > 10); /* about 54 MB in segments of 1 MiB */
    for (size_t index = 0; index < TAKERS * TAKEN_EACH; index++) {
        lum__segments_release(store.segments, all[index].segment, all[index].offset, all[index].byte_count);
    }
    assert_int_equal(lum__segments_trim(store.segments), LUM_OK);
    assert_int_equal(lum__sim_used_bytes(store.sim), 0);
    assert_int_equal(lum__segments_next_number(store.segments), all[TAKERS * TAKEN_EACH - 1].segment + 1);
    chunk_store_close(&store);
}

static void test_reuse_and_large(void **state)
{
    (void)state;
    struct chunk_store store;
    uint64_t segment[4], offset[4];
    struct lum__file *file;

    chunk_store_open(&store, NULL, 1 << 20);
    for (size_t index = 0; index < 3; index++) {
        assert_int_equal(lum__segments_reserve(store.segments, 8192, &segment[index], &offset[index], &file), LUM_OK);
    }
    assert_int_equal(offset[1], offset[0] + 8192);
    lum__segments_release(store.segments, segment[1], offset[1], 8192);
    assert_int_equal(lum__segments_reserve(store.segments, 12288, &segment[3], &offset[3], &file), LUM_OK);
    assert_int_equal(offset[3], offset[2] + 8192); /* too large for the gap */
    assert_int_equal(lum__segments_reserve(store.segments, 4096, &segment[3], &offset[3], &file), LUM_OK);
    assert_int_equal(offset[3], offset[1]);

    assert_int_equal(lum__segments_reserve(store.segments, 3 << 20, &segment[3], &offset[3], &file),
                     LUM_OK); /* larger than a segment */
    assert_int_equal(segment[3], 2);
    assert_int_equal(offset[3], 4096);
    chunk_store_close(&store);
}

static void test_open_finds_what_is_free(void **state)
{
    (void)state;
    struct chunk_store store;
    uint64_t segment, offset, size_bytes;
    struct lum__file *file;

    chunk_store_open(&store, NULL, 1 << 20);
    for (int index = 0; index < 3; index++) chunk_store_add(&store, 20000, 4096);
    const struct lum__chunk_entry gap = store.chunks[1], last = store.chunks[2];
    store.chunks[1] = store.chunks[2]; /* the middle one is never committed: a crash rolled its transaction back */
    store.chunk_count = 2;
    chunk_store_commit(&store, "");
    assert_int_equal(lum__segments_close(store.segments), LUM_OK);

    store.segments = open_again(&store, 1, LUM_OK);
    assert_int_equal(lum__segments_next_number(store.segments), 2); /* more is there than the checkpoint knew */
    assert_int_equal(lum__segments_reserve(store.segments, gap.byte_count, &segment, &offset, &file), LUM_OK);
    assert_int_equal(offset, gap.offset);
    lum__segments_release(store.segments, segment, offset, gap.byte_count);

    assert_int_equal(lum__segments_trim(store.segments), LUM_OK);
    assert_int_equal(lum__sim_file_size(store.sim, "data/1.seg", &size_bytes), LUM_OK);
    assert_int_equal(size_bytes, last.offset + last.byte_count);
    assert_int_equal(lum__sim_used_bytes(store.sim), size_bytes - gap.byte_count); /* punched */
    assert_int_equal(lum__segments_reserve(store.segments, gap.byte_count, &segment, &offset, &file), LUM_OK);
    assert_int_equal(offset, gap.offset); /* and still there to be used */
    chunk_store_close(&store);
}

/* ---- a full disk, a failing disk */

static void test_full_disk(void **state)
{
    (void)state;
    struct chunk_store store;
    uint64_t segment, offset, reserved = 0;
    struct lum__file *file;
    lum_status status;

    chunk_store_open(&store, NULL, 64 << 20);
    lum__sim_set_limit(store.sim, 2 << 20); /* less than one step of growth: just what is needed is tried then */
    while ((status = lum__segments_reserve(store.segments, 128 * 1024, &segment, &offset, &file)) == LUM_OK)
        reserved += 128 * 1024;
    assert_int_equal(status, LUM_ERR_NO_SPACE);
    assert_in_range(reserved, (2 << 20) - 2 * 128 * 1024, 2 << 20);
    assert_true(lum__sim_used_bytes(store.sim) <= reserved + 4096); /* a failed attempt kept nothing */
    lum__segments_release(store.segments, segment == 0 ? 1 : segment, 4096, 128 * 1024);
    assert_int_equal(lum__segments_reserve(store.segments, 128 * 1024, &segment, &offset, &file), LUM_OK);
    assert_int_equal(offset, 4096);

    lum__sim_set_limit(store.sim, 0);
    assert_int_equal(lum__segments_reserve(store.segments, 128 * 1024, &segment, &offset, &file), LUM_OK);
    chunk_store_close(&store);
}

/* What a trim punched has no blocks: reserving it on a full disk fails at once, and is undone, instead of the write
 * later. */
static void test_full_disk_and_holes(void **state)
{
    (void)state;
    struct chunk_store store;
    uint64_t segment, offset;
    struct lum__file *file;

    chunk_store_open(&store, NULL, 1 << 20);
    for (int index = 0; index < 3; index++) chunk_store_add(&store, 20000, 4096);
    const struct lum__chunk_entry hole = store.chunks[1];
    lum__segments_release(store.segments, hole.segment, hole.offset, hole.byte_count);
    store.chunks[1] = store.chunks[2];
    store.chunk_count = 2;
    chunk_store_commit(&store, "");
    for (int is_reopened = 0; is_reopened < 2; is_reopened++) {
        assert_int_equal(lum__segments_trim(store.segments), LUM_OK);
        if (is_reopened) {
            assert_int_equal(lum__segments_close(store.segments), LUM_OK);
            store.segments = open_again(&store, 1, LUM_OK);
        }
        uint64_t used_bytes = lum__sim_used_bytes(store.sim);
        lum__sim_set_limit(store.sim, used_bytes + 4096);
        segment = 9;
        assert_int_equal(lum__segments_reserve(store.segments, hole.byte_count, &segment, &offset, &file),
                         LUM_ERR_NO_SPACE);
        assert_int_equal(segment + offset, 0);
        lum__sim_set_limit(store.sim, used_bytes + hole.byte_count);
        assert_int_equal(lum__segments_reserve(store.segments, hole.byte_count, &segment, &offset, &file), LUM_OK);
        assert_int_equal(offset, hole.offset);
        assert_int_equal(lum__sim_used_bytes(store.sim), used_bytes + hole.byte_count);
        lum__segments_release(store.segments, segment, offset, hole.byte_count);
        lum__sim_set_limit(store.sim, 0);
    }
    chunk_store_close(&store);
}

/* Every call that makes a new segment fails once: the error is told, no file is left in the way, the next attempt
 * succeeds. */
static void test_failing_creation(void **state)
{
    (void)state;
    const struct {
        enum lum__sim_call call;
        int os_errno;
        lum_status status;
    } cases[] = {
        {LUM__SIM_CREATE, ENOSPC, LUM_ERR_NO_SPACE}, {LUM__SIM_CREATE, EACCES, LUM_ERR_PERMISSION},
        {LUM__SIM_ALLOCATE, EIO, LUM_ERR_IO},        {LUM__SIM_WRITE, ENOSPC, LUM_ERR_NO_SPACE},
        {LUM__SIM_SYNC, EIO, LUM_ERR_SYNC},          {LUM__SIM_SYNC_DIR, EIO, LUM_ERR_SYNC},
    };

    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        struct chunk_store store;
        uint64_t segment = 9, offset = 9;
        struct lum__file *file;
        struct lum__sim_fault fault = {.call = cases[index].call, .nth = 1, .os_errno = cases[index].os_errno};

        chunk_store_open(&store, NULL, 1 << 20);
        lum__sim_arm(store.sim, &fault);
        assert_int_equal(lum__segments_reserve(store.segments, 4096, &segment, &offset, &file), cases[index].status);
        assert_int_equal(segment + offset, 0);
        assert_null(file);
        lum__sim_disarm(store.sim);
        if (cases[index].status != LUM_ERR_SYNC) {
            assert_int_equal(lum__fs_sync_dir(store.fs, "data"), LUM_OK);
            assert_int_equal(lum__sim_used_bytes(store.sim), 0);
            assert_int_equal(lum__segments_reserve(store.segments, 4096, &segment, &offset, &file), LUM_OK);
            assert_int_equal(segment, 2); /* a number is never used twice */
        }
        chunk_store_close(&store);
    }
}

/* The power fails at every step of the creation and of the first write: the next opening finds a usable store, and a
 * chunk that was synced is there. */
static void test_power_cut_in_creation(void **state)
{
    (void)state;
    bool is_over = false;

    for (uint64_t step = 1; !is_over; step++) {
        for (int mode = 0; mode < LUM__SIM_MODES; mode++) {
            struct chunk_store store;
            uint64_t segment, offset;
            struct lum__file *file;
            uint8_t *block = aligned_alloc(4096, 4096);

            memset(block, 0x5a, 4096);
            chunk_store_open(&store, NULL, 1 << 20);
            lum__sim_stop_at(store.sim, step);
            lum_status status = lum__segments_reserve(store.segments, 4096, &segment, &offset, &file);
            if (status == LUM_OK) status = lum__file_write(file, block, 4096, offset);
            if (status == LUM_OK) status = lum__segments_sync(store.segments, segment);
            is_over = !lum__sim_is_stopped(store.sim);
            assert_int_equal(status == LUM_OK, is_over);

            lum__sim_power_cut(store.sim, mode, step * 100 + (uint64_t)mode);
            (void)lum__segments_close(store.segments);
            lum__fs_close(store.fs);
            assert_int_equal(lum__sim_open(store.sim, false, &store.fs), LUM_OK);
            if (is_over) {
                uint8_t *read = aligned_alloc(4096, 4096);
                struct lum__segment_files *files;
                size_t bytes_read;
                assert_int_equal(lum__segment_files_open(store.fs, chunk_store_id, true, &files), LUM_OK);
                assert_int_equal(lum__segment_files_get(files, segment, &file), LUM_OK);
                assert_int_equal(lum__file_read(file, read, 4096, offset, &bytes_read), LUM_OK);
                assert_memory_equal(read, block, 4096);
                lum__segment_files_close(files);
                free(read);
            }
            store.segments = open_again(&store, 1, LUM_OK);
            assert_int_equal(lum__segments_reserve(store.segments, 4096, &segment, &offset, &file), LUM_OK);
            assert_int_equal(lum__segments_sync(store.segments, segment), LUM_OK);
            free(block);
            chunk_store_close(&store);
        }
    }
}

/* ---- what is wrong on disk */

static void test_wrong_files(void **state)
{
    (void)state;
    struct chunk_store store;
    uint64_t size_bytes;

    chunk_store_open(&store, NULL, 1 << 20);
    for (int index = 0; index < 12; index++) chunk_store_add(&store, 20000, 4096); /* three segments or so */
    chunk_store_commit(&store, "");
    assert_int_equal(lum__segments_close(store.segments), LUM_OK);
    store.segments = NULL;

    assert_int_equal(lum__sim_flip_bit(store.sim, "data/1.seg", 8 * 70), LUM_OK); /* a header that chunks depend on */
    (void)open_again(&store, 1, LUM_ERR_CORRUPT);
    assert_string_equal(lum__error_last()->file, "data/1.seg");
    assert_int_equal(lum__error_last()->condition, 2);
    assert_int_equal(lum__sim_flip_bit(store.sim, "data/1.seg", 8 * 70), LUM_OK);

    assert_int_equal(lum__fs_rename(store.fs, "data/1.seg", "data/77.seg"),
                     LUM_OK); /* renamed: the number in the header tells */
    (void)open_again(&store, 1, LUM_ERR_CORRUPT);
    assert_string_equal(lum__error_last()->file, "data/1.seg");
    assert_int_equal(lum__sim_file_size(store.sim, "data/77.seg", &size_bytes), LUM_OK);
    assert_int_equal(lum__fs_rename(store.fs, "data/77.seg", "data/1.seg"), LUM_OK);

    uint8_t other_id = 0xff; /* of another store, whether chunks are in it or not */
    uint8_t header[512];
    struct lum__file *file;
    size_t bytes_read;
    assert_int_equal(lum__fs_open_file(store.fs, "data/2.seg", LUM__OPEN_READ, &file), LUM_OK);
    assert_int_equal(lum__file_read(file, header, sizeof header, 0, &bytes_read), LUM_OK);
    assert_int_equal(lum__file_close(file), LUM_OK);
    uint8_t block[LUM__BLOCK_BYTES] = {0};
    memcpy(block, header, sizeof header);
    block[16] = other_id;
    lum__header_seal(block);
    assert_int_equal(lum__sim_edit(store.sim, "data/2.seg", 0, block, 512), LUM_OK);
    (void)open_again(&store, 1, LUM_ERR_FOREIGN);
    assert_int_equal(lum__sim_edit(store.sim, "data/2.seg", 0, header, 512), LUM_OK);

    assert_int_equal(lum__fs_open_file(store.fs, "data/2.seg", LUM__OPEN_WRITE, &file), LUM_OK); /* cut short */
    assert_int_equal(lum__sim_file_size(store.sim, "data/2.seg", &size_bytes), LUM_OK);
    assert_int_equal(lum__file_truncate(file, 8192), LUM_OK);
    (void)open_again(&store, 1, LUM_ERR_CORRUPT);
    assert_int_equal(lum__error_last()->condition, 1);
    assert_int_equal(lum__file_truncate(file, size_bytes), LUM_OK);
    assert_int_equal(lum__file_close(file), LUM_OK);
    store.segments = open_again(&store, 1, LUM_OK);
    chunk_store_close(&store);
}

/* Without chunks in them: an interrupted creation goes away, a damaged one stays for a person to look at, and neither
 * is used. */
static void test_unused_files(void **state)
{
    (void)state;
    struct chunk_store store;
    uint64_t segment, offset, size_bytes;
    struct lum__file *file;
    uint8_t zeros[8192] = {0}, rubbish[4096];

    chunk_store_open(&store, NULL, 1 << 20);
    chunk_store_add(&store, 1000, 4096);
    chunk_store_commit(&store, "");
    assert_int_equal(lum__segments_close(store.segments), LUM_OK);
    memset(rubbish, 0x77, sizeof rubbish);
    assert_int_equal(lum__fs_replace(store.fs, "data/5.seg", zeros, 0), LUM_OK);
    assert_int_equal(lum__fs_replace(store.fs, "data/6.seg", zeros, sizeof zeros), LUM_OK);
    assert_int_equal(lum__fs_replace(store.fs, "data/7.seg", rubbish, sizeof rubbish), LUM_OK);
    assert_int_equal(lum__fs_replace(store.fs, "data/08.seg", rubbish, sizeof rubbish),
                     LUM_OK); /* not a segment's name */

    store.segments = open_again(&store, 1, LUM_OK);
    assert_int_equal(lum__sim_file_size(store.sim, "data/5.seg", &size_bytes), LUM_ERR_NOT_FOUND);
    assert_int_equal(lum__sim_file_size(store.sim, "data/6.seg", &size_bytes), LUM_ERR_NOT_FOUND);
    assert_int_equal(lum__sim_file_size(store.sim, "data/7.seg", &size_bytes), LUM_OK);
    assert_int_equal(lum__sim_file_size(store.sim, "data/08.seg", &size_bytes), LUM_OK);
    assert_int_equal(lum__segments_reserve(store.segments, 2 << 20, &segment, &offset, &file), LUM_OK);
    assert_int_equal(segment, 8);
    chunk_store_close(&store);
}

/* The same as real files: this file system's own allocate, punch and truncate. */
static void test_real_directory(void **state)
{
    (void)state;
    struct chunk_store store;
    struct lum__fs *fs;
    char directory[] = "/tmp/lum_segment_test_XXXXXX", command[64];
    struct lum__fs_os_options options = {.create = true};
    struct lum__file *file;
    struct lum__file_info info;

    assert_non_null(mkdtemp(directory));
    assert_int_equal(lum__fs_open_os(directory, &options, &fs), LUM_OK);
    chunk_store_open(&store, fs, 16 << 20);
    for (int index = 0; index < 30; index++) chunk_store_add(&store, 100000, 4096);
    store.chunk_count = 1; /* 29 are given back */
    for (int index = 1; index < 30; index++) {
        lum__segments_release(store.segments, store.chunks[index].segment, store.chunks[index].offset,
                              store.chunks[index].byte_count);
    }
    chunk_store_commit(&store, "");
    assert_int_equal(lum__segments_trim(store.segments), LUM_OK);
    assert_int_equal(lum__fs_open_file(fs, "data/1.seg", LUM__OPEN_READ, &file), LUM_OK);
    assert_int_equal(lum__file_info(file, &info), LUM_OK);
    assert_int_equal(info.size_bytes, 4096 + store.chunks[0].byte_count);
    assert_int_equal(lum__file_close(file), LUM_OK);
    assert_int_equal(lum__fs_open_file(fs, "data/2.seg", LUM__OPEN_READ, &file), LUM_ERR_NOT_FOUND);
    chunk_store_close(&store);
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_extents),          cmocka_unit_test(test_many_threads),
        cmocka_unit_test(test_reuse_and_large),  cmocka_unit_test(test_open_finds_what_is_free),
        cmocka_unit_test(test_full_disk),        cmocka_unit_test(test_full_disk_and_holes),
        cmocka_unit_test(test_failing_creation), cmocka_unit_test(test_power_cut_in_creation),
        cmocka_unit_test(test_wrong_files),      cmocka_unit_test(test_unused_files),
        cmocka_unit_test(test_real_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
