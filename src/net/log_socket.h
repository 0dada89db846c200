/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets that lines of a log are sent to: datagrams to a service on this machine or elsewhere, or
 * a connection. Blocks for up to a second: for a thread that nobody waits for. */
#pragma once

#include "base/slice.h"
#include "base/status.h"
#include "net/address.h"

enum log_socket_kind {
    LOG_SOCKET_DATAGRAM,
    LOG_SOCKET_STREAM,
};

/* ERR_SYSTEM, and a static text in *why. */
MUST_CHECK enum status log_socket_open(enum log_socket_kind kind, const struct address *to, int *fd,
                                       const char **why);
/* All of it, or nothing counts: ERR_TIMEOUT: nobody takes it now; ERR_LIMIT: it is too long to be
 * sent there at all; ERR_SYSTEM: the socket is of no more use. Of a connection a part may have been
 * sent: it is of no more use then either. */
MUST_CHECK enum status log_socket_send(int fd, struct slice data);
void log_socket_close(int fd);
/* What this machine calls itself, for the head of a line; at most `size` − 1 bytes. */
struct slice log_socket_host_name(char *name, size_t size);
