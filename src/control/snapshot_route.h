/* SPDX-License-Identifier: Apache-2.0 */
/* Sites, routes and their steps out of a configuration: the inside of snapshot_new(). */
#pragma once

#include "control/snapshot.h"

struct snapshot_builder {
    struct snapshot *snapshot;
    const struct config *config;
    const struct snapshot *previous; /* NULL: none */
    struct config_errors *errors;
    struct site *sites;                                 /* one per site of the configuration */
    bool without_files;                                 /* nothing is read from disk */
    struct slice_list guarded;                          /* fields that steps alone set */
    struct slice_list secret_parameters, secret_fields; /* that no log shows */
    const struct config_site *site;                     /* that is being built, … */
    const struct config_route *route;
    bool leads_elsewhere;           /* a step of the route may redirect inside */
    const struct config_item *item; /* … and whose step is being prepared */
};

/* What a step's prepare() is given, and what we find ourselves by from its callbacks. */
struct preparing {
    struct prepare prepare;
    struct snapshot_builder *b;
};

/* For the step of that line, which the builder is at from then on. */
struct preparing snapshot_preparing(struct snapshot_builder *b, const struct config_item *item);
/* Releases it when the snapshot goes. */
void snapshot_keep(struct snapshot *snapshot, void (*release)(void *object), void *object);
/* Adds the name if it is not there in any case of letters. */
void snapshot_add_name(struct slice_list *names, struct slice name, struct arena *arena);
struct upstream *snapshot_find_upstream(struct snapshot_builder *b, struct slice name);
/* The caches of the configuration, those that are there already as they are. */
void snapshot_build_caches(struct snapshot_builder *b);
void snapshot_build_site(struct snapshot_builder *b, const struct config_site *from,
                         struct site *site);
/* Aliases of a site are sites of their own that redirect; how many names were written. */
size_t snapshot_alias_sites(struct snapshot_builder *b, const struct config_site *from,
                            struct site_name *names);
/* A site that sends every path of its clients to TLS. */
struct site *snapshot_redirect_site(struct snapshot_builder *b, const struct config_site *from);
/* Keeps it as long as the snapshot. */
struct tls_server *snapshot_keep_server(struct snapshot_builder *b, struct tls_server *server);
/* As prepare->open_file(), for a line at any level. */
struct held *snapshot_open_file(struct snapshot_builder *b, const struct config_item *item,
                                struct slice path, const struct held_kind *kind);
/* Releases what regular expressions and steps keep. */
void snapshot_release_kept(struct snapshot *snapshot);
