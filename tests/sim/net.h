/* SPDX-License-Identifier: Apache-2.0 */
/* Who listens where in the simulated network, and who dials whom. */
#pragma once

#include "wire.h"

enum service_state {
    SERVICE_UP,
    SERVICE_REFUSES,     /* the machine is there, nobody listens */
    SERVICE_SILENT,      /* packets vanish */
    SERVICE_UNREACHABLE, /* a router says so */
};

/* An actor that listens. */
struct service {
    struct address address;
    const struct network *network; /* of the path to it */
    enum service_state state;
    void (*on_accept)(struct service *service, struct end *end);
    void *owner;
    struct service *next;
};

void service_add(struct service *service);
/* An actor dials an address that weir listens on; on_event comes when it is connected (end->other
 * is set), refused (end->error) or, after 63 s, given up. */
struct end *net_dial(const struct network *network, const struct address *from,
                     const struct address *to, void (*on_event)(struct end *end), void *owner);
/* The path from weir to itself, of which all is good if nothing is said. */
void net_inside(const struct network *network);
/* How many connections may wait to be accepted by each socket of weir. */
void net_backlog(unsigned size);
/* How many connections weir has; those that are not connected yet may be its looks at servers that
 * are down. */
unsigned net_connections(void);
/* Bytes that weir has in its pipes now. */
size_t net_bytes_in_pipes(void);
