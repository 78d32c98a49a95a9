/* lum - the program. Finds the command, parses its options, runs it; everything else is in the command's file. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/message.h"
#include "cli/progress.h"
#include "cli/result.h"
#include "cli/signals.h"
#include "cli/target.h"

/* clang-format off: one a line, so that branches that add one do not meet */
const struct lum__command *const lum__commands[] = {
    &lum__command_stress,
    &lum__command_load,
    &lum__command_scan,
    &lum__command_get,
    &lum__command_where,
    &lum__command_info,
    &lum__command_history,
    &lum__command_diff,
    &lum__command_verify,
    &lum__command_recover,
    &lum__command_checkpoint,
    &lum__command_wal,
    &lum__command_backup,
    &lum__command_salvage,
    &lum__command_completion,
    &lum__command_stress_read,
    &lum__command_manual,
    NULL
};
/* clang-format on */
enum { COMMAND_COUNT = sizeof lum__commands / sizeof lum__commands[0] - 1 };

static const struct lum__command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(lum__commands[i]->name, name) == 0) return lum__commands[i];
    }
    return NULL;
}

static int refuse_command(const char *name)
{
    const char *remedy = "lum --help lists the commands", *names[COMMAND_COUNT + 1];
    size_t count = 0;
    if (name[0] == '-')
        return lum__message_usage(remedy, "options stand behind a command: lum COMMAND %s", name);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (!lum__commands[i]->is_hidden) names[count++] = lum__commands[i]->name;
    }
    names[count] = NULL;
    const char *closest = lum__closest_word(name, names);
    if (closest) return lum__message_usage(remedy, "there is no command \"%s\"; did you mean %s?", name, closest);
    return lum__message_usage(remedy, "there is no command \"%s\"", name);
}

/* Before anything is parsed: a failure to parse is told as JSON too. */
static bool wants_json(int argument_count, char **words)
{
    for (int i = 1; i < argument_count && strcmp(words[i], "--") != 0; i++) {
        if (strcmp(words[i], "--json") == 0) return true;
    }
    return false;
}

/* A standard stream that the caller closed is opened on the null device, so that no file of a store gets its number and
 * is written to by a message (pitfall 20); in the direction nobody uses, so that reading or writing it still fails. */
static void guard_standard_streams(void)
{
    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) continue;
        int opened = open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        if (opened != fd) _exit(LUM__EXIT_IO); /* nobody could be told */
    }
}

/* In one piece: of a help that does not fit the buffer of a full disk, the reason would be lost. */
static void print_help(const struct lum__command *command)
{
    static char buffer[1 << 15];
    if (!isatty(STDOUT_FILENO)) (void)setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    lum__options_print_help(stdout, command);
}

/* as_given: the words again, because parsing moves them. */
static int run_parsed(const struct lum__command *command, int word_count, char **words, const char **as_given, bool json)
{
    struct lum__arguments arguments;
    lum__arguments_init(&arguments);
    arguments.words = as_given;
    arguments.word_count = as_given ? word_count : 0;
    int exit_code = lum__options_parse(command, word_count, (const char **)words, &arguments);
    if (exit_code == 0 && arguments.help) {
        print_help(command);
        return 0;
    }
    if (exit_code == 0 && arguments.report_path && strcmp(arguments.report_path, "-") == 0)
        exit_code = lum__message_usage("--json writes the object to standard output", "--report -: a report goes to a file");
    if (exit_code == 0 && arguments.report_path && arguments.positional_count > 0)
        exit_code = lum__target_check("report", arguments.report_path, "name another file for it",
                                      arguments.positional[0], NULL, 0);
    if (exit_code == 0 && arguments.report_path) exit_code = lum__result_open_report(arguments.report_path);
    bool data_has_stdout =
        command->data_takes_stdout && (!arguments.output_path || strcmp(arguments.output_path, "-") == 0);
    if (exit_code != 0) return lum__result_only_failure(json, data_has_stdout, exit_code);
    lum__message_setup(arguments.quiet, arguments.verbose);
    lum__progress_setup(arguments.progress, arguments.quiet);
    lum__signals_name_command(command->name);
    return command->run(&arguments);
}

static int run_command(const struct lum__command *command, int word_count, char **words, bool json)
{
    const char **as_given = malloc(((size_t)word_count + 1) * sizeof *as_given);
    if (as_given) memcpy(as_given, words, (size_t)word_count * sizeof *as_given);
    int exit_code = run_parsed(command, word_count, words, as_given, json);
    free(as_given);
    return exit_code;
}

static int run_words(int argument_count, char **words)
{
    bool json = wants_json(argument_count, words);
    const char *name = argument_count > 1 ? words[1] : NULL;
    if (!name) {
        lum__help_print_overview(stderr);
        return LUM__EXIT_USAGE;
    }
    bool asks_help = strcmp(name, "help") == 0;
    const struct lum__command *command = find_command(asks_help && argument_count > 2 ? words[2] : name);
    if (asks_help && argument_count > 2 && command)
        print_help(command);
    else if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || (asks_help && argument_count == 2))
        lum__help_print_overview(stdout);
    else if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0)
        printf("lum %s\n", lum_version());
    else if (!command)
        return lum__result_only_failure(json, false, refuse_command(asks_help ? words[2] : name));
    else
        return run_command(command, argument_count - 2, words + 2, json);
    return 0;
}

int main(int argument_count, char **words)
{
    guard_standard_streams();
    lum__signals_setup();
    int exit_code = run_words(argument_count, words);
    int output_code = lum__result_flush_stdout();
    return exit_code ? exit_code : output_code;
}
