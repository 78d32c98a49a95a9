#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/archive_library.h"
#include "cli/input_decode.h"
#include "cli/signals.h"

enum { RAW_BYTES = 256 * 1024, BLOCK_BYTES = 1024 * 1024, BLOCK_COUNT = 3, PEEK_BYTES = 16 };

/* Plain bytes that the decoding thread has ready. */
struct block {
    uint8_t *bytes;
    size_t length;
};

struct lum_input {
    /* immutable after opening */
    char *name;
    int fd;
    bool is_regular, is_at_start;
    uint64_t bytes_total, file_bytes; /* to be read; the file's size when it was opened */
    enum lum_compression compression;
    struct lum_decoder *decoder;
    pthread_t thread;
    bool thread_started;
    int stop_fd; /* an eventfd: ends the thread's wait for a pipe */

    /* whoever reads the file: the caller where it is plain, else the decoding thread */
    uint8_t peek[PEEK_BYTES];
    size_t peek_bytes, peek_used;
    uint8_t *raw;

    /* under mutex: a ring of blocks, filled by the thread, emptied by the reader */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct block blocks[BLOCK_COUNT];
    unsigned first, ready; /* blocks [first, first + ready) hold bytes */
    bool ended;            /* no more blocks will come */
    bool failed;           /* ... because of this: */
    bool stop;             /* the reader is gone */
    char message[LUM_DECODER_MESSAGE_MAX];

    /* reader only */
    size_t block_used; /* of the first block */
    uint8_t *front;    /* what lum_input_peek() read ahead: [front_used, front_bytes) is still to be given */
    size_t front_bytes, front_used;

    _Atomic uint64_t bytes_read, bytes_plain, bytes_decoded; /* counters for reports; they order nothing */
};

/* --------------------------------------------------------------------------------------------------- the raw file */

/* Waits until a pipe has bytes; false when the reader is gone, or the user has had enough. Files do not need it: their
 * reads end by themselves. (poll() passes over descriptors that are not there, -1.) */
static bool wait_for_bytes(struct lum_input *input)
{
    struct pollfd fds[3] = {{.fd = input->fd, .events = POLLIN},
                            {.fd = input->stop_fd, .events = POLLIN},
                            {.fd = lum__signals_interrupt_fd(), .events = POLLIN}};

    if (input->is_regular) return true;
    while (poll(fds, 3, -1) < 0)
        if (errno != EINTR) return true; /* let read() tell */
    return fds[1].revents == 0 && fds[2].revents == 0;
}

/* What ends early because the user interrupts it is not an end of the input, nor an error of it. */
static lum_status cancel_if_interrupted(lum_status status)
{
    return lum__signals_interrupted() ? LUM_ERR_CANCELLED : status;
}

/* The file's next bytes, those that were looked at first included. */
static ssize_t read_raw(struct lum_input *input, uint8_t *out, size_t bytes_max)
{
    if (input->peek_used < input->peek_bytes) {
        size_t length = input->peek_bytes - input->peek_used;
        if (length > bytes_max) length = bytes_max;
        memcpy(out, input->peek + input->peek_used, length);
        input->peek_used += length;
        return (ssize_t)length;
    }
    for (;;) {
        if (!wait_for_bytes(input)) return 0;
        ssize_t got = read(input->fd, out, bytes_max);
        if (got < 0 && errno == EINTR) continue;
        if (got > 0) atomic_fetch_add_explicit(&input->bytes_read, (uint64_t)got, memory_order_relaxed);
        return got;
    }
}

static ssize_t decoder_source(void *context, const uint8_t **bytes, char message[LUM_DECODER_MESSAGE_MAX])
{
    struct lum_input *input = context;

    ssize_t got = read_raw(input, input->raw, RAW_BYTES);
    if (got < 0) (void)snprintf(message, LUM_DECODER_MESSAGE_MAX, "cannot read the input: %s", strerror(errno));
    *bytes = input->raw;
    return got;
}

/* ----------------------------------------------------------------------------------------------- the decoding thread
 */

/* Fills one block. False at the end, with *failed and message where it is no good end. */
static bool decode_block(struct lum_input *input, struct block *block, bool *failed, char *message)
{
    block->length = 0;
    while (block->length < BLOCK_BYTES) {
        ssize_t got =
            lum_decoder_read(input->decoder, block->bytes + block->length, BLOCK_BYTES - block->length, message);
        if (got <= 0) {
            *failed = got < 0;
            return false;
        }
        block->length += (size_t)got;
        atomic_fetch_add_explicit(&input->bytes_decoded, (uint64_t)got, memory_order_relaxed);
    }
    return true;
}

static void *decode_ahead(void *context)
{
    struct lum_input *input = context;
    char message[LUM_DECODER_MESSAGE_MAX] = "";
    bool more = true, failed = false;

    while (more) {
        (void)pthread_mutex_lock(&input->mutex);
        while (input->ready == BLOCK_COUNT && !input->stop) (void)pthread_cond_wait(&input->changed, &input->mutex);
        bool stop = input->stop;
        struct block *block = &input->blocks[(input->first + input->ready) % BLOCK_COUNT];
        (void)pthread_mutex_unlock(&input->mutex);
        if (stop) break;

        more = decode_block(input, block, &failed, message); /* not ready yet: ours alone */

        (void)pthread_mutex_lock(&input->mutex);
        input->ready += block->length > 0;
        input->ended = !more;
        input->failed = failed;
        memcpy(input->message, message, sizeof message);
        (void)pthread_cond_broadcast(&input->changed);
        (void)pthread_mutex_unlock(&input->mutex);
    }
    return NULL;
}

static lum_status fail(const struct lum_input *input, const char *message)
{
    return lum_source_fail(input->name, 0, atomic_load_explicit(&input->bytes_read, memory_order_relaxed), message);
}

static lum_status fail_errno(const char *name, const char *what, int os_errno)
{
    char message[256];
    (void)snprintf(message, sizeof message, "%s: %s", what, strerror(os_errno));
    return lum_source_fail(name, 0, UINT64_MAX, message);
}

static lum_status read_decoded(struct lum_input *input, uint8_t *out, size_t bytes_max, size_t *bytes)
{
    lum_status status = LUM_OK;

    (void)pthread_mutex_lock(&input->mutex);
    while (input->ready == 0 && !input->ended) (void)pthread_cond_wait(&input->changed, &input->mutex);
    bool ready = input->ready > 0;
    if (!ready && input->failed) status = fail(input, input->message);
    const struct block *block = &input->blocks[input->first];
    (void)pthread_mutex_unlock(&input->mutex);
    if (!ready) return status;

    size_t length = block->length - input->block_used; /* ready: ours until we say that it is empty */
    if (length > bytes_max) length = bytes_max;
    memcpy(out, block->bytes + input->block_used, length);
    input->block_used += length;
    *bytes = length;
    if (input->block_used == block->length) {
        (void)pthread_mutex_lock(&input->mutex);
        input->first = (input->first + 1) % BLOCK_COUNT;
        input->ready--;
        input->block_used = 0;
        (void)pthread_cond_broadcast(&input->changed);
        (void)pthread_mutex_unlock(&input->mutex);
    }
    return LUM_OK;
}

/* A plain file that somebody cuts while it is read would end within a row, or a number. (Files of /sys have fewer bytes than they say, and go on
 * saying so.) */
static lum_status check_length(const struct lum_input *input)
{
    struct stat facts;
    uint64_t read = atomic_load_explicit(&input->bytes_read, memory_order_relaxed);
    if (read >= input->bytes_total || fstat(input->fd, &facts) != 0 || (uint64_t)facts.st_size >= input->file_bytes) return LUM_OK;
    return fail(input, "the file became shorter while it was read");
}

static lum_status read_plain(struct lum_input *input, uint8_t *out, size_t bytes_max, size_t *bytes)
{
    *bytes = 0;
    if (input->compression != LUM_PLAIN) {
        lum_status status = read_decoded(input, out, bytes_max, bytes);
        if (status != LUM_OK) return cancel_if_interrupted(status);
    } else {
        ssize_t got = read_raw(input, out, bytes_max);
        if (got < 0) return fail_errno(input->name, "cannot read the input", errno);
        *bytes = (size_t)got;
        if (got == 0 && input->is_regular) return cancel_if_interrupted(check_length(input));
    }
    return *bytes == 0 ? cancel_if_interrupted(LUM_OK) : LUM_OK;
}

lum_status lum_input_read(void *context, uint8_t *out, size_t bytes_max, size_t *bytes)
{
    struct lum_input *input = context;
    lum_status status = LUM_OK;

    *bytes = input->front_bytes - input->front_used;
    if (*bytes > 0) {
        if (*bytes > bytes_max) *bytes = bytes_max;
        memcpy(out, input->front + input->front_used, *bytes);
        input->front_used += *bytes;
    } else {
        status = read_plain(input, out, bytes_max, bytes);
    }
    atomic_fetch_add_explicit(&input->bytes_plain, *bytes, memory_order_relaxed);
    return status;
}

lum_status lum_input_peek(struct lum_input *input, size_t bytes_wanted, const uint8_t **bytes, size_t *byte_count)
{
    *bytes = NULL;
    *byte_count = 0;
    if (bytes_wanted > LUM_INPUT_PEEK_MAX) bytes_wanted = LUM_INPUT_PEEK_MAX;
    if (input->front == NULL) input->front = malloc(LUM_INPUT_PEEK_MAX);
    if (input->front == NULL) return lum_source_fail(input->name, 0, UINT64_MAX, "no memory to look at the input");
    while (input->front_bytes < bytes_wanted) {
        size_t got;
        lum_status status = read_plain(input, input->front + input->front_bytes, LUM_INPUT_PEEK_MAX - input->front_bytes, &got);
        if (status != LUM_OK) return status;
        if (got == 0) break;
        input->front_bytes += got;
    }
    *bytes = input->front;
    *byte_count = input->front_bytes;
    return LUM_OK;
}

int lum_input_fd(const struct lum_input *input, uint64_t *file_bytes)
{
    /* Files of /proc say that they have no bytes, and have some. */
    bool is_plain_file = input->is_regular && input->is_at_start && input->bytes_total > 0 && input->compression == LUM_PLAIN;
    *file_bytes = is_plain_file ? input->bytes_total : 0;
    return is_plain_file ? input->fd : -1;
}

/* ------------------------------------------------------------------------------------------------ opening, closing */

static lum_status open_file(struct lum_input *input, const char *path)
{
    struct stat facts;

    if (strcmp(path, "-") == 0) {
        input->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    } else {
        do input->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        while (input->fd < 0 && errno == EINTR);
    }
    if (input->fd < 0) return fail_errno(input->name, "cannot open the input", errno);
    if (fstat(input->fd, &facts) != 0) return fail_errno(input->name, "cannot examine the input", errno);
    if (S_ISDIR(facts.st_mode))
        return lum_source_fail(input->name, 0, UINT64_MAX, "this is a directory, not a file of rows");
    input->is_regular = S_ISREG(facts.st_mode);
    if (input->is_regular) {
        off_t at = lseek(input->fd, 0, SEEK_CUR); /* stdin may stand anywhere */
        input->is_at_start = at == 0;
        input->file_bytes = (uint64_t)facts.st_size;
        input->bytes_total = at >= 0 && at < facts.st_size ? (uint64_t)(facts.st_size - at) : 0;
        (void)posix_fadvise(input->fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* advice only */
    }
    return LUM_OK;
}

/* Looks at the first bytes and keeps them for the reader. */
static lum_status detect_compression(struct lum_input *input)
{
    while (input->peek_bytes < PEEK_BYTES) {
        uint8_t bytes[PEEK_BYTES];
        ssize_t got = read_raw(input, bytes, PEEK_BYTES - input->peek_bytes);
        if (got < 0) return fail_errno(input->name, "cannot read the input", errno);
        if (got == 0) break;
        memcpy(input->peek + input->peek_bytes, bytes, (size_t)got);
        input->peek_bytes = input->peek_used = input->peek_bytes + (size_t)got;
    }
    input->peek_used = 0;
    input->compression = lum_compression_detect(input->peek, input->peek_bytes);
    if (input->peek_bytes >= 4 && memcmp(input->peek, "PK\3\4", 4) == 0)
        return lum_source_fail(input->name, 0, 0,
                               "this is a zip archive: unpack it first (unzip -p FILE | lum load STORE -)");
    return LUM_OK;
}

static lum_status start_decoding(struct lum_input *input)
{
    const char *no_memory = "no memory to decompress the input";

    if (input->compression == LUM_PLAIN) return LUM_OK;
    input->decoder = lum_decoder_open(input->compression, decoder_source, input);
    input->raw = malloc(RAW_BYTES);
    if (input->decoder == NULL && input->compression != LUM_GZIP) {
        const char *reason;
        if (lum_archive_library(&reason) == NULL) {
            char message[320];
            snprintf(message, sizeof message, "libarchive, which decompresses %s, cannot be loaded (%s)", lum_input_compression(input), reason);
            return lum_source_fail(input->name, 0, UINT64_MAX, message);
        }
    }
    if (input->decoder == NULL || input->raw == NULL) return lum_source_fail(input->name, 0, UINT64_MAX, no_memory);
    for (unsigned i = 0; i < BLOCK_COUNT; ++i) {
        input->blocks[i].bytes = malloc(BLOCK_BYTES);
        if (input->blocks[i].bytes == NULL) return lum_source_fail(input->name, 0, UINT64_MAX, no_memory);
    }
    if (!input->is_regular) {
        input->stop_fd = eventfd(0, EFD_CLOEXEC);
        if (input->stop_fd < 0) return fail_errno(input->name, "cannot wait for the input", errno);
    }
    int os_errno = pthread_create(&input->thread, NULL, decode_ahead, input);
    if (os_errno != 0) return fail_errno(input->name, "cannot start a thread to decompress the input", os_errno);
    input->thread_started = true;
    return LUM_OK;
}

lum_status lum_input_open(const char *path, struct lum_input **out)
{
    *out = NULL;
    struct lum_input *input = calloc(1, sizeof *input);
    char *name = strdup(strcmp(path, "-") == 0 ? "(stdin)" : path);
    if (input == NULL || name == NULL) {
        free(input);
        free(name);
        return lum_source_fail(path, 0, UINT64_MAX, "no memory to open the input");
    }
    input->name = name;
    input->fd = input->stop_fd = -1;
    (void)pthread_mutex_init(&input->mutex, NULL);
    (void)pthread_cond_init(&input->changed, NULL);
    lum_status status = open_file(input, path);
    if (status == LUM_OK) status = cancel_if_interrupted(detect_compression(input));
    if (status == LUM_OK) status = start_decoding(input);
    if (status != LUM_OK) {
        lum_input_close(input);
        return status;
    }
    *out = input;
    return LUM_OK;
}

void lum_input_close(struct lum_input *input)
{
    if (input == NULL) return;
    if (input->thread_started) {
        (void)pthread_mutex_lock(&input->mutex);
        input->stop = true;
        (void)pthread_cond_broadcast(&input->changed);
        (void)pthread_mutex_unlock(&input->mutex);
        if (input->stop_fd >= 0) (void)eventfd_write(input->stop_fd, 1);
        (void)pthread_join(input->thread, NULL);
    }
    lum_decoder_close(input->decoder);
    for (unsigned i = 0; i < BLOCK_COUNT; ++i) free(input->blocks[i].bytes);
    free(input->raw);
    free(input->front);
    if (input->stop_fd >= 0) (void)close(input->stop_fd);
    if (input->fd >= 0) (void)close(input->fd);
    (void)pthread_cond_destroy(&input->changed);
    (void)pthread_mutex_destroy(&input->mutex);
    free(input->name);
    free(input);
}

const char *lum_input_name(const struct lum_input *input) { return input->name; }
const char *lum_input_compression(const struct lum_input *input) { return lum_compression_name(input->compression); }
uint64_t lum_input_bytes_total(const struct lum_input *input) { return input->bytes_total; }

uint64_t lum_input_bytes_read(const struct lum_input *input)
{
    return atomic_load_explicit(&input->bytes_read, memory_order_relaxed);
}

uint64_t lum_input_bytes_plain(const struct lum_input *input)
{
    return atomic_load_explicit(&input->bytes_plain, memory_order_relaxed);
}

uint64_t lum_input_bytes_decoded(const struct lum_input *input)
{
    const _Atomic uint64_t *counter = input->compression == LUM_PLAIN ? &input->bytes_read : &input->bytes_decoded;
    return atomic_load_explicit(counter, memory_order_relaxed);
}
