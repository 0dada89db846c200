/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/listener.h"

#include "base/check.h"
#include "base/log.h"
#include "exchange/cidr.h"
#include "serve/clients.h"
#include "serve/handshake.h"
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
    const struct listener_config *config;
    int fd;
    struct address peer;
    bool is_counted;
};

static void begin(struct serve_worker *worker, const struct listener_config *config, int fd,
                  const struct address *peer, bool is_counted)
{
    if (config->tls != NULL || config->proxy_protocol)
        handshake_accept(worker, config, fd, peer, is_counted);
    else
        h1_accept(worker, config, fd, peer, is_counted);
}

static void on_handover(void *argument)
{
    struct handover *handover = argument;
    begin(handover->worker, handover->config, handover->fd, &handover->peer, handover->is_counted);
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
    bool is_clear =
        ours > fewest + HANDOVER_LEAD && ours * 100 > fewest * (100 + HANDOVER_LEAD_PERCENT);
    return is_clear ? least : worker;
}

/* Told no before a byte was read: a short answer, best effort. */
static void refuse(int fd, enum refusal refusal, const struct address *peer, bool is_plain)
{
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

static bool is_exempt(const struct serve_shared *shared, const struct address *peer)
{
    return address_is_loopback(peer) ||
           cidr_list_has(shared->trust.cidrs, shared->trust.count, peer);
}

static void take(struct listener *listener, int fd, const struct address *peer)
{
    struct serve_worker *worker = listener->worker;
    struct serve_shared *shared = worker->shared;
    int64_t all = __atomic_add_fetch(&shared->connections, 1, __ATOMIC_RELAXED);
    enum refusal refusal = all > shared->connections_max ? REFUSAL_CONNECTIONS : REFUSAL_NONE;
    int64_t per_client = listener->config->limits.connections_per_client;
    bool is_counted = false;
    if (refusal == REFUSAL_NONE && per_client >= 0 && !is_exempt(shared, peer)) {
        is_counted = clients_enter(shared->clients, peer, per_client);
        if (!is_counted)
            refusal = REFUSAL_CONNECTIONS_PER_CLIENT;
    }
    if (refusal != REFUSAL_NONE) {
        __atomic_sub_fetch(&shared->connections, 1, __ATOMIC_RELAXED);
        refuse(fd, refusal, peer, listener->config->tls == NULL);
        return;
    }
    struct serve_worker *least = least_loaded(worker);
    if (least != worker) {
        struct handover *handover = memory_alloc(sizeof *handover);
        *handover = (struct handover){least, listener->config, fd, *peer, is_counted};
        if (thread_post(&least->thread, on_handover, handover))
            return;
        free(handover);
    }
    begin(worker, listener->config, fd, peer, is_counted);
}

static void on_rest_over(struct timer *timer)
{
    struct listener *listener = LIST_ENTRY(timer, struct listener, rest);
    int fd = listener->watch.fd;
    if (loop_watch_level(&listener->watch, fd) != OK)
        timer_set(&listener->worker->thread.timers, timer, loop_now() + MILLISECONDS(REST_MS));
}

static void accept_up_to(struct listener *listener, int most)
{
    struct watch *watch = &listener->watch;
    for (int i = 0; i < most; i++) {
        int fd;
        struct address peer;
        enum status status = socket_accept(watch->fd, &fd, &peer);
        if (status == ERR_LIMIT) {
            log_write(LOG_ERROR, "accept_failed",
                      "no file descriptors are left; accepting rests for %d ms", REST_MS);
            loop_forget(watch, true);
            timer_set(&listener->worker->thread.timers, &listener->rest,
                      loop_now() + MILLISECONDS(REST_MS));
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
    accept_up_to(LIST_ENTRY(watch, struct listener, watch), ACCEPTS_PER_TURN);
}

enum status listener_start(struct listener *listener, struct serve_worker *worker,
                           const struct listener_config *config, int fd)
{
    *listener = (struct listener){.worker = worker, .config = config};
    listener->watch.on_ready = on_ready;
    listener->rest.on_fire = on_rest_over;
    listener->is_unix = config->address.any.sa_family == AF_UNIX;
    return loop_watch_level(&listener->watch, fd);
}

void listener_accept_waiting(struct listener *listener)
{
    if (listener->watch.slot != 0)
        accept_up_to(listener, WAITING_MAX);
}

void listener_stop(struct listener *listener)
{
    timer_clear(&listener->worker->thread.timers, &listener->rest);
    if (listener->watch.slot != 0)
        loop_forget(&listener->watch, true);
}
