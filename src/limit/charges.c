/* SPDX-License-Identifier: Apache-2.0 */
#include "limit/charges.h"

#include "base/arena.h"
#include "base/random.h"

#include <stdlib.h>
#include <string.h>

enum {
    FIRST_CAPACITY = 256, /* powers of two, at most three quarters full */
};

void charges_init(struct charges *charges)
{
    *charges = (struct charges){0};
    random_bytes(&charges->secret, sizeof charges->secret);
}

void charges_done(struct charges *charges)
{
    free(charges->places);
    charges->places = NULL;
}

/* The place of a client, or the free one that it gets. */
static struct charge *find(const struct charges *charges, const uint64_t client[2])
{
    uint64_t hash = hash_text(charges->secret, slice_of((const char *)client, sizeof(uint64_t[2])));
    for (size_t i = (size_t)hash;; i++) {
        struct charge *place = &charges->places[i & (charges->capacity - 1)];
        if (place->bytes == 0 || (place->client[0] == client[0] && place->client[1] == client[1]))
            return place;
    }
}

static void grow(struct charges *charges)
{
    struct charges larger = *charges;
    larger.capacity = charges->capacity == 0 ? FIRST_CAPACITY : charges->capacity * 2;
    larger.places = memory_zero(larger.capacity * sizeof *larger.places);
    for (size_t i = 0; i < charges->capacity; i++)
        if (charges->places[i].bytes != 0)
            *find(&larger, charges->places[i].client) = charges->places[i];
    free(charges->places);
    *charges = larger;
}

const struct charge *charges_find(const struct charges *charges, const uint64_t client[2])
{
    const struct charge *place = charges->capacity == 0 ? NULL : find(charges, client);
    return place == NULL || place->bytes == 0 ? NULL : place;
}

void charges_add(struct charges *charges, const uint64_t client[2], int64_t bytes)
{
    if (bytes <= 0)
        return;
    if (charges->count * 4 >= charges->capacity * 3)
        grow(charges);
    struct charge *place = find(charges, client);
    if (place->bytes == 0) {
        charges->count++;
        memcpy(place->client, client, sizeof place->client);
    }
    place->bytes += bytes;
    charges->total += bytes;
}

void charges_add_all(struct charges *charges, const struct charges *more)
{
    for (size_t i = 0; i < more->capacity; i++)
        charges_add(charges, more->places[i].client, more->places[i].bytes);
}

static int larger_first(const void *a, const void *b)
{
    int64_t of_a = ((const struct charge *)a)->bytes;
    int64_t of_b = ((const struct charge *)b)->bytes;
    return of_a > of_b ? -1 : of_a < of_b;
}

size_t charges_largest(struct charges *charges, int64_t bytes, size_t max)
{
    size_t count = 0;
    if (charges->count > 0)
        qsort(charges->places, charges->capacity, sizeof *charges->places, larger_first);
    for (int64_t sum = 0; count < max && count < charges->count && sum < bytes; count++)
        sum += charges->places[count].bytes;
    return count;
}
