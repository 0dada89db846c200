/* SPDX-License-Identifier: Apache-2.0 */
/* A named group of servers, shared by all workers and outliving snapshots: what control makes and
 * looks at. */
#pragma once

#include "base/arena.h"
#include "net/address.h"

struct upstream;
struct server;

enum balance {
#define BALANCE(id, name, doc) BALANCE_##id,
#include "upstream/balance.def"
#undef BALANCE
    BALANCES,
};

struct server_config {
    struct slice name; /* as written: "10.0.0.12:3000", "app.internal:8080", "unix:/x" */
    struct slice host; /* to be resolved; empty: `address` is it */
    uint16_t port;
    struct address address;
    uint32_t weight;   /* 1–256 */
    int64_t max_conns; /* 0: no limit */
    bool backup;
    bool down;
};

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
    int64_t slow_start; /* ns in which a server that came back gets its share; 0: at once */
};

/* Copies what it needs. Addresses of names are filled in later by upstream_set_addresses. */
struct upstream *upstream_new(const struct upstream_config *config, unsigned workers);
void upstream_free(struct upstream *upstream);

/* Names that want resolving, for control: host and port of server `index`; false past the end. A
 * server that needs none is passed over with an empty host. */
bool upstream_server_host(const struct upstream *upstream, size_t index, struct slice *host,
                          uint16_t *port);
/* Pushed by control when a name was resolved: from then on the server is dialled there. count 0: it
 * is down (unresolved). Called on control's thread; safe beside running exchanges. */
void upstream_set_addresses(struct upstream *upstream, size_t index,
                            const struct address *addresses, size_t count);

/* What an active check made of server `index`, pushed by control; `why` is static text. From the
 * first "down" on no request goes there, until an "up". */
void upstream_set_health(struct upstream *upstream, size_t index, bool is_up, const char *why);
/* Where a check would ask, at most `max`; 0: it has no address, or none is to go there at all. */
size_t upstream_server_addresses(const struct upstream *upstream, size_t index,
                                 struct address *addresses, size_t max);

/* Per worker: called on its thread before it serves and after its last exchange. */
void upstream_worker_start(struct upstream *upstream);
void upstream_worker_stop(struct upstream *upstream); /* closes its idle connections */

struct server_state {
    struct slice name;
    bool is_usable;
    const char *state;  /* "up", "slow_start", "ejected", "refusing", "check_failed" … */
    const char *reason; /* static text of why it is in that state; "" as it was configured */
    int64_t since;      /* ns since 1970; 0: since the start */
    uint32_t active;
    uint32_t idle;
};
bool upstream_server_state(const struct upstream *upstream, size_t index,
                           struct server_state *state);
