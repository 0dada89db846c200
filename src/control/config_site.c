/* SPDX-License-Identifier: Apache-2.0 */
/* Sites and their routes: the order of steps, and what several levels say merged into one path. */
#include "control/config_build.h"
#include "net/tls_context.h"
#include "serve/handshake.h"

#include <stdlib.h>

const struct config_item *config_check_order(struct builder *builder,
                                             const struct config_block *block)
{
    const struct config_item *answer = NULL;
    config_check_split(builder, block);
    for (const struct config_item *item = block->first; item != NULL; item = item->next) {
        bool is_answer = (item->key->flags & KEY_ANSWER) != 0 && !item->is_off;
        bool is_step = (item->key->flags & (KEY_STEP | KEY_ANSWER)) != 0;
        if (answer == NULL || !is_step) {
            answer = answer == NULL && is_answer ? item : answer;
            continue;
        }
        struct config_error *error =
            CONFIG_REPORT(builder->errors, is_answer ? CONFIG_SECOND_ANSWER : CONFIG_STEP_AFTER,
                          item->node->place, item->node->name, answer->node->name);
        if (is_answer)
            config_error_note(builder->errors, error, "the first answer stands at line %u",
                              answer->node->place.line);
        else
            config_error_note(builder->errors, error, "move it above line %u",
                              answer->node->place.line);
    }
    return answer;
}

/* The path under construction. */
struct merged {
    const struct config_item **steps;
    size_t count;
};

static void remove_named(struct merged *merged, const char *name, size_t before)
{
    size_t kept = 0;
    for (size_t i = 0; i < merged->count; i++)
        if (i >= before || strcmp(merged->steps[i]->key->name, name) != 0)
            merged->steps[kept++] = merged->steps[i];
    merged->count = kept;
}

/* Adds the steps of a level. A key that may stand once takes the outer one's place in meaning, and
 * runs at its own. Answers are added by the caller: only the innermost counts. */
static void add_level(struct merged *merged, const struct config_block *block)
{
    if (block == NULL)
        return;
    for (const struct config_item *item = block->first; item != NULL; item = item->next) {
        if (!(item->key->flags & KEY_STEP) || (item->key->flags & KEY_ANSWER))
            continue;
        if (item->is_off || !(item->key->flags & KEY_MANY))
            remove_named(merged, item->key->name, merged->count);
        if (!item->is_off)
            merged->steps[merged->count++] = item;
    }
}

static size_t size_of(const struct config_block *block)
{
    return block == NULL ? 0 : block->count;
}

static struct config_path merge_path(struct builder *builder, const struct config_site *site,
                                     const struct config_block *route,
                                     const struct config_item *answer)
{
    size_t most = size_of(builder->defaults) + size_of(site->item->block) + size_of(route) + 1;
    struct merged merged = {arena_alloc(builder->arena, most * sizeof(*merged.steps)), 0};
    add_level(&merged, builder->defaults);
    add_level(&merged, site->item->block);
    add_level(&merged, route);
    if (answer != NULL)
        merged.steps[merged.count++] = answer;
    struct config_path path = {merged.steps, merged.count};
    config_check_cache_order(builder, &path);
    return path;
}

static void merge_named(const struct config_block *block, const char *name, void *into)
{
    const struct config_item *item = block == NULL ? NULL : config_block_find(block, name, 0);
    if (item != NULL)
        config_item_merge(item, into);
}

static void report_no_answer(struct builder *builder, const struct config_item *item)
{
    const struct config_schema *schema = builder->decoder->schema;
    struct slice name = item->node->values_count == 0 ? SLICE("") : item->node->values[0].text;
    struct slice what =
        arena_format(builder->arena, "%.*s %.*s", SLICE_ARG(item->node->name), SLICE_ARG(name));
    struct config_error *error =
        CONFIG_REPORT(builder->errors, CONFIG_NO_ANSWER, item->node->place, what);
    struct buffer answers = buffer_in(builder->arena, 80);
    for (size_t i = 0; i < schema->count; i++)
        if (schema->keys[i]->flags & KEY_ANSWER)
            buffer_format(&answers, "%s%s", answers.size == 0 ? "" : ", ", schema->keys[i]->name);
    config_error_note(builder->errors, error, "its last step must be one of: %.*s",
                      SLICE_ARG(buffer_slice(&answers)));
    if (slice_equal(item->node->name, SLICE("route")))
        config_error_help(builder->errors, error,
                          "an answer in the site serves every route that has none");
}

/* Whether a line of the block was refused that may have been its answer: then a missing answer is
 * no news. */
static bool lost_lines(const struct config_item *item)
{
    size_t lines = 0;
    for (const struct config_node *node = item->node->children; node != NULL; node = node->next)
        lines++;
    return item->block == NULL || lines != item->block->count || !item->node->has_block;
}

static void build_route(struct builder *builder, const struct config_site *site,
                        const struct config_item *item, const struct config_item *site_answer,
                        struct config_route *route)
{
    route->item = item;
    route->pattern = ((const struct route_config *)item->config)->pattern;
    route->matches = config_items(builder->arena, item->block, "match", &route->matches_count);
    for (size_t i = 0; i < route->matches_count; i++)
        config_check_match(builder, route->matches[i]);
    const struct config_item *answer = config_check_order(builder, item->block);
    if (answer == NULL)
        answer = site_answer;
    if (answer == NULL && !lost_lines(item) && !lost_lines(site->item))
        report_no_answer(builder, item);
    route->path = merge_path(builder, site, item->block, answer);
    route->timeouts = site->timeouts;
    route->limits = site->limits;
    merge_named(item->block, "timeouts", &route->timeouts);
    merge_named(item->block, "limits", &route->limits);
}

void config_build_routes(struct builder *builder, struct config_site *site)
{
    size_t count;
    const struct config_item **items =
        config_items(builder->arena, site->item->block, "route", &count);
    const struct config_item *answer = config_check_order(builder, site->item->block);
    struct config_route *routes = arena_zero(builder->arena, (count + 1) * sizeof(*routes));
    for (size_t i = 0; i < count; i++) {
        build_route(builder, site, items[i], answer, &routes[i]);
        routes[i].order = i;
    }
    site->routes = routes;
    site->routes_count = count;
    builder->config->routes_count += count;
    if (answer != NULL) {
        struct config_route *fallback = &routes[site->routes_count++];
        fallback->item = answer;
        fallback->pattern = SLICE("/*");
        fallback->is_fallback = true;
        fallback->path = merge_path(builder, site, NULL, answer);
        fallback->timeouts = site->timeouts;
        fallback->limits = site->limits;
        fallback->order = count;
    } else if (count == 0 && !lost_lines(site->item)) {
        report_no_answer(builder, site->item);
    }
    config_check_routes(builder, site);
}

static void build_aliases(struct builder *builder, struct config_site *site)
{
    size_t lines;
    size_t count = 0;
    const struct config_item **items =
        config_items(builder->arena, site->item->block, "alias", &lines);
    for (size_t i = 0; i < lines; i++)
        count += ((const struct alias_config *)items[i]->config)->hosts.count;
    struct config_alias *aliases = arena_alloc(builder->arena, (count + 1) * sizeof(*aliases));
    for (size_t i = 0; i < lines; i++) {
        const struct alias_config *line = items[i]->config;
        for (size_t j = 0; j < line->hosts.count; j++)
            aliases[site->aliases_count++] =
                (struct config_alias){line->hosts.items[j], line->status, items[i]};
    }
    site->aliases = aliases;
    if (lines > 0 && site->hosts.count > 0 && slice_starts(site->hosts.items[0], SLICE("*")))
        CONFIG_REPORT(builder->errors, CONFIG_ALIAS, items[0]->node->place, site->hosts.items[0]);
}

/* The item of a setting: the site's own, else the one of defaults, else NULL. */
static const struct config_item *setting(const struct builder *builder,
                                         const struct config_site *site, const char *name)
{
    const struct config_item *item = config_block_find(site->item->block, name, 0);
    if (item == NULL && builder->defaults != NULL)
        item = config_block_find(builder->defaults, name, 0);
    return item;
}

static void report_setting(struct builder *builder, const struct config_item *item,
                           const char *message)
{
    CONFIG_REPORT(builder->errors, CONFIG_TLS_SETTING, item->node->place,
                  slice_from_cstring(message));
}

static void check_protocols(struct builder *builder, const struct config_item *item,
                            const struct tls_config *settings)
{
    struct slice known[SERVE_PROTOCOLS_MAX];
    size_t count = serve_protocols(known);
    const struct slice_list *written = &settings->alpn;
    for (size_t i = 0; i < written->count; i++) {
        bool is_known = false;
        for (size_t k = 0; k < count; k++)
            is_known = is_known || slice_equal(written->items[i], known[k]);
        if (!is_known)
            CONFIG_REPORT(builder->errors, CONFIG_TLS_SETTING, item->node->place,
                          arena_format(builder->arena,
                                       "\"%.*s\" is no protocol that weir offers over TLS; write "
                                       "alpn=h2,http/1.1",
                                       SLICE_ARG(written->items[i])));
    }
}

/* What a line says that means nothing without another option. */
static void check_needs(struct builder *builder, const struct config_item *item,
                        const struct tls_config *settings)
{
    const struct tls_config *line = item->config;
    if (line->client_mode == TLS_CLIENT_REQUEST && settings->client_ca.size == 0)
        report_setting(builder, item, "client_mode needs a client_ca");
    if ((line->hsts_subdomains || line->hsts_preload) && settings->hsts == CLOCK_NEVER)
        report_setting(builder, item, "hsts_subdomains and hsts_preload need hsts");
}

static void build_tls(struct builder *builder, struct config_site *site)
{
    struct config_tls *tls = &site->tls;
    const struct config_item *top = config_block_find(&builder->config->top, "tls", 0);
    const struct key *key = config_key_find(builder->decoder->schema, IN_SITE, SLICE("tls"));
    if (key == NULL)
        return;
    struct tls_config *settings =
        config_key_defaults(builder->decoder->schema, key, builder->arena);
    if (top != NULL) { /* of its own table, which lacks the key: each option by its name */
        config_item_merge(top, settings);
        check_protocols(builder, top, settings);
    }
    tls->lines = config_items(builder->arena, site->item->block, "tls", &tls->lines_count);
    for (size_t i = 0; i < tls->lines_count; i++) {
        const struct tls_config *line = tls->lines[i]->config;
        bool is_off = slice_equal(line->certificate, SLICE("off"));
        config_item_merge(tls->lines[i], settings);
        check_protocols(builder, tls->lines[i], line);
        tls->is_on = tls->is_on || (line->certificate.size > 0 && !is_off);
        if (slice_equal(line->certificate, SLICE("auto")))
            report_setting(builder, tls->lines[i],
                           "certificates are not fetched from an authority yet: name a file");
        if (line->certificate.size == 0 && line->key.size > 0)
            report_setting(builder, tls->lines[i], "a key stands without its certificate");
    }
    tls->settings = *settings;
    if (tls->is_on && settings->client_ca.size == 0 && settings->client_crl.size > 0)
        report_setting(builder, tls->lines[0], "client_crl needs a client_ca");
    for (size_t i = 0; i < tls->lines_count; i++)
        check_needs(builder, tls->lines[i], settings);
    if (tls->is_on && settings->alpn.count > TLS_PROTOCOLS_MAX)
        report_setting(builder, tls->lines[0], "too many protocols");
}

static void build_settings(struct builder *builder, struct config_site *site)
{
    const struct config_item *names = setting(builder, site, "field_names");
    const struct config_item *escaped = setting(builder, site, "path_escaped_slash");
    const struct config_item *merge = setting(builder, site, "path_merge_slashes");
    const struct config_item *log = setting(builder, site, "log");
    if (names != NULL)
        site->field_names = ((const struct choice_config *)names->config)->choice;
    if (escaped != NULL)
        site->path_escaped_slash = ((const struct choice_config *)escaped->config)->choice == 1;
    site->path_merge_slashes =
        merge == NULL || ((const struct switch_config *)merge->config)->is_on;
    site->access_log = log == NULL || ((const struct switch_config *)log->config)->is_on;
    site->timeouts = builder->config->timeouts;
    site->limits = builder->config->limits;
    merge_named(builder->defaults, "timeouts", &site->timeouts);
    merge_named(builder->defaults, "limits", &site->limits);
    merge_named(site->item->block, "timeouts", &site->timeouts);
    merge_named(site->item->block, "limits", &site->limits);
}

void config_build_sites(struct builder *builder)
{
    struct config *config = builder->config;
    size_t count;
    const struct config_item **items = config_items(builder->arena, &config->top, "site", &count);
    struct config_site *sites = arena_zero(builder->arena, (count + 1) * sizeof(*sites));
    if (builder->defaults != NULL)
        config_check_order(builder, builder->defaults);
    for (size_t i = 0; i < count; i++) {
        sites[i].item = items[i];
        sites[i].hosts = ((const struct site_config *)items[i]->config)->hosts;
        build_settings(builder, &sites[i]);
        build_tls(builder, &sites[i]);
        build_aliases(builder, &sites[i]);
        config_build_routes(builder, &sites[i]);
    }
    config->sites = sites;
    config->sites_count = count;
}
