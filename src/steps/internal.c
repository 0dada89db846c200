/* SPDX-License-Identifier: Apache-2.0 */
/* internal: a route that no client gets to; servers send there, by X-Accel-Redirect. */
#include "exchange/exchange.h"

static const struct key key_internal = {
    .name = "internal",
    .contexts = IN_ROUTE,
    .flags = KEY_STEP | KEY_ONE,
    .doc = "Clients are answered 404 here, as if the route was not there; it is for answers of "
           "servers that say X-Accel-Redirect.",
    .example = "internal",
    .since = "0.1",
};

static enum verdict on_request(struct exchange *x, const void *config)
{
    (void)config;
    return x->is_inside ? NEXT : exchange_refuse(x, REFUSAL_NO_ROUTE);
}

const struct step step_internal = {
    .key = &key_internal,
    .on_request = on_request,
};
