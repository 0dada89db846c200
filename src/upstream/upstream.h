/* SPDX-License-Identifier: Apache-2.0 */
/* A named group of servers, shared by all workers and outliving snapshots: what control makes and
 * looks at. */
#pragma once

#include "base/arena.h"
#include "base/hash.h"
#include "net/address.h"
#include "upstream/affinity.h"
#include "upstream/call.h"

struct upstream;
struct server;
struct tls_client;

enum balance {
#define BALANCE(id, name, policy, key, doc) BALANCE_##id,
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
    uint32_t priority; /* 0–255; those of a higher number serve when none of a lower one can */
    bool backup;       /* behind all priorities */
    bool down;
    struct tls_client *tls; /* NULL: in clear. Becomes the upstream's */
};

struct upstream_config {
    struct slice name;
    enum balance balance;
    const struct server_config *servers;
    size_t servers_count;
    int64_t keepalive;      /* idle connections kept per server, over all workers */
    int64_t keepalive_idle; /* ns */
    int64_t queue;          /* how many may wait for a free server */
    int64_t queue_timeout;  /* ns */
    int64_t slow_start;     /* ns in which a server that came back gets its share; 0: at once */
    /* What ties clients to servers, and how far: a server that has more than load_percent of its
     * share of the exchanges passes those that hash to it on; 0: never. */
    struct upstream_affinity affinity;
    uint32_t load_percent;
    struct hash_key sticky_key; /* what servers' ids in cookies are made with */
    enum upstream_http http;
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

/* Per worker: called on its thread before it serves and after its last exchange. */
void upstream_worker_start(struct upstream *upstream);
void upstream_worker_stop(struct upstream *upstream); /* closes its idle connections */

struct server_state {
    struct slice name;
    bool is_usable;
    const char *state; /* "up", "down", "ejected", "unresolved" */
    uint32_t active;
    uint32_t idle;
};
/* What of a request a policy goes by. */
enum upstream_key balance_key_of(enum balance balance);

bool upstream_server_state(const struct upstream *upstream, size_t index,
                           struct server_state *state);
