/* SPDX-License-Identifier: Apache-2.0 */
/* After "FIFO queues are all you need for cache eviction" (Yang and others, SOSP 2023). Newcomers
 * have a tenth of the room; who is used there goes on to the main queue, who is not is remembered
 * for a while and goes there straight when it comes again. The main queue gives everybody who was
 * used another round. So a scan runs through the small queue and moves nobody who is in use. */
#include "cache/evict.h"

#include "base/arena.h"
#include "base/check.h"

#include <stdlib.h>

enum {
    NOWHERE,
    SMALL,
    MAIN,
    USES_MAX = 3,
    SMALL_SHARE = 10, /* one part in so many */
    GHOSTS_MIN = 1024,
    GHOSTS_MAX = 1 << 20,
    WAYS = 4, /* places for one that left */
};

struct evict_ghost {
    uint32_t print; /* the upper half of its hash */
    uint32_t left;  /* the how-manieth departure it was; 0: the place is free */
};

void evict_init(struct evict *evict, uint64_t bytes_max, uint64_t bytes_usual)
{
    check(bytes_usual > 0);
    uint64_t ghosts = GHOSTS_MIN;
    while (ghosts < GHOSTS_MAX && ghosts < bytes_max / bytes_usual)
        ghosts *= 2;
    *evict = (struct evict){.bytes_max = bytes_max,
                            .ghosts = memory_zero(ghosts * sizeof(struct evict_ghost)),
                            .ghosts_mask = (ghosts - 1) & ~(uint64_t)(WAYS - 1)};
    list_init(&evict->queues[0]);
    list_init(&evict->queues[1]);
}

void evict_done(struct evict *evict)
{
    free(evict->ghosts);
    evict->ghosts = NULL;
}

/* The departures that count are as many as there are objects: who left longer ago than that would
 * not have stayed in any case. */
static bool is_recent(const struct evict *evict, const struct evict_ghost *ghost)
{
    uint64_t most = evict->count < GHOSTS_MIN ? GHOSTS_MIN : evict->count;
    return ghost->left != 0 && evict->departures - ghost->left <= most;
}

static void remember(struct evict *evict, uint64_t hash)
{
    struct evict_ghost *ways = evict->ghosts + (hash & evict->ghosts_mask);
    struct evict_ghost *place = ways;
    if (++evict->departures == 0)
        evict->departures = 1;
    for (unsigned i = 0; i < WAYS; i++) {
        uint32_t age = evict->departures - ways[i].left;
        if (ways[i].left == 0 || ways[i].print == (uint32_t)(hash >> 32)) {
            place = ways + i;
            break;
        }
        if (age > evict->departures - place->left)
            place = ways + i;
    }
    *place = (struct evict_ghost){(uint32_t)(hash >> 32), evict->departures};
}

/* Forgets it, too. */
static bool was_here(struct evict *evict, uint64_t hash)
{
    struct evict_ghost *ways = evict->ghosts + (hash & evict->ghosts_mask);
    for (unsigned i = 0; i < WAYS; i++) {
        if (ways[i].left == 0 || ways[i].print != (uint32_t)(hash >> 32))
            continue;
        bool recent = is_recent(evict, ways + i);
        ways[i].left = 0;
        return recent;
    }
    return false;
}

static void enter(struct evict *evict, struct evict_item *item, uint8_t queue)
{
    item->queue = queue;
    list_push(&evict->queues[queue - 1], &item->link);
    evict->bytes[queue - 1] += item->bytes;
    evict->count++;
}

void evict_insert(struct evict *evict, struct evict_item *item, uint64_t hash, uint64_t bytes)
{
    check(item->queue == NOWHERE);
    item->hash = hash;
    item->bytes = bytes;
    __atomic_store_n(&item->uses, 0, __ATOMIC_RELAXED);
    enter(evict, item, was_here(evict, hash) ? MAIN : SMALL);
}

void evict_resize(struct evict *evict, struct evict_item *item, uint64_t bytes)
{
    check(item->queue != NOWHERE);
    evict->bytes[item->queue - 1] += bytes - item->bytes;
    item->bytes = bytes;
}

void evict_touch(struct evict_item *item)
{
    /* Two that touch at once may count as one: nothing depends on the number. An object that is hot
     * is read only, so that its line stays in the caches of all processors. */
    uint8_t uses = __atomic_load_n(&item->uses, __ATOMIC_RELAXED);
    if (uses < USES_MAX)
        __atomic_store_n(&item->uses, (uint8_t)(uses + 1), __ATOMIC_RELAXED);
}

void evict_remove(struct evict *evict, struct evict_item *item)
{
    if (item->queue == NOWHERE)
        return;
    list_remove(&item->link);
    evict->bytes[item->queue - 1] -= item->bytes;
    evict->count--;
    item->queue = NOWHERE;
}

uint64_t evict_bytes(const struct evict *evict)
{
    return evict->bytes[0] + evict->bytes[1];
}

/* The oldest of a queue, taken out; NULL: it is empty. */
static struct evict_item *take_oldest(struct evict *evict, uint8_t queue)
{
    struct list *head = &evict->queues[queue - 1];
    if (list_is_empty(head))
        return NULL;
    struct evict_item *item = LIST_ENTRY(head->previous, struct evict_item, link);
    evict_remove(evict, item);
    return item;
}

struct evict_item *evict_next(struct evict *evict)
{
    for (;;) {
        bool from_small = evict->bytes[0] >= evict->bytes_max / SMALL_SHARE ||
                          list_is_empty(&evict->queues[MAIN - 1]);
        struct evict_item *item = take_oldest(evict, from_small ? SMALL : MAIN);
        if (item == NULL)
            item = take_oldest(evict, MAIN);
        if (item == NULL)
            return NULL;
        uint8_t uses = __atomic_load_n(&item->uses, __ATOMIC_RELAXED);
        if (uses == 0) {
            if (from_small)
                remember(evict, item->hash);
            return item;
        }
        /* Each round costs a use, so this ends. */
        __atomic_store_n(&item->uses, from_small ? 0 : (uint8_t)(uses - 1), __ATOMIC_RELAXED);
        enter(evict, item, MAIN);
    }
}

struct evict_item *evict_over(struct evict *evict, uint64_t spare)
{
    uint64_t most = evict->bytes_max > spare ? evict->bytes_max - spare : 0;
    return evict_bytes(evict) > most ? evict_next(evict) : NULL;
}
