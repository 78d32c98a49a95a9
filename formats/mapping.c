#include "formats/mapping.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/status.h"

/* A text that is built piece by piece and cut at its size; `length` counts what it would be uncut. */
struct text {
    char *bytes;
    size_t bytes_max;
    size_t length;
};

static void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void text_add(struct text *text, const char *format, ...)
{
    va_list arguments;
    size_t room = text->length < text->bytes_max ? text->bytes_max - text->length : 0;

    va_start(arguments, format);
    int length = vsnprintf(room > 0 ? text->bytes + text->length : NULL, room, format, arguments);
    va_end(arguments);
    if (length > 0) text->length += (size_t)length;
}

/* ------------------------------------------------------------------------------------------------------ parsing */

static lum_status fail_grammar(const char *text, const char *reason)
{
    lum_status status = lum__fail(LUM_ERR_ARGUMENT, "--map %.200s: %s", text, reason);
    lum__error_set_remedy("write --map field=column, field=column*scale, field=#number, id=@row or field=value; "
                          "several with commas between");
    return status;
}

static bool is_scale(const char *text, size_t length, struct lum__scale *out)
{
    return lum__scale_parse(text, length, out) == LUM__NUMBER_OK;
}

/* "..." with "" for a quote. *next is behind the closing quote. */
static lum_status take_quoted(const char *spec, const char *p, struct lum__mapping_item *item, const char **next)
{
    void *copy;

    LUM_TRY(lum__alloc(strlen(p) + 1, &copy));
    item->source = copy;
    item->quoted = true;
    char *out = copy;
    for (++p; *p != '\0'; ++p) {
        if (*p == '"' && *++p != '"') {
            *out = '\0';
            *next = p;
            return LUM_OK;
        }
        *out++ = *p;
    }
    return fail_grammar(spec, "a quote is not closed");
}

/* Everything up to a comma; a scale at its end is not part of it. */
static lum_status take_plain(const char *spec, const char *p, struct lum__mapping_item *item, const char **next)
{
    void *copy;
    size_t length = strcspn(p, ",");
    const char *star = memrchr(p, '*', length);

    *next = p + length;
    if (star != NULL && is_scale(star + 1, (size_t)(*next - star - 1), &item->scale)) {
        length = (size_t)(star - p);
        *next = star;
    }
    if (length == 0) return fail_grammar(spec, "no column is named behind a `=`");
    LUM_TRY(lum__alloc(length + 1, &copy));
    item->source = copy;
    memcpy(item->source, p, length);
    item->source[length] = '\0';
    return LUM_OK;
}

static lum_status take_item(struct lum__mapping *mapping, const char *spec, const char *p, const char **next)
{
    p += strspn(p, " "); /* as a person puts them behind a comma */
    size_t name_length = strcspn(p, "=,");
    if (p[name_length] != '=') return fail_grammar(spec, "an item has no `=`");
    enum lum__field field = lum__field_find(p, name_length);
    if (field == LUM__FIELD_COUNT) {
        lum_status status = lum__fail(LUM_ERR_ARGUMENT, "--map %.200s: there is no field \"%.*s\"", spec,
                                      (int)(name_length < 80 ? name_length : 80), p);
        lum__error_set_remedy("the fields are id, presence, position_x, position_y, structure_type, timestamp, "
                              "memory_address, is_destroyed and checksum");
        return status;
    }
    struct lum__mapping_item *item = &mapping->items[field];
    if (item->present) return fail_grammar(spec, "a field is mapped twice");
    item->present = true;
    item->scale = LUM__SCALE_ONE;
    p += name_length + 1;
    LUM_TRY(*p == '"' ? take_quoted(spec, p, item, &p) : take_plain(spec, p, item, &p));
    if (*p == '*') {
        size_t length = strcspn(p + 1, ",");
        if (!is_scale(p + 1, length, &item->scale))
            return fail_grammar(spec, "a scale must be a positive decimal such as 1e7, 1000 or 0.001");
        item->scaled = true;
        p += 1 + length;
    }
    if (*p != '\0' && *p != ',') return fail_grammar(spec, "text stands behind a closing quote");
    *next = p;
    return LUM_OK;
}

lum_status lum__mapping_add(struct lum__mapping *mapping, const char *text)
{
    const char *p = text;

    for (;;) {
        LUM_TRY(take_item(mapping, text, p, &p));
        if (*p == '\0') return LUM_OK;
        LUM_ASSERT(*p == ',');
        ++p;
    }
}

void lum__mapping_destroy(struct lum__mapping *mapping)
{
    for (unsigned field = 0; field < LUM__FIELD_COUNT; ++field) free(mapping->items[field].source);
    *mapping = (struct lum__mapping)LUM__MAPPING_INIT;
}

/* ----------------------------------------------------------------------------------------------- columns in words */

/* A column's name as --map takes it: quoted where it has to be. */
static void add_source(struct text *text, const char *name, size_t length)
{
    struct lum__scale scale;
    const char *star = memrchr(name, '*', length);
    bool plain = length > 0 && memchr(name, ',', length) == NULL && name[0] != '"' && name[0] != '#' &&
                 name[0] != '@' && (star == NULL || !is_scale(star + 1, length - (size_t)(star + 1 - name), &scale));

    if (plain) {
        text_add(text, "%.*s", (int)length, name);
        return;
    }
    text_add(text, "\"");
    for (size_t i = 0; i < length; ++i) text_add(text, name[i] == '"' ? "\"\"" : "%c", name[i]);
    text_add(text, "\"");
}

static bool name_is_unique(const struct lum__mapping_columns *columns, uint32_t column)
{
    for (uint32_t i = 0; i < columns->count; ++i)
        if (i != column && columns->lengths[i] == columns->lengths[column] &&
            memcmp(columns->names[i], columns->names[column], columns->lengths[i]) == 0)
            return false;
    return true;
}

static void add_column(struct text *text, const struct lum__mapping_columns *columns, uint32_t column)
{
    if (columns->has_names && name_is_unique(columns, column))
        add_source(text, columns->names[column], columns->lengths[column]);
    else
        text_add(text, "#%u", column + 1);
}

static void add_scale(struct text *text, struct lum__scale scale)
{
    if (scale.exponent == 0)
        text_add(text, "*%llu", (unsigned long long)scale.mantissa);
    else
        text_add(text, "*%llue%d", (unsigned long long)scale.mantissa, (int)scale.exponent);
}

/* "a, b, c and 4 more", kept short enough to read. */
static void add_column_list(struct text *text, const struct lum__mapping_columns *columns)
{
    for (uint32_t column = 0; column < columns->count; ++column) {
        if (text->length > text->bytes_max - text->bytes_max / 4 && columns->count - column > 1) {
            text_add(text, " and %u more", columns->count - column);
            return;
        }
        size_t length = columns->lengths[column] < 60 ? columns->lengths[column] : 60;
        text_add(text, "%s%.*s", column == 0 ? "" : ", ", (int)length, columns->names[column]);
        if (length == 0) text_add(text, "\"\"");
    }
}

static bool names_equal_loosely(const char *name, size_t length, const char *other)
{
    return strlen(other) == length && strncasecmp(name, other, length) == 0;
}

/* Which column a person would most likely take for a field: a guess for a suggestion, never used by itself. */
static uint32_t guess_column(enum lum__field field, const struct lum__mapping_columns *columns)
{
    static const char *const words[LUM__FIELD_COUNT][9] = {
        [LUM__FIELD_ID] = {"id", "key", "number", "no"},
        [LUM__FIELD_PRESENCE] = {"presence", "present"},
        [LUM__FIELD_POSITION_X] = {"position_x", "pos_x", "longitude", "lon", "lng", "x"},
        [LUM__FIELD_POSITION_Y] = {"position_y", "pos_y", "latitude", "lat", "y"},
        [LUM__FIELD_STRUCTURE_TYPE] = {"structure_type", "structure"},
        [LUM__FIELD_TIMESTAMP] = {"timestamp", "time", "datetime", "date", "modified", "created", "updated", "ts"},
        [LUM__FIELD_MEMORY_ADDRESS] = {"memory_address", "address"},
        [LUM__FIELD_IS_DESTROYED] = {"is_destroyed", "destroyed", "deleted"},
        [LUM__FIELD_CHECKSUM] = {"checksum"},
    };

    for (size_t word = 0; word < 9 && words[field][word] != NULL; ++word)
        for (uint32_t column = 0; column < columns->count; ++column)
            if (names_equal_loosely(columns->names[column], columns->lengths[column], words[field][word]))
                return column;
    if (field != LUM__FIELD_ID) return columns->count;
    for (uint32_t column = 0; column < columns->count; ++column) { /* geonameid, order_id ... */
        size_t length = columns->lengths[column];
        if (length > 2 && strncasecmp(columns->names[column] + length - 2, "id", 2) == 0) return column;
    }
    return columns->count > 0 ? 0 : columns->count;
}

/* A --map that would be accepted for these columns: the user's items that resolve, guesses for the rest. */
static void add_suggestion(struct text *text, const struct lum__mapping *mapping,
                           const struct lum__mapping_columns *columns, const struct lum__mapping_plan *plan)
{
    const char *separator = "";

    for (unsigned field = 0; field < LUM__FIELD_COUNT; ++field) {
        uint32_t column = columns->count;
        const struct lum__mapping_item *item = mapping != NULL ? &mapping->items[field] : NULL;
        bool scaled = false;
        struct lum__scale scale = LUM__SCALE_ONE;
        for (uint32_t rule = 0; rule < plan->rule_count; ++rule) {
            if (plan->rules[rule].field != field) continue;
            column = plan->rules[rule].column;
            scaled = plan->rules[rule].scaled;
            scale = plan->rules[rule].scale;
        }
        bool asked = (item != NULL && item->present) || field == LUM__FIELD_ID;
        bool obvious =
            field == LUM__FIELD_POSITION_X || field == LUM__FIELD_POSITION_Y || field == LUM__FIELD_TIMESTAMP;
        if (column == columns->count && columns->has_names && (asked || obvious)) {
            column = guess_column((enum lum__field)field, columns);
            if (item != NULL && item->present) {
                scaled = item->scaled;
                scale = item->scale;
            } else if (column < columns->count && strncasecmp(columns->names[column], "l", 1) == 0 && obvious) {
                scaled = true; /* degrees to 1e-7 degrees, which fit 32 bits */
                scale = (struct lum__scale){1, 7};
            }
        }
        if (column == columns->count && field == LUM__FIELD_ID) column = 0;
        if (column >= columns->count) continue;
        text_add(text, "%s%s=", separator, lum__field_name((enum lum__field)field));
        add_column(text, columns, column);
        if (scaled) add_scale(text, scale);
        separator = ",";
    }
}

/* ---------------------------------------------------------------------------------------------------- resolving */

struct resolver {
    const struct lum__mapping *mapping;
    const struct lum__mapping_columns *columns;
    const char *file;
    struct lum__mapping_plan *plan;
};

/* A header that is one column because its columns are parted by something else; 0: it does not look like that. */
static char guess_delimiter(const struct lum__mapping_columns *columns)
{
    if (columns->kind != LUM__COLUMNS_OF_ROW || !columns->has_names || columns->count != 1) return 0;
    for (const char *delimiter = ";\t|,"; *delimiter != '\0'; ++delimiter)
        if (memchr(columns->names[0], *delimiter, columns->lengths[0]) != NULL) return *delimiter;
    return 0;
}

static void set_remedy(const struct resolver *resolver, const char *suggestion)
{
    char delimiter = guess_delimiter(resolver->columns);
    bool has_row = resolver->columns->has_names && resolver->columns->kind == LUM__COLUMNS_OF_ROW;
    const char *other = has_row ? ", or --no-header if the first line is data" : "";

    if (delimiter == '\t')
        lum__error_set_remedy("the columns seem to be parted by tabs: --format tsv");
    else if (delimiter != 0)
        lum__error_set_remedy("the columns seem to be parted by \"%c\": --delimiter '%c'", delimiter, delimiter);
    else
        lum__error_set_remedy("for example --map '%s'%s", suggestion, other);
}

static lum_status fail_columns(const struct resolver *resolver, const char *reason)
{
    char list[300], suggestion[400];
    struct text list_text = {list, sizeof list, 0}, suggestion_text = {suggestion, sizeof suggestion, 0};

    list[0] = suggestion[0] = '\0';
    add_suggestion(&suggestion_text, resolver->mapping, resolver->columns, resolver->plan);
    if (resolver->columns->count == 0)
        text_add(&list_text, "none");
    else if (resolver->columns->has_names)
        add_column_list(&list_text, resolver->columns);
    else
        text_add(&list_text, "#1 to #%u", resolver->columns->count);
    lum_status status = lum__fail_at(__FILE__, __LINE__, LUM_ERR_INPUT, 0, resolver->file, LUM_NO_OFFSET, 0,
                                     "%s; the columns are %s", reason, list);
    lum__error_set_line(resolver->columns->has_names && resolver->columns->kind != LUM__COLUMNS_OF_FIELDS ? 1 : 0);
    if (suggestion_text.length > 0 && suggestion_text.length < sizeof suggestion) set_remedy(resolver, suggestion);
    return status;
}

/* The column of that name: its index, columns->count if there is none, an error if there are two. */
static lum_status find_column(const struct resolver *resolver, const char *name, size_t length, uint32_t *out)
{
    const struct lum__mapping_columns *columns = resolver->columns;
    char reason[200];

    *out = columns->count;
    for (uint32_t column = 0; columns->has_names && column < columns->count; ++column) {
        if (columns->lengths[column] != length || memcmp(columns->names[column], name, length) != 0) continue;
        if (*out != columns->count) {
            (void)snprintf(reason, sizeof reason, "two columns are named \"%.100s\": use their numbers (#%u or #%u)",
                           name, *out + 1, column + 1);
            return fail_columns(resolver, reason);
        }
        *out = column;
    }
    return LUM_OK;
}

static void add_rule(struct lum__mapping_plan *plan, enum lum__field field, uint32_t column, bool scaled,
                     struct lum__scale scale)
{
    uint32_t at = plan->rule_count++;

    LUM_ASSERT(plan->rule_count <= LUM__FIELD_COUNT);
    for (; at > 0 && plan->rules[at - 1].column > column; --at) plan->rules[at] = plan->rules[at - 1];
    plan->rules[at] = (struct lum__mapping_rule){column, field, scaled, scaled ? scale : LUM__SCALE_ONE};
}

/* A value for every row; false if the text is none that the field can take. */
static bool set_constant(lum_t *row, enum lum__field field, const char *text, struct lum__scale scale)
{
    size_t length = strlen(text);

    switch (field) {
    case LUM__FIELD_PRESENCE: return lum__parse_flag(text, length, &row->presence, NULL) == LUM__NUMBER_OK;
    case LUM__FIELD_IS_DESTROYED: return lum__parse_flag(text, length, &row->is_destroyed, NULL) == LUM__NUMBER_OK;
    case LUM__FIELD_STRUCTURE_TYPE:
        return lum__parse_structure_type(text, length, &row->structure_type, NULL) == LUM__NUMBER_OK;
    case LUM__FIELD_POSITION_X:
        return lum__parse_scaled_i32(text, length, scale, false, &row->position_x, NULL) == LUM__NUMBER_OK;
    case LUM__FIELD_POSITION_Y:
        return lum__parse_scaled_i32(text, length, scale, false, &row->position_y, NULL) == LUM__NUMBER_OK;
    case LUM__FIELD_TIMESTAMP:
        return lum__parse_timestamp(text, length, scale, false, &row->timestamp, NULL) == LUM__NUMBER_OK;
    case LUM__FIELD_MEMORY_ADDRESS:
        return lum__parse_address(text, length, &row->memory_address, NULL) == LUM__NUMBER_OK;
    case LUM__FIELD_ID:
    case LUM__FIELD_CHECKSUM:
    case LUM__FIELD_COUNT: break;
    }
    return false;
}

static bool field_takes_scale(enum lum__field field)
{
    return field == LUM__FIELD_ID || field == LUM__FIELD_POSITION_X || field == LUM__FIELD_POSITION_Y ||
           field == LUM__FIELD_TIMESTAMP || field == LUM__FIELD_MEMORY_ADDRESS;
}

/* #3: *out is 2. False if the text is something else. */
static bool parse_column_number(const char *text, uint64_t *out)
{
    if (text[0] != '#' || lum__parse_u64(text + 1, strlen(text + 1), out, NULL) != LUM__NUMBER_OK) return false;
    *out -= 1; /* 0 becomes the largest number, which no file has */
    return true;
}

/* Nothing that the field could be read from, in words that fit what was probably meant. */
static lum_status fail_source(const struct resolver *resolver, enum lum__field field, const struct lum__mapping_item *item)
{
    const char *name = lum__field_name(field), *source = item->source, *star = strrchr(source, '*');
    bool is_number = strchr("0123456789-+.", source[0]) != NULL;
    uint32_t column = resolver->columns->count;
    char reason[400];

    if (!item->quoted && strcmp(source, "@row") == 0) {
        (void)snprintf(reason, sizeof reason, field == LUM__FIELD_ID ? "%s=@row takes no scale" : "%s=@row: only id can be the row's number", name);
        return fail_columns(resolver, reason);
    }
    if (!item->quoted && star != NULL) LUM_TRY(find_column(resolver, source, (size_t)(star - source), &column));
    if (column < resolver->columns->count || (!item->quoted && star != NULL && source[0] == '#')) {
        (void)snprintf(reason, sizeof reason, "%s=%.120s: a scale must be a positive decimal such as 1e7, 1000 or 0.001", name, source);
        return fail_columns(resolver, reason);
    }
    const char *more = "";
    if (item->quoted)
        more = "";
    else if (field == LUM__FIELD_STRUCTURE_TYPE)
        more = ", nor such a structure type (linear, circular, binary, group, compressed, node, or 0 to 5)";
    else if (is_number && (field == LUM__FIELD_ID || field == LUM__FIELD_CHECKSUM))
        more = ", and no constant can be in its place";
    else if (is_number || field == LUM__FIELD_PRESENCE || field == LUM__FIELD_IS_DESTROYED)
        more = ", nor is it a value that the field can have";
    (void)snprintf(reason, sizeof reason, "%s=%.120s: there is no column \"%.80s\"%s", name, source, source, more);
    return fail_columns(resolver, reason);
}

static lum_status resolve_item(const struct resolver *resolver, enum lum__field field)
{
    const struct lum__mapping_item *item = &resolver->mapping->items[field];
    struct lum__mapping_plan *plan = resolver->plan;
    uint32_t column;
    uint64_t number;
    char reason[256];

    if (item->scaled && !field_takes_scale(field)) {
        (void)snprintf(reason, sizeof reason, "%s takes no scale", lum__field_name(field));
        return fail_columns(resolver, reason);
    }
    LUM_TRY(find_column(resolver, item->source, strlen(item->source), &column));
    if (column == resolver->columns->count && !item->quoted && parse_column_number(item->source, &number)) {
        if (number >= resolver->columns->count) {
            (void)snprintf(reason, sizeof reason, "%s=%.40s: the file has %u columns", lum__field_name(field),
                           item->source, resolver->columns->count);
            return fail_columns(resolver, reason);
        }
        column = (uint32_t)number;
    }
    if (column < resolver->columns->count) {
        add_rule(plan, field, column, item->scaled, item->scale);
        return LUM_OK;
    }
    if (!item->quoted && field == LUM__FIELD_ID && strcmp(item->source, "@row") == 0 && !item->scaled) {
        plan->id_is_row_number = true;
        return LUM_OK;
    }
    if (!item->quoted && set_constant(&plan->defaults, field, item->source, item->scale)) return LUM_OK;
    return fail_source(resolver, field, item);
}

lum_status lum__mapping_resolve(const struct lum__mapping *mapping, const struct lum__mapping_columns *columns,
                                const char *file, struct lum__mapping_plan *out)
{
    const struct resolver resolver = {mapping, columns, file, out};
    lum_status failure = LUM_OK;
    struct lum__error error;
    bool id_found = false;

    *out = (struct lum__mapping_plan){.defaults = {.presence = 1}};
    /* All items are tried before the first failure is reported: the suggestion then keeps what is right. */
    for (unsigned field = 0; field < LUM__FIELD_COUNT; ++field) {
        const char *name = lum__field_name((enum lum__field)field);
        uint32_t column = columns->count;
        lum_status status;
        if (mapping != NULL && mapping->items[field].present) {
            status = resolve_item(&resolver, (enum lum__field)field);
        } else {
            status = find_column(&resolver, name, strlen(name), &column);
            if (status == LUM_OK && column < columns->count)
                add_rule(out, (enum lum__field)field, column, false, LUM__SCALE_ONE);
        }
        if (status != LUM_OK && failure == LUM_OK) {
            failure = status;
            error = *lum__error_last();
        }
    }
    for (uint32_t rule = 0; rule < out->rule_count; ++rule)
        id_found = id_found || out->rules[rule].field == LUM__FIELD_ID;
    if (failure == LUM_OK && !id_found && !out->id_is_row_number)
        return fail_columns(&resolver, "no column is named \"id\", and no --map says where the ids are");
    if (failure != LUM_OK) {
        struct lum__error first = error;
        (void)fail_columns(&resolver, "");
        memcpy(first.remedy, lum__error_last()->remedy, sizeof first.remedy);
        lum__error_restore(&first);
    }
    return failure;
}

void lum__mapping_set_time_unit(struct lum__mapping_plan *plan, struct lum__scale unit)
{
    if (unit.mantissa == 0) return;
    for (uint32_t rule = 0; rule < plan->rule_count; ++rule)
        if (plan->rules[rule].field == LUM__FIELD_TIMESTAMP && !plan->rules[rule].scaled)
            plan->rules[rule].scale = unit;
}

size_t lum__mapping_describe(const struct lum__mapping_plan *plan, const struct lum__mapping_columns *columns,
                             char *out, size_t bytes_max)
{
    struct text text = {out, bytes_max, 0};
    const lum_t *defaults = &plan->defaults;
    bool from_column[LUM__FIELD_COUNT] = {false};

    LUM_ASSERT(bytes_max > 0);
    out[0] = '\0';
    if (plan->id_is_row_number) text_add(&text, "id=@row");
    for (uint32_t i = 0; i < plan->rule_count; ++i) {
        const struct lum__mapping_rule *rule = &plan->rules[i];
        from_column[rule->field] = true;
        text_add(&text, "%s%s=", text.length > 0 ? "," : "", lum__field_name(rule->field));
        add_column(&text, columns, rule->column);
        if (rule->scaled) add_scale(&text, rule->scale);
    }
    const struct {
        enum lum__field field;
        uint64_t value;
        bool negative;
    } constants[] = {
        {LUM__FIELD_PRESENCE, defaults->presence, false},
        {LUM__FIELD_POSITION_X, (uint64_t)llabs((long long)defaults->position_x), defaults->position_x < 0},
        {LUM__FIELD_POSITION_Y, (uint64_t)llabs((long long)defaults->position_y), defaults->position_y < 0},
        {LUM__FIELD_STRUCTURE_TYPE, defaults->structure_type, false},
        {LUM__FIELD_TIMESTAMP, defaults->timestamp, false},
        {LUM__FIELD_MEMORY_ADDRESS, defaults->memory_address, false},
        {LUM__FIELD_IS_DESTROYED, defaults->is_destroyed, false},
    };
    for (size_t i = 0; i < sizeof constants / sizeof constants[0]; ++i) {
        bool is_default = constants[i].value == (constants[i].field == LUM__FIELD_PRESENCE);
        if (from_column[constants[i].field] || is_default) continue;
        text_add(&text, "%s%s=%s%llu", text.length > 0 ? "," : "", lum__field_name(constants[i].field),
                 constants[i].negative ? "-" : "", (unsigned long long)constants[i].value);
    }
    return text.length;
}
