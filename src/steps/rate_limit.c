/* SPDX-License-Identifier: Apache-2.0 */
/* rate_limit RATE: how many requests of one client, or of whatever `by` says, may come. */
#include "base/clock.h"
#include "exchange/exchange.h"
#include "fiber/thread.h"
#include "limit/kept.h"
#include "limit/rate_table.h"
#include "steps/limit_key.h"

enum {
    KEYS = 1000000,
};

struct rate_limit_config {
    struct option_rate per;
    int64_t burst;
    struct slice by;
    struct slice name;
    bool is_delayed;
    bool is_dry_run;
    bool has_fields;
    int64_t keys;
    struct limit_key key;
    struct rate rate;
    struct rate_store *store;
    struct slice policy; /* value of RateLimit-Policy */
};

static const struct option ARGUMENTS[] = {
    {.name = "rate",
     .type = OPTION_RATE,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct rate_limit_config, per),
     .doc = "How many requests in which time: 20r/s, 100r/m, 10r/h."},
    {0},
};

static const struct option OPTIONS[] = {
    {.name = "burst",
     .type = OPTION_INT,
     .standard = "0",
     .min = 0,
     .max = 1000000,
     .offset = offsetof(struct rate_limit_config, burst),
     .doc = "How many requests beyond the rate may come at once."},
    {.name = "by",
     .type = OPTION_TEMPLATE,
     .standard = "{client_ip}",
     .offset = offsetof(struct rate_limit_config, by),
     .doc = "What is counted apart. An address of IPv6 stands for its /64; where it is empty the "
            "client's address counts."},
    {.name = "delay",
     .type = OPTION_BOOL,
     .standard = "off",
     .offset = offsetof(struct rate_limit_config, is_delayed),
     .doc = "on: requests of the burst wait until they come at the rate; off: they go on at once."},
    {.name = "dry_run",
     .type = OPTION_FLAG,
     .offset = offsetof(struct rate_limit_config, is_dry_run),
     .doc = "Nobody is refused or kept waiting; the access log says who would have been."},
    {.name = "fields",
     .type = OPTION_BOOL,
     .standard = "off",
     .offset = offsetof(struct rate_limit_config, has_fields),
     .doc = "on: responses say in RateLimit and RateLimit-Policy what is left."},
    {.name = "name",
     .type = OPTION_NAME,
     .offset = offsetof(struct rate_limit_config, name),
     .doc = "Limits of the same name count together, wherever they stand."},
    {.name = "keys",
     .type = OPTION_INT,
     .standard = "1000000",
     .min = 1000,
     .max = RATE_TABLE_KEYS_MAX,
     .offset = offsetof(struct rate_limit_config, keys),
     .doc = "How many keys may be in use at a time, at 24 bytes each; beyond it those that were "
            "not seen for longest begin anew."},
    {0},
};

static const struct key key_rate_limit = {
    .name = "rate_limit",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_MANY,
    .arguments = ARGUMENTS,
    .options = OPTIONS,
    .config_size = sizeof(struct rate_limit_config),
    .doc = "Limits how many requests come; what is too much is answered 429 with Retry-After. All "
           "workers count together, and reading the configuration again forgets nothing.",
    .example = "rate_limit 20r/s burst=40 by={client_ip}",
    .since = "0.1",
};

static void *make_table(int64_t keys)
{
    return rate_table_new((size_t)keys);
}

static void release_table(void *object)
{
    struct rate_store *store = object;
    store->free(store);
}

static void leave(void *kept)
{
    kept_leave(kept);
}

static enum status prepare(void *config, struct prepare *p)
{
    struct rate_limit_config *c = config;
    if (c->per.count == 0) {
        p->error(p, "rate", "a rate of 0 lets nobody in; that is: respond 403");
        return ERR_CONFIG;
    }
    c->rate = (struct rate){c->per.per / c->per.count, c->burst};
    if (c->rate.interval == 0) {
        p->error(p, "rate", "more than a billion requests a second cannot be counted");
        return ERR_CONFIG;
    }
    if (c->rate.burst > INT64_MAX / 4 / c->rate.interval) {
        p->error(p, "burst", "a burst of %lld at this rate lasts for centuries",
                 (long long)c->burst);
        return ERR_CONFIG;
    }
    TRY(limit_key_prepare(&c->key, c->by, p));
    if (p->without_files)
        return OK;
    struct slice name = c->name.size > 0 ? c->name : p->place(p);
    struct kept *kept =
        kept_find("rate", arena_format(p->arena, "%.*s %lld", SLICE_ARG(name), (long long)c->keys),
                  make_table, c->keys, release_table);
    p->keep(p, leave, kept);
    c->store = kept_object(kept);
    c->policy = arena_format(
        p->arena, "\"%.*s\";q=%lld;w=%lld",
        SLICE_ARG(c->name.size > 0 ? c->name : SLICE("default")), (long long)(c->burst + 1),
        (long long)(((c->burst + 1) * c->rate.interval + SECONDS(1) - 1) / SECONDS(1)));
    return OK;
}

/* Rounded up: whoever waits so long is let in. */
static int64_t seconds_of(int64_t ns)
{
    return (ns + SECONDS(1) - 1) / SECONDS(1);
}

static enum verdict refuse(struct exchange *x, const struct rate_limit_config *c,
                           const struct rate_answer *answer)
{
    x->limited = c->is_dry_run ? "would_refuse" : "refused";
    if (c->is_dry_run)
        return NEXT;
    x->refused_by = key_rate_limit.name;
    x->retry_after = seconds_of(answer->retry);
    return exchange_refuse(x, REFUSAL_RATE_LIMIT);
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct rate_limit_config *c = config;
    struct rate_answer answer;
    enum status status =
        c->store->take(c->store, limit_key_of(&c->key, x), &c->rate, loop_now(), &answer);
    if (status != OK) /* a store elsewhere: who cannot be counted is let in */
        return NEXT;
    if (c->has_fields) {
        struct rate_answer *kept = arena_alloc(&x->arena, sizeof *kept);
        *kept = answer;
        exchange_keep_state(x, c, kept);
    }
    if (!answer.is_allowed)
        return refuse(x, c, &answer);
    if (!c->is_delayed || answer.pace == 0)
        return NEXT;
    x->limited = c->is_dry_run ? "would_delay" : "delayed";
    if (c->is_dry_run)
        return NEXT;
    int64_t until = loop_now() + answer.pace;
    status = fiber_sleep(until < x->deadline ? until : x->deadline);
    if (status != OK)
        return exchange_blame(x, status, SIDE_CLIENT, 0, "", "client_closed");
    return NEXT;
}

/* draft-ietf-httpapi-ratelimit-headers */
static void on_response(struct exchange *x, const void *config)
{
    const struct rate_limit_config *c = config;
    const struct rate_answer *answer = c->has_fields ? exchange_state(x, c) : NULL;
    if (answer == NULL)
        return;
    fields_add_named(&x->response.fields, SLICE("RateLimit-Policy"), c->policy);
    struct slice name = c->name.size > 0 ? c->name : SLICE("default");
    fields_add_named(
        &x->response.fields, SLICE("RateLimit"),
        arena_format(&x->arena, "\"%.*s\";r=%lld;t=%lld", SLICE_ARG(name),
                     (long long)answer->remaining,
                     (long long)seconds_of(answer->is_allowed ? answer->reset : answer->retry)));
}

const struct step step_rate_limit = {
    .key = &key_rate_limit,
    .prepare = prepare,
    .on_request = on_request,
    .on_response = on_response,
};
