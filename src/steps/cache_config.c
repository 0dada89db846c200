/* SPDX-License-Identifier: Apache-2.0 */
/* The words of the step `cache`. */
#include "base/clock.h"
#include "steps/cache_inside.h"

static const struct option ARGUMENTS[] = {
    {.name = "store",
     .type = OPTION_NAME,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct cache_config, name),
     .doc = "The name of a cache block."},
    {0},
};

static const struct option OPTIONS[] = {
    {.name = "ttl",
     .type = OPTION_DURATION,
     .flags = OPTION_MAY_BE_OFF,
     .standard = "off",
     .min = 0,
     .max = SECONDS(INT32_MAX),
     .offset = offsetof(struct cache_config, ttl),
     .doc = "How long answers are good that do not say so themselves; off: as RFC 9111 guesses by "
            "Last-Modified."},
    {.name = "stale",
     .type = OPTION_DURATION,
     .standard = "0s",
     .min = 0,
     .max = SECONDS(INT32_MAX),
     .offset = offsetof(struct cache_config, stale),
     .doc = "How long after that they are served still while they are fetched anew, unless they "
            "say so themselves (stale-while-revalidate)."},
    {.name = "stale_if_error",
     .type = OPTION_DURATION,
     .standard = "60s",
     .min = 0,
     .max = SECONDS(INT32_MAX),
     .offset = offsetof(struct cache_config, stale_if_error),
     .doc = "How long after that they stand in for a server that fails or cannot be reached, "
            "unless they say so themselves."},
    {.name = "ignore",
     .type = OPTION_NAME,
     .flags = OPTION_MANY,
     .offset = offsetof(struct cache_config, ignore),
     .doc = "What does not count: control (what servers say: ttl holds for everything), client "
            "(what requests say), cookie (Set-Cookie and Vary: Cookie; cookies are not stored), "
            "query (is no part of the key)."},
    {.name = "methods",
     .type = OPTION_METHOD,
     .flags = OPTION_MANY,
     .standard = "GET,HEAD",
     .offset = offsetof(struct cache_config, methods),
     .doc = "GET, HEAD, QUERY: which are answered from the cache. Of QUERY the body is part of the "
            "key (RFC 10008), up to 16 KiB."},
    {.name = "bypass",
     .type = OPTION_TEMPLATE,
     .offset = offsetof(struct cache_config, bypass),
     .doc = "Requests for which this is neither empty nor 0 go by: bypass={cookie.session}."},
    {.name = "key",
     .type = OPTION_TEMPLATE,
     .offset = offsetof(struct cache_config, key),
     .doc = "What tells answers apart, in place of the block's key."},
    {.name = "slice",
     .type = OPTION_SIZE,
     .flags = OPTION_MAY_BE_OFF,
     .standard = "off",
     .min = 64 * 1024,
     .max = INT64_C(1) << 30,
     .offset = offsetof(struct cache_config, slice),
     .doc = "Large bodies are fetched and stored in parts of that size, as they are asked for; "
            "servers that give no parts, or none that can be told from those of another version, "
            "are asked for the whole."},
    {.name = "errors",
     .type = OPTION_BOOL,
     .standard = "off",
     .offset = offsetof(struct cache_config, keeps_errors),
     .doc = "on: errors are stored too where RFC 9111 allows it; off: of those only 404 and 410 "
            "that say for how long."},
    {0},
};

const struct key cache_key = {
    .name = "cache",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_OFF,
    .arguments = ARGUMENTS,
    .options = OPTIONS,
    .config_size = sizeof(struct cache_config),
    .doc = "Answers from a cache (RFC 9111), fetches once for all who wait, and serves what is "
           "stale while it is fetched anew or in place of an error. Steps before it run for every "
           "request, those behind it for what is fetched.",
    .example = "cache pages ttl=5m stale=30s",
    .since = "0.1",
};

static bool prepare_ignore(struct cache_config *c, struct prepare *p)
{
    for (size_t i = 0; i < c->ignore.count; i++) {
        struct slice word = c->ignore.items[i];
        if (slice_equal(word, SLICE("control")))
            c->policy.ignores_control = true;
        else if (slice_equal(word, SLICE("client")))
            c->policy.ignores_client = true;
        else if (slice_equal(word, SLICE("cookie")))
            c->policy.ignores_cookies = true;
        else if (slice_equal(word, SLICE("query")))
            c->ignores_query = true;
        else {
            p->error(p, "ignore",
                     "\"%.*s\" cannot be ignored; there are control, client, cookie "
                     "and query",
                     SLICE_ARG(word));
            return false;
        }
    }
    if (c->policy.ignores_control && c->ttl == CLOCK_NEVER) {
        p->error(p, "ignore", "without what servers say, ttl= must say how long answers are good");
        return false;
    }
    return true;
}

static bool prepare_methods(struct cache_config *c, struct prepare *p)
{
    for (size_t i = 0; i < c->methods.count; i++) {
        enum method method = method_of(c->methods.items[i]);
        if (method == METHOD_HEAD)
            c->has_head = true;
        else if (method == METHOD_QUERY)
            c->has_query_method = true;
        else if (method != METHOD_GET) {
            p->error(p, "methods", "answers to %.*s are not stored; there are GET, HEAD and QUERY",
                     SLICE_ARG(c->methods.items[i]));
            return false;
        }
    }
    return true;
}

enum status cache_prepare(void *config, struct prepare *p)
{
    struct cache_config *c = config;
    struct slice key = c->key;
    c->policy.ttl = c->ttl == CLOCK_NEVER ? -1 : c->ttl;
    c->policy.stale = c->stale;
    c->policy.stale_if_error = c->stale_if_error;
    c->policy.keeps_errors = c->keeps_errors;
    if (!prepare_ignore(c, p) || !prepare_methods(c, p))
        return ERR_CONFIG;
    struct slice standard_key = SLICE("");
    bool is_there = p->find_cache(p, c->name, &c->cache, &standard_key);
    if (!is_there)
        return ERR_CONFIG;
    if (key.size == 0)
        key = standard_key;
    if (key.size > 0 && (c->key_template = p->compile_template(p, "key", key)) == NULL)
        return ERR_CONFIG;
    if (c->bypass.size > 0 &&
        (c->bypass_template = p->compile_template(p, "bypass", c->bypass)) == NULL)
        return ERR_CONFIG;
    return OK;
}
