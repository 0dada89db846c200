/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/limit_key.h"

#include "exchange/exchange.h"
#include "exchange/variable.h"

enum status limit_key_prepare(struct limit_key *key, struct slice by, struct prepare *prepare)
{
    key->by = NULL;
    if (slice_equal(by, SLICE("{client_ip}")))
        return OK;
    key->by = prepare->compile_template(prepare, "by", by);
    return key->by == NULL ? ERR_CONFIG : OK;
}

struct slice limit_key_of(const struct limit_key *key, struct exchange *x)
{
    uint64_t *network = arena_alloc(&x->arena, 2 * sizeof *network);
    address_client_network(x->client, network);
    if (key->by == NULL)
        return slice_of((const char *)network, 2 * sizeof *network);
    /* Whoever has a /64 has an address for every request: it is one client in any text. */
    struct slice shown = x->client_ip;
    if (network[1] == AF_INET6)
        x->client_ip = slice_of((const char *)network, sizeof *network);
    struct slice text = template_expand(key->by, x);
    x->client_ip = shown;
    if (text.size > 0)
        return text;
    return slice_of((const char *)network, 2 * sizeof *network);
}
