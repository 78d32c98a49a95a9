/* Proves that every worker's body runs exactly once for any team size, nested or limited, and that CPU quotas of both cgroup
 * versions are read right. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/parallel.h"

enum { WORKERS_MAX = 64 };

struct count_context {
    atomic_uint runs[WORKERS_MAX];
    pthread_t caller;
    pthread_t worker_zero;
};

static void count_run(void *context, uint32_t worker)
{
    struct count_context *count = context;

    atomic_fetch_add(&count->runs[worker], 1);
    if (worker == 0) count->worker_zero = pthread_self();
}

static void every_body_runs_once(void **state)
{
    (void)state;
    for (uint32_t workers = 1; workers <= WORKERS_MAX; workers += workers < 8 ? 1 : 14) {
        struct count_context count = {.caller = pthread_self()};
        lum__parallel(workers, count_run, &count);
        for (uint32_t i = 0; i < WORKERS_MAX; i++) assert_int_equal(atomic_load(&count.runs[i]), i < workers);
        assert_true(pthread_equal(count.caller, count.worker_zero));
    }
}

static void run_nested(void *context, uint32_t worker)
{
    (void)worker;
    lum__parallel(4, count_run, context);
}

static void nested_teams_run_every_body_too(void **state)
{
    struct count_context count = {.caller = pthread_self()};

    (void)state;
    lum__parallel(1, run_nested, &count);
    for (uint32_t i = 0; i < 4; i++) assert_int_equal(atomic_load(&count.runs[i]), 1);
}

static void add_to_sum(void *context, uint32_t worker)
{
    uint64_t *slots = context;

    for (uint64_t i = 0; i < 1000; i++) slots[worker] += i;
}

static void results_are_visible_after_the_join(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) {
        uint64_t slots[4] = {0};
        lum__parallel(4, add_to_sum, slots);
        for (int i = 0; i < 4; i++) assert_true(slots[i] == 499500);
    }
}

static void write_text(const char *root, const char *name, const char *text)
{
    char path[512];

    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = strchr(path + strlen(root) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static uint32_t quota_with(const char *root, const char *self)
{
    char path[512];

    write_text(root, "self", self);
    (void)snprintf(path, sizeof path, "%s/self", root);
    return lum__cpu_quota(root, path);
}

static void quotas_of_both_cgroup_versions(void **state)
{
    char root[] = "/tmp/lum_cgroup_XXXXXX";
    char command[64];

    (void)state;
    assert_non_null(mkdtemp(root));
    assert_true(lum__cpu_quota(root, "/does/not/exist") == UINT32_MAX);
    assert_true(quota_with(root, "0::/a/b\n") == UINT32_MAX); /* no files at all */
    write_text(root, "a/b/cpu.max", "max 100000\n");
    assert_true(quota_with(root, "0::/a/b\n") == UINT32_MAX);
    write_text(root, "a/cpu.max", "250000 100000\n");
    assert_int_equal(quota_with(root, "0::/a/b\n"), 3);         /* of the group above, rounded up */
    assert_int_equal(quota_with(root, "0::/a/b/gone\n"), 3);    /* a path of another namespace */
    assert_true(quota_with(root, "0::/c\n") == UINT32_MAX);
    write_text(root, "a/b/cpu.max", "1000 100000\n");
    assert_int_equal(quota_with(root, "0::/a/b\n"), 1);         /* at least one */
    write_text(root, "cpu/v/cpu.cfs_quota_us", "-1\n");
    write_text(root, "cpu/v/cpu.cfs_period_us", "100000\n");
    assert_true(quota_with(root, "3:cpuset:/v\n2:cpu,cpuacct:/v\n") == UINT32_MAX);
    write_text(root, "cpu/v/cpu.cfs_quota_us", "400000\n");
    assert_int_equal(quota_with(root, "3:cpuset:/v\n2:cpu,cpuacct:/v\n"), 4);
    assert_int_equal(quota_with(root, "2:cpuacct,cpu:/v\n"), 4);
    assert_true(quota_with(root, "3:cpuset:/v\n") == UINT32_MAX); /* the controller's name must match whole */
    assert_true(quota_with(root, "rubbish\n\n:\n") == UINT32_MAX);
    (void)snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0);
}

static void this_process_has_a_cpu(void **state)
{
    (void)state;
    assert_true(lum__cpu_count() >= 1);
    assert_true(lum__cpu_count() <= (uint32_t)sysconf(_SC_NPROCESSORS_CONF));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_body_runs_once),
        cmocka_unit_test(nested_teams_run_every_body_too),
        cmocka_unit_test(results_are_visible_after_the_join),
        cmocka_unit_test(quotas_of_both_cgroup_versions),
        cmocka_unit_test(this_process_has_a_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
