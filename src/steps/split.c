/* SPDX-License-Identifier: Apache-2.0 */
/* split { proxy blue weight=90 … }: several answers, each for its share of the requests. */
#include "base/hash.h"
#include "exchange/exchange.h"
#include "exchange/variable.h"
#include "fiber/thread.h"

struct split_config {
    struct slice by;
    const struct template *key; /* NULL: by chance */
    const struct step_use *shares;
    const uint32_t *weights;
    size_t count;
    uint64_t total;
};

static const struct option OPTIONS[] = {
    {.name = "by",
     .type = OPTION_TEMPLATE,
     .offset = offsetof(struct split_config, by),
     .doc = "What decides: requests with the same value go the same way, also in other weirs and "
            "after a restart; a share that grows keeps what it had when it is written last. By "
            "chance where it is empty or left out."},
    {0},
};

static const struct key key_split = {
    .name = "split",
    .contexts = IN_SITE | IN_ROUTE,
    .flags = KEY_STEP | KEY_ANSWER | KEY_SECTION,
    .inner = IN_SPLIT,
    .options = OPTIONS,
    .config_size = sizeof(struct split_config),
    .doc = "Shares the requests among several upstreams by the weights of the proxy lines in its "
           "block: canaries, slow moves. The log's `upstream` says which one it was.",
    .example = "split by={client_ip} { … }",
    .since = "0.1",
};

static enum status prepare(void *config, struct prepare *p)
{
    struct split_config *c = config;
    c->shares = p->inner;
    c->weights = p->inner_weights;
    c->count = p->inner_count;
    for (size_t i = 0; i < c->count; i++)
        c->total += c->weights[i];
    if (c->by.size == 0)
        return OK;
    c->key = p->compile_template(p, "by", c->by);
    return c->key == NULL ? ERR_CONFIG : OK;
}

/* Where a request stands, from 0 to the sum of the weights. */
static uint64_t place_of(struct exchange *x, const struct split_config *c)
{
    struct slice value = c->key == NULL ? SLICE("") : template_expand(c->key, x);
    uint64_t at = value.size == 0 ? random_next(&thread_self()->random)
                                  : hash_text((struct hash_key){5, 0}, value);
    return (uint64_t)((unsigned __int128)at * c->total >> 64);
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct split_config *c = config;
    uint64_t place = place_of(x, c);
    size_t i = 0;
    while (place >= c->weights[i])
        place -= c->weights[i++];
    const struct step_use *share = &c->shares[i];
    exchange_keep_state(x, config, (void *)(uintptr_t)share);
    return share->step->on_request(x, share->config);
}

static void on_response(struct exchange *x, const void *config)
{
    const struct step_use *share = exchange_state(x, config);
    if (share->step->on_response != NULL)
        share->step->on_response(x, share->config);
}

static void on_finish(struct exchange *x, const void *config)
{
    const struct step_use *share = exchange_state(x, config);
    if (share->step->on_finish != NULL)
        share->step->on_finish(x, share->config);
}

const struct step step_split = {
    .key = &key_split,
    .prepare = prepare,
    .on_request = on_request,
    .on_response = on_response,
    .on_finish = on_finish,
};
