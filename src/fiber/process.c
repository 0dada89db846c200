/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/process.h"

#include <grp.h>
#include <sys/resource.h>
#include <unistd.h>

int64_t process_raise_open_files(void)
{
    struct rlimit limit = {0};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            getrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur > INT32_MAX ? INT32_MAX : (int64_t)limit.rlim_cur;
}

bool process_become(uint32_t user, uint32_t group)
{
    return setgroups(0, NULL) == 0 && setgid(group) == 0 && setuid(user) == 0;
}
