/* What the option tables say, for people: --help and the overview. */
#include <string.h>

#include "cli/commands.h"
#include "cli/message.h"

const struct lum__exit_meaning lum__exit_meanings[] = {{LUM__EXIT_DONE, "done"},
                                                       {LUM__EXIT_IO, "I/O or system error"},
                                                       {LUM__EXIT_USAGE, "usage"},
                                                       {LUM__EXIT_DAMAGE, "damage found"},
                                                       {LUM__EXIT_BUSY, "store or reject file in use"},
                                                       {LUM__EXIT_NEEDS_PERSON, "recovery needs a person"},
                                                       {LUM__EXIT_INPUT, "input refused"},
                                                       {LUM__EXIT_NO_SPACE, "out of space"},
                                                       {LUM__EXIT_NOT_FOUND, "not found"},
                                                       {LUM__EXIT_INTERRUPTED, "interrupted"},
                                                       {0, NULL}};

enum { HELP_COLUMN = 26, HELP_WIDTH = 100 };

/* Text wrapped at HELP_WIDTH, continued under `column`, where the first line begins. */
static void print_wrapped(FILE *out, const char *text, int column)
{
    int at = column;
    while (*text) {
        int length = (int)strcspn(text, " ");
        bool is_first = at == column;
        if (!is_first && at + 1 + length > HELP_WIDTH) {
            fprintf(out, "\n%*s", column, "");
            at = column;
        } else if (!is_first) {
            fputc(' ', out);
            at++;
        }
        fwrite(text, 1, (size_t)length, out);
        at += length;
        text += length + (text[length] == ' ');
    }
    fputc('\n', out);
}

static void print_option(FILE *out, const struct lum__option *option)
{
    char left[80];
    int length = snprintf(left, sizeof left, "  %c%c%s --%s%s%s", option->letter ? '-' : ' ',
                          option->letter ? option->letter : ' ', option->letter ? "," : " ", option->name,
                          option->argument ? " " : "", option->argument ? option->argument : "");
    fputs(left, out);
    if (length >= HELP_COLUMN) {
        fputc('\n', out);
        length = 0;
    }
    fprintf(out, "%*s", HELP_COLUMN - length, "");
    print_wrapped(out, option->help, HELP_COLUMN);
}

void lum__options_print_help(FILE *out, const struct lum__command *command)
{
    const struct lum__option *options[LUM__OPTIONS_MAX];
    size_t count = lum__options_visible(command, options);
    fprintf(out, "usage: lum %s %s [OPTION...]\n\n", command->name, command->positional_help);
    print_wrapped(out, command->summary, 0);
    if (command->details) fprintf(out, "\n%s", command->details);
    fprintf(out, "\noptions:\n");
    for (size_t i = 0; i < count; i++) print_option(out, options[i]);
    fprintf(out, "\nexamples:\n%s", command->examples);
}

void lum__help_print_overview(FILE *out)
{
    fprintf(out, "lum %s - bulk, durable, verifiable storage of LUM records\n\nusage: lum COMMAND ...\n\n",
            lum_version());
    for (const struct lum__command *const *command = lum__commands; *command; command++) {
        if (!(*command)->is_hidden) fprintf(out, "  %-11s %s\n", (*command)->name, (*command)->summary);
    }
    fprintf(out, "\n`lum COMMAND --help` tells its options, with examples. `lum --version` tells the version.\n");
    char codes[400] = "exit codes:";
    for (const struct lum__exit_meaning *meaning = lum__exit_meanings; meaning->text; meaning++) {
        size_t used = strlen(codes);
        snprintf(codes + used, sizeof codes - used, " %d %s%s", meaning->code, meaning->text,
                 meaning[1].text ? "," : "");
    }
    print_wrapped(out, codes, 0);
}
