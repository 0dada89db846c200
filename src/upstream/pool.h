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
/* Gives a connection back after a complete exchange. */
void pool_put(struct server_connection *connection);
/* Closes one that is not pooled. */
void pool_close(struct server_connection *connection, bool reset);
