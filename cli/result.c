#include "cli/result.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/message.h"

void lum__result_write_ending(struct lum__json *json, int exit_code)
{
    lum__json_i64(json, "exit_code", exit_code);
    const struct lum__failure *failure = lum__message_first_failure();
    if (exit_code == 0 || failure->exit_code == 0) return;
    lum__json_begin_object(json, "error");
    lum__json_string(json, "name", failure->name);
    lum__json_string(json, "message", failure->message);
    lum__json_string(json, "file", failure->file[0] ? failure->file : NULL);
    if (failure->line)
        lum__json_u64(json, "line", failure->line);
    else
        lum__json_null(json, "line");
    if (failure->offset != UINT64_MAX)
        lum__json_u64(json, "offset", failure->offset);
    else
        lum__json_null(json, "offset");
    lum__json_i64(json, "errno", failure->os_errno);
    lum__json_string(json, "remedy", failure->remedy);
    lum__json_end_object(json);
}

bool lum__result_begin(struct lum__result *result, const struct lum__arguments *arguments)
{
    memset(result, 0, sizeof *result);
    result->is_printed = arguments->json;
    result->report_path = arguments->report_path;
    result->json.out = open_memstream(&result->text, &result->text_bytes);
    if (!result->json.out) {
        lum__message_system(errno, NULL, "no memory for the result");
        return false;
    }
    lum__json_begin_object(&result->json, NULL);
    lum__json_u64(&result->json, "schema_version", 1);
    return true;
}

static int save_report(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    if (!file) return lum__message_system(errno, path, "cannot write the report %s", path);
    bool is_good = fprintf(file, "%s\n", text) >= 0;
    is_good &= fclose(file) == 0;
    return is_good ? 0 : lum__message_system(errno, path, "cannot write the report %s", path);
}

int lum__result_end(struct lum__result *result, int exit_code)
{
    int failure = lum__message_first_failure()->exit_code;
    if (exit_code == 0) exit_code = failure;
    lum__result_write_ending(&result->json, exit_code);
    lum__json_end_object(&result->json);
    if (fclose(result->json.out) != 0) return lum__message_system(errno, NULL, "no memory for the result");
    if (result->report_path) {
        int report_code = save_report(result->report_path, result->text);
        if (exit_code == 0) exit_code = report_code;
    }
    if (result->is_printed) {
        FILE *out = result->data_has_stdout ? stderr : stdout;
        if (fprintf(out, "%s\n", result->text) < 0 || fflush(out) != 0) {
            int print_code = lum__message_system(errno, NULL, "cannot print the result");
            if (exit_code == 0) exit_code = print_code;
        }
    }
    free(result->text);
    return exit_code;
}

int lum__result_only_failure(bool json, int exit_code)
{
    if (!json) return exit_code;
    struct lum__json out = {.out = stdout};
    lum__json_begin_object(&out, NULL);
    lum__json_u64(&out, "schema_version", 1);
    lum__result_write_ending(&out, exit_code);
    lum__json_end_object(&out);
    fputc('\n', stdout);
    return exit_code;
}
