/* The public form of a thread's last failure, with what to do about it. */
#include <errno.h>

#include "base/status.h"
#include "lum/lum.h"

static const char *remedy(lum_status status, int os_errno)
{
    if (os_errno == EFBIG) return "files may not become so large here: raise `ulimit -f` (or use another file system), and run the command again";
    switch (status) {
    case LUM_ERR_FORKED: return "open the store again in the child process";
    case LUM_ERR_MEMORY_LIMIT: return "give more memory, or use fewer threads or smaller chunks";
    case LUM_ERR_SYNC:
    case LUM_ERR_POISONED: return "check the disk, then open the store again: it recovers by itself";
    case LUM_ERR_NO_SPACE: return "free space on the device and run the command again; nothing acknowledged is lost";
    case LUM_ERR_PERMISSION: return "check the permissions of the directory and the mount";
    case LUM_ERR_FILESYSTEM: return "use a local file system";
    case LUM_ERR_CORRUPT: return "run lum verify to see every damaged place; restore from a copy what is listed there, or save the rest with lum salvage";
    case LUM_ERR_UNSUPPORTED: return "use the version of lum that wrote it, or a newer one";
    case LUM_ERR_FOREIGN: return "remove the file that does not belong here";
    case LUM_ERR_BUSY: return "wait for the other process, or stop it";
    case LUM_ERR_NEEDS_PERSON: return "run lum recover --guided to see what was found and what can be done; reading what is intact still works";
    case LUM_ERR_NEEDS_RECOVERY: return "run lum recover, or open the store for writing";
    case LUM_ERR_NOT_FOUND: return "check the path; lum load makes a store that is not there";
    case LUM_ERR_INPUT: return "correct the input and load it again: nothing of this load was kept but what was committed";
    case LUM_IN_DOUBT: return "open the store again and look whether the transaction is there";
    default: return "";
    }
}

const lum_error_data *lum_last_error(void)
{
    static _Thread_local lum_error_data data;
    const struct lum__error *error = lum__error_last();
    data.status = error->status;
    data.os_errno = error->os_errno;
    data.file = error->file;
    data.line = error->line;
    data.offset = error->offset;
    data.condition = error->condition;
    data.message = error->message;
    data.remedy = error->remedy[0] ? error->remedy : remedy(error->status, error->os_errno);
    return &data;
}
