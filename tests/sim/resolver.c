/* SPDX-License-Identifier: Apache-2.0 */
/* net/resolver.h in the simulated world: names whose addresses the scenario sets and changes. */
#include "net/resolver.h"

#include "fiber/thread.h"
#include "net/resolver_record.h"
#include "outside.h"
#include "world.h"

#include <string.h>

enum {
    NAMES_MAX = 16,
    ADDRESSES_MAX = 8,
    TTL_S = 5,
    ANSWER_MAX = 1024, /* bytes of an answer with services */
};

struct name {
    char host[64];
    struct address addresses[ADDRESSES_MAX];
    size_t count;
    unsigned char answer[ANSWER_MAX]; /* with its services, as a server of names writes it */
    size_t answer_size;
};

struct resolver {
    struct resolver_config config;
};

struct resolution {
    struct name *name;
    uint16_t port;
    void (*on_addresses)(void *argument, const struct address *addresses, size_t count,
                         const char *why);
    void (*on_services)(void *argument, const struct resolver_service *services, size_t count,
                        const char *why); /* NULL: addresses are wanted */
    void *argument;
    struct timer again;
    struct address last[ADDRESSES_MAX];
    struct resolver_service last_services[RESOLVER_SERVICES_MAX];
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

bool names_are_awaited(const char *host)
{
    for (const struct resolution *one = resolutions; one != NULL; one = one->next)
        if (!one->was_told && strcmp(one->name->host, host) == 0)
            return true;
    return false;
}

static void put(struct name *name, unsigned number, size_t bytes)
{
    while (bytes-- > 0)
        name->answer[name->answer_size++] = (unsigned char)(number >> 8 * bytes);
}

/* Label by label; its size with them. */
static size_t put_name(struct name *name, const char *text)
{
    size_t size = 1;
    for (; *text != '\0'; text += *text == '.') {
        size_t label = strcspn(text, ".");
        put(name, (unsigned)label, 1);
        memcpy(name->answer + name->answer_size, text, label);
        name->answer_size += label;
        size += label + 1;
        text += label;
    }
    put(name, 0, 1);
    return size;
}

void names_set_services(const char *host, const struct resolver_service *services, size_t count)
{
    struct name *name = name_of(host, strlen(host));
    name->count = 0;
    name->answer_size = 0;
    if (count == 0)
        return;
    put(name, 0x00008180, 4); /* an answer */
    put(name, 1, 2);
    put(name, (unsigned)count, 2);
    put(name, 0, 4);
    put_name(name, host);
    put(name, RESOLVER_TYPE_SRV, 2);
    put(name, RESOLVER_CLASS_IN, 2);
    for (size_t i = 0; i < count; i++) {
        put(name, 0xc00c, 2); /* the name of the question */
        put(name, RESOLVER_TYPE_SRV, 2);
        put(name, RESOLVER_CLASS_IN, 2);
        put(name, TTL_S, 4);
        put(name, (unsigned)strlen(services[i].host) + 8, 2);
        put(name, services[i].priority, 2);
        put(name, services[i].weight, 2);
        put(name, services[i].port, 2);
        put_name(name, services[i].host);
    }
}

static void tell(struct resolution *resolution)
{
    resolution->was_told = true;
    if (resolution->on_services != NULL) {
        resolution->on_services(resolution->argument, resolution->last_services,
                                resolution->last_count,
                                resolution->last_count == 0 ? "no such name" : "");
        return;
    }
    resolution->on_addresses(resolution->argument, resolution->last, resolution->last_count,
                             resolution->last_count == 0 ? "no such name" : "");
}

/* What the name has now; whether that is what it had. */
static size_t look_up(struct resolution *resolution, bool *is_same)
{
    static struct address now[ADDRESSES_MAX];
    static struct resolver_service services[RESOLVER_SERVICES_MAX];
    const struct name *name = resolution->name;
    bool wants_services = resolution->on_services != NULL;
    int ttl;
    size_t count = wants_services
                       ? resolver_parse_services(name->answer, name->answer_size, services, &ttl)
                       : name->count;
    if (world_fault(FAULT_RESOLVE))
        count = 0;
    *is_same = count == resolution->last_count;
    for (size_t i = 0; i < count && wants_services; i++)
        *is_same = *is_same && services[i].port == resolution->last_services[i].port &&
                   strcmp(services[i].host, resolution->last_services[i].host) == 0;
    for (size_t i = 0; i < count && !wants_services; i++) {
        now[i] = name->addresses[i];
        address_set_port(&now[i], resolution->port);
        *is_same = *is_same && address_equal(&now[i], &resolution->last[i]);
    }
    if (count > 0 && wants_services)
        memcpy(resolution->last_services, services, sizeof services);
    else if (count > 0)
        memcpy(resolution->last, now, sizeof now);
    return count;
}

static void on_again(struct timer *timer)
{
    struct resolution *resolution = LIST_ENTRY(timer, struct resolution, again);
    bool is_same;
    size_t count = look_up(resolution, &is_same);
    bool is_stale =
        count == 0 && resolution->last_count > 0 && loop_now() >= resolution->good_until;
    if (count > 0)
        resolution->good_until = loop_now() + resolution->keep;
    if ((count > 0 && !is_same) || is_stale || !resolution->was_told) {
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

static struct resolution *follow(struct resolver *resolver, struct slice host, void *argument)
{
    struct resolution *resolution = world_alloc(sizeof *resolution);
    resolution->name = name_of(host.data, host.size);
    resolution->argument = argument;
    resolution->again.on_fire = on_again;
    resolution->keep = resolver->config.keep;
    resolution->next = resolutions;
    resolutions = resolution;
    int64_t took = world_between(0, MILLISECONDS(100));
    timer_set(&thread_self()->timers, &resolution->again, loop_now() + took);
    return resolution;
}

struct resolution *resolver_follow(struct resolver *resolver, struct slice host, uint16_t port,
                                   void (*on_addresses)(void *argument,
                                                        const struct address *addresses,
                                                        size_t count, const char *why),
                                   void *argument)
{
    struct resolution *resolution = follow(resolver, host, argument);
    resolution->port = port;
    resolution->on_addresses = on_addresses;
    return resolution;
}

struct resolution *resolver_follow_services(
    struct resolver *resolver, struct slice name,
    void (*on_services)(void *argument, const struct resolver_service *services, size_t count,
                        const char *why),
    void *argument)
{
    struct resolution *resolution = follow(resolver, name, argument);
    resolution->on_services = on_services;
    return resolution;
}

void resolver_unfollow(struct resolution *resolution)
{
    timer_clear(&thread_self()->timers, &resolution->again);
}
