/* lum load - rows of files into a store, durably, every row accounted for. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/file_chain.h"
#include "cli/input_files.h"
#include "cli/load_dry_run.h"
#include "cli/load_label.h"
#include "cli/message.h"
#include "cli/on_full.h"
#include "cli/open_store.h"
#include "cli/progress.h"
#include "cli/reject_writer.h"
#include "cli/result.h"
#include "cli/signals.h"
#include "cli/target.h"

#define FIELD(name) offsetof(struct lum__arguments, name)
static const char *const time_unit_choices[] = {"ns", "us", "ms", "s", NULL};
static const uint64_t time_unit_ns[] = {1, 1000, 1000000, 1000000000};
static const char *const on_full_choices[] = {"abort", "wait", NULL};
static const char *const on_error_words[] = {"abort", "skip", "reject=", NULL}; /* for completion */
static const struct lum__option own_options[] = {
    {.name = "format",
     .kind = LUM__OPTION_CHOICE,
     .offset = FIELD(input_format),
     .argument = "FORMAT",
     .choices = lum__input_format_names,
     .help = "auto (default: npy and ndjson by what a file begins with, else by its name, else csv), csv, tsv, ndjson (a "
             "flat object a line), npy (a structured array), raw (40-byte records); gzip, bzip2, xz, zstd, lz4 are seen by "
             "themselves"},
    {.name = "map",
     .kind = LUM__OPTION_LIST,
     .offset = FIELD(maps),
     .argument = "FIELD=COLUMN[*SCALE],...",
     .help = "which column goes into which field; COLUMN is a name, #number, a constant, or for id @row: the row's number, "
             "from 1, through all files of this load. Columns named as a field map themselves. Fields: id presence "
             "position_x position_y structure_type timestamp memory_address is_destroyed checksum"},
    {.name = "no-header",
     .kind = LUM__OPTION_FLAG,
     .offset = FIELD(no_header),
     .help = "the first row is data; columns are #1, #2, ..."},
    {.name = "delimiter",
     .kind = LUM__OPTION_STRING,
     .offset = FIELD(delimiter),
     .argument = "C",
     .help = "one character, or tab"},
    {.name = "round",
     .kind = LUM__OPTION_FLAG,
     .offset = FIELD(round),
     .help = "round digits left over after scaling instead of refusing the row"},
    {.name = "null",
     .kind = LUM__OPTION_STRING,
     .offset = FIELD(null_text),
     .argument = "TEXT",
     .help = "a field of exactly this text takes the default (presence 1, everything else 0; not for id); \"\": an empty field"},
    {.name = "time-unit",
     .kind = LUM__OPTION_CHOICE,
     .offset = FIELD(time_unit),
     .argument = "UNIT",
     .choices = time_unit_choices,
     .help = "what timestamps that are plain numbers count: ns (default), us, ms, s since 1970"},
    {.name = "on-error",
     .kind = LUM__OPTION_STRING,
     .offset = FIELD(on_error),
     .argument = "WHAT",
     .choices = on_error_words,
     .help = "abort (default): a bad row ends the load, nothing uncommitted stays; skip: go on without it; reject=FILE: go on, "
             "FILE gets the bad rows as they are (loadable once they are corrected), FILE.errors.csv where and why"},
    {.name = "max-errors",
     .kind = LUM__OPTION_NUMBER,
     .offset = FIELD(max_errors),
     .argument = "N",
     .help = "with skip or reject: more than N bad rows end the load; default: any number goes"},
    {.name = "on-full",
     .kind = LUM__OPTION_CHOICE,
     .offset = FIELD(on_full),
     .argument = "WHAT",
     .choices = on_full_choices,
     .help = "when the store's disk is full: abort (default): the load ends with exit code 7; wait: say so once, try again until there is room, and "
             "go on; Ctrl-C ends the waiting"},
    {.name = "label",
     .kind = LUM__OPTION_STRING,
     .offset = FIELD(label),
     .argument = "ID",
     .help = "name of this load, at most 255 bytes, kept with its commits for ever: the same input is loaded once under it, and another one is refused"},
    {.name = "resume",
     .kind = LUM__OPTION_FLAG,
     .offset = FIELD(resume),
     .help = "with --label: go on behind the last commit of a load that was interrupted, once it is proved that what was loaded of the input is "
             "unchanged; from the beginning if nothing is committed"},
    {.name = "commit-every",
     .kind = LUM__OPTION_NUMBER,
     .offset = FIELD(commit_every),
     .argument = "N",
     .min = 1,
     .help = "a transaction every N rows; default: the whole load is one"},
    {.name = "dry-run",
     .kind = LUM__OPTION_FLAG,
     .offset = FIELD(dry_run),
     .help = "write nothing: read the beginning of each file and tell its format and mapping, five rows as they would be stored, "
             "bad rows, and estimates of rows, bytes on disk and time"},
    {.name = "events",
     .kind = LUM__OPTION_STRING,
     .offset = FIELD(events_path),
     .argument = "FILE",
     .help = "a JSON line for each durable commit, written before the next one is reported; - is standard output"},
    {0}};
static const struct lum__option *const tables[] = {own_options, lum__options_writer, lum__options_common, NULL};

struct load {
    struct lum__load_label label; /* with --label */
    lum_store *store;             /* opened early, to look the label up */
    bool was_interrupted;         /* --resume goes on with what is left */
    const struct lum__arguments *arguments;
    struct lum__file_chain *chain;
    struct lum__reject_writer *rejects; /* NULL: a bad row ends the load */
    char *source_names; /* for the store: one a line */
    FILE *events;
    const lum_load_event *event; /* while on_commit() runs */
    bool is_events_failed, is_in_doubt;
    uint8_t note[LUM__RESUME_BYTES_MAX]; /* before_commit()'s; one call at a time */
};

/* ---------------------------------------------------------------------------------------------------- events */

static void write_event(void *context, const char *path, uint64_t rows)
{
    struct load *load = context;
    struct lum__json json = {.out = load->events};
    lum__json_begin_object(&json, NULL);
    lum__json_string(&json, "event", "commit");
    lum__json_string(&json, "file", path);
    lum__json_u64(&json, "rows_committed", rows);
    lum__json_u64(&json, "sequence", load->event->sequence);
    lum__json_u64(&json, "transaction_id", load->event->transaction_id);
    lum__json_bool(&json, "durable", load->event->durable);
    lum__json_end_object(&json);
    fputc('\n', load->events);
}

/* Rows of the input in front of where this load began. */
static uint64_t rows_before(const struct load *load) { return load->label.plan == LUM__LABEL_NEW ? 0 : load->label.before.point.rows; }

static lum_status before_commit(void *context, uint64_t rows_end, lum_commit_note *note)
{
    struct load *load = context;
    /* A pipe whose writer died of the same Ctrl-C has ended too early to be taken for the whole input. */
    if (lum__signals_interrupted()) return LUM_ERR_CANCELLED;
    bool has_files = load->rejects && lum__reject_writer_has_files(load->rejects);
    lum_status status = has_files ? lum__reject_writer_sync(load->rejects, rows_end) : LUM_OK;
    if (status != LUM_OK || !load->arguments->label) return status;
    struct lum__resume *resume = &load->label.now;
    lum__file_chain_point(load->chain, rows_end, &resume->point);
    if (resume->point.rows != rows_before(load) + rows_end) { /* whoever went on behind it would lose rows, or load some twice */
        lum__message_refuse(LUM__EXIT_IO, "ERR_ACCOUNTING", NULL, "this is a bug in lum; the transaction is not committed",
                            "a commit of the first %" PRIu64 " rows has a resume point behind %" PRIu64, rows_before(load) + rows_end,
                            resume->point.rows);
        return LUM_ERR_CANCELLED;
    }
    resume->is_complete = resume->point.file == resume->file_count;
    if (has_files) lum__reject_writer_point(load->rejects, rows_end, &resume->rejects);
    note->resume_bytes = lum__resume_encode(resume, load->note);
    note->resume = load->note;
    return LUM_OK;
}

static void on_commit(void *context, const lum_load_event *event)
{
    struct load *load = context;
    if (load->rejects) lum__reject_writer_committed(load->rejects, event->rows_committed);
    if (!load->events || load->is_events_failed) return;
    load->event = event;
    lum__file_chain_committed(load->chain, event->rows_committed, write_event, load);
    /* The line has left the process before the next commit is told: a kill of this process loses no line. */
    if (fflush(load->events) != 0) {
        load->is_events_failed = true; /* the load goes on to the next progress call, which stops it */
        lum__message_system(errno, load->arguments->events_path, "cannot write events to %s",
                            load->arguments->events_path);
    }
}

static bool on_progress(void *context, const lum_load_progress *progress)
{
    struct load *load = context;
    uint64_t read, total;
    lum__file_chain_bytes(load->chain, &read, &total);
    lum__progress_input(read, total);
    lum__progress_update(progress->rows_written, progress->durable_sequence);
    return !lum__signals_interrupted() && !load->is_events_failed;
}

/* --------------------------------------------------------------------------------------------------- checking */

/* What --on-error asks for, NULL path for skip; false for abort. */
static bool reads_on(const struct lum__arguments *arguments, const char **reject_path)
{
    bool is_reject = strncmp(arguments->on_error, "reject=", 7) == 0;
    *reject_path = is_reject ? arguments->on_error + 7 : NULL;
    return is_reject || strcmp(arguments->on_error, "skip") == 0;
}

static int check_on_error(const struct lum__arguments *arguments)
{
    const char *on_error = arguments->on_error;
    if (strcmp(on_error, "abort") == 0) {
        if (arguments->max_errors == UINT64_MAX) return 0;
        return lum__message_usage("add --on-error skip or --on-error reject=FILE", "--max-errors says when a load that goes on over bad rows "
                                                                                   "ends; --on-error abort ends at the first");
    }
    if (strcmp(on_error, "reject=-") == 0)
        return lum__message_usage("--on-error reject=bad.csv", "--on-error reject=-: refused rows go to a file, which can be made durable");
    if (strcmp(on_error, "skip") == 0 || (strncmp(on_error, "reject=", 7) == 0 && on_error[7])) return 0;
    if (strncmp(on_error, "reject", 6) == 0 && (on_error[6] == 0 || strcmp(on_error + 6, "=") == 0))
        return lum__message_usage("--on-error reject=bad.csv", "--on-error reject needs the name of a file");
    return lum__message_usage(NULL, "--on-error: there is no \"%s\" (abort, skip, reject=FILE)", on_error);
}

static int choose_delimiter(const struct lum__arguments *arguments, char *out)
{
    const char *text = arguments->delimiter;
    int format = arguments->input_format;
    *out = 0;
    if (!text) return 0;
    if (format != LUM__INPUT_AUTO && format != LUM__INPUT_CSV && format != LUM__INPUT_TSV)
        return lum__message_usage(NULL, "--delimiter is for csv, not for %s", lum__input_format_names[format]);
    bool is_tab = strcmp(text, "tab") == 0 || strcmp(text, "\\t") == 0;
    if (is_tab || (text[0] && !text[1])) {
        *out = is_tab ? '\t' : text[0];
        return 0;
    }
    return lum__message_usage(NULL, "--delimiter: \"%s\" is not one character (or tab)", text);
}

static int parse_maps(const struct lum__arguments *arguments, struct lum__mapping *mapping)
{
    for (size_t i = 0; i < arguments->maps.count; i++) {
        lum_status status = lum__mapping_add(mapping, arguments->maps.items[i]);
        if (status != LUM_OK) return lum__message_status(status);
    }
    return 0;
}

/* ---------------------------------------------------------------------------------------------------- loading */

static int tell_failure(struct load *load, lum_status status, const lum_load_report *report)
{
    const char *store = load->arguments->positional[0];
    if (load->rejects && lum__reject_writer_has_failed(load->rejects)) return lum__reject_writer_say_failure(load->rejects);
    bool is_interrupted = status == LUM_ERR_CANCELLED && lum__signals_interrupted();
    if (!is_interrupted && !lum__on_full_was_interrupted()) return lum__message_store(status, store);
    return lum__message_refuse(LUM__EXIT_INTERRUPTED, "ERR_CANCELLED", NULL,
                               report->rows_loaded ? "the rows committed before stay in the store"
                                                   : "the store is as it was before",
                               "interrupted: %s rows are committed, %s were rolled back",
                               lum__human_count(report->rows_loaded), lum__human_count(report->rows_rolled_back));
}

static int load_rows(struct load *load, lum_store *store, lum_load_report *report)
{
    const struct lum__arguments *arguments = load->arguments;
    lum_stats_data stats = LUM_STATS_INIT;
    if (lum_stats(store, &stats) == LUM_OK) {
        lum__message_note("loading with %u threads, %s of memory, %s, %s on %s", stats.threads,
                          lum__human_bytes(stats.memory_bytes_max), stats.io_mode, stats.simd_level, stats.fs_type);
    }
    lum_load_options options = LUM_LOAD_OPTIONS_INIT;
    options.commit_every = arguments->commit_every;
    options.label = arguments->label;
    if (load->label.plan == LUM__LABEL_GO_ON) options.label_after = load->label.newest.transaction_id;
    options.mapping = lum__file_chain_mapping_text(load->chain);
    options.source_names = load->source_names;
    options.on_commit = on_commit;
    options.on_progress = on_progress;
    options.before_commit = before_commit;
    options.callback_context = load;
    lum__progress_begin("loading", LUM_ROWS_UNKNOWN);
    lum_status status = lum_load(store, lum__file_chain_source(load->chain), &options, report);
    lum__progress_end();
    int exit_code = load->is_events_failed ? lum__message_first_failure()->exit_code : 0;
    load->is_in_doubt = status == LUM_IN_DOUBT;
    load->was_interrupted = (status != LUM_OK && status != LUM_ERR_LABEL) || exit_code != 0;
    report->rows_skipped = rows_before(load);
    report->rows_read += report->rows_skipped;
    return status == LUM_OK ? exit_code : tell_failure(load, status, report);
}

/* P8. Refused rows are counted twice, by the readers and by who took them: both must say the same, and a load that succeeded
 * must have kept each that it was to keep. */
static int check_accounts(const struct load *load, const lum_load_report *report, int exit_code)
{
    lum__message_note("rows_read %s = loaded %s + rejected %s + skipped %s + rolled_back %s",
                      lum__human_count(report->rows_read), lum__human_count(report->rows_loaded),
                      lum__human_count(report->rows_rejected), lum__human_count(report->rows_skipped),
                      lum__human_count(report->rows_rolled_back));
    uint64_t sum = report->rows_loaded + report->rows_rejected + report->rows_skipped + report->rows_rolled_back;
    bool adds_up = sum == report->rows_read;
    if (load->rejects) adds_up &= lum__reject_writer_count(load->rejects) == report->rows_rejected;
    if (exit_code == 0 && load->rejects && lum__reject_writer_has_files(load->rejects))
        adds_up &= lum__reject_writer_kept(load->rejects) == report->rows_rejected + load->label.before.rejects.rows;
    if (adds_up) return 0;
    return lum__message_refuse(
        LUM__EXIT_IO, "ERR_ACCOUNTING", NULL, "this is a bug in lum; `lum verify` tells what the store holds",
        "the accounts do not add up: %" PRIu64 " rows read, %" PRIu64 " accounted for", report->rows_read, sum);
}

static int open_store(const struct load *load, lum_store **out)
{
    const char *path = load->arguments->positional[0];
    lum_options options = lum__open_options(load->arguments, LUM__OPEN_CREATE);
    if (load->arguments->on_full == 1) options.on_full = lum__on_full_wait;
    options.on_full_context = (void *)(uintptr_t)path;
    return lum__open_store(path, &options, out);
}

static int load_into_store(struct load *load, lum_load_report *report)
{
    const char *path = load->arguments->positional[0];
    bool is_new = lum__is_absent_or_empty(path);
    lum_store *store = load->store;
    int exit_code = store ? 0 : open_store(load, &store);
    load->store = NULL;
    if (exit_code != 0) return exit_code;
    if (is_new) lum__message_note("%s was not there: created", path);
    exit_code = load_rows(load, store, report);
    exit_code = lum__close_store(store, path, exit_code);
    /* Closing syncs: what --sync none or interval left open is durable now. */
    if (exit_code == 0 && report->commit_count > 0) report->durable = true;
    return exit_code;
}

/* What is wrong with options shows before any file is touched. */
static int read_options(const struct lum__arguments *arguments, struct lum__mapping *mapping, struct lum__row_options *rows)
{
    int exit_code = check_on_error(arguments);
    enum { LABEL_BYTES_MAX = 255 }; /* lum.h; asked before a store is made */
    if (arguments->label && !arguments->label[0])
        return lum__message_usage("leave --label out for a load without one", "--label: the label is empty");
    if (arguments->label && strlen(arguments->label) > LABEL_BYTES_MAX)
        return lum__message_usage(NULL, "--label: %zu bytes are more than %d", strlen(arguments->label), LABEL_BYTES_MAX);
    if (arguments->resume && !arguments->label)
        return lum__message_usage("give the --label that the load was begun with", "--resume goes on with a load that has a label");
    if (exit_code == 0) exit_code = lum__input_format_check_options(arguments);
    if (exit_code == 0) exit_code = choose_delimiter(arguments, &rows->delimiter);
    if (exit_code == 0) exit_code = parse_maps(arguments, mapping);
    rows->mapping = mapping;
    rows->no_header = arguments->no_header;
    rows->round = arguments->round;
    rows->null_text = arguments->null_text;
    rows->time_unit = (struct lum__scale){time_unit_ns[arguments->time_unit], 0};
    return exit_code;
}

static int open_rejects(struct load *load, const struct lum__input_files *files)
{
    const struct lum__arguments *arguments = load->arguments;
    struct lum__reject_options options = {.max = arguments->max_errors,
                                          .store = arguments->positional[0],
                                          .inputs = files->paths,
                                          .input_count = files->count,
                                          .counts_points = arguments->label != NULL};
    if (!reads_on(arguments, &options.path)) return 0;
    if (arguments->resume) options.go_on = &load->label.before.rejects; /* no rows where nothing is committed */
    options.refused_before = load->label.before.point.rows_refused;
    return lum__reject_writer_open(&options, &load->rejects);
}

/* What one writes would be lost under the other's. */
static int check_targets_differ(const struct lum__arguments *arguments)
{
    const char *events = arguments->events_path, *report = arguments->report_path, *rejects;
    char errors[PATH_MAX];
    if (events && strcmp(events, "-") == 0) events = NULL;
    (void)reads_on(arguments, &rejects);
    snprintf(errors, sizeof errors, "%s.errors.csv", rejects ? rejects : "");
    const struct {
        const char *what, *path, *other_what, *other;
    } pairs[] = {{"events file", events, "report", report},
                 {"events file", events, "reject file", rejects},
                 {"report", report, "reject file", rejects},
                 {"events file", events, "list of reasons beside the reject file", rejects ? errors : NULL},
                 {"report", report, "list of reasons beside the reject file", rejects ? errors : NULL}};
    int exit_code = 0;
    for (size_t i = 0; exit_code == 0 && i < sizeof pairs / sizeof pairs[0]; i++)
        exit_code = lum__target_check_differ(pairs[i].what, pairs[i].path, pairs[i].other_what, pairs[i].other);
    return exit_code;
}

/* The files that tell about the load must not be what it reads: opening or writing them would empty it. */
static int check_targets(const struct lum__arguments *arguments, const struct lum__input_files *files)
{
    const char *store = arguments->positional[0], *events = arguments->events_path, *report = arguments->report_path;
    int exit_code = 0;
    if (report) exit_code = lum__target_check("report", report, "name another file for it", store, files->paths, files->count);
    if (exit_code != 0) {
        lum__result_drop_report();
        return exit_code;
    }
    if (events && strcmp(events, "-") != 0)
        exit_code = lum__target_check("events file", events, "name another file for them", store, files->paths, files->count);
    return exit_code != 0 ? exit_code : check_targets_differ(arguments);
}

static int open_events(struct load *load)
{
    const char *path = load->arguments->events_path;
    if (!path) return 0;
    load->events = strcmp(path, "-") == 0 ? stdout : fopen(path, load->label.plan == LUM__LABEL_GO_ON ? "a" : "w");
    return load->events ? 0 : lum__message_system(errno, path, "cannot write events to %s", path);
}

static int close_events(struct load *load, int exit_code)
{
    const char *path = load->arguments->events_path;
    if (!load->events || load->events == stdout || fclose(load->events) == 0 || exit_code != 0) return exit_code;
    return lum__message_system(errno, path, "cannot write events to %s", path);
}

static int join_names(struct load *load, const struct lum__input_files *files)
{
    size_t bytes = 0;
    FILE *out = open_memstream(&load->source_names, &bytes);
    if (!out) return lum__message_system(errno, NULL, "no memory for the names of the files");
    for (size_t i = 0; i < files->count; i++) fprintf(out, "%s%s", i ? "\n" : "", files->paths[i]);
    return fclose(out) == 0 ? 0 : lum__message_system(errno, NULL, "no memory for the names of the files");
}

/* What the store says of the label, before anything of the input or of refused rows is touched. */
static int look_at_label(struct load *load, const struct lum__input_files *files)
{
    const struct lum__arguments *arguments = load->arguments;
    const char *path = arguments->positional[0], *reject_path = NULL;
    int exit_code = 0;
    if (!arguments->label) return 0;
    if (!lum__is_absent_or_empty(path)) exit_code = open_store(load, &load->store);
    reads_on(arguments, &reject_path);
    if (exit_code == 0) exit_code = lum__load_label_look(&load->label, load->store, arguments, files->count, reject_path);
    load->was_interrupted = load->label.is_unfinished && !arguments->resume;
    return exit_code;
}

static int open_input(struct load *load, struct lum__chain_options *options)
{
    options->rejects = load->rejects;
    options->counts_points = load->arguments->label != NULL;
    options->from = lum__load_label_from(&load->label);
    char difference[512];
    options->difference = &difference;
    lum_status status = lum__file_chain_open(options, &load->chain);
    if (status == LUM_ERR_LABEL)
        return lum__message_refuse(LUM__EXIT_INPUT, "ERR_LABEL", NULL, "give the input as it was; rows that are new or corrected go under another label",
                                   "the label %.100s is taken: %s", load->arguments->label, difference);
    if (status != LUM_OK) return lum__message_status(status);
    if (!load->arguments->label) return 0;
    if (load->label.plan == LUM__LABEL_GO_ON) {
        lum__message_note("%s are loaded, and unchanged in the input (%s)", lum__human_number_of(options->from->rows, "row"),
                          lum__human_bytes(options->from->bytes));
    }
    return lum__load_label_check_meaning(&load->label, load->arguments, lum__file_chain_mapping_text(load->chain));
}

/* The same input under the same label: there is nothing to do. */
static int tell_loaded(const struct load *load, lum_load_report *report)
{
    const struct lum__chain_point *point = &load->label.before.point;
    report->rows_read = report->rows_skipped = point->rows;
    report->transaction_id = load->label.newest.transaction_id;
    report->commit_sequence = load->label.newest.sequence;
    report->digest = load->label.newest.digest;
    report->durable = true; /* the store is closed before that is told */
    lum__message_note("%s: label %s: already committed, %s; nothing was added", load->arguments->positional[0], load->arguments->label,
                      lum__human_number_of(point->rows - point->rows_refused, "row"));
    return 0;
}

static int open_and_load(struct load *load, const struct lum__input_files *files, struct lum__chain_options *options, lum_load_report *report)
{
    int exit_code = look_at_label(load, files);
    bool is_loaded = load->label.plan == LUM__LABEL_LOADED;
    if (exit_code == 0 && !is_loaded) exit_code = open_rejects(load, files);
    if (exit_code == 0) exit_code = open_input(load, options);
    if (exit_code == 0 && is_loaded) exit_code = tell_loaded(load, report);
    if (exit_code == 0 && !is_loaded) exit_code = join_names(load, files);
    if (exit_code == 0 && !is_loaded) exit_code = open_events(load);
    if (exit_code == 0 && !is_loaded) exit_code = load_into_store(load, report);
    if (load->store) exit_code = lum__close_store(load->store, load->arguments->positional[0], exit_code);
    lum__file_chain_close(load->chain);
    if (load->rejects) exit_code = lum__reject_writer_finish(load->rejects, load->is_in_doubt, exit_code);
    exit_code = close_events(load, exit_code);
    free(load->source_names);
    return exit_code;
}

/* Options and files are looked at the same way whether it is a load or a dry run. */
static int load_or_look(struct load *load, lum_load_report *report, struct lum__json *json)
{
    const struct lum__arguments *arguments = load->arguments;
    struct lum__mapping mapping = LUM__MAPPING_INIT;
    struct lum__input_files files = {0};
    struct lum__chain_options options = {.format = (enum lum__input_format)arguments->input_format};
    const char *reject_path;
    int exit_code = read_options(arguments, &mapping, &options.rows);
    if (exit_code == 0) exit_code = lum__input_files_find(arguments->positional + 1, arguments->positional_count - 1, &files);
    options.paths = files.paths;
    options.path_count = files.count;
    if (exit_code == 0) exit_code = check_targets(arguments, &files);
    if (exit_code == 0 && arguments->dry_run) exit_code = lum__load_dry_run(arguments, &options, reads_on(arguments, &reject_path), json);
    else if (exit_code == 0) exit_code = open_and_load(load, &files, &options, report);
    lum__input_files_free(&files);
    lum__mapping_destroy(&mapping);
    return exit_code;
}

static void write_json_rejects(struct lum__json *json, const struct load *load)
{
    bool is_there = load->rejects && lum__reject_writer_kept(load->rejects) > 0;
    lum__json_string(json, "reject_file", is_there ? lum__reject_writer_path(load->rejects, LUM__REJECT_ROWS) : NULL);
    lum__json_string(json, "reject_errors_file", is_there ? lum__reject_writer_path(load->rejects, LUM__REJECT_ERRORS) : NULL);
    lum__json_u64(json, "reject_file_rows", is_there ? lum__reject_writer_kept(load->rejects) : 0);
}

static void write_json(struct lum__json *json, const struct lum__arguments *arguments, const lum_load_report *report,
                       uint64_t elapsed_ns)
{
    lum__json_u64(json, "rows_read", report->rows_read);
    lum__json_u64(json, "rows_loaded", report->rows_loaded);
    lum__json_u64(json, "rows_rejected", report->rows_rejected);
    lum__json_u64(json, "rows_skipped", report->rows_skipped);
    lum__json_u64(json, "rows_rolled_back", report->rows_rolled_back);
    lum__json_u64(json, "bytes_read", report->bytes_read);
    lum__json_u64(json, "bytes_written", report->bytes_written);
    lum__json_u64(json, "chunks", report->chunk_count);
    lum__json_u64(json, "commits", report->commit_count);
    lum__json_u64(json, "transaction_id", report->transaction_id);
    lum__json_u64(json, "commit_sequence", report->commit_sequence);
    lum__json_bool(json, "durable", report->durable);
    lum__json_string(json, "label", arguments->label ? arguments->label : "");
    lum__json_u64(json, "digest", report->digest);
    lum__json_u64(json, "elapsed_nanoseconds", elapsed_ns);
}

/* The last line of a load. Blocks of the disk say nothing about the encoding of a few rows: then no ratio. */
static void say_what_was_loaded(const char *store, const lum_load_report *report, uint64_t elapsed_ns)
{
    enum { RATIO_ROWS_MIN = 4096 }; /* a page */
    char ratio[64] = "";
    if (report->rows_loaded >= RATIO_ROWS_MIN)
        snprintf(ratio, sizeof ratio, " (%.1f %% of the raw rows)",
                 100 * (double)report->bytes_written / ((double)report->rows_loaded * sizeof(lum_t)));
    lum__message_note("%s: %s loaded in %s (%srows/s), %s written%s, %s on disk, %s at sequence %" PRIu64, store,
                      lum__human_number_of(report->rows_loaded, "row"), lum__human_seconds(elapsed_ns),
                      lum__human_rate(report->rows_loaded, elapsed_ns), lum__human_bytes(report->bytes_written), ratio,
                      lum__human_bytes(lum__directory_bytes(store)), report->durable ? "durable" : "not yet durable",
                      report->commit_sequence);
}

/* Said by itself and in full, whatever else was said: for a person to copy, for a script from the JSON. */
static void tell_resume(struct lum__json *json, const struct lum__arguments *arguments)
{
    const char *command = lum__resume_command(arguments);
    lum__message_warn("go on with: %s", command);
    lum__json_string(json, "resume_command", command);
}

static int run(const struct lum__arguments *arguments)
{
    struct lum__result result;
    static struct load load; /* large */
    load.arguments = arguments;
    lum_load_report report = LUM_LOAD_REPORT_INIT;
    if (!lum__result_begin(&result, arguments)) return LUM__EXIT_IO;
    result.data_has_stdout = arguments->events_path && strcmp(arguments->events_path, "-") == 0;
    lum__signals_catch_interrupts();
    uint64_t start_ns = lum__monotonic_ns();
    int exit_code = load_or_look(&load, &report, &result.json);
    uint64_t elapsed_ns = lum__monotonic_ns() - start_ns;
    write_json(&result.json, arguments, &report, elapsed_ns);
    write_json_rejects(&result.json, &load);
    if ((exit_code == 0 && !arguments->dry_run) || report.rows_read > 0) {
        int account_code = check_accounts(&load, &report, exit_code);
        if (exit_code == 0) exit_code = account_code;
    }
    lum__reject_writer_close(load.rejects);
    if (exit_code != 0 && load.was_interrupted && arguments->label) tell_resume(&result.json, arguments);
    if (exit_code == 0 && !arguments->dry_run && load.label.plan != LUM__LABEL_LOADED) say_what_was_loaded(arguments->positional[0], &report, elapsed_ns);
    return lum__result_end(&result, exit_code);
}

const struct lum__command lum__command_load = {
    .name = "load",
    .positional_help = "STORE FILE...",
    .positional_min = 2,
    .positional_max = SIZE_MAX,
    .tables = tables,
    .run = run,
    .summary = "load rows of CSV, NDJSON, .npy or raw files, plain or compressed, into a store",
    .details = "All files together are one transaction unless --commit-every is given: all rows are loaded, or none. A\n"
               "FILE of - is standard input. A pattern ('day-*.csv') that is not the name of a file itself stands for the\n"
               "files that match it, sorted. A store that is not there is created.\n",
    .examples =
        "  lum load tracks.lum tracks.csv.zst\n"
        "  lum load tracks.lum day1.npy day2.ndjson.gz --map position_x=lon,position_y=lat\n"
        "  lum load cities.lum cities500.csv.zst --label cities500 \\\n"
        "      --map "
        "'id=geonameid,position_x=longitude*1e7,position_y=latitude*1e7,timestamp=modified,memory_address=population'\n"
        "  zcat day*.csv.gz | lum load days.lum - --no-header --map id=#1,timestamp=#2 --commit-every 1M --events "
        "commits.ndjson\n"
        "  lum load days.lum 'day-*.csv' --on-error reject=bad.csv --max-errors 1000\n"};
