/* SPDX-License-Identifier: Apache-2.0 */
/* Overrides beside a configuration: which still stand, and what both together say. */
#include "control/overrides.h"

#include "control/config_json.h"

static const struct config_upstream *find_upstream(const struct config *config, struct slice name)
{
    for (size_t i = 0; i < config->upstreams_count; i++)
        if (slice_equal(config->upstreams[i].name, name))
            return &config->upstreams[i];
    return NULL;
}

struct slice override_server_name(const struct config_item *server)
{
    const struct server_line_config *line = server->config;
    return line->name.size > 0 ? line->name : line->address;
}

struct slice override_line_of(const struct server_line_config *line, struct arena *arena)
{
    struct config_word address = {.text = line->address, .template = line->address};
    struct buffer out = buffer_in(arena, 128);
    buffer_append(&out, SLICE("server "));
    config_word_write(&address, &out);
    if (line->name.size > 0)
        buffer_format(&out, " name=%.*s", SLICE_ARG(line->name));
    if (line->weight != 1)
        buffer_format(&out, " weight=%lld", (long long)line->weight);
    if (line->max_conns > 0)
        buffer_format(&out, " max_conns=%lld", (long long)line->max_conns);
    if (line->priority > 0)
        buffer_format(&out, " priority=%lld", (long long)line->priority);
    if (line->resolve == RESOLVE_ONE)
        buffer_append(&out, SLICE(" resolve=one"));
    if (line->backup)
        buffer_append(&out, SLICE(" backup"));
    if (line->down)
        buffer_append(&out, SLICE(" down"));
    return buffer_slice(&out);
}

bool override_line(const struct config *config, struct slice upstream, struct slice server,
                   struct arena *arena, struct slice *line)
{
    const struct config_upstream *found = find_upstream(config, upstream);
    *line = SLICE("");
    for (size_t i = 0; found != NULL && i < found->servers_count; i++)
        if (slice_equal(override_server_name(found->servers[i]), server))
            *line = override_line_of(found->servers[i]->config, arena);
    return found != NULL;
}

void overrides_reconcile(struct overrides *overrides, const struct config *config,
                         void (*dropped)(const struct override *entry, void *argument),
                         void *argument)
{
    for (size_t i = 0; i < overrides->count;) {
        struct override *entry = &overrides->items[i];
        struct arena arena;
        struct slice line;
        arena_init(&arena, NULL, 0);
        bool stands = override_line(config, entry->upstream, entry->server, &arena, &line) &&
                      slice_equal(line, entry->was);
        arena_done(&arena);
        if (stands) {
            i++;
            continue;
        }
        if (dropped != NULL)
            dropped(entry, argument);
        overrides_remove(overrides, entry);
    }
}

/* The item of a server line that was added; NULL: it is none. */
static const struct config_item *read_line(const struct override *entry, struct arena *arena,
                                           struct config_errors *errors)
{
    size_t before = errors->errors;
    struct slice text = arena_format(arena, "upstream added {\n%.*s\n}\n", SLICE_ARG(entry->line));
    struct config_tree *tree = config_tree_new(arena, errors, &CONFIG_SYSTEM);
    config_tree_parse(tree, SLICE("overrides"), text);
    struct config_decoder decoder = {.arena = arena, .errors = errors, .schema = config_schema()};
    struct config_block top;
    config_decode(&decoder, tree, &top);
    const struct config_item *upstream = config_block_find(&top, "upstream", 0);
    const struct config_item *server = upstream == NULL || upstream->block == NULL
                                           ? NULL
                                           : config_block_find(upstream->block, "server", 0);
    return errors->errors == before ? server : NULL;
}

static bool is_removed(const struct overrides *overrides, struct slice upstream,
                       const struct config_item *server)
{
    const struct override *entry =
        overrides_find(overrides, upstream, override_server_name(server));
    return entry != NULL && entry->is_removed;
}

static void apply_to(const struct overrides *overrides, struct config_upstream *upstream,
                     struct arena *arena, struct config_errors *errors)
{
    const struct config_item **servers =
        arena_alloc(arena, (upstream->servers_count + overrides->count + 1) * sizeof *servers);
    size_t count = 0;
    for (size_t i = 0; i < upstream->servers_count; i++)
        if (!is_removed(overrides, upstream->name, upstream->servers[i]))
            servers[count++] = upstream->servers[i];
    for (size_t i = 0; i < overrides->count; i++) {
        const struct override *entry = &overrides->items[i];
        if (entry->line.size == 0 || !slice_equal(entry->upstream, upstream->name))
            continue;
        const struct config_item *server = read_line(entry, arena, errors);
        if (server != NULL)
            servers[count++] = server;
    }
    /* An upstream has a server: one whose last was removed keeps those that it had. */
    if (count + upstream->discovers_count == 0)
        return;
    upstream->servers = servers;
    upstream->servers_count = count;
}

const struct config *overrides_apply(const struct overrides *overrides, const struct config *config,
                                     struct arena *arena, struct config_errors *errors)
{
    if (overrides->count == 0)
        return config;
    struct config *both = arena_alloc(arena, sizeof *both);
    struct config_upstream *upstreams =
        arena_alloc(arena, (config->upstreams_count + 1) * sizeof *upstreams);
    *both = *config;
    both->upstreams = upstreams;
    for (size_t i = 0; i < config->upstreams_count; i++) {
        upstreams[i] = config->upstreams[i];
        apply_to(overrides, &upstreams[i], arena, errors);
    }
    return both;
}

void overrides_settings(const struct overrides *overrides, struct slice upstream,
                        struct arena *arena, struct upstream_setting **settings, size_t *count)
{
    *settings = arena_alloc(arena, (overrides->count + 1) * sizeof **settings);
    *count = 0;
    for (size_t i = 0; i < overrides->count; i++) {
        const struct override *entry = &overrides->items[i];
        if (slice_equal(entry->upstream, upstream) &&
            (entry->state != SERVER_ADMIN_NONE || entry->weight > 0))
            (*settings)[(*count)++] =
                (struct upstream_setting){entry->server, entry->state, entry->weight};
    }
}

/* The line as it would be with what was set. */
static void write_line(const struct override *entry, struct arena *arena, struct buffer *out)
{
    struct override whole = *entry;
    struct config_errors errors;
    config_errors_init(&errors, arena);
    if (whole.line.size == 0)
        whole.line = entry->was;
    const struct config_item *item = read_line(&whole, arena, &errors);
    if (item == NULL)
        return;
    struct server_line_config line = *(const struct server_line_config *)item->config;
    if (entry->weight > 0)
        line.weight = entry->weight;
    if (entry->state != SERVER_ADMIN_NONE)
        line.down = entry->state != SERVER_ADMIN_UP;
    struct slice text = override_line_of(&line, arena);
    buffer_format(out, "    %.*s%s\n", SLICE_ARG(text),
                  entry->state == SERVER_ADMIN_DRAIN ? "   # it drains now" : "");
}

void overrides_as_config(const struct overrides *overrides, struct arena *arena, struct buffer *out)
{
    for (size_t i = 0; i < overrides->count; i++) {
        const struct override *entry = &overrides->items[i];
        buffer_format(out, "# upstream %.*s\n", SLICE_ARG(entry->upstream));
        if (entry->is_removed)
            buffer_format(out, "    # without: %.*s\n", SLICE_ARG(entry->was));
        else if (entry->line.size == 0 && entry->was.size == 0)
            buffer_format(out, "    # %.*s was discovered: no line is its own\n",
                          SLICE_ARG(entry->server));
        else
            write_line(entry, arena, out);
    }
}
