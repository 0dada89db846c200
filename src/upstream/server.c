/* SPDX-License-Identifier: Apache-2.0 */
/* Passive health: a server that cannot be reached is down at once and probed; one that answers with
 * errors is ejected for a while, never more than half of the group and never the last. */
#include "upstream/server.h"

#include "base/check.h"
#include "base/log.h"
#include "upstream/queue.h"

enum {
    ERRORS_IN_ROW = 5,
    WINDOW_S = 10,
    WINDOW_REQUESTS = 20,
    WINDOW_PERCENT = 50,
    EJECT_S = 10,
    EJECT_MAX_S = 300,
    EJECTED_PERCENT_MAX = 50,
    PROBE_INTERVAL_MS = 1000,
    PROBE_TIMEOUT_MS = 1000,
};

#define LOAD(field)         __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define STORE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)

bool server_is_usable(const struct server *server, int64_t now)
{
    if (server->config.down || LOAD(server->addresses_count) == 0)
        return false;
    switch ((enum server_health)LOAD(server->health)) {
    case SERVER_UP:
        return true;
    case SERVER_EJECTED:
        return LOAD(server->until) <= now;
    case SERVER_REFUSING:
        return false;
    }
    return false;
}

bool server_is_refusing(const struct server *server)
{
    return !server->config.down && LOAD(server->addresses_count) > 0 &&
           LOAD(server->health) == SERVER_REFUSING;
}

bool server_has_room(const struct server *server)
{
    return server->config.max_conns == 0 ||
           __atomic_load_n(&server->active, __ATOMIC_SEQ_CST) < server->config.max_conns;
}

bool server_enter(struct server *server)
{
    uint32_t active = __atomic_add_fetch(&server->active, 1, __ATOMIC_RELAXED);
    if (server->config.max_conns == 0 || active <= server->config.max_conns)
        return true;
    __atomic_sub_fetch(&server->active, 1, __ATOMIC_RELAXED);
    return false;
}

void server_leave(struct server *server)
{
    check(__atomic_fetch_sub(&server->active, 1, __ATOMIC_SEQ_CST) > 0);
    if (__atomic_load_n(&server->upstream->waiting, __ATOMIC_SEQ_CST) > 0)
        upstream_queue_wake(server->upstream);
}

size_t server_addresses(struct server *server, struct address *into)
{
    pthread_mutex_lock(&server->addresses_mutex);
    size_t count = server->addresses_count;
    for (size_t i = 0; i < count; i++)
        into[i] = server->addresses[i];
    pthread_mutex_unlock(&server->addresses_mutex);
    return count;
}

static void back_up(struct server *server, const char *why)
{
    STORE(server->errors_in_row, 0);
    STORE(server->window_all, 0);
    STORE(server->window_errors, 0);
    if (__atomic_exchange_n(&server->health, SERVER_UP, __ATOMIC_RELAXED) != SERVER_UP)
        log_write(LOG_INFO, "server_up", "upstream %.*s: server %.*s is up again (%s)",
                  SLICE_ARG(server->upstream->name), SLICE_ARG(server->name), why);
    if (LOAD(server->upstream->waiting) > 0)
        upstream_queue_wake(server->upstream);
}

void server_succeeded(struct server *server)
{
    if (LOAD(server->errors_in_row) != 0)
        STORE(server->errors_in_row, 0);
    if (LOAD(server->health) == SERVER_UP) {
        if (LOAD(server->window_errors) > 0)
            __atomic_add_fetch(&server->window_all, 1, __ATOMIC_RELAXED);
        return;
    }
    /* What was asked before an ejection and is answered during it does not end it. */
    if (LOAD(server->health) == SERVER_EJECTED && LOAD(server->until) > loop_now())
        return;
    STORE(server->ejections, 0);
    back_up(server, "it answered");
}

/* Whether one more of the group may be ejected. */
static bool may_eject(const struct upstream *upstream, int64_t now)
{
    size_t out = 1;
    for (size_t i = 0; i < upstream->count; i++)
        if (!server_is_usable(&upstream->servers[i], now))
            out++;
    return out < upstream->count && out * 100 <= upstream->count * EJECTED_PERCENT_MAX;
}

void server_failed(struct server *server, int64_t now)
{
    if (now - LOAD(server->window_start) > SECONDS(WINDOW_S)) {
        STORE(server->window_start, now);
        STORE(server->window_all, 0);
        STORE(server->window_errors, 0);
    }
    uint32_t all = __atomic_add_fetch(&server->window_all, 1, __ATOMIC_RELAXED);
    uint32_t errors = __atomic_add_fetch(&server->window_errors, 1, __ATOMIC_RELAXED);
    uint32_t in_row = __atomic_add_fetch(&server->errors_in_row, 1, __ATOMIC_RELAXED);
    bool is_bad =
        in_row >= ERRORS_IN_ROW || (all >= WINDOW_REQUESTS && errors * 100 >= all * WINDOW_PERCENT);
    int health = LOAD(server->health);
    bool is_out =
        health == SERVER_REFUSING || (health == SERVER_EJECTED && LOAD(server->until) > now);
    if (!is_bad || is_out || !may_eject(server->upstream, now))
        return;
    uint32_t times = __atomic_fetch_add(&server->ejections, 1, __ATOMIC_RELAXED);
    int64_t seconds = times >= 5 ? EJECT_MAX_S : EJECT_S << times;
    if (seconds > EJECT_MAX_S)
        seconds = EJECT_MAX_S;
    STORE(server->until, now + SECONDS(seconds));
    STORE(server->health, SERVER_EJECTED);
    STORE(server->errors_in_row, 0);
    log_write(LOG_WARN, "server_ejected",
              "upstream %.*s: server %.*s is ejected for %lld s after %u errors",
              SLICE_ARG(server->upstream->name), SLICE_ARG(server->name), (long long)seconds,
              errors);
}

/* One look at a server that is down. False: this worker stops. */
static bool probe_once(struct server *server)
{
    struct address addresses[SERVER_ADDRESSES_MAX];
    size_t count = server_addresses(server, addresses);
    if (count == 0)
        return true;
    struct stream stream = {0};
    size_t which;
    enum status status = stream_connect(&stream, addresses, count, &which,
                                        loop_now() + MILLISECONDS(PROBE_TIMEOUT_MS));
    if (status == OK) {
        stream_close(&stream, false);
        back_up(server, "it accepts connections");
    }
    return status != ERR_CANCELLED;
}

/* A fiber of the worker that found the server unreachable: tries once a second to connect. */
static void probe(void *argument)
{
    struct server *server = argument;
    bool is_running = true;
    while (is_running && LOAD(server->health) == SERVER_REFUSING)
        is_running = fiber_sleep(loop_now() + MILLISECONDS(PROBE_INTERVAL_MS)) == OK &&
                     (LOAD(server->health) != SERVER_REFUSING || probe_once(server));
    __atomic_store_n(&server->is_probed, false, __ATOMIC_SEQ_CST);
    /* Whoever meets it down next, with nobody probing, begins again. The same when it went down
     * again just now, while this fiber still seemed to look after it. */
    int refusing = SERVER_REFUSING;
    __atomic_compare_exchange_n(&server->health, &refusing, SERVER_UP, false, __ATOMIC_SEQ_CST,
                                __ATOMIC_SEQ_CST);
}

void server_unreachable(struct server *server)
{
    struct thread *thread = thread_self();
    struct upstream *upstream = server->upstream;
    int was = __atomic_exchange_n(&server->health, SERVER_REFUSING, __ATOMIC_SEQ_CST);
    if (was == SERVER_REFUSING)
        return;
    log_write(LOG_WARN, "server_down", "upstream %.*s: server %.*s cannot be reached",
              SLICE_ARG(upstream->name), SLICE_ARG(server->name));
    if (__atomic_exchange_n(&server->is_probed, true, __ATOMIC_SEQ_CST))
        return; /* it came up for less than a second: the same fiber goes on */
    struct upstream_local *local = &upstream->locals[thread->index < 0 ? 0 : thread->index];
    if (!local->is_stopped && fiber_start(&local->probes, "probe", probe, server, NULL) == OK)
        return;
    __atomic_store_n(&server->is_probed, false, __ATOMIC_SEQ_CST);
    STORE(server->health, SERVER_UP);
}
