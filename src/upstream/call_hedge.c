/* SPDX-License-Identifier: Apache-2.0 */
/* A second server is asked when the first takes long: two calls on fibers of their own, of which
 * one becomes the caller's. The other is cancelled before this returns, and its connection closed.
 * Only for safe requests without a body, and within the retry budget. */
#include "base/check.h"
#include "upstream/breaker.h"
#include "upstream/call_inside.h"
#include "upstream/server.h"

enum {
    PERCENT = 95,
};

/* One of the two. */
struct side {
    struct upstream_call call;
    struct fiber_scope scope;
    struct fiber *waiter;
    int64_t deadline;
    enum status status;
    bool is_started, is_done;
};

int64_t call_hedge_delay(const struct upstream_call *call)
{
    int64_t hedge = call->policy.hedge;
    if (hedge == 0 || !method_is_safe(call->request.method) || call->request.body->length != 0 ||
        call->request.upgrade.size > 0 || upstream_members(call->upstream) < 2)
        return 0;
    return hedge == UPSTREAM_HEDGE_P95 ? latency_percentile(&call->upstream->latency, PERCENT)
                                       : hedge;
}

static void run_side(void *argument)
{
    struct side *side = argument;
    side->status = call_with_retries(&side->call, side->deadline);
    side->is_done = true;
    fiber_wake(side->waiter);
}

static enum status start_side(struct side *side, const struct upstream_call *call, int64_t deadline)
{
    fiber_scope_init(&side->scope);
    side->call = *call;
    side->call.is_admitted = false;
    side->call.request.on_interim = NULL; /* only one of two could be passed on */
    side->waiter = fiber_self();
    side->deadline = deadline;
    side->status = ERR_CANCELLED;
    TRY(fiber_start(&side->scope, "hedge", run_side, side, NULL));
    side->is_started = true;
    return OK;
}

static bool is_good(const struct side *side)
{
    return side->is_done && side->status == OK && !call_is_gateway_error(side->call.head.status);
}

/* Ends one of which nothing is wanted any more. */
static void drop_side(struct side *side)
{
    if (!side->is_started)
        return;
    fiber_scope_cancel(&side->scope);
    side->call.body = NULL; /* so that its connection is closed, whatever came of it */
    upstream_call_end(&side->call);
}

/* Makes it the caller's own call. */
static enum status adopt(struct upstream_call *call, const struct side *side, int tries)
{
    struct upstream_call was = *call;
    *call = side->call;
    call->is_admitted = was.is_admitted;
    call->avoided = was.avoided;
    call->request = was.request;
    call->policy = was.policy;
    call->tries = tries;
    call->inside->body.call = call;
    if (call->inside->h2 != NULL)
        call_h2_adopt(call->inside->h2, call);
    if (call->inside->cgi != NULL)
        call_cgi_adopt(call->inside->cgi, call);
    return side->status;
}

/* Begins the second try, if there is another server and the budget allows it. */
static void start_second(struct side *sides, const struct upstream_call *call, int64_t deadline)
{
    const struct upstream_exchange *first = sides[0].call.inside;
    if (first == NULL || first->server == NULL || !call_spend_budget(call->upstream, true))
        return;
    struct upstream_call second = *call;
    second.avoided = first->server;
    second.policy.tries = 1;
    if (start_side(&sides[1], &second, deadline) != OK)
        sides[1].is_done = true; /* no fiber is left: the first goes on alone */
}

enum status call_hedged(struct upstream_call *call, int64_t deadline)
{
    struct side *sides = arena_zero(call->arena, 2 * sizeof *sides);
    int64_t second_at = loop_now() + call_hedge_delay(call);
    if (start_side(&sides[0], call, deadline) != OK)
        return call_with_retries(call, deadline);
    enum status waited = OK;
    bool has_second = false;
    while (waited == OK) {
        if (is_good(&sides[0]) || is_good(&sides[1]))
            break;
        if (sides[0].is_done && (sides[1].is_done || !sides[1].is_started))
            break;
        bool may_start = !has_second && !sides[0].is_done;
        waited = fiber_wait(may_start ? second_at : CLOCK_NEVER);
        if (waited == ERR_TIMEOUT && may_start) {
            has_second = true;
            waited = OK;
            start_second(sides, call, deadline);
        }
    }
    int winner = is_good(&sides[0]) || !is_good(&sides[1]) ? 0 : 1;
    int tries = sides[0].call.tries + (sides[1].is_started ? sides[1].call.tries : 0);
    drop_side(&sides[1 - winner]);
    if (waited != OK) {
        drop_side(&sides[winner]);
        return call_fail(call, waited, 0, "", "cancelled while waiting for the answer");
    }
    fiber_scope_join(&sides[winner].scope);
    return adopt(call, &sides[winner], tries);
}
