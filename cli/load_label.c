#include "cli/load_label.h"

#include <errno.h>
#include <string.h>

#include "cli/message.h"

static const char another_label[] = "load it under another label, or without one";

static int refuse_resume(const char *name, enum lum__resume_fault fault, uint64_t transaction_id)
{
    switch (fault) {
    case LUM__RESUME_NONE:
        return lum__message_refuse(LUM__EXIT_INPUT, "ERR_LABEL", NULL, another_label,
                                   "the label %s is taken by transaction %llu, which says nothing of its input (a program or a salvage committed it): whether this "
                                   "input is the same cannot be told",
                                   name, (unsigned long long)transaction_id);
    case LUM__RESUME_NEWER:
        return lum__message_refuse(LUM__EXIT_INPUT, "ERR_UNSUPPORTED", NULL, "use the lum that began the load, or a newer one; nothing was changed",
                                   "the resume point of the label %s is of a version that this lum does not know", name);
    default:
        return lum__message_refuse(LUM__EXIT_DAMAGE, "ERR_CORRUPT", NULL, "lum verify tells whether the store is damaged; load the input under another label, into a new store",
                                   "the resume point of the label %s makes no sense", name);
    }
}

/* Rows that were refused so far must be where the rest will be. */
static int check_rejects(const struct lum__resume *before, const struct lum__arguments *arguments, const char *reject_path)
{
    bool is_skip = strcmp(arguments->on_error, "skip") == 0;
    if (before->point.rows_refused == 0) return 0; /* nothing was decided by it yet */
    if (before->rejects.rows > 0 ? reject_path != NULL : is_skip) return 0;
    return lum__message_refuse(LUM__EXIT_INPUT, "ERR_LABEL", NULL, "give the --on-error that the load was begun with",
                               "the load was begun with --on-error %s%s, and %s were refused so far", before->rejects.rows > 0 ? "reject=" : "skip",
                               before->rejects.rows > 0 ? before->reject_path : "", lum__human_number_of(before->point.rows_refused, "row"));
}

static int plan(struct lum__load_label *label, const struct lum__arguments *arguments, size_t file_count, const char *reject_path)
{
    const struct lum__resume *before = &label->before;
    label->is_unfinished = !before->is_complete;
    if (!before->is_complete && !arguments->resume)
        return lum__message_refuse(LUM__EXIT_INPUT, "ERR_LABEL", NULL, "--resume goes on behind them, with the same input and options",
                                   "a load with the label %s was not finished: %s of its input are committed", arguments->label,
                                   lum__human_number_of(before->point.rows, "row"));
    if (before->file_count != file_count)
        return lum__message_refuse(LUM__EXIT_INPUT, "ERR_LABEL", NULL, "give the same files in the same order, or another label",
                                   "the load with the label %s has %llu input files, not %zu", arguments->label, (unsigned long long)before->file_count,
                                   file_count);
    label->plan = before->is_complete ? LUM__LABEL_LOADED : LUM__LABEL_GO_ON;
    return before->is_complete ? 0 : check_rejects(before, arguments, reject_path);
}

int lum__load_label_look(struct lum__load_label *label, lum_store *store, const struct lum__arguments *arguments, size_t file_count,
                         const char *reject_path)
{
    const void *resume;
    size_t resume_bytes;
    *label = (struct lum__load_label){.newest = LUM_RECEIPT_INIT};
    label->now.file_count = file_count;
    if (reject_path) lum__resume_set_text(label->now.reject_path, reject_path);
    if (!store) return 0;
    lum_status status = lum_label_outcome(store, arguments->label, &label->newest);
    if (status == LUM_OK) status = lum_label_resume(store, arguments->label, &resume, &resume_bytes);
    if (status == LUM_ERR_NOT_FOUND) return 0;
    if (status != LUM_OK) return lum__message_store(status, arguments->positional[0]);
    enum lum__resume_fault fault = lum__resume_decode(resume, resume_bytes, &label->before);
    if (fault != LUM__RESUME_GOOD) return refuse_resume(arguments->label, fault, label->newest.transaction_id);
    return plan(label, arguments, file_count, reject_path);
}

int lum__load_label_check_meaning(struct lum__load_label *label, const struct lum__arguments *arguments, const char *mapping)
{
    if (!lum__resume_set_meaning(&label->now, arguments, mapping)) return lum__message_system(ENOMEM, NULL, "no memory for the options");
    if (label->plan == LUM__LABEL_NEW) return 0;
    if (label->now.meaning_sum == label->before.meaning_sum && strcmp(label->now.meaning, label->before.meaning) == 0) return 0;
    return lum__message_refuse(LUM__EXIT_INPUT, "ERR_LABEL", NULL, "give the same options, or another label",
                               "the load with the label %s was made with %.800s, this one has %.800s", arguments->label, label->before.meaning,
                               label->now.meaning);
}

const struct lum__chain_point *lum__load_label_from(const struct lum__load_label *label)
{
    return label->plan == LUM__LABEL_NEW ? NULL : &label->before.point;
}
