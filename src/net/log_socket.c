/* SPDX-License-Identifier: Apache-2.0 */
#include "net/log_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
    WAIT_S = 1,
    BUFFER_BYTES = 4 * 1024 * 1024, /* as far as the system allows it */
};

enum status log_socket_open(enum log_socket_kind kind, const struct address *to, int *fd,
                            const char **why)
{
    struct timeval wait = {.tv_sec = WAIT_S};
    int type = kind == LOG_SOCKET_STREAM ? SOCK_STREAM : SOCK_DGRAM;
    int buffer = BUFFER_BYTES;
    int opened = socket(to->any.sa_family, type | SOCK_CLOEXEC, 0);
    if (opened < 0) {
        *why = strerrordesc_np(errno);
        return ERR_SYSTEM;
    }
    if (setsockopt(opened, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) == 0 &&
        setsockopt(opened, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer) == 0 &&
        connect(opened, &to->any, to->size) == 0) {
        *fd = opened;
        return OK;
    }
    *why = errno == EINPROGRESS ? "Connection timed out" : strerrordesc_np(errno);
    close(opened);
    return ERR_SYSTEM;
}

static enum status status_of(int error)
{
    switch (error) {
    case EAGAIN:
    case ENOBUFS:
        return ERR_TIMEOUT;
    case EMSGSIZE:
        return ERR_LIMIT;
    default:
        return ERR_SYSTEM;
    }
}

enum status log_socket_send(int fd, struct slice data)
{
    bool has_begun = false;
    while (data.size > 0) {
        ssize_t sent = send(fd, data.data, data.size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return has_begun ? ERR_SYSTEM : status_of(errno);
        data = slice_from(data, (size_t)sent);
        has_begun = true;
    }
    return OK;
}

void log_socket_close(int fd)
{
    close(fd);
}

struct slice log_socket_host_name(char *name, size_t size)
{
    if (gethostname(name, size) != 0)
        return SLICE("");
    name[size - 1] = '\0';
    return slice_from_cstring(name);
}
