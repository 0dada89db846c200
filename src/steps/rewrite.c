/* SPDX-License-Identifier: Apache-2.0 */
/* rewrite FROM TO: another path for the server; what routing and access rules saw stays as it was.
 */
#include "exchange/exchange.h"
#include "exchange/path_rule.h"

struct rewrite_config {
    struct path_rule rule;
};

static const struct option ARGUMENTS[] = {
    PATH_RULE_ARGUMENTS(struct rewrite_config, rule,
                        "The new path; $1 to $9 are the parts of a regular expression, $1 of a "
                        "prefix is what follows it. The query stays unless the new path has one."),
    {0},
};

static const struct key key_rewrite = {
    .name = "rewrite",
    .contexts = IN_SITE | IN_ROUTE,
    .flags = KEY_STEP | KEY_MANY,
    .arguments = ARGUMENTS,
    .config_size = sizeof(struct rewrite_config),
    .doc = "Changes the path that is sent to the server.",
    .example = "rewrite ~^/user/([0-9]+)$ /profile?id=$1",
    .since = "0.1",
};

static enum status prepare(void *config, struct prepare *p)
{
    struct rewrite_config *c = config;
    return path_rule_prepare(&c->rule, p) ? OK : ERR_CONFIG;
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct rewrite_config *c = config;
    struct slice target = x->request.target;
    size_t mark = slice_find(target, '?');
    struct slice to;
    bool has_query;
    enum verdict verdict =
        path_rule_apply(&c->rule, x, slice_first(target, mark), key_rewrite.name, &to, &has_query);
    if (verdict != ANSWERED)
        return verdict;
    struct slice query = has_query ? SLICE("") : slice_from(target, mark);
    bool is_path = slice_starts(to, SLICE("/"));
    to = arena_format(&x->arena, "%s%.*s%.*s", is_path ? "" : "/", SLICE_ARG(to), SLICE_ARG(query));
    x->request.target = uri_encode(to, &x->arena);
    return NEXT;
}

const struct step step_rewrite = {
    .key = &key_rewrite,
    .prepare = prepare,
    .on_request = on_request,
};
