/* Proves that the .npy reader answers any bytes without crashing, looping, allocating by a lie or leaving its buffers (run it
 * under a sanitizer to see the last); that a file and a stream of the same bytes, and rows and columns of them, agree; and
 * that what is accepted is a row.
 *
 * Without LUM_LIBFUZZER: mutates good files, LUM_ROUNDS times from LUM_SEED. With it: the entry point of libFuzzer,
 *   clang -fsanitize=fuzzer,address -DLUM_LIBFUZZER ... (tests/README.md) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/random.h"
#include "base/status.h"
#include "formats/npy.h"
#include "formats/npy_source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DEMAND(truth)                                                                                                  \
    do {                                                                                                               \
        if (!(truth)) {                                                                                                \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #truth);                                                \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

enum { ROWS_MAX = 1000 };

struct seen {
    const uint8_t *data;
    size_t size, at;
    lum_status status; /* LUM_END: read to its end */
    size_t row_count, fault_count;
    uint64_t fault_digest;
    lum_t rows[ROWS_MAX];
};

static lum_status read_some(void *context, uint8_t *out, size_t bytes_max, size_t *bytes)
{
    struct seen *seen = context;
    *bytes = seen->size - seen->at < bytes_max ? seen->size - seen->at : bytes_max;
    if (*bytes > 0) memcpy(out, seen->data + seen->at, *bytes);
    seen->at += *bytes;
    return LUM_OK;
}

static lum_status take_fault(void *context, uint32_t worker, const struct lum__rejected_row *row)
{
    struct seen *seen = context;
    char reason[LUM__REASON_BYTES_MAX];
    (void)worker;
    DEMAND(row->byte_count > 0 && row->offset < seen->size);
    seen->fault_count++;
    for (const char *at = lum__reject_reason(row, reason); *at; at++) seen->fault_digest = seen->fault_digest * 31 + (uint8_t)*at;
    seen->fault_digest = seen->fault_digest * 31 + row->offset + row->row;
    return LUM_OK;
}

static void take_columns(struct seen *seen, const lum_columns *columns, size_t count)
{
    for (size_t i = 0; i < count; i++)
        seen->rows[seen->row_count++] = (lum_t){.id = columns->id[i],
                                                .timestamp = columns->timestamp[i],
                                                .memory_address = columns->memory_address[i],
                                                .position_x = columns->position_x[i],
                                                .position_y = columns->position_y[i],
                                                .presence = columns->presence[i],
                                                .structure_type = columns->structure_type[i],
                                                .is_destroyed = columns->is_destroyed[i]};
}

/* One call's worth; false at the end of the piece or after a failure. */
static bool read_page(struct seen *seen, const lum_source *source, bool by_columns)
{
    size_t got = 0, room = ROWS_MAX - seen->row_count;
    if (room == 0) return false;
    if (by_columns) {
        lum_columns columns;
        seen->status = source->fill_columns(source->context, 0, room, &columns, &got);
        if (seen->status == LUM_OK) take_columns(seen, &columns, got);
    } else {
        seen->status = source->fill(source->context, 0, seen->rows + seen->row_count, room, &got);
        if (seen->status == LUM_OK) seen->row_count += got;
    }
    return seen->status == LUM_OK && got > 0;
}

static void read_all(struct seen *seen, const uint8_t *data, size_t size, int fd, bool by_columns)
{
    const struct lum__reject_sink sink = {seen, take_fault};
    const struct lum__row_options options = {.rejects = &sink};
    const struct lum__input_bytes input = {
        .name = "fuzz", .read = read_some, .read_context = seen, .fd = fd, .file_bytes = fd >= 0 ? size : 0};
    struct lum__row_source *source;
    lum_piece piece;

    memset(seen, 0, offsetof(struct seen, rows));
    seen->data = data;
    seen->size = size;
    seen->status = lum__npy_open(&input, &options, &source);
    if (seen->status != LUM_OK) return;
    if (by_columns && source->source.fill_columns == NULL) by_columns = false;
    while (seen->row_count < ROWS_MAX &&
           (seen->status = source->source.open_piece(source->source.context, 0, 100, &piece)) == LUM_OK)
        while (read_page(seen, &source->source, by_columns)) continue;
    for (size_t i = 0; i < seen->row_count; i++)
        DEMAND(seen->rows[i].presence <= 1 && seen->rows[i].structure_type <= 5 && seen->rows[i].is_destroyed <= 1);
    source->close(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct seen stream, file, columns;
    static int fd = -1;
    if (fd < 0) fd = memfd_create("fuzz", MFD_CLOEXEC);
    DEMAND(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    read_all(&stream, data, size, -1, false);
    read_all(&file, data, size, fd, false);
    read_all(&columns, data, size, fd, true);
    /* A file's length is compared with its header at once, a stream's when it is over. */
    DEMAND((stream.status == LUM_END) == (file.status == LUM_END) || stream.row_count == ROWS_MAX);
    DEMAND(columns.status == file.status && columns.row_count == file.row_count && columns.fault_count == file.fault_count);
    DEMAND(columns.fault_digest == file.fault_digest);
    DEMAND(memcmp(columns.rows, file.rows, file.row_count * sizeof file.rows[0]) == 0);
    if (file.status == LUM_END) {
        DEMAND(stream.row_count == file.row_count && stream.fault_digest == file.fault_digest);
        DEMAND(memcmp(stream.rows, file.rows, file.row_count * sizeof file.rows[0]) == 0);
    }
    return 0;
}

#ifndef LUM_LIBFUZZER

static uint64_t random_state;
static uint32_t pick(uint32_t below) { return (uint32_t)(lum__splitmix64(&random_state) % below); }

static const char *const types[] = {"<u8", "<i8", ">u4", "<i4", "|u1", "|i1", "|b1", "<u2", ">i2", "<M8[s]", "<M8[ns]", "|V3", "<f8", "|S5", "|O"};
static const char *const names[] = {"id", "timestamp", "position_x", "presence", "structure_type", "checksum", "reserved", "", "x"};
static const char *const scraps[] = {"(", ")", "[", "]", "{", "}", ",", "'", "\"", ":", "\\", "L", "(2,)", "()", "0", "99999999999", "-1", "<u8", "|O", " ",
                                     "\n", "True", "\xff", "\x01", "'shape'", "[('id', '<u8')]"};

/* A file whose header is right: then its records are any bytes. */
static size_t good_file(uint8_t *out)
{
    char text[2000];
    uint32_t fields = 1 + pick(5), rows = pick(40), row_bytes = 0;
    int at = sprintf(text, "{'descr': [");
    for (uint32_t i = 0; i < fields; i++) {
        const char *type = types[i == 0 ? pick(5) : pick(pick(4) ? 11 : sizeof types / sizeof types[0])];
        at += sprintf(text + at, "%s('%s', '%s')", i ? ", " : "", i == 0 ? "id" : names[pick(sizeof names / sizeof names[0])], type);
        row_bytes += type[1] == 'O' ? 8 : (uint32_t)(type[2] - '0');
    }
    at += sprintf(text + at, "], 'fortran_order': False, 'shape': (%u,), }\n", rows);
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    lum__put_u16(out + 8, (uint16_t)at);
    memcpy(out + 10, text, (size_t)at);
    for (uint32_t i = 0; i < rows * row_bytes; i++) out[10 + at + i] = (uint8_t)(pick(4) ? pick(2) : pick(256));
    return 10 + (size_t)at + rows * row_bytes;
}

/* Changes the header's text, mostly with a length that still fits. */
static size_t mutate(uint8_t *file, size_t length)
{
    for (uint32_t i = pick(3); i > 0; i--) {
        size_t header_end = 10 + (size_t)lum__get_u16(file + 8);
        if (header_end > length) break;
        size_t place = pick(8) ? 10 + pick((uint32_t)header_end - 9) : pick((uint32_t)length);
        const char *scrap = scraps[pick(sizeof scraps / sizeof scraps[0])];
        size_t scrap_length = strlen(scrap), removed = pick(2) ? 0 : pick(8);
        if (place + removed > length) removed = length - place;
        memmove(file + place + scrap_length, file + place + removed, length - place - removed);
        memcpy(file + place, scrap, scrap_length);
        length = length - removed + scrap_length;
        if (place >= 10 && pick(8)) lum__put_u16(file + 8, (uint16_t)(header_end - 10 - removed + scrap_length));
    }
    if (pick(8) == 0) length -= pick((uint32_t)length);
    return length;
}

int main(void)
{
    const char *seed = getenv("LUM_SEED"), *rounds = getenv("LUM_ROUNDS");
    uint64_t first = seed != NULL ? strtoull(seed, NULL, 0) : 1, count = rounds != NULL ? strtoull(rounds, NULL, 0) : 20000;
    static uint8_t file[20000];
    for (uint64_t round = 0; round < count; round++) {
        random_state = first + round; /* so that LUM_SEED=<the last one printed> LUM_ROUNDS=1 replays */
        size_t length = mutate(file, good_file(file));
        if (round % 5000 == 0) fprintf(stderr, "LUM_SEED=%llu ...\n", (unsigned long long)(first + round));
        LLVMFuzzerTestOneInput(file, length);
    }
    printf("%llu files from LUM_SEED=%llu\n", (unsigned long long)count, (unsigned long long)first);
    return 0;
}

#endif
