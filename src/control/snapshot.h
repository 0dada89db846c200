/* SPDX-License-Identifier: Apache-2.0 */
/* One immutable, checked configuration, ready to be served from. */
#pragma once

#include "control/access_log.h"
#include "control/config.h"
#include "exchange/geo.h"
#include "serve/serve.h"

struct upstream;

struct snapshot {
    struct arena arena;
    const struct listener_config *listeners;
    size_t listeners_count;
    struct upstream **upstreams;
    size_t upstreams_count;
    struct trust trust;
    struct geo geo;
    struct timeouts timeouts; /* of the top level */
    struct limits limits;
    struct access_log *access_log; /* NULL: off */
    struct certificates *certificates;
    unsigned workers;
    size_t fibers_max;          /* per worker */
    struct snapshot_kept *kept; /* objects to be released with it */
};

/* Builds it from a configuration without errors, which must outlive it. What only shows now (files
 * that steps read, regular expressions) is reported to `errors`; then the result is NULL. */
struct snapshot *snapshot_new(const struct config *config, unsigned workers,
                              struct config_errors *errors);
void snapshot_free(struct snapshot *snapshot);

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
