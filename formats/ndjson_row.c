/* One line of NDJSON: the fast way for a row of the same form as the one before it, and the way for all others. */
#include <string.h>

#include "formats/field_parse.h"
#include "formats/ndjson_private.h"
#include "formats/row_check.h"

/* --------------------------------------------------------------------------------------------------------- structure
 */

static inline uint64_t bits_below(size_t count) { return count >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << count) - 1; }

const uint8_t *lum__ndjson_row_end(const uint8_t *at, const uint8_t *end, bool *is_odd)
{
    uint64_t odd = 0;

    for (; at < end; at += 64) {
        struct lum__block64 block = lum__block64_load(at);
        uint64_t valid = bits_below((size_t)(end - at));
        uint64_t ends = (lum__block64_equal(&block, '\n') | lum__block64_equal(&block, '\r')) & valid;
        uint64_t before = ends == 0 ? valid : (ends & -ends) - 1;
        odd |= (lum__block64_equal(&block, '\\') | lum__block64_odd(&block)) & before;
        if (ends == 0) continue;
        *is_odd = odd != 0;
        return at + __builtin_ctzll(ends);
    }
    *is_odd = odd != 0;
    return end;
}

/* The first byte that is not UTF-8; end if all is. */
static const uint8_t *find_bad_utf8(const uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        size_t more = *at < 0x80                  ? 0
                      : *at >= 0xc2 && *at < 0xe0 ? 1
                      : *at >= 0xe0 && *at < 0xf0 ? 2
                      : *at >= 0xf0 && *at < 0xf5 ? 3
                                                  : 9;
        if (more == 9 || (size_t)(end - at) <= more) return at;
        for (size_t i = 1; i <= more; ++i)
            if ((at[i] & 0xc0) != 0x80) return at;
        if ((*at == 0xe0 && at[1] < 0xa0) || (*at == 0xed && at[1] >= 0xa0) || (*at == 0xf0 && at[1] < 0x90) ||
            (*at == 0xf4 && at[1] >= 0x90))
            return at; /* overlong, a surrogate, beyond U+10FFFF */
        at += more + 1;
    }
    return end;
}

static bool refuse(struct lum__row_fault *fault, const uint8_t *begin, const uint8_t *at, const char *reason)
{
    lum__fault_begin(fault, "syntax", at, 0, "");
    lum__fault_add(fault, "the line is no flat JSON object: ");
    lum__fault_add(fault, reason);
    lum__fault_add(fault, " (see its byte ");
    lum__fault_add_number(fault, (uint64_t)(at - begin) + 1);
    lum__fault_add(fault, ")");
    fault->remedy = "NDJSON is one object a line: {\"id\":1,\"timestamp\":\"2026-01-31\"}; jq -c . makes such lines of other JSON";
    return false;
}

static bool take_pair(struct lum__json_reader *reader, const uint8_t *begin, const uint8_t *at, const uint8_t *end,
                      char key_copy[1024], struct lum__ndjson_pair *pair, struct lum__row_fault *fault)
{
    const char *reason;
    const uint8_t *offence;

    pair->key_at = at;
    if (at == end || *at != '"') return refuse(fault, begin, at, "a key in quotes is missing");
    at = lum__json_take_value(reader, at, end, &pair->value, &reason, &offence);
    if (at == NULL) return refuse(fault, begin, offence, reason);
    pair->key = pair->value.text;
    pair->key_length = pair->value.length;
    if (reader->held != NULL) { /* decoded: it lives until the next value only */
        if (pair->key_length > 1024) return refuse(fault, begin, pair->key_at, "a key is longer than 1,024 bytes");
        pair->key = memcpy(key_copy, pair->key, pair->key_length);
    }
    at = lum__json_skip_blanks(at, end);
    if (at == end || *at != ':') return refuse(fault, begin, at, "a colon is missing");
    at = lum__json_skip_blanks(at + 1, end);
    pair->value_begin = at;
    pair->value_end = lum__json_take_value(reader, at, end, &pair->value, &reason, &offence);
    return pair->value_end != NULL || refuse(fault, begin, offence, reason);
}

bool lum__ndjson_walk(struct lum__json_reader *reader, const uint8_t *begin, const uint8_t *end, bool is_odd,
                      lum__ndjson_each each, void *context, struct lum__row_fault *fault)
{
    char key_copy[1024];
    struct lum__ndjson_pair pair;
    const uint8_t *at = is_odd ? find_bad_utf8(begin, end) : end;

    if (at < end) return refuse(fault, begin, at, "a byte is not UTF-8");
    at = lum__json_skip_blanks(begin, end);
    if (at < end && *at == '[') return refuse(fault, begin, at, "it is an array (jq -c '.[]' makes lines of one)");
    if (at == end || *at != '{') return refuse(fault, begin, at, "it does not begin with {");
    at = lum__json_skip_blanks(at + 1, end);
    if (at < end && *at == '}') {
        at++;
    } else {
        for (;;) {
            if (!take_pair(reader, begin, at, end, key_copy, &pair, fault)) return false;
            if (!each(context, &pair, fault)) return false;
            at = lum__json_skip_blanks(pair.value_end, end);
            if (at == end || (*at != ',' && *at != '}')) return refuse(fault, begin, at, "a comma or } is missing");
            if (*at++ == '}') break;
            at = lum__json_skip_blanks(at, end);
        }
    }
    at = lum__json_skip_blanks(at, end);
    return at == end || refuse(fault, begin, at, "there is something behind the object");
}

/* -------------------------------------------------------------------------------------------------------------- values
 */

static bool is_null(const struct lum__ndjson_source *source, const struct lum__json_value *value)
{
    if (value->kind == LUM__JSON_NULL) return true;
    return source->null_text != NULL && value->length == source->null_text_length && value->kind != LUM__JSON_NESTED &&
           memcmp(value->text, source->null_text, value->length) == 0;
}

/* `key "lon", ` */
static void begin_key(const struct lum__ndjson_source *source, uint32_t column, const uint8_t *at,
                      struct lum__row_fault *fault)
{
    lum__fault_begin(fault, "", at, 0, source->names[column]);
    lum__fault_add(fault, "key \"\"");
    lum__fault_add_text(fault, source->names[column], source->lengths[column] < 80 ? source->lengths[column] : 80);
    lum__fault_add(fault, "\"\"");
}

static bool take_value(const struct lum__ndjson_source *source, uint32_t column, const struct lum__json_value *value,
                       const uint8_t *at, lum_t *row, bool *gives_checksum, struct lum__row_fault *fault)
{
    const struct lum__ndjson_column *meaning = &source->columns[column];

    for (uint32_t i = 0; i < meaning->rule_count; ++i) {
        const struct lum__mapping_rule *rule = &source->plan.rules[meaning->rule_first + i];
        enum lum__number_error error = LUM__NUMBER_EMPTY;
        const char *text = (const char *)value->text;
        size_t length = value->length, offence = 0;
        if (is_null(source, value) && rule->field != LUM__FIELD_ID) continue;
        if (value->kind == LUM__JSON_NESTED) {
            begin_key(source, column, at, fault);
            fault->code = "syntax";
            lum__fault_add(fault, ", for ");
            lum__fault_add(fault, lum__field_name(rule->field));
            lum__fault_add(fault, ": an object or an array is no value");
            fault->remedy = "map a key with a plain value, or flatten the objects: jq -c '{id, x: .position.x}'";
            return false;
        }
        if (value->kind != LUM__JSON_NULL) error = lum__field_parse(rule, text, length, source->round, row, &offence);
        *gives_checksum |= rule->field == LUM__FIELD_CHECKSUM;
        if (error == LUM__NUMBER_OK) continue;
        begin_key(source, column, at, fault);
        lum__fault_add(fault, ", ");
        lum__fault_add_field_name(fault, rule->field);
        lum__fault_add_field(fault, rule, value->text, length, error, offence);
        fault->remedy = lum__fault_field_remedy(rule, value->text, length, error);
        return false;
    }
    return true;
}

/* ------------------------------------------------------------------------------------------------------- any object */

struct row_work {
    const struct lum__ndjson_source *source;
    struct lum__ndjson_worker *worker;
    lum_t *row;
    const uint8_t *glue_begin; /* behind the value before; NULL: the row's form is not to be kept */
    uint32_t value_count, hint;
    bool gives_checksum; /* null is none */
};

/* The column of that name; most likely the one behind the last. */
static uint32_t find_column(const struct lum__ndjson_source *source, const uint8_t *key, size_t length, uint32_t hint)
{
    for (uint32_t i = 0; i < source->column_count; ++i) {
        uint32_t column = hint + i < source->column_count ? hint + i : hint + i - source->column_count;
        if (source->lengths[column] == length && memcmp(source->names[column], key, length) == 0) return column;
    }
    return LUM__NDJSON_NO_COLUMN;
}

static void keep_glue(struct row_work *work, struct lum__ndjson_glue *glue, const uint8_t *end, uint32_t column)
{
    size_t length = work->glue_begin != NULL ? (size_t)(end - work->glue_begin) : SIZE_MAX;

    if (length > LUM__NDJSON_GLUE_MAX) {
        work->glue_begin = NULL;
        return;
    }
    memset(glue->text, 0, sizeof glue->text);
    memcpy(glue->text, work->glue_begin, length);
    glue->length = (uint8_t)length;
    glue->column = (uint16_t)column;
}

static bool take_any_pair(void *context, const struct lum__ndjson_pair *pair, struct lum__row_fault *fault)
{
    struct row_work *work = context;
    const struct lum__ndjson_source *source = work->source;
    struct lum__ndjson_worker *worker = work->worker;
    uint32_t column = find_column(source, pair->key, pair->key_length, work->hint);

    if (work->value_count == LUM__NDJSON_GLUE_MAX || pair->value.kind == LUM__JSON_NESTED) work->glue_begin = NULL;
    if (work->glue_begin != NULL) keep_glue(work, &worker->form.glue[work->value_count++], pair->value_begin, column);
    if (work->glue_begin != NULL) work->glue_begin = pair->value_end;
    if (column == LUM__NDJSON_NO_COLUMN) return true;
    if (worker->seen[column / 64] >> column % 64 & 1) {
        begin_key(source, column, pair->key_at, fault);
        fault->code = "fields";
        lum__fault_add(fault, " stands in the row twice");
        fault->remedy = "correct the row: which of the two values is meant cannot be told";
        return false;
    }
    worker->seen[column / 64] |= (uint64_t)1 << column % 64;
    work->hint = column + 1 < source->column_count ? column + 1 : 0;
    return take_value(source, column, &pair->value, pair->value_begin, work->row, &work->gives_checksum, fault);
}

static bool has_column(const struct lum__ndjson_worker *worker, uint32_t column)
{
    return worker->seen[column / 64] >> column % 64 & 1;
}

static void fault_checksum(const lum_t *row, const uint8_t *at, struct lum__row_fault *fault)
{
    lum__row_fault_checksum(row, at, fault);
    fault->remedy =
        "the row is damaged, or some of its fields are not mapped; without the checksum it would load unchecked";
}

static bool parse_any(const struct lum__ndjson_source *source, struct lum__ndjson_worker *worker, const uint8_t *begin,
                      const uint8_t *end, bool is_odd, lum_t *row, struct lum__row_fault *fault)
{
    struct row_work work = {.source = source, .worker = worker, .row = row, .glue_begin = is_odd ? NULL : begin};

    worker->form.value_count = 0;
    memset(worker->seen, 0, sizeof worker->seen);
    if (!lum__ndjson_walk(&worker->reader, begin, end, is_odd, take_any_pair, &work, fault)) return false;
    if (source->id_column != LUM__NDJSON_NO_COLUMN && !has_column(worker, source->id_column)) {
        lum__fault_begin(fault, "empty", begin, 0, source->names[source->id_column]);
        lum__fault_add(fault, "the row has no \"\"");
        lum__fault_add_text(fault, source->names[source->id_column], source->lengths[source->id_column]);
        lum__fault_add(fault, "\"\", for id");
        fault->remedy = "every row needs an id: correct the row, or number rows with --map id=@row";
        return false;
    }
    if (work.gives_checksum && row->checksum != lum_record_checksum(row)) {
        fault_checksum(row, begin, fault);
        return false;
    }
    if (work.glue_begin == NULL || work.value_count == 0) return true;
    keep_glue(&work, &worker->form.tail, end, LUM__NDJSON_NO_COLUMN);
    if (work.glue_begin != NULL) worker->form.value_count = work.value_count;
    return true;
}

/* ------------------------------------------------------------------------------------------------- the form before */

static inline bool matches(const uint8_t *at, const struct lum__ndjson_glue *glue)
{
    size_t i = 0;

    for (; i + 8 <= glue->length; i += 8)
        if (lum__get_u64(at + i) != lum__get_u64(glue->text + i)) return false;
    size_t rest = glue->length - i;
    if (rest == 0) return true;
    return ((lum__get_u64(at + i) ^ lum__get_u64(glue->text + i)) << (64 - 8 * rest)) == 0;
}

/* The value at `at`, if it is a plain one. The row has no odd byte: a string ends at its next quote. */
static inline const uint8_t *take_plain(const uint8_t *at, const uint8_t *end, struct lum__json_value *out)
{
    if (at >= end) return NULL;
    if (*at == '"') {
        const uint8_t *quote = lum__json_find_quote(at + 1, end);
        *out = (struct lum__json_value){LUM__JSON_STRING, at + 1, (size_t)(quote - at - 1)};
        return quote < end ? quote + 1 : NULL;
    }
    if (*at == '-' || (*at >= '0' && *at <= '9')) {
        const uint8_t *number_end = lum__json_number_end(at, end);
        *out = (struct lum__json_value){LUM__JSON_NUMBER, at, number_end != NULL ? (size_t)(number_end - at) : 0};
        return number_end;
    }
    const char *reason;
    const uint8_t *offence;
    struct lum__json_reader none = {0};
    if (*at == '{' || *at == '[') return NULL;
    return lum__json_take_value(&none, at, end, out, &reason, &offence); /* true, false, null */
}

/* False: the row has another form, or something is wrong with it; the long way tells. */
static bool parse_like_before(const struct lum__ndjson_source *source, struct lum__ndjson_worker *worker,
                              const uint8_t *at, const uint8_t *end, lum_t *row)
{
    const struct lum__ndjson_form *form = &worker->form;
    bool gives_checksum = false;

    for (uint32_t i = 0; i < form->value_count; ++i) {
        const struct lum__ndjson_glue *glue = &form->glue[i];
        struct lum__json_value value;
        if (!matches(at, glue)) return false;
        const uint8_t *value_begin = at + glue->length;
        at = take_plain(value_begin, end, &value);
        if (at == NULL) return false;
        if (glue->column == LUM__NDJSON_NO_COLUMN) continue;
        const struct lum__ndjson_column *meaning = &source->columns[glue->column];
        for (uint32_t k = 0; k < meaning->rule_count; ++k) {
            const struct lum__mapping_rule *rule = &source->plan.rules[meaning->rule_first + k];
            size_t offence;
            if (is_null(source, &value)) {
                if (rule->field == LUM__FIELD_ID) return false;
                continue;
            }
            if (lum__field_parse(rule, (const char *)value.text, value.length, source->round, row, &offence) !=
                LUM__NUMBER_OK)
                return false;
            gives_checksum |= rule->field == LUM__FIELD_CHECKSUM;
        }
    }
    if (at + form->tail.length != end || !matches(at, &form->tail)) return false;
    return !gives_checksum || row->checksum == lum_record_checksum(row);
}

bool lum__ndjson_parse_row(const struct lum__ndjson_source *source, struct lum__ndjson_worker *worker,
                           const uint8_t *begin, const uint8_t *end, bool is_odd, lum_t *row,
                           struct lum__row_fault *fault)
{
    *row = source->plan.defaults;
    if (source->plan.id_is_row_number) row->id = source->plan.rows_before + worker->next_row + 1;
    if (!is_odd && worker->form.value_count > 0) {
        if (parse_like_before(source, worker, begin, end, row)) return true;
        *row = source->plan.defaults;
        if (source->plan.id_is_row_number) row->id = source->plan.rows_before + worker->next_row + 1;
    }
    return parse_any(source, worker, begin, end, is_odd, row, fault);
}
