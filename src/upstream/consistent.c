/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/consistent.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/hash.h"

#include <stdlib.h>

/* Primes; a hundred places for each member keep the shares within a percent of the weights. */
static const uint32_t SIZES[] = {65537, 655373, 6553621};

enum {
    PLACES_PER_MEMBER = 100,
    WEIGHT_MAX = 256,
};

#define FREE UINT32_MAX

/* Where a member is in its own order of all places: offset, offset + skip, … */
struct walker {
    uint32_t at, skip;
    uint32_t credit;
};

static uint32_t size_for(size_t members)
{
    size_t last = sizeof SIZES / sizeof *SIZES - 1;
    size_t i = 0;
    while (i < last && SIZES[i] < members * PLACES_PER_MEMBER)
        i++;
    return SIZES[i];
}

static struct walker walker_of(const struct consistent_member *member, uint32_t size)
{
    struct slice id = slice_of((const char *)&member->id, sizeof member->id);
    uint64_t offset = hash_text((struct hash_key){3, 0}, id);
    uint64_t skip = hash_text((struct hash_key){4, 0}, id);
    return (struct walker){(uint32_t)(offset % size), (uint32_t)(skip % (size - 1)) + 1, 0};
}

static void take_next_free(struct consistent *consistent, struct walker *walker, uint32_t index)
{
    while (consistent->places[walker->at] != FREE)
        walker->at = (walker->at + walker->skip) % consistent->size;
    consistent->places[walker->at] = index;
}

void consistent_init(struct consistent *consistent, const struct consistent_member *members,
                     size_t count)
{
    uint32_t size = size_for(count);
    check(count > 0 && count < size);
    *consistent = (struct consistent){memory_alloc(size * sizeof(uint32_t)), size};
    for (uint32_t i = 0; i < size; i++)
        consistent->places[i] = FREE;
    struct walker *walkers = memory_alloc(count * sizeof *walkers);
    uint32_t heaviest = 1;
    for (size_t i = 0; i < count; i++) {
        check(members[i].weight >= 1 && members[i].weight <= WEIGHT_MAX &&
              members[i].index != FREE);
        walkers[i] = walker_of(&members[i], size);
        heaviest = members[i].weight > heaviest ? members[i].weight : heaviest;
    }
    /* In each round the heaviest takes a place, the others as often as their weight is of its. */
    for (uint32_t taken = 0; taken < size;) {
        for (size_t i = 0; i < count && taken < size; i++) {
            walkers[i].credit += members[i].weight;
            if (walkers[i].credit < heaviest)
                continue;
            walkers[i].credit -= heaviest;
            take_next_free(consistent, &walkers[i], members[i].index);
            taken++;
        }
    }
    free(walkers);
}

void consistent_done(struct consistent *consistent)
{
    free(consistent->places);
    consistent->places = NULL;
}
