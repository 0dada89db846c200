/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "upstream/server.h"

enum {
    START_PERCENT = 10, /* of its share, from the first moment on */
};

uint32_t server_starting_weight(const struct server *server, int64_t now)
{
    int64_t whole = (int64_t)server_weight(server) * SERVER_WEIGHT_UNIT;
    int64_t since = now - __atomic_load_n(&server->back_since, __ATOMIC_RELAXED);
    int64_t length = upstream_rules(server->upstream)->slow_start;
    if (since >= length || upstream_members(server->upstream) <= 1) /* nobody to leave it to */
        return (uint32_t)whole;
    /* In milliseconds, so that the product fits. */
    int64_t part =
        since <= 0 ? 0 : whole * (since / MILLISECONDS(1)) / (length / MILLISECONDS(1) + 1);
    int64_t least = whole * START_PERCENT / 100;
    return (uint32_t)(part > least ? part : least);
}
