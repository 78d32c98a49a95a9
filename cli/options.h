/* cli/options.h - commands and their options as tables. Parsing, --help and the closest match for a misspelt option are
 * all made from the same tables, so they cannot disagree; man pages and shell completion can be made from them too. */
#ifndef LUM_CLI_OPTIONS_H
#define LUM_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lum/lum.h"

enum lum__progress_mode { LUM__PROGRESS_AUTO, LUM__PROGRESS_ALWAYS, LUM__PROGRESS_NEVER };
enum lum__row_format { LUM__ROWS_CSV, LUM__ROWS_NDJSON, LUM__ROWS_NPY, LUM__ROWS_RAW };
enum lum__workload_kind { LUM__WORKLOAD_SEED, LUM__WORKLOAD_RANDOM, LUM__WORKLOAD_TRACKS, LUM__WORKLOAD_SEED_NOISE };

struct lum__range_u64 {
    uint64_t min, max;
};
struct lum__range_i32 {
    int32_t min, max;
};
struct lum__sync_choice {
    enum lum_sync_mode mode;
    uint32_t interval_ms;
};

enum { LUM__LIST_MAX = 64 };
struct lum__string_list {
    const char *items[LUM__LIST_MAX];
    size_t count;
};

/* Everything a command line can say. Every command reads its own part; lum__arguments_init() sets the defaults. */
struct lum__arguments {
    const char **positional; /* STORE, FILE..., ID */
    size_t positional_count;
    /* every command */
    bool json, help, quiet, verbose;
    int progress; /* enum lum__progress_mode */
    /* commands that write */
    uint64_t threads, chunk_lums, memory_bytes;
    struct lum__sync_choice sync;
    uint64_t max_recovery_ms;
    const char *report_path;
    uint64_t commit_every;
    /* stress */
    uint64_t count;
    int workload; /* enum lum__workload_kind */
    int source_form;
    bool keep, drop_caches;
    uint64_t result_fd, start_ns; /* of the reading process */
    /* load */
    int input_format;
    struct lum__string_list maps;
    bool no_header, round;
    const char *delimiter, *on_error, *label, *events_path, *null_text;
    int on_full; /* index into the choices abort wait */
    int time_unit;       /* index into the choices ns us ms s */
    uint64_t max_errors; /* UINT64_MAX: not given */
    bool resume;
    const char *const *words; /* behind the command, as they were given */
    int word_count;
    /* scan */
    int row_format; /* enum lum__row_format */
    const char *columns, *output_path;
    bool column_details; /* info --columns */
    uint64_t limit; /* 0: all */
    bool latest;
    struct lum__range_u64 id, time;
    struct lum__range_i32 x, y;
    /* recover */
    bool dry_run;
    bool guided;
    const char *choose, *backup_dir;
    /* backup, salvage */
    bool raw;
    const char *orphans;
};

enum lum__option_kind {
    LUM__OPTION_FLAG,   /* bool */
    LUM__OPTION_STRING, /* const char * */
    LUM__OPTION_LIST,   /* struct lum__string_list, may be given several times */
    LUM__OPTION_NUMBER, /* uint64_t with K M G T Ki Mi Gi Ti, between min and max */
    LUM__OPTION_SECONDS, /* uint64_t of milliseconds, between min and max of them */
    LUM__OPTION_CHOICE, /* int, index into choices */
    LUM__OPTION_SYNC,
    LUM__OPTION_RANGE_U64,
    LUM__OPTION_RANGE_TIME,
    LUM__OPTION_RANGE_I32
};

struct lum__option {
    const char *name; /* without the dashes; NULL ends a table */
    char letter;      /* 0 for none */
    enum lum__option_kind kind;
    size_t offset;        /* in struct lum__arguments */
    const char *argument; /* its name in --help, NULL for flags; FILE and DIR are completed as what they say */
    const char *help;
    const char *const *choices; /* ended by NULL; of a string: what completion offers */
    uint64_t min, max;          /* of numbers; max 0: any */
    bool is_hidden;
};

struct lum__command {
    const char *name;
    const char *positional_help;             /* "STORE FILE...": completed by the names, see completion.c */
    const char *summary;                     /* half a line, for the list of commands */
    const char *details;                     /* paragraphs for --help; NULL for none */
    const char *examples;                    /* lines, each with its newline */
    const struct lum__option *const *tables; /* ended by NULL */
    size_t positional_min, positional_max;
    int (*run)(const struct lum__arguments *arguments); /* returns the exit code */
    bool is_hidden;
    bool data_takes_stdout; /* unless -o names a file: JSON goes to stderr, also that of a failure to parse */
};

extern const struct lum__option lum__options_common[];
extern const struct lum__option lum__options_writer[]; /* threads, chunk_lums, memory, sync, report */
extern const struct lum__option lum__options_reader[]; /* threads, memory */
extern const struct lum__option lum__options_ranges[];
extern const char *const lum__workload_names[];

void lum__arguments_init(struct lum__arguments *arguments);

/* Parses what stands behind the command's name; positional points into argv, which is reordered. Returns 0, or 2 after
 * saying what is wrong with which word. Help asked for wins over anything missing. */
int lum__options_parse(const struct lum__command *command, int argument_count, const char **words,
                       struct lum__arguments *arguments);

/* The options that are shown, in the order of the tables. Returns how many. */
enum { LUM__OPTIONS_MAX = 128 };
size_t lum__options_visible(const struct lum__command *command, const struct lum__option *out[LUM__OPTIONS_MAX]);

void lum__options_print_help(FILE *out, const struct lum__command *command);

/* The word of a list (ended by NULL) most like `word`; NULL if none is like it. */
const char *lum__closest_word(const char *word, const char *const *list);

/* "64M" -> 64000000. On failure NULL is not returned but a static reason, for a message: `"64Q" has an unknown
 * suffix...`. */
const char *lum__number_parse(const char *text, uint64_t *out);

#endif
