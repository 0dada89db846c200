/* SPDX-License-Identifier: Apache-2.0 */
/* net/socket.h of the simulated world. */
#include "net/socket.h"

#include "descriptor.h"
#include "net.h"
#include "outside.h"
#include "world.h"

#include <string.h>
#include <sys/epoll.h>

enum {
    LISTENERS_MAX = 64,
    BACKLOG_MAX = 128,
    SYN_RETRY_S = 1, /* doubled each time */
    SYN_TRIES = 6,   /* 63 s in all */
    UNREACHABLE_MS = 3000,
    SHORT_PERCENT = 10,
};

struct listener_socket {
    struct address address;
    int fd; /* −1: closed */
    struct end *waiting[BACKLOG_MAX];
    unsigned count;
};

static struct listener_socket listeners[LISTENERS_MAX];
static unsigned listeners_count;
static struct service *services;
static unsigned backlog = BACKLOG_MAX;

void net_backlog(unsigned size)
{
    backlog = size < BACKLOG_MAX ? size : BACKLOG_MAX;
}

void service_add(struct service *service)
{
    service->next = services;
    services = service;
}

/* Weir listens. */

enum status socket_listen(const struct address *address, bool v6_only, int *fd, const char **error)
{
    (void)v6_only;
    *error = "Address already in use";
    if (listeners_count == LISTENERS_MAX || world_fault(FAULT_SOCKET))
        return ERR_SYSTEM;
    struct listener_socket *listener = &listeners[listeners_count];
    listener->address = *address;
    listener->fd = descriptor_open(DESCRIPTOR_LISTENER, listener);
    if (listener->fd < 0)
        return ERR_SYSTEM;
    listeners_count++;
    *fd = listener->fd;
    return OK;
}

enum status socket_probe(const struct address *address, const char **error)
{
    (void)address;
    *error = "";
    return OK;
}

/* Of those that listen on an address, the kernel chooses one for each connection. */
static struct listener_socket *listener_for(const struct address *address, bool *is_full)
{
    struct listener_socket *found[LISTENERS_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < listeners_count; i++)
        if (listeners[i].fd >= 0 && address_equal(&listeners[i].address, address))
            found[count++] = &listeners[i];
    *is_full = false;
    if (count == 0)
        return NULL;
    struct listener_socket *one = found[world_below(count)];
    *is_full = one->count >= backlog;
    return *is_full ? NULL : one;
}

struct dial {
    struct end *end;
    unsigned tries;
};

static void connected(void *argument)
{
    struct end *end = argument;
    end_tell(end, EPOLLOUT);
}

static void fail_dial(struct end *end, enum status error)
{
    end->error = error;
    end_tell(end, EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP);
}

/* The first packet reaches weir. */
static void on_syn(void *argument)
{
    struct dial *dial = argument;
    struct end *end = dial->end;
    if (end->is_closed)
        return;
    bool is_full;
    struct listener_socket *listener = listener_for(&end->to, &is_full);
    if (listener == NULL && !is_full) {
        fail_dial(end, ERR_REFUSED);
        return;
    }
    if (listener == NULL) {
        if (end->is_unix || ++dial->tries > SYN_TRIES)
            fail_dial(end, end->is_unix ? ERR_REFUSED : ERR_TIMEOUT);
        else
            world_after(SECONDS(SYN_RETRY_S) << (dial->tries - 1), on_syn, dial);
        return;
    }
    listener->waiting[listener->count++] = end_connect(end);
    poll_notify(listener->fd, EPOLLIN);
    world_after(end->network->latency, connected, end);
}

struct end *net_dial(const struct network *network, const struct address *from,
                     const struct address *to, void (*on_event)(struct end *end), void *owner)
{
    bool is_unix = to->any.sa_family == AF_UNIX;
    struct end *end = end_new(network, is_unix);
    end->from = *from;
    end->to = *to;
    end->on_event = on_event;
    end->owner = owner;
    struct dial *dial = world_alloc(sizeof *dial);
    dial->end = end;
    world_after(network->latency, on_syn, dial);
    return end;
}

enum status socket_accept(int fd, int *accepted, struct address *from)
{
    struct listener_socket *listener = descriptor_of(fd, DESCRIPTOR_LISTENER)->object;
    if (listener->count == 0)
        return ERR_CLOSED;
    if (world_fault(FAULT_ACCEPT))
        return ERR_LIMIT;
    struct end *end = listener->waiting[0];
    int opened = descriptor_open(DESCRIPTOR_SOCKET, end);
    if (opened < 0) {
        world_trace("no descriptor is left to accept with");
        return ERR_LIMIT;
    }
    memmove(listener->waiting, listener->waiting + 1, --listener->count * sizeof(struct end *));
    end->fd = opened;
    *accepted = opened;
    *from = end->from;
    world_trace("accept %d", opened - DESCRIPTOR_FIRST);
    return OK;
}

/* Weir dials. */

static void on_service_syn(void *argument)
{
    struct dial *dial = argument;
    struct end *end = dial->end;
    struct service *service = services;
    while (service != NULL && !address_equal(&service->address, &end->to))
        service = service->next;
    if (end->is_closed)
        return;
    if (service == NULL || service->state == SERVICE_REFUSES) {
        fail_dial(end, ERR_REFUSED);
    } else if (service->state == SERVICE_UNREACHABLE) {
        fail_dial(end, ERR_UNREACHABLE);
    } else if (service->state == SERVICE_SILENT) {
        if (++dial->tries > SYN_TRIES)
            fail_dial(end, ERR_TIMEOUT);
        else
            world_after(SECONDS(SYN_RETRY_S) << (dial->tries - 1), on_service_syn, dial);
    } else {
        struct end *other = end_connect(end);
        service->on_accept(service, other);
        world_after(end->network->latency, connected, end);
    }
}

/* Weir may be its own server. */
static bool dial_itself(struct end *end)
{
    bool is_full;
    if (listener_for(&end->to, &is_full) == NULL && !is_full)
        return false;
    struct dial *dial = world_alloc(sizeof *dial);
    dial->end = end;
    world_after(end->network->latency, on_syn, dial);
    return true;
}

static const struct network INSIDE = {
    .latency = 50000,
    .bytes_per_ms = 1000000,
    .send_buffer = 32 * 1024,
    .receive_buffer = 32 * 1024,
};
static const struct network *inside = &INSIDE;

void net_inside(const struct network *network)
{
    inside = network;
}

enum status socket_connect(const struct address *to, int *fd)
{
    if (world_fault(FAULT_SOCKET))
        return ERR_LIMIT;
    if (world_fault(FAULT_CONNECT))
        return ERR_UNREACHABLE;
    struct service *service = services;
    while (service != NULL && !address_equal(&service->address, to))
        service = service->next;
    bool is_unix = to->any.sa_family == AF_UNIX;
    if (is_unix && (service == NULL || service->state != SERVICE_UP))
        return service == NULL ? ERR_UNREACHABLE : ERR_REFUSED;
    struct end *end = end_new(service == NULL ? inside : service->network, is_unix);
    end->from = end->to = *to;
    if (service == NULL && !dial_itself(end))
        return ERR_UNREACHABLE;
    end->fd = descriptor_open(DESCRIPTOR_SOCKET, end);
    if (end->fd < 0) {
        end->is_closed = true;
        return ERR_LIMIT;
    }
    *fd = end->fd;
    world_trace("connect %d", *fd - DESCRIPTOR_FIRST);
    if (service == NULL)
        return OK;
    struct dial *dial = world_alloc(sizeof *dial);
    dial->end = end;
    int64_t wait = service->state == SERVICE_UNREACHABLE && world_chance(50)
                       ? MILLISECONDS(UNREACHABLE_MS)
                       : service->network->latency;
    if (is_unix)
        on_service_syn(dial);
    else
        world_after(wait, on_service_syn, dial);
    return OK;
}

enum status socket_connect_result(int fd)
{
    const struct end *end = descriptor_of(fd, DESCRIPTOR_SOCKET)->object;
    if (end->error != OK)
        return end->error;
    return end->is_broken ? ERR_REFUSED : OK;
}

/* Bytes. */

ssize_t socket_receive(int fd, void *into, size_t size)
{
    struct end *end = descriptor_of(fd, DESCRIPTOR_SOCKET)->object;
    if (world_fault(FAULT_READ)) {
        end_sever(end);
        end->has_told = true;
        return SOCKET_FAILED;
    }
    if (end_readable(end) > 0) {
        /* A unix socket may say less than there is; TCP then has no more. */
        if (end->is_unix && size > 1 && world_chance(SHORT_PERCENT))
            size = 1 + world_below((uint32_t)size);
        size_t got = end_read(end, into, size);
        world_trace("read %d: %zu", fd - DESCRIPTOR_FIRST, got);
        return (ssize_t)got;
    }
    if (end->is_broken) {
        bool is_first = !end->has_told;
        end->has_told = true;
        return is_first ? SOCKET_FAILED : 0;
    }
    return end->in.has_ended ? 0 : SOCKET_AGAIN;
}

static ssize_t write_some(int fd, struct end *end, const void *data, size_t size)
{
    if (world_chance(SHORT_PERCENT) && size > 1)
        size = 1 + world_below((uint32_t)size);
    size_t sent = end_write(end, data, size);
    if (sent == 0 && size > 0)
        return SOCKET_AGAIN;
    world_trace("write %d: %zu", fd - DESCRIPTOR_FIRST, sent);
    return (ssize_t)sent;
}

ssize_t socket_send(int fd, const struct iovec *parts, int count, bool more)
{
    (void)more;
    struct end *end = descriptor_of(fd, DESCRIPTOR_SOCKET)->object;
    bool fails = world_fault(FAULT_WRITE);
    if (fails)
        end_sever(end);
    if (fails || end->is_broken || end->is_shut || end->error != OK) {
        end->has_told = true;
        return SOCKET_FAILED;
    }
    ssize_t all = 0;
    for (int i = 0; i < count; i++) {
        if (parts[i].iov_len == 0)
            continue;
        ssize_t sent = write_some(fd, end, parts[i].iov_base, parts[i].iov_len);
        if (sent < 0)
            return all > 0 ? all : sent;
        all += sent;
        if ((size_t)sent < parts[i].iov_len) {
            end->wants_room = true;
            /* A short write says nothing of room: the next try finds out. */
            break;
        }
    }
    return all;
}

bool socket_is_quiet(int fd)
{
    const struct end *end = descriptor_of(fd, DESCRIPTOR_SOCKET)->object;
    return end_readable(end) == 0 && !end->in.has_ended && !end->is_broken;
}

void socket_shutdown_send(int fd)
{
    end_shutdown(descriptor_of(fd, DESCRIPTOR_SOCKET)->object);
}

void socket_local_address(int fd, struct address *address)
{
    const struct end *end = descriptor_of(fd, DESCRIPTOR_SOCKET)->object;
    *address = end->to;
}

bool socket_peer(int fd, uint32_t *user, int32_t *process)
{
    (void)fd;
    *user = 0;
    *process = 1;
    return true;
}

/* Pipes. */

struct sim_pipe {
    char data[256 * 1024];
    size_t size, filled, first, in_use;
};

static size_t bytes_in_pipes;

size_t net_bytes_in_pipes(void)
{
    return bytes_in_pipes;
}

enum status socket_pipe(size_t size, int ends[2])
{
    if (world_fault(FAULT_PIPE))
        return ERR_LIMIT;
    struct sim_pipe *pipe = world_alloc(sizeof *pipe);
    pipe->size = world_chance(20) ? 4096 : size < sizeof pipe->data ? size : sizeof pipe->data;
    pipe->in_use = 2;
    ends[0] = descriptor_open(DESCRIPTOR_PIPE_IN, pipe);
    if (ends[0] < 0)
        return ERR_LIMIT;
    ends[1] = descriptor_open(DESCRIPTOR_PIPE_OUT, pipe);
    if (ends[1] >= 0)
        return OK;
    descriptor_close(ends[0]);
    return ERR_LIMIT;
}

static ssize_t fill_pipe(int fd, struct sim_pipe *pipe, size_t size)
{
    char data[16 * 1024];
    size_t room = pipe->size - pipe->filled;
    size = size < room ? size : room;
    size = size < sizeof data ? size : sizeof data;
    if (size == 0)
        return SOCKET_AGAIN;
    ssize_t got = socket_receive(fd, data, size);
    for (ssize_t i = 0; i < got; i++)
        pipe->data[(pipe->first + pipe->filled++) % sizeof pipe->data] = data[i];
    bytes_in_pipes += got > 0 ? (size_t)got : 0;
    return got;
}

static ssize_t drain_pipe(struct sim_pipe *pipe, int fd, size_t size)
{
    size_t straight = sizeof pipe->data - pipe->first;
    size = size < pipe->filled ? size : pipe->filled;
    size = size < straight ? size : straight;
    struct iovec part = {pipe->data + pipe->first, size};
    ssize_t sent = size == 0 ? SOCKET_AGAIN : socket_send(fd, &part, 1, false);
    if (sent > 0) {
        pipe->first = (pipe->first + (size_t)sent) % sizeof pipe->data;
        pipe->filled -= (size_t)sent;
        bytes_in_pipes -= (size_t)sent;
    }
    return sent;
}

ssize_t socket_splice(int from, int to, size_t size, bool more)
{
    (void)more;
    if (world_fault(FAULT_SPLICE))
        return SOCKET_FAILED;
    if (descriptor_any(to)->kind == DESCRIPTOR_PIPE_OUT)
        return fill_pipe(from, descriptor_any(to)->object, size);
    return drain_pipe(descriptor_of(from, DESCRIPTOR_PIPE_IN)->object, to, size);
}

ssize_t socket_send_file(int to, int file, uint64_t offset, size_t size)
{
    size_t whole;
    int64_t changed;
    const char *text =
        files_content(descriptor_of(file, DESCRIPTOR_FILE)->object, &whole, &changed);
    if (world_fault(FAULT_SPLICE))
        return SOCKET_FAILED;
    if (offset >= whole)
        return 0;
    struct iovec part = {(void *)(uintptr_t)(text + offset), whole - (size_t)offset};
    if (part.iov_len > size)
        part.iov_len = size;
    return socket_send(to, &part, 1, false);
}

unsigned net_connections(void)
{
    unsigned count = 0;
    for (int fd = DESCRIPTOR_FIRST; fd < descriptor_end(); fd++) {
        const struct end *end = descriptor_object(fd, DESCRIPTOR_SOCKET);
        count += end != NULL && end->other != NULL;
    }
    return count;
}

/* The end. */

static void close_listener(struct listener_socket *listener)
{
    for (unsigned i = 0; i < listener->count; i++)
        end_reset(listener->waiting[i]);
    listener->count = 0;
    listener->fd = -1;
}

void socket_close(int fd, bool reset)
{
    struct descriptor *descriptor = descriptor_any(fd);
    struct sim_pipe *pipe = descriptor->object;
    world_trace("close %d%s", fd - DESCRIPTOR_FIRST, reset ? " with a reset" : "");
    poll_forget(fd);
    switch (descriptor->kind) {
    case DESCRIPTOR_SOCKET:
        if (reset)
            end_reset(descriptor->object);
        else
            end_close(descriptor->object);
        break;
    case DESCRIPTOR_LISTENER:
        close_listener(descriptor->object);
        break;
    case DESCRIPTOR_PIPE_IN:
    case DESCRIPTOR_PIPE_OUT:
        if (--pipe->in_use == 0)
            bytes_in_pipes -= pipe->filled;
        break;
    default:
        world_broken("descriptors", "descriptor %d is closed as a socket", fd);
    }
    descriptor_close(fd);
}

uint32_t descriptor_state(int fd)
{
    const struct descriptor *descriptor = descriptor_any(fd);
    const struct listener_socket *listener = descriptor->object;
    switch (descriptor->kind) {
    case DESCRIPTOR_SOCKET:
        return end_state(descriptor->object);
    case DESCRIPTOR_LISTENER:
        return listener->count > 0 ? EPOLLIN : 0;
    case DESCRIPTOR_BELL:
    case DESCRIPTOR_SIGNAL:
        return descriptor->is_set ? EPOLLIN : 0;
    default:
        return 0;
    }
}
