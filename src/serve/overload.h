/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker does when memory runs short. Nothing is booked while requests are served: what a
 * client holds is added up by a walk over all connections, and only when somebody has to go.
 * Between two measurements of the process each worker has a part of the room that was left. */
#pragma once

#include "limit/charges.h"
#include "limit/pressure.h"
#include "serve/serve.h"

/* What connections hold beside what is committed as it is given out. */
int64_t overload_connections(const struct serve_shared *shared);
/* Whether there is no room even for those who were let in. */
bool overload_is_full(const struct serve_worker *worker);
/* What is asked of this worker now: the level of the process, and PRESSURE_REFUSE also when it has
 * used its part of the room up. */
enum pressure overload_level(struct serve_worker *worker);
/* Whether it may take one more connection: each of them is about to ask for something. */
bool overload_may_accept(struct serve_worker *worker);
/* Adds up what each client holds here. */
void overload_weigh(struct serve_worker *worker, struct charges *charges);
/* Gives back what is kept for later; from PRESSURE_CLOSE on idle connections are closed too. */
void overload_trim(struct serve_worker *worker, enum pressure level);
/* Ends what a client has here, the largest first, until `bytes` are gone. How many that were. */
size_t overload_end(struct serve_worker *worker, const uint64_t client[2], int64_t bytes);
