/* SPDX-License-Identifier: Apache-2.0 */
/* A member of an upstream: its load, its health, its addresses. Shared by all workers through
 * atomics; nothing here waits. */
#pragma once

#include "base/list.h"
#include "fiber/fiber.h"
#include "fiber/thread.h"
#include "net/stream_tls.h"
#include "net/tls_client.h"
#include "upstream/breaker.h"
#include "upstream/upstream.h"

#include <pthread.h>

enum {
    SERVER_ADDRESSES_MAX = 8,
    SERVER_NAME_MAX = 264,
};

enum server_health {
    SERVER_UP,
    SERVER_REFUSING, /* could not be reached; probed once a second */
    SERVER_EJECTED,  /* too many errors; until `until` */
};

/* Everything that a server's life knows, the strongest first: one that is drained is not said to be
 * ejected. */
enum server_life {
    SERVER_LIFE_DOWN,         /* by configuration */
    SERVER_LIFE_DRAINING,     /* discovery knows it no more: what runs may end */
    SERVER_LIFE_UNRESOLVED,   /* its name has no address */
    SERVER_LIFE_CHECK_FAILED, /* by its active check */
    SERVER_LIFE_REFUSING,
    SERVER_LIFE_EJECTED,
    SERVER_LIFE_SLOW_START, /* back a short while: it gets a growing share */
    SERVER_LIFE_UP,
    SERVER_LIVES,
};

/* A connection to a server. While it is idle it belongs to its pool; else to one call. */
struct server_connection {
    struct stream stream;
    struct list link; /* in the pool, most recently used first */
    struct server *server;
    struct pool *pool;       /* of the worker whose loop watches it */
    int64_t expires;         /* when an idle one is closed */
    int64_t idle_timeout;    /* ns; what the server allows, or the configured one */
    enum upstream_http http; /* what is spoken on it: HTTP_1 or one of those without HTTP */
    bool is_reused;
    bool is_of_one; /* it knows a client by a scheme that authenticates connections */
    bool is_idle;   /* under the pool's mutex */
    bool is_taken;  /* another worker took the descriptor: only this husk is left */
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
    struct server_counts *counts; /* of this worker's tries; NULL: none yet; atomic */
} __attribute__((aligned(64)));

struct server {
    struct upstream *upstream;
    struct slice name;
    struct slice host; /* as Host, when the client's is not kept */
    struct server_config config;
    size_t index;
    size_t source;          /* index of the line that it stands for */
    uint32_t active;        /* exchanges in flight, all workers; atomic */
    uint32_t idle;          /* pooled connections, all workers; atomic */
    uint32_t links;         /* shared ones of HTTP/2, likewise */
    int health;             /* enum server_health; atomic */
    bool is_check_failed;   /* by its active check; atomic */
    int admin;              /* enum server_admin; atomic */
    uint32_t weight_said;   /* by the configuration or discovery; control's own */
    bool is_draining;       /* no member (any more), or a place for one to come; atomic */
    bool is_resting;        /* drained, and nothing of it runs any more; control's own */
    bool is_new;            /* it has joined, and nobody has been told; control's own */
    bool is_held;           /* by a check under way; control's own */
    int64_t drained_since;  /* monotonic; control's own */
    uint32_t generation;    /* how often the place was taken; atomic */
    int64_t until;          /* end of an ejection, monotonic; atomic */
    int64_t back_since;     /* when it came back, monotonic; 0: it was never away; atomic */
    const char *reason;     /* of its present state, static text; atomic */
    int64_t since;          /* when that began, ns since 1970; atomic */
    uint32_t errors_in_row; /* atomic, as all that follows */
    uint32_t ejections;     /* in a row: each lasts twice as long */
    int64_t window_start;
    uint32_t window_all, window_errors;
    bool is_probed;                /* a fiber of some worker looks after it */
    uint64_t timing;               /* how long it takes to answer; see server_timed() */
    uint64_t id;                   /* says which one it is in cookies; never 0; atomic */
    struct pool *pools;            /* one per worker */
    pthread_mutex_t waits_mutex;   /* of `waits` */
    struct list waits;             /* of struct pool_wait, those who came first in front */
    uint32_t waits_count;          /* atomic for a quick look */
    struct tls_sessions *sessions; /* of TLS; NULL: it is spoken to in clear */
    int64_t h1_until;              /* it has preferred HTTP/1 over TLS: not asked before; atomic */
    uint64_t checks_good, checks_bad; /* control's own */
    pthread_mutex_t addresses_mutex;
    struct address addresses[SERVER_ADDRESSES_MAX];
    size_t addresses_count; /* atomic for a quick look; 0: unresolved */
    char name_text[SERVER_NAME_MAX];
    char host_text[SERVER_NAME_MAX];
} __attribute__((aligned(64)));

/* What hangs on one worker. */
struct upstream_local {
    struct thread *thread; /* NULL: that worker does not run; atomic */
    struct fiber_scope probes;
    unsigned apart; /* calls that no client waits for, in the same scope */
    bool is_stopped;
};

struct roster;
struct upstream_setting;

/* A line of the configuration. Its index stays the same as long as it is there, and is another's
 * when it is gone and nothing of its servers runs any more. Control's own. */
struct upstream_line {
    struct server_config config; /* the texts are its own */
    uint64_t tls_identity;       /* 0: in clear */
    bool is_free;
    bool is_leaving;     /* the configuration has it no more */
    bool is_wanted;      /* in an update: the new configuration has it */
    bool is_homeless;    /* it has found no place */
    bool was_discovered; /* it has had servers */
    char *text;
};

/* The settings of an upstream: immutable, replaced as a whole. */
struct upstream_rules {
    struct upstream_config config; /* first: this is what others see; without the servers */
    struct upstream_rules *next;   /* retired before it */
    int64_t retired;
    struct arena arena; /* of the texts */
};

struct upstream {
    struct slice name;
    const struct upstream_config *rules; /* atomic */
    struct upstream_rules *rules_now;    /* the same; control's own */
    struct upstream_rules *rules_retired;
    struct server *servers; /* in places that never move */
    size_t places_size;     /* bytes under them */
    size_t made;            /* places that are ready to be taken; atomic */
    size_t homes;           /* the first of them are those of the first lines */
    size_t count;           /* of places that are or were taken; atomic, never smaller again */
    size_t capacity;        /* of all places */
    struct upstream_line **lines;
    size_t sources;        /* of them */
    size_t members;        /* servers that are no place alone and are not drained; atomic */
    struct roster *roster; /* whom to choose; atomic */
    struct roster *rosters_retired; /* that somebody may still look at; newest first */
    unsigned workers;
    struct upstream_local *locals;
    int64_t budget_second; /* retry budget: this second … */
    uint32_t budget_spent; /* … how many retries, */
    uint32_t budget_calls; /* and how many calls; and of the second before */
    uint32_t budget_spent_before, budget_calls_before;
    uint32_t waiting; /* calls in the queue; atomic */
    pthread_mutex_t queue_mutex;
    pthread_mutex_t eject_mutex; /* two workers together eject no more than one alone may */
    struct list queue;
    struct breaker breaker;
    struct latency latency;
    struct upstream_setting *settings; /* of its servers, by hand; control's own */
    size_t settings_count;
    struct arena arena;
};

/* How it is to be treated now. Not to be kept over a wait. */
static inline const struct upstream_config *upstream_rules(const struct upstream *upstream)
{
    return __atomic_load_n(&upstream->rules, __ATOMIC_ACQUIRE);
}
/* How many of upstream->servers are to be looked at. */
static inline size_t upstream_count(const struct upstream *upstream)
{
    return __atomic_load_n(&upstream->count, __ATOMIC_ACQUIRE);
}
/* How many servers belong to it now. */
static inline size_t upstream_members(const struct upstream *upstream)
{
    return __atomic_load_n(&upstream->members, __ATOMIC_RELAXED);
}

/* As it was configured or discovered last. */
static inline uint32_t server_weight(const struct server *server)
{
    return __atomic_load_n(&server->config.weight, __ATOMIC_RELAXED);
}
/* Whether it is taken out by the configuration, or by hand; the hand has the last word. */
static inline bool server_is_down(const struct server *server)
{
    int admin = __atomic_load_n(&server->admin, __ATOMIC_SEQ_CST);
    return admin == SERVER_ADMIN_NONE ? __atomic_load_n(&server->config.down, __ATOMIC_RELAXED)
                                      : admin == SERVER_ADMIN_DOWN;
}
/* Neither that nor drained by hand: nobody but its health says that it gets no request. */
static inline bool server_is_wanted(const struct server *server)
{
    return !server_is_down(server) &&
           __atomic_load_n(&server->admin, __ATOMIC_SEQ_CST) != SERVER_ADMIN_DRAIN;
}
/* Looks up what was set by hand for a server of its name, when it joins or is told its weight.
 * Control only. */
void server_recall(struct server *server);
void upstream_forget_settings(struct upstream *upstream);
/* Whether it may get a request now. */
bool server_is_usable(const struct server *server, int64_t now);
enum server_life server_life(const struct server *server, int64_t now);
/* Whether it was never away, so that it is up without a closer look. */
static inline bool server_is_plain(const struct server *server)
{
    return __atomic_load_n(&server->health, __ATOMIC_RELAXED) == SERVER_UP &&
           __atomic_load_n(&server->back_since, __ATOMIC_RELAXED) == 0 &&
           !__atomic_load_n(&server->is_check_failed, __ATOMIC_RELAXED) &&
           !__atomic_load_n(&server->is_draining, __ATOMIC_RELAXED) && server_is_wanted(server) &&
           __atomic_load_n(&server->addresses_count, __ATOMIC_RELAXED) > 0;
}
/* "up", "slow_start" … as logs and placeholders say it. */
const char *server_life_name(enum server_life life);
/* Whether it could not be reached and is probed. */
bool server_is_refusing(const struct server *server);
/* Whether fewer than max_conns are in flight. */
bool server_has_room(const struct server *server);
/* Counts a request in; false when max_conns are in flight or it was drained just now. And out;
 * wakes one that waits. */
bool server_enter(struct server *server);
void server_leave(struct server *server);

/* What happened to a try, for passive health. */
void server_succeeded(struct server *server);
void server_failed(struct server *server, int64_t now); /* a connect or gateway error */
void server_unreachable(struct server *server);         /* refused, no route, connect timeout */
/* What the active check says; `why` is static text. From any thread of ours. */
void server_set_health(struct server *server, bool is_up, const char *why);

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
               ? server_weight(server) * SERVER_WEIGHT_UNIT
               : server_starting_weight(server, now);
}

/* Makes a new roster of the servers as they are; what looks at the old one may go on. Control only.
 */
void upstream_renew_roster(struct upstream *upstream);

/* Of this room, for upstream.c, members.c and update.c; control only. */
void upstream_set_rules(struct upstream *upstream, const struct upstream_config *config);
/* A free line, or one more, that says what `config` does; takes its TLS. */
size_t upstream_add_line(struct upstream *upstream, const struct server_config *config);
/* Servers of a line that is leaving go; those that are there anyway stay. */
void upstream_drop_line(struct upstream *upstream, size_t index);
/* Frees a line of which nothing runs any more. */
void upstream_free_line(struct upstream_line *line);
/* The server of a line that names one address; false: there is no place. */
bool upstream_join_fixed(struct upstream *upstream, size_t index);
/* One more place to be taken; false: there are as many as there may be. */
bool upstream_make_place(struct upstream *upstream);
void upstream_tidy_lines(struct upstream *upstream);
/* Whom to choose is other than it was: makes that known. */
void upstream_changed(struct upstream *upstream);
/* Weight and limits of one that stays. */
void server_set_share(struct server *server, const struct upstream_member *share);

/* Copies both into its place, where they are as long as it is: lines and members go. */
void server_set_name(struct server *server, struct slice name, struct slice host);
/* Takes from a drained server's place what was the server's, and what was its line's. */
void server_let_rest(struct upstream *upstream, struct server *server);

/* What stands in Host for a server of that name. */
struct slice server_host_of(struct slice name);
/* Copies the addresses to dial; how many. */
size_t server_addresses(struct server *server, struct address *into);
