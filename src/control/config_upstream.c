/* SPDX-License-Identifier: Apache-2.0 */
/* Upstreams, and the names that refer to them. */
#include "control/config_build.h"

#include "base/clock.h"
#include "upstream/call.h"

#include <stdlib.h>

static int compare_names(const void *left, const void *right)
{
    const struct config_upstream *const *a = left;
    const struct config_upstream *const *b = right;
    int order = slice_compare((*a)->name, (*b)->name);
    return order != 0                                                    ? order
           : (*a)->item->node->place.line < (*b)->item->node->place.line ? -1
                                                                         : 1;
}

static int compare_servers(const void *left, const void *right)
{
    const struct config_item *const *a = left;
    const struct config_item *const *b = right;
    const struct server_line_config *first = (*a)->config;
    const struct server_line_config *second = (*b)->config;
    int order = slice_compare(first->address, second->address);
    return order != 0 ? order : (*a)->node->place.line < (*b)->node->place.line ? -1 : 1;
}

static void check_servers(struct builder *builder, const struct config_upstream *upstream)
{
    size_t down = 0;
    const struct config_item **sorted =
        arena_alloc(builder->arena, (upstream->servers_count + 1) * sizeof(*sorted));
    for (size_t i = 0; i < upstream->servers_count; i++) {
        sorted[i] = upstream->servers[i];
        down += ((const struct server_line_config *)sorted[i]->config)->down;
    }
    qsort(sorted, upstream->servers_count, sizeof(*sorted), compare_servers);
    for (size_t i = 1; i < upstream->servers_count; i++) {
        const struct server_line_config *server = sorted[i]->config;
        const struct server_line_config *before = sorted[i - 1]->config;
        if (server->address.size == 0 || !slice_equal(server->address, before->address))
            continue;
        struct config_error *error =
            CONFIG_REPORT(builder->errors, CONFIG_SERVER_TWICE, sorted[i]->node->values[0].place,
                          server->address);
        config_error_note(builder->errors, error, "first written at line %u; weight=2 doubles it",
                          sorted[i - 1]->node->place.line);
    }
    if (upstream->servers_count > 0 && down == upstream->servers_count &&
        upstream->discovers_count == 0)
        CONFIG_REPORT(builder->errors, CONFIG_NONE_UP, upstream->item->node->place, upstream->name);
}

static const struct health_check_config *read_health_check(struct builder *builder,
                                                           const struct config_block *block)
{
    const struct config_item *item = config_block_find(block, "health_check", 0);
    if (item == NULL)
        return NULL;
    struct health_check_config *check = arena_alloc(builder->arena, sizeof *check);
    *check = *(const struct health_check_config *)item->config;
    check->is_tcp = slice_equal(check->what, SLICE("tcp"));
    check->is_grpc = slice_equal(check->what, SLICE("grpc"));
    check->is_fastcgi = slice_equal(check->what, SLICE("fastcgi"));
    if (check->what.size > 0 && !check->is_tcp && !check->is_grpc && !check->is_fastcgi &&
        check->what.data[0] != '/')
        CONFIG_REPORT(builder->errors, CONFIG_PATH, item->node->values[0].place, check->what,
                      SLICE("write a path such as /healthz, tcp, grpc or fastcgi"));
    return check;
}

/* A service's name is one that can be asked for; whether it is there is found out while it runs. */
static void check_discovers(struct builder *builder, const struct config_upstream *upstream)
{
    for (size_t i = 0; i < upstream->discovers_count; i++) {
        const struct config_item *item = upstream->discovers[i];
        const struct discover_config *discover = item->config;
        if (item->node->values_count < 2 || discover->kind != DISCOVER_SRV)
            continue;
        struct slice what = discover->what;
        bool is_name = what.size > 0 && what.size < 254 && what.data[0] != '.';
        for (size_t c = 0; c < what.size; c++)
            is_name = is_name &&
                      ((what.data[c] >= 'a' && what.data[c] <= 'z') ||
                       (what.data[c] >= 'A' && what.data[c] <= 'Z') ||
                       (what.data[c] >= '0' && what.data[c] <= '9') || what.data[c] == '_' ||
                       what.data[c] == '-' || (what.data[c] == '.' && what.data[c - 1] != '.'));
        if (!is_name)
            CONFIG_REPORT(builder->errors, CONFIG_ADDRESS, item->node->values[1].place, what,
                          SLICE("write the name of a service, such as _http._tcp.app.internal"));
    }
}

static void build_one(struct builder *builder, const struct config_item *item,
                      struct config_upstream *upstream)
{
    const struct config_block *block = item->block;
    upstream->item = item;
    upstream->name = ((const struct upstream_name_config *)item->config)->name;
    config_build_balance(builder, block, upstream);
    upstream->http =
        ((const struct choice_config *)config_value_of(builder, block, IN_UPSTREAM, "http"))
            ->choice;
    const struct config_item *introduces = config_block_find(block, "proxy_protocol", 0);
    if (introduces != NULL) {
        const struct proxy_protocol_config *config = introduces->config;
        upstream->proxy_protocol = config->version;
        upstream->passes_tlvs = config->passes_tlvs;
        if (config->passes_tlvs && config->version != 2)
            CONFIG_REPORT(builder->errors, CONFIG_PROXY_TLVS, introduces->node->place);
    }
    if (upstream->proxy_protocol > 0 && upstream->http == UPSTREAM_HTTP_2)
        CONFIG_REPORT(builder->errors, CONFIG_PROXY_SHARED, introduces->node->place,
                      upstream->name);
    upstream->keepalive =
        *(const struct keepalive_config *)config_value_of(builder, block, IN_UPSTREAM, "keepalive");
    upstream->queue =
        *(const struct queue_config *)config_value_of(builder, block, IN_UPSTREAM, "queue");
    upstream->breaker =
        *(const struct breaker_config *)config_value_of(builder, block, IN_UPSTREAM, "breaker");
    upstream->passive =
        *(const struct passive_config *)config_value_of(builder, block, IN_UPSTREAM, "passive");
    upstream->adaptive = *(const struct adaptive_config *)config_value_of(
        builder, block, IN_UPSTREAM, "adaptive_limit");
    upstream->health_check = read_health_check(builder, block);
    int64_t slow_start =
        ((const struct duration_config *)config_value_of(builder, block, IN_UPSTREAM, "slow_start"))
            ->duration;
    upstream->slow_start = slow_start == CLOCK_NEVER ? 0 : slow_start;
    upstream->tls_item = config_block_find(block, "tls", 0);
    if (config_key_find(builder->decoder->schema, IN_UPSTREAM, SLICE("tls")) != NULL)
        upstream->tls =
            *(const struct server_tls_config *)config_value_of(builder, block, IN_UPSTREAM, "tls");
    if (upstream->tls_item == NULL)
        upstream->tls.is_on = false;
    else if (!upstream->tls.verify)
        CONFIG_REPORT(builder->errors, CONFIG_SERVER_UNVERIFIED, upstream->tls_item->node->place,
                      upstream->name);
    if (upstream->tls.cert.size == 0 && upstream->tls.key.size > 0)
        CONFIG_REPORT(builder->errors, CONFIG_TLS_SETTING, upstream->tls_item->node->place,
                      SLICE("a key stands without its certificate"));
    upstream->servers = config_items(builder->arena, block, "server", &upstream->servers_count);
    upstream->discovers =
        config_items(builder->arena, block, "discover", &upstream->discovers_count);
    check_discovers(builder, upstream);
    bool has_lines = item->node->has_block;
    bool has_bad_server = false;
    for (const struct config_node *node = item->node->children; node != NULL; node = node->next)
        has_bad_server = has_bad_server || slice_equal(node->name, SLICE("server")) ||
                         slice_equal(node->name, SLICE("discover"));
    if (has_lines && !has_bad_server && upstream->servers_count == 0) {
        struct config_error *error =
            CONFIG_REPORT(builder->errors, CONFIG_NO_SERVER, item->node->place, upstream->name);
        config_error_note(builder->errors, error, "write a line in its block: server HOST:PORT");
    }
    check_servers(builder, upstream);
    config_check_server_names(builder, upstream);
}

static const struct config_upstream **sorted_names(struct builder *builder)
{
    const struct config *config = builder->config;
    const struct config_upstream **sorted =
        arena_alloc(builder->arena, (config->upstreams_count + 1) * sizeof(*sorted));
    for (size_t i = 0; i < config->upstreams_count; i++)
        sorted[i] = &config->upstreams[i];
    qsort(sorted, config->upstreams_count, sizeof(*sorted), compare_names);
    return sorted;
}

void config_build_upstreams(struct builder *builder)
{
    struct config *config = builder->config;
    size_t count;
    const struct config_item **items =
        config_items(builder->arena, &config->top, "upstream", &count);
    struct config_upstream *upstreams =
        arena_zero(builder->arena, (count + 1) * sizeof(*upstreams));
    for (size_t i = 0; i < count; i++)
        build_one(builder, items[i], &upstreams[i]);
    config->upstreams = upstreams;
    config->upstreams_count = count;
    const struct config_upstream **sorted = sorted_names(builder);
    for (size_t i = 1; i < count; i++) {
        if (sorted[i]->name.size == 0 || !slice_equal(sorted[i]->name, sorted[i - 1]->name))
            continue;
        struct config_error *error = CONFIG_REPORT(builder->errors, CONFIG_NAME_TWICE,
                                                   sorted[i]->item->node->values[0].place,
                                                   SLICE("upstream"), sorted[i]->name);
        config_error_note(builder->errors, error, "first defined at line %u",
                          sorted[i - 1]->item->node->place.line);
    }
}

static int compare_to_name(const void *name, const void *element)
{
    const struct config_upstream *const *upstream = element;
    return slice_compare(*(const struct slice *)name, (*upstream)->name);
}

static void report_reference(struct builder *builder, const struct config_reference *reference)
{
    const struct config *config = builder->config;
    struct slice name = reference->word->text;
    struct config_suggest suggest = config_suggest_start(name);
    for (size_t i = 0; i < config->upstreams_count; i++)
        config_suggest_try(&suggest, config->upstreams[i].name);
    struct config_error *error =
        CONFIG_REPORT(builder->errors, CONFIG_REFERENCE, reference->word->place,
                      slice_from_cstring(reference->kind), name);
    error->suggestion = suggest.best;
    for (size_t i = 0; i < config->upstreams_count; i++) {
        const struct config_upstream *upstream = &config->upstreams[i];
        if (suggest.best.size > 0 && slice_equal(upstream->name, suggest.best)) {
            config_error_note(builder->errors, error, "did you mean \"%.*s\"? (defined at line %u)",
                              SLICE_ARG(suggest.best), upstream->item->node->place.line);
            return;
        }
    }
    if (slice_find(name, '.') < name.size || slice_equal(name, SLICE("localhost")))
        config_error_note(builder->errors, error, "an address needs a port: %.*s:80",
                          SLICE_ARG(name));
    else
        config_error_note(builder->errors, error, "define it: upstream %.*s { server HOST:PORT }",
                          SLICE_ARG(name));
}

void config_check_references(struct builder *builder)
{
    struct config *config = builder->config;
    const struct config_upstream **sorted = sorted_names(builder);
    bool *is_used = arena_zero(builder->arena, config->upstreams_count + 1);
    for (const struct config_reference *reference = builder->decoder->references; reference != NULL;
         reference = reference->next) {
        const struct config_upstream *const *found =
            config->upstreams_count == 0
                ? NULL
                : bsearch(&reference->word->text, sorted, config->upstreams_count, sizeof(*sorted),
                          compare_to_name);
        if (found != NULL)
            is_used[*found - config->upstreams] = true;
        else
            report_reference(builder, reference);
    }
    for (size_t i = 0; i < config->upstreams_count; i++)
        if (!is_used[i] && config->upstreams[i].name.size > 0 && builder->errors->errors == 0)
            CONFIG_REPORT(builder->errors, CONFIG_UNUSED, config->upstreams[i].item->node->place,
                          config->upstreams[i].name);
}
