/* SPDX-License-Identifier: Apache-2.0 */
/* Networks that overlap or touch become ranges, sorted by where they begin. The search goes over
 * the beginnings of blocks first, which stay in the processor's cache, then over one block. */
#include "exchange/network_set.h"

#include "base/arena.h"

#include <endian.h>
#include <stdlib.h>

enum {
    BLOCK = 32, /* ranges: a kilobyte */
    FIRST_CAPACITY = 16,
};

typedef unsigned __int128 number;

struct range {
    number first, last;
};

/* Of one family of addresses. */
struct ranges {
    struct range *items;
    size_t count, capacity;
    number *blocks; /* where every BLOCK-th begins */
    size_t blocks_count;
};

struct network_set {
    struct ranges v4, v6;
};

struct network_set *network_set_new(void)
{
    return memory_zero(sizeof(struct network_set));
}

void network_set_free(struct network_set *set)
{
    free(set->v4.items);
    free(set->v4.blocks);
    free(set->v6.items);
    free(set->v6.blocks);
    free(set);
}

/* The address as a number and how many bits it has; 0: no network has it. IPv4 mapped into IPv6 is
 * IPv4. */
static unsigned number_of(const struct address *address, number *value)
{
    if (address->size == 0 || address->any.sa_family == AF_UNIX)
        return 0;
    if (address->any.sa_family == AF_INET) {
        *value = be32toh(address->v4.sin_addr.s_addr);
        return 32;
    }
    uint64_t halves[2];
    memcpy(halves, address->v6.sin6_addr.s6_addr, sizeof halves);
    *value = (number)be64toh(halves[0]) << 64 | be64toh(halves[1]);
    if (!IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr))
        return 128;
    *value = (uint32_t)*value;
    return 32;
}

void network_set_add(struct network_set *set, const struct cidr *network)
{
    number value;
    unsigned bits = number_of(&network->address, &value);
    if (bits == 0)
        return;
    struct ranges *ranges = bits == 32 ? &set->v4 : &set->v6;
    if (ranges->count == ranges->capacity) {
        ranges->capacity = ranges->capacity == 0 ? FIRST_CAPACITY : ranges->capacity * 2;
        ranges->items = memory_resize(ranges->items, ranges->capacity * sizeof *ranges->items);
    }
    unsigned rest = bits - network->prefix;
    number hosts = rest == 128 ? ~(number)0 : ((number)1 << rest) - 1;
    ranges->items[ranges->count++] = (struct range){value & ~hosts, value | hosts};
}

static int compare(const void *left, const void *right)
{
    const struct range *a = left;
    const struct range *b = right;
    return a->first < b->first ? -1 : a->first > b->first;
}

static void seal(struct ranges *ranges)
{
    if (ranges->count == 0)
        return;
    struct range *items = ranges->items;
    size_t joined = 1;
    qsort(items, ranges->count, sizeof *items, compare);
    for (size_t i = 1; i < ranges->count; i++) {
        struct range *last = &items[joined - 1];
        if (items[i].first > last->last && items[i].first - last->last > 1)
            items[joined++] = items[i];
        else if (items[i].last > last->last)
            last->last = items[i].last;
    }
    ranges->count = ranges->capacity = joined;
    ranges->items = memory_resize(items, joined * sizeof *items);
    ranges->blocks_count = (joined + BLOCK - 1) / BLOCK;
    ranges->blocks = memory_alloc(ranges->blocks_count * sizeof *ranges->blocks);
    for (size_t i = 0; i < ranges->blocks_count; i++)
        ranges->blocks[i] = ranges->items[i * BLOCK].first;
}

void network_set_seal(struct network_set *set)
{
    seal(&set->v4);
    seal(&set->v6);
}

static bool has(const struct ranges *ranges, number value)
{
    size_t low = 0; /* so many blocks begin at or before the value */
    size_t high = ranges->blocks_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ranges->blocks[middle] <= value)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return false;
    high = low * BLOCK < ranges->count ? low * BLOCK : ranges->count;
    low = (low - 1) * BLOCK;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (ranges->items[middle].first <= value)
            low = middle;
        else
            high = middle;
    }
    return value <= ranges->items[low].last;
}

bool network_set_has(const struct network_set *set, const struct address *address)
{
    number value;
    unsigned bits = number_of(address, &value);
    return bits != 0 && has(bits == 32 ? &set->v4 : &set->v6, value);
}
