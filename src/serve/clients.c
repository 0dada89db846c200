/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/clients.h"

#include "limit/tally.h"

static uint64_t key_of(const struct tally *clients, const struct address *address)
{
    uint64_t network[2];
    address_client_network(address, network);
    return tally_key(clients, slice_of((const char *)network, sizeof network));
}

bool clients_enter(struct tally *clients, const struct address *address, int64_t max)
{
    return tally_enter(clients, key_of(clients, address), max);
}

void clients_leave(struct tally *clients, const struct address *address)
{
    tally_leave(clients, key_of(clients, address));
}
