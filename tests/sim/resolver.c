/* SPDX-License-Identifier: Apache-2.0 */
/* net/resolver.h in the simulated world: names whose addresses the scenario sets and changes. */
#include "net/resolver.h"

#include "fiber/thread.h"
#include "outside.h"
#include "world.h"

#include <string.h>

enum {
    NAMES_MAX = 16,
    ADDRESSES_MAX = 8,
    TTL_S = 5,
};

struct name {
    char host[64];
    struct address addresses[ADDRESSES_MAX];
    size_t count;
};

struct resolver {
    struct resolver_config config;
};

struct resolution {
    struct name *name;
    uint16_t port;
    void (*on_addresses)(void *argument, const struct address *addresses, size_t count,
                         const char *why);
    void *argument;
    struct timer again;
    struct address last[ADDRESSES_MAX];
    size_t last_count;
    int64_t good_until;
    int64_t keep;
    bool was_told;
    struct resolution *next;
};

static struct name names[NAMES_MAX];
static struct resolution *resolutions;

static struct name *name_of(const char *host, size_t size)
{
    for (int i = 0; i < NAMES_MAX; i++) {
        if (names[i].host[0] == '\0' && size < sizeof names[i].host)
            memcpy(names[i].host, host, size);
        if (strlen(names[i].host) == size && memcmp(names[i].host, host, size) == 0)
            return &names[i];
    }
    return NULL;
}

void names_set(const char *host, const struct address *addresses, size_t count)
{
    struct name *name = name_of(host, strlen(host));
    for (size_t i = 0; i < count; i++)
        name->addresses[i] = addresses[i];
    name->count = count;
}

static void tell(struct resolution *resolution)
{
    resolution->was_told = true;
    resolution->on_addresses(resolution->argument, resolution->last, resolution->last_count,
                             resolution->last_count == 0 ? "no such name" : "");
}

static void on_again(struct timer *timer)
{
    struct resolution *resolution = LIST_ENTRY(timer, struct resolution, again);
    struct address now[ADDRESSES_MAX] = {0};
    size_t count = world_fault(FAULT_RESOLVE) ? 0 : resolution->name->count;
    for (size_t i = 0; i < count; i++) {
        now[i] = resolution->name->addresses[i];
        address_set_port(&now[i], resolution->port);
    }
    bool is_same = count == resolution->last_count;
    for (size_t i = 0; is_same && i < count; i++)
        is_same = address_equal(&now[i], &resolution->last[i]);
    bool is_stale =
        count == 0 && resolution->last_count > 0 && loop_now() >= resolution->good_until;
    if (count > 0)
        resolution->good_until = loop_now() + resolution->keep;
    if ((count > 0 && !is_same) || is_stale || !resolution->was_told) {
        memcpy(resolution->last, now, sizeof now);
        resolution->last_count = count;
        world_trace("the name %s has %zu addresses", resolution->name->host, count);
        tell(resolution);
    }
    timer_set(&thread_self()->timers, timer, loop_now() + SECONDS(count > 0 ? TTL_S : 1));
}

enum status resolver_new(const struct resolver_config *config, struct resolver **made)
{
    *made = world_alloc(sizeof **made);
    (*made)->config = *config;
    return OK;
}

void resolver_free(struct resolver *resolver)
{
    (void)resolver;
    for (; resolutions != NULL; resolutions = resolutions->next)
        timer_clear(&thread_self()->timers, &resolutions->again);
}

struct resolution *resolver_follow(struct resolver *resolver, struct slice host, uint16_t port,
                                   void (*on_addresses)(void *argument,
                                                        const struct address *addresses,
                                                        size_t count, const char *why),
                                   void *argument)
{
    struct resolution *resolution = world_alloc(sizeof *resolution);
    *resolution = (struct resolution){
        .name = name_of(host.data, host.size),
        .port = port,
        .on_addresses = on_addresses,
        .argument = argument,
        .again.on_fire = on_again,
        .keep = resolver->config.keep,
        .next = resolutions,
    };
    resolutions = resolution;
    int64_t took = world_between(0, MILLISECONDS(100));
    timer_set(&thread_self()->timers, &resolution->again, loop_now() + took);
    return resolution;
}

void resolver_unfollow(struct resolution *resolution)
{
    timer_clear(&thread_self()->timers, &resolution->again);
}

/* No scenario has services: the name is followed as one that is never there. */
struct resolution *resolver_follow_services(
    struct resolver *resolver, struct slice name,
    void (*on_services)(void *argument, const struct resolver_service *services, size_t count,
                        const char *why),
    void *argument)
{
    (void)resolver;
    (void)name;
    struct resolution *resolution = world_alloc(sizeof *resolution);
    on_services(argument, NULL, 0, "no such name");
    return resolution;
}
