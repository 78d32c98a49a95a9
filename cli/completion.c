/* lum completion - what a shell completes behind `lum`, as a script made from the option tables. */
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/message.h"
#include "cli/result.h"

static const struct lum__option *const tables[] = {lum__options_common, NULL};

enum value_kind { VALUE_ANY, VALUE_FILE, VALUE_DIRECTORY };

/* What a value is, told by its name in the help: a store is a directory. `length` bytes of name count. */
static enum value_kind kind_of(const char *name, size_t length)
{
    static const char *const directories[] = {"STORE", "DIR", "DEST", "NEW", "A", "B"};
    if (length == 4 && memcmp(name, "FILE", 4) == 0) return VALUE_FILE;
    for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++) {
        if (strlen(directories[i]) == length && memcmp(name, directories[i], length) == 0) return VALUE_DIRECTORY;
    }
    return VALUE_ANY;
}

/* The next word of "STORE [FILE...]" without what stands around it; false behind the last. */
static bool next_positional(const char **at, const char **name, size_t *length, bool *is_repeated)
{
    *at += strspn(*at, " [");
    if (!**at) return false;
    *name = *at;
    *length = strcspn(*at, " .]|");
    *at += *length;
    *is_repeated = strncmp(*at, "...", 3) == 0;
    *at += strcspn(*at, " ");
    return true;
}

/* ----------------------------------------------------------------------------------------------------- bash */

static void write_bash_option_values(FILE *out, const struct lum__command *command)
{
    const struct lum__option *options[LUM__OPTIONS_MAX];
    size_t count = lum__options_visible(command, options);
    for (size_t i = 0; i < count; i++) {
        const struct lum__option *option = options[i];
        if (option->kind == LUM__OPTION_FLAG) continue;
        enum value_kind kind = kind_of(option->argument, strlen(option->argument));
        fprintf(out, "    %s/--%s", command->name, option->name);
        if (option->letter) fprintf(out, " | %s/-%c", command->name, option->letter);
        fputs(") echo '", out);
        if (option->choices) {
            fputs("words", out);
            for (const char *const *choice = option->choices; *choice; choice++) fprintf(out, " %s", *choice);
        } else if (option->kind == LUM__OPTION_SYNC) {
            fputs("words commit interval= none", out);
        } else {
            fputs(kind == VALUE_FILE ? "files" : kind == VALUE_DIRECTORY ? "directories" : "nothing", out);
        }
        fputs("' ;;\n", out);
    }
}

static void write_bash_positionals(FILE *out, const struct lum__command *command)
{
    const char *at = command->positional_help, *name;
    size_t length;
    bool is_repeated;
    for (unsigned i = 0; next_positional(&at, &name, &length, &is_repeated); i++) {
        enum value_kind kind = kind_of(name, length);
        fprintf(out, "    %s/", command->name);
        if (is_repeated)
            fputc('*', out);
        else
            fprintf(out, "%u", i);
        fprintf(out, ") echo %s ;;\n",
                kind == VALUE_FILE        ? "files"
                : kind == VALUE_DIRECTORY ? "directories"
                                          : "nothing");
    }
}

static void write_bash_options(FILE *out, const struct lum__command *command)
{
    const struct lum__option *options[LUM__OPTIONS_MAX];
    size_t count = lum__options_visible(command, options);
    fprintf(out, "    %s) echo '", command->name);
    for (size_t i = 0; i < count; i++) fprintf(out, "%s--%s", i ? " " : "", options[i]->name);
    fputs("' ;;\n", out);
}

/* bash breaks words at `=` too: --format=csv arrives as three. */
static const char bash_logic[] =
    "_lum()\n{\n"
    "    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}\n"
    "    local kind= position=0 i\n"
    "    COMPREPLY=()\n"
    "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
    "        COMPREPLY=($(compgen -W \"$_lum_commands --help --version\" -- \"$current\"))\n"
    "        return\n"
    "    fi\n"
    "    if [ \"$command\" = help ]; then\n"
    "        COMPREPLY=($(compgen -W \"$_lum_commands\" -- \"$current\"))\n"
    "        return\n"
    "    fi\n"
    "    if [ \"$current\" = = ]; then\n"
    "        current=\n"
    "        kind=$(_lum_value \"$command/$before\")\n"
    "    elif [ \"$before\" = = ]; then\n"
    "        kind=$(_lum_value \"$command/${COMP_WORDS[COMP_CWORD-2]}\")\n"
    "    else\n"
    "        kind=$(_lum_value \"$command/$before\")\n"
    "    fi\n"
    "    if [ -z \"$kind\" ] && [[ $current == -* ]]; then\n"
    "        COMPREPLY=($(compgen -W \"$(_lum_options \"$command\")\" -- \"$current\"))\n"
    "        return\n"
    "    fi\n"
    "    if [ -z \"$kind\" ]; then\n"
    "        for ((i = 2; i < COMP_CWORD; i++)); do\n"
    "            case ${COMP_WORDS[i]} in\n"
    "            =) ((i++)) ;;\n"
    "            -*) [ -n \"$(_lum_value \"$command/${COMP_WORDS[i]}\")\" ] && [ \"${COMP_WORDS[i+1]}\" != = ] && "
    "((i++)) ;;\n"
    "            *) ((position++)) ;;\n"
    "            esac\n"
    "        done\n"
    "        kind=$(_lum_positional \"$command/$position\")\n"
    "    fi\n"
    "    case $kind in\n"
    "    words*)\n"
    "        COMPREPLY=($(compgen -W \"${kind#words }\" -- \"$current\"))\n"
    "        [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2> /dev/null ;;\n"
    "    files) compopt -o filenames 2> /dev/null; mapfile -t COMPREPLY < <(compgen -f -- \"$current\") ;;\n"
    "    directories) compopt -o filenames 2> /dev/null; mapfile -t COMPREPLY < <(compgen -d -- \"$current\") ;;\n"
    "    esac\n"
    "    return 0\n"
    "}\n"
    "complete -F _lum lum\n";

static void for_each_visible(FILE *out, void (*write)(FILE *out, const struct lum__command *command))
{
    for (const struct lum__command *const *command = lum__commands; *command; command++) {
        if (!(*command)->is_hidden) write(out, *command);
    }
}

static void write_bash_name(FILE *out, const struct lum__command *command) { fprintf(out, "%s ", command->name); }

static void write_bash(FILE *out)
{
    fputs("# bash completion for lum; made by `lum completion bash`\n_lum_commands='", out);
    for_each_visible(out, write_bash_name);
    fputs("help'\n_lum_options()\n{\n    case $1 in\n", out);
    for_each_visible(out, write_bash_options);
    fputs("    esac\n}\n_lum_value()\n{\n    case $1 in\n", out);
    for_each_visible(out, write_bash_option_values);
    fputs("    esac\n}\n_lum_positional()\n{\n    case $1 in\n", out);
    for_each_visible(out, write_bash_positionals);
    fputs("    esac\n}\n", out);
    fputs(bash_logic, out);
}

/* ------------------------------------------------------------------------------------------------------ zsh */

/* Inside of single quotes, in a specification of _arguments. */
static void write_zsh_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else if (strchr("[]:\\", *text))
            fprintf(out, "\\%c", *text);
        else
            fputc(*text, out);
    }
}

static void write_zsh_value(FILE *out, const char *name, size_t length, const struct lum__option *option)
{
    enum value_kind kind = kind_of(name, length);
    fputc(':', out);
    fprintf(out, "%.*s:", (int)strcspn(name, ":["), name);
    if (option && option->choices) {
        fputc('(', out);
        for (const char *const *choice = option->choices; *choice; choice++)
            fprintf(out, "%s%s", choice == option->choices ? "" : " ", *choice);
        fputc(')', out);
    } else if (option && option->kind == LUM__OPTION_SYNC) {
        fputs("(commit interval= none)", out);
    } else if (kind != VALUE_ANY) {
        fputs(kind == VALUE_FILE ? "_files" : "_directories", out);
    }
}

static void write_zsh_command(FILE *out, const struct lum__command *command)
{
    const struct lum__option *options[LUM__OPTIONS_MAX];
    size_t count = lum__options_visible(command, options);
    fprintf(out, "        %s) _arguments -s -S", command->name);
    for (size_t i = 0; i < count; i++) {
        const struct lum__option *option = options[i];
        bool is_flag = option->kind == LUM__OPTION_FLAG;
        const char *repeated = option->kind == LUM__OPTION_LIST ? "*" : "";
        for (int form = option->letter ? 0 : 1; form < 2; form++) {
            if (form == 0)
                fprintf(out, " \\\n            '%s-%c%s[", repeated, option->letter, is_flag ? "" : "+");
            else
                fprintf(out, " \\\n            '%s--%s%s[", repeated, option->name, is_flag ? "" : "=");
            write_zsh_text(out, option->help);
            fputc(']', out);
            if (!is_flag) write_zsh_value(out, option->argument, strlen(option->argument), option);
            fputc('\'', out);
        }
    }
    const char *at = command->positional_help, *name;
    size_t length;
    bool is_repeated;
    for (unsigned i = 1; next_positional(&at, &name, &length, &is_repeated); i++) {
        char word[32];
        snprintf(word, sizeof word, "%.*s", (int)length, name);
        if (is_repeated)
            fputs(" \\\n            '*", out);
        else
            fprintf(out, " \\\n            '%u", i);
        write_zsh_value(out, word, length, NULL);
        fputc('\'', out);
    }
    fputs(" ;;\n", out);
}

static void write_zsh_summary(FILE *out, const struct lum__command *command)
{
    fprintf(out, "    '%s:", command->name);
    write_zsh_text(out, command->summary);
    fputs("'\n", out);
}

static void write_zsh(FILE *out)
{
    fputs("#compdef lum\n# zsh completion for lum; made by `lum completion zsh`\n\n"
          "_lum_commands()\n{\n    local -a commands\n    commands=(\n",
          out);
    for_each_visible(out, write_zsh_summary);
    fputs("    'help:explain a command'\n    )\n    _describe command commands\n}\n\n"
          "_lum()\n{\n    local context state line\n    typeset -A opt_args\n"
          "    _arguments -C '1: :_lum_commands' '*:: :->words'\n"
          "    [[ $state == words ]] || return\n    case $words[1] in\n"
          "        help) _arguments '1: :_lum_commands' ;;\n",
          out);
    for_each_visible(out, write_zsh_command);
    fputs("    esac\n}\n\n[[ $funcstack[1] == _lum ]] && _lum \"$@\" || compdef _lum lum\n", out);
}

/* -------------------------------------------------------------------------------------------------- command */

static int run(const struct lum__arguments *arguments)
{
    static const char *const shells[] = {"bash", "zsh", NULL};
    const char *shell = arguments->positional[0];
    bool is_bash = strcmp(shell, "bash") == 0;
    struct lum__result result;
    if (!lum__result_begin(&result, arguments)) return LUM__EXIT_IO;
    if (!is_bash && strcmp(shell, "zsh") != 0) {
        const char *closest = lum__closest_word(shell, shells);
        int exit_code =
            lum__message_usage(NULL, "there is no completion for the shell \"%s\"%s%s%s (bash, zsh)", shell,
                               closest ? "; did you mean " : "", closest ? closest : "", closest ? "?" : "");
        return lum__result_end(&result, exit_code);
    }
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = arguments->json ? open_memstream(&text, &bytes) : stdout;
    if (!out) return lum__result_end(&result, lum__message_system(0, NULL, "no memory for the script"));
    if (is_bash)
        write_bash(out);
    else
        write_zsh(out);
    if (out != stdout && fclose(out) == 0) lum__json_string(&result.json, "script", text);
    free(text);
    return lum__result_end(&result, 0);
}

const struct lum__command lum__command_completion = {
    .name = "completion",
    .positional_help = "SHELL",
    .positional_min = 1,
    .positional_max = 1,
    .tables = tables,
    .run = run,
    .summary = "print what makes bash or zsh complete lum's commands and options",
    .details = "SHELL is bash or zsh. An installed lum has put the scripts where both shells look for them.\n",
    .examples = "  source <(lum completion bash)\n"
                "  lum completion zsh > ~/.zfunc/_lum\n"};
