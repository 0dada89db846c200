/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/listener.h"

#include "base/check.h"
#include "base/log.h"
#include "exchange/cidr.h"
#include "serve/clients.h"
#include "serve/handshake.h"
#include "serve/overload.h"
#include "serve/serve_h1.h"

#include <stdlib.h>

enum {
    ACCEPTS_PER_TURN = 64,
    WAITING_MAX = 65536, /* no queue of the kernel is longer */
    REST_MS = 100,
    HANDOVER_LEAD = 8,          /* connections more than the least loaded worker … */
    HANDOVER_LEAD_PERCENT = 12, /* … and that much more, before one is handed over */
};

/* A connection on its way to another worker. */
struct handover {
    struct serve_worker *worker;
    struct serve_worker *from;
    size_t slot;
    int fd;
    struct address peer;
    bool is_counted;
};

static void begin(struct listener *listener, int fd, const struct address *peer, bool is_counted)
{
    if (listener->config->tls != NULL || listener->config->proxy_protocol)
        handshake_accept(listener, fd, peer, is_counted);
    else
        h1_accept(listener, fd, peer, is_counted);
}

static void on_handover(void *argument)
{
    struct handover *handover = argument;
    struct serve_worker *worker = handover->worker;
    struct listener *listener =
        handover->slot < worker->listeners_count ? worker->listeners[handover->slot] : NULL;
    if (listener == NULL && worker != handover->from && !worker->is_draining) {
        /* A new address of which this worker has not heard yet: back to who has. */
        handover->worker = handover->from;
        if (thread_post(&handover->from->thread, on_handover, handover))
            return;
    }
    if (listener != NULL) {
        begin(listener, handover->fd, &handover->peer, handover->is_counted);
    } else {
        socket_close(handover->fd, true);
        if (handover->is_counted)
            clients_leave(worker->shared->clients, &handover->peer);
        __atomic_sub_fetch(&worker->shared->connections, 1, __ATOMIC_RELAXED);
    }
    free(handover);
}

/* The worker that should serve the next connection: this one unless it is clearly busier. */
static struct serve_worker *least_loaded(struct serve_worker *worker)
{
    struct serve_shared *shared = worker->shared;
    int64_t ours = __atomic_load_n(&worker->connections_count, __ATOMIC_RELAXED);
    struct serve_worker *least = worker;
    int64_t fewest = ours;
    for (unsigned i = 0; i < shared->workers_count; i++) {
        int64_t count = __atomic_load_n(&shared->workers[i]->connections_count, __ATOMIC_RELAXED);
        if (count < fewest) {
            fewest = count;
            least = shared->workers[i];
        }
    }
    /* Those who drain may have gone already. */
    bool is_clear = !__atomic_load_n(&shared->is_draining, __ATOMIC_ACQUIRE) &&
                    ours > fewest + HANDOVER_LEAD &&
                    ours * 100 > fewest * (100 + HANDOVER_LEAD_PERCENT);
    return is_clear ? least : worker;
}

/* Told no before a byte was read: a short answer, best effort. */
static void refuse(struct listener *listener, int fd, enum refusal refusal,
                   const struct address *peer, bool is_plain)
{
    counter_add(&listener->worker->refused[refusal], 1);
    counter_add(&listener->counts->refused[refusal], 1);
    struct iovec part = {(void *)(uintptr_t)LISTENER_REFUSAL, sizeof LISTENER_REFUSAL - 1};
    char text[ADDRESS_TEXT_MAX];
    struct slice ip = address_format_ip(peer, text);
    log_write(LOG_WARN, "connection_refused", "a connection of %.*s was refused: %s is reached",
              SLICE_ARG(ip), refusal_text(refusal)->limit);
    if (is_plain && socket_send(fd, &part, 1, false) < 0) {
        /* It has hung up already. */
    }
    socket_shutdown_send(fd);
    socket_close(fd, false);
}

static bool is_exempt(const struct trust *trust, const struct address *peer)
{
    return address_is_loopback(peer) || cidr_list_has(trust->cidrs, trust->count, peer);
}

static void take(struct listener *listener, int fd, const struct address *peer)
{
    struct serve_worker *worker = listener->worker;
    struct serve_shared *shared = worker->shared;
    int64_t all = __atomic_add_fetch(&shared->connections, 1, __ATOMIC_RELAXED);
    int64_t most = __atomic_load_n(&shared->connections_max, __ATOMIC_RELAXED);
    enum refusal refusal = all > most ? REFUSAL_CONNECTIONS : REFUSAL_NONE;
    int64_t per_client = listener->config->limits.connections_per_client;
    bool is_counted = false;
    if (refusal == REFUSAL_NONE && per_client >= 0 && !is_exempt(&worker->view->trust, peer)) {
        is_counted = clients_enter(shared->clients, peer, per_client);
        if (!is_counted)
            refusal = REFUSAL_CONNECTIONS_PER_CLIENT;
    }
    counter_add(&worker->accepted, 1);
    if (refusal != REFUSAL_NONE) {
        __atomic_sub_fetch(&shared->connections, 1, __ATOMIC_RELAXED);
        refuse(listener, fd, refusal, peer, listener->config->tls == NULL);
        return;
    }
    struct serve_worker *least = least_loaded(worker);
    if (least != worker) {
        struct handover *handover = memory_alloc(sizeof *handover);
        *handover = (struct handover){least, worker, listener->slot, fd, *peer, is_counted};
        if (thread_post(&least->thread, on_handover, handover))
            return;
        free(handover);
    }
    begin(listener, fd, peer, is_counted);
}

static void rest(struct listener_socket *socket)
{
    if (socket->watch.slot != 0)
        loop_forget(&socket->watch, true);
    timer_set(&socket->listener->worker->thread.timers, &socket->rest,
              loop_now() + MILLISECONDS(REST_MS));
}

static void watch_socket(struct listener_socket *socket, int fd)
{
    if (loop_watch_level(&socket->watch, fd) == OK)
        return;
    socket->watch.fd = fd;
    rest(socket);
}

static void on_rest_over(struct timer *timer)
{
    struct listener_socket *socket = LIST_ENTRY(timer, struct listener_socket, rest);
    watch_socket(socket, socket->watch.fd);
}

static void accept_up_to(struct listener_socket *socket, int most, bool may_wait)
{
    struct listener *listener = socket->listener;
    struct watch *watch = &socket->watch;
    for (int i = 0; i < most; i++) {
        int fd;
        struct address peer;
        if (may_wait && !overload_may_accept(listener->worker)) {
            rest(socket); /* whoever connects waits with the kernel */
            return;
        }
        enum status status = socket_accept(watch->fd, &fd, &peer);
        if (status == ERR_LIMIT) {
            log_write(LOG_ERROR, "accept_failed",
                      "no file descriptors are left; accepting rests for %d ms", REST_MS);
            rest(socket);
            return;
        }
        if (status != OK)
            return;
        take(listener, fd, &peer);
        if (listener->worker->is_draining)
            return;
    }
}

static void on_ready(struct watch *watch)
{
    struct listener_socket *socket = LIST_ENTRY(watch, struct listener_socket, watch);
    accept_up_to(socket, ACCEPTS_PER_TURN, true);
}

static void on_cut(struct timer *timer)
{
    struct listener *listener = LIST_ENTRY(timer, struct listener, cut);
    serve_close_connections(listener->worker, listener);
}

struct listener *listener_start(struct serve_worker *worker, size_t slot,
                                const struct listener_config *config, const int *fds, size_t count)
{
    struct listener *listener = memory_zero(sizeof *listener);
    *listener =
        (struct listener){.worker = worker, .config = config, .slot = slot, .sockets_count = count};
    listener->counts = listener_counts_of(worker, config->name);
    listener->cut.on_fire = on_cut;
    listener->sockets = memory_zero(count * sizeof *listener->sockets);
    for (size_t i = 0; i < count; i++) {
        struct listener_socket *socket = &listener->sockets[i];
        socket->listener = listener;
        socket->watch.on_ready = on_ready;
        socket->rest.on_fire = on_rest_over;
        watch_socket(socket, fds[i]);
    }
    if (slot >= worker->listeners_count) {
        worker->listeners =
            memory_resize(worker->listeners, (slot + 1) * sizeof *worker->listeners);
        for (size_t i = worker->listeners_count; i <= slot; i++)
            worker->listeners[i] = NULL;
        worker->listeners_count = slot + 1;
    }
    check(worker->listeners[slot] == NULL);
    worker->listeners[slot] = listener;
    return listener;
}

void listener_accept_waiting(struct listener *listener)
{
    for (size_t i = 0; i < listener->sockets_count; i++)
        if (listener->sockets[i].watch.slot != 0)
            accept_up_to(&listener->sockets[i], WAITING_MAX, false);
}

void listener_stop(struct listener *listener)
{
    for (size_t i = 0; i < listener->sockets_count; i++) {
        struct listener_socket *socket = &listener->sockets[i];
        timer_clear(&listener->worker->thread.timers, &socket->rest);
        if (socket->watch.slot != 0)
            loop_forget(&socket->watch, true);
    }
}

void listener_leave(struct listener *listener, int64_t grace)
{
    check(listener->last != NULL);
    listener->has_left = true;
    listener_accept_waiting(listener);
    listener_stop(listener);
    serve_ask_to_leave(listener->worker, listener);
    if (listener->connections == 0)
        listener_empty(listener);
    else if (grace != CLOCK_NEVER)
        timer_set(&listener->worker->thread.timers, &listener->cut, loop_now() + grace);
}

void listener_empty(struct listener *listener)
{
    if (!listener->is_forgotten)
        return;
    struct serve_worker *worker = listener->worker;
    struct serve_view *view = listener->last;
    worker->listeners[listener->slot] = NULL;
    if (listener->on_gone != NULL)
        listener->on_gone(listener->argument);
    listener_free(listener);
    serve_view_leave(worker, view);
}

void listener_forget(struct listener *listener, void (*on_gone)(void *argument), void *argument)
{
    listener->on_gone = on_gone;
    listener->argument = argument;
    listener->is_forgotten = true;
    if (listener->connections == 0)
        listener_empty(listener);
}

void listener_free(struct listener *listener)
{
    listener_stop(listener);
    timer_clear(&listener->worker->thread.timers, &listener->cut);
    free(listener->sockets);
    loop_free_later(listener);
}
