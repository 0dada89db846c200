/* SPDX-License-Identifier: Apache-2.0 */
/* Idle connections to servers: a list per server and worker, lent last-in-first-out. */
#pragma once

#include "upstream/server.h"

void pool_init(struct pool *pool, struct server *server);
void pool_start(struct pool *pool, struct thread *thread);
/* Closes what is idle; what comes back later is closed too. On the pool's thread. */
void pool_stop(struct pool *pool);

/* Closes what has been idle for a while, however many are to be kept. On the pool's thread. */
void pool_trim(struct pool *pool);

/* An idle connection that looks alive: of this worker, else taken from another; NULL: none.
 * `careful` asks the kernel too, for requests that must not be sent in vain. Does not wait. */
struct server_connection *pool_take(struct server *server, bool careful);
/* The same of those on which that protocol is spoken; pool_take() is for HTTP/1. */
struct server_connection *pool_take_spoken(struct server *server, bool careful,
                                           enum upstream_http http);
/* Gives a connection back after a complete exchange. */
void pool_put(struct server_connection *connection);
/* Closes one that is not pooled. */
void pool_close(struct server_connection *connection, bool reset);

/* A server that works for one connection at a time, in each of its processes, as PHP-FPM does: a
 * call on a new connection may have to wait until an idle one is closed, as that keeps a process
 * busy. */
struct pool_wait {
    struct list link;
    struct server *server;
    bool is_listed; /* under the server's mutex */
};
/* Closes an idle connection, or asks for the next one that would become idle. */
void pool_wait_begin(struct pool_wait *wait, struct server *server, enum upstream_http http);
void pool_wait_end(struct pool_wait *wait);
/* Whether one who waits wants the connection that is to be given back: it is to be closed. */
bool pool_yield(struct server *server);
