/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions of routes, and routes that stand in each other's way. */
#include "base/check.h"
#include "control/config_build.h"

#include <stdlib.h>

/* Reads a word again as what this kind of condition takes. */
static void check_word(struct builder *builder, enum option_type type, const char *label,
                       const struct config_word *word)
{
    const struct option option = {.name = label, .type = type};
    struct slice unused;
    check(config_value_size(&option) == sizeof(unused));
    (void)config_value_read(builder->decoder, &option, label, word, &unused);
}

static void check_value(struct builder *builder, const struct config_word *word)
{
    if (word->text.size > 1 && word->text.data[0] == '~' && !word->is_quoted) {
        struct config_word *pattern = arena_alloc(builder->arena, sizeof(*pattern));
        *pattern = *word;
        pattern->text = slice_from(word->text, 1);
        check_word(builder, OPTION_REGEX, "match", pattern);
    }
}

/* Whether its words are values, one of which is enough. */
static bool is_list_of(const struct match_line_config *match)
{
    return match->kind == MATCH_METHOD || match->kind == MATCH_CLIENT ||
           match->kind == MATCH_LANGUAGE;
}

void config_check_match(struct builder *builder, const struct config_item *item)
{
    const struct match_line_config *match = item->config;
    const struct config_node *node = item->node;
    if (match->values.count == 0)
        return;
    bool is_list = is_list_of(match);
    enum option_type type = match->kind == MATCH_METHOD     ? OPTION_METHOD
                            : match->kind == MATCH_CLIENT   ? OPTION_CIDR
                            : match->kind == MATCH_LANGUAGE ? OPTION_NAME
                            : match->kind == MATCH_QUERY    ? OPTION_STRING
                                                            : OPTION_FIELD;
    for (size_t i = 1; i < node->values_count; i++) {
        if (is_list || i == 1)
            check_word(builder, type, "match", &node->values[i]);
        else if (i == 2)
            check_value(builder, &node->values[i]);
        else
            CONFIG_REPORT(builder->errors, CONFIG_ARGUMENT_EXTRA, node->values[i].place,
                          node->values[i].text, node->name);
    }
}

/* A route and what its choice depends on, as one text: equal texts are equal routes. */
struct signature {
    struct slice text;
    const struct config_route *route;
};

static int compare_slices(const void *left, const void *right)
{
    return slice_compare(*(const struct slice *)left, *(const struct slice *)right);
}

static int compare_signatures(const void *left, const void *right)
{
    const struct signature *a = left;
    const struct signature *b = right;
    int order = slice_compare(a->text, b->text);
    return order != 0 ? order : a->route->order < b->route->order ? -1 : 1;
}

static struct slice match_text(struct arena *arena, const struct config_item *item)
{
    const struct match_line_config *match = item->config;
    struct buffer out = buffer_in(arena, 64);
    struct slice *values = arena_alloc(arena, (match->values.count + 1) * sizeof(*values));
    for (size_t i = 0; i < match->values.count; i++)
        values[i] = match->values.items[i];
    if (is_list_of(match))
        qsort(values, match->values.count, sizeof(*values), compare_slices);
    buffer_append_byte(&out, (char)('0' + match->kind));
    for (size_t i = 0; i < match->values.count; i++) {
        buffer_append_byte(&out, '\1'); /* no value holds it */
        buffer_append(&out, values[i]);
    }
    return buffer_slice(&out);
}

static struct slice route_text(struct arena *arena, const struct config_route *route)
{
    struct buffer out = buffer_in(arena, 64);
    struct slice *parts = arena_alloc(arena, (route->matches_count + 1) * sizeof(*parts));
    for (size_t i = 0; i < route->matches_count; i++)
        parts[i] = match_text(arena, route->matches[i]);
    qsort(parts, route->matches_count, sizeof(*parts), compare_slices);
    buffer_append(&out, route->pattern);
    for (size_t i = 0; i < route->matches_count; i++) {
        buffer_append_byte(&out, '\2');
        buffer_append(&out, parts[i]);
    }
    return buffer_slice(&out);
}

static void check_equal(struct builder *builder, const struct config_site *site)
{
    struct signature *signatures =
        arena_alloc(builder->arena, (site->routes_count + 1) * sizeof(*signatures));
    size_t count = 0;
    for (size_t i = 0; i < site->routes_count; i++)
        if (!site->routes[i].is_fallback && site->routes[i].pattern.size > 0)
            signatures[count++] =
                (struct signature){route_text(builder->arena, &site->routes[i]), &site->routes[i]};
    qsort(signatures, count, sizeof(*signatures), compare_signatures);
    for (size_t i = 1; i < count; i++) {
        if (!slice_equal(signatures[i].text, signatures[i - 1].text))
            continue;
        const struct config_route *route = signatures[i].route;
        struct config_error *error =
            CONFIG_REPORT(builder->errors, CONFIG_ROUTE_TWICE, route->item->node->values[0].place,
                          route->pattern);
        config_error_note(builder->errors, error, "first written at line %u",
                          signatures[i - 1].route->item->node->place.line);
    }
}

static const struct config_route *find_plain(const struct config_site *site, struct slice pattern)
{
    for (size_t i = 0; i < site->routes_count; i++) {
        const struct config_route *route = &site->routes[i];
        if (!route->is_fallback && route->matches_count == 0 &&
            slice_equal(route->pattern, pattern))
            return route;
    }
    return NULL;
}

static void check_catch_all(struct builder *builder, const struct config_site *site,
                            const struct config_route *everything)
{
    const struct config_route *last = &site->routes[site->routes_count - 1];
    if (last->is_fallback) {
        struct config_error *error = CONFIG_REPORT(builder->errors, CONFIG_ANSWER_TWICE,
                                                   last->item->node->place, last->item->node->name);
        config_error_note(builder->errors, error, "remove it, or the route at line %u",
                          everything->item->node->place.line);
    }
    for (size_t i = 0; i < site->routes_count; i++) {
        const struct config_route *route = &site->routes[i];
        if (!slice_starts(route->pattern, SLICE("~")))
            continue;
        struct config_error *error = CONFIG_REPORT(
            builder->errors, CONFIG_SHADOWED, route->item->node->values[0].place, route->pattern);
        config_error_note(builder->errors, error, "route /* at line %u comes before it",
                          everything->item->node->place.line);
        config_error_help(builder->errors, error,
                          "prefixes come before regular expressions; an answer of the site, in "
                          "place of route /*, comes last");
    }
}

void config_check_routes(struct builder *builder, const struct config_site *site)
{
    check_equal(builder, site);
    const struct config_route *everything = find_plain(site, SLICE("/*"));
    const struct config_route *root = find_plain(site, SLICE("/"));
    if (everything != NULL)
        check_catch_all(builder, site, everything);
    bool is_alone =
        root != NULL && everything == NULL && !site->routes[site->routes_count - 1].is_fallback;
    if (is_alone)
        CONFIG_REPORT(builder->errors, CONFIG_ROOT_ALONE, root->item->node->values[0].place);
}
