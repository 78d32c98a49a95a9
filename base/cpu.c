/* base/cpu.c - how many CPUs this process may use: containers hide that in cgroup files, not in the affinity mask. */
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/parallel.h"

enum { PATH_BYTES = 4096 };

static bool read_first_line(char *line, size_t line_bytes, const char *folder, const char *file_name)
{
    char path[PATH_BYTES + 64];
    int length = snprintf(path, sizeof path, "%s/%s", folder, file_name);

    if (length < 0 || (size_t)length >= sizeof path) return false;
    FILE *file = fopen(path, "re");
    if (file == NULL) return false;
    bool is_read = fgets(line, (int)line_bytes, file) != NULL;
    (void)fclose(file);
    return is_read;
}

static uint32_t cpus_of_quota(long long quota_us, long long period_us)
{
    if (quota_us <= 0 || period_us <= 0) return UINT32_MAX; /* -1: no limit */
    long long cpus = quota_us / period_us + (quota_us % period_us != 0);
    return cpus < 1 ? 1 : cpus > UINT32_MAX ? UINT32_MAX : (uint32_t)cpus;
}

/* The quota that one folder's files give, of either cgroup version. */
static uint32_t quota_of_folder(const char *folder)
{
    char line[128];
    long long quota_us;
    long long period_us;

    if (read_first_line(line, sizeof line, folder, "cpu.max")) { /* v2: "max 100000" or "50000 100000" */
        return sscanf(line, "%lld %lld", &quota_us, &period_us) == 2 ? cpus_of_quota(quota_us, period_us) : UINT32_MAX;
    }
    if (!read_first_line(line, sizeof line, folder, "cpu.cfs_quota_us")) return UINT32_MAX; /* v1 */
    if (sscanf(line, "%lld", &quota_us) != 1) return UINT32_MAX;
    if (!read_first_line(line, sizeof line, folder, "cpu.cfs_period_us")) return UINT32_MAX;
    if (sscanf(line, "%lld", &period_us) != 1) return UINT32_MAX;
    return cpus_of_quota(quota_us, period_us);
}

/* The smallest quota of mount + group and every folder above it down to mount. A group's path may not exist below our mount
 * (another cgroup namespace): what does not exist limits nothing, and the mount itself is looked at in any case. */
static uint32_t quota_of_group(const char *mount, const char *group)
{
    char folder[PATH_BYTES];
    size_t mount_length = strlen(mount);
    int length = snprintf(folder, sizeof folder, "%s%s", mount, group);
    uint32_t least = UINT32_MAX;

    if (length < 0 || (size_t)length >= sizeof folder) return UINT32_MAX;
    for (;;) {
        uint32_t quota = quota_of_folder(folder);
        if (quota < least) least = quota;
        char *slash = strrchr(folder + mount_length, '/');
        if (slash == NULL) return least;
        *slash = '\0';
    }
}

static bool has_cpu_controller(const char *controllers)
{
    for (const char *at = controllers; at != NULL && *at != '\0';) {
        size_t length = strcspn(at, ",");
        if (length == 3 && memcmp(at, "cpu", 3) == 0) return true;
        at += length + (at[length] == ',');
    }
    return false;
}

uint32_t lum__cpu_quota(const char *cgroup_root, const char *self_cgroup_path)
{
    char line[PATH_BYTES];
    uint32_t least = UINT32_MAX;
    FILE *file = fopen(self_cgroup_path, "re");

    if (file == NULL) return UINT32_MAX;
    while (fgets(line, sizeof line, file) != NULL) { /* "number:controllers:path"; v2 has no controllers */
        char mount[PATH_BYTES];
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL) continue;
        controllers++;
        *group++ = '\0';
        bool is_v2 = controllers[0] == '\0';
        if (!is_v2 && !has_cpu_controller(controllers)) continue;
        int length = snprintf(mount, sizeof mount, is_v2 ? "%s" : "%s/cpu", cgroup_root);
        if (length < 0 || (size_t)length >= sizeof mount) continue;
        uint32_t quota = quota_of_group(mount, group);
        if (quota < least) least = quota;
    }
    (void)fclose(file);
    return least;
}

static uint32_t count_affinity_cpus(void)
{
    enum { CPUS_FIRST = 1024, CPUS_MAX = 1 << 20 };

    for (int cpus_max = CPUS_FIRST; cpus_max <= CPUS_MAX; cpus_max *= 2) { /* EINVAL: the kernel's mask is larger */
        cpu_set_t *set = CPU_ALLOC((size_t)cpus_max);
        size_t set_bytes = CPU_ALLOC_SIZE((size_t)cpus_max);
        if (set == NULL) break;
        CPU_ZERO_S(set_bytes, set);
        int result = sched_getaffinity(0, set_bytes, set);
        int error = errno;
        int count = result == 0 ? CPU_COUNT_S(set_bytes, set) : 0;
        CPU_FREE(set);
        if (result == 0 && count > 0) return (uint32_t)count;
        if (error != EINVAL) break;
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (uint32_t)online : 1;
}

uint32_t lum__cpu_count(void)
{
    uint32_t cpus = count_affinity_cpus();
    uint32_t quota = lum__cpu_quota("/sys/fs/cgroup", "/proc/self/cgroup");

    return quota < cpus ? quota : cpus;
}
