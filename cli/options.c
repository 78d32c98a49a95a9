#include "cli/options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/message.h"
#include "formats/number.h"

#define FIELD(name) offsetof(struct lum__arguments, name)

static const char *const progress_choices[] = {"auto", "always", "never", NULL};
const char *const lum__workload_names[] = {"seed", "random", "tracks", "seed+noise", NULL};

const struct lum__option lum__options_common[] = {
    {.name = "json", .kind = LUM__OPTION_FLAG, .offset = FIELD(json), .help = "tell the result as one JSON object"},
    {.name = "help", .letter = 'h', .kind = LUM__OPTION_FLAG, .offset = FIELD(help), .help = "this text"},
    {.name = "quiet", .letter = 'q', .kind = LUM__OPTION_FLAG, .offset = FIELD(quiet), .help = "say errors only"},
    {.name = "verbose", .letter = 'v', .kind = LUM__OPTION_FLAG, .offset = FIELD(verbose), .help = "say more"},
    {.name = "progress",
     .kind = LUM__OPTION_CHOICE,
     .offset = FIELD(progress),
     .argument = "WHEN",
     .choices = progress_choices,
     .help = "auto (on a terminal), always or never"},
    {0}};

const struct lum__option lum__options_writer[] = {
    {.name = "threads",
     .kind = LUM__OPTION_NUMBER,
     .offset = FIELD(threads),
     .argument = "N",
     .min = 1,
     .max = 1024,
     .help = "workers; default: the CPUs this process may use"},
    {.name = "chunk-lums",
     .kind = LUM__OPTION_NUMBER,
     .offset = FIELD(chunk_lums),
     .argument = "N",
     .min = LUM_CHUNK_LUMS_MIN,
     .max = LUM_CHUNK_LUMS_MAX,
     .help = "rows of a chunk, a multiple of 4096; default 262144"},
    {.name = "memory",
     .kind = LUM__OPTION_NUMBER,
     .offset = FIELD(memory_bytes),
     .argument = "SIZE",
     .min = 1,
     .help = "memory to use at most; default 128Mi, or 48Mi a thread where that is more"},
    {.name = "sync",
     .kind = LUM__OPTION_SYNC,
     .offset = FIELD(sync),
     .argument = "MODE",
     .help = "commit (default), interval=MS or none: of what was acknowledged a power cut loses nothing, at most the last MS, or all since a checkpoint; kill -9 loses nothing"},
    {.name = "max-recovery-seconds",
     .kind = LUM__OPTION_SECONDS,
     .offset = FIELD(max_recovery_ms),
     .argument = "S",
     .min = 1,
     .max = 86400000,
     .help = "take a checkpoint whenever a recovery would take longer by estimate; default 10"},
    {.name = "report",
     .kind = LUM__OPTION_STRING,
     .offset = FIELD(report_path),
     .argument = "FILE",
     .help = "write the JSON object to FILE too"},
    {0}};

const struct lum__option lum__options_reader[] = {
    {.name = "threads",
     .kind = LUM__OPTION_NUMBER,
     .offset = FIELD(threads),
     .argument = "N",
     .min = 1,
     .max = 1024,
     .help = "workers; default: the CPUs this process may use"},
    {.name = "memory",
     .kind = LUM__OPTION_NUMBER,
     .offset = FIELD(memory_bytes),
     .argument = "SIZE",
     .min = 1,
     .help = "memory to use at most; default 128Mi, or 48Mi a thread where that is more"},
    {0}};

const struct lum__option lum__options_ranges[] = {
    {.name = "id",
     .kind = LUM__OPTION_RANGE_U64,
     .offset = FIELD(id),
     .argument = "A..B",
     .help = "ids from A to B, both included; A.. and ..B are open"},
    {.name = "time",
     .kind = LUM__OPTION_RANGE_TIME,
     .offset = FIELD(time),
     .argument = "A..B",
     .help = "timestamps: nanoseconds since 1970, or dates as 2026-01-31T12:00:00Z"},
    {.name = "x", .kind = LUM__OPTION_RANGE_I32, .offset = FIELD(x), .argument = "A..B", .help = "position_x"},
    {.name = "y", .kind = LUM__OPTION_RANGE_I32, .offset = FIELD(y), .argument = "A..B", .help = "position_y"},
    {0}};

void lum__arguments_init(struct lum__arguments *arguments)
{
    memset(arguments, 0, sizeof *arguments);
    arguments->count = 100000000;
    arguments->on_error = "abort";
    arguments->max_errors = UINT64_MAX;
    arguments->id.max = arguments->time.max = UINT64_MAX;
    arguments->x = arguments->y = (struct lum__range_i32){INT32_MIN, INT32_MAX};
}

/* --------------------------------------------------------------------------------------------- closest word */

/* Edits (insert, delete, replace, swap of neighbours) between two short words. */
static size_t edit_distance(const char *a, const char *b)
{
    enum { WORD_MAX = 40 };
    size_t length_a = strlen(a), length_b = strlen(b);
    size_t rows[3][WORD_MAX + 1];
    if (length_a > WORD_MAX || length_b > WORD_MAX) return WORD_MAX;
    for (size_t j = 0; j <= length_b; j++) rows[0][j] = j;
    for (size_t i = 1; i <= length_a; i++) {
        size_t *now = rows[i % 3], *before = rows[(i + 2) % 3], *two_before = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= length_b; j++) {
            size_t best = before[j - 1] + (a[i - 1] != b[j - 1]);
            if (before[j] + 1 < best) best = before[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && two_before[j - 2] + 1 < best) best = two_before[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[length_a % 3][length_b];
}

const char *lum__closest_word(const char *word, const char *const *list)
{
    const char *closest = NULL;
    size_t length = strlen(word);
    size_t distance_best = length / 3 + 2; /* farther than that is a guess, not a match */
    for (; *list; list++) {
        size_t distance = edit_distance(word, *list);
        bool is_beginning = length >= 2 && strncmp(word, *list, length) == 0;
        if (is_beginning && distance_best > 1) distance = 1;
        if (distance < distance_best) {
            distance_best = distance;
            closest = *list;
        }
    }
    return closest;
}

/* --------------------------------------------------------------------------------------------------- values */

const char *lum__number_parse(const char *text, uint64_t *out)
{
    static const struct {
        const char *name;
        uint64_t factor;
    } suffixes[] = {{"", 1},           {"K", 1000},          {"M", 1000000},
                    {"G", 1000000000}, {"T", 1000000000000}, {"Ki", 1u << 10},
                    {"Mi", 1u << 20},  {"Gi", 1u << 30},     {"Ti", (uint64_t)1 << 40}};
    *out = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0) return "is not a number (digits, then K M G T or Ki Mi Gi Ti)";
    uint64_t value;
    if (lum__parse_u64(text, digits, &value, NULL) != LUM__NUMBER_OK) return "is too large";
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        if (strcmp(text + digits, suffixes[i].name) != 0) continue;
        return __builtin_mul_overflow(value, suffixes[i].factor, out) ? "is too large" : NULL;
    }
    if (strchr(".,", text[digits])) return "is not a whole number";
    return "has an unknown suffix: K M G T are powers of 1000, Ki Mi Gi Ti of 1024";
}

static int refuse_value(const struct lum__option *option, const char *value, const char *reason)
{
    return lum__message_usage(NULL, "--%s: \"%s\" %s", option->name, value, reason);
}

static int parse_number(const struct lum__option *option, const char *value, uint64_t *out)
{
    uint64_t number;
    const char *reason = lum__number_parse(value, &number);
    if (reason) return refuse_value(option, value, reason);
    if (number < option->min || (option->max != 0 && number > option->max)) {
        if (option->max == 0)
            return lum__message_usage(NULL, "--%s: %s is below %" PRIu64, option->name, value, option->min);
        return lum__message_usage(NULL, "--%s: %s is not between %" PRIu64 " and %" PRIu64, option->name, value,
                                  option->min, option->max);
    }
    *out = number;
    return 0;
}

/* "10" or "0.25", to the millisecond. */
static int parse_seconds(const struct lum__option *option, const char *value, uint64_t *out)
{
    const struct lum__scale thousand = {1, 3};
    if (lum__parse_scaled_u64(value, strlen(value), thousand, false, out, NULL) == LUM__NUMBER_OK && *out >= option->min && *out <= option->max) return 0;
    return lum__message_usage(NULL, "--%s: \"%s\" is not a number of seconds between %g and %g, with three decimals at most", option->name, value,
                              (double)option->min / 1000, (double)option->max / 1000);
}

static int parse_choice(const struct lum__option *option, const char *value, int *out)
{
    char all[160] = "";
    for (int i = 0; option->choices[i]; i++) {
        if (strcmp(value, option->choices[i]) == 0) {
            *out = i;
            return 0;
        }
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", option->choices[i]);
    }
    const char *closest = lum__closest_word(value, option->choices);
    if (closest)
        return lum__message_usage(NULL, "--%s: there is no \"%s\"; did you mean %s? (%s)", option->name, value, closest,
                                  all);
    return lum__message_usage(NULL, "--%s: there is no \"%s\" (%s)", option->name, value, all);
}

static int parse_sync(const struct lum__option *option, const char *value, struct lum__sync_choice *out)
{
    *out = (struct lum__sync_choice){LUM_SYNC_COMMIT, 0};
    if (strcmp(value, "commit") == 0) return 0;
    if (strcmp(value, "none") == 0) {
        out->mode = LUM_SYNC_NONE;
        return 0;
    }
    uint64_t milliseconds;
    if (strncmp(value, "interval=", 9) == 0 && lum__number_parse(value + 9, &milliseconds) == NULL &&
        milliseconds >= 1 && milliseconds <= 3600000) {
        *out = (struct lum__sync_choice){LUM_SYNC_INTERVAL, (uint32_t)milliseconds};
        return 0;
    }
    return refuse_value(option, value, "is none of commit, interval=MS (1 to 3600000) and none");
}

/* One end of a range into *out (as i64 for i32 ranges, as u64 for the others). */
static bool parse_end(enum lum__option_kind kind, const char *text, size_t length, void *out)
{
    switch (kind) {
    case LUM__OPTION_RANGE_I32: return lum__parse_i32(text, length, out, NULL) == LUM__NUMBER_OK;
    case LUM__OPTION_RANGE_TIME:
        return lum__parse_timestamp(text, length, LUM__SCALE_ONE, false, out, NULL) == LUM__NUMBER_OK;
    default: return lum__parse_u64(text, length, out, NULL) == LUM__NUMBER_OK;
    }
}

/* A..B, A.., ..B or A alone. */
static int parse_range(const struct lum__option *option, const char *value, char *base)
{
    bool is_i32 = option->kind == LUM__OPTION_RANGE_I32;
    void *min = base, *max = base + (is_i32 ? sizeof(int32_t) : sizeof(uint64_t));
    const char *dots = strstr(value, "..");
    bool is_good;
    if (!dots) {
        is_good =
            parse_end(option->kind, value, strlen(value), min) && parse_end(option->kind, value, strlen(value), max);
    } else {
        const char *behind = dots + 2;
        is_good = (dots != value || *behind) /* ".." alone says nothing */
                  && (dots == value || parse_end(option->kind, value, (size_t)(dots - value), min)) &&
                  (!*behind || parse_end(option->kind, behind, strlen(behind), max));
    }
    if (!is_good)
        return refuse_value(option, value,
                            "is not a range of the form A..B, A.. or ..B, or an end does not fit the field");
    bool is_backwards = is_i32 ? *(int32_t *)min > *(int32_t *)max : *(uint64_t *)min > *(uint64_t *)max;
    return is_backwards ? refuse_value(option, value, "ends before it begins") : 0;
}

static int store_value(const struct lum__option *option, const char *value, struct lum__arguments *arguments)
{
    char *place = (char *)arguments + option->offset;
    switch (option->kind) {
    case LUM__OPTION_FLAG: *(bool *)place = true; return 0;
    case LUM__OPTION_STRING: *(const char **)place = value; return 0;
    case LUM__OPTION_LIST: {
        struct lum__string_list *list = (struct lum__string_list *)place;
        if (list->count == LUM__LIST_MAX) return refuse_value(option, value, "is one too many");
        list->items[list->count++] = value;
        return 0;
    }
    case LUM__OPTION_NUMBER: return parse_number(option, value, (uint64_t *)place);
    case LUM__OPTION_SECONDS: return parse_seconds(option, value, (uint64_t *)place);
    case LUM__OPTION_CHOICE: return parse_choice(option, value, (int *)place);
    case LUM__OPTION_SYNC: return parse_sync(option, value, (struct lum__sync_choice *)place);
    case LUM__OPTION_RANGE_U64:
    case LUM__OPTION_RANGE_TIME:
    case LUM__OPTION_RANGE_I32: return parse_range(option, value, place);
    }
    return 0;
}

/* -------------------------------------------------------------------------------------------------- parsing */

static const struct lum__option *find_option(const struct lum__command *command, const char *name, size_t length,
                                             char letter)
{
    for (const struct lum__option *const *table = command->tables; *table; table++) {
        for (const struct lum__option *option = *table; option->name; option++) {
            if (letter ? option->letter == letter
                       : strlen(option->name) == length && memcmp(option->name, name, length) == 0) {
                return option;
            }
        }
    }
    return NULL;
}

size_t lum__options_visible(const struct lum__command *command, const struct lum__option *out[LUM__OPTIONS_MAX])
{
    size_t count = 0;
    for (const struct lum__option *const *table = command->tables; *table; table++) {
        for (const struct lum__option *option = *table; option->name && count < LUM__OPTIONS_MAX; option++) {
            if (!option->is_hidden) out[count++] = option;
        }
    }
    return count;
}

static int refuse_unknown(const struct lum__command *command, const char *word)
{
    const struct lum__option *options[LUM__OPTIONS_MAX];
    const char *names[LUM__OPTIONS_MAX + 1];
    size_t count = lum__options_visible(command, options);
    for (size_t i = 0; i < count; i++) names[i] = options[i]->name;
    names[count] = NULL;
    char remedy[64], name[48];
    snprintf(remedy, sizeof remedy, "lum %s --help lists its options", command->name);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    const char *bare = name + strspn(name, "-");
    const char *closest = *bare && bare[1] ? lum__closest_word(bare, names) : NULL;
    if (closest)
        return lum__message_usage(remedy, "lum %s has no option %s; did you mean --%s?", command->name, name, closest);
    return lum__message_usage(remedy, "lum %s has no option %s", command->name, name);
}

/* The word behind an option that needs a value; NULL if there is none, or if it is an option itself: a value that looks
 * like one is given behind `=`. */
static const char *take_value(const struct lum__command *command, const char **words, int count, int *next)
{
    const char *word = *next < count ? words[*next] : NULL;
    if (word && word[0] == '-' && word[1] == '-' && (!word[2] || find_option(command, word + 2, strcspn(word + 2, "="), 0)))
        word = NULL;
    if (word) ++*next;
    return word;
}

/* One word that begins with a dash; *next is the index of the word behind it. */
static int parse_long(const struct lum__command *command, const char *word, const char **words, int count, int *next,
                      struct lum__arguments *arguments)
{
    const char *equals = strchr(word, '=');
    size_t length = equals ? (size_t)(equals - word) - 2 : strlen(word) - 2;
    const struct lum__option *option = find_option(command, word + 2, length, 0);
    if (!option) return refuse_unknown(command, word);
    if (option->kind == LUM__OPTION_FLAG) {
        if (equals) return lum__message_usage(NULL, "--%s takes no value", option->name);
        return store_value(option, NULL, arguments);
    }
    const char *value = equals ? equals + 1 : take_value(command, words, count, next);
    if (!value)
        return lum__message_usage(NULL, "--%s needs a value: --%s %s", option->name, option->name, option->argument);
    return store_value(option, value, arguments);
}

static int parse_letters(const struct lum__command *command, const char *word, const char **words, int count, int *next,
                         struct lum__arguments *arguments)
{
    for (const char *letter = word + 1; *letter; letter++) {
        const struct lum__option *option = find_option(command, NULL, 0, *letter);
        if (!option) return refuse_unknown(command, word);
        if (option->kind == LUM__OPTION_FLAG) {
            store_value(option, NULL, arguments);
            continue;
        }
        const char *value = letter[1] ? letter + 1 : take_value(command, words, count, next);
        if (!value) return lum__message_usage(NULL, "-%c needs a value: -%c %s", *letter, *letter, option->argument);
        return store_value(option, value, arguments);
    }
    return 0;
}

static int check_positional(const struct lum__command *command, const struct lum__arguments *arguments)
{
    if (arguments->help) return 0;
    char usage[128];
    snprintf(usage, sizeof usage, "lum %s %s   (lum %s --help tells more)", command->name, command->positional_help,
             command->name);
    if (arguments->positional_count < command->positional_min) {
        return lum__message_usage(usage, "lum %s needs %s", command->name, command->positional_help);
    }
    if (arguments->positional_count > command->positional_max) {
        return lum__message_usage(usage, "lum %s does not know what to do with \"%s\"", command->name,
                                  arguments->positional[command->positional_max]);
    }
    for (size_t i = 0; i < arguments->positional_count; i++) {
        if (!*arguments->positional[i])
            return lum__message_usage(usage, "lum %s: a name is empty (%s)", command->name, command->positional_help);
    }
    return 0;
}

int lum__options_parse(const struct lum__command *command, int argument_count, const char **words,
                       struct lum__arguments *arguments)
{
    /* Positional words are gathered at the front of the same array: never more of them than words read. */
    arguments->positional = words;
    arguments->positional_count = 0;
    bool options_over = false;
    for (int next = 0; next < argument_count;) {
        const char *word = words[next++];
        int exit_code = 0;
        if (options_over || word[0] != '-' || word[1] == 0) {
            words[arguments->positional_count++] = word;
        } else if (strcmp(word, "--") == 0) {
            options_over = true;
        } else if (word[1] == '-') {
            exit_code = parse_long(command, word, words, argument_count, &next, arguments);
        } else {
            exit_code = parse_letters(command, word, words, argument_count, &next, arguments);
        }
        if (exit_code != 0) return exit_code;
    }
    return check_positional(command, arguments);
}
