/* SPDX-License-Identifier: Apache-2.0 */
#include "control/config.h"

#include "control/config_build.h"
#include "control/config_json.h"

static void check_version(struct builder *builder)
{
    const struct config_item *item = config_block_find(&builder->config->top, "config_version", 0);
    if (item == NULL || item->node->values_count == 0)
        return;
    const struct number_config *version = item->config;
    if (version->number > 1)
        CONFIG_REPORT(builder->errors, CONFIG_VERSION, item->node->values[0].place,
                      item->node->values[0].text);
}

static void build_resolver(struct builder *builder)
{
    struct config *config = builder->config;
    config->resolver = *(const struct resolver_keys_config *)config_value_of(builder, &config->top,
                                                                             IN_TOP, "resolver");
    const struct config_item *item = config_block_find(&config->top, "resolver", 0);
    if (item == NULL)
        return;
    for (size_t i = 0; i < item->node->values_count; i++) {
        const struct config_word *word = &item->node->values[i];
        struct address address;
        bool is_system = slice_equal(word->text, SLICE("system"));
        if (is_system && item->node->values_count == 1)
            config->resolver.servers.count = 0;
        else if (!address_parse_ip(word->text, &address) &&
                 !address_parse(word->text, 53, &address))
            CONFIG_REPORT(builder->errors, CONFIG_ADDRESS, word->place, word->text,
                          SLICE("a name server is written as an IP address, or system alone"));
    }
    if (config->resolver.ttl_min > config->resolver.ttl_max)
        CONFIG_REPORT(builder->errors, CONFIG_RANGE, item->node->place, SLICE("min above max"),
                      SLICE("resolver"));
}

static void build_proxies(struct builder *builder)
{
    struct config *config = builder->config;
    config->trusted_proxies = *(const struct proxies_config *)config_value_of(
        builder, &config->top, IN_TOP, "trusted_proxies");
    const struct config_item *item = config_block_find(&config->top, "trusted_proxies", 0);
    for (size_t i = 0; item != NULL && i < item->node->values_count; i++)
        if (slice_ends(item->node->values[i].text, SLICE("/0")))
            CONFIG_REPORT(builder->errors, CONFIG_TRUST_ALL, item->node->values[i].place,
                          item->node->values[i].text);
}

/* The field that carries the id has no other meaning. */
static void build_id(struct builder *builder)
{
    const struct config_item *item = config_block_find(&builder->config->top, "request_id", 0);
    if (item == NULL)
        return;
    struct slice name = ((const struct name_config *)item->config)->name;
    enum field_id id = field_id_of(name);
    if (id == FIELD_OTHER)
        builder->config->id_name = name;
    else if (id != FIELD_X_REQUEST_ID)
        CONFIG_REPORT(builder->errors, CONFIG_ID_NAME, item->node->values[0].place, name);
}

static void build_top(struct builder *builder)
{
    struct config *config = builder->config;
    const struct config_block *top = &config->top;
    const struct config_item *user = config_block_find(top, "user", 0);
    const struct config_item *group = config_block_find(top, "group", 0);
    const struct config_item *defaults = config_block_find(top, "defaults", 0);
    builder->defaults = defaults == NULL ? NULL : defaults->block;
    if (user != NULL)
        config->user = ((const struct name_config *)user->config)->name;
    if (group != NULL)
        config->group = ((const struct name_config *)group->config)->name;
    config->fibers_max =
        ((const struct number_config *)config_value_of(builder, top, IN_TOP, "fibers_max"))->number;
    config->metrics_series_max =
        ((const struct metrics_config *)config_value_of(builder, top, IN_TOP, "metrics"))
            ->max_series;
    config->core_dumps =
        ((const struct switch_config *)config_value_of(builder, top, IN_TOP, "core_dumps"))->is_on;
    config->is_api =
        ((const struct word_choice_config *)config_value_of(builder, top, IN_TOP, "config"))
            ->choice == 1;
    config->workers =
        ((const struct number_config *)config_value_of(builder, top, IN_TOP, "workers"))->number;
    config->timeouts = *(const struct timeouts *)config_value_of(builder, top, IN_TOP, "timeouts");
    config->limits = *(const struct limits *)config_value_of(builder, top, IN_TOP, "limits");
    check_version(builder);
    config_build_logs(builder);
    build_resolver(builder);
    build_proxies(builder);
    build_id(builder);
}

const struct config_item **config_items(struct arena *arena, const struct config_block *block,
                                        const char *name, size_t *count)
{
    const struct config_item **items = arena_alloc(arena, (block->count + 1) * sizeof(*items));
    *count = 0;
    for (const struct config_item *item = block->first; item != NULL; item = item->next)
        if (strcmp(item->key->name, name) == 0)
            items[(*count)++] = item;
    return items;
}

const void *config_value_of(struct builder *builder, const struct config_block *block,
                            unsigned context, const char *name)
{
    const struct config_item *item = config_block_find(block, name, 0);
    if (item != NULL)
        return item->config;
    const struct config_schema *schema = builder->decoder->schema;
    const struct key *key = config_key_find(schema, context, slice_from_cstring(name));
    return config_key_defaults(schema, key, builder->arena);
}

struct config_tree *config_load_tree(const struct config_request *request, struct arena *arena,
                                     struct config_errors *errors)
{
    const struct config_source *source = request->source == NULL ? &CONFIG_SYSTEM : request->source;
    const struct config_schema *schema =
        request->schema == NULL ? config_schema() : request->schema;
    struct config_tree *tree = config_tree_new(arena, errors, source);
    bool is_json =
        request->is_json || (!request->is_text && slice_ends(request->path, SLICE(".json")));
    if (is_json && request->has_text)
        config_json_parse(tree, schema, request->path, request->text);
    else if (is_json)
        config_json_read(tree, schema, request->path);
    else if (request->has_text)
        config_tree_parse(tree, request->path, request->text);
    else
        config_tree_read(tree, request->path);
    return tree;
}

const struct config *config_load(const struct config_request *request, struct arena *arena,
                                 struct config_errors *errors)
{
    struct config_tree *tree = config_load_tree(request, arena, errors);
    struct config *config = arena_zero(arena, sizeof(*config));
    config->file = tree->file;
    config->root = tree->root;
    struct config_decoder decoder = {
        .arena = arena,
        .errors = errors,
        .schema = request->schema == NULL ? config_schema() : request->schema,
    };
    struct builder builder = {
        .arena = arena,
        .errors = errors,
        .decoder = &decoder,
        .config = config,
        .check_files = request->check_files,
        .source = tree->source,
    };
    if (!tree->is_broken) {
        config_decode(&decoder, tree, &config->top);
        build_top(&builder);
        config_build_upstreams(&builder);
        config_build_caches(&builder);
        config_build_sites(&builder);
        config_build_listens(&builder);
        config_build_admin(&builder);
        config_check_references(&builder);
        if (request->check_files)
            config_check_files(&builder);
    }
    config_errors_sort(errors);
    return config;
}

void config_report_step(struct config_errors *errors, const struct config_item *item,
                        const char *option, struct slice message)
{
    const struct config_node *node = item->node;
    struct config_place place = node->place;
    struct slice name = slice_from_cstring(option);
    for (size_t i = 0; i < node->options_count; i++)
        if (name.size > 0 && slice_equal(node->options[i].name.text, name))
            place = node->options[i].value.place;
    for (const struct config_node *child = node->children; child != NULL; child = child->next)
        if (name.size > 0 && slice_equal(child->name, name))
            place = child->values_count > 0 ? child->values[0].place : child->place;
    for (size_t i = 0; i < config_options_count(item->key->arguments); i++)
        if (slice_equal(slice_from_cstring(item->key->arguments[i].name), name) &&
            i < node->values_count)
            place = node->values[i].place;
    CONFIG_REPORT(errors, CONFIG_STEP, place, message);
}

struct slice config_item_at(struct arena *arena, const struct config_item *item)
{
    const struct config_place *place = &item->node->place;
    if (place->file == NULL)
        return SLICE("");
    return arena_format(arena, "%.*s:%u", SLICE_ARG(place->file->name), place->line);
}

struct slice config_item_directory(const struct config_item *item)
{
    const struct config_file *file = item->node->place.file;
    struct slice path = file == NULL ? SLICE("") : file->path;
    while (path.size > 0 && path.data[path.size - 1] != '/')
        path.size--;
    return path;
}
