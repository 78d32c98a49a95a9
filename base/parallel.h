/* base/parallel.h - the only place with OpenMP pragmas. */
#ifndef LUM_BASE_PARALLEL_H
#define LUM_BASE_PARALLEL_H

#include <stdint.h>

/* CPUs this process may use: the affinity mask, reduced by a cgroup (v1 or v2) CPU quota rounded up. At least 1. */
uint32_t lum__cpu_count(void);

/* The CPU quota, rounded up, that the cgroup files under cgroup_root (normally /sys/fs/cgroup) give to a process whose
 * /proc/self/cgroup is at self_cgroup_path: the smallest of its group and all groups above. UINT32_MAX if there is none. */
uint32_t lum__cpu_quota(const char *cgroup_root, const char *self_cgroup_path);

/* Runs body(context, worker) once for each worker in [0, workers) at the same time and waits for all of them. The calling
 * thread is worker 0. One OpenMP parallel region; if the runtime gives fewer threads than asked for, the missing workers'
 * bodies run afterwards on the threads it gave, so every body always runs. Bodies must not wait for each other. */
void lum__parallel(uint32_t workers, void (*body)(void *context, uint32_t worker), void *context);

#endif
