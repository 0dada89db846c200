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
    struct slice text = key->by == NULL ? SLICE("") : template_expand(key->by, x);
    if (text.size > 0)
        return text;
    uint64_t *network = arena_alloc(&x->arena, 2 * sizeof *network);
    address_client_network(x->client, network);
    return slice_of((const char *)network, 2 * sizeof *network);
}
