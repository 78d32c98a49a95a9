/* recovery/copy_file.c - see copy_file.h. */
#include "recovery/copy_file.h"

#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "base/status.h"
#include "storage/header.h"

struct file_copy {
    struct lum__file *from, *to;
    const struct lum__copy_file_options *options;
    struct lum__copy_file_counts *counts;
    uint8_t *buffer; /* LUM__COPY_PART_BYTES, aligned for direct I/O */
    uint64_t size_bytes;
    uint32_t crc; /* of what was written, holes included */
};

lum_status lum__read_around(struct lum__file *file, uint8_t *buffer, size_t byte_count, uint64_t offset,
                            uint64_t *bytes_unreadable)
{
    size_t bytes_read = 0;
    lum_status status = lum__file_read(file, buffer, byte_count, offset, &bytes_read);
    if (status == LUM_OK) {
        if (bytes_read < byte_count) memset(buffer + bytes_read, 0, byte_count - bytes_read);
        return LUM_OK;
    }
    if (status != LUM_ERR_IO) return status;
    for (size_t at = 0; at < byte_count; at += LUM__BLOCK_BYTES) {
        size_t block = byte_count - at < LUM__BLOCK_BYTES ? byte_count - at : LUM__BLOCK_BYTES;
        bytes_read = 0;
        status = lum__file_read(file, buffer + at, block, offset + at, &bytes_read);
        if (status != LUM_OK && status != LUM_ERR_IO) return status;
        if (status == LUM_ERR_IO) *bytes_unreadable += block;
        if (status == LUM_ERR_IO) bytes_read = 0;
        memset(buffer + at + bytes_read, 0, block - bytes_read);
    }
    return LUM_OK;
}

static lum_status read_part(struct file_copy *copy, uint64_t offset, size_t wanted)
{
    if (copy->options->pass_over_unreadable)
        return lum__read_around(copy->from, copy->buffer, wanted, offset, &copy->counts->bytes_unreadable);
    size_t bytes_read = 0;
    LUM_TRY(lum__file_read(copy->from, copy->buffer, wanted, offset, &bytes_read));
    memset(copy->buffer + bytes_read, 0, wanted - bytes_read); /* cut off meanwhile: free space */
    return LUM_OK;
}

static lum_status copy_bytes(struct file_copy *copy)
{
    uint64_t limit = copy->size_bytes < copy->options->limit_bytes ? copy->size_bytes : copy->options->limit_bytes;
    LUM_TRY(lum__file_truncate(copy->to, copy->size_bytes));
    for (uint64_t offset = 0; offset < limit; offset += LUM__COPY_PART_BYTES) {
        uint64_t left = limit - offset;
        size_t wanted = left < LUM__COPY_PART_BYTES ? (size_t)left : LUM__COPY_PART_BYTES;
        LUM_TRY(read_part(copy, offset, wanted));
        copy->crc = lum__crc32c(copy->crc, copy->buffer, wanted);
        if (lum__is_zero(copy->buffer, wanted)) continue;
        LUM_TRY(lum__file_write(copy->to, copy->buffer, wanted, offset));
        copy->counts->bytes_copied += wanted;
    }
    return LUM_OK;
}

static lum_status read_back(struct lum__fs *fs, struct file_copy *copy, const char *path)
{
    struct lum__file *file = NULL;
    lum_status status = LUM_OK;
    uint32_t crc = 0;
    uint64_t limit = copy->size_bytes < copy->options->limit_bytes ? copy->size_bytes : copy->options->limit_bytes;
    LUM_TRY(lum__fs_open_file(fs, path, LUM__OPEN_READ | LUM__OPEN_DIRECT, &file));
    for (uint64_t offset = 0; offset < limit; offset += LUM__COPY_PART_BYTES) {
        uint64_t left = limit - offset;
        size_t wanted = left < LUM__COPY_PART_BYTES ? (size_t)left : LUM__COPY_PART_BYTES, bytes_read = 0;
        /* A whole part is asked for: direct reads are whole blocks. */
        LUM_TRY_OUT(lum__file_read(file, copy->buffer, LUM__COPY_PART_BYTES, offset, &bytes_read));
        if (bytes_read < wanted) break; /* then the CRC differs */
        crc = lum__crc32c(crc, copy->buffer, wanted);
    }
    if (crc != copy->crc)
        status = lum__fail_at(__FILE__, __LINE__, LUM_ERR_IO, 0, path, LUM_NO_OFFSET, 0,
                              "the copy of %s does not read back as it was written", path);
out:
    (void)lum__file_close(file);
    return status;
}

static lum_status fill_copy(struct lum__fs *to, struct file_copy *copy, const char *path)
{
    struct lum__file_info info;
    LUM_TRY(lum__file_info(copy->from, &info));
    copy->size_bytes = info.size_bytes;
    bool is_whole = copy->options->limit_bytes >= copy->size_bytes;
    if (is_whole && !copy->options->no_clone && lum__file_clone(copy->from, copy->to)) {
        copy->counts->bytes_shared += copy->size_bytes;
        return lum__file_sync(copy->to);
    }
    LUM_TRY(copy_bytes(copy));
    LUM_TRY(lum__file_sync(copy->to));
    return copy->options->read_back ? read_back(to, copy, path) : LUM_OK;
}

lum_status lum__copy_file(struct lum__fs *from, struct lum__fs *to, const char *path,
                          const struct lum__copy_file_options *options, struct lum__copy_file_counts *counts)
{
    struct file_copy copy = {.options = options, .counts = counts};
    void *memory = NULL;
    size_t mapped = 0;
    lum_status status = LUM_OK;
    LUM_TRY(lum__fs_open_file(from, path, LUM__OPEN_READ, &copy.from));
    LUM_TRY_OUT(lum__fs_open_file(to, path, LUM__OPEN_WRITE | LUM__OPEN_CREATE, &copy.to));
    LUM_TRY_OUT(lum__memory_map(LUM__COPY_PART_BYTES, &memory, &mapped));
    copy.buffer = memory;
    status = fill_copy(to, &copy, path);
out:;
    struct lum__error cause = *lum__error_last();
    if (memory != NULL) lum__memory_unmap(memory, mapped);
    (void)lum__file_close(copy.from);
    lum_status closed = lum__file_close(copy.to);
    if (status == LUM_OK) return closed;
    lum__error_restore(&cause);
    return status;
}
