/* SPDX-License-Identifier: Apache-2.0 */
/* Exchanges that no client waits for: a step asks the rest of the path for an answer that outlives
 * the exchange it was asked for, such as what fills a cache. */
#pragma once

#include "exchange/exchange.h"

/* A copy of what the steps behind the one at x->steps_reached go by, in memory of its own: the
 * request's head (its body is none: set it), target, client, identity, place on the path and hold
 * on the snapshot. Change it, then start or drop it. */
struct exchange *exchange_apart_new(struct exchange *x, const struct sink *sink, void *connection);
void exchange_apart_drop(struct exchange *apart);
/* Runs it on a fiber of this thread that is cancelled when the worker ends. on_end(apart) is called
 * there when everything is over; then it is gone. It is not logged. ERR_LIMIT, ERR_SYSTEM: it was
 * not started, and is the caller's still. */
MUST_CHECK enum status exchange_apart_start(struct exchange *apart, const char *name,
                                            void (*on_end)(struct exchange *apart));

/* How many are under way on this thread. */
size_t exchange_apart_count(void);
/* On the thread of a worker that ends: cancels all; they end in later turns. None begins any more.
 * Then, when none is left: gives back what they hung at. */
void exchange_apart_stop(void);
void exchange_apart_done(void);

/* How an exchange holds on to the snapshot of its view, and lets it go: set by serve. */
void exchange_apart_set_view(void (*enter)(struct serve_view *view),
                             void (*leave)(struct serve_view *view));
