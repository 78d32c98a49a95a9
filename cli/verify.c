/* lum verify - checks every byte of a store, changes none. */
#include <stdint.h>

#include "cli/commands.h"
#include "cli/message.h"
#include "cli/open_store.h"
#include "cli/result.h"

static const struct lum__option own_options[] = {{.name = "threads",
                                                  .kind = LUM__OPTION_NUMBER,
                                                  .offset = offsetof(struct lum__arguments, threads),
                                                  .argument = "N",
                                                  .min = 1,
                                                  .max = 1024,
                                                  .help = "workers; default: the CPUs this process may use"},
                                                 {0}};
static const struct lum__option *const tables[] = {own_options, lum__options_common, NULL};

struct findings {
    struct lum__json *json;
    const char *store;
    bool is_json;
};

static void tell_finding(void *context, const lum_finding *finding)
{
    struct findings *findings = context;
    lum__json_begin_object(findings->json, NULL);
    lum__json_string(findings->json, "file", finding->file);
    if (finding->offset == UINT64_MAX)
        lum__json_null(findings->json, "offset");
    else
        lum__json_u64(findings->json, "offset", finding->offset);
    lum__json_string(findings->json, "what", finding->what);
    lum__json_u64(findings->json, "condition", finding->condition);
    lum__json_end_object(findings->json);
    FILE *out = findings->is_json ? stderr : stdout;
    fprintf(out, "%s/%s", findings->store, finding->file);
    if (finding->offset != UINT64_MAX) fprintf(out, " at byte %llu", (unsigned long long)finding->offset);
    fprintf(out, ": %s", finding->what);
    if (finding->condition) fprintf(out, " (condition %u)", finding->condition);
    fputc('\n', out);
}

static int run(const struct lum__arguments *arguments)
{
    const char *path = arguments->positional[0];
    struct lum__result result;
    if (!lum__result_begin(&result, arguments)) return LUM__EXIT_IO;
    struct findings findings = {&result.json, path, arguments->json};
    lum_verify_report report = LUM_VERIFY_REPORT_INIT;
    uint64_t start_ns = lum__monotonic_ns();
    lum__json_begin_array(&result.json, "errors");
    lum_status status = lum_verify(path, (uint32_t)arguments->threads, tell_finding, &findings, &report);
    lum__json_end_array(&result.json);
    uint64_t elapsed_ns = lum__monotonic_ns() - start_ns;
    int exit_code = status == LUM_OK ? 0 : lum__message_store(status, path);
    lum__json_bool(&result.json, "ok", status == LUM_OK);
    lum__json_u64(&result.json, "chunks_checked", report.chunks_checked);
    lum__json_u64(&result.json, "lums_checked", report.lums_checked);
    lum__json_u64(&result.json, "wal_records_checked", report.wal_records_checked);
    lum__json_u64(&result.json, "files_checked", report.files_checked);
    lum__json_u64(&result.json, "bytes_checked", report.bytes_checked);
    lum__json_u64(&result.json, "error_count", report.error_count);
    lum__json_u64(&result.json, "elapsed_nanoseconds", elapsed_ns);
    if (!arguments->json && !arguments->quiet && (status == LUM_OK || (report.error_count && status == LUM_ERR_CORRUPT))) {
        printf("%s: %s, %s in %s, %s, %s in %s\n", path,
               report.error_count ? lum__human_number_of(report.error_count, "error") : "intact",
               lum__human_number_of(report.lums_checked, "row"), lum__human_number_of(report.chunks_checked, "chunk"),
               lum__human_number_of(report.wal_records_checked, "log record"), lum__human_bytes(report.bytes_checked),
               lum__human_seconds(elapsed_ns));
    }
    return lum__result_end(&result, exit_code);
}

const struct lum__command lum__command_verify = {
    .name = "verify",
    .positional_help = "STORE",
    .positional_min = 1,
    .positional_max = 1,
    .tables = tables,
    .run = run,
    .summary = "check every byte of a store without changing any",
    .details = "Exit code 3 and a line with file and byte for each problem, if there is any.\n",
    .examples = "  lum verify cities.lum\n  lum verify cities.lum --json\n"};
