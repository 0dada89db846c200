/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/serve.h"

#include "base/clock.h"
#include "exchange/apart.h"
#include "exchange/cidr.h"
#include "http/trace_context.h"
#include "net/proxy_protocol.h"
#include "net/tunnel.h"
#include "serve/clients.h"
#include "serve/handshake.h"
#include "serve/listener.h"
#include "serve/serve_h1.h"
#include "serve/serve_h2.h"

#include <endian.h>

enum {
    REQUEST_ID_SIZE = 36, /* of a UUID, RFC 9562 */
};

struct slice serve_date(struct serve_worker *worker)
{
    /* The wall clock is asked once per second of the monotonic one. */
    int64_t second = worker->thread.now / SECONDS(1) + 1;
    if (second != worker->date_second) {
        worker->date_second = second;
        date_http(clock_wall(), worker->date);
    }
    return slice_of(worker->date, sizeof worker->date);
}

/* Writes 8 lower-case hexadecimal digits: a byte per digit first, then all of them made letters at
 * once. */
static void write_hex(char *into, uint32_t number)
{
    uint64_t x = number;
    x = (x | x << 16) & UINT64_C(0x0000ffff0000ffff);
    x = (x | x << 8) & UINT64_C(0x00ff00ff00ff00ff);
    x = (x | x << 4) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    uint64_t is_letter = (x + UINT64_C(0x0606060606060606)) >> 4 & UINT64_C(0x0101010101010101);
    x += UINT64_C(0x3030303030303030) + is_letter * ('a' - '9' - 1);
    x = htobe64(x);
    memcpy(into, &x, sizeof x);
}

struct slice serve_request_id(struct arena *arena, int64_t wall)
{
    struct thread *thread = thread_self();
    uint64_t ms = (uint64_t)(wall / MILLISECONDS(1));
    uint64_t a = ms << 16 | 0x7000 | (random_next(&thread->random) & 0x0fff);
    uint64_t b = (random_next(&thread->random) >> 2) | UINT64_C(1) << 63;
    char digits[32];
    write_hex(digits, (uint32_t)(a >> 32));
    write_hex(digits + 8, (uint32_t)a);
    write_hex(digits + 16, (uint32_t)(b >> 32));
    write_hex(digits + 24, (uint32_t)b);
    static const uint8_t GROUPS[] = {8, 4, 4, 4, 12};
    char *text = arena_alloc(arena, REQUEST_ID_SIZE);
    char *at = text;
    const char *from = digits;
    for (size_t i = 0; i < sizeof GROUPS; i++) {
        if (i > 0)
            *at++ = '-';
        memcpy(at, from, GROUPS[i]);
        at += GROUPS[i];
        from += GROUPS[i];
    }
    return slice_of(text, REQUEST_ID_SIZE);
}

void serve_begin(struct exchange *x, struct listener *listener, const struct address *peer,
                 struct slice ip, bool is_secure)
{
    struct serve_worker *worker = listener->worker;
    x->sites = &listener->config->sites;
    x->listener = listener->counts->name;
    x->view = serve_view_enter(listener);
    x->fiber = fiber_self();
    x->started = loop_now();
    x->started_wall = clock_wall();
    x->peer = peer;
    x->client = peer;
    x->client_ip = ip;
    x->scheme = is_secure ? SLICE("https") : SLICE("http");
    x->request.body = body_none();
    x->response.body = body_none();
    counter_add(&worker->exchanges, 1);
    const struct trust *trust = &x->view->trust;
    x->client_trusted = trust->count > 0 && trust->header != CLIENT_HEADER_NONE &&
                        cidr_list_has(trust->cidrs, trust->count, peer);
    x->client_header = trust->header;
    if (x->introduction != NULL && proxy_header_is_tls(&x->introduction->header))
        x->scheme = SLICE("https"); /* as the client has connected to the one before us */
    if (x->client_trusted)
        exchange_find_client(x, trust->cidrs, trust->count);
    x->config = x->view->version;
    const struct field *trace = fields_find(&x->request.head.fields, FIELD_TRACEPARENT);
    if (trace != NULL)
        x->trace_id = trace_context_id(trace->value);
    const struct fields *fields = &x->request.head.fields;
    x->id_name = x->view->id_name;
    const struct field *id = !x->client_trusted     ? NULL
                             : x->id_name.size == 0 ? fields_find(fields, FIELD_X_REQUEST_ID)
                                                    : fields_find_named(fields, x->id_name);
    x->request_id = id != NULL ? id->value : serve_request_id(&x->arena, x->started_wall);
}

void serve_end(struct exchange *x, struct serve_worker *worker)
{
    if (x->blame.refusal != REFUSAL_NONE)
        counter_add(&worker->refused[x->blame.refusal], 1);
    if (x->view != NULL)
        serve_view_leave(worker, x->view);
    /* What it pointed to may be gone. */
    x->view = NULL;
    x->sites = NULL;
    x->site = NULL;
    x->route = NULL;
}

struct serve_view *serve_view_enter(struct listener *listener)
{
    struct serve_view *view = listener->last == NULL ? listener->worker->view : listener->last;
    view->uses++;
    return view;
}

void serve_view_leave(struct serve_worker *worker, struct serve_view *view)
{
    if (--view->uses == 0 && view != worker->view)
        view->on_unused(view);
}

static void enter_view(struct serve_view *view)
{
    view->uses++;
}

static void leave_view(struct serve_view *view)
{
    serve_view_leave(serve_self(), view);
}

void serve_prepare_aparts(void)
{
    exchange_apart_set_view(enter_view, leave_view);
}

void serve_view_set(struct serve_worker *worker, struct serve_view *view)
{
    struct serve_view *old = worker->view;
    worker->view = view;
    for (size_t i = 0; i < worker->listeners_count; i++) {
        struct listener *listener = worker->listeners[i];
        const struct listener_config *config =
            i < view->listeners_count ? view->listeners[i] : NULL;
        if (listener == NULL || listener->last != NULL)
            continue;
        if (config != NULL) {
            listener->config = config;
            continue;
        }
        listener->last = old; /* until its last connection has gone */
        old->uses++;
    }
    if (old != NULL && old->uses == 0)
        old->on_unused(old);
}

void serve_enter(struct listener *listener)
{
    listener->connections++;
    counter_add(&listener->counts->came, 1);
    __atomic_add_fetch(&listener->worker->connections_count, 1, __ATOMIC_RELAXED);
}

void serve_leave(struct listener *listener, const struct address *peer, bool is_counted)
{
    struct serve_worker *worker = listener->worker;
    if (is_counted)
        clients_leave(worker->shared->clients, peer);
    __atomic_sub_fetch(&worker->connections_count, 1, __ATOMIC_RELAXED);
    __atomic_sub_fetch(&worker->shared->connections, 1, __ATOMIC_RELAXED);
    counter_add(&listener->counts->went, 1);
    if (--listener->connections == 0 && listener->last != NULL)
        listener_empty(listener);
}

void serve_look_if_empty(struct serve_worker *worker)
{
    if (worker->is_draining && list_is_empty(&worker->connections) &&
        list_is_empty(&worker->h2_connections) && list_is_empty(&worker->handshakes) &&
        tunnel_count() == 0)
        worker->on_empty(worker);
}

void serve_drain(struct serve_worker *worker, void (*on_empty)(struct serve_worker *worker))
{
    for (size_t i = 0; i < worker->listeners_count; i++)
        if (worker->listeners[i] != NULL)
            listener_accept_waiting(worker->listeners[i]);
    worker->is_draining = true;
    worker->on_empty = on_empty;
    for (size_t i = 0; i < worker->listeners_count; i++)
        if (worker->listeners[i] != NULL)
            listener_stop(worker->listeners[i]);
    LIST_EACH(link, &worker->h2_connections)
    {
        h2_shutdown(LIST_ENTRY(link, struct h2_connection, link));
    }
    serve_look_if_empty(worker);
}

void serve_ask_to_leave(struct serve_worker *worker, const struct listener *listener)
{
    LIST_EACH(link, &worker->h2_connections)
    {
        struct h2_connection *c = LIST_ENTRY(link, struct h2_connection, link);
        if (c->listener == listener)
            h2_shutdown(c);
    }
}

void serve_close_connections(struct serve_worker *worker, const struct listener *listener)
{
    LIST_EACH(link, &worker->connections)
    {
        struct h1_connection *c = LIST_ENTRY(link, struct h1_connection, link);
        if (listener == NULL || c->listener == listener)
            h1_end(c);
    }
    LIST_EACH(link, &worker->h2_connections)
    {
        struct h2_connection *c = LIST_ENTRY(link, struct h2_connection, link);
        if (listener == NULL || c->listener == listener)
            h2_end(c);
    }
    LIST_EACH(link, &worker->handshakes)
    {
        struct handshake *handshake = LIST_ENTRY(link, struct handshake, link);
        if (listener == NULL || handshake->listener == listener)
            handshake_end(handshake);
    }
}

void serve_close_all(struct serve_worker *worker)
{
    serve_close_connections(worker, NULL);
    tunnel_end_all();
}
