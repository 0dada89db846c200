/* SPDX-License-Identifier: Apache-2.0 */
/* Passive health: a server that cannot be reached is down at once and probed; one that answers with
 * errors is ejected for a while, never more than half of the group and never the last. */
#include "upstream/server.h"

#include "base/check.h"
#include "base/log.h"
#include "net/proxy_protocol.h"
#include "upstream/queue.h"

enum {
    PROBE_INTERVAL_MS = 1000,
    PROBE_TIMEOUT_MS = 1000,
};

#define LOAD(field)         __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define STORE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)

bool server_is_usable(const struct server *server, int64_t now)
{
    /* First of all: only of a member the rest may be read. */
    if (__atomic_load_n(&server->is_draining, __ATOMIC_ACQUIRE))
        return false;
    if (!server_is_wanted(server) || LOAD(server->addresses_count) == 0 ||
        LOAD(server->is_check_failed))
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

static bool is_starting(const struct server *server, int64_t now)
{
    int64_t back_since = LOAD(server->back_since);
    return back_since != 0 && now - back_since < upstream_rules(server->upstream)->slow_start &&
           upstream_members(server->upstream) > 1;
}

enum server_life server_life(const struct server *server, int64_t now)
{
    if (server_is_down(server))
        return SERVER_LIFE_DOWN;
    if (LOAD(server->addresses_count) == 0)
        return SERVER_LIFE_UNRESOLVED;
    if (LOAD(server->is_draining) || !server_is_wanted(server))
        return SERVER_LIFE_DRAINING;
    if (LOAD(server->is_check_failed))
        return SERVER_LIFE_CHECK_FAILED;
    if (LOAD(server->health) == SERVER_REFUSING)
        return SERVER_LIFE_REFUSING;
    if (LOAD(server->health) == SERVER_EJECTED && LOAD(server->until) > now)
        return SERVER_LIFE_EJECTED;
    return is_starting(server, now) ? SERVER_LIFE_SLOW_START : SERVER_LIFE_UP;
}

const char *server_life_name(enum server_life life)
{
    static const char *const NAMES[SERVER_LIVES] = {
        [SERVER_LIFE_DOWN] = "down",
        [SERVER_LIFE_DRAINING] = "draining",
        [SERVER_LIFE_UNRESOLVED] = "unresolved",
        [SERVER_LIFE_CHECK_FAILED] = "check_failed",
        [SERVER_LIFE_REFUSING] = "refusing",
        [SERVER_LIFE_EJECTED] = "ejected",
        [SERVER_LIFE_SLOW_START] = "slow_start",
        [SERVER_LIFE_UP] = "up",
    };
    return NAMES[life];
}

bool server_is_refusing(const struct server *server)
{
    return server_is_wanted(server) && !LOAD(server->is_draining) &&
           !LOAD(server->is_check_failed) && LOAD(server->addresses_count) > 0 &&
           LOAD(server->health) == SERVER_REFUSING;
}

bool server_has_room(const struct server *server)
{
    int64_t most = LOAD(server->config.max_conns);
    return most == 0 || __atomic_load_n(&server->active, __ATOMIC_SEQ_CST) < most;
}

bool server_enter(struct server *server)
{
    int64_t most = LOAD(server->config.max_conns);
    uint32_t active = __atomic_add_fetch(&server->active, 1, __ATOMIC_SEQ_CST);
    /* Whoever drains it looks at `active` after that: one of the two sees the other. */
    if ((most == 0 || active <= most) && !__atomic_load_n(&server->is_draining, __ATOMIC_SEQ_CST) &&
        server_is_wanted(server))
        return true;
    __atomic_sub_fetch(&server->active, 1, __ATOMIC_SEQ_CST);
    return false;
}

void server_leave(struct server *server)
{
    check(__atomic_fetch_sub(&server->active, 1, __ATOMIC_SEQ_CST) > 0);
    if (__atomic_load_n(&server->upstream->waiting, __ATOMIC_SEQ_CST) > 0)
        upstream_queue_wake(server->upstream);
}

struct slice server_host_of(struct slice name)
{
    if (slice_starts(name, SLICE("http://")) || slice_starts(name, SLICE("https://")))
        name = slice_from(name, slice_find(name, '/') + 2);
    return slice_starts(name, SLICE("unix:")) ? SLICE("localhost") : name;
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

/* Notes why it is as it is, from now on. */
static void note(struct server *server, const char *why)
{
    STORE(server->reason, why);
    STORE(server->since, clock_wall());
}

/* It may be asked again: slowly at first, and whoever waits looks now. */
static void welcome(struct server *server, const char *why)
{
    note(server, why);
    STORE(server->back_since, clock_monotonic());
    STORE(server->timing, 0); /* how long it took to fail says nothing any more */
    log_about(LOG_INFO, "server_up",
              &(struct log_about){.upstream = server->upstream->name, .server = server->name},
              "upstream %.*s: server %.*s is up again (%s)", SLICE_ARG(server->upstream->name),
              SLICE_ARG(server->name), why);
    if (LOAD(server->upstream->waiting) > 0)
        upstream_queue_wake(server->upstream);
}

static void back_up(struct server *server, const char *why)
{
    STORE(server->errors_in_row, 0);
    STORE(server->window_all, 0);
    STORE(server->window_errors, 0);
    if (__atomic_exchange_n(&server->health, SERVER_UP, __ATOMIC_RELAXED) != SERVER_UP)
        welcome(server, why);
}

void server_set_health(struct server *server, bool is_up, const char *why)
{
    bool was_failed = __atomic_exchange_n(&server->is_check_failed, !is_up, __ATOMIC_SEQ_CST);
    if (was_failed == !is_up)
        return;
    if (is_up) {
        welcome(server, why);
        return;
    }
    note(server, why);
    log_about(LOG_WARN, "server_down",
              &(struct log_about){.upstream = server->upstream->name, .server = server->name},
              "upstream %.*s: server %.*s is down by its check: %s",
              SLICE_ARG(server->upstream->name), SLICE_ARG(server->name), why);
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
    size_t members = 0;
    size_t count = upstream_count(upstream);
    for (size_t i = 0; i < count; i++) {
        if (LOAD(upstream->servers[i].is_draining))
            continue; /* no member of the group any more */
        members++;
        out += !server_is_usable(&upstream->servers[i], now);
    }
    return out < members &&
           out * 100 <= members * upstream_rules(upstream)->passive.ejected_percent;
}

/* Twice as long each time. */
static int64_t eject_length(const struct upstream_passive *passive, uint32_t times)
{
    int64_t length = passive->eject;
    while (times-- > 0 && length < passive->eject_longest)
        length *= 2;
    return length < passive->eject_longest ? length : passive->eject_longest;
}

/* Ejects it unless too many are out already; two workers never decide at once. */
static void eject(struct server *server, uint32_t errors, int64_t now)
{
    struct upstream *upstream = server->upstream;
    pthread_mutex_lock(&upstream->eject_mutex);
    bool is_out = !server_is_usable(server, now);
    if (!is_out && may_eject(upstream, now)) {
        uint32_t times = __atomic_fetch_add(&server->ejections, 1, __ATOMIC_RELAXED);
        int64_t length = eject_length(&upstream_rules(upstream)->passive, times);
        STORE(server->until, now + length);
        STORE(server->back_since, now + length); /* then it starts slowly */
        /* Whoever found it refusing meanwhile is right. */
        int up = LOAD(server->health);
        is_out = up != SERVER_REFUSING &&
                 __atomic_compare_exchange_n(&server->health, &up, SERVER_EJECTED, false,
                                             __ATOMIC_RELAXED, __ATOMIC_RELAXED);
        STORE(server->errors_in_row, 0);
        if (is_out) {
            note(server, "too many errors");
            log_about(
                LOG_WARN, "server_ejected",
                &(struct log_about){.upstream = server->upstream->name, .server = server->name},
                "upstream %.*s: server %.*s is ejected for %g s after %u errors",
                SLICE_ARG(upstream->name), SLICE_ARG(server->name), (double)length / 1e9, errors);
        }
    }
    pthread_mutex_unlock(&upstream->eject_mutex);
}

void server_failed(struct server *server, int64_t now)
{
    const struct upstream_passive *passive = &upstream_rules(server->upstream)->passive;
    if (now - LOAD(server->window_start) > passive->window) {
        STORE(server->window_start, now);
        STORE(server->window_all, 0);
        STORE(server->window_errors, 0);
    }
    uint32_t all = __atomic_add_fetch(&server->window_all, 1, __ATOMIC_RELAXED);
    uint32_t errors = __atomic_add_fetch(&server->window_errors, 1, __ATOMIC_RELAXED);
    uint32_t in_row = __atomic_add_fetch(&server->errors_in_row, 1, __ATOMIC_RELAXED);
    bool are_many = passive->percent > 0 && all >= passive->requests &&
                    (uint64_t)errors * 100 >= (uint64_t)all * passive->percent;
    if (are_many || (passive->fails > 0 && in_row >= passive->fails))
        eject(server, errors, now);
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
        struct proxy_header header = {.version = upstream_rules(server->upstream)->proxy_protocol,
                                      .is_local = true};
        if (header.version > 0 &&
            stream_introduce(&stream, &header, loop_now() + MILLISECONDS(PROBE_TIMEOUT_MS)) != OK) {
            /* It closed at once: it accepts connections all the same. */
        }
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
    while (is_running && LOAD(server->health) == SERVER_REFUSING && !LOAD(server->is_draining))
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
    note(server, "it cannot be reached");
    log_about(LOG_WARN, "server_down",
              &(struct log_about){.upstream = server->upstream->name, .server = server->name},
              "upstream %.*s: server %.*s cannot be reached", SLICE_ARG(upstream->name),
              SLICE_ARG(server->name));
    if (__atomic_exchange_n(&server->is_probed, true, __ATOMIC_SEQ_CST))
        return; /* it came up for less than a second: the same fiber goes on */
    struct upstream_local *local = &upstream->locals[thread->index < 0 ? 0 : thread->index];
    if (!local->is_stopped && fiber_start(&local->probes, "probe", probe, server, NULL) == OK)
        return;
    __atomic_store_n(&server->is_probed, false, __ATOMIC_SEQ_CST);
    STORE(server->health, SERVER_UP);
}
