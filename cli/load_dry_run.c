/* How the estimates are made (the text tells it too): rows of an input = rows of the sample * bytes of the input / bytes of the sample,
 * where the bytes of a compressed input are its size times what its decoded part has grown by; bytes on disk and time per row are those
 * of the sample's rows, which are really parsed and really encoded, in memory. The disk's time is not in it: a load parses and writes at
 * the same time, and writes little. */
#include "cli/load_dry_run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/message.h"
#include "formats/field.h"

enum { SAMPLE_ROWS = 65536, SAMPLE_BYTES = 16 << 20, SAMPLE_FILES = 64, SHOWN_ROWS = 5, FILL_ROWS = 4096 };

/* What is learnt of one input. */
struct sample {
    const char *path;
    const char *format, *why, *compression; /* static */
    char *mapping;
    uint64_t row_count, bad_count, byte_count; /* byte_count: decompressed */
    uint64_t parse_ns;
    bool is_whole;
    bool is_estimated;      /* how many rows the input has can be told */
    double rows_estimated;  /* bad ones too */
    struct lum__failure first_bad;
};

struct dry_run {
    const struct lum__arguments *arguments;
    const struct lum__chain_options *options;
    struct sample samples[SAMPLE_FILES];
    size_t sample_count;
    struct sample *sample; /* in work */
    lum_t *rows;           /* of one sample, SAMPLE_ROWS + FILL_ROWS */
    size_t kept;
    lum_t shown[SHOWN_ROWS];
    size_t shown_count;
    uint64_t encode_ns, encoded_bytes, encoded_rows, parse_ns, parsed_rows, parsed_bytes, bad_rows;
    bool is_estimated; /* for all inputs */
    double rows_estimated;
    uint32_t threads;
};

/* --------------------------------------------------------------------------------------------------------- sampling */

static lum_status on_bad_row(void *context, uint32_t worker, const struct lum__rejected_row *row)
{
    struct dry_run *run = context;
    struct sample *sample = run->sample;
    char reason[LUM__REASON_BYTES_MAX];
    (void)worker;
    if (sample->bad_count++ > 0) return LUM_OK;
    sample->first_bad.line = row->line;
    sample->first_bad.offset = row->offset;
    snprintf(sample->first_bad.message, sizeof sample->first_bad.message, "%s", lum__reject_reason(row, reason));
    return LUM_OK;
}

/* Rows of one piece into run->rows. */
static lum_status fill_piece(struct dry_run *run, const lum_source *source)
{
    for (;;) {
        size_t room = SAMPLE_ROWS + FILL_ROWS - run->kept, count = 0;
        lum_status status = source->fill(source->context, 0, run->rows + run->kept, room < FILL_ROWS ? room : FILL_ROWS, &count);
        if (status != LUM_OK || count == 0) return status;
        run->kept += count;
    }
}

/* Reads the sample of an opened input. */
static lum_status read_sample(struct dry_run *run, const lum_source *source, struct sample *sample)
{
    uint64_t begin_ns = lum__monotonic_ns(), rejected;
    lum_status status = LUM_OK;
    run->kept = 0;
    while (status == LUM_OK && sample->row_count < SAMPLE_ROWS && sample->byte_count < SAMPLE_BYTES) {
        lum_piece piece;
        status = source->open_piece(source->context, 0, SAMPLE_ROWS - sample->row_count, &piece);
        if (status == LUM_OK) status = fill_piece(run, source);
        source->account(source->context, &sample->row_count, &rejected, &sample->byte_count);
    }
    sample->parse_ns = lum__monotonic_ns() - begin_ns;
    sample->is_whole = status == LUM_END;
    return status == LUM_END ? LUM_OK : status;
}

static lum_status encode_sample(struct dry_run *run)
{
    uint64_t bytes, begin_ns = lum__monotonic_ns();
    lum_status status = lum_encoded_size(run->rows, run->kept, (uint32_t)run->arguments->chunk_lums, &bytes);
    run->encode_ns += lum__monotonic_ns() - begin_ns;
    run->encoded_bytes += bytes;
    run->encoded_rows += run->kept;
    for (size_t i = 0; i < run->kept && run->shown_count < SHOWN_ROWS; i++) run->shown[run->shown_count++] = run->rows[i];
    return status;
}

/* Rows of the whole input, from the sample. */
static void estimate(const struct lum_input *input, const struct lum__row_source *reader, struct sample *sample)
{
    uint64_t total = lum_input_bytes_total(input), read = lum_input_bytes_read(input);
    sample->is_estimated = true;
    if (sample->is_whole)
        sample->rows_estimated = (double)sample->row_count;
    else if (reader->source.row_count != LUM_ROWS_UNKNOWN)
        sample->rows_estimated = (double)reader->source.row_count;
    else if (total == 0 || sample->byte_count == 0)
        sample->is_estimated = false; /* a pipe */
    else {
        double growth = strcmp(sample->compression, "none") == 0 ? 1 : (double)lum_input_bytes_decoded(input) / (double)(read > 0 ? read : 1);
        sample->rows_estimated = (double)sample->row_count * (double)total * growth / (double)sample->byte_count;
    }
}

static lum_status sample_input(struct dry_run *run, struct lum_input *input, struct sample *sample)
{
    struct lum__reject_sink sink = {.context = run, .row = on_bad_row};
    struct lum__row_options rows = run->options->rows;
    struct lum__row_source *reader = NULL;
    enum lum__input_format format;
    run->sample = sample;
    rows.rejects = &sink;
    rows.rows_before = run->parsed_rows; /* right as long as rows are shown: no more are once an input is not read to its end */
    lum_status status = lum__input_format_choose(input, run->options->format, &format, &sample->why);
    if (status == LUM_OK) status = lum__input_format_open(input, format, &rows, &reader);
    if (status != LUM_OK) return status;
    sample->format = lum__input_format_names[format];
    sample->compression = lum_input_compression(input);
    sample->mapping = strdup(reader->mapping_text);
    status = sample->mapping ? read_sample(run, &reader->source, sample) : LUM_ERR_NO_MEMORY;
    if (status == LUM_OK) status = encode_sample(run);
    if (status == LUM_OK) estimate(input, reader, sample);
    reader->close(reader);
    return status;
}

/* The inputs behind the last sampled one have rows as the sampled ones have, by their size as it lies on the disk. */
static void estimate_the_rest(struct dry_run *run, uint64_t sampled_bytes)
{
    uint64_t bytes = 0;
    for (size_t i = run->sample_count; i < run->options->path_count; i++) {
        struct stat info;
        if (stat(run->options->paths[i], &info) != 0 || !S_ISREG(info.st_mode)) run->is_estimated = false;
        else bytes += (uint64_t)info.st_size;
    }
    if (bytes > 0 && sampled_bytes == 0) run->is_estimated = false;
    if (run->is_estimated && bytes > 0) run->rows_estimated += run->rows_estimated * (double)bytes / (double)sampled_bytes;
}

static int sample_inputs(struct dry_run *run)
{
    uint64_t sampled_bytes = 0;
    run->is_estimated = true;
    for (size_t i = 0; i < run->options->path_count && i < SAMPLE_FILES; i++) {
        struct sample *sample = &run->samples[i];
        struct lum_input *input = NULL;
        sample->path = run->options->paths[i];
        lum_status status = lum_input_open(sample->path, &input);
        if (status == LUM_OK) status = sample_input(run, input, sample);
        if (status == LUM_OK) sampled_bytes += lum_input_bytes_total(input);
        lum_input_close(input);
        run->sample_count = i + 1;
        if (status != LUM_OK) return lum__message_status(status);
        run->parse_ns += sample->parse_ns;
        run->parsed_rows += sample->row_count;
        run->parsed_bytes += sample->byte_count;
        run->bad_rows += sample->bad_count;
        run->rows_estimated += sample->rows_estimated;
        run->is_estimated &= sample->is_estimated;
    }
    estimate_the_rest(run, sampled_bytes);
    return 0;
}

/* --------------------------------------------------------------------------------------------------------- telling */

/* Per row of the sample, bad ones too. */
static uint64_t scaled_to_all(const struct dry_run *run, uint64_t of_sample)
{
    return run->parsed_rows == 0 ? 0 : (uint64_t)((double)of_sample * run->rows_estimated / (double)run->parsed_rows);
}

static uint64_t total_ns(const struct dry_run *run) { return scaled_to_all(run, run->parse_ns + run->encode_ns) / run->threads; }

static void print_shown(const struct dry_run *run)
{
    enum { CELL = 24 };
    char cells[SHOWN_ROWS + 1][LUM__FIELD_CHECKSUM][CELL];
    for (int field = 0; field < LUM__FIELD_CHECKSUM; field++) {
        snprintf(cells[0][field], CELL, "%s", lum__field_name((enum lum__field)field));
        for (size_t i = 0; i < run->shown_count; i++) {
            const lum_t *row = &run->shown[i];
            const int64_t values[] = {0, row->presence, row->position_x, row->position_y, row->structure_type, 0, 0, row->is_destroyed};
            uint64_t wide = field == LUM__FIELD_ID ? row->id : field == LUM__FIELD_TIMESTAMP ? row->timestamp : row->memory_address;
            bool is_wide = field == LUM__FIELD_ID || field == LUM__FIELD_TIMESTAMP || field == LUM__FIELD_MEMORY_ADDRESS;
            if (is_wide) snprintf(cells[i + 1][field], CELL, "%" PRIu64, wide);
            else snprintf(cells[i + 1][field], CELL, "%" PRId64, values[field]);
        }
    }
    for (size_t line = 0; line <= run->shown_count; line++) {
        for (int field = 0; field < LUM__FIELD_CHECKSUM; field++) {
            int width = 0;
            for (size_t i = 0; i <= run->shown_count; i++) {
                int length = (int)strlen(cells[i][field]);
                width = length > width ? length : width;
            }
            printf("  %*s", width, cells[line][field]);
        }
        putchar('\n');
    }
}

static void print_text(const struct dry_run *run)
{
    printf("dry run: nothing is written\n");
    for (size_t i = 0; i < run->sample_count; i++) {
        const struct sample *sample = &run->samples[i];
        printf("%s: %s (%s), compression %s, --map '%s'\n", sample->path, sample->format, sample->why, sample->compression, sample->mapping);
        printf("  %s: %s rows, %s bad\n", sample->is_whole ? "all of it read" : "its beginning read", lum__human_count(sample->row_count),
               lum__human_count(sample->bad_count));
        if (sample->bad_count == 0) continue;
        if (sample->first_bad.line > 0) printf("  the first bad one: line %" PRIu64 ": %s\n", sample->first_bad.line, sample->first_bad.message);
        else printf("  the first bad one: byte %" PRIu64 ": %s\n", sample->first_bad.offset, sample->first_bad.message);
    }
    if (run->sample_count < run->options->path_count)
        printf("%s more files, taken to be like these\n", lum__human_count(run->options->path_count - run->sample_count));
    printf("as stored:\n");
    print_shown(run);
    if (!run->is_estimated) {
        printf("estimate: none of the whole, as an input does not tell its size; the sample takes %s on disk\n", lum__human_bytes(run->encoded_bytes));
        return;
    }
    printf("estimate: %s rows (bad ones too), %s on disk besides the log, %s with %u threads\n", lum__human_count((uint64_t)run->rows_estimated),
           lum__human_bytes(scaled_to_all(run, run->encoded_bytes)), lum__human_seconds(total_ns(run)), run->threads);
    printf("  (the sample's rows were parsed and encoded in memory; bytes and time grow with the rows, rows with the input's bytes; the disk's time is "
           "not in it)\n");
}

static void write_row_json(struct lum__json *json, const lum_t *row)
{
    lum__json_begin_object(json, NULL);
    lum__json_u64(json, "id", row->id);
    lum__json_u64(json, "presence", row->presence);
    lum__json_i64(json, "position_x", row->position_x);
    lum__json_i64(json, "position_y", row->position_y);
    lum__json_u64(json, "structure_type", row->structure_type);
    lum__json_u64(json, "timestamp", row->timestamp);
    lum__json_u64(json, "memory_address", row->memory_address);
    lum__json_u64(json, "is_destroyed", row->is_destroyed);
    lum__json_end_object(json);
}

static void write_sample_json(struct lum__json *json, const struct sample *sample)
{
    lum__json_begin_object(json, NULL);
    lum__json_string(json, "file", sample->path);
    lum__json_string(json, "format", sample->format);
    lum__json_string(json, "compression", sample->compression);
    lum__json_string(json, "mapping", sample->mapping);
    lum__json_u64(json, "rows_sampled", sample->row_count);
    lum__json_u64(json, "bad_rows_sampled", sample->bad_count);
    lum__json_u64(json, "bytes_sampled", sample->byte_count);
    lum__json_bool(json, "whole", sample->is_whole);
    if (sample->is_estimated) lum__json_u64(json, "estimated_rows", (uint64_t)sample->rows_estimated);
    else lum__json_null(json, "estimated_rows");
    lum__json_end_object(json);
}

static void write_json(const struct dry_run *run, struct lum__json *json)
{
    lum__json_bool(json, "dry_run", true);
    lum__json_begin_array(json, "inputs");
    for (size_t i = 0; i < run->sample_count; i++)
        if (run->samples[i].mapping) write_sample_json(json, &run->samples[i]);
    lum__json_end_array(json);
    lum__json_begin_array(json, "first_rows");
    for (size_t i = 0; i < run->shown_count; i++) write_row_json(json, &run->shown[i]);
    lum__json_end_array(json);
    lum__json_u64(json, "threads", run->threads);
    static const char *const names[] = {"estimated_rows", "estimated_bytes_on_disk", "estimated_nanoseconds"};
    const uint64_t values[] = {(uint64_t)run->rows_estimated, scaled_to_all(run, run->encoded_bytes), total_ns(run)};
    for (int i = 0; i < 3; i++) {
        if (run->is_estimated) lum__json_u64(json, names[i], values[i]);
        else lum__json_null(json, names[i]);
    }
}

/* The load would end at a bad row, or at one too many. */
static int judge(const struct dry_run *run, bool reads_on)
{
    uint64_t allowed = reads_on ? run->arguments->max_errors : 0;
    if (run->bad_rows <= allowed) return 0;
    for (size_t i = 0; i < run->sample_count; i++) {
        const struct sample *sample = &run->samples[i];
        if (sample->bad_count == 0) continue;
        return lum__message_refuse(LUM__EXIT_INPUT, "ERR_INPUT", sample->path,
                                   reads_on ? "correct the input, or allow more with --max-errors" : "correct the input, or go on over bad rows with --on-error skip or --on-error reject=FILE",
                                   "the load would be refused: the sample has %s, the first in %s", lum__human_number_of(run->bad_rows, "bad row"), sample->path);
    }
    return 0;
}

int lum__load_dry_run(const struct lum__arguments *arguments, const struct lum__chain_options *options, bool reads_on, struct lum__json *json)
{
    struct dry_run *run = calloc(1, sizeof *run);
    if (run) run->rows = malloc((SAMPLE_ROWS + FILL_ROWS) * sizeof(lum_t));
    if (!run || !run->rows) {
        free(run);
        return lum__message_system(ENOMEM, NULL, "no memory for a sample");
    }
    run->arguments = arguments;
    run->options = options;
    run->threads = arguments->threads ? (uint32_t)arguments->threads : lum_cpu_count();
    int exit_code = sample_inputs(run);
    write_json(run, json);
    if (exit_code == 0 && !arguments->json) print_text(run);
    if (exit_code == 0) exit_code = judge(run, reads_on);
    for (size_t i = 0; i < run->sample_count; i++) free(run->samples[i].mapping);
    free(run->rows);
    free(run);
    return exit_code;
}
