/* SPDX-License-Identifier: Apache-2.0 */
/* A member of an upstream: its load, its health, its addresses. Shared by all workers through
 * atomics; nothing here waits. */
#pragma once

#include "base/list.h"
#include "fiber/fiber.h"
#include "fiber/thread.h"
#include "net/stream_tls.h"
#include "net/tls_client.h"
#include "upstream/upstream.h"

#include <pthread.h>

enum {
    SERVER_ADDRESSES_MAX = 8,
};

enum server_health {
    SERVER_UP,
    SERVER_REFUSING, /* could not be reached; probed once a second */
    SERVER_EJECTED,  /* too many errors; until `until` */
};

/* A connection to a server. While it is idle it belongs to its pool; else to one call. */
struct server_connection {
    struct stream stream;
    struct list link; /* in the pool, most recently used first */
    struct server *server;
    struct pool *pool;    /* of the worker whose loop watches it */
    int64_t expires;      /* when an idle one is closed */
    int64_t idle_timeout; /* ns; what the server allows, or the configured one */
    bool is_reused;
    bool is_idle;  /* under the pool's mutex */
    bool is_taken; /* another worker took the descriptor: only this husk is left */
};

/* Idle connections of one server on one worker. */
struct pool {
    pthread_mutex_t mutex;
    struct list idle;
    struct list h2; /* of struct h2_link; the worker's own, without the mutex */
    size_t count;
    struct server *server;
    struct thread *thread; /* NULL: that worker does not run */
    struct timer sweep;
    bool is_stopped;
} __attribute__((aligned(64)));

struct server {
    struct upstream *upstream;
    struct slice name;
    struct slice host; /* as Host, when the client's is not kept */
    struct server_config config;
    size_t index;
    uint32_t active;        /* exchanges in flight, all workers; atomic */
    uint32_t idle;          /* pooled connections, all workers; atomic */
    int health;             /* enum server_health; atomic */
    int64_t until;          /* end of an ejection, monotonic; atomic */
    int64_t back_since;     /* when it came back, monotonic; 0: it was never away; atomic */
    uint32_t errors_in_row; /* atomic, as all that follows */
    uint32_t ejections;     /* in a row: each lasts twice as long */
    int64_t window_start;
    uint32_t window_all, window_errors;
    bool is_probed;                /* a fiber of some worker looks after it */
    uint64_t timing;               /* how long it takes to answer; see server_timed() */
    uint64_t id;                   /* says which one it is in cookies; never 0; atomic */
    struct pool *pools;            /* one per worker */
    struct tls_sessions *sessions; /* of TLS; NULL: it is spoken to in clear */
    int64_t h1_until;              /* it has preferred HTTP/1 over TLS: not asked before; atomic */
    pthread_mutex_t addresses_mutex;
    struct address addresses[SERVER_ADDRESSES_MAX];
    size_t addresses_count; /* atomic for a quick look; 0: unresolved */
} __attribute__((aligned(64)));

/* What hangs on one worker. */
struct upstream_local {
    struct fiber_scope probes;
    unsigned apart; /* calls that no client waits for, in the same scope */
    bool is_stopped;
};

struct roster;

struct upstream {
    struct slice name;
    struct upstream_config config;
    struct server *servers;
    size_t count;
    struct roster *roster;          /* whom to choose; atomic */
    struct roster *rosters_retired; /* that somebody may still look at; newest first */
    unsigned workers;
    struct upstream_local *locals;
    int64_t budget_second; /* retry budget: this second … */
    uint32_t budget_spent; /* … how many retries, */
    uint32_t budget_calls; /* and how many calls */
    uint32_t waiting;      /* calls in the queue; atomic */
    pthread_mutex_t queue_mutex;
    struct list queue;
    struct arena arena;
};

/* Whether it may get a request now. */
bool server_is_usable(const struct server *server, int64_t now);
/* Whether it could not be reached and is probed. */
bool server_is_refusing(const struct server *server);
/* Whether fewer than max_conns are in flight. */
bool server_has_room(const struct server *server);
/* Counts a request in; false when max_conns are in flight. And out; wakes one that waits. */
bool server_enter(struct server *server);
void server_leave(struct server *server);

/* What happened to a try, for passive health. */
void server_succeeded(struct server *server);
void server_failed(struct server *server, int64_t now); /* a connect or gateway error */
void server_unreachable(struct server *server);         /* refused, no route, connect timeout */

/* It answered, or failed to, after that many nanoseconds: what least_time goes by. The mean fades
 * with time and jumps to a value that is worse, so that trouble shows at once. */
void server_timed(struct server *server, int64_t took, bool has_failed);
/* What its next answer is expected to take, in sixteenths of a microsecond; 0: not known. */
uint32_t server_expected_time(const struct server *server, int64_t now);

enum {
    SERVER_WEIGHT_UNIT = 256, /* of server_weight_now(), for a configured weight of 1 */
};
/* Its share now, in units, never 0: less than configured while it starts slowly. */
uint32_t server_starting_weight(const struct server *server, int64_t now);
static inline uint32_t server_weight_now(const struct server *server, int64_t now)
{
    return __atomic_load_n(&server->back_since, __ATOMIC_RELAXED) == 0
               ? server->config.weight * SERVER_WEIGHT_UNIT
               : server_starting_weight(server, now);
}

/* Makes a new roster of the servers as they are; what looks at the old one may go on. Control only.
 */
void upstream_renew_roster(struct upstream *upstream);

/* Copies the addresses to dial; how many. */
size_t server_addresses(struct server *server, struct address *into);
