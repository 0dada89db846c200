/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/tiers.h"

#include "base/check.h"

#include <stdlib.h>

enum {
    BACKUP_RANK = 256, /* behind all priorities */
};

static uint32_t rank_of(const struct server_config *config)
{
    return config->priority + (config->backup ? BACKUP_RANK : 0);
}

static int compare(const void *left, const void *right)
{
    const struct tier *a = left;
    const struct tier *b = right;
    return a->rank < b->rank ? -1 : a->rank > b->rank;
}

/* Where the keys of a tier belong. */
static void place(struct upstream *upstream, size_t index)
{
    struct tier *tier = &upstream->tiers[index];
    struct consistent_member *members = memory_alloc(tier->count * sizeof *members);
    size_t count = 0;
    for (size_t i = 0; i < upstream->count; i++) {
        const struct server *server = &upstream->servers[i];
        if (server->tier == index)
            members[count++] = (struct consistent_member){
                hash_text((struct hash_key){0}, server->name), server->config.weight, (uint16_t)i};
    }
    check(count == tier->count);
    consistent_init(&tier->hash, members, count);
    free(members);
}

void upstream_make_tiers(struct upstream *upstream)
{
    struct tier *tiers = memory_zero(upstream->count * sizeof *tiers);
    for (size_t i = 0; i < upstream->count; i++)
        tiers[i] = (struct tier){.rank = rank_of(&upstream->servers[i].config), .count = 1};
    qsort(tiers, upstream->count, sizeof *tiers, compare);
    size_t count = 0;
    for (size_t i = 0; i < upstream->count; i++) {
        if (count > 0 && tiers[count - 1].rank == tiers[i].rank)
            tiers[count - 1].count++;
        else
            tiers[count++] = tiers[i];
    }
    upstream->tiers = tiers;
    upstream->tiers_count = count;
    for (size_t i = 0; i < upstream->count; i++) {
        struct server *server = &upstream->servers[i];
        while (tiers[server->tier].rank != rank_of(&server->config))
            server->tier++;
    }
    for (size_t i = 0; upstream->config.affinity.key != UPSTREAM_KEY_NONE && i < count; i++)
        place(upstream, i);
}

void upstream_drop_tiers(struct upstream *upstream)
{
    for (size_t i = 0; i < upstream->tiers_count; i++)
        consistent_done(&upstream->tiers[i].hash);
    free(upstream->tiers);
}
