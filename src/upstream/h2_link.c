/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/h2_link.h"

#include "base/check.h"
#include "net/stream_tls.h"
#include "upstream/breaker.h"
#include "upstream/call_inside.h"

#include <stdlib.h>

enum {
    STREAM_WINDOW = 64 * 1024,
    CONNECTION_WINDOW = 1024 * 1024,
    GLITCHES_MAX = 10000, /* a server that does as it likes */
    STREAMS_MAX = 1000,   /* of one connection, whatever the server allows */
    LOOK_S = 5,
    SILENT_S = 15, /* with calls on their way: asked for a sign of life … */
    ANSWER_S = 10, /* … and given up */
    LINGER_MS = 100,
    WRITE_STALL_S = 30,
    ASK_AGAIN_S = 300, /* a server that has preferred HTTP/1 */
};

/* A call that waits for a connection that is being dialled; on the call's stack. */
struct h2_link_waiter {
    struct list link;
    struct fiber *fiber;
};

static void free_if_done(struct h2_link *link)
{
    if (link->state != H2_LINK_GONE || link->users > 0)
        return;
    list_remove(&link->link);
    __atomic_sub_fetch(&link->server->links, 1, __ATOMIC_SEQ_CST);
    loop_free_later(link);
}

void h2_link_kick(struct h2_link *link)
{
    if (link->session != NULL && h2_session_has_output(link->session))
        duplex_send(&link->duplex);
}

static void on_changed(void *owner, struct h2_stream *stream)
{
    (void)owner;
    call_h2_changed(stream);
}

static const struct h2_events SESSION_EVENTS = {.changed = on_changed};

static struct h2_link *link_of(struct duplex *duplex)
{
    return LIST_ENTRY(duplex, struct h2_link, duplex);
}

static enum status receive(struct duplex *duplex, struct slice bytes)
{
    struct h2_link *link = link_of(duplex);
    link->heard = loop_now();
    return h2_session_receive(link->session, bytes, link->heard);
}

static void received(struct duplex *duplex)
{
    struct h2_link *link = link_of(duplex);
    if (h2_session_is_leaving(link->session) && h2_session_streams(link->session) == 0)
        duplex_close(duplex);
    else
        h2_link_kick(link);
}

static size_t fill(struct duplex *duplex, char *into, size_t room)
{
    return h2_session_fill(link_of(duplex)->session, into, room);
}

static bool is_over(struct duplex *duplex)
{
    return h2_session_is_over(link_of(duplex)->session);
}

static void on_end(struct duplex *duplex)
{
    struct h2_link *link = link_of(duplex);
    struct h2_session *session = link->session;
    timer_clear(&thread_self()->timers, &link->timer);
    link->alert = stream_tls_alert(&duplex->stream);
    stream_close(&duplex->stream, false);
    link->users++;
    link->state = H2_LINK_GONE;
    link->session = NULL;
    h2_session_free(session);
    link->users--;
    free_if_done(link);
}

static const struct duplex_events DUPLEX_EVENTS = {
    .receive = receive,
    .received = received,
    .fill = fill,
    .is_over = is_over,
    .end = on_end,
};

static void look_later(struct h2_link *link)
{
    timer_set(&thread_self()->timers, &link->timer, loop_now() + SECONDS(LOOK_S));
}

/* Closes what has been idle for long; asks a silent server that has calls to answer whether it is
 * there. */
static void on_timer(struct timer *timer)
{
    struct h2_link *link = LIST_ENTRY(timer, struct h2_link, timer);
    int64_t now = loop_now();
    if (link->users == 0) {
        link->is_pinged = false;
        if (now - link->idle_since >= upstream_rules(link->server->upstream)->keepalive_idle ||
            __atomic_load_n(&link->server->is_draining, __ATOMIC_RELAXED) ||
            !server_is_wanted(link->server)) {
            h2_session_shutdown(link->session, true);
            duplex_close(&link->duplex);
            return;
        }
    } else if (link->is_pinged && h2_session_pongs(link->session) == link->pongs) {
        if (now - link->heard >= SECONDS(SILENT_S + ANSWER_S)) {
            duplex_end(&link->duplex);
            return;
        }
    } else {
        link->is_pinged = now - link->heard >= SECONDS(SILENT_S);
        if (link->is_pinged) {
            link->pongs = h2_session_pongs(link->session);
            h2_session_ping(link->session);
            h2_link_kick(link);
        }
    }
    look_later(link);
}

static void open_session(struct h2_link *link, struct stream *stream)
{
    static const struct h2_limits LIMITS = {
        .window = STREAM_WINDOW,
        .connection_window = CONNECTION_WINDOW,
        .resets = UINT32_MAX / 1000,
        .resets_per_s = UINT32_MAX / 1000,
        .glitches = GLITCHES_MAX,
        .head = {CALL_LINE_MAX, CALL_FIELDS_SIZE_MAX, CALL_FIELDS_MAX, FIELD_NAMES_ALLOW},
    };
    link->state = H2_LINK_OPEN;
    link->heard = link->idle_since = loop_now();
    link->session = h2_session_new(H2_CLIENT, &LIMITS, &SESSION_EVENTS, link);
    link->duplex.events = &DUPLEX_EVENTS;
    link->duplex.write_stall = SECONDS(WRITE_STALL_S);
    link->duplex.linger = MILLISECONDS(LINGER_MS);
    link->timer.on_fire = on_timer;
    look_later(link);
    duplex_start(&link->duplex, stream, SLICE(""));
    h2_link_kick(link);
}

static void wake_waiters(struct h2_link *link)
{
    LIST_EACH(entry, &link->waiters)
    {
        list_remove(entry);
        fiber_wake(LIST_ENTRY(entry, struct h2_link_waiter, link)->fiber);
    }
}

/* A server that would rather speak HTTP/1: the connection waits in the pool for who asks next. */
static enum status give_to_pool(struct h2_link *link, struct stream *stream)
{
    struct server *server = link->server;
    link->failure = H2_LINK_NOT_H2;
    if (!link->offers_h1) {
        stream_close(stream, false);
        return ERR_TLS;
    }
    __atomic_store_n(&server->h1_until, loop_now() + SECONDS(ASK_AGAIN_S), __ATOMIC_RELAXED);
    struct server_connection *connection = memory_zero(sizeof *connection);
    stream_relocate(&connection->stream, stream);
    connection->server = server;
    connection->pool = link->pool;
    connection->idle_timeout = upstream_rules(server->upstream)->keepalive_idle;
    pool_put(connection);
    return ERR_TLS;
}

static enum status shake_hands(struct h2_link *link, struct stream *stream)
{
    struct server *server = link->server;
    link->trouble = (struct tls_trouble){"tls_protocol_error", "tls: the handshake failed"};
    enum status status =
        stream_tls_connect_as(stream, server->config.tls, server->sessions,
                              link->offers_h1 ? SLICE("\2h2\10http/1.1") : SLICE("\2h2"),
                              loop_now() + SECONDS(UPSTREAM_HANDSHAKE_S), &link->trouble);
    if (status != OK) {
        link->failure = H2_LINK_NOT_SECURED;
        stream_close(stream, status == ERR_TIMEOUT);
        return status;
    }
    return slice_equal(stream_tls_protocol(stream), SLICE("h2")) ? OK : give_to_pool(link, stream);
}

bool h2_link_may_be(const struct server *server)
{
    return server->config.tls != NULL &&
           loop_now() >= __atomic_load_n(&server->h1_until, __ATOMIC_RELAXED);
}

/* The fiber of a dial: no call's, because many wait for it. */
static void dial(void *argument)
{
    struct h2_link *link = argument;
    struct address addresses[SERVER_ADDRESSES_MAX];
    size_t count = server_addresses(link->server, addresses);
    struct stream stream = {0};
    size_t which;
    int64_t began = loop_now();
    enum status status = ERR_UNREACHABLE;
    if (count > 0)
        status = stream_connect(&stream, addresses, count, &which,
                                stream_stall_deadline(link->connect_timeout, CLOCK_NEVER));
    if (status == OK && link->server->config.tls != NULL)
        status = shake_hands(link, &stream);
    breaker_end_connect(link->server->upstream);
    link->connect_time = loop_now() - began;
    link->dialled = status;
    link->users++;
    if (status == OK)
        open_session(link, &stream);
    else
        link->state = H2_LINK_GONE;
    wake_waiters(link);
    link->users--;
    free_if_done(link);
}

static bool is_leaving(const struct h2_link *link)
{
    return link->state == H2_LINK_GONE ||
           (link->state == H2_LINK_OPEN && (link->duplex.is_closing || link->duplex.is_ending ||
                                            h2_session_is_leaving(link->session)));
}

static bool has_room(const struct h2_link *link)
{
    if (link->state == H2_LINK_DIALING)
        return link->users < 100;
    if (is_leaving(link))
        return false;
    uint32_t max = h2_session_streams_max(link->session);
    return link->users < (max < STREAMS_MAX ? max : STREAMS_MAX);
}

/* An open one first, else one that will be. */
static struct h2_link *find(struct pool *pool, bool offers_h1)
{
    struct h2_link *found = NULL;
    LIST_EACH(entry, &pool->h2)
    {
        struct h2_link *link = LIST_ENTRY(entry, struct h2_link, link);
        if (!has_room(link))
            continue;
        if (link->state == H2_LINK_OPEN)
            return link;
        if (link->offers_h1 == offers_h1)
            found = link;
    }
    return found;
}

/* As many at a time as the breaker lets; the fiber of the dial gives its place back. */
static enum status start(struct server *server, struct pool *pool, bool offers_h1,
                         int64_t connect_timeout, struct h2_link **made,
                         enum h2_link_failure *failure)
{
    struct upstream_local *local = &server->upstream->locals[thread_self()->index];
    if (local->is_stopped)
        return ERR_CANCELLED;
    if (!breaker_begin_connect(server->upstream)) {
        *failure = H2_LINK_NOT_ALLOWED;
        return ERR_LIMIT;
    }
    struct h2_link *link = memory_zero(sizeof *link);
    link->server = server;
    link->pool = pool;
    link->connect_timeout = connect_timeout;
    link->offers_h1 = offers_h1;
    link->users = 1;
    list_init(&link->waiters);
    list_append(&pool->h2, &link->link);
    enum status status = fiber_start(&local->probes, "h2_dial", dial, link, NULL);
    if (status != OK) {
        breaker_end_connect(server->upstream);
        list_remove(&link->link);
        free(link);
        return status;
    }
    __atomic_add_fetch(&server->links, 1, __ATOMIC_SEQ_CST);
    *made = link;
    return OK;
}

static enum status wait_dialled(struct h2_link *link, int64_t deadline)
{
    struct h2_link_waiter waiter = {.fiber = fiber_self()};
    enum status status = OK;
    while (status == OK && link->state == H2_LINK_DIALING) {
        list_append(&link->waiters, &waiter.link);
        status = fiber_wait(deadline);
        list_remove(&waiter.link);
    }
    return status == OK ? link->dialled : status;
}

enum status h2_link_take(struct server *server, bool offers_h1, int64_t connect_timeout,
                         int64_t deadline, struct h2_link **taken, enum h2_link_failure *failure,
                         struct tls_trouble *trouble)
{
    struct pool *pool = &server->pools[thread_self()->index];
    int64_t until = stream_stall_deadline(connect_timeout, deadline);
    if (server->config.tls != NULL && until != CLOCK_NEVER)
        until += SECONDS(UPSTREAM_HANDSHAKE_S);
    if (until > deadline)
        until = deadline;
    *failure = H2_LINK_NOT_CONNECTED;
    for (;;) {
        struct h2_link *link = find(pool, offers_h1);
        if (link != NULL)
            link->users++;
        else
            TRY(start(server, pool, offers_h1, connect_timeout, &link, failure));
        enum status status = wait_dialled(link, until);
        /* It may have been filled since it was dialled: then look again. A server that closes what
         * it has just accepted, or takes no stream on it, would do so for ever. */
        link->users--;
        if (status == OK && has_room(link)) {
            link->users++;
            *taken = link;
            return OK;
        }
        *failure = link->failure;
        *trouble = link->trouble;
        if (status == OK && (is_leaving(link) || link->users == 0)) {
            *failure = H2_LINK_NOT_KEPT;
            status = ERR_CLOSED;
        }
        free_if_done(link);
        TRY(status);
    }
}

void h2_link_leave(struct h2_link *link)
{
    check(link->users > 0);
    link->users--;
    link->is_used = true;
    link->idle_since = loop_now();
    if (link->state == H2_LINK_OPEN && h2_session_is_leaving(link->session) && link->users == 0)
        duplex_close(&link->duplex);
    else
        h2_link_kick(link);
    free_if_done(link);
}

void h2_link_stop(struct pool *pool)
{
    LIST_EACH(entry, &pool->h2)
    {
        struct h2_link *link = LIST_ENTRY(entry, struct h2_link, link);
        if (link->state == H2_LINK_OPEN)
            duplex_end(&link->duplex);
    }
}
