/* SPDX-License-Identifier: Apache-2.0 */
/* conn_limit N: how many requests of one client, or of whatever `by` says, may be under way at a
 * time. A tunnel counts until it ends. */
#include "exchange/exchange.h"
#include "limit/kept.h"
#include "limit/tally.h"
#include "steps/limit_key.h"

struct conn_limit_config {
    int64_t most;
    struct slice by;
    struct slice name;
    bool is_dry_run;
    struct limit_key key;
    struct kept *kept;
};

static const struct option ARGUMENTS[] = {
    {.name = "most",
     .type = OPTION_INT,
     .flags = OPTION_REQUIRED,
     .min = 1,
     .max = 1000000,
     .offset = offsetof(struct conn_limit_config, most),
     .doc = "How many."},
    {0},
};

static const struct option OPTIONS[] = {
    {.name = "by",
     .type = OPTION_TEMPLATE,
     .standard = "{client_ip}",
     .offset = offsetof(struct conn_limit_config, by),
     .doc = "What is counted apart. An address of IPv6 stands for its /64; where it is empty the "
            "client's address counts."},
    {.name = "name",
     .type = OPTION_NAME,
     .offset = offsetof(struct conn_limit_config, name),
     .doc = "Limits of the same name count together, wherever they stand."},
    {.name = "dry_run",
     .type = OPTION_FLAG,
     .offset = offsetof(struct conn_limit_config, is_dry_run),
     .doc = "Nobody is refused; the access log says who would have been."},
    {0},
};

static const struct key key_conn_limit = {
    .name = "conn_limit",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_MANY,
    .arguments = ARGUMENTS,
    .options = OPTIONS,
    .config_size = sizeof(struct conn_limit_config),
    .doc = "Limits how many requests are under way at a time, those that became tunnels included; "
           "what is too much is answered 429. Connections are limited before they are read by "
           "limits { connections_per_client }.",
    .example = "conn_limit 20 by={client_ip}",
    .since = "0.1",
};

static void *make_tally(int64_t unused)
{
    (void)unused;
    return tally_new();
}

static void release_tally(void *object)
{
    tally_free(object);
}

static void leave(void *kept)
{
    kept_leave(kept);
}

static enum status prepare(void *config, struct prepare *p)
{
    struct conn_limit_config *c = config;
    TRY(limit_key_prepare(&c->key, c->by, p));
    if (p->without_files)
        return OK;
    c->kept =
        kept_find("conn", c->name.size > 0 ? c->name : p->place(p), make_tally, 0, release_tally);
    p->keep(p, leave, c->kept);
    return OK;
}

static void outlive(void *object)
{
    kept_again(object);
}

static void end(void *object, uint64_t key, bool has_outlived)
{
    tally_leave(kept_object(object), key);
    if (has_outlived)
        kept_leave(object);
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct conn_limit_config *c = config;
    struct tally *tally = kept_object(c->kept);
    uint64_t key = tally_key(tally, limit_key_of(&c->key, x));
    if (tally_enter(tally, key, c->most)) {
        struct exchange_hold hold = {.outlive = outlive, .end = end, .object = c->kept, .key = key};
        exchange_hold(x, &hold);
        return NEXT;
    }
    x->limited = c->is_dry_run ? "would_refuse" : "refused";
    if (c->is_dry_run)
        return NEXT;
    x->refused_by = key_conn_limit.name;
    x->retry_after = 1;
    return exchange_refuse(x, REFUSAL_CONN_LIMIT);
}

const struct step step_conn_limit = {
    .key = &key_conn_limit,
    .prepare = prepare,
    .on_request = on_request,
};
