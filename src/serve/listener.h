/* SPDX-License-Identifier: Apache-2.0 */
/* Accepting connections: limits, the least loaded worker, rest when descriptors run out. */
#pragma once

#include "serve/listener_counts.h"
#include "serve/serve.h"

/* What a connection is told that is not taken. */
#define LISTENER_REFUSAL                                                                           \
    "HTTP/1.1 503 Service Unavailable\r\n"                                                         \
    "Connection: close\r\nContent-Length: 0\r\nRetry-After: 1\r\n"                                 \
    "Proxy-Status: weir; error=connection_limit_reached\r\n\r\n"

/* One socket of a listening address. */
struct listener_socket {
    struct watch watch;
    struct timer rest; /* until accepting goes on after descriptors ran out */
    struct listener *listener;
};

/* A listening address as one worker serves it: connections point here, and it to what the present
 * snapshot says of the address. */
struct listener {
    struct serve_worker *worker;
    const struct listener_config *config;
    size_t slot;        /* in worker->listeners, the same for all workers */
    size_t connections; /* of clients, on this worker */
    struct listener_counts *counts;
    struct serve_view
        *last;         /* no snapshot has it any more: what its connections go by to the end */
    struct timer cut;  /* then: when what is left is ended */
    bool has_left;     /* then: it accepts no more */
    bool is_forgotten; /* then: it is freed with its last connection */
    /* Called when it is freed. */
    void (*on_gone)(void *argument);
    void *argument;
    struct listener_socket *sockets;
    size_t sockets_count;
};

/* Begins to accept on listening sockets that belong to whoever opened them. One that cannot be
 * watched now is tried again soon. */
struct listener *listener_start(struct serve_worker *worker, size_t slot,
                                const struct listener_config *config, const int *fds, size_t count);
/* Accepts what the kernel has connected already: closing the socket would reset it. */
void listener_accept_waiting(struct listener *listener);
/* Accepts nothing any more. */
void listener_stop(struct listener *listener);
/* No snapshot has it any more: stops, and asks its clients to leave with their next response; what
 * is there after `grace` ns is ended. */
void listener_leave(struct listener *listener, int64_t grace);
/* No connection can come from another worker any more: it is freed with the last that is here.
 * on_gone is called then. */
void listener_forget(struct listener *listener, void (*on_gone)(void *argument), void *argument);
/* Its last connection has gone, and no snapshot has it. */
void listener_empty(struct listener *listener);
/* When the worker ends. */
void listener_free(struct listener *listener);
