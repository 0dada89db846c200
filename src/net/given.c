/* SPDX-License-Identifier: Apache-2.0 */
#include "net/given.h"

#include "base/slice.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

unsigned given_count(void)
{
    const char *pid = getenv("LISTEN_PID");
    const char *fds = getenv("LISTEN_FDS");
    uint64_t whose = 0;
    uint64_t count = 0;
    if (pid == NULL || fds == NULL || !slice_to_u64(slice_from_cstring(pid), INT32_MAX, &whose) ||
        (pid_t)whose != getpid() || !slice_to_u64(slice_from_cstring(fds), GIVEN_MAX, &count))
        count = 0;
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return (unsigned)count;
}

static bool option_is(int fd, int option, int wanted)
{
    int value = 0;
    socklen_t size = sizeof value;
    return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 && value == wanted;
}

bool given_listens(int fd)
{
    if (!option_is(fd, SO_ACCEPTCONN, 1) || !option_is(fd, SO_TYPE, SOCK_STREAM))
        return false;
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
           fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

bool given_is_open(int fd)
{
    return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

int given_copy(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

bool given_set_mode(const char *path, unsigned mode)
{
    return chmod(path, (mode_t)mode) == 0;
}
