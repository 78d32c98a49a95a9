/* lum manual - the man pages in mdoc, made from the option tables when lum is built: lum(1) and lum-COMMAND(1) for each
 * command into a directory. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/message.h"

/* Of the pages' last change of form; their content is that of the program. */
#define PAGE_DATE "November 25, 2026"

enum { COMMANDS_MAX = 64 };
static const struct lum__option *const tables[] = {lum__options_common, NULL};

/* `length` bytes of text in which nothing is taken as a macro or an escape. Hyphens of options stay what they are when
 * copied from the page. */
static void write_escaped(FILE *out, const char *text, size_t length)
{
    bool is_line_start = true;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (is_line_start && (c == '.' || c == '\'')) fputs("\\&", out);
        if (c == '\\')
            fputs("\\e", out);
        else if (c == '-')
            fputs("\\-", out);
        else
            fputc(c, out);
        is_line_start = c == '\n';
    }
}

/* Running text, ended by a newline: a sentence begins a line, as mdoc wants it. */
static void write_text(FILE *out, const char *text, size_t length)
{
    size_t begin = 0;
    while (length > 0 && text[length - 1] == '\n') length--;
    for (size_t i = 0; i + 1 < length; i++) {
        if (!strchr(".?!", text[i]) || text[i + 1] != ' ') continue;
        write_escaped(out, text + begin, i + 1 - begin);
        fputc('\n', out);
        begin = i + 2;
    }
    write_escaped(out, text + begin, length - begin);
    fputc('\n', out);
}

/* Words of a macro's line: those that mdoc would take as a macro or as punctuation are only letters. */
static void write_macro_words(FILE *out, const char *text)
{
    while (*text) {
        size_t length = strcspn(text, " ");
        bool is_plain = length > 2 || (length == 2 && !(text[0] >= 'A' && text[0] <= 'Z'));
        fputs(is_plain ? " " : " \\&", out);
        write_escaped(out, text, length);
        text += length + strspn(text + length, " ");
    }
}

/* Lines as they stand. */
static void write_display(FILE *out, const char *text, size_t length)
{
    fputs(".Bd -literal -offset indent\n", out);
    while (length > 0) {
        size_t line = strcspn(text, "\n"), indent = strspn(text, " ");
        size_t taken = indent > 2 ? 2 : indent; /* the display is indented by itself */
        if (line >= length) line = length;
        write_escaped(out, text + taken, line - taken);
        fputc('\n', out);
        text += line + 1;
        length -= line < length ? line + 1 : line;
    }
    fputs(".Ed\n", out);
}

/* Paragraphs as --help shows them: an empty line parts them, indented lines stand as they are. */
static void write_details(FILE *out, const char *text)
{
    bool has_text = false; /* a section does not begin with a break */
    while (*text) {
        const char *end = text;
        bool is_display = *text == ' ';
        if (*text == '\n') {
            text++;
            continue;
        }
        while (*end && *end != '\n' && (*end == ' ') == is_display) end += strcspn(end, "\n") + 1;
        if (is_display) {
            write_display(out, text, (size_t)(end - text));
        } else {
            if (has_text) fputs(".Pp\n", out);
            write_text(out, text, (size_t)(end - text));
        }
        text = end;
        has_text = true;
    }
}

static void write_option(FILE *out, const struct lum__option *option)
{
    fputs(".It", out);
    if (option->letter) fprintf(out, " Fl %c ,", option->letter);
    fputs(" Fl Fl ", out);
    write_escaped(out, option->name, strlen(option->name));
    if (option->argument) {
        fputs(" Ar", out);
        write_macro_words(out, option->argument);
    }
    fputc('\n', out);
    write_text(out, option->help, strlen(option->help));
}

static void write_exit_status(FILE *out)
{
    fputs(".Sh EXIT STATUS\n.Bl -tag -width 130 -compact\n", out);
    for (const struct lum__exit_meaning *meaning = lum__exit_meanings; meaning->text; meaning++)
        fprintf(out, ".It %d\n%s\n", meaning->code, meaning->text);
    fputs(".El\n", out);
}

static void write_head(FILE *out, const char *title, const char *name, const char *summary)
{
    fprintf(out, ".\\\" Made by lum itself from its option tables: do not edit.\n.Dd %s\n.Dt ", PAGE_DATE);
    for (const char *c = title; *c; c++) fputc(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c, out);
    fprintf(out, " 1\n.Os\n.Sh NAME\n.Nm %s\n.Nd %s\n", name, summary);
}

static void write_command_page(FILE *out, const struct lum__command *command)
{
    const struct lum__option *options[LUM__OPTIONS_MAX];
    size_t count = lum__options_visible(command, options);
    char title[64];
    snprintf(title, sizeof title, "lum-%s", command->name);
    write_head(out, title, title, command->summary);
    fprintf(out, ".Sh SYNOPSIS\n.Nm lum %s\n.Ar", command->name);
    write_macro_words(out, command->positional_help);
    fputs("\n.Op Ar option ...\n.Sh DESCRIPTION\n", out);
    if (command->details) write_details(out, command->details);
    fputs(command->details ? ".Pp\nThe options:\n" : "The options:\n", out);
    fputs(".Bl -tag -width Ds\n", out);
    for (size_t i = 0; i < count; i++) write_option(out, options[i]);
    fputs(".El\n", out);
    write_exit_status(out);
    fputs(".Sh EXAMPLES\n", out);
    write_display(out, command->examples, strlen(command->examples));
    fputs(".Sh SEE ALSO\n.Xr lum 1\n", out);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(const struct lum__command *const *)a)->name, (*(const struct lum__command *const *)b)->name);
}

static void write_see_also(FILE *out)
{
    const struct lum__command *sorted[COMMANDS_MAX];
    size_t count = 0;
    for (const struct lum__command *const *command = lum__commands; *command && count < COMMANDS_MAX; command++) {
        if (!(*command)->is_hidden) sorted[count++] = *command;
    }
    qsort(sorted, count, sizeof *sorted, compare_names);
    fputs(".Sh SEE ALSO\n", out);
    for (size_t i = 0; i < count; i++) fprintf(out, ".Xr lum-%s 1%s\n", sorted[i]->name, i + 1 < count ? " ," : "");
}

static void write_overview_page(FILE *out)
{
    write_head(out, "lum", "lum", "bulk, durable, verifiable storage of LUM records");
    fputs(
        ".Sh SYNOPSIS\n.Nm\n.Ar command\n.Op Ar argument ...\n.Sh DESCRIPTION\n"
        "A LUM is a record of 40 bytes: an id, a time stamp, a position, a few small fields and a checksum.\n.Nm\n"
        "loads them in bulk into a store, a directory, and proves after any crash that nothing acknowledged was lost.\n"
        "Data goes to standard output, everything else to standard error.\n.Pp\nThe commands:\n.Bl -tag -width "
        "checkpoint\n",
        out);
    for (const struct lum__command *const *command = lum__commands; *command; command++) {
        if ((*command)->is_hidden) continue;
        fprintf(out, ".It Xr lum-%s 1\n", (*command)->name);
        write_text(out, (*command)->summary, strlen((*command)->summary));
    }
    fputs(".El\n.Pp\nEvery command takes\n.Fl Fl help\n(its options, with examples),\n.Fl Fl json\n"
          "(the result as one JSON object),\n.Fl q ,\n.Fl v\nand\n.Fl Fl progress .\n"
          "Numbers may end in K, M, G, T (powers of 1000) or Ki, Mi, Gi, Ti (of 1024).\n"
          "A file named\n.Sq \\-\nis standard input or output.\nOptions end at\n.Sq \\-\\- .\n",
          out);
    fputs(".Sh ENVIRONMENT\n.Bl -tag -width NO_COLOR\n.It Ev NO_COLOR\nIf set and not empty, errors on a terminal have "
          "no colour.\n"
          ".El\n",
          out);
    write_exit_status(out);
    fputs("A first interrupt ends a command cleanly, a second one at once.\nThe signal\n.Dv SIGUSR1\n"
          "makes a running command tell how far it is.\n",
          out);
    fputs(
        ".Sh EXAMPLES\nTry the whole way of the data on this machine:\n"
        ".Bd -literal -offset indent\nlum stress \\-\\-count 10M\n.Ed\n.Pp\nLoad a file, look at the store, read it "
        "back:\n"
        ".Bd -literal -offset indent\nlum load cities.lum cities.csv\nlum info cities.lum\nlum scan cities.lum\n.Ed\n",
        out);
    write_see_also(out);
}

static int write_page(const char *directory, const struct lum__command *command)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/lum%s%s.1", directory, command ? "-" : "", command ? command->name : "");
    FILE *out = fopen(path, "w");
    if (!out) return lum__message_system(errno, path, "cannot write %s", path);
    if (command)
        write_command_page(out, command);
    else
        write_overview_page(out);
    bool is_good = !ferror(out);
    is_good &= fclose(out) == 0;
    return is_good ? 0 : lum__message_system(errno, path, "cannot write %s", path);
}

static int run(const struct lum__arguments *arguments)
{
    int exit_code = write_page(arguments->positional[0], NULL);
    for (const struct lum__command *const *command = lum__commands; *command && exit_code == 0; command++) {
        if (!(*command)->is_hidden) exit_code = write_page(arguments->positional[0], *command);
    }
    return exit_code;
}

const struct lum__command lum__command_manual = {.name = "manual",
                                                 .positional_help = "DIR",
                                                 .positional_min = 1,
                                                 .positional_max = 1,
                                                 .tables = tables,
                                                 .run = run,
                                                 .is_hidden = true,
                                                 .summary = "write the man pages into a directory",
                                                 .examples = "  lum manual build/release/man\n"};
