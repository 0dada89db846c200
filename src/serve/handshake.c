/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/handshake.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/log.h"
#include "fiber/fiber.h"
#include "serve/serve_h1.h"
#include "serve/serve_h2.h"

#include <assert.h>

enum {
    BEGUN_PER_TURN = 8, /* 2 or 3 ms of work */
};

static void forget(struct handshake *handshake, bool reset)
{
    struct serve_worker *worker = handshake->worker;
    timer_clear(&worker->thread.timers, &handshake->timer);
    if (handshake->stream.watch.fd >= 0)
        stream_close(&handshake->stream, reset);
    serve_leave(worker, &handshake->peer, handshake->is_counted);
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
    handshake->worker->handshakes_failed++;
    log_write(LOG_DEBUG, "handshake_failed", "no TLS with %.*s on %.*s: %s", SLICE_ARG(ip),
              SLICE_ARG(handshake->config->name), why);
}

/* What can be spoken over TLS: its name in ALPN (RFC 7301 §6), and who takes the stream. */
static const struct protocol {
    struct slice name;
    void (*take)(struct serve_worker *worker, const struct listener_config *config,
                 struct stream *stream, const struct address *peer, bool is_counted);
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
    protocol->take(handshake->worker, handshake->config, &handshake->stream, &handshake->peer,
                   handshake->is_counted);
}

/* Told in words that the client understands that TLS is spoken here. */
static void answer_in_clear(struct handshake *handshake)
{
    handshake->worker->handshakes_in_clear++;
    list_remove(&handshake->link);
    loop_free_later(handshake);
    h1_take_clear(handshake->worker, handshake->config, &handshake->stream, &handshake->peer,
                  handshake->is_counted);
}

static void shake(void *argument)
{
    struct handshake *handshake = argument;
    struct serve_worker *worker = handshake->worker;
    int64_t timeout = handshake->config->timeouts.handshake;
    int64_t deadline = timeout == CLOCK_NEVER ? CLOCK_NEVER : handshake->opened + timeout;
    struct tls_trouble trouble = {"", ""};
    enum status status =
        stream_tls_accept(&handshake->stream, handshake->config->tls, deadline, &trouble);
    if (status != OK) {
        report(handshake, status, &trouble);
        if (status == ERR_TLS && stream_tls_was_clear(&handshake->stream))
            answer_in_clear(handshake);
        else
            forget(handshake, status == ERR_TIMEOUT || status == ERR_CANCELLED);
        return;
    }
    if (stream_tls_facts(&handshake->stream)->is_resumed)
        worker->handshakes_resumed++;
    else
        worker->handshakes_full++;
    hand_over(handshake);
}

static void begin(struct handshake *handshake)
{
    handshake->worker->handshakes_begun++;
    timer_clear(&handshake->worker->thread.timers, &handshake->timer);
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

static void on_ready(struct watch *watch)
{
    struct handshake *handshake = LIST_ENTRY(watch, struct handshake, stream.watch);
    struct serve_worker *worker = handshake->worker;
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
    report(handshake, ERR_TIMEOUT, NULL);
    forget(handshake, true);
}

void handshake_accept(struct serve_worker *worker, const struct listener_config *config, int fd,
                      const struct address *peer, bool is_counted)
{
    struct handshake *handshake = memory_zero(sizeof *handshake);
    handshake->worker = worker;
    handshake->config = config;
    handshake->peer = *peer;
    handshake->is_counted = is_counted;
    handshake->opened = loop_now();
    handshake->timer.on_fire = on_timer;
    handshake->stream.watch.on_ready = on_ready;
    list_append(&worker->handshakes, &handshake->link);
    __atomic_add_fetch(&worker->connections_count, 1, __ATOMIC_RELAXED);
    if (stream_tcp_open(&handshake->stream, fd, peer->any.sa_family == AF_UNIX) != OK) {
        handshake->stream.watch.fd = -1;
        socket_close(fd, true);
        forget(handshake, true);
        return;
    }
    if (config->timeouts.handshake != CLOCK_NEVER)
        timer_set(&worker->thread.timers, &handshake->timer,
                  handshake->opened + config->timeouts.handshake);
}

void handshake_end(struct handshake *handshake)
{
    if (handshake->fiber != NULL)
        fiber_cancel(handshake->fiber);
    else
        forget(handshake, true);
}
