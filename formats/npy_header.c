/* The header of a .npy file: a Python literal, of which only what NumPy writes is understood. Nothing in it is trusted:
 * lengths are compared with limits before they are used, and nesting has one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "base/status.h"
#include "formats/npy.h"
#include "formats/number.h"

enum { DEPTH_MAX = 8, TEXT_BYTES_MAX = 256 };

/* ------------------------------------------------------------------------------------------------------- messages */

static lum_status fail(const char *file, uint64_t offset, const char *reason, const char *remedy)
{
    lum_status status = lum__fail_at(__FILE__, __LINE__, LUM_ERR_INPUT, 0, file, offset, 0, "%s", reason);

    lum__error_set_remedy("%s", remedy);
    return status;
}

static const char *const damaged_remedy = "the file is damaged, or was not written by numpy.save(); write it again";

/* --------------------------------------------------------------------------------------------------------- prefix */

lum_status lum__npy_prefix(const uint8_t *prefix, size_t byte_count, const char *file, uint32_t *version,
                           size_t *prefix_bytes, size_t *header_bytes)
{
    char reason[120];

    *version = 0;
    *prefix_bytes = *header_bytes = 0;
    if (byte_count < LUM__NPY_PREFIX_BYTES || memcmp(prefix, LUM__NPY_MAGIC, 6) != 0)
        return fail(file, 0, "this is no .npy file: it does not begin as one",
                    "give a file that numpy.save() wrote, or the right --format");
    if (prefix[6] < 1 || prefix[6] > 3 || prefix[7] != 0) {
        (void)snprintf(reason, sizeof reason, "this is version %u.%u of the .npy format; 1.0, 2.0 and 3.0 are known",
                       prefix[6], prefix[7]);
        return fail(file, 6, reason, "write it with numpy.save(), which uses version 1.0 where it can");
    }
    *version = prefix[6];
    *prefix_bytes = *version == 1 ? 10 : 12;
    *header_bytes = *version == 1 ? lum__get_u16(prefix + 8) : lum__get_u32(prefix + 8);
    if (*header_bytes > LUM__NPY_HEADER_TEXT_BYTES_MAX || *header_bytes < 2) {
        (void)snprintf(reason, sizeof reason, "the .npy header says that it has %zu bytes; 2 to %d are allowed",
                       *header_bytes, LUM__NPY_HEADER_TEXT_BYTES_MAX);
        return fail(file, 8, reason, damaged_remedy);
    }
    return LUM_OK;
}

/* ------------------------------------------------------------------------------------------------ literals of Python
 */

struct parser {
    const char *file;
    const uint8_t *begin, *at, *end;
    uint64_t offset; /* of begin in the file */
    uint32_t version;
    struct lum__npy_header *out;
    size_t column_capacity, name_bytes;
};

static lum_status fail_here(const struct parser *p, const char *reason)
{
    char text[TEXT_BYTES_MAX];

    (void)snprintf(text, sizeof text, "the .npy header cannot be read: %s", reason);
    return fail(p->file, p->offset + (uint64_t)(p->at - p->begin), text, damaged_remedy);
}

static void skip_blanks(struct parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r')) ++p->at;
}

static bool take(struct parser *p, char c)
{
    skip_blanks(p);
    if (p->at == p->end || *p->at != (uint8_t)c) return false;
    ++p->at;
    return true;
}

static lum_status expect(struct parser *p, char c)
{
    char reason[40];

    if (take(p, c)) return LUM_OK;
    (void)snprintf(reason, sizeof reason, "a \"%c\" is missing here", c);
    return fail_here(p, reason);
}

/* A string as UTF-8, terminated; out has room for bytes_max. Versions 1 and 2 are Latin-1. */
static lum_status take_string(struct parser *p, char *out, size_t bytes_max, size_t *length)
{
    *length = 0;
    skip_blanks(p);
    if (p->at == p->end || (*p->at != '\'' && *p->at != '"')) return fail_here(p, "a string is missing here");
    uint8_t quote = *p->at++;
    for (; p->at < p->end && *p->at != quote; ++p->at) {
        uint8_t c = *p->at;
        if (c == '\\') {
            if (++p->at == p->end || (*p->at != '\\' && *p->at != '\'' && *p->at != '"'))
                return fail_here(p, "a name has an escape other than \\\\, \\' and \\\"");
            c = *p->at;
        } else if (c < 0x20) {
            return fail_here(p, "a control byte in a string");
        }
        if (*length + 3 > bytes_max) return fail_here(p, "a string is too long");
        if (c >= 0x80 && p->version < 3) {
            out[(*length)++] = (char)(0xc0 | c >> 6);
            c = 0x80 | (c & 0x3f);
        }
        out[(*length)++] = (char)c;
    }
    if (p->at == p->end) return fail_here(p, "a string does not end");
    ++p->at;
    out[*length] = '\0';
    return LUM_OK;
}

/* A number, as Python 2 wrote it too: 3L. */
static lum_status take_number(struct parser *p, uint64_t *out)
{
    *out = 0;
    skip_blanks(p);
    const uint8_t *begin = p->at;
    while (p->at < p->end && *p->at >= '0' && *p->at <= '9') ++p->at;
    if (p->at == begin || lum__parse_u64((const char *)begin, (size_t)(p->at - begin), out, NULL) != LUM__NUMBER_OK)
        return fail_here(p, "a number is missing here, or too large");
    if (p->at < p->end && *p->at == 'L') ++p->at;
    return LUM_OK;
}

/* (), (3,), (3, 4): how many, their product, and the first. */
static lum_status take_shape(struct parser *p, uint32_t *count, uint64_t *product, uint64_t *first)
{
    uint64_t number;

    *count = 0;
    *product = 1;
    *first = 0;
    LUM_TRY(expect(p, '('));
    while (!take(p, ')')) {
        LUM_TRY(take_number(p, &number));
        if (*count == 0) *first = number;
        if (++*count > 32 || __builtin_mul_overflow(*product, number, product))
            return fail_here(p, "a shape is too large");
        if (take(p, ',')) continue;
        LUM_TRY(expect(p, ')'));
        break;
    }
    return LUM_OK;
}

/* ---------------------------------------------------------------------------------------------------------- types */

/* The unit of M8[...] in nanoseconds; 0 for one that has none, or a variable one (months). */
static uint64_t unit_of(const char *text)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {{"[ns]", 1},          {"[us]", 1000},         {"[ms]", 1000000},       {"[s]", 1000000000},
                 {"[m]", 60000000000}, {"[h]", 3600000000000}, {"[D]", 86400000000000}, {"[W]", 604800000000000}};

    for (size_t i = 0; i < sizeof units / sizeof units[0]; ++i)
        if (strcmp(text, units[i].name) == 0) return units[i].ns;
    return 0;
}

/* <u8, |b1, >M8[ns], |V4 ... */
static lum_status parse_type(struct parser *p, const char *text, size_t length, struct lum__npy_column *column)
{
    uint64_t size = 0;
    size_t digits = 0;

    (void)snprintf(column->type_text, sizeof column->type_text, "%s", text);
    if (length < 2 || strchr("<>|=", text[0]) == NULL) return fail_here(p, "this is no type of NumPy's");
    if (text[1] == 'O')
        return fail(
            p->file, p->offset + (uint64_t)(p->at - p->begin),
            "the array holds Python objects, which are stored as pickles: a pickle can run programs and is never "
            "read",
            "store numbers: a.astype([('id', '<u8'), ...]), then numpy.save(file, a, allow_pickle=False)");
    while (text[2 + digits] >= '0' && text[2 + digits] <= '9') ++digits;
    if (strchr("biufcSUVMm", text[1]) == NULL || digits == 0 || digits > 9 ||
        lum__parse_u64(text + 2, digits, &size, NULL) != LUM__NUMBER_OK)
        return fail_here(p, "this is no type of NumPy's");
    if (text[1] == 'U') size *= 4;
    if (text[2 + digits] != '\0' && text[1] != 'M' && text[1] != 'm') return fail_here(p, "this is no type of NumPy's");
    if (size > LUM__NPY_RECORD_BYTES_MAX) return fail_here(p, "the records are too long");
    column->kind = text[1];
    column->is_big_endian = text[0] == '>';
    column->byte_count = (uint32_t)size;
    bool is_sound = (text[1] != 'b' || size == 1) && (text[1] != 'M' || size == 8) &&
                    (strchr("iu", text[1]) == NULL || size == 1 || size == 2 || size == 4 || size == 8);
    if (!is_sound) return fail_here(p, "this is no type of NumPy's");
    if (text[1] == 'M') column->unit_ns = unit_of(text + 2 + digits);
    return LUM_OK;
}

static lum_status take_fields(struct parser *p, uint32_t depth, bool is_kept, uint64_t *byte_count);

/* A name, or (title, name). */
static lum_status take_name(struct parser *p, char *out, size_t bytes_max, size_t *length)
{
    if (!take(p, '(')) return take_string(p, out, bytes_max, length);
    LUM_TRY(take_string(p, out, bytes_max, length));
    LUM_TRY(expect(p, ','));
    LUM_TRY(take_string(p, out, bytes_max, length));
    return expect(p, ')');
}

/* Remembers the column and its name; unnamed fields are padding. */
static lum_status keep_column(struct parser *p, const struct lum__npy_column *column, const char *name, size_t length)
{
    struct lum__npy_header *out = p->out;
    void *memory = out->columns;

    if (length == 0) return LUM_OK;
    if (out->column_count == LUM__NPY_COLUMNS_MAX) return fail_here(p, "there are too many fields");
    LUM_TRY(lum__grow(&memory, &p->column_capacity, out->column_count + 1, sizeof *out->columns));
    out->columns = memory;
    out->columns[out->column_count] = *column;
    out->columns[out->column_count].name = out->names + p->name_bytes;
    out->columns[out->column_count].name_length = length;
    memcpy(out->names + p->name_bytes, name, length + 1); /* names has twice the bytes of the header: Latin-1 */
    p->name_bytes += length + 1;
    out->column_count++;
    return LUM_OK;
}

/* ('name', '<u8') or ('name', '<u8', (2,)) or ('name', [fields]). */
static lum_status take_field(struct parser *p, uint32_t depth, bool is_kept, uint64_t *record_bytes)
{
    struct lum__npy_column column = {.offset = *record_bytes};
    char name[1024], type[TEXT_BYTES_MAX];
    size_t name_length, type_length;
    uint64_t bytes, repeats = 1, first;
    uint32_t dimensions = 0;

    LUM_TRY(expect(p, '('));
    LUM_TRY(take_name(p, name, sizeof name, &name_length));
    LUM_TRY(expect(p, ','));
    skip_blanks(p);
    if (p->at < p->end && *p->at == '[') {
        LUM_TRY(take_fields(p, depth + 1, false, &bytes));
        (void)snprintf(column.type_text, sizeof column.type_text, "a record");
    } else {
        LUM_TRY(take_string(p, type, sizeof type, &type_length));
        LUM_TRY(parse_type(p, type, type_length, &column));
        bytes = column.byte_count;
    }
    if (take(p, ',') && !take(p, ')')) {
        LUM_TRY(take_shape(p, &dimensions, &repeats, &first));
        if (dimensions > 0) column.kind = 0; /* an array in each record */
        (void)take(p, ',');
        LUM_TRY(expect(p, ')'));
    } else if (p->at[-1] != ')') {
        LUM_TRY(expect(p, ')'));
    }
    if (__builtin_mul_overflow(bytes, repeats, &bytes) || __builtin_add_overflow(*record_bytes, bytes, record_bytes) ||
        *record_bytes > LUM__NPY_RECORD_BYTES_MAX)
        return fail_here(p, "the records are too long");
    column.byte_count = (uint32_t)bytes;
    return is_kept ? keep_column(p, &column, name, name_length) : LUM_OK;
}

static lum_status take_fields(struct parser *p, uint32_t depth, bool is_kept, uint64_t *byte_count)
{
    *byte_count = 0;
    if (depth > DEPTH_MAX) return fail_here(p, "records in records in records, too deep");
    LUM_TRY(expect(p, '['));
    while (!take(p, ']')) {
        LUM_TRY(take_field(p, depth, is_kept, byte_count));
        if (take(p, ',')) continue;
        LUM_TRY(expect(p, ']'));
        break;
    }
    return LUM_OK;
}

/* ------------------------------------------------------------------------------------------------- the dictionary */

static lum_status take_description(struct parser *p)
{
    struct lum__npy_column column = {0};
    char type[TEXT_BYTES_MAX], reason[TEXT_BYTES_MAX];
    size_t length;

    skip_blanks(p);
    if (p->at < p->end && *p->at == '[') {
        p->out->descr_at = (size_t)(p->at - p->begin);
        LUM_TRY(take_fields(p, 0, true, &p->out->record_bytes));
        p->out->descr_bytes = (size_t)(p->at - p->begin) - p->out->descr_at;
        return LUM_OK;
    }
    LUM_TRY(take_string(p, type, sizeof type, &length));
    LUM_TRY(parse_type(p, type, length, &column));
    (void)snprintf(reason, sizeof reason, "this is an array of plain values (%.20s): it has no fields with names",
                   type);
    return fail(p->file, p->offset, reason,
                "store a structured array: numpy.save(file, numpy.rec.fromarrays([ids, xs], names='id,position_x'))");
}

static lum_status take_order(struct parser *p)
{
    skip_blanks(p);
    if (p->end - p->at >= 5 && memcmp(p->at, "False", 5) == 0) {
        p->at += 5;
        return LUM_OK;
    }
    if (p->end - p->at < 4 || memcmp(p->at, "True", 4) != 0)
        return fail_here(p, "fortran_order is neither True nor False");
    return fail(p->file, p->offset + (uint64_t)(p->at - p->begin), "the array is in Fortran order",
                "store it in C order: numpy.save(file, numpy.ascontiguousarray(a))");
}

static lum_status take_array_shape(struct parser *p)
{
    uint64_t product;
    uint32_t dimensions;
    char reason[TEXT_BYTES_MAX];

    LUM_TRY(take_shape(p, &dimensions, &product, &p->out->row_count));
    if (dimensions == 1) return LUM_OK;
    (void)snprintf(reason, sizeof reason, "the array has %u dimensions; rows are an array of one", dimensions);
    return fail(p->file, p->offset + (uint64_t)(p->at - p->begin), reason,
                "store it flat: numpy.save(file, a.reshape(-1))");
}

static lum_status take_dictionary(struct parser *p)
{
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    static lum_status (*const values[])(struct parser *) = {take_description, take_order, take_array_shape};
    char key[TEXT_BYTES_MAX];
    size_t length;
    unsigned seen = 0;

    LUM_TRY(expect(p, '{'));
    while (!take(p, '}')) {
        LUM_TRY(take_string(p, key, sizeof key, &length));
        LUM_TRY(expect(p, ':'));
        unsigned k = 0;
        while (k < 3 && strcmp(key, keys[k]) != 0) ++k;
        if (k == 3 || (seen >> k & 1) != 0) return fail_here(p, "a key that is not known, or stands there twice");
        seen |= 1u << k;
        LUM_TRY(values[k](p));
        if (take(p, ',')) continue;
        LUM_TRY(expect(p, '}'));
        break;
    }
    if (seen != 7) return fail_here(p, "descr, fortran_order or shape is missing");
    skip_blanks(p);
    return p->at == p->end ? LUM_OK : fail_here(p, "text behind the dictionary");
}

lum_status lum__npy_parse(const uint8_t *text, size_t byte_count, uint32_t version, uint64_t data_offset,
                          const char *file, struct lum__npy_header *out)
{
    struct parser p = {.file = file,
                       .begin = text,
                       .at = text,
                       .end = text + byte_count,
                       .offset = data_offset - byte_count,
                       .version = version,
                       .out = out};
    void *memory;
    lum_status status;

    *out = (struct lum__npy_header){.data_offset = data_offset};
    LUM_TRY(lum__alloc(2 * byte_count + 1, &memory));
    out->names = memory;
    LUM_TRY_OUT(take_dictionary(&p));
    uint64_t bytes;
    if (out->record_bytes == 0 || out->column_count == 0) LUM_TRY_OUT(fail_here(&p, "the records have no fields"));
    if (__builtin_mul_overflow(out->row_count, out->record_bytes, &bytes) || bytes > (uint64_t)INT64_MAX - data_offset)
        LUM_TRY_OUT(fail_here(&p, "the shape has more rows than any file"));
    return LUM_OK;
out:
    lum__npy_header_fini(out);
    return status;
}

void lum__npy_header_fini(struct lum__npy_header *header)
{
    free(header->columns);
    free(header->names);
    *header = (struct lum__npy_header){0};
}
