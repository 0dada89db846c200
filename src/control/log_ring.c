/* SPDX-License-Identifier: Apache-2.0 */
#include "control/log_ring.h"

#include "base/arena.h"
#include "base/check.h"

#include <stdlib.h>

enum {
    ALIGNMENT = 8,
};

/* As it lies in the memory; the site and the text follow. */
struct header {
    struct log_record record; /* its slices hold sizes only */
    size_t size;              /* of all of it */
};

void log_ring_init(struct log_ring *ring, size_t capacity)
{
    *ring = (struct log_ring){.data = memory_alloc(capacity), .capacity = capacity};
    check(capacity % ALIGNMENT == 0);
}

void log_ring_done(struct log_ring *ring)
{
    free(ring->data);
    *ring = (struct log_ring){0};
}

static size_t size_of(const struct log_record *record)
{
    size_t size = sizeof(struct header) + record->site.size + record->text.size;
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* Where the record behind the one at `at` begins. */
static size_t after(const struct log_ring *ring, size_t at)
{
    struct header header;
    memcpy(&header, ring->data + at, sizeof header);
    at += header.size;
    return at == ring->wrap && ring->end <= ring->first ? 0 : at;
}

static void read_at(const struct log_ring *ring, size_t at, struct log_record *record)
{
    struct header header;
    memcpy(&header, ring->data + at, sizeof header);
    *record = header.record;
    record->site.data = ring->data + at + sizeof header;
    record->text.data = record->site.data + record->site.size;
}

static void remove_oldest(struct log_ring *ring)
{
    ring->first = after(ring, ring->first);
    ring->count--;
    if (ring->count == 0)
        ring->first = ring->end = 0;
}

/* Whether so many bytes in one piece are free at ring->end, which moves to the start where there
 * is no room behind it. */
static bool has_room(struct log_ring *ring, size_t size)
{
    if (ring->count == 0 || ring->end > ring->first) {
        if (ring->capacity - ring->end >= size)
            return true;
        if (ring->count == 0 || ring->first < size)
            return false;
        ring->wrap = ring->end;
        ring->end = 0;
        return true;
    }
    return ring->first - ring->end >= size;
}

static void lose(struct log_ring *ring)
{
    ring->lost++;
    ring->lost_ever++;
}

void log_ring_put(struct log_ring *ring, const struct log_record *record)
{
    struct header header = {*record, size_of(record)};
    if (header.size > ring->capacity) {
        lose(ring);
        return;
    }
    while (!has_room(ring, header.size)) {
        remove_oldest(ring);
        lose(ring);
    }
    char *place = ring->data + ring->end;
    memcpy(place, &header, sizeof header);
    if (record->site.size > 0)
        memcpy(place + sizeof header, record->site.data, record->site.size);
    if (record->text.size > 0)
        memcpy(place + sizeof header + record->site.size, record->text.data, record->text.size);
    ring->end += header.size;
    ring->count++;
}

bool log_ring_take(struct log_ring *ring, struct log_record *record, uint64_t *lost)
{
    if (ring->count == 0)
        return false;
    read_at(ring, ring->first, record);
    *lost = ring->lost;
    ring->lost = 0;
    remove_oldest(ring);
    return true;
}

bool log_ring_look(const struct log_ring *ring, size_t *at, struct log_record *record)
{
    size_t place = ring->first;
    if (*at >= ring->count)
        return false;
    for (size_t i = 0; i < *at; i++)
        place = after(ring, place);
    read_at(ring, place, record);
    (*at)++;
    return true;
}
