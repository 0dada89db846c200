/* SPDX-License-Identifier: Apache-2.0 */
/* Networks that overlap or touch become ranges, sorted by where they begin. Above the list of
 * beginnings stands one of every sixteenth, and so on until sixteen are left: a search looks at
 * sixteen neighbours on each level, which for IPv4 are one line of the processor's cache. */
#include "exchange/network_set.h"

#include "base/arena.h"
#include "base/check.h"

#include <endian.h>
#include <stdlib.h>

enum {
    FAN = 16,
    LEVELS_MAX = 8, /* 16⁸ ranges */
    FIRST_CAPACITY = 16,
};

typedef unsigned __int128 number;

struct range {
    number first, last;
};

/* As they are added. */
struct ranges {
    struct range *items;
    size_t count, capacity;
};

/* Of IPv4 and of IPv6. Each level is filled up to a multiple of FAN with the highest number. */
struct narrow_levels {
    uint32_t
        *first[LEVELS_MAX]; /* the lowest level: of all ranges, with their ends behind each FAN */
    size_t count, levels;
};

struct wide_levels {
    number *first[LEVELS_MAX];
    size_t count, levels;
};

struct network_set {
    struct ranges v4_added, v6_added; /* until it is sealed */
    struct narrow_levels v4;
    struct wide_levels v6;
};

struct network_set *network_set_new(void)
{
    return memory_zero(sizeof(struct network_set));
}

void network_set_free(struct network_set *set)
{
    free(set->v4_added.items);
    free(set->v6_added.items);
    for (size_t i = 0; i < LEVELS_MAX; i++) {
        free(set->v4.first[i]);
        free(set->v6.first[i]);
    }
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
    struct ranges *ranges = bits == 32 ? &set->v4_added : &set->v6_added;
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

/* Sorts and joins them. */
static void settle(struct ranges *ranges)
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
    ranges->count = joined;
}

/* Aligned, so that FAN neighbours of IPv4 are one line. */
static void *line_alloc(size_t size)
{
    void *memory = aligned_alloc(64, (size + 63) / 64 * 64);
    check(memory != NULL);
    return memory;
}

static void build_narrow(struct narrow_levels *levels, const struct ranges *ranges)
{
    size_t count = levels->count = ranges->count;
    for (size_t step = 1; count > 0; step *= FAN) {
        bool has_ends = step == 1;
        size_t groups = (count + FAN - 1) / FAN;
        uint32_t *level = line_alloc(groups * FAN * (has_ends ? 2 : 1) * sizeof *level);
        for (size_t i = 0; i < groups * FAN; i++) {
            const struct range *range = i < count ? &ranges->items[i * step] : NULL;
            size_t at = has_ends ? i / FAN * FAN * 2 + i % FAN : i;
            level[at] = range == NULL ? UINT32_MAX : (uint32_t)range->first;
            if (has_ends)
                level[at + FAN] = range == NULL ? 0 : (uint32_t)range->last;
        }
        levels->first[levels->levels++] = level;
        count = count <= FAN ? 0 : groups;
    }
}

static void build_wide(struct wide_levels *levels, const struct ranges *ranges)
{
    size_t count = levels->count = ranges->count;
    for (size_t step = 1; count > 0; step *= FAN) {
        bool has_ends = step == 1;
        size_t groups = (count + FAN - 1) / FAN;
        number *level = line_alloc(groups * FAN * (has_ends ? 2 : 1) * sizeof *level);
        for (size_t i = 0; i < groups * FAN; i++) {
            const struct range *range = i < count ? &ranges->items[i * step] : NULL;
            size_t at = has_ends ? i / FAN * FAN * 2 + i % FAN : i;
            level[at] = range == NULL ? ~(number)0 : range->first;
            if (has_ends)
                level[at + FAN] = range == NULL ? 0 : range->last;
        }
        levels->first[levels->levels++] = level;
        count = count <= FAN ? 0 : groups;
    }
}

void network_set_seal(struct network_set *set)
{
    settle(&set->v4_added);
    settle(&set->v6_added);
    build_narrow(&set->v4, &set->v4_added);
    build_wide(&set->v6, &set->v6_added);
    free(set->v4_added.items);
    free(set->v6_added.items);
    set->v4_added = set->v6_added = (struct ranges){0};
}

/* The end of the last range. */
static const uint32_t *last_of_narrow(const struct narrow_levels *levels)
{
    size_t i = levels->count - 1;
    return &levels->first[0][i / FAN * FAN * 2 + FAN + i % FAN];
}

static const number *last_of_wide(const struct wide_levels *levels)
{
    size_t i = levels->count - 1;
    return &levels->first[0][i / FAN * FAN * 2 + FAN + i % FAN];
}

/* The last range that begins at or before the value is the only one that may have it. The highest
 * value is what levels are filled up with: only the last range may have that. */
static bool has_narrow(const struct narrow_levels *levels, uint32_t value)
{
    size_t at = 0;
    const uint32_t *end = NULL;
    if (levels->count == 0 || value == UINT32_MAX)
        return levels->count > 0 && *last_of_narrow(levels) == value;
    for (size_t level = levels->levels; level-- > 0;) {
        const uint32_t *first = &levels->first[level][at * FAN * (level == 0 ? 2 : 1)];
        size_t before = 0;
        for (size_t i = 0; i < FAN; i++)
            before += first[i] <= value;
        if (before == 0)
            return false;
        at = at * FAN + before - 1;
        end = &first[FAN + before - 1];
    }
    return value <= *end;
}

static bool has_wide(const struct wide_levels *levels, number value)
{
    size_t at = 0;
    const number *end = NULL;
    if (levels->count == 0 || value == ~(number)0)
        return levels->count > 0 && *last_of_wide(levels) == value;
    for (size_t level = levels->levels; level-- > 0;) {
        const number *first = &levels->first[level][at * FAN * (level == 0 ? 2 : 1)];
        size_t before = 0;
        for (size_t i = 0; i < FAN; i++)
            before += first[i] <= value;
        if (before == 0)
            return false;
        at = at * FAN + before - 1;
        end = &first[FAN + before - 1];
    }
    return value <= *end;
}

bool network_set_has(const struct network_set *set, const struct address *address)
{
    number value;
    switch (number_of(address, &value)) {
    case 32:
        return has_narrow(&set->v4, (uint32_t)value);
    case 128:
        return has_wide(&set->v6, value);
    default:
        return false;
    }
}
