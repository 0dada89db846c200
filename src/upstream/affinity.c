/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/call.h"
#include "upstream/roster.h"

enum upstream_key balance_key_of(enum balance balance)
{
    static const enum upstream_key KEYS[BALANCES] = {
#define BALANCE(id, name, policy, key, doc) [BALANCE_##id] = UPSTREAM_KEY_##key,
#include "upstream/balance.def"
#undef BALANCE
    };
    return KEYS[balance];
}

const struct upstream_affinity *upstream_affinity(const struct upstream *upstream)
{
    return &upstream_rules(upstream)->affinity;
}

uint64_t upstream_hash(struct slice value)
{
    return hash_text((struct hash_key){0}, value);
}

uint64_t upstream_sticky_id(struct slice cookie)
{
    uint64_t id = 0;
    if (cookie.size != STICKY_ID_SIZE)
        return 0;
    for (size_t i = 0; i < cookie.size; i++) {
        char c = cookie.data[i];
        if ((c < '0' || c > '9') && (c < 'a' || c > 'f'))
            return 0;
        id = id << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return id;
}

enum sticky upstream_sticky(const struct upstream_call *call, char *id)
{
    const struct upstream *upstream = call->upstream;
    uint64_t asked = call->request.sticky_id;
    if (upstream_rules(upstream)->affinity.cookie.size == 0 || call->server_id == 0)
        return STICKY_NONE;
    if (asked == call->server_id)
        return STICKY_KEPT;
    const struct roster *roster = roster_of(upstream);
    const struct server *home = asked == 0 ? NULL : roster_find(roster, asked);
    /* Only full, or this once without an answer: the client goes back there. */
    if (home != NULL && server_is_usable(home, loop_now()) &&
        server_rank(home) == roster->tiers[0].rank)
        return STICKY_AWAY;
    for (int i = 0; i < STICKY_ID_SIZE; i++)
        id[i] = "0123456789abcdef"[call->server_id >> (60 - 4 * i) & 15];
    return home == NULL ? STICKY_NEW : STICKY_MOVED;
}
