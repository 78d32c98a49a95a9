/* recovery/store_create.c - a new, empty store. Steps, with numbers: recovery/README.md "Creating". STATE is made last
 * of all, when everything else is synced: a directory without STATE is no store, whatever else of ours is in it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/status.h"
#include "recovery/parts.h"
#include "recovery/state.h"
#include "storage/header.h"

enum { READ_BYTES = 1 << 20 };

/* What an interrupted creation may leave behind; all of it is made again. */
static const char *const top_names[] = {"LOCK", "wal", "data", "checkpoint-1", "checkpoint-1.tmp", "STATE.tmp"};

struct look {
    char in_the_way[LUM__PATH_BYTES_MAX * 2]; /* first thing that creation never leaves, "" if none */
    const char *folder;
};

static void put_in_the_way(struct look *look, const char *name)
{
    if (look->in_the_way[0] != 0) return;
    snprintf(look->in_the_way, sizeof look->in_the_way, "%s%s%s", look->folder, look->folder[0] ? "/" : "", name);
}

static lum_status look_at_top(void *context, const char *name)
{
    for (size_t i = 0; i < sizeof top_names / sizeof top_names[0]; i++) {
        if (strcmp(name, top_names[i]) == 0) return LUM_OK;
    }
    put_in_the_way(context, name);
    return LUM_OK;
}

static lum_status look_at_wal(void *context, const char *name)
{
    if (strcmp(name, "1.wal") != 0 && strcmp(name, "1.wal.tmp") != 0) put_in_the_way(context, name);
    return LUM_OK;
}

static lum_status look_at_data(void *context, const char *name)
{
    put_in_the_way(context, name);
    return LUM_OK;
}

static lum_status look_into(struct lum__fs *fs, const char *folder, lum_status (*each)(void *, const char *),
                            struct look *look)
{
    look->folder = folder;
    lum_status status = lum__fs_list(fs, folder, each, look);
    return status == LUM_ERR_NOT_FOUND ? LUM_OK : status;
}

/* A file of an interrupted creation holds nothing but zeros behind its header; a log with records, or a checkpoint with
 * a body, is somebody's data. */
static lum_status look_for_content(struct lum__fs *fs, const char *path, struct look *look)
{
    struct lum__file *file = NULL;
    void *buffer = NULL;
    lum_status status = lum__fs_open_file(fs, path, LUM__OPEN_READ, &file);
    if (status == LUM_ERR_NOT_FOUND) return LUM_OK;
    LUM_TRY(status);
    LUM_TRY_OUT(lum__alloc(READ_BYTES, &buffer));
    for (uint64_t offset = LUM__BLOCK_BYTES;;) {
        size_t bytes = 0;
        LUM_TRY_OUT(lum__file_read(file, buffer, READ_BYTES, offset, &bytes));
        if (bytes == 0) break;
        if (!lum__is_zero(buffer, bytes)) {
            look->folder = "";
            put_in_the_way(look, path);
            break;
        }
        offset += bytes;
    }
out:
    free(buffer);
    lum__file_close(file);
    return status;
}

static lum_status check_directory_is_ours(struct lum__fs *fs)
{
    struct look look = {.in_the_way = "", .folder = ""};
    LUM_TRY(look_into(fs, "", look_at_top, &look));
    LUM_TRY(look_into(fs, "wal", look_at_wal, &look));
    LUM_TRY(look_into(fs, "data", look_at_data, &look));
    LUM_TRY(look_for_content(fs, "wal/1.wal", &look));
    LUM_TRY(look_for_content(fs, "checkpoint-1", &look));
    if (look.in_the_way[0] == 0) return LUM_OK;
    if (strcmp(look.in_the_way, "STATE") == 0)
        return lum__fail_at(__FILE__, __LINE__, LUM_ERR_EXISTS, 0, "STATE", LUM_NO_OFFSET, 0,
                            "there is a store here already");
    lum_status status = lum__fail_at(__FILE__, __LINE__, LUM_ERR_EXISTS, 0, look.in_the_way, LUM_NO_OFFSET, 0,
                                     "the directory is not empty: a new store needs an empty or a new directory");
    bool is_of_store = strncmp(look.in_the_way, "checkpoint-", 11) == 0 || strncmp(look.in_the_way, "wal/", 4) == 0 ||
                       strncmp(look.in_the_way, "data/", 5) == 0;
    lum__error_set_remedy(is_of_store ? "name another directory; lum salvage reads what is left of a store whose STATE is missing"
                                      : "name another directory");
    return status;
}

/* Opens or makes LOCK and takes the writer's byte. Two creators at once: one waits outside (LUM_ERR_BUSY). */
static lum_status make_lock(struct lum__fs *fs, struct lum__file **lock_file)
{
    struct lum__file *file = NULL;
    lum_status status = lum__fs_open_file(fs, "LOCK", LUM__OPEN_WRITE | LUM__OPEN_CREATE, &file);
    if (status == LUM_OK) status = lum__file_close(file);
    if (status != LUM_ERR_EXISTS) LUM_TRY(status);
    return lum__store_lock(fs, lock_file);
}

static lum_status remove_if_there(struct lum__fs *fs, const char *path)
{
    lum_status status = lum__fs_unlink(fs, path);
    return status == LUM_ERR_NOT_FOUND ? LUM_OK : status;
}

static lum_status make_folder(struct lum__fs *fs, const char *path)
{
    lum_status status = lum__fs_mkdir(fs, path);
    return status == LUM_ERR_EXISTS ? LUM_OK : status;
}

static lum_status make_first_segment(struct lum__fs *fs, const lum_options *options, const struct lum__state *state,
                                     struct lum__checkpoint *checkpoint)
{
    struct lum__wal_writer_options writer_options;
    lum__parts_writer_options(fs, options, state, 1, &writer_options);
    struct lum__log_position nowhere = {0};
    struct lum__wal_writer *writer = NULL;
    LUM_TRY(lum__wal_writer_start(&writer_options, &nowhere, &writer));
    lum__wal_position(writer, &checkpoint->replay);
    checkpoint->next_wal_segment = lum__wal_next_segment(writer);
    return lum__wal_writer_close(writer);
}

static lum_status make_first_checkpoint(struct lum__fs *fs, struct lum__checkpoint *checkpoint)
{
    struct lum__catalogue *catalogue = NULL;
    LUM_TRY(lum__catalogue_create(&catalogue));
    const struct lum__catalogue_version *version = lum__catalogue_pin(catalogue);
    lum_status status =
        lum__checkpoint_write(fs, checkpoint, version); /* syncs the top directory too: LOCK, wal/ and data/ */
    lum__catalogue_unpin(catalogue, version);
    lum__catalogue_destroy(catalogue);
    return status;
}

static lum_status make_store(struct lum__fs *fs, const lum_options *options)
{
    struct lum__state state = {.epoch = 1, .state = LUM_STATE_NORMAL, .is_clean = true, .clean_checkpoint = 1};
    state.attempts_max = options->max_recovery_attempts ? options->max_recovery_attempts : LUM__STATE_ATTEMPTS_DEFAULT;
    lum__random_bytes(state.store_id, sizeof state.store_id);

    struct lum__checkpoint checkpoint = {.number = 1, .epoch = 1, .next_data_segment = 1};
    checkpoint.timestamp = lum__clock_wall_ns();
    memcpy(checkpoint.store_id, state.store_id, sizeof checkpoint.store_id);

    for (size_t i = 3; i < sizeof top_names / sizeof top_names[0]; i++) LUM_TRY(remove_if_there(fs, top_names[i]));
    LUM_TRY(make_folder(fs, "wal"));
    LUM_TRY(make_folder(fs, "data"));
    LUM_TRY(remove_if_there(fs, "wal/1.wal"));
    LUM_TRY(remove_if_there(fs, "wal/1.wal.tmp"));
    LUM_TRY(make_first_segment(fs, options, &state, &checkpoint));
    LUM_ASSERT(checkpoint.replay.segment == 1 && checkpoint.replay.sequence == 0);
    LUM_TRY(make_first_checkpoint(fs, &checkpoint));

    state.clean_segment = checkpoint.replay.segment;
    state.clean_offset = checkpoint.replay.offset;
    return lum__state_write(fs, &state);
}

lum_status lum__store_create(struct lum__fs *fs, const lum_options *options, struct lum__file **lock_file)
{
    *lock_file = NULL;
    LUM_TRY(check_directory_is_ours(fs)); /* before LOCK is put into it */
    LUM_TRY(make_lock(fs, lock_file));
    lum_status status = check_directory_is_ours(fs); /* another creator may have finished meanwhile */
    if (status == LUM_OK) status = make_store(fs, options);
    if (status != LUM_OK) {
        lum__file_close(*lock_file);
        *lock_file = NULL;
    }
    return status;
}
