/* SPDX-License-Identifier: Apache-2.0 */
/* Accepting connections: limits, the least loaded worker, rest when descriptors run out. */
#pragma once

#include "serve/serve.h"

/* What a connection is told that is not taken. */
#define LISTENER_REFUSAL                                                                           \
    "HTTP/1.1 503 Service Unavailable\r\n"                                                         \
    "Connection: close\r\nContent-Length: 0\r\nRetry-After: 1\r\n"                                 \
    "Proxy-Status: weir; error=connection_limit_reached\r\n\r\n"

struct listener {
    struct watch watch;
    struct serve_worker *worker;
    const struct listener_config *config;
    struct timer rest; /* until accepting goes on after descriptors ran out */
    bool is_unix;
};

/* Begins to accept on a listening socket that belongs to whoever opened it. */
MUST_CHECK enum status listener_start(struct listener *listener, struct serve_worker *worker,
                                      const struct listener_config *config, int fd);
/* Accepts what the kernel has connected already: closing the socket would reset it. */
void listener_accept_waiting(struct listener *listener);
void listener_stop(struct listener *listener);
