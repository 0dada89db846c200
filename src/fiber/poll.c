/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/poll.h"

#include "base/check.h"

#include <errno.h>
#include <unistd.h>

int poll_open(void)
{
    return epoll_create1(EPOLL_CLOEXEC);
}

void poll_close(int poll)
{
    close(poll);
}

bool poll_add(int poll, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};
    return epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) == 0;
}

void poll_remove(int poll, int fd)
{
    check(epoll_ctl(poll, EPOLL_CTL_DEL, fd, NULL) == 0);
}

int poll_wait(int poll, struct epoll_event *events, int max, int timeout_ms)
{
    int count = epoll_wait(poll, events, max, timeout_ms);
    check(count >= 0 || errno == EINTR);
    return count < 0 ? 0 : count;
}
