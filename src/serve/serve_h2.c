/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/serve_h2.h"

#include "base/check.h"
#include "base/log.h"
#include "serve/h2_exchange.h"

#include <stdlib.h>
#include <string.h>

enum { WARNING_S = 1 }; /* between "will go" and "nothing new": more than a round trip */

void h2_free_if_done(struct h2_connection *c)
{
    if (c->session != NULL || c->active > 0)
        return;
    struct serve_worker *worker = c->worker;
    timer_clear(&worker->thread.timers, &c->timer);
    serve_leave(c->listener, &c->peer, c->is_counted);
    list_remove(&c->link);
    free(c->tls);
    free(c->introduction);
    loop_free_later(c);
    serve_look_if_empty(worker);
}

void h2_kick(struct h2_connection *c)
{
    if (c->session != NULL && h2_session_has_output(c->session))
        duplex_send(&c->duplex);
}

/* When the connection is looked at next. */
static int64_t next_look(const struct h2_connection *c)
{
    const struct timeouts *timeouts = &c->listener->config->timeouts;
    int64_t at = CLOCK_NEVER;
    if (c->goodbye == H2_WARNED)
        at = c->warned + SECONDS(WARNING_S);
    int64_t head_began = c->has_heard ? c->head_began : c->opened;
    if (head_began != 0 && timeouts->request_header != CLOCK_NEVER &&
        head_began + timeouts->request_header < at)
        at = head_began + timeouts->request_header;
    if (c->active == 0 && timeouts->h2_keepalive != CLOCK_NEVER &&
        c->idle_since + timeouts->h2_keepalive < at)
        at = c->idle_since + timeouts->h2_keepalive;
    LIST_EACH(link, &c->left)
    {
        const struct h2_exchange *e = LIST_ENTRY(link, struct h2_exchange, left);
        if (e->left_until < at)
            at = e->left_until;
    }
    return at;
}

void h2_schedule(struct h2_connection *c)
{
    struct timers *timers = &c->worker->thread.timers;
    if (c->session == NULL)
        timer_clear(timers, &c->timer);
    else
        timer_set(timers, &c->timer, next_look(c));
}

void h2_shutdown(struct h2_connection *c)
{
    if (c->session == NULL || c->goodbye != H2_STAYS)
        return;
    c->goodbye = H2_WARNED;
    c->warned = loop_now();
    h2_session_shutdown(c->session, false);
    h2_schedule(c);
    duplex_send(&c->duplex);
}

static void leave_now(struct h2_connection *c)
{
    c->goodbye = H2_LEAVING;
    c->idle_since = loop_now(); /* that long it has for its last streams to come to an end */
    h2_session_shutdown(c->session, true);
    h2_schedule(c);
    duplex_send(&c->duplex);
}

/* Those whose answers the client's windows have kept here for too long. */
static void reset_left(struct h2_connection *c, int64_t now)
{
    LIST_EACH(link, &c->left)
    {
        struct h2_exchange *e = LIST_ENTRY(link, struct h2_exchange, left);
        if (e->left_until > now)
            continue;
        e->left_until = CLOCK_NEVER;
        h2_stream_reset(&e->stream, H2_CANCEL);
    }
    h2_kick(c);
}

static void on_timer(struct timer *timer)
{
    struct h2_connection *c = LIST_ENTRY(timer, struct h2_connection, timer);
    const struct timeouts *timeouts = &c->listener->config->timeouts;
    int64_t now = loop_now();
    reset_left(c, now);
    int64_t head_began = c->has_heard ? c->head_began : c->opened;
    if (head_began != 0 && timeouts->request_header != CLOCK_NEVER &&
        now >= head_began + timeouts->request_header) {
        h2_end(c);
        return;
    }
    bool is_idle = c->active == 0 && timeouts->h2_keepalive != CLOCK_NEVER &&
                   now >= c->idle_since + timeouts->h2_keepalive;
    if (is_idle && c->goodbye == H2_LEAVING)
        h2_end(c);
    else if (is_idle || (c->goodbye == H2_WARNED && now >= c->warned + SECONDS(WARNING_S)))
        leave_now(c);
    else
        h2_schedule(c);
}

static struct h2_connection *connection_of(struct duplex *duplex)
{
    return LIST_ENTRY(duplex, struct h2_connection, duplex);
}

/* Says, once, why the session has come to a bad end. */
static void report(struct h2_connection *c)
{
    const char *why = h2_session_why(c->session);
    if (c->was_reported || why[0] == '\0')
        return;
    c->was_reported = true;
    counter_add(&c->worker->h2_refused, 1);
    log_write(LOG_INFO, "h2_connection_refused", "a connection of %.*s was ended: %s",
              (int)c->ip_size, c->ip, why);
}

/* What is much work is done in parts: others have their turn in between. */
static enum status receive(struct duplex *duplex, struct slice bytes)
{
    struct h2_connection *c = connection_of(duplex);
    c->has_heard = true;
    enum status status = h2_session_receive(c->session, bytes, loop_now());
    while (status == OK && h2_session_is_paused(c->session)) {
        TRY(fiber_yield());
        if (duplex->is_closing || duplex->is_ending)
            return OK;
        status = h2_session_go_on(c->session, loop_now());
    }
    if (status != OK)
        report(c);
    return status;
}

static void received(struct duplex *duplex)
{
    struct h2_connection *c = connection_of(duplex);
    bool is_in_head = h2_session_is_in_head(c->session);
    bool was_in_head = c->head_began != 0;
    if (is_in_head && !was_in_head)
        c->head_began = loop_now();
    if (!is_in_head)
        c->head_began = 0;
    if (is_in_head != was_in_head || !timer_is_set(&c->timer))
        h2_schedule(c);
    if (h2_session_is_suspect(c->session))
        h2_shutdown(c);
    h2_kick(c);
}

static size_t fill(struct duplex *duplex, char *into, size_t room)
{
    struct h2_connection *c = connection_of(duplex);
    size_t size = h2_session_fill(c->session, into, room);
    report(c); /* what we send may be too much as well: resets */
    return size;
}

static bool is_over(struct duplex *duplex)
{
    return h2_session_is_over(connection_of(duplex)->session);
}

static void on_end(struct duplex *duplex)
{
    struct h2_connection *c = connection_of(duplex);
    struct h2_session *session = c->session;
    timer_clear(&c->worker->thread.timers, &c->timer);
    stream_close(&duplex->stream, false);
    c->active++; /* it stays while its streams are told */
    c->session = NULL;
    h2_session_free(session);
    h2_tell_others_later(c);
    c->active--;
    h2_free_if_done(c);
}

static const struct duplex_events DUPLEX_EVENTS = {
    .receive = receive,
    .received = received,
    .fill = fill,
    .is_over = is_over,
    .end = on_end,
};

static struct slice keep(char **at, struct slice text)
{
    struct slice kept = slice_of(*at, text.size);
    if (text.size > 0)
        memcpy(*at, text.data, text.size);
    *at += text.size;
    return kept;
}

static struct tls_facts *copy_facts(const struct tls_facts *facts)
{
    if (facts == NULL)
        return NULL;
    size_t size = facts->protocol.size + facts->server_name.size + facts->client_name.size +
                  facts->client_fingerprint.size;
    struct tls_facts *copy = memory_alloc(sizeof *copy + size);
    char *at = (char *)(copy + 1);
    *copy = *facts;
    copy->protocol = keep(&at, facts->protocol);
    copy->server_name = keep(&at, facts->server_name);
    copy->client_name = keep(&at, facts->client_name);
    copy->client_fingerprint = keep(&at, facts->client_fingerprint);
    return copy;
}

void h2_accept(struct listener *listener, struct stream *stream, const struct address *peer,
               bool is_counted, bool is_secure, int64_t opened, struct slice early)
{
    struct serve_worker *worker = listener->worker;
    const struct listener_config *config = listener->config;
    const struct limits *limits = &config->limits;
    struct h2_limits session_limits = {
        .streams = (uint32_t)limits->h2_streams,
        .window = (uint32_t)limits->h2_stream_window,
        .connection_window = (uint32_t)limits->h2_connection_window,
        .resets = (uint32_t)limits->h2_resets,
        .resets_per_s = (uint32_t)limits->h2_resets_per_second,
        .glitches = (uint32_t)limits->h2_glitches,
        .head =
            {
                .line_size = (uint32_t)limits->request_line,
                .fields_size = (uint32_t)limits->fields_size,
                .fields_count = (uint32_t)limits->fields,
                .field_names = config->field_names,
            },
        .is_secure = is_secure,
    };
    struct h2_connection *c = memory_zero(sizeof *c);
    c->worker = worker;
    c->listener = listener;
    c->streams_max = (uint32_t)limits->h2_streams;
    c->peer = *peer;
    c->is_counted = is_counted;
    c->is_secure = is_secure;
    c->tls = copy_facts(stream_tls_facts(stream));
    c->introduction = stream->introduction;
    stream->introduction = NULL;
    c->opened = opened;
    c->idle_since = loop_now();
    c->timer.on_fire = on_timer;
    list_init(&c->exchanges);
    char text[ADDRESS_TEXT_MAX];
    struct slice ip = address_format_ip(peer, text);
    check(ip.size <= sizeof c->ip);
    memcpy(c->ip, ip.data, ip.size);
    c->ip_size = (uint8_t)ip.size;
    list_init(&c->left);
    list_append(&worker->h2_connections, &c->link);
    counter_add(&worker->h2_opened, 1);
    counter_add(&listener->counts->h2, 1);
    c->session = h2_session_new(H2_SERVER, &session_limits, &h2_stream_events, c);
    c->duplex.events = &DUPLEX_EVENTS;
    c->duplex.write_stall = config->timeouts.client_write;
    c->duplex.linger = config->timeouts.linger;
    if (worker->is_draining || listener->last != NULL)
        h2_session_shutdown(c->session, true);
    h2_schedule(c);
    duplex_start(&c->duplex, stream, early);
}

void h2_take(struct listener *listener, struct stream *stream, const struct address *peer,
             bool is_counted)
{
    h2_accept(listener, stream, peer, is_counted, true, loop_now(), SLICE(""));
}

void h2_end(struct h2_connection *c)
{
    if (c->session != NULL)
        duplex_end(&c->duplex);
}
