/* SPDX-License-Identifier: Apache-2.0 */
/* A named group of servers, shared by all workers and outliving snapshots: what control makes and
 * looks at. */
#pragma once

#include "base/arena.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/metric.h"
#include "net/address.h"
#include "upstream/affinity.h"
#include "upstream/call.h"

struct upstream;
struct server;
struct tls_client;
struct tls_sessions;

enum balance {
#define BALANCE(id, name, policy, key, doc) BALANCE_##id,
#include "upstream/balance.def"
#undef BALANCE
    BALANCES,
};

/* Where the servers of a line come from. */
enum server_source {
    SERVER_FIXED, /* `address`: one server, always */
    SERVER_NAME,  /* each address of `host` is a server */
    SERVER_ONE,   /* all addresses of `host` are one server, dialled one after the other */
    SERVER_SRV,   /* the records of `host` */
    SERVER_FILE,  /* the file `host` */
};

struct server_config {
    struct slice name; /* as written: "10.0.0.12:3000", "app.internal:8080", "unix:/x" */
    enum server_source source;
    struct slice host; /* to be resolved, or the file's path; empty: `address` is it */
    uint16_t port;
    struct address address;
    uint32_t weight;   /* 1–256 */
    uint32_t priority; /* a lower one serves as long as it can */
    int64_t max_conns; /* 0: no limit */
    bool backup;       /* behind all priorities */
    bool down;
    struct tls_client *tls; /* NULL: in clear. Becomes the upstream's */
};

/* What somebody has set by hand for a server. */
enum server_admin {
    SERVER_ADMIN_NONE,  /* nothing: it is as it was configured */
    SERVER_ADMIN_UP,    /* it serves, also if it was configured to be down */
    SERVER_ADMIN_DRAIN, /* no new requests; what runs may end; its checks go on */
    SERVER_ADMIN_DOWN,  /* as if it was configured to be down */
};
struct upstream_setting {
    struct slice server; /* its name */
    enum server_admin state;
    uint32_t weight; /* 0: as it was configured */
};

/* A server as discovery knows it. */
struct upstream_member {
    struct slice name; /* how logs call it */
    struct slice host; /* as Host, when the client's is not kept; empty: as the name */
    const struct address *addresses;
    size_t addresses_count; /* > 0 */
    uint32_t weight, priority;
    int64_t max_conns;
    bool backup;
};

enum {
    UPSTREAM_DISCOVERED_MAX = 512, /* servers beyond the lines, drained ones included */
};

/* When errors of a server put it aside. */
struct upstream_passive {
    uint32_t fails;               /* in a row; 0: those do not */
    uint32_t requests, percent;   /* of so many at least in the window, so many; 0: those do not */
    int64_t window;               /* ns */
    int64_t eject, eject_longest; /* ns; twice as long each time it happens again */
    uint32_t ejected_percent;     /* of the group, at most, and never the last */
};

/* As it is when nothing is said. */
#define UPSTREAM_PASSIVE                                                                           \
    ((struct upstream_passive){5, 20, 50, SECONDS(10), SECONDS(10), SECONDS(300), 50})

struct upstream_config {
    struct slice name;
    enum balance balance;
    const struct server_config *servers;
    size_t servers_count;
    int64_t keepalive;                  /* idle connections kept per server, over all workers */
    int64_t keepalive_idle;             /* ns */
    int64_t queue;                      /* how many may wait for a free server */
    int64_t queue_timeout;              /* ns */
    int64_t requests_max;               /* in work at a time, over all servers; 0: no limit */
    int64_t connects_max;               /* connections that are being opened; 0: no limit */
    int64_t adaptive_min, adaptive_max; /* between which a limit of requests adapts; max 0: none */
    struct upstream_passive passive;    /* all zero: UPSTREAM_PASSIVE */
    int64_t slow_start; /* ns in which a server that came back gets its share; 0: at once */
    /* What ties clients to servers, and how far: a server that has more than load_percent of its
     * share of the exchanges passes those that hash to it on; 0: never. */
    struct upstream_affinity affinity;
    uint32_t load_percent;
    struct hash_key sticky_key; /* what servers' ids in cookies are made with */
    enum upstream_http http;
    int proxy_protocol; /* its version; each request has a connection of its own then; 0: none */
    bool passes_tlvs;   /* of version 2: with what came in a client's own header */
};

/* Copies what it needs. What is discovered is filled in later by upstream_set_members. */
struct upstream *upstream_new(const struct upstream_config *config, unsigned workers);
void upstream_free(struct upstream *upstream);

/* Whether the servers of that configuration have room in it. May be asked from any thread. */
bool upstream_fits(const struct upstream *upstream, const struct upstream_config *config);
/* Puts other settings in the place of those it has, and lets servers join that are new; what stays
 * (by its address, name and TLS) is not touched but for weight, priority and limits. Those that are
 * not in `config` stay until upstream_leave(), so that nobody leaves before others are there. The
 * TLS of all lines becomes the upstream's. On control's thread; safe beside running exchanges. */
void upstream_update(struct upstream *upstream, const struct upstream_config *config);
void upstream_leave(struct upstream *upstream);
/* Every worker has turned its loop since the last update: what was replaced by then is freed. */
void upstream_forget_old(struct upstream *upstream, int64_t until);
/* Whether line `index` is of the configuration; false also past the end. */
bool upstream_has_line(const struct upstream *upstream, size_t index);
/* The same, and not about to leave. */
bool upstream_is_line_wanted(const struct upstream *upstream, size_t index);
/* Whether nothing of it runs on any worker, tunnels included. Control only. */
bool upstream_is_quiet(const struct upstream *upstream);
/* On a worker's thread, after upstream_worker_stop(): whether nothing of it is left there. */
bool upstream_worker_is_done(const struct upstream *upstream);

/* What wants discovering, for control: line `index`; false past the end. A line that is gone is
 * SERVER_FIXED. */
bool upstream_source(const struct upstream *upstream, size_t index, struct server_config *source);
/* Pushed by control: from now on the servers of line `index` are these and no others. One that is
 * there already (by its addresses) goes on as it is, but for weight, priority and limits; new ones
 * join; the others get no new request, and their place is free for another when what runs has
 * ended. count 0: the line has no server. Returns how many found no place. Called on control's
 * thread; safe beside running exchanges. */
size_t upstream_set_members(struct upstream *upstream, size_t index,
                            const struct upstream_member *members, size_t count);
/* Frees the places of drained servers of which nothing runs any more; control calls it about once a
 * second. */
void upstream_reap(struct upstream *upstream);

/* Pushed by control: what is set by hand for the servers of those names, also for ones that join
 * later; for all others nothing is (any more). Copies. On control's thread; safe beside running
 * exchanges. */
void upstream_set_admin(struct upstream *upstream, const struct upstream_setting *settings,
                        size_t count);

/* What an active check made of server `index`, pushed by control; `why` is static text. From the
 * first "down" on no request goes there, until an "up". */
void upstream_set_health(struct upstream *upstream, size_t index, bool is_up, const char *why);
/* One more check of it was answered; control only. */
void upstream_count_check(struct upstream *upstream, size_t index, bool is_good);
/* Where a check would ask, at most `max`; 0: it has no address, or none is to go there at all. */
size_t upstream_server_addresses(const struct upstream *upstream, size_t index,
                                 struct address *addresses, size_t max);

/* While it is held, on control's thread, its place is not given to another server. */
void upstream_server_hold(struct upstream *upstream, size_t index, bool is_held);
/* How TLS is spoken with it; NULL: it is spoken to in clear. */
void upstream_server_tls(const struct upstream *upstream, size_t index, struct tls_client **tls,
                         struct tls_sessions **sessions);

/* Per worker: called on its thread before it serves and after its last exchange. */
void upstream_worker_start(struct upstream *upstream);
void upstream_worker_stop(struct upstream *upstream); /* closes its idle connections */
void upstream_worker_trim(struct upstream *upstream); /* those that nobody has used for a while */

struct server_state {
    struct slice name;
    bool is_usable;
    const char *state;   /* "up", "slow_start", "ejected", "refusing", "check_failed" … */
    const char *reason;  /* static text of why it is in that state; "" as it was configured */
    int64_t since;       /* ns since 1970; 0: since the start */
    bool is_member;      /* false: drained, or a place where none is */
    uint32_t generation; /* another number: another server in its place */
    bool is_resting;     /* a place where none is, or where nothing runs any more */
    uint32_t active;
    uint32_t idle;
    uint32_t weight;      /* that it has now */
    uint32_t weight_said; /* by the configuration or discovery */
    int64_t max_conns;    /* 0: no limit */
    bool is_backup;
    enum server_admin admin;
    int64_t expected; /* ns that its next answer is expected to take; 0: not known */
};

enum upstream_retried {
    UPSTREAM_RETRIED_CONNECT, /* it could not be reached */
    UPSTREAM_RETRIED_RESET,
    UPSTREAM_RETRIED_TIMEOUT,
    UPSTREAM_RETRIED_STATUS,
    UPSTREAM_RETRIED_REASONS,
};

enum {
    UPSTREAM_ERRORS = 16, /* tokens of RFC 9209 that are told apart */
};

/* What was counted of the tries at a server. */
struct server_counts {
    uint32_t generation;     /* of the server that they are of */
    struct tally_of answers; /* by status */
    struct histogram time;   /* up to the first byte of the answer, connecting included */
    struct histogram connect;
    uint64_t errors[UPSTREAM_ERRORS]; /* upstream_error_name() says which */
    uint64_t retries[UPSTREAM_RETRIED_REASONS];
    uint64_t checks_good, checks_bad;
};
/* The sum over all workers, while they go on; false: there is no such server. From any thread. */
bool upstream_server_counts(const struct upstream *upstream, size_t index,
                            struct server_counts *sum);
const char *upstream_error_name(size_t index);
/* Calls that wait for a server now. */
uint32_t upstream_waiting(const struct upstream *upstream);

/* What of a request a policy goes by. */
enum upstream_key balance_key_of(enum balance balance);

bool upstream_server_state(const struct upstream *upstream, size_t index,
                           struct server_state *state);
