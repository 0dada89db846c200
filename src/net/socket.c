/* SPDX-License-Identifier: Apache-2.0 */
#include "net/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,
    KEEPALIVE_IDLE_S = 60,
    KEEPALIVE_INTERVAL_S = 10,
    KEEPALIVE_COUNT = 3,
    USER_TIMEOUT_MS = 60000, /* unacknowledged bytes end the connection */
    /* What may wait in the kernel for a peer whose window is closed. By itself the kernel takes
     * megabytes for each of those who never read, and as long to free them; at a gigabit a second
     * this is two milliseconds of sending. */
    UNSENT_MAX = 256 * 1024,
};

static void set(int fd, int level, int option, int value)
{
    /* These tune: a kernel that refuses one still serves. */
    if (setsockopt(fd, level, option, &value, sizeof value) != 0)
        return;
}

static void tune(int fd)
{
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    set(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
    set(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT);
    set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS);
    set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_MAX);
}

/* Inside one machine there is no path whose capacity could be estimated: a congestion control that
 * paces what it sends, as BBR does, only costs timers there. */
static void tune_loopback(int fd)
{
    static const char PLAIN[] = "reno";
    if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, PLAIN, sizeof PLAIN - 1) != 0)
        return;
}

/* Removes a socket file that nobody listens on any more. */
static void remove_stale(const struct address *address)
{
    struct stat file;
    if (stat(address->un.sun_path, &file) != 0 || !S_ISSOCK(file.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, &address->any, address->size) != 0 && errno == ECONNREFUSED)
        unlink(address->un.sun_path);
    close(fd);
}

enum status socket_listen(const struct address *address, bool v6_only, int *fd, const char **error)
{
    sa_family_t family = address->any.sa_family;
    int made = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made < 0) {
        *error = strerrordesc_np(errno);
        return ERR_SYSTEM;
    }
    if (family == AF_UNIX) {
        remove_stale(address);
    } else {
        set(made, SOL_SOCKET, SO_REUSEADDR, 1);
        set(made, SOL_SOCKET, SO_REUSEPORT, 1);
        tune(made); /* accepted sockets inherit it … */
        if (address_is_loopback(address))
            tune_loopback(made); /* … and that */
    }
    if (family == AF_INET6)
        set(made, IPPROTO_IPV6, IPV6_V6ONLY, v6_only);
    if (bind(made, &address->any, address->size) != 0 || listen(made, BACKLOG) != 0) {
        *error = strerrordesc_np(errno);
        enum status status = errno == EACCES ? ERR_DENIED : ERR_SYSTEM;
        close(made);
        return status;
    }
    *fd = made;
    return OK;
}

enum status socket_probe(const struct address *address, const char **error)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        *error = strerrordesc_np(errno);
        return ERR_SYSTEM;
    }
    enum status status = OK;
    set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (bind(fd, &address->any, address->size) != 0) {
        *error = strerrordesc_np(errno);
        status = errno == EACCES ? ERR_DENIED : ERR_SYSTEM;
    }
    close(fd);
    return status;
}

enum status socket_accept(int fd, int *accepted, struct address *from)
{
    from->size = sizeof *from - offsetof(struct address, any);
    int got = accept4(fd, &from->any, &from->size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (got >= 0) {
        *accepted = got;
        return OK;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        return ERR_LIMIT;
    /* EAGAIN, and what Linux hands over of a connection that has failed already. */
    return ERR_CLOSED;
}

static enum status connect_status(int error)
{
    switch (error) {
    case 0:
        return OK;
    case ECONNREFUSED:
    case ECONNRESET:
        return ERR_REFUSED;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case EADDRNOTAVAIL:
        return ERR_UNREACHABLE;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case EMFILE:
    case ENFILE:
        return ERR_LIMIT;
    case ENOENT: /* a unix socket that is not there: nobody listens, as at a port */
    case EAGAIN: /* one whose queue is full */
        return ERR_REFUSED;
    default:
        return ERR_SYSTEM;
    }
}

enum status socket_connect(const struct address *to, int *fd)
{
    sa_family_t family = to->any.sa_family;
    int made = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made < 0)
        return connect_status(errno);
    if (family != AF_UNIX) {
        tune(made);
        if (address_is_loopback(to))
            tune_loopback(made);
    }
    if (connect(made, &to->any, to->size) != 0 && errno != EINPROGRESS) {
        enum status status = connect_status(errno);
        close(made);
        return status;
    }
    *fd = made;
    return OK;
}

enum status socket_connect_result(int fd)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        return ERR_SYSTEM;
    return connect_status(error);
}

static ssize_t answer(ssize_t result)
{
    if (result >= 0)
        return result;
    return errno == EAGAIN || errno == EINTR ? SOCKET_AGAIN : SOCKET_FAILED;
}

/* The C library's recv() and send() are points at which a thread may be cancelled, which costs two
 * locked instructions each time. No thread of ours ever is: the kernel is called directly. */
ssize_t socket_receive(int fd, void *into, size_t size)
{
    return answer(syscall(SYS_recvfrom, fd, into, size, 0, NULL, NULL));
}

ssize_t socket_send(int fd, const struct iovec *parts, int count, bool more)
{
    int flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0);
    if (count == 1)
        return answer(syscall(SYS_sendto, fd, parts->iov_base, parts->iov_len, flags, NULL, 0));
    struct msghdr message = {0};
    message.msg_iov = (struct iovec *)(uintptr_t)parts; /* the kernel does not write to it */
    message.msg_iovlen = (size_t)count;
    return answer(syscall(SYS_sendmsg, fd, &message, flags));
}

bool socket_is_quiet(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

ssize_t socket_splice(int from, int to, size_t size, bool more)
{
    unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | (more ? SPLICE_F_MORE : 0u);
    return answer(splice(from, NULL, to, NULL, size, flags));
}

ssize_t socket_send_file(int to, int file, uint64_t offset, size_t size)
{
    off_t from = (off_t)offset;
    return answer(sendfile(to, file, &from, size));
}

enum status socket_pipe(size_t size, int ends[2])
{
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0)
        return ERR_LIMIT;
    /* An ordinary user may have too few pipe pages left: a smaller one still works. */
    if (fcntl(ends[1], F_SETPIPE_SZ, (int)size) < 0 && errno != EPERM) {
        close(ends[0]);
        close(ends[1]);
        return ERR_LIMIT;
    }
    return OK;
}

void socket_shutdown_send(int fd)
{
    shutdown(fd, SHUT_WR);
}

void socket_close(int fd, bool reset)
{
    if (reset) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    close(fd);
}

void socket_local_address(int fd, struct address *address)
{
    address->size = sizeof *address - offsetof(struct address, any);
    if (getsockname(fd, &address->any, &address->size) != 0)
        address->size = 0;
}

bool socket_peer(int fd, uint32_t *user, int32_t *process)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || size != sizeof peer)
        return false;
    *user = peer.uid;
    *process = peer.pid;
    return true;
}
