/* SPDX-License-Identifier: Apache-2.0 */
/* One immutable, checked configuration, ready to be served from. */
#pragma once

#include "control/access_log.h"
#include "control/caches.h"
#include "control/config.h"
#include "control/error_log.h"
#include "exchange/geo.h"
#include "serve/serve.h"
#include "upstream/upstream.h"

struct upstream;

/* An upstream as a snapshot names it. */
struct snapshot_upstream {
    struct upstream_config config; /* what is to become of one that is there already */
    bool is_fresh;                 /* it was made for this snapshot */
};

struct snapshot {
    struct arena arena;
    const struct config *config; /* that it was made of */
    const struct listener_config *listeners;
    size_t listeners_count;
    struct upstream **upstreams;
    struct snapshot_upstream *upstreams_from;
    size_t upstreams_count;
    struct snapshot_cache *caches;
    size_t caches_count;
    bool is_taken; /* its upstreams are control's, which lets them go */
    struct trust trust;
    struct geo geo;
    struct timeouts timeouts; /* of the top level */
    struct limits limits;
    struct access_log *access_log; /* NULL: off */
    struct error_log *error_log;
    struct certificates *certificates;
    unsigned workers;
    size_t fibers_max;          /* per worker */
    struct snapshot_kept *kept; /* objects to be released with it */
    /* As it is served from: */
    uint64_t version;
    struct serve_view *views;               /* one per worker */
    const struct listener_config **by_slot; /* of the addresses' slots; NULL: not its own */
    size_t slots_count;
    unsigned unused;       /* workers that go by another, and need it no more */
    unsigned holders;      /* of control's, who look at it */
    struct loaded *loaded; /* the configuration, freed with it */
    struct snapshot *next; /* the one before, of which something still runs */
};

/* Builds it from a configuration without errors, which must outlive it. What only shows now (files
 * that steps read, regular expressions) is reported to `errors`; then the result is NULL.
 * `previous` (NULL: none) is what is served now: upstreams of the same name, contexts of TLS and
 * the access log are its own, and nothing of it is changed. On any thread. */
struct snapshot *snapshot_new(const struct config *config, unsigned workers,
                              const struct snapshot *previous, struct config_errors *errors);
void snapshot_free(struct snapshot *snapshot);
/* One that nothing is served from: no file is looked at. NULL after errors. */
struct snapshot *snapshot_to_look_at(const struct config *config, struct config_errors *errors);

/* Builds one and throws it away, for `weir check`: all that snapshot_new() would report, but no log
 * is opened. `without_files`: nor is any other file;
 * `without_names`: nobody is asked whether the names of servers resolve. */
void snapshot_check(const struct config *config, bool without_files, bool without_names,
                    struct config_errors *errors);

/* Takes a server as it is written (host:port, [v6]:port, unix:/path, http://host[:port], https://…)
 * apart. `name` is its host as it is written, also of an address. */
struct server_parts {
    struct slice host; /* to be resolved; empty: `address` is it */
    struct slice name;
    uint16_t port;
    struct address address;
    bool is_tls;
};
bool server_parse(struct slice text, struct server_parts *parts);
