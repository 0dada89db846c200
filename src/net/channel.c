/* SPDX-License-Identifier: Apache-2.0 */
#include "net/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    BACKLOG = 16,
    TELL_US = 500000,
    TYPE = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC,
};

enum status channel_pair(int ends[2])
{
    return socketpair(AF_UNIX, TYPE, 0, ends) == 0 ? OK : ERR_SYSTEM;
}

/* In a directory, or with `is_abstract` in none; 0: too long. */
static socklen_t name_address(struct sockaddr_un *address, struct slice name, bool is_abstract)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    size_t at = is_abstract ? 1 : 0;
    if (name.size + 1 >= sizeof address->sun_path)
        return 0;
    memcpy(address->sun_path + at, name.data, name.size);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name.size + 1);
}

enum status channel_listen(struct slice name, int *fd)
{
    struct sockaddr_un address;
    socklen_t size = name_address(&address, name, true);
    int made = size == 0 ? -1 : socket(AF_UNIX, TYPE, 0);
    if (made < 0)
        return ERR_SYSTEM;
    if (bind(made, (struct sockaddr *)&address, size) != 0 || listen(made, BACKLOG) != 0) {
        close(made);
        return ERR_SYSTEM;
    }
    *fd = made;
    return OK;
}

static bool ask_peer(int fd, struct channel_peer *peer)
{
    struct ucred who = {0};
    socklen_t size = sizeof who;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0)
        return false;
    *peer = (struct channel_peer){.pid = who.pid, .user = who.uid};
    return true;
}

enum status channel_accept(int fd, int *accepted, struct channel_peer *peer)
{
    int got = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (got < 0)
        return ERR_CLOSED;
    if (!ask_peer(got, peer)) {
        close(got);
        return ERR_CLOSED;
    }
    *accepted = got;
    return OK;
}

enum status channel_connect(struct slice name, int *fd, struct channel_peer *peer)
{
    struct sockaddr_un address;
    socklen_t size = name_address(&address, name, true);
    int made = size == 0 ? -1 : socket(AF_UNIX, TYPE, 0);
    if (made < 0)
        return ERR_SYSTEM;
    if (connect(made, (struct sockaddr *)&address, size) != 0 || !ask_peer(made, peer)) {
        enum status status = errno == EAGAIN ? ERR_LIMIT : ERR_REFUSED;
        close(made);
        return status;
    }
    *fd = made;
    return OK;
}

enum status channel_send(int fd, struct slice text, const int *fds, size_t count)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
    } beside = {0};
    struct iovec part = {.iov_len = text.size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    part.iov_base = (void *)(uintptr_t)text.data; /* the kernel does not write to it */
    if (count > CHANNEL_FDS_MAX || text.size > CHANNEL_MESSAGE_MAX)
        return ERR_LIMIT;
    if (count > 0) {
        message.msg_control = &beside;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(head), fds, count * sizeof(int));
    }
    if (sendmsg(fd, &message, MSG_NOSIGNAL) >= 0)
        return OK;
    return errno == EAGAIN || errno == ETOOMANYREFS || errno == ENOBUFS ? ERR_LIMIT : ERR_CLOSED;
}

static void take_descriptors(struct msghdr *from, struct channel_message *message)
{
    for (struct cmsghdr *head = CMSG_FIRSTHDR(from); head != NULL; head = CMSG_NXTHDR(from, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        message->fds_count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(message->fds, CMSG_DATA(head), message->fds_count * sizeof(int));
    }
}

enum status channel_receive(int fd, void *memory, size_t size, struct channel_message *message)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
    } beside;
    struct iovec part = {.iov_base = memory, .iov_len = size};
    struct msghdr from = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &beside, .msg_controllen = sizeof beside};
    ssize_t got = recvmsg(fd, &from, MSG_CMSG_CLOEXEC);
    message->fds_count = 0;
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? ERR_TIMEOUT : ERR_CLOSED;
    take_descriptors(&from, message);
    message->text = slice_of(memory, (size_t)got);
    if (from.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        for (size_t i = 0; i < message->fds_count; i++)
            close(message->fds[i]);
        return ERR_LIMIT;
    }
    /* Nobody sends empty messages: this is the end. */
    return got == 0 ? ERR_CLOSED : OK;
}

enum status channel_wait(int fd, int timeout_ms)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    int ready;
    do
        ready = poll(&one, 1, timeout_ms);
    while (ready < 0 && errno == EINTR);
    return ready > 0 ? OK : ready == 0 ? ERR_TIMEOUT : ERR_SYSTEM;
}

void channel_close(int fd)
{
    close(fd);
}

enum status channel_tell(const char *path, struct slice text)
{
    struct sockaddr_un address;
    bool is_abstract = path[0] == '@';
    socklen_t size =
        name_address(&address, slice_from_cstring(path + (is_abstract ? 1 : 0)), is_abstract);
    int fd = size == 0 ? -1 : socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return ERR_SYSTEM;
    /* Whoever reads is to be waited for, but not for long. */
    struct timeval patience = {.tv_usec = TELL_US};
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0) {
        close(fd);
        return ERR_SYSTEM;
    }
    ssize_t sent =
        sendto(fd, text.data, text.size, MSG_NOSIGNAL, (struct sockaddr *)&address, size);
    close(fd);
    return sent < 0 ? ERR_CLOSED : OK;
}
