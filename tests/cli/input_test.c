/* Proves that an input comes out as it was before compression, from a file or a pipe; that one which is cut short,
 * damaged or followed by something else never ends quietly; and that a real compressed CSV gives the rows that Python's
 * csv and decimal read. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"
#include "base/status.h"
#include "cli/input.h"
#include "cli/input_decode.h"
#include "formats/csv_source.h"

static char folder[] = "/tmp/lum_input_test_XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL) return -1;
    (void)snprintf(path, sizeof path, "%s/input", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

static void write_file(const void *bytes, size_t length)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

/* Plain text that compresses about as rows do. */
static char *make_plain(size_t length)
{
    uint64_t seed = 5;
    char *text = malloc(length + 64);
    for (size_t at = 0; at < length;)
        at += (size_t)sprintf(text + at, "%llu,some text\n", (unsigned long long)(lum__splitmix64(&seed) >> 40));
    return text;
}

static uint8_t *compress_bytes(enum lum_compression compression, const void *plain, size_t length, size_t *out_length)
{
    struct archive *archive = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    size_t capacity = length + length / 2 + 65536;
    uint8_t *out = malloc(capacity);

    assert_int_equal(archive_write_set_format_raw(archive), ARCHIVE_OK);
    static const int filters[] = {[LUM_GZIP] = ARCHIVE_FILTER_GZIP,
                                  [LUM_BZIP2] = ARCHIVE_FILTER_BZIP2,
                                  [LUM_XZ] = ARCHIVE_FILTER_XZ,
                                  [LUM_ZSTD] = ARCHIVE_FILTER_ZSTD,
                                  [LUM_LZ4] = ARCHIVE_FILTER_LZ4};
    assert_int_equal(archive_write_add_filter(archive, filters[compression]), ARCHIVE_OK);
    assert_int_equal(archive_write_set_bytes_in_last_block(archive, 1), ARCHIVE_OK);
    assert_int_equal(archive_write_open_memory(archive, out, capacity, out_length), ARCHIVE_OK);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_pathname(entry, "x");
    assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
    assert_int_equal(archive_write_data(archive, plain, length), (la_ssize_t)length);
    assert_int_equal(archive_write_close(archive), ARCHIVE_OK);
    archive_write_free(archive);
    archive_entry_free(entry);
    return out;
}

/* Reads an input to its end in steps; LUM_OK and the text, or the error. */
static lum_status read_all(const char *name, size_t step, char **out, size_t *length)
{
    struct lum_input *input;
    size_t capacity = 1 << 16, got;

    *out = NULL;
    *length = 0;
    lum_status status = lum_input_open(name, &input);
    if (status != LUM_OK) return status;
    *out = malloc(capacity + step);
    do {
        while (*length + step > capacity) *out = realloc(*out, (capacity *= 2) + step);
        status = lum_input_read(input, (uint8_t *)*out + *length, step, &got);
        *length += got;
    } while (status == LUM_OK && got > 0);
    if (status == LUM_OK) assert_int_equal(lum_input_bytes_plain(input), *length);
    lum_input_close(input);
    return status;
}

static void every_compression_reads_back(void **state)
{
    enum { PLAIN = 5000000 };
    char *plain = make_plain(PLAIN), *got;
    size_t length, got_length;

    (void)state;
    for (enum lum_compression compression = LUM_PLAIN; compression <= LUM_LZ4; ++compression) {
        if (compression == LUM_PLAIN) {
            write_file(plain, PLAIN);
        } else {
            uint8_t *bytes = compress_bytes(compression, plain, PLAIN, &length);
            write_file(bytes, length);
            free(bytes);
        }
        static const size_t steps[] = {1 << 20, 70001};
        for (size_t i = 0; i < 2; ++i) {
            assert_int_equal(read_all(path, steps[i], &got, &got_length), LUM_OK);
            assert_int_equal(got_length, PLAIN);
            assert_memory_equal(got, plain, PLAIN);
            free(got);
        }
        struct lum_input *input;
        struct stat facts;
        assert_int_equal(lum_input_open(path, &input), LUM_OK);
        assert_string_equal(lum_input_compression(input), lum_compression_name(compression));
        assert_int_equal(stat(path, &facts), 0);
        assert_int_equal(lum_input_bytes_total(input), facts.st_size);
        lum_input_close(input); /* with blocks still ready: must neither hang nor leak */
    }
    free(plain);
}

/* Members one behind the other (pigz, pbzip2, log rotation), an empty one among them. */
static void members_are_read_one_after_the_other(void **state)
{
    char plain[] = "id,x\n1,2\n", *got;
    size_t length, empty_length, got_length;

    (void)state;
    for (enum lum_compression compression = LUM_GZIP; compression <= LUM_LZ4; ++compression) {
        if (compression == LUM_LZ4) continue; /* libarchive 3.6 writes an empty lz4 stream that it cannot read */
        uint8_t *bytes = compress_bytes(compression, plain, sizeof plain - 1, &length);
        uint8_t *empty = compress_bytes(compression, "", 0, &empty_length);
        uint8_t *both = malloc(2 * length + empty_length);
        memcpy(both, bytes, length);
        memcpy(both + length, empty, empty_length);
        memcpy(both + length + empty_length, bytes, length);
        write_file(both, 2 * length + empty_length);
        lum_status status = read_all(path, 4096, &got, &got_length);
        if (status != LUM_OK) fail_msg("%s: %s", lum_compression_name(compression), lum__error_last()->message);
        assert_int_equal(got_length, 2 * (sizeof plain - 1));
        assert_memory_equal(got, "id,x\n1,2\nid,x\n1,2\n", got_length);
        free(got);
        free(both);
        free(empty);
        free(bytes);
    }
}

/* A stream cut after any number of bytes: an error, or - below four bytes, before a magic is whole - plain bytes that
 * no CSV begins with. Never a quiet, shorter file. */
static void a_cut_stream_is_an_error(void **state)
{
    char *plain = make_plain(30000), *got;
    size_t length, got_length;

    (void)state;
    for (enum lum_compression compression = LUM_GZIP; compression <= LUM_LZ4; ++compression) {
        uint8_t *bytes = compress_bytes(compression, plain, 30000, &length);
        for (size_t cut = 4; cut < length; cut += cut < 24 || length - cut <= 24 ? 1 : 311) {
            write_file(bytes, cut);
            if (read_all(path, 4096, &got, &got_length) == LUM_OK)
                fail_msg("%s cut to %zu of %zu bytes read as %zu", lum_compression_name(compression), cut, length,
                         got_length);
            assert_string_equal(lum__error_last()->file, path);
            assert_non_null(strstr(lum__error_last()->message, lum_compression_name(compression)));
            free(got);
        }
        free(bytes);
    }
    free(plain);
}

/* gzip, bzip2 and xz carry checksums: a flipped bit is seen, or (name, time and the like in a header) changes nothing.
 */
/* A row, or a number, would be taken for whole where the file was cut. */
static void a_file_that_is_cut_while_it_is_read_is_an_error(void **state)
{
    enum { PLAIN = 1000000, FIRST = 100000, CUT = 500000 };
    static uint8_t bytes[PLAIN];
    char *plain = make_plain(PLAIN);
    struct lum_input *input;
    size_t got, sum = 0;

    (void)state;
    for (int longer = 0; longer < 2; longer++) { /* what grows is read to its end */
        write_file(plain, PLAIN - longer * CUT);
        assert_int_equal(lum_input_open(path, &input), LUM_OK);
        assert_int_equal(lum_input_read(input, bytes, FIRST, &got), LUM_OK);
        if (longer) write_file(plain, PLAIN);
        else assert_int_equal(truncate(path, CUT), 0);
        lum_status status;
        for (sum = got; (status = lum_input_read(input, bytes, FIRST, &got)) == LUM_OK && got > 0;) sum += got;
        assert_int_equal(status, longer ? LUM_OK : LUM_ERR_INPUT);
        assert_int_equal(sum, longer ? PLAIN : CUT);
        if (!longer) assert_non_null(strstr(lum_last_error()->message, "became shorter"));
        lum_input_close(input);
    }
    free(plain);
}

static void a_flipped_bit_is_seen(void **state)
{
    char *plain = make_plain(3000), *got;
    size_t length, got_length, inert = 0;

    (void)state;
    for (enum lum_compression compression = LUM_GZIP; compression <= LUM_XZ; ++compression) {
        uint8_t *bytes = compress_bytes(compression, plain, 3000, &length);
        static const size_t magic_bytes[] = {
            [LUM_GZIP] = 2, [LUM_BZIP2] = 10, [LUM_XZ] = 6}; /* without it: plain bytes */
        for (size_t bit = magic_bytes[compression] * 8; bit < length * 8; bit += bit < 160 ? 1 : 13) {
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            write_file(bytes, length);
            if (read_all(path, 4096, &got, &got_length) == LUM_OK) {
                inert++;
                if (got_length != 3000 || memcmp(got, plain, 3000) != 0)
                    fail_msg("%s with bit %zu flipped reads as something else", lum_compression_name(compression), bit);
            }
            free(got);
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        free(bytes);
    }
    assert_in_range(inert, 0, 100); /* of thousands: gzip's time, system and flags, padding, unused code lengths */
    free(plain);
}

static void what_follows_a_stream_is_refused(void **state)
{
    char *plain = make_plain(3000), *got;
    size_t length, got_length;

    (void)state;
    for (enum lum_compression compression = LUM_GZIP; compression <= LUM_LZ4; ++compression) {
        uint8_t *bytes = compress_bytes(compression, plain, 3000, &length);
        bytes = realloc(bytes, length + 100000);
        memset(bytes + length, 'x', 100000);
        static const size_t extras[] = {1, 7, 100000};
        for (size_t i = 0; i < 3; ++i) {
            write_file(bytes, length + extras[i]);
            if (read_all(path, 4096, &got, &got_length) != LUM_ERR_INPUT)
                fail_msg("%s took %zu bytes behind its end", lum_compression_name(compression), extras[i]);
            free(got);
        }
        free(bytes);
    }
    free(plain);
}

static void what_cannot_be_opened_says_why(void **state)
{
    struct lum_input *input;
    char *got;
    size_t length;

    (void)state;
    assert_int_equal(lum_input_open("/nonexistent/rows.csv", &input), LUM_ERR_INPUT);
    assert_null(input);
    assert_string_equal(lum__error_last()->file, "/nonexistent/rows.csv");
    assert_non_null(strstr(lum__error_last()->message, "No such file"));
    assert_int_equal(lum_input_open(folder, &input), LUM_ERR_INPUT);
    assert_non_null(strstr(lum__error_last()->message, "directory"));
    write_file("x", 1);
    if (geteuid() != 0) {
        assert_int_equal(chmod(path, 0), 0);
        assert_int_equal(lum_input_open(path, &input), LUM_ERR_INPUT);
        assert_non_null(strstr(lum__error_last()->message, "Permission denied"));
        assert_int_equal(chmod(path, 0600), 0);
    }
    write_file("PK\3\4 and so on", 14);
    assert_int_equal(lum_input_open(path, &input), LUM_ERR_INPUT);
    assert_non_null(strstr(lum__error_last()->message, "zip"));
    for (size_t bytes = 0; bytes < 4; ++bytes) { /* shorter than any magic */
        write_file("ab\n", bytes);
        assert_int_equal(read_all(path, 10, &got, &length), LUM_OK);
        assert_int_equal(length, bytes);
        free(got);
    }
    write_file("BZh9,header\n1,2\n", 16); /* begins like bzip2, is a CSV */
    assert_int_equal(read_all(path, 10, &got, &length), LUM_OK);
    assert_int_equal(length, 16);
    free(got);
}

/* ------------------------------------------------------------------------------------------------------- stdin */

struct feeder {
    int fd;
    const uint8_t *bytes;
    size_t length;
};

static void *feed(void *context)
{
    struct feeder *feeder = context;
    for (size_t at = 0; at < feeder->length;) { /* in dribbles, as pipes do */
        size_t step = feeder->length - at < 1009 ? feeder->length - at : 1009;
        ssize_t wrote = write(feeder->fd, feeder->bytes + at, step);
        if (wrote <= 0) break;
        at += (size_t)wrote;
    }
    close(feeder->fd);
    return NULL;
}

static void stdin_works_too(void **state)
{
    char *plain = make_plain(200000), *got;
    size_t length, got_length;
    int saved = dup(STDIN_FILENO);

    (void)state;
    for (enum lum_compression compression = LUM_GZIP; compression <= LUM_LZ4; ++compression) {
        int ends[2];
        pthread_t thread;
        uint8_t *bytes = compress_bytes(compression, plain, 200000, &length);
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
        close(ends[0]);
        struct feeder feeder = {ends[1], bytes, length};
        assert_int_equal(pthread_create(&thread, NULL, feed, &feeder), 0);
        assert_int_equal(read_all("-", 4096, &got, &got_length), LUM_OK);
        pthread_join(thread, NULL);
        assert_int_equal(got_length, 200000);
        assert_memory_equal(got, plain, 200000);
        free(got);
        free(bytes);
    }
    /* A writer that never goes on: closing must end the thread that waits for it. */
    int ends[2];
    struct lum_input *input;
    uint8_t *bytes = compress_bytes(LUM_GZIP, plain, 200000, &length);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    close(ends[0]);
    assert_int_equal(write(ends[1], bytes, 1000), 1000);
    assert_int_equal(lum_input_open("-", &input), LUM_OK);
    assert_string_equal(lum_input_name(input), "(stdin)");
    lum_input_close(input);
    close(ends[1]);
    free(bytes);
    free(plain);
    assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
    close(saved);
}

/* --------------------------------------------------------------------------------------------------- real rows */

/* The five sums are those of Python's csv and decimal over the same file: sum = sum * 31 + value, in 64 bits, row by
 * row. */
static void cities_read_as_python_reads_them(void **state)
{
    const char *tree = getenv("LUM_SOURCE_DIR");
    char file[4096];
    struct lum_input *input;
    struct lum__row_source *csv;
    struct lum__mapping mapping = LUM__MAPPING_INIT;
    struct lum__row_options options = {.mapping = &mapping, .piece_bytes_max = 1 << 20};
    static lum_t rows[4096];
    uint64_t count = 0, id = 0, x = 0, y = 0, time = 0, address = 0;
    lum_piece piece;

    (void)state;
    (void)snprintf(file, sizeof file, "%s/tests/data/cities500.csv.zst", tree != NULL ? tree : ".");
    assert_int_equal(lum_input_open(file, &input), LUM_OK);
    assert_int_equal(lum__mapping_add(&mapping, "id=geonameid,position_x=longitude*1e7,position_y=latitude*1e7"),
                     LUM_OK);
    assert_int_equal(lum__mapping_add(&mapping, "timestamp=modified,memory_address=population"), LUM_OK);
    const struct lum__input_bytes bytes = {.name = file, .read = lum_input_read, .read_context = input, .fd = -1};
    assert_int_equal(lum__csv_open(&bytes, &options, &csv), LUM_OK);
    lum__mapping_destroy(&mapping);
    const lum_source *source = &csv->source;
    lum_status status;
    while ((status = source->open_piece(source->context, 0, 100000, &piece)) == LUM_OK) {
        size_t got;
        assert_int_equal(piece.first_row, count);
        do {
            assert_int_equal(source->fill(source->context, 0, rows, 4096, &got), LUM_OK);
            for (size_t i = 0; i < got; ++i) {
                id = id * 31 + rows[i].id;
                x = x * 31 + (uint64_t)(int64_t)rows[i].position_x;
                y = y * 31 + (uint64_t)(int64_t)rows[i].position_y;
                time = time * 31 + rows[i].timestamp;
                address = address * 31 + rows[i].memory_address;
            }
            count += got;
        } while (got > 0);
    }
    assert_int_equal(status, LUM_END);
    assert_true(count == 199568);
    assert_true(id == 1431159116597303496u);
    assert_true(x == 2086763673354774248u);
    assert_true(y == 6104111873108074976u);
    assert_true(time == 8741567957729017856u);
    assert_true(address == 3403174369311546374u);
    csv->close(csv);
    lum_input_close(input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_compression_reads_back),
        cmocka_unit_test(members_are_read_one_after_the_other),
        cmocka_unit_test(a_cut_stream_is_an_error),
        cmocka_unit_test(a_file_that_is_cut_while_it_is_read_is_an_error),
        cmocka_unit_test(a_flipped_bit_is_seen),
        cmocka_unit_test(what_follows_a_stream_is_refused),
        cmocka_unit_test(what_cannot_be_opened_says_why),
        cmocka_unit_test(stdin_works_too),
        cmocka_unit_test(cities_read_as_python_reads_them),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
