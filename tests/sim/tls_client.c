/* SPDX-License-Identifier: Apache-2.0 */
/* net/tls_client.h of the simulated world. */
#include "tls.h"

#include "base/arena.h"
#include "base/hash.h"

#include <stdlib.h>

struct tls_client {
    struct arena arena;
    struct slice name;
    struct slice protocols[TLS_PROTOCOLS_MAX];
    size_t protocols_count;
};

struct tls_sessions {
    bool is_there;
};

enum status tls_client_new(const struct tls_client_config *config, struct tls_client **client,
                           const char **why)
{
    (void)why;
    *client = memory_zero(sizeof **client);
    arena_init(&(*client)->arena, NULL, 0);
    (*client)->name = arena_copy(&(*client)->arena, config->sni);
    (*client)->protocols_count = config->protocols_count;
    for (size_t i = 0; i < config->protocols_count; i++)
        (*client)->protocols[i] = arena_copy(&(*client)->arena, config->protocols[i]);
    return OK;
}

uint64_t tls_client_identity(const struct tls_client *client)
{
    return hash_text((struct hash_key){1, 2}, client->name) | 1;
}

void tls_client_free(struct tls_client *client)
{
    if (client == NULL)
        return;
    arena_done(&client->arena);
    free(client);
}

struct slice tls_client_name(const struct tls_client *client)
{
    return client->name;
}

const struct slice *tls_client_protocols(const struct tls_client *client, size_t *count)
{
    *count = client->protocols_count;
    return client->protocols;
}

struct tls_sessions *tls_sessions_new(void)
{
    return memory_zero(sizeof(struct tls_sessions));
}

void tls_sessions_free(struct tls_sessions *sessions)
{
    free(sessions);
}
