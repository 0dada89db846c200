/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/process.h"

#include "fiber/sanitizer.h"

#include <dirent.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int64_t process_raise_open_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    if (limit.rlim_cur < limit.rlim_max && setrlimit(RLIMIT_NOFILE, &raised) == 0)
        limit.rlim_cur = limit.rlim_max;
    return limit.rlim_cur > INT32_MAX ? INT32_MAX : (int64_t)limit.rlim_cur;
}

/* Lets go of every capability but that of low ports, if it was there (capabilities(7)). libcap
 * would be a library for two system calls. */
static bool keep_low_ports_only(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, data) != 0)
        return false;
    uint32_t kept = data[0].permitted & (1U << CAP_NET_BIND_SERVICE);
    data[0] = (struct __user_cap_data_struct){.effective = kept, .permitted = kept};
    data[1] = (struct __user_cap_data_struct){0};
    return syscall(SYS_capset, &header, data) == 0;
}

bool process_become(uint32_t user, uint32_t group)
{
    return prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0 && setgroups(0, NULL) == 0 &&
           setgid(group) == 0 && setuid(user) == 0 && keep_low_ports_only();
}

bool process_harden(bool may_dump)
{
    /* The leak sanitizer looks at its process as a debugger does. */
    bool is_open = may_dump || SANITIZER_STACK_FACTOR > 1;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_DUMPABLE, is_open, 0, 0, 0) == 0;
}

static uint64_t resident_pages(void)
{
    unsigned long long size = 0;
    unsigned long long resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    (void)fclose(file);
    return resident;
}

static uint64_t open_files(void)
{
    uint64_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL)
        return 0;
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count > 3 ? count - 3 : 0; /* ".", ".." and the directory's own */
}

void process_look(struct process_figures *figures)
{
    struct rusage usage = {0};
    struct rlimit limit = {0};
    *figures = (struct process_figures){0};
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        figures->cpu = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000000000) +
                       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * INT64_C(1000);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        figures->files_max = limit.rlim_cur;
    figures->resident = resident_pages() * (uint64_t)sysconf(_SC_PAGESIZE);
    figures->files = open_files();
}
