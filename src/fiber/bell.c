/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/bell.h"

#include "base/check.h"

#include <sys/eventfd.h>
#include <unistd.h>

enum status bell_open(int *fd)
{
    *fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return *fd < 0 ? ERR_SYSTEM : OK;
}

void bell_ring(int fd)
{
    check(eventfd_write(fd, 1) == 0);
}

void bell_hush(int fd)
{
    eventfd_t rings;
    if (eventfd_read(fd, &rings) != 0) {
        /* Another turn has read it already. */
    }
}

void bell_close(int fd)
{
    close(fd);
}
