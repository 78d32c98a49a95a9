#include "cli/result.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    result->json.out = open_memstream(&result->text, &result->text_bytes);
    if (!result->json.out) {
        lum__message_system(errno, NULL, "no memory for the result");
        return false;
    }
    lum__json_begin_object(&result->json, NULL);
    lum__json_u64(&result->json, "schema_version", 1);
    return true;
}

/* One run, one report. */
static struct {
    const char *path;
    int fd;
} report = {.fd = -1};

int lum__result_open_report(const char *path)
{
    report.path = path;
    report.fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    return report.fd >= 0 ? 0 : lum__message_system(errno, path, "cannot write the report %s", path);
}

void lum__result_drop_report(void)
{
    if (report.fd >= 0) close(report.fd);
    report.fd = -1;
}

static int save_report(const char *text)
{
    if (ftruncate(report.fd, 0) != 0 && errno != EINVAL) /* a pipe or a device has no length */
        return lum__message_system(errno, report.path, "cannot write the report %s", report.path);
    FILE *file = fdopen(report.fd, "w");
    if (!file) return lum__message_system(errno, report.path, "cannot write the report %s", report.path);
    bool is_good = fprintf(file, "%s\n", text) >= 0;
    is_good &= fclose(file) == 0;
    report.fd = -1;
    return is_good ? 0 : lum__message_system(errno, report.path, "cannot write the report %s", report.path);
}

int lum__result_flush_stdout(void)
{
    errno = 0;
    bool is_good = fflush(stdout) == 0 && !ferror(stdout);
    if (is_good) return 0;
    /* A long output failed when its first part was written, and that cause is gone: a byte behind output that is broken anyway asks for it once more. */
    if (errno == 0 && write(STDOUT_FILENO, "\n", 1) == 1) errno = 0;
    int earlier_code = lum__message_first_failure()->exit_code; /* which may be this one, told where it was met */
    return earlier_code ? earlier_code : lum__message_system(errno, NULL, "cannot write to standard output");
}

int lum__result_end(struct lum__result *result, int exit_code)
{
    int failure = lum__message_first_failure()->exit_code;
    if (exit_code == 0) exit_code = failure;
    if (exit_code == 0) exit_code = lum__result_flush_stdout(); /* the object must know it */
    lum__result_write_ending(&result->json, exit_code);
    lum__json_end_object(&result->json);
    if (fclose(result->json.out) != 0) return lum__message_system(errno, NULL, "no memory for the result");
    if (report.fd >= 0) {
        int report_code = save_report(result->text);
        if (exit_code == 0) exit_code = report_code;
    }
    if (result->is_printed) {
        FILE *out = result->data_has_stdout ? stderr : stdout;
        fprintf(out, "%s\n", result->text);
        int print_code = out == stdout ? lum__result_flush_stdout() : 0;
        if (exit_code == 0) exit_code = print_code;
    }
    free(result->text);
    return exit_code;
}

int lum__result_only_failure(bool json, bool data_has_stdout, int exit_code)
{
    if (!json) return exit_code;
    struct lum__json out = {.out = data_has_stdout ? stderr : stdout};
    lum__json_begin_object(&out, NULL);
    lum__json_u64(&out, "schema_version", 1);
    lum__result_write_ending(&out, exit_code);
    lum__json_end_object(&out);
    fputc('\n', out.out);
    return exit_code;
}
