/* SPDX-License-Identifier: Apache-2.0 */
/* Every system call on a socket, wrapped once. Nothing here waits: where the kernel would block the
 * answer is SOCKET_AGAIN. The simulated world replaces this file. */
#pragma once

#include "base/status.h"
#include "net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

/* Byte counts, or one of these. */
enum {
    SOCKET_AGAIN = -1,  /* would block */
    SOCKET_FAILED = -2, /* broken: reset, pipe, timeout of the kernel */
};

/* A listening socket with SO_REUSEPORT (several per address, one a worker), backlog 4096; a stale
 * unix socket is replaced when nobody listens on it. `error` gets a static or thread-owned text. */
MUST_CHECK enum status socket_listen(const struct address *address, bool v6_only, int *fd,
                                     const char **error);
/* Whether the address can be bound: SO_REUSEPORT would let us share it with another process unseen.
 * ERR_DENIED, ERR_SYSTEM, with a static text. */
MUST_CHECK enum status socket_probe(const struct address *address, const char **error);
/* Accepts one connection, non-blocking, TCP_NODELAY and keepalive set. ERR_CLOSED: none waits (or
 * it was gone already); ERR_LIMIT: no descriptors; ERR_SYSTEM. */
MUST_CHECK enum status socket_accept(int fd, int *accepted, struct address *from);
/* Begins to connect. OK also when it is under way (then wait until writable and ask
 * socket_connect_result). ERR_REFUSED, ERR_UNREACHABLE, ERR_LIMIT (descriptors), ERR_SYSTEM. */
MUST_CHECK enum status socket_connect(const struct address *to, int *fd);
/* OK, ERR_REFUSED, ERR_UNREACHABLE, ERR_TIMEOUT (the kernel's) or ERR_SYSTEM. */
MUST_CHECK enum status socket_connect_result(int fd);

ssize_t socket_receive(int fd, void *into, size_t size); /* 0: the other side closed */
/* `more` lets the kernel hold back a partial segment because more follows at once. */
ssize_t socket_send(int fd, const struct iovec *parts, int count, bool more);
/* Whether an idle connection is as it should be: open, with nothing to read. Asks the kernel. */
bool socket_is_quiet(int fd);
/* Moves bytes between a socket and a pipe without copying them. */
ssize_t socket_splice(int from, int to, size_t size, bool more);
/* Sends bytes of a file from that place on without copying them; 0: the file has no more. */
ssize_t socket_send_file(int to, int file, uint64_t offset, size_t size);
/* A pipe of about that size for socket_splice; ends[0] is read from. ERR_LIMIT. */
MUST_CHECK enum status socket_pipe(size_t size, int ends[2]);
void socket_shutdown_send(int fd);
/* `reset`: drop what is unsent and answer with RST. */
void socket_close(int fd, bool reset);
void socket_local_address(int fd, struct address *address);
/* Who is at the other end of a unix socket, as the system knows. False: it does not. */
bool socket_peer(int fd, uint32_t *user, int32_t *process);
