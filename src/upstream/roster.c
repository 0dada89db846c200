/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/roster.h"

#include "base/check.h"
#include "base/clock.h"

#include <stdlib.h>

enum {
    BACKUP_RANK = 65536, /* behind all priorities, those of SRV records included */
    TURNS_MAX = 1 << 20, /* beyond, weights are rounded */
    GRACE_S = 60,        /* no choice takes that long: whoever looked at an old one is done */
};

uint32_t server_rank(const struct server *server)
{
    return __atomic_load_n(&server->config.priority, __ATOMIC_RELAXED) +
           (__atomic_load_n(&server->config.backup, __ATOMIC_RELAXED) ? BACKUP_RANK : 0);
}

struct server *roster_find(const struct roster *roster, uint64_t id)
{
    for (size_t i = 0; i < roster->all.count; i++)
        if (roster->ids[i] == id)
            return roster->all.members[i];
    return NULL;
}

static int compare_ranks(const void *left, const void *right)
{
    struct server *const *a = left;
    struct server *const *b = right;
    uint32_t a_rank = server_rank(*a);
    uint32_t b_rank = server_rank(*b);
    if (a_rank != b_rank)
        return a_rank < b_rank ? -1 : 1;
    return (*a)->index < (*b)->index ? -1 : (*a)->index > (*b)->index;
}

/* When a member has one of its turns, in fractions of the whole round. */
struct turn {
    uint64_t at;
    uint32_t member;
};

static int compare_turns(const void *left, const void *right)
{
    const struct turn *a = left;
    const struct turn *b = right;
    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    return a->member < b->member ? -1 : a->member > b->member;
}

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
    while (b != 0) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* How many turns a member has; the sum is what the weights are of each other, in smallest numbers.
 */
static uint32_t turns_of(const struct tier *tier, size_t i, uint64_t weights, uint32_t divisor)
{
    uint32_t weight = tier->members[i]->config.weight / divisor;
    if (weights / divisor <= TURNS_MAX)
        return weight;
    uint64_t scaled = (uint64_t)weight * TURNS_MAX / (weights / divisor);
    return scaled == 0 ? 1 : (uint32_t)scaled;
}

static void take_turns(struct tier *tier)
{
    uint64_t weights = 0;
    uint32_t divisor = 0;
    for (size_t i = 0; i < tier->count; i++) {
        weights += tier->members[i]->config.weight;
        divisor = common_divisor(tier->members[i]->config.weight, divisor);
    }
    uint32_t count = 0;
    for (size_t i = 0; i < tier->count; i++)
        count += turns_of(tier, i, weights, divisor);
    check(count > 0);
    struct turn *turns = memory_alloc(count * sizeof *turns);
    uint32_t made = 0;
    for (size_t i = 0; i < tier->count; i++) {
        uint32_t own = turns_of(tier, i, weights, divisor);
        for (uint32_t n = 0; n < own; n++)
            turns[made++] = (struct turn){(2 * (uint64_t)n + 1) * UINT32_MAX / own, (uint32_t)i};
    }
    qsort(turns, count, sizeof *turns, compare_turns);
    tier->turns = memory_alloc(count * sizeof *tier->turns);
    tier->turns_count = count;
    for (uint32_t i = 0; i < count; i++)
        tier->turns[i] = turns[i].member;
    free(turns);
}

static void place_keys(struct tier *tier)
{
    struct consistent_member *members = memory_alloc(tier->count * sizeof *members);
    for (size_t i = 0; i < tier->count; i++)
        members[i] =
            (struct consistent_member){hash_text((struct hash_key){0}, tier->members[i]->name),
                                       tier->members[i]->config.weight, (uint32_t)i};
    consistent_init(&tier->hash, members, tier->count);
    free(members);
}

struct roster *roster_new(const struct upstream *upstream)
{
    struct roster *roster = NULL;
    check(posix_memalign((void **)&roster, 64, sizeof *roster) == 0);
    memset(roster, 0, sizeof *roster);
    struct server **members = memory_alloc((upstream->count + 1) * sizeof(struct server *));
    size_t count = 0;
    for (size_t i = 0; i < upstream->count; i++)
        if (!upstream->servers[i].is_draining) /* else a place without a server */
            members[count++] = &upstream->servers[i];
    roster->config = upstream->rules;
    roster->all = (struct tier){.members = members, .count = count};
    qsort(members, count, sizeof(struct server *), compare_ranks);
    roster->ids = memory_alloc((count + 1) * sizeof *roster->ids);
    check(posix_memalign((void **)&roster->tiers, 64, (count + 1) * sizeof *roster->tiers) == 0);
    for (size_t i = 0; i < count; i++) {
        roster->ids[i] = hash_text(upstream->rules->sticky_key, members[i]->name) | 1;
        __atomic_store_n(&members[i]->id, roster->ids[i], __ATOMIC_RELAXED);
        uint32_t rank = server_rank(members[i]);
        if (i == 0 || rank != server_rank(members[i - 1]))
            roster->tiers[roster->tiers_count++] =
                (struct tier){.members = members + i, .rank = rank};
        roster->tiers[roster->tiers_count - 1].count++;
    }
    for (size_t i = 0; i < roster->tiers_count; i++) {
        take_turns(&roster->tiers[i]);
        if (upstream->rules->affinity.key != UPSTREAM_KEY_NONE)
            place_keys(&roster->tiers[i]);
    }
    return roster;
}

void roster_free(struct roster *roster)
{
    for (size_t i = 0; i < roster->tiers_count; i++) {
        free(roster->tiers[i].turns);
        consistent_done(&roster->tiers[i].hash);
    }
    free(roster->tiers);
    free(roster->all.members);
    free(roster->ids);
    free(roster);
}

void upstream_renew_roster(struct upstream *upstream)
{
    int64_t now = clock_monotonic();
    struct roster *old = upstream->roster;
    __atomic_store_n(&upstream->roster, roster_new(upstream), __ATOMIC_RELEASE);
    if (old == NULL)
        return;
    old->retired = now;
    old->next = upstream->rosters_retired;
    upstream->rosters_retired = old;
    roster_free_retired(upstream, now - SECONDS(GRACE_S));
}

void roster_free_retired(struct upstream *upstream, int64_t until)
{
    struct roster **at = &upstream->rosters_retired;
    while (*at != NULL && (*at)->retired > until)
        at = &(*at)->next;
    struct roster *done = *at;
    *at = NULL;
    while (done != NULL) {
        struct roster *next = done->next;
        roster_free(done);
        done = next;
    }
}
