/* lum checkpoint - an atomic snapshot of the catalogue, now. */
#include "cli/commands.h"
#include "cli/message.h"
#include "cli/open_store.h"
#include "cli/result.h"
#include "cli/signals.h"

static const struct lum__option *const tables[] = {lum__options_writer, lum__options_common, NULL};

static int run(const struct lum__arguments *arguments)
{
    struct lum__result result;
    if (!lum__result_begin(&result, arguments)) return LUM__EXIT_IO;
    lum__signals_catch_interrupts(); /* what is begun is finished: it is short, and a kill would cost a recovery */
    uint64_t start_ns = lum__monotonic_ns();
    lum_options options = lum__open_options(arguments, LUM__OPEN_WRITE);
    lum_store *store = NULL;
    lum_info_data info = LUM_INFO_INIT;
    int exit_code = lum__open_store(arguments->positional[0], &options, &store);
    if (exit_code == 0) {
        lum_status status = lum_checkpoint(store);
        if (status == LUM_OK) status = lum_info(store, &info);
        if (status != LUM_OK) exit_code = lum__message_store(status, arguments->positional[0]);
        exit_code = lum__close_store(store, arguments->positional[0], exit_code);
    }
    uint64_t elapsed_ns = lum__monotonic_ns() - start_ns;
    lum__json_u64(&result.json, "checkpoint_number", info.checkpoint_number);
    lum__json_u64(&result.json, "checkpoint_sequence", info.checkpoint_sequence);
    lum__json_u64(&result.json, "lums", info.lum_count);
    lum__json_u64(&result.json, "elapsed_nanoseconds", elapsed_ns);
    if (exit_code == 0) {
        lum__message_note("%s: checkpoint %s covers sequence %s (%s) in %s", arguments->positional[0],
                          lum__human_count(info.checkpoint_number), lum__human_count(info.checkpoint_sequence),
                          lum__human_number_of(info.lum_count, "row"), lum__human_seconds(elapsed_ns));
    }
    return lum__result_end(&result, exit_code);
}

const struct lum__command lum__command_checkpoint = {.name = "checkpoint",
                                                     .positional_help = "STORE",
                                                     .positional_min = 1,
                                                     .positional_max = 1,
                                                     .tables = tables,
                                                     .run = run,
                                                     .summary =
                                                         "snapshot the catalogue now, so that restarting is fast",
                                                     .examples = "  lum checkpoint cities.lum\n"};
