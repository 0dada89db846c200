/* SPDX-License-Identifier: Apache-2.0 */
/* A client that goes leaves as many exchanges behind as it had streams. To end one is work:
 * servers' connections are closed, logs are written. They end a few at a time, and other clients
 * have their turn in between. */
#include "serve/h2_exchange.h"

enum {
    AT_ONCE = 16,
    PAUSE_MS = 1,
};

static void tell(struct h2_exchange *e)
{
    const struct h2_stream *stream = &e->stream;
    e->is_untold = false;
    if (e->body_waiter != NULL)
        fiber_wake(e->body_waiter);
    if (e->out_waiter != NULL)
        fiber_wake(e->out_waiter);
    /* The client has reset it, or is gone. */
    if (stream->is_closed && !stream->out_done && e->fiber != NULL)
        fiber_cancel(e->fiber);
}

void h2_exchange_tell(struct h2_exchange *e)
{
    struct h2_connection *c = e->connection;
    if (c->session == NULL && ++c->told > AT_ONCE)
        e->is_untold = true;
    else
        tell(e);
}

static void tell_more(struct timer *timer)
{
    struct h2_connection *c = LIST_ENTRY(timer, struct h2_connection, timer);
    unsigned told = 0;
    LIST_EACH(link, &c->exchanges)
    {
        struct h2_exchange *e = LIST_ENTRY(link, struct h2_exchange, link);
        if (!e->is_untold)
            continue;
        if (++told > AT_ONCE) {
            h2_tell_others_later(c);
            return;
        }
        tell(e);
    }
}

void h2_tell_others_later(struct h2_connection *c)
{
    if (c->told <= AT_ONCE)
        return;
    c->timer.on_fire = tell_more;
    timer_set(&c->worker->thread.timers, &c->timer,
              clock_after(loop_now(), MILLISECONDS(PAUSE_MS)));
}
