/* SPDX-License-Identifier: Apache-2.0 */
/* redirect_path FROM TO: sends clients elsewhere who ask for one path, and lets the others go on.
 */
#include "exchange/exchange.h"
#include "exchange/path_rule.h"
#include "exchange/redirecting.h"

struct redirect_path_config {
    struct path_rule rule;
    int64_t status;
    bool drops_query;
};

static const struct option ARGUMENTS[] = {
    PATH_RULE_ARGUMENTS(struct redirect_path_config, rule,
                        "The Location; $1 to $9 are the parts of a regular expression, $1 of a "
                        "prefix is what follows it."),
    {0},
};

static const struct option OPTIONS[] = {
    {.name = "status",
     .type = OPTION_STATUS,
     .standard = "302",
     .min = 301,
     .max = 308,
     .offset = offsetof(struct redirect_path_config, status),
     .doc = "301, 302, 303, 307 or 308."},
    {.name = "drop_query",
     .type = OPTION_FLAG,
     .offset = offsetof(struct redirect_path_config, drops_query),
     .doc = "The query is left out; else it goes along unless the new address has one."},
    {0},
};

static const struct key key_redirect_path = {
    .name = "redirect_path",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_MANY,
    .arguments = ARGUMENTS,
    .options = OPTIONS,
    .config_size = sizeof(struct redirect_path_config),
    .doc = "Redirects clients that ask for a path, and lets all others go on.",
    .example = "redirect_path ~^/blog/([0-9]+)/(.*)$ /posts/$1-$2 status=301",
    .since = "0.1",
};

static enum status prepare(void *config, struct prepare *p)
{
    struct redirect_path_config *c = config;
    bool is_good = redirecting_prepare(c->status, p);
    return path_rule_prepare(&c->rule, p) && is_good ? OK : ERR_CONFIG;
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct redirect_path_config *c = config;
    struct slice query = x->request.head.query;
    struct slice to;
    bool has_query;
    enum verdict verdict =
        path_rule_apply(&c->rule, x, x->request.path, key_redirect_path.name, &to, &has_query);
    if (verdict != ANSWERED)
        return verdict;
    if (!c->drops_query && query.size > 0 && !has_query)
        to = arena_format(&x->arena, "%.*s?%.*s", SLICE_ARG(to), SLICE_ARG(query));
    return redirecting_answer(x, c->status, c->rule.to, to);
}

const struct step step_redirect_path = {
    .key = &key_redirect_path,
    .prepare = prepare,
    .on_request = on_request,
};
