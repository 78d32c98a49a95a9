/* formats/text_kernel.c - every loop over bytes of text; compiled once per instruction level (formats/text_kernel.h).
 *
 * The build defines LUM_SIMD_LEVEL (baseline, avx2, avx512) and sets the compiler's flags to match. What comes out must
 * not depend on the level: tests/fuzz/csv_fuzz.c and tests/unit/csv_kernel_test.c compare them. */
#include "formats/text_kernel.h"

#include <string.h>

#include "base/bytes.h"
#include "formats/csv_block.h"
#include "formats/date.h"
#include "formats/field_parse.h"

#define JOIN_TOKENS_(a, b) a##b
#define JOIN_TOKENS(a, b)  JOIN_TOKENS_(a, b)
#define TEXT_(a)           #a
#define TEXT(a)            TEXT_(a)

static inline uint64_t bits_below(unsigned count) { return count >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << count) - 1; }
static inline bool is_line_end(uint8_t c) { return c == '\n' || c == '\r'; }

#include "formats/csv_columns.inc"
#include "formats/csv_index.inc"
#include "formats/row_scan.inc"

const struct lum__text_kernel JOIN_TOKENS(lum__text_kernel_, LUM_SIMD_LEVEL) = {
    .name = TEXT(LUM_SIMD_LEVEL),
    .csv_scan = csv_scan,
    .lines_scan = lines_scan,
    .count_lines = count_lines,
    .csv_index = csv_index,
    .csv_parse = csv_parse,
};
