/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/route.h"

#include "exchange/cidr.h"

#include <stdlib.h>

static size_t count_matches(const struct route *route, enum match_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < route->matches_count; i++)
        count += route->matches[i].kind == kind;
    return count;
}

/* Cookies and languages are fields too. */
static size_t count_headers(const struct route *route)
{
    return count_matches(route, MATCH_HEADER) + count_matches(route, MATCH_COOKIE) +
           count_matches(route, MATCH_LANGUAGE);
}

static int compare(size_t more_first, size_t other)
{
    return more_first > other ? -1 : more_first < other;
}

/* Gateway API: exact, longest prefix, regular expression; then method, number of headers, of query
 * parameters; a client's address; then the order of the file. The site's own answer (order
 * SIZE_MAX) is behind all of them. */
static int by_precedence(const void *left, const void *right)
{
    const struct route *a = left;
    const struct route *b = right;
    int order = 0;
    if ((a->order == SIZE_MAX) != (b->order == SIZE_MAX)) /* the site's own answer */
        return a->order == SIZE_MAX ? 1 : -1;
    if (a->is_fallback != b->is_fallback)
        return a->is_fallback ? 1 : -1;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->kind == ROUTE_PREFIX)
        order = compare(a->path.size, b->path.size);
    if (order == 0)
        order = compare(count_matches(a, MATCH_METHOD), count_matches(b, MATCH_METHOD));
    if (order == 0)
        order = compare(count_headers(a), count_headers(b));
    if (order == 0)
        order = compare(count_matches(a, MATCH_QUERY), count_matches(b, MATCH_QUERY));
    if (order == 0)
        order = compare(count_matches(a, MATCH_CLIENT), count_matches(b, MATCH_CLIENT));
    if (order == 0)
        order = a->order < b->order ? -1 : 1;
    return order;
}

void routes_sort(struct route *routes, size_t count)
{
    qsort(routes, count, sizeof *routes, by_precedence);
}

/* The value of a query parameter, as it stands; false: not there. */
static bool find_parameter(struct slice query, struct slice name, struct slice *value)
{
    while (query.size > 0) {
        size_t end = slice_find(query, '&');
        struct slice pair = slice_first(query, end);
        size_t equals = slice_find(pair, '=');
        if (slice_equal(slice_first(pair, equals), name)) {
            *value = slice_from(pair, equals + 1);
            return true;
        }
        query = slice_from(query, end + 1);
    }
    return false;
}

bool cookie_find(const struct fields *fields, struct slice name, struct slice *value)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        if (fields->items[i].id != FIELD_COOKIE)
            continue;
        struct slice rest = fields->items[i].value;
        while (rest.size > 0) {
            size_t end = slice_find(rest, ';');
            struct slice pair = slice_trim(slice_first(rest, end));
            size_t equals = slice_find(pair, '=');
            if (equals < pair.size && slice_equal(slice_first(pair, equals), name)) {
                *value = slice_from(pair, equals + 1);
                return true;
            }
            rest = slice_from(rest, end + 1);
        }
    }
    return false;
}

static bool value_holds(const struct match *match, struct slice value, bool *limit_hit)
{
    if (match->any_value)
        return true;
    if (match->regex == NULL)
        return slice_equal(value, match->value);
    enum regex_result result = regex_match(match->regex, value);
    *limit_hit = *limit_hit || result == REGEX_LIMIT;
    return result == REGEX_YES;
}

static bool header_holds(const struct match *match, const struct fields *fields, bool *limit_hit)
{
    for (uint32_t i = 0; i < fields->count; i++)
        if (slice_equal_nocase(fields->items[i].name, match->name) &&
            value_holds(match, fields->items[i].value, limit_hit))
            return true;
    return false;
}

/* The weight of "de-CH;q=0.8" in thousandths; 0 also for what is no weight. */
static unsigned language_weight(struct slice element, struct slice *tag)
{
    size_t end = slice_find(element, ';');
    struct slice parameter = slice_trim(slice_from(element, end + 1));
    *tag = slice_trim(slice_first(element, end));
    if (end == element.size)
        return 1000;
    if (!slice_starts_nocase(parameter, SLICE("q=")) || parameter.size < 3)
        return 0;
    unsigned weight = parameter.data[2] == '1' ? 1000 : 0;
    unsigned unit = 100;
    for (size_t i = 4; i < parameter.size && parameter.data[2] == '0'; i++, unit /= 10)
        weight += parameter.data[i] >= '0' && parameter.data[i] <= '9'
                      ? unit * (unsigned)(parameter.data[i] - '0')
                      : 0;
    return weight;
}

/* RFC 4647 §3.3.1: "de" is also "de-CH". */
static bool is_in_range(struct slice tag, struct slice range)
{
    return slice_starts_nocase(tag, range) &&
           (tag.size == range.size || tag.data[range.size] == '-');
}

/* Whether the language that the client likes best, of equal ones the first, is one of these. */
static bool language_holds(const struct match *match, const struct fields *fields)
{
    struct slice best = SLICE("");
    unsigned most = 0;
    for (uint32_t i = 0; i < fields->count; i++) {
        if (!slice_equal_nocase(fields->items[i].name, SLICE("Accept-Language")))
            continue;
        struct slice list = fields->items[i].value;
        struct slice element;
        while (slice_next_element(&list, &element)) {
            struct slice tag;
            unsigned weight = language_weight(element, &tag);
            if (weight > most && !slice_equal(tag, SLICE("*"))) {
                most = weight;
                best = tag;
            }
        }
    }
    for (size_t i = 0; most > 0 && i < match->count; i++)
        if (is_in_range(best, match->values[i]))
            return true;
    return false;
}

static bool match_holds(const struct match *match, const struct route_question *question,
                        bool *limit_hit)
{
    struct slice value;
    switch (match->kind) {
    case MATCH_METHOD:
        for (size_t i = 0; i < match->count; i++)
            if (slice_equal(match->values[i], question->method))
                return true;
        return false;
    case MATCH_HEADER:
        return header_holds(match, question->fields, limit_hit);
    case MATCH_QUERY:
        return find_parameter(question->query, match->name, &value) &&
               value_holds(match, value, limit_hit);
    case MATCH_COOKIE:
        return cookie_find(question->fields, match->name, &value) &&
               value_holds(match, value, limit_hit);
    case MATCH_CLIENT:
        return cidr_list_has(match->cidrs, match->count, question->client);
    case MATCH_LANGUAGE:
        return language_holds(match, question->fields);
    }
    return false;
}

static bool path_holds(const struct route *route, struct slice path, bool *limit_hit)
{
    enum regex_result result;
    switch (route->kind) {
    case ROUTE_EXACT:
        return slice_equal(route->path, path);
    case ROUTE_PREFIX:
        /* OPTIONS * is of whoever takes every path. */
        return slice_starts(path, route->path) &&
               (path.size == route->path.size || path.data[route->path.size] == '/' ||
                (route->path.size == 0 && slice_equal(path, SLICE("*"))));
    case ROUTE_REGEX:
        result = regex_match(route->regex, path);
        *limit_hit = *limit_hit || result == REGEX_LIMIT;
        return result == REGEX_YES;
    }
    return false;
}

const struct route *route_choose(const struct site *site, const struct route_question *question,
                                 bool *limit_hit)
{
    *limit_hit = false;
    for (size_t i = 0; i < site->routes_count && !*limit_hit; i++) {
        const struct route *route = &site->routes[i];
        bool holds = path_holds(route, question->path, limit_hit);
        for (size_t m = 0; holds && m < route->matches_count; m++)
            holds = match_holds(&route->matches[m], question, limit_hit);
        if (holds && !*limit_hit)
            return route;
    }
    return NULL;
}
