/* Proves that the NDJSON reader answers any bytes without crashing, looping or leaving its buffers (run it under a sanitizer
 * to see the last), and that the quick way for a row like the one before and the way for any row agree: a worker that reads
 * everything sees the same rows and the same faults as workers that each begin with one row.
 *
 * Without LUM_LIBFUZZER: mutates good lines, LUM_ROUNDS times from LUM_SEED. With it: the entry point of libFuzzer,
 *   clang -fsanitize=fuzzer,address -DLUM_LIBFUZZER ... (tests/README.md) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/status.h"
#include "formats/ndjson_source.h"
#include "formats/text_pieces.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DEMAND(truth)                                                                                                  \
    do {                                                                                                               \
        if (!(truth)) {                                                                                                \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #truth);                                                \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

enum { ROWS_MAX = 1000 };

struct seen_fault {
    uint64_t row, line, offset;
    char code[16], name[40], reason[LUM__REASON_BYTES_MAX];
    size_t byte_count;
};
struct seen {
    const uint8_t *data;
    size_t size, at;
    lum_status status;
    size_t row_count, fault_count;
    lum_t rows[ROWS_MAX];
    struct seen_fault faults[ROWS_MAX];
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
    (void)worker;
    if (seen->fault_count == ROWS_MAX) return lum__fail(LUM_ERR_INPUT, "too many");
    struct seen_fault *fault = &seen->faults[seen->fault_count++];
    memset(fault, 0, sizeof *fault);
    fault->row = row->row;
    fault->line = row->line;
    fault->offset = row->offset;
    fault->byte_count = row->byte_count;
    snprintf(fault->code, sizeof fault->code, "%s", row->code);
    snprintf(fault->name, sizeof fault->name, "%s", row->column_name);
    lum__reject_reason(row, fault->reason);
    DEMAND(row->byte_count > 0 && row->offset < seen->size + 1);
    return LUM_OK;
}

/* rows_max: of a piece; each piece goes to the next worker. */
static void read_all(struct seen *seen, const uint8_t *data, size_t size, uint64_t rows_max)
{
    const struct lum__reject_sink sink = {seen, take_fault};
    const struct lum__row_options options = {.rejects = &sink, .piece_bytes_max = LUM__PIECE_BYTES_MIN}; /* little memory: it is made for each text */
    const struct lum__input_bytes input = {.name = "fuzz", .read = read_some, .read_context = seen, .fd = -1};
    struct lum__row_source *source;
    lum_piece piece;
    uint32_t worker = 0;

    memset(seen, 0, offsetof(struct seen, rows));
    seen->data = data;
    seen->size = size;
    seen->status = lum__ndjson_open(&input, &options, &source);
    if (seen->status != LUM_OK) return;
    while (worker < ROWS_MAX && (seen->status = source->source.open_piece(source->source.context, worker, rows_max, &piece)) == LUM_OK) {
        size_t got = 1;
        while (got > 0 && seen->status == LUM_OK && seen->row_count < ROWS_MAX) {
            seen->status = source->source.fill(source->source.context, worker, seen->rows + seen->row_count,
                                               ROWS_MAX - seen->row_count, &got);
            seen->row_count += got;
        }
        if (seen->row_count == ROWS_MAX) break;
        worker++;
    }
    for (size_t i = 0; i < seen->row_count; i++)
        DEMAND(seen->rows[i].presence <= 1 && seen->rows[i].structure_type <= 5 && seen->rows[i].is_destroyed <= 1);
    source->close(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct seen whole, single;
    uint8_t *copy = malloc(size != 0 ? size : 1); /* of the exact size, so that a sanitizer sees the end */
    DEMAND(copy != NULL);
    if (size != 0) memcpy(copy, data, size);
    read_all(&whole, copy, size, UINT64_MAX);
    read_all(&single, copy, size, 1);
    free(copy);
    if (whole.row_count >= ROWS_MAX || whole.fault_count >= ROWS_MAX || single.row_count + single.fault_count >= ROWS_MAX - 1)
        return 0; /* cut off */
    DEMAND(whole.status == single.status);
    DEMAND(whole.row_count == single.row_count && whole.fault_count == single.fault_count);
    DEMAND(memcmp(whole.rows, single.rows, whole.row_count * sizeof whole.rows[0]) == 0);
    DEMAND(memcmp(whole.faults, single.faults, whole.fault_count * sizeof whole.faults[0]) == 0);
    return 0;
}

#ifndef LUM_LIBFUZZER

static uint64_t random_state;
static uint32_t pick(uint32_t below) { return (uint32_t)(lum__splitmix64(&random_state) % below); }

static const char *const keys[] = {"id", "position_x", "presence", "timestamp", "name", "checksum", "\\u0069d", "structure_type"};
static const char *const values[] = {"1",    "-5",     "18446744073709551615", "0.5",  "1e3",   "true",      "null",   "\"7\"",
                                     "\"\"", "\"a\\\"b\"", "[1,{\"id\":2}]",   "{}",   "\"2020-01-31\"", "0", "\"gr\303\274\303\237e\"", "123456789"};
static const char *const scraps[] = {"{", "}", "[", "]", "\"", ":", ",", "\\", "\\u", "\\ud800", "\n", "\r", "\r\n", " ", "\t", "\x01", "\xff", "\xc3",
                                     "NaN", "-", "e", ".", "00", "null", "\xf0\x9f\x8c\x8d", "{\"id\":1}", "\0"};

/* Lines that mostly look like the one before. */
static size_t good_text(char *out)
{
    uint32_t lines = 1 + pick(8), key_count = 1 + pick(6), order[6], style = pick(3);
    size_t at = 0;
    for (uint32_t k = 0; k < key_count; k++) order[k] = k == 0 ? 0 : 1 + pick(7);
    for (uint32_t line = 0; line < lines; line++) {
        if (pick(6) == 0) style = pick(3);
        if (pick(6) == 0) order[pick(key_count)] = pick(8);
        for (uint32_t k = 0; k < key_count; k++) {
            const char *value = pick(3) ? values[pick(2)] : values[pick(sizeof values / sizeof values[0])];
            at += (size_t)sprintf(out + at, style == 0 ? "%s\"%s\":%s" : style == 1 ? "%s \"%s\": %s" : "%s\"%s\" :\t%s ", k == 0 ? "{" : ",",
                                  keys[order[k]], value);
        }
        at += (size_t)sprintf(out + at, "}%s", pick(5) ? "\n" : scraps[10 + pick(3)]);
    }
    return at;
}

static size_t mutate(char *text, size_t length)
{
    for (uint32_t i = pick(4); i > 0; i--) {
        size_t place = pick((uint32_t)length + 1);
        const char *scrap = scraps[pick(sizeof scraps / sizeof scraps[0])];
        size_t scrap_length = *scrap ? strlen(scrap) : 1, removed = pick(3) ? 0 : pick(6);
        if (place + removed > length) removed = length - place;
        memmove(text + place + scrap_length, text + place + removed, length - place - removed);
        memcpy(text + place, scrap, scrap_length);
        length = length - removed + scrap_length;
    }
    return length;
}

int main(void)
{
    const char *seed = getenv("LUM_SEED"), *rounds = getenv("LUM_ROUNDS");
#if defined(__SANITIZE_ADDRESS__)
    const uint64_t usual = 2000; /* each costs a hundred times as much: a source is opened and closed for it */
#else
    const uint64_t usual = 20000;
#endif
    uint64_t first = seed != NULL ? strtoull(seed, NULL, 0) : 1, count = rounds != NULL ? strtoull(rounds, NULL, 0) : usual;
    static char text[8000];
    for (uint64_t round = 0; round < count; round++) {
        random_state = first + round; /* so that LUM_SEED=<the last one printed> LUM_ROUNDS=1 replays */
        size_t length = mutate(text, good_text(text));
        if (round % 5000 == 0) fprintf(stderr, "LUM_SEED=%llu ...\n", (unsigned long long)(first + round));
        LLVMFuzzerTestOneInput((const uint8_t *)text, length);
    }
    printf("%llu texts from LUM_SEED=%llu\n", (unsigned long long)count, (unsigned long long)first);
    return 0;
}

#endif
