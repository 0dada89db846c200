/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of lines against each other, and merging: inside of config_load(). */
#pragma once

#include "control/config.h"

struct builder {
    struct arena *arena;
    struct config_errors *errors;
    struct config_decoder *decoder;
    struct config *config;
    const struct config_block *defaults; /* NULL: none written */
    bool check_files;
    const struct config_item *misplaced; /* behind a cache: said once */
    const struct config_source *source;
};

/* The items of that name in a block, as an array in the arena. */
const struct config_item **config_items(struct arena *arena, const struct config_block *block,
                                        const char *name, size_t *count);
/* The config struct of the only item of that name; the key's defaults when it is not written. */
const void *config_value_of(struct builder *builder, const struct config_block *block,
                            unsigned context, const char *name);

/* balance and sticky of an upstream. */
void config_build_balance(struct builder *builder, const struct config_block *block,
                          struct config_upstream *upstream);
/* No two servers of one name; after they were collected. */
void config_check_server_names(struct builder *builder, const struct config_upstream *upstream);
void config_build_admin(struct builder *builder);
void config_build_caches(struct builder *builder);
void config_build_logs(struct builder *builder);
/* Nothing changes the target behind a cache: its key would be that of another. */
void config_check_cache_order(struct builder *builder, const struct config_path *path);
void config_build_upstreams(struct builder *builder);
void config_build_sites(struct builder *builder);
void config_build_listens(struct builder *builder);
/* Routes of one site, with their merged steps. */
void config_build_routes(struct builder *builder, struct config_site *site);
/* Steps of one block in order, checked: no second answer, no step behind the answer. Returns the
 * answer or NULL. */
const struct config_item *config_check_order(struct builder *builder,
                                             const struct config_block *block);
/* What stands in a split, and what only may stand there. */
void config_check_split(struct builder *builder, const struct config_block *block);
/* Equal and unreachable routes of a site. */
void config_check_routes(struct builder *builder, const struct config_site *site);
/* Names that are referred to, files that are named. */
void config_check_references(struct builder *builder);
void config_check_files(struct builder *builder);
/* Conditions of a route. */
void config_check_match(struct builder *builder, const struct config_item *item);
