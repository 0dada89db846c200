/* SPDX-License-Identifier: Apache-2.0 */
/* A table in shards, each under a mutex that is held for a look-up only. An address has an entry as
 * long as it has a connection, so the table is bounded by the number of connections. */
#include "serve/clients.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/random.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    SHARDS = 64,
    BUCKETS = 256, /* of a shard: chains stay short up to some 100,000 addresses */
};

struct client {
    struct client *next;
    uint64_t prefix[2];
    int64_t count;
};

struct shard {
    pthread_mutex_t mutex;
    struct client *buckets[BUCKETS];
};

struct clients {
    uint64_t key[2]; /* nobody outside can choose addresses that collide */
    struct shard shards[SHARDS];
};

struct clients *clients_new(void)
{
    struct clients *clients = memory_zero(sizeof *clients);
    random_bytes(clients->key, sizeof clients->key);
    for (int i = 0; i < SHARDS; i++)
        pthread_mutex_init(&clients->shards[i].mutex, NULL);
    return clients;
}

void clients_free(struct clients *clients)
{
    for (int i = 0; i < SHARDS; i++) {
        pthread_mutex_destroy(&clients->shards[i].mutex);
        for (int b = 0; b < BUCKETS; b++)
            while (clients->shards[i].buckets[b] != NULL) {
                struct client *client = clients->shards[i].buckets[b];
                clients->shards[i].buckets[b] = client->next;
                free(client);
            }
    }
    free(clients);
}

static struct shard *shard_of(struct clients *clients, const uint64_t prefix[2], size_t *bucket)
{
    unsigned __int128 product =
        (unsigned __int128)(prefix[0] ^ clients->key[0]) * (clients->key[1] | 1);
    uint64_t hash = (uint64_t)(product >> 64) ^ (uint64_t)product ^ prefix[1];
    *bucket = hash / SHARDS % BUCKETS;
    return &clients->shards[hash % SHARDS];
}

static struct client **find(struct shard *shard, size_t bucket, const uint64_t prefix[2])
{
    struct client **link = &shard->buckets[bucket];
    while (*link != NULL && ((*link)->prefix[0] != prefix[0] || (*link)->prefix[1] != prefix[1]))
        link = &(*link)->next;
    return link;
}

bool clients_enter(struct clients *clients, const struct address *address, int64_t max)
{
    uint64_t prefix[2];
    size_t bucket;
    address_client_network(address, prefix);
    struct shard *shard = shard_of(clients, prefix, &bucket);
    pthread_mutex_lock(&shard->mutex);
    struct client **link = find(shard, bucket, prefix);
    bool may_enter = max > 0 && (*link == NULL || (*link)->count < max);
    if (may_enter && *link == NULL) {
        *link = memory_zero(sizeof **link);
        (*link)->prefix[0] = prefix[0];
        (*link)->prefix[1] = prefix[1];
    }
    if (may_enter)
        (*link)->count++;
    pthread_mutex_unlock(&shard->mutex);
    return may_enter;
}

void clients_leave(struct clients *clients, const struct address *address)
{
    uint64_t prefix[2];
    size_t bucket;
    address_client_network(address, prefix);
    struct shard *shard = shard_of(clients, prefix, &bucket);
    pthread_mutex_lock(&shard->mutex);
    struct client **link = find(shard, bucket, prefix);
    struct client *client = *link;
    check(client != NULL && client->count > 0);
    if (--client->count == 0) {
        *link = client->next;
        free(client);
    }
    pthread_mutex_unlock(&shard->mutex);
}
