/* Why a row is refused: the column, what stands there, what is wrong with it, what to do. */
#include "formats/csv_source_private.h"

static const char *column_name(const struct lum__csv_source *source, uint32_t column)
{
    return source->columns.has_names && column < source->columns.count ? source->names[column] : "";
}

/* `column 4 "longitude"`, or `column 4` without a header. */
static void begin_column(const struct lum__csv_source *source, const char *code, const uint8_t *at, uint32_t column,
                         struct lum__row_fault *out)
{
    lum__fault_begin(out, code, at, column + 1, column_name(source, column));
    lum__fault_add(out, "column ");
    lum__fault_add_number(out, column + 1);
    if (!source->columns.has_names || column >= source->columns.count) return;
    lum__fault_add(out, " \"\"");
    lum__fault_add_text(out, source->names[column], source->lengths[column] < 80 ? source->lengths[column] : 80);
    lum__fault_add(out, "\"\"");
}

void lum__csv_fault_field(const struct lum__csv_source *source, const struct lum__mapping_rule *rule,
                          const struct lum__csv_field *field, enum lum__number_error error, size_t offence,
                          struct lum__row_fault *out)
{
    const struct lum__csv_rule_text *text = &source->rule_texts[rule - source->plan.rules];

    lum__fault_begin(out, "", field->text, rule->column + 1, column_name(source, rule->column));
    lum__fault_add_bytes(out, text->bytes, text->length);
    lum__fault_add_field(out, rule, field->text, field->length, error, offence);
    /* a refused row is told without */
    if (source->rejects == NULL) out->remedy = lum__fault_field_remedy(rule, field->text, field->length, error);
}

void lum__csv_name_rules(struct lum__csv_source *source)
{
    struct lum__row_fault fault;

    for (uint32_t i = 0; i < source->plan.rule_count; ++i) {
        struct lum__csv_rule_text *text = &source->rule_texts[i];
        begin_column(source, "", NULL, source->plan.rules[i].column, &fault);
        lum__fault_add(&fault, ", ");
        lum__fault_add_field_name(&fault, source->plan.rules[i].field);
        LUM_ASSERT(fault.quoted_length <= sizeof text->bytes);
        text->length = fault.quoted_length;
        memcpy(text->bytes, fault.quoted, text->length);
    }
}

void lum__csv_fault_quotes(const struct lum__csv_source *source, const struct lum__csv_field *field, uint32_t column,
                           struct lum__row_fault *out)
{
    begin_column(source, "quote", field->text, column, out);
    lum__fault_add(out, " ");
    lum__fault_add(out, lum__csv_error_text(field->error));
    out->remedy = "inside of a quoted field a quote is written twice: \"say \"\"so\"\"\"";
}

void lum__csv_fault_count(const struct lum__csv_source *source, const uint8_t *row_begin, uint32_t field_count,
                          struct lum__row_fault *out)
{
    lum__fault_begin(out, "fields", row_begin, 0, "");
    lum__fault_add(out, "the row has ");
    lum__fault_add_number(out, field_count);
    lum__fault_add(out, field_count == 1 ? " field, the " : " fields, the ");
    lum__fault_add(out, source->columns.has_names ? "header has " : "first row has ");
    lum__fault_add_number(out, source->columns.count);
    out->remedy = "check the delimiter and the quotes of this row and the one before it";
}

void lum__csv_fault_checksum(const uint8_t *row_begin, uint32_t given, uint32_t computed, struct lum__row_fault *out)
{
    lum__fault_begin(out, "checksum", row_begin, 0, "");
    lum__fault_add(out, "the row's checksum is given as ");
    lum__fault_add_number(out, given);
    lum__fault_add(out, ", but its fields make ");
    lum__fault_add_number(out, computed);
    out->remedy = "the row is damaged, or some of its fields are not mapped; without the checksum column it would load "
                  "unchecked";
}
