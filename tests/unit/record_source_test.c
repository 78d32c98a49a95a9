/* Proves that raw records and NumPy's arrays come back exactly, from files and from streams, by any number of workers, as
 * rows and as columns; that every type of integer and date is converted exactly or refused; that each bad record is told
 * with its row, byte and reason; and that a header which lies, in any way we could think of, ends in one clear error. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/random.h"
#include "formats/npy.h"
#include "formats/npy_source.h"
#include "formats/raw_source.h"
#include "support/source_load.h"

enum { ROWS = 30000 };

typedef lum_status (*open_source)(const struct lum__input_bytes *, const struct lum__row_options *,
                                  struct lum__row_source **);

static lum_t rows[ROWS];

/* Extremes among anything. */
static void make_rows(void)
{
    uint64_t random = 7;
    static const uint64_t wide[] = {0, 1, UINT64_MAX, (uint64_t)1 << 63};
    static const int32_t narrow[] = {0, -1, INT32_MIN, INT32_MAX};

    for (size_t i = 0; i < ROWS; ++i) {
        uint64_t r = lum__splitmix64(&random);
        lum_t *row = &rows[i];
        memset(row, 0, sizeof *row);
        row->id = i % 5 == 0 ? wide[r % 4] : lum__splitmix64(&random);
        row->timestamp = i % 7 == 0 ? wide[r >> 8 & 3] : lum__splitmix64(&random);
        row->memory_address = i % 11 == 0 ? wide[r >> 16 & 3] : lum__splitmix64(&random);
        row->position_x = i % 3 == 0 ? narrow[r >> 24 & 3] : (int32_t)lum__splitmix64(&random);
        row->position_y = i % 4 == 0 ? narrow[r >> 32 & 3] : (int32_t)lum__splitmix64(&random);
        row->presence = r >> 40 & 1;
        row->structure_type = (r >> 41 & 0xff) % 6;
        row->is_destroyed = r >> 50 & 1;
        row->checksum = lum_record_checksum(row);
    }
}

/* The bytes as a regular file. */
static struct lum__input_bytes file_of(const void *bytes, size_t byte_count)
{
    int fd = memfd_create("input", MFD_CLOEXEC);

    assert_true(fd >= 0);
    for (size_t done = 0; done < byte_count;) {
        ssize_t n = write(fd, (const uint8_t *)bytes + done, byte_count - done);
        assert_true(n > 0);
        done += (size_t)n;
    }
    return (struct lum__input_bytes){.name = "file", .fd = fd, .file_bytes = byte_count};
}

/* Reads all rows into *out and gives the load's status; the last error is this thread's. reject_count: how many bad rows are
 * to be told; then the load goes on over them. */
static lum_status load_all(open_source open, const struct lum__input_bytes *input, struct lum__row_options options,
                           uint32_t workers, struct source_load *load)
{
    struct lum__row_source *source;

    if (load->reject_limit > 0) options.rejects = &load->sink;
    LUM_TRY(open(input, &options, &source));
    run_source_workers(load, &source->source, workers);
    uint64_t rows_read, rows_rejected, bytes_read;
    source->source.account(source->source.context, &rows_read, &rows_rejected, &bytes_read);
    if (load->status == LUM_OK) {
        assert_true(rows_read == load->row_count);
        assert_true(rows_rejected == load->reject_count);
        if (input->fd >= 0) assert_true(bytes_read == input->file_bytes);
    } else {
        lum__error_restore(&load->error);
    }
    source->close(source);
    return load->status;
}

static void check_rows(open_source open, const void *bytes, size_t byte_count, const lum_t *want, uint64_t count)
{
    static const uint32_t workers[] = {1, 2, 8};
    static const size_t reads[] = {777, 1 << 20};
    lum_t *got = malloc(ROWS * sizeof *got);

    for (int i = 0; i < 3; ++i) {
        struct lum__input_bytes input = file_of(bytes, byte_count);
        struct source_load load = {.rows_max = 5000, .rows = got, .row_limit = count};
        memset(got, 0xee, ROWS * sizeof *got);
        assert_int_equal(load_all(open, &input, (struct lum__row_options){0}, workers[i], &load), LUM_OK);
        assert_true(load.row_count == count);
        assert_memory_equal(got, want, count * sizeof *got);
        close(input.fd);
    }
    for (int i = 0; i < 2; ++i) {
        struct text_stream stream = {.text = bytes, .length = byte_count, .read_max = reads[i]};
        struct lum__input_bytes input = text_stream_bytes("stream", &stream);
        struct source_load load = {.rows_max = 5000, .rows = got, .row_limit = count};
        memset(got, 0xee, ROWS * sizeof *got);
        assert_int_equal(load_all(open, &input, (struct lum__row_options){0}, 3, &load), LUM_OK);
        assert_true(load.row_count == count);
        assert_memory_equal(got, want, count * sizeof *got);
    }
    free(got);
}

/* Opens and reads; must be refused with this in the message and that offset. */
static void check_refused(open_source open, const struct lum__input_bytes *input, const char *words, uint64_t offset)
{
    static lum_t got[ROWS];
    struct source_load load = {.rows_max = 5000, .rows = got, .row_limit = UINT64_MAX};
    const struct lum__error *error = lum__error_last();

    lum_status status = load_all(open, input, (struct lum__row_options){0}, 1, &load);
    if (status != LUM_ERR_INPUT || strstr(error->message, words) == NULL || error->offset != offset)
        fail_msg("%s: %d, %s at %llu, instead of %s at %llu", input->name, status, error->message,
                 (unsigned long long)error->offset, words, (unsigned long long)offset);
    assert_string_equal(error->file, input->name);
    assert_true(error->remedy[0] != '\0');
}

static void check_both_refused(open_source open, const void *bytes, size_t byte_count, const char *file_words,
                               const char *stream_words, uint64_t offset)
{
    struct lum__input_bytes file = file_of(bytes, byte_count);
    struct text_stream stream = {.text = bytes, .length = byte_count, .read_max = 1000};
    struct lum__input_bytes input = text_stream_bytes("stream", &stream);

    check_refused(open, &file, file_words, offset);
    check_refused(open, &input, stream_words, offset);
    close(file.fd);
}

/* --------------------------------------------------------------------------------------------------------------- raw */

static void raw_rows_come_back(void **state)
{
    (void)state;
    check_rows(lum__raw_open, rows, sizeof rows, rows, ROWS);
    check_rows(lum__raw_open, rows, 40, rows, 1);
    check_rows(lum__raw_open, rows, 0, rows, 0);
}

static void raw_files_are_whole_records(void **state)
{
    (void)state;
    for (size_t extra = 1; extra < 40; extra += 6)
        check_both_refused(lum__raw_open, rows, 40 * 6000 + extra, "no whole 40-byte records", "ends within the record",
                           40 * 6000);
    check_both_refused(lum__raw_open, rows, 39, "no whole 40-byte records", "ends within the record", 0);
}

static void break_row(lum_t *row, unsigned kind)
{
    switch (kind) {
    case 0: row->presence = 2; break;
    case 1: row->structure_type = 6; break;
    case 2: row->is_destroyed = 255; break;
    case 3: row->reserved = 1; break;
    case 4: row->checksum ^= 1; return;
    default: row->checksum = 0; return; /* there is no checksum that means none */
    }
    row->checksum = lum_record_checksum(row);
}

static void raw_bad_rows_are_told(void **state)
{
    static const struct {
        const char *code, *name;
        uint64_t offset;
    } want[] = {{"range", "presence", 36}, {"range", "structure_type", 37}, {"range", "is_destroyed", 38},
                {"range", "reserved", 39}, {"checksum", "checksum", 32},    {"checksum", "checksum", 32}};
    lum_t *broken = malloc(sizeof rows), *got = malloc(sizeof rows);
    uint8_t *filled = malloc(ROWS);

    (void)state;
    memcpy(broken, rows, sizeof rows);
    for (size_t i = 0; i < 600; ++i) break_row(&broken[i * 50 + 3], i % 6);
    for (size_t i = 8000; i < 13000; ++i) broken[i].reserved = 9; /* whole pages and a whole piece of them */
    for (uint32_t workers = 1; workers <= 8; workers *= 2) {
        struct lum__input_bytes input = file_of(broken, sizeof rows);
        struct source_load load = {.rows_max = 4500, .rows = got, .row_limit = ROWS, .filled = filled};
        memset(filled, 0, ROWS);
        prepare_rejects(&load, ROWS);
        assert_int_equal(load_all(lum__raw_open, &input, (struct lum__row_options){0}, workers, &load), LUM_OK);
        sort_rejects(&load);
        assert_true(load.reject_count == 600 + 5000 - 100);
        for (uint64_t i = 0; i < load.reject_count; ++i) {
            const struct lum__rejected_row *row = &load.rejects[i].row;
            size_t index = row->row - 1, kind = index / 50 % 6;
            assert_memory_equal(row->bytes, &broken[index], 40);
            assert_int_equal(row->byte_count, 40);
            if (index >= 8000 && index < 13000) continue;
            assert_int_equal(index % 50, 3);
            assert_string_equal(row->code, want[kind].code);
            assert_string_equal(row->column_name, want[kind].name);
            assert_true(row->offset == index * 40 + want[kind].offset);
        }
        uint64_t good = 0;
        for (size_t i = 0; i < ROWS; ++i) good += filled[i];
        assert_true(good == ROWS - load.reject_count);
        free_rejects(&load);
        close(input.fd);
    }
    struct lum__input_bytes input = file_of(broken, sizeof rows);
    check_refused(lum__raw_open, &input, "presence is 2, neither 0 nor 1", 3 * 40 + 36);
    close(input.fd);
    free(filled);
    free(got);
    free(broken);
}

static void raw_has_nothing_to_map(void **state)
{
    struct lum__mapping mapping = LUM__MAPPING_INIT;
    struct lum__input_bytes input = file_of(rows, 40);
    struct lum__row_source *source;

    (void)state;
    assert_int_equal(lum__mapping_add(&mapping, "id=@row"), LUM_OK);
    struct lum__row_options options = {.mapping = &mapping};
    assert_int_equal(lum__raw_open(&input, &options, &source), LUM_ERR_ARGUMENT);
    assert_null(source);
    assert_non_null(strstr(lum__error_last()->message, "--map does not go with raw records"));
    lum__mapping_destroy(&mapping);
    close(input.fd);
}

/* ------------------------------------------------------------------------------------------------------- npy: written */

static uint8_t *make_npy(const enum lum__field *fields, size_t field_count, size_t count, size_t *byte_count)
{
    uint8_t *bytes = malloc(LUM__NPY_HEADER_BYTES_MAX + count * 40);
    size_t header = lum__npy_write_header(bytes, fields, field_count, count);

    assert_int_equal(header % 64, 0);
    *byte_count = header + lum__npy_write_rows(bytes + header, fields, field_count, rows, count);
    return bytes;
}

static void keep_field(lum_t *to, const lum_t *from, enum lum__field field)
{
    switch (field) {
    case LUM__FIELD_ID: to->id = from->id; break;
    case LUM__FIELD_PRESENCE: to->presence = from->presence; break;
    case LUM__FIELD_POSITION_X: to->position_x = from->position_x; break;
    case LUM__FIELD_POSITION_Y: to->position_y = from->position_y; break;
    case LUM__FIELD_STRUCTURE_TYPE: to->structure_type = from->structure_type; break;
    case LUM__FIELD_TIMESTAMP: to->timestamp = from->timestamp; break;
    case LUM__FIELD_MEMORY_ADDRESS: to->memory_address = from->memory_address; break;
    case LUM__FIELD_IS_DESTROYED: to->is_destroyed = from->is_destroyed; break;
    default: to->checksum = from->checksum; break;
    }
}

static void check_columns(const void *bytes, size_t byte_count, const lum_t *want, uint64_t count)
{
    struct lum__input_bytes input = file_of(bytes, byte_count);
    const struct lum__row_options options = {0};
    struct lum__row_source *source;
    lum_piece piece;
    uint64_t row = 0;

    assert_int_equal(lum__npy_open(&input, &options, &source), LUM_OK);
    assert_non_null(source->source.fill_columns);
    while (source->source.open_piece(source->source.context, 0, 10000, &piece) == LUM_OK) {
        size_t got = 1;
        while (got > 0) {
            lum_columns c;
            assert_int_equal(source->source.fill_columns(source->source.context, 0, 4096, &c, &got), LUM_OK);
            for (size_t i = 0; i < got; ++i, ++row) {
                const lum_t *w = &want[row];
                assert_true(c.id[i] == w->id && c.timestamp[i] == w->timestamp &&
                            c.memory_address[i] == w->memory_address && c.position_x[i] == w->position_x &&
                            c.position_y[i] == w->position_y && c.presence[i] == w->presence &&
                            c.structure_type[i] == w->structure_type && c.is_destroyed[i] == w->is_destroyed);
            }
        }
    }
    assert_true(row == count);
    source->close(source);
    close(input.fd);
}

/* Every subset of the fields that has an id, in a few orders. */
static void npy_subsets_come_back(void **state)
{
    lum_t *want = malloc(sizeof rows);
    uint64_t random = 3;

    (void)state;
    for (unsigned set = 1; set < 1u << LUM__FIELD_CHECKSUM; set += 2) { /* bit 0 is id */
        enum lum__field fields[LUM__FIELD_COUNT];
        size_t field_count = 0, byte_count, count = set % 16 == 1 ? 9000 : 100;
        for (unsigned field = 0; field < LUM__FIELD_CHECKSUM; ++field)
            if (set >> field & 1) fields[field_count++] = (enum lum__field)field;
        for (size_t i = field_count; i > 1; --i) {
            size_t other = lum__splitmix64(&random) % i;
            enum lum__field swap = fields[i - 1];
            fields[i - 1] = fields[other];
            fields[other] = swap;
        }
        for (size_t i = 0; i < count; ++i) {
            want[i] = (lum_t){.presence = 1};
            for (size_t k = 0; k < field_count; ++k) keep_field(&want[i], &rows[i], fields[k]);
        }
        uint8_t *bytes = make_npy(fields, field_count, count, &byte_count);
        check_rows(lum__npy_open, bytes, byte_count, want, count);
        check_columns(bytes, byte_count, want, count);
        free(bytes);
    }
    free(want);
}

static void npy_whole_rows_come_back(void **state)
{
    static const enum lum__field text_order[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    size_t byte_count;

    (void)state;
    uint8_t *bytes = make_npy(lum__npy_record_fields, LUM__FIELD_COUNT, ROWS, &byte_count);
    assert_int_equal(byte_count % 64, ROWS * 40 % 64);
    assert_int_equal(lum__npy_row_bytes(lum__npy_record_fields, LUM__FIELD_COUNT), 40);
    check_rows(lum__npy_open, bytes, byte_count, rows, ROWS);
    free(bytes);
    bytes = make_npy(text_order, LUM__FIELD_COUNT, ROWS, &byte_count);
    assert_int_equal(lum__npy_row_bytes(text_order, LUM__FIELD_COUNT), 39);
    check_rows(lum__npy_open, bytes, byte_count, rows, ROWS);
    free(bytes);
    bytes = make_npy(text_order, LUM__FIELD_COUNT, 0, &byte_count);
    check_rows(lum__npy_open, bytes, byte_count, rows, 0);
    free(bytes);
}

/* The header has one length for any count, so that it can be written again. */
static void npy_headers_have_one_length(void **state)
{
    uint8_t header[LUM__NPY_HEADER_BYTES_MAX];

    (void)state;
    size_t bytes = lum__npy_write_header(header, lum__npy_record_fields, LUM__FIELD_COUNT, 0);
    assert_int_equal(lum__npy_write_header(header, lum__npy_record_fields, LUM__FIELD_COUNT, UINT64_MAX), bytes);
    assert_int_equal(header[bytes - 1], '\n');
    assert_int_equal(lum__get_u16(header + 8) + 10, bytes);
}

/* ------------------------------------------------------------------------------------------------------- npy: foreign */

/* A file of version 1 with this dictionary and these records. */
static size_t put_npy(uint8_t *out, const char *dictionary, const void *data, size_t data_bytes)
{
    size_t length = strlen(dictionary);

    memcpy(out, "\x93NUMPY\x01\x00", 8);
    lum__put_u16(out + 8, (uint16_t)length);
    memcpy(out + 10, dictionary, length);
    memcpy(out + 10 + length, data, data_bytes);
    return 10 + length + data_bytes;
}

static size_t put_array(uint8_t *out, const char *description, size_t count, const void *data, size_t data_bytes)
{
    char dictionary[1000];

    (void)snprintf(dictionary, sizeof dictionary, "{'descr': %s, 'fortran_order': False, 'shape': (%zu,), }\n", description,
                   count);
    return put_npy(out, dictionary, data, data_bytes);
}

/* One value of a type for a field: what becomes of it, or why not. */
static void values_are_converted_or_refused(void **state)
{
    static const struct {
        const char *type, *bytes, *field, *map;
        int64_t want;
        const char *code; /* NULL: want */
    } cases[] = {
        {"|i1", "\x80", "position_x", NULL, -128, NULL},
        {"|u1", "\xff", "position_x", NULL, 255, NULL},
        {"<i2", "\x00\x80", "position_x", NULL, -32768, NULL},
        {">i2", "\x00\x80", "position_x", NULL, 128, NULL},
        {">i4", "\x80\x00\x00\x00", "position_x", NULL, INT32_MIN, NULL},
        {"<u4", "\xff\xff\xff\x7f", "position_x", NULL, INT32_MAX, NULL},
        {"<u4", "\x00\x00\x00\x80", "position_x", NULL, 0, "range"},
        {"<i8", "\x00\x00\x00\x80\xff\xff\xff\xff", "position_y", NULL, INT32_MIN, NULL},
        {"<i8", "\xff\xff\xff\x7f\xff\xff\xff\xff", "position_y", NULL, 0, "range"},
        {">u8", "\x00\x00\x00\x00\x7f\xff\xff\xff", "position_y", NULL, INT32_MAX, NULL},
        {"=i4", "\xff\xff\xff\xff", "position_y", NULL, -1, NULL},
        {">u8", "\xff\xff\xff\xff\xff\xff\xff\xff", "memory_address", NULL, -1, NULL},
        {"<i8", "\xff\xff\xff\xff\xff\xff\xff\xff", "memory_address", NULL, 0, "range"},
        {"<u2", "\x01\x02", "memory_address", NULL, 0x201, NULL},
        {"|b1", "\x01", "presence", NULL, 1, NULL},
        {"|b1", "\x02", "presence", NULL, 0, "range"},
        {"|u1", "\x02", "presence", NULL, 0, "range"},
        {"<i4", "\x01\x00\x00\x00", "is_destroyed", NULL, 1, NULL},
        {"|i1", "\xff", "is_destroyed", NULL, 0, "range"},
        {"|u1", "\x05", "structure_type", NULL, 5, NULL},
        {"|u1", "\x06", "structure_type", NULL, 0, "range"},
        {">u2", "\x00\x05", "structure_type", NULL, 5, NULL},
        {"<M8[ns]", "\x01\x00\x00\x00\x00\x00\x00\x00", "timestamp", NULL, 1, NULL},
        {"<M8[s]", "\x02\x00\x00\x00\x00\x00\x00\x00", "timestamp", NULL, 2000000000, NULL},
        {">M8[ms]", "\x00\x00\x00\x00\x00\x00\x00\x03", "timestamp", NULL, 3000000, NULL},
        {"<M8[us]", "\x04\x00\x00\x00\x00\x00\x00\x00", "timestamp", NULL, 4000, NULL},
        {"<M8[D]", "\x01\x00\x00\x00\x00\x00\x00\x00", "timestamp", NULL, 86400000000000, NULL},
        {"<M8[ns]", "\xff\xff\xff\xff\xff\xff\xff\xff", "timestamp", NULL, 0, "range"},
        {"<M8[s]", "\xff\xff\xff\xff\xff\xff\xff\x7f", "timestamp", NULL, 0, "range"},
        {"<M8[ns]", "\x00\x00\x00\x00\x00\x00\x00\x80", "timestamp", NULL, 0, "empty"},
        {"<i4", "\x05\x00\x00\x00", "position_x", "position_x=v*1000", 5000, NULL},
        {"<i4", "\xff\xff\xff\xff", "position_x", "position_x=v*2.5e2", -250, NULL},
        {"<i4", "\x05\x00\x00\x00", "position_x", "position_x=v*0.5", 0, "leftover"},
        {"<i4", "\x06\x00\x00\x00", "position_x", "position_x=v*0.5", 3, NULL},
        {"<i4", "\xff\xff\xff\x7f", "position_x", "position_x=v*2", 0, "range"},
        {"<u8", "\xff\xff\xff\xff\xff\xff\xff\xff", "timestamp", "timestamp=v*1000", 0, "range"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        uint8_t bytes[1000], record[64] = {9}; /* the id, then the value, then padding */
        char description[200];
        size_t value_bytes = (size_t)(cases[i].type[2] - '0');
        lum_t got[2], want = {.id = 9, .presence = 1};
        struct lum__mapping mapping = LUM__MAPPING_INIT;

        memcpy(record + 1, cases[i].bytes, value_bytes);
        (void)snprintf(description, sizeof description, "[('id', '|u1'), ('%s', '%s'), ('', '|V3')]",
                       cases[i].map != NULL ? "v" : cases[i].field, cases[i].type);
        struct lum__input_bytes input = file_of(bytes, put_array(bytes, description, 1, record, value_bytes + 4));
        if (cases[i].map != NULL) assert_int_equal(lum__mapping_add(&mapping, cases[i].map), LUM_OK);
        struct source_load load = {.rows_max = 100, .rows = got, .row_limit = 1};
        prepare_rejects(&load, 1);
        assert_int_equal(load_all(lum__npy_open, &input, (struct lum__row_options){.mapping = &mapping}, 1, &load), LUM_OK);
        if (cases[i].code != NULL) {
            if (load.reject_count != 1 || strcmp(load.rejects[0].row.code, cases[i].code) != 0)
                fail_msg("case %zu: not refused as %s", i, cases[i].code);
            assert_int_equal(load.rejects[0].row.column, 2);
            assert_true(load.rejects[0].row.offset == input.file_bytes - value_bytes - 3);
        } else {
            const lum_t value = {.id = (uint64_t)cases[i].want,
                                 .timestamp = (uint64_t)cases[i].want,
                                 .memory_address = (uint64_t)cases[i].want,
                                 .position_x = (int32_t)cases[i].want,
                                 .position_y = (int32_t)cases[i].want,
                                 .presence = (uint8_t)cases[i].want,
                                 .structure_type = (uint8_t)cases[i].want,
                                 .is_destroyed = (uint8_t)cases[i].want};
            keep_field(&want, &value, lum__field_find(cases[i].field, strlen(cases[i].field)));
            if (load.reject_count != 0 || memcmp(got, &want, sizeof want) != 0) fail_msg("case %zu: another value", i);
        }
        free_rejects(&load);
        lum__mapping_destroy(&mapping);
        close(input.fd);
    }
}

/* Types that cannot feed a field are refused before a row is read. */
static void types_that_do_not_fit_are_named(void **state)
{
    static const struct {
        const char *description, *words;
    } cases[] = {
        {"[('id', '<u8'), ('position_x', '<f8')]", "is floating point, which is not exact"},
        {"[('id', '<u8'), ('position_x', '<M8[ns]')]", "is a date, which only timestamp can be"},
        {"[('id', '<u8'), ('timestamp', '<M8[M]')]", "no whole number of nanoseconds"},
        {"[('id', '<u8'), ('timestamp', '<M8[25s]')]", "no whole number of nanoseconds"},
        {"[('id', '<u8'), ('timestamp', '|S20')]", "neither an integer nor a bool nor a datetime64"},
        {"[('id', '<u8'), ('position_x', '<i4', (2,))]", "neither an integer nor a bool nor a datetime64"},
        {"[('id', [('a', '<u4'), ('b', '<u4')])]", "neither an integer nor a bool nor a datetime64"},
    };
    uint8_t bytes[2000], record[100] = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        size_t byte_count = put_array(bytes, cases[i].description, 0, record, 0);
        struct lum__input_bytes input = file_of(bytes, byte_count);
        check_refused(lum__npy_open, &input, cases[i].words, LUM_NO_OFFSET);
        close(input.fd);
    }
}

/* What is not mapped may be of any type but Python objects. */
static void other_fields_are_passed_over(void **state)
{
    uint8_t bytes[2000], records[2 * 128];
    lum_t want[2] = {{.id = 1, .presence = 1, .position_y = -1}, {.id = 2, .presence = 1, .position_y = -2}};

    (void)state;
    memset(records, 0x5a, sizeof records);
    for (size_t i = 0; i < 2; ++i) {
        lum__put_u64(records + i * 128 + 100, i + 1);
        lum__put_u32(records + i * 128 + 124, ~(uint32_t)i);
    }
    size_t byte_count = put_array(bytes,
                                  "[ ('na\\'me', '<f8') , (\"b\", '|S7'), ('c', '<U3'), (('a title', 'd'), '<c16', (2, 2)),"
                                  " ('', '|V1'), ('e', [('id', '<i4'), ('f', '|b1', (0,))]),\n\t"
                                  "('g', '|V4',), ('id', '<u8'), ('h', '<m8[ns]', ()), ('', '|V8'), ('position_y', '<i4')]",
                                  2, records, sizeof records);
    check_rows(lum__npy_open, bytes, byte_count, want, 2);
    check_columns(bytes, byte_count, want, 2);
}

static void headers_that_lie_are_refused(void **state)
{
#define AROUND(descr) "{'descr': " descr ", 'fortran_order': False, 'shape': (1,), }\n"
    static const struct {
        const char *dictionary, *words;
    } cases[] = {
        {"", "2 to 1048576 are allowed"},
        {"  \n", "\"{\" is missing"},
        {"{}\n", "descr, fortran_order or shape is missing"},
        {"{'descr': [('id', '<u8')], 'shape': (1,)}\n", "descr, fortran_order or shape is missing"},
        {AROUND("[('id', '<u8')]") "x", "text behind the dictionary"},
        {"{'descr': [('id', '<u8')], 'descr': [('id', '<u8')], 'fortran_order': False, 'shape': (1,)}", "stands there twice"},
        {"{'descr': [('id', '<u8')], 'fortran_order': True, 'shape': (1,)}", "in Fortran order"},
        {"{'descr': [('id', '<u8')], 'fortran_order': None, 'shape': (1,)}", "neither True nor False"},
        {"{'descr': [('id', '<u8')], 'fortran_order': False, 'shape': (1, 1)}", "the array has 2 dimensions"},
        {"{'descr': [('id', '<u8')], 'fortran_order': False, 'shape': ()}", "the array has 0 dimensions"},
        {"{'descr': [('id', '<u8')], 'fortran_order': False, 'shape': (-1,)}", "a number is missing"},
        {"{'descr': [('id', '<u8')], 'fortran_order': False, 'shape': (1.5,)}", "\")\" is missing"},
        {"{'descr': [('id', '<u8')], 'fortran_order': False, 'shape': 1}", "\"(\" is missing"},
        {"{'descr': [('id', '<u8')], 'fortran_order': False, 'shape': (99999999999999999999,)}", "too large"},
        {"{'descr': [('id', '<u8')], 'fortran_order': False, 'shape': (4611686018427387904,)}", "more rows than any file"},
        {"{'descr': [('id', '<u8')], 'fortran_order': False, 'shape': (4294967296, 4294967296, 4294967296)}", "too large"},
        {AROUND("'<f8'"), "an array of plain values (<f8)"},
        {AROUND("'|O'"), "a pickle can run programs"},
        {AROUND("[('id', '|O')]"), "a pickle can run programs"},
        {AROUND("[('id', '<u8'), ('x', [('y', '|O8')])]"), "a pickle can run programs"},
        {AROUND("[]"), "the records have no fields"},
        {AROUND("[('', '|V8')]"), "the records have no fields"},
        {AROUND("[('id', '<u0')]"), "no type of NumPy's"},
        {AROUND("[('id', '<u3')]"), "no type of NumPy's"},
        {AROUND("[('id', '<u16')]"), "no type of NumPy's"},
        {AROUND("[('id', '<q8')]"), "no type of NumPy's"},
        {AROUND("[('id', 'u8')]"), "no type of NumPy's"},
        {AROUND("[('id', '<')]"), "no type of NumPy's"},
        {AROUND("[('id', '')]"), "no type of NumPy's"},
        {AROUND("[('id', '<u8x')]"), "no type of NumPy's"},
        {AROUND("[('id', '<u8'), ('x', '|V99999999')]"), "the records are too long"},
        {AROUND("[('id', '<u8'), ('x', '|V9999999999')]"), "no type of NumPy's"},
        {AROUND("[('id', '<u8', (9999999999, 9999999999))]"), "too large"},
        {AROUND("[('id', '<u8', (9999999,))]"), "the records are too long"},
        {AROUND("[('id' '<u8')]"), "\",\" is missing"},
        {AROUND("[('id', '<u8']"), "\")\" is missing"},
        {AROUND("[('id', '<u8')"), "\"(\" is missing"},
        {AROUND("[('id', __import__('os'))]"), "a string is missing"},
        {AROUND("[('i\\x64', '<u8')]"), "an escape other than"},
        {AROUND("[('id', [('a', [('a', [('a', [('a', [('a', [('a', [('a', [('a', [('a', '<u8')])])])])])])])])])]"),
         "too deep"},
        {"{'descr': [('id', '<u8", "a string does not end"},
    };
    uint8_t bytes[2000], record[8] = {1};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        struct source_load load = {.rows_max = 1};
        struct lum__input_bytes input = file_of(bytes, put_npy(bytes, cases[i].dictionary, record, sizeof record));
        lum_status status = load_all(lum__npy_open, &input, (struct lum__row_options){0}, 1, &load);
        if (status != LUM_ERR_INPUT || strstr(lum__error_last()->message, cases[i].words) == NULL)
            fail_msg("%s: %d, %s, instead of %s", cases[i].dictionary, status, lum__error_last()->message, cases[i].words);
        assert_true(lum__error_last()->remedy[0] != '\0');
        close(input.fd);
    }
}

static void prefixes_are_checked(void **state)
{
    uint8_t bytes[200], record[8] = {1};
    size_t byte_count = put_array(bytes, "[('id', '<u8')]", 1, record, 8);

    (void)state;
    for (size_t cut = 0; cut < byte_count - 8; ++cut) { /* within magic, length and header */
        struct lum__input_bytes input = file_of(bytes, cut);
        struct source_load load = {.rows_max = 1};
        assert_int_equal(load_all(lum__npy_open, &input, (struct lum__row_options){0}, 1, &load), LUM_ERR_INPUT);
        close(input.fd);
    }
    bytes[6] = 4;
    check_both_refused(lum__npy_open, bytes, byte_count, "version 4.0", "version 4.0", 6);
    bytes[6] = 2; /* now the header's length has four bytes, the upper two of which are text */
    check_both_refused(lum__npy_open, bytes, byte_count, "2 to 1048576 are allowed", "2 to 1048576 are allowed", 8);
    bytes[0] = 'x';
    check_both_refused(lum__npy_open, bytes, byte_count, "no .npy file", "no .npy file", 0);
}

static void shapes_and_lengths_agree(void **state)
{
    size_t byte_count;
    uint8_t *bytes = make_npy(lum__npy_record_fields, LUM__FIELD_COUNT, 6000, &byte_count);
    size_t header = byte_count - 6000 * 40;

    (void)state;
    check_both_refused(lum__npy_open, bytes, byte_count - 40, "which makes", "fewer rows than its header", byte_count - 40);
    for (size_t missing = 1; missing < 40; missing += 19) {
        struct lum__input_bytes file = file_of(bytes, byte_count - missing);
        check_refused(lum__npy_open, &file, "which makes", byte_count - missing);
        close(file.fd);
        struct text_stream stream = {.text = (char *)bytes, .length = byte_count - missing, .read_max = 1 << 20};
        struct lum__input_bytes input = text_stream_bytes("stream", &stream);
        check_refused(lum__npy_open, &input, "ends within the record", byte_count - 40);
    }
    (void)lum__npy_write_header(bytes, lum__npy_record_fields, LUM__FIELD_COUNT, 5999);
    check_both_refused(lum__npy_open, bytes, byte_count, "which makes", "bytes behind the last row", header + 5999 * 40);
    free(bytes);
}

/* Version 2 has a longer length, version 3 UTF-8 names; names of version 1 are Latin-1. */
static void names_have_an_encoding(void **state)
{
    static const struct {
        uint8_t version;
        const char *name, *map;
    } cases[] = {{1, "gr\366\337e", "id=gr\303\266\303\237e"},
                 {2, "gr\366\337e", "id=gr\303\266\303\237e"},
                 {3, "gr\303\266\303\237e", "id=gr\303\266\303\237e"}};

    (void)state;
    for (size_t i = 0; i < 3; ++i) {
        struct lum__mapping mapping = LUM__MAPPING_INIT;
        uint8_t bytes[300];
        char text[200];
        lum_t got[1];
        int length = snprintf(text, sizeof text, "{'descr': [('%s', '<u8')], 'fortran_order': False, 'shape': (1L,)}",
                              cases[i].name);
        size_t prefix = cases[i].version == 1 ? 10 : 12;
        memcpy(bytes, "\x93NUMPY", 6);
        bytes[6] = cases[i].version;
        bytes[7] = 0;
        lum__put_u32(bytes + 8, (uint32_t)length);
        memcpy(bytes + prefix, text, (size_t)length);
        lum__put_u64(bytes + prefix + length, 77);
        struct lum__input_bytes input = file_of(bytes, prefix + (size_t)length + 8);
        assert_int_equal(lum__mapping_add(&mapping, cases[i].map), LUM_OK);
        struct source_load load = {.rows_max = 1, .rows = got, .row_limit = 1};
        assert_int_equal(load_all(lum__npy_open, &input, (struct lum__row_options){.mapping = &mapping}, 1, &load), LUM_OK);
        assert_true(load.row_count == 1 && got[0].id == 77);
        lum__mapping_destroy(&mapping);
        close(input.fd);
    }
}

static void npy_bad_rows_are_told(void **state)
{
    size_t byte_count;
    uint8_t *bytes = make_npy(lum__npy_record_fields, LUM__FIELD_COUNT, ROWS, &byte_count);
    lum_t *records = malloc(sizeof rows), *got = malloc(sizeof rows);
    size_t header = byte_count - sizeof rows;

    (void)state;
    memcpy(records, rows, sizeof rows);
    for (size_t i = 0; i < 600; ++i) {
        break_row(&records[i * 50 + 3], i % 6);
        if (i % 6 == 3) records[i * 50 + 3] = rows[i * 50 + 3], records[i * 50 + 3].reserved = 1; /* NumPy's padding */
    }
    memcpy(bytes + header, records, sizeof rows);
    for (uint32_t workers = 1; workers <= 2; ++workers) {
        struct text_stream stream = {.text = (char *)bytes, .length = byte_count, .read_max = 1 << 18};
        struct lum__input_bytes input = text_stream_bytes("stream", &stream);
        struct source_load load = {.rows_max = 7000, .rows = got, .row_limit = ROWS};
        prepare_rejects(&load, 600);
        assert_int_equal(load_all(lum__npy_open, &input, (struct lum__row_options){0}, workers, &load), LUM_OK);
        sort_rejects(&load);
        assert_true(load.reject_count == 500);
        for (uint64_t i = 0; i < 500; ++i) {
            const struct lum__rejected_row *row = &load.rejects[i].row;
            size_t index = row->row - 1;
            assert_int_equal(index % 50, 3);
            assert_string_equal(row->code, index / 50 % 6 < 3 ? "range" : "checksum");
            assert_memory_equal(row->bytes, &records[index], 40);
            if (index / 50 % 6 == 0) assert_true(row->offset == header + index * 40 + 36);
        }
        free_rejects(&load);
    }
    struct lum__input_bytes input = file_of(bytes, byte_count);
    check_refused(lum__npy_open, &input, "column 7 \"presence\", for presence: \"2\" is out of range", header + 3 * 40 + 36);
    close(input.fd);
    free(got);
    free(records);
    free(bytes);
}

/* Bad records under fill_columns, which closes the gaps in arrays; a field named reserved; a NaT that is null. */
static void npy_columns_go_on_over_bad_rows(void **state)
{
    enum { COUNT = 10000, BYTES = 17 };
    uint8_t *bytes = malloc(COUNT * BYTES + 300), *records = calloc(COUNT, BYTES);
    struct source_load load = {.rows_max = 1};
    lum_piece piece;
    uint64_t row = 0, nat = (uint64_t)1 << 63;

    (void)state;
    for (size_t i = 0; i < COUNT; ++i) {
        lum__put_u64(records + i * BYTES, i);
        lum__put_u64(records + i * BYTES + 8, i % 10 == 7 ? nat : i);
        records[i * BYTES + 16] = i % 10 == 3 || (i >= 4000 && i < 9000);
    }
    size_t byte_count = put_array(bytes, "[('id', '<u8'), ('timestamp', '<M8[ns]'), ('reserved', '|u1')]", COUNT, records,
                                  COUNT * BYTES);
    struct lum__input_bytes input = file_of(bytes, byte_count);
    struct lum__row_source *source;
    prepare_rejects(&load, COUNT);
    pthread_mutex_init(&load.mutex, NULL);
    const struct lum__row_options options = {.rejects = &load.sink, .null_text = "NaT"};
    assert_int_equal(lum__npy_open(&input, &options, &source), LUM_OK);
    while (source->source.open_piece(source->source.context, 0, COUNT, &piece) == LUM_OK) {
        lum_columns columns;
        for (size_t got = 1; got > 0;) {
            assert_int_equal(source->source.fill_columns(source->source.context, 0, 4096, &columns, &got), LUM_OK);
            for (size_t i = 0; i < got; ++i, ++row) {
                while (row % 10 == 3 || (row >= 4000 && row < 9000)) ++row;
                assert_true(columns.id[i] == row && columns.timestamp[i] == (row % 10 == 7 ? 0 : row));
                assert_true(columns.presence[i] == 1);
            }
        }
    }
    assert_true(load.reject_count == 5000 + 500);
    assert_string_equal(load.rejects[0].reason, "the reserved byte is not 0");
    source->close(source);
    free_rejects(&load);
    close(input.fd);
    free(records);
    free(bytes);
}

/* A file that is cut while it is read. */
static void files_that_shrink_are_noticed(void **state)
{
    static const enum lum__field all[] = {0, 5};
    size_t byte_count;
    uint8_t *bytes = make_npy(all, 2, ROWS, &byte_count);
    struct lum__input_bytes input = file_of(bytes, byte_count);
    const struct lum__row_options options = {0};
    struct lum__row_source *source;
    lum_piece piece;
    lum_t *got = malloc(sizeof rows);
    size_t count;

    (void)state;
    assert_int_equal(lum__npy_open(&input, &options, &source), LUM_OK);
    assert_int_equal(ftruncate(input.fd, (off_t)byte_count / 2), 0);
    assert_int_equal(source->source.open_piece(source->source.context, 0, ROWS, &piece), LUM_OK);
    lum_status status;
    while ((status = source->source.fill(source->source.context, 0, got, 4096, &count)) == LUM_OK) assert_true(count > 0);
    assert_int_equal(status, LUM_ERR_INPUT);
    assert_non_null(strstr(lum__error_last()->message, "became shorter"));
    source->close(source);
    close(input.fd);
    free(got);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raw_rows_come_back),
        cmocka_unit_test(raw_files_are_whole_records),
        cmocka_unit_test(raw_bad_rows_are_told),
        cmocka_unit_test(raw_has_nothing_to_map),
        cmocka_unit_test(npy_subsets_come_back),
        cmocka_unit_test(npy_whole_rows_come_back),
        cmocka_unit_test(npy_headers_have_one_length),
        cmocka_unit_test(values_are_converted_or_refused),
        cmocka_unit_test(types_that_do_not_fit_are_named),
        cmocka_unit_test(other_fields_are_passed_over),
        cmocka_unit_test(headers_that_lie_are_refused),
        cmocka_unit_test(prefixes_are_checked),
        cmocka_unit_test(shapes_and_lengths_agree),
        cmocka_unit_test(names_have_an_encoding),
        cmocka_unit_test(npy_bad_rows_are_told),
        cmocka_unit_test(npy_columns_go_on_over_bad_rows),
        cmocka_unit_test(files_that_shrink_are_noticed),
    };
    make_rows();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
