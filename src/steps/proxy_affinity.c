/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/proxy_affinity.h"

#include "base/buffer.h"
#include "exchange/exchange.h"
#include "upstream/call.h"

/* The value that decides about the server; false: this request has none. */
static bool find_key(struct exchange *x, const struct upstream_affinity *affinity,
                     struct slice *value)
{
    const struct fields *fields = &x->request.head.fields;
    switch (affinity->key) {
    case UPSTREAM_KEY_URI:
        *value = x->request.target;
        return true;
    case UPSTREAM_KEY_HEADER:
        *value = fields_joined(fields, affinity->name, &x->arena);
        return value->size > 0;
    case UPSTREAM_KEY_COOKIE:
        return cookie_find(fields, affinity->name, value) && value->size > 0;
    case UPSTREAM_KEY_CLIENT:
    case UPSTREAM_KEY_NONE:
    default:
        return false;
    }
}

void proxy_affinity_ask(struct exchange *x, struct upstream_call *call)
{
    const struct upstream_affinity *affinity = upstream_affinity(call->upstream);
    struct slice value = SLICE("");
    if (affinity->key == UPSTREAM_KEY_CLIENT) {
        uint64_t network[2];
        address_client_network(x->client, network);
        call->request.has_hash = true;
        call->request.hash = upstream_hash(slice_of((const char *)network, sizeof network));
    } else if (find_key(x, affinity, &value)) {
        call->request.has_hash = true;
        call->request.hash = upstream_hash(value);
    }
    if (affinity->cookie.size > 0 && cookie_find(&x->request.head.fields, affinity->cookie, &value))
        call->request.sticky_id = upstream_sticky_id(value);
}

void proxy_affinity_answer(struct exchange *x, const struct upstream_call *call)
{
    static const char *const NAMES[] = {
        [STICKY_NONE] = "",   [STICKY_KEPT] = "kept",   [STICKY_AWAY] = "away",
        [STICKY_NEW] = "new", [STICKY_MOVED] = "moved",
    };
    const struct upstream_affinity *affinity = upstream_affinity(call->upstream);
    char id[STICKY_ID_SIZE];
    enum sticky sticky = upstream_sticky(call, id);
    x->sticky = NAMES[sticky];
    if (sticky != STICKY_NEW && sticky != STICKY_MOVED)
        return;
    bool is_secure =
        affinity->secure == STICKY_SECURE_ON ||
        (affinity->secure == STICKY_SECURE_AUTO && slice_equal(x->scheme, SLICE("https")));
    struct buffer cookie = buffer_in(&x->arena, affinity->cookie.size + 1 + STICKY_ID_SIZE +
                                                    affinity->attributes.size + 8);
    buffer_append(&cookie, affinity->cookie);
    buffer_append_byte(&cookie, '=');
    buffer_append(&cookie, slice_of(id, sizeof id));
    buffer_append(&cookie, affinity->attributes);
    if (is_secure)
        buffer_append(&cookie, SLICE("; Secure"));
    fields_add(&x->response.fields, FIELD_SET_COOKIE, buffer_slice(&cookie));
}
