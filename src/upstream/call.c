/* SPDX-License-Identifier: Apache-2.0 */
/* A call from choice to answer: which server, which connection, whether to try again. */
#include "upstream/call.h"

#include "base/check.h"
#include "base/log.h"
#include "fiber/block.h"
#include "upstream/balance.h"
#include "upstream/breaker.h"
#include "upstream/call_inside.h"
#include "upstream/h2_link.h"
#include "upstream/queue.h"
#include "upstream/server_count.h"

#include <stdlib.h>

enum {
    QUEUE_LOOK_MS = 250,
};

enum status call_fail(struct upstream_call *call, enum status status, int answer, const char *error,
                      const char *why)
{
    call->answer = answer;
    call->error = error;
    call->why = why;
    return status;
}

/* The servers that were tried already. */
struct tried {
    struct server *servers[CALL_TRIES_MAX];
    size_t count;
    struct balance_key key;
    bool may_repeat;     /* they may be asked again when no other is left */
    int64_t queue_until; /* end of the wait for a server; 0: it has not begun */
};

static struct server *choose_server(struct upstream *upstream, const struct tried *tried,
                                    struct choice *choice)
{
    struct server *server = balance_choose(upstream, tried->servers, tried->count, choice);
    if (tried->count == 0)
        return server;
    /* Only a first try goes to servers that are down. */
    if (server != NULL && !choice->is_panic)
        return server;
    if (!tried->may_repeat)
        return NULL;
    return balance_choose(upstream, NULL, 0, choice);
}

COLD static void say_panic(const struct upstream *upstream)
{
    log_about(LOG_WARN, "upstream_panic", &(struct log_about){.upstream = upstream->name},
              "upstream %.*s: no server is usable, so those that are down are tried",
              SLICE_ARG(upstream->name));
}

/* Counts this call in on a server that is free now. OK; ERR_LIMIT: all are full;
 * ERR_UNREACHABLE: none is left. */
static enum status take_server(struct upstream_call *call, const struct tried *tried)
{
    for (;;) {
        struct choice choice = {.key = tried->key};
        struct server *server = choose_server(call->upstream, tried, &choice);
        if (server == NULL)
            return choice.is_full ? ERR_LIMIT : ERR_UNREACHABLE;
        if (choice.is_panic)
            say_panic(call->upstream);
        if (server_enter(server)) {
            call->inside->server = server;
            call->server_name = server->name;
            call->server_state =
                server_is_plain(server)
                    ? SLICE("up")
                    : slice_from_cstring(server_life_name(server_life(server, loop_now())));
            call->server_id = __atomic_load_n(&server->id, __ATOMIC_RELAXED);
            return OK;
        }
    }
}

/* Whether none is usable because the only ones refuse: they are probed, and worth waiting for. */
static bool all_refuse(struct upstream *upstream)
{
    bool has_refusing = false;
    size_t count = upstream_count(upstream);
    for (size_t i = 0; i < count; i++) {
        if (server_is_usable(&upstream->servers[i], loop_now()))
            return false;
        has_refusing = has_refusing || server_is_refusing(&upstream->servers[i]);
    }
    return has_refusing;
}

/* All are full or refuse: waits in the queue until one does not. */
__attribute__((noinline)) static enum status
take_server_in_turn(struct upstream_call *call, struct tried *tried, int64_t deadline)
{
    struct queue_place *place;
    struct upstream *upstream = call->upstream;
    if (tried->queue_until == 0)
        tried->queue_until =
            stream_stall_deadline(upstream_rules(upstream)->queue_timeout, deadline);
    int64_t until = tried->queue_until;
    if (upstream_queue_join(upstream, &place) != OK)
        return call_fail(call, ERR_LIMIT, 503, "connection_limit_reached", "queue: full");
    enum status waited = OK;
    enum status taken = ERR_LIMIT;
    while (waited == OK) {
        if (upstream_queue_is_first(place) && !all_refuse(upstream))
            taken = take_server(call, tried);
        if (taken != ERR_LIMIT)
            break;
        /* Nobody calls when an ejection runs out: look now and then. */
        int64_t look = loop_now() + MILLISECONDS(QUEUE_LOOK_MS);
        waited = upstream_queue_wait(place, look < until ? look : until);
        if (waited == ERR_TIMEOUT && look < until)
            waited = OK;
    }
    upstream_queue_leave(place);
    if (waited == ERR_CANCELLED)
        return call_fail(call, waited, 0, "", "cancelled in the queue");
    if (waited != OK && all_refuse(upstream))
        return call_fail(call, ERR_LIMIT, 503, "destination_unavailable",
                         "queue: every server refuses");
    if (waited != OK)
        return call_fail(call, ERR_LIMIT, 503, "connection_limit_reached",
                         "queue: waited too long");
    return taken;
}

/* After every server refused and nothing was sent: one that is being restarted will be back soon.
 * OK: a server was entered. */
__attribute__((noinline)) static enum status hold(struct upstream_call *call, struct tried *tried,
                                                  int64_t deadline)
{
    if (upstream_rules(call->upstream)->queue == 0 ||
        (tried->queue_until != 0 && loop_now() >= tried->queue_until))
        return ERR_REFUSED; /* and why has been said */
    tried->count = 0;
    /* Nobody looks after it, so that it does not seem to refuse: not asked without a pause. */
    if (!all_refuse(call->upstream) && call_back_off(0) != OK)
        return call_fail(call, ERR_CANCELLED, 0, "", "cancelled between two tries");
    return take_server_in_turn(call, tried, deadline);
}

/* Chooses a server and counts this call in; waits in the queue when all are full. */
static enum status enter_server(struct upstream_call *call, struct tried *tried, int64_t deadline)
{
    if (call->avoided != NULL) /* it stands in for another: that one waits, if any */
        return take_server(call, tried);
    bool has_queue = __atomic_load_n(&call->upstream->waiting, __ATOMIC_RELAXED) > 0;
    enum status status = has_queue ? ERR_LIMIT : take_server(call, tried);
    if (status == ERR_LIMIT)
        status = take_server_in_turn(call, tried, deadline);
    if (status == ERR_UNREACHABLE && tried->count == 0)
        return call_fail(call, status, 503, "destination_unavailable", "no server is left to try");
    return status; /* else the last try has said why */
}

/* As many at a time as the breaker lets. */
static enum status connect_server(struct upstream_call *call, int64_t deadline)
{
    if (!breaker_begin_connect(call->upstream))
        return call_too_many_connects(call);
    enum status status = call_dial(call, deadline);
    breaker_end_connect(call->upstream);
    return status;
}

void call_release(struct upstream_call *call)
{
    struct upstream_exchange *inside = call->inside;
    struct server_connection *connection = inside->connection;
    if (inside->h2 != NULL)
        call_h2_release(call);
    if (connection == NULL)
        return;
    bool is_whole = inside->is_sent && !inside->was_early && call->body != NULL;
    if (inside->cgi != NULL)
        is_whole = is_whole && call_cgi_is_whole(call);
    else
        is_whole = is_whole && call->head.keep_alive && h1_body_is_done(&inside->body.parser) &&
                   inside->body.ahead.size == 0 && call->tunnel == NULL;
    if (inside->is_sending) {
        stream_break(&connection->stream);
        fiber_scope_cancel(&inside->scope);
    }
    inside->connection = NULL;
    /* One that knows a client is that client's alone. */
    if (!is_whole || connection->is_of_one || upstream_proxy_protocol(call->upstream) > 0) {
        pool_close(connection, false);
        return;
    }
    if (inside->cgi != NULL && pool_yield(connection->server)) {
        pool_close(connection, false); /* who waits is served by whom this one kept busy */
        return;
    }
    int64_t said = call->head.keep_alive_timeout;
    if (said > 0 && said - SECONDS(1) < connection->idle_timeout)
        connection->idle_timeout = said - SECONDS(1);
    pool_put(connection);
}

static void release_data(struct upstream_exchange *inside)
{
    if (inside->data != NULL && inside->is_block)
        block_give(inside->data);
    else
        free(inside->data);
    inside->data = NULL;
    inside->size = inside->capacity = 0;
    if (inside->body_block != NULL)
        block_give(inside->body_block);
    inside->body_block = NULL;
}

static void leave_server(struct upstream_exchange *inside)
{
    if (inside->server != NULL)
        server_leave(inside->server);
    inside->server = NULL;
}

/* An upgrade is of HTTP/1, and goes over a connection of its own. */
static enum upstream_http http_of(const struct upstream_call *call)
{
    enum upstream_http http = call->policy.http;
    if (http == UPSTREAM_HTTP_INHERITED)
        http = upstream_rules(call->upstream)->http;
    if (upstream_is_cgi(http))
        return http;
    if (call->request.upgrade.size > 0 || upstream_proxy_protocol(call->upstream) > 0 ||
        (http == UPSTREAM_HTTP_AUTO && !h2_link_may_be(call->inside->server)))
        return UPSTREAM_HTTP_1;
    return http;
}

static enum status send_over(struct upstream_call *call, bool fresh, int64_t deadline)
{
    struct upstream_exchange *inside = call->inside;
    enum upstream_http http = http_of(call);
    bool is_cgi = upstream_is_cgi(http);
    if (http != UPSTREAM_HTTP_1 && !is_cgi) {
        bool is_h1 = false;
        enum status status = call_h2(call, http == UPSTREAM_HTTP_AUTO, &is_h1, deadline);
        if (!is_h1)
            return status;
        http = UPSTREAM_HTTP_1;
    }
    fresh = fresh || upstream_proxy_protocol(call->upstream) > 0;
    inside->connection =
        fresh ? NULL : pool_take_spoken(inside->server, !call_is_idempotent(call), http);
    if (inside->connection == NULL)
        TRY(connect_server(call, deadline));
    inside->connection->http = http;
    return is_cgi ? call_cgi(call, http, deadline) : call_h1(call, deadline);
}

/* One try on the chosen server. `fresh`: not over a pooled connection. */
static enum status try_once(struct upstream_call *call, bool fresh, int64_t deadline)
{
    struct upstream_exchange *inside = call->inside;
    int64_t whole = deadline;
    if (call->policy.try_timeout > 0)
        deadline = stream_stall_deadline(call->policy.try_timeout, deadline);
    inside->has_written = inside->has_answered = inside->was_early = false;
    inside->is_cut_short = false;
    inside->is_sent = inside->is_sending = false;
    inside->send_status = OK;
    inside->size = 0;
    call->connect_time = 0;
    call->body = NULL;
    call->tunnel = NULL;
    inside->h2 = NULL;
    inside->cgi = NULL;
    inside->was_refused = inside->has_pulled = false;
    enum status status = send_over(call, fresh, deadline);
    inside->is_cut_short = status == ERR_TIMEOUT && deadline < whole && loop_now() >= deadline;
    return status;
}

static void note_health(struct upstream_call *call, struct server *server, enum status status)
{
    call_note_time(call, server, status);
    if (status == OK && !call_is_gateway_error(call->head.status))
        server_succeeded(server);
    else if (status == OK || ((status == ERR_CLOSED || status == ERR_SYSTEM ||
                               status == ERR_PROTOCOL || status == ERR_TIMEOUT) &&
                              call->inside->has_written && !call->client_failed))
        server_failed(server, loop_now());
}

/* Its messages are passed on as they come: the answer to one may be what the next waits for. */
static bool is_grpc(const struct upstream_call *call)
{
    const struct field *type = fields_find(call->request.fields, FIELD_CONTENT_TYPE);
    return type != NULL && slice_starts_nocase(type->value, SLICE("application/grpc"));
}

static enum status prepare(struct upstream_call *call, int64_t deadline)
{
    struct upstream_exchange *inside = arena_zero(call->arena, sizeof *inside);
    call->inside = inside;
    call->tries = 0;
    call->client_failed = false;
    call->server_name = SLICE("");
    call->server_state = SLICE("");
    call->server_id = 0;
    call->answer = 502;
    call->error = "";
    call->why = "";
    fiber_scope_init(&inside->scope);
    inside->items = arena_alloc(call->arena, CALL_FIELDS * sizeof *inside->items);
    const struct body *body = call->request.body;
    if (body->length == 0) {
        inside->is_kept = true;
        return OK;
    }
    if (body->length < 0 || body->length > call->policy.kept_body ||
        call->request.upgrade.size > 0 || is_grpc(call))
        return OK;
    return call_keep_body(call, deadline);
}

/* Whether there will be another try; notes where it must not go. */
static bool plan_retry(struct upstream_call *call, enum again again, struct tried *tried)
{
    bool has_more =
        tried->count + 1 < CALL_TRIES_MAX && tried->count + 1 < upstream_members(call->upstream);
    tried->may_repeat = again == AGAIN_PAID;
    if (again == AGAIN_NO || (again == AGAIN_FREE && !has_more))
        return false;
    if (again == AGAIN_PAID &&
        (call->tries >= call->policy.tries || !call_spend_budget(call->upstream, true)))
        return false;
    if (has_more)
        tried->servers[tried->count++] = call->inside->server;
    return true;
}

static enum upstream_retried why_again(enum status status, enum again again)
{
    if (again == AGAIN_FREE) /* nothing was sent */
        return UPSTREAM_RETRIED_CONNECT;
    return status == OK            ? UPSTREAM_RETRIED_STATUS
           : status == ERR_TIMEOUT ? UPSTREAM_RETRIED_TIMEOUT
                                   : UPSTREAM_RETRIED_RESET;
}

enum status call_with_retries(struct upstream_call *call, int64_t deadline)
{
    struct tried tried = {.key = call_key(call)};
    bool fresh = false;
    if (call->avoided != NULL)
        tried.servers[tried.count++] = (struct server *)(uintptr_t)call->avoided;
    TRY(prepare(call, deadline));
    struct upstream_exchange *inside = call->inside;
    for (int retries = 0;;) {
        if (!fresh && inside->server == NULL)
            TRY(enter_server(call, &tried, deadline));
        call->tries += !fresh; /* else the same try, over a connection that lives */
        enum status status = try_once(call, fresh, deadline);
        enum again again = call_may_try_again(call, status, fresh, deadline);
        fresh = again == AGAIN_FRESH;
        if (fresh) {
            call_release(call);
            continue;
        }
        note_health(call, inside->server, status);
        server_count_try(call, inside->server, status);
        if (!plan_retry(call, again, &tried)) {
            if (status == OK)
                return OK;
            call_release(call);
            release_data(inside);
            leave_server(inside);
            if (status == ERR_REFUSED && again == AGAIN_FREE)
                status = hold(call, &tried, deadline);
            if (status != OK)
                return status;
            continue;
        }
        server_count_retry(inside->server, why_again(status, again));
        call_release(call);
        leave_server(inside);
        if (again == AGAIN_PAID && call_back_off(retries++) != OK)
            return call_fail(call, ERR_CANCELLED, 0, "", "cancelled between two tries");
    }
}

static void dismiss(struct upstream_call *call)
{
    if (call->is_admitted)
        breaker_leave(call->upstream);
    call->is_admitted = false;
}

/* For the limit that adapts: what the server alone took. Errors come fast, and with a body that was
 * not kept the pace was the client's. A stream of events may last for days: it is no work that the
 * limit is found by, nor held against it. */
static void measure(struct upstream_call *call, enum status status, int64_t took)
{
    if (status == ERR_TIMEOUT && !call->client_failed)
        breaker_measure(call->upstream, took);
    if (status != OK || upstream_rules(call->upstream)->adaptive_max == 0)
        return;
    if (call->inside->is_kept && call->head.status < 500)
        breaker_measure(call->upstream, call->connect_time + call->first_byte_time);
    if (call_is_patient(call) && upstream_rules(call->upstream)->requests_max == 0)
        dismiss(call);
}

enum status upstream_call(struct upstream_call *call, int64_t deadline)
{
    call_spend_budget(call->upstream, false);
    if (!breaker_enter(call->upstream, &call->is_admitted)) {
        call->client_failed = false;
        if (breaker_adapts(call->upstream))
            return call_fail(call, ERR_LIMIT, 503, "connection_limit_reached", "adaptive_limit");
        return call_fail(call, ERR_LIMIT, 503, "connection_limit_reached", "breaker: requests");
    }
    int64_t began = loop_now();
    enum status status = call_hedge_delay(call) > 0 ? call_hedged(call, deadline)
                                                    : call_with_retries(call, deadline);
    if (call->is_admitted)
        measure(call, status, loop_now() - began);
    if (status == OK && call->policy.hedge != 0 && call->request.body->length == 0)
        latency_add(&call->upstream->latency, loop_now() - began);
    return status;
}

void upstream_call_broke_off(const struct upstream_call *call, const char *error)
{
    if (call->inside != NULL && call->inside->server != NULL)
        server_count_broken(call->inside->server, error);
}

void upstream_call_end(struct upstream_call *call)
{
    struct upstream_exchange *inside = call->inside;
    dismiss(call);
    if (inside == NULL)
        return;
    call_release(call);
    release_data(inside);
    leave_server(inside);
}

void *upstream_call_detach(struct upstream_call *call)
{
    struct upstream_exchange *inside = call->inside;
    struct server *server = inside->server;
    check(call->tunnel != NULL && server != NULL);
    /* The stream was moved out of the connection's struct. */
    loop_free_later(inside->connection);
    inside->connection = NULL;
    inside->server = NULL;
    dismiss(call); /* a tunnel is no request in work any more */
    return server;
}

void upstream_tunnel_end(void *detached)
{
    server_leave(detached);
}
