#include "cli/guide.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/message.h"

enum { ANSWER_BYTES_MAX = 64 };

static void findings_to_json(struct lum__json *json, const lum_recovery_view *view)
{
    lum__json_begin_array(json, "findings");
    for (size_t i = 0; i < view->finding_count; i++) {
        const lum_recovery_finding *finding = &view->findings[i];
        char row[2] = {finding->row, 0};
        lum__json_begin_object(json, NULL);
        lum__json_string(json, "row", row);
        lum__json_string(json, "file", finding->file);
        if (finding->offset == UINT64_MAX)
            lum__json_null(json, "offset");
        else
            lum__json_u64(json, "offset", finding->offset);
        lum__json_u64(json, "condition", finding->condition);
        lum__json_string(json, "what", finding->what);
        lum__json_string(json, "verdict", finding->verdict);
        lum__json_end_object(json);
    }
    lum__json_end_array(json);
}

static void choices_to_json(struct lum__json *json, const lum_recovery_view *view)
{
    lum__json_begin_array(json, "choices");
    for (size_t i = 0; i < view->choice_count; i++) {
        const lum_recovery_choice *choice = &view->choices[i];
        lum__json_begin_object(json, NULL);
        lum__json_string(json, "name", choice->name);
        lum__json_string(json, "action", choice->action);
        lum__json_u64(json, "transactions_kept", choice->transactions_kept);
        lum__json_u64(json, "lums_kept", choice->lums_kept);
        lum__json_u64(json, "transactions_lost", choice->transactions_lost);
        lum__json_u64(json, "lums_lost", choice->lums_lost);
        lum__json_bool(json, "loss_is_exact", choice->is_loss_exact);
        lum__json_u64(json, "last_sequence", choice->last_sequence);
        static const char *const names[] = {"id_min", "id_max", "timestamp_min", "timestamp_max"};
        const uint64_t values[] = {choice->id_min, choice->id_max, choice->timestamp_min, choice->timestamp_max};
        for (int j = 0; j < 4; j++) {
            if (choice->are_ranges_known)
                lum__json_u64(json, names[j], values[j]);
            else
                lum__json_null(json, names[j]);
        }
        lum__json_end_object(json);
    }
    lum__json_end_array(json);
}

static void show_findings(FILE *out, const char *store, const lum_recovery_view *view)
{
    fprintf(out, "What was found:\n");
    for (size_t i = 0; i < view->finding_count; i++) {
        const lum_recovery_finding *finding = &view->findings[i];
        fprintf(out, "  [%c] %s/%s", finding->row, store, finding->file);
        if (finding->offset != UINT64_MAX) fprintf(out, " at byte %" PRIu64, finding->offset);
        fprintf(out, ": %s\n      %s\n", finding->what, finding->verdict);
    }
}

static void show_choice(FILE *out, const lum_recovery_choice *choice, char letter)
{
    fprintf(out, "  %c  %-6s %s\n", letter, choice->name, choice->action);
    fprintf(out, "            keeps %s transactions, %s rows; the store ends at sequence %s\n",
            lum__human_count(choice->transactions_kept), lum__human_count(choice->lums_kept),
            lum__human_count(choice->last_sequence));
    bool loses = choice->transactions_lost > 0 || choice->lums_lost > 0 || !choice->is_loss_exact;
    if (!loses) {
        fprintf(out, "            loses nothing\n");
        return;
    }
    fprintf(out, "            loses %s%s transactions, %s rows", choice->is_loss_exact ? "" : "at least ",
            lum__human_count(choice->transactions_lost), lum__human_count(choice->lums_lost));
    if (choice->are_ranges_known)
        fprintf(out, ", ids %" PRIu64 "..%" PRIu64 ", timestamps %" PRIu64 "..%" PRIu64, choice->id_min, choice->id_max,
                choice->timestamp_min, choice->timestamp_max);
    fputc('\n', out);
}

static void show(FILE *out, const struct lum__arguments *arguments, const lum_recovery_view *view)
{
    const char *store = arguments->positional[0];
    show_findings(out, store, view);
    if (view->choice_count == 0) {
        fprintf(out, "No choice would make the store usable again. `lum salvage %s NEW` saves what is intact.\n",
                store);
        return;
    }
    fprintf(out, "What can be done:\n");
    for (size_t i = 0; i < view->choice_count; i++) show_choice(out, &view->choices[i], (char)('a' + i));
    fprintf(out, "Before it is done, all original bytes (%s at most) are copied to %s.\n",
            lum__human_bytes(view->backup_bytes),
            arguments->backup_dir ? arguments->backup_dir : "emergency/ in the store");
    fprintf(out, "`lum salvage %s NEW` leaves the store as it is and saves what is intact into a new one.\n", store);
}

/* A name, a letter or a number from 1; -1: none of them. */
static int find_choice(const lum_recovery_view *view, const char *answer)
{
    for (size_t i = 0; i < view->choice_count; i++) {
        char letter[2] = {(char)('a' + i), 0}, number[2] = {(char)('1' + i), 0};
        if (strcmp(answer, view->choices[i].name) == 0 || strcmp(answer, letter) == 0 || strcmp(answer, number) == 0)
            return (int)i;
    }
    return -1;
}

static int refuse_unknown(struct lum__guide_talk *talk, const lum_recovery_view *view)
{
    char names[80] = "";
    for (size_t i = 0; i < view->choice_count; i++) {
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", view->choices[i].name);
    }
    talk->is_unknown = true;
    lum__message_usage("run it without --choose to see what each choice keeps and loses",
                       "--choose: there is no \"%s\" here; there is %s", talk->arguments->choose, names);
    return -1;
}

/* An empty answer, the end of the input and anything unknown leave the store as it is. */
static int ask(const lum_recovery_view *view)
{
    char answer[ANSWER_BYTES_MAX] = "";
    fprintf(stderr, "Which? (a letter or a name; nothing: leave the store as it is) ");
    fflush(stderr);
    if (!fgets(answer, sizeof answer, stdin)) return -1;
    answer[strcspn(answer, "\r\n")] = 0;
    return find_choice(view, answer);
}

int lum__guide_choose(void *context, const lum_recovery_view *view)
{
    struct lum__guide_talk *talk = context;
    const struct lum__arguments *arguments = talk->arguments;
    bool is_terminal = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
    talk->is_asked = true;
    findings_to_json(talk->json, view);
    choices_to_json(talk->json, view);
    if (!arguments->quiet && !arguments->json) show(is_terminal ? stderr : stdout, arguments, view);
    if (view->choice_count == 0) return -1;
    if (arguments->choose) {
        int index = find_choice(view, arguments->choose);
        return index >= 0 ? index : refuse_unknown(talk, view);
    }
    return is_terminal && !arguments->dry_run ? ask(view) : -1;
}
