/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/handshake.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/log.h"
#include "fiber/fiber.h"
#include "serve/listener.h"
#include "serve/serve_h1.h"
#include "serve/serve_h2.h"

#include <assert.h>

enum {
    BEGUN_PER_TURN = 8, /* 2 or 3 ms of work */
    UNREAD_MAX = 16,    /* reads before a connection that is refused is closed */
};

static void forget(struct handshake *handshake, bool reset)
{
    struct serve_worker *worker = handshake->listener->worker;
    timer_clear(&worker->thread.timers, &handshake->timer);
    introduction_reader_done(&handshake->reader);
    if (handshake->stream.watch.fd >= 0)
        stream_close(&handshake->stream, reset);
    counter_add(&handshake->listener->counts->mute, 1);
    serve_leave(handshake->listener, &handshake->peer, handshake->is_counted);
    if (handshake->is_next)
        list_remove(&handshake->next);
    list_remove(&handshake->link);
    loop_free_later(handshake);
    serve_look_if_empty(worker);
}

static void report(const struct handshake *handshake, enum status status,
                   const struct tls_trouble *trouble)
{
    char text[ADDRESS_TEXT_MAX];
    struct slice ip = address_format_ip(&handshake->peer, text);
    const char *why = status == ERR_TIMEOUT ? "timeouts.handshake"
                      : status == ERR_TLS   ? trouble->why
                                            : status_name(status);
    counter_add(&handshake->listener->worker->handshakes_failed, 1);
    counter_add(&handshake->listener->counts->handshakes_failed, 1);
    const struct tls_facts *facts = stream_tls_facts(&handshake->stream);
    struct slice name = facts == NULL ? SLICE("") : facts->server_name;
    log_write(LOG_DEBUG, "handshake_failed", "no TLS with %.*s on %.*s%s%.*s: %s", SLICE_ARG(ip),
              SLICE_ARG(handshake->listener->config->name), name.size > 0 ? " for " : "",
              SLICE_ARG(name), why);
}

/* The other side does not say who it speaks for, or may not. */
static void report_introduction(const struct handshake *handshake, const char *why)
{
    char text[ADDRESS_TEXT_MAX];
    struct slice ip = address_format_ip(&handshake->peer, text);
    counter_add(&handshake->listener->worker->introductions_failed, 1);
    log_write(LOG_WARN, "proxy_header_failed", "a connection of %.*s on %.*s was closed: %s",
              SLICE_ARG(ip), SLICE_ARG(handshake->listener->config->name), why);
}

/* What can be spoken over TLS: its name in ALPN (RFC 7301 §6), and who takes the stream. */
static const struct protocol {
    struct slice name;
    void (*take)(struct listener *listener, struct stream *stream, const struct address *peer,
                 bool is_counted);
} PROTOCOLS[] = {
    {{"h2", 2}, h2_take},
    {{"http/1.1", 8}, h1_take},
};

size_t serve_protocols(struct slice *names)
{
    size_t count = sizeof PROTOCOLS / sizeof *PROTOCOLS;
    static_assert(sizeof PROTOCOLS / sizeof *PROTOCOLS <= SERVE_PROTOCOLS_MAX, "room for all");
    for (size_t i = 0; i < count; i++)
        names[i] = PROTOCOLS[i].name;
    return count;
}

/* The protocol that was agreed on takes the stream; HTTP/1 where none was. */
static void hand_over(struct handshake *handshake)
{
    struct slice agreed = stream_tls_protocol(&handshake->stream);
    const struct protocol *protocol = &PROTOCOLS[sizeof PROTOCOLS / sizeof *PROTOCOLS - 1];
    for (size_t i = 0; i < sizeof PROTOCOLS / sizeof *PROTOCOLS; i++)
        if (slice_equal(PROTOCOLS[i].name, agreed))
            protocol = &PROTOCOLS[i];
    list_remove(&handshake->link);
    loop_free_later(handshake); /* at the end of this turn: what follows moves its stream at once */
    protocol->take(handshake->listener, &handshake->stream, &handshake->peer,
                   handshake->is_counted);
}

/* Told in words that the client understands that TLS is spoken here. */
static void answer_in_clear(struct handshake *handshake)
{
    counter_add(&handshake->listener->worker->handshakes_in_clear, 1);
    counter_add(&handshake->listener->counts->handshakes_in_clear, 1);
    list_remove(&handshake->link);
    loop_free_later(handshake);
    h1_take_clear(handshake->listener, &handshake->stream, &handshake->peer, handshake->is_counted);
}

static void shake(void *argument)
{
    struct handshake *handshake = argument;
    struct listener *listener = handshake->listener;
    struct serve_worker *worker = listener->worker;
    /* Its certificates are the snapshot's: that stays until they have been shown. */
    struct serve_view *view = serve_view_enter(listener);
    const struct listener_config *config = listener->config;
    int64_t timeout = config->timeouts.handshake;
    int64_t deadline = timeout == CLOCK_NEVER ? CLOCK_NEVER : handshake->opened + timeout;
    struct tls_trouble trouble = {"", ""};
    /* A listener that speaks in clear since: the client will find out. */
    enum status status = config->tls == NULL ? ERR_CLOSED
                                             : stream_tls_accept(&handshake->stream, config->tls,
                                                                 deadline, &trouble);
    serve_view_leave(worker, view);
    if (status != OK) {
        report(handshake, status, &trouble);
        if (status == ERR_TLS && stream_tls_was_clear(&handshake->stream))
            answer_in_clear(handshake);
        else
            forget(handshake, status == ERR_TIMEOUT || status == ERR_CANCELLED);
        return;
    }
    const struct tls_facts *facts = stream_tls_facts(&handshake->stream);
    enum listener_tls version =
        slice_equal(facts->version, SLICE("1.2")) ? LISTENER_TLS_1_2 : LISTENER_TLS_1_3;
    histogram_add(&worker->shaken, facts->handshake_time);
    counter_add(&listener->counts->handshakes[version][facts->is_resumed], 1);
    if (facts->is_resumed)
        counter_add(&worker->handshakes_resumed, 1);
    else
        counter_add(&worker->handshakes_full, 1);
    hand_over(handshake);
}

static void begin(struct handshake *handshake)
{
    handshake->listener->worker->handshakes_begun++;
    timer_clear(&handshake->listener->worker->thread.timers, &handshake->timer);
    if (fiber_start(NULL, "handshake", shake, handshake, &handshake->fiber) == OK)
        return;
    log_write(LOG_ERROR, "fibers_exhausted", "a handshake was refused: fibers_max is reached");
    forget(handshake, true);
}

static bool may_begin(struct serve_worker *worker)
{
    if (worker->handshakes_turn != loop_now()) {
        worker->handshakes_turn = loop_now();
        worker->handshakes_begun = 0;
    }
    return worker->handshakes_begun < BEGUN_PER_TURN;
}

static void on_due(struct timer *timer)
{
    struct serve_worker *worker = LIST_ENTRY(timer, struct serve_worker, handshakes_due);
    struct list *next = &worker->handshakes_next;
    while (!list_is_empty(next) && may_begin(worker)) {
        struct handshake *handshake = LIST_ENTRY(next->next, struct handshake, next);
        list_remove(&handshake->next);
        handshake->is_next = false;
        begin(handshake);
    }
    if (!list_is_empty(next))
        timer_set(&worker->thread.timers, timer, loop_now());
}

/* The client has as many connections as one may have. */
static void refuse(struct handshake *handshake)
{
    char text[ADDRESS_TEXT_MAX];
    struct slice ip = address_format_ip(&handshake->peer, text);
    counter_add(&handshake->listener->worker->refused[REFUSAL_CONNECTIONS_PER_CLIENT], 1);
    counter_add(&handshake->listener->counts->refused[REFUSAL_CONNECTIONS_PER_CLIENT], 1);
    log_write(LOG_WARN, "connection_refused", "a connection of %.*s was refused: %s is reached",
              SLICE_ARG(ip), refusal_text(REFUSAL_CONNECTIONS_PER_CLIENT)->limit);
    struct iovec part = {(void *)(uintptr_t)LISTENER_REFUSAL, sizeof LISTENER_REFUSAL - 1};
    if (handshake->listener->config->tls == NULL && stream_send(&handshake->stream, &part, 1) < 0) {
        /* It has hung up already. */
    }
    stream_shutdown(&handshake->stream);
    /* What is unread at the end would take our answer with it. */
    char dropped[1024];
    for (int i = 0;
         i < UNREAD_MAX && stream_receive(&handshake->stream, dropped, sizeof dropped) > 0; i++) {
    }
    forget(handshake, false);
}

/* Reads the header. True: TLS may begin with what has come behind it. */
static bool introduce(struct handshake *handshake)
{
    struct serve_worker *worker = handshake->listener->worker;
    const char *why = "";
    enum introduced introduced = introduction_read(&handshake->reader, &handshake->stream, &why);
    if (introduced == INTRODUCED_LATER)
        return false;
    if (introduced == INTRODUCED_NEVER) {
        report_introduction(handshake, why);
        forget(handshake, true);
        return false;
    }
    handshake->awaits_introduction = false;
    if (!introduction_enter(worker, handshake->listener->config, handshake->stream.introduction,
                            &handshake->peer, &handshake->is_counted)) {
        refuse(handshake);
        return false;
    }
    if (handshake->listener->config->tls != NULL)
        return true;
    timer_clear(&worker->thread.timers, &handshake->timer);
    list_remove(&handshake->link);
    loop_free_later(handshake);
    h1_resume(handshake->listener, &handshake->stream, &handshake->peer, handshake->is_counted);
    return false;
}

static void on_ready(struct watch *watch)
{
    struct handshake *handshake = LIST_ENTRY(watch, struct handshake, stream.watch);
    struct serve_worker *worker = handshake->listener->worker;
    if (handshake->awaits_introduction &&
        ((watch->ready & ~(unsigned)READY_WRITE) == 0 || !introduce(handshake)))
        return;
    if (handshake->fiber != NULL || handshake->is_next ||
        (watch->ready & ~(unsigned)READY_WRITE) == 0)
        return;
    if (list_is_empty(&worker->handshakes_next) && may_begin(worker)) {
        begin(handshake);
        return;
    }
    handshake->is_next = true;
    list_append(&worker->handshakes_next, &handshake->next);
    timer_set(&worker->thread.timers, &worker->handshakes_due, loop_now());
}

void handshake_prepare(struct serve_worker *worker)
{
    list_init(&worker->handshakes);
    list_init(&worker->handshakes_next);
    worker->handshakes_due.on_fire = on_due;
}

static void on_timer(struct timer *timer)
{
    struct handshake *handshake = LIST_ENTRY(timer, struct handshake, timer);
    if (handshake->awaits_introduction)
        report_introduction(handshake, "no whole header came in time: timeouts.handshake");
    else
        report(handshake, ERR_TIMEOUT, NULL);
    forget(handshake, true);
}

void handshake_accept(struct listener *listener, int fd, const struct address *peer,
                      bool is_counted)
{
    struct serve_worker *worker = listener->worker;
    const struct timeouts *timeouts = &listener->config->timeouts;
    struct handshake *handshake = memory_zero(sizeof *handshake);
    handshake->listener = listener;
    handshake->peer = *peer;
    handshake->is_counted = is_counted;
    handshake->opened = loop_now();
    handshake->timer.on_fire = on_timer;
    handshake->stream.watch.on_ready = on_ready;
    list_append(&worker->handshakes, &handshake->link);
    serve_enter(listener);
    if (stream_tcp_open(&handshake->stream, fd, peer->any.sa_family == AF_UNIX) != OK) {
        handshake->stream.watch.fd = -1;
        socket_close(fd, true);
        forget(handshake, true);
        return;
    }
    handshake->awaits_introduction = listener->config->proxy_protocol;
    if (handshake->awaits_introduction && !introduction_is_allowed(&worker->view->trust, peer)) {
        report_introduction(handshake, "it is not one of trusted_proxies, and listen has "
                                       "proxy_protocol");
        forget(handshake, true);
        return;
    }
    if (timeouts->handshake != CLOCK_NEVER)
        timer_set(&worker->thread.timers, &handshake->timer,
                  handshake->opened + timeouts->handshake);
}

void handshake_end(struct handshake *handshake)
{
    if (handshake->fiber != NULL)
        fiber_cancel(handshake->fiber);
    else
        forget(handshake, true);
}
