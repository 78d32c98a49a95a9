/* cli/archive_library.h - libarchive, loaded when the first compressed input is opened. It brings a dozen libraries with it (ICU among
 * them): mapped at every start they cost 30 ms on a cold page cache, which commands without compressed input should not pay. */
#ifndef LUM_CLI_ARCHIVE_LIBRARY_H
#define LUM_CLI_ARCHIVE_LIBRARY_H

#include <archive.h>
#include <archive_entry.h>

/* The functions in use, by their names in libarchive without the prefix archive_. */
#define LUM_ARCHIVE_FUNCTIONS(each)                                                                                                        \
    each(error_string) each(filter_bytes) each(filter_code) each(read_data) each(read_free) each(read_new) each(read_next_header)         \
        each(read_open) each(read_support_filter_bzip2) each(read_support_filter_lz4) each(read_support_filter_xz)                        \
            each(read_support_filter_zstd) each(read_support_format_empty) each(read_support_format_raw) each(set_error)

struct lum_archive_library {
#define LUM_ARCHIVE_MEMBER(name) __typeof__(&archive_##name) name;
    LUM_ARCHIVE_FUNCTIONS(LUM_ARCHIVE_MEMBER)
#undef LUM_ARCHIVE_MEMBER
};

/* NULL if the library cannot be loaded; *reason (static) then says why. Any thread. */
const struct lum_archive_library *lum_archive_library(const char **reason);

#endif
