/* SPDX-License-Identifier: Apache-2.0 */
/* c-ares on control's loop: its sockets are watched level-triggered as it asks for them, its
 * timeouts are looked after by one timer. */
#include "net/resolver.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/list.h"
#include "base/random.h"
#include "fiber/file.h"
#include "fiber/loop.h"
#include "fiber/thread.h"
#include "net/resolver_record.h"

#include <ares.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SOCKETS_MAX = 64,
    TICK_MS = 100,          /* how often c-ares looks at its timeouts while it waits */
    RETRY_S = 1,            /* after a failure: doubled each time up to ttl_max */
    RESOLV_CHECK_MS = 1000, /* how often resolv.conf is looked at */
};

struct resolver_socket {
    struct watch watch;
    struct resolver *resolver;
    bool is_used;
};

struct resolver {
    ares_channel channel;
    struct resolver_config config;
    char *servers; /* as c-ares wants them; NULL: those of the system */
    struct resolver_socket sockets[SOCKETS_MAX];
    struct timer tick;
    struct list resolutions;
    int in_flight;
    int64_t resolv_checked;
    int64_t resolv_changed; /* ns since 1970 */
};

struct resolution {
    struct list link;
    struct resolver *resolver;
    char *host;
    uint16_t port;
    void (*on_addresses)(void *argument, const struct address *addresses, size_t count,
                         const char *why);
    void *argument;
    struct timer again;
    /* Or, for a service: */
    void (*on_services)(void *argument, const struct resolver_service *services, size_t count,
                        const char *why);
    void *items; /* the last good set: addresses or services */
    size_t count;
    int64_t good_until; /* when it is given up */
    int failures;
    bool was_told;
    bool is_asking;
    bool is_dropped; /* unfollowed while a question was under way */
};

static void update_sockets(struct resolver *resolver);

static void process(struct resolver *resolver, int read_fd, int write_fd)
{
    ares_process_fd(resolver->channel, read_fd, write_fd);
    update_sockets(resolver);
}

static void on_ready(struct watch *watch)
{
    struct resolver_socket *s = LIST_ENTRY(watch, struct resolver_socket, watch);
    int fd = watch->fd;
    watch->ready = 0;
    process(s->resolver, fd, fd);
}

static void on_tick(struct timer *timer)
{
    struct resolver *resolver = LIST_ENTRY(timer, struct resolver, tick);
    /* Sockets are watched for reading only: what waits to be written goes out here. */
    for (int i = 0; i < SOCKETS_MAX; i++)
        if (resolver->sockets[i].is_used)
            ares_process_fd(resolver->channel, resolver->sockets[i].watch.fd,
                            resolver->sockets[i].watch.fd);
    process(resolver, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    if (resolver->in_flight > 0)
        timer_set(&thread_self()->timers, timer, loop_now() + MILLISECONDS(TICK_MS));
}

/* c-ares tells which of its sockets it cares for; new ones are watched, closed ones forgotten. */
static void on_socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
    struct resolver *resolver = data;
    struct resolver_socket *free_one = NULL;
    for (int i = 0; i < SOCKETS_MAX; i++) {
        struct resolver_socket *s = &resolver->sockets[i];
        if (s->is_used && s->watch.fd == fd) {
            if (!readable && !writable) {
                loop_forget(&s->watch, true);
                s->is_used = false;
            }
            return;
        }
        if (!s->is_used && free_one == NULL)
            free_one = s;
    }
    if (!readable && !writable)
        return;
    check(free_one != NULL);
    free_one->resolver = resolver;
    free_one->watch.on_ready = on_ready;
    free_one->is_used = loop_watch(&free_one->watch, fd) == OK;
}

static void update_sockets(struct resolver *resolver)
{
    if (resolver->in_flight > 0 && !timer_is_set(&resolver->tick))
        timer_set(&thread_self()->timers, &resolver->tick, loop_now() + MILLISECONDS(TICK_MS));
}

static enum status open_channel(struct resolver *resolver)
{
    struct ares_options options = {
        .timeout = (int)(resolver->config.timeout / MILLISECONDS(1)),
        .tries = resolver->config.tries,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = resolver,
    };
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    if (ares_init_options(&resolver->channel, &options, mask) != ARES_SUCCESS)
        return ERR_SYSTEM;
    if (resolver->servers != NULL &&
        ares_set_servers_ports_csv(resolver->channel, resolver->servers) != ARES_SUCCESS)
        return ERR_CONFIG;
    return OK;
}

/* A new resolv.conf is taken up when nothing is under way. */
static void look_at_system(struct resolver *resolver)
{
    int64_t now = loop_now();
    if (resolver->servers != NULL || resolver->in_flight > 0 ||
        now - resolver->resolv_checked < MILLISECONDS(RESOLV_CHECK_MS))
        return;
    resolver->resolv_checked = now;
    int64_t changed = file_changed("/etc/resolv.conf");
    if (changed == 0 || changed == resolver->resolv_changed)
        return;
    bool is_first = resolver->resolv_changed == 0;
    resolver->resolv_changed = changed;
    if (is_first)
        return;
    ares_destroy(resolver->channel);
    if (open_channel(resolver) != OK)
        check(ares_init(&resolver->channel) == ARES_SUCCESS);
}

enum status resolver_new(const struct resolver_config *config, struct resolver **made)
{
    static bool is_library_ready;
    if (!is_library_ready && ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
        return ERR_SYSTEM;
    is_library_ready = true;
    struct resolver *resolver = memory_zero(sizeof *resolver);
    resolver->config = *config;
    list_init(&resolver->resolutions);
    resolver->tick.on_fire = on_tick;
    if (config->servers_count > 0) {
        size_t size = 1;
        for (size_t i = 0; i < config->servers_count; i++)
            size += config->servers[i].size + 1;
        resolver->servers = memory_zero(size);
        size_t at = 0;
        for (size_t i = 0; i < config->servers_count; i++) {
            int written = snprintf(resolver->servers + at, size - at, "%s%.*s", i == 0 ? "" : ",",
                                   SLICE_ARG(config->servers[i]));
            at += (size_t)written;
        }
    }
    enum status status = open_channel(resolver);
    if (status != OK) {
        free(resolver->servers);
        free(resolver);
        return status;
    }
    *made = resolver;
    return OK;
}

static void free_resolution(struct resolution *resolution)
{
    free(resolution->host);
    free(resolution->items);
    free(resolution);
}

void resolver_free(struct resolver *resolver)
{
    LIST_EACH(link, &resolver->resolutions)
    {
        resolver_unfollow(LIST_ENTRY(link, struct resolution, link));
    }
    ares_destroy(resolver->channel); /* ends what is under way: callbacks run now */
    timer_clear(&thread_self()->timers, &resolver->tick);
    free(resolver->servers);
    free(resolver);
}

static void tell(struct resolution *resolution, const char *why)
{
    resolution->was_told = true;
    if (resolution->on_services != NULL)
        resolution->on_services(resolution->argument, resolution->items, resolution->count, why);
    else
        resolution->on_addresses(resolution->argument, resolution->items, resolution->count, why);
}

/* Copies the answer, at most RESOLVER_ADDRESSES_MAX in their order, each once; the smallest TTL in
 * seconds. */
static size_t copy_answer(const struct ares_addrinfo *answer, uint16_t port,
                          struct address *addresses, int *ttl)
{
    size_t count = 0;
    *ttl = INT32_MAX;
    for (const struct ares_addrinfo_node *node = answer->nodes;
         node != NULL && count < RESOLVER_ADDRESSES_MAX; node = node->ai_next) {
        if (node->ai_family != AF_INET && node->ai_family != AF_INET6)
            continue;
        struct address *address = &addresses[count];
        memset(address, 0, sizeof *address);
        memcpy(&address->any, node->ai_addr, node->ai_addrlen);
        address->size = node->ai_addrlen;
        address_set_port(address, port);
        bool is_new = true;
        for (size_t i = 0; i < count && is_new; i++)
            is_new = !address_equal(&addresses[i], address);
        count += is_new;
        if (node->ai_ttl < *ttl)
            *ttl = node->ai_ttl;
    }
    return count;
}

/* Whether every one of the last set is in this one; the order is nobody's business. */
static bool is_same(const struct resolution *resolution, const void *items, size_t count)
{
    if (count != resolution->count)
        return false;
    const struct address *was = resolution->items;
    const struct address *is = items;
    const struct resolver_service *was_service = resolution->items;
    const struct resolver_service *is_service = items;
    for (size_t i = 0; i < count; i++) {
        bool is_there = false;
        for (size_t j = 0; j < count && !is_there; j++)
            is_there = resolution->on_services != NULL
                           ? memcmp(&was_service[i], &is_service[j], sizeof *is_service) == 0
                           : address_equal(&was[i], &is[j]);
        if (!is_there)
            return false;
    }
    return true;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* Takes `items` over, which are on the heap. */
static void succeeded(struct resolution *resolution, void *items, size_t count, int ttl)
{
    const struct resolver_config *config = &resolution->resolver->config;
    int64_t now = loop_now();
    bool has_changed = !resolution->was_told || !is_same(resolution, items, count);
    free(resolution->items);
    resolution->items = items;
    resolution->count = count;
    resolution->failures = 0;
    resolution->good_until = now + config->keep;
    timer_set(&thread_self()->timers, &resolution->again,
              now + clamp(SECONDS(ttl), config->ttl_min, config->ttl_max));
    if (has_changed)
        tell(resolution, "");
}

static void failed(struct resolution *resolution, const char *why)
{
    const struct resolver_config *config = &resolution->resolver->config;
    int64_t now = loop_now();
    int64_t wait = SECONDS(RETRY_S) << (resolution->failures < 6 ? resolution->failures : 6);
    resolution->failures++;
    timer_set(&thread_self()->timers, &resolution->again,
              now + clamp(wait, config->ttl_min, config->ttl_max));
    bool is_stale = resolution->count > 0 && now >= resolution->good_until;
    if (is_stale)
        resolution->count = 0;
    if (is_stale || !resolution->was_told)
        tell(resolution, why);
}

/* A question has ended; false: nobody wants to know any more, and the resolution is gone. */
static bool end_question(struct resolution *resolution)
{
    resolution->resolver->in_flight--;
    resolution->is_asking = false;
    bool is_wanted = !resolution->is_dropped;
    if (!is_wanted)
        free_resolution(resolution);
    return is_wanted;
}

static void on_answer(void *argument, int status, int timeouts, struct ares_addrinfo *answer)
{
    (void)timeouts;
    struct resolution *resolution = argument;
    if (!end_question(resolution)) {
        if (answer != NULL)
            ares_freeaddrinfo(answer);
        return;
    }
    int ttl = 0;
    struct address *addresses = memory_alloc(RESOLVER_ADDRESSES_MAX * sizeof *addresses);
    size_t count =
        status == ARES_SUCCESS ? copy_answer(answer, resolution->port, addresses, &ttl) : 0;
    if (answer != NULL)
        ares_freeaddrinfo(answer);
    if (count > 0) {
        succeeded(resolution, memory_resize(addresses, count * sizeof *addresses), count, ttl);
        return;
    }
    free(addresses);
    failed(resolution, status == ARES_SUCCESS ? "no address" : ares_strerror(status));
}

static void on_record(void *argument, int status, int timeouts, unsigned char *text, int size)
{
    (void)timeouts;
    struct resolution *resolution = argument;
    if (!end_question(resolution))
        return;
    int ttl = 0;
    struct resolver_service *services = memory_zero(RESOLVER_SERVICES_MAX * sizeof *services);
    size_t count =
        status == ARES_SUCCESS ? resolver_parse_services(text, (size_t)size, services, &ttl) : 0;
    if (count > 0) {
        succeeded(resolution, memory_resize(services, count * sizeof *services), count, ttl);
        return;
    }
    free(services);
    failed(resolution, status == ARES_SUCCESS ? "no SRV record" : ares_strerror(status));
}

/* Whether the name is `top`, or below it. */
static bool is_under(const char *host, struct slice top)
{
    struct slice name = slice_from_cstring(host);
    if (name.size > top.size && name.data[name.size - top.size - 1] == '.')
        name = slice_from(name, name.size - top.size);
    return slice_equal_nocase(name, top);
}

static void answer_localhost(struct resolution *resolution)
{
    struct address *addresses = memory_zero(2 * sizeof *addresses);
    check(address_parse_ip(SLICE("127.0.0.1"), &addresses[0]));
    check(address_parse_ip(SLICE("::1"), &addresses[1]));
    for (int i = 0; i < 2; i++)
        address_set_port(&addresses[i], resolution->port);
    succeeded(resolution, addresses, 2, INT32_MAX);
}

static void ask(struct resolution *resolution)
{
    struct resolver *resolver = resolution->resolver;
    /* Names that no server is asked for (RFC 6761 §6.3, §6.4), be there an /etc/hosts or not. */
    bool is_local = is_under(resolution->host, SLICE("localhost"));
    if (is_local && resolution->on_services == NULL) {
        answer_localhost(resolution);
        return;
    }
    if (is_local || is_under(resolution->host, SLICE("invalid"))) {
        failed(resolution, ares_strerror(ARES_ENOTFOUND));
        return;
    }
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    look_at_system(resolver);
    resolver->in_flight++;
    resolution->is_asking = true;
    if (resolution->on_services != NULL)
        ares_query(resolver->channel, resolution->host, RESOLVER_CLASS_IN, RESOLVER_TYPE_SRV,
                   on_record, resolution);
    else
        ares_getaddrinfo(resolver->channel, resolution->host, NULL, &hints, on_answer, resolution);
    update_sockets(resolver);
}

static void on_again(struct timer *timer)
{
    ask(LIST_ENTRY(timer, struct resolution, again));
}

static struct resolution *start(struct resolver *resolver, struct slice name, uint16_t port,
                                void *argument)
{
    struct resolution *resolution = memory_zero(sizeof *resolution);
    resolution->resolver = resolver;
    resolution->host = memory_zero(name.size + 1);
    memcpy(resolution->host, name.data, name.size);
    resolution->port = port;
    resolution->argument = argument;
    resolution->again.on_fire = on_again;
    list_append(&resolver->resolutions, &resolution->link);
    return resolution;
}

struct resolution *resolver_follow(struct resolver *resolver, struct slice host, uint16_t port,
                                   void (*on_addresses)(void *argument,
                                                        const struct address *addresses,
                                                        size_t count, const char *why),
                                   void *argument)
{
    struct resolution *resolution = start(resolver, host, port, argument);
    resolution->on_addresses = on_addresses;
    ask(resolution);
    return resolution;
}

struct resolution *resolver_follow_services(
    struct resolver *resolver, struct slice name,
    void (*on_services)(void *argument, const struct resolver_service *services, size_t count,
                        const char *why),
    void *argument)
{
    struct resolution *resolution = start(resolver, name, 0, argument);
    resolution->on_services = on_services;
    ask(resolution);
    return resolution;
}

void resolver_unfollow(struct resolution *resolution)
{
    timer_clear(&thread_self()->timers, &resolution->again);
    list_remove(&resolution->link);
    if (resolution->is_asking)
        resolution->is_dropped = true;
    else
        free_resolution(resolution);
}
